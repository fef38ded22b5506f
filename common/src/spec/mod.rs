//! From a spec file to a [`SweepSpec`], which is always valid.
//!
//! | module | contents |
//! |---|---|
//! | `document` | a text in TOML, YAML or JSON, as one tree of nodes, and changes of the text |
//! | `read` | from nodes to values and axes, checked against their settings |
//! | `blocks` | from settings to blocks, checked as a whole |
//! | `analysis_plan` | how results are judged: the margin of equivalence, and the planned contrasts |
//! | `measures` | the measures, checked against the trials |
//! | `reports` | the maximum size of a trajectory's report |
//! | `execution` | the execution options |
//! | `sweep` | from the tree to a [`SweepSpec`], its digest, its extensions, and the text with every default |
//! | [`presets`] | spec files that are compiled in |
//! | `error` | the errors, reported together |

mod analysis_plan;
mod blocks;
mod document;
mod error;
mod execution;
mod measures;
pub mod presets;
mod read;
mod reports;
mod sweep;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use analysis_plan::{AnalysisPlan, EQUIVALENCE_MARGIN, PlannedContrast};
pub use document::amend::amend;
use document::node::{self, Kind, Node};
use document::parse;
pub use document::pin::pin;
pub use error::{SpecError, SpecErrors};
pub use execution::{ExecutionOptions, PRIORITY_MAX, Reuse, WEIGHT_MAX};
pub use reports::TooManyPoints;
pub use sweep::SweepSpec;
pub use sweep::extend::ExtensionError;

/// Maximum bytes of a spec file's text. A message can carry a little more.
pub const SPEC_BYTES_MAX: usize = 4 << 20;
/// Maximum bytes of a spec with every default. A message can carry it together with the file's text.
pub const RESOLVED_BYTES_MAX: usize = 6 << 20;

/// The text of a spec as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecText {
    /// The text of the spec file.
    pub text: String,
    /// The format of that text.
    pub format: Format,
    /// The spec in TOML with every default. Trials are read from it, so that a version with other defaults reads the same
    /// trials.
    pub resolved: String,
}

/// The format of a spec file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Toml, Self::Yaml, Self::Json];

    /// The name in messages and stores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }

    /// The format with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a text without a file name: the one in which it is valid, otherwise the one that its first line is
    /// most similar to.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let is = |format| matches!(parse::parse(text, format), Ok(Node { kind: Kind::Table(_), .. }));
        // JSON comes first, because it is also valid YAML.
        if let Some(format) = [Self::Json, Self::Toml, Self::Yaml].into_iter().find(|&format| is(format)) {
            return format;
        }
        let mut lines = text.trim_start_matches(node::BYTE_ORDER_MARK).lines().map(str::trim);
        match lines.find(|line| !line.is_empty() && !line.starts_with('#')) {
            Some(line) if line.starts_with('{') => Self::Json,
            Some(line) if line.starts_with('[') || line.contains('=') => Self::Toml,
            _ => Self::Yaml,
        }
    }

    /// The format for a file's extension.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}
