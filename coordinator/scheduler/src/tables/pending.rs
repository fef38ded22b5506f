//! The pending trajectories of a sweep, by descending cost of their shapes: an expensive shape that began last would keep the
//! sweep waiting alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use biosweep_common::cost::by_descending_cost;
use biosweep_common::grid::{Grid, GridIndex};
use biosweep_common::ids::TrajectoryIndex;
use biosweep_common::spec::SweepSpec;

use crate::tables::intervals::IntervalSet;

/// A spec, with what is computed once from its whole grid: an index of its trajectories, and the order of its shapes by cost.
///
/// The order takes seconds where a grid has thousands of shapes. It is computed before the event that brings the sweep, and
/// never in the scheduler.
#[derive(Debug, Clone)]
pub struct PreparedSpec {
    /// The spec.
    pub spec: Arc<SweepSpec>,
    /// The trajectories of its grid, by their settings.
    pub index: Arc<GridIndex>,
    pub(crate) order: Arc<CostOrder>,
}

impl PreparedSpec {
    /// Prepares a spec.
    #[must_use]
    pub fn new(spec: impl Into<Arc<SweepSpec>>) -> Self {
        let spec = spec.into();
        let (index, order) = (GridIndex::of(&spec.grid), CostOrder::of(&spec.grid));
        Self { spec, index: Arc::new(index), order: Arc::new(order) }
    }
}

/// The runs of one shape of a grid, by descending cost.
#[derive(Debug)]
pub(crate) struct CostOrder {
    /// The number of trajectories.
    trajectories: u64,
    /// The runs. The whole grid is one run where its shapes are too many to be compared.
    runs: Vec<Range<u64>>,
    /// The first index of each run → its position among the runs.
    positions: BTreeMap<u64, usize>,
}

impl CostOrder {
    fn of(grid: &Grid) -> Self {
        let trajectories = grid.trajectories();
        let whole = 0..trajectories;
        let runs = by_descending_cost(grid).unwrap_or_else(|| vec![whole]);
        let positions = runs.iter().enumerate().map(|(position, run)| (run.start, position)).collect();
        Self { trajectories, runs, positions }
    }

    /// The position of the run that an index lies in.
    fn position(&self, index: u64) -> Option<usize> {
        self.positions.range(..=index).next_back().map(|(_, &position)| position)
    }
}

/// Trajectories that wait to be granted.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    indices: IntervalSet,
    order: Arc<CostOrder>,
    /// The positions of the runs that hold something.
    holding: BTreeSet<usize>,
}

impl Pending {
    /// All of a grid, save those in `without`: ascending, disjoint runs of (first, count).
    pub(crate) fn of(order: Arc<CostOrder>, without: &[(u64, u64)]) -> Self {
        let indices = IntervalSet::below_without(order.trajectories, without);
        Self::over(order, indices)
    }

    /// The same of a grid that has grown, and all of what it has from this index on.
    pub(crate) fn extended(&self, order: Arc<CostOrder>, from: u64) -> Self {
        let mut indices = self.indices.clone();
        indices.insert(from..order.trajectories);
        Self::over(order, indices)
    }

    fn over(order: Arc<CostOrder>, indices: IntervalSet) -> Self {
        let holds = |run: &Range<u64>| indices.first_in(run).is_some();
        let holding =
            order.runs.iter().enumerate().filter(|(_, run)| holds(run)).map(|(position, _)| position).collect();
        Self { indices, order, holding }
    }

    /// The first run of neighbours that does not begin with one to be left out. They need not be of one shape where the
    /// whole grid is one run.
    pub(crate) fn first(&self, is_left_out: impl Fn(TrajectoryIndex) -> bool) -> Option<Range<u64>> {
        self.holding.iter().find_map(|&position| {
            let mut within = self.order.runs[position].clone();
            loop {
                let run = self.indices.first_in(&within)?;
                if !is_left_out(TrajectoryIndex(run.start)) {
                    return Some(run);
                }
                within.start = run.start + 1;
            }
        })
    }

    /// One more waits.
    pub(crate) fn insert(&mut self, index: TrajectoryIndex) {
        self.indices.insert(index.0..index.0 + 1);
        self.holding.extend(self.order.position(index.0));
    }

    /// Neighbours of one shape wait no longer; whether all of them did.
    pub(crate) fn remove(&mut self, run: Range<u64>) -> bool {
        let position = self.order.position(run.start);
        let removed = self.indices.remove(run);
        if let Some(position) = position
            && self.indices.first_in(&self.order.runs[position]).is_none()
        {
            self.holding.remove(&position);
        }
        removed
    }

    /// Whether a trajectory waits.
    pub(crate) fn contains(&self, index: TrajectoryIndex) -> bool {
        self.indices.contains(index.0)
    }

    /// How many wait.
    pub(crate) const fn len(&self) -> u64 {
        self.indices.len()
    }

    /// Whether none waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Whether it knows which runs hold something.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (position, run) in self.order.runs.iter().enumerate() {
            if self.indices.first_in(run).is_some() != self.holding.contains(&position) {
                return Err(format!("the run {run:?} holds something and is thought not to, or the other way round"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::spec::Format;

    use super::*;

    fn order(lines: &str) -> Arc<CostOrder> {
        let text = format!(
            "name = \"p\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\nseed = [0, 1]\n{lines}"
        );
        PreparedSpec::new(SweepSpec::parse(&text, Format::Toml, "p").unwrap_or_else(|errors| panic!("{errors}"))).order
    }

    #[test]
    fn the_most_expensive_shapes_come_first_and_come_back_first() {
        let mut pending = Pending::of(order("depth = [1, 3, 2]\n"), &[(0, 1)]);
        let mut order = Vec::new();
        while let Some(run) = pending.first(|_| false) {
            assert!(pending.remove(run.clone()));
            order.push(run);
            pending.check().expect("sound");
        }
        assert_eq!(order, [2..4, 4..6, 1..2]);
        assert_eq!((pending.len(), pending.is_empty()), (0, true));
        pending.insert(TrajectoryIndex(0));
        pending.insert(TrajectoryIndex(3));
        pending.check().expect("sound");
        assert_eq!((pending.first(|_| false), pending.len()), (Some(3..4), 2));
        let but = |left_out: &[u64]| pending.first(|index| left_out.contains(&index.0));
        assert_eq!([but(&[0]), but(&[3]), but(&[0, 3])], [Some(3..4), Some(0..1), None]);
        assert!(pending.contains(TrajectoryIndex(0)) && !pending.contains(TrajectoryIndex(1)));
        assert!(!pending.remove(0..2), "1 does not wait");
        pending.holding.clear();
        assert!(pending.check().is_err_and(|broken| broken.contains("2..4")), "the first run that holds something");
    }

    #[test]
    fn shapes_too_many_to_be_compared_go_in_the_order_of_the_grid() {
        let pending = Pending::of(order("depth = 1\neval_every = { from = 1, to = 1_000_000 }\n"), &[(0, 5)]);
        assert_eq!((pending.first(|_| false), pending.len()), (Some(5..2_000_000), 1_999_995));
        assert_eq!(pending.first(|index| index.0 < 9), Some(9..2_000_000));
    }
}
