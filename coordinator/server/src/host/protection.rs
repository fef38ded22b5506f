//! How a coordinator is protected: by certificates and tokens, by listening on this machine only, or not at all.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use biosweep_common::vocabulary::access::token::{Secret, Token, TokenId};
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_store::Store;

use super::{HostError, address};
use crate::access::authority::Authority;
use crate::access::registry::Registry;
use crate::access::tls::ServerTls;

/// How a coordinator is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection<'a> {
    /// By TLS and tokens, with the certificate authority in this folder.
    Certificates(&'a Path),
    /// It listens on this machine only.
    Loopback,
    /// Not at all: everybody who reaches it may do everything.
    None,
}

/// What protects a running coordinator.
pub(super) struct Protected {
    pub(super) registry: Option<Arc<Registry>>,
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) tls: Option<Arc<ServerTls>>,
    /// The token of the owner, which changes with each start.
    owner: Option<Token>,
}

impl Protection<'_> {
    /// Checks that the address may be listened on.
    pub(super) fn admits(self, listen: SocketAddr) -> Result<(), HostError> {
        match self {
            Self::Loopback if !listen.ip().is_loopback() => Err(HostError::Unprotected { address: listen }),
            _ => Ok(()),
        }
    }

    /// Opens what protects the coordinator of a store. `names` are those under which others reach it.
    pub(super) async fn open(
        self,
        store: &dyn Store,
        names: BTreeSet<String>,
        clock: Clock,
    ) -> Result<Protected, HostError> {
        let Self::Certificates(folder) = self else {
            return Ok(Protected { registry: None, authority: None, tls: None, owner: None });
        };
        let authority = Arc::new(Authority::open(folder)?);
        let tls = Arc::new(ServerTls::new(Arc::clone(&authority), folder, names, clock)?);
        let owner = Token {
            authority: Some(authority.fingerprint),
            id: TokenId(rand::random()),
            secret: Secret(rand::random()),
        };
        let registry = Arc::new(Registry::new(store.access().await?, Some(owner), clock));
        Ok(Protected { registry: Some(registry), authority: Some(authority), tls: Some(tls), owner: Some(owner) })
    }
}

impl Protected {
    /// How programs of the owner on this machine reach the coordinator that listens on this address.
    pub(super) fn connection(&self, address: SocketAddr) -> ConnectionFile {
        let url = address::url(address, self.tls.is_some());
        ConnectionFile { addresses: vec![url], store: None, token: self.owner }
    }
}
