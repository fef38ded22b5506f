//! Who holds the store of a home: this process, or a coordinator that can be asked.

use std::path::Path;
use std::sync::Arc;

use biosweep_common::vocabulary::ids::StoreId;
use biosweep_host::clock::Clock;
use biosweep_store::{Store, StoreError};

use super::{Announcement, HostError};

/// The result of an attempt to hold the store of a home.
pub(super) enum StoreHolder {
    /// The store is held by this process; with its id.
    ThisProcess(Arc<dyn Store>, Option<StoreId>),
    /// A coordinator serves it at this address; with the error from the store.
    Coordinator(Announcement, StoreError),
}

/// Opens the store of a home for writing, or finds the coordinator that serves it. A holder without an address file
/// holds it for a moment only and is waited for. The wait is limited by the clock, because every attempt may take long.
pub(super) async fn hold(home: &Path, url: Option<&str>) -> Result<StoreHolder, HostError> {
    let clock = Clock::start();
    loop {
        match biosweep_store::open(home, url).await {
            Ok(store) => {
                let id = store.id().await?;
                // The writer of the address file is gone, because this process holds the store.
                Announcement::remove(home, id);
                return Ok(StoreHolder::ThisProcess(store, id));
            }
            Err(error @ StoreError::Locked { .. }) => {
                if let Some(announced) = serving_coordinator(home, url).await {
                    return Ok(StoreHolder::Coordinator(announced, error));
                }
                if clock.seconds() >= biosweep_store::HOLDER_WAIT.as_secs_f64() {
                    return Err(error.into());
                }
                tokio::time::sleep(biosweep_store::HOLDER_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The coordinator that serves the store of this home, if it has an address file there and its identity is right.
async fn serving_coordinator(home: &Path, url: Option<&str>) -> Option<Announcement> {
    let announced = Announcement::read(home)?;
    if url.is_some() {
        // The coordinator of the home may serve another store than the requested one.
        let store = biosweep_store::open_to_read(home, url).await.ok()?;
        let id = store.id().await.ok()?;
        store.close().await;
        if id != Some(announced.store) {
            return None;
        }
    }
    announced.is_true().await.then_some(announced)
}

/// Opens the store of a home for a command that needs it for itself.
///
/// # Errors
/// A coordinator that serves the store, or another process that holds it for longer than a moment; the errors of
/// [`biosweep_store::open`].
pub async fn open_alone(home: &Path, url: Option<&str>) -> Result<Arc<dyn Store>, HostError> {
    match hold(home, url).await? {
        StoreHolder::ThisProcess(store, _) => Ok(store),
        StoreHolder::Coordinator(_, error) => Err(error.into()),
    }
}
