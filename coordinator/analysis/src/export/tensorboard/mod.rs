//! TensorBoard event files of a sweep: a run for each trial, a run for each group of replicates, the hyper-parameters at
//! the root.
//!
//! A *group* is the set of trials that differ only in `fold` and `seed`: a candidate of a cell. Its folder has one folder for
//! each trial and the folder `mean`, with the means over the replicates that were evaluated at an update and their
//! number. A mean is NaN if a replicate diverged. A trial has the evaluations of its own stopping rule only.
//!
//! Names and times are derived from the data: an event has the time of the sweep's submission plus the share of the
//! training time at its update. So a second export is equal to the last byte. Memory is that of the means: about 80
//! bytes for each group and evaluation.

mod events;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView, SweepView};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ids::TrialIndex;
use prost_types::value::Kind as AnyKind;

use super::column::{Column, Kind};
use super::rows::settings;
use super::runs::{self, CURVE, RESULT, values};
use crate::replicates::{REPLICATES, is_trained_with, key};
use events::Events;
use messages::{
    Experiment, HParamInfo, HParamType, HParamsData, MetricInfo, MetricName, SessionEndInfo, SessionStartInfo,
    SessionStatus,
};

/// An event file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFile {
    /// The folder of the run below the root, such as `bp-nn-relu-5-1/trial-0`; empty for the root.
    pub run: String,
    /// The name of the file.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Makes the event files of a sweep: first all results are added, then all curves, both in order.
pub struct TensorBoard {
    name: String,
    submitted_ms: u64,
    groups: Vec<Group>,
    index: BTreeMap<Vec<(Setting, String)>, usize>,
    trials: BTreeMap<TrialIndex, Trial>,
}

struct Group {
    name: String,
    point: Point,
    means: BTreeMap<u64, Means>,
}

/// The sums at one update: of the wall time and of each value of a curve.
#[derive(Clone, Copy, Default)]
struct Means {
    replicates: u64,
    time: f64,
    sums: [(f64, u64); CURVE.len()],
}

struct Trial {
    group: usize,
    replicate: Point,
    status: TrialStatus,
    score: Option<Score>,
    updates: u64,
    seconds: f64,
}

impl TensorBoard {
    /// An export of a sweep.
    #[must_use]
    pub fn new(sweep: &SweepView) -> Self {
        Self {
            name: sweep.name.clone(),
            submitted_ms: sweep.submitted_at.0,
            groups: Vec::new(),
            index: BTreeMap::new(),
            trials: BTreeMap::new(),
        }
    }

    /// Adds a result.
    pub fn add(&mut self, result: &ResultView) {
        let (replicate, point): (Point, Point) =
            result.point.clone().into_iter().partition(|(setting, _)| REPLICATES.contains(setting));
        let number = self.groups.len();
        let group = *self.index.entry(key(&point, |_| true)).or_insert(number);
        if group == number {
            let name = group_name(&point, number + 1);
            self.groups.push(Group { name, point, means: BTreeMap::new() });
        }
        let ResultView { status, score, updates, seconds, .. } = *result;
        self.trials.insert(result.trial, Trial { group, replicate, status, score, updates, seconds });
    }

    /// The files of the trials of a trajectory. `next` is the first trial of the next curve.
    pub fn curve(&mut self, curve: &CurveView, next: Option<TrialIndex>) -> Vec<EventFile> {
        let Self { groups, trials, submitted_ms, .. } = self;
        let start = *submitted_ms as f64 / 1_000.0;
        let (mut files, mut done) = (Vec::new(), Vec::new());
        let from = curve.first_trial;
        for (&index, trial) in trials.range(from..).take_while(|(index, _)| next.is_none_or(|next| **index < next)) {
            let Some(group) = groups.get_mut(trial.group) else { break };
            if !trial.is_of(group, curve) {
                break;
            }
            let mut events = trial.start(group, start);
            let is_own = |point: &&CurvePoint| runs::is_evaluation(point, &group.point, trial.updates);
            for point in curve.points.iter().filter(is_own) {
                let (time, values) = (trial.time(start, point.update), values(point));
                events.scalars(point.update, time, &tagged(&values));
                group.means.entry(point.update).or_default().add(time, &values);
            }
            files.push(trial.end(events, group, start, index, *submitted_ms));
            done.push(index);
        }
        // What is left at the end are the trials without a curve.
        for trial in done {
            trials.remove(&trial);
        }
        files
    }

    /// The other files: those of trials without a curve, of the means, and of the root.
    #[must_use]
    pub fn finish(self) -> Vec<EventFile> {
        let start = self.submitted_ms as f64 / 1_000.0;
        let mut files = Vec::new();
        for (index, trial) in &self.trials {
            if let Some(group) = self.groups.get(trial.group) {
                files.push(trial.end(trial.start(group, start), group, start, *index, self.submitted_ms));
            }
        }
        for group in &self.groups {
            let mut events = Events::new(start);
            for (&update, means) in &group.means {
                let means_of = means.sums.map(|(sum, count)| (count > 0).then(|| sum / count as f64));
                let mut values = tagged(&means_of).to_vec();
                values.push(("replicates", Some(means.replicates as f64)));
                events.scalars(update, means.time / means.replicates as f64, &values);
            }
            files.push(file(format!("{}/mean", group.name), events, self.submitted_ms));
        }
        let mut root = Events::new(start);
        root.hparams("experiment", start, HParamsData::Experiment(experiment(self.name, start)));
        files.push(file(String::new(), root, self.submitted_ms));
        files
    }
}

impl Means {
    fn add(&mut self, time: f64, values: &[Option<f64>; CURVE.len()]) {
        self.replicates += 1;
        self.time += time;
        for ((sum, count), value) in self.sums.iter_mut().zip(values) {
            if let Some(value) = value {
                *sum += value;
                *count += 1;
            }
        }
    }
}

impl Trial {
    /// Whether the trial belongs to the trajectory of a curve.
    fn is_of(&self, group: &Group, curve: &CurveView) -> bool {
        is_trained_with(&curve.point, group.point.iter().chain(&self.replicate))
    }

    /// Seconds since 1970 at an update.
    fn time(&self, start: f64, update: u64) -> f64 {
        start + runs::seconds_until(update, self.updates, self.seconds)
    }

    fn start(&self, group: &Group, start: f64) -> Events {
        let mut events = Events::new(start);
        let hparams = group.point.iter().chain(&self.replicate);
        let info = SessionStartInfo {
            hparams: hparams.map(|(setting, value)| (setting.name().to_owned(), any(value))).collect(),
            group_name: group.name.clone(),
            start_time_secs: start,
        };
        events.hparams("session_start_info", start, HParamsData::SessionStart(info));
        events
    }

    fn end(&self, mut events: Events, group: &Group, start: f64, index: TrialIndex, submitted_ms: u64) -> EventFile {
        if let Some(score) = self.score {
            let values = [score.validation_accuracy, score.test_accuracy].map(Some);
            let tagged: Vec<_> = RESULT.into_iter().zip(values).collect();
            events.scalars(score.best_update, self.time(start, score.best_update), &tagged);
        }
        let status = match self.status {
            TrialStatus::Completed => SessionStatus::Success,
            TrialStatus::Diverged | TrialStatus::Failed => SessionStatus::Failure,
        };
        let end = start + self.seconds;
        let info = SessionEndInfo { status: status.into(), end_time_secs: end };
        events.hparams("session_end_info", end, HParamsData::SessionEnd(info));
        file(format!("{}/trial-{}", group.name, index.0), events, submitted_ms)
    }
}

fn tagged(values: &[Option<f64>; CURVE.len()]) -> [(&'static str, Option<f64>); CURVE.len()] {
    std::array::from_fn(|place| (CURVE[place], values[place]))
}

fn file(run: String, events: Events, submitted_ms: u64) -> EventFile {
    let name = format!("events.out.tfevents.{:010}.biosweep", submitted_ms / 1_000);
    EventFile { run, name, bytes: events.into_bytes() }
}

/// The name of a group: its place and a number that makes it unique.
fn group_name(point: &Point, number: usize) -> String {
    format!("{}-{number}", runs::place(point))
}

/// A value of a setting for the plugin: texts, real numbers and flags; lists are texts.
fn any(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Name(name) => AnyKind::StringValue(name.clone().into_owned()),
        &Value::Integer(number) => AnyKind::NumberValue(number as f64),
        &Value::Real(number) => AnyKind::NumberValue(number),
        Value::Integers(_) => AnyKind::StringValue(value.to_string()),
        &Value::Flag(flag) => AnyKind::BoolValue(flag),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The hyper-parameters and metrics of the sweep.
fn experiment(name: String, start: f64) -> Experiment {
    let info = |setting: &Setting| HParamInfo {
        name: setting.name().to_owned(),
        description: setting.meaning().to_owned(),
        r#type: match Column::of(*setting).kind {
            Kind::Text | Kind::Integers => HParamType::Text,
            Kind::Integer | Kind::Real => HParamType::Real,
            Kind::Flag => HParamType::Flag,
        }
        .into(),
    };
    Experiment {
        time_created_secs: start,
        hparam_infos: settings().iter().map(info).collect(),
        metric_infos: RESULT.map(|tag| MetricInfo { name: Some(MetricName { tag: tag.to_owned() }) }).into(),
        name,
    }
}
