//! Settings on the command line, such as `depth=10`.

use biosweep_common::configuration::Point;
use biosweep_common::settings::{self, AssignmentError, Setting, Value};

use super::failure::Failure;

/// The setting with this name. `flag` is the flag for the message.
pub(super) fn named(flag: &str, name: &str) -> Result<Setting, Failure> {
    Setting::named(name).map_err(|error| bad(flag, name, &error))
}

/// Parses for example `depth=10`.
pub(super) fn assignment(flag: &str, text: &str) -> Result<(Setting, Value), Failure> {
    settings::assignment(text).map_err(|error| bad(flag, text, &error))
}

/// Parses all of these assignments; a setting that appears twice is an error.
pub(super) fn assignments(flag: &str, texts: &[String]) -> Result<Point, Failure> {
    settings::assignments(texts.iter().map(String::as_str)).map_err(|(text, error)| bad(flag, text, &error))
}

/// Parses a value of a setting.
pub(super) fn value(flag: &str, setting: Setting, word: &str) -> Result<Value, Failure> {
    setting.value(word).map_err(|error| bad(flag, &format!("{}={word}", setting.name()), &error))
}

fn bad(flag: &str, text: &str, error: &AssignmentError) -> Failure {
    Failure::bad_input(format!("{flag} {text}: {error}"))
}
