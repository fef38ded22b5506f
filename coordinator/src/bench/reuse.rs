//! The cost of reusing the results of another sweep.

use biosweep_common::spec::Format;
use biosweep_host::clock::Clock;
use biosweep_server::host::HostError;
use serde::Serialize;

use super::filled::{Content, fill};
use super::served::{Served, new_home};
use super::{BenchError, spec_of};
use crate::client::ClientError;

/// The results of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Reused {
    /// Number of trials of the submitted sweep.
    pub(crate) trials: u64,
    /// Number of reused results.
    pub(crate) reused: u64,
    /// Seconds from the submission until all results are recorded.
    pub(crate) seconds: f64,
    /// The coordinator's maximum resident memory, in MiB.
    pub(crate) coordinator_most_mib: f64,
}

/// Submits a sweep whose trials were all trained by another sweep.
pub(crate) async fn reuse(trials: u64) -> Result<Reused, BenchError> {
    let home = new_home()?;
    // One more trial than results, so that the sweep is still running.
    fill(&home, Content { trials: trials + 1, completed: trials, points: 1 })
        .await
        .map_err(HostError::from)
        .map_err(ClientError::from)?;
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
