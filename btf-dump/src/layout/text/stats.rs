//! What stands below the members of a structure: sizes, and what is lost where.

use std::io::Write as _;

use super::super::{Gaps, Layout, MemberLayout};
use super::number::{indent, plural};

/// What is summed up while members are printed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// Bytes of members, bits of bitfields.
    bytes: u64,
    bits: u64,
    /// Holes between members, in bytes and in bits.
    holes: u64,
    bit_holes: u64,
    /// Members that have been moved to another alignment, and the holes that this has caused.
    aligned: u64,
    aligned_holes: u64,
    aligned_bytes: u64,
    /// Structures of members: how many have holes, padding, …, and how much.
    with_holes: (u64, u64),
    with_bit_holes: (u64, u64),
    with_padding: (u64, u64),
    with_bit_padding: (u64, u64),
    /// How many of them have an array without a length at their end, how many inside.
    with_flexible: u64,
    with_embedded_flexible: u64,
}

impl Sums {
    /// The sums of a structure before its first member.
    pub(super) fn of(gaps: &Gaps) -> Self {
        Self {
            holes: gaps.first_hole.into(),
            bit_holes: gaps.first_bit_hole.into(),
            ..Self::default()
        }
    }

    /// Adds a member that stands behind a hole of `hole` bytes.
    pub(super) fn add(&mut self, member: &MemberLayout, hole: u32) {
        if member.forced_alignment != 0 {
            self.aligned += 1;
            self.aligned_holes += u64::from(hole != 0);
            self.aligned_bytes += u64::from(hole);
        }
        if member.bits == 0 {
            self.bytes = self.bytes.saturating_add(member.size);
        } else {
            self.bits += u64::from(member.bits);
        }
        self.holes += u64::from(member.hole);
        self.bit_holes += u64::from(member.bit_hole);
    }

    /// Adds the structure that is a member's type.
    pub(super) fn add_inner(&mut self, inner: &Layout) {
        let count = |(members, total): &mut (u64, u64), amount: u32| {
            *members += u64::from(amount != 0);
            *total += u64::from(amount);
        };
        count(&mut self.with_holes, inner.gaps.holes);
        count(&mut self.with_bit_holes, inner.gaps.bit_holes);
        count(&mut self.with_padding, inner.gaps.padding);
        count(&mut self.with_bit_padding, inner.gaps.bit_padding);
        self.with_flexible += u64::from(inner.flexible.is_last);
        self.with_embedded_flexible += u64::from(inner.flexible.is_embedded);
    }

    /// Appends the lines.
    pub(super) fn put(
        &self,
        out: &mut Vec<u8>,
        layout: &Layout,
        members: usize,
        tabs: usize,
        cacheline: u32,
    ) {
        let size = layout.size;
        let lines = size.div_ceil(cacheline.max(1));
        let gaps = &layout.gaps;
        let mut put = |line: std::fmt::Arguments<'_>| {
            indent(out, tabs);
            // Writing to memory cannot fail.
            let _ = writeln!(out, "/* {line} */");
        };
        put(format_args!(
            "size: {size}, cachelines: {lines}, members: {members}"
        ));
        if self.holes > 0 || self.bit_holes > 0 {
            if self.bytes > 0 {
                let sum = self.bytes;
                if self.holes > 0 {
                    let (holes, bytes) = (gaps.holes, self.holes);
                    put(format_args!(
                        "sum members: {sum}, holes: {holes}, sum holes: {bytes}"
                    ));
                } else {
                    put(format_args!("sum members: {sum}"));
                }
            }
            if self.bits > 0 {
                let sum = self.bits;
                if self.bit_holes > 0 {
                    let (holes, bits) = (gaps.bit_holes, self.bit_holes);
                    put(format_args!(
                        "sum bitfield members: {sum} bits, bit holes: {holes}, sum bit holes: {bits} bits"
                    ));
                } else {
                    let bytes = sum / 8;
                    put(format_args!(
                        "sum bitfield members: {sum} bits ({bytes} bytes)"
                    ));
                }
            }
        }
        if gaps.padding > 0 {
            put(format_args!("padding: {}", gaps.padding));
        }
        self.put_inner(&mut put);
        if gaps.bit_padding > 0 {
            put(format_args!("bit_padding: {} bits", gaps.bit_padding));
        }
        if self.aligned > 0 {
            let aligned = self.aligned;
            let (holes, bytes) = (self.aligned_holes, self.aligned_bytes);
            if holes > 0 {
                put(format_args!(
                    "forced alignments: {aligned}, forced holes: {holes}, sum forced holes: {bytes}"
                ));
            } else {
                put(format_args!("forced alignments: {aligned}"));
            }
        }
        match (self.with_flexible, self.with_embedded_flexible) {
            (0, 0) => {}
            (end, 0) => put(format_args!("flexible array members: end: {end}")),
            (0, middle) => put(format_args!("flexible array members: middle: {middle}")),
            (end, middle) => put(format_args!(
                "flexible array members: end: {end}, middle: {middle}"
            )),
        }
        let rest = size % cacheline.max(1);
        if rest != 0 {
            put(format_args!("last cacheline: {rest} bytes"));
        }
    }

    /// The lines about the structures of members.
    fn put_inner(&self, put: &mut dyn FnMut(std::fmt::Arguments<'_>)) {
        let mut parts = Vec::new();
        for (what, (members, total)) in [
            ("holes", self.with_holes),
            ("bit holes", self.with_bit_holes),
        ] {
            if members > 0 {
                parts.push(format!("{what}: {members}, total: {total}"));
            }
        }
        let (members, bits) = self.with_bit_padding;
        if members > 0 {
            parts.push(format!(
                "bit paddings: {members}, total: {bits} bit{}",
                plural(bits)
            ));
        }
        if !parts.is_empty() {
            put(format_args!("member types with {}", parts.join(", ")));
        }
        let (members, bytes) = self.with_padding;
        if members > 0 {
            put(format_args!("paddings: {members}, sum paddings: {bytes}"));
        }
    }
}
