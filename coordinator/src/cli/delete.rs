//! `biosweep delete`: a sweep that has ended goes, with its results, its files and its checkpoints.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use biosweep_common::views::SweepView;
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::folder;
use crate::render::{human, json};
use crate::terminal::{ask, say};

/// The folder of a home where workers keep checkpoints, unless they are told another place.
const CHECKPOINTS: &str = "checkpoints";

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// A sweep's id, the beginning of one, or a name
    sweep: String,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &DeleteArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    if !args.yes && !io::stdin().is_terminal() {
        return Err(Failure::bad_input(
            "what is deleted cannot be brought back; say --yes to delete without being asked",
        ));
    }
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let (sweep, taken_over) = client.delete(&args.sweep, true).await?;
    if !args.yes && !ask(human::may_delete(&sweep, taken_over)) {
        client.close().await?;
        return Err(Failure::bad_input("nothing was deleted"));
    }
    let (sweep, taken_over) = client.delete(&sweep.id.to_string(), false).await?;
    client.close().await?;
    let removed = remove_files(home, &sweep);
    answer(match output {
        Output::Human => human::deleted(&sweep, taken_over, &removed),
        Output::Json => json::deleted(&sweep, taken_over, &removed),
    })
}

/// Removes what this home has of the sweep beside the store; the folders that were there.
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
