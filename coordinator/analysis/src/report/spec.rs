//! The spec of a sweep: its text, and what it says.

use biosweep_common::results::views::SpecView;
use biosweep_common::spec::{AnalysisPlan, SweepSpec};

/// The spec of a sweep. It is parsed once.
#[derive(Debug)]
pub struct Spec {
    text: SpecView,
    parsed: Option<SweepSpec>,
}

impl Spec {
    /// The spec with this text.
    #[must_use]
    pub fn of(text: SpecView) -> Self {
        Self { parsed: text.spec(), text }
    }

    /// The text, with its extensions.
    #[must_use]
    pub const fn text(&self) -> &SpecView {
        &self.text
    }

    /// What the text says; `None` if this version cannot read it.
    #[must_use]
    pub const fn parsed(&self) -> Option<&SweepSpec> {
        self.parsed.as_ref()
    }

    /// The analysis plan; the default if this version cannot read the spec.
    #[must_use]
    pub fn analysis(&self) -> AnalysisPlan {
        self.parsed().map(|spec| spec.analysis.clone()).unwrap_or_default()
    }
}
