//! From the settings of a spec to blocks, every point of which is a configuration.
//!
//! | module | contents |
//! |---|---|
//! | here | the blocks: axes, zips, exclusions |
//! | `checks` | whether every setting has an effect, and every combination of values a meaning |
//! | `duplicates` | blocks that have a common trial |

mod checks;
mod duplicates;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

pub(super) use self::checks::use_of;
use self::checks::{check_combinations, check_conditions, check_resolutions};
pub(super) use self::duplicates::FEWER_BLOCKS;
use self::duplicates::{Written, report_duplicates};
use super::error::{ErrorList, Limits};
use super::read::Given;
use crate::configuration::Point;
use crate::grid::Block;
use crate::grid::axis::{Axis, Dimension, TooFine};
use crate::protocol::bounds::STOPPING_RULES_MAX;
use crate::settings::{Domain, Level, Setting};
use crate::vocabulary::Dataset;

/// The value of one setting, and its place in the spec.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) given: Given,
    pub(super) span: Range<usize>,
    pub(super) place: String,
    /// Whether it is common to all blocks.
    pub(super) shared: bool,
}

/// Axes that advance together.
#[derive(Debug, Clone)]
pub(super) struct Zip {
    pub(super) settings: Vec<Setting>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
}

/// Points to exclude: those that have one of the given values in every setting.
#[derive(Debug, Clone)]
pub(super) struct Exclude {
    pub(super) settings: Vec<(Setting, Axis)>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
    pub(super) shared: bool,
}

/// One block as written in the spec, together with the settings common to all blocks.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) entries: BTreeMap<Setting, Entry>,
    pub(super) zips: Vec<Zip>,
    pub(super) excludes: Vec<Exclude>,
    pub(super) span: Range<usize>,
    pub(super) place: String,
}

/// Builds the blocks of a sweep, with or without sharing. Errors are added to the list, and blocks with errors are left
/// out.
pub(super) fn build(drafts: &[Draft], share: bool, errors: &mut ErrorList<'_>) -> Vec<Block> {
    let mut common = Common::default();
    let mut groups = Vec::new();
    let mut blocks = 0;
    for draft in drafts {
        groups.push(build_one(draft, &mut common, share, errors));
        blocks += groups.last().map_or(0, Vec::len);
        if blocks > BLOCKS_MAX && errors.limits == Limits::Apply {
            let message = format!("the sweep has more than {BLOCKS_MAX} blocks, or its exclusions cut it into more");
            errors.add(&draft.span, draft.place.clone(), message, FEWER_BLOCKS);
            return Vec::new();
        }
    }
    common.report_unused(errors);
    if errors.are_none() {
        let written = drafts.iter().zip(&groups);
        let written = written.map(|(draft, blocks)| Written { place: &draft.place, span: &draft.span, blocks });
        report_duplicates(&written.collect::<Vec<_>>(), errors);
    }
    groups.into_iter().flatten().collect()
}

/// Maximum number of blocks that a sweep is written with, and of blocks that exclusions cut it into.
pub(super) const BLOCKS_MAX: usize = 2_000;
/// Maximum number of exclusions that apply to one block.
const EXCLUDES_MAX: usize = 1_000;

/// The settings common to all blocks, and whether each applies to any block.
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

    fn report_unused(self, errors: &mut ErrorList<'_>) {
        for (start, (span, place, message, help)) in self.unused {
            if !self.used.contains(&start) {
                errors.add(&span, place, message, help);
            }
        }
    }
}

fn build_one(draft: &Draft, common: &mut Common, share: bool, errors: &mut ErrorList<'_>) -> Vec<Block> {
    let are_axes_sound = check_axes(draft, errors);
    let is_missing = |setting: &&Setting| setting.is_required() && !draft.entries.contains_key(setting);
    let missing: Vec<Setting> = Setting::ALL.iter().filter(is_missing).copied().collect();
    if !missing.is_empty() {
        let (message, help) = (format!("{} missing", list_of(&missing)), how_to_name(&missing));
        errors.add(&draft.span, draft.place.clone(), message, help);
        return Vec::new();
    }
    check_conditions(draft, common, errors);
    check_resolutions(draft, errors);
    let Some(block) = product(draft, share, errors).filter(|_| are_axes_sound) else { return Vec::new() };
    let rest = excluded(draft, block, common, errors);
    if rest.is_empty() {
        let span = draft.excludes.last().map_or(&draft.span, |exclude| &exclude.span);
        let message = format!("every point of {} is excluded", draft.place);
        errors.add(span, draft.place.clone(), message, "exclude less, or remove the block");
    }
    check_combinations(draft, &rest, errors);
    rest
}

/// The parts of a block that remain after its exclusions.
fn excluded(draft: &Draft, block: Block, common: &mut Common, errors: &mut ErrorList<'_>) -> Vec<Block> {
    let is_limited = errors.limits == Limits::Apply;
    if is_limited && let Some(exclude) = draft.excludes.get(EXCLUDES_MAX) {
        let message = format!("{} has more than {EXCLUDES_MAX} exclusions", draft.place);
        let help = "list several values in one exclusion, or write the points as zipped lists (zip)";
        errors.add(&exclude.span, exclude.place.clone(), message, help);
        return vec![block];
    }
    let mut rest = vec![block];
    for exclude in &draft.excludes {
        if is_limited && rest.len() > BLOCKS_MAX {
            break;
        }
        let (mut left, mut cut) = (Vec::new(), false);
        for block in std::mem::take(&mut rest) {
            match block.excluding(&exclude.settings) {
                Ok(Some(remainder)) => {
                    cut = true;
                    left.extend(remainder);
                }
                Ok(None) => left.push(block),
                Err(TooFine { setting }) => {
                    cut = true;
                    let message = format!("this cuts the range of `{setting}` into too many pieces");
                    let help = "write the range with a step that omits those values";
                    errors.add(&exclude.span, exclude.place.clone(), message, help);
                    left.push(block);
                }
            }
        }
        rest = left;
        let (message, help) = ("this excludes no point", "fix its values, or remove it");
        if exclude.shared {
            common.note(cut, &exclude.span, &exclude.place, message.to_owned(), help.to_owned());
        } else if !cut {
            errors.add(&exclude.span, exclude.place.clone(), message, help);
        }
    }
    rest
}

fn list_of(settings: &[Setting]) -> String {
    let quoted: Vec<String> = settings.iter().map(|setting| format!("`{setting}`")).collect();
    let verb = if settings.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", quoted.join(", "))
}

fn how_to_name(missing: &[Setting]) -> String {
    let example = |setting: &Setting| match setting.domain() {
        Domain::Dataset => format!("{setting} = \"{}\"", Dataset::Mnist),
        Domain::Names(names) => format!("{setting} = \"{}\"", names.first().copied().unwrap_or_default()),
        _ => format!("{setting} = 5"),
    };
    let (data, grid): (Vec<Setting>, Vec<Setting>) = missing.iter().partition(|setting| **setting == Setting::Dataset);
    let lines = |settings: &[Setting]| settings.iter().map(example).collect::<Vec<_>>().join(", ");
    let under = |table: &str, settings: &[Setting]| {
        (!settings.is_empty()).then(|| format!("{} under [{table}]", lines(settings)))
    };
    let parts: Vec<String> = [under("data", &data), under("grid", &grid)].into_iter().flatten().collect();
    format!("add a line such as {}", parts.join(", and "))
}

/// Checks that no value is twice on an axis. For zipped axes, no combination may occur twice.
fn check_axes(draft: &Draft, errors: &mut ErrorList<'_>) -> bool {
    let mut sound = true;
    for (setting, entry) in &draft.entries {
        let is_zipped = draft.zips.iter().any(|zip| zip.settings.contains(setting));
        if let Given::Many(axis) = &entry.given
            && !is_zipped
        {
            let dimension = Dimension::new(vec![(*setting, axis.clone())]);
            sound &= check_dimension(&dimension, &entry.span, &entry.place, errors);
        }
    }
    sound
}

fn check_dimension(dimension: &Dimension, span: &Range<usize>, place: &str, errors: &mut ErrorList<'_>) -> bool {
    let repeated = repeated(dimension);
    if let Some(values) = &repeated {
        let message = format!("the value {values} is listed twice");
        errors.add(span, place.to_owned(), message, "remove one of them");
    }
    repeated.is_none()
}

/// The product of a draft's axes with its constants.
fn product(draft: &Draft, share: bool, errors: &mut ErrorList<'_>) -> Option<Block> {
    let mut constants = Point::new();
    let mut axes: BTreeMap<Setting, Axis> = BTreeMap::new();
    for (&setting, entry) in &draft.entries {
        match &entry.given {
            Given::One(value) => drop(constants.insert(setting, value.clone())),
            Given::Many(axis) => drop(axes.insert(setting, axis.clone())),
            Given::Wrong => return None,
        }
    }
    let mut dimensions = Vec::new();
    let mut sound = true;
    for zip in &draft.zips {
        match zipped(zip, draft, &mut axes) {
            Ok(dimension) => {
                sound &= check_dimension(&dimension, &zip.span, &zip.place, errors);
                dimensions.push(dimension);
            }
            Err((message, help)) => {
                errors.add(&zip.span, zip.place.clone(), message, help);
                sound = false;
            }
        }
    }
    dimensions.extend(axes.into_iter().map(|axis| Dimension::new(vec![axis])));
    if !sound {
        return None;
    }
    let block = Block::new(constants, dimensions);
    if share && block.checked_stops().is_none_or(|stops| stops > STOPS_MAX) {
        let message = format!("a trajectory of {} would have more than {STOPS_MAX} trials", draft.place);
        let help = "give early_stop_start, early_stop_patience and max_updates fewer values, or turn sharing off \
                    (share = false)";
        errors.add(&draft.span, draft.place.clone(), message, help);
        return None;
    }
    Some(block)
}

/// Maximum number of trials of one trajectory, because they are trained and sent together.
const STOPS_MAX: u64 = STOPPING_RULES_MAX as u64;

/// The repeated values of a dimension, as text; `None` if there are none. Ranges have no repeated values.
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
        let message = "settings of the stopping rule can be zipped only with each other".to_owned();
        return Err((message, "write one block for each pair of values".to_owned()));
    }
    let mut group = Vec::new();
    for &setting in &zip.settings {
        let Some(axis) = axes.remove(&setting) else {
            let message = match draft.entries.get(&setting).map(|entry| &entry.given) {
                Some(Given::Many(_)) => format!("`{setting}` is zipped twice"),
                Some(_) => format!("`{setting}` is not an axis in {}: it has one value", draft.place),
                None => format!("`{setting}` is not set in {}", draft.place),
            };
            return Err((message, "zip takes axes of the same block, each once".to_owned()));
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
