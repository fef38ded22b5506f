//! A coordinator in this process for a single command. Nobody else can reach it.

use std::path::Path;
use std::sync::Arc;

use biosweep_host::clock::Clock;
use biosweep_scheduler::event::Now;
use biosweep_scheduler::record::{AccessRows, Restored};
use biosweep_scheduler::scheduler::{Scheduler, Timeouts};
use biosweep_store::{Store, StoreError};
use tokio::task::JoinHandle;

use super::{Announcement, CLOSING, HostError, Scope, StoreHolder, TIMEOUTS, hold, restore};
use crate::access::Administration;
use crate::access::registry::Registry;
use crate::commands::Commands;
use crate::driver;
use crate::grpc::transport::Transport;

/// A hundred years.
const FOR_EVER_MS: u64 = 100 * 365 * 86_400_000;
/// No worker connects to this coordinator, so no worker may be lost, however long the command takes.
const FOR_EVER: Timeouts = Timeouts { lease_ms: FOR_EVER_MS, reconnect_grace_ms: FOR_EVER_MS, ..TIMEOUTS };

/// The result of an attempt to hold a home for one command.
pub enum Found {
    /// This process holds it.
    Here(EphemeralHost),
    /// A coordinator serves it at this address.
    There(Announcement),
}

/// A coordinator without a server.
pub struct EphemeralHost {
    commands: Commands,
    administration: Administration,
    driver: JoinHandle<Result<(), StoreError>>,
}

impl EphemeralHost {
    /// Holds a home, so that something in it can be changed, or finds the coordinator that serves it.
    pub async fn start_or_find(home: &Path, url: Option<&str>) -> Result<Found, HostError> {
        let store = match hold(home, url).await? {
            StoreHolder::ThisProcess(store, _) => store,
            StoreHolder::Coordinator(announced, _) => return Ok(Found::There(announced)),
        };
        let clock = Clock::start();
        let scheduler = restore(store.as_ref(), clock, Scope::All, FOR_EVER).await?;
        let rows = store.access().await?;
        Ok(Found::Here(Self::of(scheduler, store, rows, clock)))
    }

    /// Answers requests from a store that is open for reading. The scheduler is empty: there is nothing to decide, and
    /// nothing can be lost.
    pub fn reading(store: Arc<dyn Store>) -> Self {
        let clock = Clock::start();
        let now = Now { tick: clock.now(), wall: clock.wall() };
        Self::of(
            Scheduler::restore(FOR_EVER, now, &Restored::default(), Vec::new()),
            store,
            AccessRows::default(),
            clock,
        )
    }

    fn of(scheduler: Scheduler, store: Arc<dyn Store>, rows: AccessRows, clock: Clock) -> Self {
        let (handle, driver) = driver::start(scheduler, store, clock);
        let registry = Arc::new(Registry::new(rows, None, clock));
        let administration = Administration::new(handle.clone(), Some(registry), None);
        Self { commands: Commands::new(handle), administration, driver }
    }

    /// The connection of the command to it.
    pub fn way(&self) -> Transport {
        Transport::here(self.commands.clone(), self.administration.clone())
    }

    /// Commits what was received, and closes the store.
    pub async fn stop(self) -> Result<(), HostError> {
        self.commands.handle.close().await;
        let ended = self.driver.await.expect("the loop does not panic");
        // Clients that still read end with this process.
        drop(tokio::time::timeout(CLOSING, self.commands.handle.store.close()).await);
        Ok(ended?)
    }
}
