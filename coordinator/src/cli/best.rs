//! `biosweep best`: the settings with the best validation accuracy, for each group of a sweep.

use std::path::Path;

use biosweep_analysis::aggregate::differing_places;
use biosweep_analysis::replicates::REPLICATES;
use biosweep_analysis::selection::best_by;
use clap::Args;

use super::TableFormat;
use super::analysis::{AnalysisArgs, by};
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct BestArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    /// Choose separately for each value of these settings [default: dataset, rule, network, activation, depth, pc_solver and
    /// parameters_as, if they differ]
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    by: Option<Vec<String>>,
}

pub(super) async fn run(args: &BestArgs, home: &Path, format: TableFormat) -> Result<Exit, Failure> {
    let asked = by(args.by.as_deref())?;
    if let Some(setting) = asked.iter().flatten().find(|setting| REPLICATES.contains(setting)) {
        return Err(Failure::bad_input(format!(
            "--by {}: it makes replicates, over which accuracies are averaged; name another setting",
            setting.name()
        )));
    }
    let replicates = args.analysis.replicates(home).await?;
    let by = asked.unwrap_or_else(|| differing_places(&replicates));
    let best = best_by(&replicates, &by);
    answer(match format {
        TableFormat::Json => json::pretty(&best),
        format => render::best::best(&best, &by, format),
    })
}
