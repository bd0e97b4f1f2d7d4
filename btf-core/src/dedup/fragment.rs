//! Fragments: the types of one unit or input, as words in the shape of a BTF type section.

use crate::error::{ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
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
    /// Types from this local id on are weak: they are written only if something asks for them. A base has none.
    pub first_weak: Option<u32>,
    /// Weak forward declarations that stand for a type of another fragment, in ascending order: the local id, and that
    /// fragment. What the name means is then what it means there.
    pub homes: Vec<(u32, FragmentIndex)>,
}

impl Fragment {
    /// Removes all types, keeping the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.starts.clear();
        self.first_weak = None;
        self.homes.clear();
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
    #[inline]
    pub fn push(&mut self, record: &[u32]) -> TypeId {
        self.starts.push(u32_len(self.words.len()));
        self.words.extend_from_slice(record);
        TypeId(u32_len(self.starts.len()))
    }

    /// Calls `change` with each word that is a type id, its place in `words` and the kind of its record; type by type.
    ///
    /// Every record must be complete.
    #[inline]
    pub fn change_type_words(&mut self, mut change: impl FnMut(Kind, usize, &mut u32)) {
        for &start in &self.starts {
            let start = start as usize;
            let info = Info(self.words[start + 1]);
            let Some(kind) = info.kind() else { continue };
            for_each_type_word(kind, kind.record_words(info.vlen()), |at| {
                change(kind, start + at, &mut self.words[start + at]);
            });
        }
    }

    /// Appends a record as it stands in BTF, with names and ids as `name` and `local` tell, and returns its local id.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownKind`], and the first error of `name` or `local`; the fragment then holds half a record and is
    /// of no use.
    #[inline]
    pub fn push_renamed(
        &mut self,
        record: &[u32],
        mut name: impl FnMut(StrOffset) -> Result<Name>,
        mut local: impl FnMut(TypeId) -> Result<TypeId>,
    ) -> Result<TypeId> {
        let info = Info(record.get(1).copied().unwrap_or(0));
        let kind = info
            .kind()
            .ok_or_else(|| ErrorKind::UnknownKind(info.kind_number()))?;
        let start = self.words.len();
        let id = self.push(record);
        let words = &mut self.words[start..];
        let mut failed = None;
        // After an error nothing more is asked: what was refused may be long, and each word may be that.
        for_each_name_word(kind, record.len(), |at| {
            if failed.is_none() {
                match name(StrOffset(words[at])) {
                    Ok(name) => words[at] = name.0,
                    Err(error) => failed = Some(error),
                }
            }
        });
        for_each_type_word(kind, record.len(), |at| {
            if failed.is_none() {
                match local(TypeId(words[at])) {
                    Ok(local) => words[at] = local.0,
                    Err(error) => failed = Some(error),
                }
            }
        });
        failed.map_or(Ok(id), Err)
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
pub(super) fn u32_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Where the type ids of a record stand: from `first` on every `stride` words, up to `end`.
///
/// They stand like that in all kinds; a `FUNC_PROTO`'s return type is where a parameter before the first would have its own.
#[derive(Clone, Copy)]
struct TypeWords {
    first: usize,
    stride: usize,
    /// [`usize::MAX`] if they go on to the record's end.
    end: usize,
}

/// For each kind, by its number, where type ids stand: what [`crate::kind::TABLE`] says, in a form that costs no search.
const TYPE_WORDS: [TypeWords; Kind::ALL.len() + 1] = {
    let mut table = [TypeWords {
        first: 0,
        stride: 1,
        end: 0,
    }; Kind::ALL.len() + 1];
    let mut at = 0;
    while at < Kind::ALL.len() {
        table[at + 1] = type_words(Kind::ALL[at]);
        at += 1;
    }
    table
};

/// For each kind, by its number, where the name of its first element stands, and the words from one to the next.
const NAME_WORDS: [(usize, usize); Kind::ALL.len() + 1] = {
    let mut table = [(usize::MAX, 1); Kind::ALL.len() + 1];
    let mut at = 0;
    while at < Kind::ALL.len() {
        let info = Kind::ALL[at].info();
        let mut word = 0;
        while word < info.element.len() {
            if matches!(info.element[word], Word::Name) {
                table[at + 1] = (3 + info.trailer.len() + word, info.element.len());
            }
            word += 1;
        }
        at += 1;
    }
    table
};

/// Finds the row of a kind; does not compile if a kind's type ids do not stand at equal distances.
const fn type_words(kind: Kind) -> TypeWords {
    let info = kind.info();
    let mut row = TypeWords {
        first: 0,
        stride: 1,
        end: 0,
    };
    let mut index = 2;
    // The header's third word, the trailer, and two elements, which tell the distance.
    while index < 3 + info.trailer.len() + 2 * info.element.len() {
        let is_type = if index == 2 {
            kind.third_is_type()
        } else if index < 3 + info.trailer.len() {
            matches!(info.trailer[index - 3], Word::Type)
        } else {
            matches!(
                info.element[(index - 3 - info.trailer.len()) % info.element.len()],
                Word::Type
            )
        };
        if is_type {
            if row.first == 0 {
                row.first = index;
            } else {
                assert!(row.end == row.first + 1 || index - (row.end - 1) == row.stride);
                row.stride = index - (row.end - 1);
            }
            row.end = index + 1;
        }
        index += 1;
    }
    if !info.element.is_empty() && row.end > 3 + info.trailer.len() {
        row.end = usize::MAX;
    }
    row
}

/// Calls `visit` with the index of each word of a record that is a type id, in order.
#[inline]
pub(crate) fn for_each_type_word(kind: Kind, record_len: usize, mut visit: impl FnMut(usize)) {
    let TypeWords { first, stride, end } = TYPE_WORDS[kind as usize];
    let end = end.min(record_len);
    let mut index = first;
    while index < end {
        visit(index);
        index += stride;
    }
}

/// Calls `visit` with the index of each word of a record that is a name, in order: the first, and one in each element.
#[inline]
pub(crate) fn for_each_name_word(kind: Kind, record_len: usize, mut visit: impl FnMut(usize)) {
    visit(0);
    let (first, stride) = NAME_WORDS[kind as usize];
    let mut index = first;
    while index < record_len {
        visit(index);
        index += stride;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refs::word_roles;

    #[test]
    fn nothing_is_asked_after_an_error() {
        let mut record = vec![1, Info::new(Kind::Enum, 100, false).0, 4];
        record.extend([2, 0].repeat(100));
        let mut asked = 0;
        let name = |_| {
            asked += 1;
            Err(ErrorKind::UnknownKind(0).into())
        };
        let pushed = Fragment::default().push_renamed(&record, name, Ok);
        assert!(pushed.is_err());
        assert_eq!(asked, 1);
    }

    #[test]
    fn name_words_are_those_of_the_table() {
        for kind in Kind::ALL {
            for vlen in [0_u32, 1, 2, 5] {
                let roles = word_roles(Info::new(kind, vlen, false));
                let names = (0..).zip(roles).filter(|(_, role)| *role == Word::Name);
                let expect: Vec<usize> = names.map(|(index, _)| index).collect();
                let mut found = Vec::new();
                for_each_name_word(kind, kind.record_words(vlen), |index| found.push(index));
                assert_eq!(found, expect, "{kind} with {vlen} elements");
            }
        }
    }

    #[test]
    fn type_words_are_those_of_the_table() {
        for kind in Kind::ALL {
            let info = kind.info();
            for vlen in [0_u32, 1, 2, 5] {
                let mut expect = Vec::new();
                expect.extend(kind.third_is_type().then_some(2));
                let elements = info
                    .element
                    .iter()
                    .cycle()
                    .take(info.element.len() * vlen as usize);
                let is_type =
                    |(index, word): (usize, &Word)| (*word == Word::Type).then_some(index);
                expect.extend(
                    (3..)
                        .zip(info.trailer.iter().chain(elements))
                        .filter_map(is_type),
                );
                let mut found = Vec::new();
                for_each_type_word(kind, kind.record_words(vlen), |index| {
                    found.push(index);
                });
                assert_eq!(found, expect, "{kind} with {vlen} elements");
            }
        }
    }
}
