//! The commands of users: pause, resume, cancel and retry. Each answers with the page of the sweep.

use axum::extract::{Path, State};
use axum::response::Redirect;
use biosweep_common::configuration::Point;

use super::Page;
use super::error::PageError;
use crate::queries::{self, Lookup};

/// `POST /sweeps/{sweep}/{command}`.
pub(super) async fn act(
    State(page): State<Page>,
    Path((sweep, command)): Path<(String, String)>,
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
        _ => return Err(PageError::NotFound),
    }
    Ok(Redirect::to(&format!("/sweeps/{id}")))
}
