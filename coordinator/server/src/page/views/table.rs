//! The configurations of a sweep: a row each, with its replicates below it on demand.

use std::collections::{BTreeSet, HashSet};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use biosweep_analysis::replicates::REPLICATES;
use biosweep_analysis::replicates::mean::{Mean, mean_of};
use biosweep_analysis::report::words::{counted, number};
use biosweep_common::configuration::Point;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ids::SweepId;

use super::head::Head;
use super::link::Params;
use super::{Frame, compute, html};
use crate::page::Page;
use crate::page::error::PageError;
use crate::page::outcomes::{Board, Order, Outcomes, Row, SortBy};
use crate::queries::{self, Lookup};

/// Number of configurations on a page.
const ROWS: usize = 50;
/// Maximum number of replicates that are shown below a configuration.
const REPLICATES_MAX: usize = 200;
/// Maximum number of values of an axis that are offered as filters.
const VALUES_MAX: usize = 40;

#[derive(Template)]
#[template(path = "page/table.html")]
struct TablePage {
    frame: Frame,
    head: Head,
    table: Table,
}

/// What the table shows, as texts.
pub(super) struct Table {
    pub(super) filter: Filter,
    columns: Vec<Column>,
    rows: Vec<Cell>,
    /// Which of how many configurations are shown.
    shown: String,
    first: Option<String>,
    next: Option<String>,
    constants: Vec<(&'static str, String)>,
    /// Whether trials can be selected for a comparison.
    has_trials: bool,
}

/// The filter: what is set, and what can be set.
pub(super) struct Filter {
    pub(super) action: String,
    pub(super) text: String,
    /// The other parameters of the address, which the form keeps.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// What is set: its text, and the address without it.
    pub(super) set: Vec<(String, String)>,
    /// The values of each axis: name, whether there are more, and text, address and state of each value.
    pub(super) axes: Vec<Choice>,
    /// The statuses: text, address, whether it is set.
    pub(super) statuses: Vec<(&'static str, String, bool)>,
}

/// The values of an axis as filters.
pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) values: Vec<(String, String, bool)>,
    pub(super) more: usize,
}

struct Column {
    name: String,
    /// The address that sorts by it.
    href: String,
    /// How the table is sorted by it, as `aria-sort` says.
    sorted: Option<&'static str>,
    is_number: bool,
}

struct Cell {
    /// The number of its first trial.
    number: u32,
    toggle: String,
    is_open: bool,
    replicates: String,
    settings: Vec<String>,
    validation: String,
    test: String,
    ended: String,
    is_complete: bool,
    running: usize,
    diverged: u32,
    failed: u32,
    /// The only trial, which can be selected at once.
    trial: Option<u32>,
    trials: Vec<Trial>,
    more: usize,
}

struct Trial {
    number: u32,
    href: String,
    replicate: String,
    status: &'static str,
    validation: String,
    test: String,
    updates: String,
}

/// `GET /sweeps/{sweep}`.
pub(in crate::page) async fn table(
    State(page): State<Page>,
    Path(sweep): Path<String>,
    Query(params): Query<Params>,
) -> Result<Response, PageError> {
    let mut frame = Frame::new(&page, "");
    let handle = &page.commands.handle;
    let id = queries::resolve(handle, &sweep, Lookup::Read).await?;
    let board = page.outcomes.board(id).await?;
    let head = Head::of(&page, id, Some(&board.spec), "").await?;
    let trajectories = head.running.iter().filter_map(|&index| board.spec.grid.trajectory(index));
    let trials = trajectories.flat_map(|trajectory| {
        let first = trajectory.first_trial.0;
        first..first + trajectory.stopping_rules.len() as u64
    });
    let running: HashSet<u64> = trials.collect();
    (frame.title, frame.sweep) = (head.name.clone(), id.to_string());
    let table = compute(move || Table::of(id, &board, &params, &running)).await?;
    Ok(html(&TablePage { frame, head, table }))
}

impl Table {
    fn of(id: SweepId, board: &Board, params: &Params, running: &HashSet<u64>) -> Result<Self, PageError> {
        let query = params.query()?;
        let cursor = params.cursor()?;
        board.read(|outcomes| {
            let selection = outcomes.select(&query);
            let open = params.open();
            let rows = selection.page(cursor, ROWS);
            let before = rows.first().map_or(0, |row| selection.place_of(row));
            let all = selection.rows.len();
            let next = rows.last().filter(|_| before + rows.len() < all).map(|last| {
                Params { after: last.cursor().to_string(), open: String::new(), ..params.clone() }.href(id, "")
            });
            let open: BTreeSet<u32> = rows.iter().map(|row| row.cell).filter(|cell| open.contains(cell)).collect();
            let of_page = OfPage { id, outcomes, params, settings: &query.settings, open: &open, running };
            let rows: Vec<Cell> = rows.iter().map(|row| of_page.cell(row)).collect();
            let shown = match (all, rows.len()) {
                (0, _) => "No configuration matches.".to_owned(),
                (all, shown) if shown == all => counted(all as u64, "configuration"),
                (all, shown) => format!(
                    "{}–{} of {}",
                    number(before as u64 + 1),
                    number((before + shown) as u64),
                    counted(all as u64, "configuration")
                ),
            };
            Ok(Self {
                filter: Filter::of(id, "", outcomes, params, &query.settings),
                columns: columns(id, outcomes, params, query.order),
                has_trials: rows.iter().any(|row| row.trial.is_some() || !row.trials.is_empty()),
                rows,
                shown,
                first: cursor.map(|_| params.at_start().href(id, "")),
                next,
                constants: outcomes.constants().iter().map(|(one, value)| (one.name(), value.short())).collect(),
            })
        })
    }
}

impl Filter {
    pub(super) fn of(id: SweepId, page: &str, outcomes: &Outcomes, params: &Params, settings: &Point) -> Self {
        let without = |setting: Setting| {
            let mut settings = settings.clone();
            settings.remove(&setting);
            settings
        };
        let set = settings.iter().map(|(&setting, value)| {
            (format!("{} = {}", setting.name(), value.short()), params.filtered(&without(setting)).href(id, page))
        });
        let choice = |axis: &crate::page::outcomes::Axis| {
            let values = axis.values.iter().flatten().take(VALUES_MAX).map(|value| {
                let mut with = without(axis.setting);
                with.insert(axis.setting, value.clone());
                let is_set = settings.get(&axis.setting) == Some(value);
                (value.short(), params.filtered(&with).href(id, page), is_set)
            });
            Choice {
                name: axis.setting.name(),
                values: values.collect(),
                more: axis.values.iter().flatten().count().saturating_sub(VALUES_MAX),
            }
        };
        let varies = |axis: &&crate::page::outcomes::Axis| axis.values.len() > 1;
        let axes = outcomes.axes().chain(outcomes.replicate_axes()).filter(varies).map(choice).collect();
        let status = |status: Option<TrialStatus>| {
            let name = status.map_or("", TrialStatus::name);
            let href = Params { status: name.to_owned(), ..params.at_start() }.href(id, page);
            (status.map_or("any status", TrialStatus::name), href, params.status == name)
        };
        Self {
            action: format!("/sweeps/{id}{page}"),
            text: params.r#where.clone(),
            hidden: [("status", params.status.clone()), ("sort", params.sort.clone())]
                .into_iter()
                .chain(params.extra.clone())
                .filter(|(_, value)| !value.is_empty())
                .collect(),
            set: set.collect(),
            axes,
            statuses: [None].into_iter().chain(TrialStatus::ALL.map(Some)).map(status).collect(),
        }
    }
}

fn columns(id: SweepId, outcomes: &Outcomes, params: &Params, order: Order) -> Vec<Column> {
    let settings = outcomes.axes().map(|axis| (axis.setting.name().to_owned(), SortBy::Setting(axis.setting), false));
    let others = [
        ("validation %", SortBy::Validation),
        ("test %", SortBy::Test),
        ("ended", SortBy::Ended),
        ("diverged", SortBy::Diverged),
        ("failed", SortBy::Failed),
    ];
    let others = others.into_iter().map(|(name, by)| (name.to_owned(), by, true));
    let first = ("trial".to_owned(), SortBy::Trial, true);
    let column = |(name, by, is_number): (String, SortBy, bool)| {
        let is_sorted = order.by == by && (by != SortBy::Trial || !params.sort.is_empty());
        // The best first, at the first click.
        let is_descending = if is_sorted { !order.is_descending } else { is_number && by != SortBy::Trial };
        let sort = Order { by, is_descending }.to_string();
        Column {
            name,
            href: Params { sort, ..params.at_start() }.href(id, ""),
            sorted: is_sorted.then_some(if order.is_descending { "descending" } else { "ascending" }),
            is_number,
        }
    };
    [first].into_iter().chain(settings).chain(others).map(column).collect()
}

/// What all rows of a page need.
struct OfPage<'a> {
    id: SweepId,
    outcomes: &'a Outcomes,

    params: &'a Params,
    settings: &'a Point,
    open: &'a BTreeSet<u32>,
    running: &'a HashSet<u64>,
}

impl OfPage<'_> {
    fn cell(&self, row: &Row) -> Cell {
        let Row { cell, summary, .. } = *row;
        let trials: Vec<u32> = self.outcomes.replicates_of(cell, self.settings).collect();
        let is_open = self.open.contains(&cell);
        let mut open = self.open.clone();
        if !open.remove(&cell) {
            open.insert(cell);
        }
        let open: Vec<String> = open.iter().map(u32::to_string).collect();
        let toggle = Params { open: open.join(","), ..self.params.clone() }.href(self.id, "");
        let settings = (0..self.outcomes.axes().count()).map(|axis| text(self.outcomes.value(cell, axis)));
        let (validation, test) = self.outcomes.accuracies(cell, &trials);
        let shown = if is_open { &trials[..trials.len().min(REPLICATES_MAX)] } else { &[] };
        let number = trials.first().copied().unwrap_or_default();
        Cell {
            number,
            toggle: format!("{toggle}#cell-{number}"),
            is_open,
            replicates: counted(trials.len() as u64, "replicate"),
            settings: settings.collect(),
            validation: mean_text(mean_of(validation)),
            test: mean_text(mean_of(test)),
            ended: format!("{}/{}", summary.ended(), summary.planned),
            is_complete: summary.ended() == summary.planned,
            running: trials.iter().filter(|&&trial| self.is_running(trial)).count(),
            diverged: summary.diverged,
            failed: summary.failed,
            trial: (trials.len() == 1).then(|| trials[0]),
            trials: shown.iter().map(|&trial| self.trial(trial)).collect(),
            more: if is_open { trials.len() - shown.len() } else { 0 },
        }
    }

    fn is_running(&self, trial: u32) -> bool {
        self.running.contains(&u64::from(trial)) && self.outcomes.outcome(trial).is_none()
    }

    fn trial(&self, trial: u32) -> Trial {
        let outcome = self.outcomes.outcome(trial);
        let accuracies = outcome.and_then(|outcome| outcome.accuracies);
        let accuracy =
            |part: fn((f64, f64)) -> f64| accuracies.map_or_else(|| "–".to_owned(), |both| percent(part(both)));
        let names = REPLICATES.iter().zip(self.outcomes.replicate(trial));
        let replicate: Vec<String> =
            names.map(|(setting, value)| format!("{} {}", setting.name(), text(value))).collect();
        Trial {
            number: trial,
            href: format!("/sweeps/{}/trials/{trial}", self.id),
            replicate: replicate.join(", "),
            status: match outcome {
                Some(outcome) => outcome.status.name(),
                None if self.is_running(trial) => "in training",
                None => "waiting",
            },
            validation: accuracy(|both| both.0),
            test: accuracy(|both| both.1),
            updates: outcome.map_or_else(|| "–".to_owned(), |outcome| number(outcome.updates)),
        }
    }
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "–".to_owned(), Value::short)
}

/// An accuracy in percent with two digits.
pub(super) fn percent(accuracy: f64) -> String {
    format!("{:.2}", 100.0 * accuracy)
}

/// A mean in percent, with half the width of its interval if it has one.
pub(super) fn mean_text(mean: Option<Mean>) -> String {
    match mean {
        None => "–".to_owned(),
        Some(Mean { mean, half_width: None, .. }) => percent(mean),
        Some(Mean { mean, half_width: Some(half), .. }) => format!("{} ± {}", percent(mean), percent(half)),
    }
}
