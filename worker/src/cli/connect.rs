//! Without a command: serves a coordinator until told to leave.

use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::time::Duration;

use biosweep_common::capability::{Capabilities, MEMORY_GB_MAX};
use biosweep_common::clock::Clock;
use biosweep_common::flags;
use biosweep_common::ids::WorkerId;
use biosweep_common::messages::WorkerDescription;
use biosweep_common::telemetry::{self, Destination};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::DataArgs;
use super::failure::Failure;
use crate::agent::{self, AgentError, Estate, Leave};
use crate::checkpoint::shelf::Shelf;
use crate::device::Device;
use crate::memory;
use crate::session::Session;
use crate::spool::{Opened, Spool};
use crate::trainer::Trainer;

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// The coordinator's address, such as http://127.0.0.1:7465
    #[arg(long, env = "BIOSWEEP_COORDINATOR", value_name = "URL", required = true, value_parser = flags::coordinator_url)]
    coordinator: Option<String>,
    /// What to compute on
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Trajectories of one shape to take at once; on cpu they train in turns and share the data in memory
    #[arg(
        long, default_value = "1", value_name = "K", allow_negative_numbers = true, value_parser = flags::lanes
    )]
    lanes: NonZeroU32,
    /// Gigabytes (10⁹ bytes) of memory to take work for [default: what the machine or its control group has, in tenths]
    #[arg(long, value_name = "GB", value_parser = gigabytes, allow_negative_numbers = true)]
    memory_gb: Option<f64>,
    /// Something sweeps may require, such as a100 or site=x; may be given several times
    #[arg(long = "label", value_name = "LABEL", value_parser = flags::name)]
    labels: Vec<String>,
    /// A name for people [default: host/process]
    #[arg(long, value_parser = flags::name)]
    name: Option<String>,
    /// The identity to present, for launchers that want to know it [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<WorkerId>,
    /// Leave when standard input closes, for launchers whose end is to be this worker's
    #[arg(long)]
    leave_with_stdin: bool,
    /// Where checkpoints are kept: a folder, s3://BUCKET/PREFIX, or none [default: HOME/checkpoints]
    #[arg(long, env = "BIOSWEEP_CHECKPOINTS", value_name = "PLACE", value_parser = flags::checkpoints_place)]
    checkpoints: Option<String>,
    /// Seconds that leaving may take: to write checkpoints and hand back what is in training
    #[arg(long, default_value = "25", value_name = "SECONDS", allow_negative_numbers = true)]
    grace: u32,
    /// When this machine is taken away, in seconds since 1970; the worker leaves in time
    #[arg(long, env = "SLURM_JOB_END_TIME", value_name = "TIME", allow_negative_numbers = true)]
    deadline: Option<u64>,
    #[command(flatten)]
    data: DataArgs,
}

fn gigabytes(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= MEMORY_GB_MAX);
    number.ok_or_else(|| format!("it takes a number of gigabytes above 0, at most {MEMORY_GB_MAX}"))
}

pub(super) fn run(args: &ConnectArgs) -> Result<(), Failure> {
    telemetry::init(Destination::Stderr, "info").map_err(Failure::environment)?;
    let device: Device = args.device.parse().map_err(Failure::from)?;
    let deadline = args.deadline.map(time_until).transpose()?;
    device.prepare();
    let url = args.coordinator.as_deref().unwrap_or_default();
    let description = WorkerDescription {
        name: args.name.clone().unwrap_or_else(default_name),
        capabilities: Capabilities {
            device: device.to_string(),
            memory_bytes: args.memory_gb.map_or_else(memory::bytes, |gigabytes| (gigabytes * 1e9) as u64),
            labels: args.labels.iter().cloned().collect(),
        },
        lanes: args.lanes.get(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let home = args.data.home().map_err(Failure::environment)?;
    let shelf = match args.checkpoints.as_deref() {
        Some("none") => None,
        Some(place) => Some(Shelf::open(place).map_err(Failure::environment)?),
        None => Some(Shelf::open(&home.join("checkpoints").to_string_lossy()).map_err(Failure::environment)?),
    };
    let Opened { spool, worker, owed } = Spool::open(&home.join("spool"), args.id).map_err(Failure::environment)?;
    let session = Session::new(worker, description, owed);
    let trainer = Trainer::start(args.data.places(), shelf.clone()).map_err(Failure::environment)?;
    let orphaned = if args.leave_with_stdin { Some(stdin_closed().map_err(Failure::environment)?) } else { None };
    let grace = Duration::from_secs(args.grace.into());
    if deadline.is_some_and(|left| left <= grace) {
        tracing::warn!(
            "the deadline is nearer than the {} s that leaving may take (--grace): nothing is trained",
            args.grace
        );
    }
    let estate = Estate { spool, shelf, grace, deadline };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::environment)?;
    let served = runtime.block_on(agent::serve(url, session, trainer, estate, told_to_leave(orphaned)));
    served.map_err(|error| match error {
        AgentError::Address { .. } => Failure::bad_input(error),
        AgentError::Refused(_) | AgentError::TrainerGone => Failure::environment(error),
    })
}

/// How long it is until a moment, in seconds since 1970.
fn time_until(deadline: u64) -> Result<Duration, Failure> {
    let now = Duration::from_millis(Clock::start().wall().0);
    let left = Duration::from_secs(deadline).checked_sub(now);
    left.ok_or_else(|| {
        let (late, now) = (now.as_secs() - deadline, now.as_secs());
        Failure::bad_input(format!(
            "--deadline (or SLURM_JOB_END_TIME) {deadline} has passed {late} s ago: it counts seconds since 1970, and now is {now}; \
             name a moment to come, or leave it out"
        ))
    })
}

fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host}/{}", std::process::id())
}

/// Tells once standard input closes: its launcher is gone, and with it the coordinator.
fn stdin_closed() -> io::Result<oneshot::Receiver<()>> {
    let (closed, is_closed) = oneshot::channel();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(|| {
        let mut rest = [0_u8; 256];
        while matches!(io::stdin().read(&mut rest), Ok(read) if read > 0) {}
        // Where nobody waits for it the process is ending.
        let _ending = closed.send(());
    })?;
    Ok(is_closed)
}

/// Waits for a signal to leave: SIGINT, SIGTERM, or SIGUSR2, which batch systems send before they end a job.
async fn told_to_leave(orphaned: Option<oneshot::Receiver<()>>) -> Leave {
    let orphaned = async {
        match orphaned {
            Some(closed) => drop(closed.await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = sent(SignalKind::interrupt()) => Leave::Told("interrupted"),
        () = sent(SignalKind::terminate()) => Leave::Told("told to terminate"),
        () = sent(SignalKind::user_defined2()) => Leave::Told("told that its time is up"),
        () = orphaned => Leave::Alone,
    }
}

async fn sent(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(error) => {
            tracing::warn!(?kind, %error, "a signal cannot be waited for");
            std::future::pending().await
        }
    }
}
