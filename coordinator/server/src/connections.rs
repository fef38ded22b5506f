//! Accepts connections: not more than the limit on open files allows, and none without a request. A connection that starts with
//! HTTP/2 speaks gRPC; one that starts with a request of HTTP/1 is a browser's.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use biosweep_common::vocabulary::time::Tick;
use biosweep_host::clock::Clock;
use biosweep_host::limits;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;
use tonic::{Request, Status};

/// The time limit for a connection to start, and then for its first request.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// The start of every HTTP/2 connection.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The pause before a partly received preface is read again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The pause after the system refused a connection, because it would refuse the next one too.
const PAUSE: Duration = Duration::from_millis(100);
/// Open files that are reserved for the store, logs and the runtime.
const FILES_OF_OTHERS: u64 = 40;
/// Number of connections that are always accepted.
const CONNECTIONS_MIN: u64 = 8;
/// Maximum number of connections of browsers, and their part of all connections: the others are for workers and commands.
const BROWSERS_MAX: usize = 512;
const BROWSERS_PART: usize = 4;
/// Maximum number of connections that wait in the system.
const BACKLOG: u32 = 1_024;
/// Maximum number of accepted connections that wait for the server.
const WAITING: usize = 16;
/// Milliseconds between two log messages of one kind.
const COMPLAIN_EVERY_MS: u64 = 10_000;

/// Listens on an address. `[::]` means all addresses, including IPv4, whatever the system's default is.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            if address.ip().is_unspecified() {
                SockRef::from(&socket).set_only_v6(false)?;
            }
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A connection that has started with HTTP/2.
pub(crate) struct Caller {
    stream: TcpStream,
    has_called: HasCalled,
    /// Ends the connection if there is no first request in time; `None` after the first request.
    timeouts: Option<Pin<Box<Sleep>>>,
    _room: OwnedSemaphorePermit,
}

/// Whether there was a request on a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct HasCalled(Arc<AtomicBool>);

/// Records that there was a request on the connection.
pub(crate) fn note_call(request: Request<()>) -> Result<Request<()>, Status> {
    if let Some(HasCalled(called)) = request.extensions().get() {
        called.store(true, Ordering::Relaxed);
    }
    Ok(request)
}

/// A connection that has started with a request of HTTP/1.
pub(crate) struct Browser {
    /// The stream. Nothing of it is read yet.
    pub(crate) stream: TcpStream,
    /// The permits of all connections and of browsers, which are given back at the end of the connection.
    pub(crate) room: [OwnedSemaphorePermit; 2],
}

/// The accepted connections, by protocol. Accepting ends when the stream of callers is dropped.
pub(crate) fn accept(
    listener: TcpListener,
    tasks: &TaskTracker,
) -> (impl Stream<Item = io::Result<Caller>> + use<>, mpsc::Receiver<Browser>) {
    let (out, callers) = mpsc::channel(WAITING);
    let (to_page, browsers) = mpsc::channel(WAITING);
    // The task ends when the receiver of callers is dropped.
    tasks.spawn(async move { Entrance::new(listener, out, to_page).accept().await });
    (ReceiverStream::new(callers).map(Ok), browsers)
}

struct Entrance {
    listener: TcpListener,
    out: mpsc::Sender<Caller>,
    to_page: mpsc::Sender<Browser>,
    /// One permit for each possible connection.
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
    fn new(listener: TcpListener, out: mpsc::Sender<Caller>, to_page: mpsc::Sender<Browser>) -> Self {
        let connections = limits::open_files().saturating_sub(FILES_OF_OTHERS).max(CONNECTIONS_MIN);
        let connections = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            out,
            to_page,
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
                    "the number of connections has reached the limit on open files (`ulimit -n`, {}); others wait",
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
        self.oldest.push_back(self.silent.spawn(async move {
            // Otherwise the end of a message would wait 40 ms for the acknowledgement of its start.
            let prepared = stream.set_nodelay(true);
            let start = tokio::time::timeout(SILENCE, start_of(&stream)).await.ok().and_then(Result::ok);
            // Sending fails if the server is gone; the connection is closed.
            match start.filter(|_| prepared.is_ok()) {
                Some(Start::Http2) => drop(out.send(Caller::new(stream, room)).await),
                Some(Start::Http1) => match browsers.try_acquire_owned() {
                    Ok(of_browsers) => drop(to_page.send(Browser { stream, room: [room, of_browsers] }).await),
                    Err(_) => tracing::debug!("a browser is refused, because others have all of their connections"),
                },
                Some(Start::Other) | None => {
                    tracing::debug!(peer = ?stream.peer_addr(), "a connection that did not start with HTTP is closed");
                }
            }
        }));
        if self.oldest.len() > 2 * self.silent.len() {
            self.oldest.retain(|task| !task.is_finished());
        }
    }
}

/// The protocol with which a connection starts.
enum Start {
    Http2,
    Http1,
    Other,
}

/// How a connection starts, as soon as this is known. Nothing is consumed.
async fn start_of(stream: &TcpStream) -> io::Result<Start> {
    let mut start = [0; PREFACE.len()];
    loop {
        let len = stream.peek(&mut start).await?;
        let read = &start[..len];
        if read == PREFACE {
            return Ok(Start::Http2);
        }
        if len == 0 || read != &PREFACE[..len] {
            // A request of HTTP/1 starts with its method, in capital letters.
            let is_method = read.first().is_some_and(u8::is_ascii_uppercase);
            return Ok(if is_method { Start::Http1 } else { Start::Other });
        }
        // Some bytes can be read already, so waiting for readability would return at once.
        tokio::time::sleep(LOOK_AGAIN).await;
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

impl Caller {
    fn new(stream: TcpStream, room: OwnedSemaphorePermit) -> Self {
        let timeouts = Some(Box::pin(tokio::time::sleep(SILENCE)));
        Self { stream, has_called: HasCalled::default(), timeouts, _room: room }
    }

    /// Whether there was no request in time.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        if self.has_called.0.load(Ordering::Relaxed) {
            self.timeouts = None;
        }
        self.timeouts.as_mut().is_some_and(|timeouts| timeouts.as_mut().poll(cx).is_ready())
    }
}

impl Connected for Caller {
    type ConnectInfo = HasCalled;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.has_called.clone()
    }
}

impl AsyncRead for Caller {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_idle(cx) {
            tracing::debug!(peer = ?self.stream.peer_addr(), "a connection without a request is closed");
            // For the server it ends as if the other side had closed it.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_connection_without_a_request_is_closed_and_one_with_a_request_stays_open() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (callers, _browsers) = accept(listener, &TaskTracker::new());
        let mut callers = pin!(callers);
        let (mut begun, mut come) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(PREFACE).await.expect("it is taken");
            begun.push(stream);
            come.push(callers.next().await.expect("it listens").expect("there is room"));
        }
        let [idle, busy] = &mut come[..] else { unreachable!() };
        let mut request = Request::new(());
        request.extensions_mut().insert(busy.connect_info());
        note_call(request).expect("it is let through");
        let mut read = Vec::new();
        idle.read_to_end(&mut read).await.expect("it ends");
        assert_eq!(read, PREFACE);
        busy.read_exact(&mut [0; PREFACE.len()]).await.expect("it is there");
        assert!(busy.read(&mut [0; 1]).now_or_never().is_none(), "it is still open");
    }
}
