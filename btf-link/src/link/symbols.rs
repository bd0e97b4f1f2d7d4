//! What each name means: of all symbols of one name, the one that the others stand for.
//!
//! The rules are ELF's: a definition that is not weak counts once, before weak ones, of which the first counts. What no object
//! defines stays undefined: kernels have functions and configuration that programs refer to by name.
#![deny(clippy::indexing_slicing)]

use super::jump_tables;
use super::names::ByName;
use super::object::{Binding, Object, Place};
use super::problem::{Problem, show};

/// The number of an object and of a symbol in it.
pub(crate) type SymbolRef = (usize, usize);

/// The number of an object and of a section in it.
pub(crate) type SectionRef = (usize, usize);

/// A name that objects share.
#[derive(Debug)]
pub(crate) struct Global<'d> {
    pub(crate) name: &'d [u8],
    /// All symbols of this name, in order.
    pub(crate) uses: Vec<SymbolRef>,
    /// The symbol that counts, if an object defines it.
    pub(crate) definition: Option<SymbolRef>,
    /// Whether all that counts is weak: the definition, or all that refer to it if there is none.
    pub(crate) is_weak: bool,
    /// The most restricted `STV_*` of all.
    pub(crate) visibility: u8,
}

/// What a symbol of an object means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing: it is the null symbol, names a file, or belongs to what is left out.
    None,
    /// The start of a section.
    Section(usize),
    /// Itself.
    Local,
    /// A shared name.
    Global(usize),
}

/// What becomes of a section that several objects have and one is kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is kept.
    Kept,
    /// Another one is kept, and stands for it.
    Same(SectionRef),
    /// It belongs to a group of which another one is kept.
    Dropped,
}

/// What all symbols and sections mean.
#[derive(Debug, Default)]
pub(crate) struct Symbols<'d> {
    pub(crate) globals: Vec<Global<'d>>,
    /// By object and symbol.
    pub(crate) targets: Vec<Vec<Target>>,
    /// By object and section.
    pub(crate) fates: Vec<Vec<Fate>>,
    by_name: ByName<'d, usize>,
}

impl<'d> Symbols<'d> {
    /// Finds out what each symbol means.
    pub(crate) fn resolve(objects: &[Object<'d>], problems: &mut Vec<Problem>) -> Self {
        let mut symbols = Self {
            fates: fates(objects, problems),
            ..Self::default()
        };
        for (index, object) in objects.iter().enumerate() {
            symbols.add(index, object, objects, problems);
        }
        symbols
    }

    /// The shared name `name`, if it is one.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn target(&self, (object, symbol): SymbolRef) -> Target {
        let targets = self.targets.get(object);
        targets
            .and_then(|targets| targets.get(symbol).copied())
            .unwrap_or(Target::None)
    }

    pub(crate) fn fate(&self, (object, section): SectionRef) -> Fate {
        let fates = self.fates.get(object);
        fates
            .and_then(|fates| fates.get(section).copied())
            .unwrap_or(Fate::Kept)
    }

    /// Whether the symbol is a definition of a shared name for which another one counts.
    pub(crate) fn has_lost(&self, objects: &[Object<'_>], at: SymbolRef) -> bool {
        let Target::Global(global) = self.target(at) else {
            return false;
        };
        let is_defined = objects
            .get(at.0)
            .and_then(|object| object.symbols.get(at.1))
            .is_some_and(|symbol| symbol.place != Place::Undefined);
        let winner = self
            .globals
            .get(global)
            .and_then(|global| global.definition);
        is_defined && winner != Some(at)
    }

    fn add(
        &mut self,
        index: usize,
        object: &Object<'d>,
        objects: &[Object<'d>],
        problems: &mut Vec<Problem>,
    ) {
        let mut targets = Vec::with_capacity(object.symbols.len());
        for (number, symbol) in object.symbols.iter().enumerate() {
            let at = (index, number);
            let fate = if let Place::Section(section) = symbol.place {
                self.fate((index, section))
            } else {
                Fate::Kept
            };
            let is_nothing = symbol.place == Place::Nowhere
                || number == 0
                || symbol.is_file()
                || symbol.binding == Binding::Local && symbol.place == Place::Undefined;
            targets.push(match (symbol.place, fate) {
                _ if is_nothing => Target::None,
                (Place::Section(section), _) if symbol.is_section() => Target::Section(section),
                (_, Fate::Same(_)) => Target::None,
                (_, Fate::Dropped) if symbol.binding == Binding::Local => Target::None,
                _ if symbol.binding == Binding::Local => Target::Local,
                _ if object.is_in_jump_table(symbol.place) => Target::Local,
                _ => Target::Global(self.use_global(at, fate == Fate::Kept, objects, problems)),
            });
        }
        self.targets.push(targets);
    }

    /// Adds a symbol to those of its name; returns the name's number.
    fn use_global(
        &mut self,
        at: SymbolRef,
        is_kept: bool,
        objects: &[Object<'d>],
        problems: &mut Vec<Problem>,
    ) -> usize {
        let symbol = objects
            .get(at.0)
            .and_then(|object| object.symbols.get(at.1));
        let Some(symbol) = symbol else {
            return usize::MAX;
        };
        let next = self.globals.len();
        let number = *self.by_name.entry(symbol.name).or_insert(next);
        if number == next {
            self.globals.push(Global {
                name: symbol.name,
                uses: Vec::new(),
                definition: None,
                is_weak: true,
                visibility: 0,
            });
        }
        let Some(global) = self.globals.get_mut(number) else {
            return usize::MAX;
        };
        global.uses.push(at);
        global.visibility = more_restricted(global.visibility, symbol.visibility);
        let is_weak = symbol.binding == Binding::Weak;
        let is_definition = symbol.place != Place::Undefined && is_kept;
        match (global.definition, is_definition) {
            (None, true) => {
                global.definition = Some(at);
                global.is_weak = is_weak;
            }
            (None, false) => global.is_weak &= is_weak,
            (Some(_), true) if !is_weak && global.is_weak => {
                global.definition = Some(at);
                global.is_weak = false;
            }
            (Some(before), true) if !is_weak => {
                let text = format!("{} is defined twice", show(symbol.name));
                problems.push(Problem::of_symbols(text, objects, [before, at]));
            }
            (Some(_), _) => {}
        }
        number
    }
}

impl Object<'_> {
    /// Whether a symbol is one of clang's tables of jumps, whose names are numbers that begin anew in each object.
    fn is_in_jump_table(&self, place: Place) -> bool {
        let Place::Section(section) = place else {
            return false;
        };
        let section = self.sections.get(section);
        section.is_some_and(|section| section.name == jump_tables::SECTION)
    }
}

/// The more restricted of two `STV_*`: internal, hidden, protected, default.
fn more_restricted(a: u8, b: u8) -> u8 {
    match (a & 3, b & 3) {
        (0, other) | (other, 0) => other,
        (a, b) => a.min(b),
    }
}

/// Decides which sections are kept of those that may be there once only.
fn fates(objects: &[Object<'_>], problems: &mut Vec<Problem>) -> Vec<Vec<Fate>> {
    let mut fates: Vec<_> = objects
        .iter()
        .map(|object| vec![Fate::Kept; object.sections.len()])
        .collect();
    let mut once: ByName<'_, SectionRef> = ByName::default();
    let mut groups: ByName<'_, usize> = ByName::default();
    for (index, object) in objects.iter().enumerate() {
        let Some(own) = fates.get_mut(index) else {
            continue;
        };
        for (signature, members) in &object.groups {
            if *groups.entry(signature).or_insert(index) != index {
                for &member in members {
                    if let Some(fate) = own.get_mut(member) {
                        *fate = Fate::Dropped;
                    }
                }
            }
        }
        for (number, section) in object.sections.iter().enumerate() {
            if !section.is_linked() || !matches!(section.name, b"license" | b"version") {
                continue;
            }
            let first = *once.entry(section.name).or_insert((index, number));
            if first == (index, number) {
                continue;
            }
            let other = objects.get(first.0);
            let other = other.and_then(|object| object.sections.get(first.1));
            if other.is_none_or(|other| other.bytes != section.bytes) {
                problems.push(disagreement(objects, first, (index, number)));
            }
            if let Some(fate) = own.get_mut(number) {
                *fate = Fate::Same(first);
            }
        }
    }
    fates
}

/// Two objects with different licences or versions.
fn disagreement(objects: &[Object<'_>], first: SectionRef, second: SectionRef) -> Problem {
    let section = |(object, section): SectionRef| objects.get(object)?.sections.get(section);
    let text = |at| {
        let bytes = section(at).map_or(&b""[..], |section| section.bytes);
        show(bytes.strip_suffix(b"\0").unwrap_or(bytes))
    };
    let name = section(first).map_or(String::new(), |section| show(section.name));
    let text = format!(
        "section {name} must be the same in all objects, and is {} and {}",
        text(first),
        text(second)
    );
    Problem::of_symbols(text, objects, [(first.0, 0), (second.0, 0)])
}
