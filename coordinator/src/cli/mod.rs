//! The command line: what there is, and what is common to it. One file per command, and one for those that differ by a
//! word.

mod answer;
mod bench;
mod chaos;
mod control;
mod custom_data;
mod data;
mod datasets;
mod delete;
mod execution;
mod extend;
mod failure;
mod list;
mod plan;
mod preset;
mod release;
mod replay;
mod results;
mod retry;
mod run;
mod serve;
mod show;
mod source;
mod submit;
mod watch;
mod workers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use biosweep_common::flags;
use biosweep_host::logging::{self, Destination};
use biosweep_host::stop::Stop;
use biosweep_host::{limits, variables};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use etcetera::{BaseStrategy, choose_base_strategy};

use crate::client::Target;
use control::Control;
use failure::{Exit, Failure};

/// Hyper-parameter sweeps over learning rules: BP, feedback alignment, target propagation and their kin.
///
/// Exit codes: 0 all is well, 1 some trials failed or were cancelled, 2 bad input, 3 something in the environment is
/// missing or broken, 75 stopped with work left (the same command goes on), 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "biosweep", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Folder of sweeps, results, datasets and logs [default: biosweep in the user's data folder]
    #[arg(long, global = true, env = "BIOSWEEP_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// How to answer
    #[arg(long, global = true, value_enum, default_value_t = Output::Human)]
    output: Output,
}

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// People.
    Human,
    /// Programs: JSON with stable field names.
    Json,
}

/// Which coordinator is meant.
#[derive(Debug, Args)]
pub(crate) struct Coordinator {
    /// Address of a coordinator, which keeps its own store, such as http://10.0.0.1:7465 [default: the one that serves
    /// --home]
    #[arg(long, env = "BIOSWEEP_COORDINATOR", value_name = "URL", value_parser = flags::coordinator_url)]
    coordinator: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Where sweeps and results are kept.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Keep sweeps and results in PostgreSQL: postgres://USER@HOST/DATABASE [default: a SQLite file in --home]
    #[arg(long, env = "BIOSWEEP_STORE", value_name = "URL", hide_env_values = true, value_parser = store_url)]
    store: Option<String>,
}

fn store_url(text: &str) -> Result<String, String> {
    if biosweep_store::is_url(text) {
        return Ok(text.to_owned());
    }
    Err("write it as postgres://USER@HOST/DATABASE, or leave out --store for a SQLite file in the home".to_owned())
}

impl StoreArgs {
    /// Its address, where it is not a file in the home.
    fn url(&self) -> Option<&str> {
        self.store.as_deref()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a sweep on this machine, from nothing to results
    Run(run::RunArgs),
    /// Say what a sweep holds and costs, without running it
    Plan(plan::PlanArgs),
    /// Coordinate sweeps for workers and people elsewhere
    Serve(serve::ServeArgs),
    /// Hand a sweep to a coordinator
    Submit(submit::SubmitArgs),
    /// Add axes or replicates to a sweep; only what is new is trained
    Extend(extend::ExtendArgs),
    /// List the sweeps
    List(list::ListArgs),
    /// Show one sweep: how far it is, what its workers do, what went wrong
    Show(show::ShowArgs),
    /// Follow a sweep until it has ended
    Watch(watch::WatchArgs),
    /// Take a sweep back from the workers, with checkpoints, until it is resumed
    Pause(control::ControlArgs),
    /// Go on with a paused sweep
    Resume(control::ControlArgs),
    /// Stop a sweep for good; what was done stays
    Cancel(control::ControlArgs),
    /// Try trials again that failed for good
    Retry(retry::RetryArgs),
    /// Delete a sweep that has ended, with its results, files and checkpoints
    Delete(delete::DeleteArgs),
    /// List the workers, and what each trains
    Workers(workers::WorkersArgs),
    /// Let a worker out of quarantine
    Release(release::ReleaseArgs),
    /// Export the results of a sweep
    Results(results::ResultsArgs),
    /// Train a trial again, and say whether its learning curve is the same to the last bit
    Replay(replay::ReplayArgs),
    /// Fetch published datasets, and see which are here
    #[command(subcommand)]
    Data(data::DataCommand),
    /// The sweeps that come with biosweep
    #[command(subcommand)]
    Preset(preset::PresetCommand),
    /// Run a small sweep while its workers and coordinator are killed, and say whether it finds the same as undisturbed
    Chaos(chaos::ChaosArgs),
    /// Measure the coordinator itself
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

impl Cli {
    /// What the command line says; ends the program with exit code 2 where that cannot be meant.
    pub(crate) fn read() -> Self {
        let given = variables::without_empty(Self::command()).get_matches();
        let mut innermost = &given;
        while let Some((_, command)) = innermost.subcommand() {
            innermost = command;
        }
        let source = |id: &str| innermost.try_contains_id(id).ok().and_then(|_| innermost.value_source(id));
        if source("store") == Some(ValueSource::CommandLine) && source("coordinator").is_some() {
            let message = "--store says where a coordinator on this machine keeps its sweeps, and --coordinator (or \
                           BIOSWEEP_COORDINATOR) names one that has a store already: remove one of them";
            Self::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
        Self::from_arg_matches(&given).unwrap_or_else(|error| error.exit())
    }
}

impl Common {
    /// The home folder.
    fn home(&self) -> Result<PathBuf, Failure> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let base = choose_base_strategy().map_err(|error| {
            Failure::environment(format!("no home folder is known ({error}); name one with --home"))
        })?;
        Ok(base.data_dir().join("biosweep"))
    }
}

impl Command {
    /// Whether a signal asks it to stop cleanly, rather than ending it.
    const fn stops_cleanly(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Serve(_) | Self::Chaos(_) | Self::Bench(_))
    }

    /// Whether it coordinates more than its own question.
    const fn is_busy(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Serve(_) | Self::Replay(_) | Self::Chaos(_) | Self::Bench(_))
    }

    /// Whom it asks about sweeps that are there already.
    fn asks(&self) -> Option<&Coordinator> {
        match self {
            Self::Extend(args) => Some(&args.coordinator),
            Self::List(args) => Some(&args.coordinator),
            Self::Show(args) => Some(&args.coordinator),
            Self::Watch(args) => Some(&args.coordinator),
            Self::Pause(args) | Self::Resume(args) | Self::Cancel(args) => Some(&args.coordinator),
            Self::Retry(args) => Some(&args.coordinator),
            Self::Delete(args) => Some(&args.coordinator),
            Self::Workers(args) => Some(&args.coordinator),
            Self::Release(args) => Some(&args.coordinator),
            Self::Results(args) => Some(&args.coordinator),
            Self::Replay(args) => Some(&args.coordinator),
            _ => None,
        }
    }

    /// Whether it only reads: it writes nothing into the home, not even a log.
    const fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::List(_) | Self::Show(_) | Self::Watch(_) | Self::Workers(_) | Self::Results(_) | Self::Replay(_)
        )
    }

    /// Whether it asks a coordinator that it names: it needs no home then.
    fn names_a_coordinator(&self) -> bool {
        let asked = match self {
            Self::Submit(args) => Some(&args.coordinator),
            _ => self.asks(),
        };
        asked.is_some_and(|asked| asked.coordinator.is_some())
    }
}

impl Coordinator {
    /// The coordinator the command means.
    fn target<'a>(&'a self, home: &'a Path) -> Target<'a> {
        match &self.coordinator {
            Some(url) => Target::Url(url),
            None => Target::Home { home, store: self.store.url() },
        }
    }
}

/// How long threads may take to end that a command has left behind: one that reads standard input may never.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Does what was asked and says how it went.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let exit = dispatch(cli).unwrap_or_else(|failure| {
        crate::terminal::say(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// Threads that a busy runtime needs beside one for each core: to look up names, and for its store.
const THREADS_BESIDE: usize = 4;

/// A runtime for a command; only those that coordinate have threads of their own.
fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if command.is_busy() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // It panics where it cannot start them.
        limits::can_start_threads(cores + THREADS_BESIDE).map_err(Failure::from_environment)?;
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::environment(format!("the runtime cannot be started: {error}")))
}

/// The requests to stop that a command heeds.
fn stop(command: &Command, runtime: &tokio::runtime::Runtime) -> Result<Stop, Failure> {
    if !command.stops_cleanly() {
        return Ok(Stop::never());
    }
    let _inside = runtime.enter();
    Stop::listen().map_err(|error| Failure::environment(format!("signals cannot be caught: {error}")))
}

fn nothing_in(home: &Path) -> Failure {
    let home = home.display();
    Failure::bad_input(format!(
        "there are no sweeps in {home}; name their folder with --home, or make one there with \
         `biosweep run quickstart --home {home}`"
    ))
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let Cli { command, common } = cli;
    let runtime = runtime(&command)?;
    // Before anything is opened that a signal must not leave open.
    let stop = stop(&command, &runtime)?;
    match command {
        Command::Plan(args) => {
            // It leaves no log, nor anything else.
            return runtime.block_on(plan::run(&args, common.home().ok().as_deref(), common.output));
        }
        Command::Preset(command) => return preset::run(&command, common.output),
        Command::Data(ref command) => return data::run(command, &common.home()?, common.output),
        _ => {}
    }
    let names_a_coordinator = command.names_a_coordinator();
    let home = match common.home() {
        Err(_) if names_a_coordinator => PathBuf::new(),
        home => home?,
    };
    if command.asks().is_some_and(|coordinator| coordinator.target(&home).is_void()) {
        // Nothing is made where only a name may be mistaken.
        return match command {
            Command::List(_) => list::nothing(&home, common.output),
            _ => Err(nothing_in(&home)),
        };
    }
    let log = home.join("logs").join("biosweep.log");
    let destination = match command {
        Command::Serve(_) => Destination::Stderr,
        _ => Destination::File(&log),
    };
    if !names_a_coordinator && !command.only_reads() {
        logging::init(destination, "info").map_err(Failure::from_environment)?;
    }
    let output = common.output;
    let exit = runtime.block_on(async {
        match command {
            Command::Run(args) => run::run(&args, &home, output, &stop).await,
            Command::Serve(args) => serve::run(&args, &home, &stop).await,
            Command::Submit(args) => submit::run(&args, &home, output).await,
            Command::Extend(args) => extend::run(&args, &home, output).await,
            Command::List(args) => list::run(&args, &home, output).await,
            Command::Show(args) => show::run(&args, &home, output).await,
            Command::Watch(args) => watch::run(&args, &home, output).await,
            Command::Pause(args) => control::run(Control::Pause, &args, &home, output).await,
            Command::Resume(args) => control::run(Control::Resume, &args, &home, output).await,
            Command::Cancel(args) => control::run(Control::Cancel, &args, &home, output).await,
            Command::Retry(args) => retry::run(&args, &home, output).await,
            Command::Delete(args) => delete::run(&args, &home, output).await,
            Command::Workers(args) => workers::run(&args, &home, output).await,
            Command::Release(args) => release::run(&args, &home, output).await,
            Command::Results(args) => results::run(&args, &home, output).await,
            Command::Replay(args) => replay::run(&args, &home, output).await,
            Command::Chaos(args) => chaos::run(&args, &home, output, &stop).await,
            Command::Bench(command) => bench::run(&command, output, &stop).await,
            Command::Plan(_) | Command::Preset(_) | Command::Data(_) => unreachable!("answered above"),
        }
    });
    runtime.shutdown_timeout(LAST_THREADS);
    exit
}
