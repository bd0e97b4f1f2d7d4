//! Keys: what makes two types of different fragments the same, as far as one type and its unnamed targets can tell.
//!
//! A type's key is a hash of its own words in which each reference counts as
//! - the target's *label*, if it has one: a named structure, union or enumeration is known by its kind and name,
//! - the target's own key otherwise.
//!
//! In C every cycle of types passes through a label, so keys are computed bottom-up with an explicit stack. Other
//! sources (Go, hostile input) have cycles without one; then the typedefs on such cycles get a label too, their kind
//! and name, and if cycles are left, so does all that is on them. Bisimilar types have equal labels. A label promises nothing: where one has two definitions, `homonyms` looks at what each reference really meant.

use super::fragment::{Fragment, Name, for_each_type_word, u32_len};
use crate::graph::without_end;
use crate::kind::Kind;
use crate::shared::halves;
use crate::wire::Info;

/// The hash of a type's own words and its unnamed targets.
pub(crate) type Key = u128;

/// The kind and name by which references to a type count; 0 is none.
pub(crate) type Label = u64;

/// A contribution of a label to the key of what refers to it; keys are hashes, so they do not look like this.
const LABEL_MARK: u128 = 0xb7f1_0000_0000_0000_0000_0000_0000_0000;

/// The label of a type of this kind and name, if its kind has one: forward declarations have that of what they declare.
#[inline]
pub(crate) fn tag_label(info: Info, name: Name) -> Label {
    let space = tag_space(info);
    if name.0 == 0 || space == 0 {
        return 0;
    }
    u64::from(space) << 32 | u64::from(name.0)
}

/// The upper half of the label of a type of this kind that has a name; 0 if that has none.
#[inline]
pub(super) fn tag_space(info: Info) -> u32 {
    TAG_SPACES[usize::from(info.kind_flag())][(info.kind_number() % KINDS) as usize]
}

/// As many kinds as [`Info`] has numbers for.
const KINDS: u32 = 32;

/// By `kind_flag` and kind: a table, as nobody can foresee which kind comes next.
const TAG_SPACES: [[u32; KINDS as usize]; 2] = {
    let mut spaces = [[0; KINDS as usize]; 2];
    let mut flag = 0;
    while flag < spaces.len() {
        spaces[flag][Kind::Struct as usize] = 1;
        spaces[flag][Kind::Union as usize] = 2;
        spaces[flag][Kind::Enum as usize] = 3;
        spaces[flag][Kind::Enum64 as usize] = 3;
        flag += 1;
    }
    // A forward declaration has that of what it declares: with `kind_flag`, of a union.
    spaces[0][Kind::Fwd as usize] = 1;
    spaces[1][Kind::Fwd as usize] = 2;
    spaces
};

/// The label of a type on a cycle that no tag breaks.
fn cycle_label(info: Info, name: Name) -> Label {
    u64::from(info.kind_number() + 16) << 32 | u64::from(name.0)
}

/// Whether a type with a label only announces what is defined elsewhere.
pub(crate) fn is_forward(info: Info) -> bool {
    match info.kind() {
        Some(Kind::Fwd) => true,
        Some(Kind::Enum | Kind::Enum64) => info.vlen() == 0,
        _ => false,
    }
}

/// Up to two words as one.
#[inline]
fn two_words(words: &[u32]) -> u64 {
    match *words {
        [] => 0,
        [word] => word.into(),
        [low, high, ..] => u64::from(high) << 32 | u64::from(low),
    }
}

/// The hash of one type's words and of what its ids lead to: a step for each id, without a copy of the words.
///
/// A step multiplies two numbers that the state and the input have gone into, as wyhash and xxh3 do, and keeps both halves
/// of the product. It adds the factors to them, so that a factor of 0 loses nothing of what was before. Input is spread
/// over all bits first, which no step waits for: small numbers that differ little would leave the upper half nearly the same.
#[derive(Clone, Copy, Debug)]
struct KeyHash {
    low: u64,
    high: u64,
}

impl KeyHash {
    /// What spreads input and what the state begins with: odd numbers of which about half of the bits are set.
    const SPREAD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
    const START: [u64; 2] = [0xb7e1_5162_8aed_2a6b, 0x243f_6a88_85a3_08d3];

    /// Begins with a type's name and its kind, flag and number of elements.
    #[inline]
    fn new(name: u32, info: u32) -> Self {
        let [low, high] = Self::START;
        let mut hash = Self { low, high };
        hash.add(two_words(&[name, info]), 0);
        hash
    }

    /// Adds words, and what an id behind them contributes.
    #[inline]
    fn add(&mut self, words: u64, contribution: u128) {
        let [near, far] = halves(contribution);
        let a = self.low ^ words.wrapping_mul(Self::SPREAD[0]);
        let b = self.high ^ near.wrapping_mul(Self::SPREAD[1]);
        let [low, high] = halves(u128::from(a) * u128::from(b));
        self.low = (high ^ far).wrapping_add(a);
        self.high = low ^ b.rotate_left(32);
    }

    /// Adds the words of a record up to its last id; the number of those words.
    #[inline]
    fn of_references(
        kind: Kind,
        record: &[u32],
        mut contribution: impl FnMut(u32) -> u128,
    ) -> (Self, usize) {
        let mut hash = Self::new(record[0], record[1]);
        // The first word that has not been hashed.
        let mut rest = 2;
        for_each_type_word(kind, record.len(), |at| {
            // No kind has more than two words between ids; `two_words` of more would leave some out.
            debug_assert!(at - rest <= 2, "all words are hashed");
            hash.add(two_words(&record[rest..at]), contribution(record[at]));
            rest = at + 1;
        });
        (hash, rest)
    }

    /// Adds the words of a record from `rest` on; the hash of the whole.
    #[inline]
    fn finish_record(mut self, record: &[u32], rest: usize) -> Key {
        for words in record[rest..].chunks(2) {
            self.add(two_words(words), 0);
        }
        self.add(record.len() as u64, Self::START[0].into());
        let key = u128::from(self.high) << 64 | u128::from(self.low);
        // 0 stands for none.
        key.max(1)
    }
}

/// The key of a record: the hash of its words, with what each id contributes in its place.
pub(super) fn key_of(kind: Kind, record: &[u32], contribution: impl FnMut(u32) -> u128) -> Key {
    let (hash, rest) = KeyHash::of_references(kind, record, contribution);
    hash.finish_record(record, rest)
}

/// What a reference to a type with this label adds to a key; 0 stands for `void`.
#[inline]
pub(super) fn contribution_of(label: Label) -> u128 {
    LABEL_MARK | u128::from(label)
}

/// The keys of one fragment's types; reused from fragment to fragment.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The key of each type; 0 until it is known.
    pub(crate) all: Vec<Key>,
    /// The label of each type, 0 for none.
    pub(crate) labels: Vec<Label>,
    /// What a reference to local id `n` adds to a key, at `n`: a mark for `void`, the label or the key; 0 until it is known.
    contributions: Vec<u128>,
    /// Whether a type is on the stack and waits for its targets.
    is_open: Vec<bool>,
    stack: Vec<u32>,
    /// Whether a missing target is on the stack, waiting for its own targets.
    is_cyclic: bool,
}

impl Keys {
    /// Computes keys and labels of all types of `fragment`.
    pub(crate) fn compute(&mut self, fragment: &Fragment) {
        self.labels.clear();
        for &start in &fragment.starts {
            let start = start as usize;
            self.labels.push(tag_label(
                Info(fragment.words[start + 1]),
                Name(fragment.words[start]),
            ));
        }
        if self.hash_all(fragment) {
            return;
        }
        self.label_cycles(fragment, |kind| kind == Kind::Typedef);
        if self.hash_all(fragment) {
            return;
        }
        self.label_cycles(fragment, |_| true);
        let is_complete = self.hash_all(fragment);
        debug_assert!(is_complete, "every cycle has a label now");
    }

    /// Hashes every type; stops with `false` at a cycle without a label.
    fn hash_all(&mut self, fragment: &Fragment) -> bool {
        let count = fragment.len();
        self.all.clear();
        self.all.resize(count, 0);
        self.contributions.clear();
        self.contributions.push(contribution_of(0));
        let label = |&label: &Label| {
            if label == 0 {
                0
            } else {
                contribution_of(label)
            }
        };
        self.contributions.extend(self.labels.iter().map(label));
        self.is_open.clear();
        self.is_open.resize(count, false);
        for root in 0..count {
            if self.labels[root] != 0 || self.all[root] != 0 {
                continue;
            }
            // Most types only refer to what has a label or stood before.
            self.stack.clear();
            if !self.hash(fragment, root) && !self.hash_targets_first(fragment, root) {
                return false;
            }
        }
        // What has a label comes last: all that it refers to is known by now, so that no large structure is hashed twice.
        for root in 0..count {
            if self.labels[root] != 0 {
                let is_complete = self.hash(fragment, root);
                debug_assert!(is_complete, "targets without a label have their keys");
            }
        }
        true
    }

    /// Hashes a type whose targets are missing, from the targets up; `false` at a cycle without a label.
    fn hash_targets_first(&mut self, fragment: &Fragment, root: usize) -> bool {
        self.stack.clear();
        self.stack.push(u32_len(root));
        self.is_cyclic = false;
        while let Some(&top) = self.stack.last() {
            let index = top as usize;
            if self.all[index] == 0 {
                self.is_open[index] = true;
                if !self.hash(fragment, index) {
                    if self.is_cyclic {
                        return false;
                    }
                    continue;
                }
                self.is_open[index] = false;
            }
            self.stack.pop();
        }
        true
    }

    /// Computes the key of a type: the hash of its words, with what each id leads to in its place.
    ///
    /// If keys of targets are missing, puts all of those targets on the stack and returns `false`.
    #[inline]
    fn hash(&mut self, fragment: &Fragment, index: usize) -> bool {
        let start = fragment.starts[index] as usize;
        let info = Info(fragment.words[start + 1]);
        let Some(kind) = info.kind() else {
            self.set(index, 1);
            return true;
        };
        let record = &fragment.words[start..start + kind.record_words(info.vlen())];
        let mut is_complete = true;
        let (hash, rest) = KeyHash::of_references(kind, record, |id| {
            let target = id as usize;
            let contribution = self.contributions[target];
            if contribution == 0 {
                is_complete = false;
                self.is_cyclic |= self.is_open[target - 1];
                self.stack.push(id - 1);
            }
            contribution
        });
        if is_complete {
            self.set(index, hash.finish_record(record, rest));
        }
        is_complete
    }

    /// Sets a key, and what references to its type add to others.
    #[inline]
    fn set(&mut self, index: usize, key: Key) {
        self.all[index] = key;
        if self.labels[index] == 0 {
            self.contributions[index + 1] = key;
        }
    }

    /// Gives a label to the types of some kinds from which references lead on for ever without passing a label.
    ///
    /// That is not only what is on a cycle: what leads to a cycle can be bisimilar to what is on it, and what is
    /// bisimilar must have equal labels. Types that can be ordered targets first are taken away one by one (Kahn's
    /// method); what is left are the cycles and what leads to them.
    fn label_cycles(&mut self, fragment: &Fragment, is_labelled: impl Fn(Kind) -> bool) {
        let mut edges = Vec::new();
        for (index, &start) in fragment.starts.iter().enumerate() {
            let start = start as usize;
            let info = Info(fragment.words[start + 1]);
            let Some(kind) = info.kind().filter(|_| self.labels[index] == 0) else {
                continue;
            };
            let record = &fragment.words[start..start + kind.record_words(info.vlen())];
            for_each_type_word(kind, record.len(), |at| {
                if let Some(target) = (record[at] as usize).checked_sub(1)
                    && self.labels[target] == 0
                {
                    edges.push((target, index));
                }
            });
        }
        let goes_on = without_end(edges, fragment.len());
        for (index, &start) in fragment.starts.iter().enumerate() {
            let info = Info(fragment.words[start as usize + 1]);
            if goes_on[index] && info.kind().is_some_and(&is_labelled) {
                self.labels[index] = cycle_label(info, Name(fragment.words[start as usize]));
            }
        }
    }
}
