//! Trials per second through a real coordinator: everything durable as in use, but workers that answer without training.

use std::time::Duration;

use biosweep_common::outcome::SweepState;
use biosweep_common::spec::Format;
use biosweep_common::views::WatchEvent;
use biosweep_host::clock::Clock;
use serde::Serialize;
use tokio::sync::mpsc;

use super::served::{Memory, Served};
use super::worker::{Manner, WorkerClass};
use super::{BenchError, spec_of};

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Trials in the sweep that is dispatched in bundles.
    pub(crate) trials: u64,
    /// Workers.
    pub(crate) workers: u32,
    /// Trials of one bundle, at most.
    pub(crate) lanes: u32,
    /// Leases of one trial that a worker holds at once.
    pub(crate) slots: u32,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// Trials, each with one durable result.
    pub(crate) trials: u64,
    /// Trials per second in bundles, from submission to the end of the sweep.
    pub(crate) trials_per_s: f64,
    /// Seconds it took.
    pub(crate) seconds: f64,
    /// Workers.
    pub(crate) workers: u32,
    /// Trials of one bundle, at most.
    pub(crate) lanes: u32,
    /// The coordinator's resident memory at the end, in MiB.
    pub(crate) coordinator_mib: f64,
    /// The most it had.
    pub(crate) coordinator_most_mib: f64,
    /// Trials of the sweep that was dispatched one trial a lease.
    pub(crate) single_trials: u64,
    /// Its trials per second.
    pub(crate) single_trials_per_s: f64,
    /// Leases of one trial that a worker held at once.
    pub(crate) slots: u32,
    /// Milliseconds from the report of a lease's last trial to the worker's next grant, where little is to be done: the
    /// median.
    pub(crate) finish_to_grant_p50_ms: f64,
    /// The 95th of 100 of them.
    pub(crate) finish_to_grant_p95_ms: f64,
}

/// Trials of the sweep that goes one trial a lease, at most: the rate is the same after a few.
const SINGLE_TRIALS: u64 = 100_000;
/// Trials of the sweep by which the way from finish to grant is measured, and how long each pretends to train.
const PACED: (u64, Duration) = (600, Duration::from_millis(20));

/// Runs sweeps of trials of nothing: in bundles, one trial a lease, and with time to spare.
pub(crate) async fn dispatch(load: Load) -> Result<Measured, BenchError> {
    let Load { trials, workers, lanes, slots } = load;
    let bundled = run(trials, workers, Manner { lanes, slots: 1, trains: Duration::ZERO }).await?;
    let single_trials = trials.min(SINGLE_TRIALS);
    let single = run(single_trials, workers, Manner { lanes: 1, slots, trains: Duration::ZERO }).await?;
    let mut paced = run(PACED.0, workers, Manner { lanes: 1, slots: 1, trains: PACED.1 }).await?.waits;
    paced.sort_by(f64::total_cmp);
    let percentile = |share: usize| paced.get(paced.len() * share / 100).map_or(0.0, |seconds| seconds * 1e3);
    Ok(Measured {
        trials,
        trials_per_s: trials as f64 / bundled.seconds,
        seconds: bundled.seconds,
        workers,
        lanes,
        coordinator_mib: bundled.memory.now_mib,
        coordinator_most_mib: bundled.memory.most_mib,
        single_trials,
        single_trials_per_s: single_trials as f64 / single.seconds,
        slots,
        finish_to_grant_p50_ms: percentile(50),
        finish_to_grant_p95_ms: percentile(95),
    })
}

struct Run {
    seconds: f64,
    memory: Memory,
    /// Seconds from each report of a lease's last trial to the next grant.
    waits: Vec<f64>,
}

/// A sweep from its submission to its end.
async fn run(trials: u64, workers: u32, manner: Manner) -> Result<Run, BenchError> {
    let served = Served::start().await?;
    let mut client = served.client().await?;
    let (noted, mut waits) = mpsc::unbounded_channel();
    let clock = Clock::start();
    let (sweep, _) = client.submit(spec_of(trials), Format::Toml, "bench dispatch".to_owned(), true).await?;
    // Only now, since of several requests for a lease that find nothing the last one counts.
    let working = WorkerClass::start(&served.url, workers, manner, &noted)?;
    let mut events = client.watch(&sweep.id.to_string()).await?;
    let mut ended = false;
    while let Some(event) = events.next().await? {
        ended |= matches!(&event, WatchEvent::State(status) if status.sweep.state == SweepState::Finished);
    }
    let seconds = clock.seconds();
    if !ended {
        return Err(BenchError::Unfinished);
    }
    let memory = served.memory()?;
    served.stop().await?;
    working.join();
    waits.close();
    let waits = std::iter::from_fn(|| waits.try_recv().ok()).collect();
    Ok(Run { seconds, memory, waits })
}
