//! What a type refers to, straight from the words of its record: some walks go over all types of a kernel.

use btf_core::Info;
use btf_core::kind::Kind;

/// What a type holds by value, in order: members, elements, what a typedef stands for, results and parameters.
pub(super) fn parts(record: &[u32]) -> impl ExactSizeIterator<Item = u32> + Clone {
    let (first, end, stride) = match kind(record) {
        Some(Kind::Struct | Kind::Union) => (4, record.len(), 3),
        // The result, and of each parameter its second word.
        Some(Kind::FuncProto) => (2, record.len(), 2),
        Some(Kind::Array) => (3, 4, 1),
        Some(
            Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::Func
            | Kind::Var,
        ) => (2, 3, 1),
        Some(
            Kind::Int
            | Kind::Ptr
            | Kind::Enum
            | Kind::Enum64
            | Kind::Fwd
            | Kind::Datasec
            | Kind::Float
            | Kind::DeclTag,
        )
        | None => (0, 0, 1),
    };
    words(record, first, end, stride)
}

/// All that a type refers to, but for sections and tags, which say something of others.
pub(super) fn targets(record: &[u32]) -> impl ExactSizeIterator<Item = u32> + Clone {
    let (first, end, stride) = match kind(record) {
        Some(Kind::Struct | Kind::Union) => (4, record.len(), 3),
        Some(Kind::FuncProto) => (2, record.len(), 2),
        Some(Kind::Array) => (3, 5, 1),
        Some(kind) if kind.third_is_type() => (2, 3, 1),
        _ => (0, 0, 1),
    };
    words(record, first, end, stride)
}

fn words(
    record: &[u32],
    first: usize,
    end: usize,
    stride: usize,
) -> impl ExactSizeIterator<Item = u32> + Clone {
    let words = record.get(first.min(end)..end).unwrap_or_default();
    words.iter().step_by(stride).copied()
}

fn kind(record: &[u32]) -> Option<Kind> {
    record.get(1).and_then(|&info| Info(info).kind())
}
