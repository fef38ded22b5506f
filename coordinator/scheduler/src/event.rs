//! What the scheduler is told, and what it wants done.

use std::sync::Arc;

use biosweep_common::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::protocol::messages::{ToCoordinator, ToWorker};
use biosweep_common::spec::SweepSpec;
use biosweep_common::time::{Tick, WallTime};
use biosweep_common::views::IncompleteAttempt;

use crate::record::{Extension, Record, RestoredSweep, ReusedRow, Submission};

/// The time, as the scheduler is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub tick: Tick,
    /// For records.
    pub wall: WallTime,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new sweep.
    Submitted {
        /// As it will be kept.
        submission: Box<Submission>,
        /// What its text means.
        spec: Arc<SweepSpec>,
        /// What it takes over from the store.
        reused: Arc<[ReusedRow]>,
    },
    /// A sweep's owner has more trials for it.
    Extended {
        /// The sweep.
        sweep: SweepId,
        /// Which, and what is known of them.
        extended: Box<Extended>,
    },
    /// A sweep's owner wants it stopped.
    Cancelled(SweepId),
    /// A sweep's owner wants nothing more of it granted for now.
    Paused(SweepId),
    /// A sweep's owner wants it to go on.
    Resumed(SweepId),
    /// A sweep's owner wants trajectories tried again that failed for good.
    Retried {
        /// The sweep.
        sweep: SweepId,
        /// What the store knows of it, and what its text means, where it has finished.
        finished: Option<Box<(RestoredSweep, Arc<SweepSpec>)>>,
        /// The trajectories, each with the attempts it had.
        failures: Vec<(TrajectoryIndex, u32)>,
        /// What the store has of them meanwhile.
        reused: Arc<[ReusedRow]>,
    },
    /// The owner of a sweep that has ended wants it gone.
    Deleted(SweepId),
    /// A worker is to be let out of quarantine.
    Released(WorkerId),
    /// A worker said something on its present stream.
    Message {
        /// The worker.
        worker: WorkerId,
        /// What it said.
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
    /// Time has passed in which nobody could be heard: the store could not be written, or this process slept.
    Awoke,
}

impl Event {
    /// Whether it is what a person asks for, rather than what happened.
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
    /// As it will be kept.
    pub extension: Extension,
    /// What the sweep means with it.
    pub spec: Arc<SweepSpec>,
    /// What the store knows of the sweep, where it has finished.
    pub finished: Option<RestoredSweep>,
    /// What of it is taken over from the store.
    pub reused: Arc<[ReusedRow]>,
}

/// Something to do. Nothing else is released before every [`Action::Persist`] of its batch is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Keep this.
    Persist(Record),
    /// Say this to a worker, where its stream is up.
    Send {
        /// The worker.
        worker: WorkerId,
        /// What to say.
        message: ToWorker,
    },
    /// Tell those who watch.
    Notify(Notice),
}

/// News for those who watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Something about this sweep changed: its counts, or what its workers do.
    Changed(SweepId),
    /// This sweep goes on, stands still, or has come to its end.
    StateChanged(SweepId),
    /// An attempt ended without completing.
    IncompleteAttempt {
        /// The sweep.
        sweep: SweepId,
        /// What happened.
        incomplete_attempt: IncompleteAttempt,
    },
}
