//! What the walk over a unit keeps of its DIEs until the unit ends: open scopes, functions, variables, tags.

use btf_core::dedup::Name;

use crate::references::{Link, TargetSlot};

/// A member (name, link, offset in bits, bitfield size), an enumerator (name, lower and upper half of the value), a parameter
/// of a function type (name, link) or a dimension (count). All are of one size, so that pushing one is one store.
pub(crate) type Pending = [u32; 4];

/// An open DIE whose children are being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) kind: ScopeKind,
    pub(crate) slot: TargetSlot,
    pub(crate) die: u32,
    pub(crate) name: Name,
    /// The size in bytes, of what has one.
    pub(crate) size: u64,
    pub(crate) link: Link,
    /// Where this scope's entries in `pending` begin.
    pub(crate) pending: usize,
    /// Whether an enumerator is written as a negative number: `DW_FORM_data8` of gcc holds an unsigned one.
    pub(crate) has_negative: bool,
}

/// What an open DIE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    /// Namespaces, blocks and all else that only holds other DIEs.
    Other,
    Struct,
    Union,
    /// Its base type is signed, or not.
    Enum,
    Array,
    Proto,
    /// The function with this index.
    Subprogram(u32),
    Parameter(u32),
    Variable(u32),
    Member,
    /// A pointer with this local id.
    Pointer(u32),
    /// A typedef with this local id.
    Typedef(u32),
}

impl Scope {
    pub(crate) fn new(kind: ScopeKind, die: u32) -> Self {
        Self {
            kind,
            slot: TargetSlot::None,
            die,
            name: Name(0),
            size: 0,
            link: Link::VOID,
            pending: 0,
            has_negative: false,
        }
    }
}

/// A function as DWARF describes it, before the rules decide about it.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are DWARF's flags")]
pub(crate) struct Subprogram {
    /// The offset of the DIE in its unit.
    pub(crate) die: u32,
    /// The unit of the DIE if it was fetched from another one.
    pub(crate) foreign_unit: Option<u32>,
    pub(crate) name: Name,
    pub(crate) return_link: u32,
    pub(crate) has_return: bool,
    /// The entry, and the section that it is relative to in relocatable files.
    pub(crate) low_pc: Option<(u64, Option<u32>)>,
    /// The abstract instance or declaration that this one completes.
    pub(crate) origin: u32,
    pub(crate) is_declaration: bool,
    /// clang's mark for a function whose signature it changed (`DW_CC_nocall`).
    pub(crate) is_nocall: bool,
    pub(crate) is_variadic: bool,
    /// The index of the first parameter, and their number.
    pub(crate) parameters: (u32, u32),
}

/// A parameter of a function as DWARF describes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parameter {
    pub(crate) die: u32,
    pub(crate) name: Name,
    pub(crate) link: u32,
    pub(crate) origin: u32,
    pub(crate) location: RawLocation,
    pub(crate) has_const_value: bool,
}

/// A location as DWARF stores it; most functions are never asked for theirs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum RawLocation {
    #[default]
    None,
    /// An expression: its place in the unit and its length in bytes.
    Expression(u32, u32),
    /// The offset of a list in its section.
    List(u64),
    /// The number of a list in `.debug_loclists`.
    ListIndex(u64),
}

/// A variable outside functions as DWARF describes it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variable {
    pub(crate) die: u32,
    pub(crate) name: Name,
    pub(crate) link: u32,
    pub(crate) has_type: bool,
    pub(crate) is_external: bool,
    pub(crate) is_artificial: bool,
    /// The declaration that this one completes.
    pub(crate) origin: u32,
    /// The address, and the section that it is relative to in relocatable files.
    pub(crate) address: Option<(u64, Option<u32>)>,
}

/// A `btf_decl_tag`, and what it is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeclTag {
    pub(crate) owner: TagOwner,
    pub(crate) text: Name,
}

/// What a declaration tag is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagOwner {
    /// A type, or with a component index from 0 its member.
    Type(TargetSlotLink, i32),
    Subprogram(u32),
    Parameter(u32),
    Variable(u32),
}

/// A type by the DIE that it comes from.
pub(crate) type TargetSlotLink = u32;

/// A bitfield of DWARF 2 and 3, whose place depends on its type's size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldBitfield {
    pub(crate) location_bits: u64,
    /// From the storage unit's most significant bit; negative if the field begins before it.
    pub(crate) bit_offset: i64,
    pub(crate) bit_size: u32,
    pub(crate) storage_bytes: Option<u64>,
    pub(crate) link: Link,
    /// Where in the fragment's words the member's offset goes.
    pub(crate) word: usize,
    /// The size of the structure in bits.
    pub(crate) structure_bits: u64,
}
