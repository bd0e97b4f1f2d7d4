//! Numbers for strings: equal strings of all inputs have one number.
//!
//! The strings of an input are looked at once, not once for each use. They are known by a hash of 128 bits and not compared, as
//! the types of the merge are; its seed is random, so that nobody can make two strings of one hash.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use btf_core::dedup::{NO_NAME, Name};
use btf_core::overlap::BoundedStrings;
use btf_core::{Btf, Result, StrOffset};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Enough that two threads seldom want the same one.
const SHARDS: usize = 64;

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
    pub(crate) fn strings(&self, created: Vec<Created>) -> Strings {
        let mut places = vec![Place::default(); self.next.load(Ordering::Relaxed) as usize];
        for (arena, created) in created.iter().enumerate() {
            for &(number, start, len) in &created.all {
                places[number as usize] = Place { arena, start, len };
            }
        }
        let arenas = created.into_iter().map(|created| created.arena);
        Strings {
            arenas: arenas.collect(),
            places,
        }
    }
}

/// The strings that a thread has met first: the number of each, where it starts in `arena`, and its length.
#[derive(Debug)]
pub(crate) struct Created {
    arena: Vec<u8>,
    all: Vec<(u32, usize, usize)>,
}

/// All strings by their numbers.
#[derive(Debug)]
pub(crate) struct Strings {
    arenas: Vec<Vec<u8>>,
    places: Vec<Place>,
}

/// Where a string is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    arena: usize,
    start: usize,
    len: usize,
}

impl Strings {
    /// How many there are, the empty one included.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The string of a number; empty if there is none.
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        let place = self.places.get(number as usize);
        let Place { arena, start, len } = place.copied().unwrap_or_default();
        let arena = self.arenas.get(arena);
        let string = arena.and_then(|arena| arena.get(start..start + len));
        string.unwrap_or_default()
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
/// times is tried before a hash is computed. Strings are kept, inputs need not be.
#[derive(Debug)]
pub(crate) struct LocalNames<'n> {
    names: &'n Names,
    /// The indices in `strings` by hash.
    known: HashTable<([u64; 2], u32)>,
    strings: Vec<Known>,
    /// The bytes of all strings, each with its NUL, and where each starts.
    arena: Vec<u8>,
    starts: Vec<usize>,
    /// The indices in `strings` of those that this thread has met first.
    created: Vec<u32>,
    /// Memory that was used before.
    spare: Vec<Vec<u32>>,
}

/// As many bytes of a string are kept beside what is known of it; most strings have fewer, their NUL included.
const HEAD_LEN: usize = 16;

/// A string that was met before; half a cache line, and for a short string all that it takes to know it again.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Its first bytes, its NUL included; zeroes behind it.
    head: [u8; HEAD_LEN],
    /// Its length without its NUL.
    len: u32,
    number: u32,
    /// The indices of those that followed it last and before that.
    next: [u32; 2],
}

impl<'n> LocalNames<'n> {
    pub(crate) fn new(names: &'n Names) -> Self {
        Self {
            names,
            known: HashTable::new(),
            // The empty string, which is number 0.
            strings: vec![Known {
                head: [0; HEAD_LEN],
                len: 0,
                number: 0,
                next: [0; 2],
            }],
            starts: vec![0],
            arena: vec![0],
            created: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The strings that this thread has met first.
    pub(crate) fn finish(self) -> Created {
        let created = self.created.iter();
        let all = created.map(|&index| {
            let known = self.strings[index as usize];
            (
                known.number,
                self.starts[index as usize],
                known.len as usize,
            )
        });
        Created {
            all: all.collect(),
            arena: self.arena,
        }
    }

    /// Begins to read names.
    pub(crate) fn reading<'b>(&mut self) -> Reading<'_, 'n, 'b> {
        Reading {
            local: self,
            chain: Vec::new(),
            strings: None,
        }
    }

    /// The number of a string.
    fn number(&mut self, string: &[u8]) -> u32 {
        let index = self.index(string);
        self.strings[index as usize].number
    }

    /// The index of a string in `strings`.
    fn index(&mut self, string: &[u8]) -> u32 {
        if string.is_empty() {
            return 0;
        }
        let hash = xxh3_128_with_seed(string, self.names.seed);
        let halves = [low(hash), low(hash >> 64)];
        if let Some(&(_, index)) = self.known.find(halves[0], |entry| entry.0 == halves) {
            return index;
        }
        let (number, is_new) = self.names.intern(hash);
        // There are no more strings than numbers.
        let index = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        if is_new {
            self.created.push(index);
        }
        let mut head = [0; HEAD_LEN];
        for (to, from) in head.iter_mut().zip(string) {
            *to = *from;
        }
        self.strings.push(Known {
            head,
            // Sections, and so strings, have less than 4 GiB.
            len: u32::try_from(string.len()).unwrap_or(u32::MAX),
            number,
            next: [0; 2],
        });
        self.starts.push(self.arena.len());
        self.arena.extend_from_slice(string);
        self.arena.push(0);
        self.known
            .insert_unique(halves[0], (halves, index), |entry| entry.0[0]);
        index
    }

    /// The index of the string at the start of `rest`, if it is one of those that followed the string `last` before.
    #[inline]
    fn guess(&mut self, last: u32, rest: &[u8]) -> Option<u32> {
        let [first, second] = self.strings[last as usize].next;
        if self.is_at(first, rest) {
            return Some(first);
        }
        if self.is_at(second, rest) {
            self.strings[last as usize].next = [second, first];
            return Some(second);
        }
        None
    }

    /// Whether a string and its NUL are at the start of `rest`.
    #[inline]
    fn is_at(&self, index: u32, rest: &[u8]) -> bool {
        let Known { head, len, .. } = &self.strings[index as usize];
        let len = *len as usize;
        // Most strings are short, and a call takes longer than they do.
        if let Some(start) = rest.first_chunk::<HEAD_LEN>() {
            let difference = u128::from_le_bytes(*start) ^ u128::from_le_bytes(*head);
            let equal = difference.trailing_zeros() as usize / 8;
            if equal < HEAD_LEN || len < HEAD_LEN {
                return equal > len;
            }
        }
        let start = self.starts[index as usize];
        rest.starts_with(&self.arena[start..=start + len])
    }

    /// Numbers the own strings of `btf`, by where they start.
    fn number_all(&mut self, btf: &Btf) -> Vec<u32> {
        let section = btf.string_bytes();
        let mut numbers = self.spare.pop().unwrap_or_default();
        numbers.clear();
        numbers.resize(section.len(), NO_NAME);
        let (mut start, mut last) = (0, 0);
        while let Some(rest) = section.get(start..).filter(|rest| !rest.is_empty()) {
            let index = self.guess(last, rest).unwrap_or_else(|| {
                let end = memchr::memchr(0, rest).unwrap_or(rest.len());
                let index = self.index(&rest[..end]);
                let next = &mut self.strings[last as usize].next;
                *next = [index, next[0]];
                index
            });
            let known = self.strings[index as usize];
            numbers[start] = known.number;
            start += known.len as usize + 1;
            last = index;
        }
        numbers
    }
}

/// The names of the types of one group.
#[derive(Debug)]
pub(crate) struct Reading<'l, 'n, 'b> {
    local: &'l mut LocalNames<'n>,
    /// The BTF that is read and what it continues, with the numbers of their own strings by where these start.
    chain: Vec<(&'b Btf, Vec<u32>)>,
    /// The names of that BTF which start inside of strings.
    strings: Option<BoundedStrings<'b>>,
}

impl Drop for Reading<'_, '_, '_> {
    fn drop(&mut self) {
        let numbers = self.chain.drain(..).map(|(_, numbers)| numbers);
        self.local.spare.extend(numbers);
    }
}

impl<'b> Reading<'_, '_, 'b> {
    /// The number of a string.
    pub(crate) fn number(&mut self, string: &[u8]) -> u32 {
        self.local.number(string)
    }

    /// Makes [`Reading::name`] look for the strings of `btf` and what it continues.
    pub(crate) fn begin(&mut self, btf: &'b Btf) {
        let mut before = std::mem::take(&mut self.chain);
        self.strings = Some(BoundedStrings::new(btf));
        for part in btf.chain() {
            let found = before
                .iter()
                .position(|(known, _)| std::ptr::eq(*known, part));
            let entry = match found {
                Some(at) => before.swap_remove(at),
                None => (part, self.local.number_all(part)),
            };
            self.chain.push(entry);
        }
        let spare = before.into_iter().map(|(_, numbers)| numbers);
        self.local.spare.extend(spare);
    }

    /// For each offset of the own strings of the BTF that is read the number of the string that starts there, or [`NO_NAME`].
    pub(crate) fn own(&self) -> &[u32] {
        self.chain.first().map_or(&[], |(_, numbers)| numbers)
    }

    /// The number of a name of the BTF that is read.
    #[inline]
    pub(crate) fn name(&mut self, offset: StrOffset) -> Result<Name> {
        let found = self.chain.iter().find_map(|(btf, numbers)| {
            let own = offset.0.checked_sub(btf.first_string())? as usize;
            Some(numbers.get(own))
        });
        if let Some(&number) = found.flatten().filter(|&&number| number != NO_NAME) {
            return Ok(Name(number));
        }
        let strings = self.strings.as_mut();
        let string = strings.map_or(Ok(&b""[..]), |strings| strings.get(offset))?;
        Ok(Name(self.local.number(string)))
    }
}
