//! The commands of users: pause, resume, cancel, retry and note. Each answers with the page of the sweep.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use biosweep_common::configuration::Point;
use serde::Deserialize;

use super::Page;
use super::error::PageError;
use crate::queries::{self, Lookup};

/// The form of a command. Only a note has a text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    note: String,
}

/// `POST /sweeps/{sweep}/{command}`.
pub(super) async fn act(
    State(page): State<Page>,
    Path((sweep, command)): Path<(String, String)>,
    Form(Sent { note }): Form<Sent>,
) -> Result<Redirect, PageError> {
    let commands = &page.commands;
    let id = queries::resolve(&commands.handle, &sweep, Lookup::Change).await?;
    match command.as_str() {
        "pause" => drop(commands.pause(id).await?),
        "resume" => drop(commands.resume(id).await?),
        "cancel" => drop(commands.cancel(id).await?),
        "retry" => {
            commands.retry(id, Point::new()).await?;
        }
        // Browsers send the line breaks of a form as two characters.
        "note" => drop(commands.note(id, Some(note.replace("\r\n", "\n"))).await?),
        _ => return Err(PageError::NotFound),
    }
    Ok(Redirect::to(&format!("/sweeps/{id}")))
}
