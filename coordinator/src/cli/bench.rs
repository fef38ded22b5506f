//! `biosweep bench`: what the coordinator itself can do.

use std::num::{NonZeroU32, NonZeroU64};

use clap::{Args, Subcommand};

use super::Output;
use super::failure::{Exit, Failure};
use crate::bench;
use crate::render::{answer, json};

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Trials per second through a real coordinator: gRPC, SQLite on disk, workers that answer without training
    Dispatch(DispatchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DispatchArgs {
    /// Trials in the sweep
    #[arg(long, default_value = "20000", value_name = "N")]
    trials: NonZeroU64,
    /// Workers
    #[arg(long, default_value = "2", value_name = "N")]
    workers: NonZeroU32,
    /// Trials a worker takes at once
    #[arg(long, default_value = "1", value_name = "K")]
    lanes: NonZeroU32,
}

pub(super) async fn run(command: &BenchCommand, output: Output) -> Result<Exit, Failure> {
    let BenchCommand::Dispatch(DispatchArgs { trials, workers, lanes }) = command;
    let measured = bench::dispatch(trials.get(), workers.get(), lanes.get()).await?;
    answer(match output {
        Output::Human => format!(
            "{} trials in {:.2} s: {:.0} trials/s with {workers} workers of {lanes} lanes",
            measured.trials, measured.seconds, measured.trials_per_s
        ),
        Output::Json => json::pretty(&measured),
    })
}
