//! The items of a side, by label.
//!
//! Labels are hashes: their first bits tell items into heaps while they are found, each of which is sorted in the processor's cache.

use rayon::prelude::*;

use super::Item;

/// How many bits of a label tell which heap it belongs to.
const BITS: u32 = 10;

/// Fewer items are one heap.
const MANY: usize = 1 << 14;

/// So many heaps at least are sorted by one thread at a time.
const MIN_HEAPS: usize = 64;

/// Items in the order of their labels, those of one label in the order of their ids.
#[derive(Debug, Default)]
pub(in super::super) struct Items {
    /// One heap, or one for each value of the first bits.
    heaps: Vec<Vec<Item>>,
}

impl Items {
    /// Sorts about `count` items.
    pub(super) fn sorted(items: impl Iterator<Item = Item>, count: usize) -> Self {
        let bits = if count < MANY { 0 } else { BITS };
        let mean = count >> bits;
        // Some are larger than others.
        let room = mean + mean / 4;
        let mut heaps: Vec<_> = (0..1 << bits).map(|_| Vec::with_capacity(room)).collect();
        for item in items {
            let heap = item.label.unbounded_shr(u64::BITS - bits);
            if let Some(heap) = usize::try_from(heap)
                .ok()
                .and_then(|heap| heaps.get_mut(heap))
            {
                heap.push(item);
            }
        }
        // Sides are made one a thread, and one of them is done first.
        let all = heaps.par_iter_mut().with_min_len(MIN_HEAPS);
        all.for_each(|heap| heap.sort_unstable_by_key(|item| (item.label, item.id)));
        Self { heaps }
    }

    /// All items.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.heaps.iter().flatten()
    }

    /// The items of one label.
    pub(super) fn labelled(&self, label: u64) -> &[Item] {
        let bits = self.heaps.len().max(1).ilog2();
        let heap = label.unbounded_shr(u64::BITS - bits);
        let heap = usize::try_from(heap)
            .ok()
            .and_then(|heap| self.heaps.get(heap));
        let heap = heap.map_or(&[][..], Vec::as_slice);
        let start = heap.partition_point(|item| item.label < label);
        let own = heap.get(start..).unwrap_or_default();
        let len = own.partition_point(|item| item.label == label);
        own.get(..len).unwrap_or_default()
    }

    /// The items of two sides in parts: what is in one part of one side has its like in the same part of the other one.
    pub(in super::super) fn parts<'i>(&'i self, other: &'i Self) -> Vec<[&'i [Item]; 2]> {
        let count = self.heaps.len().max(other.heaps.len());
        let parts = self.slices(count).zip(other.slices(count));
        parts.map(|(own, others)| [own, others]).collect()
    }

    /// The items in as many slices as there may be heaps.
    fn slices(&self, count: usize) -> impl Iterator<Item = &[Item]> {
        let bits = count.max(1).ilog2();
        let indices = (0_u64..).take(count);
        let mut heaps = self.heaps.iter();
        indices.map(move |index| match self.heaps.as_slice() {
            [heap] => {
                let is_before = |item: &Item| item.label.unbounded_shr(u64::BITS - bits) < index;
                let start = heap.partition_point(is_before);
                let rest = heap.get(start..).unwrap_or_default();
                let is_in = |item: &Item| item.label.unbounded_shr(u64::BITS - bits) == index;
                rest.get(..rest.partition_point(is_in)).unwrap_or_default()
            }
            _ => heaps.next().map_or(&[][..], Vec::as_slice),
        })
    }
}

#[cfg(test)]
mod tests {
    use btf_core::TypeId;

    use super::super::Sort;
    use super::*;

    /// Items of which every third label is there twice or more.
    fn items(count: u32) -> Vec<Item> {
        let label = |id: u32| u64::from(id / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let ids = (1..=count).rev();
        let items = ids.map(|id| Item {
            label: label(id),
            content: 0,
            id: TypeId(id),
            sort: Sort::Struct,
        });
        items.collect()
    }

    fn key(item: &Item) -> (u64, TypeId) {
        (item.label, item.id)
    }

    #[test]
    fn items_are_sorted_and_found_by_label() {
        for count in [0, 1, 100, 20_000] {
            let all = items(count);
            let mut expect: Vec<_> = all.iter().map(key).collect();
            expect.sort_unstable();
            let sorted = Items::sorted(all.iter().copied(), all.len());
            assert!(sorted.iter().map(key).eq(expect.iter().copied()), "{count}");
            for item in all.iter().step_by(all.len() / 100 + 1) {
                let like = expect.iter().filter(|(label, _)| *label == item.label);
                let found = sorted.labelled(item.label).iter().map(key);
                assert!(found.eq(like.copied()), "{count}");
            }
            assert!(sorted.labelled(1).is_empty());
        }
    }

    #[test]
    fn parts_of_many_and_few_items_fit_together() {
        let [none, few, many] = [0, 100, 20_000].map(|count| {
            let all = items(count);
            Items::sorted(all.iter().copied(), all.len())
        });
        for (a, b) in [(&none, &many), (&few, &many), (&many, &few), (&few, &few)] {
            let parts = a.parts(b);
            let sides = [a, b].map(|side| side.iter().map(key).collect::<Vec<_>>());
            for (index, all) in sides.iter().enumerate() {
                let parted = parts.iter().flat_map(|part| part[index]).map(key);
                assert!(parted.eq(all.iter().copied()));
            }
            for [own, others] in &parts {
                for item in *own {
                    let like = b.labelled(item.label).len();
                    let found = others.iter().filter(|other| other.label == item.label);
                    assert_eq!(found.count(), like);
                }
            }
        }
    }
}
