//! The figures of a report, each for a page and for a narrow screen, with its caption.

use biosweep_common::results::views::CurveView;

use crate::aggregate::Cell;
use crate::figures::{Figure, Kind, Material, Width};
use crate::replicates::mean::{Mean, counted};

/// Inches that a figure has on a narrow screen.
const NARROW: f64 = 3.5;

/// A figure with its caption.
#[derive(Debug, Clone)]
pub struct Illustration {
    /// What the figure shows, and what its bars and bands are.
    pub caption: String,
    /// The figure for a page.
    pub page: Figure,
    /// The same for a narrow screen.
    pub narrow: Figure,
}

/// The figures that show something.
#[must_use]
pub fn illustrations(material: Material<'_>) -> Vec<Illustration> {
    let cells = material.cells();
    if cells.is_empty() {
        return Vec::new();
    }
    let narrow = Width::from_inches(NARROW).unwrap_or(Width::COLUMN);
    let of_kind = |kind: Kind| {
        let (pages, narrow) = (material.figures(kind, Width::PAGE), material.figures(kind, narrow));
        let pairs = pages.into_iter().zip(narrow);
        let curves = material.curves.unwrap_or_default();
        let caption = |name: &str| caption(kind, name, &cells, curves);
        pairs
            .map(|((name, page), (_, narrow))| Illustration { caption: caption(&name), page, narrow })
            .collect::<Vec<_>>()
    };
    material.kinds().into_iter().flat_map(of_kind).collect()
}

/// What the figures of a kind show.
fn caption(kind: Kind, name: &str, cells: &[Cell], curves: &[CurveView]) -> String {
    match kind {
        Kind::AccuracyByDepth => format!("Test accuracy by number of hidden layers. {}", bars(cells)),
        Kind::Contrasts => {
            "Differences of arms with their 95 % intervals on these training images. A full marker has a verdict, \
                            after Holm's correction; within the grey band, arms count as equivalent."
                .to_owned()
        }
        Kind::Sensitivity => {
            "The test accuracies of all settings, sorted in each fold; a line is the mean over folds. A line \
                              that is high and flat needs little tuning."
                .to_owned()
        }
        Kind::LearningRate => format!("Test accuracy by learning rate. {}", bars(cells)),
        Kind::TuningBudget => {
            "Test accuracy by tuning budget: the best of k random settings by validation, at the greatest \
                               depth."
                .to_owned()
        }
        Kind::Importance => {
            "How much each axis, and each combination of axes, matters for the test accuracy.".to_owned()
        }
        Kind::LearningCurves => learning(curves),
        Kind::Diagnostics => format!(
            "The {} of each layer by updates, for the chosen settings at the greatest depth. Deeper layers are darker, \
             and the output is the darkest.",
            name.replace('-', " ")
        ),
    }
}

/// What error bars are.
fn bars(cells: &[Cell]) -> String {
    let with_bars = || cells.iter().filter_map(|cell| cell.test).filter(|test| test.half_width.is_some());
    let Some(most) = with_bars().max_by_key(|test| test.count) else {
        return "There are no error bars, because each point is one replicate.".to_owned();
    };
    let bars: Vec<Mean> = with_bars().collect();
    let values = counted(&bars).unwrap_or_default();
    let at_most = match bars.iter().any(|test| test.count < most.count) {
        true => format!("; n is at most {}", most.count),
        false => String::new(),
    };
    format!("Error bars are 95 % intervals of means over {values}{at_most}.")
}

fn learning(curves: &[CurveView]) -> String {
    let what = "Validation accuracy by updates, for the chosen settings at the greatest depth.";
    if curves.is_empty() { format!("{what} There is no learning curve yet.") } else { what.to_owned() }
}
