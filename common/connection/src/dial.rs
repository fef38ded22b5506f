//! Connections to a coordinator: TCP, TLS where the token names an authority, and the channel of gRPC on top.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use biosweep_common::vocabulary::access::token::Fingerprint;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::authority::{PinnedAuthority, SERVER_NAME};
use crate::file::ConnectionFile;
use crate::identity::Identity;
use crate::stream::Connection;
use crate::user;

/// The default port of a coordinator.
pub const PORT: u16 = 7465;

const ANOTHER_USER: &str = "the program there runs as another user of this machine";

/// Why no connection can be opened as it was described.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// An address with TLS, and no authority to expect.
    #[error(
        "{address} uses TLS, and its certificate authority is not known: give the connection file with --connection FILE"
    )]
    NoAuthority {
        /// The address.
        address: String,
    },
    /// An address without TLS, and a token for TLS.
    #[error(
        "{address} has no TLS, but the token in the connection file is for a coordinator with TLS: write https:// in its `addresses`"
    )]
    NoTls {
        /// The address.
        address: String,
    },
    /// A token of this machine, and an address elsewhere.
    #[error(
        "the token of the connection file is valid on this machine only, but {address} is elsewhere; run `biosweep certs init` there"
    )]
    Elsewhere {
        /// The address.
        address: String,
    },
    /// A token without TLS, and a name.
    #[error(
        "the token of the connection file is for an address without TLS: write 127.0.0.1 in place of the name in {address}"
    )]
    Name {
        /// The address.
        address: String,
    },
    /// The certificate and the key cannot be used.
    #[error("the worker's certificate cannot be used: {0}")]
    Identity(#[from] rustls::Error),
}

/// Opens connections of one kind.
#[derive(Clone)]
pub struct Dialer {
    tls: Option<TlsConnector>,
    /// Whether a server on this machine must run as the user of this process.
    own_user: bool,
}

impl Dialer {
    /// For the coordinator at an address, as a connection file describes it, with the certificate of a worker if there is one.
    ///
    /// # Errors
    /// An address that does not fit the token; a certificate that cannot be used.
    pub fn new(address: &str, file: &ConnectionFile, identity: Option<&Identity>) -> Result<Self, DialError> {
        let address_has_tls = address.starts_with("https://");
        let address = || address.to_owned();
        match (file.authority(), address_has_tls) {
            (None, true) => Err(DialError::NoAuthority { address: address() }),
            (Some(_), false) => Err(DialError::NoTls { address: address() }),
            (None, false) if file.token.is_some() && !is_loopback(&address()) => {
                Err(DialError::Elsewhere { address: address() })
            }
            // The name may also lead to another address of this machine, where somebody else listens.
            (None, false) if file.token.is_some() && host(&address()) == "localhost" => {
                Err(DialError::Name { address: address() })
            }
            (None, false) => Ok(Self { tls: None, own_user: file.token.is_none() }),
            (Some(authority), true) => Ok(Self { tls: Some(connector(authority, identity)?), own_user: false }),
        }
    }

    /// Connects to an endpoint.
    ///
    /// # Errors
    /// The error of the connection.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
        endpoint.connect_with_connector(self.clone()).await
    }
}

/// The innermost cause of an error, which says what happened.
#[must_use]
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    innermost(error).to_string()
}

/// Whether a connection was given up because it leads to a program of another user of this machine.
#[must_use]
pub fn leads_to_another_user(error: &(dyn std::error::Error + 'static)) -> bool {
    let cause = innermost(error).downcast_ref::<io::Error>();
    // Errors of the system have a number.
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied && cause.raw_os_error().is_none())
}

fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// Whether an address is on this machine, by its text: a name may lead anywhere.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    let host = host(address);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host of an address, without the brackets of an IPv6 address and in lower case; empty if it is not valid.
fn host(address: &str) -> String {
    let host = address.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_lowercase)).unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

fn connector(authority: Fingerprint, identity: Option<&Identity>) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(PinnedAuthority::new(authority, Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => {
            let (chain, key) = identity.parts();
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would not check the certificates again.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl tower_service::Service<Uri> for Dialer {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let Self { tls, own_user } = self.clone();
        Box::pin(async move {
            let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
            let stream = TcpStream::connect((host, address.port_u16().unwrap_or(PORT))).await?;
            stream.set_nodelay(true)?;
            if own_user && stream.peer_addr()?.ip().is_loopback() && !user::is_own_server(&stream) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, ANOTHER_USER));
            }
            let connection = match tls {
                None => Connection::Plain(stream),
                Some(tls) => {
                    let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
                    Connection::Tls(Box::new(tls.connect(name, stream).await?.into()))
                }
            };
            Ok(TokioIo::new(connection))
        })
    }
}
