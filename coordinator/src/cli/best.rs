//! `biosweep best`: the settings with the best validation accuracy, for each group of a sweep.

use std::path::Path;

use biosweep_analysis::aggregate::PLACE;
use biosweep_analysis::replicates::{REPLICATES, Replicates};
use biosweep_analysis::selection::best_by;
use biosweep_common::settings::Setting;
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, TableFormat, replicates, settings};
use crate::client::Client;
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct BestArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Choose separately for each value of these settings [default: dataset, rule, network, activation and depth, if they
    /// differ]
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    by: Option<Vec<String>>,
    /// Only the trials with these settings, such as rule=dtp,depth=10
    #[arg(long = "where", value_name = "SETTING=VALUE", value_delimiter = ',')]
    settings: Vec<String>,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &BestArgs, home: &Path, format: TableFormat) -> Result<Exit, Failure> {
    let asked = args.by.as_ref().map(|names| names.iter().map(|name| settings::named("--by", name)).collect());
    let asked: Option<Vec<Setting>> = asked.transpose()?;
    if let Some(setting) = asked.iter().flatten().find(|setting| REPLICATES.contains(setting)) {
        return Err(Failure::bad_input(format!(
            "--by {}: it makes replicates, over which accuracies are averaged; name another setting",
            setting.name()
        )));
    }
    let only = settings::assignments("--where", &args.settings)?;
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let sweep = client.show(&args.sweep).await?.sweep;
    let replicates = replicates::of_sweep(&mut client, &sweep).await?.filtered(&only);
    client.close().await?;
    let by = asked.unwrap_or_else(|| differing(&replicates));
    let best = best_by(&replicates, &by);
    if best.is_empty() {
        let of = if only.is_empty() { "" } else { " with these settings" };
        return Err(Failure::bad_input(format!("sweep `{}` has no results{of} yet", sweep.name)));
    }
    answer(match format {
        TableFormat::Json => json::pretty(&best),
        format => render::best::best(&best, format),
    })
}

/// The settings of a place that differ.
fn differing(replicates: &Replicates) -> Vec<Setting> {
    PLACE.into_iter().filter(|&setting| replicates.values(setting).len() > 1).collect()
}
