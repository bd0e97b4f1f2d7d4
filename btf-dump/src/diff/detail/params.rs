//! What has changed between two prototypes.

use btf_core::types::{FuncProto, Param};

use super::super::side::Side;
use super::Detail;

/// What has become of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamChange {
    /// The position, from 0, and the old one; `None` if it was added.
    pub old: Option<(usize, Param)>,
    /// The new one; `None` if it was removed.
    pub new: Option<(usize, Param)>,
    /// It has another name.
    pub is_renamed: bool,
    /// It has another type.
    pub is_retyped: bool,
}

impl Detail {
    /// Adds what has changed between two prototypes.
    pub(super) fn compare_protos(
        &mut self,
        (old, new): (&Side<'_>, &Side<'_>),
        (a, b): (FuncProto<'_>, FuncProto<'_>),
    ) {
        if old.meaning(a.result) != new.meaning(b.result) {
            self.result = Some((a.result, b.result));
        }
        let meanings = |side: &Side<'_>, proto: FuncProto<'_>| {
            let params = proto.params();
            let params =
                params.map(|param| (param, side.name_hash(param.name), side.meaning(param.ty)));
            params.collect::<Vec<_>>()
        };
        let (olds, news) = (meanings(old, a), meanings(new, b));
        for (old, new) in align(&olds, &news) {
            let (was, is) = (old.map(|index| olds[index]), new.map(|index| news[index]));
            let both = was.zip(is);
            let is_renamed = both.is_some_and(|(was, is)| was.1 != is.1);
            let is_retyped = both.is_some_and(|(was, is)| was.2 != is.2);
            if both.is_none() || is_renamed || is_retyped {
                self.params.push(ParamChange {
                    old: old.zip(was.map(|was| was.0)),
                    new: new.zip(is.map(|is| is.0)),
                    is_renamed,
                    is_retyped,
                });
            }
        }
    }
}

/// Which parameter has become which: what is alike at the start and at the end stays, the rest goes by name, then by position.
fn align(
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
