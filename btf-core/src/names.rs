//! Finds the types of a name: by binary search if the BTF is sorted by name, else by an index that is.
//!
//! Names may overlap in the string section, so comparing all of them in full can take the square of the section's
//! size. Two bounds keep hostile input cheap: the index orders names by their first bytes only, and checking the order
//! has a budget.

use std::cmp::Ordering;

use crate::ids::{StrOffset, TypeId};
use crate::reader::Btf;
use crate::strings::{string_at, string_start};

/// How many bytes of a name the index orders by; no name that kernels accept is longer (`KSYM_NAME_LEN`).
const KEY_LEN: usize = 512;

/// How many times the size of the string section may be read to find out whether long names are sorted.
const BUDGET_FACTOR: usize = 4;

/// The order of the types by name.
#[derive(Debug)]
pub(crate) struct NameIndex {
    /// The own types in the order of their names, then ids, by index; `None` if the types themselves are sorted.
    order: Option<Vec<u32>>,
}

impl NameIndex {
    pub(crate) fn of(btf: &Btf) -> Self {
        if first_unsorted(btf).is_none() {
            return Self { order: None };
        }
        let mut keyed: Vec<_> = (0..)
            .zip(btf.records())
            .filter_map(|(index, (_, record)): (u32, _)| {
                let tail = btf.string_tail(StrOffset(*record.first()?))?;
                Some((prefix(tail), index))
            })
            .map(|(name, index)| (first_bytes(name), name, index))
            .collect();
        keyed.sort_unstable();
        let order = keyed.into_iter().map(|(_, _, index)| index).collect();
        Self { order: Some(order) }
    }

    pub(crate) fn is_sorted(&self) -> bool {
        self.order.is_none()
    }

    /// The own types of `btf` that have that name, in ascending order.
    pub(crate) fn find<'a>(
        &'a self,
        btf: &'a Btf,
        name: &[u8],
    ) -> impl Iterator<Item = TypeId> + use<'a> {
        let len = match &self.order {
            Some(order) => order.len(),
            None => btf.starts().len().saturating_sub(1),
        };
        let key = name.get(..KEY_LEN).unwrap_or(name);
        let tail_at = |at| self.name_tail(btf, at).unwrap_or_default();
        let start = lower_bound(len, |at| prefix(tail_at(at)) < key);
        // Names that agree in the first bytes only stand together, not ordered further.
        let end = start + lower_bound(len - start, |at| prefix(tail_at(start + at)) <= key);
        let found: Vec<_> = (start..end)
            .filter(|&at| has_name(tail_at(at), name))
            .map(|at| btf.own_id(self.type_index(at)))
            .collect();
        found.into_iter()
    }

    fn type_index(&self, at: usize) -> usize {
        match &self.order {
            Some(order) => order.get(at).map_or(usize::MAX, |&index| index as usize),
            None => at,
        }
    }

    /// The string section from the name of the type at `at` of the order.
    fn name_tail<'a>(&self, btf: &'a Btf, at: usize) -> Option<&'a [u8]> {
        let start = *btf.starts().get(self.type_index(at))? as usize;
        btf.string_tail(StrOffset(*btf.words().get(start)?))
    }
}

/// The number of leading positions below `len` for which `is_before` holds.
fn lower_bound(len: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The first bytes of the string that `tail` starts with.
fn prefix(tail: &[u8]) -> &[u8] {
    string_start(tail, KEY_LEN)
}

/// The first eight bytes as a number that orders as they do, which spares most comparisons their memory access.
fn first_bytes(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(name) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

/// Whether `tail` starts with the string `name`.
pub(crate) fn has_name(tail: &[u8], name: &[u8]) -> bool {
    tail.strip_prefix(name)
        .is_some_and(|rest| rest.first() == Some(&0))
        && !name.contains(&0)
}

/// The first own type whose name comes before that of the type before it.
pub(crate) fn first_unsorted(btf: &Btf) -> Option<TypeId> {
    let mut budget = btf
        .chain()
        .map(|btf| btf.string_bytes().len())
        .sum::<usize>()
        .saturating_mul(BUDGET_FACTOR);
    let mut before = (StrOffset::EMPTY, &[0][..]);
    for (id, record) in btf.records() {
        let name = StrOffset(record.first().copied().unwrap_or(0));
        if name == before.0 {
            continue;
        }
        let Some(tail) = btf.string_tail(name) else {
            return Some(id);
        };
        if !in_order(before.1, tail, &mut budget) {
            return Some(id);
        }
        before = (name, tail);
    }
    None
}

/// Whether the string at the start of `a` comes not behind that of `b`; `false` when the budget is used up.
fn in_order(a: &[u8], b: &[u8], budget: &mut usize) -> bool {
    match prefix(a).cmp(prefix(b)) {
        Ordering::Less => return true,
        Ordering::Greater => return false,
        Ordering::Equal => {}
    }
    if prefix(a).len() < KEY_LEN {
        return true;
    }
    let (a, b) = (string_at(a, 0), string_at(b, 0));
    let cost = a.map_or(0, <[u8]>::len) + b.map_or(0, <[u8]>::len);
    let Some(left) = budget.checked_sub(cost) else {
        return false;
    };
    *budget = left;
    a <= b
}
