//! The architecture as a test: the allowed dependencies of crates and modules, the words that each crate may use, and the
//! sizes of folders and files.

mod folders;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use biosweep_tests::files_under;

/// Every crate of the workspace, its folder, and the workspace crates that it may depend on.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("biosweep-proto", "proto", &[]),
    ("biosweep-common", "common", &["biosweep-proto"]),
    ("biosweep-host", "common/host", &["biosweep-common"]),
    ("biosweep-connection", "common/connection", &["biosweep-common"]),
    ("biosweep-numeric", "common/numeric", &[]),
    ("biosweep-data", "common/data", &["biosweep-common", "biosweep-numeric"]),
    ("biosweep-scheduler", "coordinator/scheduler", &["biosweep-common"]),
    ("biosweep-analysis", "coordinator/analysis", &["biosweep-common", "biosweep-numeric"]),
    ("biosweep-store", "coordinator/store", &["biosweep-common", "biosweep-host", "biosweep-scheduler"]),
    (
        "biosweep-server",
        "coordinator/server",
        &[
            "biosweep-analysis",
            "biosweep-common",
            "biosweep-connection",
            "biosweep-host",
            "biosweep-proto",
            "biosweep-scheduler",
            "biosweep-store",
        ],
    ),
    (
        "biosweep",
        "coordinator",
        &[
            "biosweep-analysis",
            "biosweep-common",
            "biosweep-connection",
            "biosweep-data",
            "biosweep-host",
            "biosweep-proto",
            "biosweep-scheduler",
            "biosweep-server",
            "biosweep-store",
        ],
    ),
    ("biosweep-engine", "worker/engine", &["biosweep-common", "biosweep-data", "biosweep-host", "biosweep-numeric"]),
    (
        "biosweep-worker",
        "worker",
        &[
            "biosweep-common",
            "biosweep-connection",
            "biosweep-data",
            "biosweep-engine",
            "biosweep-host",
            "biosweep-proto",
        ],
    ),
    ("biosweep-tests", "tests", &["biosweep-common", "biosweep-proto"]),
];

/// Crates that others must not depend on, directly or indirectly.
const KEPT_OUT: &[(&str, &[&str])] = &[
    ("biosweep-common", &["tokio", "tonic", "sqlx", "tch"]),
    ("biosweep-connection", &["sqlx", "tch"]),
    ("biosweep-data", &["tokio", "tonic", "sqlx", "tch"]),
    ("biosweep-scheduler", &["tokio", "tonic", "sqlx", "tch", "rand"]),
    ("biosweep-analysis", &["tokio", "tonic", "sqlx", "tch"]),
    ("biosweep-store", &["tonic", "tch"]),
    ("biosweep", &["tch"]),
    ("biosweep-engine", &["tokio", "tonic", "sqlx"]),
    ("biosweep-worker", &["sqlx"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The dependencies of a crate according to `cargo tree`, without those of tests and build scripts.
fn tree(package: &str, depth: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").expect("cargo runs tests");
    let mut command = Command::new(cargo);
    command.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    command.args(["--package", package, "--depth", depth]).current_dir(root());
    let output = command.output().expect("cargo tree starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The Rust files under the `src` of a crate.
fn sources(folder: &str) -> Vec<PathBuf> {
    files_under(&root().join(folder).join("src"), &["rs"])
}

/// The lines of a file before its tests, without comments.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a source file");
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = before_tests.lines().map(str::trim);
    lines.filter(|line| !line.starts_with("//")).map(str::to_owned).collect()
}

fn none_of(paths: Vec<PathBuf>, words: &[&str], why: &str) {
    for path in paths {
        for line in code(&path) {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                panic!("{} names {word} in `{line}`: {why}", path.display());
            }
        }
    }
}

#[test]
fn the_workspace_has_these_crates_and_no_other() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let members = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).expect("members");
    let members: BTreeSet<&str> = members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    let folders: BTreeSet<&str> = CRATES.iter().map(|(_, folder, _)| *folder).chain(["tests/fuzz"]).collect();
    assert_eq!(members, folders);
}

#[test]
fn each_crate_has_only_its_allowed_dependencies() {
    let ours: BTreeMap<&str, &[&str]> = CRATES.iter().map(|(name, _, may)| (*name, *may)).collect();
    for (name, may) in &ours {
        for dependency in tree(name, "1").iter().filter(|dependency| ours.contains_key(dependency.as_str())) {
            assert!(may.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    for (_, folder, _) in CRATES {
        let circles = modules::circles(&root().join(folder).join("src"));
        assert!(circles.is_empty(), "modules of {folder} use each other: {circles:?}; move what they share below them");
    }
}

#[test]
fn runtimes_databases_and_libtorch_are_only_in_the_crates_that_need_them() {
    for (name, kept_out) in KEPT_OUT {
        let dependencies = tree(name, "1000");
        for kept_out in *kept_out {
            assert!(!dependencies.contains(*kept_out), "{name} depends on {kept_out}");
        }
    }
}

#[test]
fn pure_code_has_no_side_effects() {
    let words = ["tokio", "tonic", "sqlx", "std::time", "rand::", "HashMap", "HashSet", "async ", "std::fs"];
    none_of(sources("coordinator/scheduler"), &words, "the scheduler only decides");
    none_of(vec![root().join("common/src/protocol/session/mod.rs")], &words, "the session only decides");
    let words = ["std::fs", "std::net", "std::env", "std::process", "std::time", "now_v7"];
    none_of(sources("common"), &words, "common is pure");
    none_of(sources("coordinator/analysis"), &words, "analysis only computes");
}

#[test]
fn generated_messages_are_used_only_where_they_are_converted() {
    let may = [
        "common/src/protocol",
        "coordinator/server/src/grpc",
        "coordinator/src/client",
        "coordinator/src/bench",
        "worker/src/agent",
        "tests/src",
    ];
    let may: Vec<PathBuf> = may.iter().map(|place| root().join(place)).collect();
    for (_, folder, _) in CRATES.iter().filter(|(name, ..)| *name != "biosweep-proto") {
        for path in sources(folder).into_iter().filter(|path| !may.iter().any(|may| path.starts_with(may))) {
            assert!(!code(&path).iter().any(|line| line.contains("biosweep_proto")), "{}", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_only_in_the_listed_files() {
    let may =
        ["coordinator/src/hypotf.rs", "worker/engine/src/kernels/buffer.rs", "worker/engine/src/torch/libtorch.rs"];
    let may = may.map(|place| root().join(place));
    for (_, folder, _) in CRATES {
        for path in sources(folder).into_iter().filter(|path| !may.contains(path)) {
            assert!(!code(&path).iter().any(|line| line.contains("unsafe ")), "{}", path.display());
        }
    }
}

#[test]
fn only_the_clock_reads_time() {
    for (_, folder, _) in CRATES.iter().filter(|(name, ..)| *name != "biosweep-tests") {
        for path in sources(folder).into_iter().filter(|path| !path.ends_with("common/host/src/clock.rs")) {
            let reads = |line: &str| {
                line.contains("SystemTime::now") || line.contains("std::time::") && line.contains("Instant")
            };
            assert!(!code(&path).iter().any(|line| reads(line)), "{} reads time", path.display());
        }
    }
}

#[test]
fn every_file_starts_with_its_purpose() {
    for (_, folder, _) in CRATES {
        let (sources, tests) = (sources(folder), root().join(folder).join("tests"));
        let tests = if tests.is_dir() { files_under(&tests, &["rs"]) } else { Vec::new() };
        for path in sources.into_iter().chain(tests) {
            let text = fs::read_to_string(&path).expect("a source file");
            assert!(text.starts_with("//! "), "{} does not say what it is for", path.display());
        }
    }
}

/// A path in backticks is relative to the root, to `deploy/`, to a crate or to the sources of a crate.
#[test]
fn every_path_in_the_architecture_page_exists() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("the page");
    let is_of_path = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    let is_path = |text: &&str| text.contains('/') && text.chars().all(is_of_path);
    let paths: BTreeSet<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(paths.len() > 50, "the page names only {paths:?}");
    let crates = CRATES.iter().flat_map(|(_, folder, _)| [root().join(folder), root().join(folder).join("src")]);
    let places: Vec<PathBuf> = crates.chain([root(), root().join("deploy")]).collect();
    let gone: Vec<_> = paths.iter().filter(|path| !places.iter().any(|place| place.join(path).exists())).collect();
    assert!(gone.is_empty(), "the page names paths that do not exist: {gone:?}");
}
