//! How long a worker pauses before it connects again: longer each time, until a stream turns out to be a good one.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A stream that has lasted so long was a good one: what breaks it has nothing to do with what broke those before.
const GOOD_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    /// Since when the worker has been welcome on the present stream.
    welcome_since: Option<Instant>,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { pause: PAUSES.0, welcome_since: None }
    }

    /// The worker is welcome. That says little: what it says next may break the stream, each time anew.
    pub(super) fn welcome(&mut self, now: Instant) {
        self.welcome_since = Some(now);
    }

    /// What the worker said was taken in.
    pub(super) fn proven(&mut self) {
        self.pause = PAUSES.0;
    }

    /// The stream is broken; how long to pause.
    pub(super) fn broken(&mut self, now: Instant) -> Duration {
        if self.welcome_since.take().is_some_and(|since| now.duration_since(since) >= GOOD_AFTER) {
            self.pause = PAUSES.0;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_break_right_after_the_welcome_are_opened_ever_less_often() {
        let (mut backoff, now) = (Backoff::new(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..7 {
            backoff.welcome(now);
            pauses.push(backoff.broken(now + Duration::from_secs(1)).as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        backoff.proven();
        assert_eq!(backoff.broken(now), PAUSES.0, "what it said was taken in");
        backoff.welcome(now);
        assert_eq!(backoff.broken(now + GOOD_AFTER), PAUSES.0, "that was a good one");
        assert_eq!(backoff.broken(now + GOOD_AFTER), PAUSES.0 * 2, "and this one never opened");
    }
}
