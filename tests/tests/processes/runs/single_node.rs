//! `biosweep run` with real worker processes: the same results with and without faults.

use std::process::Child;

use biosweep_tests::{Home, until, until_ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Eight short trajectories on the synthetic digits.
const SPEC: &str = r#"
name = "small"
[data]
dataset = "synthetic-digits"
[train]
hidden = 32
batch_size = 64
eval_every = 50
[grid]
rule = ["bp", "dtp"]
network = ["nn", "dn"]
depth = 3
seed = [0, 1]
max_updates = [100, 400]
"#;
const TRIALS: usize = 16;

/// The part of the results that must not depend on the workers.
fn findings(home: &Home) -> Vec<(u64, String, String, String)> {
    let rows = home.json(&["results", "small"]);
    let row = |row: &Value| {
        let text = |column: &str| row[column].to_string();
        let trial = row["trial"].as_u64().expect("a number");
        (trial, text("key"), text("validation_accuracy"), text("test_accuracy"))
    };
    rows.as_array().expect("an array").iter().map(row).collect()
}

fn curves(home: &Home) -> String {
    home.answer(&["results", "small", "--curves", "--format", "csv"])
}

fn run_in(home: &Home, workers: &str) {
    let spec = home.spec(SPEC);
    let answer = home.answer(&["run", &spec.to_string_lossy(), "--workers", workers]);
    assert!(answer.contains("dtp") && answer.contains("results.csv"), "{answer}");
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}

fn start(home: &Home) -> Child {
    let spec = home.spec(SPEC);
    home.biosweep(&["run", &spec.to_string_lossy(), "--workers", "2"]).spawn().expect("biosweep starts")
}

fn completed(home: &Home) -> Option<u64> {
    home.json(&["list"])[0]["completed"].as_u64()
}

#[test]
fn one_worker_and_two_workers_give_the_same_results_to_the_last_bit() {
    let (alone, together) = (Home::default(), Home::default());
    run_in(&alone, "1");
    run_in(&together, "2");
    assert_eq!(findings(&alone).len(), TRIALS);
    assert_eq!(findings(&alone), findings(&together));
    assert_eq!(curves(&alone), curves(&together));
}

#[test]
fn a_sweep_says_whether_dense_connections_help_and_which_settings_are_best() {
    let home = Home::default();
    let spec = home.spec(SPEC);
    let run = home.json(&["run", &spec.to_string_lossy(), "--workers", "2"]);
    let verdicts = run["verdicts"].as_array().expect("an array");
    assert_eq!(verdicts.len(), 2, "one for each rule: {verdicts:?}");
    for verdict in verdicts {
        assert_eq!((&verdict["pairs"], &verdict["unit"]), (&2.into(), &"seed".into()), "{verdict}");
        let sentence = verdict["sentence"].as_str().expect("a text");
        assert!(sentence.contains("n is too small to tell whether dense connections help: 2 seeds"), "{sentence}");
    }
    let comparison = home.json(&["compare", "small"]);
    assert_eq!(
        (&comparison["primary"], comparison["secondary"].as_array().map(Vec::len)),
        (&Value::Array(vec![]), Some(2))
    );
    let of_rules = home.json(&["compare", "small", "--arms", "rule=dtp,bp", "--where", "max_updates=400"]);
    assert_eq!(of_rules["secondary"][1]["group"], serde_json::json!({ "network": "dn" }));

    let file = home.path().join("small.parquet").to_string_lossy().into_owned();
    let _written = home.answer(&["export", "small", "--format", "parquet", "--to", &file]);
    assert_eq!(home.json(&["compare", "--from", &file]), comparison, "a file gives the same answer");
    let rows = home.answer(&["export", "small", "--format", "jsonl"]);
    let lines: Vec<&str> = rows.lines().collect();
    let write = |name: &str, lines: &[&str]| {
        let path = home.path().join(name);
        std::fs::write(&path, lines.join("\n")).expect("written");
        path.to_string_lossy().into_owned()
    };
    let (one, two) = (write("small-1.jsonl", &lines[..5]), write("small-2.jsonl", &lines[4..]));
    assert_eq!(home.json(&["compare", "--from", &one, &two]), comparison, "so do two parts that share a trial");
    assert_eq!(home.json(&["compare", "--from", &one, "--from", &two]), comparison);
    let changed = write("changed.jsonl", &[&lines[0].replace("\"test_accuracy\":0.", "\"test_accuracy\":0.0")]);
    let contradiction = home.run(&["compare", "--from", &one, &changed]);
    let printed = String::from_utf8_lossy(&contradiction.stderr);
    assert!(contradiction.status.code() == Some(2), "{printed}");
    assert!(printed.contains(&format!("--from {changed}: trial 0 (key ")) && printed.contains(&one), "{printed}");

    let folder = home.path().join("figures").to_string_lossy().into_owned();
    let draw = |more: &[&str]| home.run(&[&["figures", "small", "--to", &folder], more].concat());
    for (format, start) in [("svg", &b"<svg"[..]), ("png", b"\x89PNG"), ("pdf", b"%PDF")] {
        assert!(draw(&["--format", format, "--width", "3.3in"]).status.success(), "{format}");
        for kind in ["accuracy-by-depth", "contrasts", "sensitivity", "tuning-budget", "importance", "learning-curves"]
        {
            let bytes = std::fs::read(home.path().join("figures").join(format!("{kind}.{format}"))).expect("a figure");
            assert!(bytes.starts_with(start), "{kind}.{format}");
        }
    }
    assert!(String::from_utf8_lossy(&draw(&[]).stderr).contains("already exists"), "nothing is overwritten");
    assert!(draw(&["--force"]).status.success());

    let best = home.json(&["best", "small", "--by", "rule"]);
    assert_eq!(
        (best.as_array().map(Vec::len), &best[0]["candidates"]),
        (Some(2), &4.into()),
        "two networks, two lengths"
    );
    for (format, part) in
        [("csv", "rule,network,max_updates,test,"), ("markdown", "| rule | network |"), ("latex", "\\toprule")]
    {
        let table = home.answer(&["best", "small", "--output", format]);
        assert!(table.contains(part), "{format}: {table}");
    }
    for (bad, why) in [
        (&["compare", "small", "--arms", "network=nn"][..], "two different values are needed"),
        (&["compare", "small", "--by", "rule", "--arms", "network=nn,lognormal"], "no result has network=lognormal"),
        (&["best", "small", "--by", "seed"], "it makes replicates"),
        (&["best", "small", "--where", "depth=4"], "has no results with these settings"),
        (&["list", "--output", "csv"], "are for tables"),
        (&["compare", "--from", "nothing.parquet"], "--from nothing.parquet"),
        (&["figures", "--from", &file, "--kind", "learning-curves"], "has no learning-curves"),
        (&["figures", "small", "--kind", "diagnostics", "--to", &folder], "a spec turns on with `measure`"),
    ] {
        let output = home.run(bad);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && printed.contains(why), "{bad:?}: {printed}");
    }
}

/// Two contrasts that a sweep plans.
const PLAN: &str = r#"
[[contrast]]
question = "Do targets do as well?"
arms = [{ rule = "bp" }, { rule = "dtp" }]
where = { network = "nn" }
[[contrast]]
arms = [{ rule = "dtp", network = "nn" }, { rule = "bp", network = "dn" }]
"#;

#[test]
fn a_sweep_answers_its_planned_contrasts_and_keeps_its_plan() {
    let home = Home::default();
    let spec = home.spec(&format!("{SPEC}{PLAN}")).to_string_lossy().into_owned();
    let run = home.json(&["run", &spec, "--workers", "2"]);
    let verdicts = run["verdicts"].as_array().expect("an array");
    assert_eq!(verdicts.len(), 2, "one for each contrast: {verdicts:?}");
    assert_eq!((&verdicts[0]["family"], &verdicts[0]["setting"]), (&2.into(), &"rule".into()), "{verdicts:?}");
    assert_eq!(verdicts[1]["second"]["arm"], serde_json::json!({ "network": "dn", "rule": "bp" }));
    let sentence = verdicts[0]["sentence"].as_str().expect("a text");
    assert!(sentence.starts_with("Do targets do as well? nn: n is too small"), "{sentence}");

    let file = home.path().join("small.parquet").to_string_lossy().into_owned();
    let _written = home.answer(&["export", "small", "--format", "parquet", "--to", &file]);
    let planned = home.json(&["compare", "--from", &file]);
    let of_run = |verdict: &Value| {
        let mut verdict = verdict.clone();
        verdict.as_object_mut().expect("an object").remove("sentence");
        verdict
    };
    assert_eq!(planned["planned"], verdicts.iter().map(of_run).collect::<Value>(), "a file has the plan of its sweep");
    assert_eq!((&planned["primary"], &planned["secondary"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    for other in [&["--by", "rule"][..], &["--where", "rule=bp"], &["--arms", "network=nn,dn"]] {
        let explored = home.json(&[&["compare", "small"], other].concat());
        assert_eq!(explored["planned"], Value::Array(vec![]), "{other:?} asks another question");
    }
    let arms = ["compare", "small", "--arm", "rule=dtp,network=nn", "--arm", "rule=bp,network=dn"];
    let difference = |answer: &Value, part: &str, place: usize| answer[part][place]["difference"].clone();
    assert_eq!(difference(&home.json(&arms), "secondary", 0), difference(&planned, "planned", 1));

    let plan = home.json(&["plan", &spec]);
    let contrast = &plan["contrasts"][0];
    assert_eq!((&contrast["question"], &contrast["pairs"]), (&"Do targets do as well?".into(), &2.into()), "{plan}");
    let of = |arguments: &[&str]| home.answer(arguments);
    let shown = of(&["plan", &spec]);
    assert!(shown.contains("  1. Do targets do as well? nn: bp | dtp\n"), "{shown}");
    assert!(shown.contains("2 pairs of replicates cannot show a difference: p is 1.000 at best"), "{shown}");
    let shown = of(&["compare", "small"]);
    assert!(
        shown.contains("1. Do targets do as well?") && shown.contains("The spec planned these contrasts"),
        "{shown}"
    );
    let shown = of(&["compare", "small", "--output", "csv"]);
    assert!(shown.starts_with("question,") && shown.contains("\nDo targets do as well?,"), "{shown}");
    assert!(of(&["compare", "small", "--arms", "network=nn,dn"]).contains("so this is exploration"));

    let folder = home.path().join("figures");
    let drawn = ["figures", "small", "--kind", "contrasts", "--to", &folder.to_string_lossy()];
    let _paths = home.answer(&drawn);
    let figure = std::fs::read_to_string(folder.join("contrasts.svg")).expect("a figure");
    assert!(figure.contains("nn: dtp − bp"), "{figure}");

    let without = home.spec(SPEC).to_string_lossy().into_owned();
    let output = home.run(&["run", &without]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("it keeps its options"), "{printed}");
    assert!(printed.contains("2 planned contrasts"), "{printed}");
}

#[test]
fn a_run_writes_its_report_and_no_report_is_replaced_unasked() {
    let home = Home::default();
    let run = home.json(&["run", &home.spec(SPEC).to_string_lossy(), "--workers", "2"]);
    let of_run = std::fs::read_to_string(run["report"].as_str().expect("a path")).expect("a report");
    assert!(of_run.starts_with("<!DOCTYPE html>") && of_run.contains("n is too small to tell"), "{of_run}");

    let path = home.path().join("page.html").to_string_lossy().into_owned();
    let report = |more: &[&str]| home.run(&[&["report", "small", "--to", &path], more].concat());
    assert!(report(&[]).status.success());
    assert!(String::from_utf8_lossy(&report(&[]).stderr).contains("already exists"));
    assert!(report(&["--force", "--where", "rule=bp"]).status.success());
    let of_rule = std::fs::read_to_string(&path).expect("a report");
    assert!(of_rule.contains("rule = bp") && !of_rule.contains("difference target propagation"), "{of_rule}");

    let (file, page) = (home.path().join("small.jsonl"), home.path().join("of-file.html"));
    let (file, page) = (file.to_string_lossy().into_owned(), page.to_string_lossy().into_owned());
    let _written = home.answer(&["export", "small", "--format", "jsonl", "--to", &file]);
    assert_eq!(home.json(&["report", "--from", &file, "--to", &page])["report"], page.as_str());
}

#[test]
fn diagnostics_are_stored_and_change_no_curve() {
    let (plain, measured) = (Home::default(), Home::default());
    run_in(&plain, "1");
    let spec = SPEC.replace("[train]\n", "[train]\nmeasure = [\"update_angle\", \"reconstruction_error\"]\n");
    let _results = measured.answer(&["run", &measured.spec(&spec).to_string_lossy(), "--workers", "2"]);
    assert_eq!(curves(&measured), curves(&plain));

    let rows = measured.json(&["results", "small", "--diagnostics"]);
    let rows = rows.as_array().expect("an array");
    let of = |measure: &str| rows.iter().filter(|row| row["measure"] == measure).collect::<Vec<_>>();
    // 8 trajectories with 8 evaluations of 4 layers. The decoder's measure exists only for layers 2 and 3.
    assert_eq!(of("update_angle").len(), 8 * 8 * 4);
    assert_eq!(of("reconstruction_error").len(), 4 * 8 * 2);
    let first = of("update_angle")[0];
    assert_eq!((&first["trial"], &first["update"], &first["layer"]), (&0.into(), &50.into(), &1.into()));
    // The updates of backpropagation are the gradients; under dtp this is true for the last two layers.
    let number = |row: &Value, column: &str| row[column].as_f64().expect("a number");
    let is_bp = |row: &Value| number(row, "trial") % 8.0 < 4.0;
    let mut angles = of("update_angle").into_iter();
    assert!(angles.all(|row| (number(row, "value") < 0.1) == (is_bp(row) || number(row, "layer") > 2.0)), "{rows:?}");

    let output = plain.run(&["results", "small", "--diagnostics"]);
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("sweep `small` has no layer diagnostics so far"), "{printed}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "trial,trajectory,update,layer,measure,value\n");
}

#[test]
fn a_killed_worker_neither_loses_nor_duplicates_a_result() {
    let undisturbed = Home::default();
    run_in(&undisturbed, "2");

    let home = Home::default();
    let mut run = start(&home);
    // Kills happen twice: once before any trial is done, and once after some are.
    let first = until("a worker trains", || home.workers().first().copied());
    until("the worker has connected", || {
        let sweep = home.json(&["list"]);
        (sweep[0]["state"] == "running").then_some(())
    });
    until("something trains", || {
        let workers = home.json(&["show", "small"])["workers"].clone();
        workers
            .as_array()?
            .iter()
            .any(|worker| worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty()))
            .then_some(())
    });
    signal(first, Signal::SIGKILL);
    until("something is done", || completed(&home).filter(|&completed| completed > 0));
    let second = until("a worker lives", || home.workers().into_iter().find(|&pid| pid != first));
    signal(second, Signal::SIGKILL);
    assert!(until_ended(&mut run).success());

    assert_eq!(findings(&home), findings(&undisturbed));
    assert_eq!(curves(&home), curves(&undisturbed));
    let incomplete_attempts = home.json(&["show", "small"])["incomplete_attempts"].clone();
    let lost = incomplete_attempts
        .as_array()
        .expect("an array")
        .iter()
        .filter(|incomplete_attempt| incomplete_attempt["outcome"] == "worker-lost");
    assert!(lost.count() >= 1, "a kill happened in training: {incomplete_attempts}");
}

#[test]
fn an_interrupted_run_is_continued_by_the_same_command() {
    let undisturbed = Home::default();
    run_in(&undisturbed, "2");

    let home = Home::default();
    let run = start(&home);
    until("something is done", || completed(&home).filter(|&completed| completed > 0));
    signal(i32::try_from(run.id()).expect("a process id"), Signal::SIGINT);
    let output = run.wait_with_output().expect("the run ends");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{printed}");
    assert!(printed.contains("the same command continues the sweep"), "{printed}");
    assert_eq!(home.workers(), Vec::<i32>::new(), "no worker outlives the run");
    let before = completed(&home).expect("a count");
    assert!(before < TRIALS as u64, "it was interrupted in the middle");

    run_in(&home, "2");
    assert_eq!(findings(&home), findings(&undisturbed));
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(1), "it is one sweep");
}

#[test]
fn a_run_reports_other_unfinished_sweeps() {
    let home = Home::default();
    let run = start(&home);
    until("something is done", || completed(&home).filter(|&completed| completed > 0));
    let submitted = home.json(&["submit", "quickstart", "--priority", "-1"]);
    let output = run.wait_with_output().expect("the run ends");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    let next_step = format!("biosweep run {}", submitted["id"].as_str().expect("an id"));
    assert!(printed.contains("was running too") && printed.contains(&next_step), "{printed}");
}

#[test]
fn a_killed_run_leaves_no_worker_and_is_continued_by_the_same_command() {
    let home = Home::default();
    let mut run = start(&home);
    until("something is done", || completed(&home).filter(|&completed| completed > 0));
    signal(i32::try_from(run.id()).expect("a process id"), Signal::SIGKILL);
    until_ended(&mut run);
    until("its workers have left", || home.workers().is_empty().then_some(()));
    run_in(&home, "2");
    assert_eq!(findings(&home).len(), TRIALS);
}

#[test]
fn a_finished_sweep_is_shown_again_and_not_run_again() {
    let home = Home::default();
    run_in(&home, "2");
    let before = findings(&home);
    let spec = home.spec(SPEC);
    let output = home.run(&["run", &spec.to_string_lossy()]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("was done before"));
    assert_eq!(findings(&home), before);
}
