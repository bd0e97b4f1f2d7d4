//! Homes: what fragments take homonyms for that they know from other fragments only.
//!
//! A unit of link-time optimization refers to types of other units. Its fragment has forward declarations for them, and says
//! in whose stead each stands ([`Fragment::homes`](super::Fragment)). What such a name means here is what it means at home,
//! and so it is for everything that the definition there leads to.

use super::classes::ClassId;
use super::environment::{Environment, Meaning};
use super::fragment::FragmentIndex;
use super::scan::Homonyms;

/// The words of environments up to which homes are asked: 32 MiB. Beyond that, names of other fragments stay open.
const MAX_WORDS: usize = 1 << 22;

/// How often homes are asked anew, as they may have homes themselves; what lies further away stays open.
const MAX_ROUNDS: usize = 8;

/// What each fragment takes each homonym for, homes included; nothing if no fragment has homes.
pub(super) fn environments(homonyms: &Homonyms<'_>) -> Vec<Environment> {
    let graph = homonyms.graph;
    let fragments = 0..graph.fragment_count();
    let words = fragments.len().saturating_mul(homonyms.bits.width());
    let has_homes = |&fragment: &FragmentIndex| !graph.homes(fragment).is_empty();
    let abroad: Vec<FragmentIndex> = fragments.clone().filter(has_homes).collect();
    if abroad.is_empty() || homonyms.reach.is_coarse || words > MAX_WORDS {
        return Vec::new();
    }
    let mut environments: Vec<Environment> = fragments
        .map(|fragment| homonyms.own_environment(fragment))
        .collect();
    let sets: Vec<Environment> = homonyms
        .reach
        .sets
        .iter()
        .map(|set| homonyms.bits.all_of(set))
        .collect();
    let mut homes = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let mut is_news = false;
        for &fragment in &abroad {
            homes.clear();
            homes.extend_from_slice(graph.homes(fragment));
            homes.sort_unstable();
            homes.dedup();
            let mut environment = std::mem::take(&mut environments[fragment as usize]);
            for &(forward, home) in &homes {
                let Some(at_home) = environments.get(home as usize).filter(|_| home != fragment)
                else {
                    continue;
                };
                let Some(definition) = definition(homonyms, forward, at_home) else {
                    continue;
                };
                if let Some(bit) = homonyms.bit(definition) {
                    is_news |= environment.add(bit);
                }
                let set = homonyms.reach.set_of[definition as usize];
                is_news |= environment.join(&at_home.restricted(&sets[set as usize]));
            }
            environments[fragment as usize] = environment;
        }
        if !is_news {
            break;
        }
    }
    environments
}

/// What a forward declaration and all that its definition leads to mean in the fragment that it was taken from, if that
/// is one thing.
pub(super) fn meaning(
    homonyms: &Homonyms<'_>,
    forward: ClassId,
    home: FragmentIndex,
) -> Option<Environment> {
    let at_home = homonyms.environments.get(home as usize)?;
    let definition = definition(homonyms, forward, at_home)?;
    let set = homonyms.reach.set_of[definition as usize] as usize;
    let of_set = homonyms.bits.all_of(homonyms.reach.sets.get(set)?);
    let mut meaning = at_home.restricted(&of_set);
    if let Some(bit) = homonyms.bit(definition) {
        meaning.add(bit);
    }
    homonyms
        .bits
        .ambiguous(&meaning)
        .is_empty()
        .then_some(meaning)
}

/// The definition that a forward declaration stands for in an environment, if that says one.
fn definition(
    homonyms: &Homonyms<'_>,
    forward: ClassId,
    environment: &Environment,
) -> Option<ClassId> {
    let definitions = homonyms.definitions;
    let Some(homonym) = definitions.homonym(forward) else {
        let plain = definitions.plain[forward as usize];
        return (!definitions.is_forward(plain)).then_some(plain);
    };
    match homonyms.bits.meaning(environment, homonym) {
        Meaning::One(number) => Some(definitions.homonyms[homonym as usize][number]),
        Meaning::Open | Meaning::Several => None,
    }
}
