//! Variables of a unit that lie in a section that was asked for.
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::TypeId;
use btf_core::dedup::Name;
use gimli::constants as dw;

use crate::abbrev::Slot;
use crate::die::{Attributes, Bytes, Malformed};
use crate::references::{Link, type_size};
use crate::symbols::ObjectSymbols;
use crate::unit::{ScopeKind, TagOwner, UnitReader, UnitState, Variable};
use crate::variables::{self, Place, VariableReason, VariableSections};

/// What is needed to place variables; shared by all workers.
#[derive(Debug)]
pub(crate) struct Placing<'a> {
    pub(crate) sections: VariableSections<'a>,
    pub(crate) objects: ObjectSymbols<'a>,
}

/// A variable that is described.
#[derive(Clone, Debug)]
pub(crate) struct PlacedVariable {
    pub(crate) unit: u32,
    pub(crate) die_offset: u64,
    pub(crate) name: Name,
    /// The local id of its type.
    pub(crate) ty: TypeId,
    pub(crate) is_external: bool,
    pub(crate) place: Place,
    pub(crate) tags: Vec<Name>,
}

/// A variable that is left out.
#[derive(Clone, Debug)]
pub(crate) struct LeftOutVariable {
    pub(crate) unit: u32,
    pub(crate) die_offset: u64,
    pub(crate) name: Name,
    pub(crate) reason: VariableReason,
}

impl<'c> UnitReader<'c, '_> {
    pub(crate) fn add_variable(
        &mut self,
        state: &mut UnitState<'c>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let index = self.variables.len() as u32;
        let link = self.link(state, attributes, Slot::Type)?;
        // With LTO, gcc's variables complete those of another unit as functions do.
        let origin = if attributes.has(Slot::Specification) {
            Slot::Specification
        } else {
            Slot::AbstractOrigin
        };
        let origin = self.link(state, attributes, origin)?;
        let variable = Variable {
            die,
            name: self.name(state, attributes, Slot::Name)?,
            link: link.0,
            has_type: attributes.has(Slot::Type),
            is_external: attributes.flag(Slot::External),
            is_artificial: attributes.flag(Slot::Artificial),
            origin: origin.0,
            address: self.variable_address(state, attributes)?,
        };
        self.variables.push(variable);
        if self.fetching {
            self.foreign_variables.insert((state.index, die), index);
        }
        self.note_gnu_annotation(state, ScopeKind::Variable(index), Link::VOID, attributes)?;
        Ok(ScopeKind::Variable(index))
    }

    /// The address that a variable's location gives, if it is one address.
    pub(crate) fn variable_address(
        &self,
        state: &mut UnitState<'c>,
        attributes: &Attributes,
    ) -> Result<Option<(u64, Option<u32>)>, Malformed> {
        let Some(block) = attributes.block(Slot::Location) else {
            return Ok(None);
        };
        let mut bytes = Bytes::new(state.data, block.start, self.context.image.order);
        let end = block.start + block.len;
        let address = match bytes.u8().map(dw::DwOp) {
            Ok(dw::DW_OP_addr) => {
                let place = bytes.position();
                let value = bytes.uint(state.unit.sizes.address)?;
                Some(self.relocated(state, place, value)?)
            }
            Ok(dw::DW_OP_addrx | dw::DW_OP_GNU_addr_index) => {
                let index = bytes.uleb()?;
                Some(self.indexed_address(state, index, block.start)?)
            }
            _ => None,
        };
        let Some((mut address, section)) = address else {
            return Ok(None);
        };
        if bytes.position() < end {
            if bytes.u8().map(dw::DwOp) != Ok(dw::DW_OP_plus_uconst) {
                return Ok(None);
            }
            address = address.wrapping_add(bytes.uleb()?);
        }
        Ok((bytes.position() == end).then_some((address, section)))
    }
}

/// The tags of variables: the variable's index, their position among all tags and their text, in order.
fn variable_tags(reader: &UnitReader<'_, '_>) -> Vec<(u32, usize, Name)> {
    let tags = reader.decl_tags.iter().enumerate();
    let mut tags: Vec<_> = tags
        .filter_map(|(order, tag)| match tag.owner {
            TagOwner::Variable(index) => Some((index, order, tag.text)),
            TagOwner::Type(..) | TagOwner::Subprogram(_) | TagOwner::Parameter(_) => None,
        })
        .collect();
    tags.sort_unstable_by_key(|&(index, order, _)| (index, order));
    tags
}

/// The texts of the tags of a variable and its declaration, in the order of all.
fn tags_of(all: &[(u32, usize, Name)], indices: [Option<usize>; 2]) -> Vec<Name> {
    let owner = |tag: &(u32, usize, Name)| tag.0 as usize;
    let mut tags: Vec<(usize, Name)> = Vec::new();
    for index in indices.into_iter().flatten() {
        let first = all.partition_point(|tag| owner(tag) < index);
        let own = all[first..].iter().take_while(|tag| owner(tag) == index);
        tags.extend(own.map(|&(_, order, text)| (order, text)));
    }
    tags.sort_unstable_by_key(|&(order, _)| order);
    tags.into_iter().map(|(_, text)| text).collect()
}

/// Places the variables of the unit that `reader` has just read.
pub(crate) fn place(
    placing: &Placing<'_>,
    reader: &UnitReader<'_, '_>,
    state: &UnitState<'_>,
    placed: &mut Vec<PlacedVariable>,
    left_out: &mut Vec<LeftOutVariable>,
) {
    let own = reader.variables.len() - reader.foreign_variables.len();
    let tags = variable_tags(reader);
    for (index, variable) in reader.variables[..own].iter().enumerate() {
        let Some((address, section)) = variable.address else {
            continue;
        };
        if variable.is_artificial {
            continue;
        }
        let declared_index = declaration(reader, variable);
        let declared = declared_index.map(|index| &reader.variables[index]);
        let link = match declared {
            Some(declared) if !variable.has_type => declared.link,
            _ => variable.link,
        };
        let name = if variable.name.0 == 0 {
            declared.map_or(Name(0), |declared| declared.name)
        } else {
            variable.name
        };
        let is_external =
            variable.is_external || declared.is_some_and(|declared| declared.is_external);
        let id = reader.type_id(link);
        let size = type_size(&reader.fragment, id, state.unit.sizes.address).unwrap_or(0);
        let die_offset = state.unit.range.start as u64 + u64::from(variable.die);
        let unit = state.index;
        let result = reader.context.names.with(name, |name| {
            let ty = (id != 0).then_some(());
            let variable = variables::Variable {
                name,
                address,
                section,
                size,
                ty,
                is_external,
                unit,
                die_offset,
            };
            placing.sections.place(&variable, &placing.objects)
        });
        match result {
            Ok(place) => {
                let tags = tags_of(&tags, [Some(index), declared_index]);
                placed.push(PlacedVariable {
                    unit,
                    die_offset,
                    name,
                    ty: TypeId(id),
                    is_external,
                    place,
                    tags,
                });
            }
            Err(VariableReason::OtherSection) => {}
            Err(reason) => left_out.push(LeftOutVariable {
                unit,
                die_offset,
                name,
                reason,
            }),
        }
    }
}

/// The index of the declaration that a definition completes.
fn declaration(reader: &UnitReader<'_, '_>, variable: &Variable) -> Option<usize> {
    let link = Link(variable.origin);
    if let Some(die) = link.die_offset() {
        let own = reader.variables.len() - reader.foreign_variables.len();
        return reader.variables[..own]
            .binary_search_by_key(&die, |other| other.die)
            .ok();
    }
    let die = reader.references.foreign_dies.get(link.foreign_number()?)?;
    reader
        .foreign_variables
        .get(die)
        .map(|&index| index as usize)
}
