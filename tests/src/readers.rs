//! The programs that read exports: Python with its packages, which `deploy/setup/tests/readers.sh` installs, and LaTeX.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of the readers. Without them a test is skipped with a message; with `CI=true` it fails.
///
/// # Panics
/// If the readers are not installed and `CI` is `true`.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test is a file");
    let target = test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
    let readers = target.join("readers");
    if readers.join("installed.txt").is_file() {
        return Some(readers.join("bin/python"));
    }
    skipped(&format!("{} has no readers of exports; `deploy/setup/tests/readers.sh` installs them", readers.display()));
    None
}

/// The Python of this machine, which has pseudo-terminals. Without it a test is skipped with a message; with `CI=true` it
/// fails.
///
/// # Panics
/// If there is no Python 3 and `CI` is `true`.
#[must_use]
pub fn python3() -> Option<PathBuf> {
    let found = in_path("python3");
    if found.is_none() {
        skipped("python3 is not installed");
    }
    found
}

pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The program pdflatex with booktabs. Without it a test is skipped with a message; with `CI=true` it fails.
///
/// # Panics
/// If it is not installed and `CI` is `true`.
#[must_use]
pub fn pdflatex() -> Option<PathBuf> {
    let has_booktabs =
        Command::new("kpsewhich").arg("booktabs.sty").output().is_ok_and(|output| output.status.success());
    let found = in_path("pdflatex");
    if found.is_none() || !has_booktabs {
        skipped("pdflatex with booktabs is not installed; `deploy/setup/tests/tex.sh` installs it");
        return None;
    }
    found
}

/// Says that a test is skipped because something is not installed.
///
/// # Panics
/// If `CI` is `true`, because everything is installed there.
#[expect(clippy::print_stderr, reason = "a skipped test prints a message")]
pub(crate) fn skipped(missing: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
    eprintln!("skipped: {missing}");
}

/// Runs a Python script, which must succeed, and returns what it printed.
///
/// # Panics
/// If the script fails.
#[must_use]
pub fn run(python: &Path, script: &str, arguments: &[&Path]) -> String {
    let mut command = Command::new(python);
    command.arg("-B").arg("-c").arg(script).args(arguments).env("PYTHONIOENCODING", "utf-8");
    let output = command.output().expect("Python starts");
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    printed.into_owned()
}
