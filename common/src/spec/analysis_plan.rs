//! The analysis plan: how results will be judged. It is part of the spec, so it is fixed before there are results.

use std::fmt::Write as _;

use super::document::node::{Key, Kind, Node};
use super::document::written::{list, quoted};
use super::error::{ErrorList, Limits, unknown};
use super::execution::{number, text, valid};
use super::read::{self, ANALYSIS_KEYS};
use crate::configuration::{Point, joined};
use crate::grid::{Block, Grid};
use crate::settings::place::{PLACE, REPLICATES, is_unset_unless_named};
use crate::settings::{Setting, Value};
use crate::vocabulary::Quantity;
use crate::vocabulary::text::is_disruptive;

/// How the results of a sweep are judged.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisPlan {
    /// The difference of accuracies, a fraction, within which two arms count as equivalent.
    pub equivalence_margin: f64,
    /// The planned contrasts: one family, over which p-values are corrected.
    pub contrasts: Vec<PlannedContrast>,
}

impl Default for AnalysisPlan {
    fn default() -> Self {
        Self { equivalence_margin: EQUIVALENCE_MARGIN, contrasts: Vec::new() }
    }
}

/// The default margin of equivalence: one point of accuracy.
pub const EQUIVALENCE_MARGIN: f64 = 0.01;

/// A contrast that is written down before there are results.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedContrast {
    /// What it asks, in words.
    pub question: Option<String>,
    /// What it compares.
    pub quantity: Quantity,
    /// The settings of each arm; the first arm is the baseline.
    pub arms: [Point; 2],
    /// The settings that both arms have.
    pub shared: Point,
}

impl PlannedContrast {
    /// All settings of each arm.
    #[must_use]
    pub fn whole_arms(&self) -> [Point; 2] {
        self.arms.each_ref().map(|arm| joined(&self.shared, arm))
    }

    /// The number of pairs in a complete sweep: the folds that both arms have or, if they have one fold, the seeds.
    #[must_use]
    pub fn pairs(&self, grid: &Grid) -> usize {
        match common(self, grid, Setting::Fold) {
            1 => common(self, grid, Setting::Seed),
            folds => folds,
        }
    }
}

const EQUIVALENCE_MARGIN_KEY: &str = ANALYSIS_KEYS[0];
const CONTRAST: &str = ANALYSIS_KEYS[1];
const CONTRAST_KEYS: [&str; 4] = ["question", "quantity", "arms", "where"];
const CONTRASTS_MAX: usize = 100;
const QUESTION_CHARACTERS_MAX: usize = 200;
const EXAMPLE: &str = "write for example arms = [{ network = \"nn\" }, { network = \"dn\" }], the baseline first";

/// Reads the margin of equivalence.
pub(super) fn margin(entries: &[(Key, Node)], errors: &mut ErrorList<'_>) -> Option<f64> {
    let among = |fraction: &f64| *fraction > 0.0 && *fraction < 1.0;
    let help = "it takes a fraction of accuracy above 0 and below 1, such as 0.01 for one point";
    let Some((_, node)) = entries.iter().find(|(key, _)| key.name == EQUIVALENCE_MARGIN_KEY) else {
        return Some(EQUIVALENCE_MARGIN);
    };
    let fraction = |kind: &Kind| number(kind).filter(among);
    valid(fraction, EQUIVALENCE_MARGIN_KEY, node, EQUIVALENCE_MARGIN_KEY, help, errors)
}

/// Reads the planned contrasts, and checks that their arms are in the grid.
pub(super) fn contrasts(entries: &[(Key, Node)], grid: &Grid, errors: &mut ErrorList<'_>) -> Vec<PlannedContrast> {
    let Some((_, node)) = entries.iter().find(|(key, _)| key.name == CONTRAST) else { return Vec::new() };
    let Kind::List(items) = &node.kind else {
        let help = "start each with a line [[contrast]], or give a list of tables";
        errors.add(&node.span, CONTRAST, "the planned contrasts are a list of tables", help);
        return Vec::new();
    };
    if items.len() > CONTRASTS_MAX && errors.limits == Limits::Apply {
        let message = format!("{} planned contrasts are too many: the maximum is {CONTRASTS_MAX}", items.len());
        let help = "plan the few that answer your question; explore with `compare --arms`";
        errors.add(&items[CONTRASTS_MAX].span, format!("{CONTRAST}[{CONTRASTS_MAX}]"), message, help);
        return Vec::new();
    }
    let mut contrasts: Vec<PlannedContrast> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("{CONTRAST}[{index}]");
        let Some(contrast) = contrast(item, &place, grid, errors) else { continue };
        let [first, second] = contrast.whole_arms();
        let both = [[first.clone(), second.clone()], [second, first]];
        let is_same =
            |other: &PlannedContrast| other.quantity == contrast.quantity && both.contains(&other.whole_arms());
        match contrasts.iter().position(is_same) {
            Some(other) => {
                let message = format!("it has the same arms as {CONTRAST}[{other}]");
                errors.add(&item.span, place, message, "remove one of them");
            }
            None => contrasts.push(contrast),
        }
    }
    contrasts
}

fn contrast(node: &Node, place: &str, grid: &Grid, errors: &mut ErrorList<'_>) -> Option<PlannedContrast> {
    let Kind::Table(entries) = &node.kind else {
        errors.add(&node.span, place, format!("a contrast cannot be {}", node.kind.describe()), EXAMPLE);
        return None;
    };
    for (key, _) in entries.iter().filter(|(key, _)| !CONTRAST_KEYS.contains(&key.name.as_str())) {
        unknown(key, &format!("{place}.{}", key.name), "key", CONTRAST_KEYS, errors);
    }
    let part = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
    // Every part is read before the first bad one ends this: each error is worth knowing.
    let question = match part("question") {
        Some(node) => question(node, &format!("{place}.question"), errors).map(Some),
        None => Some(None),
    };
    let quantity = match part("quantity") {
        Some(node) => quantity(node, &format!("{place}.quantity"), errors),
        None => Some(Quantity::Accuracy),
    };
    let shared = match part("where") {
        Some(node) => shared(node, &format!("{place}.where"), grid, errors),
        None => Some(Point::new()),
    };
    let arms = match part("arms") {
        Some(node) => arms(node, &format!("{place}.arms"), errors),
        None => {
            errors.add(&node.span, place, "the contrast has no arms", EXAMPLE);
            None
        }
    };
    let contrast = PlannedContrast { question: question?, quantity: quantity?, arms: arms?, shared: shared? };
    let nodes = part("arms")?;
    check(&contrast, nodes, &format!("{place}.arms"), grid, errors).then_some(contrast)
}

/// Reads the settings that both arms have, of which the grid has trials.
fn shared(node: &Node, place: &str, grid: &Grid, errors: &mut ErrorList<'_>) -> Option<Point> {
    let shared = settings(node, place, errors)?;
    // Settings such as parameters_as, which an arm may name, do not count here.
    let has_trials = grid
        .blocks()
        .iter()
        .filter_map(|block| block.with(&shared))
        .any(|part| shared.keys().all(|&setting| part.uses(setting)));
    if !has_trials {
        errors.add(&node.span, place, none(&shared), "change `where`, or add the trials to [grid]");
    }
    has_trials.then_some(shared)
}

/// Reads the settings of two arms.
fn arms(node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<[Point; 2]> {
    let Kind::List(items) = &node.kind else {
        errors.add(&node.span, place, format!("the arms cannot be {}", node.kind.describe()), EXAMPLE);
        return None;
    };
    let [first, second] = items.as_slice() else {
        let message = format!("a contrast has two arms, but here are {}", items.len());
        errors.add(&node.span, place, message, EXAMPLE);
        return None;
    };
    let mut arm = |index: usize, node: &Node| settings(node, &format!("{place}[{index}]"), errors);
    let (first, second) = (arm(0, first), arm(1, second));
    Some([first?, second?])
}

/// Checks each arm, and both together.
fn check(contrast: &PlannedContrast, arms: &Node, place: &str, grid: &Grid, errors: &mut ErrorList<'_>) -> bool {
    let Kind::List(nodes) = &arms.kind else { return false };
    let mut are_sound = true;
    for (index, (arm, node)) in contrast.arms.iter().zip(nodes).enumerate() {
        let twice = arm.keys().find(|setting| contrast.shared.contains_key(setting));
        let found = match twice {
            Some(setting) => {
                let message = format!("`{setting}` is set twice, here and in `where`");
                Err((message, "remove it from one of them".to_owned()))
            }
            None => check_arm(&joined(&contrast.shared, arm), contrast.quantity, grid),
        };
        if let Err((message, help)) = found {
            errors.add(&node.span, format!("{place}[{index}]"), message, help);
            are_sound = false;
        }
    }
    if !are_sound {
        return false;
    }
    check_pair(contrast, grid).map_err(|(message, help)| errors.add(&arms.span, place, message, help)).is_ok()
}

fn question(node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<String> {
    let sound =
        |text: &str| (1..=QUESTION_CHARACTERS_MAX).contains(&text.chars().count()) && !text.contains(is_disruptive);
    let question = |kind: &Kind| text(kind).map(|text| text.trim().to_owned()).filter(|text| sound(text));
    let help = format!("it takes a text of 1 to {QUESTION_CHARACTERS_MAX} characters on one line");
    valid(question, "question", node, place, &help, errors)
}

fn quantity(node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<Quantity> {
    let quantity = |kind: &Kind| text(kind)?.parse().ok();
    valid(quantity, "quantity", node, place, &format!("it takes {}", Quantity::NAMES.join(" or ")), errors)
}

/// Reads a table of settings with one value each.
fn settings(node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<Point> {
    let Kind::Table(entries) = &node.kind else {
        let message = format!("`{place}` cannot be {}", node.kind.describe());
        errors.add(&node.span, place, message, "it is a table of settings, such as { network = \"nn\" }");
        return None;
    };
    let mut point = Some(Point::new());
    for (key, node) in entries {
        let place = format!("{place}.{}", key.name);
        let read = read::setting(key, &place, &[], errors).and_then(|setting| {
            if REPLICATES.contains(&setting) {
                let message = format!("`{setting}` makes replicates, over which arms are paired");
                errors.add(&key.span, place, message, "remove it");
                return None;
            }
            Some((setting, read::value(setting, node, &place, errors)?))
        });
        match (&mut point, read) {
            (Some(point), Some((setting, value))) => _ = point.insert(setting, value),
            (point, _) => *point = None,
        }
    }
    point
}

/// Checks that the grid has trials with these settings, that they are one experiment, and that a slope has several depths. The
/// error has a suggested fix.
fn check_arm(arm: &Point, quantity: Quantity, grid: &Grid) -> Result<(), (String, String)> {
    let parts = parts_of(arm, grid);
    if parts.is_empty() {
        let help = "change the arm or `where`, or add the trials to [grid]";
        return Err((none(arm), help.to_owned()));
    }
    for setting in PLACE {
        let values = values(&parts, setting);
        let list = || values.join(", ");
        let is_of_slope = quantity == Quantity::Slope && setting == Setting::Depth;
        if is_of_slope && values.len() < 2 {
            let help = match arm.contains_key(&Setting::Depth) {
                true => "remove `depth` from the arm or from `where`",
                false => "add depths to [grid], or compare accuracies: remove `quantity`",
            };
            return Err((format!("a slope needs several depths, but this arm has {}", list()), help.to_owned()));
        }
        if !is_of_slope && values.len() > 1 {
            let or = if setting == Setting::Depth { ", or compare slopes: quantity = \"slope\"" } else { "" };
            let message = format!("the trials of this arm differ in `{setting}`: {}", list());
            return Err((message, format!("add `{setting}` to the arm or to `where`{or}")));
        }
    }
    Ok(())
}

/// That no trial has these settings.
fn none(point: &Point) -> String {
    let settings: Vec<String> = point.iter().map(|(setting, value)| format!("{setting} = {value}")).collect();
    format!("no trial has {}", settings.join(", "))
}

/// Checks that two arms, each of which is sound, have no trial in common, and can be paired. The error has a suggested fix.
fn check_pair(contrast: &PlannedContrast, grid: &Grid) -> Result<(), (&'static str, &'static str)> {
    let [first, second] = contrast.whole_arms();
    let agree = first.iter().all(|(setting, value)| second.get(setting).is_none_or(|other| other == value));
    let both = joined(&first, &second);
    let is_of_both = |part: &Block| is_of(part, &first) && is_of(part, &second);
    if agree && grid.blocks().iter().filter_map(|block| block.with(&both)).any(|part| is_of_both(&part)) {
        return Err((
            "both arms have the same trials, or some of them",
            "name a setting in both arms that tells them apart",
        ));
    }
    if common(contrast, grid, Setting::Fold) == 0 {
        return Err((
            "the arms have no fold in common, so they cannot be paired",
            "give both arms the same folds in [grid]",
        ));
    }
    if contrast.quantity == Quantity::Slope && common(contrast, grid, Setting::Depth) < 2 {
        return Err(("a slope needs two depths that both arms have", "give both arms the same depths in [grid]"));
    }
    Ok(())
}

/// The number of values of a setting that both arms have.
fn common(contrast: &PlannedContrast, grid: &Grid, setting: Setting) -> usize {
    let [first, second] = contrast.whole_arms().map(|arm| values(&parts_of(&arm, grid), setting));
    first.iter().filter(|value| second.contains(value)).count()
}

/// The parts of the grid with the settings of an arm.
fn parts_of(arm: &Point, grid: &Grid) -> Vec<Block> {
    let parts = grid.blocks().iter().filter_map(|block| block.with(arm));
    parts.filter(|part| is_of(part, arm)).collect()
}

/// The different values of a setting in these blocks, as texts.
fn values(parts: &[Block], setting: Setting) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for text in parts.iter().flat_map(|part| texts(part, setting)) {
        if !values.contains(&text) {
            values.push(text);
        }
    }
    values
}

/// Whether the settings of an arm apply to the block, and those that an arm has to name are not set.
fn is_of(block: &Block, arm: &Point) -> bool {
    arm.keys().all(|&setting| block.uses(setting))
        && PLACE
            .into_iter()
            .filter(|&setting| is_unset_unless_named(setting) && !arm.contains_key(&setting))
            .all(|setting| block.values(setting).is_none() || !block.uses(setting))
}

/// The values of a setting in a block, as texts; none if it does not apply.
fn texts(block: &Block, setting: Setting) -> Vec<String> {
    if !block.uses(setting) {
        return Vec::new();
    }
    let values = block.values(setting).or_else(|| setting.default_value().map(|value| vec![value]));
    values.unwrap_or_default().iter().map(Value::to_string).collect()
}

/// Writes the margin of equivalence as TOML. It belongs to the top of a spec.
pub(super) fn write_margin(plan: &AnalysisPlan, text: &mut String) {
    let _fits = writeln!(text, "{EQUIVALENCE_MARGIN_KEY} = {:?}", plan.equivalence_margin);
}

/// Writes the planned contrasts as TOML.
pub(super) fn write_contrasts(plan: &AnalysisPlan, value: fn(&Value) -> String, text: &mut String) {
    let table = |point: &Point| {
        let entries: Vec<String> =
            point.iter().map(|(setting, one)| format!("{} = {}", setting.name(), value(one))).collect();
        format!("{{ {} }}", entries.join(", "))
    };
    for PlannedContrast { question, quantity, arms, shared } in &plan.contrasts {
        let _fits = writeln!(text, "\n[[{CONTRAST}]]");
        if let Some(question) = question {
            let _fits = writeln!(text, "question = {}", quoted(question));
        }
        if *quantity != Quantity::Accuracy {
            let _fits = writeln!(text, "quantity = {}", quoted(quantity.name()));
        }
        let _fits = writeln!(text, "arms = {}", list(arms.iter().map(table)));
        if !shared.is_empty() {
            let _fits = writeln!(text, "where = {}", table(shared));
        }
    }
}
