//! Fair share: the sweep with the highest priority is granted first. Among sweeps of one priority, the sweep with the least lane
//! time relative to its weight comes first. An open lane counts in advance with the usual duration of a trajectory.
//!
//! Open lanes have to count in advance: otherwise lanes that close at the same time would all go to one sweep. Closed lanes have
//! to count too: a single lane can be shared only over time.

use std::cmp::Ordering;

use biosweep_common::vocabulary::time::Tick;

/// The lane time that a sweep uses and has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FairShare {
    priority: i32,
    weight: u32,
    /// Number of open lanes.
    open: u64,
    /// The sum of the ticks at which the open lanes were granted.
    open_since_sum: u128,
    /// Milliseconds of closed lanes, plus the credit from [`Self::join`].
    used_ms: u128,
    /// Number of closed lanes, and the milliseconds for which they were open.
    closed: (u64, u128),
    /// The time at which the first lane was granted.
    first_opened: Option<Tick>,
}

impl FairShare {
    /// The fair share of a sweep that has used no lane time.
    pub(crate) const fn new(priority: i32, weight: u32) -> Self {
        Self { priority, weight, open: 0, open_since_sum: 0, used_ms: 0, closed: (0, 0), first_opened: None }
    }

    /// Number of open lanes.
    pub(crate) const fn open(&self) -> u64 {
        self.open
    }

    /// Counts a lane that is granted.
    pub(crate) fn lane_opened(&mut self, now: Tick) {
        self.open += 1;
        self.open_since_sum += u128::from(now.0);
        self.first_opened.get_or_insert(now);
    }

    /// Counts a lane that closes. It was granted at `since`.
    pub(crate) fn lane_closed(&mut self, now: Tick, since: Tick) {
        self.open -= 1;
        self.open_since_sum -= u128::from(since.0);
        let lasted = u128::from(now.since_ms(since));
        self.used_ms += lasted;
        self.closed = (self.closed.0 + 1, self.closed.1 + lasted);
    }

    /// Milliseconds of lane time at the expected end of all open lanes.
    fn projected_ms(&self, now: Tick) -> u128 {
        self.used_ms + self.projected_open_ms(now)
    }

    /// Milliseconds that the open lanes count for. A lane counts with the mean duration of the closed lanes or, if none has
    /// closed, with the time since the first grant. Lanes that take longer count with their real time.
    fn projected_open_ms(&self, now: Tick) -> u128 {
        let usual = match (self.closed, self.first_opened) {
            ((0, _), None) => 0,
            ((0, _), Some(first)) => u128::from(now.since_ms(first)),
            ((lanes, ms), _) => ms / u128::from(lanes),
        };
        let open = u128::from(self.open);
        let so_far = (open * u128::from(now.0)).saturating_sub(self.open_since_sum);
        so_far.max(open * usual)
    }

    /// Joins the active set, with as much lane time as if the sweep had always had its share: it neither catches up nor waits.
    /// `others` are the sweeps of the active set only: an inactive sweep has less lane time, because it could not use any.
    pub(crate) fn join<'a>(&mut self, others: impl Iterator<Item = &'a Self>, now: Tick) {
        let level = |other: &Self| other.projected_ms(now) * u128::from(self.weight) / u128::from(other.weight);
        let least = others.filter(|other| other.priority == self.priority).map(level).min();
        if let Some(least) = least {
            self.used_ms = least.saturating_sub(self.projected_open_ms(now));
        }
    }

    /// Compares two sweeps. The lesser sweep is granted first.
    pub(crate) fn compare(&self, other: &Self, now: Tick) -> Ordering {
        let weighed =
            |mine: u128, theirs: u128| (mine * u128::from(other.weight)).cmp(&(theirs * u128::from(self.weight)));
        let by_priority = other.priority.cmp(&self.priority);
        let by_time = by_priority.then_with(|| weighed(self.projected_ms(now), other.projected_ms(now)));
        // At the very beginning no sweep has used any lane time.
        by_time.then_with(|| weighed(self.open.into(), other.open.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index of the share that gets the next lane.
    fn next_share(shares: &[FairShare], now: Tick) -> usize {
        (0..shares.len()).min_by(|&left, &right| shares[left].compare(&shares[right], now)).expect("some")
    }

    /// The shares that get the lanes of one worker with one lane. Each lane lasts one second.
    fn one_by_one(shares: &mut [FairShare], lanes: u64) -> Vec<usize> {
        let mut now = Tick(0);
        let mut order = Vec::new();
        for _ in 0..lanes {
            let next = next_share(shares, now);
            shares[next].lane_opened(now);
            let since = now;
            now = now.after_ms(1_000);
            shares[next].lane_closed(now, since);
            order.push(next);
        }
        order
    }

    fn count(order: &[usize], of: usize) -> usize {
        order.iter().filter(|&&share| share == of).count()
    }

    #[test]
    fn a_worker_is_shared_by_weight_over_time() {
        let order = one_by_one(&mut [FairShare::new(0, 3), FairShare::new(0, 1)], 40);
        assert_eq!((count(&order, 0), count(&order, 1)), (30, 10));
        assert_eq!(order[..4], [0, 1, 0, 0]);
    }

    #[test]
    fn many_workers_are_shared_by_weight_at_once() {
        let mut shares = [FairShare::new(0, 1), FairShare::new(0, 2)];
        for _ in 0..9 {
            let next = next_share(&shares, Tick(5));
            shares[next].lane_opened(Tick(5));
        }
        assert_eq!(shares.map(|fair_share| fair_share.open()), [3, 6]);
    }

    /// The number of lanes that each share gets from workers with one lane each. A closed lane is granted again at once; the lanes
    /// of a share all last the time in `lasting`.
    fn one_after_the_other(shares: &mut [FairShare], workers: usize, lasting: &[u64], lanes: usize) -> Vec<usize> {
        let mut given = vec![0; shares.len()];
        let mut ends: Vec<(Tick, usize, Tick)> = Vec::new();
        let mut now = Tick(0);
        for lane in 0..lanes {
            if lane >= workers {
                ends.sort_unstable();
                let (end, holder, since) = ends.remove(0);
                now = end;
                shares[holder].lane_closed(now, since);
            }
            let next = next_share(shares, now);
            shares[next].lane_opened(now);
            given[next] += 1;
            ends.push((now.after_ms(lasting[next]), next, now));
        }
        given
    }

    #[test]
    fn few_workers_are_shared_by_weight_over_time() {
        for (workers, weight) in [(2, 100), (2, 3), (3, 3), (5, 2)] {
            let shares = &mut [FairShare::new(0, weight), FairShare::new(0, 1)];
            let given = one_after_the_other(shares, workers, &[10_000, 10_000], 404);
            let fair = 404 * weight as usize / (weight as usize + 1);
            assert!(given[0].abs_diff(fair) <= workers, "{given:?} of {workers} workers by {weight} to 1");
        }
    }

    #[test]
    fn the_fair_share_counts_time_and_not_trajectories() {
        let given = one_after_the_other(&mut [FairShare::new(0, 1), FairShare::new(0, 1)], 4, &[30_000, 10_000], 400);
        assert!(given[0].abs_diff(100) <= 4, "{given:?}");
    }

    #[test]
    fn lanes_that_close_together_are_shared_evenly() {
        for (workers, expected) in [(8, 4), (9, 5)] {
            let mut shares = [FairShare::new(0, 1), FairShare::new(0, 1)];
            let first = one_after_the_other(&mut shares, workers, &[3_600_000; 2], workers);
            assert_eq!(first[0], expected);
            let held: Vec<usize> = shares.iter().map(|fair_share| fair_share.open() as usize).collect();
            let now = Tick(3_600_000);
            for (fair_share, lanes) in shares.iter_mut().zip(&held) {
                (0..*lanes).for_each(|_| fair_share.lane_closed(now, Tick(0)));
            }
            for _ in 0..workers {
                let next = next_share(&shares, now);
                shares[next].lane_opened(now);
            }
            assert!(
                shares[0].open().abs_diff(shares[1].open()) <= 1,
                "{:?}",
                shares.map(|fair_share| fair_share.open())
            );
        }
    }

    #[test]
    fn new_workers_are_shared_before_any_trajectory_has_ended() {
        let mut shares = [FairShare::new(0, 1), FairShare::new(0, 1)];
        shares[0].lane_opened(Tick(0));
        shares[1].lane_opened(Tick(1));
        for _ in 0..8 {
            let now = Tick(600_000);
            let next = next_share(&shares, now);
            shares[next].lane_opened(now);
        }
        assert_eq!(shares.map(|fair_share| fair_share.open()), [5, 5]);
    }

    #[test]
    fn an_unusually_long_lane_counts_with_its_real_time() {
        let [mut long, mut short] = [FairShare::new(0, 1), FairShare::new(0, 1)];
        long.lane_opened(Tick(50_000));
        long.lane_closed(Tick(51_000), Tick(50_000));
        long.lane_opened(Tick(51_000));
        short.lane_opened(Tick(0));
        short.lane_closed(Tick(10_000), Tick(0));
        assert_eq!(long.compare(&short, Tick(52_000)), Ordering::Less, "2 s of long lanes against 10 s of short lanes");
        assert_eq!(long.compare(&short, Tick(100_000)), Ordering::Greater, "50 s of long lanes");
    }

    #[test]
    fn a_higher_priority_comes_first() {
        let order = one_by_one(&mut [FairShare::new(0, 9), FairShare::new(1, 1)], 5);
        assert_eq!(order, [1; 5]);
    }

    #[test]
    fn a_late_sweep_does_not_catch_up() {
        let mut shares = vec![FairShare::new(0, 1)];
        one_by_one(&mut shares, 20);
        let mut late = FairShare::new(0, 1);
        late.join(shares.iter(), Tick(20_000));
        shares.push(late);
        let order = one_by_one(&mut shares, 10);
        assert_eq!((count(&order, 0), count(&order, 1)), (5, 5));
    }

    #[test]
    fn a_late_sweep_of_greater_weight_gets_its_weighted_share() {
        let mut shares = vec![FairShare::new(0, 2)];
        one_by_one(&mut shares, 20);
        let mut late = FairShare::new(0, 6);
        late.join(shares.iter(), Tick(20_000));
        shares.push(late);
        let order = one_by_one(&mut shares, 16);
        assert_eq!((count(&order, 0), count(&order, 1)), (4, 12));
    }

    #[test]
    fn a_sweep_that_returns_neither_catches_up_nor_waits() {
        let mut shares = vec![FairShare::new(0, 1), FairShare::new(0, 2)];
        one_by_one(&mut shares[..1], 20);
        one_by_one(&mut shares[1..], 4);
        let mut back = shares[0];
        back.join(shares[1..].iter(), Tick(30_000));
        shares[0] = back;
        let order = one_by_one(&mut shares, 9);
        assert_eq!((count(&order, 0), count(&order, 1)), (3, 6));
    }
}
