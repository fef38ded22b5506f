//! A sweep as runs of an MLflow tracking server: one run for each trial.
//!
//! | what | in MLflow |
//! |---|---|
//! | the sweep's name | the experiment |
//! | the settings | params |
//! | the learning curve and the accuracies at the best validation | metrics, whose step is the update |
//! | the sweep, the trial, its status and its origin | tags that begin with `biosweep.` |
//!
//! All times are derived from the submission and the training time. So a metric that is sent again is equal to the first
//! one, and a server does not store it twice. [`requests`] has the requests to the server and its answers.

pub mod requests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView, SweepView};
use biosweep_common::vocabulary::ids::TrialIndex;

use super::runs::{self, CURVE, RESULT, values};
use crate::replicates::is_trained_with;

/// Every metric that a run may have.
pub const METRICS: [&str; CURVE.len() + RESULT.len()] = [CURVE[0], CURVE[1], CURVE[2], RESULT[0], RESULT[1]];

/// The tags that identify a run: the id of the sweep, and the number of the trial in it.
pub const SWEEP_TAG: &str = "biosweep.sweep";
/// See [`SWEEP_TAG`].
pub const TRIAL_TAG: &str = "biosweep.trial";
/// The tag with the status of the trial. It changes if a failed trial is retried.
pub const STATUS_TAG: &str = "biosweep.status";

/// Bytes that every store of a server takes: of a param's value, and of a tag's value.
const PARAM_BYTES_MAX: usize = 6_000;
const TAG_BYTES_MAX: usize = 5_000;

/// A name with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
}

/// One value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name: one of [`METRICS`].
    pub key: &'static str,
    /// The value; not finite if training diverged.
    pub value: f64,
    /// The update.
    pub step: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// The run of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The trial.
    pub trial: TrialIndex,
    /// The name, such as `bp-nn-relu-5 trial 17`.
    pub name: String,
    /// The status of the trial.
    pub status: TrialStatus,
    /// Start and end, in milliseconds since 1970.
    pub start_ms: u64,
    /// See `start_ms`.
    pub end_ms: u64,
    /// The tags.
    pub tags: Vec<Pair>,
    /// The settings.
    pub params: Vec<Pair>,
    /// The metrics, each at most once at a step.
    pub metrics: Vec<Metric>,
}

/// Makes the runs of a sweep: first all results are added, then all curves, both in order.
pub struct Mlflow {
    sweep: String,
    submitted_ms: u64,
    version: &'static str,
    trials: BTreeMap<TrialIndex, ResultView>,
}

impl Mlflow {
    /// An export of a sweep by a version of the program.
    #[must_use]
    pub fn new(sweep: &SweepView, version: &'static str) -> Self {
        let SweepView { id, submitted_at, .. } = sweep;
        Self { sweep: id.to_string(), submitted_ms: submitted_at.0, version, trials: BTreeMap::new() }
    }

    /// Adds a result.
    pub fn add(&mut self, result: ResultView) {
        self.trials.insert(result.trial, result);
    }

    /// The runs of the trials of a trajectory. `next` is the first trial of the next curve.
    pub fn curve(&mut self, curve: &CurveView, next: Option<TrialIndex>) -> Vec<Run> {
        let after = self.trials.range(curve.first_trial..);
        let own = after
            .take_while(|(index, _)| next.is_none_or(|next| **index < next))
            .take_while(|(_, trial)| is_trained_with(&curve.point, &trial.point));
        let own: Vec<TrialIndex> = own.map(|(&index, _)| index).collect();
        let trials = own.into_iter().filter_map(|index| self.trials.remove(&index));
        let trials: Vec<ResultView> = trials.collect();
        trials.iter().map(|trial| self.run(trial, &curve.points)).collect()
    }

    /// The runs of trials without a curve.
    #[must_use]
    pub fn finish(self) -> Vec<Run> {
        self.trials.values().map(|trial| self.run(trial, &[])).collect()
    }

    fn run(&self, trial: &ResultView, points: &[CurvePoint]) -> Run {
        let milliseconds = |update| {
            let seconds = runs::seconds_until(update, trial.updates, trial.seconds);
            self.submitted_ms + (1_000.0 * seconds) as u64
        };
        let mut metrics = Vec::new();
        for point in points.iter().filter(|point| runs::is_evaluation(point, &trial.point, trial.updates)) {
            let (step, timestamp_ms) = (point.update, milliseconds(point.update));
            let measured = CURVE.into_iter().zip(values(point)).filter_map(|(key, value)| Some((key, value?)));
            metrics.extend(measured.map(|(key, value)| Metric { key, value, step, timestamp_ms }));
        }
        let result = match (trial.score, trial.status) {
            (Some(score), _) => Some((score.best_update, [score.validation_accuracy, score.test_accuracy])),
            // As in Parquet. Otherwise a trial that diverged before its first evaluation would have no metric.
            (None, TrialStatus::Diverged) => Some((trial.updates, [f64::NAN; RESULT.len()])),
            (None, TrialStatus::Completed | TrialStatus::Failed) => None,
        };
        if let Some((step, accuracies)) = result {
            let timestamp_ms = milliseconds(step);
            let accuracies = RESULT.into_iter().zip(accuracies);
            metrics.extend(accuracies.map(|(key, value)| Metric { key, value, step, timestamp_ms }));
        }
        Run {
            trial: trial.trial,
            name: format!("{} trial {}", runs::place(&trial.point), trial.trial.0),
            status: trial.status,
            start_ms: self.submitted_ms,
            end_ms: milliseconds(trial.updates.max(1)),
            tags: self.tags(trial),
            params: trial.point.iter().map(|(setting, value)| pair(setting.name(), value, PARAM_BYTES_MAX)).collect(),
            metrics,
        }
    }

    fn tags(&self, trial: &ResultView) -> Vec<Pair> {
        let mut tags = vec![
            (SWEEP_TAG, self.sweep.clone()),
            (TRIAL_TAG, trial.trial.0.to_string()),
            (STATUS_TAG, trial.status.name().to_owned()),
            ("biosweep.key", trial.key.to_string()),
            ("biosweep.version", self.version.to_owned()),
            ("biosweep.updates", trial.updates.to_string()),
            ("biosweep.attempts", trial.attempts.to_string()),
            ("biosweep.seconds", trial.seconds.to_string()),
            ("biosweep.worker", trial.worker_name.clone()),
        ];
        tags.extend(trial.reused_from.map(|source| ("biosweep.reused_from", source.to_string())));
        if let Some(environment) = &trial.environment {
            let class = environment.class();
            tags.push(("biosweep.device", class.device.to_owned()));
            tags.push(("biosweep.cpu_class", class.instructions.to_owned()));
            tags.push(("biosweep.libtorch", class.libtorch.to_owned()));
        }
        // A server refuses tags without a value.
        let filled = tags.into_iter().filter(|(_, value)| !value.is_empty());
        filled.map(|(key, value)| pair(key, value, TAG_BYTES_MAX)).collect()
    }
}

/// A pair whose value has at most so many bytes. A cut value ends with an ellipsis.
fn pair(key: &str, value: impl ToString, bytes_max: usize) -> Pair {
    const ELLIPSIS: char = '…';
    let mut value = value.to_string();
    if value.len() > bytes_max {
        value.truncate(value.floor_char_boundary(bytes_max - ELLIPSIS.len_utf8()));
        value.push(ELLIPSIS);
    }
    Pair { key: key.to_owned(), value }
}
