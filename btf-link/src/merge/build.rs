//! Makes BTF of the types of a merge, on all threads.
//!
//! Nearly all types are written, whichever of them turn out to be one. So their strings get their offsets before that is known, in the
//! order in which the types stand; those of other types come behind. Then each thread writes a part of the types. Where the result
//! continues other BTF, that has most strings, and all wait for what is known in the end.

use std::sync::Arc;

use btf_core::builder::PartSize;
use btf_core::dedup::{LateTypes, NamesInOrder, Numbering};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Builder, Error, ErrorKind, Result, StrOffset};
use rayon::prelude::*;

use super::names::Strings;

/// The strings of the result.
pub(super) struct Placed {
    /// The result so far, which has no types.
    builder: Builder,
    /// Of which types strings may be missing; of all, if there is a base.
    late: Option<LateTypes>,
    /// The offset of each string by its number, of some only after [`Placed::add_rest`].
    offsets: Vec<Option<StrOffset>>,
    strings: Strings,
}

impl Placed {
    /// Begins BTF that continues `base`, if there is one. Without a base the strings of all types that are surely written are there.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`](btf_core::ErrorKind::TooLarge) if they do not fit 32 bits.
    pub(super) fn new(
        base: Option<&Arc<Btf>>,
        names: NamesInOrder<'_>,
        strings: Strings,
    ) -> Result<Self> {
        let mut placed = Self {
            builder: base.map_or_else(Builder::new, |base| Builder::with_base(Arc::clone(base))),
            late: None,
            offsets: vec![None; strings.len()],
            strings,
        };
        if base.is_none() {
            placed.late = Some(placed.add_all(names)?);
        }
        Ok(placed)
    }

    /// Adds all strings: no two numbers have one string, so that all are new, and how long they are tells where each goes.
    fn add_all(&mut self, names: NamesInOrder<'_>) -> Result<LateTypes> {
        let Self {
            builder,
            offsets,
            strings,
            ..
        } = self;
        // The empty string is there.
        offsets[0] = Some(StrOffset::EMPTY);
        let mut order = Vec::with_capacity(strings.len());
        let start = builder.strings().end();
        let mut end = start;
        let late = names.for_each(|name| {
            let slot = &mut offsets[name.0 as usize];
            if slot.is_none() {
                // If it does not fit, `add_new_strings` fails.
                *slot = Some(StrOffset(u32::try_from(end).unwrap_or(u32::MAX)));
                end += strings.get(name.0).len() as u64 + 1;
                order.push(name.0);
            }
        });
        let len = usize::try_from(end - start).unwrap_or(usize::MAX);
        builder.add_new_strings(len, |mut rest| {
            for number in order {
                let string = strings.get(number);
                let (to, behind) = std::mem::take(&mut rest).split_at_mut(string.len() + 1);
                to[..string.len()].copy_from_slice(string);
                rest = behind;
            }
        })?;
        Ok(late)
    }

    /// Adds what is missing of the strings of the types that are written.
    fn add_rest(&mut self, numbering: &Numbering<'_>) -> Result<()> {
        let Self {
            builder,
            late,
            offsets,
            strings,
        } = self;
        let mut failed = None::<Error>;
        numbering.for_each_late_name(late.as_ref(), |name| {
            let slot = &mut offsets[name.0 as usize];
            if slot.is_none() && failed.is_none() {
                let string = strings.get(name.0);
                // No two numbers have one string, but the base may have it.
                let added = match late {
                    None => builder.add_string(string),
                    Some(_) => builder.add_new_string(string),
                };
                match added {
                    Ok(offset) => *slot = Some(offset),
                    Err(error) => failed = Some(error),
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }
}

/// Makes BTF of what is numbered.
///
/// # Errors
/// [`ErrorKind::TooLarge`](btf_core::ErrorKind::TooLarge) if types or strings do not fit 32 bits.
pub(super) fn build(numbering: &Numbering<'_>, placed: &mut Placed) -> Result<Builder> {
    placed.add_rest(numbering)?;
    let mut builder = std::mem::take(&mut placed.builder);
    let offsets = &placed.offsets[..];
    let count = rayon::current_num_threads();
    let bound = |part: usize| numbering.len() * part / count;
    let range = |part| bound(part)..bound(part + 1);
    let size = |part| PartSize {
        types: range(part).len(),
        words: numbering.words_of(range(part)),
    };
    let sizes: Vec<_> = (0..count).into_par_iter().map(size).collect();
    builder.push_parts(&sizes, |part, mut into| {
        let mut failed = None::<ErrorKind>;
        numbering.for_each_record_of(range(part), |_, record| {
            // All that is written is surely written, or was asked for its names late.
            let missing = ErrorKind::StringOutOfRange;
            let offset = |name: StrOffset| offsets[name.0 as usize].ok_or_else(|| missing(name.0));
            let done = rewrite_refs(record, offset, Ok);
            failed = failed.take().or(done.err());
            let (to, behind) = std::mem::take(&mut into).split_at_mut(record.len());
            to.copy_from_slice(record);
            into = behind;
        });
        failed.map_or(Ok(()), |kind| Err(kind.into()))
    })?;
    Ok(builder)
}
