//! The cost of connected workers that have nothing to train.

use std::time::Duration;

use biosweep_host::clock::Clock;
use serde::Serialize;
use tokio::task::JoinSet;

use super::BenchError;
use super::served::Served;
use super::worker::{BenchWorker, Manner};

/// The results of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Idled {
    /// Number of workers. Each has its own stream and polls.
    pub(crate) workers: u32,
    /// Duration in seconds.
    pub(crate) seconds: f64,
    /// The fraction of one core that the coordinator used.
    pub(crate) core_share: f64,
    /// The coordinator's resident memory at the end, in MiB.
    pub(crate) coordinator_mib: f64,
}

/// Connects workers and leaves them idle. They send heartbeats like real workers.
pub(crate) async fn idle(workers: u32, seconds: u32) -> Result<Idled, BenchError> {
    let served = Served::start().await?;
    let mut idling = JoinSet::new();
    for _ in 0..workers {
        let manner = Manner { lanes: 1, slots: 1, trains: Duration::ZERO };
        idling.spawn(BenchWorker::connect(&served.connection, manner).await?.idle());
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
