//! One contrast: the difference of two arms with its intervals, its p-value and its verdict.

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Quantity;
use serde::{Serialize, Serializer};

use super::pairs::Pairs;
use super::significance::{Test, p_equivalence};
use crate::replicates::by_name;
use crate::replicates::mean::{LEVEL, Unit};
use crate::statistics::interval::{self, Inference, Interval};
use crate::statistics::{holm, summary};

/// The level of tests.
pub const ALPHA: f64 = 0.05;

/// What follows from a contrast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The second arm is better.
    Helps,
    /// The second arm is worse.
    Hurts,
    /// The difference is within the margin.
    Equivalent,
    /// Nothing follows.
    Undecided,
    /// Nothing can follow from so few pairs.
    TooFewPairs,
}

/// An arm of a contrast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// The settings that make the arm.
    #[serde(serialize_with = "by_name")]
    pub arm: Point,
    /// Their value, if there is one setting.
    pub value: Option<Value>,
    /// The mean over the pairs; `None` without pairs.
    pub mean: Option<f64>,
    /// Number of candidates among which each fold chose by validation; the greatest one over depths.
    pub candidates: usize,
    /// Number of completed replicates, of all candidates.
    pub completed: u64,
    /// Number of diverged replicates, of all candidates.
    pub diverged: u64,
}

/// A contrast of two arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// What a planned contrast asks, in words.
    pub question: Option<String>,
    /// The settings that the arms share and that distinguish this contrast.
    #[serde(serialize_with = "by_name")]
    pub group: Point,
    /// What is compared.
    #[serde(rename = "measure")]
    pub quantity: Quantity,
    /// The setting that makes the arms; `None` if several do.
    pub setting: Option<Setting>,
    /// The first arm, the baseline.
    pub first: Arm,
    /// The second arm.
    pub second: Arm,
    /// Second minus first; `None` without pairs.
    pub difference: Option<f64>,
    /// The 95 % interval of the difference on these training images; `None` for less than two pairs.
    #[serde(serialize_with = "ends")]
    pub interval: Option<Interval>,
    /// The 95 % interval for new training images; `None` for less than two folds.
    #[serde(serialize_with = "ends")]
    pub interval_new_data: Option<Interval>,
    /// Number of pairs.
    pub pairs: usize,
    /// What each pair is of.
    pub unit: Unit,
    /// Number of folds that are left out, because an arm lacks them.
    pub dropped: usize,
    /// The test of differences.
    pub test: Test,
    /// The p-value of the test; `None` without pairs.
    pub p: Option<f64>,
    /// The smallest p-value that so many pairs can give.
    pub smallest_p: Option<f64>,
    /// The p-value after Holm's correction over the family.
    pub p_holm: Option<f64>,
    /// Number of contrasts in the family.
    pub family: usize,
    /// The margin within which arms count as equivalent, in the unit of the measure.
    pub margin: f64,
    /// The p-value of the test that the difference is within the margin.
    pub p_equivalence: Option<f64>,
    /// What follows.
    pub verdict: Verdict,
}

/// The training and validation images of a dataset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images {
    pub(super) training: u64,
    pub(super) validation: u64,
}

/// The parts of a contrast that are known before the test.
pub(super) struct Compared {
    pub(super) group: Point,
    pub(super) quantity: Quantity,
    pub(super) arms: [Arm; 2],
    pub(super) pairs: Pairs,
    pub(super) images: Option<Images>,
    pub(super) margin: f64,
    pub(super) test: Test,
}

/// A contrast without its family: Holm's correction and the verdict come with [`judge`].
pub(super) fn contrast(compared: Compared) -> Contrast {
    let Compared { group, quantity, arms: [first, second], pairs, images, margin, test } = compared;
    let setting = match (first.arm.keys().next(), second.arm.keys().next()) {
        (Some(one), Some(other)) if one == other && first.value.is_some() && second.value.is_some() => Some(*one),
        _ => None,
    };
    let numerators = pairs.differences();
    let differences = pairs.fractions(&numerators);
    let new_data = images.filter(|_| pairs.unit == Unit::Fold).and_then(|Images { training, validation }| {
        interval::of_mean_difference(&differences, Inference::NewTrainingData { validation, training }, LEVEL)
    });
    let significance = test.of(&numerators);
    let mean = |numerators: &[i64]| summary::mean(&pairs.fractions(numerators));
    Contrast {
        question: None,
        group,
        quantity,
        setting,
        first: Arm { mean: mean(&pairs.first), ..first },
        second: Arm { mean: mean(&pairs.second), ..second },
        difference: summary::mean(&differences),
        interval: interval::of_mean_difference(&differences, Inference::TheseData, LEVEL),
        interval_new_data: new_data,
        pairs: pairs.len(),
        unit: pairs.unit,
        dropped: pairs.dropped,
        test,
        p: significance.map(|found| found.p),
        smallest_p: significance.map(|found| found.smallest_p),
        p_holm: None,
        family: 0,
        margin,
        p_equivalence: p_equivalence(&differences, margin),
        verdict: Verdict::TooFewPairs,
    }
}

/// Which contrasts a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Those that can be tested.
    Tested,
    /// All that were planned. One that cannot be tested counts as one that shows nothing.
    Planned,
}

/// Corrects the p-values of a family, and gives each contrast its verdict.
pub(super) fn judge(contrasts: &mut [Contrast], family: Family) {
    let is_member = |contrast: &Contrast| family == Family::Planned || contrast.p.is_some();
    let members: Vec<usize> = (0..contrasts.len()).filter(|&place| is_member(&contrasts[place])).collect();
    let of = |part: fn(&Contrast) -> Option<f64>| -> Vec<f64> {
        members.iter().map(|&place| part(&contrasts[place]).unwrap_or(1.0)).collect()
    };
    let corrected = holm::adjusted(&of(|contrast| contrast.p)).unwrap_or_default();
    let rejectable = holm::rejectable(&of(|contrast| contrast.smallest_p), ALPHA).unwrap_or_default();
    for ((&place, &p), &can_reject) in members.iter().zip(&corrected).zip(&rejectable) {
        let contrast = &mut contrasts[place];
        contrast.family = members.len();
        if contrast.p.is_none() {
            continue;
        }
        contrast.p_holm = Some(p);
        contrast.verdict = match contrast.difference {
            Some(difference) if p <= ALPHA && difference > 0.0 => Verdict::Helps,
            Some(_) if p <= ALPHA => Verdict::Hurts,
            _ if contrast.p_equivalence.is_some_and(|p| p <= ALPHA) => Verdict::Equivalent,
            _ if can_reject => Verdict::Undecided,
            _ => Verdict::TooFewPairs,
        };
    }
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn ends<S: Serializer>(interval: &Option<Interval>, serializer: S) -> Result<S::Ok, S::Error> {
    interval.map(|interval| [interval.low(), interval.high()]).serialize(serializer)
}
