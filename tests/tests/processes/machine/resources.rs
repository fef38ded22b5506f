//! The cores and the memory that programs use: those of the machine, or less in a Slurm job.

use std::process::{Command, Output, Stdio};

use biosweep_tests::cluster::{Cluster, pid};
use biosweep_tests::{Home, program, until, until_ended, without_variables};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// A sweep that is not finished during a test, and has more trajectories than this machine has cores.
const LONG: &str = "name = \"long\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 100_000\neval_every = 1_000\n\
                    [grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 3\nseed = { from = 0, count = 500 }\n";

/// The variables of a job that does not end.
const JOB: [(&str, &str); 2] = [("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "9000000000")];

/// The workers of a run with this command and these variables, when all of them have connected.
fn workers_of_run(through: &[&str], variables: &[(&str, &str)], count: usize) -> Vec<Value> {
    let home = Home::default();
    let spec = home.spec(LONG);
    let biosweep = program("biosweep");
    let mut words = through.iter().map(|word| (*word).into()).chain([biosweep.into_os_string()]);
    let mut run = Command::new(words.next().expect("a program"));
    run.args(words).arg("run").arg(&spec).arg("--home").arg(home.path());
    without_variables(&mut run);
    let log = std::fs::File::create(home.path().join("run.log")).expect("a log");
    let mut run = run
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("it starts");
    let workers = until("its workers are there", || {
        let output = home.run(&["workers", "--output", "json"]);
        let workers: Value = serde_json::from_slice(&output.stdout).ok()?;
        workers.as_array().filter(|workers| workers.len() >= count).cloned()
    });
    // Each worker has its own log, which begins before the worker connects.
    let logs = std::fs::read_dir(home.path().join("logs")).expect("logs").flatten();
    let logs = logs.filter(|log| log.file_name().to_string_lossy().starts_with("worker-")).count();
    kill(pid(&run), Signal::SIGTERM).expect("it runs");
    assert_eq!(until_ended(&mut run).code(), Some(75));
    assert_eq!(logs, count, "{through:?} {variables:?}");
    workers
}

#[test]
fn a_run_starts_one_worker_for_each_core_that_it_may_use() {
    let _workers = workers_of_run(&["taskset", "-c", "0"], &[], 1);
    let of_job = [("SLURM_CPUS_PER_TASK", "1"), ("SLURM_MEM_PER_CPU", "512")];
    let workers = workers_of_run(&[], &[&JOB[..], &of_job].concat(), 1);
    assert_eq!(workers[0]["memory_bytes"], 500_000_000, "the worker reports the memory of the job: {workers:?}");
    // Outside of a job the variables are ignored.
    let cores = std::thread::available_parallelism().expect("a number").get();
    let workers = workers_of_run(&[], &of_job, cores);
    assert!(workers[0]["memory_bytes"].as_u64().expect("a number") > 600_000_000, "{workers:?}");
}

#[test]
fn a_worker_in_a_job_reports_the_memory_of_the_job() {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.work(&[], &[&JOB[..], &[("SLURM_MEM_PER_NODE", "1024")]].concat());
    let memory = until("it is there", || cluster.try_json(&["workers"])?[0]["memory_bytes"].as_u64());
    assert_eq!(memory, 1_000_000_000);
}

#[test]
fn an_error_names_a_variable_of_the_job_that_is_not_a_number() {
    let home = Home::default();
    let spec = home.spec(LONG).to_string_lossy().into_owned();
    for (variable, mistaken) in [
        ("SLURM_CPUS_PER_TASK", "many"),
        ("SLURM_MEM_PER_NODE", "2G"),
        ("SLURM_MEM_PER_CPU", ""),
        ("SLURM_CPUS_PER_TASK", "0"),
    ] {
        let url = ["--coordinator", "http://127.0.0.1:1"];
        for mut command in [home.biosweep(&["run", &spec]), home.worker(&url)] {
            let Output { status, stderr, .. } = command.envs(JOB).env(variable, mistaken).output().expect("it starts");
            let printed = String::from_utf8_lossy(&stderr);
            let expected = format!("{variable} is `{mistaken}`, which is not a number of ");
            assert_eq!((status.code(), printed.matches(&expected).count()), (Some(2), 1), "{printed}");
            assert_eq!(printed.matches("SLURM_").count(), 1, "one message: {printed}");
        }
    }
    assert!(!home.is_announced() && home.workers().is_empty());
}
