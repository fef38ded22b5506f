//! Finds stored results that a sweep can take over: trajectories of other sweeps whose curves give the results of all its trials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::configuration::{NUMERICS_VERSION, trajectory_point};
use biosweep_common::grid::{Grid, GridIndex};
use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::spec::{Reuse, SweepSpec};
use biosweep_common::vocabulary::ids::TrajectoryIndex;
use biosweep_scheduler::event::Event;
use biosweep_scheduler::policies::reuse::{Environments, SearchedSweep, TrainedSource, may_take_over};
use biosweep_scheduler::record::{ReusedRow, SourceRow, SweepRow};
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_store::{Store, StoreError};

use super::Commands;
use crate::driver::{DriverError, Handle, Stopped};
use crate::queries::{self, QueryError};

/// Number of trajectories that are read from the store at once.
const PAGE: u32 = 1_000;
/// Number of trajectories between two log messages.
const LOG_EVERY: u64 = 100_000;

/// The trajectories for which stored results are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All trajectories from this index on.
    From(TrajectoryIndex),
    /// A set of trajectories.
    These(&'a BTreeSet<TrajectoryIndex>),
}

impl Wanted<'_> {
    fn has(self, index: TrajectoryIndex) -> bool {
        match self {
            Self::From(first) => index >= first,
            Self::These(these) => these.contains(&index),
        }
    }

    fn count(self, spec: &SweepSpec) -> u64 {
        match self {
            Self::From(first) => spec.grid.trajectories() - first.0,
            Self::These(these) => these.len() as u64,
        }
    }
}

/// Time for which a worker waits for the search of results of its class. After that the search goes on beside it.
const SEARCH: Duration = Duration::from_secs(5);

/// Why stored results were not reused when a worker of their class connected.
#[derive(Debug, thiserror::Error)]
enum SearchError {
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Commands {
    /// Lets sweeps with `reuse = "same-cpu-class"` reuse stored results of the class of a worker that is about to connect.
    pub(crate) async fn reuse_results_of_class(&self, worker: &WorkerDescription) -> Result<(), Stopped> {
        let (description, handle) = (worker.clone(), self.handle.clone());
        let sweeps = handle.ask(move |scheduler| scheduler.sweeps_without_class_of(&description)).await?;
        if sweeps.is_empty() {
            return Ok(());
        }
        let environments = Environments::Like(vec![Arc::clone(&worker.environment)]);
        let search = self.tasks.spawn(async move {
            for sweep in sweeps {
                let id = sweep.id;
                if let Err(error) = search_for(&handle, sweep, &environments).await {
                    tracing::warn!(sweep = %id, %error, "stored results of a new worker's class are not reused");
                }
            }
        });
        if tokio::time::timeout(SEARCH, search).await.is_err() {
            tracing::info!(worker = worker.name, "the search of results of a new worker's class goes on");
        }
        Ok(())
    }
}

async fn search_for(handle: &Handle, sweep: SearchedSweep, environments: &Environments) -> Result<(), SearchError> {
    let SearchedSweep { id, spec, index } = sweep;
    let all = Wanted::From(TrajectoryIndex(0));
    let reused = find(handle.store.as_ref(), &spec, &index, all, environments).await?;
    if !reused.is_empty() {
        handle.apply(Event::ResultsFound { sweep: id, reused }).await?;
    }
    Ok(())
}

/// Finds the stored results that a sweep can take over now for the wanted trajectories.
pub(crate) async fn find_now(
    handle: &Handle,
    prepared: &PreparedSpec,
    wanted: Wanted<'_>,
) -> Result<Arc<[ReusedRow]>, QueryError> {
    let spec = Arc::clone(&prepared.spec);
    let environments = handle.ask(move |scheduler| scheduler.reusable_environments(&spec.execution)).await?;
    Ok(find(handle.store.as_ref(), &prepared.spec, &prepared.index, wanted, &environments).await?)
}

/// Finds the stored results from these environments that a sweep can take over for the wanted trajectories. The cost grows with
/// the number of stored results of the sweeps that share trajectories with it.
pub async fn find(
    store: &dyn Store,
    spec: &SweepSpec,
    index: &GridIndex,
    wanted: Wanted<'_>,
    environments: &Environments,
) -> Result<Arc<[ReusedRow]>, StoreError> {
    let mut search = Search { spec, wanted, index, environments, taken: BTreeMap::new() };
    if spec.execution.reuse != Reuse::Never {
        for row in store.sweeps().await? {
            search.look_through(store, &row).await?;
        }
    }
    Ok(search.taken.into_values().collect())
}

struct Search<'a> {
    spec: &'a SweepSpec,
    wanted: Wanted<'a>,
    index: &'a GridIndex,
    environments: &'a Environments,
    taken: BTreeMap<TrajectoryIndex, ReusedRow>,
}

impl Search<'_> {
    async fn look_through(&mut self, store: &dyn Store, row: &SweepRow) -> Result<(), StoreError> {
        let id = row.submission.id;
        // A reused result may come from a deleted sweep, so results that this sweep itself took over count as well.
        if row.completed == 0 || !row.submission.digest.ends_with(&format!("/{NUMERICS_VERSION}")) {
            return Ok(());
        }
        // A sweep whose spec this version cannot parse cannot be compared.
        let Ok(other) = queries::parse(row) else { return Ok(()) };
        if !may_take_over(self.spec, &other) || !self.index.overlaps(&GridIndex::of(&other.grid)) {
            return Ok(());
        }
        match queries::compare_keys(store, row, &other).await {
            Ok(()) => {}
            Err(QueryError::Store(error)) => return Err(error),
            // This version cannot tell which trials its results belong to.
            Err(_) => return Ok(()),
        }
        let (mut from, mut seen) = (0, 0_u64);
        while (self.taken.len() as u64) < self.wanted.count(self.spec) {
            let sources = store.sources(id, from, PAGE).await?;
            let Some(last) = sources.last() else { break };
            from = last.trajectory.0 + 1;
            if seen / LOG_EVERY < (seen + sources.len() as u64) / LOG_EVERY {
                tracing::info!(sweep = %id, seen, taken = self.taken.len(), "looking for results to take over");
            }
            seen += sources.len() as u64;
            sources.iter().for_each(|source| self.consider(row, &other.grid, source));
        }
        Ok(())
    }

    fn consider(&mut self, row: &SweepRow, grid: &Grid, source: &SourceRow) {
        if !self.environments.include(source.environment.as_deref()) {
            return;
        }
        let Some((shape, hyperparameters)) = grid.settings(source.trajectory) else { return };
        let found = self.index.find(&trajectory_point(&shape, hyperparameters));
        let is_new = |index: &TrajectoryIndex| self.wanted.has(*index) && !self.taken.contains_key(index);
        let new: Vec<_> = found.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        let Some(trajectory) = grid.trajectory(source.trajectory) else { return };
        let source_trajectory = TrainedSource {
            sweep: row.submission.id,
            index: source.trajectory,
            trajectory: &trajectory,
            curve: &source.points,
            worker_name: &source.worker_name,
            environment: source.environment.as_ref(),
        };
        let rows = new.into_iter().filter_map(|index| source_trajectory.taken_over_by(&self.spec.grid, index));
        self.taken.extend(rows.map(|row| (row.trajectory, row)));
    }
}
