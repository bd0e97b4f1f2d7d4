//! Walks types with an explicit stack, so that no chain of types, however long, can overflow the machine's stack.
//!
//! Following one chain has a depth cap instead: no compiler nests modifiers and arrays that deep, and without the cap
//! asking for every type of a long chain takes the square of its length.

use crate::error::{Error, ErrorKind, Result};
use crate::ids::TypeId;
use crate::kind::Word;
use crate::reader::Btf;
use crate::refs::role_at;
use crate::types::{Member, Type};
use crate::wire::Info;

/// How many modifiers and arrays are followed to a type; the kernel and libbpf give up at 32.
pub const MAX_DEPTH: u32 = 256;

/// The size of a pointer in bytes where nothing else tells it: BPF is a machine of 64 bits.
pub const POINTER_SIZE: u32 = 8;

/// The names that compilers give to `long`, which is as large as a pointer.
const LONG: [&[u8]; 4] = [b"long int", b"long unsigned int", b"long", b"unsigned long"];

/// The size of a pointer in bytes, guessed from that of `long`; [`POINTER_SIZE`] if there is none.
#[must_use]
pub fn pointer_size(btf: &Btf) -> u32 {
    let ids = LONG.into_iter().flat_map(|name| btf.find_by_name(name));
    let mut sizes = ids.filter_map(|id| match btf.ty(id) {
        Ok(Type::Int(int)) if matches!(int.size, 4 | 8) => Some(int.size),
        _ => None,
    });
    sizes.next().unwrap_or(POINTER_SIZE)
}

/// A bitfield, of either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bitfield {
    /// Where it starts, in bits from the start of the structure.
    pub bit_offset: u32,
    /// Its number of bits.
    pub bits: u32,
}

/// The type that is left when typedefs, qualifiers and type tags are taken off.
///
/// # Errors
/// [`ErrorKind::TypeIdOutOfRange`], or [`ErrorKind::TooLarge`] behind [`MAX_DEPTH`] modifiers.
pub fn strip_modifiers(btf: &Btf, id: TypeId) -> Result<TypeId> {
    let mut current = id;
    for _ in 0..=MAX_DEPTH {
        match btf.ty(current)?.modified() {
            Some(target) => current = target,
            None => return Ok(current),
        }
    }
    Err(too_deep(id))
}

/// The size of a type in bytes; `None` for types without one, such as `void`, FWD and `FUNC_PROTO`.
///
/// A VAR has the size of its type; a pointer has [`POINTER_SIZE`].
///
/// # Errors
/// [`ErrorKind::TypeIdOutOfRange`], or [`ErrorKind::TooLarge`] behind [`MAX_DEPTH`] modifiers and arrays, or for a
/// size beyond 64 bits.
pub fn size_of(btf: &Btf, id: TypeId) -> Result<Option<u64>> {
    size_with_pointers(btf, id, POINTER_SIZE)
}

/// The size of a type as [`size_of`] tells it, where a pointer has `pointer_size` bytes.
///
/// # Errors
/// Those of [`size_of`].
pub fn size_with_pointers(btf: &Btf, id: TypeId, pointer_size: u32) -> Result<Option<u64>> {
    let mut current = id;
    let mut factor = 1u64;
    for _ in 0..=MAX_DEPTH {
        let ty = btf.ty(current)?;
        if let Type::Array { element, count, .. } = ty {
            factor = factor.saturating_mul(count.into());
            current = element;
            continue;
        }
        if let Type::Var { target, .. } = ty {
            current = target;
            continue;
        }
        if let Some(target) = ty.modified() {
            current = target;
            continue;
        }
        let is_pointer = matches!(ty, Type::Ptr { .. });
        let Some(size) = ty.own_size().or(is_pointer.then_some(pointer_size)) else {
            return Ok(None);
        };
        let size = factor.checked_mul(size.into());
        return size.map(Some).ok_or_else(|| {
            let (what, limit) = ("size of an array in bytes", u64::MAX);
            let value = factor;
            Error::new(ErrorKind::TooLarge { what, value, limit }).in_type(id)
        });
    }
    Err(too_deep(id))
}

/// The bitfield that a member is, in the modern form or the old one, where an INT itself has fewer bits.
///
/// # Errors
/// What [`strip_modifiers`] returns.
pub fn bitfield(btf: &Btf, member: &Member) -> Result<Option<Bitfield>> {
    if member.bitfield_size != 0 {
        return Ok(Some(Bitfield {
            bit_offset: member.bit_offset,
            bits: member.bitfield_size,
        }));
    }
    let id = strip_modifiers(btf, member.ty)?;
    let Type::Int(int) = btf.ty(id)? else {
        return Ok(None);
    };
    Ok((!int.is_whole()).then(|| Bitfield {
        bit_offset: member.bit_offset.saturating_add(int.offset_bits),
        bits: int.bits,
    }))
}

fn too_deep(id: TypeId) -> Error {
    let kind = ErrorKind::TooLarge {
        what: "depth of modifiers and arrays",
        value: u64::from(MAX_DEPTH) + 1,
        limit: MAX_DEPTH.into(),
    };
    Error::new(kind).in_type(id)
}

/// What a depth-first walk asks and tells. Ids that do not exist are never followed.
pub trait Visitor {
    /// Whether to go from `from` to `to`, which one of its words names.
    fn follows(&mut self, from: TypeId, to: TypeId) -> bool;

    /// A type is met for the first time; `depth` types are open above it.
    fn enter(&mut self, _id: TypeId, _depth: usize) {}

    /// All that is followed from `id` has been walked.
    fn leave(&mut self, _id: TypeId) {}

    /// The last type of `cycle` leads back to its first one.
    fn cycle(&mut self, _cycle: &mut dyn Iterator<Item = TypeId>) {}
}

/// Walks from each of `roots` in turn, entering every type at most once. Time is linear in what is followed.
pub fn depth_first(btf: &Btf, roots: impl IntoIterator<Item = TypeId>, visitor: &mut impl Visitor) {
    let mut places = vec![NEW; btf.end_id() as usize];
    let mut stack: Vec<Frame<'_>> = Vec::new();
    for root in roots {
        open(btf, root, &mut places, &mut stack, visitor);
        while let Some(top) = stack.last_mut() {
            let from = top.id;
            let Some(to) = top.next_ref() else {
                if let Some(place) = places.get_mut(from.0 as usize) {
                    *place = DONE;
                }
                stack.pop();
                visitor.leave(from);
                continue;
            };
            match places.get(to.0 as usize) {
                Some(&NEW) if visitor.follows(from, to) => {
                    open(btf, to, &mut places, &mut stack, visitor);
                }
                Some(&place) if place != NEW && place != DONE && visitor.follows(from, to) => {
                    let cycle = stack.get(place as usize..).unwrap_or_default();
                    visitor.cycle(&mut cycle.iter().map(|frame| frame.id));
                }
                _ => {}
            }
        }
    }
}

/// The place of a type that has not been met; that of an open one is its index on the stack.
const NEW: u32 = u32::MAX;

/// The place of a type that has been left.
const DONE: u32 = u32::MAX - 1;

/// A type on the stack.
struct Frame<'a> {
    id: TypeId,
    record: &'a [u32],
    next_word: usize,
}

impl Frame<'_> {
    /// The next type id in the record.
    fn next_ref(&mut self) -> Option<TypeId> {
        let kind = Info(*self.record.get(1)?).kind()?;
        while let Some(&word) = self.record.get(self.next_word) {
            let index = self.next_word;
            self.next_word += 1;
            if role_at(kind, index) == Word::Type {
                return Some(TypeId(word));
            }
        }
        None
    }
}

/// Puts `id` on the stack if it exists and is new.
fn open<'a>(
    btf: &'a Btf,
    id: TypeId,
    places: &mut [u32],
    stack: &mut Vec<Frame<'a>>,
    visitor: &mut impl Visitor,
) {
    // No stack is as high as the two marks, because every type on it takes twelve bytes of input.
    let (Some(place @ &mut NEW), Ok(height)) =
        (places.get_mut(id.0 as usize), u32::try_from(stack.len()))
    else {
        return;
    };
    *place = height;
    visitor.enter(id, stack.len());
    stack.push(Frame {
        id,
        record: btf.record(id).unwrap_or_default(),
        next_word: 0,
    });
}

/// All types that `roots` lead to, themselves included, as a table by id.
///
/// Nothing leads to a `DECL_TAG`; whoever wants a type's tags looks for them.
#[must_use]
pub fn reachable(btf: &Btf, roots: impl IntoIterator<Item = TypeId>) -> Vec<bool> {
    /// Marks what is met.
    struct Marker(Vec<bool>);

    impl Visitor for Marker {
        fn follows(&mut self, _: TypeId, _: TypeId) -> bool {
            true
        }

        fn enter(&mut self, id: TypeId, _: usize) {
            if let Some(slot) = self.0.get_mut(id.0 as usize) {
                *slot = true;
            }
        }
    }

    let mut marker = Marker(vec![false; btf.end_id() as usize]);
    depth_first(btf, roots, &mut marker);
    marker.0
}

/// Which of `count` nodes a cycle can be reached from along edges, which are given as (to, from).
#[must_use]
pub fn without_end(mut edges: Vec<(usize, usize)>, count: usize) -> Vec<bool> {
    edges.sort_unstable();
    let mut out_degree = vec![0_u32; count];
    for &(_, from) in &edges {
        out_degree[from] += 1;
    }
    let mut goes_on: Vec<bool> = out_degree.iter().map(|&degree| degree != 0).collect();
    let mut queue: Vec<usize> = (0..count).filter(|&node| !goes_on[node]).collect();
    while let Some(node) = queue.pop() {
        let first = edges.partition_point(|&(to, _)| to < node);
        for &(_, from) in edges[first..].iter().take_while(|&&(to, _)| to == node) {
            out_degree[from] -= 1;
            if out_degree[from] == 0 {
                goes_on[from] = false;
                queue.push(from);
            }
        }
    }
    goes_on
}

#[cfg(test)]
mod tests;
