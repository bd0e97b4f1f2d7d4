//! Grouped: values by the number of the group that each belongs to.

use super::fragment::u32_len;

/// Values of groups that are numbered from 0, as one list.
#[derive(Debug)]
pub(super) struct Grouped<T> {
    /// Where in `all` each group begins, and where the last ends.
    starts: Vec<u32>,
    all: Vec<T>,
}

impl<T: Copy + Default> Grouped<T> {
    /// Of values that come with the number of their group, which is less than `count`; those of one keep their order.
    pub(super) fn new(count: usize, values: impl Iterator<Item = (usize, T)> + Clone) -> Self {
        // Behind each place is that where the next value of the group goes, which in the end is where the next group begins.
        let mut starts = vec![0; count + 2];
        // Not `for`, which is slow where values come from lists of lists.
        values.clone().for_each(|(group, _)| starts[group + 2] += 1);
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut all = vec![T::default(); end as usize];
        values.for_each(|(group, value)| {
            let next = &mut starts[group + 1];
            all[*next as usize] = value;
            *next += 1;
        });
        starts.truncate(count + 1);
        Self { starts, all }
    }
}

impl<T> Grouped<T> {
    /// The number of groups.
    pub(super) fn len(&self) -> u32 {
        u32_len(self.starts.len() - 1)
    }

    /// The values of a group.
    pub(super) fn of(&self, group: u32) -> &[T] {
        let [start, end] = [0, 1].map(|next| self.starts[group as usize + next] as usize);
        &self.all[start..end]
    }

    /// The values of each group, which may change.
    pub(super) fn groups_mut(&mut self) -> Vec<&mut [T]> {
        let mut rest = &mut self.all[..];
        let lens = self.starts.windows(2).map(|ends| ends[1] - ends[0]);
        let take = |len: u32| {
            let (group, behind) = std::mem::take(&mut rest).split_at_mut(len as usize);
            rest = behind;
            group
        };
        lens.map(take).collect()
    }

    /// All values, group by group.
    pub(super) fn into_all(self) -> Vec<T> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_its_values_in_their_order() {
        let values = [(3, 'a'), (0, 'b'), (3, 'c'), (1, 'd'), (0, 'e')];
        let mut grouped = Grouped::new(5, values.into_iter());
        let groups: Vec<String> = (0..grouped.len())
            .map(|g| grouped.of(g).iter().collect())
            .collect();
        assert_eq!(groups, ["be", "d", "", "ac", ""]);
        grouped.groups_mut()[3].reverse();
        assert_eq!(grouped.into_all(), ['b', 'e', 'd', 'c', 'a']);
        assert_eq!(Grouped::<u32>::new(0, std::iter::empty()).len(), 0);
    }
}
