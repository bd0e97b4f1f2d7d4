//! What lies behind pointers, arrays and qualifiers: structures and enumerations without a name.

use std::hash::Hasher as _;

use btf_core::dedup::MulHasher;
use btf_core::graph::MAX_DEPTH;
use btf_core::kind::Kind;
use btf_core::types::Composite;
use btf_core::{Info, StrOffset, Type, TypeId};

use super::super::side::Side;

/// A structure without a name, and what leads to it.
pub(super) struct Inner<'b> {
    pub(super) composite: Composite<'b>,
    pub(super) link: &'static str,
    pub(super) is_elsewhere: bool,
    /// The hash of what leads to it.
    pub(super) wrapping: u64,
}

/// Whether a type leads to a structure or union without a name, by way of types without names.
pub(super) fn has_inner(side: &Side<'_>, id: TypeId) -> bool {
    let mut current = id.0;
    for _ in 0..=MAX_DEPTH {
        let record = side.btf().record(TypeId(current)).unwrap_or_default();
        let &[name, info, third, ref rest @ ..] = record else {
            return false;
        };
        current = match Info(info).kind() {
            Some(Kind::Struct | Kind::Union) => return name == 0,
            Some(Kind::Ptr | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag) => {
                third
            }
            Some(Kind::Array) => rest.first().copied().unwrap_or(0),
            _ => return false,
        };
    }
    false
}

/// What a type leads to by way of pointers, arrays and qualifiers.
pub(super) struct Way<'b> {
    pub(super) end: Type<'b>,
    link: &'static str,
    is_elsewhere: bool,
    /// The hash of what leads there.
    pub(super) hasher: MulHasher,
}

impl<'b> Way<'b> {
    /// `None` for a way without end.
    pub(super) fn new(side: &Side<'b>, id: TypeId) -> Option<Self> {
        let mut way = Self {
            end: side.ty(id),
            link: ".",
            is_elsewhere: false,
            hasher: side.hasher(0),
        };
        for _ in 0..=MAX_DEPTH {
            let kind = way.end.kind().map_or(0, |kind| kind as u64);
            let next = match way.end {
                Type::Ptr { target } => {
                    way.hasher.write_u64(kind);
                    way.link = if way.is_elsewhere {
                        "->->"
                    } else if way.link == "[]." {
                        "[]->"
                    } else {
                        "->"
                    };
                    way.is_elsewhere = true;
                    target
                }
                Type::Array { element, count, .. } => {
                    way.hasher.write_u64(kind);
                    way.hasher.write_u64(count.into());
                    way.link = if way.is_elsewhere { "->[]." } else { "[]." };
                    element
                }
                Type::Const { target } | Type::Volatile { target } | Type::Restrict { target } => {
                    way.hasher.write_u64(kind);
                    target
                }
                Type::TypeTag { name, target, .. } => {
                    if side.has_tags() {
                        way.hasher.write_u64(kind);
                        way.hasher.write_u64(side.name_hash(name));
                    }
                    target
                }
                Type::Void
                | Type::Int(_)
                | Type::Struct(_)
                | Type::Union(_)
                | Type::Enum(_)
                | Type::Enum64(_)
                | Type::Fwd { .. }
                | Type::Typedef { .. }
                | Type::Func { .. }
                | Type::FuncProto(_)
                | Type::Var { .. }
                | Type::Datasec(_)
                | Type::Float { .. }
                | Type::DeclTag { .. }
                | Type::Unknown { .. } => {
                    way.hasher.write_u64(kind);
                    return Some(way);
                }
            };
            way.end = side.ty(next);
        }
        None
    }
}

/// The unnamed structure or union that a type leads to by way of types without names.
pub(super) fn inner<'b>(side: &Side<'b>, id: TypeId) -> Option<Inner<'b>> {
    let way = Way::new(side, id)?;
    let (Type::Struct(composite) | Type::Union(composite)) = way.end else {
        return None;
    };
    (composite.name == StrOffset::EMPTY).then(|| Inner {
        composite,
        link: way.link,
        is_elsewhere: way.is_elsewhere,
        wrapping: way.hasher.finish(),
    })
}
