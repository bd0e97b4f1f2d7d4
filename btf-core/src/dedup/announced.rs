//! Announced: pointers to what the base of split BTF only announces, and a module defines.
//!
//! Problem: the base has `struct port;`, `struct device { struct port *p; }` and so a pointer to the announced port. A
//! module defines `struct port`. Its device is that of the base: kernel and programs know one device. Yet what the module
//! says about its own port, a function's parameter for one, must lead to the definition, and the base's pointer does not.
//!
//! Method: a type of the base that leads to a definition behind the base without passing a name has a twin that is
//! written; what is not in the base refers to the twin. Named types have none, so that nothing spreads beyond them. The
//! twin of a structure or union without a name is weak: mostly it is a part of a named one, of which there is no twin.

use super::classes::{FastMap, position};
use super::graph::{Graph, is_in_base};
use super::homonyms::{Meanings, NodeId};
use crate::kind::Kind;

/// Makes the twins.
pub(super) fn make_twins(graph: &Graph, meanings: &mut Meanings) {
    let twins = find(graph, meanings);
    if twins.is_empty() {
        return;
    }
    let mut twin_of: FastMap<NodeId, NodeId> = FastMap::default();
    for &node in &twins {
        let twin = meanings.add_node(meanings.classes[node as usize]);
        twin_of.insert(node, twin);
    }
    for node in &twins {
        let mut targets = Vec::new();
        meanings.for_each_target(graph, *node, |target| {
            targets.push(twin_of.get(&target).copied().unwrap_or(target));
        });
        meanings.begin_targets(twin_of[node], meanings.targets.len());
        meanings.targets.extend(targets);
    }
    place(graph, &twin_of, meanings);
    for same in &mut meanings.same_as {
        if let Some(&twin) = twin_of.get(same) {
            *same = twin;
        }
    }
}

/// The nodes of the base that have no name and lead to what is not in the base, targets first.
fn find(graph: &Graph, meanings: &Meanings) -> Vec<NodeId> {
    let in_base = |node: NodeId| is_in_base(meanings.positions[node as usize]);
    let nodes = (0..).zip(&meanings.classes);
    let candidates = nodes
        .filter(|&(node, &class)| {
            meanings.same_as[node as usize] == node
                && in_base(node)
                && graph.labels[class as usize] == 0
        })
        .map(|(node, _)| node);
    let leads_out = |&node: &NodeId| {
        let mut leads_out = false;
        meanings.for_each_target(graph, node, |target| leads_out |= !in_base(target));
        leads_out
    };
    let mut found: Vec<NodeId> = candidates.clone().filter(leads_out).collect();
    if found.is_empty() {
        return found;
    }
    let mut sources: FastMap<NodeId, Vec<NodeId>> = FastMap::default();
    for node in candidates {
        meanings.for_each_target(graph, node, |target| {
            sources.entry(target).or_default().push(node);
        });
    }
    let mut next = 0;
    let mut is_known: FastMap<NodeId, ()> = found.iter().map(|&node| (node, ())).collect();
    while let Some(node) = found.get(next) {
        for &source in sources.get(node).into_iter().flatten() {
            if is_known.insert(source, ()).is_none() {
                found.push(source);
            }
        }
        next += 1;
    }
    found
}

/// Finds where each twin stands first; one that is made for a reference only stands nowhere.
fn place(graph: &Graph, twin_of: &FastMap<NodeId, NodeId>, meanings: &mut Meanings) {
    // Few classes can stand for one that has a twin.
    let has_twin = |node: NodeId| twin_of.contains_key(&meanings.same_as[node as usize]);
    let mut is_candidate: Vec<bool> = meanings.plain.iter().map(|&node| has_twin(node)).collect();
    for (node, &class) in (0..).zip(&meanings.classes) {
        is_candidate[class as usize] |= has_twin(node);
    }
    for fragment in graph.first_fragment..graph.fragment_count() {
        let (members, first_weak) = graph.members(fragment);
        for (local, &class) in (0_u32..).zip(members) {
            if !is_candidate[class as usize] {
                continue;
            }
            let kind = graph.record(class).0;
            let is_weak =
                local as usize >= first_weak || matches!(kind, Kind::Struct | Kind::Union);
            let node = meanings.node(graph, fragment, local);
            if let Some(&twin) = node.and_then(|node| twin_of.get(&node)) {
                let least = &mut meanings.positions[twin as usize];
                *least = position(fragment, local, is_weak).min(*least);
            }
        }
    }
}
