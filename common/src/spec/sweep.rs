//! A spec file as a whole: its text → a [`SweepSpec`], or all of its mistakes.

use std::collections::HashSet;

use super::Format;
use super::blocks::Draft;
use super::error::{Mistakes, SpecErrors};
use super::names;
use super::node::{self, Data, Entry, Node};
use super::sections::{Kind, Section};
use super::values::Given;
use crate::grid::{self, Axis, Block, Grid, Use};
use crate::settings::Setting;

const NAME_MAX: usize = 128;
const RETRIES_DEFAULT: u32 = 2;
const KEYS: [&str; 7] = ["name", "seed", "retries", "data", "train", "grid", "block"];

/// A sweep as a person asked for it, checked: every trial of its grid can be trained.
#[derive(Debug, Clone)]
pub struct SweepSpec {
    /// What people call the sweep.
    pub name: String,
    /// Its trials.
    pub grid: Grid,
    /// How often a trajectory that failed is tried again; `retries` in the file.
    pub retries_max: u32,
}

impl SweepSpec {
    /// Reads a spec file; `origin` is the file or preset that messages name.
    ///
    /// # Errors
    /// All mistakes of the text at once, each with its place, its line and its mend.
    pub fn parse(text: &str, format: Format, origin: &str) -> Result<Self, SpecErrors> {
        let mut mistakes = Mistakes::new(text);
        match read(text, format, &mut mistakes) {
            Some(spec) if mistakes.is_empty() => Ok(spec),
            _ => Err(mistakes.into_errors(origin)),
        }
    }

    /// The identity of what the spec means, as hexadecimal BLAKE3: equal for equal name, retries and grid, in whatever
    /// format, order of keys or form of range they are written.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(serde_json::json!([self.name, self.retries_max]).to_string().as_bytes());
        for part in self.grid.blocks().iter().flat_map(|block| &block.parts) {
            let is_used = |setting: &Setting| part.use_of(*setting) != Use::Nowhere && part.axis(*setting).is_none();
            let used = Setting::ALL.iter().copied().filter(is_used);
            let constants: Vec<_> = used.filter_map(|own| Some((own.name(), part.constant(own)?))).collect();
            hasher.update(serde_json::json!(constants).to_string().as_bytes());
            for dimension in &part.dimensions {
                let axes: Vec<_> = dimension.axes.iter().map(|(own, axis)| (own.name(), canonical(axis))).collect();
                hasher.update(serde_json::json!(axes).to_string().as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

fn canonical(axis: &Axis) -> serde_json::Value {
    match axis {
        Axis::List(values) => serde_json::json!(values),
        Axis::Ranges(parts) => {
            serde_json::json!({ "ranges": parts.iter().map(|part| [part.from, part.step, part.count]).collect::<Vec<_>>() })
        }
    }
}

/// The tables of a spec before they are put together.
struct Document {
    name: Option<String>,
    retries_max: u32,
    common: Section,
    blocks: Vec<Section>,
}

fn read(text: &str, format: Format, mistakes: &mut Mistakes<'_>) -> Option<SweepSpec> {
    let root = node::parse(text, format, mistakes)?;
    let is_empty = match &root.data {
        Data::Null => true,
        Data::Table(entries) => entries.is_empty(),
        _ => false,
    };
    if is_empty {
        mistakes.add(&(0..0), "", "the spec is empty", "start from a preset: `biosweep preset show quickstart`");
        return None;
    }
    let Data::Table(entries) = &root.data else {
        let message = format!("the spec is {}", root.data.describe());
        mistakes.add(&root.span, "", message, "write a table with `name`, [data] and [grid]");
        return None;
    };
    let document = Document::read(entries, mistakes);
    let drafts: Vec<Draft<'_>> = match document.blocks.as_slice() {
        [] => vec![Draft::new(&document.common, None)],
        blocks => blocks.iter().map(|block| Draft::new(&document.common, Some(block))).collect(),
    };
    note_missing(&drafts, mistakes);
    let mut matched = HashSet::new();
    let built: Vec<Option<Block>> = drafts.iter().map(|draft| draft.build(&mut matched, mistakes)).collect();
    // What is judged over all blocks is judged only where all of them could be read.
    let blocks: Vec<Block> = built.into_iter().collect::<Option<_>>()?;
    note_idle_constants(&document.common, &drafts, &blocks, mistakes);
    for exclude in document.common.excludes.iter().chain(document.blocks.iter().flat_map(|block| &block.excludes)) {
        if !matched.contains(&exclude.place) {
            let help = "compare its values with the axes, or take it out";
            mistakes.add(&exclude.span, exclude.place.clone(), "this excludes no point", help);
        }
    }
    note_duplicates(&drafts, &blocks, mistakes);
    let Some(grid) = Grid::new(blocks) else {
        let message = "the blocks together have more trials than 64 bits count";
        mistakes.add(&drafts[0].span, "", message, "shorten an axis, or write several sweeps");
        return None;
    };
    Some(SweepSpec { name: document.name?, grid, retries_max: document.retries_max })
}

impl Document {
    fn read(entries: &[Entry], mistakes: &mut Mistakes<'_>) -> Self {
        let find = |key: &str| entries.iter().find(|entry| entry.key == key);
        for entry in entries {
            if KEYS.contains(&entry.key.as_str()) {
                continue;
            }
            let help = match Setting::from_name(&entry.key) {
                Some(Setting::Dataset) => "move it to [data]".to_owned(),
                Some(_) => "move it to [train] or [grid]".to_owned(),
                None => names::suggestion(&entry.key, KEYS),
            };
            mistakes.add(&entry.key_span, entry.key.clone(), format!("unknown key `{}`", entry.key), help);
        }
        let span = find("grid").map_or(0..0, |entry| entry.value.span.clone());
        let mut common = Section::empty(span, "grid");
        if let Some(seed) = find("seed") {
            common.add(Setting::Seed, seed, "seed".to_owned(), Kind::Train, mistakes);
        }
        for (key, kind) in [("data", Kind::Data), ("train", Kind::Train), ("grid", Kind::Grid)] {
            if let Some(entry) = find(key) {
                common.read(&entry.value, key, kind, mistakes);
            }
            if kind == Kind::Train {
                note_twice(&common, mistakes);
            }
        }
        let name = read_name(find("name"), mistakes);
        let retries_max = find("retries").map_or(RETRIES_DEFAULT, |entry| read_retries(&entry.value, mistakes));
        let blocks = find("block").map_or_else(Vec::new, |entry| read_blocks(&entry.value, mistakes));
        Self { name, retries_max, common, blocks }
    }
}

/// Notes constants given both under [train] and in the place that is only for them.
fn note_twice(common: &Section, mistakes: &mut Mistakes<'_>) {
    for (index, line) in common.lines.iter().enumerate() {
        if let Some(first) = common.lines[..index].iter().find(|first| first.setting == line.setting) {
            let message = format!("`{}` is given twice, here and as `{}`", line.setting, first.place);
            mistakes.add(&line.key_span, line.place.clone(), message, "take one of them out");
        }
    }
}

fn read_name(entry: Option<&Entry>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let Some(entry) = entry else {
        mistakes.add(&(0..0), "name", "`name` is missing", "begin the file with name = \"…\"");
        return None;
    };
    let span = &entry.value.span;
    let Data::Text(name) = &entry.value.data else {
        let message = format!("`name` is {}", entry.value.data.describe());
        mistakes.add(span, "name", message, "write a text in quotes");
        return None;
    };
    let message = match name {
        name if name.trim().is_empty() => "the name is empty".to_owned(),
        name if name.chars().count() > NAME_MAX => format!("the name has {} characters", name.chars().count()),
        name if name.contains(['/', '\\']) => "the name holds a slash".to_owned(),
        name if name.chars().any(char::is_control) => "the name holds a control character".to_owned(),
        _ => return Some(name.clone()),
    };
    let help = format!("a name has 1 to {NAME_MAX} characters, no slashes and no control characters");
    mistakes.add(span, "name", message, help);
    None
}

fn read_retries(node: &Node, mistakes: &mut Mistakes<'_>) -> u32 {
    let number = match node.data {
        Data::Integer(number) => u32::try_from(number).ok(),
        _ => None,
    };
    number.unwrap_or_else(|| {
        let message = format!("`retries` is {}", node.data.describe());
        mistakes.add(&node.span, "retries", message, format!("it takes a whole number from 0 to {}", u32::MAX));
        RETRIES_DEFAULT
    })
}

fn read_blocks(node: &Node, mistakes: &mut Mistakes<'_>) -> Vec<Section> {
    let Data::List(tables) = &node.data else {
        let message = format!("`block` is {}", node.data.describe());
        mistakes.add(&node.span, "block", message, "write a list of tables: [[block]] in TOML, with two brackets");
        return Vec::new();
    };
    let read = |(index, table): (usize, &Node)| {
        let place = format!("block[{index}]");
        let mut section = Section::empty(table.span.clone(), &place);
        section.read(table, &place, Kind::Block, mistakes);
        section
    };
    tables.iter().enumerate().map(read).collect()
}

/// Notes the required settings that a block has from nowhere; once, where no block has them.
fn note_missing(drafts: &[Draft<'_>], mistakes: &mut Mistakes<'_>) {
    for &setting in Setting::ALL.iter().filter(|setting| setting.is_required()) {
        let lacking: Vec<_> = drafts.iter().filter(|draft| !draft.lines.contains_key(&setting)).collect();
        let section = if setting == Setting::Dataset { "[data]" } else { "[grid]" };
        let help = format!("give it in {section}; it takes {}", setting.domain());
        let message = format!("`{setting}` is missing");
        if lacking.len() == drafts.len() {
            mistakes.add(&drafts[0].span, "", message, help);
        } else {
            for draft in lacking {
                mistakes.add(&draft.span, draft.place.clone(), message.clone(), help.clone());
            }
        }
    }
}

/// Notes constants of all blocks that no point of any block uses.
fn note_idle_constants(common: &Section, drafts: &[Draft<'_>], blocks: &[Block], mistakes: &mut Mistakes<'_>) {
    for line in &common.lines {
        let Some(condition) = line.setting.condition() else { continue };
        let is_constant = matches!(line.given, Some(Given::Constant(_)));
        let holders = drafts.iter().zip(blocks).filter(|(draft, _)| draft.lines[&line.setting].place == line.place);
        let mut uses = holders.flat_map(|(_, block)| &block.parts).map(|part| part.use_of(line.setting)).peekable();
        if is_constant && uses.peek().is_some() && uses.all(|used| used == Use::Nowhere) {
            let message = format!("`{}` belongs to {}", line.setting, condition.belongs_to);
            let help = format!("take it out, or change `{}`", condition.on);
            mistakes.add(&line.key_span, line.place.clone(), message, help);
        }
    }
}

/// Notes each pair of blocks that share a point.
fn note_duplicates(drafts: &[Draft<'_>], blocks: &[Block], mistakes: &mut Mistakes<'_>) {
    for (second, block) in blocks.iter().enumerate() {
        for (first, other) in blocks[..second].iter().enumerate() {
            let pairs = other.parts.iter().flat_map(|ours| block.parts.iter().map(move |theirs| (ours, theirs)));
            let Some(point) = pairs.into_iter().find_map(|(ours, theirs)| grid::common_point(ours, theirs)) else {
                continue;
            };
            let is_given = |setting: &Setting| [first, second].iter().any(|at| drafts[*at].lines.contains_key(setting));
            let shown = point.iter().filter(|(setting, _)| is_given(setting));
            let shown: Vec<String> = shown.map(|(setting, value)| format!("{setting} = {value}")).collect();
            let message =
                format!("{} repeats a point of {}: {}", drafts[second].name(), drafts[first].name(), shown.join(", "));
            let help = "change an axis of one of them, or add an `exclude` to it";
            mistakes.add(&drafts[second].span, drafts[second].place.clone(), message, help);
        }
    }
}
