//! One trial: its settings, its result, its learning curve and its diagnostics.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use biosweep_analysis::compare::Comparison;
use biosweep_analysis::figures::{Kind, Material, selected_curves};
use biosweep_analysis::replicates::Replicates;
use biosweep_analysis::report::words::{date, duration, number};
use biosweep_common::results::outcome::Outcome;
use biosweep_common::results::views::{CurveView, LaneView, ResultView, TrainedView};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::diagnostics::Measure;
use biosweep_common::vocabulary::ids::{SweepId, TrialIndex, TrialRef};
use serde::Deserialize;

use super::head::Head;
use super::table::percent;
use super::{Frame, Size, Turn, compute, html, svg};
use crate::driver::Handle;
use crate::page::Page;
use crate::page::error::PageError;
use crate::queries::{self, Deleted, Lookup, QueryError};

/// Number of incomplete attempts of a sweep in which those of a trial are looked for.
const ATTEMPTS: u32 = 1_000;

#[derive(Template)]
#[template(path = "page/trial.html")]
struct TrialPage {
    frame: Frame,
    head: Head,
    trial: u64,
    status: String,
    /// Number of attempts; with it, the address of a figure is another one after a retry.
    version: u32,
    /// The same as the name of a class.
    class: String,
    facts: Vec<(&'static str, String)>,
    settings: Vec<(&'static str, String, bool)>,
    /// The trials of the same trajectory: number and stopping rule.
    siblings: Vec<(u64, String)>,
    has_curve: bool,
    measures: Vec<(String, String)>,
    attempts: Vec<Attempt>,
    previous: Option<u64>,
    next: Option<u64>,
}

struct Attempt {
    number: u64,
    outcome: &'static str,
    worker: String,
    cause: String,
    at: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct Wanted {
    /// A number, or the beginning of a key.
    #[serde(default)]
    trial: String,
}

/// `GET /sweeps/{sweep}/jump?trial=…`.
pub(in crate::page) async fn jump(
    State(page): State<Page>,
    Path(sweep): Path<String>,
    Query(Wanted { trial }): Query<Wanted>,
) -> Result<Redirect, PageError> {
    let handle = &page.commands.handle;
    let id = queries::resolve(handle, &sweep, Lookup::Read).await?;
    let text = trial.trim();
    let TrialRef { sweep, trial } = match text.parse() {
        Ok(number) => TrialRef { sweep: id, trial: TrialIndex(number) },
        Err(_) => queries::keyed(handle, text).await?,
    };
    Ok(Redirect::to(&format!("/sweeps/{sweep}/trials/{trial}")))
}

/// A trial of a sweep, with its result if it has ended.
pub(super) struct Found {
    pub(super) index: TrialIndex,
    pub(super) result: Option<ResultView>,
    pub(super) trained: Option<TrainedView>,
    pub(super) lane: Option<LaneView>,
}

impl Found {
    /// Reads a trial.
    pub(super) async fn read(
        handle: &Handle,
        id: SweepId,
        spec: &SweepSpec,
        index: TrialIndex,
    ) -> Result<Self, PageError> {
        let store = handle.store.as_ref();
        let mut rows = store.results(id, index, 1).await?;
        rows.retain(|row| row.trial == index);
        let views = queries::result_views(store, spec, rows, &mut Deleted::default()).await?;
        let result = views.and_then(|views| views.into_iter().next());
        let trained = match &result {
            Some(_) => match queries::trained(handle, &format!("{id}/{index}")).await {
                Ok(trained) => Some(trained),
                // A failed trial has no curve.
                Err(QueryError::UnknownTrial { .. }) => None,
                Err(error) => return Err(error.into()),
            },
            None => None,
        };
        let trajectory = spec.grid.trajectory_of(index);
        let workers = handle.ask(move |scheduler| scheduler.worker_views(Some(id))).await?;
        let lane = workers.into_iter().flat_map(|worker| worker.training);
        let lane = lane.filter(|_| result.is_none()).find(|lane| Some(lane.trajectory) == trajectory);
        Ok(Self { index, result, trained, lane })
    }

    /// Where it stands, in one or two words.
    pub(super) fn status(&self) -> String {
        match (&self.result, &self.lane) {
            (Some(result), _) => result.status.name().to_owned(),
            (None, Some(_)) => "in training".to_owned(),
            (None, None) => "waiting".to_owned(),
        }
    }

    /// What is known of its end, or of its training so far.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(lane) = &self.lane {
            facts.push(("updates", format!("{} of at most {}", number(lane.updates), number(lane.max_updates))));
            if let Some(latest) = lane.latest {
                facts.push((
                    "validation accuracy",
                    format!("{} % at {}", percent(latest.validation_accuracy), number(latest.update)),
                ));
            }
        }
        let Some(result) = &self.result else { return facts };
        if let Some(score) = result.score {
            facts.push(("validation accuracy", format!("{} %", percent(score.validation_accuracy))));
            facts.push(("test accuracy", format!("{} %", percent(score.test_accuracy))));
            facts.push(("best update", number(score.best_update)));
        }
        facts.push(("updates", number(result.updates)));
        facts.push(("training time", duration(result.seconds)));
        facts.push(("attempts", result.attempts.to_string()));
        facts.push(("worker", result.worker_name.clone()));
        if let Some(source) = &result.reused_from {
            facts.push(("reused from", source.to_string()));
        }
        facts.push(("key", result.key.to_string()));
        facts
    }
}

async fn spec_of(page: &Page, sweep: &str) -> Result<(SweepId, SweepSpec), PageError> {
    let handle = &page.commands.handle;
    let id = queries::resolve(handle, sweep, Lookup::Read).await?;
    Ok((id, queries::spec(handle, id).await?))
}

/// `GET /sweeps/{sweep}/trials/{trial}`.
pub(in crate::page) async fn trial(
    State(page): State<Page>,
    _turn: Turn,
    Path((sweep, trial)): Path<(String, u64)>,
) -> Result<Response, PageError> {
    let mut frame = Frame::new(&page, "");
    let handle = &page.commands.handle;
    let (id, spec) = spec_of(&page, &sweep).await?;
    let index = TrialIndex(trial);
    let Some(point) = spec.grid.point(index) else {
        return Err(PageError::NoTrial { trials: spec.grid.trials() });
    };
    let found = Found::read(handle, id, &spec, index).await?;
    let head = Head::of(&page, id, Some(&spec), "/trials").await?;
    (frame.title, frame.sweep) = (format!("trial {trial} of {}", head.name), id.to_string());

    let axes = spec.grid.axes();
    let mut settings: Vec<(&'static str, String, bool)> =
        point.iter().map(|(setting, value)| (setting.name(), value.short(), axes.contains(setting))).collect();
    settings.sort_by_key(|(_, _, varies)| !varies);
    let trajectory = spec.grid.trajectory_of(index);
    let siblings = trajectory.and_then(|index| spec.grid.trajectory(index)).map(|trajectory| {
        let first = trajectory.first_trial.0;
        let rules = trajectory.stopping_rules.iter().enumerate();
        let sibling = |(i, _): (usize, &_)| (first + i as u64, stop_of(&spec, TrialIndex(first + i as u64)));
        if trajectory.stopping_rules.len() > 1 { rules.map(sibling).collect() } else { Vec::new() }
    });
    let rows = handle.store.incomplete_attempts(id, ATTEMPTS).await?;
    let attempts = rows.into_iter().filter(|row| Some(row.trajectory) == trajectory).map(|row| Attempt {
        number: row.attempt.0,
        outcome: Outcome::name(row.outcome),
        worker: row.worker_name,
        cause: row.cause.unwrap_or_default(),
        at: date(row.at),
    });
    let curve = found.trained.as_ref().map(|trained| &trained.curve);
    let measured = |measure: &&Measure| {
        curve.is_some_and(|curve| curve.diagnostics.iter().any(|point| point.measure == **measure))
    };
    let measures = Measure::ALL.iter().filter(measured);
    Ok(html(&TrialPage {
        trial,
        version: found.result.as_ref().map_or(0, |result| result.attempts),
        class: found.status().replace(' ', "-"),
        status: found.status(),
        facts: found.facts(),
        settings,
        siblings: siblings.unwrap_or_default(),
        has_curve: curve.is_some_and(|curve| !curve.points.is_empty()),
        measures: measures
            .map(|measure| (measure.name().replace('_', "-"), measure.name().replace('_', " ")))
            .collect(),
        attempts: attempts.collect(),
        previous: trial.checked_sub(1),
        next: (trial + 1 < spec.grid.trials()).then_some(trial + 1),
        frame,
        head,
    }))
}

/// The stopping rule of a trial in words.
fn stop_of(spec: &SweepSpec, trial: TrialIndex) -> String {
    let point = spec.grid.point(trial).unwrap_or_default();
    let stops = point.iter().filter(|(setting, _)| setting.level() == biosweep_common::settings::Level::Stop);
    stops.map(|(setting, value)| format!("{} {}", setting.name(), value.short())).collect::<Vec<_>>().join(", ")
}

/// `GET /sweeps/{sweep}/trials/{trial}/{figure}`: the learning curve, or the diagnostics of one measure.
pub(in crate::page) async fn figure(
    State(page): State<Page>,
    _turn: Turn,
    Path((sweep, trial, figure)): Path<(String, u64, String)>,
    Query(size): Query<Size>,
) -> Result<Response, PageError> {
    let (id, spec) = spec_of(&page, &sweep).await?;
    let found = Found::read(&page.commands.handle, id, &spec, TrialIndex(trial)).await?;
    let name = figure.strip_suffix(".svg").ok_or(PageError::NotFound)?.to_owned();
    let TrainedView { results, curve, .. } = found.trained.ok_or(PageError::NotFound)?;
    let drawn = compute(move || drawn(&name, trial, &results, curve, size)).await?;
    drawn.ok_or(PageError::NotFound)
}

fn drawn(
    name: &str,
    trial: u64,
    results: &[ResultView],
    curve: CurveView,
    size: Size,
) -> Result<Option<Response>, PageError> {
    let title = format!("trial {trial}");
    if name == "curve" {
        let named = [(title.clone(), vec![&curve])];
        return Ok(Some(svg(&selected_curves(&title, &named, size.width())).into_response()));
    }
    let replicates = Replicates::of(results)?;
    let curves = [curve];
    let comparison = Comparison::default();
    let material = Material { title: &title, replicates: &replicates, comparison: &comparison, curves: Some(&curves) };
    let figures = material.figures(Kind::Diagnostics, size.width());
    Ok(figures.into_iter().find(|(measure, _)| measure == name).map(|(_, figure)| svg(&figure)))
}
