//! Where the members of structures and unions may lie.

use super::Rule;
use super::resolve::{Resolver, Sized};
use crate::graph::POINTER_SIZE;
use crate::ids::TypeId;
use crate::types::{Composite, Member, Type};

/// The bits of an enumeration as far as bitfields go.
const ENUM_BITS: u32 = 32;

/// The largest number of bits that the kernel copies for a member.
const MAX_COPY_BITS: u64 = 128;

/// Checks the member that stands at `word` of the type `id`.
pub(super) fn check_member(
    resolver: &mut Resolver<'_, '_, '_>,
    id: TypeId,
    composite: Composite<'_>,
    member: &Member,
    word: usize,
) {
    let (stripped, size) = match resolver.size_of(member.ty) {
        Sized::Known(stripped, size) => (stripped, size),
        Sized::Unknown => return,
        Sized::None => {
            resolver.add(Rule::Unsized, id, word + 1, member.ty.0);
            return;
        }
    };
    let ty = resolver.btf.ty(stripped).unwrap_or(Type::Void);
    let is_int = matches!(ty, Type::Int(_));
    let mut is_bad = false;
    let mut start = u64::from(member.bit_offset);
    let mut alignment_bits = 8;
    let mut bits = u64::from(size) * 8;
    let mut max_bitfield = 0;
    if let Type::Int(int) = ty {
        bits = int.bits.into();
        if composite.kind_flag {
            max_bitfield = int.bits;
            is_bad = !resolver.is_regular_int(stripped);
        } else {
            start += u64::from(int.offset_bits);
            alignment_bits = 1;
        }
    } else if matches!(ty, Type::Enum(_) | Type::Enum64(_)) && composite.kind_flag {
        max_bitfield = ENUM_BITS;
        bits = ENUM_BITS.into();
    } else if let Type::Float { size, .. } = ty {
        alignment_bits = u64::from(size.clamp(1, POINTER_SIZE)) * 8;
    }
    if is_bad || member.bitfield_size > max_bitfield {
        resolver.add(Rule::MemberBitfield, id, word + 2, member.bitfield_size);
    }
    if member.bitfield_size != 0 {
        bits = member.bitfield_size.into();
        alignment_bits = 1;
    }
    let copied = start % 8 + bits;
    let fits = (start + bits).div_ceil(8) <= composite.size.into();
    // The kernel's own numbers have 32 bits.
    let is_too_far = start > u32::MAX.into();
    if !start.is_multiple_of(alignment_bits)
        || !fits
        || is_too_far
        || (is_int && copied > MAX_COPY_BITS)
    {
        resolver.add(Rule::MemberPlace, id, word + 2, member.bit_offset);
    }
}
