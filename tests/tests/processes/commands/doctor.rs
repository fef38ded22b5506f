//! `biosweep doctor`: what it finds in set-ups that are sound, and in set-ups that are broken.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use biosweep_tests::cluster::Cluster;
use biosweep_tests::cluster::secured::Secured;
use biosweep_tests::disk::Disk;
use biosweep_tests::{Home, program, unless_root, until};
use serde_json::Value;

/// The findings of a command, with its exit code.
fn findings(mut command: Command) -> (i32, Vec<Value>) {
    let output = command.args(["--output", "json"]).output().expect("biosweep starts");
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = answer["checks"].as_array().expect("an array").clone();
    for (severity, count) in [("error", "errors"), ("warning", "warnings")] {
        let found = checks.iter().filter(|check| check["severity"] == severity).count();
        assert_eq!(answer[count], found, "{answer}");
    }
    // Whatever is wrong has a next step.
    let is_wrong = |check: &&Value| check["severity"] != "ok";
    assert!(checks.iter().filter(is_wrong).all(|check| check["next_step"].is_string()), "{answer}");
    (output.status.code().expect("it exits"), checks)
}

/// The finding of a check with this severity whose text contains this.
fn assert_found(checks: &[Value], check: &str, severity: &str, text: &str) {
    let is_it = |found: &&Value| {
        found["check"] == check
            && found["severity"] == severity
            && found["found"].as_str().is_some_and(|found| found.contains(text))
    };
    assert!(checks.iter().any(|found| is_it(&found)), "no {severity} of {check} with `{text}` in {checks:#?}");
}

/// The names of the checks that found an error.
fn errors(checks: &[Value]) -> Vec<&str> {
    let errors = checks.iter().filter(|check| check["severity"] == "error");
    errors.map(|check| check["check"].as_str().expect("a name")).collect()
}

#[test]
fn a_sound_machine_has_no_error_and_nothing_is_changed() {
    let home = Home::default();
    let new = home.path().join("new");
    let mut command = Command::new(program("biosweep"));
    biosweep_tests::without_variables(&mut command);
    command.args(["doctor", "--dataset", "synthetic-digits", "--home"]).arg(&new);
    let (code, checks) = findings(command);
    assert_eq!((code, errors(&checks)), (0, vec![]), "{checks:#?}");
    for (check, text) in [
        ("resources", "cores"),
        ("open-files", "files may be open"),
        ("threads", "can be started"),
        ("home", "can be made"),
        ("locks", "knows file locks"),
        ("checkpoints", "can be made"),
        ("database", "no store"),
        ("certificates", "this machine only"),
        ("coordinator", "none serves"),
        ("worker-program", "has version"),
        ("libtorch", "libtorch"),
        ("device", "cpu is ready"),
        ("dataset", "synthetic-digits is here"),
    ] {
        assert_found(&checks, check, "ok", text);
    }
    assert!(!new.exists(), "it looks and changes nothing");

    let text = home.answer(&["doctor"]);
    assert!(text.lines().last().is_some_and(|line| line.starts_with("0 errors")), "{text}");
    assert!(text.contains("biosweep certs init"), "{text}");
}

#[test]
fn a_home_that_cannot_be_written_and_a_damaged_store_are_errors() {
    let home = Home::default();
    fs::write(home.path().join("file"), "").expect("a file");
    let mut command = Command::new(program("biosweep"));
    biosweep_tests::without_variables(&mut command);
    command.arg("doctor").arg("--home").arg(home.path().join("file"));
    let (code, checks) = findings(command);
    assert_eq!(code, 3);
    assert_found(&checks, "home", "error", "cannot be written");

    fs::write(home.path().join("biosweep.sqlite"), "this is no database, but a text that is long enough")
        .expect("a file");
    let (code, checks) = findings(home.biosweep(&["doctor"]));
    assert_eq!((code, errors(&checks)), (3, vec!["database"]), "{checks:#?}");
    assert_found(&checks, "database", "error", "not a database");
}

#[test]
fn a_database_that_does_not_answer_is_an_error_and_its_password_is_not_shown() {
    let home = Home::default();
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let mut command = home.biosweep(&["doctor"]);
    command.env("BIOSWEEP_STORE", format!("postgres://someone:hidden@127.0.0.1:{closed}/sweeps"));
    let (code, checks) = findings(command);
    assert_eq!((code, errors(&checks)), (3, vec!["database"]), "{checks:#?}");
    assert!(!format!("{checks:?}").contains("hidden"));
}

#[test]
fn a_full_disk_is_an_error() {
    if unless_root("mounting a small file system") {
        return;
    }
    let (home, disk) = (Home::default(), Disk::new());
    let (code, checks) = {
        let mut command = home.biosweep(&["doctor"]);
        command.env("BIOSWEEP_CHECKPOINTS", disk.path());
        findings(command)
    };
    assert_eq!((code, errors(&checks)), (3, vec!["checkpoints-space"]), "two megabytes: {checks:#?}");
    disk.fill();
    let mut command = home.biosweep(&["doctor"]);
    command.env("BIOSWEEP_CHECKPOINTS", disk.path());
    let (_, checks) = findings(command);
    assert_found(&checks, "checkpoints", "error", "cannot be written");
}

#[test]
fn a_low_limit_on_open_files_is_found() {
    let home = Home::default();
    for (limit, severity, expected) in [(60, "error", 3), (256, "warning", 0)] {
        let mut command = Command::new("sh");
        biosweep_tests::without_variables(&mut command);
        let script = format!("ulimit -n {limit} && exec \"$@\"");
        command.args(["-c", &script, "sh"]).arg(program("biosweep")).arg("doctor").arg("--home").arg(home.path());
        let (code, checks) = findings(command);
        assert_eq!(code, expected, "{checks:#?}");
        assert_found(&checks, "open-files", severity, &format!("{limit} files"));
    }
}

#[test]
fn a_worker_program_that_is_missing_is_a_warning_and_one_that_does_not_work_is_an_error() {
    let home = Home::default();
    let with = |program: &Path| {
        let mut command = home.biosweep(&["doctor"]);
        command.env("BIOSWEEP_WORKER", program);
        findings(command)
    };
    let script = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its owner may");
        path
    };
    let (code, checks) = with(&home.path().join("missing"));
    assert_eq!((code, errors(&checks)), (3, vec!["worker-program"]), "{checks:#?}");
    let text = "error while loading shared libraries: libtorch_cpu.so: cannot open shared object file";
    let (code, checks) = with(&script("unlinked", &format!("echo '{text}' >&2; exit 127")));
    assert_eq!(code, 3);
    assert_found(&checks, "worker-program", "error", "libtorch_cpu.so");
    let (_, checks) = with(&script("other", "echo biosweep-worker 9.9.9"));
    assert_found(&checks, "worker-program", "warning", "9.9.9");

    // A login node has no worker program.
    let alone = Home::default();
    let copy = alone.path().join("biosweep");
    fs::copy(program("biosweep"), &copy).expect("a copy");
    let mut command = Command::new(&copy);
    biosweep_tests::without_variables(&mut command);
    command.arg("doctor").arg("--home").arg(home.path()).env("PATH", "/usr/bin:/bin");
    let (code, checks) = findings(command);
    assert_eq!((code, errors(&checks)), (0, vec![]), "{checks:#?}");
    assert_found(&checks, "worker-program", "warning", "cannot find biosweep-worker");
}

#[test]
fn a_device_and_a_dataset_that_are_asked_for_must_be_there() {
    let home = Home::default();
    let mut command = home.biosweep(&["doctor", "--device", "cuda:7", "--dataset", "mnist"]);
    command.arg("--data-dir").arg(home.path()).env_remove("BIOSWEEP_DATA");
    let (code, checks) = findings(command);
    assert_eq!((code, errors(&checks)), (3, vec!["device", "dataset"]), "{checks:#?}");
    let dataset = checks.iter().find(|check| check["check"] == "dataset").expect("a finding");
    assert!(dataset["next_step"].as_str().is_some_and(|step| step.contains("biosweep data fetch mnist")), "{dataset}");
}

#[test]
fn certificates_that_others_may_read_or_that_do_not_fit_are_errors() {
    let home = Home::default();
    let _made = home.answer(&["certs", "init"]);
    let certs = home.path().join("certs");
    let (code, checks) = findings(home.biosweep(&["doctor"]));
    assert_eq!((code, errors(&checks)), (0, vec![]), "{checks:#?}");
    assert_found(&checks, "certificates", "ok", "the certificate of the server for 8");

    fs::set_permissions(certs.join("server.key"), fs::Permissions::from_mode(0o644)).expect("its owner may");
    let (code, checks) = findings(home.biosweep(&["doctor"]));
    assert_eq!((code, errors(&checks)), (3, vec!["certificates"]), "{checks:#?}");
    assert_found(&checks, "certificates", "error", "mode 0644");
    fs::set_permissions(certs.join("server.key"), fs::Permissions::from_mode(0o600)).expect("its owner may");

    let other = Home::default();
    let _made = other.answer(&["certs", "init"]);
    fs::copy(other.path().join("certs/server.key"), certs.join("server.key")).expect("a file");
    let (code, checks) = findings(home.biosweep(&["doctor"]));
    assert_eq!(code, 3);
    assert_found(&checks, "certificates", "error", "not the certificate of server.key");

    fs::remove_file(certs.join("ca.key")).expect("a file");
    let (code, checks) = findings(home.biosweep(&["doctor"]));
    assert_eq!(code, 3);
    assert_found(&checks, "certificates", "error", "ca.key");
}

#[test]
fn a_coordinator_is_found_with_its_clock_and_one_that_was_killed_is_missed() {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    let _answers = cluster.json(&["list"]);
    let (code, checks) = findings(cluster.home().biosweep(&["doctor"]));
    assert_eq!((code, errors(&checks)), (0, vec![]), "{checks:#?}");
    assert_found(&checks, "coordinator", "ok", "answers");
    assert_found(&checks, "clock", "ok", "same time");
    assert_found(&checks, "database", "ok", "SQLite");

    let (_, checks) = findings(cluster.asking(&["doctor"]));
    assert_found(&checks, "coordinator", "ok", &cluster.url());
    cluster.kill_coordinator();
    let (code, checks) = findings(cluster.asking(&["doctor"]));
    assert_eq!((code, errors(&checks)), (3, vec!["coordinator"]), "it was named: {checks:#?}");
    let (code, checks) = findings(cluster.home().biosweep(&["doctor"]));
    assert_eq!((code, errors(&checks)), (0, vec![]), "{checks:#?}");
    assert_found(&checks, "coordinator", "warning", "does not answer");
}

#[test]
fn with_tokens_the_one_of_a_worker_is_told_from_one_that_may_read_and_from_one_that_was_revoked() {
    let secured = Secured::default();
    let (viewer, id) = secured.token("viewer", &[]);
    let (worker, _) = secured.token("worker", &[]);
    let (code, checks) = findings(secured.asking(&viewer, &["doctor"]));
    assert_eq!((code, errors(&checks)), (0, vec![]), "{checks:#?}");
    assert_found(&checks, "coordinator", "ok", "may read");
    assert_found(&checks, "clock", "ok", "same time");
    let (_, checks) = findings(secured.asking(&worker, &["doctor"]));
    assert_found(&checks, "coordinator", "warning", "viewer");
    let _revoked = secured.home().json(&["token", "revoke", &id]);
    let (code, checks) = until("the token is revoked", || {
        let (code, checks) = findings(secured.asking(&viewer, &["doctor"]));
        (code == 3).then_some((code, checks))
    });
    assert_eq!((code, errors(&checks)), (3, vec!["coordinator"]), "{checks:#?}");
}
