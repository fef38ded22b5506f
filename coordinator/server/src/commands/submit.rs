//! Takes in a sweep, or finds the one that is the same.

use std::sync::Arc;

use biosweep_common::ids::{SweepId, TrajectoryIndex};
use biosweep_common::outcome::SweepState;
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_host::id::new_id;
use biosweep_scheduler::event::Event;
use biosweep_scheduler::record::{Submission, SweepRow};
use biosweep_store::{Store, StoreError};

use crate::commands::reuse::{self, Wanted};
use crate::driver::{DriverError, Handle};

/// Why a sweep could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The coordinator cannot take it in.
    #[error(transparent)]
    DriverError(#[from] DriverError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A sweep that is now in the coordinator's care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub id: SweepId,
    /// Whether it was there before.
    pub found: bool,
}

/// Starts the sweep, unless `fresh` is false and an equal one is running or has finished. Durable on return.
pub async fn submit(
    handle: &Handle,
    spec: SweepSpec,
    spec_text: String,
    spec_format: Format,
    fresh: bool,
) -> Result<Submitted, SubmitError> {
    let submission = Submission::new(new_id(), &spec, (spec_text, spec_format), handle.clock.wall());
    if !fresh && let Some(row) = find_equal(handle.store.as_ref(), &submission.digest).await? {
        return Ok(Submitted { id: row.submission.id, found: true });
    }
    let reused = reuse::find(handle.store.as_ref(), &spec, Wanted::From(TrajectoryIndex(0))).await?;
    let id = submission.id;
    handle.apply(Event::Submitted { submission: Box::new(submission), spec: Arc::new(spec), reused }).await?;
    Ok(Submitted { id, found: false })
}

/// The latest sweep of this digest that was not cancelled.
pub async fn find_equal(store: &dyn Store, digest: &str) -> Result<Option<SweepRow>, StoreError> {
    let equal = |row: &SweepRow| row.submission.digest == digest && row.state != SweepState::Cancelled;
    Ok(store.sweeps().await?.into_iter().rev().find(equal))
}
