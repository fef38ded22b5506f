//! Writes the answer of a command to stdout.

use std::io::{self, Write as _};

use super::failure::{Exit, Failure};

/// Writes the answer to stdout, with one newline at the end.
pub(super) fn answer(text: impl AsRef<str>) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.as_ref().trim_end()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        // The reader, such as `head`, has closed the pipe because it needs no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::environment(format!("cannot write the answer: {error}"))),
    }
}
