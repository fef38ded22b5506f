//! A coordinator in this process: home, store, loop and gRPC server, started and stopped together.
//!
//! | module | contents |
//! |---|---|
//! | `address` | the file with the coordinator's address, for commands |
//! | `protection` | certificates and tokens, or an address that only this machine reaches |
//! | `ephemeral` | a coordinator without a server, for a single command |

mod address;
mod ephemeral;
mod hold;
mod protection;
mod standby;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::results::outcome::{SweepState, UNREADABLE_SPEC};
use biosweep_common::vocabulary::ids::{StoreId, SweepId};
use biosweep_connection::file::{ConnectionFile, ConnectionFileError};
use biosweep_host::clock::Clock;
use biosweep_host::name;
use biosweep_host::traces::Traces;
use biosweep_scheduler::event::Now;
use biosweep_scheduler::record::Record;
use biosweep_scheduler::scheduler::{Scheduler, Timeouts};
use biosweep_scheduler::tables::out_of_scope::OutOfScope;
use biosweep_store::{self, Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Administration;
use crate::access::authority::{AuthorityError, names_of_machine};
use crate::access::guard::Guard;
use crate::commands::{Commands, prepare};
use crate::connections::{self, Admission};
use crate::driver::{self, Handle};
use crate::grpc::{self, ServeError};
use crate::page::{self, Hosts};
use crate::queries::{self, Lookup, QueryError};
pub use address::Announcement;
pub use ephemeral::{EphemeralHost, Found};
pub use hold::open_alone;
use hold::{StoreHolder, hold};
use protection::Protected;
pub use protection::Protection;

/// The default timeouts: a worker that is silent for twenty seconds is lost.
pub const TIMEOUTS: Timeouts = Timeouts::of_lease_ms(20_000);

/// The time that a stopping coordinator waits for clients that still read answers.
const READERS_WAIT: Duration = Duration::from_secs(5);

/// The time limit for closing a store; after it the store is left as it is.
const CLOSING: Duration = Duration::from_secs(5);

/// Why a coordinator could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// Other machines can reach the address, and there is no protection.
    #[error(
        "{address} can be reached from other machines, and the coordinator has no certificates; run `biosweep certs init` once, \
         listen on 127.0.0.1, or add --insecure if everybody on the network may do everything"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// The home cannot be written.
    #[error("cannot write {path}: {source}; choose another home with --home")]
    Home {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The file for commands cannot be written.
    #[error(transparent)]
    Announcement(#[from] ConnectionFileError),
    /// The home has no store, and its coordinator is not running.
    #[error(
        "{home} has no store, and its coordinator is no longer at {url}; start it again, or give the store \
         of the coordinator with --store"
    )]
    Gone {
        /// The home.
        home: PathBuf,
        /// The last address of the coordinator.
        url: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored sweep cannot be continued.
    #[error(transparent)]
    Stored(#[from] QueryError),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// The options of a coordinator.
#[derive(Debug, Clone)]
pub struct HostOptions<'a> {
    /// The folder with its address file and, unless another is given, its store.
    pub home: &'a Path,
    /// The address of its store; `None` for a file in the home.
    pub store: Option<&'a str>,
    /// The address to listen on; port 0 for any free one.
    pub listen: SocketAddr,
    /// How it is protected.
    pub protection: Protection<'a>,
    /// More host names under which browsers open the page.
    pub page_hosts: &'a [String],
    /// The sweeps it continues.
    pub scope: Scope<'a>,
    /// When workers are lost.
    pub timeouts: Timeouts,
    /// How long it runs.
    pub lifetime: Lifetime,
    /// Whether it waits for a store that another coordinator serves, and takes it over then.
    pub stands_by: bool,
    /// Where it sends its spans.
    pub traces: Traces,
}

/// How long a coordinator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is stopped. It writes its address into the home, so that commands find it.
    Announced,
    /// As long as this process needs it.
    OneCommand,
}

/// The stored sweeps that a coordinator continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All running sweeps.
    All,
    /// The sweeps with this digest; others are unchanged.
    Digest(&'a str),
    /// The sweep with this id, prefix of an id, or name.
    Named(&'a str),
    /// None; the coordinator only answers requests.
    Nothing,
}

/// A running coordinator.
pub struct Host {
    /// The handle of its loop.
    pub handle: Handle,
    /// The address it listens on.
    pub address: SocketAddr,
    /// How programs of the owner on this machine reach it.
    pub connection: ConnectionFile,
    /// The tasks of its services.
    tasks: TaskTracker,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
    driver: JoinHandle<Result<(), StoreError>>,
    /// The home with its address file, and the store that it serves.
    announced: Option<(PathBuf, StoreId)>,
}

impl Host {
    /// Starts a coordinator for the home; an error if another process holds it. A holder without an address file holds
    /// it for a moment only and is waited for.
    pub async fn start_alone(options: HostOptions<'_>) -> Result<Self, HostError> {
        let HostOptions { home, store, listen, protection, page_hosts, scope, timeouts, lifetime, stands_by, traces } =
            options;
        protection.admits(listen)?;
        let clock = Clock::start();
        let admission = protection.open(certified_names(listen, page_hosts), clock)?;
        let (store, id) = if stands_by {
            let store = standby::wait((home, store), listen, &admission).await?;
            let id = store.id().await?;
            Announcement::remove(home, id);
            (store, id)
        } else {
            match hold(home, store).await? {
                StoreHolder::ThisProcess(store, id) => (store, id),
                StoreHolder::Coordinator(_, error) => return Err(error.into()),
            }
        };
        let scheduler = match restore(store.as_ref(), clock, scope, timeouts).await {
            Ok(scheduler) => scheduler,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };

        let protected = match Protected::of(admission.clone(), store.as_ref(), clock).await {
            Ok(protected) => protected,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        };
        let failed = |source| HostError::Listen { address: listen, source };
        let listener = connections::listen(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (handle, driver) = driver::start_traced(scheduler, store, clock, traces);
        let commands = Commands::new(handle.clone());
        let shutdown = CancellationToken::new();
        let connection = protected.connection(address);
        let Protected { registry, authority, .. } = protected;
        let (callers, browsers) = connections::accept(listener, admission.clone(), &commands.tasks);
        let administration = Administration::new(handle.clone(), registry.clone(), authority);
        let (services, guard) = ((commands.clone(), administration), Guard(registry.clone()));
        let server = tokio::spawn(grpc::serve(callers, id, services, guard, shutdown.clone().cancelled_owned()));
        if let Admission::Certificates(tls) = admission {
            let ended = shutdown.clone().cancelled_owned();
            commands.tasks.spawn(async move {
                tokio::select! {
                    () = tls.keep_current(clock) => {}
                    () = ended => {}
                }
            });
        }
        let hosts = Hosts::new(address, page_hosts.iter().cloned().chain(name::host_name()));
        commands.tasks.spawn(page::serve(browsers, hosts, registry, commands.clone(), shutdown.clone()));
        let announced = id.filter(|_| lifetime == Lifetime::Announced).map(|id| (home.to_owned(), id));
        if let Some((home, id)) = &announced {
            Announcement::new(&connection, *id).write(home)?;
        }
        Ok(Self { handle, tasks: commands.tasks, address, connection, shutdown, server, driver, announced })
    }

    /// The URL to reach it from this machine.
    pub fn url(&self) -> String {
        self.connection.first_address().to_owned()
    }

    /// Waits until the loop or the server ends unexpectedly.
    pub async fn failed(&mut self) -> HostError {
        tokio::select! {
            end = &mut self.driver => match end.expect("the loop does not panic") {
                Ok(()) => ServeError::Ended.into(),
                Err(error) => error.into(),
            },
            end = &mut self.server => match end.expect("the server does not panic") {
                Ok(()) => ServeError::Ended.into(),
                Err(error) => error.into(),
            },
            successor = self.handle.store.succeeded() => successor.into(),
        }
    }

    /// Tells other coordinators of the same store how callers reach this one.
    pub fn announce(&self, url: &str) {
        self.handle.store.announce(url);
    }

    /// Ends at once, because another coordinator serves the store.
    pub async fn abandon(self) {
        if let Some((home, id)) = &self.announced {
            Announcement::remove(home, Some(*id));
        }
        self.shutdown.cancel();
        self.driver.abort();
        self.server.abort();
        drop(self.handle);
        self.tasks.close();
        if tokio::time::timeout(READERS_WAIT, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "commands or answers are still under way; they are left");
        }
    }

    /// Stops listening, commits what was received, and closes the home. A store that does not answer is not waited for.
    pub async fn stop(self) -> Result<(), HostError> {
        if let Some((home, id)) = &self.announced {
            Announcement::remove(home, Some(*id));
        }
        // The loop is closed first, because this ends the streams that the server waits for.
        self.handle.close().await;
        self.shutdown.cancel();
        let store = Arc::clone(&self.handle.store);
        drop(self.handle);
        let ended = self.driver.await.expect("the loop does not panic");
        let mut server = self.server;
        let served = match tokio::time::timeout(READERS_WAIT, &mut server).await {
            Ok(served) => served.expect("the server does not panic"),
            Err(_) => {
                tracing::warn!("a client no longer reads; its connection is closed");
                server.abort();
                Ok(())
            }
        };
        self.tasks.close();
        if tokio::time::timeout(READERS_WAIT, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "commands or answers are still under way; they are left");
        }
        if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
            tracing::warn!("the store does not answer; its connections are closed");
        }
        ended?;
        served?;
        Ok(())
    }
}

/// The names and addresses in the certificate of a coordinator, for browsers. Other programs do not need them.
fn certified_names(listen: SocketAddr, page_hosts: &[String]) -> BTreeSet<String> {
    let listening = (!listen.ip().is_unspecified()).then(|| listen.ip().to_string());
    page_hosts.iter().cloned().chain(names_of_machine()).chain(listening).collect()
}

async fn restore(
    store: &dyn Store,
    clock: Clock,
    scope: Scope<'_>,
    timeouts: Timeouts,
) -> Result<Scheduler, HostError> {
    let mut restored = store.restore().await?;
    let named = match scope {
        Scope::Named(name) => match queries::named(&store.summaries().await?, name, Lookup::Continue) {
            Ok(id) => Some(id),
            // There is nothing to continue; the request reports the unknown name.
            Err(QueryError::Unknown { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        _ => None,
    };
    let (in_scope, mut others) =
        std::mem::take(&mut restored.sweeps).into_iter().partition::<Vec<_>, _>(|sweep| match scope {
            Scope::All => true,
            Scope::Named(_) => Some(sweep.row.submission.id) == named,
            Scope::Digest(digest) => sweep.row.submission.digest == digest,
            Scope::Nothing => false,
        });
    let mut specs = Vec::with_capacity(in_scope.len());
    for sweep in in_scope {
        match queries::read_spec(store, &sweep.row).await {
            Ok(spec) => {
                specs.push(prepare(spec).await);
                restored.sweeps.push(sweep);
            }
            // The other sweeps go on. A run of this sweep alone has nothing to do without it.
            Err(QueryError::Spec { id, why }) if matches!(scope, Scope::All) => {
                tracing::error!(sweep = %id, why, "a sweep is paused, because this version cannot read its spec");
                if sweep.row.state == SweepState::Running {
                    pause_unreadable(store, sweep.row.submission.id, &why, clock).await?;
                }
                others.push(sweep);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(timeouts, now, &restored, specs).leaving_out(OutOfScope::of(&others));
    Ok(scheduler.in_epoch(store.epoch()))
}

/// Stores that a sweep is paused, because this version cannot read its spec.
async fn pause_unreadable(store: &dyn Store, sweep: SweepId, why: &str, clock: Clock) -> Result<(), StoreError> {
    let first = why.lines().next().unwrap_or_default();
    let (reason, at) = (Some(format!("{UNREADABLE_SPEC} ({first})")), clock.wall());
    store.commit(&[Record::StateChanged { sweep, state: SweepState::Paused, reason, at }]).await
}

/// The address of the coordinator that serves this home, as last written there.
pub fn url_of(home: &Path) -> Option<String> {
    Announcement::read(home).map(|announced| announced.url())
}
