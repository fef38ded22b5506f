//! What a coordinator leaves alone that works on some of the stored sweeps only: others wait for their own command, and so do
//! the reports that are owed to them.

use std::collections::BTreeSet;

use biosweep_common::ids::{Attempt, SweepId, WorkerId};
use biosweep_common::protocol::messages::{Held, ToWorker};

use crate::event::Action;
use crate::record::RestoredSweep;
use crate::scheduler::Scheduler;

/// Sweeps that are stored, have not ended, and are not worked on.
#[derive(Debug, Clone, Default)]
pub struct OutOfScope {
    sweeps: BTreeSet<SweepId>,
    /// Their open leases.
    attempts: BTreeSet<Attempt>,
}

impl OutOfScope {
    /// These sweeps.
    pub fn of<'a>(sweeps: impl IntoIterator<Item = &'a RestoredSweep>) -> Self {
        let mut out_of_scope = Self::default();
        for sweep in sweeps {
            out_of_scope.sweeps.insert(sweep.row.submission.id);
            out_of_scope.attempts.extend(sweep.open.iter().map(|(lease, _)| lease.attempt));
        }
        out_of_scope
    }

    /// Whether a sweep is one of them.
    pub(crate) fn has(&self, sweep: SweepId) -> bool {
        self.sweeps.contains(&sweep)
    }

    /// Whether an attempt is at one of them, and has not ended.
    pub(crate) fn has_attempt(&self, attempt: Attempt) -> bool {
        self.attempts.contains(&attempt)
    }
}

impl Scheduler {
    /// The same, with these sweeps left alone.
    pub fn leaving_out(mut self, out_of_scope: OutOfScope) -> Self {
        self.out_of_scope = out_of_scope;
        self
    }

    /// A report that is not for this coordinator to judge is neither late nor acknowledged. Its worker keeps it on disk, and
    /// need not wait for an answer.
    pub(crate) fn leave_report(&self, worker: WorkerId, held: Held, actions: &mut Vec<Action>) {
        let reason = "its sweep is not worked on here; the report is kept for the coordinator that does".to_owned();
        let message = ToWorker::Stop { attempt: held.attempt, trajectories: vec![held.trajectory], reason };
        actions.push(Action::Send { worker, message });
    }
}
