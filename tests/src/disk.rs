//! A file system of two megabytes, which is removed at the end of the test. Mounting it needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file system.
#[derive(Debug)]
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// An empty file system.
    ///
    /// # Panics
    /// If it cannot be mounted.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it changes the machine")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path());
        assert!(mount.status().expect("mount runs").success(), "a small file system can be mounted");
        Self { folder }
    }

    /// The mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the file system completely.
    pub fn fill(&self) {
        // The write fails at the end of the disk, as intended.
        drop(fs::write(self.ballast(), vec![1_u8; 8 << 20]));
    }

    /// Frees the space again.
    ///
    /// # Panics
    /// If the file system was not filled.
    pub fn empty(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.folder.path()).status());
    }
}
