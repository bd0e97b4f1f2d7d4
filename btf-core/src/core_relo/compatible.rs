//! Which types of a program and a kernel are alike enough, and what CO-RE needs to know about single types.

use super::fault::Fault;
use super::matching::Budget;
use super::names::essential_at;
use crate::graph::{self, MAX_DEPTH, strip_modifiers};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::reader::Btf;
use crate::types::Type;

/// How many pointers, arrays and results of functions are followed; libbpf's limit.
pub(super) const MAX_CHAIN: u32 = 32;

/// How deep function types are nested; libbpf's limit.
pub(super) const MAX_LEVEL: u32 = 32;

/// The size of a type in bytes, where a pointer has `pointer_size`.
///
/// # Errors
/// [`Fault::NoSize`] if it has none.
pub(super) fn size_of(btf: &Btf, id: TypeId, pointer_size: u32) -> Result<u64, Fault> {
    graph::size_with_pointers(btf, id, pointer_size)?.ok_or(Fault::NoSize)
}

/// Whether two kinds are the same for a search by name; enumerations of both sizes are.
pub(super) fn same_kind(local: Option<Kind>, target: Option<Kind>) -> bool {
    let is_enum = |kind| matches!(kind, Some(Kind::Enum | Kind::Enum64));
    local == target || is_enum(local) && is_enum(target)
}

/// Whether a member of a kernel's type will do for one of the program's.
///
/// Structures and unions do for each other, and so do integers of any size and sign. Enumerations must agree in their names
/// if both have one. Pointers may point to anything.
///
/// # Errors
/// [`Fault::Btf`] or [`Fault::TooDeep`].
pub fn fields(
    local_btf: &Btf,
    local: TypeId,
    target_btf: &Btf,
    target: TypeId,
) -> Result<bool, Fault> {
    let (mut local, mut target) = (local, target);
    for _ in 0..=MAX_DEPTH {
        let a = local_btf.ty(strip_modifiers(local_btf, local)?)?;
        let b = target_btf.ty(strip_modifiers(target_btf, target)?)?;
        let is_composite = |ty: &Type<'_>| matches!(ty, Type::Struct(_) | Type::Union(_));
        if is_composite(&a) && is_composite(&b) {
            return Ok(true);
        }
        if !same_kind(a.kind(), b.kind()) {
            return Ok(false);
        }
        match (a, b) {
            (Type::Array { element: a, .. }, Type::Array { element: b, .. }) => {
                (local, target) = (a, b);
            }
            (Type::Ptr { .. } | Type::Float { .. }, _) => return Ok(true),
            (Type::Fwd { .. } | Type::Enum(_) | Type::Enum64(_), _) => {
                let names =
                    essential_at(local_btf, a.name()).zip(essential_at(target_btf, b.name()));
                let will_do = |(a, b): (&[u8], &[u8])| a.is_empty() || b.is_empty() || a == b;
                return Ok(names.is_some_and(will_do));
            }
            (Type::Int(a), Type::Int(b)) => {
                return Ok(a.offset_bits == 0 && b.offset_bits == 0);
            }
            _ => return Ok(false),
        }
    }
    Err(Fault::TooDeep)
}

/// Whether a type of the kernel's is what the program means by one of the same name.
///
/// Structures, unions and enumerations of the same kind are; pointers, arrays and functions are if what they consist of is.
///
/// # Errors
/// [`Fault::Btf`], [`Fault::TooDeep`] or [`Fault::TooManySteps`].
pub fn types(
    local_btf: &Btf,
    local: TypeId,
    target_btf: &Btf,
    target: TypeId,
    budget: &mut Budget,
) -> Result<bool, Fault> {
    let kind = |btf: &Btf, id| btf.ty(id).map(|ty| ty.kind());
    if !same_kind(kind(local_btf, local)?, kind(target_btf, target)?) {
        return Ok(false);
    }
    // Everything on the list must be compatible. The last one comes next.
    let mut open = vec![(local, target, MAX_LEVEL, MAX_CHAIN)];
    while let Some((local, target, level, chain)) = open.pop() {
        budget.step()?;
        let chain = chain.checked_sub(1).ok_or(Fault::TooDeep)?;
        let a = local_btf.ty(strip_modifiers(local_btf, local)?)?;
        let b = target_btf.ty(strip_modifiers(target_btf, target)?)?;
        if !same_kind(a.kind(), b.kind()) {
            return Ok(false);
        }
        match (a, b) {
            (
                Type::Void
                | Type::Struct(_)
                | Type::Union(_)
                | Type::Enum(_)
                | Type::Enum64(_)
                | Type::Fwd { .. },
                _,
            ) => {}
            (Type::Int(a), Type::Int(b)) => {
                if a.offset_bits != 0 || b.offset_bits != 0 {
                    return Ok(false);
                }
            }
            (Type::Ptr { target: a }, Type::Ptr { target: b })
            | (Type::Array { element: a, .. }, Type::Array { element: b, .. }) => {
                open.push((a, b, level, chain));
            }
            (Type::FuncProto(a), Type::FuncProto(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                // The result comes last, after the parameters.
                open.push((a.result, b.result, level, chain));
                budget.steps(a.len())?;
                if !a.is_empty() {
                    let level = level.checked_sub(1).ok_or(Fault::TooDeep)?;
                    let params = a.params().zip(b.params()).rev();
                    open.extend(params.map(|(a, b)| (a.ty, b.ty, level, MAX_CHAIN)));
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}
