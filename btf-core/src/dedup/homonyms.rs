//! Homonyms: what each reference by name really meant, where a name has several definitions.
//!
//! Problem: keys take a reference to `struct slot` as just that. If two units define `struct slot` differently, then
//! types that reach one of them, however far away, may be different types with one key.
//!
//! Example: unit 1 has `struct slot { int a; }` and `struct bus { struct slot *s; }`; unit 2 has
//! `struct slot { long b; }` and the same `struct bus`; unit 3 knows `struct slot` only as a forward declaration.
//! There is one class for `struct bus`, and two types; what unit 3 means by it cannot be known.
//!
//! Method:
//! 1. A *homonym* is a label with more than one definition. A class is *affected* if a path of references leads from it
//!    to one; `reach` holds to which.
//! 2. In a unit of C a name has one meaning, so what the unit takes each homonym for (its *environment*) decides what
//!    all its affected types mean. A forward declaration leaves the environment open there.
//! 3. Each affected class is divided by what the environments of its fragments say about the homonyms it reaches. What
//!    only one value is known of divides nothing: open places take it.
//! 4. A fragment in which one name has two meanings (local structures of two functions, namespaces, BTF that is merged
//!    already) is read again, and each of its affected types is followed reference by reference.
//! 5. Step 3 may divide too much, as reach takes every definition of a name into account. [`super::partition`] finds
//!    the coarsest partition that no reference contradicts, so that what is bisimilar is one type again.
//!
//! Cost: linear in the fragments' types plus, for the affected classes, edges · log classes.

use super::classes::{ClassId, FastMap, Position, WEAK};
use super::division::Division;
use super::fragment::{Fragment, FragmentIndex};
use super::graph::Graph;
use super::key::Label;

/// The number of a type of the output before it has an id: classes come first, by their number, then further meanings.
pub(crate) type NodeId = u32;

/// Homonyms that are followed by environment. With more of them every fragment is followed reference by reference,
/// which is slower but needs no set of homonyms per class.
const MAX_HOMONYMS: usize = 1024;

/// Gives back a fragment that was added before.
pub type Reload<'a> = &'a (dyn Fn(FragmentIndex, &mut Fragment) + Sync);

/// What every class means in every fragment.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    /// The class of each node.
    pub(crate) classes: Vec<ClassId>,
    /// The least position of each node.
    pub(crate) positions: Vec<Position>,
    /// The node that each class is taken for where nothing else is said; a forward declaration's is its definition's.
    pub(crate) plain: Vec<NodeId>,
    /// The targets of the nodes whose references need more than `plain`, in the order of their record's type words.
    pub(crate) targets: FastMap<NodeId, Box<[NodeId]>>,
    /// For each node, the node that is written for it: itself, or one that is bisimilar.
    pub(crate) same_as: Vec<NodeId>,
    /// The node of a class in the fragments whose environment has this number, where there are several.
    pub(super) by_environment: FastMap<(ClassId, u32), NodeId>,
    /// The number of each fragment's environment as far as it matters to a set of homonyms: (fragment, set).
    pub(super) environments: FastMap<(FragmentIndex, u32), u32>,
    /// The set of homonyms that each class reaches; 0 is none.
    pub(super) reach: Vec<u32>,
    /// The nodes of fragments that were followed reference by reference: (fragment, local index).
    pub(super) exact: FastMap<(FragmentIndex, u32), NodeId>,
}

impl Meanings {
    /// The node of the `local`-th type (from 0) of a fragment.
    pub(crate) fn node(
        &self,
        graph: &Graph,
        fragment: FragmentIndex,
        local: u32,
    ) -> Option<NodeId> {
        let class = *graph.members(fragment).0.get(local as usize)?;
        let node = if let Some(&node) = self.exact.get(&(fragment, local)) {
            node
        } else {
            let by_environment = || {
                let environment = self
                    .environments
                    .get(&(fragment, *self.reach.get(class as usize)?))?;
                self.by_environment.get(&(class, *environment)).copied()
            };
            by_environment().unwrap_or(self.plain[class as usize])
        };
        Some(self.same_as[node as usize])
    }

    /// Calls `visit` with each target of a node, in order, `void` left out.
    pub(crate) fn for_each_target(
        &self,
        graph: &Graph,
        node: NodeId,
        mut visit: impl FnMut(NodeId),
    ) {
        if let Some(targets) = self.targets.get(&node) {
            targets
                .iter()
                .for_each(|&target| visit(self.same_as[target as usize]));
        } else {
            graph.for_each_target(self.classes[node as usize], |target| {
                visit(self.same_as[self.plain[target as usize] as usize]);
            });
        }
    }
}

/// Finds out what every class means in every fragment.
pub(crate) fn resolve(graph: &Graph, reload: Reload<'_>) -> Meanings {
    let definitions = Definitions::new(graph);
    let mut meanings = Meanings {
        classes: (0..graph.len() as u32).collect(),
        positions: graph.positions.clone(),
        plain: definitions.plain(graph),
        same_as: (0..graph.len() as u32).collect(),
        ..Meanings::default()
    };
    if !definitions.homonyms.is_empty() {
        let reach = Reach::new(graph, &definitions, &meanings.plain);
        meanings = Division::new(graph, &definitions, &reach, meanings).run(reload);
        meanings.reach = reach.set_of;
    }
    join_forwards(graph, &definitions, &mut meanings);
    meanings
}

/// A definition also stands where the first forward declaration that it completes stood. A forward declaration of
/// something that is defined is written only where something refers to it because several definitions are possible.
fn join_forwards(graph: &Graph, definitions: &Definitions, meanings: &mut Meanings) {
    for class in 0..graph.len() {
        let label = graph.labels[class];
        if label == 0
            || !graph.is_forward(class as ClassId)
            || !definitions.by_label.contains_key(&label)
        {
            continue;
        }
        let node = meanings.same_as[meanings.plain[class] as usize] as usize;
        if node != class {
            meanings.positions[node] = meanings.positions[node].min(meanings.positions[class]);
        }
        meanings.positions[class] |= WEAK;
    }
}

/// The definitions and forward declarations of each label.
pub(super) struct Definitions {
    /// For each label its definitions, in input order.
    pub(super) by_label: FastMap<Label, Vec<ClassId>>,
    /// For each label the first of its forward declarations.
    pub(super) forwards: FastMap<Label, ClassId>,
    /// The labels with more than one definition, each with its number.
    pub(super) homonyms: FastMap<Label, u32>,
}

impl Definitions {
    fn new(graph: &Graph) -> Self {
        let mut labelled: Vec<(Label, Position, ClassId)> = (0..graph.len())
            .filter(|&class| graph.labels[class] != 0)
            .map(|class| {
                (
                    graph.labels[class],
                    graph.positions[class],
                    class as ClassId,
                )
            })
            .collect();
        labelled.sort_unstable();
        let mut definitions = Self {
            by_label: FastMap::default(),
            forwards: FastMap::default(),
            homonyms: FastMap::default(),
        };
        for of_label in labelled.chunk_by(|a, b| a.0 == b.0) {
            let label = of_label[0].0;
            let mut full = Vec::new();
            for &(_, _, class) in of_label {
                if graph.is_forward(class) {
                    definitions.forwards.entry(label).or_insert(class);
                } else {
                    full.push(class);
                }
            }
            if full.len() > 1 {
                let number = definitions.homonyms.len() as u32;
                definitions.homonyms.insert(label, number);
            }
            if !full.is_empty() {
                definitions.by_label.insert(label, full);
            }
        }
        definitions
    }

    /// For each class itself, or for a forward declaration of something with one definition, that definition.
    fn plain(&self, graph: &Graph) -> Vec<NodeId> {
        (0..graph.len() as u32)
            .map(|class| {
                let label = graph.labels[class as usize];
                match self.by_label.get(&label) {
                    Some(full) if label != 0 && full.len() == 1 && graph.is_forward(class) => {
                        full[0]
                    }
                    _ => class,
                }
            })
            .collect()
    }

    /// The number of the homonym with this label.
    pub(super) fn homonym(&self, label: Label) -> Option<u32> {
        if label == 0 {
            None
        } else {
            self.homonyms.get(&label).copied()
        }
    }
}

/// Which homonyms each class reaches.
pub(super) struct Reach {
    /// The number of each class's set in `sets`; 0 is the empty set.
    pub(super) set_of: Vec<u32>,
    /// The sets, as sorted numbers of homonyms.
    pub(super) sets: Vec<Vec<u32>>,
    /// Whether there are too many homonyms to keep sets: then set 1 stands for "some".
    pub(super) is_coarse: bool,
}

impl Reach {
    fn new(graph: &Graph, definitions: &Definitions, plain: &[NodeId]) -> Self {
        let is_coarse = definitions.homonyms.len() > MAX_HOMONYMS;
        let width = if is_coarse {
            1
        } else {
            definitions.homonyms.len().div_ceil(64)
        };
        let mut bits = vec![0_u64; graph.len() * width];
        let (starts, sources) = reversed_edges(graph, definitions, plain);
        let mut queue: Vec<ClassId> = Vec::new();
        for class in 0..graph.len() as u32 {
            graph.for_each_target(class, |target| {
                if let Some(homonym) = definitions.homonym(graph.labels[target as usize]) {
                    let homonym = if is_coarse { 0 } else { homonym as usize };
                    bits[class as usize * width + homonym / 64] |= 1 << (homonym % 64);
                    if queue.last() != Some(&class) {
                        queue.push(class);
                    }
                }
            });
        }
        while let Some(class) = queue.pop() {
            for at in starts[class as usize]..starts[class as usize + 1] {
                let source = sources[at as usize];
                let mut changed = false;
                for word in 0..width {
                    let new = bits[class as usize * width + word];
                    let old = &mut bits[source as usize * width + word];
                    changed |= new & !*old != 0;
                    *old |= new;
                }
                if changed {
                    queue.push(source);
                }
            }
        }
        Self::number(&bits, width, graph.len(), is_coarse)
    }

    /// Numbers the distinct sets.
    fn number(bits: &[u64], width: usize, classes: usize, is_coarse: bool) -> Self {
        let empty = vec![0; width];
        let mut numbers: FastMap<&[u64], u32> = FastMap::default();
        numbers.insert(&empty, 0);
        let mut sets = vec![Vec::new()];
        let mut set_of = Vec::with_capacity(classes);
        for of_class in bits.chunks_exact(width) {
            let number = *numbers.entry(of_class).or_insert_with(|| {
                let members = (0..width as u32 * 64)
                    .filter(|bit| of_class[*bit as usize / 64] >> (bit % 64) & 1 != 0);
                sets.push(members.collect());
                sets.len() as u32 - 1
            });
            set_of.push(number);
        }
        Self {
            set_of,
            sets,
            is_coarse,
        }
    }
}

/// The edges of the graph of classes, backwards: a reference by label leads to every definition of it.
fn reversed_edges(
    graph: &Graph,
    definitions: &Definitions,
    plain: &[NodeId],
) -> (Vec<u32>, Vec<ClassId>) {
    let for_each_edge = |visit: &mut dyn FnMut(ClassId, ClassId)| {
        for class in 0..graph.len() as u32 {
            graph.for_each_target(class, |target| {
                let label = graph.labels[target as usize];
                match definitions.by_label.get(&label) {
                    Some(full) if label != 0 && full.len() > 1 => {
                        full.iter().for_each(|&target| visit(class, target))
                    }
                    _ => visit(class, plain[target as usize]),
                }
            });
        }
    };
    let mut starts = vec![0_u32; graph.len() + 1];
    for_each_edge(&mut |_, to| starts[to as usize + 1] += 1);
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut sources = vec![0; starts[graph.len()] as usize];
    for_each_edge(&mut |from, to| {
        sources[next[to as usize] as usize] = from;
        next[to as usize] += 1;
    });
    (starts, sources)
}
