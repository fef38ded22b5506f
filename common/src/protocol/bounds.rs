//! The limits of everything a peer may send: numbers, lengths of texts, counts.
//!
//! Every message is checked against these limits when it is read, so nothing behind `protocol` is too large for a
//! store, for memory or for a terminal. Texts that this program sends are shortened to fit by [`clean_line`] and
//! [`clean_text`].

use super::error::WireError;
use crate::results::note;
use crate::vocabulary::text::{is_disruptive, is_of_text};

/// Maximum number of trajectories that a worker trains at once.
pub const LANES_MAX: u32 = 1_024;
/// Maximum number of labels of a worker.
pub const LABELS_MAX: usize = 64;
/// Maximum bytes of a name: of a worker, a device or a label.
pub const NAME_BYTES_MAX: usize = 128;
/// Maximum bytes of a text for users, such as the cause of a failure.
pub const TEXT_BYTES_MAX: usize = 8_192;
/// Maximum bytes of a name or id in a request for a sweep, a trial or a worker.
const ASKED_BYTES_MAX: usize = 1_024;
/// Maximum bytes of the reason of a refusal, which is sent in a header.
const REASON_BYTES_MAX: usize = 4_096;
/// Maximum bytes of a setting's text. Custom data has a path.
pub const SETTING_BYTES_MAX: usize = 8_192;
/// Maximum number of trajectories in one message: held by a worker, or acknowledged.
pub const HELD_MAX: usize = 16_384;
/// Maximum number of sweeps in one request.
pub const ASKED_MAX: usize = 1_000;
/// Maximum number of points of one report, curve and diagnostics together: ten times those of the paper's longest trial
/// with 14 layers and five measures.
pub const REPORT_POINTS_MAX: usize = 2_000_000;
/// Maximum number of points in one message; a report with more is sent in pieces.
pub const PIECE_POINTS_MAX: usize = 4_096;
/// Maximum number of trials of one trajectory.
pub const STOPPING_RULES_MAX: usize = 10_000;
/// Maximum bytes of a message to the coordinator.
pub const TO_COORDINATOR_BYTES_MAX: usize = 2 << 20;
/// Maximum bytes of a message to a worker.
pub const TO_WORKER_BYTES_MAX: usize = 8 << 20;
/// Maximum bytes of all lanes of a bundle, unless it has only one lane.
const BUNDLE_BYTES_MAX: u64 = 4 << 20;
/// Maximum number of settings in one list.
pub(super) const SETTINGS_MAX: usize = 64;
/// Maximum number of values of a setting that is a list.
pub(super) const INTEGERS_MAX: usize = 10_000;
/// Maximum number of a layer: the output of the deepest network.
pub(super) const LAYER_MAX: u32 = 1_001;

/// Maximum number, because stores count with signed 64-bit numbers.
const NUMBER_MAX: u64 = i64::MAX as u64;
/// Maximum characters of a value in an error.
const SHOWN_MAX: usize = 64;

/// Maximum number of lanes of a bundle with this many stopping rules per trajectory, so that the grant fits into a
/// message.
#[must_use]
pub fn lanes_of_bundle(stopping_rules: u64) -> u32 {
    // The bytes of a lane's settings, and of a stopping rule with the greatest numbers.
    let lane = stopping_rules.saturating_mul(32).saturating_add(1_024);
    u32::try_from(BUNDLE_BYTES_MAX / lane).unwrap_or(LANES_MAX).clamp(1, LANES_MAX)
}

/// Checks a number that a store must be able to hold.
pub(super) fn number(value: u64, field: &'static str) -> Result<u64, WireError> {
    within(value <= NUMBER_MAX, value, field, || "a number below 2^63".to_owned())
}

/// Checks a count of things of which there is one at least.
pub(super) fn at_least_one(value: u32, field: &'static str) -> Result<u32, WireError> {
    within(value > 0, value, field, || "at least 1".to_owned())
}

/// Checks a number of lanes.
pub(super) fn lanes(value: u32, field: &'static str) -> Result<u32, WireError> {
    within(value <= LANES_MAX, value, field, || format!("at most {LANES_MAX} lanes"))
}

/// Checks the number of a layer.
pub(super) fn layer(value: u32, field: &'static str) -> Result<u32, WireError> {
    within((1..=LAYER_MAX).contains(&value), value, field, || format!("a number from 1 to {LAYER_MAX}"))
}

/// Checks a fraction from 0 to 1.
pub(super) fn fraction(value: f64, field: &'static str) -> Result<f64, WireError> {
    within((0.0..=1.0).contains(&value), value, field, || "a number from 0 to 1".to_owned())
}

/// Checks that a number is finite.
pub(super) fn finite(value: f64, field: &'static str) -> Result<f64, WireError> {
    within(value.is_finite(), value, field, || "a finite number".to_owned())
}

/// Checks a duration in seconds.
pub(super) fn seconds(value: f64, field: &'static str) -> Result<f64, WireError> {
    within(value.is_finite() && value >= 0.0, value, field, || "a finite number, 0 or above".to_owned())
}

/// Checks the length of a list.
pub(super) fn at_most<T>(list: Vec<T>, most: usize, field: &'static str) -> Result<Vec<T>, WireError> {
    let length = list.len();
    within(length <= most, length, field, || format!("at most {most} of them")).map(|_| list)
}

/// Checks a name: one short line.
pub(super) fn line(text: String, field: &'static str) -> Result<String, WireError> {
    let is_line = text.len() <= NAME_BYTES_MAX && !text.contains(is_disruptive);
    let takes = || format!("at most {NAME_BYTES_MAX} bytes without control characters");
    if is_line { Ok(text) } else { Err(out_of_bounds(shown(&text), field, takes())) }
}

/// Checks a text for users, of one or more lines.
pub(super) fn text(text: String, field: &'static str) -> Result<String, WireError> {
    let is_text = text.len() <= TEXT_BYTES_MAX && text.chars().all(is_of_text);
    let takes = || format!("at most {TEXT_BYTES_MAX} bytes without control characters but line breaks and tabs");
    if is_text { Ok(text) } else { Err(out_of_bounds(shown(&text), field, takes())) }
}

/// Checks the note of a sweep.
pub(super) fn note(text: &str, field: &'static str) -> Result<Option<String>, WireError> {
    note::note(text).map_err(|error| out_of_bounds(shown(text), field, error.to_string()))
}

/// Checks a name or id in a request for a sweep, a trial or a worker. It is repeated in the error if nothing is found.
///
/// # Errors
/// A text that is too long or has control characters.
pub fn asked(text: &str) -> Result<&str, WireError> {
    let is_name = text.len() <= ASKED_BYTES_MAX && !text.contains(is_disruptive);
    let takes = || format!("at most {ASKED_BYTES_MAX} bytes without control characters");
    if is_name { Ok(text) } else { Err(out_of_bounds(shown(text), "name", takes())) }
}

/// Shortens the reason of a refusal to the maximum.
#[must_use]
pub fn reason(text: String) -> String {
    clean(text, REASON_BYTES_MAX, is_of_text)
}

/// Checks a setting's text.
pub(super) fn setting(text: String, field: &'static str) -> Result<String, WireError> {
    let is_sound = text.len() <= SETTING_BYTES_MAX && !text.contains(is_disruptive);
    let takes = || format!("at most {SETTING_BYTES_MAX} bytes without control characters");
    if is_sound { Ok(text) } else { Err(out_of_bounds(shown(&text), field, takes())) }
}

pub(super) fn within<T: Copy + ToString>(
    is_within: bool,
    value: T,
    field: &'static str,
    takes: impl Fn() -> String,
) -> Result<T, WireError> {
    if is_within { Ok(value) } else { Err(out_of_bounds(value.to_string(), field, takes())) }
}

fn out_of_bounds(value: String, field: &'static str, takes: String) -> WireError {
    WireError::OutOfBounds { field, value, takes }
}

/// The start of a text, for an error. The text may be long and have control characters, which terminals interpret.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Makes a name valid for every peer: it is shortened if too long, and control characters are replaced.
#[must_use]
pub fn clean_line(text: String) -> String {
    clean(text, NAME_BYTES_MAX, |character| !is_disruptive(character))
}

/// Makes a text for users valid for every peer; it may have several lines.
#[must_use]
pub fn clean_text(text: String) -> String {
    clean(text, TEXT_BYTES_MAX, is_of_text)
}

/// Shortens a text for users to a number of bytes.
#[must_use]
pub fn shortened(text: String, most: usize) -> String {
    clean(text, most, is_of_text)
}

fn clean(text: String, most: usize, is_sound: fn(char) -> bool) -> String {
    if text.len() <= most && text.chars().all(is_sound) {
        return text;
    }
    const CUT: char = '…';
    let sound = |character: char| if is_sound(character) { character } else { char::REPLACEMENT_CHARACTER };
    let mut cleaned: String = text.chars().filter(|&character| character != '\r').map(sound).collect();
    if cleaned.len() > most {
        cleaned.truncate(cleaned.floor_char_boundary(most - CUT.len_utf8()));
        cleaned.push(CUT);
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleaned_text_is_accepted() {
        for long in ["x".repeat(1_000_000), "漢".repeat(9_999), "\u{1b}[31m\0\r\nred".to_owned(), String::new()] {
            let cleaned = clean_line(long.clone());
            assert_eq!(line(cleaned.clone(), "name"), Ok(cleaned));
            let cleaned = clean_text(long.clone());
            assert_eq!(text(cleaned.clone(), "cause"), Ok(cleaned));
            assert!(shown(&long).len() <= SHOWN_MAX * 10, "the shown part is short");
        }
        assert_eq!(clean_text("two\r\nlines\tand \u{1b}[1m".to_owned()), "two\nlines\tand \u{fffd}[1m");
        assert_eq!(clean_line("sound 漢".to_owned()), "sound 漢");
        assert!(reason("x".repeat(9_999)).len() <= REASON_BYTES_MAX && asked(&"x".repeat(9_999)).is_err());
        assert_eq!(clean_line("one\u{202e}name\u{2028}".to_owned()), "one\u{fffd}name\u{fffd}");
        for disguised in ["a\u{202e}b", "a\u{2066}b", "a\u{2028}b"] {
            line(disguised.to_owned(), "name").expect_err("it looks like another name");
            text(disguised.to_owned(), "cause").expect_err("it looks like another text");
        }
        assert!(asked("first/3").is_ok() && asked("a\u{1b}").is_err());
        assert_eq!(shortened("sound 漢".to_owned(), 8), "sound…");
        assert_eq!(shown("a\n\u{1b}b"), "a\\n\\u{1b}b");
    }

    #[test]
    fn a_bundle_has_fewer_lanes_the_larger_they_are() {
        assert_eq!(lanes_of_bundle(1), LANES_MAX);
        assert_eq!(lanes_of_bundle(STOPPING_RULES_MAX as u64), 13);
        assert_eq!(lanes_of_bundle(u64::MAX), 1);
    }

    #[test]
    fn an_error_names_the_field_the_value_and_what_it_takes() {
        let error = number(1 << 63, "ended.attempt").expect_err("too large for a store").to_string();
        assert_eq!(error, "message with `ended.attempt` = `9223372036854775808`; it takes a number below 2^63");
    }
}
