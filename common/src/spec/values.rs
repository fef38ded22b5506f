//! A node → the value of a setting, or all the values of an axis.

use std::collections::HashMap;
use std::ops::Range;

use super::error::Mistakes;
use super::names;
use super::node::{Data, Entry, Node};
use crate::grid::{Axis, Progression, ValueKey};
use crate::settings::{Domain, Setting, Value};

/// A range of quantities is written out in memory, so it has an end that a mistyped step meets.
const REALS_MAX: u64 = 1_000_000;

/// What a setting was given.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// One value.
    Constant(Value),
    /// Values to go through.
    Axis(Axis),
}

/// Reads what stands after a setting's name; `None` once the mistakes are noted.
pub(super) fn given(setting: Setting, node: &Node, place: &str, mistakes: &mut Mistakes<'_>) -> Option<Given> {
    let is_one_list = setting.domain() == Domain::Layers
        && matches!(&node.data, Data::List(values) if !values.iter().any(|value| matches!(value.data, Data::List(_))));
    match &node.data {
        Data::List(values) if !is_one_list => list(setting, node, values, place, mistakes).map(Given::Axis),
        Data::Table(entries) => range(setting, node, entries, place, mistakes).map(Given::Axis),
        _ => value(setting, node, place, mistakes).map(Given::Constant),
    }
}

/// Reads one value.
pub(super) fn value(setting: Setting, node: &Node, place: &str, mistakes: &mut Mistakes<'_>) -> Option<Value> {
    let domain = setting.domain();
    let value = match (&node.data, domain) {
        (Data::Text(text), Domain::Names(known)) => {
            if !known.contains(&text.as_str()) {
                let message = format!("unknown {setting} `{text}`");
                mistakes.add(&node.span, place, message, names::suggestion(text, known.iter().copied()));
                return None;
            }
            Some(Value::Name(text.clone()))
        }
        (Data::Integer(number), Domain::Integer { .. }) => u64::try_from(*number).ok().map(Value::Integer),
        (Data::Integer(number), domain) if domain.is_real() => Some(Value::Real(*number as f64)),
        (Data::Real(number), domain) if domain.is_real() => Some(Value::Real(number + 0.0)),
        (Data::List(layers), Domain::Layers) => {
            let layer = |node: &Node| match node.data {
                Data::Integer(number) => u64::try_from(number).ok(),
                _ => None,
            };
            layers.iter().map(layer).collect::<Option<_>>().map(Value::Integers)
        }
        _ => None,
    };
    let value = value.filter(|value| domain.contains(value));
    if value.is_none() {
        let message = format!("`{setting}` is {}", node.data.describe());
        mistakes.add(&node.span, place, message, value_help(setting, &node.data));
    }
    value
}

fn value_help(setting: Setting, data: &Data) -> String {
    let domain = setting.domain();
    match data {
        Data::Text(text) if text.replace('_', "").parse::<f64>().is_ok() => {
            format!("it takes {domain}; write the number {} without quotes and underscores", text.replace('_', ""))
        }
        _ => format!("it takes {domain}"),
    }
}

fn list(setting: Setting, node: &Node, values: &[Node], place: &str, mistakes: &mut Mistakes<'_>) -> Option<Axis> {
    if values.is_empty() {
        mistakes.add(&node.span, place, "the axis is empty", "give it at least one value, or take it out");
        return None;
    }
    // Every value is read, so that all the wrong ones are told at once.
    let read: Vec<Option<Value>> = values
        .iter()
        .enumerate()
        .map(|(index, node)| value(setting, node, &format!("{place}[{index}]"), mistakes))
        .collect();
    read.into_iter().collect::<Option<Vec<_>>>().map(Axis::of)
}

/// Notes the values that an axis names twice; `true` if there are any.
pub(super) fn has_duplicates(axis: &Axis, node: &Node, place: &str, mistakes: &mut Mistakes<'_>) -> bool {
    let Axis::List(values) = axis else { return false };
    let mut seen: HashMap<ValueKey, usize> = HashMap::new();
    let mut found = false;
    for (index, value) in values.iter().enumerate() {
        if let Some(first) = seen.insert(ValueKey::of(value), index) {
            let span = match &node.data {
                Data::List(nodes) => &nodes[index].span,
                _ => &node.span,
            };
            let message = format!("{value} stands twice on this axis, as value {first} and as value {index}");
            mistakes.add(span, format!("{place}[{index}]"), message, "take one of them out");
            found = true;
        }
    }
    found
}

const RANGE_HELP: &str = "write { from, to, step }, { from, count } or { log_from, log_to, count }";

/// The parts of a range as written.
#[derive(Default)]
struct Parts<'a>(HashMap<&'static str, &'a Node>);

const PARTS: [&str; 6] = ["from", "to", "step", "count", "log_from", "log_to"];

fn range(setting: Setting, node: &Node, entries: &[Entry], place: &str, mistakes: &mut Mistakes<'_>) -> Option<Axis> {
    let mut parts = Parts::default();
    let mut is_known = true;
    for entry in entries {
        match PARTS.into_iter().find(|known| *known == entry.key) {
            Some(known) => {
                parts.0.insert(known, &entry.value);
            }
            None => {
                let message = format!("unknown key `{}` in a range", entry.key);
                mistakes.add(&entry.key_span, place, message, names::suggestion(&entry.key, PARTS));
                is_known = false;
            }
        }
    }
    if !is_known {
        return None;
    }
    let names: Vec<&str> = PARTS.into_iter().filter(|name| parts.0.contains_key(name)).collect();
    let (domain, real) = (setting.domain(), setting.domain().is_real());
    if !real && !matches!(domain, Domain::Integer { .. }) {
        let message = format!("`{setting}` cannot be a range");
        mistakes.add(&node.span, place, message, format!("it takes {domain}; write a list of values"));
        return None;
    }
    match names.as_slice() {
        ["count", "log_from", "log_to"] if real => logarithmic(setting, &parts, place, mistakes),
        ["count", "log_from", "log_to"] => {
            let message = format!("`{setting}` takes whole numbers, which a logarithmic range seldom meets");
            mistakes.add(&node.span, place, message, "write its values as a list");
            None
        }
        ["from", "to"] | ["from", "to", "step"] | ["from", "count"] | ["from", "step", "count"] => {
            if real {
                linear(setting, &parts, place, mistakes)
            } else {
                whole(setting, &parts, node, place, mistakes)
            }
        }
        _ => {
            let message = match names.as_slice() {
                [] => "the range is empty".to_owned(),
                names => format!("{} do not make a range", names.join(", ")),
            };
            mistakes.add(&node.span, place, message, RANGE_HELP);
            None
        }
    }
}

impl Parts<'_> {
    fn span(&self, name: &str) -> Range<usize> {
        self.0[name].span.clone()
    }

    /// A part that has to be a value of the setting.
    fn value(&self, name: &str, setting: Setting, place: &str, mistakes: &mut Mistakes<'_>) -> Option<Value> {
        value(setting, self.0[name], &format!("{place}.{name}"), mistakes)
    }

    fn count(&self, place: &str, mistakes: &mut Mistakes<'_>) -> Option<u64> {
        self.whole("count", place, mistakes)
    }

    /// A whole number, at least 1.
    fn whole(&self, name: &str, place: &str, mistakes: &mut Mistakes<'_>) -> Option<u64> {
        let node = self.0[name];
        let number = match node.data {
            Data::Integer(number) => u64::try_from(number).ok().filter(|number| *number >= 1),
            _ => None,
        };
        if number.is_none() {
            let message = format!("`{name}` is {}", node.data.describe());
            mistakes.add(&node.span, format!("{place}.{name}"), message, "it takes a whole number, at least 1");
        }
        number
    }

    fn falls(&self, names: [&str; 2], place: &str, mistakes: &mut Mistakes<'_>) {
        let [from, to] = names;
        let message = format!("`{from}` lies above `{to}`, so the range is empty");
        mistakes.add(&self.span(from), format!("{place}.{from}"), message, "swap them; ranges rise");
    }
}

fn whole(setting: Setting, parts: &Parts<'_>, node: &Node, place: &str, mistakes: &mut Mistakes<'_>) -> Option<Axis> {
    let integer = |value: Value| match value {
        Value::Integer(number) => Some(number),
        _ => None,
    };
    let has = |name| parts.0.contains_key(name);
    let from = parts.value("from", setting, place, mistakes).and_then(integer);
    let step = if has("step") { parts.whole("step", place, mistakes) } else { Some(1) };
    let count = if has("to") {
        let to = parts.value("to", setting, place, mistakes).and_then(integer)?;
        let Some(distance) = to.checked_sub(from?) else {
            parts.falls(["from", "to"], place, mistakes);
            return None;
        };
        distance / step? + 1
    } else {
        parts.count(place, mistakes)?
    };
    let (from, step) = (from?, step?);
    let last = (count - 1).checked_mul(step).and_then(|distance| from.checked_add(distance));
    if !last.is_some_and(|last| setting.domain().contains(&Value::Integer(last))) {
        let message = match last {
            Some(last) => format!("the range ends at {last}"),
            None => "the range ends beyond all numbers".to_owned(),
        };
        mistakes.add(&node.span, place, message, format!("`{setting}` takes {}", setting.domain()));
        return None;
    }
    if count <= 1_000 {
        // The one form that the same values have when they are written as a list.
        return Some(Axis::of((0..count).map(|row| Value::Integer(from + row * step)).collect()));
    }
    Some(Axis::Ranges(vec![Progression { from, step, count }]))
}

fn linear(setting: Setting, parts: &Parts<'_>, place: &str, mistakes: &mut Mistakes<'_>) -> Option<Axis> {
    let real = |value: Value| match value {
        Value::Real(number) => Some(number),
        _ => None,
    };
    let has = |name| parts.0.contains_key(name);
    let from = parts.value("from", setting, place, mistakes).and_then(real);
    let step = if has("step") { positive("step", parts, place, mistakes) } else { Some(1.0) };
    let count = if has("to") {
        let to = parts.value("to", setting, place, mistakes).and_then(real)?;
        if from? > to {
            parts.falls(["from", "to"], place, mistakes);
            return None;
        }
        // A hair above the quotient, so that 0.1 to 0.3 by 0.1 has its three values.
        (((to - from?) / step?) * (1.0 + 1e-12) + 1e-9).floor().min(1e18) as u64 + 1
    } else {
        parts.count(place, mistakes)?
    };
    let (from, step) = (from?, step?);
    reals(setting, count, |row| from + row as f64 * step, parts.span("from"), place, mistakes)
}

fn logarithmic(setting: Setting, parts: &Parts<'_>, place: &str, mistakes: &mut Mistakes<'_>) -> Option<Axis> {
    let from = positive("log_from", parts, place, mistakes);
    let to = positive("log_to", parts, place, mistakes);
    let count = parts.count(place, mistakes)?;
    let (from, to) = (from?, to?);
    if from >= to {
        parts.falls(["log_from", "log_to"], place, mistakes);
        return None;
    }
    if count < 2 {
        let message = "`count` is 1, but a logarithmic range holds both its ends";
        mistakes.add(&parts.span("count"), format!("{place}.count"), message, "give it at least 2, or write one value");
        return None;
    }
    let exponent = (to / from).ln() / (count - 1) as f64;
    let at = |row| if row == count - 1 { to } else { from * (exponent * row as f64).exp() };
    reals(setting, count, at, parts.span("log_from"), place, mistakes)
}

fn positive(name: &str, parts: &Parts<'_>, place: &str, mistakes: &mut Mistakes<'_>) -> Option<f64> {
    let node = parts.0[name];
    let number = match node.data {
        Data::Integer(number) => number as f64,
        Data::Real(number) => number,
        _ => f64::NAN,
    };
    if number.is_finite() && number > 0.0 {
        return Some(number);
    }
    let message = format!("`{name}` is {}", node.data.describe());
    mistakes.add(&node.span, format!("{place}.{name}"), message, "it takes a finite number above 0");
    None
}

fn reals(
    setting: Setting,
    count: u64,
    at: impl Fn(u64) -> f64,
    span: Range<usize>,
    place: &str,
    mistakes: &mut Mistakes<'_>,
) -> Option<Axis> {
    if count > REALS_MAX {
        let message = format!("the range has {count} values");
        mistakes.add(
            &span,
            place,
            message,
            format!("a range of quantities has at most {REALS_MAX}; take a wider step"),
        );
        return None;
    }
    // Twelve digits, so that 0.1 + 2 · 0.1 is the 0.3 that a person would write.
    let tidy = |number: f64| format!("{number:.11e}").parse().unwrap_or(number);
    let values: Vec<Value> = (0..count).map(|row| Value::Real(tidy(at(row)))).collect();
    match values.iter().find(|value| !setting.domain().contains(value)) {
        None => Some(Axis::of(values)),
        Some(value) => {
            let message = format!("the range holds {value}");
            mistakes.add(&span, place, message, format!("`{setting}` takes {}", setting.domain()));
            None
        }
    }
}
