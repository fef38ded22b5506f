//! Limits of this process on open files and threads.

use std::io;
use std::net::IpAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Uid;

/// More open files than any coordinator needs; some systems allow billions.
const OPEN_FILES_MAX: u64 = 1 << 20;

/// Looks at the threads of this process, a millisecond apart, until those that were tried are gone.
const LOOKS: u32 = 20;

/// No more threads can be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "no more threads can be started: {source}; user {user} may have {allowed} processes and threads (`ulimit -u`): raise that \
     limit, or that on memory (`ulimit -v`) where there is one, or end other programs of this user"
)]
pub struct ThreadError {
    /// What the system said.
    #[source]
    source: io::Error,
    user: Uid,
    allowed: String,
}

/// Raises the limit on open files as far as the system lets this process; the limit then.
pub fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::from(u16::MAX) };
    let wanted = hard.min(OPEN_FILES_MAX);
    // Where it cannot be raised, what there is has to do.
    if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() { wanted } else { soft }
}

/// Files that this process may have open.
#[must_use]
pub fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::from(u16::MAX), |(soft, _)| soft)
}

/// Tries whether this many threads can be started: a runtime that cannot start its threads panics.
///
/// # Errors
/// A system that gives fewer.
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
        // It does nothing that could panic.
        drop(thread.join());
    }
    // A thread that has been joined counts for a moment longer.
    for _ in 0..LOOKS {
        if threads() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    refused.map_or(Ok(()), Err)
}

/// Tries whether a host can be looked up: a name is on a thread of its own, which a runtime takes for granted.
///
/// # Errors
/// A system that gives no thread, where the host is a name.
pub fn can_look_up(host: &str) -> Result<(), ThreadError> {
    let is_name = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    if is_name { can_start_threads(1) } else { Ok(()) }
}

impl ThreadError {
    /// The error of a thread that could not be started.
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
