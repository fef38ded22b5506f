//! The checkpoint store: a folder, or a bucket of an S3-compatible object store.
//!
//! Each trajectory has its own folder, `SWEEP/TRAJECTORY`, with one file for each of its last two checkpoints. The file
//! name is the update. A file is written under a temporary name, synced and renamed, so that no partial file has its
//! final name. A checkpoint that cannot be read is set aside, and the one before it is used.
//!
//! Others may write into a folder that machines share. So no link below the folder is followed: it could lead to files that are no
//! checkpoints, and these would be deleted with their sweep.

#[cfg(feature = "s3")]
mod s3;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::configuration::TrialKey;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_engine::checkpoint;
use biosweep_engine::train::LaneState;
use biosweep_host::id::new_id;
use biosweep_host::private;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _};

/// Checkpoints kept per trajectory: the last, and the one before it in case the last is damaged.
const KEPT: usize = 2;
/// Bytes of a part: the minimum of object stores, which a slow line sends in time. A file may have 10,000 parts.
const PART: usize = 5 << 20;
/// Time limit of a check of the storage.
const CHECK: Duration = Duration::from_secs(60);
/// How the name of the file begins that a check writes and deletes.
const WRITABLE: &str = ".writable";
const ENDING: &str = ".safetensors";
const SET_ASIDE: &str = ".set-aside";

/// The error of a checkpoint store that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("checkpoints cannot be kept in {place}: {why}; name another place with --checkpoints")]
pub struct CheckpointStoreError {
    /// The folder or address.
    pub place: String,
    /// The reason.
    pub why: String,
}

/// A checkpoint store. Clones share the same storage.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    objects: Arc<dyn ObjectStore>,
    within: ObjectPath,
    name: String,
    /// The folder; `None` for a bucket, to which long files are sent in parts.
    root: Option<PathBuf>,
}

/// The id of a trajectory's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointId {
    /// The sweep.
    pub sweep: SweepId,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
}

impl CheckpointStore {
    /// Opens a folder, created if it is missing, or an address such as s3://BUCKET/PREFIX. The credentials of a bucket
    /// come from the usual variables, such as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and
    /// AWS_ENDPOINT_URL.
    ///
    /// # Errors
    /// The folder cannot be created, or the address is invalid.
    pub fn open(place: &str) -> Result<Self, CheckpointStoreError> {
        let refused = |why: String| CheckpointStoreError { place: place.to_owned(), why };
        if place.contains("://") {
            return Self::open_bucket(place);
        }
        private::create_folder(Path::new(place)).map_err(|error| refused(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(place).map_err(|error| refused(error.to_string()))?;
        Ok(Self {
            objects: Arc::new(store.with_fsync(true).with_automatic_cleanup(true)),
            within: ObjectPath::default(),
            name: place.to_owned(),
            root: Some(place.into()),
        })
    }

    #[cfg(feature = "s3")]
    fn open_bucket(place: &str) -> Result<Self, CheckpointStoreError> {
        let refused = |why: String| CheckpointStoreError { place: place.to_owned(), why };
        let (store, within) = s3::open(place).map_err(refused)?;
        Ok(Self { objects: Arc::new(store), within, name: place.to_owned(), root: None })
    }

    #[cfg(not(feature = "s3"))]
    fn open_bucket(place: &str) -> Result<Self, CheckpointStoreError> {
        let why = "this worker is built without object stores: build it with `make build FEATURES=s3`".to_owned();
        Err(CheckpointStoreError { place: place.to_owned(), why })
    }

    /// Checks that the folder or the bucket can be listed and written, by a small file that is deleted at once.
    ///
    /// # Errors
    /// The storage refuses it, or does not answer.
    pub async fn check(&self) -> Result<(), CheckpointStoreError> {
        let why = match tokio::time::timeout(CHECK, self.use_once()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it has not answered for {} s", CHECK.as_secs()),
        };
        let credentials = if self.root.is_none() {
            " (its credentials are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its address from AWS_ENDPOINT_URL and \
             AWS_REGION)"
        } else {
            ""
        };
        Err(CheckpointStoreError { place: self.name.clone(), why: format!("{why}{credentials}") })
    }

    async fn use_once(&self) -> object_store::Result<()> {
        self.sweeps().await?;
        let file = self.within.clone().join(format!("{WRITABLE}-{}", new_id::<WorkerId>()));
        self.objects.put(&file, Vec::new().into()).await?;
        self.delete(&file).await
    }

    /// Deletes a file, which another worker may have deleted first.
    async fn delete(&self, file: &ObjectPath) -> object_store::Result<()> {
        match self.objects.delete(file).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    fn folder(&self, id: CheckpointId) -> ObjectPath {
        self.all(id.sweep).join(id.trajectory.to_string())
    }

    /// The first link on the way from the folder to a file.
    fn link_in(&self, path: &ObjectPath) -> Option<PathBuf> {
        let mut place = self.root.clone()?;
        path.parts().find_map(|part| {
            place.push(part.as_ref());
            place.is_symlink().then(|| place.clone())
        })
    }

    fn all(&self, sweep: SweepId) -> ObjectPath {
        self.within.clone().join(sweep.to_string())
    }

    /// Keeps the encoded state after `update` updates, and deletes checkpoints that are no longer needed.
    ///
    /// # Errors
    /// The storage fails. Earlier checkpoints stay.
    pub async fn keep(&self, id: CheckpointId, update: u64, bytes: Vec<u8>) -> object_store::Result<()> {
        let place = self.folder(id).join(format!("{update:020}{ENDING}"));
        if let Some(link) = self.link_in(&self.folder(id)) {
            return Err(link_refused(&link));
        }
        if self.root.is_none() && bytes.len() > PART {
            self.put_in_parts(&place, &bytes).await?;
        } else {
            self.objects.put(&place, bytes.into()).await?;
        }
        // Only earlier files are deleted. An unusable file that could not be set aside may be of a later update.
        let before = self.files(id).await?.into_iter().rev().filter(|file| *file < place);
        for old in before.skip(KEPT - 1) {
            self.objects.delete(&old).await?;
        }
        Ok(())
    }

    /// Sends a file part by part. It has its final name when it is complete.
    async fn put_in_parts(&self, place: &ObjectPath, bytes: &[u8]) -> object_store::Result<()> {
        let mut upload = self.objects.put_multipart(place).await?;
        let sent = async {
            for part in bytes.chunks(PART) {
                upload.put_part(part.to_vec().into()).await?;
            }
            upload.complete().await
        };
        let Err(error) = sent.await else { return Ok(()) };
        if let Err(error) = upload.abort().await {
            tracing::warn!(checkpoint = %place, %error, "an upload of a checkpoint failed; parts of it may remain");
        }
        Err(error)
    }

    /// The newest state that can be read. Checkpoints that cannot be read are set aside.
    pub async fn latest(&self, id: CheckpointId, key: TrialKey) -> Option<LaneState> {
        let files = match self.files(id).await {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(place = self.name, %error, "cannot list checkpoints; training starts at its first update");
                return None;
            }
        };
        for file in files.into_iter().rev() {
            let bytes = async { self.objects.get(&file).await?.bytes().await };
            let why = match bytes.await {
                Ok(bytes) => match checkpoint::decode(key, &bytes) {
                    Ok(state) => return Some(state),
                    Err(error) => error.to_string(),
                },
                Err(error) => {
                    tracing::warn!(checkpoint = %file, %error, "cannot read a checkpoint; an older one is used if there is one");
                    continue;
                }
            };
            tracing::warn!(checkpoint = %file, why, "a damaged checkpoint is set aside; an older one is used if there is one");
            if let Err(error) = self.rename_aside(&file).await {
                tracing::warn!(checkpoint = %file, %error, "it cannot be set aside");
            }
        }
        None
    }

    /// Sets all checkpoints of a trajectory aside: they can be read, but training cannot resume from them.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn set_aside(&self, id: CheckpointId) -> object_store::Result<()> {
        for file in self.files(id).await? {
            self.rename_aside(&file).await?;
        }
        Ok(())
    }

    /// Sets a file aside. If that fails the file is deleted, because no training may resume from it.
    async fn rename_aside(&self, file: &ObjectPath) -> object_store::Result<()> {
        let renamed = self.objects.rename(file, &ObjectPath::from(format!("{file}{SET_ASIDE}"))).await;
        let Err(error) = renamed else { return Ok(()) };
        tracing::warn!(checkpoint = %file, %error, "it cannot be set aside and is deleted");
        self.objects.delete(file).await
    }

    /// Deletes all checkpoints of a trajectory.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn discard(&self, id: CheckpointId) -> object_store::Result<()> {
        self.empty(&self.folder(id)).await
    }

    /// Deletes all checkpoints of a sweep.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn discard_all(&self, sweep: SweepId) -> object_store::Result<()> {
        self.empty(&self.all(sweep)).await
    }

    /// The sweeps that have checkpoints.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn sweeps(&self) -> object_store::Result<Vec<SweepId>> {
        let folders = self.objects.list_with_delimiter(Some(&self.within)).await?.common_prefixes;
        Ok(folders.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect())
    }

    /// Deletes the checkpoints in a folder, and those that were set aside.
    async fn empty(&self, folder: &ObjectPath) -> object_store::Result<()> {
        for file in self.own_files(folder).await? {
            if file.as_ref().ends_with(ENDING) || file.as_ref().ends_with(SET_ASIDE) {
                self.delete(&file).await?;
            }
        }
        Ok(())
    }

    /// The files under a folder that no link leads to.
    async fn own_files(&self, folder: &ObjectPath) -> object_store::Result<Vec<ObjectPath>> {
        let all: Vec<_> = self.objects.list(Some(folder)).try_collect().await?;
        let (mut files, mut links) = (Vec::new(), BTreeSet::new());
        for object in all {
            match self.link_in(&object.location) {
                Some(link) => {
                    links.insert(link);
                }
                None => files.push(object.location),
            }
        }
        for link in links {
            tracing::warn!(link = %link.display(), "a link among the checkpoints is not followed; remove it");
        }
        Ok(files)
    }

    /// The checkpoints of a trajectory, oldest first.
    async fn files(&self, id: CheckpointId) -> object_store::Result<Vec<ObjectPath>> {
        let mut files = self.own_files(&self.folder(id)).await?;
        files.retain(|file| file.as_ref().ends_with(ENDING));
        files.sort();
        Ok(files)
    }
}

/// The error of a path with a link.
fn link_refused(link: &Path) -> object_store::Error {
    let why = "it is a link; no checkpoint is written through it. Remove it, or name another place with --checkpoints";
    object_store::Error::PermissionDenied { path: link.display().to_string(), source: why.into() }
}

#[cfg(test)]
mod tests;
