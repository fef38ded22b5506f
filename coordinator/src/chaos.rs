//! A small sweep run twice: once undisturbed, and once while its workers and its coordinator are killed again and again,
//! seeded. What both find must be the same.

mod cluster;
mod faults;

use std::io;
use std::path::PathBuf;

use biosweep_common::curve::Score;
use biosweep_common::spec::Format;
use biosweep_common::views::{CurveView, ResultView};
use biosweep_host::clock::Clock;
use biosweep_server::local::{LocalError, WorkerOptions};
use serde::Serialize;

use self::cluster::Cluster;
use self::faults::Faults;
use crate::client::ClientError;

/// Why no verdict was reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChaosError {
    /// A process could not be run.
    #[error("{what}: {source}")]
    Process {
        /// What was tried.
        what: &'static str,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A coordinator ended by itself.
    #[error("the coordinator ended by itself ({status}); its log is {}", log.display())]
    CoordinatorEnded {
        /// How.
        status: String,
        /// Where it said why.
        log: PathBuf,
    },
    /// A worker ended by itself.
    #[error("worker {slot} ended by itself ({status}); its log is {}", log.display())]
    WorkerEnded {
        /// Which.
        slot: u32,
        /// How.
        status: String,
        /// Where it said why.
        log: PathBuf,
    },
    /// Nothing moves any more.
    #[error("the sweep stands still with {done} of {trials} trials done; what there is to see is in {}", home.display())]
    Stuck {
        /// Trials done.
        done: u64,
        /// Trials of the sweep.
        trials: u64,
        /// The home it ran in.
        home: PathBuf,
    },
    /// A worker cannot be started.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A coordinator does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What is to be run, and how badly.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The sweep's text.
    pub(crate) spec: String,
    /// How that is written.
    pub(crate) format: Format,
    /// Where it comes from, for messages.
    pub(crate) origin: String,
    /// Workers.
    pub(crate) workers: u32,
    /// Faults.
    pub(crate) faults: u32,
    /// What they are drawn from.
    pub(crate) seed: u64,
    /// Where to run: one folder for each of the two.
    pub(crate) home: PathBuf,
    /// The store of the disturbed run, where that is not a file in its home.
    pub(crate) store: Option<String>,
    /// The workers' program and what it needs.
    pub(crate) worker: WorkerOptions,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    /// Whether every trial of every disturbed sweep found what it found undisturbed, to the last bit.
    pub(crate) equal: bool,
    /// Faults that were done.
    pub(crate) faults: u32,
    /// Workers that were killed.
    pub(crate) workers_killed: u32,
    /// Coordinators that were killed.
    pub(crate) coordinators_killed: u32,
    /// Disturbed sweeps it took to do so many.
    pub(crate) sweeps: u32,
    /// Trials of each.
    pub(crate) trials: u64,
    /// Seconds undisturbed.
    pub(crate) calm_seconds: f64,
    /// Seconds disturbed, for all sweeps.
    pub(crate) chaos_seconds: f64,
    /// What differs, in words; the first few.
    pub(crate) differences: Vec<String>,
}

/// What a sweep found.
struct Found {
    results: Vec<ResultView>,
    curves: Vec<CurveView>,
}

/// Runs the sweep both ways. `say` hears what happens.
pub(crate) async fn run(options: &Options, mut say: impl FnMut(String)) -> Result<Verdict, ChaosError> {
    let clock = Clock::start();
    let mut calm = Cluster::start(options, "calm", None).await?;
    calm.submit().await?;
    let expected = calm.finish(&mut Faults::none(), &mut say).await?;
    calm.stop().await;
    let calm_seconds = clock.seconds();
    let trials = expected.results.len() as u64;
    say(format!("undisturbed: {trials} trials in {calm_seconds:.1} s"));

    let mut faults = Faults::new(options.seed, options.faults);
    let mut chaos = Cluster::start(options, "chaos", options.store.as_deref()).await?;
    let (mut sweeps, mut differences) = (0, Vec::new());
    while sweeps == 0 || faults.left > 0 {
        chaos.submit_while_it_is_killed(&mut faults).await?;
        let found = chaos.finish(&mut faults, &mut say).await?;
        sweeps += 1;
        differences.extend(compare(&found, &expected));
        say(format!("sweep {sweeps}: {} faults so far, {} differences", faults.done(), differences.len()));
    }
    chaos.stop().await;
    let equal = differences.is_empty();
    differences.truncate(10);
    Ok(Verdict {
        equal,
        faults: faults.done(),
        workers_killed: faults.workers_killed,
        coordinators_killed: faults.coordinators_killed,
        sweeps,
        trials,
        calm_seconds,
        chaos_seconds: clock.seconds() - calm_seconds,
        differences,
    })
}

/// What one run found and the other did not. Who trained a trial, how often it was tried and how long it took may differ.
fn compare(found: &Found, expected: &Found) -> Vec<String> {
    let result =
        |row: &ResultView| (row.trial, row.key, row.status, row.point.clone(), row.score.map(bits), row.updates);
    let curve = |row: &CurveView| {
        let points = row.points.iter();
        let points = points.map(|point| {
            let accuracies = (point.validation_accuracy.to_bits(), point.test_accuracy.map(f64::to_bits));
            (point.update, point.train_loss.to_bits(), accuracies)
        });
        (row.trajectory, points.collect::<Vec<_>>())
    };
    let mut differences = Vec::new();
    if found.results.len() != expected.results.len() || found.curves.len() != expected.curves.len() {
        differences.push(format!("{} trials have a result, not {}", found.results.len(), expected.results.len()));
    }
    for (one, other) in found.results.iter().zip(&expected.results) {
        if result(one) != result(other) {
            differences.push(format!("trial {}: {one:?}, not {other:?}", other.trial));
        }
    }
    for (one, other) in found.curves.iter().zip(&expected.curves) {
        if curve(one) != curve(other) {
            differences.push(format!("the curve of trajectory {}", other.trajectory));
        }
    }
    differences
}

fn bits(score: Score) -> (u64, u64, u64, u64) {
    (score.validation_accuracy.to_bits(), score.test_accuracy.to_bits(), score.best_update, score.updates)
}
