//! MLflow's own client reads from a real server what `biosweep export --format mlflow` has written.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use biosweep_tests::mlflow::MlflowServer;
use biosweep_tests::{Home, readers};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("mlflow_runs.py");

const NAME: &str = "two ends, שלום";
/// Two trajectories of two trials each, of which one diverges.
const SPEC: &str = r#"
name = "two ends, שלום"
[data]
dataset = "synthetic-digits"
[train]
hidden = 16
eval_every = 20
optimizer = "sgd"
[grid]
rule = "bp"
network = "nn"
depth = 2
learning_rate = [0.1, 1e30]
max_updates = [40, 80]
"#;

/// A home with the trained sweep.
fn trained() -> Home {
    let home = Home::default();
    let spec = home.spec(SPEC);
    let run = home.run(&["run", &spec.to_string_lossy(), "--workers", "1"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    home
}

fn client(python: &Path, arguments: &[&str]) -> String {
    let arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
    readers::run(python, SCRIPT, &arguments.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

fn read(python: &Path, url: &str) -> Value {
    serde_json::from_str(&client(python, &["read", url, NAME])).expect("JSON")
}

fn rows(home: &Home, what: &str) -> Vec<Value> {
    let lines = home.answer(&["export", NAME, "--format", "jsonl", "--what", what]);
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A number of JSON Lines, which have null for a divergence.
fn number(value: &Value) -> Value {
    if value.is_null() { "NaN".into() } else { value.clone() }
}

/// The values of a metric in the rows of the trial's trajectory, up to its last update.
fn curve(rows: &[Value], trial: &Value, column: &str) -> Value {
    let first = trial["trial"].as_u64().map(|trial| trial - trial % 2);
    let own =
        rows.iter().filter(|row| row["trial"].as_u64() == first && row["update"].as_u64() <= trial["updates"].as_u64());
    let values: Vec<Value> = own.map(|row| json!([row["update"], number(&row[column])])).collect();
    // The client does not name a metric without values.
    if values.is_empty() { Value::Null } else { values.into() }
}

#[test]
fn a_server_has_the_numbers_of_json_lines_and_a_second_export_changes_nothing() {
    let Some(python) = readers::python() else { return };
    let (home, server) = (trained(), MlflowServer::start(&python));
    let export = || home.json(&["export", NAME, "--format", "mlflow", "--to", &server.url()]);
    let (results, curves) = (rows(&home, "results"), rows(&home, "curves"));
    let statuses: Vec<&str> = results.iter().filter_map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses, ["completed", "completed", "diverged", "diverged"]);

    // What an export that was interrupted at the first trial leaves behind.
    let sweep = home.json(&["show", NAME])["id"].clone();
    let tags = json!({ "biosweep.sweep": sweep, "biosweep.trial": "0" }).to_string();
    let begun = json!([["train_loss", curves[0]["train_loss"], 20]]).to_string();
    client(&python, &["begin", &server.url(), NAME, &tags, &begun]);

    let summary = export();
    assert_eq!((&summary["created"], &summary["continued"], &summary["unchanged"]), (&3.into(), &1.into(), &0.into()));
    let runs = read(&python, &server.url());
    assert_eq!(runs.as_object().map(|runs| runs.len()), Some(4), "{runs}");
    for row in &results {
        let run = &runs[row["trial"].to_string()];
        let diverged = row["status"] == "diverged";
        assert_eq!(run["status"], if diverged { "KILLED" } else { "FINISHED" });
        assert_eq!(run["name"], format!("bp-nn-relu-2 trial {}", row["trial"]));
        for tag in ["key", "status", "worker", "device", "cpu_class", "libtorch"] {
            assert_eq!(run["tags"][format!("biosweep.{tag}")], row[tag], "{tag}");
        }
        for setting in ["dataset", "rule", "network", "optimizer"] {
            assert_eq!(run["params"][setting], row[setting]);
        }
        for setting in ["depth", "hidden", "max_updates", "learning_rate"] {
            let param = run["params"][setting].as_str().and_then(|text| text.parse::<f64>().ok());
            assert_eq!(param, row[setting].as_f64(), "{setting}");
        }
        for metric in ["train_loss", "validation_accuracy"] {
            assert_eq!(run["metrics"][metric], curve(&curves, row, metric), "{metric}");
        }
        for accuracy in ["validation_accuracy", "test_accuracy"] {
            let update = if diverged { &row["updates"] } else { &row["best_update"] };
            let expected = json!([[update, number(&row[accuracy])]]);
            assert_eq!(run["metrics"][format!("result/{accuracy}")], expected, "{accuracy}");
        }
    }
    assert!(runs["2"]["metrics"].to_string().contains("NaN"), "a divergence is kept: {runs}");

    let again = export();
    assert_eq!((&again["unchanged"], &again["metrics"]), (&4.into(), &0.into()), "{again}");
    assert_eq!(read(&python, &server.url()), runs, "no run and no value is new");
    let told = home.answer(&["export", NAME, "--format", "mlflow", "--to", &format!("{}/", server.url())]);
    let experiment = format!("Experiment `{NAME}` on {}", server.url());
    assert_eq!(told, format!("{experiment} has 4 runs of this sweep: 4 unchanged.\n"));
}

#[test]
fn an_address_that_is_wrong_is_refused_with_the_next_step() {
    let home = Home::default();
    let spec = home.spec(SPEC);
    let _submitted = home.json(&["submit", spec.to_str().expect("text")]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let cases: [(&[&str], i32, &str); 5] = [
        (&[], 2, "--to http://127.0.0.1:5000"),
        (&["--to", "folder"], 2, "--to folder: it does not begin with http:// or https://"),
        (&["--to", "http://a:b@host"], 2, "MLFLOW_TRACKING_USERNAME"),
        (&["--to", "http://host", "--force"], 2, "--force does not go with --format mlflow"),
        (&["--to", &closed], 3, "cannot be reached"),
    ];
    for (arguments, code, why) in cases {
        let output = home.run(&[&["export", NAME, "--format", "mlflow"], arguments].concat());
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
        assert!(printed.contains(why), "{arguments:?}: {printed}");
        assert!(!printed.contains("a:b"), "no password is shown: {printed}");
    }
}
