//! Has trials tried again that failed for good.

use std::sync::Arc;

use biosweep_common::configuration::{Point, trajectory_point};
use biosweep_common::ids::{SweepId, TrajectoryIndex};
use biosweep_common::outcome::SweepState;
use biosweep_common::spec::SweepSpec;

use crate::core::event::Event;
use crate::driver::{Handle, Unable};
use crate::queries::{self, QueryError};
use crate::reuse::{self, Wanted};

/// Why nothing is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryError {
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The coordinator cannot take it in.
    #[error(transparent)]
    Unable(#[from] Unable),
    /// A cancelled sweep stays as it is.
    #[error("sweep {id} was cancelled; run its spec again with --fresh")]
    Cancelled {
        /// The sweep.
        id: SweepId,
    },
    /// No trial failed, or none with these settings.
    #[error("no trial of sweep {id} failed{there}; completed and diverged trials would only give the same again")]
    None {
        /// The sweep.
        id: SweepId,
        /// Among which, for people.
        there: &'static str,
    },
}

/// Tries every failed trial with these settings again; how many those are. The caller lets one retry in at a time, so
/// that what failed cannot change meanwhile.
pub(crate) async fn retry(handle: &Handle, id: SweepId, settings: &Point) -> Result<u64, RetryError> {
    let spec = queries::spec(handle, id).await?;
    let restored = handle.store.restore_sweep(id).await.map_err(QueryError::from)?;
    let restored = restored.ok_or_else(|| QueryError::Unknown { name: id.to_string() })?;
    if restored.row.state == SweepState::Cancelled {
        return Err(RetryError::Cancelled { id });
    }
    let mut failures = handle.store.failures(id).await.map_err(QueryError::from)?;
    failures.retain(|&(index, _)| has(&spec, index, settings));
    if failures.is_empty() {
        return Err(RetryError::None { id, there: if settings.is_empty() { "" } else { " with these settings" } });
    }
    let trajectories = failures.iter().filter_map(|&(index, _)| spec.grid.trajectory(index));
    let trials = trajectories.map(|trajectory| trajectory.stopping_rules.len() as u64).sum();
    let these = failures.iter().map(|&(index, _)| index).collect();
    // Another sweep may have found meanwhile what failed here.
    let reused = reuse::find(handle.store.as_ref(), &spec, Wanted::These(&these)).await.map_err(QueryError::from)?;
    let finished = (restored.row.state == SweepState::Finished).then(|| Box::new((restored, Arc::new(spec))));
    handle.apply(Event::Retried { sweep: id, finished, failures, reused }).await?;
    Ok(trials)
}

fn has(spec: &SweepSpec, index: TrajectoryIndex, settings: &Point) -> bool {
    let Some(trajectory) = spec.grid.trajectory(index) else { return false };
    let point = trajectory_point(&trajectory.shape, trajectory.hyperparameters);
    settings.iter().all(|(setting, value)| point.get(setting) == Some(value))
}
