//! TensorBoard's own reader finds the runs, the scalars and the hyper-parameters.

use std::fs;

use biosweep_analysis::export::{EventFile, TensorBoard};
use biosweep_analysis::samples;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::vocabulary::ids::TrialIndex;
use biosweep_tests::readers;
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("event_files.py");

fn sweep() -> (Vec<ResultView>, Vec<CurveView>) {
    let mut results = samples::paper(2);
    results.truncate(4);
    let curves = samples::curves(&results);
    for (trial, result) in (0..).zip(&mut results) {
        result.trial = TrialIndex(trial);
    }
    (results, curves)
}

fn files() -> Vec<EventFile> {
    let (results, curves) = sweep();
    let mut runs = TensorBoard::new(&samples::sweep("שלום"));
    results.iter().for_each(|result| runs.add(result));
    let mut files = Vec::new();
    for (place, curve) in curves.iter().enumerate() {
        files.extend(runs.curve(curve, curves.get(place + 1).map(|next| next.first_trial)));
    }
    files.extend(runs.finish());
    files
}

fn read() -> Option<Value> {
    let python = readers::python()?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for EventFile { run, name, bytes } in files() {
        let run = folder.path().join(run);
        fs::create_dir_all(&run).expect("a folder");
        fs::write(run.join(name), bytes).expect("a file");
    }
    Some(serde_json::from_str(&readers::run(&python, SCRIPT, &[folder.path()])).expect("JSON"))
}

#[test]
fn tensorboard_finds_every_run_with_its_scalars() {
    let Some(runs) = read() else { return };
    assert_eq!(runs.as_object().map(|runs| runs.len()), Some(4 + 2 + 1), "{runs}");
    let (_, curves) = sweep();
    for (trial, curve) in curves.iter().enumerate() {
        let run = format!("bp-nn-relu-{}-{}/trial-{trial}", [5, 10][trial / 2], trial / 2 + 1);
        let found = &runs[&run]["scalars"]["validation_accuracy"];
        assert_eq!(found.as_array().map(Vec::len), Some(curve.points.len()), "{run}: {runs}");
        for (place, point) in curve.points.iter().enumerate() {
            let value = found[place][1].as_f64().expect("a number");
            assert_eq!(found[place][0], point.update);
            assert_eq!(value as f32, point.validation_accuracy as f32, "{run}");
        }
        assert_eq!(runs[&run]["scalars"]["result/test_accuracy"][0][0], 3_510, "at the best update");
    }
    let mean = &runs["bp-nn-relu-10-2/mean"]["scalars"];
    let expected = (curves[2].points[0].train_loss + curves[3].points[0].train_loss) / 2.0;
    assert_eq!(mean["train_loss"][0][1].as_f64().map(|number| number as f32), Some(expected as f32));
    assert_eq!(mean["replicates"][0][1], 2.0);
}

#[test]
fn tensorboard_finds_the_hyper_parameters() {
    let Some(runs) = read() else { return };
    let root = &runs["."]["hparams"];
    assert_eq!((&root["experiment"], &root["metrics"][1]), (&json!("שלום"), &json!("result/test_accuracy")));
    assert!(root["infos"].as_array().is_some_and(|infos| infos.contains(&json!("learning_rate"))));
    let trial = &runs["bp-nn-relu-5-1/trial-1"]["hparams"];
    assert_eq!((&trial["group"], &trial["status"]), (&json!("bp-nn-relu-5-1"), &json!(1)));
    assert_eq!(trial["settings"]["fold"], 1.0);
    assert_eq!(trial["settings"]["optimizer"], "adam");
    assert_eq!(runs["bp-nn-relu-5-1/mean"]["hparams"], json!({}));
}
