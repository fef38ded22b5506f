//! Leaving: why a worker leaves, and whether work is left.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How long a poll waits for an answer before it means that there is no work: the time that the coordinator may need to
/// record a grant.
pub(super) const POLL_ANSWER_WAIT: Duration = Duration::from_secs(1);

/// The reason to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// The worker was told to leave, or its time is up. It hands back its lanes.
    Told(&'static str),
    /// The coordinator's process is gone, and this worker ends with it. Checkpoints and reports stay on disk.
    Orphaned,
    /// The worker is already leaving, and has less time than planned.
    Sooner,
    /// The worker ends at once.
    AtOnce,
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Told(why) => why,
            Self::Orphaned => "the coordinator's process has ended",
            Self::Sooner => "less time is left than planned",
            Self::AtOnce => "told to end at once",
        })
    }
}

/// The outcome of leaving: whether work is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveOutcome {
    /// The coordinator had no work for the worker.
    WithoutWork,
    /// The worker was training, or does not know whether there is work.
    WithWork,
}

impl LeaveOutcome {
    /// Without work if a poll had no answer for this long.
    pub(super) fn after(polled_since: Option<Instant>, answered: Duration) -> Self {
        let has_none = polled_since.is_some_and(|since| since.elapsed() >= answered);
        if has_none { Self::WithoutWork } else { Self::WithWork }
    }
}

/// When a worker that polls without an answer has been idle for the time after which it leaves.
pub(super) fn idle_until(polled_since: Option<Instant>, idle_exit: Option<Duration>) -> Option<Instant> {
    polled_since?.checked_add(idle_exit?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_that_polls_becomes_idle() {
        let (now, limit) = (Instant::now(), Duration::from_secs(300));
        assert_eq!(idle_until(Some(now), Some(limit)), Some(now + limit));
        assert_eq!(idle_until(Some(now), None), None, "it waits for ever");
        assert_eq!(idle_until(None, Some(limit)), None, "it trains, or does not reach its coordinator");
        assert_eq!(idle_until(Some(now), Some(Duration::MAX)), None, "later than any clock");
    }

    #[test]
    fn there_is_no_work_only_where_there_was_time_for_an_answer() {
        assert_eq!(LeaveOutcome::after(None, Duration::ZERO), LeaveOutcome::WithWork, "it has not polled");
        let polled_since = Some(Instant::now());
        assert_eq!(
            LeaveOutcome::after(polled_since, POLL_ANSWER_WAIT),
            LeaveOutcome::WithWork,
            "a grant may be on its way"
        );
        assert_eq!(LeaveOutcome::after(polled_since, Duration::ZERO), LeaveOutcome::WithoutWork);
        assert_eq!(
            LeaveOutcome::after(polled_since.map(|since| since - POLL_ANSWER_WAIT), POLL_ANSWER_WAIT),
            LeaveOutcome::WithoutWork
        );
    }
}
