//! Whose turn it is: the sweep of the highest priority; among those, the one that has least of the workers for its weight
//! now or, where that is equal, has had least of them so far.

use std::cmp::Ordering;

use biosweep_common::clock::Tick;

/// What a sweep has and had of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    priority: i32,
    weight: u32,
    /// Lanes it has now.
    open: u64,
    /// Milliseconds of lanes it had until `since`.
    had: u128,
    since: Tick,
}

impl Turn {
    /// That of a sweep that has had nothing.
    pub(super) const fn new(priority: i32, weight: u32, now: Tick) -> Self {
        Self { priority, weight, open: 0, had: 0, since: now }
    }

    /// Lanes it has now.
    pub(super) const fn open(&self) -> u64 {
        self.open
    }

    /// It gets a lane.
    pub(super) fn take(&mut self, now: Tick) {
        self.settle(now);
        self.open += 1;
    }

    /// It gives a lane back.
    pub(super) fn give_back(&mut self, now: Tick) {
        self.settle(now);
        self.open -= 1;
    }

    fn settle(&mut self, now: Tick) {
        (self.had, self.since) = (self.had_at(now), now);
    }

    fn had_at(&self, now: Tick) -> u128 {
        self.had + u128::from(self.open) * u128::from(now.since_ms(self.since))
    }

    /// Comes into the round as if it had had its share all along: it neither catches up on the others nor waits for them.
    /// The others are those of the round: what stands still, or has nobody to train it, has had the less for it.
    pub(super) fn join<'a>(&mut self, others: impl Iterator<Item = &'a Self>, now: Tick) {
        let level = |other: &Self| other.had_at(now) * u128::from(self.weight) / u128::from(other.weight);
        let least = others.filter(|other| other.priority == self.priority).map(level).min();
        self.settle(now);
        self.had = least.unwrap_or(self.had);
    }

    /// Which comes first: the lesser does.
    pub(super) fn compare(&self, other: &Self, now: Tick) -> Ordering {
        let weighed =
            |mine: u128, theirs: u128| (mine * u128::from(other.weight)).cmp(&(theirs * u128::from(self.weight)));
        let by_priority = other.priority.cmp(&self.priority);
        let by_open = by_priority.then_with(|| weighed(self.open.into(), other.open.into()));
        by_open.then_with(|| weighed(self.had_at(now), other.had_at(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who gets each of so many lanes of one worker, each for a second, one after the other.
    fn one_by_one(turns: &mut [Turn], lanes: u64) -> Vec<usize> {
        let mut now = Tick(0);
        let mut order = Vec::new();
        for _ in 0..lanes {
            let next = (0..turns.len()).min_by(|&left, &right| turns[left].compare(&turns[right], now)).expect("some");
            turns[next].take(now);
            now = now.after_ms(1_000);
            turns[next].give_back(now);
            order.push(next);
        }
        order
    }

    fn count(order: &[usize], of: usize) -> usize {
        order.iter().filter(|&&who| who == of).count()
    }

    #[test]
    fn a_worker_is_shared_by_weight_over_time() {
        let order = one_by_one(&mut [Turn::new(0, 3, Tick(0)), Turn::new(0, 1, Tick(0))], 40);
        assert_eq!((count(&order, 0), count(&order, 1)), (30, 10));
        assert_eq!(order[..4], [0, 1, 0, 0]);
    }

    #[test]
    fn many_workers_are_shared_by_weight_at_once() {
        let mut turns = [Turn::new(0, 1, Tick(0)), Turn::new(0, 2, Tick(0))];
        for _ in 0..9 {
            let next = (0..2).min_by(|&left, &right| turns[left].compare(&turns[right], Tick(5))).expect("some");
            turns[next].take(Tick(5));
        }
        assert_eq!(turns.map(|turn| turn.open()), [3, 6]);
    }

    #[test]
    fn a_higher_priority_goes_before_any_share() {
        let order = one_by_one(&mut [Turn::new(0, 9, Tick(0)), Turn::new(1, 1, Tick(0))], 5);
        assert_eq!(order, [1; 5]);
    }

    #[test]
    fn who_comes_late_does_not_catch_up() {
        let mut turns = vec![Turn::new(0, 1, Tick(0))];
        one_by_one(&mut turns, 20);
        let mut late = Turn::new(0, 1, Tick(20_000));
        late.join(turns.iter(), Tick(20_000));
        turns.push(late);
        let order = one_by_one(&mut turns, 10);
        assert_eq!((count(&order, 0), count(&order, 1)), (5, 5));
    }

    #[test]
    fn who_weighs_more_comes_in_with_as_much_more() {
        let mut turns = vec![Turn::new(0, 2, Tick(0))];
        one_by_one(&mut turns, 20);
        let mut late = Turn::new(0, 6, Tick(20_000));
        late.join(turns.iter(), Tick(20_000));
        turns.push(late);
        let order = one_by_one(&mut turns, 16);
        assert_eq!((count(&order, 0), count(&order, 1)), (4, 12));
    }

    #[test]
    fn who_was_away_is_not_waited_for_and_need_not_wait() {
        let mut turns = vec![Turn::new(0, 1, Tick(0)), Turn::new(0, 2, Tick(0))];
        one_by_one(&mut turns[..1], 20);
        one_by_one(&mut turns[1..], 4);
        let mut back = turns[0];
        back.join(turns[1..].iter(), Tick(30_000));
        turns[0] = back;
        let order = one_by_one(&mut turns, 9);
        assert_eq!((count(&order, 0), count(&order, 1)), (3, 6));
    }
}
