//! Part: of a base that one merge alone continues, what that merge can need.
//!
//! Problem: to index a whole base ([`Base`]) costs more than to merge one module with it, and a module needs little of it.
//!
//! Method: when all fragments of the merge have been added it is known which names and labels they have. A type of the base
//! can equal one of theirs only if it has no other names and refers to nothing else without a label, however far. One pass
//! over the words, which looks at no string, leaves the types of which that is true and those that have a label of a
//! fragment. To these is added what tells the homonyms among them apart: all that types which share their label with
//! others lead to, up to what has a label of its own. The part is then indexed like any base. A record of it may refer to
//! what is not in the part; that reference is cut, and no key finds the type any more: it is there for its label only.
//!
//! Where the base is not C (cycles of types without a label), the part is all of it.
//!
//! The result is that of a merge with the whole base; tests compare the two.

use std::fmt::Debug;

use super::base::Base;
use super::classes::{ClassTable, FastMap, Gathered};
use super::fragment::{Fragment, Name, for_each_name_word, for_each_type_word, u32_len};
use super::key::{Key, Label, tag_label};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::wire::Info;

/// What the name words of a base that has not been indexed stand for.
pub trait NameWords: Debug + Sync {
    /// One past the greatest word.
    fn end(&self) -> u32;
    /// The name that a word of the base stands for.
    fn name(&self, word: u32) -> Name;
    /// The word of the base that stands for a name.
    fn word(&self, name: Name) -> Option<u32>;
}

/// A base that has not been indexed. Its records are complete and of known kinds, and their ids are in range; equal name
/// words are equal strings. If words change while they are read, as those of a mapped file can, nothing comes of it but
/// another result.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'b> {
    /// The records, in the order of their ids.
    pub words: &'b [u32],
    /// The index in `words` at which the record of each type begins.
    pub starts: &'b [u32],
    /// What name words stand for.
    pub names: &'b dyn NameWords,
}

impl<'b> Unread<'b> {
    /// What stands for a record that has become none.
    const NOTHING: &'static [u32; 3] = &[0, Info::new(Kind::Fwd, 0, false).0, 0];

    /// The words from the record of the type at `index` on; at least three.
    #[inline]
    fn words_at(&self, index: usize) -> &'b [u32] {
        let start = self.starts.get(index).copied().unwrap_or(u32::MAX);
        let words = self.words.get(start as usize..).unwrap_or_default();
        if words.len() < 3 {
            return Self::NOTHING;
        }
        words
    }

    /// The kind and the words of the type at `index`.
    #[inline]
    fn record(&self, index: usize) -> (Kind, &'b [u32]) {
        let words = self.words_at(index);
        let info = Info(words[1]);
        let kind = info.kind().unwrap_or(Kind::Fwd);
        match words.get(..kind.record_words(info.vlen())) {
            Some(record) => (kind, record),
            None => (Kind::Fwd, Self::NOTHING),
        }
    }

    /// The label of the type at `index`, with the word for its name.
    #[inline]
    fn label(&self, index: usize) -> Label {
        let words = self.words_at(index);
        tag_label(Info(words[1]), Name(words[0]))
    }
}

/// Whether all types in `words` are of known kinds, refer to types of which there are so many, and have names of which
/// `is_name` holds.
#[must_use]
pub fn is_plain(words: &[u32], starts: &[u32], is_name: impl Fn(u32) -> bool) -> bool {
    let is_id = |id: u32| id as usize <= starts.len();
    starts.iter().all(|&start| {
        let words = words.get(start as usize..).unwrap_or_default();
        let &[name, info, third, ..] = words else {
            return false;
        };
        let info = Info(info);
        let Some(kind) = info.kind() else {
            return false;
        };
        let rest = words.get(3..kind.record_words(info.vlen()));
        let (true, Some(rest)) = (is_name(name), rest) else {
            return false;
        };
        // The most frequent kinds; the others say the same by the table.
        match kind {
            Kind::Func | Kind::Ptr | Kind::Const | Kind::Typedef => is_id(third),
            Kind::Struct | Kind::Union => {
                let (members, _) = rest.as_chunks();
                members
                    .iter()
                    .all(|&[name, ty, _]| is_name(name) && is_id(ty))
            }
            Kind::FuncProto => {
                let (parameters, _) = rest.as_chunks();
                let are_plain = parameters
                    .iter()
                    .all(|&[name, ty]| is_name(name) && is_id(ty));
                are_plain && is_id(third)
            }
            Kind::Enum => {
                let (values, _) = rest.as_chunks();
                values.iter().all(|&[name, _]| is_name(name))
            }
            Kind::Int
            | Kind::Array
            | Kind::Fwd
            | Kind::Volatile
            | Kind::Restrict
            | Kind::Var
            | Kind::Datasec
            | Kind::Float
            | Kind::DeclTag
            | Kind::TypeTag
            | Kind::Enum64 => {
                let record = &words[..3 + rest.len()];
                let mut is_plain = true;
                for_each_name_word(kind, record.len(), |at| is_plain &= is_name(record[at]));
                for_each_type_word(kind, record.len(), |at| is_plain &= is_id(record[at]));
                is_plain
            }
        }
    })
}

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
            states: vec![State::Unknown; unread.starts.len()],
            homonyms: Vec::new(),
        };
        let labelled = taking.label_all();
        if !taking.take_needed(gathered, &labelled) {
            taking.states.fill(State::In);
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

/// A set of labels that may have more than were put into it: a bit for each, which others can share.
#[derive(Debug)]
struct LabelSet {
    bits: Vec<u64>,
    /// How far a hash is shifted to tell the bit.
    shift: u32,
}

impl LabelSet {
    /// A set for about `count` labels, of which few then share a bit.
    fn new(count: usize) -> Self {
        let bit_count = (count * 8).next_power_of_two().max(64);
        Self {
            bits: vec![0; bit_count / 64],
            shift: 64 - bit_count.trailing_zeros(),
        }
    }

    #[inline]
    fn place(&self, label: Label) -> (usize, u64) {
        let hash = label.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = usize::try_from(hash >> self.shift).unwrap_or_default();
        (bit / 64, 1 << (bit % 64))
    }

    /// Adds a label; whether its bit is new.
    #[inline]
    fn insert(&mut self, label: Label) -> bool {
        let (word, bit) = self.place(label);
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        is_new
    }

    #[inline]
    fn may_have(&self, label: Label) -> bool {
        let (word, bit) = self.place(label);
        self.bits[word] & bit != 0
    }
}

#[derive(Debug)]
struct Taking<'b> {
    unread: Unread<'b>,
    states: Vec<State>,
    /// The types that share their label with others, by label and id.
    homonyms: Vec<(Label, u32)>,
}

/// What fragments have, in words of the base.
#[derive(Debug)]
struct Needed {
    /// A bit for each word that is a name.
    names: Vec<u64>,
    /// A bit for each kind.
    kinds: u32,
    labels: FastMap<Label, ()>,
}

impl Needed {
    /// Collects names and labels; `None` if there are labels of other kinds than C has.
    fn of(gathered: &[Gathered], names: &dyn NameWords) -> Option<Self> {
        let mut needed = Self {
            names: vec![0; names.end() as usize / 64 + 1],
            kinds: 0,
            labels: FastMap::default(),
        };
        needed.names[0] |= 1;
        let mut known: FastMap<Name, Option<u32>> = FastMap::default();
        let mut word_of = |name| *known.entry(name).or_insert_with(|| names.word(name));
        for gathered in gathered {
            for &(_, label, start) in &gathered.classes {
                let record = &gathered.words[start as usize..];
                let info = Info(record[1]);
                if label != 0 {
                    if label != tag_label(info, Name(record[0])) {
                        return None;
                    }
                    if let Some(word) = word_of(Name(record[0])) {
                        needed.labels.insert(tag_label(info, Name(word)), ());
                    }
                }
                let Some(kind) = info.kind() else { continue };
                needed.kinds |= 1 << kind as u32;
                for_each_name_word(kind, kind.record_words(info.vlen()), |at| {
                    if let Some(word) = word_of(Name(record[at])) {
                        needed.names[word as usize / 64] |= 1 << (word % 64);
                    }
                });
            }
        }
        Some(needed)
    }

    #[inline]
    fn has_name(&self, word: u32) -> bool {
        let names = self.names.get(word as usize / 64);
        names.is_some_and(|names| names >> (word % 64) & 1 != 0)
    }

    /// Whether there may be a record of this beginning. Functions and the like, of which a base has more than of all else, are
    /// not merged by all who merge types. A tag's text is no name: what the encoder makes itself may have others.
    #[inline]
    fn may_have(&self, info: Info, name: u32) -> bool {
        const RARE: u32 = 1 << Kind::Func as u32
            | 1 << Kind::Var as u32
            | 1 << Kind::Datasec as u32
            | 1 << Kind::DeclTag as u32;
        let number = info.kind_number();
        (self.kinds | !RARE) >> (number % 32) & 1 != 0
            && (number == Kind::TypeTag as u32 || self.has_name(name))
    }

    /// Whether there are the kind and all names of a record.
    #[inline]
    fn has(&self, kind: Kind, record: &[u32]) -> bool {
        let mut has_all = self.may_have(Info(record[1]), record[0]);
        if has_all && kind != Kind::TypeTag {
            for_each_name_word(kind, record.len(), |at| {
                has_all &= self.has_name(record[at]);
            });
        }
        has_all
    }
}

impl Taking<'_> {
    /// Lists the types that have a label, and finds the homonyms among them.
    ///
    /// Nearly all labels are there once. Those that are not have a bit of a small set in common with another, so that no
    /// more than these few need to be sorted.
    fn label_all(&mut self) -> Vec<u32> {
        let unread = self.unread;
        let label = |index: u32| (unread.label(index as usize), index);
        let kinds = 1 << Kind::Struct as u32
            | 1 << Kind::Union as u32
            | 1 << Kind::Enum as u32
            | 1 << Kind::Enum64 as u32
            | 1 << Kind::Fwd as u32;
        let has_label = |&index: &u32| {
            let info = Info(unread.words_at(index as usize)[1]);
            kinds >> (info.kind_number() % 32) & 1 != 0 && label(index).0 != 0
        };
        let indices = 0..u32_len(unread.starts.len());
        let labelled: Vec<u32> = indices.filter(has_label).collect();
        let mut once = LabelSet::new(labelled.len());
        let mut again = LabelSet::new(labelled.len());
        for &index in &labelled {
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
        labelled
    }

    /// Finds what has a label of a fragment, or can equal a type of it; `false` if that cannot be told.
    fn take_needed(&mut self, gathered: &[Gathered], labelled: &[u32]) -> bool {
        let Some(needed) = Needed::of(gathered, self.unread.names) else {
            return false;
        };
        let mut labels = LabelSet::new(needed.labels.len());
        needed.labels.keys().for_each(|&label| {
            labels.insert(label);
        });
        for &index in labelled {
            let label = self.unread.label(index as usize);
            let is_in = labels.may_have(label) && needed.labels.contains_key(&label);
            self.states[index as usize] = if is_in { State::In } else { State::Out };
        }
        let mut stack = Vec::new();
        for root in 0..self.states.len() {
            if self.states[root] != State::Unknown {
                continue;
            }
            // Most are out at first sight.
            let words = self.unread.words_at(root);
            if !needed.may_have(Info(words[1]), words[0]) {
                self.states[root] = State::Out;
            } else if !self.decide(root, &needed, &mut stack) {
                return false;
            }
        }
        true
    }

    fn state(&self, index: usize) -> State {
        self.states.get(index).copied().unwrap_or(State::Out)
    }

    /// Decides about a type without a label, after those that it refers to; `false` at a cycle.
    fn decide(&mut self, root: usize, needed: &Needed, stack: &mut Vec<u32>) -> bool {
        stack.clear();
        stack.push(u32_len(root));
        while let Some(&top) = stack.last() {
            let index = top as usize;
            let state = self.states[index];
            if matches!(state, State::In | State::Out) {
                stack.pop();
                continue;
            }
            let (kind, record) = self.unread.record(index);
            let mut is_out = state == State::Unknown && !needed.has(kind, record);
            let mut is_complete = true;
            if !is_out {
                for_each_type_word(kind, record.len(), |at| {
                    if let Some(target) = (record[at] as usize).checked_sub(1) {
                        is_out |= self.state(target) == State::Out;
                        is_complete &= self.state(target) == State::In;
                    }
                });
            }
            if is_out || is_complete {
                self.states[index] = if is_out { State::Out } else { State::In };
                stack.pop();
                continue;
            }
            let mut is_cyclic = false;
            self.states[index] = State::Open;
            for_each_type_word(kind, record.len(), |at| {
                if let Some(target) = record[at].checked_sub(1) {
                    match self.state(target as usize) {
                        State::Unknown => stack.push(target),
                        State::Open => is_cyclic = true,
                        State::In | State::Out => {}
                    }
                }
            });
            if is_cyclic {
                return false;
            }
        }
        true
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
            .filter(|&index| self.states[index as usize] == State::In)
            .collect();
        while let Some(top) = stack.pop() {
            let (kind, record) = self.unread.record(top as usize);
            for_each_type_word(kind, record.len(), |at| {
                let Some(target) = record[at].checked_sub(1) else {
                    return;
                };
                match self.states.get_mut(target as usize) {
                    None | Some(State::In) => return,
                    Some(state) => *state = State::In,
                }
                let label = self.unread.label(target as usize);
                if label == 0 {
                    stack.push(target);
                    return;
                }
                for at in self.of_label(label) {
                    let (_, index) = self.homonyms[at];
                    self.states[index as usize] = State::In;
                    stack.push(index);
                }
            });
        }
    }

    fn finish(self) -> Part {
        let Self { unread, states, .. } = self;
        let mut local = vec![0; states.len()];
        let mut ids = Vec::new();
        for (index, _) in (0..).zip(&states).filter(|(_, state)| **state == State::In) {
            ids.push(TypeId(index + 1));
            local[index as usize] = u32_len(ids.len());
        }
        let mut content = Fragment::default();
        let mut is_cut = vec![false; ids.len()];
        for (&id, is_cut) in ids.iter().zip(&mut is_cut) {
            let (kind, record) = unread.record(id.0 as usize - 1);
            let start = content.words.len();
            content.push(record);
            let words = &mut content.words[start..];
            // From here on the copy alone counts.
            let info = Info(words[1]);
            if info.kind() != Some(kind) || kind.record_words(info.vlen()) != words.len() {
                content.words.truncate(start);
                content.words.extend(Unread::NOTHING);
                continue;
            }
            for_each_name_word(kind, words.len(), |at| {
                words[at] = unread.names.name(words[at]).0;
            });
            for_each_type_word(kind, words.len(), |at| {
                if let Some(target) = (words[at] as usize).checked_sub(1) {
                    words[at] = local.get(target).copied().unwrap_or_default();
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
