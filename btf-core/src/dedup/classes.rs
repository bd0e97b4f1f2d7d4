//! Classes: the table in which the types of all fragments meet, and the workers that fill it.
//!
//! A class is all types of one key. The table keeps, for each, the least position at which a type of it stands; a
//! minimum does not depend on the order in which threads bring their values, so neither does anything made from it.
//! Class numbers do depend on that order, and must not reach the output.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::{HashTable, hash_table};

use super::base::Base;
use super::fragment::{Fragment, FragmentIndex, for_each_type_word, u32_len};
use super::key::{Key, Keys, Label};
use super::verbatim::{Readings, Verbatim};
use crate::kind::Kind;
use crate::wire::Info;

/// The number of a class; its value depends on the scheduling of threads.
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

/// The lower and the upper half.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "that is how halves are taken"
)]
pub(super) fn halves(wide: u128) -> [u64; 2] {
    [wide as u64, (wide >> 64) as u64]
}

/// The shards of the table; enough that two threads seldom want the same one.
const SHARDS: usize = 64;

/// The shard for a key with this upper half.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "any bits will do to choose a shard"
)]
fn shard_of(high: u64) -> usize {
    high as usize % SHARDS
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    class: ClassId,
    position: Position,
}

/// What a thread knows of a class; small, as there is one for each of all classes in each thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    key: [u64; 2],
    /// The class that came behind this one last, and before that, as indices among the known.
    next: [u32; 2],
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

impl Known {
    pub(super) fn key(&self) -> Key {
        let [low, high] = self.key;
        u128::from(high) << 64 | u128::from(low)
    }
}

/// The classes that a thread has met, in the order in which it met them.
///
/// Units include the same headers, so that the same types follow each other in all of them: nearly always the next class
/// is the one that came next before. Asking that one first, which lies behind its predecessor in memory, spares a
/// look into a table that no cache holds.
#[derive(Debug, Default)]
pub(super) struct KnownClasses {
    pub(super) all: Vec<Known>,
    reported: Vec<Reported>,
    by_key: HashTable<u32>,
    /// The index of the class that was asked for last.
    last: u32,
}

impl KnownClasses {
    /// The indices of what came behind the last class before: the last time, and another time.
    #[inline]
    pub(super) fn guesses(&self) -> [u32; 2] {
        self.all
            .get(self.last as usize)
            .map_or([0; 2], |known| known.next)
    }

    /// Where the reading of a class begins; [`NO_READING`] if it has none.
    #[inline]
    pub(super) fn reading(&self, index: u32) -> u32 {
        let known = self.all.get(index as usize);
        known.map_or(NO_READING, |known| known.reading)
    }

    /// Says that the first guess was right.
    #[inline]
    pub(super) fn confirm(&mut self, guess: u32) {
        self.last = guess;
    }

    /// Says what is behind the last class, which is not the first guess.
    pub(super) fn correct(&mut self, index: u32) {
        if let Some(last) = self.all.get_mut(self.last as usize) {
            last.next = [index, last.next[0]];
        }
        self.last = index;
    }

    /// The index of the class of a key, which is added if it has not been met.
    #[inline]
    fn index_of(&mut self, key: [u64; 2]) -> u32 {
        let [guess, _] = self.guesses();
        match self.all.get(guess as usize) {
            Some(known) if known.key == key => {
                self.confirm(guess);
                guess
            }
            _ => self.search(key),
        }
    }

    /// As `index_of`, where the guess is wrong.
    pub(super) fn search(&mut self, key: [u64; 2]) -> u32 {
        let all = &self.all;
        let found = self
            .by_key
            .find(key[0], |&index| all[index as usize].key == key);
        let index = found.copied().unwrap_or_else(|| self.push(key));
        self.correct(index);
        index
    }

    /// Adds a class that has not been met.
    fn push(&mut self, key: [u64; 2]) -> u32 {
        let index = u32_len(self.all.len());
        self.all.push(Known {
            key,
            next: [0; 2],
            reading: NO_READING,
        });
        self.reported.push(Reported {
            class: 0,
            rank: UNRANKED,
        });
        let all = &self.all;
        self.by_key
            .insert_unique(key[0], index, |&index| all[index as usize].key[0]);
        index
    }
}

/// The classes of all fragments, shared by all workers.
#[derive(Debug)]
pub(crate) struct ClassTable {
    shards: Vec<Mutex<HashTable<Entry>>>,
    next: AtomicU32,
}

impl ClassTable {
    pub(crate) fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A table that will hold about so many classes.
    pub(super) fn with_capacity(classes: usize) -> Self {
        // Hashes spread them well, but not evenly.
        let capacity = classes / SHARDS + classes / (4 * SHARDS);
        let shard = |_| Mutex::new(HashTable::with_capacity(capacity));
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            next: AtomicU32::new(0),
        }
    }

    /// The class of `key`, and whether it is new; its position becomes the lesser of what it was and `position`.
    fn intern(&self, key: Key, position: Position) -> (ClassId, bool) {
        let [low, high] = halves(key);
        let shard = &self.shards[shard_of(high)];
        let mut shard = shard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_it = |entry: &Entry| entry.key == key;
        match shard.entry(low, is_it, |entry| halves(entry.key)[0]) {
            hash_table::Entry::Occupied(known) => {
                let entry = known.into_mut();
                entry.position = entry.position.min(position);
                (entry.class, false)
            }
            hash_table::Entry::Vacant(place) => {
                let class = self.next.fetch_add(1, Ordering::Relaxed);
                place.insert(Entry {
                    key,
                    class,
                    position,
                });
                (class, true)
            }
        }
    }

    /// Whether a type has this key.
    pub(super) fn has(&self, key: Key) -> bool {
        let [low, high] = halves(key);
        let shard = self.shards[shard_of(high)].lock();
        let shard = shard.unwrap_or_else(std::sync::PoisonError::into_inner);
        shard.find(low, |entry| entry.key == key).is_some()
    }

    /// Calls `visit` with each key and its class.
    pub(super) fn for_each(&self, mut visit: impl FnMut(Key, ClassId)) {
        for shard in &self.shards {
            let shard = shard
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            shard.iter().for_each(|entry| visit(entry.key, entry.class));
        }
    }

    /// The position of each class.
    pub(crate) fn into_positions(self) -> Vec<Position> {
        let mut positions = vec![NOWHERE; self.next.into_inner() as usize];
        for shard in self.shards {
            let shard = shard
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            for entry in &shard {
                positions[entry.class as usize] = entry.position;
            }
        }
        positions
    }
}

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
    /// The local numbers, classes and keys of the types of a fragment whose records are kept.
    new: Vec<(u32, ClassId, Key)>,
}

/// The records of the classes that one thread met first, and the classes of all types that it saw.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Records with the class of each target plus 1 in place of its id, 0 for `void`.
    pub(crate) words: Vec<u32>,
    /// Each class created, its label and where in `words` its record begins; not those that the base has.
    pub(crate) classes: Vec<(ClassId, Label, u32)>,
    /// Each class created that the base has, and its number there.
    pub(crate) of_base: Vec<(ClassId, ClassId)>,
    /// Each fragment that was added.
    pub(crate) fragments: Vec<Members>,
    /// The class of each type, for each fragment a list of its own, which stays where it is when more come.
    pub(crate) members: Vec<Vec<ClassId>>,
    /// The [`Fragment::homes`] of each fragment, by class.
    pub(crate) homes: Vec<(ClassId, FragmentIndex)>,
}

/// Where the classes of one fragment's types are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Members {
    pub(crate) index: FragmentIndex,
    /// The index of their list in `members`.
    pub(crate) list: usize,
    /// The first weak type, counted from 0.
    pub(crate) first_weak: usize,
    /// The indices in `homes` of the first and one past the last.
    pub(crate) homes: (usize, usize),
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
            new: Vec::new(),
        }
    }

    /// Makes room for so many types that are new, and so many words of them.
    pub fn reserve(&mut self, types: usize, words: usize) {
        self.known.all.reserve(types);
        self.known.reported.reserve(types);
        let all = &self.known.all;
        let rehash = |&index: &u32| all[index as usize].key[0];
        self.known.by_key.reserve(types, rehash);
        self.created.classes.reserve(types);
        self.created.words.reserve(words);
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
        let mut members = Vec::with_capacity(fragment.len());
        members.extend((0..u32_len(fragment.len())).map(|local| {
            let is_weak = local as usize >= first_weak;
            let known = self.known.index_of(halves(self.keys.all[local as usize]));
            self.report(known, local, position(index, local, is_weak))
        }));
        self.find_in_base();
        for (local, class, _) in self.new.drain(..) {
            let start = fragment.starts[local as usize] as usize;
            let info = Info(fragment.words[start + 1]);
            let Some(kind) = info.kind() else { continue };
            let record = &fragment.words[start..start + kind.record_words(info.vlen())];
            let label = self.keys.labels[local as usize];
            let ids = record;
            self.created
                .store(class, label, (kind, record), ids, &members);
        }
        let first_home = self.created.homes.len();
        for &(id, home) in &fragment.homes {
            let class = members[id as usize - 1];
            let home = home + self.first;
            self.created.homes.push((class, home));
        }
        self.created.fragments.push(Members {
            index,
            list: self.created.members.len(),
            first_weak,
            homes: (first_home, self.created.homes.len()),
        });
        self.created.members.push(members);
    }

    /// As [`Worker::add`], for types as they stand in BTF, of which none is weak; faster where others like them came before.
    ///
    /// `false` if they cannot be added like that: if there is an unknown kind, an id out of range, a name where no string starts,
    /// or a cycle that passes no structure, union or enumeration with a name. Nothing has been added then.
    #[must_use]
    pub fn add_verbatim(&mut self, index: FragmentIndex, types: Verbatim<'_>) -> bool {
        if self.readings.read(types, &mut self.known).is_none() {
            return false;
        }
        let index = index + self.first;
        let indices = std::mem::take(&mut self.readings.indices);
        let mut members = Vec::with_capacity(indices.len());
        members.extend(
            indices
                .iter()
                .zip(0..)
                .map(|(&known, local)| self.report(known, local, position(index, local, false))),
        );
        self.find_in_base();
        for (local, class, _) in self.new.drain(..) {
            let reading = self.known.all[indices[local as usize] as usize].reading;
            let Some((kind, ids)) = types.record(local) else {
                continue;
            };
            let record = self.readings.record(reading, ids.len());
            let label = self.readings.label(local);
            self.created
                .store(class, label, (kind, record), ids, &members);
        }
        let first_home = self.created.homes.len();
        self.created.fragments.push(Members {
            index,
            list: self.created.members.len(),
            first_weak: usize::MAX,
            homes: (first_home, first_home),
        });
        self.created.members.push(members);
        self.readings.indices = indices;
        true
    }

    /// A number that two types have in common if they are equal in all that their keys tell, homonyms apart.
    ///
    /// `id` is local to the fragment that was added last. The number is valid within this merge only, and depends on the
    /// scheduling of threads.
    #[must_use]
    pub fn class(&self, id: crate::TypeId) -> u32 {
        let index = (id.0 as usize).wrapping_sub(1);
        let last = self.created.members.last();
        let class = last.and_then(|members| members.get(index));
        class.copied().unwrap_or(u32::MAX)
    }

    /// What this worker has gathered, for [`super::Merger::finish`].
    #[must_use]
    pub fn finish(self) -> Gathered {
        self.created
    }

    /// The known class at an index, a type of which stands at a position.
    #[inline]
    fn report(&mut self, index: u32, local: u32, position: Position) -> ClassId {
        let known = &self.known.reported[index as usize];
        // Within a fragment positions ascend, so that only another fragment can bring a lesser one.
        if rank(position) >= known.rank {
            return known.class;
        }
        self.report_less(index, local, position)
    }

    /// As `report`, where the position is less than those before.
    #[inline(never)]
    fn report_less(&mut self, index: u32, local: u32, position: Position) -> ClassId {
        let known = &self.known.all[index as usize];
        let (class, is_new) = self.table.intern(known.key(), position);
        let rank = rank(position);
        self.known.reported[index as usize] = Reported { class, rank };
        if is_new {
            self.new.push((local, class, known.key()));
        }
        class
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

impl Gathered {
    /// Keeps the record of a class that a fragment has brought first; `ids` is the same record with local ids.
    fn store(
        &mut self,
        class: ClassId,
        label: Label,
        (kind, record): (Kind, &[u32]),
        ids: &[u32],
        members: &[ClassId],
    ) {
        let to = self.words.len();
        self.classes.push((class, label, u32_len(to)));
        self.words.extend_from_slice(record);
        for_each_type_word(kind, record.len(), |at| {
            let target = ids[at] as usize;
            self.words[to + at] = match target.checked_sub(1) {
                Some(target) => members[target] + 1,
                None => 0,
            };
        });
    }
}
