//! Amounts as text with units.

use biosweep_analysis::report::words::duration;
use biosweep_common::results::views::SweepView;

use crate::render::rate::Rate;

/// Speed and remaining time.
pub(crate) fn rate(rate: &Rate) -> String {
    let Rate { trials_per_minute: Some(per_minute), left_s: Some(left_s) } = rate else { return String::new() };
    let speed = if *per_minute < 1.0 { format!("{:.1}/h", per_minute * 60.0) } else { format!("{per_minute:.1}/min") };
    format!("{speed}, {} left", duration(*left_s))
}

/// For an unfinished sweep, the number of trials with results.
pub(crate) fn so_far(sweep: &SweepView) -> Option<String> {
    let SweepView { trials, state, .. } = sweep;
    let ended = sweep.ended();
    (ended < *trials).then(|| format!("{ended} of {trials} trials, the sweep is {}", state.name()))
}

/// A count with its noun, such as `1 trial` or `2 trials`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A number of trials.
pub(crate) fn trials(count: u64) -> String {
    counted(count, "trial", "trials")
}

/// A fraction in percent.
pub(crate) fn percentage(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}
