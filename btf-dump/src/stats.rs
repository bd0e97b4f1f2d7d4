//! Counts what BTF consists of, and what of it could go: strings that nothing uses, types that are there twice, types that the
//! base has.
//!
//! Types are equal if no way from one of them leads to a difference; the merge engine answers that for all of them at once
//! ([`Base::first_equal`]).
//!
//! In JSON each blob is a line `{"type":"stats", …}`: `file`, `types`, `bytes`, `kinds` (for each kind `kind`, `types`, `bytes`),
//! `strings` (`strings`, `bytes`, `unused`, `unused_bytes`, `shareable`, `shareable_bytes`, `in_base`), `duplicates` and `in_base` (each
//! `types`, `bytes`), `names`, those with several definitions: `kind`, `name`, `ids`, `path` and `difference`, which say how
//! the first two differ, and, of split BTF, in the same way `redefined`: the names that the base has for something else.

mod differ;
mod redefined;
mod strings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use btf_core::cli::sources::Source;
use btf_core::cli::{
    Printer, Stream, Style, count, escape_name, escape_text, json_line, plural, size,
};
use btf_core::dedup::Base;
use btf_core::ext::BtfExt;
use btf_core::kind::Kind;
use btf_core::{Btf, Result, TypeId};

use crate::c::merge::fragment_of;
use crate::names::Names;
use differ::{BUDGET, first_difference};
use redefined::{has_definitions, redefined};
use strings::StringStats;

/// How many names with several definitions the text shows unless all are asked for.
const MAX_SHOWN: usize = 10;

/// A number of types and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many there are.
    pub types: u64,
    /// How many bytes their records have.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, record: &[u32]) {
        self.types += 1;
        self.bytes += 4 * record.len() as u64;
    }
}

/// A name that stands for several different types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homonym {
    /// The kind of the types.
    pub kind: Kind,
    /// The types, no two of them equal.
    pub ids: Vec<TypeId>,
    /// The way to the first difference between the first two, such as `.next->lock`.
    pub path: String,
    /// What differs there.
    pub difference: String,
}

/// What BTF consists of.
#[derive(Clone, Debug)]
pub struct Stats {
    /// All own types.
    pub total: Amount,
    /// The own types by kind.
    pub kinds: BTreeMap<Kind, Amount>,
    /// The own strings.
    pub strings: StringStats,
    /// Own types that equal a former own one.
    pub duplicates: Amount,
    /// Own types that equal one of the base.
    pub in_base: Amount,
    /// Names of structures, unions, enumerations and typedefs with several own definitions.
    pub homonyms: Vec<Homonym>,
    /// Such names that the base has for something else, each with the first own type and one of the base; the nearest difference comes first.
    pub redefined: Vec<Homonym>,
}

impl Stats {
    /// Counts the own types and strings of `btf`; strings that `ext` uses are used.
    ///
    /// # Errors
    /// A type id, name or kind that does not exist.
    pub fn of(btf: &Btf, ext: Option<&BtfExt>) -> Result<Self> {
        let equal = Base::new(fragment_of(btf)?);
        let mut stats = Self {
            total: Amount::default(),
            kinds: BTreeMap::new(),
            strings: StringStats::of(btf, ext),
            duplicates: Amount::default(),
            in_base: Amount::default(),
            homonyms: Vec::new(),
            redefined: Vec::new(),
        };
        let mut names = Names::new(btf);
        let mut named: BTreeMap<(&[u8], Kind), Vec<TypeId>> = BTreeMap::new();
        for (id, record) in btf.records() {
            let ty = btf.ty(id)?;
            let Some(kind) = ty.kind() else { continue };
            stats.total.add(record);
            stats.kinds.entry(kind).or_default().add(record);
            let first = equal.first_equal(id);
            if first.0 < btf.first_id() {
                stats.in_base.add(record);
            } else if first != id {
                stats.duplicates.add(record);
            }
            if has_definitions(kind) && first == id && ty.name().0 != 0 {
                let name = names.get(ty.name());
                if !name.is_cut {
                    named.entry((name.bytes, kind)).or_default().push(id);
                }
            }
        }
        let mut budget = BUDGET;
        let several = named.iter().filter(|(_, ids)| ids.len() > 1);
        for (&(_, kind), ids) in several {
            let (path, difference) = match ids[..] {
                [one, other, ..] => first_difference(btf, &equal, one, other, &mut budget),
                _ => continue,
            };
            stats.homonyms.push(Homonym {
                kind,
                ids: ids.clone(),
                path,
                difference,
            });
        }
        stats.redefined = redefined(btf, &equal, &named, &mut names, &mut budget)?;
        Ok(stats)
    }

    /// The counts as text.
    #[must_use]
    pub fn text(&self, source: &Source, printer: &Printer) -> String {
        let paint = |style, text: &str| printer.paint(Stream::Out, style, text);
        let title = paint(Style::Heading, &escape_text(&source.title()));
        let mut out = format!("{title}: {}\n", self.total.text());
        for (kind, amount) in &self.kinds {
            let (types, bytes) = (count(amount.types), size(amount.bytes));
            out += &format_row(&kind.name().to_lowercase(), &types, &bytes);
        }
        let strings = &self.strings;
        out += &format_row("strings", &count(strings.strings), &size(strings.bytes));
        if strings.unused > 0 {
            out += &format_row(
                "  unused",
                &count(strings.unused),
                &size(strings.unused_bytes),
            );
        }
        if strings.shareable > 0 {
            let bytes = size(strings.shareable_bytes);
            out += &format_row("  ends of others", &count(strings.shareable), &bytes);
        }
        if strings.in_base > 0 {
            out += &format_row("  in the base", &count(strings.in_base), "");
        }
        if self.duplicates.types > 0 {
            let (types, bytes) = (count(self.duplicates.types), size(self.duplicates.bytes));
            out += &format_row("types there twice", &types, &bytes);
        }
        if self.in_base.types > 0 {
            let (types, bytes) = (count(self.in_base.types), size(self.in_base.bytes));
            out += &format_row("types in the base", &types, &bytes);
        }
        let several = "with several definitions";
        put_homonyms(&self.homonyms, several, source, printer, &mut out);
        let redefined = "for which the base has something else";
        put_homonyms(&self.redefined, redefined, source, printer, &mut out);
        out
    }

    /// The counts as a line of JSON.
    #[must_use]
    pub fn json(&self, source: &Source) -> String {
        json_line("stats", |line| {
            line.name("file", source.path.as_os_str().as_encoded_bytes());
            if let Some(part) = source.part {
                line.number("blob", part.number as u64);
            }
            line.number("types", self.total.types);
            line.number("bytes", self.total.bytes);
            line.array("kinds", |kinds| {
                for (kind, amount) in &self.kinds {
                    kinds.object(|line| {
                        line.text("kind", kind.name());
                        line.number("types", amount.types)
                            .number("bytes", amount.bytes);
                    });
                }
            });
            let strings = &self.strings;
            line.object("strings", |line| {
                line.number("strings", strings.strings)
                    .number("bytes", strings.bytes);
                line.number("unused", strings.unused);
                line.number("unused_bytes", strings.unused_bytes);
                line.number("shareable", strings.shareable);
                line.number("shareable_bytes", strings.shareable_bytes);
                line.number("in_base", strings.in_base);
            });
            for (key, amount) in [("duplicates", self.duplicates), ("in_base", self.in_base)] {
                line.object(key, |line| {
                    line.number("types", amount.types)
                        .number("bytes", amount.bytes);
                });
            }
            for (key, homonyms) in [("names", &self.homonyms), ("redefined", &self.redefined)] {
                line.array(key, |names| {
                    for homonym in homonyms {
                        names.object(|line| {
                            line.text("kind", homonym.kind.name());
                            let name = homonym.ids.first().map(|&id| source.btf.name(id));
                            line.name("name", name.and_then(Result::ok).unwrap_or_default());
                            line.array("ids", |ids| {
                                for id in &homonym.ids {
                                    ids.number(id.0.into());
                                }
                            });
                            line.text("path", &homonym.path);
                            line.text("difference", &homonym.difference);
                        });
                    }
                });
            }
        })
    }
}

impl Amount {
    fn text(self) -> String {
        format!("{}, {}", plural(self.types, "type"), size(self.bytes))
    }
}

/// A line of the table: what, how many, how much.
fn format_row(what: &str, number: &str, bytes: &str) -> String {
    let line = format!("  {what:<20}{number:>12}{bytes:>12}");
    format!("{}\n", line.trim_end())
}

/// Names, in so many words, and how the first two types of each differ.
fn put_homonyms(
    homonyms: &[Homonym],
    what: &str,
    source: &Source,
    printer: &Printer,
    out: &mut String,
) {
    if homonyms.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {} {what}", plural(homonyms.len() as u64, "name"));
    let limit = if printer.verbosity() > 0 {
        usize::MAX
    } else {
        MAX_SHOWN
    };
    for homonym in homonyms.iter().take(limit) {
        let name = homonym.ids.first().map(|&id| source.btf.name(id));
        let name = name.and_then(Result::ok).unwrap_or_default();
        let name = printer.paint(Stream::Out, Style::Name, &escape_name(name));
        let kind = homonym.kind.name().to_lowercase();
        let ids: Vec<_> = homonym
            .ids
            .iter()
            .take(4)
            .map(ToString::to_string)
            .collect();
        let more = if homonym.ids.len() > ids.len() {
            " …"
        } else {
            ""
        };
        let ids = ids.join(" ");
        let difference = escape_text(&homonym.difference);
        let _ = write!(out, "    {kind} {name} {ids}{more}: ");
        if !homonym.path.is_empty() {
            let _ = write!(out, "{}: ", escape_text(&homonym.path));
        }
        let _ = writeln!(out, "{difference}");
    }
    let hidden = homonyms.len().saturating_sub(limit);
    if hidden > 0 {
        let line = format!("    … {} more; -v shows all", count(hidden as u64));
        *out += &printer.paint(Stream::Out, Style::Faint, &line);
        out.push('\n');
    }
}
