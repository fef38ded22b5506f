//! The store in memory, for simulation and tests: plain maps behind a mutex.

mod archive;
mod sweep;
mod verbs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_scheduler::record::{
    AccessTables, AttemptRow, CurveRow, DatasetRow, Ending, LeaseRow, QuarantineRow, Record, RetriedRow, ReusedRow,
    Submission, SweepRow, TrialResult,
};

/// A store that does not outlive its process.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// In the order of submission.
    sweeps: Vec<Sweep>,
    deleted: BTreeSet<SweepId>,
    leases: BTreeMap<Attempt, Lease>,
    quarantined: BTreeMap<WorkerId, QuarantineRow>,
    /// By digest.
    datasets: BTreeMap<String, DatasetSize>,
    access: AccessTables,
}

#[derive(Debug, Clone)]
struct Sweep {
    row: SweepRow,
    results: BTreeMap<TrialIndex, TrialResult>,
    /// The curves of trajectories that are done.
    curves: BTreeMap<TrajectoryIndex, CurveRow>,
    /// The reused trajectories, with the sources of their curves.
    reused: BTreeMap<TrajectoryIndex, (SweepId, TrajectoryIndex)>,
    /// The trajectories that keep a curve of a deleted sweep, with the worker that trained it.
    inherited: BTreeMap<TrajectoryIndex, Trainer>,
    /// In the order in which they were recorded.
    attempts: Vec<EndedAttempt>,
    /// Numbers of attempts that had ended when the sweep was last resumed, and when it last started to run.
    resumed_after: usize,
    began_after: usize,
    /// Number of trajectories that had completed or diverged when it last started to run.
    ended_before: usize,
    /// For each trajectory, the number of attempts up to which failures are forgiven.
    forgiven: BTreeMap<TrajectoryIndex, usize>,
    /// Late reports, kept as evidence.
    late: BTreeMap<(Attempt, TrajectoryIndex, WorkerId), Record>,
}

/// The name and the numeric environment of a worker.
type Trainer = (String, Option<Arc<NumericEnvironment>>);

#[derive(Debug, Clone)]
struct EndedAttempt {
    environment: Arc<NumericEnvironment>,
    row: AttemptRow,
    worker: WorkerId,
    updates: u64,
}

#[derive(Debug, Clone)]
struct Lease {
    row: LeaseRow,
    open: BTreeSet<TrajectoryIndex>,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()) }
    }
}

/// Reverts a record.
enum Undo {
    Nothing,
    Submission,
    Lease(Attempt),
    Ending {
        sweep: SweepId,
        attempt: Attempt,
        trajectory: TrajectoryIndex,
        trials: Vec<TrialIndex>,
        /// The digest of the dataset, if it is new.
        dataset: Option<String>,
    },
    Note(SweepId, Option<String>),
    Sweep(Box<Sweep>),
    Everything(Box<State>),
    Quarantine(WorkerId, Option<QuarantineRow>),
    Access(Box<AccessTables>),
}

impl Memory {
    /// Every record is applied completely or not at all, so the state behind a poisoned lock is valid.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Applies one record completely, or refuses it and changes nothing.
    fn apply(&mut self, record: &Record) -> Result<Undo, String> {
        match record {
            Record::Submitted(submission) => self.submitted(submission),
            Record::StateChanged { sweep, state, reason, at } => {
                let sweep = self.known(*sweep)?;
                let before = Undo::Sweep(Box::new(sweep.clone()));
                sweep.change_state(*state);
                sweep.row.reason.clone_from(reason);
                sweep.row.state_at = *at;
                Ok(before)
            }
            Record::Leased(lease) => self.leased(lease),
            Record::Ended(ending) => self.ended(ending),
            Record::Extended { sweep, extension, trials, trajectories } => {
                let sweep = self.known(*sweep)?;
                let before = Undo::Sweep(Box::new(sweep.clone()));
                (sweep.row.submission.trials, sweep.row.submission.trajectories) = (*trials, *trajectories);
                sweep.row.extensions.push(extension.clone());
                Ok(before)
            }
            Record::Reused { sweep, trajectories } => self.reused(*sweep, trajectories),
            Record::Retried { sweep, trajectories } => self.retried(*sweep, trajectories),
            Record::Noted { sweep, note } => {
                let row = &mut self.known(*sweep)?.row;
                Ok(Undo::Note(*sweep, std::mem::replace(&mut row.note, note.clone())))
            }
            Record::Access(change) => {
                let before = Undo::Access(Box::new(self.access.clone()));
                self.access.apply(change).map(|()| before)
            }
            Record::Deleted(sweep) => self.deleted(*sweep),
            Record::Quarantined(row) => {
                let before = self.quarantined.get(&row.worker).cloned();
                self.quarantined.entry(row.worker).or_insert_with(|| row.clone());
                Ok(Undo::Quarantine(row.worker, before))
            }
            Record::Released(worker) => Ok(Undo::Quarantine(*worker, self.quarantined.remove(worker))),
            Record::Late { sweep, trajectory, attempt, worker, .. } => {
                let is_its_own = |LeaseRow { sweep: of, worker: holder, first, count, .. }: &LeaseRow| {
                    (of, holder) == (sweep, worker) && (first.0..first.0 + count).contains(&trajectory.0)
                };
                if !self.leases.get(attempt).is_some_and(|lease| is_its_own(&lease.row)) {
                    return Ok(Undo::Nothing);
                }
                let Ok(sweep) = self.known(*sweep) else { return Ok(Undo::Nothing) };
                let before = Undo::Sweep(Box::new(sweep.clone()));
                sweep.late.entry((*attempt, *trajectory, *worker)).or_insert_with(|| record.clone());
                Ok(before)
            }
        }
    }

    fn submitted(&mut self, submission: &Submission) -> Result<Undo, String> {
        if self.sweep(submission.id).is_some() || self.deleted.contains(&submission.id) {
            return Err(format!("sweep {} already exists", submission.id));
        }
        let (submission, state, state_at) = (submission.clone(), SweepState::Running, submission.submitted_at);
        self.sweeps.push(Sweep {
            row: SweepRow {
                submission,
                extensions: Vec::new(),
                state,
                state_at,
                reason: None,
                note: None,
                completed: 0,
                diverged: 0,
                failed: 0,
                reused: 0,
            },
            results: BTreeMap::new(),
            curves: BTreeMap::new(),
            reused: BTreeMap::new(),
            inherited: BTreeMap::new(),
            attempts: Vec::new(),
            resumed_after: 0,
            began_after: 0,
            ended_before: 0,
            forgiven: BTreeMap::new(),
            late: BTreeMap::new(),
        });
        Ok(Undo::Submission)
    }

    fn leased(&mut self, lease: &LeaseRow) -> Result<Undo, String> {
        self.known(lease.sweep)?;
        if lease.count == 0 || self.leases.contains_key(&lease.attempt) {
            return Err(format!("attempt {} already exists or has no trajectories", lease.attempt));
        }
        let open = (lease.first.0..lease.first.0 + lease.count).map(TrajectoryIndex).collect();
        self.leases.insert(lease.attempt, Lease { row: lease.clone(), open });
        Ok(Undo::Lease(lease.attempt))
    }

    fn ended(&mut self, ending: &Ending) -> Result<Undo, String> {
        let &Ending { sweep: id, trajectory, attempt, outcome, at, .. } = ending;
        let Self { sweeps, leases, datasets, .. } = self;
        let sweep = sweeps.iter_mut().find(|sweep| sweep.row.submission.id == id);
        let sweep = sweep.ok_or_else(|| format!("sweep {id} does not exist"))?;
        let lease = leases.get_mut(&attempt).filter(|lease| lease.row.sweep == id && lease.open.contains(&trajectory));
        let lease = lease.ok_or_else(|| format!("trajectory {trajectory} is not open under attempt {attempt}"))?;
        let trials: Vec<TrialIndex> = ending.results.iter().map(|result| result.trial).collect();
        let distinct: BTreeSet<&TrialIndex> = trials.iter().collect();
        if distinct.len() < trials.len() || trials.iter().any(|trial| sweep.results.contains_key(trial)) {
            return Err(format!("trajectory {trajectory} of sweep {id} has a second result of one trial"));
        }
        let done = !trials.is_empty();
        if done && sweep.curves.contains_key(&trajectory) || !done && outcome == Outcome::Completed {
            return Err(format!("trajectory {trajectory} of sweep {id} is already done, or completed without results"));
        }
        lease.open.remove(&trajectory);
        let (worker_name, cause) = (lease.row.worker_name.clone(), ending.cause.clone());
        let row = AttemptRow { trajectory, attempt, worker_name, outcome, cause, at };
        let environment = Arc::clone(&lease.row.environment);
        sweep.attempts.push(EndedAttempt { row, worker: lease.row.worker, environment, updates: ending.updates });
        if done {
            let (points, diagnostics) = (ending.curve.clone(), ending.diagnostics.clone());
            sweep.curves.insert(trajectory, CurveRow { trajectory, points, diagnostics });
        }
        for result in &ending.results {
            *sweep.count(result.status) += 1;
            sweep.results.insert(result.trial, result.clone());
        }
        let dataset = ending.dataset.as_ref().filter(|dataset| !datasets.contains_key(&dataset.digest));
        if let Some(DatasetRow { digest, size }) = dataset {
            datasets.insert(digest.clone(), *size);
        }
        let dataset = dataset.map(|dataset| dataset.digest.clone());
        Ok(Undo::Ending { sweep: id, attempt, trajectory, trials, dataset })
    }

    fn reused(&mut self, id: SweepId, trajectories: &[ReusedRow]) -> Result<Undo, String> {
        let before = self.known(id)?.clone();
        for row in trajectories {
            if let Err(what) = self.reused_one(id, row) {
                *self.known(id)? = before;
                return Err(what);
            }
        }
        Ok(Undo::Sweep(Box::new(before)))
    }

    fn reused_one(&mut self, id: SweepId, row: &ReusedRow) -> Result<(), String> {
        let trajectory = row.trajectory;
        let source = self.known(row.source)?;
        let of = source.owns(row.source_trajectory).then(|| source.curves.get(&row.source_trajectory));
        let curve = of.flatten().cloned().ok_or_else(|| format!("sweep {} has no such curve", row.source))?;
        if let Some(from) =
            row.results.iter().filter_map(|result| result.reused_from).find(|from| self.sweep(from.sweep).is_none())
        {
            return Err(format!("sweep {} does not exist", from.sweep));
        }
        let sweep = self.known(id)?;
        if row.results.is_empty() || sweep.curves.contains_key(&trajectory) {
            return Err(format!("trajectory {trajectory} of sweep {id} is already done, or is reused without results"));
        }
        sweep.curves.insert(trajectory, CurveRow { trajectory, ..curve });
        sweep.reused.insert(trajectory, (row.source, row.source_trajectory));
        for result in &row.results {
            if sweep.results.insert(result.trial, result.clone()).is_some() {
                return Err(format!("trajectory {trajectory} of sweep {id} has a second result of one trial"));
            }
            *sweep.count(result.status) += 1;
            sweep.row.reused += u64::from(result.reused_from.is_some());
        }
        Ok(())
    }

    fn retried(&mut self, id: SweepId, trajectories: &[RetriedRow]) -> Result<Undo, String> {
        let sweep = self.known(id)?;
        let before = sweep.clone();
        for row in trajectories {
            let trials = (row.first_trial.0..row.first_trial.0 + row.trials).map(TrialIndex);
            let results: Vec<TrialResult> = trials.filter_map(|trial| sweep.results.remove(&trial)).collect();
            let failed = results.iter().all(|result| result.status == TrialStatus::Failed);
            if results.len() as u64 != row.trials || !failed || sweep.curves.remove(&row.trajectory).is_none() {
                *sweep = before;
                return Err(format!("trajectory {} of sweep {id} is retried but did not fail", row.trajectory));
            }
            sweep.row.failed -= row.trials;
            sweep.forgiven.insert(row.trajectory, sweep.attempts.len());
        }
        Ok(Undo::Sweep(Box::new(before)))
    }

    fn deleted(&mut self, id: SweepId) -> Result<Undo, String> {
        let gone = self.known(id)?;
        if !gone.row.state.has_ended() {
            return Err(format!("sweep {id} is deleted but has not ended"));
        }
        let gone = gone.clone();
        let before = self.clone();
        self.sweeps.retain(|sweep| sweep.row.submission.id != id);
        self.deleted.insert(id);
        let mut heirs: BTreeMap<TrajectoryIndex, (SweepId, TrajectoryIndex)> = BTreeMap::new();
        for sweep in &mut self.sweeps {
            let heir_id = sweep.row.submission.id;
            for (&trajectory, source) in sweep.reused.iter_mut().filter(|(_, source)| source.0 == id) {
                let from = source.1;
                *source = *heirs.entry(from).or_insert_with(|| {
                    sweep.inherited.insert(trajectory, gone.trainer(from));
                    (heir_id, trajectory)
                });
            }
        }
        Ok(Undo::Everything(Box::new(before)))
    }

    fn take_back(&mut self, step: Undo) {
        const THERE: &str = "it was added just before";
        match step {
            Undo::Submission => drop(self.sweeps.pop()),
            Undo::Nothing => {}
            Undo::Everything(before) => *self = *before,
            Undo::Access(before) => self.access = *before,
            Undo::Note(id, before) => self.known(id).expect(THERE).row.note = before,
            Undo::Sweep(before) => {
                let id = before.row.submission.id;
                *self.known(id).expect(THERE) = *before;
            }
            Undo::Quarantine(worker, Some(before)) => drop(self.quarantined.insert(worker, before)),
            Undo::Quarantine(worker, None) => drop(self.quarantined.remove(&worker)),
            Undo::Lease(attempt) => drop(self.leases.remove(&attempt)),
            Undo::Ending { sweep, attempt, trajectory, trials, dataset } => {
                if let Some(digest) = dataset {
                    self.datasets.remove(&digest);
                }
                self.leases.get_mut(&attempt).expect(THERE).open.insert(trajectory);
                let sweep = self.known(sweep).expect(THERE);
                sweep.attempts.pop();
                if !trials.is_empty() {
                    sweep.curves.remove(&trajectory);
                }
                for trial in trials {
                    let result = sweep.results.remove(&trial).expect(THERE);
                    *sweep.count(result.status) -= 1;
                }
            }
        }
    }

    fn sweep(&self, id: SweepId) -> Option<&Sweep> {
        self.sweeps.iter().find(|sweep| sweep.row.submission.id == id)
    }

    fn known(&mut self, id: SweepId) -> Result<&mut Sweep, String> {
        let sweep = self.sweeps.iter_mut().find(|sweep| sweep.row.submission.id == id);
        sweep.ok_or_else(|| format!("sweep {id} does not exist"))
    }
}
