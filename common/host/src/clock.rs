//! The clock. Only this module reads the time; code that decides takes the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use biosweep_common::vocabulary::time::{Tick, WallTime};
use nix::time::{ClockId, clock_gettime};

/// A clock. Copies of one clock agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now, at tick 0.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this module reads the time")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The current tick.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this module reads the time")]
    pub fn now(&self) -> Tick {
        Tick(millis(Instant::now().saturating_duration_since(self.start)))
    }

    /// Seconds since the clock started, with the resolution of the machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this module reads the time")]
    pub fn seconds(&self) -> f64 {
        Instant::now().saturating_duration_since(self.start).as_secs_f64()
    }

    /// The current wall-clock time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this module reads the time")]
    pub fn wall(&self) -> WallTime {
        WallTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis))
    }

    /// The wall-clock time since 1970, with the resolution of the machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this module reads the time")]
    pub fn since_1970(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// Milliseconds since the machine started, including the time that it was suspended. The clock runs on while a process is stopped.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "every system that this program runs on has this clock")]
pub fn since_boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("the clock of the system");
    millis(now.into())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
