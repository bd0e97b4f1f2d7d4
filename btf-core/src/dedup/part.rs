//! Part: of a base that one merge alone continues, what that merge can need.
//!
//! Problem: to index a whole base ([`Base`]) costs more than to merge one module with it, and a module needs little of it.
//!
//! Method: when all fragments of the merge have been added it is known which labels and keys they have. Of the base's types
//! with a label those stay that have one of theirs; of the others those that have one of their keys. A key needs the keys
//! of all that a type refers to without a label; but nearly all types tell by their shape that no fragment has them, or by
//! what they refer to first, and both are known before there is a fragment ([`Outline`](super::Outline)).
//! To these is added what tells the homonyms among them apart: all that types which share their label with
//! others lead to, up to what has a label of its own. The part is then indexed like any base. A record of it may refer to
//! what is not in the part; that reference is cut, and no key finds the type any more: it is there for its label only.
//!
//! Where the base is not C (cycles of types without a label), the part is all of it.
//!
//! The result is that of a merge with the whole base, as far as [`Unread`] says; tests compare the two.

use super::base::Base;
use super::classes::{ClassTable, FastMap};
use super::fragment::{Fragment, for_each_name_word, for_each_type_word, u32_len};
use super::gathered::Gathered;
use super::key::{Key, contribution_of, key_of, tag_label};
use super::needed::{HashBits, Needed, is_rare};
use super::unread::Unread;
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::wire::Info;

/// A part of a base.
#[derive(Debug)]
pub(super) struct Part {
    base: Base,
    /// The id in the whole base of each type.
    ids: Vec<TypeId>,
    /// The number of types of the whole base.
    whole_len: usize,
}

impl Part {
    /// Takes what `gathered` can need, and moves there to the base's classes what they have in common.
    pub(super) fn take(unread: Unread<'_>, table: &ClassTable, gathered: &mut [Gathered]) -> Self {
        let mut taking = Taking {
            unread,
            table,
            states: States::new(unread.starts.len(), State::Out),
            keys: FastMap::default(),
            renamed: Vec::new(),
        };
        if !taking.take_needed(gathered) {
            taking.states = States::new(unread.starts.len(), State::In);
        }
        taking.take_homonyms();
        let part = taking.finish();
        let mut keys: Vec<Key> = Vec::new();
        table.for_each(|key, class, _| {
            let class = class as usize;
            keys.resize(keys.len().max(class + 1), 0);
            keys[class] = key;
        });
        for gathered in gathered {
            let mut of_base = std::mem::take(&mut gathered.of_base);
            gathered.retain(|class| {
                let in_base = part.base.class(keys[class as usize]);
                of_base.extend(in_base.map(|in_base| (class, in_base)));
                in_base.is_none()
            });
            gathered.of_base = of_base;
        }
        part
    }

    /// The part, with ids of its own.
    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    /// The number of types of the whole base.
    pub(super) fn whole_len(&self) -> usize {
        self.whole_len
    }

    /// The id in the whole base of a type of the part.
    pub(super) fn id(&self, own: TypeId) -> TypeId {
        let index = (own.0 as usize).wrapping_sub(1);
        self.ids.get(index).copied().unwrap_or(TypeId::VOID)
    }

    /// The first type of the whole base that equals `id`; `void` if that is not in the part.
    pub(super) fn first_equal(&self, id: TypeId) -> TypeId {
        match self.ids.binary_search(&id) {
            Ok(index) => self.id(self.base.first_equal(TypeId(u32_len(index) + 1))),
            Err(_) => TypeId::VOID,
        }
    }
}

/// Whether a type is in the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    /// Waits for its targets.
    Open,
    Out,
    In,
}

/// The state of each type.
#[derive(Debug)]
struct States(Vec<State>);

impl States {
    fn new(len: usize, state: State) -> Self {
        Self(vec![state; len])
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// The state of a type; what there is not is out.
    #[inline]
    fn get(&self, index: usize) -> State {
        self.0.get(index).copied().unwrap_or(State::Out)
    }

    #[inline]
    fn set(&mut self, index: usize, state: State) {
        if let Some(place) = self.0.get_mut(index) {
            *place = state;
        }
    }

    /// All that are in, in their order.
    fn all_in(&self) -> impl Iterator<Item = u32> {
        let numbered = (0..).zip(&self.0);
        let are_in = numbered.filter(|&(_, &state)| state == State::In);
        are_in.map(|(index, _)| index)
    }
}

#[derive(Debug)]
struct Taking<'b> {
    unread: Unread<'b>,
    /// The keys of the fragments' types.
    table: &'b ClassTable,
    states: States,
    /// The keys of the types that have no label and equal one of a fragment.
    keys: FastMap<u32, Key>,
    /// A record with names in place of their words.
    renamed: Vec<u32>,
}

impl<'b> Taking<'b> {
    /// Finds what has a label of a fragment, or equals a type of it; `false` if that cannot be told.
    fn take_needed(&mut self, gathered: &[Gathered]) -> bool {
        let Some(needed) = Needed::of(gathered, self.unread.names) else {
            return false;
        };
        let mut labels = HashBits::new(needed.labels.len());
        for &label in &needed.labels {
            labels.insert(label);
        }
        let outline = self.unread.outline;
        for &index in &outline.labelled {
            let label = self.unread.label(index as usize);
            if labels.may_have(label) && needed.labels.contains(&label) {
                self.states.set(index as usize, State::In);
            }
        }
        let unlabelled = outline.unlabelled.iter();
        let mut candidates: Vec<(u32, u32)> = unlabelled
            .filter(|other| needed.may_have(other.shape))
            .map(|other| (other.index, other.target))
            .collect();
        if needed.has_rare() {
            candidates.extend(self.rare().map(|index| (index, 0)));
        }
        for &(index, _) in &candidates {
            self.states.set(index as usize, State::Unknown);
        }
        candidates.retain(|&(index, target)| {
            let target = target.checked_sub(1);
            let is_out = |target| self.states.get(target as usize) == State::Out;
            let is_out = target.is_some_and(is_out);
            if is_out {
                self.states.set(index as usize, State::Out);
            }
            !is_out
        });
        let mut stack = Vec::new();
        candidates
            .into_iter()
            .all(|(root, _)| self.decide(root, &mut stack))
    }

    /// The types that are [rare](is_rare).
    fn rare(&self) -> impl Iterator<Item = u32> {
        let all = 0..u32_len(self.states.len());
        all.filter(|&index| is_rare(self.unread.record(index as usize).0))
    }

    /// Decides about a candidate, after those that it refers to; `false` at a cycle.
    fn decide(&mut self, root: u32, stack: &mut Vec<u32>) -> bool {
        stack.clear();
        stack.push(root);
        while let Some(&top) = stack.last() {
            let index = top as usize;
            if matches!(self.states.get(index), State::In | State::Out) {
                stack.pop();
                continue;
            }
            let (kind, record) = self.unread.record(index);
            let waiting = stack.len();
            let (mut is_out, mut is_cyclic) = (false, false);
            for_each_type_word(kind, record.len(), |at| {
                if let Some(target) = record[at].checked_sub(1) {
                    match self.states.get(target as usize) {
                        State::Unknown => stack.push(target),
                        State::Open => is_cyclic = true,
                        State::In => {}
                        State::Out => is_out = true,
                    }
                }
            });
            let state = if is_out {
                stack.truncate(waiting);
                State::Out
            } else if is_cyclic {
                return false;
            } else if stack.len() > waiting {
                State::Open
            } else if self.has_equal(top, kind, record) {
                State::In
            } else {
                State::Out
            };
            self.states.set(index, state);
        }
        true
    }

    /// Whether a fragment has a type of the key of this one, whose targets are all in.
    fn has_equal(&mut self, index: u32, kind: Kind, record: &'b [u32]) -> bool {
        let Self {
            unread,
            table,
            keys,
            renamed,
            ..
        } = self;
        let name = |word| unread.names.name(word);
        renamed.clear();
        renamed.extend_from_slice(record);
        for_each_name_word(kind, record.len(), |at| renamed[at] = name(renamed[at]).0);
        let key = key_of(kind, renamed, |id| {
            let Some(target) = id.checked_sub(1) else {
                return contribution_of(0);
            };
            let words = unread.words_at(target as usize);
            match tag_label(Info(words[1]), name(words[0])) {
                0 => keys.get(&target).copied().unwrap_or_default(),
                label => contribution_of(label),
            }
        });
        let has_equal = table.has(key);
        if has_equal {
            keys.insert(index, key);
        }
        has_equal
    }

    /// Adds what tells apart the types that share a label.
    fn take_homonyms(&mut self) {
        let outline = self.unread.outline;
        let mut stack: Vec<u32> = outline
            .homonyms()
            .iter()
            .map(|&(_, index)| index)
            .filter(|&index| self.states.get(index as usize) == State::In)
            .collect();
        while let Some(top) = stack.pop() {
            let (kind, record) = self.unread.record(top as usize);
            for_each_type_word(kind, record.len(), |at| {
                let Some(target) = record[at].checked_sub(1) else {
                    return;
                };
                let target = target as usize;
                if target >= self.states.len() || self.states.get(target) == State::In {
                    return;
                }
                self.states.set(target, State::In);
                let label = self.unread.label(target);
                if label == 0 {
                    stack.push(u32_len(target));
                    return;
                }
                for &(_, index) in outline.of_label(label) {
                    self.states.set(index as usize, State::In);
                    stack.push(index);
                }
            });
        }
    }

    fn finish(self) -> Part {
        let Self {
            unread,
            states,
            keys,
            ..
        } = self;
        let mut local: FastMap<u32, u32> = FastMap::default();
        local.reserve(keys.len());
        let mut ids = Vec::new();
        for index in states.all_in() {
            ids.push(TypeId(index + 1));
            local.insert(index + 1, u32_len(ids.len()));
        }
        let mut content = Fragment::default();
        let mut is_cut = vec![false; ids.len()];
        for (&id, is_cut) in ids.iter().zip(&mut is_cut) {
            let (kind, record) = unread.record(id.0 as usize - 1);
            let words = copy(kind, record, &mut content);
            // From here on the copy alone counts.
            let Some(kind) = Info(words[1]).kind() else {
                continue;
            };
            for_each_name_word(kind, words.len(), |at| {
                words[at] = unread.names.name(words[at]).0;
            });
            for_each_type_word(kind, words.len(), |at| {
                if words[at] != 0 {
                    words[at] = local.get(&words[at]).copied().unwrap_or_default();
                    *is_cut |= words[at] == 0;
                }
            });
        }
        Part {
            base: Base::of_part(content, &is_cut),
            ids,
            whole_len: states.len(),
        }
    }
}

/// Adds a record of this kind, and gives the copy: [`Unread::NOTHING`] if somebody has made another kind or length of it since it
/// was found.
fn copy<'f>(kind: Kind, record: &[u32], to: &'f mut Fragment) -> &'f mut [u32] {
    let start = to.words.len();
    to.push(record);
    let info = Info(to.words[start + 1]);
    if info.kind() != Some(kind) || kind.record_words(info.vlen()) != record.len() {
        to.words.truncate(start);
        to.words.extend(Unread::NOTHING);
    }
    &mut to.words[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_has_changed_since_it_was_found_is_nothing() {
        let word = |kind, vlen| Info::new(kind, vlen, false).0;
        let structure = [1, word(Kind::Struct, 1), 8, 2, 3, 0];
        let mut content = Fragment::default();
        assert_eq!(copy(Kind::Struct, &structure, &mut content), structure);
        let changed = [
            word(Kind::Struct, 2),
            word(Kind::Struct, 0),
            word(Kind::Enum, 1),
            word(Kind::Fwd, 0),
            0,
            u32::MAX,
        ];
        for info in changed {
            let mut record = structure;
            record[1] = info;
            assert_eq!(copy(Kind::Struct, &record, &mut content), Unread::NOTHING);
        }
        assert_eq!(content.len(), 1 + changed.len());
        assert_eq!(content.words.len(), 6 + 3 * changed.len());
        assert_eq!(content.starts.last(), Some(&(6 + 3 * 5)));
    }
}
