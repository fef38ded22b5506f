//! Tests of biosweep from outside: with its real programs, started like a user starts them.

pub mod browser;
pub mod cluster;
pub mod disk;
pub mod hostile;
pub mod installed;
pub mod mlflow;
pub mod network;
pub mod postgres;
pub mod readers;
pub mod store;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use biosweep_common::workers::environment::VARIABLES;
use nix::unistd::Uid;
use serde_json::Value;

/// The pause between two checks of a condition.
const POLL: Duration = Duration::from_millis(20);
/// The number of checks after which a wait fails: two minutes.
const POLLS_MAX: u32 = 6_000;

/// A temporary home for a test, with the programs that use it.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }
}

/// Removes the environment variables that name another home, a batch job or a collector of traces, and those that a worker ignores with a warning.
pub fn without_variables(command: &mut Command) {
    const OWN: [&str; 8] = [
        "BIOSWEEP_COORDINATOR",
        "BIOSWEEP_CONNECTION",
        "BIOSWEEP_STORE",
        "BIOSWEEP_CHECKPOINTS",
        "SLURM_JOB_ID",
        "SLURM_JOB_END_TIME",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ];
    for variable in OWN.iter().chain(VARIABLES) {
        command.env_remove(variable);
    }
}

/// The name of a test in its test program, for a call of that program with this test alone.
///
/// # Panics
/// If the function is in no module.
#[must_use]
pub fn name_of<T: Fn()>(_: &T) -> &'static str {
    std::any::type_name::<T>().split_once("::").expect("a test is in a crate").1
}

/// A program of the workspace, in the target folder of the test.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let built = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps").join(name);
    assert!(built.is_file(), "{} is not built; run `cargo build --workspace` in this profile", built.display());
    built
}

impl Home {
    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a spec file.
    #[must_use]
    pub fn spec(&self, text: &str) -> PathBuf {
        let path = self.path().join("spec.toml");
        std::fs::write(&path, text).expect("the spec can be written");
        path
    }

    /// The command `biosweep` with these arguments.
    #[must_use]
    pub fn biosweep(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("biosweep"));
        command.args(arguments).arg("--home").arg(self.path());
        without_variables(&mut command);
        command.env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The command `biosweep-worker` with these arguments.
    #[must_use]
    pub fn worker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("biosweep-worker"));
        command.args(arguments).arg("--home").arg(self.path());
        without_variables(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Whether the home has the address file of a coordinator.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.path().join("coordinator.json").exists()
    }

    /// Runs `biosweep` to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.biosweep(arguments).output().expect("biosweep starts")
    }

    /// Runs `biosweep` to its end, which must be a success, and returns its answer.
    #[must_use]
    pub fn answer(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{printed}", output.status);
        String::from_utf8(output.stdout).expect("answers are text")
    }

    /// The same for a JSON answer.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let answer = self.answer(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }

    /// The process ids of this home's workers, found by their arguments.
    #[must_use]
    pub fn workers(&self) -> Vec<i32> {
        let home = self.path().to_string_lossy().into_owned();
        let of_home = |pid: &i32| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            arguments.contains("biosweep-worker") && arguments.contains("--coordinator") && arguments.contains(&home)
        };
        let entries = std::fs::read_dir("/proc").expect("processes can be listed").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(of_home).collect()
    }
}

/// The files under a folder whose names have one of these endings, sorted.
///
/// # Panics
/// If a folder cannot be read, or there is no such file.
#[must_use]
pub fn files_under(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "nothing under {}", folder.display());
    found.sort();
    found
}

/// Waits until `condition` returns a value. `what` is the message if it never does.
///
/// # Panics
/// After two minutes.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..POLLS_MAX {
        if let Some(found) = condition() {
            return found;
        }
        thread::sleep(POLL);
    }
    panic!("waited in vain until {what}");
}

/// Whether child processes ignore SIGHUP, as under `nohup`. Tests cannot use this signal then.
#[must_use]
pub fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("it names what is ignored");
    u64::from_str_radix(ignored.trim(), 16).expect("a bit for each signal") & 1 == 1
}

/// Whether a test must be skipped because it is not run as root; prints a message then.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test prints a message")]
pub fn unless_root(what: &str) -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        eprintln!("skipped: {what} needs root");
    }
    !is_root
}

/// Waits until a process ends.
///
/// # Panics
/// After two minutes.
pub fn until_ended(child: &mut Child) -> ExitStatus {
    until("the process ends", || child.try_wait().expect("a child can be waited for"))
}
