//! The Python wheels of the programs, installed in virtual environments.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::readers::{python3, skipped};
use crate::without_variables;

/// A virtual environment of Python that has the wheels.
#[derive(Debug)]
pub struct Environment {
    folder: tempfile::TempDir,
}

impl Environment {
    /// Installs the wheels, as pip does without an index. There is no torch. Without wheels a test is skipped with a message; with
    /// `CI=true` it fails.
    ///
    /// # Panics
    /// If there are no wheels and `CI` is `true`, or if pip fails.
    #[must_use]
    pub fn without_torch() -> Option<Self> {
        let python = python3()?;
        let wheels = wheels()?;
        // Beside torch, whose files can be linked then.
        let place = target().join("tmp");
        fs::create_dir_all(&place).expect("a folder in the target folder");
        let folder = tempfile::tempdir_in(place).expect("a temporary folder");
        succeed(Command::new(python).args(["-m", "venv"]).arg(folder.path()));
        let environment = Self { folder };
        let mut pip = environment.program("python");
        pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--find-links"]).arg(wheels);
        succeed(pip.args(["biosweep", "biosweep-worker"]));
        Some(environment)
    }

    /// The same with torch in the environment.
    ///
    /// # Panics
    /// As [`without_torch`](Self::without_torch), and if torch is not installed and `CI` is `true`.
    #[must_use]
    pub fn with_torch() -> Option<Self> {
        let torch = torch()?;
        let environment = Self::without_torch()?;
        let parts = fs::read_dir(torch).expect("packages").map(|entry| entry.expect("an entry"));
        let parts = parts.filter(|part| {
            let name = part.file_name().to_string_lossy().into_owned();
            name.starts_with("torch") || name.starts_with("nvidia")
        });
        // Links: the files are 1.3 GB.
        let parts = parts.map(|part| part.path());
        succeed(Command::new("cp").arg("-al").args(parts).arg(environment.packages()));
        Some(environment)
    }

    /// A command of the environment.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.path().join("bin").join(name));
        without_variables(&mut command);
        for variable in ["BIOSWEEP_WORKER", "LD_LIBRARY_PATH", "PYTHONPATH"] {
            command.env_remove(variable);
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of its packages.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        packages(self.path())
    }
}

/// The folder of the wheels.
///
/// # Panics
/// If they are not built and `CI` is `true`.
#[must_use]
pub fn wheels() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("dist");
    let names: Vec<_> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    let is_built = |start: &str| names.iter().any(|name| name.to_string_lossy().starts_with(start));
    if is_built("biosweep-") && is_built("biosweep_worker-") {
        return Some(folder);
    }
    skipped(&format!("{} has no wheels; `make wheels` builds them", folder.display()));
    None
}

/// The folder of packages with torch.
///
/// # Panics
/// If torch is not installed and `CI` is `true`.
#[must_use]
pub fn torch() -> Option<PathBuf> {
    let folder = target().join("torch");
    if folder.join("installed.txt").is_file() {
        return Some(packages(&folder));
    }
    skipped(&format!("{} has no torch; `deploy/setup/tests/torch.sh` installs it", folder.display()));
    None
}

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").to_owned()
}

/// The packages of a virtual environment.
fn packages(environment: &Path) -> PathBuf {
    let versions = fs::read_dir(environment.join("lib")).expect("a virtual environment").flatten();
    let of_python = versions.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"python"));
    let mut places = of_python.map(|entry| entry.path().join("site-packages"));
    places.next().expect("an environment has packages")
}

fn succeed(command: &mut Command) {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let program = command.get_program();
    let arguments: Vec<&OsStr> = command.get_args().take(6).collect();
    assert!(status.success(), "{} {arguments:?}: {status}\n{stdout}{stderr}", program.display());
}
