//! Structures and unions, member by member.

use std::io::Write as _;

use btf_core::graph::MAX_DEPTH;
use btf_core::types::Type;
use btf_core::{StrOffset, TypeId};

use super::super::spell::{Declaration, keyword};
use super::super::{Layout, MemberLayout, composite};
use super::number::{indent, pad, plural, put_hex, put_padded};
use super::stats::Sums;
use super::{MAX_NESTING, Place, Writer};

/// What stands behind the closing brace of what is packed.
const PACKED: &str = " __attribute__((__packed__))";

impl Writer<'_, '_> {
    /// Appends a structure or union up to its closing brace and `packed`.
    pub(super) fn put_composite(
        &mut self,
        out: &mut Vec<u8>,
        layout: &Layout,
        members: &[MemberLayout],
        place: Place,
        has_stats: bool,
    ) {
        out.extend_from_slice(if layout.is_union { b"union" } else { b"struct" });
        if layout.name != StrOffset::EMPTY {
            out.push(b' ');
            out.extend_from_slice(self.spell.name(layout.name));
        }
        out.extend_from_slice(b" {\n");
        if layout.is_union {
            self.put_union_members(out, members, place);
        } else {
            let sums = self.put_struct_members(out, layout, members, place);
            if has_stats {
                out.push(b'\n');
                let cacheline = self.layouts.machine().cacheline;
                sums.put(out, layout, members.len(), place.indent, cacheline);
            }
        }
        indent(out, place.indent - 1);
        out.push(b'}');
        if layout.is_packed {
            out.extend_from_slice(PACKED.as_bytes());
        }
    }

    /// Appends the members of a union. They and what follows start in the cache line in which the union does.
    fn put_union_members(&mut self, out: &mut Vec<u8>, members: &[MemberLayout], place: Place) {
        let first = self.cacheline;
        let place = Place {
            in_union: true,
            ..place
        };
        for member in members {
            indent(out, place.indent);
            self.put_member(out, member, place, false);
            out.push(b'\n');
            self.cacheline = first;
        }
    }

    /// Appends the members of a structure, with what lies between them.
    fn put_struct_members(
        &mut self,
        out: &mut Vec<u8>,
        layout: &Layout,
        members: &[MemberLayout],
        place: Place,
    ) -> Sums {
        let mut sums = Sums::of(&layout.gaps);
        let mut notes = Notes::new(place.indent);
        notes.put_holes(out, layout.gaps.first_bit_hole, layout.gaps.first_hole);
        let mut before: Option<(&MemberLayout, u64)> = None;
        for (index, member) in members.iter().enumerate() {
            if let Some((last, unit_size)) = before.filter(|&(_, size)| size != 0) {
                self.put_forced_boundary(out, last, member, place);
                notes.put_overlap(out, last, unit_size, member);
            }
            notes.end(out);
            self.put_cacheline(out, member, place);
            indent(out, place.indent);
            let is_last = index > 0 && index + 1 == members.len();
            self.put_member(out, member, place, is_last && !place.in_union);
            out.push(b'\n');
            let hole = before.map_or(layout.gaps.first_hole, |(last, _)| last.hole);
            sums.add(member, hole);
            if let Some(inner) = self.layouts.get(member.ty).filter(|inner| !inner.is_union) {
                sums.add_inner(inner);
                notes.put_inner(out, inner);
            }
            notes.put_holes(out, member.bit_hole, member.hole);
            // Bitfields of one place count as large as the type of the first of them.
            let shared = before.filter(|&(last, _)| {
                last.offset == member.offset && last.bits != 0 && member.bits != 0
            });
            let unit_size = shared.map_or(member.size, |(_, size)| size);
            before = Some((member, unit_size));
        }
        sums
    }

    /// Appends the unnamed bitfield that the source must have if the bits between two bitfields are lost.
    fn put_forced_boundary(
        &mut self,
        out: &mut Vec<u8>,
        last: &MemberLayout,
        member: &MemberLayout,
        place: Place,
    ) {
        if last.bit_hole == 0 || member.bits == 0 {
            return;
        }
        let mut bits = last.bit_hole;
        if last.offset != member.offset {
            out.push(b'\n');
            indent(out, place.indent);
            out.extend_from_slice(b"/* Force alignment to the next boundary: */\n");
            bits = 0;
        }
        indent(out, place.indent);
        let mut declaration = self.spell.unwind(member.ty, &[], false);
        self.expand(out, &mut declaration);
        self.put_left(out, &declaration, place);
        let _ = writeln!(out, " :{bits};");
    }

    /// Appends the boundary of a cache line, if a member is the first behind it.
    fn put_cacheline(&mut self, out: &mut Vec<u8>, member: &MemberLayout, place: Place) {
        let size = u64::from(self.layouts.machine().cacheline.max(1));
        let offset = place.base.saturating_add(member.offset.into());
        let number = offset / size;
        if number <= self.cacheline {
            return;
        }
        self.cacheline = number;
        let start = number * size;
        indent(out, place.indent);
        let _ = write!(out, "/* --- cacheline {number} boundary ({start} bytes)");
        if offset != start {
            let ago = offset - start;
            let _ = write!(out, " was {ago} byte{} ago", plural(ago));
        }
        out.extend_from_slice(b" --- */\n");
    }

    /// Appends a member with its place.
    fn put_member(
        &mut self,
        out: &mut Vec<u8>,
        member: &MemberLayout,
        place: Place,
        is_last: bool,
    ) {
        let name = self.spell.name(member.name);
        let mut declaration = self.spell.unwind(member.ty, name, is_last);
        let start = out.len();
        self.expand(out, &mut declaration);
        if let Some((id, pointer)) = self.nested(&declaration, place) {
            self.put_nested(out, member, &declaration, (id, pointer), start, place);
        } else {
            self.put_left(out, &declaration, place);
            out.push(b' ');
            out.extend_from_slice(&declaration.declarator);
            put_bits(out, member);
            Self::put_alignment(out, member.forced_alignment);
            out.push(b';');
            self.put_place(out, member, place, start, place.comment_column());
        }
        if place.indent > Place::TOP.indent {
            self.budget = self.budget.saturating_sub(out.len() - start);
        }
    }

    /// Goes from a typedef to what it stands for, and appends the names on the way as a comment; not if it is qualified,
    /// or the result of a function.
    fn expand(&mut self, out: &mut Vec<u8>, declaration: &mut Declaration) {
        if !self.options.expand || declaration.has_pointer || !declaration.qualifiers.is_empty() {
            return;
        }
        let mut separator: &[u8] = b"/* typedef ";
        for _ in 0..MAX_DEPTH {
            if let Type::Typedef { name, target } = self.spell.ty(declaration.left) {
                out.extend_from_slice(separator);
                out.extend_from_slice(self.spell.name(name));
                separator = b" -> ";
                declaration.left = target;
                continue;
            }
            if separator != b" -> " {
                break;
            }
            out.extend_from_slice(b" */ ");
            separator = b"/* typedef ";
            self.spell.unwind_on(declaration);
            if declaration.has_pointer || !declaration.qualifiers.is_empty() {
                break;
            }
        }
    }

    /// Appends the type on the left of a declared name, padded.
    fn put_left(&mut self, out: &mut Vec<u8>, declaration: &Declaration, place: Place) {
        let start = out.len();
        out.extend_from_slice(&declaration.qualifiers);
        self.spell.put_name(out, declaration.left);
        out.resize(out.len() + declaration.spaces, b' ');
        // pahole pads what stands behind `const` and keywords, which shows where the width is negative; not so in front of
        // pointers to functions.
        let is_to_function = declaration.declarator.starts_with(b"(");
        let prefix = match declaration.spaces {
            0 if !is_to_function => {
                declaration.qualifiers.len() + keyword(self.spell.ty(declaration.left)).len()
            }
            _ => 0,
        };
        let width = place
            .type_width
            .saturating_sub_unsigned(prefix)
            .unsigned_abs();
        pad(out, start + prefix, width);
    }

    /// The type that is printed in full within a declaration because it has no name, and what makes the declared a
    /// pointer to it.
    pub(super) fn nested(
        &self,
        declaration: &Declaration,
        place: Place,
    ) -> Option<(TypeId, &'static [u8])> {
        if declaration.has_pointer || place.indent >= MAX_NESTING || self.is_cut() {
            return None;
        }
        let target = |id| {
            let Type::Ptr { target } = self.spell.ty(id) else {
                return None;
            };
            Some(target)
        };
        let (id, pointer): (_, &[u8]) = if let Some(id) = target(declaration.left) {
            (id, b" *")
        } else if let Type::Const { target: inner } = self.spell.ty(declaration.left) {
            (target(inner)?, b" * const")
        } else {
            (declaration.left, b"")
        };
        let ty = self.spell.ty(id);
        let is_enumeration = matches!(ty, Type::Enum(_) | Type::Enum64(_));
        let has_body = is_enumeration || composite(ty).is_some();
        let is_expanded = self.options.expand && pointer.is_empty();
        let is_wanted = ty.name() == StrOffset::EMPTY || is_expanded;
        (has_body && is_wanted).then_some((id, pointer))
    }

    /// Appends a member whose type is printed in full.
    fn put_nested(
        &mut self,
        out: &mut Vec<u8>,
        member: &MemberLayout,
        declaration: &Declaration,
        (id, pointer): (TypeId, &[u8]),
        begin: usize,
        place: Place,
    ) {
        let is_typedef = begin != out.len();
        out.extend_from_slice(&declaration.qualifiers);
        if let Some(layout) = self.layouts.get(id) {
            let members = self.layouts.members(layout);
            let base = place.base.saturating_add(member.offset.into());
            if pointer.is_empty() {
                self.put_composite(out, layout, members, place.inner(base, 1), false);
            } else {
                // What is pointed to lies elsewhere, with cache lines of its own.
                let here = std::mem::take(&mut self.cacheline);
                self.put_composite(out, layout, members, place.inner(0, 2), false);
                self.cacheline = here;
            }
            Self::put_alignment(out, layout.forced_alignment);
        } else {
            self.put_enumeration(out, id, place.indent + 1);
        }
        out.extend_from_slice(pointer);
        let start = out.len();
        if !member.is_anonymous() || declaration.has_array {
            out.push(b' ');
            out.extend_from_slice(&declaration.declarator);
        }
        let name_width = out.len() - start;
        put_bits(out, member);
        let start = out.len();
        Self::put_alignment(out, member.forced_alignment);
        let alignment_width = out.len() - start;
        out.push(b';');
        let is_named = self.spell.ty(id).name() != StrOffset::EMPTY;
        if declaration.has_array || !pointer.is_empty() || is_named || is_typedef {
            // As if all of the type stood on one line.
            return self.put_place(out, member, place, begin, place.comment_column());
        }
        // Neither the structure's own alignment nor the bits count; and a width below 0 is one to C's `printf`.
        let packed = self.layouts.get(id).filter(|layout| layout.is_packed);
        let counted =
            "};".len() + packed.map_or(0, |_| PACKED.len()) + name_width + alignment_width;
        let width = place.comment_column().saturating_sub_unsigned(counted);
        let end = out.len();
        self.put_place(out, member, place, end, width.saturating_abs());
    }

    /// Appends the comment that tells the offset and size of a member, at a column counted from `start`.
    fn put_place(
        &self,
        out: &mut Vec<u8>,
        member: &MemberLayout,
        place: Place,
        start: usize,
        column: isize,
    ) {
        let put = if self.options.hex {
            put_hex
        } else {
            put_padded
        };
        out.push(b' ');
        pad(out, start, usize::try_from(column).unwrap_or(0));
        out.extend_from_slice(b"/* ");
        put(out, place.base.saturating_add(member.offset.into()), 5);
        let mut width = 5;
        if member.bits != 0 {
            out.push(b':');
            put(out, member.bit_in_unit().into(), 2);
            width -= 3;
        }
        out.push(b' ');
        put(out, member.size, width);
        out.extend_from_slice(b" */");
    }

    /// Appends an enumeration from its keyword to its closing brace.
    pub(super) fn put_enumeration(&mut self, out: &mut Vec<u8>, id: TypeId, tabs: usize) {
        let (Type::Enum(enumeration) | Type::Enum64(enumeration)) = self.spell.ty(id) else {
            return;
        };
        out.extend_from_slice(b"enum");
        if enumeration.name != StrOffset::EMPTY {
            out.push(b' ');
            out.extend_from_slice(self.spell.name(enumeration.name));
        }
        out.extend_from_slice(b" {\n");
        let names = enumeration
            .enumerators()
            .map(|value| self.spell.name(value.name).len());
        let width = names.max().unwrap_or(0);
        for value in enumeration.enumerators() {
            indent(out, tabs);
            let start = out.len();
            out.extend_from_slice(self.spell.name(value.name));
            pad(out, start, width);
            out.extend_from_slice(b" = ");
            if self.options.hex {
                put_hex(out, value.value, 0);
            } else if enumeration.is_signed {
                let _ = write!(out, "{}", value.value.cast_signed());
            } else {
                put_padded(out, value.value, 0);
            }
            out.extend_from_slice(b",\n");
        }
        indent(out, tabs - 1);
        out.push(b'}');
        if enumeration.size < 4 {
            out.extend_from_slice(PACKED.as_bytes());
        }
    }
}

/// Appends `:N` behind the name of a bitfield.
fn put_bits(out: &mut Vec<u8>, member: &MemberLayout) {
    if member.bits != 0 {
        out.push(b':');
        put_padded(out, member.bits.into(), 0);
    }
}

/// The comments between members, which an empty line sets off on both sides.
struct Notes {
    indent: usize,
    is_open: bool,
}

impl Notes {
    fn new(indent: usize) -> Self {
        Self {
            indent,
            is_open: false,
        }
    }

    /// Starts the line of a comment.
    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.is_open {
            out.push(b'\n');
        }
        self.is_open = true;
        indent(out, self.indent);
    }

    /// Ends the comments in front of a member.
    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_open) {
            out.push(b'\n');
        }
    }

    fn put_holes(&mut self, out: &mut Vec<u8>, bits: u32, bytes: u32) {
        for (count, unit) in [(bits, "bit"), (bytes, "byte")] {
            if count != 0 {
                self.start(out);
                let s = plural(count.into());
                let _ = writeln!(out, "/* XXX {count} {unit}{s} hole, try to pack */");
            }
        }
    }

    /// Tells if a member lies in what the types of both demand.
    fn put_overlap(
        &mut self,
        out: &mut Vec<u8>,
        last: &MemberLayout,
        unit_size: u64,
        member: &MemberLayout,
    ) {
        let is_back = member.offset < last.offset;
        let joins = member.offset == last.offset && last.bits == 0 && member.bits != 0;
        let distance = u64::from(member.offset.saturating_sub(last.offset));
        let with = if is_back || joins {
            "previous"
        } else if distance > 0 && distance < unit_size {
            "next"
        } else {
            return;
        };
        self.start(out);
        let _ = writeln!(out, "/* Bitfield combined with {with} fields */");
    }

    /// Tells what is lost inside of the structure of a member.
    fn put_inner(&mut self, out: &mut Vec<u8>, inner: &Layout) {
        let gaps = &inner.gaps;
        let mut separator = "/* XXX last struct has ";
        let mut start = |notes: &mut Self, out: &mut Vec<u8>| {
            if separator.starts_with('/') {
                notes.start(out);
            }
            out.extend_from_slice(separator.as_bytes());
            separator = ", ";
        };
        if inner.flexible.is_last {
            start(self, out);
            out.extend_from_slice(b"a flexible array");
        }
        if inner.flexible.is_embedded {
            start(self, out);
            out.extend_from_slice(b"embedded flexible array(s)");
        }
        for (count, unit, what) in [
            (gaps.padding, "byte", " of padding"),
            (gaps.bit_padding, "bit", " of padding"),
            (gaps.holes, "hole", ""),
            (gaps.bit_holes, "bit hole", ""),
        ] {
            if count != 0 {
                start(self, out);
                let _ = write!(out, "{count} {unit}{}{what}", plural(count.into()));
            }
        }
        if separator == ", " {
            out.extend_from_slice(b" */\n");
        }
    }
}
