//! The pending trajectories of a sweep, by descending cost of their shapes. An expensive shape that began last would delay the
//! end of the sweep while the other workers are idle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use biosweep_common::grid::{Grid, GridIndex};
use biosweep_common::plan::cost::by_descending_cost;
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::TrajectoryIndex;

use crate::tables::intervals::IntervalSet;

/// A spec, with two tables that are computed once from its whole grid: an index of its trajectories, and the order of its shapes
/// by cost.
///
/// The order takes seconds if a grid has thousands of shapes. The caller computes it before it sends the event, so that the
/// scheduler does not block.
#[derive(Debug, Clone)]
pub struct PreparedSpec {
    /// The spec.
    pub spec: Arc<SweepSpec>,
    /// The trajectories of the grid, by their settings.
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

/// The runs of a grid by descending cost. A run has neighbouring trajectories of one shape.
#[derive(Debug)]
pub(crate) struct CostOrder {
    /// The number of trajectories.
    trajectories: u64,
    /// The runs. If a grid has too many shapes to compare, the whole grid is one run.
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

    /// The position of the run that contains an index.
    fn position(&self, index: u64) -> Option<usize> {
        self.positions.range(..=index).next_back().map(|(_, &position)| position)
    }
}

/// Trajectories that are not leased, done or awaited.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    indices: IntervalSet,
    order: Arc<CostOrder>,
    /// The positions of the runs with pending trajectories.
    nonempty: BTreeSet<usize>,
}

impl Pending {
    /// All trajectories of a grid that are not in `without`: ascending, disjoint runs of (first, count).
    pub(crate) fn of(order: Arc<CostOrder>, without: &[(u64, u64)]) -> Self {
        let indices = IntervalSet::below_without(order.trajectories, without);
        Self::over(order, indices)
    }

    /// The same trajectories in an extended grid, plus all of its trajectories from index `from` on.
    pub(crate) fn extended(&self, order: Arc<CostOrder>, from: u64) -> Self {
        let mut indices = self.indices.clone();
        indices.insert(from..order.trajectories);
        Self::over(order, indices)
    }

    fn over(order: Arc<CostOrder>, indices: IntervalSet) -> Self {
        let holds = |run: &Range<u64>| indices.first_in(run).is_some();
        let nonempty =
            order.runs.iter().enumerate().filter(|(_, run)| holds(run)).map(|(position, _)| position).collect();
        Self { indices, order, nonempty }
    }

    /// The first run of pending neighbours, in the order of cost. It does not begin with a trajectory that is left out. If the
    /// whole grid is one run, the neighbours may differ in shape.
    pub(crate) fn first(&self, is_left_out: impl Fn(TrajectoryIndex) -> bool) -> Option<Range<u64>> {
        self.nonempty.iter().find_map(|&position| {
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

    /// Adds a trajectory.
    pub(crate) fn insert(&mut self, index: TrajectoryIndex) {
        self.indices.insert(index.0..index.0 + 1);
        self.nonempty.extend(self.order.position(index.0));
    }

    /// Removes neighbours of one shape; does nothing and returns `false` if any of them is not pending.
    pub(crate) fn remove(&mut self, run: Range<u64>) -> bool {
        let position = self.order.position(run.start);
        let removed = self.indices.remove(run);
        if let Some(position) = position
            && self.indices.first_in(&self.order.runs[position]).is_none()
        {
            self.nonempty.remove(&position);
        }
        removed
    }

    /// Whether a trajectory is pending.
    pub(crate) fn contains(&self, index: TrajectoryIndex) -> bool {
        self.indices.contains(index.0)
    }

    /// The number of pending trajectories.
    pub(crate) const fn len(&self) -> u64 {
        self.indices.len()
    }

    /// Whether no trajectory is pending.
    pub(crate) const fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Checks the list of runs with pending trajectories.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (position, run) in self.order.runs.iter().enumerate() {
            if self.indices.first_in(run).is_some() != self.nonempty.contains(&position) {
                return Err(format!("the list of runs with pending trajectories is wrong about the run {run:?}"));
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
    fn the_most_expensive_pending_shape_is_always_first() {
        let mut pending = Pending::of(order("depth = [1, 3, 2]\n"), &[(0, 1)]);
        let mut order = Vec::new();
        while let Some(run) = pending.first(|_| false) {
            assert!(pending.remove(run.clone()));
            order.push(run);
            pending.check().expect("the list is correct");
        }
        assert_eq!(order, [2..4, 4..6, 1..2]);
        assert_eq!((pending.len(), pending.is_empty()), (0, true));
        pending.insert(TrajectoryIndex(0));
        pending.insert(TrajectoryIndex(3));
        pending.check().expect("the list is correct");
        assert_eq!((pending.first(|_| false), pending.len()), (Some(3..4), 2));
        let but = |left_out: &[u64]| pending.first(|index| left_out.contains(&index.0));
        assert_eq!([but(&[0]), but(&[3]), but(&[0, 3])], [Some(3..4), Some(0..1), None]);
        assert!(pending.contains(TrajectoryIndex(0)) && !pending.contains(TrajectoryIndex(1)));
        assert!(!pending.remove(0..2), "trajectory 1 is not pending");
        pending.nonempty.clear();
        assert!(
            pending.check().is_err_and(|broken| broken.contains("2..4")),
            "the first run with a pending trajectory"
        );
    }

    #[test]
    fn too_many_shapes_are_granted_in_the_order_of_the_grid() {
        let pending = Pending::of(order("depth = 1\neval_every = { from = 1, to = 1_000_000 }\n"), &[(0, 5)]);
        assert_eq!((pending.first(|_| false), pending.len()), (Some(5..2_000_000), 1_999_995));
        assert_eq!(pending.first(|index| index.0 < 9), Some(9..2_000_000));
    }
}
