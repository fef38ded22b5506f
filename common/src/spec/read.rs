//! From nodes to values of settings, each checked against its setting's domain.

use super::document::node::{Key, Kind, Node};
use super::document::notation::{how_to_write, meant, write};
use super::error::{ErrorList, Limits, nearest, unknown};
use super::execution;
use crate::grid::axis::Axis;
use crate::settings::{Domain, Setting, Value};
use crate::vocabulary::Dataset;
use crate::vocabulary::dataset::{CustomData, DatasetRef};

/// The keys of the analysis plan, at the top of a spec.
pub(super) const ANALYSIS_KEYS: [&str; 2] = ["equivalence_margin", "contrast"];

/// Maximum number of values of a logarithmic range.
const LOG_COUNT_MAX: u64 = 10_000;

/// The value of a setting in a table: one value or an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    One(Value),
    Many(Axis),
    /// An error, which is already reported.
    Wrong,
}

/// The setting of a key; adds an error if there is none with this name.
pub(super) fn setting(key: &Key, place: &str, also: &[&'static str], errors: &mut ErrorList<'_>) -> Option<Setting> {
    let found = Setting::from_name(&key.name);
    if found.is_none() && (key.name == "name" || is_of_sweep(&key.name)) {
        let message = format!("`{}` is not a setting of trials", key.name);
        errors.add(&key.span, place, message, "move it to the top of the file, outside every table");
    } else if found.is_none() {
        let known = Setting::ALL.iter().map(|setting| setting.name()).chain(also.iter().copied());
        unknown(key, place, "setting", known, errors);
    }
    found
}

fn is_of_sweep(key: &str) -> bool {
    execution::KEYS.iter().chain(&ANALYSIS_KEYS).any(|known| *known == key)
}

/// Reads the value of a setting.
pub(super) fn given(setting: Setting, node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Given {
    if is_wrapped(setting, node, place, errors) {
        return Given::Wrong;
    }
    let given = match &node.kind {
        // A list is an axis, except for a setting whose values are lists.
        Kind::List(items) if setting.domain() != Domain::Layers || holds_lists(items) => {
            list(setting, node, items, place, errors).map(Given::Many)
        }
        Kind::Table(_) if setting.domain() == Domain::Dataset => value(setting, node, place, errors).map(Given::One),
        Kind::Table(entries) => range(setting, node, entries, place, errors).map(Given::Many),
        _ => value(setting, node, place, errors).map(Given::One),
    };
    given.unwrap_or(Given::Wrong)
}

/// Whether the values are inside a table, as in specs of other programs. If so, adds an error.
fn is_wrapped(setting: Setting, node: &Node, place: &str, errors: &mut ErrorList<'_>) -> bool {
    let Kind::Table(entries) = &node.kind else { return false };
    let Some((key, inner)) = entries.iter().find(|(key, _)| ["value", "values"].contains(&key.name.as_str())) else {
        return false;
    };
    // The text as written, if it is short. The end of a list is not known in every format.
    let scalar = |node: &Node| match &node.kind {
        Kind::Table(_) | Kind::List(_) => None,
        _ => errors.line_at(&node.span),
    };
    let (what, written) = match &inner.kind {
        Kind::List(items) => {
            let items: Option<Vec<&str>> = items.iter().take(SHOWN_MAX + 1).map(scalar).collect();
            ("list", items.filter(|items| items.len() <= SHOWN_MAX).map(|items| format!("[{}]", items.join(", "))))
        }
        _ => ("value", scalar(inner).map(str::to_owned)),
    };
    let help = match written {
        Some(written) => format!("write the {what} itself: {written}"),
        None => format!("write the {what} itself, without `{}`", key.name),
    };
    let message = format!("`{setting}` has a table with `{}` in it", key.name);
    errors.add(&node.span, place, message, help);
    true
}

/// Maximum number of values of a list in a message.
const SHOWN_MAX: usize = 8;

fn holds_lists(items: &[Node]) -> bool {
    items.iter().any(|item| matches!(item.kind, Kind::List(_)))
}

/// Reads one value of a setting.
pub(super) fn value(setting: Setting, node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<Value> {
    let domain = setting.domain();
    let read = match &node.kind {
        Kind::Table(entries) if domain == Domain::Dataset => custom_data(entries),
        Kind::Text(text) if domain == Domain::Dataset => {
            text.parse::<Dataset>().ok().map(|dataset| Value::Name(dataset.name().into()))
        }
        Kind::Text(text) => Some(Value::Name(text.clone().into())),
        Kind::List(items) => items.iter().map(layer).collect::<Option<_>>().map(Value::Integers),
        kind => scalar(domain, kind),
    };
    let contains = |value: &Value| match errors.limits {
        Limits::Apply => domain.contains(value),
        Limits::Lifted => domain.contained(value),
    };
    if let Some(value) = &read
        && contains(value)
    {
        return read;
    }
    let help = match (&node.kind, domain) {
        (Kind::Text(text), Domain::Names(names)) => {
            nearest(text, names.iter().copied()).map(|near| format!("did you mean `{near}`? it takes {domain}"))
        }
        (Kind::Text(text), Domain::Dataset) => nearest(text, Dataset::NAMES.iter().copied())
            .map(|near| format!("did you mean `{near}`? it takes {domain}")),
        (Kind::List(items), Domain::Layers) => layers_meant(items).filter(|layers| domain.contains(layers)).map(write),
        (Kind::List(_), _) => Some(format!("an axis belongs in [grid] or a [[block]]; each of its values is {domain}")),
        (kind, _) => {
            let fits = |kind: &Kind| scalar(domain, kind).is_some_and(|value| domain.contains(&value));
            how_to_write(kind, fits)
        }
    };
    let help = help.unwrap_or_else(|| format!("it takes {domain}"));
    errors.add(&node.span, place, format!("`{setting}` cannot be {}", node.kind.describe()), help);
    None
}

/// Reads `{ idx = "DIR" }` or `{ npy = "DIR" }`.
fn custom_data(entries: &[(Key, Node)]) -> Option<Value> {
    let [(key, Node { kind: Kind::Text(place), .. })] = entries else { return None };
    let own = CustomData::parse(key.name.parse().ok()?, place);
    // Digests of specs and messages have one setting per line, so control characters are not allowed.
    let is_sound = !own.directory.is_empty() && !own.directory.chars().any(char::is_control);
    is_sound.then(|| Value::Name(DatasetRef::Custom(own).name()))
}

/// A number, true or false as a value of the domain.
fn scalar(domain: Domain, kind: &Kind) -> Option<Value> {
    match kind {
        Kind::Integer(number) if domain.is_real() => Some(Value::Real(*number as f64)),
        Kind::Integer(number) => u64::try_from(*number).ok().map(Value::Integer),
        // Adding zero turns a negative zero into a positive one, so both are printed and hashed as the same.
        Kind::Real(number) => Some(Value::Real(*number + 0.0)),
        Kind::Boolean(flag) => Some(Value::Flag(*flag)),
        _ => None,
    }
}

/// The layers of a list in which some are in quotes.
fn layers_meant(items: &[Node]) -> Option<Value> {
    let number = |item: &Node| layer(item).or_else(|| layer(&Node { kind: meant(&item.kind)?.0, ..item.clone() }));
    items.iter().map(number).collect::<Option<_>>().map(Value::Integers)
}

fn layer(node: &Node) -> Option<u64> {
    match node.kind {
        Kind::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

fn list(setting: Setting, node: &Node, items: &[Node], place: &str, errors: &mut ErrorList<'_>) -> Option<Axis> {
    if items.is_empty() {
        let help = format!("give it values, each {}", setting.domain());
        errors.add(&node.span, place, format!("the axis `{setting}` is empty"), help);
        return None;
    }
    let mut values = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        values.extend(value(setting, item, &format!("{place}[{index}]"), errors));
    }
    (values.len() == items.len()).then(|| progression(&values).unwrap_or(Axis::List(values)))
}

/// Whole numbers in equal ascending steps, as a range. It is shorter, and the same for every notation.
fn progression(values: &[Value]) -> Option<Axis> {
    let [Value::Integer(from), Value::Integer(second), ..] = values else { return None };
    let step = second.checked_sub(*from).filter(|&step| step > 0)?;
    let range = Axis::Range { from: *from, step, count: values.len() as u64 };
    let in_step = |pair: &[Value]| match pair {
        [Value::Integer(one), Value::Integer(next)] => next.checked_sub(*one) == Some(step),
        _ => false,
    };
    values.windows(2).all(in_step).then_some(range)
}

/// Reads `{ from, to, step }`, `{ from, count }` or `{ log_from, log_to, count }`.
fn range(
    setting: Setting,
    node: &Node,
    entries: &[(Key, Node)],
    place: &str,
    errors: &mut ErrorList<'_>,
) -> Option<Axis> {
    const KEYS: [&str; 6] = ["from", "to", "step", "count", "log_from", "log_to"];
    const FORMS: &str = "a range is { from, to, step }, { from, count } or { log_from, log_to, count }";
    let mut sound = true;
    for (key, _) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.name.as_str())) {
        unknown(key, &format!("{place}.{}", key.name), "part of a range", KEYS, errors);
        sound = false;
    }
    let part = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
    let (from, to, step, count) = (part("from"), part("to"), part("step"), part("count"));
    let axis = match (from, to, step, count, part("log_from"), part("log_to")) {
        (Some(from), Some(to), step, None, None, None) => stepped(setting, from, to, step, place, errors),
        (Some(from), None, None, Some(count), None, None) => counted(setting, from, count, place, errors),
        (None, None, None, Some(count), Some(from), Some(to)) => spread(setting, from, to, count, place, errors),
        _ if sound => {
            errors.add(&node.span, place, format!("`{setting}` has a table that is not a range"), FORMS);
            None
        }
        _ => None,
    };
    axis.filter(|_| sound)
}

/// Reads a count or a step: a whole number of at least 1.
fn at_least_one(node: &Node, place: String, what: &str, errors: &mut ErrorList<'_>) -> Option<u64> {
    match node.kind {
        Kind::Integer(number) if number >= 1 => u64::try_from(number).ok(),
        _ => {
            let message = format!("the {what} of a range cannot be {}", node.kind.describe());
            let help = how_to_write(&node.kind, |kind| matches!(kind, Kind::Integer(1..)));
            errors.add(&node.span, place, message, help.unwrap_or("it takes a whole number, at least 1".to_owned()));
            None
        }
    }
}

fn stepped(
    setting: Setting,
    from: &Node,
    to: &Node,
    step: Option<&Node>,
    place: &str,
    errors: &mut ErrorList<'_>,
) -> Option<Axis> {
    let (first, last) = ends(setting, from, to, ["from", "to"], place, errors)?;
    if !matches!(setting.domain(), Domain::Integer { .. }) {
        let help = "list its values, or write { log_from, log_to, count }";
        errors.add(&from.span, place, format!("`{setting}` cannot have a range of whole numbers"), help);
        return None;
    }
    let step = match step {
        Some(step) => at_least_one(step, format!("{place}.step"), "step", errors)?,
        None => 1,
    };
    let (Value::Integer(first), Value::Integer(last)) = (first, last) else { return None };
    if first > last {
        let help = format!("write {{ from = {last}, to = {first} }} or a list");
        errors.add(
            &to.span,
            format!("{place}.to"),
            format!("the range ends at {last}, before its start {first}"),
            help,
        );
        return None;
    }
    Some(Axis::Range { from: first, step, count: (last - first) / step + 1 })
}

fn counted(setting: Setting, from: &Node, count: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<Axis> {
    let first = value(setting, from, &format!("{place}.from"), errors);
    let length = at_least_one(count, format!("{place}.count"), "count", errors)?;
    let first = match first? {
        Value::Integer(first) => first,
        _ => {
            let help = "list its values, or write { log_from, log_to, count }";
            errors.add(&from.span, place, format!("`{setting}` cannot have a range of whole numbers"), help);
            return None;
        }
    };
    let last = first.checked_add(length - 1).map(Value::Integer);
    if last.is_none_or(|last| !setting.domain().contains(&last)) {
        let message = format!("a count of {length} from {first} exceeds the maximum of `{setting}`");
        errors.add(&count.span, format!("{place}.count"), message, format!("it takes {}", setting.domain()));
        return None;
    }
    Some(Axis::Range { from: first, step: 1, count: length })
}

/// Values with equal ratios, including both ends.
fn spread(
    setting: Setting,
    from: &Node,
    to: &Node,
    count: &Node,
    place: &str,
    errors: &mut ErrorList<'_>,
) -> Option<Axis> {
    if !setting.domain().is_real() {
        let help = "write { from, to, step } or a list";
        errors.add(&from.span, place, format!("`{setting}` cannot have a logarithmic range"), help);
        return None;
    }
    let ends = ends(setting, from, to, ["log_from", "log_to"], place, errors);
    let length = at_least_one(count, format!("{place}.count"), "count", errors)?;
    let (Value::Real(first), Value::Real(last)) = ends? else { return None };
    if first <= 0.0 || last <= 0.0 {
        let help = "both ends must be above 0";
        errors.add(&from.span, place, "a logarithmic range cannot reach 0", help);
        return None;
    }
    if length > LOG_COUNT_MAX || (length > 1) == (first == last) {
        let help = format!("give two different ends and a count from 2 to {LOG_COUNT_MAX}");
        errors.add(&count.span, format!("{place}.count"), "these ends and this count do not make a range", help);
        return None;
    }
    let ratio = (last / first).log10();
    let at = |index: u64| {
        let share = if length == 1 { 0.0 } else { index as f64 / (length - 1) as f64 };
        // Rounding to twelve digits gives exact powers of ten.
        let exact = 10_f64.powf(first.log10() + share * ratio);
        format!("{exact:.11e}").parse().unwrap_or(exact)
    };
    Some(Axis::List((0..length).map(at).map(Value::Real).collect()))
}

fn ends(
    setting: Setting,
    from: &Node,
    to: &Node,
    names: [&str; 2],
    place: &str,
    errors: &mut ErrorList<'_>,
) -> Option<(Value, Value)> {
    let first = value(setting, from, &format!("{place}.{}", names[0]), errors);
    let last = value(setting, to, &format!("{place}.{}", names[1]), errors);
    Some((first?, last?))
}
