//! `biosweep-worker environment`: prints the numeric environment, which the last bits of results depend on.

use biosweep_engine::torch::environment;
use clap::Args;

use super::failure::Failure;
use super::{OutputFormat, answer};

#[derive(Debug, Args)]
pub(super) struct EnvironmentArgs {
    /// The output format
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

pub(super) fn run(args: &EnvironmentArgs) -> Result<(), Failure> {
    let environment = environment::current();
    answer(&match args.output {
        OutputFormat::Human => environment.to_string(),
        OutputFormat::Json => serde_json::to_string_pretty(&environment).map_err(Failure::environment)?,
    })
}
