//! `biosweep slurm`: workers as jobs of a Slurm cluster.
//!
//! | module | contents |
//! |---|---|
//! | this module | the command |
//! | `script` | the batch script of an array of workers, as a text |
//! | `configuration` | what the cluster's configuration says about arrays and about the end of jobs |
//! | `sbatch` | the submission of arrays |
//! | `job` | a submitted array |
//! | `error` | why workers cannot be submitted |

mod configuration;
mod error;
mod job;
mod sbatch;
mod script;

use std::num::NonZeroU32;
use std::path::{self, Path, PathBuf};

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::workers::flags;
use biosweep_connection::dial::is_loopback;
use biosweep_host::name::host_name;
use biosweep_server::host::Announcement;
use biosweep_server::local;
use clap::{Args, Subcommand};

use self::configuration::Configuration;
use self::error::SlurmError;
pub(crate) use self::job::SlurmJob;
use self::sbatch::{Submission, check_flags};
use self::script::{CoordinatorAccess, Script};
use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Subcommand)]
pub(crate) enum SlurmCommand {
    /// Submit workers for a sweep as an array of jobs
    ///
    /// Give the time limit, partition and everything else that Slurm must know as flags of sbatch after --.
    #[command(after_help = "Example: biosweep slurm submit my-sweep --workers 20 -- --time=4:00:00 --mem=4G")]
    Submit(SubmitArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Number of workers; each is one task of an array
    #[arg(long, value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    workers: NonZeroU32,
    /// The worker's program, as the nodes find it [default: biosweep-worker beside this program]
    #[arg(long, value_name = "PATH")]
    worker: Option<PathBuf>,
    /// Device of the workers
    #[arg(long, default_value = "cpu", value_name = "cpu|cuda:0")]
    device: String,
    /// Directory with datasets on the nodes, searched before $BIOSWEEP_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Connection file of the workers, with a token of the role worker, in a folder that all nodes see. A coordinator with TLS needs it
    #[arg(long, value_name = "FILE")]
    worker_connection: Option<PathBuf>,
    /// Seconds without work after which a worker ends
    #[arg(long, default_value = "300", value_name = "SECONDS", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    idle_exit: NonZeroU32,
    /// Print the script and submit nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    coordinator: Coordinator,
    /// Flags of sbatch
    #[arg(last = true, value_name = "SBATCH FLAGS")]
    sbatch: Vec<String>,
}

impl SlurmCommand {
    /// The coordinator that the command asks.
    pub(super) const fn asks(&self) -> &Coordinator {
        match self {
            Self::Submit(args) => &args.coordinator,
        }
    }
}

pub(super) async fn run(command: &SlurmCommand, home: &Path, output: Output) -> Result<Exit, Failure> {
    match command {
        SlurmCommand::Submit(args) => submit(args, home, output).await,
    }
}

async fn submit(args: &SubmitArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    check_flags(&args.sbatch)?;
    let (sweep, url) = find(args, home).await?;
    if sweep.state.has_ended() {
        say(human::nothing_for_workers(&sweep));
        return answer_with(&sweep, &[], None, output);
    }
    if sweep.state == SweepState::Paused {
        say(human::paused_for_workers(&sweep));
    }
    let configuration = Configuration::ask()?;
    let access = match &args.worker_connection {
        Some(file) => CoordinatorAccess::File(absolute(file)?),
        None if url.starts_with("https://") => {
            return Err(Failure::bad_input(format!(
                "the coordinator at {url} uses TLS, so workers need a connection file: make one with `biosweep token create --role \
                 worker --address {url} --to FILE`, and name it with --worker-connection FILE"
            )));
        }
        None => CoordinatorAccess::Url(url.clone()),
    };
    if is_loopback(&url) {
        say(human::only_on_this_machine(&url, host_name().as_deref().unwrap_or("HOST")));
    }
    let script = script(args, &sweep, access, home, configuration)?;
    let arrays = configuration.arrays(args.workers.get());
    let submission = Submission { script: &script, arrays: &arrays, flags: &args.sbatch };
    if args.dry_run {
        if let [first, _, ..] = *arrays {
            say(human::several_arrays(&arrays, first));
        }
        return answer_with(&sweep, &[], arrays.first().map(|&first| script.text(first)).as_deref(), output);
    }
    let jobs = submission.submit()?;
    answer_with(&sweep, &jobs, None, output)
}

fn answer_with(sweep: &SweepView, jobs: &[SlurmJob], script: Option<&str>, output: Output) -> Result<Exit, Failure> {
    answer(match (output, script) {
        (Output::Human, Some(script)) => script.to_owned(),
        (Output::Human, None) => human::workers_submitted(sweep, jobs),
        (Output::Json, _) => json::slurm_jobs(sweep, jobs, script),
    })
}

/// The sweep, and the address of the coordinator that serves it.
async fn find(args: &SubmitArgs, home: &Path) -> Result<(SweepView, String), Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let status = client.show(&args.sweep).await?;
    let is_served = !client.is_hosted();
    client.close().await?;
    let announced = || Announcement::read(home).map(|found| found.url());
    let url = args.coordinator.elsewhere().map(|named| named.first_address().to_owned()).or_else(announced);
    match url.filter(|_| is_served) {
        Some(url) => Ok((status.sweep, url)),
        // Nothing is submitted for an ended sweep, so it needs no coordinator.
        None if status.sweep.state.has_ended() => Ok((status.sweep, String::new())),
        None => Err(Failure::environment(format!(
            "no coordinator serves {home}, so workers would have nothing to connect to; start one with `biosweep serve --home {home} \
             --listen HOST:7465`, or name one with --connection",
            home = home.display()
        ))),
    }
}

/// The script of the workers.
fn script(
    args: &SubmitArgs,
    sweep: &SweepView,
    access: CoordinatorAccess,
    home: &Path,
    configuration: Configuration,
) -> Result<Script, Failure> {
    let worker = match &args.worker {
        None => absolute(&local::find_program()?)?,
        // A program without a folder is looked for on the PATH of the nodes.
        Some(name) if name.components().count() == 1 => text(name)?,
        Some(path) => {
            let path = absolute(path)?;
            if !Path::new(&path).is_file() {
                say(human::program_is_not_here(&path));
            }
            path
        }
    };
    let mut flags = Vec::new();
    if !home.as_os_str().is_empty() {
        flags.push(("--home", absolute(home)?));
    }
    if args.device != "cpu" {
        flags.push(("--device", args.device.clone()));
    }
    if let Some(data_dir) = &args.data_dir {
        flags.push(("--data-dir", absolute(data_dir)?));
    }
    flags.push(("--idle-exit", args.idle_exit.to_string()));
    flags.push(("--grace", configuration.grace_s().to_string()));
    Ok(Script { name: sweep.name.clone(), sweep: sweep.id, worker, access, flags })
}

/// The path from the root, because jobs may start in another folder.
fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = path::absolute(path);
    let absolute =
        absolute.map_err(|error| Failure::bad_input(format!("{}: {error}; name it in full", path.display())))?;
    text(&absolute)
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.contains('\n'));
    let text = text.ok_or_else(|| {
        let path = path.display();
        Failure::bad_input(format!(
            "the path {path} cannot be written into a script; rename it so that it is plain text"
        ))
    })?;
    Ok(text.to_owned())
}

impl From<SlurmError> for Failure {
    fn from(error: SlurmError) -> Self {
        if let SlurmError::Flag { .. } = error { Self::bad_input(error) } else { Self::environment(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_reach_only_the_machine_itself_are_known() {
        for url in ["http://127.0.0.1:7465", "http://localhost:80/", "http://[::1]:80", "http://127.9.0.1"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in
            ["http://10.0.0.1:7465", "http://login.example:80", "http://[fe80::1]:80", "http://localhost.example"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
