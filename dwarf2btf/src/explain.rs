//! Explanations: for a function that was asked for, every place where it was seen and the rule that decided.
//!
//! Equal states have collapsed while units were read, so the units are read once more; only whoever asks pays for that.
#![expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer units than 2^31, which take at least a header each"
)]

use std::cell::Cell;
use std::collections::HashSet;

use btf_core::cli::nearest;
use btf_core::dedup::Name;
use btf_core::{Info, Kind, Result, TypeId};

use crate::abi;
use crate::choose::{self, Choice};
use crate::functions::{Outcome, Verdict};
use crate::locations::Place;
use crate::names::FastMap;
use crate::options::Options;
use crate::reasons::Why;
use crate::report::{
    FunctionReport, FunctionState, FunctionSymbol, FunctionVerdict, Sightings, VariableReport,
};
use crate::symbols::{FunctionKey, FunctionTable};
use crate::unit::{Context, UnitReader, UnitState};
use crate::unit_functions::{Candidates, UnitFunctions, full_name};
use crate::variables::VariableReason;
use crate::workers::Harvest;

/// What is explained.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    /// The functions that `options` ask for, by name; those without a symbol come last.
    pub(crate) functions: Vec<FunctionReport>,
    /// The names that nothing has, each with the most similar one.
    pub(crate) unknown: Vec<(String, Option<String>)>,
}

/// The reports that `options` ask for.
///
/// # Errors
/// Those of reading the units, which have been read before.
pub(crate) fn reports(
    context: &Context<'_, '_>,
    candidates: &Candidates<'_>,
    table: &FunctionTable<'_>,
    choice: &Choice<'_>,
    options: &Options,
) -> Result<Explained> {
    let is_wanted = |key: FunctionKey, verdict: Option<&Verdict>| {
        options.explains(table.name(key))
            || table
                .symbols(key)
                .iter()
                .any(|symbol| options.explains(symbol.name))
            || options.report && verdict.is_some_and(|verdict| verdict.outcome == Outcome::Dropped)
    };
    let verdicts: FastMap<u32, &Verdict> = choice
        .verdicts
        .iter()
        .map(|(key, verdict)| (key.0, verdict))
        .collect();
    let mut reports: FastMap<u32, FunctionReport> = FastMap::default();
    for key in table.keys() {
        let verdict = verdicts.get(&key.0).copied();
        if is_wanted(key, verdict) {
            reports.insert(key.0, new_report(context, table, key, verdict));
        }
    }
    let mut missing = Missing::new(context, options, |asked| {
        reports.values().any(|report| report.answers(asked))
    });
    if reports.is_empty() && missing.asked.is_empty() {
        return Ok(Explained::default());
    }
    let mut reader = UnitReader::new(context);
    let mut functions = UnitFunctions::default();
    let mut found = Vec::new();
    for unit in 0..context.units.all.len() as u32 {
        let Some(state) = reader.read(unit)? else {
            continue;
        };
        missing.look(&reader, &state);
        functions.list_candidates(candidates, &mut reader, &state, &mut found);
        for candidate in &found {
            let Some(report) = reports.get_mut(&candidate.key.0) else {
                continue;
            };
            report.states.push(FunctionState {
                unit,
                unit_name: context.names.bytes(state.name),
                die_offset: candidate.die_offset,
                address: (candidate.low_pc != 0 || candidate.section.is_some())
                    .then_some(candidate.low_pc),
                section: section_name(context, candidate.section),
                prototype: prototype(&reader, candidate.proto, &report.name),
                parameters: functions.locations(candidate, &reader),
            });
        }
    }
    let mut sorted: Vec<(u32, FunctionReport)> = reports.drain().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut reports: Vec<FunctionReport> = sorted.into_iter().map(|(_, report)| report).collect();
    for report in &mut reports {
        set_rule(report);
    }
    let (without_symbol, unknown) = missing.finish(context, table);
    reports.extend(without_symbol);
    Ok(Explained {
        functions: reports,
        unknown,
    })
}

/// Names that were asked for and that the symbol table does not have.
struct Missing {
    asked: Vec<(String, Name, Sightings)>,
    /// The names of all functions that units describe, if any name is asked for.
    described: HashSet<Name>,
}

impl Missing {
    fn new(context: &Context<'_, '_>, options: &Options, is_there: impl Fn(&[u8]) -> bool) -> Self {
        let mut asked: Vec<(String, Name, Sightings)> = Vec::new();
        for text in &options.explain {
            if !is_there(text.as_bytes()) && asked.iter().all(|(known, ..)| known != text) {
                let name = context.names.of_new(text.as_bytes());
                asked.push((text.clone(), name, Sightings::default()));
            }
        }
        Self {
            asked,
            described: HashSet::new(),
        }
    }

    /// Looks for the names in the unit that `reader` has just read.
    fn look(&mut self, reader: &UnitReader<'_, '_>, state: &UnitState<'_>) {
        if self.asked.is_empty() {
            return;
        }
        // With code, without, declared; and where it is first.
        let mut seen = vec![([false; 3], None); self.asked.len()];
        for subprogram in &reader.subprograms {
            if subprogram.foreign_unit.is_some() {
                continue;
            }
            let name = full_name(reader, subprogram);
            self.described.insert(name);
            let is_it = |(_, asked, _): &(String, Name, Sightings)| *asked == name;
            let Some(index) = self.asked.iter().position(is_it) else {
                continue;
            };
            let (how, first) = &mut seen[index];
            let which = match subprogram.low_pc {
                Some(_) => 0,
                None if subprogram.is_declaration => 2,
                None => 1,
            };
            how[which] = true;
            first.get_or_insert(state.unit.range.start as u64 + u64::from(subprogram.die));
        }
        for ((_, _, sightings), (how, first)) in self.asked.iter_mut().zip(seen) {
            match how {
                [true, ..] => sightings.units_with_code += 1,
                [_, true, _] => sightings.units_without_code += 1,
                [_, _, true] => sightings.units_declaring += 1,
                [false, false, false] => {}
            }
            if let (None, Some(die_offset)) = (&sightings.first, first) {
                let unit_name = reader.context.names.bytes(state.name);
                sightings.first = Some((state.index, unit_name, die_offset));
            }
        }
    }

    /// What was seen, and what was not, with suggestions.
    fn finish(
        self,
        context: &Context<'_, '_>,
        table: &FunctionTable<'_>,
    ) -> (Vec<FunctionReport>, Vec<(String, Option<String>)>) {
        let (mut reports, mut unknown) = (Vec::new(), Vec::new());
        let mut known = None;
        for (asked, _, sightings) in self.asked {
            if sightings.first.is_some() {
                reports.push(report_without_symbol(asked, sightings));
                continue;
            }
            let known: &Vec<String> = known.get_or_insert_with(|| {
                let described = self.described.iter().map(|&name| context.names.bytes(name));
                let symbols = table.keys().map(|key| table.name(key).to_vec());
                let all = described.chain(symbols).map(String::from_utf8);
                let mut all: Vec<String> = all.filter_map(Result::ok).collect();
                all.sort_unstable();
                all
            });
            // Of a symbol with another suffix than there is, the function is what was meant.
            let base = asked.split('.').next().unwrap_or_default();
            let near = match known.binary_search_by(|name| name.as_str().cmp(base)) {
                Ok(at) => known.get(at).map(String::as_str),
                Err(_) => nearest(&asked, known.iter().map(String::as_str)),
            };
            let near = near.map(str::to_owned);
            unknown.push((asked, near));
        }
        (reports, unknown)
    }
}

/// The report on a function that units have, but not the symbol table.
fn report_without_symbol(name: String, sightings: Sightings) -> FunctionReport {
    let why = if sightings.units_with_code > 0 {
        Why::NO_SYMBOL
    } else if sightings.units_without_code > 0 {
        Why::INLINED
    } else {
        Why::DECLARED
    };
    FunctionReport {
        name: name.into_bytes(),
        states: Vec::new(),
        symbols: Vec::new(),
        verdict: FunctionVerdict::Dropped {
            reasons: vec![why],
            detail: None,
        },
        sightings: Some(sightings),
    }
}

/// The variables that are left out, by unit and offset.
pub(crate) fn variables(
    context: &Context<'_, '_>,
    choice: &Choice<'_>,
    harvest: &Harvest,
) -> Vec<VariableReport> {
    let report = |name, unit, die_offset, reason: VariableReason| VariableReport {
        name: context.names.bytes(name),
        unit,
        die_offset,
        reason: reason.into(),
    };
    let unplaced = harvest.left_out_variables.iter();
    let unplaced = unplaced.map(|v| report(v.name, v.unit, v.die_offset, v.reason));
    let overlapping = choice.overlapping.iter().filter_map(|&(index, reason)| {
        let variable = harvest.variables.get(index)?;
        Some(report(
            variable.name,
            variable.unit,
            variable.die_offset,
            reason,
        ))
    });
    let mut all: Vec<VariableReport> = unplaced.chain(overlapping).collect();
    all.sort_by_key(|variable| (variable.unit, variable.die_offset));
    all
}

/// The name of the section that an address counts from, which only those in a relocatable file do.
fn section_name(context: &Context<'_, '_>, section: Option<u32>) -> Option<Vec<u8>> {
    let section = section.filter(|_| context.image.is_relocatable())?;
    Some(choose::section_name(context.image, section))
}

fn new_report(
    context: &Context<'_, '_>,
    table: &FunctionTable<'_>,
    key: FunctionKey,
    verdict: Option<&Verdict>,
) -> FunctionReport {
    let symbols = table.symbols(key).iter().map(|symbol| FunctionSymbol {
        name: symbol.name.to_vec(),
        address: symbol.address,
        section: section_name(context, Some(symbol.section_index)),
    });
    let verdict = match verdict {
        None => FunctionVerdict::Dropped {
            reasons: vec![Why::NOT_DESCRIBED],
            detail: None,
        },
        Some(verdict) => match verdict.outcome {
            Outcome::Dropped => FunctionVerdict::Dropped {
                reasons: verdict.reasons.iter().map(Why::from).collect(),
                detail: verdict.mismatch.map(|(_, mismatch)| mismatch.to_string()),
            },
            Outcome::Kept { .. } => FunctionVerdict::Kept {
                rule: String::new(),
            },
            Outcome::Renamed { symbol, .. } => {
                let name = String::from_utf8_lossy(table.symbols(key)[symbol].name).into_owned();
                FunctionVerdict::Kept {
                    rule: format!("described as `{name}`, with its true signature"),
                }
            }
        },
    };
    FunctionReport {
        name: table.name(key).to_vec(),
        states: Vec::new(),
        symbols: symbols.collect(),
        verdict,
        sightings: None,
    }
}

/// Says by which rule the state of a kept function was chosen.
fn set_rule(report: &mut FunctionReport) {
    let FunctionVerdict::Kept { rule } = &mut report.verdict else {
        return;
    };
    if !rule.is_empty() {
        return;
    }
    let is_at_symbol = |state: &FunctionState| {
        report
            .symbols
            .iter()
            .any(|symbol| state.address == Some(symbol.address))
    };
    *rule = if report.states.iter().any(is_at_symbol) {
        "its code is where its symbol points to, and nothing speaks against it".to_owned()
    } else {
        "no code is where its symbol points to; the first description speaks for it".to_owned()
    };
}

/// The names of the units that findings and variables are in, by the units' numbers; the others stay empty.
pub(crate) fn unit_names(
    context: &Context<'_, '_>,
    harvest: &Harvest,
    variables: &[VariableReport],
) -> Vec<Vec<u8>> {
    let findings = harvest.findings.iter().map(|finding| finding.unit);
    let units = findings.chain(variables.iter().map(|variable| variable.unit));
    let mut units: Vec<u32> = units.collect();
    units.sort_unstable();
    units.dedup();
    let Some(&last) = units.last() else {
        return Vec::new();
    };
    let mut reader = UnitReader::new(context);
    let mut names = vec![Vec::new(); last as usize + 1];
    for unit in units {
        if let Ok(state) = reader.enter(unit) {
            names[unit as usize] = context.names.bytes(state.name);
        }
    }
    names
}

/// A prototype as C has it.
pub(crate) fn prototype(reader: &UnitReader<'_, '_>, proto: TypeId, name: &[u8]) -> String {
    let speller = Speller {
        reader,
        steps_left: Cell::new(MAX_STEPS),
    };
    let Some(record) = reader.fragment.record(proto) else {
        return String::new();
    };
    let parameters = speller.parameters(record, true);
    let name = String::from_utf8_lossy(name);
    speller.declare(TypeId(record[2]), &format!("{name}({parameters})"))
}

/// How many types are spelled out for one prototype; deeper nesting than anybody reads takes more.
const MAX_STEPS: u32 = 1024;

/// Spells types as C has them.
struct Speller<'r, 'c, 'a> {
    reader: &'r UnitReader<'c, 'a>,
    steps_left: Cell<u32>,
}

impl Speller<'_, '_, '_> {
    fn text(&self, name: Name) -> String {
        String::from_utf8_lossy(&self.reader.context.names.bytes(name)).into_owned()
    }

    /// The parameters of a prototype, with names if those are asked for.
    fn parameters(&self, record: &[u32], is_named: bool) -> String {
        let parameters: Vec<String> = record[3..]
            .chunks_exact(2)
            .take_while(|_| self.steps_left.get() > 0)
            .map(|parameter| match parameter[1] {
                0 if parameter[0] == 0 => "...".to_owned(),
                ty if is_named => self.declare(TypeId(ty), &self.text(Name(parameter[0]))),
                ty => self.declare(TypeId(ty), ""),
            })
            .collect();
        if parameters.is_empty() {
            "void".to_owned()
        } else {
            parameters.join(", ")
        }
    }

    fn kind(&self, id: TypeId) -> Option<Kind> {
        Info(self.reader.fragment.record(id)?[1]).kind()
    }

    /// A declaration of `inner` with a type.
    fn declare(&self, ty: TypeId, inner: &str) -> String {
        let join = |before: &str| {
            if inner.is_empty() {
                before.to_owned()
            } else {
                format!("{before} {inner}")
            }
        };
        let Some(steps) = self.steps_left.get().checked_sub(1) else {
            return join("…");
        };
        self.steps_left.set(steps);
        let Some(record) = self.reader.fragment.record(ty) else {
            return join("void");
        };
        let info = Info(record[1]);
        let target = TypeId(record[2]);
        let tagged = |keyword: &str| match record[0] {
            0 => join(&format!("{keyword} {{…}}")),
            _ => join(&format!("{keyword} {}", self.text(Name(record[0])))),
        };
        match info.kind() {
            Some(Kind::Struct) => tagged("struct"),
            Some(Kind::Union) => tagged("union"),
            Some(Kind::Fwd) => tagged(if info.kind_flag() { "union" } else { "struct" }),
            Some(Kind::Enum | Kind::Enum64) => tagged("enum"),
            Some(Kind::Int | Kind::Float | Kind::Typedef) => join(&self.text(Name(record[0]))),
            Some(Kind::Const) => self.qualified("const", target, inner),
            Some(Kind::Volatile) => self.qualified("volatile", target, inner),
            Some(Kind::Restrict) => self.qualified("restrict", target, inner),
            Some(Kind::TypeTag) => self.declare(target, inner),
            Some(Kind::Ptr) => match self.kind(target) {
                Some(Kind::Array | Kind::FuncProto) => self.declare(target, &format!("(*{inner})")),
                _ => self.declare(target, &format!("*{inner}")),
            },
            Some(Kind::Array) => {
                self.declare(TypeId(record[3]), &format!("{inner}[{}]", record[5]))
            }
            Some(Kind::FuncProto) => {
                let parameters = self.parameters(record, false);
                self.declare(target, &format!("{inner}({parameters})"))
            }
            Some(Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag) | None => join("?"),
        }
    }

    /// A qualifier stands behind a pointer's star, and before all else.
    fn qualified(&self, qualifier: &str, target: TypeId, inner: &str) -> String {
        if self.kind(target) != Some(Kind::Ptr) {
            return format!("{qualifier} {}", self.declare(target, inner));
        }
        let inner = if inner.is_empty() {
            qualifier.to_owned()
        } else {
            format!("{qualifier} {inner}")
        };
        self.declare(target, &inner)
    }
}

/// A place for people: a register by the name that it has on this machine, or what else it is.
pub(crate) fn place_text(place: Place, machine: u16) -> String {
    match place {
        Place::Nowhere => "optimized out".to_owned(),
        Place::Register(register) => abi::register_name(machine, register),
        Place::Memory => "in memory".to_owned(),
        Place::Value => "in no place, only its value is known".to_owned(),
        Place::Unknown => "unknown".to_owned(),
    }
}
