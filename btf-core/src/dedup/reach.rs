//! Reach: which homonyms a class leads to, by any path of references and whatever the names on it are taken for.
//!
//! Classes that lead to each other reach the same, so sets are made for [`Components`], each from those of the components that
//! it leads to. Most lead to one set only, which is theirs, too.

use std::ops::Range;

use super::classes::FastMap;
use super::components::{Components, Visitor};
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
        let width = definitions.homonyms.len().div_ceil(64);
        let definition_count: usize = definitions.homonyms.iter().map(Vec::len).sum();
        let mut sets = Sets::new(edges.classes, width, definition_count);
        sets.are_too_many = definition_count > max_definitions;
        let components = Components::visited(edges.len(), nodes, |node| edges.of(node), &mut sets);
        let mut reach = Self {
            set_of: vec![0; graph.len()],
            sets: sets.all,
            is_coarse: sets.are_too_many,
        };
        let of_components = if sets.are_too_many {
            affected(&edges, &components)
        } else {
            sets.of_components
        };
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
    /// The number of the set of each component.
    of_components: Vec<u32>,
    /// The node of the first homonym.
    first_homonym: u32,
    /// The sets that the nodes without a component lead to, so far, those of what was met later behind those of what was met before.
    led_to: Vec<u32>,
    /// Where those of the node that was met last begin.
    floor: usize,
    /// For each set one past the last component that leads to it.
    met: Vec<usize>,
    joined: Vec<u64>,
    /// Whether there are more than can be kept; then nothing else means anything.
    are_too_many: bool,
}

impl Sets {
    fn new(first_homonym: u32, width: usize, definition_count: usize) -> Self {
        let empty = vec![0; width];
        Self {
            all: vec![Vec::new()],
            numbers: std::iter::once((empty.clone().into(), 0)).collect(),
            bits: empty.clone(),
            width,
            words: 0,
            definition_words: definition_count.div_ceil(64),
            joined_words: 0,
            of_components: Vec::new(),
            first_homonym,
            led_to: Vec::new(),
            floor: 0,
            met: vec![0],
            joined: empty,
            are_too_many: false,
        }
    }

    /// The number of the set that was joined last.
    fn number_joined(&mut self) -> u32 {
        if let Some(&number) = self.numbers.get(&self.joined[..]) {
            return number;
        }
        let set = &self.joined;
        let number = u32_len(self.all.len());
        self.numbers.insert(set[..].into(), number);
        self.bits.extend_from_slice(set);
        let has = |bit: &u32| set[*bit as usize / 64] >> (bit % 64) & 1 != 0;
        let homonyms: Vec<u32> = (0..u32_len(set.len() * 64)).filter(has).collect();
        self.words += homonyms.len() + self.definition_words + 2 * self.width;
        self.all.push(homonyms);
        number
    }
}

impl Visitor for Sets {
    fn open(&mut self) -> usize {
        self.floor = self.led_to.len();
        self.floor
    }

    #[inline]
    fn lead(&mut self, component: usize) {
        let number = self.of_components.get(component).copied().unwrap_or(0);
        let own = self.led_to.get(self.floor..).unwrap_or_default();
        if number != 0 && own.last() != Some(&number) {
            self.led_to.push(number);
        }
    }

    fn close(&mut self, nodes: &[u32], mark: usize) {
        if self.are_too_many {
            return;
        }
        let component = self.of_components.len();
        let mut has_own = false;
        for &node in nodes {
            if let Some(homonym) = node.checked_sub(self.first_homonym) {
                if !std::mem::replace(&mut has_own, true) {
                    self.joined.fill(0);
                }
                self.joined[homonym as usize / 64] |= 1 << (homonym % 64);
            }
        }
        // Each once.
        let mut end = mark;
        for at in mark..self.led_to.len() {
            let number = self.led_to[at];
            if std::mem::replace(&mut self.met[number as usize], component + 1) <= component {
                self.led_to[end] = number;
                end += 1;
            }
        }
        let number = match (&self.led_to[mark..end], has_own) {
            ([], false) => 0,
            (&[only], false) => only,
            (several, _) => {
                if !has_own {
                    self.joined.fill(0);
                }
                self.joined_words += (several.len() + 1) * self.width;
                for &number in several {
                    let of_number = &self.bits[number as usize * self.width..][..self.width];
                    for (word, other) in self.joined.iter_mut().zip(of_number) {
                        *word |= other;
                    }
                }
                self.number_joined()
            }
        };
        self.led_to.truncate(mark);
        self.are_too_many = self.words > MAX_WORDS || self.joined_words > MAX_JOINED;
        self.of_components.push(number);
        self.met.resize(self.all.len(), 0);
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
