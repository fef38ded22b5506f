//! Attempts without a result, by cause.

use std::fmt::Write as _;

use biosweep_common::results::names::TrialNames;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::results::views::{IncompleteAttempt, SweepStatus};
use biosweep_common::spec::SweepSpec;

use super::amounts::counted;

/// One line for each group of equal incomplete attempts: the latest one, and the number of others. The latest attempts are known;
/// others are counted by cause.
pub(super) fn incomplete_attempts(status: &SweepStatus, spec: Option<&SweepSpec>, names: &TrialNames) -> String {
    let SweepStatus { incomplete_attempts: latest, incomplete_causes: causes, .. } = status;
    let mut firsts: Vec<&IncompleteAttempt> = Vec::new();
    for one in latest {
        if !firsts.iter().any(|first| {
            first.outcome == one.outcome && headline(first.cause.as_deref()) == headline(one.cause.as_deref())
        }) {
            firsts.push(one);
        }
    }
    let like = |first: &IncompleteAttempt, outcome: Outcome, cause: Option<&str>| {
        first.outcome == outcome && headline(first.cause.as_deref()) == headline(cause)
    };
    let line = |first: &&IncompleteAttempt| {
        let equal = causes.iter().filter(|one| like(first, one.outcome, one.cause.as_deref()));
        let more = match equal.map(|one| one.attempts).sum::<u64>() {
            0 | 1 => String::new(),
            all => format!(" (and {} more like it)", all - 1),
        };
        format!("  {}{more}\n", incomplete_attempt(&names.trajectory(spec, first.trajectory), first))
    };
    let mut text: String = firsts.iter().map(line).collect();
    let others = causes.iter().filter(|one| !firsts.iter().any(|first| like(first, one.outcome, one.cause.as_deref())));
    let (causes, attempts) = others.fold((0, 0), |(causes, attempts), one| (causes + 1, attempts + one.attempts));
    if causes > 0 {
        let attempts = counted(attempts, "earlier attempt", "earlier attempts");
        let causes = counted(causes, "other cause", "other causes");
        let _fits = writeln!(text, "  {attempts} with {causes}; `--output json` lists them");
    }
    text
}

/// One line about an incomplete attempt.
pub(crate) fn incomplete_attempt(name: &str, incomplete_attempt: &IncompleteAttempt) -> String {
    let cause = headline(incomplete_attempt.cause.as_deref()).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{} on {}: {name}{cause}", incomplete_attempt.outcome.name(), incomplete_attempt.worker_name)
}

/// The first line of the cause. The rest, such as a stack trace, is only in `--output json`.
pub(super) fn headline(cause: Option<&str>) -> Option<&str> {
    cause.and_then(|cause| cause.lines().next())
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::SweepState;
    use biosweep_common::results::views::{IncompleteCause, SweepView};
    use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex};
    use biosweep_common::vocabulary::time::WallTime;
    use biosweep_host::id::new_id;

    use super::*;

    #[test]
    fn all_attempts_are_counted_and_causes_that_are_not_among_the_latest_are_named() {
        let sweep = SweepView {
            id: new_id::<SweepId>(),
            name: "s".to_owned(),
            state: SweepState::Running,
            reason: None,
            trials: 9,
            trajectories: 9,
            completed: 0,
            diverged: 0,
            failed: 0,
            reused: 0,
            running: 0,
            submitted_at: WallTime(0),
            state_at: WallTime(0),
            note: None,
        };
        let attempt = |trajectory, cause: &str| IncompleteAttempt {
            trajectory: TrajectoryIndex(trajectory),
            attempt: Attempt(1),
            worker_name: "w".to_owned(),
            outcome: Outcome::Failed,
            cause: Some(cause.to_owned()),
            at: WallTime(0),
        };
        let cause = |cause: &str, attempts| IncompleteCause {
            outcome: Outcome::Failed,
            cause: Some(cause.to_owned()),
            attempts,
            latest: WallTime(0),
        };
        let status = SweepStatus {
            sweep,
            workers: Vec::new(),
            incomplete_attempts: vec![attempt(1, "full disk\nat 3"), attempt(2, "full disk"), attempt(3, "no data")],
            incomplete_causes: vec![
                cause("full disk", 40),
                cause("full disk\nat 3", 2),
                cause("no data", 1),
                cause("old", 3),
            ],
            degraded: None,
            in_training_done: 0.0,
        };
        let text = incomplete_attempts(&status, None, &TrialNames::of(None));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("full disk (and 41 more like it)") && lines[1].ends_with("no data"), "{text}");
        assert_eq!(lines[2..], ["  3 earlier attempts with 1 other cause; `--output json` lists them"]);
    }
}
