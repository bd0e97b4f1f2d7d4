//! Environments: what a fragment takes each homonym for, and how environments that leave some open are completed.
//!
//! Each definition of each homonym has a bit, so that environments are joined, restricted and compared word by word.

use hashbrown::HashTable;
use std::hash::Hasher;

use super::classes::MulHasher;
use super::fragment::u32_len;

/// The bits of all homonyms' definitions.
#[derive(Debug)]
pub(super) struct Bits {
    /// For each homonym the bit of its first definition, and one past the last bit of all.
    first: Vec<u32>,
    /// The homonym of each bit.
    homonyms: Vec<u32>,
}

/// What a homonym is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is not defined.
    Open,
    /// The definition with this number, from 0.
    One(usize),
    /// It is defined more than once.
    Several,
}

impl Bits {
    /// For homonyms with these numbers of definitions.
    pub(super) fn new(definition_counts: impl Iterator<Item = usize>) -> Self {
        let mut bits = Self {
            first: vec![0],
            homonyms: Vec::new(),
        };
        for (homonym, count) in (0_u32..).zip(definition_counts) {
            bits.homonyms.resize(bits.homonyms.len() + count, homonym);
            bits.first.push(u32_len(bits.homonyms.len()));
        }
        bits
    }

    /// The number of words of an environment.
    pub(super) fn width(&self) -> usize {
        self.homonyms.len().div_ceil(64)
    }

    /// The bit of a definition.
    pub(super) fn of(&self, homonym: u32, number: u32) -> u32 {
        self.first[homonym as usize] + number
    }

    /// An environment in which everything is open.
    pub(super) fn open(&self) -> Environment {
        Environment(vec![0; self.width()].into())
    }

    /// An environment of these bits.
    pub(super) fn environment(&self, bits: impl Iterator<Item = u32>) -> Environment {
        let mut environment = self.open();
        for bit in bits {
            environment.add(bit);
        }
        environment
    }

    /// All bits of some homonyms.
    pub(super) fn all_of(&self, homonyms: &[u32]) -> Environment {
        let mut all = self.open();
        for &homonym in homonyms {
            for bit in self.first[homonym as usize]..self.first[homonym as usize + 1] {
                all.add(bit);
            }
        }
        all
    }

    /// What an environment takes a homonym for.
    pub(super) fn meaning(&self, environment: &Environment, homonym: u32) -> Meaning {
        let first = self.first[homonym as usize];
        let mut set = (first..self.first[homonym as usize + 1]).filter(|&bit| environment.has(bit));
        match (set.next(), set.next()) {
            (None, _) => Meaning::Open,
            (Some(bit), None) => Meaning::One((bit - first) as usize),
            (Some(_), Some(_)) => Meaning::Several,
        }
    }

    /// The homonyms that an environment takes for several things, in order.
    pub(super) fn ambiguous(&self, environment: &Environment) -> Vec<u32> {
        let mut ambiguous = Vec::new();
        let mut before = u32::MAX;
        environment.for_each(|bit| {
            let homonym = self.homonyms[bit as usize];
            if homonym == before && ambiguous.last() != Some(&homonym) {
                ambiguous.push(homonym);
            }
            before = homonym;
        });
        ambiguous
    }
}

/// A set of definitions, by bit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Environment(Box<[u64]>);

impl Environment {
    /// Adds a bit; tells whether that was news.
    pub(super) fn add(&mut self, bit: u32) -> bool {
        let word = &mut self.0[bit as usize / 64];
        let before = std::mem::replace(word, *word | 1 << (bit % 64));
        before != *word
    }

    fn has(&self, bit: u32) -> bool {
        self.0[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// Calls `visit` with each bit, in ascending order.
    fn for_each(&self, mut visit: impl FnMut(u32)) {
        for (base, &word) in (0_u32..).step_by(64).zip(&self.0) {
            let mut rest = word;
            while rest != 0 {
                visit(base + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
    }

    /// Adds what `other` says; tells whether that was news.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let mut news = 0;
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            news |= other & !*word;
            *word |= other;
        }
        news != 0
    }

    /// Becomes what is both in `of` and in `set`.
    pub(super) fn restrict_from(&mut self, of: &Self, set: &Self) {
        for (word, (of, set)) in self.0.iter_mut().zip(of.0.iter().zip(&set.0)) {
            *word = of & set;
        }
    }

    /// What is in `set` too.
    pub(super) fn restricted(&self, set: &Self) -> Self {
        let words = self.0.iter().zip(&set.0).map(|(word, set)| word & set);
        Self(words.collect())
    }

    /// What is not in `set`.
    pub(super) fn without(&self, set: &Self) -> Self {
        let words = self.0.iter().zip(&set.0).map(|(word, set)| word & !set);
        Self(words.collect())
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn is_part_of(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.all(|(word, other)| word & !other == 0)
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.any(|(word, other)| word & other != 0)
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn hash(&self) -> u64 {
        let mut hasher = MulHasher::default();
        self.0.iter().for_each(|&word| hasher.write_u64(word));
        hasher.finish()
    }

    /// The one of `all` that says all that this says, and of all such ones the most; `None` if two of them disagree.
    pub(super) fn completion<'e>(
        &self,
        all: impl Iterator<Item = &'e Self> + Clone,
    ) -> Option<&'e Self> {
        let mut candidates = all.filter(|other| self.is_part_of(other));
        let fullest = candidates.clone().max_by_key(|other| other.len())?;
        candidates
            .all(|other| other.is_part_of(fullest))
            .then_some(fullest)
    }
}

/// The number of an environment among [`Environments`].
pub(super) type EnvironmentId = u32;

/// Up to where types are divided by environments; beyond that, every type that reaches a homonym is followed on its own.
///
/// All are counted so that neither threads nor the numbers of classes bear on which input is too much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The number of definitions of homonyms. An environment has one bit for each.
    pub(super) definitions: usize,
    /// The words of environments that are kept, and of those that one step keeps for a while.
    pub(super) kept_words: usize,
    /// The words of environments that are looked at.
    pub(super) work_words: usize,
    /// The nodes and references that [`super::bisimilar`] looks at, after which no further round begins.
    pub(super) merge_steps: usize,
}

impl Default for Limits {
    /// Linux 7.2 with its Rust units has 2,122 definitions, keeps 0.7 million words, looks at 190 million, and joins in one round.
    fn default() -> Self {
        Self {
            definitions: 1 << 14,
            // 32 MiB.
            kept_words: 1 << 22,
            // One to two seconds.
            work_words: 1 << 32,
            // One to two seconds.
            merge_steps: 1 << 26,
        }
    }
}

/// Environments by number: equal ones have equal numbers, given in the order in which they were first met.
///
/// Their number, and what comparing them takes, can be the square of the input's size, so both are counted.
#[derive(Debug, Default)]
pub(super) struct Environments {
    all: Vec<Environment>,
    table: HashTable<EnvironmentId>,
    limits: Limits,
    kept_words: usize,
    work_words: usize,
    /// Whether one step would have kept too many.
    is_step_too_large: bool,
}

impl Environments {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(super) fn intern(&mut self, environment: &Environment) -> EnvironmentId {
        let hash = environment.hash();
        let all = &self.all;
        if let Some(&id) = self
            .table
            .find(hash, |&id| all[id as usize] == *environment)
        {
            return id;
        }
        let id = u32_len(self.all.len());
        self.all.push(environment.clone());
        self.keep(1, environment);
        let all = &self.all;
        self.table
            .insert_unique(hash, id, |&id| all[id as usize].hash());
        id
    }

    pub(super) fn get(&self, id: EnvironmentId) -> &Environment {
        &self.all[id as usize]
    }

    /// Counts `count` more environments as kept.
    pub(super) fn keep(&mut self, count: usize, environment: &Environment) {
        let words = count.saturating_mul(environment.0.len());
        self.kept_words = self.kept_words.saturating_add(words);
    }

    /// Counts `count` environments that one step keeps until it ends. The limit is for each step alone: how many others are kept
    /// by then depends on the order of the steps, which is that of the classes' numbers.
    pub(super) fn keep_for_step(&mut self, count: usize, environment: &Environment) {
        let words = count.saturating_mul(environment.0.len());
        self.is_step_too_large |= words > self.limits.kept_words;
    }

    /// Counts the words of `count` environments as looked at.
    pub(super) fn work(&mut self, count: usize, environment: &Environment) {
        let words = count.saturating_mul(environment.0.len());
        self.work_words = self.work_words.saturating_add(words);
    }

    /// Whether there is too much to go on with environments.
    pub(super) fn are_too_many(&self) -> bool {
        self.is_step_too_large
            || self.kept_words > self.limits.kept_words
            || self.work_words > self.limits.work_words
    }
}

/// The number of environments up to which each is compared with each.
pub(super) const MAX_COMPARED: usize = 64;

/// What each of the environments of one class becomes when open places are filled from the others.
///
/// Environments that share a definition are about the same thing. If all that hang together in this way never disagree,
/// they are one meaning: each takes what any of them says. Where some disagree, one that says less than another takes what
/// that one says if there is exactly one way to do it, and stays as it is if not.
pub(super) fn complete(bits: &Bits, all: &[Environment]) -> Vec<Environment> {
    let mut completed = all.to_vec();
    if all.len() == 1 {
        return completed;
    }
    let groups = connected(bits, all);
    let mut meant = groups.iter().filter(|group| !all[group[0]].is_open());
    let only = match (meant.next(), meant.next()) {
        (Some(group), None) => Some(joined(bits, all, group)),
        _ => None,
    };
    let only = only.filter(|known| bits.ambiguous(known).is_empty());
    for group in &groups {
        if all[group[0]].is_open() {
            if let Some(only) = &only {
                completed[group[0]] = only.clone();
            }
            continue;
        }
        let known = joined(bits, all, group);
        if bits.ambiguous(&known).is_empty() {
            for &member in group {
                completed[member] = known.clone();
            }
        } else if group.len() <= MAX_COMPARED {
            for &member in group {
                let candidates = group.iter().map(|&member| &all[member]);
                if let Some(completion) = all[member].completion(candidates) {
                    completed[member] = completion.clone();
                }
            }
        }
    }
    completed
}

/// All that some environments say.
fn joined(bits: &Bits, all: &[Environment], group: &[usize]) -> Environment {
    let mut joined = bits.open();
    for &member in group {
        joined.join(&all[member]);
    }
    joined
}

/// The numbers of the environments that hang together, each by sharing a definition with another. One that says nothing
/// is alone.
///
/// Each definition leads to the first environment that has it, and environments to one that they hang together with
/// (union-find): nearly linear in the definitions that the environments have.
fn connected(bits: &Bits, all: &[Environment]) -> Vec<Vec<usize>> {
    let mut parents: Vec<usize> = (0..all.len()).collect();
    let mut first_with = vec![usize::MAX; bits.homonyms.len()];
    for (index, environment) in all.iter().enumerate() {
        environment.for_each(|bit| {
            let first = &mut first_with[bit as usize];
            if *first == usize::MAX {
                *first = index;
                return;
            }
            let (a, b) = (root(&mut parents, *first), root(&mut parents, index));
            // The lower one stands for both, so that it is the first of its group.
            parents[a.max(b)] = a.min(b);
        });
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut group_of = vec![usize::MAX; all.len()];
    for index in 0..all.len() {
        let root = root(&mut parents, index);
        if root == index {
            group_of[index] = groups.len();
            groups.push(Vec::new());
        }
        groups[group_of[root]].push(index);
    }
    groups
}

/// The environment that stands for all that hang together with one, to which the way gets shorter each time.
fn root(parents: &mut [usize], index: usize) -> usize {
    let mut index = index;
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three homonyms of two definitions each.
    fn bits() -> Bits {
        Bits::new([2, 2, 2].into_iter())
    }

    fn environment(definitions: &[(u32, u32)]) -> Environment {
        let mut environment = bits().open();
        for &(homonym, number) in definitions {
            environment.add(bits().of(homonym, number));
        }
        environment
    }

    #[test]
    fn two_definitions_of_one_name_are_several() {
        let both = environment(&[(2, 0), (0, 1), (2, 1)]);
        assert_eq!(
            [0, 1, 2].map(|homonym| bits().meaning(&both, homonym)),
            [Meaning::One(1), Meaning::Open, Meaning::Several]
        );
        assert_eq!(bits().ambiguous(&both), [2]);
        let of_two = bits().all_of(&[0, 1]);
        assert!(bits().ambiguous(&both.restricted(&of_two)).is_empty());
        let of_last = bits().all_of(&[2]);
        assert!(bits().ambiguous(&both.without(&of_last)).is_empty());
    }

    #[test]
    fn equal_environments_have_one_number() {
        let mut all = Environments::default();
        let (a, b) = (environment(&[(0, 1)]), environment(&[(1, 1)]));
        assert_eq!([&a, &b, &a].map(|e| all.intern(e)), [0, 1, 0]);
        assert_eq!(all.get(1), &b);
    }

    #[track_caller]
    fn check(all: &[&[(u32, u32)]], expect: &[&[(u32, u32)]]) {
        let made = |all: &[&[(u32, u32)]]| -> Vec<Environment> {
            all.iter().map(|of_one| environment(of_one)).collect()
        };
        assert_eq!(complete(&bits(), &made(all)), made(expect));
    }

    #[test]
    fn what_hangs_together_without_contradiction_is_one() {
        let all: &[_] = &[(0, 0), (1, 0), (2, 0)];
        check(
            &[&[(0, 0)], &[(0, 0), (1, 0)], &[(1, 0), (2, 0)]],
            &[all; 3],
        );
        check(&[&[(0, 0)], &[(0, 1)]], &[&[(0, 0)], &[(0, 1)]]);
    }

    #[test]
    fn open_places_are_filled_if_there_is_one_way() {
        let all: [&[_]; 3] = [&[(0, 0)], &[(0, 0), (1, 0)], &[(0, 0), (1, 1)]];
        check(&all, &all);
        let (a, b): (&[_], &[_]) = (&[(0, 0), (1, 0)], &[(0, 0), (1, 1)]);
        let full: &[_] = &[(2, 0), (1, 1)];
        check(&[full, a, b, &[(2, 0)]], &[full, a, b, full]);
    }

    #[test]
    fn what_says_nothing_joins_the_only_meaning() {
        check(&[&[], &[(0, 0)]], &[&[(0, 0)], &[(0, 0)]]);
        check(&[&[], &[(0, 0)], &[(0, 1)]], &[&[], &[(0, 0)], &[(0, 1)]]);
    }
}
