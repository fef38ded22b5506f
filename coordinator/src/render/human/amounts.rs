//! Amounts as text with units.

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

/// Seconds above which the exact duration is not printed.
const PRINTED_MAX_S: u64 = 1_000 * 365 * 86_400;

/// A duration in its two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        PRINTED_MAX_S.. => "1000 years or more".to_owned(),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_two_units() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(7_260.0), "2 h 1 min");
        assert_eq!(duration(200_000.0), "2 d 7 h");
        assert_eq!(duration(f64::INFINITY), "1000 years or more");
    }
}
