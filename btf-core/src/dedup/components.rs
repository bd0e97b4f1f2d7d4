//! Components: which nodes of a graph lead to each other (strongly connected components), and in which order the
//! components follow each other.
//!
//! What holds of all that a node leads to is the same for the nodes of one component, and for a component it follows from
//! the components that it leads to. So it is worked out once for each component, in order, instead of being passed on
//! along edges until nothing changes any more, which takes the square of the graph's size for a chain.
//!
//! Method (Tarjan 1972), with a stack of its own in place of recursion: each node is numbered when it is met; a node from
//! which no open node with a lower number can be reached closes a component. Time and memory are linear.

use super::fragment::u32_len;

/// The nodes of a graph by component.
#[derive(Debug, Default)]
pub(super) struct Components {
    /// The nodes, those of one component side by side; no component leads to one behind it.
    nodes: Vec<u32>,
    /// Where in `nodes` each component ends.
    ends: Vec<u32>,
    /// For each node the number of its component.
    of: Vec<u32>,
}

/// Learns what components lead to while they are found, when what is asked of them is in the cache.
pub(super) trait Visitor {
    /// A node is met; where it is in what it has learnt of the nodes that have no component yet.
    fn open(&mut self) -> usize;

    /// A node that has no component yet leads to this component.
    fn lead(&mut self, component: usize);

    /// The next component has these nodes; what was learnt since the first was met is of them.
    fn close(&mut self, nodes: &[u32], mark: usize);
}

/// Who does not want to know.
impl Visitor for () {
    fn open(&mut self) -> usize {
        0
    }
    fn lead(&mut self, _: usize) {}
    fn close(&mut self, _: &[u32], _: usize) {}
}

/// The component of a node that was not met or has none yet.
const NONE: u32 = u32::MAX;

/// A node whose edges are being followed.
struct Open<'g> {
    node: u32,
    /// By which it was met, from 1.
    number: u32,
    /// What it leads to and has not been looked at.
    rest: std::slice::Iter<'g, u32>,
    /// What [`Visitor::open`] said.
    mark: usize,
}

impl Components {
    /// The components of the nodes, of `count`, that `roots` lead to; `targets` gives what a node leads to.
    pub(super) fn new<'g>(
        count: usize,
        roots: impl Iterator<Item = u32>,
        targets: impl Fn(u32) -> &'g [u32],
    ) -> Self {
        Self::visited(count, roots, targets, &mut ())
    }

    /// As [`Components::new`]; the visitor learns of each component that a node leads to before that of the node is closed.
    pub(super) fn visited<'g>(
        count: usize,
        roots: impl Iterator<Item = u32>,
        targets: impl Fn(u32) -> &'g [u32],
        visitor: &mut impl Visitor,
    ) -> Self {
        // Room that is not used takes no memory.
        let mut components = Self {
            nodes: Vec::with_capacity(count),
            ends: Vec::with_capacity(count),
            of: vec![NONE; count],
        };
        // For each node the number by which it was met, or a lower one of its component; 0 if it has not been met.
        let mut lowest = vec![0_u32; count];
        let mut met = 0;
        let mut open: Vec<Open<'_>> = Vec::with_capacity(count);
        // The nodes that were met and have no component yet.
        let mut waiting: Vec<u32> = Vec::with_capacity(count);
        for root in roots {
            let mut new = (lowest[root as usize] == 0).then_some(root);
            loop {
                if let Some(node) = new.take() {
                    met += 1;
                    lowest[node as usize] = met;
                    waiting.push(node);
                    open.push(Open {
                        node,
                        number: met,
                        rest: targets(node).iter(),
                        mark: visitor.open(),
                    });
                }
                let Some(top) = open.last_mut() else { break };
                let from = top.node as usize;
                if let Some(&target) = top.rest.next() {
                    let low = lowest[target as usize];
                    if low == 0 {
                        new = Some(target);
                        continue;
                    }
                    match components.of[target as usize] {
                        NONE => lowest[from] = lowest[from].min(low),
                        component => visitor.lead(component as usize),
                    }
                    continue;
                }
                let is_closed = lowest[from] == top.number;
                if is_closed {
                    let nodes = components.close(top.node, &mut waiting);
                    visitor.close(nodes, top.mark);
                }
                open.pop();
                if let Some(below) = open.last() {
                    if is_closed {
                        visitor.lead(components.len() - 1);
                        continue;
                    }
                    let low = lowest[from];
                    let below = &mut lowest[below.node as usize];
                    *below = low.min(*below);
                }
            }
        }
        components
    }

    /// Makes a component of `first` and all that wait behind it; its nodes.
    fn close(&mut self, first: u32, waiting: &mut Vec<u32>) -> &[u32] {
        let number = u32_len(self.ends.len());
        let start = self.nodes.len();
        while let Some(node) = waiting.pop() {
            self.of[node as usize] = number;
            self.nodes.push(node);
            if node == first {
                break;
            }
        }
        self.ends.push(u32_len(self.nodes.len()));
        &self.nodes[start..]
    }

    /// The number of components.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of the component of a node that a root leads to.
    pub(super) fn of(&self, node: u32) -> usize {
        self.of[node as usize] as usize
    }

    /// The nodes of a component.
    pub(super) fn nodes(&self, number: usize) -> &[u32] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.nodes[start as usize..self.ends[number] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::tests::Random;

    fn components(edges: &[Vec<u32>]) -> Components {
        let count = u32_len(edges.len());
        Components::new(edges.len(), 0..count, |node| &edges[node as usize])
    }

    /// Which nodes each leads to, itself included.
    fn closure(edges: &[Vec<u32>]) -> Vec<Vec<bool>> {
        let reach = |from: usize| {
            let mut met = vec![false; edges.len()];
            let mut stack = vec![from];
            while let Some(node) = stack.pop() {
                if !std::mem::replace(&mut met[node], true) {
                    stack.extend(edges[node].iter().map(|&target| target as usize));
                }
            }
            met
        };
        (0..edges.len()).map(reach).collect()
    }

    #[test]
    fn components_are_those_of_the_closure_and_in_order() {
        let mut random = Random(11);
        for round in 0..2000 {
            let count = 1 + round % 12;
            let mut edges = vec![Vec::new(); count as usize];
            for _ in 0..random.below(count * 3) {
                edges[random.below(count) as usize].push(random.below(count));
            }
            let (components, closure) = (components(&edges), closure(&edges));
            let of: Vec<usize> = (0..count).map(|node| components.of(node)).collect();
            for (a, from_a) in closure.iter().enumerate() {
                for (b, from_b) in closure.iter().enumerate() {
                    assert_eq!(of[a] == of[b], from_a[b] && from_b[a], "{edges:?}");
                    assert!(!from_a[b] || of[b] <= of[a], "{edges:?}");
                }
            }
            let mut nodes = 0;
            for number in 0..components.len() {
                let mut all = components.nodes(number).iter();
                assert!(all.all(|&node| of[node as usize] == number), "{edges:?}");
                nodes += components.nodes(number).len();
            }
            assert_eq!(nodes, edges.len());
        }
    }

    #[test]
    fn a_chain_of_a_million_is_no_recursion() {
        let edges: Vec<Vec<u32>> = (1..=1_000_000).map(|next| vec![next % 1_000_000]).collect();
        assert_eq!(components(&edges).len(), 1);
        let edges: Vec<Vec<u32>> = (1..=1_000_000)
            .map(|next| (next < 1_000_000).then_some(next).into_iter().collect())
            .collect();
        assert_eq!(components(&edges).len(), 1_000_000);
    }
}
