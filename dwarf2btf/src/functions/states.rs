//! States: what each unit knows of a function, gathered and grouped by name.

use std::hash::{Hash, Hasher};

use btf_core::dedup::MulHasher;
use hashbrown::HashTable;

use super::Flags;
use crate::symbols::FunctionKey;

/// What one unit knows of a function.
///
/// `P` refers to a prototype; equal values are equal prototypes, parameter names included. It may be any small value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<P> {
    /// The function's name.
    pub key: FunctionKey,
    /// The unit, in input order.
    pub unit: u32,
    /// The offset of its DIE in `.debug_info`, in bytes.
    pub die_offset: u64,
    /// `DW_AT_low_pc`; 0 if there is none.
    pub low_pc: u64,
    /// In a relocatable file the section that `low_pc` is an offset in, by its ELF index.
    pub section: Option<u32>,
    /// What is doubtful about its parameters.
    pub flags: Flags,
    /// Its prototype as in the source.
    pub proto: P,
    /// Its prototype as the compiler changed it, if that was asked for and is known.
    pub true_proto: Option<P>,
}

impl<P> State<P> {
    /// Its position in the input, which orders states.
    #[must_use]
    pub fn position(&self) -> (u32, u64) {
        (self.unit, self.die_offset)
    }

    /// Whether it has code: an abstract instance has not.
    #[must_use]
    pub fn has_code(&self) -> bool {
        self.low_pc != 0 || self.section.is_some()
    }
}

impl<P: Copy + Eq + Hash> State<P> {
    /// Whether it says the same as `other`, perhaps in another place.
    fn says_the_same(&self, other: &Self) -> bool {
        self.substance() == other.substance()
    }

    fn substance(&self) -> impl Hash + Eq + use<P> {
        let place = (self.low_pc, self.section);
        (self.key, place, self.flags, self.proto, self.true_proto)
    }

    fn hash(&self) -> u64 {
        let mut hasher = MulHasher::default();
        self.substance().hash(&mut hasher);
        hasher.finish()
    }
}

/// A set of states, each with the first place that says it.
///
/// States may come in any order, and sets may be joined in any order: the result is the same, since of equal ones
/// the first in input order stays.
#[derive(Debug)]
pub struct States<P> {
    states: Vec<State<P>>,
    index: HashTable<u32>,
}

impl<P> Default for States<P> {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            index: HashTable::new(),
        }
    }
}

impl<P: Copy + Eq + Hash> States<P> {
    /// Adds one state.
    pub fn push(&mut self, state: State<P>) {
        let Ok(number) = u32::try_from(self.states.len()) else {
            return;
        };
        let hash = state.hash();
        let found = self.index.find(hash, |at| {
            self.states
                .get(*at as usize)
                .is_some_and(|other| other.says_the_same(&state))
        });
        if let Some(at) = found.copied() {
            if let Some(other) = self.states.get_mut(at as usize)
                && state.position() < other.position()
            {
                *other = state;
            }
            return;
        }
        self.states.push(state);
        let states = &self.states;
        self.index.insert_unique(hash, number, |at| {
            states.get(*at as usize).map_or(0, State::hash)
        });
    }

    /// An empty set with room for so many states.
    fn with_capacity(count: usize) -> Self {
        Self {
            states: Vec::with_capacity(count),
            index: HashTable::with_capacity(count),
        }
    }

    /// Adds all states of another set.
    pub fn join(&mut self, other: Self) {
        if self.states.is_empty() {
            *self = other;
            return;
        }
        for state in other.states {
            self.push(state);
        }
    }

    /// The same states with other references to prototypes; those that become equal collapse.
    ///
    /// `change` gets the unit and a reference of that unit. Units are asked in no particular order.
    #[must_use]
    pub fn map<Q: Copy + Eq + Hash>(self, mut change: impl FnMut(u32, P) -> Q) -> States<Q> {
        let mut states = States::with_capacity(self.len());
        for state in self.states {
            let proto = change(state.unit, state.proto);
            let true_proto = state.true_proto.map(|proto| change(state.unit, proto));
            states.push(State {
                key: state.key,
                unit: state.unit,
                die_offset: state.die_offset,
                low_pc: state.low_pc,
                section: state.section,
                flags: state.flags,
                proto,
                true_proto,
            });
        }
        states
    }

    /// How many states there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// All states, ordered by name and then by input order; [`groups`] splits them.
    #[must_use]
    pub fn finish(mut self) -> Vec<State<P>> {
        self.states
            .sort_unstable_by_key(|state| (state.key, state.position()));
        self.states
    }
}

/// The groups of sorted states, one per name.
pub fn groups<P>(states: &[State<P>]) -> impl Iterator<Item = &[State<P>]> {
    states.chunk_by(|a, b| a.key == b.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(key: u32, unit: u32, proto: u32) -> State<u32> {
        State {
            key: FunctionKey(key),
            unit,
            die_offset: 7,
            low_pc: 0,
            section: None,
            flags: Flags::NONE,
            proto,
            true_proto: None,
        }
    }

    fn set(states: &[State<u32>]) -> States<u32> {
        let mut set = States::default();
        for state in states {
            set.push(*state);
        }
        set
    }

    #[test]
    fn equal_states_collapse_to_the_first_one() {
        let states = set(&[
            state(1, 5, 8),
            state(1, 3, 8),
            state(1, 4, 8),
            state(0, 9, 8),
        ]);
        assert_eq!(states.len(), 2);
        assert_eq!(states.finish(), [state(0, 9, 8), state(1, 3, 8)]);
    }

    #[test]
    fn whatever_differs_stays_apart() {
        let one = state(1, 1, 8);
        let mut variants = [one; 7];
        variants[1].low_pc = 4;
        variants[2].section = Some(2);
        variants[3].flags = Flags::OPTIMIZED;
        variants[4].proto = 9;
        variants[5].true_proto = Some(9);
        variants[6].key = FunctionKey(2);
        assert_eq!(set(&variants).len(), 7);
        assert!(!variants[0].has_code() && variants[1].has_code() && variants[2].has_code());
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let all = [
            state(2, 1, 8),
            state(1, 2, 8),
            state(1, 1, 9),
            state(2, 0, 8),
            state(1, 0, 8),
        ];
        let expect = set(&all).finish();
        for cut in 0..=all.len() {
            let (front, back) = all.split_at(cut);
            let mut joined = set(back);
            joined.join(set(front));
            assert_eq!(joined.finish(), expect);
        }
        let counts: Vec<_> = groups(&expect).map(<[_]>::len).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn other_references_collapse_further() {
        let states = set(&[state(1, 2, 8), state(1, 1, 9)]);
        assert_eq!(states.len(), 2);
        let mapped = states.map(|_, proto| proto / 10);
        assert_eq!(
            mapped.finish(),
            [State {
                proto: 0,
                ..state(1, 1, 9)
            }]
        );
        assert!(States::<u32>::default().is_empty());
    }
}
