//! The command line: all commands and their common options. Each command has a file; commands with equal options share
//! one.

mod analysis;
mod answer;
mod archive;
mod bench;
mod best;
mod certs;
mod chaos;
mod compare;
mod completions;
mod control;
mod coordinator;
mod custom_data;
mod data;
mod datasets;
mod delete;
mod doctor;
mod execution;
mod export;
mod extend;
mod failure;
mod figures;
mod files;
mod format;
mod import;
mod importance;
mod list;
mod man;
mod note;
mod plan;
mod preset;
mod release;
mod replay;
mod replicates;
mod report;
mod results;
mod retry;
mod run;
mod runtime;
mod sensitivity;
mod serve;
mod settings;
mod show;
mod slurm;
mod source;
mod submit;
mod token;
mod watch;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use biosweep_host::logging::{self, Destination};
use biosweep_host::variables;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use etcetera::{BaseStrategy, choose_base_strategy};

use control::Control;
pub(crate) use coordinator::{Coordinator, StoreArgs};
use failure::{Exit, Failure};
pub(crate) use format::{Output, TableFormat};
use runtime::{runtime, stop};
pub(crate) use slurm::SlurmJob;

/// Hyperparameter sweeps over learning rules: backpropagation, feedback alignment, target propagation and related
/// rules.
///
/// Exit codes: 0 success, 1 some trials failed or were cancelled, 2 bad input, 3 something in the environment is
/// missing or broken, 75 stopped before the work was done (the same command continues), 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "biosweep", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Home folder with sweeps, results, datasets and logs [default: biosweep in the user's data folder]
    #[arg(long, global = true, env = "BIOSWEEP_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = TableFormat::Human)]
    output: TableFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a sweep on this machine, from the spec to the results
    Run(run::RunArgs),
    /// Show the size and cost of a sweep without running it
    Plan(plan::PlanArgs),
    /// Run a coordinator for workers and users on other machines
    Serve(serve::ServeArgs),
    /// Submit a sweep to a coordinator
    Submit(submit::SubmitArgs),
    /// Add axes or replicates to a sweep; only new trials are trained
    Extend(extend::ExtendArgs),
    /// List the sweeps
    List(list::ListArgs),
    /// Show one sweep: its progress, its workers and its incomplete attempts
    Show(show::ShowArgs),
    /// Follow a sweep until it has ended
    Watch(watch::WatchArgs),
    /// Pause a sweep: its workers return their trials with checkpoints
    Pause(control::ControlArgs),
    /// Continue a paused sweep
    Resume(control::ControlArgs),
    /// Cancel a sweep; completed results are kept
    Cancel(control::ControlArgs),
    /// Retry trials that failed
    Retry(retry::RetryArgs),
    /// Write, print or remove the note of a sweep: a text about why it was run and what was seen
    Note(note::NoteArgs),
    /// Delete a sweep that has ended, with its results, files and checkpoints
    Delete(delete::DeleteArgs),
    Archive(archive::ArchiveArgs),
    Import(import::ImportArgs),
    /// Submit workers to a Slurm cluster
    #[command(subcommand)]
    Slurm(slurm::SlurmCommand),
    /// List the workers and what they train
    Workers(workers::WorkersArgs),
    /// Release a worker from quarantine
    Release(release::ReleaseArgs),
    /// Check what this machine needs, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Make the certificates of a coordinator, so that other machines can reach it safely
    #[command(subcommand)]
    Certs(certs::CertsCommand),
    /// Create, list and revoke tokens: who may train, read, submit, or administer
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Print the results of a sweep, as a table or as rows
    Results(results::ResultsArgs),
    /// Draw the figures of a sweep as SVG, PNG or PDF
    Figures(figures::FiguresArgs),
    /// Write the report of a sweep as one HTML page: verdicts, methods, tables, figures
    Report(report::ReportArgs),
    /// Show the settings with the best validation accuracy, for each group of a sweep
    Best(best::BestArgs),
    /// Compare two arms of a sweep, such as plain and dense networks: intervals, p-values, verdicts
    Compare(compare::CompareArgs),
    /// Show how much the accuracy of each arm depends on its tuning settings
    Sensitivity(sensitivity::SensitivityArgs),
    /// Show how much each axis matters for the test accuracy
    Importance(importance::ImportanceArgs),
    /// Export the results, learning curves or diagnostics of a sweep: to a file, a folder of TensorBoard, or an MLflow server
    Export(export::ExportArgs),
    /// Train a trial again and compare the learning curves to the last bit
    Replay(replay::ReplayArgs),
    /// Download datasets, and list those on this machine
    #[command(subcommand)]
    Data(data::DataCommand),
    /// List or print the specs that come with biosweep
    #[command(subcommand)]
    Preset(preset::PresetCommand),
    /// Run a small sweep while its workers and coordinator are killed, and compare the results with a normal run
    Chaos(chaos::ChaosArgs),
    /// Benchmark the coordinator
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Print the completions of commands and options for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages, one for each command
    Man(man::ManArgs),
}

impl Cli {
    /// Parses the command line; invalid input ends the program with exit code 2.
    pub(crate) fn read() -> Self {
        let given = variables::without_empty(Self::command()).get_matches();
        let mut innermost = &given;
        while let Some((_, command)) = innermost.subcommand() {
            innermost = command;
        }
        if let Some(why) = coordinator::contradiction(innermost) {
            Self::command().error(ErrorKind::ArgumentConflict, why).exit();
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
            Failure::environment(format!("the home folder is unknown ({error}); give it with --home"))
        })?;
        Ok(base.data_dir().join("biosweep"))
    }
}

impl Command {
    /// Whether a signal asks for a clean stop and does not end the command at once.
    const fn stops_cleanly(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Serve(_) | Self::Watch(_) | Self::Chaos(_) | Self::Bench(_))
    }

    /// Whether the command coordinates workers, and not only its own request.
    const fn is_busy(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Serve(_) | Self::Replay(_) | Self::Chaos(_) | Self::Bench(_))
    }

    /// The coordinator options of a command about existing sweeps.
    fn asks(&self) -> Option<&Coordinator> {
        match self {
            Self::Extend(args) => Some(&args.coordinator),
            Self::List(args) => Some(&args.coordinator),
            Self::Show(args) => Some(&args.coordinator),
            Self::Watch(args) => Some(&args.coordinator),
            Self::Pause(args) | Self::Resume(args) | Self::Cancel(args) => Some(&args.coordinator),
            Self::Retry(args) => Some(&args.coordinator),
            Self::Note(args) => Some(&args.coordinator),
            Self::Delete(args) => Some(&args.coordinator),
            Self::Slurm(command) => Some(command.asks()),
            Self::Workers(args) => Some(&args.coordinator),
            Self::Release(args) => Some(&args.coordinator),
            Self::Results(args) => Some(&args.coordinator),
            Self::Figures(args) => args.analysis.asks(),
            Self::Report(args) => args.analysis.asks(),
            Self::Best(args) => args.analysis.asks(),
            Self::Compare(args) => args.analysis.asks(),
            Self::Sensitivity(args) => args.analysis.asks(),
            Self::Importance(args) => args.analysis.asks(),
            Self::Export(args) => Some(&args.coordinator),
            Self::Replay(args) => Some(&args.coordinator),
            _ => None,
        }
    }

    /// Whether the answer is a table, which has more formats than others.
    const fn is_table(&self) -> bool {
        matches!(self, Self::Results(_) | Self::Best(_) | Self::Compare(_) | Self::Sensitivity(_) | Self::Importance(_))
    }

    /// Whether the command only reads: it writes nothing into the home, not even a log.
    const fn only_reads(&self) -> bool {
        if let Self::Note(args) = self {
            return args.only_reads();
        }
        matches!(
            self,
            Self::Archive(_)
                | Self::List(_)
                | Self::Show(_)
                | Self::Watch(_)
                | Self::Slurm(_)
                | Self::Workers(_)
                | Self::Results(_)
                | Self::Figures(_)
                | Self::Report(_)
                | Self::Best(_)
                | Self::Compare(_)
                | Self::Sensitivity(_)
                | Self::Importance(_)
                | Self::Export(_)
                | Self::Replay(_)
        )
    }

    /// Whether the command names a coordinator and so needs no home.
    fn names_a_coordinator(&self) -> bool {
        let asked = match self {
            Self::Submit(args) => Some(&args.coordinator),
            Self::Token(command) => Some(command.coordinator()),
            _ => self.asks(),
        };
        asked.is_some_and(|asked| asked.elsewhere().is_some())
    }
}

/// The time limit for threads that a command leaves behind; one that reads standard input may never end.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Runs a command and reports its end.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let exit = dispatch(cli).unwrap_or_else(|failure| {
        crate::terminal::say_unwrapped(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let Cli { command, common } = cli;
    let format = common.output;
    let output = if command.is_table() { Output::Human } else { format.plain()? };
    let runtime = runtime(&command)?;
    // Before anything is opened, because a signal must not interrupt it uncleanly.
    let stop = stop(&command, &runtime)?;
    match command {
        Command::Plan(args) => {
            // A plan writes no log and no other file.
            return runtime.block_on(plan::run(&args, common.home().ok().as_deref(), output));
        }
        Command::Preset(command) => return preset::run(&command, output),
        Command::Completions(args) => return completions::run(&args, output),
        Command::Man(args) => return man::run(&args, output),
        Command::Data(ref command) => return data::run(command, &common.home()?, output),
        Command::Doctor(ref args) => return runtime.block_on(doctor::run(args, &common.home()?, output)),
        _ => {}
    }
    let names_a_coordinator = command.names_a_coordinator();
    let home = match common.home() {
        Err(_) if names_a_coordinator => PathBuf::new(),
        home => home?,
    };
    if command.asks().is_some_and(|coordinator| coordinator.target(&home).is_void()) {
        // No home or store is created here, because the sweep's name may only be a typing error.
        return match command {
            Command::List(_) => list::nothing(&home, output),
            _ => Err(list::none_in(&home)),
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
    let exit = runtime.block_on(async {
        match command {
            Command::Run(args) => run::run(&args, &home, output, &stop).await,
            Command::Serve(args) => serve::run(&args, &home, &stop).await,
            Command::Submit(args) => submit::run(&args, &home, output).await,
            Command::Extend(args) => extend::run(&args, &home, output).await,
            Command::List(args) => list::run(&args, &home, output).await,
            Command::Show(args) => show::run(&args, &home, output).await,
            Command::Watch(args) => watch::run(&args, &home, output, &stop).await,
            Command::Pause(args) => control::run(Control::Pause, &args, &home, output).await,
            Command::Resume(args) => control::run(Control::Resume, &args, &home, output).await,
            Command::Cancel(args) => control::run(Control::Cancel, &args, &home, output).await,
            Command::Retry(args) => retry::run(&args, &home, output).await,
            Command::Note(args) => note::run(&args, &home, output).await,
            Command::Delete(args) => delete::run(&args, &home, output).await,
            Command::Archive(args) => archive::run(&args, &home, output).await,
            Command::Import(args) => import::run(&args, &home, output).await,
            Command::Slurm(command) => slurm::run(&command, &home, output).await,
            Command::Workers(args) => workers::run(&args, &home, output).await,
            Command::Release(args) => release::run(&args, &home, output).await,
            Command::Certs(command) => certs::run(&command, &home, output).await,
            Command::Token(command) => token::run(&command, &home, output).await,
            Command::Results(args) => results::run(&args, &home, format).await,
            Command::Figures(args) => figures::run(&args, &home, output).await,
            Command::Report(args) => report::run(&args, &home, output).await,
            Command::Best(args) => best::run(&args, &home, format).await,
            Command::Compare(args) => compare::run(&args, &home, format).await,
            Command::Sensitivity(args) => sensitivity::run(&args, &home, format).await,
            Command::Importance(args) => importance::run(&args, &home, format).await,
            Command::Export(args) => export::run(&args, &home, output).await,
            Command::Replay(args) => replay::run(&args, &home, output).await,
            Command::Chaos(args) => chaos::run(&args, &home, output, &stop).await,
            Command::Bench(command) => bench::run(&command, output, &stop).await,
            Command::Plan(_)
            | Command::Preset(_)
            | Command::Data(_)
            | Command::Doctor(_)
            | Command::Completions(_)
            | Command::Man(_) => unreachable!("answered above"),
        }
    });
    runtime.shutdown_timeout(LAST_THREADS);
    exit
}
