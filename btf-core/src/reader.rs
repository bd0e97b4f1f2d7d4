//! Turns the bytes of BTF into a checked index.
//!
//! Every field of the type section is a 32-bit word, so the section is converted to native words once, and one more
//! list tells where each type starts: two allocations, none per type. From there on the byte order is forgotten. Bytes
//! that stay to the end of the process need not even be copied, if they are words of the machine as they stand.
//!
//! The reader is strict about what everything else relies on: sections inside the blob that do not overlap, records
//! that fill the type section exactly, strings that end. Whether ids, names and values make sense is `validate`'s
//! question, because an answer needs all types; lookups return an error for an id or a name that does not exist.
//!
//! Spec: Documentation/bpf/btf.rst, 2 "BTF Type and String Encoding"; include/uapi/linux/btf.h of Linux 7.2.
#![deny(clippy::indexing_slicing)]

mod check;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::error::{ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
use crate::names::{NameIndex, first_unsorted, has_name};
use crate::strings::{StringSection, string_at, string_start};
use crate::types::Type;
use crate::wire::{ByteOrder, Header, Info, LayoutEntry};
use check::{check_sections, check_strings, find_records, fits, section};

/// The section's name in errors.
pub(crate) const SECTION: &str = ".BTF";

/// BTF that has been read: its own types and strings, and the base that they continue.
#[derive(Debug)]
pub struct Btf {
    order: ByteOrder,
    header: Header,
    blob_len: u64,
    base: Option<Arc<Btf>>,
    first_id: u32,
    end_id: u32,
    words: Cow<'static, [u32]>,
    starts: Vec<u32>,
    strings: Arc<StringSection>,
    layout: Option<Vec<LayoutEntry>>,
    names: OnceLock<NameIndex>,
}

/// BTF whose sections are found and whose strings are known, but not its types: for whoever has work with the names while
/// another thread reads the types.
#[derive(Clone, Debug)]
pub struct Opened(Parts<Cow<'static, [u32]>, Arc<StringSection>>);

/// What a [`Btf`] is made of, before it is checked.
#[derive(Clone, Debug)]
pub(crate) struct Parts<Words = Vec<u32>, Strings = Vec<u8>> {
    pub(crate) order: ByteOrder,
    pub(crate) header: Header,
    pub(crate) blob_len: u64,
    pub(crate) base: Option<Arc<Btf>>,
    pub(crate) words: Words,
    pub(crate) strings: Strings,
    pub(crate) layout: Option<Vec<LayoutEntry>>,
}

impl<Words, Strings> Parts<Words, Strings> {
    fn map<W, S>(
        self,
        words: impl FnOnce(Words) -> W,
        strings: impl FnOnce(Strings) -> S,
    ) -> Parts<W, S> {
        Parts {
            order: self.order,
            header: self.header,
            blob_len: self.blob_len,
            base: self.base,
            words: words(self.words),
            strings: strings(self.strings),
            layout: self.layout,
        }
    }
}

/// Finds the sections of a blob.
fn split(bytes: &[u8], base: Option<Arc<Btf>>) -> Result<Parts<&[u8], &[u8]>> {
    let (order, header) = Header::parse(bytes).map_err(|error| error.at(SECTION, 0))?;
    check_sections(&header)?;
    let section = |off, len| section(bytes, &header, off, len);
    // Of a blob that is cut off its types and strings are what somebody misses.
    let words = section(header.type_off, header.type_len)?;
    let strings = section(header.str_off, header.str_len)?;
    let layout = section(header.layout_off, header.layout_len)?;
    let (entries, _) = layout.as_chunks::<4>();
    let entry = |&entry| LayoutEntry::parse(order, entry);
    Ok(Parts {
        order,
        header,
        blob_len: bytes.len() as u64,
        base,
        words,
        strings,
        layout: (!entries.is_empty()).then(|| entries.iter().map(entry).collect()),
    })
}

/// What a [`Btf`] holds itself, taken out.
pub(crate) struct OwnParts {
    pub(crate) base: Option<Arc<Btf>>,
    pub(crate) words: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    pub(crate) strings: Vec<u8>,
    pub(crate) layout: Option<Vec<LayoutEntry>>,
}

/// Memory of BTF that is no longer needed, for BTF that is read next.
#[derive(Debug, Default)]
pub struct Memory {
    /// The bytes of a blob, for whoever reads them.
    pub bytes: Vec<u8>,
    pub(crate) words: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    pub(crate) strings: Vec<u8>,
}

impl Opened {
    /// Opens BTF in bytes that stay where they are: they are borrowed if they are words of this machine's byte order at
    /// addresses for such words, and copied otherwise. `base` is what its ids and string offsets continue.
    ///
    /// If the bytes can change, as those of a mapped file can, names and ids that made sense may make none when they are
    /// looked at again.
    ///
    /// # Errors
    /// Those of [`Btf::parse`] that are not about records.
    #[cfg(feature = "elf")]
    pub fn of_static(bytes: &'static [u8], base: Option<Arc<Btf>>) -> Result<Self> {
        let parts = split(bytes, base)?;
        let order = parts.order;
        let words = |bytes| {
            let words = crate::elf::as_words(bytes).filter(|_| order == ByteOrder::NATIVE);
            words.map_or_else(|| Cow::Owned(order.words(bytes)), Cow::Borrowed)
        };
        Self::new(parts.map(words, Cow::Borrowed))
    }

    /// Checks the strings.
    pub(crate) fn new<Words, Strings>(parts: Parts<Words, Strings>) -> Result<Self>
    where
        Words: Into<Cow<'static, [u32]>>,
        Strings: Into<Cow<'static, [u8]>>,
    {
        let parts = parts.map(Words::into, Strings::into);
        let first = parts.base.as_ref().map_or(0, |base| base.strings.end());
        let end = check_strings(&parts, first)?;
        let section = |bytes| Arc::new(StringSection::new(bytes, first, end));
        Ok(Self(parts.map(|words| words, section)))
    }

    /// The own strings.
    #[must_use]
    pub fn strings(&self) -> &Arc<StringSection> {
        &self.0.strings
    }

    /// The byte order that the blob has.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.0.order
    }

    /// Reads the types.
    ///
    /// # Errors
    /// Those of [`Btf::parse`] that are about records.
    pub fn read(self) -> Result<Btf> {
        self.read_with(Vec::new())
    }

    /// As [`Self::read`], with memory that was used before.
    fn read_with(self, mut starts: Vec<u32>) -> Result<Btf> {
        let first_id = self.first_id();
        find_records(&self.0, first_id, &mut starts)?;
        self.with_starts(starts)
    }

    fn first_id(&self) -> u32 {
        self.0.base.as_ref().map_or(1, |base| base.end_id)
    }

    /// Takes it as read: `starts` has the index at which each record starts, and one last entry for where the last one ends.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the ids do not fit 32 bits.
    pub(crate) fn with_starts(self, starts: Vec<u32>) -> Result<Btf> {
        let first_id = self.first_id();
        let Self(parts) = self;
        let count = starts.len().saturating_sub(1) as u64;
        let end_id = fits(count + u64::from(first_id), "number of types")?;
        Ok(Btf {
            order: parts.order,
            header: parts.header,
            blob_len: parts.blob_len,
            base: parts.base,
            first_id,
            end_id,
            words: parts.words,
            starts,
            strings: parts.strings,
            layout: parts.layout,
            names: OnceLock::new(),
        })
    }
}

impl Btf {
    /// Reads BTF of either byte order; `base` is what its ids and string offsets continue.
    ///
    /// Types of a kind that is not known are stepped over if the layout section, or the base's, tells their length.
    ///
    /// # Errors
    /// What [`Header::parse`] returns; [`ErrorKind::Truncated`] if a section or record ends behind its container;
    /// [`ErrorKind::Invalid`] for sections that overlap or are not aligned and for strings that do not start or end
    /// as they must; [`ErrorKind::UnknownKind`]; [`ErrorKind::TooLarge`] if ids or offsets do not fit 32 bits.
    ///
    /// Spec: Documentation/bpf/btf.rst, 2 "BTF Type and String Encoding".
    pub fn parse(bytes: &[u8], base: Option<Arc<Self>>) -> Result<Self> {
        let parts = split(bytes, base)?;
        let order = parts.order;
        Self::from_parts(parts.map(|words| order.words(words), <[u8]>::to_vec))
    }

    /// The same BTF in memory of its own, which nobody else can change.
    ///
    /// # Errors
    /// Those of [`Btf::parse`], if the bytes that it was borrowed from have changed.
    pub fn copied(&self) -> Result<Self> {
        Self::from_parts(Parts {
            order: self.order,
            header: self.header,
            blob_len: self.blob_len,
            base: self.base.clone(),
            words: self.words.to_vec(),
            strings: self.string_bytes().to_vec(),
            layout: self.layout.clone(),
        })
    }

    /// As [`Self::parse`], of [`Memory::bytes`] and for BTF that stands alone.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_again(memory: &mut Memory) -> Result<Self> {
        let bytes = std::mem::take(&mut memory.bytes);
        let parsed = split(&bytes, None).and_then(|parts| {
            let order = parts.order;
            let Memory { words, strings, .. } = memory;
            let parts = parts.map(
                |types| order.words_into(types, std::mem::take(words)),
                |bytes| {
                    let mut own = std::mem::take(strings);
                    own.clear();
                    own.extend_from_slice(bytes);
                    own
                },
            );
            Self::from_parts_with(parts, std::mem::take(&mut memory.starts))
        });
        memory.bytes = bytes;
        parsed
    }

    /// Gives its memory back, but what is borrowed.
    pub fn recycle(self, memory: &mut Memory) {
        if let Cow::Owned(words) = self.words {
            memory.words = words;
        }
        let strings = Arc::into_inner(self.strings).map(StringSection::into_bytes);
        if let Some(Cow::Owned(strings)) = strings {
            memory.strings = strings;
        }
        memory.starts = self.starts;
    }

    /// Whether it is borrowed from bytes that others may change.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self.words, Cow::Borrowed(_)) || self.strings.is_borrowed()
    }

    /// Checks the strings and finds the records.
    pub(crate) fn from_parts<Words, Strings>(parts: Parts<Words, Strings>) -> Result<Self>
    where
        Words: Into<Cow<'static, [u32]>>,
        Strings: Into<Cow<'static, [u8]>>,
    {
        Self::from_parts_with(parts, Vec::new())
    }

    /// As [`Self::from_parts`], with memory that was used before.
    pub(crate) fn from_parts_with<Words, Strings>(
        parts: Parts<Words, Strings>,
        starts: Vec<u32>,
    ) -> Result<Self>
    where
        Words: Into<Cow<'static, [u32]>>,
        Strings: Into<Cow<'static, [u8]>>,
    {
        Opened::new(parts)?.read_with(starts)
    }

    /// Takes out what it holds itself.
    pub(crate) fn into_own_parts(self) -> OwnParts {
        let strings = match Arc::try_unwrap(self.strings) {
            Ok(strings) => strings.into_bytes().into_owned(),
            Err(shared) => shared.bytes().to_vec(),
        };
        OwnParts {
            base: self.base,
            words: self.words.into_owned(),
            starts: self.starts,
            strings,
            layout: self.layout,
        }
    }

    /// The byte order that the blob had.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// The header as it was read.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The length of the blob in bytes.
    #[must_use]
    pub fn blob_len(&self) -> u64 {
        self.blob_len
    }

    /// The BTF that this one continues.
    #[must_use]
    pub fn base(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// This BTF and its bases, the deepest base last.
    pub fn chain(&self) -> impl Iterator<Item = &Self> + Clone {
        std::iter::successors(Some(self), |btf| btf.base.as_deref())
    }

    /// The id of the first own type: 1, or the base's [`Btf::end_id`].
    #[must_use]
    pub fn first_id(&self) -> u32 {
        self.first_id
    }

    /// One past the last id, the base's types included.
    #[must_use]
    pub fn end_id(&self) -> u32 {
        self.end_id
    }

    /// The own type section in words of the machine's byte order.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Where each own type starts in [`Btf::words`], and one last entry for where the last one ends.
    #[must_use]
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The words of the type `id`, own or the base's; `void` has none.
    #[must_use]
    pub fn record(&self, id: TypeId) -> Option<&[u32]> {
        let btf = self.chain().find(|btf| btf.first_id <= id.0)?;
        let index = (id.0 - btf.first_id) as usize;
        let start = *btf.starts.get(index)? as usize;
        let end = *btf.starts.get(index + 1)? as usize;
        btf.words.get(start..end)
    }

    /// The second word of the type `id`; `None` for `void` too.
    #[must_use]
    pub fn info(&self, id: TypeId) -> Option<Info> {
        self.record(id)?.get(1).copied().map(Info)
    }

    /// Decodes the type `id`, own or the base's; 0 is `void`.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`] if neither this BTF nor its base has `id`.
    pub fn ty(&self, id: TypeId) -> Result<Type<'_>> {
        match self.record(id) {
            Some(record) => Ok(Type::from_record(record)),
            None if id.is_void() => Ok(Type::Void),
            None => Err(ErrorKind::TypeIdOutOfRange(id).into()),
        }
    }

    /// The own records with their ids.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (TypeId, &[u32])> + Clone {
        let ends = self.starts.get(1..).unwrap_or_default();
        let spans = self.starts.iter().zip(ends).enumerate();
        spans.map(|(index, (&start, &end))| {
            let record = self.words.get(start as usize..end as usize);
            (self.own_id(index), record.unwrap_or_default())
        })
    }

    /// The own types with their ids.
    pub fn types(&self) -> impl ExactSizeIterator<Item = (TypeId, Type<'_>)> + Clone {
        self.records()
            .map(|(id, record)| (id, Type::from_record(record)))
    }

    /// The id of the own type at `index` of [`Btf::starts`].
    pub(crate) fn own_id(&self, index: usize) -> TypeId {
        // There are at most `end_id` types, which fits.
        TypeId(
            self.first_id
                .saturating_add(u32::try_from(index).unwrap_or(u32::MAX)),
        )
    }

    /// Where word `word` of the own type `id` stands, in bytes from the start of the blob.
    #[must_use]
    pub fn byte_offset(&self, id: TypeId, word: usize) -> Option<u64> {
        let index = id.0.checked_sub(self.first_id)? as usize;
        let start = u64::from(*self.starts.get(index)?);
        let types = u64::from(self.header.hdr_len) + u64::from(self.header.type_off);
        Some(types + 4 * (start + word as u64))
    }

    /// The offset of the first own string: 0, or where the base's strings end.
    #[must_use]
    pub fn first_string(&self) -> u32 {
        self.strings.first()
    }

    /// One past the last string offset, the base's strings included.
    #[must_use]
    pub fn end_string(&self) -> u32 {
        self.strings.end()
    }

    /// The own string section.
    #[must_use]
    pub fn string_bytes(&self) -> &[u8] {
        self.strings.bytes()
    }

    /// The own strings, which others may keep.
    #[must_use]
    pub fn strings(&self) -> &Arc<StringSection> {
        &self.strings
    }

    /// The string at `offset`, own or the base's, without its NUL; `offset` may lie inside a string.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`] if neither this BTF nor its base has `offset`.
    pub fn string(&self, offset: StrOffset) -> Result<&[u8]> {
        self.string_tail(offset)
            .and_then(|tail| string_at(tail, 0))
            .ok_or_else(|| ErrorKind::StringOutOfRange(offset.0).into())
    }

    /// The bytes from `offset` to the end of its string section, which hold at least one NUL.
    pub(crate) fn string_tail(&self, offset: StrOffset) -> Option<&[u8]> {
        let btf = self.chain().find(|btf| btf.first_string() <= offset.0)?;
        let own = offset.0 - btf.first_string();
        let tail = btf.string_bytes().get(own as usize..).unwrap_or_default();
        (!tail.is_empty()).then_some(tail)
    }

    /// Whether the string at `offset` is `string`. However long it is, that takes no longer than `string` does.
    #[must_use]
    pub fn is_string(&self, offset: StrOffset, string: &[u8]) -> bool {
        self.string_tail(offset)
            .is_some_and(|tail| has_name(tail, string))
    }

    /// As much of the string at `offset` as `len` bytes hold; empty if there is none. However long it is, that takes no longer.
    #[must_use]
    pub fn start_of_string(&self, offset: StrOffset, len: usize) -> &[u8] {
        string_start(self.string_tail(offset).unwrap_or_default(), len)
    }

    /// Whether `offset` lies behind the first byte of a string, and not where one starts.
    pub(crate) fn is_inside_of_string(&self, offset: StrOffset) -> bool {
        let Some(btf) = self.chain().find(|btf| btf.first_string() <= offset.0) else {
            return false;
        };
        let before = (offset.0 - btf.first_string()).checked_sub(1);
        let before = before.and_then(|before| btf.string_bytes().get(before as usize));
        before.is_some_and(|&byte| byte != 0)
    }

    /// The name of the type `id`, own or the base's; empty if it has none.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`] or [`ErrorKind::StringOutOfRange`].
    pub fn name(&self, id: TypeId) -> Result<&[u8]> {
        let ty = self.ty(id)?;
        self.string(ty.name()).map_err(|error| error.in_type(id))
    }

    /// The offset of `string` if this BTF or its base has it; the deepest base counts first.
    ///
    /// Only whole strings are found, not the ends of longer ones. The first call builds an index of all strings, unless
    /// [`StringSection::scan`] was called.
    #[must_use]
    pub fn find_string(&self, string: &[u8]) -> Option<StrOffset> {
        // The deepest BTF comes last, so the last find counts.
        let found = self.chain().filter_map(|btf| btf.strings.find(string));
        found.last()
    }

    /// As [`Self::find_string`], for many at once, which takes less time for each.
    #[must_use]
    pub fn find_strings(&self, strings: &[&[u8]]) -> Vec<Option<StrOffset>> {
        let mut all = vec![None; strings.len()];
        for btf in self.chain() {
            btf.strings.find_all(strings, |index, offset| {
                if let Some(found) = all.get_mut(index) {
                    *found = Some(offset);
                }
            });
        }
        all
    }

    /// Whether the own types are ordered by their names, bytewise, as kernels since 7.0 need it.
    ///
    /// For hostile names, whose comparison takes more than a few times the size of the string section, the answer is
    /// no.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.name_index().is_sorted()
    }

    /// The first own type that is not where [`Self::is_sorted`] needs it: its name comes before that of the type before it.
    #[must_use]
    pub fn first_unsorted(&self) -> Option<TypeId> {
        first_unsorted(self)
    }

    /// The ids of all types of that name, the base's included, in ascending order.
    ///
    /// The first call looks whether the types are sorted and builds an index if not.
    pub fn find_by_name(&self, name: &[u8]) -> impl Iterator<Item = TypeId> {
        let mut chain: Vec<_> = self.chain().collect();
        chain.reverse();
        chain
            .into_iter()
            .flat_map(move |btf| btf.name_index().find(btf, name))
    }

    fn name_index(&self) -> &NameIndex {
        self.names.get_or_init(|| NameIndex::of(self))
    }

    /// What the own layout section says about each kind, by the kind's number.
    #[must_use]
    pub fn layout(&self) -> Option<&[LayoutEntry]> {
        self.layout.as_deref()
    }
}

#[cfg(test)]
mod tests;
