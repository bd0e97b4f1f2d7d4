//! Workers: threads that read units and hand what is new in each to the merge engine.
//!
//! Units are taken in input order, one at a time, so that most types are met first by the unit that numbers them, and
//! threads end together. Nothing that is gathered here depends on which thread took which unit.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use btf_core::dedup::{Fragment, FragmentIndex, Gathered, Merger};
use btf_core::{Error, Result};
use rayon::ThreadPool;

use crate::finding::Finding;
use crate::unit::{Context, UnitReader};

/// What one thread has gathered.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    pub(crate) types: Gathered,
    pub(crate) findings: Vec<Finding>,
    pub(crate) die_count: u64,
    pub(crate) unit_count: u32,
}

/// Reads all units.
///
/// # Errors
/// That of the first unit, in input order, that is malformed.
pub(crate) fn read_units(
    context: &Context<'_>,
    merger: &Merger,
    pool: &ThreadPool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Harvest>> {
    let next = AtomicU32::new(0);
    let failed = Mutex::new(None);
    let count = context.units.all.len() as u32;
    let harvests = pool.broadcast(|_| {
        let mut reader = UnitReader::new(context);
        let mut worker = merger.worker();
        let mut harvest = Harvest::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            match read_unit(&mut reader, index, &mut harvest) {
                Ok(true) => worker.add(index, &reader.fragment),
                Ok(false) => {}
                Err(error) => {
                    // Units before this one have been taken already, and are read to their end.
                    next.store(count, Ordering::Relaxed);
                    fail(&failed, index, error);
                }
            }
            progress(context.units.all[index as usize].range.len() as u64);
        }
        harvest.die_count = reader.die_count;
        harvest.types = worker.finish();
        harvest
    });
    match failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        Some((_, error)) => Err(error),
        None => Ok(harvests),
    }
}

fn read_unit(reader: &mut UnitReader<'_, '_>, index: u32, harvest: &mut Harvest) -> Result<bool> {
    let state = reader.read(index)?;
    harvest.findings.extend_from_slice(&reader.findings);
    harvest.unit_count += u32::from(state.is_some());
    Ok(state.is_some())
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

/// Reads one unit again, for the merge engine.
pub(crate) fn reload(context: &Context<'_>, index: FragmentIndex, into: &mut Fragment) {
    let mut reader = UnitReader::new(context);
    // It could be read before, so it can be read now.
    if let Ok(Some(_)) = reader.read(index) {
        *into = reader.fragment;
    }
}
