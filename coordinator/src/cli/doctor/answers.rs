//! The findings as answers.

use std::fmt::Write as _;

use serde_json::json;

use super::finding::{Finding, Severity};
use crate::render::human::counted;
use crate::render::json::pretty;

fn count(findings: &[Finding], severity: Severity) -> u64 {
    findings.iter().filter(|finding| finding.severity == severity).count() as u64
}

/// One line for each finding, with what to do below it.
pub(super) fn human(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { check, severity, found, next_step } in findings {
        let _fits = writeln!(text, "{:<7}  {check:<width$}  {}", severity.name(), found.replace('\n', " "));
        if let Some(next_step) = next_step {
            let _fits = writeln!(text, "{:<7}  {:<width$}  → {}", "", "", next_step.replace('\n', " "));
        }
    }
    let errors = counted(count(findings, Severity::Error), "error", "errors");
    let _fits = write!(text, "{errors}, {}", counted(count(findings, Severity::Warning), "warning", "warnings"));
    text
}

/// The checks, and how many errors and warnings they found.
pub(super) fn json(findings: &[Finding]) -> String {
    let (errors, warnings) = (count(findings, Severity::Error), count(findings, Severity::Warning));
    pretty(&json!({ "checks": findings, "errors": errors, "warnings": warnings }))
}
