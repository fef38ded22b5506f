//! Failures, and what they say: of one trajectory nothing but that it is tried again; of a worker, where others complete
//! what it fails, that it is to work no more; of a sweep, where many trajectories fail alike, that its owner should look.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::{SweepId, TrajectoryIndex, WorkerId};

use crate::event::{Action, Notice, Now};
use crate::record::{FailureRow, FailureStatus, QuarantineRow, Record};
use crate::scheduler::Scheduler;
use crate::tables::sweep::Sweep;
use crate::tables::worker::Worker;

/// So many trajectories make a row, of a worker that fails them or of a sweep that has them fail alike.
pub(crate) const STREAK: usize = 3;
/// A sweep is paused where like failures are at least one in so many of the trajectories that ended.
const ONE_IN: usize = 10;
/// A trajectory whose workers die so often in a row, without its getting any further, has failed.
pub(crate) const DEATHS_MAX: u32 = 10;
/// Characters of an error that tell it from others.
const FINGERPRINT_LEN: usize = 200;

/// What a worker failed since it last completed a trajectory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failing {
    /// What no other worker has completed so far.
    pub(crate) unexplained: BTreeSet<(SweepId, TrajectoryIndex)>,
    /// How many of them others have completed.
    pub(crate) confirmed: usize,
}

impl Failing {
    /// Whether they are so many that the worker gets nothing while others can show whose fault it is.
    pub(crate) fn is_suspect(&self) -> bool {
        self.unexplained.len() + self.confirmed >= STREAK
    }
}

/// The trajectories of a sweep that have failed and are not done, and the workers on which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FailedOn(BTreeMap<TrajectoryIndex, BTreeSet<WorkerId>>);

impl FailedOn {
    /// One more failure; on how many workers the trajectory has failed.
    pub(crate) fn insert(&mut self, trajectory: TrajectoryIndex, worker: WorkerId) -> usize {
        let workers = self.0.entry(trajectory).or_default();
        workers.insert(worker);
        workers.len()
    }

    /// The workers on which a trajectory has failed.
    pub(crate) fn on(&self, trajectory: TrajectoryIndex) -> &BTreeSet<WorkerId> {
        static NOBODY: BTreeSet<WorkerId> = BTreeSet::new();
        self.0.get(&trajectory).unwrap_or(&NOBODY)
    }

    /// The trajectory is done; the workers on which it had failed.
    pub(crate) fn remove(&mut self, trajectory: TrajectoryIndex) -> BTreeSet<WorkerId> {
        self.0.remove(&trajectory).unwrap_or_default()
    }
}

/// The failures of a sweep, by what they have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct LikeFailures {
    alike: BTreeMap<String, Alike>,
    /// Trajectories that completed or diverged meanwhile.
    ended: usize,
    /// What its owner has seen and went on in spite of.
    tolerated: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Alike {
    trajectories: BTreeSet<TrajectoryIndex>,
    workers: BTreeSet<WorkerId>,
}

impl LikeFailures {
    /// As the store remembers them.
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

    fn add(&mut self, cause: &str, trajectory: TrajectoryIndex, worker: WorkerId) -> &Alike {
        let alike = self.alike.entry(fingerprint(cause)).or_default();
        alike.trajectories.insert(trajectory);
        alike.workers.insert(worker);
        alike
    }

    /// Takes in a failure; how many trajectories have failed like it, where those are many. One worker alone is no
    /// evidence where there are others, unless it is a great many.
    fn note(&mut self, cause: &str, trajectory: TrajectoryIndex, worker: WorkerId, others: bool) -> Option<usize> {
        let alike = self.add(cause, trajectory, worker);
        let (count, workers) = (alike.trajectories.len(), alike.workers.len());
        let many = count >= STREAK && count * ONE_IN >= count + self.ended;
        let by_several = workers > 1 || !others || count >= STREAK * STREAK;
        (many && by_several && !self.tolerated.contains(&fingerprint(cause))).then_some(count)
    }

    /// The sweep begins to run again: what failed before counts no more.
    pub(crate) fn begin_anew(&mut self) {
        self.alike.clear();
        self.ended = 0;
    }

    /// Its owner goes on in spite of what failed so far.
    pub(crate) fn tolerate(&mut self) {
        let seen = std::mem::take(&mut self.alike).into_iter();
        self.tolerated.extend(seen.filter(|(_, alike)| alike.trajectories.len() >= STREAK).map(|(cause, _)| cause));
        self.ended = 0;
    }
}

/// What an error has in common with others of its kind: its first line, without its numbers and paths, which are others on
/// every machine.
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

impl Scheduler {
    /// Whether a sweep has something for such workers that nobody who is beyond suspicion can train.
    pub(crate) fn is_open_to_suspects(&self, sweep: &Sweep, capabilities: &Capabilities) -> bool {
        sweep.has_something_for(capabilities) && self.fit_for(sweep).next().is_none()
    }

    /// Whether a trajectory failed on this worker, and another that is beyond suspicion could try it that has not yet.
    pub(crate) fn is_better_tried_elsewhere(&self, id: WorkerId, sweep: &Sweep, index: TrajectoryIndex) -> bool {
        let failed_on = sweep.failed_on.on(index);
        failed_on.contains(&id) && self.fit_for(sweep).any(|other| !failed_on.contains(&other))
    }

    /// A trajectory failed on a worker.
    pub(crate) fn note_failure(
        &mut self,
        now: Now,
        id: WorkerId,
        (sweep, trajectory): (SweepId, TrajectoryIndex),
        cause: &str,
        actions: &mut Vec<Action>,
    ) {
        let others = self.fit_for(&self.sweeps[&sweep]).any(|other| other != id);
        let its_sweep = self.sweep_mut(sweep);
        let by_several = its_sweep.failed_on.insert(trajectory, id) > 1;
        let alike = its_sweep.failures.note(cause, trajectory, id, others);
        if by_several {
            // It fails on every worker: no worker's fault.
            let failed_on = its_sweep.failed_on.on(trajectory).clone();
            self.excuse((sweep, trajectory), failed_on);
        } else {
            self.update_worker(id, |worker| worker.failing.unexplained.insert((sweep, trajectory)));
        }
        self.check_all = true;
        if let Some(count) = alike {
            let reason = format!("{count} trajectories failed alike, the last one with: {cause}");
            self.pause(now, sweep, Some(reason), actions);
        }
    }

    /// A trajectory came to an end on a worker: those that failed it are the worse for it.
    pub(crate) fn note_success(
        &mut self,
        now: Now,
        id: WorkerId,
        done: (SweepId, TrajectoryIndex),
        actions: &mut Vec<Action>,
    ) {
        let sweep = self.sweep_mut(done.0);
        sweep.failures.ended += 1;
        let failed_on = sweep.failed_on.remove(done.1);
        for &other in failed_on.iter().filter(|&&other| other != id) {
            self.confirm(now, other, done, actions);
        }
        // It failed this trajectory itself before: that is its fault no more than another's.
        self.excuse(done, failed_on.contains(&id).then_some(id));
        // Completing a trajectory that only a suspect can train is no excuse for failing those that others can train too.
        if self.workers.get(id).is_some_and(|worker| !self.can_be_shown(worker)) {
            self.clear(id);
        }
    }

    /// That these workers failed a trajectory tells nothing of them: no other will complete it, or another failed it too.
    pub(crate) fn excuse(&mut self, failed: (SweepId, TrajectoryIndex), workers: impl IntoIterator<Item = WorkerId>) {
        for id in workers {
            self.update_worker(id, |worker| worker.failing.unexplained.remove(&failed));
        }
    }

    /// The same of all that has failed of a sweep.
    pub(crate) fn excuse_all(&mut self, id: SweepId) {
        let Some(sweep) = self.sweeps.get(&id) else { return };
        for (trajectory, workers) in sweep.failed_on.0.clone() {
            self.excuse((id, trajectory), workers);
        }
    }

    /// Whether others can still show whose fault it is what this suspect failed.
    fn can_be_shown(&self, worker: &Worker) -> bool {
        let fails_of = |sweep: &Sweep| {
            let all = (sweep.id(), TrajectoryIndex(0))..=(sweep.id(), TrajectoryIndex(u64::MAX));
            worker.failing.unexplained.range(all).next().is_some()
        };
        worker.failing.is_suspect()
            && self.sweeps.values().any(|sweep| fails_of(sweep) && self.fit_for(sweep).next().is_some())
    }

    /// A worker's row of failures is over.
    pub(crate) fn clear(&mut self, id: WorkerId) {
        self.update_worker(id, |worker| worker.failing = Failing::default());
    }

    /// Another worker has completed what this one failed.
    fn confirm(&mut self, now: Now, id: WorkerId, done: (SweepId, TrajectoryIndex), actions: &mut Vec<Action>) {
        let confirmed = self.update_worker(id, |worker| {
            worker.failing.confirmed += usize::from(worker.failing.unexplained.remove(&done));
            worker.failing.confirmed
        });
        // A worker that failed a trajectory may have left since.
        let Some(confirmed) = confirmed else { return };
        if confirmed < STREAK || self.workers.quarantine_of(id).is_some() {
            return;
        }
        let reason = format!("it failed {confirmed} trajectories in a row that other workers completed");
        let worker_name = self.worker_name(id);
        self.workers.quarantine(id, reason.clone());
        self.update_worker(id, |_| ());
        let row = QuarantineRow { worker: id, worker_name, reason, at: now.wall };
        actions.push(Action::Persist(Record::Quarantined(row)));
        actions.push(Action::Notify(Notice::Changed(done.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_alike_up_to_their_numbers_and_paths_and_what_follows_their_first_line() {
        let missing = |home: &str| format!("no mnist: looked in `{home}/datasets/mnist`; fetch it");
        assert_eq!(fingerprint(&missing("/home/a")), fingerprint(&missing("b")));
        assert_ne!(fingerprint(&missing("a")), fingerprint("no cifar: looked in `a/datasets/cifar`; fetch it"));
        assert_eq!(fingerprint("no room at update 390\nbacktrace"), fingerprint("no room at update 7"));
        assert_eq!(fingerprint("1.5e-3 of 12"), "#.#e-# of #");
        assert_ne!(fingerprint("no room"), fingerprint("no data"));
    }

    fn failed_alike(count: u64, ended: usize, workers: u128, others: bool) -> Option<usize> {
        let mut failures = LikeFailures { ended, ..LikeFailures::default() };
        let note = |number: u64| {
            let worker = WorkerId(uuid::Uuid::from_u128(u128::from(number) % workers));
            failures.note(&format!("no room for {number}"), TrajectoryIndex(number), worker, others)
        };
        (0..count).map(note).last().flatten()
    }

    #[test]
    fn like_failures_are_many_from_three_on_and_one_in_ten() {
        assert_eq!(failed_alike(2, 0, 2, true), None);
        assert_eq!(failed_alike(3, 0, 2, true), Some(3));
        assert_eq!(failed_alike(3, 27, 2, true), Some(3));
        assert_eq!(failed_alike(3, 28, 2, true), None);
    }

    #[test]
    fn one_worker_is_evidence_where_it_is_the_only_one_or_its_failures_are_nine() {
        assert_eq!(failed_alike(3, 0, 1, false), Some(3));
        assert_eq!(failed_alike(8, 0, 1, true), None);
        assert_eq!(failed_alike(9, 0, 1, true), Some(9));
    }

    #[test]
    fn what_its_owner_has_seen_often_is_tolerated_and_nothing_else() {
        let mut failures = LikeFailures { ended: 5, ..LikeFailures::default() };
        let worker = WorkerId(uuid::Uuid::from_u128(1));
        let fail = |failures: &mut LikeFailures, cause: &str, count: u64| {
            (0..count).map(|number| failures.note(cause, TrajectoryIndex(number), worker, false)).last().flatten()
        };
        assert_eq!(fail(&mut failures, "no room", 3), Some(3));
        assert_eq!(fail(&mut failures, "no data", 2), None);
        failures.tolerate();
        assert_eq!(failures.ended, 0);
        assert_eq!(fail(&mut failures, "no room", 5), None);
        assert_eq!(fail(&mut failures, "no data", 3), Some(3), "it had been seen twice only, and that is forgotten");
    }
}
