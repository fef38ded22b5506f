//! What a worker can do, and what a sweep needs done: bundles go to workers that have what their sweep requires.

use std::collections::BTreeSet;
use std::fmt;

/// Gigabytes (10⁹ bytes) of memory that can be had or required, at most.
pub const MEMORY_GB_MAX: f64 = 1e6;

/// What a worker has that a sweep may require.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capabilities {
    /// What it computes on, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Bytes of memory it can compute in; 0 where that is not known.
    pub memory_bytes: u64,
    /// What else its owner says of it.
    pub labels: BTreeSet<String>,
}

/// What a sweep requires of the workers that train it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The kind of device, such as `cpu` or `cuda`.
    pub device: Option<String>,
    /// Bytes of memory a worker has to have at least; 0 where any will do.
    pub memory_bytes: u64,
    /// Labels a worker has to carry, all of them.
    pub labels: BTreeSet<String>,
}

impl Requirement {
    /// Whether a worker has all of it.
    #[must_use]
    pub fn is_met_by(&self, worker: &Capabilities) -> bool {
        // `cuda:0` is a device of the kind `cuda`.
        let kind = worker.device.split(':').next().unwrap_or_default();
        self.device.as_deref().is_none_or(|device| device == kind)
            && worker.memory_bytes >= self.memory_bytes
            && self.labels.is_subset(&worker.labels)
    }

    /// Whether any worker will do.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device.as_ref().map(|device| format!("device {device}"));
        let memory = (self.memory_bytes > 0).then(|| format!("{} GB of memory", self.memory_bytes as f64 / 1e9));
        let labels = self.labels.iter().map(|label| format!("label {label}"));
        let all: Vec<String> = device.into_iter().chain(memory).chain(labels).collect();
        f.write_str(if all.is_empty() { "nothing" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[&str]) -> BTreeSet<String> {
        labels.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_worker_needs_all_that_is_required_and_may_have_more() {
        let worker = Capabilities {
            device: "cuda:1".to_owned(),
            memory_bytes: 16_000_000_000,
            labels: labels(&["a100", "site=x"]),
        };
        let is_met = |device: Option<&str>, memory_bytes, required: &[&str]| {
            let device = device.map(str::to_owned);
            Requirement { device, memory_bytes, labels: labels(required) }.is_met_by(&worker)
        };
        assert!(is_met(None, 0, &[]));
        assert!(is_met(Some("cuda"), 16_000_000_000, &["a100"]));
        assert!(!is_met(Some("cpu"), 0, &[]));
        assert!(!is_met(None, 16_000_000_001, &[]));
        assert!(!is_met(None, 0, &["a100", "h100"]));
    }

    #[test]
    fn a_requirement_is_told_in_words() {
        let all =
            Requirement { device: Some("cuda".to_owned()), memory_bytes: 1_500_000_000, labels: labels(&["b", "a"]) };
        assert_eq!(all.to_string(), "device cuda, 1.5 GB of memory, label a, label b");
        assert_eq!(Requirement::default().to_string(), "nothing");
    }
}
