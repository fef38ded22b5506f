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
use crate::connections::Admission;

/// How a coordinator is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection<'a> {
    /// By TLS and tokens, with the certificate authority in this folder.
    Certificates(&'a Path),
    /// It listens on this machine only, and serves its own user only.
    Loopback,
    /// Not at all: everybody who reaches it may do everything.
    None,
}

/// What protects a running coordinator.
pub(super) struct Protected {
    pub(super) registry: Option<Arc<Registry>>,
    pub(super) authority: Option<Arc<Authority>>,
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

    /// Opens what protects a coordinator. `names` are those under which others reach it.
    pub(super) fn open(self, names: BTreeSet<String>, clock: Clock) -> Result<Admission, HostError> {
        Ok(match self {
            Self::Certificates(folder) => {
                let authority = Arc::new(Authority::open(folder)?);
                Admission::Certificates(Arc::new(ServerTls::new(authority, folder, names, clock)?))
            }
            Self::Loopback => Admission::OwnUser,
            Self::None => Admission::Everybody,
        })
    }
}

impl Protected {
    /// Of the coordinator of a store.
    pub(super) async fn of(admission: Admission, store: &dyn Store, clock: Clock) -> Result<Self, HostError> {
        let authority = match &admission {
            Admission::Certificates(tls) => Some(tls.authority()),
            Admission::OwnUser => None,
            Admission::Everybody => return Ok(Self { registry: None, authority: None, owner: None }),
        };
        let owner = Token {
            authority: authority.as_ref().map(|authority| authority.fingerprint),
            id: TokenId(rand::random()),
            secret: Secret(rand::random()),
        };
        let registry = Arc::new(Registry::new(store.access().await?, Some(owner), clock));
        Ok(Self { registry: Some(registry), authority, owner: Some(owner) })
    }

    /// How programs of the owner on this machine reach the coordinator that listens on this address.
    pub(super) fn connection(&self, address: SocketAddr) -> ConnectionFile {
        let url = address::url(address, self.authority.is_some());
        ConnectionFile { addresses: vec![url], store: None, token: self.owner }
    }
}
