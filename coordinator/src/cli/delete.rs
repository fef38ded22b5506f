//! `biosweep delete`: deletes a sweep that has ended, with its results, files and checkpoints.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use biosweep_common::results::views::SweepView;
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::files::folder;
use crate::render::{human, json};
use crate::terminal::{ask, say};

/// The folder of a home with the checkpoints of local workers, unless they were given another place.
const CHECKPOINTS: &str = "checkpoints";

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Do not ask for confirmation
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &DeleteArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    if !args.yes && !io::stdin().is_terminal() {
        return Err(Failure::bad_input("a deleted sweep cannot be restored; use --yes to delete without a question"));
    }
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let (sweep, reused) = client.delete(&args.sweep, true).await?;
    if !args.yes && !ask(human::may_delete(&sweep, reused)) {
        client.close().await?;
        return Err(Failure::bad_input("nothing was deleted"));
    }
    let (sweep, reused) = client.delete(&sweep.id.to_string(), false).await?;
    client.close().await?;
    let removed = remove_files(home, &sweep);
    answer(match output {
        Output::Human => human::deleted(&sweep, reused, &removed),
        Output::Json => json::deleted(&sweep, reused, &removed),
    })
}

/// Removes the files of the sweep from this home, and returns the folders that were removed.
fn remove_files(home: &Path, sweep: &SweepView) -> Vec<PathBuf> {
    let folders = [folder::of(home, sweep), home.join(CHECKPOINTS).join(sweep.id.to_string())];
    let removed = |folder: &PathBuf| match fs::remove_dir_all(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            let folder = folder.display();
            say(format_args!("the sweep is deleted, but {folder} cannot be removed ({error}); remove it by hand"));
            false
        }
    };
    folders.into_iter().filter(removed).collect()
}
