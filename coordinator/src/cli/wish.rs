//! `biosweep pause`, `resume` and `cancel`: what a sweep's owner wishes for it.

use std::path::Path;

use clap::Args;

use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{answer, human, json, say};

#[derive(Debug, Args)]
pub(crate) struct WishArgs {
    /// A sweep's id, the beginning of one, or a name
    sweep: String,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    Resume,
    Cancel,
}

pub(super) async fn run(wish: Wish, args: &WishArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let (sweep, text) = match wish {
        Wish::Pause => {
            let sweep = client.pause(&args.sweep).await?;
            (sweep.clone(), human::paused(&sweep))
        }
        Wish::Resume => {
            let before = client.show(&args.sweep).await?.sweep;
            let sweep = client.resume(&args.sweep).await?;
            if client.is_hosted() {
                say(human::unserved(&sweep));
            }
            (sweep.clone(), human::resumed(&sweep, &before))
        }
        Wish::Cancel => {
            let sweep = client.cancel(&args.sweep).await?;
            (sweep.clone(), human::cancelled(&sweep))
        }
    };
    client.close().await?;
    answer(match output {
        Output::Human => text,
        Output::Json => json::sweep(&sweep),
    })
}
