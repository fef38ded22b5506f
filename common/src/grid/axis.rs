//! An axis: the values of one setting in a block. A range is never expanded, whatever its length.

use std::collections::HashSet;
use std::ops::Range;

use super::progression::Progression;
use crate::settings::{Setting, Value};

/// The maximum number of pieces of a range after exclusions. Each piece costs memory, and time at each lookup.
const PIECES_MAX: u64 = 10_000;

/// An exclusion would cut a range into more pieces than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFine {
    /// The setting with the range.
    pub setting: Setting,
}

/// The values of one setting, in order, without repetition.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Values in a list.
    List(Vec<Value>),
    /// Whole numbers `from`, `from + step`, …, `count` of them.
    Range {
        /// The first number.
        from: u64,
        /// The difference of two neighbours, at least 1.
        step: u64,
        /// The number of values, at least 1.
        count: u64,
    },
}

impl Axis {
    /// The number of values.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::List(values) => values.len() as u64,
            Self::Range { count, .. } => *count,
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a position, which must be below [`Axis::len`].
    #[must_use]
    pub fn value(&self, place: u64) -> Value {
        match self {
            Self::List(values) => values[usize::try_from(place).expect("positions in a list fit in memory")].clone(),
            Self::Range { from, step, .. } => Value::Integer(from + place * step),
        }
    }

    /// The positions with one of these values, as ranges; `None` if they are more than allowed.
    pub(super) fn places_of(&self, values: &Self) -> Option<Vec<Range<u64>>> {
        match (self, values) {
            (Self::List(own), Self::List(values)) => {
                let meant: HashSet<String> = values.iter().map(Value::to_string).collect();
                Some(runs((0..).zip(own).filter(|(_, value)| meant.contains(&value.to_string())).map(|(at, _)| at)))
            }
            (Self::List(own), Self::Range { .. }) => {
                Some(runs((0..).zip(own).filter(|(_, value)| values.place(value).is_some()).map(|(at, _)| at)))
            }
            (Self::Range { .. }, Self::List(values)) => {
                let mut places: Vec<u64> = values.iter().filter_map(|value| self.place(value)).collect();
                places.sort_unstable();
                places.dedup();
                Some(runs(places))
            }
            (Self::Range { from, step, .. }, Self::Range { .. }) => {
                let Some(common) = self.progression()?.common(values.progression()?) else { return Some(Vec::new()) };
                let first = (common.from - from) / step;
                if common.count == 1 || common.step == *step {
                    let run = first..first + common.count;
                    return Some(Vec::from([run]));
                }
                let stride = common.step / step;
                (common.count <= PIECES_MAX)
                    .then(|| (0..common.count).map(|n| first + n * stride).map(|place| place..place + 1).collect())
            }
        }
    }

    /// The axis as a progression; `None` for a list.
    pub(super) const fn progression(&self) -> Option<Progression> {
        match self {
            Self::List(_) => None,
            Self::Range { from, step, count } => Some(Progression { from: *from, step: *step, count: *count }),
        }
    }

    /// The first position of a value.
    #[must_use]
    pub fn place(&self, value: &Value) -> Option<u64> {
        match (self, value) {
            (Self::List(values), _) => values.iter().position(|other| other == value).map(|place| place as u64),
            (Self::Range { from, step, count }, Value::Integer(number)) => {
                let distance = number.checked_sub(*from)?;
                (distance % step == 0 && distance / step < *count).then_some(distance / step)
            }
            (Self::Range { .. }, _) => None,
        }
    }
}

/// Axes that advance together: one axis, or a zipped group with equal lengths.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    axes: Vec<(Setting, Axis)>,
    /// The positions in use, as ranges: ascending, disjoint and not empty.
    places: Vec<Range<u64>>,
}

impl Dimension {
    /// A dimension with all positions of these axes in use. The axes have one length, which is not zero.
    #[must_use]
    pub fn new(axes: Vec<(Setting, Axis)>) -> Self {
        let length = axes.first().map_or(0, |(_, axis)| axis.len());
        debug_assert!(axes.iter().all(|(_, axis)| axis.len() == length), "zipped axes are of one length");
        let whole = 0..length;
        Self { axes, places: Vec::from([whole]) }
    }

    /// A copy with other positions in use; `None` if there are none.
    #[must_use]
    pub(super) fn with_places(&self, places: Vec<Range<u64>>) -> Option<Self> {
        (!places.is_empty()).then(|| Self { axes: self.axes.clone(), places })
    }

    /// The positions in use, as ascending, disjoint ranges.
    #[must_use]
    pub fn places(&self) -> &[Range<u64>] {
        &self.places
    }

    /// The axes.
    #[must_use]
    pub fn axes(&self) -> &[(Setting, Axis)] {
        &self.axes
    }

    /// The axis of a setting.
    #[must_use]
    pub fn axis(&self, setting: Setting) -> Option<&Axis> {
        self.axes.iter().find(|(other, _)| *other == setting).map(|(_, axis)| axis)
    }

    /// Whether a position is in use.
    pub(super) fn uses(&self, place: u64) -> bool {
        let after = self.places.partition_point(|run| run.end <= place);
        self.places.get(after).is_some_and(|run| run.contains(&place))
    }

    /// The number of positions in use.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.places.iter().map(|run| run.end - run.start).sum()
    }

    /// Whether no position is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The settings at the `digit`-th position in use; `digit` is below [`Dimension::len`].
    pub fn values(&self, digit: u64) -> impl Iterator<Item = (Setting, Value)> {
        let place = nth(&self.places, digit).expect("a digit is below its dimension's length");
        self.axes.iter().map(move |(setting, axis)| (*setting, axis.value(place)))
    }

    /// The most significant of its settings. Dimensions are ordered by it.
    #[must_use]
    pub fn significance(&self) -> Setting {
        self.axes.iter().map(|(setting, _)| *setting).min().expect("a dimension has an axis")
    }
}

/// Ascending positions as ranges.
pub(super) fn runs(places: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for place in places {
        match runs.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

/// The `n`-th position of ascending, disjoint ranges.
fn nth(runs: &[Range<u64>], mut n: u64) -> Option<u64> {
    for run in runs {
        let length = run.end - run.start;
        if n < length {
            return Some(run.start + n);
        }
        n -= length;
    }
    None
}

/// The positions in both.
pub(super) fn intersection(left: &[Range<u64>], right: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut both = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (left.get(i), right.get(j)) {
        let common = a.start.max(b.start)..a.end.min(b.end);
        if !common.is_empty() {
            both.push(common);
        }
        if a.end < b.end { i += 1 } else { j += 1 }
    }
    both
}

/// The positions of `left` that are not in `right`.
pub(super) fn difference(left: &[Range<u64>], right: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut rest = Vec::new();
    let mut cuts = right.iter().peekable();
    for run in left {
        let mut start = run.start;
        while let Some(cut) = cuts.peek().filter(|cut| cut.start < run.end) {
            if cut.start > start {
                rest.push(start..cut.start);
            }
            start = start.max(cut.end);
            if cut.end > run.end {
                break;
            }
            cuts.next();
        }
        if start < run.end {
            rest.push(start..run.end);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some_runs() -> impl Strategy<Value = Vec<Range<u64>>> {
        prop::collection::btree_set(0_u64..30, 0..20).prop_map(runs)
    }

    fn flat(runs: &[Range<u64>]) -> Vec<u64> {
        runs.iter().cloned().flatten().collect()
    }

    proptest! {
        #[test]
        fn intersection_and_difference_are_those_of_sets(left in some_runs(), right in some_runs()) {
            let (l, r) = (flat(&left), flat(&right));
            let both: Vec<u64> = l.iter().copied().filter(|place| r.contains(place)).collect();
            let rest: Vec<u64> = l.iter().copied().filter(|place| !r.contains(place)).collect();
            prop_assert_eq!(flat(&intersection(&left, &right)), both);
            prop_assert_eq!(flat(&difference(&left, &right)), rest);
        }
    }

    #[test]
    fn the_positions_of_values_are_found_in_lists_and_ranges() {
        let list = |numbers: &[u64]| Axis::List(numbers.iter().copied().map(Value::Integer).collect());
        let range = Axis::Range { from: 5, step: 3, count: 4 };
        let own = list(&[14, 5, 6, 11, 5]);
        assert_eq!(flat(&range.places_of(&own).expect("few")), [0, 2, 3]);
        assert_eq!(flat(&own.places_of(&range).expect("few")), [0, 1, 3, 4]);
        assert_eq!(flat(&own.places_of(&list(&[5, 6])).expect("few")), [1, 2, 4]);
        let sixes = Axis::Range { from: 2, step: 6, count: 3 };
        assert_eq!(flat(&range.places_of(&sixes).expect("few")), [1, 3]);
        let long = Axis::Range { from: 0, step: 1, count: 1_000_000_000 };
        assert_eq!(long.places_of(&long).map(|runs| runs.len()), Some(1));
        assert_eq!(long.places_of(&Axis::Range { from: 0, step: 2, count: 400_000_000 }), None, "too many to keep");
    }

    #[test]
    fn a_range_finds_the_position_of_a_value() {
        let axis = Axis::Range { from: 5, step: 3, count: 4 };
        assert_eq!((0..4).map(|place| axis.value(place)).collect::<Vec<_>>(), [5, 8, 11, 14].map(Value::Integer));
        assert_eq!(axis.place(&Value::Integer(11)), Some(2));
        assert_eq!(axis.place(&Value::Integer(12)), None);
        assert_eq!(axis.place(&Value::Integer(17)), None);
    }
}
