//! What the scheduler shows of itself.

use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::outcome::SweepState;
use biosweep_common::views::{SweepView, WorkerView};

use crate::record::SweepRow;
use crate::scheduler::Scheduler;
use crate::tables::lease::Lease;
use crate::tables::sweep::Sweep;
use crate::tables::worker::Worker;
use crate::tables::worker_class::WorkerClass;

/// A sweep of which nothing is in training.
#[must_use]
pub fn sweep_view(row: &SweepRow) -> SweepView {
    let submission = &row.submission;
    SweepView {
        id: submission.id,
        name: submission.name.clone(),
        state: row.state,
        reason: row.reason.clone(),
        trials: submission.trials,
        trajectories: submission.trajectories,
        completed: row.completed,
        diverged: row.diverged,
        failed: row.failed,
        reused: row.reused,
        running: 0,
        submitted_at: submission.submitted_at,
    }
}

impl Scheduler {
    /// A running sweep, with its counts as of now; `None` where it has ended or never was.
    pub fn sweep_view(&self, id: SweepId) -> Option<SweepView> {
        self.sweeps.get(&id).map(|sweep| self.view(sweep))
    }

    /// Every running sweep.
    pub fn sweep_views(&self) -> Vec<SweepView> {
        self.sweeps.values().map(|sweep| self.view(sweep)).collect()
    }

    fn view(&self, sweep: &Sweep) -> SweepView {
        let view = SweepView { running: sweep.running, ..sweep_view(&sweep.row) };
        SweepView { reason: view.reason.or_else(|| self.waits_for(sweep)), ..view }
    }

    /// What a sweep that has something to be granted waits for, where nobody is there who could take it.
    fn waits_for(&self, sweep: &Sweep) -> Option<String> {
        let is_running = sweep.row.state == SweepState::Running;
        if is_running && sweep.pending.is_empty() && sweep.fair_share.open() == 0 {
            return Some(
                "all that is left of it is in training for another sweep, and is taken over from there".to_owned(),
            );
        }
        if !sweep.can_grant() {
            return None;
        }
        if sweep.lanes_there > 0 {
            return (sweep.fair_share.open() == 0).then(|| self.waits_for_others(sweep)).flatten();
        }
        let connected: u64 = self.workers.classes.values().map(|class| class.count).sum();
        let is_of_use = self.classes_for(sweep).any(|class| class.lanes > 0);
        let require = &sweep.spec.execution.require;
        let (wanted, that) =
            if require.is_none() { (String::new(), "a lane") } else { (format!(" with {require}"), "that") };
        let there = match connected {
            0 => "none is connected".to_owned(),
            _ if is_of_use && require.is_none() => "all that are connected are in quarantine".to_owned(),
            _ if is_of_use => "all that have that are in quarantine".to_owned(),
            1 => format!("the one that is connected has not got {that}"),
            several => format!("none of the {several} that are connected has got {that}"),
        };
        Some(format!("it waits for a worker{wanted}: {there}"))
    }

    /// Why a sweep waits of which nothing is in training, though workers that can train it are there.
    fn waits_for_others(&self, sweep: &Sweep) -> Option<String> {
        let any = |is_so: fn(&WorkerClass) -> bool| self.classes_for(sweep).any(is_so);
        let why = if any(|class| !class.refused.is_empty()) {
            "what is left of it failed on the workers that are idle, and waits for another"
        } else if any(|class| !class.suspects.is_empty()) {
            "the workers that are idle failed too much in a row; it waits for another"
        } else {
            let is_before =
                |other: &&Sweep| other.spec.execution.priority > sweep.spec.execution.priority && other.can_grant();
            let first = self.sweeps.values().filter(is_before).max_by_key(|other| other.spec.execution.priority)?;
            let name = &first.row.submission.name;
            return Some(format!("it waits behind {name}, whose priority is {}", first.spec.execution.priority));
        };
        Some(why.to_owned())
    }

    /// How much of the trials of a sweep that are in training is done, in trials.
    pub fn in_training_done(&self, id: SweepId) -> f64 {
        let lanes = self.leases.of_sweep(id).flat_map(|(_, lease)| lease.open.values());
        lanes.map(|lane| lane.trials() as f64 * lane.updates as f64 / lane.updates_max().max(1) as f64).sum()
    }

    /// The workers, each with what it trains: of one sweep, or of all.
    pub fn worker_views(&self, sweep: Option<SweepId>) -> Vec<WorkerView> {
        self.workers.iter().map(|(id, worker)| self.worker_view(id, worker, sweep)).collect()
    }

    fn worker_view(&self, id: WorkerId, worker: &Worker, sweep: Option<SweepId>) -> WorkerView {
        let of_sweep = |lease: &Lease| sweep.is_none_or(|sweep| lease.sweep == sweep);
        let leases = self.leases.of_worker(id).filter(|(_, lease)| of_sweep(lease));
        let training: Vec<_> = leases.flat_map(|(attempt, lease)| lease.views(attempt)).collect();
        WorkerView {
            id,
            name: worker.description.name.clone(),
            capabilities: worker.description.capabilities.clone(),
            lanes: worker.description.lanes,
            connected: worker.connected,
            quarantined: self.workers.quarantine_of(id).map(ToOwned::to_owned),
            training_count: u32::try_from(training.len()).unwrap_or(u32::MAX),
            training,
        }
    }
}
