//! What the kernel itself makes of a distilled base: its own matching, with all that it gets wrong.
//!
//! The kernel goes through its types in the order of their ids and takes each for every distilled type of its name that it finds
//! compatible. That is not [`super::relocate`]: a forward declaration of a structure counts as a second candidate beside it; the flag
//! of a structure with bitfields is taken for that of a union; a structure may match whatever has its name.
//!
//! Spec: kernel/bpf/btf.c and `tools/lib/bpf/btf_relocate.c` of Linux 6.12 to 7.2.

use std::collections::HashMap;

use super::matching::find_embedded;
use crate::error::{ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::reader::Btf;
use crate::refs::name_refs;
use crate::types::Type;
use crate::wire::Info;

/// How many pairs of types of one name are looked at; the kernel looks at all.
const MAX_PAIRS: u64 = 1 << 24;

/// Why the kernel refuses to move split BTF onto its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A type of the distilled base is of a kind, or without a name, that must not be there.
    Kind {
        /// The type in the distilled base.
        distilled: TypeId,
    },
    /// Two types match, and the kernel does not choose.
    Candidates {
        /// The type in the distilled base.
        distilled: TypeId,
        /// The type of the kernel that matches first.
        first: TypeId,
        /// The second one.
        second: TypeId,
    },
    /// Nothing matches.
    Unmapped {
        /// The type in the distilled base.
        distilled: TypeId,
        /// The first type of the kernel that has at least its name.
        namesake: Option<TypeId>,
    },
    /// A split type uses a string of the distilled base that is no name of a type there.
    Name {
        /// The split type.
        id: TypeId,
        /// The string.
        name: StrOffset,
    },
}

impl Refusal {
    /// The type in the distilled base that is in the way, if it is one.
    #[must_use]
    pub fn distilled(&self) -> Option<TypeId> {
        match *self {
            Self::Kind { distilled }
            | Self::Candidates { distilled, .. }
            | Self::Unmapped { distilled, .. } => Some(distilled),
            Self::Name { .. } => None,
        }
    }
}

/// All reasons for which a kernel whose BTF is `base` refuses `split`, whose base is a distilled one. The kernel stops at one of
/// them; none means that it takes it.
///
/// # Errors
/// [`ErrorKind::Invalid`] if `split` has no base; [`ErrorKind::TypeIdOutOfRange`] and [`ErrorKind::StringOutOfRange`] for ids and
/// names that do not exist; [`ErrorKind::Unsupported`] if too many types have one name.
pub fn kernel_refusals(split: &Btf, base: &Btf) -> Result<Vec<Refusal>> {
    let Some(distilled) = split.base() else {
        let (what, value) = (
            "base of BTF to relocate: there is none, type ids start at",
            1,
        );
        return Err(ErrorKind::Invalid { what, value }.into());
    };
    let embedded = find_embedded(split)?;
    let mut refusals = Vec::new();
    let mut by_name: HashMap<&[u8], Vec<TypeId>> = HashMap::new();
    let mut names = Vec::new();
    for id in (1..distilled.end_id()).map(TypeId) {
        let name = distilled.name(id)?;
        if !may_be_distilled(distilled, id) || name.is_empty() {
            refusals.push(Refusal::Kind { distilled: id });
            continue;
        }
        let of_name = by_name.entry(name).or_insert_with(|| {
            names.push(name);
            Vec::new()
        });
        of_name.push(id);
    }
    if !refusals.is_empty() {
        return Ok(refusals);
    }
    let mut budget = MAX_PAIRS;
    for name in names {
        let candidates = candidates(base, name)?;
        for &id in by_name.get(name).into_iter().flatten() {
            let pairs = candidates.len() as u64;
            budget = budget.checked_sub(pairs).ok_or_else(|| {
                let text = "so many types of one name";
                ErrorKind::Unsupported(text.to_owned())
            })?;
            let is_embedded = embedded.get(id.0 as usize) == Some(&true);
            refusals.extend(refusal(distilled, id, is_embedded, &candidates)?);
        }
    }
    if refusals.is_empty() {
        refusals.extend(unmapped_names(split, distilled));
    }
    refusals.sort_by_key(Refusal::distilled);
    Ok(refusals)
}

fn info_of(btf: &Btf, id: TypeId) -> Info {
    btf.info(id).unwrap_or(Info(0))
}

fn may_be_distilled(distilled: &Btf, id: TypeId) -> bool {
    matches!(
        info_of(distilled, id).kind(),
        Some(Kind::Int | Kind::Float | Kind::Enum | Kind::Struct | Kind::Union | Kind::Fwd)
    )
}

/// A type of the kernel that may match.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    id: TypeId,
    ty: Type<'a>,
    kind: Kind,
    kind_flag: bool,
    /// Its third word, which is 0 for forward declarations.
    size: u32,
    /// Whether the search compares sizes.
    needs_size: bool,
}

/// The kernel's types of a name, in the order of their ids.
fn candidates<'a>(base: &'a Btf, name: &[u8]) -> Result<Vec<Candidate<'a>>> {
    let mut found = Vec::new();
    let mut composites = 0;
    for id in base.find_by_name(name) {
        let info = info_of(base, id);
        let Some(kind) = info.kind() else { continue };
        let is_composite = matches!(kind, Kind::Struct | Kind::Union);
        let is_sized = matches!(kind, Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64);
        if is_composite || is_sized || kind == Kind::Fwd {
            composites += u32::from(is_composite);
            found.push(Candidate {
                id,
                ty: base.ty(id)?,
                kind,
                kind_flag: info.kind_flag(),
                size: base
                    .record(id)
                    .and_then(|record| record.get(2).copied())
                    .unwrap_or(0),
                needs_size: is_sized,
            });
        }
    }
    for candidate in &mut found {
        let is_composite = matches!(candidate.kind, Kind::Struct | Kind::Union);
        candidate.needs_size |= is_composite && composites > 1;
    }
    Ok(found)
}

/// Why the kernel finds no match for one distilled type.
fn refusal(
    distilled: &Btf,
    id: TypeId,
    is_embedded: bool,
    candidates: &[Candidate<'_>],
) -> Result<Option<Refusal>> {
    let ty = distilled.ty(id)?;
    let (info, record) = (info_of(distilled, id), distilled.record(id));
    let size = record
        .and_then(|record| record.get(2).copied())
        .unwrap_or(0);
    let mut first = None;
    for candidate in candidates {
        if candidate.needs_size && candidate.size != size {
            continue;
        }
        let matches = match info.kind() {
            // The kernel's mistake: the flag of a structure tells about bitfields.
            Some(Kind::Fwd) if candidate.kind == Kind::Struct => !candidate.kind_flag,
            Some(Kind::Fwd) if candidate.kind == Kind::Union => candidate.kind_flag,
            Some(Kind::Fwd) => {
                candidate.kind == Kind::Fwd && candidate.kind_flag == info.kind_flag()
            }
            Some(Kind::Int) => match (ty, candidate.ty) {
                (Type::Int(own), Type::Int(other)) => own.encoding == other.encoding,
                _ => false,
            },
            Some(Kind::Float) => candidate.kind == Kind::Float,
            Some(Kind::Enum) => matches!(candidate.kind, Kind::Enum | Kind::Enum64),
            // Another mistake: whatever has the name will do. What is embedded is that only until something matches.
            _ => !is_embedded || first.is_some() || candidate.size == size,
        };
        match first {
            _ if !matches => {}
            None => first = Some(candidate.id),
            Some(first) => {
                return Ok(Some(Refusal::Candidates {
                    distilled: id,
                    first,
                    second: candidate.id,
                }));
            }
        }
    }
    let namesake = candidates.first().map(|candidate| candidate.id);
    Ok(first.is_none().then_some(Refusal::Unmapped {
        distilled: id,
        namesake,
    }))
}

/// The first split type that uses a string of the distilled base which is not the name of a type.
fn unmapped_names(split: &Btf, distilled: &Btf) -> Option<Refusal> {
    let mut names: Vec<u32> = distilled
        .records()
        .filter_map(|(_, record)| record.first().copied())
        .collect();
    names.sort_unstable();
    split.records().find_map(|(id, record)| {
        let mut used = name_refs(record).map(|(_, name)| name);
        let is_lost = |name: &StrOffset| {
            name.0 != 0 && name.0 < split.first_string() && names.binary_search(&name.0).is_err()
        };
        let name = used.find(is_lost)?;
        Some(Refusal::Name { id, name })
    })
}
