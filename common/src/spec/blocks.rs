//! The sections of a spec → one checked product a block, less what it excludes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::error::Mistakes;
use super::names;
use super::sections::{ExcludedValues, Group, Line, Section, ZippedNames};
use super::values::{self, Given};
use crate::configuration::Point;
use crate::grid::{self, Axis, Block, Dimension, Product, Use, ValueKey};
use crate::settings::{Level, Setting};

/// Rows that a zipped group may have: they are compared one by one.
const ZIPPED_MAX: u64 = 100_000;
/// Stopping rules that a trajectory may have: they are held in memory together.
const RULES_MAX: u64 = 10_000;

/// The settings of one block: its own, and those of all blocks that it does not override.
pub(super) struct Draft<'a> {
    /// Where the block begins.
    pub(super) span: Range<usize>,
    pub(super) place: String,
    pub(super) lines: BTreeMap<Setting, &'a Line>,
    zips: Vec<&'a Group<ZippedNames>>,
    excludes: Vec<&'a Group<ExcludedValues>>,
    is_whole: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(common: &'a Section, own: Option<&'a Section>) -> Self {
        let of_block = own.unwrap_or(common);
        let sections = || [Some(common), own].into_iter().flatten();
        Self {
            span: of_block.span.clone(),
            place: of_block.place.clone(),
            lines: sections().flat_map(|section| &section.lines).map(|line| (line.setting, line)).collect(),
            zips: sections().flat_map(|section| &section.zips).collect(),
            excludes: sections().flat_map(|section| &section.excludes).collect(),
            is_whole: sections().all(|section| section.is_whole),
        }
    }

    /// The block; `None` once its mistakes are noted. What an exclusion has matched is noted under its place.
    pub(super) fn build(&self, matched: &mut HashSet<String>, mistakes: &mut Mistakes<'_>) -> Option<Block> {
        let groups = self.groups(mistakes);
        let mut constants = Point::new();
        let mut dimensions = Vec::new();
        let mut is_good = groups.is_some() && self.is_whole;
        for line in self.lines.values() {
            match &line.given {
                None => is_good = false,
                Some(Given::Constant(value)) => drop(constants.insert(line.setting, value.clone())),
                Some(Given::Axis(axis)) => {
                    let is_zipped = groups
                        .as_ref()
                        .is_none_or(|groups| groups.iter().any(|(group, _)| group.contains(&line.setting)));
                    if !is_zipped {
                        is_good &= !values::has_duplicates(axis, &line.node, &line.place, mistakes);
                        dimensions.push(Dimension { axes: vec![(line.setting, axis.clone())] });
                    }
                }
            }
        }
        let groups = groups.filter(|_| is_good)?;
        for (settings, span) in groups {
            dimensions.push(self.zipped(&settings, span, mistakes)?);
        }
        let is_required = |setting: &&Setting| setting.is_required() && !self.lines.contains_key(setting);
        if Setting::ALL.iter().any(|setting| is_required(&setting)) {
            return None;
        }
        let Some(whole) = Product::new(constants, dimensions) else {
            let message = "the block has more trials than 64 bits count";
            mistakes.add(&self.span, self.place.clone(), message, "shorten an axis, or write several sweeps");
            return None;
        };
        if whole.rules > RULES_MAX {
            let message = format!("{} stopping rules watch each trajectory", whole.rules);
            let help = format!(
                "at most {RULES_MAX} may; shorten the axes of early_stop_start, early_stop_patience or max_updates"
            );
            mistakes.add(&self.span, self.place.clone(), message, help);
            return None;
        }
        let parts = self.without_excluded(&whole, matched, mistakes)?;
        self.check_use(&parts, mistakes).then_some(Block { whole, parts })
    }

    /// The zipped groups, checked as far as their names go.
    fn groups(&self, mistakes: &mut Mistakes<'_>) -> Option<Vec<(Vec<Setting>, &Range<usize>)>> {
        let mut groups = Vec::new();
        let mut taken: HashSet<Setting> = HashSet::new();
        let mut is_good = true;
        for zip in &self.zips {
            let mut settings = Vec::new();
            for (name, span) in &zip.content {
                let mut refuse = |message: String, help: String| {
                    mistakes.add(span, zip.place.clone(), message, help);
                    is_good = false;
                };
                let Some(setting) = Setting::from_name(name) else {
                    let known = Setting::ALL.iter().map(|setting| setting.name());
                    refuse(format!("`{name}` is no setting"), names::suggestion(name, known));
                    continue;
                };
                match self.lines.get(&setting).map(|line| &line.given) {
                    None => refuse(
                        format!("`{name}` is zipped but not given"),
                        "give it as a list in this block".to_owned(),
                    ),
                    Some(Some(Given::Constant(_))) => {
                        refuse(
                            format!("`{name}` is zipped but has one value"),
                            "give it as a list, or take it out of the zip".to_owned(),
                        );
                    }
                    Some(_) if !taken.insert(setting) => {
                        refuse(
                            format!("`{name}` is zipped twice"),
                            "put all axes that advance together into one group".to_owned(),
                        );
                    }
                    Some(_) => settings.push(setting),
                }
            }
            let stops = settings.iter().filter(|setting| setting.level() == Level::Stop).count();
            if stops > 0 && stops < settings.len() {
                let message = "what says when to stop is zipped with what is trained";
                let help = "write one block for each row: trials that only stop differently share one training, which such a zip takes apart";
                mistakes.add(&zip.span, zip.place.clone(), message, help);
                is_good = false;
            }
            groups.push((settings, &zip.span));
        }
        is_good.then_some(groups)
    }

    /// The dimension of axes that advance together.
    fn zipped(&self, settings: &[Setting], span: &Range<usize>, mistakes: &mut Mistakes<'_>) -> Option<Dimension> {
        let axis = |setting: &Setting| match &self.lines[setting].given {
            Some(Given::Axis(axis)) => Some((*setting, axis.clone())),
            _ => None,
        };
        let axes: Vec<(Setting, Axis)> = settings.iter().filter_map(axis).collect();
        let count = axes.first()?.1.count();
        let place = format!("{}.zip", self.place);
        if axes.iter().any(|(_, axis)| axis.count() != count) {
            let lengths: Vec<String> =
                axes.iter().map(|(setting, axis)| format!("{setting} has {}", axis.count())).collect();
            mistakes.add(
                span,
                place,
                format!("zipped axes differ in length: {}", lengths.join(", ")),
                "give them as many values each",
            );
            return None;
        }
        if count > ZIPPED_MAX {
            let message = format!("the zipped axes have {count} values");
            mistakes.add(span, place, message, format!("zipped axes have at most {ZIPPED_MAX}; split the block"));
            return None;
        }
        let mut seen: HashMap<Vec<ValueKey>, u64> = HashMap::new();
        for row in 0..count {
            let key = axes.iter().map(|(_, axis)| ValueKey::of(&axis.get(row))).collect();
            if let Some(first) = seen.insert(key, row) {
                let values: Vec<String> =
                    axes.iter().map(|(setting, axis)| format!("{setting} = {}", axis.get(row))).collect();
                let message = format!("rows {first} and {row} of the zipped axes are the same: {}", values.join(", "));
                mistakes.add(span, place, message, "take one of them out");
                return None;
            }
        }
        Some(Dimension { axes })
    }

    fn without_excluded(
        &self,
        whole: &Product,
        matched: &mut HashSet<String>,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Vec<Product>> {
        let mut parts = vec![whole.clone()];
        for exclude in &self.excludes {
            let mut left = Vec::new();
            for part in parts {
                match grid::subtract(&part, &exclude.content) {
                    Ok(None) => left.push(part),
                    Ok(Some(smaller)) => {
                        matched.insert(exclude.place.clone());
                        left.extend(smaller);
                    }
                    Err(grid::TooFine) => {
                        let message = "this takes single values out of a very long range";
                        let help = "write the values that stay, as ranges in blocks of their own";
                        mistakes.add(&exclude.span, exclude.place.clone(), message, help);
                        return None;
                    }
                }
            }
            parts = left;
            if parts.is_empty() {
                let message = format!("nothing is left of {}", self.name());
                mistakes.add(
                    &exclude.span,
                    exclude.place.clone(),
                    message,
                    "exclude fewer points, or take the block out",
                );
                return None;
            }
        }
        Some(parts)
    }

    /// The block in words.
    pub(super) fn name(&self) -> String {
        if self.place == "grid" { "the grid".to_owned() } else { format!("`{}`", self.place) }
    }

    /// Whether every axis applies to all points, and every constant of the block itself to some.
    fn check_use(&self, parts: &[Product], mistakes: &mut Mistakes<'_>) -> bool {
        let mut is_good = true;
        for line in self.lines.values() {
            let Some(condition) = line.setting.condition() else { continue };
            let mut uses = parts.iter().map(|part| part.use_of(line.setting));
            let (is_wrong, help) = match line.given {
                Some(Given::Axis(_)) if uses.any(|used| used != Use::Everywhere) => (
                    true,
                    format!(
                        "not all points here are such; put those that are into a block of their own, or change `{}`",
                        condition.on
                    ),
                ),
                Some(Given::Constant(_)) if !line.is_common => {
                    (uses.all(|used| used == Use::Nowhere), format!("take it out, or change `{}`", condition.on))
                }
                _ => continue,
            };
            if is_wrong {
                let message = format!("`{}` belongs to {}", line.setting, condition.belongs_to);
                mistakes.add(&line.key_span, line.place.clone(), message, help);
                is_good = false;
            }
        }
        is_good
    }
}
