//! The mistakes of a spec file: each with its place, its line and its mend.

use std::fmt;
use std::ops::Range;

/// Everything that is wrong with one spec file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecErrors {
    /// The file or preset the text came from.
    pub origin: String,
    /// The text as read.
    pub text: String,
    /// The mistakes, in the order of the text; at least one.
    pub errors: Vec<SpecError>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// Where it stands, in bytes of the text.
    pub span: Range<usize>,
    /// The line it begins in, from 1.
    pub line: usize,
    /// The column it begins in, in characters, from 1.
    pub column: usize,
    /// Where it stands among the settings, such as `block[1].depth.from`; empty for the file as a whole.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{error}", self.origin)?;
        }
        Ok(())
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for SpecErrors {}
impl std::error::Error for SpecError {}

/// Collects mistakes while a text is checked.
#[derive(Debug)]
pub(super) struct Mistakes<'a> {
    text: &'a str,
    found: Vec<SpecError>,
}

impl<'a> Mistakes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a mistake.
    pub(super) fn add(
        &mut self,
        span: &Range<usize>,
        place: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let start = self.text.floor_char_boundary(span.start.min(self.text.len()));
        let end = self.text.ceil_char_boundary(span.end.clamp(start, self.text.len()));
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let error = SpecError {
            span: start..end,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            place: place.into(),
            message: message.into(),
            help: help.into(),
        };
        // A constant of [grid] is read once for every block; its mistakes are told once.
        if !self.found.contains(&error) {
            self.found.push(error);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All that was found, in the order of the text.
    pub(super) fn into_errors(self, origin: &str) -> SpecErrors {
        let mut errors = self.found;
        errors.sort_by_key(|error| error.span.start);
        SpecErrors { origin: origin.to_owned(), text: self.text.to_owned(), errors }
    }
}
