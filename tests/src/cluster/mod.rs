//! A coordinator and workers in separate processes, as on a cluster.
//!
//! | module | contents |
//! |---|---|
//! | this module | without protection, on this machine |
//! | [`pair`] | two coordinators of one database |
//! | [`secured`] | with TLS and tokens |
//! | [`slurm`] | a real Slurm cluster on this machine |

pub mod pair;
pub mod secured;
pub mod slurm;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::{Home, program, until, until_ended, without_variables};

/// Six trajectories with twelve trials that take half a second or a second each, with frequent checkpoints.
pub const SPEC: &str = r#"
name = "small"
checkpoint_every_s = 0.1
[data]
dataset = "synthetic-digits"
[train]
optimizer = "adam"
learning_rate = 1e-3
eval_every = 100
hidden = 32
[grid]
rule = ["bp", "fa", "dtp"]
network = "dn"
depth = 3
seed = [0, 1]
max_updates = [400, 900]
"#;
/// Number of trials of [`SPEC`].
pub const TRIALS: usize = 12;

/// Twelve trials of one update each, for workers that do not really train.
pub const QUICK_SPEC: &str = r#"
name = "small"
[data]
dataset = "synthetic-digits"
[train]
max_updates = 1
[grid]
rule = "bp"
network = "nn"
depth = 1
seed = { from = 0, count = 12 }
"#;

/// Seconds of silence after which a worker of these clusters is lost.
const LEASE: &str = "2";

/// Processes that are killed when this value is dropped.
#[derive(Debug)]
pub struct Cluster {
    home: Home,
    /// The home of the coordinator, which may differ from that of the workers.
    coordinator_home: PathBuf,
    address: Ipv4Addr,
    port: u16,
    store: Option<String>,
    /// The command that starts each program, by the name of the program, such as `ip netns exec NAME`.
    through: BTreeMap<&'static str, Vec<OsString>>,
    coordinator: Option<Child>,
    workers: Vec<Child>,
}

impl Cluster {
    /// A cluster without processes.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn new(store: Option<String>) -> Self {
        let home = Home::default();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        Self {
            coordinator_home: home.path().to_owned(),
            home,
            address: Ipv4Addr::LOCALHOST,
            port: free.expect("a free port").port(),
            store,
            through: BTreeMap::new(),
            coordinator: None,
            workers: Vec::new(),
        }
    }

    /// Gives the coordinator another home.
    #[must_use]
    pub fn with_coordinator_home(mut self, home: &Path) -> Self {
        home.clone_into(&mut self.coordinator_home);
        self
    }

    /// Sets the coordinator's address, and the commands that start the programs with these names.
    #[must_use]
    pub fn with_network(mut self, address: Ipv4Addr, through: [(&'static str, Vec<OsString>); 2]) -> Self {
        self.address = address;
        self.through.extend(through);
        self
    }

    /// The home of the workers.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The coordinator's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.address, self.port)
    }

    fn command(&self, name: &'static str) -> Command {
        let mut command = match self.through.get(name).map(Vec::as_slice) {
            Some([through, arguments @ ..]) => {
                let mut command = Command::new(through);
                command.args(arguments).arg(program(name));
                command
            }
            _ => Command::new(program(name)),
        };
        without_variables(&mut command);
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    fn log(&self, name: &str) -> Stdio {
        let path = self.home.path().join(name);
        std::fs::File::options().create(true).append(true).open(path).expect("a log can be written").into()
    }

    /// Starts the coordinator.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn serve(&mut self) {
        let mut command = self.command("biosweep");
        command
            .args(["serve", "--lease", LEASE, "--insecure", "--listen"])
            .arg(format!("{}:{}", self.address, self.port));
        command.arg("--home").arg(&self.coordinator_home);
        command.args(self.store.iter().flat_map(|store| ["--store", store]));
        let child = command.stdout(self.log("serve.log")).stderr(self.log("serve.log")).spawn();
        self.coordinator = Some(child.expect("the coordinator starts"));
    }

    /// Starts a worker with these extra arguments and variables, and returns its process id.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn work(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> Pid {
        let mut command = self.command("biosweep-worker");
        command.args(["--coordinator", &self.url()]).arg("--home").arg(self.home.path()).args(arguments);
        command.envs(variables.iter().copied());
        let log = format!("worker-{}.log", self.workers.len() + 1);
        let child = command.stdout(self.log(&log)).stderr(self.log(&log)).spawn().expect("the worker starts");
        let pid = pid(&child);
        self.workers.push(child);
        pid
    }

    /// The process of the latest worker.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn last_worker(&mut self) -> &mut Child {
        self.workers.last_mut().expect("a worker")
    }

    /// Kills the coordinator, like a crash.
    ///
    /// # Panics
    /// If there is none.
    pub fn kill_coordinator(&mut self) {
        self.end_coordinator(Signal::SIGKILL);
    }

    /// Ends the coordinator by a signal and returns its exit status.
    ///
    /// # Panics
    /// If there is none, or it does not end.
    pub fn end_coordinator(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.coordinator.take().expect("a coordinator");
        kill(pid(&child), signal).expect("it runs");
        until_ended(&mut child)
    }

    /// Kills the latest worker, like a crash.
    ///
    /// # Panics
    /// If there is none.
    pub fn kill_worker(&mut self) {
        let mut child = self.workers.pop().expect("a worker");
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    }

    /// Runs `biosweep` with the coordinator's address, and returns its JSON answer if it succeeds.
    #[must_use]
    pub fn try_json(&self, arguments: &[&str]) -> Option<Value> {
        let output = self.asking(arguments).args(["--output", "json"]).output().expect("biosweep starts");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("an answer in JSON"))
    }

    /// Repeats the command until it succeeds.
    ///
    /// # Panics
    /// After two minutes without success.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        until("the coordinator answers", || self.try_json(arguments))
    }

    /// Submits [`SPEC`].
    pub fn submit(&self) {
        let spec = self.home.spec(SPEC);
        let _sweep = self.json(&["submit", &spec.to_string_lossy()]);
    }

    /// The command that submits [`SPEC`].
    #[must_use]
    pub fn submission(&self) -> Command {
        let spec = self.home.spec(SPEC);
        self.asking(&["submit", &spec.to_string_lossy()])
    }

    /// The command `biosweep` with the coordinator's address.
    #[must_use]
    pub fn asking(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("biosweep");
        command.args(arguments).args(["--coordinator", &self.url()]).arg("--home").arg(self.home.path());
        command
    }

    /// Waits until the answer of `show` meets a condition.
    ///
    /// # Panics
    /// After two minutes without it.
    pub fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        until(what, || self.try_json(&["show", "small"]).filter(|status| condition(status)))
    }

    /// Waits until a worker trains and there is a checkpoint.
    pub fn until_in_full_swing(&self) {
        let swings = |status: &Value| {
            let workers = status["workers"].as_array().cloned().unwrap_or_default();
            workers.iter().any(|worker| worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty()))
        };
        self.until("a worker trains", swings);
        until("there is a checkpoint", || self.checkpoints().into_iter().next());
    }

    /// The paths of all checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.home.path().join("checkpoints")];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|ending| ending == "safetensors") {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Waits for the sweep's end and returns the results that must not depend on faults.
    ///
    /// # Panics
    /// If the sweep does not end.
    #[must_use]
    pub fn findings(&self) -> String {
        self.until("the sweep is done", |status| status["state"] == "finished");
        findings(|arguments| self.json(arguments), TRIALS)
    }

    /// The content of a worker's log.
    ///
    /// # Panics
    /// If there is no such log.
    #[must_use]
    pub fn printed(&self, log: &str) -> String {
        std::fs::read_to_string(self.home.path().join(log)).expect("a log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.workers.iter_mut().chain(&mut self.coordinator) {
            // A stopped process must continue before it can be killed. An error means that it has ended.
            let _ended = kill(pid(child), Signal::SIGCONT);
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The results that must not depend on faults, of a sweep that is done.
///
/// # Panics
/// If a trial does not have exactly one result.
fn findings(json: impl Fn(&[&str]) -> Value, trials: usize) -> String {
    let rows = json(&["results", "small"]);
    let rows = rows.as_array().expect("an array");
    let found: Vec<u64> = rows.iter().filter_map(|row| row["trial"].as_u64()).collect();
    assert_eq!(found, (0..trials as u64).collect::<Vec<_>>(), "each trial has one result");
    let curves = json(&["results", "small", "--curves"]);
    let of = |row: &Value| {
        ["key", "status", "validation_accuracy", "test_accuracy", "best_update", "updates"]
            .map(|column| row[column].to_string())
            .join(" ")
    };
    rows.iter().map(of).collect::<Vec<_>>().join("\n") + &curves.to_string()
}

/// The id of a process.
///
/// # Panics
/// If the id does not fit, which does not happen.
#[must_use]
pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}
