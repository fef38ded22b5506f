//! A file that appears whole or not at all.
//!
//! It is written beside its place under another name and then moved there. An earlier file stays unless it may be
//! replaced, even if it appears only while this one is written. Missing folders are created.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempPath};

/// Permissions of a new file; the process's mask is taken off.
const MODE: u32 = 0o666;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewFileError {
    /// There is such a file.
    #[error("{} already exists; give another path, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// What is at the path is no file, such as a device.
    #[error("{} is not a regular file, so it is not replaced; give another path", .0.display())]
    NotAFile(PathBuf),
    /// There is something at the path of a new folder.
    #[error("{} already exists and a folder is never replaced; remove it, or give another path", .0.display())]
    FolderExists(PathBuf),
    /// The folder of the file cannot be created.
    #[error("cannot create the folder {}: {source}; give another path", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}; give another path", path.display())]
    Unwritten {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The folder of a path, which is created if there is none.
pub(crate) fn folder_of(path: &Path) -> Result<&Path, NewFileError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| NewFileError::Folder { folder: folder.to_owned(), source })?;
    Ok(folder)
}

/// What happens to an earlier file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// It stays, and the new file is refused.
    Keep,
    /// It is replaced.
    Replace,
}

/// A file that is not in its place yet. It is removed if it is dropped before [`NewFile::keep`].
pub(crate) struct NewFile {
    path: PathBuf,
    earlier: Earlier,
    partial: TempPath,
    out: BufWriter<File>,
}

impl NewFile {
    /// Starts a file at this path.
    pub(crate) fn create(path: &Path, earlier: Earlier) -> Result<Self, NewFileError> {
        if earlier == Earlier::Keep && path.symlink_metadata().is_ok() {
            return Err(NewFileError::Exists(path.to_owned()));
        }
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(NewFileError::NotAFile(path.to_owned()));
        }
        // A link stays, and its file is replaced.
        let target = path.is_symlink().then(|| path.canonicalize().ok()).flatten();
        let path = target.as_deref().unwrap_or(path);
        let folder = folder_of(path)?;
        // An error of the crate's own functions would name the file under its other name.
        let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
        match Builder::new().prefix(".biosweep-").suffix(".partial").make_in(folder, open) {
            Ok(made) => {
                let (file, partial) = made.into_parts();
                Ok(Self { path: path.to_owned(), earlier, partial, out: BufWriter::new(file) })
            }
            Err(source) => Err(NewFileError::Unwritten { path: path.to_owned(), source }),
        }
    }

    /// Puts the complete file in its place; `written` is the result of writing it.
    pub(crate) fn keep(self, written: io::Result<()>) -> Result<PathBuf, NewFileError> {
        let Self { path, earlier, partial, out } = self;
        let placed = written.and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error)).and_then(|file| {
            file.sync_all()?;
            let placed = match earlier {
                Earlier::Keep => partial.persist_noclobber(&path),
                Earlier::Replace => partial.persist(&path),
            };
            placed.map_err(|error| error.error)
        });
        match placed {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NewFileError::Exists(path)),
            Err(source) => Err(NewFileError::Unwritten { path, source }),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        entries.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn only_a_regular_file_is_replaced_and_a_link_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let _listens = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        for other in [folder.path(), &socket] {
            let refused = NewFile::create(other, Earlier::Replace).map(|_| ()).expect_err("no file");
            assert!(refused.to_string().contains("is not a regular file"), "{refused}");
        }
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").expect("a file");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let mut new = NewFile::create(&link, Earlier::Replace).expect("a file");
        let written = new.write_all(b"new");
        new.keep(written).expect("it is replaced");
        assert!(link.is_symlink() && fs::read(&file).expect("the file") == b"new");
    }

    #[test]
    fn a_file_appears_only_when_it_is_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.parquet");
        let mut file = NewFile::create(&path, Earlier::Keep).expect("a file");
        file.write_all(b"rows").expect("a disk");
        assert!(!path.exists());
        assert_eq!(file.keep(Ok(())).expect("kept"), path);
        assert_eq!(fs::read(&path).expect("a file"), b"rows");
        assert_eq!(names(folder.path()), ["rows.parquet"]);
    }

    #[test]
    fn an_earlier_file_stays_unless_it_may_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        let late = NewFile::create(&path, Earlier::Keep).expect("a file");
        fs::write(&path, "earlier").expect("a disk");
        assert!(matches!(late.keep(Ok(())), Err(NewFileError::Exists(_))), "it appeared meanwhile");
        assert!(matches!(NewFile::create(&path, Earlier::Keep), Err(NewFileError::Exists(_))));
        assert_eq!(fs::read(&path).expect("a file"), b"earlier");
        let mut file = NewFile::create(&path, Earlier::Replace).expect("a file");
        file.write_all(b"new").expect("a disk");
        file.keep(Ok(())).expect("replaced");
        assert_eq!(fs::read(&path).expect("a file"), b"new");
    }

    #[test]
    fn a_file_that_could_not_be_written_leaves_nothing_and_its_error_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        let file = NewFile::create(&path, Earlier::Keep).expect("a file");
        let error = file.keep(Err(io::Error::other("the disk is full"))).expect_err("an error").to_string();
        assert!(error.contains("rows.csv: the disk is full; give another path"), "{error}");
        drop(NewFile::create(&path, Earlier::Keep).expect("a file"));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn missing_folders_are_created_and_a_file_in_their_place_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b/rows.csv");
        let file = NewFile::create(&deep, Earlier::Keep).expect("a file");
        assert_eq!(file.keep(Ok(())).expect("kept"), deep);
        let below = deep.join("c/rows.csv");
        let error = NewFile::create(&below, Earlier::Keep).map(|_| ()).expect_err("a file is in the way").to_string();
        assert!(error.starts_with("cannot create the folder ") && error.contains("rows.csv/c: "), "{error}");
        assert!(error.ends_with("; give another path"), "{error}");
    }

    #[test]
    fn an_error_never_names_the_temporary_file() {
        let nowhere = Path::new("/proc/biosweep.csv");
        let error =
            NewFile::create(nowhere, Earlier::Keep).map(|_| ()).expect_err("no file is created there").to_string();
        assert!(error.starts_with("cannot write /proc/biosweep.csv: ") && !error.contains(".partial"), "{error}");
    }
}
