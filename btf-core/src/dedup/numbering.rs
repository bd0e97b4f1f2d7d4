//! Numbering: which types are written, under which id, in which order.

use std::ops::Range;

use super::LateTypes;
use super::classes::{ClassId, WEAK, local_id};
use super::fragment::{FragmentIndex, Name, for_each_type_word, u32_len};
use super::graph::{Graph, is_in_base};
use super::homonyms::{Meanings, NodeId};
use super::part::Part;
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::pieces::in_pieces;

/// How many types a thread looks at.
const PIECE: usize = if cfg!(test) { 4 } else { 1 << 15 };

/// A type of the output, before ids are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output(NodeId);

/// All fragments merged: each type of each fragment has become one type of the output.
#[derive(Debug)]
pub struct Merged {
    pub(super) graph: Graph,
    pub(super) meanings: Meanings,
    /// The id of the first type that is written.
    pub(super) first: TypeId,
    /// What was taken of a base that had not been indexed.
    pub(super) part: Option<Part>,
}

impl Merged {
    /// The first type of a base that had not been indexed which equals `id`; `void` for those that this merge could do without,
    /// and for all if the base was indexed: then [`Base::first_equal`](super::Base::first_equal) tells.
    #[must_use]
    pub fn first_equal_of_base(&self, id: TypeId) -> TypeId {
        let part = self.part.as_ref();
        part.map_or(TypeId::VOID, |part| part.first_equal(id))
    }

    /// The output type that the type `id` of a fragment has become; `None` for `void` or if there is no such type.
    #[must_use]
    pub fn output(&self, fragment: FragmentIndex, id: TypeId) -> Option<Output> {
        self.meanings
            .node(
                &self.graph,
                fragment + self.graph.first_fragment,
                id.0.checked_sub(1)?,
            )
            .map(Output)
    }

    /// The kind of an output type and its words, in which type ids mean nothing; see [`Merged::targets`].
    #[must_use]
    pub fn record(&self, output: Output) -> (Kind, &[u32]) {
        self.graph.record(self.meanings.classes[output.0 as usize])
    }

    /// The types that an output type refers to, in the order of its record's type words, `None` for `void`.
    ///
    /// Those of a type of a base that nothing equals are not known: all of them are `None`.
    pub fn targets(&self, output: Output, mut visit: impl FnMut(Option<Output>)) {
        let (kind, record) = self.record(output);
        let mut targets = Vec::new();
        self.meanings
            .for_each_target(&self.graph, output.0, |target| targets.push(target));
        let mut targets = targets.into_iter();
        for_each_type_word(kind, record.len(), |at| {
            visit(if record[at] == 0 {
                None
            } else {
                targets.next().map(Output)
            });
        });
    }

    /// Gives ids to all types that are not weak, and to weak ones that those or `needed` lead to.
    #[must_use]
    pub fn number(&self, needed: &[Output]) -> Numbering<'_> {
        let Meanings {
            positions, same_as, ..
        } = &self.meanings;
        let nodes = 0..u32_len(positions.len());
        let of_base = |node| self.base_id(node).unwrap_or(TypeId::VOID);
        let mut ids: Vec<TypeId> = nodes.clone().map(of_base).collect();
        let is_root = |&node: &NodeId| {
            let at = node as usize;
            positions[at] & WEAK == 0 && same_as[at] == node && ids[at].is_void()
        };
        // Classes are in the order of their positions, but for those that have got others.
        let is_in_place = |node: &NodeId| {
            let own = self.graph.positions.get(*node as usize);
            own == Some(&positions[*node as usize])
        };
        let (in_place, mut moved): (Vec<_>, Vec<_>) = nodes.filter(is_root).partition(is_in_place);
        let place = |node: NodeId| (positions[node as usize], node);
        moved.sort_unstable_by_key(|&node| place(node));
        let mut order: Vec<NodeId> = Vec::with_capacity(positions.len());
        let mut rest = &in_place[..];
        for node in moved {
            let before = rest.partition_point(|&other| place(other) < place(node));
            order.extend_from_slice(&rest[..before]);
            order.push(node);
            rest = &rest[before..];
        }
        order.extend_from_slice(rest);
        let weak = self.weak_targets(&order, needed);
        // What is weak stands behind all that is not.
        order.extend(weak);
        for (id, &node) in (self.first.0..).zip(&order) {
            ids[node as usize] = TypeId(id);
        }
        Numbering {
            merged: self,
            ids,
            order,
            first: self.first,
        }
    }

    /// The weak nodes that `roots` or `needed` lead to, in their order. What is not weak is among `roots`, or the base's, so
    /// that only weak nodes need to be followed.
    fn weak_targets(&self, roots: &[NodeId], needed: &[Output]) -> Vec<NodeId> {
        let positions = &self.meanings.positions;
        // Asked for all that is referred to.
        let is_weak: Vec<bool> = positions.iter().map(|p| p & WEAK != 0).collect();
        let is_weak = |node: NodeId| is_weak[node as usize];
        let first = |piece: Range<usize>| {
            let mut weak = Vec::new();
            for &root in &roots[piece] {
                self.meanings.for_each_target(&self.graph, root, |target| {
                    if is_weak(target) {
                        weak.push(target);
                    }
                });
            }
            weak
        };
        let found = in_pieces(0..roots.len(), PIECE, &first);
        let needed = needed.iter().map(|output| output.0);
        let mut is_wanted = vec![false; positions.len()];
        let mut weak = Vec::new();
        let mut stack = Vec::new();
        for start in found.into_iter().flatten().chain(needed) {
            stack.push(start);
            while let Some(node) = stack.pop() {
                if std::mem::replace(&mut is_wanted[node as usize], true) {
                    continue;
                }
                if is_weak(node) {
                    weak.push(node);
                }
                if self.base_id(node).is_none() {
                    self.meanings.for_each_target(&self.graph, node, |target| {
                        if is_weak(target) {
                            stack.push(target);
                        }
                    });
                }
            }
        }
        // Stable: what stands nowhere, as it was made only for a reference, stays in the order in which it was found.
        weak.sort_by_key(|&node| positions[node as usize]);
        weak
    }

    /// The type of the base that a node is.
    fn base_id(&self, node: NodeId) -> Option<TypeId> {
        let position = self.meanings.positions[node as usize];
        let index = (local_id(position) as usize).checked_sub(1)?;
        let ids = &self.graph.base_ids;
        ids.get(index).copied().filter(|_| is_in_base(position))
    }
}

/// The types that are written, in order.
#[derive(Debug)]
pub struct Numbering<'m> {
    pub(super) merged: &'m Merged,
    pub(super) ids: Vec<TypeId>,
    pub(super) order: Vec<NodeId>,
    pub(super) first: TypeId,
}

impl Numbering<'_> {
    /// The number of types that are written; those of a base are not among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Calls `visit` with the names of those of the types that are written after all, with repetitions, in the order of ids; without
    /// `types`, of all that are written.
    pub fn for_each_late_name(&self, types: Option<&LateTypes>, mut visit: impl FnMut(Name)) {
        let Merged {
            graph, meanings, ..
        } = self.merged;
        let is_late = |&class: &ClassId| types.is_none_or(|types| types.0[class as usize]);
        let late = |piece: Range<usize>| {
            let classes = self.order[piece].iter();
            let classes = classes.map(|&node| meanings.classes[node as usize]);
            classes.filter(is_late).collect::<Vec<_>>()
        };
        let late = in_pieces(0..self.order.len(), PIECE, &late);
        for class in late.into_iter().flatten() {
            graph.for_each_name(class, &mut visit);
        }
    }

    /// The id of the first type that is written.
    #[must_use]
    pub fn first_id(&self) -> TypeId {
        self.first
    }

    /// The id of an output type; `void` if it is not written.
    #[must_use]
    pub fn id(&self, output: Output) -> TypeId {
        self.ids[output.0 as usize]
    }

    /// How many words the records of some of the types have, by index from 0.
    ///
    /// # Panics
    /// If there are not as many types.
    #[must_use]
    pub fn words_of(&self, range: Range<usize>) -> usize {
        let Merged {
            graph, meanings, ..
        } = self.merged;
        let nodes = self.order[range].iter();
        nodes
            .map(|&node| graph.record(meanings.classes[node as usize]).1.len())
            .sum()
    }

    /// Calls `visit` with the record of each type, in the order of ids: type words hold ids, name words hold
    /// [`Name`](super::Name)s.
    pub fn for_each_record(&self, visit: impl FnMut(Kind, &mut [u32])) {
        self.for_each_record_of(0..self.len(), visit);
    }

    /// As [`Numbering::for_each_record`], for some of the types, by index from 0.
    ///
    /// # Panics
    /// If there are not as many types.
    pub fn for_each_record_of(&self, range: Range<usize>, mut visit: impl FnMut(Kind, &mut [u32])) {
        let mut buffer = Vec::new();
        let Merged {
            graph, meanings, ..
        } = self.merged;
        for &node in &self.order[range] {
            let (kind, record) = graph.record(meanings.classes[node as usize]);
            buffer.clear();
            buffer.extend_from_slice(record);
            meanings.for_each_reference(graph, node, |at, target| {
                buffer[at] = self.ids[target as usize].0;
            });
            visit(kind, &mut buffer);
        }
    }
}
