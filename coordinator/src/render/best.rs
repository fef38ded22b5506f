//! The best candidates: their table.

use std::collections::BTreeSet;

use biosweep_analysis::replicates::mean::Mean;
use biosweep_analysis::selection::Best;
use biosweep_common::settings::{Setting, Value};

use super::table::tabular::Tabular;
use crate::cli::TableFormat;

const CAPTION: &str = "test: mean test accuracy in percent ± half of its 95 % interval,\n\
of the settings with the best mean validation accuracy\n\
test by fold: the same if each fold chooses its own settings; this interval includes the choice\n\
a diverged replicate counts as a guess, with an accuracy of 1/classes";

/// The best candidates in the format of an answer.
pub(crate) fn best(best: &[Best], by: &[Setting], format: TableFormat) -> String {
    let mut notes = CAPTION.to_owned();
    if best.iter().map(|one| one.candidates).collect::<BTreeSet<_>>().len() > 1 {
        notes += "\nwarning: the rows were chosen among unequal numbers of settings; more of them give a better best";
    }
    if best.iter().any(|one| one.compared < one.candidates) {
        notes += "\nsettings with fewer replicates than others are not compared";
    }
    tabular(best, by).answer(&notes, format)
}

fn tabular(best: &[Best], by: &[Setting]) -> Tabular {
    let chosen: BTreeSet<Setting> = best.iter().flat_map(|one| one.chosen.keys().copied()).collect();
    let mut header: Vec<String> = by.iter().chain(&chosen).map(|setting| setting.name().to_owned()).collect();
    header.extend(["test", "test by fold", "n", "completed", "best of"].map(str::to_owned));
    let text = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::short);
    let row = |one: &Best| {
        let mut row: Vec<String> = by.iter().map(|setting| text(one.group.get(setting))).collect();
        row.extend(chosen.iter().map(|setting| text(one.chosen.get(setting))));
        row.extend([
            accuracy(one.test),
            accuracy(one.by_fold),
            one.test.map_or_else(|| "–".to_owned(), |test| format!("{} {}", test.count, test.unit.word(test.count))),
            format!("{} of {}", one.completed, one.completed + one.diverged + one.failed),
            one.candidates.to_string(),
        ]);
        row
    };
    Tabular { rows: best.iter().map(row).collect(), header, names: by.len() }
}

/// `97.7 ± 0.2`, in percent.
pub(super) fn accuracy(mean: Option<Mean>) -> String {
    let Some(Mean { mean, half_width, .. }) = mean else { return "–".to_owned() };
    half_width
        .map_or_else(|| format!("{:.1}", 100.0 * mean), |half| format!("{:.1} ± {:.1}", 100.0 * mean, 100.0 * half))
}
