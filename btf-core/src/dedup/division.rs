//! Division: steps 3 to 5 of [`super::homonyms`], in which affected classes become one node per meaning.

use indexmap::{IndexMap, IndexSet};

use super::classes::{ClassId, FastMap, NOWHERE, Position, position};
use super::environment::{Bits, Environment, Meaning, complete};
use super::fragment::{Fragment, FragmentIndex, for_each_type_word};
use super::graph::Graph;
use super::homonyms::{Definitions, Meanings, NodeId, Reach, Reload};
use super::partition::{self, Edges};
use crate::wire::Info;

/// How one class is divided among nodes by environment.
#[derive(Debug, Default)]
struct Split {
    /// The definitions of the homonyms that divide the class; none if there is one node.
    by: Environment,
    /// The nodes, by what of `by` they mean.
    nodes: IndexMap<Environment, NodeId>,
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
    bits: Bits,
    /// For each class that defines a homonym, its bit plus 1.
    defines: Vec<u32>,
    /// All definitions of the homonyms of each set of `reach`.
    sets: Vec<Environment>,
    /// The environments that occur, each restricted to a set of homonyms that some class reaches.
    environments: Vec<Environment>,
    environment_numbers: FastMap<(u32, Environment), u32>,
    /// The least position of each class in each environment in which it occurs.
    occurrences: FastMap<(ClassId, u32), Position>,
    /// The types to be followed reference by reference: (fragment, local index, class).
    exact: Vec<(FragmentIndex, u32, ClassId)>,
    splits: FastMap<ClassId, Split>,
    /// What each node of an affected class takes the homonyms that it reaches for.
    node_environments: Vec<(NodeId, Environment)>,
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
        let mut counts = vec![0; definitions.homonyms.len()];
        for (label, &homonym) in &definitions.homonyms {
            counts[homonym as usize] = definitions.by_label[label].len();
        }
        let bits = Bits::new(counts.into_iter());
        let mut defines = vec![0; graph.len()];
        for (label, &homonym) in &definitions.homonyms {
            for (number, &class) in definitions.by_label[label].iter().enumerate() {
                defines[class as usize] = bits.of(homonym, number) + 1;
            }
        }
        let sets = reach.sets.iter().map(|set| bits.all_of(set)).collect();
        Self {
            graph,
            definitions,
            reach,
            meanings,
            bits,
            defines,
            sets,
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
                    SetState::Exact | SetState::Unknown => {
                        self.exact.push((fragment, local as u32, class))
                    }
                }
            }
        }
    }

    /// What a fragment takes each homonym for.
    fn environment(&self, fragment: FragmentIndex) -> Environment {
        let mut environment = self.bits.open();
        for &class in self.graph.members(fragment).0 {
            if let Some(bit) = self.defines[class as usize].checked_sub(1) {
                environment.add(bit);
            }
        }
        environment
    }

    /// Restricts a fragment's environment to a set of homonyms.
    fn set_state(
        &mut self,
        fragment: FragmentIndex,
        set: u32,
        environment: &Environment,
    ) -> SetState {
        if self.reach.is_coarse {
            return SetState::Exact;
        }
        let restricted = environment.restricted(&self.sets[set as usize]);
        if !self.bits.ambiguous(&restricted).is_empty() {
            return SetState::Exact;
        }
        let next = self.environments.len() as u32;
        let number = *self
            .environment_numbers
            .entry((set, restricted.clone()))
            .or_insert(next);
        if number == next {
            self.environments.push(restricted);
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
        let mut known = self.bits.open();
        for &(_, environment, _) in occurrences {
            known.join(&self.environments[environment as usize]);
        }
        let by = self.bits.ambiguous(&known);
        let mut split = Split {
            by: self.bits.all_of(&by),
            nodes: IndexMap::new(),
        };
        if by.is_empty() {
            // One meaning: the class itself is its node.
            let least = occurrences.iter().map(|&(_, _, position)| position).min();
            self.meanings.positions[class as usize] = least.unwrap_or(NOWHERE);
            self.node_environments.push((class, known));
            split.nodes.insert(Environment::default(), class);
            self.splits.insert(class, split);
            return;
        }
        let own = |environment: u32| self.environments[environment as usize].restricted(&split.by);
        let distinct: IndexSet<Environment> = occurrences
            .iter()
            .map(|&(_, environment, _)| own(environment))
            .collect();
        let distinct: Vec<Environment> = distinct.into_iter().collect();
        let completed = complete(&self.bits, &distinct);
        let meanings: IndexMap<Environment, Environment> =
            distinct.into_iter().zip(completed).collect();
        let all: Vec<(u32, &Environment, Position)> = occurrences
            .iter()
            .map(|&(_, environment, position)| {
                (environment, &meanings[&own(environment)], position)
            })
            .collect();
        for (environment, own, position) in all {
            let node = match split.nodes.get(own) {
                Some(&node) => node,
                None => {
                    let node = if split.nodes.is_empty() {
                        class
                    } else {
                        new_node(&mut self.meanings, class)
                    };
                    let mut environment = known.without(&split.by);
                    environment.join(own);
                    self.node_environments.push((node, environment));
                    split.nodes.insert(own.clone(), node);
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
                .insert(class, split.nodes.values().copied().collect());
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
            let by_environment = || {
                splits
                    .get(&class)
                    .map_or(Vec::new(), |split| split.nodes.values().copied().collect())
            };
            self.nodes_of
                .entry(class)
                .or_insert_with(by_environment)
                .push(node);
        }
    }

    /// The node of `class` for something that takes homonyms for what `environment` says, if that leaves one possibility.
    fn pick(&self, class: ClassId, environment: &Environment) -> Option<NodeId> {
        let Some(split) = self.splits.get(&class) else {
            // Not affected, or only met where it was followed exactly.
            return match self.nodes_of.get(&class).map(Vec::as_slice) {
                None => Some(class),
                Some(&[node]) => Some(node),
                Some(_) => None,
            };
        };
        if split.nodes.len() == 1 {
            return split.nodes.values().next().copied();
        }
        let own = environment.restricted(&split.by);
        if let Some(&node) = split.nodes.get(&own) {
            return Some(node);
        }
        split
            .nodes
            .get(own.completion(split.nodes.keys())?)
            .copied()
    }

    /// The node that a reference to `target` leads to, from something that takes homonyms for what `environment` says.
    fn lead(&self, target: ClassId, environment: &Environment) -> NodeId {
        let label = self.graph.labels[target as usize];
        let forward = if label == 0 {
            None
        } else {
            self.definitions.forwards.get(&label).copied()
        };
        let class = match self.definitions.homonym(label) {
            None => self.meanings.plain[target as usize],
            Some(homonym) => match self.bits.meaning(environment, homonym) {
                Meaning::Open | Meaning::Several => return forward.unwrap_or(target),
                Meaning::One(number) => self.definitions.by_label[&label][number],
            },
        };
        self.pick(class, environment).or(forward).unwrap_or(class)
    }

    /// Sets the targets of every node whose environment is known.
    fn set_targets(&mut self) {
        let mut all = Vec::with_capacity(self.node_environments.len());
        for (node, environment) in &self.node_environments {
            let class = self.meanings.classes[*node as usize];
            let mut targets = Vec::new();
            self.graph
                .for_each_target(class, |target| targets.push(self.lead(target, environment)));
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
                    targets.push(exact.unwrap_or_else(|| {
                        self.lead_exact(members[target as usize], &environment)
                    }));
                });
                let node = self.meanings.exact[&(fragment, local)];
                self.meanings
                    .targets
                    .insert(node, targets.into_boxed_slice());
            }
        }
    }

    /// As `lead`, from a fragment in which the target itself is known: a definition is not looked for by name.
    fn lead_exact(&self, target: ClassId, environment: &Environment) -> NodeId {
        if self.graph.is_forward(target) {
            return self.lead(target, environment);
        }
        self.pick(target, environment).unwrap_or(target)
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
