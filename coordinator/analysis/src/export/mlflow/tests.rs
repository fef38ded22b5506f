//! The runs of a sweep, and the limits of the requests.

use biosweep_common::settings::{Level, Setting, Value};
use biosweep_common::vocabulary::ids::TrajectoryIndex;
use serde_json::json;

use super::requests::{FoundRun, batches, create, end, found, next_page, search, steps};
use super::*;
use crate::samples::{completed, ended, sweep, with};

/// Two trials of one trajectory, with different ends, one that diverged and one that failed.
fn results() -> Vec<ResultView> {
    let limited = |updates| {
        let mut result = with(completed("bp", "nn", 5, 0.5, 0.25), &[("max_updates", Value::Integer(updates))]);
        let score = result.score.as_mut().expect("a score");
        (score.best_update, score.updates, result.updates) = (390, updates, updates);
        result
    };
    let mut results = vec![
        limited(400),
        limited(780),
        ended("dtp", "dn", 5, TrialStatus::Diverged),
        ended("fa", "nn", 5, TrialStatus::Failed),
    ];
    for (trial, result) in (0..).zip(&mut results) {
        result.trial = TrialIndex(trial);
    }
    results
}

fn curve(result: &ResultView, train_loss: f64) -> CurveView {
    let point = |update, test_accuracy| CurvePoint { update, train_loss, validation_accuracy: 0.5, test_accuracy };
    CurveView {
        trajectory: TrajectoryIndex(result.trial.0),
        first_trial: result.trial,
        point: result.point.clone().into_iter().filter(|(setting, _)| setting.level() != Level::Stop).collect(),
        points: vec![point(390, None), point(400, None), point(780, Some(0.125))],
        diagnostics: Vec::new(),
    }
}

fn runs() -> Vec<Run> {
    let results = results();
    let mut export = Mlflow::new(&sweep("a"), "1.2.3");
    results.iter().cloned().for_each(|result| export.add(result));
    let mut runs = export.curve(&curve(&results[0], 1.0), Some(TrialIndex(2)));
    runs.extend(export.curve(&curve(&results[2], f64::NAN), None));
    runs.extend(export.finish());
    runs
}

fn values(run: &Run, key: &str) -> Vec<(u64, String)> {
    run.metrics.iter().filter(|one| one.key == key).map(|one| (one.step, one.value.to_string())).collect()
}

#[test]
fn every_trial_has_a_run_with_the_evaluations_of_its_own_stopping_rule() {
    let runs = runs();
    assert_eq!(runs.iter().map(|run| run.trial.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let one = |step: u64| (step, "1".to_owned());
    assert_eq!(values(&runs[0], "train_loss"), [one(390), one(400)]);
    assert_eq!(values(&runs[1], "train_loss"), [one(390), one(780)]);
    assert_eq!(values(&runs[0], "test_accuracy"), [], "it was not measured");
    assert_eq!(values(&runs[1], "test_accuracy"), [(780, "0.125".to_owned())]);
    assert_eq!(values(&runs[0], "result/test_accuracy"), [(390, "0.25".to_owned())], "at the best validation");
    assert_eq!(values(&runs[2], "train_loss").last(), Some(&(780, "NaN".to_owned())), "a divergence is kept");
    assert_eq!(values(&runs[2], "result/test_accuracy"), [(3_900, "NaN".to_owned())], "where it diverged");
    assert!(runs[3].metrics.is_empty() && runs[3].status == TrialStatus::Failed);
    assert_eq!(runs[3].name, "fa-nn-relu-5 trial 3");
    assert_eq!((runs[0].start_ms, runs[0].end_ms), (1_700_000_000_000, 1_700_000_012_500));
}

#[test]
fn settings_are_params_and_tags_identify_the_trial() {
    let run = &runs()[1];
    let of = |pairs: &[Pair], key: &str| pairs.iter().find(|pair| pair.key == key).map(|pair| pair.value.clone());
    assert_eq!(of(&run.params, "max_updates").as_deref(), Some("780"));
    assert_eq!(run.params.len(), results()[1].point.len());
    assert_eq!(of(&run.tags, TRIAL_TAG).as_deref(), Some("1"));
    assert_eq!(of(&run.tags, SWEEP_TAG).as_deref(), Some("00000000-0000-0000-0000-000000000007"));
    assert_eq!(of(&run.tags, "biosweep.libtorch").as_deref(), Some("2.11.0"));
    let identity = create("4", run)["tags"].clone();
    assert_eq!(identity.as_array().map(Vec::len), Some(2), "the rest comes later: {identity}");
    let statuses: Vec<_> = runs().iter().map(|run| end("r", run)["status"].clone()).collect();
    assert_eq!(statuses, ["FINISHED", "FINISHED", "KILLED", "FAILED"]);
}

#[test]
fn a_long_value_is_cut_between_characters_and_says_so() {
    let mut long = results().remove(3);
    long.point.insert(Setting::Dataset, Value::Name(format!("idx:{}", "ש".repeat(4_000)).into()));
    long.worker_name = "x".repeat(5_001);
    let mut export = Mlflow::new(&sweep("a"), "1.2.3");
    export.add(long);
    let run = export.finish().remove(0);
    let longest = |pairs: &[Pair]| {
        pairs.iter().max_by_key(|pair| pair.value.len()).map(|pair| (pair.value.len(), pair.value.ends_with('…')))
    };
    assert_eq!(longest(&run.params), Some((5_999, true)));
    assert_eq!(longest(&run.tags), Some((5_000, true)));
}

#[test]
fn no_call_exceeds_a_limit_of_the_server_and_nothing_is_lost() {
    let pairs = |count: usize, bytes: usize| -> Vec<Pair> {
        (0..count).map(|number| Pair { key: number.to_string(), value: "\"".repeat(bytes) }).collect()
    };
    let metrics: Vec<Metric> = (0..2_345)
        .map(|step| Metric { key: "train_loss", value: f64::NAN, step, timestamp_ms: 1_700_000_000_000 })
        .collect();
    for (tags, params) in [(pairs(101, 1), pairs(201, 1)), (pairs(100, 5_000), pairs(100, 6_000)), (vec![], vec![])] {
        let calls = batches("r", &tags, &params, &metrics);
        let mut totals = [0; 3];
        for call in &calls {
            let counts = ["tags", "params", "metrics"].map(|kind| call[kind].as_array().expect("a list").len());
            assert!(counts[0] <= 100 && counts[1] <= 100 && counts.iter().sum::<usize>() <= 1_000, "{counts:?}");
            assert!(call.to_string().len() <= 1_000_000);
            totals = std::array::from_fn(|kind| totals[kind] + counts[kind]);
        }
        assert_eq!(totals, [tags.len(), params.len(), metrics.len()]);
    }
    assert_eq!(batches("r", &[], &[], &[]), [json!(null); 0]);
    let infinite = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1 + 0.2].map(|value| Metric { value, ..metrics[0] });
    let sent = batches("r", &[], &[], &infinite).remove(0);
    let sent: Vec<_> = sent["metrics"].as_array().expect("a list").iter().map(|one| one["value"].clone()).collect();
    assert_eq!(sent, [json!("Infinity"), json!("-Infinity"), json!("NaN"), json!(0.1 + 0.2)]);
}

#[test]
fn a_run_is_complete_only_if_it_has_ended_as_its_trial_did() {
    let run = |trial: &str, status: &str, ended: &str| {
        json!({ "info": { "run_id": "r", "status": status }, "data": { "tags": [
            { "key": "other", "value": "1" },
            { "key": TRIAL_TAG, "value": trial },
            { "key": STATUS_TAG, "value": ended },
        ] } })
    };
    let cases = [
        ("FINISHED", "completed", Some(TrialStatus::Completed)),
        ("KILLED", "diverged", Some(TrialStatus::Diverged)),
        ("FAILED", "failed", Some(TrialStatus::Failed)),
        ("RUNNING", "completed", None),
        ("FINISHED", "failed", None),
        ("FINISHED", "", None),
    ];
    for (status, ended, complete) in cases {
        let answer = json!({ "runs": [run("7", status, ended), run("x", status, ended)] });
        assert_eq!(found(&answer), [FoundRun { id: "r".to_owned(), trial: 7, complete }], "{status} {ended}");
    }
    assert_eq!(found(&json!({})), []);
}

#[test]
fn pages_and_steps_are_read_in_every_form_a_server_writes() {
    assert_eq!(next_page(&json!({ "next_page_token": "t" })), Some("t"));
    assert_eq!((next_page(&json!({ "next_page_token": "" })), next_page(&json!({}))), (None, None));
    assert_eq!(steps(&json!({ "metrics": [{ "step": 7 }, { "step": "8" }, {}] })), [0, 7, 8].into());
    let request = search("4", "s", Some(7), Some("t"));
    assert_eq!(request["filter"], "tags.`biosweep.sweep` = 's' and tags.`biosweep.trial` = '7'");
    assert_eq!(request["page_token"], "t");
    assert_eq!(search("4", "s", None, None)["filter"], "tags.`biosweep.sweep` = 's'");
}
