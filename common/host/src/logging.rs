//! Logging, set up once per program: `BIOSWEEP_LOG` filters, `BIOSWEEP_LOG_FORMAT=json` makes each line a JSON object.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

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
pub enum LoggingError {
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
    // It would tell of a line that cannot be written with `eprintln!`, which panics where stderr cannot be written either.
    let builder = builder.log_internal_errors(false);
    let json = env::var("BIOSWEEP_LOG_FORMAT").is_ok_and(|format| format == "json");
    let result = if json { builder.json().try_init() } else { builder.try_init() };
    // The only failure is that a subscriber is already there.
    drop(result);
    Ok(())
}

/// Loses what cannot be written: a full disk or a closed pipe must cost lines of the log and nothing else.
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
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    File::options().create(true).append(true).open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_written_loses_its_lines_and_nothing_else() {
        let full = File::options().write(true).open("/dev/full").expect("it is always full");
        let mut log = Lossy(Arc::new(full));
        assert_eq!(log.write(b"a line\n").expect("it is lost"), 7);
        log.flush().expect("there is nothing to fail");
        log.write_all(b"another line\n").expect("it is lost");
    }
}
