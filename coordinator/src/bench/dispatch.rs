//! Trials per second of a real coordinator with a durable store. The workers answer without training.

use std::time::Duration;

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::WatchEvent;
use biosweep_common::spec::Format;
use biosweep_host::clock::Clock;
use serde::Serialize;
use tokio::sync::mpsc;

use super::served::{Memory, OpenPages, Served};
use super::worker::{Manner, WorkerClass};
use super::{BenchError, spec_of};

/// The load of the benchmark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Number of trials of the sweep that is dispatched in bundles.
    pub(crate) trials: u64,
    /// Number of workers.
    pub(crate) workers: u32,
    /// Maximum number of trials in a bundle.
    pub(crate) lanes: u32,
    /// Leases of one trial that a worker holds at the same time.
    pub(crate) slots: u32,
}

/// The results of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// Number of trials, each with one durable result.
    pub(crate) trials: u64,
    /// Trials per second in bundles, from submission to the end of the sweep.
    pub(crate) trials_per_s: f64,
    /// Duration in seconds.
    pub(crate) seconds: f64,
    /// Number of workers.
    pub(crate) workers: u32,
    /// Maximum number of trials in a bundle.
    pub(crate) lanes: u32,
    /// The coordinator's resident memory at the end, in MiB.
    pub(crate) coordinator_mib: f64,
    /// The coordinator's maximum resident memory, in MiB.
    pub(crate) coordinator_most_mib: f64,
    /// Number of trials of the sweep that is dispatched with one trial per lease.
    pub(crate) single_trials: u64,
    /// Trials per second of that sweep.
    pub(crate) single_trials_per_s: f64,
    /// Leases of one trial that a worker held at the same time.
    pub(crate) slots: u32,
    /// Median of the milliseconds from the report of a lease's last trial to the worker's next grant, at low load.
    pub(crate) finish_to_grant_p50_ms: f64,
    /// 95th percentile of these milliseconds.
    pub(crate) finish_to_grant_p95_ms: f64,
    /// The rate with TLS and tokens, relative to the rate without in a run just before, with one trial per lease. Several pairs.
    pub(crate) secured_ratios: Vec<f64>,
}

/// Maximum number of trials of the sweep with one trial per lease; the rate no longer changes with more.
const SINGLE_TRIALS: u64 = 100_000;
/// The sweep for the time from finish to grant: number of trials, and simulated duration of each.
const PACED: (u64, Duration) = (600, Duration::from_millis(20));
/// Number of pairs of runs without and with TLS.
const PAIRS: usize = 4;

/// Runs sweeps without training: in bundles, with one trial per lease, and at low load; then the second kind in pairs, without and with
/// TLS.
pub(crate) async fn dispatch(load: Load) -> Result<Measured, BenchError> {
    let mut measured = unsecured(load).await?;
    let manner = Manner { lanes: 1, slots: load.slots, trains: Duration::ZERO };
    for _ in 0..PAIRS {
        let plain = run(measured.single_trials, load.workers, manner).await?;
        let served = Served::start_secured().await?;
        let secured = run_at(served, measured.single_trials, load.workers, manner, 0).await?;
        measured.secured_ratios.push(plain.seconds / secured.seconds);
    }
    Ok(measured)
}

/// Runs three sweeps without training: in bundles, with one trial per lease, and at low load.
pub(super) async fn unsecured(load: Load) -> Result<Measured, BenchError> {
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
        secured_ratios: Vec::new(),
    })
}

pub(super) struct Run {
    pub(super) seconds: f64,
    /// The same from the start of the workers on.
    pub(super) working_seconds: f64,
    memory: Memory,
    /// Seconds from each report of a lease's last trial to the next grant.
    waits: Vec<f64>,
}

/// Runs a sweep from submission to its end.
async fn run(trials: u64, workers: u32, manner: Manner) -> Result<Run, BenchError> {
    run_watched(trials, workers, manner, 0).await
}

/// The same while pages of the sweep are open.
pub(super) async fn run_watched(trials: u64, workers: u32, manner: Manner, pages: u32) -> Result<Run, BenchError> {
    run_at(Served::start().await?, trials, workers, manner, pages).await
}

/// The same at this coordinator.
async fn run_at(served: Served, trials: u64, workers: u32, manner: Manner, pages: u32) -> Result<Run, BenchError> {
    let mut client = served.client().await?;
    let (noted, mut waits) = mpsc::unbounded_channel();
    let clock = Clock::start();
    let (sweep, _) = client.submit(spec_of(trials), Format::Toml, "bench dispatch".to_owned(), true).await?;
    let pages = OpenPages::open(served.url(), &sweep.id.to_string(), pages)?;
    let start = clock.seconds();
    // Workers start after the submission, because of several polls that found nothing only the last one counts.
    let working = WorkerClass::start(&served.connection, workers, manner, &noted)?;
    let mut events = client.watch(&sweep.id.to_string()).await?;
    let mut ended = false;
    while let Some(event) = events.next().await? {
        ended |= matches!(&event, WatchEvent::State(status) if status.sweep.state == SweepState::Finished);
    }
    let seconds = clock.seconds();
    if !ended {
        return Err(BenchError::Unfinished);
    }
    let working_seconds = seconds - start;
    let memory = served.memory()?;
    served.stop().await?;
    pages.join();
    working.join();
    waits.close();
    let waits = std::iter::from_fn(|| waits.try_recv().ok()).collect();
    Ok(Run { seconds, working_seconds, memory, waits })
}
