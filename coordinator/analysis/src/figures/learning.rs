//! Validation accuracy by updates: a panel for each network and activation at its greatest depth, a colour for each
//! rule, a thin line for each replicate and a thick one for their mean.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::views::CurveView;
use biosweep_common::rules::Rule;
use biosweep_common::settings::Level;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, Network};

use super::chart::{Chart, Marks, Panel, Scale, ticks};
use super::layers;
use super::svg::Stroke;
use crate::aggregate::{Cell, Place};

/// Maximum points of a curve; more than a panel has pixels would only make the file larger.
const POINTS_MAX: usize = 300;

type LearningPanel<'a> = (&'a DatasetRef, ActivationFunction, Network);

/// The figure as SVG text, with the curves of the settings that were chosen for `cells`; other curves are left out.
pub fn learning_curves(title: &str, cells: &[Cell], curves: &[CurveView]) -> String {
    let shown = shown(cells, curves);
    let points = || shown.values().flat_map(BTreeMap::values).flatten().flat_map(|curve| &curve.points);
    let networks: BTreeSet<Network> = shown.keys().map(|&(_, _, network)| network).collect();
    let columns = if networks.len() > 1 { networks.len().min(4) } else { 3 };
    let is_part =
        cells.iter().any(|cell| deepest(cells, (&cell.place.dataset, cell.place.activation)) > Some(cell.place.depth));
    let title = if is_part { format!("{title}: its deepest networks") } else { title.to_owned() };
    let mut chart = Chart::new(&title, shown.len(), columns, points().map(|point| point.validation_accuracy));
    chart.key(&shown.values().flat_map(BTreeMap::keys).copied().collect(), &BTreeSet::new(), Marks::default());
    let last = points().map(|point| point.update).max().unwrap_or(1) as f64;
    let scale = Scale { low: 0.0, high: last * 1.02 };
    let datasets = shown.keys().map(|(dataset, ..)| dataset).collect::<BTreeSet<_>>().len();
    for (index, (&(dataset, activation, network), rules)) in shown.iter().enumerate() {
        let depth = deepest(cells, (dataset, activation)).unwrap_or(0);
        let dataset = if datasets > 1 { format!("{}, ", dataset.label()) } else { String::new() };
        let title = format!("{dataset}{activation}, {network}, {}", layers(depth));
        let x_marks = ticks(0.0, last, 4).into_iter().map(|tick| (scale.at(tick), short(tick))).collect();
        let mut plot = chart.panel(&Panel { index, title: &title, x_label: "updates", x_marks }, "validation accuracy");
        let at = |(update, accuracy): (u64, f64)| (scale.at(update as f64), accuracy);
        for (&rule, curves) in rules {
            let thin = Stroke { opacity: 0.3, ..Stroke::solid(rule.descriptor().colour, 1.0) };
            if curves.len() > 1 {
                for curve in curves {
                    let points: Vec<_> = thinned(&accuracies(&curve.points)).into_iter().map(at).collect();
                    plot.curve(&points, 0.0, thin);
                }
            }
        }
        for (&rule, curves) in rules {
            let points: Vec<_> = thinned(&mean(curves)).into_iter().map(at).collect();
            plot.curve(&points, 0.0, Stroke::solid(rule.descriptor().colour, 2.2));
        }
    }
    chart.finish()
}

/// The curves to draw, by panel and rule.
fn shown<'a>(
    cells: &'a [Cell],
    curves: &'a [CurveView],
) -> BTreeMap<LearningPanel<'a>, BTreeMap<Rule, Vec<&'a CurveView>>> {
    let mut shown: BTreeMap<LearningPanel<'_>, BTreeMap<Rule, Vec<&CurveView>>> = BTreeMap::new();
    for curve in curves {
        let Some(place) = Place::of(&curve.point) else { continue };
        let Some(cell) = cells.iter().find(|cell| cell.place == place) else { continue };
        // Settings of the stopping rule do not belong to a curve, because the trials of a trajectory share it.
        let mut trained_with = cell.chosen.iter().filter(|(setting, _)| setting.level() != Level::Stop);
        let is_chosen = trained_with.all(|(setting, value)| curve.point.get(setting) == Some(value));
        let is_deepest = deepest(cells, (&place.dataset, place.activation)) == Some(place.depth);
        if is_chosen && is_deepest && !curve.points.is_empty() {
            let panel = shown.entry((&cell.place.dataset, place.activation, place.network)).or_default();
            panel.entry(place.rule).or_default().push(curve);
        }
    }
    shown
}

fn deepest(cells: &[Cell], (dataset, activation): (&DatasetRef, ActivationFunction)) -> Option<u32> {
    let of_panel = cells.iter().filter(|cell| (&cell.place.dataset, cell.place.activation) == (dataset, activation));
    of_panel.map(|cell| cell.place.depth).max()
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

fn accuracies(points: &[CurvePoint]) -> Vec<(u64, f64)> {
    points.iter().map(|point| (point.update, point.validation_accuracy)).collect()
}

/// At most [`POINTS_MAX`] of the points, evenly spaced, always with the last.
fn thinned(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let end = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|&(i, _)| i % every == 0 || i == end).map(|(_, &point)| point).collect()
}

/// A number of updates as text, such as `500`, `2k`, `1.5M`.
fn short(updates: f64) -> String {
    match updates {
        ..1e3 => updates.to_string(),
        ..1e6 => format!("{}k", updates / 1e3),
        _ => format!("{}M", updates / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::settings::Value;

    use super::*;
    use crate::samples::{cells, completed, curves, paper, with};

    #[test]
    fn each_network_and_activation_has_a_panel_at_its_greatest_depth() {
        let results = paper(3);
        let svg = learning_curves("a sweep", &cells(&results), &curves(&results));
        for title in ["relu, nn, 10 hidden", "relu, dn, 10 hidden", "sigmoid, nn, 7 hidden", "sigmoid, dn, 7 hidden"] {
            assert!(svg.contains(title), "{title}");
        }
        assert!(
            !svg.contains("5 hidden") && !svg.contains("3 hidden") && svg.contains(">a sweep: its deepest networks<")
        );
        assert_eq!(svg.matches("stroke-width=\"2.2\"").count(), 4 * 3, "a mean for each rule in each panel");
        assert_eq!(svg.matches("stroke-opacity=\"0.3\"").count(), 4 * 3 * 3, "the replicates");
    }

    #[test]
    fn only_the_curves_of_the_chosen_settings_are_shown() {
        let tried =
            |rate, validation| with(completed("fa", "nn", 5, validation, 0.9), &[("learning_rate", Value::Real(rate))]);
        let results = [tried(1e-3, 0.8), tried(1e-4, 0.9), tried(1e-5, 0.7)];
        let svg = learning_curves("s", &cells(&results), &curves(&results));
        assert_eq!(svg.matches("stroke-width=\"2.2\"").count(), 1);
        assert!(!svg.contains("deepest"), "there are no other depths");
        assert_eq!(svg.matches("stroke-opacity=\"0.3\"").count(), 0, "a single replicate is its own mean");
    }

    #[test]
    fn a_single_evaluation_is_a_dot() {
        let results = [completed("fa", "nn", 5, 0.8, 0.8)];
        let mut views = curves(&results);
        let dots = |views: &[CurveView]| learning_curves("s", &cells(&results), views).matches("<circle").count();
        assert_eq!(dots(&views), 0);
        views[0].points.truncate(1);
        assert_eq!(dots(&views), 1);
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
        let svg = learning_curves("s", &[], &[]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }
}
