//! Scan: in which environments each affected class occurs.

use std::ops::Range;

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

    /// As `bit`, of a type of `fragment`.
    #[inline]
    pub(super) fn bit_in(&self, fragment: FragmentIndex, class: ClassId) -> Option<u32> {
        let is_forward = || {
            let graph = self.graph;
            self.definitions.is_forward_in(graph, fragment, class)
        };
        self.bit(class).filter(|_| !is_forward())
    }

    /// What a fragment takes each homonym for; nothing if nobody asks, as there are too many.
    pub(super) fn environment(&self, fragment: FragmentIndex) -> Environment {
        let members = self.graph.members(fragment).0.iter();
        let own = members.filter_map(|&class| self.bit_in(fragment, class));
        self.environment_of(fragment, own)
    }

    /// As `environment`, where the bits of the fragment's own types are known.
    fn environment_of(
        &self,
        fragment: FragmentIndex,
        own: impl Iterator<Item = u32>,
    ) -> Environment {
        if self.reach.is_coarse {
            return Environment::default();
        }
        let known = self.environments.get(fragment as usize).cloned();
        known.unwrap_or_else(|| self.bits.environment(own))
    }

    /// What a fragment takes each homonym for by its own types.
    pub(super) fn own_environment(&self, fragment: FragmentIndex) -> Environment {
        let members = self.graph.members(fragment).0.iter();
        self.bits
            .environment(members.filter_map(|&class| self.bit_in(fragment, class)))
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
    /// For so many classes.
    fn new(classes: usize) -> Self {
        Self {
            all: Vec::new(),
            last: vec![0; classes],
        }
    }

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

/// For each set of homonyms its environment in a fragment, if it has one there.
pub(super) struct OfSets {
    all: Vec<Option<EnvironmentId>>,
    /// Those that are not `None`.
    filled: Vec<u32>,
}

impl OfSets {
    pub(super) fn new(reach: &Reach) -> Self {
        Self {
            all: vec![None; reach.sets.len()],
            filled: Vec::new(),
        }
    }

    /// Forgets all, and takes [`Scan::numbers_of`] a fragment.
    pub(super) fn fill(&mut self, numbers: &[(u32, EnvironmentId)]) {
        for set in self.filled.drain(..) {
            self.all[set as usize] = None;
        }
        for &(set, environment) in numbers {
            self.all[set as usize] = Some(environment);
            self.filled.push(set);
        }
    }

    #[inline]
    pub(super) fn get(&self, set: u32) -> Option<EnvironmentId> {
        self.all[set as usize]
    }
}

/// What a fragment has, whatever others have.
struct Look {
    /// The bits of the definitions of homonyms among its types, with repetitions.
    bits: Vec<u32>,
    /// The sets of homonyms that its types reach, in the order in which they were met.
    sets: Vec<u32>,
}

impl Scan {
    /// Finds the environment of each fragment, and in which environments each affected class occurs.
    pub(super) fn new(homonyms: &Homonyms<'_>, limits: Limits, reload: Reload<'_>) -> Self {
        let Homonyms { graph, reach, .. } = homonyms;
        let mut scan = Self {
            environments: Environments::new(limits),
            occurrences: Occurrences::new(graph.len()),
            ..Self::default()
        };
        let looks = graph.by_fragments(|fragments| looks(homonyms, fragments));
        let sets: Vec<Environment> = reach.sets.iter().map(|s| homonyms.bits.all_of(s)).collect();
        let mut states = vec![SetState::Unknown; sets.len()];
        let mut restricted = homonyms.bits.open();
        for (fragment, look) in (0..).zip(looks.iter().flatten()) {
            if scan.environments.are_too_many() {
                return scan;
            }
            scan.starts.push(u32_len(scan.numbers.len()));
            let environment = homonyms.environment_of(fragment, look.bits.iter().copied());
            let ambiguous = if reach.is_coarse {
                Environment::default()
            } else {
                scan.environments.work(4, &restricted);
                let ambiguous = homonyms.bits.ambiguous(&environment);
                homonyms.bits.all_of(&ambiguous)
            };
            let start = scan.numbers.len();
            for &set in &look.sets {
                let of_set = &sets[set as usize];
                states[set as usize] = if reach.is_coarse || of_set.meets(&ambiguous) {
                    SetState::Several
                } else {
                    scan.environments.work(4, of_set);
                    restricted.restrict_from(&environment, of_set);
                    let number = scan.environments.intern(&restricted);
                    scan.numbers.push((set, number));
                    SetState::One(number)
                };
            }
            if scan.numbers.len() - start < look.sets.len() {
                let is_several = |class: ClassId| {
                    let set = reach.set_of[class as usize] as usize;
                    matches!(states[set], SetState::Several)
                };
                let members = (0_u32..).zip(graph.members(fragment).0);
                let several = members.filter(|&(_, &class)| is_several(class));
                let several: Vec<u32> = several.map(|(local, _)| local).collect();
                scan.numbers[start..].sort_unstable();
                scan.follow(homonyms, fragment, &several, &states, reload);
            } else {
                scan.numbers[start..].sort_unstable();
            }
            for &set in &look.sets {
                states[set as usize] = SetState::Unknown;
            }
        }
        let occurrences = graph.by_fragments(|fragments| scan.occurrences_in(homonyms, fragments));
        scan.occurrences
            .all
            .extend(occurrences.into_iter().flatten());
        scan
    }

    /// In which environments classes occur in some fragments, but for the types that are followed.
    fn occurrences_in(
        &self,
        homonyms: &Homonyms<'_>,
        fragments: Range<FragmentIndex>,
    ) -> Vec<(ClassId, EnvironmentId)> {
        let Homonyms { graph, reach, .. } = homonyms;
        let mut occurrences = Occurrences::new(graph.len());
        let mut of_set = OfSets::new(reach);
        for fragment in fragments {
            of_set.fill(self.numbers_of(fragment));
            for &class in graph.members(fragment).0 {
                if let Some(environment) = of_set.get(reach.set_of[class as usize]) {
                    occurrences.add(class, environment);
                }
            }
        }
        occurrences.all
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

/// Looks at some fragments.
fn looks(homonyms: &Homonyms<'_>, fragments: Range<FragmentIndex>) -> Vec<Look> {
    let Homonyms { graph, reach, .. } = homonyms;
    // For each set one past the number of the fragment in which it was met last.
    let mut met = vec![0; reach.sets.len()];
    let look = |fragment: FragmentIndex| {
        let (mut bits, mut sets) = (Vec::new(), Vec::new());
        for &class in graph.members(fragment).0 {
            bits.extend(homonyms.bit_in(fragment, class));
            let set = reach.set_of[class as usize];
            if set != 0 && std::mem::replace(&mut met[set as usize], fragment + 1) != fragment + 1 {
                sets.push(set);
            }
        }
        Look { bits, sets }
    };
    fragments.map(look).collect()
}
