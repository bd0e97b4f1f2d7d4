//! Reach: which homonyms a class leads to, by any path of references and whatever the names on it are taken for.
//!
//! Classes that lead to each other reach the same, so sets are made for [`Components`], each once, from those of the
//! components that it leads to: edges times words of a set, whatever the input.

use super::classes::FastMap;
use super::components::Components;
use super::definitions::Definitions;
use super::fragment::u32_len;
use super::graph::Graph;

/// The size in words up to which the homonyms that each component reaches are told apart: 32 MiB. Linux 7.2 with its Rust
/// units has 700 homonyms and 21,500 classes that reach any, which takes 2 MiB.
const MAX_WORDS: usize = 1 << 22;

/// Which homonyms each class reaches.
#[derive(Debug)]
pub(super) struct Reach {
    /// The number of each class's set in `sets`; 0 is the empty set.
    pub(super) set_of: Vec<u32>,
    /// The sets, as sorted numbers of homonyms.
    pub(super) sets: Vec<Vec<u32>>,
    /// Whether there are too many homonyms to keep sets: then set 1 stands for "some".
    pub(super) is_coarse: bool,
}

impl Reach {
    pub(super) fn new(graph: &Graph, definitions: &Definitions, max_definitions: usize) -> Self {
        let edges = ReversedEdges::new(graph, definitions);
        let components = edges.components();
        let width = definitions.homonyms.len().div_ceil(64);
        let definition_count: usize = definitions.homonyms.iter().map(Vec::len).sum();
        let mut reach = Self {
            set_of: vec![0; graph.len()],
            sets: vec![Vec::new()],
            is_coarse: definition_count > max_definitions || components.len() * width > MAX_WORDS,
        };
        if !reach.is_coarse {
            let bits = edges.propagate(&components, width);
            reach.is_coarse = !reach.number(&components, &bits, definition_count);
        }
        if reach.is_coarse {
            for component in 0..components.len() {
                reach.set(components.nodes(component), 1);
            }
            reach.make_coarse();
        }
        reach
    }

    /// Forgets which homonyms are reached.
    pub(super) fn make_coarse(&mut self) {
        self.is_coarse = true;
        self.sets = vec![Vec::new(); 2];
        for set in &mut self.set_of {
            *set = u32::from(*set != 0);
        }
    }

    /// Numbers the distinct sets; `false` if there are too many to keep them.
    fn number(&mut self, components: &Components, bits: &[u64], definition_count: usize) -> bool {
        let mut numbers: FastMap<&[u64], u32> = FastMap::default();
        // What a set takes, here and as all definitions of its homonyms, in words.
        let mut words = 0;
        for (component, of_component) in
            bits.chunks_exact(bits.len() / components.len()).enumerate()
        {
            let set = *numbers.entry(of_component).or_insert_with(|| {
                let has = |bit: &u32| of_component[*bit as usize / 64] >> (bit % 64) & 1 != 0;
                let set: Vec<u32> = (0..u32_len(of_component.len() * 64)).filter(has).collect();
                words += set.len() + definition_count.div_ceil(64);
                self.sets.push(set);
                u32_len(self.sets.len() - 1)
            });
            if words > MAX_WORDS {
                return false;
            }
            self.set(components.nodes(component), set);
        }
        true
    }

    /// Sets what some nodes reach; those of homonyms, which are behind the classes, are no classes.
    fn set(&mut self, nodes: &[u32], set: u32) {
        for &node in nodes {
            if let Some(of_node) = self.set_of.get_mut(node as usize) {
                *of_node = set;
            }
        }
    }
}

/// The edges of the graph of classes, backwards.
///
/// Behind the classes there is one more node for each homonym: what refers to the name leads to it, and it leads to all
/// definitions, so that there are not as many edges as references times definitions.
struct ReversedEdges {
    starts: Vec<u32>,
    sources: Vec<u32>,
    /// The number of classes, which is the node of the first homonym.
    classes: u32,
}

impl ReversedEdges {
    fn new(graph: &Graph, definitions: &Definitions) -> Self {
        let nodes = graph.len() + definitions.homonyms.len();
        let mut starts = vec![0_u32; nodes + 1];
        for_each_edge(graph, definitions, |_, to| starts[to as usize + 1] += 1);
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut sources = vec![0; starts[nodes] as usize];
        for_each_edge(graph, definitions, |from, to| {
            sources[next[to as usize] as usize] = from;
            next[to as usize] += 1;
        });
        Self {
            starts,
            sources,
            classes: u32_len(graph.len()),
        }
    }

    fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.sources[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The components of the homonyms' nodes and of what reaches them: what a component reaches is behind it.
    fn components(&self) -> Components {
        let homonyms = self.classes..u32_len(self.len());
        Components::new(self.len(), homonyms, |node| self.of(node))
    }

    /// For each component a bit for each homonym that it reaches.
    fn propagate(&self, components: &Components, width: usize) -> Vec<u64> {
        let mut bits = vec![0_u64; components.len() * width];
        for homonym in self.classes..u32_len(self.len()) {
            let component = components.of(homonym);
            let homonym = homonym - self.classes;
            bits[component * width + homonym as usize / 64] |= 1 << (homonym % 64);
        }
        for component in (0..components.len()).rev() {
            let (before, of_component) = bits.split_at_mut(component * width);
            let nodes = components.nodes(component).iter();
            for &source in nodes.flat_map(|&node| self.of(node)) {
                let source = components.of(source);
                if source != component {
                    let of_source = &mut before[source * width..][..width];
                    for (old, new) in of_source.iter_mut().zip(&*of_component) {
                        *old |= new;
                    }
                }
            }
        }
        bits
    }
}

/// Calls `visit` with each edge of the graph of classes and homonyms.
fn for_each_edge(graph: &Graph, definitions: &Definitions, mut visit: impl FnMut(u32, u32)) {
    let classes = u32_len(graph.len());
    for class in 0..classes {
        graph.for_each_target(class, |target| {
            visit(
                class,
                match definitions.homonym(target) {
                    Some(homonym) => classes + homonym,
                    None => definitions.plain[target as usize],
                },
            );
        });
    }
    for (homonym, classes) in (classes..).zip(&definitions.homonyms) {
        for &class in classes {
            visit(homonym, class);
        }
    }
}
