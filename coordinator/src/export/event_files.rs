//! The folder of TensorBoard event files of a sweep. It appears whole or not at all.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use biosweep_analysis::export::{EventFile, TensorBoard};
use biosweep_common::results::views::{CurveView, SweepView};
use tempfile::{Builder, TempDir};

use crate::client::{Client, ClientError};
use crate::files::new_file::{NewFileError, folder_of};

/// Permissions of a new folder; the process's mask is taken off.
const MODE: u32 = 0o777;

/// A folder that is not in its place yet. It is removed if it is dropped before [`EventFolder::keep`].
pub(crate) struct EventFolder {
    path: PathBuf,
    partial: TempDir,
    files: u64,
}

impl EventFolder {
    /// Starts a folder at this path, where there must be none.
    pub(crate) fn create(path: &Path) -> Result<Self, NewFileError> {
        if path.symlink_metadata().is_ok() {
            return Err(NewFileError::FolderExists(path.to_owned()));
        }
        let parent = folder_of(path)?;
        let mut builder = Builder::new();
        builder.prefix(".biosweep-").suffix(".partial").permissions(Permissions::from_mode(MODE));
        match builder.tempdir_in(parent) {
            Ok(partial) => Ok(Self { path: path.to_owned(), partial, files: 0 }),
            // The text of this error names the folder under its other name.
            Err(error) => Err(NewFileError::Unwritten { path: path.to_owned(), source: error.kind().into() }),
        }
    }

    /// Writes the runs of a sweep. The inner error is that of the disk.
    pub(crate) async fn write(
        &mut self,
        sweep: &SweepView,
        client: &mut Client,
    ) -> Result<io::Result<()>, ClientError> {
        let mut runs = TensorBoard::new(sweep);
        let mut pages = client.each_result(&sweep.id.to_string()).await?;
        while let Some(page) = pages.next().await? {
            page.iter().for_each(|result| runs.add(result));
        }
        let mut curves = client.each_curve(&sweep.id.to_string()).await?;
        let mut latest: Option<CurveView> = None;
        loop {
            let next = curves.next().await?;
            if let Some(curve) = latest
                && let Err(error) = self.put(runs.curve(&curve, next.as_ref().map(|next| next.first_trial)))
            {
                return Ok(Err(error));
            }
            latest = next;
            if latest.is_none() {
                return Ok(self.put(runs.finish()));
            }
        }
    }

    fn put(&mut self, files: Vec<EventFile>) -> io::Result<()> {
        for EventFile { run, name, bytes } in files {
            let folder = self.partial.path().join(run);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(name), bytes)?;
            self.files += 1;
        }
        Ok(())
    }

    /// Puts the complete folder in its place and returns its number of files; `written` is the result of writing them.
    pub(crate) fn keep(self, written: io::Result<()>) -> Result<u64, NewFileError> {
        let Self { path, partial, files } = self;
        match written.and_then(|()| fs::rename(partial.path(), &path)) {
            Ok(()) => {
                // The folder is no longer where it would be removed.
                let _moved = partial.keep();
                Ok(files)
            }
            Err(source) => Err(NewFileError::Unwritten { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_never_names_the_temporary_folder() {
        let nowhere = Path::new("/proc/biosweep-runs");
        let error = EventFolder::create(nowhere).map(|_| ()).expect_err("no folder is created there").to_string();
        assert!(error.starts_with("cannot write /proc/biosweep-runs: ") && !error.contains(".partial"), "{error}");
    }
}
