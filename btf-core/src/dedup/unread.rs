//! Unread: a base as it stands in its file, and the one pass that finds out whether it can be used like that.

use std::fmt::Debug;

use super::fragment::{Name, for_each_name_word, for_each_type_word};
use super::key::{Label, tag_label};
use super::needed::{HashBits, Shape, is_rare, shape};
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

/// A base that has not been indexed, of which there is an [`Outline`]. Equal name words are equal strings, and of what the
/// fragments of the merge have each string has one word. Where other strings have several, types that differ in nothing else are
/// taken for different ones; what a forward declaration stands for may then stay open. If words change while they are read, as
/// those of a mapped file can, nothing comes of it but another result.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'b> {
    /// The records, in the order of their ids.
    pub words: &'b [u32],
    /// The index in `words` at which the record of each type begins.
    pub starts: &'b [u32],
    /// Which types have a label.
    pub outline: &'b Outline,
    /// What name words stand for.
    pub names: &'b dyn NameWords,
}

impl<'b> Unread<'b> {
    /// What stands for a record that has become none.
    pub(super) const NOTHING: &'static [u32; 3] = &[0, Info::new(Kind::Fwd, 0, false).0, 0];

    /// The words from the record of the type at `index` on; at least three.
    #[inline]
    pub(super) fn words_at(&self, index: usize) -> &'b [u32] {
        let start = self.starts.get(index).copied().unwrap_or(u32::MAX);
        let words = self.words.get(start as usize..).unwrap_or_default();
        if words.len() < 3 {
            return Self::NOTHING;
        }
        words
    }

    /// The kind and the words of the type at `index`.
    #[inline]
    pub(super) fn record(&self, index: usize) -> (Kind, &'b [u32]) {
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
    pub(super) fn label(&self, index: usize) -> Label {
        let words = self.words_at(index);
        tag_label(Info(words[1]), Name(words[0]))
    }
}

/// What one pass over all types of a base finds.
#[derive(Debug)]
pub struct Outline {
    /// The types that have a label, counted from 0.
    pub(super) labelled: Vec<u32>,
    /// Those that share their label with others, by label and number.
    homonyms: Vec<(Label, u32)>,
    /// Those without one, but for [rare](is_rare) ones.
    pub(super) unlabelled: Vec<Unlabelled>,
}

/// What tells of most types without a label, at first sight, that nobody needs them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unlabelled {
    pub(super) shape: Shape,
    /// The type, counted from 0.
    pub(super) index: u32,
    /// The id of the first type that it refers to; 0 if that is `void` or there is none.
    pub(super) target: u32,
}

impl Outline {
    /// Looks at all types in `words`, each of which begins where `starts` says.
    ///
    /// `None` if not all are complete and of known kinds, refer to types of which there are so many, and have names of which
    /// `is_name` holds.
    #[must_use]
    pub fn of(words: &[u32], starts: &[u32], is_name: impl Fn(u32) -> bool) -> Option<Self> {
        let count = u32::try_from(starts.len()).ok()?;
        // In a kernel one of seven types has a label, and half are rare.
        let mut labelled = Vec::with_capacity(starts.len() / 6);
        let mut labels = Vec::with_capacity(starts.len() / 6);
        let mut unlabelled = Vec::with_capacity(starts.len() / 2);
        for (index, &start) in (0..count).zip(starts) {
            let (kind, record) = plain(words.get(start as usize..)?, count, &is_name)?;
            let label = tag_label(Info(record[1]), Name(record[0]));
            if label != 0 {
                labelled.push(index);
                labels.push(label);
            } else if !is_rare(kind) {
                unlabelled.push(Unlabelled {
                    shape: shape(kind, record, Some)?,
                    index,
                    target: first_target(kind, record),
                });
            }
        }
        Some(Self {
            homonyms: homonyms(&labelled, &labels),
            labelled,
            unlabelled,
        })
    }

    /// The types that share their label with others, by label and number.
    pub(super) fn homonyms(&self) -> &[(Label, u32)] {
        &self.homonyms
    }

    /// Those of a label, if there are several.
    pub(super) fn of_label(&self, label: Label) -> &[(Label, u32)] {
        let start = self.homonyms.partition_point(|&(other, _)| other < label);
        let rest = self.homonyms.get(start..).unwrap_or_default();
        let len = rest.partition_point(|&(other, _)| other == label);
        &rest[..len]
    }
}

/// The id of the first type that a record refers to, 0 for none.
#[inline]
fn first_target(kind: Kind, record: &[u32]) -> u32 {
    let at = if kind.third_is_type() { 2 } else { 3 };
    let target = record.get(at).copied().unwrap_or_default();
    // Of the members of structures the type comes behind the name.
    let is_type = at == 2 || kind == Kind::Array;
    if is_type { target } else { 0 }
}

/// The homonyms among types of these labels.
///
/// Nearly all labels are there once. Those that are not have a bit of a small set in common with another, so that no
/// more than these few need to be sorted.
fn homonyms(types: &[u32], labels: &[Label]) -> Vec<(Label, u32)> {
    let mut once = HashBits::new(labels.len());
    let mut again = HashBits::new(labels.len());
    for &label in labels {
        if !once.insert(label) {
            again.insert(label);
        }
    }
    let types = labels.iter().copied().zip(types.iter().copied());
    let mut types: Vec<_> = types.filter(|&(label, _)| again.may_have(label)).collect();
    types.sort_unstable();
    let of_label = types.chunk_by(|a, b| a.0 == b.0);
    let homonyms = of_label.filter(|types| types.len() > 1).flatten();
    homonyms.copied().collect()
}

/// The kind and record of the type at the start of `words`; `None` if that is not as [`Outline::of`] needs it.
#[inline]
fn plain(words: &[u32], count: u32, is_name: impl Fn(u32) -> bool) -> Option<(Kind, &[u32])> {
    let is_id = |id: u32| id <= count;
    let &[name, info, third, ..] = words else {
        return None;
    };
    let info = Info(info);
    let kind = info.kind()?;
    let record = words.get(..kind.record_words(info.vlen()))?;
    let rest = &record[3..];
    // The most frequent kinds; the others say the same by the table.
    let are_plain = match kind {
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
            let mut are_plain = true;
            for_each_name_word(kind, record.len(), |at| are_plain &= is_name(record[at]));
            for_each_type_word(kind, record.len(), |at| are_plain &= is_id(record[at]));
            are_plain
        }
    };
    (are_plain && is_name(name)).then_some((kind, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No names but 0.
    #[derive(Debug)]
    struct NoNames;

    impl NameWords for NoNames {
        fn end(&self) -> u32 {
            1
        }
        fn name(&self, _word: u32) -> Name {
            Name(0)
        }
        fn word(&self, _name: Name) -> Option<u32> {
            None
        }
    }

    #[test]
    fn what_has_become_no_record_is_read_as_nothing() {
        let info = |kind, vlen| Info::new(kind, vlen, false).0;
        let before = [
            0,
            info(Kind::Ptr, 0),
            0,
            0,
            info(Kind::Struct, 1),
            8,
            0,
            1,
            0,
        ];
        let starts = [0, 3];
        let outline = Outline::of(&before, &starts, |_| true).unwrap();
        let (mut longer, mut unknown) = (before, before);
        longer[4] = info(Kind::Struct, 2);
        unknown[4] = u32::MAX;
        let unread = |words| Unread {
            words,
            starts: &starts,
            outline: &outline,
            names: &NoNames,
        };
        assert_eq!(unread(&before).record(1), (Kind::Struct, &before[3..]));
        assert_eq!(unread(&longer).record(1), (Kind::Fwd, &Unread::NOTHING[..]));
        assert_eq!(unread(&longer).record(0), (Kind::Ptr, &before[..3]));
        // What is of no kind has the length of the shortest.
        assert_eq!(unread(&unknown).record(1), (Kind::Fwd, &unknown[3..6]));
        // There is no such type.
        assert_eq!(unread(&before).words_at(2), &Unread::NOTHING[..]);
    }
}
