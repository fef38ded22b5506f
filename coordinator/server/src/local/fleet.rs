//! The local workers. A task for each one starts a new process when the old one dies.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_scheduler::event::Event;
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Coordinator, LocalError, WorkerOptions};
use crate::driver::Handle;

/// A worker that ends earlier than this has not trained anything, in milliseconds.
const SHORT_LIFE_MS: u64 = 3_000;
/// Number of such short lives in a row after which another start is useless.
const VAIN_LIVES_MAX: u32 = 5;
/// The exit code of a worker that left before its work was done.
const WORK_LEFT: i32 = 75;
/// A worker that leaves this close to the deadline has left because of it, in seconds.
const NEAR_DEADLINE_S: u64 = 30;
/// The time limit for a worker to leave; longer than the worker's own limit.
const LEAVE: Duration = Duration::from_secs(30);
/// After this time the stdin of a worker is closed, because it may not have received the request to leave.
const UNHEARD: Duration = Duration::from_secs(10);
/// Lines of a worker's log that are shown when it keeps dying.
const LAST_LINES: usize = 8;

/// The local workers.
pub struct Fleet {
    tasks: JoinSet<Result<Kept, LocalError>>,
    leaving: CancellationToken,
}

/// Why a worker is not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It was asked to leave.
    Asked,
    /// The batch job ends.
    TimeUp,
}

impl Fleet {
    /// Starts this many workers.
    pub fn start(count: u32, options: &WorkerOptions, url: &str, handle: &Handle) -> Self {
        let leaving = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (slot, id) in (1..).zip(options.identities(count)) {
            let slot = Slot {
                number: slot,
                id,
                options: options.clone(),
                coordinator: Coordinator::Url(url.to_owned()),
                handle: handle.clone(),
            };
            tasks.spawn(slot.keep(leaving.clone()));
        }
        Self { tasks, leaving }
    }

    /// Waits until all workers have left because of the deadline, or until one cannot be kept running.
    pub async fn ended(&mut self) -> Result<(), LocalError> {
        let mut time_is_up = false;
        loop {
            match self.tasks.join_next().await {
                Some(end) => time_is_up |= end.expect("the task that keeps a worker does not panic")? == Kept::TimeUp,
                None if time_is_up => return Ok(()),
                // All workers have left because they were asked to.
                None => std::future::pending().await,
            }
        }
    }

    /// Asks the workers to leave and return what they train, and waits for them. Workers that do not leave are killed.
    pub async fn leave(mut self, handle: &Handle, reason: &str) {
        self.leaving.cancel();
        // If the loop has stopped, workers cannot return anything, and closing their stdin ends them too. If the loop
        // cannot write its store, it may never answer.
        let asking = async {
            let _stopped = handle.apply(Event::Draining { reason: reason.to_owned() }).await;
            std::future::pending().await
        };
        let gone = async {
            while let Some(end) = self.tasks.join_next().await {
                if let Ok(Err(error)) = end {
                    tracing::warn!(%error, "a worker did not leave well");
                }
            }
        };
        tokio::select! {
            () = asking => {}
            () = gone => {}
        }
    }
}

/// The slot of one worker, which is filled by one process after another.
struct Slot {
    number: u32,
    id: WorkerId,
    options: WorkerOptions,
    coordinator: Coordinator,
    handle: Handle,
}

impl Slot {
    /// Keeps a worker running until all have to leave or the job ends.
    async fn keep(mut self, leaving: CancellationToken) -> Result<Kept, LocalError> {
        let mut vain_lives = 0;
        loop {
            if self.options.is_running(self.id) {
                // Another worker has taken the id over.
                self.id = new_id::<WorkerId>();
            }
            let born = self.handle.clock.now();
            let mut child = self.options.start(self.number, self.id, &self.coordinator)?;
            // Waiting for a child closes its stdin, which would tell it to leave. Held here, it is closed when this
            // process ends.
            let stdin = child.stdin.take();
            let status = tokio::select! {
                status = child.wait() => status,
                () = leaving.cancelled() => {
                    let left = leave(child, stdin, (UNHEARD, LEAVE)).await.map_err(|source| self.options.not_started(source));
                    return left.map(|()| Kept::Asked);
                }
            };
            let status = status.map_err(|source| self.options.not_started(source))?;
            let slot = self.number;
            tracing::warn!(slot, %status, "a worker ended");
            let connected = self.is_known().await;
            // An error means that the loop has stopped.
            let _stopped = self.handle.apply(Event::Died { worker: self.id, cause: describe(status) }).await;
            let is_short = self.handle.clock.now().since_ms(born) < SHORT_LIFE_MS;
            if status.code() == Some(WORK_LEFT) && self.is_time_up(is_short) {
                return Ok(Kept::TimeUp);
            }
            vain_lives = if is_short || !connected { vain_lives + 1 } else { 0 };
            if vain_lives == VAIN_LIVES_MAX {
                let log = self.options.log_of(slot);
                let (status, lines) = (describe(status), last_lines(&log));
                return Err(LocalError::KeepsEnding { slot, connected, status, lines, log });
            }
        }
    }

    /// Whether this worker has connected to the coordinator.
    async fn is_known(&self) -> bool {
        let id = self.id;
        let known = self.handle.ask(move |scheduler| scheduler.worker_views(None).iter().any(|worker| worker.id == id));
        known.await.unwrap_or(true)
    }

    /// Whether a worker that left before its work was done did so because of the deadline, and not because of a signal.
    /// Either the deadline is near, or it is too near for another checkpoint and the worker left at once.
    fn is_time_up(&self, is_short: bool) -> bool {
        let now_s = Clock::start().wall().0 / 1_000;
        self.options.deadline.is_some_and(|at_s| is_short || at_s.saturating_sub(now_s) <= NEAR_DEADLINE_S)
    }
}

/// Waits for a worker that was asked to leave. If it does not, its stdin is closed, which makes it save its state and
/// end. Only after that it is killed.
async fn leave(mut child: Child, stdin: Option<ChildStdin>, (unheard, leave): (Duration, Duration)) -> io::Result<()> {
    if let Ok(status) = tokio::time::timeout(unheard, child.wait()).await {
        return status.map(drop);
    }
    drop(stdin);
    if let Ok(status) = tokio::time::timeout(leave, child.wait()).await {
        return status.map(drop);
    }
    child.kill().await
}

fn describe(status: ExitStatus) -> String {
    format!("its process ended with {status}")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let mut last = String::new();
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        let _always_fits = writeln!(last, "  {line}");
    }
    last
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_worker_that_does_not_leave_gets_its_stdin_closed_before_it_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = folder.path().join("kept");
        let mut command = Command::new("sh");
        command.args(["-c", "cat > /dev/null; touch \"$0\""]).arg(&kept).stdin(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let stdin = child.stdin.take();
        leave(child, stdin, (Duration::from_millis(1), Duration::from_secs(60))).await.expect("it ends by itself");
        assert!(kept.is_file());
    }
}
