//! The event stream of a page: one server-sent event for each change. A page that reads too slowly is told to load everything
//! again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use futures::stream;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use super::Page;
use super::changes::{Change, Changes};
use crate::connections::Account;

/// Maximum number of event streams.
pub(super) const STREAMS_MAX: usize = 128;

/// Time until a browser connects again after its stream was lost.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
pub(super) struct Since {
    /// The id of the last change that the page knows. A browser that reconnects by itself sends `Last-Event-ID` in place of it.
    since: Option<String>,
}

/// `GET /events`.
pub(super) async fn events(
    State(page): State<Page>,
    Query(Since { since }): Query<Since>,
    account: Option<Extension<Arc<Account>>>,
    headers: HeaderMap,
) -> Response {
    let account = account.map_or_else(|| Arc::clone(&page.own), |Extension(account)| account);
    let mut permits = Vec::new();
    for (streams, whose) in [(&account.events, "with this token "), (&page.streams, "")] {
        let Ok(permit) = Arc::clone(streams).try_acquire_owned() else {
            let why = format!("too many pages are open {whose}already; close one\n");
            return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        };
        permits.push(permit);
    }
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(since);
    let (missed, changed) = page.changes.since(last.as_deref());
    let source = Source {
        changes: page.changes.clone(),
        first: Some(missed),
        changed,
        shutdown: page.shutdown.clone(),
        _permits: permits,
    };
    Sse::new(source.stream()).keep_alive(KeepAlive::default()).into_response()
}

struct Source {
    changes: Changes,
    first: Option<Change>,
    changed: broadcast::Receiver<Arc<Change>>,
    shutdown: CancellationToken,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Source {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut source| {
            let change = source.next().await?;
            let event = Event::default().event("change").retry(RETRY).id(source.changes.id(change.number));
            let data = serde_json::to_string(&change).expect("a change has a JSON form");
            Some((Ok(event.data(data)), source))
        })
    }

    /// The next change; `None` when the coordinator stops.
    async fn next(&mut self) -> Option<Change> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let changed = tokio::select! {
            changed = self.changed.recv() => changed,
            () = self.shutdown.cancelled() => return None,
        };
        match changed {
            Ok(change) => Some(change.as_ref().clone()),
            Err(RecvError::Lagged(_)) => {
                self.changed = self.changed.resubscribe();
                Some(Change { number: self.changes.latest(), reload: true, ..Change::default() })
            }
            Err(RecvError::Closed) => None,
        }
    }
}
