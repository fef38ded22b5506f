//! A set of indices, stored as disjoint intervals. Its memory and time depend on the number of intervals, not of indices.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of `u64`s. No two intervals touch, and no interval is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet {
    /// Start → end (exclusive).
    intervals: BTreeMap<u64, u64>,
    len: u64,
}

impl IntervalSet {
    /// All indices below `end` that are not in `without`: ascending, disjoint runs of (first, count).
    pub(crate) fn below_without(end: u64, without: &[(u64, u64)]) -> Self {
        let mut set = Self::default();
        let mut next = 0;
        for &(first, count) in without {
            set.insert(next..first.min(end));
            next = next.max(first.saturating_add(count));
        }
        set.insert(next..end);
        set
    }

    /// Adds a run of indices. Some of them may already be in the set.
    pub(crate) fn insert(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let (mut start, mut end) = (run.start, run.end);
        while let Some((&other_start, &other_end)) = self.intervals.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.drop_interval(other_start);
            (start, end) = (start.min(other_start), end.max(other_end));
        }
        self.intervals.insert(start, end);
        self.len += end - start;
    }

    fn drop_interval(&mut self, start: u64) {
        if let Some(end) = self.intervals.remove(&start) {
            self.len -= end - start;
        }
    }

    /// Removes a run of indices; does nothing and returns `false` if any of them is not in the set.
    pub(crate) fn remove(&mut self, run: Range<u64>) -> bool {
        let Some((&start, &end)) = self.intervals.range(..=run.start).next_back() else { return false };
        if run.is_empty() || run.end > end {
            return false;
        }
        self.drop_interval(start);
        self.insert(start..run.start);
        self.insert(run.end..end);
        true
    }

    /// Whether an index is in the set.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.intervals.range(..=index).next_back().is_some_and(|(_, &end)| index < end)
    }

    /// The first interval of the set's indices within `run`.
    pub(crate) fn first_in(&self, run: &Range<u64>) -> Option<Range<u64>> {
        if run.is_empty() {
            return None;
        }
        let before = self.intervals.range(..run.start).next_back().filter(|&(_, &end)| end > run.start);
        let (&start, &end) = before.or_else(|| self.intervals.range(run.clone()).next())?;
        Some(start.max(run.start)..end.min(run.end))
    }

    /// The number of indices.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the set is empty.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn indices(set: &IntervalSet) -> BTreeSet<u64> {
        set.intervals.iter().flat_map(|(&start, &end)| start..end).collect()
    }

    proptest! {
        #[test]
        fn an_interval_set_equals_a_plain_set(
            steps in prop::collection::vec((0_u8..3, 0_u64..40, 0_u64..8), 0..60),
        ) {
            let (mut set, mut plain) = (IntervalSet::default(), BTreeSet::new());
            for (kind, at, count) in steps {
                match kind {
                    0 => {
                        set.insert(at..at + count);
                        plain.extend(at..at + count);
                    }
                    1 => {
                        let is_there = count > 0 && (at..at + count).all(|index| plain.contains(&index));
                        prop_assert_eq!(set.contains(at), plain.contains(&at));
                        prop_assert_eq!(set.remove(at..at + count), is_there);
                        if is_there {
                            plain.retain(|index| !(at..at + count).contains(index));
                        }
                    }
                    _ => {
                        let start = plain.range(at..at + count).next().copied();
                        let end = |start| (start..at + count).find(|index| !plain.contains(index)).unwrap_or(at + count);
                        prop_assert_eq!(set.first_in(&(at..at + count)), start.map(|start| start..end(start)));
                    }
                }
                prop_assert_eq!((set.len(), set.is_empty()), (plain.len() as u64, plain.is_empty()));
                prop_assert_eq!(&indices(&set), &plain);
                let ends: Vec<_> = set.intervals.iter().collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "no two intervals touch: {:?}", ends);
            }
        }
    }

    #[test]
    fn finished_runs_are_left_out() {
        let set = IntervalSet::below_without(10, &[(0, 2), (5, 1), (8, 2)]);
        assert_eq!(indices(&set), BTreeSet::from([2, 3, 4, 6, 7]));
        assert!(IntervalSet::below_without(3, &[(0, 3)]).is_empty());
    }

    #[test]
    fn a_billion_indices_are_one_interval() {
        let mut set = IntervalSet::below_without(1_000_000_000, &[]);
        assert!(set.remove(0..4));
        assert_eq!(set.first_in(&(0..u64::MAX)), Some(4..1_000_000_000));
        assert_eq!(set.intervals.len(), 1);
    }
}
