//! Tables for people: accuracies by rule and network, chosen settings, the list of sweeps.
//!
//! The tables are plain text without colour, so they are the same on a terminal, in a pipe and in a file.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_analysis::aggregate::{Cell, Mean, uneven};
use biosweep_common::dataset::DatasetRef;
use biosweep_common::rules::Rule;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::time::WallTime;
use biosweep_common::views::SweepView;
use biosweep_common::vocabulary::{ActivationFunction, Network};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle, presets};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A line under the header of the table, and no other lines.
const LIGHT: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Number of spaces between two columns.
const PADDING: usize = 3;

/// Test accuracies: a row for each rule and network, a column for each activation and depth, and a caption below. A
/// table wider than `width` characters is split, first by activation. `so_far` is printed above the table if the sweep
/// is unfinished.
pub(crate) fn accuracies(cells: &[Cell], so_far: Option<&str>, width: Option<u16>) -> String {
    let mut parts: Vec<String> = so_far.map(str::to_owned).into_iter().collect();
    if cells.is_empty() {
        parts.push("no results yet".to_owned());
        return parts.join("\n\n");
    }
    for pivot in pivots(cells) {
        let title = (pivots(cells).len() > 1).then(|| format!("{}\n", pivot.dataset.label()));
        for columns in pivot.fitting(width.map_or(usize::MAX, usize::from)) {
            parts.push(format!("{}{}", title.as_deref().unwrap_or_default(), pivot.table(&columns, LIGHT)));
        }
    }
    parts.push(caption(cells));
    if let Some(table) = chosen(cells, LIGHT) {
        parts.push(table);
    }
    parts.join("\n\n")
}

/// The same in Markdown, one table per dataset.
pub(crate) fn accuracies_markdown(cells: &[Cell], so_far: Option<&str>) -> String {
    let mut parts: Vec<String> = so_far.map(str::to_owned).into_iter().collect();
    let pivots = pivots(cells);
    for pivot in &pivots {
        parts.extend((pivots.len() > 1).then(|| format!("**{}**", pivot.dataset.label())));
        parts.push(pivot.table(&pivot.columns, presets::ASCII_MARKDOWN));
    }
    parts.push(caption(cells));
    parts.extend(chosen(cells, presets::ASCII_MARKDOWN));
    parts.join("\n\n")
}

/// Minimum characters of an id in a list: the time stamp.
const ID_CHARACTERS: usize = 13;
/// Minimum columns of a name in a list.
const NAME_WIDTH_MIN: usize = 12;

/// The list of sweeps in the given order, with ages at the time `now`. Ids are cut to a prefix that is unique, which
/// every command accepts. Names are cut if the table is wider than `width` columns of the terminal; some characters
/// take two columns.
pub(crate) fn sweeps(sweeps: &[SweepView], now: WallTime, width: Option<u16>) -> String {
    let ids = beginnings(sweeps);
    let of = |width| listed(sweeps, &ids, now, width);
    let text = of(usize::MAX);
    let longest = |text: &str| text.lines().map(|line| line.width()).max().unwrap_or(0);
    let Some(width) = width.map(usize::from).filter(|&width| longest(&text) > width) else { return text };
    let names = sweeps.iter().map(|sweep| sweep.name.width()).max().unwrap_or(0);
    of((names + width).saturating_sub(longest(&text)).max(NAME_WIDTH_MIN))
}

fn listed(sweeps: &[SweepView], ids: &[String], now: WallTime, name_max: usize) -> String {
    let some_diverged = sweeps.iter().any(|sweep| sweep.diverged > 0);
    let mut header = vec!["id", "name", "state", "completed"];
    if some_diverged {
        header.push("diverged");
    }
    header.extend(["failed", "age"]);
    let rows = sweeps.iter().zip(ids).map(|(sweep, id)| {
        let mut row = vec![id.clone(), cut(&sweep.name, name_max), sweep.state.name().to_owned()];
        row.push(format!("{}/{}", sweep.completed, sweep.trials));
        if some_diverged {
            row.push(sweep.diverged.to_string());
        }
        row.extend([sweep.failed.to_string(), age(now.0.saturating_sub(sweep.submitted_at.0))]);
        row
    });
    table(&header, rows, 3, LIGHT)
}

/// Prefixes of ids, of equal length, that distinguish these sweeps.
fn beginnings(sweeps: &[SweepView]) -> Vec<String> {
    let ids: Vec<String> = sweeps.iter().map(|sweep| sweep.id.to_string()).collect();
    let whole = ids.first().map_or(0, String::len);
    let tells_apart = |&len: &usize| ids.iter().map(|id| &id[..len]).collect::<BTreeSet<_>>().len() == ids.len();
    let len = (ID_CHARACTERS..whole).find(tells_apart).unwrap_or(whole);
    ids.iter().map(|id| id[..len].to_owned()).collect()
}

/// A text cut to a maximum number of columns.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub('…'.width().unwrap_or(1));
    let fits = |character: &char| {
        let rest = left.checked_sub(character.width().unwrap_or(0));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

type Row = (Rule, Network);
type Column = (ActivationFunction, u32);

/// The cells of one dataset as a table.
struct Pivot<'a> {
    dataset: &'a DatasetRef,
    rows: Vec<Row>,
    columns: Vec<Column>,
    cells: BTreeMap<(Row, Column), &'a Cell>,
    /// Whether some cells have fewer replicates than others.
    uneven: bool,
}

fn pivots(cells: &[Cell]) -> Vec<Pivot<'_>> {
    let datasets: BTreeSet<&DatasetRef> = cells.iter().map(|cell| &cell.place.dataset).collect();
    let uneven = uneven(cells).is_some();
    let pivot = |dataset| {
        let of_dataset = cells.iter().filter(|cell| &cell.place.dataset == dataset);
        let cells: BTreeMap<_, _> = of_dataset
            .map(|cell| (((cell.place.rule, cell.place.network), (cell.place.activation, cell.place.depth)), cell))
            .collect();
        let rows = cells.keys().map(|(row, _)| *row).collect::<BTreeSet<_>>().into_iter().collect();
        let columns = cells.keys().map(|(_, column)| *column).collect::<BTreeSet<_>>().into_iter().collect();
        Pivot { dataset, rows, columns, cells, uneven }
    };
    datasets.into_iter().map(pivot).collect()
}

impl Pivot<'_> {
    fn table(&self, columns: &[Column], style: TableStyle) -> String {
        let mut header = vec!["rule".to_owned(), "network".to_owned()];
        header.extend(columns.iter().map(title));
        let row = |&row: &Row| {
            let mut texts = vec![row.0.to_string(), row.1.to_string()];
            texts.extend(columns.iter().map(|&column| self.text(row, column)));
            texts
        };
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        table(&header, self.rows.iter().map(row), 2, style)
    }

    fn text(&self, row: Row, column: Column) -> String {
        self.cells.get(&(row, column)).map_or_else(|| "–".to_owned(), |cell| text(cell, self.uneven))
    }

    /// The columns in as few groups as fit into `width` characters beside the row names; each activation has its own
    /// groups if one group is not enough. A group has at least one column.
    fn fitting(&self, width: usize) -> Vec<Vec<Column>> {
        let rule = self.rows.iter().map(|(rule, _)| rule.name().len()).max().unwrap_or(0).max("rule".len());
        let network = self.rows.iter().map(|(_, network)| network.name().len()).max().unwrap_or(0).max("network".len());
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

/// One cell: `97.7 ± 0.2`, the number of replicates if it differs, then the trials that did not complete.
fn text(cell: &Cell, uneven: bool) -> String {
    let over = |test: &Mean| if uneven { format!(" (n = {})", test.count) } else { String::new() };
    let mut parts: Vec<String> = cell.test.iter().map(|test| percent(test) + &over(test)).collect();
    for (count, what) in [(cell.diverged, "diverged"), (cell.failed, "failed")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

fn percent(accuracy: &Mean) -> String {
    let mean = 100.0 * accuracy.mean;
    accuracy.spread.map_or_else(|| format!("{mean:.1}"), |spread| format!("{mean:.1} ± {:.1}", 100.0 * spread))
}

/// The explanation of the numbers.
fn caption(cells: &[Cell]) -> String {
    let of_means = "mean test accuracy in percent ± sample standard deviation over";
    let most = cells.iter().map(Cell::completed).max().unwrap_or(0);
    let mut text = match most {
        0 => "no trial completed".to_owned(),
        1 => "test accuracy in percent, one trial each".to_owned(),
        _ if uneven(cells).is_some() => format!("{of_means} n replicates (folds, seeds)"),
        _ => format!("{of_means} {most} replicates (folds, seeds)"),
    };
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
fn chosen(cells: &[Cell], style: TableStyle) -> Option<String> {
    let settings: BTreeSet<Setting> = cells.iter().flat_map(|cell| cell.chosen.keys().copied()).collect();
    let tuned: Vec<&Cell> = cells.iter().filter(|cell| cell.candidates > 1).collect();
    if tuned.is_empty() {
        return None;
    }
    let mut header = vec!["rule", "network", "activation", "depth"];
    header.extend(settings.iter().map(|setting| setting.name()));
    header.push("tried");
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
    Some(table(&header, tuned.iter().map(row), 3, style))
}

/// A table whose first `names` columns are text and whose others are numbers.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>, names: usize, style: TableStyle) -> String {
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
mod tests {
    use biosweep_analysis::aggregate::cells;
    use biosweep_analysis::samples::{completed, ended, paper, with};
    use biosweep_common::ids::SweepId;
    use biosweep_common::outcome::{SweepState, TrialStatus};
    use uuid::Uuid;

    use super::*;

    fn lines(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn rows_are_rules_and_networks_and_columns_are_activations_and_depths() {
        let text = accuracies(&cells(&paper(1)), None, None);
        let lines = lines(&text);
        assert_eq!(lines[0], " rule   network   relu 5   relu 10   sigmoid 3   sigmoid 7");
        assert!(lines[1].chars().all(|c| c == '─'), "{}", lines[1]);
        assert_eq!(lines[2], " bp     nn          97.7      97.6        97.1        94.2");
        assert_eq!(lines[7], " dtp    dn          97.1      95.7        96.6        96.0");
        assert_eq!(lines[9], "test accuracy in percent, one trial each");
        assert_eq!(lines.len(), 10);
    }

    #[test]
    fn replicates_show_their_spread() {
        let text = accuracies(&cells(&paper(3)), None, None);
        assert!(text.contains("53.8 ± 4.6"), "{text}");
        assert!(text.contains("sample standard deviation over 3 replicates"), "{text}");
    }

    #[test]
    fn a_table_too_wide_for_the_terminal_is_split() {
        for width in [43, 50, 65] {
            let text = accuracies(&cells(&paper(3)), None, Some(width));
            let tables = text.split("\n\n").take_while(|part| part.contains("rule"));
            let mut columns = 0;
            for table in tables {
                assert!(table.lines().all(|line| line.chars().count() <= width.into()), "{width}:\n{table}");
                let header = table.lines().next().expect("a header");
                assert!(
                    !(header.contains("relu") && header.contains("sigmoid")),
                    "each activation has its own tables: {header}"
                );
                columns += header.matches(|c: char| c.is_ascii_digit()).count() - header.matches("10").count();
            }
            assert_eq!(columns, 4, "{text}");
        }
        assert!(accuracies(&cells(&paper(3)), None, Some(5)).contains("sigmoid 7"), "no width loses a column");
    }

    #[test]
    fn trials_that_did_not_complete_are_counted_in_their_cell() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let cells = cells(&[
            fold(completed("bp", "nn", 5, 0.9, 0.9), 0),
            fold(ended("bp", "nn", 5, TrialStatus::Failed), 1),
            fold(ended("fa", "nn", 6, TrialStatus::Diverged), 0),
            fold(ended("fa", "nn", 6, TrialStatus::Diverged), 1),
        ]);
        let text = accuracies(&cells, None, None);
        assert_eq!(lines(&text)[2], " bp     nn        90.0, 1 failed            –");
        assert_eq!(lines(&text)[3], " fa     nn                     –   2 diverged");
        assert_eq!(accuracies(&[], None, None), "no results yet");
    }

    #[test]
    fn each_of_several_datasets_has_its_name_above_its_table() {
        let other = with(completed("bp", "nn", 5, 0.8, 0.8), &[("dataset", Value::Name("kmnist".into()))]);
        let cells = cells(&[completed("bp", "nn", 5, 0.9, 0.9), other]);
        for text in [accuracies(&cells, None, None), accuracies_markdown(&cells, None)] {
            assert!(text.find("mnist") < text.find("90.0") && text.find("kmnist") < text.find("80.0"), "{text}");
        }
        assert!(accuracies_markdown(&cells, None).contains("**kmnist**\n\n| "));
    }

    #[test]
    fn means_over_fewer_replicates_are_marked_and_an_unfinished_sweep_says_so() {
        let fold = |rule, fold| with(completed(rule, "nn", 5, 0.9, 0.9), &[("fold", Value::Integer(fold))]);
        let mut results: Vec<_> = (0..6).map(|index| fold("bp", index)).collect();
        results.extend((0..2).map(|index| fold("fa", index)));
        let so_far = Some("8 of 12 trials so far");
        for text in [accuracies(&cells(&results), so_far, None), accuracies_markdown(&cells(&results), so_far)] {
            assert!(text.starts_with("8 of 12 trials so far\n\n"), "{text}");
            assert!(text.contains("90.0 ± 0.0 (n = 6)") && text.contains("90.0 ± 0.0 (n = 2)"), "{text}");
            assert!(text.contains("over n replicates"), "{text}");
        }
        assert!(!accuracies(&cells(&results[..6]), None, None).contains("n = "));
    }

    #[test]
    fn the_number_of_compared_candidates_is_shown() {
        let tried = |rate, fold| {
            let settings = [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
            with(completed("fa", "nn", 5, 0.9, 0.9), &settings)
        };
        let text = accuracies(&cells(&[tried(1e-3, 0), tried(1e-3, 1), tried(1e-4, 0)]), None, None);
        assert!(text.contains("1 of 2") && text.contains("are not compared"), "{text}");
    }

    #[test]
    fn the_chosen_settings_are_shown_if_there_was_a_choice() {
        let tried =
            |rate, validation| with(completed("fa", "nn", 5, validation, 0.9), &[("learning_rate", Value::Real(rate))]);
        let text =
            accuracies(&cells(&[tried(1e-3, 0.8), tried(1e-5, 0.9), completed("bp", "nn", 5, 0.9, 0.9)]), None, None);
        assert!(text.contains("best mean validation accuracy"), "{text}");
        assert_eq!(lines(&text).last(), Some(&" fa     nn        relu             5         0.00001       2"));
    }

    #[test]
    fn markdown_is_one_table_whatever_its_width() {
        let text = accuracies_markdown(&cells(&paper(1)), None);
        assert_eq!(lines(&text)[0], "| rule | network | relu 5 | relu 10 | sigmoid 3 | sigmoid 7 |");
        assert!(lines(&text)[1].starts_with("|------|"), "{text}");
        assert_eq!(lines(&text)[4], "| fa   | nn      |   91.7 |    83.4 |      95.0 |      53.8 |");
    }

    #[test]
    fn sweeps_are_listed_with_their_age() {
        let view = SweepView {
            id: SweepId(Uuid::from_u128(7)),
            name: "paper-mini".to_owned(),
            state: SweepState::Running,
            reason: None,
            trials: 24,
            trajectories: 24,
            completed: 20,
            diverged: 0,
            failed: 1,
            reused: 0,
            running: 2,
            submitted_at: WallTime(1_000_000),
        };
        let text = sweeps(std::slice::from_ref(&view), WallTime(1_000_000 + 3 * 3_600_000), None);
        assert_eq!(lines(&text)[2], " 00000000-0000   paper-mini   running       20/24        1   3 h");
        let text = sweeps(&[SweepView { diverged: 4, ..view.clone() }], WallTime(0), None);
        assert!(lines(&text)[0].contains("diverged   failed") && lines(&text)[2].ends_with("now"), "{text}");

        let id = |number| SweepId(Uuid::from_u128(number));
        let long =
            SweepView { name: "skip-connections-and-their-kin".to_owned(), state: SweepState::Cancelled, ..view };
        let list =
            [SweepView { id: id(1 << 64), trials: 9_900, ..long.clone() }, SweepView { id: id(1 << 65), ..long }];
        let text = sweeps(&list, WallTime(1_000_000 + 3 * 3_600_000), Some(80));
        assert!(lines(&text).iter().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("skip-connec") && text.contains('…'), "{text}");
        assert!(!sweeps(&list, WallTime(0), None).contains('…'), "in a pipe nothing is cut");
        let ids: BTreeSet<&str> = lines(&text)[2..].iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(ids.len(), 2, "ids are long enough to tell them apart: {text}");

        // Each of these characters takes two columns of a terminal.
        let list = [SweepView { name: "漢".repeat(128), ..list[0].clone() }];
        let text = sweeps(&list, WallTime(1_000_000 + 3 * 3_600_000), Some(80));
        assert!(lines(&text).iter().all(|line| line.width() <= 80), "{text}");
        assert!(text.contains("漢漢漢漢漢") && text.contains('…'), "{text}");
    }
}
