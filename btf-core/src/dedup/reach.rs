//! Reach: which homonyms a class leads to, by any path of references and whatever the names on it are taken for.

use std::collections::VecDeque;

use super::classes::FastMap;
use super::definitions::Definitions;
use super::fragment::u32_len;
use super::graph::Graph;

/// The size in words up to which the homonyms that each class reaches are told apart: 128 MiB. Linux 7.2 with its Rust
/// units has 700 homonyms and 21,500 classes that reach any, which takes 2 MiB.
const MAX_WORDS: usize = 1 << 24;

/// The number of definitions of homonyms up to which environments are made. An environment has one bit for each, and as
/// many of them as definitions are compared with each other in the worst case, which takes 4 s here.
pub(super) const MAX_DEFINITIONS: usize = 1 << 12;

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
        let affected = edges.affected();
        let width = definitions.homonyms.len().div_ceil(64);
        let definition_count: usize = definitions.homonyms.iter().map(Vec::len).sum();
        let mut reach = Self {
            set_of: vec![0; graph.len()],
            sets: vec![Vec::new()],
            is_coarse: definition_count > max_definitions || affected.len() * width > MAX_WORDS,
        };
        if reach.is_coarse {
            reach.sets.push(Vec::new());
            for &node in &affected {
                if let Some(set) = reach.set_of.get_mut(node as usize) {
                    *set = 1;
                }
            }
        } else {
            let bits = edges.propagate(&affected, width);
            reach.number(&affected, &bits, width);
        }
        reach
    }

    /// Numbers the distinct sets.
    fn number(&mut self, affected: &[u32], bits: &[u64], width: usize) {
        let mut numbers: FastMap<&[u64], u32> = FastMap::default();
        for (&node, of_node) in affected.iter().zip(bits.chunks_exact(width)) {
            let Some(set) = self.set_of.get_mut(node as usize) else {
                continue;
            };
            let sets = &mut self.sets;
            *set = *numbers.entry(of_node).or_insert_with(|| {
                let has = |bit: &u32| of_node[*bit as usize / 64] >> (bit % 64) & 1 != 0;
                sets.push((0..u32_len(width * 64)).filter(has).collect());
                u32_len(sets.len() - 1)
            });
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

    /// The nodes of the homonyms and what reaches them.
    fn affected(&self) -> Vec<u32> {
        let mut affected: Vec<u32> = (self.classes..u32_len(self.len())).collect();
        let mut is_affected = vec![false; self.len()];
        is_affected[self.classes as usize..].fill(true);
        let mut next = 0;
        while let Some(&node) = affected.get(next) {
            for &source in self.of(node) {
                if !std::mem::replace(&mut is_affected[source as usize], true) {
                    affected.push(source);
                }
            }
            next += 1;
        }
        affected
    }

    /// For each affected node a bit for each homonym that it reaches.
    fn propagate(&self, affected: &[u32], width: usize) -> Vec<u64> {
        let mut index_of = vec![0; self.len()];
        let mut bits = vec![0_u64; affected.len() * width];
        for (index, &node) in affected.iter().enumerate() {
            index_of[node as usize] = index;
            if let Some(homonym) = node.checked_sub(self.classes) {
                bits[index * width + homonym as usize / 64] |= 1 << (homonym % 64);
            }
        }
        let mut queue: VecDeque<usize> = (0..affected.len()).collect();
        let mut is_queued = vec![true; affected.len()];
        let mut of_node = vec![0; width];
        while let Some(index) = queue.pop_front() {
            is_queued[index] = false;
            of_node.copy_from_slice(&bits[index * width..][..width]);
            for &source in self.of(affected[index]) {
                // What leads to an affected node is affected.
                let source = index_of[source as usize];
                let mut news = 0;
                for (old, new) in bits[source * width..][..width].iter_mut().zip(&of_node) {
                    news |= new & !*old;
                    *old |= new;
                }
                if news != 0 && !std::mem::replace(&mut is_queued[source], true) {
                    queue.push_back(source);
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
