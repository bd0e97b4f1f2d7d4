//! Which member or parameter of an old item has become which of the new one.

use std::hash::Hasher as _;

use btf_core::dedup::MulHasher;
use btf_core::types::Param;

use super::super::leaves::Leaf;
use super::super::queues::Queues;

/// For each new member the index of the old one that it was: by name, or else by place and type.
pub(super) fn pair_leaves(olds: &[Leaf], news: &[Leaf]) -> Vec<Option<usize>> {
    // Most structures change somewhere behind their start.
    let start = olds.iter().zip(news);
    let start = start.take_while(|(old, new)| old.path == new.path).count();
    let mut is_left = vec![true; olds.len()];
    is_left[..start].fill(false);
    let mut old_of: Vec<_> = (0..start).map(Some).collect();
    old_of.resize(news.len(), None);
    let mut pair = |key: fn(&Leaf) -> u64| {
        if !is_left.contains(&true) || !old_of.contains(&None) {
            return;
        }
        let left = olds.iter().enumerate().filter(|&(index, _)| is_left[index]);
        let mut left = Queues::new(left.map(|(index, leaf)| (key(leaf), index)));
        for (leaf, old) in news.iter().zip(&mut old_of) {
            if old.is_none()
                && let Some(index) = left.take(key(leaf))
            {
                is_left[index] = false;
                *old = Some(index);
            }
        }
    };
    pair(|leaf| leaf.path);
    pair(|leaf| {
        let mut hasher = MulHasher::default();
        hasher.write_u64(leaf.meaning);
        hasher.write_u64(u64::from(leaf.bit_offset) << 32 | u64::from(leaf.bits.unwrap_or(0)));
        hasher.finish()
    });
    old_of
}

/// Which parameter has become which: what is alike at the start and at the end stays, the rest goes by name, then by position.
pub(super) fn align(
    olds: &[(Param, u64, u64)],
    news: &[(Param, u64, u64)],
) -> Vec<(Option<usize>, Option<usize>)> {
    let is_alike = |a: usize, b: usize| olds[a].1 == news[b].1 || olds[a].2 == news[b].2;
    let short = olds.len().min(news.len());
    if olds.len() == news.len() {
        return (0..short).map(|index| (Some(index), Some(index))).collect();
    }
    let same = |a: usize, b: usize| olds[a].1 == news[b].1 && olds[a].2 == news[b].2;
    let start = (0..short).take_while(|&index| same(index, index)).count();
    let (old_len, new_len) = (olds.len(), news.len());
    let end = (1..=short - start)
        .take_while(|&back| same(old_len - back, new_len - back))
        .count();
    let mut pairs: Vec<_> = (0..start).map(|index| (Some(index), Some(index))).collect();
    // In between: the next with the same name or type, in order.
    let (mut a, mut b) = (start, start);
    let (old_end, new_end) = (old_len - end, new_len - end);
    while a < old_end || b < new_end {
        let left = (old_end - a, new_end - b);
        if left.0 > 0 && left.1 > 0 && (left.0 == left.1 || is_alike(a, b)) {
            pairs.push((Some(a), Some(b)));
            a += 1;
            b += 1;
        } else if left.0 > left.1 {
            pairs.push((Some(a), None));
            a += 1;
        } else {
            pairs.push((None, Some(b)));
            b += 1;
        }
    }
    pairs.extend(
        (1..=end)
            .rev()
            .map(|back| (Some(old_len - back), Some(new_len - back))),
    );
    pairs
}
