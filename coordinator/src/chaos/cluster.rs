//! Coordinators and workers that are killed, stopped and started again.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_server::local::{Coordinator, WorkerOptions};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt as _;
use tokio::process::{Child, Command};

use super::faults::Faults;
use super::{ChaosError, ChaosOptions, Found};
use crate::client::{Client, ClientError};

/// Minimum and maximum milliseconds between two faults.
const PAUSE_MS: (u64, u64) = (20, 900);
/// Minimum and maximum milliseconds until a killed coordinator is started again.
const DEAD_MS: (u64, u64) = (0, 1_500);
/// Of this many faults one is for each coordinator.
const COORDINATOR_ONE_IN: u32 = 4;
/// With two coordinators: minimum and maximum milliseconds for which one is stopped. The longer ones end its leadership.
const STOPPED_MS: (u64, u64) = (500, 8_000);
/// Seconds of silence after which a worker is lost; less than the default, so that the run is short.
const LEASE: &str = "3";
/// The time limit of a request while processes are killed and started.
const ANSWER: Duration = Duration::from_secs(2);
/// Milliseconds without progress and without a fault after which the sweep is stuck.
const STUCK_MS: u64 = 120_000;

/// Coordinators and workers in separate processes.
pub(super) struct Cluster<'a> {
    options: &'a ChaosOptions,
    worker: WorkerOptions,
    home: PathBuf,
    store: Option<&'a str>,
    coordinators: Vec<Member>,
    workers: Vec<(WorkerId, Child)>,
    sweep: String,
}

/// A coordinator.
struct Member {
    home: PathBuf,
    port: u16,
    child: Child,
}

impl Member {
    fn serve(home: PathBuf, store: Option<&str>, port: u16) -> Result<Self, ChaosError> {
        let child = serve(&home, store, port)?;
        Ok(Self { home, port, child })
    }
}

impl<'a> Cluster<'a> {
    pub(super) async fn start(
        options: &'a ChaosOptions,
        name: &str,
        store: Option<&'a str>,
        coordinators: u8,
    ) -> Result<Self, ChaosError> {
        let home = options.home.join(name);
        let worker = WorkerOptions { home: home.clone(), ..options.worker.clone() };
        let (workers, sweep) = (Vec::new(), String::new());
        let mut cluster = Self { options, worker, home, store, coordinators: Vec::new(), workers, sweep };
        for number in 1..=coordinators {
            let home = if number == 1 { cluster.home.clone() } else { options.home.join(format!("{name}-{number}")) };
            fs::create_dir_all(home.join("logs")).map_err(failed("a folder for the run"))?;
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
            let port = free.map_err(failed("a port"))?.port();
            cluster.coordinators.push(Member::serve(home, store, port)?);
        }
        let written = cluster.connection().write(&cluster.connection_path());
        written.map_err(|error| ChaosError::Process { what: "a connection file", source: io::Error::other(error) })?;
        for slot in 1..=options.workers {
            let id = new_id::<WorkerId>();
            let worker = cluster.start_worker(slot, id)?;
            cluster.workers.push((id, worker));
        }
        cluster.client().await?.close().await?;
        Ok(cluster)
    }

    /// How all coordinators are reached.
    fn connection(&self) -> ConnectionFile {
        let addresses = self.coordinators.iter().map(|member| format!("http://127.0.0.1:{}", member.port)).collect();
        ConnectionFile { addresses, store: None, token: None }
    }

    fn connection_path(&self) -> PathBuf {
        self.home.join("connection.json")
    }

    fn start_worker(&self, slot: u32, id: WorkerId) -> Result<Child, ChaosError> {
        Ok(self.worker.start(slot, id, &Coordinator::File(self.connection_path()))?)
    }

    /// A connection to the coordinator, as soon as it listens.
    async fn client(&mut self) -> Result<Client, ChaosError> {
        let clock = Clock::start();
        loop {
            match Client::reach(&self.connection()).await {
                Ok(client) => return Ok(client),
                Err(error) if clock.seconds() * 1e3 > STUCK_MS as f64 => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            self.check()?;
        }
    }

    pub(super) async fn submit(&mut self) -> Result<(), ChaosError> {
        let ChaosOptions { spec, format, origin, .. } = self.options;
        let mut client = self.client().await?;
        let (sweep, _) = client.submit(spec.clone(), *format, origin.clone(), true).await?;
        self.sweep = sweep.id.to_string();
        Ok(client.close().await?)
    }

    /// Submits like a user whose coordinator is killed before it answers: again, until there is an answer. A sweep
    /// whose answer was lost is cancelled.
    pub(super) async fn submit_while_it_is_killed(&mut self, faults: &mut Faults) -> Result<(), ChaosError> {
        if faults.left > 0 && faults.rng.random_bool(0.5) {
            let ChaosOptions { spec, format, origin, .. } = self.options;
            let (mut client, after) = (self.client().await?, faults.ms((0, 20)));
            tokio::select! {
                // The check below shows whether the submission was recorded.
                _answer = client.submit(spec.clone(), *format, origin.clone(), true) => {}
                () = tokio::time::sleep(after) => {}
            }
            drop(client);
            self.kill_coordinator(faults).await?;
            let mut client = self.client().await?;
            let unheard = client.list().await?.into_iter().filter(|sweep| !sweep.state.has_ended());
            for sweep in unheard {
                client.cancel(&sweep.id.to_string()).await?;
            }
            client.close().await?;
        }
        self.submit().await
    }

    /// Waits for the sweep's end while faults happen, and returns its results.
    pub(super) async fn finish(
        &mut self,
        faults: &mut Faults,
        say: &mut impl FnMut(String),
    ) -> Result<Found, ChaosError> {
        let (mut done, mut moved) = (0, Clock::start());
        loop {
            tokio::time::sleep(faults.ms(PAUSE_MS)).await;
            self.check()?;
            if let Some(sweep) = self.look().await {
                if sweep.state == SweepState::Finished {
                    break;
                }
                if sweep.state == SweepState::Paused {
                    return Err(ClientError::Failed(sweep.reason.unwrap_or_default()).into());
                }
                if sweep.ended() > done || faults.left > 0 {
                    (done, moved) = (sweep.ended(), Clock::start());
                }
                if moved.seconds() * 1e3 > STUCK_MS as f64 {
                    return Err(ChaosError::Stuck { done, trials: sweep.trials, home: self.home.clone() });
                }
            }
            if faults.left > 0 {
                let is_for_coordinator =
                    faults.rng.random_range(0..COORDINATOR_ONE_IN) < self.coordinators.len() as u32;
                if is_for_coordinator && self.coordinators.len() > 1 && faults.rng.random_bool(0.5) {
                    self.stop_coordinator(faults).await?;
                } else if is_for_coordinator {
                    self.kill_coordinator(faults).await?;
                } else {
                    self.kill_worker(faults).await?;
                }
                if faults.done().is_multiple_of(25) {
                    say(format!("{} faults, {done} trials of this sweep done", faults.done()));
                }
            }
        }
        let mut client = self.client().await?;
        let (results, curves) = (client.results(&self.sweep).await?, client.curves(&self.sweep).await?);
        client.close().await?;
        Ok(Found { results, curves })
    }

    /// The state of the sweep; `None` if the coordinator does not answer now.
    async fn look(&self) -> Option<SweepView> {
        let look = async {
            let mut client = Client::reach(&self.connection()).await.ok()?;
            Some(client.show(&self.sweep).await.ok()?.sweep)
        };
        tokio::time::timeout(ANSWER, look).await.ok().flatten()
    }

    async fn kill_worker(&mut self, faults: &mut Faults) -> Result<(), ChaosError> {
        let place = faults.rng.random_range(0..self.workers.len());
        let (id, child) = &mut self.workers[place];
        child.kill().await.map_err(failed("killing a worker"))?;
        // The new process either has the same id or takes over the spool of the killed one.
        if faults.rng.random_bool(0.5) {
            *id = new_id::<WorkerId>();
        }
        let slot = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let id = *id;
        self.workers[place].1 = self.start_worker(slot, id)?;
        faults.left -= 1;
        faults.workers_killed += 1;
        Ok(())
    }

    async fn kill_coordinator(&mut self, faults: &mut Faults) -> Result<(), ChaosError> {
        let place = faults.rng.random_range(0..self.coordinators.len());
        let member = &mut self.coordinators[place];
        member.child.kill().await.map_err(failed("killing a coordinator"))?;
        tokio::time::sleep(faults.ms(DEAD_MS)).await;
        member.child = serve(&member.home, self.store, member.port)?;
        faults.left -= 1;
        faults.coordinators_killed += 1;
        Ok(())
    }

    /// Stops a coordinator for some time, so that another one takes over, and lets it run on.
    async fn stop_coordinator(&mut self, faults: &mut Faults) -> Result<(), ChaosError> {
        let place = faults.rng.random_range(0..self.coordinators.len());
        let child = &self.coordinators[place].child;
        let send = |signal| match child.id().and_then(|id| i32::try_from(id).ok()) {
            Some(id) => kill(Pid::from_raw(id), signal).map_err(|error| failed("stopping a coordinator")(error.into())),
            // It has ended, which is noticed elsewhere.
            None => Ok(()),
        };
        send(Signal::SIGSTOP)?;
        tokio::time::sleep(faults.ms(STOPPED_MS)).await;
        send(Signal::SIGCONT)?;
        faults.left -= 1;
        faults.coordinators_stopped += 1;
        Ok(())
    }

    /// Checks that all processes that should run are running.
    fn check(&mut self) -> Result<(), ChaosError> {
        let ended = |child: &mut Child| child.try_wait().map_err(failed("a process"));
        for member in &mut self.coordinators {
            if let Some(status) = ended(&mut member.child)? {
                let log = serve_log(&member.home);
                return Err(ChaosError::CoordinatorEnded { status: status.to_string(), log });
            }
        }
        for (slot, (_, child)) in (1..).zip(&mut self.workers) {
            if let Some(status) = ended(child)? {
                let log = self.worker.log_of(slot);
                return Err(ChaosError::WorkerEnded { slot, status: status.to_string(), log });
            }
        }
        Ok(())
    }

    pub(super) async fn stop(mut self) {
        for (_, worker) in &mut self.workers {
            // An error means that the worker has ended already.
            drop(worker.kill().await);
        }
        for member in &mut self.coordinators {
            drop(member.child.kill().await);
        }
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
    command
        .args(["serve", "--standby", "--lease", LEASE, "--listen", &format!("127.0.0.1:{port}"), "--home"])
        .arg(home);
    command.args(store.iter().flat_map(|store| ["--store", store]));
    let log_too = log.try_clone().map_err(failed("a log"))?;
    command.stdin(Stdio::null()).stdout(log).stderr(log_too).process_group(0).kill_on_drop(true);
    command.spawn().map_err(failed("starting a coordinator"))
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> ChaosError {
    move |source| ChaosError::Process { what, source }
}
