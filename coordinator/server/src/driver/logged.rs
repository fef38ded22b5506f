//! What a transaction says in the log: sweeps, attempts without a result, quarantines. Grants and results are for the level `debug`.

use biosweep_common::protocol::bounds::shortened;
use biosweep_common::results::outcome::Outcome;
use biosweep_scheduler::record::{Ending, Record};

/// Maximum bytes of a cause in the log. The store has all of it.
const CAUSE_BYTES_MAX: usize = 200;

/// Logs the records of a transaction that is committed.
pub(super) fn log(records: &[Record]) {
    for record in records {
        match record {
            Record::Submitted(submission) => {
                let (sweep, name, trials) = (submission.id, &submission.name, submission.trials);
                tracing::info!(%sweep, name, trials, "a sweep is submitted");
            }
            Record::StateChanged { sweep, state, reason, .. } => {
                tracing::info!(%sweep, state = state.name(), reason, "the state of a sweep changes");
            }
            Record::Deleted(sweep) => tracing::info!(%sweep, "a sweep is deleted"),
            Record::Leased(lease) => {
                let (sweep, attempt, trajectory, count) = (lease.sweep, lease.attempt, lease.first, lease.count);
                let worker = &lease.worker_name;
                tracing::debug!(%sweep, %attempt, %trajectory, count, worker, "a bundle is granted");
            }
            Record::Ended(ending) => log_ending(ending),
            Record::Late { sweep, trajectory, attempt, worker, outcome, .. } => {
                let outcome = outcome.name();
                tracing::info!(%sweep, %trajectory, %attempt, outcome, %worker, "a late report is not counted");
            }
            Record::Quarantined(row) => {
                tracing::warn!(worker = row.worker_name, reason = row.reason, "a worker is put in quarantine");
            }
            Record::Released(worker) => tracing::info!(%worker, "a worker is released from quarantine"),
            Record::Extended { .. }
            | Record::Reused { .. }
            | Record::Retried { .. }
            | Record::Noted { .. }
            | Record::Access(_) => {}
        }
    }
}

fn log_ending(ending: &Ending) {
    let Ending { sweep, trajectory, attempt, outcome, cause, updates, .. } = ending;
    let cause = cause.as_deref().and_then(|cause| cause.lines().next());
    let cause = cause.map(|cause| shortened(cause.to_owned(), CAUSE_BYTES_MAX));
    let name = outcome.name();
    match outcome {
        Outcome::Failed | Outcome::WorkerLost => {
            tracing::warn!(%sweep, %trajectory, %attempt, outcome = name, updates, cause, "an attempt ends without a result");
        }
        Outcome::Preempted | Outcome::Diverged => {
            tracing::info!(%sweep, %trajectory, %attempt, outcome = name, updates, cause, "an attempt ends early");
        }
        Outcome::Completed | Outcome::Cancelled => {
            tracing::debug!(%sweep, %trajectory, %attempt, outcome = name, updates, "an attempt ends");
        }
    }
}
