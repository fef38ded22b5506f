//! Stored results for users: reuse, extension and retries.

use std::process::Command;

use biosweep_tests::Home;
use biosweep_tests::cluster::Cluster;
use serde_json::Value;

/// Short trajectories on the synthetic digits, with two trials each.
const SPEC: &str = r#"
name = "small"
[data]
dataset = "synthetic-digits"
[train]
hidden = 16
batch_size = 32
eval_every = 50
[grid]
rule = "bp"
network = "nn"
depth = [1, 2]
seed = [0, 1]
max_updates = [50, 100]
"#;
/// The same spec with one more seed and another name.
fn larger() -> String {
    SPEC.replace("\"small\"", "\"larger\"").replace("[0, 1]", "[0, 1, 2]")
}

/// Writes a spec and gives it to a command with a JSON answer.
fn with_spec(home: &Home, arguments: &[&str], text: &str, more: &[&str]) -> Value {
    let spec = home.spec(text);
    home.json(&[arguments, &[spec.to_str().expect("a path")], more].concat())
}

fn rows(home: &Home, sweep: &str) -> Vec<Value> {
    home.json(&["results", sweep]).as_array().expect("an array").clone()
}

/// The part of a result that must not depend on where it comes from.
fn finding(row: &Value) -> String {
    ["key", "status", "validation_accuracy", "test_accuracy", "best_update", "updates"]
        .map(|column| row[column].to_string())
        .join(" ")
}

fn is_reused(row: &Value) -> bool {
    row["reused_from"].is_string()
}

#[test]
fn a_larger_sweep_trains_only_new_trials_and_names_the_sources_of_the_others() {
    let home = Home::default();
    assert_eq!(with_spec(&home, &["plan"], &larger(), &[])["reused"], 0);
    let small = with_spec(&home, &["run"], SPEC, &["--workers", "1"]);
    assert_eq!((&small["completed"], &small["reused"]), (&8.into(), &0.into()));
    assert_eq!(with_spec(&home, &["plan"], &larger(), &[])["reused"], 8);
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(1), "a plan submits nothing");

    let large = with_spec(&home, &["run"], &larger(), &["--workers", "1"]);
    assert_eq!((&large["completed"], &large["reused"]), (&12.into(), &8.into()));
    let (old, new) = (rows(&home, "small"), rows(&home, "larger"));
    let taken: Vec<&Value> = new.iter().filter(|row| is_reused(row)).collect();
    assert_eq!(taken.len(), 8);
    for row in taken {
        let from = row["reused_from"].as_str().expect("a reference");
        let (sweep, trial) = from.split_once('/').expect("a sweep and a trial");
        assert_eq!(small["id"], sweep);
        let source = old.iter().find(|row| row["trial"].as_u64() == trial.parse().ok()).expect("it is there");
        assert_eq!(finding(row), finding(source));
        assert_eq!((&row["attempts"], &row["seconds"]), (&0.into(), &0.0.into()));
    }
    assert!(new.iter().filter(|row| !is_reused(row)).all(|row| row["seed"] == 2 && row["attempts"] == 1));
    let curves = |sweep: &str| home.json(&["results", sweep, "--curves"]).as_array().expect("an array").clone();
    let of_seed_0 = |rows: Vec<Value>| {
        rows.into_iter().filter(|row| row["trial"] == 0).map(|row| row["train_loss"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of_seed_0(curves("small")), of_seed_0(curves("larger")));
    assert_eq!(curves("larger").len(), 12);

    let shorter = larger().replace("\"larger\"", "\"shorter\"").replace("max_updates = [50, 100]", "max_updates = 50");
    let all = with_spec(&home, &["submit"], &shorter, &[]);
    assert_eq!((&all["state"], &all["reused"]), (&"finished".into(), &6.into()), "nothing is left to train");
    let again = SPEC.replace("\"small\"", "\"again\"");
    let anew = with_spec(&home, &["run"], &again, &["--workers", "1", "--no-reuse"]);
    assert_eq!((&anew["completed"], &anew["reused"]), (&8.into(), &0.into()));
    let anew = rows(&home, "again");
    assert!(anew.iter().all(|row| !is_reused(row) && row["attempts"] == 1));
    assert_eq!(anew.iter().map(finding).collect::<Vec<_>>(), old.iter().map(finding).collect::<Vec<_>>());
}

#[test]
fn an_extended_sweep_keeps_its_trials_and_trains_only_new_ones() {
    let home = Home::default();
    let before = with_spec(&home, &["run"], SPEC, &["--workers", "1"]);
    let old = rows(&home, "small");
    let more = SPEC.replace("[0, 1]", "[1, 2]").replace("depth = [1, 2]", "depth = [2, 3]");

    let extended = with_spec(&home, &["extend", "small"], &more, &[]);
    assert_eq!((&extended["id"], &extended["added"], &extended["trials"]), (&before["id"], &6.into(), &14.into()));
    assert_eq!(extended["state"], "running");
    let again = with_spec(&home, &["extend", "small"], &more, &[]);
    assert_eq!((&again["added"], &again["trials"]), (&0.into(), &14.into()), "a repeated extension adds nothing");

    let after = home.json(&["run", "small", "--workers", "1"]);
    assert_eq!((&after["id"], &after["state"], &after["completed"]), (&before["id"], &"finished".into(), &14.into()));
    let new = rows(&home, "small");
    assert_eq!(new[..8], old, "existing results are unchanged");
    assert!(new[8..].iter().all(|row| row["depth"] == 3 || row["seed"] == 2));
    let keys: std::collections::BTreeSet<String> = new.iter().map(|row| row["key"].to_string()).collect();
    assert_eq!(keys.len(), 14);

    // An extension reuses results of other sweeps too.
    with_spec(&home, &["run"], &SPEC.replace("\"small\"", "\"other\"").replace("[0, 1]", "7"), &["--workers", "1"]);
    let extended = with_spec(&home, &["extend", "small"], &SPEC.replace("[0, 1]", "[0, 7]"), &[]);
    assert_eq!(
        (&extended["added"], &extended["reused"], &extended["state"]),
        (&4.into(), &4.into(), &"finished".into())
    );

    let contradiction = SPEC.replace("name = \"small\"", "name = \"small\"\nretries = 7").replace("[0, 1]", "8");
    let spec = home.spec(&contradiction);
    let refused = home.run(&["extend", "small", spec.to_str().expect("a path")]);
    let printed = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{printed}");
    assert!(printed.contains("retries = 7"), "{printed}");
    let _cancelled = home.json(&[
        "submit",
        home.spec(&SPEC.replace("\"small\"", "\"gone\"").replace("[0, 1]", "9")).to_str().expect("a path"),
    ]);
    let _cancelled = home.json(&["cancel", "gone"]);
    let refused = home.run(&["extend", "gone", home.spec(SPEC).to_str().expect("a path")]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("was cancelled"));
}

#[test]
fn a_sweep_on_a_coordinator_is_extended_while_it_runs() {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.submit();
    let spec = cluster.home().spec(&biosweep_tests::cluster::SPEC.replace("seed = [0, 1]", "seed = [1, 2]"));
    let extended = cluster.json(&["extend", "small", spec.to_str().expect("a path")]);
    assert_eq!((&extended["added"], &extended["trials"]), (&6.into(), &18.into()));
    cluster.kill_coordinator();
    cluster.serve();
    let _worker = cluster.work(&[], &[]);
    let status = cluster.until("all of it is done", |status| status["state"] == "finished");
    assert_eq!((&status["completed"], &status["extensions"][0]["format"]), (&18.into(), &"toml".into()));
}

#[test]
fn a_replay_says_that_a_curve_is_the_same_or_names_the_first_update_that_differs() {
    let home = Home::default();
    let sweep = with_spec(&home, &["run"], SPEC, &["--workers", "1"]);
    let old = rows(&home, "small");
    let class = ["device", "cpu_class", "libtorch"].map(|column| old[3][column].as_str().unwrap_or_default());
    assert!(class[0] == "cpu" && ["avx512", "avx2", "baseline"].contains(&class[1]), "{class:?}");
    let verdict = home.json(&["replay", "small/3"]);
    assert_eq!(verdict["trained_in"], verdict["environment"]);
    assert_eq!(
        (&verdict["environment"]["instructions"], &verdict["environment"]["libtorch"]),
        (&class[1].into(), &class[2].into())
    );
    assert_eq!((&verdict["same"], &verdict["evaluations"]), (&true.into(), &2.into()), "{verdict}");
    assert_eq!((&verdict["key"], &verdict["difference"]), (&old[3]["key"], &Value::Null));
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(1), "it leaves no sweep behind");

    // A replay of a reused trial is compared with its source.
    with_spec(&home, &["submit"], &larger(), &[]);
    let verdict = home.json(&["replay", "larger/0"]);
    assert_eq!(
        (&verdict["trial"], &verdict["same"]),
        (&format!("{}/0", sweep["id"].as_str().expect("an id")).into(), &true.into())
    );

    // The last bit of the second evaluation's loss: after the header, 25 bytes of the first and 1 of the second.
    let file = home.path().join("biosweep.sqlite");
    let damage = "import sqlite3, sys\nstore = sqlite3.connect(sys.argv[1])\n\
                  points = bytearray(store.execute('SELECT points FROM curves WHERE sweep = 1 AND trajectory = 1').fetchone()[0])\n\
                  points[3 + 25 + 1] ^= 1\n\
                  store.execute('UPDATE curves SET points = ? WHERE sweep = 1 AND trajectory = 1', (bytes(points),))\n\
                  store.commit()\n";
    let damaged = Command::new("python3").args(["-c", damage]).arg(&file).status().expect("python3 starts");
    assert!(damaged.success());
    let key = old[2]["key"].as_str().expect("a key");
    let output = home.run(&["replay", &key[..12], "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&verdict["same"], &verdict["difference"]["update"]), (&false.into(), &100.into()), "{verdict}");
    assert_eq!(verdict["difference"]["what"], "train_loss");
    assert!(verdict["environment"]["libtorch"].as_str().is_some_and(|version| version.starts_with("2.")), "{verdict}");
    assert_ne!(verdict["difference"]["stored"], verdict["difference"]["replayed"]);
    let output = home.run(&["replay", "small/2"]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("the first update of") && printed.contains("this is a bug in biosweep"), "{printed}");
    let elsewhere = "import sqlite3, sys\nstore = sqlite3.connect(sys.argv[1])\n\
                     store.execute('UPDATE trainers SET environment = json_set(environment, \"$.instructions\", \"sse\")')\n\
                     store.commit()\n";
    let moved = Command::new("python3").args(["-c", elsewhere]).arg(&file).status().expect("python3 starts");
    assert!(moved.success());
    let output = home.run(&["replay", "small/2"]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("(sse)") && printed.contains("it was trained on another kind of CPU"), "{printed}");

    let output = home.run(&["replay", "small/99"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no trial `small/99` has a result"));
}
