//! Classes: the table in which the types of all fragments meet, and the workers that fill it.
//!
//! A class is all types of one key. The table keeps, for each, the least position at which a type of it stands; a
//! minimum does not depend on the order in which threads bring their values, so neither does anything made from it.
//! The numbers of classes here do depend on that order; [`super::graph`] gives others, in the order of those positions.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashTable;

use super::base::Base;
use super::fragment::{Fragment, FragmentIndex, for_each_type_word, u32_len};
use super::gathered::Gathered;
use super::key::{Key, Keys};
use super::verbatim::{Readings, Verbatim, reference_to};
use crate::shared::{Row, SharedTable, halves, whole};
use crate::wire::Info;

/// The number of a class: in the table and what workers gather one that depends on the scheduling of threads, in a graph its place in
/// the order of positions.
pub(crate) type ClassId = u32;

/// Where a type stands in the input: its fragment in the upper half, its local id in the lower.
pub(crate) type Position = u64;

/// Set in the position of a weak type, so that it comes after all that is not.
pub(crate) const WEAK: Position = 1 << 63;

/// The position of what stands nowhere.
pub(crate) const NOWHERE: Position = Position::MAX;

/// The position of the `local`-th type (from 0) of fragment `index`.
#[inline]
pub(crate) fn position(index: FragmentIndex, local: u32, is_weak: bool) -> Position {
    u64::from(index) << 32 | (u64::from(local) + 1) | if is_weak { WEAK } else { 0 }
}

/// The upper half of a position: the fragment, weak ones behind all others.
#[inline]
fn rank(position: Position) -> u32 {
    (position >> 32) as u32
}

/// The local id in a position.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "that is how the lower half is taken"
)]
pub(crate) fn local_id(position: Position) -> u32 {
    position as u32
}

/// A hash map whose keys are few and trusted enough for a multiplication to hash them.
pub type FastMap<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<MulHasher>>;

/// A set that is hashed as [`FastMap`] is.
pub type FastSet<K> = hashbrown::HashSet<K, BuildHasherDefault<MulHasher>>;

/// Multiplies and folds; for keys of at most a few words.
#[derive(Clone, Copy, Debug, Default)]
pub struct MulHasher(u64);

impl Hasher for MulHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
    fn write_u64(&mut self, value: u64) {
        let wide = u128::from(self.0 ^ value ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
        let [low, high] = halves(wide);
        self.0 = low ^ high;
    }
}

/// What is asked of a class when it is the first guess: so little that caches hold it of all classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The class that came behind this one last, as an index among the known.
    pub(super) next: u32,
    /// Where its reading begins, for [`super::verbatim`]; [`NO_READING`] if it has none.
    pub(super) reading: u32,
}

/// What a thread has reported of a class.
#[derive(Clone, Copy, Debug)]
struct Reported {
    /// Means nothing while `rank` is [`UNRANKED`].
    class: ClassId,
    /// The upper half of the least position that this thread has reported.
    rank: u32,
}

/// The rank of a class that has not been reported.
const UNRANKED: u32 = u32::MAX;

/// Says that a class has not been read.
pub(super) const NO_READING: u32 = u32::MAX;

/// The classes that a thread has met, in the order in which it met them.
///
/// Units include the same headers, so that the same types follow each other in all of them: nearly always the next class
/// is the one that came next before. Asking that one first, which lies behind its predecessor in memory, spares a
/// look into a table that no cache holds.
#[derive(Debug, Default)]
pub(super) struct KnownClasses {
    pub(super) all: Vec<Known>,
    keys: Vec<[u64; 2]>,
    /// For each the class that came behind it before that which did so last.
    second: Vec<u32>,
    reported: Vec<Reported>,
    by_key: HashTable<u32>,
    /// The index of the class that was asked for last.
    last: u32,
}

impl KnownClasses {
    /// The index of what came behind the last class the last time.
    #[inline]
    pub(super) fn guess(&self) -> u32 {
        let last = self.all.get(self.last as usize);
        last.map_or(0, |known| known.next)
    }

    /// The index of what came behind it another time.
    #[inline]
    pub(super) fn second_guess(&self) -> u32 {
        let last = self.second.get(self.last as usize);
        last.copied().unwrap_or(0)
    }

    /// Where the reading of a class begins; [`NO_READING`] if it has none.
    #[inline]
    pub(super) fn reading(&self, index: u32) -> u32 {
        let known = self.all.get(index as usize);
        known.map_or(NO_READING, |known| known.reading)
    }

    /// The key of a class.
    #[inline]
    pub(super) fn key(&self, index: u32) -> Key {
        whole(self.keys[index as usize])
    }

    /// Says that the first guess was right.
    #[inline]
    pub(super) fn confirm(&mut self, guess: u32) {
        self.last = guess;
    }

    /// Says what is behind the last class, which is not the first guess.
    pub(super) fn correct(&mut self, index: u32) {
        if let Some(last) = self.all.get_mut(self.last as usize) {
            self.second[self.last as usize] = last.next;
            last.next = index;
        }
        self.last = index;
    }

    /// The index of the class of a key, which is added if it has not been met.
    #[inline]
    fn index_of(&mut self, key: [u64; 2]) -> u32 {
        let guess = self.guess();
        if self.keys.get(guess as usize) == Some(&key) {
            self.confirm(guess);
            return guess;
        }
        self.search(key)
    }

    /// As `index_of`, where the guess is wrong.
    pub(super) fn search(&mut self, key: [u64; 2]) -> u32 {
        let keys = &self.keys;
        let is_it = |&index: &u32| keys[index as usize] == key;
        let found = self.by_key.find(key[0], is_it);
        let index = found.copied().unwrap_or_else(|| self.push(key));
        self.correct(index);
        index
    }

    /// Adds a class that has not been met.
    fn push(&mut self, key: [u64; 2]) -> u32 {
        let index = u32_len(self.all.len());
        self.all.push(Known {
            next: 0,
            reading: NO_READING,
        });
        self.keys.push(key);
        self.second.push(0);
        self.reported.push(Reported {
            class: 0,
            rank: UNRANKED,
        });
        let keys = &self.keys;
        self.by_key
            .insert_unique(key[0], index, |&index| keys[index as usize][0]);
        index
    }
}

/// The classes of all fragments, shared by all workers: the least position of each key.
pub(crate) type ClassTable = SharedTable<Position>;

/// The number within a merge of the first fragment that is added: what is taken from a base stands before all.
pub(super) fn first_fragment(base: Option<&Base>) -> FragmentIndex {
    FragmentIndex::from(base.is_some())
}

/// What one thread has added: fragments go in, classes come out.
#[derive(Debug)]
pub struct Worker<'t> {
    table: &'t ClassTable,
    base: Option<&'t Base>,
    /// The number within the merge of the first fragment.
    first: FragmentIndex,
    keys: Keys,
    readings: Readings,
    /// What this thread knows of the table.
    known: KnownClasses,
    created: Gathered,
    /// The greatest rank that was reported, which is that of a weak type if there was one; [`u32::MAX`] if a class may be known that
    /// was not.
    greatest: u32,
    /// How many classes were known when the last fragment was added.
    reported_count: usize,
    /// The local numbers of the types of a fragment whose positions are less than those reported before, and what is reported of each.
    less: Vec<u32>,
    row: Row<Position>,
    /// The local numbers, classes and keys of the types of a fragment whose records are kept.
    new: Vec<(u32, ClassId, Key)>,
}

impl<'t> Worker<'t> {
    /// `first` is the number within the merge of the first fragment that is added.
    pub(crate) fn new(table: &'t ClassTable, base: Option<&'t Base>, first: FragmentIndex) -> Self {
        Self {
            table,
            base,
            first,
            keys: Keys::default(),
            readings: Readings::default(),
            known: KnownClasses::default(),
            created: Gathered::default(),
            greatest: 0,
            reported_count: 0,
            less: Vec::new(),
            row: Row::default(),
            new: Vec::new(),
        }
    }

    /// Makes room for so many types that are new, and so many words of them.
    pub fn reserve(&mut self, types: usize, words: usize) {
        self.known.all.reserve(types);
        self.known.keys.reserve(types);
        self.known.second.reserve(types);
        self.known.reported.reserve(types);
        let keys = &self.known.keys;
        let rehash = |&index: &u32| keys[index as usize][0];
        self.known.by_key.reserve(types, rehash);
        self.created.classes.reserve(types);
        self.readings.words.reserve(words);
        self.new.reserve(types);
    }

    /// Adds the fragment that stands at `index` in the input.
    ///
    /// Any worker may add any fragment in any order; each index must be added once. Every record must be complete and
    /// every type id in it local and in range.
    pub fn add(&mut self, index: FragmentIndex, fragment: &Fragment) {
        let index = index + self.first;
        self.keys.compute(fragment);
        let first_weak = fragment.first_weak.map_or(usize::MAX, |id| id as usize - 1);
        let mut members = std::mem::take(&mut self.readings.indices);
        members.clear();
        let keys = self.keys.all.iter();
        members.extend(keys.map(|&key| self.known.index_of(halves(key))));
        self.report(index, first_weak, &members);
        self.find_in_base();
        for (local, class, _) in self.new.drain(..) {
            let start = fragment.starts[local as usize] as usize;
            let info = Info(fragment.words[start + 1]);
            let Some(kind) = info.kind() else { continue };
            let record = &fragment.words[start..start + kind.record_words(info.vlen())];
            let label = self.keys.labels[local as usize];
            let words = &mut self.readings.words;
            let to = words.len();
            words.extend_from_slice(record);
            let targets = &mut self.created.targets;
            for_each_type_word(kind, record.len(), |at| {
                let target = (record[at] as usize).checked_sub(1);
                words[to + at] = reference_to(target.map(|target| members[target]), targets);
            });
            self.created.classes.push((class, label, u32_len(to)));
        }
        let homes = fragment.homes.iter();
        let homes = homes.map(|&(id, home)| (members[id as usize - 1], home + self.first));
        self.created
            .add_fragment(index, first_weak, &members, homes);
        self.readings.indices = members;
    }

    /// As [`Worker::add`], for types as they stand in BTF, of which none is weak; faster where others like them came before.
    ///
    /// `false` if they cannot be added like that: if there is an unknown kind, an id out of range, a name where no string starts,
    /// or a cycle that passes no structure, union or enumeration with a name. Nothing has been added then.
    #[must_use]
    pub fn add_verbatim(&mut self, index: FragmentIndex, types: Verbatim<'_>) -> bool {
        if self.readings.read(types, &mut self.known).is_none() {
            // Classes may be known now of which no type was added.
            self.greatest = u32::MAX;
            return false;
        }
        let index = index + self.first;
        let members = std::mem::take(&mut self.readings.indices);
        self.report(index, usize::MAX, &members);
        self.find_in_base();
        for (local, class, _) in self.new.drain(..) {
            let reading = self.known.all[members[local as usize] as usize].reading;
            let Some(record) = types.record(local) else {
                continue;
            };
            let label = self.readings.label(local);
            self.created.classes.push((class, label, reading));
            let targets = &mut self.created.targets;
            self.readings
                .say_targets(reading, record, &members, targets);
        }
        self.created
            .add_fragment(index, usize::MAX, &members, std::iter::empty());
        self.readings.indices = members;
        true
    }

    /// A number that two types have in common if they are equal in all that their keys tell, homonyms apart.
    ///
    /// `id` is local to the fragment that was added last. The number is valid within this merge only, and depends on the
    /// scheduling of threads.
    #[must_use]
    pub fn class(&self, id: crate::TypeId) -> u32 {
        let index = (id.0 as usize).wrapping_sub(1);
        let known = self.created.last_members().get(index);
        let class = known.and_then(|&known| self.known.reported.get(known as usize));
        class.map_or(u32::MAX, |reported| reported.class)
    }

    /// What this worker has gathered, for [`super::Merger::finish`].
    #[must_use]
    pub fn finish(self) -> Gathered {
        let mut gathered = self.created;
        let reported = self.known.reported.iter();
        gathered.known = reported.map(|reported| reported.class).collect();
        gathered.words = self.readings.words;
        gathered
    }

    /// Reports the types of a fragment, for each of which there is an index among the known.
    fn report(&mut self, fragment: FragmentIndex, first_weak: usize, members: &[u32]) {
        let Self {
            table,
            known: KnownClasses { keys, reported, .. },
            greatest,
            reported_count,
            less,
            row,
            new,
            ..
        } = self;
        let position = |local: u32| position(fragment, local, local as usize >= first_weak);
        less.clear();
        // Fragments mostly come in their order. Then what was reported before was reported with a lesser position.
        let is_greater = rank(position(0)) > *greatest;
        let old = if is_greater { *reported_count } else { 0 };
        for (local, &index) in (0..).zip(members) {
            if (index as usize) < old {
                continue;
            }
            // Within a fragment positions ascend, so that only another fragment can bring a lesser one.
            if rank(position(local)) < reported[index as usize].rank {
                less.push(local);
                row.push(whole(keys[index as usize]), position(local));
            }
        }
        if let Some(last) = less.last() {
            *greatest = rank(position(*last)).max(*greatest);
        }
        *reported_count = keys.len();
        let join = |least: &mut Position, other: Position| *least = other.min(*least);
        table.number_all(row, join, |at, class, is_new| {
            let local = less[at];
            let index = members[local as usize] as usize;
            let rank = rank(position(local)).min(reported[index].rank);
            reported[index] = Reported { class, rank };
            if is_new {
                new.push((local, class, whole(keys[index])));
            }
        });
        // What is kept side by side is what a file has side by side.
        new.sort_unstable_by_key(|&(local, ..)| local);
    }

    /// Takes from the new classes those that the base has. All in a row, as looking one up is waiting for memory, and the
    /// processor waits for several at a time.
    fn find_in_base(&mut self) {
        let Some(base) = self.base else { return };
        self.new.retain(|&(_, class, key)| {
            let in_base = base.class(key);
            self.created
                .of_base
                .extend(in_base.map(|in_base| (class, in_base)));
            in_base.is_none()
        });
    }
}
