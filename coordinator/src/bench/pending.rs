//! The cost of a very large sweep without results.

use biosweep_common::spec::Format;
use biosweep_host::clock::Clock;
use serde::Serialize;

use super::served::Served;
use super::{BenchError, spec_of};

/// The results of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pending {
    /// Number of trials of the sweep.
    pub(crate) trials: u64,
    /// Seconds from the submission until the sweep is recorded.
    pub(crate) submit_seconds: f64,
    /// Seconds until the sweep is shown.
    pub(crate) show_seconds: f64,
    /// The coordinator's resident memory, in MiB.
    pub(crate) coordinator_mib: f64,
}

/// Submits a sweep with this many trials and shows it.
pub(crate) async fn pending(trials: u64) -> Result<Pending, BenchError> {
    let served = Served::start().await?;
    let mut client = served.client().await?;
    let clock = Clock::start();
    let (sweep, _) = client.submit(spec_of(trials), Format::Toml, "bench pending".to_owned(), true).await?;
    let submit_seconds = clock.seconds();
    client.show(&sweep.id.to_string()).await?;
    let show_seconds = clock.seconds() - submit_seconds;
    let memory = served.memory()?;
    client.close().await?;
    served.stop().await?;
    Ok(Pending { trials, submit_seconds, show_seconds, coordinator_mib: memory.now_mib })
}
