//! Partition refinement: the coarsest partition in which nodes of one group have the same groups behind their edges.
//!
//! Problem: several nodes have equal records, and differ, if at all, in what their references lead to. Two of them are
//! the same type exactly if no path of references tells them apart (bisimulation).
//!
//! Method (Hopcroft 1971): start with the given groups; take a group off the list and split every group by which of its
//! nodes' edges, by position, lead into it; of the parts of a group all but the largest go on the list. Each edge is
//! looked at once per halving of the group it leads to: O(edges · log nodes), whatever the input. The result is unique,
//! so it does not depend on the order in which groups are taken.

use super::fragment::u32_len;
use super::grouped::Grouped;

/// The edges of a graph's nodes, flat: those of node `n` are `targets[starts[n]..starts[n + 1]]`.
///
/// A target of [`Edges::FIXED`] leads nowhere that matters.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    pub(crate) starts: Vec<u32>,
    pub(crate) targets: Vec<u32>,
}

impl Edges {
    /// An edge that has been accounted for in the initial groups.
    pub(crate) const FIXED: u32 = u32::MAX;

    /// The edges that lead to each of so many nodes, as (source, position among the source's edges).
    fn sources(&self, nodes: usize) -> Grouped<(u32, u32)> {
        let of_node = |(source, ends): (u32, &[u32])| {
            let targets = &self.targets[ends[0] as usize..ends[1] as usize];
            let edges = (0_u32..).zip(targets).filter(|(_, t)| **t != Self::FIXED);
            edges.map(move |(position, &target)| (target as usize, (source, position)))
        };
        let all = (0_u32..).zip(self.starts.windows(2)).flat_map(of_node);
        Grouped::new(nodes, all)
    }
}

/// Refines `group`, which holds a group number from 0 for each node, until it is stable.
pub(crate) fn refine(group: &mut [u32], edges: &Edges) {
    let mut refinement = Refinement::new(group, edges);
    while let Some(splitter) = refinement.pending.pop() {
        refinement.split_by(splitter, group);
    }
}

struct Refinement {
    members: Vec<Vec<u32>>,
    /// The edges that lead to each node, as (source, position among the source's edges).
    sources: Grouped<(u32, u32)>,
    /// For each node, its index among the members of its group.
    places: Vec<u32>,
    /// The groups by which the others have not been split yet.
    pending: Vec<u32>,
}

impl Refinement {
    fn new(group: &[u32], edges: &Edges) -> Self {
        let groups = group.iter().max().map_or(0, |&max| max as usize + 1);
        let mut members = vec![Vec::new(); groups];
        let mut places = Vec::with_capacity(group.len());
        for (node, &number) in (0_u32..).zip(group) {
            places.push(u32_len(members[number as usize].len()));
            members[number as usize].push(node);
        }
        Self {
            members,
            sources: edges.sources(group.len()),
            places,
            pending: (0..u32_len(groups)).collect(),
        }
    }

    /// Splits every group by the positions at which its nodes' edges lead into `splitter`.
    fn split_by(&mut self, splitter: u32, group: &mut [u32]) {
        let mut hits: Vec<(u32, u32, u32)> = Vec::new();
        for &node in &self.members[splitter as usize] {
            for &(source, position) in self.sources.of(node) {
                let number = group[source as usize];
                if self.members[number as usize].len() > 1 {
                    hits.push((number, source, position));
                }
            }
        }
        hits.sort_unstable();
        for of_group in hits.chunk_by(|a, b| a.0 == b.0) {
            let number = of_group[0].0;
            let mut nodes: Vec<&[(u32, u32, u32)]> = of_group.chunk_by(|a, b| a.1 == b.1).collect();
            let positions =
                |hits: &[(u32, u32, u32)]| hits.iter().map(|hit| hit.2).collect::<Vec<_>>();
            nodes.sort_by_cached_key(|hits| positions(hits));
            let mut parts: Vec<Vec<u32>> = nodes
                .chunk_by(|a, b| a.iter().map(|hit| hit.2).eq(b.iter().map(|hit| hit.2)))
                .map(|part| part.iter().map(|hits| hits[0].1).collect())
                .collect();
            self.separate(number, &mut parts, group);
        }
    }

    /// Makes groups of `parts`, whose nodes leave the group `number`; the largest part, or the rest, keeps the number.
    fn separate(&mut self, number: u32, parts: &mut Vec<Vec<u32>>, group: &mut [u32]) {
        let leaving: usize = parts.iter().map(Vec::len).sum();
        let rest = self.members[number as usize].len() - leaving;
        if rest == 0 && parts.len() == 1 {
            return;
        }
        let largest = parts
            .iter()
            .enumerate()
            .max_by_key(|(_, part)| part.len())
            .map_or(0, |(index, _)| index);
        if rest < parts[largest].len() {
            // The rest is the smaller one here, so that looking for its nodes costs no more than the parts did.
            let mut hit: Vec<u32> = parts.concat();
            hit.sort_unstable();
            let others = &self.members[number as usize];
            let others: Vec<u32> = others
                .iter()
                .copied()
                .filter(|node| hit.binary_search(node).is_err())
                .collect();
            parts.swap_remove(largest);
            if !others.is_empty() {
                parts.push(others);
            }
        }
        for part in parts.drain(..) {
            self.move_out(number, part, group);
        }
    }

    /// Makes `nodes`, which are in the group `from`, a group of their own.
    fn move_out(&mut self, from: u32, nodes: Vec<u32>, group: &mut [u32]) {
        let new = u32_len(self.members.len());
        for (index, &node) in (0_u32..).zip(&nodes) {
            let old = &mut self.members[from as usize];
            let place = self.places[node as usize] as usize;
            old.swap_remove(place);
            if let Some(&moved) = old.get(place) {
                self.places[moved as usize] = u32_len(place);
            }
            self.places[node as usize] = index;
            group[node as usize] = new;
        }
        self.members.push(nodes);
        self.pending.push(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(initial: &[u32], edges: &[&[u32]], expect: &[u32]) {
        let mut flat = Edges {
            starts: vec![0],
            targets: Vec::new(),
        };
        for of_node in edges {
            flat.targets.extend_from_slice(of_node);
            flat.starts.push(u32_len(flat.targets.len()));
        }
        let mut group = initial.to_vec();
        refine(&mut group, &flat);
        // Only which nodes are together is defined, not the numbers.
        let canonical = |groups: &[u32]| -> Vec<usize> {
            groups
                .iter()
                .map(|g| groups.iter().position(|other| other == g).unwrap())
                .collect()
        };
        assert_eq!(canonical(&group), canonical(expect));
    }

    #[test]
    fn equal_cycles_of_different_length_stay_together() {
        check(&[0, 0, 0], &[&[0], &[2], &[1]], &[0, 0, 0]);
    }

    #[test]
    fn a_difference_travels_back_along_edges() {
        // 4 and 5 differ; 2 and 3 lead to them, 0 and 1 to those.
        check(
            &[0, 0, 1, 1, 2, 3],
            &[&[2], &[3], &[4], &[5], &[], &[]],
            &[0, 1, 2, 3, 4, 5],
        );
    }

    #[test]
    fn the_position_of_an_edge_counts() {
        check(&[0, 0, 1, 2], &[&[2, 3], &[3, 2], &[], &[]], &[0, 1, 2, 3]);
        check(&[0, 0, 1, 2], &[&[2, 3], &[2, 3], &[], &[]], &[0, 0, 2, 3]);
    }

    #[test]
    fn a_long_chain_is_split_in_time() {
        let count = 100_000_u32;
        let mut flat = Edges {
            starts: vec![0],
            targets: Vec::new(),
        };
        for node in 0..count {
            flat.targets.push(if node + 1 < count {
                node + 1
            } else {
                Edges::FIXED
            });
            flat.starts.push(u32_len(flat.targets.len()));
        }
        let mut group = vec![0; count as usize];
        group[count as usize - 1] = 1;
        refine(&mut group, &flat);
        group.sort_unstable();
        group.dedup();
        assert_eq!(group.len(), count as usize);
    }
}
