//! Commands that change the state of a sweep, and the release of a worker from quarantine.

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};
use biosweep_scheduler::event::Event;

use super::Commands;
use crate::driver::DriverError;
use crate::queries::{self, NotServedHere, QueryError};

/// Why the state of a sweep was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
    /// The sweep has finished.
    #[error("sweep {id} has finished, so there is nothing to {verb}; see its results with `biosweep results {id}`")]
    Finished {
        /// The sweep.
        id: SweepId,
        /// The command.
        verb: &'static str,
    },
    /// The sweep was cancelled.
    #[error(
        "sweep {id} was cancelled, so there is nothing to {verb}; see its results with `biosweep results {id}`, or submit its \
         spec with --fresh for a new sweep"
    )]
    Cancelled {
        /// The sweep.
        id: SweepId,
        /// The command.
        verb: &'static str,
    },
    /// The coordinator does not work on the sweep.
    #[error(transparent)]
    NotServedHere(#[from] NotServedHere),
}

impl Commands {
    /// Cancels a sweep; returns the sweep after the command. A cancelled sweep cannot be resumed.
    pub async fn cancel(&self, id: SweepId) -> Result<SweepView, StateError> {
        self.change(id, Event::Cancelled(id), "cancel", SweepState::Cancelled).await
    }

    /// Pauses a sweep; returns the sweep after the command. Its workers hand back their trajectories, with checkpoints.
    pub async fn pause(&self, id: SweepId) -> Result<SweepView, StateError> {
        self.change(id, Event::Paused(id), "pause", SweepState::Paused).await
    }

    /// Resumes a paused sweep; returns the sweep after the command.
    pub async fn resume(&self, id: SweepId) -> Result<SweepView, StateError> {
        self.change(id, Event::Resumed(id), "resume", SweepState::Running).await
    }

    /// Releases a worker from quarantine.
    pub async fn release(&self, worker: WorkerId) -> Result<(), DriverError> {
        self.handle.apply(Event::Released(worker)).await
    }

    async fn change(
        &self,
        id: SweepId,
        event: Event,
        verb: &'static str,
        wanted: SweepState,
    ) -> Result<SweepView, StateError> {
        self.handle.apply(event).await?;
        let sweep = queries::status(&self.handle, id).await?.sweep;
        match sweep.state {
            state if state == wanted => Ok(sweep),
            SweepState::Finished => Err(StateError::Finished { id, verb }),
            SweepState::Cancelled => Err(StateError::Cancelled { id, verb }),
            SweepState::Running | SweepState::Paused => {
                // A sweep that this version cannot read is not worked on.
                queries::read_spec(self.handle.store.as_ref(), &queries::row(&self.handle, id).await?).await?;
                Err(NotServedHere { id, verb }.into())
            }
        }
    }
}
