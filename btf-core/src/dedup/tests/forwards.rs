//! Forward declarations: what joins what, and what stays.

use super::oracle::{check_complete, check_sound};
use super::random::in_one;
use super::{Result, fragment, merge};
use crate::dedup::{Fragment, Merger};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::wire::Info;

/// Merges in the given and in the reverse order; both must have `types` types.
#[track_caller]
fn check(fragments: &[Fragment], types: usize) -> Result {
    let mut reversed = fragments.to_vec();
    reversed.reverse();
    for fragments in [fragments, &reversed] {
        let result = merge(fragments);
        check_sound(fragments, &result);
        check_complete(fragments, &result);
        assert_eq!(result.len(), types, "{:?}", result.records);
    }
    merge(fragments)
}

/// `struct bus { struct slot *s; }` and a user of it: the slot has so many members, or is declared only.
fn bus(slot_members: Option<usize>, is_bus_defined: bool) -> Fragment {
    fragment(|f| {
        let int = f.int(1);
        let mut bus = None;
        if is_bus_defined {
            let slot = match slot_members {
                Some(members) => f.structure(2, &vec![int; members]),
                None => f.fwd(2),
            };
            let ptr = f.ptr(slot);
            bus = Some(f.structure(3, &[ptr]));
        }
        let bus = bus.unwrap_or_else(|| f.fwd(3));
        let ptr = f.ptr(bus);
        f.structure(4, &[ptr]);
    })
}

#[test]
fn one_definition_is_joined() {
    let all = [bus(None, false), bus(None, true), bus(Some(1), true)];
    let result = check(&all, 6);
    assert_eq!(result.count(Kind::Fwd, 2) + result.count(Kind::Fwd, 3), 0);
    // The definition stands where its first forward declaration stood.
    assert_eq!(Info(result.records[1][1]).kind(), Some(Kind::Struct));
    assert_eq!(result.records[1][0], 3);
}

#[test]
fn what_nobody_contradicts_is_filled_in() {
    // Another slot exists, but no other bus.
    let other = fragment(|f| {
        f.structure(2, &[]);
    });
    check(&[bus(None, true), bus(Some(1), true), other], 7);
}

#[test]
fn three_ways() {
    // Two buses, one that could be either, and a user who knows only the name of a bus.
    let two = [bus(Some(1), true), bus(Some(2), true)];
    check(&two, 1 + 2 * 5);
    let all = [two.to_vec(), vec![bus(None, true)]].concat();
    let result = check(&all, 1 + 2 * 5 + 5);
    assert_eq!(result.count(Kind::Fwd, 2), 1);
    let all = [two.to_vec(), vec![bus(None, false)]].concat();
    let result = check(&all, 1 + 2 * 5 + 3);
    assert_eq!(result.count(Kind::Fwd, 3), 1);
}

#[test]
fn a_definition_beside_the_declaration_is_the_one_that_is_meant() {
    // Two slots in each fragment, and a bus that leads to both: which first, tells the buses apart.
    let beside = |first: usize| {
        fragment(|f| {
            let int = f.int(1);
            let slots = [f.structure(2, &[int]), f.structure(2, &[int, int])];
            let to = slots.map(|slot| f.ptr(slot));
            f.structure(3, &[to[first], to[1 - first]]);
            let bus = f.fwd(3);
            let ptr = f.ptr(bus);
            f.structure(4, &[ptr]);
        })
    };
    let result = check(&[beside(0), beside(1)], 11);
    assert_eq!(result.count(Kind::Fwd, 3), 0);
}

#[test]
fn none_of_several_definitions_beside_the_declaration_is_meant() {
    // Two buses of equal words, each with its own slot, and a user who knows only the name.
    let (first, second, user) = (bus(Some(1), true), bus(Some(2), true), bus(None, false));
    for parts in [[&first, &second, &user], [&user, &second, &first]] {
        let result = check(&[in_one(&parts)], 1 + 2 * 5 + 3);
        assert_eq!(result.count(Kind::Fwd, 3), 1);
    }
}

#[test]
fn definitions_beside_the_declaration_that_are_one_are_meant() {
    // One bus, twice; that the other fragment has another does not matter, nor that there is a slot nobody leads to.
    let (bus_of_one, user) = (bus(Some(1), true), bus(None, false));
    let slot = fragment(|f| {
        f.structure(2, &[]);
    });
    let parts = in_one(&[&user, &bus_of_one, &slot, &bus_of_one]);
    let result = check(&[parts, bus(Some(2), true)], 1 + 2 * 5 + 1);
    assert_eq!(result.count(Kind::Fwd, 3), 0);
}

#[test]
fn a_structure_does_not_complete_a_union() {
    let all = [
        fragment(|f| {
            f.structure(2, &[]);
        }),
        fragment(|f| {
            let union = f.fwd_union(2);
            f.ptr(union);
        }),
    ];
    let result = check(&all, 3);
    assert_eq!(result.count(Kind::Fwd, 2), 1);
}

#[test]
fn enumerations_of_any_size_complete_each_other() {
    let enumeration = |kind: Kind, words: &[u32]| {
        fragment(|f| {
            let vlen = u32::from(words.len() > 1);
            let of = f.add(kind, 2, vlen, words);
            f.ptr(of);
        })
    };
    let (small, large) = (enumeration(Kind::Enum, &[4]), enumeration(Kind::Enum, &[8]));
    let full = enumeration(Kind::Enum64, &[8, 9, 0, 1]);
    let result = check(&[small.clone(), large.clone()], 2);
    assert_eq!(result.records[0][2], 4);
    let result = check(&[small, large, full], 2);
    assert_eq!(result.count(Kind::Enum64, 2), 1);
}

#[test]
fn an_unnamed_enumeration_without_values_is_itself() {
    let unnamed = |vlen: u32, words: &[u32]| {
        fragment(|f| {
            let of = f.add(Kind::Enum, 0, vlen, words);
            f.ptr(of);
        })
    };
    check(&[unnamed(0, &[4]), unnamed(1, &[4, 9, 0])], 4);
}

#[test]
fn a_name_that_only_seemed_to_have_two_meanings_is_joined() {
    // `bus` leads to `slot` by a member that both declare, so that both are the same in the end.
    let defined = |slot_members: usize| {
        fragment(|f| {
            let int = f.int(1);
            f.structure(2, &vec![int; slot_members]);
            let slot = f.fwd_union(2);
            let ptr = f.ptr(slot);
            f.structure(3, &[ptr]);
        })
    };
    let declared = fragment(|f| {
        let bus = f.fwd(3);
        let ptr = f.ptr(bus);
        f.typedef(5, ptr);
    });
    let result = check(&[defined(1), defined(2), declared], 8);
    assert_eq!(result.count(Kind::Fwd, 3), 0);
}

#[test]
fn weak_prototypes_are_written_on_request() {
    let unit = fragment(|f| {
        let int = f.int(1);
        f.first_weak = Some(2);
        f.proto(int, &[int]);
        f.proto(0, &[int]);
    });
    let merger = Merger::new();
    let mut worker = merger.worker();
    worker.add(0, &unit);
    worker.add(1, &unit);
    let gathered = worker.finish();
    let merged = merger.finish(vec![gathered], &|_, into| into.clone_from(&unit));
    assert_eq!(merged.number(&[]).len(), 1);
    let proto = merged.output(1, TypeId(3)).unwrap();
    let numbering = merged.number(&[proto, proto]);
    assert_eq!((numbering.len(), numbering.id(proto)), (2, TypeId(2)));
    // What is weak in one fragment and not in another is written.
    let mut strong = unit.clone();
    strong.first_weak = None;
    let result = merge(&[unit.clone(), strong]);
    assert_eq!(result.len(), 3);
    assert_eq!(result.ids, [[1, 2, 3], [1, 2, 3]]);
}
