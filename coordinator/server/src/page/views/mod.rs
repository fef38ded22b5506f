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

use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};
use biosweep_analysis::figures::{Figure, Width};
use serde::Deserialize;

use super::Page;

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
