//! Logging, set up once per program. `BIOSWEEP_LOG` is the filter; `BIOSWEEP_LOG_FORMAT=json` makes each line a JSON
//! object.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::private;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// The destination of log lines.
#[derive(Debug, Clone, Copy)]
pub enum Destination<'a> {
    /// Standard error.
    Stderr,
    /// A file; lines are appended.
    File(&'a Path),
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The log file could not be opened.
    #[error("cannot open the log file {path}: {source}; check that its folder exists and is writable")]
    File {
        /// Its path.
        path: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The filter is invalid.
    #[error(
        "BIOSWEEP_LOG is `{filter}`, which is not a valid filter: {why}; use for example `info` or `biosweep=debug`"
    )]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Starts logging to `destination`, at `level` and above unless `BIOSWEEP_LOG` says otherwise. A second call in one
/// process changes nothing.
///
/// # Errors
/// A log file that cannot be opened, or an invalid filter.
pub fn init(destination: Destination<'_>, level: &str) -> Result<(), LoggingError> {
    let filter = env::var("BIOSWEEP_LOG").ok().filter(|filter| !filter.is_empty()).unwrap_or_else(|| level.to_owned());
    let filter =
        EnvFilter::try_new(&filter).map_err(|error| LoggingError::Filter { filter, why: error.to_string() })?;
    let writer = match destination {
        Destination::Stderr => BoxMakeWriter::new(|| Lossy(io::stderr())),
        Destination::File(path) => {
            let file = Arc::new(open(path)?);
            BoxMakeWriter::new(move || Lossy(Arc::clone(&file)))
        }
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer);
    // The formatter would report a failed write with `eprintln!`, which panics if stderr cannot be written either.
    let builder = builder.log_internal_errors(false);
    let json = env::var("BIOSWEEP_LOG_FORMAT").is_ok_and(|format| format == "json");
    let result = if json { builder.json().try_init() } else { builder.try_init() };
    // The only possible error is that a subscriber is already set.
    drop(result);
    Ok(())
}

/// A writer that drops what cannot be written: a full disk or a closed pipe may cost log lines, but must not stop the
/// program.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        drop(self.0.write_all(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        drop(self.0.flush());
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, LoggingError> {
    let failed = |source| LoggingError::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        private::create_folder(folder).map_err(failed)?;
    }
    File::options().create(true).append(true).open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_to_the_log_loses_lines_and_gives_no_error() {
        let full = File::options().write(true).open("/dev/full").expect("the device that is always full");
        let mut log = Lossy(Arc::new(full));
        assert_eq!(log.write(b"a line\n").expect("accepted and dropped"), 7);
        log.flush().expect("flushed");
        log.write_all(b"another line\n").expect("accepted and dropped");
    }
}
