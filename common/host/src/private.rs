//! Folders of one user.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Creates a folder that only its owner can read, with every missing parent. A folder that exists keeps its mode: its owner
/// may have shared it.
///
/// # Errors
/// A parent that cannot be written.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_folder_is_private_and_a_shared_one_stays_shared() {
        let place = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| path.metadata().expect("a folder").permissions().mode() & 0o777;
        let (parent, shared) = (place.path().join("parent"), place.path().join("shared"));
        create_folder(&parent.join("child")).expect("created");
        assert_eq!((mode(&parent), mode(&parent.join("child"))), (0o700, 0o700));
        fs::create_dir(&shared).expect("created");
        fs::set_permissions(&shared, Permissions::from_mode(0o755)).expect("it is ours");
        create_folder(&shared).expect("it exists");
        assert_eq!(mode(&shared), 0o755);
    }
}
