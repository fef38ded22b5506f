//! How a worker reaches its coordinator: its address, and the certificate that the worker gets with its token and renews by itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_connection::bearer::Bearer;
use biosweep_connection::dial::{DialError, Dialer, root_cause};
use biosweep_connection::file::{ConnectionFile, ConnectionFileError};
use biosweep_connection::identity::{Identity, IdentityError, Key};
use biosweep_host::clock::Clock;
use biosweep_proto::v1;
use biosweep_proto::v1::access_client::AccessClient;
use rand::RngExt as _;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// The connect timeout.
const CONNECT: Duration = Duration::from_secs(10);
/// The HTTP/2 keep-alive interval and timeout.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// A certificate that is valid for less than this is not used for a new connection.
const LEAST_LEFT_MS: u64 = 60_000;
/// The pause after a renewal that failed.
const RENEW_AGAIN: Duration = Duration::from_secs(600);

/// A channel whose requests carry the token, if there is one.
pub(super) type Carrier = InterceptedService<Channel, Bearer>;

/// Where a worker finds its coordinator.
#[derive(Debug, Clone)]
pub enum Whereabouts {
    /// At an address, without a token.
    Address(String),
    /// As a connection file says, which is read again for each connection.
    File(PathBuf),
}

/// Why a coordinator cannot be reached as described. Trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The connection file cannot be used.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
    /// An address is invalid.
    #[error("`{url}` is not the address of a coordinator: {why}; write for example http://127.0.0.1:7465")]
    Address {
        /// The address as given.
        url: String,
        /// The reason.
        why: String,
    },
    /// The address does not fit the token.
    #[error(transparent)]
    Dial(#[from] DialError),
}

/// How a worker reaches its coordinator.
#[derive(Debug)]
pub struct Reach {
    whereabouts: Whereabouts,
    /// Where the key and the certificate are kept.
    folder: PathBuf,
    worker: WorkerId,
    identity: Mutex<Option<Arc<Identity>>>,
    /// The number of attempts so far. Addresses are tried in turn.
    attempts: Mutex<usize>,
    clock: Clock,
}

/// An open connection, and the renewal of its certificate.
pub(super) struct Reached {
    pub(super) carrier: Carrier,
    /// What has to be done to keep the certificate valid. It never ends.
    pub(super) renewal: Renewal,
}

impl Reach {
    /// For a worker that keeps its key in this folder.
    #[must_use]
    pub fn new(whereabouts: Whereabouts, folder: PathBuf, worker: WorkerId, clock: Clock) -> Self {
        Self { whereabouts, folder, worker, identity: Mutex::default(), attempts: Mutex::default(), clock }
    }

    /// Checks what is known before any connection.
    ///
    /// # Errors
    /// A file that cannot be read; an address that is none, or that does not fit the token.
    pub fn check(&self) -> Result<(), ReachError> {
        let connection = self.connection()?;
        for address in &connection.addresses {
            endpoint(address)?;
            Dialer::new(address, &connection, None)?;
        }
        Ok(())
    }

    fn connection(&self) -> Result<ConnectionFile, ReachError> {
        Ok(match &self.whereabouts {
            Whereabouts::Address(address) => ConnectionFile::at(address.clone()),
            Whereabouts::File(path) => ConnectionFile::read(path)?,
        })
    }

    fn identity(&self) -> std::sync::MutexGuard<'_, Option<Arc<Identity>>> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator does not accept the certificate. The next connection enrols again.
    pub(super) fn distrust(&self) {
        let had = self.identity().take().is_some();
        // One that cannot be removed is refused again.
        drop(std::fs::remove_file(self.folder.join("certificate.pem")));
        if had {
            tracing::info!("the coordinator does not accept the certificate of this worker, which enrols again");
        }
    }

    /// Connects; enrols first if there is no valid certificate.
    pub(super) async fn open(&self) -> Result<Reached, Status> {
        let connection = self.connection().map_err(|error| match &error {
            // A coordinator that starts again writes the file again.
            ReachError::File(ConnectionFileError::Unreadable { .. }) => Status::unavailable(error.to_string()),
            _ => fatal(&error),
        })?;
        let turn = {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            *attempts += 1;
            *attempts - 1
        };
        let address = &connection.addresses[turn % connection.addresses.len()];
        let endpoint = endpoint(address).map_err(|error| fatal(&error))?;
        // The file in a coordinator's home has the token of its owner, who needs no certificate.
        let enrols = connection.authority().is_some() && connection.store.is_none();
        if !enrols {
            let dialer = Dialer::new(address, &connection, None).map_err(|error| fatal(&error))?;
            let channel = dialer.connect(&endpoint).await.map_err(|error| unreachable(&error))?;
            let carrier = InterceptedService::new(channel, Bearer::new(connection.token.as_ref()));
            return Ok(Reached { carrier, renewal: Renewal::None });
        }
        let key = Key::open(&self.folder).map_err(|error| fatal(&error))?;
        let current = self.identity().clone().or_else(|| key.kept(&self.folder).map(Arc::new));
        let now = self.clock.wall();
        let identity = match current.filter(|identity| identity.valid.1.0 > now.0 + LEAST_LEFT_MS) {
            Some(identity) => identity,
            None => Arc::new(self.enrol(&key, address, &endpoint, &connection).await?),
        };
        *self.identity() = Some(Arc::clone(&identity));
        let dialer = Dialer::new(address, &connection, Some(&identity)).map_err(|error| fatal(&error))?;
        let channel = dialer.connect(&endpoint).await.map_err(|error| unreachable(&error))?;
        let carrier = InterceptedService::new(channel, Bearer::new(None));
        Ok(Reached { renewal: Renewal::Due { at: half_life(identity.valid), carrier: carrier.clone() }, carrier })
    }

    async fn enrol(
        &self,
        key: &Key,
        address: &str,
        endpoint: &Endpoint,
        connection: &ConnectionFile,
    ) -> Result<Identity, Status> {
        let dialer = Dialer::new(address, connection, None).map_err(|error| fatal(&error))?;
        let channel = dialer.connect(endpoint).await.map_err(|error| unreachable(&error))?;
        let mut client = AccessClient::with_interceptor(channel, Bearer::new(connection.token.as_ref()));
        let request = key.request().map_err(|error| fatal(&error))?;
        let chain = client.enrol(v1::EnrolRequest { worker: self.worker.to_string(), request }).await;
        let chain = chain.map_err(refused)?.into_inner().chain;
        let identity = self.take(key, chain).map_err(|error| fatal(&error))?;
        tracing::info!("enrolled: the coordinator has signed the certificate of this worker");
        Ok(identity)
    }

    fn take(&self, key: &Key, chain: Vec<Vec<u8>>) -> Result<Identity, IdentityError> {
        let identity = key.with(chain)?;
        identity.keep(&self.folder)?;
        Ok(identity)
    }

    /// Renews the certificate of a connection when half of its life is over, and again. It never ends.
    pub(super) async fn renew(&self, renewal: &mut Renewal) -> std::convert::Infallible {
        loop {
            let Renewal::Due { at, carrier } = renewal else { return std::future::pending().await };
            let left = at.0.saturating_sub(self.clock.wall().0);
            tokio::time::sleep(Duration::from_millis(left)).await;
            match self.renewed(carrier.clone()).await {
                Ok(identity) => {
                    tracing::info!("the certificate of this worker is renewed");
                    *at = half_life(identity.valid);
                    *self.identity() = Some(Arc::new(identity));
                }
                Err(why) => {
                    tracing::warn!(why, "the certificate of this worker is not renewed yet");
                    *at = WallTime(self.clock.wall().0 + RENEW_AGAIN.as_millis() as u64);
                }
            }
        }
    }

    async fn renewed(&self, carrier: Carrier) -> Result<Identity, String> {
        let key = Key::open(&self.folder).map_err(|error| error.to_string())?;
        let request = key.request().map_err(|error| error.to_string())?;
        let answer = AccessClient::new(carrier).renew(v1::RenewRequest { request }).await;
        let chain = answer.map_err(|status| status.message().to_owned())?.into_inner().chain;
        self.take(&key, chain).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whereabouts {
            Whereabouts::Address(address) => f.write_str(address),
            Whereabouts::File(path) => path.display().fmt(f),
        }
    }
}

/// When the certificate of a connection is renewed.
pub(super) enum Renewal {
    /// There is no certificate.
    None,
    /// At a time, over the connection.
    Due {
        /// The time.
        at: WallTime,
        /// The connection.
        carrier: Carrier,
    },
}

/// A time about the middle of a certificate's life, so that the certificates of many workers are not renewed at once.
fn half_life((from, until): (WallTime, WallTime)) -> WallTime {
    let life = until.0.saturating_sub(from.0) as f64;
    WallTime(from.0 + (life * rand::rng().random_range(0.45..0.55)) as u64)
}

fn endpoint(address: &str) -> Result<Endpoint, ReachError> {
    let endpoint = Endpoint::from_shared(address.to_owned());
    let endpoint = endpoint.map_err(|error| ReachError::Address { url: address.to_owned(), why: error.to_string() })?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true))
}

/// The refusal of an enrolment, which is final.
fn refused(status: Status) -> Status {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::NotFound | Code::InvalidArgument => {
            Status::failed_precondition(status.message().to_owned())
        }
        _ => status,
    }
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> Status {
    Status::unavailable(root_cause(error))
}

/// An error that another attempt would meet again.
fn fatal(error: &dyn std::error::Error) -> Status {
    Status::failed_precondition(error.to_string())
}
