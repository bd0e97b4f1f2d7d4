//! Which pieces stay: all but the bodies of definitions that have lost, or, if wanted, only what programs reach.
//!
//! What stays keeps what it refers to: by relocation, or by a call whose distance the compiler knew.
#![deny(clippy::indexing_slicing)]

use btf_core::cli::pattern::Pattern;
use object::elf::SHF_ALLOC;

use super::layout::output_name;
use super::object::{Object, Place, Relocation, Section};
use super::pieces::{self, Pieces};
use super::problem::{Problem, show};
use super::relocations::{Code, Field, INSTRUCTION};
use super::symbols::{Fate, SectionRef, Symbols, Target};

/// How the sections of data in an arena begin, which needs a map though nothing refers to that.
const ARENA: &[u8] = b".addr_space";

/// What is kept because of what it is.
#[derive(Debug)]
pub(crate) enum Roots<'a> {
    /// Everything that has not lost.
    All,
    /// Programs, licences, structures of operations, and symbols of these names.
    Programs { keep: &'a [Pattern] },
}

/// Which pieces stay.
#[derive(Debug)]
pub(crate) struct Live {
    /// By object, section and piece.
    pieces: Vec<Vec<Vec<bool>>>,
    /// By number of a shared name, whether something that stays refers to it.
    pub(crate) is_used: Vec<bool>,
    /// By number of a shared name, whether any relocation refers to it.
    pub(crate) is_mentioned: Vec<bool>,
}

impl Live {
    /// Whether a piece stays.
    pub(crate) fn has(&self, (object, section): SectionRef, piece: usize) -> bool {
        let sections = self.pieces.get(object);
        sections
            .and_then(|sections| sections.get(section)?.get(piece).copied())
            .unwrap_or(false)
    }
}

/// Finds what stays.
pub(crate) fn find(
    objects: &[Object<'_>],
    symbols: &Symbols<'_>,
    cuts: &[Vec<Pieces>],
    roots: &Roots<'_>,
    problems: &mut Vec<Problem>,
) -> Live {
    let mut marker = Marker {
        objects,
        symbols,
        cuts,
        live: Live {
            pieces: cuts
                .iter()
                .map(|sections| sections.iter().map(|cut| vec![false; cut.len()]).collect())
                .collect(),
            is_used: vec![false; symbols.globals.len()],
            is_mentioned: vec![false; symbols.globals.len()],
        },
        work: Vec::new(),
        // Where everything stays, maps do, too.
        has_arena: matches!(roots, Roots::All),
        problems,
    };
    for index in 0..objects.len() {
        marker.mark_roots(index, roots);
        marker.note_mentions(index);
    }
    while let Some((section, piece)) = marker.work.pop() {
        marker.follow(section, piece);
    }
    marker.live
}

struct Marker<'a, 'd> {
    objects: &'a [Object<'d>],
    symbols: &'a Symbols<'d>,
    cuts: &'a [Vec<Pieces>],
    live: Live,
    work: Vec<(SectionRef, usize)>,
    /// Whether data of an arena stays, and the maps with it.
    has_arena: bool,
    problems: &'a mut Vec<Problem>,
}

/// What items a piece has.
#[derive(Clone, Copy, Default)]
struct Items {
    has_lost: bool,
    has_other: bool,
    is_kept: bool,
}

impl Marker<'_, '_> {
    fn mark(&mut self, at: SectionRef, piece: usize) {
        let sections = self.live.pieces.get_mut(at.0);
        let slot = sections.and_then(|sections| sections.get_mut(at.1)?.get_mut(piece));
        if let Some(slot @ false) = slot {
            *slot = true;
            self.work.push((at, piece));
        }
    }

    /// Marks the piece at `offset`, or the one that stands for it.
    fn mark_at(&mut self, at: SectionRef, offset: u64) {
        let at = match self.symbols.fate(at) {
            Fate::Same(other) => other,
            Fate::Kept | Fate::Dropped => at,
        };
        if let Some(cut) = pieces::of(self.cuts, at) {
            self.mark(at, cut.find(offset));
        }
    }

    fn mark_roots(&mut self, index: usize, roots: &Roots<'_>) {
        let Some((object, cuts)) = self.objects.get(index).zip(self.cuts.get(index)) else {
            return;
        };
        let mut items: Vec<Vec<Items>> = cuts
            .iter()
            .map(|cut| vec![Items::default(); cut.len()])
            .collect();
        for (number, symbol) in object.symbols.iter().enumerate() {
            let Place::Section(section) = symbol.place else {
                continue;
            };
            let piece = cuts.get(section).map_or(0, |cut| cut.find(symbol.value));
            let Some(items) = items
                .get_mut(section)
                .and_then(|items| items.get_mut(piece))
            else {
                continue;
            };
            if self.symbols.has_lost(self.objects, (index, number)) {
                items.has_lost = true;
            } else if symbol.is_item() {
                items.has_other = true;
                items.is_kept |= match roots {
                    Roots::All => true,
                    Roots::Programs { keep } => keep.iter().any(|p| p.matches(symbol.name)),
                };
            }
        }
        for (number, (section, items)) in object.sections.iter().zip(&items).enumerate() {
            if !section.is_linked() || self.symbols.fate((index, number)) != Fate::Kept {
                continue;
            }
            let is_root = match roots {
                Roots::All => true,
                Roots::Programs { .. } => is_root(section),
            };
            for (piece, items) in items.iter().enumerate() {
                let has_only_lost = items.has_lost && !items.has_other;
                if items.is_kept || is_root && !has_only_lost {
                    self.mark((index, number), piece);
                }
            }
        }
    }

    /// Notes which shared names relocations mention at all.
    fn note_mentions(&mut self, index: usize) {
        let Some(object) = self.objects.get(index) else {
            return;
        };
        for section in &object.sections {
            for relocation in &section.relocations {
                if let Target::Global(global) = self.symbols.target((index, relocation.symbol))
                    && let Some(slot) = self.live.is_mentioned.get_mut(global)
                {
                    *slot = true;
                }
            }
        }
    }

    /// Marks what a piece refers to.
    fn follow(&mut self, at: SectionRef, piece: usize) {
        let Some(object) = self.objects.get(at.0) else {
            return;
        };
        let Some((section, cut)) = object.sections.get(at.1).zip(pieces::of(self.cuts, at)) else {
            return;
        };
        if section.name.starts_with(ARENA) && !std::mem::replace(&mut self.has_arena, true) {
            self.mark_maps();
        }
        let (start, end) = cut.span(piece, section.size);
        let code = Code {
            order: object.order,
            bytes: section.bytes,
        };
        // What lies behind the end is found here, too, and reported.
        let end_of_relocations = if piece + 1 == cut.len() {
            u64::MAX
        } else {
            end
        };
        let from = section
            .relocations
            .partition_point(|entry| entry.offset < start);
        for relocation in section.relocations.iter().skip(from) {
            if relocation.offset >= end_of_relocations {
                break;
            }
            match code.field(relocation, section.is_code()) {
                Ok(field) => self.follow_relocation(at, relocation, &code, field),
                Err(text) => self.complain(at, section, &text),
            }
        }
        if section.is_code() && cut.len() > 1 {
            self.follow_calls(at, (start, end), section, &code);
        }
    }

    /// Marks all maps.
    fn mark_maps(&mut self) {
        for (index, object) in self.objects.iter().enumerate() {
            let section = object.section(b".maps");
            let cut = section.and_then(|section| pieces::of(self.cuts, (index, section)));
            if let (Some(section), Some(cut)) = (section, cut) {
                for piece in 0..cut.len() {
                    self.mark((index, section), piece);
                }
            }
        }
    }

    fn follow_relocation(
        &mut self,
        at: SectionRef,
        relocation: &Relocation,
        code: &Code<&[u8]>,
        field: Field,
    ) {
        let symbol_at = (at.0, relocation.symbol);
        if field == Field::None {
            return;
        }
        match self.symbols.target(symbol_at) {
            Target::Section(section) => {
                let addend = relocation.addend;
                let addend = addend.unwrap_or_else(|| code.get(field, relocation.offset));
                self.mark_at((at.0, section), u64::try_from(addend).unwrap_or(0));
            }
            Target::Local => self.mark_symbol(symbol_at),
            Target::Global(global) => {
                if let Some(slot) = self.live.is_used.get_mut(global) {
                    *slot = true;
                }
                let global = self.symbols.globals.get(global);
                if let Some(definition) = global.and_then(|global| global.definition) {
                    self.mark_symbol(definition);
                }
            }
            Target::None => {
                let object = self.objects.get(at.0);
                let symbol = object.and_then(|object| object.symbols.get(relocation.symbol));
                let name = symbol.map_or(&b""[..], |symbol| symbol.name);
                let text = format!("{}, which is not linked, is referred to", show(name));
                self.problems
                    .extend(object.map(|object| Problem::of(object, text)));
            }
        }
    }

    fn mark_symbol(&mut self, (object, symbol): (usize, usize)) {
        let found = self.objects.get(object);
        let Some(symbol) = found.and_then(|object| object.symbols.get(symbol)) else {
            return;
        };
        if let Place::Section(section) = symbol.place {
            self.mark_at((object, section), symbol.value);
        }
    }

    /// Marks what calls without a relocation lead to.
    fn follow_calls(
        &mut self,
        at: SectionRef,
        (mut offset, end): (u64, u64),
        section: &Section<'_>,
        code: &Code<&[u8]>,
    ) {
        let from = section
            .relocations
            .partition_point(|entry| entry.offset < offset);
        let mut relocations = section.relocations.iter().skip(from).peekable();
        while offset < end {
            while relocations.next_if(|entry| entry.offset < offset).is_some() {}
            let is_relocated = relocations
                .peek()
                .is_some_and(|entry| entry.offset == offset);
            if !is_relocated && let Some(to) = code.called(offset) {
                match u64::try_from(to).ok().filter(|&to| to < section.size) {
                    Some(to) => self.mark_at(at, to),
                    None => self.complain(
                        at,
                        section,
                        &format!("the call at {offset:#x} leads outside"),
                    ),
                }
            }
            offset += if code.is_wide(offset) {
                2 * INSTRUCTION
            } else {
                INSTRUCTION
            };
        }
    }

    fn complain(&mut self, at: SectionRef, section: &Section<'_>, text: &str) {
        let text = format!("section {}: {text}", show(section.name));
        let object = self.objects.get(at.0);
        self.problems
            .extend(object.map(|object| Problem::of(object, text)));
    }
}

/// Whether a section is kept for itself: programs, and what loaders look for by its name.
fn is_root(section: &Section<'_>) -> bool {
    let name = section.name;
    section.flags & SHF_ALLOC.0 == 0
        || section.is_code() && output_name(name) != b".text"
        || matches!(name, b"license" | b"version")
        || name.starts_with(b".struct_ops")
        || name.starts_with(b"?.struct_ops")
}
