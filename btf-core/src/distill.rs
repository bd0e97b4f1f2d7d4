//! Makes split BTF independent of the ids of its base: it gets a small base of its own, `.BTF.base`.
//!
//! Split BTF names the types of its base by number, so it is bound to the one kernel that it was made for. A distilled base
//! holds no more than what the split BTF refers to, by name: [`mod@crate::relocate`] finds the types of those names in
//! another kernel.
//!
//! # Which types go where
//!
//! Everything that the split types lead to is followed, but not into named structures, unions and enumerations: those are
//! the border, and what is behind it may differ between kernels.
//! - What is named and at the border goes into the new base: INT, FLOAT and FWD as they are, STRUCT and UNION without
//!   members, ENUM and ENUM64 as ENUM without values, all with their size.
//! - What is followed (pointers, arrays, qualifiers, typedefs, prototypes, type tags) and what has no name, by which it
//!   could be found again, goes into the split BTF as a whole, behind its own types.
//!
//! So do functions and variables of the base, which only tags and sections of the split BTF can refer to; libbpf refuses
//! those. In all other respects the result is that of libbpf: the same types in the same order, so that any kernel that
//! knows `.BTF.base` (6.11 and later) takes it.
//!
//! Spec: Documentation/bpf/btf.rst, 4.4 ".BTF.base section".
#![deny(clippy::indexing_slicing)]

use std::sync::Arc;

use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::reader::Btf;
use crate::refs::{rewrite_refs, type_refs};
use crate::wire::Info;

/// Where a type of the old base goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The new base, by its name.
    Base,
    /// The split BTF, as a whole.
    Split,
}

/// Split BTF on top of a distilled base.
///
/// The base of what is returned is the distilled one, and stands alone. Both are written by [`Builder::from_btf`]; what
/// byte order that is for is the caller's choice, because [`Btf::byte_order`] of both is the machine's own.
///
/// # Errors
/// [`ErrorKind::Invalid`] if `split` has no base; [`ErrorKind::Unsupported`], with the type, if it refers to a type of its
/// base that cannot move, such as a section; [`ErrorKind::TypeIdOutOfRange`] and [`ErrorKind::StringOutOfRange`] for
/// ids and names that do not exist.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use btf_core::{Builder, Kind, TypeId, distill::distill, wire::int};
///
/// let mut base = Builder::new();
/// let int = base.int(b"int", 4, int::SIGNED)?;
/// let page = base.composite(Kind::Struct, b"page", 64, &[])?;
/// let page_ptr = base.ptr(page)?;
/// let mut split = Builder::with_base(Arc::new(base.finish()?));
/// split.ptr(page_ptr)?;
///
/// let split = distill(&split.finish()?)?;
/// let base = split.base().unwrap();
/// assert_eq!(base.name(TypeId(1))?, b"page");
/// // `struct page **`, and behind it `struct page *`.
/// assert_eq!((split.first_id(), split.end_id()), (2, 4));
/// # Ok::<(), btf_core::Error>(())
/// ```
pub fn distill(split: &Btf) -> Result<Btf> {
    let Some(old_base) = split.base() else {
        let (what, value) = (
            "base of BTF to distill: there is none, type ids start at",
            1,
        );
        return Err(ErrorKind::Invalid { what, value }.into());
    };
    let places = find_places(split)?;
    let in_place = |wanted| {
        let ids = (0..).map(TypeId).zip(&places);
        ids.filter(move |(_, place)| **place == Some(wanted))
            .map(|(id, _)| id)
    };

    let mut map = vec![TypeId::VOID; old_base.end_id() as usize];
    let mut note = |old: TypeId, new| {
        if let Some(slot) = map.get_mut(old.0 as usize) {
            *slot = new;
        }
    };
    let mut base = Builder::new();
    for id in in_place(Place::Base) {
        note(id, push_named(&mut base, split, id)?);
    }
    let base = Arc::new(base.finish()?);
    // From here on the ids of the new base are known, and with them those of the split types.

    let own_end = base.end_id() + (split.end_id() - split.first_id());
    for (id, new) in in_place(Place::Split).zip(own_end..) {
        note(id, TypeId(new));
    }
    let new_id = |id: TypeId| match id.0.checked_sub(split.first_id()) {
        Some(own) => TypeId(base.end_id().saturating_add(own)),
        None => map.get(id.0 as usize).copied().unwrap_or_default(),
    };
    let mut builder = Builder::with_base(Arc::clone(&base));
    let own = (split.first_id()..split.end_id()).map(TypeId);
    for id in own.chain(in_place(Place::Split)) {
        push_moved(&mut builder, split, id, new_id)?;
    }
    builder.finish()
}

/// Where each type of the base goes, by id; `None` for those that are not needed.
fn find_places(split: &Btf) -> Result<Vec<Option<Place>>> {
    let mut places = vec![None; split.first_id() as usize];
    let mut open = Vec::new();
    for (id, record) in split.records() {
        find_in(split, id, record, &mut places, &mut open)?;
        while let Some(id) = open.pop() {
            let record = record_of(split, id)?;
            find_in(split, id, record, &mut places, &mut open)?;
        }
    }
    Ok(places)
}

/// Finds places for the base's types that a record refers to, and notes those whose own references count.
fn find_in(
    split: &Btf,
    id: TypeId,
    record: &[u32],
    places: &mut [Option<Place>],
    open: &mut Vec<TypeId>,
) -> Result<()> {
    for (_, target) in type_refs(record) {
        if target.is_void() || (split.first_id()..split.end_id()).contains(&target.0) {
            continue;
        }
        let slot = places.get_mut(target.0 as usize);
        let slot = slot.ok_or_else(|| no_such_type(target).in_type(id))?;
        if slot.is_some() {
            continue;
        }
        let place = place_of(split, target)?;
        *slot = Some(place);
        if place == Place::Split {
            open.push(target);
        }
    }
    Ok(())
}

/// Where a type goes that is referred to.
fn place_of(split: &Btf, id: TypeId) -> Result<Place> {
    let info = Info(record_of(split, id)?.get(1).copied().unwrap_or(0));
    let is_named = !split.name(id)?.is_empty();
    match info.kind() {
        Some(
            Kind::Int
            | Kind::Float
            | Kind::Fwd
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Enum64,
        ) if is_named => Ok(Place::Base),
        Some(Kind::Datasec | Kind::DeclTag) | None => {
            let kind = info.kind().map_or("unknown kind", Kind::name);
            let text = format!("distilling a base of which a {kind} is referred to");
            Err(Error::new(ErrorKind::Unsupported(text)).in_type(id))
        }
        Some(_) => Ok(Place::Split),
    }
}

/// Adds to the new base what is left of a named type there.
fn push_named(base: &mut Builder, split: &Btf, id: TypeId) -> Result<TypeId> {
    let record = record_of(split, id)?;
    let name = base.add_string(split.name(id)?)?;
    let info = Info(record.get(1).copied().unwrap_or(0));
    let size = record.get(2).copied().unwrap_or(0);
    let empty = |kind| [name.0, Info::new(kind, 0, false).0, size];
    let pushed = match info.kind() {
        Some(kind @ (Kind::Struct | Kind::Union)) => base.push_record(&empty(kind)),
        Some(Kind::Enum | Kind::Enum64) => base.push_record(&empty(Kind::Enum)),
        _ => {
            // Numbers and forward declarations refer to nothing.
            let mut record = record.to_vec();
            if let Some(word) = record.first_mut() {
                *word = name.0;
            }
            base.push_record(&record)
        }
    };
    pushed.map_err(|error| error.in_type(id))
}

/// Adds a whole type of `from`, with its names, and with ids as `new_id` tells.
pub(crate) fn push_moved(
    builder: &mut Builder,
    from: &Btf,
    id: TypeId,
    new_id: impl Fn(TypeId) -> TypeId,
) -> Result<()> {
    let mut record = record_of(from, id)?.to_vec();
    rewrite_refs(
        &mut record,
        |name| builder.add_string(from.string(name)?),
        |target| {
            if target.0 >= from.end_id() {
                return Err(no_such_type(target));
            }
            Ok(new_id(target))
        },
    )
    .map_err(|error| error.in_type(id))?;
    let pushed = builder.push_record(&record);
    pushed.map(drop).map_err(|error| error.in_type(id))
}

fn record_of(btf: &Btf, id: TypeId) -> Result<&[u32]> {
    btf.record(id).ok_or_else(|| no_such_type(id))
}

fn no_such_type(id: TypeId) -> Error {
    ErrorKind::TypeIdOutOfRange(id).into()
}

#[cfg(test)]
mod tests;
