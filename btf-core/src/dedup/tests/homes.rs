//! Homes: forward declarations that stand for what a certain other fragment means by the name.

use std::collections::{BTreeMap, BTreeSet};

use super::oracle::{check_complete, check_sound, is_announcement};
use super::random::for_each_input;
use super::{Random, fragment, merge, merge_by};
use crate::dedup::{Fragment, FragmentIndex, Merger};
use crate::ids::TypeId;
use crate::kind::{Kind, Word};
use crate::refs::word_roles;
use crate::wire::Info;

/// `struct bus { struct slot *s; }` with a slot of so many members.
fn bus(slot_members: usize) -> Fragment {
    fragment(|f| {
        let int = f.int(1);
        let slot = f.structure(2, &vec![int; slot_members]);
        let ptr = f.ptr(slot);
        f.structure(3, &[ptr]);
    })
}

/// A pointer to `struct bus` of each of these fragments, by forward declarations.
fn pointers(homes: &[FragmentIndex]) -> Fragment {
    fragment(|f| {
        let count = homes.len() as u32;
        f.first_weak = Some(count + 1);
        (1..=count).for_each(|at| _ = f.ptr(count + at));
        for &home in homes {
            let id = f.fwd(3);
            f.homes.push((id, home));
        }
    })
}

#[test]
fn a_name_means_what_it_means_at_home() {
    let result = merge(&[bus(1), bus(2), pointers(&[1]), pointers(&[0])]);
    let to = |index: usize| result.records[result.ids[index][0] as usize - 1][2];
    assert_eq!([to(2), to(3)], [result.ids[1][3], result.ids[0][3]]);
    assert_eq!(result.count(Kind::Fwd, 3) + result.count(Kind::Fwd, 2), 0);
}

#[test]
fn one_fragment_may_have_several_homes() {
    let result = merge(&[pointers(&[2, 1]), bus(1), bus(2)]);
    let targets = [0, 1].map(|at| result.records[result.ids[0][at] as usize - 1][2]);
    assert_eq!(targets, [result.ids[2][3], result.ids[1][3]]);
    assert_eq!(result.count(Kind::Fwd, 3), 0);
}

#[test]
fn homes_that_are_not_there_leave_a_name_open() {
    let result = merge(&[bus(1), bus(2), pointers(&[7]), pointers(&[3])]);
    assert_eq!(result.count(Kind::Fwd, 3), 1);
}

/// Types of other fragments, as a unit of link-time optimization fetches them.
struct Abroad<'a> {
    fragments: &'a [Fragment],
    made: Fragment,
    ids: BTreeMap<(usize, u32, bool), u32>,
}

impl Abroad<'_> {
    /// Fetches a type: named structures and unions as forward declarations, unless it is to be whole.
    fn fetch(&mut self, home: usize, id: u32, is_whole: bool) -> u32 {
        let record = self.fragments[home].record(TypeId(id)).unwrap();
        let info = Info(record[1]);
        let is_whole = is_whole || !is_tag(record);
        if let Some(&id) = self.ids.get(&(home, id, is_whole)) {
            return id;
        }
        if !is_whole {
            let is_union = info.kind() == Some(Kind::Union);
            let forward = [record[0], Info::new(Kind::Fwd, 0, is_union).0, 0];
            let new = self.made.push(&forward).0;
            self.ids.insert((home, id, false), new);
            self.made.homes.push((new, home as u32));
            return new;
        }
        let new = self.made.push(record).0;
        self.ids.insert((home, id, true), new);
        for (at, role) in word_roles(info).enumerate() {
            if role == Word::Type && record[at] != 0 {
                let target = self.fetch(home, record[at], false);
                self.made.set(new, at, target);
            }
        }
        new
    }
}

/// Adds a fragment with pointers to named types of others, and checks that the result is sound, and exactly those if
/// that can be asked for.
fn check_abroad(fragments: &[Fragment], random: &mut Random, home_count: u32, is_exact: bool) {
    let fragments: Vec<Fragment> = fragments.iter().map(as_unit_of_c).collect();
    let mut wanted = Vec::new();
    for _ in 0..home_count {
        let home = random.below(fragments.len() as u32) as usize;
        let ids = 1..=fragments[home].len() as u32;
        let tags = ids.filter(|&id| is_tag(fragments[home].record(TypeId(id)).unwrap()));
        wanted.extend(tags.map(|id| (home, id)));
    }
    wanted.truncate(8);
    let mut abroad = Abroad {
        fragments: &fragments,
        made: Fragment::default(),
        ids: BTreeMap::new(),
    };
    for _ in &wanted {
        abroad.made.ptr(0);
    }
    abroad.made.first_weak = Some(wanted.len() as u32 + 1);
    for (pointer, &(home, id)) in (1..).zip(&wanted) {
        let is_whole = random.below(2) == 0;
        let target = abroad.fetch(home, id, is_whole);
        abroad.made.set(pointer, 2, target);
    }
    let made = abroad.made;
    let mut all = fragments.clone();
    all.insert(0, made);
    for (_, home) in &mut all[0].homes {
        *home += 1;
    }
    let result = merge(&all);
    check_sound(&all, &result);
    check_complete(&all, &result);
    for (pointer, &(home, id)) in result.ids[0].iter().zip(&wanted) {
        let target = result.records[*pointer as usize - 1][2];
        let meant = result.ids[home + 1][id as usize - 1];
        assert!(target == meant || !is_exact, "{home}:{id}");
    }
    let other = merge_by(Merger::new(), &all, 3, random);
    assert_eq!(result.records, other.records);
}

/// The fragment as one unit of C: what a name would define anew gets a name of its own, and cycles go through names.
fn as_unit_of_c(fragment: &Fragment) -> Fragment {
    let mut changed = fragment.clone();
    let mut seen = BTreeSet::new();
    for id in 1..=fragment.len() as u32 {
        let record = fragment.record(TypeId(id)).unwrap();
        let info = Info(record[1]);
        let is_definition = record[0] != 0 && !is_announcement(record);
        if is_definition && !seen.insert((info.kind(), record[0])) {
            changed.set(id, 0, 1000 + id);
        }
        for (at, role) in word_roles(info).enumerate() {
            if role == Word::Type && record[at] >= id && !is_tag(record) {
                changed.set(id, at, 0);
            }
        }
    }
    changed
}

/// Whether a record is a structure or union with a name.
fn is_tag(record: &[u32]) -> bool {
    let kind = Info(record[1]).kind();
    record[0] != 0 && matches!(kind, Some(Kind::Struct | Kind::Union))
}

#[test]
fn random_fragments_with_homes() {
    for_each_input(20, false, |fragments, random| {
        let homes = 1 + random.below(4);
        check_abroad(fragments, random, homes, true);
    });
}

/// What a home leaves open may be completed in one way there and in another here.
#[test]
fn random_fragments_with_homes_that_leave_names_open() {
    for_each_input(21, true, |fragments, random| {
        let homes = 1 + random.below(4);
        check_abroad(fragments, random, homes, false);
    });
}
