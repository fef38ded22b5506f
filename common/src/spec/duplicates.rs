//! Blocks of a spec that have a common trial.

use super::blocks::{Draft, FEWER_BLOCKS};
use super::error::{ErrorList, FOUND_MAX, Limits};
use crate::grid::{Block, Parts, TooManyToCompare, common_points};
use crate::settings::{Setting, Value};

/// Reports pairs of drafts that have a common trial. `groups` has the blocks of each draft.
pub(super) fn report_duplicates(drafts: &[Draft], groups: &[Vec<Block>], errors: &mut ErrorList<'_>) {
    let parts: Vec<Parts> = groups.iter().map(|blocks| Parts::of(blocks)).collect();
    let found = match common_points(&parts, FOUND_MAX) {
        Ok(found) => found,
        Err(TooManyToCompare) => {
            // A stored text was compared when it was submitted.
            if errors.limits == Limits::Apply {
                let message = "the blocks are too many, or their lists too long, to be checked for common trials";
                errors.add(&drafts[0].span, "block", message, FEWER_BLOCKS);
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
        let (draft, other) = (&drafts[later], &drafts[earlier].place);
        let message = format!("{} and {other} share trials, such as {}", draft.place, example.join(", "));
        let help = "remove the shared values from one of them, or exclude them there";
        errors.add(&draft.span, draft.place.clone(), message, help);
    }
}
