//! Hashes of names, so that names of two blobs are compared without a look at their bytes.
//!
//! A name is hashed wherever it is met: most end in their first 16 bytes, and to find a hash that was kept for an offset takes no less
//! than those. Only names that are longer than kernels accept are hashed once and kept, and all of them together are bounded.
//!
//! The seed is random for each run, so nobody can make two names that collide; no order depends on hashes.

use btf_core::dedup::FastMap;
use btf_core::overlap::BoundedStrings;
use btf_core::{Btf, Result, StrOffset};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::names::{Names, short};
use crate::put::{halves, zeroes};

/// Spreads a seed over all bits: any odd number does that has many of them.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hashes of the names of one blob and its bases.
#[derive(Debug)]
pub(super) struct Hashes<'b> {
    names: Names<'b>,
    /// The own string section, and the offset of its first byte.
    own: (&'b [u8], u32),
    seed: u64,
    /// The hashes and the bytes of long names, by their offsets.
    long: FastMap<StrOffset, (u64, &'b [u8])>,
    strings: BoundedStrings<'b>,
}

impl<'b> Hashes<'b> {
    pub(super) fn new(btf: &'b Btf, seed: u64) -> Self {
        Self {
            names: Names::new(btf),
            own: (btf.string_bytes(), btf.first_string()),
            seed,
            long: FastMap::default(),
            strings: BoundedStrings::new(btf),
        }
    }

    /// Sees to it that a name is known, and returns its hash.
    ///
    /// # Errors
    /// Those of [`BoundedStrings::get`].
    #[cold]
    pub(super) fn learn(&mut self, offset: StrOffset) -> Result<u64> {
        if let Some(hash) = self.hash(offset) {
            return Ok(hash);
        }
        let name = self.strings.get(offset)?;
        let hash = xxh3_64_with_seed(name, self.seed);
        self.long.insert(offset, (hash, name));
        Ok(hash)
    }

    /// The hash of the name at `offset`, if it has been learned or is short.
    #[inline]
    pub(super) fn hash(&self, offset: StrOffset) -> Option<u64> {
        let (own, first) = self.own;
        let start = offset.0.wrapping_sub(first) as usize;
        if let Some(&block) = own.get(start..).and_then(<[u8]>::first_chunk)
            && let (low, high) = halves(block)
            && let Some(ends) = ends(low, high)
        {
            return Some(last(self.seed, (low, high), ends, key(self.seed)));
        }
        self.hash_whole(offset)
    }

    /// The same of what does not end in its first 16 bytes, or stands elsewhere.
    #[inline(never)]
    fn hash_whole(&self, offset: StrOffset) -> Option<u64> {
        let tail = self.names.tail(offset)?;
        let long = || self.long.get(&offset).map(|&(hash, _)| hash);
        hash_short(short(tail), self.seed).or_else(long)
    }

    /// The name at `offset`, if it has been learned or is short.
    #[inline]
    pub(super) fn name(&self, offset: StrOffset) -> Option<&'b [u8]> {
        let long = || self.long.get(&offset).map(|&(_, name)| name);
        let name = self.names.find_short(offset).map(|name| name.bytes);
        name.or_else(long)
    }
}

/// The hash of the string at the start of `tail`, if it ends there.
fn hash_short(tail: &[u8], seed: u64) -> Option<u64> {
    let key = key(seed);
    let mut hash = seed;
    let (blocks, rest) = tail.as_chunks::<16>();
    for &block in blocks {
        let (low, high) = halves(block);
        if let Some(ends) = ends(low, high) {
            return Some(last(hash, (low, high), ends, key));
        }
        hash = fold(hash ^ low, key ^ high);
    }
    // What stands at the end of the section.
    let len = memchr::memchr(0, rest)?;
    let mut block = [0; 16];
    block[..len].copy_from_slice(&rest[..len]);
    let (low, high) = halves(block);
    Some(fold(hash ^ low, key ^ high))
}

/// Another number than the seed.
#[inline]
fn key(seed: u64) -> u64 {
    seed.wrapping_mul(FACTOR)
}

/// Where NUL bytes are in both halves of 16 bytes, see [`zeroes`]; `None` if there is none.
#[inline]
fn ends(low: u64, high: u64) -> Option<(u64, u64)> {
    let ends = (zeroes(low), zeroes(high));
    (ends.0 | ends.1 != 0).then_some(ends)
}

/// The hash of a string that ends in 16 bytes, without what is behind its end, if `hash` is that of what is before them.
#[inline]
fn last(hash: u64, (low, high): (u64, u64), ends: (u64, u64), key: u64) -> u64 {
    // Without an end in the lower half all of it counts, otherwise nothing of the upper one.
    let (low, high) = if ends.0 == 0 {
        (low, high & before(ends.1))
    } else {
        (low & before(ends.0), 0)
    };
    fold(hash ^ low, key ^ high)
}

/// The bits of all bytes before the one that the lowest bit of `ends` is in the highest place of.
#[inline]
fn before(ends: u64) -> u64 {
    ((ends & ends.wrapping_neg()) >> 7).wrapping_sub(1)
}

/// Multiplies, and puts both halves of the product together.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = halves((u128::from(a) * u128::from(b)).to_le_bytes());
    low ^ high
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use btf_core::{Builder, ErrorKind};

    use super::*;

    /// BTF with these strings behind the empty one, each of which none other ends with.
    fn blob(strings: &[&[u8]], base: Option<Arc<Btf>>) -> Btf {
        let mut builder = base.map_or_else(Builder::new, Builder::with_base);
        for string in strings {
            builder.add_string(string).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn names_are_known_by_their_bytes() {
        let text: Vec<u8> = (b'a'..=b'z').cycle().take(700).collect();
        let lens = (1..100).chain([500, 511, 512, 513, 700]);
        let btf = |text: &[u8]| {
            let strings: Vec<_> = lens.clone().map(|len| &text[..len]).collect();
            blob(&strings, None)
        };
        let btfs = [btf(&text), btf(&text[1..].repeat(2))];
        let mut known = FastMap::default();
        for btf in &btfs {
            let mut hashes = Hashes::new(btf, 7);
            let end = u32::try_from(btf.string_bytes().len()).unwrap();
            for offset in (0..end).map(StrOffset) {
                let name = btf.string(offset).unwrap();
                let is_short = name.len() < 512;
                assert_eq!(hashes.hash(offset).is_some(), is_short, "{offset:?}");
                let Ok(hash) = hashes.learn(offset) else {
                    continue;
                };
                assert_eq!(hashes.name(offset), Some(name));
                assert_eq!(hashes.hash(offset), Some(hash));
                assert_eq!(*known.entry(name).or_insert(hash), hash, "{offset:?}");
            }
            let missing = hashes.learn(StrOffset(end)).unwrap_err();
            assert!(matches!(missing.kind(), ErrorKind::StringOutOfRange(_)));
        }
        let mut hashes: Vec<_> = known.values().collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), known.len());
    }

    #[test]
    fn a_base_has_names_and_long_ones_are_bounded() {
        let long = vec![b'a'; 1 << 14];
        let base = Arc::new(blob(&[&long], None));
        let split = blob(&[b"own"], Some(base.clone()));
        let (mut of_base, mut of_split) = (Hashes::new(&base, 7), Hashes::new(&split, 7));
        for offset in [1, 2, 1 << 13, (1 << 14) - 9].map(StrOffset) {
            let hash = of_base.learn(offset).unwrap();
            assert_eq!(of_split.learn(offset).unwrap(), hash);
        }
        let own = StrOffset(split.first_string());
        let names = [own, StrOffset(own.0 + 1)].map(|offset| of_split.name(offset));
        assert!(names.contains(&Some(b"own")), "{names:?}");
        let all = (1..1 << 14).map(StrOffset);
        let failed = all.clone().find_map(|offset| of_base.learn(offset).err());
        assert!(failed.unwrap().to_string().contains("as too many do"));
    }
}
