//! Abbreviations, compiled: what to do with a DIE, which of its attributes to read, and how far to jump over the rest.
//!
//! A DIE's abbreviation lists its attributes and their forms. BTF needs few of them, so each abbreviation is compiled
//! once into two lists of steps. One reads the attributes that matter, with everything of fixed size in between added
//! up to one jump; the other only passes over the DIE. Where all forms are of fixed size, passing over is one addition.
//!
//! Spec: DWARF 5, 7.5.3 "Abbreviations Tables" and 7.5.6 "Form Encodings".
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets in a unit, and the lengths of lists made from it, fit 30 bits: `units` refuses longer units"
)]

use gimli::constants as dw;

use crate::die::{Bytes, Malformed};

/// What a DIE means to the walk over a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A basic type.
    Base,
    /// A type made of one other: pointer, qualifier, typedef, reference, …
    Derived,
    Struct,
    Union,
    Enum,
    Enumerator,
    Array,
    Subrange,
    Member,
    Inheritance,
    SubroutineType,
    Parameter,
    Variadic,
    Subprogram,
    Variable,
    /// `void` by another name, or what only a language other than C has.
    Unspecified,
    /// A type of no counterpart in BTF.
    Opaque,
    /// A `btf_type_tag` or `btf_decl_tag`.
    Annotation,
    /// A variant part of a Rust enumeration; its children are not members.
    VariantPart,
    /// Nothing in it matters, and nothing below it does.
    SkipTree,
    /// Nothing in it matters, but something below it may.
    Descend,
}

/// The attributes that are read, each with its place in [`crate::die::Attributes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    Name,
    Type,
    ByteSize,
    BitSize,
    DataBitOffset,
    BitOffset,
    MemberLocation,
    Encoding,
    LowerBound,
    UpperBound,
    Count,
    ConstValue,
    Declaration,
    LowPc,
    AbstractOrigin,
    Specification,
    External,
    Location,
    CallingConvention,
    Signature,
    Sibling,
    GnuAnnotation,
    Language,
    Producer,
    StrOffsetsBase,
    AddrBase,
    LoclistsBase,
    Artificial,
    LanguageName,
    LanguageVersion,
    DwoName,
}

/// The number of slots.
pub(crate) const SLOTS: usize = 31;

/// The slot of a step that reads nothing.
const NO_SLOT: u8 = u8::MAX;

const ATTRIBUTES: [(dw::DwAt, Slot); SLOTS] = [
    (dw::DW_AT_name, Slot::Name),
    (dw::DW_AT_type, Slot::Type),
    (dw::DW_AT_byte_size, Slot::ByteSize),
    (dw::DW_AT_bit_size, Slot::BitSize),
    (dw::DW_AT_data_bit_offset, Slot::DataBitOffset),
    (dw::DW_AT_bit_offset, Slot::BitOffset),
    (dw::DW_AT_data_member_location, Slot::MemberLocation),
    (dw::DW_AT_encoding, Slot::Encoding),
    (dw::DW_AT_lower_bound, Slot::LowerBound),
    (dw::DW_AT_upper_bound, Slot::UpperBound),
    (dw::DW_AT_count, Slot::Count),
    (dw::DW_AT_const_value, Slot::ConstValue),
    (dw::DW_AT_declaration, Slot::Declaration),
    (dw::DW_AT_low_pc, Slot::LowPc),
    (dw::DW_AT_abstract_origin, Slot::AbstractOrigin),
    (dw::DW_AT_specification, Slot::Specification),
    (dw::DW_AT_external, Slot::External),
    (dw::DW_AT_location, Slot::Location),
    (dw::DW_AT_calling_convention, Slot::CallingConvention),
    (dw::DW_AT_signature, Slot::Signature),
    (dw::DW_AT_sibling, Slot::Sibling),
    (DW_AT_GNU_ANNOTATION, Slot::GnuAnnotation),
    (dw::DW_AT_language, Slot::Language),
    (dw::DW_AT_producer, Slot::Producer),
    (dw::DW_AT_str_offsets_base, Slot::StrOffsetsBase),
    (dw::DW_AT_addr_base, Slot::AddrBase),
    (dw::DW_AT_loclists_base, Slot::LoclistsBase),
    (dw::DW_AT_artificial, Slot::Artificial),
    (DW_AT_LANGUAGE_NAME, Slot::LanguageName),
    (DW_AT_LANGUAGE_VERSION, Slot::LanguageVersion),
    (dw::DW_AT_dwo_name, Slot::DwoName),
];

/// The slot of each attribute of a code below 256, or [`NO_SLOT`].
const SLOT_OF: [u8; 256] = {
    let mut table = [NO_SLOT; 256];
    let mut index = 0;
    while index < ATTRIBUTES.len() {
        let (attribute, slot) = ATTRIBUTES[index];
        if attribute.0 < 256 {
            table[attribute.0 as usize] = slot as u8;
        }
        index += 1;
    }
    table
};

/// The slot of an attribute that is read.
fn slot_of(attribute: u64) -> Option<u8> {
    let slot = match usize::try_from(attribute)
        .ok()
        .and_then(|code| SLOT_OF.get(code))
    {
        Some(&slot) => slot,
        None if attribute == u64::from(DW_AT_GNU_ANNOTATION.0) => Slot::GnuAnnotation as u8,
        None if attribute == u64::from(dw::DW_AT_GNU_dwo_name.0) => Slot::DwoName as u8,
        None => NO_SLOT,
    };
    (slot != NO_SLOT).then_some(slot)
}

/// gcc 16's reference from a declaration or type to its first annotation.
const DW_AT_GNU_ANNOTATION: dw::DwAt = dw::DwAt(0x2139);
/// The language without its version, of DWARF 6.
const DW_AT_LANGUAGE_NAME: dw::DwAt = dw::DwAt(0x90);
/// The version beside it.
const DW_AT_LANGUAGE_VERSION: dw::DwAt = dw::DwAt(0x91);
/// clang's annotation, a child of what it annotates.
pub(crate) const DW_TAG_LLVM_ANNOTATION: dw::DwTag = dw::DwTag(0x6000);
/// gcc 16's annotation, which may lead on to the next.
pub(crate) const DW_TAG_GNU_ANNOTATION: dw::DwTag = dw::DwTag(0x6001);

/// Declares a set of slots.
macro_rules! slots {
    ($($slot:ident)*) => { 0 $(| 1 << Slot::$slot as u32)* };
}

/// What is done with a DIE of a tag, and which attributes that needs.
fn action(tag: dw::DwTag) -> (Action, u32) {
    const AGGREGATE: u32 = slots!(Name ByteSize Declaration Signature);
    match tag {
        dw::DW_TAG_base_type => (Action::Base, slots!(Name ByteSize Encoding BitSize)),
        dw::DW_TAG_pointer_type
        | dw::DW_TAG_const_type
        | dw::DW_TAG_volatile_type
        | dw::DW_TAG_restrict_type
        | dw::DW_TAG_typedef
        | dw::DW_TAG_atomic_type
        | dw::DW_TAG_reference_type
        | dw::DW_TAG_rvalue_reference_type
        | dw::DW_TAG_ptr_to_member_type
        | dw::DW_TAG_packed_type
        | dw::DW_TAG_shared_type
        | dw::DW_TAG_immutable_type
        | dw::DW_TAG_template_alias => (Action::Derived, slots!(Name Type GnuAnnotation)),
        dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_interface_type => {
            (Action::Struct, AGGREGATE | slots!(GnuAnnotation))
        }
        dw::DW_TAG_union_type => (Action::Union, AGGREGATE | slots!(GnuAnnotation)),
        dw::DW_TAG_enumeration_type => (Action::Enum, AGGREGATE | slots!(Type)),
        dw::DW_TAG_enumerator => (Action::Enumerator, slots!(Name ConstValue)),
        dw::DW_TAG_array_type => (Action::Array, slots!(Type)),
        dw::DW_TAG_subrange_type => (Action::Subrange, slots!(LowerBound UpperBound Count)),
        dw::DW_TAG_member => (
            Action::Member,
            slots!(Name Type ByteSize BitSize DataBitOffset BitOffset MemberLocation Declaration External GnuAnnotation),
        ),
        dw::DW_TAG_inheritance => (Action::Inheritance, slots!(Type MemberLocation)),
        dw::DW_TAG_subroutine_type => (Action::SubroutineType, slots!(Type)),
        dw::DW_TAG_formal_parameter => (
            Action::Parameter,
            slots!(Name Type AbstractOrigin Location ConstValue GnuAnnotation),
        ),
        dw::DW_TAG_unspecified_parameters => (Action::Variadic, 0),
        dw::DW_TAG_subprogram => (
            Action::Subprogram,
            slots!(Name Type Declaration LowPc AbstractOrigin Specification External CallingConvention GnuAnnotation),
        ),
        dw::DW_TAG_variable => (
            Action::Variable,
            slots!(Name Type Declaration External Location Specification AbstractOrigin Artificial GnuAnnotation),
        ),
        dw::DW_TAG_unspecified_type => (Action::Unspecified, slots!(Name)),
        dw::DW_TAG_string_type
        | dw::DW_TAG_set_type
        | dw::DW_TAG_file_type
        | dw::DW_TAG_coarray_type
        | dw::DW_TAG_dynamic_type
        | dw::DW_TAG_generic_subrange
        | dw::DW_TAG_thrown_type => (Action::Opaque, slots!(Name ByteSize)),
        DW_TAG_LLVM_ANNOTATION | DW_TAG_GNU_ANNOTATION => {
            (Action::Annotation, slots!(Name ConstValue GnuAnnotation))
        }
        dw::DW_TAG_variant_part => (Action::VariantPart, slots!(Sibling)),
        dw::DW_TAG_inlined_subroutine
        | dw::DW_TAG_call_site
        | dw::DW_TAG_GNU_call_site
        | dw::DW_TAG_label
        | dw::DW_TAG_imported_declaration
        | dw::DW_TAG_imported_module
        | dw::DW_TAG_template_type_parameter
        | dw::DW_TAG_template_value_parameter => (Action::SkipTree, slots!(Sibling)),
        _ => (Action::Descend, 0),
    }
}

/// The attributes that are read of a unit's root DIE.
const ROOT_SLOTS: u32 = slots!(Name LowPc Language LanguageName LanguageVersion Producer DwoName StrOffsetsBase AddrBase LoclistsBase);

/// How the value of an attribute is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Fixed1,
    Fixed2,
    Fixed3,
    Fixed4,
    Fixed8,
    Fixed16,
    Uleb,
    Sleb,
    Text,
    Block1,
    Block2,
    Block4,
    BlockUleb,
    /// The value is in the abbreviation.
    Implicit,
    /// The attribute's presence is its value.
    Present,
    /// The form stands before the value.
    Indirect,
}

impl Encoding {
    /// The size in bytes in the DIE, if it does not depend on the value.
    fn fixed_size(self) -> Option<u32> {
        match self {
            Self::Fixed1 => Some(1),
            Self::Fixed2 => Some(2),
            Self::Fixed3 => Some(3),
            Self::Fixed4 => Some(4),
            Self::Fixed8 => Some(8),
            Self::Fixed16 => Some(16),
            Self::Implicit | Self::Present => Some(0),
            Self::Uleb
            | Self::Sleb
            | Self::Text
            | Self::Block1
            | Self::Block2
            | Self::Block4
            | Self::BlockUleb
            | Self::Indirect => None,
        }
    }
}

/// How values are stored in a unit: what a form's size depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The size of an address in bytes.
    pub(crate) address: u8,
    /// The size of an offset into a section in bytes: 4, or 8 in 64-bit DWARF.
    pub(crate) offset: u8,
    /// The version of DWARF.
    pub(crate) version: u16,
}

impl Sizes {
    /// Whether all forms are stored alike.
    pub(crate) fn are_stored_as(self, other: Self) -> bool {
        let key = |sizes: Self| (sizes.address, sizes.offset, sizes.version <= 2);
        key(self) == key(other)
    }
}

/// How the values of a form are stored, if the form is known.
pub(crate) fn encoding(form: dw::DwForm, sizes: Sizes) -> Option<Encoding> {
    let fixed = |bytes: u8| match bytes {
        1 => Some(Encoding::Fixed1),
        2 => Some(Encoding::Fixed2),
        4 => Some(Encoding::Fixed4),
        8 => Some(Encoding::Fixed8),
        _ => None,
    };
    Some(match form {
        dw::DW_FORM_addr => return fixed(sizes.address),
        dw::DW_FORM_ref_addr if sizes.version <= 2 => return fixed(sizes.address),
        dw::DW_FORM_ref_addr
        | dw::DW_FORM_strp
        | dw::DW_FORM_line_strp
        | dw::DW_FORM_sec_offset
        | dw::DW_FORM_strp_sup
        | dw::DW_FORM_GNU_strp_alt
        | dw::DW_FORM_GNU_ref_alt => return fixed(sizes.offset),
        dw::DW_FORM_data1
        | dw::DW_FORM_ref1
        | dw::DW_FORM_flag
        | dw::DW_FORM_strx1
        | dw::DW_FORM_addrx1 => Encoding::Fixed1,
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 | dw::DW_FORM_strx2 | dw::DW_FORM_addrx2 => {
            Encoding::Fixed2
        }
        dw::DW_FORM_strx3 | dw::DW_FORM_addrx3 => Encoding::Fixed3,
        dw::DW_FORM_data4
        | dw::DW_FORM_ref4
        | dw::DW_FORM_strx4
        | dw::DW_FORM_addrx4
        | dw::DW_FORM_ref_sup4 => Encoding::Fixed4,
        dw::DW_FORM_data8 | dw::DW_FORM_ref8 | dw::DW_FORM_ref_sig8 | dw::DW_FORM_ref_sup8 => {
            Encoding::Fixed8
        }
        dw::DW_FORM_data16 => Encoding::Fixed16,
        dw::DW_FORM_udata
        | dw::DW_FORM_ref_udata
        | dw::DW_FORM_strx
        | dw::DW_FORM_addrx
        | dw::DW_FORM_loclistx
        | dw::DW_FORM_rnglistx
        | dw::DW_FORM_GNU_addr_index
        | dw::DW_FORM_GNU_str_index => Encoding::Uleb,
        dw::DW_FORM_sdata => Encoding::Sleb,
        dw::DW_FORM_string => Encoding::Text,
        dw::DW_FORM_block1 => Encoding::Block1,
        dw::DW_FORM_block2 => Encoding::Block2,
        dw::DW_FORM_block4 => Encoding::Block4,
        dw::DW_FORM_block | dw::DW_FORM_exprloc => Encoding::BlockUleb,
        dw::DW_FORM_flag_present => Encoding::Present,
        dw::DW_FORM_implicit_const => Encoding::Implicit,
        dw::DW_FORM_indirect => Encoding::Indirect,
        _ => return None,
    })
}

/// One attribute to read or to pass over, and the bytes to jump over before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The bytes of fixed size before the attribute.
    pub(crate) skip: u32,
    pub(crate) encoding: Encoding,
    /// The [`Slot`] that takes the value; a number that is no slot if the attribute is passed over.
    pub(crate) slot: u8,
    pub(crate) form: dw::DwForm,
    /// The index of the value in [`Table::implicit`].
    pub(crate) implicit: u32,
}

/// A list of steps, and the bytes to jump over after the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps {
    start: u32,
    end: u32,
    pub(crate) tail: u32,
}

/// Where the few attributes of a leaf stand, if each has a fixed place: members, parameters of function types, enumerators
/// and types made of one other are most of a kernel's DIEs (Debian's 7.2: 9.1, 1.6, 1.2 and 2.2 of 19.6 million), and
/// nearly all of them are of this shape.
///
/// Places are in bytes behind the code or, if the name is in the DIE, behind its end; [`Leaf::ABSENT`] is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    /// A `DW_FORM_strp` of 4 bytes.
    pub(crate) name: u16,
    /// Where a `DW_FORM_string` begins, in bytes behind the code.
    pub(crate) text: u16,
    /// A `DW_FORM_ref4`.
    pub(crate) link: u16,
    /// A constant: a member's location or an enumerator's value.
    pub(crate) value: u16,
    /// The constant's size in bytes; 0 if it is the one in the abbreviation.
    pub(crate) value_size: u8,
    /// The index of the value in [`Table::implicit`].
    pub(crate) implicit: u32,
    /// The size of the DIE without its code and what is before the text's end.
    pub(crate) size: u32,
}

impl Leaf {
    /// The place of an attribute that the DIE does not have.
    pub(crate) const ABSENT: u16 = u16::MAX;

    /// The leaf that these steps read, if they read one.
    fn new(
        action: Action,
        has_children: bool,
        steps: &[Step],
        tail: u32,
        sizes: Sizes,
    ) -> Option<Self> {
        let is_leaf = matches!(
            action,
            Action::Member | Action::Enumerator | Action::Derived | Action::Parameter
        ) && !has_children;
        if !is_leaf || sizes.offset != 4 {
            return None;
        }
        let absent = Self::ABSENT;
        let mut leaf = Self {
            name: absent,
            text: absent,
            link: absent,
            value: absent,
            value_size: 0,
            implicit: 0,
            size: 0,
        };
        for (index, step) in steps.iter().enumerate() {
            leaf.size = leaf.size.checked_add(step.skip)?;
            let place = u16::try_from(leaf.size)
                .ok()
                .filter(|place| *place != Self::ABSENT)?;
            let is = |slot: Slot| step.slot == slot as u8;
            if index == 0 && is(Slot::Name) && step.form == dw::DW_FORM_string {
                leaf.text = place;
                leaf.size = 0;
                continue;
            }
            let size = step.encoding.fixed_size()?;
            leaf.size = leaf.size.checked_add(size)?;
            if is(Slot::Name) && step.form == dw::DW_FORM_strp {
                leaf.name = place;
            } else if is(Slot::Type) && step.form == dw::DW_FORM_ref4 {
                leaf.link = place;
            } else if (is(Slot::MemberLocation)
                || is(Slot::ConstValue) && action == Action::Enumerator)
                && is_unsigned(step.form)
            {
                leaf.value = place;
                leaf.value_size = size as u8;
                leaf.implicit = step.implicit;
            } else {
                return None;
            }
        }
        leaf.size = leaf.size.checked_add(tail)?;
        Some(leaf)
    }
}

/// Whether a form is that of a constant whose bytes are the value.
fn is_unsigned(form: dw::DwForm) -> bool {
    matches!(
        form,
        dw::DW_FORM_data1
            | dw::DW_FORM_data2
            | dw::DW_FORM_data4
            | dw::DW_FORM_data8
            | dw::DW_FORM_implicit_const
    )
}

/// What to do with the DIEs of one abbreviation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The short way, if there is one.
    pub(crate) leaf: Option<Leaf>,
    pub(crate) action: Action,
    pub(crate) has_children: bool,
    pub(crate) tag: dw::DwTag,
    /// Reads what the action needs.
    pub(crate) read: Steps,
    /// Passes over the DIE.
    pub(crate) pass: Steps,
}

/// The plans of one abbreviation table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Plans by code, from 1; compilers number them without gaps.
    dense: Vec<Plan>,
    /// Plans whose codes do not continue `dense`.
    sparse: crate::names::FastMap<u64, Plan>,
    steps: Vec<Step>,
    pub(crate) implicit: Vec<i64>,
}

impl Table {
    /// Compiles the abbreviation table at the start of `bytes`; steps for root DIEs are kept for unit tags.
    ///
    /// Memory is in proportion to the table's size, which ends at a null code.
    pub(crate) fn compile(bytes: &mut Bytes<'_>, sizes: Sizes) -> Result<Self, Malformed> {
        let mut table = Self::default();
        let mut scratch = Scratch::new(sizes);
        loop {
            let code = bytes.uleb()?;
            if code == 0 {
                return Ok(table);
            }
            let plan = table.compile_one(bytes, sizes, &mut scratch)?;
            if code == table.dense.len() as u64 + 1 {
                table.dense.push(plan);
            } else if code > table.dense.len() as u64 {
                // The first declaration of a code counts, as in other readers.
                table.sparse.entry(code).or_insert(plan);
            }
        }
    }

    fn compile_one(
        &mut self,
        bytes: &mut Bytes<'_>,
        sizes: Sizes,
        scratch: &mut Scratch,
    ) -> Result<Plan, Malformed> {
        let at = bytes.position();
        let tag = u16::try_from(bytes.uleb()?).map_err(|_| Malformed::new(at, "tag"))?;
        let tag = dw::DwTag(tag);
        let has_children = bytes.u8()? != 0;
        let is_unit = matches!(
            tag,
            dw::DW_TAG_compile_unit
                | dw::DW_TAG_partial_unit
                | dw::DW_TAG_type_unit
                | dw::DW_TAG_skeleton_unit
        );
        let (action, wanted) = if is_unit {
            (Action::Descend, ROOT_SLOTS)
        } else {
            action(tag)
        };
        let mut read = StepsBuilder { skip: 0 };
        let mut pass = StepsBuilder { skip: 0 };
        let Scratch {
            encodings,
            read: read_steps,
            pass: pass_steps,
        } = scratch;
        read_steps.clear();
        pass_steps.clear();
        loop {
            let at = bytes.position();
            let name = bytes.uleb()?;
            let form = bytes.uleb()?;
            if name == 0 && form == 0 {
                break;
            }
            let form = dw::DwForm(u16::try_from(form).map_err(|_| Malformed::new(at, "form"))?);
            let implicit = if form == dw::DW_FORM_implicit_const {
                self.implicit.push(bytes.sleb()?);
                self.implicit.len() as u32 - 1
            } else {
                0
            };
            let encoding = encodings.get(form.0 as usize).copied();
            let encoding = encoding.unwrap_or_else(|| self::encoding(form, sizes));
            let encoding = encoding.ok_or(Malformed::new(at, "known form"))?;
            let slot = slot_of(name);
            let slot = slot.filter(|slot| wanted >> slot & 1 != 0);
            let step = Step {
                skip: 0,
                encoding,
                slot: slot.unwrap_or(NO_SLOT),
                form,
                implicit,
            };
            read.add(step, slot.is_some(), read_steps)
                .ok_or(Malformed::new(at, "DIE of less than 4 GiB"))?;
            let slot = NO_SLOT;
            pass.add(Step { slot, ..step }, false, pass_steps)
                .ok_or(Malformed::new(at, "DIE of less than 4 GiB"))?;
        }
        let leaf = Leaf::new(action, has_children, read_steps, read.skip, sizes);
        let read = read.finish(&mut self.steps, read_steps);
        let pass = pass.finish(&mut self.steps, pass_steps);
        Ok(Plan {
            leaf,
            action,
            has_children,
            tag,
            read,
            pass,
        })
    }

    /// The plan of a code.
    #[inline]
    pub(crate) fn plan(&self, code: u64) -> Option<&Plan> {
        match self.dense.get((code as usize).wrapping_sub(1)) {
            Some(plan) if code >> 32 == 0 => Some(plan),
            _ => self.sparse.get(&code),
        }
    }

    #[inline]
    pub(crate) fn steps(&self, steps: Steps) -> &[Step] {
        &self.steps[steps.start as usize..steps.end as usize]
    }
}

/// The forms of DWARF 5, which are numbered without gaps; vendors' follow far behind.
const FORMS: usize = 0x2d;

/// What is used for all abbreviations of a table.
#[derive(Debug)]
struct Scratch {
    /// How each form of DWARF 5 is stored.
    encodings: [Option<Encoding>; FORMS],
    /// The steps of the abbreviation that is being compiled.
    read: Vec<Step>,
    pass: Vec<Step>,
}

impl Scratch {
    fn new(sizes: Sizes) -> Self {
        Self {
            encodings: std::array::from_fn(|form| encoding(dw::DwForm(form as u16), sizes)),
            read: Vec::new(),
            pass: Vec::new(),
        }
    }
}

/// Adds up what lies between the attributes that are looked at.
struct StepsBuilder {
    skip: u32,
}

impl StepsBuilder {
    /// `None` if the jump gets too long.
    fn add(&mut self, step: Step, is_wanted: bool, steps: &mut Vec<Step>) -> Option<()> {
        match step.encoding.fixed_size() {
            Some(size) if !is_wanted => self.skip = self.skip.checked_add(size)?,
            _ => steps.push(Step {
                skip: std::mem::take(&mut self.skip),
                ..step
            }),
        }
        Some(())
    }

    fn finish(self, all: &mut Vec<Step>, steps: &[Step]) -> Steps {
        let start = all.len() as u32;
        all.extend_from_slice(steps);
        Steps {
            start,
            end: all.len() as u32,
            tail: self.skip,
        }
    }
}
