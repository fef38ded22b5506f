//! A file system of two megabytes, gone with the test. Mounting it takes root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file system.
#[derive(Debug)]
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// A file system with nothing in it.
    ///
    /// # Panics
    /// Where it cannot be mounted.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it changes the machine")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path());
        assert!(mount.status().expect("mount runs").success(), "a small file system can be mounted");
        Self { folder }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        // It fails at the end of the disk, as it is meant to.
        drop(fs::write(self.ballast(), vec![1_u8; 8 << 20]));
    }

    /// Makes room again.
    ///
    /// # Panics
    /// Where it was not filled.
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
