//! Reads the DWARF of an ELF file in parallel and writes reproducible BTF.
//!
//! [`encode`] is the whole of it, and reads like a table of contents. The program around it is `main`, `cli` and `run`.
//!
//! # Example
//! ```no_run
//! use dwarf2btf::{Unobserved, encode, input::Input, options::Options};
//!
//! let input = Input::open("vmlinux".as_ref())?;
//! let encoded = encode(&input.image()?, None, &Options::default(), &Unobserved)?;
//! std::fs::write("vmlinux.btf", &encoded.btf)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod abi;
pub mod base;
pub mod features;
pub mod finding;
pub mod functions;
pub mod input;
pub mod kfuncs;
pub mod languages;
pub mod locations;
pub mod modules;
pub mod options;
pub mod output;
pub mod reasons;
pub mod report;
pub mod symbols;
pub mod variables;

mod abbrev;
mod annotations;
mod choose;
mod composites;
mod die;
mod emit;
mod explain;
mod finish;
mod flat_arrays;
mod foreign;
#[cfg(test)]
mod leaf_tests;
mod lower;
mod names;
mod nothing;
mod references;
mod subprograms;
mod unit;
mod unit_functions;
mod unit_variables;
mod units;
mod workers;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use btf_core::builder::WriteOptions;
use btf_core::dedup::Merger;
use btf_core::{Btf, Builder, ByteOrder, Error, ErrorKind, Result};

use base::Base;
use choose::Choice;
use features::Feature;
use input::Image;
use names::Names;
use options::Options;
use report::{Encoded, Progress, Summary};
use symbols::FunctionTable;
use unit::{Context, Lowering};
use unit_functions::Candidates;
use unit_variables::Placing;
use units::Units;
use workers::{Harvest, Task};

/// Whoever wants to know how far the encoder is.
pub trait Observer: Sync {
    /// Some steps are done.
    fn progress(&self, _progress: Progress) {}

    /// These bytes of the file will hardly be read again.
    fn done_with(&self, _file_range: Range<u64>) {}
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// Measures how long each phase takes.
struct Clock {
    last: Instant,
    timings: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn new() -> Self {
        Self {
            last: Instant::now(),
            timings: Vec::new(),
        }
    }

    /// Ends a phase, or another round of one.
    fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        let time = now - self.last;
        match self.timings.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, before)) => *before += time,
            None => self.timings.push((phase, time)),
        }
        self.last = now;
    }
}

/// Makes BTF of the DWARF in `image`: split BTF that continues `base`, if there is one.
///
/// The work is spread over the threads of rayon's current pool. The bytes depend on nothing but the input, the base and
/// what is asked for: not on the number of threads, not on their timing.
///
/// # Errors
/// Malformed DWARF, with section and offset; no DWARF at all ([`ErrorKind::NoDebugInfo`]); more than BTF can say; a base
/// that is not the input's ([`ErrorKind::Base`]).
#[expect(
    clippy::too_many_lines,
    reason = "a table of contents: each phase is one call"
)]
pub fn encode(
    image: &Image<'_>,
    base: Option<&Base>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Encoded> {
    let mut clock = Clock::new();
    if image.debug_info.is_empty() && image.debug_types.is_empty() {
        if image.section_by_name(".debug_info.dwo").is_some() {
            let what =
                "split DWARF, whose types are in `.debug_info.dwo`; compile without -gsplit-dwarf";
            return Err(ErrorKind::Unsupported(what.into()).into());
        }
        return Err(ErrorKind::NoDebugInfo.into());
    }

    // Where the units are, what the symbol table has, and which offsets of `.debug_str` are equal strings.
    let features = options.features;
    check_names_fit(image, base)?;
    base.map_or(Ok(()), |base| base.check(image, options))?;
    let mut read = || Reading::new(image, base, options, observer, &mut clock);
    let reading = match base {
        None => read()?,
        Some(base) => {
            // Until the merge hardly more of the base is asked for than names.
            let (reading, types) = rayon::join(&mut read, || base.read_types());
            types.and_then(|()| base.check_types(image))?;
            let reading = reading?;
            if base.are_right(reading.names.are_by_index())? {
                reading
            } else {
                read()?
            }
        }
    };
    let Reading {
        units,
        table,
        names,
        candidates,
        lowering,
        merger,
        mut harvest,
    } = reading;
    let context = Context {
        image,
        units: &units,
        names: &names,
        languages: &options.languages,
        lowering,
    };
    // From here on the DWARF is read again only where a name has several meanings, or to explain.

    let reload = |index, into: &mut _| workers::reload(&context, &candidates, index, into);
    let gathered = std::mem::take(&mut harvest.types);
    let merged = match base {
        None => merger.finish(gathered, &reload),
        Some(base) => base.merge(merger, gathered, &reload)?,
    };
    clock.end("merge");
    // From here on each type is there once.

    let choice = Choice::new(image, options, &table, &merged, &names, &mut harvest)?;
    let numbering = merged.number(&choice.needed(&merged, features));
    clock.end("functions");
    // From here on no type id changes.

    let (mut btf, counts) = emit::emit(
        image,
        options,
        &names,
        &choice,
        &harvest.variables,
        &merged,
        &numbering,
    )?;
    if counts.types == 0 && base.is_none() {
        return Err(nothing::error(&context, &harvest));
    }
    clock.end("emit");

    if options.verify {
        verify(&btf, base.map(Base::unborrowed).transpose()?)?;
        clock.end("verify");
    }
    let mut distilled_base = None;
    if let Some(base) = base.filter(|_| features.has(Feature::DistilledBase)) {
        let order = options.order.unwrap_or(image.order);
        let (split, distilled) = distill(&btf, base, order, options.verify)?;
        btf = split;
        distilled_base = Some(distilled);
        clock.end("distill");
    }
    // From here on no byte changes.

    let explained = explain::reports(&context, &candidates, &table, &choice, options)?;
    let variables = if options.report {
        explain::variables(&context, &choice, &harvest)
    } else {
        Vec::new()
    };
    let unit_names = explain::unit_names(&context, &harvest, &variables);
    if options.report || !options.explain.is_empty() {
        clock.end("explain");
    }
    let summary = Summary {
        output: None,
        units: u64::from(harvest.unit_count),
        units_excluded: units.all.len() as u64 - u64::from(harvest.unit_count),
        dies: harvest.die_count,
        types: counts.types,
        functions: counts.functions,
        variables: counts.variables,
        size_bytes: btf.len() as u64,
        left_out: choice.left_out,
    };
    let Clock { timings, .. } = clock;
    Ok(Encoded {
        btf,
        distilled_base,
        summary,
        timings,
        findings: harvest.findings,
        unit_names,
        functions: explained.functions,
        variables,
        unknown: explained.unknown,
    })
}

/// What reading the DWARF gives: the phases before the merge.
struct Reading<'a> {
    units: Units<'a>,
    table: FunctionTable<'a>,
    names: Names<'a>,
    candidates: Candidates<'a>,
    lowering: Lowering,
    merger: Merger<'a>,
    harvest: Harvest,
}

impl<'a> Reading<'a> {
    fn new(
        image: &'a Image<'_>,
        base: Option<&'a Base>,
        options: &'a Options,
        observer: &dyn Observer,
        clock: &mut Clock,
    ) -> Result<Self> {
        // Where the units are, what the symbol table has, and which offsets of `.debug_str` are equal strings.
        let features = options.features;
        let ((units, (table, placing)), names) = rayon::join(
            || {
                let table = FunctionTable::new(choose::symbols(image));
                (Units::list(image), (table, Placing::new(image, features)))
            },
            || Names::new(&image.debug_str.data, base, &options.kabi_prefix),
        );
        let (units, names) = (units?, names?);
        let has_true_signature = features.has(Feature::TrueSignature);
        let candidates = Candidates::new(image, &table, &names, has_true_signature);
        clock.end("prepare");
        // From here on strings are compared by name and functions by key.

        let lowering = Lowering::new(features, base)?;
        let context = Context {
            image,
            units: &units,
            names: &names,
            languages: &options.languages,
            lowering,
        };
        let merger = base.map_or_else(Merger::new, |base| base.merger(names.are_by_index()));
        let harvest = workers::read_units(&Task {
            context: &context,
            candidates: &candidates,
            placing: &placing,
            merger: &merger,
            observer,
        })?;
        clock.end("units");
        Ok(Self {
            units,
            table,
            names,
            candidates,
            lowering,
            merger,
            harvest,
        })
    }
}

/// Refuses a string section whose offsets do not fit a name.
fn check_names_fit(image: &Image<'_>, base: Option<&Base>) -> Result<()> {
    let value = image.debug_str.data.len() as u64;
    let of_base = base.map_or(0, |base| u64::from(base.end_string()));
    let limit = names::MAX_DEBUG_STR as u64 - of_base;
    if value > limit {
        let what = "size of the section";
        return Err(Error::new(ErrorKind::TooLarge { what, value, limit }).at(".debug_str", 0));
    }
    Ok(())
}

/// Makes split BTF independent of the ids of its base: the split BTF, and the small base that it continues now.
fn distill(
    btf: &[u8],
    base: &Base,
    order: ByteOrder,
    verifies: bool,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let split = Btf::parse(btf, Some(base.unborrowed()?))?;
    let split = btf_core::distill::distill(&split)?;
    let write = |btf| Builder::from_btf(btf).write(order, WriteOptions::default());
    let distilled = split.base().map(|base| write(base)).transpose()?;
    let (split, distilled) = (write(&split)?, distilled.unwrap_or_default());
    if verifies {
        verify(&distilled, None)?;
        verify(&split, Some(Arc::new(Btf::parse(&distilled, None)?)))?;
    }
    Ok((split, distilled))
}

/// Reads the output again and checks its structure. Names are the input's: those of Rust are no identifiers.
fn verify(btf: &[u8], base: Option<Arc<Btf>>) -> Result<()> {
    let btf = Btf::parse(btf, base)?;
    let findings = btf_core::validate::validate(&btf, btf_core::validate::Profile::Structural);
    match findings.first() {
        None => Ok(()),
        Some(finding) => Err(Error::new(ErrorKind::Unsupported(format!(
            "sound output: {}",
            finding.message()
        )))),
    }
}
