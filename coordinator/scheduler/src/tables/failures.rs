//! The failures that count against a worker, a trajectory or a sweep.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};

use crate::record::{FailureRow, FailureStatus};

/// Number of failed trajectories that make a worker a suspect, or that pause a sweep if their errors are similar.
pub(crate) const STREAK: usize = 3;
/// A sweep is paused if at least one in this many ended trajectories failed with a similar error.
const ONE_IN: usize = 10;
/// Number of deaths in a row, without progress between them, after which a trajectory has failed.
pub(crate) const DEATHS_MAX: u32 = 10;
/// Length of a fingerprint, in characters.
const FINGERPRINT_LEN: usize = 200;

/// The failures of a worker since the last trajectory that it completed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failing {
    /// Failed trajectories that no other worker has completed or failed yet.
    pub(crate) unexplained: BTreeSet<(SweepId, TrajectoryIndex)>,
    /// Number of failed trajectories that another worker has completed.
    pub(crate) confirmed: usize,
}

impl Failing {
    /// Whether the worker is a suspect: it gets only trajectories that no other worker can train.
    pub(crate) fn is_suspect(&self) -> bool {
        self.unexplained.len() + self.confirmed >= STREAK
    }
}

/// The trajectories of a sweep that failed and are not done, each with the workers on which it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FailedOn(BTreeMap<TrajectoryIndex, BTreeSet<WorkerId>>);

impl FailedOn {
    /// Adds a failure; returns the number of workers on which the trajectory has failed.
    pub(crate) fn insert(&mut self, trajectory: TrajectoryIndex, worker: WorkerId) -> usize {
        let workers = self.0.entry(trajectory).or_default();
        workers.insert(worker);
        workers.len()
    }

    /// The workers on which a trajectory has failed.
    pub(crate) fn on(&self, trajectory: TrajectoryIndex) -> &BTreeSet<WorkerId> {
        static NONE: BTreeSet<WorkerId> = BTreeSet::new();
        self.0.get(&trajectory).unwrap_or(&NONE)
    }

    /// Every failed trajectory, with the workers on which it failed.
    pub(crate) fn all(&self) -> BTreeMap<TrajectoryIndex, BTreeSet<WorkerId>> {
        self.0.clone()
    }

    /// Removes a trajectory that is done; returns the workers on which it failed.
    pub(crate) fn remove(&mut self, trajectory: TrajectoryIndex) -> BTreeSet<WorkerId> {
        self.0.remove(&trajectory).unwrap_or_default()
    }
}

/// The failures of a sweep, grouped by the fingerprint of their errors.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailureGroups {
    groups: BTreeMap<String, FailureGroup>,
    /// Trajectories that completed or diverged since the groups were last cleared.
    pub(crate) ended: usize,
    /// Fingerprints that no longer pause the sweep: its owner has resumed it after such failures.
    tolerated: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct FailureGroup {
    trajectories: BTreeSet<TrajectoryIndex>,
    workers: BTreeSet<WorkerId>,
}

impl FailureGroups {
    /// Restores the groups from the stored failures.
    pub(crate) fn restored(failures: &[FailureRow], ended: u64) -> Self {
        let mut restored = Self::default();
        restored.add_all(failures, FailureStatus::Seen);
        restored.tolerate();
        restored.add_all(failures, FailureStatus::Fresh);
        restored.ended = usize::try_from(ended).unwrap_or(usize::MAX);
        restored
    }

    fn add_all(&mut self, failures: &[FailureRow], status: FailureStatus) {
        for row in failures.iter().filter(|row| row.status == status) {
            self.add(&row.cause, row.trajectory, row.worker);
        }
    }

    fn add(&mut self, cause: &str, trajectory: TrajectoryIndex, worker: WorkerId) -> &FailureGroup {
        let group = self.groups.entry(fingerprint(cause)).or_default();
        group.trajectories.insert(trajectory);
        group.workers.insert(worker);
        group
    }

    /// Adds a failure; returns the number of trajectories with similar failures if they have to pause the sweep. If other
    /// workers can train the sweep, failures of a single worker pause it only if they are very many.
    pub(crate) fn note(
        &mut self,
        cause: &str,
        trajectory: TrajectoryIndex,
        worker: WorkerId,
        others: bool,
    ) -> Option<usize> {
        let group = self.add(cause, trajectory, worker);
        let (count, workers) = (group.trajectories.len(), group.workers.len());
        let many = count >= STREAK && count * ONE_IN >= count + self.ended;
        let by_several = workers > 1 || !others || count >= STREAK * STREAK;
        (many && by_several && !self.tolerated.contains(&fingerprint(cause))).then_some(count)
    }

    /// Clears the groups of a sweep that runs again: earlier failures no longer count.
    pub(crate) fn reset(&mut self) {
        self.groups.clear();
        self.ended = 0;
    }

    /// Tolerates the frequent errors so far: they do not pause the sweep again.
    pub(crate) fn tolerate(&mut self) {
        let seen = std::mem::take(&mut self.groups).into_iter();
        self.tolerated.extend(seen.filter(|(_, group)| group.trajectories.len() >= STREAK).map(|(cause, _)| cause));
        self.ended = 0;
    }
}

/// The part of an error that similar errors share: its first line, without numbers and paths, which differ between machines.
fn fingerprint(cause: &str) -> String {
    let words = cause.lines().next().unwrap_or_default().split_whitespace().map(|word| {
        let mut kind = String::new();
        for character in word.chars().take_while(|_| !word.contains('/')) {
            match character {
                '0'..='9' if kind.ends_with('#') => {}
                '0'..='9' => kind.push('#'),
                other => kind.push(other),
            }
        }
        kind
    });
    words.collect::<Vec<_>>().join(" ").chars().take(FINGERPRINT_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_compared_without_numbers_paths_and_later_lines() {
        let missing = |home: &str| format!("no mnist: looked in `{home}/datasets/mnist`; fetch it");
        assert_eq!(fingerprint(&missing("/home/a")), fingerprint(&missing("b")));
        assert_ne!(fingerprint(&missing("a")), fingerprint("no cifar: looked in `a/datasets/cifar`; fetch it"));
        assert_eq!(fingerprint("no room at update 390\nbacktrace"), fingerprint("no room at update 7"));
        assert_eq!(fingerprint("1.5e-3 of 12"), "#.#e-# of #");
        assert_ne!(fingerprint("no room"), fingerprint("no data"));
    }

    fn similar_failures(count: u64, ended: usize, workers: u128, others: bool) -> Option<usize> {
        let mut failures = FailureGroups { ended, ..FailureGroups::default() };
        let note = |number: u64| {
            let worker = WorkerId(uuid::Uuid::from_u128(u128::from(number) % workers));
            failures.note(&format!("no room for {number}"), TrajectoryIndex(number), worker, others)
        };
        (0..count).map(note).last().flatten()
    }

    #[test]
    fn three_similar_failures_count_if_they_are_a_tenth_of_the_ended_trajectories() {
        assert_eq!(similar_failures(2, 0, 2, true), None);
        assert_eq!(similar_failures(3, 0, 2, true), Some(3));
        assert_eq!(similar_failures(3, 27, 2, true), Some(3));
        assert_eq!(similar_failures(3, 28, 2, true), None);
    }

    #[test]
    fn failures_of_one_worker_count_if_it_is_alone_or_has_nine() {
        assert_eq!(similar_failures(3, 0, 1, false), Some(3));
        assert_eq!(similar_failures(8, 0, 1, true), None);
        assert_eq!(similar_failures(9, 0, 1, true), Some(9));
    }

    #[test]
    fn only_errors_of_three_trajectories_are_tolerated() {
        let mut failures = FailureGroups { ended: 5, ..FailureGroups::default() };
        let worker = WorkerId(uuid::Uuid::from_u128(1));
        let fail = |failures: &mut FailureGroups, cause: &str, count: u64| {
            (0..count).map(|number| failures.note(cause, TrajectoryIndex(number), worker, false)).last().flatten()
        };
        assert_eq!(fail(&mut failures, "no room", 3), Some(3));
        assert_eq!(fail(&mut failures, "no data", 2), None);
        failures.tolerate();
        assert_eq!(failures.ended, 0);
        assert_eq!(fail(&mut failures, "no room", 5), None);
        assert_eq!(fail(&mut failures, "no data", 3), Some(3), "two failures are not tolerated, and no longer count");
    }
}
