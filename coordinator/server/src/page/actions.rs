//! The commands of users: pause, resume, cancel, retry and note. Each answers with the page of the sweep.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::header::REFERER;
use axum::http::{HeaderMap, Uri};
use axum::response::Redirect;
use biosweep_common::configuration::Point;
use biosweep_common::vocabulary::ids::SweepId;
use serde::Deserialize;

use super::Page;
use super::error::PageError;
use crate::commands::Commands;
use crate::queries::{self, Lookup};

/// The form of a command. Only that of a note has a text: the note, and the note that it replaces.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    note: String,
    before: Option<String>,
}

/// `POST /sweeps/{sweep}/{command}`.
pub(super) async fn act(
    State(page): State<Page>,
    Path((sweep, command)): Path<(String, String)>,
    headers: HeaderMap,
    form: Result<Form<Sent>, FormRejection>,
) -> Result<Redirect, PageError> {
    let sent = match form {
        Ok(Form(sent)) => sent,
        // Only a note needs one.
        Err(FormRejection::InvalidFormContentType(_)) if command != "note" => Sent::default(),
        Err(error) => return Err(PageError::BadRequest(error.body_text())),
    };
    let commands = &page.commands;
    let id = queries::resolve(&commands.handle, &sweep, Lookup::Change).await?;
    match command.as_str() {
        "pause" => drop(commands.pause(id).await?),
        "resume" => drop(commands.resume(id).await?),
        "cancel" => drop(commands.cancel(id).await?),
        "retry" => {
            commands.retry(id, Point::new()).await?;
        }
        "note" => write(commands, id, sent).await?,
        _ => return Err(PageError::NotFound),
    }
    Ok(Redirect::to(&origin(&headers, id)))
}

/// Writes a note, unless another one was written since the form was loaded.
async fn write(commands: &Commands, id: SweepId, Sent { note, before }: Sent) -> Result<(), PageError> {
    // Browsers send the line breaks of a form as two characters.
    let text = |sent: &str| sent.replace("\r\n", "\n");
    let present = queries::status(&commands.handle, id).await?.sweep.note.unwrap_or_default();
    if before.is_some_and(|before| text(&before).trim_end() != present) {
        let why =
            "the note was changed meanwhile, and yours is not saved; go back, copy your text, and load the page again";
        return Err(PageError::Refused(why.to_owned()));
    }
    commands.note(id, Some(text(&note))).await?;
    Ok(())
}

/// The page of the sweep that a command was sent from.
fn origin(headers: &HeaderMap, id: SweepId) -> String {
    let of_sweep = format!("/sweeps/{id}");
    let referer = headers.get(REFERER).and_then(|referer| referer.to_str().ok()?.parse::<Uri>().ok());
    // The guard has checked that the form is of this page.
    let path = referer.and_then(|referer| Some(referer.path_and_query()?.as_str().to_owned()));
    path.filter(|path| path.starts_with(&of_sweep)).unwrap_or(of_sweep)
}
