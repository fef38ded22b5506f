//! The digest of a sweep: its meaning, written as a canonical text and hashed.

use std::fmt::Write as _;

use super::SweepSpec;
use crate::grid::Block;
use crate::grid::axis::{Axis, Dimension};
use crate::settings::Setting;
use crate::spec::{ExecutionOptions, Reuse};

/// A BLAKE3 hash in hexadecimal. It is equal for equal trials in equal order under the same name, however they are
/// written: in any format, with keys in any order, with or without defaults, with whole numbers as a list or as a
/// range.
pub(super) fn digest(spec: &SweepSpec) -> String {
    let SweepSpec { name, grid, measures, execution, analysis: _ } = spec;
    // The analysis plan, the checkpoint interval, the workers and the priority do not affect results.
    let ExecutionOptions { retries_max, share, reuse, checkpoint_every_s: _, priority: _, weight: _, require: _ } =
        execution;
    let mut text = format!("name {name}\nretries {retries_max}\n");
    if !share {
        text.push_str("share false\n");
    }
    if *reuse != Reuse::Always {
        text.push_str(&format!("reuse {reuse}\n"));
    }
    if !measures.is_empty() {
        let names: Vec<&str> = measures.iter().map(|measure| measure.name()).collect();
        text.push_str(&format!("measure {}\n", names.join(" ")));
    }
    for block in grid.blocks() {
        text.push_str("block\n");
        write_block(block, &mut text);
    }
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn write_block(block: &Block, text: &mut String) {
    let axes: Vec<&Dimension> = block.dimensions().iter().filter(|dimension| dimension.len() > 1).collect();
    let first = block.raw_point(0);
    for &setting in Setting::ALL {
        let varies = axes.iter().any(|dimension| dimension.axis(setting).is_some());
        let value = first.get(&setting).cloned().or_else(|| setting.default_value());
        if let Some(value) = value
            && !varies
            && !setting.is_implied(&value)
            && block.uses(setting)
        {
            let _fits = writeln!(text, "{setting} = {value}");
        }
    }
    for dimension in axes {
        for (setting, axis) in dimension.axes() {
            let _fits = match axis {
                Axis::List(values) => {
                    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                    writeln!(text, "{setting} in {}", values.join(" "))
                }
                Axis::Range { from, step, count } => writeln!(text, "{setting} in {from} + {step} × {count}"),
            };
        }
        let _fits = writeln!(text, "at {:?}", dimension.places());
    }
}
