//! The layout of structures and unions: where members lie, what lies between them, and where cache lines end.
//!
//! [`Layouts`] computes; nothing in it prints. [`text`] prints as pahole 1.32 does (`pahole -F btf`), [`table`] one line per
//! structure, [`json`] for programs. [`select`] finds types by name and keeps those with a property, [`search`] goes from
//! a type to the structures that hold it, and [`reorganize`] orders members so that fewer bytes are lost.
//!
//! Words: a *hole* is what no member uses between two members or in front of the first, *padding* what none uses behind the
//! last. A *unit* is the integer that a bitfield is a part of; holes inside of a unit are counted in bits, all others in
//! bytes. BTF says neither `packed` nor `aligned`, so both are inferred from offsets (`infer`).
//!
//! Where this differs from pahole, and why: see [`text`].

mod gaps;
mod infer;
pub mod json;
mod members;
pub mod reorganize;
pub mod search;
pub mod select;
mod shape;
pub(crate) mod spell;
pub mod table;
pub mod text;

use btf_core::graph::depth_first;
use btf_core::reader::Btf;
use btf_core::types::{Composite, Type};
use btf_core::{StrOffset, TypeId};

pub(crate) use shape::Shape;

/// How long a cache line is where nobody says otherwise, in bytes.
pub const CACHELINE: u32 = 64;

/// What BTF does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The size of a pointer in bytes: 4 or 8.
    pub pointer_size: u32,
    /// The size of a cache line in bytes: a power of 2.
    pub cacheline: u32,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            pointer_size: btf_core::graph::POINTER_SIZE,
            cacheline: CACHELINE,
        }
    }
}

/// The layout of one structure or union.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Which type it is.
    pub id: TypeId,
    /// Its name; empty if it has none.
    pub name: StrOffset,
    /// Whether it is a union, which has neither holes nor padding here.
    pub is_union: bool,
    /// Its size in bytes.
    pub size: u32,
    /// What its address is a multiple of if nothing but its members demands it, in bytes.
    pub natural_alignment: u32,
    /// The alignment in bytes that the source must have asked for, or 0.
    pub forced_alignment: u32,
    /// Whether the source must have said `packed`.
    pub is_packed: bool,
    /// What lies between the members.
    pub gaps: Gaps,
    /// Where it has arrays without a length.
    pub flexible: Flexible,
    /// Where its members are in the list of all members.
    members: std::ops::Range<usize>,
}

/// What lies in front of, between and behind the members of a structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The hole in front of the first member, in bytes.
    pub first_hole: u32,
    /// The same, in bits.
    pub first_bit_hole: u32,
    /// How many holes there are.
    pub holes: u32,
    /// How many holes of bits there are.
    pub bit_holes: u32,
    /// What follows the last member, in bytes.
    pub padding: u32,
    /// What the last bitfield leaves of its unit, in bits.
    pub bit_padding: u32,
}

/// Where a structure has arrays without a length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flexible {
    /// Its last member is one.
    pub is_last: bool,
    /// The structure of a member has one.
    pub is_embedded: bool,
}

/// A member with its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberLayout {
    /// Its name; empty if it has none.
    pub name: StrOffset,
    /// Its type.
    pub ty: TypeId,
    /// Its type without typedefs, qualifiers and tags.
    pub bare: TypeId,
    /// Where it starts, in bits from the start of the structure.
    pub bit_offset: u32,
    /// The number of its bits if it is a bitfield, else 0.
    pub bits: u32,
    /// Where it, or the unit it is a part of, starts, in bytes from the start of the structure.
    pub offset: u32,
    /// Its size, or that of its unit, in bytes.
    pub size: u64,
    /// The hole behind it, in bytes.
    pub hole: u32,
    /// The hole behind it, in bits.
    pub bit_hole: u32,
    /// The alignment in bytes that the source must have asked for, or 0.
    pub forced_alignment: u32,
}

/// The layouts of all structures and unions.
#[derive(Debug)]
pub struct Layouts<'b> {
    btf: &'b Btf,
    machine: Machine,
    shapes: Vec<Shape>,
    composites: Vec<Layout>,
    members: Vec<MemberLayout>,
}

impl<'b> Layouts<'b> {
    /// The layouts of all structures and unions, the base's included.
    ///
    /// A type that does not exist has the size 0, and so has a structure inside of itself.
    #[must_use]
    pub fn new(btf: &'b Btf, machine: Machine) -> Self {
        let mut layouts = Self {
            btf,
            machine,
            shapes: vec![Shape::default(); btf.end_id() as usize],
            composites: Vec::new(),
            members: Vec::new(),
        };
        depth_first(btf, (1..btf.end_id()).map(TypeId), &mut layouts);
        layouts
    }

    /// The BTF.
    #[must_use]
    pub fn btf(&self) -> &'b Btf {
        self.btf
    }

    /// What it was made for.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The layout of the type `id`, if it is a structure or union.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<&Layout> {
        let shape = self.shape(id);
        let is_itself = shape.bare == id;
        self.composites
            .get(shape.layout.filter(|_| is_itself)? as usize)
    }

    /// The members of a structure or union.
    #[must_use]
    pub fn members(&self, layout: &Layout) -> &[MemberLayout] {
        self.members.get(layout.members.clone()).unwrap_or_default()
    }

    /// The size of the type `id` in bytes; 0 for what has none.
    #[must_use]
    pub fn size_of(&self, id: TypeId) -> u64 {
        self.shape(id).size
    }

    /// All of them, each after those that it contains.
    #[must_use]
    pub fn all(&self) -> &[Layout] {
        &self.composites
    }

    fn shape(&self, id: TypeId) -> Shape {
        self.shapes.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Lays a structure or union out whose members' types are known.
    fn lay_out(&mut self, id: TypeId, composite: &Composite<'_>, is_union: bool) -> Shape {
        let start = self.members.len();
        self.place_members(composite);
        let mut layout = Layout {
            id,
            name: composite.name,
            is_union,
            size: composite.size,
            natural_alignment: 1,
            members: start..self.members.len(),
            ..Layout::default()
        };
        let members = self.members.get_mut(start..).unwrap_or_default();
        if !is_union {
            layout.gaps = gaps::find(layout.size, members);
        }
        infer::attributes(&mut layout, members, &self.shapes, self.machine);
        let shape = Shape {
            size: layout.size.into(),
            alignment: layout.natural_alignment,
            required: infer::required(&layout, members, &self.shapes),
            bare: id,
            layout: u32::try_from(self.composites.len()).ok(),
        };
        layout.flexible = self.flexible(&layout);
        self.composites.push(layout);
        shape
    }
}

/// The structure or union that a type is, and whether it is a union.
pub(crate) fn composite(ty: Type<'_>) -> Option<(Composite<'_>, bool)> {
    if let Type::Struct(composite) = ty {
        Some((composite, false))
    } else if let Type::Union(composite) = ty {
        Some((composite, true))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
