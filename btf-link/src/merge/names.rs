//! Numbers for strings: equal strings of all inputs have one number.
//!
//! The strings of an input are looked at once, not once for each use. Between threads they are known by a hash of 128 bits and not
//! compared, as the types of the merge are; its seed is random, so that nobody can make two strings of one hash.

use std::hash::{BuildHasher as _, RandomState};

use btf_core::dedup::{NO_NAME, Name};
use btf_core::overlap::BoundedStrings;
use btf_core::shared::{Row, SharedTable};
use btf_core::{Btf, Result, StrOffset};
use hashbrown::{HashTable, hash_table};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The strings of all inputs, shared by all threads.
#[derive(Debug)]
pub(crate) struct Names {
    seed: u64,
    by_hash: SharedTable<()>,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self::with_capacity(0)
    }

    /// As [`Names::new`], with room for about so many strings.
    pub(crate) fn with_capacity(room: usize) -> Self {
        Self {
            seed: RandomState::new().hash_one(0),
            // The empty string is 0.
            by_hash: SharedTable::with_capacity(room, 1),
        }
    }

    fn hash(&self, string: &[u8]) -> u128 {
        xxh3_128_with_seed(string, self.seed)
    }

    /// All strings by their numbers, from what the threads have met first.
    pub(crate) fn strings(&self, created: Vec<Created>) -> Strings {
        let mut places = vec![Place::default(); self.by_hash.end() as usize];
        for (arena, created) in (0..).zip(&created) {
            for &index in &created.first {
                let number = created.numbers[index as usize];
                places[number as usize] = Place { arena, index };
            }
        }
        let arenas = created.into_iter().map(|created| created.arena);
        Strings {
            arenas: arenas.collect(),
            places,
        }
    }
}

/// The strings of a thread, as in [`LocalNames`].
#[derive(Debug)]
pub(crate) struct Created {
    arena: Arena,
    numbers: Vec<u32>,
    /// The indices of those that it has met first.
    first: Vec<u32>,
}

/// All strings by their numbers.
#[derive(Debug)]
pub(crate) struct Strings {
    arenas: Vec<Arena>,
    places: Vec<Place>,
}

/// Where a string is: in which arena, and its index there.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    arena: u32,
    index: u32,
}

/// Strings one behind the other, each with its NUL.
#[derive(Debug)]
struct Arena {
    bytes: Vec<u8>,
    /// Where each starts, and where the last one ends.
    starts: Vec<usize>,
}

impl Arena {
    /// Where a string starts, and where its NUL ends.
    #[inline]
    fn place(&self, index: u32) -> [usize; 2] {
        [self.starts[index as usize], self.starts[index as usize + 1]]
    }

    /// The string of an index.
    #[inline]
    fn get(&self, index: u32) -> &[u8] {
        let [start, end] = self.place(index);
        &self.bytes[start..end - 1]
    }

    /// The number of strings.
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        self.starts.push(self.bytes.len());
    }
}

impl Strings {
    /// How many there are, the empty one included.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The string of a number; empty if there is none.
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        let place = self.places.get(number as usize);
        let Place { arena, index } = place.copied().unwrap_or_default();
        let arena = self.arenas.get(arena as usize);
        arena.map_or(&[], |arena| arena.get(index))
    }
}

/// How many strings get their numbers together, at most: enough for a row ([`btf_core::shared`]), and few beside all strings.
const MAX_NEW: usize = 1 << 12;

/// What one thread knows of the strings.
///
/// Inputs often have the same strings in the same order, those of the headers that they include. So a section is compared with all that
/// followed a string when it was met first, as one run of bytes, and where they part with what followed the last times, before a hash is
/// computed. Strings are kept, inputs need not be.
#[derive(Debug)]
pub(crate) struct LocalNames<'n> {
    names: &'n Names,
    /// All strings, in the order in which they were met.
    arena: Arena,
    /// The number of each, of the last ones only after [`LocalNames::number_new`].
    numbers: Vec<u32>,
    /// Of each as much of its hash as `by_hash` needs when it grows.
    hashes: Vec<u32>,
    /// The index of each, by that.
    by_hash: HashTable<u32>,
    /// For each the indices of those that followed it last and before that, where those are not the next ones anyway.
    next: Vec<[u32; 2]>,
    /// Those that have no number yet.
    new: Row<()>,
    /// The indices of those that this thread has met first.
    created: Vec<u32>,
    /// Memory that was used before.
    spare: Vec<Vec<u32>>,
    new_starts: Vec<(usize, u32)>,
}

impl<'n> LocalNames<'n> {
    pub(crate) fn new(names: &'n Names) -> Self {
        Self {
            names,
            // The empty string, which is number 0.
            arena: Arena {
                bytes: vec![0],
                starts: vec![0, 1],
            },
            numbers: vec![0],
            hashes: vec![0],
            by_hash: HashTable::new(),
            next: vec![[0; 2]],
            new: Row::default(),
            created: Vec::new(),
            spare: Vec::new(),
            new_starts: Vec::new(),
        }
    }

    /// Makes room to look so many strings up.
    pub(crate) fn reserve(&mut self, strings: usize) {
        let hashes = &self.hashes;
        let rehash = |&index: &u32| spread(hashes[index as usize]);
        self.by_hash.reserve(strings, rehash);
    }

    /// The strings that this thread has met first.
    pub(crate) fn finish(self) -> Created {
        Created {
            arena: self.arena,
            numbers: self.numbers,
            first: self.created,
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
        self.number_new();
        self.numbers[index as usize]
    }

    /// Gives numbers to the strings that have none yet.
    fn number_new(&mut self) {
        let Self {
            names,
            arena,
            numbers,
            new,
            created,
            ..
        } = self;
        let first = numbers.len();
        numbers.resize(arena.len(), NO_NAME);
        let join = |(): &mut (), ()| ();
        names.by_hash.number_all(new, join, |at, number, is_new| {
            let index = first + at;
            numbers[index] = number;
            if is_new {
                // There are no more strings than numbers.
                created.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        });
    }

    /// The index of a string.
    fn index(&mut self, string: &[u8]) -> u32 {
        if string.is_empty() {
            return 0;
        }
        let (arena, hashes) = (&self.arena, &self.hashes);
        let hash = self.names.hash(string);
        let part = part_of(hash);
        // What follows the string in the arena is asked for next, so that it is compared itself, not all of its hash.
        let is_it = |&index: &u32| arena.get(index) == string;
        let rehash = |&index: &u32| spread(hashes[index as usize]);
        let place = match self.by_hash.entry(spread(part), is_it, rehash) {
            hash_table::Entry::Occupied(known) => return *known.get(),
            hash_table::Entry::Vacant(place) => place,
        };
        // There are no more strings than numbers.
        let index = u32::try_from(self.arena.len()).unwrap_or(u32::MAX);
        place.insert(index);
        self.hashes.push(part);
        self.new.push(hash, ());
        self.arena.push(string);
        self.next.push([0; 2]);
        if self.arena.len() - self.numbers.len() == MAX_NEW {
            self.number_new();
        }
        index
    }

    /// The index of the string at the start of `rest`, which stands behind the one with the index `last`, and how many bytes of `rest`
    /// are as in `arena` from there.
    #[inline]
    fn run_behind(&mut self, last: u32, rest: &[u8]) -> (u32, usize) {
        let [first, second] = self.next[last as usize];
        let run = |index| {
            let [start, end] = self.arena.place(index);
            let len = common_len(rest, &self.arena.bytes[start..]);
            (start + len >= end).then_some((index, len))
        };
        if let Some(run) = run(first) {
            return run;
        }
        let (index, len) = run(second).unwrap_or_else(|| {
            let len = memchr::memchr(0, rest).unwrap_or(rest.len());
            (self.index(&rest[..len]), len + 1)
        });
        self.next[last as usize] = [index, first];
        (index, len)
    }

    /// Numbers the own strings of `btf`, by where they start.
    fn number_all(&mut self, btf: &Btf) -> Vec<u32> {
        let section = btf.string_bytes();
        let mut by_start = self.spare.pop().unwrap_or_default();
        by_start.clear();
        by_start.resize(section.len(), NO_NAME);
        let (mut start, mut last) = (0, 0);
        let mut new = std::mem::take(&mut self.new_starts);
        while let Some(rest) = section.get(start..).filter(|rest| !rest.is_empty()) {
            let (first, len) = self.run_behind(last, rest);
            let by_start = &mut by_start[start..];
            let starts = &self.arena.starts[first as usize..];
            let mut behind = starts.iter().skip(1).map(|end| end - starts[0]);
            let Some(numbers) = self.numbers.get(first as usize..).filter(|n| !n.is_empty()) else {
                new.push((start, first));
                last = first;
                start += behind.next().unwrap_or(len);
                continue;
            };
            let mut from = 0;
            for ((index, &number), end) in (first..).zip(numbers).zip(behind) {
                if end > len {
                    break;
                }
                by_start[from] = number;
                (last, from) = (index, end);
            }
            start += from;
        }
        self.number_new();
        for (start, index) in new.drain(..) {
            by_start[start] = self.numbers[index as usize];
        }
        self.new_starts = new;
        by_start
    }
}

/// The part of a hash that is kept.
#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn part_of(hash: u128) -> u32 {
    hash as u32
}

/// A hash for a table, which looks at the upper and the lower bits, of that part.
#[inline]
fn spread(part: u32) -> u64 {
    u64::from(part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// How many bytes at the start of two slices are equal.
#[inline]
fn common_len(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = size_of::<u128>();
    let (a_steps, b_steps) = (a.as_chunks::<STEP>().0, b.as_chunks::<STEP>().0);
    let mut len = 0;
    for (a, b) in a_steps.iter().zip(b_steps) {
        let difference = u128::from_le_bytes(*a) ^ u128::from_le_bytes(*b);
        if difference != 0 {
            return len + difference.trailing_zeros() as usize / 8;
        }
        len += STEP;
    }
    let rest = a[len..].iter().zip(&b[len..]);
    len + rest.take_while(|(a, b)| a == b).count()
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

#[cfg(test)]
mod tests {
    use super::*;
    use btf_core::Builder;

    /// BTF without types and with these strings.
    fn btf(strings: &[&str]) -> Btf {
        let mut builder = Builder::new();
        for string in strings {
            builder.add_string(string.as_bytes()).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn a_string_has_one_number_wherever_it_stands() {
        let long = "a_name_that_is_longer_than_a_step";
        let sections: [&[&str]; 6] = [
            &["a", "b", long, "c"],
            &["a", "b", long, "c"],
            // Parts inside of a string: behind its end, before it, and in a longer one's middle.
            &["a", "bb", long, "c", "d"],
            &["a", "b", "a_name_that_is_longer_than_a", "c"],
            &[long, "a", "d", "b"],
            &["b", long],
        ];
        let names = Names::new();
        let mut local = LocalNames::new(&names);
        let all = sections.map(btf);
        let mut found: Vec<(Vec<u8>, u32)> = Vec::new();
        for btf in &all {
            let numbers = local.number_all(btf);
            let section = btf.string_bytes();
            assert_eq!(numbers.len(), section.len());
            for (start, &number) in numbers.iter().enumerate() {
                let is_start = start == 0 || section[start - 1] == 0;
                assert_eq!(number != NO_NAME, is_start, "{start}");
                if is_start {
                    let string = btf.string(StrOffset(u32::try_from(start).unwrap()));
                    found.push((string.unwrap().to_vec(), number));
                }
            }
        }
        let strings = names.strings(vec![local.finish()]);
        for (string, number) in found {
            assert_eq!(strings.get(number), string);
        }
        assert_eq!(strings.len(), 8);
    }

    #[test]
    fn what_is_equal_at_the_start_is_counted() {
        let all: Vec<u8> = (0..100).collect();
        for len in [0, 1, 15, 16, 17, 31, 32, 99] {
            let mut other = all.clone();
            other[len] = 255;
            assert_eq!(common_len(&all, &other), len);
            assert_eq!(common_len(&all[..len], &all), len);
        }
    }
}
