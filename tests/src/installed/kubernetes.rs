//! The programs that check how biosweep is deployed: the Helm chart, Containerfiles, Docker Compose and the units of systemd.
//! `deploy/setup/tests/kubernetes.sh` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::readers::{in_path, skipped};
use crate::unless_root;

/// The newest version of Kubernetes whose schemas are installed.
pub const VERSION: &str = "1.37";

/// helm, the schemas and hadolint.
#[derive(Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The installed programs. Without them a test is skipped with a message; with `CI=true` it fails.
    ///
    /// # Panics
    /// If they are not installed and `CI` is `true`.
    #[must_use]
    pub fn installed() -> Option<Self> {
        let test = std::env::current_exe().expect("a test is a file");
        let folder = test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").join("kubernetes");
        if folder.join("installed.txt").is_file() {
            return Some(Self { folder });
        }
        skipped(&format!("{} has no helm; `deploy/setup/tests/kubernetes.sh` installs it", folder.display()));
        None
    }

    /// A command of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        command.env("KUBECONFIG", "/dev/null");
        command
    }

    /// The same as root, in namespaces of its own for mounts, processes and the network. Without rights for it a test is skipped with
    /// a message; with `CI=true` it fails.
    ///
    /// # Panics
    /// If root cannot make namespaces and `CI` is `true`.
    #[must_use]
    pub fn isolated(&self, name: &str) -> Option<Command> {
        if unless_root("a test in namespaces of its own") {
            return None;
        }
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--pid", "--net", "--fork", "--kill-child"]);
            command
        };
        let mounts = unshare().args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        if !mounts.is_ok_and(|output| output.status.success()) {
            skipped("this machine lets no process make namespaces of its own (unshare --mount --pid --net)");
            return None;
        }
        let mut command = unshare();
        command.arg(self.folder.join("bin").join(name));
        Some(command)
    }

    /// Renders a chart for the release `biosweep` in the namespace `lab`.
    ///
    /// # Panics
    /// If helm does not start.
    #[must_use]
    pub fn render(&self, chart: &Path, values: &[&str]) -> Output {
        let mut helm = self.program("helm");
        helm.args(["template", "biosweep"]).arg(chart).args(["--namespace", "lab", "--kube-version", VERSION]);
        helm.args(values).output().expect("helm starts")
    }

    /// Checks files of manifests with a script, and returns the problems, one a line.
    ///
    /// # Panics
    /// If the script fails.
    #[must_use]
    pub fn problems(&self, script: &Path, files: &[PathBuf]) -> Vec<String> {
        let mut python = self.program("python");
        let output = python.arg("-B").arg(script).arg(VERSION).args(files).output().expect("Python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

/// The checker of systemd's units. Without it a test is skipped with a message; with `CI=true` it fails.
///
/// # Panics
/// If it is not installed and `CI` is `true`.
#[must_use]
pub fn systemd_analyze() -> Option<PathBuf> {
    let found = in_path("systemd-analyze");
    if found.is_none() {
        skipped("systemd-analyze is not installed; `deploy/setup/tests/kubernetes.sh` installs it");
    }
    found
}

/// What makes Debian packages, with the tool that finds their dependencies. Elsewhere than on Debian a test is skipped with a message;
/// with `CI=true` it fails.
///
/// # Panics
/// If they are not installed and `CI` is `true`.
#[must_use]
pub fn dpkg_deb() -> Option<PathBuf> {
    let found = in_path("dpkg-shlibdeps").and_then(|_| in_path("dpkg-deb"));
    if found.is_none() {
        skipped("dpkg-deb and dpkg-shlibdeps are not installed (apt-get install dpkg-dev)");
    }
    found
}
