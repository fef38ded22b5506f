//! `biosweep retry`: retries trials that failed.

use std::path::Path;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Level, Setting};
use clap::{ArgGroup, Args};

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true)))]
pub(crate) struct RetryArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Retry all failed trials
    #[arg(long, group = "which")]
    failed: bool,
    /// Retry the failed trials with these settings, such as rule=dtp,depth=10
    #[arg(long = "where", group = "which", value_name = "SETTING=VALUE", value_delimiter = ',')]
    settings: Vec<String>,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &RetryArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let settings = args.settings.iter().map(|text| setting(text)).collect::<Result<Point, Failure>>()?;
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let (sweep, trials) = client.retry(&args.sweep, settings).await?;
    if client.is_hosted() && trials > 0 {
        say(human::unserved(&sweep, home));
    }
    client.close().await?;
    answer(match output {
        Output::Human => human::retried(&sweep, trials),
        Output::Json => json::retried(&sweep, trials),
    })
}

/// Parses for example `depth=10`.
fn setting(text: &str) -> Result<(Setting, biosweep_common::settings::Value), Failure> {
    let bad = |why: String| Failure::bad_input(format!("--where {text}: {why}"));
    let (name, word) =
        text.split_once('=').ok_or_else(|| bad("write it as SETTING=VALUE, such as depth=10".to_owned()))?;
    let setting = Setting::ALL.iter().copied().find(|setting| setting.name() == name);
    let setting = setting.ok_or_else(|| {
        let known = Setting::ALL.iter().filter(|setting| setting.level() != Level::Stop);
        let known: Vec<&str> = known.map(|setting| setting.name()).collect();
        bad(format!("there is no setting `{name}`; known: {}", known.join(", ")))
    })?;
    if setting.level() == Level::Stop {
        let why = "trials that differ only in their stopping rule are trained and retried together; remove it";
        return Err(bad(why.to_owned()));
    }
    let value = setting.domain().value_of(word);
    let value = value.ok_or_else(|| bad(format!("`{word}` is not {}", setting.domain())))?;
    Ok((setting, value))
}

#[cfg(test)]
mod tests {
    use biosweep_common::settings::Value;

    use super::*;

    #[test]
    fn settings_are_parsed_according_to_their_domain() {
        assert_eq!(setting("depth=10").expect("good"), (Setting::Depth, Value::Integer(10)));
        assert_eq!(setting("rule=dtp").expect("good"), (Setting::Rule, Value::Name("dtp".into())));
        assert_eq!(setting("learning_rate=1e-3").expect("good"), (Setting::LearningRate, Value::Real(1e-3)));
    }

    #[test]
    fn an_error_in_a_setting_lists_the_allowed_values() {
        let why = |text: &str| setting(text).expect_err("bad").to_string();
        assert!(why("depth").contains("SETTING=VALUE"));
        assert!(why("deepness=3").contains("known: dataset") || why("deepness=3").contains("known: "));
        assert!(why("rule=magic").contains("one of"));
        assert!(why("max_updates=5").contains("retried together"));
    }
}
