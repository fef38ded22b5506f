//! The libtorch version of a worker, and variables that change the last bits of results.

use std::path::Path;
use std::process::{Command, Output};

use biosweep_tests::{program, without_variables};
use serde_json::{Value, json};

fn environment(variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(program("biosweep-worker"));
    without_variables(&mut command);
    command.args(["environment", "--output", "json"]).envs(variables.iter().copied());
    command.output().expect("the worker starts")
}

#[test]
fn another_libtorch_is_refused_by_its_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, library) = (folder.path().join("other.c"), folder.path().join("other.so"));
    // The ABI version that libtorch 2.10.0 would report.
    let text = "unsigned long aoti_torch_abi_version(void) { return 2ul << 56 | 10ul << 48; }\n";
    std::fs::write(&source, text).expect("written");
    let mut compiler = Command::new("cc");
    let built = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().expect("a C compiler");
    assert!(built.success());
    let output = environment(&[("LD_PRELOAD", &library)]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    for part in ["libtorch 2.10.0 is loaded from", "libtorch_cpu.so", "is built for 2.", "unset LD_LIBRARY_PATH"] {
        assert!(printed.contains(part), "{part} is not in: {printed}");
    }
}

#[test]
fn a_library_on_the_library_path_does_not_replace_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    for library in ["libtorch_cpu.so", "libc10.so"] {
        std::fs::write(folder.path().join(library), "not even a library").expect("written");
    }
    let output = environment(&[("LD_LIBRARY_PATH", folder.path())]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn variables_that_change_results_are_ignored() {
    let output = environment(&[("MKL_CBWR", Path::new("COMPATIBLE")), ("OMP_NUM_THREADS", Path::new("3"))]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("MKL_CBWR would change the last bits of results and is not used"), "{printed}");
    let environment: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(environment["variables"], json!({}));
    assert_ne!(environment["processor"], "");
}

#[test]
fn a_preloaded_library_is_reported() {
    let output = environment(&[("LD_PRELOAD", Path::new("libc.so.6"))]);
    let environment: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(environment["variables"], json!({ "LD_PRELOAD": "libc.so.6" }));
}
