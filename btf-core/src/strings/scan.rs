//! Scan: one pass over a string section that finds some strings, and remembers enough of all others.
//!
//! Problem: an index of all strings of a kernel costs more than everything else that a small module needs of it.
//!
//! Method: the pass knows most of what will be asked for. Of all strings it keeps 16 bits of a hash, in a table that is large
//! enough for a probe to end soon. That tells, but for one in 50,000, that a string is not there, and while the table is
//! filled, that no two strings are equal. The few that it cannot tell are searched in the section.
//!
//! Where that does not work out (equal strings, strings much shorter than a kernel's, too many searches), the index is made
//! after all.
#![deny(clippy::indexing_slicing)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "parts of hashes, and offsets in a section whose length fits 32 bits"
)]

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;
use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::spread;
use crate::dedup::FastMap;

/// Strings of up to this many bytes are kept whole.
const SHORT_LEN: usize = 3;

/// How many strings may be searched in the section: all these searches cost less than the index.
const MAX_SEARCHES: u32 = 24;

/// How many bytes of a section stand for a slot: strings of kernels have 17 in the mean.
const BYTES_PER_SLOT: usize = 8;

/// The offset of what is not in the section.
const NOWHERE: u32 = u32::MAX;

/// Says that so many strings were searched that an index would have cost less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySearches;

/// What is known of the strings of a section that is kept elsewhere. No two of them are equal.
#[derive(Debug)]
pub(crate) struct StringScan {
    hasher: Hasher,
    /// Strings of a few bytes, packed, and their offsets.
    short: FastMap<u32, u32>,
    longer: Slots,
    wanted: Wanted,
    searches: AtomicU32,
}

impl StringScan {
    /// Looks for longer strings that are `wanted`, no two of which are equal.
    ///
    /// `None` if strings of the section are equal, or may be.
    pub(crate) fn new(section: &[u8], wanted: &[&[u8]]) -> Option<Self> {
        u32::try_from(section.len()).ok()?;
        let hasher = Hasher::new();
        let mut scan = Self {
            hasher,
            short: FastMap::default(),
            longer: Slots::new(section.len() / BYTES_PER_SLOT),
            wanted: Wanted::new(wanted, hasher),
            searches: AtomicU32::new(0),
        };
        let mut is_unique = true;
        for_each_string(section, |offset, string| {
            if string.len() <= SHORT_LEN {
                is_unique &= scan.short.insert(packed(string), offset).is_none();
                return is_unique;
            }
            let hash = hasher.hash(string);
            if scan.longer.insert(hash) {
                let before = section.get(..offset as usize);
                is_unique &= scan.search(before.unwrap_or_default(), string) == Ok(None);
            }
            if scan.wanted.may_have(hash) {
                scan.wanted
                    .set(hash, |index| wanted.get(index) == Some(&string), offset);
            }
            is_unique
        });
        (is_unique && !scan.longer.is_full()).then_some(scan)
    }

    /// The offset of the string that was wanted at `index`, unless it is short.
    pub(crate) fn of_wanted(&self, index: usize) -> Option<u32> {
        self.wanted.offset(index)
    }

    /// The offset of `string` in the section, if it is there.
    ///
    /// # Errors
    /// [`TooManySearches`] if the index had better be asked.
    pub(crate) fn find(
        &self,
        section: &[u8],
        string: &[u8],
    ) -> Result<Option<u32>, TooManySearches> {
        if memchr::memchr(0, string).is_some() {
            return Ok(None);
        }
        if string.len() <= SHORT_LEN {
            return Ok(self.short.get(&packed(string)).copied());
        }
        let hash = self.hasher.hash(string);
        if !self.longer.may_have(hash) {
            return Ok(None);
        }
        let is_at = |offset: u32| {
            let tail = section.get(offset as usize..).unwrap_or_default();
            tail.strip_prefix(string).and_then(<[u8]>::first) == Some(&0)
        };
        match self.wanted.find(hash, is_at) {
            Some(offset) => Ok(Some(offset)),
            None => self.search(section, string),
        }
    }

    /// As `find`, by looking at the whole section.
    fn search(&self, section: &[u8], string: &[u8]) -> Result<Option<u32>, TooManySearches> {
        if self.searches.fetch_add(1, Ordering::Relaxed) >= MAX_SEARCHES {
            return Err(TooManySearches);
        }
        // The first string has no NUL before it.
        let whole = [&[0], string, &[0]].concat();
        let is_first = whole
            .get(1..)
            .is_some_and(|whole| section.starts_with(whole));
        let first = is_first.then_some(0);
        Ok(first.or_else(|| Some(memmem::find(section, &whole)? as u32 + 1)))
    }
}

/// A string of up to three bytes as a number; none has a NUL.
fn packed(string: &[u8]) -> u32 {
    let bytes = string.iter().take(SHORT_LEN);
    bytes.fold(0, |packed, &byte| packed << 8 | u32::from(byte))
}

/// Calls `visit` with the offset of each string of a section and its bytes, until that returns `false`.
#[inline]
fn for_each_string(section: &[u8], mut visit: impl FnMut(u32, &[u8]) -> bool) {
    let mut start = 0;
    let mut end_at = |end: usize| {
        let string = section.get(start..end).unwrap_or_default();
        let offset = start as u32;
        start = end + 1;
        visit(offset, string)
    };
    let (words, rest) = section.as_chunks::<8>();
    for (at, &word) in (0..).step_by(8).zip(words) {
        let mut zeros = zero_bytes(u64::from_le_bytes(word));
        while zeros != 0 {
            if !end_at(at + zeros.trailing_zeros() as usize / 8) {
                return;
            }
            zeros &= zeros - 1;
        }
    }
    for (end, _) in (words.len() * 8..)
        .zip(rest)
        .filter(|(_, byte)| **byte == 0)
    {
        if !end_at(end) {
            return;
        }
    }
}

/// The highest bit of each byte that is 0.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

/// A hash that nobody can foresee.
#[derive(Clone, Copy, Debug)]
struct Hasher {
    seeds: [u64; 2],
}

impl Hasher {
    fn new() -> Self {
        let random = RandomState::new();
        Self {
            seeds: [random.hash_one(0), random.hash_one(1)],
        }
    }

    /// The hash of a string of more than three bytes.
    #[inline]
    fn hash(&self, string: &[u8]) -> u64 {
        let len = string.len();
        if len > 32 {
            return xxh3_64_with_seed(string, self.seeds[0]);
        }
        // Both ends, which meet or overlap.
        if let (Some(&first), Some(&last)) = (string.first_chunk(), string.last_chunk()) {
            let (first, last) = (u128::from_le_bytes(first), u128::from_le_bytes(last));
            let first = self.fold(first as u64, (first >> 64) as u64, len);
            return self.fold(first ^ last as u64, (last >> 64) as u64, len);
        }
        if let (Some(&first), Some(&last)) = (string.first_chunk(), string.last_chunk()) {
            return self.fold(u64::from_le_bytes(first), u64::from_le_bytes(last), len);
        }
        let first = string
            .first_chunk()
            .map_or(0, |&first| u32::from_le_bytes(first));
        let last = string
            .last_chunk()
            .map_or(0, |&last| u32::from_le_bytes(last));
        self.fold(first.into(), last.into(), len)
    }

    /// Multiplies, and folds the product.
    #[inline]
    fn fold(&self, a: u64, b: u64, len: usize) -> u64 {
        let [first, second] = self.seeds;
        let wide = u128::from(a ^ first) * u128::from((b ^ second).wrapping_add(len as u64));
        (wide >> 64) as u64 ^ wide as u64
    }
}

/// 16 bits of the hash of each string, at the first free slot from where the hash says.
#[derive(Debug)]
struct Slots {
    /// 0 is free. Never more than three quarters are taken.
    tags: Vec<u16>,
    taken: usize,
}

impl Slots {
    /// Room for strings of which half as many are expected.
    fn new(len: usize) -> Self {
        Self {
            tags: vec![0; len.next_power_of_two().max(64)],
            taken: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.taken > self.tags.len() / 4 * 3
    }

    /// The slot at which to look for the tag of a hash first, and the tag.
    #[inline]
    fn place(&self, hash: u64) -> (usize, u16) {
        let slot = (hash >> 32) as usize & (self.tags.len() - 1);
        (slot, (hash as u16).max(1))
    }

    /// Adds a hash; whether there may be an equal one.
    #[inline]
    fn insert(&mut self, hash: u64) -> bool {
        let (slot, tag) = self.place(hash);
        if self.is_full() {
            return false;
        }
        let free = self.probe(slot, tag);
        match free.and_then(|slot| self.tags.get_mut(slot)) {
            None => true,
            Some(free) => {
                *free = tag;
                self.taken += 1;
                false
            }
        }
    }

    #[inline]
    fn may_have(&self, hash: u64) -> bool {
        let (slot, tag) = self.place(hash);
        self.is_full() || self.probe(slot, tag).is_none()
    }

    /// The first free slot from `slot` on; `None` if the tag stands before.
    #[inline]
    fn probe(&self, mut slot: usize, tag: u16) -> Option<usize> {
        loop {
            match self.tags.get(slot) {
                Some(0) => return Some(slot),
                Some(&other) if other == tag => return None,
                _ => slot = (slot + 1) & (self.tags.len() - 1),
            }
        }
    }
}

/// The strings that are looked for.
#[derive(Debug)]
struct Wanted {
    /// A bit for each hash, which others can share.
    bits: Vec<u64>,
    /// The upper half of the hash and the index of each.
    by_hash: HashTable<(u32, u32)>,
    /// The offset of each.
    offsets: Vec<u32>,
}

impl Wanted {
    /// How many bits there are.
    const BITS: usize = 1 << 16;

    fn new(wanted: &[&[u8]], hasher: Hasher) -> Self {
        let mut bits = vec![0; Self::BITS / 64];
        let mut by_hash = HashTable::with_capacity(wanted.len());
        for (index, string) in (0..)
            .zip(wanted)
            .filter(|(_, string)| string.len() > SHORT_LEN)
        {
            let hash = hasher.hash(string);
            if let Some(bits) = bits.get_mut(hash as usize % Self::BITS / 64) {
                *bits |= 1 << (hash % 64);
            }
            let hash = (hash >> 32) as u32;
            by_hash.insert_unique(spread(hash), (hash, index), |&(hash, _)| spread(hash));
        }
        Self {
            bits,
            by_hash,
            offsets: vec![NOWHERE; wanted.len()],
        }
    }

    #[inline]
    fn may_have(&self, hash: u64) -> bool {
        let bits = self.bits.get(hash as usize % Self::BITS / 64);
        bits.is_some_and(|bits| bits >> (hash % 64) & 1 != 0)
    }

    /// Sets the offset of the string of this hash, if one is wanted.
    fn set(&mut self, hash: u64, is_it: impl Fn(usize) -> bool, offset: u32) {
        let hash = (hash >> 32) as u32;
        let is_it = |&(other, index): &(u32, u32)| other == hash && is_it(index as usize);
        let found = self.by_hash.find(spread(hash), is_it);
        let found = found.and_then(|&(_, index)| self.offsets.get_mut(index as usize));
        if let Some(found) = found {
            *found = offset;
        }
    }

    /// The offset of the string of this hash, if it was wanted and found.
    fn find(&self, hash: u64, is_at: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = (hash >> 32) as u32;
        let offset = |index: u32| self.offset(index as usize);
        let is_it =
            |&(other, index): &(u32, u32)| other == hash && offset(index).is_some_and(&is_at);
        let &(_, index) = self.by_hash.find(spread(hash), is_it)?;
        offset(index)
    }

    fn offset(&self, index: usize) -> Option<u32> {
        self.offsets
            .get(index)
            .copied()
            .filter(|&offset| offset != NOWHERE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The strings of a section, each with a NUL behind.
    fn section(strings: &[&[u8]]) -> Vec<u8> {
        strings
            .iter()
            .flat_map(|string| [*string, &[0]].concat())
            .collect()
    }

    #[track_caller]
    fn check(strings: &[&[u8]], wanted: &[&[u8]], missing: &[&[u8]]) {
        let section = section(strings);
        let scan = StringScan::new(&section, wanted).expect("all are different");
        let offset = |string: &[u8]| {
            let at = strings.iter().position(|other| *other == string)?;
            Some(
                strings[..at]
                    .iter()
                    .map(|string| string.len() as u32 + 1)
                    .sum(),
            )
        };
        for (index, string) in wanted.iter().enumerate() {
            let expect = offset(string).filter(|_| string.len() > SHORT_LEN);
            assert_eq!(scan.of_wanted(index), expect, "{string:?}");
        }
        for string in strings.iter().chain(wanted).chain(missing) {
            assert_eq!(
                scan.find(&section, string),
                Ok(offset(string)),
                "{string:?}"
            );
        }
    }

    #[test]
    fn strings_of_all_lengths_are_found_wanted_or_not() {
        let long = [b'x'; 40];
        let strings: Vec<&[u8]> = (0..=20).map(|len| &long[..len]).collect();
        check(&strings, &strings, &[b"xxy", b"y", b"x\0xx", b"xxxxx\0"]);
        check(
            &strings,
            &[b"other", b"xxxxx"],
            &[&long, b"other", b"xxxx\0xxxxx"],
        );
        check(&[b"first", b"", b"second"], &[], &[b"econd", b"firs"]);
        check(&[], &[b"wanted"], &[b""]);
    }

    #[test]
    fn equal_strings_are_noticed() {
        for equal in [
            &b"a"[..],
            b"abc",
            b"abcd",
            b"abcdefghi",
            &[b'x'; 20],
            &[b'x'; 50],
        ] {
            let twice = section(&[b"", equal, b"between", equal]);
            assert!(StringScan::new(&twice, &[]).is_none(), "{equal:?}");
        }
        assert!(StringScan::new(b"\0\0", &[]).is_none());
    }

    #[test]
    fn after_some_searches_it_cannot_tell() {
        let strings: Vec<Vec<u8>> = (0..100)
            .map(|n| format!("the string of number {n}").into_bytes())
            .collect();
        let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        let section = section(&strings);
        let scan = StringScan::new(&section, &strings[..50]).unwrap();
        let found = strings
            .iter()
            .filter(|string| scan.find(&section, string).is_ok());
        assert_eq!(found.count(), 50 + MAX_SEARCHES as usize);
    }

    #[test]
    fn many_short_strings_fill_the_slots() {
        let strings: Vec<Vec<u8>> = (1000..9000).map(|n| format!("{n}").into_bytes()).collect();
        let strings: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        assert!(StringScan::new(&section(&strings), &[]).is_none());
    }

    #[test]
    fn zeros_are_told_exactly() {
        for word in [
            [0, 1, 0, 0x80, 0xff, 0x7f, 0, 1],
            [0x80; 8],
            [0; 8],
            [1; 8],
            [0xff; 8],
        ] {
            let expect = word.map(|byte| if byte == 0 { 0x80 } else { 0 });
            assert_eq!(
                zero_bytes(u64::from_le_bytes(word)),
                u64::from_le_bytes(expect)
            );
        }
    }
}
