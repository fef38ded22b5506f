//! The trials of each cell, and their outcomes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use biosweep_analysis::replicates::REPLICATES;
use biosweep_common::configuration::Point;
use biosweep_common::grid::Grid;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ids::TrialIndex;
use biosweep_scheduler::record::OutcomeRow;

use super::columns::{Axis, Column, columns};

/// The outcomes of all trials of a sweep.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// The settings of cells that vary.
    pub(super) axes: Vec<CellColumn>,
    /// The settings that are equal in all trials, but for fold and seed.
    constants: Point,
    /// The fold and the seed of each trial.
    pub(super) replicates: Vec<Column>,
    /// The trials, cell by cell; in a cell in the order of trials.
    pub(super) members: Vec<u32>,
    /// The start of each cell in `members`, and the end of the last one.
    starts: Vec<u32>,
    /// The accuracy of a guess for each trial's dataset, by the place of the dataset in its axis; one value if there is no such
    /// axis. `None` for a dataset whose counts are not known.
    guesses: Vec<Option<f64>>,
    outcomes: Vec<Option<OutcomeRow>>,
}

/// The places of values, by cell.
#[derive(Debug)]
pub(super) struct CellColumn {
    pub(super) axis: Axis,
    pub(super) places: Vec<u32>,
}

/// The counts of a cell, and its means over replicates.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Summary {
    /// Number of replicates in the grid.
    pub(crate) planned: u32,
    /// Number of completed replicates.
    pub(crate) completed: u32,
    /// Number of diverged replicates.
    pub(crate) diverged: u32,
    /// Number of failed replicates.
    pub(crate) failed: u32,
    /// Mean validation accuracy over folds; a divergence counts as a guess. `None` if no replicate has a score.
    pub(crate) validation: Option<f64>,
    /// Mean test accuracy over folds of the same replicates.
    pub(crate) test: Option<f64>,
}

impl Outcomes {
    /// The trials of a grid, without outcomes. `guess` is the accuracy of a guess on a dataset.
    pub(super) fn of(grid: &Grid, guess: impl Fn(Option<&Value>) -> Option<f64>) -> Self {
        let varying: Vec<Setting> = grid.axes().into_iter().filter(|setting| !REPLICATES.contains(setting)).collect();
        let by_trial = columns(grid, &varying);
        let replicates = columns(grid, &REPLICATES);
        let trials = replicates.first().map_or(0, |column| column.places.len());

        let mut index: HashMap<Box<[u32]>, u32> = HashMap::new();
        let mut sizes: Vec<u32> = Vec::new();
        let mut first_of: Vec<u32> = Vec::new();
        let mut cell_of = Vec::with_capacity(trials);
        for trial in 0..trials {
            let key: Box<[u32]> = by_trial.iter().map(|column| column.places[trial]).collect();
            let next = sizes.len() as u32;
            let cell = *index.entry(key).or_insert(next);
            if cell == next {
                sizes.push(0);
                first_of.push(trial as u32);
            }
            sizes[cell as usize] += 1;
            cell_of.push(cell);
        }
        let mut starts = vec![0; sizes.len() + 1];
        for (cell, size) in sizes.iter().enumerate() {
            starts[cell + 1] = starts[cell] + size;
        }
        let (mut members, mut next) = (vec![0; trials], starts.clone());
        for (trial, &cell) in cell_of.iter().enumerate() {
            members[next[cell as usize] as usize] = trial as u32;
            next[cell as usize] += 1;
        }
        let of_cells = |column: Column| CellColumn {
            places: first_of.iter().map(|&trial| column.places[trial as usize]).collect(),
            axis: column.axis,
        };
        let axes: Vec<CellColumn> = by_trial.into_iter().map(of_cells).collect();
        let mut constants = grid.point(TrialIndex(0)).unwrap_or_default();
        constants.retain(|setting, _| {
            !axes.iter().any(|column| column.axis.setting == *setting) && !REPLICATES.contains(setting)
        });
        let guesses = match axes.iter().find(|column| column.axis.setting == Setting::Dataset) {
            Some(column) => column.axis.values.iter().map(|value| guess(value.as_ref())).collect(),
            None => vec![guess(constants.get(&Setting::Dataset))],
        };
        Self { axes, constants, replicates, members, starts, guesses, outcomes: vec![None; trials] }
    }

    /// Records how a trial ended.
    pub(super) fn set(&mut self, row: &OutcomeRow) {
        if let Some(slot) = usize::try_from(row.trial.0).ok().and_then(|trial| self.outcomes.get_mut(trial)) {
            *slot = Some(*row);
        }
    }

    /// Forgets the results of these trials, which run again.
    pub(super) fn forget(&mut self, trials: Range<u64>) {
        for trial in trials {
            if let Some(slot) = usize::try_from(trial).ok().and_then(|trial| self.outcomes.get_mut(trial)) {
                *slot = None;
            }
        }
    }

    /// Number of cells.
    pub(crate) fn cells(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    /// The trials of a cell.
    pub(crate) fn trials_of(&self, cell: u32) -> &[u32] {
        let (from, to) = (self.starts[cell as usize], self.starts[cell as usize + 1]);
        &self.members[from as usize..to as usize]
    }

    /// The outcome of a trial; `None` if it has not ended.
    pub(crate) fn outcome(&self, trial: u32) -> Option<OutcomeRow> {
        self.outcomes.get(trial as usize).copied().flatten()
    }

    /// The settings that are equal in all trials, but for fold and seed.
    pub(crate) fn constants(&self) -> &Point {
        &self.constants
    }

    /// The settings of cells that vary.
    pub(crate) fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.axes.iter().map(|column| &column.axis)
    }

    /// The fold and seed axes.
    pub(crate) fn replicate_axes(&self) -> impl Iterator<Item = &Axis> {
        self.replicates.iter().map(|column| &column.axis)
    }

    /// The value of a cell on one of [`Outcomes::axes`].
    pub(crate) fn value(&self, cell: u32, axis: usize) -> Option<&Value> {
        let column = &self.axes[axis];
        column.axis.values[column.places[cell as usize] as usize].as_ref()
    }

    /// The place of a cell's value in an axis.
    pub(crate) fn place(&self, cell: u32, axis: usize) -> usize {
        self.axes[axis].places[cell as usize] as usize
    }

    /// The fold and the seed of a trial.
    pub(crate) fn replicate(&self, trial: u32) -> impl Iterator<Item = Option<&Value>> {
        self.replicates.iter().map(move |column| column.axis.values[column.places[trial as usize] as usize].as_ref())
    }

    /// The counts and means of those trials of a cell that `is_meant`.
    pub(super) fn summary(&self, cell: u32, is_meant: impl Fn(u32) -> bool, sums: &mut FoldSums) -> Summary {
        let mut summary = Summary::default();
        sums.folds.clear();
        let guess = self.guess(cell);
        for &trial in self.trials_of(cell).iter().filter(|&&trial| is_meant(trial)) {
            summary.planned += 1;
            let Some(outcome) = self.outcomes[trial as usize] else { continue };
            let scores = match outcome.status {
                TrialStatus::Completed => {
                    summary.completed += 1;
                    outcome.accuracies
                }
                TrialStatus::Diverged => {
                    summary.diverged += 1;
                    guess.map(|guess| (guess, guess))
                }
                TrialStatus::Failed => {
                    summary.failed += 1;
                    None
                }
            };
            if let Some(scores) = scores {
                sums.add(self.replicates[0].places[trial as usize], scores);
            }
        }
        if let Some((validation, test)) = sums.mean() {
            (summary.validation, summary.test) = (Some(validation), Some(test));
        }
        summary
    }

    /// The validation and the test accuracies of these trials of a cell, by fold. A divergence counts as a guess.
    pub(crate) fn accuracies(&self, cell: u32, trials: &[u32]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut folds: BTreeMap<u32, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for &trial in trials {
            let accuracies = match self.outcome(trial) {
                Some(OutcomeRow { status: TrialStatus::Completed, accuracies, .. }) => accuracies,
                Some(OutcomeRow { status: TrialStatus::Diverged, .. }) => self.guess(cell).map(|guess| (guess, guess)),
                _ => None,
            };
            if let Some((validation, test)) = accuracies {
                let fold = folds.entry(self.replicates[0].places[trial as usize]).or_default();
                fold.0.push(validation);
                fold.1.push(test);
            }
        }
        folds.into_values().unzip()
    }

    /// The accuracy of a guess in a cell.
    fn guess(&self, cell: u32) -> Option<f64> {
        let dataset = self.axes.iter().find(|column| column.axis.setting == Setting::Dataset);
        self.guesses[dataset.map_or(0, |column| column.places[cell as usize] as usize)]
    }
}

/// The sums of accuracies of each fold of one cell. It is reused from cell to cell.
#[derive(Debug, Default)]
pub(super) struct FoldSums {
    /// Fold, sums of validation and test accuracies, and their number.
    folds: Vec<(u32, f64, f64, u32)>,
}

impl FoldSums {
    fn add(&mut self, fold: u32, (validation, test): (f64, f64)) {
        match self.folds.iter_mut().find(|sums| sums.0 == fold) {
            Some(sums) => (sums.1, sums.2, sums.3) = (sums.1 + validation, sums.2 + test, sums.3 + 1),
            None => self.folds.push((fold, validation, test, 1)),
        }
    }

    /// The means over folds of the means over their seeds.
    fn mean(&self) -> Option<(f64, f64)> {
        let count = self.folds.len() as f64;
        let means = |sum: fn(&(u32, f64, f64, u32)) -> f64| {
            self.folds.iter().map(|fold| sum(fold) / f64::from(fold.3)).sum::<f64>() / count
        };
        (!self.folds.is_empty()).then(|| (means(|fold| fold.1), means(|fold| fold.2)))
    }
}
