//! The bytes of the output's sections and the relocations on them.
#![deny(clippy::indexing_slicing)]

use super::ext::Immediate;
use super::layout::{Layout, has_bytes};
use super::object::{Object, Relocation, Section};
use super::problem::{Problem, show};
use super::relocations::{Code, Field, INSTRUCTION};
use super::symbols::{SectionRef, SymbolRef, Symbols, Target};

/// What a relocation of the output refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Referent {
    /// The start of an output section.
    Section(usize),
    /// A symbol that only its object knows.
    Local(SymbolRef),
    /// A shared name.
    Global(usize),
}

/// A relocation of the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutRelocation {
    pub(crate) offset: u64,
    pub(crate) kind: u32,
    pub(crate) referent: Referent,
}

/// A section of the output, filled.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Nothing if the section has no bytes in the file.
    pub(crate) bytes: Vec<u8>,
    pub(crate) relocations: Vec<OutRelocation>,
}

/// Fills the sections of the output.
pub(crate) fn fill(
    objects: &[Object<'_>],
    symbols: &Symbols<'_>,
    layout: &Layout<'_, '_>,
    immediates: &[Immediate],
    problems: &mut Vec<Problem>,
) -> Vec<Contents> {
    let mut filled = Vec::with_capacity(layout.sections.len());
    for out in &layout.sections {
        let mut contents = Contents::default();
        if has_bytes(out) {
            contents
                .bytes
                .resize(usize::try_from(out.size).unwrap_or(0), 0);
        }
        for &at in &out.parts {
            let object = objects.get(at.0);
            let Some((object, section)) = object.and_then(|o| Some((o, o.sections.get(at.1)?)))
            else {
                continue;
            };
            let mut filler = Filler {
                object,
                section,
                at,
                symbols,
                layout,
            };
            filler.copy(&mut contents.bytes);
            let done = filler
                .relocate(&mut contents)
                .and_then(|()| filler.move_calls(&mut contents.bytes));
            if let Err(text) = done {
                let text = format!("section {}: {text}", show(section.name));
                problems.push(Problem::of(object, text));
            }
        }
        contents
            .relocations
            .sort_by_key(|relocation| relocation.offset);
        filled.push(contents);
    }
    for immediate in immediates {
        put_immediate(objects, layout, immediate, &mut filled);
    }
    filled
}

/// Puts the new id of a type into an instruction.
fn put_immediate(
    objects: &[Object<'_>],
    layout: &Layout<'_, '_>,
    immediate: &Immediate,
    filled: &mut [Contents],
) {
    let Immediate {
        at,
        offset,
        old,
        new,
        always,
    } = *immediate;
    let place = i64::try_from(offset)
        .ok()
        .and_then(|offset| layout.offset(at, offset));
    let place = place.and_then(|place| u64::try_from(place).ok());
    let contents = layout.out_of(at).and_then(|out| filled.get_mut(out));
    let (Some(place), Some(contents), Some(object)) = (place, contents, objects.get(at.0)) else {
        return;
    };
    let mut code = Code {
        order: object.order,
        bytes: &mut contents.bytes[..],
    };
    if always || code.get(Field::Load, place) == i64::from(old.cast_signed()) {
        code.put_immediate(place, new);
    }
}

/// Fills in one section of an input.
struct Filler<'a, 'd> {
    object: &'a Object<'d>,
    section: &'a Section<'d>,
    at: SectionRef,
    symbols: &'a Symbols<'d>,
    layout: &'a Layout<'a, 'd>,
}

impl Filler<'_, '_> {
    /// Copies what stays.
    fn copy(&mut self, bytes: &mut [u8]) {
        let source = self.section.bytes;
        self.layout.for_each_piece(self.at, |from, to, start| {
            let range =
                |from: u64, to: u64| Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?);
            let source = range(from, to).and_then(|range| source.get(range));
            let target = range(start, start + (to - from)).and_then(|range| bytes.get_mut(range));
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
        });
    }

    /// Where an offset of the section goes.
    fn new_offset(&self, offset: u64) -> Option<u64> {
        let offset = self.layout.offset(self.at, i64::try_from(offset).ok()?)?;
        u64::try_from(offset).ok()
    }

    fn relocate(&self, contents: &mut Contents) -> Result<(), String> {
        for relocation in &self.section.relocations {
            if !self.layout.stays(self.at, relocation.offset) {
                continue;
            }
            let Some(offset) = self.new_offset(relocation.offset) else {
                continue;
            };
            let input = Code {
                order: self.object.order,
                bytes: self.section.bytes,
            };
            let field = input.field(relocation, self.section.is_code())?;
            if field == Field::None {
                continue;
            }
            let (referent, address) = self.refer(relocation, &input, field)?;
            if let Some(address) = address {
                let mut output = Code {
                    order: self.object.order,
                    bytes: &mut contents.bytes[..],
                };
                output.put(field, offset, address)?;
            }
            contents.relocations.push(OutRelocation {
                offset,
                kind: relocation.kind,
                referent,
            });
        }
        Ok(())
    }

    /// What a relocation refers to in the output, and what its field gets if that changes.
    fn refer(
        &self,
        relocation: &Relocation,
        input: &Code<&[u8]>,
        field: Field,
    ) -> Result<(Referent, Option<i64>), String> {
        let symbol = (self.at.0, relocation.symbol);
        match self.symbols.target(symbol) {
            Target::Section(section) => {
                let target = (self.at.0, section);
                let here = || input.get(field, relocation.offset);
                let address = relocation.addend.unwrap_or_else(here);
                let out = self.layout.out_of(target);
                if let Some((out, address)) = out.zip(self.layout.offset(target, address)) {
                    return Ok((Referent::Section(out), Some(address)));
                }
                let name = self.object.sections.get(section);
                let name = name.map_or(&b""[..], |section| section.name);
                let offset = relocation.offset;
                let name = show(name);
                Err(format!(
                    "the relocation at {offset:#x} refers to {name}, which goes"
                ))
            }
            Target::Local => Ok((Referent::Local(symbol), relocation.addend)),
            Target::Global(global) => Ok((Referent::Global(global), relocation.addend)),
            Target::None => Err(format!(
                "the relocation at {:#x} refers to nothing",
                relocation.offset
            )),
        }
    }

    /// Changes the distance of calls that have no relocation.
    fn move_calls(&self, bytes: &mut [u8]) -> Result<(), String> {
        if !self.section.is_code() || !self.layout.is_cut(self.at) {
            return Ok(());
        }
        let input = Code {
            order: self.object.order,
            bytes: self.section.bytes,
        };
        let mut output = Code {
            order: self.object.order,
            bytes,
        };
        let mut relocations = self.section.relocations.iter().peekable();
        let mut offset = 0;
        while offset < self.section.size {
            while relocations.next_if(|entry| entry.offset < offset).is_some() {}
            let is_relocated = relocations
                .peek()
                .is_some_and(|entry| entry.offset == offset);
            if !is_relocated
                && self.layout.stays(self.at, offset)
                && let Some(to) = input.called(offset)
                && let (Some(from), Some(to)) =
                    (self.new_offset(offset), self.layout.offset(self.at, to))
            {
                output.put(Field::Call, from, to - i64::try_from(from).unwrap_or(0))?;
            }
            offset += if input.is_wide(offset) {
                2 * INSTRUCTION
            } else {
                INSTRUCTION
            };
        }
        Ok(())
    }
}
