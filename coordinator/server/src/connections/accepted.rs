//! The accepted connections: each fails as soon as it must end, whether its server reads or writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use biosweep_connection::stream::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use super::ConnectInfo;
use super::usage::End;

/// The time limit for the other end to take anything.
const TAKES: Duration = Duration::from_secs(30);

/// A connection that has started.
pub(crate) struct Accepted {
    stream: Connection,
    /// What requests know of it.
    pub(crate) info: ConnectInfo,
    /// Completes when the connection must end; `None` afterwards.
    end: Option<Pin<Box<dyn Future<Output = End> + Send>>>,
    /// Since a write waits.
    waits: Option<Pin<Box<Sleep>>>,
    _room: OwnedSemaphorePermit,
}

impl Accepted {
    pub(super) fn new(stream: Connection, info: ConnectInfo, room: OwnedSemaphorePermit) -> Self {
        let end = Some(Box::pin(info.usage.clone().end()) as Pin<Box<_>>);
        Self { stream, info, end, waits: None, _room: room }
    }

    /// Fails if the connection must end.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(end) = &mut self.end else { return Err(io::ErrorKind::ConnectionAborted.into()) };
        match end.as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(why) => {
                tracing::debug!(%why, "a connection is closed");
                self.end = None;
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, why))
            }
        }
    }

    /// Does something that waits for the other end to take bytes, within the time limit.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Connection>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.check(cx)?;
        let written = write(Pin::new(&mut self.stream), cx);
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(TAKES)));
        waits.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connected for Accepted {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::pin::pin;

    use biosweep_common::vocabulary::access::role::Role;
    use biosweep_common::vocabulary::access::token::TokenId;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_stream::{Stream, StreamExt as _};
    use tokio_util::task::TaskTracker;

    use super::super::start::PREFACE;
    use super::super::{Admission, accept, entrance, listen};
    use super::*;
    use crate::access::registry::Caller;

    /// The longest wait that is expected, with time for a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    async fn come(
        address: SocketAddr,
        callers: &mut (impl Stream<Item = io::Result<Accepted>> + Unpin),
    ) -> (TcpStream, Accepted) {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(PREFACE).await.expect("it is taken");
        (stream, callers.next().await.expect("it listens").expect("there is room"))
    }

    fn user() -> Caller {
        Caller::Holder { token: TokenId([1; 8]), role: Role::Viewer, until: None }
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_closed_and_one_with_a_request_stays_open() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (callers, _browsers) = accept(listener, Admission::Everybody, &TaskTracker::new());
        let mut callers = pin!(callers);
        let (_idle_peer, mut idle) = come(address, &mut callers).await;
        let (_busy_peer, mut busy) = come(address, &mut callers).await;
        let _request = busy.info.begin(&user(), None).expect("there is room");
        let mut read = Vec::new();
        let waits = tokio::spawn(async move {
            busy.read_exact(&mut [0; PREFACE.len()]).await.expect("it is there");
            busy.read(&mut [0; 1]).await
        });
        idle.read_to_end(&mut read).await.expect_err("it ends");
        assert_eq!(read, PREFACE);
        assert!(!waits.is_finished(), "it is still open");
    }

    #[tokio::test]
    async fn a_connection_of_a_stranger_who_reads_nothing_is_closed() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (callers, _browsers) = accept(listener, Admission::Everybody, &TaskTracker::new());
        let mut callers = pin!(callers);
        let (_peer, mut deaf) = come(address, &mut callers).await;
        let flood = async { while deaf.write_all(&[0; 65_536]).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, flood).await.expect("a write does not wait for ever");
    }

    #[tokio::test]
    async fn a_connection_of_a_stranger_gives_way_to_others_and_one_of_a_known_caller_stays() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let (callers, _browsers) = entrance::accept_at_most(2, listener, Admission::Everybody, &TaskTracker::new());
        let mut callers = pin!(callers);
        let (_known_peer, known) = come(address, &mut callers).await;
        let request = known.info.begin(&user(), None).expect("there is room");
        let (_stranger_peer, mut stranger) = come(address, &mut callers).await;
        let ended = tokio::spawn(async move { stranger.read_to_end(&mut Vec::new()).await });
        let start = tokio::time::Instant::now();
        let (_peer, _last) = come(address, &mut callers).await;
        assert!(start.elapsed() < Duration::from_secs(5), "it need not wait for the time limit of the stranger");
        ended.await.expect("no panic").expect_err("it has given way");
        drop(request);
        known.info.begin(&user(), None).expect("it has kept its place");
    }
}
