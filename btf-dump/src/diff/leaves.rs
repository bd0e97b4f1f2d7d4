//! The members of a structure as programs name them: `a`, `b.c`, `d[].e`, `f->g`, each at its place.
//!
//! Unnamed structures and unions are no more than parentheses around members: what is in them has names of its own, in the
//! structure around them or, if the member has a name, behind that.

mod prefixes;
mod way;

use std::hash::Hasher as _;

use btf_core::graph::MAX_DEPTH;
use btf_core::kind::Kind;
use btf_core::types::{Composite, Enumeration};
use btf_core::{Info, StrOffset, Type, TypeId};

use super::side::Side;
pub use prefixes::Prefixes;
use way::{Inner, Way, has_inner, inner};

/// How deep unnamed structures are opened.
const MAX_NESTING: usize = 32;

/// How many members unnamed structures may add to one structure, and how many of them are opened; the largest of a kernel adds some
/// hundreds. Hostile ones hold each other twice, 32 times over, with nothing in the last.
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
    /// The number of what stands before the name; 0 for nothing.
    prefix: u32,
}

/// What a member is known by in both structures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
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
    /// The key of each.
    pub(super) keys: Vec<Key>,
    /// Whether some unnamed structures are not opened, as there are too many.
    pub is_cut: bool,
    /// What stands before their names.
    pub prefixes: Prefixes,
}

/// A structure that is being gone through.
struct Frame<'b> {
    composite: Composite<'b>,
    next: usize,
    bit_offset: u32,
    prefix: u32,
}

impl<'b> Frame<'b> {
    fn new(composite: Composite<'b>, bit_offset: u32, prefix: u32) -> Self {
        Self {
            composite,
            next: 0,
            bit_offset,
            prefix,
        }
    }
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
        leaves.take(side, id, room);
        leaves
    }

    /// Takes other members than before.
    pub(super) fn take(&mut self, side: &Side<'_>, id: TypeId, room: usize) {
        self.all.clear();
        self.keys.clear();
        self.is_cut = false;
        self.prefixes.clear();
        let ty = side.ty(id);
        let composite = if let Type::Struct(composite) | Type::Union(composite) = ty {
            Some((composite, ""))
        } else {
            inner(side, id).map(|inner| (inner.composite, inner.link))
        };
        if let Some((composite, link)) = composite {
            let mut prefix = 0;
            if link.len() > 1 {
                let link = link.trim_end_matches('.');
                prefix = self.prefixes.add(side, 0, StrOffset::EMPTY, link);
            }
            self.fill(side, composite, prefix, room);
        }
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
        self.all.reserve(composite.len());
        self.keys.reserve(composite.len());
        let mut frame = Frame::new(composite, 0, prefix);
        // Those around it.
        let mut stack = Vec::new();
        let mut opened = 0;
        loop {
            let Some(member) = frame.composite.members().nth(frame.next) else {
                let Some(holder) = stack.pop() else { break };
                frame = holder;
                continue;
            };
            frame.next += 1;
            let (prefix, base_offset) = (frame.prefix, frame.bit_offset);
            let bit_offset = base_offset.saturating_add(member.bit_offset);
            let inner = if !has_inner(side, member.ty) {
                None
            } else if stack.len() + 1 < MAX_NESTING && self.all.len().max(opened) < limit {
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
                opened += 1;
                let inner = Frame::new(composite, bit_offset, prefix);
                stack.push(std::mem::replace(&mut frame, inner));
                continue;
            }
            let (bit_offset, bits) = place(side, member.ty, bit_offset, member.bitfield_size);
            self.all.push(Leaf {
                ty: member.ty,
                bit_offset,
                bits,
                name: member.name,
                prefix,
            });
            self.keys.push(Key {
                path: self.prefixes.path(side, prefix, member.name),
                meaning: inner
                    .as_ref()
                    .map_or_else(|| side.meaning(member.ty), |inner| inner.wrapping),
            });
            if let Some(inner) = inner {
                let prefix = self.prefixes.add(side, prefix, member.name, inner.link);
                let bit_offset = if inner.is_elsewhere { 0 } else { bit_offset };
                let inner = Frame::new(inner.composite, bit_offset, prefix);
                stack.push(std::mem::replace(&mut frame, inner));
            }
        }
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
