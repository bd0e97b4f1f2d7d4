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

/// Real types differ in small numbers, which must not make up for each other.
#[test]
fn each_half_of_a_key_alone_tells_small_differences_apart() {
    let mut all = Fragment::default();
    for name in 1..=4 {
        let int = all.push(&[name, Info::new(Kind::Int, 0, false).0, 4, 32]);
        all.push(&[name, Info::new(Kind::Struct, 0, false).0, 0]);
        all.push(&[0, Info::new(Kind::Ptr, 0, false).0, int.0]);
    }
    let targets = all.len() as u32;
    let (one, two) = (
        Info::new(Kind::Struct, 1, false).0,
        Info::new(Kind::Enum, 1, false).0,
    );
    for a in 0..20 {
        for b in 5..25 {
            for c in 0..20 {
                for target in 0..=targets {
                    all.push(&[a, one, b, c, target, 0]);
                    all.push(&[a, one, b, 0, target, 8 * c + 8]);
                }
                all.push(&[a, two, b, c, 1]);
            }
            all.push(&[a, Info::new(Kind::Array, 0, false).0, 0, 1, 3, b]);
        }
    }
    let mut of_all = Keys::default();
    of_all.compute(&all);
    let halves = |key: &Key| [*key as u64, (*key >> 64) as u64];
    for half in 0..2 {
        let mut seen: Vec<u64> = of_all.all.iter().map(|key| halves(key)[half]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all.len(), "half {half}");
    }
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
