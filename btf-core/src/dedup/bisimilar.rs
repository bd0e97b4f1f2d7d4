//! Bisimilar: nodes of one class that no reference tells apart become one again.
//!
//! [`super::division`] divides too much, as reach takes every definition of a name into account, and types that stand
//! alone are not compared with anything before. [`super::partition`] finds the coarsest partition of the nodes that no
//! reference contradicts. If a name that seemed to have several meanings has one after all, its forward declaration
//! joins it, and what refers to either may be the same in turn; so this is done until no such name is left.

use super::classes::{ClassId, FastMap, Position};
use super::definitions::Definitions;
use super::fragment::u32_len;
use super::graph::Graph;
use super::homonyms::{Meanings, NodeId};
use super::partition::{self, Edges};

/// Lets one node stand for all that equal it, and definitions for forward declarations, as far as they are one.
///
/// A round finds at least one more such name, and a chain of names may need a round for each. When `max_steps` nodes and
/// references have been looked at, no more rounds begin: what is still apart stays apart, which is not wrong.
pub(super) fn merge(
    graph: &Graph,
    definitions: &Definitions,
    max_steps: usize,
    meanings: &mut Meanings,
) {
    let nodes = nodes_of_divided_classes(graph, meanings);
    for forward in &definitions.all_forwards {
        let plain = definitions.plain[forward.class as usize];
        if nodes
            .binary_search_by_key(&plain, |&(class, _)| class)
            .is_ok()
        {
            let first = definitions.forward(graph, forward.class);
            meanings.plain[forward.class as usize] = first.unwrap_or(forward.class);
        }
    }
    let mut steps = 0;
    loop {
        steps += merge_nodes(graph, &nodes, meanings);
        if steps > max_steps || !join_forwards(definitions, &nodes, meanings) {
            break;
        }
    }
}

/// The nodes of the classes that have several, with their classes, in order.
fn nodes_of_divided_classes(graph: &Graph, meanings: &Meanings) -> Vec<(ClassId, NodeId)> {
    let mut is_divided = vec![false; graph.len()];
    for &class in &meanings.classes[graph.len()..] {
        is_divided[class as usize] = true;
    }
    let mut nodes: Vec<(ClassId, NodeId)> = meanings
        .classes
        .iter()
        .copied()
        .zip(0..)
        .filter(|&(class, _)| is_divided[class as usize])
        .collect();
    nodes.sort_unstable();
    nodes
}

/// Finds the nodes of one class that no reference tells apart, and lets the first of them stand for all. Tells how many
/// nodes and references there were.
fn merge_nodes(graph: &Graph, nodes: &[(ClassId, NodeId)], meanings: &mut Meanings) -> usize {
    let mut index_of = vec![Edges::FIXED; meanings.classes.len()];
    for (index, &(_, node)) in (0_u32..).zip(nodes) {
        index_of[node as usize] = index;
    }
    let mut edges = Edges {
        starts: vec![0],
        targets: Vec::new(),
    };
    let mut group = Vec::with_capacity(nodes.len());
    let mut next = 0;
    // What the nodes of one class lead to, one behind the other: all have the record of the class, so each as many references.
    let mut signatures: Vec<u64> = Vec::new();
    for of_class in nodes.chunk_by(|a, b| a.0 == b.0) {
        signatures.clear();
        for &(_, node) in of_class {
            meanings.for_each_own_reference(graph, node, |_, target| {
                let index = index_of[target as usize];
                edges.targets.push(index);
                signatures.push(if index == Edges::FIXED {
                    u64::from(target)
                } else {
                    1 << 32 | u64::from(meanings.classes[target as usize])
                });
            });
            edges.starts.push(u32_len(edges.targets.len()));
        }
        let len = signatures.len() / of_class.len();
        let signature = |index: &u32| &signatures[*index as usize * len..][..len];
        let mut order: Vec<u32> = (0..).take(of_class.len()).collect();
        order.sort_unstable_by_key(signature);
        let first = group.len();
        group.resize(first + of_class.len(), 0);
        for same in order.chunk_by(|a, b| signature(a) == signature(b)) {
            for &index in same {
                group[first + index as usize] = next;
            }
            next += 1;
        }
    }
    partition::refine(&mut group, &edges);
    let mut order: Vec<(u32, Position, NodeId)> = nodes
        .iter()
        .zip(&group)
        .map(|(&(_, node), &group)| (group, meanings.positions[node as usize], node))
        .collect();
    order.sort_unstable();
    for same in order.chunk_by(|a, b| a.0 == b.0) {
        for &(_, _, node) in same {
            meanings.same_as[node as usize] = same[0].2;
        }
    }
    nodes.len() + edges.targets.len()
}

/// Lets a forward declaration stand for the only definition of its label if all nodes of that are the same; tells
/// whether there was such a one.
fn join_forwards(
    definitions: &Definitions,
    nodes: &[(ClassId, NodeId)],
    meanings: &mut Meanings,
) -> bool {
    let mut joined = FastMap::default();
    for forward in &definitions.all_forwards {
        let class = definitions.plain[forward.class as usize];
        let first = nodes.partition_point(|&(other, _)| other < class);
        let mut same = nodes[first..]
            .iter()
            .take_while(|&&(other, _)| other == class)
            .map(|&(_, node)| meanings.same_as[node as usize]);
        let Some(only) = same.next() else { continue };
        if meanings.plain[forward.class as usize] != only && same.all(|other| other == only) {
            meanings.plain[forward.class as usize] = only;
            joined.insert(forward.class, only);
        }
    }
    if joined.is_empty() {
        return false;
    }
    for target in &mut meanings.targets {
        // Few are one, and that is asked faster.
        if definitions.is_forward_node(*target)
            && let Some(&only) = joined.get(target)
        {
            *target = only;
        }
    }
    true
}
