//! The terminal: questions and messages on stderr, and the width of stdout.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Columns of stdout; `None` if it is not a terminal.
pub(crate) fn stdout_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}

/// Asks on stderr and returns whether the answer on stdin is yes.
pub(crate) fn ask(question: impl Display) -> bool {
    let mut stderr = io::stderr().lock();
    let mut answer = String::new();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    // A failed question or a missing answer means no.
    let answered = asked.and_then(|()| io::stdin().read_line(&mut answer));
    answered.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Prints a line on stderr.
pub(crate) fn say(line: impl Display) {
    // An error means that stderr is closed.
    drop(writeln!(io::stderr().lock(), "{line}"));
}
