//! Events in, actions out.

use std::sync::Arc;

use biosweep_common::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::protocol::messages::{ToCoordinator, ToWorker};
use biosweep_common::time::{Tick, WallTime};
use biosweep_common::views::IncompleteAttempt;

use crate::record::{Extension, Record, RestoredSweep, ReusedRow, Submission};
use crate::tables::pending::PreparedSpec;

/// The moment of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic milliseconds, for deadlines.
    pub tick: Tick,
    /// The time of day, for records.
    pub wall: WallTime,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new sweep.
    Submitted {
        /// The record that will be kept.
        submission: Box<Submission>,
        /// Its spec.
        prepared: PreparedSpec,
        /// Results that it takes over from the store.
        reused: Arc<[ReusedRow]>,
    },
    /// The owner of a sweep adds trials to it.
    Extended {
        /// The sweep.
        sweep: SweepId,
        /// The trials.
        extended: Box<Extended>,
    },
    /// The owner of a sweep cancels it.
    Cancelled(SweepId),
    /// The owner of a sweep pauses it.
    Paused(SweepId),
    /// The owner of a sweep resumes it.
    Resumed(SweepId),
    /// The owner of a sweep wants trajectories tried again that failed for good.
    Retried {
        /// The sweep.
        sweep: SweepId,
        /// The sweep as the store knows it, and its spec, where it has finished.
        finished: Option<Box<(RestoredSweep, PreparedSpec)>>,
        /// The trajectories, each with the attempts it had.
        failures: Vec<(TrajectoryIndex, u32)>,
        /// Results for them that the store has meanwhile.
        reused: Arc<[ReusedRow]>,
    },
    /// The owner of a sweep that has ended deletes it.
    Deleted(SweepId),
    /// Somebody releases a worker from quarantine.
    Released(WorkerId),
    /// A worker sent a message on its present stream.
    Message {
        /// The worker.
        worker: WorkerId,
        /// The message.
        message: ToCoordinator,
    },
    /// A worker's present stream broke. Its leases live on until their deadline.
    Disconnected(WorkerId),
    /// A worker's process is known to have ended.
    Died {
        /// The worker.
        worker: WorkerId,
        /// How, for people.
        cause: String,
    },
    /// Nothing more is to be granted, and workers are to hand back what they train.
    Draining {
        /// Why, for people.
        reason: String,
    },
    /// Time has passed.
    Ticked,
    /// For some time no worker could be heard: the store could not be written, or this process slept.
    Awoke,
}

impl Event {
    /// Whether a person asked for it.
    pub const fn is_command(&self) -> bool {
        match self {
            Self::Submitted { .. }
            | Self::Extended { .. }
            | Self::Cancelled(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::Retried { .. }
            | Self::Deleted(_)
            | Self::Released(_) => true,
            Self::Message { .. }
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
    /// The record that will be kept.
    pub extension: Extension,
    /// The sweep's spec with these trials.
    pub prepared: PreparedSpec,
    /// The sweep as the store knows it, where it has finished.
    pub finished: Option<RestoredSweep>,
    /// Results that they take over from the store.
    pub reused: Arc<[ReusedRow]>,
}

/// Something to do. Every [`Action::Persist`] of a batch is committed before any other action of the batch is released.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Commit a record.
    Persist(Record),
    /// Send a message to a worker, where its stream is up.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The message.
        message: ToWorker,
    },
    /// Tell the watchers.
    Notify(Notice),
}

/// News for watchers.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The counts of this sweep changed, or what its workers do.
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
