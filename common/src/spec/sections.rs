//! The tables of a spec file, read setting by setting.

use std::ops::Range;

use super::error::Mistakes;
use super::names;
use super::node::{Data, Entry, Node};
use super::values::{self, Given};
use crate::grid::Axis;
use crate::settings::Setting;

/// One setting as a section gives it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) setting: Setting,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
    pub(super) place: String,
    /// `None` where it could not be read, which is noted.
    pub(super) given: Option<Given>,
    /// Whether it is for all blocks.
    pub(super) is_common: bool,
}

/// One entry of `zip` or `exclude`.
#[derive(Debug, Clone)]
pub(super) struct Group<T> {
    pub(super) span: Range<usize>,
    pub(super) place: String,
    pub(super) content: T,
}

/// The names of a zipped group, each with its place in the text.
pub(super) type ZippedNames = Vec<(String, Range<usize>)>;
/// Settings with the values that are taken out together.
pub(super) type ExcludedValues = Vec<(Setting, Axis)>;

/// What a table says; a later line of a setting overrides an earlier one.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) span: Range<usize>,
    pub(super) place: String,
    pub(super) lines: Vec<Line>,
    pub(super) zips: Vec<Group<ZippedNames>>,
    pub(super) excludes: Vec<Group<ExcludedValues>>,
    /// Whether all of it could be read.
    pub(super) is_whole: bool,
}

/// What a section may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[data]`: the dataset.
    Data,
    /// `[train]`: one value a setting.
    Train,
    /// `[grid]`: axes and constants of all blocks.
    Grid,
    /// `[[block]]`: its own.
    Block,
}

impl Section {
    pub(super) fn empty(span: Range<usize>, place: &str) -> Self {
        Self { span, place: place.to_owned(), lines: vec![], zips: vec![], excludes: vec![], is_whole: true }
    }

    /// Adds one setting.
    pub(super) fn add(
        &mut self,
        setting: Setting,
        entry: &Entry,
        place: String,
        kind: Kind,
        mistakes: &mut Mistakes<'_>,
    ) {
        let mut given = values::given(setting, &entry.value, &place, mistakes);
        if kind != Kind::Grid && kind != Kind::Block && matches!(given, Some(Given::Axis(_))) {
            let message = format!("`{setting}` has several values, but this place holds constants");
            mistakes.add(&entry.value.span, place.clone(), message, "move it to [grid]");
            given = None;
        }
        let (key_span, node, is_common) = (entry.key_span.clone(), entry.value.clone(), kind != Kind::Block);
        self.lines.push(Line { setting, key_span, node, place, given, is_common });
    }

    /// Adds all lines of a table.
    pub(super) fn read(&mut self, node: &Node, place: &str, kind: Kind, mistakes: &mut Mistakes<'_>) {
        let entries = match &node.data {
            Data::Table(entries) => entries.as_slice(),
            Data::Null => &[],
            other => {
                let message = format!("`{place}` is {}", other.describe());
                mistakes.add(&node.span, place, message, "write a table of settings");
                self.is_whole = false;
                return;
            }
        };
        for entry in entries {
            let place = format!("{place}.{}", entry.key);
            match (entry.key.as_str(), Setting::from_name(&entry.key)) {
                ("zip", _) if kind.has_axes() => self.read_zip(&entry.value, &place, mistakes),
                ("exclude", _) if kind.has_axes() => self.read_exclude(&entry.value, &place, mistakes),
                (_, Some(setting)) if kind.takes(setting) => self.add(setting, entry, place, kind, mistakes),
                (_, Some(setting)) => {
                    let message = format!("`{setting}` does not belong into [data]");
                    mistakes.add(&entry.key_span, place, message, "move it to [train] or [grid]");
                }
                (key, None) => {
                    let extra = if kind.has_axes() { ["zip", "exclude"].as_slice() } else { &[] };
                    let settings = Setting::ALL.iter().filter(|setting| kind.takes(**setting)).map(|own| own.name());
                    let help = names::suggestion(key, settings.chain(extra.iter().copied()));
                    mistakes.add(&entry.key_span, place, format!("unknown key `{key}`"), help);
                }
            }
        }
    }

    fn read_zip(&mut self, node: &Node, place: &str, mistakes: &mut Mistakes<'_>) {
        const HELP: &str = "write lists of settings that advance together, such as zip = [[\"depth\", \"hidden\"]]";
        let mut refuse = |node: &Node| {
            mistakes.add(&node.span, place, format!("`zip` holds {}", node.data.describe()), HELP);
            self.is_whole = false;
        };
        let Data::List(groups) = &node.data else { return refuse(node) };
        for (index, group) in groups.iter().enumerate() {
            let Data::List(names) = &group.data else { return refuse(group) };
            let mut content = Vec::new();
            for name in names {
                let Data::Text(text) = &name.data else { return refuse(name) };
                content.push((text.clone(), name.span.clone()));
            }
            if content.len() < 2 {
                return refuse(group);
            }
            self.zips.push(Group { span: group.span.clone(), place: format!("{place}[{index}]"), content });
        }
    }

    fn read_exclude(&mut self, node: &Node, place: &str, mistakes: &mut Mistakes<'_>) {
        const HELP: &str =
            "write tables of settings with values, such as exclude = [{ network = \"nn\", depth = [9, 10] }]";
        let mut is_whole = true;
        let mut refuse = |node: &Node, mistakes: &mut Mistakes<'_>| {
            mistakes.add(&node.span, place, format!("`exclude` holds {}", node.data.describe()), HELP);
            is_whole = false;
        };
        let tables: &[Node] = match &node.data {
            Data::List(tables) => tables,
            _ => {
                refuse(node, mistakes);
                &[]
            }
        };
        for (index, table) in tables.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let entries = match &table.data {
                Data::Table(entries) if !entries.is_empty() => entries,
                _ => {
                    refuse(table, mistakes);
                    continue;
                }
            };
            let mut content = Vec::new();
            for entry in entries {
                let place = format!("{place}.{}", entry.key);
                let Some(setting) = Setting::from_name(&entry.key) else {
                    let help = names::suggestion(&entry.key, Setting::ALL.iter().map(|setting| setting.name()));
                    mistakes.add(&entry.key_span, place, format!("unknown key `{}`", entry.key), help);
                    continue;
                };
                match values::given(setting, &entry.value, &place, mistakes) {
                    Some(Given::Constant(value)) => content.push((setting, Axis::of(vec![value]))),
                    Some(Given::Axis(axis)) => content.push((setting, axis)),
                    None => {}
                }
            }
            if content.len() == entries.len() {
                self.excludes.push(Group { span: table.span.clone(), place, content });
            } else {
                self.is_whole = false;
            }
        }
        self.is_whole &= is_whole;
    }
}

impl Kind {
    fn has_axes(self) -> bool {
        matches!(self, Self::Grid | Self::Block)
    }

    fn takes(self, setting: Setting) -> bool {
        self != Self::Data || setting == Setting::Dataset
    }
}
