//! A slice: the accuracy of every configuration by its value on one axis.

use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::Axis;
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::key::{Entry, Sample};
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::{Marker, RADIUS, Shape};
use crate::figures::scene::{FAINT_INK, Stroke};
use crate::statistics::summary;

/// Maximum number of points that are drawn.
const POINTS_MAX: usize = 1_000;
/// The part of a value's place over which its points are spread, so that they cover each other less.
const SPREAD: f64 = 0.7;

/// The accuracies of configurations by value.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The name of the axis.
    pub axis: String,
    /// The values in order, each with the accuracies of its configurations, as fractions.
    pub values: Vec<(String, Vec<f64>)>,
}

/// The figure of a slice. If there are too many points, evenly chosen ones are drawn, and the key says so; the lines are means of
/// all.
pub fn slice(title: &str, slice: &Slice, label: &str, width: Width) -> Figure {
    let all: usize = slice.values.iter().map(|(_, accuracies)| accuracies.len()).sum();
    let every = all.div_ceil(POINTS_MAX).max(1);
    let marker = Marker { shape: Shape::Circle, colour: FAINT_INK, is_full: false, radius: 0.7 * RADIUS };
    let point = match every {
        1 => "one configuration".to_owned(),
        _ => format!("one configuration ({} of {all} are drawn)", all.div_ceil(every)),
    };
    let key = vec![Entry::new(Sample::Layer(marker), &point), Entry::new(Sample::Thick, "mean of all configurations")];
    let mut chart = Chart::new(title, width, &[key]);
    let percents = Axis::percent(slice.values.iter().flat_map(|(_, accuracies)| accuracies.iter().copied()), 6);
    let count = slice.values.len().max(1) as f64;
    let place = |i: usize, along: f64| (i as f64 + 0.5 + SPREAD * (along - 0.5)) / count;
    for frame in chart.frames(&[Heading::default()], Grid { plot_height: Some(150.0), ..Grid::over(&percents, 1) }) {
        frame.y_axis(&mut chart.scene, &percents, label);
        let ticks: Vec<(f64, String)> =
            slice.values.iter().enumerate().map(|(i, (value, _))| (place(i, 0.5), value.clone())).collect();
        frame.x_axis(&mut chart.scene, &ticks, &slice.axis);
        if all == 0 {
            frame.explain(&mut chart.scene, "no trial has ended yet");
            continue;
        }
        let mut plot = Plot::new(&mut chart.scene, frame, &percents);
        let mut number = 0;
        for (i, (_, accuracies)) in slice.values.iter().enumerate() {
            for (j, &accuracy) in accuracies.iter().enumerate() {
                if number % every == 0 {
                    // Multiples of the golden ratio spread evenly, whatever their number.
                    plot.marker((place(i, (0.5 + 0.618_034 * j as f64).fract()), accuracy), 0.0, marker);
                }
                number += 1;
            }
        }
        for (i, (_, accuracies)) in slice.values.iter().enumerate() {
            if let Some(mean) = summary::mean(accuracies) {
                plot.curve(&[(place(i, 0.0), mean), (place(i, 1.0), mean)], 0.0, Stroke::solid(FAINT_INK, 1.3));
            }
        }
    }
    chart.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(counts: &[usize]) -> String {
        let value =
            |(i, &count): (usize, &usize)| (format!("v{i}"), (0..count).map(|j| 0.5 + j as f64 / 1e5).collect());
        let values = counts.iter().enumerate().map(value).collect();
        slice("s", &Slice { axis: "depth".to_owned(), values }, "validation accuracy (%)", Width::PAGE).svg()
    }

    #[test]
    fn each_configuration_is_a_point_and_each_value_has_its_mean() {
        let svg = drawn(&[3, 4]);
        assert_eq!(svg.matches("<circle").count(), 8, "seven, and one in the key: {svg}");
        assert!(svg.contains(">v1<") && svg.contains(">depth<") && svg.contains(">one configuration<"), "{svg}");
    }

    #[test]
    fn of_many_points_some_are_drawn_and_the_key_says_so() {
        let svg = drawn(&[3_000, 2_001]);
        assert!(svg.matches("<circle").count() <= POINTS_MAX + 1);
        assert!(svg.contains(">one configuration (834 of 5001 are drawn)<"), "{svg}");
    }

    #[test]
    fn an_empty_slice_says_so() {
        assert!(drawn(&[]).contains(">no trial has ended yet<") && drawn(&[0]).contains(">no trial has ended yet<"));
    }
}
