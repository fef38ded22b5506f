//! TLS of connections: the certificate of the server, which may change while it serves, and those of its callers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::token::Fingerprint;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::clock::Clock;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::authority::{Authority, AuthorityError, read_holder};

/// The protocols that follow the handshake: that of gRPC, and that of browsers.
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// Pause between two checks of the server's certificate.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The certificate of the server is renewed this long before it expires.
const RENEW_BEFORE_MS: u64 = 30 * 86_400_000;

/// What the certificate of a caller says. Its authority is the coordinator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerCertificate {
    /// The role.
    pub(crate) role: Role,
    /// The worker's id, or the id of the token that the certificate stands for.
    pub(crate) name: String,
    /// SHA-256 of the public key.
    pub(crate) key: Fingerprint,
    /// When it expires.
    pub(crate) until: WallTime,
}

impl PeerCertificate {
    /// Reads a certificate that was verified; `None` if it does not name a role and a holder.
    fn read(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let (role, name) = match &names.value.general_names[..] {
            [GeneralName::URI(uri)] => read_holder(uri)?,
            _ => return None,
        };
        Some(Self {
            role,
            name: name.to_owned(),
            key: Fingerprint(Sha256::digest(certificate.public_key().raw).into()),
            until: WallTime(1_000 * u64::try_from(certificate.validity().not_after.timestamp()).ok()?),
        })
    }

    /// The certificate of the caller at the other end; `None` if it has none.
    pub(crate) fn of<S>(stream: &TlsStream<S>) -> Option<Self> {
        Self::read(stream.get_ref().1.peer_certificates()?.first()?)
    }
}

/// TLS of a server.
pub(crate) struct ServerTls {
    pub(crate) acceptor: TlsAcceptor,
    certificate: Arc<Current>,
    authority: Arc<Authority>,
    names: BTreeSet<String>,
    folder: PathBuf,
}

impl ServerTls {
    /// With the certificate in the authority's folder, which is made for these names if there is none.
    pub(crate) fn new(
        authority: Arc<Authority>,
        folder: &Path,
        names: BTreeSet<String>,
        clock: Clock,
    ) -> Result<Self, AuthorityError> {
        let loaded = match Loaded::read(folder) {
            Ok(loaded) => loaded,
            Err(error) => {
                if folder.join("server.pem").exists() {
                    tracing::warn!(%error, "the certificate of the server is made again");
                }
                authority.renew_server(&names, clock.wall())?;
                Loaded::read(folder)?
            }
        };
        let provider = Arc::new(ring::default_provider());
        let tls =
            |error: &dyn std::error::Error| AuthorityError::Invalid { path: folder.to_owned(), why: error.to_string() };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.certificate.clone())).map_err(|error| tls(&error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.allow_unauthenticated().build().map_err(|error| tls(&error))?;
        let certificate = Arc::new(Current(RwLock::new(loaded)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| tls(&error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        // Browsers offer both, and get the first. Clients of gRPC offer HTTP/2 only.
        config.alpn_protocols = vec![HTTP1.to_vec(), HTTP2.to_vec()];
        // A resumed session would not verify the caller's certificate again.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, certificate, authority, names, folder: folder.to_owned() })
    }

    /// The authority that signs the certificates of callers.
    pub(crate) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    /// Takes over a new certificate when its file changes, and renews it in time. Ends when it is dropped.
    pub(crate) async fn keep_current(self: Arc<Self>, clock: Clock) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (until, changed) = self.certificate.dates();
            if until.0 < clock.wall().0 + RENEW_BEFORE_MS
                && let Err(error) = self.authority.renew_server(&self.names, clock.wall())
            {
                tracing::warn!(%error, "the certificate of the server cannot be renewed");
            }
            if Loaded::changed(&self.folder) == changed {
                continue;
            }
            match Loaded::read(&self.folder) {
                Ok(loaded) => {
                    tracing::info!(until_ms = loaded.until.0, "the server has a new certificate");
                    *self.certificate.0.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                }
                // The files may be written at this moment.
                Err(error) => tracing::warn!(%error, "the new certificate of the server is not used yet"),
            }
        }
    }
}

/// The current certificate of the server.
#[derive(Debug)]
struct Current(RwLock<Loaded>);

impl Current {
    fn dates(&self) -> (WallTime, Option<SystemTime>) {
        let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (loaded.until, loaded.changed)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

/// A certificate of the server with its key, as read from the files.
#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    until: WallTime,
    changed: Option<SystemTime>,
}

impl Loaded {
    fn changed(folder: &Path) -> Option<SystemTime> {
        folder.join("server.pem").metadata().ok()?.modified().ok()
    }

    fn read(folder: &Path) -> Result<Self, AuthorityError> {
        let (certificate_path, key_path) = (folder.join("server.pem"), folder.join("server.key"));
        let invalid = |path: &Path, why: String| AuthorityError::Invalid { path: path.to_owned(), why };
        let read =
            |path: &Path| fs::read(path).map_err(|source| AuthorityError::File { path: path.to_owned(), source });
        let changed = Self::changed(folder);
        let chain = pem::parse_many(read(&certificate_path)?);
        let chain = chain.map_err(|error| invalid(&certificate_path, error.to_string()))?;
        let chain: Vec<_> = chain.into_iter().map(|one| CertificateDer::from(one.into_contents())).collect();
        let key = pem::parse(read(&key_path)?).map_err(|error| invalid(&key_path, error.to_string()))?;
        let key = PrivateKeyDer::try_from(key.into_contents()).map_err(|why| invalid(&key_path, why.to_owned()))?;
        let parsed = chain.first().and_then(|one| X509Certificate::from_der(one).ok());
        let (_, own) = parsed.ok_or_else(|| invalid(&certificate_path, "it has no certificate".to_owned()))?;
        let until = WallTime(1_000 * u64::try_from(own.validity().not_after.timestamp()).unwrap_or(0));
        let provider = ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider);
        let key = key.map_err(|error| invalid(&certificate_path, error.to_string()))?;
        Ok(Self { key: Arc::new(key), until, changed })
    }
}
