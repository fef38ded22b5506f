//! The tables of a report: test accuracies, and the best settings.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_common::vocabulary::dataset::DatasetRef;

use super::words;
use crate::aggregate::{Cell, Learner, differing_places, uneven};
use crate::replicates::Replicates;
use crate::replicates::mean::Mean;
use crate::selection::{Best, best_by};

/// Maximum number of columns with numbers that fit across a page.
const COLUMNS_MAX: usize = 6;

/// A table of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Number of columns that are names.
    pub(super) names: usize,
    /// Whether the entries are words, not numbers.
    pub(super) is_text: bool,
}

/// A row: names, then entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) names: Vec<String>,
    pub(super) entries: Vec<Entry>,
}

/// A number with a remark below it, which is often empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) main: String,
    pub(super) remark: String,
}

impl Entry {
    pub(super) fn plain(main: impl Into<String>) -> Self {
        Self { main: main.into(), remark: String::new() }
    }
}

/// Test accuracies: a table for each dataset and activation, a row for each rule and network, a column for each depth.
pub(super) fn accuracies(cells: &[Cell]) -> Vec<Table> {
    let mut tables = Vec::new();
    let panels: BTreeSet<(&DatasetRef, ActivationFunction)> =
        cells.iter().map(|cell| (&cell.place.dataset, cell.place.activation)).collect();
    for (dataset, activation) in panels {
        let of_panel: Vec<&Cell> =
            cells.iter().filter(|one| &one.place.dataset == dataset && one.place.activation == activation).collect();
        let depths: Vec<u32> =
            of_panel.iter().map(|cell| cell.place.depth).collect::<BTreeSet<_>>().into_iter().collect();
        let caption = format!("{}, {activation}: test accuracy in percent by number of hidden layers", dataset.label());
        for depths in depths.chunks(COLUMNS_MAX) {
            tables.push(of_depths(&caption, &of_panel, depths, uneven(cells).is_some()));
        }
    }
    tables
}

fn of_depths(caption: &str, cells: &[&Cell], depths: &[u32], is_uneven: bool) -> Table {
    let mut rows: BTreeMap<Learner, BTreeMap<u32, &Cell>> = BTreeMap::new();
    for &cell in cells.iter().filter(|cell| depths.contains(&cell.place.depth)) {
        rows.entry(cell.place.learner()).or_default().insert(cell.place.depth, cell);
    }
    let row = |(learner, by_depth): (Learner, BTreeMap<u32, &Cell>)| Row {
        names: vec![learner.rule_name(), learner.network_name()],
        entries: depths
            .iter()
            .map(|depth| by_depth.get(depth).map_or_else(|| Entry::plain("–"), |cell| entry(cell, is_uneven)))
            .collect(),
    };
    let header = ["rule", "network"].map(str::to_owned).into_iter().chain(depths.iter().map(u32::to_string));
    Table {
        caption: caption.to_owned(),
        header: header.collect(),
        rows: rows.into_iter().map(row).collect(),
        names: 2,
        is_text: false,
    }
}

fn entry(cell: &Cell, is_uneven: bool) -> Entry {
    let mut remarks = Vec::new();
    if let Some(test) = cell.test.filter(|_| is_uneven) {
        remarks.push(format!("n = {}", test.count));
    }
    if cell.diverged > 0 {
        remarks.push(format!("{} of {} completed", cell.completed, cell.completed + cell.diverged));
        remarks.push(format!("{} diverged", cell.diverged));
    }
    if cell.failed > 0 {
        remarks.push(format!("{} failed", cell.failed));
    }
    if cell.missing > cell.failed {
        remarks.push(format!("{} of {} so far", cell.completed + cell.diverged, cell.replicates()));
    }
    Entry { main: accuracy(cell.test), remark: remarks.join(", ") }
}

/// `97.7 ± 0.2`, in percent.
fn accuracy(mean: Option<Mean>) -> String {
    match mean {
        None => "–".to_owned(),
        Some(Mean { mean, half_width: Some(half), .. }) => {
            format!("{} ± {}", words::percent(mean), words::percent(half))
        }
        Some(Mean { mean, .. }) => words::percent(mean),
    }
}

/// The settings with the best mean validation accuracy, for each value of the settings of a place that differ.
pub(super) fn best(replicates: &Replicates) -> Option<Table> {
    let by = differing_places(replicates);
    let best = best_by(replicates, &by);
    if best.is_empty() {
        return None;
    }
    let chosen: BTreeSet<Setting> = best.iter().flat_map(|one| one.chosen.keys().copied()).collect();
    let header = by.iter().chain(&chosen).map(|setting| setting.name().replace('_', " "));
    let numbers = ["test", "test by fold", "n", "completed", "best of"].map(str::to_owned);
    Some(Table {
        caption: "The settings with the best mean validation accuracy: their test accuracy in percent".to_owned(),
        header: header.chain(numbers).collect(),
        rows: best.iter().map(|one| of_best(one, &by, &chosen)).collect(),
        names: by.len(),
        is_text: false,
    })
}

fn of_best(one: &Best, by: &[Setting], chosen: &BTreeSet<Setting>) -> Row {
    let text = |value: Option<(&Setting, &Value)>| {
        value.map_or_else(|| "–".to_owned(), |(&setting, value)| words::value(setting, value))
    };
    let count =
        one.test.map_or_else(|| "–".to_owned(), |test| format!("{} {}", test.count, test.unit.word(test.count)));
    let entries = chosen.iter().map(|setting| text(one.chosen.get_key_value(setting))).chain([
        accuracy(one.test),
        accuracy(one.by_fold),
        count,
        format!("{} of {}", one.completed, one.completed + one.diverged + one.failed),
        one.candidates.to_string(),
    ]);
    Row {
        names: by.iter().map(|setting| text(one.group.get_key_value(setting))).collect(),
        entries: entries.map(Entry::plain).collect(),
    }
}

/// What a reader has to know beside the table of the best settings.
pub(super) fn notes(replicates: &Replicates) -> Vec<&'static str> {
    let by = differing_places(replicates);
    let best = best_by(replicates, &by);
    let mut notes = vec!["Test by fold: each fold chooses its own settings, so that the interval includes the choice."];
    if best.iter().map(|one| one.candidates).collect::<BTreeSet<_>>().len() > 1 {
        notes.push("The rows are chosen among unequal numbers of settings; more settings give a better best.");
    }
    if best.iter().any(|one| one.compared < one.candidates) {
        notes.push("Settings with fewer replicates than others are not compared.");
    }
    notes
}
