//! The graph of classes: what all workers have gathered, by class.

use super::classes::{ClassId, ClassTable, Gathered, Members, Position, WEAK};
use super::fragment::{FragmentIndex, for_each_type_word, u32_len};
use super::key::{Label, is_forward};
use crate::kind::Kind;
use crate::wire::Info;

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
    /// By fragment index, the worker that added it and its members.
    fragments: Vec<Option<(u32, Members)>>,
    /// Whether fragment 0 is a base, whose types cannot change.
    pub(crate) has_base: bool,
}

impl Graph {
    pub(crate) fn new(table: ClassTable, gathered: Vec<Gathered>, has_base: bool) -> Self {
        let positions = table.into_positions();
        let mut records = vec![(0, 0); positions.len()];
        let mut labels = vec![0; positions.len()];
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
            positions,
            fragments,
            has_base,
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
        let words = &self.gathered[worker as usize].words[start as usize..];
        let info = Info(words[1]);
        // Only records of a known kind are stored.
        let kind = info.kind().unwrap_or(Kind::Fwd);
        (kind, &words[..kind.record_words(info.vlen())])
    }

    /// Calls `visit` with each class that the record of `class` refers to, in order, `void` left out.
    #[inline]
    pub(crate) fn for_each_target(&self, class: ClassId, mut visit: impl FnMut(ClassId)) {
        let (kind, record) = self.record(class);
        for_each_type_word(kind, record.len(), |at| {
            if record[at] != 0 {
                visit(record[at] - 1);
            }
        });
    }

    /// Whether the class stands for a definition elsewhere. A base's forward declarations cannot be completed, so they
    /// count as definitions.
    pub(crate) fn is_forward(&self, class: ClassId) -> bool {
        is_forward(Info(self.record(class).1[1]))
            && !(self.has_base && is_in_base(self.positions[class as usize]))
    }

    /// One past the greatest fragment index.
    pub(crate) fn fragment_count(&self) -> FragmentIndex {
        u32_len(self.fragments.len())
    }

    /// The classes of the types of a fragment, and the index of the first weak one.
    pub(crate) fn members(&self, fragment: FragmentIndex) -> (&[ClassId], usize) {
        match self.fragments.get(fragment as usize) {
            Some(&Some((worker, members))) => {
                let all = &self.gathered[worker as usize].members;
                (
                    &all[members.first..members.first + members.count],
                    members.first_weak,
                )
            }
            _ => (&[], usize::MAX),
        }
    }
}

/// Whether a position lies in fragment 0.
pub(crate) fn is_in_base(position: Position) -> bool {
    position & !WEAK < 1 << 32
}
