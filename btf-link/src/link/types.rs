//! The types of the output: those of all objects, merged by the one engine that merges types.
//!
//! Functions, variables and sections do not go through the engine: two static variables of one name and type are two. They
//! are written behind the types: entities, each with its tags, then sections.
#![deny(clippy::indexing_slicing)]

use btf_core::dedup::{Fragment, Merged, Merger, Numbering};
use btf_core::ext::BtfExt;
use btf_core::graph::reachable;
use btf_core::types::{rewrite_refs, type_refs};
use btf_core::{Btf, Builder, Error, ErrorKind, Info, Kind, Result, StrOffset, Type, TypeId};

use rayon::prelude::*;

use super::declared::Entities;
use super::object::Object;
use super::problem::Problem;
use crate::merge::names::{LocalNames, Names, Reading, Strings};

/// The types of an object, for the engine, and what it says about instructions. Strings are numbers in both.
#[derive(Debug, Default)]
struct Part {
    fragment: Fragment,
    /// By type id, the local id in the fragment; 0 for what is not in it.
    locals: Vec<u32>,
    ext: Option<BtfExt>,
}

/// The types of all objects before they are merged.
#[derive(Debug)]
pub(crate) struct Gathered {
    parts: Vec<Part>,
    /// All strings, by number.
    strings: Strings,
}

/// Takes the types out of all objects' BTF.
pub(crate) fn gather(
    objects: &[Object<'_>],
    entities: &Entities<'_>,
    problems: &mut Vec<Problem>,
) -> Gathered {
    let names = Names::new();
    let indices: Vec<_> = (0..objects.len()).collect();
    let gathered: Vec<_> = chunks(&indices)
        .map(|chunk| {
            let mut local = LocalNames::new(&names);
            let mut reading = local.reading();
            let parts = chunk.iter().map(|&index| {
                let (object, gone) = (objects.get(index)?, entities.gone.get(index)?);
                let btf = object.btf.as_ref()?;
                Some(gather_object(btf, object, gone, &mut reading))
            });
            let parts = parts.collect::<Vec<_>>();
            drop(reading);
            (parts, local.finish())
        })
        .collect();
    let (mut parts, mut created) = (Vec::with_capacity(objects.len()), Vec::new());
    for (some, names) in gathered {
        parts.extend(some);
        created.push(names);
    }
    let parts = parts.into_iter().zip(objects).map(|(part, object)| {
        part.unwrap_or_else(|| Ok(Part::default()))
            .unwrap_or_else(|error| {
                problems.push(Problem::of(object, error.to_string()));
                Part::default()
            })
    });
    Gathered {
        parts: parts.collect(),
        strings: names.strings(created),
    }
}

/// Equal shares of a list, one for each thread, in order.
fn chunks<T: Sync>(list: &[T]) -> rayon::slice::Chunks<'_, T> {
    list.par_chunks(list.len().div_ceil(rayon::current_num_threads()).max(1))
}

fn gather_object<'o>(
    btf: &'o Btf,
    object: &Object<'_>,
    gone: &[TypeId],
    names: &mut Reading<'_, '_, 'o>,
) -> Result<Part> {
    let needless = needless(btf, object, gone);
    let mut part = Part::default();
    part.locals.resize(btf.end_id() as usize, 0);
    let mut next = 1;
    part.fragment.words.reserve(btf.words().len());
    part.fragment.starts.reserve(btf.starts().len());
    for (id, record) in btf.records() {
        let info = Info(record.get(1).copied().unwrap_or(0));
        let Some(kind) = info.kind() else {
            let kind = ErrorKind::UnknownKind(info.kind_number());
            return Err(Error::new(kind).in_type(id));
        };
        let is_entity = |kind| matches!(kind, Some(Kind::Func | Kind::Var));
        let is_type = if kind == Kind::DeclTag {
            // It goes with what it is on.
            let target = TypeId(record.get(2).copied().unwrap_or(0));
            !is_entity(btf.info(target).and_then(Info::kind)) && !is_in(&needless, target)
        } else {
            !is_entity(Some(kind)) && kind != Kind::Datasec && !is_in(&needless, id)
        };
        if is_type && let Some(slot) = part.locals.get_mut(id.0 as usize) {
            *slot = next;
            next += 1;
        }
    }
    names.begin(btf);
    let mut record = Vec::new();
    for (id, words) in btf.records() {
        if part
            .locals
            .get(id.0 as usize)
            .is_none_or(|&local| local == 0)
        {
            continue;
        }
        record.clear();
        record.extend_from_slice(words);
        let name = |offset| names.name(offset).map(|name| StrOffset(name.0));
        let local = |id: TypeId| match part.locals.get(id.0 as usize) {
            None => Err(ErrorKind::TypeIdOutOfRange(id).into()),
            Some(&0) if !id.is_void() => {
                let what = "reference to a function, variable or section";
                let value = id.0.into();
                Err(Error::new(ErrorKind::Invalid { what, value }))
            }
            Some(&local) => Ok(TypeId(local)),
        };
        rewrite_refs(&mut record, name, local).map_err(|error| error.in_type(id))?;
        part.fragment.push(&record);
    }
    part.ext.clone_from(&object.ext);
    if let Some(ext) = &mut part.ext {
        ext.rewrite_refs(
            |offset| names.name(offset).map(|name| StrOffset(name.0)),
            Ok,
        )?;
    }
    Ok(part)
}

fn is_in(set: &[bool], id: TypeId) -> bool {
    set.get(id.0 as usize).copied().unwrap_or(false)
}

/// The types that only functions and variables that go have led to.
fn needless(btf: &Btf, object: &Object<'_>, gone: &[TypeId]) -> Vec<bool> {
    if gone.is_empty() {
        return Vec::new();
    }
    let mut needless = reachable(btf, gone.iter().copied());
    // What nothing refers to stays for itself, and so does what it leads to.
    let mut is_top = vec![true; btf.end_id() as usize];
    for (_, record) in btf.records() {
        let kind = record.get(1).and_then(|&info| Info(info).kind());
        if matches!(kind, Some(Kind::Datasec | Kind::DeclTag)) {
            continue;
        }
        for (_, target) in type_refs(record) {
            if let Some(slot) = is_top.get_mut(target.0 as usize) {
                *slot = false;
            }
        }
    }
    let mut tops: Vec<_> = btf
        .types()
        .filter(|(id, ty)| {
            is_in(&is_top, *id) && !matches!(ty, Type::Datasec(_) | Type::DeclTag { .. })
        })
        .map(|(id, _)| id)
        .filter(|id| gone.binary_search(id).is_err())
        .collect();
    let blocks = object.ext.iter().flat_map(|ext| &ext.core_relo);
    tops.extend(blocks.flat_map(|block| block.records.iter().map(|record| record.type_id)));
    let needed = reachable(btf, tops);
    for (slot, needed) in needless.iter_mut().zip(needed) {
        *slot &= !needed;
    }
    needless
}

impl Gathered {
    /// Merges the types.
    pub(crate) fn merge(&self) -> Merged {
        let merger = Merger::new();
        let indices: Vec<_> = (0..self.parts.len()).collect();
        let gathered = chunks(&indices).map(|chunk| {
            let mut worker = merger.worker();
            for &index in chunk {
                if let (Some(part), Ok(index)) = (self.parts.get(index), u32::try_from(index)) {
                    worker.add(index, &part.fragment);
                }
            }
            worker.finish()
        });
        let gathered = gathered.collect();
        merger.finish(gathered, &|index, into| {
            if let Some(part) = self.parts.get(index as usize) {
                into.clone_from(&part.fragment);
            }
        })
    }

    /// What an object says about instructions, with numbers for strings.
    pub(crate) fn ext(&self, object: usize) -> Option<&BtfExt> {
        self.parts.get(object)?.ext.as_ref()
    }

    /// The string of a number.
    pub(crate) fn string(&self, number: StrOffset) -> &[u8] {
        self.strings.get(number.0)
    }
}

/// The output's BTF while it is made.
#[derive(Debug)]
pub(crate) struct Types<'a> {
    pub(crate) builder: Builder,
    pub(crate) gathered: &'a Gathered,
    merged: &'a Merged,
    numbering: Numbering<'a>,
    /// The ids of entities, by number.
    entities: Vec<TypeId>,
    /// The offsets of strings, by number; `None` for those that are not written yet.
    offsets: Vec<Option<StrOffset>>,
}

/// The offset of a string in the output, by its number.
fn offset_of(
    builder: &mut Builder,
    gathered: &Gathered,
    offsets: &mut [Option<StrOffset>],
    number: StrOffset,
) -> Result<StrOffset> {
    let slot = offsets.get_mut(number.0 as usize);
    if let Some(&mut Some(offset)) = slot {
        return Ok(offset);
    }
    let offset = builder.add_string(gathered.string(number))?;
    if let Some(slot) = slot {
        *slot = Some(offset);
    }
    Ok(offset)
}

impl<'a> Types<'a> {
    /// Writes the types, then the entities with their tags.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the result does not fit BTF.
    pub(crate) fn new(
        gathered: &'a Gathered,
        merged: &'a Merged,
        entities: &Entities<'_>,
    ) -> Result<Self> {
        let mut types = Self {
            builder: Builder::new(),
            gathered,
            merged,
            numbering: merged.number(&[]),
            entities: Vec::with_capacity(entities.list.len()),
            offsets: vec![None; gathered.strings.len()],
        };
        types.write_types()?;
        for entity in &entities.list {
            let target = types.id(entity.object, entity.target);
            let builder = &mut types.builder;
            let id = if entity.is_variable {
                builder.var(entity.name, target, entity.linkage)?
            } else {
                builder.func(entity.name, target, entity.linkage)?
            };
            for tag in &entity.tags {
                builder.decl_tag(tag.text, id, tag.component, tag.is_attribute)?;
            }
            types.entities.push(id);
        }
        Ok(types)
    }

    fn write_types(&mut self) -> Result<()> {
        let Self {
            builder,
            gathered,
            numbering,
            offsets,
            ..
        } = self;
        let mut failed: Option<Error> = None;
        numbering.for_each_record(|_, record| {
            if failed.is_some() {
                return;
            }
            let offset = |number| offset_of(builder, gathered, offsets, number);
            let done = rewrite_refs(record, offset, Ok).and_then(|()| builder.push_record(record));
            failed = done.err();
        });
        failed.map_or(Ok(()), Err)
    }

    /// The offset of a string in the output, by its number.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the strings do not fit BTF.
    pub(crate) fn string(&mut self, number: StrOffset) -> Result<StrOffset> {
        offset_of(&mut self.builder, self.gathered, &mut self.offsets, number)
    }

    /// The id of a type of an object in the output; `void` for what is none.
    pub(crate) fn id(&self, object: usize, id: TypeId) -> TypeId {
        let part = self.gathered.parts.get(object);
        let local = part.and_then(|part| part.locals.get(id.0 as usize).copied());
        let fragment = u32::try_from(object).unwrap_or(u32::MAX);
        local
            .filter(|&local| local != 0)
            .and_then(|local| self.merged.output(fragment, TypeId(local)))
            .map_or(TypeId::VOID, |output| self.numbering.id(output))
    }

    /// The id of an entity in the output.
    pub(crate) fn entity(&self, number: usize) -> TypeId {
        self.entities.get(number).copied().unwrap_or(TypeId::VOID)
    }
}
