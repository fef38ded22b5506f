//! A worker, as the scheduler knows it.

use std::collections::BTreeSet;

use biosweep_common::ids::{Attempt, TrajectoryIndex};
use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::time::Tick;

use super::accepted::Accepted;
use super::failures::Failing;
use super::worker_class::WorkerStatus;

/// A worker that has presented itself, or that holds leases from before a restart.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    /// What people should know of it.
    pub description: WorkerDescription,
    /// Whether its stream is up.
    pub connected: bool,
    /// When it counts as lost.
    pub(super) deadline: Tick,
    /// Lanes it has asked work for.
    pub(super) idle_lanes: u32,
    /// Whether nothing was heard of it for too long: what it asked for is for later.
    pub(super) is_silent: bool,
    /// The worker's status in its class.
    pub(super) status: Option<WorkerStatus>,
    /// Lanes it holds.
    pub(super) open: u32,
    /// The leases they came under.
    pub(super) leases: BTreeSet<Attempt>,
    /// What it failed since it last completed something.
    pub(super) failing: Failing,
    /// How its process ended, where that is known and another may take up its identity.
    pub(super) death: Option<String>,
    /// The reports accepted from it last, which it may repeat until it hears so.
    pub(super) accepted: Accepted,
}

impl Worker {
    pub(super) fn new(description: WorkerDescription, connected: bool, deadline: Tick) -> Self {
        Self {
            description,
            connected,
            deadline,
            idle_lanes: 0,
            is_silent: false,
            status: None,
            open: 0,
            leases: BTreeSet::new(),
            failing: Failing::default(),
            death: None,
            accepted: Accepted::default(),
        }
    }

    /// Lanes it asked work for and has room for.
    pub(super) fn room(&self) -> u32 {
        self.idle_lanes.min(self.description.lanes.saturating_sub(self.open))
    }

    /// Remembers that a report was accepted.
    pub(super) fn accept(&mut self, attempt: Attempt, trajectory: TrajectoryIndex) {
        self.accepted.push((attempt, trajectory));
    }

    /// Whether a report is one accepted before: its acknowledgement was lost.
    pub(super) fn has_accepted(&self, attempt: Attempt, trajectory: TrajectoryIndex) -> bool {
        self.accepted.contains((attempt, trajectory))
    }
}
