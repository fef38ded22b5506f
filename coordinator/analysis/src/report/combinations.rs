//! The values of each setting in results, apart for each combination of rule, network, activation and dataset.
//!
//! Results may come from several blocks. Combinations whose other settings have the same values are joined, so that each
//! group that is left reads like a block of a spec.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};

use crate::replicates::key;

/// The settings that give blocks their names, in the order of words.
pub(super) const NAMING: [Setting; 4] = [Setting::Rule, Setting::Network, Setting::Activation, Setting::Dataset];

/// The combinations in the order of their first results.
#[derive(Debug, Clone, Default)]
pub(super) struct Combinations {
    all: Vec<Combination>,
    places: BTreeMap<Vec<(Setting, String)>, usize>,
}

/// The values of each setting in the results of one combination, or of several that are joined.
#[derive(Debug, Clone, Default)]
pub(super) struct Combination {
    values: BTreeMap<Setting, Seen>,
    pub(super) trials: u64,
}

/// The values of a setting, each once, in the order of results.
#[derive(Debug, Clone, Default)]
struct Seen {
    list: Vec<Value>,
    texts: BTreeSet<String>,
}

impl Combinations {
    /// Adds a result with these settings.
    pub(super) fn add(&mut self, point: &Point) {
        let next = self.all.len();
        let place = *self.places.entry(key(point, |setting| NAMING.contains(&setting))).or_insert(next);
        if place == next {
            self.all.push(Combination::default());
        }
        self.all[place].add(point);
    }

    /// Whether each combination has a result of every combination of its values.
    pub(super) fn are_complete(&self) -> bool {
        self.all.iter().all(Combination::is_complete)
    }

    /// The combinations, joined where the values of their other settings are the same.
    pub(super) fn joined(&self) -> Vec<Combination> {
        NAMING.iter().fold(self.all.clone(), |all, &setting| {
            let mut joined: Vec<Combination> = Vec::new();
            for one in all {
                match joined.iter_mut().find(|other| other.differs_only_in(setting, &one)) {
                    Some(other) => other.join(one),
                    None => joined.push(one),
                }
            }
            joined
        })
    }
}

impl Combination {
    /// The values of each setting.
    pub(super) fn values(&self) -> impl Iterator<Item = (Setting, &[Value])> {
        self.values.iter().map(|(&setting, seen)| (setting, seen.list.as_slice()))
    }

    fn add(&mut self, point: &Point) {
        self.trials += 1;
        for (&setting, value) in point {
            self.values.entry(setting).or_default().add(value);
        }
    }

    fn is_complete(&self) -> bool {
        let counts = self.values.values().map(|seen| seen.list.len() as u64);
        counts.fold(1_u64, u64::saturating_mul) == self.trials
    }

    /// Whether only this setting has other values. A setting that only some trials have, such as the decoder's rate of one
    /// rule, may be absent in one of both.
    fn differs_only_in(&self, setting: Setting, other: &Self) -> bool {
        let settings: BTreeSet<Setting> = self.values.keys().chain(other.values.keys()).copied().collect();
        settings.into_iter().filter(|&one| one != setting).all(|one| {
            match (self.values.get(&one), other.values.get(&one)) {
                (Some(these), Some(those)) => these.texts == those.texts,
                _ => one.condition().is_some(),
            }
        })
    }

    fn join(&mut self, other: Self) {
        self.trials += other.trials;
        for (setting, seen) in other.values {
            let known = self.values.entry(setting).or_default();
            seen.list.iter().for_each(|value| known.add(value));
        }
    }
}

impl Seen {
    fn add(&mut self, value: &Value) {
        if self.texts.insert(value.to_string()) {
            self.list.push(value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{completed, paper, with};

    fn of(points: impl IntoIterator<Item = Point>) -> Combinations {
        let mut combinations = Combinations::default();
        points.into_iter().for_each(|point| combinations.add(&point));
        combinations
    }

    fn depths(one: &Combination) -> Vec<String> {
        let (_, depths) = one.values().find(|&(setting, _)| setting == Setting::Depth).expect("a depth");
        depths.iter().map(Value::to_string).collect()
    }

    #[test]
    fn results_of_two_blocks_are_two_groups() {
        let combinations = of(paper(4).into_iter().map(|result| result.point));
        let joined = combinations.joined();
        let [relu, sigmoid] = joined.as_slice() else { panic!("two blocks: {joined:?}") };
        assert_eq!((depths(relu), depths(sigmoid)), (vec!["5".into(), "10".into()], vec!["3".into(), "7".into()]));
        assert_eq!((relu.trials, sigmoid.trials, combinations.are_complete()), (48, 48, true));
    }

    #[test]
    fn combinations_that_are_not_a_product_stay_apart_and_a_missing_trial_is_noticed() {
        let at = |rule, network, depth| completed(rule, network, depth, 0.9, 0.9).point;
        let [a, b, c] = [at("bp", "nn", 5), at("bp", "dn", 5), at("fa", "nn", 5)];
        assert_eq!(of([a.clone(), b.clone(), c.clone()]).joined().len(), 2, "fa on dn is missing");
        assert_eq!(of([a, b, c, at("fa", "dn", 5)]).joined().len(), 1);
        let fold = |depth, fold| with(completed("bp", "nn", depth, 0.9, 0.9), &[("fold", Value::Integer(fold))]).point;
        assert!(!of([fold(5, 0), fold(5, 1), fold(6, 0)]).are_complete());
    }

    #[test]
    fn a_setting_that_one_rule_has_keeps_no_rules_apart() {
        let dtp = with(completed("dtp", "nn", 5, 0.9, 0.9), &[("target_step", Value::Real(0.1))]);
        assert_eq!(of([completed("bp", "nn", 5, 0.9, 0.9).point, dtp.point]).joined().len(), 1);
    }
}
