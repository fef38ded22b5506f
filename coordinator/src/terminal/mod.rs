//! The terminal: questions, messages, sizes.
//!
//! | module | contents |
//! |---|---|
//! | this module | questions and messages on stderr, sizes |
//! | [`escape`] | characters that would change what a terminal shows |
//! | [`keys`] | keys that are pressed while a command runs |
//! | [`mod@prose`] | wrapped sentences, cut names |

pub(crate) mod escape;
pub(crate) mod keys;
pub(crate) mod prose;

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use escape::{escaped, escaped_in_colour};

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Characters in a line.
    pub(crate) columns: usize,
    /// Lines.
    pub(crate) rows: usize,
}

/// Maximum columns of a sentence, because longer lines are hard to read.
const PROSE_MAX: usize = 100;
/// Columns of a sentence if stdout is not a terminal.
const PROSE_ELSEWHERE: usize = 80;

/// Columns of stdout; `None` if it is not a terminal.
pub(crate) fn stdout_width() -> Option<u16> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0)
}

/// The size of the terminal on stderr; `None` if it is not a terminal.
pub(crate) fn stderr_size() -> Option<Size> {
    let (columns, rows) = terminal_size::terminal_size_of(io::stderr())?;
    Some(Size { columns: columns.0.into(), rows: rows.0.into() })
}

/// Sentences for stdout, with lines as long as a reader likes them.
pub(crate) fn prose(text: &str) -> String {
    prose::wrapped(text, stdout_width().map_or(PROSE_ELSEWHERE, |width| usize::from(width).clamp(1, PROSE_MAX)))
}

/// Whether output may have colours: `NO_COLOR` is not set or empty.
pub(crate) fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Asks on stderr and returns whether the answer on stdin is yes.
pub(crate) fn ask(question: impl Display) -> bool {
    let mut stderr = io::stderr().lock();
    let mut answer = String::new();
    let asked = write!(stderr, "{} [y/N] ", escaped(&question.to_string())).and_then(|()| stderr.flush());
    // A failed question or a missing answer means no.
    let answered = asked.and_then(|()| io::stdin().read_line(&mut answer));
    answered.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Prints a sentence on stderr; on a terminal, its words are not cut.
pub(crate) fn say(line: impl Display) {
    let line = line.to_string();
    match (stderr_size(), escaped(&line)) {
        (Some(size), line) => say_unwrapped(prose::wrapped(&line, size.columns.clamp(1, PROSE_MAX))),
        (None, line) => say_unwrapped(line),
    }
}

/// Prints a line on stderr with its colours.
pub(crate) fn say_unwrapped(line: impl Display) {
    // An error means that stderr is closed.
    drop(writeln!(io::stderr().lock(), "{}", escaped_in_colour(&line.to_string())));
}

/// An answer as stdout takes it: on a terminal without characters that would change what it shows. Files and other programs
/// get the text as it is.
pub(crate) fn for_stdout(answer: &str) -> Cow<'_, str> {
    if io::stdout().is_terminal() { escaped(answer) } else { Cow::Borrowed(answer) }
}
