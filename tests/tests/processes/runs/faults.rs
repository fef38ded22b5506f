//! Faults of real processes. The results must be equal to those of a run without faults.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use biosweep_tests::cluster::{Cluster, SPEC, TRIALS, pid};
use biosweep_tests::disk::Disk;
use biosweep_tests::network::Network;
use biosweep_tests::postgres::Server;
use biosweep_tests::store::Store;
use biosweep_tests::{Home, on_both_stores, unless_root, until, until_ended};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

on_both_stores! {
    chaos_gives_the_same_results
    a_worker_that_sleeps_past_its_lease_does_no_harm_when_it_wakes
    a_network_failure_loses_no_result
    a_sweep_is_recorded_once_if_the_coordinator_is_killed_during_submission
    a_coordinator_killed_while_results_arrive_loses_none
    a_coordinator_killed_while_it_recovers_recovers_the_next_time
    a_restarted_coordinator_gets_its_worker_back_and_no_trial_is_trained_twice
    a_terminated_worker_hands_back_its_trials
    a_damaged_checkpoint_is_set_aside_and_the_previous_one_is_used
    pause_resume_and_cancel_reach_running_workers_and_may_be_repeated
    a_second_coordinator_is_refused_with_the_name_of_the_first
}

/// The results of the sweep without faults.
pub(crate) fn expected() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut calm = started(&Store::Sqlite);
        calm.work(&[], &[]);
        calm.findings()
    })
}

/// A coordinator with the sweep, and one worker.
fn started(store: &Store) -> Cluster {
    let mut cluster = Cluster::new(store.fresh());
    cluster.serve();
    cluster.submit();
    cluster.work(&[], &[]);
    cluster
}

fn chaos_gives_the_same_results(store: &Store) {
    let home = Home::default();
    let spec = home.spec(SPEC).to_string_lossy().into_owned();
    let store = store.fresh();
    let mut arguments = vec!["chaos", &spec, "--faults", "15", "--seed", "3"];
    arguments.extend(store.iter().flat_map(|store| ["--store", store]));
    let verdict = home.json(&arguments);
    assert_eq!((verdict["equal"].as_bool(), verdict["faults"].as_u64()), (Some(true), Some(15)), "{verdict}");
    assert_eq!(verdict["trials"].as_u64(), Some(TRIALS as u64));
}

fn a_worker_that_sleeps_past_its_lease_does_no_harm_when_it_wakes(store: &Store) {
    let mut cluster = started(store);
    cluster.until_in_full_swing();
    let sleeper = cluster.work(&[], &[]);
    cluster.until("both train", |status| {
        let workers = status["workers"].as_array().expect("an array");
        workers.iter().filter(|worker| worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty())).count()
            == 2
    });
    kill(sleeper, Signal::SIGSTOP).expect("it runs");
    let lost = |status: &Value| status["incomplete_attempts"].to_string().contains("worker-lost");
    cluster.until("it counts as lost", lost);
    kill(sleeper, Signal::SIGCONT).expect("it is there");
    assert_eq!(cluster.findings(), expected());
    assert!(cluster.last_worker().try_wait().expect("a child").is_none(), "it continues");
}

fn a_network_failure_loses_no_result(store: &Store) {
    if unless_root("cutting a network") {
        return;
    }
    let net = Network::new();
    let [one, other] = net.through();
    let through = [("biosweep", one), ("biosweep-worker", other)];
    let mut cluster = Cluster::new(store.fresh()).with_network(Network::ADDRESS, through);
    cluster.serve();
    cluster.submit();
    cluster.work(&[], &[]);
    cluster.until_in_full_swing();
    for cut_ms in [300, 4_000] {
        net.cut();
        thread::sleep(Duration::from_millis(cut_ms));
        net.heal();
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(cluster.findings(), expected());
}

/// Milliseconds after the start of an operation at which a coordinator is killed.
const MOMENTS_MS: [u64; 6] = [0, 5, 10, 20, 40, 80];

fn a_sweep_is_recorded_once_if_the_coordinator_is_killed_during_submission(store: &Store) {
    let mut cluster = Cluster::new(store.fresh());
    cluster.serve();
    assert_eq!(cluster.json(&["list"]), Value::Array(Vec::new()));
    for moment in MOMENTS_MS {
        let mut submission =
            cluster.submission().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        thread::sleep(Duration::from_millis(moment));
        cluster.kill_coordinator();
        // The submission may end with or without an answer, and may be recorded or not.
        let _answered = until_ended(&mut submission);
        cluster.serve();
    }
    cluster.submit();
    assert_eq!(
        cluster.json(&["list"]).as_array().map(Vec::len),
        Some(1),
        "a repeated submission finds the recorded sweep"
    );
    cluster.work(&[], &[]);
    assert_eq!(cluster.findings(), expected());
}

fn a_coordinator_killed_while_results_arrive_loses_none(store: &Store) {
    let mut cluster = started(store);
    let mut seen = 0;
    while seen < TRIALS as u64 {
        let completed = |status: &Value| status["completed"].as_u64().expect("a count");
        let status = cluster.until("there are more results", |status| completed(status) > seen);
        cluster.kill_coordinator();
        cluster.serve();
        let status = (completed(&status), completed(&cluster.json(&["show", "small"])));
        assert!(status.1 >= status.0, "counted results are kept: {status:?}");
        seen = status.1;
    }
    assert_eq!(cluster.findings(), expected());
}

fn a_coordinator_killed_while_it_recovers_recovers_the_next_time(store: &Store) {
    let mut cluster = started(store);
    cluster.until_in_full_swing();
    for moment in MOMENTS_MS {
        cluster.kill_coordinator();
        cluster.serve();
        thread::sleep(Duration::from_millis(moment));
    }
    assert_eq!(cluster.findings(), expected());
}

#[test]
fn a_full_disk_is_reported_and_the_coordinator_waits() {
    if unless_root("mounting a small file system") {
        return;
    }
    let disk = Disk::new();
    let mut cluster = Cluster::new(None).with_coordinator_home(disk.path());
    cluster.serve();
    cluster.submit();
    disk.fill();
    cluster.work(&[], &[]);
    let told = cluster.until("it tells of the full disk", |status| status["degraded"].is_string());
    let degraded = told["degraded"].as_str().expect("text").to_owned();
    assert!(degraded.contains("full") && degraded.contains("nothing is lost"), "{degraded}");
    assert!(cluster.try_json(&["pause", "small"]).is_none(), "a command that cannot be stored is refused");
    disk.empty();
    assert_eq!(cluster.findings(), expected());
    let status = cluster.json(&["show", "small"]);
    assert!(status["degraded"].is_null(), "{status}");
}

fn a_damaged_checkpoint_is_set_aside_and_the_previous_one_is_used(store: &Store) {
    let mut cluster = started(store);
    let two = || Some(cluster.checkpoints()).filter(|checkpoints| checkpoints.len() == 2);
    until("there are two checkpoints of one trajectory", two);
    cluster.kill_worker();
    let latest = cluster.checkpoints().into_iter().max().expect("a checkpoint");
    let mut bytes = fs::read(&latest).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&latest, bytes).expect("it can be written");
    cluster.work(&[], &[]);
    assert_eq!(cluster.findings(), expected());
    assert!(cluster.printed("worker-1.log").contains("set aside"), "{}", cluster.printed("worker-1.log"));
    assert!(cluster.checkpoints().is_empty(), "completed trajectories have no checkpoints");
}

#[test]
fn a_coordinator_waits_for_a_database_that_died() {
    let mut server = Server::start();
    let mut cluster = Cluster::new(Some(server.database("sweeps")));
    cluster.serve();
    cluster.submit();
    cluster.work(&[], &[]);
    cluster.until_in_full_swing();
    server.kill();
    thread::sleep(Duration::from_secs(3));
    server.resume();
    cluster.until("the coordinator is over it", |status| status["degraded"].is_null());
    assert_eq!(cluster.findings(), expected());
}

fn a_second_coordinator_is_refused_with_the_name_of_the_first(store: &Store) {
    let place = store.fresh();
    let mut cluster = Cluster::new(place.clone());
    cluster.serve();
    cluster.submit();
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
    arguments.extend(place.iter().flat_map(|place| ["--store", place]));
    let other = Home::default();
    let home = if place.is_some() { &other } else { cluster.home() };
    let refused = home.run(&arguments);
    let printed = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{printed}");
    assert!(printed.contains("in use by biosweep ") && printed.contains("; stop that "), "{printed}");
    if place.is_none() {
        let printed = String::from_utf8_lossy(&home.run(&["run", "quickstart"]).stderr).into_owned();
        assert!(printed.contains("submit the sweep to it: biosweep submit quickstart --home "), "{printed}");
    }
}

fn a_terminated_worker_hands_back_its_trials(store: &Store) {
    let mut cluster = started(store);
    let mut signals = vec![(Signal::SIGTERM, 75), (Signal::SIGUSR2, 75), (Signal::SIGUSR1, 75), (Signal::SIGINT, 130)];
    if !biosweep_tests::hang_ups_are_ignored() {
        signals.push((Signal::SIGHUP, 75));
    }
    for &(signal, code) in &signals {
        cluster.until_in_full_swing();
        let pid = biosweep_tests::cluster::pid(cluster.last_worker());
        kill(pid, signal).expect("it runs");
        assert_eq!(until_ended(cluster.last_worker()).code(), Some(code), "there is work left after {signal}");
        assert!(!cluster.checkpoints().is_empty(), "the next worker continues from it");
        cluster.work(&[], &[]);
    }
    assert_eq!(cluster.findings(), expected());
    let incomplete_attempts = cluster.json(&["show", "small"])["incomplete_attempts"].clone();
    let preempted = |incomplete_attempt: &&Value| incomplete_attempt["outcome"] == "preempted";
    let incomplete_attempts = incomplete_attempts.as_array().expect("an array");
    assert_eq!(
        incomplete_attempts.iter().filter(preempted).count(),
        signals.len(),
        "everything was handed back: {incomplete_attempts:?}"
    );
    assert_eq!(incomplete_attempts.len(), signals.len(), "{incomplete_attempts:?}");
}

#[test]
fn a_worker_leaves_before_its_job_ends() {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    // Longer than the job.
    let spec = cluster.home().spec(&SPEC.replace("[400, 900]", "[400, 40_000]"));
    let _sweep = cluster.json(&["submit", &spec.to_string_lossy()]);
    let now = || std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let end = now() + 15;
    cluster.work(&["--grace", "2"], &[("SLURM_JOB_END_TIME", &end.to_string())]);
    assert_eq!(until_ended(cluster.last_worker()).code(), Some(75), "it leaves by itself before its work is done");
    assert!(now() <= end, "in time");
    cluster.until("it has handed back what it trained", |status| {
        let incomplete_attempts = status["incomplete_attempts"].as_array().expect("an array");
        incomplete_attempts.iter().any(|incomplete_attempt| incomplete_attempt["outcome"] == "preempted")
    });
    assert!(!cluster.checkpoints().is_empty(), "the next worker continues from it");
}

fn pause_resume_and_cancel_reach_running_workers_and_may_be_repeated(store: &Store) {
    let cluster = started(store);
    cluster.until_in_full_swing();
    for _ in 0..2 {
        assert_eq!(cluster.json(&["pause", "small"])["state"], "paused");
    }
    let nobody_trains = |status: &Value| {
        let workers = status["workers"].as_array().expect("an array");
        workers.iter().all(|worker| worker["training"].as_array().is_some_and(Vec::is_empty))
    };
    cluster.until("the workers have handed back what they trained", nobody_trains);
    for _ in 0..2 {
        assert_eq!(cluster.json(&["resume", "small"])["state"], "running");
    }
    assert_eq!(cluster.findings(), expected());
    assert!(cluster.try_json(&["cancel", "small"]).is_none(), "it has finished");

    let cluster = started(store);
    cluster.until_in_full_swing();
    for _ in 0..2 {
        assert_eq!(cluster.json(&["cancel", "small"])["state"], "cancelled");
    }
    cluster.until("the workers are idle", nobody_trains);
    assert!(cluster.try_json(&["resume", "small"]).is_none(), "a cancelled sweep is not resumed");
    until("its checkpoints are gone", || cluster.checkpoints().is_empty().then_some(()));
}

#[test]
fn checkpoints_of_a_cancelled_sweep_are_deleted_when_a_worker_connects() {
    let mut cluster = started(&Store::Sqlite);
    cluster.until_in_full_swing();
    cluster.kill_worker();
    assert_eq!(cluster.json(&["cancel", "small"])["state"], "cancelled");
    assert!(!cluster.checkpoints().is_empty());
    cluster.work(&[], &[]);
    until("they are gone", || cluster.checkpoints().is_empty().then_some(()));
}

#[test]
fn watch_waits_for_the_coordinator() {
    let mut cluster = started(&Store::Sqlite);
    cluster.until_in_full_swing();
    let log = cluster.home().path().join("watch.log");
    let mut watching = cluster.asking(&["watch", "small"]);
    let stderr = fs::File::create(&log).expect("a log");
    let mut watching = watching.stdout(Stdio::null()).stderr(stderr).spawn().expect("it starts");
    let until_printed = |what, times| {
        let printed = || fs::read_to_string(&log).ok();
        until(what, || printed().filter(|text| text.matches(what).count() >= times));
    };
    until_printed("trials", 1);
    for (i, signal) in [Signal::SIGKILL, Signal::SIGTERM].into_iter().enumerate() {
        cluster.end_coordinator(signal);
        until_printed("the coordinator is out of reach", i + 1);
        cluster.serve();
        until_printed("the coordinator is available again", i + 1);
    }
    assert!(until_ended(&mut watching).success());
    assert_eq!(cluster.findings(), expected());
}

#[test]
fn a_coordinator_ends_even_if_a_client_stops_reading() {
    let mut cluster = started(&Store::Sqlite);
    cluster.until_in_full_swing();
    let mut watching = cluster.asking(&["watch", "small"]).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut first = [0];
    watching.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("it has heard of the sweep");
    kill(pid(&watching), Signal::SIGSTOP).expect("it runs");
    assert!(cluster.end_coordinator(Signal::SIGTERM).success());
    watching.kill().expect("it is stopped");
    watching.wait().expect("it has ended");
}

fn a_restarted_coordinator_gets_its_worker_back_and_no_trial_is_trained_twice(store: &Store) {
    let mut cluster = started(store);
    cluster.until_in_full_swing();
    for _ in 0..3 {
        cluster.kill_coordinator();
        cluster.serve();
        cluster.until("the worker is back", |status| status["workers"][0]["connected"] == true);
    }
    assert_eq!(cluster.findings(), expected());
    let rows = cluster.json(&["results", "small"]);
    let attempts: Vec<_> = rows.as_array().expect("an array").iter().map(|row| row["attempts"].as_u64()).collect();
    assert!(attempts.iter().all(|&attempts| attempts == Some(1)), "{attempts:?}");
}
