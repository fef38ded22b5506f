//! How a worker leaves, and whether it leaves work behind.

use std::time::Duration;

use tokio::time::Instant;

/// How long a request for work may be without an answer before it means that there is none: as long as the coordinator may
/// take to write down what it grants.
pub(super) const POLL_ANSWER_WAIT: Duration = Duration::from_secs(1);

/// Why a worker is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// It was told to, or its time is up: it hands back what it holds.
    Told(&'static str),
    /// The coordinator's process is gone and this one is to end with it: what it holds is kept on disk.
    Alone,
    /// It is leaving already, and has less time than was planned.
    Sooner,
    /// It is to end without putting things in order.
    AtOnce,
}

/// What a worker left behind when it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveOutcome {
    /// The coordinator had nothing for it.
    WithoutWork,
    /// It was training, or could not know whether there was something to train.
    WithWork,
}

impl LeaveOutcome {
    /// Without work where it has polled_since for it that long without being given any.
    pub(super) fn after(polled_since: Option<Instant>, answered: Duration) -> Self {
        let has_none = polled_since.is_some_and(|polled_since| polled_since.elapsed() >= answered);
        if has_none { Self::WithoutWork } else { Self::WithWork }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_work_only_where_there_was_time_for_an_answer() {
        assert_eq!(LeaveOutcome::after(None, Duration::ZERO), LeaveOutcome::WithWork, "it has not polled_since");
        let polled_since = Some(Instant::now());
        assert_eq!(
            LeaveOutcome::after(polled_since, POLL_ANSWER_WAIT),
            LeaveOutcome::WithWork,
            "a grant may be on its way"
        );
        assert_eq!(LeaveOutcome::after(polled_since, Duration::ZERO), LeaveOutcome::WithoutWork);
        assert_eq!(
            LeaveOutcome::after(polled_since.map(|polled_since| polled_since - POLL_ANSWER_WAIT), POLL_ANSWER_WAIT),
            LeaveOutcome::WithoutWork
        );
    }
}
