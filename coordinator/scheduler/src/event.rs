//! The inputs of the scheduler (events) and its outputs (actions).

use std::sync::Arc;

use biosweep_common::protocol::messages::{ToCoordinator, ToWorker};
use biosweep_common::results::views::IncompleteAttempt;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::{Tick, WallTime};

use crate::record::{AccessChange, Extension, Record, RestoredSweep, ReusedRow, Submission};
use crate::tables::pending::PreparedSpec;

/// The time of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic milliseconds, for deadlines.
    pub tick: Tick,
    /// The time of day, for records.
    pub wall: WallTime,
}

/// An input of the scheduler.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new sweep.
    Submitted {
        /// The submission, which is stored.
        submission: Box<Submission>,
        /// The spec of the sweep.
        prepared: PreparedSpec,
        /// Stored results that the sweep takes over.
        reused: Arc<[ReusedRow]>,
    },
    /// A user adds trials to a sweep.
    Extended {
        /// The sweep.
        sweep: SweepId,
        /// The added trials.
        extended: Box<Extended>,
    },
    /// A user cancels a sweep.
    Cancelled(SweepId),
    /// A user pauses a sweep.
    Paused(SweepId),
    /// A user resumes a sweep.
    Resumed(SweepId),
    /// A user retries failed trajectories of a sweep.
    Retried {
        /// The sweep.
        sweep: SweepId,
        /// The stored sweep and its spec, if the sweep has finished.
        finished: Option<Box<(RestoredSweep, PreparedSpec)>>,
        /// The trajectories, each with the number of its attempts so far.
        failures: Vec<(TrajectoryIndex, u32)>,
        /// Stored results that these trajectories take over.
        reused: Arc<[ReusedRow]>,
    },
    /// Stored results were found that a sweep may reuse.
    ResultsFound {
        /// The sweep.
        sweep: SweepId,
        /// The results.
        reused: Arc<[ReusedRow]>,
    },
    /// A user writes or removes the note of a sweep. The caller knows that the sweep is stored.
    Noted {
        /// The sweep.
        sweep: SweepId,
        /// The new note; `None` to remove it.
        note: Option<String>,
    },
    /// A user changes access, or a worker enrols. The caller knows that the store takes the change.
    AccessChanged(AccessChange),
    /// A user deletes a sweep that has ended.
    Deleted(SweepId),
    /// A user releases a worker from quarantine.
    Released(WorkerId),
    /// A worker sent a message on its current stream.
    Message {
        /// The worker.
        worker: WorkerId,
        /// The message.
        message: ToCoordinator,
    },
    /// A worker's current stream ended. The worker keeps its leases until its deadline.
    Disconnected(WorkerId),
    /// A worker's process has ended.
    Died {
        /// The worker.
        worker: WorkerId,
        /// How the process ended, as text.
        cause: String,
    },
    /// The coordinator stops. It grants nothing more, and the workers hand back their trajectories.
    Draining {
        /// The reason, as text.
        reason: String,
    },
    /// A deadline may have passed.
    Ticked,
    /// The coordinator received no messages for some time: the store could not be written, or the process was suspended.
    Awoke,
}

impl Event {
    /// Whether the event is a user's command.
    pub const fn is_command(&self) -> bool {
        match self {
            Self::Submitted { .. }
            | Self::Extended { .. }
            | Self::Cancelled(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::Retried { .. }
            | Self::Noted { .. }
            | Self::AccessChanged(_)
            | Self::Deleted(_)
            | Self::Released(_) => true,
            Self::Message { .. }
            | Self::ResultsFound { .. }
            | Self::Disconnected(_)
            | Self::Died { .. }
            | Self::Draining { .. }
            | Self::Ticked
            | Self::Awoke => false,
        }
    }
}

/// More trials for a sweep.
#[derive(Debug, Clone)]
pub struct Extended {
    /// The extension, which is stored.
    pub extension: Extension,
    /// The spec of the sweep with the added trials.
    pub prepared: PreparedSpec,
    /// The stored sweep, if it has finished.
    pub finished: Option<RestoredSweep>,
    /// Stored results that the added trials take over.
    pub reused: Arc<[ReusedRow]>,
}

/// An output of the scheduler. Every [`Action::Persist`] of a batch is committed before any other action of the batch is released.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Commit a record.
    Persist(Record),
    /// Send a message to a worker, if the worker is connected.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The message.
        message: ToWorker,
    },
    /// Notify the watchers.
    Notify(Notice),
}

/// A notification for watchers.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The counts of this sweep changed, or the progress of its workers.
    Changed(SweepId),
    /// The state of this sweep changed.
    StateChanged(SweepId),
    /// An attempt ended without completing.
    IncompleteAttempt {
        /// The sweep.
        sweep: SweepId,
        /// The attempt.
        incomplete_attempt: IncompleteAttempt,
    },
}
