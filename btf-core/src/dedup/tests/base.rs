//! Split BTF: fragment 0 is a base, which cannot change.

use std::collections::BTreeSet;

use super::oracle::{bisimulation, check_complete, check_sound};
use super::random::for_each_input;
use super::{fragment, merge_with_base, split_by};
use crate::dedup::Fragment;
use crate::kind::Kind;

#[test]
fn nothing_that_equals_a_type_of_the_base_is_written() {
    for_each_input(11, false, |fragments, _| {
        let result = merge_with_base(fragments);
        check_sound(fragments, &result);
        check_complete(fragments, &result);
        let all: Vec<&Fragment> = fragments.iter().collect();
        let classes = bisimulation(&all);
        let of_base: BTreeSet<_> = classes[0].iter().collect();
        let of_others: BTreeSet<_> = classes[1..].iter().flatten().collect();
        assert_eq!(result.len(), of_others.difference(&of_base).count());
        assert_eq!(result.first as usize, fragments[0].len() + 1);
    });
}

#[test]
fn the_base_stays_with_forward_declarations() {
    for_each_input(12, true, |fragments, random| {
        let result = merge_with_base(fragments);
        check_sound(fragments, &result);
        check_complete(fragments, &result);
        let base = &bisimulation(&[&fragments[0]])[0];
        for (class, &id) in base.iter().zip(&result.ids[0]) {
            // Each type of the base is itself, or the first that equals it.
            let first = base.iter().position(|other| other == class).unwrap();
            assert_eq!(first as u32 + 1, id);
        }
        let other = split_by(fragments, 4, random);
        assert_eq!(result.records, other.records);
    });
}

/// `struct user { struct subject *s; }`, where the subject is declared or defined.
fn user(is_defined: bool) -> Fragment {
    fragment(|f| {
        let int = f.int(1);
        let subject = if is_defined {
            f.structure(2, &[int])
        } else {
            f.fwd(2)
        };
        let ptr = f.ptr(subject);
        f.structure(3, &[ptr]);
    })
}

#[test]
fn what_the_base_announces_is_defined_behind_it() {
    let result = merge_with_base(&[user(false), user(true)]);
    assert_eq!(result.ids[0], [1, 2, 3, 4]);
    // The user is that of the base, although only its own subject has members.
    assert_eq!(result.ids[1], [1, 5, 6, 4]);
    assert_eq!(result.count(Kind::Struct, 2), 1);
    let declared = merge_with_base(&[user(false), user(true), user(false)]);
    assert_eq!(declared.ids[1..], [[1, 5, 6, 4], [1, 5, 6, 4]]);
}

/// The part without a name of a structure that is the base's is not written again; what a module makes of it, is.
#[test]
fn a_part_without_a_name_is_written_if_it_is_needed() {
    let whole = |f: &mut Fragment, is_defined: bool| {
        let int = f.int(1);
        let subject = if is_defined {
            f.structure(2, &[int])
        } else {
            f.fwd(2)
        };
        let ptr = f.ptr(subject);
        let part = f.structure(0, &[ptr]);
        f.structure(3, &[part]);
        part
    };
    let base = fragment(|f| {
        whole(f, false);
    });
    let module = fragment(|f| {
        whole(f, true);
    });
    let result = merge_with_base(&[base.clone(), module]);
    assert_eq!(result.ids[1], [1, 6, 7, 0, 5]);
    let module = fragment(|f| {
        let part = whole(f, true);
        f.typedef(4, part);
    });
    let result = merge_with_base(&[base, module]);
    assert_eq!(result.ids[1], [1, 6, 7, 9, 5, 8]);
}

#[test]
fn a_forward_declaration_joins_the_definition_in_the_base() {
    let result = merge_with_base(&[user(true), user(false)]);
    assert_eq!(result.len(), 0);
    assert_eq!(result.ids[1], [1, 2, 3, 4]);
}

/// Structure 2 has two definitions, and 3 a pointer to the first.
fn defined_twice(f: &mut Fragment) {
    let int = f.int(1);
    let first = f.structure(2, &[int]);
    f.structure(2, &[int, int]);
    let ptr = f.ptr(first);
    f.structure(3, &[ptr]);
}

/// A module declares what the base defines twice: its users are still those of the base, as there is one of each.
#[test]
fn a_declared_homonym_does_not_repeat_the_base() {
    let base = fragment(defined_twice);
    let result = merge_with_base(&[base, user(false)]);
    assert_eq!(result.len(), 0);
    assert_eq!(result.ids[1][3], 5);
}

/// So it is if something of the base leads to a declaration only: that is one more thing that a declaration can mean.
#[test]
fn a_homonym_that_the_base_declares_as_well_does_not_repeat_the_base() {
    let base = fragment(|f| {
        defined_twice(f);
        let declared = f.fwd(2);
        let ptr = f.ptr(declared);
        f.typedef(4, ptr);
    });
    let result = merge_with_base(&[base.clone(), user(false)]);
    assert_eq!(result.len(), 0);
    // What the pointer alone leads to cannot be known.
    assert_eq!(result.ids[1][1..], [6, 7, 5]);
    // A module that defines it, too, means its own or the same.
    let result = merge_with_base(&[base.clone(), user(true)]);
    assert_eq!(result.len(), 0);
    assert_eq!(result.ids[1], [1, 2, 4, 5]);
    let module = fragment(|f| {
        f.int(1);
        let declared = f.fwd(2);
        let ptr = f.ptr(declared);
        f.typedef(4, ptr);
    });
    assert_eq!(merge_with_base(&[base, module]).len(), 0);
}

#[test]
fn duplicates_in_the_base_stay_and_the_first_is_used() {
    let base = fragment(|f| {
        let int = f.int(1);
        f.ptr(int);
        f.ptr(int);
    });
    let module = fragment(|f| {
        let int = f.int(1);
        let ptr = f.ptr(int);
        f.typedef(2, ptr);
    });
    let result = merge_with_base(&[base, module]);
    assert_eq!(result.ids, [vec![1, 2, 2], vec![1, 2, 4]]);
    assert_eq!(result.records, [[2, 8 << 24, 2]]);
}
