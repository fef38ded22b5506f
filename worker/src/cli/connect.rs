//! Without a command: serves a coordinator until told to leave.

use std::io::{self, Read as _};
use std::num::NonZeroU32;

use biosweep_common::ids::WorkerId;
use biosweep_common::messages::WorkerDescription;
use biosweep_common::telemetry::{self, Destination};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::DataArgs;
use super::failure::Failure;
use crate::agent::{self, AgentError};
use crate::device::Device;
use crate::session::Session;
use crate::trainer::Trainer;

#[derive(Debug, Args)]
pub(super) struct ConnectArgs {
    /// The coordinator's address, such as http://127.0.0.1:7465
    #[arg(long, env = "BIOSWEEP_COORDINATOR", value_name = "URL", required = true)]
    coordinator: Option<String>,
    /// What to compute on
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Trajectories of one shape to take at once; on cpu they train in turns and share the data in memory
    #[arg(long, default_value = "1", value_name = "K")]
    lanes: NonZeroU32,
    /// A name for people [default: host/process]
    #[arg(long)]
    name: Option<String>,
    /// The identity to present, for launchers that want to know it [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<WorkerId>,
    /// Leave when standard input closes, for launchers whose end is to be this worker's
    #[arg(long)]
    leave_with_stdin: bool,
    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(args: &ConnectArgs) -> Result<(), Failure> {
    telemetry::init(Destination::Stderr, "info").map_err(Failure::environment)?;
    let device: Device = args.device.parse().map_err(Failure::environment)?;
    device.prepare();
    let url = args.coordinator.as_deref().unwrap_or_default();
    let description = WorkerDescription {
        name: args.name.clone().unwrap_or_else(default_name),
        device: device.to_string(),
        lanes: args.lanes.get(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let session = Session::new(args.id.unwrap_or_default(), description);
    let trainer = Trainer::start(args.data.places()).map_err(Failure::environment)?;
    if args.leave_with_stdin {
        end_with_stdin().map_err(Failure::environment)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::environment)?;
    let served = runtime.block_on(agent::serve(url, session, trainer, told_to_leave()));
    served.map_err(|error| match error {
        AgentError::Address { .. } => Failure::bad_input(error),
        AgentError::Refused(_) | AgentError::TrainerGone => Failure::environment(error),
    })
}

fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host}/{}", std::process::id())
}

/// Ends the process once standard input closes: its launcher is gone, and with it the coordinator.
fn end_with_stdin() -> io::Result<()> {
    std::thread::Builder::new().name("stdin".to_owned()).spawn(|| {
        let mut rest = [0_u8; 256];
        while matches!(io::stdin().read(&mut rest), Ok(read) if read > 0) {}
        tracing::info!("standard input closed");
        std::process::exit(0);
    })?;
    Ok(())
}

async fn told_to_leave() -> &'static str {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminations) => drop(terminations.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "interrupted",
        () = terminate => "told to terminate",
    }
}
