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
    /// Seconds until a coordinator serves a sweep of which much is done already
    Recovery(RecoveryArgs),
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

#[derive(Debug, Args)]
pub(crate) struct RecoveryArgs {
    /// Trials in the sweep
    #[arg(long, default_value = "10000000", value_name = "N")]
    trials: NonZeroU64,
    /// Those that have a result
    #[arg(long, default_value = "1000000", value_name = "N")]
    completed: u64,
}

pub(super) async fn run(command: &BenchCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Dispatch(args) => dispatch(args, output).await,
        BenchCommand::Recovery(RecoveryArgs { trials, completed }) => {
            let recovered = bench::recovery(trials.get(), *completed).await?;
            answer(match output {
                Output::Human => format!(
                    "served after {:.3} s, with {} of {} trials done",
                    recovered.seconds, recovered.completed, recovered.trials
                ),
                Output::Json => json::pretty(&recovered),
            })
        }
    }
}

async fn dispatch(args: &DispatchArgs, output: Output) -> Result<Exit, Failure> {
    let DispatchArgs { trials, workers, lanes } = args;
    let measured = bench::dispatch(trials.get(), workers.get(), lanes.get()).await?;
    answer(match output {
        Output::Human => format!(
            "{} trials in {:.2} s: {:.0} trials/s with {workers} workers of {lanes} lanes",
            measured.trials, measured.seconds, measured.trials_per_s
        ),
        Output::Json => json::pretty(&measured),
    })
}
