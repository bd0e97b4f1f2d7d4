//! Division: each affected class becomes one node for each meaning that its environments give it.
//!
//! Many classes occur in the same environments, so what becomes of a list of environments is found out once.

use super::classes::{ClassId, FastMap, NOWHERE};
use super::environment::{Environment, EnvironmentId, Environments, MAX_COMPARED, complete};
use super::fragment::u32_len;
use super::grouped::Grouped;
use super::homonyms::{Meanings, NodeId};
use super::scan::{Homonyms, Occurrence, Scan};

/// How classes that occur in the same environments are divided.
#[derive(Debug)]
struct Plan {
    /// The environments as they occur, in order.
    occurring: Vec<EnvironmentId>,
    /// For each of them the number of its node.
    node_of: Vec<u32>,
    /// The definitions of the homonyms that divide; none if there is one node.
    by: Environment,
    /// What every node takes other homonyms for.
    common: Environment,
    /// For each node what it takes the homonyms that divide for.
    nodes: Vec<Environment>,
    /// The node of each such environment.
    numbers: FastMap<Environment, u32>,
    /// For each node all that it takes for something: a part of this is what each of its occurrences says.
    full: Vec<EnvironmentId>,
}

/// Which node of a class is meant in an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// The one with this number.
    Node(u32),
    /// There are several, and nothing says which.
    Open,
    /// None, although the class does occur in parts of this environment; one for all of it does not contradict them.
    New,
}

/// All divided classes.
#[derive(Debug, Default)]
pub(super) struct Division {
    plans: Vec<Plan>,
    /// For each class the number of its plan plus 1.
    plan_of: Vec<u32>,
    /// For each class its second node; others follow. The first one has the number of the class.
    second: FastMap<ClassId, NodeId>,
    picks: FastMap<(u32, EnvironmentId), Pick>,
    loose_picks: FastMap<(u32, EnvironmentId), Option<u32>>,
    /// All nodes, each with what it takes homonyms for.
    pub(super) nodes: Vec<(NodeId, EnvironmentId)>,
    created: FastMap<(ClassId, EnvironmentId), NodeId>,
}

impl Division {
    pub(super) fn new(homonyms: &Homonyms<'_>, scan: &mut Scan, meanings: &mut Meanings) -> Self {
        let mut division = Self {
            plan_of: vec![0; homonyms.graph.len()],
            ..Self::default()
        };
        let mut numbers: FastMap<Vec<EnvironmentId>, usize> = FastMap::default();
        let lists = std::mem::take(&mut scan.all_occurrences);
        let all = lists.iter().flatten();
        let all = all.map(|&(class, environment, position)| {
            let occurrence = Occurrence {
                environment,
                position,
            };
            (class as usize, occurrence)
        });
        let occurrences = Grouped::new(homonyms.graph.len(), all);
        drop(lists);
        let mut occurring = Vec::new();
        let mut last = 0;
        for class in 0..occurrences.len() {
            if scan.environments.are_too_many() {
                break;
            }
            let of_class = occurrences.of(class).iter();
            occurring.clear();
            occurring.extend(of_class.map(|occurrence| occurrence.environment));
            if occurring.is_empty() {
                continue;
            }
            occurring.sort_unstable();
            occurring.dedup();
            // Classes side by side mostly occur in the same environments.
            let is_as_last = |plan: &Plan| plan.occurring == occurring;
            if !division.plans.get(last).is_some_and(is_as_last) {
                last = if let Some(&number) = numbers.get(&occurring) {
                    number
                } else {
                    let Some(plan) = Plan::new(homonyms, &mut scan.environments, &occurring) else {
                        break;
                    };
                    division.plans.push(plan);
                    let number = division.plans.len() - 1;
                    numbers.insert(occurring.clone(), number);
                    number
                };
            }
            division.plan_of[class as usize] = u32_len(last + 1);
            division.add_nodes(class, meanings);
        }
        if !scan.environments.are_too_many() {
            division.place_nodes(homonyms, scan, &occurrences, meanings);
        }
        division
    }

    /// Makes the nodes of a class.
    fn add_nodes(&mut self, class: ClassId, meanings: &mut Meanings) {
        let plan = &self.plans[self.plan_of[class as usize] as usize - 1];
        self.nodes.push((class, plan.full[0]));
        for (number, &full) in plan.full.iter().enumerate().skip(1) {
            let node = meanings.add_node(class);
            self.nodes.push((node, full));
            if number == 1 {
                self.second.insert(class, node);
            }
        }
    }

    /// Finds the least position of each node. While a class has one, that is the position of the class.
    fn place_nodes(
        &self,
        homonyms: &Homonyms<'_>,
        scan: &Scan,
        occurrences: &Grouped<Occurrence>,
        meanings: &mut Meanings,
    ) {
        let stands_alone = |class: ClassId| self.plan_of[class as usize] == 0;
        let mut is_divided: Vec<bool> = (0_u32..)
            .zip(&homonyms.reach.set_of)
            .map(|(class, &set)| set != 0 && stands_alone(class))
            .collect();
        let alone = scan.follower.alone.iter().map(|alone| alone.class);
        for class in self.second.keys().copied().chain(alone) {
            is_divided[class as usize] = true;
        }
        for (class, _) in (0..).zip(&is_divided).filter(|(_, is)| **is) {
            meanings.positions[class as usize] = NOWHERE;
            let mut last = None;
            for occurrence in occurrences.of(class) {
                let environment = occurrence.environment;
                let number = match last {
                    Some((known, number)) if known == environment => number,
                    _ => self.number_of(class, environment),
                };
                last = Some((environment, number));
                if let Some(number) = number {
                    let node = self.node(class, number);
                    let least = &mut meanings.positions[node as usize];
                    *least = occurrence.position.min(*least);
                }
            }
        }
    }

    /// The node with this number of a class.
    #[inline]
    fn node(&self, class: ClassId, number: u32) -> NodeId {
        match number.checked_sub(1) {
            None => class,
            Some(after_second) => self.second[&class] + after_second,
        }
    }

    fn plan(&self, class: ClassId) -> Option<&Plan> {
        let number = self.plan_of[class as usize].checked_sub(1)?;
        Some(&self.plans[number as usize])
    }

    /// Whether a class occurs in an environment.
    pub(super) fn has(&self, class: ClassId) -> bool {
        self.plan_of[class as usize] != 0
    }

    /// Whether a class occurs in environments, and is one node in all of them.
    pub(super) fn has_one_node(&self, class: ClassId) -> bool {
        self.plan(class).is_some_and(|plan| plan.nodes.len() == 1)
    }

    /// The node of a class where it occurs in this environment.
    pub(super) fn node_of(&self, class: ClassId, environment: EnvironmentId) -> Option<NodeId> {
        let number = self.number_of(class, environment)?;
        Some(self.node(class, number))
    }

    /// The number of that node among those of the class.
    fn number_of(&self, class: ClassId, environment: EnvironmentId) -> Option<u32> {
        let plan = self.plan(class)?;
        let at = plan.occurring.binary_search(&environment).ok()?;
        Some(plan.node_of[at])
    }

    /// The node of a class for what takes homonyms for what `environment` says. `None` if only a forward declaration
    /// can stand for it.
    pub(super) fn pick(
        &mut self,
        class: ClassId,
        environment: EnvironmentId,
        environments: &mut Environments,
        meanings: &mut Meanings,
    ) -> Option<NodeId> {
        let number = self.plan_of[class as usize].checked_sub(1)?;
        let plan = &self.plans[number as usize];
        if plan.nodes.len() == 1 {
            return Some(class);
        }
        let pick = *self.picks.entry((number, environment)).or_insert_with(|| {
            environments.work(plan.occurring.len() + plan.nodes.len(), &plan.by);
            plan.pick(environments.get(environment), environments)
        });
        match pick {
            Pick::Node(number) => Some(self.node(class, number)),
            Pick::Open => None,
            Pick::New => Some(self.create(class, environment, environments, meanings)),
        }
    }

    /// The node of a class for an environment in which it does not occur.
    fn create(
        &mut self,
        class: ClassId,
        environment: EnvironmentId,
        environments: &mut Environments,
        meanings: &mut Meanings,
    ) -> NodeId {
        let plan = &self.plans[self.plan_of[class as usize] as usize - 1];
        let mut full = environments.get(environment).restricted(&plan.by);
        full.join(&plan.common);
        let full = environments.intern(&full);
        *self.created.entry((class, full)).or_insert_with(|| {
            let node = meanings.add_node(class);
            self.nodes.push((node, full));
            node
        })
    }

    /// As `pick`, for what takes homonyms for several things and says only what it knows.
    pub(super) fn pick_loosely(
        &mut self,
        homonyms: &Homonyms<'_>,
        class: ClassId,
        environment: &Environment,
        environments: &mut Environments,
    ) -> Option<NodeId> {
        let number = self.plan_of[class as usize].checked_sub(1)?;
        let plan = &self.plans[number as usize];
        let own = environment.restricted(&plan.by);
        if !homonyms.bits.ambiguous(&own).is_empty() {
            return None;
        }
        let key = (number, environments.intern(&own));
        let pick = *self.loose_picks.entry(key).or_insert_with(|| {
            environments.work(plan.nodes.len(), &plan.by);
            plan.find(&own)
        });
        Some(self.node(class, pick?))
    }
}

impl Plan {
    /// `None` if environments are too many.
    fn new(
        homonyms: &Homonyms<'_>,
        environments: &mut Environments,
        occurring: &[EnvironmentId],
    ) -> Option<Self> {
        let mut known = homonyms.bits.open();
        for &environment in occurring {
            known.join(environments.get(environment));
        }
        let by = homonyms.bits.all_of(&homonyms.bits.ambiguous(&known));
        let common = known.without(&by);
        let mut distinct: Vec<Environment> = Vec::new();
        let mut numbers: FastMap<Environment, usize> = FastMap::default();
        let own: Vec<usize> = occurring
            .iter()
            .map(|&environment| {
                let own = environments.get(environment).restricted(&by);
                *numbers.entry(own).or_insert_with_key(|own| {
                    distinct.push(own.clone());
                    distinct.len() - 1
                })
            })
            .collect();
        environments.work(4 * occurring.len() + 32, &by);
        // What `complete` compares with each other in the worst case.
        let pairs = distinct
            .len()
            .saturating_mul(distinct.len().min(MAX_COMPARED));
        environments.work(pairs, &by);
        environments.keep_for_step(4 * distinct.len(), &by);
        if environments.are_too_many() {
            return None;
        }
        let completed = complete(&homonyms.bits, &distinct);
        let mut nodes: Vec<Environment> = Vec::new();
        let mut numbers: FastMap<Environment, u32> = FastMap::default();
        let mut node_of = Vec::with_capacity(occurring.len());
        for own in own {
            let own = &completed[own];
            node_of.push(*numbers.entry(own.clone()).or_insert_with(|| {
                nodes.push(own.clone());
                u32_len(nodes.len() - 1)
            }));
        }
        // What stays: each node's own, and its key.
        environments.keep(2 * nodes.len() + 2, &by);
        let full = |own: &Environment| {
            let mut full = common.clone();
            full.join(own);
            environments.intern(&full)
        };
        Some(Self {
            occurring: occurring.to_vec(),
            node_of,
            full: nodes.iter().map(full).collect(),
            nodes,
            numbers,
            by,
            common,
        })
    }

    /// The node that says all that `own` says, if that is one.
    fn find(&self, own: &Environment) -> Option<u32> {
        let at = |found: &Environment| self.numbers.get(found).copied();
        at(own).or_else(|| at(own.completion(self.nodes.iter())?))
    }

    /// Which node is meant by what takes homonyms for what `environment` says.
    ///
    /// The node must say all that the class's own occurrences below the asking type say. Those are among the
    /// occurrences that say a part of `environment`.
    fn pick(&self, environment: &Environment, environments: &Environments) -> Pick {
        let own = environment.restricted(&self.by);
        if let Some(node) = self.find(&own) {
            return Pick::Node(node);
        }
        let mut parts = self
            .occurring
            .iter()
            .zip(&self.node_of)
            .filter(|(part, _)| environments.get(**part).is_part_of(environment))
            .map(|(_, node)| *node);
        match parts.next() {
            None => Pick::Open,
            Some(node) if parts.all(|other| other == node) => Pick::Node(node),
            Some(_) => Pick::New,
        }
    }
}
