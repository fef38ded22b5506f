//! A comparison of two arms: its sentences and its table.

use biosweep_analysis::compare::{Comparison, Contrast, Test, Verdict, sentence};
use biosweep_analysis::statistics::interval::Interval;
use biosweep_common::settings::{Setting, Value};

use super::table::tabular::Tabular;
use crate::cli::TableFormat;
use crate::terminal::prose;

/// What the numbers mean, but for the test.
const CAPTION: &str = "differences in points of test accuracy (of a slope: in points per hidden layer), the second arm \
minus the first, paired by fold and seed; each fold chose its settings by validation\n\
95 %: the interval of the difference on these training images\n\
new data: its interval for new training images (Nadeau and Bengio 2003)";

/// The comparison in the format of an answer. `planned` is the number of contrasts that the spec plans.
pub(crate) fn comparison(comparison: &Comparison, test: Test, planned: usize, output: TableFormat) -> String {
    let contrasts: Vec<&Contrast> = comparison.all().collect();
    let is_planned = !comparison.planned.is_empty();
    let status = match (is_planned, planned) {
        (true, _) => "\nThe spec planned these contrasts.",
        (false, 0) => "",
        (false, _) => "\nThe spec planned other contrasts, so this is exploration.",
    };
    let caption = format!("{CAPTION}\np: {}; Holm: corrected over the family{status}", test.in_words());
    let which = match (is_planned, output) {
        (false, _) => None,
        (true, TableFormat::Human) => Some(Which::Number),
        (true, _) => Some(Which::Question),
    };
    let table = tabular(&contrasts, which);
    if output != TableFormat::Human {
        return table.answer(&caption, output);
    }
    let numbered = |(index, contrast): (usize, &Contrast)| match is_planned {
        true => format!("{}. {}", index + 1, sentence(contrast)),
        false => sentence(contrast),
    };
    let sentences: Vec<String> = comparison.main().into_iter().enumerate().map(numbered).collect();
    format!("{}\n\n{}\n\n{}", prose(&sentences.join("\n")), table.human(), prose(&caption))
}

/// How a table names planned contrasts.
#[derive(Clone, Copy)]
enum Which {
    /// By the number of the sentence above the table.
    Number,
    /// By what they ask.
    Question,
}

fn tabular(contrasts: &[&Contrast], which: Option<Which>) -> Tabular {
    let mut settings: Vec<Setting> = contrasts.iter().flat_map(|contrast| contrast.group.keys().copied()).collect();
    settings.sort_unstable();
    settings.dedup();
    let mut header: Vec<String> = match which {
        Some(Which::Number) => vec!["no.".to_owned()],
        Some(Which::Question) => vec!["question".to_owned()],
        None => Vec::new(),
    };
    header.extend(settings.iter().map(|setting| setting.name().to_owned()));
    header.extend(["measure", "arms"].map(str::to_owned));
    let names = header.len();
    header.extend(
        ["first", "second", "difference", "95 %", "new data", "pairs", "p", "Holm", "verdict"].map(str::to_owned),
    );
    let row = |(index, contrast): (usize, &&Contrast)| {
        let mut row: Vec<String> = match which {
            Some(Which::Number) => vec![(index + 1).to_string()],
            Some(Which::Question) => vec![contrast.question.clone().unwrap_or_else(|| "–".to_owned())],
            None => Vec::new(),
        };
        let value = |setting| contrast.group.get(setting).map_or_else(|| "–".to_owned(), Value::short);
        row.extend(settings.iter().map(value));
        row.extend([
            contrast.quantity.to_string(),
            arms(contrast),
            points(contrast.first.mean),
            points(contrast.second.mean),
            points(contrast.difference),
            ends(contrast.interval),
            ends(contrast.interval_new_data),
            format!("{} {}", contrast.pairs, contrast.unit.word(contrast.pairs as u64)),
            probability(contrast.p),
            probability(contrast.p_holm),
            verdict(contrast).to_owned(),
        ]);
        row
    };
    Tabular { rows: contrasts.iter().enumerate().map(row).collect(), header, names }
}

/// `nn, dn`. Arms of several settings have commas in their names.
fn arms(contrast: &Contrast) -> String {
    let separator = if contrast.setting.is_some() { ", " } else { "; " };
    contrast.names().join(separator)
}

fn verdict(contrast: &Contrast) -> &'static str {
    match contrast.verdict {
        Verdict::Helps => "helps",
        Verdict::Hurts => "hurts",
        Verdict::Equivalent => "equivalent",
        Verdict::Undecided => "undecided",
        Verdict::TooFewPairs => "n too small",
    }
}

fn points(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_owned(), |fraction| format!("{:.2}", 100.0 * fraction))
}

fn ends(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "–".to_owned(),
        |interval| format!("{:.2} to {:.2}", 100.0 * interval.low(), 100.0 * interval.high()),
    )
}

fn probability(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "<0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}
