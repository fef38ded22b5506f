//! The runtime of a command, and its stop requests.

use biosweep_host::resources::{self, limits};
use biosweep_host::stop::Stop;

use super::Command;
use super::failure::Failure;

/// Threads of a coordinating runtime in addition to one per core: for name resolution and for the store.
const THREADS_BESIDE: usize = 4;

/// A runtime for a command; only commands that coordinate get several threads.
pub(super) fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if command.is_busy() {
        let cores = resources::cores().map_err(Failure::bad_input)? as usize;
        // The runtime panics if it cannot start its threads.
        limits::can_start_threads(cores + THREADS_BESIDE).map_err(Failure::from_environment)?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(cores);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Failure::environment(format!("the runtime cannot be started: {error}")))
}

/// The stop requests for a command.
pub(super) fn stop(command: &Command, runtime: &tokio::runtime::Runtime) -> Result<Stop, Failure> {
    if !command.stops_cleanly() {
        return Ok(Stop::never());
    }
    let _inside = runtime.enter();
    Stop::listen().map_err(|error| Failure::environment(format!("signals cannot be caught: {error}")))
}
