//! Cases that have gone wrong elsewhere, and shapes that are hard.

use super::oracle::{check_complete, check_sound, count};
use super::{Result, fragment, merge};
use crate::dedup::Fragment;
use crate::kind::Kind;

/// Merges in the given and in the reverse order; both must be sound and complete, and of the same size.
#[track_caller]
fn check(fragments: &[Fragment], types: usize) -> Result {
    let mut reversed = fragments.to_vec();
    reversed.reverse();
    let before = merge(fragments);
    for (fragments, result) in [(fragments, &before), (&reversed, &merge(&reversed))] {
        check_sound(fragments, result);
        check_complete(fragments, result);
        assert_eq!(result.len(), types);
    }
    before
}

/// libbpf compares the first array with itself, so that `b` became `int[4]`.
#[test]
fn arrays_of_different_elements_are_different() {
    let one = fragment(|f| {
        let int = f.int(1);
        let array = f.array(int, 4);
        f.structure(3, &[array, array]);
    });
    let two = fragment(|f| {
        let (int, unsigned) = (f.int(1), f.int(2));
        let (a, b) = (f.array(int, 4), f.array(unsigned, 4));
        f.structure(3, &[a, b]);
    });
    assert_eq!(check(&[one, two], 6).count(Kind::Struct, 3), 2);
}

/// `levels` structures of eight pointers to the next, each made `copies` times, and a leaf of `leaf` members.
fn levels(levels: u32, copies: u32, leaves: &[usize]) -> Fragment {
    fragment(|f| {
        let int = f.int(1);
        let of_level = |f: &mut Fragment, below: &[u32], name: u32| -> Vec<u32> {
            let make = |copy: u32| {
                let at = |member: u32| below[(copy + member) as usize % below.len()];
                let members: Vec<u32> = (0..8).map(|member| f.ptr(at(member))).collect();
                f.structure(name, &members)
            };
            (0..copies).map(make).collect()
        };
        let leaf = |&members: &usize| f.structure(2, &vec![int; members]);
        let mut below: Vec<u32> = leaves.iter().map(leaf).collect();
        for level in 0..levels {
            below = of_level(f, &below, 10 + level);
        }
    })
}

/// libbpf's fallback follows every path: 8 to the power of 30 here.
#[test]
fn many_paths_are_no_problem() {
    let fragments = [levels(30, 2, &[1]), levels(30, 3, &[1])];
    check(&fragments, 2 + 2 * 30);
}

#[test]
fn many_paths_to_homonyms_are_no_problem() {
    // Each on its own; then one with both, whose structures lead to both.
    let fragments = [
        levels(30, 2, &[1]),
        levels(30, 3, &[2]),
        levels(30, 2, &[1, 2]),
        levels(30, 4, &[2, 1]),
    ];
    let all: Vec<&Fragment> = fragments.iter().collect();
    check(&fragments, count(&all));
}

#[test]
fn a_homonym_far_away_tells_apart() {
    let bus = |members: usize| {
        fragment(|f| {
            let int = f.int(1);
            let slot = f.structure(2, &vec![int; members]);
            let mut to = slot;
            for name in 10..20 {
                let ptr = f.ptr(to);
                to = f.structure(name, &[ptr]);
            }
        })
    };
    let result = check(&[bus(1), bus(2), bus(1)], 1 + 2 * 21);
    assert_eq!(result.count(Kind::Struct, 19), 2);
}

#[test]
fn homonyms_in_one_fragment_are_followed() {
    let one = fragment(|f| {
        let int = f.int(1);
        let (a, b) = (f.structure(2, &[int]), f.structure(2, &[int, int]));
        let (to_a, to_b) = (f.ptr(a), f.ptr(b));
        f.structure(3, &[to_a]);
        f.structure(4, &[to_b]);
        f.structure(5, &[to_a, to_b]);
    });
    let two = fragment(|f| {
        let int = f.int(1);
        let a = f.structure(2, &[int]);
        let to_a = f.ptr(a);
        f.structure(3, &[to_a]);
        f.structure(5, &[to_a, to_a]);
    });
    check(&[one, two], 9);
}

#[test]
fn tags_follow_their_homonym() {
    let tagged = |members: usize| {
        fragment(|f| {
            let int = f.int(1);
            let slot = f.structure(2, &vec![int; members]);
            f.add(Kind::DeclTag, 3, 0, &[slot, u32::MAX]);
        })
    };
    let result = check(&[tagged(1), tagged(2), tagged(1)], 5);
    assert_eq!(result.count(Kind::DeclTag, 3), 2);
}

#[test]
fn cycles_of_pointers() {
    let cycle = |length: u32, lead: u32| {
        fragment(|f| {
            let first = f.ptr(0);
            let mut last = first;
            for _ in 1..length {
                last = f.ptr(last);
            }
            f.set(first, 2, last);
            (0..lead).for_each(|_| last = f.ptr(last));
        })
    };
    check(&[cycle(1, 0), cycle(3, 0), cycle(2, 2)], 1);
}

#[test]
fn cycles_of_typedefs() {
    // Go's `type F func(F) F`, with a second name, and without the cycle.
    let go = fragment(|f| {
        let typedef = f.typedef(1, 0);
        let proto = f.proto(typedef, &[typedef]);
        let ptr = f.ptr(proto);
        f.set(typedef, 2, ptr);
        f.typedef(2, typedef);
    });
    let other = fragment(|f| {
        let typedef = f.typedef(1, 0);
        f.typedef(2, typedef);
    });
    check(&[go.clone(), other, go], 6);
}

#[test]
fn cycles_with_several_meanings_in_one_fragment() {
    let two = fragment(|f| {
        for of_void in [false, true] {
            let typedef = f.typedef(1, 0);
            let const_ = f.add(Kind::Const, 0, 0, &[typedef]);
            let ptr = f.proto(typedef, &[if of_void { 0 } else { const_ }]);
            f.set(typedef, 2, ptr);
        }
    });
    let all = [two.clone(), two];
    let types = count(&[&all[0]]);
    check(&all, types);
}

#[test]
fn a_chain_of_a_million_is_walked_without_recursion() {
    let chain = fragment(|f| {
        for next in 2..=1_000_000 {
            f.ptr(next);
        }
        f.ptr(0);
    });
    assert_eq!(merge(&[chain]).len(), 1_000_000);
}

/// A prototype whose parameters' keys are all missing when it is first looked at.
#[test]
fn many_missing_targets_cost_one_look_each() {
    let count = 60_000;
    let wide = fragment(|f| {
        let targets: Vec<u32> = (2..count + 2).collect();
        f.proto(0, &targets);
        (0..count).for_each(|number| {
            f.array(0, number);
        });
    });
    assert_eq!(merge(&[wide]).len(), count as usize + 1);
}

#[test]
fn many_references_to_many_definitions() {
    let fragments: Vec<Fragment> = (1..300)
        .map(|members| {
            fragment(|f| {
                let int = f.int(1);
                let slot = f.structure(2, &vec![int; members]);
                (0..30).for_each(|name| {
                    f.typedef(100 + name, slot);
                });
            })
        })
        .collect();
    assert_eq!(merge(&fragments).len(), 1 + 299 * 31);
}
