//! The worker program, libtorch, devices and datasets.

use std::path::Path;
use std::time::Duration;

use biosweep_common::vocabulary::Dataset;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_server::local::{LocalError, WorkerOptions, find_program};
use tokio::process::Command;

use super::DoctorArgs;
use super::finding::{Finding, Severity};
use crate::cli::data::{Presence, in_words, presence};

/// Maximum wait for the program.
const WAIT: Duration = Duration::from_secs(120);
/// The first GPU, as the system shows it.
const GPU: &str = "/dev/nvidia0";
/// What the wheels and a build are for.
const BOTH: &str = "use both programs of one build";

pub(super) async fn check(home: &Path, args: &DoctorArgs) -> Vec<Finding> {
    let program = match find_program() {
        Ok(program) => program,
        Err(error) => {
            // A login node trains nothing.
            let missing = Finding::of("worker-program", Severity::Warning, &error, BOTH);
            return [missing].into_iter().chain(named(home, args)).collect();
        }
    };
    let options = |device: &str| WorkerOptions {
        program: program.clone(),
        device: device.to_owned(),
        data_dir: args.data_dir.clone(),
        home: home.to_owned(),
        deadline: None,
        memory_bytes: None,
    };
    let mut findings = vec![version(&program).await];
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        findings.extend(named(home, args));
        return findings;
    }
    findings.push(match within(options("cpu").environment()).await {
        Ok(environment) => Finding::ok("libtorch", environment),
        Err(error) => failed("libtorch", Severity::Error, &error),
    });
    for (device, severity) in devices(args) {
        let checked = within(options(&device).check(&[DatasetRef::Named(Dataset::SyntheticDigits)])).await;
        findings.push(match checked {
            Ok(_) => Finding::ok("device", format!("{device} is ready")),
            Err(error) => failed("device", severity, &error),
        });
    }
    if args.dataset.is_empty() {
        findings.extend(named(home, args));
    }
    for &dataset in &args.dataset {
        findings.push(match within(options("cpu").check(&[DatasetRef::Named(dataset)])).await {
            Ok(_) => Finding::ok("dataset", format!("{dataset} is here and complete")),
            Err(error) => failed("dataset", Severity::Error, &error)
                .and(format!("`biosweep data fetch {dataset}` downloads it into the home")),
        });
    }
    findings
}

/// The devices to check, each with the severity of a failure.
fn devices(args: &DoctorArgs) -> Vec<(String, Severity)> {
    if !args.device.is_empty() {
        return args.device.iter().map(|device| (device.clone(), Severity::Error)).collect();
    }
    let gpu = Path::new(GPU).exists().then(|| ("cuda:0".to_owned(), Severity::Warning));
    [("cpu".to_owned(), Severity::Error)].into_iter().chain(gpu).collect()
}

/// The answer of the program, which must come in time.
async fn within<T>(asked: impl Future<Output = Result<T, LocalError>>) -> Result<T, LocalError> {
    match tokio::time::timeout(WAIT, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(LocalError::Unfit(format!("the worker program has not answered for {} s", WAIT.as_secs()))),
    }
}

/// Whether the program starts and has the version of this one.
async fn version(program: &Path) -> Finding {
    let (check, own) = ("worker-program", env!("CARGO_PKG_VERSION"));
    let mut command = Command::new(program);
    let asked = command.arg("--version").kill_on_drop(true).output();
    let shown = program.display();
    let reinstall = "install the wheel of biosweep-worker, or build it with `make build`";
    let output = match tokio::time::timeout(WAIT, asked).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Finding::error(check, format!("{shown} does not start: {error}"), reinstall),
        Err(_) => return Finding::error(check, format!("{shown} does not answer"), reinstall),
    };
    let (answer, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        // The dynamic linker names the missing library in its last line.
        let why = errors.trim().lines().last().unwrap_or("it says nothing").to_owned();
        return Finding::error(check, format!("{shown} ends with {}: {why}", output.status), reinstall);
    }
    match answer.trim().rsplit(' ').next() {
        Some(version) if version == own => Finding::ok(check, format!("{shown} has version {version}")),
        _ => {
            let found = format!("{shown} says `{}`, but this program has version {own}", answer.trim());
            Finding::warning(check, found, BOTH)
        }
    }
}

/// A failure of the program. Its text may end with what to do.
fn failed(check: &'static str, severity: Severity, error: &LocalError) -> Finding {
    Finding::of(check, severity, error, "`biosweep-worker check --help` shows how to look closer")
}

/// Which named datasets are on this machine, as far as their files show it.
fn named(home: &Path, args: &DoctorArgs) -> Vec<Finding> {
    let all: Vec<Dataset> = if args.dataset.is_empty() { Dataset::ALL.to_vec() } else { args.dataset.clone() };
    let of = |dataset: Dataset| {
        let presence = presence(dataset, args.data_dir.as_deref(), Some(home));
        let text = in_words(dataset, &presence);
        let (state, next_step) = text.split_once("; ").unwrap_or((&text, ""));
        let found = format!("{dataset}: {state}");
        match presence {
            Presence::Embedded | Presence::Here(_) => Finding::ok("dataset", found),
            Presence::Absent if args.dataset.is_empty() => Finding::ok("dataset", found).and(next_step),
            Presence::Partly(..) if args.dataset.is_empty() => Finding::warning("dataset", found, next_step),
            Presence::Partly(..) | Presence::Absent => Finding::error("dataset", found, next_step),
        }
    };
    all.into_iter().map(of).collect()
}
