//! What an archive has of a sweep, as rows that every store reads and writes.
//!
//! Fencing numbers and the order of entries belong to a store. In these rows a lease has the number of its place among the leases
//! of the sweep, from 0, and the store that imports the rows gives it a new fencing number.

use std::sync::Arc;

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_scheduler::record::{DatasetRow, SweepRow, TrialResult};

use crate::StoreError;

/// A worker that trained: its name, and its numeric environment if it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Trainer {
    /// The name.
    pub name: String,
    /// The numeric environment.
    pub environment: Option<Arc<NumericEnvironment>>,
}

/// A sweep, and what its owner has done since its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedSweep {
    /// The sweep. An import computes its counts of results again.
    pub row: SweepRow,
    /// Number of its ended attempts.
    pub attempts: u64,
    /// Number of these attempts that had ended when it was last resumed.
    pub resumed_after: u64,
    /// Number of these attempts that had ended when it last began to run.
    pub began_after: u64,
    /// Number of trajectories that had completed or diverged when it last began to run.
    pub ended_before: u64,
}

/// A lease under which attempts have ended. `N` is its fencing number in a store, or its place in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedLease<N> {
    /// Which lease it is.
    pub lease: N,
    /// The first trajectory of its range.
    pub first: TrajectoryIndex,
    /// Number of trajectories in its range.
    pub count: u64,
    /// The worker.
    pub worker: WorkerId,
    /// The name and numeric environment of the worker.
    pub trainer: Trainer,
    /// Time of the grant.
    pub at: WallTime,
}

/// An ended attempt at one trajectory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedAttempt<N> {
    /// The lease.
    pub lease: N,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The outcome.
    pub outcome: Outcome,
    /// The cause of a failure.
    pub cause: Option<String>,
    /// Time of the end.
    pub at: WallTime,
    /// Updates done, as last reported; `None` if unknown.
    pub updates: Option<u64>,
    /// Whether a retry was granted since, so that a failure no longer counts.
    pub is_forgiven: bool,
}

/// Where a curve comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurveOrigin<N> {
    /// An attempt under this lease of the sweep.
    Attempt(N),
    /// Another trajectory, which this worker trained.
    TakenOver(Trainer),
}

/// The curve of a trajectory that has ended for good. It has its points even if it was taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedCurve<N> {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// Where it comes from.
    pub origin: CurveOrigin<N>,
    /// The evaluations.
    pub points: Vec<CurvePoint>,
    /// The diagnostics at these evaluations.
    pub diagnostics: Vec<DiagnosticPoint>,
}

/// The attempt of a late report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateAttempt {
    /// An attempt under the lease of the sweep at this place.
    Under(u64),
    /// A number that no lease of the sweep has.
    Unknown(Attempt),
}

/// A report under an attempt that was no longer leased: evidence, never counted.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedLate<N> {
    /// The attempt.
    pub attempt: N,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The worker that reported it.
    pub worker: WorkerId,
    /// The reported outcome.
    pub outcome: Outcome,
    /// The reported curve.
    pub points: Vec<CurvePoint>,
    /// Time of the report.
    pub at: WallTime,
}

/// A row of a sweep that is imported. Leases come before their attempts.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportedRow {
    /// A lease.
    Lease(ArchivedLease<u64>),
    /// An ended attempt. Attempts come in the order in which they ended.
    Attempt(ArchivedAttempt<u64>),
    /// A trajectory that has ended for good: its curve and the results of all its trials.
    Done(ArchivedCurve<u64>, Vec<TrialResult>),
    /// A late report.
    Late(ArchivedLate<LateAttempt>),
}

/// What an imported sweep refers to beyond itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// The sweeps whose results it took over, each with whether it was deleted when the archive was written.
    pub sources: Vec<(SweepId, bool)>,
    /// The custom data that it was trained on.
    pub datasets: Vec<DatasetRow>,
}

/// Why rows could not be read.
pub type RowsError = Box<dyn std::error::Error + Send + Sync>;

/// The rows of a sweep that is imported, in parts that fit into memory.
pub type ImportedRows<'a> = &'a mut (dyn Iterator<Item = Result<Vec<ImportedRow>, RowsError>> + Send);

/// Why a sweep was not imported; nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows could not be read.
    #[error(transparent)]
    Rows(RowsError),
}
