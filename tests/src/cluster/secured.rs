//! A coordinator with TLS and tokens, and programs that connect to it with connection files.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::cluster::pid;
use crate::{Home, until, until_ended};

/// A coordinator with certificates. Its processes are killed when this value is dropped.
#[derive(Debug)]
pub struct Secured {
    home: Home,
    /// A home without a store, for commands on another machine.
    elsewhere: Home,
    coordinator: Option<Child>,
    workers: Vec<(Child, Home)>,
}

impl Default for Secured {
    fn default() -> Self {
        let home = Home::default();
        let _made = home.answer(&["certs", "init"]);
        let mut secured = Self { home, elsewhere: Home::default(), coordinator: None, workers: Vec::new() };
        secured.serve();
        secured
    }
}

impl Secured {
    /// Starts the coordinator, which listens on any free port of this machine.
    ///
    /// # Panics
    /// If it does not start.
    pub fn serve(&mut self) {
        // A coordinator that was killed leaves its file.
        drop(std::fs::remove_file(self.home.path().join("coordinator.json")));
        let log = std::fs::File::create(self.home.path().join("serve.log")).expect("a log");
        let mut command = self.home.biosweep(&["serve", "--listen", "127.0.0.1:0"]);
        command.stderr(log.try_clone().expect("the same log")).stdout(log);
        self.coordinator = Some(command.spawn().expect("biosweep starts"));
        until("the coordinator listens", || self.home.is_announced().then_some(()));
    }

    /// The home of the coordinator.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The folder with the certificates.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.home.path().join("certs")
    }

    /// The address of the coordinator.
    ///
    /// # Panics
    /// If it is not running.
    #[must_use]
    pub fn url(&self) -> String {
        let file = std::fs::read(self.home.path().join("coordinator.json")).expect("it is running");
        let file: Value = serde_json::from_slice(&file).expect("JSON");
        file["addresses"][0].as_str().expect("an address").to_owned()
    }

    /// The resident memory of the coordinator in MiB.
    ///
    /// # Panics
    /// If it is not running.
    #[must_use]
    pub fn resident_mib(&self) -> f64 {
        let process = self.coordinator.as_ref().expect("a coordinator").id();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux has it");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }

    /// Makes a token, and returns the path of its connection file and its id.
    #[must_use]
    pub fn token(&self, role: &str, more: &[&str]) -> (PathBuf, String) {
        let count = std::fs::read_dir(self.home.path()).map_or(0, Iterator::count);
        let path = self.home.path().join(format!("{role}-{count}.json"));
        let (url, to) = (self.url(), path.to_string_lossy().into_owned());
        let made = ["token", "create", "--role", role, "--address", &url, "--to", &to];
        let made = self.home.json(&[&made[..], more].concat());
        (path, made["id"].as_str().expect("an id").to_owned())
    }

    /// The command `biosweep` with a connection file, without the coordinator's home.
    #[must_use]
    pub fn asking(&self, connection: &std::path::Path, arguments: &[&str]) -> Command {
        let mut command = self.elsewhere.biosweep(arguments);
        command.env("BIOSWEEP_CONNECTION", connection);
        command
    }

    /// Runs the command `biosweep` with a connection file to its end.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn ask(&self, connection: &std::path::Path, arguments: &[&str]) -> Output {
        self.asking(connection, arguments).output().expect("biosweep starts")
    }

    /// Starts a worker with a connection file, in a home of its own.
    ///
    /// # Panics
    /// If it does not start.
    pub fn work(&mut self, connection: &std::path::Path) {
        self.work_with(connection, &[]);
    }

    /// The same with these variables in the worker's environment.
    ///
    /// # Panics
    /// If it does not start.
    pub fn work_with(&mut self, connection: &std::path::Path, variables: &[(&str, String)]) {
        let home = Home::default();
        let log = std::fs::File::create(home.path().join("log")).expect("a log");
        let mut command = home.worker(&["--connection", &connection.to_string_lossy(), "--grace", "2"]);
        command.envs(variables.iter().map(|(name, value)| (name, value))).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the worker starts");
        self.workers.push((child, home));
    }

    /// What the latest worker has written so far.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn log(&self) -> String {
        let (_, home) = self.workers.last().expect("a worker");
        std::fs::read_to_string(home.path().join("log")).expect("a log")
    }

    /// The latest worker.
    ///
    /// # Panics
    /// If there is none.
    pub fn last_worker(&mut self) -> &mut Child {
        &mut self.workers.last_mut().expect("a worker").0
    }

    /// Ends the coordinator by a signal.
    ///
    /// # Panics
    /// If there is none, or it does not end.
    pub fn end(&mut self, signal: Signal) {
        let mut child = self.coordinator.take().expect("a coordinator");
        kill(pid(&child), signal).expect("it runs");
        let _status = until_ended(&mut child);
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        for child in self.workers.iter_mut().map(|(child, _)| child).chain(&mut self.coordinator) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
