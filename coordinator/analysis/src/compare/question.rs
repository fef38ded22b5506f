//! The question of a comparison: the arms, and the groups within which they are compared.

use std::collections::BTreeSet;

use biosweep_common::configuration::{Point, joined};
use biosweep_common::settings::place::{PLACE, is_unset_unless_named};
use biosweep_common::settings::{Setting, Value};

use super::significance::Test;
use crate::aggregate::differing_places;
use crate::replicates::{Configuration, REPLICATES, Replicates, group_by, has_all};

/// What to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The settings that all arms have. Results without them are left out.
    pub shared: Point,
    /// The settings of each arm; the first arm is the baseline of all others.
    pub arms: Vec<Point>,
    /// The settings that make groups, within which arms are compared; `None` for the settings of a place that differ.
    pub by: Option<Vec<Setting>>,
    /// The difference of accuracies, a fraction, within which arms count as equivalent. For slopes it is divided by the range
    /// of the depths.
    pub margin: f64,
    /// The test of differences.
    pub test: Test,
}

impl Question {
    /// The arms that differ in one setting.
    pub fn arms_of(setting: Setting, values: impl IntoIterator<Item = Value>) -> Vec<Point> {
        values.into_iter().map(|value| Point::from([(setting, value)])).collect()
    }

    /// The settings that make the arms.
    fn settings(&self) -> BTreeSet<Setting> {
        self.arms.iter().flat_map(|arm| arm.keys().copied()).collect()
    }

    /// Whether a point is of this arm. A setting such as `parameters_as`, which another arm names, is unset in an arm that does not
    /// name it.
    fn has(&self, arm: &Point, point: &Point) -> bool {
        let is_unset = |setting: &Setting| {
            !is_unset_unless_named(*setting) || arm.contains_key(setting) || !point.contains_key(setting)
        };
        has_all(point, &self.shared) && has_all(point, arm) && self.arms.iter().flat_map(Point::keys).all(is_unset)
    }

    /// Whether a setting makes the arms or is one that they share.
    pub(crate) fn names(&self, setting: Setting) -> bool {
        self.shared.contains_key(&setting) || self.arms.iter().any(|arm| arm.contains_key(&setting))
    }
}

/// A comparison that is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// There are no results.
    #[error("there are no results yet")]
    Empty,
    /// Less than two arms, or an arm twice.
    #[error("two different values are needed, such as network=nn,dn, or two different arms")]
    Arms,
    /// The setting makes replicates.
    #[error("{setting} makes replicates, over which arms are paired, so it makes no arms; choose {others}")]
    Replicates {
        /// The setting.
        setting: &'static str,
        /// What can make arms.
        others: String,
    },
    /// No result has these settings.
    #[error("no result has {arm}; there are: {known}; name arms that have results, with --arms or --arm")]
    NoSuchArm {
        /// The settings of the arm that no result has.
        arm: String,
        /// What the results have.
        known: String,
    },
    /// Some results are of two arms.
    #[error(
        "some results are of both arms, {first} and {second}: name a setting in both of them that tells them apart"
    )]
    Overlap {
        /// One arm.
        first: String,
        /// The other.
        second: String,
    },
    /// The arms would be compared over different experiments.
    #[error("{setting} differs within a group ({values}): {next}")]
    Differs {
        /// The setting.
        setting: &'static str,
        /// Its values.
        values: String,
        /// What to do.
        next: String,
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
    check_overlap(replicates, question)?;
    let by = by(replicates, question)?;
    let mut groups = groups(replicates, question, &by);
    // nn with the size of dn, for example, has no partner of its own kind in dn.
    let is_of_one_arm = |group: &Group<'_>| group.arms.iter().any(Vec::is_empty);
    groups.retain(|group| !(is_of_one_arm(group) && group.point.keys().copied().any(is_unset_unless_named)));
    check_groups(&groups, question, &by)?;
    Ok(groups)
}

fn check_arms(replicates: &Replicates, question: &Question) -> Result<(), CompareError> {
    if replicates.configurations().is_empty() {
        return Err(CompareError::Empty);
    }
    if let Some(setting) = question.settings().into_iter().find(|setting| REPLICATES.contains(setting)) {
        return Err(CompareError::Replicates { setting: setting.name(), others: others(replicates) });
    }
    let is_repeated = |(index, arm): (usize, &Point)| question.arms[..index].contains(arm);
    if question.arms.len() < 2 || question.arms.iter().enumerate().any(is_repeated) {
        return Err(CompareError::Arms);
    }
    for arm in question.arms.iter().map(|arm| joined(&question.shared, arm)) {
        for (&setting, value) in &arm {
            let known = replicates.values(setting);
            if !known.contains(value) {
                let known = known.iter().map(Value::short).collect::<Vec<_>>().join(", ");
                return Err(CompareError::NoSuchArm { arm: written(&Point::from([(setting, value.clone())])), known });
            }
        }
        if !replicates.configurations().iter().any(|one| has_all(&one.point, &arm)) {
            let settings: Vec<Setting> = arm.keys().copied().collect();
            let found = replicates.configurations().iter().map(|one| (&one.point, ()));
            let known =
                group_by(found, |setting| settings.contains(&setting)).into_iter().map(|(point, _)| written(&point));
            return Err(CompareError::NoSuchArm { arm: written(&arm), known: known.collect::<Vec<_>>().join("; ") });
        }
    }
    Ok(())
}

/// The value of an arm with one setting.
pub(crate) fn only_value(arm: &Point) -> Option<Value> {
    arm.values().next().filter(|_| arm.len() == 1).cloned()
}

/// `network=nn,parameters_as=dn`, as arms are written.
fn written(arm: &Point) -> String {
    arm.iter().map(|(setting, value)| format!("{}={}", setting.name(), value.short())).collect::<Vec<_>>().join(",")
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
        return Ok(differing_places(replicates).into_iter().filter(|&setting| !question.names(setting)).collect());
    };
    for &setting in asked {
        let why = if question.names(setting) {
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
    let unset: Vec<Setting> = differing_places(replicates)
        .into_iter()
        .filter(|&setting| is_unset_unless_named(setting) && !question.names(setting) && !by.contains(&setting))
        .collect();
    let arm = |one: &Configuration| {
        let is_unset = unset.iter().all(|setting| !one.point.contains_key(setting));
        question.arms.iter().position(|arm| is_unset && question.has(arm, &one.point))
    };
    let members = replicates.configurations().iter().filter_map(|one| Some((&one.point, (arm(one)?, one))));
    let group = |(point, members): (Point, Vec<(usize, &'a Configuration)>)| {
        let mut arms = vec![Vec::new(); question.arms.len()];
        members.into_iter().for_each(|(arm, one)| arms[arm].push(one));
        Group { point, arms }
    };
    group_by(members, |setting| by.contains(&setting)).into_iter().map(group).collect()
}

/// No result may be of two arms.
fn check_overlap(replicates: &Replicates, question: &Question) -> Result<(), CompareError> {
    for one in replicates.configurations() {
        let mut arms = question.arms.iter().filter(|arm| question.has(arm, &one.point));
        if let (Some(first), Some(second)) = (arms.next(), arms.next()) {
            return Err(CompareError::Overlap { first: written(first), second: written(second) });
        }
    }
    Ok(())
}

/// A setting of a place is never a tuning setting: accuracies of two depths, say, are not candidates for one another. What no arm
/// names must be equal in all arms, and what some arm names must be equal within each.
fn check_groups(groups: &[Group<'_>], question: &Question, by: &[Setting]) -> Result<(), CompareError> {
    for setting in PLACE.into_iter().filter(|setting| !by.contains(setting)) {
        let differing = |candidates: &mut dyn Iterator<Item = &&Configuration>| {
            let mut values: Vec<String> = Vec::new();
            for value in candidates.filter_map(|one| one.point.get(&setting)).map(Value::short) {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            (values.len() > 1).then_some(values)
        };
        let within = |arm: usize, candidates: &Vec<&Configuration>| {
            let next = format!("name it in this arm, such as {},{}=", written(&question.arms[arm]), setting.name());
            differing(&mut candidates.iter()).map(|values| (values.join(", "), format!("{next}{}", values[0])))
        };
        for group in groups {
            let found = if question.names(setting) {
                group.arms.iter().enumerate().find_map(|(arm, candidates)| within(arm, candidates))
            } else {
                differing(&mut group.arms.iter().flatten())
                    .map(|values| (values.join(", "), how_to_part(question, setting, &values[0])))
            };
            if let Some((values, next)) = found {
                return Err(CompareError::Differs { setting: setting.name(), values, next });
            }
        }
    }
    Ok(())
}

/// What to do about a setting that differs between arms.
fn how_to_part(question: &Question, setting: Setting, value: &str) -> String {
    let name = setting.name();
    if setting.condition().is_none() {
        return format!("add it to --by, or choose one value with --where, such as {name}={value}");
    }
    let arm = question.arms.last().map(written).unwrap_or_default();
    format!("name it in the arm that has it, such as --arm {arm},{name}={value}")
}
