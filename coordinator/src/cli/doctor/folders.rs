//! The home, and the place of the checkpoints: whether they can be written, have free space, and know file locks.

use std::env;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use tempfile::NamedTempFile;

use super::finding::Finding;

/// The variable that names the place of checkpoints.
const CHECKPOINTS: &str = "BIOSWEEP_CHECKPOINTS";
/// Free bytes below which almost nothing can be written, and below which a sweep may fill the disk.
const FREE_MIN: u64 = 50_000_000;
const FREE_LOW: u64 = 1_000_000_000;
/// Free files below which almost nothing can be written.
const FILES_MIN: u64 = 100;

/// Checks the folders. `has_database` says whether the store is in a database, not in the home.
pub(super) fn check(home: &Path, has_database: bool) -> Vec<Finding> {
    let mut findings = folder("home", home, "choose another home with --home, or in BIOSWEEP_HOME");
    if let Ok(probe) = probe(home) {
        findings.push(locks(&probe, has_database));
    }
    let other = "choose another place with --checkpoints of the worker, or in BIOSWEEP_CHECKPOINTS";
    match env::var(CHECKPOINTS).ok().filter(|place| !place.is_empty()) {
        Some(place) if place == "none" => {
            findings.push(Finding::ok("checkpoints", "BIOSWEEP_CHECKPOINTS says that none are kept"));
        }
        Some(place) if place.contains("://") => {
            findings.push(Finding::ok("checkpoints", format!("in {place}; each worker checks it at its start")));
        }
        Some(place) => findings.extend(folder("checkpoints", Path::new(&place), other)),
        None => findings.extend(folder("checkpoints", &home.join("checkpoints"), other)),
    }
    findings
}

/// The nearest folder that exists: the folder itself, or the one in which it would be made.
fn existing(folder: &Path) -> PathBuf {
    let mut existing = if folder.is_absolute() { folder.to_owned() } else { Path::new(".").join(folder) };
    while !existing.exists() && existing.pop() {}
    existing
}

/// A file for a moment, where the folder is or would be made.
fn probe(folder: &Path) -> io::Result<NamedTempFile> {
    let mut probe = tempfile::Builder::new().prefix(".biosweep-doctor-").tempfile_in(existing(folder))?;
    io::Write::write_all(&mut probe, b"biosweep")?;
    probe.as_file().sync_all()?;
    Ok(probe)
}

/// Whether a folder can be written, and how much space it has.
fn folder(check: &'static str, path: &Path, other: &str) -> Vec<Finding> {
    let shown = path.display();
    if let Err(error) = probe(path) {
        let found = format!("{shown} cannot be written: {error}");
        return vec![Finding::error(check, found, format!("free or repair it, or {other}"))];
    }
    let state = if path.exists() { "can be written" } else { "does not exist yet and can be made" };
    let written = Finding::ok(check, format!("{shown} {state}"));
    let check = if check == "home" { "home-space" } else { "checkpoints-space" };
    vec![written, space(check, path, other)]
}

/// The free space of a folder's file system.
fn space(check: &'static str, path: &Path, other: &str) -> Finding {
    let found = match statvfs(&existing(path)) {
        Ok(found) => found,
        Err(error) => {
            return Finding::warning(check, format!("the free space is unknown: {error}"), "look at it with `df`");
        }
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let next_step = format!("delete what is not needed, or {other}");
    // Some file systems do not count files.
    if found.files() > 0 && found.files_available() < FILES_MIN {
        let files = format!("{} more files fit on the file system of {}", found.files_available(), path.display());
        return Finding::error(check, files, next_step);
    }
    let text = format!("{:.1} GB are free on the file system of {}", free as f64 / 1e9, path.display());
    match free {
        ..FREE_MIN => Finding::error(check, text, next_step),
        FREE_MIN..FREE_LOW => Finding::warning(check, text, next_step),
        FREE_LOW.. => Finding::ok(check, text),
    }
}

/// Whether a second opener of a locked file is refused.
fn locks(probe: &NamedTempFile, has_database: bool) -> Finding {
    let refused = probe.as_file().try_lock().map_err(io::Error::from).and_then(|()| {
        let second = File::options().read(true).write(true).open(probe.path())?;
        match second.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(false),
        }
    });
    let found = match refused {
        Ok(true) => return Finding::ok("locks", "the file system of the home knows file locks"),
        Ok(false) => "the file system of the home grants a file lock twice".to_owned(),
        Err(error) => format!("the file system of the home has no file locks: {error}"),
    };
    let next_step = "put the home on another file system with --home; two coordinators could write to one store here";
    if has_database { Finding::warning("locks", found, next_step) } else { Finding::error("locks", found, next_step) }
}
