//! `biosweep archive`: writes a sweep with everything that its store has of it to a file.

use std::path::{Path, PathBuf};

use biosweep_server::host::Announcement;
use biosweep_server::queries::{Lookup, named};
use biosweep_store::{Store, StoreError};
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Output, StoreArgs, list};
use crate::files::archive::ArchiveError;
use crate::files::archive::writing::{self, WrittenFile};
use crate::files::new_file::{Earlier, NewFile};
use crate::render::{human, json};

/// Write a sweep that has ended to a file, for another home or database
///
/// The file has the spec, the results, the attempts, the learning curves, the diagnostics and the note. It has no checkpoints, no
/// results that workers still keep, and none of the files in the home. The command reads the store itself, also beside a running
/// coordinator: run it where the store is, with the --home or the --store of its coordinator.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Path of the file
    file: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(args: &ArchiveArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let url = args.store.url();
    if url.is_none() && !biosweep_store::is_in(home) {
        return Err(match Announcement::read(home) {
            Some(_) => Failure::bad_input(format!(
                "{} has no store, because its coordinator keeps it elsewhere; give that store with --store",
                home.display()
            )),
            None => list::none_in(home),
        });
    }
    let store = biosweep_store::open_to_read(home, url).await.map_err(failed)?;
    let written = write(args, store.as_ref()).await;
    store.close().await;
    let (path, file) = written?;
    answer(match output {
        Output::Human => human::archived(&path, &file),
        Output::Json => json::archived(&path, &file),
    })
}

async fn write(args: &ArchiveArgs, store: &dyn Store) -> Result<(PathBuf, WrittenFile), Failure> {
    let sweeps = store.summaries().await.map_err(failed)?;
    let id = named(&sweeps, &args.sweep, Lookup::Read).map_err(|error| {
        Failure::bad_input(error).and("archive reads the store of this home, or that given with --store")
    })?;
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    let mut new = NewFile::create(&args.file, earlier)?;
    match writing::file(store, id, &mut new).await {
        Ok(file) => Ok((new.keep(Ok(()))?, file)),
        Err(ArchiveError::Unwritten(error)) => match new.keep(Err(error)) {
            Err(error) => Err(error.into()),
            Ok(path) => Err(Failure::environment(format!("cannot write {}", path.display()))),
        },
        Err(error) => Err(error.into()),
    }
}

/// An error of the store.
fn failed(error: StoreError) -> Failure {
    Failure::from_environment(error)
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::NotEnded { .. }
            | ArchiveError::OtherKind(_)
            | ArchiveError::Newer { .. }
            | ArchiveError::Broken(_)
            | ArchiveError::Contradicts { .. } => Self::bad_input(error),
            ArchiveError::Changed { .. }
            | ArchiveError::Damaged { .. }
            | ArchiveError::Unwritten(_)
            | ArchiveError::Unread { .. }
            | ArchiveError::Store(_) => Self::environment(error),
        }
    }
}
