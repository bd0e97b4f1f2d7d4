//! The order in which changes are shown: sort by sort, kfuncs before other functions, each by name, what has none last.

use btf_core::TypeId;
use rayon::prelude::*;

use super::side::Side;
use super::{Change, name_of};

/// So many names at least are looked up by one thread at a time.
const MIN_NAMES: usize = 1024;

/// What decides about the place of a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'b> {
    /// The sort, whether it is a kfunc, and the first bytes of the name, as a number that orders as they do.
    start: u128,
    name: &'b [u8],
}

/// Finds kfuncs, and the keys of all.
pub(super) fn keys<'b>(
    (old, new): (&'b Side<'b>, &'b Side<'b>),
    changes: &mut [Change],
) -> Vec<Key<'b>> {
    let is_kfunc =
        |side: &Side<'_>, id: Option<TypeId>| id.and_then(|id| side.is_kfunc(id)) == Some(true);
    let changes = changes.par_iter_mut().with_min_len(MIN_NAMES);
    let keys = changes.map(|change| {
        change.is_kfunc = is_kfunc(old, change.old_id()) || is_kfunc(new, change.new_id());
        Key::new(change, name_of((old, new), change))
    });
    keys.collect()
}

impl<'b> Key<'b> {
    fn new(change: &Change, name: &'b [u8]) -> Self {
        let group =
            change.sort as u8 * 4 + u8::from(!change.is_kfunc) * 2 + u8::from(name.is_empty());
        let mut start = [0; 16];
        let (first, rest) = start.split_at_mut(1);
        first.fill(group);
        let len = name.len().min(rest.len());
        rest[..len].copy_from_slice(&name[..len]);
        let start = u128::from_be_bytes(start);
        Self { start, name }
    }
}

/// The indices of changes in their order, of which `keys` are the keys.
pub(super) fn of(changes: &[Change], keys: &[Key<'_>]) -> Vec<u32> {
    let starts = keys.iter().map(|key| key.start).zip(0..);
    let mut order: Vec<(u128, u32)> = starts.collect();
    order.par_sort_unstable_by(|&(a_start, a), &(b_start, b)| {
        let (a, b) = (a as usize, b as usize);
        let names = || keys[a].name.cmp(keys[b].name);
        let ids = || changes[a].ids().cmp(&changes[b].ids());
        a_start.cmp(&b_start).then_with(names).then_with(ids)
    });
    order.into_iter().map(|(_, index)| index).collect()
}
