//! Homonyms: what each reference by name really meant, where a name has several definitions.
//!
//! Problem: keys take a reference to `struct slot` as just that. If two units define `struct slot` differently, then
//! types that reach one of them, however far away, may be different types with one key.
//!
//! Example: unit 1 has `struct slot { int a; }` and `struct bus { struct slot *s; }`; unit 2 has
//! `struct slot { long b; }` and the same `struct bus`; unit 3 knows `struct slot` only as a forward declaration.
//! There is one class for `struct bus`, and two types; what unit 3 means by it cannot be known.
//!
//! Method:
//! 1. [`super::definitions`]: a *homonym* is a label with more than one definition. [`super::reach`]: a class is
//!    *affected* if a path of references leads from it to one, by any of the definitions on its way.
//! 2. [`super::scan`]: in a unit of C a name has one meaning, so what the unit takes each homonym for (its
//!    *environment*) decides what all its affected types mean. A forward declaration leaves the environment open there.
//!    [`super::follow`]: a fragment in which one name has two meanings (local structures of two functions, namespaces,
//!    BTF that is merged already, several modules with their kernel) is read again, and each of its affected types is
//!    followed reference by reference.
//! 3. [`super::division`]: each affected class is divided by what the environments in which it occurs say about the
//!    homonyms that it reaches. What only one value is known of divides nothing: open places take it.
//! 4. [`super::targets`]: what a node's references lead to follows from its environment. It never says less than
//!    the environments of the occurrences that became the node: that makes it sound.
//! 5. [`super::bisimilar`]: what is the same after all is one type again.
//!
//! Classes, the definitions of a name and homonyms are in the order of positions, so that nothing here depends on threads.
//!
//! Cost: linear in the fragments' types; for the affected classes, edges · log classes, and edges and environments times
//! the words of a set. Lists of environments can make it the square of that, and names that turn out to have one
//! meaning only at the end repeat step 5, so both are counted: see [`super::environment::Limits`].
//! Linux 7.2 with its Rust units (700 homonyms, 21,500 affected classes, 2,543 fragments) takes about 0.2 s on one core;
//! its C units alone, with some twenty homonyms, take about 0.02 s.

use super::announced;
use super::bisimilar;
use super::classes::{ClassId, NOWHERE, Position, WEAK};
use super::definitions::Definitions;
use super::division::Division;
use super::environment::Limits;
use super::follow::Place;
use super::fragment::{Fragment, FragmentIndex, u32_len};
use super::graph::Graph;
use super::reach::Reach;
use super::scan::{Homonyms, Scan};
use super::targets::Targets;

/// The number of a type of the output before it has an id: classes come first, by their number, then further meanings.
pub(crate) type NodeId = u32;

/// Gives back a fragment that was added before.
pub type Reload<'a> = &'a (dyn Fn(FragmentIndex, &mut Fragment) + Sync);

/// What every class means in every fragment.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    /// The class of each node.
    pub(crate) classes: Vec<ClassId>,
    /// The least position of each node.
    pub(crate) positions: Vec<Position>,
    /// For each node, the node that is written for it: itself, or one that is bisimilar.
    pub(crate) same_as: Vec<NodeId>,
    /// The node that each class is taken for where nothing else is said; a forward declaration's is its definition's.
    pub(super) plain: Vec<NodeId>,
    /// The targets of nodes of affected classes, in the order of their record's type words, without `void`.
    pub(super) targets: Vec<NodeId>,
    /// Where in `targets` those of each node begin; `PLAIN` if they are the class's own.
    target_starts: Vec<u32>,
    places: Option<Places>,
}

/// Says that the targets of a node are those of its class.
const PLAIN: u32 = u32::MAX;

/// Where each type of each fragment went.
#[derive(Debug)]
struct Places {
    reach: Reach,
    scan: Scan,
    division: Division,
    /// The nodes of the types that stand alone.
    alone: Vec<NodeId>,
}

impl Meanings {
    fn new(graph: &Graph, definitions: &Definitions) -> Self {
        Self {
            classes: (0..u32_len(graph.len())).collect(),
            positions: graph.positions.clone(),
            same_as: (0..u32_len(graph.len())).collect(),
            plain: definitions.plain.clone(),
            targets: Vec::new(),
            target_starts: vec![PLAIN; graph.len()],
            places: None,
        }
    }

    /// Adds a node for a further meaning of `class`.
    pub(super) fn add_node(&mut self, class: ClassId) -> NodeId {
        let node = u32_len(self.classes.len());
        self.classes.push(class);
        self.positions.push(NOWHERE);
        self.same_as.push(node);
        self.target_starts.push(PLAIN);
        node
    }

    /// Says where in `targets` those of a node begin.
    pub(super) fn begin_targets(&mut self, node: NodeId, start: usize) {
        self.target_starts[node as usize] = u32_len(start);
    }

    /// The node of the `local`-th type (from 0) of a fragment.
    pub(crate) fn node(
        &self,
        graph: &Graph,
        fragment: FragmentIndex,
        local: u32,
    ) -> Option<NodeId> {
        let class = *graph.members(fragment).0.get(local as usize)?;
        let placed = || {
            let places = self.places.as_ref()?;
            if places.reach.set_of[class as usize] == 0 {
                return None;
            }
            match places.scan.place(&places.reach, fragment, local, class)? {
                Place::Alone(number) => places.alone.get(number as usize).copied(),
                Place::Environment(known) => places.division.node_of(class, known),
            }
        };
        let node = placed().unwrap_or(self.plain[class as usize]);
        Some(self.same_as[node as usize])
    }

    /// Calls `visit` with each target of a node, in order, `void` left out.
    pub(crate) fn for_each_target(
        &self,
        graph: &Graph,
        node: NodeId,
        mut visit: impl FnMut(NodeId),
    ) {
        self.for_each_reference(graph, node, |_, target| visit(target));
    }

    /// As `for_each_target`, with the index of the word in the record.
    #[inline]
    pub(super) fn for_each_reference(
        &self,
        graph: &Graph,
        node: NodeId,
        mut visit: impl FnMut(usize, NodeId),
    ) {
        self.for_each_own_reference(graph, node, |at, target| {
            visit(at, self.same_as[target as usize]);
        });
    }

    /// As `for_each_reference`, without regard to what is the same.
    #[inline]
    pub(super) fn for_each_own_reference(
        &self,
        graph: &Graph,
        node: NodeId,
        mut visit: impl FnMut(usize, NodeId),
    ) {
        let start = self.target_starts[node as usize];
        let mut targets = self.targets.get(start as usize..).unwrap_or(&[]).iter();
        graph.for_each_reference(self.classes[node as usize], |at, target| {
            let of_node = match start {
                PLAIN => self.plain[target as usize],
                _ => targets.next().copied().unwrap_or(target),
            };
            visit(at, of_node);
        });
    }
}

/// Finds out what every class means in every fragment.
pub(crate) fn resolve(graph: &Graph, limits: Limits, reload: Reload<'_>) -> Meanings {
    let definitions = Definitions::new(graph);
    let mut meanings = Meanings::new(graph, &definitions);
    if !definitions.homonyms.is_empty() {
        let mut reach = Reach::new(graph, &definitions, limits.definitions);
        let made =
            divide(graph, &definitions, &reach, limits, &mut meanings, reload).or_else(|| {
                // Environments are too many, so that every affected type is followed.
                reach.make_coarse();
                meanings = Meanings::new(graph, &definitions);
                divide(graph, &definitions, &reach, limits, &mut meanings, reload)
            });
        meanings.places = made.map(|(scan, division, alone)| Places {
            reach,
            scan,
            division,
            alone,
        });
    }
    place_forwards(graph, &definitions, &mut meanings);
    if graph.first_fragment > 0 {
        announced::make_twins(graph, &mut meanings);
    }
    meanings
}

/// Makes nodes of affected classes; the last is the node of each type that stands alone. `None` if environments are too many.
fn divide(
    graph: &Graph,
    definitions: &Definitions,
    reach: &Reach,
    limits: Limits,
    meanings: &mut Meanings,
    reload: Reload<'_>,
) -> Option<(Scan, Division, Vec<NodeId>)> {
    let homonyms = Homonyms::new(graph, definitions, reach);
    let mut scan = Scan::new(&homonyms, limits, reload);
    let mut division = Division::new(&homonyms, &mut scan, meanings);
    let mut targets = Targets::new(&homonyms, &mut scan, &mut division, meanings);
    targets.set_all();
    let alone = targets.alone;
    if scan.environments.are_too_many() {
        return None;
    }
    bisimilar::merge(graph, definitions, limits.merge_steps, meanings);
    Some((scan, division, alone))
}

/// A definition also stands where the first forward declaration that it completes stood, and so does the first forward
/// declaration of what is not defined. The others are written only where something refers to them, because several
/// definitions are possible. A base's stand where they stand.
fn place_forwards(graph: &Graph, definitions: &Definitions, meanings: &mut Meanings) {
    let all = definitions.all_forwards.iter();
    for forward in all.filter(|forward| !graph.is_in_base(forward.class)) {
        let class = forward.class as usize;
        let node = meanings.same_as[meanings.plain[class] as usize] as usize;
        let is_defined = forward.definition.is_some();
        if node != class && is_defined != definitions.is_forward(meanings.classes[node]) {
            meanings.positions[node] = meanings.positions[node].min(meanings.positions[class]);
        }
        if node != class || is_defined {
            meanings.positions[class] |= WEAK;
        }
    }
}
