//! Views of the scheduler's sweeps and workers, for users.

use std::collections::BTreeSet;

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{SweepView, WorkerView};
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::workers::capability::{Capabilities, Requirement};

use crate::record::SweepRow;
use crate::scheduler::Scheduler;
use crate::tables::lease::Lease;
use crate::tables::sweep::Sweep;
use crate::tables::worker::Worker;
use crate::tables::worker_class::WorkerClass;

/// The view of a sweep that has no trial in training.
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
        state_at: row.state_at,
        note: row.note.clone(),
    }
}

/// Workers that are alike, started and ended together by an autoscaler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// The kind of their device, such as `cuda`; `None` if it does not matter.
    pub device: Option<String>,
    /// Their labels; `None` if they do not matter.
    pub labels: Option<BTreeSet<String>>,
}

impl Pool {
    /// Whether the workers have the device and the labels that a sweep requires. A pool does not say how much memory they have.
    fn meets(&self, requirement: &Requirement) -> bool {
        let device = self.device.as_deref().or(requirement.device.as_deref()).unwrap_or_default().to_owned();
        let labels = self.labels.as_ref().unwrap_or(&requirement.labels).clone();
        requirement.is_met_by(&Capabilities { device, memory_bytes: u64::MAX, labels })
    }

    /// Whether a worker could be one of them. Of a worker that has not connected since the coordinator's start nothing is known.
    fn includes(&self, worker: &Capabilities) -> bool {
        if worker.device.is_empty() {
            return true;
        }
        let alike = Requirement { device: self.device.clone(), ..Requirement::default() };
        alike.is_met_by(worker) && self.labels.as_ref().is_none_or(|labels| *labels == worker.labels)
    }
}

/// The number of workers and lanes in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerCounts {
    /// Connected workers that train.
    pub training: u64,
    /// Connected workers that do not train.
    pub idle: u64,
    /// Connected workers in quarantine.
    pub quarantined: u64,
    /// Workers that are not connected or silent, and are not given up yet.
    pub disconnected: u64,
    /// Lanes that hold a trajectory, whether their worker is connected or not.
    pub lanes_training: u64,
    /// Lanes that hold none, of connected workers that are not in quarantine.
    pub lanes_free: u64,
}

impl Scheduler {
    /// Number of trajectories that workers of a pool may train or are training: of one running sweep, or of all. Trajectories that
    /// await the result of another sweep are not counted, because they need no worker.
    pub fn outstanding(&self, pool: &Pool, sweep: Option<SweepId>) -> u64 {
        let counts = |other: &&Sweep| other.row.state == SweepState::Running && sweep.is_none_or(|id| id == other.id());
        let of_pool = |lease: &&Lease| {
            self.workers.get(lease.worker).is_some_and(|worker| pool.includes(&worker.description.capabilities))
        };
        let of_sweep = |sweep: &Sweep| {
            let pending = if pool.meets(&sweep.spec.execution.require) { sweep.pending.len() } else { 0 };
            let leases = self.leases.of_sweep(sweep.id()).map(|(_, lease)| lease).filter(of_pool);
            pending + leases.map(|lease| lease.open.len() as u64).sum::<u64>()
        };
        self.sweeps.values().filter(counts).map(of_sweep).sum()
    }

    /// The view of a sweep that has not ended; `None` if the sweep has ended or is unknown.
    pub fn sweep_view(&self, id: SweepId) -> Option<SweepView> {
        self.sweeps.get(&id).map(|sweep| self.view(sweep))
    }

    /// The views of all sweeps that have not ended.
    pub fn sweep_views(&self) -> Vec<SweepView> {
        self.sweeps.values().map(|sweep| self.view(sweep)).collect()
    }

    fn view(&self, sweep: &Sweep) -> SweepView {
        let view = SweepView { running: sweep.running, ..sweep_view(&sweep.row) };
        SweepView { reason: view.reason.or_else(|| self.waits_for(sweep)), ..view }
    }

    /// Why a running sweep waits; `None` if it does not wait.
    fn waits_for(&self, sweep: &Sweep) -> Option<String> {
        let is_running = sweep.row.state == SweepState::Running;
        if is_running && sweep.pending.is_empty() && sweep.fair_share.open() == 0 {
            return Some(
                "all remaining trajectories are in training for another sweep, and their results will be taken over"
                    .to_owned(),
            );
        }
        if !sweep.can_grant() {
            return None;
        }
        if sweep.usable_lanes > 0 {
            return (sweep.fair_share.open() == 0).then(|| self.reason_to_wait_for_others(sweep)).flatten();
        }
        let connected: u64 = self.workers.classes.values().map(|class| class.count).sum();
        let is_matched = self.classes_for(sweep).any(|class| class.lanes > 0);
        let require = &sweep.spec.execution.require;
        let (wanted, condition) =
            if require.is_none() { (String::new(), "has a lane") } else { (format!(" with {require}"), "matches") };
        let state = match connected {
            0 => "no worker is connected".to_owned(),
            _ if is_matched && require.is_none() => "all connected workers are in quarantine".to_owned(),
            _ if is_matched => "all matching workers are in quarantine".to_owned(),
            1 => format!("no connected worker {condition}"),
            several => format!("none of the {several} connected workers {condition}"),
        };
        Some(format!("the sweep waits for a worker{wanted}: {state}"))
    }

    /// Why a sweep has no trial in training although workers that can train it are connected.
    fn reason_to_wait_for_others(&self, sweep: &Sweep) -> Option<String> {
        let any = |is_so: fn(&WorkerClass) -> bool| self.classes_for(sweep).any(is_so);
        let why = if any(|class| !class.refused.is_empty()) {
            "the remaining trajectories failed on the idle workers; the sweep waits for another worker"
        } else if any(|class| !class.suspects.is_empty()) {
            "the idle workers failed too many trajectories in a row; the sweep waits for another worker"
        } else {
            let is_before =
                |other: &&Sweep| other.spec.execution.priority > sweep.spec.execution.priority && other.can_grant();
            let first = self.sweeps.values().filter(is_before).max_by_key(|other| other.spec.execution.priority)?;
            let name = &first.row.submission.name;
            return Some(format!(
                "the sweep waits for {name}, which has the higher priority {}",
                first.spec.execution.priority
            ));
        };
        Some(why.to_owned())
    }

    /// The progress of the trials in training of a sweep, as a number of trials. A half-trained trial counts 0.5.
    pub fn in_training_done(&self, id: SweepId) -> f64 {
        let lanes = self.leases.of_sweep(id).flat_map(|(_, lease)| lease.open.values());
        lanes.map(|lane| lane.trials() as f64 * lane.updates as f64 / lane.updates_max().max(1) as f64).sum()
    }

    /// The views of all workers, each with its lanes in training: the lanes of one sweep, or of all sweeps.
    pub fn worker_views(&self, sweep: Option<SweepId>) -> Vec<WorkerView> {
        self.workers.iter().map(|(id, worker)| self.worker_view(id, worker, sweep)).collect()
    }

    /// What changes rarely of each worker: whether it is connected and in quarantine, and the number of its lanes in training. This
    /// costs less than views.
    pub fn worker_states(&self) -> Vec<(WorkerId, bool, bool, usize)> {
        let state = |(id, worker): (WorkerId, &Worker)| {
            let training = self.leases.of_worker(id).map(|(_, lease)| lease.open.len()).sum();
            (id, worker.connected && !worker.is_silent, self.workers.quarantine_of(id).is_some(), training)
        };
        self.workers.iter().map(state).collect()
    }

    /// The number of workers and lanes in each state.
    pub fn worker_counts(&self) -> WorkerCounts {
        let mut counts = WorkerCounts::default();
        for (id, worker) in self.workers.iter() {
            let held = self.leases.lanes_held_by(id);
            counts.lanes_training += u64::from(held);
            let is_quarantined = self.workers.quarantine_of(id).is_some();
            let of_state = match worker.connected && !worker.is_silent {
                false => &mut counts.disconnected,
                true if is_quarantined => &mut counts.quarantined,
                true => {
                    counts.lanes_free += u64::from(worker.description.lanes.saturating_sub(held));
                    if held > 0 { &mut counts.training } else { &mut counts.idle }
                }
            };
            *of_state += 1;
        }
        counts
    }

    /// Whether a trajectory in training is granted for the first time.
    pub fn is_first_attempt(&self, sweep: SweepId, trajectory: TrajectoryIndex) -> bool {
        let counters = self.sweeps.get(&sweep).and_then(|sweep| sweep.counters.get(&trajectory));
        counters.is_some_and(|counters| counters.granted == 1)
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
            connected: worker.connected && !worker.is_silent,
            quarantined: self.workers.quarantine_of(id).map(ToOwned::to_owned),
            training_count: u32::try_from(training.len()).unwrap_or(u32::MAX),
            training,
        }
    }
}
