//! The base of split BTF: the kernel's BTF, which that of its modules continues. Read once and shared by all.
//!
//! A module's BTF counts its ids and string offsets on from the base's and refers into it, so what the base has is not
//! written again: strings, types, functions and their tags. If there are many modules, all of the base is indexed
//! ([`Base::indexed`]); a single one takes the part that it needs ([`Unread`]), with the same result.
//!
//! Spec: Documentation/bpf/btf.rst, 1 "Introduction" and 4.2 "`.BTF` sections of modules".
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of words, of which a base has no more than fit 32 bits"
)]

use std::borrow::Cow;
use std::convert::Infallible;
use std::hash::Hasher;
use std::sync::{Arc, OnceLock};

use btf_core::dedup::{
    self, FastMap, Fragment, Merged, Merger, MulHasher, Name, NameWords, Outline, Unread,
};
use btf_core::elf::{Loaded, kernel_release, module_release};
use btf_core::overlap::BoundedStrings;
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Error, ErrorKind, Info, Kind, Result, StrOffset, TypeId};
use hashbrown::HashTable;

use crate::flat_arrays;
use crate::input::Image;
use crate::names::{cut, short_bytes, short_name};
use crate::options::Options;

/// BTF that is continued.
#[derive(Debug)]
pub struct Base {
    btf: Arc<Btf>,
    pointer_size: Option<u8>,
    /// The release of the kernel, if the file tells it.
    release: Option<String>,
    has_flat_arrays: bool,
    known: Known,
}

/// What is known of the types and strings.
#[derive(Debug)]
enum Known {
    /// What a merge needs that takes a part of it, if it is plain: see [`outline`].
    Outline {
        outline: Outline,
        /// All, if strings turn out to be equal: see [`Base::find_names`].
        index: OnceLock<Box<Index>>,
    },
    /// All, if several modules need it or it is not plain.
    Index(Box<Index>),
}

/// The index of a whole base.
#[derive(Debug)]
struct Index {
    types: dedup::Base,
    /// The offsets that stand for strings which only are ends of others, by content.
    ends: FastMap<Box<[u8]>, u32>,
    made: Made,
}

impl Base {
    /// Reads the base from an ELF file with `.BTF`, or from the BTF itself; the first bytes tell which.
    ///
    /// # Errors
    /// Those of [`btf_core::elf::load`]; [`ErrorKind::Unsupported`] if the file is itself a module; those of [`Base::new`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::of_loaded(btf_core::elf::load(bytes, None)?, bytes)
    }

    /// As [`Base::parse`], of bytes that stay where they are, which saves copying them. They may change meanwhile, as those
    /// of a mapped file can: then what is made with this base is of no use, but that is all.
    ///
    /// # Errors
    /// Those of [`Base::parse`].
    pub fn parse_static(bytes: &'static [u8]) -> Result<Self> {
        Self::of_loaded(btf_core::elf::load_static(bytes, None)?, bytes)
    }

    fn of_loaded(loaded: Loaded, bytes: &[u8]) -> Result<Self> {
        if loaded.has_own_base {
            let what = "a base with a `.BTF.base` of its own: it is a module";
            return Err(ErrorKind::Unsupported(what.into()).into());
        }
        let release = kernel_release(bytes)?.map(str::to_owned);
        let base = Self::new(Arc::new(loaded.btf), loaded.pointer_size)?;
        Ok(Self { release, ..base })
    }

    /// Takes BTF, with all that it continues itself; `pointer_size` is in bytes, if it is known.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`], [`ErrorKind::StringOutOfRange`] or [`ErrorKind::UnknownKind`] for a type that
    /// cannot be understood; [`ErrorKind::Invalid`] if names overlap out of all proportion.
    pub fn new(btf: Arc<Btf>, pointer_size: Option<u8>) -> Result<Self> {
        let known = match outline(&btf) {
            Some(outline) => Known::Outline {
                outline,
                index: OnceLock::new(),
            },
            None => Known::Index(Box::new(Index::new(&btf)?)),
        };
        Ok(Self {
            pointer_size: pointer_size.or_else(|| pointer_size_of(&btf)),
            release: None,
            has_flat_arrays: flat_arrays::are_in(&btf),
            known,
            btf,
        })
    }

    /// Indexes all of it, so that each module which continues it costs less: it pays for more than three.
    ///
    /// # Errors
    /// Those of [`Base::new`].
    pub fn indexed(self) -> Result<Self> {
        let index = match self.known {
            Known::Index(index) => index,
            Known::Outline { index, .. } => match index.into_inner() {
                Some(index) => index,
                None => Box::new(Index::new(&self.btf)?),
            },
        };
        let known = Known::Index(index);
        Ok(Self { known, ..self })
    }

    /// All of it, if it is indexed.
    fn index(&self) -> Option<&Index> {
        match &self.known {
            Known::Index(index) => Some(index),
            Known::Outline { index, .. } => index.get().map(|index| &**index),
        }
    }

    /// The BTF.
    #[must_use]
    pub fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// Whether it has arrays of several dimensions as arrays of one: see [`flat_arrays`].
    pub(crate) fn has_flat_arrays(&self) -> bool {
        self.has_flat_arrays
    }

    /// The BTF in memory of its own, for what is not made for BTF that may change.
    pub(crate) fn unborrowed(&self) -> Result<Arc<Btf>> {
        if self.btf.is_borrowed() {
            Ok(Arc::new(self.btf.copied()?))
        } else {
            Ok(Arc::clone(&self.btf))
        }
    }

    /// A merge that continues it.
    pub(crate) fn merger(&self) -> Merger<'_> {
        match &self.known {
            Known::Index(index) => Merger::with_base(&index.types),
            Known::Outline { outline, index } => match index.get() {
                Some(index) => Merger::with_base(&index.types),
                None => Merger::with_unread(Unread {
                    words: self.btf.words(),
                    starts: starts(&self.btf),
                    outline,
                    names: self,
                }),
            },
        }
    }

    /// One past the last string offset; names of the base are below.
    pub(crate) fn end_string(&self) -> u32 {
        self.btf.end_string()
    }

    /// Checks that BTF of `image` can continue this one, as far as that can be seen.
    ///
    /// # Errors
    /// [`ErrorKind::Base`].
    pub(crate) fn check(&self, image: &Image<'_>, options: &Options) -> Result<()> {
        let (own, order) = (self.btf.byte_order(), options.order.unwrap_or(image.order));
        if own != order {
            let text = format!("its byte order is {own:?}, the output's {order:?}");
            return Err(ErrorKind::Base(text).into());
        }
        let size = if image.is_64 { 8 } else { 4 };
        if let Some(own) = self.pointer_size.filter(|&own| own != size) {
            let text = format!("its pointers have {own} bytes, the input's {size}");
            return Err(ErrorKind::Base(text).into());
        }
        let modinfo = image.section_by_name(".modinfo");
        let modinfo = modinfo.map(|section| image.section_data(section));
        let module = module_release(modinfo.transpose()?.unwrap_or_default());
        match (self.release.as_deref(), module) {
            (Some(own), Some(module)) if own != module => {
                let text = format!("it is that of Linux {own}, the module is for {module}");
                Err(ErrorKind::Base(text).into())
            }
            _ => Ok(()),
        }
    }

    /// The name of a string of more than three bytes.
    pub(crate) fn find_name(&self, string: &[u8]) -> Option<Name> {
        self.name_of(self.btf.find_string(string), string)
    }

    /// The names of strings of more than three bytes, no two of which are equal.
    ///
    /// This comes before all other questions: if it finds one of them in the base twice, that is indexed now. In the BTF of
    /// kernels no two strings are equal.
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`], caused by those of [`Base::new`].
    pub(crate) fn find_names(&self, strings: &[&[u8]]) -> Result<Vec<Option<Name>>> {
        if let Known::Outline { index, .. } = &self.known
            && index.get().is_none()
        {
            if let Some(found) = self.btf.scan_strings(strings) {
                let name = |found: Option<StrOffset>| found.map(|offset| Name(offset.0));
                return Ok(found.into_iter().map(name).collect());
            }
            let unusable = |error| Error::new(ErrorKind::UnusableBase).caused_by(error);
            let all = Index::new(&self.btf).map_err(unusable)?;
            // Whoever was faster has the same one.
            let _ = index.set(Box::new(all));
        }
        let found = self.btf.find_strings(strings).into_iter().zip(strings);
        Ok(found
            .map(|(found, string)| self.name_of(found, string))
            .collect())
    }

    /// The name of a string that was `found`, or else is only the end of others.
    fn name_of(&self, found: Option<StrOffset>, string: &[u8]) -> Option<Name> {
        let end = || self.index()?.ends.get(string).copied();
        found.map(|offset| offset.0).or_else(end).map(Name)
    }

    /// The string of a name that is not short.
    pub(crate) fn string(&self, name: Name) -> &[u8] {
        self.btf.string(StrOffset(name.0)).unwrap_or_default()
    }

    /// The types that the encoder may make beside the merge, as far as the base has what they refer to: functions of these
    /// names, tags, and if there are arenas what pointers into them need.
    pub(crate) fn made<'n>(
        &self,
        merged: &Merged,
        functions: impl Iterator<Item = &'n [u8]>,
        has_arenas: bool,
    ) -> Cow<'_, Made> {
        if let Some(index) = self.index() {
            return Cow::Borrowed(&index.made);
        }
        let mut names = vec![0_u64; self.end_string() as usize / 64 + 1];
        for StrOffset(offset) in functions.filter_map(|name| self.btf.find_string(name)) {
            names[offset as usize / 64] |= 1 << (offset % 64);
        }
        let is_named = |offset: u32| {
            let names = names.get(offset as usize / 64);
            names.is_some_and(|names| names >> (offset % 64) & 1 != 0)
        };
        let is_wanted = |kind, name| {
            if kind == Kind::Func {
                is_named(name)
            } else {
                has_arenas
            }
        };
        let first_equal = |id| merged.first_equal_of_base(id);
        Cow::Owned(Made::new(&self.btf, first_equal, is_wanted, |name| name))
    }
}

/// For a base that is not indexed, where equal offsets are equal names.
impl NameWords for Base {
    fn end(&self) -> u32 {
        self.end_string()
    }

    fn name(&self, word: u32) -> Name {
        let tail = self.btf.string_bytes().get(word as usize..);
        let tail = tail.unwrap_or_default();
        match *tail {
            [0, ..] => Name(0),
            [a, b, c, d, ..] if a != 0 && b != 0 && c != 0 && d != 0 => Name(word),
            _ => short_name(cut(tail)).unwrap_or(Name(word)),
        }
    }

    fn word(&self, name: Name) -> Option<u32> {
        match short_bytes(name) {
            None => (name.0 < self.end()).then_some(name.0),
            Some(short) => self.btf.find_string(cut(&short)).map(|found| found.0),
        }
    }
}

/// Where each own type starts.
fn starts(btf: &Btf) -> &[u32] {
    let starts = btf.starts();
    starts.split_last().map_or(starts, |(_, starts)| starts)
}

/// The outline, if all types can be understood and names are whole strings: that is so in the BTF of kernels.
fn outline(btf: &Btf) -> Option<Outline> {
    let strings = btf.string_bytes();
    let is_name = |offset: u32| {
        let offset = offset as usize;
        offset == 0 || strings.get(offset - 1) == Some(&0) && offset < strings.len()
    };
    let is_alone = btf.base().is_none();
    is_alone.then(|| Outline::of(btf.words(), starts(btf), is_name))?
}

impl Index {
    fn new(btf: &Btf) -> Result<Self> {
        let mut strings = Strings {
            btf,
            bounded: BoundedStrings::new(btf),
            names: vec![None; btf.end_string() as usize],
            ends: FastMap::default(),
        };
        let mut content = Fragment::default();
        for id in 1..btf.end_id() {
            let start = content.words.len();
            let (id, record) = (TypeId(id), btf.record(TypeId(id)).unwrap_or_default());
            content.push(record);
            strings
                .rename(&mut content.words[start..])
                .map_err(|error| error.in_type(id))?;
        }
        let types = dedup::Base::new(content);
        let first_equal = |id| types.first_equal(id);
        let canonical = |offset: StrOffset| {
            let name = strings.names.get(offset.0 as usize).copied().flatten();
            // Where the base has the string of one of its own names.
            match name.map(|name| (name, short_bytes(name))) {
                None | Some((Name(0), _)) => StrOffset::EMPTY,
                Some((name, None)) => StrOffset(name.0),
                Some((_, Some(short))) => btf.find_string(cut(&short)).unwrap_or_default(),
            }
        };
        let made = Made::new(btf, first_equal, |_, _| true, canonical);
        Ok(Self {
            types,
            ends: strings.ends,
            made,
        })
    }
}

/// Types of the base that the encoder may make beside the merge, as it would write them.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    by_words: HashTable<MadeType>,
    /// The words of all.
    words: Vec<u32>,
}

/// The first of equal types.
#[derive(Clone, Copy, Debug)]
struct MadeType {
    hash: u64,
    id: TypeId,
    /// Where its words begin, and how many they are.
    start: u32,
    len: u32,
}

impl Made {
    /// `first_equal` gives for a type the first that equals it, `void` if that is not known; `is_wanted` tells by kind and
    /// name which types are, tags apart; `canonical` gives the offset that stands for a string.
    fn new(
        btf: &Btf,
        first_equal: impl Fn(TypeId) -> TypeId,
        is_wanted: impl Fn(Kind, u32) -> bool,
        canonical: impl Fn(StrOffset) -> StrOffset,
    ) -> Self {
        let mut making = Making {
            made: Self {
                by_words: HashTable::new(),
                words: Vec::new(),
            },
            first_equal,
            canonical,
            found: FastMap::default(),
        };
        let mut tags = Vec::new();
        let mut chain: Vec<&Btf> = btf.chain().collect();
        chain.reverse();
        for part in chain {
            for (id, &start) in (part.first_id()..).zip(starts(part)) {
                let start = start as usize;
                let Some(&[name, info]) = part.words().get(start..start.saturating_add(2)) else {
                    continue;
                };
                let Some(kind) = made_kind(Info(info)) else {
                    continue;
                };
                let id = TypeId(id);
                if kind == Kind::DeclTag {
                    // Tags lead to functions, which may stand behind them.
                    tags.push(id);
                } else if is_wanted(kind, name) {
                    let first = making.first(id);
                    // Of the types that merges can have it is known what they equal, if that matters.
                    if first == id || kind == Kind::Func && first.is_void() {
                        making.add(id, btf.record(id).unwrap_or_default());
                    }
                }
            }
        }
        for id in tags {
            let first = making.first(id);
            if first == id || first.is_void() {
                making.add(id, btf.record(id).unwrap_or_default());
            }
        }
        making.made
    }

    fn find_hashed(&self, hash: u64, words: &[u32]) -> Option<TypeId> {
        let is_it = |made: &MadeType| {
            let start = made.start as usize;
            made.hash == hash && self.words[start..start + made.len as usize] == *words
        };
        self.by_words.find(hash, is_it).map(|made| made.id)
    }

    /// The type with these final ids and string offsets.
    pub(crate) fn find(&self, words: &[u32]) -> Option<TypeId> {
        self.find_hashed(hash(words), words)
    }
}

/// Collects what is [`Made`].
struct Making<FirstEqual, Canonical> {
    made: Made,
    first_equal: FirstEqual,
    canonical: Canonical,
    /// The first types that equal those which were added.
    found: FastMap<TypeId, TypeId>,
}

impl<FirstEqual, Canonical> Making<FirstEqual, Canonical>
where
    FirstEqual: Fn(TypeId) -> TypeId,
    Canonical: Fn(StrOffset) -> StrOffset,
{
    /// The first type that equals `id`, `void` if that is not known.
    fn first(&self, id: TypeId) -> TypeId {
        let found = self.found.get(&id).copied();
        found.unwrap_or_else(|| (self.first_equal)(id))
    }

    /// Adds a type, if it is known what its targets equal.
    fn add(&mut self, id: TypeId, record: &[u32]) {
        let mut words = record.to_vec();
        let mut is_known = true;
        let target = |target: TypeId| {
            let first = self.first(target);
            is_known &= target.is_void() || !first.is_void();
            Ok::<_, Infallible>(first)
        };
        let Ok(()) = rewrite_refs(&mut words, |name| Ok((self.canonical)(name)), target);
        if !is_known {
            return;
        }
        let made = &mut self.made;
        let hash = hash(&words);
        let same = made.find_hashed(hash, &words).unwrap_or_else(|| {
            let new = MadeType {
                hash,
                id,
                start: made.words.len() as u32,
                len: words.len() as u32,
            };
            made.words.extend_from_slice(&words);
            made.by_words.insert_unique(hash, new, |made| made.hash);
            id
        });
        self.found.insert(id, same);
    }
}

/// The kind, if the encoder may make a type of it beside the merge: functions, tags, and what arena pointers need.
#[inline]
fn made_kind(info: Info) -> Option<Kind> {
    const MADE: u32 = 1 << Kind::Func as u32
        | 1 << Kind::DeclTag as u32
        | 1 << Kind::TypeTag as u32
        | 1 << Kind::Ptr as u32
        | 1 << Kind::FuncProto as u32;
    let is_made = MADE >> (info.kind_number() % 32) & 1 != 0;
    info.kind().filter(|_| is_made)
}

fn hash(words: &[u32]) -> u64 {
    let mut hasher = MulHasher::default();
    for &word in words {
        hasher.write_u32(word);
    }
    hasher.finish()
}

/// The size of a pointer in bytes: on all machines of Linux that of `long`.
fn pointer_size_of(btf: &Btf) -> Option<u8> {
    let of = |name: &[u8]| {
        (1..btf.end_id()).find_map(|id| match btf.record(TypeId(id)) {
            Some(&[own, info, size, _])
                if Info(info).kind() == Some(Kind::Int) && btf.is_string(StrOffset(own), name) =>
            {
                u8::try_from(size).ok()
            }
            _ => None,
        })
    };
    of(b"long unsigned int").or_else(|| of(b"unsigned long"))
}

/// The strings of a base that is being read.
struct Strings<'b> {
    btf: &'b Btf,
    bounded: BoundedStrings<'b>,
    /// For each offset the name of the string that starts there, if it was asked for.
    names: Vec<Option<Name>>,
    ends: FastMap<Box<[u8]>, u32>,
}

impl Strings<'_> {
    /// Puts names in the place of string offsets, and checks that all types exist.
    fn rename(&mut self, record: &mut [u32]) -> Result<()> {
        let info = Info(record.get(1).copied().unwrap_or(0));
        if info.kind().is_none() {
            return Err(ErrorKind::UnknownKind(info.kind_number()).into());
        }
        let end = self.btf.end_id();
        let check = |id: TypeId| {
            let error = || ErrorKind::TypeIdOutOfRange(id).into();
            (id.0 < end).then_some(id).ok_or_else(error)
        };
        rewrite_refs(record, |offset| Ok(StrOffset(self.name(offset)?.0)), check)
    }

    /// The name of a string: the first offset of an equal one, unless it is short.
    fn name(&mut self, offset: StrOffset) -> Result<Name> {
        if let Some(&Some(name)) = self.names.get(offset.0 as usize) {
            return Ok(name);
        }
        let string = self.bounded.get(offset)?;
        let name = short_name(string).unwrap_or_else(|| {
            Name(match self.btf.find_string(string) {
                Some(whole) => whole.0,
                None => *self.ends.entry(string.into()).or_insert(offset.0),
            })
        });
        if let Some(known) = self.names.get_mut(offset.0 as usize) {
            *known = Some(name);
        }
        Ok(name)
    }
}
