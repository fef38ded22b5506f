//! The findings of `doctor`.

use std::fmt::Write as _;

use super::amounts::counted;
use crate::cli::{Finding, Severity};

/// One line for each finding, with what to do below it.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { check, severity, found, next_step } in findings {
        let _fits = writeln!(text, "{:<7}  {check:<width$}  {}", severity.name(), found.replace('\n', " "));
        if let Some(next_step) = next_step {
            let _fits = writeln!(text, "{:<7}  {:<width$}  → {}", "", "", next_step.replace('\n', " "));
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let errors = counted(count(Severity::Error), "error", "errors");
    let _fits = writeln!(text, "{errors}, {}", counted(count(Severity::Warning), "warning", "warnings"));
    text
}
