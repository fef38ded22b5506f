//! Requests that only read. Answers are combined from the scheduler (what is in flight) and the store (what is done).

mod naming;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::{NUMERICS_VERSION, TrialKey, trajectory_point};
use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{
    CurveView, IncompleteAttempt, IncompleteCause, ResultView, SourceTrial, SpecView, SweepStatus, SweepView,
    TrainedView, WorkerView,
};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::dataset::{DatasetRef, DatasetSize};
use biosweep_common::vocabulary::ids::{SweepId, TrialIndex, TrialRef};
use biosweep_scheduler::record::{AttemptRow, CurveRow, DatasetRow, SweepRow, TrialResult};
use biosweep_scheduler::status::sweep_view;
use biosweep_scheduler::tables::sweep::cut_for;
use biosweep_store::{Store, StoreError};

use crate::driver::{Handle, Stopped};

pub use naming::{Lookup, named};

/// Minimum digits of a key for a lookup.
const KEY_MIN: usize = 6;
/// Maximum number of keys in an error about several matches.
const KEYS_SHOWN: u32 = 8;
/// Maximum number of incomplete attempts shown with a sweep.
const INCOMPLETE_ATTEMPTS: u32 = 20;
/// Maximum number of causes of incomplete attempts shown with a sweep.
const INCOMPLETE_CAUSES: u32 = 100;

/// The sweep exists, but this coordinator does not run it: it only serves a run of another sweep.
#[derive(Debug, thiserror::Error)]
#[error("this home is in use by a run of another sweep; {verb} {id} after that has ended")]
pub struct NotServedHere {
    /// The sweep.
    pub id: SweepId,
    /// The verb of the refused command.
    pub verb: &'static str,
}

/// The sweep has finished with another numerics version. Continuing would mix results of two versions.
#[derive(Debug, thiserror::Error)]
#[error(
    "sweep {id} has finished with numerics version {version}, but this program has {NUMERICS_VERSION}; submit the spec \
     as a new sweep"
)]
pub struct OtherNumerics {
    id: SweepId,
    version: u32,
}

impl OtherNumerics {
    /// Refuses to run such a sweep again. One that has not finished waits until its owner resumes it.
    pub fn check(row: &SweepRow) -> Result<(), Self> {
        match row.submission.other_numerics().filter(|_| row.state == SweepState::Finished) {
            Some(version) => Err(Self { id: row.submission.id, version }),
            None => Ok(()),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no such sweep.
    #[error("no sweep `{name}`; list them with `biosweep list`")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// There is no such worker.
    #[error("no worker `{name}`; list them with `biosweep workers`")]
    UnknownWorker {
        /// The name as given.
        name: String,
    },
    /// There is no such trial, or it has not ended.
    #[error(
        "no trial `{name}` has a result; give SWEEP/NUMBER, or at least the first {KEY_MIN} digits of its key, as in \
         `biosweep results`"
    )]
    UnknownTrial {
        /// The name as given.
        name: String,
    },
    /// The name matches several.
    #[error("`{name}` matches several: {}; give the id of one", naming::few(ids))]
    Ambiguous {
        /// The name as given.
        name: String,
        /// The ids of the matches.
        ids: Vec<String>,
    },
    /// The coordinator is stopping.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This version cannot read a stored spec.
    #[error("the stored spec of sweep {id} cannot be read by this version; use the version that stored it ({why})")]
    Spec {
        /// The sweep.
        id: SweepId,
        /// The fault.
        why: String,
    },
}

/// The sweep with this id, name or prefix of an id.
pub async fn resolve(handle: &Handle, name: &str, lookup: Lookup) -> Result<SweepId, QueryError> {
    named(&handle.store.summaries().await?, name, lookup)
}

/// Every sweep, oldest first.
pub async fn list(handle: &Handle) -> Result<Vec<SweepView>, QueryError> {
    let running = handle.ask(|scheduler| scheduler.sweep_views()).await?;
    let mut running: BTreeMap<SweepId, SweepView> = running.into_iter().map(|view| (view.id, view)).collect();
    let stored = handle.store.summaries().await?;
    Ok(stored.into_iter().map(|view| running.remove(&view.id).unwrap_or(view)).collect())
}

/// One sweep, with its workers and latest incomplete attempts, and without their causes.
pub async fn status(handle: &Handle, id: SweepId) -> Result<SweepStatus, QueryError> {
    let asked = handle.ask(move |scheduler| {
        (scheduler.sweep_view(id), scheduler.worker_views(Some(id)), scheduler.in_training_done(id))
    });
    let (running, workers, in_training_done) = asked.await?;
    let sweep = match running {
        Some(view) => view,
        None => sweep_view(&row(handle, id).await?),
    };
    let incomplete_attempts = handle
        .store
        .incomplete_attempts(id, INCOMPLETE_ATTEMPTS)
        .await?
        .into_iter()
        .map(incomplete_attempt_view)
        .collect();
    let degraded = handle.degraded().borrow().clone();
    let incomplete_causes = Vec::new();
    Ok(SweepStatus { sweep, workers, incomplete_attempts, incomplete_causes, degraded, in_training_done })
}

/// The causes of all incomplete attempts of a sweep, most frequent first. The query reads every incomplete attempt.
pub async fn causes(handle: &Handle, id: SweepId) -> Result<Vec<IncompleteCause>, QueryError> {
    Ok(handle.store.incomplete_causes(id, INCOMPLETE_CAUSES).await?)
}

/// Every worker, with all trajectories that it trains.
pub async fn workers(handle: &Handle) -> Result<Vec<WorkerView>, QueryError> {
    Ok(handle.ask(|scheduler| scheduler.worker_views(None)).await?)
}

/// The worker with this id, name or prefix of an id.
pub async fn worker(handle: &Handle, name: &str) -> Result<WorkerView, QueryError> {
    naming::worker(workers(handle).await?, name)
}

/// The spec of a sweep.
pub async fn spec(handle: &Handle, id: SweepId) -> Result<SweepSpec, QueryError> {
    let row = row(handle, id).await?;
    parse(&row)
}

/// The text of a sweep's spec, with its extensions.
pub async fn spec_text(handle: &Handle, id: SweepId) -> Result<SpecView, QueryError> {
    let row = row(handle, id).await?;
    let extensions = row.extensions.into_iter().map(|extension| extension.spec).collect();
    Ok(SpecView { text: row.submission.spec, extensions })
}

/// Parses the spec of a stored sweep.
pub fn parse(row: &SweepRow) -> Result<SweepSpec, QueryError> {
    let submission = &row.submission;
    let unreadable = |why: String| QueryError::Spec { id: submission.id, why };
    let parse = |text: &SpecText| text.spec(&submission.name).map_err(|errors| unreadable(errors.to_string()));
    let spec = parse(&submission.spec)?;
    if submission.digest.split('/').next() != Some(spec.digest().as_str()) {
        return Err(unreadable("it now describes other trials than when it was submitted".to_owned()));
    }
    row.extensions.iter().try_fold(spec, |spec, extension| {
        spec.followed_by(&parse(&extension.spec)?).map_err(|error| unreadable(error.to_string()))
    })
}

/// Number of results whose keys are compared before a stored sweep is used.
const COMPARED_KEYS: u32 = 1_000;

/// Parses the spec of a stored sweep, and compares the keys of its first stored results with the keys of their trials in this
/// version.
///
/// # Errors
/// The spec cannot be read, or a key differs: this version would give stored results to trials with other settings.
pub async fn read_spec(store: &dyn Store, row: &SweepRow) -> Result<SweepSpec, QueryError> {
    let spec = parse(row)?;
    compare_keys(store, row, &spec).await?;
    Ok(spec)
}

/// Compares the keys of the first stored results of a sweep with the keys of their trials in this version.
///
/// # Errors
/// A key differs.
pub(crate) async fn compare_keys(store: &dyn Store, row: &SweepRow, spec: &SweepSpec) -> Result<(), QueryError> {
    if row.submission.other_numerics().is_some() {
        // The numerics version is part of a key.
        return Ok(());
    }
    let id = row.submission.id;
    for TrialResult { trial, key: stored, .. } in store.results(id, TrialIndex(0), COMPARED_KEYS).await? {
        let key = spec.grid.configuration(trial).map(|configuration| configuration.key());
        if key != Some(stored) {
            let here = key.map_or_else(|| "no such trial".to_owned(), |key| key.to_string());
            let why = format!("trial {} has the key {stored} in the store, but this version has {here}", trial.0);
            return Err(QueryError::Spec { id, why });
        }
    }
    Ok(())
}

pub(crate) async fn row(handle: &Handle, id: SweepId) -> Result<SweepRow, QueryError> {
    handle.store.sweep(id).await?.ok_or_else(|| QueryError::Unknown { name: id.to_string() })
}

/// A cache of whether source sweeps were deleted.
#[derive(Debug, Default)]
pub struct Deleted(BTreeMap<SweepId, bool>);

impl Deleted {
    async fn origin(&mut self, store: &dyn Store, trial: TrialRef) -> Result<SourceTrial, StoreError> {
        let deleted = match self.0.get(&trial.sweep) {
            Some(&deleted) => deleted,
            None => {
                let deleted = store.is_deleted(trial.sweep).await?;
                self.0.insert(trial.sweep, deleted);
                deleted
            }
        };
        Ok(SourceTrial { trial, deleted })
    }
}

/// Results with their settings; `None` for a trial that is not in the grid.
pub async fn result_views(
    store: &dyn Store,
    spec: &SweepSpec,
    rows: Vec<TrialResult>,
    deleted: &mut Deleted,
) -> Result<Option<Vec<ResultView>>, StoreError> {
    let mut views = Vec::with_capacity(rows.len());
    let custom = custom_sizes(store).await?;
    for row in rows {
        let TrialResult {
            trial,
            key,
            status,
            score,
            updates,
            attempts,
            worker_name,
            seconds,
            reused_from,
            environment,
        } = row;
        let Some(point) = spec.grid.point(trial) else { return Ok(None) };
        let dataset_size = point.get(&Setting::Dataset).and_then(|dataset| dataset_size(dataset, &custom));
        let reused_from = match reused_from {
            Some(trial) => Some(deleted.origin(store, trial).await?),
            None => None,
        };
        views.push(ResultView {
            trial,
            key,
            status,
            point,
            score,
            updates,
            attempts,
            worker_name,
            seconds,
            reused_from,
            environment,
            dataset_size,
        });
    }
    Ok(Some(views))
}

/// The counts of the custom data that workers have loaded, by digest.
pub(crate) async fn custom_sizes(store: &dyn Store) -> Result<BTreeMap<String, DatasetSize>, StoreError> {
    Ok(store.datasets().await?.into_iter().map(|DatasetRow { digest, size }| (digest, size)).collect())
}

/// The counts of a dataset; `None` for custom data that no worker has loaded.
pub(crate) fn dataset_size(dataset: &Value, custom: &BTreeMap<String, DatasetSize>) -> Option<DatasetSize> {
    let Value::Name(name) = dataset else { return None };
    match name.parse().ok()? {
        DatasetRef::Named(dataset) => Some(DatasetSummary::of_named(dataset).size()),
        own @ DatasetRef::Custom(_) => custom.get(own.digest().as_ref()).copied(),
    }
}

/// A curve with its settings; `None` if its trajectory is not in the grid.
pub fn curve_view(spec: &SweepSpec, row: CurveRow) -> Option<CurveView> {
    let trajectory = spec.grid.trajectory(row.trajectory)?;
    Some(CurveView {
        trajectory: row.trajectory,
        first_trial: trajectory.first_trial,
        point: trajectory_point(&trajectory.shape, trajectory.hyperparameters),
        points: row.points,
        diagnostics: row.diagnostics,
    })
}

/// A trial, given as `SWEEP/NUMBER` or by the start of its key, with the results and curve of its trajectory. If it was
/// reused, they are those of its source, as long as the source's sweep is here.
pub async fn trained(handle: &Handle, name: &str) -> Result<TrainedView, QueryError> {
    let unknown = || QueryError::UnknownTrial { name: name.to_owned() };
    let mut trial = match name.rsplit_once('/') {
        Some((sweep, number)) => {
            let number = number.parse().map(TrialIndex).map_err(|_| unknown())?;
            TrialRef { sweep: resolve(handle, sweep, Lookup::Read).await?, trial: number }
        }
        None => keyed(handle, name).await?,
    };
    let result = async |trial: TrialRef| {
        let rows = handle.store.results(trial.sweep, trial.trial, 1).await?;
        rows.into_iter().next().filter(|row| row.trial == trial.trial).ok_or_else(unknown)
    };
    let store = handle.store.as_ref();
    let mut deleted = Deleted::default();
    let mut is_cut = false;
    if let Some(source) = result(trial).await?.reused_from {
        match store.sweep(source.sweep).await? {
            Some(_) => trial = source,
            // The curve of a sweep that is not here, such as a deleted one, is kept with its trial. It may continue for trials that
            // are not in this sweep.
            None => is_cut = true,
        }
    }
    let spec = spec(handle, trial.sweep).await?;
    let index = spec.grid.trajectory_of(trial.trial).ok_or_else(unknown)?;
    let trajectory = spec.grid.trajectory(index).ok_or_else(unknown)?;
    let count = trajectory.stopping_rules.len() as u32;
    let rows = handle.store.results(trial.sweep, trajectory.first_trial, count).await?;
    let curve = handle.store.curves(trial.sweep, index.0, 1).await?.into_iter().find(|row| row.trajectory == index);
    let mut curve = curve.and_then(|row| curve_view(&spec, row)).ok_or_else(unknown)?;
    if is_cut {
        cut_for(&trajectory, &mut curve.points);
    }
    let results = result_views(store, &spec, rows, &mut deleted).await?.ok_or_else(unknown)?;
    Ok(TrainedView { trial, results, curve })
}

/// The trial whose key starts with these digits; of several with one key, the first.
pub(crate) async fn keyed(handle: &Handle, beginning: &str) -> Result<TrialRef, QueryError> {
    let range = TrialKey::beginning_with(beginning).filter(|_| beginning.len() >= KEY_MIN);
    let (least, greatest) = range.ok_or_else(|| QueryError::UnknownTrial { name: beginning.to_owned() })?;
    let found = handle.store.keyed(least, greatest, KEYS_SHOWN).await?;
    let keys: BTreeSet<TrialKey> = found.iter().map(|(key, _)| *key).collect();
    match (found.first(), keys.len()) {
        (Some((_, trial)), 1) => Ok(*trial),
        (None, _) => Err(QueryError::UnknownTrial { name: beginning.to_owned() }),
        _ => {
            let ids = keys.iter().map(ToString::to_string).collect();
            Err(QueryError::Ambiguous { name: beginning.to_owned(), ids })
        }
    }
}

fn incomplete_attempt_view(row: AttemptRow) -> IncompleteAttempt {
    let AttemptRow { trajectory, attempt, worker_name, outcome, cause, at } = row;
    IncompleteAttempt { trajectory, attempt, worker_name, outcome, cause, at }
}
