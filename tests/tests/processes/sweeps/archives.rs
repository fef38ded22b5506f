//! Archives: a sweep that is moved to another home or database is the same there, and goes on there.

use std::fs;
use std::process::{Command, Stdio};

use biosweep_tests::disk::Disk;
use biosweep_tests::store::Store;
use biosweep_tests::{Home, program, unless_root, until, until_ended, without_variables};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Short trajectories on the synthetic digits, with two trials each and diagnostics.
pub(super) const SPEC: &str = r#"
name = "small"
measure = ["weight_norm"]
[data]
dataset = "synthetic-digits"
[train]
hidden = 16
batch_size = 32
eval_every = 50
[grid]
rule = "bp"
network = ["nn", "dn"]
depth = [1, 2]
seed = [0, 1]
max_updates = [50, 100]
"#;

pub(super) fn larger() -> String {
    SPEC.replace("\"small\"", "\"larger\"").replace("[0, 1]", "[0, 1, 2]")
}

pub(super) fn run(home: &Home, text: &str) -> Value {
    home.json(&["run", home.spec(text).to_str().expect("a path"), "--workers", "1"])
}

/// Archives a sweep of a home, and returns the path of the file.
pub(super) fn archive(home: &Home, sweep: &str, more: &[&str]) -> String {
    let file = home.path().join(format!("{sweep}.archive")).to_string_lossy().into_owned();
    let _written = home.json(&[&["archive", sweep, &file, "--force"], more].concat());
    file
}

/// The error of a command that fails with this exit code.
pub(super) fn refusal(home: &Home, arguments: &[&str], code: i32) -> String {
    let output = home.run(arguments);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
    printed
}

/// All that commands say of a sweep.
fn everything(home: &Home, sweep: &str, store: &[&str]) -> Vec<String> {
    let report = home.path().join("report.html").to_string_lossy().into_owned();
    let _report = home.answer(&[&["report", sweep, "--to", &report, "--force"], store].concat());
    let commands: [&[&str]; 12] = [
        &["show", sweep, "--output", "json"],
        &["show", sweep, "--spec"],
        &["results", sweep, "--output", "json"],
        &["results", sweep, "--curves", "--output", "json"],
        &["results", sweep, "--diagnostics", "--output", "json"],
        &["export", sweep, "--format", "csv"],
        &["export", sweep, "--format", "csv", "--what", "curves"],
        &["export", sweep, "--format", "jsonl", "--what", "diagnostics"],
        &["best", sweep, "--output", "json"],
        &["compare", sweep, "--output", "json"],
        &["sensitivity", sweep, "--output", "json"],
        &["note", sweep, "--output", "json"],
    ];
    let answer = |command: &&[&str]| {
        // A sweep that was cancelled may have too few results for some of them, in both homes.
        let output = home.run(&[command, store].concat());
        format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stdout))
    };
    let mut all: Vec<String> = commands.iter().map(answer).collect();
    let report = fs::read_to_string(&report).expect("a report");
    // It says when it was written.
    all.push(report.lines().filter(|line| !line.contains("Report written")).collect::<Vec<_>>().join("\n"));
    all
}

fn assert_equal(one: &[String], other: &[String]) {
    for (one, other) in one.iter().zip(other) {
        assert!(one == other, "{one}\n\nbut\n\n{other}");
    }
}

#[test]
fn a_sweep_is_the_same_in_another_home_and_in_postgresql_and_back() {
    let home = Home::default();
    run(&home, SPEC);
    let large = run(&home, &larger());
    assert_eq!((&large["completed"], &large["reused"]), (&24.into(), &16.into()));
    let more = home.spec(&larger().replace("[0, 1, 2]", "[3]"));
    let _extended = home.json(&["extend", "larger", more.to_str().expect("a path")]);
    let ran = home.json(&["run", "larger", "--workers", "1"]);
    assert_eq!(ran["completed"], 32, "{ran}");
    let _noted = home.json(&["note", "larger", "it wörks"]);

    let server = Store::postgres();
    let store = server.fresh().expect("a database");
    let database = ["--store", store.as_str()];
    let (other, last) = (Home::default(), Home::default());
    for (sweep, attempts) in [("small", 8), ("larger", 8)] {
        let file = archive(&home, sweep, &[]);
        let imported = other.json(&["import", &file]);
        assert_eq!((&imported["imported"], &imported["name"]), (&true.into(), &sweep.into()), "{imported}");
        assert_eq!(imported["entries"]["attempts"], attempts, "{imported}");
        assert_eq!(other.json(&[&["import", &file][..], &database].concat())["imported"], true);
    }
    let lists = [home.answer(&["list"]), other.answer(&["list"]), other.answer(&["list", "--store", &store])];
    assert!(lists[0].contains("larger") && lists[0] == lists[1] && lists[0] == lists[2], "{lists:?}");
    for sweep in ["small", "larger"] {
        let before = everything(&home, sweep, &[]);
        assert_equal(&before, &everything(&other, sweep, &[]));
        assert_equal(&before, &everything(&other, sweep, &database));
        let (file, again) = (archive(&home, sweep, &[]), archive(&other, sweep, &database));
        assert!(fs::read(&file).expect("a file") == fs::read(&again).expect("a file"), "{sweep}");
        assert_eq!(last.json(&["import", &again])["imported"], true);
        assert_equal(&before, &everything(&last, sweep, &[]));
    }
}

#[test]
fn an_imported_sweep_is_reused_extended_replayed_deleted_and_imported_again() {
    let (home, other) = (Home::default(), Home::default());
    run(&home, SPEC);
    run(&home, &larger());
    // Only the sweep that reused results, without the one that trained them.
    let file = archive(&home, "larger", &[]);
    let _imported = other.json(&["import", &file]);
    let before = everything(&other, "larger", &[]);
    assert_equal(&everything(&home, "larger", &[]), &before);
    let again = SPEC.replace("\"small\"", "\"again\"");
    let again = other.json(&["submit", other.spec(&again).to_str().expect("a path")]);
    assert_eq!((&again["state"], &again["reused"]), (&"finished".into(), &16.into()), "{again}");
    let verdict = other.json(&["replay", "larger/0"]);
    assert_eq!(verdict["same"], true, "{verdict}");

    let deleted = other.json(&["delete", "larger", "--yes"]);
    assert_eq!(deleted["taken_over"], 16);
    let reused = everything(&other, "again", &[]);
    assert!(reused[2].contains("(deleted)"));
    assert_eq!(other.json(&["import", &file])["imported"], true);
    assert_equal(&before, &everything(&other, "larger", &[]));
    assert!(!everything(&other, "again", &[])[2].contains("(deleted)"), "it is here again");

    // The sweep that trained the results comes later.
    assert_eq!(other.json(&["import", &archive(&home, "small", &[])])["imported"], true);
    assert_equal(&before, &everything(&other, "larger", &[]));
    let more = other.spec(&larger().replace("[0, 1, 2]", "[4]"));
    let extended = other.json(&["extend", "larger", more.to_str().expect("a path")]);
    assert_eq!((&extended["added"], &extended["state"]), (&8.into(), &"running".into()));
    let ran = other.json(&["run", "larger", "--workers", "1"]);
    assert_eq!((&ran["completed"], &ran["state"], &ran["reused"]), (&32.into(), &"finished".into(), &16.into()));
}

#[test]
fn an_archive_is_written_beside_a_coordinator_and_an_import_needs_the_store_for_itself() {
    let (home, other) = (Home::default(), Home::default());
    let submitted = home.json(&["submit", home.spec(&SPEC.replace("100]", "4000]")).to_str().expect("a path")]);
    let id = submitted["id"].as_str().expect("an id");
    let mut server = home.biosweep(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    until("it serves", || home.is_announced().then_some(()));
    let connection = home.path().join("coordinator.json");
    let mut worker = home.worker(&["--connection", connection.to_str().expect("a path")]);
    let mut worker = worker.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    until("it has results", || (home.json(&["show", id])["completed"].as_u64() >= Some(2)).then_some(()));
    // It hands back what it trains: attempts without results.
    kill(Pid::from_raw(worker.id().cast_signed()), Signal::SIGTERM).expect("it runs");
    let _ended = until_ended(&mut worker);
    let _cancelled = home.json(&["cancel", id]);

    let file = archive(&home, id, &[]);
    let refused = refusal(&home, &["import", &file], 3);
    assert!(refused.contains("is in use by") && refused.contains("stop its coordinator"), "{refused}");
    kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGTERM).expect("it runs");
    let _ended = until_ended(&mut server);
    assert_eq!(home.json(&["import", &file])["imported"], false, "it is there already");
    let imported = other.json(&["import", &file]);
    assert_eq!((&imported["state"], &imported["imported"]), (&"cancelled".into(), &true.into()));
    assert_equal(&everything(&home, id, &[]), &everything(&other, id, &[]));
}

#[test]
fn only_a_sweep_that_has_ended_is_archived_and_no_file_is_replaced_unasked() {
    let home = Home::default();
    let spec = home.spec(SPEC);
    let file = home.path().join("x.archive").to_string_lossy().into_owned();
    assert!(refusal(&home, &["archive", "small", &file], 2).contains("there are no sweeps in"));
    let _submitted = home.json(&["submit", spec.to_str().expect("a path")]);
    let running = refusal(&home, &["archive", "small", &file], 2);
    assert!(running.contains("is running") && running.contains("biosweep cancel"), "{running}");
    let _paused = home.json(&["pause", "small"]);
    assert!(refusal(&home, &["archive", "small", &file], 2).contains("is paused"));
    assert!(!fs::exists(&file).expect("a folder"));
    let _cancelled = home.json(&["cancel", "small"]);
    let written = home.json(&["archive", "small", &file]);
    assert_eq!((&written["trials"], &written["results"]), (&16.into(), &0.into()), "{written}");
    assert_eq!(written["bytes"].as_u64(), fs::metadata(&file).ok().map(|found| found.len()));
    assert!(refusal(&home, &["archive", "small", &file], 2).contains("already exists"));
    assert_eq!(home.json(&["archive", "small", &file, "--force"]), written, "the same sweep gives the same file");
    let unknown = refusal(&home, &["archive", "nobody", &file], 2);
    assert!(unknown.contains("no sweep `nobody`") && unknown.contains("--store"), "{unknown}");
    let other = Home::default();
    assert_eq!(other.json(&["import", &file])["state"], "cancelled");
}

#[test]
fn a_full_disk_leaves_no_archive_and_no_part_of_an_imported_sweep() {
    if unless_root("a small file system") {
        return;
    }
    let (home, disk) = (Home::default(), Disk::new());
    run(&home, SPEC);
    let file = archive(&home, "small", &[]);
    disk.fill();
    let there = disk.path().join("small.archive").to_string_lossy().into_owned();
    let refused = refusal(&home, &["archive", "small", &there], 3);
    assert!(refused.contains("cannot write") && refused.contains("small.archive"), "{refused}");
    assert_eq!(fs::read_dir(disk.path()).expect("a folder").count(), 1, "only the ballast is there");
    let small = disk.path().join("home").to_string_lossy().into_owned();
    let import = |path: &str| {
        let mut command = Command::new(program("biosweep"));
        without_variables(&mut command);
        command.args(["import", path, "--home", &small]).output().expect("it starts")
    };
    assert_eq!(import(&file).status.code(), Some(3));
    disk.empty();
    assert!(import(&file).status.success());
}
