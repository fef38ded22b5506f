//! Test accuracy by learning rate: a panel for each activation and depth, a line for each rule on each network.
//!
//! A point is the best candidate at this learning rate by validation, if other tuning settings differ, too.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value, short_real};

use super::lines::{self, Across, Panel};
use crate::aggregate::{self, Cell};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::family::{self, Family};
use crate::figures::parts::style::layers;
use crate::replicates::{Divergence, Replicates};

/// Maximum depths of a network that have a panel.
const DEPTHS_MAX: usize = 4;

/// The figure for these results. Of many depths some are shown, with the least and the greatest; the title says so.
pub fn accuracy_by_learning_rate(title: &str, replicates: &Replicates, width: Width) -> Figure {
    let cells: Vec<(f64, Cell)> =
        replicates.values(Setting::LearningRate).into_iter().flat_map(|rate| at(replicates, rate)).collect();
    let mut depths: BTreeMap<Family<'_>, BTreeSet<u32>> = BTreeMap::new();
    for (_, cell) in &cells {
        depths.entry(family::of(&cell.place)).or_default().insert(cell.place.depth);
    }
    let kinds: Vec<Family<'_>> = depths.keys().copied().collect();
    let mut panels = Vec::new();
    let (mut all, mut columns) = (0, 1);
    for (kind, of_kind) in &depths {
        let shown = some(of_kind);
        (all, columns) = (all + of_kind.len(), columns.max(shown.len()));
        for depth in shown {
            let mut heading = family::heading(*kind, kinds.iter().copied());
            heading.text += &format!(", {}", layers(depth));
            let of_panel =
                cells.iter().filter(|(_, cell)| family::of(&cell.place) == *kind && cell.place.depth == depth);
            panels.push(Panel { heading, cells: of_panel.map(|(rate, cell)| (*rate, cell)).collect() });
        }
    }
    let is_part = panels.len() < all;
    let title = if is_part { format!("{title}: {} of {all} depths", panels.len()) } else { title.to_owned() };
    let across = Across { label: "learning rate", is_log: true, number: short_real };
    lines::figure(&title, &panels, across, columns, width)
}

/// The cells at one learning rate.
fn at(replicates: &Replicates, rate: Value) -> Vec<(f64, Cell)> {
    let Value::Real(number) = rate else { return Vec::new() };
    let of_rate = replicates.clone().filtered(&Point::from([(Setting::LearningRate, rate)]));
    aggregate::cells(&of_rate, Divergence::Guess).into_iter().map(|cell| (number, cell)).collect()
}

/// At most [`DEPTHS_MAX`] depths, evenly chosen.
fn some(depths: &BTreeSet<u32>) -> Vec<u32> {
    let depths: Vec<u32> = depths.iter().copied().collect();
    let last = depths.len().saturating_sub(1);
    if last < DEPTHS_MAX {
        return depths;
    }
    (0..DEPTHS_MAX).map(|i| depths[(i * last + (DEPTHS_MAX - 1) / 2) / (DEPTHS_MAX - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::views::ResultView;

    use super::*;
    use crate::samples::{completed, with};

    fn tried(depth: u64, rate: f64) -> ResultView {
        with(completed("fa", "nn", depth, 0.8, 0.8), &[("learning_rate", Value::Real(rate))])
    }

    fn drawn(results: &[ResultView]) -> String {
        let replicates = Replicates::of(results).expect("known counts");
        accuracy_by_learning_rate("s", &replicates, Width::PAGE).svg()
    }

    #[test]
    fn each_depth_has_a_panel_with_its_learning_rates() {
        let svg = drawn(&[tried(5, 1e-3), tried(5, 1e-4), tried(7, 1e-3), tried(7, 1e-4)]);
        for text in ["relu, 5 hidden layers", "relu, 7 hidden layers", ">0.001<", ">0.0001<", ">learning rate<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn a_line_goes_from_the_least_to_the_greatest_learning_rate() {
        let svg = drawn(&[tried(5, 1e-3), tried(5, 1e-2), tried(5, 1e-4)]);
        let line = svg.lines().find(|line| line.contains("stroke-width=\"1.1\"")).expect("a line");
        let path = line.split('"').nth(1).expect("its points");
        let at: Vec<f64> =
            path.split(['M', 'L']).filter_map(|point| point.split_whitespace().next()?.parse().ok()).collect();
        assert!(at.len() == 3 && at.is_sorted(), "{at:?}");
    }

    #[test]
    fn of_many_depths_some_are_shown_and_the_title_says_so() {
        let results: Vec<ResultView> = (1..=30).map(|depth| tried(depth, 1e-3)).collect();
        let svg = drawn(&results);
        assert!(svg.contains(">s: 4 of 30 depths<") && svg.contains("1 hidden layer<"), "{svg}");
        assert!(svg.contains("30 hidden layers<"), "{svg}");
        assert_eq!(some(&(5..=10).collect()), [5, 7, 8, 10]);
        assert_eq!(some(&[3, 7].into()), [3, 7]);
    }

    #[test]
    fn no_results_give_a_figure() {
        assert!(drawn(&[]).contains(">no trial has ended yet<"));
    }
}
