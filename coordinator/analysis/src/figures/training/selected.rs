//! Validation accuracy by updates of configurations or trials that a reader selected: a line each, in one panel. A mean over
//! replicates has a band.

use biosweep_common::results::views::CurveView;

use super::shown::{Line, Updates, area, bands, has_band, marked, mean, thinned};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::Axis;
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::intervals;
use crate::figures::parts::key::{Entry, Sample};
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::Marker;
use crate::figures::scene::Stroke;
use crate::replicates::mean::Mean;

const PLOT_HEIGHT: f64 = 190.0;

/// The figure of these curves: for each line its name, and the curves of its replicates.
pub fn selected_curves(title: &str, named: &[(String, Vec<&CurveView>)], width: Width) -> Figure {
    let means: Vec<Vec<(u64, Mean)>> = named.iter().map(|(_, curves)| mean_of(curves)).collect();
    let marker = |index: usize| Marker::of_layer(index, named.len());
    let lines = named.iter().enumerate().map(|(i, (name, _))| Entry::new(Sample::Layer(marker(i)), name)).collect();
    let notes = bands(means.iter()).map(|meaning| Entry::new(Sample::Band, &meaning)).into_iter().collect();
    let mut chart = Chart::new(title, width, &[lines, notes]);
    let bands_of = means.iter().filter(|mean| has_band(mean)).flatten();
    let ends = bands_of.flat_map(|(_, mean)| intervals::ends(mean));
    let percents = Axis::percent(means.iter().flatten().map(|(_, mean)| mean.mean).chain(ends), 6);
    let updates = Updates::to(means.iter().flatten().map(|&(update, _)| update).max());
    let grid = Grid { plot_height: Some(PLOT_HEIGHT), ..Grid::over(&percents, 1) };
    for frame in chart.frames(&[Heading::default()], grid) {
        frame.y_axis(&mut chart.scene, &percents, "validation accuracy (%)");
        if means.iter().all(Vec::is_empty) {
            frame.x_axis(&mut chart.scene, &[], "updates");
            frame.explain(&mut chart.scene, "no learning curve yet");
            continue;
        }
        frame.x_axis(&mut chart.scene, &updates.ticks(frame), "updates");
        let mut plot = Plot::new(&mut chart.scene, frame, &percents);
        for (i, mean) in means.iter().enumerate().filter(|(_, mean)| has_band(mean)) {
            plot.band(&area(mean, updates.scale), marker(i).colour);
        }
        for (i, mean) in means.iter().enumerate() {
            let points: Vec<_> =
                thinned(mean).into_iter().map(|(update, mean)| (updates.scale.at(update as f64), mean.mean)).collect();
            plot.curve(&points, 0.0, Stroke::solid(marker(i).colour, 1.2));
            for index in marked(points.len(), i, means.len()) {
                plot.marker(points[index], 0.0, marker(i));
            }
        }
    }
    chart.finish()
}

fn mean_of(curves: &[&CurveView]) -> Vec<(u64, Mean)> {
    let lines: Vec<Line> =
        curves.iter().map(|&curve| Line::of_validation(curve)).filter(|line| !line.points.is_empty()).collect();
    mean(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{curves, paper};

    #[test]
    fn each_selected_configuration_has_a_line_with_its_name() {
        let curves = curves(&paper(2)[..4]);
        let named = [("fa <nn>".to_owned(), vec![&curves[0], &curves[1]]), ("bp".to_owned(), vec![&curves[2]])];
        let svg = selected_curves("two", &named, Width::PAGE).svg();
        assert_eq!(svg.matches("stroke-width=\"1.2\"").count(), 4, "two lines, and two in the key: {svg}");
        assert!(svg.contains(">fa &lt;nn&gt;<") && svg.contains(">validation accuracy (%)<"), "{svg}");
    }

    #[test]
    fn without_curves_the_figure_says_so() {
        for named in [Vec::new(), vec![("bp".to_owned(), Vec::new())]] {
            assert!(selected_curves("none", &named, Width::PAGE).svg().contains(">no learning curve yet<"));
        }
    }
}
