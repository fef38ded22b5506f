//! Settings on the command line, such as `depth=10`.

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};

use super::failure::Failure;

/// The setting with this name. `flag` is the flag for the message.
pub(super) fn named(flag: &str, name: &str) -> Result<Setting, Failure> {
    let setting = Setting::ALL.iter().copied().find(|setting| setting.name() == name);
    setting.ok_or_else(|| {
        let known: Vec<&str> = Setting::ALL.iter().map(|setting| setting.name()).collect();
        Failure::bad_input(format!("{flag} {name}: there is no setting `{name}`; known: {}", known.join(", ")))
    })
}

/// Parses for example `depth=10`.
pub(super) fn assignment(flag: &str, text: &str) -> Result<(Setting, Value), Failure> {
    let (name, word) = text
        .split_once('=')
        .ok_or_else(|| Failure::bad_input(format!("{flag} {text}: write it as SETTING=VALUE, such as depth=10")))?;
    let setting = named(flag, name)?;
    Ok((setting, value(flag, setting, word)?))
}

/// Parses all of these assignments; a setting that appears twice is an error.
pub(super) fn assignments(flag: &str, texts: &[String]) -> Result<Point, Failure> {
    let mut point = Point::new();
    for text in texts {
        let (setting, value) = assignment(flag, text)?;
        if point.insert(setting, value).is_some() {
            return Err(Failure::bad_input(format!("{flag} {text}: {} is given twice", setting.name())));
        }
    }
    Ok(point)
}

/// Parses a value of a setting.
pub(super) fn value(flag: &str, setting: Setting, word: &str) -> Result<Value, Failure> {
    setting.domain().value_of(word).ok_or_else(|| {
        Failure::bad_input(format!("{flag} {}={word}: `{word}` is not {}", setting.name(), setting.domain()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_parsed_according_to_their_domain() {
        let parsed = |text| assignment("--where", text).expect("good");
        assert_eq!(parsed("depth=10"), (Setting::Depth, Value::Integer(10)));
        assert_eq!(parsed("rule=dtp"), (Setting::Rule, Value::Name("dtp".into())));
        assert_eq!(parsed("learning_rate=1e-3"), (Setting::LearningRate, Value::Real(1e-3)));
    }

    #[test]
    fn an_error_in_a_setting_lists_the_allowed_values() {
        let why = |text: &str| assignment("--where", text).expect_err("bad").to_string();
        assert!(why("depth").contains("SETTING=VALUE"));
        assert!(why("deepness=3").contains("known: dataset") || why("deepness=3").contains("known: "));
        assert!(why("rule=magic").contains("one of"));
        let twice = assignments("--where", &["depth=3".to_owned(), "depth=4".to_owned()]).expect_err("twice");
        assert!(twice.to_string().contains("depth is given twice"));
    }
}
