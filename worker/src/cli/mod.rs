//! The command line of the worker: one file per command.

mod bench;
mod check;
mod connect;
mod environment;
mod failure;
mod step;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use etcetera::BaseStrategy as _;

use crate::data::Places;
use crate::libtorch;
use failure::Failure;

/// Trains what a coordinator hands out.
///
/// Without a command it serves the coordinator it is given until it is told to leave. Exit codes: 0 all is well,
/// 2 bad input, 3 something in the environment is missing or broken.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    connect: connect::ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute one update of a rule on given tensors and write out all of it
    Step(step::StepArgs),
    /// Measure updates per second beside the bare matrix products of the same update
    Bench(bench::BenchArgs),
    /// Check that the device and a dataset are there
    Check(check::CheckArgs),
    /// Say what the last bits of results depend on here: processor, libtorch, variables
    Environment(environment::EnvironmentArgs),
}

/// Where datasets are looked for.
#[derive(Debug, Args)]
struct DataArgs {
    /// Where to look for datasets first
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where checkpoints and unacknowledged reports are kept, and where to look for datasets last
    /// [default: the data folder of this user]
    #[arg(long, env = "BIOSWEEP_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
}

impl DataArgs {
    fn places(&self) -> Places {
        // Where no home is known there are no datasets in it.
        Places { data_dir: self.data_dir.clone(), home: self.home().ok() }
    }

    fn home(&self) -> Result<PathBuf, String> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let strategy = etcetera::choose_base_strategy()
            .map_err(|error| format!("no home folder is known ({error}); name one with --home"))?;
        Ok(strategy.data_dir().join("biosweep"))
    }
}

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// People.
    Human,
    /// Programs.
    Json,
}

/// Does what was asked and says how it went.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    let done = libtorch::check().map_err(Failure::environment).and_then(|()| match &cli.command {
        Some(Command::Step(args)) => step::run(args),
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Check(args)) => check::run(args),
        Some(Command::Environment(args)) => environment::run(args),
        None => connect::run(&cli.connect),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, message }) => {
            // Where stderr is closed there is nobody to tell.
            drop(writeln!(std::io::stderr(), "error: {message}"));
            ExitCode::from(exit.code())
        }
    }
}

/// Writes an answer to stdout.
fn answer(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever read the answer has read enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        answered => answered.map_err(|error| Failure::environment(format!("cannot answer: {error}"))),
    }
}
