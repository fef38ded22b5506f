//! The cost of exporting many rows of learning curves.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use biosweep_host::clock::Clock;
use biosweep_server::host::HostError;
use serde::Serialize;
use tokio::process::Command;

use super::BenchError;
use super::filled::{Content, fill};
use super::served::{failed, memory_of, new_home};
use crate::client::ClientError;

/// Number of points of each learning curve.
const POINTS: u64 = 100;
/// The formats, the fastest to read first.
const FORMATS: [&str; 3] = ["parquet", "jsonl", "csv"];
/// Pause between two looks at the memory of the process.
const LOOK: Duration = Duration::from_millis(20);

/// The cost of one format.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Exported {
    /// The format.
    pub(crate) format: &'static str,
    /// Number of rows.
    pub(crate) rows: u64,
    /// Seconds from the start of `biosweep export` to its end.
    pub(crate) seconds: f64,
    /// The maximum resident memory of that process, in MiB.
    pub(crate) most_mib: f64,
    /// Size of the file, in MiB.
    pub(crate) file_mib: f64,
}

/// Fills a store with learning curves, and exports them in each format by a process of its own.
pub(crate) async fn export(rows: u64) -> Result<Vec<Exported>, BenchError> {
    let home = new_home()?;
    let trials = rows.div_ceil(POINTS);
    let content = Content { trials, completed: trials, points: POINTS };
    fill(&home, content).await.map_err(HostError::from).map_err(ClientError::from)?;
    let mut measured = Vec::new();
    for format in FORMATS {
        measured.push(measure(&home, format, trials * POINTS).await?);
    }
    fs::remove_dir_all(&home).map_err(|source| ClientError::from(HostError::Home { path: home, source }))?;
    Ok(measured)
}

async fn measure(home: &Path, format: &'static str, rows: u64) -> Result<Exported, BenchError> {
    let file = home.join(format!("curves.{format}"));
    let program = std::env::current_exe().map_err(failed("this program"))?;
    let mut command = Command::new(program);
    command.args(["export", "bench", "--what", "curves", "--format", format, "--to"]).arg(&file);
    command.arg("--home").arg(home).env_remove("BIOSWEEP_COORDINATOR").env_remove("BIOSWEEP_STORE");
    let clock = Clock::start();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().map_err(failed("an export"))?;
    let mut most_mib = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed("the export"))? {
            break status;
        }
        // A process that has just ended has no memory.
        if let Some(Ok(memory)) = child.id().map(memory_of) {
            most_mib = most_mib.max(memory.most_mib);
        }
        tokio::time::sleep(LOOK).await;
    };
    let seconds = clock.seconds();
    if !status.success() {
        return Err(BenchError::Export { format, status: status.to_string() });
    }
    let bytes = fs::metadata(&file).map_err(failed("the exported file"))?.len();
    Ok(Exported { format, rows, seconds, most_mib, file_mib: bytes as f64 / f64::from(1 << 20) })
}
