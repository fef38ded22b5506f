//! The settings of all trials as numbers: for each setting that varies, the place of its value in a short list.

use std::collections::HashMap;

use biosweep_common::grid::{Block, Grid};
use biosweep_common::settings::{Setting, Value};

/// A setting that varies between trials, with its values.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// The setting.
    pub(crate) setting: Setting,
    /// Its values in the order in which they are sorted. `None` stands for trials to which the setting does not apply.
    pub(crate) values: Vec<Option<Value>>,
}

/// A column: the place of each trial's value in [`Axis::values`].
#[derive(Debug)]
pub(super) struct Column {
    pub(super) axis: Axis,
    pub(super) places: Vec<u32>,
}

/// The columns of these settings for all trials of a grid, in the order of trials.
pub(super) fn columns(grid: &Grid, settings: &[Setting]) -> Vec<Column> {
    // The conditions of a setting depend on settings that come before it.
    let mut columns: Vec<Column> = settings.iter().map(|&setting| column(grid, setting)).collect();
    for i in 0..columns.len() {
        let Some(condition) = columns[i].axis.setting.condition() else { continue };
        let on = columns.iter().position(|column| column.axis.setting == condition.on);
        let holds: Vec<bool> = match on {
            Some(on) => columns[on].axis.values.iter().map(|value| (condition.holds)(value.as_ref())).collect(),
            None => Vec::new(),
        };
        let always =
            on.is_none().then(|| constant(grid, condition.on)).is_some_and(|value| (condition.holds)(value.as_ref()));
        let applies = |columns: &[Column], trial: usize| match on {
            Some(on) => holds[columns[on].places[trial] as usize],
            None => always,
        };
        if (0..columns[i].places.len()).all(|trial| applies(&columns, trial)) {
            continue;
        }
        let none = match columns[i].axis.values.iter().position(Option::is_none) {
            Some(place) => place as u32,
            None => {
                columns[i].axis.values.push(None);
                columns[i].axis.values.len() as u32 - 1
            }
        };
        for trial in 0..columns[i].places.len() {
            if !applies(&columns, trial) {
                columns[i].places[trial] = none;
            }
        }
    }
    columns
}

/// The value of a setting that does not vary.
fn constant(grid: &Grid, setting: Setting) -> Option<Value> {
    let value = grid.blocks().first().and_then(|block| block.raw_point(0).remove(&setting));
    value.or_else(|| setting.default_value())
}

/// The values of one setting, whether it applies to a trial or not.
fn column(grid: &Grid, setting: Setting) -> Column {
    let mut known = Values::default();
    let digits: Vec<(Vec<u32>, usize)> = grid.blocks().iter().map(|block| known.of_block(block, setting)).collect();
    let (values, new_places) = known.sorted();
    let mut places = Vec::with_capacity(usize::try_from(grid.trials()).unwrap_or_default());
    for (block, (of_digits, dimension)) in grid.blocks().iter().zip(&digits) {
        // A digit repeats for all combinations of the less significant dimensions.
        let less: u64 = block.dimensions().iter().skip(dimension + 1).map(|dimension| dimension.len()).product();
        let count = of_digits.len() as u64;
        places.extend((0..block.trials()).map(|index| {
            let digit = (index / less) % count;
            new_places[of_digits[digit as usize] as usize]
        }));
    }
    Column { axis: Axis { setting, values }, places }
}

/// Different values in the order in which they were met.
#[derive(Default)]
struct Values {
    values: Vec<Option<Value>>,
    index: HashMap<Option<String>, u32>,
}

impl Values {
    /// For each digit of the dimension with this setting, the place of its value; and the place of that dimension. A setting
    /// that is equal in the whole block has one digit, of the most significant of all dimensions.
    fn of_block(&mut self, block: &Block, setting: Setting) -> (Vec<u32>, usize) {
        let dimensions = block.dimensions();
        match dimensions.iter().position(|dimension| dimension.axis(setting).is_some()) {
            Some(place) => {
                let dimension = &dimensions[place];
                let value =
                    |digit| dimension.values(digit).find(|(other, _)| *other == setting).map(|(_, value)| value);
                ((0..dimension.len()).map(|digit| self.place(value(digit))).collect(), place)
            }
            None => {
                let value = block.constants().get(&setting).cloned().or_else(|| setting.default_value());
                (vec![self.place(value)], 0)
            }
        }
    }

    fn place(&mut self, value: Option<Value>) -> u32 {
        let next = self.values.len() as u32;
        let place = *self.index.entry(value.as_ref().map(Value::to_string)).or_insert(next);
        if place == next {
            self.values.push(value);
        }
        place
    }

    /// The values, numbers in ascending order and others as they were met; and the new place of each earlier one.
    fn sorted(self) -> (Vec<Option<Value>>, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        let number = |value: &Option<Value>| match value {
            Some(Value::Integer(number)) => *number as f64,
            Some(Value::Real(number)) => *number,
            Some(_) => 0.0,
            None => f64::INFINITY,
        };
        order.sort_by(|&a, &b| number(&self.values[a]).total_cmp(&number(&self.values[b])));
        let mut new_places = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            new_places[old] = new as u32;
        }
        (order.into_iter().map(|old| self.values[old].clone()).collect(), new_places)
    }
}
