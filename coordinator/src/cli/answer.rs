//! The answer of a command, on stdout.

use std::io::{self, Write as _};

use super::failure::{Exit, Failure};

/// Writes the answer to stdout, ended by one newline.
pub(super) fn answer(text: impl AsRef<str>) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.as_ref().trim_end()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        // Whoever read the answer has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::environment(format!("cannot write the answer: {error}"))),
    }
}
