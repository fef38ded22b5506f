//! Homes: who may read and write them, who serves them, and which coordinator a command reaches.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use biosweep_tests::cluster::{Cluster, pid};
use biosweep_tests::disk::Disk;
use biosweep_tests::postgres::Server;
use biosweep_tests::{Home, program, unless_root, until, until_ended};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// A sweep that is trained in a moment.
const TINY: &str = r#"
name = "tiny"
[data]
dataset = "synthetic-digits"
[train]
hidden = 8
max_updates = 20
eval_every = 10
[grid]
rule = "bp"
network = "nn"
depth = 1
"#;

/// Commands that only read, for a home with the sweep `NAME`.
const READING: [&[&str]; 10] = [
    &["list"],
    &["show", "NAME"],
    &["watch", "NAME"],
    &["workers"],
    &["results", "NAME"],
    &["results", "NAME", "--format", "csv"],
    &["results", "NAME", "--curves"],
    &["results", "NAME", "--diagnostics"],
    &["export", "NAME", "--format", "jsonl"],
    &["plan", "quickstart"],
];

fn reading(name: &str) -> Vec<Vec<String>> {
    let of = |command: &&[&str]| command.iter().map(|word| word.replace("NAME", name)).collect();
    READING.iter().map(of).collect()
}

/// Every file in a home with its content, except those that SQLite's readers share with its writer.
fn contents(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![home.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if !path.to_string_lossy().ends_with("-shm") {
            let bytes = fs::read(&path).expect("a file");
            // An empty log is equal to a missing one.
            if !(bytes.is_empty() && path.to_string_lossy().ends_with("-wal")) {
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn serve(home: &Home, listen: &str) -> Child {
    let mut command = home.biosweep(&["serve", "--listen", listen]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// The address in the connection file of a home.
fn announced(home: &Path) -> String {
    until("it says where it listens", || {
        let file: Value = serde_json::from_slice(&fs::read(home.join("coordinator.json")).ok()?).ok()?;
        file["addresses"][0].as_str()?.strip_prefix("http://").map(str::to_owned)
    })
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn commands_that_read_change_nothing_and_do_not_disturb_waiting_workers() {
    let (mut cluster, home) = (Cluster::new(None), Home::default());
    let address = cluster.url().replace("http://", "");
    let mut coordinator = serve(&home, &address);
    cluster.submit();
    cluster.work(&[], &[]);
    cluster.until_in_full_swing();
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
    let before = contents(home.path());
    for command in reading("small") {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let answer = home.run(&words);
        // `watch` fails because no coordinator serves the sweep.
        let expected = if command[0] == "watch" { 3 } else { 0 };
        assert_eq!(answer.status.code(), Some(expected), "{command:?}: {}", printed(&answer));
        let after = contents(home.path());
        assert!(after.keys().eq(before.keys()), "{command:?}: {:?}", after.keys());
        assert!(after == before, "{command:?} wrote into the home");
    }
    let mut coordinator = serve(&home, &address);
    let _findings = cluster.findings();
    let rows = cluster.json(&["results", "small"]);
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
    let attempts: Vec<_> = rows.as_array().expect("an array").iter().map(|row| row["attempts"].as_u64()).collect();
    assert!(attempts.iter().all(|&attempts| attempts == Some(1)), "{attempts:?}");
}

/// Runs `biosweep` with a read-only home, as in an archive.
fn read_only(home: &Path, arguments: &[String]) -> Output {
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(home).arg(program("biosweep")).args(arguments);
    command.arg("--home").arg(home).env_remove("BIOSWEEP_COORDINATOR").stdin(Stdio::null());
    command.output().expect("unshare runs")
}

#[test]
fn a_home_that_cannot_be_written_can_be_read() {
    if unless_root("mounting a home read-only") {
        return;
    }
    let home = Home::default();
    let spec = home.spec(TINY).to_string_lossy().into_owned();
    let _outcome = home.json(&["run", &spec, "--workers", "1"]);
    let try_all = |what: &str| {
        for command in reading("tiny") {
            let answer = read_only(home.path(), &command);
            assert!(answer.status.success(), "{what}: {command:?}: {}", printed(&answer));
        }
        let refused = read_only(home.path(), &["retry".to_owned(), "tiny".to_owned(), "--failed".to_owned()]);
        assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
    };
    try_all("closed");

    // The coordinator of this home was killed, so the last commits are in the log beside the store.
    let mut coordinator = serve(&home, "127.0.0.1:0");
    announced(home.path());
    let _sweep = home.json(&["submit", "quickstart"]);
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
    try_all("killed");
    let answer = read_only(home.path(), &["list".to_owned(), "--output".to_owned(), "json".to_owned()]);
    let sweeps: Value = serde_json::from_slice(&answer.stdout).expect("an answer in JSON");
    assert_eq!(sweeps.as_array().map(Vec::len), Some(2), "{sweeps}");
}

#[test]
fn a_home_on_a_full_disk_can_be_read() {
    if unless_root("mounting a small file system") {
        return;
    }
    let (home, disk) = (Home::default(), Disk::new());
    let spec = home.spec(TINY).to_string_lossy().into_owned();
    let on_disk = |arguments: &[String]| {
        let mut command = Command::new(program("biosweep"));
        command.args(arguments).arg("--home").arg(disk.path()).env_remove("BIOSWEEP_COORDINATOR");
        command.output().expect("biosweep starts")
    };
    let run = on_disk(&["run".to_owned(), spec, "--workers".to_owned(), "1".to_owned()]);
    assert!(run.status.success(), "{}", printed(&run));
    disk.fill();
    for command in reading("tiny") {
        let answer = on_disk(&command);
        assert!(answer.status.success(), "{command:?}: {}", printed(&answer));
    }
}

#[test]
fn a_command_with_a_coordinators_address_needs_no_home() {
    let cluster_home = Home::default();
    let mut coordinator = serve(&cluster_home, "127.0.0.1:0");
    let url = format!("http://{}", announced(cluster_home.path()));
    let spec = cluster_home.spec(TINY).to_string_lossy().into_owned();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(program("biosweep"));
        command.args(arguments).args(["--coordinator", &url]);
        // Nobody, including root, can create a file there.
        command.env("HOME", "/proc/self/home").env_remove("XDG_DATA_HOME").env_remove("BIOSWEEP_HOME");
        let answer = command.output().expect("biosweep starts");
        assert!(answer.status.success(), "{arguments:?}: {}", printed(&answer));
    };
    ask(&["submit", &spec]);
    for command in [&["list"][..], &["show", "tiny"], &["workers"], &["results", "tiny"], &["plan", &spec]] {
        ask(command);
    }
    ask(&["pause", "tiny"]);
    ask(&["cancel", "tiny"]);
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
}

#[test]
fn a_home_that_does_not_exist_is_named_and_not_created() {
    let home = Home::default();
    let missing = home.path().join("missing");
    for format in ["human", "json"] {
        let mut command = Command::new(program("biosweep"));
        command.args(["list", "--output", format, "--home"]).arg(&missing).env_remove("BIOSWEEP_COORDINATOR");
        let answer = command.output().expect("biosweep starts");
        assert!(answer.status.success() && !missing.exists());
        assert!(
            printed(&answer).contains(&format!("there is no folder {}", missing.display())),
            "{}",
            printed(&answer)
        );
    }
}

#[test]
fn an_old_address_of_another_coordinator_is_not_used() {
    let (one, other) = (Home::default(), Home::default());
    let mut coordinator = serve(&one, "127.0.0.1:0");
    let address = announced(one.path());
    let spec = one.spec(TINY).to_string_lossy().into_owned();
    let _sweep = one.json(&["submit", &spec]);
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
    let left_behind = fs::read(one.path().join("coordinator.json")).expect("nobody removed it");

    let mut coordinator = serve(&other, &address);
    assert_eq!(announced(other.path()), address);
    let _sweep = other.json(&["submit", &spec]);
    let state = |home: &Home| home.json(&["show", "tiny"])["state"].clone();

    // While another process holds the home for a moment, no coordinator is assumed.
    let lock = File::options().read(true).write(true).open(one.path().join("biosweep.lock")).expect("a lock");
    lock.lock().expect("nobody has it");
    for command in [["cancel", "tiny"], ["pause", "tiny"]] {
        let refused = one.run(&command);
        assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
        assert!(printed(&refused).contains("in use by"), "{}", printed(&refused));
    }
    assert_eq!(state(&one), "running", "reading still works");
    drop(lock);
    assert_eq!(state(&other), "running", "it received none of these commands");

    assert_eq!(one.json(&["cancel", "tiny"])["state"], "cancelled");
    assert!(!one.path().join("coordinator.json").exists(), "the next holder of the lock removes the old address file");
    // A copy of a home does not lead to the original's coordinator either, with or without the lock file.
    let copy_of = |home: &Home, files: &[&str]| {
        let copy = Home::default();
        for file in files.iter().filter(|file| home.path().join(file).exists()) {
            fs::copy(home.path().join(file), copy.path().join(file)).expect("a copy");
        }
        copy
    };
    let files = ["biosweep.sqlite", "biosweep.sqlite-wal", "coordinator.json", "biosweep.lock"];
    let (copy, archive) = (copy_of(&other, &files), copy_of(&other, &files[..3]));
    assert_eq!(copy.json(&["pause", "tiny"])["state"], "paused");
    assert_eq!(state(&other), "running");
    assert_eq!(other.json(&["pause", "tiny"])["state"], "paused");
    assert_eq!(state(&archive), "running", "as it was when it was copied");

    // The error for a home without a store says that its coordinator is gone.
    let empty = Home::default();
    let file = empty.path().join("coordinator.json");
    fs::write(&file, left_behind).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner may");
    for command in [["cancel", "tiny"], ["show", "tiny"]] {
        let refused = empty.run(&command);
        assert_eq!(refused.status.code(), Some(3), "{}", printed(&refused));
        assert!(printed(&refused).contains("is no longer at"), "{}", printed(&refused));
    }
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
}

#[test]
fn changing_commands_give_up_on_a_silent_coordinator_and_watch_waits_for_it() {
    let home = Home::default();
    let mut coordinator = serve(&home, "127.0.0.1:0");
    announced(home.path());
    let spec = home.spec(TINY).to_string_lossy().into_owned();
    let _sweep = home.json(&["submit", &spec]);
    kill(pid(&coordinator), Signal::SIGSTOP).expect("it runs");
    let log = home.path().join("watch.log");
    let watch_log = || fs::read_to_string(&log).expect("a log");
    let mut watch = home.biosweep(&["watch", "tiny"]);
    let mut watch = watch.stderr(File::create(&log).expect("a log")).spawn().expect("it starts");
    let mut show = home.biosweep(&["show", "tiny"]).spawn().expect("it starts");
    let mut cancel = home.biosweep(&["cancel", "tiny"]).spawn().expect("it starts");

    assert_eq!(until_ended(&mut cancel).code(), Some(3));
    let refused = printed(&cancel.wait_with_output().expect("it has ended"));
    assert!(refused.contains("in use by biosweep process"), "{refused}");
    assert!(until_ended(&mut show).success(), "the answer comes from the store");
    let shown = printed(&show.wait_with_output().expect("it has ended"));
    assert!(shown.contains("does not answer") && !shown.contains("no coordinator"), "{shown}");
    until("who watches says so", || watch_log().contains("does not answer").then_some(()));
    assert!(watch.try_wait().expect("a child").is_none(), "{}", watch_log());

    kill(pid(&coordinator), Signal::SIGCONT).expect("it is stopped");
    assert_eq!(home.json(&["cancel", "tiny"])["state"], "cancelled");
    assert_eq!(until_ended(&mut watch).code(), Some(1), "{}", watch_log());
    assert!(!watch_log().contains("no coordinator"), "{}", watch_log());
    coordinator.kill().expect("it runs");
    coordinator.wait().expect("it has ended");
}

#[test]
fn a_run_leaves_the_reports_of_another_sweep_alone() {
    let home = Home::default();
    let long = TINY.replace("tiny", "long").replace("hidden = 8", "hidden = 64").replace("= 20", "= 1500");
    let long = long.replace("depth = 1", "depth = 3\nseed = [0, 1, 2]");
    let long_spec = home.path().join("long.toml");
    fs::write(&long_spec, long).expect("the spec can be written");
    let long_spec = long_spec.to_string_lossy().into_owned();
    let mut run =
        home.biosweep(&["run", &long_spec, "--workers", "1"]).stdout(Stdio::null()).spawn().expect("it starts");
    until("a worker trains", || {
        let status = home.run(&["show", "long", "--output", "json"]);
        let status: Value = serde_json::from_slice(&status.stdout).ok()?;
        let workers = status["workers"].as_array()?.clone();
        workers.iter().any(|worker| worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty())).then_some(())
    });
    // The coordinator stops here, so it receives no later message of the worker.
    kill(pid(&run), Signal::SIGSTOP).expect("it runs");
    let reports = || {
        let workers = fs::read_dir(home.path().join("spool")).into_iter().flatten().flatten();
        let files = workers.flat_map(|worker| fs::read_dir(worker.path()).into_iter().flatten().flatten());
        let mut names: Vec<PathBuf> = files.map(|file| file.path()).collect();
        names.retain(|path| path.extension().is_some_and(|ending| ending == "report"));
        names
    };
    let report = until("it has a report to present", || reports().pop());
    kill(pid(&run), Signal::SIGKILL).expect("it is stopped");
    until_ended(&mut run);
    until("its worker has left", || home.workers().is_empty().then_some(()));
    let owed = reports();

    let tiny = home.spec(TINY).to_string_lossy().into_owned();
    let _outcome = home.json(&["run", &tiny, "--workers", "1"]);
    assert_eq!(reports(), owed, "they do not belong to this run");
    let _outcome = home.json(&["run", &long_spec, "--workers", "1"]);
    assert_eq!(reports(), Vec::<PathBuf>::new());
    let rows = home.json(&["results", "long"]);
    // The file's name ends with the index of the trajectory, which has one trial.
    let name = report.file_stem().expect("a name").to_string_lossy().into_owned();
    let trial: u64 = name.rsplit('-').next().and_then(|number| number.parse().ok()).expect("a number");
    let row = rows.as_array().expect("an array").iter().find(|row| row["trial"] == trial).expect("its result");
    assert_eq!(row["attempts"], 1, "the trial is not trained again: {row}");
}

#[test]
fn a_coordinator_ends_promptly_with_an_error_if_its_store_cannot_be_written() {
    if unless_root("mounting a small file system") {
        return;
    }
    let disk = Disk::new();
    let mut cluster = Cluster::new(None).with_coordinator_home(disk.path());
    cluster.serve();
    cluster.submit();
    disk.fill();
    cluster.work(&[], &[]);
    cluster.until("it tells of the full disk", |status| status["degraded"].is_string());
    assert_eq!(cluster.end_coordinator(Signal::SIGTERM).code(), Some(3));
    let printed = cluster.printed("serve.log");
    assert!(printed.contains("error: the store") && printed.contains("cannot be used now"), "{printed}");
}

#[test]
fn a_home_is_created_for_a_coordinator_with_another_store() {
    let server = Server::start();
    let url = server.database("sweeps");
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("made/on/the/way");
    let biosweep = |arguments: &[&str]| {
        let mut command = Command::new(program("biosweep"));
        command.args(arguments).arg("--home").arg(&home).env_remove("BIOSWEEP_COORDINATOR").stdin(Stdio::null());
        command
    };
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let mut serve = biosweep(&["serve", "--store", &url, "--listen", &port.to_string()]);
    let mut coordinator = serve.stderr(Stdio::null()).spawn().expect("it starts");
    announced(&home);
    let listed = biosweep(&["list", "--output", "json"]).output().expect("biosweep starts");
    assert!(listed.status.success(), "{}", printed(&listed));
    // A command with the store's address finds the coordinator that serves it.
    let listed = biosweep(&["list", "--store", &url, "--output", "json"]).output().expect("biosweep starts");
    assert!(listed.status.success(), "{}", printed(&listed));
    kill(pid(&coordinator), Signal::SIGTERM).expect("it runs");
    assert!(until_ended(&mut coordinator).success());
    assert!(!home.join("coordinator.json").exists());
    // If no coordinator serves it, the command reads the store itself.
    let listed = biosweep(&["list", "--store", &url, "--output", "json"]).output().expect("biosweep starts");
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]", "{}", printed(&listed));
}
