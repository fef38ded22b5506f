//! The errors in a spec file, each at its place, reported together.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::SPEC_BYTES_MAX;
use super::node::BYTE_ORDER_MARK;

/// Every error found in a spec file.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecErrors {
    /// The file's name.
    pub origin: String,
    /// Its text.
    pub text: String,
    /// The errors, in the order of the text; at least one.
    pub errors: Vec<SpecError>,
}

/// One error.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecError {
    /// Its bytes in the text, from one character's start to another's.
    pub span: Range<usize>,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in that line, in characters from 1.
    pub column: usize,
    /// Its place in the tree, such as `block[1].depth.from`; empty for the file as a whole.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
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

/// Whether a text has to keep the limits of this version: one that is stored kept those of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limits {
    Apply,
    Lifted,
}

/// Takes errors in as they are found.
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
        // A parser may count bytes where a character has several: whoever cuts the text by a span must not be hurt.
        let start = self.text.floor_char_boundary(span.start);
        let span = start..self.text.ceil_char_boundary(span.end.max(start));
        let (line, column) = line_and_column(self.text, start);
        let (place, message, help) = (place.into(), message.into(), help.into());
        self.found.push(SpecError { span, line, column, place, message, help });
    }

    /// What the author wrote there, where it stands on one line.
    pub(super) fn line_at(&self, span: &Range<usize>) -> Option<&'a str> {
        self.text.get(span.clone()).map(str::trim).filter(|written| !written.is_empty() && !written.contains('\n'))
    }

    pub(super) fn are_none(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order of the text.
    pub(super) fn into_errors(mut self, origin: &str) -> SpecErrors {
        self.found.sort_by_key(|error| error.span.start);
        // What is common to all blocks is checked with each of them, and its errors are found as often.
        let mut seen = HashSet::new();
        self.found.retain(|error| seen.insert((error.span.clone(), error.place.clone(), error.message.clone())));
        SpecErrors { origin: origin.to_owned(), text: self.text.to_owned(), errors: self.found }
    }
}

/// The error of a text that is too long to be read.
pub(super) fn too_long(bytes: usize, origin: &str) -> SpecErrors {
    let error = SpecError {
        span: 0..0,
        line: 1,
        column: 1,
        place: String::new(),
        message: format!("the file has {bytes} bytes, and {SPEC_BYTES_MAX} at most can be submitted"),
        help: "write long lists as ranges, and leave out long comments".to_owned(),
    };
    SpecErrors { origin: origin.to_owned(), text: String::new(), errors: vec![error] }
}

fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let before = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known name nearest to one that is not known, where one is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(&name.to_lowercase(), other);
    let nearest = known.into_iter().min_by_key(distance)?;
    (distance(&nearest) <= 2.max(name.len() / 3)).then_some(nearest)
}
