//! The stored sweeps that this coordinator does not work on.

use std::collections::BTreeMap;

use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex};

use crate::record::RestoredSweep;

/// The open trajectories of each open lease of a sweep.
pub(crate) type OpenLeases = BTreeMap<Attempt, Vec<TrajectoryIndex>>;

/// Stored sweeps that have not ended and that this coordinator does not work on.
#[derive(Debug, Clone, Default)]
pub struct OutOfScope {
    sweeps: BTreeMap<SweepId, OpenLeases>,
}

impl OutOfScope {
    /// A set of these sweeps.
    pub fn of<'a>(sweeps: impl IntoIterator<Item = &'a RestoredSweep>) -> Self {
        let open = |sweep: &RestoredSweep| {
            sweep.open.iter().map(|(lease, trajectories)| (lease.attempt, trajectories.clone())).collect()
        };
        Self { sweeps: sweeps.into_iter().map(|sweep| (sweep.row.submission.id, open(sweep))).collect() }
    }

    /// Whether a sweep is out of scope.
    pub(crate) fn has(&self, sweep: SweepId) -> bool {
        self.sweeps.contains_key(&sweep)
    }

    /// Whether an attempt is an open lease of a sweep out of scope.
    pub(crate) fn has_attempt(&self, attempt: Attempt) -> bool {
        self.sweeps.values().any(|leases| leases.contains_key(&attempt))
    }

    /// Removes a sweep that ends, and returns its open leases; `None` if it is not here.
    pub(crate) fn remove(&mut self, sweep: SweepId) -> Option<OpenLeases> {
        self.sweeps.remove(&sweep)
    }
}
