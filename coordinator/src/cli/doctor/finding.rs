//! The result of a check.

use std::fmt::Display;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// Nothing has to be done.
    Ok,
    /// Something may not work.
    Warning,
    /// Something cannot work.
    Error,
}

impl Severity {
    /// The name in answers.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: &'static str,
    /// How bad it is.
    pub(super) severity: Severity,
    /// What was found.
    pub(super) found: String,
    /// What to do; `None` if nothing has to be done.
    pub(super) next_step: Option<String>,
}

impl Finding {
    /// A check without a fault.
    pub(super) fn ok(check: &'static str, found: impl Display) -> Self {
        Self { check, severity: Severity::Ok, found: found.to_string(), next_step: None }
    }

    /// Something that may not work, and what to do about it.
    pub(super) fn warning(check: &'static str, found: impl Display, next_step: impl Display) -> Self {
        Self { severity: Severity::Warning, next_step: Some(next_step.to_string()), ..Self::ok(check, found) }
    }

    /// Something that cannot work, and what to do about it.
    pub(super) fn error(check: &'static str, found: impl Display, next_step: impl Display) -> Self {
        Self { severity: Severity::Error, ..Self::warning(check, found, next_step) }
    }

    /// An error whose text ends with what to do, as the errors of commands do; `otherwise` is what to do if it does not.
    pub(super) fn of(check: &'static str, severity: Severity, error: &dyn std::error::Error, otherwise: &str) -> Self {
        let text = error.to_string();
        let (found, next_step) = text.rsplit_once("; ").unwrap_or((&text, otherwise));
        Self { severity, ..Self::warning(check, found, next_step) }
    }

    /// The same finding with advice, although nothing has to be done.
    pub(super) fn and(self, next_step: impl Display) -> Self {
        Self { next_step: Some(next_step.to_string()), ..self }
    }
}
