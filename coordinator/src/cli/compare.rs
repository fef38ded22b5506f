//! `biosweep compare`: whether one arm of a sweep is better than another, by how much, and how sure that is.

use std::path::Path;

use biosweep_analysis::compare::{MARGIN, Question, compare};
use biosweep_common::settings::{Setting, Value};
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, TableFormat, replicates, settings};
use crate::client::Client;
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// The setting whose values are compared, with these values; the first one is the baseline
    #[arg(long, default_value = "network=nn,dn", value_name = "SETTING=VALUE,VALUE")]
    arms: String,
    /// Compare separately for each value of these settings [default: dataset, rule, network, activation and depth, if they
    /// differ]
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    by: Option<Vec<String>>,
    /// Only the trials with these settings, such as rule=dtp,depth=10
    #[arg(long = "where", value_name = "SETTING=VALUE", value_delimiter = ',')]
    settings: Vec<String>,
    /// The difference of accuracies up to which two arms count as equivalent
    #[arg(long, default_value_t = MARGIN, value_name = "FRACTION", allow_negative_numbers = true)]
    margin: f64,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &CompareArgs, home: &Path, output: TableFormat) -> Result<Exit, Failure> {
    let (setting, arms) = arms(&args.arms)?;
    let by = args.by.as_ref().map(|names| names.iter().map(|name| settings::named("--by", name)).collect());
    if !(args.margin > 0.0 && args.margin < 1.0) {
        return Err(Failure::bad_input(format!("--margin {}: it is a fraction above 0 and below 1", args.margin)));
    }
    let question = Question { setting, arms, by: by.transpose()?, margin: args.margin };
    let only = settings::assignments("--where", &args.settings)?;
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let sweep = client.show(&args.sweep).await?.sweep;
    let replicates = replicates::of_sweep(&mut client, &sweep).await?;
    client.close().await?;
    let comparison = compare(&replicates.filtered(&only), &question).map_err(Failure::bad_input)?;
    answer(match output {
        TableFormat::Json => json::pretty(&comparison),
        output => render::compare::comparison(&comparison, output),
    })
}

/// Parses for example `network=nn,dn`.
fn arms(text: &str) -> Result<(Setting, Vec<Value>), Failure> {
    let (name, values) = text.split_once('=').ok_or_else(|| {
        Failure::bad_input(format!("--arms {text}: write it as SETTING=VALUE,VALUE, such as network=nn,dn"))
    })?;
    let setting = settings::named("--arms", name)?;
    let values = values.split(',').map(|word| settings::value("--arms", setting, word)).collect::<Result<_, _>>()?;
    Ok((setting, values))
}
