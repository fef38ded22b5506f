//! `biosweep completions` and `biosweep man`: real shells complete, and `man` reads the pages.

use std::fs;
use std::process::{Command, Stdio};

use biosweep_tests::Home;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// Whether a program is on this machine; a test without it is skipped with a message.
#[expect(clippy::print_stderr, reason = "a skipped test prints a message")]
fn has(program: &str) -> bool {
    let started = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = started.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("skipped: {program} is not installed");
    }
    is_there
}

#[test]
fn bash_completes_commands_and_options() {
    if !has("bash") {
        return;
    }
    let home = Home::default();
    let script = home.path().join("biosweep.bash");
    fs::write(&script, home.answer(&["completions", "bash"])).expect("a disk");
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let line = format!(
            "source '{}'; COMP_WORDS=({}); COMP_CWORD={last}; _biosweep biosweep '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words[last],
            words[last - 1]
        );
        let output = Command::new("bash").args(["--noprofile", "--norc", "-c", &line]).output().expect("bash starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(complete(&["biosweep", "fig"]), "figures");
    assert_eq!(complete(&["biosweep", "data", "fe"]), "fetch");
    assert_eq!(complete(&["biosweep", "export", "x", "--format", "pa"]), "parquet");
    assert_eq!(complete(&["biosweep", "compare", "--mar"]), "--margin");
}

#[test]
fn every_shell_has_a_script_that_names_every_command() {
    let home = Home::default();
    for shell in SHELLS {
        let script = home.answer(&["completions", shell]);
        for command in ["figures", "completions", "sensitivity"] {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
    let unknown = home.run(&["completions", "dos"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(SHELLS.iter().all(|shell| String::from_utf8_lossy(&unknown.stderr).contains(shell)));
}

#[test]
fn man_reads_the_page_of_every_command_without_a_warning() {
    let home = Home::default();
    let folder = home.path().join("share/man1");
    let folder_text = folder.to_str().expect("text");
    let written = home.json(&["man", folder_text]);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(written, serde_json::json!({ "path": folder_text, "pages": names.len() }));
    for page in ["biosweep.1", "biosweep-compare.1", "biosweep-data-fetch.1", "biosweep-man.1"] {
        assert!(names.iter().any(|name| name == page), "{page} is not in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");

    let again = home.run(&["man", folder_text]);
    let printed = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(2), "{printed}");
    assert!(printed.contains("already exists; give another folder, or replace it with --force"), "{printed}");
    assert!(home.answer(&["man", folder_text, "--force"]).ends_with(&format!("has {} manual pages.\n", names.len())));

    if !has("man") {
        return;
    }
    for name in &names {
        let mut command = Command::new("man");
        command.args(["--warnings", "--encoding=UTF-8", "-l"]).arg(folder.join(name));
        command.env("LC_ALL", "C.UTF-8").env("MANPAGER", "cat").env("MANWIDTH", "100");
        let output = command.output().expect("man starts");
        let warnings = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && warnings.is_empty(), "{name}: {warnings}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("SYNOPSIS") && text.contains("DESCRIPTION"), "{name}: {text}");
    }
}
