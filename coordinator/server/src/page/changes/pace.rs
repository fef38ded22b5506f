//! The speed of running sweeps over the last minutes, and their remaining time.

use std::collections::{BTreeMap, VecDeque};

use biosweep_common::vocabulary::ids::SweepId;

/// Seconds over which the speed is measured.
const WINDOW_S: f64 = 600.0;
/// Seconds that are needed at least.
const LEAST_S: f64 = 5.0;

/// The progress of running sweeps, sampled from time to time.
#[derive(Debug, Default)]
pub(super) struct Paces(BTreeMap<SweepId, VecDeque<(f64, f64)>>);

impl Paces {
    /// Records the number of trials that are done in each running sweep; a half-trained trial counts 0.5.
    pub(super) fn sample(&mut self, now_s: f64, done: &[(SweepId, f64)]) {
        self.0.retain(|id, _| done.iter().any(|(running, _)| running == id));
        for &(id, done) in done {
            let samples = self.0.entry(id).or_default();
            // After a retry or an extension there is less done than before.
            if samples.back().is_some_and(|&(_, before)| done < before - 1.0) {
                samples.clear();
            }
            samples.push_back((now_s, done));
            while samples.front().is_some_and(|&(at, _)| at < now_s - WINDOW_S) {
                samples.pop_front();
            }
        }
    }

    /// Seconds until all trials of a sweep are done, at the speed of the last minutes; `None` if it is not known.
    pub(super) fn left_s(&self, id: SweepId, trials: u64) -> Option<f64> {
        let samples = self.0.get(&id)?;
        let (&(from_s, from), &(to_s, to)) = (samples.front()?, samples.back()?);
        let (seconds, gained) = (to_s - from_s, to - from);
        (seconds >= LEAST_S && gained > 0.0).then(|| (trials as f64 - to).max(0.0) * seconds / gained)
    }
}

#[cfg(test)]
mod tests {
    use biosweep_host::id::new_id;

    use super::*;

    #[test]
    fn the_remaining_time_follows_from_the_last_minutes() {
        let (mut paces, id) = (Paces::default(), new_id::<SweepId>());
        paces.sample(0.0, &[(id, 0.0)]);
        assert_eq!(paces.left_s(id, 100), None);
        paces.sample(10.0, &[(id, 20.0)]);
        assert_eq!(paces.left_s(id, 100), Some(40.0));
        // Ten minutes later only the recent speed counts.
        paces.sample(1_000.0, &[(id, 50.0)]);
        assert_eq!(paces.left_s(id, 100), None);
        paces.sample(1_010.0, &[(id, 60.0)]);
        assert_eq!(paces.left_s(id, 100), Some(40.0));
        paces.sample(1_011.0, &[(id, 10.0)]);
        assert_eq!(paces.left_s(id, 100), None, "failed trials run again");
        paces.sample(1_012.0, &[]);
        assert_eq!(paces.left_s(id, 100), None, "it no longer runs");
    }
}
