//! The base of split BTF: the kernel's BTF, which that of its modules continues. Read once and shared by all.
//!
//! A module's BTF counts its ids and string offsets on from the base's and refers into it, so what the base has is not
//! written again: strings, types, functions and their tags. If there are many modules, all of the base is indexed
//! ([`Base::indexed`]); a single one takes the part that it needs ([`Unread`]), with the same result if no two strings of the
//! base are equal. Its types are then read while the module's DWARF is, which needs no more of the base than names.
//!
//! Spec: Documentation/bpf/btf.rst, 1 "Introduction" and 4.2 "`.BTF` sections of modules".

mod made;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use btf_core::dedup::{
    self, FastMap, Fragment, Gathered, Merged, Merger, Name, NameWords, Outline, Reload, Unread,
};
use btf_core::elf::{Loaded, kernel_release, module_release};
use btf_core::overlap::BoundedStrings;
use btf_core::reader::Opened;
use btf_core::strings::{StringSection, string_at};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, ByteOrder, Error, ErrorKind, Info, Kind, Result, StrOffset, TypeId};

use crate::flat_arrays;
use crate::input::Image;
use crate::names::{cut, short_bytes, short_name};
use crate::options::Options;
pub(crate) use made::Made;

/// BTF that is continued.
#[derive(Debug)]
pub struct Base {
    /// Its own strings.
    strings: Arc<StringSection>,
    order: ByteOrder,
    /// By the class of the file, if that is ELF.
    pointer_size: Option<u8>,
    /// The release of the kernel, if the file tells it.
    release: Option<String>,
    /// What `btf` is read from, if that was not done at once.
    opened: Option<Opened>,
    btf: OnceLock<Result<Arc<Btf>, Arc<Error>>>,
    has_flat_arrays: OnceLock<bool>,
    /// What a merge needs that takes a part of the types, if they are plain: see [`outline`].
    outline: OnceLock<Option<Outline>>,
    /// What is known of all types and strings, if several modules need it, the base is not plain, or strings turn out to be
    /// equal: see [`Base::find_names`].
    index: OnceLock<Box<Index>>,
}

/// The names that a base has for some strings.
#[derive(Debug)]
pub(crate) struct FoundNames {
    pub(crate) names: Vec<Option<Name>>,
    /// Whether they were found by the index, so that a string has the name of the first equal one and the ends of others have names;
    /// else they are those of whole strings, none of which is there twice.
    pub(crate) are_by_index: bool,
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
        let loaded = btf_core::elf::load(bytes, None)?;
        check_is_no_module(&loaded)?;
        let release = kernel_release(bytes)?.map(str::to_owned);
        let base = Self::new(Arc::new(loaded.btf), loaded.pointer_size)?;
        Ok(Self { release, ..base })
    }

    /// As [`Base::parse`], of bytes that stay where they are, which saves copying them. They may change meanwhile, as those
    /// of a mapped file can: then what is made with this base is of no use, but that is all.
    ///
    /// Its types are read when they are needed.
    ///
    /// # Errors
    /// Those of [`btf_core::elf::open_static`]; [`ErrorKind::Unsupported`] if the file is itself a module.
    pub fn open_static(bytes: &'static [u8]) -> Result<Self> {
        let loaded = btf_core::elf::open_static(bytes, None)?;
        check_is_no_module(&loaded)?;
        Ok(Self {
            strings: Arc::clone(loaded.btf.strings()),
            order: loaded.btf.byte_order(),
            pointer_size: loaded.pointer_size,
            release: kernel_release(bytes)?.map(str::to_owned),
            opened: Some(loaded.btf),
            btf: OnceLock::new(),
            has_flat_arrays: OnceLock::new(),
            outline: OnceLock::new(),
            index: OnceLock::new(),
        })
    }

    /// Takes BTF, with all that it continues itself; `pointer_size` is in bytes, if it is known.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`], [`ErrorKind::StringOutOfRange`] or [`ErrorKind::UnknownKind`] for a type that
    /// cannot be understood; [`ErrorKind::Invalid`] if names overlap out of all proportion.
    pub fn new(btf: Arc<Btf>, pointer_size: Option<u8>) -> Result<Self> {
        let outline = outline(&btf);
        let index = match outline {
            Some(_) => OnceLock::new(),
            None => OnceLock::from(Box::new(Index::new(&btf)?)),
        };
        Ok(Self {
            strings: Arc::clone(btf.strings()),
            order: btf.byte_order(),
            pointer_size,
            release: None,
            opened: None,
            btf: OnceLock::from(Ok(btf)),
            has_flat_arrays: OnceLock::new(),
            outline: OnceLock::from(outline),
            index,
        })
    }

    /// Indexes all of it, so that each module which continues it costs less: it pays for more than three.
    ///
    /// # Errors
    /// Those of [`Base::new`], as the cause of [`ErrorKind::UnusableBase`].
    pub fn indexed(self) -> Result<Self> {
        self.make_index()?;
        Ok(self)
    }

    /// Finds out all that is asked for later, while other threads may ask for names.
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`] if the types cannot be read.
    pub(crate) fn read_types(&self) -> Result<()> {
        self.has_flat_arrays()?;
        self.outline().map(drop)
    }

    /// Whether names that were found as [`FoundNames`] tells are right: those of a base that turns out not to be plain are found
    /// by the index, which is there from then on.
    ///
    /// # Errors
    /// Those of [`Base::read_types`].
    pub(crate) fn are_right(&self, are_by_index: bool) -> Result<bool> {
        let are_right = are_by_index || self.outline()?.is_some();
        if !are_right {
            self.make_index()?;
        }
        Ok(are_right)
    }

    fn make_index(&self) -> Result<()> {
        if self.index.get().is_none() {
            let index = Index::new(self.btf()?).map_err(unusable)?;
            // Whoever was faster has the same one.
            let _ = self.index.set(Box::new(index));
        }
        Ok(())
    }

    /// The BTF, which is read if it has not been. No other thread is asked for help here and in what else is found out only once:
    /// it might wait for the answer itself.
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`] if it cannot be read.
    pub fn btf(&self) -> Result<&Arc<Btf>> {
        let read = || {
            // Words that are borrowed are not copied.
            let btf = self.opened.clone().map(Opened::read).transpose()?;
            let missing = || Error::new(ErrorKind::Malformed("types of the base"));
            Ok(Arc::new(btf.ok_or_else(missing)?))
        };
        let btf = self.btf.get_or_init(|| read().map_err(Arc::new));
        btf.as_ref().map_err(|error| unusable(Arc::clone(error)))
    }

    fn outline(&self) -> Result<Option<&Outline>> {
        let btf = self.btf()?;
        Ok(self.outline.get_or_init(|| outline(btf)).as_ref())
    }

    /// Whether it has arrays of several dimensions as arrays of one: see [`flat_arrays`].
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`] if the types cannot be read.
    pub(crate) fn has_flat_arrays(&self) -> Result<bool> {
        let btf = self.btf()?;
        Ok(*self
            .has_flat_arrays
            .get_or_init(|| flat_arrays::are_in(btf)))
    }

    /// The BTF in memory of its own, for what is not made for BTF that may change.
    pub(crate) fn unborrowed(&self) -> Result<Arc<Btf>> {
        let btf = self.btf()?;
        if btf.is_borrowed() {
            Ok(Arc::new(btf.copied()?))
        } else {
            Ok(Arc::clone(btf))
        }
    }

    /// A merge that continues it, for [`Base::merge`] to finish. It is of names that were found as [`FoundNames`] tells.
    pub(crate) fn merger(&self, are_by_index: bool) -> Merger<'_> {
        match self.index.get() {
            Some(index) if are_by_index => Merger::with_base(&index.types),
            _ => Merger::with_unread(),
        }
    }

    /// Finishes a merge that continues it.
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`] if the types cannot be read.
    pub(crate) fn merge(
        &self,
        merger: Merger<'_>,
        gathered: Vec<Gathered>,
        reload: Reload<'_>,
    ) -> Result<Merged> {
        let btf = self.btf()?;
        Ok(match self.outline()? {
            Some(outline) if merger.is_unread() => {
                let base = Unread {
                    words: btf.words(),
                    starts: starts(btf),
                    outline,
                    names: self,
                };
                merger.finish_unread(base, gathered, reload)
            }
            _ => merger.finish(gathered, reload),
        })
    }

    /// One past the last string offset; names of the base are below.
    pub(crate) fn end_string(&self) -> u32 {
        self.strings.end()
    }

    /// Checks that BTF of `image` can continue this one, as far as that can be seen.
    ///
    /// # Errors
    /// [`ErrorKind::Base`].
    pub(crate) fn check(&self, image: &Image<'_>, options: &Options) -> Result<()> {
        let (own, order) = (self.order, options.order.unwrap_or(image.order));
        if own != order {
            let text = format!("its byte order is {own:?}, the output's {order:?}");
            return Err(ErrorKind::Base(text).into());
        }
        check_pointer_size(self.pointer_size, image)?;
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

    /// As [`Base::check`], of what its types tell.
    ///
    /// # Errors
    /// Those of [`Base::check`], and [`ErrorKind::UnusableBase`] if the types cannot be read.
    pub(crate) fn check_types(&self, image: &Image<'_>) -> Result<()> {
        match self.pointer_size {
            // That was seen before.
            Some(_) => Ok(()),
            None => check_pointer_size(pointer_size_of(self.btf()?), image),
        }
    }

    /// The name of a string of more than three bytes.
    pub(crate) fn find_name(&self, string: &[u8]) -> Option<Name> {
        self.name_of(self.find_string(string), string)
    }

    /// Where a string stands as a whole.
    fn find_string(&self, string: &[u8]) -> Option<StrOffset> {
        match self.split() {
            Some(btf) => btf.find_string(string),
            None => self.strings.find(string),
        }
    }

    /// The BTF, if it continues other BTF, so that not all strings are its own. Such BTF is never read late.
    fn split(&self) -> Option<&Btf> {
        let btf = self.btf.get()?.as_ref().ok()?;
        btf.base().is_some().then_some(btf)
    }

    /// The names of strings of more than three bytes, no two of which are equal.
    ///
    /// This comes before all other questions: if it finds one of them in the base twice, that is indexed now. In the BTF of
    /// kernels no two strings are equal.
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`], caused by those of [`Base::new`].
    pub(crate) fn find_names(&self, strings: &[&[u8]]) -> Result<FoundNames> {
        if self.index.get().is_none() {
            if let Some(found) = self.strings.scan(strings) {
                let name = |found: Option<StrOffset>| found.map(|offset| Name(offset.0));
                return Ok(FoundNames {
                    names: found.into_iter().map(name).collect(),
                    are_by_index: false,
                });
            }
            self.make_index()?;
        }
        let found = self.btf()?.find_strings(strings).into_iter().zip(strings);
        let names = found.map(|(found, string)| self.name_of(found, string));
        Ok(FoundNames {
            names: names.collect(),
            are_by_index: true,
        })
    }

    /// The name of a string that was `found`, or else is only the end of others.
    fn name_of(&self, found: Option<StrOffset>, string: &[u8]) -> Option<Name> {
        let end = || self.index.get()?.ends.get(string).copied();
        found.map(|offset| offset.0).or_else(end).map(Name)
    }

    /// The string of a name that is not short.
    pub(crate) fn string(&self, name: Name) -> &[u8] {
        let offset = StrOffset(name.0);
        match self.split() {
            Some(btf) => btf.string(offset).unwrap_or_default(),
            None => string_at(self.strings.bytes(), name.0 as usize).unwrap_or_default(),
        }
    }

    /// The types that the encoder may make beside the merge, as far as the base has what they refer to: functions of these
    /// names, tags, and if there are arenas what pointers into them need.
    ///
    /// # Errors
    /// [`ErrorKind::UnusableBase`] if the types cannot be read.
    pub(crate) fn made<'n>(
        &self,
        merged: &Merged,
        functions: impl Iterator<Item = &'n [u8]>,
        has_arenas: bool,
    ) -> Result<Cow<'_, Made>> {
        if let Some(index) = self.index.get() {
            return Ok(Cow::Borrowed(&index.made));
        }
        let mut names = vec![0_u64; self.end_string() as usize / 64 + 1];
        for StrOffset(offset) in functions.filter_map(|name| self.find_string(name)) {
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
        let made = Made::new(self.btf()?, first_equal, is_wanted, |name| name);
        Ok(Cow::Owned(made))
    }
}

/// Refuses what continues a base of its own.
fn check_is_no_module<B>(loaded: &Loaded<B>) -> Result<()> {
    if loaded.has_own_base {
        let what = "a base with a `.BTF.base` of its own: it is a module";
        return Err(ErrorKind::Unsupported(what.into()).into());
    }
    Ok(())
}

/// Refuses a base of pointers of another size, in bytes, if that is known.
fn check_pointer_size(own: Option<u8>, image: &Image<'_>) -> Result<()> {
    let size = if image.is_64 { 8 } else { 4 };
    match own {
        Some(own) if own != size => {
            let text = format!("its pointers have {own} bytes, the input's {size}");
            Err(ErrorKind::Base(text).into())
        }
        _ => Ok(()),
    }
}

fn unusable(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::UnusableBase).caused_by(cause)
}

/// For a base that is not indexed, where equal offsets are equal names.
impl NameWords for Base {
    fn end(&self) -> u32 {
        self.end_string()
    }

    fn name(&self, word: u32) -> Name {
        let tail = self.strings.bytes().get(word as usize..);
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
            Some(short) => self.strings.find(cut(&short)).map(|found| found.0),
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
