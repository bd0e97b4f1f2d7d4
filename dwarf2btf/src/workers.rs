//! Workers: threads that read units and hand what is new in each to the merge engine.
//!
//! Units are taken in input order, one at a time, so that most types are met first by the unit that numbers them, and
//! threads end together. Nothing that is gathered here depends on which thread took which unit.
#![expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer units than 2^31, which take at least a header each"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use btf_core::dedup::{Fragment, FragmentIndex, Gathered, Merger, Worker};
use btf_core::{Error, ErrorKind, Result, TypeId};

use crate::Observer;
use crate::finding::Finding;
use crate::functions::{State, States};
use crate::report::Progress;
use crate::unit::{Context, UnitReader};
use crate::unit_functions::{Candidate, Candidates, FunctionTag, UnitFunctions};
use crate::unit_variables::{LeftOutVariable, PlacedVariable, Placing, place};
use crate::units::Unit;

/// A prototype before the merge: the local id in its unit. Prototypes of one class are equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proto {
    class: u32,
    pub(crate) id: TypeId,
}

impl PartialEq for Proto {
    fn eq(&self, other: &Self) -> bool {
        self.class == other.class
    }
}

impl Eq for Proto {}

impl Hash for Proto {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.class.hash(hasher);
    }
}

/// What one thread has gathered, or all of them together.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    pub(crate) types: Vec<Gathered>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) states: States<Proto>,
    pub(crate) function_tags: Vec<FunctionTag>,
    pub(crate) variables: Vec<PlacedVariable>,
    pub(crate) left_out_variables: Vec<LeftOutVariable>,
    pub(crate) die_count: u64,
    pub(crate) unit_count: u32,
}

/// Everything that workers read.
pub(crate) struct Task<'t, 'a> {
    pub(crate) context: &'t Context<'t, 'a>,
    pub(crate) candidates: &'t Candidates<'a>,
    pub(crate) placing: &'t Placing<'a>,
    pub(crate) merger: &'t Merger<'t>,
    pub(crate) observer: &'t dyn Observer,
}

/// What one thread keeps from unit to unit.
struct Thread<'t, 'a> {
    task: &'t Task<'t, 'a>,
    reader: UnitReader<'t, 'a>,
    functions: UnitFunctions,
    candidates: Vec<Candidate>,
    worker: Worker<'t>,
    harvest: Harvest,
}

/// How many DIEs units may read of each other for each byte of the input, and at least.
///
/// What each of many units has by value of one large type is read for each of them, up to the square of the input. Units have one
/// DIE for each 12 bytes or so: this is fifty times of what there is.
const FETCHED_PER_BYTE: u64 = 4;
const MIN_FETCHED: u64 = 1 << 20;

/// The error if units read more DIEs of each other.
fn too_much_fetched() -> Error {
    let what = "input whose units refer to others' types so that these are read fifty times over";
    ErrorKind::Unsupported(what.into()).into()
}

/// Reads all units; what has no order of its own is sorted into that of the input.
///
/// # Errors
/// That of the first unit, in input order, that is malformed.
pub(crate) fn read_units(task: &Task<'_, '_>) -> Result<Harvest> {
    let next = AtomicU32::new(0);
    let done = AtomicU64::new(0);
    let failed = Mutex::new(None);
    let fetched = AtomicU64::new(0);
    let release = Release::default();
    let units = &task.context.units.all;
    let total: u64 = units.iter().map(|unit| unit.range.len() as u64).sum();
    let max_fetched = total.saturating_mul(FETCHED_PER_BYTE).max(MIN_FETCHED);
    let harvests = rayon::broadcast(|_| {
        let mut thread = Thread::new(task);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(unit) = units.get(index as usize) else {
                break;
            };
            if let Err(error) = thread.read(index) {
                // Units before this one have been taken already, and are read to their end.
                next.store(units.len() as u32, Ordering::Relaxed);
                fail(&failed, index, error);
            }
            let own = std::mem::take(&mut thread.reader.fetched_die_count);
            if fetched.fetch_add(own, Ordering::Relaxed) + own > max_fetched {
                // Whichever unit it is: that depends on the order in which they are read.
                next.store(units.len() as u32, Ordering::Relaxed);
                fail(&failed, u32::MAX, too_much_fetched());
            }
            let bytes = unit.range.len() as u64;
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            task.observer.progress(Progress {
                phase: "reading units",
                done,
                total,
            });
            release.done(task, index);
        }
        thread.finish()
    });
    if let Some((_, error)) = failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        return Err(error);
    }
    Ok(join(harvests))
}

impl<'t, 'a> Thread<'t, 'a> {
    fn new(task: &'t Task<'t, 'a>) -> Self {
        Self {
            task,
            reader: UnitReader::new(task.context),
            functions: UnitFunctions::default(),
            candidates: Vec::new(),
            worker: task.merger.worker(),
            harvest: Harvest::default(),
        }
    }

    fn read(&mut self, index: u32) -> Result<()> {
        let state = self.reader.read(index)?;
        self.harvest
            .findings
            .extend_from_slice(&self.reader.findings);
        let Some(state) = state else { return Ok(()) };
        self.harvest.unit_count += 1;
        self.functions.list_candidates(
            self.task.candidates,
            &mut self.reader,
            &state,
            &mut self.candidates,
        );
        self.worker.add(index, &self.reader.fragment);
        for candidate in &self.candidates {
            let proto = |id| Proto {
                class: self.worker.class(id),
                id,
            };
            self.harvest.states.push(State {
                key: candidate.key,
                unit: index,
                die_offset: candidate.die_offset,
                low_pc: candidate.low_pc,
                section: candidate.section,
                flags: candidate.flags,
                proto: proto(candidate.proto),
                true_proto: candidate.true_proto.map(proto),
            });
        }
        if !self.reader.decl_tags.is_empty() {
            self.harvest
                .function_tags
                .extend(self.functions.tags(&self.reader, &state));
        }
        let Harvest {
            variables,
            left_out_variables,
            ..
        } = &mut self.harvest;
        place(
            self.task.placing,
            &self.reader,
            &state,
            variables,
            left_out_variables,
        );
        Ok(())
    }

    fn finish(mut self) -> Harvest {
        self.harvest.die_count = self.reader.die_count;
        self.harvest.types.push(self.worker.finish());
        self.harvest
    }
}

/// Brings together what threads have gathered.
fn join(harvests: Vec<Harvest>) -> Harvest {
    let mut all = Harvest::default();
    for harvest in harvests {
        all.types.extend(harvest.types);
        if all.findings.is_empty() {
            all.findings = harvest.findings;
        } else {
            all.findings.extend(harvest.findings);
        }
        all.states.join(harvest.states);
        all.function_tags.extend(harvest.function_tags);
        all.variables.extend(harvest.variables);
        all.left_out_variables.extend(harvest.left_out_variables);
        all.die_count += harvest.die_count;
        all.unit_count += harvest.unit_count;
    }
    all.findings.sort_unstable();
    // What several units have fetched from one is found by each.
    all.findings.dedup();
    all.function_tags.sort_unstable();
    all.variables
        .sort_unstable_by_key(|variable| (variable.unit, variable.die_offset));
    all.left_out_variables
        .sort_unstable_by_key(|variable| (variable.unit, variable.die_offset));
    all
}

/// The size in bytes of the stretches of the input that are given back together.
const RELEASE_BYTES: usize = 4 << 20;

/// Gives back the pages of units that all have been read, so that the input does not add up in memory.
#[derive(Debug, Default)]
struct Release(Mutex<Released>);

#[derive(Debug, Default)]
struct Released {
    /// The units that have been read ahead of `next`.
    ahead: BinaryHeap<Reverse<u32>>,
    /// All units before this one have been read.
    next: u32,
    /// All units before this one have been given back.
    given_back: u32,
}

impl Release {
    fn done(&self, task: &Task<'_, '_>, index: u32) {
        let units = &task.context.units.all;
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.ahead.push(Reverse(index));
        while state.ahead.peek() == Some(&Reverse(state.next)) {
            state.ahead.pop();
            state.next += 1;
        }
        let (Some(first), Some(last)) = (
            units.get(state.given_back as usize),
            units.get(state.next as usize),
        ) else {
            return;
        };
        if first.section != last.section {
            state.given_back = state.next;
        } else if last.range.start - first.range.start >= RELEASE_BYTES {
            state.given_back = state.next;
            if let Some(range) = file_range(task, first, last) {
                task.observer.done_with(range);
            }
        }
    }
}

/// The bytes of the file from the start of one unit to that of another in the same section.
fn file_range(task: &Task<'_, '_>, first: &Unit, last: &Unit) -> Option<std::ops::Range<u64>> {
    let section = task.context.units.sections[first.section as usize].0;
    let start = section.file_range.as_ref()?.start;
    Some(start + first.range.start as u64..start + last.range.start as u64)
}

/// Keeps the error of the first unit.
fn fail(failed: &Mutex<Option<(u32, Error)>>, index: u32, error: Error) {
    let mut failed = failed
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if failed.as_ref().is_none_or(|(first, _)| index < *first) {
        *failed = Some((index, error));
    }
}

/// Reads one unit's types again, for the merge engine.
pub(crate) fn reload(
    context: &Context<'_, '_>,
    candidates: &Candidates<'_>,
    index: FragmentIndex,
    into: &mut Fragment,
) {
    let mut reader = UnitReader::new(context);
    // It could be read before, so it can be read now; the types come out in the same order.
    if let Ok(Some(state)) = reader.read(index) {
        UnitFunctions::default().list_candidates(candidates, &mut reader, &state, &mut Vec::new());
        *into = reader.fragment;
    }
}
