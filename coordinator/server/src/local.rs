//! Worker processes beside this one, for single-node runs: found, checked, started; [`fleet`] keeps them alive.

pub mod fleet;

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use biosweep_common::dataset::DatasetRef;
use biosweep_common::dataset_summary::DatasetSummary;
use biosweep_common::environment::NumericEnvironment;
use biosweep_common::ids::WorkerId;
use biosweep_host::deadline;
use biosweep_host::id::new_id;
use serde::de::DeserializeOwned;
use tokio::process::{Child, Command};

/// The worker's program.
const PROGRAM: &str = "biosweep-worker";
/// Names another place for it.
const PROGRAM_VARIABLE: &str = "BIOSWEEP_WORKER";
/// Its exit code where it cannot make out what was asked of it.
const BAD_INPUT: i32 = 2;

/// Why workers cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The program is not where it is looked for.
    #[error(
        "cannot find {PROGRAM} beside this program, in ${PROGRAM_VARIABLE} or on the PATH; build it with `make build`"
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
    /// The worker cannot make out what was asked of it.
    #[error("{0}")]
    Refused(String),
    /// The worker's own check of device and data found something missing.
    #[error("{0}")]
    Unfit(String),
    /// The worker's answer is none this program knows.
    #[error("cannot read what {program} found of {of}: {source}; take both programs from one build")]
    Unreadable {
        /// Its path.
        program: PathBuf,
        /// What it was asked about.
        of: String,
        /// What is wrong with the answer.
        #[source]
        source: serde_json::Error,
    },
    /// Workers end again and again before they get to work.
    #[error("worker {slot} keeps ending{} ({status}); its log {log} ends with\n{lines}", if *connected { "" } else { " and never connects" })]
    KeepsEnding {
        /// Which one.
        slot: u32,
        /// Whether it reached this coordinator, the last time.
        connected: bool,
        /// How it ended last.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The end of it.
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

/// What every local worker is told.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Their program.
    pub program: PathBuf,
    /// What they compute on.
    pub device: String,
    /// Where datasets are looked for first.
    pub data_dir: Option<PathBuf>,
    /// The home, where datasets are looked for last and logs are written.
    pub home: PathBuf,
    /// When this machine is taken away, in seconds since 1970.
    pub deadline: Option<u64>,
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

    /// Has a worker check that its device and these datasets are there; what it found in them.
    pub async fn check(&self, datasets: &[DatasetRef]) -> Result<Vec<DatasetSummary>, LocalError> {
        let mut found = Vec::with_capacity(datasets.len());
        for dataset in datasets {
            let mut arguments: Vec<OsString> = vec!["check".into(), "--dataset".into(), dataset.to_string().into()];
            arguments.extend(self.arguments());
            found.push(self.ask(&arguments, &dataset.to_string()).await?);
        }
        Ok(found)
    }

    /// What a worker says the last bits of its results depend on.
    pub async fn environment(&self) -> Result<NumericEnvironment, LocalError> {
        self.ask(&["environment".into()], "this machine").await
    }

    /// What the worker's program, given these arguments, answers of something.
    async fn ask<T: DeserializeOwned>(&self, arguments: &[OsString], of: &str) -> Result<T, LocalError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--output", "json"]).kill_on_drop(true);
        let Output { status, stdout, stderr } = command.output().await.map_err(|source| self.not_started(source))?;
        if !status.success() {
            let said = String::from_utf8_lossy(&stderr).trim().to_owned();
            let said = said.strip_prefix("error: ").unwrap_or(&said).to_owned();
            let said = if said.is_empty() { format!("{PROGRAM} ended with {status}, asked of {of}") } else { said };
            let is_refusal = status.code() == Some(BAD_INPUT);
            return Err(if is_refusal { LocalError::Refused(said) } else { LocalError::Unfit(said) });
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

    /// Who the workers are to be: first those who died and left something behind, which is taken up with their identity.
    fn identities(&self, count: u32) -> Vec<WorkerId> {
        let left_behind = fs::read_dir(self.spool()).into_iter().flatten().flatten();
        let left_behind = left_behind.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let free = left_behind.filter(|&worker| !self.lives(worker));
        free.chain(std::iter::repeat_with(new_id::<WorkerId>)).take(count as usize).collect()
    }

    /// Whether a process has this identity: one of another coordinator may live in the same home, on any machine that
    /// sees it.
    fn lives(&self, worker: WorkerId) -> bool {
        let lock = File::options().read(true).write(true).open(self.spool().join(worker.to_string()).join("lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn spool(&self) -> PathBuf {
        self.home.join("spool")
    }

    /// Starts a worker that leaves when `stdin` closes, that is with this process at the latest.
    pub fn start(&self, slot: u32, id: WorkerId, url: &str) -> Result<Child, LocalError> {
        let path = self.log_of(slot);
        let failed = |source| LocalError::Log { path: path.clone(), source };
        let log = open_log(&path).map_err(failed)?;
        let also_log = log.try_clone().map_err(failed)?;
        let mut command = Command::new(&self.program);
        // When the job ends they are told: asking again, they might hear something else than this process did.
        for variable in deadline::VARIABLES {
            command.env_remove(variable);
        }
        command
            .args(["--coordinator", url, "--id", &id.to_string(), "--name", &format!("worker-{slot}")])
            .arg("--leave-with-stdin")
            .args(self.deadline.iter().flat_map(|at| ["--deadline".to_owned(), at.to_string()]))
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(also_log)
            // A Ctrl-C in the terminal is for this process alone, which then asks the workers to leave.
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|source| self.not_started(source))
    }

    /// Where a worker's log is.
    pub fn log_of(&self, slot: u32) -> PathBuf {
        self.home.join("logs").join(format!("worker-{slot}.log"))
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::options().create(true).append(true).open(path)
}

/// The worker's program: named by the environment, beside this one, or on the PATH.
pub fn find_program() -> Result<PathBuf, LocalError> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE).filter(|program| !program.is_empty()) {
        return Ok(program.into());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|candidate| candidate.is_file()).ok_or(LocalError::NoProgram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_of_a_worker_that_lives_is_not_given_to_another() {
        let home = tempfile::tempdir().expect("a folder");
        let options = WorkerOptions {
            program: PathBuf::new(),
            device: "cpu".to_owned(),
            data_dir: None,
            home: home.path().to_owned(),
            deadline: None,
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
        assert!(given.contains(&dead), "what it left behind is taken up");
        assert!(!given.contains(&living));
        drop(lock);
        assert!(options.identities(3).contains(&living));
    }
}
