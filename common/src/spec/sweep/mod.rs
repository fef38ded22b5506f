//! Reads a whole spec file: its tables, the common settings, and the sweep.

mod digest;
pub(super) mod extend;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::grid::Grid;
use crate::grid::axis::Axis;
use crate::settings::Setting;
use crate::spec::blocks::{self, Draft, Entry, Exclude, Zip};
use crate::spec::document::node::{Key, Kind, Node};
use crate::spec::document::parse;
use crate::spec::error::{ErrorList, Limits, SpecErrors, too_long, unknown};
use crate::spec::execution::{self, CHECKPOINT_EVERY_S, ExecutionOptions};
use crate::spec::read::{self, Given};
use crate::spec::{Format, SPEC_BYTES_MAX, TooManyPoints, measures, reports};
use crate::vocabulary::diagnostics::Measure;

/// A sweep that can run: its name, trials, measures and execution options.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepSpec {
    /// The name.
    pub name: String,
    /// The trials.
    pub grid: Grid,
    /// The measures for each layer at evaluations, in the order of [`Measure::ALL`].
    pub measures: Vec<Measure>,
    /// The execution options.
    pub execution: ExecutionOptions,
}

const NAME_CHARACTERS_MAX: usize = 128;
const MEASURE: &str = "measure";
const TOP: [&str; 8] = ["name", "seed", MEASURE, CHECKPOINT_EVERY_S, "data", "train", "grid", "block"];
/// Keys that are not settings of trials and may be at the top or under `train`.
const BESIDE_TRAINING: [&str; 2] = [MEASURE, CHECKPOINT_EVERY_S];
const BESIDE_SETTINGS: [&str; 2] = ["zip", "exclude"];

impl SweepSpec {
    /// Parses a spec file's text; `origin` is the file's name in errors.
    ///
    /// # Errors
    /// Every error in the text, each with its place and a suggested fix.
    pub fn parse(text: &str, format: Format, origin: &str) -> Result<Self, SpecErrors> {
        if text.len() > SPEC_BYTES_MAX {
            return Err(too_long(text.len(), origin));
        }
        let mut errors = ErrorList::new(text, Limits::Apply);
        if let Some(at) = text.find('\0') {
            // Some parsers end the text at a zero byte, and some stores cannot keep it.
            errors.add(&(at..at + 1), "", "the text contains a zero byte", "remove it; the file may be damaged");
            return Err(errors.into_errors(origin));
        }
        Self::read(text, format, origin, errors)
    }

    /// Parses the text of a stored sweep. An earlier version may have accepted values beyond the current limits; a
    /// stored sweep must stay readable.
    ///
    /// # Errors
    /// As [`SweepSpec::parse`], without the limits on bytes, points and the range of numbers.
    pub fn parse_stored(text: &str, format: Format, origin: &str) -> Result<Self, SpecErrors> {
        Self::read(text, format, origin, ErrorList::new(text, Limits::Lifted))
    }

    fn read(text: &str, format: Format, origin: &str, mut errors: ErrorList<'_>) -> Result<Self, SpecErrors> {
        match parse::parse(text, format) {
            Ok(root) => {
                if let Some(spec) = read_root(&root, &mut errors)
                    && errors.are_none()
                {
                    return Ok(spec);
                }
            }
            Err(found) => {
                let help = format!("fix the {} syntax here", format.name().to_uppercase());
                found.into_iter().for_each(|error| errors.add(&error.span, "", error.message, help.clone()));
            }
        }
        Err(errors.into_errors(origin))
    }

    /// The identity of the sweep, independent of its notation: a BLAKE3 hash in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        digest::digest(self)
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

fn read_root(root: &Node, errors: &mut ErrorList<'_>) -> Option<SweepSpec> {
    let Kind::Table(entries) = &root.kind else {
        errors.add(&root.span, "", "a spec file is a table", "start with `name`, [data], [grid]");
        return None;
    };
    let is_known = |key: &Key| TOP.iter().chain(&execution::KEYS).any(|known| key.name == *known);
    for (key, _) in entries.iter().filter(|(key, _)| !is_known(key)) {
        unknown_at_top(key, errors);
    }
    let part = |name: &str| entries.iter().find(|(key, _)| key.name == name);
    let name = read_name(root, part("name"), errors);
    let measured = at_top_or_in_train(entries, MEASURE, errors);
    let checkpoint_every_s = at_top_or_in_train(entries, CHECKPOINT_EVERY_S, errors);
    let execution = execution::read(entries, checkpoint_every_s, errors);

    let mut shared = Shared::default();
    if let Some((_, node)) = part("data") {
        shared.constants(node, "data", Some(&[Setting::Dataset]), errors);
    }
    if let Some((_, node)) = part("train") {
        shared.constants(node, "train", None, errors);
    }
    if let Some((_, node)) = part("seed")
        && let Some(value) = read::value(Setting::Seed, node, "seed", errors)
    {
        let entry = Entry { given: Given::One(value), span: node.span.clone(), place: "seed".to_owned(), shared: true };
        shared.constant(Setting::Seed, entry, errors);
    }
    if let Some((_, node)) = part("grid") {
        shared.table(node, "grid", true, errors);
    }
    let alone = part("grid").map_or(root.span.start..root.span.start, |(key, _)| key.span.clone());
    let drafts = drafts(alone, shared, part("block").map(|(_, node)| node), errors);
    let blocks = blocks::build(&drafts, execution.share, errors);
    if !errors.are_none() {
        return None;
    }
    let grid = Grid::new(blocks).map(|grid| if execution.share { grid } else { grid.unshared() });
    if let Err(too_large) = &grid {
        let help = format!("the maximum is {}", Grid::TRIALS_MAX);
        let span = part("grid").map_or(root.span.start..root.span.start, |(key, _)| key.span.clone());
        errors.add(&span, "grid", too_large.to_string(), help);
    }
    let grid = grid.ok();
    let measures = match (measured, &grid) {
        (Some((node, place)), Some(grid)) => measures::read(node, &place, grid, errors),
        _ => Vec::new(),
    };
    if let Some(grid) = grid.as_ref().filter(|_| errors.limits == Limits::Apply)
        && let Err(too_many) = reports::check(grid.blocks(), &measures)
    {
        let span = part("grid").map_or(root.span.start..root.span.start, |(key, _)| key.span.clone());
        errors.add(&span, "grid", too_many.to_string(), TooManyPoints::HELP);
    }
    Some(SweepSpec { name: name?, grid: grid?, measures, execution })
}

fn unknown_at_top(key: &Key, errors: &mut ErrorList<'_>) {
    if Setting::from_name(&key.name).is_some() {
        let message = format!("the setting `{}` is outside every table", key.name);
        let help = "move it under [train] if it is the same for all trials, or under [grid]";
        return errors.add(&key.span, key.name.clone(), message, help);
    }
    unknown(key, &key.name, "key", TOP.into_iter().chain(execution::KEYS), errors);
}

fn read_name(root: &Node, name: Option<&(Key, Node)>, errors: &mut ErrorList<'_>) -> Option<String> {
    let Some((_, node)) = name else {
        let start = root.span.start..root.span.start;
        errors.add(&start, "name", "the sweep has no name", "add a line such as name = \"my-sweep\"");
        return None;
    };
    let sound = |name: &str| {
        let characters = name.chars().count();
        (1..=NAME_CHARACTERS_MAX).contains(&characters) && !name.chars().any(|c| c.is_control() || c == '/')
    };
    match &node.kind {
        Kind::Text(name) if sound(name.trim()) => Some(name.trim().to_owned()),
        other => {
            let message = format!("the name cannot be {}", other.describe());
            let help = match (other, errors.line_at(&node.span)) {
                (Kind::Integer(_) | Kind::Real(_) | Kind::Boolean(_), Some(written)) => {
                    format!("put it in quotes: \"{written}\"")
                }
                _ => format!("it takes 1 to {NAME_CHARACTERS_MAX} characters, without slashes and line breaks"),
            };
            errors.add(&node.span, "name", message, help);
            None
        }
    }
}

/// The node of a key at the top or under `train`, and its place.
fn at_top_or_in_train<'a>(
    entries: &'a [(Key, Node)],
    name: &str,
    errors: &mut ErrorList<'_>,
) -> Option<(&'a Node, String)> {
    let within = |entries: &'a [(Key, Node)], name: &str| entries.iter().find(|(key, _)| key.name == name);
    let in_train = within(entries, "train").and_then(|(_, node)| match &node.kind {
        Kind::Table(entries) => within(entries, name),
        _ => None,
    });
    match (within(entries, name), in_train) {
        (Some(_), Some((key, _))) => {
            let message = format!("`{name}` is set twice, here and at the top");
            errors.add(&key.span, format!("train.{name}"), message, "remove one of them");
            None
        }
        (at_top, in_train) => {
            let at_top = at_top.map(|(_, node)| (node, name.to_owned()));
            at_top.or_else(|| in_train.map(|(_, node)| (node, format!("train.{name}"))))
        }
    }
}

/// The content of a table, or of all tables common to the blocks.
#[derive(Debug, Clone, Default)]
struct Shared {
    entries: BTreeMap<Setting, Entry>,
    zips: Vec<Zip>,
    excludes: Vec<Exclude>,
}

impl Shared {
    /// Reads a table of constants: of the given settings, or of any.
    fn constants(&mut self, node: &Node, name: &str, only: Option<&[Setting]>, errors: &mut ErrorList<'_>) {
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
    fn constant(&mut self, setting: Setting, entry: Entry, errors: &mut ErrorList<'_>) {
        if let Some(other) = self.entries.get(&setting) {
            let message = format!("`{setting}` is set twice, here and at {}", other.place);
            errors.add(&entry.span, entry.place, message, "remove one of them");
            return;
        }
        self.entries.insert(setting, entry);
    }

    /// Reads a table of constants and axes, with its `zip` and `exclude`.
    fn table(&mut self, node: &Node, name: &str, shared: bool, errors: &mut ErrorList<'_>) {
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

fn drafts(alone: Range<usize>, shared: Shared, blocks: Option<&Node>, errors: &mut ErrorList<'_>) -> Vec<Draft> {
    let draft = |own: Shared, span: Range<usize>, place: String| Draft {
        entries: own.entries,
        zips: own.zips,
        excludes: own.excludes,
        span,
        place,
    };
    let Some(node) = blocks else {
        return vec![draft(shared, alone, "grid".to_owned())];
    };
    let Kind::List(items) = &node.kind else {
        let help = "start each with a line [[block]], or give a list of tables";
        errors.add(&node.span, "block", "the blocks are a list of tables", help);
        return Vec::new();
    };
    if items.is_empty() {
        errors.add(&node.span, "block", "the list of blocks is empty", "remove it, or add a block");
    }
    let own = |(index, item): (usize, &Node)| {
        let place = format!("block[{index}]");
        let mut own = shared.clone();
        own.table(item, &place, false, errors);
        draft(own, item.span.clone(), place)
    };
    items.iter().enumerate().map(own).collect()
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
        let said = matches!(&item.kind, Kind::Table(entries) if entries.is_empty());
        if said {
            errors.add(&item.span, place, "this would exclude every point", "list the settings to exclude");
        } else if !settings.is_empty() {
            excludes.push(Exclude { settings, span: item.span.clone(), place, shared });
        }
    }
    excludes
}
