//! Scan: in which environments each affected class occurs.

use super::classes::ClassId;
use super::definitions::Definitions;
use super::environment::{Bits, Environment, EnvironmentId, Environments, Limits};
use super::follow::{Follower, Place};
use super::fragment::{FragmentIndex, u32_len};
use super::graph::Graph;
use super::homes;
use super::homonyms::Reload;
use super::reach::Reach;

/// What classes are divided by: the same for all steps.
pub(super) struct Homonyms<'a> {
    pub(super) graph: &'a Graph,
    pub(super) definitions: &'a Definitions,
    pub(super) reach: &'a Reach,
    pub(super) bits: Bits,
    /// For each class that defines a homonym, its bit plus 1.
    defines: Vec<u32>,
    /// For each fragment what it takes each homonym for, if that does not follow from its own types alone.
    pub(super) environments: Vec<Environment>,
}

impl<'a> Homonyms<'a> {
    pub(super) fn new(graph: &'a Graph, definitions: &'a Definitions, reach: &'a Reach) -> Self {
        let bits = Bits::new(definitions.homonyms.iter().map(Vec::len));
        let mut defines = vec![0; graph.len()];
        for (homonym, classes) in (0_u32..).zip(&definitions.homonyms) {
            for (number, &class) in (0_u32..).zip(classes) {
                defines[class as usize] = bits.of(homonym, number) + 1;
            }
        }
        let mut homonyms = Self {
            graph,
            definitions,
            reach,
            bits,
            defines,
            environments: Vec::new(),
        };
        homonyms.environments = homes::environments(&homonyms);
        homonyms
    }

    /// The bit of a class that defines a homonym.
    #[inline]
    pub(super) fn bit(&self, class: ClassId) -> Option<u32> {
        self.defines[class as usize].checked_sub(1)
    }

    /// What a fragment takes each homonym for; nothing if nobody asks, as there are too many.
    pub(super) fn environment(&self, fragment: FragmentIndex) -> Environment {
        if self.reach.is_coarse {
            return Environment::default();
        }
        let known = self.environments.get(fragment as usize).cloned();
        known.unwrap_or_else(|| self.own_environment(fragment))
    }

    /// What a fragment takes each homonym for by its own types.
    pub(super) fn own_environment(&self, fragment: FragmentIndex) -> Environment {
        let mut environment = self.bits.open();
        let members = self.graph.members(fragment).0;
        for bit in members.iter().filter_map(|&class| self.bit(class)) {
            environment.add(bit);
        }
        environment
    }
}

/// In which environments each affected class occurs.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    /// With repetitions, in the order in which they were met.
    all: Vec<(ClassId, EnvironmentId)>,
    /// For each class one past the environment in which it was met last.
    last: Vec<EnvironmentId>,
}

impl Occurrences {
    /// Notes that a class occurs.
    #[inline]
    pub(super) fn add(&mut self, class: ClassId, environment: EnvironmentId) {
        let last = &mut self.last[class as usize];
        if *last != environment + 1 {
            *last = environment + 1;
            self.all.push((class, environment));
        }
    }

    /// Calls `visit` with each class that occurs and its environments, sorted.
    pub(super) fn for_each_class(mut self, mut visit: impl FnMut(ClassId, &[EnvironmentId])) {
        let mut next = std::mem::take(&mut self.last);
        next.fill(0);
        for &(class, _) in &self.all {
            next[class as usize] += 1;
        }
        let mut end = 0;
        for next in &mut next {
            end += std::mem::replace(next, end);
        }
        let mut sorted = vec![0; self.all.len()];
        for &(class, environment) in &self.all {
            sorted[next[class as usize] as usize] = environment;
            next[class as usize] += 1;
        }
        let mut start = 0;
        let mut of_class = Vec::new();
        for (class, &end) in (0_u32..).zip(&next) {
            if end != start {
                of_class.clear();
                of_class.extend_from_slice(&sorted[start as usize..end as usize]);
                of_class.sort_unstable();
                of_class.dedup();
                visit(class, &of_class);
                start = end;
            }
        }
    }
}

/// What the fragments were found to mean.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) environments: Environments,
    pub(super) occurrences: Occurrences,
    /// For each fragment the environments of the sets of homonyms that its types reach, sorted by set; as one list.
    numbers: Vec<(u32, EnvironmentId)>,
    /// Where in `numbers` each fragment begins.
    starts: Vec<u32>,
    pub(super) follower: Follower,
}

/// What a set of homonyms is to the fragment that is being scanned.
#[derive(Clone, Copy)]
pub(super) enum SetState {
    Unknown,
    /// One of the set has several meanings here.
    Several,
    /// The environment.
    One(EnvironmentId),
}

impl Scan {
    /// Finds the environment of each fragment, and in which environments each affected class occurs.
    pub(super) fn new(homonyms: &Homonyms<'_>, limits: Limits, reload: Reload<'_>) -> Self {
        let Homonyms { graph, reach, .. } = homonyms;
        let mut scan = Self {
            environments: Environments::new(limits),
            ..Self::default()
        };
        scan.occurrences.last = vec![0; graph.len()];
        let sets: Vec<Environment> = reach.sets.iter().map(|s| homonyms.bits.all_of(s)).collect();
        let mut states = vec![SetState::Unknown; sets.len()];
        let mut several = Vec::new();
        let mut restricted = homonyms.bits.open();
        let mut met_sets = Vec::new();
        for fragment in 0..graph.fragment_count() {
            if scan.environments.are_too_many() {
                break;
            }
            scan.starts.push(u32_len(scan.numbers.len()));
            let environment = homonyms.environment(fragment);
            let ambiguous = if reach.is_coarse {
                Environment::default()
            } else {
                scan.environments.work(4, &restricted);
                let ambiguous = homonyms.bits.ambiguous(&environment);
                homonyms.bits.all_of(&ambiguous)
            };
            for set in met_sets.drain(..) {
                states[set as usize] = SetState::Unknown;
            }
            several.clear();
            let members = graph.members(fragment).0;
            for (local, &class) in (0_u32..).zip(members) {
                let set = reach.set_of[class as usize];
                if set == 0 {
                    continue;
                }
                let state = &mut states[set as usize];
                if let SetState::Unknown = state {
                    met_sets.push(set);
                    let of_set = &sets[set as usize];
                    *state = if reach.is_coarse || of_set.meets(&ambiguous) {
                        SetState::Several
                    } else {
                        scan.environments.work(4, of_set);
                        restricted.restrict_from(&environment, of_set);
                        let number = scan.environments.intern(&restricted);
                        scan.numbers.push((set, number));
                        SetState::One(number)
                    };
                }
                if let SetState::One(environment) = *state {
                    scan.occurrences.add(class, environment);
                } else {
                    several.push(local);
                }
            }
            let start = scan.starts[fragment as usize] as usize;
            scan.numbers[start..].sort_unstable();
            if !several.is_empty() {
                scan.follow(homonyms, fragment, &several, &states, reload);
            }
        }
        scan
    }

    /// The environment of the `local`-th type of a fragment, or its number among the types that stand alone.
    pub(super) fn place(
        &self,
        homonyms: &Reach,
        fragment: FragmentIndex,
        local: u32,
        class: ClassId,
    ) -> Option<Place> {
        if let Some(place) = self.follower.place(fragment, local) {
            return Some(place);
        }
        let set = homonyms.set_of[class as usize];
        let numbers = self.numbers_of(fragment);
        let at = numbers.binary_search_by_key(&set, |&(set, _)| set).ok()?;
        Some(Place::Environment(numbers[at].1))
    }

    /// The sets of homonyms that the types of a fragment reach, each with its environment if it has one there.
    pub(super) fn numbers_of(&self, fragment: FragmentIndex) -> &[(u32, EnvironmentId)] {
        let fragment = fragment as usize;
        let Some(&start) = self.starts.get(fragment) else {
            return &[];
        };
        let end = self.starts.get(fragment + 1).map(|&end| end as usize);
        &self.numbers[start as usize..end.unwrap_or(self.numbers.len())]
    }
}
