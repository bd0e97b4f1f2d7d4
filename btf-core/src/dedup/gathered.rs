//! Gathered: what one thread has added to a merge, for the graph.

use super::classes::ClassId;
use super::fragment::FragmentIndex;
use super::key::Label;
use super::verbatim::{set_targets, unsaid_targets};
use crate::kind::Kind;
use crate::wire::Info;

/// For how many types there is room in the first list, and in each at most, but for fragments that are larger. To ask the system for
/// memory again and again would cost as much as to fill it, and so would more than a small merge needs.
const LIST_LENS: [usize; 2] = if cfg!(test) {
    [4, 16]
} else {
    [1 << 10, 1 << 17]
};

/// The records of the classes that one thread met first, and the classes of all types that it saw.
///
/// A thread numbers the classes that it knows by itself, in the order in which it met them. `renumber` puts the numbers of
/// the graph in place of those, and of those of the table.
#[derive(Debug, Default)]
pub struct Gathered {
    /// For each class that the thread knows, its number in the table.
    pub(super) known: Vec<ClassId>,
    /// Records, in which what a reference counts as stands in place of each id (`verbatim`); in those of `classes` since `renumber` the
    /// target's class plus 1, and 0 for `void`. Empty until the thread has finished, as is `known`.
    pub(super) words: Vec<u32>,
    /// The thread's numbers of the targets that these do not say, in the order of `classes`.
    pub(super) targets: Vec<u32>,
    /// Each class created, its label and where in `words` its record begins; not those that the base has.
    pub(super) classes: Vec<(ClassId, Label, u32)>,
    /// Each class created that the base has, and its number there.
    pub(super) of_base: Vec<(ClassId, ClassId)>,
    /// Each fragment that was added.
    pub(super) fragments: Vec<Members>,
    /// The thread's number of the class of each type, those of one fragment side by side in one list.
    lists: Vec<Vec<u32>>,
    /// The [`Fragment::homes`](super::Fragment) of each fragment, by the thread's numbers of classes.
    pub(super) homes: Vec<(u32, FragmentIndex)>,
}

/// Where the classes of one fragment's types are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members {
    pub(super) index: FragmentIndex,
    /// The index of their list in `lists`.
    list: usize,
    /// Where they begin and end there.
    range: (usize, usize),
    /// The first weak type, counted from 0.
    pub(super) first_weak: usize,
    /// The indices in `homes` of the first and one past the last.
    pub(super) homes: (usize, usize),
}

impl Gathered {
    /// Adds a fragment with the classes of its types and its [`Fragment::homes`](super::Fragment), by the thread's numbers.
    pub(super) fn add_fragment(
        &mut self,
        index: FragmentIndex,
        first_weak: usize,
        members: &[u32],
        homes: impl Iterator<Item = (u32, FragmentIndex)>,
    ) {
        let has_room = |list: &Vec<u32>| list.capacity() - list.len() >= members.len();
        if !self.lists.last().is_some_and(has_room) {
            let [first, most] = LIST_LENS;
            let next = self.lists.last().map_or(first, |last| 2 * last.capacity());
            let len = members.len().max(next.min(most));
            self.lists.push(Vec::with_capacity(len));
        }
        let list = self.lists.len() - 1;
        let start = self.lists[list].len();
        self.lists[list].extend_from_slice(members);
        let first_home = self.homes.len();
        self.homes.extend(homes);
        self.fragments.push(Members {
            index,
            list,
            range: (start, start + members.len()),
            first_weak,
            homes: (first_home, self.homes.len()),
        });
    }

    /// The classes of a fragment's types.
    pub(super) fn members(&self, of: &Members) -> &[u32] {
        let (start, end) = of.range;
        &self.lists[of.list][start..end]
    }

    /// Those of the fragment that was added last.
    pub(super) fn last_members(&self) -> &[u32] {
        self.fragments.last().map_or(&[], |last| self.members(last))
    }

    /// Replaces the numbers of classes; `numbers` has the new one for each of the table. What the base has was taken before.
    pub(super) fn renumber(&mut self, numbers: &[ClassId]) {
        for class in &mut self.known {
            // One of which no type was added has none.
            *class = numbers.get(*class as usize).copied().unwrap_or(0);
        }
        let known = &self.known[..];
        for class in self.lists.iter_mut().flatten() {
            *class = known[*class as usize];
        }
        for (class, _) in &mut self.homes {
            *class = known[*class as usize];
        }
        let mut targets = self.targets.iter().copied();
        for (class, _, start) in &mut self.classes {
            *class = numbers[*class as usize];
            let (kind, record) = record_at(&self.words, *start);
            let len = record.len();
            let record = &mut self.words[*start as usize..][..len];
            set_targets((kind, record), &mut targets, |at| known[at as usize]);
        }
    }

    /// Keeps those of the classes created for which `is_kept` says so.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(ClassId) -> bool) {
        let Self {
            words,
            classes,
            targets,
            ..
        } = self;
        let (mut next, mut kept) = (0, 0);
        classes.retain(|&(class, _, start)| {
            let end = next + unsaid_targets(record_at(words, start));
            let is_kept = is_kept(class);
            if is_kept {
                targets.copy_within(next..end, kept);
                kept += end - next;
            }
            next = end;
            is_kept
        });
        targets.truncate(kept);
    }
}

/// The record that begins at an index.
#[inline]
pub(super) fn record_at(words: &[u32], start: u32) -> (Kind, &[u32]) {
    let words = &words[start as usize..];
    let info = Info(words[1]);
    // Only records of a known kind are stored.
    let kind = info.kind().unwrap_or(Kind::Fwd);
    (kind, &words[..kind.record_words(info.vlen())])
}
