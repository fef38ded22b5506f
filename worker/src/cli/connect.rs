//! Without a command: serves a coordinator until the worker leaves.

use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::protocol::session::Session;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::workers::capability::{Capabilities, MEMORY_GB_MAX};
use biosweep_common::workers::flags;
use biosweep_engine::torch::device::Device;
use biosweep_engine::torch::environment;
use biosweep_host::clock::Clock;
use biosweep_host::deadline::{Deadline, DeadlineSource, Job};
use biosweep_host::logging::{self, Destination};
use biosweep_host::name::host_name;
use biosweep_host::resources;
use biosweep_host::resources::limits;
use biosweep_host::stop::{Stop, StopSignal};
use biosweep_host::traces::Traces;
use clap::Args;
use tokio::sync::{mpsc, oneshot};

use super::DataArgs;
use super::failure::{Exit, Failure};
use crate::agent::{self, AgentError, LeaveOutcome, LeaveReason, Reach, Resources, Whereabouts};
use crate::checkpoint::store::CheckpointStore;
use crate::spool::{OpenedSpool, Spool};
use crate::trainer::Trainer;

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// The connection file of a coordinator with TLS, as `biosweep token create --to FILE` writes it
    #[arg(long, env = "BIOSWEEP_CONNECTION", value_name = "FILE", required_unless_present = "coordinator")]
    connection: Option<PathBuf>,
    /// The address of a coordinator without TLS, such as http://127.0.0.1:7465
    #[arg(
        long, env = "BIOSWEEP_COORDINATOR", value_name = "URL", conflicts_with = "connection",
        value_parser = flags::coordinator_url
    )]
    coordinator: Option<String>,
    /// The device to train on
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Trajectories of one shape to take at once; on cpu they train in turns and share the data in memory
    #[arg(
        long, default_value = "1", value_name = "K", allow_negative_numbers = true, value_parser = flags::lanes
    )]
    lanes: NonZeroU32,
    /// Gigabytes (10⁹ bytes) of memory to take work for [default: what the machine, its control groups and
    /// its Slurm job allow, in tenths]
    #[arg(long, value_name = "GB", value_parser = gigabytes, allow_negative_numbers = true)]
    memory_gb: Option<f64>,
    /// A label that sweeps may require, such as a100 or site=x; may be given several times
    #[arg(long = "label", value_name = "LABEL", value_parser = flags::name)]
    labels: Vec<String>,
    /// A display name [default: host/process]
    #[arg(long, value_parser = flags::name)]
    name: Option<String>,
    /// The identity of the worker, for launchers that choose it [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<WorkerId>,
    /// Leave when standard input closes, for launchers that end together with this worker
    #[arg(long)]
    leave_with_stdin: bool,
    /// Where checkpoints are kept: a folder, s3://BUCKET/PREFIX, or none [default: HOME/checkpoints]
    #[arg(long, env = "BIOSWEEP_CHECKPOINTS", value_name = "PLACE", value_parser = flags::checkpoints_place)]
    checkpoints: Option<String>,
    /// The grace period: maximum seconds for the last checkpoints and for the return of leases
    #[arg(long, default_value = "25", value_name = "SECONDS", allow_negative_numbers = true)]
    grace: u32,
    /// The time at which this machine ends, in seconds since 1970; the worker leaves before it [default: the end of its
    /// Slurm job]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    deadline: Option<u64>,
    /// Leave with exit code 0 after this many seconds without work; time without a connection to the coordinator does not
    /// count [default: wait for ever]
    #[arg(long, value_name = "SECONDS", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    idle_exit: Option<NonZeroU32>,
    #[command(flatten)]
    data: DataArgs,
}

fn gigabytes(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= MEMORY_GB_MAX);
    number.ok_or_else(|| format!("it takes a number of gigabytes above 0, at most {MEMORY_GB_MAX}"))
}

/// Threads beside the main thread: for training, the checkpoint store, standard input, name resolution and traces.
const THREADS: usize = 6;

pub(super) fn run(args: &ConnectArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::environment)?;
    // Before the worker opens anything that a signal must not leave open.
    let stop = {
        let _inside = runtime.enter();
        Stop::listen().map_err(|error| Failure::environment(format!("signals cannot be caught: {error}")))?
    };
    logging::init(Destination::Stderr, "info").map_err(Failure::environment)?;
    let device: Device = args.device.parse().map_err(Failure::from)?;
    let deadline = runtime.block_on(deadline(args.deadline))?;
    limits::can_start_threads(THREADS).map_err(Failure::environment)?;
    device.prepare();
    let traces = Traces::start(env!("CARGO_PKG_NAME")).map_err(Failure::bad_input)?;
    let whereabouts = match (&args.connection, &args.coordinator) {
        (Some(file), _) => Whereabouts::File(file.clone()),
        (None, url) => Whereabouts::Address(url.clone().unwrap_or_default()),
    };
    let description = WorkerDescription {
        name: args.name.clone().unwrap_or_else(default_name),
        capabilities: Capabilities {
            device: device.to_string(),
            memory_bytes: match args.memory_gb {
                Some(gigabytes) => (gigabytes * 1e9).round() as u64,
                None => resources::memory_bytes().map_err(Failure::bad_input)?,
            },
            labels: args.labels.iter().cloned().collect(),
        },
        lanes: args.lanes.get(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: Arc::new(environment::current()),
    };
    let home = args.data.home().map_err(Failure::environment)?;
    let store = match args.checkpoints.as_deref() {
        Some("none") => None,
        Some(place) => Some(CheckpointStore::open(place).map_err(Failure::environment)?),
        None => Some(CheckpointStore::open(&home.join("checkpoints").to_string_lossy()).map_err(Failure::environment)?),
    };
    let OpenedSpool { spool, worker, owed } =
        Spool::open(&home.join("spool"), args.id).map_err(Failure::environment)?;
    if let Some(store) = &store {
        let checked = runtime.block_on(async {
            tokio::select! {
                checked = store.check() => Some(checked),
                _ = stop.requested() => None,
            }
        });
        if !matches!(checked, Some(Ok(()))) {
            // A folder that does not answer holds a thread, which is not waited for.
            runtime.shutdown_background();
            return match checked {
                Some(Err(error)) => Err(Failure::environment(error)),
                // The worker does not know whether the coordinator has work for it.
                _ => Ok(exit(LeaveOutcome::WithWork, stop.first())),
            };
        }
    }
    let reach = Reach::new(whereabouts, spool.folder().to_owned(), worker, Clock::start());
    reach.check().map_err(Failure::bad_input)?;
    let session = Session::new(worker, description, owed);
    let trainer = Trainer::start(args.data.places(), store.clone()).map_err(Failure::environment)?;
    let orphaned = if args.leave_with_stdin { Some(stdin_closed().map_err(Failure::environment)?) } else { None };
    let grace = Duration::from_secs(args.grace.into());
    if deadline.is_some_and(|left| left <= grace) {
        tracing::warn!(
            "the deadline is nearer than the {} s that leaving may take (--grace): nothing is trained",
            args.grace
        );
    }
    let idle_exit = args.idle_exit.map(|seconds| Duration::from_secs(seconds.get().into()));
    let device = device.to_string();
    let resources = Resources { spool, store, grace, deadline, idle_exit, traces: traces.clone(), device };
    let served = runtime.block_on(async {
        let (tell, leave) = mpsc::channel(1);
        let telling = tokio::spawn(tell_to_leave(stop.clone(), orphaned, tell));
        let served = agent::serve(reach, session, trainer, resources, leave).await;
        telling.abort();
        traces.stop().await;
        served
    });
    // A folder that does not answer holds a thread, which must not delay the end beyond the grace period.
    runtime.shutdown_background();
    match served {
        Ok(left) => Ok(exit(left, stop.first())),
        Err(error @ (AgentError::Refused(_) | AgentError::Unreadable(_) | AgentError::TrainerGone)) => {
            Err(Failure::environment(error))
        }
    }
}

const fn exit(left: LeaveOutcome, signal: Option<StopSignal>) -> Exit {
    match (signal, left) {
        (Some(StopSignal::Interrupt), _) => Exit::Interrupted,
        (_, LeaveOutcome::WithWork) => Exit::WorkLeft,
        (_, LeaveOutcome::WithoutWork) => Exit::Done,
    }
}

/// The time until this machine is taken away, from the command line or from Slurm.
async fn deadline(named_s: Option<u64>) -> Result<Option<Duration>, Failure> {
    let deadline = match named_s {
        Some(at_s) => Some(Deadline { at_s, given_by: DeadlineSource::Flag }),
        None => Job::of_environment().end().await.map_err(Failure::bad_input)?,
    };
    deadline.map(|deadline| deadline.left(Clock::start().wall())).transpose().map_err(Failure::bad_input)
}

fn default_name() -> String {
    format!("{}/{}", host_name().unwrap_or_else(|| "worker".to_owned()), std::process::id())
}

/// Reports when standard input closes: the launcher is gone, and the coordinator with it.
fn stdin_closed() -> io::Result<oneshot::Receiver<()>> {
    let (closed, is_closed) = oneshot::channel();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(|| {
        let mut rest = [0_u8; 256];
        while matches!(io::stdin().read(&mut rest), Ok(read) if read > 0) {}
        // If nobody receives it, the process is ending.
        let _ending = closed.send(());
    })?;
    Ok(is_closed)
}

/// Tells the agent when to leave, and when to leave faster than planned.
async fn tell_to_leave(stop: Stop, orphaned: Option<oneshot::Receiver<()>>, tell: mpsc::Sender<LeaveReason>) {
    let orphaned = async {
        match orphaned {
            Some(closed) => drop(closed.await),
            None => std::future::pending().await,
        }
    };
    let first = tokio::select! {
        signal = stop.requested() => LeaveReason::Told(signal.reason()),
        () = orphaned => LeaveReason::Orphaned,
    };
    // If the receiver is gone, the worker has already left.
    let _gone = tell.send(first).await;
    stop.hurried().await;
    let _gone = tell.send(LeaveReason::Sooner).await;
    stop.at_once().await;
    let _gone = tell.send(LeaveReason::AtOnce).await;
}
