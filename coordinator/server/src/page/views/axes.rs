//! Accuracy by one axis (a slice) and by two (a heat map).

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use biosweep_analysis::figures::{Slice, slice};
use biosweep_analysis::report::words::counted;
use biosweep_common::settings::{Setting, Value};
use serde::Deserialize;

use super::head::Head;
use super::link::{Params, href};
use super::table::{Filter, percent};
use super::{Frame, Size, compute, html, svg};
use crate::page::Page;
use crate::page::error::PageError;
use crate::page::outcomes::{Axis, Board, Outcomes};
use crate::queries::{self, Lookup};

/// Maximum number of values of an axis in a slice or a heat map.
const VALUES_MAX: usize = 40;
/// Number of shades of a heat map.
const SHADES: usize = 10;

#[derive(Template)]
#[template(path = "page/axes.html")]
struct AxesPage {
    frame: Frame,
    head: Head,
    filter: Filter,
    /// The axes for the selections: name, whether it is the first one, whether it is the second one.
    axes: Vec<(&'static str, bool, bool)>,
    is_best: bool,
    slice: Option<String>,
    caption: String,
    /// What is not shown, and why.
    note: Option<String>,
    map: Option<Map>,
    status: String,
}

/// A heat map.
struct Map {
    row_name: &'static str,
    column_name: &'static str,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Patch>)>,
}

/// One field of a heat map.
struct Patch {
    text: String,
    shade: Option<usize>,
    /// Number of configurations, in words.
    configurations: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::page) struct AxesParams {
    #[serde(default)]
    r#where: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    show: String,
    #[serde(default)]
    narrow: Option<u8>,
}

impl AxesParams {
    fn params(&self) -> Params {
        let extra = vec![("x", self.x.clone()), ("y", self.y.clone()), ("show", self.show.clone())];
        Params { r#where: self.r#where.clone(), status: self.status.clone(), extra, ..Params::default() }
    }

    /// The axes of the slice and the heat map: those that are named, or the first ones.
    fn axes(&self, outcomes: &Outcomes) -> Result<Vec<usize>, PageError> {
        let varying: Vec<(usize, Setting)> = outcomes
            .axes()
            .enumerate()
            .filter(|(_, axis)| axis.values.len() > 1)
            .map(|(i, axis)| (i, axis.setting))
            .collect();
        let mut chosen = Vec::new();
        for name in [&self.x, &self.y] {
            if name.is_empty() {
                // Depth first: the question of most sweeps. An axis that is named for the other place is not taken.
                let is_free = |(i, setting): &&(usize, Setting)| !chosen.contains(i) && setting.name() != self.y;
                let preferred = varying.iter().filter(is_free);
                chosen.extend(preferred.min_by_key(|(_, setting)| *setting != Setting::Depth).map(|&(i, _)| i));
                continue;
            }
            match varying.iter().find(|(_, setting)| setting.name() == name) {
                Some(&(i, _)) => chosen.push(i),
                None => return Err(PageError::BadRequest(format!("`{name}` does not vary in this sweep"))),
            }
        }
        Ok(chosen)
    }
}

/// `GET /sweeps/{sweep}/axes`.
pub(in crate::page) async fn axes(
    State(page): State<Page>,
    Path(sweep): Path<String>,
    Query(wanted): Query<AxesParams>,
) -> Result<Response, PageError> {
    let mut frame = Frame::new(&page, "");
    let id = queries::resolve(&page.commands.handle, &sweep, Lookup::Read).await?;
    let board = page.outcomes.board(id).await?;
    let head = Head::of(&page, id, Some(&board.spec), "/axes").await?;
    (frame.title, frame.sweep) = (format!("axes of {}", head.name), id.to_string());
    let status = wanted.status.clone();
    let shown = compute(move || {
        let settings = wanted.params().settings()?;
        let version = board.version().to_string();
        let cells = cells(&board, &wanted)?;
        board.read(|outcomes| {
            let chosen = wanted.axes(outcomes)?;
            let filter = Filter::of(id, "/axes", outcomes, &wanted.params(), &settings);
            let names: Vec<&'static str> = outcomes.axes().map(|axis| axis.setting.name()).collect();
            let is = |place: usize, i: usize| chosen.get(place) == Some(&i);
            let varies = outcomes.axes().enumerate().filter(|(_, axis)| axis.values.len() > 1);
            let axes = varies.map(|(i, _)| (names[i], is(0, i), is(1, i))).collect();
            let slice = chosen.first().map(|&x| {
                let parameters = [
                    ("where", wanted.r#where.as_str()),
                    ("status", &wanted.status),
                    ("x", names[x]),
                    ("version", &version),
                ];
                href(&format!("/sweeps/{id}/axes/slice.svg"), parameters)
            });
            let is_best = wanted.show != "mean";
            let map = match chosen[..] {
                [x, y] if x != y => Some(Map::of(outcomes, x, y, &cells, is_best)),
                _ => None,
            };
            let caption = chosen.first().map(|&x| {
                format!("Mean validation accuracy of each configuration over its replicates, by {}.", names[x])
            });
            let note = match chosen[..] {
                [x, y] if x == y => Some("Choose two different settings for a heat map.".to_owned()),
                _ => chosen.iter().find_map(|&axis| {
                    let used = used(outcomes, axis, &cells);
                    (used.len() > VALUES_MAX).then(|| {
                        let name = names[axis];
                        format!("{VALUES_MAX} of {} values of {name} are shown; filter for others.", used.len())
                    })
                }),
            };
            Ok::<_, PageError>((filter, axes, is_best, slice, caption.unwrap_or_default(), note, map))
        })
    });
    let (filter, axes, is_best, slice, caption, note, map) = shown.await?;
    Ok(html(&AxesPage { frame, head, filter, axes, is_best, slice, caption, note, map, status }))
}

/// The cells that the filter means, each with its mean validation accuracy.
fn cells(board: &Board, wanted: &AxesParams) -> Result<Vec<(u32, f64)>, PageError> {
    let query = wanted.params().query()?;
    let rows = board.read(|outcomes| outcomes.select(&query).rows);
    Ok(rows.into_iter().filter_map(|row| Some((row.cell, row.summary.validation?))).collect())
}

/// `GET /sweeps/{sweep}/axes/slice.svg`.
pub(in crate::page) async fn figure(
    State(page): State<Page>,
    Path(sweep): Path<String>,
    Query(wanted): Query<AxesParams>,
) -> Result<Response, PageError> {
    let id = queries::resolve(&page.commands.handle, &sweep, Lookup::Read).await?;
    let board = page.outcomes.board(id).await?;
    compute(move || {
        let cells = cells(&board, &wanted)?;
        let (axis, values) = board.read(|outcomes| {
            let x = wanted.axes(outcomes)?.first().copied().ok_or(PageError::NotFound)?;
            let axis = outcomes.axes().nth(x).ok_or(PageError::NotFound)?;
            let places = shown_places(outcomes, x, &cells);
            let mut values: Vec<(String, Vec<f64>)> =
                places.iter().map(|&place| (name(&axis.values[place]), Vec::new())).collect();
            for &(cell, accuracy) in &cells {
                if let Ok(i) = places.binary_search(&outcomes.place(cell, x)) {
                    values[i].1.push(accuracy);
                }
            }
            Ok::<_, PageError>((axis.setting.name().to_owned(), values))
        })?;
        let title = format!("Accuracy by {axis}");
        let drawn =
            slice(&title, &Slice { axis, values }, "validation accuracy (%)", Size { narrow: wanted.narrow }.width());
        Ok(svg(&drawn))
    })
    .await
}

/// The places of the values of an axis that these cells have, in order.
fn used(outcomes: &Outcomes, axis: usize, cells: &[(u32, f64)]) -> BTreeSet<usize> {
    cells.iter().map(|&(cell, _)| outcomes.place(cell, axis)).collect()
}

/// The first of these places: as many as are shown.
fn shown_places(outcomes: &Outcomes, axis: usize, cells: &[(u32, f64)]) -> Vec<usize> {
    used(outcomes, axis, cells).into_iter().take(VALUES_MAX).collect()
}

fn name(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "–".to_owned(), Value::short)
}

impl Map {
    fn of(outcomes: &Outcomes, x: usize, y: usize, cells: &[(u32, f64)], is_best: bool) -> Self {
        let axis = |i: usize| outcomes.axes().nth(i).expect("a chosen axis");
        let places = [x, y].map(|i| shown_places(outcomes, i, cells));
        let names = |axis: &Axis, places: &[usize]| -> Vec<String> {
            places.iter().map(|&place| name(&axis.values[place])).collect()
        };
        let (columns, row_names) = (names(axis(x), &places[0]), names(axis(y), &places[1]));
        // The sum, the greatest value and the number of each field.
        let mut fields = vec![(0.0, f64::NEG_INFINITY, 0_usize); columns.len() * row_names.len()];
        for &(cell, accuracy) in cells {
            let find = |i: usize, axis: usize| places[i].binary_search(&outcomes.place(cell, axis));
            if let (Ok(column), Ok(row)) = (find(0, x), find(1, y)) {
                let field = &mut fields[row * columns.len() + column];
                *field = (field.0 + accuracy, field.1.max(accuracy), field.2 + 1);
            }
        }
        let value = |&(sum, best, count): &(f64, f64, usize)| {
            (count > 0).then(|| if is_best { best } else { sum / count as f64 })
        };
        let values: Vec<f64> = fields.iter().filter_map(value).collect();
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        let patch = |field: &(f64, f64, usize)| {
            let value = value(field);
            let along = |value: f64| if high > low { (value - low) / (high - low) } else { 1.0 };
            Patch {
                text: value.map_or_else(|| "–".to_owned(), percent),
                shade: value.map(|value| ((along(value) * SHADES as f64) as usize).min(SHADES - 1)),
                configurations: counted(field.2 as u64, "configuration"),
            }
        };
        let rows = row_names.into_iter().zip(fields.chunks(columns.len().max(1)));
        Self {
            row_name: axis(y).setting.name(),
            column_name: axis(x).setting.name(),
            rows: rows.map(|(name, fields)| (name, fields.iter().map(patch).collect())).collect(),
            columns,
        }
    }
}
