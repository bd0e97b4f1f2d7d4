//! The DATASECs of the output: for each section its variables, at the offsets that they have now.
//!
//! Sections that exist in BTF only, such as `.kconfig` and `.ksyms`, come behind the others, in the order in which they first
//! occur. A variable that no object defines stays in them; one that another object defines stands where it is defined.
#![deny(clippy::indexing_slicing)]

use std::collections::HashSet;

use btf_core::Result;
use btf_core::types::VarSecinfo;
use btf_core::wire::linkage;

use super::declared::Entities;
use super::layout::Layout;
use super::names::ByName;
use super::object::Object;
use super::problem::{Problem, show};
use super::symbols::Symbols;
use super::types::Types;

/// A section of the output's BTF.
#[derive(Debug, Default)]
struct Datasec<'o> {
    name: &'o [u8],
    /// The entity, its offset and its size.
    entries: Vec<(usize, u32, u32)>,
}

/// Writes the DATASECs.
///
/// # Errors
/// [`btf_core::ErrorKind::TooLarge`] if the result does not fit BTF.
pub(crate) fn write<'o>(
    objects: &'o [Object<'_>],
    symbols: &Symbols<'_>,
    layout: &Layout<'_, 'o>,
    entities: &Entities<'_>,
    types: &mut Types<'_>,
    problems: &mut Vec<Problem>,
) -> Result<()> {
    let mut gatherer = Gatherer {
        symbols,
        layout,
        entities,
        sections: layout
            .sections
            .iter()
            .map(|section| Datasec {
                name: section.name,
                entries: Vec::new(),
            })
            .collect(),
        by_name: layout
            .sections
            .iter()
            .enumerate()
            .map(|(index, section)| (section.name, index))
            .collect(),
        seen: HashSet::new(),
        problems,
    };
    for (index, object) in objects.iter().enumerate() {
        gatherer.add(index, object);
    }
    let Gatherer { sections, .. } = gatherer;
    for (index, mut section) in sections.into_iter().enumerate() {
        if section.entries.is_empty() {
            continue;
        }
        section.entries.sort_by_key(|&(_, offset, _)| offset);
        let entries: Vec<_> = section
            .entries
            .iter()
            .map(|&(entity, offset, size)| VarSecinfo {
                ty: types.entity(entity),
                offset,
                size,
            })
            .collect();
        let size = layout.sections.get(index).map_or(0, |section| section.size);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        types.builder.datasec(section.name, size, &entries)?;
    }
    Ok(())
}

struct Gatherer<'a, 'o, 'd> {
    symbols: &'a Symbols<'d>,
    layout: &'a Layout<'a, 'o>,
    entities: &'a Entities<'a>,
    /// Those of the layout, then those that exist in BTF only.
    sections: Vec<Datasec<'o>>,
    by_name: ByName<'o, usize>,
    /// The sections and shared entities that were put into them.
    seen: HashSet<(usize, usize)>,
    problems: &'a mut Vec<Problem>,
}

impl<'o> Gatherer<'_, 'o, '_> {
    fn add(&mut self, index: usize, object: &'o Object<'_>) {
        for (btf, datasec) in object.datasecs() {
            let name = btf.string(datasec.name).unwrap_or_default();
            let section = object.section(name);
            for entry in datasec.entries() {
                let Some(number) = self.entities.of(index, entry.ty) else {
                    continue;
                };
                let Some(entity) = self.entities.list.get(number) else {
                    continue;
                };
                let place = if entity.linkage == linkage::STATIC {
                    section.and_then(|section| {
                        let at = (index, section);
                        let offset = self.layout.offset(at, entry.offset.into())?;
                        Some((self.layout.out_of(at)?, offset))
                    })
                } else {
                    match self.place(index, object, entity.name) {
                        Ok(place) => place,
                        Err(()) => continue,
                    }
                };
                let (out, offset) = place.unwrap_or_else(|| (self.section(name), 0));
                let offset = u32::try_from(offset).unwrap_or(u32::MAX);
                if (entity.linkage == linkage::STATIC || self.seen.insert((out, number)))
                    && let Some(out) = self.sections.get_mut(out)
                {
                    out.entries.push((number, offset, entry.size));
                }
            }
        }
    }

    /// Where a shared variable is, if anywhere; an error if it does not belong into this object's DATASEC.
    fn place(
        &mut self,
        index: usize,
        object: &Object<'_>,
        name: &[u8],
    ) -> Result<Option<(usize, i64)>, ()> {
        let global = self.symbols.find(name);
        let global = global.and_then(|number| self.symbols.globals.get(number));
        let Some(global) = global else {
            let text = format!("{} has no symbol", show(name));
            self.problems.push(Problem::of(object, text));
            return Err(());
        };
        match global.definition {
            None => Ok(None),
            Some(definition) if definition.0 == index => {
                let (out, offset) = self.layout.symbol(definition).ok_or(())?;
                Ok(Some((out, i64::try_from(offset).unwrap_or(i64::MAX))))
            }
            Some(_) => Err(()),
        }
    }

    /// The number of a section by its name, which may be in BTF only.
    fn section(&mut self, name: &'o [u8]) -> usize {
        let next = self.sections.len();
        let number = *self.by_name.entry(name).or_insert(next);
        if number == next {
            let entries = Vec::new();
            self.sections.push(Datasec { name, entries });
        }
        number
    }
}
