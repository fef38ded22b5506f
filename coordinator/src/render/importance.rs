//! The importance of axes: its table.

use biosweep_analysis::axes::importance::{Effect, Importance, Method};

use super::table::tabular::Tabular;
use crate::cli::TableFormat;

/// Effects below this share of the variance are not shown to people; JSON has all.
const SHOWN_MIN: f64 = 0.001;

/// The importance in the format of an answer.
pub(crate) fn importance(importance: &Importance, format: TableFormat) -> String {
    let is_shown = |effect: &&Effect| effect.share.is_none_or(|share| share >= SHOWN_MIN);
    let shown: Vec<&Effect> = importance.effects.iter().filter(is_shown).collect();
    let hidden = importance.effects.len() - shown.len();
    let share = |share: f64| format!("{:.1} %", 100.0 * share);
    let row = |effect: &&Effect| vec![effect.axes.join(" × "), effect.share.map_or_else(|| "–".to_owned(), share)];
    let table = Tabular {
        header: ["axes", "share"].map(str::to_owned).to_vec(),
        rows: shown.iter().map(row).collect(),
        names: 1,
    };
    let mut notes = match importance.method {
        Method::FunctionalAnova if importance.replicates > 1 => format!(
            "share of the variance of mean test accuracies over {} configurations, less the noise of {} replicates\n\
             (functional ANOVA of the complete grid; a combination counts beyond its parts)",
            importance.configurations, importance.replicates
        ),
        Method::FunctionalAnova => format!(
            "share of the variance of test accuracies over {} configurations, noise included: there is one replicate\n\
             (functional ANOVA of the complete grid; a combination counts beyond its parts)",
            importance.configurations
        ),
        Method::PedAnova => format!(
            "importance for the best tenth of {} configurations, from counts (PED-ANOVA): the grid is incomplete, or\n\
             configurations have unequal replicates; --where may choose a complete part",
            importance.configurations
        ),
    };
    if hidden > 0 {
        notes += &format!("\nnot shown: {hidden} below 0.1 %");
    }
    table.answer(&notes, format)
}
