//! The requests to an MLflow tracking server and its answers, as JSON of its REST API, version 2.0.

use std::collections::BTreeSet;

use biosweep_common::results::outcome::TrialStatus;
use serde_json::{Value, json};

use super::{Metric, Pair, Run, STATUS_TAG, SWEEP_TAG, TRIAL_TAG};

/// The limits of one call of `runs/log-batch`.
const METRICS_MAX: usize = 1_000;
const PARAMS_MAX: usize = 100;
const TAGS_MAX: usize = 100;
const ITEMS_MAX: usize = 1_000;
const BYTES_MAX: usize = 1_000_000;
/// Bytes of a call of `runs/log-batch` without its items, and of the comma after an item.
const FRAME_BYTES: usize = 1_000;
const COMMA_BYTES: usize = 1;
/// Runs of a page of a search. A run has some ten kilobytes.
const PAGE_RUNS: u64 = 500;
/// Values of a page of a metric's history.
pub const PAGE_VALUES: u64 = 10_000;

/// A run that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRun {
    /// Its id on the server.
    pub id: String,
    /// The trial, by the tag.
    pub trial: u64,
    /// Whether it has all of its trial, which had this status.
    pub complete: Option<TrialStatus>,
}

/// The status of a run whose trial ended so.
const fn status(status: TrialStatus) -> &'static str {
    match status {
        TrialStatus::Completed => "FINISHED",
        // MLflow has no status for a divergence. The tag tells it apart.
        TrialStatus::Diverged => "KILLED",
        TrialStatus::Failed => "FAILED",
    }
}

/// The body of `experiments/create`.
#[must_use]
pub fn experiment(name: &str) -> Value {
    json!({ "name": name })
}

/// The body of `runs/search` for the runs of a sweep, or of one trial of it.
#[must_use]
pub fn search(experiment_id: &str, sweep: &str, trial: Option<u64>, page_token: Option<&str>) -> Value {
    let mut filter = format!("tags.`{SWEEP_TAG}` = '{sweep}'");
    if let Some(trial) = trial {
        filter += &format!(" and tags.`{TRIAL_TAG}` = '{trial}'");
    }
    let mut body = json!({
        "experiment_ids": [experiment_id],
        "filter": filter,
        "run_view_type": "ACTIVE_ONLY",
        "max_results": PAGE_RUNS,
    });
    if let Some(token) = page_token {
        body["page_token"] = token.into();
    }
    body
}

/// The runs in an answer of `runs/search`. Runs without the tag of a trial are left out.
#[must_use]
pub fn found(answer: &Value) -> Vec<FoundRun> {
    let run = |run: &Value| {
        let tag = |key: &str| {
            let tags = run["data"]["tags"].as_array()?;
            tags.iter().find(|tag| tag["key"] == key)?["value"].as_str()
        };
        let ended = tag(STATUS_TAG).and_then(TrialStatus::from_name);
        let id = run["info"]["run_id"].as_str()?.to_owned();
        let complete = ended.filter(|ended| run["info"]["status"] == status(*ended));
        Some(FoundRun { id, trial: tag(TRIAL_TAG)?.parse().ok()?, complete })
    };
    answer["runs"].as_array().into_iter().flatten().filter_map(run).collect()
}

/// The token of the next page of an answer; `None` on the last page.
#[must_use]
pub fn next_page(answer: &Value) -> Option<&str> {
    answer["next_page_token"].as_str().filter(|token| !token.is_empty())
}

/// The steps in an answer of `metrics/get-history`.
#[must_use]
pub fn steps(answer: &Value) -> BTreeSet<u64> {
    let step = |metric: &Value| match &metric["step"] {
        Value::String(digits) => digits.parse().ok(),
        // A server leaves out a zero.
        Value::Null => Some(0),
        number => number.as_u64(),
    };
    answer["metrics"].as_array().into_iter().flatten().filter_map(step).collect()
}

/// The body of `runs/create`. The run has only what identifies it, so that a broken export finds it.
#[must_use]
pub fn create(experiment_id: &str, run: &Run) -> Value {
    let identity = run.tags.iter().filter(|tag| [SWEEP_TAG, TRIAL_TAG].contains(&tag.key.as_str()));
    json!({
        "experiment_id": experiment_id,
        "run_name": run.name,
        "start_time": run.start_ms,
        "tags": identity.map(pair).collect::<Vec<_>>(),
    })
}

/// The body of `runs/update` that opens a run again.
#[must_use]
pub fn reopen(run_id: &str) -> Value {
    json!({ "run_id": run_id, "status": "RUNNING" })
}

/// The body of `runs/update` that ends a run, after all else.
#[must_use]
pub fn end(run_id: &str, run: &Run) -> Value {
    json!({ "run_id": run_id, "status": status(run.status), "end_time": run.end_ms, "run_name": run.name })
}

/// The bodies of `runs/log-batch` with the tags, params and metrics of a run; each within the limits of a server.
#[must_use]
pub fn batches(run_id: &str, tags: &[Pair], params: &[Pair], metrics: &[Metric]) -> Vec<Value> {
    let tags = tags.iter().map(|tag| ("tags", TAGS_MAX, pair(tag)));
    let params = params.iter().map(|param| ("params", PARAMS_MAX, pair(param)));
    let metrics = metrics.iter().map(|one| ("metrics", METRICS_MAX, metric(one)));
    let mut batches = Vec::new();
    let mut items: Vec<(&str, Value)> = Vec::new();
    let mut bytes = FRAME_BYTES;
    for (kind, max, item) in tags.chain(params).chain(metrics) {
        let size = item.to_string().len() + COMMA_BYTES;
        let of_kind = items.iter().rev().take_while(|(other, _)| *other == kind).count();
        if of_kind == max || items.len() == ITEMS_MAX || bytes + size > BYTES_MAX {
            batches.push(batch(run_id, std::mem::take(&mut items)));
            bytes = FRAME_BYTES;
        }
        bytes += size;
        items.push((kind, item));
    }
    if !items.is_empty() {
        batches.push(batch(run_id, items));
    }
    batches
}

fn batch(run_id: &str, items: Vec<(&str, Value)>) -> Value {
    let mut body = json!({ "run_id": run_id, "tags": [], "params": [], "metrics": [] });
    for (kind, item) in items {
        if let Some(list) = body[kind].as_array_mut() {
            list.push(item);
        }
    }
    body
}

fn pair(pair: &Pair) -> Value {
    json!({ "key": pair.key, "value": pair.value })
}

/// JSON has no numbers that are not finite. The API takes their names.
fn metric(metric: &Metric) -> Value {
    let value = match metric.value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value => json!(value),
    };
    json!({ "key": metric.key, "value": value, "step": metric.step, "timestamp": metric.timestamp_ms })
}
