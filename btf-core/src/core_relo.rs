//! CO-RE relocations: what a program asks about a kernel's types, and what a kernel answers.
//!
//! A program is compiled against types of its own. Where it depends on how those look, the compiler leaves a relocation: an
//! instruction, a type, an access such as `0:1:2` and a question ([`RelocationKind`]). The loader looks for the type in
//! the kernel that runs, follows the same access there by the names of the members, and puts the answer into the
//! instruction. This module does the same without a kernel that runs, by the rules of libbpf 1.7:
//!
//! 1. [`spec`] reads the access: from a type of the program to a member, an element or an enumerator.
//! 2. [`candidates`] has the kernel's types by name. Names are compared up to the last `___`, so `struct file___old` stands
//!    for `struct file`. Modules are asked if the kernel itself has no type of that name.
//! 3. [`matching`] follows the access in each candidate. [`compatible`] tells whether what is found there will do.
//! 4. [`value`] computes the answer before and after. All candidates that match must give the same one.
//! 5. [`insn`] changes the instruction.
//!
//! If no candidate matches, questions of the form "is there a …" have the answer 0. For the others libbpf puts a call into
//! the place that no verifier accepts. That is no error as long as the program does not get there: it asks first and
//! jumps over it.
//!
//! What a relocation matches has an effect on the next ones for the same type: candidates that did not match are out.
//! [`Resolver`] keeps account of that, so the relocations of a program must come in their order.
//!
//! Work is bounded by [`matching::MAX_STEPS`], because hostile types can ask for an exponential number of comparisons.
//!
//! Spec: `Documentation/bpf/llvm_reloc.rst`, "CO-RE Relocations"; include/uapi/linux/bpf.h, `enum bpf_core_relo_kind`.
#![deny(clippy::indexing_slicing)]

pub mod candidates;
pub mod compatible;
pub mod fault;
pub mod insn;
pub mod matching;
mod names;
pub mod resolve;
pub mod spec;
pub mod spell;
pub mod value;

pub use candidates::Kernel;
pub use fault::{Fault, Mismatch};
pub use insn::{Insn, Patch, patch};
pub use names::essential as essential_name;
pub use resolve::{Found, Request, Resolver};
pub use spec::{Spec, Step};
pub use value::Value;

/// What a relocation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RelocationKind {
    /// Where a member starts, in bytes.
    FieldByteOffset = 0,
    /// The size of a member in bytes.
    FieldByteSize = 1,
    /// Whether there is such a member.
    FieldExists = 2,
    /// Whether a member is signed.
    FieldSigned = 3,
    /// How far to shift a bitfield to the left, in a word of 64 bits.
    FieldLshift = 4,
    /// How far to shift it to the right after that.
    FieldRshift = 5,
    /// The id of a type of the program.
    TypeIdLocal = 6,
    /// The id of a type of the kernel.
    TypeIdTarget = 7,
    /// Whether there is such a type.
    TypeExists = 8,
    /// The size of a type in bytes.
    TypeSize = 9,
    /// Whether an enumeration has a value of that name.
    EnumvalExists = 10,
    /// The value of an enumerator.
    EnumvalValue = 11,
    /// Whether there is a type that has all members of the program's, of matching types.
    TypeMatches = 12,
}

impl RelocationKind {
    /// All kinds in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::FieldByteOffset,
        Self::FieldByteSize,
        Self::FieldExists,
        Self::FieldSigned,
        Self::FieldLshift,
        Self::FieldRshift,
        Self::TypeIdLocal,
        Self::TypeIdTarget,
        Self::TypeExists,
        Self::TypeSize,
        Self::EnumvalExists,
        Self::EnumvalValue,
        Self::TypeMatches,
    ];

    /// The kind of this number in `.BTF.ext`.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// The kind's name, as libbpf prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FieldByteOffset => "byte_off",
            Self::FieldByteSize => "byte_sz",
            Self::FieldExists => "field_exists",
            Self::FieldSigned => "signed",
            Self::FieldLshift => "lshift_u64",
            Self::FieldRshift => "rshift_u64",
            Self::TypeIdLocal => "local_type_id",
            Self::TypeIdTarget => "target_type_id",
            Self::TypeExists => "type_exists",
            Self::TypeSize => "type_size",
            Self::EnumvalExists => "enumval_exists",
            Self::EnumvalValue => "enumval_value",
            Self::TypeMatches => "type_matches",
        }
    }

    /// Whether it is about a member or element.
    #[must_use]
    pub const fn is_field(self) -> bool {
        (self as u8) <= Self::FieldRshift as u8
    }

    /// Whether it is about an enumerator.
    #[must_use]
    pub const fn is_enumerator(self) -> bool {
        matches!(self, Self::EnumvalExists | Self::EnumvalValue)
    }

    /// Whether a kernel without the type, member or enumerator has an answer, which is 0.
    #[must_use]
    pub const fn is_answered_without_type(self) -> bool {
        self.is_type() || matches!(self, Self::FieldExists | Self::EnumvalExists)
    }

    /// Whether it is about the types of a kernel, not about the program's own.
    #[must_use]
    pub const fn needs_kernel(self) -> bool {
        !matches!(self, Self::TypeIdLocal)
    }

    /// Whether it is about a type as a whole.
    #[must_use]
    pub const fn is_type(self) -> bool {
        !self.is_field() && !self.is_enumerator()
    }
}

#[cfg(test)]
mod tests;
