//! Explanations: for a function that was asked for, every place where it was seen and the rule that decided.
//!
//! Equal states have collapsed while units were read, so the units are read once more; only whoever asks pays for that.
#![expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer units than 2^31, which take at least a header each"
)]

use std::cell::Cell;

use btf_core::dedup::Name;
use btf_core::{Info, Kind, Result, TypeId};

use crate::choose::Choice;
use crate::functions::{Outcome, Verdict};
use crate::locations::Place;
use crate::names::FastMap;
use crate::options::Options;
use crate::report::{FunctionReport, FunctionState, FunctionSymbol, FunctionVerdict};
use crate::symbols::{FunctionKey, FunctionTable, SHN_UNDEF};
use crate::unit::{Context, UnitReader};
use crate::unit_functions::{Candidates, UnitFunctions};
use crate::workers::Harvest;

/// The reports that `options` ask for, by name.
///
/// # Errors
/// Those of reading the units, which have been read before.
pub(crate) fn reports(
    context: &Context<'_>,
    candidates: &Candidates<'_>,
    table: &FunctionTable<'_>,
    choice: &Choice<'_>,
    options: &Options,
) -> Result<Vec<FunctionReport>> {
    let is_wanted = |key: FunctionKey, verdict: Option<&Verdict>| {
        options.explains(table.name(key))
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
            reports.insert(key.0, new_report(table, key, verdict));
        }
    }
    if reports.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = UnitReader::new(context);
    let mut functions = UnitFunctions::default();
    let mut found = Vec::new();
    for unit in 0..context.units.all.len() as u32 {
        let Some(state) = reader.read(unit)? else {
            continue;
        };
        functions.find(candidates, &mut reader, &state, &mut found);
        for candidate in &found {
            let Some(report) = reports.get_mut(&candidate.key.0) else {
                continue;
            };
            let locations = functions.locations(candidate, &reader);
            report.states.push(FunctionState {
                unit,
                unit_name: context.names.bytes(state.name),
                die_offset: candidate.die_offset,
                address: (candidate.low_pc != 0 || candidate.section.is_some())
                    .then_some(candidate.low_pc),
                section: candidate.section,
                prototype: prototype(&reader, candidate.proto, &report.name),
                parameters: locations,
            });
        }
    }
    let mut sorted: Vec<(u32, FunctionReport)> = reports.drain().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut reports: Vec<FunctionReport> = sorted.into_iter().map(|(_, report)| report).collect();
    for report in &mut reports {
        set_rule(report);
    }
    Ok(reports)
}

fn new_report(
    table: &FunctionTable<'_>,
    key: FunctionKey,
    verdict: Option<&Verdict>,
) -> FunctionReport {
    let symbols = table.symbols(key).iter().map(|symbol| FunctionSymbol {
        name: symbol.name.to_vec(),
        address: symbol.address,
        section: (symbol.section_index != SHN_UNDEF).then_some(symbol.section_index),
    });
    let verdict = match verdict {
        None => FunctionVerdict::Dropped {
            reasons: vec!["no description with a name for every parameter"],
            detail: None,
        },
        Some(verdict) => match verdict.outcome {
            Outcome::Dropped => FunctionVerdict::Dropped {
                reasons: verdict
                    .reasons
                    .iter()
                    .map(crate::functions::Reason::text)
                    .collect(),
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

/// The names of the units that findings are in, by the units' numbers; the others stay empty.
pub(crate) fn unit_names(
    context: &Context<'_>,
    harvest: &Harvest,
    functions: &[FunctionReport],
) -> Vec<Vec<u8>> {
    if harvest.findings.is_empty() && functions.is_empty() {
        return Vec::new();
    }
    let mut reader = UnitReader::new(context);
    let mut names = vec![Vec::new(); context.units.all.len()];
    let mut last = None;
    for finding in &harvest.findings {
        if last == Some(finding.unit) {
            continue;
        }
        last = Some(finding.unit);
        if let Ok(state) = reader.enter(finding.unit) {
            names[finding.unit as usize] = context.names.bytes(state.name);
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

/// A place for people: a register by the name that DWARF gives it on this machine, or what else it is.
pub(crate) fn place_text(place: Place) -> String {
    match place {
        Place::Nowhere => "nowhere".to_owned(),
        Place::Register(register) => format!("register {register}"),
        Place::Memory => "memory".to_owned(),
        Place::Value => "value".to_owned(),
        Place::Unknown => "unknown".to_owned(),
    }
}
