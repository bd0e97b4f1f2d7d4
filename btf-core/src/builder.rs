//! Turns types into the bytes of BTF, of either byte order.
//!
//! Types get the ids in the order in which they are added, strings the offsets in the order of their first use. An id
//! may be used before its type is added, as recursive types need it; whether all ids exist in the end is `validate`'s
//! question. By default the output loads on every kernel: a header of 24 bytes and at most 65535 elements per type.
//!
//! Spec: Documentation/bpf/btf.rst, 2 "BTF Type and String Encoding".

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::pieces::for_each_mut;
use crate::reader::{Btf, Opened, OwnParts, Parts, SECTION};
use crate::strings::StringTable;
use crate::wire::{
    ByteOrder, HEADER_LEN, HEADER_LEN_LAYOUT, Header, Info, LayoutEntry, MAX_VLEN, MAX_VLEN_16,
};

/// The words of the shortest record.
const MIN_WORDS: usize = 3;

/// The largest bit offset of a member in a structure with bitfields, which leaves 24 bits for it.
const MAX_BITFIELD_OFFSET: u32 = 0x00ff_ffff;

/// BTF that is being built.
///
/// Each kind has a method that adds a type of it and returns its id. As errors they return what
/// [`Builder::add_string`] and [`Builder::push_record`] do, [`ErrorKind::TooLarge`] for a number that does not fit its
/// field, and [`ErrorKind::Invalid`] for a kind that is not one of those named.
///
/// ```
/// use btf_core::{Btf, Builder, ByteOrder, builder::WriteOptions, wire::int};
///
/// let mut builder = Builder::new();
/// let int = builder.int(b"int", 4, int::SIGNED)?;
/// let ptr = builder.ptr(int)?;
/// let bytes = builder.write(ByteOrder::Big, WriteOptions::default())?;
/// let btf = Btf::parse(&bytes, None)?;
/// assert_eq!(btf.find_by_name(b"int").collect::<Vec<_>>(), [int]);
/// assert_eq!(btf.end_id(), ptr.0 + 1);
/// # Ok::<(), btf_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    base: Option<Arc<Btf>>,
    first_id: u32,
    strings: StringTable,
    words: Vec<u32>,
    starts: Vec<u32>,
    /// The layout of the BTF this one goes on with, which may describe kinds that are not known here.
    layout: Option<Vec<LayoutEntry>>,
}

/// What the output may use; the default is what every kernel accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Write the layout section (about Linux 7.1 and later).
    pub layout: bool,
    /// Allow more than 65535 elements in a type (Linux 7.2 and later).
    pub wide_vlen: bool,
}

/// A member for [`Builder::composite`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberSpec<'a> {
    /// Its name; empty if it has none.
    pub name: &'a [u8],
    /// Its type.
    pub ty: TypeId,
    /// Where it starts, in bits from the start of the structure.
    pub bit_offset: u32,
    /// The number of bits of a bitfield, else 0.
    pub bitfield_size: u8,
}

/// The size of records that are added together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartSize {
    /// How many records there are.
    pub types: usize,
    /// How many words they have in all.
    pub words: usize,
}

/// The room for records that are added together.
struct Part<'r> {
    index: usize,
    first_id: TypeId,
    /// Where `words` begins among the words of all.
    start: usize,
    starts: &'r mut [u32],
    words: &'r mut [u32],
}

impl Part<'_> {
    /// Puts the records there, and finds where each begins.
    fn fill(&mut self, fill: &impl Fn(usize, &mut [u32]) -> Result<()>) -> Result<()> {
        fill(self.index, self.words)?;
        let (mut start, mut rest) = (self.start, &*self.words);
        let mut id = self.first_id;
        for own_start in &mut *self.starts {
            let wrong_length = || wrong_length(rest.len(), id);
            if rest.len() < MIN_WORDS {
                return Err(wrong_length());
            }
            let len = record_len(rest, id)?;
            rest = rest.get(len..).ok_or_else(wrong_length)?;
            // They fit: see `check_room`.
            *own_start = u32::try_from(start).unwrap_or(u32::MAX);
            start += len;
            id.0 += 1;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(wrong_length(rest.len(), id))
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A builder of BTF that stands alone.
    #[must_use]
    pub fn new() -> Self {
        Self {
            base: None,
            first_id: 1,
            strings: StringTable::new(),
            words: Vec::new(),
            starts: Vec::new(),
            layout: None,
        }
    }

    /// A builder of split BTF, whose ids and strings continue those of `base`.
    #[must_use]
    pub fn with_base(base: Arc<Btf>) -> Self {
        Self {
            first_id: base.end_id(),
            strings: StringTable::with_base(Arc::clone(&base)),
            base: Some(base),
            ..Self::new()
        }
    }

    /// A builder that goes on with all of `btf`: its types, strings, base and layout.
    #[must_use]
    pub fn from_btf(btf: &Btf) -> Self {
        let (_, starts) = btf.starts().split_last().unwrap_or((&0, &[]));
        Self {
            base: btf.base().cloned(),
            first_id: btf.first_id(),
            strings: StringTable::of(btf),
            words: btf.words().to_vec(),
            starts: starts.to_vec(),
            layout: btf.layout().map(<[_]>::to_vec),
        }
    }

    /// As [`Builder::from_btf`], of BTF that nobody else needs, which saves copying it.
    #[must_use]
    pub fn from_owned(btf: Btf) -> Self {
        let first_id = btf.first_id();
        let OwnParts {
            base,
            words,
            mut starts,
            strings,
            layout,
        } = btf.into_own_parts();
        starts.pop();
        Self {
            strings: StringTable::from_bytes(strings, base.clone()),
            base,
            first_id,
            words,
            starts,
            layout,
        }
    }

    /// A builder that goes on with the strings, base and layout of `btf`, but has none of its types yet.
    #[must_use]
    pub fn without_types_of(btf: &Btf) -> Self {
        Self {
            words: Vec::new(),
            starts: Vec::new(),
            ..Self::from_btf(btf)
        }
    }

    /// Makes room for so many more strings, of about `bytes` in all.
    pub fn reserve_strings(&mut self, strings: usize, bytes: usize) {
        self.strings.reserve(strings, bytes);
    }

    /// The offset of `string`, which is stored if neither this BTF nor its base has it.
    ///
    /// # Errors
    /// What [`StringTable::add`] returns.
    pub fn add_string(&mut self, string: &[u8]) -> Result<StrOffset> {
        self.strings.add(string)
    }

    /// As [`Builder::add_string`], of a string that neither this BTF nor its base has, which saves looking for it.
    ///
    /// # Errors
    /// What [`StringTable::add_new`] returns.
    pub fn add_new_string(&mut self, string: &[u8]) -> Result<StrOffset> {
        self.strings.add_new(string)
    }

    /// As [`Builder::add_string`], of strings that neither this BTF nor its base has, of `len` bytes with a NUL behind each: `fill`
    /// writes them, one behind the other, over as many zeros.
    ///
    /// # Errors
    /// What [`StringTable::add_new_all`] returns.
    pub fn add_new_strings(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<()> {
        self.strings.add_new_all(len, fill)
    }

    /// The strings so far.
    #[must_use]
    pub fn strings(&self) -> &StringTable {
        &self.strings
    }

    /// The id that the next type gets.
    ///
    /// It stays in range: a type needs twelve bytes, so memory ends before the ids do.
    #[must_use]
    pub fn next_id(&self) -> TypeId {
        let count = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        TypeId(self.first_id.saturating_add(count))
    }

    /// Adds a whole record with final ids and string offsets, and returns its id.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownKind`]; [`ErrorKind::Invalid`] if the record's length does not belong to its kind and
    /// `vlen`; [`ErrorKind::TooLarge`] if the types no longer fit 32 bits.
    pub fn push_record(&mut self, words: &[u32]) -> Result<TypeId> {
        let id = self.next_id();
        self.check_room(words.len())?;
        let len = record_len(words, id)?;
        if len != words.len() {
            return Err(wrong_length(words.len(), id));
        }
        // It fits: see `check_room`.
        self.starts
            .push(u32::try_from(self.words.len()).unwrap_or(u32::MAX));
        self.words.extend_from_slice(words);
        Ok(id)
    }

    /// Adds records as [`Builder::push_record`] does, part by part, on the threads of rayon's current pool: `fill` is given the index of
    /// a part and as many zeros as that has words, and puts its records there, one behind the other.
    ///
    /// # Errors
    /// Those of [`Builder::push_record`], and those of `fill`; no record is added then.
    pub fn push_parts(
        &mut self,
        parts: &[PartSize],
        fill: impl Fn(usize, &mut [u32]) -> Result<()> + Send + Sync,
    ) -> Result<()> {
        let (mut types, mut words) = (0, 0_usize);
        for part in parts {
            if part.types > part.words / MIN_WORDS {
                return Err(wrong_length(part.words, self.next_id()));
            }
            words = words.saturating_add(part.words);
            types = part.types.saturating_add(types);
        }
        self.check_room(words)?;
        let (old_types, old_words) = (self.starts.len(), self.words.len());
        let mut first_id = self.next_id();
        self.starts.resize(old_types + types, 0);
        if old_words == 0 {
            // Nobody has to write these zeros.
            self.words = vec![0; words];
        } else {
            self.words.resize(old_words + words, 0);
        }
        let mut rest = (&mut self.starts[old_types..], &mut self.words[old_words..]);
        let mut start = old_words;
        let mut rooms: Vec<(Part<'_>, Result<()>)> = Vec::with_capacity(parts.len());
        for (index, size) in parts.iter().enumerate() {
            let (starts, starts_behind) = rest.0.split_at_mut(size.types);
            let (words, words_behind) = rest.1.split_at_mut(size.words);
            rest = (starts_behind, words_behind);
            let part = Part {
                index,
                first_id,
                start,
                starts,
                words,
            };
            rooms.push((part, Ok(())));
            start += size.words;
            first_id.0 += u32::try_from(size.types).unwrap_or(u32::MAX);
        }
        for_each_mut(&mut rooms, |(part, done)| *done = part.fill(&fill));
        let done = rooms.into_iter().try_for_each(|(_, done)| done);
        if done.is_err() {
            self.starts.truncate(old_types);
            self.words.truncate(old_words);
        }
        done
    }

    /// Checks that so many more words fit 32 bits, in bytes and in ids; each type takes three words at least.
    fn check_room(&self, words: usize) -> Result<()> {
        let end = (self.words.len() as u64).saturating_add(words as u64);
        let end = end.saturating_mul(4);
        let end_id = u64::from(self.next_id().0) + (words / MIN_WORDS) as u64;
        if end.max(end_id) > u32::MAX.into() {
            return Err(Error::new(too_large("type section in bytes", end)).in_type(self.next_id()));
        }
        Ok(())
    }

    /// Adds a record whose elements follow as words.
    fn push(
        &mut self,
        kind: Kind,
        kind_flag: bool,
        vlen: usize,
        name: StrOffset,
        third: u32,
        rest: &[u32],
    ) -> Result<TypeId> {
        let vlen = match u32::try_from(vlen) {
            Ok(vlen) if vlen <= MAX_VLEN => vlen,
            _ => {
                let kind = ErrorKind::TooLarge {
                    what: "number of elements",
                    value: vlen as u64,
                    limit: MAX_VLEN.into(),
                };
                return Err(Error::new(kind).in_type(self.next_id()));
            }
        };
        let mut record = Vec::with_capacity(3 + rest.len());
        record.extend([name.0, Info::new(kind, vlen, kind_flag).0, third]);
        record.extend_from_slice(rest);
        self.push_record(&record)
    }

    /// The header and the sections, in the order types, layout, strings.
    fn header(&self, layout_len: usize, has_layout: bool) -> Result<Header> {
        let fits = |value: usize| {
            u32::try_from(value).map_err(|_| too_large("BTF in bytes", value as u64))
        };
        let type_len = fits(self.words.len().saturating_mul(4))?;
        let layout_len = fits(layout_len)?;
        let str_len = fits(self.strings.bytes().len())?;
        let total = u64::from(type_len) + u64::from(layout_len) + u64::from(str_len);
        if total > u64::from(u32::MAX) {
            return Err(too_large("BTF in bytes", total).into());
        }
        Ok(Header {
            hdr_len: if has_layout {
                HEADER_LEN_LAYOUT
            } else {
                HEADER_LEN
            },
            type_off: 0,
            type_len,
            str_off: type_len + layout_len,
            str_len,
            layout_off: if has_layout { type_len } else { 0 },
            layout_len,
        })
    }

    /// The entries of the layout section: those of the known kinds, then what the original said about others.
    fn layout_entries(&self) -> Vec<LayoutEntry> {
        let mut entries = LayoutEntry::known();
        let others = self.layout.iter().flatten().skip(entries.len());
        entries.extend(others);
        entries
    }

    /// Writes the BTF.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if a type has more elements than the options allow or the sections do not fit 32 bits;
    /// [`ErrorKind::UnknownKind`] if a type is of a kind that only a layout section can describe, and none is wanted.
    pub fn write(&self, order: ByteOrder, options: WriteOptions) -> Result<Vec<u8>> {
        Ok(self.blob(order, options)?.to_vec())
    }

    /// Checks each record's header against the options.
    fn check_records(&self, options: WriteOptions) -> Result<()> {
        for (index, &start) in self.starts.iter().enumerate() {
            let info = self.words.get(start as usize + 1).copied();
            let info = Info(info.unwrap_or(0));
            let error = match info.kind() {
                None if !options.layout => ErrorKind::UnknownKind(info.kind_number()),
                _ if info.vlen() > MAX_VLEN_16 && !options.wide_vlen => ErrorKind::TooLarge {
                    what: "number of elements",
                    value: info.vlen().into(),
                    limit: MAX_VLEN_16.into(),
                },
                _ => continue,
            };
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let id = TypeId(self.first_id.saturating_add(index));
            let offset = u64::from(HEADER_LEN) + 4 * u64::from(start);
            return Err(Error::new(error).at(SECTION, offset).in_type(id));
        }
        Ok(())
    }

    /// Ends the building without writing bytes.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the sections do not fit 32 bits.
    pub fn finish(self) -> Result<Btf> {
        let header = self.header(0, false)?;
        let mut starts = self.starts;
        // The header holds four times as much.
        starts.push(header.type_len / 4);
        let opened = Opened::new(Parts {
            order: ByteOrder::NATIVE,
            header,
            blob_len: u64::from(header.hdr_len)
                + u64::from(header.str_off)
                + u64::from(header.str_len),
            base: self.base,
            words: self.words,
            strings: self.strings.into_bytes(),
            layout: self.layout,
        })?;
        opened.with_starts(starts)
    }
}

/// The length in words of the record that starts with `words`, by its kind and `vlen`.
fn record_len(words: &[u32], id: TypeId) -> Result<usize> {
    let info = Info(words.get(1).copied().unwrap_or(0));
    match info.kind() {
        Some(kind) => Ok(kind.record_words(info.vlen())),
        None => Err(Error::new(ErrorKind::UnknownKind(info.kind_number())).in_type(id)),
    }
}

/// A record of another length than its kind and `vlen` say.
fn wrong_length(len: usize, id: TypeId) -> Error {
    let (what, value) = ("record length in words", len as u64);
    Error::new(ErrorKind::Invalid { what, value }).in_type(id)
}

/// A size that does not fit 32 bits.
fn too_large(what: &'static str, value: u64) -> ErrorKind {
    ErrorKind::TooLarge {
        what,
        value,
        limit: u32::MAX.into(),
    }
}

mod blob;
mod kinds;

pub use blob::Blob;

#[cfg(test)]
mod tests;
