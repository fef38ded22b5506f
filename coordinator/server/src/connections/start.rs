//! The start of a connection: TLS, and the first bytes, which show its protocol.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use biosweep_connection::stream::Connection;
use biosweep_connection::user;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::usage::Usage;
use super::{Admission, ConnectInfo};
use crate::access::tls::{HTTP2, PeerCertificate};

/// The start of every HTTP/2 connection.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The start of every TLS connection: a handshake record.
const HANDSHAKE: u8 = 0x16;
/// What a browser reads that does not use TLS.
const USE_TLS: &str = "This address takes TLS only: write https:// for it.\n";
/// The pause before a partly received preface is read again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Page,
}

/// Waits for the start of a connection, which shows its protocol.
pub(super) async fn start(
    mut stream: TcpStream,
    admission: &Admission,
    usage: &Arc<Usage>,
) -> io::Result<(Connection, Protocol, ConnectInfo)> {
    // Otherwise the end of a message would wait 40 ms for the acknowledgement of its start.
    stream.set_nodelay(true)?;
    let tls = match admission {
        Admission::Certificates(tls) => Some(tls),
        Admission::OwnUser | Admission::Everybody => None,
    };
    let info = ConnectInfo { usage: Arc::clone(usage), certificate: None, is_own_user: false, is_tls: false };
    match (first_bytes(&stream).await?, tls) {
        (start @ (Start::Http2 | Start::Http1), None) => {
            let is_own_user = is_own_user(&stream, admission);
            let protocol = if matches!(start, Start::Http2) { Protocol::Grpc } else { Protocol::Page };
            Ok((Connection::Plain(stream), protocol, ConnectInfo { is_own_user, ..info }))
        }
        (Start::Tls, Some(tls)) => {
            let stream = tls.acceptor.accept(stream).await?;
            let is_grpc = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
            let certificate = PeerCertificate::of(&stream).filter(|_| is_grpc).map(Arc::new);
            let protocol = if is_grpc { Protocol::Grpc } else { Protocol::Page };
            Ok((Connection::Tls(Box::new(stream.into())), protocol, ConnectInfo { certificate, is_tls: true, ..info }))
        }
        (Start::Http1, Some(_)) => {
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n";
            let answer = format!("{head}content-length: {}\r\n\r\n{USE_TLS}", USE_TLS.len());
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            Err(io::Error::other("it does not use TLS"))
        }
        (Start::Http2, Some(_)) => Err(io::Error::other("it does not use TLS")),
        (Start::Tls, None) => Err(io::Error::other("it uses TLS, but there are no certificates")),
        (Start::Other, _) => Err(io::Error::other("it does not start with HTTP")),
    }
}

/// Whether the user of this process connects, where this counts.
fn is_own_user(stream: &TcpStream, admission: &Admission) -> bool {
    matches!(admission, Admission::OwnUser) && user::is_own_caller(stream)
}

/// How a connection starts.
enum Start {
    Tls,
    Http2,
    Http1,
    Other,
}

/// How a connection starts, as soon as this is known. Nothing is consumed.
async fn first_bytes(stream: &TcpStream) -> io::Result<Start> {
    let mut start = [0; PREFACE.len()];
    loop {
        let len = stream.peek(&mut start).await?;
        let read = &start[..len];
        if read == PREFACE {
            return Ok(Start::Http2);
        }
        if len == 0 || read != &PREFACE[..len] {
            return Ok(match read.first() {
                Some(&HANDSHAKE) => Start::Tls,
                // A request of HTTP/1 starts with its method, in capital letters.
                Some(first) if first.is_ascii_uppercase() => Start::Http1,
                _ => Start::Other,
            });
        }
        // Some bytes can be read already, so waiting for readability would return at once.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
