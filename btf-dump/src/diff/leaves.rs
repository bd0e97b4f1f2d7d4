//! The members of a structure as programs name them: `a`, `b.c`, `d[].e`, `f->g`, each at its place.
//!
//! Unnamed structures and unions are no more than parentheses around members: what is in them has names of its own, in the
//! structure around them or, if the member has a name, behind that.

use std::hash::Hasher as _;

use btf_core::dedup::MulHasher;
use btf_core::graph::MAX_DEPTH;
use btf_core::kind::Kind;
use btf_core::types::{Composite, Enumeration};
use btf_core::{Info, StrOffset, Type, TypeId};

use super::side::Side;

/// How deep unnamed structures are opened.
const MAX_NESTING: usize = 32;

/// How many members unnamed structures may add to one structure; the largest of a kernel adds some hundreds. Hostile ones
/// hold each other twice, 32 times over.
const MAX_ADDED: usize = 4096;

/// A member, or a member of a member.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    /// Its type.
    pub ty: TypeId,
    /// Where it starts, in bits from the start of the structure, or of what a pointer on the way points to.
    pub bit_offset: u32,
    /// The number of bits, if it is a bitfield.
    pub bits: Option<u32>,
    name: StrOffset,
    /// The index plus 1 of what stands before the name.
    prefix: u32,
    /// The hash of the whole name.
    pub(super) path: u64,
    /// What its type means; of what is opened, without what is inside.
    pub(super) meaning: u64,
}

/// The members of one structure.
#[derive(Debug, Default)]
pub struct Leaves {
    /// The members in their order, what is opened before what is inside.
    pub all: Vec<Leaf>,
    /// Whether some unnamed structures are not opened, as there are too many.
    pub is_cut: bool,
    prefixes: Vec<Prefix>,
}

/// A name that others stand behind.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    before: u32,
    name: StrOffset,
    link: &'static str,
    hash: u64,
}

/// A structure that is being gone through.
struct Frame<'b> {
    composite: Composite<'b>,
    next: usize,
    bit_offset: u32,
    prefix: u32,
}

/// A structure without a name, and what leads to it.
struct Inner<'b> {
    composite: Composite<'b>,
    link: &'static str,
    is_elsewhere: bool,
    /// The hash of what leads to it.
    wrapping: u64,
}

/// An enumeration without a name.
pub(super) struct Nameless<'b> {
    pub(super) values: Enumeration<'b>,
    /// The hash of what leads to it.
    pub(super) wrapping: u64,
}

impl Leaves {
    /// Takes the members of a structure or union, or of an unnamed one that `id` leads to. Unnamed ones in it may add as many
    /// as there is `room` for.
    #[must_use]
    pub fn new(side: &Side<'_>, id: TypeId, room: usize) -> Self {
        let mut leaves = Self::default();
        let ty = side.ty(id);
        let composite = if let Type::Struct(composite) | Type::Union(composite) = ty {
            Some((composite, ""))
        } else {
            inner(side, id).map(|inner| (inner.composite, inner.link))
        };
        if let Some((composite, link)) = composite {
            let mut prefix = 0;
            if link.len() > 1 {
                prefix = leaves.add_prefix(side, 0, StrOffset::EMPTY, link.trim_end_matches('.'));
            }
            leaves.fill(side, composite, prefix, room);
        }
        leaves
    }

    /// Whether `id` leads to an unnamed structure, and what the types on the way to it mean.
    pub(super) fn wrapping(side: &Side<'_>, id: TypeId) -> Option<u64> {
        inner(side, id).map(|inner| inner.wrapping)
    }

    /// The enumeration without a name that `id` leads to.
    pub(super) fn enumeration<'b>(side: &Side<'b>, id: TypeId) -> Option<Nameless<'b>> {
        let way = Way::new(side, id)?;
        let values = if let Type::Enum(values) = way.end {
            values
        } else if let Type::Enum64(values) = way.end {
            // The values of both are compared alike.
            values
        } else {
            return None;
        };
        (values.name == StrOffset::EMPTY).then(|| Nameless {
            values,
            wrapping: way.hasher.finish(),
        })
    }

    /// Whether `id` is an array of structures without a name.
    pub(super) fn has_elements(side: &Side<'_>, id: TypeId) -> bool {
        inner(side, id).is_some_and(|inner| inner.link.starts_with("[]"))
    }

    fn fill<'b>(&mut self, side: &Side<'b>, composite: Composite<'b>, prefix: u32, room: usize) {
        let limit = composite.len() + room.min(MAX_ADDED);
        self.all.reserve_exact(composite.len());
        let mut stack = vec![Frame {
            composite,
            next: 0,
            bit_offset: 0,
            prefix,
        }];
        while let Some(frame) = stack.last_mut() {
            let Some(member) = frame.composite.members().nth(frame.next) else {
                stack.pop();
                continue;
            };
            frame.next += 1;
            let (prefix, base_offset) = (frame.prefix, frame.bit_offset);
            let bit_offset = base_offset.saturating_add(member.bit_offset);
            let inner = if !has_inner(side, member.ty) {
                None
            } else if stack.len() < MAX_NESTING && self.all.len() < limit {
                inner(side, member.ty)
            } else {
                self.is_cut = true;
                None
            };
            if let Some(Inner {
                composite,
                link: ".",
                ..
            }) = inner
                && member.name == StrOffset::EMPTY
            {
                stack.push(Frame {
                    composite,
                    next: 0,
                    bit_offset,
                    prefix,
                });
                continue;
            }
            let (bit_offset, bits) = place(side, member.ty, bit_offset, member.bitfield_size);
            self.all.push(Leaf {
                ty: member.ty,
                bit_offset,
                bits,
                name: member.name,
                prefix,
                path: self.path(side, prefix, member.name),
                meaning: inner
                    .as_ref()
                    .map_or_else(|| side.meaning(member.ty), |inner| inner.wrapping),
            });
            if let Some(inner) = inner {
                let prefix = self.add_prefix(side, prefix, member.name, inner.link);
                let bit_offset = if inner.is_elsewhere { 0 } else { bit_offset };
                stack.push(Frame {
                    composite: inner.composite,
                    next: 0,
                    bit_offset,
                    prefix,
                });
            }
        }
    }

    #[inline]
    fn path(&self, side: &Side<'_>, prefix: u32, name: StrOffset) -> u64 {
        let before = self.prefix(prefix).map_or(0, |prefix| prefix.hash);
        if before == 0 {
            return side.name_hash(name);
        }
        let mut hasher = side.hasher(before);
        hasher.write_u64(side.name_hash(name));
        hasher.finish()
    }

    fn add_prefix(
        &mut self,
        side: &Side<'_>,
        before: u32,
        name: StrOffset,
        link: &'static str,
    ) -> u32 {
        let mut hasher = side.hasher(self.path(side, before, name));
        hasher.write(link.as_bytes());
        let hash = hasher.finish();
        self.prefixes.push(Prefix {
            before,
            name,
            link,
            hash,
        });
        u32::try_from(self.prefixes.len()).unwrap_or(0)
    }

    fn prefix(&self, number: u32) -> Option<&Prefix> {
        self.prefixes.get((number as usize).checked_sub(1)?)
    }

    /// Whether a leaf is behind a pointer, so that its place is one in something else.
    pub(super) fn is_elsewhere(&self, leaf: &Leaf) -> bool {
        let mut number = leaf.prefix;
        while let Some(prefix) = self.prefix(number) {
            if prefix.link.contains("->") {
                return true;
            }
            number = prefix.before;
        }
        false
    }

    /// Appends the whole name of a leaf.
    pub fn put_name(&self, side: &Side<'_>, leaf: &Leaf, out: &mut Vec<u8>) {
        if leaf.prefix == 0 {
            return out.extend_from_slice(side.name(leaf.name));
        }
        let mut parts = Vec::new();
        let mut number = leaf.prefix;
        while let Some(prefix) = self.prefix(number) {
            parts.push(prefix);
            number = prefix.before;
        }
        for prefix in parts.into_iter().rev() {
            out.extend_from_slice(side.name(prefix.name));
            out.extend_from_slice(prefix.link.as_bytes());
        }
        out.extend_from_slice(side.name(leaf.name));
    }
}

impl Leaf {
    /// Whether it is a member of a member that has a name.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.prefix != 0
    }

    /// Its own name, without those before it.
    #[must_use]
    pub fn name(&self) -> StrOffset {
        self.name
    }
}

/// Where a member lies: of bitfields of the old form the type tells how many bits they have.
fn place(side: &Side<'_>, ty: TypeId, bit_offset: u32, bitfield_size: u32) -> (u32, Option<u32>) {
    if bitfield_size != 0 {
        return (bit_offset, Some(bitfield_size));
    }
    let mut current = ty;
    for _ in 0..=MAX_DEPTH {
        let record = side.btf().record(current).unwrap_or_default();
        let &[_, info, third, ..] = record else { break };
        let kind = Info(info).kind();
        if kind.is_some_and(Kind::is_modifier) {
            current = TypeId(third);
            continue;
        }
        if kind == Some(Kind::Int)
            && let Type::Int(int) = Type::from_record(record)
        {
            let start = bit_offset.saturating_add(int.offset_bits);
            return (start, (!int.is_whole()).then_some(int.bits));
        }
        break;
    }
    (bit_offset, None)
}

/// Whether a type leads to a structure or union without a name, by way of types without names.
fn has_inner(side: &Side<'_>, id: TypeId) -> bool {
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
struct Way<'b> {
    end: Type<'b>,
    link: &'static str,
    is_elsewhere: bool,
    /// The hash of what leads there.
    hasher: MulHasher,
}

impl<'b> Way<'b> {
    /// `None` for a way without end.
    fn new(side: &Side<'b>, id: TypeId) -> Option<Self> {
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
fn inner<'b>(side: &Side<'b>, id: TypeId) -> Option<Inner<'b>> {
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
