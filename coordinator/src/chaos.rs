//! A small sweep run twice: once undisturbed, and once while its workers and its coordinator are killed again and again,
//! seeded. What both find must be the same.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use biosweep_common::clock::Clock;
use biosweep_common::ids::WorkerId;
use biosweep_common::outcome::SweepState;
use biosweep_common::spec::Format;
use biosweep_common::views::{CurveView, ResultView};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::process::{Child, Command};

use crate::client::{Client, ClientError};
use crate::local::{LocalError, WorkerOptions};

/// Milliseconds between two faults: least and greatest.
const PAUSE_MS: (u64, u64) = (20, 900);
/// Milliseconds a coordinator stays dead: least and greatest.
const DEAD_MS: (u64, u64) = (0, 1_500);
/// Of so many faults one is for the coordinator.
const COORDINATOR_ONE_IN: u32 = 4;
/// Seconds after which a silent worker is lost: less than usual, so that the sweep is over soon.
const LEASE: &str = "3";
/// How long a question may take while everything dies and starts.
const ANSWER: Duration = Duration::from_secs(2);
/// Milliseconds without a trial more done and without a fault, after which the sweep is stuck.
const STUCK_MS: u64 = 120_000;

/// Why no verdict was reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChaosError {
    /// A process could not be run.
    #[error("{what}: {source}")]
    Process {
        /// What was tried.
        what: &'static str,
        /// What the system said.
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
    let expected = calm.finish(&mut Trouble::none(), &mut say).await?;
    calm.stop().await;
    let calm_seconds = clock.seconds();
    let trials = expected.results.len() as u64;
    say(format!("undisturbed: {trials} trials in {calm_seconds:.1} s"));

    let mut trouble = Trouble::new(options.seed, options.faults);
    let mut chaos = Cluster::start(options, "chaos", options.store.as_deref()).await?;
    let (mut sweeps, mut differences) = (0, Vec::new());
    while sweeps == 0 || trouble.left > 0 {
        chaos.submit_while_it_is_killed(&mut trouble).await?;
        let found = chaos.finish(&mut trouble, &mut say).await?;
        sweeps += 1;
        differences.extend(compare(&found, &expected));
        say(format!("sweep {sweeps}: {} faults so far, {} differences", trouble.done(), differences.len()));
    }
    chaos.stop().await;
    let equal = differences.is_empty();
    differences.truncate(10);
    Ok(Verdict {
        equal,
        faults: trouble.done(),
        workers_killed: trouble.workers_killed,
        coordinators_killed: trouble.coordinators_killed,
        sweeps,
        trials,
        calm_seconds,
        chaos_seconds: clock.seconds() - calm_seconds,
        differences,
    })
}

/// Faults that are to come.
struct Trouble {
    rng: ChaCha8Rng,
    left: u32,
    workers_killed: u32,
    coordinators_killed: u32,
}

impl Trouble {
    fn new(seed: u64, faults: u32) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), left: faults, workers_killed: 0, coordinators_killed: 0 }
    }

    fn none() -> Self {
        Self::new(0, 0)
    }

    fn done(&self) -> u32 {
        self.workers_killed + self.coordinators_killed
    }

    fn ms(&mut self, (least, greatest): (u64, u64)) -> Duration {
        Duration::from_millis(self.rng.random_range(least..=greatest))
    }
}

/// A coordinator and workers as processes of their own.
struct Cluster<'a> {
    options: &'a Options,
    worker: WorkerOptions,
    home: PathBuf,
    store: Option<&'a str>,
    port: u16,
    coordinator: Child,
    workers: Vec<(WorkerId, Child)>,
    sweep: String,
}

impl<'a> Cluster<'a> {
    async fn start(options: &'a Options, name: &str, store: Option<&'a str>) -> Result<Self, ChaosError> {
        let home = options.home.join(name);
        fs::create_dir_all(home.join("logs")).map_err(failed("a folder for the run"))?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let port = free.map_err(failed("a port"))?.port();
        let worker = WorkerOptions { home: home.clone(), ..options.worker.clone() };
        let coordinator = serve(&home, store, port)?;
        let mut cluster =
            Self { options, worker, home, store, port, coordinator, workers: Vec::new(), sweep: String::new() };
        for slot in 1..=options.workers {
            let id = WorkerId::new();
            cluster.workers.push((id, cluster.worker.start(slot, id, &cluster.url())?));
        }
        cluster.client().await?.close().await?;
        Ok(cluster)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A way to the coordinator, as soon as it is up.
    async fn client(&mut self) -> Result<Client, ChaosError> {
        let clock = Clock::start();
        loop {
            match Client::reach(&self.url()).await {
                Ok(client) => return Ok(client),
                Err(error) if clock.seconds() * 1e3 > STUCK_MS as f64 => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            self.check()?;
        }
    }

    async fn submit(&mut self) -> Result<(), ChaosError> {
        let Options { spec, format, origin, .. } = self.options;
        let mut client = self.client().await?;
        let (sweep, _) = client.submit(spec.clone(), *format, origin.clone(), true).await?;
        self.sweep = sweep.id.to_string();
        Ok(client.close().await?)
    }

    /// Submits as people do whose coordinator dies before it answers: again, until there is an answer. A sweep whose
    /// answer was lost is cancelled.
    async fn submit_while_it_is_killed(&mut self, trouble: &mut Trouble) -> Result<(), ChaosError> {
        if trouble.left > 0 && trouble.rng.random_bool(0.5) {
            let Options { spec, format, origin, .. } = self.options;
            let (mut client, after) = (self.client().await?, trouble.ms((0, 20)));
            tokio::select! {
                // Whether it was taken in is seen below.
                _answer = client.submit(spec.clone(), *format, origin.clone(), true) => {}
                () = tokio::time::sleep(after) => {}
            }
            drop(client);
            self.kill_coordinator(trouble).await?;
            let mut client = self.client().await?;
            let unheard = client.list().await?.into_iter().filter(|sweep| !sweep.state.has_ended());
            for sweep in unheard {
                client.cancel(&sweep.id.to_string()).await?;
            }
            client.close().await?;
        }
        self.submit().await
    }

    /// Waits for the sweep's end, with faults as they come; what it found.
    async fn finish(&mut self, trouble: &mut Trouble, say: &mut impl FnMut(String)) -> Result<Found, ChaosError> {
        let (mut done, mut moved) = (0, Clock::start());
        loop {
            tokio::time::sleep(trouble.ms(PAUSE_MS)).await;
            self.check()?;
            if let Some(sweep) = self.look().await {
                if sweep.state == SweepState::Finished {
                    break;
                }
                if sweep.state == SweepState::Paused {
                    return Err(ClientError::Failed(sweep.reason.unwrap_or_default()).into());
                }
                if sweep.ended() > done || trouble.left > 0 {
                    (done, moved) = (sweep.ended(), Clock::start());
                }
                if moved.seconds() * 1e3 > STUCK_MS as f64 {
                    return Err(ChaosError::Stuck { done, trials: sweep.trials, home: self.home.clone() });
                }
            }
            if trouble.left > 0 {
                if trouble.rng.random_range(0..COORDINATOR_ONE_IN) == 0 {
                    self.kill_coordinator(trouble).await?;
                } else {
                    self.kill_worker(trouble).await?;
                }
                if trouble.done().is_multiple_of(25) {
                    say(format!("{} faults, {done} trials of this sweep done", trouble.done()));
                }
            }
        }
        let mut client = self.client().await?;
        let (results, curves) = (client.results(&self.sweep).await?, client.curves(&self.sweep).await?);
        client.close().await?;
        Ok(Found { results, curves })
    }

    /// How the sweep stands; `None` where nobody answers at present.
    async fn look(&self) -> Option<biosweep_common::views::SweepView> {
        let look = async {
            let mut client = Client::reach(&self.url()).await.ok()?;
            Some(client.show(&self.sweep).await.ok()?.sweep)
        };
        tokio::time::timeout(ANSWER, look).await.ok().flatten()
    }

    async fn kill_worker(&mut self, trouble: &mut Trouble) -> Result<(), ChaosError> {
        let place = trouble.rng.random_range(0..self.workers.len());
        let (id, child) = &mut self.workers[place];
        child.kill().await.map_err(failed("killing a worker"))?;
        // Sometimes it comes back as itself; sometimes another one takes up what it left.
        if trouble.rng.random_bool(0.5) {
            *id = WorkerId::new();
        }
        let slot = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let id = *id;
        self.workers[place].1 = self.worker.start(slot, id, &self.url())?;
        trouble.left -= 1;
        trouble.workers_killed += 1;
        Ok(())
    }

    async fn kill_coordinator(&mut self, trouble: &mut Trouble) -> Result<(), ChaosError> {
        self.coordinator.kill().await.map_err(failed("killing the coordinator"))?;
        tokio::time::sleep(trouble.ms(DEAD_MS)).await;
        self.coordinator = serve(&self.home, self.store, self.port)?;
        trouble.left -= 1;
        trouble.coordinators_killed += 1;
        Ok(())
    }

    /// Whether all live that should.
    fn check(&mut self) -> Result<(), ChaosError> {
        let ended = |child: &mut Child| child.try_wait().map_err(failed("a process"));
        if let Some(status) = ended(&mut self.coordinator)? {
            let log = serve_log(&self.home);
            return Err(ChaosError::CoordinatorEnded { status: status.to_string(), log });
        }
        for (slot, (_, child)) in (1..).zip(&mut self.workers) {
            if let Some(status) = ended(child)? {
                let log = self.worker.log_of(slot);
                return Err(ChaosError::WorkerEnded { slot, status: status.to_string(), log });
            }
        }
        Ok(())
    }

    async fn stop(mut self) {
        for (_, worker) in &mut self.workers {
            // Already gone is as good.
            drop(worker.kill().await);
        }
        drop(self.coordinator.kill().await);
    }
}

fn serve_log(home: &Path) -> PathBuf {
    home.join("logs").join("serve.log")
}

/// Starts a coordinator that ends with this process.
fn serve(home: &Path, store: Option<&str>, port: u16) -> Result<Child, ChaosError> {
    let program = std::env::current_exe().map_err(failed("this program"))?;
    let log = fs::File::options().create(true).append(true).open(serve_log(home)).map_err(failed("a log"))?;
    let mut command = Command::new(program);
    command.args(["serve", "--lease", LEASE, "--listen", &format!("127.0.0.1:{port}"), "--home"]).arg(home);
    command.args(store.iter().flat_map(|store| ["--store", store]));
    let log_too = log.try_clone().map_err(failed("a log"))?;
    command.stdin(Stdio::null()).stdout(log).stderr(log_too).process_group(0).kill_on_drop(true);
    command.spawn().map_err(failed("starting a coordinator"))
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> ChaosError {
    move |source| ChaosError::Process { what, source }
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

fn bits(score: biosweep_common::curve::Score) -> (u64, u64, u64, u64) {
    (score.validation_accuracy.to_bits(), score.test_accuracy.to_bits(), score.best_update, score.updates)
}
