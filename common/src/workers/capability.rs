//! What a worker has, and what a sweep requires. Bundles go only to workers that meet their sweep's requirement.

use std::collections::BTreeSet;
use std::fmt;

/// Maximum memory of a worker or a requirement, in gigabytes (10⁹ bytes).
pub const MEMORY_GB_MAX: f64 = 1e6;

/// The properties of a worker that a sweep may require.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capabilities {
    /// The device, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Memory for computing, in bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// The labels given by its owner.
    pub labels: BTreeSet<String>,
}

/// The requirement of a sweep for its workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The kind of device, such as `cpu` or `cuda`.
    pub device: Option<String>,
    /// Minimum memory of a worker, in bytes; 0 for no minimum.
    pub memory_bytes: u64,
    /// Labels that a worker must have, all of them.
    pub labels: BTreeSet<String>,
}

impl Requirement {
    /// Whether a worker meets the requirement.
    #[must_use]
    pub fn is_met_by(&self, worker: &Capabilities) -> bool {
        // `cuda:0` is a device of the kind `cuda`.
        let kind = worker.device.split(':').next().unwrap_or_default();
        self.device.as_deref().is_none_or(|device| device == kind)
            && worker.memory_bytes >= self.memory_bytes
            && self.labels.is_subset(&worker.labels)
    }

    /// Whether every worker meets the requirement.
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
    fn a_worker_must_have_everything_required_and_may_have_more() {
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
    fn a_requirement_is_written_as_text() {
        let all =
            Requirement { device: Some("cuda".to_owned()), memory_bytes: 1_500_000_000, labels: labels(&["b", "a"]) };
        assert_eq!(all.to_string(), "device cuda, 1.5 GB of memory, label a, label b");
        assert_eq!(Requirement::default().to_string(), "nothing");
    }
}
