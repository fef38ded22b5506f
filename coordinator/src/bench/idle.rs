//! What connected workers cost that have nothing to do.

use std::time::Duration;

use biosweep_host::clock::Clock;
use serde::Serialize;
use tokio::task::JoinSet;

use super::BenchError;
use super::served::Served;
use super::worker::{BenchWorker, Manner};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Idled {
    /// Workers, each with a stream of its own, all of them asking for work that is not there.
    pub(crate) workers: u32,
    /// For how many seconds.
    pub(crate) seconds: f64,
    /// The share of one core the coordinator took.
    pub(crate) core_share: f64,
    /// Its resident memory at the end, in MiB.
    pub(crate) coordinator_mib: f64,
}

/// Connects so many workers and leaves them alone for a while; they send heartbeats as workers in use do.
pub(crate) async fn idle(workers: u32, seconds: u32) -> Result<Idled, BenchError> {
    let served = Served::start().await?;
    let mut idling = JoinSet::new();
    for _ in 0..workers {
        let manner = Manner { lanes: 1, slots: 1, trains: Duration::ZERO };
        idling.spawn(BenchWorker::connect(&served.url, manner).await?.idle());
    }
    let (clock, before) = (Clock::start(), served.processor_seconds()?);
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(seconds.into())) => {}
        Some(Ok(Err(error))) = idling.join_next() => return Err(error),
    }
    let (seconds, taken) = (clock.seconds(), served.processor_seconds()? - before);
    let memory = served.memory()?;
    idling.shutdown().await;
    served.stop().await?;
    Ok(Idled { workers, seconds, core_share: taken / seconds, coordinator_mib: memory.now_mib })
}
