//! One BTF of a kernel and its modules, in which each type is there once.
//!
//! The types of all inputs go into one fragment of the merge engine: modules refer to the kernel's types by their ids, so what they
//! mean by a name is known, and need not be guessed. The engine joins what is the same in two modules, and a
//! forward declaration with its definition in another input. The result does not depend on the order of the modules, but for
//! the ids, about which the header does not care.

use std::collections::HashMap;
use std::sync::Arc;

use btf_core::dedup::{Fragment, Merger, Name, Numbering};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Builder, Error, ErrorKind, Info, Result, StrOffset, TypeId};

use super::view::string;

/// A kernel and modules, merged.
#[derive(Debug)]
pub struct Merged {
    /// The types of all.
    pub btf: Btf,
    /// The first type that only modules have: those of the kernel come before.
    pub first_of_modules: TypeId,
}

/// The own types of an input or base.
#[derive(Debug)]
struct Part<'a> {
    btf: &'a Btf,
    /// The local id in the fragment of its first type.
    first: u32,
}

/// The fragment that is being made.
#[derive(Debug, Default)]
struct Gatherer<'a> {
    parts: Vec<Part<'a>>,
    fragment: Fragment,
    names: HashMap<&'a [u8], Name>,
    strings: Vec<&'a [u8]>,
}

/// Merges BTF: the first input, or the base that it continues, is the kernel, or whatever else has the first claim to names.
/// The others continue it or stand alone. A base that several inputs share counts once, before them.
///
/// # Errors
/// [`ErrorKind::TypeIdOutOfRange`], [`ErrorKind::StringOutOfRange`] and [`ErrorKind::UnknownKind`] of an input;
/// [`ErrorKind::TooLarge`] if the result does not fit BTF.
pub fn merge(inputs: &[Arc<Btf>]) -> Result<Merged> {
    let mut gatherer = Gatherer::default();
    let mut kernel_end = TypeId(1);
    for (index, input) in inputs.iter().enumerate() {
        let mut chain: Vec<_> = input.chain().collect();
        chain.reverse();
        for (level, btf) in chain.into_iter().enumerate() {
            gatherer.add(btf)?;
            if index == 0 && level == 0 {
                kernel_end = TypeId(gatherer.next_id());
            }
        }
    }
    let Gatherer {
        fragment, strings, ..
    } = gatherer;
    let merger = Merger::new();
    let mut worker = merger.worker();
    worker.add(0, &fragment);
    let gathered = worker.finish();
    let merged = merger.finish(vec![gathered], &|_, into| into.clone_from(&fragment));
    let numbering = merged.number(&[]);
    let ids = (1..kernel_end.0).filter_map(|id| merged.output(0, TypeId(id)));
    let last_of_kernel = ids.map(|output| numbering.id(output).0).max();
    Ok(Merged {
        btf: build(&numbering, &strings)?,
        first_of_modules: TypeId(last_of_kernel.unwrap_or(0).saturating_add(1)),
    })
}

/// The types of BTF and its bases as one fragment, in which each has its id.
///
/// # Errors
/// Those of [`merge`] about its input.
pub(crate) fn fragment_of(btf: &Btf) -> Result<Fragment> {
    let mut chain: Vec<_> = btf.chain().collect();
    chain.reverse();
    let mut gatherer = Gatherer::default();
    for btf in chain {
        gatherer.add(btf)?;
    }
    Ok(gatherer.fragment)
}

/// Makes BTF of what is numbered.
fn build(numbering: &Numbering<'_>, strings: &[&[u8]]) -> Result<Btf> {
    let mut builder = Builder::new();
    let mut offsets = vec![None; strings.len()];
    let mut failed: Option<Error> = None;
    numbering.for_each_record(|_, record| {
        if failed.is_some() {
            return;
        }
        let offset = |name: StrOffset| {
            let index = name.0 as usize;
            if let Some(&Some(offset)) = offsets.get(index) {
                return Ok(offset);
            }
            let offset = builder.add_string(strings.get(index).copied().unwrap_or_default())?;
            if let Some(slot) = offsets.get_mut(index) {
                *slot = Some(offset);
            }
            Ok(offset)
        };
        let done = rewrite_refs(record, offset, Ok).and_then(|()| builder.push_record(record));
        failed = done.err();
    });
    match failed {
        Some(error) => Err(error),
        None => builder.finish(),
    }
}

impl<'a> Gatherer<'a> {
    /// The local id that the next type gets.
    fn next_id(&self) -> u32 {
        u32::try_from(self.fragment.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// Where the types of `btf` went, if they are in already.
    fn first_of(&self, btf: &Btf) -> Option<u32> {
        let is_same = |part: &&Part<'_>| {
            std::ptr::eq(part.btf, btf)
                || part.btf.first_id() == btf.first_id()
                    && part.btf.words() == btf.words()
                    && part.btf.string_bytes() == btf.string_bytes()
        };
        self.parts.iter().find(is_same).map(|part| part.first)
    }

    /// Adds the own types of `btf`, whose bases are in already.
    fn add(&mut self, btf: &'a Btf) -> Result<()> {
        if self.first_of(btf).is_some() {
            return Ok(());
        }
        let first = self.next_id();
        self.parts.push(Part { btf, first });
        let firsts: Vec<_> = btf
            .chain()
            .map(|part| (part.first_id(), self.first_of(part).unwrap_or(0)))
            .collect();
        let local = |id: TypeId| {
            if id.0 >= btf.end_id() {
                return Err(ErrorKind::TypeIdOutOfRange(id).into());
            }
            let part = firsts.iter().find(|(first_id, _)| *first_id <= id.0);
            Ok(part.map_or(TypeId::VOID, |(first_id, first)| {
                TypeId(id.0 - first_id + first)
            }))
        };
        let mut known: HashMap<StrOffset, Name> = HashMap::new();
        let mut record = Vec::new();
        for (id, words) in btf.records() {
            let info = Info(words.get(1).copied().unwrap_or(0));
            if info.kind().is_none() {
                let kind = ErrorKind::UnknownKind(info.kind_number());
                return Err(Error::new(kind).in_type(id));
            }
            record.clear();
            record.extend_from_slice(words);
            let name = |offset: StrOffset| -> Result<StrOffset> {
                if let Some(name) = known.get(&offset) {
                    return Ok(StrOffset(name.0));
                }
                let name = self.name(string(btf, offset)?);
                known.insert(offset, name);
                Ok(StrOffset(name.0))
            };
            rewrite_refs(&mut record, name, local).map_err(|error| error.in_type(id))?;
            self.fragment.push(&record);
        }
        Ok(())
    }

    /// The number of a string; 0 for the empty one.
    fn name(&mut self, string: &'a [u8]) -> Name {
        if self.strings.is_empty() {
            self.strings.push(b"");
            self.names.insert(b"", Name(0));
        }
        let next = Name(u32::try_from(self.strings.len()).unwrap_or(u32::MAX));
        let strings = &mut self.strings;
        *self.names.entry(string).or_insert_with(|| {
            strings.push(string);
            next
        })
    }
}
