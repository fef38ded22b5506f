//! Contrasts with their intervals: a panel for slopes and for each depth, a row for each group of the arms.

use std::collections::BTreeSet;

use biosweep_common::configuration::Point;
use biosweep_common::rules::Rule;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Quantity;

use crate::compare::{Comparison, Contrast, Verdict, in_words};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::{Axis, signed};
use crate::figures::parts::chart::{Chart, Frame, Grid, Heading};
use crate::figures::parts::key::{Entry, Sample};
use crate::figures::parts::style::{self, LABEL, Marker, RADIUS, SMALL, Shape, layers};
use crate::figures::scene::text::wrapped;
use crate::figures::scene::{Anchor, Colour, FAINT_INK, GRID, INK, Scene, Stroke, TextStyle};

/// Height of a row with a name of one line, and of each further line, in points.
const ROW: f64 = 12.0;
const LINE: f64 = 8.5;
/// Space between rows with names of several lines, in points.
const ROW_GAP: f64 = 3.0;
/// Maximum lines of a name.
const LINES_MAX: usize = 3;
/// Space between a plot and the texts beside it, in points.
const SPACE: f64 = 5.0;
/// The greatest share of the width that names take.
const NAMES_MAX: f64 = 0.45;
const COLUMNS_MAX: usize = 3;
const PLOT_WIDTH_MIN: f64 = 76.0;
/// The width that a tick with its number takes, in points.
const TICK: f64 = 18.0;
const BAND: Colour = Colour([0xf2, 0xf2, 0xf2]);
const ZERO: Stroke = Stroke::solid(FAINT_INK, 0.6);
/// A question.
const ASKED: TextStyle = TextStyle { colour: INK, ..SMALL };

/// The quantity of a panel and, for accuracies that are not planned contrasts, the depth.
type Panel = (Quantity, Option<u32>);

/// A row: the contrasts with one name.
struct Row {
    /// The lines of the name, with the look of each.
    lines: Vec<(String, TextStyle)>,
    name: Name,
}

/// The name of a row: what is asked, and of which trials.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    question: Option<String>,
    trials: String,
}

/// The figure of a comparison. A comparison without contrasts says so.
pub fn contrasts(title: &str, comparison: &Comparison, width: Width) -> Figure {
    let all: Vec<&Contrast> = comparison.all().collect();
    let are_planned = !comparison.planned.is_empty();
    let panel_of = |contrast: &Contrast| (contrast.quantity, depth(contrast).filter(|_| !are_planned));
    let mut panels: Vec<Panel> =
        all.iter().map(|contrast| panel_of(contrast)).collect::<BTreeSet<_>>().into_iter().collect();
    // Slopes are the primary contrasts.
    panels.sort_by_key(|&(quantity, _)| quantity != Quantity::Slope);
    let arms: BTreeSet<String> = all.iter().map(|contrast| arms(contrast)).collect();
    let common_arms = arms.first().filter(|_| !are_planned && arms.len() == 1);
    let name_of = |contrast: &Contrast| name(contrast, are_planned, common_arms.is_none());
    let rows = rows(all.iter().map(|contrast| name_of(contrast)), NAMES_MAX * width.points());
    let lines = rows.iter().map(|row| row.lines.len()).max().unwrap_or(1).max(1);
    let row_height = if lines == 1 { ROW } else { ROW + ROW_GAP + LINE * (lines - 1) as f64 };
    let values = SPACE + all.iter().map(|contrast| SMALL.width(&value(contrast))).fold(0.0, f64::max);
    let label = common_arms.map(|arms| with_unit(arms)).filter(|label| LABEL.width(label) <= PLOT_WIDTH_MIN);
    let unlabelled = common_arms.filter(|_| label.is_none()).map(|arms| Entry::new(Sample::None, arms));
    let label = label.unwrap_or_else(|| with_unit("difference"));
    let mut chart = Chart::new(title, width, &[unlabelled.into_iter().collect(), key(&all)]);
    let grid = Grid {
        columns_max: COLUMNS_MAX,
        plot_width_min: PLOT_WIDTH_MIN + values,
        left: SPACE + rows.iter().flat_map(|row| &row.lines).map(|(line, look)| look.width(line)).fold(0.0, f64::max),
        plot_height: Some(row_height * rows.len().max(3) as f64),
    };
    let headings: Vec<Heading> = panels.iter().map(|&panel| heading(panel)).collect();
    for (index, area) in chart.frames(&headings, grid).into_iter().enumerate() {
        let frame = Frame { width: area.width - values, room: area.room + values, ..area };
        let scene = &mut chart.scene;
        let Some(&panel) = panels.get(index) else {
            frame.x_axis(scene, &[], &label);
            frame.explain(scene, "there are no two arms to compare");
            continue;
        };
        let of_panel: Vec<&Contrast> = all.iter().copied().filter(|contrast| panel_of(contrast) == panel).collect();
        let ticks = ((frame.width / TICK) as usize).clamp(2, 8);
        let axis = Axis::differences(of_panel.iter().flat_map(|contrast| ends(contrast)), ticks);
        ground(scene, frame, &axis, &of_panel);
        for (row_index, row) in rows.iter().enumerate() {
            let y = frame.top + row_height * (row_index as f64 + 0.5);
            if frame.is_first_in_row {
                row.draw_name(scene, (frame.left - SPACE, y));
            }
            for contrast in of_panel.iter().filter(|contrast| name_of(contrast) == row.name) {
                scene.line((frame.left, y), (frame.right(), y), Stroke::solid(GRID, 0.5));
                draw(scene, frame, (&axis, y), contrast);
                let at = (frame.right() + SPACE, y + 2.5);
                scene.text(at, &value(contrast), SMALL.anchored(Anchor::Start));
            }
        }
        frame.x_axis(scene, &axis.marks(), &label);
    }
    chart.finish()
}

/// A row for each name, in the order of the names.
fn rows(names: impl Iterator<Item = Name>, width: f64) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for name in names {
        if rows.iter().all(|row| row.name != name) {
            let lines = |text: &str, look: TextStyle| {
                wrapped(text, look.weight, look.size, width, LINES_MAX).into_iter().map(move |line| (line, look))
            };
            let question = name.question.iter().flat_map(|question| lines(question, ASKED));
            rows.push(Row { lines: question.chain(lines(&name.trials, SMALL)).collect(), name });
        }
    }
    rows
}

impl Row {
    /// Draws the name left of a point.
    fn draw_name(&self, scene: &mut Scene, (x, y): (f64, f64)) {
        let first = y + 2.5 - LINE * (self.lines.len() as f64 - 1.0) / 2.0;
        for (i, (line, look)) in self.lines.iter().enumerate() {
            scene.text((x, first + LINE * i as f64), line, look.anchored(Anchor::End));
        }
    }
}

fn depth(contrast: &Contrast) -> Option<u32> {
    match contrast.group.get(&Setting::Depth) {
        Some(&Value::Integer(depth)) => u32::try_from(depth).ok(),
        _ => None,
    }
}

/// The label of an axis.
fn with_unit(what: &str) -> String {
    format!("{what} (points)")
}

/// `dn − nn`.
fn arms(contrast: &Contrast) -> String {
    let [first, second] = contrast.names();
    format!("{second} − {first}")
}

/// The name of a row: the group, without what the heading says, and the arms if rows differ in them.
fn name(contrast: &Contrast, is_planned: bool, has_arms: bool) -> Name {
    let group: Point =
        contrast.group.clone().into_iter().filter(|(setting, _)| is_planned || *setting != Setting::Depth).collect();
    let parts = [Some(in_words(&group)).filter(|text| !text.is_empty()), has_arms.then(|| arms(contrast))];
    let trials = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    let trials = if trials.is_empty() { arms(contrast) } else { trials };
    Name { question: contrast.question.clone(), trials }
}

fn heading((quantity, depth): Panel) -> Heading {
    let text = match (quantity, depth) {
        (Quantity::Slope, _) => "slope, per hidden layer".to_owned(),
        (Quantity::Accuracy, Some(depth)) => layers(depth),
        (Quantity::Accuracy, None) => "test accuracy".to_owned(),
    };
    Heading { dataset: None, text }
}

/// The difference on the right of a row, or why there is none.
fn value(contrast: &Contrast) -> String {
    match contrast.difference {
        Some(difference) => signed(100.0 * difference, |size| format!("{size:.*}", digits(contrast))),
        None => "no pair".to_owned(),
    }
}

/// Slopes are smaller than accuracies.
const fn digits(contrast: &Contrast) -> usize {
    match contrast.quantity {
        Quantity::Slope => 2,
        Quantity::Accuracy => 1,
    }
}

/// What the axis must show: the interval and the margins.
fn ends(contrast: &Contrast) -> impl Iterator<Item = f64> + use<> {
    let interval = contrast.interval.map(|interval| [interval.low(), interval.high()]);
    let margins = [-contrast.margin, contrast.margin];
    contrast.difference.into_iter().chain(interval.into_iter().flatten()).chain(margins)
}

/// The band of equivalence, with the smallest margin of the panel, and the lines of the axis.
fn ground(scene: &mut Scene, frame: Frame, axis: &Axis, contrasts: &[&Contrast]) {
    let x = |value: f64| frame.left + axis.scale.at(value) * frame.width;
    // Depths with different ranges give slopes different margins.
    if let Some(margin) = contrasts.iter().map(|contrast| contrast.margin).min_by(f64::total_cmp) {
        let (left, right) = (x(-margin), x(margin));
        let corners = vec![(left, frame.top), (right, frame.top), (right, frame.bottom()), (left, frame.bottom())];
        scene.polygon(corners, Some(BAND), Stroke::solid(BAND, 0.2));
    }
    for (tick, _) in &axis.ticks {
        scene.line((x(*tick), frame.top), (x(*tick), frame.bottom()), Stroke::solid(GRID, 0.5));
    }
    scene.line((x(0.0), frame.top), (x(0.0), frame.bottom()), ZERO);
}

fn draw(scene: &mut Scene, frame: Frame, (axis, y): (&Axis, f64), contrast: &Contrast) {
    let x = |value: f64| frame.left + axis.scale.at(value) * frame.width;
    let Some(difference) = contrast.difference else { return };
    let marker = marker(contrast);
    if let Some(interval) = contrast.interval {
        style::error_bar(scene, (x(interval.low()), y), (x(interval.high()), y), marker.colour);
    }
    marker.draw(scene, (x(difference), y));
}

/// The marker of the rule, or a circle if the arms have different rules. It is full if there is a verdict.
fn marker(contrast: &Contrast) -> Marker {
    let is_full = matches!(contrast.verdict, Verdict::Helps | Verdict::Hurts | Verdict::Equivalent);
    let rule = match contrast.group.get(&Setting::Rule) {
        Some(Value::Name(name)) => name.parse::<Rule>().ok(),
        _ => None,
    };
    rule.map_or_else(|| circle(is_full), |rule| Marker::of(rule, is_full))
}

const fn circle(is_full: bool) -> Marker {
    Marker { shape: Shape::Circle, colour: FAINT_INK, is_full, radius: RADIUS }
}

fn key(contrasts: &[&Contrast]) -> Vec<Entry> {
    let bars = contrasts.iter().filter(|contrast| contrast.interval.is_some());
    let most = bars.clone().max_by_key(|contrast| contrast.pairs);
    let bar = most.map(|most| {
        let at_most = if bars.clone().any(|other| other.pairs < most.pairs) { "at most " } else { "" };
        let unit = most.unit.word(most.pairs as u64);
        Entry::new(Sample::Bar, &format!("95 % interval, {at_most}{} {unit}", most.pairs))
    });
    let has = |is_full: bool| contrasts.iter().any(|one| one.difference.is_some() && marker(one).is_full == is_full);
    let full =
        has(true).then(|| Entry::new(Sample::Marker(circle(true)), "better, worse or equivalent (p ≤ 0.05, Holm)"));
    let hollow = has(false).then(|| Entry::new(Sample::Marker(circle(false)), "undecided, or too few pairs"));
    let band = (!contrasts.is_empty()).then(|| Entry::new(Sample::Band, "margin of equivalence"));
    [bar, full, hollow, band].into_iter().flatten().collect()
}
