//! Errors in a spec, each shown in the text with a suggested fix.

use std::fmt;
use std::sync::Arc;

use biosweep_common::spec::{SpecError, SpecErrors};
use miette::{Diagnostic, LabeledSpan, NamedSource, Report, SourceCode};

/// All errors of one file.
#[derive(Debug)]
struct SpecReport {
    origin: String,
    errors: Vec<SpecErrorReport>,
}

/// One error.
#[derive(Debug)]
struct SpecErrorReport {
    error: SpecError,
    source: Arc<NamedSource<String>>,
}

/// Maximum columns of a line that is shown with its error. Longer lines are unreadable, and the printer fails at 65,535
/// columns.
const COLUMNS_MAX: usize = 10_000;

/// Whether every error can be shown in its line.
pub(crate) fn can_be_shown(errors: &SpecErrors) -> bool {
    errors.errors.iter().all(|error| error.column + error.span.len() <= COLUMNS_MAX)
}

/// A report of all errors for people.
pub(crate) fn report(errors: SpecErrors) -> Report {
    let SpecErrors { origin, text, errors } = errors;
    let source = Arc::new(NamedSource::new(&origin, text));
    let errors = errors.into_iter().map(|error| SpecErrorReport { error, source: Arc::clone(&source) });
    Report::new(SpecReport { origin, errors: errors.collect() })
}

impl fmt::Display for SpecReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.len() {
            1 => write!(f, "{} has an error", self.origin),
            count => write!(f, "{} has {count} errors", self.origin),
        }
    }
}

impl std::error::Error for SpecReport {}

impl Diagnostic for SpecReport {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.errors.iter().map(|error| error as &dyn Diagnostic)))
    }
}

impl fmt::Display for SpecErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error.message)
    }
}

impl std::error::Error for SpecErrorReport {}

impl Diagnostic for SpecErrorReport {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.error.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = if self.error.place.is_empty() { "here".to_owned() } else { self.error.place.clone() };
        // A span of several lines, such as a whole block, is shown by its first line.
        let span = self.error.span.clone();
        let first_line = self.source.inner()[span.clone()].find('\n').map_or(span.len(), |newline| newline.max(1));
        let label = LabeledSpan::new(Some(label), span.start, span.len().min(first_line));
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::spec::{Format, SweepSpec};

    use super::*;

    #[test]
    fn a_line_too_long_to_read_is_not_shown() {
        let errors = |seeds: usize| {
            let seeds: Vec<String> = (0..seeds).map(|seed| seed.to_string()).collect();
            let seeds = seeds.join(",");
            let text = format!(
                "{{\"name\":\"x\",\"grid\":{{\"rule\":\"bp\",\"network\":\"nn\",\"seed\":[{seeds}],\"depth\":0}}}}"
            );
            SweepSpec::parse(&text, Format::Json, "spec.json").expect_err("errors")
        };
        assert!(can_be_shown(&errors(10)));
        assert!(!can_be_shown(&errors(20_000)));
    }

    #[test]
    fn every_error_is_shown_with_its_line_place_and_fix() {
        let text = "name = \"x\"\n[grid]\nrule = \"bpp\"\nnetwork = \"nn\"\ndepth = 0\n";
        let errors = SweepSpec::parse(text, Format::Toml, "spec.toml").expect_err("errors");
        let shown = format!("{:?}", report(errors));
        for part in
            ["spec.toml has 3 errors", "spec.toml:3:8", "grid.rule", "did you mean `bp`?", "spec.toml:5:9", "depth = 0"]
        {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    }
}
