//! `biosweep sensitivity`: how much the accuracy of each arm depends on its tuning settings.

use std::path::Path;

use biosweep_analysis::axes::sensitivity::sensitivity;
use clap::Args;

use super::TableFormat;
use super::analysis::{AnalysisArgs, ArmsArgs};
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct SensitivityArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    #[command(flatten)]
    arms: ArmsArgs,
}

pub(super) async fn run(args: &SensitivityArgs, home: &Path, format: TableFormat) -> Result<Exit, Failure> {
    let question = args.arms.question()?;
    let replicates = args.analysis.replicates(home).await?;
    let groups = sensitivity(&replicates, &question).map_err(Failure::bad_input)?;
    answer(match format {
        TableFormat::Json => json::pretty(&groups),
        format => render::sensitivity::sensitivity(&groups, format),
    })
}
