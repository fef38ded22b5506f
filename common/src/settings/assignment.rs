//! Settings as users write them in a condition, such as `depth=10`.

use std::collections::BTreeMap;

use super::{Setting, Value};

/// A text that is not a setting with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// There is no `=`.
    #[error("write it as SETTING=VALUE, such as depth=10")]
    NoValue,
    /// There is no such setting.
    #[error("there is no setting `{0}`; known: {known}", known = known())]
    Unknown(String),
    /// The setting does not take the value.
    #[error("`{word}` is not {}", setting.domain())]
    Value {
        /// The setting.
        setting: Setting,
        /// The value as written.
        word: String,
    },
    /// A setting has two values.
    #[error("{} is given twice", _0.name())]
    Twice(Setting),
}

fn known() -> String {
    Setting::ALL.iter().map(|setting| setting.name()).collect::<Vec<_>>().join(", ")
}

impl Setting {
    /// The setting with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, AssignmentError> {
        let setting = Self::ALL.iter().copied().find(|setting| setting.name() == name);
        setting.ok_or_else(|| AssignmentError::Unknown(name.to_owned()))
    }

    /// A value of this setting as users write it.
    ///
    /// # Errors
    /// The setting does not take the value.
    pub fn value(self, word: &str) -> Result<Value, AssignmentError> {
        self.domain().value_of(word).ok_or_else(|| AssignmentError::Value { setting: self, word: word.to_owned() })
    }
}

/// Parses for example `depth=10`.
///
/// # Errors
/// A text of another form, an unknown setting, a value that the setting does not take.
pub fn assignment(text: &str) -> Result<(Setting, Value), AssignmentError> {
    let (name, word) = text.split_once('=').ok_or(AssignmentError::NoValue)?;
    let setting = Setting::named(name.trim())?;
    Ok((setting, setting.value(word.trim())?))
}

/// Parses all of these assignments. An error names the text that it is about.
///
/// # Errors
/// A fault of [`assignment`]; a setting that appears twice.
pub fn assignments<'a>(
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<Setting, Value>, (&'a str, AssignmentError)> {
    let mut point = BTreeMap::new();
    for text in texts {
        let (setting, value) = assignment(text).map_err(|error| (text, error))?;
        if point.insert(setting, value).is_some() {
            return Err((text, AssignmentError::Twice(setting)));
        }
    }
    Ok(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_parsed_according_to_their_domain() {
        let parsed = |text| assignment(text).expect("good");
        assert_eq!(parsed("depth=10"), (Setting::Depth, Value::Integer(10)));
        assert_eq!(parsed("rule=dtp"), (Setting::Rule, Value::Name("dtp".into())));
        assert_eq!(parsed("learning_rate = 1e-3"), (Setting::LearningRate, Value::Real(1e-3)));
    }

    #[test]
    fn an_error_in_a_setting_lists_the_allowed_values() {
        let why = |text: &str| assignment(text).expect_err("bad").to_string();
        assert!(why("depth").contains("SETTING=VALUE"));
        assert!(why("deepness=3").contains("no setting `deepness`; known: dataset"), "{}", why("deepness=3"));
        assert!(why("rule=magic").contains("`magic` is not one of"));
        let twice = assignments(["depth=3", "depth=4"]).expect_err("twice");
        assert_eq!((twice.0, twice.1.to_string()), ("depth=4", "depth is given twice".to_owned()));
    }
}
