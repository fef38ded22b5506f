//! The stored sweeps that this coordinator does not work on. `biosweep run` works on one sweep only: the other sweeps, and the
//! reports for them, wait for another coordinator.

use std::collections::BTreeSet;

use biosweep_common::protocol::messages::{Held, ToWorker};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, WorkerId};

use crate::event::Action;
use crate::record::RestoredSweep;
use crate::scheduler::Scheduler;

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

impl Scheduler {
    /// The scheduler with these sweeps out of scope.
    pub fn leaving_out(mut self, out_of_scope: OutOfScope) -> Self {
        self.out_of_scope = out_of_scope;
        self
    }

    /// Declines a report of a sweep out of scope: it is neither stored as late nor acknowledged. The worker keeps the report on
    /// disk and does not wait for an acknowledgement.
    pub(crate) fn decline_report(&self, worker: WorkerId, held: Held, actions: &mut Vec<Action>) {
        let reason =
            "this coordinator does not work on the sweep; the worker keeps the report for the coordinator that does"
                .to_owned();
        let message = ToWorker::Stop { attempt: held.attempt, trajectories: vec![held.trajectory], reason };
        actions.push(Action::Send { worker, message });
    }
}
