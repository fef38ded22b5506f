//! Validation accuracy by updates: a panel for each network and activation at its greatest depth, a colour and a marker for
//! each rule. Each mean over replicates has a band, or thin lines if there are only two replicates.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::results::views::CurveView;
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use super::shown::{Line, Shown, Updates, area, bands, has_band, marked, mean, thinned};
use crate::aggregate::Cell;
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::{Axis, Scale};
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::family::{self, Family};
use crate::figures::parts::intervals;
use crate::figures::parts::key::{Entry, Sample};
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::{Marker, colour_of, layers};
use crate::figures::scene::Stroke;
use crate::replicates::mean::Mean;

const COLUMNS_MAX: usize = 3;

/// The family, the network, and its depth.
type LearningPanel<'a> = (Family<'a>, Network, u32);

/// The curves of one rule in a panel, and their mean.
struct Curves {
    lines: Vec<Line>,
    mean: Vec<(u64, Mean)>,
}

/// Number of replicates that have no curve, because they diverged before the first evaluation.
#[derive(Clone, Copy)]
struct Lost(usize);

/// The figure with the curves of the settings that were chosen for `cells`; other curves are left out.
pub fn learning_curves(title: &str, cells: &[Cell], curves: &[CurveView], width: Width) -> Figure {
    let shown = Shown::of(cells, curves);
    let mut panels: BTreeMap<LearningPanel<'_>, BTreeMap<Rule, Curves>> = BTreeMap::new();
    let mut lost = Lost(0);
    for (Cell { place, diverged_in, .. }, curves) in &shown.cells {
        let panel = panels.entry((family::of(place), place.network, place.depth)).or_default();
        let lines: Vec<Line> =
            curves.iter().map(|&curve| Line::of_validation(curve)).filter(|line| !line.points.is_empty()).collect();
        let has_line = |replicate: &&(u64, u64)| lines.iter().any(|line| line.replicate == **replicate);
        lost.0 += diverged_in.iter().filter(|replicate| !has_line(replicate)).count();
        if !lines.is_empty() {
            panel.insert(place.rule, Curves { mean: mean(&lines), lines });
        }
    }
    let all = || panels.values().flat_map(BTreeMap::values);
    let rules: BTreeSet<Rule> = panels.values().flat_map(BTreeMap::keys).copied().collect();
    let mut chart = Chart::new(&shown.title(title), width, &key(rules, all(), lost));
    let points = || all().flat_map(|curves| &curves.lines).flat_map(|line| &line.points);
    let bands = all().map(|curves| &curves.mean).filter(|mean| has_band(mean)).flatten();
    let ends = bands.flat_map(|(_, mean)| intervals::ends(mean));
    let percents = Axis::percent(points().map(|&(_, accuracy)| accuracy).chain(ends), 6);
    let updates = Updates::to(points().map(|&(update, _)| update).max());
    let networks = panels.keys().map(|&(_, network, _)| network).collect::<BTreeSet<_>>().len();
    let columns_max = if networks > 1 { networks.min(4) } else { COLUMNS_MAX };
    let headings: Vec<Heading> = panels.keys().map(|&panel| heading(panel, panels.keys())).collect();
    let grid = Grid::over(&percents, columns_max);
    let mut rules_of_panels = panels.values();
    for frame in chart.frames(&headings, grid) {
        frame.y_axis(&mut chart.scene, &percents, "validation accuracy (%)");
        let rules = rules_of_panels.next().filter(|rules| !rules.is_empty());
        let ticks = if rules.is_some() { updates.ticks(frame) } else { Vec::new() };
        frame.x_axis(&mut chart.scene, &ticks, "updates");
        match rules {
            Some(rules) => draw(&mut Plot::new(&mut chart.scene, frame, &percents), rules, updates.scale),
            None => frame.explain(&mut chart.scene, "no trial with the chosen settings has a learning curve"),
        }
    }
    chart.finish()
}

fn key<'a>(rules: BTreeSet<Rule>, curves: impl Iterator<Item = &'a Curves> + Clone, lost: Lost) -> [Vec<Entry>; 2] {
    let is_mean = curves.clone().any(|curves| curves.lines.len() > 1);
    let has_lines = curves.clone().any(Curves::has_lines);
    let bands = bands(curves.clone().map(|curves| &curves.mean));
    let single = intervals::single(curves.flat_map(|curves| &curves.mean).map(|(_, mean)| mean));
    let entries = [
        (Sample::Thick, is_mean.then_some("mean of replicates")),
        (Sample::Thin, has_lines.then_some("one replicate")),
        (Sample::Band, bands.as_deref()),
    ];
    let entries = entries.into_iter().filter_map(|(sample, meaning)| Some(Entry::new(sample, meaning?)));
    [rules.into_iter().map(Entry::of_rule).collect(), entries.chain(single).chain(lost.note()).collect()]
}

impl Lost {
    fn note(self) -> Option<Entry> {
        let Self(count) = self;
        let replicates = if count == 1 { "replicate" } else { "replicates" };
        let text = format!("{count} {replicates} diverged before the first evaluation");
        (count > 0).then(|| Entry::new(Sample::None, &text))
    }
}

impl Curves {
    /// Whether each replicate has a line: there are several, but too few for a band.
    fn has_lines(&self) -> bool {
        self.lines.len() > 1 && !has_band(&self.mean)
    }
}

fn heading<'a>(
    (family, network, depth): LearningPanel<'a>,
    panels: impl Iterator<Item = &'a LearningPanel<'a>> + Clone,
) -> Heading {
    // The network tells whether it is convolutional.
    let kinds = panels.map(|&(other, ..)| Family { is_convolutional: family.is_convolutional, ..other });
    let Heading { dataset, text } = family::heading(family, kinds);
    Heading { dataset, text: format!("{text}, {network}, {}", layers(depth)) }
}

/// The curves of one panel; the means are on top.
fn draw(plot: &mut Plot<'_>, rules: &BTreeMap<Rule, Curves>, updates: Scale) {
    let at = |update: u64| updates.at(update as f64);
    for (&rule, curves) in rules {
        let colour = colour_of(rule);
        if has_band(&curves.mean) {
            plot.band(&area(&curves.mean, updates), colour);
        } else if curves.has_lines() {
            let thin = Stroke { opacity: 0.35, ..Stroke::solid(colour, 0.6) };
            for line in &curves.lines {
                let points = thinned(&line.points).into_iter().map(|(update, accuracy)| (at(update), accuracy));
                plot.curve(&points.collect::<Vec<_>>(), 0.0, thin);
            }
        }
    }
    for (i, (&rule, curves)) in rules.iter().enumerate() {
        let points: Vec<_> = thinned(&curves.mean).into_iter().map(|(update, mean)| (at(update), mean.mean)).collect();
        plot.curve(&points, 0.0, Stroke::solid(colour_of(rule), 1.3));
        for index in marked(points.len(), i, rules.len()) {
            plot.marker(points[index], 0.0, Marker::of(rule, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::samples::{cells, completed, curves, ended, paper, with};

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

    /// The bands that are not those of the key.
    fn bands(svg: &str) -> usize {
        svg.matches("fill-opacity").count() - svg.matches(">95 % interval").count()
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
        assert_eq!(bands(&svg), 4 * 3, "a band for each mean");
        assert!(svg.contains(">95 % interval, 3 folds<") && replicates(&svg) == 0, "{svg}");
    }

    #[test]
    fn two_replicates_have_a_line_each_and_no_band() {
        let results = paper(2);
        let svg = drawn("a sweep", &cells(&results), &curves(&results));
        assert_eq!((replicates(&svg), bands(&svg)), (4 * 3 * 2, 0));
        assert!(svg.contains(">one replicate<") && !svg.contains("interval"), "{svg}");
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
    fn the_key_counts_the_replicates_that_diverged_before_the_first_evaluation() {
        let of_fold = |fold, result| with(result, &[("fold", Value::Integer(fold))]);
        let mut results: Vec<_> = (0..3).map(|fold| of_fold(fold, completed("fa", "nn", 5, 0.8, 0.8))).collect();
        results.extend((3..6).map(|fold| of_fold(fold, ended("fa", "nn", 5, TrialStatus::Diverged))));
        let mut views = curves(&results);
        let svg = drawn("s", &cells(&results), &views);
        assert!(!svg.contains("before the first evaluation"), "all have a curve");
        views[3].points.clear();
        let svg = drawn("s", &cells(&results), &views);
        assert!(svg.contains(">1 replicate diverged before the first evaluation<"), "{svg}");
        views.truncate(4);
        let svg = drawn("s", &cells(&results), &views);
        assert!(svg.contains(">3 replicates diverged before the first evaluation<"), "{svg}");
        assert_eq!((means(&svg), bands(&svg)), (1, 1));
    }

    #[test]
    fn a_band_is_within_the_axis() {
        let of_fold = |fold, accuracy| with(completed("fa", "nn", 5, accuracy, 0.8), &[("fold", Value::Integer(fold))]);
        let results = [of_fold(0, 0.5), of_fold(1, 0.52), of_fold(2, 0.7)];
        let views = curves(&results);
        let shown = Line::of_validation(&views[2]).points;
        let highest = shown.iter().map(|&(_, accuracy)| accuracy).fold(0.0, f64::max);
        let svg = drawn("s", &cells(&results), &views);
        // The mean of these three and its interval go above the highest curve: t(2) is 4.3.
        let labels: Vec<f64> = svg.split('>').filter_map(|text| text.split('<').next()?.parse().ok()).collect();
        let most = labels.into_iter().filter(|&label| label <= 100.0).fold(0.0, f64::max);
        assert!(most >= 80.0 && highest < 0.7, "{most} {highest}");
    }

    #[test]
    fn one_replicate_each_says_so() {
        let svg = drawn("s", &cells(&paper(1)), &curves(&paper(1)));
        assert!(svg.contains(">one replicate each (n = 1)<"), "{svg}");
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
}
