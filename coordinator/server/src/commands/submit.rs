//! Submits a sweep, or finds an equal one.

use biosweep_common::results::outcome::SweepState;
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};
use biosweep_common::vocabulary::trace::Span;
use biosweep_host::id::new_id;
use biosweep_host::traces::FinishedSpan;
use biosweep_scheduler::event::Event;
use biosweep_scheduler::record::{Submission, SweepRow};
use biosweep_store::{Store, StoreError};

use super::Commands;
use crate::commands::reuse::{self, Wanted};
use crate::driver::{DriverError, Handle};
use crate::queries::QueryError;

/// Why a sweep was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
    /// The store cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// The sweep of a submission: a new sweep, or an equal one that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The id of the sweep.
    pub id: SweepId,
    /// Whether the sweep was submitted before.
    pub found: bool,
}

impl Commands {
    /// Submits a sweep, unless `fresh` is false and an equal sweep is stored that was not cancelled. On return the sweep is
    /// committed.
    pub async fn submit(&self, spec: SweepSpec, text: SpecText, fresh: bool) -> Result<Submitted, SubmitError> {
        let begin = self.handle.clock.since_1970();
        let run = async move |handle: Handle| {
            let (name, trials) = (spec.name.clone(), spec.grid.trials());
            let submitted = submit(&handle, spec, text, fresh).await?;
            if !submitted.found && handle.traces.contains_some() {
                let time = (begin, handle.clock.since_1970());
                let span = FinishedSpan::new(submitted.id, Span::Submit, time).text("name", name);
                handle.traces.send(span.number("trials", trials));
            }
            Ok(submitted)
        };
        self.one_at_a_time(run).await
    }
}

async fn submit(handle: &Handle, spec: SweepSpec, text: SpecText, fresh: bool) -> Result<Submitted, SubmitError> {
    let submission = Submission::new(new_id(), &spec, text, handle.clock.wall());
    if !fresh
        && let Some(row) = find_equal(handle.store.as_ref(), &submission.digest).await.map_err(QueryError::from)?
    {
        return Ok(Submitted { id: row.submission.id, found: true });
    }
    let prepared = super::prepare(spec).await;
    let reused = reuse::find_now(handle, &prepared, Wanted::From(TrajectoryIndex(0))).await?;
    let id = submission.id;
    handle.apply(Event::Submitted { submission: Box::new(submission), prepared, reused }).await?;
    Ok(Submitted { id, found: false })
}

/// The latest sweep with this digest that was not cancelled.
pub async fn find_equal(store: &dyn Store, digest: &str) -> Result<Option<SweepRow>, StoreError> {
    let equal = |row: &SweepRow| row.submission.digest == digest && row.state != SweepState::Cancelled;
    Ok(store.sweeps().await?.into_iter().rev().find(equal))
}
