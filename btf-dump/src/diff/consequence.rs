//! Whether all that has changed in a structure follows from what it holds: the types of some members have another size, and so what
//! is behind those lies elsewhere.
//!
//! A compiler puts a member behind the former ones, at the next multiple of its alignment. BTF does not tell the alignment, but the
//! old and the new place are multiples of it. So a place follows if the gap in front of it is what it was, or if it is the first
//! multiple in both layouts of what the two places have in common.

use btf_core::TypeId;

use super::detail::Comparison;
use super::{Change, Detail, Diff, Leaf, What};

/// Whether an item has changed itself, but in nothing that does not follow from the sizes of types that it holds.
#[must_use]
pub fn is_consequence(diff: &Diff<'_>, change: &Change) -> bool {
    let What::Changed(old, new, detail) = &change.what else {
        return false;
    };
    let says_the_same = detail.ty.is_none()
        && detail.result.is_none()
        && detail.params.is_empty()
        && detail.enumerators.is_empty()
        && detail.words.is_empty();
    let mut members = detail.members.iter();
    let is_caused = |member: &super::MemberChange| member.is_resized && !member.has_own_size;
    says_the_same
        && detail.members.iter().any(is_caused)
        && members.all(|member| member.old.is_some() && !member.is_lost())
        && Layouts::new(diff, (*old, *new)).is_some_and(|layouts| layouts.follow(detail))
}

/// Where the members end in both layouts, in bits.
struct Layouts {
    /// In the order of the old ends: where a member and those that end before it do at last, in the old layout and in the new one.
    ends: Vec<(u64, u64)>,
    /// The members in both.
    members: Vec<(Leaf, Leaf)>,
}

impl Layouts {
    /// `None` if something behind a pointer has moved, which is another layout.
    fn new(diff: &Diff<'_>, ids: (TypeId, TypeId)) -> Option<Self> {
        let detail = Comparison::of_all(diff).detail(ids)?;
        let (mut ends, mut members) = (Vec::new(), Vec::new());
        for change in &detail.members {
            let (was, is) = (change.old?, change.new?);
            if detail.prefixes.1.is_elsewhere(&is) {
                if change.is_moved {
                    return None;
                }
                continue;
            }
            let end = |side: &super::Side<'_>, leaf: &Leaf| {
                let bits = leaf.bits.map(u64::from);
                let len = bits.or_else(|| side.size_of(leaf.ty)?.checked_mul(8));
                u64::from(leaf.bit_offset).saturating_add(len.unwrap_or(0))
            };
            members.push((was, is));
            let (old_end, new_end) = (end(diff.old, &was), end(diff.new, &is));
            // What takes no room is in front of nothing.
            if old_end > was.bit_offset.into() {
                ends.push((old_end, new_end));
            }
        }
        ends.sort_unstable();
        let mut last = 0;
        for (_, new_end) in &mut ends {
            last = last.max(*new_end);
            *new_end = last;
        }
        Some(Self { ends, members })
    }

    /// Whether all places and the size of the whole follow.
    fn follow(&self, detail: &Detail) -> bool {
        let places = self
            .members
            .iter()
            .map(|(was, is)| (was.bit_offset.into(), is.bit_offset.into()));
        let size = detail.size;
        let size = size.map(|(was, is)| (was.saturating_mul(8), is.saturating_mul(8)));
        let mut others = places.chain(size).filter(|(was, is)| was != is);
        others.all(|(was, is)| self.follows(was, is))
    }

    /// Whether what lay at `was` must lie at `is`.
    fn follows(&self, was: u64, is: u64) -> bool {
        let before = self.ends.partition_point(|&(old_end, _)| old_end <= was);
        let last = before.checked_sub(1).and_then(|last| self.ends.get(last));
        let &(old_end, new_end) = last.unwrap_or(&(0, 0));
        let (old_gap, Some(new_gap)) = (was - old_end, is.checked_sub(new_end)) else {
            return false;
        };
        let common = (was | is).trailing_zeros();
        let is_first = |gap: u64| gap.checked_shr(common).unwrap_or(0) == 0;
        old_gap == new_gap || is_first(old_gap) && is_first(new_gap)
    }
}
