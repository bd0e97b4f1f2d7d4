//! Scan: one pass over a string section that finds some strings, and remembers enough of all others.
//!
//! Problem: an index of all strings of a kernel costs more than everything else that a small module needs of it.
//!
//! Method: the pass knows most of what will be asked for. Of all other strings it keeps three bits each of a hash, which tell,
//! but for one in 500, that a string is not there. The few that it cannot tell are searched in the section.
//!
//! Where that does not work out (what is wanted stands there twice, too many searches), the index is made after all.
#![deny(clippy::indexing_slicing)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "parts of hashes, and offsets in a section whose length fits 32 bits"
)]

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;
use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::spread;
use crate::dedup::{FastMap, FastSet};
use crate::pieces::in_pieces;

/// Strings of up to this many bytes are kept whole.
const SHORT_LEN: usize = 3;

/// How many strings may be searched in the section: all these searches cost less than the index.
const MAX_SEARCHES: u32 = 24;

/// For how many bytes of a section the filter has a word: strings of kernels have 17 in the mean.
const BYTES_PER_WORD: usize = 32;

/// The offset of what is not in the section.
const NOWHERE: u32 = u32::MAX;

/// Says that so many strings were searched that an index would have cost less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySearches;

/// What is known of the strings of a section that is kept elsewhere.
#[derive(Debug)]
pub(crate) struct StringScan {
    hasher: Hasher,
    pieces: Vec<Piece>,
    wanted: Wanted,
    searches: AtomicU32,
}

/// What one thread has found out of some of the strings.
#[derive(Debug)]
struct Piece {
    /// Where they are in the section.
    range: Range<usize>,
    /// Strings of a few bytes, packed, and their offsets.
    short: FastMap<u32, u32>,
    longer: Filter,
}

/// How many bytes of a section a thread reads.
const PIECE: usize = if cfg!(test) { 48 } else { 1 << 19 };

impl StringScan {
    /// Looks for longer strings that are `wanted`, no two of which are equal.
    ///
    /// `None` if one of them stands in the section twice, or a string of up to three bytes does.
    pub(crate) fn new(section: &[u8], wanted: &[&[u8]]) -> Option<Self> {
        u32::try_from(section.len()).ok()?;
        let hasher = Hasher::new();
        let places = Wanted::new(wanted, hasher);
        let read = |piece: Range<usize>| {
            let range = string_start(section, piece.start)..string_start(section, piece.end);
            Piece::read(section, range, hasher, wanted, &places)
        };
        let pieces = in_pieces(0..section.len(), PIECE, &read);
        let pieces: Option<Vec<Piece>> = pieces.into_iter().collect();
        let pieces = pieces?;
        let mut all_short: FastSet<u32> = FastSet::default();
        let mut short = pieces.iter().flat_map(|piece| piece.short.keys());
        let are_once = short.all(|&short| all_short.insert(short));
        are_once.then_some(Self {
            hasher,
            pieces,
            wanted: places,
            searches: AtomicU32::new(0),
        })
    }

    /// The offset of `string`, which was wanted at `index`, if it is in the section.
    pub(crate) fn of_wanted(&self, index: usize, string: &[u8]) -> Option<u32> {
        if string.len() > SHORT_LEN {
            self.wanted.offset(index)
        } else if string.contains(&0) {
            None
        } else {
            self.of_short(string)
        }
    }

    fn of_short(&self, string: &[u8]) -> Option<u32> {
        let packed = packed(string);
        let mut pieces = self.pieces.iter();
        pieces.find_map(|piece| piece.short.get(&packed)).copied()
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
            return Ok(self.of_short(string));
        }
        let is_at = |offset: u32| {
            let tail = section.get(offset as usize..).unwrap_or_default();
            tail.strip_prefix(string).and_then(<[u8]>::first) == Some(&0)
        };
        if let Some(offset) = self.wanted.find(self.hasher.of_all(string), is_at) {
            return Ok(Some(offset));
        }
        let ends = self.hasher.of_ends(string);
        let pieces = self.pieces.iter();
        for piece in pieces.filter(|piece| piece.longer.may_have(ends)) {
            let strings = section.get(piece.range.clone()).unwrap_or_default();
            if let Some(found) = self.search(strings, string)? {
                return Ok(Some(piece.range.start as u32 + found));
            }
        }
        Ok(None)
    }

    /// As `find`, by looking at all `strings`.
    fn search(&self, strings: &[u8], string: &[u8]) -> Result<Option<u32>, TooManySearches> {
        if self.searches.fetch_add(1, Ordering::Relaxed) >= MAX_SEARCHES {
            return Err(TooManySearches);
        }
        // The first string has no NUL before it.
        let whole = [&[0], string, &[0]].concat();
        let is_first = whole
            .get(1..)
            .is_some_and(|whole| strings.starts_with(whole));
        let first = is_first.then_some(0);
        Ok(first.or_else(|| Some(memmem::find(strings, &whole)? as u32 + 1)))
    }
}

impl Piece {
    /// Reads the strings in `range`; `None` if a string of a few bytes or one that is wanted has been met before.
    fn read(
        section: &[u8],
        range: Range<usize>,
        hasher: Hasher,
        wanted: &[&[u8]],
        places: &Wanted,
    ) -> Option<Self> {
        let mut short: FastMap<u32, u32> = FastMap::default();
        let mut longer = Filter::new(range.len());
        let mut are_once = true;
        for_each_string(section, range.clone(), |string| {
            let (offset, len) = (string.start as u32, string.len());
            let bytes = || section.get(string.clone()).unwrap_or_default();
            if len <= SHORT_LEN {
                are_once &= short.insert(packed(bytes()), offset).is_none();
                return are_once;
            }
            let tail = section.get(string.start..).unwrap_or_default();
            let head = section.get(..string.end).unwrap_or_default();
            let ends = match (tail.first_chunk(), head.last_chunk()) {
                (Some(&first), Some(&last)) => hasher.of_around(first, last, len),
                _ => hasher.of_ends(bytes()),
            };
            longer.insert(ends);
            if places.may_have(ends) {
                let is_it = |index: usize| wanted.get(index) == Some(&bytes());
                are_once &= places.set(hasher.of_all(bytes()), is_it, offset);
            }
            are_once
        });
        are_once.then_some(Self {
            range,
            short,
            longer,
        })
    }
}

/// Where the first string starts that does so at `offset` or behind.
fn string_start(section: &[u8], offset: usize) -> usize {
    let Some(before) = offset.checked_sub(1) else {
        return 0;
    };
    let tail = section.get(before..).unwrap_or_default();
    memchr::memchr(0, tail).map_or(section.len(), |nul| offset + nul)
}

/// A string of up to three bytes as a number; none has a NUL.
fn packed(string: &[u8]) -> u32 {
    let bytes = string.iter().take(SHORT_LEN);
    bytes.fold(0, |packed, &byte| packed << 8 | u32::from(byte))
}

/// Calls `visit` with the place of each string in `range` of a section, until that returns `false`.
#[inline]
fn for_each_string(
    section: &[u8],
    range: Range<usize>,
    mut visit: impl FnMut(Range<usize>) -> bool,
) {
    let bytes = section.get(range.clone()).unwrap_or_default();
    let (rows, rest) = bytes.as_chunks::<64>();
    let mut last = [0xff; 64];
    for (to, &from) in last.iter_mut().zip(rest) {
        *to = from;
    }
    let (mut start, mut first) = (range.start, range.start);
    for row in rows.iter().chain([&last]) {
        // That there is one more is hard to foresee: the more bytes the mask is of, the fewer such questions.
        let mut zeros = zeros_of(row);
        while zeros != 0 {
            let end = first + zeros.trailing_zeros() as usize;
            if !visit(start..end) {
                return;
            }
            start = end + 1;
            zeros &= zeros - 1;
        }
        first += row.len();
    }
}

/// A bit for each byte that is 0.
#[inline]
fn zeros_of(row: &[u8; 64]) -> u64 {
    let (words, _) = row.as_chunks::<8>();
    words.iter().rev().fold(0, |mask, &word| {
        // The product has the highest bits of all bytes side by side at its top.
        let zeros = zero_bytes(u64::from_le_bytes(word));
        mask << 8 | zeros.wrapping_mul(0x0002_0408_1020_4081) >> 56
    })
}

/// The highest bit of each byte that is 0.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

/// Hashes that nobody can foresee.
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

    /// The hash of all of a string.
    fn of_all(&self, string: &[u8]) -> u64 {
        xxh3_64_with_seed(string, self.seeds[0])
    }

    /// The hash of the first and last eight bytes of a string, and its length, which is not 0: the same for few strings.
    fn of_ends(&self, string: &[u8]) -> u64 {
        let len = string.len();
        let (mut first, mut last) = ([0; 8], [0; 8]);
        for (to, &from) in first.iter_mut().zip(string) {
            *to = from;
        }
        for (to, &from) in last.iter_mut().rev().zip(string.iter().rev()) {
            *to = from;
        }
        self.of_around(first, last, len)
    }

    /// As `of_ends`, of the eight bytes from a string's start on and those up to its end, which may be others' if it is shorter.
    #[inline]
    fn of_around(&self, first: [u8; 8], last: [u8; 8], len: usize) -> u64 {
        let others = 64 - 8 * len.min(8) as u32;
        let first = u64::from_le_bytes(first) << others;
        let last = u64::from_le_bytes(last) >> others;
        self.fold(first, last, len)
    }

    /// Multiplies, and folds the product.
    #[inline]
    fn fold(&self, a: u64, b: u64, len: usize) -> u64 {
        let [first, second] = self.seeds;
        let wide = u128::from(a ^ first) * u128::from((b ^ second).wrapping_add(len as u64));
        (wide >> 64) as u64 ^ wide as u64
    }
}

/// Tells of some hashes that they have not been added: each sets three bits of one word, which others can share.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// A filter for the strings of a section of `len` bytes; a kernel's set a tenth of its bits.
    fn new(len: usize) -> Self {
        Self {
            words: vec![0; len / BYTES_PER_WORD + 1],
        }
    }

    /// The index of the word for a hash, and its bits there.
    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63);
        let word = ((hash >> 32) * self.words.len() as u64) >> 32;
        (word as usize, bits)
    }

    #[inline]
    fn insert(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bits;
        }
    }

    fn may_have(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        let word = self.words.get(word).copied().unwrap_or_default();
        word & bits == bits
    }
}

/// The strings that are looked for.
#[derive(Debug)]
struct Wanted {
    /// A bit for the hash of the ends of each, which others can share.
    bits: Vec<u64>,
    /// The upper half of the hash of all of each, and its index.
    by_hash: HashTable<(u32, u32)>,
    /// The offset of each.
    offsets: Vec<AtomicU32>,
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
            let ends = hasher.of_ends(string);
            if let Some(bits) = bits.get_mut(ends as usize % Self::BITS / 64) {
                *bits |= 1 << (ends % 64);
            }
            let hash = (hasher.of_all(string) >> 32) as u32;
            by_hash.insert_unique(spread(hash), (hash, index), |&(hash, _)| spread(hash));
        }
        Self {
            bits,
            by_hash,
            offsets: wanted.iter().map(|_| AtomicU32::new(NOWHERE)).collect(),
        }
    }

    #[inline]
    fn may_have(&self, ends: u64) -> bool {
        let bits = self.bits.get(ends as usize % Self::BITS / 64);
        bits.is_some_and(|bits| bits >> (ends % 64) & 1 != 0)
    }

    /// Sets the offset of the string of this hash, if one is wanted; `false` if that was set before.
    fn set(&self, hash: u64, is_it: impl Fn(usize) -> bool, offset: u32) -> bool {
        let hash = (hash >> 32) as u32;
        let is_it = |&(other, index): &(u32, u32)| other == hash && is_it(index as usize);
        let found = self.by_hash.find(spread(hash), is_it);
        let found = found.and_then(|&(_, index)| self.offsets.get(index as usize));
        found.is_none_or(|found| found.swap(offset, Ordering::Relaxed) == NOWHERE)
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
            .map(|offset| offset.load(Ordering::Relaxed))
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
            assert_eq!(scan.of_wanted(index, string), offset(string), "{string:?}");
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
    fn wanted_strings_that_stand_there_twice_are_noticed() {
        for equal in [
            &b"a"[..],
            b"abc",
            b"abcd",
            b"abcdefghi",
            &[b'x'; 20],
            &[b'x'; 50],
        ] {
            let twice = section(&[b"", equal, b"between", equal]);
            assert!(StringScan::new(&twice, &[equal]).is_none(), "{equal:?}");
            let far = section(&[b"", equal, &[b'-'; 3 * PIECE], equal]);
            assert!(StringScan::new(&far, &[equal]).is_none(), "{equal:?}");
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
        let found = found.count();
        let searched = MAX_SEARCHES as usize;
        // What is not in a piece may be searched there, too.
        assert!((51..=50 + searched).contains(&found), "{found}");
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
            let mut row = [1; 64];
            for at in 0..8 {
                row[at * 8..at * 8 + 8].copy_from_slice(&word);
                let is_zero = |at: usize| u64::from(row[at] == 0) << at;
                assert_eq!(zeros_of(&row), (0..64).map(is_zero).sum());
            }
        }
    }
}
