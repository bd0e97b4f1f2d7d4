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

use btf_core::TypeId;
use btf_core::cli::{Style, escape_name};
use rayon::prelude::*;

use super::spell::Spell;
use super::{Change, Counts, Detail, Diff, Leaf, Leaves, MemberChange, Side, Sort, Value, What};

/// So many items are written by one thread at a time.
const CHUNK: usize = 256;

/// So many bytes are expected of each item.
const BYTES: usize = 128;

/// As many members that have moved together are listed one by one.
const FEW: usize = 2;

/// Among so many changes of a structure those are looked for that say the same twice.
const MAX_REPEATED: usize = 512;

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
pub fn write(diff: &Diff<'_>, changes: &[&Change], options: Options) -> Vec<String> {
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
    out: String,
    /// Room for one name or type.
    buffer: Vec<u8>,
}

impl<'d, 'b> Writer<'d, 'b> {
    fn new(diff: &'d Diff<'b>, options: Options) -> Self {
        Self {
            diff,
            options,
            old: Spell::new(diff.old),
            new: Spell::new(diff.new),
            out: String::with_capacity(CHUNK * BYTES),
            buffer: Vec::new(),
        }
    }

    /// Writes a line that starts with a sign.
    fn line(&mut self, sign: Sign, indent: usize, text: impl std::fmt::Display) {
        let style = sign.style();
        if self.options.colors {
            self.out.push_str(style.sequence());
        }
        self.out.push_str(&"  "[..indent]);
        self.out.push_str(sign.text());
        self.out.push(' ');
        // Writing to a string does not fail.
        let _ = write!(self.out, "{text}");
        if self.options.colors {
            self.out.push_str(Style::END);
        }
        self.out.push('\n');
    }

    fn put(&mut self, change: &Change) {
        match &change.what {
            What::Added(id) => self.put_whole(Sign::Added, change, *id),
            What::Removed(id) => self.put_whole(Sign::Removed, change, *id),
            What::Changed(old, new, detail) => self.put_changed(change, (*old, *new), detail),
            What::Through(_, new, cause) => {
                let title = self.title(change, *new);
                let cause = self.text(|writer, out| writer.new.put_title(out, *cause));
                self.line(Sign::Through, 0, format_args!("{title}: through {cause}"));
            }
        }
    }

    /// What `put` appends, escaped.
    fn text(&mut self, put: impl FnOnce(&mut Self, &mut Vec<u8>)) -> String {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        put(self, &mut buffer);
        let text = escape_name(&buffer).into_owned();
        self.buffer = buffer;
        text
    }

    /// What an item of the new blob is called, with its sort.
    fn title(&mut self, change: &Change, id: TypeId) -> String {
        let title = self.text(|writer, out| writer.new.put_title(out, id));
        match change.sort {
            Sort::Struct | Sort::Union | Sort::Enum => title,
            Sort::Forward => format!("forward {title}"),
            Sort::Typedef | Sort::Number | Sort::Func | Sort::Var => {
                format!("{} {title}", change.word())
            }
        }
    }

    /// Writes an item that only one blob has.
    fn put_whole(&mut self, sign: Sign, change: &Change, id: TypeId) {
        let is_new = sign == Sign::Added;
        let text = self.text(|writer, out| {
            let spell = if is_new {
                &mut writer.new
            } else {
                &mut writer.old
            };
            spell.put_item(out, id);
        });
        let side = if is_new { self.diff.new } else { self.diff.old };
        match (change.sort, side.ty(id).own_size()) {
            (Sort::Func, _) => self.line(sign, 0, format_args!("{} {text}", change.word())),
            (Sort::Var, _) => self.line(sign, 0, format_args!("var {text}")),
            (Sort::Forward, _) => self.line(sign, 0, format_args!("forward {text}")),
            (Sort::Number, Some(size)) => {
                self.line(
                    sign,
                    0,
                    format_args!("number {text}: {}", bytes(size.into())),
                );
            }
            (_, Some(size)) => self.line(sign, 0, format_args!("{text}: {}", bytes(size.into()))),
            (_, None) => self.line(sign, 0, text),
        }
    }

    fn put_changed(&mut self, change: &Change, (old, new): (TypeId, TypeId), detail: &Detail) {
        let mut title = self.title(change, new);
        match detail.size {
            Some((a, b)) if a != b => {
                let _ = write!(title, ": {a} -> {}", bytes(b));
            }
            _ => {}
        }
        self.line(Sign::Changed, 0, &title);
        for words in &detail.words {
            let (was, is) = (
                escape_name(&words.old).into_owned(),
                escape_name(&words.new).into_owned(),
            );
            let text = format!("{}: {} -> {}", words.what, or_none(&was), or_none(&is));
            self.line(Sign::Changed, 2, &text);
        }
        let is_respelled =
            detail.ty.is_some() || detail.result.is_some() || !detail.params.is_empty();
        if is_respelled {
            let was = self.text(|writer, out| writer.old.put_item(out, old));
            let is = self.text(|writer, out| writer.new.put_item(out, new));
            self.line(Sign::Removed, 2, &was);
            self.line(Sign::Added, 2, &is);
        }
        self.put_members(detail);
        self.put_enumerators(detail);
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
            .zip(run.last())
            .map(|(first, last)| (*first, *last));
        let Some((first, last)) = ends else { return };
        let Some((was, is)) = leaves(detail, first) else {
            return;
        };
        let name = |writer: &mut Self, change: &MemberChange| {
            let leaf = leaves(detail, change).map(|(_, is)| *is);
            leaf.map_or_else(String::new, |leaf| {
                writer.text(|writer, out| detail.leaves.1.put_name(writer.new.side(), &leaf, out))
            })
        };
        let (from, to) = (name(self, first), name(self, last));
        let by = moved_by(was, is);
        let text = format!(
            "{:>7} {:>7}  {} members, {from} to {to}: moved by {by}",
            place(was),
            place(is),
            run.len()
        );
        self.line(Sign::Changed, 2, &text);
    }

    fn put_member(&mut self, detail: &Detail, change: &MemberChange) {
        let old = change.old.and_then(|index| detail.leaves.0.all.get(index));
        let new = change.new.and_then(|index| detail.leaves.1.all.get(index));
        let was = old.map(|leaf| self.declaration(detail, leaf, false));
        let is = new.map(|leaf| self.declaration(detail, leaf, true));
        match (old.zip(was), new.zip(is)) {
            (Some((old, _)), Some((new, is))) if !change.is_retyped && !change.is_renamed => {
                let mut text = format!("{:>7} {:>7}  {is};", place(old), place(new));
                if change.is_moved {
                    let _ = write!(text, "  moved by {}", moved_by(old, new));
                }
                if change.is_resized {
                    let size = |side: &Side<'_>, leaf: &Leaf| side.size_of(leaf.ty).unwrap_or(0);
                    let (was, is) = (size(self.diff.old, old), size(self.diff.new, new));
                    let _ = write!(text, "  {was} -> {}", bytes(is));
                }
                self.line(Sign::Changed, 2, &text);
            }
            (old, new) => {
                let note = if change.is_renamed { "  renamed" } else { "" };
                if let Some((leaf, was)) = old {
                    let text = format_args!("{:>7} {:>7}  {was};", place(leaf), "");
                    self.line(Sign::Removed, 2, text);
                }
                if let Some((leaf, is)) = new {
                    let text = format_args!("{:>7} {:>7}  {is};{note}", "", place(leaf));
                    self.line(Sign::Added, 2, text);
                }
            }
        }
    }

    /// A member as C declares it.
    fn declaration(&mut self, detail: &Detail, leaf: &Leaf, is_new: bool) -> String {
        let mut text = self.text(|writer, out| {
            let mut name = Vec::new();
            let (leaves, spell) = if is_new {
                (&detail.leaves.1, &mut writer.new)
            } else {
                (&detail.leaves.0, &mut writer.old)
            };
            leaves.put_name(spell.side(), leaf, &mut name);
            spell.put_declaration(out, leaf.ty, &name);
        });
        if let Some(bits) = leaf.bits {
            let _ = write!(text, ":{bits}");
        }
        text
    }

    fn put_enumerators(&mut self, detail: &Detail) {
        for change in &detail.enumerators {
            let (old, new) = (self.diff.old, self.diff.new);
            let text = |side: &Side<'_>, value: Value| {
                format!("{} = {value}", escape_name(side.name(value.name)))
            };
            if let Some(value) = change.old {
                self.line(Sign::Removed, 2, text(old, value));
            }
            if let Some(value) = change.new {
                let note = if change.is_renamed { "  renamed" } else { "" };
                self.line(Sign::Added, 2, format!("{}{note}", text(new, value)));
            }
        }
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
        let is_same_width = was.bits == is.bits;
        is_same_width.then(|| i64::from(is.bit_offset) - i64::from(was.bit_offset))
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

/// Where a member lies: the byte, and of a bitfield the bit in it.
#[must_use]
pub fn place(leaf: &Leaf) -> String {
    let (byte, bit) = (leaf.bit_offset / 8, leaf.bit_offset % 8);
    if leaf.bits.is_some() || bit != 0 {
        format!("{byte}:{bit}")
    } else {
        byte.to_string()
    }
}

/// How far a member has moved.
fn moved_by(was: &Leaf, is: &Leaf) -> String {
    let bits = i64::from(is.bit_offset) - i64::from(was.bit_offset);
    if bits % 8 == 0 {
        format!("{:+}", bits / 8)
    } else {
        format!("{bits:+} bits")
    }
}

fn bytes(size: u64) -> String {
    let unit = if size == 1 { "byte" } else { "bytes" };
    format!("{size} {unit}")
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
