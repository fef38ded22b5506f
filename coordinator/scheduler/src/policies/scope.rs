//! The stored sweeps that this coordinator does not work on. `biosweep run` works on one sweep only: the other sweeps, and the
//! reports for them, wait for another coordinator.

use biosweep_common::protocol::messages::{Held, ToWorker};
use biosweep_common::vocabulary::ids::WorkerId;

use crate::event::Action;
use crate::scheduler::Scheduler;
use crate::tables::out_of_scope::OutOfScope;

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
