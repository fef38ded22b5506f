//! A coordinator in its own process, as `biosweep serve` runs it, its use of memory and processor, and open pages of it. Its
//! home is removed at the end.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_server::access::authority::{Authority, folder_of};
use biosweep_server::host::Announcement;
use tokio::process::{Child, Command};
use ureq::Agent;

use super::BenchError;
use crate::client::Client;

/// Maximum seconds until a coordinator listens.
const START_S: f64 = 10.0;
/// Pause between two checks whether it listens.
const LOOK: Duration = Duration::from_millis(5);
/// Ticks of processor time per second, as Linux reports them to user programs.
const TICKS_PER_S: f64 = 100.0;
const KIB_PER_MIB: f64 = 1024.0;

/// A coordinator process, which ends when this value is dropped.
pub(super) struct Served {
    home: PathBuf,
    child: Child,
    /// How it is reached.
    pub(super) connection: ConnectionFile,
}

/// Resident memory of a process, in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    /// Current value.
    pub(super) now_mib: f64,
    /// Maximum value.
    pub(super) most_mib: f64,
}

impl Served {
    /// Starts a coordinator in a new home; returns when it listens.
    pub(super) async fn start() -> Result<Self, BenchError> {
        Self::start_in(new_home()?).await
    }

    /// Starts a coordinator with certificates in a new home; returns when it listens.
    pub(super) async fn start_secured() -> Result<Self, BenchError> {
        let home = new_home()?;
        let authority = Authority::create(&folder_of(&home), Clock::start().wall());
        authority.map_err(|error| failed("a certificate authority")(io::Error::other(error)))?;
        Self::start_in(home).await
    }

    /// Starts a coordinator in an existing home; returns when it listens.
    pub(super) async fn start_in(home: PathBuf) -> Result<Self, BenchError> {
        let log = File::create(home.join("serve.log")).map_err(failed("a log"))?;
        let log_too = log.try_clone().map_err(failed("a log"))?;
        let program = std::env::current_exe().map_err(failed("this program"))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--home"]).arg(&home);
        command.stdin(Stdio::null()).stdout(log).stderr(log_too).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(failed("starting a coordinator"))?;
        let mut served = Self { home, child, connection: ConnectionFile::at(String::new()) };
        let clock = Clock::start();
        loop {
            if let Some(status) = served.child.try_wait().map_err(failed("the coordinator"))? {
                return Err(BenchError::Ended { status: status.to_string(), log: served.log() });
            }
            if clock.seconds() > START_S {
                return Err(BenchError::Silent { seconds: START_S, log: served.log() });
            }
            tokio::time::sleep(LOOK).await;
            if let Some(announced) = Announcement::read(&served.home) {
                served.connection = announced.connection;
                return Ok(served);
            }
        }
    }

    /// The address of the coordinator.
    pub(super) fn url(&self) -> &str {
        self.connection.first_address()
    }

    /// A connection to the coordinator.
    pub(super) async fn client(&self) -> Result<Client, BenchError> {
        Ok(Client::reach(&self.connection).await?)
    }

    /// The resident memory of the coordinator.
    pub(super) fn memory(&self) -> Result<Memory, BenchError> {
        memory_of(self.child.id().unwrap_or_default())
    }

    /// Seconds of processor time that the coordinator has used.
    pub(super) fn processor_seconds(&self) -> Result<f64, BenchError> {
        let stat = read(self.child.id().unwrap_or_default(), "stat")?;
        // The name, in brackets, may have any characters; after it comes the third field.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place - 3).and_then(|field| field.parse::<f64>().ok());
        let (user, system) = (ticks(14), ticks(15));
        let sum = user.zip(system).map(|(user, system)| (user + system) / TICKS_PER_S);
        sum.ok_or_else(|| unreadable("stat"))
    }

    /// Ends the coordinator and removes its home.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.child.kill().await.map_err(failed("ending the coordinator"))?;
        fs::remove_dir_all(&self.home).map_err(failed("removing the run's folder"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("serve.log")).unwrap_or_default().trim().to_owned()
    }
}

/// Open pages of a sweep: each holds an event stream and reads it.
pub(super) struct OpenPages(Vec<JoinHandle<()>>);

impl OpenPages {
    /// Loads the page of the sweep, and opens event streams.
    pub(super) fn open(url: &str, sweep: &str, pages: u32) -> Result<Self, BenchError> {
        if pages > 0 {
            let path = format!("/sweeps/{sweep}");
            let answer = Agent::new_with_defaults().get(format!("{url}{path}")).call();
            answer.map_err(|source| not_read(path, source))?;
        }
        let stream = |_| {
            let stream = Agent::new_with_defaults().get(format!("{url}/events")).call();
            let mut stream = stream.map_err(|source| not_read("/events".to_owned(), source))?.into_body().into_reader();
            let mut bytes = [0; 1_024];
            // The stream ends with the coordinator.
            Ok(std::thread::spawn(move || while matches!(stream.read(&mut bytes), Ok(1..)) {}))
        };
        Ok(Self((0..pages).map(stream).collect::<Result<_, BenchError>>()?))
    }

    /// Waits for the end of the streams.
    pub(super) fn join(self) {
        for thread in self.0 {
            thread.join().expect("a reader does not panic");
        }
    }
}

/// The page at this address did not answer.
pub(super) fn not_read(path: String, source: ureq::Error) -> BenchError {
    BenchError::Page { path, source: Box::new(source) }
}

/// The resident memory of a process.
pub(super) fn memory_of(process: u32) -> Result<Memory, BenchError> {
    let status = read(process, "status")?;
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.map(|kib| kib / KIB_PER_MIB).ok_or_else(|| unreadable("status"))
    };
    Ok(Memory { now_mib: mib("VmRSS")?, most_mib: mib("VmHWM")? })
}

fn read(process: u32, file: &str) -> Result<String, BenchError> {
    fs::read_to_string(format!("/proc/{process}/{file}")).map_err(failed("reading /proc of a process"))
}

fn unreadable(file: &str) -> BenchError {
    failed("reading /proc of a process")(io::Error::other(format!("no number in its {file}")))
}

/// A new, empty home.
pub(super) fn new_home() -> Result<PathBuf, BenchError> {
    let home = std::env::temp_dir().join(format!("biosweep-bench-{}", new_id::<WorkerId>()));
    fs::create_dir_all(&home).map_err(failed("a folder for the run"))?;
    Ok(home)
}

pub(super) fn failed(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::Process { what, source }
}
