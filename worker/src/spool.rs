//! The spool: reports on disk until the coordinator acknowledges them. Reports outlive their worker.
//!
//! A worker's identity is a folder in the spool, locked while the worker lives. A new worker takes over an identity
//! with unacknowledged reports. The file name of a report contains the id of the store that it is for.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::messages::{Held, Report};
use biosweep_common::protocol::session::Owed;
use biosweep_common::vocabulary::ids::{StoreId, WorkerId};
use biosweep_host::id::new_id;
use biosweep_host::private;

const LOCK: &str = "lock";
const ENDING: &str = "report";
/// The extension of a report that cannot be delivered.
const SET_ASIDE: &str = "set-aside";
/// The extension of the folder of an identity that has ended.
const CLOSED: &str = "closed";
/// Attempts to remove a folder.
const REMOVALS: u32 = 3;

/// How long to wait for an identity that another process has: the pause and the number of attempts.
const WAIT: (Duration, u32) =
    if cfg!(test) { (Duration::from_millis(1), 100) } else { (Duration::from_millis(50), 200) };

/// The error of the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be used.
    #[error("reports cannot be kept in {path}: {source}; name another home with --home")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Another process has the identity.
    #[error("another process lives as worker {worker}; leave out --id, or name another")]
    Taken {
        /// The identity.
        worker: WorkerId,
    },
}

/// A worker's folder in the spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// The lock of the folder, held until the spool is dropped.
    _lock: File,
}

/// The spool of a worker, with its identity and reports.
#[derive(Debug)]
pub struct OpenedSpool {
    /// The spool.
    pub spool: Spool,
    /// The identity.
    pub worker: WorkerId,
    /// The reports that an earlier worker of this identity left.
    pub owed: Vec<Owed>,
}

impl Spool {
    /// Opens the folder of a worker. Without `worker`, takes over an identity with unacknowledged reports, or creates a
    /// new one.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has the identity.
    pub fn open(place: &Path, worker: Option<WorkerId>) -> Result<OpenedSpool, SpoolError> {
        let unusable = |source| SpoolError::Unusable { path: place.to_owned(), source };
        private::create_folder(place).map_err(unusable)?;
        if let Some(worker) = worker {
            return Self::wait_for(place, worker);
        }
        for worker in identities(place).map_err(unusable)? {
            if let Some(opened) = Self::lock_identity(place, worker).map_err(unusable)? {
                if !opened.owed.is_empty() {
                    tracing::info!(%worker, reports = opened.owed.len(), "takes over the reports of an earlier worker");
                    return Ok(opened);
                }
                opened.spool.close();
            }
        }
        // Another worker may lock it for a moment to look for reports.
        Self::wait_for(place, new_id::<WorkerId>())
    }

    /// Locks an identity; waits for a process that is about to release it.
    fn wait_for(place: &Path, worker: WorkerId) -> Result<OpenedSpool, SpoolError> {
        let unusable = |source| SpoolError::Unusable { path: place.to_owned(), source };
        for _ in 0..WAIT.1 {
            if let Some(opened) = Self::lock_identity(place, worker).map_err(unusable)? {
                return Ok(opened);
            }
            std::thread::sleep(WAIT.0);
        }
        Err(SpoolError::Taken { worker })
    }

    /// Locks an identity; `None` if another process has it.
    fn lock_identity(place: &Path, worker: WorkerId) -> io::Result<Option<OpenedSpool>> {
        let folder = place.join(worker.to_string());
        let Some(lock) = lock(&folder)? else { return Ok(None) };
        let mut owed = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                match read(&path)? {
                    Ok(report) => owed.push(Owed { store: store_of(&path), report }),
                    Err(why) => {
                        tracing::warn!(report = %path.display(), why, "a report is set aside; its trial trains again");
                        fs::rename(&path, path.with_extension(SET_ASIDE))?;
                    }
                }
            }
        }
        owed.sort_by_key(|owed| owed.report.held);
        Ok(Some(OpenedSpool { spool: Self { folder, _lock: lock }, worker, owed }))
    }

    /// The folder of the worker. It is removed at the end, unless reports are left in it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a report. On failure it warns, and the report stays in memory.
    pub fn keep(&self, owed: &Owed) {
        let path = self.path(owed.store, owed.report.held);
        if let Err(error) = write(&path, &owed.report) {
            let Held { sweep, trajectory, attempt } = owed.report.held;
            let report = path.display();
            tracing::warn!(%sweep, %trajectory, %attempt, %report, %error, "a report is in memory only: it cannot be kept on disk");
        }
    }

    /// Deletes an acknowledged report.
    pub fn forget(&self, store: Option<StoreId>, held: Held) {
        let path = self.path(store, held);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let Held { sweep, trajectory, attempt } = held;
                let report = path.display();
                tracing::warn!(%sweep, %trajectory, %attempt, %report, %error, "an acknowledged report stays on disk");
            }
        }
    }

    /// Ends the identity if it has no unacknowledged report.
    pub fn close(self) {
        let owes = fs::read_dir(&self.folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.path().extension().is_some_and(|ending| ending == ENDING))
        });
        if !owes {
            // Renamed first, to a name that nobody else uses. A process that comes now creates another folder, whose
            // content must stay.
            let aside = self.folder.with_extension(format!("{}.{CLOSED}", new_id::<WorkerId>()));
            if fs::rename(&self.folder, &aside).is_ok() {
                // A process that came just before may still create its lock file here. A leftover folder does no harm.
                let _removed = (0..REMOVALS).any(|_| fs::remove_dir_all(&aside).is_ok());
            }
        }
    }

    fn path(&self, store: Option<StoreId>, held: Held) -> PathBuf {
        let name = format!("{}-{}.{ENDING}", held.attempt, held.trajectory);
        self.folder.join(store.map_or_else(|| name.clone(), |store| format!("{store}.{name}")))
    }
}

/// Creates and locks a folder; `None` if another process has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let path = folder.join(LOCK);
    let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    let lock = match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
        Ok(lock) => lock,
        // The owner removed the folder in between.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    // A lock on a removed file excludes nobody.
    match fs::metadata(&path) {
        Ok(found) if identity(&found) == identity(&lock.metadata()?) => Ok(Some(lock)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The store that a report is for, from its file name. Earlier versions did not write it.
fn store_of(path: &Path) -> Option<StoreId> {
    path.file_name()?.to_str()?.split_once('.')?.0.parse().ok()
}

/// The identities in a spool.
fn identities(place: &Path) -> io::Result<Vec<WorkerId>> {
    let mut workers: Vec<WorkerId> = Vec::new();
    for entry in fs::read_dir(place)? {
        let worker: Option<WorkerId> = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        workers.extend(worker);
    }
    workers.sort_unstable();
    Ok(workers)
}

/// Writes a hash, the numerics version and the encoded report to a temporary file, syncs it, and renames it.
fn write(path: &Path, report: &Report) -> io::Result<()> {
    let content = [&NUMERICS_VERSION.to_le_bytes()[..], &report.to_bytes()].concat();
    let aside = path.with_extension("part");
    let mut file = File::create(&aside)?;
    file.write_all(blake3::hash(&content).as_bytes())?;
    file.write_all(&content)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn read(path: &Path) -> io::Result<Result<Report, String>> {
    let bytes = fs::read(path)?;
    let Some((hash, content)) = bytes.split_first_chunk::<32>() else { return Ok(Err("it is cut short".to_owned())) };
    if blake3::hash(content).as_bytes() != hash {
        return Ok(Err("its hash is not that of its content".to_owned()));
    }
    let Some((version, message)) = content.split_first_chunk() else { return Ok(Err("it is cut short".to_owned())) };
    let version = u32::from_le_bytes(*version);
    if version != NUMERICS_VERSION {
        return Ok(Err(format!(
            "it was computed by numerics version {version}, and this is version {NUMERICS_VERSION}"
        )));
    }
    Ok(Report::from_bytes(message).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::curve::CurvePoint;
    use biosweep_common::results::outcome::Outcome;
    use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex};

    use super::*;

    fn owed(trajectory: u64, store: Option<u64>) -> Owed {
        let held = Held { sweep: new_id::<SweepId>(), attempt: Attempt(3), trajectory: TrajectoryIndex(trajectory) };
        let point = CurvePoint { update: 1, train_loss: 0.1 + 0.2, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
        let report = Report {
            held,
            outcome: Outcome::Completed,
            cause: None,
            curve: vec![point],
            diagnostics: Vec::new(),
            updates: 1,
            seconds: 2.0,
            dataset_size: None,
            traceparent: None,
        };
        let id = |number| format!("00000000-0000-0000-0000-{number:012}").parse().expect("an id");
        Owed { store: store.map(id), report }
    }

    #[test]
    fn reports_outlive_their_worker_until_they_are_acknowledged() {
        let place = tempfile::tempdir().expect("a folder");
        let first = Spool::open(place.path(), None).expect("a spool");
        let (one, two) = (owed(1, Some(7)), owed(2, None));
        first.spool.keep(&two);
        first.spool.keep(&one);
        let other = Spool::open(place.path(), None).expect("a spool");
        assert_ne!(other.worker, first.worker, "the first one lives");
        assert!(matches!(Spool::open(place.path(), Some(first.worker)), Err(SpoolError::Taken { .. })));
        let worker = first.worker;
        drop(first);

        let second = Spool::open(place.path(), None).expect("a spool");
        assert_eq!(second.worker, worker, "it takes up what was left");
        let mut expected = [one.clone(), two.clone()];
        expected.sort_by_key(|owed| owed.report.held);
        assert_eq!(second.owed, expected);
        second.spool.forget(one.store, one.report.held);
        second.spool.forget(one.store, one.report.held);
        drop(second);
        let third = Spool::open(place.path(), Some(worker)).expect("a spool");
        assert_eq!(third.owed, std::slice::from_ref(&two));
        third.spool.forget(two.store, two.report.held);
        third.spool.close();
        assert!(!place.path().join(worker.to_string()).exists());
    }

    #[test]
    fn workers_that_come_and_go_at_once_never_share_an_identity_and_never_fail() {
        let place = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let opened = Spool::open(place.path(), None).expect("a spool");
                        let owed = owed(1, None);
                        opened.spool.keep(&owed);
                        assert!(opened.spool.path(None, owed.report.held).exists(), "its folder is its own");
                        opened.spool.forget(None, owed.report.held);
                        opened.spool.close();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 0, "nothing is left over");
    }

    #[test]
    fn reports_of_one_number_are_told_apart_by_whom_they_are_owed_to() {
        let place = tempfile::tempdir().expect("a folder");
        let first = Spool::open(place.path(), None).expect("a spool");
        let all = [owed(1, None), owed(1, Some(7)), owed(1, Some(8))];
        all.iter().for_each(|owed| first.spool.keep(owed));
        first.spool.forget(all[1].store, all[1].report.held);
        let worker = first.worker;
        drop(first);
        let mut left = Spool::open(place.path(), Some(worker)).expect("a spool").owed;
        left.sort_by_key(|owed| owed.store);
        assert_eq!(left, [all[0].clone(), all[2].clone()]);
    }

    /// A spool whose only report changed on disk.
    fn with_changed(change: impl Fn(&mut Vec<u8>)) {
        let place = tempfile::tempdir().expect("a folder");
        let first = Spool::open(place.path(), None).expect("a spool");
        let owed = owed(1, Some(7));
        first.spool.keep(&owed);
        let path = first.spool.path(owed.store, owed.report.held);
        let mut bytes = fs::read(&path).expect("the report");
        change(&mut bytes);
        fs::write(&path, bytes).expect("the report");
        let worker = first.worker;
        drop(first);
        let second = Spool::open(place.path(), Some(worker)).expect("a spool");
        assert_eq!(second.owed, []);
        assert!(path.with_extension(SET_ASIDE).exists() && !path.exists());
    }

    #[test]
    fn a_damaged_report_is_set_aside() {
        with_changed(|bytes| bytes[40] ^= 1);
        with_changed(|bytes| bytes.truncate(10));
    }

    #[test]
    fn a_report_of_another_numerics_version_is_set_aside() {
        with_changed(|bytes| {
            bytes[32..36].copy_from_slice(&(NUMERICS_VERSION + 1).to_le_bytes());
            let hash = blake3::hash(&bytes[32..]);
            bytes[..32].copy_from_slice(hash.as_bytes());
        });
    }
}
