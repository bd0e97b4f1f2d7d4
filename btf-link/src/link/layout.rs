//! The sections of the output, and where each piece of an input goes.
//!
//! Sections of one name become one, in the order in which names first occur. A section starts at the next multiple of its
//! alignment; what stays of it keeps its order, and each piece its place relative to the alignment.
#![deny(clippy::indexing_slicing)]

use object::elf::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS, SHF_WRITE, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS,
};

use super::live::Live;
use super::names::ByName;
use super::object::{Object, Place, Section};
use super::pieces::{self, Pieces};
use super::problem::{Problem, show};
use super::symbols::{Fate, SectionRef, SymbolRef, Symbols};

/// The flags that an output section can have; those about groups and order have done their work.
const FLAGS: u64 = SHF_WRITE.0 | SHF_ALLOC.0 | SHF_EXECINSTR.0 | SHF_MERGE.0 | SHF_STRINGS.0;

/// The flags that tell how the contents could be merged, which is off if inputs disagree.
const MERGE_FLAGS: u64 = SHF_MERGE.0 | SHF_STRINGS.0;

/// The largest size of an output section, as instructions have addresses of 31 bits.
const MAX_SIZE: u64 = i32::MAX as u64;

/// The most zeros, in bytes, that are written for sections which have bytes in one object and none in another, and between parts.
const MAX_ZEROS: u64 = 1 << 26;

/// The name that a section has in the output: functions that have a section each are in `.text` together, as loaders look for
/// them there only.
pub(crate) fn output_name(name: &[u8]) -> &[u8] {
    if name.starts_with(b".text.") {
        b".text"
    } else {
        name
    }
}

/// A section of the output.
#[derive(Debug)]
pub(crate) struct OutSection<'d> {
    pub(crate) name: &'d [u8],
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) align: u64,
    pub(crate) entry_size: u64,
    /// In bytes.
    pub(crate) size: u64,
    /// What it is made of, in order.
    pub(crate) parts: Vec<SectionRef>,
}

/// Where a section of an input goes.
#[derive(Clone, Debug)]
struct Placement {
    /// The number of the output section.
    out: usize,
    /// Where each piece starts in it; for one that goes, where the one before ends.
    starts: Vec<u64>,
    /// Where the last one ends.
    end: u64,
}

/// The output's sections, and where everything goes.
#[derive(Debug)]
pub(crate) struct Layout<'a, 'd> {
    pub(crate) sections: Vec<OutSection<'d>>,
    placements: Vec<Vec<Option<Placement>>>,
    cuts: &'a [Vec<Pieces>],
    pub(crate) live: &'a Live,
    symbols: &'a Symbols<'d>,
    objects: &'a [Object<'d>],
}

impl<'a, 'd> Layout<'a, 'd> {
    /// Places all that stays.
    pub(crate) fn plan(
        objects: &'a [Object<'d>],
        symbols: &'a Symbols<'d>,
        cuts: &'a [Vec<Pieces>],
        live: &'a Live,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut layout = Self {
            sections: Vec::new(),
            placements: Vec::with_capacity(objects.len()),
            cuts,
            live,
            symbols,
            objects,
        };
        let mut by_name = ByName::default();
        for (index, object) in objects.iter().enumerate() {
            let mut placements = vec![None; object.sections.len()];
            for (number, section) in object.sections.iter().enumerate() {
                let at = (index, number);
                let Some(cut) = pieces::of(cuts, at) else {
                    continue;
                };
                let stays = (0..cut.len()).any(|piece| live.has(at, piece));
                if !section.is_linked() || symbols.fate(at) != Fate::Kept || !stays {
                    continue;
                }
                let next = layout.sections.len();
                let out = *by_name.entry(output_name(section.name)).or_insert(next);
                if let Some(problem) = layout.add(out, at, section) {
                    problems.push(problem);
                    continue;
                }
                if let Some(slot) = placements.get_mut(number) {
                    *slot = layout.place(out, at, section, cut);
                }
            }
            layout.placements.push(placements);
        }
        layout.check_sizes(problems);
        layout
    }

    /// Checks that no section becomes too large, and that not most of the output would be zeros.
    fn check_sizes(&self, problems: &mut Vec<Problem>) {
        let mut zeros = 0;
        for section in &self.sections {
            let parts = section.parts.iter();
            let parts = parts.filter_map(|&(object, number)| {
                Some(self.objects.get(object)?.sections.get(number)?.bytes.len() as u64)
            });
            if has_bytes(section) {
                zeros += section.size.saturating_sub(parts.sum());
            }
            let why = if section.size > MAX_SIZE {
                format!("becomes too large: {} bytes", section.size)
            } else if zeros > MAX_ZEROS {
                format!("would be written with too many zeros: {zeros} bytes")
            } else {
                continue;
            };
            let text = format!("section {} {why}", show(section.name));
            let parts = section.parts.iter().map(|&(object, _)| (object, 0));
            problems.push(Problem::of_symbols(text, self.objects, parts.take(2)));
        }
    }

    /// Makes room for a section of an input: says so if it does not fit to the others of its name.
    fn add(&mut self, out: usize, at: SectionRef, section: &Section<'d>) -> Option<Problem> {
        let flags = section.flags & FLAGS;
        let Some(found) = self.sections.get_mut(out) else {
            self.sections.push(OutSection {
                name: output_name(section.name),
                kind: section.kind,
                flags,
                align: section.align,
                entry_size: section.entry_size,
                size: 0,
                parts: vec![at],
            });
            return None;
        };
        if (found.flags ^ flags) & !MERGE_FLAGS != 0
            || (found.kind == SHT_NOTE.0) != (section.kind == SHT_NOTE.0)
        {
            let text = format!(
                "section {} has different types or flags",
                show(section.name)
            );
            let first = found.parts.first().map(|&(object, _)| (object, 0));
            let both = first.into_iter().chain([(at.0, 0)]);
            return Some(Problem::of_symbols(text, self.objects, both));
        }
        if found.flags != flags || found.entry_size != section.entry_size {
            found.flags &= !MERGE_FLAGS;
            found.entry_size = 0;
        }
        if found.kind == SHT_NOBITS.0 {
            found.kind = section.kind;
        }
        found.align = found.align.max(section.align);
        found.parts.push(at);
        None
    }

    /// Places the pieces of a section behind what the output section has.
    fn place(
        &mut self,
        out: usize,
        at: SectionRef,
        section: &Section<'d>,
        cut: &Pieces,
    ) -> Option<Placement> {
        let found = self.sections.get_mut(out)?;
        let mut end = found.size.checked_next_multiple_of(section.align)?;
        let mut starts = Vec::with_capacity(cut.len());
        for piece in 0..cut.len() {
            let (from, to) = cut.span(piece, section.size);
            if self.live.has(at, piece) {
                // As far from a multiple of the alignment as it was.
                end += from.wrapping_sub(end) & (section.align - 1);
                starts.push(end);
                end += to - from;
            } else {
                starts.push(end);
            }
        }
        found.size = end;
        Some(Placement { out, starts, end })
    }

    fn placement(&self, at: SectionRef) -> Option<(&Placement, &Pieces)> {
        let at = match self.symbols.fate(at) {
            Fate::Same(other) => other,
            Fate::Kept | Fate::Dropped => at,
        };
        let placement = self.placements.get(at.0)?.get(at.1)?.as_ref()?;
        Some((placement, pieces::of(self.cuts, at)?))
    }

    /// The output section that a section of an input goes to.
    pub(crate) fn out_of(&self, at: SectionRef) -> Option<usize> {
        self.placement(at).map(|(placement, _)| placement.out)
    }

    /// Where an offset in a section of an input goes, in the output section.
    ///
    /// One behind the end, or in front of the start, keeps its distance from there. One in a piece that goes is where the next
    /// piece starts.
    pub(crate) fn offset(&self, at: SectionRef, offset: i64) -> Option<i64> {
        let (placement, cut) = self.placement(at)?;
        let size = self.objects.get(at.0)?.sections.get(at.1)?.size;
        let signed = |value: u64| i64::try_from(value).ok();
        let Ok(inside) = u64::try_from(offset) else {
            return signed(*placement.starts.first()?)?.checked_add(offset);
        };
        if inside >= size {
            return signed(placement.end)?.checked_add(offset - signed(size)?);
        }
        let piece = cut.find(inside);
        let start = signed(*placement.starts.get(piece)?)?;
        if !self.live.has(at, piece) {
            return Some(start);
        }
        start.checked_add(offset - signed(cut.span(piece, size).0)?)
    }

    /// Whether what lies at an offset of a section of an input stays, at that place itself.
    pub(crate) fn stays(&self, at: SectionRef, offset: u64) -> bool {
        self.symbols.fate(at) == Fate::Kept
            && pieces::of(self.cuts, at).is_some_and(|cut| self.live.has(at, cut.find(offset)))
    }

    /// Where a symbol's place goes: output section and offset. `None` if it goes, or is in no section.
    pub(crate) fn symbol(&self, (object, number): SymbolRef) -> Option<(usize, u64)> {
        let symbol = self.objects.get(object)?.symbols.get(number)?;
        let Place::Section(section) = symbol.place else {
            return None;
        };
        let at = (object, section);
        if !self.stays(at, symbol.value) {
            return None;
        }
        let offset = self.offset(at, i64::try_from(symbol.value).ok()?)?;
        Some((self.out_of(at)?, u64::try_from(offset).ok()?))
    }

    /// Calls `visit` with each piece of a section that stays: where it starts and ends there, and where it starts in the output.
    pub(crate) fn for_each_piece(&self, at: SectionRef, mut visit: impl FnMut(u64, u64, u64)) {
        let Some((placement, cut)) = self.placement(at) else {
            return;
        };
        let object = self.objects.get(at.0);
        let size = object
            .and_then(|object| object.sections.get(at.1))
            .map_or(0, |s| s.size);
        for (piece, &start) in placement.starts.iter().enumerate() {
            if self.live.has(at, piece) {
                let (from, to) = cut.span(piece, size);
                visit(from, to, start);
            }
        }
    }

    /// Whether a section of an input is cut, so that distances in it may change.
    pub(crate) fn is_cut(&self, at: SectionRef) -> bool {
        pieces::of(self.cuts, at).is_some_and(|cut| cut.len() > 1)
    }
}

/// Whether a section of the output has bytes in the file.
pub(crate) fn has_bytes(section: &OutSection<'_>) -> bool {
    section.kind == SHT_PROGBITS.0 || section.kind == SHT_NOTE.0
}
