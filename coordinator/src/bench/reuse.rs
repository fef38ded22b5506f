//! What it takes to take over the results of another sweep.

use biosweep_common::spec::Format;
use biosweep_host::clock::Clock;
use biosweep_server::host::HostError;
use serde::Serialize;

use super::filled::fill;
use super::served::{Served, new_home};
use super::{BenchError, spec_of};
use crate::client::ClientError;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Reused {
    /// Trials in the sweep that was submitted.
    pub(crate) trials: u64,
    /// Those it took over.
    pub(crate) reused: u64,
    /// Seconds from handing it in to all of them being recorded.
    pub(crate) seconds: f64,
    /// The most memory the coordinator had, in MiB.
    pub(crate) coordinator_most_mib: f64,
}

/// Submits a sweep of so many trials, all of which another sweep has trained.
pub(crate) async fn reuse(trials: u64) -> Result<Reused, BenchError> {
    let home = new_home()?;
    // One more, so that it runs on.
    fill(&home, trials + 1, trials).await.map_err(HostError::from).map_err(ClientError::from)?;
    let served = Served::start_in(home).await?;
    let mut client = served.client().await?;
    let clock = Clock::start();
    let (sweep, _) = client.submit(spec_of(trials), Format::Toml, "bench reuse".to_owned(), true).await?;
    let seconds = clock.seconds();
    let sweep = client.show(&sweep.id.to_string()).await?.sweep;
    let memory = served.memory()?;
    client.close().await?;
    served.stop().await?;
    Ok(Reused { trials, reused: sweep.reused, seconds, coordinator_most_mib: memory.most_mib })
}
