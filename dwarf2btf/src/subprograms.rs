//! Functions of a unit, as far as DWARF describes them: which rules keep them is decided elsewhere.
//!
//! Spec: DWARF 5, 3.3 "Subroutine and Entry Point Entries".
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use gimli::constants as dw;

use crate::abbrev::Slot;
use crate::die::{Attributes, Malformed};
use crate::references::Link;
use crate::unit::{Parameter, RawLocation, ScopeKind, Subprogram, UnitReader, UnitState};

impl<'c> UnitReader<'c, '_> {
    #[inline]
    pub(crate) fn add_subprogram(
        &mut self,
        state: &mut UnitState<'c>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let is_specification = attributes.has(Slot::Specification);
        let origin = if is_specification {
            Slot::Specification
        } else {
            Slot::AbstractOrigin
        };
        let index = self.subprograms.len() as u32;
        let subprogram = Subprogram {
            die,
            foreign_unit: self.fetching.then_some(state.index),
            name: self.name(state, attributes, Slot::Name)?,
            return_link: self.link(state, attributes, Slot::Type)?.0,
            has_return: attributes.has(Slot::Type),
            low_pc: self.low_pc(state, attributes)?,
            origin: self.link(state, attributes, origin)?.0,
            is_declaration: attributes.flag(Slot::Declaration),
            is_nocall: attributes.raw(Slot::CallingConvention)
                == Some(u64::from(dw::DW_CC_nocall.0)),
            is_variadic: false,
            parameters: (self.parameters.len() as u32, 0),
        };
        self.subprograms.push(subprogram);
        if self.fetching {
            self.foreign_subprograms.insert((state.index, die), index);
        }
        self.function_depth += 1;
        let kind = ScopeKind::Subprogram(index);
        self.note_gnu_annotation(state, kind, Link::VOID, attributes)?;
        Ok(kind)
    }

    fn low_pc(
        &self,
        state: &mut UnitState<'c>,
        attributes: &Attributes,
    ) -> Result<Option<(u64, Option<u32>)>, Malformed> {
        let Some(value) = attributes.raw(Slot::LowPc) else {
            return Ok(None);
        };
        match attributes.form(Slot::LowPc) {
            dw::DW_FORM_addr => self
                .relocated(state, attributes.place(Slot::LowPc), value)
                .map(Some),
            _ => self
                .indexed_address(state, value, attributes.place(Slot::LowPc))
                .map(Some),
        }
    }

    /// Adds a parameter of function `index` and returns its own index.
    #[inline]
    pub(crate) fn add_function_parameter(
        &mut self,
        state: &mut UnitState<'c>,
        index: u32,
        die: u32,
        attributes: &Attributes,
    ) -> Result<u32, Malformed> {
        let parameter = Parameter {
            die,
            name: self.name(state, attributes, Slot::Name)?,
            link: self.link(state, attributes, Slot::Type)?.0,
            origin: self.link(state, attributes, Slot::AbstractOrigin)?.0,
            location: self.raw_location(state, attributes)?,
            has_const_value: attributes.has(Slot::ConstValue),
        };
        Ok(self.push_function_parameter(index, parameter))
    }

    /// As [`UnitReader::add_function_parameter`], of a parameter that has been read.
    pub(crate) fn push_function_parameter(&mut self, index: u32, parameter: Parameter) -> u32 {
        let (start, count) = self.subprograms[index as usize].parameters;
        if count == 0 {
            // Functions of which no parameter has been seen may stand before.
            self.subprograms[index as usize].parameters.0 = self.parameters.len() as u32;
        } else if (start + count) as usize != self.parameters.len() {
            // Another function's parameters have come between, as no compiler writes it. A function that is known in part is
            // not described, and joining the parts could take time and memory without bound.
            self.subprograms[index as usize].is_declaration = true;
            return start;
        }
        self.parameters.push(parameter);
        self.subprograms[index as usize].parameters.1 += 1;
        self.parameters.len() as u32 - 1
    }

    fn raw_location(
        &self,
        state: &mut UnitState<'c>,
        attributes: &Attributes,
    ) -> Result<RawLocation, Malformed> {
        let Some(value) = attributes.raw(Slot::Location) else {
            return Ok(RawLocation::None);
        };
        Ok(match attributes.form(Slot::Location) {
            dw::DW_FORM_sec_offset | dw::DW_FORM_data4 | dw::DW_FORM_data8 => RawLocation::List(
                self.relocated(state, attributes.place(Slot::Location), value)?
                    .0,
            ),
            dw::DW_FORM_loclistx => RawLocation::ListIndex(value),
            _ => match attributes.block(Slot::Location) {
                Some(block) => RawLocation::Expression(block.start as u32, block.len as u32),
                None => RawLocation::None,
            },
        })
    }
}
