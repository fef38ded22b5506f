//! `biosweep bench`: benchmarks of the coordinator.

use std::num::{NonZeroU32, NonZeroU64};

use biosweep_common::workers::flags;
use biosweep_host::stop::Stop;
use clap::{Args, Subcommand};

use super::Output;
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::bench::{self, Load, Measured};
use crate::render::json;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Trials per second of a real coordinator: its own process, gRPC, SQLite on disk, workers that answer without
    /// training
    Dispatch(DispatchArgs),
    /// The same with 10,000, 100,000 and 1,000,000 trials
    Growth(LoadArgs),
    /// Cost of connected workers that have nothing to train
    Idle(IdleArgs),
    /// Cost of a large sweep without results
    Pending(PendingArgs),
    /// Seconds until a coordinator serves a sweep that has many results already
    Recovery(RecoveryArgs),
    /// Seconds until a sweep has reused the results of another one
    Reuse(ReuseArgs),
    /// Seconds and memory to export learning curves, in each format
    Export(ExportArgs),
    /// Milliseconds and memory of the page in a browser, and the dispatch rate while pages are open
    Page(PageArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DispatchArgs {
    /// Trials in the sweep
    #[arg(long, default_value = "100000", value_name = "N", value_parser = flags::count::<NonZeroU64>, allow_negative_numbers = true)]
    trials: NonZeroU64,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Workers
    #[arg(long, default_value = "2", value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    workers: NonZeroU32,
    /// Trials in a bundle
    #[arg(long, default_value = "256", value_name = "K", value_parser = flags::lanes, allow_negative_numbers = true)]
    lanes: NonZeroU32,
    /// Leases of one trial that a worker holds at the same time, in the part with such leases
    #[arg(long, default_value = "64", value_name = "S", value_parser = flags::lanes, allow_negative_numbers = true)]
    slots: NonZeroU32,
}

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    /// Workers
    #[arg(long, default_value = "1000", value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    workers: NonZeroU32,
    /// Duration of the measurement
    #[arg(long, default_value = "20", value_name = "S", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    seconds: NonZeroU32,
}

#[derive(Debug, Args)]
pub(crate) struct PendingArgs {
    /// Trials in the sweep
    #[arg(long, default_value = "1000000000", value_name = "N", value_parser = flags::count::<NonZeroU64>, allow_negative_numbers = true)]
    trials: NonZeroU64,
}

#[derive(Debug, Args)]
pub(crate) struct RecoveryArgs {
    /// Trials in the sweep
    #[arg(long, default_value = "10000000", value_name = "N", value_parser = flags::count::<NonZeroU64>, allow_negative_numbers = true)]
    trials: NonZeroU64,
    /// Trials with a result
    #[arg(long, default_value = "1000000", value_name = "N")]
    completed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ReuseArgs {
    /// Trials in the sweep, each of which another sweep has trained
    #[arg(long, default_value = "1000000", value_name = "N", value_parser = flags::count::<NonZeroU64>, allow_negative_numbers = true)]
    trials: NonZeroU64,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Rows: points of learning curves
    #[arg(long, default_value = "10000000", value_name = "N", value_parser = flags::count::<NonZeroU64>, allow_negative_numbers = true)]
    rows: NonZeroU64,
}

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// Trials in the large sweep
    #[arg(long, default_value = "100000", value_name = "N", value_parser = flags::count::<NonZeroU64>, allow_negative_numbers = true)]
    trials: NonZeroU64,
    /// Sweeps
    #[arg(long, default_value = "10", value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    sweeps: NonZeroU32,
    /// Pages that are open while trials are dispatched
    #[arg(long, default_value = "10", value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    pages: NonZeroU32,
}

impl LoadArgs {
    fn of(&self, trials: u64) -> Load {
        Load { trials, workers: self.workers.get(), lanes: self.lanes.get(), slots: self.slots.get() }
    }
}

pub(super) async fn run(command: &BenchCommand, output: Output, stop: &Stop) -> Result<Exit, Failure> {
    tokio::select! {
        exit = measure(command, output) => exit,
        // The processes of the benchmark end when the future is dropped here.
        _signal = stop.requested() => Ok(Exit::Interrupted),
    }
}

async fn measure(command: &BenchCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Dispatch(DispatchArgs { trials, load }) => {
            let measured = bench::dispatch(load.of(trials.get())).await?;
            answer(match output {
                Output::Human => describe(&measured),
                Output::Json => json::pretty(&measured),
            })
        }
        BenchCommand::Growth(load) => {
            let measured = bench::growth(load.of(0)).await?;
            answer(match output {
                Output::Human => measured.iter().map(describe).collect::<Vec<_>>().join("\n"),
                Output::Json => json::pretty(&measured),
            })
        }
        BenchCommand::Idle(IdleArgs { workers, seconds }) => {
            let idled = bench::idle(workers.get(), seconds.get()).await?;
            answer(match output {
                Output::Human => format!(
                    "{} idle workers took {:.1} % of a core over {:.0} s; the coordinator uses {:.0} MiB",
                    idled.workers,
                    idled.core_share * 100.0,
                    idled.seconds,
                    idled.coordinator_mib
                ),
                Output::Json => json::pretty(&idled),
            })
        }
        BenchCommand::Pending(PendingArgs { trials }) => {
            let pending = bench::pending(trials.get()).await?;
            answer(match output {
                Output::Human => format!(
                    "{} trials submitted in {:.3} s and shown in {:.3} s; the coordinator uses {:.0} MiB",
                    pending.trials, pending.submit_seconds, pending.show_seconds, pending.coordinator_mib
                ),
                Output::Json => json::pretty(&pending),
            })
        }
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
        BenchCommand::Export(ExportArgs { rows }) => {
            let exported = bench::export(rows.get()).await?;
            let line = |one: &bench::Exported| {
                format!(
                    "{} rows as {} in {:.1} s: a file of {:.0} MiB, at most {:.0} MiB of memory",
                    one.rows, one.format, one.seconds, one.file_mib, one.most_mib
                )
            };
            answer(match output {
                Output::Human => exported.iter().map(line).collect::<Vec<_>>().join("\n"),
                Output::Json => json::pretty(&exported),
            })
        }
        BenchCommand::Page(PageArgs { trials, sweeps, pages }) => {
            let paged = bench::page(trials.get(), u64::from(sweeps.get()), pages.get()).await?;
            answer(match output {
                Output::Human => pages_in_words(&paged),
                Output::Json => json::pretty(&paged),
            })
        }
        BenchCommand::Reuse(ReuseArgs { trials }) => {
            let reused = bench::reuse(trials.get()).await?;
            answer(match output {
                Output::Human => format!(
                    "{} of {} trials reused in {:.1} s; the coordinator used at most {:.0} MiB",
                    reused.reused, reused.trials, reused.seconds, reused.coordinator_most_mib
                ),
                Output::Json => json::pretty(&reused),
            })
        }
    }
}

fn pages_in_words(paged: &bench::Paged) -> String {
    let mut text = format!("{} sweeps, one of {} trials\n", paged.sweeps, paged.trials);
    for one in &paged.answers {
        text += &format!("{}: {:.0} ms, {:.0} KiB\n", one.what, one.ms, one.kib);
    }
    let ratios: Vec<String> = paged.dispatch_ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
    text + &format!(
        "the coordinator uses {:.0} MiB before and {:.0} MiB after these requests\n\
         dispatch rate with {} open pages, relative to none: {}",
        paged.before_mib,
        paged.after_mib,
        paged.pages,
        ratios.join(", ")
    )
}

fn describe(measured: &Measured) -> String {
    let ratios: Vec<String> = measured.secured_ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let mut text = format!(
        "{} trials in {:.2} s: {:.0} trials/s with {} workers of {} lanes; the coordinator uses {:.0} MiB\n\
         {} trials at {:.0} trials/s, one per lease, {} leases per worker\n\
         from finish to the next grant: median {:.1} ms, 95th percentile {:.1} ms",
        measured.trials,
        measured.seconds,
        measured.trials_per_s,
        measured.workers,
        measured.lanes,
        measured.coordinator_mib,
        measured.single_trials,
        measured.single_trials_per_s,
        measured.slots,
        measured.finish_to_grant_p50_ms,
        measured.finish_to_grant_p95_ms,
    );
    if !ratios.is_empty() {
        text += &format!("\nrate with TLS and tokens, relative to none: {}", ratios.join(", "));
    }
    text
}
