//! Runs a small sweep twice: once normally, and once while its workers and its coordinators are killed or stopped at random times
//! that follow from a seed. The results must be equal.

mod cluster;
mod faults;

use std::io;
use std::path::PathBuf;

use biosweep_common::results::curve::Score;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::spec::Format;
use biosweep_host::clock::Clock;
use biosweep_server::local::{LocalError, WorkerOptions};
use serde::Serialize;

use self::cluster::Cluster;
use self::faults::Faults;
use crate::client::ClientError;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChaosError {
    /// A process could not be started or ended.
    #[error("{what}: {source}")]
    Process {
        /// The operation.
        what: &'static str,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A coordinator ended unexpectedly.
    #[error("the coordinator ended unexpectedly ({status}); its log is {}", log.display())]
    CoordinatorEnded {
        /// The exit status.
        status: String,
        /// The path of its log.
        log: PathBuf,
    },
    /// A worker ended unexpectedly.
    #[error("worker {slot} ended unexpectedly ({status}); its log is {}", log.display())]
    WorkerEnded {
        /// The number of the worker.
        slot: u32,
        /// The exit status.
        status: String,
        /// The path of its log.
        log: PathBuf,
    },
    /// The sweep makes no progress.
    #[error("the sweep makes no progress with {done} of {trials} trials done; see the logs in {}", home.display())]
    Stuck {
        /// Number of trials done.
        done: u64,
        /// Number of trials of the sweep.
        trials: u64,
        /// The home of the run.
        home: PathBuf,
    },
    /// A worker cannot be started.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A coordinator does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The options of a chaos run.
#[derive(Debug, Clone)]
pub(crate) struct ChaosOptions {
    /// The text of the spec.
    pub(crate) spec: String,
    /// The format of the spec.
    pub(crate) format: Format,
    /// The origin of the spec, for messages.
    pub(crate) origin: String,
    /// Number of workers.
    pub(crate) workers: u32,
    /// Number of coordinators.
    pub(crate) coordinators: u8,
    /// Number of faults.
    pub(crate) faults: u32,
    /// The seed of the faults.
    pub(crate) seed: u64,
    /// The folder of the two homes.
    pub(crate) home: PathBuf,
    /// The store of the run with faults; `None` for a file in its home.
    pub(crate) store: Option<String>,
    /// The worker program and its options.
    pub(crate) worker: WorkerOptions,
}

/// The result of a chaos run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChaosVerdict {
    /// Whether all results of all runs with faults are equal to those without, to the last bit.
    pub(crate) equal: bool,
    /// Number of faults.
    pub(crate) faults: u32,
    /// Number of workers killed.
    pub(crate) workers_killed: u32,
    /// Number of coordinators killed.
    pub(crate) coordinators_killed: u32,
    /// Number of coordinators stopped for some seconds.
    pub(crate) coordinators_stopped: u32,
    /// Number of sweeps run until all faults had happened.
    pub(crate) sweeps: u32,
    /// Number of trials of each sweep.
    pub(crate) trials: u64,
    /// Seconds of the run without faults.
    pub(crate) calm_seconds: f64,
    /// Seconds of all runs with faults.
    pub(crate) chaos_seconds: f64,
    /// The first differences, as text.
    pub(crate) differences: Vec<String>,
}

/// The results and curves of a sweep.
struct Found {
    results: Vec<ResultView>,
    curves: Vec<CurveView>,
}

/// Runs the sweep without and with faults. `say` receives a line for each step.
pub(crate) async fn run(options: &ChaosOptions, mut say: impl FnMut(String)) -> Result<ChaosVerdict, ChaosError> {
    let clock = Clock::start();
    let mut calm = Cluster::start(options, "calm", None, 1).await?;
    calm.submit().await?;
    let expected = calm.finish(&mut Faults::none(), &mut say).await?;
    calm.stop().await;
    let calm_seconds = clock.seconds();
    let trials = expected.results.len() as u64;
    say(format!("without faults: {trials} trials in {calm_seconds:.1} s"));

    let mut faults = Faults::new(options.seed, options.faults);
    let mut chaos = Cluster::start(options, "chaos", options.store.as_deref(), options.coordinators).await?;
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
    Ok(ChaosVerdict {
        equal,
        faults: faults.done(),
        workers_killed: faults.workers_killed,
        coordinators_killed: faults.coordinators_killed,
        coordinators_stopped: faults.coordinators_stopped,
        sweeps,
        trials,
        calm_seconds,
        chaos_seconds: clock.seconds() - calm_seconds,
        differences,
    })
}

/// The differences between two runs. The worker, the number of attempts and the duration of a trial may differ.
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
