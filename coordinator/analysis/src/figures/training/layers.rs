//! Diagnostics by updates: a panel for each rule on each of the deepest networks, a line for each layer, darker for deeper
//! layers. A line is the mean over replicates, with a band.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::results::views::CurveView;
use biosweep_common::vocabulary::diagnostics::Measure;

use super::shown::{Line, Shown, Updates, area, bands, has_band, marked, mean, thinned};
use crate::aggregate::{Cell, Place};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::{Axis, Scale};
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::intervals;
use crate::figures::parts::key::{Entry, Sample};
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::{Marker, layers};
use crate::figures::scene::{FAINT_INK, Stroke};
use crate::replicates::mean::Mean;

const COLUMNS_MAX: usize = 4;
/// Maximum layers that the key names; of more it names the first, the last, and some between.
const NAMED_MAX: usize = 8;
/// The angle in degrees from which a change of weights does not lower the loss.
const RIGHT_ANGLE: f64 = 90.0;

/// The means of each layer of a cell.
type Layers = BTreeMap<Layer, Vec<(u64, Mean)>>;

/// A layer of a network. The output comes after all hidden layers, also after those of deeper networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Hidden(u32),
    Output,
}

impl Layer {
    /// The layer with this number, from 1, of a network with `depth` hidden layers.
    const fn of(number: u32, depth: u32) -> Self {
        if number == depth + 1 { Self::Output } else { Self::Hidden(number) }
    }

    fn name(self) -> String {
        match self {
            Self::Hidden(number) => format!("layer {number}"),
            Self::Output => "output".to_owned(),
        }
    }
}

/// The looks of layers: the deeper a layer, the darker.
struct Looks {
    hidden: u32,
    count: usize,
}

impl Looks {
    fn of(layers: &BTreeSet<Layer>) -> Self {
        let number = |layer: &Layer| match layer {
            Layer::Hidden(number) => Some(*number),
            Layer::Output => None,
        };
        let hidden = layers.iter().filter_map(number).max().unwrap_or(0);
        Self { hidden, count: hidden as usize + usize::from(layers.contains(&Layer::Output)) }
    }

    fn marker(&self, layer: Layer) -> Marker {
        let place = match layer {
            Layer::Hidden(number) => number.saturating_sub(1),
            Layer::Output => self.hidden,
        };
        Marker::of_layer(place as usize, self.count)
    }
}

/// A figure for each measure that some curve has, with the curves of the settings that were chosen for `cells`.
pub fn diagnostics(title: &str, cells: &[Cell], curves: &[CurveView], width: Width) -> Vec<(Measure, Figure)> {
    let shown = Shown::of(cells, curves);
    let figure = |&measure: &Measure| {
        let of_cell = |(cell, curves): &(&Cell, Vec<&CurveView>)| {
            (cell.place.clone(), layers_of(curves, measure, cell.place.depth))
        };
        let panels: Vec<(Place, Layers)> =
            shown.cells.iter().map(of_cell).filter(|(_, layers)| !layers.is_empty()).collect();
        (!panels.is_empty()).then(|| (measure, draw(&shown.title(title), measure, &panels, width)))
    };
    Measure::ALL.iter().filter_map(figure).collect()
}

fn layers_of(curves: &[&CurveView], measure: Measure, depth: u32) -> Layers {
    let mut lines: BTreeMap<Layer, Vec<Line>> = BTreeMap::new();
    for curve in curves {
        let of_measure = || curve.diagnostics.iter().filter(move |point| point.measure == measure);
        for layer in of_measure().map(|point| point.layer).collect::<BTreeSet<_>>() {
            let of_layer = of_measure().filter(|point| point.layer == layer);
            let line = Line::of(curve, of_layer.map(|point| (point.update, point.value)));
            if !line.points.is_empty() {
                lines.entry(Layer::of(layer, depth)).or_default().push(line);
            }
        }
    }
    lines.into_iter().map(|(layer, lines)| (layer, mean(&lines))).collect()
}

fn draw(title: &str, measure: Measure, panels: &[(Place, Layers)], width: Width) -> Figure {
    let layers: BTreeSet<Layer> = panels.iter().flat_map(|(_, layers)| layers.keys().copied()).collect();
    let looks = Looks::of(&layers);
    let means = || panels.iter().flat_map(|(_, layers)| layers.values());
    let mut chart = Chart::new(&format!("{title}: {}", words(measure)), width, &key(&layers, &looks, means()));
    let points = || means().flatten();
    let values = points().flat_map(|(_, mean)| [mean.mean, intervals::ends(mean)[1]]);
    let axis = if matches!(measure, Measure::DeadUnits | Measure::SaturatedUnits) {
        Axis::percent(values, 5)
    } else {
        Axis::positive(values, 6)
    };
    let updates = Updates::to(points().map(|&(update, _)| update).max());
    let headings: Vec<Heading> = panels.iter().map(|(place, _)| heading(place, panels)).collect();
    let grid = Grid::over(&axis, columns(panels));
    for (frame, (_, layers)) in chart.frames(&headings, grid).into_iter().zip(panels) {
        frame.y_axis(&mut chart.scene, &axis, label(measure));
        frame.x_axis(&mut chart.scene, &updates.ticks(frame), "updates");
        let mut plot = Plot::new(&mut chart.scene, frame, &axis);
        if matches!(measure, Measure::UpdateAngle | Measure::FeedbackAngle) && axis.scale.high > RIGHT_ANGLE {
            plot.level(RIGHT_ANGLE, FAINT_INK);
        }
        lines(&mut plot, layers, &looks, updates.scale);
    }
    chart.finish()
}

/// The lines of one panel, over their bands.
fn lines(plot: &mut Plot<'_>, layers: &Layers, looks: &Looks, updates: Scale) {
    let at = |update: u64| updates.at(update as f64);
    for (&layer, mean) in layers.iter().filter(|(_, mean)| has_band(mean)) {
        plot.band(&area(mean, updates), looks.marker(layer).colour);
    }
    for (i, (&layer, mean)) in layers.iter().enumerate() {
        let marker = looks.marker(layer);
        let points: Vec<_> = thinned(mean).into_iter().map(|(update, mean)| (at(update), mean.mean)).collect();
        plot.curve(&points, 0.0, Stroke::solid(marker.colour, 1.0));
        for index in marked(points.len(), i, layers.len()) {
            plot.marker(points[index], 0.0, marker);
        }
    }
}

/// One row holds the networks of a rule, if they fit.
fn columns(panels: &[(Place, Layers)]) -> usize {
    let first =
        panels.first().map_or(0, |(place, _)| panels.iter().filter(|(other, _)| other.rule == place.rule).count());
    if (2..=COLUMNS_MAX).contains(&first) { first } else { COLUMNS_MAX - 1 }
}

fn key<'a>(
    layers: &BTreeSet<Layer>,
    looks: &Looks,
    means: impl Iterator<Item = &'a Vec<(u64, Mean)>> + Clone,
) -> [Vec<Entry>; 2] {
    let every = layers.len().saturating_sub(1).div_ceil(NAMED_MAX - 1).max(1);
    let named = layers.iter().enumerate().filter(|&(i, &layer)| i % every == 0 || Some(&layer) == layers.last());
    let name = |(_, &layer): (usize, &Layer)| Entry::new(Sample::Layer(looks.marker(layer)), &layer.name());
    let single = intervals::single(means.clone().flatten().map(|(_, mean)| mean));
    let bands = bands(means).map(|meaning| Entry::new(Sample::Band, &format!("mean with {meaning}")));
    [named.map(name).collect(), bands.into_iter().chain(single).collect()]
}

fn heading(place: &Place, panels: &[(Place, Layers)]) -> Heading {
    let has_datasets = panels.iter().any(|(other, _)| other.dataset != place.dataset);
    let Place { activation, depth, .. } = place;
    let learner = place.learner();
    let text = format!("{}, {}, {activation}, {}", learner.rule_name(), learner.network_name(), layers(*depth));
    Heading { dataset: has_datasets.then(|| place.dataset.label()), text }
}

/// What the figure shows, for its title.
const fn words(measure: Measure) -> &'static str {
    match measure {
        Measure::UpdateAngle => "angle between update and gradient",
        Measure::FeedbackAngle => "angle between feedback and forward weights",
        Measure::ReconstructionError => "reconstruction error of decoders",
        Measure::DecoderAngle => "angle between decoders and what they invert",
        Measure::WeightNorm => "norm of weights",
        Measure::UpdateNorm => "norm of updates",
        Measure::DeadUnits => "dead units",
        Measure::SaturatedUnits => "saturated units",
    }
}

/// The label of the vertical axis, with the unit.
const fn label(measure: Measure) -> &'static str {
    match measure {
        Measure::UpdateAngle | Measure::FeedbackAngle | Measure::DecoderAngle => "angle (degrees)",
        Measure::ReconstructionError => "squared error per unit",
        Measure::WeightNorm | Measure::UpdateNorm => "Euclidean norm",
        Measure::DeadUnits | Measure::SaturatedUnits => "units (%)",
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::views::ResultView;
    use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;

    use super::*;
    use crate::samples::{cells, completed, curves, paper};

    fn measured(replicates: u64, layers: u32) -> (Vec<Cell>, Vec<CurveView>) {
        of(&paper(replicates), layers)
    }

    /// The cells of results, and their curves with diagnostics of as many layers as the network has, at most.
    fn of(results: &[ResultView], layers: u32) -> (Vec<Cell>, Vec<CurveView>) {
        let mut curves = curves(results);
        for curve in &mut curves {
            let point = |(update, layer)| DiagnosticPoint {
                update,
                layer,
                measure: Measure::UpdateAngle,
                value: 20.0 + 7.0 * f64::from(layer) - update as f64 / 400.0,
            };
            let updates = curve.points.iter().map(|point| point.update);
            let depth = Place::of(&curve.point).map_or(0, |place| place.depth);
            let layers = 1..=layers.min(depth + 1);
            curve.diagnostics =
                updates.flat_map(|at| layers.clone().map(move |layer| (at, layer))).map(point).collect();
        }
        (cells(results), curves)
    }

    #[test]
    fn each_measure_that_occurs_has_a_figure_with_a_line_for_each_layer() {
        let (cells, curves) = measured(3, 4);
        let figures = diagnostics("s", &cells, &curves, Width::PAGE);
        let [(Measure::UpdateAngle, figure)] = figures.as_slice() else { panic!("one measure: {}", figures.len()) };
        let svg = figure.svg();
        // 3 rules on 2 networks with 2 activations.
        assert_eq!(svg.matches("stroke-width=\"1\"").count(), 12 * 4, "{svg}");
        for text in [">angle (degrees)<", ">layer 4<", "fa, dn, relu", "mean with 95 % interval, 3 folds"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(svg.contains(">s: its deepest networks: angle between update and gradient<"), "{svg}");
    }

    #[test]
    fn the_last_layer_of_each_network_is_the_output() {
        // relu has 10 hidden layers and sigmoid 7, so that layer 8 is hidden in one and the output of the other.
        let (cells, curves) = measured(1, 11);
        let svg = diagnostics("s", &cells, &curves, Width::PAGE)[0].1.svg();
        assert!(svg.contains(">output<") && svg.contains(">layer 9<") && !svg.contains(">layer 11<"), "{svg}");
        let looks = Looks::of(&(1..=10).map(Layer::Hidden).chain([Layer::Output]).collect());
        assert_eq!(looks.marker(Layer::of(8, 7)), looks.marker(Layer::of(11, 10)), "outputs look alike");
        assert_ne!(looks.marker(Layer::of(8, 7)), looks.marker(Layer::of(8, 10)));
    }

    #[test]
    fn of_many_layers_the_key_names_some_with_the_first_and_the_last() {
        let (cells, curves) = of(&[completed("bp", "nn", 30, 0.9, 0.9)], 31);
        let svg = diagnostics("s", &cells, &curves, Width::COLUMN)[0].1.svg();
        assert!(svg.contains(">layer 1<") && svg.contains(">output<") && !svg.contains(">layer 2<"), "{svg}");
        assert!(svg.contains(">one replicate each (n = 1)<"), "{svg}");
        assert!(!svg.contains("interval"), "one replicate has no band");
    }

    #[test]
    fn curves_without_diagnostics_give_no_figure() {
        let results = paper(1);
        assert!(diagnostics("s", &cells(&results), &curves(&results), Width::PAGE).is_empty());
        assert!(diagnostics("s", &[], &[], Width::PAGE).is_empty());
    }
}
