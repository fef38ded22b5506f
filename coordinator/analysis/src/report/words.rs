//! Numbers, lists and dates in words.

use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::time::WallTime;

const DAY_MS: u64 = 86_400_000;

/// `a, b and c`.
pub fn list<T: AsRef<str>>(items: &[T]) -> String {
    joined(items, "and")
}

/// `a, b or c`.
pub fn choice<T: AsRef<str>>(items: &[T]) -> String {
    joined(items, "or")
}

fn joined<T: AsRef<str>>(items: &[T], word: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {word} {}", first.join(", "), last.as_ref())
        }
    }
}

/// A whole number with a comma before each group of three digits.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 trial` or `24 trials`.
pub fn counted(count: u64, one: &str) -> String {
    format!("{} {one}{}", number(count), if count == 1 { "" } else { "s" })
}

/// The value of a setting; a dataset by its short name.
pub fn value(setting: Setting, value: &Value) -> String {
    match (setting, value) {
        (Setting::Dataset, Value::Name(name)) => dataset(name),
        (Setting::Seed | Setting::SkipSeed, value) => value.short(),
        (_, Value::Integer(one)) => number(*one),
        (_, Value::Integers(numbers)) if numbers.is_empty() => "none".to_owned(),
        (_, Value::Integers(numbers)) => list(&numbers.iter().map(u64::to_string).collect::<Vec<_>>()),
        (_, value) => value.short(),
    }
}

fn dataset(name: &str) -> String {
    name.parse::<biosweep_common::vocabulary::dataset::DatasetRef>()
        .map_or_else(|_| name.to_owned(), |dataset| dataset.label())
}

/// A fraction in percent, with one digit after the point.
pub fn percent(fraction: f64) -> String {
    format!("{:.1}", 100.0 * fraction)
}

/// A text of at most this many characters: the rest is cut off, and `…` stands for it.
pub fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    text.chars().take(characters_max - 1).chain(['…']).collect()
}

/// Seconds above which the exact duration is not written.
const WRITTEN_MAX_S: u64 = 1_000 * 365 * 86_400;

/// A duration in its two largest units, such as `2 h 1 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        WRITTEN_MAX_S.. => "1000 years or more".to_owned(),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// `2023-11-14 22:13 UTC`.
pub fn date(time: WallTime) -> String {
    let (year, month, day) = civil(time.0 / DAY_MS);
    let minutes = time.0 % DAY_MS / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// `It ran from 2023-11-14 22:13 UTC to 2023-11-15 00:18 UTC (2 h 5 min)`.
pub(super) fn period(from: WallTime, to: WallTime) -> String {
    format!("It ran from {} to {} ({})", date(from), date(to), duration(to.0.saturating_sub(from.0) as f64 / 1e3))
}

/// The year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // A cycle of 400 years has 146,097 days. Years start in March, so that a leap day is the last day of a year.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, is_next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * cycle + year + is_next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_the_calendar() {
        // Expected values: `date -u -d @SECONDS`.
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_799, "2000-02-29 23:59 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(WallTime(1_000 * seconds)), expected);
        }
    }

    #[test]
    fn numbers_have_groups_and_lists_an_and() {
        assert_eq!([1, 999, 1_000, 1_234_567].map(number), ["1", "999", "1,000", "1,234,567"]);
        assert_eq!((list(&["a", "b", "c"]), choice(&["a", "b"])), ("a, b and c".to_owned(), "a or b".to_owned()));
        assert_eq!((counted(1, "fold"), counted(0, "fold")), ("1 fold".to_owned(), "0 folds".to_owned()));
    }

    #[test]
    fn custom_data_has_its_short_name_and_seeds_have_no_groups() {
        assert_eq!(value(Setting::Dataset, &Value::Name("npy:/data/own".into())), "own");
        assert_eq!(value(Setting::Seed, &Value::Integer(12_345)), "12345");
        assert_eq!(value(Setting::DownsampleAfter, &Value::Integers(Vec::new())), "none");
    }

    #[test]
    fn a_period_has_its_ends_and_its_duration() {
        let (from, to) = (WallTime(1_700_000_000_000), WallTime(1_700_007_500_000));
        assert_eq!(period(from, to), "It ran from 2023-11-14 22:13 UTC to 2023-11-15 00:18 UTC (2 h 5 min)");
        assert!(period(to, from).ends_with("(0 s)"), "the clock was set back");
    }

    #[test]
    fn a_duration_is_written_in_two_units() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(7_260.0), "2 h 1 min");
        assert_eq!(duration(200_000.0), "2 d 7 h");
        assert_eq!(duration(f64::INFINITY), "1000 years or more");
    }
}
