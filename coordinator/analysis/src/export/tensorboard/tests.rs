//! The runs, their events and the means.

use biosweep_common::settings::Level;
use biosweep_common::vocabulary::ids::TrajectoryIndex;
use prost::Message as _;

use super::messages::{Content, Event, HParamsPluginData, Summary, What};
use super::*;
use crate::samples::{completed, ended, sweep, with};

/// Three replicates of one candidate, of which one diverged, and a failed trial of another.
fn results() -> Vec<ResultView> {
    let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
    let mut results = vec![
        fold(completed("dtp", "dn", 5, 0.5, 0.4), 0),
        fold(completed("dtp", "dn", 5, 0.7, 0.6), 1),
        fold(ended("dtp", "dn", 5, TrialStatus::Diverged), 2),
        fold(ended("bp", "nn", 5, TrialStatus::Failed), 0),
    ];
    for (trial, result) in (0..).zip(&mut results) {
        result.trial = TrialIndex(trial);
    }
    results
}

/// A curve of two evaluations, and one at 400 that belongs to another stopping rule; the last trial has none.
fn curves(results: &[ResultView]) -> Vec<CurveView> {
    let curve = |result: &ResultView| {
        let fold = result.trial.0 as f64;
        let point = |update, test_accuracy| CurvePoint {
            update,
            train_loss: 2.0 - fold,
            validation_accuracy: 0.25 + 0.25 * fold,
            test_accuracy,
        };
        CurveView {
            trajectory: TrajectoryIndex(result.trial.0),
            first_trial: result.trial,
            point: result.point.clone().into_iter().filter(|(setting, _)| setting.level() != Level::Stop).collect(),
            points: vec![point(390, Some(0.125)), point(400, None), point(780, None)],
            diagnostics: Vec::new(),
        }
    };
    results[..3].iter().map(curve).collect()
}

fn files(results: &[ResultView]) -> BTreeMap<String, EventFile> {
    let mut runs = TensorBoard::new(&sweep("שלום"));
    results.iter().for_each(|result| runs.add(result));
    let curves = curves(results);
    let mut files = Vec::new();
    for (place, curve) in curves.iter().enumerate() {
        files.extend(runs.curve(curve, curves.get(place + 1).map(|next| next.first_trial)));
    }
    files.extend(runs.finish());
    files.into_iter().map(|file| (file.run.clone(), file)).collect()
}

/// The events of a file, without its first.
fn events(file: &EventFile) -> Vec<Event> {
    let mut rest = file.bytes.as_slice();
    let mut events = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        events.push(Event::decode(&after[4..4 + length]).expect("an event"));
        rest = &after[4 + length + 4..];
    }
    assert_eq!(events.remove(0).what, Some(What::FileVersion("brain.Event:2".to_owned())));
    events
}

fn values(event: &Event) -> Vec<(&str, f32)> {
    let Some(What::Summary(Summary { value })) = &event.what else { return Vec::new() };
    let scalar = |content: &Option<Content>| match content {
        Some(Content::SimpleValue(number)) => Some(*number),
        _ => None,
    };
    value.iter().filter_map(|value| Some((value.tag.as_str(), scalar(&value.content)?))).collect()
}

/// The scalars of a file: the update and the values of each event.
fn scalars(file: &EventFile) -> Vec<(i64, Vec<(String, f32)>)> {
    let owned = |event: &Event| values(event).into_iter().map(|(tag, number)| (tag.to_owned(), number)).collect();
    let all = events(file).iter().map(|event| (event.step, owned(event))).collect::<Vec<(i64, Vec<_>)>>();
    all.into_iter().filter(|(_, values)| !values.is_empty()).collect()
}

fn hparams(file: &EventFile) -> Vec<HParamsData> {
    let metadata = |event: &Event| match &event.what {
        Some(What::Summary(Summary { value })) => value.first()?.metadata.clone()?.plugin_data,
        _ => None,
    };
    let plugin = events(file).iter().filter_map(metadata).collect::<Vec<_>>();
    let decoded = plugin.iter().map(|data| HParamsPluginData::decode(data.content.as_slice()).expect("a message"));
    decoded.filter_map(|message| message.data).collect()
}

#[test]
fn each_trial_has_a_run_each_group_a_mean_and_the_root_the_hyper_parameters() {
    let runs: Vec<String> = files(&results()).into_keys().collect();
    assert_eq!(
        runs,
        [
            "",
            "bp-nn-relu-5-2/mean",
            "bp-nn-relu-5-2/trial-3",
            "dtp-dn-relu-5-1/mean",
            "dtp-dn-relu-5-1/trial-0",
            "dtp-dn-relu-5-1/trial-1",
            "dtp-dn-relu-5-1/trial-2",
        ]
    );
}

#[test]
fn a_trial_has_its_own_evaluations_and_then_its_result() {
    let found = scalars(&files(&results())["dtp-dn-relu-5-1/trial-1"]);
    let named = |values: &[(&str, f32)]| values.iter().map(|&(tag, number)| (tag.to_owned(), number)).collect();
    let expected: Vec<(i64, Vec<(String, f32)>)> = vec![
        (390, named(&[("train_loss", 1.0), ("validation_accuracy", 0.5), ("test_accuracy", 0.125)])),
        (780, named(&[("train_loss", 1.0), ("validation_accuracy", 0.5)])),
        (3_510, named(&[("result/validation_accuracy", 0.7), ("result/test_accuracy", 0.6)])),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_mean_is_over_the_replicates_at_each_update() {
    let found = scalars(&files(&results())["dtp-dn-relu-5-1/mean"]);
    assert_eq!(found.len(), 2, "{found:?}");
    let (update, values) = &found[1];
    let expected = [("train_loss", 1.0), ("validation_accuracy", 0.5), ("replicates", 3.0)];
    assert_eq!((*update, values.as_slice()), (780, expected.map(|(tag, number)| (tag.to_owned(), number)).as_slice()));
    assert_eq!(found[0].1[2], ("test_accuracy".to_owned(), 0.125));
}

#[test]
fn the_hyper_parameters_of_a_trial_name_its_group_and_its_end() {
    let files = files(&results());
    let [HParamsData::SessionStart(start), HParamsData::SessionEnd(end)] =
        &hparams(&files["dtp-dn-relu-5-1/trial-2"])[..]
    else {
        panic!("a start and an end");
    };
    assert_eq!(start.group_name, "dtp-dn-relu-5-1");
    assert_eq!(start.hparams["rule"].kind, Some(AnyKind::StringValue("dtp".to_owned())));
    assert_eq!(start.hparams["fold"].kind, Some(AnyKind::NumberValue(2.0)));
    assert_eq!(end.status(), SessionStatus::Failure);
    assert!(matches!(&hparams(&files[""])[..], [HParamsData::Experiment(experiment)] if experiment.name == "שלום"));
    let failed = &files["bp-nn-relu-5-2/trial-3"];
    assert_eq!((hparams(failed).len(), scalars(failed).len()), (2, 0), "a trial without a curve has a run too");
}

#[test]
fn trials_of_one_trajectory_have_curves_of_their_own_length() {
    let mut results = vec![completed("bp", "nn", 5, 0.5, 0.4); 2];
    for (trial, max_updates) in [(0, 400), (1, 780)] {
        results[trial] = with(results[trial].clone(), &[("max_updates", Value::Integer(max_updates))]);
        results[trial].trial = TrialIndex(trial as u64);
        results[trial].updates = max_updates;
    }
    let mut runs = TensorBoard::new(&sweep("a sweep"));
    results.iter().for_each(|result| runs.add(result));
    let curve = curves(&[results[0].clone(), results[0].clone(), results[0].clone()]).remove(0);
    let updates: Vec<Vec<i64>> = runs
        .curve(&curve, None)
        .iter()
        .map(|file| {
            scalars(file).iter().filter(|(_, values)| values[0].0 == "train_loss").map(|(step, _)| *step).collect()
        })
        .collect();
    assert_eq!(updates, [vec![390, 400], vec![390, 780]]);
}

#[test]
fn names_and_bytes_are_the_same_at_every_export() {
    let (first, second) = (files(&results()), files(&results()));
    assert_eq!(first, second);
    assert!(first.values().all(|file| file.name == "events.out.tfevents.1700000000.biosweep"));
    let end = events(&first["dtp-dn-relu-5-1/trial-0"]).pop().expect("an event");
    assert_eq!(end.wall_time, 1_700_000_012.5, "the submission and the seconds of training");
}
