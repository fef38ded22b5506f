//! Two coordinators of one database, and workers that know both.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use super::{SPEC, TRIALS, findings, pid};
use crate::{Home, program, until, until_ended, without_variables};

/// How a coordinator of a pair is started.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its address.
    pub address: Ipv4Addr,
    /// The address of its database.
    pub store: String,
    /// The command that starts it, such as `ip netns exec NAME`.
    pub through: Vec<OsString>,
}

/// Processes that are killed when this value is dropped.
#[derive(Debug)]
pub struct Pair {
    members: [Member; 2],
    ports: [u16; 2],
    homes: [Home; 2],
    coordinators: [Option<Child>; 2],
    home: Home,
    /// The command that starts workers and commands.
    through: Vec<OsString>,
    workers: Vec<Child>,
}

impl Pair {
    /// Without processes.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn new(members: [Member; 2], through: Vec<OsString>) -> Self {
        let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
        let ports = sockets.map(|socket| socket.local_addr().expect("it has one").port());
        let pair = Self {
            members,
            ports,
            homes: Default::default(),
            coordinators: [None, None],
            home: Home::default(),
            through,
            workers: Vec::new(),
        };
        let connection = json!({ "addresses": [pair.url(0), pair.url(1)] }).to_string();
        fs::write(pair.connection(), connection).expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(pair.connection(), mode).expect("it is ours");
        pair
    }

    /// On this machine, with one database.
    #[must_use]
    pub fn of(store: &str) -> Self {
        let member = Member { address: Ipv4Addr::LOCALHOST, store: store.to_owned(), through: Vec::new() };
        Self::new([member.clone(), member], Vec::new())
    }

    fn url(&self, which: usize) -> String {
        format!("http://{}:{}", self.members[which].address, self.ports[which])
    }

    fn connection(&self) -> PathBuf {
        self.home.path().join("connection.json")
    }

    fn log(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.home.path().join(name)).expect("a log")
    }

    /// What a process has written.
    ///
    /// # Panics
    /// If there is no such log.
    #[must_use]
    pub fn printed(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).expect("a log")
    }

    /// Starts a coordinator.
    ///
    /// # Panics
    /// If it does not start.
    pub fn serve(&mut self, which: usize) {
        let member = &self.members[which];
        let mut command = command(&member.through, "biosweep");
        command.args(["serve", "--standby", "--insecure", "--lease", "5", "--store", &member.store]);
        command.arg("--listen").arg(format!("{}:{}", member.address, self.ports[which]));
        command.arg("--home").arg(self.homes[which].path());
        let name = format!("serve-{which}.log");
        let child = command.stdout(self.log(&name)).stderr(self.log(&name)).spawn();
        self.coordinators[which] = Some(child.expect("biosweep starts"));
    }

    /// Starts a worker.
    ///
    /// # Panics
    /// If it does not start.
    pub fn work(&mut self) {
        let mut command = command(&self.through, "biosweep-worker");
        command.arg("--connection").arg(self.connection()).arg("--home").arg(self.home.path());
        let name = format!("worker-{}.log", self.workers.len());
        let child = command.stdout(self.log(&name)).stderr(self.log(&name)).spawn();
        self.workers.push(child.expect("the worker starts"));
    }

    /// Sends a signal to a coordinator.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, which: usize, signal: Signal) {
        kill(pid(self.coordinators[which].as_ref().expect("it was started")), signal).expect("it runs");
    }

    /// Ends a coordinator as a crash does.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self, which: usize) {
        self.signal(which, Signal::SIGKILL);
        let _status = until_ended(self.coordinators[which].as_mut().expect("it was started"));
    }

    /// Runs `biosweep` with the connection file of both; returns its JSON answer if it succeeds.
    #[must_use]
    pub fn try_json(&self, arguments: &[&str]) -> Option<Value> {
        self.asking(arguments).arg("--connection").arg(self.connection()).json()
    }

    /// The same until it succeeds.
    ///
    /// # Panics
    /// After two minutes.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        until("a coordinator answers", || self.try_json(arguments))
    }

    fn asking(&self, arguments: &[&str]) -> Asking {
        let mut asking = Asking(command(&self.through, "biosweep"));
        asking.0.args(arguments).args(["--output", "json"]).arg("--home").arg(self.home.path());
        asking
    }

    /// Whether a coordinator serves the store.
    #[must_use]
    pub fn serves(&self, which: usize) -> bool {
        self.asking(&["list"]).arg("--coordinator").arg(self.url(which)).json().is_some()
    }

    /// Waits until a coordinator serves.
    ///
    /// # Panics
    /// After two minutes.
    pub fn until_serves(&self, which: usize) {
        until("a coordinator takes over", || self.serves(which).then_some(()));
    }

    /// Submits [`SPEC`] and waits until a worker trains.
    pub fn submit(&self) {
        let spec = self.home.spec(SPEC);
        let _sweep = self.json(&["submit", &spec.to_string_lossy()]);
        until("a worker trains", || {
            let status = self.try_json(&["show", "small"])?;
            let workers = status["workers"].as_array()?.clone();
            workers.iter().any(|worker| worker["training"] != Value::Array(Vec::new())).then_some(())
        });
    }

    /// Waits for the sweep's end and returns the results that must not depend on faults.
    #[must_use]
    pub fn findings(&self) -> String {
        until("the sweep is done", || self.try_json(&["show", "small"]).filter(|status| status["state"] == "finished"));
        findings(|arguments| self.json(arguments), TRIALS)
    }
}

/// A command of `biosweep` that answers with JSON.
struct Asking(Command);

impl Asking {
    fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    fn json(mut self) -> Option<Value> {
        let output = self.0.output().expect("biosweep starts");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("an answer in JSON"))
    }
}

fn command(through: &[OsString], name: &str) -> Command {
    let mut command = match through {
        [first, arguments @ ..] => {
            let mut command = Command::new(first);
            command.args(arguments).arg(program(name));
            command
        }
        [] => Command::new(program(name)),
    };
    without_variables(&mut command);
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

impl Drop for Pair {
    fn drop(&mut self) {
        for child in self.workers.iter_mut().chain(self.coordinators.iter_mut().flatten()) {
            // A stopped process must continue before it can be killed. An error means that it has ended.
            let _ended = kill(pid(child), Signal::SIGCONT);
            drop(child.kill());
            drop(child.wait());
        }
    }
}
