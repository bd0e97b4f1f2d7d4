//! Random inputs: few names and few kinds, so that homonyms, forward declarations, cycles and duplicates are frequent.

use super::oracle::{
    bisimulation, check_complete, check_sound, count, is_announcement, shapes, split,
};
use super::{Random, fragment, merge, merge_by, merge_with_base};
use crate::dedup::{Fragment, Merger};
use crate::ids::TypeId;
use crate::kind::{Kind, Word};
use crate::refs::word_roles;
use crate::wire::Info;

/// What inputs are made of.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) fragments: u32,
    pub(super) types: u32,
    pub(super) names: u32,
    pub(super) has_forwards: bool,
}

/// One type whose references lead anywhere in a fragment of `count` types.
fn add_type(random: &mut Random, style: Style, count: u32, to: &mut Fragment) {
    let name = |random: &mut Random| 1 + random.below(style.names);
    let kinds = if style.has_forwards { 16 } else { 13 };
    let (kind, name, vlen) = match random.below(kinds) {
        0 => (Kind::Int, name(random), 0),
        1 | 2 => (Kind::Ptr, 0, 0),
        3 => (Kind::Const, 0, 0),
        4 => (Kind::Typedef, name(random), 0),
        5..=8 => (Kind::Struct, name(random), 1 + random.below(2)),
        9 => (Kind::Struct, 0, random.below(3)),
        10 => (Kind::Union, name(random), 1),
        11 => (Kind::FuncProto, 0, random.below(3)),
        12 if random.below(2) == 0 => (Kind::DeclTag, name(random), 0),
        12 => (Kind::Enum, name(random), 1),
        13 if random.below(2) == 0 => (Kind::Enum, name(random), 0),
        _ => (Kind::Fwd, name(random), 0),
    };
    let flag = kind == Kind::Fwd && random.below(4) == 0;
    let info = Info::new(kind, vlen, flag);
    let mut record: Vec<u32> = word_roles(info)
        .enumerate()
        .map(|(at, role)| match role {
            Word::Name if at == 0 => name,
            Word::Name => 50 + at as u32,
            Word::Type => random.below(count + 1),
            Word::Value if at == 1 => info.0,
            Word::Value if kind == Kind::Fwd => 0,
            Word::Value => 4 + random.below(8) / 7,
        })
        .collect();
    if kind == Kind::FuncProto && random.below(2) == 0 {
        record[2] = 0;
    }
    to.push(&record);
}

/// A fragment of types that refer to each other.
fn independent(random: &mut Random, style: Style) -> Fragment {
    let count = 1 + random.below(style.types);
    fragment(|f| (0..count).for_each(|_| add_type(random, style, count, f)))
}

/// A fragment with the types of another in another order, some of them changed.
fn variant(random: &mut Random, style: Style, of: &Fragment) -> Fragment {
    let count = of.len() as u32;
    let mut order: Vec<u32> = (1..=count).collect();
    random.shuffle(&mut order);
    let mut new_ids = vec![0; count as usize + 1];
    for (new, &old) in (1..).zip(&order) {
        new_ids[old as usize] = new;
    }
    let mut made = Fragment::default();
    for &old in &order {
        let record = of.record(TypeId(old)).unwrap();
        let info = Info(record[1]);
        let mut record: Vec<u32> = record
            .iter()
            .zip(word_roles(info))
            .map(|(&word, role)| match role {
                Word::Type => new_ids[word as usize],
                Word::Name | Word::Value => word,
            })
            .collect();
        let dice = random.below(12);
        if dice == 0 {
            add_type(random, style, count, &mut made);
            continue;
        }
        if dice < 4 && style.has_forwards && record[0] != 0 && info.kind() == Some(Kind::Struct) {
            record = vec![record[0], Info::new(Kind::Fwd, 0, false).0, 0];
        }
        made.push(&record);
    }
    made
}

/// Some fragments, related or not.
pub(super) fn input(random: &mut Random, style: Style) -> Vec<Fragment> {
    let count = 1 + random.below(style.fragments);
    let mut all = vec![independent(random, style)];
    while all.len() < count as usize {
        let next = if random.below(3) == 0 {
            independent(random, style)
        } else {
            let of = random.below(all.len() as u32) as usize;
            variant(random, style, &all[of].clone())
        };
        all.push(next);
    }
    all
}

/// How many inputs each test makes: more on request, as `DEDUP_TEST_ROUNDS=100000 cargo test --release`.
pub(super) fn rounds() -> u32 {
    let asked = std::env::var("DEDUP_TEST_ROUNDS");
    asked.map_or(3000, |rounds| rounds.parse().expect("a number"))
}

/// Runs `check` on many inputs.
pub(super) fn for_each_input(
    seed: u64,
    has_forwards: bool,
    check: impl Fn(&[Fragment], &mut Random),
) {
    let mut random = Random(seed);
    for round in 0..rounds() {
        let style = Style {
            fragments: 2 + round % 5,
            types: 4 + round % 11,
            names: 2 + round % 3,
            has_forwards,
        };
        let fragments = input(&mut random, style);
        check(&fragments, &mut random);
    }
}

#[test]
fn sound_and_complete_without_forward_declarations() {
    for_each_input(1, false, |fragments, _| {
        let result = merge(fragments);
        check_sound(fragments, &result);
        check_complete(fragments, &result);
        let all: Vec<&Fragment> = fragments.iter().collect();
        assert_eq!(result.len(), count(&all));
        // Types of one class, and only those, became one type.
        let classes = bisimulation(&all).concat();
        let ids = result.ids.concat();
        for (a, b) in classes.iter().zip(&ids) {
            assert_eq!(
                classes.iter().position(|c| c == a),
                ids.iter().position(|c| c == b)
            );
        }
    });
}

#[test]
fn sound_and_without_duplicates_with_forward_declarations() {
    for_each_input(2, true, |fragments, _| {
        let result = merge(fragments);
        check_sound(fragments, &result);
        check_complete(fragments, &result);
    });
}

#[test]
fn threads_do_not_show() {
    for_each_input(3, true, |fragments, random| {
        let alone = merge(fragments);
        for workers in 2..=4 {
            let other = merge_by(Merger::new(), fragments, workers, random);
            assert_eq!(alone.records, other.records);
            assert_eq!(alone.ids, other.ids);
        }
    });
}

#[test]
fn the_order_of_fragments_only_numbers() {
    for_each_input(4, true, |fragments, random| {
        let before = merge(fragments);
        let mut shuffled = fragments.to_vec();
        random.shuffle(&mut shuffled);
        let after = merge(&shuffled);
        let none = Fragment::default();
        assert_eq!(
            shapes(&before.as_fragment(&none)),
            shapes(&after.as_fragment(&none))
        );
    });
}

/// The types of all fragments in one, as several parts that continue the same BTF are read.
pub(super) fn in_one(fragments: &[&Fragment]) -> Fragment {
    let mut all = Fragment::default();
    for part in fragments {
        let before = all.len() as u32;
        for local in 1..=part.len() as u32 {
            let record = part.record(TypeId(local)).unwrap();
            let roles = word_roles(Info(record[1]));
            let moved = record.iter().zip(roles).map(|(&word, role)| match role {
                Word::Type if word != 0 => word + before,
                Word::Type | Word::Name | Word::Value => word,
            });
            all.push(&moved.collect::<Vec<u32>>());
        }
    }
    all
}

/// Parts of one fragment have types of one key that mean different things, and declarations of them.
#[test]
fn the_order_within_a_fragment_only_numbers() {
    for_each_input(12, true, |fragments, random| {
        let (alone, parts) = fragments.split_at(random.below(2) as usize);
        let mut order: Vec<&Fragment> = parts.iter().collect();
        let before = [alone, &[in_one(&order)]].concat();
        random.shuffle(&mut order);
        let after = [alone, &[in_one(&order)]].concat();
        let is_coarse = random.below(4) == 0;
        let shapes_of = |fragments: &[Fragment]| {
            let mut merger = Merger::new();
            if is_coarse {
                merger.limits.definitions = 0;
            }
            let result = merge_by(merger, fragments, 1, &mut Random(1));
            check_sound(fragments, &result);
            check_complete(fragments, &result);
            shapes(&result.as_fragment(&Fragment::default()))
        };
        assert_eq!(shapes_of(&before), shapes_of(&after));
        if !alone.is_empty() && !parts.is_empty() {
            let [before, after] = [before, after].map(|all| {
                let result = merge_with_base(&all);
                shapes(&result.as_fragment(&all[0]))
            });
            assert_eq!(before, after);
        }
    });
}

/// With very many homonyms, every type that reaches one is followed.
#[test]
fn sound_and_complete_without_environments() {
    for has_forwards in [false, true] {
        for_each_input(8, has_forwards, |fragments, random| {
            let [once, again] = [1, 3].map(|workers| {
                let mut merger = Merger::new();
                merger.limits.definitions = 0;
                merge_by(merger, fragments, workers, random)
            });
            check_sound(fragments, &once);
            check_complete(fragments, &once);
            assert_eq!(once.records, again.records);
            let all: Vec<&Fragment> = fragments.iter().collect();
            assert!(has_forwards || once.len() == count(&all));
        });
    }
}

/// Environments that turn out to be too many are given up at the same place whatever the threads do.
#[test]
fn sound_and_complete_wherever_environments_end() {
    for has_forwards in [false, true] {
        for_each_input(10, has_forwards, |fragments, random| {
            let words = random.below(200) as usize;
            let is_kept = random.below(2) == 0;
            let [once, again] = [1, 3].map(|workers| {
                let mut merger = Merger::new();
                let limits = &mut merger.limits;
                *if is_kept {
                    &mut limits.kept_words
                } else {
                    &mut limits.work_words
                } = words;
                merge_by(merger, fragments, workers, random)
            });
            check_sound(fragments, &once);
            check_complete(fragments, &once);
            assert_eq!(once.records, again.records);
        });
    }
}

/// The same, for limits of what is kept one by one: what is kept for a while only must not count with what others keep.
#[test]
fn what_is_kept_ends_at_the_same_place_whatever_the_threads_do() {
    let mut random = Random(13);
    for round in 0..rounds() / 20 {
        let style = Style {
            fragments: 6,
            types: 8 + round % 7,
            names: 2,
            has_forwards: true,
        };
        let fragments = input(&mut random, style);
        for words in 10..40 {
            let [once, again] = [1, 3].map(|workers| {
                let mut merger = Merger::new();
                merger.limits.kept_words = words;
                merge_by(merger, &fragments, workers, &mut random)
            });
            assert_eq!(once.records, again.records, "{words} words");
        }
    }
}

/// When rounds end early, what is left apart is not wrong, and the same whatever the threads do.
#[test]
fn sound_wherever_rounds_end() {
    for_each_input(11, true, |fragments, random| {
        let steps = random.below(100) as usize;
        let [once, again] = [1, 3].map(|workers| {
            let mut merger = Merger::new();
            merger.limits.merge_steps = steps;
            merge_by(merger, fragments, workers, random)
        });
        check_sound(fragments, &once);
        assert_eq!(once.records, again.records);
    });
}

/// What is weak is written only where something refers to it.
#[test]
fn weak_types_are_written_if_they_are_needed() {
    for_each_input(9, true, |fragments, random| {
        let mut fragments = fragments.to_vec();
        for fragment in &mut fragments {
            fragment.first_weak = Some(1 + random.below(fragment.len() as u32 + 1));
        }
        let result = merge(&fragments);
        let mut wanted = vec![false; result.len() + 1];
        let mut stack = Vec::new();
        for (fragment, ids) in fragments.iter().zip(&result.ids) {
            let strong = fragment.first_weak.unwrap() as usize - 1;
            for (local, &id) in ids.iter().enumerate().take(strong) {
                let record = fragment.record(TypeId(local as u32 + 1)).unwrap();
                assert!(id != 0 || is_announcement(record));
                stack.push(id);
            }
        }
        while let Some(id) = stack.pop() {
            if id != 0 && !std::mem::replace(&mut wanted[id as usize], true) {
                stack.extend(split(&result.records[id as usize - 1]).1);
            }
        }
        assert!(wanted[1..].iter().all(|wanted| *wanted));
        let other = merge_by(Merger::new(), &fragments, 3, random);
        assert_eq!(result.records, other.records);
        // Asked for, anything is written, behind what is written anyway.
        let index = random.below(fragments.len() as u32);
        let asked = TypeId(1 + random.below(fragments[index as usize].len() as u32));
        let output = result.merged.output(index, asked).unwrap();
        let numbering = result.merged.number(&[output]);
        assert_ne!(numbering.id(output), TypeId::VOID);
        assert!(numbering.len() >= result.len());
    });
}

#[test]
fn the_numbers_of_names_do_not_show() {
    for_each_input(5, true, |fragments, _| {
        let renamed = |fragment: &Fragment| {
            let mut renamed = fragment.clone();
            for &start in &fragment.starts {
                let name = &mut renamed.words[start as usize];
                *name = if *name == 0 { 0 } else { 40 - *name };
            }
            renamed
        };
        let renamed: Vec<Fragment> = fragments.iter().map(renamed).collect();
        let (before, after) = (merge(fragments), merge(&renamed));
        assert_eq!(before.ids, after.ids);
    });
}

#[test]
fn merging_the_result_again_changes_nothing() {
    for_each_input(6, false, |fragments, _| {
        let once = merge(fragments);
        let output = once.as_fragment(&Fragment::default());
        let twice = merge(&[output.clone(), output]);
        assert_eq!(once.records, twice.records);
    });
}

#[test]
fn merging_the_result_again_is_sound_and_adds_nothing() {
    for_each_input(7, true, |fragments, _| {
        let once = merge(fragments);
        let output = once.as_fragment(&Fragment::default());
        let outputs = [output.clone(), output];
        let twice = merge(&outputs);
        check_sound(&outputs, &twice);
        check_complete(&outputs, &twice);
        let announced =
            |records: &[Vec<u32>]| records.iter().filter(|r| is_announcement(r)).count();
        assert!(twice.len() <= once.len());
        assert!(announced(&twice.records) <= announced(&once.records));
    });
}
