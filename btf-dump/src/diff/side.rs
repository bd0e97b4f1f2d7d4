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
//! What is encoded in two ways has one content: enumerations of 32 and 64 bits, structures with and without `kind_flag`,
//! tags on types. What is left for a closer look ([`super::detail`]): the order of members and of enumerators, unnamed
//! structures around members, bitfields of the old form.
//!
//! References lead from an unnamed type to unnamed types without end in no language; hostile blobs do that. Types
//! on such cycles, and what leads to them, mean what they say up to [`CYCLE_ROUNDS`] references away.

use std::hash::Hasher as _;
use std::sync::Arc;

use btf_core::dedup::{FastMap, MulHasher};
use btf_core::graph::{MAX_DEPTH, without_end};
use btf_core::kind::{Kind, Word};
use btf_core::types::{Composite, Enumeration, FuncProto, Int, type_refs};
use btf_core::{Btf, Error, ErrorKind, Info, Result, StrOffset, Type, TypeId};

use super::hashes::Hashes;

/// How far apart two unnamed types on a cycle may differ and be told apart.
const CYCLE_ROUNDS: usize = 16;

/// What a reference to `void` means.
const VOID: u64 = 0x9ae1_6a3b_2f90_404f;

/// What a name is one of. Types of one sort and name are the same item in both blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A structure.
    Struct,
    /// A union.
    Union,
    /// An enumeration.
    Enum,
    /// A typedef.
    Typedef,
    /// An integer or floating-point number.
    Number,
    /// A function.
    Func,
    /// A variable.
    Var,
    /// A structure or union that is only declared.
    Forward,
}

impl Sort {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Typedef,
        Self::Number,
        Self::Func,
        Self::Var,
        Self::Forward,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Union => "union",
            Self::Enum => "enum",
            Self::Typedef => "typedef",
            Self::Number => "number",
            Self::Func => "func",
            Self::Var => "var",
            Self::Forward => "forward",
        }
    }
}

/// How sides are read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where hashes start.
    seed: u64,
    /// Whether the tags on declarations count.
    tags: bool,
}

impl Options {
    /// Options with a seed of their own; `tags` says whether tags on declarations count.
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
    hashes: Hashes<'b>,
    /// Names inside of the base's strings that the base itself does not have.
    foreign: FastMap<u32, (u64, &'b [u8])>,
    /// What a reference to each own type means.
    meanings: Vec<u64>,
    /// The section that each own variable is in.
    sections: FastMap<TypeId, StrOffset>,
    /// The tags on own declarations, if they count: what is tagged, the tagged component, the text.
    tags: Vec<(TypeId, i32, StrOffset)>,
    /// Which own functions BPF programs may call; empty if nobody knows.
    is_kfunc: Vec<bool>,
    /// The own items with names, by label.
    pub(super) items: Vec<Item>,
    /// Own structures, unions and enumerations without a name that nothing with a name leads to.
    pub(super) nameless: Vec<Item>,
}

impl<'b> Side<'b> {
    /// Reads `btf`; `base` is the side of what it continues. Sides that are compared have the same options.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`], [`ErrorKind::StringOutOfRange`], [`ErrorKind::UnknownKind`]; [`ErrorKind::TooLarge`] for
    /// names that overlap out of all proportion.
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
            hashes: Hashes::new(btf.string_bytes(), btf.first_string(), seed),
            foreign: FastMap::default(),
            meanings: vec![0; own],
            sections: FastMap::default(),
            tags: Vec::new(),
            is_kfunc: Vec::new(),
            items: Vec::with_capacity(own / 2),
            nameless: Vec::new(),
        };
        let mut maker = Maker {
            side,
            is_open: vec![false; own],
            is_reached: vec![false; own],
            stack: Vec::new(),
            is_complete: true,
            is_cyclic: false,
        };
        maker.check(options.tags)?;
        maker.find_meanings();
        maker.find_items();
        Ok(maker.side)
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
        self.find_name(offset).map_or(&[], |(_, name)| name)
    }

    /// The hash and the bytes of a name that is known.
    #[inline]
    fn find_name(&self, offset: StrOffset) -> Option<(u64, &'b [u8])> {
        match &self.base {
            Some(base) if offset.0 < self.hashes.first() => {
                let known = base.find_name(offset);
                known.or_else(|| self.foreign.get(&offset.0).copied())
            }
            _ => self.hashes.find(offset.0),
        }
    }

    /// The name of a type.
    #[must_use]
    pub fn name_of(&self, id: TypeId) -> &'b [u8] {
        self.name(self.ty(id).name())
    }

    /// The type `id`; `void` if it does not exist.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> Type<'b> {
        self.btf.ty(id).unwrap_or(Type::Void)
    }

    pub(super) fn name_hash(&self, offset: StrOffset) -> u64 {
        match &self.base {
            Some(_) if offset.0 < self.hashes.first() => {
                self.find_name(offset).map_or(0, |(hash, _)| hash)
            }
            _ => self.hashes.hash(offset.0).unwrap_or(0),
        }
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

    /// Whether the blob itself has items of this label.
    pub(super) fn has_label(&self, label: u64) -> bool {
        let found = self.items.binary_search_by_key(&label, |item| item.label);
        found.is_ok() || self.base.as_ref().is_some_and(|base| base.has_label(label))
    }

    /// The size of a type in bytes; `None` for what has none, and for what is nested too deeply.
    #[must_use]
    pub fn size_of(&self, id: TypeId) -> Option<u64> {
        let mut current = id;
        let mut factor = 1_u64;
        for _ in 0..=MAX_DEPTH {
            let ty = self.ty(current);
            if let Type::Array { element, count, .. } = ty {
                factor = factor.checked_mul(count.into())?;
                current = element;
            } else if let Type::Var { target, .. } = ty {
                current = target;
            } else if let Some(target) = ty.modified() {
                current = target;
            } else {
                let is_pointer = matches!(ty, Type::Ptr { .. });
                let size = ty.own_size().or(is_pointer.then_some(self.pointer_size))?;
                return factor.checked_mul(size.into());
            }
        }
        None
    }

    /// The ids of the own types.
    pub(super) fn own_ids(&self) -> impl Iterator<Item = TypeId> + Clone + use<> {
        (self.btf.first_id()..self.btf.end_id()).map(TypeId)
    }

    /// A hash of what others say of a declaration: its section and its tags; 0 for nothing.
    fn remarks(&self, id: TypeId) -> u64 {
        if self.tags.is_empty() && self.sections.is_empty() {
            return 0;
        }
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
        let mut hasher = MulHasher::default();
        hasher.write_u64(self.seed);
        hasher.write_u64(what);
        hasher
    }

    /// The hash of a sort and a name.
    pub(super) fn label(&self, sort: Sort, name: StrOffset) -> u64 {
        let mut hasher = self.hasher(sort as u64 + 1);
        hasher.write_u64(self.name_hash(name));
        hasher.finish().max(1)
    }
}

/// The values of an enumeration as they are compared: those of at most four bytes have no sign, which is a matter of encoding.
pub(super) fn plain_value(value: u64, size: u32) -> u64 {
    if size <= 4 {
        value & 0xffff_ffff
    } else {
        value
    }
}

/// [`sort_of`] for what has not been decoded.
fn sort_of_record(record: &[u32]) -> Option<Sort> {
    let info = Info(record.get(1).copied().unwrap_or(0));
    Some(match info.kind()? {
        Kind::Fwd if info.kind_flag() => Sort::Union,
        Kind::Struct | Kind::Fwd => Sort::Struct,
        Kind::Union => Sort::Union,
        Kind::Enum | Kind::Enum64 => Sort::Enum,
        Kind::Typedef => Sort::Typedef,
        Kind::Int | Kind::Float => Sort::Number,
        Kind::Func => Sort::Func,
        Kind::Var => Sort::Var,
        Kind::Ptr
        | Kind::Array
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::FuncProto
        | Kind::Datasec
        | Kind::DeclTag
        | Kind::TypeTag => return None,
    })
}

/// The sort of item that a type is, if it has a name; a forward declaration counts as what it declares.
pub(super) fn sort_of(ty: Type<'_>) -> Option<Sort> {
    Some(match ty {
        Type::Struct(_)
        | Type::Fwd {
            is_union: false, ..
        } => Sort::Struct,
        Type::Union(_) | Type::Fwd { is_union: true, .. } => Sort::Union,
        Type::Enum(_) | Type::Enum64(_) => Sort::Enum,
        Type::Typedef { .. } => Sort::Typedef,
        Type::Int(_) | Type::Float { .. } => Sort::Number,
        Type::Func { .. } => Sort::Func,
        Type::Var { .. } => Sort::Var,
        Type::Void
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::FuncProto(_)
        | Type::Datasec(_)
        | Type::DeclTag { .. }
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => return None,
    })
}

/// Sorts items by label and id. Labels are hashes: their first bits tell them into heaps of one or two.
fn by_label(items: &[Item]) -> Vec<Item> {
    const BITS: u32 = 14;
    if items.len() < 1 << (BITS - 3) {
        let mut sorted = items.to_vec();
        sorted.sort_unstable_by_key(|item| (item.label, item.id));
        return sorted;
    }
    let heap = |item: &Item| usize::try_from(item.label >> (u64::BITS - BITS)).unwrap_or(0);
    let mut ends = vec![0_usize; 1 << BITS];
    for item in items {
        ends[heap(item)] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut sorted = items.to_vec();
    for item in items {
        let end = &mut ends[heap(item)];
        *end -= 1;
        sorted[*end] = *item;
    }
    // What is left of `ends` is where each heap starts.
    let starts = ends;
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(items.len());
        sorted[start..end].sort_unstable_by_key(|item| (item.label, item.id));
    }
    sorted
}

/// A side that is being made.
struct Maker<'b> {
    side: Side<'b>,
    /// Whether an own type is on the stack and waits for what it refers to.
    is_open: Vec<bool>,
    /// Whether something with a name leads to an own type, by way of types without names.
    is_reached: Vec<bool>,
    stack: Vec<TypeId>,
    /// Whether the meanings of all references of a type were known.
    is_complete: bool,
    is_cyclic: bool,
}

impl Maker<'_> {
    /// Checks that all ids and names exist, and notes what sections and tags say of others.
    fn check(&mut self, wants_tags: bool) -> Result<()> {
        let btf = self.side.btf;
        for (id, record) in btf.records() {
            let info = Info(record.get(1).copied().unwrap_or(0));
            let Some(kind) = info.kind() else {
                let kind = ErrorKind::UnknownKind(info.kind_number());
                return Err(Error::new(kind).in_type(id));
            };
            let checked = self.check_record(kind, record);
            checked.map_err(|error| error.in_type(id))?;
            if !matches!(kind, Kind::Datasec | Kind::DeclTag) {
                continue;
            }
            let ty = Type::from_record(record);
            if let Type::Datasec(section) = ty {
                let entries = section.entries().map(|entry| (entry.ty, section.name));
                self.side.sections.extend(entries);
            } else if let Type::DeclTag {
                name,
                target,
                component,
                ..
            } = ty
                && wants_tags
            {
                self.side.tags.push((target, component, name));
            }
        }
        self.side.tags.sort_unstable();
        Ok(())
    }

    #[inline]
    fn check_record(&mut self, kind: Kind, record: &[u32]) -> Result<()> {
        let info = kind.info();
        let (header, rest) = record.split_at_checked(3).unwrap_or_default();
        if let &[name, _, third] = header {
            self.learn(name)?;
            self.check_word(
                if kind.third_is_type() {
                    Word::Type
                } else {
                    Word::Value
                },
                third,
            )?;
        }
        let (trailer, elements) = rest
            .split_at_checked(info.trailer.len())
            .unwrap_or_default();
        for (&word, &role) in trailer.iter().zip(info.trailer) {
            self.check_word(role, word)?;
        }
        match info.element.len() {
            2 => self.check_elements::<2>(info.element, elements),
            3 => self.check_elements::<3>(info.element, elements),
            _ => Ok(()),
        }
    }

    /// Checks elements of `N` words each.
    #[inline]
    fn check_elements<const N: usize>(&mut self, roles: &[Word], elements: &[u32]) -> Result<()> {
        let Some(roles) = roles.first_chunk::<N>() else {
            return Ok(());
        };
        let (elements, _) = elements.as_chunks::<N>();
        for element in elements {
            for (&word, &role) in element.iter().zip(roles) {
                self.check_word(role, word)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn check_word(&mut self, role: Word, word: u32) -> Result<()> {
        match role {
            Word::Type if word >= self.side.btf.end_id() => {
                Err(ErrorKind::TypeIdOutOfRange(TypeId(word)).into())
            }
            Word::Type | Word::Value => Ok(()),
            Word::Name => self.learn(word),
        }
    }

    /// Sees to it that a name is known.
    #[inline]
    fn learn(&mut self, offset: u32) -> Result<()> {
        let side = &mut self.side;
        let offset = StrOffset(offset);
        match &side.base {
            Some(_) if offset.0 < side.hashes.first() => {
                if side.find_name(offset).is_none() {
                    let name = side.btf.string(offset)?;
                    let hash = side.hashes.hash_inside(name)?;
                    side.foreign.insert(offset.0, (hash, name));
                }
                Ok(())
            }
            _ => side.hashes.learn(offset.0),
        }
    }

    /// Finds out what a reference to each type means.
    fn find_meanings(&mut self) {
        if self.find_meanings_around(&[]) {
            return;
        }
        // Some types without names lead to each other without end: they start with their kind as their meaning.
        let endless = self.endless();
        let is_complete = self.find_meanings_around(&endless);
        debug_assert!(is_complete, "nothing else is endless");
        for _ in 0..CYCLE_ROUNDS {
            let next: Vec<_> = endless.iter().map(|&id| (id, self.content(id))).collect();
            for (id, meaning) in next {
                self.set_meaning(id, meaning);
            }
        }
    }

    /// Finds all meanings, those of `endless` types only by their kind; stops with `false` at a cycle.
    fn find_meanings_around(&mut self, endless: &[TypeId]) -> bool {
        let ids = self.side.own_ids();
        let btf = self.side.btf;
        for (id, record) in btf.records() {
            if record.first() == Some(&0) {
                // No name.
                self.set_meaning(id, 0);
                continue;
            }
            let meaning = match (record, sort_of_record(record)) {
                (&[name, ..], Some(sort)) => self.side.label(sort, StrOffset(name)),
                _ => 0,
            };
            self.set_meaning(id, meaning);
        }
        for &id in endless {
            let kind = self.side.btf.info(id).and_then(Info::kind);
            let mut hasher = self.side.hasher(kind.map_or(0, |kind| kind as u64 + 64));
            hasher.write_u64(0);
            self.set_meaning(id, hasher.finish().max(1));
        }
        self.is_open.fill(false);
        for id in ids {
            if self.side.meaning(id) == 0 && !self.find_meaning(id) {
                return false;
            }
        }
        true
    }

    fn set_meaning(&mut self, id: TypeId, meaning: u64) {
        let index = (id.0 - self.side.btf.first_id()) as usize;
        if let Some(slot) = self.side.meanings.get_mut(index) {
            *slot = meaning;
        }
    }

    /// Finds the meaning of a type without a name, after those of what it refers to; `false` at a cycle.
    fn find_meaning(&mut self, root: TypeId) -> bool {
        self.stack.clear();
        self.stack.push(root);
        self.is_cyclic = false;
        while let Some(&top) = self.stack.last() {
            if self.side.meaning(top) == 0 {
                self.set_open(top, true);
                let height = self.stack.len();
                self.is_complete = true;
                let content = self.content(top);
                if self.is_cyclic {
                    return false;
                }
                if !self.is_complete {
                    continue;
                }
                self.stack.truncate(height);
                self.set_open(top, false);
                self.set_meaning(top, content);
            }
            self.stack.pop();
        }
        true
    }

    fn set_open(&mut self, id: TypeId, is_open: bool) {
        let index = (id.0 - self.side.btf.first_id()) as usize;
        if let Some(slot) = self.is_open.get_mut(index) {
            *slot = is_open;
        }
    }

    /// The types without names from which references to such types lead on without end.
    fn endless(&self) -> Vec<TypeId> {
        let side = &self.side;
        let first = side.btf.first_id();
        let is_nameless = |id: TypeId| {
            let ty = side.ty(id);
            id.0 >= first && (sort_of(ty).is_none() || ty.name() == StrOffset::EMPTY)
        };
        let index = |id: TypeId| (id.0 - first) as usize;
        let mut edges = Vec::new();
        for (id, record) in side.btf.records().filter(|&(id, _)| is_nameless(id)) {
            let targets = type_refs(record).filter(|&(_, target)| is_nameless(target));
            edges.extend(targets.map(|(_, target)| (index(target), index(id))));
        }
        let goes_on = without_end(edges, side.meanings.len());
        let ids = side.own_ids().zip(goes_on);
        ids.filter_map(|(id, goes_on)| goes_on.then_some(id))
            .collect()
    }

    /// What a reference to `id` means. If that is not known, puts `id` on the stack.
    #[inline]
    fn need(&mut self, id: TypeId) -> u64 {
        let meaning = self.side.meaning(id);
        if meaning == 0 {
            self.is_complete = false;
            let index = (id.0 - self.side.btf.first_id()) as usize;
            self.is_cyclic |= self.is_open.get(index) == Some(&true);
            self.stack.push(id);
        }
        meaning
    }

    /// The hash of what a type says.
    fn content(&mut self, id: TypeId) -> u64 {
        self.content_of(self.side.ty(id))
    }

    fn content_of(&mut self, ty: Type<'_>) -> u64 {
        if let Type::TypeTag { target, .. } = ty {
            return self.need(target);
        }
        let mut hasher = self
            .side
            .hasher(ty.kind().map_or(0, |kind| kind as u64 + 16));
        match ty {
            Type::Int(Int {
                size,
                encoding,
                offset_bits,
                bits,
                ..
            }) => {
                for word in [size, encoding, offset_bits, bits] {
                    hasher.write_u64(word.into());
                }
            }
            Type::Float { size, .. } => hasher.write_u64(size.into()),
            Type::Array { element, count, .. } => {
                hasher.write_u64(count.into());
                hasher.write_u64(self.need(element));
            }
            Type::Struct(composite) | Type::Union(composite) => {
                self.put_members(composite, &mut hasher);
            }
            Type::Enum(values) | Type::Enum64(values) => return self.enumeration(values),
            Type::Ptr { target }
            | Type::Typedef { target, .. }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target } => hasher.write_u64(self.need(target)),
            Type::Func {
                proto: target,
                linkage,
                ..
            }
            | Type::Var {
                target, linkage, ..
            } => {
                hasher.write_u64(linkage.into());
                hasher.write_u64(self.need(target));
            }
            Type::FuncProto(proto) => self.put_params(proto, &mut hasher),
            Type::Fwd { is_union, .. } => hasher.write_u64(is_union.into()),
            // Nothing refers to them but tags, which are no items.
            Type::Void
            | Type::Datasec(_)
            | Type::DeclTag { .. }
            | Type::TypeTag { .. }
            | Type::Unknown { .. } => {}
        }
        hasher.finish().max(1)
    }

    fn put_members(&mut self, composite: Composite<'_>, hasher: &mut MulHasher) {
        hasher.write_u64(composite.size.into());
        for member in composite.members() {
            hasher.write_u64(self.side.name_hash(member.name));
            hasher.write_u64(u64::from(member.bitfield_size) << 32 | u64::from(member.bit_offset));
            hasher.write_u64(self.need(member.ty));
        }
    }

    fn put_params(&mut self, proto: FuncProto<'_>, hasher: &mut MulHasher) {
        hasher.write_u64(self.need(proto.result));
        for param in proto.params() {
            hasher.write_u64(self.side.name_hash(param.name));
            hasher.write_u64(self.need(param.ty));
        }
    }

    fn enumeration(&self, values: Enumeration<'_>) -> u64 {
        let mut hasher = self.side.hasher(Sort::Enum as u64 + 48);
        hasher.write_u64(values.size.into());
        for enumerator in values.enumerators() {
            hasher.write_u64(self.side.name_hash(enumerator.name));
            hasher.write_u64(plain_value(enumerator.value, values.size));
        }
        hasher.finish().max(1)
    }

    /// Lists the items, once all meanings are known.
    fn find_items(&mut self) {
        let (btf, first) = (self.side.btf, self.side.btf.first_id());
        self.stack.clear();
        for (id, record) in btf.records() {
            let kind = record.get(1).and_then(|&info| Info(info).kind());
            if kind.is_some_and(Self::has_no_name) {
                continue;
            }
            let ty = Type::from_record(record);
            let Some(sort) = sort_of(ty) else { continue };
            // Functions and variables without a name are wrong, but they are there.
            let has_name = ty.name() != StrOffset::EMPTY || matches!(sort, Sort::Func | Sort::Var);
            if !has_name {
                continue;
            }
            let label = self.side.label(sort, ty.name());
            let content = self.content_of(ty) ^ self.side.remarks(id);
            let is_forward = matches!(ty, Type::Fwd { .. });
            let sort = if is_forward { Sort::Forward } else { sort };
            self.side.items.push(Item {
                label,
                content,
                id,
                sort,
            });
            for (_, target) in type_refs(record) {
                self.reach(target, first);
            }
        }
        while let Some(id) = self.stack.pop() {
            for (_, target) in type_refs(btf.record(id).unwrap_or_default()) {
                self.reach(target, first);
            }
        }
        self.side.items = by_label(&self.side.items);
        for ((id, record), &is_reached) in btf.records().zip(&self.is_reached) {
            if is_reached || record.first() != Some(&0) {
                continue;
            }
            let ty = Type::from_record(record);
            let is_item = matches!(
                ty,
                Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_)
            );
            if let (Some(sort), true) = (sort_of(ty), is_item) {
                let content = self.side.meaning(id);
                self.side.nameless.push(Item {
                    label: 0,
                    content,
                    id,
                    sort,
                });
            }
        }
    }

    /// Whether types of a kind never have names, or are no items.
    const fn has_no_name(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::Ptr
                | Kind::Array
                | Kind::Const
                | Kind::Volatile
                | Kind::FuncProto
                | Kind::DeclTag
        )
    }

    /// Notes that something with a name leads to a type.
    fn reach(&mut self, id: TypeId, first: u32) {
        let Some(index) = id.0.checked_sub(first) else {
            return;
        };
        if let Some(slot) = self.is_reached.get_mut(index as usize)
            && !std::mem::replace(slot, true)
        {
            let record = self.side.btf.record(id).unwrap_or_default();
            if record.first() == Some(&0) || sort_of_record(record).is_none() {
                self.stack.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_by_label() {
        // Many items, so that they are told into heaps; every third label is there twice or more.
        let items = |count: u32| {
            let label = |id: u32| u64::from(id / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let ids = (1..=count).rev();
            let items = ids.map(|id| Item {
                label: label(id),
                content: 0,
                id: TypeId(id),
                sort: Sort::Struct,
            });
            items.collect::<Vec<_>>()
        };
        for count in [0, 1, 100, 10_000] {
            let items = items(count);
            let key = |item: &Item| (item.label, item.id);
            let mut expect: Vec<_> = items.iter().map(key).collect();
            expect.sort_unstable();
            assert!(by_label(&items).iter().map(key).eq(expect), "{count}");
        }
    }

    #[test]
    fn sorts_need_no_decoding() {
        for kind in Kind::ALL {
            for flag in [false, true] {
                let info = Info::new(kind, 0, flag);
                let mut record = vec![1; kind.record_words(0)];
                record[1] = info.0;
                assert_eq!(
                    sort_of_record(&record),
                    sort_of(Type::from_record(&record)),
                    "{kind}"
                );
            }
        }
    }
}
