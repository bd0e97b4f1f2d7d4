//! Containment: a type of the output that contains itself by value has no size, and nobody who reads BTF expects it.
//!
//! Compilers never write one, damaged DWARF may. Only structures, unions, arrays and what modifies a type are looked at,
//! each once.

use super::components::Components;
use super::fragment::{Name, u32_len};
use super::numbering::Numbering;
use crate::kind::Kind;

impl Numbering<'_> {
    /// The kind and name of a type that contains itself by value: of the first such type, or of the first with a name
    /// that it contains and that contains it. `None` if there is none.
    #[must_use]
    pub fn contains_itself(&self) -> Option<(Kind, Name)> {
        let graph = &self.merged.graph;
        let meanings = &self.merged.meanings;
        let record = |index: u32| {
            let node = self.order[index as usize];
            graph.record(meanings.classes[node as usize])
        };
        let count = u32_len(self.order.len());
        let contains: Vec<bool> = (0..count).map(|index| record(index).0.contains()).collect();
        let mut starts = Vec::with_capacity(contains.len() + 1);
        starts.push(0);
        let mut targets: Vec<u32> = Vec::new();
        for (&node, &is_container) in self.order.iter().zip(&contains) {
            if is_container {
                meanings.for_each_target(graph, node, |target| {
                    // What is in a base is behind none of these, as it refers to nothing but the base.
                    let index = self.ids[target as usize].0.checked_sub(self.first.0);
                    targets.extend(index.filter(|&index| contains[index as usize]));
                });
            }
            starts.push(targets.len());
        }
        let targets_of = |index: u32| &targets[starts[index as usize]..starts[index as usize + 1]];
        let components = Components::new(contains.len(), 0..count, targets_of);
        let is_cycle = |nodes: &[u32]| match nodes {
            [only] => targets_of(*only).contains(only),
            _ => true,
        };
        let all = (0..components.len()).map(|number| components.nodes(number));
        let first = all
            .filter(|nodes| is_cycle(nodes))
            .min_by_key(|nodes| nodes.iter().min())?;
        let has_name = |index: &u32| record(*index).1[0] != 0;
        let named = first.iter().filter(|index| has_name(index)).min();
        let (kind, record) = record(*named.or_else(|| first.iter().min())?);
        Some((kind, Name(record[0])))
    }
}

#[cfg(test)]
mod tests {
    use crate::dedup::tests::fragment;
    use crate::dedup::{Fragment, Merger, Name};
    use crate::kind::Kind;

    #[track_caller]
    fn check(build: impl FnOnce(&mut Fragment), expect: Option<(Kind, u32)>) {
        let fragment = fragment(build);
        let merger = Merger::new();
        let mut worker = merger.worker();
        worker.add(0, &fragment);
        let gathered = worker.finish();
        let merged = merger.finish(vec![gathered], &|_, into| into.clone_from(&fragment));
        let found = merged.number(&[]).contains_itself();
        assert_eq!(found, expect.map(|(kind, name)| (kind, Name(name))));
    }

    #[test]
    fn only_what_is_contained_by_value_counts() {
        check(
            |f| {
                let structure = f.structure(1, &[0]);
                let pointer = f.ptr(structure);
                let array = f.array(pointer, 3);
                f.set(structure, 4, array);
            },
            None,
        );
        check(
            |f| {
                let structure = f.structure(1, &[0]);
                let typedef = f.typedef(2, structure);
                let array = f.array(typedef, 3);
                f.set(structure, 4, array);
            },
            Some((Kind::Struct, 1)),
        );
    }

    #[test]
    fn the_first_with_a_name_is_told() {
        check(
            |f| {
                let int = f.int(9);
                f.structure(8, &[int]);
                let array = f.array(0, 2);
                let structure = f.structure(0, &[int, array]);
                let typedef = f.typedef(3, structure);
                f.set(array, 3, typedef);
            },
            Some((Kind::Typedef, 3)),
        );
    }

    #[test]
    fn a_type_may_contain_itself_at_once() {
        check(
            |f| {
                let array = f.array(0, 1);
                f.set(array, 3, array);
            },
            Some((Kind::Array, 0)),
        );
    }
}
