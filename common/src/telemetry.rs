//! Logging, set up once per program: `BIOSWEEP_LOG` filters, `BIOSWEEP_LOG_FORMAT=json` makes each line a JSON object.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::{env, io};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Where log lines go.
#[derive(Debug, Clone, Copy)]
pub enum Destination<'a> {
    /// To standard error.
    Stderr,
    /// To the end of this file.
    File(&'a Path),
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log file could not be opened.
    #[error("cannot open the log file {path}: {source}; check that its folder can be written to")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The filter cannot be read.
    #[error("BIOSWEEP_LOG is `{filter}`, which is no filter: {why}; write for example `info` or `biosweep=debug`")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Starts logging to `destination`, at `level` and above where `BIOSWEEP_LOG` says nothing else. Called again in one
/// process, it changes nothing.
///
/// # Errors
/// A log file that cannot be opened, or a filter that cannot be read.
pub fn init(destination: Destination<'_>, level: &str) -> Result<(), TelemetryError> {
    let filter = env::var("BIOSWEEP_LOG").unwrap_or_else(|_| level.to_owned());
    let filter =
        EnvFilter::try_new(&filter).map_err(|error| TelemetryError::Filter { filter, why: error.to_string() })?;
    let writer = match destination {
        Destination::Stderr => BoxMakeWriter::new(io::stderr),
        Destination::File(path) => BoxMakeWriter::new(Mutex::new(open(path)?)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer);
    let json = env::var("BIOSWEEP_LOG_FORMAT").is_ok_and(|format| format == "json");
    let result = if json { builder.json().try_init() } else { builder.try_init() };
    // The only failure is that a subscriber is already there.
    drop(result);
    Ok(())
}

fn open(path: &Path) -> Result<File, TelemetryError> {
    let failed = |source| TelemetryError::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    File::options().create(true).append(true).open(path).map_err(failed)
}
