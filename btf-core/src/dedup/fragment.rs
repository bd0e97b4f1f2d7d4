//! Fragments: the types of one unit or input, as words in the shape of a BTF type section.

use crate::ids::TypeId;
use crate::kind::{Kind, Word};
use crate::wire::Info;

/// A string, by number: equal names are equal strings, and 0 is the empty string.
///
/// Whoever makes the fragments of one merge decides what the numbers are (offsets in a merged `.debug_str`, offsets of
/// a base's strings, an interner's indices) and tells at the end which string each stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u32);

/// The position of a fragment in the input: the order that numbers the output's types.
pub type FragmentIndex = u32;

/// The types of one unit or input.
///
/// Each record has the words of a BTF type record in native byte order, with two differences: names are [`Name`]s, and
/// type ids are local: 0 is `void`, `n` is the n-th record of this fragment. Records may lie in `words` in any order;
/// `starts` numbers them.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    /// The records.
    pub words: Vec<u32>,
    /// The index in `words` at which the record of each type begins; type `n` is element `n - 1`.
    pub starts: Vec<u32>,
    /// Types from this local id on are weak: they are written only if something asks for them.
    pub first_weak: Option<u32>,
}

impl Fragment {
    /// Removes all types, keeping the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.starts.clear();
        self.first_weak = None;
    }

    /// The number of types, `void` not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are no types.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Appends a record and returns its local id.
    pub fn push(&mut self, record: &[u32]) -> TypeId {
        self.starts.push(u32_len(self.words.len()));
        self.words.extend_from_slice(record);
        TypeId(u32_len(self.starts.len()))
    }

    /// The words of the type with local id `id`, if there is one.
    #[must_use]
    pub fn record(&self, id: TypeId) -> Option<&[u32]> {
        let start = *self.starts.get((id.0 as usize).checked_sub(1)?)? as usize;
        let &[_, info, ..] = self.words.get(start..)? else {
            return None;
        };
        let info = Info(info);
        self.words
            .get(start..start + info.kind()?.record_words(info.vlen()))
    }

    /// Whether the type with local id `id` is weak.
    #[must_use]
    pub fn is_weak(&self, id: TypeId) -> bool {
        self.first_weak.is_some_and(|first| id.0 >= first)
    }
}

/// A length that is known to fit 32 bits because what it counts was read from 32-bit offsets; saturates if not.
fn u32_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Calls `visit` with the index of each word of a record that is a type id, in order.
#[inline]
pub(crate) fn for_each_type_word(kind: Kind, record_len: usize, mut visit: impl FnMut(usize)) {
    let info = kind.info();
    if kind.third_is_type() {
        visit(2);
    }
    for (index, word) in info.trailer.iter().enumerate() {
        if *word == Word::Type {
            visit(3 + index);
        }
    }
    if let Some(offset) = info.element.iter().position(|word| *word == Word::Type) {
        let mut index = 3 + info.trailer.len() + offset;
        while index < record_len {
            visit(index);
            index += info.element.len();
        }
    }
}

/// Calls `visit` with the index of each word of a record that is a name, in order.
#[inline]
pub(crate) fn for_each_name_word(kind: Kind, record_len: usize, mut visit: impl FnMut(usize)) {
    visit(0);
    let info = kind.info();
    if let Some(offset) = info.element.iter().position(|word| *word == Word::Name) {
        let mut index = 3 + info.trailer.len() + offset;
        while index < record_len {
            visit(index);
            index += info.element.len();
        }
    }
}
