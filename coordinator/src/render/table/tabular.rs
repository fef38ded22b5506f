//! A table of texts in each format that tables have.

use biosweep_analysis::export::cell;
use comfy_table::presets;

use super::latex::latex;
use super::{LIGHT, table};
use crate::cli::TableFormat;
use crate::terminal::prose;

/// A table of texts. The first columns are names, the others are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tabular {
    /// The titles of the columns.
    pub(crate) header: Vec<String>,
    /// The rows; each has a text for every column.
    pub(crate) rows: Vec<Vec<String>>,
    /// Number of columns that are names.
    pub(crate) names: usize,
}

impl Tabular {
    /// A table for a terminal.
    pub(crate) fn human(&self) -> String {
        self.drawn(LIGHT)
    }

    /// A table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let escaped = |text: &String| text.replace('|', "\\|");
        let rows = self.rows.iter().map(|row| row.iter().map(escaped).collect()).collect();
        Self { rows, ..self.clone() }.drawn(presets::ASCII_MARKDOWN)
    }

    /// Comma-separated values with a header (RFC 4180).
    pub(crate) fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header).expect("memory takes every record");
        for row in &self.rows {
            let (names, numbers) = row.split_at(self.names);
            let names = names.iter().cloned().map(cell);
            writer
                .write_record(names.chain(numbers.iter().cloned()))
                .expect("memory takes every record of equal length");
        }
        String::from_utf8(writer.into_inner().expect("memory is flushed")).expect("texts are UTF-8")
    }

    /// A `tabular` with the rules of booktabs, for `\input`. `notes` become comments above it.
    pub(crate) fn latex(&self, notes: &str) -> String {
        let notes: String = notes.lines().map(|line| format!("% {line}\n")).collect();
        let columns = "l".repeat(self.names) + &"r".repeat(self.header.len() - self.names);
        let row = |row: &Vec<String>| row.iter().map(|text| latex(text)).collect::<Vec<_>>().join(" & ") + " \\\\\n";
        let rows: String = self.rows.iter().map(row).collect();
        format!(
            "% Needs \\usepackage{{booktabs}}.\n{notes}\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}",
            row(&self.header)
        )
    }

    /// The table in the format of an answer, with `notes` where the format has a place for them. JSON is not a table.
    pub(crate) fn answer(&self, notes: &str, output: TableFormat) -> String {
        let with_notes = |table: String| if notes.is_empty() { table } else { format!("{table}\n\n{notes}") };
        match output {
            TableFormat::Markdown => with_notes(self.markdown()),
            TableFormat::Csv => self.csv(),
            TableFormat::Latex => self.latex(notes),
            TableFormat::Human | TableFormat::Json if notes.is_empty() => self.human(),
            TableFormat::Human | TableFormat::Json => format!("{}\n\n{}", self.human(), prose(notes)),
        }
    }

    fn drawn(&self, style: comfy_table::TableStyle) -> String {
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        table(&header, self.rows.iter().cloned(), self.names, style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tabular {
        let row = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
        Tabular {
            header: row(["learning_rate", "test"]),
            rows: vec![row(["50 % & more", "97.7 ± 0.2"]), row(["a|b, \"c\"", "–"])],
            names: 1,
        }
    }

    #[test]
    fn a_latex_table_escapes_every_special_character() {
        assert_eq!(
            sample().latex("mean\nn = 3"),
            "% Needs \\usepackage{booktabs}.\n% mean\n% n = 3\n\\begin{tabular}{lr}\n\\toprule\nlearning\\_rate & test \\\\\n\
             \\midrule\n50 \\% \\& more & 97.7 $\\pm$ 0.2 \\\\\na\\textbar{}b, ''c'' & -- \\\\\n\\bottomrule\n\\end{tabular}"
        );
    }

    #[test]
    fn csv_is_quoted_and_markdown_keeps_its_columns() {
        assert_eq!(sample().csv(), "learning_rate,test\n50 % & more,97.7 ± 0.2\n\"a|b, \"\"c\"\"\",–\n");
        assert!(sample().markdown().lines().all(|line| line.replace("\\|", "").matches('|').count() == 3));
    }
}
