//! `biosweep import`: reads an archive into a home or a database.

use std::path::{Path, PathBuf};

use biosweep_common::results::views::SweepView;
use biosweep_scheduler::status::sweep_view;
use biosweep_server::host::{self, HostError};
use biosweep_store::archive::ImportError;
use biosweep_store::{Store, StoreError};
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Output, StoreArgs};
use crate::files::archive::Imported;
use crate::files::archive::reading::{Archive, Checked};
use crate::files::archive::writing;
use crate::render::{human, json};

/// Read a sweep from a file that `biosweep archive` wrote
///
/// The file is checked as a whole before anything is written; the sweep then appears whole or not at all, under its id. The command
/// needs the store for itself: stop its coordinator, import, and start it again; its workers keep training meanwhile. The file has no
/// checkpoints. Its digest protects against damage, not against forgery: import only files whose writers you trust.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Path of the file
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(args: &ImportArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let archive = Archive::open(&args.file)?;
    let checked = archive.check()?;
    let store = match host::open_alone(home, args.store.url()).await {
        Ok(store) => store,
        Err(error @ HostError::Store(StoreError::Locked { .. })) => {
            return Err(Failure::from(error).and(
                "an import needs the store for itself: stop its coordinator, import, and start it again; its workers keep \
                 training meanwhile",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let imported = import(&archive, &checked, store.as_ref()).await;
    store.close().await;
    let (imported, sweep) = imported?;
    answer(match output {
        Output::Human => human::imported(&sweep, checked.counts, imported),
        Output::Json => json::imported(&sweep, checked.counts, imported),
    })
}

async fn import(archive: &Archive, checked: &Checked, store: &dyn Store) -> Result<(Imported, SweepView), Failure> {
    let id = checked.sweep.row.submission.id;
    let stored = async || store.sweep(id).await.map_err(Failure::from_environment);
    if let Some(row) = stored().await? {
        let same = row.state.has_ended() && writing::content(store, id).await? == checked.content;
        return if same {
            Ok((Imported::ThereAlready, sweep_view(&row)))
        } else {
            Err(other_content(&sweep_view(&row)))
        };
    }
    let mut rows = archive.rows()?;
    store.import(&checked.sweep, &checked.references, &mut rows).await.map_err(|error| match error {
        // The entries agree with each other, so the store refuses what only it can see, such as an attempt that ended twice.
        ImportError::Store(StoreError::Refused { what, .. }) => {
            Failure::bad_input(format!("the archive contradicts itself: {what}; nothing was imported"))
        }
        ImportError::Store(error) => {
            Failure::from_environment(error).and("nothing was imported; run the command again")
        }
        ImportError::Rows(error) => Failure::bad_input(format!("{error}; nothing was imported")),
    })?;
    let row = stored().await?.ok_or_else(|| Failure::environment(format!("sweep {id} is gone after its import")))?;
    Ok((Imported::New, sweep_view(&row)))
}

fn other_content(sweep: &SweepView) -> Failure {
    let SweepView { id, name, state, .. } = sweep;
    Failure::bad_input(format!(
        "sweep {name} ({id}) is in this store already, {} and with other content, so nothing was imported; import into another \
         home or database, or delete it first with `biosweep delete {id}`",
        state.name()
    ))
}
