//! Lowering: which BTF types a DWARF type becomes. To support a tag, give it an action in [`crate::abbrev`] and an arm here.
//!
//! Spec: DWARF 5, chapter 5 "Type Entries"; Documentation/bpf/btf.rst, 2.2 "Type Encoding".

use btf_core::dedup::Name;
use btf_core::wire::{MAX_VLEN_16, int};
use btf_core::{ByteOrder, Info, Kind};
use gimli::constants as dw;

use crate::abbrev::{Action, DW_TAG_LLVM_ANNOTATION, Leaf, Plan, Slot, Table};
use crate::die::{Attributes, Bytes, Malformed};
use crate::finding::FindingKind;
use crate::references::{Link, Target, TargetSlot};
use crate::unit::{
    DeclTag, OldBitfield, Parameter, Scope, ScopeKind, TagOwner, UnitReader, UnitState, Variable,
};

/// The name that pahole gives to integers of odd sizes; scripts know it.
const ODD_INT: &[u8] = b"__SANITIZED_FAKE_INT__";

/// The words of a member that waits for the end of its structure: name, link, offset in bits, bitfield size in bits.
const MEMBER_WORDS: usize = 4;
/// Set in the last of those words if the rest is the index of a bitfield of DWARF 2 or 3.
const OLD_BITFIELD: u32 = 0x8000_0000;
/// The words of an enumerator that waits: name, lower and upper half of the value.
const ENUMERATOR_WORDS: usize = 3;
/// The words of a parameter that waits: name, link.
const PARAMETER_WORDS: usize = 2;
/// The largest offset in bits of a member in a structure with bitfields.
const MAX_BITFIELD_OFFSET: u64 = 0x00ff_ffff;

impl<'a> UnitReader<'_, 'a> {
    /// Does what a DIE asks for, whose attributes have been read, and opens a scope for its children if it has some.
    #[inline]
    pub(crate) fn open(
        &mut self,
        state: &mut UnitState<'a>,
        plan: &Plan,
        die: u32,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let kind = match plan.action {
            Action::Descend | Action::SkipTree | Action::VariantPart => ScopeKind::Other,
            Action::Base => self.add_base(state, die, attributes)?,
            Action::Derived => self.add_derived(state, plan.tag, die, attributes)?,
            Action::Struct => {
                return self.open_composite(state, ScopeKind::Struct, plan, die, attributes);
            }
            Action::Union => {
                return self.open_composite(state, ScopeKind::Union, plan, die, attributes);
            }
            Action::Enum => {
                return self.open_composite(state, ScopeKind::Enum, plan, die, attributes);
            }
            Action::Array => {
                return self.open_waiting(state, ScopeKind::Array, plan, die, attributes);
            }
            Action::SubroutineType => {
                return self.open_waiting(state, ScopeKind::Proto, plan, die, attributes);
            }
            Action::Enumerator => self.add_enumerator(state, die, attributes)?,
            Action::Subrange => self.add_dimension(state, die, attributes),
            Action::Member => self.add_member(state, die, attributes)?,
            Action::Inheritance => {
                self.find(state, die, FindingKind::Inheritance);
                self.add_member(state, die, attributes)?
            }
            Action::Parameter => self.add_parameter(state, die, attributes)?,
            Action::Variadic => self.add_variadic(),
            Action::Subprogram => {
                let kind = self.add_subprogram(state, die, attributes)?;
                self.settle(state, Scope::new(kind, die), plan.has_children);
                return Ok(());
            }
            Action::Variable => self.add_variable(state, die, attributes)?,
            Action::Unspecified => {
                let name = self.name(state, attributes, Slot::Name)?;
                let slot = self.add_slot(state, die);
                // The type of `nullptr` has the size of a pointer: as void, no structure could have a member of it.
                if self
                    .context
                    .names
                    .with(name, |name| name.ends_with(b"(nullptr)"))
                {
                    self.push(slot, &[0, Info::new(Kind::Ptr, 0, false).0, Link::VOID.0]);
                } else {
                    self.references.set(slot, Target::Alias(Link::VOID));
                }
                ScopeKind::Other
            }
            Action::Opaque => self.add_opaque(state, die, attributes)?,
            Action::Annotation => {
                self.add_annotation(state, plan.tag, die, attributes)?;
                ScopeKind::Other
            }
        };
        if plan.has_children {
            self.scopes.push(Scope::new(kind, die));
        }
        Ok(())
    }

    /// Does what a leaf asks for, the short way. What it makes is what [`UnitReader::open`] would.
    #[inline]
    pub(crate) fn add_leaf(
        &mut self,
        state: &mut UnitState<'a>,
        table: &Table,
        plan: &Plan,
        leaf: &Leaf,
        die: u32,
        bytes: &mut Bytes<'a>,
    ) -> Result<(), Malformed> {
        let mut name = Name(0);
        if leaf.text != Leaf::ABSENT {
            bytes.skip(leaf.text as usize);
            name = self.context.names.of(bytes.text()?);
        }
        let own = bytes.take(leaf.size)?;
        let mut link = Link::VOID;
        if leaf.link != Leaf::ABSENT {
            let offset = own.uint_at(leaf.link, 4)?;
            if offset >= state.data.len() as u64 {
                return Err(Malformed::new(
                    die as usize,
                    "reference to a DIE of the unit",
                ));
            }
            link = Link::die(offset as u32);
        }
        if leaf.name != Leaf::ABSENT {
            name = self.context.names.at(own.uint_at(leaf.name, 4)?);
        }
        if plan.action == Action::Derived {
            return self
                .finish_derived(state, plan.tag, die, name, link)
                .map(|_| ());
        }
        let value = match (leaf.value, leaf.value_size) {
            (Leaf::ABSENT, _) => None,
            (_, 0) => Some(table.implicit[leaf.implicit as usize]),
            (place, size) => Some(own.uint_at(place, size)? as i64),
        };
        match self.scopes.last().map(|scope| scope.kind) {
            Some(ScopeKind::Struct | ScopeKind::Union) if plan.action == Action::Member => {
                let place = (value.unwrap_or(0) as u64)
                    .checked_mul(8)
                    .and_then(|bits| u32::try_from(bits).ok());
                match place {
                    Some(place) => self.pending.extend_from_slice(&[name.0, link.0, place, 0]),
                    None => self.find(state, die, FindingKind::MemberPlace),
                }
            }
            Some(ScopeKind::Enum) if plan.action == Action::Enumerator => match value {
                Some(value) if name.0 != 0 => {
                    self.pending
                        .extend_from_slice(&[name.0, value as u32, (value >> 32) as u32]);
                }
                _ => self.find(state, die, FindingKind::BadEnumerator),
            },
            Some(ScopeKind::Proto) if plan.action == Action::Parameter => {
                self.pending.extend_from_slice(&[name.0, link.0]);
            }
            Some(ScopeKind::Subprogram(index)) if plan.action == Action::Parameter => {
                self.push_function_parameter(
                    index,
                    Parameter {
                        die,
                        name,
                        link: link.0,
                        ..Parameter::default()
                    },
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Opens the scope of what is only whole when its children have been read, or ends it if it has none.
    #[inline]
    fn settle(&mut self, state: &mut UnitState<'a>, scope: Scope, has_children: bool) {
        if has_children {
            self.scopes.push(scope);
        } else {
            self.close(state, scope);
        }
    }

    fn open_waiting(
        &mut self,
        state: &mut UnitState<'a>,
        kind: ScopeKind,
        plan: &Plan,
        die: u32,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let link = self.link(state, attributes, Slot::Type)?;
        let slot = self.add_slot(state, die);
        let scope = Scope {
            slot,
            link,
            pending: self.pending.len(),
            ..Scope::new(kind, die)
        };
        self.settle(state, scope, plan.has_children);
        Ok(())
    }

    /// A type that C does not have becomes a structure without members.
    fn add_opaque(
        &mut self,
        state: &mut UnitState<'a>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let name = self.name(state, attributes, Slot::Name)?;
        let slot = self.add_slot(state, die);
        self.find(state, die, FindingKind::ForeignType);
        let size = self.size_word(state, die, attributes.raw(Slot::ByteSize).unwrap_or(0));
        self.push(slot, &[name.0, Info::new(Kind::Struct, 0, false).0, size]);
        Ok(ScopeKind::Other)
    }

    /// Ends a DIE: types that waited for their members are written.
    #[inline]
    pub(crate) fn close(&mut self, state: &mut UnitState<'a>, scope: Scope) {
        match scope.kind {
            ScopeKind::Struct => self.close_composite(state, Kind::Struct, scope),
            ScopeKind::Union => self.close_composite(state, Kind::Union, scope),
            ScopeKind::Enum => self.close_enum(state, scope),
            ScopeKind::Array => self.close_array(scope),
            ScopeKind::Proto => self.close_proto(scope),
            ScopeKind::Subprogram(_) => self.function_depth -= 1,
            ScopeKind::Other
            | ScopeKind::Parameter(_)
            | ScopeKind::Variable(_)
            | ScopeKind::Member
            | ScopeKind::Pointer(_)
            | ScopeKind::Typedef(_) => {}
        }
    }

    /// A slot for the type of a DIE.
    #[inline]
    fn add_slot(&mut self, state: &UnitState<'a>, die: u32) -> TargetSlot {
        if self.fetching {
            self.references.add_foreign((state.index, die))
        } else {
            self.references.add_local(die)
        }
    }

    /// Writes a record as the type of a slot.
    #[inline]
    fn push(&mut self, slot: TargetSlot, record: &[u32]) -> u32 {
        let id = self.fragment.push(record).0;
        self.references.set(slot, Target::Id(id));
        id
    }

    /// A size as a word; what does not fit is cut, with a finding.
    fn size_word(&mut self, state: &UnitState<'a>, die: u32, size: u64) -> u32 {
        u32::try_from(size).unwrap_or_else(|_| {
            self.find(state, die, FindingKind::TooLarge);
            u32::MAX
        })
    }

    fn add_base(
        &mut self,
        state: &mut UnitState<'a>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let name = self.name(state, attributes, Slot::Name)?;
        let slot = self.add_slot(state, die);
        let size = attributes.raw(Slot::ByteSize).unwrap_or(0);
        let encoding = dw::DwAte(
            attributes
                .raw(Slot::Encoding)
                .map_or(0, |value| value as u8),
        );
        let bits = int::pack(0, 0, u32::try_from(size.saturating_mul(8)).unwrap_or(0));
        let float = self.context.lowering.float;
        let record = match encoding {
            dw::DW_ATE_float if float && matches!(size, 2 | 4 | 8 | 12 | 16) => {
                self.push(
                    slot,
                    &[name.0, Info::new(Kind::Float, 0, false).0, size as u32],
                );
                return Ok(ScopeKind::Other);
            }
            dw::DW_ATE_complex_float | dw::DW_ATE_imaginary_float if float => {
                self.find(state, die, FindingKind::Complex);
                self.push_complex(slot, name, size);
                return Ok(ScopeKind::Other);
            }
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => bits | int::pack(int::SIGNED, 0, 0),
            dw::DW_ATE_boolean => bits | int::pack(int::BOOL, 0, 0),
            _ => bits,
        };
        if attributes
            .raw(Slot::BitSize)
            .is_some_and(|bits| bits != size.saturating_mul(8))
        {
            self.find(state, die, FindingKind::BitInt);
        }
        let info = Info::new(Kind::Int, 0, false).0;
        if name.0 == 0 || !matches!(size, 1 | 2 | 4 | 8 | 16) {
            self.find(state, die, FindingKind::OddBaseType);
            let name = self.context.names.of_new(ODD_INT);
            self.push(slot, &[name.0, info, 4, record & 0xff00_0000 | 32]);
            return Ok(ScopeKind::Other);
        }
        let id = self.push(slot, &[name.0, info, size as u32, record]);
        if name == self.int_name() {
            self.references.offer_index_type(id);
        }
        Ok(ScopeKind::Other)
    }

    /// The name of C's `int`, which is short enough to be its own number.
    fn int_name(&self) -> Name {
        self.context.names.of_new(b"int")
    }

    /// A complex number is an array of its two parts; what they cannot be said as floats either is an array of bytes.
    fn push_complex(&mut self, slot: TargetSlot, name: Name, size: u64) {
        let part = size / 2;
        let text = self.context.names.bytes(name);
        let text = text
            .strip_prefix(b"complex ")
            .or(text.strip_prefix(b"_Complex "))
            .unwrap_or(&text)
            .to_vec();
        let text = if text.is_empty() {
            b"float".to_vec()
        } else {
            text
        };
        let name = self.context.names.of_new(&text);
        self.has_array = true;
        let array = self.push(
            slot,
            &[
                0,
                Info::new(Kind::Array, 0, false).0,
                0,
                0,
                Link::INDEX_TYPE.0,
                2,
            ],
        );
        if matches!(part, 2 | 4 | 8 | 12 | 16) {
            self.push(
                TargetSlot::None,
                &[name.0, Info::new(Kind::Float, 0, false).0, part as u32],
            );
        } else {
            self.push(
                TargetSlot::None,
                &[
                    0,
                    Info::new(Kind::Struct, 0, false).0,
                    u32::try_from(part).unwrap_or(u32::MAX),
                ],
            );
        }
        let start = self.fragment.starts[array as usize - 1] as usize;
        self.fragment.words[start + 3] = Link::id(array + 1).0;
    }

    fn add_derived(
        &mut self,
        state: &mut UnitState<'a>,
        tag: dw::DwTag,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let link = self.link(state, attributes, Slot::Type)?;
        let name = self.name(state, attributes, Slot::Name)?;
        let kind = self.finish_derived(state, tag, die, name, link)?;
        self.note_gnu_annotation(state, kind, Link::die(die), attributes)?;
        Ok(kind)
    }

    /// Writes a type that is made of one other.
    #[inline]
    fn finish_derived(
        &mut self,
        state: &UnitState<'a>,
        tag: dw::DwTag,
        die: u32,
        name: Name,
        link: Link,
    ) -> Result<ScopeKind, Malformed> {
        let slot = self.add_slot(state, die);
        let mut finding = None;
        let kind = match tag {
            dw::DW_TAG_pointer_type => Kind::Ptr,
            dw::DW_TAG_const_type | dw::DW_TAG_immutable_type => Kind::Const,
            dw::DW_TAG_volatile_type => Kind::Volatile,
            dw::DW_TAG_restrict_type => Kind::Restrict,
            dw::DW_TAG_typedef | dw::DW_TAG_template_alias if name.0 != 0 => Kind::Typedef,
            dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => {
                finding = Some(FindingKind::Reference);
                Kind::Ptr
            }
            dw::DW_TAG_ptr_to_member_type => {
                finding = Some(FindingKind::PointerToMember);
                Kind::Ptr
            }
            _ => {
                let is_typedef = matches!(tag, dw::DW_TAG_typedef | dw::DW_TAG_template_alias);
                self.find(
                    state,
                    die,
                    if is_typedef {
                        FindingKind::AnonymousTypedef
                    } else {
                        FindingKind::Atomic
                    },
                );
                self.references.set(slot, Target::Alias(link));
                return Ok(ScopeKind::Other);
            }
        };
        if let Some(finding) = finding {
            self.find(state, die, finding);
        }
        let name = if kind == Kind::Typedef { name.0 } else { 0 };
        let id = self.push(slot, &[name, Info::new(kind, 0, false).0, link.0]);
        Ok(match kind {
            Kind::Ptr => ScopeKind::Pointer(id),
            Kind::Typedef => ScopeKind::Typedef(id),
            _ => ScopeKind::Other,
        })
    }

    #[inline]
    fn open_composite(
        &mut self,
        state: &mut UnitState<'a>,
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
    fn declare(&mut self, state: &UnitState<'a>, scope: Scope) {
        if scope.name.0 == 0 {
            self.find(state, scope.die, FindingKind::AnonymousDeclaration);
            self.push(scope.slot, &[0, Info::new(Kind::Struct, 0, false).0, 0]);
            return;
        }
        let (info, size) = match scope.kind {
            ScopeKind::Enum => (Info::new(Kind::Enum, 0, false), 4),
            kind => (Info::new(Kind::Fwd, 0, kind == ScopeKind::Union), 0),
        };
        self.push(scope.slot, &[scope.name.0, info.0, size]);
    }

    #[inline]
    fn add_member(
        &mut self,
        state: &mut UnitState<'a>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let scope = ScopeKind::Member;
        let Some(&Scope {
            kind: ScopeKind::Struct | ScopeKind::Union,
            ..
        }) = self.scopes.last()
        else {
            return Ok(scope);
        };
        let name = self.name(state, attributes, Slot::Name)?;
        let link = self.link(state, attributes, Slot::Type)?;
        let has_place = attributes.has(Slot::MemberLocation) || attributes.has(Slot::DataBitOffset);
        if !has_place && (attributes.flag(Slot::External) || attributes.flag(Slot::Declaration)) {
            self.find(state, die, FindingKind::StaticMember);
            return Ok(scope);
        }
        let Some(location_bits) = member_location(state, attributes, self.context.image.order)
        else {
            self.find(state, die, FindingKind::MemberPlace);
            return Ok(scope);
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
            });
        }
        let Ok(place) = u32::try_from(place) else {
            self.find(state, die, FindingKind::MemberPlace);
            return Ok(scope);
        };
        self.pending
            .extend_from_slice(&[name.0, link.0, place, size_word]);
        self.note_gnu_annotation(state, ScopeKind::Member, Link::VOID, attributes)?;
        Ok(scope)
    }

    /// Writes a structure or union whose members are known.
    fn close_composite(&mut self, state: &UnitState<'a>, kind: Kind, scope: Scope) {
        let mut members: &mut [u32] = &mut self.pending[scope.pending..];
        let is_bitfield = members
            .chunks_exact(MEMBER_WORDS)
            .any(|member| member[3] != 0);
        let mut findings = [None; 2];
        if members.len() / MEMBER_WORDS > MAX_VLEN_16 as usize {
            findings[0] = Some(FindingKind::TooManyMembers);
            members = &mut members[..MAX_VLEN_16 as usize * MEMBER_WORDS];
        }
        sort_members(members);
        let is_sayable = |member: &&[u32]| {
            !is_bitfield
                || member[3] & OLD_BITFIELD != 0
                || u64::from(member[2]) <= MAX_BITFIELD_OFFSET
        };
        let count = members
            .chunks_exact(MEMBER_WORDS)
            .filter(is_sayable)
            .count();
        if count < members.len() / MEMBER_WORDS {
            findings[1] = Some(FindingKind::MemberPlace);
        }
        let size = u32::try_from(scope.size).unwrap_or(u32::MAX);
        let info = Info::new(kind, count as u32, is_bitfield);
        let id = self.fragment.push(&[scope.name.0, info.0, size]).0;
        self.references.set(scope.slot, Target::Id(id));
        for member in members.chunks_exact(MEMBER_WORDS).filter(is_sayable) {
            let word = self.fragment.words.len() + 2;
            let offset = if member[3] & OLD_BITFIELD != 0 {
                let index = (member[3] & !OLD_BITFIELD) as usize;
                if let Some(bitfield) = self.old_bitfields.get_mut(index) {
                    bitfield.word = word;
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
            self.find(state, scope.die, finding);
        }
        if scope.size > u64::from(u32::MAX) {
            self.find(state, scope.die, FindingKind::TooLarge);
        }
    }

    #[inline]
    fn add_enumerator(
        &mut self,
        state: &mut UnitState<'a>,
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
                self.pending
                    .extend_from_slice(&[name.0, value as u32, (value >> 32) as u32]);
            }
            _ => self.find(state, die, FindingKind::BadEnumerator),
        }
        Ok(scope)
    }

    /// Writes an enumeration whose values are known.
    ///
    /// As libbpf does, one of 4 bytes or less is signed if a value is negative. One of 8 is signed if its underlying type
    /// is, which is only known when the unit has been read: [`UnitReader::finish_types`] sets the flag. Without one, as in
    /// DWARF 2, it is signed if a value is written as a negative number.
    fn close_enum(&mut self, state: &UnitState<'a>, scope: Scope) {
        let mut values = &self.pending[scope.pending..];
        let mut finding = None;
        if values.len() / ENUMERATOR_WORDS > MAX_VLEN_16 as usize {
            finding = Some(FindingKind::TooManyMembers);
            values = &values[..MAX_VLEN_16 as usize * ENUMERATOR_WORDS];
        }
        let count = (values.len() / ENUMERATOR_WORDS) as u32;
        let is_wide = scope.size > 4 && self.context.lowering.enum64;
        let is_negative = if is_wide {
            scope.has_negative
        } else {
            values
                .chunks_exact(ENUMERATOR_WORDS)
                .any(|value| value[2] >> 31 != 0)
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
        for value in values.chunks_exact(ENUMERATOR_WORDS) {
            self.fragment
                .words
                .extend_from_slice(&value[..if is_wide { 3 } else { 2 }]);
        }
        self.pending.truncate(scope.pending);
        if is_wide {
            self.wide_enums.push((id, scope.link));
        }
        if let Some(finding) = finding {
            self.find(state, scope.die, finding);
        }
    }

    fn add_dimension(
        &mut self,
        state: &UnitState<'a>,
        die: u32,
        attributes: &Attributes,
    ) -> ScopeKind {
        if let Some(&Scope {
            kind: ScopeKind::Array,
            ..
        }) = self.scopes.last()
        {
            let count = match (
                attributes.constant(Slot::Count),
                attributes.constant(Slot::UpperBound),
            ) {
                (Some(count), _) => count as u64,
                (None, Some(upper)) => {
                    let lower = attributes.constant(Slot::LowerBound).unwrap_or(0);
                    (upper as u64).wrapping_add(1).wrapping_sub(lower as u64)
                }
                (None, None) => {
                    if attributes.has(Slot::Count) || attributes.has(Slot::UpperBound) {
                        self.find(state, die, FindingKind::VariableBound);
                    }
                    0
                }
            };
            // An upper bound of -1 in 32 bits means none.
            let count = if count == 1 << 32 {
                0
            } else {
                self.size_word(state, die, count)
            };
            self.pending.push(count);
        }
        ScopeKind::Other
    }

    /// Writes an array: one record per dimension, the outermost first.
    fn close_array(&mut self, scope: Scope) {
        self.has_array = true;
        let info = Info::new(Kind::Array, 0, false).0;
        let dimensions = self.pending.len() - scope.pending;
        let mut slot = scope.slot;
        for index in 0..dimensions.max(1) {
            let count = self
                .pending
                .get(scope.pending + index)
                .copied()
                .unwrap_or(0);
            let next = self.fragment.starts.len() as u32 + 2;
            let element = if index + 1 < dimensions {
                Link::id(next)
            } else {
                scope.link
            };
            self.push(slot, &[0, info, 0, element.0, Link::INDEX_TYPE.0, count]);
            slot = TargetSlot::None;
        }
        self.pending.truncate(scope.pending);
    }

    /// A parameter of a function type; functions' own parameters are kept apart.
    #[inline]
    fn add_parameter(
        &mut self,
        state: &mut UnitState<'a>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        match self.scopes.last() {
            Some(&Scope {
                kind: ScopeKind::Subprogram(index),
                ..
            }) => {
                let parameter = self.add_function_parameter(state, index, die, attributes)?;
                self.note_gnu_annotation(
                    state,
                    ScopeKind::Parameter(parameter),
                    Link::VOID,
                    attributes,
                )?;
                Ok(ScopeKind::Parameter(parameter))
            }
            Some(&Scope {
                kind: ScopeKind::Proto,
                ..
            }) => {
                let name = self.name(state, attributes, Slot::Name)?;
                let link = self.link(state, attributes, Slot::Type)?;
                self.pending.extend_from_slice(&[name.0, link.0]);
                Ok(ScopeKind::Other)
            }
            _ => Ok(ScopeKind::Other),
        }
    }

    fn add_variadic(&mut self) -> ScopeKind {
        match self.scopes.last() {
            Some(&Scope {
                kind: ScopeKind::Subprogram(index),
                ..
            }) => {
                self.subprograms[index as usize].is_variadic = true;
            }
            Some(&Scope {
                kind: ScopeKind::Proto,
                ..
            }) => self.pending.extend_from_slice(&[0, 0]),
            _ => {}
        }
        ScopeKind::Other
    }

    /// Writes a function type.
    fn close_proto(&mut self, scope: Scope) {
        let count =
            ((self.pending.len() - scope.pending) / PARAMETER_WORDS).min(MAX_VLEN_16 as usize);
        let id = self
            .fragment
            .push(&[
                0,
                Info::new(Kind::FuncProto, count as u32, false).0,
                scope.link.0,
            ])
            .0;
        self.references.set(scope.slot, Target::Id(id));
        let parameters = scope.pending..scope.pending + count * PARAMETER_WORDS;
        self.fragment
            .words
            .extend_from_slice(&self.pending[parameters]);
        self.pending.truncate(scope.pending);
    }

    fn add_variable(
        &mut self,
        state: &mut UnitState<'a>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let index = self.variables.len() as u32;
        let link = self.link(state, attributes, Slot::Type)?;
        let specification = self.link(state, attributes, Slot::Specification)?;
        let variable = Variable {
            die,
            name: self.name(state, attributes, Slot::Name)?,
            link: link.0,
            has_type: attributes.has(Slot::Type),
            is_external: attributes.flag(Slot::External),
            is_artificial: attributes.flag(Slot::Artificial),
            specification: specification.0,
            address: self.variable_address(state, attributes)?,
        };
        self.variables.push(variable);
        self.note_gnu_annotation(state, ScopeKind::Variable(index), Link::VOID, attributes)?;
        Ok(ScopeKind::Variable(index))
    }

    /// The address that a variable's location gives, if it is one address.
    fn variable_address(
        &self,
        state: &mut UnitState<'a>,
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
                self.indexed_address(state, index)
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

    /// A clang annotation of the open DIE, or a GNU annotation that others refer to.
    fn add_annotation(
        &mut self,
        state: &mut UnitState<'a>,
        tag: dw::DwTag,
        die: u32,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let name = self.name(state, attributes, Slot::Name)?;
        let is_type_tag = self.context.names.with(name, |name| match name {
            b"btf_type_tag" => Some(true),
            b"btf_decl_tag" => Some(false),
            _ => None,
        });
        let text = self.name(state, attributes, Slot::ConstValue)?;
        if tag != DW_TAG_LLVM_ANNOTATION {
            let next = self.link(state, attributes, Slot::GnuAnnotation)?;
            self.gnu_annotations.push((die, text, is_type_tag, next.0));
            return Ok(());
        }
        let Some(&scope) = self.scopes.last() else {
            return Ok(());
        };
        if text.0 == 0 || self.fetching {
            return Ok(());
        }
        match (is_type_tag, scope.kind) {
            (Some(true), ScopeKind::Pointer(id)) => self.add_type_tag(id, text),
            (Some(false), _) => {
                // clang has no other order than that of the source.
                if let Some(owner) = self.tag_owner(scope) {
                    self.decl_tags.push(DeclTag { owner, text });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a declaration tag below `scope` is on.
    fn tag_owner(&self, scope: Scope) -> Option<TagOwner> {
        Some(match scope.kind {
            ScopeKind::Struct | ScopeKind::Union | ScopeKind::Typedef(_) => {
                TagOwner::Type(Link::die(scope.die).0, -1)
            }
            ScopeKind::Member => {
                let parent = self
                    .scopes
                    .iter()
                    .rev()
                    .find(|s| matches!(s.kind, ScopeKind::Struct | ScopeKind::Union))?;
                let index = (self.pending.len() - parent.pending) / MEMBER_WORDS;
                TagOwner::Type(Link::die(parent.die).0, i32::try_from(index).ok()? - 1)
            }
            ScopeKind::Subprogram(index) => TagOwner::Subprogram(index),
            ScopeKind::Parameter(index) => TagOwner::Parameter(index),
            ScopeKind::Variable(index) => TagOwner::Variable(index),
            ScopeKind::Other
            | ScopeKind::Enum
            | ScopeKind::Array
            | ScopeKind::Proto
            | ScopeKind::Pointer(_) => return None,
        })
    }

    /// Puts a type tag between a pointer and what it points to now, so that the tag added last is the pointer's neighbour.
    pub(crate) fn add_type_tag(&mut self, pointer: u32, text: Name) {
        if !self.context.lowering.type_tag {
            return;
        }
        let Some(&start) = self.fragment.starts.get(pointer as usize - 1) else {
            return;
        };
        let target = self.fragment.words[start as usize + 2];
        let tag = self.push(
            TargetSlot::None,
            &[text.0, Info::new(Kind::TypeTag, 0, false).0, target],
        );
        self.fragment.words[start as usize + 2] = Link::id(tag).0;
    }

    /// Notes that a DIE leads to gcc's annotations, which are looked at when the unit has been read.
    #[inline]
    pub(crate) fn note_gnu_annotation(
        &mut self,
        state: &mut UnitState<'a>,
        kind: ScopeKind,
        own: Link,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        if !attributes.has(Slot::GnuAnnotation) || self.fetching {
            return Ok(());
        }
        let first = self.link(state, attributes, Slot::GnuAnnotation)?;
        let scope = Scope {
            kind,
            ..Scope::new(kind, own.0)
        };
        let owner = match kind {
            ScopeKind::Pointer(_) => None,
            _ => self.tag_owner(scope),
        };
        self.gnu_annotated.push((kind, owner, first.0));
        Ok(())
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
        return (bytes as u64).checked_mul(8);
    }
    let block = attributes.block(Slot::MemberLocation)?;
    let mut bytes = Bytes::new(state.data, block.start, order);
    match dw::DwOp(bytes.u8().ok()?) {
        dw::DW_OP_plus_uconst | dw::DW_OP_constu => bytes.uleb().ok()?.checked_mul(8),
        _ => None,
    }
}

/// Puts members in the order of their offsets, which the kernel demands; rustc lists them as they were declared.
fn sort_members(members: &mut [u32]) {
    let is_old = members
        .chunks_exact(MEMBER_WORDS)
        .any(|member| member[3] & OLD_BITFIELD != 0);
    let is_sorted = members
        .chunks_exact(MEMBER_WORDS)
        .map(|member| member[2])
        .is_sorted();
    if is_sorted || is_old {
        return;
    }
    let mut sorted: Vec<[u32; MEMBER_WORDS]> = members
        .chunks_exact(MEMBER_WORDS)
        .filter_map(|member| member.try_into().ok())
        .collect();
    sorted.sort_by_key(|member| member[2]);
    for (member, sorted) in members.chunks_exact_mut(MEMBER_WORDS).zip(sorted) {
        member.copy_from_slice(&sorted);
    }
}
