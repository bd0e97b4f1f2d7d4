//! Structures, unions and enumerations: what waits for its members.
//!
//! Spec: DWARF 5, 5.7 "Structure, Union, Class and Interface Type Entries" and 5.8 "Enumeration Type Entries".
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::dedup::Name;
use btf_core::wire::MAX_VLEN_16;
use btf_core::{ByteOrder, Info, Kind};
use gimli::constants as dw;

use crate::abbrev::{Plan, Slot};
use crate::die::{Attributes, Bytes, Malformed};
use crate::finding::FindingKind;
use crate::names::FastMap;
use crate::references::{Link, Target};
use crate::unit::{OldBitfield, Pending, Scope, ScopeKind, UnitReader, UnitState};

/// Set in the last word of a member that waits if the rest is the index of a bitfield of DWARF 2 or 3.
const OLD_BITFIELD: u32 = 0x8000_0000;
/// The largest offset in bits of a member in a structure with bitfields.
const MAX_BITFIELD_OFFSET: u64 = 0x00ff_ffff;

impl<'c> UnitReader<'c, '_> {
    #[inline]
    pub(crate) fn open_composite(
        &mut self,
        state: &mut UnitState<'c>,
        kind: ScopeKind,
        plan: &Plan,
        die: u32,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let name = self.name(state, attributes, Slot::Name)?;
        let slot = self.add_slot(state, die);
        let mut scope = Scope {
            slot,
            name,
            pending: self.pending.len(),
            ..Scope::new(kind, die)
        };
        if attributes.has(Slot::Signature) {
            // The definition is in a type unit.
            let link = self.link(state, attributes, Slot::Signature)?;
            self.references.set(slot, Target::Alias(link));
            scope.kind = ScopeKind::Other;
            self.settle(state, scope, plan.has_children);
            return Ok(());
        }
        if attributes.flag(Slot::Declaration) {
            self.declare(state, scope);
            scope.kind = ScopeKind::Other;
            self.settle(state, scope, plan.has_children);
            return Ok(());
        }
        let default_size = if kind == ScopeKind::Enum { 4 } else { 0 };
        scope.size = attributes.raw(Slot::ByteSize).unwrap_or(default_size);
        if kind == ScopeKind::Enum {
            scope.link = self.link(state, attributes, Slot::Type)?;
        }
        self.note_gnu_annotation(state, kind, Link::die(die), attributes)?;
        self.settle(state, scope, plan.has_children);
        Ok(())
    }

    /// Writes a forward declaration.
    pub(crate) fn declare(&mut self, state: &UnitState<'c>, scope: Scope) {
        if scope.name.0 == 0 {
            self.note_finding(state, scope.die, FindingKind::AnonymousDeclaration);
            self.push(scope.slot, &[0, Info::new(Kind::Struct, 0, false).0, 0]);
            return;
        }
        self.push(scope.slot, &forward(scope.kind, scope.name));
    }

    #[inline]
    pub(crate) fn add_member(
        &mut self,
        state: &mut UnitState<'c>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let Some(&Scope {
            kind: ScopeKind::Struct | ScopeKind::Union,
            ..
        }) = self.scopes.last()
        else {
            return Ok(ScopeKind::Other);
        };
        let name = self.name(state, attributes, Slot::Name)?;
        let link = self.link(state, attributes, Slot::Type)?;
        let has_place = attributes.has(Slot::MemberLocation) || attributes.has(Slot::DataBitOffset);
        if !has_place && (attributes.flag(Slot::External) || attributes.flag(Slot::Declaration)) {
            self.note_finding(state, die, FindingKind::StaticMember);
            return Ok(ScopeKind::Other);
        }
        let Some(location_bits) = member_location(state, attributes, self.context.image.order)
        else {
            self.note_finding(state, die, FindingKind::MemberPlace);
            return Ok(ScopeKind::Other);
        };
        let bit_size = attributes.raw(Slot::BitSize).unwrap_or(0);
        let mut place = location_bits;
        let mut size_word = u32::try_from(bit_size)
            .ok()
            .filter(|bits| *bits < 256)
            .unwrap_or(0);
        if let Some(bits) = attributes.raw(Slot::DataBitOffset) {
            place = bits;
        } else if let (Some(bit_offset), true) =
            (attributes.constant(Slot::BitOffset), bit_size > 0)
        {
            size_word = OLD_BITFIELD | self.old_bitfields.len() as u32;
            self.old_bitfields.push(OldBitfield {
                location_bits,
                bit_offset,
                bit_size: u32::try_from(bit_size).unwrap_or(u32::MAX),
                storage_bytes: attributes.raw(Slot::ByteSize),
                link,
                word: 0,
                structure_bits: 0,
            });
        }
        let Ok(place) = u32::try_from(place) else {
            self.note_finding(state, die, FindingKind::MemberPlace);
            return Ok(ScopeKind::Other);
        };
        self.pending.push([name.0, link.0, place, size_word]);
        self.note_gnu_annotation(state, ScopeKind::Member, Link::VOID, attributes)?;
        Ok(ScopeKind::Member)
    }

    /// Writes a structure or union whose members are known.
    pub(crate) fn close_composite(&mut self, state: &UnitState<'c>, kind: Kind, scope: Scope) {
        let mut members: &mut [Pending] = &mut self.pending[scope.pending..];
        let is_bitfield = members.iter().any(|member| member[3] != 0);
        let mut findings = [None; 2];
        if members.len() > MAX_VLEN_16 as usize {
            findings[0] = Some(FindingKind::TooManyMembers);
            members = &mut members[..MAX_VLEN_16 as usize];
        }
        let structure_bits = scope.size.saturating_mul(8);
        let is_sayable = |member: &&Pending| {
            member[3] & OLD_BITFIELD != 0
                || u64::from(member[2]) <= structure_bits
                    && (!is_bitfield || u64::from(member[2]) <= MAX_BITFIELD_OFFSET)
        };
        if !self.decl_tags.is_empty() || !self.gnu_annotated.is_empty() {
            note_moved_members(members, is_sayable, scope.die, &mut self.moved_members);
        }
        sort_members(members);
        let count = members.iter().filter(is_sayable).count();
        if count < members.len() {
            findings[1] = Some(FindingKind::MemberPlace);
        }
        let size = u32::try_from(scope.size).unwrap_or(u32::MAX);
        let info = Info::new(kind, count as u32, is_bitfield);
        let id = self.fragment.push(&[scope.name.0, info.0, size]).0;
        self.references.set(scope.slot, Target::Id(id));
        for member in members.iter().filter(is_sayable) {
            let word = self.fragment.words.len() + 2;
            let offset = if member[3] & OLD_BITFIELD != 0 {
                let index = (member[3] & !OLD_BITFIELD) as usize;
                if let Some(bitfield) = self.old_bitfields.get_mut(index) {
                    bitfield.word = word;
                    bitfield.structure_bits = structure_bits;
                }
                0
            } else {
                member[3] << 24 | member[2]
            };
            self.fragment
                .words
                .extend_from_slice(&[member[0], member[1], offset]);
        }
        self.pending.truncate(scope.pending);
        for finding in findings.into_iter().flatten() {
            self.note_finding(state, scope.die, finding);
        }
        if scope.size > u64::from(u32::MAX) {
            self.note_finding(state, scope.die, FindingKind::TooLarge);
        }
    }

    #[inline]
    pub(crate) fn add_enumerator(
        &mut self,
        state: &mut UnitState<'c>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let scope = ScopeKind::Other;
        let name = self.name(state, attributes, Slot::Name)?;
        let Some(Scope {
            kind: ScopeKind::Enum,
            has_negative,
            ..
        }) = self.scopes.last_mut()
        else {
            return Ok(scope);
        };
        match attributes.constant(Slot::ConstValue) {
            Some(value) if name.0 != 0 => {
                let is_signed = attributes.form(Slot::ConstValue) == dw::DW_FORM_sdata;
                *has_negative |= value < 0 && is_signed;
                let value = value.cast_unsigned();
                self.pending
                    .push([name.0, value as u32, (value >> 32) as u32, 0]);
            }
            _ => self.note_finding(state, die, FindingKind::BadEnumerator),
        }
        Ok(scope)
    }

    /// Writes an enumeration whose values are known.
    ///
    /// As libbpf does, one of 4 bytes or less is signed if a value is negative. One of 8 is signed if its underlying type
    /// is, which is only known when the unit has been read: [`UnitReader::finish_types`] sets the flag. Without one, as in
    /// DWARF 2, it is signed if a value is written as a negative number. The flag came with ENUM64: who does without that
    /// (kernels before 6.0) refuses it.
    pub(crate) fn close_enum(&mut self, state: &UnitState<'c>, scope: Scope) {
        let mut values = &self.pending[scope.pending..];
        let mut finding = None;
        if values.len() > MAX_VLEN_16 as usize {
            finding = Some(FindingKind::TooManyMembers);
            values = &values[..MAX_VLEN_16 as usize];
        }
        let count = values.len() as u32;
        let has_enum64 = self.context.lowering.enum64;
        let is_wide = scope.size > 4 && has_enum64;
        let is_negative = if is_wide {
            scope.has_negative
        } else {
            has_enum64 && values.iter().any(|value| value[2] >> 31 != 0)
        };
        let size = match scope.size {
            1 | 2 | 4 | 8 => scope.size as u32,
            0..=4 => 4,
            _ => 8,
        };
        let kind = if is_wide { Kind::Enum64 } else { Kind::Enum };
        let id = self
            .fragment
            .push(&[scope.name.0, Info::new(kind, count, is_negative).0, size])
            .0;
        self.references.set(scope.slot, Target::Id(id));
        for value in values {
            self.fragment
                .words
                .extend_from_slice(&value[..if is_wide { 3 } else { 2 }]);
        }
        self.pending.truncate(scope.pending);
        if is_wide {
            self.wide_enums.push((id, scope.link));
        }
        if let Some(finding) = finding {
            self.note_finding(state, scope.die, finding);
        }
    }
}

/// The offset of a member in bits, without what makes it a bitfield; `None` if it is not a constant.
fn member_location(
    state: &UnitState<'_>,
    attributes: &Attributes,
    order: ByteOrder,
) -> Option<u64> {
    if !attributes.has(Slot::MemberLocation) {
        return Some(0);
    }
    if let Some(bytes) = attributes.constant(Slot::MemberLocation) {
        return bytes.cast_unsigned().checked_mul(8);
    }
    let block = attributes.block(Slot::MemberLocation)?;
    let mut bytes = Bytes::new(state.data, block.start, order);
    match dw::DwOp(bytes.u8().ok()?) {
        dw::DW_OP_plus_uconst | dw::DW_OP_constu => bytes.uleb().ok()?.checked_mul(8),
        _ => None,
    }
}

/// Whether members must be sorted. Where bitfields of DWARF 2 and 3 begin is not known yet, and no compiler of that time
/// needs it.
fn is_unsorted(members: &[Pending]) -> bool {
    let is_old = |member: &Pending| member[3] & OLD_BITFIELD != 0;
    !members.is_sorted_by_key(|member| member[2]) && !members.iter().any(is_old)
}

/// Notes which members of a structure will have another index than now, for the tags on them.
fn note_moved_members(
    members: &[Pending],
    is_sayable: impl Fn(&&Pending) -> bool,
    die: u32,
    moved: &mut FastMap<(u32, i32), Option<i32>>,
) {
    let mut sorted: Vec<(i32, &Pending)> = (0..).zip(members).collect();
    if is_unsorted(members) {
        sorted.sort_by_key(|(_, member)| member[2]);
    }
    let mut next = 0;
    for (old, member) in sorted {
        let new = is_sayable(&member).then_some(next);
        next += i32::from(new.is_some());
        if new != Some(old) {
            moved.insert((Link::die(die).0, old), new);
        }
    }
}

/// Puts members in the order of their offsets, which the kernel demands; rustc lists them as they were declared.
fn sort_members(members: &mut [Pending]) {
    if is_unsorted(members) {
        members.sort_by_key(|member| member[2]);
    }
}

/// The record of a forward declaration; that of an enumeration is one without values, of the conventional size.
pub(crate) fn forward(kind: ScopeKind, name: Name) -> [u32; 3] {
    if kind == ScopeKind::Enum {
        [name.0, Info::new(Kind::Enum, 0, false).0, 4]
    } else {
        [
            name.0,
            Info::new(Kind::Fwd, 0, kind == ScopeKind::Union).0,
            0,
        ]
    }
}
