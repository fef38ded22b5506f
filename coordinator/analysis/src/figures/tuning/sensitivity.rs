//! The test accuracies of all settings, sorted: a panel for each rule and activation, a line for each network (the paper's
//! Figure 2). A high and flat line needs little tuning.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use crate::aggregate::Place;
use crate::axes::sensitivity::Sorted;
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::{Axis, Scale};
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::family::{self, Family};
use crate::figures::parts::intervals::{self, ends};
use crate::figures::parts::key::{self, Entry, Sample};
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::{Connectivity, Marker, RADIUS, colour_of};
use crate::figures::scene::Stroke;
use crate::replicates::mean::Mean;

const COLUMNS_MAX: usize = 3;
/// Maximum settings whose points have markers.
const MARKED_MAX: usize = 20;
/// Space between the points and the edges of a panel, as a share of its width.
const ROOM: f64 = 0.05;

/// A panel: the family of networks, and the rule.
type Panel<'a> = (Family<'a>, Rule);

/// The figure for these settings. The horizontal axis is the share of settings with a lower accuracy.
pub fn sensitivity(title: &str, sorted: &[Sorted], width: Width) -> Figure {
    let panels: Vec<Panel<'_>> = sorted.iter().map(panel_of).collect::<BTreeSet<_>>().into_iter().collect();
    let tests = || sorted.iter().flat_map(|one| &one.tests);
    let percents = Axis::percent(tests().flat_map(ends), 6);
    let mut chart = Chart::new(title, width, &entries(sorted));
    let headings: Vec<Heading> = panels.iter().map(|&panel| heading(panel, &panels)).collect();
    let grid = Grid::over(&percents, COLUMNS_MAX);
    let across = Scale::linear(-ROOM, 1.0 + ROOM);
    let ticks = [0.0, 0.5, 1.0].map(|share| (across.at(share), format!("{}", share * 100.0)));
    for (index, frame) in chart.frames(&headings, grid).into_iter().enumerate() {
        frame.y_axis(&mut chart.scene, &percents, "test accuracy (%)");
        frame.x_axis(&mut chart.scene, &ticks, "settings, sorted (%)");
        let of_panel: Vec<&Sorted> = sorted.iter().filter(|one| panels.get(index) == Some(&panel_of(one))).collect();
        if of_panel.iter().all(|one| one.tests.is_empty()) {
            frame.explain(&mut chart.scene, "no trial has an accuracy");
        }
        let mut plot = Plot::new(&mut chart.scene, frame, &percents);
        for one in of_panel.iter().filter(|one| one.tests.iter().any(|test| test.half_width.is_some())) {
            plot.band(&intervals::area(points(one, across)), colour_of(one.place.rule));
        }
        for one in of_panel {
            line(&mut plot, &points(one, across).collect::<Vec<_>>(), &one.place);
        }
    }
    chart.finish()
}

/// One line over its band.
fn line(plot: &mut Plot<'_>, points: &[(f64, &Mean)], place: &Place) {
    let (colour, connectivity) = (colour_of(place.rule), Connectivity::of(place.network));
    let means: Vec<(f64, f64)> = points.iter().map(|&(x, test)| (x, test.mean)).collect();
    plot.curve(&means, 0.0, Stroke { dashes: connectivity.dashes(), ..Stroke::solid(colour, 1.2) });
    if means.len() <= MARKED_MAX {
        let marker = Marker { radius: 0.8 * RADIUS, ..Marker::of(place.rule, connectivity.has_full_markers()) };
        means.into_iter().for_each(|point| plot.marker(point, 0.0, marker));
    }
}

/// The accuracies with their horizontal positions. A single setting is in the middle.
fn points(sorted: &Sorted, across: Scale) -> impl Iterator<Item = (f64, &Mean)> {
    let tests = if sorted.settings == 1 { &sorted.tests[..sorted.tests.len().min(1)] } else { &sorted.tests };
    let last = tests.len().saturating_sub(1);
    let share = move |i: usize| if last == 0 { 0.5 } else { i as f64 / last as f64 };
    tests.iter().enumerate().map(move |(i, test)| (across.at(share(i)), test))
}

fn panel_of(sorted: &Sorted) -> Panel<'_> {
    (family::of(&sorted.place), sorted.place.rule)
}

fn heading((family, rule): Panel<'_>, panels: &[Panel<'_>]) -> Heading {
    let heading = family::heading(family, panels.iter().map(|&(family, _)| family));
    Heading { text: format!("{rule}, {}", heading.text), ..heading }
}

fn entries(sorted: &[Sorted]) -> [Vec<Entry>; 2] {
    let networks: BTreeSet<Network> = sorted.iter().map(|one| one.place.network).collect();
    let tests = || sorted.iter().flat_map(|one| &one.tests);
    let band = intervals::meaning(tests()).map(|meaning| Entry::new(Sample::Band, &meaning));
    let note = settings(sorted).map(|settings| Entry::new(Sample::None, &settings));
    let diverged = key::diverged(sorted.iter().map(|one| one.diverged).sum());
    let notes = note.into_iter().chain(diverged).chain(intervals::single(tests()));
    [networks.into_iter().map(Entry::of_network).chain(band).collect(), notes.collect()]
}

/// The number of settings and what differs; `None` without settings.
fn settings(sorted: &[Sorted]) -> Option<String> {
    let axes: BTreeSet<&str> = sorted.iter().flat_map(|one| one.axes.iter().copied()).collect();
    let counts = || sorted.iter().map(|one| one.settings);
    let (least, most) = (counts().min()?, counts().max()?);
    let counts = if least < most { format!("{least} to {most}") } else { most.to_string() };
    let axes = axes.into_iter().map(|axis| axis.replace('_', " ")).collect::<Vec<_>>().join(" × ");
    Some(if axes.is_empty() { "one setting".to_owned() } else { format!("{counts} settings: {axes}") })
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::axes::sensitivity::sorted;
    use crate::replicates::Replicates;
    use crate::samples::{completed, paper, with};

    fn drawn(results: &[ResultView]) -> String {
        sensitivity("s", &sorted(&Replicates::of(results).expect("known counts")), Width::PAGE).svg()
    }

    #[test]
    fn each_rule_and_activation_has_a_panel_with_a_line_for_each_network() {
        let svg = drawn(&paper(3));
        for text in [
            ">fa, relu<",
            ">dtp, sigmoid<",
            ">2 settings: depth<",
            ">95 % interval, 3 folds<",
            ">settings, sorted (%)<",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        // 3 rules with 2 activations on 2 networks, and a line of each network in the key.
        assert_eq!(svg.matches("stroke-width=\"1.2\"").count(), 12 + 2);
        assert_eq!(svg.matches("fill-opacity").count(), 12 + 1);
    }

    #[test]
    fn the_key_counts_the_settings_that_diverged() {
        let mut results = paper(3);
        let count = |svg: &str| svg.contains(">1 setting diverged in some replicate, which counts as a guess<");
        assert!(!count(&drawn(&results)));
        (results[0].status, results[0].score) = (TrialStatus::Diverged, None);
        assert!(count(&drawn(&results)), "{}", drawn(&results));
    }

    #[test]
    fn one_setting_is_one_marker_without_a_band() {
        let svg = drawn(&[completed("bp", "nn", 5, 0.9, 0.9)]);
        assert!(svg.contains(">one replicate each (n = 1)<"), "{svg}");
        assert!(svg.contains(">one setting<") && !svg.contains("fill-opacity"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1 + 1, "one marker, and one in the key");
    }

    #[test]
    fn many_settings_have_a_line_without_markers() {
        let rates = (1..=200)
            .map(|i| with(completed("bp", "nn", 5, 0.9, 0.9), &[("learning_rate", Value::Real(1e-4 * f64::from(i)))]));
        let svg = drawn(&rates.collect::<Vec<_>>());
        assert_eq!(svg.matches("<circle").count(), 1, "only the one in the key");
        assert!(svg.contains(">200 settings: learning rate<"), "{svg}");
    }

    #[test]
    fn no_results_give_a_figure() {
        assert!(drawn(&[]).contains(">no trial has an accuracy<"));
    }
}
