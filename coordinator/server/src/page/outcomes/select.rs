//! Filtered and sorted cells, page by page. A page starts after a cell and its sort key, so that it stays where it was while
//! results come in.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use biosweep_common::configuration::Point;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::settings::{Setting, Value};

use super::table::{FoldSums, Outcomes, Summary};

/// Which cells are wanted, and in which order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Query {
    /// The settings that all trials have.
    pub(crate) settings: Point,
    /// Only cells with a trial of this status.
    pub(crate) status: Option<TrialStatus>,
    /// The order.
    pub(crate) order: Order,
}

/// An order of cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// What cells are sorted by.
    pub(crate) by: SortBy,
    /// Whether the greatest comes first.
    pub(crate) is_descending: bool,
}

/// What cells are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    /// The number of their first trial.
    #[default]
    Trial,
    /// A setting.
    Setting(Setting),
    /// The mean validation accuracy.
    Validation,
    /// The mean test accuracy.
    Test,
    /// The number of replicates that have ended.
    Ended,
    /// The number of diverged replicates.
    Diverged,
    /// The number of failed replicates.
    Failed,
}

/// A place between two cells of an order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cursor {
    /// The sort key of the cell before it; `None` sorts last.
    key: Option<f64>,
    cell: u32,
}

/// A cell with its counts and means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// The cell.
    pub(crate) cell: u32,
    /// Its counts and means.
    pub(crate) summary: Summary,
    key: Option<f64>,
}

/// The cells of a query, all of them, in order.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// The cells.
    pub(crate) rows: Vec<Row>,
    order: Order,
}

/// A text that does not name an order or a place in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a column to sort by; sort by trial, validation, test, ended, diverged, failed or a setting")]
pub(crate) struct NoOrder(String);

impl FromStr for Order {
    type Err = NoOrder;

    /// Parses for example `test`, or `-test` for the greatest first.
    fn from_str(text: &str) -> Result<Self, NoOrder> {
        let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let by = match name {
            "trial" => SortBy::Trial,
            "validation" => SortBy::Validation,
            "test" => SortBy::Test,
            "ended" => SortBy::Ended,
            "diverged" => SortBy::Diverged,
            "failed" => SortBy::Failed,
            name => match Setting::ALL.iter().find(|setting| setting.name() == name) {
                Some(&setting) => SortBy::Setting(setting),
                None => return Err(NoOrder(text.to_owned())),
            },
        };
        Ok(Self { by, is_descending })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.by {
            SortBy::Trial => "trial",
            SortBy::Setting(setting) => setting.name(),
            SortBy::Validation => "validation",
            SortBy::Test => "test",
            SortBy::Ended => "ended",
            SortBy::Diverged => "diverged",
            SortBy::Failed => "failed",
        };
        write!(f, "{}{name}", if self.is_descending { "-" } else { "" })
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (key, cell) = text.split_once('~').ok_or(())?;
        let key = if key.is_empty() { None } else { Some(key.parse().map_err(drop)?) };
        Ok(Self { key, cell: cell.parse().map_err(drop)? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, "{key}")?;
        }
        write!(f, "~{}", self.cell)
    }
}

impl Order {
    /// Compares by key, then by cell. Cells without a key come last, whatever the direction.
    fn compare(self, a: (Option<f64>, u32), b: (Option<f64>, u32)) -> Ordering {
        let by_key = match (a.0, b.0) {
            (Some(x), Some(y)) if self.is_descending => y.total_cmp(&x),
            (Some(x), Some(y)) => x.total_cmp(&y),
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        };
        by_key.then(if self.is_descending && self.by == SortBy::Trial { b.1.cmp(&a.1) } else { a.1.cmp(&b.1) })
    }
}

impl Selection {
    /// At most `limit` cells after a place, or from the start.
    pub(crate) fn page(&self, after: Option<Cursor>, limit: usize) -> &[Row] {
        let from = after.map_or(0, |after| {
            let is_before =
                |row: &Row| self.order.compare((row.key, row.cell), (after.key, after.cell)) != Ordering::Greater;
            self.rows.partition_point(is_before)
        });
        &self.rows[from..(from + limit).min(self.rows.len())]
    }

    /// Number of cells before this one, which is one of the rows of a page.
    pub(crate) fn place_of(&self, row: &Row) -> usize {
        let is_before =
            |other: &Row| self.order.compare((other.key, other.cell), (row.key, row.cell)) == Ordering::Less;
        self.rows.partition_point(is_before)
    }
}

impl Row {
    /// The place after this cell.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { key: self.key, cell: self.cell }
    }
}

impl Outcomes {
    /// The cells of a query, in order.
    pub(crate) fn select(&self, query: &Query) -> Selection {
        let Query { settings, status, order } = query;
        let cells = self.cells_with(settings);
        let is_meant = self.replicates_with(settings);
        let mut sums = FoldSums::default();
        let mut rows: Vec<Row> = cells
            .map(|cell| (cell, self.summary(cell, &is_meant, &mut sums)))
            .filter(|(_, summary)| summary.planned > 0)
            .filter(|(_, summary)| status.is_none_or(|status| summary.count(status) > 0))
            .map(|(cell, summary)| Row { cell, summary, key: self.key(cell, &summary, order.by) })
            .collect();
        if *order != Order::default() {
            rows.sort_unstable_by(|a, b| order.compare((a.key, a.cell), (b.key, b.cell)));
        }
        Selection { rows, order: *order }
    }

    /// The replicates of a cell that a query means.
    pub(crate) fn replicates_of<'a>(&'a self, cell: u32, settings: &Point) -> impl Iterator<Item = u32> + use<'a> {
        let is_meant = self.replicates_with(settings);
        self.trials_of(cell).iter().copied().filter(move |&trial| is_meant(trial))
    }

    fn cells_with(&self, settings: &Point) -> impl Iterator<Item = u32> {
        let varies = |setting: Setting| {
            let columns = self.axes.iter().map(|column| &column.axis);
            columns.chain(self.replicate_axes()).any(|axis| axis.setting == setting)
        };
        // No cell has another value of a setting that is equal in all trials.
        let mut others = settings.iter().filter(|&(&setting, _)| !varies(setting));
        let is_met = others.all(|(setting, value)| self.constants().get(setting) == Some(value));
        let cells = if is_met { self.cells() } else { 0 };
        let wanted: Vec<(usize, Option<u32>)> = self
            .axes
            .iter()
            .enumerate()
            .filter_map(|(i, column)| Some((i, place_of(&column.axis.values, settings.get(&column.axis.setting)?))))
            .collect();
        (0..cells)
            .filter(move |&cell| wanted.iter().all(|&(i, place)| Some(self.axes[i].places[cell as usize]) == place))
    }

    fn replicates_with<'a>(&'a self, settings: &Point) -> impl Fn(u32) -> bool + use<'a> {
        let wanted: Vec<(&[u32], Option<u32>)> = self
            .replicates
            .iter()
            .filter_map(|column| {
                let value = settings.get(&column.axis.setting)?;
                Some((column.places.as_slice(), place_of(&column.axis.values, value)))
            })
            .collect();
        move |trial| wanted.iter().all(|&(places, place)| Some(places[trial as usize]) == place)
    }

    fn key(&self, cell: u32, summary: &Summary, by: SortBy) -> Option<f64> {
        match by {
            SortBy::Trial => Some(f64::from(self.trials_of(cell)[0])),
            SortBy::Validation => summary.validation,
            SortBy::Test => summary.test,
            SortBy::Ended => Some(f64::from(summary.ended())),
            SortBy::Diverged => Some(f64::from(summary.diverged)),
            SortBy::Failed => Some(f64::from(summary.failed)),
            SortBy::Setting(setting) => {
                let column = self.axes.iter().find(|column| column.axis.setting == setting)?;
                let place = column.places[cell as usize];
                column.axis.values[place as usize].as_ref().map(|_| f64::from(place))
            }
        }
    }
}

impl Summary {
    /// Number of replicates that have ended.
    pub(crate) fn ended(&self) -> u32 {
        self.completed + self.diverged + self.failed
    }

    fn count(&self, status: TrialStatus) -> u32 {
        match status {
            TrialStatus::Completed => self.completed,
            TrialStatus::Diverged => self.diverged,
            TrialStatus::Failed => self.failed,
        }
    }
}

fn place_of(values: &[Option<Value>], value: &Value) -> Option<u32> {
    values.iter().position(|other| other.as_ref() == Some(value)).map(|place| place as u32)
}
