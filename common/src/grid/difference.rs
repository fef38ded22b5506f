//! What one union of blocks has beyond another, as blocks: found by cutting boxes, never by enumerating points.

use super::axis::{Axis, Dimension, TooFine};
use super::block::Block;
use super::overlap::{Part, Parts};
use crate::settings::Setting;

/// The most boxes a block may be cut by: each look-up in what is left passes through all that they leave.
const BOXES_MAX: usize = 10_000;

/// The points of `blocks` that are not in `others`, in their order as far as blocks have one.
///
/// # Errors
/// What is left is too many pieces to keep.
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

/// A part as boxes: in each, every setting that applies takes any of some values, whatever the others take.
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

/// What a dimension takes: its values at once where it is one list, run by run where it is one range, and place by place
/// where axes advance together.
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
            // One more than can be used says that they are too many.
            dimension.places().iter().cloned().flatten().take(BOXES_MAX + 1).map(at).collect()
        }
    }
}
