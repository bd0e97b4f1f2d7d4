//! Needed: what of a base that is not indexed can equal a type of the fragments, as far as one record alone can tell.
#![expect(clippy::cast_possible_truncation, reason = "a shape is half of a hash")]

use super::classes::{FastMap, FastSet};
use super::fragment::{Name, for_each_name_word, for_each_type_word};
use super::gathered::Gathered;
use super::key::{Label, tag_label};
use super::unread::NameWords;
use crate::kind::Kind;
use crate::wire::Info;

/// A set of labels or shapes that may have more than were put into it: a bit for each, which others can share.
#[derive(Debug)]
pub(super) struct HashBits {
    bits: Vec<u64>,
    /// How far a hash is shifted to tell the bit.
    shift: u32,
}

impl HashBits {
    /// A set for about `count` of them, of which few then share a bit.
    pub(super) fn new(count: usize) -> Self {
        let bit_count = (count * 8).next_power_of_two().max(64);
        Self {
            bits: vec![0; bit_count / 64],
            shift: 64 - bit_count.trailing_zeros(),
        }
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = usize::try_from(hash >> self.shift).unwrap_or_default();
        (bit / 64, 1 << (bit % 64))
    }

    /// Adds one; whether its bit is new.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        is_new
    }

    #[inline]
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.bits[word] & bit != 0
    }
}

/// What fragments have, in words of the base.
#[derive(Debug)]
pub(super) struct Needed {
    /// A bit for each kind.
    kinds: u32,
    /// Those of all types without a label.
    shapes: HashBits,
    pub(super) labels: FastSet<Label>,
}

impl Needed {
    /// Collects shapes and labels; `None` if there are labels of other kinds than C has.
    pub(super) fn of(gathered: &[Gathered], names: &dyn NameWords) -> Option<Self> {
        let count: usize = gathered.iter().map(|gathered| gathered.classes.len()).sum();
        let mut needed = Self {
            kinds: 0,
            // All of the base's are looked up, so that few should be found by chance.
            shapes: HashBits::new(4 * count),
            labels: FastSet::default(),
        };
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
                        needed.labels.insert(tag_label(info, Name(word)));
                    }
                    continue;
                }
                let Some(kind) = info.kind() else { continue };
                let record = &record[..kind.record_words(info.vlen())];
                if let Some(shape) = shape(kind, record, |name| word_of(Name(name))) {
                    needed.shapes.insert(shape.into());
                    needed.kinds |= 1 << kind as u32;
                }
            }
        }
        Some(needed)
    }

    /// Whether there may be a type of this shape.
    #[inline]
    pub(super) fn may_have(&self, shape: Shape) -> bool {
        self.shapes.may_have(shape.into())
    }

    /// Whether there are types that are [rare](is_rare).
    pub(super) fn has_rare(&self) -> bool {
        Kind::ALL
            .into_iter()
            .any(|kind| is_rare(kind) && self.kinds >> kind as u32 & 1 != 0)
    }
}

/// Whether types of this kind are not merged by all who merge types: functions and the like, of which a base has more than of
/// all else.
#[inline]
pub(super) fn is_rare(kind: Kind) -> bool {
    const RARE: u32 = 1 << Kind::Func as u32
        | 1 << Kind::Var as u32
        | 1 << Kind::Datasec as u32
        | 1 << Kind::DeclTag as u32;
    RARE >> kind as u32 & 1 != 0
}

/// A hash of what a record tells by itself: kind, size, names, and where it refers to `void`.
pub(super) type Shape = u32;

/// The shape of a record without a label. `name` gives the base's word for a name; `None` if that has none.
#[inline]
pub(super) fn shape(
    kind: Kind,
    record: &[u32],
    mut name: impl FnMut(u32) -> Option<u32>,
) -> Option<Shape> {
    let mut shape = u64::from(record[1]);
    let mut add = |word: u32| {
        shape = (shape ^ u64::from(word))
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            .rotate_left(29);
    };
    if !kind.third_is_type() {
        add(record[2]);
    }
    if kind == Kind::Array {
        // Nothing else of its own.
        add(record[5]);
    }
    for_each_type_word(kind, record.len(), |at| add((record[at] == 0).into()));
    let mut is_whole = true;
    // What the encoder makes itself may have other names for a tag's text.
    if kind != Kind::TypeTag {
        for_each_name_word(kind, record.len(), |at| match name(record[at]) {
            Some(word) => add(word),
            None => is_whole = false,
        });
    }
    is_whole.then_some((shape ^ shape >> 32) as Shape)
}
