//! Tells what has changed between two blobs of BTF, by name and meaning.
//!
//! Method: each blob becomes a [`Side`], in which every type is a number that says what it means (`side`); items of one
//! name are put side by side (`pair`); those whose numbers differ are compared member by member (`detail`); what holds
//! something that has changed is found from there (`through`). So only what differs costs more than a hash. What is found is written
//! as [`text`], [`json`] or one page of HTML.
//!
//! A type that has changed *itself* says something else than before: another size, another member, another place of one.
//! A type that has changed *through* another one says the same, but holds by value what has changed. What is behind a pointer counts
//! for neither.
//!
//! A name with several definitions counts by its name where others refer to it: which of them is meant is not compared.

pub mod breaking;
mod consequence;
mod detail;
mod hashes;
pub mod html;
pub mod json;
mod leaves;
mod order;
mod pair;
mod parts;
mod queues;
mod side;
mod spell;
pub mod text;
mod through;

use btf_core::TypeId;
use rayon::prelude::*;

pub use consequence::is_consequence;
pub(crate) use detail::encoding_word;
pub use detail::{Detail, EnumeratorChange, MemberChange, ParamChange, Value, WordChange};
pub use leaves::{Leaf, Leaves, Prefixes};
pub use side::{Options, Side, Sort};
pub use through::Causes;

use detail::Comparison;
use pair::Pairs;

/// Of so many items at least one thread finds out whether they have changed through others.
const MIN_SAME: usize = 4096;

/// What has become of an item.
#[derive(Debug)]
pub enum What {
    /// It is new.
    Added(TypeId),
    /// It is gone.
    Removed(TypeId),
    /// It says something else than before: the old id, the new one, and what.
    Changed(TypeId, TypeId, Box<Detail>),
    /// It holds something that has changed: the old id, the new one, and what has changed, by its id in the new blob.
    Through(TypeId, TypeId, TypeId),
}

/// An item that is not in both blobs as it was.
#[derive(Debug)]
pub struct Change {
    /// What sort of item it is.
    pub sort: Sort,
    /// Whether BPF programs may call it in one of the blobs.
    pub is_kfunc: bool,
    /// What has become of it.
    pub what: What,
}

/// The differences between two blobs.
#[derive(Debug)]
pub struct Diff<'b> {
    /// The old blob.
    pub old: &'b Side<'b>,
    /// The new blob.
    pub new: &'b Side<'b>,
    /// What has changed.
    changes: Vec<Change>,
    /// The indices of the changes, in the order of sorts and names.
    order: Vec<u32>,
    /// What has changed, for blobs that continue the new one.
    pub causes: Causes,
    /// How many members unnamed structures may add to each structure that is not in both blobs as it was.
    room: usize,
}

/// How many members unnamed structures may add to all structures together, for each word of the blobs: a few bytes of hostile input
/// make thousands of members of each of its structures. Kernels have less than one.
const ROOM_FACTOR: usize = 8;

/// What they may add in any case.
const ROOM: usize = 1 << 16;

impl<'b> Diff<'b> {
    /// Compares two blobs. `base` tells what has changed in their bases.
    #[must_use]
    pub fn new(old: &'b Side<'b>, new: &'b Side<'b>, base: Option<&Causes>) -> Self {
        let pairs = Pairs::new(old, new);
        let room = room((old, new), &pairs);
        let mut equal = pairs.equal;
        // Others may say something else of what says the same itself.
        let knows_kfuncs = old.knows_kfuncs() && new.knows_kfuncs();
        let knows_exports = old.knows_exports() && new.knows_exports();
        let (suspects, mut same): (Vec<_>, Vec<_>) = if knows_kfuncs || knows_exports {
            let differs = |&(a, b): &(TypeId, TypeId)| {
                knows_kfuncs && old.is_kfunc(a) != new.is_kfunc(b)
                    || knows_exports && old.is_exported(a) != new.is_exported(b)
            };
            equal.into_iter().partition(differs)
        } else {
            (Vec::new(), std::mem::take(&mut equal))
        };
        let suspects = suspects.into_iter().filter_map(|(a, b)| {
            let sort = new.sort(b)?;
            Some((sort, a, b))
        });
        let different: Vec<_> = pairs.different.into_iter().chain(suspects).collect();
        let details: Vec<_> = different
            .into_par_iter()
            .map_init(
                || Comparison::new(old, new, room),
                |comparison, (sort, a, b)| (sort, a, b, comparison.detail((a, b)).map(Box::new)),
            )
            .collect();
        let count = details.len() + pairs.removed.len() + pairs.added.len();
        let mut changes = Vec::with_capacity(count);
        for (sort, a, b, detail) in details {
            match detail {
                Some(detail) => changes.push(What::Changed(a, b, detail).of(sort)),
                None => same.push((a, b)),
            }
        }
        let changed: Vec<_> = changes.iter().filter_map(Change::new_id).collect();
        let removed = pairs.removed.into_iter();
        changes.extend(removed.map(|(sort, id)| What::Removed(id).of(sort)));
        let added = pairs.added.into_iter();
        changes.extend(added.map(|(sort, id)| What::Added(id).of(sort)));
        let known = changes.len();
        let (causes, mut keys) = rayon::join(
            || Causes::new(new, changed.into_iter(), base),
            || order::keys((old, new), &mut changes),
        );
        let through = same.into_par_iter().with_min_len(MIN_SAME);
        let through: Vec<_> = through
            .filter_map(|(a, b)| {
                let (cause, sort) = (causes.get(b)?, new.sort(b)?);
                Some(What::Through(a, b, cause).of(sort))
            })
            .collect();
        changes.extend(through);
        keys.extend(order::keys((old, new), &mut changes[known..]));
        Self {
            old,
            new,
            order: order::of(&changes, &keys),
            changes,
            causes,
            room,
        }
    }

    /// The name of the item; empty for what has none.
    #[must_use]
    pub fn name(&self, change: &Change) -> &'b [u8] {
        name_of((self.old, self.new), change)
    }

    /// What has changed, in the order of sorts and names.
    #[must_use]
    pub fn changes(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.order
            .iter()
            .map(|&index| &self.changes[index as usize])
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The name of an item of two sides; empty for what has none.
fn name_of<'b>((old, new): (&'b Side<'b>, &'b Side<'b>), change: &Change) -> &'b [u8] {
    match (change.new_id(), change.old_id()) {
        (Some(id), _) => new.name_of(id),
        (None, Some(id)) => old.name_of(id),
        (None, None) => &[],
    }
}

/// How many members unnamed structures may add to each structure.
fn room((old, new): (&Side<'_>, &Side<'_>), pairs: &Pairs) -> usize {
    let different = pairs.different.iter().map(|&(sort, ..)| sort);
    let lonely = pairs.removed.iter().chain(&pairs.added);
    let sorts = different.chain(lonely.map(|&(sort, _)| sort));
    let holders =
        sorts.filter(|sort| matches!(sort, Sort::Struct | Sort::Union | Sort::Typedef | Sort::Var));
    let words = old.btf().words().len() + new.btf().words().len();
    (words * ROOM_FACTOR + ROOM) / holders.count().max(1)
}

impl What {
    fn of(self, sort: Sort) -> Change {
        Change {
            sort,
            is_kfunc: false,
            what: self,
        }
    }
}

impl Change {
    /// The id in the old blob.
    #[must_use]
    pub fn old_id(&self) -> Option<TypeId> {
        match self.what {
            What::Added(_) => None,
            What::Removed(id) | What::Changed(id, ..) | What::Through(id, ..) => Some(id),
        }
    }

    /// The id in the new blob.
    #[must_use]
    pub fn new_id(&self) -> Option<TypeId> {
        match self.what {
            What::Removed(_) => None,
            What::Added(id) | What::Changed(_, id, _) | What::Through(_, id, _) => Some(id),
        }
    }

    fn ids(&self) -> (Option<TypeId>, Option<TypeId>) {
        (self.old_id(), self.new_id())
    }

    /// The word for what sort of item it is: that of its [`Sort`], or `kfunc`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        WORDS.get(self.word_index()).unwrap_or(&"")
    }

    /// The index of that in [`WORDS`].
    fn word_index(&self) -> usize {
        match self.sort {
            _ if self.is_kfunc => 5,
            Sort::Struct => 0,
            Sort::Union => 1,
            Sort::Enum => 2,
            Sort::Typedef => 3,
            Sort::Number => 4,
            Sort::Func => 6,
            Sort::Var => 7,
            Sort::Forward => 8,
        }
    }
}

/// How many items of a sort have changed in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that are new.
    pub added: usize,
    /// Those that are gone.
    pub removed: usize,
    /// Those that have changed themselves.
    pub changed: usize,
    /// Those that have changed through others.
    pub through: usize,
}

/// The words for sorts of items in the order in which they are shown.
pub const WORDS: [&str; 9] = [
    "struct", "union", "enum", "typedef", "number", "kfunc", "func", "var", "forward",
];

impl Counts {
    /// Counts changes by the words of [`WORDS`]; words without changes are left out.
    #[must_use]
    pub fn of<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Vec<(&'static str, Self)> {
        let mut counts = WORDS.map(|word| (word, Self::default()));
        for change in changes {
            if let Some((_, counts)) = counts.get_mut(change.word_index()) {
                match change.what {
                    What::Added(_) => counts.added += 1,
                    What::Removed(_) => counts.removed += 1,
                    What::Changed(..) => counts.changed += 1,
                    What::Through(..) => counts.through += 1,
                }
            }
        }
        let counts = counts
            .into_iter()
            .filter(|(_, counts)| *counts != Self::default());
        counts.collect()
    }

    /// The sums of two lists.
    #[must_use]
    pub fn sum(
        a: &[(&'static str, Self)],
        b: &[(&'static str, Self)],
    ) -> Vec<(&'static str, Self)> {
        let sums = WORDS.map(|word| {
            let of_word = a.iter().chain(b).filter(|(of, _)| *of == word);
            (
                word,
                of_word.fold(Self::default(), |sum, (_, counts)| sum.plus(*counts)),
            )
        });
        sums.into_iter()
            .filter(|(_, counts)| *counts != Self::default())
            .collect()
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            added: self.added + other.added,
            removed: self.removed + other.removed,
            changed: self.changed + other.changed,
            through: self.through + other.through,
        }
    }
}
