//! What there may be of a name: structures, functions and the like.

use btf_core::kind::Kind;
use btf_core::{Info, Type};

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
}

/// [`sort_of`] for what has not been decoded.
pub(super) fn sort_of_record(record: &[u32]) -> Option<Sort> {
    let info = Info(record.get(1).copied().unwrap_or(0));
    Some(match info.kind()? {
        Kind::Fwd if info.kind_flag() => Sort::Union,
        Kind::Struct | Kind::Fwd => Sort::Struct,
        Kind::Union => Sort::Union,
        Kind::Enum | Kind::Enum64 => Sort::Enum,
        Kind::Typedef => Sort::Typedef,
        Kind::Int | Kind::Float => Sort::Number,
        Kind::Func => Sort::Func,
        Kind::Var => Sort::Var,
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

/// The sort of item that a type is, if it has a name; a forward declaration counts as what it declares.
pub(in super::super) fn sort_of(ty: Type<'_>) -> Option<Sort> {
    Some(match ty {
        Type::Struct(_)
        | Type::Fwd {
            is_union: false, ..
        } => Sort::Struct,
        Type::Union(_) | Type::Fwd { is_union: true, .. } => Sort::Union,
        Type::Enum(_) | Type::Enum64(_) => Sort::Enum,
        Type::Typedef { .. } => Sort::Typedef,
        Type::Int(_) | Type::Float { .. } => Sort::Number,
        Type::Func { .. } => Sort::Func,
        Type::Var { .. } => Sort::Var,
        Type::Void
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::FuncProto(_)
        | Type::Datasec(_)
        | Type::DeclTag { .. }
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_need_no_decoding() {
        for kind in Kind::ALL {
            for flag in [false, true] {
                let info = Info::new(kind, 0, flag);
                let mut record = vec![1; kind.record_words(0)];
                record[1] = info.0;
                assert_eq!(
                    sort_of_record(&record),
                    sort_of(Type::from_record(&record)),
                    "{kind}"
                );
            }
        }
    }
}
