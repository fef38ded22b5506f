//! Accepts connections: not more than the limit on open files allows, and none without a request. With certificates, a connection
//! begins with TLS. One that goes on with HTTP/2 speaks gRPC; one that goes on with a request of HTTP/1 is a browser's.
//!
//! | module | contents |
//! |---|---|
//! | this module | whom a server lets in, and what requests know of their connection |
//! | `accepted` | the accepted connections |
//! | `entrance` | accepts connections and waits for their starts |
//! | `shares` | how many connections, and how much else, one caller may have |
//! | `start` | TLS, and the first bytes, which show the protocol |
//! | `usage` | who uses a connection, and when it ends |

mod accepted;
mod entrance;
mod shares;
mod start;
mod usage;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

use crate::access::registry::{Caller, Registry};
use crate::access::tls::{PeerCertificate, ServerTls};

pub(crate) use accepted::Accepted;
pub(crate) use entrance::{accept, accept_checks};
pub(crate) use shares::{Account, Full};
pub(crate) use usage::{Answer, InUse, SILENCE};

use usage::Usage;

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

/// What requests know of their connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectInfo {
    usage: Arc<Usage>,
    /// The certificate of the caller.
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
    /// Whether the coordinator's own user connects.
    pub(crate) is_own_user: bool,
    /// Whether the connection uses TLS.
    pub(crate) is_tls: bool,
}

impl ConnectInfo {
    /// Counts a request of a known caller, until it ends. Without a registry every caller is valid.
    pub(crate) fn begin(&self, caller: &Caller, registry: Option<&Arc<Registry>>) -> Result<InUse, Full> {
        self.usage.begin(caller, registry)
    }
}
