//! `run` and `watch` in a pseudo-terminal: what they draw, and that the terminal is as before at their end.

use std::process::Command;

use biosweep_tests::cluster::pid;
use biosweep_tests::readers::python3;
use biosweep_tests::{Home, program, until, until_ended, without_variables};
use nix::sys::signal::Signal::SIGTERM;
use nix::sys::signal::kill;
use serde_json::{Value, json};

/// A sweep that is not finished during a test.
const LONG: &str = "name = \"long\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 100_000\neval_every = 1_000\n\
                    [grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 3\nseed = [0, 1]\n";

/// A sweep that is trained in a moment.
const SHORT: &str = "name = \"short\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nhidden = 16\nmax_updates = 20\n\
                     eval_every = 20\n[grid]\nrule = \"bp\"\nnetwork = [\"nn\", \"dn\"]\ndepth = 1\nfold = [0, 1]\n";

const SIZES: [(usize, usize); 2] = [(80, 24), (40, 10)];

/// Runs `biosweep` in a terminal of this size with these steps; `None` if there is no Python.
fn in_terminal(home: &Home, (columns, rows): (usize, usize), steps: &str, arguments: &[&str]) -> Option<Value> {
    let mut command = Command::new(python3()?);
    without_variables(&mut command);
    command.args(["-B", "-c", include_str!("terminal.py"), &columns.to_string(), &rows.to_string(), steps]);
    command.arg(program("biosweep")).args(arguments).arg("--home").arg(home.path());
    command
        .env("TERM", "xterm-256color")
        .env("WT_SESSION", "1")
        .env("PYTHONIOENCODING", "utf-8")
        .env_remove("NO_COLOR");
    let output = command.output().expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Checks that no line was too wide, and that the mode, the cursor and the tab are as before.
fn is_restored(told: &Value, columns: usize) {
    let text = told["text"].as_str().expect("a text");
    let widest = told["widest"].as_str().expect("a text").chars().count();
    assert!(widest <= columns, "{widest} columns: {}", told["widest"]);
    let [lines_and_echo, neither] = [json!([true, true]), json!([false, false])];
    assert_eq!(told["modes"], json!([lines_and_echo, neither, lines_and_echo]), "{text:?}");
    let after_last = |sequence: &str| text.rfind(sequence).map_or(0, |at| at + 1);
    assert!(after_last("\x1b[?25l") <= after_last("\x1b[?25h"), "the cursor is hidden: {text:?}");
    assert!(text.contains("\x1b]9;4;1;0\x1b\\"), "the tab showed progress: {text:?}");
    assert!(after_last("\x1b]9;4;0;0\x1b\\") > after_last("\x1b]9;4;1;"), "the tab still shows progress: {text:?}");
    // The last drawing is removed: there is no bar after it.
    let last = &text[text.rfind("\x1b[J").expect("it was drawn")..];
    assert!(!last.contains('─'), "the bar is still there: {last:?}");
}

#[test]
fn a_stopped_watch_leaves_the_terminal_and_the_sweep_as_they_were() {
    let home = Home::default();
    let mut serve = home.biosweep(&["serve", "--listen", "127.0.0.1:0"]).spawn().expect("it starts");
    until("the coordinator is there", || home.is_announced().then_some(()));
    let _submitted = home.json(&["submit", &home.spec(LONG).to_string_lossy()]);
    for size in SIZES {
        for (stop, code) in [("kill=SIGTERM", 75), ("kill=SIGINT", 130), ("type=\u{3}", 130)] {
            let steps = format!("wait=0/2 trials|type=t|wait=submitted|{stop}");
            let Some(told) = in_terminal(&home, size, &steps, &["watch", "long"]) else { break };
            is_restored(&told, size.0);
            let plain = told["plain"].as_str().expect("a text").replace("\r\n", " ");
            assert_eq!(told["code"], code, "{plain}");
            assert!(plain.contains("running · 0 of 2 trials completed"), "{plain}");
            assert!(plain.contains("the sweep is not stopped; `biosweep watch long` follows it again"), "{plain}");
        }
    }
    assert_eq!(home.json(&["list"])[0]["state"], "running");
    kill(pid(&serve), SIGTERM).expect("it runs");
    until_ended(&mut serve);
}

#[test]
fn a_stopped_run_leaves_the_terminal_as_it_was() {
    let home = Home::default();
    let spec = home.spec(LONG).to_string_lossy().into_owned();
    for size in SIZES {
        for (stop, code) in [("kill=SIGTERM", 75), ("type=\u{3}", 130)] {
            let steps = format!("wait=in training|wait=bp nn|{stop}");
            let Some(told) = in_terminal(&home, size, &steps, &["run", &spec, "--workers", "1"]) else { return };
            // The command that continues the sweep is one line, however long it is.
            let told = without_commands(told);
            is_restored(&told, size.0);
            assert_eq!(told["code"], code, "{}", told["plain"]);
        }
    }
    assert_eq!(home.workers(), Vec::<i32>::new());
}

/// What was told, with the widest line that is no command.
fn without_commands(mut told: Value) -> Value {
    let plain = told["plain"].as_str().expect("a text");
    let lines = plain.split(['\r', '\n']).filter(|line| !line.starts_with("  biosweep "));
    told["widest"] = lines.max_by_key(|line| line.chars().count()).unwrap_or_default().into();
    told
}

#[test]
fn a_smaller_terminal_gets_shorter_lines_and_a_tiny_one_gets_lines_without_a_bar() {
    let home = Home::default();
    let spec = home.spec(LONG).to_string_lossy().into_owned();
    let run = ["run", &spec, "--workers", "1"];
    let Some(told) = in_terminal(&home, (80, 24), "wait=bp nn|size=40x10|wait=\x1b[3A|kill=SIGTERM", &run) else {
        return;
    };
    let after = told["text"].as_str().and_then(|text| text.rsplit_once("\x1b[3A")).expect("it was drawn").1;
    assert!(after.split("\x1b[J").nth(1).is_some_and(|drawing| !drawing.contains(&"─".repeat(30))), "{after:?}");

    let told = in_terminal(&home, (39, 10), "wait=in training|kill=SIGTERM", &run).expect("there is Python");
    let text = told["text"].as_str().expect("a text");
    assert!(!text.contains('\x1b'), "{text:?}");
    assert_eq!(told["code"], 75, "{text:?}");
}

#[test]
fn the_answer_of_a_run_is_wrapped_between_words() {
    let home = Home::default();
    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    for size in SIZES {
        let run = ["run", &spec, "--workers", "1", "--fresh", "--no-reuse"];
        let Some(told) = in_terminal(&home, size, "", &run) else { return };
        let plain = told["plain"].as_str().expect("a text");
        let lines: Vec<&str> = plain.lines().filter(|line| !line.contains('/')).collect();
        // With one hidden layer both networks are the same.
        let sentences = plain.replace("\r\n", " ");
        assert!(sentences.contains("dense connections make no difference above 1.0 point."), "{plain}");
        assert!(lines.iter().all(|line| line.chars().count() <= size.0), "{lines:?}");
        assert_eq!(told["code"], 0, "{plain}");
    }
    let piped = home.answer(&["run", &spec]);
    let is_wide = |line: &&str| line.chars().count() > 80 && !line.contains('/');
    assert_eq!(piped.lines().filter(is_wide).collect::<Vec<_>>(), Vec::<&str>::new(), "80 columns in a pipe");
}
