//! The page of a report: its parts as texts, which the template puts in their places.

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::settings::Setting;
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::Quantity;

use super::design::Design;
use super::methods::{self, Paragraph};
use super::record::Record;
use super::tables::{self, Table};
use super::{Contents, Spec, Subject, failures, words};
use crate::aggregate::{self, Cell};
use crate::compare::sentence;
use crate::replicates::mean::counted;
use crate::replicates::{Divergence, REPLICATES};

const STYLE: &str = include_str!("../../templates/report/style.css");
const REGULAR: &[u8] = include_bytes!("../../fonts/Inter-Regular.ttf");
const SEMI_BOLD: &[u8] = include_bytes!("../../fonts/Inter-SemiBold.ttf");

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    version: &'a str,
    /// Style sheet and fonts of this crate. They are not escaped.
    style: &'a str,
    fonts: [(u16, String); 2],
    name: &'a str,
    state: String,
    note: Option<&'a str>,
    facts: Vec<(&'static str, String)>,
    question: String,
    verdicts: Vec<String>,
    grid: Grid,
    methods: Vec<Paragraph>,
    accuracies: Vec<Table>,
    accuracies_note: Vec<String>,
    best: Option<Table>,
    best_notes: Vec<&'static str>,
    figures: Vec<Drawn<'a>>,
    failures: Option<Table>,
    divergences: Option<Table>,
    reproduction: Reproduction<'a>,
}

/// The grid: its size, and the values of each setting that varies.
struct Grid {
    size: String,
    tables: Vec<Table>,
    constants: String,
}

/// A figure as SVG text for a page and for a narrow screen. Figures escape their texts themselves.
struct Drawn<'a> {
    number: usize,
    caption: &'a str,
    page: String,
    narrow: String,
}

/// How to repeat the sweep.
struct Reproduction<'a> {
    sweep: Option<&'a SweepView>,
    /// The name of the sweep as a word of a shell command.
    word: String,
    specs: Vec<SpecFile<'a>>,
    digest: Option<String>,
    datasets: Vec<(String, String)>,
    key: Option<String>,
    trial: Option<String>,
}

/// A text of a spec, and the file that the commands name.
struct SpecFile<'a> {
    title: String,
    file: String,
    text: &'a str,
}

pub(super) fn render(contents: &Contents<'_>) -> String {
    let Contents { subject, record, comparison, illustrations, now, version } = *contents;
    let spec = match subject {
        Subject::Sweep { spec, .. } => spec.parsed(),
        Subject::File { .. } => None,
    };
    // A part of a sweep is described by its results: its spec has other trials, too.
    let planned = spec.filter(|_| record.wanted().is_empty());
    let design = planned.map_or_else(|| Design::of_results(record), |spec| Design::of_grid(&spec.grid));
    let cells = aggregate::cells(record.replicates(), Divergence::Guess);
    let (contrasts, are_planned) = (comparison.main(), !comparison.planned.is_empty());
    let source = methods::Source { design: &design, record, cells: &cells, verdicts: &contrasts, are_planned, version };
    let (attempts, causes) = match subject {
        Subject::Sweep { attempts, causes, .. } => (attempts, causes),
        Subject::File { .. } => (&[][..], &[][..]),
    };
    let page = Page {
        version,
        style: STYLE,
        fonts: [(400, BASE64_STANDARD.encode(REGULAR)), (600, BASE64_STANDARD.encode(SEMI_BOLD))],
        name: match subject {
            Subject::Sweep { sweep, .. } => &sweep.name,
            Subject::File { name, .. } => name,
        },
        state: state(subject, record),
        note: match subject {
            Subject::Sweep { sweep, .. } => sweep.note.as_deref(),
            Subject::File { .. } => None,
        },
        facts: facts(subject, record, now),
        question: match are_planned {
            true => "The planned contrasts, which were part of the spec before there were results.".to_owned(),
            false => question(contrasts.first().map(|contrast| contrast.quantity), &design),
        },
        verdicts: contrasts.iter().copied().map(sentence).map(|text| text.replace("p = ", "p\u{a0}=\u{a0}")).collect(),
        grid: grid(&design, planned.is_some()),
        methods: methods::methods(&source),
        accuracies: tables::accuracies(&cells),
        accuracies_note: accuracies_note(&cells),
        best: tables::best(record.replicates()),
        best_notes: tables::notes(record.replicates()),
        figures: illustrations
            .iter()
            .zip(1..)
            .map(|(one, number)| Drawn {
                number,
                caption: &one.caption,
                page: one.page.svg(),
                narrow: one.narrow.svg(),
            })
            .collect(),
        failures: failures::failures(record, attempts, causes, spec.map(|spec| &spec.grid)),
        divergences: failures::divergences(record, &design.axes()),
        reproduction: reproduction(subject, &design, record),
    };
    page.render().expect("memory takes the page") + "\n"
}

fn state(subject: Subject<'_>, record: &Record) -> String {
    let Subject::Sweep { sweep, .. } = subject else {
        return format!("{} in a file of results", words::counted(record.ended(), "trial"));
    };
    let (ended, trials) = (words::number(sweep.ended()), words::number(sweep.trials));
    let counts = match sweep.state {
        SweepState::Finished => format!("Finished: {}", words::counted(sweep.trials, "trial")),
        state => format!("{}: {ended} of {trials} trials", upper(state.name())),
    };
    match sweep.state.has_ended() {
        true => format!("{counts}. {}.", words::period(sweep.submitted_at, sweep.state_at)),
        false => format!("{counts} so far"),
    }
}

fn facts(
    subject: Subject<'_>,
    record: &Record,
    now: biosweep_common::vocabulary::time::WallTime,
) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Subject::Sweep { sweep, .. } = subject {
        facts.push(("Submitted", words::date(sweep.submitted_at)));
    }
    facts.push(("Report written", words::date(now)));
    let mut counts = vec![format!("{} completed", words::number(record.completed))];
    let others = [
        (record.diverged_count(), "diverged"),
        (record.failed.len() as u64, "failed"),
        (record.reused, "reused from other sweeps"),
    ];
    counts.extend(
        others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", words::number(*count))),
    );
    facts.push(("Trials", counts.join(", ")));
    if !record.wanted().is_empty() {
        let wanted: Vec<String> =
            record.wanted().iter().map(|(setting, value)| format!("{} = {}", setting.name(), value.short())).collect();
        facts.push(("Only trials with", wanted.join(", ")));
    }
    if let Subject::Sweep { sweep, .. } = subject {
        if let Some(reason) = sweep.reason.as_ref().filter(|_| sweep.state != SweepState::Finished) {
            facts.push(("Reason", reason.clone()));
        }
        facts.push(("Sweep", sweep.id.to_string()));
    }
    facts
}

/// The question of the verdicts; if there are none, why.
fn question(quantity: Option<Quantity>, design: &Design) -> String {
    let rules = design.text(Setting::Rule).map_or_else(String::new, |rules| format!(" under {rules}"));
    match quantity {
        Some(Quantity::Slope) => {
            format!("Do dense connections keep accuracy as networks get deeper{rules}, how much, and how sure is that?")
        }
        Some(Quantity::Accuracy) => format!("Do dense connections help{rules}, how much, and how sure is that?"),
        None => "There are no results of both a plain network and its dense one (nn and dn, or convnet and dense_convnet), so \
                 this report has no verdict."
            .to_owned(),
    }
}

fn grid(design: &Design, is_planned: bool) -> Grid {
    let axes = design.axes();
    let (replicates, others): (Vec<Setting>, Vec<Setting>) =
        Setting::ALL.iter().partition(|setting| REPLICATES.contains(setting));
    let is_axis = |setting: &&Setting| axes.contains(setting);
    let rows = others.iter().filter(is_axis).chain(&replicates).copied();
    let header = ["setting", "values"].map(str::to_owned);
    let table = |(place, block): (usize, &super::design::Part)| Table {
        caption: match design.blocks.len() {
            1 => "Axes and replicates".to_owned(),
            _ => format!("Block {}: {} {}", place + 1, words::counted(block.trials, "trial"), design.label(place)),
        },
        header: header.clone().into(),
        rows: rows
            .clone()
            .filter_map(|setting| {
                let values = block.values(setting)?;
                let entry = tables::Entry { main: values.entry(setting), remark: of_count(values.count) };
                Some(tables::Row { names: vec![setting.name().to_owned()], entries: vec![entry] })
            })
            .collect(),
        names: 1,
        is_text: true,
    };
    let constants: Vec<String> = others
        .iter()
        .filter(|setting| !is_axis(setting))
        .filter_map(|&setting| Some(format!("{} = {}", setting.name(), design.text(setting)?)))
        .collect();
    let tables: Vec<Table> =
        design.blocks.iter().enumerate().map(table).filter(|table| !table.rows.is_empty()).collect();
    let blocks = match design.blocks.len() {
        0 | 1 => String::new(),
        count => format!(" in {count} blocks"),
    };
    let trials = words::counted(design.trials(), "trial");
    let size = match (is_planned, design.is_complete) {
        (true, true) => format!("{trials}{blocks}. A trial is one combination of values."),
        (true, false) => {
            format!("{trials}. A trial is one combination of values, but not every combination is a trial.")
        }
        (false, true) => format!("{trials} with results{blocks}. The values are those of these trials."),
        (false, false) => {
            format!(
                "{trials} with results{blocks}. The values are those of these trials; some combinations have no result."
            )
        }
    };
    Grid { size, tables, constants: constants.join(", ") }
}

fn of_count(count: u64) -> String {
    if count > 1 { words::counted(count, "value") } else { String::new() }
}

fn accuracies_note(cells: &[Cell]) -> Vec<String> {
    let means = || cells.iter().filter_map(|cell| cell.test);
    let mut notes = Vec::new();
    match means().max_by_key(|mean| mean.count) {
        None => notes.push("No trial has an accuracy.".to_owned()),
        Some(most) if most.count == 1 => notes.push("One replicate each, so there are no intervals.".to_owned()),
        Some(_) => {
            let values = counted(&means().collect::<Vec<_>>()).unwrap_or_default();
            notes.push(format!("Mean ± half of its 95 % interval, over {values}."));
        }
    }
    if cells.iter().any(|cell| cell.diverged > 0) {
        notes.push("A diverged replicate counts as a guess, with an accuracy of 1/classes.".to_owned());
    }
    if cells.iter().any(|cell| cell.candidates > 1) {
        notes.push("Each entry is of the settings with the best mean validation accuracy.".to_owned());
    }
    notes
}

fn reproduction<'a>(subject: Subject<'a>, design: &Design, record: &Record) -> Reproduction<'a> {
    let (sweep, spec) = match subject {
        Subject::Sweep { sweep, spec, .. } => (Some(sweep), Some(spec)),
        Subject::File { .. } => (None, None),
    };
    let specs = spec.map(Spec::text).map_or_else(Vec::new, |view| {
        let named = |(number, text): (usize, &'a SpecText)| {
            let format = text.format.name();
            let (title, file) = match number {
                0 => ("The spec".to_owned(), format!("spec.{format}")),
                number => (format!("Extension {number}"), format!("extension-{number}.{format}")),
            };
            SpecFile { title, file, text: &text.text }
        };
        std::iter::once(&view.text).chain(&view.extensions).enumerate().map(named).collect()
    });
    let datasets = design.values(Setting::Dataset).into_iter().filter_map(|value| {
        let dataset = value.to_string().parse::<biosweep_common::vocabulary::dataset::DatasetRef>().ok()?;
        Some((dataset.label(), dataset.digest().into_owned()))
    });
    Reproduction {
        sweep,
        word: sweep.map_or_else(String::new, |sweep| shell_word(&sweep.name)),
        specs,
        digest: spec.and_then(Spec::parsed).map(SweepSpec::digest),
        datasets: datasets.collect(),
        key: record.first.map(|first| first.key.to_string()),
        trial: sweep.zip(record.first_completed).map(|(sweep, trial)| format!("{}/{trial}", sweep.id)),
    }
}

impl Reproduction<'_> {
    const fn numerics(&self) -> u32 {
        NUMERICS_VERSION
    }
}

/// A text as one word of a shell command.
fn shell_word(text: &str) -> String {
    if text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The text with a capital letter.
fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_command_is_one_word() {
        assert_eq!(["a-b.1", "a b", "it's $1"].map(shell_word), ["a-b.1", "'a b'", "'it'\\''s $1'"]);
    }
}
