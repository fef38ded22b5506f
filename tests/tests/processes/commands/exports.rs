//! `biosweep export`: where the file appears, and when it is refused.

use std::fs;
use std::path::Path;
use std::process::Output;

use biosweep_tests::Home;
use serde_json::Value;

const SPEC: &str = r#"
name = "a b שלום"
[data]
dataset = "synthetic-digits"
[grid]
rule = "bp"
network = "nn"
depth = 1
"#;

/// A home with a sweep that no worker has trained.
fn home() -> Home {
    let home = Home::default();
    let spec = home.spec(SPEC);
    let _submitted = home.json(&["submit", spec.to_str().expect("text")]);
    home
}

fn export(home: &Home, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = home.biosweep(&[&["export", "a b שלום"], arguments].concat());
    command.current_dir(folder).output().expect("biosweep starts")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

fn printed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn parquet_goes_to_a_file_named_after_the_sweep_and_no_file_is_overwritten() {
    let (home, folder) = (home(), tempfile::tempdir().expect("a folder"));
    for what in ["results", "curves", "diagnostics"] {
        let arguments = ["--format", "parquet", "--what", what];
        let first = export(&home, folder.path(), &[&arguments[..], &["--output", "json"]].concat());
        assert!(first.status.success(), "{}", printed(&first.stderr));
        let answer: Value = serde_json::from_slice(&first.stdout).expect("JSON");
        let path = format!("a-b-שלום-{what}.parquet");
        assert_eq!(answer, serde_json::json!({ "path": path, "rows": 0 }));
        let bytes = fs::read(folder.path().join(&path)).expect("the file");
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
        let text = printed(&bytes);
        assert!(text.contains(SPEC) && text.contains("biosweep.numerics_version"), "the metadata");

        let second = export(&home, folder.path(), &arguments);
        assert_eq!(second.status.code(), Some(2));
        let error = printed(&second.stderr);
        assert!(error.contains(&format!("{path} already exists; give another path, or replace it with --force")));
        let third = export(&home, folder.path(), &[&arguments[..], &["--force"]].concat());
        assert_eq!(printed(&third.stdout), format!("{path} has 0 rows.\n"));
        assert_eq!(fs::read(folder.path().join(&path)).expect("the file"), bytes, "equal to the last byte");
    }
    assert_eq!(names(folder.path()).len(), 3, "no partial file is left: {:?}", names(folder.path()));
}

#[test]
fn text_goes_to_stdout_or_to_the_given_path() {
    let (home, folder) = (home(), tempfile::tempdir().expect("a folder"));
    let header = "trial,trajectory,update,train_loss,validation_accuracy,test_accuracy\n";
    let shown = export(&home, folder.path(), &["--format", "csv", "--what", "curves"]);
    assert_eq!(printed(&shown.stdout), header);
    assert_eq!(names(folder.path()), [""; 0]);
    let written = export(&home, folder.path(), &["--format", "csv", "--what", "curves", "--to", "rows.csv"]);
    assert_eq!(printed(&written.stdout), "rows.csv has 0 rows.\n");
    assert_eq!(fs::read_to_string(folder.path().join("rows.csv")).expect("the file"), header);
    let deep = export(&home, folder.path(), &["--format", "csv", "--to", "a/b/rows.csv"]);
    assert_eq!(printed(&deep.stdout), "a/b/rows.csv has 0 rows.\n", "missing folders are created");
    let nowhere = export(&home, folder.path(), &["--format", "csv", "--to", "rows.csv/rows.csv"]);
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(printed(&nowhere.stderr).contains("cannot create the folder rows.csv: "), "{}", printed(&nowhere.stderr));
}

#[test]
fn the_short_form_writes_parquet_to_a_pipe() {
    let home = home();
    let output = home.run(&["results", "a b שלום", "--format", "parquet"]);
    assert!(output.stdout.starts_with(b"PAR1") && output.stdout.ends_with(b"PAR1"), "{}", printed(&output.stderr));
}

#[test]
fn event_files_go_to_a_folder_that_is_never_replaced() {
    let (home, folder) = (home(), tempfile::tempdir().expect("a folder"));
    let first = export(&home, folder.path(), &["--format", "tensorboard", "--output", "json"]);
    assert!(first.status.success(), "{}", printed(&first.stderr));
    let answer: Value = serde_json::from_slice(&first.stdout).expect("JSON");
    assert_eq!(answer, serde_json::json!({ "path": "a-b-שלום-tensorboard", "files": 1 }), "the root only");
    assert_eq!(names(&folder.path().join("a-b-שלום-tensorboard")).len(), 1);
    let second = export(&home, folder.path(), &["--format", "tensorboard"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(printed(&second.stderr).contains("a folder is never replaced"), "{}", printed(&second.stderr));
    for option in [&["--force"][..], &["--what", "curves"]] {
        let refused = export(&home, folder.path(), &[&["--format", "tensorboard", "--to", "x"], option].concat());
        assert_eq!(refused.status.code(), Some(2));
        assert!(printed(&refused.stderr).contains(&format!("{} does not go with", option[0])));
    }
    assert_eq!(names(folder.path()), ["a-b-שלום-tensorboard"], "nothing is left");
}
