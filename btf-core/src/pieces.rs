//! Pieces: work on what is long, a piece on each thread.

use std::ops::Range;

/// Calls `work` with pieces of a range, none longer than `len`, on the threads of rayon's current pool; the results are in the
/// order of the pieces.
pub(crate) fn in_pieces<T: Send>(
    range: Range<usize>,
    len: usize,
    work: &(impl Fn(Range<usize>) -> T + Sync),
) -> Vec<T> {
    if range.len() <= len.max(1) {
        return vec![work(range)];
    }
    let middle = range.start + range.len() / 2;
    let (mut first, second) = join(
        || in_pieces(range.start..middle, len, work),
        || in_pieces(middle..range.end, len, work),
    );
    first.extend(second);
    first
}

/// What is shorter is sorted by the thread that asks, as another would be woken for too little.
#[cfg(feature = "parallel")]
const MIN_SORTED: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Sorts on the threads of rayon's current pool, if that pays. What is equal changes places.
#[cfg(feature = "parallel")]
pub(crate) fn sort<T: Ord + Send>(all: &mut [T]) {
    use rayon::slice::ParallelSliceMut;
    if all.len() < MIN_SORTED {
        all.sort_unstable();
    } else {
        all.par_sort_unstable();
    }
}

/// Calls `work` with each, on the threads of rayon's current pool.
#[cfg(feature = "parallel")]
pub(crate) fn for_each_mut<T: Send>(all: &mut [T], work: impl Fn(&mut T) + Send + Sync) {
    use rayon::prelude::*;
    all.par_iter_mut().for_each(work);
}

/// Without threads.
#[cfg(not(feature = "parallel"))]
pub(crate) fn for_each_mut<T: Send>(all: &mut [T], work: impl Fn(&mut T) + Send + Sync) {
    all.iter_mut().for_each(work);
}

/// Without threads.
#[cfg(not(feature = "parallel"))]
pub(crate) fn sort<T: Ord>(all: &mut [T]) {
    all.sort_unstable();
}

#[cfg(feature = "parallel")]
pub(crate) use rayon::join;

/// Without threads: one after the other.
#[cfg(not(feature = "parallel"))]
pub(crate) fn join<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    (a(), b())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_their_order_and_leave_nothing_out() {
        for (range, len) in [(0..0, 1), (0..1, 1), (3..100, 7), (0..64, 64), (0..9, 0)] {
            let pieces = in_pieces(range.clone(), len, &|piece: Range<usize>| piece);
            let all: Vec<usize> = pieces.iter().cloned().flatten().collect();
            assert!(range.clone().eq(all), "{range:?} in pieces of {len}");
            assert!(pieces.iter().all(|piece| piece.len() <= len.max(1)));
        }
    }
}
