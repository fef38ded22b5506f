//! `biosweep importance`: how much each axis of a sweep matters for the test accuracy.

use std::path::Path;

use biosweep_analysis::axes::importance::importance;
use clap::Args;

use super::TableFormat;
use super::analysis::AnalysisArgs;
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct ImportanceArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
}

pub(super) async fn run(args: &ImportanceArgs, home: &Path, format: TableFormat) -> Result<Exit, Failure> {
    let replicates = args.analysis.replicates(home).await?;
    let none = || Failure::bad_input("no setting has two values with results, so there is nothing to rank");
    let importance = importance(&replicates).ok_or_else(none)?;
    answer(match format {
        TableFormat::Json => json::pretty(&importance),
        format => render::importance::importance(&importance, format),
    })
}
