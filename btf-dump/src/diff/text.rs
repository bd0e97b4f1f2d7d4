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

mod members;

use std::fmt::Write as _;
use std::io::Write as _;

use btf_core::TypeId;
use btf_core::cli::{Style, escape_name};
use rayon::prelude::*;

use super::spell::Spell;
use super::{Change, Counts, Detail, Diff, EnumeratorChange, Side, Sort, Value, What};

/// So many items are written by one thread at a time.
const CHUNK: usize = 256;

/// So many bytes are expected of each item.
const BYTES: usize = 128;

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
        .map_init(
            || Writer::new(diff, options),
            |writer, changes| {
                writer.restart();
                for change in changes {
                    writer.put(change);
                }
                std::mem::take(&mut writer.out)
            },
        )
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
}

impl<'d, 'b> Writer<'d, 'b> {
    fn new(diff: &'d Diff<'b>, options: Options) -> Self {
        Self {
            diff,
            options,
            old: Spell::new(diff.old),
            new: Spell::new(diff.new),
            out: Vec::new(),
        }
    }

    /// Starts a part, which does not depend on those before it.
    fn restart(&mut self) {
        self.old.restart();
        self.new.restart();
        self.out.reserve(CHUNK * BYTES);
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
        crate::put::number(&mut self.out, number);
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
        if detail.is_cut {
            self.line(Sign::Changed, 2, |writer| writer.put_str(CUT));
        }
        self.put_enumerators(detail.own_enumerators(), 2);
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

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
