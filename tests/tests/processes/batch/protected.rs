//! A coordinator with TLS on a machine of several users: the jobs of one user connect with her file, and nobody else can use it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use biosweep_tests::cluster::QUICK_SPEC;
use biosweep_tests::cluster::slurm::{answer, isolated};
use biosweep_tests::{program, until};
use serde_json::Value;

/// How a command ended, and all that it printed.
fn ended(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    (status.success(), [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
}

#[test]
fn jobs_of_a_second_user_connect_with_her_file_and_a_third_user_is_refused() {
    let Some(slurm) = isolated(&jobs_of_a_second_user_connect_with_her_file_and_a_third_user_is_refused) else {
        return;
    };
    let [biosweep, worker] = ["biosweep", "biosweep-worker"].map(|name| program(name).to_string_lossy().into_owned());
    let hers = slurm.home_of_alice();
    let path = |name: &str| hers.join(name).to_string_lossy().into_owned();
    let (home, file, spec) = (path("sweeps"), path("worker.json"), path("small.toml"));
    let alice = |arguments: &[&str]| {
        let mut command = slurm.alice(&biosweep);
        command.args(arguments).args(["--home", &home]);
        command
    };
    let json = |arguments: &[&str]| -> Value {
        let printed = answer(alice(arguments).args(["--output", "json"]));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error} in {printed}"))
    };

    answer(&mut alice(&["certs", "init"]));
    let log = File::create(hers.join("serve.log")).expect("a log");
    let serving = alice(&["serve", "--listen", "127.0.0.1:0"]).stderr(log).spawn();
    let mut serving = serving.expect("the coordinator starts");
    let announced = until("the coordinator listens", || fs::read(hers.join("sweeps/coordinator.json")).ok());
    let announced: Value = serde_json::from_slice(&announced).expect("JSON");
    let url = announced["addresses"][0].as_str().expect("an address").to_owned();
    answer(&mut alice(&["token", "create", "--role", "worker", "--address", &url, "--to", &file]));
    assert_eq!(fs::metadata(&file).expect("it was made").permissions().mode() & 0o777, 0o600);
    fs::write(&spec, QUICK_SPEC).expect("a file");
    let _sweep = json(&["submit", &spec]);

    // A third user, on a login node and in a job.
    let bob = |program: &str, arguments: &[&str]| ended(slurm.bob(program).args(arguments));
    let refusals = [
        (bob(&biosweep, &["list", "--connection", &file]), "Permission denied"),
        (bob(&worker, &["--connection", &file]), "Permission denied"),
        (bob("srun", &["--quiet", &worker, "--connection", &file]), "Permission denied"),
        (bob(&biosweep, &["list", "--coordinator", &url]), "--connection"),
        (bob(&worker, &["--coordinator", &url]), "--connection"),
    ];
    for ((succeeded, printed), why) in refusals {
        assert!(!succeeded && printed.contains(why), "{why}: {printed}");
    }
    // A file that she lets others read is refused for everyone, because it is a secret no more.
    let copy = path("shared.json");
    fs::copy(&file, &copy).expect("there is room");
    slurm.give_to_alice(Path::new(&copy));
    fs::set_permissions(&copy, Permissions::from_mode(0o644)).expect("it is there");
    for (succeeded, printed) in
        [bob(&worker, &["--connection", &copy]), ended(slurm.alice(&worker).args(["--connection", &copy]))]
    {
        assert!(!succeeded && printed.contains("can read"), "{printed}");
    }
    assert_eq!(json(&["workers"]), Value::Array(Vec::new()), "nobody has connected");

    let submit = ["slurm", "submit", "small", "--workers", "2", "--worker-connection", &file, "--idle-exit", "2"];
    let output = format!("--output={}/slurm-%a.log", hers.display());
    answer(alice(&submit).args(["--", "--time=10", &output]));
    until("the sweep is finished", || (json(&["show", "small"])["state"] == "finished").then_some(()));
    let results = json(&["results", "small"]);
    assert_eq!(results.as_array().map(Vec::len), Some(12), "{results}");
    until("the jobs have ended", || slurm.queue().is_empty().then_some(()));
    serving.kill().expect("it runs");
    serving.wait().expect("it was killed");
}
