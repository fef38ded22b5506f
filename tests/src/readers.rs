//! Python with the readers of exports, which `deploy/setup/readers.sh` installs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python of the readers. Without them a test is skipped with a message; with `CI=true` it fails.
///
/// # Panics
/// If the readers are not installed and `CI` is `true`.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test prints a message")]
pub fn python() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test is a file");
    let target = test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
    let readers = target.join("readers");
    if readers.join("installed.txt").is_file() {
        return Some(readers.join("bin/python"));
    }
    let missing = format!("{} has no readers of exports; `deploy/setup/readers.sh` installs them", readers.display());
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
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
