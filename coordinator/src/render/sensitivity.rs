//! The sensitivity of arms to their tuning settings: its table.

use std::collections::BTreeSet;

use biosweep_analysis::axes::sensitivity::Sensitivity;
use biosweep_analysis::compare::arm_name;
use biosweep_analysis::replicates::mean::Mean;
use biosweep_common::settings::{Setting, Value};

use super::best::accuracy;
use super::table::tabular::Tabular;
use crate::cli::TableFormat;

const CAPTION: &str = "over the tuning settings of an arm, in percent of test accuracy: the mean without the worst and \
the best quarter, the worst setting, the quartiles, the best setting; computed in each fold, then \
the mean over folds ± half of its 95 % interval\n\
diverged: the number of settings of which a replicate diverged; it counts as a guess, with an accuracy of 1/classes\n\
better: the probability in percent that the arm beats the first one at equal settings\n\
budget 1, budget k: the accuracy of one random setting, and of the best of all by validation";

/// The sensitivity in the format of an answer.
pub(crate) fn sensitivity(groups: &[Sensitivity], format: TableFormat) -> String {
    let settings: BTreeSet<Setting> = groups.iter().flat_map(|group| group.group.keys().copied()).collect();
    let mut header: Vec<String> = settings.iter().map(|setting| setting.name().to_owned()).collect();
    header.push("arm".to_owned());
    let names = header.len();
    let columns = ["settings", "diverged", "trimmed mean", "worst", "25 %", "median", "75 %", "best", "better"];
    header.extend(columns.iter().chain(&["budget 1", "budget k"]).map(|&column| column.to_owned()));
    let mut rows = Vec::new();
    for group in groups {
        for arm in &group.arms {
            let value = |setting| group.group.get(setting).map_or_else(|| "–".to_owned(), Value::short);
            let mut row: Vec<String> = settings.iter().map(value).collect();
            row.extend([arm_name(&arm.arm), arm.spread.settings.to_string(), arm.spread.diverged.to_string()]);
            row.push(accuracy(arm.spread.trimmed_mean));
            row.extend(arm.spread.quantiles.map(|quantile| accuracy(quantile.map(alone))));
            row.push(accuracy(arm.better_than_first.map(alone)));
            row.extend(
                [arm.spread.expected_best.first(), arm.spread.expected_best.last()].map(|best| accuracy(best.copied())),
            );
            rows.push(row);
        }
    }
    Tabular { header, rows, names }.answer(CAPTION, format)
}

/// A mean without its interval, for which there is no space.
fn alone(mean: Mean) -> Mean {
    Mean { half_width: None, ..mean }
}
