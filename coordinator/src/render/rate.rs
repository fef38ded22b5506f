//! The speed of a sweep, and its remaining time.

/// The speed of a sweep since this program started to follow it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    start: Option<(f64, f64)>,
}

/// A sweep's speed and remaining time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    /// Trials per minute; `None` if not known yet.
    pub(crate) trials_per_minute: Option<f64>,
    /// Seconds until all trials are done at this speed.
    pub(crate) left_s: Option<f64>,
}

impl Pace {
    /// The speed so far, from the number of trials that are done now.
    pub(crate) fn rate(&mut self, now_s: f64, done: f64, trials: u64) -> Rate {
        let (start_s, start_done) = *self.start.get_or_insert((now_s, done));
        let (elapsed_s, gained) = (now_s - start_s, done - start_done);
        if elapsed_s < 2.0 || gained <= 0.0 {
            return Rate { trials_per_minute: None, left_s: None };
        }
        let per_s = gained / elapsed_s;
        Rate { trials_per_minute: Some(per_s * 60.0), left_s: Some((trials as f64 - done).max(0.0) / per_s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_from_the_progress_since_the_start() {
        let mut pace = Pace::default();
        assert_eq!(pace.rate(0.0, 10.0, 40), Rate { trials_per_minute: None, left_s: None });
        let rate = pace.rate(60.0, 20.0, 40);
        assert_eq!(rate, Rate { trials_per_minute: Some(10.0), left_s: Some(120.0) });
    }
}
