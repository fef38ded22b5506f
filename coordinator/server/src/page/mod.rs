//! The live page: sweeps, workers, results, curves and figures in a browser, and the commands of users.
//!
//! Every page is complete HTML: it can be read, filtered and sorted without scripts. A small script listens to the event stream,
//! loads the same address again when something has changed, and replaces the parts that differ.
//!
//! | module | contents |
//! |---|---|
//! | this module | the addresses, and what all of them share |
//! | `guard` | who may talk to the page |
//! | `connection` | serving browsers |
//! | `changes`, `events` | what has changed, and the stream that tells it |
//! | `outcomes` | the outcomes of all trials in memory |
//! | `views` | the pages |
//! | `actions` | pause, resume, cancel, retry, note |
//! | `assets` | style sheet and script |
//! | `metrics` | the metrics, for Prometheus |
//! | `error` | errors as pages |

mod actions;
mod assets;
mod changes;
mod connection;
mod error;
mod events;
mod guard;
mod metrics;
mod outcomes;
#[cfg(test)]
mod tests;
mod views;

use std::ops::Deref;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::changes::Changes;
use self::outcomes::Cache;
use self::views::findings::Findings;
use crate::access::registry::Registry;
use crate::commands::Commands;
use crate::connections::{Accepted, Account};

pub(crate) use self::guard::Hosts;

/// The address of the event stream.
const EVENTS: &str = "/events";

/// Maximum number of pages with learning curves that are made at once. Each may hold curves of millions of points.
const FIGURES_MAX: usize = 2;

/// What all requests share.
#[derive(Clone)]
struct Page(Arc<Shared>);

struct Shared {
    commands: Commands,
    hosts: Hosts,
    /// Who may use the page; `None` for everybody.
    registry: Option<Arc<Registry>>,
    changes: Changes,
    outcomes: Cache,
    findings: Findings,
    /// One permit for each possible event stream.
    streams: Arc<Semaphore>,
    /// One permit for each page with learning curves that is made at once.
    figures: Arc<Semaphore>,
    /// What requests may use that come on no connection.
    own: Arc<Account>,
    shutdown: CancellationToken,
}

impl Deref for Page {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Page {
    fn new(commands: Commands, hosts: Hosts, registry: Option<Arc<Registry>>, shutdown: CancellationToken) -> Self {
        let (handle, tasks) = (commands.handle.clone(), commands.tasks.clone());
        Self(Arc::new(Shared {
            outcomes: Cache::new(handle, tasks),
            commands,
            hosts,
            registry,
            changes: Changes::new(),
            findings: Findings::default(),
            streams: Arc::new(Semaphore::new(events::STREAMS_MAX)),
            figures: Arc::new(Semaphore::new(FIGURES_MAX)),
            own: Account::of_owner(),
            shutdown,
        }))
    }
}

/// Every address of the page. A test sends foreign requests to each of them.
fn routes() -> Vec<(&'static str, MethodRouter<Page>)> {
    vec![
        ("/", get(views::overview::overview)),
        ("/sweeps/{sweep}", get(views::table::table)),
        ("/sweeps/{sweep}/jump", get(views::trial::jump)),
        ("/sweeps/{sweep}/trials/{trial}", get(views::trial::trial)),
        ("/sweeps/{sweep}/trials/{trial}/{figure}", get(views::trial::figure)),
        ("/sweeps/{sweep}/compare", get(views::compare::compare)),
        ("/sweeps/{sweep}/compare/curves.svg", get(views::compare::figure)),
        ("/sweeps/{sweep}/curves", get(views::curves::curves)),
        ("/sweeps/{sweep}/curves/curves.svg", get(views::curves::figure)),
        ("/sweeps/{sweep}/axes", get(views::axes::axes)),
        ("/sweeps/{sweep}/axes/slice.svg", get(views::axes::figure)),
        ("/sweeps/{sweep}/findings", get(views::findings::findings)),
        ("/sweeps/{sweep}/findings/{figure}", get(views::findings::figure)),
        ("/sweeps/{sweep}/{command}", post(actions::act)),
        (EVENTS, get(events::events)),
        (metrics::PATH, get(metrics::metrics)),
        (guard::login::PATH, get(guard::login::form).post(guard::login::login)),
        ("/assets/{file}", get(assets::asset)),
    ]
}

fn router(page: Page) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router.fallback(error::not_found).layer(middleware::from_fn_with_state(page.clone(), guard::guard)).with_state(page)
}

/// Serves the page to browsers until the shutdown.
pub(crate) async fn serve(
    browsers: mpsc::Receiver<Accepted>,
    hosts: Hosts,
    registry: Option<Arc<Registry>>,
    commands: Commands,
    shutdown: CancellationToken,
) {
    let page = Page::new(commands, hosts, registry, shutdown.clone());
    let (handle, tasks) = (page.commands.handle.clone(), page.commands.tasks.clone());
    tasks.spawn(page.changes.clone().follow(handle));
    connection::serve(browsers, router(page), tasks, shutdown).await;
}

/// Tells browsers that this coordinator does not serve now, and why, until the shutdown.
pub(crate) async fn serve_unavailable(
    browsers: mpsc::Receiver<Accepted>,
    why: impl Fn() -> String + Clone + Send + Sync + 'static,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let answer = async move || (StatusCode::SERVICE_UNAVAILABLE, format!("503: {}\n", why()));
    connection::serve(browsers, Router::new().fallback(answer), tasks, shutdown).await;
}
