//! Reads a table of settings, with its zips and exclusions.

use std::collections::BTreeMap;

use super::BESIDE_TRAINING;
use crate::grid::axis::Axis;
use crate::settings::Setting;
use crate::spec::blocks::{Entry, Exclude, Zip};
use crate::spec::document::node::{Key, Kind, Node};
use crate::spec::error::ErrorList;
use crate::spec::read::{self, Given};

const BESIDE_SETTINGS: [&str; 2] = ["zip", "exclude"];

/// The content of a table, or of all tables common to the blocks.
#[derive(Debug, Clone, Default)]
pub(in crate::spec) struct Shared {
    pub(in crate::spec) entries: BTreeMap<Setting, Entry>,
    pub(in crate::spec) zips: Vec<Zip>,
    pub(in crate::spec) excludes: Vec<Exclude>,
}

impl Shared {
    /// The number of values in its lists and exclusions.
    pub(super) fn listed(&self) -> usize {
        let listed = |axis: &Axis| if let Axis::List(values) = axis { values.len() } else { 1 };
        let entries =
            self.entries.values().map(|entry| if let Given::Many(axis) = &entry.given { listed(axis) } else { 1 });
        let excluded = self.excludes.iter().flat_map(|exclude| &exclude.settings).map(|(_, axis)| listed(axis));
        let zipped = self.zips.iter().map(|zip| zip.settings.len());
        entries.chain(excluded).chain(zipped).sum()
    }

    /// Reads a table of constants: of the given settings, or of any.
    pub(super) fn constants(&mut self, node: &Node, name: &str, only: Option<&[Setting]>, errors: &mut ErrorList<'_>) {
        for (key, node) in table(node, name, errors) {
            let place = format!("{name}.{}", key.name);
            let also: &[&str] = if only.is_none() { &BESIDE_TRAINING } else { &[] };
            if also.contains(&key.name.as_str()) {
                continue;
            }
            let Some(setting) = read::setting(key, &place, also, errors) else { continue };
            if only.is_some_and(|only| !only.contains(&setting)) {
                let message = format!("`{setting}` does not belong in [{name}]");
                errors.add(&key.span, place, message, "move it to [train] or [grid]");
                continue;
            }
            let mut given = read::given(setting, node, &place, errors);
            if let Given::Many(_) = given {
                let message = format!("[{name}] has one value for each setting, but `{setting}` has several");
                errors.add(&node.span, place.clone(), message, "move it to [grid] or into a [[block]]");
                given = Given::Wrong;
            }
            self.constant(setting, Entry { given, span: node.span.clone(), place, shared: true }, errors);
        }
    }

    /// Adds a constant that is common to all blocks. It may be set at one place only.
    pub(super) fn constant(&mut self, setting: Setting, entry: Entry, errors: &mut ErrorList<'_>) {
        if let Some(other) = self.entries.get(&setting) {
            let message = format!("`{setting}` is set twice, here and at {}", other.place);
            errors.add(&entry.span, entry.place, message, "remove one of them");
            return;
        }
        self.entries.insert(setting, entry);
    }

    /// Reads a table of constants and axes, with its `zip` and `exclude`.
    pub(super) fn table(&mut self, node: &Node, name: &str, shared: bool, errors: &mut ErrorList<'_>) {
        for (key, node) in table(node, name, errors) {
            let place = format!("{name}.{}", key.name);
            match key.name.as_str() {
                "zip" => self.zips.extend(read_zips(node, &place, errors)),
                "exclude" => self.excludes.extend(read_excludes(node, &place, shared, errors)),
                _ => {
                    let Some(setting) = read::setting(key, &place, &BESIDE_SETTINGS, errors) else { continue };
                    let given = read::given(setting, node, &place, errors);
                    self.entries.insert(setting, Entry { given, span: node.span.clone(), place, shared });
                }
            }
        }
    }
}

/// The entries of a table; adds an error if the node is not a table.
fn table<'a>(node: &'a Node, place: &str, errors: &mut ErrorList<'_>) -> &'a [(Key, Node)] {
    if let Kind::Table(entries) = &node.kind {
        return entries;
    }
    let message = format!("`{place}` cannot be {}", node.kind.describe());
    errors.add(&node.span, place, message, "it is a table of settings");
    &[]
}

/// The items of a list; adds an error if the node is not a list.
fn items<'a>(node: &'a Node, place: &str, what: &str, errors: &mut ErrorList<'_>) -> Option<&'a [Node]> {
    if let Kind::List(items) = &node.kind {
        return Some(items);
    }
    let message = format!("`{place}` cannot be {}", node.kind.describe());
    errors.add(&node.span, place, message, format!("it is a list of {what}"));
    None
}

fn read_zips(node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Vec<Zip> {
    const FORM: &str = "lists of names, such as [[\"depth\", \"learning_rate\"]]";
    let mut zips = Vec::new();
    for (index, group) in items(node, place, FORM, errors).unwrap_or_default().iter().enumerate() {
        let place = format!("{place}[{index}]");
        let mut settings = Vec::new();
        let Some(names) = items(group, &place, "names of axes, such as [\"depth\", \"learning_rate\"]", errors) else {
            continue;
        };
        for name in names {
            let Kind::Text(text) = &name.kind else {
                let message = format!("a zipped axis cannot be {}", name.kind.describe());
                errors.add(&name.span, place.clone(), message, "zip takes names of axes");
                continue;
            };
            let key = Key { span: name.span.clone(), name: text.clone() };
            settings.extend(read::setting(&key, &place, &[], errors));
        }
        if names.len() < 2 {
            errors.add(&group.span, place, "fewer than two axes are zipped", "list two or more, or remove zip");
        } else if settings.len() >= 2 {
            zips.push(Zip { settings, span: group.span.clone(), place });
        }
    }
    zips
}

fn read_excludes(node: &Node, place: &str, shared: bool, errors: &mut ErrorList<'_>) -> Vec<Exclude> {
    const FORM: &str = "tables, such as [{ network = \"nn\", depth = [9, 10] }]";
    let mut excludes = Vec::new();
    for (index, item) in items(node, place, FORM, errors).unwrap_or_default().iter().enumerate() {
        let place = format!("{place}[{index}]");
        let mut settings = Vec::new();
        for (key, node) in table(item, &place, errors) {
            let place = format!("{place}.{}", key.name);
            let Some(setting) = read::setting(key, &place, &[], errors) else { continue };
            match read::given(setting, node, &place, errors) {
                Given::One(value) => settings.push((setting, Axis::List(vec![value]))),
                Given::Many(axis) => settings.push((setting, axis)),
                Given::Wrong => {}
            }
        }
        let is_empty_table = matches!(&item.kind, Kind::Table(entries) if entries.is_empty());
        if is_empty_table {
            errors.add(&item.span, place, "this would exclude every point", "list the settings to exclude");
        } else if !settings.is_empty() {
            excludes.push(Exclude { settings, span: item.span.clone(), place, shared });
        }
    }
    excludes
}
