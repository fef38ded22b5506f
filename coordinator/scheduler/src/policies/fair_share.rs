//! Fair share: the sweep of the highest priority is granted first; among equals, the one that has used the least of the workers
//! for its weight. Lanes that it holds now count for as long as its trajectories usually last.
//!
//! What is held has to count in advance: else all lanes that come free at one moment would go to the same sweep. And what
//! was had has to count, not only what is held: a single lane cannot be shared but over time.

use std::cmp::Ordering;

use biosweep_common::time::Tick;

/// What a sweep has and had of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FairShare {
    priority: i32,
    weight: u32,
    /// Lanes it has now.
    open: u64,
    /// The moments at which it got them, added up.
    open_since: u128,
    /// Milliseconds of lanes it had and gave back; or what it would have had, had it been here before it came.
    had: u128,
    /// Lanes it gave back, and the milliseconds it had them.
    given_back: (u64, u128),
    /// When it got its first.
    first: Option<Tick>,
}

impl FairShare {
    /// That of a sweep that has had nothing.
    pub(crate) const fn new(priority: i32, weight: u32) -> Self {
        Self { priority, weight, open: 0, open_since: 0, had: 0, given_back: (0, 0), first: None }
    }

    /// Lanes it has now.
    pub(crate) const fn open(&self) -> u64 {
        self.open
    }

    /// It gets a lane.
    pub(crate) fn take(&mut self, now: Tick) {
        self.open += 1;
        self.open_since += u128::from(now.0);
        self.first.get_or_insert(now);
    }

    /// It gives back a lane that it got at that moment.
    pub(crate) fn give_back(&mut self, now: Tick, since: Tick) {
        self.open -= 1;
        self.open_since -= u128::from(since.0);
        let lasted = u128::from(now.since_ms(since));
        self.had += lasted;
        self.given_back = (self.given_back.0 + 1, self.given_back.1 + lasted);
    }

    /// Milliseconds of lanes it will have had once what it holds has ended, as far as can be told.
    fn in_all(&self, now: Tick) -> u128 {
        self.had + self.held(now)
    }

    /// What it holds counts for as long as its trajectories last on average or, where none has ended, for as long as the
    /// first has lasted; for longer where it lasts longer.
    fn held(&self, now: Tick) -> u128 {
        let usual = match (self.given_back, self.first) {
            ((0, _), None) => 0,
            ((0, _), Some(first)) => u128::from(now.since_ms(first)),
            ((lanes, ms), _) => ms / u128::from(lanes),
        };
        let open = u128::from(self.open);
        let so_far = (open * u128::from(now.0)).saturating_sub(self.open_since);
        so_far.max(open * usual)
    }

    /// Comes into the round as if it had had its share all along: it neither catches up on the others nor waits for them.
    /// The others are those of the round: what stands still, or has nobody to train it, has had the less for it.
    pub(crate) fn join<'a>(&mut self, others: impl Iterator<Item = &'a Self>, now: Tick) {
        let level = |other: &Self| other.in_all(now) * u128::from(self.weight) / u128::from(other.weight);
        let least = others.filter(|other| other.priority == self.priority).map(level).min();
        if let Some(least) = least {
            self.had = least.saturating_sub(self.held(now));
        }
    }

    /// Which comes first: the lesser does.
    pub(crate) fn compare(&self, other: &Self, now: Tick) -> Ordering {
        let weighed =
            |mine: u128, theirs: u128| (mine * u128::from(other.weight)).cmp(&(theirs * u128::from(self.weight)));
        let by_priority = other.priority.cmp(&self.priority);
        let by_time = by_priority.then_with(|| weighed(self.in_all(now), other.in_all(now)));
        // At the very beginning nobody has had anything.
        by_time.then_with(|| weighed(self.open.into(), other.open.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who gets the next lane.
    fn whose(shares: &[FairShare], now: Tick) -> usize {
        (0..shares.len()).min_by(|&left, &right| shares[left].compare(&shares[right], now)).expect("some")
    }

    /// Who gets each of so many lanes of one worker, each for a second, one after the other.
    fn one_by_one(shares: &mut [FairShare], lanes: u64) -> Vec<usize> {
        let mut now = Tick(0);
        let mut order = Vec::new();
        for _ in 0..lanes {
            let next = whose(shares, now);
            shares[next].take(now);
            let since = now;
            now = now.after_ms(1_000);
            shares[next].give_back(now, since);
            order.push(next);
        }
        order
    }

    fn count(order: &[usize], of: usize) -> usize {
        order.iter().filter(|&&who| who == of).count()
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
            let next = whose(&shares, Tick(5));
            shares[next].take(Tick(5));
        }
        assert_eq!(shares.map(|fair_share| fair_share.open()), [3, 6]);
    }

    /// How many of so many lanes each gets of workers of one lane, each lane taken anew as it comes free; those of each
    /// last as long.
    fn one_after_the_other(shares: &mut [FairShare], workers: usize, lasting: &[u64], lanes: usize) -> Vec<usize> {
        let mut given = vec![0; shares.len()];
        let mut ends: Vec<(Tick, usize, Tick)> = Vec::new();
        let mut now = Tick(0);
        for lane in 0..lanes {
            if lane >= workers {
                ends.sort_unstable();
                let (end, holder, since) = ends.remove(0);
                now = end;
                shares[holder].give_back(now, since);
            }
            let next = whose(shares, now);
            shares[next].take(now);
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
    fn time_is_shared_and_not_the_number_of_trajectories() {
        let given = one_after_the_other(&mut [FairShare::new(0, 1), FairShare::new(0, 1)], 4, &[30_000, 10_000], 400);
        assert!(given[0].abs_diff(100) <= 4, "{given:?}");
    }

    #[test]
    fn lanes_that_come_free_at_once_are_shared_at_once() {
        for (workers, expected) in [(8, 4), (9, 5)] {
            let mut shares = [FairShare::new(0, 1), FairShare::new(0, 1)];
            let first = one_after_the_other(&mut shares, workers, &[3_600_000; 2], workers);
            assert_eq!(first[0], expected);
            let held: Vec<usize> = shares.iter().map(|fair_share| fair_share.open() as usize).collect();
            let now = Tick(3_600_000);
            for (fair_share, lanes) in shares.iter_mut().zip(&held) {
                (0..*lanes).for_each(|_| fair_share.give_back(now, Tick(0)));
            }
            for _ in 0..workers {
                let next = whose(&shares, now);
                shares[next].take(now);
            }
            assert!(
                shares[0].open().abs_diff(shares[1].open()) <= 1,
                "{:?}",
                shares.map(|fair_share| fair_share.open())
            );
        }
    }

    #[test]
    fn workers_that_come_while_the_first_trajectories_last_are_shared_too() {
        let mut shares = [FairShare::new(0, 1), FairShare::new(0, 1)];
        shares[0].take(Tick(0));
        shares[1].take(Tick(1));
        for _ in 0..8 {
            let now = Tick(600_000);
            let next = whose(&shares, now);
            shares[next].take(now);
        }
        assert_eq!(shares.map(|fair_share| fair_share.open()), [5, 5]);
    }

    #[test]
    fn what_lasts_longer_than_usual_counts_for_longer() {
        let [mut long, mut short] = [FairShare::new(0, 1), FairShare::new(0, 1)];
        long.take(Tick(50_000));
        long.give_back(Tick(51_000), Tick(50_000));
        long.take(Tick(51_000));
        short.take(Tick(0));
        short.give_back(Tick(10_000), Tick(0));
        assert_eq!(long.compare(&short, Tick(52_000)), Ordering::Less, "2 s of it were heard of, and 10 of the other");
        assert_eq!(long.compare(&short, Tick(100_000)), Ordering::Greater, "50 s");
    }

    #[test]
    fn a_higher_priority_goes_before_any_share() {
        let order = one_by_one(&mut [FairShare::new(0, 9), FairShare::new(1, 1)], 5);
        assert_eq!(order, [1; 5]);
    }

    #[test]
    fn who_comes_late_does_not_catch_up() {
        let mut shares = vec![FairShare::new(0, 1)];
        one_by_one(&mut shares, 20);
        let mut late = FairShare::new(0, 1);
        late.join(shares.iter(), Tick(20_000));
        shares.push(late);
        let order = one_by_one(&mut shares, 10);
        assert_eq!((count(&order, 0), count(&order, 1)), (5, 5));
    }

    #[test]
    fn who_weighs_more_comes_in_with_as_much_more() {
        let mut shares = vec![FairShare::new(0, 2)];
        one_by_one(&mut shares, 20);
        let mut late = FairShare::new(0, 6);
        late.join(shares.iter(), Tick(20_000));
        shares.push(late);
        let order = one_by_one(&mut shares, 16);
        assert_eq!((count(&order, 0), count(&order, 1)), (4, 12));
    }

    #[test]
    fn who_was_away_is_not_waited_for_and_need_not_wait() {
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
