//! The terminal: questions and remarks on stderr, and how wide stdout is.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Characters a line of stdout holds, where it is a terminal.
pub(crate) fn stdout_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}

/// Asks on stderr; whether the answer on stdin is yes.
pub(crate) fn ask(question: impl Display) -> bool {
    let mut stderr = io::stderr().lock();
    let mut answer = String::new();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    // Who could not be asked, or did not answer, has not agreed.
    let answered = asked.and_then(|()| io::stdin().read_line(&mut answer));
    answered.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Says a line on stderr.
pub(crate) fn say(line: impl Display) {
    // Where stderr is closed there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "{line}"));
}
