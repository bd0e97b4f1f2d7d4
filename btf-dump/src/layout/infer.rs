//! Guesses the attributes that BTF leaves out, from the offsets that they have caused.
//!
//! A structure without gaps in which something lies where its type alone would not put it was *packed*. A member that starts
//! farther from the end of the one before than its type demands was *aligned*, and so was a structure that ends
//! farther behind its last member. To what is a guess: the smallest power of 2 that explains the distance, or
//! a cache line if the place is the start of one, because that is what people ask for.

use super::{Layout, Machine, MemberLayout, Shape};

/// Infers the alignments of a structure and of its members, and whether it was packed.
pub(super) fn attributes(
    layout: &mut Layout,
    members: &mut [MemberLayout],
    shapes: &[Shape],
    machine: Machine,
) {
    let natural = |member: &MemberLayout| {
        let shape = shapes.get(member.ty.0 as usize);
        shape.map_or(1, |shape| shape.alignment.max(1))
    };
    let largest = members.iter().map(natural).max().unwrap_or(1);
    layout.natural_alignment = largest;
    let has_gaps = layout.gaps.padding != 0 || layout.gaps.holes != 0;
    let is_displaced = |member: &MemberLayout| !member.offset.is_multiple_of(natural(member));
    layout.is_packed = !layout.is_union
        && !has_gaps
        && (!layout.size.is_multiple_of(largest) || members.iter().any(is_displaced));
    let mut end = 0;
    for member in members {
        let alignment = natural(member);
        member.forced_alignment = forced(member.offset, end, alignment, machine.cacheline);
        // What has no size ends nothing, and may be there to align what follows.
        if layout.is_union {
            end = end.max(member.size);
        } else if member.bits != 0 {
            end = (u64::from(member.bit_offset) + u64::from(member.bits)).div_ceil(8);
        } else if member.size != 0 {
            end = u64::from(member.offset).saturating_add(member.size);
        }
    }
    layout.forced_alignment = forced(layout.size, end, largest, machine.cacheline);
}

/// What the address of a structure or union is a multiple of with all attributes, in bytes.
pub(super) fn required(layout: &Layout, members: &[MemberLayout], shapes: &[Shape]) -> u32 {
    let of_member = |member: &MemberLayout| {
        let shape = shapes.get(member.ty.0 as usize);
        let required = shape.map_or(1, |shape| shape.required);
        let required = if layout.is_packed { 1 } else { required };
        required.max(member.forced_alignment)
    };
    let largest = members.iter().map(of_member).max().unwrap_or(1);
    largest.max(layout.forced_alignment).max(1)
}

/// The alignment that explains why something does not start at `end` but at `offset`; 0 if its natural one does.
fn forced(offset: u32, end: u64, natural: u32, cacheline: u32) -> u32 {
    let distance = u64::from(offset).saturating_sub(end);
    if distance == 0 || !offset.is_multiple_of(2) {
        return 0;
    }
    // The smallest power of 2 that is larger. None explains a distance of half of all addresses.
    let alignment = u32::try_from((distance + 1).next_power_of_two()).unwrap_or(0);
    if alignment <= natural {
        0
    } else if alignment < cacheline && offset.is_multiple_of(cacheline) {
        cacheline
    } else {
        alignment
    }
}
