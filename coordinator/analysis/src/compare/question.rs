//! The question of a comparison: the arms, and the groups within which they are compared.

use std::collections::BTreeSet;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};

use super::significance::Test;
use crate::aggregate::PLACE;
use crate::replicates::{Configuration, REPLICATES, Replicates, group_by};

/// What to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The setting that makes the arms.
    pub setting: Setting,
    /// The arms; the first one is the baseline of all others.
    pub arms: Vec<Value>,
    /// The settings that make groups, within which arms are compared; `None` for the settings of a place that differ.
    pub by: Option<Vec<Setting>>,
    /// The difference of accuracies, a fraction, within which arms count as equivalent. For slopes it is divided by the range
    /// of the depths.
    pub margin: f64,
    /// The test of differences.
    pub test: Test,
}

/// A comparison that is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// There are no results.
    #[error("there are no results yet")]
    Empty,
    /// Less than two arms, or an arm twice.
    #[error("two different values are needed, such as network=nn,dn")]
    Arms,
    /// The setting makes replicates.
    #[error("{setting} makes replicates, over which arms are paired, so it makes no arms; choose {others}")]
    Replicates {
        /// The setting.
        setting: &'static str,
        /// What can make arms.
        others: String,
    },
    /// No result has this value.
    #[error("no result has {setting}={value}; there are: {known}")]
    NoSuchArm {
        /// The setting.
        setting: &'static str,
        /// The value.
        value: String,
        /// The values in the results.
        known: String,
    },
    /// The arms would be compared over different experiments.
    #[error(
        "{setting} differs within a group ({values}): add it to --by, or choose one value with --where, such as \
         {setting}={first}"
    )]
    Differs {
        /// The setting.
        setting: &'static str,
        /// Its values.
        values: String,
        /// The first of them.
        first: String,
    },
    /// The setting that makes the arms, or one that makes replicates, cannot make groups.
    #[error("{setting} cannot make groups: {why}")]
    Group {
        /// The setting.
        setting: &'static str,
        /// The reason.
        why: &'static str,
    },
}

/// The configurations of a group, by arm.
pub(crate) struct Group<'a> {
    /// The settings that distinguish it.
    pub(crate) point: Point,
    /// The configurations of each arm.
    pub(crate) arms: Vec<Vec<&'a Configuration>>,
}

/// The groups of a question, in the order of their first trials.
///
/// # Errors
/// A comparison that is not possible, with the next step.
pub(crate) fn grouped<'a>(replicates: &'a Replicates, question: &Question) -> Result<Vec<Group<'a>>, CompareError> {
    check_arms(replicates, question)?;
    let by = by(replicates, question)?;
    let groups = groups(replicates, question, &by);
    check_groups(&groups, question, &by)?;
    Ok(groups)
}

fn check_arms(replicates: &Replicates, question: &Question) -> Result<(), CompareError> {
    if replicates.configurations().is_empty() {
        return Err(CompareError::Empty);
    }
    if REPLICATES.contains(&question.setting) {
        return Err(CompareError::Replicates { setting: question.setting.name(), others: others(replicates) });
    }
    let distinct: BTreeSet<String> = question.arms.iter().map(Value::to_string).collect();
    if distinct.len() < 2 || distinct.len() < question.arms.len() {
        return Err(CompareError::Arms);
    }
    let known = replicates.values(question.setting);
    match question.arms.iter().find(|value| !known.contains(value)) {
        Some(value) => Err(CompareError::NoSuchArm {
            setting: question.setting.name(),
            value: value.short(),
            known: known.iter().map(Value::short).collect::<Vec<_>>().join(", "),
        }),
        None => Ok(()),
    }
}

/// The settings of these results that can make arms: those with several values.
fn others(replicates: &Replicates) -> String {
    let differs = |setting: &&Setting| replicates.values(**setting).len() > 1;
    let names: Vec<&str> = Setting::ALL.iter().filter(differs).map(|setting| setting.name()).collect();
    match names.as_slice() {
        [] => "another setting".to_owned(),
        [first @ .., last] if !first.is_empty() => format!("a setting that differs: {} or {last}", first.join(", ")),
        names => format!("the setting that differs, {}", names.concat()),
    }
}

/// The settings that make groups.
fn by(replicates: &Replicates, question: &Question) -> Result<Vec<Setting>, CompareError> {
    let Some(asked) = &question.by else {
        let differs = |setting: &Setting| *setting != question.setting && replicates.values(*setting).len() > 1;
        return Ok(PLACE.into_iter().filter(differs).collect());
    };
    for &setting in asked {
        let why = if setting == question.setting {
            "it makes the arms"
        } else if REPLICATES.contains(&setting) {
            "it makes replicates, over which arms are compared"
        } else {
            continue;
        };
        return Err(CompareError::Group { setting: setting.name(), why });
    }
    Ok(asked.clone())
}

fn groups<'a>(replicates: &'a Replicates, question: &Question, by: &[Setting]) -> Vec<Group<'a>> {
    let arm = |one: &Configuration| {
        let value = one.point.get(&question.setting);
        question.arms.iter().position(|arm| Some(arm) == value)
    };
    let of_arms = replicates.configurations().iter().filter_map(|one| Some((&one.point, (arm(one)?, one))));
    let group = |(point, members): (Point, Vec<(usize, &'a Configuration)>)| {
        let mut arms = vec![Vec::new(); question.arms.len()];
        members.into_iter().for_each(|(arm, one)| arms[arm].push(one));
        Group { point, arms }
    };
    group_by(of_arms, |setting| by.contains(&setting)).into_iter().map(group).collect()
}

/// A setting of a place is never a tuning setting: accuracies of two depths, say, are not candidates for one another.
fn check_groups(groups: &[Group<'_>], question: &Question, by: &[Setting]) -> Result<(), CompareError> {
    let fixed = PLACE.into_iter().filter(|setting| *setting != question.setting && !by.contains(setting));
    for setting in fixed {
        for group in groups {
            let mut values: Vec<String> = Vec::new();
            for value in group.arms.iter().flatten().filter_map(|one| one.point.get(&setting)).map(Value::short) {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            if values.len() > 1 {
                let first = values[0].clone();
                return Err(CompareError::Differs { setting: setting.name(), values: values.join(", "), first });
            }
        }
    }
    Ok(())
}
