//! Follow: the types of a fragment in which names have several meanings, followed reference by reference.
//!
//! The fragment is read again. What each of its types really leads to is found by following references from type to
//! type; where that is unambiguous it is the type's environment, and the type is treated like those of other fragments.
//! A type that leads to two definitions of one name stands alone: it becomes a node with its own targets, and
//! [`super::bisimilar`] finds out later whether it equals another.

use super::beside::Followed;
use super::classes::{ClassId, FastMap, Position, position};
use super::components::Components;
use super::environment::{Environment, EnvironmentId};
use super::fragment::{Fragment, FragmentIndex, for_each_type_word, u32_len};
use super::homes;
use super::homonyms::Reload;
use super::scan::{Homonyms, Scan, SetState};
use crate::ids::TypeId;
use crate::wire::Info;

/// What a type is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The node of its class in this environment.
    Environment(EnvironmentId),
    /// A node of its own: the type with this number among [`Follower::alone`].
    Alone(u32),
}

/// A type that leads to several definitions of one name.
#[derive(Debug)]
pub(super) struct Alone {
    pub(super) fragment: FragmentIndex,
    pub(super) class: ClassId,
    pub(super) position: Position,
    /// What it refers to; definitions in place of forward declarations, where possible.
    pub(super) targets: Box<[Target]>,
}

/// What a followed type refers to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The local number, from 0.
    pub(super) local: u32,
    /// For a forward declaration in the stead of another fragment's type what that fragment takes homonyms for.
    pub(super) home: Option<EnvironmentId>,
    /// Whether it is a forward declaration that means what stands beside it.
    pub(super) is_announced: bool,
}

/// What was found by following references.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// By fragment and local number, in order.
    places: Vec<(FragmentIndex, u32, Place)>,
    pub(super) alone: Vec<Alone>,
    content: Fragment,
}

impl Follower {
    /// What the `local`-th type of a fragment is taken for, if it was followed.
    pub(super) fn place(&self, fragment: FragmentIndex, local: u32) -> Option<Place> {
        let key = |&(fragment, local, _): &(FragmentIndex, u32, Place)| (fragment, local);
        let at = self.places.binary_search_by_key(&(fragment, local), key);
        Some(self.places[at.ok()?].2)
    }
}

/// The references of the types that are followed in one fragment.
pub(super) struct References {
    /// Where in `targets` those of each type begin.
    starts: Vec<usize>,
    targets: Vec<Target>,
}

impl References {
    /// What the followed type with this number refers to.
    pub(super) fn of(&self, index: usize) -> &[Target] {
        &self.targets[self.starts[index]..self.starts[index + 1]]
    }
}

impl Scan {
    /// Follows the types `locals` of a fragment.
    pub(super) fn follow(
        &mut self,
        homonyms: &Homonyms<'_>,
        fragment: FragmentIndex,
        locals: &[u32],
        states: &[SetState],
        reload: Reload<'_>,
    ) {
        let (members, first_weak) = homonyms.graph.members(fragment);
        self.follower.content.clear();
        reload(fragment, &mut self.follower.content);
        let references = self.references(homonyms, fragment, locals);
        let environments = if homonyms.reach.is_coarse {
            None
        } else {
            let found = self.environments_of(homonyms, fragment, locals, states, &references);
            if found.is_none() {
                return;
            }
            found
        };
        for (index, &local) in locals.iter().enumerate() {
            let class = members[local as usize];
            let position = position(fragment, local, local as usize >= first_weak);
            let environment = environments
                .as_ref()
                .map(|(components, all)| &all[components.of(u32_len(index))]);
            let place = match environment {
                Some(environment) if homonyms.bits.ambiguous(environment).is_empty() => {
                    let environment = self.environments.intern(environment);
                    self.occurrences.add(class, environment, position);
                    Place::Environment(environment)
                }
                _ => {
                    self.follower.alone.push(Alone {
                        fragment,
                        class,
                        position,
                        targets: references.of(index).into(),
                    });
                    Place::Alone(u32_len(self.follower.alone.len() - 1))
                }
            };
            self.follower.places.push((fragment, local, place));
        }
    }

    /// For each followed type the definitions of homonyms that it leads to; nothing if that is too much.
    fn environments_of(
        &mut self,
        homonyms: &Homonyms<'_>,
        fragment: FragmentIndex,
        locals: &[u32],
        states: &[SetState],
        references: &References,
    ) -> Option<(Components, Vec<Environment>)> {
        let members = homonyms.graph.members(fragment).0;
        // Where among `locals` what each of them leads to is, if it is there.
        let mut starts = vec![0];
        let mut targets = Vec::new();
        for index in 0..locals.len() {
            let followed = references.of(index).iter();
            targets.extend(followed.filter_map(|target| {
                let set = homonyms.reach.set_of[members[target.local as usize] as usize];
                let is_followed =
                    matches!(states[set as usize], SetState::Several) && target.home.is_none();
                is_followed.then(|| locals.binary_search(&target.local).ok().map(u32_len))?
            }));
            starts.push(targets.len());
        }
        let targets_of = |index: u32| &targets[starts[index as usize]..starts[index as usize + 1]];
        let components = Components::new(locals.len(), 0..u32_len(locals.len()), targets_of);
        let open = homonyms.bits.open();
        self.environments
            .work(4 * (components.len() + targets.len()), &open);
        self.environments.keep_for_step(components.len(), &open);
        if self.environments.are_too_many() {
            return None;
        }
        // What a component leads to is before it.
        let mut environments: Vec<Environment> = Vec::with_capacity(components.len());
        for component in 0..components.len() {
            let mut environment = open.clone();
            for &index in components.nodes(component) {
                for target in references.of(index as usize) {
                    if let Some(home) = target.home {
                        environment.join(self.environments.get(home));
                        continue;
                    }
                    let class = members[target.local as usize];
                    if let Some(bit) = homonyms.bit_in(fragment, class) {
                        environment.add(bit);
                    }
                    let set = homonyms.reach.set_of[class as usize];
                    if let SetState::One(known) = states[set as usize] {
                        environment.join(self.environments.get(known));
                    }
                }
                for &target in targets_of(index) {
                    if let Some(known) = environments.get(components.of(target)) {
                        environment.join(known);
                    }
                }
            }
            environments.push(environment);
        }
        Some((components, environments))
    }

    /// What the types `locals` of `fragment`, which was read, refer to.
    fn references(
        &mut self,
        homonyms: &Homonyms<'_>,
        fragment: FragmentIndex,
        locals: &[u32],
    ) -> References {
        let Homonyms {
            graph, definitions, ..
        } = homonyms;
        let members = graph.members(fragment).0;
        let content = std::mem::take(&mut self.follower.content);
        let mut homes = FastMap::default();
        let mut references = References {
            starts: vec![0],
            targets: Vec::new(),
        };
        for &local in locals {
            // What can be read once can be read again.
            let record = content.record(TypeId(local + 1)).unwrap_or(&[]);
            let kind = record.get(1).and_then(|&info| Info(info).kind());
            if let Some(kind) = kind {
                for_each_type_word(kind, record.len(), |at| {
                    let Some(local) = record[at].checked_sub(1) else {
                        return;
                    };
                    let class = members[local as usize];
                    let mut target = Target {
                        local,
                        home: None,
                        is_announced: false,
                    };
                    let by_id = |&(id, _): &(u32, FragmentIndex)| id;
                    if let Ok(at) = content.homes.binary_search_by_key(&record[at], by_id) {
                        let home = content.homes[at].1;
                        let at_home = || homes::meaning(homonyms, class, home);
                        target.home = *homes.entry((class, home)).or_insert_with(|| {
                            at_home().map(|meaning| self.environments.intern(&meaning))
                        });
                    } else {
                        target.is_announced = definitions.is_forward_in(graph, fragment, class);
                    }
                    references.targets.push(target);
                });
            }
            references.starts.push(references.targets.len());
        }
        self.follower.content = content;
        let followed = Followed {
            homonyms,
            fragment,
            members,
            locals,
            references: &references,
        };
        let beside = followed.definitions();
        for target in references.targets.iter_mut().filter(|t| t.is_announced) {
            let label = graph.labels[members[target.local as usize] as usize];
            if let Some(&definition) = beside.get(&label) {
                target.local = definition;
            }
        }
        references
    }
}
