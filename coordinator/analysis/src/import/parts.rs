//! The results of a sweep that was run in parts: several files as one.

use std::collections::BTreeMap;

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;

/// The results in one of several files.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The name of the file, for errors.
    pub file: String,
    /// Its results.
    pub results: Vec<ResultView>,
}

/// Two files have different results of the same trial, so that one of them cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "trial {trial} (key {key}) has other {what} than in {earlier}; the same trial always gives the same result, so leave out \
     the file that is wrong"
)]
pub struct Contradiction {
    /// The file.
    pub file: String,
    /// The number of the trial in this file.
    pub trial: u64,
    /// The key of the trial.
    pub key: TrialKey,
    /// What differs.
    pub what: &'static str,
    /// The earlier file that has the trial.
    pub earlier: String,
}

/// The results of all parts, in their order. A trial that is in several parts counts once: a result of the first part that
/// has measured it. A failed trial has measured nothing. Who trained a trial, in which time and at which attempt, may
/// differ.
///
/// # Errors
/// A trial with different settings, or with different results.
pub fn combined(parts: Vec<Part>) -> Result<Vec<ResultView>, Contradiction> {
    let mut places: BTreeMap<TrialKey, (usize, usize)> = BTreeMap::new();
    let mut all: Vec<ResultView> = Vec::new();
    let mut names = Vec::with_capacity(parts.len());
    for (number, Part { file, results }) in parts.into_iter().enumerate() {
        for result in results {
            let Some((place, earlier)) = places.get_mut(&result.key) else {
                places.insert(result.key, (all.len(), number));
                all.push(result);
                continue;
            };
            let kept = &mut all[*place];
            if let Some(what) = difference(kept, &result) {
                let earlier = names.get(*earlier).unwrap_or(&file).clone();
                return Err(Contradiction { trial: result.trial.0, key: result.key, what, earlier, file });
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
            assert_eq!((error.file.as_str(), error.what), ("1.parquet", what));
            let text = error.to_string();
            assert!(text.starts_with("trial 5 (key 0303030303"), "{text}");
            assert!(text.contains(&format!("has other {what} than in 0.parquet; ")), "{text}");
        }
    }
}
