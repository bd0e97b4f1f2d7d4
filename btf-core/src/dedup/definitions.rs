//! Definitions: which classes define a name, which only announce it, and which names have several definitions.

use super::classes::{ClassId, FastMap};
use super::fragment::{FragmentIndex, u32_len};
use super::graph::Graph;
use super::homonyms::NodeId;
use super::key::Label;

/// The definitions and forward declarations of each label.
pub(super) struct Definitions {
    /// For each class itself; for a forward declaration the only definition, or, without one or with several, the
    /// forward declaration that stands for all of the label.
    pub(super) plain: Vec<NodeId>,
    /// For each homonym its definitions, in input order. Homonyms are in the order of their first definitions.
    pub(super) homonyms: Vec<Vec<ClassId>>,
    /// For each class of a homonym its number plus 1, otherwise 0.
    homonym_of: Vec<u32>,
    /// For each label the forward declaration that stands for all.
    forwards: FastMap<Label, ClassId>,
    /// For each class whether it only announces what is, or may be, defined elsewhere.
    is_forward: Vec<bool>,
    /// All forward declarations.
    pub(super) all_forwards: Vec<Forward>,
}

/// A forward declaration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forward {
    pub(super) class: ClassId,
    /// The first definition of its label.
    pub(super) definition: Option<ClassId>,
    /// Whether there are more.
    pub(super) is_homonym: bool,
}

impl Definitions {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut definitions = Self {
            plain: (0..u32_len(graph.len())).collect(),
            homonyms: Vec::new(),
            homonym_of: vec![0; graph.len()],
            forwards: FastMap::default(),
            is_forward: vec![false; graph.len()],
            all_forwards: Vec::new(),
        };
        let mut labelled: Vec<(Label, ClassId)> = (0_u32..)
            .zip(&graph.labels)
            .filter(|(_, label)| **label != 0)
            .map(|(class, label)| (*label, class))
            .collect();
        labelled.sort_unstable_by_key(|&(label, _)| label);
        for of_label in labelled.chunk_by_mut(|a, b| a.0 == b.0) {
            of_label.sort_unstable_by_key(|&(_, class)| class);
            definitions.add(graph, of_label);
        }
        definitions
            .homonyms
            .sort_unstable_by_key(|classes| classes[0]);
        for (number, homonym) in (1_u32..).zip(&definitions.homonyms) {
            for &class in homonym {
                definitions.homonym_of[class as usize] = number;
            }
        }
        for forward in &definitions.all_forwards {
            if let (Some(definition), true) = (forward.definition, forward.is_homonym) {
                definitions.homonym_of[forward.class as usize] =
                    definitions.homonym_of[definition as usize];
            }
        }
        definitions
    }

    /// Adds the classes of one label.
    fn add(&mut self, graph: &Graph, of_label: &[(Label, ClassId)]) {
        let classes = || of_label.iter().map(|&(_, class)| class);
        // Nearly all names have one definition and nothing else.
        if let [(_, only)] = *of_label
            && !graph.is_announcement(only)
        {
            return;
        }
        // Where a base has a definition too, its forward declarations are there because they mean something else. So they
        // are definitions there, and elsewhere what they are: see `is_forward_in`.
        let is_defined = |c| graph.is_in_base(c) && !graph.is_announcement(c);
        let base_defines = classes().any(is_defined);
        let is_forward = |c| graph.is_announcement(c) && !(base_defines && graph.is_in_base(c));
        let (forwards, full): (Vec<_>, Vec<_>) = classes().partition(|&c| is_forward(c));
        // Forward declarations of an enumeration can differ in size; which stands for all must not depend on the order.
        let first = forwards
            .iter()
            .copied()
            .min_by_key(|&c| (!graph.is_in_base(c), &graph.record(c).1[1..3]));
        for &class in &forwards {
            let plain = if let [only] = *full {
                only
            } else {
                first.unwrap_or(class)
            };
            self.plain[class as usize] = plain;
            self.is_forward[class as usize] = true;
            self.forwards.insert(of_label[0].0, first.unwrap_or(class));
            self.all_forwards.push(Forward {
                class,
                definition: full.first().copied(),
                is_homonym: full.len() > 1,
            });
        }
        // What is open leads to them all the same.
        let of_base = full.iter().find(|&&c| graph.is_announcement(c));
        if let Some(&class) = of_base {
            self.forwards.entry(of_label[0].0).or_insert(class);
        }
        if full.len() > 1 {
            self.homonyms.push(full);
        }
    }

    /// The number of the homonym that a class defines or announces.
    #[inline]
    pub(super) fn homonym(&self, class: ClassId) -> Option<u32> {
        self.homonym_of[class as usize].checked_sub(1)
    }

    /// Whether a class only announces what is, or may be, defined elsewhere.
    #[inline]
    pub(super) fn is_forward(&self, class: ClassId) -> bool {
        self.is_forward[class as usize]
    }

    /// Whether a node is a class of which `is_forward` says so.
    #[inline]
    pub(super) fn is_forward_node(&self, node: NodeId) -> bool {
        self.is_forward.get(node as usize) == Some(&true)
    }

    /// As `is_forward`, of a type of `fragment`: to what continues a base, the base's forward declarations are forward declarations.
    #[inline]
    pub(super) fn is_forward_in(
        &self,
        graph: &Graph,
        fragment: FragmentIndex,
        class: ClassId,
    ) -> bool {
        self.is_forward(class)
            || fragment >= graph.first_fragment
                && self.homonym(class).is_some()
                && graph.is_announcement(class)
    }

    /// The forward declaration that stands for all of the label of `class`.
    pub(super) fn forward(&self, graph: &Graph, class: ClassId) -> Option<ClassId> {
        match graph.labels[class as usize] {
            0 => None,
            label => self.forwards.get(&label).copied(),
        }
    }
}
