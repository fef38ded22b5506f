//! Reads a whole spec file: its tables, the common settings, and the sweep.

mod digest;
pub(super) mod extend;
mod resolved;
mod table;

use std::ops::Range;

use self::resolved::resolved;
use self::table::Shared;
use crate::grid::Grid;
use crate::settings::Setting;
use crate::spec::blocks::{self, Draft, Entry};
use crate::spec::document::node::{Key, Kind, Node};
use crate::spec::document::parse;
use crate::spec::error::{ErrorList, Limits, SpecErrors, too_long, too_long_resolved, unknown};
use crate::spec::execution::{self, CHECKPOINT_EVERY_S, ExecutionOptions};
use crate::spec::read::{self, Given};
use crate::spec::{
    AnalysisPlan, Format, RESOLVED_BYTES_MAX, SPEC_BYTES_MAX, SpecText, TooManyPoints, analysis_plan, measures, reports,
};
use crate::vocabulary::diagnostics::Measure;
use crate::vocabulary::text::is_disruptive;

/// A sweep that can run: its name, trials, measures, execution options and analysis plan.
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
    /// How the results are judged.
    pub analysis: AnalysisPlan,
}

const NAME_CHARACTERS_MAX: usize = 128;
/// Maximum number of values that the blocks copy from the common settings.
const COPIED_MAX: usize = 1_000_000;
const MEASURE: &str = "measure";
const TOP: [&str; 8] = ["name", "seed", MEASURE, CHECKPOINT_EVERY_S, "data", "train", "grid", "block"];
/// Keys that are not settings of trials and may be at the top or under `train`.
const BESIDE_TRAINING: [&str; 2] = [MEASURE, CHECKPOINT_EVERY_S];

impl SweepSpec {
    /// Parses a spec file's text; `origin` is the file's name in errors.
    ///
    /// # Errors
    /// Every error in the text, each with its place and a suggested fix.
    pub fn parse(text: &str, format: Format, origin: &str) -> Result<Self, SpecErrors> {
        Document::parse(text, format, origin).map(|document| document.spec)
    }

    /// Parses a spec file's text, and writes it with every default for the store.
    ///
    /// # Errors
    /// As [`SweepSpec::parse`]; or the text with every default is too long for a message.
    ///
    /// # Panics
    /// If the text with every default has another meaning. The store would keep another sweep than the submitted one.
    pub fn parse_to_store(text: String, format: Format, origin: &str) -> Result<(Self, SpecText), SpecErrors> {
        let Document { spec, shared, drafts } = Document::parse(&text, format, origin)?;
        let resolved = resolved(&spec, &shared, &drafts);
        if resolved.len() > RESOLVED_BYTES_MAX {
            return Err(too_long_resolved(resolved.len(), origin));
        }
        let stored = SpecText { text, format, resolved };
        let read = stored.spec(origin).unwrap_or_else(|errors| panic!("a resolved spec cannot be read: {errors}"));
        assert_eq!(read.digest(), spec.digest(), "a resolved spec differs from its source:\n{}", stored.resolved);
        Ok((spec, stored))
    }

    /// The identity of the sweep, independent of its notation: a BLAKE3 hash in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        digest::digest(self)
    }
}

/// A parsed text: the sweep, and the settings as they were written.
struct Document {
    spec: SweepSpec,
    shared: Shared,
    drafts: Vec<Draft>,
}

impl Document {
    fn parse(text: &str, format: Format, origin: &str) -> Result<Self, SpecErrors> {
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

    fn read(text: &str, format: Format, origin: &str, mut errors: ErrorList<'_>) -> Result<Self, SpecErrors> {
        match parse::parse(text, format) {
            Ok(root) => {
                if let Some(document) = read_root(&root, &mut errors)
                    && errors.are_none()
                {
                    return Ok(document);
                }
            }
            Err(found) => {
                let help = format!("fix the {} syntax here", format.name().to_uppercase());
                found.into_iter().for_each(|error| errors.add(&error.span, "", error.message, help.clone()));
            }
        }
        Err(errors.into_errors(origin))
    }
}

impl SpecText {
    /// Parses the text with every default. An earlier version may have accepted values beyond the current limits; a
    /// stored sweep must stay readable.
    ///
    /// # Errors
    /// As [`SweepSpec::parse`], without the limits on bytes, points and the range of numbers.
    pub fn spec(&self, origin: &str) -> Result<SweepSpec, SpecErrors> {
        let errors = ErrorList::new(&self.resolved, Limits::Lifted);
        Document::read(&self.resolved, Format::Toml, origin, errors).map(|document| document.spec)
    }
}

fn read_root(root: &Node, errors: &mut ErrorList<'_>) -> Option<Document> {
    let Kind::Table(entries) = &root.kind else {
        errors.add(&root.span, "", "a spec file is a table", "start with `name`, [data], [grid]");
        return None;
    };
    let is_known =
        |key: &Key| TOP.iter().chain(&execution::KEYS).chain(&read::ANALYSIS_KEYS).any(|known| key.name == *known);
    for (key, _) in entries.iter().filter(|(key, _)| !is_known(key)) {
        unknown_at_top(key, errors);
    }
    let part = |name: &str| entries.iter().find(|(key, _)| key.name == name);
    let name = read_name(root, part("name"), errors);
    let measured = at_top_or_in_train(entries, MEASURE, errors);
    let checkpoint_every_s = at_top_or_in_train(entries, CHECKPOINT_EVERY_S, errors);
    let execution = execution::read(entries, checkpoint_every_s, errors);
    let equivalence_margin = analysis_plan::margin(entries, errors);

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
    let drafts = drafts(alone, &shared, part("block").map(|(_, node)| node), errors);
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
    let contrasts = grid.as_ref().map(|grid| analysis_plan::contrasts(entries, grid, errors));
    let analysis = AnalysisPlan { equivalence_margin: equivalence_margin?, contrasts: contrasts.unwrap_or_default() };
    let spec = SweepSpec { name: name?, grid: grid?, measures, execution, analysis };
    Some(Document { spec, shared, drafts })
}

fn unknown_at_top(key: &Key, errors: &mut ErrorList<'_>) {
    if Setting::from_name(&key.name).is_some() {
        let message = format!("the setting `{}` is outside every table", key.name);
        let help = "move it under [train] if it is the same for all trials, or under [grid]";
        return errors.add(&key.span, key.name.clone(), message, help);
    }
    let known = TOP.into_iter().chain(execution::KEYS).chain(read::ANALYSIS_KEYS);
    unknown(key, &key.name, "key", known, errors);
}

fn read_name(root: &Node, name: Option<&(Key, Node)>, errors: &mut ErrorList<'_>) -> Option<String> {
    let Some((_, node)) = name else {
        let start = root.span.start..root.span.start;
        errors.add(&start, "name", "the sweep has no name", "add a line such as name = \"my-sweep\"");
        return None;
    };
    let sound = |name: &str| {
        let characters = name.chars().count();
        (1..=NAME_CHARACTERS_MAX).contains(&characters) && !name.contains(|c| is_disruptive(c) || c == '/')
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

fn drafts(alone: Range<usize>, shared: &Shared, blocks: Option<&Node>, errors: &mut ErrorList<'_>) -> Vec<Draft> {
    let draft = |own: Shared, span: Range<usize>, place: String| Draft {
        entries: own.entries,
        zips: own.zips,
        excludes: own.excludes,
        span,
        place,
    };
    let Some(node) = blocks else {
        return vec![draft(shared.clone(), alone, "grid".to_owned())];
    };
    let Kind::List(items) = &node.kind else {
        let help = "start each with a line [[block]], or give a list of tables";
        errors.add(&node.span, "block", "the blocks are a list of tables", help);
        return Vec::new();
    };
    if items.is_empty() {
        errors.add(&node.span, "block", "the list of blocks is empty", "remove it, or add a block");
    }
    // Every block has a copy of the common settings.
    let copied = items.len().saturating_mul(shared.listed());
    if errors.limits == Limits::Apply && (items.len() > blocks::BLOCKS_MAX || copied > COPIED_MAX) {
        let message =
            format!("{} blocks are too many, or the lists under [grid] are too long for so many", items.len());
        errors.add(&node.span, "block", message, blocks::FEWER_BLOCKS);
        return Vec::new();
    }
    let own = |(index, item): (usize, &Node)| {
        let place = format!("block[{index}]");
        let mut own = shared.clone();
        own.table(item, &place, false, errors);
        draft(own, item.span.clone(), place)
    };
    items.iter().enumerate().map(own).collect()
}
