//! What exports with one run a trial share: the names of metrics, and the evaluations of a trial.
//!
//! Trials that differ only in their stopping rule share a trajectory and its curve. Each has its own part of it.

use biosweep_common::configuration::Point;
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::settings::{Setting, Value};

/// The metrics of a learning curve.
pub(super) const CURVE: [&str; 3] = ["train_loss", "validation_accuracy", "test_accuracy"];
/// The metrics of a result, at the update of the best validation accuracy.
pub(super) const RESULT: [&str; 2] = ["result/validation_accuracy", "result/test_accuracy"];

/// The place of a trial in its sweep, for names: `bp-nn-relu-5`.
pub(super) fn place(point: &Point) -> String {
    let place = [Setting::Rule, Setting::Network, Setting::Activation, Setting::Depth];
    place.iter().filter_map(|setting| point.get(setting)).map(Value::to_string).collect::<Vec<_>>().join("-")
}

/// The values of an evaluation, in the order of [`CURVE`].
pub(super) fn values(point: &CurvePoint) -> [Option<f64>; CURVE.len()] {
    [Some(point.train_loss), Some(point.validation_accuracy), point.test_accuracy]
}

/// Whether an evaluation of the trajectory is one of a trial with these settings, which ended after `updates`.
pub(super) fn is_evaluation(point: &CurvePoint, settings: &Point, updates: u64) -> bool {
    let integer = |setting| match settings.get(&setting) {
        Some(&Value::Integer(number)) => Some(number),
        _ => None,
    };
    let is_regular = integer(Setting::EvalEvery).is_none_or(|every| point.update.is_multiple_of(every));
    point.update <= updates && (is_regular || integer(Setting::MaxUpdates) == Some(point.update))
}

/// Seconds of training until an update: its share of the trial's `seconds`.
pub(super) fn seconds_until(update: u64, updates: u64, seconds: f64) -> f64 {
    seconds * (update as f64 / updates.max(1) as f64)
}
