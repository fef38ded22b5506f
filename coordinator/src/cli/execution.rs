//! Flags for execution options. They override the options in the spec.

use biosweep_common::spec::{PRIORITY_MAX, WEIGHT_MAX};
use clap::Args;

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ExecutionArgs {
    /// Train every trial separately, even if trials differ only in their stopping rule
    #[arg(long)]
    no_share: bool,
    /// Train every trial, even if the store already has its result
    #[arg(long)]
    no_reuse: bool,
    /// Priority; sweeps with a higher priority are granted first
    #[arg(long, value_name = "N", value_parser = priority, allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Weight: the share of the workers among running sweeps of one priority
    #[arg(long, value_name = "N", value_parser = weight, allow_negative_numbers = true)]
    weight: Option<u32>,
}

fn priority(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|number| (-PRIORITY_MAX..=PRIORITY_MAX).contains(number));
    number.ok_or_else(|| format!("it takes a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}"))
}

fn weight(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=WEIGHT_MAX).contains(number));
    number.ok_or_else(|| format!("it takes a whole number from 1 to {WEIGHT_MAX}"))
}

impl ExecutionArgs {
    /// Whether no flag is given.
    pub(super) fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// The keys of a spec with the same options.
    pub(super) fn keys(&self) -> Vec<(&'static str, String)> {
        let never = |key, never: bool| never.then(|| (key, "false".to_owned()));
        let priority = self.priority.map(|priority| ("priority", priority.to_string()));
        let weight = self.weight.map(|weight| ("weight", weight.to_string()));
        [never("share", self.no_share), never("reuse", self.no_reuse), priority, weight].into_iter().flatten().collect()
    }
}
