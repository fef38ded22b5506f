//! Learning curves of the best configurations, with a band for each mean over replicates.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use biosweep_analysis::figures::selected_curves;
use biosweep_analysis::report::words::{counted, number};
use biosweep_common::results::views::CurveView;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, TrialIndex};
use serde::Deserialize;

use super::head::Head;
use super::link::Params;
use super::table::{Filter, mean_text};
use super::{Frame, Size, Turn, compute, html, svg};
use crate::page::Page;
use crate::page::error::PageError;
use crate::page::outcomes::{Board, Order, Outcomes, SortBy};
use crate::queries::{self, Lookup};

/// Number of configurations whose curves are drawn, and the maximum that can be asked for.
const SHOWN: usize = 8;
const SHOWN_MAX: usize = 50;
/// Maximum number of replicates of a configuration whose curves are read.
const REPLICATES_MAX: usize = 32;

#[derive(Template)]
#[template(path = "page/curves.html")]
struct CurvesPage {
    frame: Frame,
    head: Head,
    filter: Filter,
    shown: String,
    rows: Vec<(String, String, String)>,
    figure: String,
    more: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::page) struct CurvesParams {
    #[serde(default)]
    r#where: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    count: Option<usize>,
    #[serde(default)]
    narrow: Option<u8>,
}

/// A configuration with its trials.
struct Drawn {
    name: String,
    validation: String,
    replicates: String,
    trials: Vec<u32>,
}

impl CurvesParams {
    fn params(&self) -> Params {
        let extra = self.count.map(|count| ("count", count.to_string())).into_iter().collect();
        Params { r#where: self.r#where.clone(), status: self.status.clone(), extra, ..Params::default() }
    }

    fn count(&self) -> usize {
        self.count.unwrap_or(SHOWN).clamp(1, SHOWN_MAX)
    }

    /// The configurations with the best validation accuracy, and the number of all that have one.
    fn best(&self, board: &Board) -> Result<(Vec<Drawn>, usize), PageError> {
        let mut query = self.params().query()?;
        query.order = Order { by: SortBy::Validation, is_descending: true };
        Ok(board.read(|outcomes| {
            let mut rows = outcomes.select(&query).rows;
            rows.retain(|row| row.summary.validation.is_some());
            let drawn = rows.iter().take(self.count()).map(|row| {
                let mut trials: Vec<u32> = outcomes.replicates_of(row.cell, &query.settings).collect();
                let validation = biosweep_analysis::replicates::mean::mean_of(outcomes.accuracies(row.cell, &trials).0);
                let replicates = format!("{} of {}", row.summary.ended(), row.summary.planned);
                trials.retain(|&trial| outcomes.outcome(trial).is_some());
                trials.truncate(REPLICATES_MAX);
                Drawn { name: name(outcomes, row.cell), validation: mean_text(validation), replicates, trials }
            });
            (drawn.collect(), rows.len())
        }))
    }
}

/// The name of a cell by the settings that vary.
pub(super) fn name(outcomes: &Outcomes, cell: u32) -> String {
    let part = |(i, axis): (usize, &crate::page::outcomes::Axis)| {
        let value = outcomes.value(cell, i).map(Value::short)?;
        Some(match axis.setting {
            Setting::Rule | Setting::Network | Setting::Activation => value,
            setting => format!("{} {value}", setting.name()),
        })
    };
    let parts: Vec<String> = outcomes.axes().enumerate().filter_map(part).collect();
    if parts.is_empty() { "the only configuration".to_owned() } else { parts.join(", ") }
}

/// `GET /sweeps/{sweep}/curves`.
pub(in crate::page) async fn curves(
    State(page): State<Page>,
    _turn: Turn,
    Path(sweep): Path<String>,
    Query(wanted): Query<CurvesParams>,
) -> Result<Response, PageError> {
    let mut frame = Frame::new(&page, "");
    let id = queries::resolve(&page.commands.handle, &sweep, Lookup::Read).await?;
    let board = page.outcomes.board(id).await?;
    let head = Head::of(&page, id, Some(&board.spec), "/curves").await?;
    (frame.title, frame.sweep) = (format!("learning curves of {}", head.name), id.to_string());
    let version = board.version();
    let of_filter = (board.clone(), wanted.clone());
    let (filter, best, all) = compute(move || {
        let (board, wanted) = of_filter;
        let settings = wanted.params().settings()?;
        let (best, all) = wanted.best(&board)?;
        let filter = board.read(|outcomes| Filter::of(id, "/curves", outcomes, &wanted.params(), &settings));
        Ok::<_, PageError>((filter, best, all))
    })
    .await?;
    let shown = match (best.len(), all) {
        (0, _) => "No configuration has a result yet.".to_owned(),
        (shown, all) if shown == all => {
            format!("{}, the best by validation first", counted(all as u64, "configuration"))
        }
        (shown, all) => format!("{shown} of {} configurations shown, the best by validation", number(all as u64)),
    };
    let address = |end: &str, count: usize, version: &str| {
        let count = if count == SHOWN { String::new() } else { count.to_string() };
        let path = format!("/sweeps/{id}/curves{end}");
        let parameters =
            [("where", wanted.r#where.as_str()), ("status", &wanted.status), ("count", &count), ("version", version)];
        super::link::href(&path, parameters)
    };
    let count = wanted.count();
    let more = (all > count && count < SHOWN_MAX).then(|| address("", (4 * count).min(SHOWN_MAX), ""));
    // A browser loads the figure again only if its address is another one.
    let figure = address("/curves.svg", count, &version.to_string());
    let rows = best.into_iter().map(|drawn| (drawn.name, drawn.validation, drawn.replicates)).collect();
    Ok(html(&CurvesPage { frame, head, filter, shown, rows, figure, more }))
}

/// `GET /sweeps/{sweep}/curves/curves.svg`.
pub(in crate::page) async fn figure(
    State(page): State<Page>,
    _turn: Turn,
    Path(sweep): Path<String>,
    Query(wanted): Query<CurvesParams>,
) -> Result<Response, PageError> {
    let id = queries::resolve(&page.commands.handle, &sweep, Lookup::Read).await?;
    let board = page.outcomes.board(id).await?;
    let narrow = wanted.narrow;
    let for_best = board.clone();
    let (best, _) = compute(move || wanted.best(&for_best)).await?;
    let mut named = Vec::new();
    for drawn in best {
        named.push((drawn.name, read(&page, id, &board, &drawn.trials).await?));
    }
    Ok(compute(move || {
        let named: Vec<(String, Vec<&CurveView>)> =
            named.iter().map(|(name, curves)| (name.clone(), curves.iter().collect())).collect();
        svg(&selected_curves("Validation accuracy by updates", &named, Size { narrow }.width()))
    })
    .await)
}

/// The curves of these trials.
pub(super) async fn read(page: &Page, id: SweepId, board: &Board, trials: &[u32]) -> Result<Vec<CurveView>, PageError> {
    let mut indices: Vec<TrajectoryIndex> =
        trials.iter().filter_map(|&trial| board.spec.grid.trajectory_of(TrialIndex(u64::from(trial)))).collect();
    indices.dedup();
    let mut curves = Vec::new();
    for index in indices {
        let rows = page.commands.handle.store.curves(id, index.0, 1).await?;
        let row = rows.into_iter().find(|row| row.trajectory == index);
        curves.extend(row.and_then(|row| queries::curve_view(&board.spec, row)));
    }
    Ok(curves)
}
