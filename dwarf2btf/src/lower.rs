//! Lowering: which BTF types a DWARF type becomes. To support a tag, give it an action in [`crate::abbrev`] and an arm here.
//!
//! Spec: DWARF 5, chapter 5 "Type Entries"; Documentation/bpf/btf.rst, 2.2 "Type Encoding".
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use btf_core::dedup::Name;
use btf_core::wire::{MAX_VLEN_16, int};
use btf_core::{Info, Kind};
use gimli::constants as dw;

use crate::abbrev::{Action, Leaf, Plan, Slot, Table};
use crate::die::{Attributes, Bytes, Malformed};
use crate::finding::FindingKind;
use crate::references::{Link, Target, TargetSlot};
use crate::unit::{Parameter, Pending, Scope, ScopeKind, UnitReader, UnitState};

/// The name that pahole gives to integers of odd sizes; scripts know it.
const ODD_INT: &[u8] = b"__SANITIZED_FAKE_INT__";

impl<'c> UnitReader<'c, '_> {
    /// Does what a DIE asks for, whose attributes have been read, and opens a scope for its children if it has some.
    #[inline]
    pub(crate) fn open(
        &mut self,
        state: &mut UnitState<'c>,
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
                self.note_finding(state, die, FindingKind::Inheritance);
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
                // The type of `nullptr` has the size of a pointer: as void, no structure could have a member of it. Compilers
                // call it `decltype(nullptr)` and `typeof (nullptr)`; no identifier ends so, hence no other type does.
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

    /// Does what a leaf asks for, the short way. What it makes is what [`UnitReader::open`] would. An error only says that
    /// something in it is not as it must be; the unit is then read again in the long way ([`UnitReader::read`]), which leaves
    /// alone what does not matter.
    #[inline]
    pub(crate) fn add_leaf(
        &mut self,
        state: &mut UnitState<'c>,
        table: &Table,
        plan: &Plan,
        leaf: &Leaf,
        die: u32,
        bytes: &mut Bytes<'c>,
    ) -> Result<(), Malformed> {
        #[cfg(test)]
        crate::unit::LEAVES_READ.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut name = Name(0);
        if leaf.text != Leaf::ABSENT {
            bytes.skip(leaf.text as usize);
            name = self.context.names.of(bytes.text()?);
        }
        let start = bytes.position();
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
            let offset = own.uint_at(leaf.name, 4)?;
            name = self.name_of_offset(state, start + leaf.name as usize, offset)?;
        }
        if plan.action == Action::Derived {
            self.finish_derived(state, plan.tag, die, name, link);
            return Ok(());
        }
        let value = match (leaf.value, leaf.value_size) {
            (Leaf::ABSENT, _) => None,
            (_, 0) => Some(table.implicit[leaf.implicit as usize]),
            (place, size) => Some(own.uint_at(place, size)?.cast_signed()),
        };
        match self.scopes.last().map(|scope| scope.kind) {
            Some(ScopeKind::Struct | ScopeKind::Union) if plan.action == Action::Member => {
                let place = value
                    .unwrap_or(0)
                    .cast_unsigned()
                    .checked_mul(8)
                    .and_then(|bits| u32::try_from(bits).ok());
                match place {
                    Some(place) => self.pending.push([name.0, link.0, place, 0]),
                    None => self.note_finding(state, die, FindingKind::MemberPlace),
                }
            }
            Some(ScopeKind::Enum) if plan.action == Action::Enumerator => match value {
                Some(value) if name.0 != 0 => {
                    let value = value.cast_unsigned();
                    self.pending
                        .push([name.0, value as u32, (value >> 32) as u32, 0]);
                }
                _ => self.note_finding(state, die, FindingKind::BadEnumerator),
            },
            Some(ScopeKind::Proto) if plan.action == Action::Parameter => {
                self.pending.push([name.0, link.0, 0, 0]);
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
    pub(crate) fn settle(&mut self, state: &mut UnitState<'c>, scope: Scope, has_children: bool) {
        if has_children {
            self.scopes.push(scope);
        } else {
            self.close(state, scope);
        }
    }

    fn open_waiting(
        &mut self,
        state: &mut UnitState<'c>,
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
        state: &mut UnitState<'c>,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let name = self.name(state, attributes, Slot::Name)?;
        let slot = self.add_slot(state, die);
        self.note_finding(state, die, FindingKind::ForeignType);
        let size = self.size_word(state, die, attributes.raw(Slot::ByteSize).unwrap_or(0));
        self.push(slot, &[name.0, Info::new(Kind::Struct, 0, false).0, size]);
        Ok(ScopeKind::Other)
    }

    /// Ends a DIE: types that waited for their members are written.
    #[inline]
    pub(crate) fn close(&mut self, state: &mut UnitState<'c>, scope: Scope) {
        match scope.kind {
            ScopeKind::Struct => self.close_composite(state, Kind::Struct, scope),
            ScopeKind::Union => self.close_composite(state, Kind::Union, scope),
            ScopeKind::Enum => self.close_enum(state, scope),
            ScopeKind::Array => self.close_array(scope),
            ScopeKind::Proto => self.close_proto(state, scope),
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
    pub(crate) fn add_slot(&mut self, state: &UnitState<'c>, die: u32) -> TargetSlot {
        if self.fetching {
            self.references.add_foreign((state.index, die))
        } else {
            self.references.add_local(die)
        }
    }

    /// Writes a record as the type of a slot.
    #[inline]
    pub(crate) fn push(&mut self, slot: TargetSlot, record: &[u32]) -> u32 {
        let id = self.fragment.push(record).0;
        self.references.set(slot, Target::Id(id));
        id
    }

    /// A size as a word; what does not fit is cut, with a finding.
    pub(crate) fn size_word(&mut self, state: &UnitState<'c>, die: u32, size: u64) -> u32 {
        u32::try_from(size).unwrap_or_else(|_| {
            self.note_finding(state, die, FindingKind::TooLarge);
            u32::MAX
        })
    }

    fn add_base(
        &mut self,
        state: &mut UnitState<'c>,
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
                self.note_finding(state, die, FindingKind::Complex);
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
            self.note_finding(state, die, FindingKind::BitInt);
        }
        let info = Info::new(Kind::Int, 0, false).0;
        if name.0 == 0 || !matches!(size, 1 | 2 | 4 | 8 | 16) {
            self.note_finding(state, die, FindingKind::OddBaseType);
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
    pub(crate) fn int_name(&self) -> Name {
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
        state: &mut UnitState<'c>,
        tag: dw::DwTag,
        die: u32,
        attributes: &Attributes,
    ) -> Result<ScopeKind, Malformed> {
        let link = self.link(state, attributes, Slot::Type)?;
        let name = self.name(state, attributes, Slot::Name)?;
        let kind = self.finish_derived(state, tag, die, name, link);
        self.note_gnu_annotation(state, kind, Link::die(die), attributes)?;
        Ok(kind)
    }

    /// Writes a type that is made of one other.
    #[inline]
    fn finish_derived(
        &mut self,
        state: &UnitState<'c>,
        tag: dw::DwTag,
        die: u32,
        name: Name,
        link: Link,
    ) -> ScopeKind {
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
                self.note_finding(
                    state,
                    die,
                    if is_typedef {
                        FindingKind::AnonymousTypedef
                    } else {
                        FindingKind::Atomic
                    },
                );
                self.references.set(slot, Target::Alias(link));
                return ScopeKind::Other;
            }
        };
        if let Some(finding) = finding {
            self.note_finding(state, die, finding);
        }
        let name = if kind == Kind::Typedef { name.0 } else { 0 };
        let id = self.push(slot, &[name, Info::new(kind, 0, false).0, link.0]);
        if kind == Kind::Ptr {
            ScopeKind::Pointer(id)
        } else if kind == Kind::Typedef {
            ScopeKind::Typedef(id)
        } else {
            ScopeKind::Other
        }
    }

    fn add_dimension(
        &mut self,
        state: &UnitState<'c>,
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
                (Some(count), _) => count.cast_unsigned(),
                (None, Some(upper)) => {
                    let lower = attributes.constant(Slot::LowerBound).unwrap_or(0);
                    upper
                        .cast_unsigned()
                        .wrapping_add(1)
                        .wrapping_sub(lower.cast_unsigned())
                }
                (None, None) => {
                    if attributes.has(Slot::Count) || attributes.has(Slot::UpperBound) {
                        self.note_finding(state, die, FindingKind::VariableBound);
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
            self.pending.push([count, 0, 0, 0]);
        }
        ScopeKind::Other
    }

    /// Writes an array: one record per dimension, the outermost first; or, where the base has it so, a single one.
    fn close_array(&mut self, scope: Scope) {
        self.has_array = true;
        if self.context.lowering.flat_arrays {
            self.flatten(scope.pending);
        }
        let info = Info::new(Kind::Array, 0, false).0;
        let dimensions = self.pending.len() - scope.pending;
        let mut slot = scope.slot;
        for index in 0..dimensions.max(1) {
            let count = self
                .pending
                .get(scope.pending + index)
                .map_or(0, |&[count, ..]| count);
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

    /// Makes one of the dimensions from `first` on, if their elements can be counted in a word.
    fn flatten(&mut self, first: usize) {
        let counts = self.pending[first..].iter().map(|&[count, ..]| count);
        let product = counts.clone().try_fold(1_u32, u32::checked_mul);
        if let Some(count) = product.filter(|_| counts.len() > 1) {
            self.pending.truncate(first);
            self.pending.push([count, 0, 0, 0]);
        }
    }

    /// A parameter of a function type; functions' own parameters are kept apart.
    #[inline]
    fn add_parameter(
        &mut self,
        state: &mut UnitState<'c>,
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
                self.pending.push([name.0, link.0, 0, 0]);
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
            }) => self.pending.push(Pending::default()),
            _ => {}
        }
        ScopeKind::Other
    }

    /// Writes a function type.
    fn close_proto(&mut self, state: &UnitState<'c>, scope: Scope) {
        let count = self.pending.len() - scope.pending;
        if count > MAX_VLEN_16 as usize {
            self.note_finding(state, scope.die, FindingKind::TooManyMembers);
        }
        let count = count.min(MAX_VLEN_16 as usize);
        let id = self
            .fragment
            .push(&[
                0,
                Info::new(Kind::FuncProto, count as u32, false).0,
                scope.link.0,
            ])
            .0;
        self.references.set(scope.slot, Target::Id(id));
        let parameters = &self.pending[scope.pending..scope.pending + count];
        let words = parameters.iter().flat_map(|&[name, link, ..]| [name, link]);
        self.fragment.words.extend(words);
        self.pending.truncate(scope.pending);
    }
}
