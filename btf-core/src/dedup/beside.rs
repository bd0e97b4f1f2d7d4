//! Beside: the definition that a forward declaration means because it stands beside it, in one fragment.
//!
//! Problem: several modules are read together with their kernel, so that they are one fragment. Each brought its own `struct page`,
//! with equal words, and they differ in what they lead to. A declaration in one more module could mean any of them, and
//! which stands first is only the order of the files.
//!
//! Method: a declaration means a definition beside it if all that define its name are one type. Those of one class that
//! are followed may differ, so they are compared exactly ([`super::partition`]), once for a fragment and only if it has two
//! of them. A declaration counts as itself there: what it means depends on its name alone, so types that are equal before
//! it is completed are equal after.

use std::cell::OnceCell;

use super::classes::{ClassId, FastMap};
use super::follow::References;
use super::fragment::{FragmentIndex, u32_len};
use super::key::Label;
use super::partition::{self, Edges};
use super::scan::Homonyms;

/// The types of a fragment that are followed.
pub(super) struct Followed<'a> {
    pub(super) homonyms: &'a Homonyms<'a>,
    pub(super) fragment: FragmentIndex,
    /// The class of each type of the fragment.
    pub(super) members: &'a [ClassId],
    /// The local numbers of those that are followed, in order.
    pub(super) locals: &'a [u32],
    /// What each of them refers to.
    pub(super) references: &'a References,
}

/// What a label is in one fragment.
#[derive(Clone, Copy)]
enum Here {
    Announced,
    /// Types of this class define it and are one; this is the first.
    One(ClassId, u32),
    Several,
}

impl Followed<'_> {
    /// For each label that the fragment announces and defines once the local number of a definition.
    pub(super) fn definitions(&self) -> FastMap<Label, u32> {
        let mut here = self.announced();
        if here.is_empty() {
            return FastMap::default();
        }
        let groups = OnceCell::new();
        for (local, &class) in (0_u32..).zip(self.members) {
            let label = self.homonyms.graph.labels[class as usize];
            if label == 0 || self.is_forward(class) {
                continue;
            }
            if let Some(here) = here.get_mut(&label) {
                *here = match *here {
                    Here::Announced => Here::One(class, local),
                    Here::One(of_first, first)
                        if of_first == class && self.are_one(first, local, &groups) =>
                    {
                        *here
                    }
                    Here::One(..) | Here::Several => Here::Several,
                };
            }
        }
        let defined_once = here.into_iter().filter_map(|(label, here)| match here {
            Here::One(_, local) => Some((label, local)),
            Here::Announced | Here::Several => None,
        });
        defined_once.collect()
    }

    fn announced(&self) -> FastMap<Label, Here> {
        let labels = &self.homonyms.graph.labels;
        let members = self.members.iter();
        members
            .filter(|&&class| self.is_forward(class))
            .map(|&class| (labels[class as usize], Here::Announced))
            .collect()
    }

    fn is_forward(&self, class: ClassId) -> bool {
        let Homonyms {
            graph, definitions, ..
        } = self.homonyms;
        definitions.is_forward_in(graph, self.fragment, class)
    }

    /// Whether two types of one class are one; what is not followed means one thing in a fragment.
    fn are_one(&self, a: u32, b: u32, groups: &OnceCell<Vec<u32>>) -> bool {
        match (self.index_of(a), self.index_of(b)) {
            (Some(a), Some(b)) => {
                let groups = groups.get_or_init(|| self.groups());
                groups[a] == groups[b]
            }
            _ => true,
        }
    }

    fn index_of(&self, local: u32) -> Option<usize> {
        self.locals.binary_search(&local).ok()
    }

    /// For each followed type a number, which is the same if no path of references tells two of them apart.
    fn groups(&self) -> Vec<u32> {
        let mut edges = Edges {
            starts: vec![0],
            targets: Vec::new(),
        };
        let mut numbers: FastMap<Vec<u64>, u32> = FastMap::default();
        let mut groups = Vec::with_capacity(self.locals.len());
        for (index, &local) in self.locals.iter().enumerate() {
            let mut signature = vec![u64::from(self.members[local as usize])];
            for target in self.references.of(index) {
                let class = self.members[target.local as usize];
                signature.push(u64::from(class) << 1 | u64::from(target.is_announced));
                signature.push(target.home.map_or(0, |home| u64::from(home) + 1));
                let followed = self.index_of(target.local);
                edges.targets.push(followed.map_or(Edges::FIXED, u32_len));
            }
            edges.starts.push(u32_len(edges.targets.len()));
            let next = u32_len(numbers.len());
            groups.push(*numbers.entry(signature).or_insert(next));
        }
        partition::refine(&mut groups, &edges);
        groups
    }
}
