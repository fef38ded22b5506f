//! The cells of a figure: by panel and by line, and the marks that they need.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use crate::aggregate::{Cell, uneven};
use crate::figures::parts::family::{self, Family};
use crate::figures::parts::intervals;
use crate::figures::parts::key::{Entry, Sample};

pub(super) type Series = (Rule, Network);

/// The accuracies that an axis must show: means with the ends of their error bars.
pub(super) fn ends(cells: &[&Cell]) -> impl Iterator<Item = f64> {
    cells.iter().filter_map(|cell| cell.test).flat_map(|test| intervals::ends(&test))
}

/// The entries of the key for the marks that occur: error bars, crosses and diamonds, which mean `diamond`. Without error
/// bars because there is one replicate each, it says so.
pub(super) fn marks(cells: &[&Cell], diamond: &str) -> Vec<Entry> {
    let means = || cells.iter().filter_map(|cell| cell.test.as_ref());
    let bars = intervals::meaning(means());
    let cross = cells.iter().any(|cell| is_cross(cell)).then_some("no replicate completed");
    let most = uneven(cells.iter().copied()).unwrap_or(0);
    let diamond = cells.iter().any(|cell| is_partial(cell, most)).then_some(diamond);
    let entries = [(Sample::Bar, bars.as_deref()), (Sample::Cross, cross), (Sample::Diamond, diamond)];
    let entries = entries.into_iter().filter_map(|(sample, meaning)| Some(Entry::new(sample, meaning?)));
    entries.chain(intervals::single(means())).collect()
}

/// Whether a cell is a cross: no replicate completed. It stands at the accuracy of a guess if one diverged.
pub(super) fn is_cross(cell: &Cell) -> bool {
    cell.completed == 0
}

/// Why a panel with these cells has no accuracy; `None` if it has one.
pub(super) fn empty<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<String> {
    let (mut diverged, mut failed) = (0, 0);
    for cell in cells {
        if !is_cross(cell) {
            return None;
        }
        diverged += cell.diverged;
        failed += cell.failed;
    }
    Some(format!("no trial completed: {diverged} diverged, {failed} failed"))
}

/// Whether a mean has fewer replicates than others: some diverged, failed or have not ended.
pub(super) fn is_partial(cell: &Cell, most: u64) -> bool {
    let lacking = |count: u64| cell.diverged + cell.missing > 0 || count < most;
    !is_cross(cell) && cell.test.is_some_and(|test| lacking(test.count))
}

pub(super) fn of_family<'a>(cells: &'a [Cell], wanted: Family<'a>) -> impl Iterator<Item = &'a Cell> {
    cells.iter().filter(move |cell| family::of(&cell.place) == wanted)
}

pub(super) fn of_line<'a>(cells: &'a [Cell], panel: Family<'a>, series: Series) -> impl Iterator<Item = &'a Cell> {
    of_family(cells, panel).filter(move |cell| series_of(cell) == series)
}

pub(super) fn depths(cells: &[Cell], panel: Family<'_>) -> BTreeSet<u32> {
    of_family(cells, panel).map(|cell| cell.place.depth).collect()
}

pub(super) fn series_of(cell: &Cell) -> Series {
    (cell.place.rule, cell.place.network)
}
