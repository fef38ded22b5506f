//! The machine: cores, memory, and the limits on open files and threads.

use biosweep_host::resources::{self, limits};

use super::finding::{Finding, Severity};

/// Open files below which a coordinator accepts no connection of a worker.
const FILES_MIN: u64 = 64;
/// Open files below which a coordinator has room for few workers.
const FILES_FEW: u64 = 1_024;
/// Threads of a coordinator in addition to one per core.
const THREADS_BESIDE: usize = 4;

pub(super) fn check() -> Vec<Finding> {
    let cores = resources::cores();
    let threads = cores.as_ref().map_or(1, |&cores| cores as usize) + THREADS_BESIDE;
    let resources = match (cores, resources::memory_bytes()) {
        (Ok(cores), Ok(memory)) => Finding::ok(
            "resources",
            format!("{cores} cores and {:.1} GB of memory for this process", memory as f64 / 1e9),
        ),
        (Err(error), _) | (_, Err(error)) => {
            Finding::of("resources", Severity::Error, &error, "correct the variable that the error names")
        }
    };
    let started = match limits::can_start_threads(threads) {
        Ok(()) => Finding::ok("threads", format!("{threads} threads can be started")),
        Err(error) => Finding::error("threads", &error, "raise the limits of this user, then try again"),
    };
    vec![resources, open_files(limits::open_files()), started]
}

/// The finding for a limit on open files, which is as high as this process may raise it.
fn open_files(limit: u64) -> Finding {
    let found = format!("{limit} files may be open at once; each worker and each command needs one in the coordinator");
    let next_step =
        "raise the hard limit: `ulimit -n 65536`, in /etc/security/limits.conf, or LimitNOFILE= of a service";
    match limit {
        ..FILES_MIN => Finding::error("open-files", found, next_step),
        FILES_MIN..FILES_FEW => Finding::warning("open-files", found, next_step),
        FILES_FEW.. => Finding::ok("open-files", found),
    }
}
