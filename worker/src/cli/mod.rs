//! The command line of the worker: one file per command.

mod bench;
mod check;
mod connect;
mod environment;
mod failure;
mod step;

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use biosweep_data::Places;
use biosweep_engine::torch::libtorch;
use biosweep_host::variables;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use etcetera::BaseStrategy as _;

use failure::{Exit, Failure};

/// Trains trials for a coordinator.
///
/// Without a command, the worker connects to the coordinator and trains until it is told to leave. Exit codes: 0 success, and
/// the coordinator had no more work; 75 work is left, so start the worker again; 130 interrupted; 2 invalid input; 3 something
/// in the environment is missing or broken.
#[derive(Debug, Parser)]
#[command(name = "biosweep-worker", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    connect: connect::ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute one update of a rule on tensors from a file and write all its quantities
    Step(step::StepArgs),
    /// Measure updates per second, and those of the bare matrix products of the same update
    Bench(bench::BenchArgs),
    /// Check that the device and a dataset are ready
    Check(check::CheckArgs),
    /// Print the numeric environment: processor, libtorch, variables
    Environment(environment::EnvironmentArgs),
}

/// The folders with datasets.
#[derive(Debug, Args)]
struct DataArgs {
    /// Where to look for datasets first; then in $BIOSWEEP_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where checkpoints and unacknowledged reports are kept, and where to look for datasets last
    /// [default: the data folder of this user]
    #[arg(long, env = "BIOSWEEP_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
}

impl DataArgs {
    fn places(&self) -> Places {
        // Without a home folder there are no datasets in it.
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

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// Text for people.
    Human,
    /// JSON for programs.
    Json,
}

impl Cli {
    /// Parses the command line; exits with code 2 if it is invalid.
    #[must_use]
    pub fn read() -> Self {
        let given = variables::without_empty(Self::command()).get_matches();
        Self::from_arg_matches(&given).unwrap_or_else(|error| error.exit())
    }
}

/// Runs the command and returns its exit code.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    let begun = crate::environment::clear().map_err(Failure::environment);
    let begun = begun.and_then(|()| libtorch::check().map_err(Failure::environment));
    let done = begun.and_then(|()| match &cli.command {
        Some(Command::Step(args)) => step::run(args).map(|()| Exit::Done),
        Some(Command::Bench(args)) => bench::run(args).map(|()| Exit::Done),
        Some(Command::Check(args)) => check::run(args).map(|()| Exit::Done),
        Some(Command::Environment(args)) => environment::run(args).map(|()| Exit::Done),
        None => connect::run(&cli.connect),
    });
    match done {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(Failure { exit, message }) => {
            // The result does not matter if stderr is closed.
            drop(writeln!(std::io::stderr(), "error: {message}"));
            ExitCode::from(exit.code())
        }
    }
}

/// Writes the answer to stdout.
fn answer(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        // The reader has closed the pipe, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::environment(format!("cannot answer: {error}"))),
    }
}
