//! The design of a sweep: the values of each setting in each block.
//!
//! A grid may be too large to list. So only the first values of an axis are kept, with their number.

use std::collections::BTreeSet;

use biosweep_common::grid::axis::Axis;
use biosweep_common::grid::{Block, Grid};
use biosweep_common::settings::{Setting, Value};

use super::combinations::{Combination, NAMING};
use super::record::Record;
use super::words;

/// Maximum number of values that are listed one by one.
const LISTED_MAX: usize = 12;
/// Maximum number of blocks that are described one by one. Exclusions can divide a grid into many.
const BLOCKS_MAX: usize = 12;

/// The values of all settings.
pub(super) struct Design {
    pub(super) blocks: Vec<Part>,
    /// What distinguishes each block, such as `for relu`; empty for a single block.
    labels: Vec<String>,
    /// Whether the trials are every combination of the values of their block.
    pub(super) is_complete: bool,
}

/// The values of settings in one block.
pub(super) struct Part {
    pub(super) settings: Vec<(Setting, Values)>,
    pub(super) trials: u64,
}

/// The values of a setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values {
    /// The first of them.
    pub(super) listed: Vec<Value>,
    last: Value,
    pub(super) count: u64,
    /// Whether they are whole numbers without gaps, in ascending order.
    is_run: bool,
}

impl Design {
    /// The design of a spec.
    pub(super) fn of_grid(grid: &Grid) -> Self {
        let blocks: Vec<Part> = grid.blocks().iter().map(of_block).collect();
        Self::of(blocks, true)
    }

    /// The design that results show. Results of several blocks have several blocks here, too.
    pub(super) fn of_results(record: &Record) -> Self {
        let part = |one: &Combination| Part {
            settings: one.values().filter_map(|(setting, values)| Some((setting, Values::of_list(values)?))).collect(),
            trials: one.trials,
        };
        let blocks = record.combinations.joined().iter().map(part).collect();
        Self::of(blocks, record.combinations.are_complete())
    }

    fn of(blocks: Vec<Part>, is_complete: bool) -> Self {
        let is_complete = is_complete && blocks.len() <= BLOCKS_MAX;
        let trials = blocks.iter().map(|block| block.trials).sum();
        let blocks = if blocks.len() > BLOCKS_MAX { vec![union(&blocks, trials)] } else { blocks };
        let labels = labels(&blocks);
        Self { blocks, labels, is_complete }
    }

    /// The first values of a setting in any block, each once.
    pub(super) fn values(&self, setting: Setting) -> Vec<&Value> {
        let mut seen = BTreeSet::new();
        let all = self.blocks.iter().filter_map(|block| block.values(setting)).flat_map(|values| &values.listed);
        all.filter(|value| seen.insert(value.to_string())).collect()
    }

    /// The values of a setting in words. If blocks differ, each group of values names its blocks, but not for the settings that
    /// give blocks their names. `None` if the setting applies to no trial.
    pub(super) fn text(&self, setting: Setting) -> Option<String> {
        if NAMING.contains(&setting) {
            let texts: Vec<String> = self.values(setting).into_iter().map(|one| words::value(setting, one)).collect();
            return (!texts.is_empty()).then(|| words::choice(&texts));
        }
        self.by_block(setting, |values| values.text(setting))
    }

    /// The same for values that all belong together, such as folds: `0, 1 and 5`.
    pub(super) fn together(&self, setting: Setting) -> Option<String> {
        self.by_block(setting, |values| values.joined(setting, words::list))
    }

    fn by_block(&self, setting: Setting, text: impl Fn(&Values) -> String) -> Option<String> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (place, block) in self.blocks.iter().enumerate() {
            let Some(values) = block.values(setting) else { continue };
            let text = text(values);
            match groups.iter_mut().find(|(other, _)| *other == text) {
                Some((_, places)) => places.push(place),
                None => groups.push((text, vec![place])),
            }
        }
        let texts: Vec<String> = groups
            .iter()
            .map(|(text, places)| match places.len() == self.blocks.len() {
                true => text.clone(),
                false => {
                    let labels: Vec<&str> = places.iter().map(|&place| self.labels[place].as_str()).collect();
                    format!("{text} ({})", words::list(&labels))
                }
            })
            .collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// The only value of a setting in all blocks.
    pub(super) fn single(&self, setting: Setting) -> Option<&Value> {
        match self.values(setting).as_slice() {
            [one] if self.blocks.iter().all(|block| block.values(setting).is_some_and(|values| values.count == 1)) => {
                Some(one)
            }
            _ => None,
        }
    }

    /// The settings that vary within a block or between blocks, in the order of a grid's index.
    pub(super) fn axes(&self) -> Vec<Setting> {
        let applies = |setting: Setting| self.blocks.iter().any(|block| block.values(setting).is_some());
        Setting::ALL.iter().copied().filter(|&one| applies(one) && self.single(one).is_none()).collect()
    }

    /// What distinguishes a block from the others; empty for a single block.
    pub(super) fn label(&self, place: usize) -> &str {
        &self.labels[place]
    }

    /// Number of trials.
    pub(super) fn trials(&self) -> u64 {
        self.blocks.iter().map(|block| block.trials).sum()
    }
}

impl Part {
    pub(super) fn values(&self, setting: Setting) -> Option<&Values> {
        self.settings.iter().find(|(other, _)| *other == setting).map(|(_, values)| values)
    }
}

impl Values {
    fn one(value: Value) -> Self {
        Self { last: value.clone(), listed: vec![value], count: 1, is_run: false }
    }

    fn of_list(values: &[Value]) -> Option<Self> {
        let mut seen = BTreeSet::new();
        let values: Vec<&Value> = values.iter().filter(|value| seen.insert(value.to_string())).collect();
        let is_next =
            |pair: &[&Value]| matches!(pair, [Value::Integer(a), Value::Integer(b)] if a.checked_add(1) == Some(*b));
        Some(Self {
            listed: values.iter().take(LISTED_MAX).map(|&value| value.clone()).collect(),
            last: (*values.last()?).clone(),
            count: values.len() as u64,
            is_run: values.windows(2).all(is_next),
        })
    }

    /// The values in words: `5 to 10`, `0.1, 0.01 or 0.001`, or the first ones and the last one.
    pub(super) fn text(&self, setting: Setting) -> String {
        self.joined(setting, words::choice)
    }

    /// The same for an entry of a table: `0.1, 0.01, 0.001`.
    pub(super) fn entry(&self, setting: Setting) -> String {
        self.joined(setting, |listed| listed.join(", "))
    }

    fn joined(&self, setting: Setting, join: impl Fn(&[String]) -> String) -> String {
        let text = |value: &Value| words::value(setting, value);
        if self.count > 2 && self.is_run {
            return format!("{} to {}", text(&self.listed[0]), text(&self.last));
        }
        let listed: Vec<String> = self.listed.iter().map(text).collect();
        if self.count <= listed.len() as u64 {
            return join(&listed);
        }
        format!("{}, …, {} ({} values)", listed[..3].join(", "), text(&self.last), words::number(self.count))
    }
}

fn of_block(block: &Block) -> Part {
    let settings = Setting::ALL.iter().filter_map(|&setting| Some((setting, values(block, setting)?))).collect();
    Part { settings, trials: block.trials() }
}

/// The values of a setting in a block; `None` if it applies to none of its trials.
fn values(block: &Block, setting: Setting) -> Option<Values> {
    if let Some(condition) = setting.condition() {
        let on = values(block, condition.on);
        let holds = match &on {
            Some(values) => values.listed.iter().any(|value| (condition.holds)(Some(value))),
            None => (condition.holds)(None),
        };
        if !holds {
            return None;
        }
    }
    let Some(dimension) = block.dimensions().iter().find(|dimension| dimension.axis(setting).is_some()) else {
        return block.constants().get(&setting).cloned().or_else(|| setting.default_value()).map(Values::one);
    };
    let places = || dimension.places().iter().cloned().flatten();
    match dimension.axis(setting)? {
        axis @ Axis::List(_) => Values::of_list(&places().map(|place| axis.value(place)).collect::<Vec<_>>()),
        axis @ Axis::Range { step, .. } => Some(Values {
            listed: places().take(LISTED_MAX).map(|place| axis.value(place)).collect(),
            last: axis.value(dimension.places().last()?.end - 1),
            count: dimension.len(),
            is_run: *step == 1 && dimension.places().len() == 1,
        }),
    }
}

/// All blocks as one.
fn union(blocks: &[Part], trials: u64) -> Part {
    let all = |setting: Setting| {
        let parts: Vec<&Values> = blocks.iter().filter_map(|block| block.values(setting)).collect();
        match parts.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => Some((*first).clone()),
            parts => Values::of_list(&parts.iter().flat_map(|values| values.listed.clone()).collect::<Vec<_>>()),
        }
    };
    let settings = Setting::ALL.iter().filter_map(|&setting| Some((setting, all(setting)?))).collect();
    Part { settings, trials }
}

/// Names for blocks: by the rules, networks, activations and datasets that differ, otherwise by number.
fn labels(blocks: &[Part]) -> Vec<String> {
    if blocks.len() < 2 {
        return vec![String::new(); blocks.len()];
    }
    let text = |block: &Part, setting: Setting| block.values(setting).map(|values| values.text(setting));
    let differing: Vec<Setting> = NAMING
        .into_iter()
        .filter(|&one| blocks.iter().any(|block| text(block, one) != text(&blocks[0], one)))
        .collect();
    let name = |block: &Part| {
        let parts: Vec<String> = differing.iter().filter_map(|&setting| text(block, setting)).collect();
        format!("for {}", parts.join(" with "))
    };
    let names: Vec<String> = blocks.iter().map(name).collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    if !differing.is_empty() && distinct.len() == names.len() {
        return names;
    }
    (1..=blocks.len()).map(|number| format!("in block {number}")).collect()
}
