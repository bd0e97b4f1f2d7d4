//! Division: steps 3 to 5 of [`super::homonyms`], in which affected classes become one node per meaning.

use super::classes::{ClassId, FastMap, NOWHERE, Position, position};
use super::fragment::{Fragment, FragmentIndex, for_each_type_word};
use super::graph::Graph;
use super::homonyms::{Definitions, Meanings, NodeId, Reach, Reload};
use super::partition::{self, Edges};
use crate::wire::Info;

/// What a fragment takes a homonym for if it does not define it.
const OPEN: u32 = 0;

/// What a fragment takes a homonym for if it defines it more than once.
const SEVERAL: u32 = u32::MAX;

/// How one class is divided among nodes by environment.
#[derive(Debug, Default)]
struct Split {
    /// The homonyms that divide the class, in order; empty if there is one node.
    by: Vec<u32>,
    /// What each node takes the homonyms in `by` for, and the node.
    nodes: Vec<(Vec<u32>, NodeId)>,
}

/// What a set of homonyms is to the fragment that is being scanned.
#[derive(Clone, Copy)]
enum SetState {
    Unknown,
    /// One of the set has several meanings here.
    Exact,
    /// The number of the environment.
    Environment(u32),
}

/// The work of dividing classes.
pub(super) struct Division<'a> {
    graph: &'a Graph,
    definitions: &'a Definitions,
    reach: &'a Reach,
    meanings: Meanings,
    /// For each class that defines a homonym, its number in `numbers` plus 1.
    defines: Vec<u32>,
    /// Homonyms with the number, from 1, of one of their definitions.
    numbers: Vec<(u32, u32)>,
    /// What each environment takes the homonyms of its set for.
    environments: Vec<Vec<u32>>,
    environment_numbers: FastMap<(u32, Vec<u32>), u32>,
    /// The least position of each class in each environment in which it occurs.
    occurrences: FastMap<(ClassId, u32), Position>,
    /// The types to be followed reference by reference: (fragment, local index, class).
    exact: Vec<(FragmentIndex, u32, ClassId)>,
    splits: FastMap<ClassId, Split>,
    /// What each node of an affected class takes the homonyms that it reaches for.
    node_environments: Vec<(NodeId, Vec<u32>)>,
    /// The nodes of each class that has more than one, or that was followed exactly.
    nodes_of: FastMap<ClassId, Vec<NodeId>>,
}

impl<'a> Division<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        definitions: &'a Definitions,
        reach: &'a Reach,
        meanings: Meanings,
    ) -> Self {
        let mut defines = vec![0; graph.len()];
        let mut numbers = Vec::new();
        for class in 0..graph.len() {
            let label = graph.labels[class];
            let Some(homonym) = definitions.homonym(label) else {
                continue;
            };
            if let Some(number) = definitions.by_label[&label]
                .iter()
                .position(|&full| full as usize == class)
            {
                numbers.push((homonym, number as u32 + 1));
                defines[class] = numbers.len() as u32;
            }
        }
        Self {
            graph,
            definitions,
            reach,
            meanings,
            defines,
            numbers,
            environments: Vec::new(),
            environment_numbers: FastMap::default(),
            occurrences: FastMap::default(),
            exact: Vec::new(),
            splits: FastMap::default(),
            node_environments: Vec::new(),
            nodes_of: FastMap::default(),
        }
    }

    pub(super) fn run(mut self, reload: Reload<'_>) -> Meanings {
        self.scan_fragments();
        self.divide_classes();
        self.add_exact_nodes();
        self.set_targets();
        self.set_exact_targets(reload);
        self.merge_bisimilar();
        self.meanings
    }

    /// Finds the environment of each fragment, and in which environments each affected class occurs.
    fn scan_fragments(&mut self) {
        let mut sets = vec![SetState::Unknown; self.reach.sets.len()];
        for fragment in 0..self.graph.fragment_count() {
            let environment = self.environment(fragment);
            sets.fill(SetState::Unknown);
            let (members, first_weak) = self.graph.members(fragment);
            for (local, &class) in members.iter().enumerate() {
                let set = self.reach.set_of[class as usize];
                if set == 0 {
                    continue;
                }
                if let SetState::Unknown = sets[set as usize] {
                    sets[set as usize] = self.set_state(fragment, set, &environment);
                }
                match sets[set as usize] {
                    SetState::Environment(number) => {
                        let position = position(fragment, local, local >= first_weak);
                        let least = self.occurrences.entry((class, number)).or_insert(position);
                        *least = position.min(*least);
                    }
                    _ => self.exact.push((fragment, local as u32, class)),
                }
            }
        }
    }

    /// What a fragment takes each homonym for.
    fn environment(&self, fragment: FragmentIndex) -> Vec<u32> {
        let mut environment = vec![OPEN; self.definitions.homonyms.len()];
        for &class in self.graph.members(fragment).0 {
            let defines = self.defines[class as usize];
            if defines != 0 {
                let (homonym, number) = self.numbers[defines as usize - 1];
                let known = &mut environment[homonym as usize];
                *known = if *known == OPEN || *known == number {
                    number
                } else {
                    SEVERAL
                };
            }
        }
        environment
    }

    /// Restricts a fragment's environment to a set of homonyms.
    fn set_state(&mut self, fragment: FragmentIndex, set: u32, environment: &[u32]) -> SetState {
        if self.reach.is_coarse {
            return SetState::Exact;
        }
        let values: Vec<u32> = self.reach.sets[set as usize]
            .iter()
            .map(|&homonym| environment[homonym as usize])
            .collect();
        if values.contains(&SEVERAL) {
            return SetState::Exact;
        }
        let next = self.environments.len() as u32;
        let number = *self
            .environment_numbers
            .entry((set, values.clone()))
            .or_insert(next);
        if number == next {
            self.environments.push(values);
        }
        self.meanings.environments.insert((fragment, set), number);
        SetState::Environment(number)
    }

    /// Makes one node of each class for each meaning that its environments give it.
    fn divide_classes(&mut self) {
        for (class, &set) in (0_u32..).zip(&self.reach.set_of) {
            if set != 0 {
                self.meanings.positions[class as usize] = NOWHERE;
            }
        }
        let mut occurrences: Vec<(ClassId, u32, Position)> = self
            .occurrences
            .drain()
            .map(|((class, environment), position)| (class, environment, position))
            .collect();
        occurrences.sort_unstable();
        for of_class in occurrences.chunk_by(|a, b| a.0 == b.0) {
            self.divide_class(of_class);
        }
    }

    fn divide_class(&mut self, occurrences: &[(ClassId, u32, Position)]) {
        let class = occurrences[0].0;
        let set = &self.reach.sets[self.reach.set_of[class as usize] as usize];
        let values = |environment: u32| &self.environments[environment as usize];
        let mut known = vec![OPEN; set.len()];
        let mut divides = vec![false; set.len()];
        for &(_, environment, _) in occurrences {
            for (index, &value) in values(environment).iter().enumerate() {
                if value != OPEN {
                    divides[index] |= known[index] != OPEN && known[index] != value;
                    known[index] = value;
                }
            }
        }
        let dividing: Vec<usize> = (0..set.len()).filter(|&index| divides[index]).collect();
        let by = dividing.iter().map(|&index| set[index]).collect();
        let vector = |environment: u32| {
            dividing
                .iter()
                .map(|&index| values(environment)[index])
                .collect::<Vec<_>>()
        };
        let mut vectors: Vec<Vec<u32>> = occurrences
            .iter()
            .map(|&(_, environment, _)| vector(environment))
            .collect();
        vectors.sort();
        vectors.dedup();
        let mut split = Split {
            by,
            nodes: Vec::new(),
        };
        for &(_, environment, position) in occurrences {
            let own = vector(environment);
            let vector = completed(&own, &vectors).unwrap_or(&own);
            let node = match split.nodes.iter().find(|(other, _)| other == vector) {
                Some(&(_, node)) => node,
                None => {
                    let node = if split.nodes.is_empty() {
                        class
                    } else {
                        new_node(&mut self.meanings, class)
                    };
                    for (&index, &value) in dividing.iter().zip(vector) {
                        known[index] = value;
                    }
                    self.node_environments.push((node, known.clone()));
                    split.nodes.push((vector.clone(), node));
                    node
                }
            };
            let least = &mut self.meanings.positions[node as usize];
            *least = position.min(*least);
            self.meanings
                .by_environment
                .insert((class, environment), node);
        }
        if split.nodes.len() > 1 {
            self.nodes_of
                .insert(class, split.nodes.iter().map(|&(_, node)| node).collect());
        }
        self.splits.insert(class, split);
    }

    /// Makes a node of each type that is followed reference by reference.
    fn add_exact_nodes(&mut self) {
        for &(fragment, local, class) in &self.exact {
            let node = new_node(&mut self.meanings, class);
            let is_weak = local as usize >= self.graph.members(fragment).1;
            self.meanings.positions[node as usize] = position(fragment, local as usize, is_weak);
            self.meanings.exact.insert((fragment, local), node);
            let splits = &self.splits;
            let in_environments = || {
                splits
                    .get(&class)
                    .map_or(Vec::new(), |split| vec![split.nodes[0].1])
            };
            self.nodes_of
                .entry(class)
                .or_insert_with(in_environments)
                .push(node);
        }
    }

    /// The node of `class` for something that takes homonyms for what `takes` says, if that leaves one possibility.
    fn pick(&self, class: ClassId, takes: impl Fn(u32) -> u32) -> Option<NodeId> {
        let Some(split) = self.splits.get(&class) else {
            // Not affected, or only met where it was followed exactly.
            return match self.nodes_of.get(&class).map(Vec::as_slice) {
                None => Some(class),
                Some(&[node]) => Some(node),
                Some(_) => None,
            };
        };
        if let [(_, node)] = split.nodes[..] {
            return Some(node);
        }
        let own: Vec<u32> = split.by.iter().map(|&homonym| takes(homonym)).collect();
        let vectors = split.nodes.iter().map(|(vector, _)| vector);
        let vector = unique_completion(&own, vectors)?;
        split
            .nodes
            .iter()
            .find(|(other, _)| other == vector)
            .map(|&(_, node)| node)
    }

    /// The node that a reference to `target` leads to, from something that takes homonyms for what `takes` says.
    fn lead(&self, target: ClassId, takes: impl Fn(u32) -> u32) -> NodeId {
        let label = self.graph.labels[target as usize];
        let forward = if label == 0 {
            None
        } else {
            self.definitions.forwards.get(&label).copied()
        };
        let class = match self.definitions.homonym(label) {
            None => self.meanings.plain[target as usize],
            Some(homonym) => match takes(homonym) {
                OPEN => return forward.unwrap_or(target),
                number => self.definitions.by_label[&label][number as usize - 1],
            },
        };
        self.pick(class, takes).or(forward).unwrap_or(class)
    }

    /// Sets the targets of every node whose environment is known.
    fn set_targets(&mut self) {
        let mut all = Vec::with_capacity(self.node_environments.len());
        for (node, environment) in &self.node_environments {
            let class = self.meanings.classes[*node as usize];
            let set = &self.reach.sets[self.reach.set_of[class as usize] as usize];
            let takes = |homonym: u32| {
                set.binary_search(&homonym)
                    .map_or(OPEN, |index| environment[index])
            };
            let mut targets = Vec::new();
            self.graph
                .for_each_target(class, |target| targets.push(self.lead(target, takes)));
            all.push((*node, targets.into_boxed_slice()));
        }
        self.meanings.targets.extend(all);
    }

    /// Sets the targets of the nodes that are followed reference by reference.
    fn set_exact_targets(&mut self, reload: Reload<'_>) {
        let exact = std::mem::take(&mut self.exact);
        let mut content = Fragment::default();
        for of_fragment in exact.chunk_by(|a, b| a.0 == b.0) {
            let fragment = of_fragment[0].0;
            content.clear();
            reload(fragment, &mut content);
            let environment = self.environment(fragment);
            let takes = |homonym: u32| match environment[homonym as usize] {
                SEVERAL => OPEN,
                number => number,
            };
            let members = self.graph.members(fragment).0;
            for &(_, local, _) in of_fragment {
                let Some(&start) = content.starts.get(local as usize) else {
                    continue;
                };
                let record = &content.words[start as usize..];
                let info = Info(record[1]);
                let Some(kind) = info.kind() else { continue };
                let mut targets = Vec::new();
                for_each_type_word(kind, kind.record_words(info.vlen()), |at| {
                    let Some(target) = record[at].checked_sub(1) else {
                        return;
                    };
                    let exact = self.meanings.exact.get(&(fragment, target)).copied();
                    targets.push(
                        exact.unwrap_or_else(|| self.lead_exact(members[target as usize], takes)),
                    );
                });
                let node = self.meanings.exact[&(fragment, local)];
                self.meanings
                    .targets
                    .insert(node, targets.into_boxed_slice());
            }
        }
    }

    /// As `lead`, from a fragment in which the target itself is known: a definition is not looked for by name.
    fn lead_exact(&self, target: ClassId, takes: impl Fn(u32) -> u32) -> NodeId {
        if self.graph.is_forward(target) {
            return self.lead(target, takes);
        }
        self.pick(target, takes).unwrap_or(target)
    }

    /// Finds the nodes of one class that no reference tells apart, and lets the first of them stand for all.
    fn merge_bisimilar(&mut self) {
        let mut nodes: Vec<NodeId> = self.nodes_of.values().flatten().copied().collect();
        nodes.sort_unstable();
        let index_of: FastMap<NodeId, u32> = nodes.iter().copied().zip(0..).collect();
        let mut edges = Edges {
            starts: vec![0],
            targets: Vec::new(),
        };
        let mut groups: FastMap<Vec<u64>, u32> = FastMap::default();
        let mut group = Vec::with_capacity(nodes.len());
        for &node in &nodes {
            let mut signature = vec![u64::from(self.meanings.classes[node as usize])];
            for &target in self
                .meanings
                .targets
                .get(&node)
                .map_or(&[][..], |targets| targets)
            {
                if let Some(&index) = index_of.get(&target) {
                    signature.push(1 << 32 | u64::from(self.meanings.classes[target as usize]));
                    edges.targets.push(index);
                } else {
                    signature.push(u64::from(target));
                    edges.targets.push(Edges::FIXED);
                }
            }
            edges.starts.push(edges.targets.len() as u32);
            let next = groups.len() as u32;
            group.push(*groups.entry(signature).or_insert(next));
        }
        partition::refine(&mut group, &edges);
        let mut order: Vec<(u32, Position, NodeId)> = nodes
            .iter()
            .zip(&group)
            .map(|(&node, &group)| (group, self.meanings.positions[node as usize], node))
            .collect();
        order.sort_unstable();
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            for &(_, _, node) in same {
                self.meanings.same_as[node as usize] = same[0].2;
            }
        }
    }
}

/// Adds a node for a further meaning of `class`.
fn new_node(meanings: &mut Meanings, class: ClassId) -> NodeId {
    let node = meanings.classes.len() as NodeId;
    meanings.classes.push(class);
    meanings.positions.push(NOWHERE);
    meanings.same_as.push(node);
    node
}

/// Whether `other` says all that `own` says.
fn agrees(own: &[u32], other: &[u32]) -> bool {
    own.iter()
        .zip(other)
        .all(|(own, other)| *own == OPEN || own == other)
}

/// The one vector that leaves no more open than `own` and that everything else which agrees with `own` agrees with.
fn unique_completion<'v>(
    own: &[u32],
    vectors: impl Iterator<Item = &'v Vec<u32>> + Clone,
) -> Option<&'v Vec<u32>> {
    let candidates = vectors.filter(|vector| agrees(own, vector));
    let fullest = candidates
        .clone()
        .max_by_key(|vector| vector.iter().filter(|value| **value != OPEN).count())?;
    candidates
        .clone()
        .all(|vector| agrees(vector, fullest))
        .then_some(fullest)
}

/// What `own` becomes when open places are filled from the other vectors of its class, if there is one way to do it.
fn completed<'v>(own: &[u32], vectors: &'v [Vec<u32>]) -> Option<&'v Vec<u32>> {
    unique_completion(own, vectors.iter())
}
