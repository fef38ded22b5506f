//! Blocks of a spec that have a common trial.

use std::ops::Range;

use crate::grid::{Block, Parts, TooManyToCompare, common_points};
use crate::settings::{Setting, Value};
use crate::spec::error::{ErrorList, FOUND_MAX, Limits};

/// What to do about too many blocks.
pub(in crate::spec) const FEWER_BLOCKS: &str =
    "write the points of one block as zipped lists (zip), or submit several sweeps";

/// A block as written, with its place, and what it consists of.
pub(super) struct Written<'a> {
    pub(super) place: &'a str,
    pub(super) span: &'a Range<usize>,
    pub(super) blocks: &'a [Block],
}

/// Reports pairs of blocks that have a common trial.
pub(super) fn report_duplicates(written: &[Written<'_>], errors: &mut ErrorList<'_>) {
    let parts: Vec<Parts> = written.iter().map(|written| Parts::of(written.blocks)).collect();
    let found = match common_points(&parts, FOUND_MAX) {
        Ok(found) => found,
        Err(TooManyToCompare) => {
            // A stored text was compared when it was submitted.
            if errors.limits == Limits::Apply {
                let message = "the blocks are too many, or their lists too long, to be checked for common trials";
                errors.add(written[0].span, "block", message, FEWER_BLOCKS);
            }
            return;
        }
    };
    for ((later, earlier), point) in found {
        let telling = |setting: &Setting, value: &Value| setting.default_value().as_ref() != Some(value);
        let example: Vec<String> = point
            .iter()
            .filter(|(setting, value)| telling(setting, value))
            .map(|(setting, value)| format!("{setting} = {value}"))
            .collect();
        let Written { place, span, .. } = written[later];
        let message = format!("{place} and {} share trials, such as {}", written[earlier].place, example.join(", "));
        let help = "remove the shared values from one of them, or exclude them there";
        errors.add(span, place, message, help);
    }
}
