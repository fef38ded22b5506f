//! What a sweep costs that is far greater than anything that has been done of it.

use biosweep_common::spec::Format;
use biosweep_host::clock::Clock;
use serde::Serialize;

use super::served::Served;
use super::{BenchError, spec_of};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Pending {
    /// Trials in the sweep.
    pub(crate) trials: u64,
    /// Seconds from handing it in to its being recorded.
    pub(crate) submit_seconds: f64,
    /// Seconds until it was shown.
    pub(crate) show_seconds: f64,
    /// The coordinator's resident memory, in MiB.
    pub(crate) coordinator_mib: f64,
}

/// Submits a sweep of so many trials and looks at it.
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
