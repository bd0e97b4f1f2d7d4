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
pub use leaves::{Leaf, Leaves};
pub use side::{Options, Side, Sort};
pub use through::Causes;

use pair::Pairs;

/// So many names at least are looked up by one thread at a time.
const MIN_NAMES: usize = 1024;

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
    /// What has changed, in the order of sorts and names.
    pub changes: Vec<Change>,
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
            let sort = side::sort_of(new.ty(b))?;
            Some((sort, a, b))
        });
        let different: Vec<_> = pairs.different.into_iter().chain(suspects).collect();
        let details: Vec<_> = different
            .into_par_iter()
            .map(|(sort, a, b)| (sort, a, b, Detail::new(old, new, (a, b), room)))
            .collect();
        let mut changes = Vec::new();
        for (sort, a, b, detail) in details {
            match detail {
                Some(detail) => changes.push(What::Changed(a, b, Box::new(detail)).of(sort)),
                None => same.push((a, b)),
            }
        }
        let changed = changes.iter().filter_map(Change::new_id);
        let causes = Causes::new(new, changed, base);
        for (a, b) in same {
            if let Some(cause) = causes.get(b)
                && let Some(sort) = side::sort_of(new.ty(b))
            {
                changes.push(What::Through(a, b, cause).of(sort));
            }
        }
        changes.extend(
            pairs
                .removed
                .into_iter()
                .map(|(sort, id)| What::Removed(id).of(sort)),
        );
        changes.extend(
            pairs
                .added
                .into_iter()
                .map(|(sort, id)| What::Added(id).of(sort)),
        );
        let mut diff = Self {
            old,
            new,
            changes,
            causes,
            room,
        };
        diff.sort();
        diff
    }

    /// Finds kfuncs and puts everything in order.
    fn sort(&mut self) {
        let (old, new) = (self.old, self.new);
        for change in &mut self.changes {
            let is = |side: &Side<'_>, id: Option<TypeId>| {
                id.and_then(|id| side.is_kfunc(id)) == Some(true)
            };
            change.is_kfunc = is(old, change.old_id()) || is(new, change.new_id());
        }
        let names = self.changes.par_iter().with_min_len(MIN_NAMES);
        let names: Vec<_> = names.map(|change| self.name(change)).collect();
        let keys = self.changes.iter().zip(&names).zip(0..);
        let mut keys: Vec<(u64, u32)> = keys
            .map(|((change, name), index)| (change.sort_key(name), index))
            .collect();
        let changes = &self.changes;
        keys.par_sort_unstable_by(|&(a_key, a), &(b_key, b)| {
            let names = || names[a as usize].cmp(names[b as usize]);
            let ids = || changes[a as usize].ids().cmp(&changes[b as usize].ids());
            a_key.cmp(&b_key).then_with(names).then_with(ids)
        });
        let mut changes: Vec<_> = std::mem::take(&mut self.changes)
            .into_iter()
            .map(Some)
            .collect();
        let in_order = keys
            .iter()
            .map(|&(_, index)| changes[index as usize].take());
        self.changes = in_order.flatten().collect();
    }

    /// The name of the item; empty for what has none.
    #[must_use]
    pub fn name(&self, change: &Change) -> &'b [u8] {
        match (change.new_id(), change.old_id()) {
            (Some(id), _) => self.new.name_of(id),
            (None, Some(id)) => self.old.name_of(id),
            (None, None) => &[],
        }
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
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

    /// The sort, whether it is a kfunc, and the first bytes of a name, as a number that orders as they do.
    fn sort_key(&self, name: &[u8]) -> u64 {
        // What has no name comes last.
        let group = self.sort as u8 * 4 + u8::from(!self.is_kfunc) * 2 + u8::from(name.is_empty());
        let mut key = [group, 0, 0, 0, 0, 0, 0, 0];
        let len = name.len().min(key.len() - 1);
        key[1..=len].copy_from_slice(&name[..len]);
        u64::from_be_bytes(key)
    }

    fn ids(&self) -> (Option<TypeId>, Option<TypeId>) {
        (self.old_id(), self.new_id())
    }

    /// The word for what sort of item it is: that of its [`Sort`], or `kfunc`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.is_kfunc {
            "kfunc"
        } else {
            self.sort.word()
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
            let word = change.word();
            if let Some((_, counts)) = counts.iter_mut().find(|(of, _)| *of == word) {
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
