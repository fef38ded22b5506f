//! A set of indices kept as disjoint intervals: its cost follows its fragments, not its size.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of `u64`s. No two of its intervals touch, none is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IntervalSet {
    /// Start → end (exclusive).
    intervals: BTreeMap<u64, u64>,
}

impl IntervalSet {
    /// All indices below `end`, save those in `without`: ascending, disjoint runs of (first, count).
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

    /// Adds a run of indices; those already there stay.
    pub(crate) fn insert(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let (mut start, mut end) = (run.start, run.end);
        while let Some((&other_start, &other_end)) = self.intervals.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.intervals.remove(&other_start);
            (start, end) = (start.min(other_start), end.max(other_end));
        }
        self.intervals.insert(start, end);
    }

    /// Removes one index; whether it was there.
    pub(crate) fn remove(&mut self, index: u64) -> bool {
        let Some((&start, &end)) = self.intervals.range(..=index).next_back() else { return false };
        if index >= end {
            return false;
        }
        self.intervals.remove(&start);
        self.insert(start..index);
        self.insert(index + 1..end);
        true
    }

    /// Whether an index is there.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.intervals.range(..=index).next_back().is_some_and(|(_, &end)| index < end)
    }

    /// The least interval.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.intervals.first_key_value().map(|(&start, &end)| start..end)
    }

    /// Removes and returns the least `count` indices of the least interval, or all of it where it has fewer.
    pub(crate) fn take_first(&mut self, count: u64) -> Option<Range<u64>> {
        let (start, end) = self.intervals.pop_first()?;
        let taken_end = end.min(start.saturating_add(count));
        self.insert(taken_end..end);
        Some(start..taken_end)
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.intervals.is_empty()
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
        fn the_intervals_hold_what_a_plain_set_holds(
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
                        prop_assert_eq!(set.contains(at), plain.contains(&at));
                        prop_assert_eq!(set.remove(at), plain.remove(&at));
                    }
                    _ => if let Some(run) = set.take_first(count.max(1)) {
                        for index in run {
                            prop_assert_eq!(plain.pop_first(), Some(index));
                        }
                    },
                }
                prop_assert_eq!(&indices(&set), &plain);
                let ends: Vec<_> = set.intervals.iter().collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "no two intervals touch: {:?}", ends);
            }
        }
    }

    #[test]
    fn what_is_done_is_left_out() {
        let set = IntervalSet::below_without(10, &[(0, 2), (5, 1), (8, 2)]);
        assert_eq!(indices(&set), BTreeSet::from([2, 3, 4, 6, 7]));
        assert!(IntervalSet::below_without(3, &[(0, 3)]).is_empty());
    }

    #[test]
    fn a_billion_indices_are_one_interval() {
        let mut set = IntervalSet::below_without(1_000_000_000, &[]);
        assert_eq!(set.take_first(4), Some(0..4));
        assert_eq!(set.first(), Some(4..1_000_000_000));
        assert_eq!(set.intervals.len(), 1);
    }
}
