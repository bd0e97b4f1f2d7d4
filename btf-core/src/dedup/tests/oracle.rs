//! The oracle: bisimulation by repeated splitting, and a check of soundness, both as plainly as possible.

use std::collections::{BTreeMap, BTreeSet};

use super::Result;
use crate::dedup::Fragment;
use crate::dedup::key::is_forward;
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::refs::type_refs;
use crate::wire::Info;

/// What a type is but for what it refers to, and its references.
pub(super) fn split(record: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut own = record.to_vec();
    let mut targets = Vec::new();
    for (at, target) in type_refs(record) {
        own[at] = 0;
        targets.push(target.0);
    }
    (own, targets)
}

/// For each type of each fragment the number of its class: types of one class are bisimilar.
pub(super) fn bisimulation(fragments: &[&Fragment]) -> Vec<Vec<usize>> {
    let nodes: Vec<(usize, Vec<u32>, Vec<u32>)> = fragments
        .iter()
        .enumerate()
        .flat_map(|(index, f)| (0..f.len()).map(move |local| (index, local, f)))
        .map(|(index, local, f)| {
            let (own, targets) = split(f.record(TypeId(local as u32 + 1)).unwrap());
            (index, own, targets)
        })
        .collect();
    let mut starts = vec![0];
    for fragment in fragments {
        starts.push(starts[starts.len() - 1] + fragment.len());
    }
    let mut classes = vec![0; nodes.len()];
    let mut count = 0;
    loop {
        let mut numbers = BTreeMap::new();
        let next: Vec<usize> = nodes
            .iter()
            .map(|(index, own, targets)| {
                let of = |&t: &u32| (t != 0).then(|| classes[starts[*index] + t as usize - 1]);
                let shape = (own, targets.iter().map(of).collect::<Vec<_>>());
                let number = numbers.len();
                *numbers.entry(shape).or_insert(number)
            })
            .collect();
        classes = next;
        if numbers.len() == count {
            return starts
                .windows(2)
                .map(|range| classes[range[0]..range[1]].to_vec())
                .collect();
        }
        count = numbers.len();
    }
}

/// The number of classes among all types.
pub(super) fn count(fragments: &[&Fragment]) -> usize {
    let classes = bisimulation(fragments);
    classes.iter().flatten().collect::<BTreeSet<_>>().len()
}

/// A number for each type that is the same for bisimilar types of different graphs, sorted.
pub(super) fn shapes(fragment: &Fragment) -> Vec<u64> {
    let hash = |shape: &(Vec<u32>, Vec<u64>)| {
        let mut bytes = Vec::new();
        shape
            .0
            .iter()
            .for_each(|word| bytes.extend(word.to_ne_bytes()));
        shape.1.iter().for_each(|of| bytes.extend(of.to_ne_bytes()));
        xxhash_rust::xxh3::xxh3_64(&bytes)
    };
    let mut shapes = vec![0; fragment.len()];
    for _ in 0..=fragment.len() {
        let of = |&target: &u32| (target as usize).checked_sub(1).map_or(1, |at| shapes[at]);
        shapes = (0..fragment.len())
            .map(|local| {
                let (own, targets) = split(fragment.record(TypeId(local as u32 + 1)).unwrap());
                hash(&(own, targets.iter().map(of).collect()))
            })
            .collect();
    }
    shapes.sort_unstable();
    shapes
}

/// The name and what kind of thing it names, if forward declarations are possible of it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a new kind is no tag until something here says so"
)]
fn tag(record: &[u32]) -> Option<(u32, u32)> {
    let info = Info(record[1]);
    let space = match info.kind()? {
        Kind::Struct => 0,
        Kind::Union => 1,
        Kind::Fwd => u32::from(info.kind_flag()),
        Kind::Enum | Kind::Enum64 => 2,
        _ => return None,
    };
    (record[0] != 0).then_some((space, record[0]))
}

/// Whether a record is a forward declaration.
pub(super) fn is_announcement(record: &[u32]) -> bool {
    tag(record).is_some() && is_forward(Info(record[1]))
}

fn has_members(record: &[u32]) -> bool {
    matches!(Info(record[1]).kind(), Some(Kind::Struct | Kind::Union))
}

/// Checks that the unfolding of each type is that of what it became, but for forward declarations, which may have
/// become anything of their name. Types of a base may not even do that.
#[track_caller]
pub(super) fn check_sound(fragments: &[Fragment], result: &Result) {
    let output = result.as_fragment(&fragments[0]);
    for (index, fragment) in fragments.iter().enumerate() {
        let is_base = result.first > 1 && index == 0;
        let mut seen = BTreeSet::new();
        let mut stack: Vec<(u32, u32)> = (1..).zip(result.ids[index].iter().copied()).collect();
        while let Some((local, id)) = stack.pop() {
            if !seen.insert((local, id)) {
                continue;
            }
            let before = fragment.record(TypeId(local)).unwrap();
            if id == 0 {
                // Only what is weak, or a forward declaration of something ambiguous, need not be written.
                // Behind a base so is what has no name, as it is a part of what the base has.
                let is_part = result.first > 1 && before[0] == 0 && has_members(before);
                let may_be_lost =
                    is_announcement(before) || fragment.is_weak(TypeId(local)) || is_part;
                assert!(may_be_lost && !is_base, "{index}:{local} is lost");
                continue;
            }
            let after = output.record(TypeId(id)).expect("an id in range");
            if is_announcement(before) && !is_base {
                assert_eq!(tag(before), tag(after), "{index}:{local} → {id}");
                continue;
            }
            if is_announcement(after) && id < result.first && !is_base {
                assert_eq!(tag(before), tag(after), "{index}:{local} → {id}");
                continue;
            }
            let ((own, from), (own_after, to)) = (split(before), split(after));
            assert_eq!(own, own_after, "{index}:{local} → {id}");
            for (from, to) in from.into_iter().zip(to) {
                assert_eq!(from == 0, to == 0, "{index}:{local} → {id}");
                if from != 0 {
                    stack.push((from, to));
                }
            }
        }
    }
}

/// Checks that no two types of the output are the same, and that forward declarations stand only for what has no
/// definition or several. In a base they are definitions, as they cannot be completed.
#[track_caller]
pub(super) fn check_complete(fragments: &[Fragment], result: &Result) {
    let output = result.as_fragment(&fragments[0]);
    let base_len = result.first as usize - 1;
    let classes = &bisimulation(&[&output])[0];
    let of_base: BTreeSet<_> = classes[..base_len].iter().collect();
    let mut of_new = BTreeSet::new();
    for (at, class) in classes.iter().enumerate().skip(base_len) {
        assert!(!of_base.contains(class), "{} is in the base", at + 1);
        assert!(of_new.insert(class), "{} is there twice", at + 1);
    }
    let record = |at: usize| output.record(TypeId(at as u32 + 1)).unwrap();
    for at in (base_len..output.len()).filter(|&at| is_announcement(record(at))) {
        let defines = |&other: &usize| {
            let is_definition = other < base_len || !is_announcement(record(other));
            is_definition && tag(record(other)) == tag(record(at))
        };
        let definitions = (0..output.len()).filter(defines).count();
        assert_ne!(definitions, 1, "{} has a definition", at + 1);
    }
}
