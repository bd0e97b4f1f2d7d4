//! Makes split BTF independent of the ids of its base: it gets a small base of its own, `.BTF.base`.
//!
//! Split BTF names the types of its base by number, so it is bound to the one kernel that it was made for. A distilled base
//! holds no more than what the split BTF refers to, by name: [`mod@crate::relocate`] finds the types of those names in
//! another kernel.
//!
//! # Which types go where
//!
//! Everything that the split types lead to is followed, but not into named structures, unions and enumerations: those are
//! the border, and what is behind it may differ between kernels.
//! - What is named and at the border goes into the new base: INT, FLOAT and FWD as they are, STRUCT and UNION without
//!   members, ENUM and ENUM64 as ENUM without values, all with their size.
//! - What is followed (pointers, arrays, qualifiers, typedefs, prototypes, type tags) and what has no name, by which it
//!   could be found again, goes into the split BTF as a whole, behind its own types.
//!
//! So do functions and variables of the base, which only tags and sections of the split BTF can refer to; libbpf refuses
//! those. In all other respects the result is that of libbpf: the same types in the same order, so that any kernel that
//! knows `.BTF.base` (6.11 and later) takes it.
//!
//! Spec: Documentation/bpf/btf.rst, 4.4 ".BTF.base section".
#![deny(clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::reader::Btf;
use crate::refs::{rewrite_refs, type_refs};
use crate::relocate::{Refusal, find_embedded, kernel_refusals};
use crate::types::Type;
use crate::wire::Info;

/// Where a type of the old base goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The new base, by its name.
    Base,
    /// The split BTF, as a whole.
    Split,
    /// The split BTF, as a forward declaration.
    Declared,
}

/// Split BTF on top of a distilled base.
///
/// The base of what is returned is the distilled one, and stands alone. Both are written by [`Builder::from_btf`]; what
/// byte order that is for is the caller's choice, because [`Btf::byte_order`] of both is the machine's own.
///
/// # Errors
/// [`ErrorKind::Invalid`] if `split` has no base; [`ErrorKind::Unsupported`], with the type, if it refers to a type of its
/// base that cannot move, such as a section; [`ErrorKind::TypeIdOutOfRange`] and [`ErrorKind::StringOutOfRange`] for
/// ids and names that do not exist.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use btf_core::{Builder, Kind, TypeId, distill::distill, wire::int};
///
/// let mut base = Builder::new();
/// let int = base.int(b"int", 4, int::SIGNED)?;
/// let page = base.composite(Kind::Struct, b"page", 64, &[])?;
/// let page_ptr = base.ptr(page)?;
/// let mut split = Builder::with_base(Arc::new(base.finish()?));
/// split.ptr(page_ptr)?;
///
/// let split = distill(&split.finish()?)?;
/// let base = split.base().unwrap();
/// assert_eq!(base.name(TypeId(1))?, b"page");
/// // `struct page **`, and behind it `struct page *`.
/// assert_eq!((split.first_id(), split.end_id()), (2, 4));
/// # Ok::<(), btf_core::Error>(())
/// ```
pub fn distill(split: &Btf) -> Result<Btf> {
    Ok(Distilled::new(split, &Request::default())?.btf)
}

/// What is wanted of a distilled base.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Types of the base that are needed though no split type refers to them, such as those of `.BTF_ids`.
    pub needed: Vec<TypeId>,
    /// Whether the mistakes that kernels make when they match a distilled base are avoided.
    ///
    /// Forward declarations then stay in the split BTF, where nothing has to match. So do types for which the base itself has no
    /// match, or several, by the kernel's rules: numbers and enumerations as a whole, structures as forward declarations.
    pub for_kernels: bool,
}

/// Split BTF on top of a distilled base, and what became of each type.
#[derive(Debug)]
pub struct Distilled {
    /// The split BTF.
    pub btf: Btf,
    /// Types of the old base that the split BTF only declares, because kernels would not match them.
    pub declared: Vec<TypeId>,
    /// Why kernels refuse it all the same, even the one that it was made for: structures that have no one match, and are held by
    /// value.
    pub refusals: Vec<Refusal>,
    /// The new id of each type of the old base, by its id; `void` for those that are gone.
    map: Vec<TypeId>,
    /// The first id of the old split BTF.
    first: u32,
}

impl Distilled {
    /// Distils as `request` says.
    ///
    /// # Errors
    /// Those of [`distill`], and of [`crate::relocate::kernel_refusals`].
    pub fn new(split: &Btf, request: &Request) -> Result<Self> {
        let Some(base) = split.base() else {
            let (what, value) = (
                "base of BTF to distill: there is none, type ids start at",
                1,
            );
            return Err(ErrorKind::Invalid { what, value }.into());
        };
        let mut avoided = HashSet::new();
        let mut made = Self::avoiding(split, request, &avoided)?;
        if !request.for_kernels {
            return Ok(made);
        }
        let old_ids: HashMap<TypeId, TypeId> = (0..)
            .map(TypeId)
            .zip(&made.map)
            .map(|(old, &new)| (new, old))
            .collect();
        let embedded = find_embedded(&made.btf)?;
        made.refusals = kernel_refusals(&made.btf, base)?;
        made.refusals.retain(|refusal| {
            let distilled = refusal.distilled().unwrap_or_default();
            let is_composite = matches!(
                made.btf.info(distilled).and_then(Info::kind),
                Some(Kind::Struct | Kind::Union)
            );
            if is_composite && embedded.get(distilled.0 as usize) == Some(&true) {
                return true;
            }
            avoided.extend(old_ids.get(&distilled).copied());
            false
        });
        if avoided.is_empty() {
            return Ok(made);
        }
        let mut again = Self::avoiding(split, request, &avoided)?;
        again.refusals = kernel_refusals(&again.btf, base)?;
        let is_composite = |id: &TypeId| {
            let kind = split.info(*id).and_then(Info::kind);
            matches!(kind, Some(Kind::Struct | Kind::Union))
        };
        again.declared = avoided.into_iter().filter(is_composite).collect();
        again.declared.sort_unstable();
        Ok(again)
    }

    fn avoiding(split: &Btf, request: &Request, avoided: &HashSet<TypeId>) -> Result<Self> {
        let places = Places {
            split,
            request,
            avoided,
        };
        let places = places.find()?;
        let in_base = |place: &Place| *place == Place::Base;
        let mut map = vec![TypeId::VOID; split.first_id() as usize];
        let mut note = |old: TypeId, new| {
            if let Some(slot) = map.get_mut(old.0 as usize) {
                *slot = new;
            }
        };
        let placed = || {
            let ids = (0..).map(TypeId).zip(&places);
            ids.filter_map(|(id, place)| Some((id, (*place)?)))
        };
        let mut base = Builder::new();
        for (id, _) in placed().filter(|(_, place)| in_base(place)) {
            note(id, push_named(&mut base, split, id)?);
        }
        let base = Arc::new(base.finish()?);
        // From here on the ids of the new base are known, and with them those of the split types.

        let own_end = base.end_id() + (split.end_id() - split.first_id());
        let moved = || placed().filter(|(_, place)| !in_base(place));
        for ((id, _), new) in moved().zip(own_end..) {
            note(id, TypeId(new));
        }
        let new_id = |id: TypeId| match id.0.checked_sub(split.first_id()) {
            Some(own) => TypeId(base.end_id().saturating_add(own)),
            None => map.get(id.0 as usize).copied().unwrap_or_default(),
        };
        let mut builder = Builder::with_base(Arc::clone(&base));
        for id in (split.first_id()..split.end_id()).map(TypeId) {
            push_moved(&mut builder, split, id, new_id)?;
        }
        for (id, place) in moved() {
            if place == Place::Declared {
                let is_union = split.info(id).and_then(Info::kind) == Some(Kind::Union);
                builder.fwd(split.name(id)?, is_union)?;
            } else {
                push_moved(&mut builder, split, id, new_id)?;
            }
        }
        Ok(Self {
            btf: builder.finish()?,
            declared: Vec::new(),
            refusals: Vec::new(),
            map,
            first: split.first_id(),
        })
    }

    /// What the type `id` of the old split BTF or its base is now; so are the ids in `.BTF_ids` translated.
    #[must_use]
    pub fn new_id(&self, id: TypeId) -> Option<TypeId> {
        let new = match id.0.checked_sub(self.first) {
            Some(own) => TypeId(self.btf.first_id().saturating_add(own)),
            None if id.is_void() => return Some(id),
            None => *self.map.get(id.0 as usize)?,
        };
        (!new.is_void() && new.0 < self.btf.end_id()).then_some(new)
    }
}

/// Whether a base looks distilled: nothing but numbers, declarations, and structures and enumerations of which only name and size
/// are there.
#[must_use]
pub fn is_distilled(base: &Btf) -> bool {
    base.base().is_none()
        && base.types().all(|(_, ty)| match ty {
            Type::Int(_) | Type::Float { .. } | Type::Fwd { .. } => true,
            Type::Struct(composite) | Type::Union(composite) => composite.is_empty(),
            Type::Enum(enumeration) => enumeration.is_empty(),
            Type::Void
            | Type::Ptr { .. }
            | Type::Array { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Func { .. }
            | Type::FuncProto(_)
            | Type::Var { .. }
            | Type::Datasec(_)
            | Type::DeclTag { .. }
            | Type::TypeTag { .. }
            | Type::Enum64(_)
            | Type::Unknown { .. } => false,
        })
}

/// Finds places.
struct Places<'a> {
    split: &'a Btf,
    request: &'a Request,
    /// Types that must not go into the new base.
    avoided: &'a HashSet<TypeId>,
}

impl Places<'_> {
    /// Where each type of the base goes, by id; `None` for those that are not needed.
    fn find(&self) -> Result<Vec<Option<Place>>> {
        let split = self.split;
        let mut places = vec![None; split.first_id() as usize];
        let mut open = Vec::new();
        for &id in &self.request.needed {
            if id.0 < split.first_id() {
                self.find_one(id, &mut places, &mut open)?;
            }
        }
        self.find_open(&mut places, &mut open)?;
        for (id, record) in split.records() {
            self.find_in(id, record, &mut places, &mut open)?;
            self.find_open(&mut places, &mut open)?;
        }
        Ok(places)
    }

    fn find_open(&self, places: &mut [Option<Place>], open: &mut Vec<TypeId>) -> Result<()> {
        while let Some(id) = open.pop() {
            let record = record_of(self.split, id)?;
            self.find_in(id, record, places, open)?;
        }
        Ok(())
    }

    /// Finds places for the base's types that a record refers to, and notes those whose own references count.
    fn find_in(
        &self,
        id: TypeId,
        record: &[u32],
        places: &mut [Option<Place>],
        open: &mut Vec<TypeId>,
    ) -> Result<()> {
        for (_, target) in type_refs(record) {
            let own = self.split.first_id()..self.split.end_id();
            if !own.contains(&target.0) {
                let found = self.find_one(target, places, open);
                found.map_err(|error| {
                    if matches!(error.kind(), ErrorKind::TypeIdOutOfRange(_)) {
                        error.in_type(id)
                    } else {
                        error
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Finds a place for a type of the base.
    fn find_one(
        &self,
        target: TypeId,
        places: &mut [Option<Place>],
        open: &mut Vec<TypeId>,
    ) -> Result<()> {
        if target.is_void() {
            return Ok(());
        }
        let slot = places.get_mut(target.0 as usize);
        let slot = slot.ok_or_else(|| no_such_type(target))?;
        if slot.is_none() {
            let place = self.place_of(target)?;
            *slot = Some(place);
            if place == Place::Split {
                open.push(target);
            }
        }
        Ok(())
    }

    /// Where a type goes that is referred to.
    fn place_of(&self, id: TypeId) -> Result<Place> {
        let info = Info(record_of(self.split, id)?.get(1).copied().unwrap_or(0));
        let is_named = !self.split.name(id)?.is_empty();
        let is_avoided = self.avoided.contains(&id);
        match info.kind() {
            Some(Kind::Struct | Kind::Union) if is_named && is_avoided => Ok(Place::Declared),
            Some(Kind::Fwd) if self.request.for_kernels => Ok(Place::Split),
            Some(
                Kind::Int
                | Kind::Float
                | Kind::Fwd
                | Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64,
            ) if is_named && !is_avoided => Ok(Place::Base),
            Some(Kind::Datasec | Kind::DeclTag) | None => {
                let kind = info.kind().map_or("unknown kind", Kind::name);
                let text = format!("distilling a base of which a {kind} is referred to");
                Err(Error::new(ErrorKind::Unsupported(text)).in_type(id))
            }
            Some(_) => Ok(Place::Split),
        }
    }
}

/// Adds to the new base what is left of a named type there.
fn push_named(base: &mut Builder, split: &Btf, id: TypeId) -> Result<TypeId> {
    let record = record_of(split, id)?;
    let name = base.add_string(split.name(id)?)?;
    let info = Info(record.get(1).copied().unwrap_or(0));
    let size = record.get(2).copied().unwrap_or(0);
    let empty = |kind| [name.0, Info::new(kind, 0, false).0, size];
    let pushed = match info.kind() {
        Some(kind @ (Kind::Struct | Kind::Union)) => base.push_record(&empty(kind)),
        Some(Kind::Enum | Kind::Enum64) => base.push_record(&empty(Kind::Enum)),
        _ => {
            // Numbers and forward declarations refer to nothing.
            let mut record = record.to_vec();
            if let Some(word) = record.first_mut() {
                *word = name.0;
            }
            base.push_record(&record)
        }
    };
    pushed.map_err(|error| error.in_type(id))
}

/// Adds a whole type of `from`, with its names, and with ids as `new_id` tells.
pub(crate) fn push_moved(
    builder: &mut Builder,
    from: &Btf,
    id: TypeId,
    new_id: impl Fn(TypeId) -> TypeId,
) -> Result<()> {
    let mut record = record_of(from, id)?.to_vec();
    rewrite_refs(
        &mut record,
        |name| builder.add_string(from.string(name)?),
        |target| {
            if target.0 >= from.end_id() {
                return Err(no_such_type(target));
            }
            Ok(new_id(target))
        },
    )
    .map_err(|error| error.in_type(id))?;
    let pushed = builder.push_record(&record);
    pushed.map(drop).map_err(|error| error.in_type(id))
}

fn record_of(btf: &Btf, id: TypeId) -> Result<&[u32]> {
    btf.record(id).ok_or_else(|| no_such_type(id))
}

fn no_such_type(id: TypeId) -> Error {
    ErrorKind::TypeIdOutOfRange(id).into()
}

#[cfg(test)]
mod tests;
