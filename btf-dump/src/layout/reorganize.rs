//! Orders the members of a structure so that fewer bytes are lost.
//!
//! A compiler's own rules (System V ABI) are played through: each member goes to the next place that its alignment allows, a
//! bitfield into the unit that is open if it fits. If that does not give the offsets that BTF has, something is in the source
//! that BTF does not tell, such as unnamed bitfields, and the structure is left alone.
//!
//! Three orders are tried: the present one, in which holes are filled with later members that fit; always the
//! most demanding member that needs no hole; and by falling alignment. The smallest result counts, of equal ones
//! the first, which moves least. What somebody has placed on purpose stays: members do not pass one that is aligned or that
//! has no size, such as the marks of cache-line groups, and a flexible array stays last. Bitfields move together.
//!
//! pahole's own `--reorganize` counts aligned members as if they were not, so its result may not compile to the size that it
//! tells; and on some kernels `--packable` never ends.

use super::{Layout, Layouts, MemberLayout, gaps};

/// How many groups of members orders are tried for that take the square of it.
const MAX_GROUPS: usize = 512;

/// A structure with its members in another order.
#[derive(Clone, Debug)]
pub struct Reorganized {
    /// The new layout.
    pub layout: Layout,
    /// Its members.
    pub members: Vec<MemberLayout>,
    /// The size before, in bytes.
    pub old_size: u32,
}

/// Why a structure is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is a union.
    Union,
    /// It is packed.
    Packed,
    /// Its offsets do not follow from what BTF tells.
    Unexplained,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Union => "a union has no holes",
            Self::Packed => "a packed structure has no holes",
            Self::Unexplained => "its offsets do not follow from its types alone",
        })
    }
}

impl Reorganized {
    /// The comment that tells what is saved, as pahole writes it; empty if it is nothing. `cacheline` is in bytes.
    #[must_use]
    pub fn note(&self, cacheline: u32) -> String {
        let lines = |size: u32| size.div_ceil(cacheline.max(1));
        let counted = |count: u32, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let bytes = counted(self.saved(), "byte");
        match (self.saved(), lines(self.old_size) - lines(self.layout.size)) {
            (0, _) => String::new(),
            (_, 0) => format!("   /* saved {bytes}! */"),
            (_, count) => format!(
                "   /* saved {bytes} and {}! */",
                counted(count, "cacheline")
            ),
        }
    }

    /// How many bytes are saved.
    #[must_use]
    pub fn saved(&self) -> u32 {
        self.old_size.saturating_sub(self.layout.size)
    }
}

/// Finds a better order of members; the present one if there is none.
///
/// # Errors
/// If the layout cannot be reproduced, and so no other can be told.
pub fn reorganize(layouts: &Layouts<'_>, layout: &Layout) -> Result<Reorganized, Reason> {
    if layout.is_union {
        return Err(Reason::Union);
    }
    if layout.is_packed {
        return Err(Reason::Packed);
    }
    let old = layouts.members(layout);
    let abi = Abi { layouts, layout };
    let mut members = old.to_vec();
    let is_known = abi.place(&mut members) == Some(layout.size)
        && members
            .iter()
            .zip(old)
            .all(|(new, old)| new.bit_offset == old.bit_offset);
    if !is_known {
        return Err(Reason::Unexplained);
    }
    let mut best = (layout.size, members);
    if layout.gaps.holes > 0 || layout.gaps.padding > 0 || layout.gaps.bit_holes > 0 {
        for order in [Order::Fill, Order::Fit, Order::Falling] {
            let mut members = abi.ordered(old, order);
            if let Some(size) = abi.place(&mut members)
                && size < best.0
            {
                best = (size, members);
            }
        }
    }
    let (size, mut members) = best;
    let mut new = layout.clone();
    new.size = size;
    new.gaps = gaps::find(size, &mut members);
    Ok(Reorganized {
        layout: new,
        members,
        old_size: layout.size,
    })
}

/// How members are ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As they are, but holes are filled with later ones.
    Fill,
    /// The most demanding one that needs no hole.
    Fit,
    /// By falling alignment.
    Falling,
}

/// Members that stay together: one, or neighbouring bitfields.
#[derive(Clone, Copy)]
struct Group<'m> {
    members: &'m [MemberLayout],
    size: u64,
    alignment: u32,
}

/// The rules by which a compiler places members.
struct Abi<'l, 'b> {
    layouts: &'l Layouts<'b>,
    layout: &'l Layout,
}

impl Abi<'_, '_> {
    fn alignment(&self, member: &MemberLayout) -> u32 {
        let required = self.layouts.shape(member.ty).required;
        required.max(member.forced_alignment).max(1)
    }

    /// Places members one after the other; the size of the structure, if it and all offsets fit BTF.
    fn place(&self, members: &mut [MemberLayout]) -> Option<u32> {
        let mut end = 0u64;
        let mut largest = self.layout.forced_alignment.max(1);
        for member in members {
            let alignment = self.alignment(member);
            largest = largest.max(alignment);
            let size = member.size.checked_mul(8)?;
            let start = if member.bits == 0 {
                end.checked_next_multiple_of(u64::from(alignment) * 8)?
            } else {
                let forced = u64::from(member.forced_alignment.max(1));
                let forced = if member.forced_alignment == 0 {
                    1
                } else {
                    forced * 8
                };
                let start = end.checked_next_multiple_of(forced)?;
                let bits = u64::from(member.bits);
                // A bitfield may not reach over the end of its unit.
                let is_inside = size > 0 && start % size + bits <= size;
                if is_inside {
                    start
                } else {
                    start.checked_next_multiple_of(size.max(8))?
                }
            };
            member.bit_offset = u32::try_from(start).ok()?;
            let unit = if member.bits == 0 { 8 } else { size.max(8) };
            member.offset = u32::try_from(start / unit * (unit / 8)).ok()?;
            let len = if member.bits == 0 {
                size
            } else {
                member.bits.into()
            };
            end = start.checked_add(len)?;
        }
        let size = end.div_ceil(8).checked_next_multiple_of(largest.into())?;
        u32::try_from(size).ok()
    }

    /// The members in another order.
    fn ordered(&self, members: &[MemberLayout], order: Order) -> Vec<MemberLayout> {
        let mut ordered = Vec::with_capacity(members.len());
        let mut end = 0;
        for run in self.runs(members) {
            let mut groups = self.groups(run);
            if groups.len() > MAX_GROUPS || order == Order::Falling {
                groups.sort_by_key(|group| std::cmp::Reverse(group.alignment));
            } else {
                groups = arrange(groups, end, order);
            }
            for group in groups {
                ordered.extend_from_slice(group.members);
                end = place_behind(end, &group);
            }
        }
        ordered
    }

    /// The stretches within which members may change places.
    fn runs<'m>(&self, members: &'m [MemberLayout]) -> impl Iterator<Item = &'m [MemberLayout]> {
        let last_is_endless = self.layout.flexible.is_last
            || members.last().is_some_and(|last| {
                let inner = self.layouts.get(last.bare);
                inner.is_some_and(|inner| inner.flexible.is_last || inner.flexible.is_embedded)
            });
        let end = members.len();
        let starts = move |index: usize, member: &MemberLayout| {
            member.forced_alignment != 0
                || member.size == 0
                || (last_is_endless && index + 1 == end)
        };
        let mut runs = Vec::new();
        let mut start = 0;
        for (index, member) in members.iter().enumerate() {
            if starts(index, member) {
                runs.extend([start..index, index..index + 1]);
                start = index + 1;
            }
        }
        runs.push(start..end);
        runs.into_iter().filter_map(|run| members.get(run))
    }

    fn groups<'m>(&self, members: &'m [MemberLayout]) -> Vec<Group<'m>> {
        let chunks = members.chunk_by(|a, b| a.bits != 0 && b.bits != 0);
        let group = |members: &'m [MemberLayout]| {
            let alignment = members.iter().map(|member| self.alignment(member)).max();
            let size = match members {
                [member] if member.bits == 0 => member.size,
                // As many bytes as they take together, or more if units end between them.
                _ => members
                    .iter()
                    .map(|member| u64::from(member.bits))
                    .sum::<u64>()
                    .div_ceil(8),
            };
            Group {
                members,
                size,
                alignment: alignment.unwrap_or(1),
            }
        };
        chunks.map(group).collect()
    }
}

/// Where a group ends that is placed behind `end`.
fn place_behind(end: u64, group: &Group<'_>) -> u64 {
    let start = end.next_multiple_of(group.alignment.into());
    start.saturating_add(group.size)
}

/// Takes groups one after the other as the order says.
fn arrange(groups: Vec<Group<'_>>, start: u64, order: Order) -> Vec<Group<'_>> {
    let mut rest = groups;
    let mut arranged = Vec::with_capacity(rest.len());
    let mut end = start;
    while !rest.is_empty() {
        let hole = |group: &Group<'_>| end.next_multiple_of(group.alignment.into()) - end;
        let first_hole = rest.first().map_or(0, hole);
        let fits = |group: &Group<'_>| match order {
            Order::Fill => place_behind(end, group) - end <= first_hole,
            Order::Fit | Order::Falling => hole(group) == 0,
        };
        let takes_first = order == Order::Fill && first_hole == 0;
        let candidates = rest.iter().enumerate();
        let candidates = candidates.filter(|(_, group)| !takes_first && fits(group));
        // Of equal ones the first.
        let rank = |group: &Group<'_>| (hole(group) == 0, group.alignment, group.size);
        let best = candidates.rev().max_by_key(|(_, group)| rank(group));
        let index = best.map_or(0, |(index, _)| index);
        let group = rest.remove(index);
        end = place_behind(end, &group);
        arranged.push(group);
    }
    arranged
}
