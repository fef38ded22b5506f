//! The key `measure = [...]`: the values to measure for each layer.

use super::document::node::{Kind, Node};
use super::error::{ErrorList, nearest};
use crate::grid::{Block, Grid};
use crate::rules::{Rule, measured_in_words};
use crate::settings::{Setting, Value};
use crate::vocabulary::diagnostics::Measure;

/// The measures in a list; each must apply to some trial.
pub(super) fn read(node: &Node, place: &str, grid: &Grid, errors: &mut ErrorList<'_>) -> Vec<Measure> {
    let names = Measure::NAMES.join(", ");
    let Kind::List(items) = &node.kind else {
        let message = format!("`measure` cannot be {}", node.kind.describe());
        errors.add(&node.span, place, message, format!("it is a list of {names}"));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let measure = match &item.kind {
            Kind::Text(name) => name.parse::<Measure>().ok(),
            _ => None,
        };
        match measure {
            None => {
                let near = match &item.kind {
                    Kind::Text(name) => nearest(name, Measure::NAMES.iter().copied()),
                    _ => None,
                };
                let help = near.map(|near| format!("did you mean `{near}`? it takes {names}"));
                let message = format!("a measure cannot be {}", item.kind.describe());
                errors.add(&item.span, place, message, help.unwrap_or_else(|| format!("it takes {names}")));
            }
            Some(measure) if found.contains(&measure) => {
                errors.add(&item.span, place, format!("`{measure}` is listed twice"), "remove one of them");
            }
            Some(measure) if !grid.blocks().iter().any(|block| is_of_use(measure, block)) => {
                let message = format!("`{measure}` applies to no trial");
                errors.add(
                    &item.span,
                    place,
                    message,
                    format!("remove it: it applies to {}", measured_in_words(measure)),
                );
            }
            Some(measure) => found.push(measure),
        }
    }
    found.sort_unstable();
    found
}

/// Whether it applies to some trial of a block.
pub(super) fn is_of_use(measure: Measure, block: &Block) -> bool {
    let first = block.raw_point(0);
    let values = |setting: Setting| match block.values(setting) {
        Some(values) => values,
        None => first.get(&setting).cloned().or_else(|| setting.default_value()).into_iter().collect(),
    };
    let (rules, activations) = (values(Setting::Rule), values(Setting::Activation));
    let is_of_use = |rule: &Value, activation: &Value| match (rule, activation) {
        (Value::Name(rule), Value::Name(activation)) => {
            rule.parse().is_ok_and(|rule: Rule| activation.parse().is_ok_and(|act| rule.has_diagnostic(measure, act)))
        }
        _ => false,
    };
    rules.iter().any(|rule| activations.iter().any(|activation| is_of_use(rule, activation)))
}
