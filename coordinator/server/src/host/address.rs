//! The file in a home that says where its coordinator listens, and which store that one serves. The address alone may be
//! another coordinator's by now, and the file that of a home that was copied: who listens there has to prove itself.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use biosweep_common::ids::StoreId;

use super::HostError;
use crate::grpc::identity;

const FILE: &str = "coordinator.address";

/// What a coordinator has written down in its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Where it listens.
    address: SocketAddr,
    /// What it serves.
    pub store: StoreId,
}

impl Announcement {
    pub(super) const fn new(address: SocketAddr, store: StoreId) -> Self {
        Self { address, store }
    }

    /// What the last coordinator of a home has written down, and not removed.
    pub fn read(home: &Path) -> Option<Self> {
        let text = fs::read_to_string(home.join(FILE)).ok()?;
        let (address, store) = text.split_once('\n')?;
        Some(Self { address: address.trim().parse().ok()?, store: store.trim().parse().ok()? })
    }

    /// Writes it down, for all to see at once.
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

    /// Removes it where it is this one, or one that was left behind.
    pub(super) fn remove(home: &Path, store: Option<StoreId>) {
        if Self::read(home).is_none_or(|found| Some(found.store) == store) {
            // Mostly there is none.
            drop(fs::remove_file(home.join(FILE)));
        }
    }

    /// The address to reach the coordinator at from this machine.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Whether a coordinator listens there that serves this store.
    pub async fn is_true(&self) -> bool {
        identity::serves(&self.url(), self.store).await
    }
}

/// The address to reach a coordinator at from this machine, which listens there.
pub(super) fn url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}
