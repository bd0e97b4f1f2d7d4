//! Makes BTF of the types of a merge, on all threads.
//!
//! A string's offset is where its first use puts it, so offsets follow from the order of all types. Each thread copies a part of
//! the types, with the numbers that `names` gave to their strings, and notes the numbers that are new in its part; strings then
//! get their offsets part by part, and the threads put these in.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use btf_core::dedup::Numbering;
use btf_core::types::{name_refs, rewrite_refs};
use btf_core::{Btf, Builder, Info, Result, StrOffset};
use rayon::prelude::*;

use super::names::Strings;

/// Makes BTF, which continues `base` if there is one, of what is numbered.
///
/// # Errors
/// [`ErrorKind::TooLarge`](btf_core::ErrorKind::TooLarge) if types or strings do not fit 32 bits.
pub(super) fn build(
    base: Option<&Arc<Btf>>,
    numbering: &Numbering<'_>,
    strings: &Strings,
) -> Result<Builder> {
    let mut builder = base.map_or_else(Builder::new, |base| Builder::with_base(Arc::clone(base)));
    let count = rayon::current_num_threads();
    let bound = |part: usize| numbering.len() * part / count;
    let parts = (0..count).into_par_iter();
    let mut parts: Vec<Part> = parts
        .map(|part| Part::new(numbering, bound(part)..bound(part + 1), strings.len()))
        .collect();

    let numbers = parts.iter().flat_map(|part| &part.numbers).copied();
    let offsets = match base {
        None => add_all(&mut builder, numbers, strings),
        Some(_) => add_each(&mut builder, numbers, strings),
    }?;
    // From here on every string has its offset.

    parts
        .par_iter_mut()
        .for_each(|part| part.put_offsets(&offsets));
    for part in parts {
        builder.push_records(part.words)?;
    }
    Ok(builder)
}

/// Adds the strings of these numbers, unless the base has them; gives their offsets by their numbers.
fn add_each(
    builder: &mut Builder,
    numbers: impl Iterator<Item = u32>,
    strings: &Strings,
) -> Result<Vec<Option<StrOffset>>> {
    let mut offsets = vec![None; strings.len()];
    for number in numbers {
        let slot = &mut offsets[number as usize];
        if slot.is_none() {
            *slot = Some(builder.add_string(strings.get(number))?);
        }
    }
    Ok(offsets)
}

/// As `add_each`, where there is no base: no two numbers have one string, so that all are new, and how long they are tells where
/// each goes.
fn add_all(
    builder: &mut Builder,
    numbers: impl Iterator<Item = u32>,
    strings: &Strings,
) -> Result<Vec<Option<StrOffset>>> {
    let mut offsets = vec![None; strings.len()];
    // The empty string is there.
    offsets[0] = Some(StrOffset::EMPTY);
    let mut order = Vec::with_capacity(strings.len());
    let mut end = builder.strings().end();
    for number in numbers {
        let slot = &mut offsets[number as usize];
        if slot.is_none() {
            // If it does not fit, `add_new_strings` fails.
            *slot = Some(StrOffset(u32::try_from(end).unwrap_or(u32::MAX)));
            end += strings.len_of(number) as u64 + 1;
            order.push(number);
        }
    }
    let part = order.len().div_ceil(rayon::current_num_threads()).max(1);
    let start = builder.strings().end();
    builder.add_new_strings(
        usize::try_from(end - start).unwrap_or(usize::MAX),
        |mut rest| {
            let mut parts = Vec::new();
            for numbers in order.chunks(part) {
                let len = numbers
                    .iter()
                    .map(|&number| strings.len_of(number) + 1)
                    .sum();
                let (of_part, behind) = std::mem::take(&mut rest).split_at_mut(len);
                parts.push((numbers, of_part));
                rest = behind;
            }
            parts.into_par_iter().for_each(|(numbers, mut rest)| {
                for &number in numbers {
                    let string = strings.get(number);
                    let (to, behind) = std::mem::take(&mut rest).split_at_mut(string.len() + 1);
                    to[..string.len()].copy_from_slice(string);
                    rest = behind;
                }
            });
        },
    )?;
    Ok(offsets)
}

/// The types of a part of the result.
struct Part {
    /// Their records.
    words: Vec<u32>,
    /// The numbers of the strings, each once, in the order of their first use.
    numbers: Vec<u32>,
}

impl Part {
    fn new(numbering: &Numbering<'_>, range: Range<usize>, string_count: usize) -> Self {
        let mut part = Self {
            words: Vec::new(),
            numbers: Vec::new(),
        };
        let mut is_known = vec![false; string_count];
        numbering.for_each_record_of(range, |_, record| {
            for (_, name) in name_refs(record) {
                if !std::mem::replace(&mut is_known[name.0 as usize], true) {
                    part.numbers.push(name.0);
                }
            }
            part.words.extend_from_slice(record);
        });
        part
    }

    /// Replaces the numbers of strings by their offsets.
    fn put_offsets(&mut self, offsets: &[Option<StrOffset>]) {
        let mut rest = &mut self.words[..];
        while let Some(&[_, info, ..]) = rest.first_chunk::<3>() {
            let kind = Info(info).kind();
            let len = kind.map_or(rest.len(), |kind| kind.record_words(Info(info).vlen()));
            let (record, behind) = std::mem::take(&mut rest).split_at_mut(len);
            let offset = |name: StrOffset| offsets[name.0 as usize].unwrap_or_default();
            let Ok(()) = rewrite_refs(record, |name| Ok::<_, Infallible>(offset(name)), Ok);
            rest = behind;
        }
    }
}
