//! Accepts connections: not more than the limit on open files allows, and none without a request. With certificates, a connection
//! begins with TLS. One that goes on with HTTP/2 speaks gRPC; one that goes on with a request of HTTP/1 is a browser's.
//!
//! | module | contents |
//! |---|---|
//! | this module | the accepted connections |
//! | `entrance` | accepts connections and waits for their starts |
//! | `start` | TLS, and the first bytes, which show the protocol |

mod entrance;
mod start;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use biosweep_connection::stream::Connection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::transport::server::Connected;
use tonic::{Request, Status};

use crate::access::tls::{PeerCertificate, ServerTls};

pub(crate) use entrance::{accept, accept_checks};

/// The time limit for a connection to start, and then for its first request.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// Maximum number of connections that wait in the system.
const BACKLOG: u32 = 1_024;

/// Whom a coordinator lets in without a token.
#[derive(Clone)]
pub(crate) enum Admission {
    /// Holders of a certificate. Connections use TLS.
    Certificates(Arc<ServerTls>),
    /// The user of this process, on this machine.
    OwnUser,
    /// Everybody.
    Everybody,
}

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
pub(crate) struct GrpcConnection {
    stream: Connection,
    info: ConnectInfo,
    /// Ends the connection if there is no first request in time; `None` after the first request.
    timeouts: Option<Pin<Box<Sleep>>>,
    _room: OwnedSemaphorePermit,
}

/// What requests know of their connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectInfo {
    /// Whether there was a request.
    has_called: Arc<AtomicBool>,
    /// The certificate of the caller.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// Whether the coordinator's own user connects.
    pub(crate) is_own_user: bool,
}

impl ConnectInfo {
    /// Records that there was a request on the connection, which keeps it open.
    pub(crate) fn note_call(&self) {
        self.has_called.store(true, Ordering::Relaxed);
    }
}

/// Records every request on a connection.
pub(crate) fn note_call(request: Request<()>) -> Result<Request<()>, Status> {
    if let Some(info) = request.extensions().get::<ConnectInfo>() {
        info.note_call();
    }
    Ok(request)
}

/// A connection that has started with a request of HTTP/1.
pub(crate) struct Browser {
    /// The stream. No request is read yet.
    pub(crate) stream: Connection,
    /// The permits of all connections and of browsers, which are given back at the end of the connection.
    pub(crate) room: [OwnedSemaphorePermit; 2],
    /// Whether the coordinator's own user connects.
    pub(crate) is_own_user: bool,
}

impl GrpcConnection {
    fn new(stream: Connection, info: ConnectInfo, room: OwnedSemaphorePermit) -> Self {
        let timeouts = Some(Box::pin(tokio::time::sleep(SILENCE)));
        Self { stream, info, timeouts, _room: room }
    }

    /// Whether there was no request in time.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        if self.info.has_called.load(Ordering::Relaxed) {
            self.timeouts = None;
        }
        self.timeouts.as_mut().is_some_and(|timeouts| timeouts.as_mut().poll(cx).is_ready())
    }
}

impl Connected for GrpcConnection {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for GrpcConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_idle(cx) {
            tracing::debug!("a connection without a request is closed");
            // For the server it ends as if the other side had closed it.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for GrpcConnection {
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
    use tokio::net::TcpStream;
    use tokio_stream::StreamExt as _;
    use tokio_util::task::TaskTracker;

    use super::start::PREFACE;
    use super::*;

    #[tokio::test]
    async fn a_connection_without_a_request_is_closed_and_one_with_a_request_stays_open() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (callers, _browsers) = accept(listener, Admission::Everybody, &TaskTracker::new());
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
