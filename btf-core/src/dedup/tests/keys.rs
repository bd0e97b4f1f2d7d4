//! Keys and labels: equal for bisimilar types, whatever the layout and the numbering of their fragments.

use std::collections::BTreeMap;

use super::oracle::bisimulation;
use super::random::for_each_input;
use super::{Random, fragment};
use crate::dedup::Fragment;
use crate::dedup::Name;
use crate::dedup::key::{Key, Keys, Label, tag_label};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::wire::Info;

fn keys(fragment: &Fragment) -> Vec<(Key, Label)> {
    let mut keys = Keys::default();
    keys.compute(fragment);
    keys.all.into_iter().zip(keys.labels).collect()
}

/// The same types under the same numbers, their records in another order.
fn laid_out_anew(fragment: &Fragment, random: &mut Random) -> Fragment {
    let mut order: Vec<u32> = (1..=fragment.len() as u32).collect();
    random.shuffle(&mut order);
    let mut made = Fragment {
        starts: vec![0; fragment.len()],
        ..Fragment::default()
    };
    for id in order {
        made.starts[id as usize - 1] = made.words.len() as u32;
        made.words
            .extend_from_slice(fragment.record(TypeId(id)).unwrap());
    }
    made
}

#[test]
fn the_layout_of_records_does_not_matter() {
    for_each_input(21, true, |fragments, random| {
        for fragment in fragments {
            assert_eq!(keys(fragment), keys(&laid_out_anew(fragment, random)));
        }
    });
}

#[test]
fn bisimilar_types_have_equal_keys_and_labels() {
    for_each_input(22, true, |fragments, _| {
        let all: Vec<&Fragment> = fragments.iter().collect();
        let classes = bisimulation(&all);
        let mut of_class = BTreeMap::new();
        let mut of_key = BTreeMap::new();
        for (fragment, classes) in fragments.iter().zip(&classes) {
            for ((key, label), class) in keys(fragment).into_iter().zip(classes) {
                assert_eq!(*of_class.entry(class).or_insert(key), key);
                assert_eq!(*of_key.entry(key).or_insert(label), label);
            }
        }
    });
}

#[test]
fn equal_keys_are_equal_words() {
    for_each_input(23, true, |fragments, _| {
        let mut of_key = BTreeMap::new();
        for fragment in fragments {
            for (id, (key, _)) in (1..).zip(keys(fragment)) {
                let own = super::oracle::split(fragment.record(TypeId(id)).unwrap()).0;
                assert_eq!(of_key.entry(key).or_insert_with(|| own.clone()), &own);
            }
        }
    });
}

#[test]
fn tags_have_labels() {
    let label = |kind, vlen, flag, name| tag_label(Info::new(kind, vlen, flag), Name(name));
    let of_struct = label(Kind::Struct, 3, false, 7);
    assert_eq!(of_struct, label(Kind::Fwd, 0, false, 7));
    assert_eq!(
        label(Kind::Union, 3, false, 7),
        label(Kind::Fwd, 0, true, 7)
    );
    assert_eq!(
        label(Kind::Enum, 3, false, 7),
        label(Kind::Enum64, 0, true, 7)
    );
    assert_ne!(of_struct, label(Kind::Union, 3, false, 7));
    assert_ne!(of_struct, label(Kind::Struct, 3, false, 8));
    for (kind, name) in [(Kind::Struct, 0), (Kind::Enum, 0), (Kind::Typedef, 7)] {
        assert_eq!(label(kind, 1, false, name), 0);
    }
}

#[test]
fn only_what_leads_to_a_cycle_without_a_tag_gets_another_label() {
    let labels: Vec<Label> = keys(&fragment(|f| {
        let typedef = f.typedef(1, 2);
        let ptr = f.ptr(typedef);
        f.ptr(ptr);
        let own = f.structure(2, &[]);
        f.ptr(own);
        f.set(own, 2, 0);
    }))
    .into_iter()
    .map(|(_, label)| label)
    .collect();
    assert_eq!(
        labels.iter().map(|l| *l != 0).collect::<Vec<_>>(),
        [true, false, false, true, false]
    );
}
