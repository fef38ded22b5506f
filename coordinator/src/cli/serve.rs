//! `biosweep serve`: coordinates sweeps for workers and people elsewhere, until it is stopped.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::StoreArgs;
use super::failure::{Exit, Failure};
use crate::core::scheduler::Patience;
use crate::host::{Host, Options, Scope, Stay};
use crate::local::interrupted;
use crate::render::say;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:7465", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Listen on an address that others can reach although nothing protects it
    #[arg(long)]
    insecure: bool,
    /// Seconds of silence after which a worker is lost and what it holds runs elsewhere
    #[arg(long, default_value = "20", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    lease: u64,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(args: &ServeArgs, home: &Path) -> Result<Exit, Failure> {
    let options = Options {
        home,
        store: args.store.url(),
        listen: args.listen,
        insecure: args.insecure,
        scope: Scope::All,
        patience: Patience::of_lease_ms(1_000 * args.lease),
        stay: Stay::Announced,
    };
    let mut host = Host::start_alone(options).await?;
    say(format_args!("serving {} on {}", home.display(), host.url()));
    say(format_args!("workers join with `biosweep-worker --coordinator {}`", host.url()));
    tokio::select! {
        signal = interrupted() => say(format_args!("{signal}; workers train on and wait for the coordinator's return")),
        error = host.failed() => return Err(error.into()),
    }
    host.stop().await?;
    Ok(Exit::Done)
}
