//! Settings as given → blocks that hold configurations only.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use super::error::Mistakes;
use super::read::Given;
use crate::configuration::Point;
use crate::grid::axis::{Axis, Dimension};
use crate::grid::{Block, common_point};
use crate::settings::{Condition, Level, Setting, Value};

/// What one setting is given, and where.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) given: Given,
    pub(super) span: Range<usize>,
    pub(super) place: String,
    /// Whether all blocks have it from one place.
    pub(super) shared: bool,
}

/// Axes that are to advance together.
#[derive(Debug, Clone)]
pub(super) struct Zip {
    pub(super) settings: Vec<Setting>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
}

/// Points to leave out: those that have, in every setting, one of its values.
#[derive(Debug, Clone)]
pub(super) struct Exclude {
    pub(super) settings: Vec<(Setting, Vec<Value>)>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
    pub(super) shared: bool,
}

/// One block as its author gave it, with what is common to all blocks.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) entries: BTreeMap<Setting, Entry>,
    pub(super) zips: Vec<Zip>,
    pub(super) excludes: Vec<Exclude>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
}

/// Builds the blocks of a sweep; mistakes are added, and what they touch is left out.
pub(super) fn build(drafts: &[Draft], mistakes: &mut Mistakes<'_>) -> Vec<Block> {
    let mut common = Common::default();
    let groups: Vec<Vec<Block>> = drafts.iter().map(|draft| build_one(draft, &mut common, mistakes)).collect();
    common.report_unused(mistakes);
    if mistakes.are_none() {
        report_duplicates(drafts, &groups, mistakes);
    }
    groups.into_iter().flatten().collect()
}

/// What all blocks share, and whether any of them has a use for it.
#[derive(Default)]
struct Common {
    unused: BTreeMap<usize, (Range<usize>, String, String, String)>,
    used: BTreeSet<usize>,
}

impl Common {
    fn note(&mut self, used: bool, span: &Range<usize>, place: &str, message: String, help: String) {
        if used {
            self.used.insert(span.start);
        } else {
            self.unused.insert(span.start, (span.clone(), place.to_owned(), message, help));
        }
    }

    fn report_unused(self, mistakes: &mut Mistakes<'_>) {
        for (start, (span, place, message, help)) in self.unused {
            if !self.used.contains(&start) {
                mistakes.add(&span, place, message, help);
            }
        }
    }
}

fn build_one(draft: &Draft, common: &mut Common, mistakes: &mut Mistakes<'_>) -> Vec<Block> {
    let missing: Vec<&str> = Setting::ALL
        .iter()
        .filter(|setting| setting.is_required() && !draft.entries.contains_key(setting))
        .map(|setting| setting.name())
        .collect();
    if !missing.is_empty() {
        let message = format!("{} not named", list_of(&missing));
        let help = "name it in [data] (dataset), in [grid] or in the block";
        mistakes.add(&draft.span, draft.place.clone(), message, help);
        return Vec::new();
    }
    check_conditions(draft, common, mistakes);
    let Some(block) = product(draft, mistakes) else { return Vec::new() };
    let mut rest = vec![block];
    for exclude in &draft.excludes {
        let mut without = Vec::new();
        let mut cut = false;
        for block in rest {
            match block.excluding(&exclude.settings) {
                Some(remainder) => {
                    cut = true;
                    without.extend(remainder);
                }
                None => without.push(block),
            }
        }
        rest = without;
        let (message, help) = ("this excludes no point", "mend its values, or leave it out");
        if exclude.shared {
            common.note(cut, &exclude.span, &exclude.place, message.to_owned(), help.to_owned());
        } else if !cut {
            mistakes.add(&exclude.span, exclude.place.clone(), message, help);
        }
    }
    if rest.is_empty() {
        let span = draft.excludes.last().map_or(&draft.span, |exclude| &exclude.span);
        mistakes.add(span, draft.place.clone(), "every point of the block is excluded", "leave the block out instead");
    }
    rest
}

fn list_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", quoted.join(", "))
}

/// The product of a draft's axes over its constants.
fn product(draft: &Draft, mistakes: &mut Mistakes<'_>) -> Option<Block> {
    let mut constants = Point::new();
    let mut axes: BTreeMap<Setting, Axis> = BTreeMap::new();
    for (&setting, entry) in &draft.entries {
        match &entry.given {
            Given::One(value) => drop(constants.insert(setting, value.clone())),
            Given::Many(axis) => drop(axes.insert(setting, axis.clone())),
            Given::Mistaken => return None,
        }
    }
    let mut dimensions = Vec::new();
    let mut sound = true;
    for zip in &draft.zips {
        match zipped(zip, draft, &mut axes) {
            Ok(dimension) => dimensions.push((dimension, zip.span.clone(), zip.place.clone())),
            Err((message, help)) => {
                mistakes.add(&zip.span, zip.place.clone(), message, help);
                sound = false;
            }
        }
    }
    for (setting, axis) in axes {
        let entry = &draft.entries[&setting];
        dimensions.push((Dimension::new(vec![(setting, axis)]), entry.span.clone(), entry.place.clone()));
    }
    for (dimension, span, place) in &dimensions {
        if let Some(values) = repeated(dimension) {
            let message = format!("the value {values} stands here twice");
            mistakes.add(span, place.clone(), message, "leave one of them out");
            sound = false;
        }
    }
    sound.then(|| Block::new(constants, dimensions.into_iter().map(|(dimension, ..)| dimension).collect()))
}

/// The values that stand twice on a dimension, in words. Ranges do not repeat themselves.
fn repeated(dimension: &Dimension) -> Option<String> {
    if dimension.axes().iter().any(|(_, axis)| matches!(axis, Axis::Range { .. })) {
        return None;
    }
    let mut seen = HashSet::new();
    let each = (0..dimension.len()).map(|digit| {
        let values: Vec<String> = dimension.values(digit).map(|(_, value)| value.to_string()).collect();
        values.join(" with ")
    });
    each.into_iter().find(|values| !seen.insert(values.clone()))
}

fn zipped(zip: &Zip, draft: &Draft, axes: &mut BTreeMap<Setting, Axis>) -> Result<Dimension, (String, String)> {
    let stops = zip.settings.iter().filter(|setting| setting.level() == Level::Stop).count();
    if stops > 0 && stops < zip.settings.len() {
        let message = "settings that say when to stop cannot advance together with others".to_owned();
        return Err((message, "write one block for each pair of values".to_owned()));
    }
    let mut group = Vec::new();
    for &setting in &zip.settings {
        let Some(axis) = axes.remove(&setting) else {
            let message = if draft.entries.contains_key(&setting) {
                format!("`{setting}` is no axis here, or is zipped twice")
            } else {
                format!("`{setting}` is not named in this block")
            };
            return Err((message, "zip names axes of the same block, each once".to_owned()));
        };
        group.push((setting, axis));
    }
    let lengths: BTreeSet<u64> = group.iter().map(|(_, axis)| axis.len()).collect();
    if lengths.len() > 1 {
        let each: Vec<String> = group.iter().map(|(setting, axis)| format!("`{setting}` has {}", axis.len())).collect();
        let message = format!("zipped axes are of different lengths: {}", each.join(", "));
        return Err((message, "give them the same number of values".to_owned()));
    }
    Ok(Dimension::new(group))
}

/// Every setting that is given is of use: an axis at every point, a constant at one at least.
fn check_conditions(draft: &Draft, common: &mut Common, mistakes: &mut Mistakes<'_>) {
    for (&setting, entry) in &draft.entries {
        let Some(condition) = setting.condition() else { continue };
        let (somewhere, everywhere) = use_of(draft, &condition);
        match entry.given {
            Given::Many(_) if somewhere && !everywhere => {
                let message = format!(
                    "the axis `{setting}` says nothing for some trials of this block: it belongs to {}",
                    condition.belongs_to
                );
                let help = format!("put those with another `{}` into a block of their own", condition.on);
                mistakes.add(&entry.span, entry.place.clone(), message, help);
            }
            Given::Mistaken => {}
            Given::One(_) | Given::Many(_) => {
                let message = format!("`{setting}` is of no use here: it belongs to {}", condition.belongs_to);
                let help = format!("leave it out, or mend `{}`", condition.on);
                if entry.shared && matches!(entry.given, Given::One(_)) {
                    common.note(somewhere, &entry.span, &entry.place, message, help);
                } else if !somewhere {
                    mistakes.add(&entry.span, entry.place.clone(), message, help);
                }
            }
        }
    }
}

/// Whether a condition holds at some point of the draft, and at all.
fn use_of(draft: &Draft, condition: &Condition) -> (bool, bool) {
    let holds = |value: Option<&Value>| (condition.holds)(value);
    let on = draft.entries.get(&condition.on).map(|entry| &entry.given);
    let each: Vec<bool> = match on {
        None => vec![holds(condition.on.default_value().as_ref())],
        Some(Given::One(value)) => vec![holds(Some(value))],
        Some(Given::Mistaken) => return (true, true),
        // Of a range, as of any long axis, one value tells for all: conditions look at names, or at presence.
        Some(Given::Many(axis @ Axis::Range { .. })) => vec![holds(Some(&axis.value(0)))],
        Some(Given::Many(Axis::List(values))) => values.iter().map(|value| holds(Some(value))).collect(),
    };
    (each.contains(&true), !each.contains(&false))
}

fn report_duplicates(drafts: &[Draft], groups: &[Vec<Block>], mistakes: &mut Mistakes<'_>) {
    for (later, blocks) in groups.iter().enumerate() {
        for (earlier, others) in groups[..later].iter().enumerate() {
            let pairs = blocks.iter().flat_map(|block| others.iter().map(move |other| (block, other)));
            if let Some(point) = pairs.into_iter().find_map(|(block, other)| common_point(block, other)) {
                let defaults = |setting: &Setting, value: &Value| setting.default_value().as_ref() == Some(value);
                let example: Vec<String> = point
                    .iter()
                    .filter(|(setting, value)| !defaults(setting, value))
                    .map(|(setting, value)| format!("{setting} = {value}"))
                    .collect();
                let (draft, other) = (&drafts[later], &drafts[earlier].place);
                let message = format!("{} and {other} share trials, such as {}", draft.place, example.join(", "));
                let help = "take the shared values out of one of them, or exclude them there";
                mistakes.add(&draft.span, draft.place.clone(), message, help);
            }
        }
    }
}
