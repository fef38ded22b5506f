//! How much each axis, and each combination of axes, matters for the test accuracy: bars, the longest first.

use crate::axes::importance::{Effect, Importance, Method};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::chart::{Chart, Frame, Grid, Heading};
use crate::figures::parts::style::SMALL;
use crate::figures::scene::text::wrapped;
use crate::figures::scene::{Anchor, Colour, GRID, Scene, Stroke};

/// Height of a row, in points.
const ROW: f64 = 12.0;
/// Space between a bar and the texts beside it, in points.
const SPACE: f64 = 5.0;
/// Maximum number of bars; the others matter less.
const BARS_MAX: usize = 15;
/// The least share that has a bar.
const SHARE_MIN: f64 = 0.001;
/// The greatest share of the width that names take.
const NAMES_MAX: f64 = 0.45;
const COLOUR: Colour = Colour([0x00, 0x72, 0xb2]);

/// The figure; `None` stands for results without two values of any setting.
pub fn importance(title: &str, importance: Option<&Importance>, width: Width) -> Figure {
    let mut chart = Chart::new(title, width, &[]);
    let effects: Vec<(&Effect, f64)> =
        importance.iter().flat_map(|found| &found.effects).filter_map(with_bar).take(BARS_MAX).collect();
    let names_width = NAMES_MAX * width.points();
    let name = |effect: &Effect| {
        let name = effect.axes.iter().map(|axis| axis.replace('_', " ")).collect::<Vec<_>>().join(" × ");
        wrapped(&name, SMALL.weight, SMALL.size, names_width, 1).into_iter().next().unwrap_or_default()
    };
    let names: Vec<String> = effects.iter().map(|(effect, _)| name(effect)).collect();
    let left = SPACE + names.iter().map(|name| SMALL.width(name)).fold(0.0, f64::max);
    let grid = Grid { columns_max: 1, plot_width_min: 0.0, left, plot_height: Some(ROW * effects.len().max(3) as f64) };
    let heading = Heading { text: importance.map(heading).unwrap_or_default(), dataset: None };
    let frames = chart.frames(&[heading], grid);
    let longest = effects.iter().map(|&(_, share)| share).fold(0.0, f64::max);
    let values = SPACE + SMALL.width("100.0 %");
    for area in frames {
        let frame = Frame { width: area.width - values, ..area };
        frame.x_axis(&mut chart.scene, &[], meaning(importance));
        if effects.is_empty() {
            frame.explain(&mut chart.scene, reason(importance));
        }
        for (row, (&(_, share), name)) in effects.iter().zip(&names).enumerate() {
            bar(&mut chart.scene, frame, row, (share / longest, share), name);
        }
    }
    chart.finish()
}

/// An effect whose bar can be seen, with its share.
fn with_bar(effect: &Effect) -> Option<(&Effect, f64)> {
    effect.share.filter(|&share| share >= SHARE_MIN).map(|share| (effect, share))
}

fn reason(importance: Option<&Importance>) -> &'static str {
    match importance {
        None => "no setting has two values with results",
        Some(_) => "the accuracies do not differ by more than noise",
    }
}

/// What the length of a bar is.
fn meaning(importance: Option<&Importance>) -> &'static str {
    match importance.map(|found| found.method) {
        Some(Method::PedAnova) => "importance for the best tenth of the configurations",
        _ => "share of the variance of test accuracies",
    }
}

fn heading(importance: &Importance) -> String {
    let method = match importance.method {
        Method::FunctionalAnova => "functional ANOVA",
        Method::PedAnova => "PED-ANOVA",
    };
    format!("{method}, {} configurations", importance.configurations)
}

fn bar(scene: &mut Scene, frame: Frame, row: usize, (length, share): (f64, f64), name: &str) {
    let y = frame.top + ROW * (row as f64 + 0.5);
    let (left, right) = (frame.left, frame.left + length * frame.width);
    scene.line((left, y), (frame.right(), y), Stroke::solid(GRID, 0.5));
    let corners = vec![(left, y - 3.5), (right, y - 3.5), (right, y + 3.5), (left, y + 3.5)];
    scene.polygon(corners, Some(COLOUR), Stroke::solid(COLOUR, 0.5));
    scene.text((left - SPACE, y + 2.5), name, SMALL.anchored(Anchor::End));
    let text = format!("{:.1} %", 100.0 * share);
    scene.text((right + SPACE, y + 2.5), &text, SMALL.anchored(Anchor::Start));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axes::importance as axes;
    use crate::replicates::Replicates;
    use crate::samples::{completed, paper};

    #[test]
    fn each_effect_has_a_bar_with_its_share() {
        let results: Vec<_> = paper(3)
            .into_iter()
            .filter(|result| result.point.values().any(|value| value.to_string() == "relu"))
            .collect();
        let found = axes::importance(&Replicates::of(&results).expect("known counts"));
        let svg = importance("s", found.as_ref(), Width::PAGE).svg();
        for text in [">rule<", ">network<", ">network × rule<", ">functional ANOVA, 12 configurations<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn results_without_a_varied_setting_are_explained() {
        assert!(importance("s", None, Width::COLUMN).svg().contains("no setting has two values with results"));
        let results = [completed("bp", "nn", 5, 0.9, 0.9), completed("fa", "nn", 5, 0.9, 0.9)];
        let found = axes::importance(&Replicates::of(&results).expect("known counts"));
        let svg = importance("s", found.as_ref(), Width::COLUMN).svg();
        assert!(svg.contains("do not differ"), "{svg}");
    }
}
