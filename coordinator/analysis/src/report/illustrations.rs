//! The figures of a report, each for a page and for a narrow screen, with its caption.

use biosweep_common::results::views::CurveView;

use crate::aggregate::Cell;
use crate::figures::{self, Figure, Width};
use crate::replicates::mean::Mean;

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

impl Illustration {
    /// Draws a figure at both widths.
    fn new(caption: String, draw: impl Fn(Width) -> Figure) -> Self {
        let narrow = Width::from_inches(NARROW).unwrap_or(Width::COLUMN);
        Self { caption, page: draw(Width::PAGE), narrow: draw(narrow) }
    }
}

/// The figures of results. Without learning curves (`None`) there is no figure of them.
#[must_use]
pub fn illustrations(title: &str, cells: &[Cell], curves: Option<&[CurveView]>) -> Vec<Illustration> {
    if cells.is_empty() {
        return Vec::new();
    }
    let depth = Illustration::new(format!("Test accuracy by number of hidden layers. {}", bars(cells)), |width| {
        figures::accuracy_by_depth(title, cells, width)
    });
    let mut all = vec![depth];
    if let Some(curves) = curves {
        all.push(Illustration::new(learning(curves), |width| figures::learning_curves(title, cells, curves, width)));
    }
    all
}

/// What error bars are.
fn bars(cells: &[Cell]) -> String {
    let with_bars = || cells.iter().filter_map(|cell| cell.test).filter(|test| test.half_width.is_some());
    let Some(most) = with_bars().max_by_key(|test| test.count) else {
        return "There are no error bars, because each point is one replicate.".to_owned();
    };
    let Mean { count, unit, .. } = most;
    let word = unit.word(count);
    match with_bars().any(|test| test.count < count) {
        true => format!("Error bars are 95 % intervals of means over n {word}; n is at most {count}."),
        false => format!("Error bars are 95 % intervals of means over {count} {word}."),
    }
}

fn learning(curves: &[CurveView]) -> String {
    let what = "Validation accuracy by updates, for the chosen settings at the greatest depth.";
    match curves {
        [] => format!("{what} There is no learning curve yet."),
        _ => format!("{what} A thin line is one replicate, a thick line the mean of replicates; there are no bands."),
    }
}
