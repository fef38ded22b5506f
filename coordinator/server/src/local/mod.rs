//! Local worker processes for single-node runs: finds the program, checks it and starts it. [`fleet`] keeps the
//! processes running.

pub mod fleet;

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_host::id::new_id;
use biosweep_host::{deadline, private};
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};

/// The program of a worker.
const PROGRAM: &str = "biosweep-worker";
/// The environment variable with another path of it.
const PROGRAM_VARIABLE: &str = "BIOSWEEP_WORKER";
/// Its exit code for invalid input.
const BAD_INPUT: i32 = 2;

/// Why workers cannot run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The program was not found.
    #[error(
        "cannot find {PROGRAM} beside this program, in ${PROGRAM_VARIABLE} or on the PATH; install the wheel of \
         {PROGRAM}, or build it with `make build`"
    )]
    NoProgram,
    /// The program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its path.
        program: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The worker refused its arguments.
    #[error("{0}")]
    Refused(String),
    /// The worker's check of device and data failed.
    #[error("{0}")]
    Unfit(String),
    /// The worker's answer cannot be read.
    #[error("cannot read the answer of {program} about {of}: {source}; use both programs from one build")]
    Unreadable {
        /// Its path.
        program: PathBuf,
        /// What was asked about.
        of: String,
        /// The fault in the answer.
        #[source]
        source: serde_json::Error,
    },
    /// A worker repeatedly ends before it trains.
    #[error("worker {slot} keeps ending{} ({status}); its log {log} ends with\n{lines}", if *connected { "" } else { " and never connects" })]
    KeepsEnding {
        /// The number of the worker.
        slot: u32,
        /// Whether the last process connected to this coordinator.
        connected: bool,
        /// The exit status of the last process.
        status: String,
        /// The path of its log.
        log: PathBuf,
        /// The last lines of the log.
        lines: String,
    },
    /// A log cannot be written.
    #[error("cannot write the log {path}: {source}")]
    Log {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

/// How a local worker reaches its coordinator.
#[derive(Debug, Clone)]
pub enum Coordinator {
    /// At an address.
    Url(String),
    /// As a connection file says.
    File(PathBuf),
}

/// The options of every local worker.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The path of the program.
    pub program: PathBuf,
    /// The device.
    pub device: String,
    /// The directory that is searched first for datasets.
    pub data_dir: Option<PathBuf>,
    /// The home: searched last for datasets, and the place of logs.
    pub home: PathBuf,
    /// The end of the batch job, in seconds since 1970.
    pub deadline: Option<u64>,
    /// The memory that each worker reports, in bytes; `None` if it determines that itself.
    pub memory_bytes: Option<u64>,
}

impl WorkerOptions {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            vec!["--device".into(), (&self.device).into(), "--home".into(), (&self.home).into()];
        if let Some(data_dir) = &self.data_dir {
            arguments.extend(["--data-dir".into(), data_dir.into()]);
        }
        arguments
    }

    /// Lets a worker check its device and these datasets, and returns the summaries of the datasets.
    pub async fn check(&self, datasets: &[DatasetRef]) -> Result<Vec<DatasetSummary>, LocalError> {
        let mut found = Vec::with_capacity(datasets.len());
        for dataset in datasets {
            let mut arguments: Vec<OsString> = vec!["check".into(), "--dataset".into(), dataset.to_string().into()];
            arguments.extend(self.arguments());
            found.push(self.ask(&arguments, &dataset.to_string()).await?);
        }
        Ok(found)
    }

    /// The numeric environment of a worker.
    pub async fn environment(&self) -> Result<NumericEnvironment, LocalError> {
        self.ask(&["environment".into()], "this machine").await
    }

    /// The answer of the worker program to these arguments; `of` is what they ask about.
    async fn ask<T: DeserializeOwned>(&self, arguments: &[OsString], of: &str) -> Result<T, LocalError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--output", "json"]).kill_on_drop(true);
        let Output { status, stdout, stderr } = command.output().await.map_err(|source| self.not_started(source))?;
        if !status.success() {
            let stderr = String::from_utf8_lossy(&stderr);
            let message = match error_in(&stderr) {
                "" => format!("{PROGRAM} ended with {status} when asked about {of}"),
                error => error.to_owned(),
            };
            let is_refusal = status.code() == Some(BAD_INPUT);
            return Err(if is_refusal { LocalError::Refused(message) } else { LocalError::Unfit(message) });
        }
        serde_json::from_slice(&stdout).map_err(|source| LocalError::Unreadable {
            program: self.program.clone(),
            of: of.to_owned(),
            source,
        })
    }

    fn not_started(&self, source: io::Error) -> LocalError {
        LocalError::Start { program: self.program.clone(), source }
    }

    /// The ids of the workers: first those of dead workers with a spool, so that the new processes take the spools
    /// over.
    fn identities(&self, count: u32) -> Vec<WorkerId> {
        let left_behind = fs::read_dir(self.spool()).into_iter().flatten().flatten();
        let left_behind = left_behind.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let free = left_behind.filter(|&worker| !self.is_running(worker));
        free.chain(std::iter::repeat_with(new_id::<WorkerId>)).take(count as usize).collect()
    }

    /// Whether a process with this id is running. A worker of another coordinator may use the same home, on any machine
    /// that mounts it.
    fn is_running(&self, worker: WorkerId) -> bool {
        let lock = File::options().read(true).write(true).open(self.spool().join(worker.to_string()).join("lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn spool(&self) -> PathBuf {
        self.home.join("spool")
    }

    /// Starts a worker that leaves when `stdin` is closed, at the latest when this process ends.
    pub fn start(&self, slot: u32, id: WorkerId, coordinator: &Coordinator) -> Result<Child, LocalError> {
        let path = self.log_of(slot);
        let failed = |source| LocalError::Log { path: path.clone(), source };
        let log = open_log(&path).map_err(failed)?;
        let also_log = log.try_clone().map_err(failed)?;
        let mut command = Command::new(&self.program);
        // A connection file is for a coordinator elsewhere.
        command.env_remove("BIOSWEEP_CONNECTION");
        // The workers get the deadline and the memory as arguments. If they asked Slurm again, the answer could differ.
        for variable in deadline::VARIABLES {
            command.env_remove(variable);
        }
        match coordinator {
            Coordinator::Url(url) => command.args(["--coordinator", url]),
            Coordinator::File(path) => command.arg("--connection").arg(path),
        };
        command
            .args(["--id", &id.to_string(), "--name", &format!("worker-{slot}")])
            .arg("--leave-with-stdin")
            .args(self.deadline.iter().flat_map(|at| ["--deadline".to_owned(), at.to_string()]))
            .args(self.memory_bytes.iter().flat_map(|&bytes| ["--memory-gb".to_owned(), gigabytes(bytes)]))
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(also_log)
            // A Ctrl-C in the terminal goes only to this process, which then asks the workers to leave.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|source| self.not_started(source))
    }

    /// The path of a worker's log.
    pub fn log_of(&self, slot: u32) -> PathBuf {
        self.home.join("logs").join(format!("worker-{slot}.log"))
    }
}

/// Gigabytes (10⁹ bytes), in tenths.
fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        private::create_folder(folder)?;
    }
    File::options().create(true).append(true).open(path)
}

/// The path of the worker program: from the environment variable, beside this program, or on the PATH.
pub fn find_program() -> Result<PathBuf, LocalError> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE).filter(|program| !program.is_empty()) {
        return Ok(program.into());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|candidate| candidate.is_file()).ok_or(LocalError::NoProgram)
}

/// The error in the text that a worker program wrote to stderr, without the warnings before it.
fn error_in(stderr: &str) -> &str {
    let stderr = stderr.trim();
    let after = stderr.strip_prefix("error: ").or_else(|| Some(stderr.split_once("\nerror: ")?.1));
    after.unwrap_or(stderr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_worker_is_found_behind_its_warnings() {
        assert_eq!(error_in("error: no such device\n"), "no such device");
        assert_eq!(
            error_in("warning: A is not used\nerror: no data; fetch it\n  or name it\n"),
            "no data; fetch it\n  or name it"
        );
        assert_eq!(error_in("killed\n"), "killed");
        assert_eq!(error_in(" \n"), "");
    }

    #[test]
    fn memory_is_given_to_workers_in_tenths_of_a_gigabyte() {
        assert_eq!(gigabytes(24_500_000_000), "24.5");
        assert_eq!(gigabytes(999_999_999), "0.9");
        assert_eq!(gigabytes(2_100_000_000_000), "2100.0");
    }

    #[test]
    fn the_id_of_a_running_worker_is_not_given_to_another() {
        let home = tempfile::tempdir().expect("a folder");
        let options = WorkerOptions {
            program: PathBuf::new(),
            device: "cpu".to_owned(),
            data_dir: None,
            home: home.path().to_owned(),
            deadline: None,
            memory_bytes: None,
        };
        let identity = || {
            let worker = new_id::<WorkerId>();
            let folder = options.spool().join(worker.to_string());
            fs::create_dir_all(&folder).expect("a folder");
            (worker, File::create(folder.join("lock")).expect("a lock"))
        };
        let ((living, lock), (dead, _)) = (identity(), identity());
        lock.lock().expect("it is free");
        let given = options.identities(3);
        assert!(given.contains(&dead), "its spool is taken over");
        assert!(!given.contains(&living));
        drop(lock);
        assert!(options.identities(3).contains(&living));
    }
}
