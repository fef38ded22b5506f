//! The results of a sweep that was run in parts: several files as one.

use std::collections::BTreeMap;
use std::fmt;

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::settings::Setting;

use crate::replicates::key;

/// The results in one of several files.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The name of the file, for errors.
    pub file: String,
    /// Its results.
    pub results: Vec<ResultView>,
}

/// Two files have different results of the same trial, so that one of them cannot be right; or trials with the same settings,
/// of which one was trained on other data or by another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("trial {trial} (key {key}) has {conflict} in {earlier}; {}", .conflict.advice())]
pub struct Contradiction {
    /// The file.
    pub file: String,
    /// The number of the trial in this file.
    pub trial: u64,
    /// The key of the trial.
    pub key: TrialKey,
    /// What contradicts.
    pub conflict: Conflict,
    /// The earlier file that has the trial.
    pub earlier: String,
}

/// What contradicts in two results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// This is different in two results of the same trial.
    Differs(&'static str),
    /// Two trials have the same settings.
    SameSettings,
}

/// The results of all parts, in their order. A trial that is in several parts counts once: a result of the first part that
/// has measured it. A failed trial has measured nothing. Who trained a trial, in which time and at which attempt, may
/// differ.
///
/// # Errors
/// A trial with different settings, or with different results. Two trials with the same settings.
pub fn combined(parts: Vec<Part>) -> Result<Vec<ResultView>, Contradiction> {
    let mut places: BTreeMap<TrialKey, (usize, usize)> = BTreeMap::new();
    let mut all: Vec<ResultView> = Vec::new();
    let mut settings: BTreeMap<Vec<(Setting, String)>, usize> = BTreeMap::new();
    let mut names = Vec::with_capacity(parts.len());
    for (number, Part { file, results }) in parts.into_iter().enumerate() {
        for result in results {
            let Some((place, earlier)) = places.get_mut(&result.key) else {
                if let Some(&earlier) = settings.get(&key(&result.point, |_| true)) {
                    let earlier = names.get(earlier).unwrap_or(&file).clone();
                    let (trial, key) = (result.trial.0, result.key);
                    return Err(Contradiction { trial, key, conflict: Conflict::SameSettings, earlier, file });
                }
                settings.insert(key(&result.point, |_| true), number);
                places.insert(result.key, (all.len(), number));
                all.push(result);
                continue;
            };
            let kept = &mut all[*place];
            if let Some(what) = difference(kept, &result) {
                let earlier = names.get(*earlier).unwrap_or(&file).clone();
                let conflict = Conflict::Differs(what);
                return Err(Contradiction { trial: result.trial.0, key: result.key, conflict, earlier, file });
            }
            if kept.status == TrialStatus::Failed && result.status != TrialStatus::Failed {
                *kept = result;
                *earlier = number;
            }
        }
        names.push(file);
    }
    Ok(all)
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(what) => write!(f, "other {what} than"),
            Self::SameSettings => f.write_str("the settings of another trial"),
        }
    }
}

impl Conflict {
    /// What to do about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Differs(_) => "the same trial always gives the same result, so leave out the file that is wrong",
            Self::SameSettings => {
                "one of them is of other data or another version of biosweep, so leave out one of the files"
            }
        }
    }
}

/// What differs in the settings or measurements of two results of one trial.
fn difference(one: &ResultView, other: &ResultView) -> Option<&'static str> {
    if one.point != other.point {
        return Some("settings");
    }
    if [one.status, other.status].contains(&TrialStatus::Failed) {
        return None;
    }
    let sizes_differ = one.dataset_size.zip(other.dataset_size).is_some_and(|(one, other)| one != other);
    match () {
        () if one.status != other.status => Some("status"),
        () if one.score != other.score => Some("accuracies"),
        () if one.updates != other.updates => Some("updates"),
        () if sizes_differ => Some("counts of images"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::settings::Value;
    use biosweep_common::vocabulary::ids::TrialIndex;

    use super::*;
    use crate::samples::{completed, ended, with};

    fn keyed(mut result: ResultView, trial: u64) -> ResultView {
        result.trial = TrialIndex(trial);
        result.key = TrialKey([u8::try_from(trial).expect("a small number"); 32]);
        result
    }

    fn parts(all: &[&[&ResultView]]) -> Vec<Part> {
        let part = |(number, results): (usize, &&[&ResultView])| Part {
            file: format!("{number}.parquet"),
            results: results.iter().map(|&result| result.clone()).collect(),
        };
        all.iter().enumerate().map(part).collect()
    }

    #[test]
    fn the_results_of_all_files_are_joined_in_order() {
        let [a, b, c] = [0, 1, 2].map(|trial| keyed(completed("bp", "nn", trial + 1, 0.5, 0.5), trial));
        let joined = combined(parts(&[&[&b], &[&c, &a], &[]])).expect("different trials");
        assert_eq!(joined, [b, c, a]);
        assert_eq!(combined(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn an_equal_trial_counts_once_whoever_trained_it() {
        let first = keyed(completed("bp", "nn", 1, 0.5, 0.4), 3);
        let mut second = first.clone();
        (second.worker_name, second.seconds, second.attempts) = ("other".to_owned(), 99.0, 7);
        (second.trial, second.environment, second.dataset_size) = (TrialIndex(8), None, None);
        assert_eq!(combined(parts(&[&[&first], &[&second, &second]])), Ok(vec![first]));
    }

    #[test]
    fn a_measured_trial_has_precedence_over_a_failure() {
        let failed = keyed(ended("bp", "nn", 1, TrialStatus::Failed), 3);
        let done = keyed(completed("bp", "nn", 1, 0.5, 0.4), 3);
        let diverged = keyed(ended("bp", "nn", 1, TrialStatus::Diverged), 3);
        for measured in [&done, &diverged] {
            for order in [[&failed, measured], [measured, &failed]] {
                let found = combined(parts(&[&[order[0]], &[order[1]]])).expect("one measurement");
                assert_eq!(found, std::slice::from_ref(measured));
            }
        }
        let error = combined(parts(&[&[&failed], &[&done], &[&diverged]])).expect_err("two measurements");
        assert_eq!((error.earlier.as_str(), error.file.as_str()), ("1.parquet", "2.parquet"));
    }

    #[test]
    fn two_trials_with_the_same_settings_are_refused() {
        let first = keyed(completed("bp", "nn", 1, 0.5, 0.4), 3);
        let of_other_data = keyed(completed("bp", "nn", 1, 0.5, 0.2), 4);
        let error = combined(parts(&[&[&first], &[&of_other_data]])).expect_err("two trials");
        let text = error.to_string();
        assert!(
            text.contains("has the settings of another trial in 0.parquet; one of them is of other data"),
            "{text}"
        );
        assert_eq!(error.file, "1.parquet");
    }

    #[test]
    fn a_trial_with_two_results_is_refused_with_its_file_and_its_number() {
        let first = keyed(completed("bp", "nn", 1, 0.5, 0.4), 3);
        let mut longer = first.clone();
        longer.updates += 1;
        let mut other_size = first.clone();
        other_size.dataset_size.as_mut().expect("known").test_images -= 1;
        let cases = [
            (keyed(completed("bp", "nn", 1, 0.5, 0.400_000_000_000_000_1), 5), "accuracies"),
            (keyed(ended("bp", "nn", 1, TrialStatus::Diverged), 5), "status"),
            (keyed(with(first.clone(), &[("fold", Value::Integer(1))]), 5), "settings"),
            (longer, "updates"),
            (other_size, "counts of images"),
        ];
        for (mut second, what) in cases {
            (second.key, second.trial) = (first.key, TrialIndex(5));
            let error = combined(parts(&[&[&first], &[&second]])).expect_err(what);
            assert_eq!((error.file.as_str(), error.conflict), ("1.parquet", Conflict::Differs(what)));
            let text = error.to_string();
            assert!(text.starts_with("trial 5 (key 0303030303"), "{text}");
            assert!(text.contains(&format!("has other {what} than in 0.parquet; ")), "{text}");
        }
    }
}
