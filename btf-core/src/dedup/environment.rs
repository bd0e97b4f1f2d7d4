//! Environments: what a fragment takes each homonym for, and how environments that leave some open are completed.
//!
//! Each definition of each homonym has a bit, so that environments are joined, restricted and compared word by word.

/// The bits of all homonyms' definitions.
#[derive(Debug)]
pub(super) struct Bits {
    /// For each homonym the bit of its first definition, and one past the last bit of all.
    first: Vec<u32>,
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
        let mut first = vec![0];
        for count in definition_counts {
            first.push(first[first.len() - 1] + count as u32);
        }
        Self { first }
    }

    /// The bit of a definition.
    pub(super) fn of(&self, homonym: u32, number: usize) -> u32 {
        self.first[homonym as usize] + number as u32
    }

    /// An environment in which everything is open.
    pub(super) fn open(&self) -> Environment {
        Environment(vec![0; self.first[self.first.len() - 1].div_ceil(64) as usize].into())
    }

    /// All bits of some homonyms.
    pub(super) fn all_of(&self, homonyms: &[u32]) -> Environment {
        let mut all = self.open();
        for &homonym in homonyms {
            (self.first[homonym as usize]..self.first[homonym as usize + 1])
                .for_each(|bit| all.add(bit));
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

    /// The homonyms that an environment takes for several things.
    pub(super) fn ambiguous(&self, environment: &Environment) -> Vec<u32> {
        let homonyms = 0..self.first.len() as u32 - 1;
        homonyms
            .filter(|&homonym| self.meaning(environment, homonym) == Meaning::Several)
            .collect()
    }
}

/// A set of definitions, by bit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Environment(Box<[u64]>);

impl Environment {
    pub(super) fn add(&mut self, bit: u32) {
        self.0[bit as usize / 64] |= 1 << (bit % 64);
    }

    fn has(&self, bit: u32) -> bool {
        self.0[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// Adds what `other` says.
    pub(super) fn join(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word |= other);
    }

    /// What is in `set` too.
    pub(super) fn restricted(&self, set: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&set.0)
                .map(|(word, set)| word & set)
                .collect(),
        )
    }

    /// What is not in `set`.
    pub(super) fn without(&self, set: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&set.0)
                .map(|(word, set)| word & !set)
                .collect(),
        )
    }

    fn is_open(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn is_part_of(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(word, other)| word & !other == 0)
    }

    fn meets(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .any(|(word, other)| word & other != 0)
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The one of `all` that says all that this says, and of all such ones the most; `None` if two of them disagree.
    pub(super) fn completion<'e>(
        &self,
        all: impl Iterator<Item = &'e Self> + Clone,
    ) -> Option<&'e Self> {
        let candidates = all.filter(|other| self.is_part_of(other));
        let fullest = candidates.clone().max_by_key(|other| other.len())?;
        candidates
            .clone()
            .all(|other| other.is_part_of(fullest))
            .then_some(fullest)
    }
}

/// The number of environments up to which each is compared with each.
const MAX_COMPARED: usize = 64;

/// What each of the environments of one class becomes when open places are filled from the others.
///
/// Environments that share a definition are about the same thing. If all that hang together in this way never disagree,
/// they are one meaning: each takes what any of them says. Where some disagree, one that says less than another takes what
/// that one says if there is exactly one way to do it, and stays as it is if not.
pub(super) fn complete(bits: &Bits, all: &[Environment]) -> Vec<Environment> {
    let mut connected: Vec<(Environment, Vec<usize>)> = Vec::new();
    for (index, environment) in all.iter().enumerate() {
        let mut joined = (environment.clone(), vec![index]);
        connected.retain_mut(|(known, members)| {
            let meets = known.meets(environment);
            if meets {
                joined.0.join(known);
                joined.1.append(members);
            }
            !meets
        });
        connected.push(joined);
    }
    let mut completed = all.to_vec();
    let meant = connected
        .iter()
        .filter(|(known, _)| !known.is_open())
        .count();
    for (known, members) in &connected {
        if known.is_open() {
            let only = connected
                .iter()
                .find(|(known, _)| !known.is_open() && bits.ambiguous(known).is_empty());
            if let (1, Some((only, _))) = (meant, only) {
                members
                    .iter()
                    .for_each(|&member| completed[member] = only.clone());
            }
        } else if bits.ambiguous(known).is_empty() {
            members
                .iter()
                .for_each(|&member| completed[member] = known.clone());
        } else if members.len() <= MAX_COMPARED {
            for &member in members {
                if let Some(completion) =
                    all[member].completion(members.iter().map(|&member| &all[member]))
                {
                    completed[member] = completion.clone();
                }
            }
        }
    }
    completed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three homonyms of two definitions each.
    fn bits() -> Bits {
        Bits::new([2, 2, 2].into_iter())
    }

    fn environment(definitions: &[(u32, usize)]) -> Environment {
        let mut environment = bits().open();
        definitions
            .iter()
            .for_each(|&(homonym, number)| environment.add(bits().of(homonym, number)));
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
        assert!(
            bits()
                .ambiguous(&both.restricted(&bits().all_of(&[0, 1])))
                .is_empty()
        );
        assert!(
            bits()
                .ambiguous(&both.without(&bits().all_of(&[2])))
                .is_empty()
        );
    }

    #[track_caller]
    fn check(all: &[&[(u32, usize)]], expect: &[&[(u32, usize)]]) {
        let all: Vec<Environment> = all
            .iter()
            .map(|definitions| environment(definitions))
            .collect();
        let expect: Vec<Environment> = expect
            .iter()
            .map(|definitions| environment(definitions))
            .collect();
        assert_eq!(complete(&bits(), &all), expect);
    }

    #[test]
    fn what_hangs_together_without_contradiction_is_one() {
        check(
            &[&[(0, 0)], &[(0, 0), (1, 0)], &[(1, 0), (2, 0)]],
            &[&[(0, 0), (1, 0), (2, 0)]; 3],
        );
        check(&[&[(0, 0)], &[(0, 1)]], &[&[(0, 0)], &[(0, 1)]]);
    }

    #[test]
    fn open_places_are_filled_if_there_is_one_way() {
        check(
            &[&[(0, 0)], &[(0, 0), (1, 0)], &[(0, 0), (1, 1)]],
            &[&[(0, 0)], &[(0, 0), (1, 0)], &[(0, 0), (1, 1)]],
        );
        check(
            &[
                &[(2, 0), (1, 1)],
                &[(0, 0), (1, 0)],
                &[(0, 0), (1, 1)],
                &[(2, 0)],
            ],
            &[
                &[(2, 0), (1, 1)],
                &[(0, 0), (1, 0)],
                &[(0, 0), (1, 1)],
                &[(2, 0), (1, 1)],
            ],
        );
    }

    #[test]
    fn what_says_nothing_joins_the_only_meaning() {
        check(&[&[], &[(0, 0)]], &[&[(0, 0)], &[(0, 0)]]);
        check(&[&[], &[(0, 0)], &[(0, 1)]], &[&[], &[(0, 0)], &[(0, 1)]]);
    }
}
