//! A table of 128-bit keys that all threads fill, in which each key has a number.
//!
//! Problem: a place in such a table is in no cache, and to release a lock is to wait until all that was written before has got there. So
//! whoever adds keys one by one waits for memory each time, and longer where another thread writes, too.
//!
//! Method: keys come in rows. Those of a row that are in one shard are looked up under one lock, one behind the other, so that the
//! processor waits for several at a time. A shard's keys lie side by side in the order in which they came, and its hash table holds only
//! their places there: an entry that nobody uses costs little, and new keys follow each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::{HashTable, hash_table};

/// Enough that threads seldom want the same one, and few enough that a row has several keys in each; a power of two.
const MAX_SHARDS: usize = 16;

/// Keys with their numbers, each with a value. A key is a hash: it must be as good as random.
#[derive(Debug)]
pub struct SharedTable<V> {
    shards: Vec<Mutex<Shard<V>>>,
    next: AtomicU32,
}

/// A key by its halves, which are not aligned to 16 bytes.
type Key = [u64; 2];

/// Some of the keys, in the order in which they came: in three lists, so that no gaps are between them.
#[derive(Debug)]
struct Shard<V> {
    /// Where each is in the lists, by its hash.
    places: HashTable<u32>,
    keys: Vec<Key>,
    numbers: Vec<u32>,
    values: Vec<V>,
}

impl<V: Copy> Shard<V> {
    fn with_capacity(keys: usize) -> Self {
        Self {
            places: HashTable::with_capacity(keys),
            keys: Vec::with_capacity(keys),
            numbers: Vec::with_capacity(keys),
            values: Vec::with_capacity(keys),
        }
    }

    fn find(&self, key: Key) -> Option<u32> {
        let is_it = |&place: &u32| self.keys[place as usize] == key;
        self.places.find(key[0], is_it).copied()
    }

    /// Where a key is, which is added without a number if it is not known.
    fn place(&mut self, key: Key, value: V, join: impl Fn(&mut V, V)) -> u32 {
        let keys = &self.keys;
        let is_it = |&place: &u32| keys[place as usize] == key;
        let hash = |&place: &u32| keys[place as usize][0];
        match self.places.entry(key[0], is_it, hash) {
            hash_table::Entry::Occupied(known) => {
                let place = *known.get();
                join(&mut self.values[place as usize], value);
                place
            }
            hash_table::Entry::Vacant(entry) => {
                // There are no more keys than numbers.
                let place = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
                entry.insert(place);
                self.keys.push(key);
                self.values.push(value);
                place
            }
        }
    }
}

/// Keys that a thread looks up at once, with what it knows of each.
#[derive(Debug)]
pub struct Row<V> {
    all: Vec<(Key, V)>,
    /// Their indices, those of each shard side by side.
    order: Vec<u32>,
    /// Where those of one shard are in it.
    places: Vec<u32>,
}

impl<V> Default for Row<V> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            order: Vec::new(),
            places: Vec::new(),
        }
    }
}

impl<V> Row<V> {
    /// Adds a key at the end. A row may have a key several times.
    #[inline]
    pub fn push(&mut self, key: u128, value: V) {
        self.all.push((halves(key), value));
    }
}

impl<V: Copy> SharedTable<V> {
    /// A table that will hold about so many keys; the first gets the number `first`.
    #[must_use]
    pub fn with_capacity(keys: usize, first: u32) -> Self {
        // Hashes spread them well, but not evenly.
        let capacity = keys / MAX_SHARDS + keys / (4 * MAX_SHARDS);
        Self::with_shards(MAX_SHARDS, capacity, first)
    }

    /// As [`SharedTable::with_capacity`], for one thread, or so few keys that threads do not wait for each other: new keys get their
    /// numbers in the order of the row.
    #[must_use]
    pub fn of_few(keys: usize, first: u32) -> Self {
        Self::with_shards(1, keys, first)
    }

    fn with_shards(count: usize, capacity: usize, first: u32) -> Self {
        let shard = |_| Mutex::new(Shard::with_capacity(capacity));
        Self {
            shards: (0..count).map(shard).collect(),
            next: AtomicU32::new(first),
        }
    }

    /// Takes the keys out of `row` and calls `found` with the index of each, its number, and whether it is new.
    ///
    /// Both closures run while part of the table is locked: they must not ask it for anything.
    ///
    /// A new key's value is that of the row; `join` puts it to the value of one that is known. The order is no particular one, but that of
    /// the row for what is equal.
    pub fn number_all(
        &self,
        row: &mut Row<V>,
        join: impl Fn(&mut V, V),
        mut found: impl FnMut(usize, u32, bool),
    ) {
        let Row { all, order, places } = row;
        let ends = self.sort(all, order);
        // Threads begin at different shards, so that they do not wait for each other at each.
        let first = all.first().map_or(0, |(key, _)| self.shard_of(key));
        for shard in (first..self.shards.len()).chain(0..first) {
            let start = shard.checked_sub(1).map_or(0, |before| ends[before]);
            let of_shard = &order[start..ends[shard]];
            if of_shard.is_empty() {
                continue;
            }
            let mut shard = lock(&self.shards[shard]);
            let mut next_place = shard.keys.len();
            places.clear();
            places.extend(of_shard.iter().map(|&index| {
                let (key, value) = all[index as usize];
                shard.place(key, value, &join)
            }));
            let new = shard.keys.len() - next_place;
            if new > 0 {
                let new = u32::try_from(new).unwrap_or(u32::MAX);
                let first = self.next.fetch_add(new, Ordering::Relaxed);
                shard.numbers.extend((first..).take(new as usize));
            }
            for (&index, &place) in of_shard.iter().zip(&*places) {
                let place = place as usize;
                // A key that is there several times is new once.
                let is_new = place == next_place;
                next_place += usize::from(is_new);
                found(index as usize, shard.numbers[place], is_new);
            }
        }
        all.clear();
    }

    /// Puts the indices of a row's keys in the order of their shards, those of one in the order of the row; where those of each end.
    fn sort(&self, row: &[(Key, V)], order: &mut Vec<u32>) -> [usize; MAX_SHARDS] {
        let mut ends = [0; MAX_SHARDS];
        order.clear();
        if self.shards.len() == 1 {
            order.extend((0..).take(row.len()));
            ends[0] = row.len();
            return ends;
        }
        for (key, _) in row {
            ends[self.shard_of(key)] += 1;
        }
        let mut end = 0;
        for of_shard in &mut ends {
            end += std::mem::replace(of_shard, end);
        }
        order.resize(row.len(), 0);
        for (index, (key, _)) in (0..).zip(row) {
            let end = &mut ends[self.shard_of(key)];
            order[*end] = index;
            *end += 1;
        }
        ends
    }

    /// The shard of a key: by other bits than those that a shard's table uses.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "any bits will do to choose a shard"
    )]
    fn shard_of(&self, key: &Key) -> usize {
        // A power of two: a division would take longer than all else here.
        key[1] as usize & (self.shards.len() - 1)
    }

    /// Whether it has a key.
    #[must_use]
    pub fn has(&self, key: u128) -> bool {
        let key = halves(key);
        let shard = lock(&self.shards[self.shard_of(&key)]);
        shard.find(key).is_some()
    }

    /// Calls `visit` with each key, its number and its value.
    pub fn for_each(&self, mut visit: impl FnMut(u128, u32, V)) {
        for shard in &self.shards {
            let Shard {
                keys,
                numbers,
                values,
                ..
            } = &*lock(shard);
            for ((&key, &number), &value) in keys.iter().zip(numbers).zip(values) {
                visit(whole(key), number, value);
            }
        }
    }

    /// One past the greatest number.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    /// The value of each number, or `none` of those that no key has.
    #[must_use]
    pub fn into_values(self, none: V) -> Vec<V> {
        let mut values = vec![none; self.end() as usize];
        self.for_each(|_, number, value| values[number as usize] = value);
        values
    }
}

fn lock<V>(shard: &Mutex<Shard<V>>) -> MutexGuard<'_, Shard<V>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lower and the upper half.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "that is how halves are taken"
)]
#[must_use]
pub fn halves(wide: u128) -> [u64; 2] {
    [wide as u64, (wide >> 64) as u64]
}

/// What has these halves, the lower one first.
#[inline]
#[must_use]
pub fn whole([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What looks random, of a number.
    fn key(number: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes())
    }

    fn least(known: &mut u64, other: u64) {
        *known = other.min(*known);
    }

    #[test]
    fn a_key_has_one_number_and_the_least_value_whoever_adds_it() {
        let table = SharedTable::with_capacity(0, 1);
        // Each thread adds some keys of its own and some of others, in rows in which keys are repeated.
        let work = |thread: u64| {
            let mut row = Row::default();
            let mut found = Vec::new();
            for first in (0..1000).step_by(50) {
                let keys: Vec<u64> = (first + thread * 200..)
                    .take(60)
                    .chain([first + thread * 200])
                    .collect();
                for &number in &keys {
                    row.push(key(number), number * 10 + thread);
                }
                let at = found.len();
                found.resize(at + keys.len(), (0, 0, false));
                table.number_all(&mut row, least, |index, number, is_new| {
                    found[at + index] = (keys[index], number, is_new);
                });
            }
            found
        };
        let found: Vec<(u64, u32, bool)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| scope.spawn(move || work(thread)))
                .collect();
            let found = threads.into_iter().map(|thread| thread.join().unwrap());
            found.flatten().collect()
        });
        let count = 600 + 1010;
        assert_eq!(table.end(), 1 + count);
        let mut of_key = vec![0; count as usize];
        let mut new = 0;
        for (key, number, is_new) in found {
            let known = &mut of_key[usize::try_from(key).unwrap()];
            assert!(*known == 0 || *known == number);
            *known = number;
            new += u32::from(is_new);
        }
        assert_eq!(new, count);
        assert!(table.has(key(3)) && !table.has(key(5000)));
        let mut of_number = vec![0; of_key.len() + 1];
        for (key, &number) in (0..).zip(&of_key) {
            let first_thread =
                (0..4).find(|thread| (thread * 200..thread * 200 + 1010).contains(&key));
            of_number[number as usize] = key * 10 + first_thread.unwrap();
        }
        assert_eq!(table.into_values(0), of_number);
    }
}
