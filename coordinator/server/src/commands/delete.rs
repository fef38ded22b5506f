//! Deletes a sweep that has ended.

use biosweep_common::results::views::SweepView;
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_scheduler::event::Event;

use super::Commands;
use crate::driver::{DriverError, Handle};
use crate::queries::{self, NotServedHere, QueryError};

/// Why a sweep was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
    /// The sweep has not ended.
    #[error("sweep {id} is {state}; cancel it first: biosweep cancel {id}")]
    Alive {
        /// The sweep.
        id: SweepId,
        /// The state of the sweep: running or paused.
        state: &'static str,
    },
    /// The coordinator does not work on the sweep.
    #[error(transparent)]
    NotServedHere(#[from] NotServedHere),
}

/// A deleted sweep or, in a dry run, a sweep that would be deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct Deletion {
    /// The sweep before its deletion.
    pub sweep: SweepView,
    /// Number of trials of other sweeps whose results were taken over from the sweep.
    pub taken_over: u64,
}

impl Commands {
    /// Deletes a sweep that has ended. A dry run only returns what would be deleted.
    pub async fn delete(&self, id: SweepId, dry_run: bool) -> Result<Deletion, DeleteError> {
        self.one_at_a_time(async move |handle: Handle| delete(&handle, id, dry_run).await).await
    }
}

async fn delete(handle: &Handle, id: SweepId, dry_run: bool) -> Result<Deletion, DeleteError> {
    let sweep = queries::status(handle, id).await?.sweep;
    if !sweep.state.has_ended() {
        return Err(DeleteError::Alive { id, state: sweep.state.name() });
    }
    let taken_over = handle.store.taken_over_from(id).await.map_err(QueryError::from)?;
    if !dry_run {
        handle.apply(Event::Deleted(id)).await?;
        if !handle.store.is_deleted(id).await.map_err(QueryError::from)? {
            return Err(NotServedHere { id, verb: "delete" }.into());
        }
    }
    Ok(Deletion { sweep, taken_over })
}
