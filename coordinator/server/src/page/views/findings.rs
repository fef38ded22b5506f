//! The verdicts and figures so far. They need all results, so they are computed on demand and kept until the results change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use biosweep_analysis::aggregate;
use biosweep_analysis::compare::{sentence, verdicts};
use biosweep_analysis::figures::{Chosen, Material};
use biosweep_analysis::replicates::{Divergence, Replicates};
use biosweep_analysis::report::words::{counted, date};
use biosweep_analysis::report::{Illustration, illustrations};
use biosweep_common::results::views::CurveView;
use biosweep_common::vocabulary::ids::{SweepId, TrialIndex};
use biosweep_common::vocabulary::time::WallTime;

use super::head::Head;
use super::{Frame, Size, Turn, compute, curves, html, svg};
use crate::page::Page;
use crate::page::error::PageError;
use crate::page::outcomes::Board;
use crate::queries::{self, Deleted, Lookup};

/// Number of results that are read from the store at once.
const PAGE: u32 = 1_000;
/// Maximum number of trials whose curves are read.
const CURVES_MAX: usize = 1_000;
/// Number of sweeps whose findings are kept.
const KEPT: usize = 4;
/// Findings of a sweep that goes on are shown for this many milliseconds at least, and for this many times as long as they took.
const FRESH_MS: u64 = 10_000;
const FRESH_TIMES: u64 = 20;

/// The findings of the sweeps that were looked at last.
#[derive(Default)]
pub(in crate::page) struct Findings {
    kept: Mutex<BTreeMap<SweepId, Arc<Found>>>,
    /// One is computed at a time.
    computing: tokio::sync::Mutex<()>,
}

/// What was found.
struct Found {
    version: u64,
    at: WallTime,
    took_ms: u64,
    results: u64,
    verdicts: Vec<String>,
    illustrations: Vec<Illustration>,
}

#[derive(Template)]
#[template(path = "page/findings.html")]
struct FindingsPage {
    frame: Frame,
    head: Head,
    as_of: String,
    verdicts: Vec<String>,
    /// The address and the caption of each figure.
    figures: Vec<(String, String)>,
}

impl Findings {
    /// The findings of a sweep.
    async fn of(&self, page: &Page, id: SweepId, name: &str, has_ended: bool) -> Result<Arc<Found>, PageError> {
        let board = page.outcomes.board(id).await?;
        let _one_at_a_time = self.computing.lock().await;
        let now = page.commands.handle.clock.wall();
        let is_fresh = |found: &Arc<Found>| {
            let shown_for = FRESH_MS.max(FRESH_TIMES * found.took_ms);
            found.version == board.version() || !has_ended && now.0.saturating_sub(found.at.0) < shown_for
        };
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(found) = known.filter(is_fresh) {
            return Ok(found);
        }
        let found = Arc::new(find(page, id, name, &board).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(id, Arc::clone(&found));
        if kept.len() > KEPT {
            let oldest = kept.iter().min_by_key(|(_, found)| found.at.0).map(|(&id, _)| id);
            oldest.map(|oldest| kept.remove(&oldest));
        }
        Ok(found)
    }
}

/// Reads all results of a sweep, and the curves that its figures show.
async fn find(page: &Page, id: SweepId, name: &str, board: &Board) -> Result<Found, PageError> {
    let handle = &page.commands.handle;
    let (version, at, start) = (board.version(), handle.clock.wall(), handle.clock.now());
    let (mut replicates, mut deleted) = (Replicates::default(), Deleted::default());
    let (mut from, mut results) = (TrialIndex(0), 0);
    loop {
        let rows = handle.store.results(id, from, PAGE).await?;
        let Some(last) = rows.last() else { break };
        from = TrialIndex(last.trial.0 + 1);
        let views = queries::result_views(handle.store.as_ref(), &board.spec, rows, &mut deleted).await?;
        for view in views.unwrap_or_default() {
            replicates.add(&view)?;
            results += 1;
        }
    }
    let (planned, spec) = (board.clone(), Arc::clone(&board.spec));
    let (replicates, chosen) = compute(move || {
        replicates.plan(&spec.grid);
        let cells = aggregate::cells(&replicates, Divergence::Guess);
        let chosen = Chosen::of(&cells);
        let trials = planned.read(|outcomes| {
            let cells = (0..outcomes.cells()).filter(|&cell| {
                let first = outcomes.trials_of(cell)[0];
                spec.grid.point(TrialIndex(u64::from(first))).is_some_and(|point| chosen.has(&point))
            });
            let trials = cells.flat_map(|cell| outcomes.trials_of(cell).iter().copied());
            trials.filter(|&trial| outcomes.outcome(trial).is_some()).take(CURVES_MAX).collect::<Vec<u32>>()
        });
        (replicates, trials)
    })
    .await;
    let read: Vec<CurveView> = curves::read(page, id, board, &chosen).await?;
    let (name, spec) = (name.to_owned(), Arc::clone(&board.spec));
    let mut found = compute(move || {
        let comparison = verdicts(&replicates, &spec.analysis);
        let material = Material { title: &name, replicates: &replicates, comparison: &comparison, curves: Some(&read) };
        Found {
            version,
            at,
            took_ms: 0,
            results,
            verdicts: comparison.main().into_iter().map(sentence).collect(),
            illustrations: illustrations(material),
        }
    })
    .await;
    found.took_ms = handle.clock.now().since_ms(start);
    Ok(found)
}

/// `GET /sweeps/{sweep}/findings`.
pub(in crate::page) async fn findings(
    State(page): State<Page>,
    _turn: Turn,
    Path(sweep): Path<String>,
) -> Result<Response, PageError> {
    let mut frame = Frame::new(&page, "");
    let id = queries::resolve(&page.commands.handle, &sweep, Lookup::Read).await?;
    let head = Head::of(&page, id, None, "/findings").await?;
    (frame.title, frame.sweep) = (format!("findings of {}", head.name), id.to_string());
    let found = page.findings.of(&page, id, &head.name, head.has_ended).await?;
    let as_of = match found.results {
        0 => "No trial has a result yet.".to_owned(),
        count => format!("From {} as of {}.", counted(count, "result"), date(found.at)),
    };
    let figures = found.illustrations.iter().enumerate();
    // A browser loads a figure again only if its address is another one.
    let address = |i: usize| format!("/sweeps/{id}/findings/{i}.svg?version={}", found.version);
    let figures = figures.map(|(i, one)| (address(i), one.caption.clone())).collect();
    Ok(html(&FindingsPage { frame, head, as_of, verdicts: found.verdicts.clone(), figures }))
}

/// `GET /sweeps/{sweep}/findings/{figure}`.
pub(in crate::page) async fn figure(
    State(page): State<Page>,
    _turn: Turn,
    Path((sweep, figure)): Path<(String, String)>,
    Query(size): Query<Size>,
) -> Result<Response, PageError> {
    let place: usize = figure.strip_suffix(".svg").and_then(|place| place.parse().ok()).ok_or(PageError::NotFound)?;
    let id = queries::resolve(&page.commands.handle, &sweep, Lookup::Read).await?;
    let sweep = queries::status(&page.commands.handle, id).await?.sweep;
    let found = page.findings.of(&page, id, &sweep.name, sweep.state.has_ended()).await?;
    let illustration = found.illustrations.get(place).ok_or(PageError::NotFound)?;
    Ok(svg(if size.narrow.is_some() { &illustration.narrow } else { &illustration.page }))
}
