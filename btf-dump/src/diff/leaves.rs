//! The members of a structure as programs name them: `a`, `b.c`, `d[].e`, `f->g`, each at its place.
//!
//! Unnamed structures and unions are no more than parentheses around members: what is in them has names of its own, in the
//! structure around them or, if the member has a name, behind that.

use std::hash::Hasher as _;

use btf_core::graph::MAX_DEPTH;
use btf_core::kind::Kind;
use btf_core::types::Composite;
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

impl Leaves {
    /// Takes the members of a structure or union, or of an unnamed one that `id` leads to.
    #[must_use]
    pub fn new(side: &Side<'_>, id: TypeId) -> Self {
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
            leaves.fill(side, composite, prefix);
        }
        leaves
    }

    /// Whether `id` leads to an unnamed structure, and what the types on the way to it mean.
    pub(super) fn wrapping(side: &Side<'_>, id: TypeId) -> Option<u64> {
        inner(side, id).map(|inner| inner.wrapping)
    }

    fn fill<'b>(&mut self, side: &Side<'b>, composite: Composite<'b>, prefix: u32) {
        let limit = composite.len() + MAX_ADDED;
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
            let room = stack.len() < MAX_NESTING && self.all.len() < limit;
            let inner = if room && has_inner(side, member.ty) {
                inner(side, member.ty)
            } else {
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

/// The unnamed structure or union that a type leads to by way of types without names.
fn inner<'b>(side: &Side<'b>, id: TypeId) -> Option<Inner<'b>> {
    let mut current = id;
    let mut link = ".";
    let mut is_elsewhere = false;
    let mut hasher = side.hasher(0);
    for _ in 0..=MAX_DEPTH {
        let ty = side.ty(current);
        let kind = ty.kind().map_or(0, |kind| kind as u64);
        match ty {
            Type::Struct(composite) | Type::Union(composite) => {
                if composite.name != StrOffset::EMPTY {
                    return None;
                }
                hasher.write_u64(kind);
                return Some(Inner {
                    composite,
                    link,
                    is_elsewhere,
                    wrapping: hasher.finish(),
                });
            }
            Type::Ptr { target } => {
                hasher.write_u64(kind);
                link = if is_elsewhere {
                    "->->"
                } else if link == "[]." {
                    "[]->"
                } else {
                    "->"
                };
                is_elsewhere = true;
                current = target;
            }
            Type::Array { element, count, .. } => {
                hasher.write_u64(kind);
                hasher.write_u64(count.into());
                link = if is_elsewhere { "->[]." } else { "[]." };
                current = element;
            }
            Type::Const { target } | Type::Volatile { target } | Type::Restrict { target } => {
                hasher.write_u64(kind);
                current = target;
            }
            Type::TypeTag { target, .. } => current = target,
            Type::Void
            | Type::Int(_)
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
            | Type::Unknown { .. } => return None,
        }
    }
    None
}
