//! A real Prometheus for a test, with its data in a temporary folder.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::readers::skipped;
use crate::until;

/// The programs of Prometheus.
#[derive(Debug)]
pub struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Finds the programs. Without them a test is skipped with a message; with `CI=true` it fails.
    ///
    /// # Panics
    /// If they are not there and `CI` is `true`.
    #[must_use]
    pub fn find() -> Option<Self> {
        let test = std::env::current_exe().expect("a test is a file");
        let target = test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps");
        let [prometheus, promtool] =
            ["prometheus", "promtool"].map(|name| target.join("prometheus/usr/bin").join(name));
        if prometheus.is_file() && promtool.is_file() {
            return Some(Self { prometheus, promtool });
        }
        skipped("Prometheus is not there; `deploy/setup/tests/prometheus.sh` fetches it");
        None
    }

    /// Checks metrics with `promtool check metrics`, which also knows the conventions of names and help texts.
    ///
    /// # Panics
    /// If it finds anything.
    pub fn check_metrics(&self, text: &str) {
        let mut command = Command::new(&self.promtool);
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("promtool starts");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("promtool reads");
        let output = child.wait_with_output().expect("promtool ends");
        let found = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success() && found.is_empty(), "{}: {found}\n{text}", output.status);
    }
}

/// A running Prometheus. It ends when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes these jobs, in the notation of its configuration, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(programs: &Programs, jobs: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let jobs = jobs.concat();
        let configuration =
            format!("global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nscrape_configs:\n{jobs}");
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration).expect("a file");
        let checked = Command::new(&programs.promtool).args(["check", "config"]).arg(&file).output();
        let checked = checked.expect("promtool starts");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let log = File::create(folder.path().join("log")).expect("a file");
        let mut command = Command::new(&programs.prometheus);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.spawn().expect("Prometheus starts");
        let mut server = Self { child, port, folder };
        until("Prometheus is ready", || {
            let ended = server.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "Prometheus has ended: {}", server.log());
            TcpStream::connect(("127.0.0.1", port)).ok()?;
            ureq::get(format!("http://127.0.0.1:{port}/-/ready")).call().ok()
        });
        server
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The answer of its API.
    ///
    /// # Panics
    /// If it does not answer, or refuses the question.
    #[must_use]
    pub fn ask(&self, path: &str, question: &[(&str, &str)]) -> Value {
        let mut request = ureq::get(format!("http://127.0.0.1:{}/api/v1/{path}", self.port));
        for (name, value) in question {
            request = request.query(name, value);
        }
        let mut answer = request.config().http_status_as_error(false).build().call().expect("Prometheus answers");
        let mut answer: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().expect("a text")).expect("an answer in JSON");
        assert_eq!(answer["status"], "success", "{path} {question:?}: {answer}");
        answer["data"].take()
    }

    /// The values of an expression now, without those that are not numbers.
    ///
    /// # Panics
    /// If Prometheus cannot read the expression.
    #[must_use]
    pub fn values(&self, expression: &str) -> Vec<f64> {
        let answer = self.ask("query", &[("query", expression)]);
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        let values = series.iter().filter_map(|series| series["value"][1].as_str()?.parse::<f64>().ok());
        values.filter(|value| value.is_finite()).collect()
    }

    /// The last error of scraping a job; empty if there was none, `None` before the first scrape.
    #[must_use]
    pub fn error_of(&self, job: &str) -> Option<String> {
        let targets = self.ask("targets", &[]);
        let of_job = targets["activeTargets"].as_array()?.iter().find(|target| target["labels"]["job"] == job)?;
        if of_job["health"] == "unknown" { None } else { of_job["lastError"].as_str().map(str::to_owned) }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
