//! Learning rules in sentences.

use std::collections::BTreeSet;

use biosweep_common::rules::{Descriptor, Rule};
use biosweep_common::settings::{Setting, Value};

use super::{generic, lower};
use crate::report::design::Design;

pub(super) fn sentences(design: &Design) -> Vec<String> {
    let parse = |value: &Value| match value {
        Value::Name(name) => name.parse().ok(),
        _ => None,
    };
    let rules: Vec<Rule> = design.values(Setting::Rule).into_iter().filter_map(parse).collect();
    let mut sentences: Vec<String> = rules.iter().map(|rule| of_rule(rule.descriptor())).collect();
    let used: BTreeSet<&str> = rules.iter().flat_map(|rule| rule.descriptor().hyperparameters).copied().collect();
    let settings = Setting::ALL.iter().filter(|setting| used.contains(setting.name()));
    sentences.extend(settings.filter_map(|&setting| generic(design, setting)));
    sentences
}

/// `fa is feedback alignment (Lillicrap et al. 2016): errors return through fixed random weights.`
fn of_rule(rule: &Descriptor) -> String {
    let Descriptor { name, title, citation, summary, .. } = rule;
    format!("{name} is {} ({citation}): {summary}.", lower(title))
}
