//! Limits of this process on open files and threads.

use std::io;
use std::net::IpAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Uid;

/// The maximum of the limit on open files, above the needs of any coordinator. Some systems allow billions.
const OPEN_FILES_MAX: u64 = 1 << 20;

/// The maximum number of checks, one millisecond apart, for the end of the trial threads.
const LOOKS: u32 = 20;

/// The system does not allow more threads.
#[derive(Debug, thiserror::Error)]
#[error(
    "no more threads can be started: {source}; user {user} may have {allowed} processes and threads (`ulimit -u`): raise this \
     limit, or the memory limit (`ulimit -v`) if one is set, or end other programs of this user"
)]
pub struct ThreadError {
    /// The error of the system.
    #[source]
    source: io::Error,
    user: Uid,
    allowed: String,
}

/// Raises the limit on open files as far as the system allows, and returns the new limit.
pub fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::from(u16::MAX) };
    let wanted = hard.min(OPEN_FILES_MAX);
    // If the limit cannot be raised, the program works with the current one.
    if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft }
}

/// The limit on open files of this process.
#[must_use]
pub fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::from(u16::MAX), |(soft, _)| soft)
}

/// Checks that this many threads can be started. A runtime that cannot start its threads panics.
///
/// # Errors
/// A system that allows fewer threads.
pub fn can_start_threads(count: usize) -> Result<(), ThreadError> {
    let before = threads();
    let mut started = Vec::with_capacity(count);
    let mut refused = None;
    for _ in 0..count {
        let (end, ended) = mpsc::channel::<()>();
        match thread::Builder::new().spawn(move || while ended.recv().is_ok() {}) {
            Ok(thread) => started.push((end, thread)),
            Err(source) => {
                refused = Some(ThreadError::of(source));
                break;
            }
        }
    }
    for (end, thread) in started {
        drop(end);
        // The thread does nothing that could panic.
        drop(thread.join());
    }
    // The system counts a joined thread for a short time.
    for _ in 0..LOOKS {
        if threads() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    refused.map_or(Ok(()), Err)
}

/// Checks that the name of a host can be resolved. The runtime uses a thread for this and panics if it cannot start
/// one.
///
/// # Errors
/// A system that allows no thread; only if the host is a name.
pub fn can_look_up(host: &str) -> Result<(), ThreadError> {
    let is_name = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    if is_name { can_start_threads(1) } else { Ok(()) }
}

impl ThreadError {
    /// The error for a thread that could not be started.
    #[must_use]
    pub fn of(source: io::Error) -> Self {
        let allowed = match getrlimit(Resource::RLIMIT_NPROC) {
            Ok((soft, _)) if soft < u64::from(u32::MAX) => soft.to_string(),
            _ => "any number of".to_owned(),
        };
        Self { source, user: Uid::current(), allowed }
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
