//! Tests of the merge engine.
//!
//! Goal: the result is sound, complete, and independent of threads, order and numbers. Method: cases by hand, and
//! thousands of small random inputs that are compared with [`oracle`], which is slow and obvious.

#![expect(
    clippy::cast_possible_truncation,
    reason = "inputs are small, and made here"
)]

mod base;
mod cases;
mod forwards;
mod homes;
mod keys;
mod oracle;
mod part;
mod random;
mod unread;
mod verbatim;

use super::{Base, Fragment, Merged, Merger, Name, NameWords, Outline, Unread, Verbatim, Worker};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::wire::Info;

/// A small generator of pseudorandom numbers (`SplitMix64`), with a fixed seed.
pub(in crate::dedup) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(end)) >> 64)
            .try_into()
            .unwrap()
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for index in (1..all.len()).rev() {
            all.swap(index, self.below(index as u32 + 1) as usize);
        }
    }
}

/// Records, in words: each adds a type and gives its local id.
impl Fragment {
    fn add(&mut self, kind: Kind, name: u32, vlen: u32, words: &[u32]) -> u32 {
        let flagged = Info::new(kind, vlen, false).0;
        self.push(&[&[name, flagged], words].concat()).0
    }

    pub(super) fn int(&mut self, name: u32) -> u32 {
        self.add(Kind::Int, name, 0, &[4, 32])
    }

    pub(super) fn ptr(&mut self, to: u32) -> u32 {
        self.add(Kind::Ptr, 0, 0, &[to])
    }

    pub(super) fn typedef(&mut self, name: u32, to: u32) -> u32 {
        self.add(Kind::Typedef, name, 0, &[to])
    }

    pub(super) fn array(&mut self, of: u32, count: u32) -> u32 {
        self.add(Kind::Array, 0, 0, &[0, of, 0, count])
    }

    /// A structure whose members have the numbers of their types' positions as names.
    pub(super) fn structure(&mut self, name: u32, members: &[u32]) -> u32 {
        let mut words = vec![8];
        for (at, &member) in (100..).zip(members) {
            words.extend([at, member, at * 32]);
        }
        self.add(Kind::Struct, name, members.len() as u32, &words)
    }

    fn fwd(&mut self, name: u32) -> u32 {
        self.add(Kind::Fwd, name, 0, &[0])
    }

    fn fwd_union(&mut self, name: u32) -> u32 {
        self.push(&[name, Info::new(Kind::Fwd, 0, true).0, 0]).0
    }

    fn proto(&mut self, returned: u32, params: &[u32]) -> u32 {
        let mut words = vec![returned];
        words.extend(params.iter().flat_map(|&param| [0, param]));
        self.add(Kind::FuncProto, 0, params.len() as u32, &words)
    }

    /// Makes the `at`-th word of the record `id` be `word`: for references to what is added later.
    pub(super) fn set(&mut self, id: u32, at: usize, word: u32) {
        let start = self.starts[id as usize - 1] as usize;
        self.words[start + at] = word;
    }
}

/// Makes a fragment.
pub(super) fn fragment(build: impl FnOnce(&mut Fragment)) -> Fragment {
    let mut fragment = Fragment::default();
    build(&mut fragment);
    fragment
}

/// What a merge gave.
struct Result {
    merged: Merged,
    records: Vec<Vec<u32>>,
    /// For each fragment the output id of each type.
    ids: Vec<Vec<u32>>,
    first: u32,
}

/// Merges by one worker.
fn merge(fragments: &[Fragment]) -> Result {
    merge_by(Merger::new(), fragments, 1, &mut Random(1))
}

/// Merges into split BTF: the first fragment is the base.
fn merge_with_base(fragments: &[Fragment]) -> Result {
    split_by(fragments, 1, &mut Random(1))
}

/// Merges into split BTF by several workers.
fn split_by(fragments: &[Fragment], workers: usize, random: &mut Random) -> Result {
    let base = Base::new(fragments[0].clone());
    let mut result = merge_by(Merger::with_base(&base), &fragments[1..], workers, random);
    let Fragment { words, starts, .. } = &fragments[0];
    let outline = Outline::of(words, starts, |_| true).unwrap();
    let unread = Unread {
        words,
        starts,
        outline: &outline,
        names: &SameNames,
    };
    let by_part = merge_unread(unread, &fragments[1..], workers, random);
    assert_eq!(by_part.records, result.records);
    assert_eq!(by_part.ids, result.ids);
    for id in (1..=base.len() as u32).map(TypeId) {
        let part = by_part.merged.first_equal_of_base(id);
        let first = base.first_equal(id);
        // Of what no fragment has the part may have another.
        let is_had = result.ids.iter().flatten().any(|&id| id == first.0);
        let is_equal = part == first || !is_had && base.first_equal(part) == first;
        assert!(part == TypeId::VOID || is_equal);
    }
    let ids = (1..=base.len() as u32).map(|id| base.first_equal(TypeId(id)).0);
    result.ids.insert(0, ids.collect());
    result
}

/// Name words that are the names themselves.
#[derive(Debug)]
struct SameNames;

impl NameWords for SameNames {
    fn end(&self) -> u32 {
        1 << 8
    }
    fn name(&self, word: u32) -> Name {
        Name(word)
    }
    fn word(&self, name: Name) -> Option<u32> {
        (name.0 < self.end()).then_some(name.0)
    }
}

/// Adds a fragment as if it stood in BTF, in which each name is its own offset, if that is possible.
fn add_verbatim(worker: &mut Worker<'_>, index: u32, fragment: &Fragment) -> bool {
    let names: Vec<u32> = (0..SameNames.end()).collect();
    let mut starts = fragment.starts.clone();
    starts.push(fragment.words.len() as u32);
    let types = Verbatim {
        words: &fragment.words,
        starts: &starts,
        names: &names,
    };
    let is_possible = fragment.first_weak.is_none() && fragment.homes.is_empty();
    is_possible && worker.add_verbatim(index, types)
}

/// Merges by several workers: who gets which fragment, how and when, is random if there are more than one.
fn merge_by(
    merger: Merger<'_>,
    fragments: &[Fragment],
    workers: usize,
    random: &mut Random,
) -> Result {
    merge_with(merger, None, fragments, workers, random)
}

/// As `merge_by`, into what continues a base that has not been indexed.
fn merge_unread(
    base: Unread<'_>,
    fragments: &[Fragment],
    workers: usize,
    random: &mut Random,
) -> Result {
    merge_with(
        Merger::with_unread(),
        Some(base),
        fragments,
        workers,
        random,
    )
}

fn merge_with(
    merger: Merger<'_>,
    base: Option<Unread<'_>>,
    fragments: &[Fragment],
    workers: usize,
    random: &mut Random,
) -> Result {
    let mut order: Vec<usize> = (0..fragments.len()).collect();
    let gathered = {
        let mut all: Vec<_> = (0..workers).map(|_| merger.worker()).collect();
        if workers > 1 {
            random.shuffle(&mut order);
        }
        for &index in &order {
            let worker = random.below(workers as u32) as usize;
            let is_verbatim = workers > 1 && random.below(2) == 0;
            if !(is_verbatim && add_verbatim(&mut all[worker], index as u32, &fragments[index])) {
                all[worker].add(index as u32, &fragments[index]);
            }
        }
        all.into_iter().map(Worker::finish).collect()
    };
    let reload = |index: u32, into: &mut Fragment| into.clone_from(&fragments[index as usize]);
    let merged = match base {
        None => merger.finish(gathered, &reload),
        Some(base) => merger.finish_unread(base, gathered, &reload),
    };
    let mut records = Vec::new();
    let numbering = merged.number(&[]);
    numbering.for_each_record(|_, record| records.push(record.to_vec()));
    let id = |(index, local): (usize, usize)| {
        let output = merged.output(index as u32, TypeId(local as u32 + 1));
        numbering.id(output.expect("it was added")).0
    };
    let ids = fragments
        .iter()
        .enumerate()
        .map(|(index, f)| (0..f.len()).map(|local| id((index, local))).collect())
        .collect();
    let first = numbering.first_id().0;
    Result {
        merged,
        records,
        ids,
        first,
    }
}

impl Result {
    fn len(&self) -> usize {
        self.records.len()
    }

    /// The output as a fragment; with a base, behind its types.
    fn as_fragment(&self, base: &Fragment) -> Fragment {
        let mut all = Fragment::default();
        for id in 1..self.first {
            all.push(base.record(TypeId(id)).unwrap());
        }
        self.records.iter().for_each(|record| {
            all.push(record);
        });
        all
    }

    /// How many types of a kind with this name there are.
    #[track_caller]
    fn count(&self, kind: Kind, name: u32) -> usize {
        let is = |record: &&Vec<u32>| record[0] == name && Info(record[1]).kind() == Some(kind);
        self.records.iter().filter(is).count()
    }
}
