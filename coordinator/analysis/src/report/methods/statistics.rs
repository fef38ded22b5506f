//! Replicates, selection, intervals and tests in sentences.

use biosweep_common::settings::Setting;
use biosweep_common::settings::place::PLACE;
use biosweep_common::vocabulary::Quantity;

use super::Source;
use crate::compare::Contrast;
use crate::replicates::REPLICATES;
use crate::replicates::mean::Unit;
use crate::report::words;

/// Folds and seeds, and how settings are selected.
pub(super) fn replicates(source: &Source<'_>) -> Vec<String> {
    let text = |setting| source.design.together(setting);
    let mut sentences = Vec::new();
    if let (Some(folds), Some(seeds)) = (text(Setting::Fold), text(Setting::Seed)) {
        let verb = |setting| if source.design.single(setting).is_some() { " is" } else { "s are" };
        let (of_folds, of_seeds) = (verb(Setting::Fold), verb(Setting::Seed));
        sentences.push(format!("The fold{of_folds} {folds}, and the seed{of_seeds} {seeds}."));
        sentences.push("All random numbers of a trial derive from its fold and its seed.".to_owned());
    }
    sentences.extend(selection(source));
    sentences
}

fn selection(source: &Source<'_>) -> Vec<String> {
    let is_tuning = |setting: &Setting| !PLACE.contains(setting) && !REPLICATES.contains(setting);
    let has_several = |setting: Setting| {
        source.design.blocks.iter().any(|block| block.values(setting).is_some_and(|values| values.count > 1))
    };
    let tuned: Vec<&str> = source.design.axes().iter().filter(|one| is_tuning(one)).map(|one| one.name()).collect();
    let is_selected = source.cells.iter().any(|cell| cell.candidates > 1)
        || Setting::ALL.iter().any(|setting| is_tuning(setting) && has_several(*setting));
    if !is_selected {
        return vec![
            "Nothing is selected: each rule on each network, activation and depth has one choice of all other settings."
                .to_owned(),
        ];
    }
    let what = match tuned.as_slice() {
        [] => "the other settings have the values".to_owned(),
        [one] => format!("{one} has the value"),
        several => format!("{} have the values", words::list(several)),
    };
    vec![
        format!(
            "For each dataset, rule, network, activation and depth, {what} with the best mean validation accuracy over \
             replicates. The test accuracy never selects."
        ),
        "Where arms are compared, each fold selects by its own validation accuracy.".to_owned(),
    ]
}

/// Means, intervals, divergence and tests.
pub(super) fn sentences(source: &Source<'_>) -> Vec<String> {
    let mut sentences = intervals(source);
    sentences.push(divergence(source));
    sentences
        .push("A replicate that failed, was cancelled or has not ended is missing, and pairs leave it out.".to_owned());
    sentences.extend(tests(source));
    sentences
}

fn intervals(source: &Source<'_>) -> Vec<String> {
    let means = || source.cells.iter().filter_map(|cell| cell.test);
    let (least, most) = (means().map(|mean| mean.count).min(), means().map(|mean| mean.count).max());
    let (Some(least), Some(most)) = (least, most) else {
        return vec!["There are no means, because no trial has an accuracy.".to_owned()];
    };
    if most == 1 {
        return vec!["Each accuracy is that of one replicate, so there are no intervals.".to_owned()];
    }
    let is_of_folds = means().any(|mean| mean.count > 1 && mean.unit == Unit::Fold);
    let count = if least == most { words::number(most) } else { format!("{least} to {most}") };
    let mut sentences = vec![if is_of_folds {
        format!("A mean is over {count} folds, each the mean of its seeds.")
    } else {
        format!("A mean is over {count} seeds of one fold, so nothing follows for other training images.")
    }];
    sentences.push(
        "Intervals are 95 % intervals of the mean by Student's t: mean ± t(n − 1) · s / √n. One value has no interval."
            .to_owned(),
    );
    sentences
}

fn divergence(source: &Source<'_>) -> String {
    let classes: std::collections::BTreeSet<u32> = source.record.sizes.values().map(|size| size.classes).collect();
    let guess = match classes.first() {
        Some(&classes_of_all) if classes.len() == 1 => format!("1/{classes_of_all}"),
        _ => "1/classes".to_owned(),
    };
    format!(
        "A replicate whose loss, or whose outputs at an evaluation, are no longer finite has diverged. It counts as a guess, \
         with an accuracy of {guess}, in every mean, selection and comparison."
    )
}

/// The margins of equivalence with their unit. Those of slopes differ where depths have different ranges.
fn margins(verdicts: &[&Contrast]) -> String {
    let of = |quantity: Quantity, unit: &str| {
        let these = verdicts.iter().filter(|contrast| contrast.quantity == quantity);
        // A margin of one point over the range of depths has many digits.
        let mut points: Vec<f64> = these.map(|contrast| (contrast.margin * 1e5).round() / 1e3).collect();
        points.sort_by(f64::total_cmp);
        points.dedup();
        let points: Vec<String> = points.iter().map(f64::to_string).collect();
        (!points.is_empty()).then(|| format!("{} points {unit}", points.join(" or ")))
    };
    let slopes = of(Quantity::Slope, "per hidden layer of the slope of test accuracy on depth");
    [slopes, of(Quantity::Accuracy, "of test accuracy")].into_iter().flatten().collect::<Vec<_>>().join(", or ")
}

fn tests(source: &Source<'_>) -> Vec<String> {
    let Some(first) = source.verdicts.first() else { return Vec::new() };
    let what = match first.quantity {
        _ if source.verdicts.iter().any(|other| other.quantity != first.quantity) => {
            "test accuracy or its slope on depth"
        }
        Quantity::Slope => "the slope of test accuracy on depth",
        Quantity::Accuracy => "test accuracy",
    };
    let family = source.verdicts.iter().map(|contrast| contrast.family).max().unwrap_or(0);
    let corrected = match family {
        0 | 1 => "There is one contrast, so no correction is needed.".to_owned(),
        family => format!("Holm's correction (1979) goes over the {family} contrasts of a family."),
    };
    let arms = if source.are_planned { "The arms of planned contrasts" } else { "Plain and dense networks" };
    vec![
        format!(
            "{arms} are compared by {what}, in pairs that share fold and seeds. The p-value is that of the \
             exact sign-flip test of the paired differences, two-sided. {corrected} A contrast is significant at 0.05."
        ),
        format!(
            "Two arms are equivalent if two one-sided t-tests at 0.05 place the difference within {}.",
            margins(source.verdicts)
        ),
    ]
}
