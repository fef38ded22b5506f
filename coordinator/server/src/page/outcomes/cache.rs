//! The outcomes of the sweeps that somebody looks at. They are read from the store once, then every committed transaction updates
//! them. Sweeps that nobody looks at cost nothing.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{SweepId, TrialIndex};
use biosweep_common::vocabulary::time::Tick;
use biosweep_scheduler::record::{OutcomeRow, Record, TrialResult};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::TaskTracker;

use super::table::Outcomes;
use crate::driver::Handle;
use crate::queries::{self, QueryError};

/// Maximum number of trials of a sweep whose outcomes are kept in memory, and of all such sweeps; about 70 bytes each.
pub(crate) const TRIALS_MAX: u64 = 1_000_000;
const ALL_TRIALS_MAX: u64 = 2_000_000;
/// Number of results that are read from the store at once.
const PAGE: u32 = 5_000;
/// Milliseconds after which outcomes that nobody looked at are dropped, and the pause between two checks.
const UNUSED_MS: u64 = 300_000;
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// Number of attempts to read a sweep while it changes faster than it is read.
const ATTEMPTS: u32 = 3;

/// Why there are no outcomes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutcomesError {
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The sweep has too many trials for a table in memory.
    #[error(
        "the sweep has {trials} trials, and this page lists at most {TRIALS_MAX}; read all of them with `biosweep export {id}`"
    )]
    TooMany {
        /// The sweep.
        id: SweepId,
        /// Number of its trials.
        trials: u64,
    },
    /// The grid of the sweep changes faster than its results are read.
    #[error("the results cannot be shown now: they change faster than they are read; load the page again")]
    Changing,
}

/// The outcomes of sweeps in memory.
#[derive(Clone)]
pub(crate) struct Cache {
    handle: Handle,
    tasks: TaskTracker,
    state: Arc<Mutex<State>>,
    /// The number of changes of all sweeps so far, so that no two states of a sweep have the same version.
    versions: Arc<AtomicU64>,
    /// One sweep is read at a time.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    sweeps: BTreeMap<SweepId, Entry>,
    /// Number of times that outcomes were dropped because the store has others.
    dropped: u64,
    is_followed: bool,
}

struct Entry {
    board: Board,
    used: Tick,
}

/// The outcomes of one sweep, with its spec.
#[derive(Clone)]
pub(crate) struct Board {
    /// The spec.
    pub(crate) spec: Arc<SweepSpec>,
    content: Arc<RwLock<Content>>,
}

struct Content {
    outcomes: Outcomes,
    version: u64,
    /// While the store is read: the trials that have changed meanwhile, which the store no longer knows better.
    changed: Option<HashSet<u64>>,
}

impl State {
    /// Drops the sweeps that were not looked at for the longest time, until there is room for one with this many trials.
    fn make_room(&mut self, trials: u64) {
        while self.sweeps.values().map(|entry| entry.board.spec.grid.trials()).sum::<u64>() + trials > ALL_TRIALS_MAX {
            let Some(oldest) = self.sweeps.iter().min_by_key(|(_, entry)| entry.used).map(|(&id, _)| id) else {
                return;
            };
            self.sweeps.remove(&oldest);
        }
    }
}

impl Board {
    /// The outcomes now.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Outcomes) -> T) -> T {
        read(&self.content().outcomes)
    }

    /// A number that changes with the outcomes.
    pub(crate) fn version(&self) -> u64 {
        self.content().version
    }

    fn content(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_mut(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Ended(ending) => self.set(&ending.results),
            Record::Reused { trajectories, .. } => {
                trajectories.iter().for_each(|trajectory| self.set(&trajectory.results));
            }
            Record::Retried { trajectories, .. } => {
                for retried in trajectories {
                    let trials = retried.first_trial.0..retried.first_trial.0 + retried.trials;
                    if let Some(changed) = &mut self.changed {
                        changed.extend(trials.clone());
                    }
                    self.outcomes.forget(trials);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, results: &[TrialResult]) {
        for result in results {
            self.outcomes.set(&OutcomeRow::from(result));
            if let Some(changed) = &mut self.changed {
                changed.insert(result.trial.0);
            }
        }
    }
}

impl Cache {
    /// An empty cache. `tasks` has the task that follows the store.
    pub(crate) fn new(handle: Handle, tasks: TaskTracker) -> Self {
        Self { handle, tasks, state: Arc::default(), versions: Arc::default(), reading: Arc::default() }
    }

    /// The outcomes of a sweep.
    ///
    /// # Errors
    /// A sweep that cannot be read or is too large.
    pub(crate) async fn board(&self, id: SweepId) -> Result<Board, OutcomesError> {
        if let Some(board) = self.known(id) {
            return Ok(board);
        }
        let _one_at_a_time = self.reading.lock().await;
        for _ in 0..ATTEMPTS {
            if let Some(board) = self.known(id) {
                return Ok(board);
            }
            self.follow();
            let dropped = self.state().dropped;
            let board = self.begin(id).await?;
            let filled = self.fill(id, &board).await;
            let mut state = self.state();
            // A change of the grid between the read of the spec and the first entry would be missed.
            if filled.is_err() || state.dropped != dropped {
                state.sweeps.remove(&id);
            }
            drop(state);
            filled?;
        }
        self.known(id).ok_or(OutcomesError::Changing)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, id: SweepId) -> Option<Board> {
        let mut state = self.state();
        let entry = state.sweeps.get_mut(&id)?;
        entry.used = self.handle.clock.now();
        let board = entry.board.clone();
        drop(state);
        let is_complete = board.content().changed.is_none();
        is_complete.then_some(board)
    }

    /// Enters a sweep without outcomes. From now on changes are applied to it, as they are committed.
    pub(super) async fn begin(&self, id: SweepId) -> Result<Board, OutcomesError> {
        let spec = Arc::new(queries::spec(&self.handle, id).await?);
        let trials = spec.grid.trials();
        if trials > TRIALS_MAX {
            return Err(OutcomesError::TooMany { id, trials });
        }
        let sizes = queries::custom_sizes(self.handle.store.as_ref()).await.map_err(QueryError::from)?;
        let for_build = Arc::clone(&spec);
        let built = tokio::task::spawn_blocking(move || {
            let guess = |dataset: Option<&_>| {
                let size = dataset.and_then(|dataset| queries::dataset_size(dataset, &sizes));
                size.map(|size| 1.0 / f64::from(size.classes))
            };
            Outcomes::of(&for_build.grid, guess)
        });
        let outcomes = built.await.expect("columns of a sound grid");
        let content = Content { outcomes, version: self.next_version(), changed: Some(HashSet::new()) };
        let board = Board { spec, content: Arc::new(RwLock::new(content)) };
        let mut state = self.state();
        state.make_room(trials);
        state.sweeps.insert(id, Entry { board: board.clone(), used: self.handle.clock.now() });
        Ok(board)
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads the outcomes of a sweep from the store. Changes that were applied meanwhile are newer and stay.
    pub(super) async fn fill(&self, id: SweepId, board: &Board) -> Result<(), OutcomesError> {
        let mut from = TrialIndex(0);
        loop {
            let rows = self.handle.store.outcomes(id, from, PAGE).await.map_err(QueryError::from)?;
            let mut content = board.content_mut();
            let Some(last) = rows.last() else {
                content.changed = None;
                return Ok(());
            };
            from = TrialIndex(last.trial.0 + 1);
            let Content { outcomes, changed, .. } = &mut *content;
            let is_newer = |row: &OutcomeRow| changed.as_ref().is_some_and(|changed| changed.contains(&row.trial.0));
            rows.iter().filter(|row| !is_newer(row)).for_each(|row| outcomes.set(row));
        }
    }

    /// Follows the store, unless this is done already.
    fn follow(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_followed, true) {
            let (follower, committed) = (self.clone(), self.handle.committed());
            self.tasks.spawn(async move { follower.apply_all(committed).await });
        }
    }

    /// Applies every transaction, until nobody has looked at any sweep for some time.
    async fn apply_all(self, mut committed: Receiver<Arc<Vec<Record>>>) {
        let mut check = tokio::time::interval(CHECK_EVERY);
        loop {
            tokio::select! {
                records = committed.recv() => match records {
                    Ok(records) => self.apply(&records),
                    // The store is read again at the next request.
                    Err(RecvError::Lagged(_)) => {
                        let mut state = self.state();
                        state.sweeps.clear();
                        state.dropped += 1;
                    }
                    Err(RecvError::Closed) => return,
                },
                _ = check.tick() => {
                    let now = self.handle.clock.now();
                    let mut state = self.state();
                    state.sweeps.retain(|_, entry| now.since_ms(entry.used) < UNUSED_MS);
                    if state.sweeps.is_empty() && self.reading.try_lock().is_ok() {
                        state.is_followed = false;
                        return;
                    }
                }
            }
        }
    }

    /// Applies the records of a transaction. The records of one sweep follow each other, so each sweep is locked once.
    pub(super) fn apply(&self, records: &[Record]) {
        let concerned: Vec<(SweepId, &Record)> =
            records.iter().filter_map(|record| Some((sweep_of(record)?, record))).collect();
        for of_sweep in concerned.chunk_by(|one, next| one.0 == next.0) {
            let id = of_sweep[0].0;
            let board = self.state().sweeps.get(&id).map(|entry| entry.board.clone());
            if let Some(board) = board {
                let mut content = board.content_mut();
                of_sweep.iter().for_each(|(_, record)| content.apply(record));
                content.version = self.next_version();
            }
            if of_sweep.iter().any(|(_, record)| matches!(record, Record::Extended { .. } | Record::Deleted(_))) {
                // The grid is another one.
                let mut state = self.state();
                state.sweeps.remove(&id);
                state.dropped += 1;
            }
        }
    }
}

/// The sweep whose outcomes or grid a record changes.
fn sweep_of(record: &Record) -> Option<SweepId> {
    match record {
        Record::Ended(ending) => (!ending.results.is_empty()).then_some(ending.sweep),
        Record::Reused { sweep, .. } | Record::Retried { sweep, .. } | Record::Extended { sweep, .. } => Some(*sweep),
        Record::Deleted(sweep) => Some(*sweep),
        _ => None,
    }
}
