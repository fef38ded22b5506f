//! Accepts connections and waits for their starts, in parallel.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use biosweep_common::vocabulary::time::Tick;
use biosweep_host::clock::Clock;
use biosweep_host::resources::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::task::TaskTracker;

use super::shares::Shares;
use super::start::{Protocol, start};
use super::usage::Usage;
use super::{Accepted, Admission, SILENCE};

/// The pause after the system refused a connection, because it would refuse the next one too.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of connections to the port for health checks.
const CHECKS_MAX: usize = 16;
/// Open files that are reserved for the store, logs, the runtime and health checks.
const FILES_OF_OTHERS: u64 = 40 + CHECKS_MAX as u64;
/// Number of connections that are always accepted.
const CONNECTIONS_MIN: u64 = 8;
/// Maximum number of accepted connections that wait for the server.
const WAITING: usize = 16;
/// Milliseconds between two log messages of one kind.
const COMPLAIN_EVERY_MS: u64 = 10_000;

/// The accepted connections, by protocol. Accepting ends when the stream of callers is dropped.
pub(crate) fn accept(
    listener: TcpListener,
    admission: Admission,
    tasks: &TaskTracker,
) -> (impl Stream<Item = io::Result<Accepted>> + use<>, mpsc::Receiver<Accepted>) {
    let connections = limits::open_files().saturating_sub(FILES_OF_OTHERS).max(CONNECTIONS_MIN);
    let connections = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
    accept_at_most(connections, listener, admission, tasks)
}

/// The accepted connections of the port for health checks, which is without TLS. A browser is refused.
pub(crate) fn accept_checks(
    listener: TcpListener,
    tasks: &TaskTracker,
) -> impl Stream<Item = io::Result<Accepted>> + use<> {
    let (callers, _no_browsers) = accept_at_most(CHECKS_MAX, listener, Admission::Everybody, tasks);
    callers
}

pub(super) fn accept_at_most(
    connections: usize,
    listener: TcpListener,
    admission: Admission,
    tasks: &TaskTracker,
) -> (impl Stream<Item = io::Result<Accepted>> + use<>, mpsc::Receiver<Accepted>) {
    let (out, callers) = mpsc::channel(WAITING);
    let (to_page, browsers) = mpsc::channel(WAITING);
    // The task ends when the receiver of callers is dropped.
    tasks.spawn(async move { Entrance::new(connections, listener, admission, out, to_page).accept().await });
    (ReceiverStream::new(callers).map(Ok), browsers)
}

struct Entrance {
    listener: TcpListener,
    admission: Admission,
    out: mpsc::Sender<Accepted>,
    to_page: mpsc::Sender<Accepted>,
    /// Maximum number of connections.
    connections: usize,
    /// One permit for each of them.
    room: Arc<Semaphore>,
    /// What each caller has of them.
    shares: Arc<Shares>,
    /// A task for each connection that has not started yet.
    silent: JoinSet<()>,
    /// The connections that nobody known uses yet, oldest first, and some others.
    unknown: VecDeque<(IpAddr, Weak<Usage>)>,
    /// The length at which the others are removed.
    unknown_max: usize,
    refused: Complaint,
    full: Complaint,
}

impl Entrance {
    fn new(
        connections: usize,
        listener: TcpListener,
        admission: Admission,
        out: mpsc::Sender<Accepted>,
        to_page: mpsc::Sender<Accepted>,
    ) -> Self {
        Self {
            listener,
            admission,
            out,
            to_page,
            connections,
            room: Arc::new(Semaphore::new(connections)),
            shares: Arc::new(Shares::new(connections)),
            silent: JoinSet::new(),
            unknown: VecDeque::new(),
            unknown_max: 0,
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
                Ok((stream, peer)) => {
                    let Some(room) = self.make_room().await else { return };
                    self.await_start(stream, peer, room);
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

    /// Waits for a free permit for one more connection. If there is none, it closes one that nobody known uses. `None` at the
    /// end.
    async fn make_room(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                return Some(room);
            }
            if !self.evict()
                && let Some(times) = self.full.is_due()
            {
                tracing::warn!(
                    times,
                    "all {} connections of this port are in use (the limit on open files, `ulimit -n`, is {}); others wait",
                    self.connections,
                    limits::open_files()
                );
            }
            tokio::select! {
                room = Arc::clone(&self.room).acquire_owned() => return room.ok(),
                // The place of a connection that is closed is free when its server has noticed.
                () = tokio::time::sleep(PAUSE) => {}
                () = self.out.closed() => return None,
            }
        }
    }

    /// Closes a connection that nobody known uses: the oldest one of the address that has most of them. `false` if there is none.
    fn evict(&mut self) -> bool {
        self.clean();
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (address, _) in &self.unknown {
            *counts.entry(*address).or_default() += 1;
        }
        let most = counts.values().max().copied();
        let oldest = self.unknown.iter().position(|(address, _)| counts.get(address).copied() == most);
        let usage = oldest.and_then(|oldest| self.unknown.remove(oldest)).and_then(|(_, usage)| usage.upgrade());
        usage.is_some_and(|usage| usage.evict())
    }

    /// Forgets the connections that have ended, or that somebody known uses.
    fn clean(&mut self) {
        self.unknown.retain(|(_, usage)| usage.upgrade().is_some_and(|usage| usage.is_unknown()));
        self.unknown_max = 2 * self.unknown.len() + WAITING;
    }

    /// Waits for the start of a connection, in parallel with others.
    fn await_start(&mut self, stream: TcpStream, peer: SocketAddr, room: OwnedSemaphorePermit) {
        let usage = Usage::new(Arc::clone(&self.shares));
        if self.unknown.len() >= self.unknown_max {
            self.clean();
        }
        self.unknown.push_back((peer.ip().to_canonical(), Arc::downgrade(&usage)));
        let (out, to_page) = (self.out.clone(), self.to_page.clone());
        let admission = self.admission.clone();
        self.silent.spawn(async move {
            let started = tokio::select! {
                started = tokio::time::timeout(SILENCE, start(stream, &admission, &usage)) => started,
                () = usage.evicted() => return,
            };
            // Sending fails if the server is gone; the connection is closed.
            match started.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
                Ok((stream, protocol, info)) => {
                    let accepted = Accepted::new(stream, info, room);
                    let to = if protocol == Protocol::Grpc { out } else { to_page };
                    drop(to.send(accepted).await);
                }
                Err(error) => tracing::debug!(%peer, %error, "a connection did not start and is closed"),
            }
        });
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
