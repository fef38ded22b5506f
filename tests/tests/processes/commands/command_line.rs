//! The command line for users and scripts: answers, errors, exit codes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use biosweep_tests::{Home, program, without_variables};
use serde_json::Value;

#[test]
fn all_errors_of_a_spec_are_shown_together_with_exit_code_2() {
    let home = Home::default();
    let spec = home.spec("name = \"x\"\n[grid]\nrule = \"backprop\"\nnetwork = \"nn\"\ndepht = 5\nlearning_rate = 0\n");
    let output = home.run(&["plan", &spec.to_string_lossy()]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    for part in ["backprop", "did you mean `depth`?", "learning_rate", "spec.toml:6"] {
        assert!(printed.contains(part), "no {part:?} in\n{printed}");
    }
    assert!(output.stdout.is_empty(), "stdout is for answers");
}

#[test]
fn an_error_about_a_missing_spec_lists_the_presets() {
    let home = Home::default();
    let output = home.run(&["run", "quickstrat"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("the presets are quickstart, paper-mini, paper-figures, rules-mini")
    );
}

#[test]
fn a_folder_does_not_hide_the_preset_of_its_name() {
    let home = Home::default();
    std::fs::create_dir(home.path().join("quickstart")).expect("a folder");
    let output = home.biosweep(&["plan", "quickstart"]).current_dir(home.path()).output().expect("biosweep starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_error_about_a_folder_as_spec_says_that_it_is_a_folder() {
    let home = Home::default();
    let _submission = home.json(&["submit", "quickstart"]);
    std::fs::create_dir(home.path().join("sweeps")).expect("a folder");
    let folder = home.path().join("sweeps").to_string_lossy().into_owned();
    for command in ["plan", "submit", "run"] {
        let output = home.run(&[command, &folder]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains("is a folder; give the spec file in it"), "{printed}");
    }
}

#[test]
fn a_spec_on_standard_input_is_read_whatever_its_format() {
    let home = Home::default();
    let read = |command: &[&str], text: &str| {
        let mut child = home.biosweep(command).stdin(Stdio::piped()).spawn().expect("biosweep starts");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let toml =
        "name = \"piped\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = [1, 2]\n";
    let yaml = "name: piped\ndata: {dataset: mnist}\ngrid: {rule: bp, network: nn, depth: [1, 2]}\n";
    let json =
        r#"{"name": "piped", "data": {"dataset": "mnist"}, "grid": {"rule": "bp", "network": "nn", "depth": [1, 2]}}"#;
    for text in [toml, yaml, json] {
        let output = read(&["plan", "-", "--output", "json"], text);
        let printed = String::from_utf8_lossy(&output.stderr);
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{printed}"));
        assert_eq!(plan["trials"].as_u64(), Some(2));
    }
    let output = read(&["plan", "-"], &toml.replace("depth", "depht"));
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(printed.contains("standard input:7") && printed.contains("did you mean `depth`?"), "{printed}");
    let output = read(&["submit", "-", "--priority", "2", "--output", "json"], &format!("\u{feff}{yaml}"));
    let printed = String::from_utf8_lossy(&output.stderr);
    let sweep: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{printed}"));
    assert_eq!((sweep["name"].as_str(), sweep["trials"].as_u64()), (Some("piped"), Some(2)));
    assert_eq!(home.json(&["show", "piped"])["execution"]["priority"].as_i64(), Some(2));
}

#[test]
fn an_empty_variable_for_the_data_counts_as_unset() {
    let home = Home::default();
    for (command, expected) in [(&["run", "paper-mini"][..], "mnist"), (&["replay", "nobody/1"], "no sweep `nobody`")] {
        let output = home.biosweep(command).env("BIOSWEEP_DATA", "").output().expect("biosweep starts");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.contains(expected) && !printed.contains("a value is required"), "{printed}");
    }
}

#[test]
fn an_unserved_sweep_is_reported_as_not_running_and_a_cancelled_one_as_no_success() {
    let home = Home::default();
    let _submission = home.json(&["submit", "quickstart"]);
    let printed = |arguments: &[&str]| String::from_utf8_lossy(&home.run(arguments).stderr).into_owned();
    for arguments in [&["show", "quickstart"][..], &["watch", "quickstart"], &["list"]] {
        assert!(printed(arguments).contains("no coordinator serves this home"), "{arguments:?}");
    }
    let _paused = home.json(&["pause", "quickstart"]);
    assert!(printed(&["resume", "quickstart"]).contains("no coordinator serves this home"));
    assert_eq!(home.json(&["cancel", "quickstart"])["state"], "cancelled");
    assert_eq!(printed(&["show", "quickstart"]) + &printed(&["list"]), "", "it has ended");
    assert_eq!(home.run(&["watch", "quickstart"]).status.code(), Some(1));
}

#[test]
fn a_missing_dataset_is_an_error_before_anything_runs_with_exit_code_3() {
    let home = Home::default();
    let mut command = home.biosweep(&["run", "paper-mini"]);
    let output = command.env_remove("BIOSWEEP_DATA").output().expect("biosweep starts");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains("mnist") && printed.contains("--data-dir"), "{printed}");
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(0), "a refused sweep is not submitted");

    // A submitted sweep is not resumed without its data either.
    let _sweep = home.json(&["submit", "paper-mini"]);
    let _paused = home.json(&["pause", "paper-mini"]);
    let mut command = home.biosweep(&["run", "paper-mini"]);
    let output = command.env_remove("BIOSWEEP_DATA").output().expect("biosweep starts");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(home.json(&["show", "paper-mini"])["state"], "paused");
}

#[test]
fn a_run_of_an_ambiguous_name_is_refused_and_resumes_no_sweep() {
    let home = Home::default();
    let spec = home.spec(&with_a_comment(0, 0)).to_string_lossy().into_owned();
    let ids = [(); 2].map(|()| home.json(&["submit", &spec, "--fresh"])["id"].as_str().expect("an id").to_owned());
    ids.iter().for_each(|id| drop(home.json(&["pause", id])));
    let output = home.run(&["run", "long", "--workers", "1"]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    for id in &ids {
        assert!(printed.contains(id), "{printed}");
        assert_eq!(home.json(&["show", id])["state"], "paused");
    }
    let _cancelled = home.json(&["cancel", &ids[1]]);
    let outcome = home.json(&["run", "long", "--workers", "1"]);
    assert_eq!((outcome["id"].as_str(), outcome["state"].as_str()), (Some(&*ids[0]), Some("finished")), "{outcome}");
}

#[test]
fn a_missing_device_is_an_error_and_no_other_device_is_used() {
    let home = Home::default();
    let output = home.run(&["run", "quickstart", "--device", "cuda:0"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cuda:0"));
}

#[test]
fn a_plan_counts_without_running() {
    let home = Home::default();
    let plan = home.json(&["plan", "paper-mlp"]);
    assert_eq!((plan["trials"].as_u64(), plan["trajectories"].as_u64()), (Some(9_900), Some(1_980)));
    assert_eq!(plan["blocks"].as_array().map(Vec::len), Some(3));
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_sweep_of_a_billion_trials_is_submitted_listed_and_cancelled() {
    let home = Home::default();
    let spec = home.spec(
        "name = \"huge\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 5\n\
         seed = { from = 0, count = 1_000_000_000 }\n",
    );
    let submitted = home.json(&["submit", &spec.to_string_lossy()]);
    assert_eq!(submitted["trials"].as_u64(), Some(1_000_000_000));
    let again = home.json(&["submit", &spec.to_string_lossy()]);
    assert_eq!((again["id"].clone(), again["found"].as_bool()), (submitted["id"].clone(), Some(true)));
    let list = home.json(&["list"]);
    assert_eq!((list[0]["name"].as_str(), list[0]["state"].as_str()), (Some("huge"), Some("running")));
    assert_eq!(home.json(&["cancel", "huge"])["state"].as_str(), Some("cancelled"));
    assert_eq!(
        home.json(&["cancel", "huge"])["state"].as_str(),
        Some("cancelled"),
        "a repeated cancel changes nothing"
    );
    assert_eq!(home.json(&["show", "huge"])["state"].as_str(), Some("cancelled"));
}

#[test]
fn an_address_that_others_can_reach_is_refused_without_protection() {
    let home = Home::default();
    let output = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--insecure"));
}

#[test]
fn reading_creates_nothing_in_an_empty_home() {
    let home = Home::default();
    assert_eq!(home.json(&["list"]), Value::Array(Vec::new()));
    for command in [&["show", "some"][..], &["results", "some"], &["cancel", "some"], &["workers"]] {
        let output = home.run(command);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains("there are no sweeps in") && printed.contains("--home"), "{printed}");
    }
    assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 0);
}

#[test]
fn an_error_about_an_unknown_sweep_says_how_to_list_sweeps() {
    let home = Home::default();
    let _submitted = home.json(&["submit", "quickstart"]);
    for command in ["show", "results", "watch", "cancel"] {
        let output = home.run(&[command, "nobody"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("`biosweep list`"), "{command}");
    }
}

#[test]
fn an_invalid_argument_is_bad_input_and_the_error_says_what_it_takes() {
    let home = Home::default();
    let (store, coordinator) = ("postgres://host/db", "http://127.0.0.1:1");
    let cases: [(&[&str], &str); 8] = [
        (&["plan", "quickstart", "--weight", "-1"], "a whole number from 1 to 1000000"),
        (&["plan", "quickstart", "--weight", "1000001"], "a whole number from 1 to 1000000"),
        (&["plan", "quickstart", "--priority", "99999999999"], "a whole number from -1000000 to 1000000"),
        (&["list", "--store", store, "--coordinator", coordinator], "remove one of them"),
        (&["run", "quickstart", "--workers", "0"], "a whole number, at least 1"),
        (&["run", "quickstart", "--device", "foo"], "`foo` is no device; use cpu"),
        (&["list", "--coordinator", "foo"], "http://HOST:PORT"),
        (&["list", "--store", "mysql://host/db"], "postgres://USER@HOST/DATABASE"),
    ];
    for (arguments, how) in cases {
        let output = home.run(arguments);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(how), "{printed}");
    }
}

#[test]
fn an_equal_sweep_that_is_run_again_says_that_it_keeps_its_options() {
    let home = Home::default();
    let text = "name = \"tiny\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nhidden = 16\nmax_updates = 20\neval_every = 20\n\
                [grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n";
    let spec = home.spec(text).to_string_lossy().into_owned();
    let say = |flags: &[&str]| {
        let output = home.run(&[&["run", &spec], flags].concat());
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    say(&[]);
    assert!(!say(&[]).contains("priority"));
    assert!(say(&["--priority", "3"]).contains("priority"));
}

/// A spec with a comment of this many bytes.
fn with_a_comment(seed: usize, bytes: usize) -> String {
    format!(
        "name = \"long\"\n[data]\ndataset = \"synthetic-digits\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
         seed = {seed}\n# {}\n",
        "x".repeat(bytes)
    )
}

#[test]
fn sweeps_with_long_specs_are_listed_and_shown_and_a_too_long_spec_is_refused_with_the_limit() {
    let home = Home::default();
    for seed in 0..6 {
        let spec = home.spec(&with_a_comment(seed, 1_000_000));
        let _sweep = home.json(&["submit", spec.to_str().expect("a path")]);
    }
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(6));
    let status = home.json(&["show", "long"]);
    assert!(status["spec"].as_str().is_some_and(|text| text.len() > 1_000_000));
    for seed in 6..9 {
        let spec = home.spec(&with_a_comment(seed, 3_000_000));
        let _sweep = home.json(&[
            "extend",
            home.json(&["list"])[0]["id"].as_str().expect("an id"),
            spec.to_str().expect("a path"),
        ]);
    }
    let status = home.json(&["show", home.json(&["list"])[0]["id"].as_str().expect("an id")]);
    assert_eq!(status["extensions"].as_array().map(Vec::len), Some(3), "together they exceed a message");

    let spec = home.spec(&with_a_comment(0, 5_000_000));
    for command in ["submit", "run", "plan"] {
        let output = home.run(&[command, spec.to_str().expect("a path")]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains("the file has 5000") && printed.contains("the maximum is 4194304"), "{printed}");
    }
}

/// Runs a program whose answer is not read, and returns its messages.
fn unread(mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn an_answer_that_nobody_reads_is_not_a_failure() {
    let home = Home::default();
    let spec = home.spec(&with_a_comment(0, 300_000));
    let _sweep = home.json(&["submit", spec.to_str().expect("a path")]);
    let _cancelled = home.json(&["cancel", "long"]);
    let show = ["show", "long", "--output", "json"];
    for arguments in [&show[..], &["list"], &["preset", "show", "quickstart"], &["results", "long", "--format", "csv"]]
    {
        assert_eq!(unread(home.biosweep(arguments)), (Some(0), String::new()), "{arguments:?}");
    }
    let mut check = Command::new(program("biosweep-worker"));
    without_variables(&mut check);
    check.args(["check", "--dataset", "synthetic-digits", "--home"]).arg(home.path());
    assert_eq!(unread(check), (Some(0), String::new()));
}

#[test]
fn the_version_has_the_programs_name() {
    let home = Home::default();
    assert!(home.answer(&["--version"]).starts_with("biosweep 0."));
}

#[test]
fn an_ended_sweep_is_not_changed_and_the_error_says_what_to_do() {
    let home = Home::default();
    let _submitted = home.json(&["submit", "quickstart"]);
    let _cancelled = home.json(&["cancel", "quickstart"]);
    for arguments in [&["pause", "quickstart"][..], &["resume", "quickstart"], &["retry", "quickstart", "--failed"]] {
        let output = home.run(arguments);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains("was cancelled") && printed.contains("--fresh"), "{printed}");
    }
    let output = home.run(&["submit", "my-sweep"]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("biosweep resume my-sweep"), "{printed}");
}
