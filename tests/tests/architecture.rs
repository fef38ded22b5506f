//! The architecture as a test: who may name what.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The Rust files under a folder, or the file itself.
fn sources(place: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(place)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    assert!(!found.is_empty(), "nothing under {place}");
    found.sort();
    found
}

/// The lines of code of a file up to its tests: comments aside.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a source file");
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = before_tests.lines().map(str::trim);
    lines.filter(|line| !line.starts_with("//")).map(str::to_owned).collect()
}

fn none_of(place: &str, words: &[&str], why: &str) {
    for path in sources(place) {
        for line in code(&path) {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                panic!("{} names {word} in `{line}`: {why}", path.display());
            }
        }
    }
}

#[test]
fn what_decides_is_pure() {
    let words =
        ["tokio", "tonic", "sqlx", "std::time", "rand::", "HashMap", "HashSet", "async fn", ".await", "std::fs"];
    none_of("coordinator/src/core", &words, "the scheduler decides and does nothing else");
    none_of("common/src/protocol/session.rs", &words, "the session decides and does nothing else");
}

#[test]
fn common_knows_no_runtime_no_database_and_no_libtorch() {
    none_of("common/src", &["tokio", "sqlx", "tch::"], "common is vocabulary");
}

#[test]
fn generated_messages_are_named_only_where_they_meet_domain_types() {
    let may = [
        "common/src/protocol",
        "coordinator/src/rpc",
        "coordinator/src/client.rs",
        "coordinator/src/bench",
        "worker/src/agent.rs",
        "worker/src/agent",
    ];
    let may: Vec<PathBuf> = may.iter().map(|place| root().join(place)).collect();
    for place in ["common/src", "common/host/src", "coordinator/src", "worker/src"] {
        for path in sources(place).into_iter().filter(|path| !may.iter().any(|may| path.starts_with(may))) {
            assert!(!code(&path).iter().any(|line| line.contains("biosweep_proto")), "{}", path.display());
        }
    }
}

#[test]
fn coordinator_and_worker_do_not_see_each_other() {
    let manifest = |name: &str| fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
    assert!(!manifest("coordinator").contains("biosweep-worker.") && !manifest("coordinator").contains("tch"));
    assert!(!manifest("worker").contains("biosweep-coordinator") && !manifest("worker").contains("sqlx"));
}

#[test]
fn unsafe_code_stands_in_its_named_places_only() {
    let may = ["worker/src/buffer.rs", "worker/src/libtorch.rs"].map(|place| root().join(place));
    for place in ["common/src", "common/host/src", "coordinator/src", "worker/src", "tests/src"] {
        for path in sources(place).into_iter().filter(|path| !may.contains(path)) {
            assert!(!code(&path).iter().any(|line| line.contains("unsafe ")), "{}", path.display());
        }
    }
}

#[test]
fn only_the_clock_reads_time() {
    for place in ["common/src", "common/host/src", "coordinator/src", "worker/src"] {
        for path in sources(place).into_iter().filter(|path| !path.ends_with("common/host/src/clock.rs")) {
            for word in ["SystemTime::now", "std::time::Instant"] {
                assert!(!code(&path).iter().any(|line| line.contains(word)), "{} reads time", path.display());
            }
        }
    }
}

#[test]
fn every_file_begins_with_its_purpose() {
    for place in [
        "proto/src",
        "common/src",
        "common/host/src",
        "coordinator/src",
        "worker/src",
        "tests/src",
        "tests/tests",
        "worker/tests",
    ] {
        for path in sources(place) {
            let text = fs::read_to_string(&path).expect("a source file");
            assert!(text.starts_with("//! "), "{} does not say what it is for", path.display());
        }
    }
}
