//! A real MLflow tracking server for a test, with a SQLite store in a temporary folder.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::until;

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct MlflowServer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl MlflowServer {
    /// Starts a server with this Python, on a free port of the loopback address, and waits until it listens.
    ///
    /// # Panics
    /// If the server does not start.
    #[must_use]
    pub fn start(python: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let log = File::create(folder.path().join("server.log")).expect("a file");
        let mut command = Command::new(python);
        command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]);
        command.args(["--port", &port.to_string()]);
        command.arg("--backend-store-uri").arg(format!("sqlite:///{}/runs.sqlite", folder.path().display()));
        command.arg("--default-artifact-root").arg(folder.path().join("artifacts"));
        // Without the job runners: nothing here needs them, and they would be eight more processes.
        command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        // The server has processes of its own, which end with their group.
        let child = command.process_group(0).spawn().expect("Python starts");
        let mut server = Self { child, port, folder };
        until("the MLflow server listens", || {
            let ended = server.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "the MLflow server has ended: {}", server.log());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        server
    }

    /// The address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the server has printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for MlflowServer {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _is_gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _status = self.child.wait();
    }
}
