//! The file in a home with which programs find its coordinator: its address, the store that it serves, and the token of its owner.
//! The address may belong to another coordinator by now, and the file may be a copy. So the coordinator at the address must prove its
//! identity.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::ids::StoreId;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::private;

use super::HostError;
use crate::grpc::identity;

const FILE: &str = "coordinator.json";

/// How to reach the coordinator of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The connection file, with one address and the store.
    pub connection: ConnectionFile,
    /// The store it serves.
    pub store: StoreId,
}

impl Announcement {
    pub(super) fn new(connection: &ConnectionFile, store: StoreId) -> Self {
        Self { connection: ConnectionFile { store: Some(store), ..connection.clone() }, store }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(home: &Path) -> PathBuf {
        home.join(FILE)
    }

    /// Reads the file of a home; `None` if there is none, or if it is somebody else's.
    pub fn read(home: &Path) -> Option<Self> {
        let connection = ConnectionFile::read(&Self::path(home)).ok()?;
        let store = connection.store?;
        Some(Self { connection, store })
    }

    /// Writes the file; it appears complete.
    pub(super) fn write(&self, home: &Path) -> Result<(), HostError> {
        let path = Self::path(home);
        private::create_folder(home).map_err(|source| HostError::Home { path: path.clone(), source })?;
        Ok(self.connection.write(&path)?)
    }

    /// Removes the file if it is for this store, or was left behind.
    pub(super) fn remove(home: &Path, store: Option<StoreId>) {
        if Self::read(home).is_none_or(|found| Some(found.store) == store) {
            // An error mostly means that there is no file.
            drop(fs::remove_file(Self::path(home)));
        }
    }

    /// The URL to reach the coordinator from this machine.
    pub fn url(&self) -> String {
        self.connection.first_address().to_owned()
    }

    /// Whether a coordinator that serves this store listens at the address.
    pub async fn is_true(&self) -> bool {
        identity::serves(&self.connection, self.store).await
    }
}

/// The URL to reach a coordinator with this listening address from this machine.
pub(super) fn url(mut address: SocketAddr, has_tls: bool) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("{}://{address}", if has_tls { "https" } else { "http" })
}
