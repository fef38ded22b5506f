//! `biosweep retry`: retries trials that failed.

use std::path::Path;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Level, Setting, Value};
use clap::{ArgGroup, Args};

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output, settings};
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
fn setting(text: &str) -> Result<(Setting, Value), Failure> {
    let (setting, value) = settings::assignment("--where", text)?;
    if setting.level() == Level::Stop {
        let why = "trials that differ only in their stopping rule are trained and retried together; remove it";
        return Err(Failure::bad_input(format!("--where {text}: {why}")));
    }
    Ok((setting, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopping_rule_is_refused() {
        assert!(setting("max_updates=5").expect_err("bad").to_string().contains("retried together"));
        assert_eq!(setting("depth=10").expect("good"), (Setting::Depth, Value::Integer(10)));
    }
}
