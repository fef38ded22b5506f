//! The only reader of time: everything that decides takes the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use biosweep_common::time::{Tick, WallTime};

/// Reads the time. Copies of one clock agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose first tick is now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the one reader of time")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The present tick.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the one reader of time")]
    pub fn now(&self) -> Tick {
        Tick(millis(Instant::now().saturating_duration_since(self.start)))
    }

    /// Seconds since the clock was started, to the resolution of the machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the one reader of time")]
    pub fn seconds(&self) -> f64 {
        Instant::now().saturating_duration_since(self.start).as_secs_f64()
    }

    /// The present wall-clock time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the one reader of time")]
    pub fn wall(&self) -> WallTime {
        WallTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
