//! Keys: what makes two types of different fragments the same, as far as one type and its unnamed targets can tell.
//!
//! A type's key is a hash of its own words in which each reference counts as
//! - the target's *label*, if it has one: a named structure, union or enumeration is known by its kind and name,
//! - the target's own key otherwise.
//!
//! In C every cycle of types passes through a label, so keys are computed bottom-up with an explicit stack. Other
//! sources (Go, hostile input) have cycles without one; then every type on such a cycle gets a label too, its kind and
//! name. A label promises nothing: where one has two definitions, `homonyms` looks at what each reference really meant.

use super::fragment::{Fragment, Name, for_each_type_word};
use crate::kind::Kind;
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
    if name.0 == 0 {
        return 0;
    }
    let space: u64 = match info.kind() {
        Some(Kind::Struct) => 1,
        Some(Kind::Union) => 2,
        Some(Kind::Enum | Kind::Enum64) => 3,
        Some(Kind::Fwd) => 1 + u64::from(info.kind_flag()),
        _ => return 0,
    };
    space << 32 | u64::from(name.0)
}

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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not looked at, or not finished.
    New,
    /// On the stack.
    Open,
    /// `keys` holds its key.
    Done,
}

/// The keys of one fragment's types; reused from fragment to fragment.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The key of each type.
    pub(crate) keys: Vec<Key>,
    /// The label of each type, 0 for none.
    pub(crate) labels: Vec<Label>,
    /// What a reference to local id `n` adds to a key, at `n`; `void` is 0.
    contributions: Vec<u128>,
    states: Vec<State>,
    stack: Vec<u32>,
    buffer: Vec<u8>,
}

impl Keys {
    /// Computes keys and labels of all types of `fragment`.
    pub(crate) fn compute(&mut self, fragment: &Fragment) {
        let count = fragment.len();
        self.keys.clear();
        self.keys.resize(count, 0);
        self.labels.clear();
        for &start in &fragment.starts {
            let start = start as usize;
            self.labels.push(tag_label(
                Info(fragment.words[start + 1]),
                Name(fragment.words[start]),
            ));
        }
        if !self.hash_all(fragment) {
            self.label_cycles(fragment);
            let complete = self.hash_all(fragment);
            debug_assert!(complete, "every cycle has a label now");
        }
    }

    /// Hashes every type; stops with `false` at a cycle without a label.
    fn hash_all(&mut self, fragment: &Fragment) -> bool {
        let count = fragment.len();
        self.contributions.clear();
        self.contributions.push(0);
        self.contributions.extend(self.labels.iter().map(|&label| {
            if label == 0 {
                0
            } else {
                LABEL_MARK | u128::from(label)
            }
        }));
        self.states.clear();
        self.states.resize(count, State::New);
        self.stack.clear();
        for root in 0..count {
            if self.states[root] == State::Done {
                continue;
            }
            self.stack.push(root as u32);
            while let Some(&top) = self.stack.last() {
                let top = top as usize;
                if self.states[top] == State::Done {
                    self.stack.pop();
                    continue;
                }
                let depth = self.stack.len();
                self.states[top] = State::Open;
                if self.gather(fragment, top) {
                    let key = xxhash_rust::xxh3::xxh3_128(&self.buffer);
                    self.keys[top] = key;
                    if self.labels[top] == 0 {
                        self.contributions[top + 1] = key;
                    }
                    self.states[top] = State::Done;
                    self.stack.pop();
                } else if self.stack.len() == depth {
                    return false;
                }
            }
        }
        true
    }

    /// Puts what makes up the key of `index` into the buffer. If a target's key is missing, puts that target on the
    /// stack instead and returns `false`; if the target is open already, there is a cycle, and the stack stays.
    #[inline]
    fn gather(&mut self, fragment: &Fragment, index: usize) -> bool {
        let start = fragment.starts[index] as usize;
        let info = Info(fragment.words[start + 1]);
        let Some(kind) = info.kind() else {
            self.buffer.clear();
            return true;
        };
        let record = &fragment.words[start..start + kind.record_words(info.vlen())];
        self.buffer.clear();
        let mut from = 0;
        let mut ready = true;
        for_each_type_word(kind, record.len(), |at| {
            if !ready {
                return;
            }
            let target = record[at] as usize;
            if target != 0 && self.labels[target - 1] == 0 && self.states[target - 1] != State::Done
            {
                ready = false;
                if self.states[target - 1] == State::New {
                    self.stack.push(target as u32 - 1);
                }
                return;
            }
            extend_words(&mut self.buffer, &record[from..at]);
            self.buffer
                .extend_from_slice(&self.contributions[target].to_ne_bytes());
            from = at + 1;
        });
        if ready {
            extend_words(&mut self.buffer, &record[from..]);
        }
        ready
    }

    /// Gives a label to every type on a cycle that passes through no label.
    ///
    /// Types that can be ordered targets first are taken away one by one (Kahn's method); what is left are the cycles
    /// and what leads to them. The second pass takes away, from the other end, what no cycle leads to.
    fn label_cycles(&mut self, fragment: &Fragment) {
        let count = fragment.len();
        let mut edges = Vec::new();
        for (index, &start) in fragment.starts.iter().enumerate() {
            let info = Info(fragment.words[start as usize + 1]);
            let Some(kind) = info.kind() else { continue };
            let record =
                &fragment.words[start as usize..start as usize + kind.record_words(info.vlen())];
            for_each_type_word(kind, record.len(), |at| {
                let target = record[at] as usize;
                if target != 0 && self.labels[target - 1] == 0 && self.labels[index] == 0 {
                    edges.push((index, target - 1));
                }
            });
        }
        let mut alive = vec![true; count];
        peel(count, &edges, &mut alive);
        let reversed: Vec<_> = edges.iter().map(|&(from, to)| (to, from)).collect();
        peel(count, &reversed, &mut alive);
        for (index, &start) in fragment.starts.iter().enumerate() {
            if alive[index] && self.labels[index] == 0 {
                let start = start as usize;
                self.labels[index] =
                    cycle_label(Info(fragment.words[start + 1]), Name(fragment.words[start]));
            }
        }
    }
}

/// Clears `alive` for every node from which no cycle of living nodes can be reached along `edges`.
fn peel(count: usize, edges: &[(usize, usize)], alive: &mut [bool]) {
    let mut out_degree = vec![0_u32; count];
    let mut sources = vec![Vec::new(); count];
    for &(from, to) in edges {
        if alive[from] && alive[to] {
            out_degree[from] += 1;
            sources[to].push(from);
        }
    }
    let mut queue: Vec<usize> = (0..count)
        .filter(|&node| alive[node] && out_degree[node] == 0)
        .collect();
    while let Some(node) = queue.pop() {
        alive[node] = false;
        for &from in &sources[node] {
            out_degree[from] -= 1;
            if out_degree[from] == 0 {
                queue.push(from);
            }
        }
    }
}

/// Appends words to the bytes that are hashed.
#[inline]
fn extend_words(buffer: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        buffer.extend_from_slice(&word.to_ne_bytes());
    }
}
