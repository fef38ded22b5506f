//! Exact float64 cases of every rule, computed elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network as Kind;
use biosweep_engine::step;
use safetensors::SafeTensors;
use tempfile::{NamedTempFile, TempPath};

#[test]
fn every_case_of_the_oracle_is_reproduced_in_both_precisions() {
    let mut cases = 0;
    for rule in Rule::ALL {
        let of_rule = cases_of(*rule);
        assert!(!of_rule.is_empty(), "no case of {rule}");
        for case in of_rule {
            let (tensors, out) = (case.with_extension("safetensors"), answer());
            step::run::<f64>(&case, &tensors, &out).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
            compare(&case, &out, 1e-9);
            step::run::<f32>(&case, &tensors, &out).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
            compare(&case, &out, 1e-4);
            cases += 1;
        }
    }
    assert!(cases >= 56, "only {cases} cases were found");
}

#[test]
fn the_program_computes_a_case_in_the_precision_it_is_told() {
    let case = cases_of(Rule::Dtp).remove(0);
    let out = answer();
    let mut texts = Vec::new();
    for (kind, bound) in [("float64", 1e-9), ("float32", 1e-4)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_biosweep-worker"));
        command.args(["step", "--dtype", kind, "--case"]).arg(&case).arg("--tensors");
        command.arg(case.with_extension("safetensors")).arg("--out").arg(&*out);
        let status = command.status().expect("the worker starts");
        assert!(status.success(), "{}: {status}", case.display());
        compare(&case, &out, bound);
        texts.push(std::fs::read(&*out).expect("an answer"));
    }
    assert_ne!(texts[0], texts[1], "both precisions have the same digits");
}

/// A file for an answer, which is removed with it.
fn answer() -> TempPath {
    NamedTempFile::new().expect("a temporary file").into_temp_path()
}

/// The cases of a rule on the networks there are. The second folder holds the rules and networks that ask why skip connections
/// help.
fn cases_of(rule: Rule) -> Vec<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = ["oracle", "oracle-skips"].map(|name| tests.join(name));
    // A missing folder has no case; the test fails if a rule has none at all.
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let wanted = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".json") && Kind::ALL.iter().any(|kind| name.starts_with(&format!("{rule}-{kind}-")))
    };
    paths.filter(wanted).collect()
}

/// Compares an answer with what must come out.
fn compare(case: &Path, out: &Path, bound: f64) {
    let tensors = case.with_extension("safetensors");
    let (wanted, found) = (std::fs::read(&tensors).expect("a case"), std::fs::read(out).expect("an answer"));
    let wanted = SafeTensors::deserialize(&wanted).expect("a case");
    let found = SafeTensors::deserialize(&found).expect("an answer");
    for (name, wanted) in wanted.iter().filter(|(name, _)| name.starts_with("expect.")) {
        let own = found.tensor(name).unwrap_or_else(|error| panic!("{}: {name}: {error}", case.display()));
        assert_eq!(own.shape(), wanted.shape(), "{}: {name}", case.display());
        let distance = distance(&numbers(wanted.data()), &numbers(own.data()));
        assert!(distance <= bound, "{}: {name} is off by {distance}, more than {bound}", case.display());
    }
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}

/// The largest difference, relative to the largest number.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    let scale = left.iter().fold(1e-30_f64, |most, number| most.max(number.abs()));
    left.iter().zip(right).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / scale
}
