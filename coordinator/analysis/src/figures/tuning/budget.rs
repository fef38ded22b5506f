//! The test accuracy that a tuning budget gives: the best of k random settings by validation. A panel for each activation at
//! its greatest depth, a line for each rule on each network.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use crate::aggregate::Place;
use crate::axes::sensitivity::Spread;
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::{Axis, Scale, ticks};
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::family::{self, Family};
use crate::figures::parts::intervals::{self, ends};
use crate::figures::parts::key::{self, Entry, Sample};
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::{Connectivity, Marker, colour_of, layers};
use crate::figures::scene::Stroke;

const COLUMNS_MAX: usize = 3;
/// Maximum budgets that have a marker.
const MARKED_MAX: usize = 20;

/// A panel: the family of networks, and the depth.
type BudgetPanel<'a> = (Family<'a>, u32);

/// The figure for the spreads of places.
pub fn tuning_budget(title: &str, spreads: &[(Place, Spread)], width: Width) -> Figure {
    let deepest = deepest(spreads);
    let is_deepest = |place: &Place| deepest.get(&family::of(place)) == Some(&place.depth);
    let shown: Vec<&(Place, Spread)> = spreads.iter().filter(|(place, _)| is_deepest(place)).collect();
    let title = if shown.len() < spreads.len() { format!("{title}: its deepest networks") } else { title.to_owned() };
    let panels: Vec<BudgetPanel<'_>> =
        shown.iter().map(|(place, _)| panel_of(place)).collect::<BTreeSet<_>>().into_iter().collect();
    let budgets = || shown.iter().flat_map(|(_, spread)| &spread.expected_best);
    let percents = Axis::percent(budgets().flat_map(ends), 6);
    let mut chart = Chart::new(&title, width, &entries(&shown));
    let headings: Vec<Heading> = panels.iter().map(|&panel| heading(panel, &panels)).collect();
    let grid = Grid::over(&percents, COLUMNS_MAX);
    for (index, frame) in chart.frames(&headings, grid).into_iter().enumerate() {
        let of_panel: Vec<_> = shown.iter().filter(|(place, _)| panels.get(index) == Some(&panel_of(place))).collect();
        let most = of_panel.iter().map(|(_, spread)| spread.expected_best.len()).max().unwrap_or(0);
        let room = 0.05 * most as f64;
        let across = Scale::linear(1.0 - room - 0.1, most.max(1) as f64 + room + 0.1);
        let whole = ticks(1.0, most as f64, 6).into_iter().filter(|tick| tick.fract() == 0.0);
        let marks: Vec<_> = whole.map(|tick| (across.at(tick), tick.to_string())).collect();
        frame.y_axis(&mut chart.scene, &percents, "test accuracy (%)");
        frame.x_axis(&mut chart.scene, if most > 1 { &marks } else { &[] }, "settings tried");
        match most {
            0 => frame.explain(&mut chart.scene, "no trial has an accuracy"),
            1 => frame.explain(&mut chart.scene, "there is one setting, so there is nothing to tune"),
            _ => lines(&mut Plot::new(&mut chart.scene, frame, &percents), &of_panel, across),
        }
    }
    chart.finish()
}

fn lines(plot: &mut Plot<'_>, of_panel: &[&&(Place, Spread)], across: Scale) {
    let at = |index: usize| across.at(index as f64 + 1.0);
    for (place, spread) in of_panel {
        if spread.expected_best.iter().any(|mean| mean.half_width.is_some()) {
            let means = spread.expected_best.iter().enumerate().map(|(i, mean)| (at(i), mean));
            plot.band(&intervals::area(means), colour_of(place.rule));
        }
    }
    for (place, spread) in of_panel {
        let connectivity = Connectivity::of(place.network);
        let points: Vec<(f64, f64)> =
            spread.expected_best.iter().enumerate().map(|(i, mean)| (at(i), mean.mean)).collect();
        let stroke = Stroke { dashes: connectivity.dashes(), ..Stroke::solid(colour_of(place.rule), 1.1) };
        plot.curve(&points, 0.0, stroke);
        if points.len() <= MARKED_MAX {
            let marker = Marker::of(place.rule, connectivity.has_full_markers());
            points.into_iter().for_each(|point| plot.marker(point, 0.0, marker));
        }
    }
}

fn panel_of(place: &Place) -> BudgetPanel<'_> {
    (family::of(place), place.depth)
}

/// The greatest depth of each family.
fn deepest(spreads: &[(Place, Spread)]) -> BTreeMap<Family<'_>, u32> {
    let mut deepest = BTreeMap::new();
    for (place, _) in spreads {
        let depth: &mut u32 = deepest.entry(family::of(place)).or_default();
        *depth = place.depth.max(*depth);
    }
    deepest
}

fn heading((family, depth): BudgetPanel<'_>, panels: &[BudgetPanel<'_>]) -> Heading {
    let heading = family::heading(family, panels.iter().map(|&(family, _)| family));
    Heading { text: format!("{}, {}", heading.text, layers(depth)), ..heading }
}

fn entries(shown: &[&(Place, Spread)]) -> [Vec<Entry>; 3] {
    let rules: BTreeSet<Rule> = shown.iter().map(|(place, _)| place.rule).collect();
    let networks: BTreeSet<Network> = shown.iter().map(|(place, _)| place.network).collect();
    let drawn = || shown.iter().map(|(_, spread)| spread).filter(|spread| spread.expected_best.len() > 1);
    let means = || drawn().flat_map(|spread| &spread.expected_best);
    let band = intervals::meaning(means()).map(|meaning| Entry::new(Sample::Band, &meaning));
    let diverged = key::diverged(drawn().map(|spread| spread.diverged).sum());
    [
        rules.into_iter().map(Entry::of_rule).collect(),
        networks.into_iter().map(Entry::of_network).collect(),
        band.into_iter().chain(diverged).chain(intervals::single(means())).collect(),
    ]
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::axes::sensitivity::spreads;
    use crate::replicates::Replicates;
    use crate::samples::{completed, paper, with};

    fn drawn(results: &[ResultView]) -> String {
        tuning_budget("s", &spreads(&Replicates::of(results).expect("known counts")), Width::PAGE).svg()
    }

    fn tried(network: &str, rate: f64, fold: u64, accuracy: f64) -> ResultView {
        let settings = [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
        with(completed("fa", network, 5, accuracy, accuracy), &settings)
    }

    #[test]
    fn each_rule_and_network_has_a_line_over_its_budgets() {
        let mut results = Vec::new();
        for fold in 0..3 {
            for (rate, accuracy) in [(0.1, 0.4), (0.01, 0.7), (0.001, 0.9)] {
                results.extend(["nn", "dn"].map(|network| tried(network, rate, fold, accuracy + 0.01 * fold as f64)));
            }
        }
        let svg = drawn(&results);
        assert_eq!(svg.matches("stroke-width=\"1.1\"").count(), 2, "{svg}");
        assert_eq!(svg.matches("fill-opacity").count(), 2 + 1);
        for text in [">1<", ">3<", ">settings tried<", ">95 % interval, 3 folds<", "relu, 5 hidden layers"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn the_key_counts_the_settings_that_diverged() {
        let mut results = vec![tried("nn", 0.1, 0, 0.4), tried("nn", 0.01, 0, 0.7), tried("nn", 0.001, 0, 0.7)];
        for result in &mut results[1..] {
            (result.status, result.score) = (TrialStatus::Diverged, None);
        }
        let svg = drawn(&results);
        assert!(svg.contains(">2 settings diverged in some replicate, which counts as a guess<"), "{svg}");
        assert!(svg.contains(">one replicate each (n = 1)<"), "{svg}");
    }

    #[test]
    fn one_setting_leaves_nothing_to_tune() {
        let svg = drawn(&paper(2));
        assert!(svg.contains("nothing to tune") && !svg.contains("interval"), "{svg}");
        assert!(svg.contains(">s: its deepest networks<"), "{svg}");
        assert!(drawn(&[]).contains(">no trial has an accuracy<"));
    }
}
