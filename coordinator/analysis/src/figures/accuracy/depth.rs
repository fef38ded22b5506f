//! Test accuracy by depth: a panel for each activation, a line for each rule on each network. Where these are too many lines, each
//! rule has a panel of its own.
//!
//! If every panel has a single depth, there are no lines, and the figure is that of `single`.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;

use super::groups::{Series, depths, of_family, series_of};
use super::lines::{self, Across, Panel};
use super::single;
use crate::aggregate::Cell;
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::chart::Heading;
use crate::figures::parts::family::{self, Family};

const COLUMNS_MAX: usize = 3;
/// Maximum lines of a panel.
const LINES_MAX: usize = 12;

/// The figure for the cells of an aggregate.
pub fn accuracy_by_depth(title: &str, cells: &[Cell], width: Width) -> Figure {
    let families: Vec<Family<'_>> =
        cells.iter().map(|cell| family::of(&cell.place)).collect::<BTreeSet<_>>().into_iter().collect();
    let is_by_depth = families.iter().any(|&family| depths(cells, family).len() > 1);
    if !is_by_depth && !cells.is_empty() {
        let series: Vec<Series> = cells.iter().map(series_of).collect::<BTreeSet<_>>().into_iter().collect();
        return single::accuracy(title, cells, (&families, &series), width);
    }
    let lines = |&family: &Family<'_>| of_family(cells, family).map(series_of).collect::<BTreeSet<_>>().len();
    let is_by_rule = families.iter().any(|family| lines(family) > LINES_MAX);
    let rule = |cell: &Cell| is_by_rule.then_some(cell.place.rule);
    // The families of a rule stand beside each other.
    let panels: BTreeSet<(Option<Rule>, Family<'_>)> =
        cells.iter().map(|cell| (rule(cell), family::of(&cell.place))).collect();
    let panels = panels.into_iter().map(|(wanted, family)| {
        let heading = family::heading(family, families.iter().copied());
        let text = wanted.map_or_else(|| heading.text.clone(), |rule| format!("{rule}, {}", heading.text));
        let cells = of_family(cells, family).filter(|cell| rule(cell) == wanted);
        Panel {
            heading: Heading { text, ..heading },
            cells: cells.map(|cell| (f64::from(cell.place.depth), cell)).collect(),
        }
    });
    let across = Across { label: "hidden layers", is_log: false, number: |depth| depth.to_string() };
    lines::figure(title, &panels.collect::<Vec<_>>(), across, COLUMNS_MAX, width)
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use biosweep_common::rules::Rule;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::samples::{cells, completed, ended, paper, with};

    fn drawn(title: &str, cells: &[Cell]) -> String {
        accuracy_by_depth(title, cells, Width::PAGE).svg()
    }

    #[test]
    fn every_cell_has_a_marker_every_spread_an_error_bar_and_every_line_a_path() {
        let svg = drawn("a sweep", &cells(&paper(3)));
        // 8 cells and the key for bp, and one circle in the key for each network.
        assert_eq!(svg.matches("<circle").count(), 8 + 1 + 2);
        // 24 closed markers of 3 rules: 8 circles, and 16 paths. One more path for each of two rules in the key.
        assert_eq!(svg.matches(" Z\"").count(), 16 + 2);
        // 24 cells and the key, with three lines each.
        assert_eq!(svg.matches("stroke-opacity=\"0.7\"").count(), 3 * (24 + 1));
        // 2 activations with 6 lines each, and one dashed line in the key.
        assert_eq!(svg.matches("stroke-dasharray").count(), 2 * 3 + 1);
        assert!(svg.contains(">relu<") && svg.contains(">sigmoid<") && svg.contains("dn (dense)"));
    }

    #[test]
    fn where_lines_are_too_many_each_rule_has_a_panel() {
        let of_all = |rules: &[&str]| -> Vec<ResultView> {
            let networks = ["nn", "readout", "residual", "dn"];
            let all = rules.iter().flat_map(|rule| networks.map(|network| (*rule, network)));
            all.flat_map(|(rule, network)| [3, 10].map(|depth| completed(rule, network, depth, 0.9, 0.9))).collect()
        };
        let few = drawn("s", &cells(&of_all(&["bp", "fa", "kp"])));
        assert!(few.contains(">relu<") && !few.contains(">fa, relu<"), "{few}");
        let many = drawn("s", &cells(&of_all(&["bp", "fa", "kp", "dtp"])));
        assert!(!many.contains(">relu<") && many.contains(">fa, relu<") && many.contains(">dtp, relu<"), "{many}");
    }

    #[test]
    fn ticks_that_are_too_close_have_no_labels() {
        let of_depth = |depth| completed("bp", "nn", depth, 0.9, 0.9);
        let svg = drawn("s", &cells(&[1, 2, 40, 41].map(of_depth)));
        assert!(svg.contains(">1<") && svg.contains(">40<") && !svg.contains(">41<"), "{svg}");
    }

    #[test]
    fn the_same_cells_give_the_same_figure() {
        assert_eq!(drawn("s", &cells(&paper(2))), drawn("s", &cells(&paper(2))));
    }

    #[test]
    fn a_single_depth_gives_dots_with_their_accuracies() {
        let svg = drawn("s", &cells(&[completed("bp", "nn", 5, 0.9, 0.912), completed("fa", "nn", 5, 0.9, 0.8)]));
        assert!(svg.contains("relu, 5 hidden layers") && svg.contains(">91.2<") && svg.contains(">80.0<"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "bp");
        assert_eq!(svg.matches(" Z\"").count(), 1, "fa");
    }

    #[test]
    fn a_cell_without_accuracy_has_a_cross_that_the_key_explains() {
        let sound = [completed("bp", "nn", 5, 0.9, 0.912), completed("bp", "nn", 10, 0.9, 0.9)];
        let crosses = |status| {
            let [first, second] = sound.clone();
            let svg = drawn("s", &cells(&[first, second, ended("fa", "nn", 10, status)]));
            (svg.matches(Rule::Fa.descriptor().colour).count(), svg)
        };
        let (strokes, diverged) = crosses(TrialStatus::Diverged);
        assert_eq!(strokes, 1 + 2 + 2, "line and marker in the key, and one cross");
        let explained = ">no replicate completed<";
        assert!(diverged.contains(explained), "{diverged}");
        assert!(crosses(TrialStatus::Failed).1.contains(explained));
        assert!(!drawn("s", &cells(&sound)).contains(explained));
    }

    #[test]
    fn a_cell_with_missing_replicates_has_a_diamond() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let sound = |rule, depth| (0..6).map(move |index| fold(completed(rule, "nn", depth, 0.9, 0.9), index));
        let whole: Vec<_> = sound("bp", 5).chain(sound("bp", 10)).chain(sound("fa", 5)).collect();
        let picture = |more: Vec<ResultView>| drawn("s", &cells(&[whole.clone(), more].concat()));
        let diamonds = |svg: &str| svg.matches("fill=\"none\" stroke=\"#d55e00\" stroke-width=\"0.9\"").count();
        assert_eq!(diamonds(&picture(sound("fa", 10).collect())), 0);
        let diverged = (1..6).map(|index| fold(ended("fa", "nn", 10, TrialStatus::Diverged), index));
        let survivor = || fold(completed("fa", "nn", 10, 0.9, 0.9), 0);
        for few in [std::iter::once(survivor()).chain(diverged).collect(), vec![survivor()]] {
            let svg = picture(few);
            assert_eq!(diamonds(&svg), 1, "{svg}");
            assert!(svg.contains(">n = 1<") && svg.contains("only n replicates completed"), "{svg}");
        }
    }

    #[test]
    fn a_sweep_without_completed_trials_gives_a_figure() {
        let nothing = drawn("s", &[]);
        assert!(nothing.contains(">no trial has ended yet<"), "{nothing}");
        let diverged = [5, 10].map(|depth| ended("bp", "nn", depth, TrialStatus::Diverged));
        let by_depth = drawn("s", &cells(&diverged));
        assert!(by_depth.contains(">no trial completed: 2 diverged, 0 failed<"), "{by_depth}");
        let single = drawn("s", &cells(&diverged[..1]));
        assert!(single.contains(">diverged<"), "{single}");
        for svg in [nothing, by_depth, single] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
