//! The time until a coordinator serves a sweep that already has many results.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use biosweep_host::clock::Clock;
use biosweep_host::traces::Traces;
use biosweep_server::host::{Host, HostError, HostOptions, Lifetime, Protection, Scope, TIMEOUTS};
use serde::Serialize;

use super::BenchError;
use super::filled::{Content, fill};
use super::served::new_home;
use crate::client::{Client, ClientError};

/// The results of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Recovered {
    /// Number of trials of the sweep.
    pub(crate) trials: u64,
    /// Number of trials with a result.
    pub(crate) completed: u64,
    /// Seconds from the start of a coordinator to its first answer.
    pub(crate) seconds: f64,
}

/// Fills a store with results of a sweep, and measures the time until a coordinator serves it.
pub(crate) async fn recovery(trials: u64, completed: u64) -> Result<Recovered, BenchError> {
    let home = new_home()?;
    let content = Content { trials, completed: completed.min(trials), points: 1 };
    fill(&home, content).await.map_err(HostError::from).map_err(ClientError::from)?;
    let clock = Clock::start();
    let host = Host::start_alone(HostOptions {
        home: &home,
        store: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        protection: Protection::Loopback,
        page_hosts: &[],
        scope: Scope::All,
        timeouts: TIMEOUTS,
        lifetime: Lifetime::OneCommand,
        stands_by: false,
        traces: Traces::off(),
    });
    let host = host.await.map_err(ClientError::from)?;
    let mut client = Client::reach(&host.connection).await?;
    let sweep = client.list().await?.into_iter().next();
    let seconds = clock.seconds();
    let completed = sweep.map_or(0, |sweep| sweep.completed);
    client.close().await?;
    host.stop().await.map_err(ClientError::from)?;
    fs::remove_dir_all(&home).map_err(|source| ClientError::from(HostError::Home { path: home, source }))?;
    Ok(Recovered { trials, completed, seconds })
}
