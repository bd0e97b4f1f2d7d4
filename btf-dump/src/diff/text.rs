//! Differences as a person reads them: signs in front, offsets in bytes, types in C.
//!
//! ```text
//! ~ struct sk_buff: 232 -> 240 bytes
//!   -      24          struct llist_node ll_node;
//!   +              24  struct rb_node rbnode;
//!   ~    72:3    80:3  4 members, cloned to head_frag: moved by +8
//! ```
//!
//! `24` is the byte, `72:3` the bit in it at which a bitfield starts. Members that have moved together stand on one line. Names and
//! types are escaped, as nobody knows what a name does to a terminal.

use std::fmt::Write as _;
use std::io::Write as _;

use btf_core::TypeId;
use btf_core::cli::{Style, escape_name};
use rayon::prelude::*;

use super::spell::Spell;
use super::{
    Change, Counts, Detail, Diff, EnumeratorChange, Leaf, Leaves, MemberChange, Side, Sort, Value,
    What,
};

/// So many items are written by one thread at a time.
const CHUNK: usize = 256;

/// So many bytes are expected of each item.
const BYTES: usize = 128;

/// As many members that have moved together are listed one by one.
const FEW: usize = 2;

/// Among so many changes of a structure those are looked for that say the same twice.
const MAX_REPEATED: usize = 512;

/// Stands in a structure in which not all members are told one by one.
pub(super) const CUT: &str = "too many unnamed structures to look into each";

/// How differences are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether to colour.
    pub colors: bool,
    /// Whether members that have moved together are listed one by one.
    pub lists_all: bool,
}

/// Writes the changes of a diff, or those of them that are wanted, in parts that follow each other.
#[must_use]
pub fn write(diff: &Diff<'_>, changes: &[&Change], options: Options) -> Vec<Vec<u8>> {
    changes
        .par_chunks(CHUNK)
        .map(|changes| {
            let mut writer = Writer::new(diff, options);
            for change in changes {
                writer.put(change);
            }
            writer.out
        })
        .collect()
}

/// Writes each change for itself.
#[must_use]
pub fn write_each(diff: &Diff<'_>, changes: &[&Change], options: Options) -> Vec<Vec<u8>> {
    let mut writer = Writer::new(diff, options);
    let texts = changes.iter().map(|change| {
        writer.out.clear();
        writer.put(change);
        writer.out.clone()
    });
    texts.collect()
}

/// Writes how many items of which sort have changed how.
#[must_use]
pub fn summary(counts: &[(&'static str, Counts)]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<10}{:>9}{:>9}{:>9}{:>9}",
        "", "added", "removed", "changed", "through"
    );
    let total = counts
        .iter()
        .fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts));
    let rows = counts.iter().copied().chain([("total", total)]);
    for (word, counts) in rows {
        let Counts {
            added,
            removed,
            changed,
            through,
        } = counts;
        let _ = writeln!(
            out,
            "{word:<10}{added:>9}{removed:>9}{changed:>9}{through:>9}"
        );
    }
    out
}

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Removed,
    Added,
    Changed,
    Through,
}

impl Sign {
    const fn text(self) -> &'static str {
        match self {
            Self::Removed => "-",
            Self::Added => "+",
            Self::Changed => "~",
            Self::Through => "=",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Removed => Style::Removed,
            Self::Added => Style::Added,
            Self::Changed => Style::Name,
            Self::Through => Style::Faint,
        }
    }
}

struct Writer<'d, 'b> {
    diff: &'d Diff<'b>,
    options: Options,
    old: Spell<'b, 'b>,
    new: Spell<'b, 'b>,
    out: Vec<u8>,
    /// Room for the name of a member.
    buffer: Vec<u8>,
}

impl<'d, 'b> Writer<'d, 'b> {
    fn new(diff: &'d Diff<'b>, options: Options) -> Self {
        Self {
            diff,
            options,
            old: Spell::new(diff.old),
            new: Spell::new(diff.new),
            out: Vec::with_capacity(CHUNK * BYTES),
            buffer: Vec::new(),
        }
    }

    /// Writes a line that starts with a sign.
    fn line(&mut self, sign: Sign, indent: usize, put: impl FnOnce(&mut Self)) {
        if self.options.colors {
            self.put_str(sign.style().sequence());
        }
        self.put_str(&"    "[..indent]);
        self.put_str(sign.text());
        self.put_str(" ");
        put(self);
        self.put_str(if self.options.colors { Style::END } else { "" });
        self.put_str("\n");
    }

    fn put_str(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes what does not come from the input; little of it is written so, as that takes its time.
    fn put_fmt(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector does not fail.
        let _ = self.out.write_fmt(text);
    }

    fn put_number(&mut self, number: u64) {
        self.put_str(itoa::Buffer::new().format(number));
    }

    fn put_bytes(&mut self, size: u64) {
        self.put_number(size);
        self.put_str(if size == 1 { " byte" } else { " bytes" });
    }

    /// Writes what `put` appends, escaped.
    fn put_escaped(&mut self, put: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        put(self);
        let is_plain = |all: bool, byte: &u8| all & (b' '..=b'~').contains(byte);
        if !self.out[start..].iter().fold(true, is_plain) {
            let text = self.out.split_off(start);
            self.put_str(&escape_name(&text));
        }
    }

    fn put(&mut self, change: &Change) {
        match &change.what {
            What::Added(id) => self.put_whole(Sign::Added, change, *id),
            What::Removed(id) => self.put_whole(Sign::Removed, change, *id),
            What::Changed(old, new, detail) => self.put_changed(change, (*old, *new), detail),
            What::Through(_, new, cause) => self.line(Sign::Through, 0, |writer| {
                writer.put_title(change, *new);
                writer.put_str(": through ");
                writer.put_escaped(|writer| writer.new.put_title(&mut writer.out, *cause));
            }),
        }
    }

    /// Writes what an item of the new blob is called, with its sort.
    fn put_title(&mut self, change: &Change, id: TypeId) {
        match change.sort {
            Sort::Struct | Sort::Union | Sort::Enum => {}
            Sort::Forward => self.put_str("forward "),
            Sort::Typedef | Sort::Number | Sort::Func | Sort::Var => {
                self.put_str(change.word());
                self.put_str(" ");
            }
        }
        self.put_escaped(|writer| writer.new.put_title(&mut writer.out, id));
    }

    /// Writes an item that only one blob has.
    fn put_whole(&mut self, sign: Sign, change: &Change, id: TypeId) {
        let is_new = sign == Sign::Added;
        let side = if is_new { self.diff.new } else { self.diff.old };
        self.line(sign, 0, |writer| {
            match change.sort {
                Sort::Struct | Sort::Union | Sort::Enum | Sort::Typedef => {}
                Sort::Func | Sort::Var | Sort::Forward | Sort::Number => {
                    writer.put_str(change.word());
                    writer.put_str(" ");
                }
            }
            writer.put_item(id, is_new);
            if !matches!(change.sort, Sort::Func | Sort::Var | Sort::Forward)
                && let Some(size) = side.own_size(id)
            {
                writer.put_str(": ");
                writer.put_bytes(size.into());
            }
        });
    }

    /// Writes an item as it is declared.
    fn put_item(&mut self, id: TypeId, is_new: bool) {
        self.put_escaped(|writer| {
            let spell = if is_new {
                &mut writer.new
            } else {
                &mut writer.old
            };
            spell.put_item(&mut writer.out, id);
        });
    }

    fn put_changed(&mut self, change: &Change, (old, new): (TypeId, TypeId), detail: &Detail) {
        self.line(Sign::Changed, 0, |writer| {
            writer.put_title(change, new);
            if let Some((was, is)) = detail.size.filter(|(was, is)| was != is) {
                writer.put_fmt(format_args!(": {was} -> "));
                writer.put_bytes(is);
            }
        });
        for words in &detail.words {
            let (was, is) = (escape_name(&words.old), escape_name(&words.new));
            self.line(Sign::Changed, 2, |writer| {
                let (was, is) = (or_none(&was), or_none(&is));
                writer.put_fmt(format_args!("{}: {was} -> {is}", words.what));
            });
        }
        let is_respelled =
            detail.ty.is_some() || detail.result.is_some() || !detail.params.is_empty();
        if is_respelled {
            self.line(Sign::Removed, 2, |writer| writer.put_item(old, false));
            self.line(Sign::Added, 2, |writer| writer.put_item(new, true));
        }
        self.put_members(detail);
        if detail.is_cut() {
            self.line(Sign::Changed, 2, |writer| writer.put_str(CUT));
        }
        self.put_enumerators(detail.enumerators_of(None), 2);
    }

    fn put_members(&mut self, detail: &Detail) {
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
                moved_together(detail, &shown[index..])
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
        let ends = run
            .first()
            .and_then(|first| leaves(detail, first))
            .zip(run.last().and_then(|last| leaves(detail, last)));
        let Some(((was, is), (_, last))) = ends else {
            return;
        };
        self.line(Sign::Changed, 2, |writer| {
            writer.put_places(Some(was), Some(is));
            writer.put_number(run.len() as u64);
            writer.put_str(" members, ");
            writer.put_name(detail, is);
            writer.put_str(" to ");
            writer.put_name(detail, last);
            writer.put_str(": moved by ");
            writer.put_distance(was, is);
        });
    }

    /// Writes the whole name of a new member.
    fn put_name(&mut self, detail: &Detail, leaf: &Leaf) {
        self.put_escaped(|writer| {
            let side = writer.new.side();
            detail.leaves.1.put_name(side, leaf, &mut writer.out);
        });
    }

    fn put_member(&mut self, detail: &Detail, change: &MemberChange) {
        let old = change.old.and_then(|index| detail.leaves.0.all.get(index));
        let new = change.new.and_then(|index| detail.leaves.1.all.get(index));
        if let (Some(old), Some(new)) = (old, new)
            && !change.is_respelled()
        {
            self.line(Sign::Changed, 2, |writer| {
                writer.put_places(Some(old), Some(new));
                writer.new.elides_values(change.is_revalued);
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
            if change.is_revalued {
                self.put_enumerators(detail.enumerators_of(change.new), 4);
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
        let mut name = std::mem::take(&mut self.buffer);
        name.clear();
        self.put_escaped(|writer| {
            let (leaves, spell) = if is_new {
                (&detail.leaves.1, &mut writer.new)
            } else {
                (&detail.leaves.0, &mut writer.old)
            };
            leaves.put_name(spell.side(), leaf, &mut name);
            spell.put_declaration(&mut writer.out, leaf.ty, &name);
        });
        self.buffer = name;
        if let Some(bits) = leaf.bits {
            self.put_str(":");
            self.put_number(bits.into());
        }
        self.put_str(";");
    }

    fn put_enumerators(&mut self, changes: &[EnumeratorChange], indent: usize) {
        for change in changes {
            if let Some(value) = change.old {
                let side = self.diff.old;
                self.line(Sign::Removed, indent, |writer| {
                    writer.put_value(side, value);
                });
            }
            if let Some(value) = change.new {
                let side = self.diff.new;
                self.line(Sign::Added, indent, |writer| {
                    writer.put_value(side, value);
                    writer.put_str(if change.is_renamed { "  renamed" } else { "" });
                });
            }
        }
    }

    fn put_value(&mut self, side: &Side<'_>, value: Value) {
        self.put_escaped(|writer| writer.out.extend_from_slice(side.name(value.name)));
        self.put_fmt(format_args!(" = {value}"));
    }
}

/// Whether a member of a named unnamed structure says again what a member without that name says: so it is in the
/// kernel's `struct_group`.
fn is_repeated(detail: &Detail, change: &MemberChange) -> bool {
    let (old, new) = (&detail.leaves.0, &detail.leaves.1);
    let old_leaf = change.old.and_then(|index| old.all.get(index));
    let new_leaf = change.new.and_then(|index| new.all.get(index));
    let is_nested = old_leaf.or(new_leaf).is_some_and(Leaf::is_nested);
    is_nested && {
        let is_same = |leaf: Option<&Leaf>, other: Option<usize>, leaves: &Leaves| {
            let other = other.and_then(|index| leaves.all.get(index));
            match (leaf, other) {
                (Some(leaf), Some(other)) => {
                    !other.is_nested()
                        && other.name() == leaf.name()
                        && (other.bit_offset, other.bits) == (leaf.bit_offset, leaf.bits)
                }
                (None, None) => true,
                _ => false,
            }
        };
        let others = detail.members.iter();
        let mut others = others
            .take(MAX_REPEATED)
            .filter(|other| is_same(old_leaf, other.old, old) && is_same(new_leaf, other.new, new));
        others.next().is_some()
    }
}

/// How many of the changes, from the first on, are members that have moved by the same distance and nothing else.
fn moved_together(detail: &Detail, changes: &[&MemberChange]) -> usize {
    let distance = |change: &&&MemberChange| {
        let (was, is) = leaves(detail, change).filter(|_| change.is_only_moved())?;
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
fn leaves<'d>(detail: &'d Detail, change: &MemberChange) -> Option<(&'d Leaf, &'d Leaf)> {
    let was = detail.leaves.0.all.get(change.old?)?;
    Some((was, detail.leaves.1.all.get(change.new?)?))
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
