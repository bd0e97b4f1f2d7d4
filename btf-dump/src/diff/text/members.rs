//! The lines about members, of which those that have moved together stand on one.

use super::super::{Detail, Leaf, MemberChange, Side};
use super::{Sign, Writer};

/// As many members that have moved together are listed one by one.
const FEW: usize = 2;

/// Among so many changes of a structure those are looked for that say the same twice.
const MAX_REPEATED: usize = 512;

impl Writer<'_, '_> {
    /// Writes the members that have changed.
    pub(super) fn put_members(&mut self, detail: &Detail) {
        let mut index = 0;
        let shown: Vec<_> = detail
            .members
            .iter()
            .filter(|change| !is_repeated(detail, change))
            .collect();
        while let Some(&change) = shown.get(index) {
            let run = if self.options.lists_all {
                0
            } else {
                moved_together(&shown[index..])
            };
            if run > FEW {
                self.put_run(detail, &shown[index..index + run]);
                index += run;
            } else {
                self.put_member(detail, change);
                index += 1;
            }
        }
    }

    /// Writes members that have moved together.
    fn put_run(&mut self, detail: &Detail, run: &[&MemberChange]) {
        let (first, last) = (run.first(), run.last().and_then(|last| last.new));
        let (Some((was, is)), Some(last)) = (first.and_then(|first| both(first)), last) else {
            return;
        };
        self.line(Sign::Changed, 2, |writer| {
            writer.put_places(Some(&was), Some(&is));
            writer.put_number(run.len() as u64);
            writer.put_str(" members, ");
            writer.put_name(detail, &is);
            writer.put_str(" to ");
            writer.put_name(detail, &last);
            writer.put_str(": moved by ");
            writer.put_distance(&was, &is);
        });
    }

    /// Writes the whole name of a new member.
    fn put_name(&mut self, detail: &Detail, leaf: &Leaf) {
        self.put_escaped(|writer| {
            let side = writer.new.side();
            detail.prefixes.1.put_name(side, leaf, &mut writer.out);
        });
    }

    fn put_member(&mut self, detail: &Detail, change: &MemberChange) {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        if let (Some(old), Some(new)) = (old, new)
            && !change.is_respelled()
        {
            self.line(Sign::Changed, 2, |writer| {
                writer.put_places(Some(old), Some(new));
                writer.new.elides_values(change.is_revalued());
                writer.put_declaration(detail, new, true);
                writer.new.elides_values(false);
                if change.is_moved {
                    writer.put_str("  moved by ");
                    writer.put_distance(old, new);
                }
                if change.is_resized {
                    writer.put_sizes(old, new);
                }
            });
            if change.is_revalued() {
                self.put_enumerators(detail.enumerators_of(change), 4);
            }
            return;
        }
        if let Some(leaf) = old {
            self.line(Sign::Removed, 2, |writer| {
                writer.put_places(Some(leaf), None);
                writer.put_declaration(detail, leaf, false);
            });
        }
        if let Some(leaf) = new {
            self.line(Sign::Added, 2, |writer| {
                writer.put_places(None, Some(leaf));
                writer.put_declaration(detail, leaf, true);
                writer.put_str(if change.is_renamed { "  renamed" } else { "" });
            });
        }
    }

    /// Writes how large a member was and is; of an array without a length, its elements.
    fn put_sizes(&mut self, old: &Leaf, new: &Leaf) {
        let size = |side: &Side<'_>, leaf: &Leaf| side.size_of(leaf.ty).unwrap_or(0);
        let mut sizes = (size(self.diff.old, old), size(self.diff.new, new));
        self.put_str("  ");
        if sizes.0 == sizes.1 {
            let size = |side: &Side<'_>, leaf: &Leaf| side.element_size(leaf.ty).unwrap_or(0);
            sizes = (size(self.diff.old, old), size(self.diff.new, new));
            self.put_str("elements ");
        }
        self.put_number(sizes.0);
        self.put_str(" -> ");
        self.put_bytes(sizes.1);
    }

    /// Writes where a member lay and lies.
    fn put_places(&mut self, old: Option<&Leaf>, new: Option<&Leaf>) {
        const WIDTH: usize = 7;
        for (leaf, end) in [(old, " "), (new, "  ")] {
            let start = self.out.len();
            if let Some(leaf) = leaf {
                self.put_place(leaf);
            }
            let missing = (start + WIDTH).saturating_sub(self.out.len());
            self.put_str(&"       "[..missing]);
            self.out[start..].rotate_right(missing);
            self.put_str(end);
        }
    }

    /// Writes where a member lies: the byte, and of a bitfield the bit in it.
    fn put_place(&mut self, leaf: &Leaf) {
        let (byte, bit) = (leaf.bit_offset / 8, leaf.bit_offset % 8);
        self.put_number(byte.into());
        if leaf.bits.is_some() || bit != 0 {
            self.put_str(":");
            self.put_number(bit.into());
        }
    }

    /// Writes how far a member has moved.
    fn put_distance(&mut self, was: &Leaf, is: &Leaf) {
        let bits = i64::from(is.bit_offset) - i64::from(was.bit_offset);
        if bits % 8 == 0 {
            self.put_fmt(format_args!("{:+}", bits / 8));
        } else {
            self.put_fmt(format_args!("{bits:+} bits"));
        }
    }

    /// Writes a member as C declares it.
    fn put_declaration(&mut self, detail: &Detail, leaf: &Leaf, is_new: bool) {
        self.put_escaped(|writer| {
            let (prefixes, spell) = if is_new {
                (&detail.prefixes.1, &mut writer.new)
            } else {
                (&detail.prefixes.0, &mut writer.old)
            };
            spell.put_member(&mut writer.out, leaf, prefixes);
        });
        if let Some(bits) = leaf.bits {
            self.put_str(":");
            self.put_number(bits.into());
        }
        self.put_str(";");
    }
}

/// Whether a member of a named unnamed structure says again what a member without that name says: so it is in the
/// kernel's `struct_group`.
fn is_repeated(detail: &Detail, change: &MemberChange) -> bool {
    let is_nested = change
        .old
        .or(change.new)
        .is_some_and(|leaf| leaf.is_nested());
    is_nested && {
        let is_same = |leaf: Option<Leaf>, other: Option<Leaf>| match (leaf, other) {
            (Some(leaf), Some(other)) => {
                !other.is_nested()
                    && other.name() == leaf.name()
                    && (other.bit_offset, other.bits) == (leaf.bit_offset, leaf.bits)
            }
            (None, None) => true,
            _ => false,
        };
        let mut others = detail.members.iter().take(MAX_REPEATED);
        others.any(|other| is_same(change.old, other.old) && is_same(change.new, other.new))
    }
}

/// How many of the changes, from the first on, are members that have moved by the same distance and nothing else.
fn moved_together(changes: &[&MemberChange]) -> usize {
    let distance = |change: &&&MemberChange| {
        let (was, is) = both(change).filter(|_| change.is_only_moved())?;
        Some(i64::from(is.bit_offset) - i64::from(was.bit_offset))
    };
    let first = changes.first().as_ref().and_then(distance);
    if first.is_none() {
        return 0;
    }
    changes
        .iter()
        .take_while(|change| distance(change) == first)
        .count()
}

/// The old and the new leaf of a member that both have.
fn both(change: &MemberChange) -> Option<(Leaf, Leaf)> {
    change.old.zip(change.new)
}
