//! Unread: a base as it stands in its file, and the one pass that finds out whether it can be used like that.

use std::fmt::Debug;
use std::ops::Range;

use super::fragment::{Name, for_each_name_word, for_each_type_word, u32_len};
use super::key::{Label, tag_label};
use crate::kind::Kind;
use crate::pieces::in_pieces;
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
/// fragments of the merge have each string has one word. If words change while they are read, as those of a mapped file can,
/// nothing comes of it but another result.
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
}

/// How many types a thread looks at.
const PIECE: usize = if cfg!(test) { 4 } else { 1 << 15 };

impl Outline {
    /// Looks at all types in `words`, each of which begins where `starts` says.
    ///
    /// `None` if not all are complete and of known kinds, refer to types of which there are so many, and have names of which
    /// `is_name` holds.
    #[must_use]
    pub fn of(words: &[u32], starts: &[u32], is_name: impl Fn(u32) -> bool + Sync) -> Option<Self> {
        let count = u32::try_from(starts.len()).ok()?;
        let look = |piece: Range<usize>| {
            let mut labelled = Vec::new();
            for (index, &start) in piece.clone().zip(&starts[piece]) {
                let words = words.get(start as usize..).unwrap_or_default();
                let label = label_of_plain(words, count, &is_name)?;
                if label != 0 {
                    labelled.push(u32_len(index));
                }
            }
            Some(labelled)
        };
        let pieces = in_pieces(0..starts.len(), PIECE, &look);
        let pieces: Option<Vec<Vec<u32>>> = pieces.into_iter().collect();
        Some(Self {
            labelled: pieces?.concat(),
        })
    }
}

/// The label of the type at the start of `words`, 0 for none; `None` if that is not as [`Outline::of`] needs it.
#[inline]
fn label_of_plain(words: &[u32], count: u32, is_name: impl Fn(u32) -> bool) -> Option<Label> {
    let is_id = |id: u32| id <= count;
    let &[name, info, third, ..] = words else {
        return None;
    };
    let info = Info(info);
    let kind = info.kind()?;
    let rest = words.get(3..kind.record_words(info.vlen()))?;
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
            let record = &words[..3 + rest.len()];
            let mut are_plain = true;
            for_each_name_word(kind, record.len(), |at| are_plain &= is_name(record[at]));
            for_each_type_word(kind, record.len(), |at| are_plain &= is_id(record[at]));
            are_plain
        }
    };
    (are_plain && is_name(name)).then(|| tag_label(info, Name(name)))
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
