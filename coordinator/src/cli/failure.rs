//! The end of a command: exit codes and error messages.

use std::fmt;

use biosweep_common::spec::SpecErrors;
use biosweep_host::stop::StopSignal;
use biosweep_server::host::HostError;
use biosweep_server::queries::QueryError;
use miette::Report;

use crate::bench::BenchError;
use crate::client::ClientError;
use crate::export::mlflow::ServerError;
use crate::files::new_file::NewFileError;
use crate::render::spec_error;
use crate::terminal::escape::escaped;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Done,
    /// Some trials failed.
    SomeFailed,
    /// The input is invalid.
    BadInput,
    /// Something in the environment is missing or broken.
    Environment,
    /// It had to stop before the work was done; the same command continues it.
    WorkLeft,
    /// The user interrupted it.
    Interrupted,
}

impl Exit {
    /// The exit code of the process.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => 1,
            Self::BadInput => 2,
            Self::Environment => 3,
            Self::WorkLeft => 75,
            Self::Interrupted => 130,
        }
    }

    /// The end of a program that a signal stopped before the work was done.
    pub(crate) const fn after(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Interrupt => Self::Interrupted,
            _ => Self::WorkLeft,
        }
    }
}

/// A command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// The message.
    message: Message,
}

#[derive(Debug)]
enum Message {
    /// One sentence. It is not wrapped, so that users can search for it.
    Line(String),
    /// Errors, each shown in the text of the spec.
    Report(Report),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Message::Line(line) => write!(f, "error: {}", escaped(line)),
            Message::Report(report) => write!(f, "{report:?}"),
        }
    }
}

impl Failure {
    /// An error that the user can fix by changing the input.
    pub(crate) fn bad_input(message: impl fmt::Display) -> Self {
        Self { exit: Exit::BadInput, message: Message::Line(message.to_string()) }
    }

    /// Something is missing or broken on the machine or the network.
    pub(crate) fn environment(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Environment, message: Message::Line(message.to_string()) }
    }

    /// The same error with more information.
    pub(crate) fn and(mut self, more: impl fmt::Display) -> Self {
        if let Message::Line(line) = &mut self.message {
            *line = format!("{line}; {more}");
        }
        self
    }

    /// An error of the environment.
    pub(crate) fn from_environment(error: impl std::error::Error) -> Self {
        Self::environment(error)
    }
}

impl From<SpecErrors> for Failure {
    fn from(errors: SpecErrors) -> Self {
        let message = match spec_error::can_be_shown(&errors) {
            true => Message::Report(spec_error::report(errors)),
            false => Message::Line(errors.to_string()),
        };
        Self { exit: Exit::BadInput, message }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(_) | ClientError::NoAddress | ClientError::Dial(_) => Self::bad_input(error),
            ClientError::Host(error) => error.into(),
            ClientError::Unreachable { .. }
            | ClientError::AnotherUser { .. }
            | ClientError::Failed(_)
            | ClientError::Broken(_)
            | ClientError::Unavailable(_)
            | ClientError::Unreadable(_) => Self::environment(error),
        }
    }
}

impl From<NewFileError> for Failure {
    fn from(error: NewFileError) -> Self {
        match error {
            NewFileError::Exists(_) | NewFileError::FolderExists(_) | NewFileError::NotAFile(_) => {
                Self::bad_input(error)
            }
            NewFileError::Folder { .. } | NewFileError::Unwritten { .. } => Self::environment(error),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        if error.is_bad_input() { Self::bad_input(error) } else { Self::environment(error) }
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Client(error) => error.into(),
            error => Self::environment(error),
        }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Unprotected { .. } | HostError::Stored(QueryError::Ambiguous { .. }) => Self::bad_input(error),
            _ => Self::environment(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::spec::{Format, SweepSpec};

    use super::*;

    #[test]
    fn a_name_in_an_error_cannot_change_the_terminal() {
        let text = Failure::bad_input("there is no sweep `\u{202e}x\u{1b}[2J`").to_string();
        assert_eq!(text, "error: there is no sweep `\\u{202e}x\\u{1b}[2J`");
    }

    #[test]
    fn an_error_in_a_line_too_long_to_be_shown_is_reported_with_its_place() {
        let wide = " ".repeat(70_000);
        let text = format!("{{\"name\":\"x\",{wide}\"grid\":{{\"rule\":\"bp\",\"network\":\"nn\",\"depth\":0}}}}");
        let errors = SweepSpec::parse(&text, Format::Json, "spec.json").expect_err("mistakes");
        let failure = Failure::from(errors);
        assert_eq!(failure.exit, Exit::BadInput);
        assert!(failure.to_string().contains("spec.json:1:70"), "{failure}");
    }
}
