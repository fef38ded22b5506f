//! The comparison of two arms: do dense connections help a rule, how much, and how sure is that?
//!
//! | module | contents |
//! |---|---|
//! | `pairs` | paired scores of two arms, as exact numbers |
//! | `contrast` | one contrast: intervals, p-value, verdict |
//! | `significance` | its test |
//! | `question` | the arms, and the groups within which they are compared |
//! | `sentence` | a contrast in words |
//!
//! The primary contrasts are slopes of accuracy on depth, one for each rule and activation: Holm's correction goes over all of
//! them. Contrasts at each depth are secondary: Holm's correction goes over the depths of one rule and activation.

mod contrast;
mod pairs;
mod question;
mod sentence;
mod significance;

use std::collections::BTreeSet;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Network;
use serde::Serialize;

pub use self::contrast::{Arm, Contrast, Measure, Verdict};
use self::contrast::{Compared, Images, contrast, judge};
pub use self::question::{CompareError, Question};
pub(crate) use self::question::{Group, grouped};
pub use self::sentence::sentence;
pub use self::significance::Test;
use crate::replicates::{Configuration, Replicates, group_by, key};

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Contrasts of the slope of accuracy on depth.
    pub primary: Vec<Contrast>,
    /// Contrasts of accuracies.
    pub secondary: Vec<Contrast>,
}

/// Compares the arms of a question.
///
/// # Errors
/// A comparison that is not possible, with the next step.
pub fn compare(replicates: &Replicates, question: &Question) -> Result<Comparison, CompareError> {
    let groups = grouped(replicates, question)?;
    let families = group_by(groups.iter().map(|group| (&group.point, group)), |setting| setting != Setting::Depth);
    let mut secondary = Vec::new();
    for (_, family) in &families {
        let mut contrasts: Vec<Contrast> = family.iter().flat_map(|group| accuracies(group, question)).collect();
        judge(&mut contrasts);
        secondary.extend(contrasts);
    }
    let mut primary: Vec<Contrast> =
        families.iter().flat_map(|(point, family)| slopes(point, family, question)).collect();
    judge(&mut primary);
    Ok(Comparison { primary, secondary })
}

impl Comparison {
    /// The contrasts that answer the question: the primary ones and, where there is one depth, those of accuracies.
    #[must_use]
    pub fn main(&self) -> Vec<&Contrast> {
        let family = |contrast: &Contrast| key(&contrast.group, |setting| setting != Setting::Depth);
        let with_slope: BTreeSet<_> = self.primary.iter().map(family).collect();
        let others = self.secondary.iter().filter(|contrast| !with_slope.contains(&family(contrast)));
        self.primary.iter().chain(others).collect()
    }
}

/// The main contrasts of dense with plain connections; `margin` is the difference of accuracies within which they count as
/// equivalent. Empty for a sweep without both arms.
pub fn connections(replicates: &Replicates, margin: f64) -> Vec<Contrast> {
    let pairs = [[Network::Nn, Network::Dn], [Network::Convnet, Network::DenseConvnet]];
    let answers = pairs.iter().filter_map(|arms| {
        let arms = arms.iter().map(|network| Value::Name(network.name().into())).collect();
        let question = Question { setting: Setting::Network, arms, by: None, margin, test: Test::SignFlip };
        compare(replicates, &question).ok()
    });
    answers.flat_map(|answer| answer.main().into_iter().cloned().collect::<Vec<_>>()).collect()
}

/// The accuracies of each arm beside those of the first one.
fn accuracies(group: &Group<'_>, question: &Question) -> Vec<Contrast> {
    let beside_first = |place: usize| {
        let (first, second) = (group.arms[0].as_slice(), group.arms[place].as_slice());
        contrast(Compared {
            group: group.point.clone(),
            measure: Measure::Accuracy,
            setting: question.setting,
            arms: [arm(&question.arms[0], &[first]), arm(&question.arms[place], &[second])],
            pairs: pairs::accuracies(first, second),
            images: images(first),
            margin: question.margin,
            test: question.test,
        })
    };
    (1..question.arms.len()).map(beside_first).collect()
}

/// The slopes of each arm beside those of the first one, for groups that differ only in the depth.
fn slopes<'a>(point: &Point, groups: &[&Group<'a>], question: &Question) -> Vec<Contrast> {
    let beside_first = |place: usize| {
        let of_both = |group: &&Group<'a>| {
            let Some(&Value::Integer(depth)) = group.point.get(&Setting::Depth) else { return None };
            let (first, second) = (group.arms[0].clone(), group.arms[place].clone());
            (!first.is_empty() && !second.is_empty()).then_some((depth, first, second))
        };
        let by_depth: Vec<_> = groups.iter().filter_map(of_both).collect();
        let pairs = pairs::slopes(&by_depth)?;
        let depths = || by_depth.iter().map(|&(depth, ..)| depth);
        let first: Vec<_> = by_depth.iter().map(|(_, first, _)| first.as_slice()).collect();
        let second: Vec<_> = by_depth.iter().map(|(.., second)| second.as_slice()).collect();
        Some(contrast(Compared {
            group: point.clone(),
            measure: Measure::Slope,
            setting: question.setting,
            arms: [arm(&question.arms[0], &first), arm(&question.arms[place], &second)],
            pairs,
            images: images(first.first()?),
            margin: question.margin / (depths().max()? - depths().min()?) as f64,
            test: question.test,
        }))
    };
    (1..question.arms.len()).filter_map(beside_first).collect()
}

fn arm(value: &Value, groups: &[&[&Configuration]]) -> Arm {
    let sum =
        |count: fn(&Configuration) -> u64| groups.iter().flat_map(|group| group.iter()).map(|one| count(one)).sum();
    Arm {
        value: value.clone(),
        mean: None,
        candidates: groups.iter().map(|group| group.len()).max().unwrap_or(0),
        completed: sum(Configuration::completed),
        diverged: sum(Configuration::diverged),
    }
}

fn images(candidates: &[&Configuration]) -> Option<Images> {
    let size = candidates.iter().find_map(|candidate| candidate.size)?;
    Some(Images { training: size.train_images.into(), validation: size.validation_images.into() })
}

#[cfg(test)]
mod tests;
