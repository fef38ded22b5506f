//! The errors in a spec file, with their places. All are reported together.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::document::node::{BYTE_ORDER_MARK, Key};
use super::{RESOLVED_BYTES_MAX, SPEC_BYTES_MAX};

/// Every error found in a spec file.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecErrors {
    /// The name of the file.
    pub origin: String,
    /// The text of the file.
    pub text: String,
    /// The errors, in the order of the text; at least one.
    pub errors: Vec<SpecError>,
}

/// One error.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecError {
    /// The bytes in the text, at character boundaries.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// The place in the tree, such as `block[1].depth.from`; empty for the whole file.
    pub place: String,
    /// The error.
    pub message: String,
    /// The suggested fix.
    pub help: String,
}

impl std::error::Error for SpecErrors {}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, error) in self.errors.iter().enumerate() {
            let SpecError { line, column, place, message, help, .. } = error;
            let newline = if count == 0 { "" } else { "\n" };
            let place = if place.is_empty() { String::new() } else { format!(" {place}:") };
            write!(f, "{newline}{}:{line}:{column}:{place} {message}; {help}", self.origin)?;
        }
        Ok(())
    }
}

/// Whether a text must keep the limits of this version. A stored text was checked against the limits of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limits {
    Apply,
    Lifted,
}

/// Maximum number of errors that are found in one file. Nobody reads more, and a hostile file may have a million.
pub(super) const FOUND_MAX: usize = 1_000;

/// Collects errors.
#[derive(Debug)]
pub(super) struct ErrorList<'a> {
    pub(super) limits: Limits,
    text: &'a str,
    found: Vec<SpecError>,
}

impl<'a> ErrorList<'a> {
    pub(super) fn new(text: &'a str, limits: Limits) -> Self {
        Self { limits, text, found: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        span: &Range<usize>,
        place: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.found.len() >= FOUND_MAX {
            return;
        }
        // A parser may give a span inside a character; cutting the text there would panic.
        let start = self.text.floor_char_boundary(span.start);
        let span = start..self.text.ceil_char_boundary(span.end.max(start));
        let (line, column) = line_and_column(self.text, start);
        let (place, message, help) = (place.into(), message.into(), help.into());
        self.found.push(SpecError { span, line, column, place, message, help });
    }

    /// The text at the span, if it is on one line.
    pub(super) fn line_at(&self, span: &Range<usize>) -> Option<&'a str> {
        self.text.get(span.clone()).map(str::trim).filter(|written| !written.is_empty() && !written.contains('\n'))
    }

    pub(super) fn are_none(&self) -> bool {
        self.found.is_empty()
    }

    /// All errors, in the order of the text.
    pub(super) fn into_errors(mut self, origin: &str) -> SpecErrors {
        self.found.sort_by_key(|error| error.span.start);
        // Settings common to all blocks are checked for each block, so their errors are found several times.
        let mut seen = HashSet::new();
        self.found.retain(|error| seen.insert((error.span.clone(), error.place.clone(), error.message.clone())));
        SpecErrors { origin: origin.to_owned(), text: self.text.to_owned(), errors: self.found }
    }
}

/// The error for a text that is too long.
pub(super) fn too_long(bytes: usize, origin: &str) -> SpecErrors {
    let message = format!("the file has {bytes} bytes, but the maximum is {SPEC_BYTES_MAX}");
    of_whole_file(message, "write long lists as ranges, and shorten comments", origin)
}

/// The error for a text that is too long with every default.
pub(super) fn too_long_resolved(bytes: usize, origin: &str) -> SpecErrors {
    let message = format!(
        "with every default and every value of logarithmic ranges, the file has {bytes} bytes, but the \
                           maximum is {RESOLVED_BYTES_MAX}"
    );
    of_whole_file(message, "use fewer or shorter logarithmic ranges, or submit two sweeps", origin)
}

fn of_whole_file(message: String, help: &str, origin: &str) -> SpecErrors {
    let error = SpecError { span: 0..0, line: 1, column: 1, place: String::new(), message, help: help.to_owned() };
    SpecErrors { origin: origin.to_owned(), text: String::new(), errors: vec![error] }
}

fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let before = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Adds the error for an unknown key.
pub(super) fn unknown<'a>(
    key: &Key,
    place: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    errors: &mut ErrorList<'_>,
) {
    let help = match nearest(&key.name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    errors.add(&key.span, place, format!("unknown {what} `{}`", key.name), help);
}

/// The known name most similar to an unknown one; `None` if none is similar.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), other);
    let nearest = known.into_iter().min_by_key(distance)?;
    (distance(&nearest) <= 2.max(name.len() / 3)).then_some(nearest)
}
