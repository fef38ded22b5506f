//! The methods of a sweep in sentences that a paper can take over. What they say follows from the spec and the results.
//!
//! | module | contents |
//! |---|---|
//! | `data` | datasets and their split |
//! | `networks` | layers, connections and activation functions |
//! | `rules` | learning rules |
//! | `training` | optimiser, step sizes, stopping |
//! | `statistics` | replicates, selection, intervals, tests |
//! | `software` | versions and machines |

mod data;
mod networks;
mod rules;
mod software;
mod statistics;
#[cfg(test)]
mod tests;
mod training;

use biosweep_common::settings::{Domain, Setting};

use super::design::Design;
use super::record::Record;
use crate::aggregate::Cell;
use crate::compare::Contrast;

/// What methods are written from.
pub(super) struct Source<'a> {
    pub(super) design: &'a Design,
    pub(super) record: &'a Record,
    pub(super) cells: &'a [Cell],
    pub(super) verdicts: &'a [&'a Contrast],
    /// Whether the verdicts are on planned contrasts.
    pub(super) are_planned: bool,
    /// The version of biosweep that writes the report.
    pub(super) version: &'a str,
}

/// A paragraph with its topic.
pub(super) struct Paragraph {
    pub(super) topic: &'static str,
    pub(super) text: String,
}

/// The paragraphs, in the order of a paper's section.
pub(super) fn methods(source: &Source<'_>) -> Vec<Paragraph> {
    let paragraphs = [
        ("Data", data::sentences(source)),
        ("Networks", networks::sentences(source.design)),
        ("Learning rules", rules::sentences(source.design)),
        ("Training", training::sentences(source)),
        ("Replicates and selection", statistics::replicates(source)),
        ("Statistics", statistics::sentences(source)),
        ("Software", software::sentences(source)),
    ];
    let paragraph = |(topic, sentences): (&'static str, Vec<String>)| Paragraph { topic, text: sentences.join(" ") };
    paragraphs.into_iter().filter(|(_, sentences)| !sentences.is_empty()).map(paragraph).collect()
}

/// A sentence about a setting, made of its meaning; `None` if it applies to no trial.
fn generic(design: &Design, setting: Setting) -> Option<String> {
    let values = design.text(setting)?;
    let meaning = lower(setting.meaning().trim_end_matches('.'));
    Some(match setting.domain() {
        Domain::Flag => format!("{} is {values}: {meaning}.", setting.name()),
        _ => format!("The {meaning} ({}) is {values}.", setting.name()),
    })
}

/// The text with a small first letter, unless the first word is a name or a symbol.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
