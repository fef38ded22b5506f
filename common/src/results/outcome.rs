//! The outcomes and states of attempts, trials and sweeps.

use serde::{Deserialize, Serialize};

/// How an attempt ended. Only [`Outcome::Failed`] counts against the retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Training was completed.
    Completed,
    /// The loss, or the outputs at an evaluation, are no longer finite. It is a result and is never retried.
    Diverged,
    /// The worker returned the trajectory before its end, because the worker had to stop.
    Preempted,
    /// The worker was silent longer than the lease time.
    WorkerLost,
    /// An error in training.
    Failed,
    /// The sweep was cancelled.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Completed, Self::Diverged, Self::Preempted, Self::WorkerLost, Self::Failed, Self::Cancelled];

    /// The name in messages, stores and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Diverged => "diverged",
            Self::Preempted => "preempted",
            Self::WorkerLost => "worker-lost",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// The final status of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialStatus {
    /// The trial has a score.
    Completed,
    /// The loss, or the outputs at an evaluation, are no longer finite.
    Diverged,
    /// The trial failed more often than its retries allow.
    Failed,
}

impl TrialStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Diverged, Self::Failed];

    /// The name in stores and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// The state of a sweep.
///
/// ```text
/// Paused ◀──by its owner, or after equal failures──▶ Running ──every trial ended──▶ Finished
///    │                                                    ▲  │                           │
///    └──────cancelled──▶ Cancelled ◀──cancelled───────────│──┘                           │
///                                                         └──────failed trials retried───┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SweepState {
    /// Some trajectories are pending or leased.
    Running,
    /// Nothing is granted until the sweep is resumed.
    Paused,
    /// Every trial has a result.
    Finished,
    /// Stopped by its owner; the results are kept.
    Cancelled,
}

impl SweepState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Finished, Self::Cancelled];

    /// Whether the sweep is finished or cancelled. It then changes only on request of its owner.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// The name in the store and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The beginning of the reason why a sweep is paused that this version cannot read. Only another version can resume it.
pub const UNREADABLE_SPEC: &str = "this version cannot read its spec";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        assert!(Outcome::ALL.into_iter().all(|outcome| Outcome::from_name(outcome.name()) == Some(outcome)));
        assert!(TrialStatus::ALL.into_iter().all(|status| TrialStatus::from_name(status.name()) == Some(status)));
        assert!(SweepState::ALL.into_iter().all(|state| SweepState::from_name(state.name()) == Some(state)));
    }
}
