//! Compares two BTF files by meaning: ids, order and string offsets do not count.
//!
//! A type of A is *common* if B has a type that is equivalent down to everything it reaches. Of the others, those that
//! differ *themselves* (other members, sizes, values) are told from those that only *reach* a difference, because one
//! changed structure makes thousands of types unequal. Duplicates, equivalent types within one file, are counted apart.
//! Nothing of `btf_core::dedup` is used, so that this can judge it.

mod base;
mod describe;
mod graph;
mod refine;
mod report;
pub mod split;

use std::collections::{HashMap, VecDeque};

use anyhow::Result;
use btf_core::kind::Kind;
use btf_core::reader::Btf;

pub use base::in_base;
pub use describe::{describe, first_difference};
pub use graph::{Graph, Node, Side};
pub use refine::{Classes, Depth};
pub use report::{print_json, print_text};

/// Which kinds a comparison reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All.
    #[default]
    All,
    /// FUNC only: functions by name and prototype.
    Functions,
    /// All but FUNC, `FUNC_PROTO`, VAR, DATASEC and `DECL_TAG`.
    Data,
    /// VAR and DATASEC.
    Variables,
}

impl Scope {
    fn has(self, kind: Kind) -> bool {
        let function = matches!(kind, Kind::Func | Kind::FuncProto | Kind::DeclTag);
        let variable = matches!(kind, Kind::Var | Kind::Datasec);
        match self {
            Self::All => true,
            Self::Functions => kind == Kind::Func,
            Self::Data => !function && !variable,
            Self::Variables => variable,
        }
    }
}

/// The numbers of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Classes that both files have.
    pub common: u32,
    /// Classes that only A has.
    pub only_a: u32,
    /// Classes that only B has.
    pub only_b: u32,
    /// Types of A that another type of A is equivalent to, beyond one of each class.
    pub duplicates_a: u32,
    /// The same of B.
    pub duplicates_b: u32,
}

/// Why a type has no equivalent in the other file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The other file has no type of that kind and name.
    Missing,
    /// It is written differently there; the text tells the first difference.
    Itself(String),
    /// It is written the same way there, but reaches a type that differs: the nearest, if one type is the cause.
    Reaches(Option<Node>),
}

/// A type without an equivalent in the other file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The type, the first of its class.
    pub node: Node,
    /// The file that has it.
    pub side: Side,
    /// Why.
    pub cause: Cause,
    /// Whether it is worth a line of its own: it has a name, or nothing that it refers to explains it.
    pub notable: bool,
}

/// The result of a comparison.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Both files' types.
    pub graph: Graph<'a>,
    /// Per kind, in the order of the kinds' numbers; kinds that neither file has are left out.
    pub counts: Vec<(Kind, Counts)>,
    /// Types of only one file: A's first, in the order of their ids.
    pub findings: Vec<Finding>,
    /// Classes with several types of one file: the first of them, and how many there are.
    pub duplicates: Vec<(Node, u32)>,
    /// How many rounds the partition took.
    pub rounds: u32,
}

impl<'a> Comparison<'a> {
    /// Compares two files.
    ///
    /// # Errors
    /// If an id or a string offset in one of them does not exist.
    pub fn new(a: &'a Btf, b: &'a Btf, scope: Scope) -> Result<Self> {
        let graph = Graph::new(a, b)?;
        let full = Classes::new(&graph, Depth::Full);
        let shallow = Classes::new(&graph, Depth::Names);
        let members = Members::new(&graph, &full);
        let only: Vec<bool> = (0..graph.len())
            .map(|node| members.is_only(&full, node))
            .collect();
        let mut comparison = Self {
            counts: members.counts(&graph, scope),
            duplicates: members.duplicates(&graph, scope),
            findings: Vec::new(),
            rounds: full.rounds(),
            graph,
        };
        comparison.find(scope, &members, &only, &shallow);
        Ok(comparison)
    }

    /// Whether both files have the same classes and, unless duplicates are ignored, none has a duplicate more.
    #[must_use]
    pub fn is_equal(&self, ignore_duplicates: bool) -> bool {
        self.counts.iter().all(|(_, c)| {
            c.only_a == 0
                && c.only_b == 0
                && (ignore_duplicates || c.duplicates_a == c.duplicates_b)
        })
    }

    /// Finds the cause of every type that only one file has.
    fn find(&mut self, scope: Scope, members: &Members, only: &[bool], shallow: &Classes) {
        let graph = &self.graph;
        let mut written = [Side::A, Side::B].map(|side| {
            let nodes = graph.nodes(side).map(|node| shallow.of(node));
            let mut classes: Vec<_> = nodes.collect();
            classes.sort_unstable();
            classes
        });
        written.reverse();
        let [in_b, in_a] = written;
        let is_written_there = |node| {
            let there = if graph.side(node) == Side::A {
                &in_b
            } else {
                &in_a
            };
            there.binary_search(&shallow.of(node)).is_ok()
        };
        let itself: Vec<bool> = (0..graph.len())
            .map(|node| only[node as usize] && !is_written_there(node))
            .collect();
        let nearest = nearest(graph, only, &itself);
        let names = ByName::new(graph, only);
        let firsts = members.firsts.iter().flatten().flatten().copied();
        let mut nodes: Vec<Node> = firsts.filter(|&node| only[node as usize]).collect();
        nodes.retain(|&node| graph.kind(node).is_some_and(|kind| scope.has(kind)));
        nodes.sort_unstable();
        let findings = nodes.into_iter().map(|node| {
            let cause = if itself[node as usize] {
                names
                    .counterpart(graph, node)
                    .map_or(Cause::Missing, |other| {
                        let (a, b) = if graph.side(node) == Side::A {
                            (node, other)
                        } else {
                            (other, node)
                        };
                        Cause::Itself(first_difference(graph, shallow, a, b))
                    })
            } else {
                Cause::Reaches(nearest[node as usize])
            };
            let explained = graph
                .children(node)
                .iter()
                .any(|&child| only[child as usize]);
            Finding {
                node,
                side: graph.side(node),
                cause,
                notable: graph.name_number(node) != 0 || !explained,
            }
        });
        self.findings = findings.collect();
    }
}

/// The members of each class, per file.
struct Members {
    /// The first node of each class in A and in B.
    firsts: Vec<[Option<Node>; 2]>,
    /// How many nodes of A and of B each class has.
    sizes: Vec<[u32; 2]>,
}

impl Members {
    fn new(graph: &Graph<'_>, classes: &Classes) -> Self {
        let count = classes.count() as usize;
        let (mut firsts, mut sizes) = (vec![[None; 2]; count], vec![[0; 2]; count]);
        for side in [Side::A, Side::B] {
            for node in graph.nodes(side) {
                let class = classes.of(node) as usize;
                firsts[class][side as usize].get_or_insert(node);
                sizes[class][side as usize] += 1;
            }
        }
        Self { firsts, sizes }
    }

    /// Whether only one file has a node's class. `void` belongs to both.
    fn is_only(&self, classes: &Classes, node: Node) -> bool {
        node != 0 && self.sizes[classes.of(node) as usize].contains(&0)
    }

    fn counts(&self, graph: &Graph<'_>, scope: Scope) -> Vec<(Kind, Counts)> {
        let mut counts = [Counts::default(); Kind::ALL.len()];
        for (first, &[a, b]) in self.firsts.iter().zip(&self.sizes) {
            let Some(kind) = first[0].or(first[1]).and_then(|node| graph.kind(node)) else {
                continue;
            };
            let count = &mut counts[kind as usize - 1];
            count.common += u32::from(a > 0 && b > 0);
            count.only_a += u32::from(b == 0);
            count.only_b += u32::from(a == 0);
            count.duplicates_a += a.saturating_sub(1);
            count.duplicates_b += b.saturating_sub(1);
        }
        let kinds = Kind::ALL.into_iter().zip(counts);
        kinds
            .filter(|&(kind, count)| scope.has(kind) && count != Counts::default())
            .collect()
    }

    fn duplicates(&self, graph: &Graph<'_>, scope: Scope) -> Vec<(Node, u32)> {
        let in_scope = |node| graph.kind(node).is_some_and(|kind| scope.has(kind));
        let pairs = self.firsts.iter().zip(&self.sizes);
        let mut found: Vec<_> = pairs
            .flat_map(|(firsts, sizes)| firsts.iter().copied().zip(sizes.iter().copied()))
            .filter_map(|(first, size)| Some((first?, size)))
            .filter(|&(first, size)| size > 1 && in_scope(first))
            .collect();
        found.sort_unstable();
        found
    }
}

/// For each node of only one file that does not differ itself: the nearest node, by references, that does.
fn nearest(graph: &Graph<'_>, only: &[bool], itself: &[bool]) -> Vec<Option<Node>> {
    let mut parents: Vec<Vec<Node>> = vec![Vec::new(); only.len()];
    for node in (0..graph.len()).filter(|&node| only[node as usize]) {
        for &child in graph.children(node) {
            if only[child as usize] {
                parents[child as usize].push(node);
            }
        }
    }
    let causes = (0..graph.len()).filter(|&node| itself[node as usize]);
    let mut queue: VecDeque<Node> = causes.collect();
    let mut nearest: Vec<Option<Node>> = vec![None; only.len()];
    for &node in &queue {
        nearest[node as usize] = Some(node);
    }
    while let Some(node) = queue.pop_front() {
        for &parent in &parents[node as usize] {
            if nearest[parent as usize].is_none() {
                nearest[parent as usize] = nearest[node as usize];
                queue.push_back(parent);
            }
        }
    }
    nearest
}

/// The nodes of only one file by side, kind and name, to say what a type differs from.
struct ByName {
    nodes: HashMap<(Side, Kind, u32), Node>,
}

impl ByName {
    fn new(graph: &Graph<'_>, only: &[bool]) -> Self {
        let mut nodes = HashMap::new();
        // Types of only one file come first and win: they are what a type most likely became.
        let all = 1..graph.len();
        let common = all.clone().filter(|&node| !only[node as usize]);
        for node in all.filter(|&node| only[node as usize]).chain(common) {
            if let (Some(kind), name @ 1..) = (graph.kind(node), graph.name_number(node)) {
                nodes.entry((graph.side(node), kind, name)).or_insert(node);
            }
        }
        Self { nodes }
    }

    fn counterpart(&self, graph: &Graph<'_>, node: Node) -> Option<Node> {
        let key = (
            graph.side(node).other(),
            graph.kind(node)?,
            graph.name_number(node),
        );
        self.nodes.get(&key).copied()
    }
}
