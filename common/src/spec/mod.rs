//! A spec file → a [`SweepSpec`] that cannot be invalid.
//!
//! | module | turns |
//! |---|---|
//! | `node`, `json` | text in TOML, YAML or JSON → one tree that knows where things stand |
//! | `read` | nodes → values and axes, checked against their settings |
//! | `blocks` | settings → blocks, checked as a whole |
//! | `measures` | what is to be measured of layers, checked against what the blocks train |
//! | `reports` | how large the report of a trajectory can become |
//! | `execution` | how the sweep is to be carried out |
//! | `amend` | keys at the top of a text |
//! | `pin` | custom data in a text → the same text with its place and digest |
//! | `sweep` | the tree → [`SweepSpec`] |
//! | `digest` | the sweep → what tells it from any other |
//! | `extend` | a sweep and what is added to it → one sweep |
//! | `error` | the errors, all of them at once |

mod amend;
mod blocks;
mod digest;
mod error;
mod execution;
mod extend;
mod json;
mod measures;
mod node;
mod pin;
mod read;
mod reports;
mod sweep;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use amend::amend;
pub use error::{SpecError, SpecErrors};
pub use execution::{ExecutionOptions, PRIORITY_MAX, WEIGHT_MAX};
pub use extend::ExtensionError;
use node::{Kind, Node};
pub use pin::pin;
pub use reports::TooManyPoints;
pub use sweep::SweepSpec;

/// The most bytes of a spec file's text: what a message carries, with room to spare.
pub const SPEC_BYTES_MAX: usize = 4 << 20;

/// How a spec file is written.
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

    /// The name used in messages and stores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a text that comes without a name: the one whose syntax it keeps; where it keeps none, the one its
    /// first line is most like.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let is = |format| matches!(node::parse(text, format), Ok(Node { kind: Kind::Table(_), .. }));
        // All of JSON is YAML too.
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

    /// The format that a file's ending says.
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
