//! Trials that differ only in their stopping rule are trained once, with the same results as separately. Also
//! requirements of sweeps.

use biosweep_tests::cluster::Cluster;
use biosweep_tests::{Home, until};
use serde_json::Value;

/// Four trajectories with six trials each; 130 and 300 are not multiples of the evaluation interval.
const SPEC: &str = r#"
name = "shared"
[data]
dataset = "synthetic-digits"
[train]
hidden = 32
batch_size = 64
eval_every = 8
early_stop_patience = 1
learning_rate = 0.02
[grid]
rule = ["bp", "fa"]
network = "nn"
depth = 2
seed = [0, 1]
early_stop_start = [0, 100, 200]
max_updates = [130, 300]
"#;
const TRIALS: usize = 24;

/// The results of trials, without the columns that depend on how they were trained.
fn findings(home: &Home) -> Vec<Value> {
    let mut rows = home.json(&["results", "shared"]);
    let rows = rows.as_array_mut().expect("an array");
    for row in rows.iter_mut() {
        for column in ["seconds", "worker", "attempts"] {
            row.as_object_mut().expect("a row").remove(column);
        }
    }
    rows.clone()
}

#[test]
fn every_trial_has_the_same_result_with_and_without_sharing() {
    let (together, alone) = (Home::default(), Home::default());
    let run = |home: &Home, flags: &[&str]| {
        let spec = home.spec(SPEC).to_string_lossy().into_owned();
        home.json(&[&["run", &spec, "--workers", "2"], flags].concat())
    };
    assert_eq!(run(&together, &[])["trajectories"].as_u64(), Some(4));
    assert_eq!(run(&alone, &["--no-share"])["trajectories"].as_u64(), Some(TRIALS as u64));
    let found = findings(&together);
    assert_eq!(found.len(), TRIALS);
    assert_eq!(found, findings(&alone));
    let updates = |row: &Value| row["updates"].as_u64().expect("a number");
    assert!(found.iter().any(|row| updates(row) < 130), "some stop early");
    assert!(found.iter().any(|row| updates(row) == 130), "some end between two regular evaluations");
}

#[test]
fn a_plan_shows_the_saving_of_sharing() {
    let home = Home::default();
    let spec = home.spec(SPEC).to_string_lossy().into_owned();
    let plan = home.json(&["plan", &spec]);
    assert_eq!((plan["trials"].as_u64(), plan["trajectories"].as_u64()), (Some(24), Some(4)));
    let (shared, alone) = (plan["updates_max"].as_f64(), plan["updates_unshared"].as_f64());
    assert_eq!((shared, alone), (Some(4.0 * 300.0), Some(12.0 * (130.0 + 300.0))));
    let saving = plan["saving"].as_f64().expect("a number");
    assert!((saving - (1.0 - 1_200.0 / 5_160.0)).abs() < 1e-9);
    assert_eq!(home.json(&["plan", &spec, "--no-share"])["saving"].as_f64(), Some(0.0));
}

#[test]
fn a_sweep_waits_for_workers_that_meet_its_requirement() {
    let mut cluster = Cluster::new(None);
    let spec =
        cluster.home().spec(&format!("require = {{ labels = [\"big\"] }}\n{SPEC}")).to_string_lossy().into_owned();
    let refused = cluster.home().run(&["run", &spec]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("requires label big") && why.contains("--device"), "{why}");

    cluster.serve();
    assert_eq!(cluster.json(&["submit", &spec])["found"], false);
    let reason = |cluster: &Cluster| cluster.json(&["show", "shared"])["reason"].as_str().map(str::to_owned);
    assert_eq!(
        reason(&cluster).as_deref(),
        Some("the sweep waits for a worker with label big: no worker is connected")
    );
    cluster.work(&["--label", "small"], &[]);
    let has_not = "the sweep waits for a worker with label big: no connected worker matches";
    until("the wrong worker is there", || (reason(&cluster).as_deref() == Some(has_not)).then_some(()));
    cluster.work(&["--label", "big", "--label", "other"], &[]);
    until("it finishes", || has_finished(&cluster, "shared").then_some(()));
}

#[test]
fn overlapping_sweeps_train_their_common_trials_once() {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    let twin = SPEC.replace("shared", "twin").replace("[\"bp\", \"fa\"]", "[\"fa\", \"bp\"]");
    for text in [SPEC, &twin] {
        let spec = cluster.home().spec(text);
        assert_eq!(cluster.json(&["submit", &spec.to_string_lossy()])["found"], false);
    }
    for _ in 0..2 {
        cluster.work(&[], &[]);
    }
    let sweeps = ["shared", "twin"];
    until("both finish", || sweeps.iter().all(|sweep| has_finished(&cluster, sweep)).then_some(()));
    let results = sweeps.map(|sweep| cluster.json(&["results", sweep]));
    let rows = || results.iter().flat_map(|rows| rows.as_array().expect("an array"));
    assert_eq!(rows().filter(|row| row["status"] == "completed").count(), 2 * TRIALS);
    assert_eq!(rows().filter(|row| row["reused_from"].is_null()).count(), TRIALS);
}

fn has_finished(cluster: &Cluster, sweep: &str) -> bool {
    cluster.json(&["show", sweep])["state"] == "finished"
}
