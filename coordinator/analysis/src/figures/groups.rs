//! The cells of a figure: by panel and by line, and the marks that they need.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, Network};

use super::parts::chart::Heading;
use super::parts::key::{Entry, Sample};
use crate::aggregate::{Cell, uneven};

/// The dataset, whether the layers are convolutions, and the activation function.
pub(super) type DepthPanel<'a> = (&'a DatasetRef, bool, ActivationFunction);
pub(super) type Series = (Rule, Network);

/// The accuracies that an axis must show: means with the ends of their error bars.
pub(super) fn ends(cells: &[Cell]) -> impl Iterator<Item = f64> {
    cells.iter().filter_map(|cell| cell.test).flat_map(|test| {
        let half = test.half_width.unwrap_or(0.0);
        [test.mean - half, test.mean + half]
    })
}

/// The entries of the key for the marks that occur: error bars, crosses and diamonds, which mean
/// `diamond`.
pub(super) fn marks(cells: &[Cell], diamond: &str) -> Vec<Entry> {
    let bars = bars(cells);
    let cross = cells.iter().any(is_cross).then_some("no replicate completed");
    let most = uneven(cells).unwrap_or(0);
    let diamond = cells.iter().any(|cell| is_partial(cell, most)).then_some(diamond);
    let entries = [(Sample::Bar, bars.as_deref()), (Sample::Cross, cross), (Sample::Diamond, diamond)];
    entries.into_iter().filter_map(|(sample, meaning)| Some(Entry::new(sample, meaning?))).collect()
}

/// What error bars are; `None` if there are none.
fn bars(cells: &[Cell]) -> Option<String> {
    let with_bars = || cells.iter().filter_map(|cell| cell.test).filter(|test| test.half_width.is_some());
    let most = with_bars().max_by_key(|test| test.count)?;
    let count = if with_bars().any(|test| test.count < most.count) { "n".to_owned() } else { most.count.to_string() };
    Some(format!("95 % interval, {count} {}", most.unit.word(most.count)))
}

/// Whether a cell is a cross: no replicate completed. It stands at the accuracy of a guess if one diverged.
pub(super) fn is_cross(cell: &Cell) -> bool {
    cell.completed == 0
}

/// The heading of a panel: what distinguishes it from the others.
pub(super) fn heading((dataset, is_convolutional, activation): DepthPanel<'_>, panels: &[DepthPanel<'_>]) -> Heading {
    let has_datasets = panels.iter().any(|(other, ..)| *other != dataset);
    let has_families = panels.iter().any(|&(_, other, _)| other != is_convolutional);
    let family = if has_families && is_convolutional { ", convolutional" } else { "" };
    Heading { dataset: has_datasets.then(|| dataset.label()), text: format!("{activation}{family}") }
}

/// Why a panel has no accuracy; `None` if it has one.
pub(super) fn empty(cells: &[Cell], panel: DepthPanel<'_>) -> Option<String> {
    let of_panel = || cells.iter().filter(|cell| panel_of(cell) == panel);
    if of_panel().any(|cell| !is_cross(cell)) {
        return None;
    }
    let (diverged, failed) =
        of_panel().fold((0, 0), |(diverged, failed), cell| (diverged + cell.diverged, failed + cell.failed));
    Some(format!("no trial completed: {diverged} diverged, {failed} failed"))
}

/// Whether a mean has fewer replicates than others: some diverged, failed or have not ended.
pub(super) fn is_partial(cell: &Cell, most: u64) -> bool {
    let lacking = |count: u64| cell.diverged + cell.missing > 0 || count < most;
    !is_cross(cell) && cell.test.is_some_and(|test| lacking(test.count))
}

pub(super) fn of_line<'a>(cells: &'a [Cell], panel: DepthPanel<'a>, series: Series) -> impl Iterator<Item = &'a Cell> {
    cells.iter().filter(move |cell| panel_of(cell) == panel && series_of(cell) == series)
}

pub(super) fn depths(cells: &[Cell], panel: DepthPanel<'_>) -> BTreeSet<u32> {
    cells.iter().filter(|cell| panel_of(cell) == panel).map(|cell| cell.place.depth).collect()
}

pub(super) fn panel_of(cell: &Cell) -> DepthPanel<'_> {
    (&cell.place.dataset, cell.place.network.is_convolutional(), cell.place.activation)
}

pub(super) fn series_of(cell: &Cell) -> Series {
    (cell.place.rule, cell.place.network)
}
