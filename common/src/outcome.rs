//! How attempts, trials and sweeps stand: the outcomes and states people read.

use serde::{Deserialize, Serialize};

/// How an attempt ended. Only [`Outcome::Failed`] counts against the retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Trained to its end.
    Completed,
    /// The loss ceased to be finite: a result, never retried.
    Diverged,
    /// The worker returned it undone, because it was told to stop.
    Preempted,
    /// The worker fell silent.
    WorkerLost,
    /// An error in the training itself.
    Failed,
    /// Stopped because the sweep was cancelled.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Completed, Self::Diverged, Self::Preempted, Self::WorkerLost, Self::Failed, Self::Cancelled];

    /// The name used in messages, stores and answers.
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

    /// The outcome of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// How a trial stands for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialStatus {
    /// Has a score.
    Completed,
    /// Its loss ceased to be finite.
    Diverged,
    /// Failed more often than its retries allow.
    Failed,
}

impl TrialStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Diverged, Self::Failed];

    /// The name used in stores and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Where a sweep stands.
///
/// ```text
/// Paused ◀──by its owner, or after many like failures──▶ Running ──every trial ended──▶ Finished
///    │                                                    ▲  │                           │
///    └──────cancelled──▶ Cancelled ◀──cancelled───────────│──┘                           │
///                                                         └──────failed trials retried───┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SweepState {
    /// Has trajectories pending or leased.
    Running,
    /// Gets nothing until it is resumed.
    Paused,
    /// Every trial has a result.
    Finished,
    /// Stopped by its owner; what was done stays.
    Cancelled,
}

impl SweepState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Finished, Self::Cancelled];

    /// Whether nothing more will happen unless its owner asks for it: finished or cancelled.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// The name used in the store and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

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
