//! Part: of a base that one merge alone continues, what that merge can need.
//!
//! Problem: to index a whole base ([`Base`]) costs more than to merge one module with it, and a module needs little of it.
//!
//! Method: when all fragments of the merge have been added it is known which labels and keys they have. Of the base's types
//! with a label those stay that have one of theirs; of the others those that have one of their keys. A key needs the keys
//! of all that a type refers to without a label, and nearly all types lead to something that does not stay, or tell by
//! themselves that no fragment has them ([`Needed`]): one pass finds those, and looks at no string.
//! To these is added what tells the homonyms among them apart: all that types which share their label with
//! others lead to, up to what has a label of its own. The part is then indexed like any base. A record of it may refer to
//! what is not in the part; that reference is cut, and no key finds the type any more: it is there for its label only.
//!
//! Where the base is not C (cycles of types without a label), the part is all of it.
//!
//! The result is that of a merge with the whole base; tests compare the two.

use std::ops::Range;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use super::base::Base;
use super::classes::{ClassTable, FastMap, Gathered};
use super::fragment::{Fragment, each_type_word, for_each_name_word, for_each_type_word, u32_len};
use super::key::{Key, Label, contribution_of, key_of, tag_label};
use super::needed::{HashBits, Needed};
use super::unread::Unread;
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::pieces::in_pieces;
use crate::wire::Info;

/// How many types a thread looks at.
const PIECE: usize = if cfg!(test) { 4 } else { 1 << 15 };

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
            states: States::new(unread.starts.len(), State::Unknown),
            keys: FastMap::default(),
            renamed: Vec::new(),
            homonyms: Vec::new(),
        };
        taking.find_homonyms();
        if !taking.take_needed(gathered) {
            taking.states = States::new(unread.starts.len(), State::In);
        }
        taking.take_homonyms();
        let part = taking.finish();
        let mut keys: Vec<Key> = Vec::new();
        table.for_each(|key, class| {
            let class = class as usize;
            keys.resize(keys.len().max(class + 1), 0);
            keys[class] = key;
        });
        for Gathered {
            classes, of_base, ..
        } in gathered
        {
            classes.retain(|&(class, ..)| {
                let in_base = part.base.class(keys[class as usize]);
                of_base.extend(in_base.map(|in_base| (class, in_base)));
                in_base.is_none()
            });
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

/// The state of each type, which several threads may set.
#[derive(Debug)]
struct States(Vec<AtomicU8>);

impl States {
    fn new(len: usize, state: State) -> Self {
        Self((0..len).map(|_| AtomicU8::new(state as u8)).collect())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// The state of a type; what there is not is out.
    #[inline]
    fn get(&self, index: usize) -> State {
        const ALL: [State; 4] = [State::Unknown, State::Open, State::Out, State::In];
        let state = self.0.get(index).map(|state| state.load(Relaxed));
        state.map_or(State::Out, |state| ALL[usize::from(state) % ALL.len()])
    }

    #[inline]
    fn set(&self, index: usize, state: State) {
        if let Some(place) = self.0.get(index) {
            place.store(state as u8, Relaxed);
        }
    }

    /// All that are in, in their order.
    fn all_in(&self) -> impl Iterator<Item = u32> {
        let is_in = |index: &u32| self.get(*index as usize) == State::In;
        (0..u32_len(self.len())).filter(is_in)
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
    /// The types that share their label with others, by label and id.
    homonyms: Vec<(Label, u32)>,
}

impl<'b> Taking<'b> {
    /// Finds the homonyms.
    ///
    /// Nearly all labels are there once. Those that are not have a bit of a small set in common with another, so that no
    /// more than these few need to be sorted.
    fn find_homonyms(&mut self) {
        let unread = self.unread;
        let labelled = &unread.outline.labelled;
        let label = |index: u32| (unread.label(index as usize), index);
        let mut once = HashBits::new(labelled.len());
        let mut again = HashBits::new(labelled.len());
        for &index in labelled {
            let label = label(index).0;
            if !once.insert(label) {
                again.insert(label);
            }
        }
        let types = labelled.iter().map(|&index| label(index));
        let mut types: Vec<_> = types.filter(|&(label, _)| again.may_have(label)).collect();
        types.sort_unstable();
        let of_label = types.chunk_by(|a, b| a.0 == b.0);
        let homonyms = of_label.filter(|types| types.len() > 1).flatten();
        self.homonyms = homonyms.copied().collect();
    }

    /// Finds what has a label of a fragment, or equals a type of it; `false` if that cannot be told.
    fn take_needed(&mut self, gathered: &[Gathered]) -> bool {
        let Some(needed) = Needed::of(gathered, self.unread.names) else {
            return false;
        };
        let mut labels = HashBits::new(needed.labels.len());
        needed.labels.keys().for_each(|&label| {
            labels.insert(label);
        });
        for &index in &self.unread.outline.labelled {
            let label = self.unread.label(index as usize);
            let is_in = labels.may_have(label) && needed.labels.contains_key(&label);
            let state = if is_in { State::In } else { State::Out };
            self.states.set(index as usize, state);
        }
        let look = |piece| self.look(piece, &needed);
        let candidates = in_pieces(0..self.states.len(), PIECE, &look);
        let mut stack = Vec::new();
        candidates
            .into_iter()
            .flatten()
            .all(|root| self.decide(root, &mut stack))
    }

    /// Decides about those types of a piece that are out at first sight: their record is no fragment's, or they refer to what
    /// is known to be out. Returns the others.
    ///
    /// Other pieces are looked at meanwhile: what is not known to be out yet is only decided later.
    fn look(&self, piece: Range<usize>, needed: &Needed) -> Vec<u32> {
        let mut others = Vec::new();
        for index in piece {
            if self.states.get(index) != State::Unknown {
                continue;
            }
            let words = self.unread.words_at(index);
            if needed.may_have_head(Info(words[1]), words[0]) {
                let (kind, record) = self.unread.record(index);
                if !self.leads_out(kind, record) && needed.may_have(kind, record) {
                    others.push(u32_len(index));
                    continue;
                }
            }
            self.states.set(index, State::Out);
        }
        others
    }

    /// Whether a record refers to what is known to be out.
    #[inline]
    fn leads_out(&self, kind: Kind, record: &[u32]) -> bool {
        each_type_word(kind, record.len()).any(|at| {
            let target = (record[at] as usize).checked_sub(1);
            target.is_some_and(|target| self.states.get(target) == State::Out)
        })
    }

    /// Decides about a type that is not out at first sight, after those that it refers to; `false` at a cycle.
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

    /// The types of a label, if there are several.
    fn of_label(&self, label: Label) -> std::ops::Range<usize> {
        let start = self.homonyms.partition_point(|&(other, _)| other < label);
        let len = self.homonyms[start..].partition_point(|&(other, _)| other == label);
        start..start + len
    }

    /// Adds what tells apart the types that share a label.
    fn take_homonyms(&mut self) {
        let mut stack: Vec<u32> = self
            .homonyms
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
                for at in self.of_label(label) {
                    let (_, index) = self.homonyms[at];
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
