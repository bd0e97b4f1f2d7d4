//! Targets: what each reference of an affected class leads to.

use super::classes::{ClassId, FastMap};
use super::division::Division;
use super::environment::{Environment, EnvironmentId, Meaning};
use super::follow::{Alone, Place, Target};
use super::fragment::FragmentIndex;
use super::homonyms::{Meanings, NodeId};
use super::scan::{Homonyms, Scan};

/// What is needed to tell where references lead.
pub(super) struct Targets<'a> {
    pub(super) homonyms: &'a Homonyms<'a>,
    pub(super) scan: &'a mut Scan,
    pub(super) division: &'a mut Division,
    pub(super) meanings: &'a mut Meanings,
    /// The nodes of the types that stand alone.
    pub(super) alone: Vec<NodeId>,
    /// For each class that never occurs in an environment the number of its nodes that stand alone.
    alone_of: FastMap<ClassId, u32>,
    /// Whether a reference to a class leads to the node with the number of the class, whatever it comes from.
    is_plain: Vec<bool>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(
        homonyms: &'a Homonyms<'a>,
        scan: &'a mut Scan,
        division: &'a mut Division,
        meanings: &'a mut Meanings,
    ) -> Self {
        let Homonyms {
            definitions, reach, ..
        } = homonyms;
        let is_plain = |(class, &set): (ClassId, &u32)| {
            definitions.homonym(class).is_none()
                && definitions.plain[class as usize] == class
                && (set == 0 || division.has_one_node(class))
        };
        let is_plain = (0..).zip(&reach.set_of).map(is_plain).collect();
        let mut targets = Self {
            homonyms,
            scan,
            division,
            meanings,
            alone: Vec::new(),
            alone_of: FastMap::default(),
            is_plain,
        };
        targets.add_alone();
        targets
    }

    /// Makes a node of each type that stands alone.
    fn add_alone(&mut self) {
        for alone in &self.scan.follower.alone {
            let mut node = alone.class;
            if self.division.has(alone.class) {
                node = self.meanings.add_node(alone.class);
            } else {
                let before = self.alone_of.entry(alone.class).or_insert(0);
                if *before != 0 {
                    node = self.meanings.add_node(alone.class);
                }
                *before += 1;
            }
            self.meanings.positions[node as usize] = alone.position;
            self.alone.push(node);
        }
    }

    /// Sets the targets of all nodes of affected classes.
    pub(super) fn set_all(&mut self) {
        let mut next = 0;
        // Looking for a target may make a node, whose targets are set in turn.
        while let Some(&(node, environment)) = self.division.nodes.get(next) {
            if self.scan.environments.are_too_many() {
                return;
            }
            self.set(node, environment);
            next += 1;
        }
        let all = std::mem::take(&mut self.scan.follower.alone);
        let nodes = self.alone.clone();
        let mut at = 0;
        for of_fragment in all.chunk_by(|a, b| a.fragment == b.fragment) {
            let environment = self.homonyms.environment(of_fragment[0].fragment);
            for alone in of_fragment {
                if self.scan.environments.are_too_many() {
                    return;
                }
                self.set_alone(alone, nodes[at], &environment);
                at += 1;
            }
        }
    }

    /// Sets the targets of a node whose environment is known.
    fn set(&mut self, node: NodeId, environment: EnvironmentId) {
        let graph = self.homonyms.graph;
        let class = self.meanings.classes[node as usize];
        let mut targets = std::mem::take(&mut self.meanings.targets);
        self.meanings.begin_targets(node, targets.len());
        graph.for_each_target(class, |target| {
            // Nearly all are.
            targets.push(if self.is_plain[target as usize] {
                target
            } else {
                self.lead(target, environment)
            });
        });
        self.meanings.targets = targets;
    }

    /// The node that a reference to `target` leads to, from something that takes homonyms for what `environment` says.
    fn lead(&mut self, target: ClassId, environment: EnvironmentId) -> NodeId {
        let Homonyms {
            graph,
            definitions,
            bits,
            reach,
            ..
        } = self.homonyms;
        let class = match definitions.homonym(target) {
            None => definitions.plain[target as usize],
            Some(homonym) => {
                match bits.meaning(self.scan.environments.get(environment), homonym) {
                    Meaning::Open | Meaning::Several => {
                        // What occurs here refers to a forward declaration, or the name would not be open.
                        return definitions.forward(graph, target).unwrap_or(target);
                    }
                    Meaning::One(number) => definitions.homonyms[homonym as usize][number],
                }
            }
        };
        if reach.set_of[class as usize] == 0 || self.alone_of.get(&class) == Some(&1) {
            return class;
        }
        let environments = &mut self.scan.environments;
        self.division
            .pick(class, environment, environments, self.meanings)
            .or_else(|| definitions.forward(graph, target))
            .unwrap_or(class)
    }

    /// Sets the targets of a type that stands alone.
    fn set_alone(&mut self, alone: &Alone, node: NodeId, environment: &Environment) {
        let members = self.homonyms.graph.members(alone.fragment).0;
        let start = self.meanings.targets.len();
        self.meanings.begin_targets(node, start);
        for &Target { local, home, .. } in &alone.targets {
            let class = members[local as usize];
            let target = match home {
                Some(home) => self.lead(class, home),
                None => self.member(alone.fragment, local, class, environment),
            };
            self.meanings.targets.push(target);
        }
    }

    /// The node of a type of a fragment.
    fn member(
        &mut self,
        fragment: FragmentIndex,
        local: u32,
        class: ClassId,
        environment: &Environment,
    ) -> NodeId {
        let definitions = self.homonyms.definitions;
        let reach = self.homonyms.reach;
        if !definitions.is_forward(class) {
            if reach.set_of[class as usize] == 0 {
                return class;
            }
            return match self.scan.place(reach, fragment, local, class) {
                Some(Place::Alone(number)) => self.alone[number as usize],
                Some(Place::Environment(known)) => {
                    self.division.node_of(class, known).unwrap_or(class)
                }
                None => class,
            };
        }
        // Its definition is not in this fragment.
        let definition = definitions.plain[class as usize];
        if definitions.is_forward(definition)
            || reach.set_of[definition as usize] == 0
            || self.alone_of.get(&definition) == Some(&1)
        {
            return definition;
        }
        self.division
            .pick_loosely(
                self.homonyms,
                definition,
                environment,
                &mut self.scan.environments,
            )
            .or_else(|| definitions.forward(self.homonyms.graph, class))
            .unwrap_or(definition)
    }
}
