//! What split BTF repeats of its base: its own types that mean what a type of the base means.

use anyhow::Result;
use btf_core::TypeId;
use btf_core::kind::Kind;
use btf_core::reader::Btf;

use super::graph::{Graph, Node, Side};
use super::refine::{Classes, Depth};

/// The own types of `split` that are equivalent to a type of its base, down to everything they reach, each with the
/// first such type.
///
/// Variables, their sections and tags do not count: each image has its own, whatever they are called.
///
/// # Errors
/// If an id or a string offset does not exist.
pub fn in_base(split: &Btf) -> Result<Vec<(TypeId, TypeId)>> {
    let graph = Graph::of_one(split)?;
    let classes = Classes::new(&graph, Depth::Full);
    let mut first = vec![None; classes.count() as usize];
    let mut repeated = Vec::new();
    for node in graph.nodes(Side::A) {
        let (id, first) = (graph.id(node), &mut first[classes.of(node) as usize]);
        if id.0 < split.first_id() {
            first.get_or_insert(id);
        } else if let (Some(first), false) = (*first, is_variable(&graph, node)) {
            repeated.push((id, first));
        }
    }
    Ok(repeated)
}

fn is_variable(graph: &Graph<'_>, node: Node) -> bool {
    let kind = graph.kind(node);
    let is_var = |&target: &Node| graph.kind(target) == Some(Kind::Var);
    matches!(kind, Some(Kind::Var | Kind::Datasec))
        || kind == Some(Kind::DeclTag) && graph.children(node).iter().any(is_var)
}
