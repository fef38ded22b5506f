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

use biosweep_common::configuration::{Point, joined};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::{AnalysisPlan, PlannedContrast};
use biosweep_common::vocabulary::{Network, Quantity};
use serde::Serialize;

pub use self::contrast::{ALPHA, Arm, Contrast, Verdict};
use self::contrast::{Compared, Family, Images, contrast, judge};
pub use self::question::{CompareError, Question};
pub(crate) use self::question::{Group, grouped, only_value};
pub use self::sentence::{arm_name, in_words, sentence};
pub use self::significance::Test;
use crate::replicates::{Configuration, Replicates, group_by, key};

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// The planned contrasts; empty if others were asked for.
    pub planned: Vec<Contrast>,
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
        judge(&mut contrasts, Family::Tested);
        secondary.extend(contrasts);
    }
    let mut primary: Vec<Contrast> =
        families.iter().flat_map(|(point, family)| slopes(point, family, question)).collect();
    judge(&mut primary, Family::Tested);
    Ok(Comparison { planned: Vec::new(), primary, secondary })
}

/// Answers the planned contrasts, with Holm's correction over all of them, whatever the results already tell.
#[must_use]
pub fn planned(replicates: &Replicates, plan: &AnalysisPlan, test: Test) -> Comparison {
    let answer = |contrast: &PlannedContrast| {
        let PlannedContrast { question, quantity, arms, shared } = contrast;
        let by = if *quantity == Quantity::Slope { vec![Setting::Depth] } else { Vec::new() };
        let (arms, margin) = (arms.to_vec(), plan.equivalence_margin);
        let asked = Question { shared: shared.clone(), arms, by: Some(by), margin, test };
        // An arm may have no results yet.
        let groups = grouped(replicates, &asked).unwrap_or_default();
        let members: Vec<&Group<'_>> = groups.iter().collect();
        let answers = match quantity {
            Quantity::Slope => slopes(&Point::new(), &members, &asked),
            Quantity::Accuracy => members.iter().flat_map(|group| accuracies(group, &asked)).collect(),
        };
        let nothing = || untested(replicates, *quantity, &asked);
        Contrast { question: question.clone(), ..answers.into_iter().next().unwrap_or_else(nothing) }
    };
    let mut planned: Vec<Contrast> = plan.contrasts.iter().map(answer).collect();
    judge(&mut planned, Family::Planned);
    Comparison { planned, primary: Vec::new(), secondary: Vec::new() }
}

/// The contrasts on which a sweep gives verdicts: the planned ones or, if none are planned or only a part of the results is
/// wanted, those of dense with plain connections.
#[must_use]
pub fn verdicts(replicates: &Replicates, plan: &AnalysisPlan) -> Comparison {
    match plan.contrasts.is_empty() || !replicates.wanted().is_empty() {
        true => connections(replicates, plan.equivalence_margin),
        false => planned(replicates, plan, Test::SignFlip),
    }
}

impl Comparison {
    /// Every contrast.
    pub fn all(&self) -> impl Iterator<Item = &Contrast> {
        self.planned.iter().chain(&self.primary).chain(&self.secondary)
    }

    /// The contrasts that answer the question: the planned ones, or the primary ones and, where there is one depth, those of
    /// accuracies.
    #[must_use]
    pub fn main(&self) -> Vec<&Contrast> {
        let family = |contrast: &Contrast| key(&contrast.group, |setting| setting != Setting::Depth);
        let with_slope: BTreeSet<_> = self.primary.iter().map(family).collect();
        let others = self.secondary.iter().filter(|contrast| !with_slope.contains(&family(contrast)));
        self.planned.iter().chain(&self.primary).chain(others).collect()
    }
}

/// The contrasts of dense with plain connections. Empty for a sweep without both arms.
fn connections(replicates: &Replicates, margin: f64) -> Comparison {
    let pairs = [[Network::Nn, Network::Dn], [Network::Convnet, Network::DenseConvnet]];
    let answers = pairs.into_iter().filter_map(|arms| {
        let arms = Question::arms_of(Setting::Network, arms.map(|network| Value::Name(network.name().into())));
        compare(replicates, &Question { shared: Point::new(), arms, by: None, margin, test: Test::SignFlip }).ok()
    });
    let mut all = Comparison::default();
    for Comparison { planned: _, primary, secondary } in answers {
        all.primary.extend(primary);
        all.secondary.extend(secondary);
    }
    all
}

/// The accuracies of each arm beside those of the first one.
fn accuracies(group: &Group<'_>, question: &Question) -> Vec<Contrast> {
    let beside_first = |place: usize| {
        let (first, second) = (group.arms[0].as_slice(), group.arms[place].as_slice());
        contrast(Compared {
            group: joined(&question.shared, &group.point),
            quantity: Quantity::Accuracy,
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
            group: joined(&question.shared, point),
            quantity: Quantity::Slope,
            arms: [arm(&question.arms[0], &first), arm(&question.arms[place], &second)],
            pairs,
            images: images(first.first()?),
            margin: question.margin / (depths().max()? - depths().min()?) as f64,
            test: question.test,
        }))
    };
    (1..question.arms.len()).filter_map(beside_first).collect()
}

/// A contrast of two arms without pairs. The margin of a slope is that of all depths with results.
fn untested(replicates: &Replicates, quantity: Quantity, question: &Question) -> Contrast {
    let depth = |value: &Value| if let Value::Integer(depth) = value { Some(*depth) } else { None };
    let depths: Vec<_> = replicates.values(Setting::Depth).iter().filter_map(depth).collect();
    let range = depths.iter().max().zip(depths.iter().min()).map_or(0, |(most, least)| most - least);
    let divisor = if quantity == Quantity::Slope { range.max(1) } else { 1 };
    contrast(Compared {
        group: question.shared.clone(),
        quantity,
        arms: [arm(&question.arms[0], &[]), arm(&question.arms[1], &[])],
        pairs: pairs::accuracies(&[], &[]),
        images: None,
        margin: question.margin / divisor as f64,
        test: question.test,
    })
}

fn arm(settings: &Point, groups: &[&[&Configuration]]) -> Arm {
    let sum =
        |count: fn(&Configuration) -> u64| groups.iter().flat_map(|group| group.iter()).map(|one| count(one)).sum();
    Arm {
        arm: settings.clone(),
        value: only_value(settings),
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
