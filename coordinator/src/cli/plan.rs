//! `biosweep plan`: what a sweep holds and costs, before anything runs.

use std::num::NonZeroU32;

use biosweep_common::plan::Plan;
use clap::Args;

use super::failure::{Exit, Failure};
use super::terms::TermsArgs;
use super::{Output, source};
use crate::render::{answer, human, json};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// A spec file (.toml, .yaml or .json), or the name of a preset
    spec: String,
    /// Trajectories a worker trains together
    #[arg(long, default_value = "1", value_name = "K")]
    lanes: NonZeroU32,
    #[command(flatten)]
    terms: TermsArgs,
}

pub(super) fn run(args: &PlanArgs, output: Output) -> Result<Exit, Failure> {
    let source = source::read(&args.spec, &args.terms)?;
    let plan = Plan::of(&source.spec, args.lanes.get());
    answer(match output {
        Output::Human => human::plan(&source.spec.name, &plan),
        Output::Json => json::pretty(&plan),
    })
}
