//! The limits of all stores: numbers below 2⁶³, and texts without NUL characters. Every store checks records before
//! writing, so that the stores in memory, SQLite and PostgreSQL refuse the same records.

use biosweep_common::spec::SpecText;
use biosweep_common::vocabulary::access::rows::TokenRow;
use biosweep_scheduler::record::{
    AccessChange, Ending, LeaseRow, Record, RetriedRow, ReusedRow, Submission, TrialResult,
};

/// Checks that every store can hold a record.
///
/// # Errors
/// A description of the first number or text that some store cannot hold.
pub(super) fn check(record: &Record) -> Result<(), String> {
    match record {
        Record::Submitted(submission) => of_submission(submission),
        Record::StateChanged { reason, at, .. } => {
            text("reason", reason.as_deref().unwrap_or_default())?;
            number("time", at.0)
        }
        Record::Leased(lease) => of_lease(lease),
        Record::Ended(ending) => of_ending(ending),
        Record::Extended { extension, trials, trajectories, .. } => {
            of_spec(&extension.spec)?;
            numbers([("time", extension.at.0), ("trials", *trials), ("trajectories", *trajectories)])
        }
        Record::Reused { trajectories, .. } => trajectories.iter().try_for_each(of_reused),
        Record::Retried { trajectories, .. } => trajectories.iter().try_for_each(of_retried),
        Record::Quarantined(row) => {
            text("worker's name", &row.worker_name)?;
            text("reason", &row.reason)?;
            number("time", row.at.0)
        }
        Record::Noted { note, .. } => text("note", note.as_deref().unwrap_or_default()),
        Record::Access(change) => of_access(change),
        Record::Released(_) | Record::Deleted(_) => Ok(()),
        Record::Late { trajectory, attempt, at, .. } => {
            numbers([("trajectory", trajectory.0), ("attempt", attempt.0), ("time", at.0)])
        }
    }
}

fn of_submission(submission: &Submission) -> Result<(), String> {
    text("name", &submission.name)?;
    of_spec(&submission.spec)?;
    text("digest", &submission.digest)?;
    numbers([
        ("trials", submission.trials),
        ("trajectories", submission.trajectories),
        ("time", submission.submitted_at.0),
    ])
}

fn of_spec(spec: &SpecText) -> Result<(), String> {
    text("spec", &spec.text)?;
    text("spec with every default", &spec.resolved)
}

fn of_access(change: &AccessChange) -> Result<(), String> {
    match change {
        AccessChange::TokenCreated(TokenRow { info, .. }) => {
            text("label", &info.label)?;
            text("creator", &info.creator)?;
            numbers([("time", info.created_at.0), ("time", info.expires_at.map_or(0, |at| at.0))])
        }
        AccessChange::TokenRevoked { at, .. }
        | AccessChange::WorkerRevoked { at, .. }
        | AccessChange::Renewed { at, .. }
        | AccessChange::Forgotten { before: at } => number("time", at.0),
        AccessChange::Enrolled(row) => number("time", row.enrolled_at.0),
    }
}

fn of_lease(lease: &LeaseRow) -> Result<(), String> {
    text("worker's name", &lease.worker_name)?;
    text("environment", &lease.environment.to_json())?;
    let end = lease.first.0.saturating_add(lease.count);
    numbers([("attempt", lease.attempt.0), ("end of the lease", end), ("time", lease.at.0)])
}

fn of_ending(ending: &Ending) -> Result<(), String> {
    text("cause", ending.cause.as_deref().unwrap_or_default())?;
    numbers([
        ("trajectory", ending.trajectory.0),
        ("attempt", ending.attempt.0),
        ("updates", ending.updates),
        ("time", ending.at.0),
    ])?;
    ending.results.iter().try_for_each(of_result)
}

fn of_result(result: &TrialResult) -> Result<(), String> {
    text("worker's name", &result.worker_name)?;
    numbers([("trial", result.trial.0), ("updates", result.updates)])?;
    if let Some(score) = result.score {
        numbers([("best update", score.best_update), ("updates", score.updates)])?;
    }
    result.reused_from.map_or(Ok(()), |from| number("trial", from.trial.0))
}

fn of_reused(row: &ReusedRow) -> Result<(), String> {
    numbers([("trajectory", row.trajectory.0), ("trajectory", row.source_trajectory.0)])?;
    row.results.iter().try_for_each(of_result)
}

fn of_retried(row: &RetriedRow) -> Result<(), String> {
    let end = row.first_trial.0.saturating_add(row.trials);
    numbers([("trajectory", row.trajectory.0), ("trial", end)])
}

fn numbers<const N: usize>(numbers: [(&str, u64); N]) -> Result<(), String> {
    numbers.into_iter().try_for_each(|(what, of)| number(what, of))
}

fn number(what: &str, number: u64) -> Result<(), String> {
    i64::try_from(number).map(drop).map_err(|_| format!("{what} {number} is too large for a row"))
}

fn text(what: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') { Err(format!("{what} {text:?} has a NUL character")) } else { Ok(()) }
}
