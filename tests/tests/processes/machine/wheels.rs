//! The Python wheels: the same programs with the libtorch of torch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use biosweep_tests::cluster::{Cluster, pid};
use biosweep_tests::installed::wheels::{Environment, torch, wheels};
use biosweep_tests::readers::python3;
use biosweep_tests::{Home, until_ended};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// The quickstart with fewer and shorter trials.
const SPEC: &str = r#"
name = "small"
[data]
dataset = "synthetic-digits"
[train]
activation = "relu"
optimizer = "adam"
learning_rate = 1e-3
batch_size = 128
eval_every = 78
max_updates = 156
[grid]
rule = ["bp", "fa", "dtp"]
network = ["nn", "dn"]
depth = 2
fold = { from = 0, count = 2 }
"#;
const TRIALS: usize = 12;

/// The exit code of a worker on a machine where it cannot train.
const UNFIT: i32 = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The version of torch that deploy/setup installs and the worker is built with.
fn torch_version() -> String {
    let list = read(&format!("deploy/setup/libtorch-{}.txt", std::env::consts::ARCH));
    let version = list.lines().find_map(|line| line.strip_prefix("torch==")?.split(' ').next());
    version.expect("the list has torch").to_owned()
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

/// The one line with which the worker refuses to start, and with which `biosweep run` does.
fn refusals(environment: &Environment, python_path: &Path) -> [String; 2] {
    let home = Home::default();
    let mut worker = environment.program("biosweep-worker");
    let worker = worker.arg("environment").env("PYTHONPATH", python_path).output().expect("it starts");
    assert_eq!(worker.status.code(), Some(UNFIT), "{}", error_of(&worker));
    let mut run = environment.program("biosweep");
    run.args(["run", "quickstart", "--home"]).arg(home.path()).env("PYTHONPATH", python_path);
    let run = run.output().expect("it starts");
    assert!(!run.status.success(), "{}", error_of(&run));
    [error_of(&worker), error_of(&run)]
}

#[test]
fn the_wheels_name_the_versions_of_the_build() {
    let worker = format!("worker = [\"biosweep-worker=={}\"]\n", env!("CARGO_PKG_VERSION"));
    let coordinator = read("deploy/python/biosweep/pyproject.toml");
    assert!(coordinator.contains(&worker), "the wheel `biosweep` must have the line {worker}");
    let torch = format!("dependencies = [\"torch=={}\"]\n", torch_version());
    let of_worker = read("deploy/python/worker/pyproject.toml");
    assert!(of_worker.contains(&torch), "the wheel `biosweep-worker` must have the line {torch}");
    let tools = read("deploy/python/tools.txt");
    let maturin = tools.lines().find_map(|line| line.split(' ').next().filter(|name| name.starts_with("maturin==")));
    let maturin = format!("requires = [\"{}\"]\n", maturin.expect("the list has maturin"));
    assert!(coordinator.contains(&maturin) && of_worker.contains(&maturin), "both wheels must have the line {maturin}");
}

#[test]
fn the_wheels_give_the_results_of_the_built_programs() {
    let Some(environment) = Environment::with_torch() else { return };
    let (ours, theirs) = (Home::default(), Home::default());
    let built = ours.answer(&["run", &ours.spec(SPEC).to_string_lossy(), "--workers", "2"]);
    // Libraries on the library path do not replace those of torch.
    for library in ["libtorch_cpu.so", "libc10.so"] {
        fs::write(theirs.path().join(library), "not even a library").expect("written");
    }
    let mut run = environment.program("biosweep");
    run.arg("run").arg(theirs.spec(SPEC)).args(["--workers", "2", "--home"]).arg(theirs.path());
    let output = run.env("LD_LIBRARY_PATH", theirs.path()).output().expect("it starts");
    assert!(output.status.success(), "{}", error_of(&output));
    let installed = String::from_utf8(output.stdout).expect("text");

    let table = |answer: &str| {
        let (table, _) = answer.split_once("mean test accuracy").unwrap_or_else(|| panic!("no table in {answer}"));
        table.to_owned()
    };
    assert!(table(&built).contains("dtp"), "{built}");
    assert_eq!(table(&installed), table(&built));
    let findings = |home: &Home| {
        let rows = home.json(&["results", "small"]);
        let row = |row: &Value| ["key", "status", "test_accuracy", "libtorch"].map(|column| row[column].to_string());
        let rows: Vec<_> = rows.as_array().expect("an array").iter().map(row).collect();
        (rows, home.answer(&["results", "small", "--curves", "--format", "csv"]))
    };
    assert_eq!(findings(&ours).0.len(), TRIALS);
    assert_eq!(findings(&theirs), findings(&ours));
}

#[test]
fn a_signal_reaches_the_worker_of_a_wheel() {
    let Some(environment) = Environment::with_torch() else { return };
    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.submit();
    let mut worker = environment.program("biosweep-worker");
    worker.args(["--coordinator", &cluster.url()]).arg("--home").arg(cluster.home().path());
    let mut worker = worker.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    cluster.until_in_full_swing();
    let program = fs::read_link(format!("/proc/{}/exe", worker.id())).expect("it runs");
    assert_eq!(program, environment.packages().join("biosweep_worker/bin/biosweep-worker"));
    kill(pid(&worker), Signal::SIGTERM).expect("it runs");
    until_ended(&mut worker);
    let output = worker.wait_with_output().expect("it has ended");
    assert_eq!(output.status.code(), Some(75), "{}", error_of(&output));
}

#[test]
fn torch_is_found_in_another_folder_of_packages() {
    let (Some(torch), Some(environment)) = (torch(), Environment::without_torch()) else { return };
    let mut worker = environment.program("biosweep-worker");
    worker.args(["environment", "--output", "json"]).env("PYTHONPATH", torch);
    let output = worker.output().expect("it starts");
    assert!(output.status.success(), "{}", error_of(&output));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["libtorch"], torch_version().as_str());
}

#[test]
fn a_missing_or_another_torch_is_one_line_with_the_fix() {
    let Some(environment) = Environment::without_torch() else { return };
    let other = tempfile::tempdir().expect("a temporary folder");
    let [wanted, torch] = [torch_version(), other.path().join("torch").display().to_string()];
    let start = format!("biosweep-worker needs torch {wanted}, and ");
    let fix = format!("-m pip install torch=={wanted}");
    let check = |what: &str| {
        let [worker, run] = refusals(&environment, other.path());
        assert!(worker.starts_with(&format!("error: {start}")) && worker.ends_with(&fix), "{worker}");
        assert!(worker.contains(what) && worker.lines().count() == 1, "{worker}");
        assert!(run.contains(worker.trim_start_matches("error: ")), "{run}");
    };
    check("has no torch");
    fs::create_dir(&torch).expect("a folder");
    let file = |name: &str, text: &str| fs::write(Path::new(&torch).join(name), text).expect("written");
    file("__init__.py", "raise SystemExit('torch is imported')\n");
    file("version.py", "__version__ = '2.10.0+cpu'\n");
    check(&format!("{torch} is torch 2.10.0+cpu"));
    file("version.py", &format!("__version__ = '{wanted}+cpu'\n"));
    check(&format!("{torch} has no lib/libtorch_cpu.so"));
}

#[test]
fn the_extra_asks_for_the_worker_and_its_torch() {
    let (Some(python), Some(wheels)) = (python3(), wheels()) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let download = |what: &str| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "download", "--no-index", "--find-links"]).arg(&wheels);
        pip.arg("--dest").arg(folder.path()).arg(what).env("PIP_FIND_LINKS", "").output().expect("pip starts")
    };
    let alone = download("biosweep");
    assert!(alone.status.success(), "{}", error_of(&alone));
    let both = download("biosweep[worker]");
    let missing = format!("No matching distribution found for torch=={}", torch_version());
    assert!(!both.status.success() && error_of(&both).contains(&missing), "{}", error_of(&both));
}

#[test]
fn licences_travel_with_the_programs() {
    let Some(environment) = Environment::without_torch() else { return };
    let version = env!("CARGO_PKG_VERSION");
    for (wheel, own, others) in [
        ("biosweep", &["LICENSE-APACHE", "LICENSE-MIT", "LICENSE-OFL.txt"][..], ["tokio 1.", "sqlx-core 0."]),
        ("biosweep_worker", &["LICENSE-APACHE", "LICENSE-MIT"], ["tokio 1.", "tch 0."]),
    ] {
        let folder = environment.packages().join(format!("{wheel}-{version}.dist-info/licenses"));
        let licence =
            |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for name in own {
            assert!(licence(name).len() > 1_000, "{wheel}: {name}");
        }
        for other in others {
            assert!(licence("LICENSES-OF-CRATES.txt").contains(other), "{wheel}: {other}");
        }
    }
}

/// The check that `make wheels` applies to both programs.
#[test]
fn a_program_that_needs_more_than_the_tag_promises_is_refused() {
    let Some(python) = python3() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let compile = |arguments: &[&str]| {
        let built = Command::new("cc").current_dir(folder.path()).args(arguments).status().expect("a C compiler");
        assert!(built.success(), "{arguments:?}");
    };
    let check = |program: &str| {
        let script =
            "import sys; from pathlib import Path; import programs; programs.check(Path(sys.argv[1]), ['libours.so'])";
        let mut command = Command::new(&python);
        command.args(["-B", "-c", script]).arg(path(program)).current_dir(root().join("deploy/python"));
        let output = command.output().expect("Python starts");
        (output.status.success(), error_of(&output))
    };
    fs::write(path("f.c"), "int f(void) { return 0; }\n").expect("written");
    fs::write(path("main.c"), "int f(void);\nint main(void) { return f(); }\n").expect("written");
    for (version, library, refused) in [
        ("GLIBC_2.34", "libours.so", None),
        ("GLIBCXX_3.4.29", "libours.so", None),
        ("GLIBC_2.35", "libours.so", Some("it needs GLIBC_2.35, which is newer than GLIBC_2.34")),
        ("GLIBCXX_3.4.30", "libours.so", Some("it needs GLIBCXX_3.4.30, which is newer than GLIBCXX_3.4.29")),
        ("OURS_1", "libforeign.so", Some("it needs libforeign.so, which a machine need not have")),
    ] {
        fs::write(path("map"), format!("{version} {{ global: f; }};\n")).expect("written");
        let soname = format!("-Wl,-soname,{library},--version-script=map");
        compile(&["-shared", "-fPIC", &soname, "-o", library, "f.c"]);
        compile(&["-o", "program", "main.c", library]);
        let (is_accepted, printed) = check("program");
        assert_eq!(is_accepted, refused.is_none(), "{version} of {library}: {printed}");
        assert!(printed.contains(refused.unwrap_or("")), "{printed}");
    }
}
