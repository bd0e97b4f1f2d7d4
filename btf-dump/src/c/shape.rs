//! How structures and unions must be declared so that a C compiler lays them out as the BTF says.
//!
//! BTF tells where every member is, and not by which attributes it came there. So the compiler's own rules are applied to
//! what will be printed: a member goes to the next multiple of its alignment, a bitfield must not cross a multiple of
//! its type's size. Where that leads elsewhere, the record is `packed` if a member stands where its alignment forbids it,
//! and the rest is done by padding: unnamed bitfields, which C programs can neither initialise nor see, or, for gaps of
//! more than [`MAX_BITFIELD_GAP`] bits, an array of bytes. Alignment beyond that of the members is not restored on
//! structures: the offsets do not tell it apart from padding. On unions it is, as there is no other way to their size.
//!
//! The rules are those of gcc and clang for x86-64 and BPF: an integer, enumeration, float or pointer is aligned to its size
//! (on 32-bit machines to at most the size of a pointer), a bitfield aligns its structure like its type, and an unnamed
//! one does not. No padding is of a type that the structure's size is no multiple of, because elsewhere it aligns, too.
//! Integers of 16 bytes have their alignment spelled out: gcc for BPF takes 8.

use btf_core::types::{Composite, Member};
use btf_core::{Error, ErrorKind, Kind, Result, TypeId};

use super::tables::Value;
use super::view::{View, composite, is_composite, is_enumeration};

/// The longest gap, in bits, that becomes unnamed bitfields; a longer one becomes an array of bytes.
const MAX_BITFIELD_GAP: u64 = 64 * 8;

/// The largest alignment in bytes that a number has by itself.
pub(crate) const WIDEST: u32 = 16;

/// How a compiler sees a structure or union as it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Its alignment in bytes.
    pub(crate) align: u32,
    /// Whether it needs the attribute `packed`.
    pub(crate) is_packed: bool,
    /// Whether it needs the attribute `aligned` with its alignment.
    pub(crate) is_aligned: bool,
    /// Whether size and offsets are those of the BTF, for it and all that lies in it.
    pub(crate) is_exact: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    New,
    Open,
    Known,
}

/// A part of the body of a structure or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A member, its number of bits if it is a bitfield, else 0, and whether compilers do not agree on its alignment, which
    /// is [`WIDEST`].
    Member {
        member: Member,
        index: u32,
        bits: u32,
        is_aligned: bool,
    },
    /// An unnamed bitfield of `bits` bits in a type of `unit` bits.
    Padding { unit: u32, bits: u32 },
    /// So many bytes.
    Bytes(u64),
    /// A member that cannot be where it is, because another one is there.
    Misplaced { member: Member },
}

/// The shapes of all structures and unions.
#[derive(Debug)]
pub(crate) struct Shapes<'a> {
    view: View<'a>,
    shapes: Vec<Shape>,
}

/// What decides where a member goes. Bits and bytes count from the start of its structure.
#[derive(Clone, Copy, Debug)]
struct Field {
    at: u64,
    bits: u64,
    align_bits: u64,
    /// The size of its type in bits if it is a bitfield, else 0.
    unit: u64,
    is_number: bool,
    is_exact: bool,
}

impl Field {
    /// Where a compiler puts it if everything before it ends at `end`.
    fn natural(&self, end: u64, is_packed: bool) -> u64 {
        if self.unit != 0 {
            let fits = is_packed || !crosses(end, self.bits, self.align_bits, self.unit);
            return if fits {
                end
            } else {
                round_up(end, self.align_bits)
            };
        }
        round_up(end, if is_packed { 8 } else { self.align_bits })
    }

    /// Whether a structure that is not packed cannot have it where it is.
    fn needs_packing(&self) -> bool {
        if self.unit != 0 {
            crosses(self.at, self.bits, self.align_bits, self.unit)
        } else {
            !self.at.is_multiple_of(self.align_bits)
        }
    }

    /// Whether it is a number, or several, on whose alignment compilers do not agree.
    fn is_wide_number(&self) -> bool {
        self.is_number && self.unit == 0 && self.align_bits == u64::from(WIDEST) * 8
    }

    fn end(&self) -> u64 {
        self.at.saturating_add(self.bits)
    }
}

/// Whether a bitfield at `at` reaches beyond a unit of its type that starts at a multiple of its alignment.
fn crosses(at: u64, bits: u64, align_bits: u64, unit: u64) -> bool {
    at % align_bits + bits > unit
}

fn round_up(value: u64, step: u64) -> u64 {
    value.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

/// The largest power of two that divides `value`, in bytes, as far as a machine word goes.
fn word_dividing(value: u64, largest: u32) -> u32 {
    let largest_shift = largest.trailing_zeros();
    1 << value.trailing_zeros().min(largest_shift)
}

/// The largest alignment that is restored, in bytes: the largest page.
const MAX_UNION_ALIGNMENT: u32 = 1 << 16;

/// The least alignment that rounds `end` bytes up to `size`, which is how a union comes to a size of its own.
fn union_alignment(end: u64, size: u32) -> Option<u32> {
    let missing = u32::try_from(u64::from(size).checked_sub(end)?).ok()?;
    let align = missing.checked_add(1)?.checked_next_power_of_two()?;
    (align <= MAX_UNION_ALIGNMENT && size.is_multiple_of(align)).then_some(align)
}

impl<'a> Shapes<'a> {
    /// Finds the shapes of all structures and unions.
    ///
    /// # Errors
    /// An id that does not exist, too many arrays and modifiers in a row, a structure that contains itself.
    pub(crate) fn new(view: View<'a>) -> Result<Self> {
        let mut shapes = Self {
            view,
            shapes: view.table(Shape::default()),
        };
        for id in view.ids() {
            if is_composite(view.node(id)?.kind) {
                shapes.find(id)?;
            }
        }
        Ok(shapes)
    }

    /// The shape of a structure or union; that of a byte for other types.
    pub(crate) fn of(&self, id: TypeId) -> Shape {
        self.shapes.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Finds the shape of one structure or union after those of all that lie in it.
    fn find(&mut self, id: TypeId) -> Result<()> {
        let mut stack = Vec::new();
        self.open(id, &mut stack)?;
        while let Some((id, composite, is_union, next)) = stack.pop() {
            // Mostly all that lies in it is known.
            if next == 0
                && let Some(shape) = self.measure(composite, is_union)?
            {
                self.set(id, shape);
                continue;
            }
            let mut members = composite.members().enumerate().skip(next);
            let inner = loop {
                let Some((index, member)) = members.next() else {
                    break None;
                };
                let value = self.view.value(member.ty)?;
                if is_composite(value.kind) && self.is_new(value.id)? {
                    break Some((index, value.id));
                }
            };
            if let Some((index, inner)) = inner {
                stack.push((id, composite, is_union, index));
                self.open(inner, &mut stack)?;
            } else {
                let shape = self.measure(composite, is_union)?;
                self.set(id, shape.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn set(&mut self, id: TypeId, shape: Shape) {
        if let Some(slot) = self.shapes.get_mut(id.0 as usize) {
            *slot = Shape {
                state: State::Known,
                ..shape
            };
        }
    }

    /// Whether the shape of a structure or union has to be found first.
    fn is_new(&self, id: TypeId) -> Result<bool> {
        match self.of(id).state {
            State::New => Ok(true),
            State::Known => Ok(false),
            State::Open => Err(Error::new(ErrorKind::Cycle).in_type(id)),
        }
    }

    fn open(
        &mut self,
        id: TypeId,
        stack: &mut Vec<(TypeId, Composite<'a>, bool, usize)>,
    ) -> Result<()> {
        if let Some((composite, is_union)) = composite(self.view.ty(id)?)
            && let Some(shape) = self.shapes.get_mut(id.0 as usize)
            && shape.state == State::New
        {
            shape.state = State::Open;
            stack.push((id, composite, is_union, 0));
        }
        Ok(())
    }

    /// Decides about attributes by what the members need; `None` if the shape of what lies in it has to be found first.
    fn measure(&self, composite: Composite<'a>, is_union: bool) -> Result<Option<Shape>> {
        let size = u64::from(composite.size) * 8;
        let (mut align, mut end) = (8, 0);
        let (mut is_packed, mut is_exact) = (false, true);
        for (member, _) in sorted_with_index(composite, is_union) {
            let value = self.view.value(member.ty)?;
            if is_composite(value.kind) && self.of(value.id).state != State::Known {
                return Ok(None);
            }
            let Some(field) = self.field(&member, value)? else {
                is_exact &= self.is_padding(&member)?;
                continue;
            };
            if field.at < end && !is_union || is_union && field.at != 0 {
                is_exact = false;
                continue;
            }
            is_exact &= field.is_exact && (field.unit != 0 || field.at.is_multiple_of(8));
            align = align.max(field.align_bits);
            is_packed |= field.needs_packing();
            end = if is_union {
                end.max(field.end())
            } else {
                field.end()
            };
        }
        is_exact &= end <= size;
        is_packed |= !size.is_multiple_of(align) || round_up(end, align) > size;
        let mut shape = Shape {
            align: 1,
            is_packed,
            is_aligned: false,
            is_exact,
            state: State::Known,
        };
        if !is_packed {
            shape.align = u32::try_from(align / 8).unwrap_or(1);
        }
        if is_union && let Some(align) = union_alignment(end.div_ceil(8), composite.size) {
            shape.is_aligned = align > shape.align;
            shape.align = shape.align.max(align);
        }
        Ok(Some(shape))
    }

    /// Whether a member is nothing that C could name, and leaving it out changes no offset.
    fn is_padding(&self, member: &Member) -> Result<bool> {
        Ok(member.name.0 == 0 && self.view.merged_composite(member)?.is_none())
    }

    /// What decides where a member goes, whose type has this value; `None` for what C has no member for.
    #[inline]
    fn field(&self, member: &Member, value: Value) -> Result<Option<Field>> {
        if member.name.0 == 0 && (!is_composite(value.kind) || value.is_array) {
            return Ok(None);
        }
        let size = value.size;
        let (align, is_exact) = if is_composite(value.kind) {
            let shape = self.of(value.id);
            (shape.align.max(1), shape.is_exact)
        } else {
            (value.align.into(), value.is_exact)
        };
        let is_number = value.kind == Some(Kind::Int) || is_enumeration(value.kind);
        let Some(bitfield) = self.view.bitfield(member, value)? else {
            return Ok(Some(Field {
                at: member.bit_offset.into(),
                bits: (u64::from(size) * 8).saturating_mul(value.count),
                align_bits: u64::from(align) * 8,
                unit: 0,
                is_number,
                is_exact,
            }));
        };
        let unit = u64::from(size) * 8;
        let fits = bitfield.bits != 0 && u64::from(bitfield.bits) <= unit && size <= 16;
        Ok((is_number && !value.is_array && fits).then_some(Field {
            at: bitfield.bit_offset.into(),
            bits: bitfield.bits.into(),
            align_bits: u64::from(align) * 8,
            unit,
            is_number,
            is_exact,
        }))
    }

    /// Puts the body of a structure or union behind what `pieces` holds.
    ///
    /// # Errors
    /// As [`View::value`].
    pub(crate) fn pieces(&self, id: TypeId, pieces: &mut Vec<Piece>) -> Result<()> {
        let Some((composite, is_union)) = composite(self.view.ty(id)?) else {
            return Ok(());
        };
        let shape = self.of(id);
        let size = u64::from(composite.size) * 8;
        let largest_unit = word_dividing(composite.size.into(), self.view.pointer_size()) * 8;
        let mut end = 0;
        for (member, index) in sorted_with_index(composite, is_union) {
            let value = self.view.value(member.ty)?;
            let Some(field) = self.field(&member, value)? else {
                if !self.is_padding(&member)? {
                    pieces.push(Piece::Misplaced { member });
                }
                continue;
            };
            let bits = if field.unit == 0 { 0 } else { field.bits };
            let piece = Piece::Member {
                member,
                index,
                bits: u32::try_from(bits).unwrap_or(0),
                is_aligned: field.is_wide_number() && !shape.is_packed,
            };
            if is_union {
                if field.at == 0 {
                    end = end.max(field.end());
                    pieces.push(piece);
                } else {
                    pieces.push(Piece::Misplaced { member });
                }
                continue;
            }
            if field.natural(end, shape.is_packed) != field.at && end < field.at {
                pad(end, field.at, largest_unit, pieces);
                end = field.at;
            }
            if field.natural(end, shape.is_packed) == field.at {
                pieces.push(piece);
                end = field.end();
            } else {
                pieces.push(Piece::Misplaced { member });
            }
        }
        let rounded = round_up(end, u64::from(shape.align.max(1)) * 8);
        if rounded < size && !is_union {
            pad(end, size, largest_unit, pieces);
        } else if rounded < size && !shape.is_aligned {
            pieces.push(Piece::Bytes(size / 8));
        }
        Ok(())
    }
}

/// Fills a gap between two bits of a structure.
///
/// Each bitfield ends where a unit of its type does, so it crosses none and stays where it is, packed or not.
fn pad(from: u64, to: u64, largest_unit: u32, pieces: &mut Vec<Piece>) {
    let mut at = from;
    if to - from > MAX_BITFIELD_GAP || largest_unit < 32 && to - from > 64 {
        let byte = round_up(from, 8);
        if byte > from {
            pad(from, byte, 8, pieces);
        }
        pieces.push(Piece::Bytes((to - byte) / 8));
        at = to - (to - byte) % 8;
    }
    while at < to {
        let mut unit = u64::from(largest_unit);
        let end = |unit| round_up(at + 1, unit).min(to);
        while unit > 8 && end(unit / 2) == end(unit) {
            unit /= 2;
        }
        // Both are at most 64.
        let number = |bits| u32::try_from(bits).unwrap_or(0);
        pieces.push(Piece::Padding {
            unit: number(unit),
            bits: number(end(unit) - at),
        });
        at = end(unit);
    }
}

/// The members in the order of their places, which is that of C but not of Rust; those of a union as they are.
fn sorted_with_index(
    composite: Composite<'_>,
    is_union: bool,
) -> impl Iterator<Item = (Member, u32)> {
    let members = composite.members().zip(0..);
    let in_order = is_union
        || composite
            .members()
            .is_sorted_by_key(|member| member.bit_offset);
    let mut sorted = Vec::new();
    if !in_order {
        sorted.extend(members.clone());
        sorted.sort_by_key(|(member, _)| member.bit_offset);
    }
    members.filter(move |_| in_order).chain(sorted)
}
