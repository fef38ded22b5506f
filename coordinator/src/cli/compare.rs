//! `biosweep compare`: whether one arm of a sweep is better than another, by how much, and how sure that is.

use std::path::Path;

use biosweep_analysis::compare::{MARGIN, Test, compare};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::TableFormat;
use super::analysis::{AnalysisArgs, ArmsArgs};
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    #[command(flatten)]
    arms: ArmsArgs,
    /// The difference of accuracies up to which two arms count as equivalent
    #[arg(long, default_value_t = MARGIN, value_name = "FRACTION", allow_negative_numbers = true)]
    margin: f64,
    /// The test of paired differences
    #[arg(long, value_parser = test(), default_value_t = Test::SignFlip)]
    test: Test,
}

fn test() -> impl TypedValueParser<Value = Test> {
    PossibleValuesParser::new(Test::NAMES).try_map(|name| name.parse::<Test>())
}

pub(super) async fn run(args: &CompareArgs, home: &Path, format: TableFormat) -> Result<Exit, Failure> {
    if !(args.margin > 0.0 && args.margin < 1.0) {
        return Err(Failure::bad_input(format!("--margin {}: it is a fraction above 0 and below 1", args.margin)));
    }
    let question = args.arms.question(args.margin, args.test)?;
    let replicates = args.analysis.replicates(home).await?;
    let comparison = compare(&replicates, &question).map_err(Failure::bad_input)?;
    answer(match format {
        TableFormat::Json => json::pretty(&comparison),
        format => render::compare::comparison(&comparison, args.test, format),
    })
}
