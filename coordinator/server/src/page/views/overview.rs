//! The first page: all sweeps and workers.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use biosweep_analysis::report::words::{counted, date, duration, number};
use biosweep_common::results::names::TrialNames;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::vocabulary::ids::SweepId;
use serde::Deserialize;

use super::head::{Progress, Workers};
use super::{Frame, html};
use crate::page::Page;
use crate::page::error::PageError;
use crate::queries;

/// Number of sweeps on a page.
const SWEEPS: usize = 50;

#[derive(Template)]
#[template(path = "page/overview.html")]
struct Overview {
    frame: Frame,
    degraded: Option<String>,
    sweeps: Vec<Row>,
    summary: String,
    /// The sweep after which the next page starts; empty on the last page.
    next: Option<SweepId>,
    workers: Workers,
    worker_count: String,
}

struct Row {
    id: SweepId,
    name: String,
    state: &'static str,
    reason: Option<String>,
    progress: Progress,
    ended: String,
    trials: String,
    diverged: u64,
    failed: u64,
    left: Option<String>,
    submitted: String,
    /// The first line of its note.
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct Place {
    /// The last sweep of the page before.
    before: Option<SweepId>,
}

/// `GET /`.
pub(in crate::page) async fn overview(
    State(page): State<Page>,
    Query(Place { before }): Query<Place>,
) -> Result<Response, PageError> {
    let frame = Frame::new(&page, "Sweeps");
    let handle = &page.commands.handle;
    let (sweeps, workers) = (queries::list(handle).await?, queries::workers(handle).await?);
    let running = sweeps.iter().filter(|sweep| sweep.state == SweepState::Running).count() as u64;
    let summary = format!("{}, {} running", counted(sweeps.len() as u64, "sweep"), number(running));
    // Ids sort by the time of submission.
    let shown: Vec<&SweepView> =
        sweeps.iter().rev().filter(|sweep| before.is_none_or(|before| sweep.id < before)).take(SWEEPS + 1).collect();
    let next = (shown.len() > SWEEPS).then(|| shown[SWEEPS - 1].id);
    let rows = shown.into_iter().take(SWEEPS).map(|sweep| row(&page, sweep)).collect();
    let degraded = handle.degraded().borrow().clone();
    let worker_count = counted(workers.len() as u64, "worker");
    let workers = Workers::of(workers.iter(), &TrialNames::of(None));
    Ok(html(&Overview { frame, degraded, sweeps: rows, summary, next, workers, worker_count }))
}

fn row(page: &Page, sweep: &SweepView) -> Row {
    let left = page.changes.left_s(sweep.id, sweep.trials).filter(|_| sweep.state == SweepState::Running);
    Row {
        id: sweep.id,
        name: sweep.name.clone(),
        state: sweep.state.name(),
        reason: sweep.reason.clone(),
        progress: Progress::of(sweep),
        ended: number(sweep.ended()),
        trials: number(sweep.trials),
        diverged: sweep.diverged,
        failed: sweep.failed,
        left: left.map(duration),
        submitted: date(sweep.submitted_at),
        note: sweep.note.as_deref().and_then(|note| note.lines().next()).map(str::to_owned),
    }
}
