//! Which type of the new base each type of a distilled one stands for.
//!
//! The candidates of a name are looked up once and put into a table by kind and size, so that the time stays linear even
//! where all types have one name.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::Type;

/// A type of a distilled base that has no match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its id in the distilled base.
    pub distilled: TypeId,
    /// The type as C would name it, such as ``struct `page` ``.
    pub what: String,
    /// Its size in bytes; forward declarations have none.
    pub size: Option<u32>,
    /// Why it has no match.
    pub reason: Reason,
}

/// Why a distilled type has no match. Ids are those of the new base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No type of that kind has the name.
    Missing,
    /// The only one has another size, and the size counts.
    Size {
        /// The type.
        found: TypeId,
        /// Its size in bytes.
        size: u32,
    },
    /// The integer of that name has another encoding, or another number of bits.
    Encoding {
        /// The type.
        found: TypeId,
    },
    /// Two match equally well, and there may be more.
    Ambiguous {
        /// The first one.
        first: TypeId,
        /// The second one.
        second: TypeId,
    },
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(size) = self.size {
            write!(f, " of {size} bytes")?;
        }
        match self.reason {
            Reason::Missing => write!(f, ": the base has none"),
            Reason::Size { found, size } => {
                write!(f, ": that of the base has {size} bytes, type {found}")
            }
            Reason::Encoding { found } => write!(
                f,
                ": that of the base has another encoding or number of bits, type {found}"
            ),
            Reason::Ambiguous { first, second } => write!(
                f,
                ": the base has more than one, types {first} and {second}"
            ),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The id in the new base of each distilled type, by its id; `void` for those without a match, too.
    pub(super) ids: Vec<TypeId>,
    pub(super) mismatches: Vec<Mismatch>,
}

/// What a candidate is; equal classes can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    /// With encoding, offset and number of bits.
    Int(u32, u32, u32),
    Float,
    Enum,
    Struct {
        is_union: bool,
    },
    Fwd {
        is_union: bool,
    },
}

/// The candidates of one class, and of one size if it is given.
#[derive(Clone, Copy, Debug)]
struct Found {
    first: TypeId,
    second: Option<TypeId>,
    /// The size of the first one.
    size: u32,
}

/// Finds the match of every distilled type.
pub(super) fn find<'a>(split: &'a Btf, base: &'a Btf) -> Result<Matches> {
    let Some(distilled) = split.base() else {
        let (what, value) = (
            "base of BTF to relocate: there is none, type ids start at",
            1,
        );
        return Err(ErrorKind::Invalid { what, value }.into());
    };
    let embedded = find_embedded(split)?;
    let mut candidates = Candidates::new(base);
    let mut matches = Matches {
        ids: vec![TypeId::VOID],
        mismatches: Vec::new(),
    };
    for id in (1..distilled.end_id()).map(TypeId) {
        let ty = distilled.ty(id)?;
        let name = distilled.name(id)?;
        let class = class_of(&ty).filter(|_| !name.is_empty());
        let Some((class, size)) = class else {
            let (what, value) = (
                "kind of a type in a distilled base",
                ty.kind().map_or(0, |kind| kind as u64),
            );
            return Err(Error::new(ErrorKind::Invalid { what, value }).in_type(id));
        };
        let is_embedded = embedded.get(id.0 as usize) == Some(&true);
        let found = candidates.of(name).pick(class, size, is_embedded);
        matches.ids.push(found.unwrap_or_default());
        if let Err(reason) = found {
            matches.mismatches.push(Mismatch {
                distilled: id,
                what: format!("{} `{}`", class.word(), String::from_utf8_lossy(name)),
                size: ty.own_size(),
                reason,
            });
        }
    }
    Ok(matches)
}

/// The class and size of a type that can be in a distilled base.
fn class_of(ty: &Type<'_>) -> Option<(Class, u32)> {
    let class = match ty {
        Type::Int(int) => Class::Int(int.encoding, int.offset_bits, int.bits),
        Type::Float { .. } => Class::Float,
        Type::Enum(_) | Type::Enum64(_) => Class::Enum,
        Type::Struct(_) => Class::Struct { is_union: false },
        Type::Union(_) => Class::Struct { is_union: true },
        Type::Fwd { is_union, .. } => Class::Fwd {
            is_union: *is_union,
        },
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
        | Type::Unknown { .. } => return None,
    };
    Some((class, ty.own_size().unwrap_or(0)))
}

impl Class {
    /// The word before the name.
    const fn word(self) -> &'static str {
        match self {
            Self::Int(..) => "integer",
            Self::Float => "floating-point number",
            Self::Enum => "enum",
            Self::Struct { is_union: false } => "struct",
            Self::Struct { is_union: true } => "union",
            Self::Fwd { is_union: false } => "declared struct",
            Self::Fwd { is_union: true } => "declared union",
        }
    }
}

/// The candidates of all names that were asked for.
struct Candidates<'a> {
    base: &'a Btf,
    names: HashMap<&'a [u8], OfName>,
}

/// The candidates of one name.
#[derive(Debug, Default)]
struct OfName {
    /// By class and size, all sizes together under `None`.
    found: HashMap<(Class, Option<u32>), Found>,
    /// The first integer of whatever encoding, and its size in bytes.
    integer: Option<(TypeId, u32)>,
}

impl<'a> Candidates<'a> {
    fn new(base: &'a Btf) -> Self {
        Self {
            base,
            names: HashMap::new(),
        }
    }

    /// The candidates of that name.
    fn of(&mut self, name: &'a [u8]) -> &OfName {
        let base = self.base;
        self.names
            .entry(name)
            .or_insert_with(|| OfName::find(base, name))
    }
}

impl OfName {
    fn find(base: &Btf, name: &[u8]) -> Self {
        let mut found = Self::default();
        for id in base.find_by_name(name) {
            // An id that was found exists.
            let Some((class, size)) = base.ty(id).ok().as_ref().and_then(class_of) else {
                continue;
            };
            if let Class::Int(..) = class {
                found.integer.get_or_insert((id, size));
            }
            for key in [(class, Some(size)), (class, None)] {
                let entry = found.found.entry(key).or_insert(Found {
                    first: id,
                    second: None,
                    size,
                });
                if entry.first != id && entry.second.is_none() {
                    entry.second = Some(id);
                }
            }
        }
        found
    }

    /// The match of a distilled type.
    fn pick(&self, class: Class, size: u32, is_embedded: bool) -> Result<TypeId, Reason> {
        let get = |class, size| self.found.get(&(class, size));
        match class {
            Class::Int(..) => {
                let found = get(class, Some(size)).map(|found| found.first);
                found.ok_or_else(|| self.another_integer(size))
            }
            Class::Float => {
                let found = get(class, Some(size)).map(|found| found.first);
                found.ok_or_else(|| self.another_size(class))
            }
            Class::Enum => match get(class, Some(size)) {
                Some(found) => found.only(),
                None => Err(self.another_size(class)),
            },
            Class::Struct { is_union } => {
                let fwd = get(Class::Fwd { is_union }, None);
                match (get(class, Some(size)), get(class, None), fwd) {
                    (None, Some(_), _) if is_embedded => Err(self.another_size(class)),
                    (Some(found), _, _) | (None, Some(found), _) => found.only(),
                    (None, None, Some(fwd)) if !is_embedded => Ok(fwd.first),
                    (None, None, _) => Err(Reason::Missing),
                }
            }
            Class::Fwd { is_union } => {
                let found = get(Class::Struct { is_union }, None);
                match (get(class, None), found) {
                    (Some(fwd), _) => Ok(fwd.first),
                    (None, Some(found)) => found.only(),
                    (None, None) => Err(Reason::Missing),
                }
            }
        }
    }

    /// Why there is none of the size that is needed.
    fn another_size(&self, class: Class) -> Reason {
        match self.found.get(&(class, None)) {
            Some(found) => Reason::Size {
                found: found.first,
                size: found.size,
            },
            None => Reason::Missing,
        }
    }

    /// Why there is no such integer of `wanted` bytes.
    fn another_integer(&self, wanted: u32) -> Reason {
        match self.integer {
            Some((found, size)) if size != wanted => Reason::Size { found, size },
            Some((found, _)) => Reason::Encoding { found },
            None => Reason::Missing,
        }
    }
}

impl Found {
    fn only(&self) -> Result<TypeId, Reason> {
        match self.second {
            None => Ok(self.first),
            Some(second) => Err(Reason::Ambiguous {
                first: self.first,
                second,
            }),
        }
    }
}

/// Which types of the distilled base a member of a split type holds, by id: through qualifiers, typedefs, tags and arrays,
/// but not through pointers.
pub(crate) fn find_embedded(split: &Btf) -> Result<Vec<bool>> {
    let mut embedded = vec![false; split.first_id() as usize];
    // No type is walked twice, so that neither long chains nor circles cost much.
    let mut is_known = vec![false; (split.end_id() - split.first_id()) as usize];
    for (id, ty) in split.types() {
        let (Type::Struct(composite) | Type::Union(composite)) = ty else {
            continue;
        };
        for member in composite.members() {
            let mut next = Some(member.ty);
            while let Some(current) = next {
                let Some(own) = current.0.checked_sub(split.first_id()) else {
                    if let Some(slot) = embedded.get_mut(current.0 as usize) {
                        *slot = true;
                    }
                    break;
                };
                let known = is_known.get_mut(own as usize);
                let known = known
                    .ok_or_else(|| Error::new(ErrorKind::TypeIdOutOfRange(current)).in_type(id))?;
                if std::mem::replace(known, true) {
                    break;
                }
                let ty = split.ty(current)?;
                next = if let Type::Array { element, .. } = ty {
                    Some(element)
                } else {
                    ty.modified()
                };
            }
        }
    }
    Ok(embedded)
}
