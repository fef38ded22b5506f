//! `biosweep chaos`: checks that a sweep has the same results while its processes are killed.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use biosweep_common::spec;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::workers::flags;
use biosweep_host::id::new_id;
use biosweep_host::stop::Stop;
use biosweep_server::local::{self, WorkerOptions};
use clap::Args;

use super::answer::answer;
use super::execution::ExecutionArgs;
use super::failure::{Exit, Failure};
use super::run::{end_of_job, memory_of_workers};
use super::{Output, StoreArgs, source};
use crate::chaos::{self, ChaosOptions, ChaosVerdict};
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// A spec file (.toml, .yaml or .json), or the name of a preset: a small sweep, because it runs twice or more
    spec: String,
    /// Workers and coordinators to kill
    #[arg(long, default_value = "50", value_name = "N")]
    faults: u32,
    /// Seed of the random faults
    #[arg(long, default_value = "1", value_name = "S")]
    seed: u64,
    /// Worker processes
    #[arg(long, default_value = "2", value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    workers: NonZeroU32,
    /// Coordinators of one store: the second one stands by. Two need --store
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    coordinators: u8,
    /// Directory with datasets, searched before $BIOSWEEP_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(args: &ChaosArgs, home: &Path, output: Output, stop: &Stop) -> Result<Exit, Failure> {
    let place = home.join("chaos").join(new_id::<WorkerId>().to_string());
    let verdict = tokio::select! {
        verdict = try_it(args, home, &place) => verdict?,
        // The processes of the run end when the future is dropped here.
        signal = stop.requested() => {
            let how = signal.reason();
            say(match std::fs::remove_dir_all(&place) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    format!("{how}; its files are in {}", place.display())
                }
                _ => format!("{how}; its files are removed"),
            });
            return Ok(Exit::Interrupted);
        }
    };
    if verdict.equal {
        // If it cannot be removed, it does no harm.
        drop(std::fs::remove_dir_all(&place));
    } else {
        say(format_args!("the logs are in {}", place.display()));
    }
    answer(match output {
        Output::Human => human::verdict(&verdict),
        Output::Json => json::pretty(&verdict),
    })?;
    Ok(if verdict.equal { Exit::Done } else { Exit::SomeFailed })
}

/// Runs the sweep without and with faults, in homes at `place`.
async fn try_it(args: &ChaosArgs, home: &Path, place: &Path) -> Result<ChaosVerdict, Failure> {
    if args.coordinators > 1 && args.store.url().is_none() {
        return Err(Failure::bad_input(
            "two coordinators share a database: give it with --store postgres://USER@HOST/DATABASE",
        ));
    }
    let source = source::read_aside(&args.spec, &ExecutionArgs::default()).await?;
    let worker = WorkerOptions {
        program: local::find_program()?,
        device: "cpu".to_owned(),
        // The temporary home has no datasets.
        data_dir: Some(args.data_dir.clone().unwrap_or_else(|| home.join("datasets"))),
        home: home.to_owned(),
        deadline: end_of_job().await?,
        memory_bytes: memory_of_workers()?,
    };
    let datasets: Vec<_> = source.spec.grid.datasets().into_iter().collect();
    worker.check(&datasets).await?;
    let options = ChaosOptions {
        // Every run must train, not reuse results.
        spec: spec::amend(&source.text, source.format, &[("reuse", "false".to_owned())]),
        format: source.format,
        origin: source.origin,
        workers: args.workers.get(),
        coordinators: args.coordinators,
        faults: args.faults,
        seed: args.seed,
        home: place.to_owned(),
        store: args.store.url().map(ToOwned::to_owned),
        worker,
    };
    chaos::run(&options, say).await.map_err(Failure::from_environment)
}
