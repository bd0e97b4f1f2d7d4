//! Splits the nodes of a graph into classes of equal meaning, exactly.
//!
//! Problem: two types mean the same if their own words are equal and so are, pairwise, the types they refer to; C's
//! types form cycles, so that this cannot be answered from the leaves upwards. Method: start with one class per
//! different own words, then split a class whenever two of its nodes have children in different classes, until a round
//! splits none. What is left is the coarsest partition without a reason to split: bisimilarity. Signatures are compared
//! as whole lists, not by their hashes, so that the answer does not rest on luck. Cost: rounds × references; the rounds
//! are at most the longest chain of types by which two names differ, below 40 on kernels.
//!
//! Both files are partitioned at once, hence a class says which nodes of A equal which nodes of B, and duplicates within
//! a file fall out as classes with several of its nodes.
//!
//! `btf_core::dedup::partition` answers the like, faster and by another algorithm. This one is its oracle and shares no code
//! with it, so that one mistake cannot hide the other.

use std::collections::HashMap;

use btf_core::kind::Kind;

use super::graph::{Graph, Lists, Node};

/// How a type sees a structure, union or enumeration that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// By its meaning: equal classes mean equal types down to the last one that can be reached.
    Full,
    /// By kind and name only, a forward declaration like what it stands for: equal classes mean that the types are
    /// written the same way, as a C declaration is.
    Names,
}

/// The class of every node.
#[derive(Debug)]
pub struct Classes {
    of: Vec<u32>,
    count: u32,
    rounds: u32,
}

impl Classes {
    /// Partitions a graph.
    #[must_use]
    pub fn new(graph: &Graph<'_>, depth: Depth) -> Self {
        let tags = Tags::new(graph, depth);
        let mut signatures = Lists::default();
        for node in 0..graph.len() {
            graph
                .own(node)
                .iter()
                .for_each(|&word| signatures.add(word));
            signatures.close();
        }
        let (mut of, mut count) = number(&signatures);
        let mut rounds = 0;
        loop {
            signatures.clear();
            for node in 0..graph.len() {
                signatures.add(of[node as usize]);
                for &child in graph.children(node) {
                    signatures.add(tags.of[child as usize].unwrap_or(of[child as usize]));
                }
                signatures.close();
            }
            let (next, next_count) = number(&signatures);
            rounds += 1;
            of = next;
            if next_count == count {
                return Self { of, count, rounds };
            }
            count = next_count;
        }
    }

    /// The class of a node.
    #[must_use]
    pub fn of(&self, node: Node) -> u32 {
        self.of[node as usize]
    }

    /// The number of classes.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The rounds that it took.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }
}

/// Gives equal lists equal numbers, in the order in which they appear; returns how many there are, too.
fn number(lists: &Lists) -> (Vec<u32>, u32) {
    let mut numbers: HashMap<&[u32], u32> = HashMap::with_capacity(lists.len());
    let mut of = Vec::with_capacity(lists.len());
    let mut count = 0;
    for index in 0..lists.len() {
        let index = u32::try_from(index).expect("nodes are numbered by u32");
        of.push(*numbers.entry(lists.get(index)).or_insert_with(|| {
            count += 1;
            count - 1
        }));
    }
    (of, count)
}

/// What stands for a node in its parents' signatures instead of its class.
struct Tags {
    of: Vec<Option<u32>>,
}

impl Tags {
    fn new(graph: &Graph<'_>, depth: Depth) -> Self {
        // Tags count down from the top, classes up from 0: at 2³² of both together, nothing fits the memory anyway.
        let mut numbers: HashMap<(Kind, u32), u32> = HashMap::new();
        let mut tag = |node| {
            let kind = tag_kind(graph, node)?;
            let next = u32::MAX - u32::try_from(numbers.len()).expect("nodes are numbered by u32");
            Some(
                *numbers
                    .entry((kind, graph.name_number(node)))
                    .or_insert(next),
            )
        };
        let of = (0..graph.len()).map(|node| match depth {
            Depth::Full => None,
            Depth::Names => tag(node),
        });
        Self { of: of.collect() }
    }
}

/// What a C declaration calls the node, if it has a tag: `struct`, `union` or `enum`.
pub(crate) fn tag_kind(graph: &Graph<'_>, node: Node) -> Option<Kind> {
    const KIND_FLAG: u32 = 1 << 31;
    if graph.name_number(node) == 0 {
        return None;
    }
    let is_union = || graph.own(node)[1] & KIND_FLAG != 0;
    match graph.kind(node)? {
        // The own words of a FWD are name, info and the unused third one.
        Kind::Fwd => Some(if is_union() {
            Kind::Union
        } else {
            Kind::Struct
        }),
        kind @ (Kind::Struct | Kind::Union) => Some(kind),
        Kind::Enum | Kind::Enum64 => Some(Kind::Enum),
        Kind::Int
        | Kind::Ptr
        | Kind::Array
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::FuncProto
        | Kind::Var
        | Kind::Datasec
        | Kind::Float
        | Kind::DeclTag
        | Kind::TypeTag => None,
    }
}
