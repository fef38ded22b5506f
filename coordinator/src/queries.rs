//! What people ask: answers put together from the core (what is in flight) and the store (what is done).

use biosweep_common::configuration::trajectory_point;
use biosweep_common::ids::SweepId;
use biosweep_common::spec::SweepSpec;
use biosweep_common::views::{CurveView, ResultView, Setback, SweepStatus, SweepView, WorkerView};

use crate::driver::{Handle, Stopped};
use crate::store::StoreError;
use crate::store::record::{AttemptRow, CurveRow, SweepRow, TrialResult};

/// Setbacks shown with a sweep.
const SETBACKS: u32 = 20;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// No such sweep.
    #[error("no sweep `{name}`; `biosweep list` shows the ones there are")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// No such worker.
    #[error("no worker `{name}` is known; `biosweep workers` shows the ones there are")]
    UnknownWorker {
        /// What was asked for.
        name: String,
    },
    /// Several answer to it.
    #[error("`{name}` could be any of {}; give more of the id", ids.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Whose ids begin so.
        ids: Vec<String>,
    },
    /// The coordinator is stopping.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored spec that this version cannot read.
    #[error("the stored spec of sweep {id} cannot be read by this version: {why}")]
    Spec {
        /// The sweep.
        id: SweepId,
        /// What is wrong with it.
        why: String,
    },
}

/// The sweep of that id, of an id that begins so, or of that name: of several with one name, the latest.
pub(crate) async fn resolve(handle: &Handle, name: &str) -> Result<SweepId, QueryError> {
    let sweeps = handle.store.sweeps().await?;
    let ids: Vec<SweepId> = sweeps.iter().map(|row| row.submission.id).collect();
    let named = sweeps.iter().rev().find(|row| row.submission.name == name);
    if let Some(row) = named {
        return Ok(row.submission.id);
    }
    let begins: Vec<SweepId> =
        ids.into_iter().filter(|id| !name.is_empty() && id.to_string().starts_with(name)).collect();
    match begins.as_slice() {
        [id] => Ok(*id),
        [] => Err(QueryError::Unknown { name: name.to_owned() }),
        several => {
            Err(QueryError::Ambiguous { name: name.to_owned(), ids: several.iter().map(ToString::to_string).collect() })
        }
    }
}

/// Every sweep, oldest first.
pub(crate) async fn list(handle: &Handle) -> Result<Vec<SweepView>, QueryError> {
    let running = handle.ask(|core| core.sweep_views()).await?;
    let view = |row: SweepRow| {
        let running = running.iter().find(|view| view.id == row.submission.id);
        running.cloned().unwrap_or_else(|| row.view())
    };
    Ok(handle.store.sweeps().await?.into_iter().map(view).collect())
}

/// One sweep, with what each worker does and what went wrong.
pub(crate) async fn status(handle: &Handle, id: SweepId) -> Result<SweepStatus, QueryError> {
    let (running, workers) = handle.ask(move |core| (core.sweep_view(id), core.worker_views(Some(id)))).await?;
    let sweep = match running {
        Some(view) => view,
        None => row(handle, id).await?.view(),
    };
    let setbacks = handle.store.setbacks(id, SETBACKS).await?.into_iter().map(setback_view).collect();
    let trouble = handle.trouble().borrow().clone();
    Ok(SweepStatus { sweep, workers, setbacks, trouble })
}

/// Every worker, with all it trains.
pub(crate) async fn workers(handle: &Handle) -> Result<Vec<WorkerView>, QueryError> {
    Ok(handle.ask(|core| core.worker_views(None)).await?)
}

/// The worker of that id, of an id that begins so, or of that name.
pub(crate) async fn worker(handle: &Handle, name: &str) -> Result<WorkerView, QueryError> {
    let mut workers = workers(handle).await?;
    workers.retain(|worker| worker.name == name || (!name.is_empty() && worker.id.to_string().starts_with(name)));
    match workers.as_slice() {
        [worker] => Ok(worker.clone()),
        [] => Err(QueryError::UnknownWorker { name: name.to_owned() }),
        several => {
            let ids = several.iter().map(|worker| worker.id.to_string()).collect();
            Err(QueryError::Ambiguous { name: name.to_owned(), ids })
        }
    }
}

/// What a sweep's text means.
pub(crate) async fn spec(handle: &Handle, id: SweepId) -> Result<SweepSpec, QueryError> {
    let row = row(handle, id).await?;
    parse(&row)
}

/// What a stored sweep's text means.
pub(crate) fn parse(row: &SweepRow) -> Result<SweepSpec, QueryError> {
    let submission = &row.submission;
    SweepSpec::parse(&submission.spec_text, submission.spec_format, &submission.name)
        .map_err(|errors| QueryError::Spec { id: submission.id, why: errors.to_string() })
}

async fn row(handle: &Handle, id: SweepId) -> Result<SweepRow, QueryError> {
    handle.store.sweep(id).await?.ok_or_else(|| QueryError::Unknown { name: id.to_string() })
}

/// A result with its settings; `None` where its trial is not in the grid.
pub(crate) fn result_view(spec: &SweepSpec, row: TrialResult) -> Option<ResultView> {
    let TrialResult { trial, key, status, score, updates, attempts, worker_name, seconds } = row;
    let point = spec.grid.point(trial)?;
    Some(ResultView { trial, key, status, point, score, updates, attempts, worker_name, seconds })
}

/// A curve with its settings; `None` where its trajectory is not in the grid.
pub(crate) fn curve_view(spec: &SweepSpec, row: CurveRow) -> Option<CurveView> {
    let trajectory = spec.grid.trajectory(row.trajectory)?;
    Some(CurveView {
        trajectory: row.trajectory,
        first_trial: trajectory.first_trial,
        point: trajectory_point(&trajectory.shape, trajectory.hyperparameters),
        points: row.points,
        health: row.health,
    })
}

fn setback_view(row: AttemptRow) -> Setback {
    let AttemptRow { trajectory, attempt, worker_name, outcome, cause, at } = row;
    Setback { trajectory, attempt, worker_name, outcome, cause, at }
}
