//! A sweep on four nodes, with everything that Slurm does to jobs.

use std::cell::Cell;
use std::fs;
use std::process::Command;

use biosweep_tests::cluster::Cluster;
use biosweep_tests::cluster::slurm::{Slurm, answer, isolated};
use biosweep_tests::until;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::{coordinator_of_alice, submission};

/// Trajectories that take a few seconds each, with frequent checkpoints.
const SPEC: &str = r#"
name = "small"
checkpoint_every_s = 0.2
[data]
dataset = "synthetic-digits"
[train]
optimizer = "adam"
learning_rate = 1e-3
max_updates = 1_500
eval_every = 100
[grid]
rule = ["bp", "fa", "dtp"]
network = "dn"
depth = 3
seed = { from = 0, count = 4 }
"#;

/// Number of workers.
const WORKERS: u32 = 4;
/// A sweep with fewer unfinished trials is extended, so that workers are busy during every fault.
const UNFINISHED_MIN: u64 = 8;

/// The sweep. It grows while there are faults to come, on a fast machine more than on a slow one.
#[derive(Default)]
struct Sweep {
    extensions: Cell<u32>,
}

impl Sweep {
    fn submit(&self, cluster: &Cluster) {
        let _sweep = cluster.json(&["submit", &cluster.home().spec(SPEC).to_string_lossy()]);
    }

    fn extend(&self, cluster: &Cluster) {
        self.extensions.set(self.extensions.get() + 1);
        let seeds = format!("from = {}", 4 * self.extensions.get());
        let spec = cluster.home().spec(&SPEC.replace("from = 0", &seeds));
        let _sweep = cluster.json(&["extend", "small", &spec.to_string_lossy()]);
    }

    /// The status of the sweep, which has enough to do afterwards.
    fn kept_busy(&self, cluster: &Cluster) -> Value {
        let status = cluster.json(&["show", "small"]);
        let number = |name: &str| status[name].as_u64().expect("a number");
        if number("trials") - number("completed") < UNFINISHED_MIN {
            self.extend(cluster);
        }
        status
    }

    /// Waits for a condition while the sweep is kept busy.
    fn until(&self, cluster: &Cluster, what: &str, condition: impl Fn(&Value) -> bool) {
        until(what, || condition(&self.kept_busy(cluster)).then_some(()));
    }
}

fn trains(worker: &Value) -> bool {
    worker["connected"] == true && worker["training"].as_array().is_some_and(|lanes| !lanes.is_empty())
}

/// The number of workers that train.
fn training(status: &Value) -> usize {
    status["workers"].as_array().expect("an array").iter().filter(|worker| trains(worker)).count()
}

/// Whether a worker trains whose name ends like this.
fn is_training(status: &Value, name: &str) -> bool {
    let mut workers = status["workers"].as_array().expect("an array").iter();
    workers.any(|worker| trains(worker) && worker["name"].as_str().is_some_and(|of| of.ends_with(name)))
}

/// The results that must not depend on faults.
fn findings(cluster: &Cluster) -> Vec<String> {
    cluster.until("the sweep is done", |status| status["state"] == "finished");
    let rows = cluster.json(&["results", "small"]);
    let columns = ["trial", "key", "status", "validation_accuracy", "test_accuracy", "best_update", "updates"];
    let row = |row: &Value| columns.map(|column| row[column].to_string()).join(" ");
    let mut found: Vec<String> = rows.as_array().expect("an array").iter().map(row).collect();
    found.push(cluster.json(&["results", "small", "--curves"]).to_string());
    found
}

/// The same sweep with two workers and no faults.
fn calm(sweep: &Sweep) -> Vec<String> {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    let again = Sweep::default();
    again.submit(&cluster);
    for _ in 0..sweep.extensions.get() {
        again.extend(&cluster);
    }
    for _ in 0..2 {
        cluster.work(&[], &[]);
    }
    findings(&cluster)
}

/// An array of workers.
struct Array<'a> {
    slurm: &'a Slurm,
    id: String,
}

impl Array<'_> {
    fn task(&self, task: u32) -> String {
        format!("{}_{task}", self.id)
    }

    fn state(&self, task: u32) -> Option<String> {
        self.slurm.queue().get(&self.task(task)).map(|task| task.state.clone())
    }

    fn node(&self, task: u32) -> String {
        self.slurm.queue()[&self.task(task)].node.clone()
    }

    fn is_running(&self, task: u32) -> bool {
        self.state(task).as_deref() == Some("RUNNING")
    }

    /// The number of times that a task was started again.
    fn restarts(&self, task: u32) -> u32 {
        self.slurm.field(&self.task(task), "Restarts").parse().expect("a number")
    }
}

#[test]
fn a_sweep_on_slurm_has_every_result_once_whatever_happens_to_its_jobs() {
    let Some(slurm) = isolated(&a_sweep_on_slurm_has_every_result_once_whatever_happens_to_its_jobs) else {
        return;
    };
    let cluster = coordinator_of_alice(&slurm);
    let sweep = Sweep::default();
    sweep.submit(&cluster);
    let home = cluster.home().path().to_owned();
    let log = format!("--output={}/slurm-%a.log", home.display());
    let count = WORKERS.to_string();
    let submitted = answer(&mut submission(
        &cluster,
        &["--workers", &count, "--idle-exit", "5", "--output", "json"],
        &["--cpus-per-task=2", "--time=30", &log],
    ));
    let submitted: Value = serde_json::from_str(&submitted).expect("an answer in JSON");
    let id = submitted["jobs"][0]["id"].as_str().expect("a job").to_owned();
    let array = Array { slurm: &slurm, id };
    let runs = |task| sweep.until(&cluster, &format!("task {task} runs"), |_| array.is_running(task));
    let trains = |task| {
        let name = format!("/{}", array.task(task));
        sweep.until(&cluster, &format!("task {task} trains"), |status| is_training(status, &name));
    };
    let leaves = |task| sweep.until(&cluster, &format!("task {task} leaves"), |_| !array.is_running(task));
    let all_train = |count| {
        sweep.until(&cluster, &format!("{count} workers train"), |status| training(status) == count);
    };
    let printed = |task: u32| fs::read_to_string(home.join(format!("slurm-{task}.log"))).expect("a log");
    all_train(4);

    // Slurm looks at time limits every 30 seconds, so this takes effect meanwhile. It leaves less than the 120 s of --signal.
    slurm.administer(&["update", &format!("JobId={}", array.task(3)), "TimeLimit=2"]);
    slurm.administer(&["requeue", &array.task(0)]);
    leaves(0);
    answer(slurm.alice("scancel").arg(array.task(1)));
    sweep.until(&cluster, "the cancelled task is gone", |_| array.state(1).is_none());
    let mut urgent = Command::new("sbatch");
    urgent.args(["--partition=high", "--exclusive", "--wrap=true", "--output=/dev/null", "--nodelist"]);
    answer(urgent.arg(array.node(2)));
    leaves(2);
    // A worker that does not train yet could not lose anything.
    trains(0);
    trains(2);
    slurm.fail_node(&array.node(0));
    leaves(0);
    runs(0);
    leaves(3);
    slurm.administer(&["update", &format!("JobId={}", array.task(3)), "TimeLimit=30"]);
    runs(3);
    all_train(3);

    // A worker leaves while the controller is down. It is requeued when the controller is back.
    slurm.kill_controller();
    let workers = slurm.workers(&array.id, 2);
    let [worker] = *workers else { panic!("one worker, not {workers:?}") };
    kill(worker, Signal::SIGUSR2).expect("it runs");
    sweep.until(&cluster, "the worker is gone", |_| slurm.workers(&array.id, 2).is_empty());
    assert_eq!(cluster.json(&["show", "small"])["state"], "running", "the sweep outlives every fault");
    slurm.start_controller();
    sweep.until(&cluster, "the task is started again", |_| !slurm.workers(&array.id, 2).is_empty());

    let found = findings(&cluster);
    until("the idle workers have left", || {
        array.slurm.queue().keys().all(|task| !task.starts_with(&array.id)).then_some(())
    });
    for (task, state, restarts) in [(0, "COMPLETED", 2), (1, "CANCELLED", 0), (2, "COMPLETED", 2), (3, "COMPLETED", 1)]
    {
        assert_eq!(slurm.field(&array.task(task), "JobState"), state, "{}", printed(task));
        assert_eq!(array.restarts(task), restarts, "{}", printed(task));
    }
    assert!(printed(0).contains("DUE TO JOB REQUEUE"), "a task appends to its log: {}", printed(0));
    let status = cluster.json(&["show", "small"]);
    let causes = status["incomplete_attempts"].to_string();
    // On a busy machine, a worker that leaves may be killed before it has handed back.
    let ends = ["preempted", "worker-lost"].map(|outcome| causes.matches(outcome).count());
    assert!(ends.iter().sum::<usize>() >= 6 && ends.iter().all(|&count| count > 0), "{causes}");
    let trials = status["trials"].as_u64().expect("a number");
    assert_eq!(found.len() as u64, trials + 1, "each trial has one result");
    assert_eq!(found, calm(&sweep));
}
