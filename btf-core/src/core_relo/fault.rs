//! Why a relocation cannot be resolved: for good ([`Fault`]), or in one candidate ([`Mismatch`]).

use std::fmt;

use crate::ids::TypeId;

/// Why libbpf refuses to load a program: one of its relocations makes no sense, here or in this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The kind of relocation is not known.
    Kind(u32),
    /// The access does not fit the program's own types; says how.
    Access(&'static str),
    /// The type has no name by which it could be found.
    Anonymous,
    /// A type has no size, though it is needed.
    NoSize,
    /// A bitfield that no load of 64 bits reaches.
    WideBitfield,
    /// An array's element is asked for what only a member has.
    ElementQuestion,
    /// Types are nested deeper than libbpf follows them.
    TooDeep,
    /// Comparing takes more steps than [`super::matching::MAX_STEPS`].
    TooManySteps,
    /// Two candidates give different answers, or offsets in bits.
    Ambiguous {
        /// The answer of the first candidate.
        first: Answer,
        /// The answer of another one.
        other: Answer,
    },
    /// The instruction cannot hold the answer; says why.
    Insn(&'static str),
    /// The instruction does not hold the program's own answer.
    Unexpected {
        /// What it holds.
        found: u64,
        /// What the program's types say.
        expected: u64,
    },
    /// An answer that does not fit the offset of a load or store.
    TooLarge(u64),
    /// The BTF itself is broken; says how.
    Btf(String),
}

/// What a candidate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The offset in bits of what the access leads to.
    BitOffset(u32),
    /// The value for the instruction.
    Value(u64),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BitOffset(bits) => write!(f, "bit offset {bits}"),
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(number) => write!(f, "unknown kind of relocation: {number}"),
            Self::Access(how) => write!(f, "the access does not fit the program's types: {how}"),
            Self::Anonymous => f.write_str("the type has no name"),
            Self::NoSize => f.write_str("a type has no size"),
            Self::WideBitfield => f.write_str("no load of 64 bits reaches the bitfield"),
            Self::ElementQuestion => f.write_str("this cannot be asked about an array's element"),
            Self::TooDeep => f.write_str("the types are nested too deep"),
            Self::TooManySteps => f.write_str("comparing the types takes too many steps"),
            Self::Ambiguous { first, other } => {
                write!(f, "ambiguous: types of this name give {first} and {other}")
            }
            Self::Insn(why) => f.write_str(why),
            Self::Unexpected { found, expected } => write!(
                f,
                "the instruction holds {found}, but the program's types say {expected}"
            ),
            Self::TooLarge(value) => {
                write!(f, "{value} does not fit the offset of a load or store")
            }
            Self::Btf(how) => f.write_str(how),
        }
    }
}

impl From<crate::Error> for Fault {
    fn from(error: crate::Error) -> Self {
        Self::Btf(error.to_string())
    }
}

/// Why a type of the kernel is not what a relocation is about.
///
/// `target` ids are those of the candidate's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// There is no member of that name.
    NoMember {
        /// The structure or union.
        target: TypeId,
        /// The step of the access.
        step: usize,
    },
    /// A member of that name is of another kind.
    OtherKind {
        /// The type of the member.
        target: TypeId,
        /// The step of the access.
        step: usize,
    },
    /// What the access goes on into is no structure or union, or no array.
    NothingInside {
        /// The type.
        target: TypeId,
        /// The step of the access.
        step: usize,
    },
    /// An array has fewer elements.
    ShortArray {
        /// The number of elements.
        count: u32,
        /// The step of the access.
        step: usize,
    },
    /// The enumeration has no enumerator of that name.
    NoEnumerator,
    /// The types are not alike.
    Types,
}

impl Mismatch {
    /// How many steps of the access were found before.
    #[must_use]
    pub const fn step(&self) -> usize {
        match *self {
            Self::NoMember { step, .. }
            | Self::OtherKind { step, .. }
            | Self::NothingInside { step, .. }
            | Self::ShortArray { step, .. } => step,
            Self::NoEnumerator | Self::Types => 0,
        }
    }
}
