//! Prunes the BTF of a BPF program: what neither the kernel nor the loader looks at goes.
//!
//! A program that was compiled behind a `vmlinux.h` carries the types that it names, the types of their members, and so on:
//! two accesses to `struct task_struct` bring four hundred types. What is looked at is much less (`walk` has the list):
//!
//! - functions and their prototypes, variables, sections, maps with the types of their keys and values;
//! - of a CO-RE relocation the way from its type to the member, and the kinds of what lies there;
//! - of functions and variables of the kernel the kinds of their types.
//!
//! | level | what goes |
//! |---|---|
//! | [`Level::Reachable`] | what nothing leads to |
//! | [`Level::Forward`] | also structures that only pointers lead to: they become forward declarations |
//! | [`Level::Members`] | also the members of structures for CO-RE that no relocation names; accesses get the new numbers |
//!
//! Types keep their order, so the result is a function of the input.

mod walk;

use std::collections::{BTreeSet, HashMap};

use btf_core::core_relo::{Request, Step};
use btf_core::ext::{BtfExt, CoreRelo};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Builder, Error, Info, Kind, Result, StrOffset, Type, TypeId};

use walk::{Need, Walk};

/// The words of a type's header.
const HEADER_WORDS: usize = 3;

/// How much goes; each level includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What nothing leads to.
    Reachable,
    /// What is behind a pointer, but for a declaration.
    Forward,
    /// The members that no relocation names.
    Members,
}

/// BTF that has been pruned.
#[derive(Debug)]
pub struct Pruned {
    /// The types.
    pub btf: Btf,
    /// What belongs to instructions.
    pub ext: BtfExt,
    /// The new id of each type, by its old one; `void` for those that are gone.
    pub ids: Vec<TypeId>,
}

/// Prunes the BTF of a program.
///
/// # Errors
/// [`btf_core::ErrorKind::TypeIdOutOfRange`] and [`btf_core::ErrorKind::StringOutOfRange`] for what does not exist, and
/// [`btf_core::ErrorKind::UnknownKind`], because nobody knows what such a type refers to.
pub fn shrink(btf: &Btf, ext: &BtfExt, level: Level) -> Result<Pruned> {
    let relocations = ext.core_relo.iter().flat_map(|block| &block.records);
    let requests: Vec<_> = relocations
        .map(|relo| Request::parse(btf, relo).ok())
        .collect();
    let mut walk = Walk::new(btf, level)?;
    walk.functions(ext)?;
    walk.objects()?;
    let relocations = ext.core_relo.iter().flat_map(|block| &block.records);
    for (relo, request) in relocations.zip(&requests) {
        walk.relocation(relo, request.as_ref())?;
    }
    // From here on it is known what is kept of each type.

    let kept = Kept::number(&walk);
    let mut builder = Builder::new();
    for (id, record) in btf.records() {
        if !kept.is_written(id) {
            continue;
        }
        let located = |error: Error| error.in_type(id);
        let mut record = new_record(&walk, id, record);
        let name = |name| builder.add_string(btf.string(name)?);
        rewrite_refs(&mut record, name, |id| Ok(kept.new_id(id))).map_err(located)?;
        builder.push_record(&record).map_err(located)?;
    }
    let ext = move_ext(btf, ext, &requests, &walk, &kept, &mut builder)?;
    Ok(Pruned {
        btf: builder.finish()?,
        ext,
        ids: kept.ids,
    })
}

/// The types that are kept, with their new numbers.
struct Kept {
    /// The new id of each type, by its old one.
    ids: Vec<TypeId>,
    /// Whether each type is written; of several declarations of one name one is.
    written: Vec<bool>,
}

impl Kept {
    /// Gives numbers in the old order.
    fn number(walk: &Walk<'_>) -> Self {
        let end = walk.btf.end_id() as usize;
        let mut kept = Self {
            ids: vec![TypeId::VOID; end],
            written: vec![false; end],
        };
        let mut declared: HashMap<(StrOffset, bool), TypeId> = HashMap::new();
        let mut next = TypeId(1);
        for (id, ty) in walk.btf.types() {
            if !walk.is_kept(id, &ty) {
                continue;
            }
            let declaration = declaration(&ty, walk.need(id));
            let known = declaration.and_then(|key| declared.get(&key));
            let new = known.copied().unwrap_or(next);
            if let (Some(slot), Some(is_written)) = (
                kept.ids.get_mut(id.0 as usize),
                kept.written.get_mut(id.0 as usize),
            ) {
                *slot = new;
                *is_written = new == next;
            }
            if new == next {
                declaration.map(|key| declared.insert(key, new));
                next.0 += 1;
            }
        }
        kept
    }

    fn is_written(&self, id: TypeId) -> bool {
        self.written.get(id.0 as usize).copied().unwrap_or(false)
    }

    fn new_id(&self, id: TypeId) -> TypeId {
        self.ids.get(id.0 as usize).copied().unwrap_or_default()
    }
}

/// What is written of a type, with old ids and names.
fn new_record(walk: &Walk<'_>, id: TypeId, record: &[u32]) -> Vec<u32> {
    let (Some((&[name, info, size], elements)), need) =
        (record.split_first_chunk::<HEADER_WORDS>(), walk.need(id))
    else {
        return record.to_vec();
    };
    let info = Info(info);
    let Some(kind) = info.kind() else {
        return record.to_vec();
    };
    if kind == Kind::DeclTag {
        return tag_record(walk, record);
    }
    if need == Need::Declared {
        let info = Info::new(Kind::Fwd, 0, kind == Kind::Union);
        return vec![name, info.0, 0];
    }
    if need != Need::Parts {
        return record.to_vec();
    }
    let mut words = vec![name, 0, size];
    let stride = kind.info().element.len().max(1);
    let parts = walk.parts(id);
    for (index, element) in (0..).zip(elements.chunks_exact(stride)) {
        if parts.contains(&index) {
            words.extend_from_slice(element);
        }
    }
    // There are no more than there were.
    let count = (words.len() - HEADER_WORDS) / stride;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if let Some(word) = words.get_mut(1) {
        *word = Info::new(kind, count, info.kind_flag()).0;
    }
    words
}

/// The name of a declaration, if that is all that is kept of a type, and whether it declares a union.
fn declaration(ty: &Type<'_>, need: Need) -> Option<(StrOffset, bool)> {
    if let Type::Fwd { name, is_union } = *ty {
        return Some((name, is_union));
    }
    (need == Need::Declared).then(|| (ty.name(), matches!(ty, Type::Union(_))))
}

/// A tag with the new number of the member that it is on.
fn tag_record(walk: &Walk<'_>, record: &[u32]) -> Vec<u32> {
    let mut words = record.to_vec();
    if let (Some(&target), Some(component)) = (record.get(2), words.get_mut(HEADER_WORDS)) {
        let target = TypeId(target);
        // What is on the declaration as a whole has the number -1.
        if component.cast_signed() >= 0 {
            *component = walk.new_index(target, *component);
        }
    }
    words
}

/// The new `.BTF.ext`.
fn move_ext(
    btf: &Btf,
    ext: &BtfExt,
    requests: &[Option<Request>],
    walk: &Walk<'_>,
    kept: &Kept,
    builder: &mut Builder,
) -> Result<BtfExt> {
    let mut moved = ext.clone();
    let mut name = |offset: &mut StrOffset| -> Result<()> {
        *offset = builder.add_string(btf.string(*offset)?)?;
        Ok(())
    };
    for block in &mut moved.func_info {
        name(&mut block.section)?;
        for record in &mut block.records {
            record.type_id = kept.new_id(record.type_id);
        }
    }
    for block in &mut moved.line_info {
        name(&mut block.section)?;
        for record in &mut block.records {
            name(&mut record.file_name)?;
            name(&mut record.line_text)?;
        }
    }
    let mut requests = requests.iter();
    for block in &mut moved.core_relo {
        block.section = builder.add_string(btf.string(block.section)?)?;
        for record in &mut block.records {
            let request = requests.next().and_then(Option::as_ref);
            let access = new_access(btf, record, request, walk)?;
            record.access = builder.add_string(&access)?;
            record.type_id = kept.new_id(record.type_id);
        }
    }
    Ok(moved)
}

/// The access of a relocation with the new numbers of members and enumerators.
fn new_access(
    btf: &Btf,
    relo: &CoreRelo,
    request: Option<&Request>,
    walk: &Walk<'_>,
) -> Result<Vec<u8>> {
    let Some(request) = request.filter(|request| !request.spec.steps.is_empty()) else {
        return Ok(btf.string(relo.access)?.to_vec());
    };
    let numbers = request.spec.steps.iter().map(|step| match *step {
        Step::Element { index, .. } => index,
        Step::Member {
            composite, index, ..
        } => walk.new_index(composite, index),
        Step::Enumerator { ty, index } => walk.new_index(ty, index),
    });
    let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
    Ok(numbers.join(":").into_bytes())
}

/// The members or enumerators of a type that are kept, by index.
type Parts = BTreeSet<u32>;

#[cfg(test)]
mod tests;
