//! Hashes of names, so that names of two blobs are compared without a look at their bytes.
//!
//! The string section is gone over once. A bit for each byte tells where strings start and a population count which string
//! it is: both stay in the processor's cache, which a table by offset would not, and in one line of it. Names that start inside a string (a linker may
//! share the ends of names) are hashed one by one, and kept.
//!
//! The seed is random for each run, so nobody can make two names that collide; no order depends on hashes.

use btf_core::dedup::FastMap;
use btf_core::{ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many bytes of names inside of strings are hashed for each byte of the section: hostile input uses all ends of one long
/// string as names.
const INSIDE_FACTOR: usize = 16;

/// What may be hashed in any case, in bytes.
const INSIDE_BYTES: usize = 1 << 20;

/// The bytes of a string section that stand together: as many as a word has bits.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// At which of them strings start.
    is_start: u32,
    /// How many strings start before them.
    rank: u32,
}

impl Block {
    const LEN: usize = u32::BITS as usize;
}

/// How long a string of a kernel is with its NUL, in bytes, or a little less.
const MEAN_LEN: usize = 16;

/// The hashes of the strings of one blob, without its base's.
#[derive(Debug)]
pub(super) struct Hashes<'b> {
    section: &'b [u8],
    /// The offset of the first byte of `section`.
    first: u32,
    seed: u64,
    blocks: Vec<Block>,
    /// The hash of each string.
    strings: Vec<u64>,
    /// Where each string ends in `section`.
    ends: Vec<u32>,
    /// The same of names inside of strings, by offset.
    inside: FastMap<u32, (u64, &'b [u8])>,
    budget: usize,
}

impl<'b> Hashes<'b> {
    /// Hashes all strings of `section`, which ends with NUL as every section does that has been read.
    pub(super) fn new(section: &'b [u8], first: u32, seed: u64) -> Self {
        let mut blocks = vec![Block::default(); section.len() / Block::LEN + 1];
        let expected = section.len() / MEAN_LEN;
        let mut strings = Vec::with_capacity(expected);
        let mut ends = Vec::with_capacity(expected);
        let mut start = 0;
        for end in memchr::memchr_iter(0, section) {
            if let Some(block) = blocks.get_mut(start / Block::LEN) {
                block.is_start |= 1 << (start % Block::LEN);
            }
            let string = section.get(start..end).unwrap_or_default();
            strings.push(xxh3_64_with_seed(string, seed));
            // The reader has seen to it that offsets fit 32 bits.
            ends.push(u32::try_from(end).unwrap_or(u32::MAX));
            start = end + 1;
        }
        let mut rank = 0;
        for block in &mut blocks {
            block.rank = rank;
            rank += block.is_start.count_ones();
        }
        Self {
            section,
            first,
            seed,
            blocks,
            strings,
            ends,
            inside: FastMap::default(),
            budget: section.len().saturating_mul(INSIDE_FACTOR) + INSIDE_BYTES,
        }
    }

    /// Sees to it that the name at `offset`, which the blob itself has, is known.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`]; [`ErrorKind::TooLarge`] if names inside of strings are out of all proportion.
    #[inline]
    pub(super) fn learn(&mut self, offset: u32) -> Result<()> {
        match self.rank(offset) {
            Some(_) => Ok(()),
            None if self.inside.contains_key(&offset) => Ok(()),
            None => self.learn_inside(offset),
        }
    }

    #[cold]
    fn learn_inside(&mut self, offset: u32) -> Result<()> {
        let missing = || ErrorKind::StringOutOfRange(offset);
        let local = offset.checked_sub(self.first).ok_or_else(missing)?;
        let tail = self.section.get(local as usize..).ok_or_else(missing)?;
        let len = memchr::memchr(0, tail).ok_or_else(missing)?;
        let name = tail.get(..len).unwrap_or_default();
        let hash = self.hash_inside(name)?;
        self.inside.insert(offset, (hash, name));
        Ok(())
    }

    /// The hash of a name that is the end of another one.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if such names are out of all proportion.
    pub(super) fn hash_inside(&mut self, name: &[u8]) -> Result<u64> {
        let Some(left) = self.budget.checked_sub(name.len()) else {
            let limit = (self.section.len() * INSIDE_FACTOR + INSIDE_BYTES) as u64;
            return Err(ErrorKind::TooLarge {
                what: "length of names that are ends of other names, in bytes",
                value: limit + name.len() as u64,
                limit,
            }
            .into());
        };
        self.budget = left;
        Ok(xxh3_64_with_seed(name, self.seed))
    }

    /// Which string starts at `offset`, if one does.
    #[inline]
    fn rank(&self, offset: u32) -> Option<usize> {
        let local = offset.checked_sub(self.first)? as usize;
        let block = self.blocks.get(local / Block::LEN)?;
        let bit = 1_u32 << (local % Block::LEN);
        let is_start = block.is_start & bit != 0;
        is_start.then(|| (block.rank + (block.is_start & (bit - 1)).count_ones()) as usize)
    }

    /// The hash of the name at `offset`, if it has been learned or is a whole string.
    #[inline]
    pub(super) fn hash(&self, offset: u32) -> Option<u64> {
        match self.rank(offset) {
            Some(rank) => self.strings.get(rank).copied(),
            None => self.inside.get(&offset).map(|&(hash, _)| hash),
        }
    }

    /// The name at `offset`, if it has been learned or is a whole string.
    #[inline]
    pub(super) fn name(&self, offset: u32) -> Option<&'b [u8]> {
        let Some(rank) = self.rank(offset) else {
            return self.inside.get(&offset).map(|&(_, name)| name);
        };
        let (start, &end) = (offset - self.first, self.ends.get(rank)?);
        self.section.get(start as usize..end as usize)
    }

    /// The offset of the first string.
    pub(super) fn first(&self) -> u32 {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_their_bytes() {
        let long = [b"\0abc\0bc\0".as_slice(), &[b'x'; 200], b"\0c\0"].concat();
        let mut hashes = Hashes::new(&long, 100, 7);
        for (offset, name) in [
            (100, &b""[..]),
            (101, b"abc"),
            (105, b"bc"),
            (102, b"bc"),
            (309, b"c"),
        ] {
            hashes.learn(offset).unwrap();
            assert_eq!(hashes.name(offset), Some(name), "{offset}");
            let hash = xxh3_64_with_seed(name, 7);
            assert_eq!(hashes.hash(offset), Some(hash), "{offset}");
        }
        for missing in [0, 99, 311, u32::MAX] {
            let error = hashes.learn(missing).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::StringOutOfRange(_)));
        }
    }

    #[test]
    fn ends_of_one_string_have_a_budget() {
        let mut section = vec![b'a'; 1 << 16];
        section[0] = 0;
        section.push(0);
        let mut hashes = Hashes::new(&section, 0, 7);
        let failed = (1..1 << 16).find_map(|offset| hashes.learn(offset).err());
        assert!(matches!(failed.unwrap().kind(), ErrorKind::TooLarge { .. }));
    }
}
