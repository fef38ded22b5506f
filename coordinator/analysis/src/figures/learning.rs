//! Validation accuracy by updates: a panel for each network and activation at its greatest depth, a colour and a marker for
//! each rule, a thin line for each replicate and a thick one for their mean.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::views::CurveView;
use biosweep_common::rules::Rule;
use biosweep_common::settings::Level;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, Network};

use super::output::Figure;
use super::output::size::Width;
use super::parts::axis::{Percents, Scale, ticks};
use super::parts::chart::{Chart, Grid, Heading, y_axis_width};
use super::parts::key::{Entry, Sample};
use super::parts::plot::Plot;
use super::parts::style::{Marker, colour_of, layers};
use super::scene::Stroke;
use crate::aggregate::{Cell, Place};

/// Maximum points of a curve; more than a panel has pixels would only make the file larger.
const POINTS_MAX: usize = 300;
/// Number of markers on a curve, so that it is known without its colour.
const MARKERS: usize = 4;
const COLUMNS_MAX: usize = 3;
const PLOT_WIDTH_MIN: f64 = 84.0;
/// Space that a number at the horizontal axis needs, in points.
const TICK_WIDTH: f64 = 32.0;

type LearningPanel<'a> = (&'a DatasetRef, ActivationFunction, Network);
type Depths<'a> = BTreeMap<(&'a DatasetRef, ActivationFunction), u32>;
type Shown<'a> = BTreeMap<LearningPanel<'a>, BTreeMap<Rule, Vec<&'a CurveView>>>;

/// The figure with the curves of the settings that were chosen for `cells`; other curves are left out.
pub fn learning_curves(title: &str, cells: &[Cell], curves: &[CurveView], width: Width) -> Figure {
    let shown = shown(cells, curves);
    let points = || shown.values().flat_map(BTreeMap::values).flatten().flat_map(|curve| &curve.points);
    let deepest = deepest(cells);
    let is_part = cells.iter().any(|cell| !is_deepest(&deepest, &cell.place));
    let title = if is_part { format!("{title}: its deepest networks") } else { title.to_owned() };
    let mut chart = Chart::new(&title, width, &key(&shown));
    let percents = Percents::of(points().map(|point| point.validation_accuracy), 6);
    let last = points().map(|point| point.update).max().unwrap_or(1).max(1) as f64;
    let scale = Scale { low: 0.0, high: last * 1.02 };
    let networks = shown.keys().map(|&(_, _, network)| network).collect::<BTreeSet<_>>().len();
    let columns_max = if networks > 1 { networks.min(4) } else { COLUMNS_MAX };
    let left = y_axis_width(&percents);
    let headings: Vec<Heading> = shown.keys().map(|&panel| heading(&deepest, panel, &shown)).collect();
    let headings = if headings.is_empty() { vec![Heading::default()] } else { headings };
    let grid = Grid { columns_max, plot_width_min: PLOT_WIDTH_MIN, left, plot_height: None };
    let mut rules_of_panels = shown.values();
    for frame in chart.frames(&headings, grid) {
        frame.y_axis(&mut chart.scene, &percents, "validation accuracy (%)");
        let wanted = ((frame.width / TICK_WIDTH) as usize).clamp(2, 8);
        let marks: Vec<_> = ticks(0.0, last, wanted).into_iter().map(|tick| (scale.at(tick), short(tick))).collect();
        let rules = rules_of_panels.next().filter(|rules| !rules.is_empty());
        frame.x_axis(&mut chart.scene, if rules.is_some() { &marks } else { &[] }, "updates");
        match rules {
            Some(rules) => draw(&mut Plot::new(&mut chart.scene, frame, percents.scale), rules, scale),
            None => frame.explain(&mut chart.scene, "no trial with the chosen settings has a learning curve"),
        }
    }
    chart.finish()
}

fn key(shown: &Shown<'_>) -> [Vec<Entry>; 2] {
    let rules: BTreeSet<Rule> = shown.values().flat_map(BTreeMap::keys).copied().collect();
    let has_replicates = shown.values().flat_map(BTreeMap::values).any(|curves| curves.len() > 1);
    let lines = [Entry::new(Sample::Thick, "mean of replicates"), Entry::new(Sample::Thin, "one replicate")];
    [rules.into_iter().map(Entry::of_rule).collect(), if has_replicates { lines.into() } else { Vec::new() }]
}

fn heading(deepest: &Depths<'_>, (dataset, activation, network): LearningPanel<'_>, shown: &Shown<'_>) -> Heading {
    let has_datasets = shown.keys().any(|(other, ..)| *other != dataset);
    let depth = deepest.get(&(dataset, activation)).copied().unwrap_or(0);
    let text = format!("{activation}, {network}, {}", layers(depth));
    Heading { dataset: has_datasets.then(|| dataset.label()), text }
}

/// The curves of one panel; the means are on top.
fn draw(plot: &mut Plot<'_>, rules: &BTreeMap<Rule, Vec<&CurveView>>, scale: Scale) {
    let at = |(update, accuracy): (u64, f64)| (scale.at(update as f64), accuracy);
    for (&rule, curves) in rules.iter().filter(|(_, curves)| curves.len() > 1) {
        let thin = Stroke { opacity: 0.35, ..Stroke::solid(colour_of(rule), 0.6) };
        for curve in curves {
            let points: Vec<_> = thinned(&accuracies(&curve.points)).into_iter().map(at).collect();
            plot.curve(&points, 0.0, thin);
        }
    }
    for (i, (&rule, curves)) in rules.iter().enumerate() {
        let points: Vec<_> = thinned(&mean(curves)).into_iter().map(at).collect();
        plot.curve(&points, 0.0, Stroke::solid(colour_of(rule), 1.3));
        for index in marked(points.len(), i, rules.len()) {
            plot.marker(points[index], 0.0, Marker::of(rule, true));
        }
    }
}

/// The points of a curve that have a marker: evenly spaced, at other places for each of the `count` rules.
fn marked(points: usize, index: usize, count: usize) -> BTreeSet<usize> {
    let start = (index as f64 + 0.5) / count as f64;
    let position = |i: usize| ((i as f64 + start) / MARKERS as f64 * points as f64) as usize;
    (0..MARKERS).map(position).filter(|&position| position < points).collect()
}

/// The curves to draw, by panel and rule. A panel without curves is there, too.
fn shown<'a>(cells: &'a [Cell], curves: &'a [CurveView]) -> Shown<'a> {
    let deepest = deepest(cells);
    let by_place: BTreeMap<&Place, &Cell> = cells.iter().map(|cell| (&cell.place, cell)).collect();
    let mut shown: Shown<'a> = BTreeMap::new();
    for Cell { place, .. } in cells.iter().filter(|cell| is_deepest(&deepest, &cell.place)) {
        shown.entry((&place.dataset, place.activation, place.network)).or_default();
    }
    for curve in curves {
        let Some(place) = Place::of(&curve.point) else { continue };
        let Some(cell) = by_place.get(&place) else { continue };
        // Settings of the stopping rule do not belong to a curve, because the trials of a trajectory share it.
        let mut trained_with = cell.chosen.iter().filter(|(setting, _)| setting.level() != Level::Stop);
        let is_chosen = trained_with.all(|(setting, value)| curve.point.get(setting) == Some(value));
        if is_chosen && is_deepest(&deepest, &place) && !accuracies(&curve.points).is_empty() {
            let panel = shown.entry((&cell.place.dataset, place.activation, place.network)).or_default();
            panel.entry(place.rule).or_default().push(curve);
        }
    }
    shown
}

/// The greatest depth of each dataset and activation.
fn deepest(cells: &[Cell]) -> Depths<'_> {
    let mut deepest = Depths::new();
    for Cell { place, .. } in cells {
        let depth = deepest.entry((&place.dataset, place.activation)).or_default();
        *depth = place.depth.max(*depth);
    }
    deepest
}

fn is_deepest(deepest: &Depths<'_>, place: &Place) -> bool {
    deepest.get(&(&place.dataset, place.activation)) == Some(&place.depth)
}

/// The mean of some curves, up to the end of the shortest.
fn mean(curves: &[&CurveView]) -> Vec<(u64, f64)> {
    let mut sums: BTreeMap<u64, (usize, f64)> = BTreeMap::new();
    for (update, accuracy) in curves.iter().flat_map(|curve| accuracies(&curve.points)) {
        let (count, sum) = sums.entry(update).or_default();
        *count += 1;
        *sum += accuracy;
    }
    let by_all = sums.into_iter().filter(|(_, (count, _))| *count == curves.len());
    by_all.map(|(update, (count, sum))| (update, sum / count as f64)).collect()
}

/// The finite accuracies of a curve.
fn accuracies(points: &[CurvePoint]) -> Vec<(u64, f64)> {
    let numbers = points.iter().filter(|point| point.validation_accuracy.is_finite());
    numbers.map(|point| (point.update, point.validation_accuracy.clamp(0.0, 1.0))).collect()
}

/// At most [`POINTS_MAX`] of the points, evenly spaced, always with the last.
fn thinned(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let end = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|&(i, _)| i % every == 0 || i == end).map(|(_, &point)| point).collect()
}

/// A number of updates as text, such as `500`, `2k`, `1.5M`.
fn short(updates: f64) -> String {
    let rounded = |number: f64| (number * 1e3).round() / 1e3;
    match updates {
        ..1e3 => rounded(updates).to_string(),
        ..1e6 => format!("{}k", rounded(updates / 1e3)),
        _ => format!("{}M", rounded(updates / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::settings::Value;

    use super::*;
    use crate::samples::{cells, completed, curves, paper, with};

    fn drawn(title: &str, cells: &[Cell], curves: &[CurveView]) -> String {
        learning_curves(title, cells, curves, Width::PAGE).svg()
    }

    /// The lines of means that are not those of the key.
    fn means(svg: &str) -> usize {
        svg.matches("stroke-width=\"1.3\"").count() - svg.matches(">mean of replicates<").count()
    }

    /// The lines of replicates that are not those of the key.
    fn replicates(svg: &str) -> usize {
        svg.matches("stroke-opacity=\"0.35\"").count() - svg.matches(">one replicate<").count()
    }

    #[test]
    fn each_network_and_activation_has_a_panel_at_its_greatest_depth() {
        let results = paper(3);
        let svg = drawn("a sweep", &cells(&results), &curves(&results));
        for title in ["relu, nn, 10 hidden", "relu, dn, 10 hidden", "sigmoid, nn, 7 hidden", "sigmoid, dn, 7 hidden"] {
            assert!(svg.contains(title), "{title}");
        }
        assert!(
            !svg.contains("5 hidden") && !svg.contains("3 hidden") && svg.contains(">a sweep: its deepest networks<")
        );
        assert_eq!(means(&svg), 4 * 3, "a mean for each rule in each panel");
        assert_eq!(replicates(&svg), 4 * 3 * 3, "the replicates");
    }

    #[test]
    fn only_the_curves_of_the_chosen_settings_are_shown() {
        let tried =
            |rate, validation| with(completed("fa", "nn", 5, validation, 0.9), &[("learning_rate", Value::Real(rate))]);
        let results = [tried(1e-3, 0.8), tried(1e-4, 0.9), tried(1e-5, 0.7)];
        let svg = drawn("s", &cells(&results), &curves(&results));
        assert_eq!(means(&svg), 1);
        assert!(!svg.contains("deepest"), "there are no other depths");
        assert_eq!(replicates(&svg), 0, "a single replicate is its own mean");
    }

    #[test]
    fn a_single_evaluation_is_a_marker() {
        let results = [completed("fa", "nn", 5, 0.8, 0.8)];
        let mut views = curves(&results);
        let drawn = |views: &[CurveView]| drawn("s", &cells(&results), views);
        assert_eq!(means(&drawn(&views)), 1);
        views[0].points.truncate(1);
        let svg = drawn(&views);
        // One closed path is the marker in the key.
        assert_eq!((means(&svg), svg.matches(" Z\"").count()), (0, 1 + 1), "{svg}");
    }

    #[test]
    fn a_mean_ends_with_its_shortest_curve() {
        let mut views = curves(&paper(2)[..2]);
        views[1].points.truncate(4);
        let mean = mean(&views.iter().collect::<Vec<_>>());
        assert_eq!(mean.len(), 4);
        let both = (views[0].points[0].validation_accuracy + views[1].points[0].validation_accuracy) / 2.0;
        assert_eq!(mean[0], (390, both));
    }

    #[test]
    fn long_curves_are_thinned_to_the_visible_points() {
        let long: Vec<(u64, f64)> = (0..2_564).map(|i| (i, 0.5)).collect();
        let short = thinned(&long);
        assert!(short.len() <= POINTS_MAX + 1 && short.last() == long.last(), "{}", short.len());
        assert_eq!(thinned(&long[..100]), long[..100]);
    }

    #[test]
    fn no_curves_give_a_figure() {
        let svg = drawn("s", &[], &[]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        let svg = drawn("s", &cells(&paper(1)), &[]);
        assert!(svg.contains("has a learning curve<"), "{svg}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_left_out() {
        let results = [completed("fa", "nn", 5, 0.8, 0.8)];
        let mut views = curves(&results);
        views[0].points[3].validation_accuracy = f64::NAN;
        assert!(!drawn("s", &cells(&results), &views).contains("NaN"));
    }

    #[test]
    fn markers_of_two_rules_are_at_different_points() {
        let (first, second) = (marked(100, 0, 2), marked(100, 1, 2));
        assert_eq!((first.len(), second.len()), (MARKERS, MARKERS));
        assert!(first.is_disjoint(&second), "{first:?} {second:?}");
        assert_eq!(marked(1, 0, 3), [0].into());
    }

    #[test]
    fn numbers_of_updates_are_short() {
        assert_eq!([0.0, 0.6000000000000001, 500.0, 2_500.0, 1.5e6].map(short), ["0", "0.6", "500", "2.5k", "1.5M"]);
    }
}
