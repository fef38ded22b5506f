//! The pages.
//!
//! | module | contents |
//! |---|---|
//! | [`overview`] | all sweeps and workers |
//! | `head` | the top of every page of a sweep: its progress and its commands |
//! | `link` | what an address says: filter, order, place |
//! | [`table`] | the configurations of a sweep |
//! | [`trial`] | one trial |
//! | [`compare`] | a few trials side by side |
//! | [`curves`] | learning curves |
//! | [`axes`] | accuracy by one axis, and by two |
//! | [`findings`] | verdicts and figures so far |

pub(super) mod axes;
pub(super) mod compare;
pub(super) mod curves;
pub(super) mod findings;
mod head;
mod link;
pub(super) mod overview;
pub(super) mod table;
pub(super) mod trial;

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use biosweep_analysis::figures::{Figure, Width};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Page;
use crate::connections::Account;

/// Width of a figure in inches on a narrow screen.
const NARROW_IN: f64 = 3.5;

/// A page as HTML.
///
/// # Panics
/// If memory cannot take it.
fn html(page: &impl Template) -> Response {
    Html(page.render().expect("memory takes a page")).into_response()
}

/// The width that is wanted of a figure.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Size {
    /// Whether it is for a narrow screen.
    #[serde(default)]
    narrow: Option<u8>,
}

impl Size {
    fn width(self) -> Width {
        let narrow = Width::from_inches(NARROW_IN).unwrap_or(Width::COLUMN);
        if self.narrow.is_some() { narrow } else { Width::PAGE }
    }
}

fn svg(figure: &Figure) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], figure.svg()).into_response()
}

/// The turn of a request for a page that is made from learning curves. Few such pages are made at once, and those of one caller one
/// after the other.
pub(super) struct Turn {
    _of_caller: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl FromRequestParts<Page> for Turn {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, page: &Page) -> Result<Self, Infallible> {
        let account = parts.extensions.get::<Arc<Account>>().unwrap_or(&page.own);
        // A caller that waits for its own pages does not keep others waiting.
        let of_caller = Arc::clone(&account.figures).acquire_owned().await.expect("it is never closed");
        let of_all = Arc::clone(&page.figures).acquire_owned().await.expect("it is never closed");
        Ok(Self { _of_caller: of_caller, _of_all: of_all })
    }
}

/// Runs a task that computes for some time on a separate thread.
async fn compute<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(task).await.expect("a page is computed without a panic")
}

/// The frame of every page.
struct Frame {
    /// The title.
    title: String,
    /// The id of the last change that the page shows, with which its event stream begins.
    since: String,
    /// The sweep of the page; empty for a page about all sweeps.
    sweep: String,
}

impl Frame {
    /// A frame. It is made before anything is read, so that no later change is missed.
    fn new(page: &Page, title: &str) -> Self {
        Self { title: title.to_owned(), since: page.changes.id(page.changes.latest()), sweep: String::new() }
    }
}
