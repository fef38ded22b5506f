//! Fruitless attempts: those that a worker loses or hands back before they get farther than an earlier one. A worker with many of
//! them in a row waits before its next grant, longer each time. Otherwise it could take every trajectory again and again, as fast
//! as messages travel.

use biosweep_common::vocabulary::ids::Attempt;
use biosweep_common::vocabulary::time::Tick;

/// Number of fruitless attempts in a row before a worker has to wait.
const FREE: u32 = 2;
/// The first and the longest pause before a grant, in milliseconds. Each pause is twice as long as the one before.
const PAUSES_MS: (u64, u64) = (1_000, 60_000);

/// The fruitless attempts of a worker since its last one with progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fruitless {
    /// Number of attempts.
    count: u32,
    /// The last of them. All its lanes count once.
    last: Option<Attempt>,
}

impl Fruitless {
    /// Counts an attempt, unless it is counted already. Returns the time of the next grant, if the worker has to wait.
    pub(crate) fn count(&mut self, now: Tick, attempt: Attempt) -> Option<Tick> {
        if self.last == Some(attempt) {
            return None;
        }
        (self.count, self.last) = (self.count.saturating_add(1), Some(attempt));
        let doublings = self.count.checked_sub(FREE + 1)?;
        let pause_ms = 2_u64.saturating_pow(doublings).saturating_mul(PAUSES_MS.0);
        Some(now.after_ms(pause_ms.min(PAUSES_MS.1)))
    }

    /// Forgets the attempts before this one, which had progress. Its other lanes do not count.
    pub(crate) fn forget(&mut self, attempt: Attempt) {
        (self.count, self.last) = (0, Some(attempt));
    }

    /// Whether there is none.
    pub(crate) const fn is_none(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_twice_as_long_up_to_a_minute_and_progress_ends_them() {
        let mut fruitless = Fruitless::default();
        let mut count = |attempt| fruitless.count(Tick(5), Attempt(attempt)).map(|until| until.0 - 5);
        let pauses: Vec<_> = (1..=10).map(&mut count).collect();
        let waits = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].map(Some);
        assert_eq!(pauses, [&[None, None], &waits[..]].concat());
        assert_eq!(count(10), None, "the lanes of an attempt count once");
        assert!((11..100).all(|attempt| count(attempt) == Some(60_000)));
        fruitless.forget(Attempt(100));
        assert!(fruitless.is_none());
        assert_eq!([100, 101, 102].map(|attempt| fruitless.count(Tick(0), Attempt(attempt))), [None; 3]);
        assert_eq!(fruitless.count(Tick(0), Attempt(103)), Some(Tick(1_000)));
    }
}
