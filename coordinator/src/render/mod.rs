//! What people and programs read: stdout is the answer, stderr the conversation.
//!
//! | room | writes |
//! |---|---|
//! | [`human`] | answers for people |
//! | [`json`] | answers for programs, with stable field names |
//! | [`table`] | tables |
//! | [`progress`] | a sweep as it runs |
//! | [`spec_error`] | mistakes in a spec, each at its place |

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod spec_error;
pub(crate) mod table;

use std::fmt::Display;
use std::io::{self, Write as _};

use crate::cli::{Exit, Failure};

/// Writes the answer to stdout, ended by one newline.
pub(crate) fn answer(text: impl AsRef<str>) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.as_ref().trim_end()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        // Whoever read the answer has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::environment(format!("cannot write the answer: {error}"))),
    }
}

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
