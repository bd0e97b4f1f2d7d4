//! What was found and what was left out, in text for people and in JSON Lines for programs.
//!
//! Nothing here prints: the encoder fills these in, `main` prints them.
//!
//! # JSON Lines
//!
//! Each line is an object with a `type`. Offsets and sizes are numbers in bytes; addresses, which need 64 bits, are texts such
//! as `"0xffffffff81000000"`; a key `name` whose value is not UTF-8 stands as `name_base64`; a key without a value is
//! missing. Reasons and the `kind` of a finding are words that stay the same ([`Why::key`]); a `text` may change.
//!
//! | `type` | keys |
//! |---|---|
//! | `function` | `name`, `verdict` (`kept` or `dropped`), `rule`, `reasons[]` of `reason`, `text`, `detail`, `states`, `symbols`, `sightings` |
//! | … `states[]` | `unit`, `unit_name`, `die_offset`, `address`, `section`, `prototype`, `parameters[]` of `name`, `location` |
//! | … `symbols[]` | `name`, `address`, `section` |
//! | … `sightings`, of a function without a symbol | `units_with_code`, `units_without_code`, `units_declaring`, and where it is first: `unit`, `unit_name`, `die_offset` |
//! | `variable`, one that is left out | `name`, `unit`, `unit_name`, `die_offset`, `reason`, `text` |
//! | `finding` | `unit`, `unit_name`, `die_offset`, `kind`, `text` |
//! | `summary` | `output`, `units`, `units_excluded`, `dies`, `types`, `functions`, `variables`, `size_bytes`, `left_out[]` of `what`, `reason`, `text`, `count`, `phases[]` of `name`, `seconds`, `peak_memory_bytes` |
//!
//! The manual tells users the same, under JSON LINES.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use btf_core::cli::{
    JsonObject, count, escape_name, escape_text, json_line, peak_memory_bytes, seconds, size,
};

use crate::finding::{Finding, FindingKind};
use crate::reasons::Why;

/// The result of the encoder.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// The BTF, ready to be written.
    pub btf: Vec<u8>,
    /// What `btf` continues instead of the base that was given, if that was asked for: the contents of `.BTF.base`.
    pub distilled_base: Option<Vec<u8>>,
    /// The numbers at the end.
    pub summary: Summary,
    /// The phases in the order in which they ran; a part of `units` is called `units/part`.
    pub timings: Vec<(&'static str, Duration)>,
    /// What BTF cannot say or what is doubtful, by unit and offset.
    pub findings: Vec<Finding>,
    /// The names of the units, by their index.
    pub unit_names: Vec<Vec<u8>>,
    /// The functions that were asked for by name and, if a report was asked for, all that were left out; by name.
    pub functions: Vec<FunctionReport>,
    /// If a report was asked for, the variables that were left out, by unit and offset.
    pub variables: Vec<VariableReport>,
    /// The names that were asked for and that nothing in the input has, each with the most similar one that it has.
    pub unknown: Vec<(String, Option<String>)>,
}

impl Encoded {
    /// The name of a unit, empty if it has none.
    #[must_use]
    pub fn unit_name(&self, unit: u32) -> &[u8] {
        let index = usize::try_from(unit).unwrap_or(usize::MAX);
        self.unit_names.get(index).map_or(&[], Vec::as_slice)
    }
}

/// How far the encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does now, such as `reading units`.
    pub phase: &'static str,
    /// Steps of this phase that are done.
    pub done: u64,
    /// Steps of this phase.
    pub total: u64,
}

/// The numbers at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Where the BTF was written, which the encoder does not know.
    pub output: Option<PathBuf>,
    /// Units that were read.
    pub units: u64,
    /// Units that were not, because of their language.
    pub units_excluded: u64,
    /// Debugging information entries in the units that were read.
    pub dies: u64,
    /// Types in the output, functions and variables included.
    pub types: u64,
    /// FUNCs in the output.
    pub functions: u64,
    /// VARs in the output.
    pub variables: u64,
    /// The size of the output in bytes.
    pub size_bytes: u64,
    /// What is not in the output, one entry for each reason.
    pub left_out: Vec<LeftOut>,
}

/// How many were left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What they are, in the plural: `functions`, `variables`, `types`.
    pub what: &'static str,
    /// Why.
    pub reason: Why,
    /// How many.
    pub count: u64,
}

/// All that is known about a function, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionReport {
    /// Its name.
    pub name: Vec<u8>,
    /// Every place where it was seen, in input order.
    pub states: Vec<FunctionState>,
    /// The ELF symbols that belong to it, those with a suffix included.
    pub symbols: Vec<FunctionSymbol>,
    /// What became of it.
    pub verdict: FunctionVerdict,
    /// Of a function without a symbol, where it was seen.
    pub sightings: Option<Sightings>,
}

/// Where a function was seen that has no symbol: too many places, mostly, to list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Units with code of it.
    pub units_with_code: u64,
    /// Units that describe it, but without code: they inline it.
    pub units_without_code: u64,
    /// Units that only declare it.
    pub units_declaring: u64,
    /// The first place: the unit by index and name, and the offset of the entry in its section, in bytes.
    pub first: Option<(u32, Vec<u8>, u64)>,
}

/// A variable that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableReport {
    /// Its name.
    pub name: Vec<u8>,
    /// The index of the unit, from 0 in input order.
    pub unit: u32,
    /// The offset of its entry in the unit's section, in bytes.
    pub die_offset: u64,
    /// Why it is left out.
    pub reason: Why,
}

/// A place where a function was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionState {
    /// The index of the unit, from 0 in input order.
    pub unit: u32,
    /// The unit's name.
    pub unit_name: Vec<u8>,
    /// The offset of its entry in `.debug_info`, in bytes.
    pub die_offset: u64,
    /// The address of its code; none for an abstract instance.
    pub address: Option<u64>,
    /// In a relocatable file the name of the section that the address is an offset in.
    pub section: Option<Vec<u8>>,
    /// The prototype as C has it.
    pub prototype: String,
    /// Each parameter's name and where it is passed, such as `rdi`; nowhere if there is no code.
    pub parameters: Vec<(Vec<u8>, Option<String>)>,
}

/// An ELF symbol of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSymbol {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value: an address, or in a relocatable file an offset in its section.
    pub address: u64,
    /// In a relocatable file the name of its section.
    pub section: Option<Vec<u8>>,
}

/// What became of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionVerdict {
    /// It is in the output.
    Kept {
        /// The rule by which its state was chosen.
        rule: String,
    },
    /// It is not.
    Dropped {
        /// Everything that speaks against it; the last one is what pahole prints.
        reasons: Vec<Why>,
        /// What exactly, such as the parameter and its two types.
        detail: Option<String>,
    },
}

/// A finding in the unit of this name, as one line.
#[must_use]
pub fn finding_to_text(finding: &Finding, unit_name: &[u8]) -> String {
    let place = place(unit_name, finding.unit, finding.die_offset);
    format!("{place}: {}", finding.kind.message())
}

/// A finding in the unit of this name, as a line of JSON.
#[must_use]
pub fn finding_to_json(finding: &Finding, unit_name: &[u8]) -> String {
    json_line("finding", |line| {
        put_place(line, unit_name, finding.unit, finding.die_offset);
        line.text("kind", &kebab_case(finding.kind))
            .text("text", finding.kind.message());
    })
}

/// The name of a sort of finding in small letters with hyphens, which stays the same when the message does not.
fn kebab_case(kind: FindingKind) -> String {
    let mut out = String::new();
    for c in format!("{kind:?}").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Where an entry is: the unit by name, or by number if it has none, and the offset in `.debug_info`.
fn place(unit_name: &[u8], unit: u32, die_offset: u64) -> String {
    if unit_name.is_empty() {
        format!("unit {unit}, <{die_offset:#x}>")
    } else {
        format!("{}, <{die_offset:#x}>", escape_name(unit_name))
    }
}

fn put_place(line: &mut JsonObject<'_>, unit_name: &[u8], unit: u32, die_offset: u64) {
    line.number("unit", unit.into())
        .name("unit_name", unit_name)
        .number("die_offset", die_offset);
}

impl FunctionReport {
    /// Whether this is what somebody means who asks for `name`: a function, or one of its symbols with a suffix.
    #[must_use]
    pub fn answers(&self, name: &[u8]) -> bool {
        self.name == name || self.symbols.iter().any(|symbol| symbol.name == name)
    }

    /// Whether it is not in the output.
    #[must_use]
    pub const fn is_left_out(&self) -> bool {
        matches!(self.verdict, FunctionVerdict::Dropped { .. })
    }

    /// What became of the function and why, as one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let name = escape_name(&self.name);
        match &self.verdict {
            FunctionVerdict::Kept { rule } => format!("{name}: kept: {}", escape_text(rule)),
            FunctionVerdict::Dropped { reasons, detail } => {
                let detail = detail.as_ref().map_or(String::new(), |d| format!(" ({d})"));
                let reasons: Vec<_> = reasons.iter().map(|why| why.text).collect();
                format!("{name}: left out: {}{detail}", reasons.join(", "))
            }
        }
    }

    /// The report as a paragraph: what became of the function and why, then every place, then the symbols.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = self.headline();
        out.push('\n');
        let push = |out: &mut String, line: String| {
            out.push_str(line.trim_end());
            out.push('\n');
        };
        for state in &self.states {
            let place = place(&state.unit_name, state.unit, state.die_offset);
            let address = match state.address {
                None => "without code (inline instance)".to_owned(),
                Some(value) => format!("at {}", address(value, state.section.as_deref())),
            };
            push(&mut out, format!("  seen in {place} {address}"));
            push(
                &mut out,
                format!("    {}", escape_name(state.prototype.as_bytes())),
            );
            for (name, location) in &state.parameters {
                let name = escape_name(name);
                let line = match location {
                    None => format!("      {name}"),
                    Some(location) => format!("      {name}: {location}"),
                };
                push(&mut out, line);
            }
        }
        if let Some(sightings) = &self.sightings {
            for line in sightings.lines() {
                push(&mut out, format!("  {line}"));
            }
        } else if self.states.is_empty() {
            push(&mut out, "  seen in no unit".into());
        }
        for symbol in &self.symbols {
            let address = address(symbol.address, symbol.section.as_deref());
            let name = escape_name(&symbol.name);
            push(&mut out, format!("  symbol {name} at {address}"));
        }
        if self.symbols.is_empty() {
            push(&mut out, "  no symbol of this name".into());
        }
        out
    }

    /// The report as a line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        json_line("function", |line| {
            line.name("name", &self.name);
            match &self.verdict {
                FunctionVerdict::Kept { rule } => {
                    line.text("verdict", "kept").text("rule", rule);
                }
                FunctionVerdict::Dropped { reasons, detail } => {
                    line.text("verdict", "dropped");
                    line.array("reasons", |array| {
                        for reason in reasons {
                            array.object(|object| put_why(object, *reason));
                        }
                    });
                    if let Some(detail) = detail {
                        line.text("detail", detail);
                    }
                }
            }
            line.array("states", |array| {
                for state in &self.states {
                    array.object(|object| state.put(object));
                }
            });
            line.array("symbols", |array| {
                for symbol in &self.symbols {
                    array.object(|object| {
                        object.name("name", &symbol.name);
                        put_address(object, Some(symbol.address), symbol.section.as_deref());
                    });
                }
            });
            if let Some(sightings) = &self.sightings {
                line.object("sightings", |object| sightings.put(object));
            }
        })
    }
}

impl FunctionState {
    fn put(&self, object: &mut JsonObject<'_>) {
        put_place(object, &self.unit_name, self.unit, self.die_offset);
        put_address(object, self.address, self.section.as_deref());
        object.text("prototype", &self.prototype);
        object.array("parameters", |array| {
            for (name, location) in &self.parameters {
                array.object(|object| {
                    object.name("name", name);
                    if let Some(location) = location {
                        object.text("location", location);
                    }
                });
            }
        });
    }
}

impl Sightings {
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (count, how) in [
            (self.units_with_code, "with code"),
            (self.units_without_code, "without code"),
            (self.units_declaring, "only declared"),
        ] {
            if count > 0 {
                lines.push(format!("{how} in {}", counted(count, "units")));
            }
        }
        if let Some((unit, unit_name, die_offset)) = &self.first {
            lines.push(format!("first in {}", place(unit_name, *unit, *die_offset)));
        }
        lines
    }

    fn put(&self, object: &mut JsonObject<'_>) {
        object
            .number("units_with_code", self.units_with_code)
            .number("units_without_code", self.units_without_code)
            .number("units_declaring", self.units_declaring);
        if let Some((unit, unit_name, die_offset)) = &self.first {
            put_place(object, unit_name, *unit, *die_offset);
        }
    }
}

impl VariableReport {
    /// The report as one line; `unit_name` is that of its unit.
    #[must_use]
    pub fn to_text(&self, unit_name: &[u8]) -> String {
        let place = place(unit_name, self.unit, self.die_offset);
        let name = match self.name.as_slice() {
            b"" => "variable".into(),
            name => escape_name(name),
        };
        format!("{name}: left out: {}: seen in {place}", self.reason.text)
    }

    /// The report as a line of JSON.
    #[must_use]
    pub fn to_json(&self, unit_name: &[u8]) -> String {
        json_line("variable", |line| {
            line.name("name", &self.name);
            put_place(line, unit_name, self.unit, self.die_offset);
            put_why(line, self.reason);
        })
    }
}

fn address(address: u64, section: Option<&[u8]>) -> String {
    match section {
        None => format!("{address:#x}"),
        Some(section) => format!("{address:#x} in {}", escape_name(section)),
    }
}

fn put_address(object: &mut JsonObject<'_>, address: Option<u64>, section: Option<&[u8]>) {
    if let Some(address) = address {
        object.hex("address", address);
    }
    if let Some(section) = section {
        object.name("section", section);
    }
}

fn put_why(object: &mut JsonObject<'_>, why: Why) {
    object.text("reason", why.key).text("text", why.text);
}

/// A number and what there are so many of, given in the plural.
fn counted(number: u64, what: &str) -> String {
    let what = match number {
        1 => what.strip_suffix('s').unwrap_or(what),
        _ => what,
    };
    format!("{} {what}", count(number))
}

/// How many reasons the summary names; the rest is one line.
const TOP_REASONS: usize = 8;

impl Summary {
    /// Adds the numbers of another input.
    pub fn add(&mut self, other: &Self) {
        self.units += other.units;
        self.units_excluded += other.units_excluded;
        self.dies += other.dies;
        self.types += other.types;
        self.functions += other.functions;
        self.variables += other.variables;
        self.size_bytes += other.size_bytes;
        for entry in &other.left_out {
            let is_it = |own: &&mut LeftOut| (own.what, own.reason) == (entry.what, entry.reason);
            match self.left_out.iter_mut().find(is_it) {
                Some(own) => own.count += entry.count,
                None => self.left_out.push(entry.clone()),
            }
        }
    }

    /// The reasons, the most frequent first, and by name where two are as frequent.
    fn ranked(&self) -> Vec<&LeftOut> {
        let mut ranked: Vec<_> = self
            .left_out
            .iter()
            .filter(|entry| entry.count > 0)
            .collect();
        ranked.sort_by_key(|entry| (std::cmp::Reverse(entry.count), entry.what, entry.reason));
        ranked
    }

    /// The summary, one screen at most: what was read and written, what was left out and why, time and memory.
    ///
    /// `findings` is how many there are beside.
    #[must_use]
    pub fn to_text(&self, findings: usize, elapsed: Duration) -> String {
        let mut out = String::new();
        let mut line = |label: &str, text: String| {
            let _ = writeln!(out, "{label:>10}  {text}");
        };
        if let Some(output) = &self.output {
            line(
                "output",
                match output.as_os_str().as_bytes() {
                    b"-" => "standard output".to_owned(),
                    path => escape_name(path).into_owned(),
                },
            );
        }
        let excluded = match self.units_excluded {
            0 => String::new(),
            excluded => format!(", {} left out by language", count(excluded)),
        };
        line("units", format!("{}{excluded}", count(self.units)));
        line(
            "types",
            format!("{} in {}", count(self.types), size(self.size_bytes)),
        );
        line("functions", count(self.functions));
        line("variables", count(self.variables));
        let ranked = self.ranked();
        for entry in ranked.iter().take(TOP_REASONS) {
            line(
                "left out",
                format!(
                    "{}: {}",
                    counted(entry.count, entry.what),
                    entry.reason.text
                ),
            );
        }
        if let Some(rest) = ranked.get(TOP_REASONS..).filter(|rest| !rest.is_empty()) {
            let total = rest.iter().map(|entry| entry.count).sum();
            line(
                "left out",
                format!(
                    "{} more for {}",
                    count(total),
                    counted(rest.len() as u64, "other reasons")
                ),
            );
        }
        if findings > 0 {
            line(
                "findings",
                format!("{}, listed by `-v`", count(findings as u64)),
            );
        }
        let memory = peak_memory_bytes();
        let memory = memory.map_or(String::new(), |bytes| {
            format!(", {} peak memory", size(bytes))
        });
        line("time", format!("{}{memory}", seconds(elapsed)));
        out
    }

    /// The summary as a line of JSON.
    #[must_use]
    pub fn to_json(&self, phases: &[(&'static str, Duration)]) -> String {
        json_line("summary", |line| {
            if let Some(output) = &self.output {
                line.name("output", output.as_os_str().as_bytes());
            }
            line.number("units", self.units)
                .number("units_excluded", self.units_excluded)
                .number("dies", self.dies)
                .number("types", self.types)
                .number("functions", self.functions)
                .number("variables", self.variables)
                .number("size_bytes", self.size_bytes)
                .array("left_out", |array| {
                    for entry in self.ranked() {
                        array.object(|object| {
                            object.text("what", entry.what);
                            put_why(object, entry.reason);
                            object.number("count", entry.count);
                        });
                    }
                })
                .array("phases", |array| {
                    for &(name, time) in phases {
                        array.object(|object| {
                            object.text("name", name).seconds("seconds", time);
                        });
                    }
                });
            if let Some(bytes) = peak_memory_bytes() {
                line.number("peak_memory_bytes", bytes);
            }
        })
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
