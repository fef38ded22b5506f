//! The trajectories of a sweep that wait to be granted, shapes by descending cost: a long one that began last would keep
//! the sweep waiting alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use biosweep_common::cost::by_descending_cost;
use biosweep_common::grid::Grid;
use biosweep_common::ids::TrajectoryIndex;

use super::intervals::IntervalSet;

/// Trajectories that wait.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    indices: IntervalSet,
    /// Runs of one shape, by descending cost; the whole grid is one run where its shapes are too many to be compared.
    runs: Arc<[Range<u64>]>,
    /// Where each run begins → its place among them.
    places: Arc<BTreeMap<u64, usize>>,
    /// The places of the runs that hold something.
    holding: BTreeSet<usize>,
}

impl Pending {
    /// All of a grid, save those in `without`: ascending, disjoint runs of (first, count).
    pub(crate) fn of(grid: &Grid, without: &[(u64, u64)]) -> Self {
        Self::over(grid, IntervalSet::below_without(grid.trajectories(), without))
    }

    /// The same of a grid that has grown, and all of what it has from this index on.
    pub(crate) fn extended(&self, grid: &Grid, from: u64) -> Self {
        let mut indices = self.indices.clone();
        indices.insert(from..grid.trajectories());
        Self::over(grid, indices)
    }

    fn over(grid: &Grid, indices: IntervalSet) -> Self {
        let whole = 0..grid.trajectories();
        let runs: Arc<[Range<u64>]> = by_descending_cost(grid).unwrap_or_else(|| vec![whole]).into();
        let places = runs.iter().enumerate().map(|(place, run)| (run.start, place)).collect();
        let holding = (0..runs.len()).filter(|&place| indices.first_in(&runs[place]).is_some()).collect();
        Self { indices, runs, places: Arc::new(places), holding }
    }

    /// The first run of neighbours that does not begin with one to be left out. They need not be of one shape where the
    /// whole grid is one run.
    pub(crate) fn first(&self, is_left_out: impl Fn(TrajectoryIndex) -> bool) -> Option<Range<u64>> {
        self.holding.iter().find_map(|&place| {
            let mut within = self.runs[place].clone();
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
        self.holding.extend(self.place(index.0));
    }

    /// Neighbours of one shape wait no longer; whether all of them did.
    pub(crate) fn remove(&mut self, run: Range<u64>) -> bool {
        let place = self.place(run.start);
        let removed = self.indices.remove(run);
        if let Some(place) = place
            && self.indices.first_in(&self.runs[place]).is_none()
        {
            self.holding.remove(&place);
        }
        removed
    }

    fn place(&self, index: u64) -> Option<usize> {
        self.places.range(..=index).next_back().map(|(_, &place)| place)
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
    pub(super) fn check(&self) -> Result<(), String> {
        for (place, run) in self.runs.iter().enumerate() {
            if self.indices.first_in(run).is_some() != self.holding.contains(&place) {
                return Err(format!("the run {run:?} holds something and is thought not to, or the other way round"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::spec::{Format, SweepSpec};

    use super::*;

    fn grid(lines: &str) -> Grid {
        let text = format!(
            "name = \"p\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\nseed = [0, 1]\n{lines}"
        );
        SweepSpec::parse(&text, Format::Toml, "p").unwrap_or_else(|errors| panic!("{errors}")).grid
    }

    #[test]
    fn the_most_expensive_shapes_come_first_and_come_back_first() {
        let mut pending = Pending::of(&grid("depth = [1, 3, 2]\n"), &[(0, 1)]);
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
        let pending = Pending::of(&grid("depth = 1\neval_every = { from = 1, to = 1_000_000 }\n"), &[(0, 5)]);
        assert_eq!((pending.first(|_| false), pending.len()), (Some(5..2_000_000), 1_999_995));
        assert_eq!(pending.first(|index| index.0 < 9), Some(9..2_000_000));
    }
}
