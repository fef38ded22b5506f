//! The export of a sweep to an MLflow tracking server, over its REST API alone.
//!
//! A run is created with the tags that identify its trial, gets its tags, params and metrics, and is ended last. So a run
//! that has ended is complete. A later export finds the runs by their tags: it leaves complete runs as they are, continues
//! the others with the metrics that they lack, and adds those of new results. A call that fails without reason is repeated
//! in the same way, because the server may have done it, although its answer was lost.

mod error;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use biosweep_analysis::export::mlflow::requests::{self, FoundRun};
use biosweep_analysis::export::mlflow::{METRICS, Metric, Mlflow, Run};
use biosweep_common::results::views::{CurveView, SweepView};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::client::{Client, ClientError};
pub(crate) use error::ServerError;
use server::Repetition;
pub(crate) use server::{Credentials, Server};

/// Groups of runs that wait for the server.
const WAITING_MAX: usize = 4;

/// What an export has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The address of the server.
    pub(crate) url: String,
    /// The name of the experiment.
    pub(crate) experiment: String,
    /// The id of the experiment on the server.
    pub(crate) experiment_id: String,
    /// Number of runs that were created.
    pub(crate) created: u64,
    /// Number of runs of an earlier export that were continued.
    pub(crate) continued: u64,
    /// Number of runs that were complete.
    pub(crate) unchanged: u64,
    /// Number of values of metrics that were sent.
    pub(crate) metrics: u64,
}

/// Exports a sweep. The inner error is that of the server.
pub(crate) async fn export(
    sweep: &SweepView,
    client: &mut Client,
    server: Server,
) -> Result<Result<Summary, ServerError>, ClientError> {
    let (sender, mut waiting) = mpsc::channel::<Vec<Run>>(WAITING_MAX);
    let (name, id) = (sweep.name.clone(), sweep.id.to_string());
    // The calls block, so they are made on a thread of their own.
    let calls = tokio::task::spawn_blocking(move || {
        let mut experiment = Experiment::open(server, name, id)?;
        while let Some(runs) = waiting.blocking_recv() {
            runs.iter().try_for_each(|run| experiment.put(run))?;
        }
        Ok(experiment.summary)
    });
    let sent = send(sweep, client, &sender).await;
    drop(sender);
    let summary = calls.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    sent.map(|()| summary)
}

/// Passes on the runs of a sweep, until nobody takes them because the server has failed.
async fn send(sweep: &SweepView, client: &mut Client, sender: &mpsc::Sender<Vec<Run>>) -> Result<(), ClientError> {
    let mut runs = Mlflow::new(sweep, env!("CARGO_PKG_VERSION"));
    let mut pages = client.each_result(&sweep.id.to_string()).await?;
    while let Some(page) = pages.next().await? {
        page.into_iter().for_each(|result| runs.add(result));
    }
    let mut curves = client.each_curve(&sweep.id.to_string()).await?;
    let mut latest: Option<CurveView> = None;
    loop {
        let next = curves.next().await?;
        let is_taken = match latest {
            Some(curve) => {
                let runs = runs.curve(&curve, next.as_ref().map(|next| next.first_trial));
                sender.send(runs).await.is_ok()
            }
            None => true,
        };
        latest = next;
        if latest.is_none() || !is_taken {
            break;
        }
    }
    // An error here means that the server has failed, which its thread tells.
    let _is_taken = sender.send(runs.finish()).await;
    Ok(())
}

/// The experiment of a sweep on a server.
struct Experiment {
    server: Server,
    sweep: String,
    found: BTreeMap<u64, FoundRun>,
    summary: Summary,
}

impl Experiment {
    /// Finds the experiment with its runs, or creates it.
    fn open(server: Server, name: String, sweep: String) -> Result<Self, ServerError> {
        let id = server.patiently(|_| experiment_id(&server, &name))?;
        let found = server.patiently(|_| search(&server, &id, &sweep, None))?;
        let found = found.into_iter().map(|run| (run.trial, run)).collect();
        let (url, experiment) = (server.url().to_owned(), name);
        let summary =
            Summary { url, experiment, experiment_id: id, created: 0, continued: 0, unchanged: 0, metrics: 0 };
        Ok(Self { server, sweep, found, summary })
    }

    /// Makes the run of a trial complete.
    fn put(&mut self, run: &Run) -> Result<(), ServerError> {
        let found = self.found.get(&run.trial.0);
        if found.is_some_and(|found| found.complete == Some(run.status)) {
            self.summary.unchanged += 1;
            return Ok(());
        }
        let (server, experiment_id) = (&self.server, &self.summary.experiment_id);
        let metrics = server.patiently(|repetition| {
            let again = match repetition {
                Repetition::No => None,
                Repetition::Yes => search(server, experiment_id, &self.sweep, Some(run.trial.0))?.pop(),
            };
            write(server, experiment_id, run, again.as_ref().or(found))
        })?;
        self.summary.metrics += metrics;
        match found {
            Some(_) => self.summary.continued += 1,
            None => self.summary.created += 1,
        }
        Ok(())
    }
}

/// The id of the experiment with this name, which is created if there is none.
fn experiment_id(server: &Server, name: &str) -> Result<String, ServerError> {
    match server.get("experiments/get-by-name", &[("experiment_name", name)]) {
        Ok(answer) if answer["experiment"]["lifecycle_stage"] == "deleted" => {
            Err(ServerError::Deleted { url: server.url().to_owned(), experiment: name.to_owned() })
        }
        Ok(answer) => id(server, "experiments/get-by-name", &answer["experiment"]["experiment_id"]),
        Err(error) if error.has_code("RESOURCE_DOES_NOT_EXIST") => {
            let created = server.post("experiments/create", &requests::experiment(name))?;
            id(server, "experiments/create", &created["experiment_id"])
        }
        Err(error) => Err(error),
    }
}

fn id(server: &Server, call: &'static str, value: &Value) -> Result<String, ServerError> {
    let id = value.as_str().map(str::to_owned);
    id.ok_or_else(|| ServerError::Foreign { url: server.url().to_owned(), call, status: 200 })
}

/// The runs of a sweep, or of one of its trials.
fn search(server: &Server, experiment_id: &str, sweep: &str, trial: Option<u64>) -> Result<Vec<FoundRun>, ServerError> {
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let request = requests::search(experiment_id, sweep, trial, token.as_deref());
        let answer = server.post("runs/search", &request)?;
        found.extend(requests::found(&answer));
        match requests::next_page(&answer) {
            Some(next) => token = Some(next.to_owned()),
            None => return Ok(found),
        }
    }
}

/// Writes what a run lacks, and ends it. Returns the number of values of metrics that were sent.
fn write(server: &Server, experiment_id: &str, run: &Run, found: Option<&FoundRun>) -> Result<u64, ServerError> {
    let (run_id, metrics) = match found {
        Some(found) if found.complete == Some(run.status) => return Ok(0),
        Some(found) => {
            // Before anything is written, so that an interruption does not leave an ended run that is incomplete.
            server.post("runs/update", &requests::reopen(&found.id))?;
            (found.id.clone(), missing(server, &found.id, &run.metrics)?)
        }
        None => {
            let created = server.post("runs/create", &requests::create(experiment_id, run))?;
            (id(server, "runs/create", &created["run"]["info"]["run_id"])?, run.metrics.clone())
        }
    };
    for batch in requests::batches(&run_id, &run.tags, &run.params, &metrics) {
        server.post("runs/log-batch", &batch)?;
    }
    server.post("runs/update", &requests::end(&run_id, run))?;
    Ok(metrics.len() as u64)
}

/// The metrics that a run does not have yet.
fn missing(server: &Server, run_id: &str, metrics: &[Metric]) -> Result<Vec<Metric>, ServerError> {
    let mut missing = metrics.to_vec();
    for key in METRICS.into_iter().filter(|key| metrics.iter().any(|metric| metric.key == *key)) {
        let steps = steps(server, run_id, key)?;
        missing.retain(|metric| metric.key != key || !steps.contains(&metric.step));
    }
    Ok(missing)
}

/// The steps at which a run has a metric.
fn steps(server: &Server, run_id: &str, key: &str) -> Result<BTreeSet<u64>, ServerError> {
    let page = requests::PAGE_VALUES.to_string();
    let mut steps = BTreeSet::new();
    let mut token: Option<String> = None;
    loop {
        let mut query = vec![("run_id", run_id), ("metric_key", key), ("max_results", &page)];
        query.extend(token.as_deref().map(|token| ("page_token", token)));
        let answer = server.get("metrics/get-history", &query)?;
        steps.extend(requests::steps(&answer));
        match requests::next_page(&answer) {
            Some(next) => token = Some(next.to_owned()),
            None => return Ok(steps),
        }
    }
}
