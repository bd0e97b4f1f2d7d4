//! What has changed between the members of two structures.

use std::hash::Hasher as _;
use std::ops::Range;

use btf_core::TypeId;
use btf_core::dedup::MulHasher;

use super::super::leaves::{Key, Leaf, Leaves};
use super::super::queues::Queues;
use super::super::side::Side;
use super::enumerators::nameless_enums;
use super::{Comparison, Detail};

/// What has become of a member.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may hold with each other"
)]
pub struct MemberChange {
    /// The old one; `None` if it was added.
    pub old: Option<Leaf>,
    /// The new one; `None` if it was removed.
    pub new: Option<Leaf>,
    /// It has another name, and the same place and type.
    pub is_renamed: bool,
    /// It lies elsewhere.
    pub is_moved: bool,
    /// It has another type.
    pub is_retyped: bool,
    /// It is a bitfield of another width, or is one no longer, or has become one.
    pub is_rewidened: bool,
    /// Its type is called as before and has another size; of an array without a length, the elements have.
    pub is_resized: bool,
    /// It has been resized, and its type has no name, so that nobody else tells.
    pub has_own_size: bool,
    /// Where in [`Detail::enumerators`] those are that have changed in its type without a name.
    values: (u32, u32),
}

impl MemberChange {
    const NONE: Self = Self {
        old: None,
        new: None,
        is_renamed: false,
        is_moved: false,
        is_retyped: false,
        is_rewidened: false,
        is_resized: false,
        has_own_size: false,
        values: (0, 0),
    };

    /// Whether the structure itself says something else than before.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.old.is_none()
            || self.is_lost()
            || self.is_moved
            || self.has_own_size
            || self.is_revalued()
    }

    /// Whether there is no member of this name, type and width any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.old.is_some() && self.new.is_none() || self.is_respelled()
    }

    /// Whether its type is an enumeration without a name in which something has changed, see [`Detail::enumerators_of`].
    #[must_use]
    pub fn is_revalued(&self) -> bool {
        !self.values().is_empty()
    }

    /// The places of [`Detail::enumerators_of`].
    pub(super) fn values(&self) -> Range<usize> {
        self.values.0 as usize..self.values.1 as usize
    }

    /// Whether it is declared in another way.
    #[must_use]
    pub fn is_respelled(&self) -> bool {
        self.is_renamed || self.is_retyped || self.is_rewidened
    }

    /// Whether it lies elsewhere, and that is all.
    #[must_use]
    pub fn is_only_moved(&self) -> bool {
        self.is_moved && !self.is_respelled() && !self.is_resized && !self.is_revalued()
    }
}

/// The members of two structures, put side by side.
#[derive(Debug, Default)]
pub(super) struct Members {
    olds: Leaves,
    news: Leaves,
    /// For each new member the index of the old one that it was.
    old_of: Vec<Option<usize>>,
    /// Whether an old member is not a new one's.
    is_left: Vec<bool>,
    /// Room for what has changed.
    changes: Vec<MemberChange>,
}

impl Comparison<'_, '_> {
    /// Adds what has changed between the members of two structures.
    pub(super) fn compare_members(&mut self, detail: &mut Detail, ids: (TypeId, TypeId)) {
        let mut changes = std::mem::take(&mut self.members.changes);
        let members = &mut self.members;
        members.olds.take(self.old, ids.0, self.room);
        members.news.take(self.new, ids.1, self.room);
        members.pair();
        let Members {
            olds,
            news,
            old_of,
            is_left,
            ..
        } = &self.members;
        let left = |range: Range<usize>| {
            let left = olds.all[range.clone()].iter().zip(&is_left[range]);
            let left = left.filter(|&(_, &is_left)| is_left);
            left.map(|(&old, _)| MemberChange {
                old: Some(old),
                ..MemberChange::NONE
            })
        };
        let mut next_old = 0;
        for ((leaf, key), before) in news.all.iter().zip(&news.keys).zip(old_of) {
            let Some(before) = *before else {
                changes.push(MemberChange {
                    new: Some(*leaf),
                    ..MemberChange::NONE
                });
                continue;
            };
            // What was removed before it.
            if next_old < before {
                changes.extend(left(next_old..before));
            }
            next_old = next_old.max(before + 1);
            let was = (&olds.all[before], &olds.keys[before]);
            let change = self.compare_member(detail, was, (leaf, key));
            if self.tells_all || change.is_own() || change.is_resized {
                changes.push(change);
            }
        }
        changes.extend(left(next_old..olds.all.len()));
        detail.is_cut = olds.is_cut || news.is_cut;
        let is_nested = |leaf: Option<Leaf>| leaf.is_some_and(|leaf| leaf.is_nested());
        let mut leaves = changes.iter();
        if leaves.any(|change| is_nested(change.old) || is_nested(change.new)) {
            detail.prefixes = (olds.prefixes.clone(), news.prefixes.clone());
        }
        // No more room than it takes.
        detail.members = changes.as_slice().into();
        changes.clear();
        self.members.changes = changes;
    }

    /// What has become of a member that both structures have.
    fn compare_member(
        &self,
        detail: &mut Detail,
        (was, old_key): (&Leaf, &Key),
        (is, new_key): (&Leaf, &Key),
    ) -> MemberChange {
        let (old, new) = ((self.old, was.ty), (self.new, is.ty));
        let is_other = old_key.meaning != new_key.meaning;
        let enums = is_other.then(|| nameless_enums(old, new)).flatten();
        let known = detail.enumerators.len();
        if let Some(both) = enums {
            detail.compare_enumerators((self.old, self.new), both);
        }
        let values =
            [known, detail.enumerators.len()].map(|end| u32::try_from(end).unwrap_or(u32::MAX));
        let is_retyped = is_other && enums.is_none();
        let is_resized = !is_retyped && is_resized(old, new);
        MemberChange {
            old: Some(*was),
            new: Some(*is),
            is_renamed: old_key.path != new_key.path,
            is_moved: was.bit_offset != is.bit_offset,
            is_retyped,
            is_rewidened: was.bits != is.bits,
            is_resized,
            has_own_size: is_resized && Leaves::wrapping(self.new, is.ty).is_some(),
            values: values.into(),
        }
    }
}

impl Members {
    /// Pairs the members: by name, or else by place and type.
    fn pair(&mut self) {
        let (old_keys, new_keys) = (&self.olds.keys, &self.news.keys);
        // Most structures change somewhere behind their start.
        let start = old_keys.iter().zip(new_keys);
        let start = start.take_while(|(old, new)| old.path == new.path).count();
        self.is_left.clear();
        self.is_left.resize(start, false);
        self.is_left.resize(old_keys.len(), true);
        self.old_of.clear();
        self.old_of.extend((0..start).map(Some));
        self.old_of.resize(new_keys.len(), None);
        self.pair_by(|_, key| key.path);
        self.pair_by(|leaf, key| {
            let mut hasher = MulHasher::default();
            hasher.write_u64(key.meaning);
            hasher.write_u64(u64::from(leaf.bit_offset) << 32 | u64::from(leaf.bits.unwrap_or(0)));
            hasher.finish()
        });
    }

    /// Pairs those members by what `key` says of them that are not paired yet.
    fn pair_by(&mut self, key: fn(&Leaf, &Key) -> u64) {
        let Self {
            olds,
            news,
            old_of,
            is_left,
            ..
        } = self;
        if !is_left.contains(&true) || !old_of.contains(&None) {
            return;
        }
        let left = olds.all.iter().zip(&olds.keys).enumerate();
        let left = left.filter(|&(index, _)| is_left[index]);
        let mut left = Queues::new(left.map(|(index, (leaf, of))| (key(leaf, of), index)));
        for ((leaf, of), old) in news.all.iter().zip(&news.keys).zip(old_of) {
            if old.is_none()
                && let Some(index) = left.take(key(leaf, of))
            {
                is_left[index] = false;
                *old = Some(index);
            }
        }
    }
}

/// Whether types that are called alike differ in size or, if they are arrays without a length, their elements do.
fn is_resized((old, a): (&Side<'_>, TypeId), (new, b): (&Side<'_>, TypeId)) -> bool {
    let (was, is) = (old.size_of(a), new.size_of(b));
    was != is || was == Some(0) && old.element_size(a) != new.element_size(b)
}
