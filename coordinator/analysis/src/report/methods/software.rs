//! Versions and machines in sentences.

use std::collections::BTreeMap;

use biosweep_common::configuration::NUMERICS_VERSION;

use super::Source;
use crate::report::words;

pub(super) fn sentences(source: &Source<'_>) -> Vec<String> {
    let record = source.record;
    let mut sentences = vec![match record.first {
        None => format!("This report is by biosweep {}, with numerics version {NUMERICS_VERSION}.", source.version),
        Some(first) if first.is_current => format!(
            "The results are of numerics version {NUMERICS_VERSION} of biosweep; this report is by biosweep {}.",
            source.version
        ),
        Some(_) => format!(
            "The results are of another numerics version of biosweep than {NUMERICS_VERSION}; this report is by biosweep {}.",
            source.version
        ),
    }];
    sentences.extend(machines(source));
    if record.reused > 0 {
        let count = words::counted(record.reused, "result");
        let verb = if record.reused == 1 { "was" } else { "were" };
        sentences.push(format!("{count} {verb} trained in another sweep and reused."));
    }
    sentences
}

/// Where trials were trained: by device, processor, vector instructions and libtorch.
fn machines(source: &Source<'_>) -> Option<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (environment, count) in &source.record.environments {
        let name = environment.as_ref().map_or_else(
            || "a machine that is not known".to_owned(),
            |one| {
                let processor = if one.processor.is_empty() { "" } else { &format!(" ({})", one.processor) };
                let variables = one.assignments();
                let variables = if variables.is_empty() { variables } else { format!(" and {variables}") };
                format!(
                    "{}{processor} with {} instructions and libtorch {}{variables}",
                    one.device, one.instructions, one.libtorch
                )
            },
        );
        *counts.entry(name).or_default() += count;
    }
    match counts.len() {
        0 => None,
        1 => counts.into_keys().next().map(|name| format!("All trials were trained on {name}.")),
        _ => {
            let each: Vec<String> =
                counts.iter().map(|(name, &count)| format!("{} on {name}", words::counted(count, "trial"))).collect();
            Some(format!("These machines trained: {}.", each.join("; ")))
        }
    }
}
