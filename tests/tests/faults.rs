//! Real processes and what befalls them. Whatever it is, the results are those of a run that nothing befell.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use biosweep_tests::cluster::{Cluster, SPEC, TRIALS};
use biosweep_tests::postgres::Server;
use biosweep_tests::{Home, until, until_ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Uid;

/// What the sweep finds where nothing befalls it.
fn expected() -> &'static str {
    static FOUND: OnceLock<String> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut calm = started(None);
        calm.work(&[], &[]);
        calm.findings()
    })
}

/// A coordinator with the sweep, and one worker.
fn started(store: Option<String>) -> Cluster {
    let mut cluster = Cluster::new(store);
    cluster.serve();
    cluster.submit();
    cluster.work(&[], &[]);
    cluster
}

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn unless_root(what: &str) -> bool {
    if !Uid::effective().is_root() {
        eprintln!("left out: {what} takes root");
    }
    !Uid::effective().is_root()
}

#[test]
fn chaos_finds_the_same_on_sqlite() {
    let home = Home::default();
    let spec = home.spec(SPEC).to_string_lossy().into_owned();
    let verdict = home.json(&["chaos", &spec, "--faults", "15", "--seed", "3"]);
    assert_eq!((verdict["equal"].as_bool(), verdict["faults"].as_u64()), (Some(true), Some(15)), "{verdict}");
    assert_eq!(verdict["trials"].as_u64(), Some(TRIALS as u64));
}

#[test]
fn chaos_finds_the_same_on_postgres() {
    let (home, server) = (Home::default(), Server::start());
    let spec = home.spec(SPEC).to_string_lossy().into_owned();
    let store = server.database("chaos");
    let verdict = home.json(&["chaos", &spec, "--faults", "15", "--seed", "4", "--store", &store]);
    assert_eq!((verdict["equal"].as_bool(), verdict["faults"].as_u64()), (Some(true), Some(15)), "{verdict}");
}

#[test]
fn a_worker_that_sleeps_past_its_lease_disturbs_nothing_when_it_wakes() {
    let mut cluster = started(None);
    cluster.until_in_full_swing();
    let sleeper = cluster.work(&[], &[]);
    cluster.until("both train", |status| {
        let workers = status["workers"].as_array().expect("an array");
        workers.iter().filter(|worker| worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty())).count()
            == 2
    });
    kill(sleeper, Signal::SIGSTOP).expect("it runs");
    let lost = |status: &serde_json::Value| status["setbacks"].to_string().contains("worker-lost");
    cluster.until("it counts as lost", lost);
    kill(sleeper, Signal::SIGCONT).expect("it is there");
    assert_eq!(cluster.findings(), expected());
    assert!(cluster.last_worker().try_wait().expect("a child").is_none(), "it goes on");
}

#[test]
fn a_network_that_is_cut_and_heals_costs_nothing() {
    if unless_root("cutting a network") {
        return;
    }
    let net = Network::new();
    let through = |namespace: &str| ["ip", "netns", "exec", namespace].map(Into::into).to_vec();
    let through = [("biosweep", through(&net.one)), ("biosweep-worker", through(&net.other))];
    let mut cluster = Cluster::new(None).with_network(Ipv4Addr::new(10, 213, 0, 1), through);
    cluster.serve();
    cluster.submit();
    cluster.work(&[], &[]);
    cluster.until_in_full_swing();
    for cut_ms in [300, 4_000] {
        net.set("down");
        thread::sleep(Duration::from_millis(cut_ms));
        net.set("up");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(cluster.findings(), expected());
}

/// Two network namespaces with a cable between them.
struct Network {
    one: String,
    other: String,
}

impl Network {
    fn new() -> Self {
        let name = |end: &str| format!("biosweep-{}-{end}", std::process::id());
        let net = Self { one: name("a"), other: name("b") };
        for namespace in [&net.one, &net.other] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        ip(&["-n", &net.one, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", &net.other]);
        for (namespace, address) in [(&net.one, "10.213.0.1/24"), (&net.other, "10.213.0.2/24")] {
            ip(&["-n", namespace, "address", "add", address, "dev", "cable"]);
            ip(&["-n", namespace, "link", "set", "cable", "up"]);
        }
        net
    }

    fn set(&self, state: &str) {
        ip(&["-n", &self.one, "link", "set", "cable", state]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.one, &self.other] {
            // One that was never made is as good as one that is gone.
            drop(Command::new("ip").args(["netns", "delete", namespace]).status());
        }
    }
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).status().expect("iproute2 is installed: apt-get install iproute2");
    assert!(done.success(), "ip {arguments:?}: {done}");
}

#[test]
fn a_full_disk_is_told_and_waited_out() {
    if unless_root("mounting a small file system") {
        return;
    }
    let disk = Disk::new();
    let mut cluster = Cluster::new(None).with_coordinator_home(disk.folder.path());
    cluster.serve();
    cluster.submit();
    let ballast = disk.folder.path().join("ballast");
    // Fills the disk to the last byte: writing fails at its end, as it is meant to.
    drop(fs::write(&ballast, vec![1_u8; 8 << 20]));
    cluster.work(&[], &[]);
    let told = cluster.until("it tells of the full disk", |status| status["trouble"].is_string());
    let trouble = told["trouble"].as_str().expect("text").to_owned();
    assert!(trouble.contains("full") && trouble.contains("nothing is lost"), "{trouble}");
    assert!(cluster.try_json(&["pause", "small"]).is_none(), "what cannot be kept is refused");
    fs::remove_file(&ballast).expect("the ballast is there");
    assert_eq!(cluster.findings(), expected());
    let status = cluster.json(&["show", "small"]);
    assert!(status["trouble"].is_null(), "{status}");
}

/// A file system of two megabytes.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path());
        assert!(mount.status().expect("mount runs").success(), "a small file system can be mounted");
        Self { folder }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.folder.path()).status());
    }
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_the_one_before_it_is_used() {
    let mut cluster = started(None);
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
    assert!(cluster.said("worker-1.log").contains("set aside"), "{}", cluster.said("worker-1.log"));
    assert!(cluster.checkpoints().is_empty(), "what is done needs none");
}

#[test]
fn a_database_that_dies_under_the_coordinator_is_waited_for() {
    let mut server = Server::start();
    let cluster = started(Some(server.database("sweeps")));
    cluster.until_in_full_swing();
    server.kill();
    thread::sleep(Duration::from_secs(3));
    server.resume();
    cluster.until("the coordinator is over it", |status| status["trouble"].is_null());
    assert_eq!(cluster.findings(), expected());
}

#[test]
fn a_second_coordinator_is_refused_and_told_who_has_the_store() {
    let server = Server::start();
    let store = server.database("sweeps");
    let cluster = started(Some(store.clone()));
    cluster.until_in_full_swing();
    let other = Home::default();
    let refused = other.run(&["serve", "--listen", "127.0.0.1:0", "--store", &store]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("in use by biosweep ") && said.contains("stop that coordinator"), "{said}");
}

#[test]
fn a_worker_told_to_terminate_hands_back_what_it_trains() {
    for signal in [Signal::SIGTERM, Signal::SIGUSR2] {
        let mut cluster = started(None);
        cluster.until_in_full_swing();
        let pid = biosweep_tests::cluster::pid(cluster.last_worker());
        kill(pid, signal).expect("it runs");
        assert!(until_ended(cluster.last_worker()).success(), "leaving is no failure");
        let status = cluster.json(&["show", "small"]);
        let setbacks = status["setbacks"].to_string();
        assert!(setbacks.contains("preempted") && !setbacks.contains("worker-lost"), "{setbacks}");
        assert!(!cluster.checkpoints().is_empty(), "who takes it up goes on from there");
        cluster.work(&[], &[]);
        assert_eq!(cluster.findings(), expected());
    }
}

#[test]
fn a_worker_leaves_before_its_allocation_ends() {
    let mut cluster = started(None);
    cluster.until_in_full_swing();
    cluster.kill_worker();
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let end = (now + 4).to_string();
    cluster.work(&["--grace", "2"], &[("SLURM_JOB_END_TIME", &end)]);
    assert!(until_ended(cluster.last_worker()).success(), "it leaves by itself");
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    assert!(now <= end.parse::<u64>().expect("a number"), "in time");
    cluster.work(&[], &[]);
    assert_eq!(cluster.findings(), expected());
}

#[test]
fn pause_resume_and_cancel_reach_running_workers_and_may_be_repeated() {
    let cluster = started(None);
    cluster.until_in_full_swing();
    for _ in 0..2 {
        assert_eq!(cluster.json(&["pause", "small"])["state"], "paused");
    }
    let nobody_trains = |status: &serde_json::Value| {
        let workers = status["workers"].as_array().expect("an array");
        workers.iter().all(|worker| worker["training"].as_array().is_some_and(Vec::is_empty))
    };
    cluster.until("the workers have handed back what they trained", nobody_trains);
    for _ in 0..2 {
        assert_eq!(cluster.json(&["resume", "small"])["state"], "running");
    }
    assert_eq!(cluster.findings(), expected());
    assert!(cluster.try_json(&["cancel", "small"]).is_none(), "it has finished");

    let cluster = started(None);
    cluster.until_in_full_swing();
    for _ in 0..2 {
        assert_eq!(cluster.json(&["cancel", "small"])["state"], "cancelled");
    }
    cluster.until("the workers are idle", nobody_trains);
    assert!(cluster.try_json(&["resume", "small"]).is_none(), "cancelled is for good");
}

#[test]
fn a_restarted_coordinator_has_its_worker_back_and_trains_nothing_twice() {
    let mut cluster = started(None);
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
