//! What there may be of a name: structures, functions and the like.

use btf_core::Info;
use btf_core::kind::Kind;

/// What a name is one of. Types of one sort and name are the same item in both blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A structure.
    Struct,
    /// A union.
    Union,
    /// An enumeration.
    Enum,
    /// A typedef.
    Typedef,
    /// An integer or floating-point number.
    Number,
    /// A function.
    Func,
    /// A variable.
    Var,
    /// A structure or union that is only declared.
    Forward,
}

impl Sort {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Typedef,
        Self::Number,
        Self::Func,
        Self::Var,
        Self::Forward,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum => "enum",
            Self::Typedef => "typedef",
            Self::Number => "number",
            Self::Func => "func",
            Self::Var => "var",
            Self::Forward => "forward",
        }
    }

    /// The sort of item that a type is, if it has a name; a forward declaration counts as what it declares.
    pub(super) fn of(info: Info) -> Option<Self> {
        Some(match info.kind()? {
            Kind::Fwd if info.kind_flag() => Self::Union,
            Kind::Struct | Kind::Fwd => Self::Struct,
            Kind::Union => Self::Union,
            Kind::Enum | Kind::Enum64 => Self::Enum,
            Kind::Typedef => Self::Typedef,
            Kind::Int | Kind::Float => Self::Number,
            Kind::Func => Self::Func,
            Kind::Var => Self::Var,
            Kind::Ptr
            | Kind::Array
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::FuncProto
            | Kind::Datasec
            | Kind::DeclTag
            | Kind::TypeTag => return None,
        })
    }

    /// [`Self::of`] for a record.
    pub(super) fn of_record(record: &[u32]) -> Option<Self> {
        Self::of(Info(*record.get(1)?))
    }
}
