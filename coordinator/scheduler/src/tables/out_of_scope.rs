//! The stored sweeps that this coordinator does not work on.

use std::collections::BTreeSet;

use biosweep_common::vocabulary::ids::{Attempt, SweepId};

use crate::record::RestoredSweep;

/// Stored sweeps that have not ended and that this coordinator does not work on.
#[derive(Debug, Clone, Default)]
pub struct OutOfScope {
    sweeps: BTreeSet<SweepId>,
    /// The open leases of these sweeps.
    attempts: BTreeSet<Attempt>,
}

impl OutOfScope {
    /// A set of these sweeps.
    pub fn of<'a>(sweeps: impl IntoIterator<Item = &'a RestoredSweep>) -> Self {
        let mut out_of_scope = Self::default();
        for sweep in sweeps {
            out_of_scope.sweeps.insert(sweep.row.submission.id);
            out_of_scope.attempts.extend(sweep.open.iter().map(|(lease, _)| lease.attempt));
        }
        out_of_scope
    }

    /// Whether a sweep is out of scope.
    pub(crate) fn has(&self, sweep: SweepId) -> bool {
        self.sweeps.contains(&sweep)
    }

    /// Whether an attempt is an open lease of a sweep out of scope.
    pub(crate) fn has_attempt(&self, attempt: Attempt) -> bool {
        self.attempts.contains(&attempt)
    }
}
