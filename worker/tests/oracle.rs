//! Exact float64 cases of every rule, computed elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network as Kind;
use safetensors::SafeTensors;

#[test]
fn every_case_of_the_oracle_is_reproduced_in_both_precisions() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    // The second folder holds the rules and networks that ask why skip connections help.
    let folders: Vec<PathBuf> = ["oracle", "oracle-skips"].map(|name| tests.join(name)).into_iter().collect();
    let mut cases = 0;
    for rule in Rule::ALL {
        let of_rule: Vec<PathBuf> = folders.iter().flat_map(|folder| cases_of(folder, *rule)).collect();
        assert!(!of_rule.is_empty(), "no case of {rule} in {folders:?}");
        for case in of_rule {
            for (kind, bound) in [("float64", 1e-9), ("float32", 1e-4)] {
                let out = std::env::temp_dir().join(format!("biosweep-step-{}-{rule}-{kind}", std::process::id()));
                check_case(&case, &out, kind, bound);
                cases += 1;
            }
        }
    }
    assert!(cases >= 56, "only {cases} cases were found in {folders:?}");
}

/// The cases of a rule on the networks there are.
fn cases_of(oracle: &Path, rule: Rule) -> Vec<PathBuf> {
    // A missing folder has no case; the test fails if a rule has none at all.
    let Ok(entries) = std::fs::read_dir(oracle) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let wanted = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".json") && Kind::ALL.iter().any(|kind| name.starts_with(&format!("{rule}-{kind}-")))
    };
    paths.filter(wanted).collect()
}

fn check_case(case: &Path, out: &Path, kind: &str, bound: f64) {
    let tensors = case.with_extension("safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_biosweep-worker"));
    command.args(["step", "--dtype", kind, "--case"]).arg(case).arg("--tensors").arg(&tensors).arg("--out").arg(out);
    let status = command.status().expect("the worker starts");
    assert!(status.success(), "{}: {status}", case.display());
    let (wanted, found) = (std::fs::read(&tensors).expect("a case"), std::fs::read(out).expect("an answer"));
    let wanted = SafeTensors::deserialize(&wanted).expect("a case");
    let found = SafeTensors::deserialize(&found).expect("an answer");
    for (name, wanted) in wanted.iter().filter(|(name, _)| name.starts_with("expect.")) {
        let own = found.tensor(name).unwrap_or_else(|error| panic!("{}: {name}: {error}", case.display()));
        assert_eq!(own.shape(), wanted.shape(), "{}: {name}", case.display());
        let distance = distance(&numbers(wanted.data()), &numbers(own.data()));
        assert!(distance <= bound, "{}: {name} in {kind} is off by {distance}", case.display());
    }
    std::fs::remove_file(out).expect("the answer can be removed");
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}

/// The largest difference, relative to the largest number.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    let scale = left.iter().fold(1e-30_f64, |most, number| most.max(number.abs()));
    left.iter().zip(right).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / scale
}
