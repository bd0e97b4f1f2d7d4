//! One of the two blobs: what each type means by itself, as a number.
//!
//! Problem: two types are the same if they say the same, down to the next names. Ids, their order, string offsets and byte
//! order do not count; what stands behind a name is that name's own matter.
//!
//! Method: a reference counts as its *meaning*: of a type with a name the hash of its sort and name, of others (pointers,
//! arrays, qualifiers, prototypes, unnamed structures) the hash of what they say. The *content* of an item, which is what can
//! be added, removed or changed, is the hash of its fields, in which each reference counts so. The two blobs are hashed
//! apart from each other, side by side, and equal contents are found without another look at the types.
//!
//! What is encoded in two ways has one content: enumerations of 32 and 64 bits, structures with and without `kind_flag`.
//! So have types with and without tags, unless tags count. What is left for a closer look ([`super::detail`]): the order of
//! members and of enumerators, unnamed structures around members, bitfields of the old form, values of enumerations that
//! do not tell their sign.
//!
//! References lead from an unnamed type to unnamed types without end in no language; hostile blobs do that. Types
//! on such cycles, and what leads to them, mean what they say up to a number of references away.

mod content;
mod items;
mod maker;
mod sort;

use std::hash::Hasher as _;
use std::sync::Arc;

use btf_core::dedup::{FastMap, MulHasher};
use btf_core::graph::MAX_DEPTH;
use btf_core::kind::{Kind, Third};
use btf_core::{Btf, Info, Result, StrOffset, Type, TypeId};

use super::hashes::Hashes;
use items::Items;
use maker::Maker;
pub use sort::Sort;

/// What a reference to `void` means.
const VOID: u64 = 0x9ae1_6a3b_2f90_404f;

/// How sides are read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where hashes start.
    seed: u64,
    /// Whether tags count.
    tags: bool,
}

impl Options {
    /// Options with a seed of their own; `tags` says whether tags on declarations and types count.
    #[must_use]
    pub fn new(tags: bool) -> Self {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        Self { seed, tags }
    }
}

/// A type that can be added, removed or changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// The hash of its sort and name; 0 for what has no name.
    pub(super) label: u64,
    pub(super) content: u64,
    pub(super) id: TypeId,
    pub(super) sort: Sort,
}

/// One blob, and how its types are to be understood.
#[derive(Debug)]
pub struct Side<'b> {
    btf: &'b Btf,
    base: Option<Arc<Side<'b>>>,
    pointer_size: u32,
    seed: u64,
    /// Whether tags count.
    has_tags: bool,
    /// Whether its enumerations tell if they are signed: older encoders did not.
    knows_signs: bool,
    hashes: Hashes<'b>,
    /// What a reference to each own type means.
    meanings: Vec<u64>,
    /// The section that each own variable is in.
    sections: FastMap<TypeId, StrOffset>,
    /// The ids of the own tags on declarations.
    decl_tags: Vec<TypeId>,
    /// The tags on own declarations, if they count: what is tagged, the tagged component, the text.
    tags: Vec<(TypeId, i32, StrOffset)>,
    /// Which own functions BPF programs may call; empty if nobody knows.
    is_kfunc: Vec<bool>,
    /// Which own functions and variables modules may use; `None` if nobody knows.
    is_exported: Option<Vec<bool>>,
    /// The own items with names, by label.
    pub(super) items: Items,
    /// Own structures, unions and enumerations without a name that nothing with a name leads to.
    pub(super) nameless: Vec<Item>,
}

impl<'b> Side<'b> {
    /// Reads `btf`; `base` is the side of what it continues. Sides that are compared have the same options.
    ///
    /// # Errors
    /// An [`ErrorKind`](btf_core::ErrorKind) that says which id, name or kind does not exist; its `TooLarge` for names that overlap
    /// out of all proportion.
    pub fn new(
        btf: &'b Btf,
        base: Option<Arc<Side<'b>>>,
        pointer_size: u32,
        options: Options,
    ) -> Result<Self> {
        let seed = options.seed;
        let own = btf.end_id().saturating_sub(btf.first_id()) as usize;
        let side = Self {
            btf,
            base,
            pointer_size,
            seed,
            has_tags: options.tags,
            knows_signs: false,
            hashes: Hashes::new(btf, seed),
            meanings: vec![0; own],
            sections: FastMap::default(),
            decl_tags: Vec::new(),
            tags: Vec::new(),
            is_kfunc: Vec::new(),
            is_exported: None,
            items: Items::default(),
            nameless: Vec::new(),
        };
        Maker::new(side).make()
    }

    /// The ids of the own tags on declarations.
    pub fn decl_tags(&self) -> impl Iterator<Item = TypeId> {
        self.decl_tags.iter().copied()
    }

    /// Says which own functions BPF programs may call; without it nobody knows.
    pub fn set_kfuncs(&mut self, ids: impl IntoIterator<Item = TypeId>) {
        self.is_kfunc = vec![false; self.meanings.len()];
        for id in ids {
            let index = id.0.checked_sub(self.btf.first_id());
            if let Some(slot) = index.and_then(|index| self.is_kfunc.get_mut(index as usize)) {
                *slot = true;
            }
        }
    }

    /// Whether BPF programs may call a function of this blob; `None` if nobody knows.
    #[must_use]
    pub fn is_kfunc(&self, id: TypeId) -> Option<bool> {
        let index = id.0.checked_sub(self.btf.first_id())?;
        self.is_kfunc.get(index as usize).copied()
    }

    /// Whether it is known which functions are kfuncs.
    pub(super) fn knows_kfuncs(&self) -> bool {
        !self.is_kfunc.is_empty()
    }

    /// Whether tags count.
    pub(super) fn has_tags(&self) -> bool {
        self.has_tags
    }

    /// Whether enumerations tell if they are signed.
    pub(super) fn knows_signs(&self) -> bool {
        self.knows_signs || self.base.as_ref().is_some_and(|base| base.knows_signs())
    }

    /// Says which own functions and variables modules may use, by name; without it nobody knows.
    pub fn set_exports(&mut self, is_exported: impl Fn(&[u8]) -> bool) {
        let mut exported = vec![false; self.meanings.len()];
        let items = self.items.iter();
        for item in items.filter(|item| matches!(item.sort, Sort::Func | Sort::Var)) {
            if let Some(slot) = exported.get_mut((item.id.0 - self.btf.first_id()) as usize) {
                *slot = is_exported(self.name_of(item.id));
            }
        }
        self.is_exported = Some(exported);
    }

    /// Whether modules may use a function or variable of this blob; `None` if nobody knows.
    #[must_use]
    pub fn is_exported(&self, id: TypeId) -> Option<bool> {
        let index = id.0.checked_sub(self.btf.first_id())?;
        self.is_exported.as_ref()?.get(index as usize).copied()
    }

    /// Whether it is known what modules may use.
    #[must_use]
    pub fn knows_exports(&self) -> bool {
        self.is_exported.is_some()
    }

    /// The section of a variable; empty if it is in none.
    pub(super) fn section_of(&self, id: TypeId) -> &'b [u8] {
        self.sections.get(&id).map_or(&[], |&name| self.name(name))
    }

    /// The tags on a declaration as text, in alphabetical order; none if they do not count.
    pub(super) fn tags_of(&self, id: TypeId) -> Vec<u8> {
        let first = self.tags.partition_point(|&(target, ..)| target < id);
        let own = self.tags.get(first..).unwrap_or_default();
        let own = own.iter().take_while(|&&(target, ..)| target == id);
        let tags = own.map(|&(_, component, text)| (component, self.name(text)));
        let mut tags: Vec<_> = tags.collect();
        tags.sort_unstable();
        tags.dedup();
        let mut out = Vec::new();
        for (component, text) in tags {
            if !out.is_empty() {
                out.extend_from_slice(b", ");
            }
            if component >= 0 {
                out.extend_from_slice(format!("[{component}] ").as_bytes());
            }
            out.extend_from_slice(text);
        }
        out
    }

    /// The BTF.
    #[must_use]
    pub fn btf(&self) -> &'b Btf {
        self.btf
    }

    /// The side of the base.
    #[must_use]
    pub fn base(&self) -> Option<&Arc<Side<'b>>> {
        self.base.as_ref()
    }

    /// The name at an offset.
    #[must_use]
    pub fn name(&self, offset: StrOffset) -> &'b [u8] {
        self.known_name(offset).unwrap_or_default()
    }

    #[inline]
    fn known_name(&self, offset: StrOffset) -> Option<&'b [u8]> {
        let own = self.hashes.name(offset);
        own.or_else(|| self.base.as_ref()?.known_name(offset))
    }

    /// The name of an item; empty for what has none.
    #[must_use]
    pub fn name_of(&self, id: TypeId) -> &'b [u8] {
        let record = self.btf.record(id).unwrap_or_default();
        let name = record.first().filter(|_| Sort::of_record(record).is_some());
        name.map_or(&[], |&name| self.name(StrOffset(name)))
    }

    /// The type `id`; `void` if it does not exist.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> Type<'b> {
        self.btf.ty(id).unwrap_or(Type::Void)
    }

    /// The sort of item that a type is; `None` for one without a name.
    pub(super) fn sort(&self, id: TypeId) -> Option<Sort> {
        self.btf.info(id).and_then(Sort::of)
    }

    /// The hash of a name; 0 for what does not exist.
    pub(super) fn name_hash(&self, offset: StrOffset) -> u64 {
        self.known_hash(offset).unwrap_or(0)
    }

    #[inline]
    fn known_hash(&self, offset: StrOffset) -> Option<u64> {
        let own = self.hashes.hash(offset);
        own.or_else(|| self.base.as_ref()?.known_hash(offset))
    }

    /// What a reference to `id` means; 0 if that is not known yet.
    pub(super) fn meaning(&self, id: TypeId) -> u64 {
        if id.is_void() {
            return VOID;
        }
        match id.0.checked_sub(self.btf.first_id()) {
            Some(index) => self.meanings.get(index as usize).copied().unwrap_or(VOID),
            None => self.base.as_ref().map_or(VOID, |base| base.meaning(id)),
        }
    }

    /// The items of this label, those of the blob itself or, if it has none, of its base.
    pub(super) fn labelled(&self, label: u64) -> &[Item] {
        let own = self.items.labelled(label);
        match &self.base {
            Some(base) if own.is_empty() => base.labelled(label),
            _ => own,
        }
    }

    /// The size of a type in bytes; `None` for what has none, and for what is nested too deeply.
    #[must_use]
    pub fn size_of(&self, id: TypeId) -> Option<u64> {
        let mut current = id;
        let mut factor = 1_u64;
        for _ in 0..=MAX_DEPTH {
            let &[_, info, third, ref rest @ ..] = self.btf.record(current)? else {
                return None;
            };
            let kind = Info(info).kind()?;
            if kind == Kind::Array {
                let &[element, _, count] = rest else {
                    return None;
                };
                factor = factor.checked_mul(count.into())?;
                current = TypeId(element);
                continue;
            }
            if kind.is_modifier() || kind == Kind::Var {
                current = TypeId(third);
                continue;
            }
            let is_pointer = kind == Kind::Ptr;
            let size = own_size(kind, third).or(is_pointer.then_some(self.pointer_size))?;
            return factor.checked_mul(size.into());
        }
        None
    }

    /// The size in bytes that the record of a type holds, see [`Type::own_size`].
    pub(super) fn own_size(&self, id: TypeId) -> Option<u32> {
        let &[_, info, third, ..] = self.btf.record(id)? else {
            return None;
        };
        own_size(Info(info).kind()?, third)
    }

    /// The size of the elements of an array without a length in bytes; `None` for what is none.
    pub(super) fn element_size(&self, id: TypeId) -> Option<u64> {
        let mut ty = self.ty(id);
        for _ in 0..=MAX_DEPTH {
            if let Type::Array {
                element, count: 0, ..
            } = ty
            {
                return self.size_of(element);
            }
            ty = self.ty(ty.modified()?);
        }
        None
    }

    /// The ids of the own types.
    pub(super) fn own_ids(&self) -> impl Iterator<Item = TypeId> + Clone + use<> {
        (self.btf.first_id()..self.btf.end_id()).map(TypeId)
    }

    /// The declarations of which others say something, in ascending order.
    fn remarked(&self) -> Vec<TypeId> {
        let tagged = self.tags.iter().map(|&(target, ..)| target);
        let mut ids: Vec<_> = self.sections.keys().copied().chain(tagged).collect();
        ids.sort_unstable();
        ids.dedup();
        let own = ids.partition_point(|id| id.0 < self.btf.first_id());
        ids.split_off(own)
    }

    /// A hash of what others say of a declaration: its section and its tags; 0 for nothing.
    fn remarks(&self, id: TypeId) -> u64 {
        let (section, tags) = (self.section_of(id), self.tags_of(id));
        if section.is_empty() && tags.is_empty() {
            return 0;
        }
        let mut hasher = self.hasher(80);
        hasher.write(section);
        hasher.write(&tags);
        hasher.finish()
    }

    /// The start of a hash.
    pub(super) fn hasher(&self, what: u64) -> MulHasher {
        hasher(self.seed, what)
    }

    /// The hash of a sort and a name.
    pub(super) fn label(&self, sort: Sort, name: StrOffset) -> u64 {
        label_of(self.seed, sort, self.name_hash(name))
    }
}

/// The start of a hash.
fn hasher(seed: u64, what: u64) -> MulHasher {
    let mut hasher = MulHasher::default();
    hasher.write_u64(seed);
    hasher.write_u64(what);
    hasher
}

/// The hash of a sort and the hash of a name.
fn label_of(seed: u64, sort: Sort, name: u64) -> u64 {
    let mut hasher = hasher(seed, sort as u64 + 1);
    hasher.write_u64(name);
    hasher.finish().max(1)
}

/// The values of an enumeration as they are compared where nobody knows if they have a sign: those of at most four bytes have none.
pub(super) fn plain_value(value: u64, size: u32) -> u64 {
    if size <= 4 {
        value & 0xffff_ffff
    } else {
        value
    }
}

/// The size in bytes in the third word of a record, if that is what it holds.
fn own_size(kind: Kind, third: u32) -> Option<u32> {
    (kind.info().third == Third::Size).then_some(third)
}
