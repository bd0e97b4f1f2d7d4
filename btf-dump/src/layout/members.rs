//! Puts members in their places: the storage unit of a bitfield, the arrays without a length.

use btf_core::StrOffset;
use btf_core::types::{Composite, Member, Type};

use super::{Flexible, Layout, Layouts, MemberLayout};

impl Layouts<'_> {
    /// Appends the members of a structure or union whose types are known.
    pub(super) fn place_members(&mut self, composite: &Composite<'_>) {
        for member in composite.members() {
            let placed = self.place(&member);
            self.members.push(placed);
        }
    }

    fn place(&self, member: &Member) -> MemberLayout {
        let shape = self.shape(member.ty);
        let mut placed = MemberLayout {
            name: member.name,
            ty: member.ty,
            bare: shape.bare,
            bit_offset: member.bit_offset,
            bits: member.bitfield_size,
            offset: member.bit_offset / 8,
            size: shape.size,
            ..MemberLayout::default()
        };
        // The old form: the integer itself has fewer bits than its size.
        if placed.bits == 0
            && let Ok(Type::Int(int)) = self.btf.ty(shape.bare)
            && !int.is_whole()
        {
            placed.bits = int.bits;
            placed.bit_offset = member.bit_offset.saturating_add(int.offset_bits);
        }
        if placed.bits != 0 {
            // The unit lies where an integer of that type may lie, whatever is packed. One without a size cannot.
            let unit_bits = u32::try_from(shape.size.saturating_mul(8)).unwrap_or(0);
            let unit = placed.bit_offset.checked_div(unit_bits);
            let unit = unit.map(|unit| unit * (unit_bits / 8));
            placed.offset = unit.unwrap_or(placed.bit_offset / 8);
        }
        placed
    }

    /// Where a structure has arrays without a length.
    pub(super) fn flexible(&self, layout: &Layout) -> Flexible {
        let members = self.members(layout);
        let last = members.last().filter(|_| !layout.is_union);
        let is_endless = |member: &MemberLayout| {
            matches!(self.btf.ty(member.bare), Ok(Type::Array { count: 0, .. }))
        };
        let inner = members.iter().filter_map(|member| self.get(member.ty));
        let mut inner = inner.filter(|inner| !inner.is_union);
        Flexible {
            is_last: last.is_some_and(is_endless),
            is_embedded: inner.any(|inner| inner.flexible.is_last || inner.flexible.is_embedded),
        }
    }
}

impl MemberLayout {
    /// Where a bitfield starts, in bits from the start of its unit.
    #[must_use]
    pub fn bit_in_unit(&self) -> u32 {
        self.bit_offset
            .saturating_sub(self.offset.saturating_mul(8))
    }

    /// Whether it has no name, so that its members are named as if they were its structure's.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.name == StrOffset::EMPTY
    }
}
