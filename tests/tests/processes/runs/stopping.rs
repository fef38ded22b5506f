//! How programs end: by signals, at the end of a batch job, and workers that never start to train.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use biosweep_host::clock::Clock;
use biosweep_tests::cluster::{Cluster, pid};
use biosweep_tests::{Home, hang_ups_are_ignored, program, unless_root, until, until_ended, without_variables};
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

/// A sweep that is not finished during a test.
const LONG: &str = "name = \"long\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 100_000\neval_every = 1_000\n\
                    [grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 3\nseed = [0, 1]\n";

/// A sweep that is trained in a moment.
const SHORT: &str = "name = \"short\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nhidden = 16\nmax_updates = 20\n\
                     eval_every = 20\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n";

const STOPS: [(Signal, i32); 5] = [(SIGINT, 130), (SIGTERM, 75), (SIGHUP, 75), (SIGUSR1, 75), (SIGUSR2, 75)];

/// The signals that the programs of a test do not ignore from the start.
fn heard(signals: [(Signal, i32); 5]) -> Vec<(Signal, i32)> {
    signals.into_iter().filter(|&(signal, _)| signal != SIGHUP || !hang_ups_are_ignored()).collect()
}

fn ended(child: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// Waits until a process catches a signal.
fn until_caught(child: &Child, signal: Signal) {
    let status = format!("/proc/{}/status", child.id());
    until("it catches the signal", || {
        let status = fs::read_to_string(&status).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught >> (signal as u32 - 1) & 1 == 1).then_some(())
    });
}

fn announced(home: &Home) {
    until("the coordinator is there", || home.is_announced().then_some(()));
}

#[test]
fn a_run_without_workers_stops_cleanly_by_every_signal() {
    for (signal, code) in heard(STOPS) {
        let home = Home::default();
        let spec = home.spec(LONG).to_string_lossy().into_owned();
        let run = home.biosweep(&["run", &spec, "--workers", "1"]).spawn().expect("it starts");
        announced(&home);
        kill(pid(&run), signal).expect("it runs");
        let (ended_with, printed) = ended(run);
        assert_eq!(ended_with, Some(code), "{signal}: {printed}");
        assert!(printed.contains("the same command"), "{signal}: {printed}");
        assert!(!home.is_announced(), "{signal}: nobody serves the home any more");
        assert_eq!(home.workers(), Vec::<i32>::new(), "{signal}");
    }
}

#[test]
fn a_training_run_hands_back_its_trials_by_every_signal() {
    let home = Home::default();
    let spec = home.spec(LONG).to_string_lossy().into_owned();
    for (signal, code) in heard(STOPS) {
        let run = home.biosweep(&["run", &spec, "--workers", "1"]).spawn().expect("it starts");
        announced(&home);
        until("a worker trains", || {
            let status = home.run(&["show", "long", "--output", "json"]);
            let status: Value = serde_json::from_slice(&status.stdout).ok()?;
            let mut workers = status["workers"].as_array()?.iter();
            workers.any(|worker| worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty())).then_some(())
        });
        kill(pid(&run), signal).expect("it runs");
        let (ended_with, printed) = ended(run);
        assert_eq!(ended_with, Some(code), "{signal}: {printed}");
        assert!(printed.contains("0 of 2 trials are done and kept; the same command continues"), "{signal}: {printed}");
        assert!(!home.is_announced(), "{signal}: nobody serves the home any more");
        assert_eq!(home.workers(), Vec::<i32>::new(), "{signal}");
    }
    let incomplete_attempts = home.json(&["show", "long"])["incomplete_attempts"].to_string();
    assert_eq!(incomplete_attempts.matches("preempted").count(), heard(STOPS).len(), "{incomplete_attempts}");
}

#[test]
fn a_run_stops_by_a_signal_while_reading_its_spec_and_while_writing_results() {
    let home = Home::default();
    let mut run = home.biosweep(&["run", "-"]).stdin(Stdio::piped()).spawn().expect("it starts");
    // Standard input stays open, as with a terminal.
    let _stdin = run.stdin.take();
    until_caught(&run, SIGINT);
    kill(pid(&run), SIGINT).expect("it runs");
    until_ended(&mut run);
    let (ended_with, printed) = ended(run);
    assert_eq!(ended_with, Some(130), "{printed}");
    assert!(printed.contains("interrupted before a worker was started"), "{printed}");

    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    let outcome = home.json(&["run", &spec, "--workers", "1"]);
    let results = outcome["results"].as_str().unwrap_or_else(|| panic!("no file in {outcome}"));
    fs::remove_file(results).expect("it is there");
    // Opening the pipe for writing waits for a reader.
    mkfifo(results, Mode::S_IRWXU).expect("a pipe");
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 75)] {
        let log = home.path().join("run.log");
        let printed = || fs::read_to_string(&log).expect("a log");
        let mut run = home.biosweep(&["run", &spec, "--workers", "1"]);
        let mut run = run.stderr(fs::File::create(&log).expect("a log")).spawn().expect("it starts");
        until("it has nothing to train", || printed().contains("was done before").then_some(()));
        kill(pid(&run), signal).expect("it runs");
        assert_eq!(until_ended(&mut run).code(), Some(code), "{}", printed());
        assert!(printed().contains("1 of 1 trials are done and kept; the same command continues"), "{}", printed());
        assert!(!home.is_announced(), "nobody serves the home any more");
    }
}

#[test]
fn a_coordinator_stops_cleanly_while_it_resolves_its_address() {
    if unless_root("a server of names") {
        return;
    }
    let home = Home::default();
    // The name server receives requests and never answers.
    let silent = UdpSocket::bind("127.213.0.1:53").expect("root may");
    silent.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    let asks_it = "echo nameserver 127.213.0.1 > \"$2/resolv.conf\"; mount --bind \"$2/resolv.conf\" /etc/resolv.conf; \
                   exec \"$1\" serve --listen nowhere.example --home \"$2\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", asks_it, "sh"]).arg(program("biosweep")).arg(home.path());
    without_variables(&mut command);
    let mut serve = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    silent.recv_from(&mut [0; 512]).expect("it is asked");
    kill(pid(&serve), SIGTERM).expect("it runs");
    until_ended(&mut serve);
    let (ended_with, printed) = ended(serve);
    assert_eq!(ended_with, Some(0), "{printed}");
    assert!(printed.contains("terminated by SIGTERM before the coordinator was ready"), "{printed}");
}

#[test]
fn a_coordinator_stops_cleanly_by_every_signal() {
    let home = Home::default();
    for (signal, _) in heard(STOPS) {
        let serve = home.biosweep(&["serve", "--listen", "127.0.0.1:0"]).spawn().expect("it starts");
        announced(&home);
        kill(pid(&serve), signal).expect("it runs");
        let (ended_with, printed) = ended(serve);
        assert_eq!(ended_with, Some(0), "{signal}: {printed}");
        assert!(!home.is_announced(), "{signal}: nobody serves the home any more");
    }
}

#[test]
fn an_ignored_hang_up_stays_ignored() {
    let home = Home::default();
    let mut serve = Command::new("sh");
    serve.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(program("biosweep"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--home"]).arg(home.path());
    without_variables(&mut serve);
    let mut serve = serve.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    announced(&home);
    kill(pid(&serve), SIGHUP).expect("it runs");
    let _sweeps = home.json(&["list"]);
    assert!(serve.try_wait().expect("a child").is_none() && home.is_announced(), "it continues");
    kill(pid(&serve), SIGTERM).expect("it runs");
    let (ended_with, printed) = ended(serve);
    assert_eq!(ended_with, Some(0), "{printed}");
    assert!(!printed.contains("terminal"), "{printed}");
}

#[test]
fn the_exit_code_of_a_worker_says_whether_there_is_work_left() {
    let mut cluster = Cluster::new(None);
    // The worker does not know whether there is work left.
    for (signal, code) in [(SIGTERM, 75), (SIGINT, 130)] {
        let worker = cluster.work(&[], &[]);
        let log = if signal == SIGTERM { "worker-1.log" } else { "worker-2.log" };
        until("it looks for a coordinator", || cluster.printed(log).contains("no coordinator").then_some(()));
        kill(worker, signal).expect("it runs");
        assert_eq!(until_ended(cluster.last_worker()).code(), Some(code), "{signal}");
    }
    cluster.serve();
    for (signal, code) in heard([(SIGTERM, 0), (SIGHUP, 0), (SIGUSR1, 0), (SIGUSR2, 0), (SIGINT, 130)]) {
        let worker = cluster.work(&[], &[]);
        let is_there = |worker: &Value| worker["connected"] == true;
        until("it is there", || {
            cluster
                .try_json(&["workers"])
                .filter(|workers| workers.as_array().is_some_and(|all| all.iter().any(is_there)))
        });
        let clock = Clock::start();
        until("a grant would be there", || (clock.seconds() > 2.0).then_some(()));
        kill(worker, signal).expect("it runs");
        assert_eq!(until_ended(cluster.last_worker()).code(), Some(code), "{signal}");
        until("it is gone", || {
            cluster
                .try_json(&["workers"])
                .filter(|workers| workers.as_array().is_some_and(|all| !all.iter().any(is_there)))
        });
    }
}

#[test]
fn an_idle_worker_leaves_and_one_that_trains_or_finds_no_coordinator_stays() {
    let mut cluster = Cluster::new(None);
    cluster.work(&["--idle-exit", "1"], &[]);
    let clock = Clock::start();
    until("it would be idle", || (clock.seconds() > 3.0).then_some(()));
    assert!(cluster.printed("worker-1.log").contains("no coordinator"), "{}", cluster.printed("worker-1.log"));
    assert_eq!(cluster.last_worker().try_wait().expect("a child"), None, "it has no coordinator, but is not idle");
    cluster.serve();
    assert_eq!(until_ended(cluster.last_worker()).code(), Some(0));
    assert!(cluster.printed("worker-1.log").contains("idle for the time of --idle-exit"));
    let connected =
        |workers: &Value| workers.as_array().is_some_and(|all| all.iter().any(|one| one["connected"] == true));
    until("it is gone", || cluster.try_json(&["workers"]).filter(|workers| !connected(workers)));

    // The sweep takes longer than the second.
    cluster.submit();
    cluster.work(&["--idle-exit", "1"], &[]);
    assert_eq!(until_ended(cluster.last_worker()).code(), Some(0));
    assert_eq!(cluster.json(&["show", "small"])["state"], "finished");
    assert!(cluster.printed("worker-2.log").contains("idle for the time of --idle-exit"));

    // The default is to wait for work.
    cluster.work(&[], &[]);
    until("it is there", || cluster.try_json(&["workers"]).filter(connected));
    let clock = Clock::start();
    until("it would be idle", || (clock.seconds() > 3.0).then_some(()));
    assert_eq!(cluster.last_worker().try_wait().expect("a child"), None, "it waits for ever");
}

#[test]
fn the_time_of_idle_exit_is_at_least_a_second() {
    let home = Home::default();
    for wrong in ["0", "-1", "soon"] {
        let output = home.worker(&["--coordinator", "http://127.0.0.1:1", "--idle-exit", wrong]).output();
        let output = output.expect("it starts");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains("--idle-exit") && printed.contains("at least 1"), "{printed}");
    }
}

fn now_s() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

#[test]
fn a_run_near_the_end_of_its_job_says_so_and_is_continued_by_the_same_command() {
    let home = Home::default();
    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    let run = |variables: &[(&str, String)]| {
        let mut run = home.biosweep(&["run", &spec, "--workers", "2"]);
        let Output { status, stderr, .. } = run.envs(variables.iter().cloned()).output().expect("it starts");
        (status.code(), String::from_utf8_lossy(&stderr).into_owned())
    };
    let (job, end) = (("SLURM_JOB_ID", "7".to_owned()), "SLURM_JOB_END_TIME");
    for mistaken in ["", "soon"] {
        let (code, printed) = run(&[job.clone(), (end, mistaken.to_owned())]);
        assert_eq!((code, printed.matches(end).count()), (Some(2), 1), "{printed}");
    }
    let (code, printed) = run(&[job.clone(), (end, "1000000000".to_owned())]);
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("SLURM_JOB_END_TIME 1000000000 passed"), "{printed}");

    // The checkpoint interval is a minute.
    let (code, printed) = run(&[job, (end, (now_s() + 40).to_string())]);
    assert_eq!(code, Some(75), "{printed}");
    assert!(printed.contains("time is up, 0 of 1 trials done; the same command continues"), "{printed}");
    assert!(!home.is_announced() && home.workers().is_empty());

    // Outside of a job the variable is ignored.
    let (code, printed) = run(&[(end, "1000000000".to_owned())]);
    assert_eq!(code, Some(0), "{printed}");
}

/// Writes a command with this name into a folder.
fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be started");
}

#[test]
fn squeue_is_asked_once_for_the_end_of_a_job_without_the_variable() {
    let tools = tempfile::tempdir().expect("a folder");
    let asked = tools.path().join("asked");
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").expect("a path"));
    let squeue = |answer: &str| {
        script(tools.path(), "squeue", &format!("echo \"$@\" >> {}\n{answer}", asked.display()));
    };
    let run = |home: &Home| {
        let spec = home.spec(SHORT).to_string_lossy().into_owned();
        let mut run = home.biosweep(&["run", &spec, "--workers", "2"]);
        let output = run.env("SLURM_JOB_ID", "7").env("PATH", &path).output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let end = "date -d @END +%Y-%m-%dT%H:%M:%S".replace("END", &(now_s() + 40).to_string());
    let asked_once = || {
        assert_eq!(fs::read_to_string(&asked).expect("it was asked"), "-h -j 7 -o %e\n");
        fs::remove_file(&asked).expect("it is there");
    };
    let home = Home::default();
    squeue(&end);
    let (code, printed) = run(&home);
    assert_eq!(code, Some(75), "{printed}");
    assert!(printed.contains("time is up, 0 of 1"), "{printed}");
    asked_once();

    squeue("echo slurm_load_jobs error >&2; exit 1");
    let (code, printed) = run(&home);
    assert_eq!(code, Some(0), "the run works without squeue: {printed}");
    let log = fs::read_to_string(home.path().join("logs/biosweep.log")).expect("a log");
    assert!(log.contains("the end of the job is unknown") && log.contains("slurm_load_jobs error"), "{log}");
    asked_once();

    // The workers do not ask squeue themselves. They would get another answer, leave and be started again.
    squeue(&format!("[ $(wc -l < {}) -gt 1 ] || exit 1\n{end}", asked.display()));
    let (code, printed) = run(&Home::default());
    assert_eq!(code, Some(0), "{printed}");
    asked_once();
}

#[test]
fn the_error_of_a_worker_names_an_invalid_variable() {
    let home = Home::default();
    for mistaken in ["", "soon"] {
        let mut worker = home.worker(&["--coordinator", "http://127.0.0.1:1"]);
        let output = worker.env("SLURM_JOB_END_TIME", mistaken).output().expect("it starts");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), printed.matches("SLURM_JOB_END_TIME").count()), (Some(2), 1), "{printed}");
    }
}

#[test]
fn a_run_does_not_take_the_id_of_a_running_worker() {
    let home = Home::default();
    let mut worker = home.worker(&["--coordinator", "http://127.0.0.1:1"]);
    let mut living = worker.stderr(Stdio::null()).spawn().expect("it starts");
    until("it has an identity", || {
        let mut identities = fs::read_dir(home.path().join("spool")).ok()?;
        identities.next()?.ok()?.path().join("lock").exists().then_some(())
    });
    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    let _table = home.answer(&["run", &spec, "--workers", "1"]);
    assert!(living.try_wait().expect("a child").is_none(), "it lives on");
    living.kill().expect("it runs");
    living.wait().expect("it has ended");
}

#[test]
fn the_error_about_a_worker_that_never_connects_shows_the_end_of_its_log() {
    let home = Home::default();
    let checks = format!("case $1 in check) exec {} \"$@\";; esac", program("biosweep-worker").display());
    script(home.path(), "worker", &format!("{checks}\necho the way is not known\nsleep 3.1\nexit 3"));
    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    let mut run = home.biosweep(&["run", &spec, "--workers", "1"]);
    let output = run.env("BIOSWEEP_WORKER", home.path().join("worker")).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains("never connects") && printed.contains("the way is not known"), "{printed}");
}
