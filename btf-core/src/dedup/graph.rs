//! The graph of classes: what all workers have gathered, by class.
//!
//! Classes are numbered anew, in the order of their least positions. So their numbers say the same whichever thread met them first, and
//! what stands side by side in the input does so in each list.

use std::ops::Range;

use super::base::{Base, import};
use super::classes::{ClassId, ClassTable, NOWHERE, Position, WEAK, first_fragment, position};
use super::fragment::{FragmentIndex, Name, for_each_name_word, for_each_type_word, u32_len};
use super::gathered::{Gathered, Members, record_at};
use super::grouped::Grouped;
use super::key::{Label, is_forward};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::pieces::{for_each_mut, in_pieces, sort};
use crate::wire::Info;

/// How many types make a part at least; in tests fewer do.
const MIN_SHARE: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// All classes and the fragments that they come from.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    gathered: Vec<Gathered>,
    /// Of each class, which worker created it and where its record begins.
    records: Vec<(u32, u32)>,
    /// The label of each class, 0 for none.
    pub(crate) labels: Vec<Label>,
    /// The least position of each class.
    pub(crate) positions: Vec<Position>,
    /// How many threads have gathered.
    threads: usize,
    /// By fragment index, the worker that added it and its members.
    fragments: Vec<Option<(u32, Members)>>,
    /// Whether this is a base by itself, whose forward declarations stay what they are.
    is_base: bool,
    /// The number within the merge of the first fragment that was added: 1 if fragment 0 was taken from a base.
    pub(crate) first_fragment: FragmentIndex,
    /// The type of the base that each type of fragment 0 is.
    pub(crate) base_ids: Vec<TypeId>,
}

impl Graph {
    /// The classes of a merge that continues `base`, if there is one.
    pub(crate) fn new(table: ClassTable, mut gathered: Vec<Gathered>, base: Option<&Base>) -> Self {
        let threads = gathered.len();
        let mut positions = table.into_values(NOWHERE);
        let mut base_ids = Vec::new();
        if let Some(base) = base {
            let import = import(base, &gathered, u32_len(positions.len()));
            positions.resize(import.class_count as usize, NOWHERE);
            let known = &import.gathered.known;
            for (local, &place) in (0..).zip(import.gathered.last_members()) {
                let least = &mut positions[known[place as usize] as usize];
                *least = position(0, local, false).min(*least);
            }
            gathered.push(import.gathered);
            base_ids = import.ids;
        }
        Self {
            first_fragment: first_fragment(base),
            base_ids,
            threads,
            ..Self::assemble(&positions, gathered)
        }
    }

    /// The classes of a base alone.
    pub(super) fn of_base(table: ClassTable, gathered: Gathered) -> Self {
        Self {
            is_base: true,
            ..Self::assemble(&table.into_values(NOWHERE), vec![gathered])
        }
    }

    /// Takes the position of each class of a table, and what was gathered.
    fn assemble(of_table: &[Position], mut gathered: Vec<Gathered>) -> Self {
        let threads = gathered.len();
        let order = in_order(of_table);
        let mut numbers: Vec<ClassId> = vec![0; order.len()];
        for (class, &(_, in_table)) in (0..).zip(&order) {
            numbers[in_table as usize] = class;
        }
        for_each_mut(&mut gathered, |of_worker| of_worker.renumber(&numbers));
        let mut records = vec![(0, 0); order.len()];
        let mut labels = vec![0; order.len()];
        let mut fragments = Vec::new();
        for (worker, of_worker) in (0_u32..).zip(&gathered) {
            for &(class, label, start) in &of_worker.classes {
                records[class as usize] = (worker, start);
                labels[class as usize] = label;
            }
            for &members in &of_worker.fragments {
                let index = members.index as usize;
                if fragments.len() <= index {
                    fragments.resize(index + 1, None);
                }
                fragments[index] = Some((worker, members));
            }
        }
        Self {
            gathered,
            records,
            labels,
            positions: order.into_iter().map(|(position, _)| position).collect(),
            threads,
            fragments,
            ..Self::default()
        }
    }

    /// The number of classes.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The record of a class, in which each reference is the target's class plus 1, or 0.
    #[inline]
    pub(crate) fn record(&self, class: ClassId) -> (Kind, &[u32]) {
        let (worker, start) = self.records[class as usize];
        record_at(&self.gathered[worker as usize].words, start)
    }

    /// Calls `visit` with each class that the record of `class` refers to, in order, `void` left out.
    #[inline]
    pub(crate) fn for_each_target(&self, class: ClassId, mut visit: impl FnMut(ClassId)) {
        self.for_each_reference(class, |_, target| visit(target));
    }

    /// As `for_each_target`, with the index of the word in the record.
    #[inline]
    pub(crate) fn for_each_reference(&self, class: ClassId, mut visit: impl FnMut(usize, ClassId)) {
        let (kind, record) = self.record(class);
        for_each_type_word(kind, record.len(), |at| {
            if record[at] != 0 {
                visit(at, record[at] - 1);
            }
        });
    }

    /// Calls `visit` with each name in the record of `class`, in order.
    pub(crate) fn for_each_name(&self, class: ClassId, visit: &mut impl FnMut(Name)) {
        let (kind, record) = self.record(class);
        for_each_name_word(kind, record.len(), |at| visit(Name(record[at])));
    }

    /// Whether the class only announces what may be defined elsewhere, or cannot be in a base that is merged alone.
    pub(crate) fn is_announcement(&self, class: ClassId) -> bool {
        is_forward(Info(self.record(class).1[1])) && !self.is_base
    }

    /// Whether a type of the class is written, whatever turns out to be one, unless a base has it.
    ///
    /// A declaration may join a weak definition, which is written then, and if it may mean several it is written only where it is needed.
    pub(crate) fn is_surely_written(&self, class: ClassId) -> bool {
        self.positions[class as usize] & WEAK == 0 && !self.is_announcement(class)
    }

    /// Whether the class is one of the base that is continued.
    pub(crate) fn is_in_base(&self, class: ClassId) -> bool {
        self.first_fragment > 0 && is_in_base(self.positions[class as usize])
    }

    /// One past the greatest fragment index.
    pub(crate) fn fragment_count(&self) -> FragmentIndex {
        u32_len(self.fragments.len())
    }

    /// Calls `work` with parts of the fragments, as many types in each, which together are all in their order: as many parts as
    /// threads have gathered, if that pays, side by side.
    pub(crate) fn by_fragments<T: Send>(
        &self,
        work: impl Fn(Range<FragmentIndex>) -> T + Sync,
    ) -> Vec<T> {
        let all = 0..self.fragment_count();
        let count = |fragment| self.members(fragment).0.len();
        let total: usize = all.clone().map(count).sum();
        let share = (total / self.threads.max(1) + 1).max(MIN_SHARE);
        let (mut parts, mut first, mut types) = (Vec::new(), 0, 0);
        for fragment in all.clone() {
            types += count(fragment);
            if types >= share {
                parts.push(first..fragment + 1);
                (first, types) = (fragment + 1, 0);
            }
        }
        parts.push(first..all.end);
        in_pieces(0..parts.len(), 1, &|one| work(parts[one.start].clone()))
    }

    /// The classes of the types of a fragment, and the index of the first weak one.
    pub(crate) fn members(&self, fragment: FragmentIndex) -> (&[ClassId], usize) {
        match self.fragments.get(fragment as usize) {
            Some(Some((worker, members))) => {
                let of_worker = &self.gathered[*worker as usize];
                (of_worker.members(members), members.first_weak)
            }
            _ => (&[], usize::MAX),
        }
    }

    /// The classes of a fragment's forward declarations that stand for types of other fragments, and these fragments.
    pub(crate) fn homes(&self, fragment: FragmentIndex) -> &[(ClassId, FragmentIndex)] {
        match self.fragments.get(fragment as usize) {
            Some(&Some((worker, members))) => {
                &self.gathered[worker as usize].homes[members.homes.0..members.homes.1]
            }
            _ => &[],
        }
    }
}

/// Positions with their indices, in order: first by fragment, of which each has few, and these on all threads.
fn in_order(positions: &[Position]) -> Vec<(Position, u32)> {
    let fragments = positions.iter().filter_map(|&at| fragment_of(at));
    let count = fragments.max().map_or(0, |greatest| greatest + 1);
    let place = |(index, &position)| {
        // What is weak, or nowhere, is behind all fragments.
        (fragment_of(position).unwrap_or(count), (position, index))
    };
    let mut order = Grouped::new(count + 1, (0..).zip(positions).map(place));
    // No two are equal, but where classes stand nowhere, which none does.
    for_each_mut(&mut order.groups_mut(), |of_fragment| sort(of_fragment));
    let order = order.into_all();
    debug_assert!(
        order
            .last()
            .is_none_or(|&(greatest, _)| greatest != NOWHERE)
    );
    order
}

/// The fragment of a position; none if it is weak or nowhere.
fn fragment_of(position: Position) -> Option<usize> {
    (position & WEAK == 0).then_some((position >> 32) as usize)
}

/// Whether a position lies in fragment 0.
pub(crate) fn is_in_base(position: Position) -> bool {
    position & !WEAK < 1 << 32
}
