//! Numbers for strings: equal strings of all inputs have one number.
//!
//! The strings of an input are looked at once, not once for each use. They are known by a hash of 128 bits and not compared, as
//! the types of the merge are; its seed is random, so that nobody can make two strings of one hash.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use btf_core::dedup::Name;
use btf_core::{Btf, ErrorKind, Result, StrOffset};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Enough that two threads seldom want the same one.
const SHARDS: usize = 64;

/// How many times the size of a string section the names may have that start inside of strings, in bytes. Nobody writes such names.
const INSIDE_FACTOR: usize = 4;

/// A string and its number.
type Entry = (u128, u32);

/// The strings of all inputs, shared by all threads.
#[derive(Debug)]
pub(crate) struct Names {
    seed: u64,
    shards: Vec<Mutex<HashTable<Entry>>>,
    next: AtomicU32,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self {
            seed: RandomState::new().hash_one(0),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            next: AtomicU32::new(1),
        }
    }

    /// The number of a string, and whether it is new.
    fn intern(&self, hash: u128) -> (u32, bool) {
        let shard = &self.shards[shard_of(hash)];
        let mut shard = shard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(&(_, number)) = shard.find(low(hash), |entry| entry.0 == hash) {
            return (number, false);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        shard.insert_unique(low(hash), (hash, number), |entry| low(entry.0));
        (number, true)
    }

    /// All strings by their numbers, from what the threads have met first.
    pub(crate) fn strings<'i>(&self, created: &[(u32, &'i [u8])]) -> Vec<&'i [u8]> {
        let mut strings: Vec<&[u8]> = vec![b""; self.next.load(Ordering::Relaxed) as usize];
        for &(number, string) in created {
            strings[number as usize] = string;
        }
        strings
    }
}

/// The shard for a hash: by other bits than those that tables use.
#[expect(
    clippy::cast_possible_truncation,
    reason = "any bits will do to choose a shard"
)]
fn shard_of(hash: u128) -> usize {
    (hash >> 64) as usize % SHARDS
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "that is how the lower half is taken"
)]
fn low(hash: u128) -> u64 {
    hash as u64
}

/// What one thread knows of the strings.
///
/// Inputs often have the same strings in the same order, those of the headers that they include. So what followed a string the last
/// time is tried before a hash is computed.
#[derive(Debug)]
pub(crate) struct LocalNames<'n, 'i> {
    names: &'n Names,
    /// The indices in `strings` by hash.
    known: HashTable<(u128, usize)>,
    strings: Vec<Known<'i>>,
    /// The strings that this thread has met first.
    pub(crate) created: Vec<(u32, &'i [u8])>,
    /// The BTF that is read and what it continues, with the numbers of their own strings by where these start.
    chain: Vec<(&'i Btf, Vec<u32>)>,
    /// Memory that was used before.
    spare: Vec<Vec<u32>>,
    /// How many bytes of names that start inside of strings may still be read.
    budget: usize,
}

/// A string that was met before.
#[derive(Debug)]
struct Known<'i> {
    string: &'i [u8],
    number: u32,
    /// The index of the one that followed it the last time.
    next: usize,
}

impl<'n, 'i> LocalNames<'n, 'i> {
    pub(crate) fn new(names: &'n Names) -> Self {
        Self {
            names,
            known: HashTable::new(),
            // The empty string, which is number 0.
            strings: vec![Known {
                string: b"",
                number: 0,
                next: 0,
            }],
            created: Vec::new(),
            chain: Vec::new(),
            spare: Vec::new(),
            budget: 0,
        }
    }

    /// The number of a string.
    pub(crate) fn number(&mut self, string: &'i [u8]) -> u32 {
        let index = self.index(string);
        self.strings[index].number
    }

    /// The index of a string in `strings`.
    fn index(&mut self, string: &'i [u8]) -> usize {
        if string.is_empty() {
            return 0;
        }
        let hash = xxh3_128_with_seed(string, self.names.seed);
        if let Some(&(_, index)) = self.known.find(low(hash), |entry| entry.0 == hash) {
            return index;
        }
        let (number, is_new) = self.names.intern(hash);
        if is_new {
            self.created.push((number, string));
        }
        let index = self.strings.len();
        self.strings.push(Known {
            string,
            number,
            next: 0,
        });
        self.known
            .insert_unique(low(hash), (hash, index), |entry| low(entry.0));
        index
    }

    /// Makes [`LocalNames::name`] look for the strings of `btf` and what it continues.
    pub(crate) fn begin(&mut self, btf: &'i Btf) {
        let mut before = std::mem::take(&mut self.chain);
        self.budget = 0;
        for part in btf.chain() {
            self.budget += part.string_bytes().len() * INSIDE_FACTOR;
            let found = before
                .iter()
                .position(|(known, _)| std::ptr::eq(*known, part));
            let entry = match found {
                Some(at) => before.swap_remove(at),
                None => (part, self.number_all(part)),
            };
            self.chain.push(entry);
        }
        self.spare
            .extend(before.into_iter().map(|(_, numbers)| numbers));
    }

    /// Numbers the own strings of `btf`.
    fn number_all(&mut self, btf: &'i Btf) -> Vec<u32> {
        let section = btf.string_bytes();
        let mut numbers = self.spare.pop().unwrap_or_default();
        // Only places where strings start are looked at later, and all of those are set.
        numbers.resize(section.len(), 0);
        let (mut rest, mut last) = (section, 0);
        while !rest.is_empty() {
            let start = section.len() - rest.len();
            let next = self.strings[last].next;
            let guess = self.strings[next].string;
            let behind = rest
                .strip_prefix(guess)
                .and_then(|rest| rest.strip_prefix(&[0]));
            let index = if let Some(behind) = behind {
                rest = behind;
                next
            } else {
                let end = memchr::memchr(0, rest).unwrap_or(rest.len());
                let index = self.index(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or_default();
                self.strings[last].next = index;
                index
            };
            numbers[start] = self.strings[index].number;
            last = index;
        }
        numbers
    }

    /// The number of a name of the BTF that is read.
    #[inline]
    pub(crate) fn name(&mut self, offset: StrOffset) -> Result<Name> {
        let found = self.chain.iter().find_map(|(btf, numbers)| {
            let own = offset.0.checked_sub(btf.first_string())? as usize;
            Some((btf, own, numbers.get(own)))
        });
        if let Some((btf, own, Some(&number))) = found
            && (own == 0 || btf.string_bytes()[own - 1] == 0)
        {
            return Ok(Name(number));
        }
        let btf = self.chain.first().map(|(btf, _)| *btf);
        let string = btf.map_or(Ok(&b""[..]), |btf| btf.string(offset))?;
        self.budget = self.budget.checked_sub(string.len()).ok_or_else(|| {
            let what = "name, which starts inside of a string, as too many do, at";
            ErrorKind::Invalid {
                what,
                value: offset.0.into(),
            }
        })?;
        Ok(Name(self.number(string)))
    }
}
