//! `biosweep compare`: whether one arm of a sweep is better than another, by how much, and how sure that is.

use std::path::Path;

use biosweep_analysis::compare::{Question, Test, compare, planned};
use biosweep_common::spec::AnalysisPlan;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::TableFormat;
use super::analysis::{Analysed, AnalysisArgs, ArmsArgs, Curves};
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::{self, json};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    #[command(flatten)]
    arms: ArmsArgs,
    /// The difference of accuracies up to which two arms count as equivalent [default: `equivalence_margin` of the spec, also in Parquet files, or 0.01]
    #[arg(long, value_parser = margin, value_name = "FRACTION", allow_negative_numbers = true)]
    margin: Option<f64>,
    /// The test of paired differences
    #[arg(long, value_parser = test(), default_value_t = Test::SignFlip)]
    test: Test,
}

/// Parses a margin.
fn margin(text: &str) -> Result<f64, String> {
    let margin = text.parse().ok().filter(|margin| *margin > 0.0 && *margin < 1.0);
    margin.ok_or_else(|| "it is a fraction above 0 and below 1, such as 0.01 for one point of accuracy".to_owned())
}

fn test() -> impl TypedValueParser<Value = Test> {
    PossibleValuesParser::new(Test::NAMES).try_map(|name| name.parse::<Test>())
}

pub(super) async fn run(args: &CompareArgs, home: &Path, format: TableFormat) -> Result<Exit, Failure> {
    let question = args.arms.question()?;
    let is_of_part = !args.analysis.only()?.is_empty();
    let Analysed { replicates, plan, .. } = args.analysis.analysed(home, Curves::Unread).await?;
    let is_asked = args.arms.are_given() || is_of_part;
    // Files whose plans differ can still be asked, if the margin is given too.
    let mut plan = match plan {
        Err(_) if is_asked && args.margin.is_some() => AnalysisPlan::default(),
        plan => plan?,
    };
    plan.equivalence_margin = args.margin.unwrap_or(plan.equivalence_margin);
    let comparison = if is_asked || plan.contrasts.is_empty() {
        let question = Question { margin: plan.equivalence_margin, test: args.test, ..question };
        compare(&replicates, &question).map_err(Failure::bad_input)?
    } else {
        planned(&replicates, &plan, args.test)
    };
    answer(match format {
        TableFormat::Json => json::pretty(&comparison),
        format => render::compare::comparison(&comparison, args.test, plan.contrasts.len(), format),
    })
}
