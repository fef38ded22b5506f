//! The results of a report. They are added one by one, because all of them may need more memory than there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::configuration::{Configuration, Point, TrialKey};
use biosweep_common::grid::Grid;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::settings::Setting;
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::ids::TrialIndex;
use biosweep_common::workers::environment::NumericEnvironment;

use super::combinations::Combinations;
use crate::replicates::{REPLICATES, Replicates, UnknownSize, has_all, is_trained_with, key, part};

/// What a report says of results.
#[derive(Debug, Clone, Default)]
pub struct Record {
    only: Point,
    pub(super) replicates: Replicates,
    /// The values of each setting in the results.
    pub(super) combinations: Combinations,
    pub(super) diverged: Vec<Diverged>,
    index: BTreeMap<Vec<(Setting, String)>, usize>,
    pub(super) failed: Vec<TrialIndex>,
    /// Number of results of each numeric environment; `None` if it is not known.
    pub(super) environments: BTreeMap<Option<Arc<NumericEnvironment>>, u64>,
    pub(super) sizes: BTreeMap<String, DatasetSize>,
    pub(super) completed: u64,
    pub(super) reused: u64,
    pub(super) first: Option<First>,
    /// The first completed trial, which can be trained again.
    pub(super) first_completed: Option<TrialIndex>,
}

/// The diverged replicates of one configuration.
#[derive(Debug, Clone)]
pub(super) struct Diverged {
    /// The settings, without those that make replicates.
    pub(super) point: Point,
    pub(super) count: u64,
    /// The earliest and the latest update at which one diverged.
    pub(super) updates: (u64, u64),
    /// The first of the trials.
    pub(super) trial: TrialIndex,
}

/// The first result.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub(super) key: TrialKey,
    /// Whether its key is that of this version's numerics.
    pub(super) is_current: bool,
}

impl Record {
    /// A record of the results with all of these settings; without any, of all results.
    #[must_use]
    pub fn only(settings: Point) -> Self {
        Self { replicates: Replicates::only(settings.clone()), only: settings, ..Self::default() }
    }

    /// Adds one result. A result with other settings is ignored.
    ///
    /// # Errors
    /// A scored result on a dataset whose counts are not known.
    pub fn add(&mut self, result: &ResultView) -> Result<(), UnknownSize> {
        if !has_all(&result.point, &self.only) {
            return Ok(());
        }
        self.replicates.add(result)?;
        self.combinations.add(&result.point);
        match result.status {
            TrialStatus::Diverged => self.diverged(result),
            TrialStatus::Failed => self.failed.push(result.trial),
            TrialStatus::Completed => {
                self.completed += 1;
                self.first_completed.get_or_insert(result.trial);
            }
        }
        if let (Some(size), Some(dataset)) = (result.dataset_size, result.point.get(&Setting::Dataset)) {
            self.sizes.entry(dataset.to_string()).or_insert(size);
        }
        *self.environments.entry(result.environment.clone()).or_default() += 1;
        self.reused += u64::from(result.reused_from.is_some());
        let is_current =
            || Configuration::from_point(&result.point).is_ok_and(|configuration| configuration.key() == result.key);
        self.first.get_or_insert_with(|| First { key: result.key, is_current: is_current() });
        Ok(())
    }

    /// Counts the replicates of a grid, so that missing ones are known. This takes time in proportion to the trials.
    pub fn plan(&mut self, grid: &Grid) {
        self.replicates.plan(grid);
    }

    /// The replicates of the results.
    #[must_use]
    pub fn replicates(&self) -> &Replicates {
        &self.replicates
    }

    /// Whether a curve is of the wanted settings. The stopping rule does not belong to a curve.
    #[must_use]
    pub fn has(&self, curve: &CurveView) -> bool {
        is_trained_with(&curve.point, &self.only)
    }

    /// Whether no trial with the wanted settings has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended() == 0
    }

    pub(super) fn wanted(&self) -> &Point {
        &self.only
    }

    /// Number of results.
    pub(super) fn ended(&self) -> u64 {
        self.completed + self.diverged_count() + self.failed.len() as u64
    }

    pub(super) fn diverged_count(&self) -> u64 {
        self.diverged.iter().map(|one| one.count).sum()
    }

    fn diverged(&mut self, result: &ResultView) {
        let is_part = |setting: Setting| !REPLICATES.contains(&setting);
        let next = self.diverged.len();
        let place = *self.index.entry(key(&result.point, is_part)).or_insert(next);
        if place == next {
            let (point, updates) = (part(&result.point, is_part), (result.updates, result.updates));
            self.diverged.push(Diverged { point, count: 0, updates, trial: result.trial });
        }
        let group = &mut self.diverged[place];
        group.count += 1;
        group.updates = (group.updates.0.min(result.updates), group.updates.1.max(result.updates));
    }
}
