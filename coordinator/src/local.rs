//! Worker processes beside this one, for single-node runs: found, checked, started, restarted, ended.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use biosweep_common::dataset::DatasetRef;
use biosweep_common::environment::NumericEnvironment;
use biosweep_common::ids::WorkerId;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::core::event::Event;
use crate::driver::Handle;

/// The worker's program.
const PROGRAM: &str = "biosweep-worker";
/// Names another place for it.
const PROGRAM_VARIABLE: &str = "BIOSWEEP_WORKER";
/// A worker that ends sooner than this had not got to work.
const SHORT_LIFE_MS: u64 = 3_000;
/// So many short lives on end, and something is wrong that another start will not mend.
const SHORT_LIVES_MAX: u32 = 5;
/// Its exit code where it cannot make out what was asked of it.
const BAD_INPUT: i32 = 2;
/// How long a worker that was asked to leave may take: longer than it gives itself.
const LEAVE: Duration = Duration::from_secs(30);
/// Lines of a worker's log shown when it keeps dying.
const LAST_LINES: usize = 8;

/// Why workers cannot run here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
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
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The worker cannot make out what was asked of it.
    #[error("{0}")]
    Refused(String),
    /// The worker's own check of device and data found something missing.
    #[error("{0}")]
    Unfit(String),
    /// Workers end again and again before they get to work.
    #[error("worker {slot} keeps ending ({status}); its log {log} ends with\n{lines}")]
    KeepsEnding {
        /// Which one.
        slot: u32,
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
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What every local worker is told.
#[derive(Debug, Clone)]
pub(crate) struct WorkerOptions {
    /// Their program.
    pub(crate) program: PathBuf,
    /// What they compute on.
    pub(crate) device: String,
    /// Where datasets are looked for first.
    pub(crate) data_dir: Option<PathBuf>,
    /// The home, where datasets are looked for last and logs are written.
    pub(crate) home: PathBuf,
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

    /// Has a worker check that its device and these datasets are there.
    pub(crate) async fn check(&self, datasets: &[DatasetRef]) -> Result<(), LocalError> {
        for dataset in datasets {
            let mut command = Command::new(&self.program);
            command.args(["check", "--dataset", &dataset.to_string()]).args(self.arguments()).kill_on_drop(true);
            let output = command.output().await.map_err(|source| self.not_started(source))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let said = said.strip_prefix("error: ").unwrap_or(&said).to_owned();
                let said = if said.is_empty() { format!("{PROGRAM} check ended with {}", output.status) } else { said };
                let is_refusal = output.status.code() == Some(BAD_INPUT);
                return Err(if is_refusal { LocalError::Refused(said) } else { LocalError::Unfit(said) });
            }
        }
        Ok(())
    }

    /// What a worker says the last bits of its results depend on.
    pub(crate) async fn environment(&self) -> Result<NumericEnvironment, LocalError> {
        let mut command = Command::new(&self.program);
        command.args(["environment", "--output", "json"]).kill_on_drop(true);
        let output = command.output().await.map_err(|source| self.not_started(source))?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            LocalError::Unfit(if said.is_empty() { format!("{PROGRAM} environment: {error}") } else { said })
        })
    }

    fn not_started(&self, source: io::Error) -> LocalError {
        LocalError::Start { program: self.program.clone(), source }
    }

    /// Who the workers are to be: first those who died and left something behind, which is taken up with their identity.
    fn identities(&self, count: u32) -> Vec<WorkerId> {
        let left_behind = fs::read_dir(self.home.join("spool")).into_iter().flatten().flatten();
        let left_behind = left_behind.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        left_behind.chain(std::iter::repeat_with(WorkerId::new)).take(count as usize).collect()
    }

    /// Starts a worker that leaves when `stdin` closes, that is with this process at the latest.
    pub(crate) fn start(&self, slot: u32, id: WorkerId, url: &str) -> Result<Child, LocalError> {
        let path = self.log_of(slot);
        let failed = |source| LocalError::Log { path: path.clone(), source };
        let log = open_log(&path).map_err(failed)?;
        let also_log = log.try_clone().map_err(failed)?;
        let mut command = Command::new(&self.program);
        command
            .args(["--coordinator", url, "--id", &id.to_string(), "--name", &format!("worker-{slot}")])
            .arg("--leave-with-stdin")
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
    pub(crate) fn log_of(&self, slot: u32) -> PathBuf {
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
pub(crate) fn find_program() -> Result<PathBuf, LocalError> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        return Ok(program.into());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(PROGRAM)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|candidate| candidate.is_file()).ok_or(LocalError::NoProgram)
}

/// The local workers, each watched by a task that starts it anew when it dies.
pub(crate) struct Fleet {
    tasks: JoinSet<Result<(), LocalError>>,
    leaving: CancellationToken,
}

impl Fleet {
    /// Starts so many workers.
    pub(crate) fn start(count: u32, options: &WorkerOptions, url: &str, handle: &Handle) -> Self {
        let leaving = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (slot, id) in (1..).zip(options.identities(count)) {
            tasks.spawn(keep(slot, id, options.clone(), url.to_owned(), handle.clone(), leaving.clone()));
        }
        Self { tasks, leaving }
    }

    /// Waits until a worker cannot be kept alive.
    pub(crate) async fn failed(&mut self) -> LocalError {
        loop {
            match self.tasks.join_next().await {
                Some(end) => {
                    if let Err(error) = end.expect("the task that keeps a worker does not panic") {
                        return error;
                    }
                }
                // All have left because they were asked to.
                None => std::future::pending().await,
            }
        }
    }

    /// Asks the workers to leave, hands back what they train, and waits for them; those that do not are killed.
    pub(crate) async fn leave(mut self, handle: &Handle, reason: &str) {
        self.leaving.cancel();
        // Where the loop has stopped there is nobody to hand back to: closing their stdin ends them too.
        let _stopped = handle.apply(Event::Draining { reason: reason.to_owned() }).await;
        while let Some(end) = self.tasks.join_next().await {
            if let Ok(Err(error)) = end {
                tracing::warn!(%error, "a worker did not leave well");
            }
        }
    }
}

/// Keeps one worker alive until all are to leave.
async fn keep(
    slot: u32,
    id: WorkerId,
    options: WorkerOptions,
    url: String,
    handle: Handle,
    leaving: CancellationToken,
) -> Result<(), LocalError> {
    let mut short_lives = 0;
    loop {
        let born = handle.clock.now();
        let mut child = options.start(slot, id, &url)?;
        // Waiting for a child closes its stdin, which would tell it to leave; held here, it closes with this process.
        let _stdin = child.stdin.take();
        let status = tokio::select! {
            status = child.wait() => status,
            () = leaving.cancelled() => return leave(child).await.map_err(|source| options.not_started(source)),
        };
        let status = status.map_err(|source| options.not_started(source))?;
        tracing::warn!(slot, %status, "a worker ended");
        // Where the loop has stopped there is nobody left to tell.
        let _stopped = handle.apply(Event::Died { worker: id, cause: describe(status) }).await;
        short_lives = if handle.clock.now().since_ms(born) < SHORT_LIFE_MS { short_lives + 1 } else { 0 };
        if short_lives == SHORT_LIVES_MAX {
            let log = options.log_of(slot);
            return Err(LocalError::KeepsEnding { slot, status: describe(status), lines: last_lines(&log), log });
        }
    }
}

async fn leave(mut child: Child) -> io::Result<()> {
    if let Ok(status) = tokio::time::timeout(LEAVE, child.wait()).await {
        return status.map(drop);
    }
    child.kill().await
}

fn describe(status: ExitStatus) -> String {
    format!("its process ended with {status}")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut last = String::new();
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        let _always_fits = writeln!(last, "  {line}");
    }
    last
}

/// Waits for Ctrl-C or a request to terminate; which it was, for people.
pub(crate) async fn interrupted() -> &'static str {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminations) => drop(terminations.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "interrupted",
        () = terminate => "told to terminate",
    }
}
