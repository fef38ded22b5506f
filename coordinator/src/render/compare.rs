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

/// The comparison in the format of an answer.
pub(crate) fn comparison(comparison: &Comparison, test: Test, output: TableFormat) -> String {
    let contrasts: Vec<&Contrast> = comparison.all().collect();
    let table = tabular(&contrasts);
    let caption = format!("{CAPTION}\np: {}; Holm: corrected over the family", test.in_words());
    if output != TableFormat::Human {
        return table.answer(&caption, output);
    }
    let sentences: Vec<String> = comparison.main().into_iter().map(sentence).collect();
    format!("{}\n\n{}\n\n{}", prose(&sentences.join("\n")), table.human(), prose(&caption))
}

fn tabular(contrasts: &[&Contrast]) -> Tabular {
    let mut settings: Vec<Setting> = contrasts.iter().flat_map(|contrast| contrast.group.keys().copied()).collect();
    settings.sort_unstable();
    settings.dedup();
    let mut header: Vec<String> = settings.iter().map(|setting| setting.name().to_owned()).collect();
    header.extend(["measure", "arms"].map(str::to_owned));
    let names = header.len();
    header.extend(
        ["first", "second", "difference", "95 %", "new data", "pairs", "p", "Holm", "verdict"].map(str::to_owned),
    );
    let row = |contrast: &&Contrast| {
        let mut row: Vec<String> = settings
            .iter()
            .map(|setting| contrast.group.get(setting).map_or_else(|| "–".to_owned(), Value::short))
            .collect();
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
    Tabular { rows: contrasts.iter().map(row).collect(), header, names }
}

/// `nn, dn`. Arms of several settings have commas in their names.
fn arms(contrast: &Contrast) -> String {
    let separator = if contrast.setting.is_some() { ", " } else { "; " };
    [contrast.first.name(), contrast.second.name()].join(separator)
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
