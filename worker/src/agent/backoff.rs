//! Backoff: the pause before the next connection. It doubles until a stream proves stable.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A stream of this age is stable. Its end is independent of earlier failures.
const GOOD_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    /// When the coordinator welcomed the worker on the current stream.
    welcome_since: Option<Instant>,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { pause: PAUSES.0, welcome_since: None }
    }

    /// The coordinator welcomed the worker. The next message may still break the stream.
    pub(super) fn welcome(&mut self, now: Instant) {
        self.welcome_since = Some(now);
    }

    /// The coordinator processed a message of the worker.
    pub(super) fn proven(&mut self) {
        self.pause = PAUSES.0;
    }

    /// The stream broke. Returns the pause.
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
        assert_eq!(backoff.broken(now), PAUSES.0, "its message was accepted");
        backoff.welcome(now);
        assert_eq!(backoff.broken(now + GOOD_AFTER), PAUSES.0, "that was a good one");
        assert_eq!(backoff.broken(now + GOOD_AFTER), PAUSES.0 * 2, "and this one never opened");
    }
}
