//! Adds trials to a sweep.

use biosweep_common::results::outcome::SweepState;
use biosweep_common::spec::{ExtensionError, SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};
use biosweep_scheduler::event::{Event, Extended};
use biosweep_scheduler::record::Extension;

use super::Commands;
use crate::commands::reuse::{self, Wanted};
use crate::driver::{DriverError, Handle};
use crate::queries::{self, NotServedHere, OtherNumerics, QueryError};

/// Why a sweep was not extended.
#[derive(Debug, thiserror::Error)]
pub enum ExtendError {
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
    /// The extension does not fit the sweep.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// The sweep was cancelled.
    #[error(
        "sweep {id} was cancelled and cannot be extended; submit the spec as a new sweep, which takes over the existing results"
    )]
    Cancelled {
        /// The sweep.
        id: SweepId,
    },
    /// The results of the sweep are from another numerics version.
    #[error(transparent)]
    OtherNumerics(#[from] OtherNumerics),
    /// The coordinator does not work on the sweep.
    #[error(transparent)]
    NotServedHere(#[from] NotServedHere),
}

impl Commands {
    /// Adds the trials of an extension that the sweep does not have; returns their number.
    pub async fn extend(&self, id: SweepId, extension: SweepSpec, text: SpecText) -> Result<u64, ExtendError> {
        self.one_at_a_time(async move |handle: Handle| extend(&handle, id, &extension, text).await).await
    }
}

async fn extend(handle: &Handle, id: SweepId, extension: &SweepSpec, text: SpecText) -> Result<u64, ExtendError> {
    loop {
        let restored = handle.store.restore_sweep(id).await.map_err(QueryError::from)?;
        let restored = restored.ok_or_else(|| QueryError::Unknown { name: id.to_string() })?;
        if restored.row.state == SweepState::Cancelled {
            return Err(ExtendError::Cancelled { id });
        }
        OtherNumerics::check(&restored.row)?;
        let before = queries::read_spec(handle.store.as_ref(), &restored.row).await?;
        let spec = before.extended(extension)?;
        let added = spec.grid.trials() - before.grid.trials();
        if added == 0 {
            return Ok(0);
        }
        let new = Wanted::From(TrajectoryIndex(before.grid.trajectories()));
        let prepared = super::prepare(spec).await;
        let reused = reuse::find_now(handle, &prepared, new).await?;
        let extension = Extension { spec: text.clone(), at: handle.clock.wall() };
        let had_finished = restored.row.state == SweepState::Finished;
        let finished = had_finished.then_some(restored);
        let trials = prepared.spec.grid.trials();
        let extended = Box::new(Extended { extension, prepared, finished, reused });
        handle.apply(Event::Extended { sweep: id, extended }).await?;
        match handle.store.sweep(id).await.map_err(QueryError::from)? {
            Some(row) if row.submission.trials == trials => return Ok(added),
            // The sweep finished meanwhile: read its state again.
            Some(row) if row.state.has_ended() && !had_finished => {}
            _ => return Err(NotServedHere { id, verb: "extend" }.into()),
        }
    }
}
