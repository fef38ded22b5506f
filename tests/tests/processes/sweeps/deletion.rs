//! Deleted sweeps: what is removed, what stays, and which sweep a name refers to.

use biosweep_tests::cluster::Cluster;
use biosweep_tests::{Home, until};
use serde_json::Value;

/// Short trajectories on the synthetic digits, with two trials each.
const SPEC: &str = r#"
name = "small"
[data]
dataset = "synthetic-digits"
[train]
hidden = 16
batch_size = 32
eval_every = 25
[grid]
rule = "bp"
network = "nn"
depth = [1, 2]
seed = [0, 1]
max_updates = [60, 100]
"#;

fn submit(home: &Home, text: &str) -> Value {
    home.json(&["submit", home.spec(text).to_str().expect("a path")])
}

fn refusal(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {printed}");
    printed
}

fn names(home: &Home) -> Vec<String> {
    let list = home.json(&["list"]);
    list.as_array().expect("an array").iter().map(|sweep| sweep["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_deleted_sweep_is_gone_with_its_files_and_results_reused_by_others_stay() {
    let home = Home::default();
    let spec = home.spec(SPEC);
    let small = home.json(&["run", spec.to_str().expect("a path"), "--workers", "1"]);
    let id = small["id"].as_str().expect("an id");
    // Trained separately, it would have ended earlier and without the evaluation at 100.
    let shorter = SPEC.replace("\"small\"", "\"shorter\"").replace("[60, 100]", "60");
    assert_eq!(submit(&home, &shorter)["state"], "finished", "all results are reused");
    let rows = |sweep: &str| home.json(&["results", sweep]).as_array().expect("an array").clone();
    let (before, curves) = (rows("shorter"), home.json(&["results", "shorter", "--curves"]));
    let folder = std::path::PathBuf::from(small["results"].as_str().expect("a path"));
    assert!(folder.is_file());

    assert!(refusal(&home, &["delete", "small"]).contains("--yes"), "there is no terminal to ask on");
    assert_eq!(names(&home).len(), 2);
    let deleted = home.json(&["delete", "small", "--yes"]);
    assert_eq!((&deleted["id"], &deleted["taken_over"]), (&small["id"], &4.into()));
    assert!(!folder.exists() && deleted["removed"].as_array().is_some_and(|removed| removed.len() == 1), "{deleted}");
    assert_eq!(names(&home), ["shorter"]);
    for command in [&["show", id][..], &["results", id], &["delete", id, "--yes"]] {
        assert!(refusal(&home, command).contains("no sweep"));
    }

    for (row, old) in rows("shorter").iter().zip(&before) {
        let from = old["reused_from"].as_str().expect("a reference");
        assert_eq!(row["reused_from"], format!("{from} (deleted)"));
        let found = |row: &Value| ["key", "test_accuracy", "updates", "worker"].map(|column| row[column].to_string());
        assert_eq!(found(row), found(old));
    }
    assert_eq!(home.json(&["results", "shorter", "--curves"]), curves);
    let verdict = home.json(&["replay", "shorter/0"]);
    assert_eq!((&verdict["same"], &verdict["evaluations"]), (&true.into(), &3.into()), "{verdict}");
    // The results are now found in the sweep that reused them.
    let again = submit(&home, &SPEC.replace("\"small\"", "\"again\""));
    assert_eq!((&again["state"], &again["reused"]), (&"finished".into(), &8.into()));
}

#[test]
fn a_sweep_that_has_not_ended_is_not_deleted() {
    let home = Home::default();
    submit(&home, SPEC);
    assert!(refusal(&home, &["delete", "small", "--yes"]).contains("cancel it first"));
    let _paused = home.json(&["pause", "small"]);
    assert!(refusal(&home, &["delete", "small", "--yes"]).contains("cancel it first"));
    let _cancelled = home.json(&["cancel", "small"]);
    assert_eq!(home.json(&["delete", "small", "--yes"])["taken_over"], 0);
    assert_eq!(names(&home).len(), 0);
    assert_eq!(submit(&home, SPEC)["found"], false, "its spec gives a new sweep");
}

#[test]
fn workers_delete_the_checkpoints_of_a_deleted_sweep() {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.submit();
    let _worker = cluster.work(&[], &[]);
    cluster.until_in_full_swing();
    cluster.kill_worker();
    let _cancelled = cluster.json(&["cancel", "small"]);
    // The command runs on another machine, which has none of the checkpoints.
    let elsewhere = Home::default();
    let _deleted = elsewhere.json(&["delete", "small", "--yes", "--coordinator", &cluster.url()]);
    assert!(!cluster.checkpoints().is_empty());
    let _worker = cluster.work(&[], &[]);
    until("the checkpoints are gone", || cluster.checkpoints().is_empty().then_some(()));
}

#[test]
fn a_name_cannot_hide_a_sweep_and_an_ambiguous_name_changes_none() {
    let home = Home::default();
    let named = |name: &str, fresh: &[&str]| {
        let spec = home.spec(&SPEC.replace("\"small\"", &format!("{name:?}")));
        let sweep = home.json(&[&["submit", spec.to_str().expect("a path")], fresh].concat());
        sweep["id"].as_str().expect("an id").to_owned()
    };
    let first = named("small", &[]);
    let impostor = named(&first, &["--fresh"]);
    assert_eq!(home.json(&["cancel", &first])["id"], first);
    assert_eq!(home.json(&["show", &impostor])["state"], "running");

    let second = named("small", &["--fresh"]);
    assert_eq!(home.json(&["show", "small"])["id"], second, "a running sweep comes before ended ones");
    assert_eq!(home.json(&["pause", "small"])["id"], second);
    let third = named("small", &["--fresh"]);
    assert_eq!(home.json(&["show", "small"])["id"], third);
    for command in
        [&["cancel", "small"][..], &["pause", "small"], &["resume", "small"], &["retry", "small", "--failed"]]
    {
        let printed = refusal(&home, command);
        assert!(printed.contains(&second) && printed.contains(&third) && !printed.contains(&first), "{printed}");
    }
    for id in [&second, &third] {
        let _cancelled = home.json(&["cancel", id]);
    }
    assert!(refusal(&home, &["delete", "small", "--yes"]).contains(&first));
    assert_eq!(home.json(&["delete", &second, "--yes"])["id"], second);
}
