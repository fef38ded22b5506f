//! A coordinator in this process: its home, store, loop and gRPC server, started and stopped as one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use biosweep_common::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::event::Now;
use crate::core::scheduler::{Core, Patience};
use crate::driver::{self, Handle};
use crate::queries::{self, QueryError};
use crate::rpc::{self, ServeError};
use crate::store::{Store, StoreError, sql};

/// The file in a home that names the address of the coordinator that serves it.
const ADDRESS_FILE: &str = "coordinator.address";

/// Heartbeats every two seconds; a worker silent for twenty is lost.
pub(crate) const PATIENCE: Patience = Patience { heartbeat_ms: 2_000, lease_ms: 20_000 };

/// Why a coordinator could not be started, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address is open to others, and nothing protects it.
    #[error(
        "{address} can be reached from other machines, and nothing here asks them who they are; listen on 127.0.0.1, \
         or add --insecure where the network itself is trusted"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// The home cannot be written to.
    #[error("cannot write {path}: {source}; choose another home with --home")]
    Home {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored sweep cannot be gone on with.
    #[error(transparent)]
    Stored(#[from] QueryError),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Where and for whom a coordinator works.
#[derive(Debug, Clone)]
pub(crate) struct Options<'a> {
    /// The folder of its store.
    pub(crate) home: &'a Path,
    /// Where it listens; port 0 takes any that is free.
    pub(crate) listen: SocketAddr,
    /// Whether others may reach it unasked.
    pub(crate) insecure: bool,
    /// What it works on.
    pub(crate) scope: Scope<'a>,
    /// When workers are lost.
    pub(crate) patience: Patience,
}

/// Which of the stored sweeps a coordinator goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// All that are running.
    All,
    /// Those of this digest; the others stay as they are.
    Digest(&'a str),
    /// None: it only answers questions.
    Nothing,
}

/// A running coordinator.
pub(crate) struct Host {
    /// The way to its loop.
    pub(crate) handle: Handle,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
    driver: JoinHandle<Result<(), StoreError>>,
    address_file: PathBuf,
}

impl Host {
    /// Opens the home and starts to listen.
    pub(crate) async fn start(options: Options<'_>) -> Result<Self, HostError> {
        let Options { home, listen, insecure, scope, patience } = options;
        if !listen.ip().is_loopback() && !insecure {
            return Err(HostError::Unprotected { address: listen });
        }
        let store: Arc<dyn Store> = Arc::new(sql::open(home).await?);
        let clock = Clock::start();
        let core = restore(store.as_ref(), clock, scope, patience).await?;

        let failed = |source| HostError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (handle, driver) = driver::start(core, store, clock);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(rpc::serve(listener, handle.clone(), shutdown.clone().cancelled_owned()));
        let address_file = home.join(ADDRESS_FILE);
        fs::write(&address_file, address.to_string())
            .map_err(|source| HostError::Home { path: address_file.clone(), source })?;
        Ok(Self { handle, address, shutdown, server, driver, address_file })
    }

    /// The address to reach it at from this machine.
    pub(crate) fn url(&self) -> String {
        url(self.address)
    }

    /// Waits until the loop or the server ends by itself, which only a failure makes them do.
    pub(crate) async fn failed(&mut self) -> HostError {
        tokio::select! {
            end = &mut self.driver => match end.expect("the loop does not panic") {
                Ok(()) => ServeError::Ended.into(),
                Err(error) => error.into(),
            },
            end = &mut self.server => match end.expect("the server does not panic") {
                Ok(()) => ServeError::Ended.into(),
                Err(error) => error.into(),
            },
        }
    }

    /// Stops listening, commits what was taken in, and closes the home.
    pub(crate) async fn stop(self) -> Result<(), HostError> {
        // Closing the loop first ends the streams, which the server waits for.
        self.handle.close().await;
        self.shutdown.cancel();
        drop(self.handle);
        self.driver.await.expect("the loop does not panic")?;
        self.server.await.expect("the server does not panic")?;
        // Gone already where another hand removed it.
        drop(fs::remove_file(&self.address_file));
        Ok(())
    }
}

async fn restore(store: &dyn Store, clock: Clock, scope: Scope<'_>, patience: Patience) -> Result<Core, HostError> {
    let mut restored = store.restore().await?;
    restored.sweeps.retain(|sweep| match scope {
        Scope::All => true,
        Scope::Digest(digest) => sweep.row.submission.digest == digest,
        Scope::Nothing => false,
    });
    let mut specs = Vec::with_capacity(restored.sweeps.len());
    for sweep in &restored.sweeps {
        specs.push(Arc::new(queries::parse(&sweep.row)?));
    }
    let now = Now { tick: clock.now(), wall: clock.wall() };
    Ok(Core::restore(patience, now, &restored, &specs))
}

/// The address of the coordinator that serves this home, as it last wrote it.
pub(crate) fn address_of(home: &Path) -> Option<String> {
    let address: SocketAddr = fs::read_to_string(home.join(ADDRESS_FILE)).ok()?.trim().parse().ok()?;
    Some(url(address))
}

fn url(address: SocketAddr) -> String {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{reachable}")
}
