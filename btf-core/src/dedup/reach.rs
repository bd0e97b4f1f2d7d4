//! Reach: which homonyms a class leads to, by any path of references and whatever the names on it are taken for.
//!
//! Classes that lead to each other reach the same, so sets are made for [`Components`], each from those of the components that
//! it leads to. Most lead to one set only, which is theirs, too.

use std::ops::Range;

use super::classes::FastMap;
use super::components::Components;
use super::definitions::Definitions;
use super::fragment::u32_len;
use super::graph::Graph;
use crate::pieces::in_pieces;

/// The size in words up to which distinct sets are kept: 32 MiB. Linux 7.2 with its Rust units has 700 homonyms and 21,500
/// classes that reach any.
const MAX_WORDS: usize = 1 << 22;

/// Up to how many words of sets are joined into others: a fraction of a second. Linux 7.2 with its Rust units needs 104,000, three
/// kernels and the modules of one 2.6 million.
const MAX_JOINED: usize = 1 << 28;

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
        let edges = Edges::new(graph, definitions);
        let nodes = 0..u32_len(edges.len());
        let components = Components::new(edges.len(), nodes, |node| edges.of(node));
        let width = definitions.homonyms.len().div_ceil(64);
        let definition_count: usize = definitions.homonyms.iter().map(Vec::len).sum();
        let mut reach = Self {
            set_of: vec![0; graph.len()],
            sets: vec![Vec::new()],
            is_coarse: false,
        };
        let of_components = if definition_count > max_definitions {
            None
        } else {
            let mut sets = Sets::new(width, definition_count);
            let of_components = sets.of_components(&edges, &components);
            reach.sets = sets.all;
            of_components
        };
        reach.is_coarse = of_components.is_none();
        let of_components = of_components.unwrap_or_else(|| affected(&edges, &components));
        for (class, set) in (0..).zip(&mut reach.set_of) {
            *set = of_components[components.of(class)];
        }
        if reach.is_coarse {
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
}

/// The distinct sets of homonyms; the first is empty.
struct Sets {
    /// As sorted numbers of homonyms.
    all: Vec<Vec<u32>>,
    /// As a bit for each homonym, one behind the other.
    bits: Vec<u64>,
    /// The size of each in words, as bits.
    width: usize,
    numbers: FastMap<Box<[u64]>, u32>,
    /// What all take, here and as the definitions of their homonyms, in words.
    words: usize,
    definition_words: usize,
    /// How many words were joined into other sets.
    joined_words: usize,
}

impl Sets {
    fn new(width: usize, definition_count: usize) -> Self {
        let empty = vec![0; width];
        Self {
            all: vec![Vec::new()],
            numbers: std::iter::once((empty.clone().into(), 0)).collect(),
            bits: empty,
            width,
            words: 0,
            definition_words: definition_count.div_ceil(64),
            joined_words: 0,
        }
    }

    /// The number of the set of each component; `None` if the sets are too many to keep them.
    fn of_components(&mut self, edges: &Edges, components: &Components) -> Option<Vec<u32>> {
        let mut of_components: Vec<u32> = Vec::with_capacity(components.len());
        let mut joined = vec![0; self.width];
        let mut numbers = Vec::new();
        // For each set one past the last component that leads to it.
        let mut met = vec![0];
        // What a component leads to is before it.
        for component in 0..components.len() {
            numbers.clear();
            let mut own = None;
            for &node in components.nodes(component) {
                if let Some(homonym) = node.checked_sub(edges.classes) {
                    if own.is_none() {
                        joined.fill(0);
                    }
                    own = Some(homonym);
                    joined[homonym as usize / 64] |= 1 << (homonym % 64);
                }
                for &target in edges.of(node) {
                    let number = of_components.get(components.of(target)).copied();
                    let number = number.unwrap_or(0);
                    if number != 0
                        && std::mem::replace(&mut met[number as usize], component + 1) <= component
                    {
                        numbers.push(number);
                    }
                }
            }
            let number = match (&numbers[..], own) {
                ([], None) => 0,
                (&[only], None) => only,
                (several, own) => {
                    if own.is_none() {
                        joined.fill(0);
                    }
                    self.joined_words += (several.len() + 1) * self.width;
                    for &number in several {
                        let of_number = &self.bits[number as usize * self.width..][..self.width];
                        for (word, other) in joined.iter_mut().zip(of_number) {
                            *word |= other;
                        }
                    }
                    self.number(&joined)
                }
            };
            if self.words > MAX_WORDS || self.joined_words > MAX_JOINED {
                return None;
            }
            of_components.push(number);
            met.resize(self.all.len(), 0);
        }
        Some(of_components)
    }

    /// The number of a set.
    fn number(&mut self, set: &[u64]) -> u32 {
        if let Some(&number) = self.numbers.get(set) {
            return number;
        }
        let number = u32_len(self.all.len());
        self.numbers.insert(set.into(), number);
        self.bits.extend_from_slice(set);
        let has = |bit: &u32| set[*bit as usize / 64] >> (bit % 64) & 1 != 0;
        let homonyms: Vec<u32> = (0..u32_len(set.len() * 64)).filter(has).collect();
        self.words += homonyms.len() + self.definition_words + 2 * self.width;
        self.all.push(homonyms);
        number
    }
}

/// For each component 1 if it reaches a homonym, otherwise 0.
fn affected(edges: &Edges, components: &Components) -> Vec<u32> {
    let mut affected: Vec<u32> = Vec::with_capacity(components.len());
    for component in 0..components.len() {
        let is_affected = components.nodes(component).iter().any(|&node| {
            let reaches = |&target: &u32| affected.get(components.of(target)) == Some(&1);
            node >= edges.classes || edges.of(node).iter().any(reaches)
        });
        affected.push(is_affected.into());
    }
    affected
}

/// The references of the graph of classes.
///
/// Behind the classes there is one more node for each homonym: what refers to the name leads to it, and it leads to all
/// definitions, so that there are not as many edges as references times definitions.
struct Edges {
    /// The references of so many classes each, which are one piece of work.
    pieces: Vec<Targets>,
    of_homonyms: Targets,
    /// The number of classes, which is the node of the first homonym.
    classes: u32,
}

/// How many classes are in a piece, as a power of two.
const PIECE_BITS: u32 = if cfg!(test) { 2 } else { 14 };

/// What some nodes lead to.
#[derive(Default)]
struct Targets {
    /// Where in `all` those of each node begin, and where the last end.
    starts: Vec<u32>,
    all: Vec<u32>,
}

impl Targets {
    fn of(&self, node: u32) -> &[u32] {
        let [start, end] = [node as usize, node as usize + 1].map(|at| self.starts[at] as usize);
        &self.all[start..end]
    }
}

impl Edges {
    fn new(graph: &Graph, definitions: &Definitions) -> Self {
        let classes = u32_len(graph.len());
        let piece = |index: Range<usize>| {
            let first = u32_len(index.start) << PIECE_BITS;
            let end = classes.min(first.saturating_add(1 << PIECE_BITS));
            let mut targets = Targets::default();
            targets.starts.reserve((end - first) as usize + 1);
            // About as many as are there.
            targets.all.reserve(4 * (end - first) as usize);
            for class in first..end {
                targets.starts.push(u32_len(targets.all.len()));
                graph.for_each_target(class, |target| {
                    targets.all.push(match definitions.homonym(target) {
                        Some(homonym) => classes + homonym,
                        None => definitions.plain[target as usize],
                    });
                });
            }
            targets.starts.push(u32_len(targets.all.len()));
            targets
        };
        let count = graph.len().div_ceil(1 << PIECE_BITS);
        let mut of_homonyms = Targets::default();
        for homonym in &definitions.homonyms {
            of_homonyms.starts.push(u32_len(of_homonyms.all.len()));
            of_homonyms.all.extend_from_slice(homonym);
        }
        of_homonyms.starts.push(u32_len(of_homonyms.all.len()));
        Self {
            pieces: in_pieces(0..count, 1, &piece),
            of_homonyms,
            classes,
        }
    }

    fn of(&self, node: u32) -> &[u32] {
        if let Some(homonym) = node.checked_sub(self.classes) {
            return self.of_homonyms.of(homonym);
        }
        let piece = &self.pieces[(node >> PIECE_BITS) as usize];
        piece.of(node & ((1 << PIECE_BITS) - 1))
    }

    /// The number of nodes.
    fn len(&self) -> usize {
        self.classes as usize + self.of_homonyms.starts.len() - 1
    }
}
