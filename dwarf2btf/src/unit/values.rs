//! What attributes stand for: names, relocated values, addresses, references to other DIEs.
//!
//! Spec: DWARF 5, 7.5.5 "Classes and Forms".
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit fit 30 bits: `units` refuses longer units"
)]

use btf_core::dedup::Name;
use gimli::constants as dw;

use crate::abbrev::Slot;
use crate::die::{Attributes, Bytes, Malformed};
use crate::finding::FindingKind;
use crate::references::Link;
use crate::unit::{RELOCATION, UnitReader, UnitState};

impl<'c> UnitReader<'c, '_> {
    /// The string of an attribute; empty if there is none.
    pub(crate) fn name(
        &self,
        state: &mut UnitState<'c>,
        attributes: &Attributes,
        slot: Slot,
    ) -> Result<Name, Malformed> {
        let Some(value) = attributes.raw(slot) else {
            return Ok(Name(0));
        };
        let names = self.context.names;
        let image = self.context.image;
        Ok(match attributes.form(slot) {
            dw::DW_FORM_strp => self.name_of_offset(state, attributes.place(slot), value)?,
            dw::DW_FORM_string => {
                names.of(Bytes::new(state.data, 0, image.order).text_at(value as usize))
            }
            dw::DW_FORM_line_strp => {
                let (offset, _) = self.relocated(state, attributes.place(slot), value)?;
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                if offset >= image.debug_line_str.data.len() {
                    let expected = "offset of a string in .debug_line_str";
                    return Err(Malformed::new(attributes.place(slot), expected));
                }
                names.of(Bytes::new(&image.debug_line_str.data, 0, image.order).text_at(offset))
            }
            dw::DW_FORM_strx
            | dw::DW_FORM_strx1
            | dw::DW_FORM_strx2
            | dw::DW_FORM_strx3
            | dw::DW_FORM_strx4
            | dw::DW_FORM_GNU_str_index => {
                let offset = self.indexed_string(state, value, attributes.place(slot))?;
                self.name_at(offset, attributes.place(slot))?
            }
            _ => Name(0),
        })
    }

    /// The name whose offset in `.debug_str` stands at `place` of the unit.
    #[inline]
    pub(crate) fn name_of_offset(
        &self,
        state: &mut UnitState<'c>,
        place: usize,
        offset: u64,
    ) -> Result<Name, Malformed> {
        if state.is_relocated {
            self.name_of_relocated(state, place, offset)
        } else {
            self.name_at(offset, place)
        }
    }

    /// As `name_of_offset`, in a relocatable file; apart, so as not to grow what that is put into.
    #[inline(never)]
    fn name_of_relocated(
        &self,
        state: &mut UnitState<'c>,
        place: usize,
        offset: u64,
    ) -> Result<Name, Malformed> {
        let at = (state.unit.range.start + place) as u64;
        let offset = match state.relocations.value_at_next(at, offset) {
            Some(relocated) => relocated.value,
            None => self.relocated(state, place, offset)?.0,
        };
        let name = self.context.names.at_in_module(offset);
        name.map_or_else(|| self.name_at(offset, place), Ok)
    }

    /// The name at an offset of `.debug_str`, which the attribute at `place` gives.
    #[inline]
    pub(crate) fn name_at(&self, offset: u64, place: usize) -> Result<Name, Malformed> {
        self.context.names.at(offset).ok_or(Malformed {
            offset: place,
            expected: "offset of a string in .debug_str, of at most 64 KiB",
        })
    }

    /// The value stored at offset `place` of the unit, relocated, and the section of the relocation's symbol.
    #[expect(
        clippy::unused_self,
        reason = "it stands beside the other ways to read a value"
    )]
    #[inline(never)]
    pub(crate) fn relocated(
        &self,
        state: &mut UnitState<'c>,
        place: usize,
        value: u64,
    ) -> Result<(u64, Option<u32>), Malformed> {
        if !state.is_relocated {
            return Ok((value, None));
        }
        let relocated = state
            .relocations
            .value((state.unit.range.start + place) as u64, value);
        let relocated = relocated.map_err(|_| Malformed::new(place, RELOCATION))?;
        Ok((relocated.value, relocated.section))
    }

    /// The offset in `.debug_str` of the string with this index.
    fn indexed_string(
        &self,
        state: &UnitState<'c>,
        index: u64,
        place: usize,
    ) -> Result<u64, Malformed> {
        let section = &self.context.image.debug_str_offsets;
        let size = state.unit.sizes.offset;
        let offset = index
            .checked_mul(u64::from(size))
            .and_then(|offset| offset.checked_add(state.str_offsets_base));
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        let missing = Malformed {
            offset: place,
            expected: "index of a string in .debug_str_offsets",
        };
        let offset = offset.ok_or(missing)?;
        let value = Bytes::new(&section.data, offset, self.context.image.order)
            .uint(size)
            .map_err(|_| missing)?;
        if section.relocations.is_empty() {
            return Ok(value);
        }
        Ok(section
            .relocations
            .value(offset as u64, value)
            .map_err(|_| missing)?
            .value)
    }

    /// The address with this index in `.debug_addr`, and its section in relocatable files; `place` is that of the index.
    pub(crate) fn indexed_address(
        &self,
        state: &UnitState<'c>,
        index: u64,
        place: usize,
    ) -> Result<(u64, Option<u32>), Malformed> {
        let section = &self.context.image.debug_addr;
        let size = state.unit.sizes.address;
        let offset = index
            .checked_mul(u64::from(size))
            .and_then(|offset| offset.checked_add(state.addr_base));
        let missing = Malformed {
            offset: place,
            expected: "index of an address in .debug_addr",
        };
        let offset = offset.ok_or(missing)?;
        let at = usize::try_from(offset).map_err(|_| missing)?;
        let value = Bytes::new(&section.data, at, self.context.image.order)
            .uint(size)
            .map_err(|_| missing)?;
        let relocated = section.relocations.value(offset, value);
        let relocated = relocated.map_err(|_| missing)?;
        Ok((relocated.value, relocated.section))
    }

    /// A link to a DIE of the unit that is being walked.
    pub(crate) fn own_link(&mut self, state: &UnitState<'c>, die: u32) -> Link {
        // 0 is in the header: in every unit that stands for void.
        if self.fetching && die != 0 {
            self.references.foreign((state.index, die))
        } else {
            Link::die(die)
        }
    }

    /// The type or DIE that an attribute names.
    #[inline]
    pub(crate) fn link(
        &mut self,
        state: &mut UnitState<'c>,
        attributes: &Attributes,
        slot: Slot,
    ) -> Result<Link, Malformed> {
        let Some(value) = attributes.raw(slot) else {
            return Ok(Link::VOID);
        };
        match attributes.form(slot) {
            dw::DW_FORM_ref1
            | dw::DW_FORM_ref2
            | dw::DW_FORM_ref4
            | dw::DW_FORM_ref8
            | dw::DW_FORM_ref_udata => {
                if value >= state.data.len() as u64 {
                    return Err(Malformed::new(
                        attributes.place(slot),
                        "reference to a DIE of the unit",
                    ));
                }
                Ok(self.own_link(state, value as u32))
            }
            _ => self.distant_link(state, attributes, slot, value),
        }
    }

    /// As `link`, for what may lie in another unit.
    #[cold]
    fn distant_link(
        &mut self,
        state: &mut UnitState<'c>,
        attributes: &Attributes,
        slot: Slot,
        value: u64,
    ) -> Result<Link, Malformed> {
        let place = attributes.place(slot);
        let foreign = match attributes.form(slot) {
            dw::DW_FORM_ref_addr => {
                let (offset, _) = self.relocated(state, place, value)?;
                let found = self.context.units.at_offset(offset);
                Some(found.ok_or(Malformed {
                    offset: place,
                    expected: "reference to a DIE of some unit",
                })?)
            }
            dw::DW_FORM_ref_sig8 => self.context.units.with_signature(value),
            dw::DW_FORM_GNU_ref_alt | dw::DW_FORM_ref_sup4 | dw::DW_FORM_ref_sup8 => {
                self.note_finding(state, self.die, FindingKind::SupplementaryFile);
                return Ok(Link::VOID);
            }
            _ => return Err(Malformed::new(place, "form of a reference")),
        };
        match foreign {
            Some((unit, offset)) if unit == state.index && !self.fetching => Ok(Link::die(offset)),
            Some(die) if self.fetching => Ok(self.references.foreign(die)),
            Some(die) => Ok(self.references.foreign_from(self.die, die)),
            None => {
                self.note_finding(state, self.die, FindingKind::DanglingReference);
                Ok(Link::VOID)
            }
        }
    }
}
