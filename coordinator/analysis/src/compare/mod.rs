//! The comparison of two arms: do dense connections help a rule, how much, and how sure is that?
//!
//! | module | contents |
//! |---|---|
//! | `pairs` | paired scores of two arms, as exact numbers |
//! | `contrast` | one contrast: intervals, p-value, verdict |
//! | `question` | the arms, and the groups within which they are compared |
//! | `sentence` | a contrast in words |
//!
//! The primary contrasts are slopes of accuracy on depth, one for each rule and activation: Holm's correction goes over all of
//! them. Contrasts at each depth are secondary: Holm's correction goes over the depths of one rule and activation.

mod contrast;
mod pairs;
mod question;
mod sentence;

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Network;
use serde::Serialize;

pub use self::contrast::{Arm, Contrast, Measure, Verdict};
use self::contrast::{Compared, Images, contrast, judge};
pub use self::question::{CompareError, Question};
pub(crate) use self::question::{Group, Grouped, grouped};
pub use self::sentence::sentence;
use crate::replicates::{Configuration, Replicates, key};

/// The margin of equivalence, unless another one is asked for: one point of accuracy.
pub const MARGIN: f64 = 0.01;

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
    let Grouped { by, groups } = grouped(replicates, question)?;
    let mut secondary = Vec::new();
    let mut families: Vec<Vec<Contrast>> = Vec::new();
    let mut index: BTreeMap<Vec<(Setting, String)>, usize> = BTreeMap::new();
    for group in &groups {
        let family = key(&group.point, |setting| setting != Setting::Depth);
        let place = *index.entry(family).or_insert(families.len());
        if place == families.len() {
            families.push(Vec::new());
        }
        families[place].extend(against_first(group, question).map(|(first, second, arms)| {
            contrast(Compared {
                group: group.point.clone(),
                measure: Measure::Accuracy,
                setting: question.setting,
                arms,
                pairs: pairs::accuracies(first, second),
                images: images(first),
                margin: question.margin,
            })
        }));
    }
    for mut family in families {
        judge(&mut family);
        secondary.extend(family);
    }
    let mut primary = slopes(&groups, question);
    judge(&mut primary);
    if !by.contains(&Setting::Depth) && !primary.is_empty() {
        secondary.clear();
    }
    Ok(Comparison { primary, secondary })
}

/// The contrasts of dense with plain connections that a sweep allows: the primary ones or, with one depth, those of accuracies.
/// Empty for a sweep without both arms.
pub fn connections(replicates: &Replicates) -> Vec<Contrast> {
    let pairs = [[Network::Nn, Network::Dn], [Network::Convnet, Network::DenseConvnet]];
    let answers = pairs.iter().filter_map(|arms| {
        let arms = arms.iter().map(|network| Value::Name(network.name().into())).collect();
        let question = Question { setting: Setting::Network, arms, by: None, margin: MARGIN };
        compare(replicates, &question).ok()
    });
    answers.flat_map(|answer| if answer.primary.is_empty() { answer.secondary } else { answer.primary }).collect()
}

/// Each arm beside the first one.
fn against_first<'a, 'g>(
    group: &'g Group<'a>,
    question: &'g Question,
) -> impl Iterator<Item = (&'g [&'a Configuration], &'g [&'a Configuration], [Arm; 2])> + 'g {
    (1..question.arms.len()).map(|place| {
        let (first, second) = (group.arms[0].as_slice(), group.arms[place].as_slice());
        (first, second, [arm(&question.arms[0], &[first]), arm(&question.arms[place], &[second])])
    })
}

/// The slopes of groups that differ only in the depth.
fn slopes(groups: &[Group<'_>], question: &Question) -> Vec<Contrast> {
    let depth = |group: &Group<'_>| match group.point.get(&Setting::Depth) {
        Some(&Value::Integer(depth)) => Some(depth),
        _ => None,
    };
    let mut families: Vec<(Point, Vec<(u64, &Group<'_>)>)> = Vec::new();
    for group in groups {
        let Some(at) = depth(group) else { continue };
        let mut point = group.point.clone();
        point.remove(&Setting::Depth);
        match families.iter_mut().find(|(of, _)| *of == point) {
            Some((_, depths)) => depths.push((at, group)),
            None => families.push((point, vec![(at, group)])),
        }
    }
    let mut contrasts = Vec::new();
    for (point, depths) in families {
        for place in 1..question.arms.len() {
            let both = |(_, group): &&(u64, &Group<'_>)| !group.arms[0].is_empty() && !group.arms[place].is_empty();
            let shared: Vec<_> = depths.iter().filter(both).collect();
            let of = |side: usize| -> Vec<&[&Configuration]> {
                shared.iter().map(|(_, group)| group.arms[side].as_slice()).collect()
            };
            let by_depth: Vec<_> = shared
                .iter()
                .map(|(depth, group)| (*depth, group.arms[0].clone(), group.arms[place].clone()))
                .collect();
            let Some(pairs) = pairs::slopes(&by_depth) else { continue };
            let all = || shared.iter().map(|&&(depth, _)| depth);
            let range = all().max().unwrap_or(1) - all().min().unwrap_or(0);
            contrasts.push(contrast(Compared {
                group: point.clone(),
                measure: Measure::Slope,
                setting: question.setting,
                arms: [arm(&question.arms[0], &of(0)), arm(&question.arms[place], &of(place))],
                pairs,
                images: shared.first().and_then(|(_, group)| images(&group.arms[0])),
                margin: question.margin / range as f64,
            }));
        }
    }
    contrasts
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
