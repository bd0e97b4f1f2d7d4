//! Moves split BTF with a distilled base onto the base of another kernel.
//!
//! Each type of the distilled base stands for one of the new base, which is found by name, kind and size. Then the ids and
//! names of the split types are those of the new base, as if the split BTF had been made for it.
//!
//! # What matches
//!
//! | distilled | in the new base |
//! |---|---|
//! | INT | an INT of the same size, sign and encoding |
//! | FLOAT | a FLOAT of the same size |
//! | ENUM | the ENUM or ENUM64 of the same size |
//! | STRUCT, UNION | the one of the same kind and size |
//! | the same, not embedded | else the only one of the same kind; else a FWD of it |
//! | FWD | a FWD of the same kind, else the only STRUCT or UNION |
//!
//! A structure is *embedded* if a member of a split type holds it, and not only a pointer to it: then its size is part
//! of the split type's layout. Several numbers or forward declarations that match are all the same, and the first
//! counts. Several structures, unions or enumerations that match are not: nothing tells which one was meant.
//!
//! The kernel's own rules (`kernel/bpf/btf_relocate.c` of Linux 7.2) differ where they are mistaken: they refuse a
//! structure if the new base has a forward declaration of it, too; take the flag of a structure with bitfields for
//! that of a union; and let a structure match a union, or a number of its name and size.
//!
//! Spec: Documentation/bpf/btf.rst, 4.4 ".BTF.base section".
#![deny(clippy::indexing_slicing)]

mod kernel;
mod matching;

use std::sync::Arc;

use crate::builder::Builder;
use crate::distill::push_moved;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TypeId;
use crate::reader::Btf;

pub use kernel::{Refusal, kernel_refusals};
pub(crate) use matching::find_embedded;
pub use matching::{Mismatch, Reason};

/// Split BTF that was moved, and where its base's types are now.
#[derive(Debug)]
pub struct Relocated {
    /// The split BTF on top of the new base. [`Btf::byte_order`] is the machine's own.
    pub btf: Btf,
    /// The new id of each type of the distilled base, by its id there.
    base_ids: Vec<TypeId>,
}

impl Relocated {
    /// What the type `id` of the old split BTF or its distilled base is now; so are the ids in `.BTF_ids` translated.
    #[must_use]
    pub fn new_id(&self, id: TypeId) -> Option<TypeId> {
        let new = moved(&self.base_ids, self.btf.first_id(), id);
        (new.0 < self.btf.end_id()).then_some(new)
    }
}

/// Moves `split`, whose base is a distilled one, onto `base`.
///
/// # Errors
/// [`ErrorKind::Mismatch`], with the type's id in the distilled base, if not every one of its types has its match; the
/// error is that of the first one, and [`mismatches`] tells all. [`ErrorKind::Invalid`] if `split` has no base or if that
/// is no distilled one, [`ErrorKind::TypeIdOutOfRange`] and [`ErrorKind::StringOutOfRange`] for ids and names that do not
/// exist.
pub fn relocate(split: &Btf, base: Arc<Btf>) -> Result<Relocated> {
    let matches = matching::find(split, &base)?;
    if let Some(mismatch) = matches.mismatches.first() {
        let count = matches.mismatches.len();
        let others = if count > 1 {
            format!(", and {} other types have no match", count - 1)
        } else {
            String::new()
        };
        let error = Error::new(ErrorKind::Mismatch(format!("{mismatch}{others}")));
        return Err(error.in_type(mismatch.distilled));
    }
    let base_ids = matches.ids;
    let first = base.end_id();
    let mut builder = Builder::with_base(base);
    for (id, _) in split.records() {
        push_moved(&mut builder, split, id, |id| moved(&base_ids, first, id))?;
    }
    Ok(Relocated {
        btf: builder.finish()?,
        base_ids,
    })
}

/// All types of the distilled base of `split` that have no match in `base`, in the order of their ids: whether, and why
/// not, [`relocate`] would fail.
///
/// # Errors
/// As [`relocate`], but for [`ErrorKind::Mismatch`].
pub fn mismatches(split: &Btf, base: &Btf) -> Result<Vec<Mismatch>> {
    Ok(matching::find(split, base)?.mismatches)
}

/// The new id of a type, where `base_ids` are those of the distilled base and `first` is that of the first split type.
fn moved(base_ids: &[TypeId], first: u32, id: TypeId) -> TypeId {
    let own = (id.0 as usize).checked_sub(base_ids.len());
    match own {
        None => base_ids.get(id.0 as usize).copied().unwrap_or_default(),
        Some(own) => TypeId(u32::try_from(own).unwrap_or(u32::MAX).saturating_add(first)),
    }
}

#[cfg(test)]
mod tests;
