//! Looks up and interns the names of BTF.
//!
//! Offsets of split BTF go on where the base's string section ends, so a table with a base hands out the base's offset
//! for whatever the base chain has, the deepest base first, and stores the rest itself. New strings are stored in the
//! order of their first use, whatever the hash function: its seed is random, so that nobody can craft names that
//! collide.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{ErrorKind, Result};
use crate::ids::StrOffset;
use crate::reader::Btf;

mod scan;
mod section;

use scan::StringScan;
pub use section::StringSection;

/// The largest end of a string section in bytes, which libbpf sets; the kernel's limit is lower and `validate`'s task.
pub const MAX_STRING_END: u32 = i32::MAX as u32;

/// The string that starts at `offset` of a string section, without its NUL.
#[must_use]
pub fn string_at(section: &[u8], offset: usize) -> Option<&[u8]> {
    let tail = section.get(offset..)?;
    let string = std::ffi::CStr::from_bytes_until_nul(tail).ok()?;
    Some(string.to_bytes())
}

/// The string that `tail` starts with, of which no more than `max_len` bytes are looked at: a longer one is cut there. Strings of
/// hostile input may overlap in megabytes.
pub(crate) fn string_start(tail: &[u8], max_len: usize) -> &[u8] {
    let window = tail.get(..max_len).unwrap_or(tail);
    string_at(window, 0).unwrap_or(window)
}

/// Finds the offset of a string in a section that is kept elsewhere.
pub(crate) struct StringIndex {
    seed: u64,
    table: HashTable<Entry>,
}

/// A string of the indexed section.
struct Entry {
    offset: u32,
    hash: u32,
}

/// How many strings [`StringIndex::find_all`] looks up side by side.
const SIDE_BY_SIDE: usize = 32;

impl StringIndex {
    /// An index of nothing.
    fn new() -> Self {
        Self {
            seed: RandomState::new().hash_one(0),
            table: HashTable::new(),
        }
    }

    /// An index of all strings of `section`; of equal ones the first counts, and middles of strings do not count.
    pub(crate) fn of(section: &[u8]) -> Self {
        let mut index = Self::new();
        let count = memchr::memchr_iter(0, section).count();
        index.table = HashTable::with_capacity(count);
        let mut offset = 0;
        for end in memchr::memchr_iter(0, section) {
            let string = section.get(offset..end).unwrap_or_default();
            index.insert_first(section, string, offset);
            offset = end + 1;
        }
        index
    }

    /// The upper half of a hash that nobody can foresee: it tells strings apart but for a few.
    fn hash(&self, string: &[u8]) -> u32 {
        (xxh3_64_with_seed(string, self.seed) >> 32) as u32
    }

    /// The offset of `string` in `section`, in bytes.
    pub(crate) fn find(&self, section: &[u8], string: &[u8]) -> Option<u32> {
        self.find_hashed(section, string, self.hash(string))
    }

    fn find_hashed(&self, section: &[u8], string: &[u8], hash: u32) -> Option<u32> {
        let is_same = |entry: &Entry| entry.hash == hash && entry.is_at(section, string);
        let entry = self.table.find(spread(hash), is_same)?;
        Some(entry.offset)
    }

    /// Calls `found` with the index and the offset of each of the `strings` that `section` has.
    ///
    /// To look a string up is to wait for memory twice: for the table, and for the section. Here nothing stands between the
    /// accesses to one of them, so that the processor waits for several at a time.
    pub(crate) fn find_all(
        &self,
        section: &[u8],
        strings: &[&[u8]],
        mut found: impl FnMut(usize, u32),
    ) {
        let mut index = 0;
        for strings in strings.chunks(SIDE_BY_SIDE) {
            let mut hashes = [0; SIDE_BY_SIDE];
            for (hash, string) in hashes.iter_mut().zip(strings) {
                *hash = self.hash(string);
            }
            let mut likely = [None; SIDE_BY_SIDE];
            for (likely, hash) in likely.iter_mut().zip(hashes).take(strings.len()) {
                *likely = self.table.find(spread(hash), |entry| entry.hash == hash);
            }
            for ((string, hash), likely) in strings.iter().zip(hashes).zip(likely) {
                let offset = likely.and_then(|entry| {
                    if entry.is_at(section, string) {
                        Some(entry.offset)
                    } else {
                        self.find_hashed(section, string, hash)
                    }
                });
                if let Some(offset) = offset {
                    found(index, offset);
                }
                index += 1;
            }
        }
    }

    /// Adds `string`, which stands at `offset` of `section`, unless an equal one is there.
    #[inline]
    fn insert_first(&mut self, section: &[u8], string: &[u8], offset: usize) {
        let Ok(offset) = u32::try_from(offset) else {
            return;
        };
        let hash = self.hash(string);
        let is_same = |entry: &Entry| entry.hash == hash && entry.is_at(section, string);
        self.table
            .entry(spread(hash), is_same, Entry::rehash)
            .or_insert(Entry { offset, hash });
    }

    /// Adds the string of this hash at `offset`, which is not there; what 32 bits do not hold is not indexed.
    fn insert(&mut self, hash: u32, offset: usize) {
        if let Ok(offset) = u32::try_from(offset) {
            let entry = Entry { offset, hash };
            self.table.insert_unique(spread(hash), entry, Entry::rehash);
        }
    }
}

/// A hash whose upper bits, which the table tells entries apart by, are as good as the lower ones, which choose the place.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Entry {
    fn rehash(&self) -> u64 {
        spread(self.hash)
    }

    /// Whether `string`, which has no NUL, is the one that starts here.
    fn is_at(&self, section: &[u8], string: &[u8]) -> bool {
        let tail = section.get(self.offset as usize..);
        let rest = tail.and_then(|tail| tail.strip_prefix(string));
        // Two strings of the section, one behind the other, are no string.
        rest.is_some_and(|rest| rest.first() == Some(&0)) && memchr::memchr(0, string).is_none()
    }
}

impl fmt::Debug for StringIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StringIndex")
            .field("strings", &self.table.len())
            .finish_non_exhaustive()
    }
}

/// The string section of BTF that is being built.
#[derive(Debug)]
pub struct StringTable {
    base: Option<Arc<Btf>>,
    first: u32,
    bytes: Vec<u8>,
    /// Of all strings; made when a string is looked for.
    index: OnceLock<StringIndex>,
}

impl Default for StringTable {
    fn default() -> Self {
        Self::new()
    }
}

impl StringTable {
    /// A table that holds the empty string at offset 0.
    #[must_use]
    pub fn new() -> Self {
        Self::from_bytes(vec![0], None)
    }

    /// An empty table behind the strings of `base`.
    #[must_use]
    pub fn with_base(base: Arc<Btf>) -> Self {
        Self::from_bytes(Vec::new(), Some(base))
    }

    /// A table that goes on with the string section of `btf`.
    #[must_use]
    pub fn of(btf: &Btf) -> Self {
        Self::from_bytes(btf.string_bytes().to_vec(), btf.base().cloned())
    }

    /// A table that goes on with a string section, behind the strings of `base`.
    pub(crate) fn from_bytes(bytes: Vec<u8>, base: Option<Arc<Btf>>) -> Self {
        Self {
            first: base.as_ref().map_or(0, |base| base.end_string()),
            base,
            index: OnceLock::new(),
            bytes,
        }
    }

    /// Makes room for `strings` more of about `bytes` in all, so that the table need not grow meanwhile.
    pub fn reserve(&mut self, strings: usize, bytes: usize) {
        self.bytes.reserve(bytes);
        self.index();
        let Some(index) = self.index.get_mut() else {
            return;
        };
        index.table.reserve(strings, Entry::rehash);
    }

    fn index(&self) -> &StringIndex {
        self.index.get_or_init(|| StringIndex::of(&self.bytes))
    }

    /// The offset of `string`, which is stored if neither this table nor the base chain has it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if `string` contains a NUL byte, [`ErrorKind::TooLarge`] if the section would end behind
    /// [`MAX_STRING_END`].
    pub fn add(&mut self, string: &[u8]) -> Result<StrOffset> {
        if string.is_empty() {
            return Ok(StrOffset::EMPTY);
        }
        if let Some(found) = self.base.as_ref().and_then(|base| base.find_string(string)) {
            return Ok(found);
        }
        let index = self.index();
        let hash = index.hash(string);
        if let Some(found) = index.find_hashed(&self.bytes, string, hash) {
            return Ok(StrOffset(self.first + found));
        }
        let offset = self.append(string)?;
        if let Some(index) = self.index.get_mut() {
            let start = (offset.0 - self.first) as usize;
            index.insert(hash, start);
        }
        Ok(offset)
    }

    /// As [`StringTable::add`], of a string that neither this table nor the base chain has, which saves looking for it.
    ///
    /// # Errors
    /// As [`StringTable::add`].
    pub fn add_new(&mut self, string: &[u8]) -> Result<StrOffset> {
        if string.is_empty() {
            return Ok(StrOffset::EMPTY);
        }
        self.index = OnceLock::new();
        self.append(string)
    }

    /// As [`StringTable::add_new`], of several strings of `len` bytes with a NUL behind each: `fill` writes them, one behind the other,
    /// over as many zeros.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the last one has no NUL, and no string is added; [`ErrorKind::TooLarge`] as [`StringTable::add`],
    /// before `fill` is called.
    pub fn add_new_all(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<()> {
        self.check_end(len)?;
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        let new = &mut self.bytes[start..];
        fill(new);
        if let Some(&last) = new.last().filter(|&&last| last != 0) {
            let (what, value) = ("last byte of the strings", last.into());
            self.bytes.truncate(start);
            return Err(ErrorKind::Invalid { what, value }.into());
        }
        self.index = OnceLock::new();
        Ok(())
    }

    /// Checks that so many bytes more do not end too far behind.
    fn check_end(&self, len: usize) -> Result<()> {
        let value = self.end() + len as u64;
        let limit = MAX_STRING_END.into();
        if value > limit {
            let what = "string section in bytes";
            return Err(ErrorKind::TooLarge { what, value, limit }.into());
        }
        Ok(())
    }

    fn append(&mut self, string: &[u8]) -> Result<StrOffset> {
        if memchr::memchr(0, string).is_some() {
            let (what, value) = ("byte in a name", 0);
            return Err(ErrorKind::Invalid { what, value }.into());
        }
        self.check_end(string.len() + 1)?;
        // The end fits, so the start does.
        let start = u32::try_from(self.bytes.len()).unwrap_or_default();
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        Ok(StrOffset(self.first + start))
    }

    /// The offset of `string`, if this table or the base chain has it.
    #[must_use]
    pub fn find(&self, string: &[u8]) -> Option<StrOffset> {
        if string.is_empty() {
            return Some(StrOffset::EMPTY);
        }
        let in_base = self.base.as_ref().and_then(|base| base.find_string(string));
        in_base.or_else(|| {
            let own = self.index().find(&self.bytes, string)?;
            Some(StrOffset(self.first + own))
        })
    }

    /// The string at `offset` of this table or the base chain, without its NUL.
    #[must_use]
    pub fn get(&self, offset: StrOffset) -> Option<&[u8]> {
        match (&self.base, offset.0.checked_sub(self.first)) {
            (_, Some(own)) => string_at(&self.bytes, own as usize),
            (Some(base), None) => base.string(offset).ok(),
            (None, None) => None,
        }
    }

    /// The offset of the first byte of this table: 0, or where the base's strings end.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The offset behind the last byte of this table.
    #[must_use]
    pub fn end(&self) -> u64 {
        u64::from(self.first) + self.bytes.len() as u64
    }

    /// The own string section.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The own string section, taken out.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Builder;

    #[test]
    fn first_use_gives_the_order() {
        let mut table = StringTable::new();
        assert_eq!(table.add(b"").unwrap(), StrOffset(0));
        assert_eq!(table.add(b"b").unwrap(), StrOffset(1));
        assert_eq!(table.add(b"a").unwrap(), StrOffset(3));
        assert_eq!(table.add(b"b").unwrap(), StrOffset(1));
        assert_eq!(table.bytes(), b"\0b\0a\0");
        assert_eq!(table.get(StrOffset(3)), Some(&b"a"[..]));
        assert_eq!(table.get(StrOffset(5)), None);
        assert_eq!(table.find(b"a"), Some(StrOffset(3)));
        assert_eq!(table.find(b"c"), None);
    }

    #[test]
    fn new_strings_are_found_later() {
        let mut table = StringTable::new();
        assert_eq!(table.add(b"a").unwrap(), StrOffset(1));
        assert_eq!(table.add_new(b"b").unwrap(), StrOffset(3));
        assert_eq!(table.add_new(b"").unwrap(), StrOffset::EMPTY);
        assert_eq!(table.find(b"b"), Some(StrOffset(3)));
        assert_eq!(table.add(b"a").unwrap(), StrOffset(1));
        assert_eq!(table.add(b"c").unwrap(), StrOffset(5));
        assert!(table.add_new(b"a\0b").is_err());
        assert_eq!(table.bytes(), b"\0a\0b\0c\0");
    }

    #[test]
    fn a_name_has_no_nul() {
        let error = StringTable::new().add(b"a\0b").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid { .. }));
    }

    #[test]
    fn many_strings_survive_growth() {
        let mut table = StringTable::new();
        let names: Vec<_> = (0..5000).map(|n| format!("name{n}").into_bytes()).collect();
        let offsets: Vec<_> = names.iter().map(|name| table.add(name).unwrap()).collect();
        for (name, offset) in names.iter().zip(offsets) {
            assert_eq!(table.add(name).unwrap(), offset);
            assert_eq!(table.get(offset), Some(&name[..]));
        }
    }

    #[test]
    fn the_deepest_base_wins() {
        let deep = |base: Option<Arc<Btf>>, names: &[&[u8]]| {
            let mut builder = base.map_or_else(Builder::new, Builder::with_base);
            for name in names {
                builder.add_string(name).unwrap();
            }
            Arc::new(builder.finish().unwrap())
        };
        let base = deep(None, &[b"a", b"b"]);
        let split = deep(Some(base), &[b"b", b"c"]);
        assert_eq!(split.string_bytes(), b"c\0");
        let mut top = StringTable::with_base(split);
        assert_eq!(top.first(), 7);
        assert_eq!(top.add(b"a").unwrap(), StrOffset(1));
        assert_eq!(top.add(b"c").unwrap(), StrOffset(5));
        assert_eq!(top.add(b"d").unwrap(), StrOffset(7));
        assert_eq!(top.get(StrOffset(5)), Some(&b"c"[..]));
        assert_eq!(top.bytes(), b"d\0");
    }
}
