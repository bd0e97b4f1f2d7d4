//! Computes answers: the value that the compiler put into the instruction, and the one that belongs there.

use super::RelocationKind;
use super::compatible::size_of;
use super::fault::Fault;
use super::spec::{Spec, Step};
use crate::graph::{MAX_DEPTH, POINTER_SIZE, strip_modifiers};
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::Type;
use crate::wire::{ByteOrder, int};

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// What the instruction is for the program's own types.
    pub old: u64,
    /// What it becomes.
    pub new: u64,
    /// Whether there is no answer, so that the instruction must not be reached.
    pub is_poison: bool,
    /// Whether the instruction must hold `old`.
    pub checks_old: bool,
    /// The size of what is loaded or stored in the program's types, in bytes.
    pub old_size: u32,
    /// The size in the kernel's types.
    pub new_size: u32,
    /// Whether a load or store of `new_size` bytes would mean something else.
    pub is_other_size: bool,
}

/// Types, and how to read them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) btf: &'a Btf,
    pub(super) pointer_size: u32,
}

/// An answer in one BTF.
#[derive(Clone, Copy, Debug)]
struct Part {
    value: u64,
    /// Whether a compiler must have had the same idea of it.
    is_certain: bool,
    /// What is loaded or stored: its size in bytes and its type.
    access: Option<(u32, TypeId)>,
}

impl Part {
    fn certain(value: u64) -> Self {
        Self {
            value,
            is_certain: true,
            access: None,
        }
    }
}

/// The value for `target`, or that for a kernel without any. `order` is that of the program.
pub(super) fn value(
    kind: RelocationKind,
    local: &Btf,
    local_spec: &Spec,
    target: Option<(Side<'_>, &Spec)>,
    order: ByteOrder,
) -> Result<Value, Fault> {
    let local = Side {
        btf: local,
        pointer_size: POINTER_SIZE,
    };
    let old = part(kind, local, local_spec, order)?;
    let mut value = Value {
        old: old.value,
        checks_old: old.is_certain,
        ..Value::default()
    };
    let Some((target, spec)) = target else {
        value.is_poison = !kind.is_answered_without_type();
        return Ok(value);
    };
    let new = part(kind, target, spec, order)?;
    value.new = new.value;
    let (old_access, new_access) = (old.access, new.access);
    value.old_size = old_access.map_or(0, |(size, _)| size);
    value.new_size = new_access.map_or(0, |(size, _)| size);
    value.is_other_size = value.old_size != value.new_size
        && !old_access
            .zip(new_access)
            .map(|((_, old), (_, new))| may_resize(local.btf, old, target.btf, new))
            .transpose()?
            .unwrap_or(false);
    Ok(value)
}

/// Whether a load may get another size: pointers and unsigned integers are extended by zeros.
fn may_resize(local: &Btf, old: TypeId, target: &Btf, new: TypeId) -> Result<bool, Fault> {
    Ok(match (local.ty(old)?, target.ty(new)?) {
        (Type::Ptr { .. }, Type::Ptr { .. }) => true,
        (Type::Int(old), Type::Int(new)) => {
            old.encoding != int::SIGNED && new.encoding != int::SIGNED
        }
        _ => false,
    })
}

fn part(
    kind: RelocationKind,
    side: Side<'_>,
    spec: &Spec,
    order: ByteOrder,
) -> Result<Part, Fault> {
    match kind {
        RelocationKind::FieldExists
        | RelocationKind::TypeExists
        | RelocationKind::TypeMatches
        | RelocationKind::EnumvalExists => Ok(Part::certain(1)),
        // Whoever links BTF may give types other ids, so the instruction may hold anything.
        RelocationKind::TypeIdLocal | RelocationKind::TypeIdTarget => Ok(Part {
            is_certain: false,
            ..Part::certain(spec.root.0.into())
        }),
        RelocationKind::TypeSize => {
            let size = size_of(side.btf, spec.root, side.pointer_size)?;
            Ok(Part::certain(size))
        }
        RelocationKind::EnumvalValue => enumerator(side.btf, spec).map(Part::certain),
        RelocationKind::FieldByteOffset
        | RelocationKind::FieldByteSize
        | RelocationKind::FieldSigned
        | RelocationKind::FieldLshift
        | RelocationKind::FieldRshift => match spec.last() {
            Some(Step::Element { ty, .. }) => element(kind, side, spec, ty),
            Some(Step::Member {
                composite, index, ..
            }) => member(kind, side, spec, (composite, index), order),
            Some(Step::Enumerator { .. }) | None => Err(Fault::Access("it leads to no member")),
        },
    }
}

/// The value of an enumerator. That of 32 bits is extended as if it were signed, as libbpf does, whether it is or not.
fn enumerator(btf: &Btf, spec: &Spec) -> Result<u64, Fault> {
    let Some(&Step::Enumerator { ty, index }) = spec.steps.first() else {
        return Err(Fault::Access("it leads to no enumerator"));
    };
    let ty = btf.ty(ty)?;
    let (Type::Enum(values) | Type::Enum64(values)) = ty else {
        return Err(Fault::Access("the type is no enumeration"));
    };
    let value = values.enumerators().nth(index as usize);
    let value = value.ok_or(Fault::Access("there is no such enumerator"))?;
    if matches!(ty, Type::Enum64(_)) {
        return Ok(value.value);
    }
    let low = u32::try_from(value.value & u64::from(u32::MAX)).unwrap_or(0);
    Ok(i64::from(low.cast_signed()).cast_unsigned())
}

/// An answer about an array's element.
fn element(kind: RelocationKind, side: Side<'_>, spec: &Spec, ty: TypeId) -> Result<Part, Fault> {
    if kind == RelocationKind::FieldByteSize {
        return size_of(side.btf, ty, side.pointer_size).map(Part::certain);
    }
    if kind != RelocationKind::FieldByteOffset {
        return Err(Fault::ElementQuestion);
    }
    Ok(Part {
        access: Some((access_size(side, ty)?, ty)),
        ..Part::certain(u64::from(spec.bit_offset / 8))
    })
}

/// An answer about a member.
fn member(
    kind: RelocationKind,
    side: Side<'_>,
    spec: &Spec,
    (composite, index): (TypeId, u32),
    order: ByteOrder,
) -> Result<Part, Fault> {
    let btf = side.btf;
    let (Type::Struct(fields) | Type::Union(fields)) = btf.ty(composite)? else {
        return Err(Fault::Access("the type has no members"));
    };
    let member = fields.members().nth(index as usize);
    let member = member.ok_or(Fault::Access("there is no such member"))?;
    let ty = strip_modifiers(btf, member.ty)?;
    let is_bitfield = member.bitfield_size != 0;
    let place = if is_bitfield {
        let size = btf.ty(ty)?.own_size().ok_or(Fault::NoSize)?;
        Place::of_bitfield(spec.bit_offset, member.bitfield_size, size)?
    } else {
        let bytes = size_of(btf, ty, side.pointer_size)?;
        Place {
            byte_offset: (spec.bit_offset / 8).into(),
            bytes,
            bit_offset: spec.bit_offset.into(),
            bits: bytes.wrapping_mul(8),
        }
    };
    let part = Part {
        is_certain: !is_bitfield,
        ..Part::certain(0)
    };
    if kind == RelocationKind::FieldByteOffset {
        let access = if is_bitfield {
            None
        } else {
            Some((access_size(side, ty)?, ty))
        };
        return Ok(Part {
            value: place.byte_offset,
            access,
            ..part
        });
    }
    if kind == RelocationKind::FieldByteSize {
        let value = place.bytes;
        return Ok(Part { value, ..part });
    }
    if kind == RelocationKind::FieldLshift {
        let value = place.left_shift(order);
        return Ok(Part { value, ..part });
    }
    Ok(Part::certain(if kind == RelocationKind::FieldSigned {
        u64::from(is_signed(&btf.ty(ty)?))
    } else {
        low_word(64u64.wrapping_sub(place.bits))
    }))
}

/// The lower half: libbpf computes shifts in 32 bits, which shows for members of more than 64.
fn low_word(value: u64) -> u64 {
    value & u64::from(u32::MAX)
}

fn is_signed(ty: &Type<'_>) -> bool {
    if let Type::Int(int) = ty {
        return int.is_signed();
    }
    matches!(ty, Type::Enum(values) | Type::Enum64(values) if values.is_signed)
}

/// The size of a load or store of `ty`: of arrays one element is loaded.
fn access_size(side: Side<'_>, ty: TypeId) -> Result<u32, Fault> {
    let mut ty = ty;
    for _ in 0..=MAX_DEPTH {
        ty = strip_modifiers(side.btf, ty)?;
        let Type::Array { element, .. } = side.btf.ty(ty)? else {
            let size = size_of(side.btf, ty, side.pointer_size)?;
            return u32::try_from(size).map_err(|_| Fault::NoSize);
        };
        ty = element;
    }
    Err(Fault::TooDeep)
}

/// Where a member is: the bytes to load, and the bits of them.
#[derive(Clone, Copy, Debug)]
struct Place {
    byte_offset: u64,
    bytes: u64,
    bit_offset: u64,
    bits: u64,
}

impl Place {
    /// The smallest aligned integer, of at least the size of the bitfield's type, that holds all its bits.
    fn of_bitfield(bit_offset: u32, bits: u32, type_bytes: u32) -> Result<Self, Fault> {
        let (bit_offset, bits) = (u64::from(bit_offset), u64::from(bits));
        let mut bytes = u64::from(type_bytes);
        loop {
            if bytes == 0 {
                return Err(Fault::NoSize);
            }
            let byte_offset = bit_offset / 8 / bytes * bytes;
            if bit_offset + bits <= (byte_offset + bytes) * 8 {
                return Ok(Self {
                    byte_offset,
                    bytes,
                    bit_offset,
                    bits,
                });
            }
            if bytes >= 8 {
                return Err(Fault::WideBitfield);
            }
            bytes *= 2;
        }
    }

    /// How far to the left the member's highest bit is from that of a 64-bit word.
    fn left_shift(&self, order: ByteOrder) -> u64 {
        let inside = self.bit_offset.wrapping_sub(self.byte_offset * 8);
        low_word(match order {
            ByteOrder::Little => 64u64.wrapping_sub(inside.wrapping_add(self.bits)),
            ByteOrder::Big => 8u64
                .wrapping_sub(self.bytes)
                .wrapping_mul(8)
                .wrapping_add(inside),
        })
    }
}
