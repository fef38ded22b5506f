//! Where checkpoints lie: a folder, or a bucket of an S3-compatible object store.
//!
//! A trajectory has a folder of its own, `SWEEP/TRAJECTORY`, with a file for each of its last two checkpoints, named by
//! the update. A file is written aside and renamed when it is whole and on disk, so that there is never half of one
//! under its name. One that cannot be read is set aside, and the one before it is used.

use std::sync::Arc;
use std::time::Duration;

use biosweep_common::configuration::TrialKey;
use biosweep_common::ids::{SweepId, TrajectoryIndex};
use futures::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};

use super::form;
use crate::train::LaneState;

/// Checkpoints kept of each trajectory: the last, and the one before it should the last turn out damaged.
const KEPT: usize = 2;
/// How long an object store may take to answer before training goes on without.
const PATIENCE: Duration = Duration::from_secs(10);
const ENDING: &str = ".safetensors";
const SET_ASIDE: &str = ".damaged";

/// Why checkpoints cannot be kept in a place.
#[derive(Debug, thiserror::Error)]
#[error("checkpoints cannot be kept in {place}: {why}; name another place with --checkpoints")]
pub struct ShelfError {
    /// The place.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// A place for checkpoints. Copies are of the same place.
#[derive(Debug, Clone)]
pub struct Shelf {
    store: Arc<dyn ObjectStore>,
    within: Place,
    name: String,
}

/// Whose checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Of {
    /// The sweep.
    pub sweep: SweepId,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
}

impl Shelf {
    /// A folder, made where it is missing, or an address such as s3://BUCKET/PREFIX. Access to a bucket is taken from the
    /// usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL and their kin.
    ///
    /// # Errors
    /// A folder that cannot be made, or an address that is none.
    pub fn open(place: &str) -> Result<Self, ShelfError> {
        let refused = |why: String| ShelfError { place: place.to_owned(), why };
        if place.contains("://") {
            return Self::open_bucket(place);
        }
        std::fs::create_dir_all(place).map_err(|error| refused(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(place).map_err(|error| refused(error.to_string()))?;
        Ok(Self {
            store: Arc::new(store.with_fsync(true).with_automatic_cleanup(true)),
            within: Place::default(),
            name: place.to_owned(),
        })
    }

    fn open_bucket(place: &str) -> Result<Self, ShelfError> {
        let refused = |why: String| ShelfError { place: place.to_owned(), why };
        let Some((bucket, within)) = place.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        else {
            return Err(refused("it is neither a folder nor an address that begins with s3://".to_owned()));
        };
        // Set once in a process; set already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let retry = RetryConfig { max_retries: 3, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let client = ClientOptions::new().with_timeout(PATIENCE).with_allow_http(true);
        let builder =
            AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(client);
        let store = builder.build().map_err(|error| refused(error.to_string()))?;
        Ok(Self { store: Arc::new(store), within: Place::from(within), name: place.to_owned() })
    }

    fn folder(&self, of: Of) -> Place {
        self.all(of.sweep).join(of.trajectory.to_string())
    }

    fn all(&self, sweep: SweepId) -> Place {
        self.within.clone().join(sweep.to_string())
    }

    /// Keeps a state, and lets go of those that are no longer needed.
    ///
    /// # Errors
    /// Storage that fails; nothing that was kept before is lost by it.
    pub async fn keep(&self, of: Of, key: TrialKey, state: &LaneState) -> object_store::Result<()> {
        let bytes = form::encode(key, state);
        let name = format!("{:020}{ENDING}", state.update);
        self.store.put(&self.folder(of).join(name), bytes.into()).await?;
        for old in self.files(of).await?.into_iter().rev().skip(KEPT) {
            self.store.delete(&old).await?;
        }
        Ok(())
    }

    /// The newest state that can be read; those that cannot be are set aside.
    pub async fn latest(&self, of: Of, key: TrialKey) -> Option<LaneState> {
        let files = match self.files(of).await {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(place = self.name, %error, "cannot look for checkpoints; training begins anew");
                return None;
            }
        };
        for file in files.into_iter().rev() {
            let bytes = async { self.store.get(&file).await?.bytes().await };
            let why = match bytes.await {
                Ok(bytes) => match form::decode(key, &bytes) {
                    Ok(state) => return Some(state),
                    Err(error) => error.to_string(),
                },
                Err(error) => {
                    tracing::warn!(checkpoint = %file, %error, "cannot read a checkpoint; the one before it is used");
                    continue;
                }
            };
            tracing::warn!(checkpoint = %file, why, "a checkpoint is set aside; the one before it is used");
            let aside = Place::from(format!("{file}{SET_ASIDE}"));
            if let Err(error) = self.store.rename(&file, &aside).await {
                tracing::warn!(checkpoint = %file, %error, "it cannot be set aside");
            }
        }
        None
    }

    /// Lets go of all that is kept of a trajectory: it is done.
    ///
    /// # Errors
    /// Storage that fails.
    pub async fn discard(&self, of: Of) -> object_store::Result<()> {
        self.empty(&self.folder(of)).await
    }

    /// Lets go of all that is kept of a sweep: it has ended.
    ///
    /// # Errors
    /// Storage that fails.
    pub async fn discard_all(&self, sweep: SweepId) -> object_store::Result<()> {
        self.empty(&self.all(sweep)).await
    }

    /// The sweeps of which something is kept.
    ///
    /// # Errors
    /// Storage that fails.
    pub async fn sweeps(&self) -> object_store::Result<Vec<SweepId>> {
        let folders = self.store.list_with_delimiter(Some(&self.within)).await?.common_prefixes;
        Ok(folders.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect())
    }

    async fn empty(&self, folder: &Place) -> object_store::Result<()> {
        let all: Vec<_> = self.store.list(Some(folder)).try_collect().await?;
        for object in all {
            match self.store.delete(&object.location).await {
                // Another worker was faster.
                Err(object_store::Error::NotFound { .. }) => {}
                deleted => deleted?,
            }
        }
        Ok(())
    }

    /// The checkpoints of a trajectory, oldest first.
    async fn files(&self, of: Of) -> object_store::Result<Vec<Place>> {
        let all: Vec<_> = self.store.list(Some(&self.folder(of))).try_collect().await?;
        let mut files: Vec<Place> = all.into_iter().map(|object| object.location).collect();
        files.retain(|file| file.as_ref().ends_with(ENDING));
        files.sort();
        Ok(files)
    }
}
