//! Finds what lies between the members of a structure.
//!
//! A gap between plain members is counted in bytes. What a bitfield leaves of its unit is counted in bits; the bytes from
//! there to the next member, which starts a unit of its own or is none, are counted in bytes again:
//!
//! ```text
//! struct { int a:3; char b; int c; }     bits 0..3 a | 3..8 five bits | 8..16 b | 16..32 two bytes | 32..64 c
//! ```

use super::{Gaps, MemberLayout};

/// Finds the gaps of a structure of `size` bytes, and writes into each member which ones follow it.
pub(super) fn find(size: u32, members: &mut [MemberLayout]) -> Gaps {
    let mut gaps = Gaps::default();
    let mut cursor = Cursor::default();
    let mut last: Option<&mut MemberLayout> = None;
    for member in members {
        let (hole, bit_hole) = cursor.step(member);
        gaps.holes += u32::from(hole != 0);
        gaps.bit_holes += u32::from(bit_hole != 0);
        if let Some(last) = last {
            (last.hole, last.bit_hole) = (hole, bit_hole);
        } else {
            (gaps.first_hole, gaps.first_bit_hole) = (hole, bit_hole);
        }
        last = Some(member);
    }
    let size_bits = u64::from(size) * 8;
    if cursor.unit_bits != 0 {
        gaps.bit_padding = narrow(cursor.unit_end.min(size_bits).saturating_sub(cursor.end));
    }
    let end = cursor.end + u64::from(gaps.bit_padding);
    gaps.padding = narrow(u64::from(size).saturating_sub(end / 8));
    gaps
}

/// How far members have been looked at; all numbers are in bits.
#[derive(Default)]
struct Cursor {
    /// The end of the last member.
    end: u64,
    /// The size of the unit that is open; 0 if none is.
    unit_bits: u64,
    /// Where that unit ends.
    unit_end: u64,
}

impl Cursor {
    /// Goes on to a member; the bytes and bits in front of it.
    fn step(&mut self, member: &MemberLayout) -> (u32, u32) {
        let start = u64::from(member.bit_offset);
        let unit_start = u64::from(member.offset) * 8;
        let unit_bits = member.size.saturating_mul(8);
        let (mut bytes, mut bits) = (0, 0);
        if self.unit_bits != 0 {
            bits = start.min(self.unit_end).saturating_sub(self.end);
            self.end += bits;
        }
        if member.bits == 0 {
            bytes = (start / 8).saturating_sub(self.end / 8);
            self.end = start.saturating_add(unit_bits);
            self.unit_bits = 0;
            self.unit_end = self.end;
            return (narrow(bytes), narrow(bits));
        }
        // The unit may have started behind the last member, or it may share its first bytes with it.
        if self.end < unit_start && unit_start <= start {
            bytes = (unit_start - self.end).div_ceil(8);
            self.end = unit_start;
        }
        bits += start.saturating_sub(self.end);
        self.end = start + u64::from(member.bits);
        if self.end > self.unit_end || unit_bits > self.unit_bits {
            self.unit_bits = unit_bits;
            self.unit_end = unit_start.saturating_add(unit_bits);
            // In a packed structure a bitfield may reach over its unit.
            if self.end > self.unit_end {
                self.unit_end = self.unit_end.saturating_add(unit_bits);
            }
        }
        (narrow(bytes), narrow(bits))
    }
}

/// Gaps are smaller than the 512 MiB that offsets in bits can tell; what overlaps has none.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
