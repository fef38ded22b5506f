//! Failures, and what they say: of one trajectory nothing but that it is tried again; of a worker, where others complete
//! what it fails, that it is to work no more; of a sweep, where many trajectories fail alike, that its owner should look.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::ids::{SweepId, TrajectoryIndex, WorkerId};

use super::event::{Action, Notice, Now};
use super::scheduler::Core;
use super::worker::Worker;
use crate::store::record::{FailureRow, QuarantineRow, Record, Standing};

/// So many trajectories make a row, of a worker that fails them or of a sweep that has them fail alike.
pub(super) const ROW: usize = 3;
/// A sweep is paused where like failures are at least one in so many of the trajectories that ended.
const ONE_IN: usize = 10;
/// A trajectory whose workers die so often in a row, without its getting any further, has failed.
pub(super) const DEATHS_MAX: u32 = 10;
/// Characters of an error that tell it from others.
const FINGERPRINT_LEN: usize = 200;

/// The trajectories a worker failed since it last completed one; whether another worker has completed them meanwhile.
pub(super) type Failing = BTreeMap<(SweepId, TrajectoryIndex), bool>;

/// The trajectories of a sweep that have failed and are not done, and the workers on which: found by either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FailedOn {
    by_trajectory: BTreeMap<TrajectoryIndex, BTreeSet<WorkerId>>,
    by_worker: BTreeSet<(WorkerId, TrajectoryIndex)>,
}

impl FailedOn {
    /// One more failure; on how many workers the trajectory has failed.
    pub(super) fn insert(&mut self, trajectory: TrajectoryIndex, worker: WorkerId) -> usize {
        self.by_worker.insert((worker, trajectory));
        let workers = self.by_trajectory.entry(trajectory).or_default();
        workers.insert(worker);
        workers.len()
    }

    /// The trajectory is done; the workers on which it had failed.
    pub(super) fn remove(&mut self, trajectory: TrajectoryIndex) -> BTreeSet<WorkerId> {
        let workers = self.by_trajectory.remove(&trajectory).unwrap_or_default();
        for &worker in &workers {
            self.by_worker.remove(&(worker, trajectory));
        }
        workers
    }

    /// What failed on a worker, each with all the workers on which it did.
    fn of(&self, worker: WorkerId) -> impl Iterator<Item = (TrajectoryIndex, &BTreeSet<WorkerId>)> {
        let all = (worker, TrajectoryIndex(0))..=(worker, TrajectoryIndex(u64::MAX));
        self.by_worker.range(all).filter_map(|(_, index)| Some((*index, self.by_trajectory.get(index)?)))
    }
}

/// The failures of a sweep, by what they have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct LikeFailures {
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
    pub(super) fn restored(failures: &[FailureRow], ended: u64) -> Self {
        let mut restored = Self::default();
        restored.add_all(failures, Standing::Seen);
        restored.tolerate();
        restored.add_all(failures, Standing::Fresh);
        restored.ended = usize::try_from(ended).unwrap_or(usize::MAX);
        restored
    }

    fn add_all(&mut self, failures: &[FailureRow], standing: Standing) {
        for row in failures.iter().filter(|row| row.standing == standing) {
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
        let many = count >= ROW && count * ONE_IN >= count + self.ended;
        let by_several = workers > 1 || !others || count >= ROW * ROW;
        (many && by_several && !self.tolerated.contains(&fingerprint(cause))).then_some(count)
    }

    /// The sweep begins to run again: what failed before counts no more.
    pub(super) fn begin_anew(&mut self) {
        self.alike.clear();
        self.ended = 0;
    }

    /// Its owner goes on in spite of what failed so far.
    pub(super) fn tolerate(&mut self) {
        let seen = std::mem::take(&mut self.alike).into_iter();
        self.tolerated.extend(seen.filter(|(_, alike)| alike.trajectories.len() >= ROW).map(|(cause, _)| cause));
        self.ended = 0;
    }
}

/// What an error has in common with others of its kind: its first line, without its numbers.
fn fingerprint(cause: &str) -> String {
    let mut kind = String::new();
    for character in cause.lines().next().unwrap_or_default().chars().take(FINGERPRINT_LEN) {
        match character {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            other => kind.push(other),
        }
    }
    kind
}

impl Worker {
    /// Whether its failures in a row are so many that it gets nothing while others can show whose fault they are.
    pub(super) fn is_suspect(&self) -> bool {
        self.failing.len() >= ROW
    }
}

impl Core {
    /// Whether a worker may be given something.
    pub(super) fn may_work(&self, id: WorkerId) -> bool {
        let Some(worker) = self.workers.get(&id) else { return false };
        let waits = worker.is_suspect() && self.fit_but(id).next().is_some();
        !waits && !self.quarantined.contains_key(&id)
    }

    /// The trajectories of a sweep that failed on this worker, and that another one could try that has not yet.
    pub(super) fn better_elsewhere(&self, id: WorkerId, sweep: SweepId) -> Vec<TrajectoryIndex> {
        let Some(sweep) = self.sweeps.get(&sweep) else { return Vec::new() };
        let elsewhere = |workers: &BTreeSet<WorkerId>| self.fit_but(id).any(|other| !workers.contains(&other));
        sweep.failed_on.of(id).filter(|(_, workers)| elsewhere(workers)).map(|(trajectory, _)| trajectory).collect()
    }

    /// The other workers that are there and beyond suspicion.
    fn fit_but(&self, id: WorkerId) -> impl Iterator<Item = WorkerId> {
        self.fit.iter().copied().filter(move |&other| other != id)
    }

    /// Whether a worker is there and beyond suspicion.
    pub(super) fn is_fit(&self, id: WorkerId) -> bool {
        let beyond_suspicion = self.workers.get(&id).is_some_and(|worker| worker.connected && !worker.is_suspect());
        beyond_suspicion && !self.quarantined.contains_key(&id)
    }

    /// Takes note of what became of a worker: whether it is fit, and whether it has failed anything.
    pub(super) fn assess(&mut self, id: WorkerId) {
        let fails = self.workers.get(&id).is_some_and(|worker| !worker.failing.is_empty());
        let is_fit = self.is_fit(id);
        for (set, belongs) in [(&mut self.fit, is_fit), (&mut self.failing, fails)] {
            if belongs {
                set.insert(id)
            } else {
                set.remove(&id)
            };
        }
    }

    /// A trajectory failed on a worker.
    pub(super) fn note_failure(
        &mut self,
        now: Now,
        id: WorkerId,
        (sweep, trajectory): (SweepId, TrajectoryIndex),
        cause: &str,
        actions: &mut Vec<Action>,
    ) {
        let others = self.fit_but(id).next().is_some();
        let Some(its_sweep) = self.sweeps.get_mut(&sweep) else { return };
        let by_several = its_sweep.failed_on.insert(trajectory, id) > 1;
        let alike = its_sweep.failures.note(cause, trajectory, id, others);
        if by_several {
            // Whoever tries it fails: no worker's fault.
            self.excuse(|key, _| key == (sweep, trajectory));
            self.look_again();
        } else if let Some(worker) = self.workers.get_mut(&id) {
            worker.failing.insert((sweep, trajectory), false);
            self.assess(id);
        }
        if let Some(count) = alike {
            let reason = format!("{count} trajectories failed alike, the last one with: {cause}");
            self.pause(now, sweep, Some(reason), actions);
        }
    }

    /// A trajectory came to an end on a worker: those that failed it are the worse for it.
    pub(super) fn note_success(
        &mut self,
        now: Now,
        id: WorkerId,
        done: (SweepId, TrajectoryIndex),
        actions: &mut Vec<Action>,
    ) {
        if let Some(sweep) = self.sweeps.get_mut(&done.0) {
            sweep.failures.ended += 1;
            let failed_on = sweep.failed_on.remove(done.1);
            for other in failed_on.into_iter().filter(|&other| other != id) {
                self.confirm(now, other, done, actions);
            }
        }
        self.clear(id);
    }

    /// What failed of some trajectories of a sweep no other worker will complete: it tells nothing of workers.
    pub(super) fn forget_failures(&mut self, id: SweepId, is_it: impl Fn(TrajectoryIndex) -> bool) {
        self.excuse(|(sweep, trajectory), confirmed| !confirmed && sweep == id && is_it(trajectory));
    }

    /// Strikes out failures: what failed, and whether another worker has completed it.
    fn excuse(&mut self, is_excused: impl Fn((SweepId, TrajectoryIndex), bool) -> bool) {
        for id in self.failing.clone() {
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.failing.retain(|key, confirmed| !is_excused(*key, *confirmed));
            }
            self.assess(id);
        }
        self.look_again();
    }

    /// A worker's row of failures is over.
    pub(super) fn clear(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id)
            && !worker.failing.is_empty()
        {
            worker.failing.clear();
            self.assess(id);
            self.look_again();
        }
    }

    /// Another worker has completed what this one failed.
    fn confirm(&mut self, now: Now, id: WorkerId, done: (SweepId, TrajectoryIndex), actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let Some(confirmed) = worker.failing.get_mut(&done) {
            *confirmed = true;
        }
        let confirmed = worker.failing.values().filter(|&&confirmed| confirmed).count();
        if confirmed < ROW || self.quarantined.contains_key(&id) {
            return;
        }
        let reason = format!("it failed {confirmed} trajectories in a row that other workers completed");
        let worker_name = worker.description.name.clone();
        self.recount(id, |core| drop(core.quarantined.insert(id, reason.clone())));
        self.assess(id);
        // What it was better tried elsewhere for, others may do now.
        self.look_again();
        let row = QuarantineRow { worker: id, worker_name, reason, at: now.wall };
        actions.push(Action::Persist(Record::Quarantined(row)));
        actions.push(Action::Notify(Notice::Changed(done.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_alike_up_to_their_numbers_and_what_follows_their_first_line() {
        assert_eq!(fingerprint("no room at update 390\nbacktrace"), fingerprint("no room at update 7"));
        assert_eq!(fingerprint("1.5e-3 of 12"), "#.#e-# of #");
        assert_ne!(fingerprint("no room"), fingerprint("no data"));
    }

    #[test]
    fn what_failed_is_found_by_worker_and_forgotten_by_trajectory() {
        let workers = [1, 2].map(|number| WorkerId(uuid::Uuid::from_u128(number)));
        let [first, last] = [TrajectoryIndex(0), TrajectoryIndex(u64::MAX)];
        let mut failed_on = FailedOn::default();
        let of = |failed_on: &FailedOn, worker| {
            failed_on.of(worker).map(|(index, on)| (index, on.len())).collect::<Vec<_>>()
        };
        assert_eq!(
            [(first, 0), (last, 0), (last, 1)].map(|(index, on)| failed_on.insert(index, workers[on])),
            [1, 1, 2]
        );
        assert_eq!(of(&failed_on, workers[0]), [(first, 1), (last, 2)]);
        assert_eq!(of(&failed_on, workers[1]), [(last, 2)]);
        assert_eq!(failed_on.remove(last), workers.into());
        assert_eq!(failed_on.remove(last), BTreeSet::new());
        assert_eq!((of(&failed_on, workers[0]), of(&failed_on, workers[1])), (vec![(first, 1)], vec![]));
        failed_on.remove(first);
        assert_eq!(failed_on, FailedOn::default());
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
