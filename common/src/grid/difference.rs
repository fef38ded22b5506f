//! The difference of two unions of blocks, as blocks. It is found by cutting boxes, never by enumerating points.

use super::axis::{Axis, Dimension, TooFine};
use super::block::Block;
use super::overlap::{Part, Parts};
use crate::settings::Setting;

/// The maximum number of boxes that a block is cut by, because each lookup in the rest goes through all pieces.
const BOXES_MAX: usize = 10_000;

/// The points of `blocks` that are not in `others`, in the order of the blocks where possible.
///
/// # Errors
/// The rest has more pieces than allowed.
pub(super) fn beyond(blocks: &[Block], others: &[Block]) -> Result<Vec<Block>, TooFine> {
    let mut rest = blocks.to_vec();
    for other in others.iter().map(|other| Parts::of(std::slice::from_ref(other))) {
        let mut left = Vec::new();
        for block in rest {
            let parts = Parts::of(std::slice::from_ref(&block));
            if parts.common_point(&other).is_none() {
                left.push(block);
                continue;
            }
            for part in parts.into_parts() {
                left.extend(without(part, &other)?);
            }
        }
        rest = left;
    }
    Ok(rest)
}

fn without(part: Part, other: &Parts) -> Result<Vec<Block>, TooFine> {
    let mut rest = vec![part.block];
    for theirs in other.parts().iter().filter(|theirs| theirs.applies == part.applies) {
        for values in boxes(theirs)? {
            let mut left = Vec::new();
            for block in rest {
                match block.excluding(&values)? {
                    Some(remainder) => left.extend(remainder),
                    None => left.push(block),
                }
            }
            rest = left;
        }
    }
    Ok(rest)
}

/// A part as boxes. In a box each setting that applies has a set of values, independent of the other settings.
fn boxes(part: &Part) -> Result<Vec<Vec<(Setting, Axis)>>, TooFine> {
    let dimensions = part.block.dimensions();
    let varies = |setting: Setting| dimensions.iter().any(|dimension| dimension.axis(setting).is_some());
    let constant = |setting: Setting| part.block.constants().get(&setting).cloned().or_else(|| setting.default_value());
    let fixed = part.applies.iter().filter(|&&setting| !varies(setting));
    let fixed = fixed.filter_map(|&setting| Some((setting, Axis::List(vec![constant(setting)?]))));
    let mut boxes = vec![fixed.collect::<Vec<_>>()];
    for dimension in dimensions {
        let choices = choices(dimension);
        if boxes.len().saturating_mul(choices.len()) > BOXES_MAX {
            return Err(TooFine { setting: dimension.significance() });
        }
        let each = |one: &Vec<(Setting, Axis)>| {
            let with = |choice: &Vec<(Setting, Axis)>| [one.as_slice(), choice].concat();
            choices.iter().map(with).collect::<Vec<_>>()
        };
        boxes = boxes.iter().flat_map(each).collect();
    }
    Ok(boxes)
}

/// The choices of a dimension: all values at once for one list, range by range for one range, and position by position
/// for zipped axes.
fn choices(dimension: &Dimension) -> Vec<Vec<(Setting, Axis)>> {
    match dimension.axes() {
        [(setting, axis @ Axis::List(_))] => {
            let used = dimension.places().iter().cloned().flatten().map(|place| axis.value(place));
            vec![vec![(*setting, Axis::List(used.collect()))]]
        }
        [(setting, Axis::Range { from, step, .. })] => {
            let run = |run: &std::ops::Range<u64>| {
                let (from, count) = (from + run.start * step, run.end - run.start);
                vec![(*setting, Axis::Range { from, step: *step, count })]
            };
            dimension.places().iter().map(run).collect()
        }
        axes => {
            let at = |place: u64| {
                axes.iter().map(|(setting, axis)| (*setting, Axis::List(vec![axis.value(place)]))).collect()
            };
            // One more than allowed shows that there are too many.
            dimension.places().iter().cloned().flatten().take(BOXES_MAX + 1).map(at).collect()
        }
    }
}
