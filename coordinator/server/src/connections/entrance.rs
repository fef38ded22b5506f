//! Accepts connections and waits for their starts, in parallel.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::vocabulary::time::Tick;
use biosweep_host::clock::Clock;
use biosweep_host::resources::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::task::TaskTracker;

use super::start::{Protocol, start};
use super::{Admission, Browser, GrpcConnection, SILENCE};

/// The pause after the system refused a connection, because it would refuse the next one too.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of connections to the port for health checks.
const CHECKS_MAX: usize = 16;
/// Open files that are reserved for the store, logs, the runtime and health checks.
const FILES_OF_OTHERS: u64 = 40 + CHECKS_MAX as u64;
/// Number of connections that are always accepted.
const CONNECTIONS_MIN: u64 = 8;
/// Maximum number of connections of browsers, and their part of all connections: the others are for workers and commands.
const BROWSERS_MAX: usize = 512;
const BROWSERS_PART: usize = 4;
/// Maximum number of accepted connections that wait for the server.
const WAITING: usize = 16;
/// Milliseconds between two log messages of one kind.
const COMPLAIN_EVERY_MS: u64 = 10_000;

/// The accepted connections, by protocol. Accepting ends when the stream of callers is dropped.
pub(crate) fn accept(
    listener: TcpListener,
    admission: Admission,
    tasks: &TaskTracker,
) -> (impl Stream<Item = io::Result<GrpcConnection>> + use<>, mpsc::Receiver<Browser>) {
    let connections = limits::open_files().saturating_sub(FILES_OF_OTHERS).max(CONNECTIONS_MIN);
    let connections = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
    accept_at_most(connections, listener, admission, tasks)
}

/// The accepted connections of the port for health checks, which is without TLS. A browser is refused.
pub(crate) fn accept_checks(
    listener: TcpListener,
    tasks: &TaskTracker,
) -> impl Stream<Item = io::Result<GrpcConnection>> + use<> {
    let (callers, _no_browsers) = accept_at_most(CHECKS_MAX, listener, Admission::Everybody, tasks);
    callers
}

fn accept_at_most(
    connections: usize,
    listener: TcpListener,
    admission: Admission,
    tasks: &TaskTracker,
) -> (impl Stream<Item = io::Result<GrpcConnection>> + use<>, mpsc::Receiver<Browser>) {
    let (out, callers) = mpsc::channel(WAITING);
    let (to_page, browsers) = mpsc::channel(WAITING);
    // The task ends when the receiver of callers is dropped.
    tasks.spawn(async move { Entrance::new(connections, listener, admission, out, to_page).accept().await });
    (ReceiverStream::new(callers).map(Ok), browsers)
}

struct Entrance {
    listener: TcpListener,
    admission: Admission,
    out: mpsc::Sender<GrpcConnection>,
    to_page: mpsc::Sender<Browser>,
    /// Maximum number of connections.
    connections: usize,
    /// One permit for each of them.
    room: Arc<Semaphore>,
    /// One permit for each possible connection of a browser.
    browsers: Arc<Semaphore>,
    /// A task for each connection that has not started yet.
    silent: JoinSet<()>,
    /// The same tasks, oldest first.
    oldest: VecDeque<AbortHandle>,
    refused: Complaint,
    full: Complaint,
}

impl Entrance {
    fn new(
        connections: usize,
        listener: TcpListener,
        admission: Admission,
        out: mpsc::Sender<GrpcConnection>,
        to_page: mpsc::Sender<Browser>,
    ) -> Self {
        Self {
            listener,
            admission,
            out,
            to_page,
            connections,
            room: Arc::new(Semaphore::new(connections)),
            browsers: Arc::new(Semaphore::new((connections / BROWSERS_PART).clamp(1, BROWSERS_MAX))),
            silent: JoinSet::new(),
            oldest: VecDeque::new(),
            refused: Complaint::default(),
            full: Complaint::default(),
        }
    }

    async fn accept(mut self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = self.silent.join_next() => continue,
                () = self.out.closed() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let Some(room) = self.make_room().await else { return };
                    self.await_start(stream, room);
                }
                // The error is about one connection, which is gone.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                Err(error) => {
                    if let Some(times) = self.refused.is_due() {
                        tracing::warn!(%error, times, "connections cannot be accepted; is the limit on open files (`ulimit -n`) too low?");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits for a free permit for one more connection. If there is none, it closes the oldest connection that has not
    /// started. `None` at the end.
    async fn make_room(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                return Some(room);
            }
            self.oldest.retain(|task| !task.is_finished());
            if let Some(longest) = self.oldest.pop_front() {
                longest.abort();
                let _its_end = self.silent.join_next().await;
                continue;
            }
            if let Some(times) = self.full.is_due() {
                tracing::warn!(
                    times,
                    "all {} connections of this port are in use (the limit on open files, `ulimit -n`, is {}); others wait",
                    self.connections,
                    limits::open_files()
                );
            }
            return tokio::select! {
                room = Arc::clone(&self.room).acquire_owned() => room.ok(),
                () = self.out.closed() => None,
            };
        }
    }

    /// Waits for the start of a connection, in parallel with others.
    fn await_start(&mut self, stream: TcpStream, room: OwnedSemaphorePermit) {
        let (out, to_page, browsers) = (self.out.clone(), self.to_page.clone(), Arc::clone(&self.browsers));
        let admission = self.admission.clone();
        self.oldest.push_back(self.silent.spawn(async move {
            let peer = stream.peer_addr().ok();
            let started = tokio::time::timeout(SILENCE, start(stream, &admission)).await;
            // Sending fails if the server is gone; the connection is closed.
            match started.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
                Ok((stream, Protocol::Grpc(info))) => drop(out.send(GrpcConnection::new(stream, info, room)).await),
                Ok((stream, Protocol::Page { is_own_user })) => match browsers.try_acquire_owned() {
                    Ok(of_browsers) => {
                        let browser = Browser { stream, room: [room, of_browsers], is_own_user };
                        drop(to_page.send(browser).await);
                    }
                    Err(_) => tracing::debug!("a browser is refused, because others have all of their connections"),
                },
                Err(error) => tracing::debug!(?peer, %error, "a connection did not start and is closed"),
            }
        }));
        if self.oldest.len() > 2 * self.silent.len() {
            self.oldest.retain(|task| !task.is_finished());
        }
    }
}

/// A repeated event that is logged from time to time.
struct Complaint {
    clock: Clock,
    last: Option<Tick>,
    times: u64,
}

impl Default for Complaint {
    fn default() -> Self {
        Self { clock: Clock::start(), last: None, times: 0 }
    }
}

impl Complaint {
    /// Records the event. If a message is due, returns the number of events since the last one.
    fn is_due(&mut self) -> Option<u64> {
        self.times += 1;
        let now = self.clock.now();
        if self.last.is_some_and(|last| now.since_ms(last) < COMPLAIN_EVERY_MS) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}
