//! Tables for people: accuracies by rule and network, chosen settings, the list of sweeps.
//!
//! The tables are plain text without colour, so they are the same on a terminal, in a pipe and in a file. [`tabular`] has
//! the tables of other answers, in every format.

mod latex;
pub(crate) mod tabular;

use std::collections::{BTreeMap, BTreeSet};

use biosweep_analysis::aggregate::{Cell, Learner, uneven};
use biosweep_analysis::replicates::Divergence;
use biosweep_analysis::replicates::mean::{Mean, Unit, counted};
use biosweep_common::results::views::SweepView;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::time::WallTime;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use tabular::Tabular;
use unicode_width::UnicodeWidthStr as _;

use crate::terminal::escape::escaped;
use crate::terminal::prose;
use crate::terminal::prose::cut;

/// A line under the header of the table, and no other lines.
pub(super) const LIGHT: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Number of spaces between two columns.
const PADDING: usize = 3;

/// Test accuracies: a row for each rule and network, a column for each activation and depth, and a caption below. A
/// table wider than `width` characters is split, first by activation. `so_far` is printed above the table if the sweep
/// is unfinished.
pub(crate) fn accuracies(cells: &[Cell], divergence: Divergence, so_far: Option<&str>, width: Option<u16>) -> String {
    let mut parts: Vec<String> = so_far.map(str::to_owned).into_iter().collect();
    if cells.is_empty() {
        parts.push("no results yet".to_owned());
        return parts.join("\n\n");
    }
    for pivot in pivots(cells) {
        let title = (pivots(cells).len() > 1).then(|| format!("{}\n", pivot.dataset.label()));
        for columns in pivot.fitting(width.map_or(usize::MAX, usize::from)) {
            parts.push(format!("{}{}", title.as_deref().unwrap_or_default(), pivot.table(&columns).human()));
        }
    }
    parts.push(prose(&caption(cells, divergence)));
    parts.extend(chosen(cells).map(|table| table.human()));
    parts.join("\n\n")
}

/// The same in Markdown, one table per dataset.
pub(crate) fn accuracies_markdown(cells: &[Cell], divergence: Divergence, so_far: Option<&str>) -> String {
    let mut parts: Vec<String> = so_far.map(str::to_owned).into_iter().collect();
    let pivots = pivots(cells);
    for pivot in &pivots {
        parts.extend((pivots.len() > 1).then(|| format!("**{}**", pivot.dataset.label())));
        parts.push(pivot.table(&pivot.columns).markdown());
    }
    parts.push(caption(cells, divergence));
    parts.extend(chosen(cells).map(|table| table.markdown()));
    parts.join("\n\n")
}

/// The same in LaTeX, one `tabular` per dataset. The caption and `so_far` are comments.
pub(crate) fn accuracies_latex(cells: &[Cell], divergence: Divergence, so_far: Option<&str>) -> String {
    let pivots = pivots(cells);
    let of_pivot = |pivot: &Pivot<'_>| {
        let label = (pivots.len() > 1).then(|| pivot.dataset.label());
        let notes = [so_far.map(str::to_owned), label, Some(caption(cells, divergence))];
        pivot.table(&pivot.columns).latex(&notes.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    };
    let mut parts: Vec<String> = pivots.iter().map(of_pivot).collect();
    parts.extend(chosen(cells).map(|table| table.latex("the chosen settings")));
    if parts.is_empty() { "% no results yet".to_owned() } else { parts.join("\n\n") }
}

/// Minimum characters of an id in a list: the time stamp.
const ID_CHARACTERS: usize = 13;
/// Minimum columns of a name in a list.
const NAME_WIDTH_MIN: usize = 12;

/// Maximum columns of a note in a list. A longer note, or one of several lines, is only in `show`.
const NOTE_WIDTH_MAX: usize = 40;

/// The list of sweeps in the given order, with ages at the time `now`. Ids are cut to a prefix that is unique, which
/// every command accepts. Short notes are listed if the table is then no wider than `width` columns of the terminal. If it
/// is wider without notes, names are cut. Some characters take two columns.
pub(crate) fn sweeps(sweeps: &[SweepView], now: WallTime, width: Option<u16>) -> String {
    let safe = |sweep: &SweepView| SweepView {
        name: escaped(&sweep.name).into_owned(),
        note: sweep.note.as_deref().map(|note| escaped(note).into_owned()),
        ..sweep.clone()
    };
    let sweeps: Vec<SweepView> = sweeps.iter().map(safe).collect();
    let ids = beginnings(&sweeps);
    let of = |name_max, notes| listed(&sweeps, &ids, now, name_max, notes);
    let longest = |text: &str| text.lines().map(|line| line.width()).max().unwrap_or(0);
    let fits = |text: &str| width.is_none_or(|width| longest(text) <= usize::from(width));
    if sweeps.iter().any(|sweep| short_note(sweep).is_some()) {
        let text = of(usize::MAX, Notes::Listed);
        if fits(&text) {
            return text;
        }
    }
    let text = of(usize::MAX, Notes::Omitted);
    let Some(width) = width.map(usize::from).filter(|_| !fits(&text)) else { return text };
    let names = sweeps.iter().map(|sweep| sweep.name.width()).max().unwrap_or(0);
    of((names + width).saturating_sub(longest(&text)).max(NAME_WIDTH_MIN), Notes::Omitted)
}

/// Whether a list has a column of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notes {
    Listed,
    Omitted,
}

/// The note of a sweep, if it fits into a list.
fn short_note(sweep: &SweepView) -> Option<&str> {
    sweep.note.as_deref().filter(|note| note.width() <= NOTE_WIDTH_MAX && !note.contains(['\n', '\t']))
}

fn listed(sweeps: &[SweepView], ids: &[String], now: WallTime, name_max: usize, notes: Notes) -> String {
    let some_diverged = sweeps.iter().any(|sweep| sweep.diverged > 0);
    let mut header = vec!["id", "name", "state"];
    if notes == Notes::Listed {
        header.push("note");
    }
    let names = header.len();
    header.push("completed");
    if some_diverged {
        header.push("diverged");
    }
    header.extend(["failed", "age"]);
    let rows = sweeps.iter().zip(ids).map(|(sweep, id)| {
        let mut row = vec![id.clone(), cut(&sweep.name, name_max), sweep.state.name().to_owned()];
        if notes == Notes::Listed {
            row.push(short_note(sweep).unwrap_or_default().to_owned());
        }
        row.push(format!("{}/{}", sweep.completed, sweep.trials));
        if some_diverged {
            row.push(sweep.diverged.to_string());
        }
        row.extend([sweep.failed.to_string(), age(now.0.saturating_sub(sweep.submitted_at.0))]);
        row
    });
    table(&header, rows, names, LIGHT)
}

/// Prefixes of ids, of equal length, that distinguish these sweeps.
fn beginnings(sweeps: &[SweepView]) -> Vec<String> {
    let ids: Vec<String> = sweeps.iter().map(|sweep| sweep.id.to_string()).collect();
    let whole = ids.first().map_or(0, String::len);
    let tells_apart = |&len: &usize| ids.iter().map(|id| &id[..len]).collect::<BTreeSet<_>>().len() == ids.len();
    let len = (ID_CHARACTERS..whole).find(tells_apart).unwrap_or(whole);
    ids.iter().map(|id| id[..len].to_owned()).collect()
}

type Column = (ActivationFunction, u32);

/// The cells of one dataset as a table.
struct Pivot<'a> {
    dataset: &'a DatasetRef,
    rows: Vec<Learner>,
    columns: Vec<Column>,
    cells: BTreeMap<(Learner, Column), &'a Cell>,
    /// Whether some cells have fewer replicates than others.
    uneven: bool,
}

fn pivots(cells: &[Cell]) -> Vec<Pivot<'_>> {
    let datasets: BTreeSet<&DatasetRef> = cells.iter().map(|cell| &cell.place.dataset).collect();
    let uneven = uneven(cells).is_some();
    let pivot = |dataset| {
        let of_dataset = cells.iter().filter(|cell| &cell.place.dataset == dataset);
        let cells: BTreeMap<_, _> =
            of_dataset.map(|cell| ((cell.place.learner(), (cell.place.activation, cell.place.depth)), cell)).collect();
        let rows = cells.keys().map(|(row, _)| *row).collect::<BTreeSet<_>>().into_iter().collect();
        let columns = cells.keys().map(|(_, column)| *column).collect::<BTreeSet<_>>().into_iter().collect();
        Pivot { dataset, rows, columns, cells, uneven }
    };
    datasets.into_iter().map(pivot).collect()
}

impl Pivot<'_> {
    fn table(&self, columns: &[Column]) -> Tabular {
        let mut header = vec!["rule".to_owned(), "network".to_owned()];
        header.extend(columns.iter().map(title));
        let row = |&row: &Learner| {
            let mut texts = vec![row.rule_name(), row.network_name()];
            texts.extend(columns.iter().map(|&column| self.text(row, column)));
            texts
        };
        Tabular { header, rows: self.rows.iter().map(row).collect(), names: 2 }
    }

    fn text(&self, row: Learner, column: Column) -> String {
        self.cells.get(&(row, column)).map_or_else(|| "–".to_owned(), |cell| text(cell, self.uneven))
    }

    /// The columns in as few groups as fit into `width` characters beside the row names; each activation has its own
    /// groups if one group is not enough. A group has at least one column.
    fn fitting(&self, width: usize) -> Vec<Vec<Column>> {
        let longest = |name: fn(&Learner) -> String| self.rows.iter().map(|row| name(row).len()).max().unwrap_or(0);
        let rule = longest(Learner::rule_name).max("rule".len());
        let network = longest(Learner::network_name).max("network".len());
        let room = width.saturating_sub(rule + network + 2 * PADDING);
        let widths: Vec<usize> = self.columns.iter().map(|&column| self.column_width(column) + PADDING).collect();
        if widths.iter().sum::<usize>() <= room {
            return vec![self.columns.clone()];
        }
        let mut groups: Vec<Vec<Column>> = Vec::new();
        let mut used = 0;
        for (&column, width) in self.columns.iter().zip(widths) {
            match groups.last_mut() {
                Some(group) if group[0].0 == column.0 && used + width <= room => group.push(column),
                _ => {
                    groups.push(vec![column]);
                    used = 0;
                }
            }
            used += width;
        }
        groups
    }

    fn column_width(&self, column: Column) -> usize {
        let cells = self.rows.iter().map(|&row| self.text(row, column).chars().count());
        cells.max().unwrap_or(0).max(title(&column).len())
    }
}

fn title((activation, depth): &Column) -> String {
    format!("{activation} {depth}")
}

/// One cell: `97.7 ± 0.2`, the number of values if it differs, then the replicates that did not complete.
fn text(cell: &Cell, uneven: bool) -> String {
    let over = |test: &Mean| if uneven { format!(" (n = {})", test.count) } else { String::new() };
    let mut parts: Vec<String> = cell.test.iter().map(|test| percent(test) + &over(test)).collect();
    let scored = cell.completed + cell.diverged;
    if cell.diverged > 0 {
        parts.push(format!("{} of {scored} completed", cell.completed));
    }
    if cell.failed > 0 {
        parts.push(format!("{} failed", cell.failed));
    }
    if cell.missing > cell.failed {
        parts.push(format!("{scored} of {} so far", cell.replicates()));
    }
    parts.join(", ")
}

fn percent(accuracy: &Mean) -> String {
    let mean = 100.0 * accuracy.mean;
    accuracy.half_width.map_or_else(|| format!("{mean:.1}"), |half| format!("{mean:.1} ± {:.1}", 100.0 * half))
}

/// The explanation of the numbers.
fn caption(cells: &[Cell], divergence: Divergence) -> String {
    let means = || cells.iter().filter_map(|cell| cell.test);
    let mut text = match means().map(|test| test.count).max() {
        None => "no trial completed".to_owned(),
        Some(1) => "test accuracy in percent, one replicate each".to_owned(),
        Some(_) => {
            let values = counted(&means().collect::<Vec<_>>()).unwrap_or_default();
            format!("mean test accuracy in percent ± half of its 95 % interval, over {values}")
        }
    };
    if means().any(|test| test.count > 1 && test.unit == Unit::Seed) {
        text += ";\nthere is one fold only, so nothing follows for other training images";
    }
    match divergence {
        Divergence::Guess if cells.iter().any(|cell| cell.diverged > 0) => {
            text += ";\na diverged replicate counts as a guess, with an accuracy of 1/classes";
        }
        Divergence::Guess => {}
        Divergence::LeftOut => {
            text += ";\nof the completed replicates alone: such means favour settings that diverge";
        }
    }
    if cells.iter().any(|cell| cell.candidates > 1) {
        text += ";\nfor the settings with the best mean validation accuracy";
        if cells.iter().any(|cell| cell.compared < cell.candidates) {
            text += ";\ncandidates with fewer replicates than others are not compared";
        }
        text += ":";
    }
    text
}

/// The settings chosen for each cell; `None` if there was no choice.
fn chosen(cells: &[Cell]) -> Option<Tabular> {
    let settings: BTreeSet<Setting> = cells.iter().flat_map(|cell| cell.chosen.keys().copied()).collect();
    let tuned: Vec<&Cell> = cells.iter().filter(|cell| cell.candidates > 1).collect();
    if tuned.is_empty() {
        return None;
    }
    let mut header = ["rule", "network", "activation", "depth"].map(str::to_owned).to_vec();
    header.extend(settings.iter().map(|setting| setting.name().to_owned()));
    header.push("tried".to_owned());
    let row = |cell: &&Cell| {
        let place = &cell.place;
        let mut row = vec![
            place.rule.to_string(),
            place.network.to_string(),
            place.activation.to_string(),
            place.depth.to_string(),
        ];
        row.extend(
            settings.iter().map(|setting| cell.chosen.get(setting).map_or_else(|| "–".to_owned(), Value::short)),
        );
        row.push(match cell.compared {
            compared if compared == cell.candidates => compared.to_string(),
            compared => format!("{compared} of {}", cell.candidates),
        });
        row
    };
    Some(Tabular { header, rows: tuned.iter().map(row).collect(), names: 3 })
}

/// A table whose first `names` columns are text and whose others are numbers.
pub(super) fn table(
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    names: usize,
    style: TableStyle,
) -> String {
    let mut table = Table::new();
    table.load_style(style).force_no_tty().set_header(header.to_vec()).add_rows(rows);
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Milliseconds in the largest unit that fits.
fn age(milliseconds: u64) -> String {
    let minutes = milliseconds / 60_000;
    match minutes {
        0 => "now".to_owned(),
        1..60 => format!("{minutes} min"),
        60..1_440 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests;
