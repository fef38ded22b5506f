//! The file in a home with the address of its coordinator and the store that it serves. The address may belong to
//! another coordinator by now, and the file may be a copy. So the coordinator at the address must prove its identity.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use biosweep_common::vocabulary::ids::StoreId;

use super::HostError;
use crate::grpc::identity;

const FILE: &str = "coordinator.address";

/// The content of the address file of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The address it listens on.
    address: SocketAddr,
    /// The store it serves.
    pub store: StoreId,
}

impl Announcement {
    pub(super) const fn new(address: SocketAddr, store: StoreId) -> Self {
        Self { address, store }
    }

    /// Reads the address file of a home; `None` if there is none.
    pub fn read(home: &Path) -> Option<Self> {
        let text = fs::read_to_string(home.join(FILE)).ok()?;
        let (address, store) = text.split_once('\n')?;
        Some(Self { address: address.trim().parse().ok()?, store: store.trim().parse().ok()? })
    }

    /// Writes the file; it appears complete.
    pub(super) fn write(self, home: &Path) -> Result<(), HostError> {
        let (path, part) = (home.join(FILE), home.join(format!(".{FILE}.{}", std::process::id())));
        let write = || -> io::Result<()> {
            fs::create_dir_all(home)?;
            fs::write(&part, format!("{}\n{}\n", self.address, self.store))?;
            fs::rename(&part, &path)
        };
        write().map_err(|source| {
            drop(fs::remove_file(&part));
            HostError::Home { path, source }
        })
    }

    /// Removes the file if it is for this store, or was left behind.
    pub(super) fn remove(home: &Path, store: Option<StoreId>) {
        if Self::read(home).is_none_or(|found| Some(found.store) == store) {
            // An error mostly means that there is no file.
            drop(fs::remove_file(home.join(FILE)));
        }
    }

    /// The URL to reach the coordinator from this machine.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Whether a coordinator that serves this store listens at the address.
    pub async fn is_true(&self) -> bool {
        identity::serves(&self.url(), self.store).await
    }
}

/// The URL to reach a coordinator with this listening address from this machine.
pub(super) fn url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}
