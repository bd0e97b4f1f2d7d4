//! The base of split BTF: the kernel's BTF, which that of its modules continues. Read and indexed once, shared by all.
//!
//! A module's BTF counts its ids and string offsets on from the base's and refers into it, so what the base has is not
//! written again: strings, types ([`btf_core::dedup::Base`]), functions and their tags.
//!
//! Spec: Documentation/bpf/btf.rst, 1 "Introduction" and 4.2 "`.BTF` sections of modules".
#![expect(
    clippy::cast_possible_truncation,
    reason = "only the lower half of a hash is needed to place it"
)]

use std::convert::Infallible;
use std::hash::Hasher;
use std::sync::Arc;

use btf_core::dedup::{self, FastMap, Fragment, MulHasher, Name};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, ErrorKind, Info, Kind, Result, StrOffset, TypeId};
use hashbrown::HashTable;

use crate::input::Image;
use crate::names::{cut, short_bytes, short_name};
use crate::options::Options;

/// BTF that is continued.
#[derive(Debug)]
pub struct Base {
    btf: Arc<Btf>,
    pointer_size: Option<u8>,
    types: dedup::Base,
    /// The offsets that stand for strings which only are ends of others, by content.
    ends: FastMap<Box<[u8]>, u32>,
    /// Types that the encoder makes itself, by their words.
    made: HashTable<(u64, TypeId)>,
}

impl Base {
    /// Reads the base from an ELF file with `.BTF`, or from the BTF itself; the first bytes tell which.
    ///
    /// # Errors
    /// Those of [`btf_core::elf::load`]; [`ErrorKind::Unsupported`] if the file is itself a module; those of [`Base::new`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let loaded = btf_core::elf::load(bytes, None)?;
        if loaded.has_own_base {
            let what = "a base with a `.BTF.base` of its own: it is a module";
            return Err(ErrorKind::Unsupported(what.into()).into());
        }
        Self::new(Arc::new(loaded.btf), loaded.pointer_size)
    }

    /// Indexes BTF, with all that it continues itself; `pointer_size` is in bytes, if it is known.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`], [`ErrorKind::StringOutOfRange`] or [`ErrorKind::UnknownKind`] for a type that
    /// cannot be understood.
    pub fn new(btf: Arc<Btf>, pointer_size: Option<u8>) -> Result<Self> {
        let mut strings = Strings {
            btf: &btf,
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
        let ends = strings.ends;
        let pointer_size = pointer_size.or_else(|| pointer_size_of(&btf));
        let mut base = Self {
            types: dedup::Base::new(content),
            btf,
            pointer_size,
            ends,
            made: HashTable::new(),
        };
        base.index_made();
        Ok(base)
    }

    /// The BTF.
    #[must_use]
    pub fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// The types, for merges.
    pub(crate) fn types(&self) -> &dedup::Base {
        &self.types
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
        match self.pointer_size {
            Some(own) if own != size => {
                let text = format!("its pointers have {own} bytes, the input's {size}");
                Err(ErrorKind::Base(text).into())
            }
            _ => Ok(()),
        }
    }

    /// The name of a string of more than three bytes.
    pub(crate) fn find_name(&self, string: &[u8]) -> Option<Name> {
        let found = self.btf.find_string(string).map(|offset| offset.0);
        let end = || self.ends.get(string).copied();
        found.or_else(end).map(Name)
    }

    /// The string of a name that is not short.
    pub(crate) fn string(&self, name: Name) -> &[u8] {
        self.btf.string(StrOffset(name.0)).unwrap_or_default()
    }

    /// The type with these final ids and string offsets, if it is of a kind that the encoder makes beside the merge.
    pub(crate) fn find_made(&self, words: &[u32]) -> Option<TypeId> {
        let hash = hash(words);
        let is_it = |&(other, id): &(u64, TypeId)| other == hash && self.final_words(id) == words;
        self.made.find(hash, is_it).map(|&(_, id)| id)
    }

    fn index_made(&mut self) {
        for id in 1..=self.types.len() as u32 {
            let id = TypeId(id);
            let is_made = self.types.content().record(id).is_some_and(is_made);
            if is_made && self.types.first_equal(id) == id {
                let hash = hash(&self.final_words(id));
                self.made.insert_unique(hash, (hash, id), |&(hash, _)| hash);
            }
        }
    }

    /// The words of a type as the encoder would write them: of equal types and strings the first.
    fn final_words(&self, id: TypeId) -> Vec<u32> {
        let record = self.types.content().record(id).unwrap_or_default();
        let mut words = record.to_vec();
        let first_equal = |id| Ok::<_, Infallible>(self.types.first_equal(id));
        let Ok(()) = rewrite_refs(
            &mut words,
            |name| Ok(self.offset(Name(name.0))),
            first_equal,
        );
        words
    }

    /// Where the base has the string of one of its own names.
    fn offset(&self, name: Name) -> StrOffset {
        match short_bytes(name) {
            None => StrOffset(name.0),
            Some(short) => self.btf.find_string(cut(&short)).unwrap_or_default(),
        }
    }
}

/// Whether the encoder may make a type of this kind beside the merge: functions, tags, and what arena pointers need.
fn is_made(record: &[u32]) -> bool {
    let kind = record.get(1).and_then(|&info| Info(info).kind());
    matches!(
        kind,
        Some(Kind::Func | Kind::DeclTag | Kind::TypeTag | Kind::Ptr | Kind::FuncProto)
    )
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
        let mut named = btf.find_by_name(name);
        named.find_map(|id| match btf.record(id) {
            Some(&[_, info, size, _]) if Info(info).kind() == Some(Kind::Int) => {
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
        let string = self.btf.string(offset)?;
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
