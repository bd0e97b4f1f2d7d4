//! Sections cut into pieces, each of which stays or goes as one: a function, a variable, or what lies between them.
//!
//! A section is cut only where something of it may go. Code is cut between functions, unless something jumps across.
#![deny(clippy::indexing_slicing)]

use super::object::{Object, Place, Section};
use super::relocations::{Code, INSTRUCTION};
use super::symbols::{Fate, SectionRef, Symbols};

/// The pieces of a section: where each starts, in bytes. The first starts at 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    starts: Vec<u64>,
}

impl Pieces {
    fn whole() -> Self {
        Self { starts: vec![0] }
    }

    /// The number of pieces; at least one.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The piece in which `offset` lies; the last one if it is behind the end.
    pub(crate) fn find(&self, offset: u64) -> usize {
        let behind = self.starts.partition_point(|&start| start <= offset);
        behind.saturating_sub(1)
    }

    /// Where a piece starts and ends in a section of `size` bytes.
    pub(crate) fn span(&self, piece: usize, size: u64) -> (u64, u64) {
        let start = |index: usize| self.starts.get(index).copied().unwrap_or(size);
        (start(piece), start(piece + 1))
    }
}

/// The pieces of all sections, by object and section.
pub(crate) fn cut(objects: &[Object<'_>], symbols: &Symbols<'_>, all: bool) -> Vec<Vec<Pieces>> {
    objects
        .iter()
        .enumerate()
        .map(|(index, object)| cut_object(index, object, objects, symbols, all))
        .collect()
}

fn cut_object(
    index: usize,
    object: &Object<'_>,
    objects: &[Object<'_>],
    symbols: &Symbols<'_>,
    all: bool,
) -> Vec<Pieces> {
    let mut wanted = vec![all; object.sections.len()];
    let mut items: Vec<Vec<(u64, u64)>> = vec![Vec::new(); object.sections.len()];
    for (number, symbol) in object.symbols.iter().enumerate() {
        let Place::Section(section) = symbol.place else {
            continue;
        };
        if symbols.has_lost(objects, (index, number))
            && let Some(wanted) = wanted.get_mut(section)
        {
            *wanted = true;
        }
        if symbol.is_item()
            && symbol.size > 0
            && let Some(items) = items.get_mut(section)
        {
            items.push((symbol.value, symbol.value.saturating_add(symbol.size)));
        }
    }
    let sections = object.sections.iter().enumerate();
    sections
        .zip(items.iter_mut().zip(wanted))
        .map(|((number, section), (items, wanted))| {
            let is_kept = symbols.fate((index, number)) == Fate::Kept;
            if wanted && is_kept && section.is_linked() {
                cut_section(section, object, items)
            } else {
                Pieces::whole()
            }
        })
        .collect()
}

/// Cuts a section around items, which are put in order.
fn cut_section(section: &Section<'_>, object: &Object<'_>, items: &mut [(u64, u64)]) -> Pieces {
    items.sort_unstable();
    let mut starts = vec![0];
    let mut end = 0;
    for &(from, to) in &*items {
        if from < end {
            // It lies in the one before, at least in part.
            end = to.max(end);
            continue;
        }
        starts.push(end);
        starts.push(from);
        end = to;
    }
    starts.push(end);
    starts.retain(|&start| start < section.size || start == 0);
    starts.dedup();
    let pieces = Pieces { starts };
    if section.is_code() && !is_cut_between_functions(section, object, &pieces) {
        return Pieces::whole();
    }
    pieces
}

/// Whether pieces are whole instructions, and no jump leads from one to another.
fn is_cut_between_functions(section: &Section<'_>, object: &Object<'_>, pieces: &Pieces) -> bool {
    let code = Code {
        order: object.order,
        bytes: section.bytes,
    };
    if pieces
        .starts
        .iter()
        .any(|start| !start.is_multiple_of(INSTRUCTION))
    {
        return false;
    }
    let (mut offset, size) = (0, section.bytes.len() as u64);
    while offset < size {
        if let Some(to) = code.jumps_to(offset) {
            let to = u64::try_from(to).ok().filter(|&to| to < size);
            if to.is_none_or(|to| pieces.find(to) != pieces.find(offset)) {
                return false;
            }
        }
        let is_wide = code.is_wide(offset);
        if is_wide && pieces.find(offset) != pieces.find(offset + INSTRUCTION) {
            return false;
        }
        offset += if is_wide {
            2 * INSTRUCTION
        } else {
            INSTRUCTION
        };
    }
    true
}

/// The pieces of a section, by its number and its object's.
pub(crate) fn of(pieces: &[Vec<Pieces>], (object, section): SectionRef) -> Option<&Pieces> {
    pieces.get(object)?.get(section)
}
