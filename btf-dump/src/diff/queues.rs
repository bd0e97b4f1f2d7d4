//! Things by a number, of which each is taken once and the first of equals first.

/// The indices of a list, by a key of 64 bits.
#[derive(Debug)]
pub(super) struct Queues {
    /// The keys with their indices, in order.
    sorted: Vec<(u64, usize)>,
    /// How many have been taken of those with one key, at the place of their first one.
    taken: Vec<usize>,
}

impl Queues {
    pub(super) fn new(keys: impl Iterator<Item = (u64, usize)>) -> Self {
        let mut sorted: Vec<_> = keys.collect();
        sorted.sort_unstable();
        let taken = vec![0; sorted.len()];
        Self { sorted, taken }
    }

    /// Takes the first index of a key that has not been taken.
    pub(super) fn take(&mut self, key: u64) -> Option<usize> {
        let first = self.sorted.partition_point(|&(other, _)| other < key);
        let taken = self.taken.get_mut(first)?;
        let &(found, index) = self.sorted.get(first + *taken)?;
        (found == key).then(|| {
            *taken += 1;
            index
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_are_taken_in_order() {
        let keys = [7, 3, 7, 9, 3, 7];
        let mut queues = Queues::new(keys.into_iter().zip(0..));
        let taken = [7, 7, 3, 8, 7, 7, 3, 3, 9, 10, 0].map(|key| queues.take(key));
        let expect = [0, 2, 1, 99, 5, 99, 4, 99, 3, 99, 99];
        assert_eq!(taken, expect.map(|index| (index != 99).then_some(index)));
    }
}
