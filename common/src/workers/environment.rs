//! The numeric environment: everything besides settings and data that can change the last bits of results.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Environment variables that make libtorch, its libraries or the C library choose other kernels. Variables for thread
/// counts are not in the list, because a worker computes on one thread.
pub const VARIABLES: &[&str] = &[
    "ATEN_CPU_CAPABILITY",
    "DNNL_CPU_ISA_HINTS",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
];

/// The numeric environment of a worker. Curves from equal environments are equal to the last bit.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NumericEnvironment {
    /// The kind of device, such as `cpu`.
    pub device: String,
    /// The name of the processor.
    pub processor: String,
    /// The widest vector instructions that kernels use: avx512, avx2 or baseline.
    pub instructions: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// The variables of [`VARIABLES`] that are set.
    pub variables: BTreeMap<String, String>,
}

/// Environments of one class have equal kernels: results that differ between two classes need not differ by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvironmentClass<'a> {
    /// The kind of device.
    pub device: &'a str,
    /// The widest vector instructions that kernels use.
    pub instructions: &'a str,
    /// The version of libtorch.
    pub libtorch: &'a str,
}

impl NumericEnvironment {
    /// The class: the kind of device, the vector instructions and the version of libtorch.
    #[must_use]
    pub fn class(&self) -> EnvironmentClass<'_> {
        EnvironmentClass { device: &self.device, instructions: &self.instructions, libtorch: &self.libtorch }
    }

    /// The environment as one line of JSON, which [`FromStr`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts are always JSON")
    }

    /// The variables as shell assignments; empty if none is set.
    #[must_use]
    pub fn assignments(&self) -> String {
        let all: Vec<String> = self.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.join(" ")
    }
}

impl FromStr for NumericEnvironment {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

impl fmt::Display for NumericEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device: _, processor, instructions, libtorch, variables } = self;
        write!(f, "{processor} ({instructions}), libtorch {libtorch}")?;
        if variables.is_empty() { f.write_str(", no variables set") } else { write!(f, ", {}", self.assignments()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_written_with_the_variables_that_are_set() {
        let mut environment = NumericEnvironment {
            device: "cpu".to_owned(),
            processor: "A Processor".to_owned(),
            instructions: "avx2".to_owned(),
            libtorch: "2.11.0".to_owned(),
            variables: BTreeMap::new(),
        };
        assert_eq!(environment.to_string(), "A Processor (avx2), libtorch 2.11.0, no variables set");
        environment.variables.insert("MKL_CBWR".to_owned(), "COMPATIBLE".to_owned());
        assert_eq!(environment.to_string(), "A Processor (avx2), libtorch 2.11.0, MKL_CBWR=COMPATIBLE");
        assert!(VARIABLES.is_sorted());
        assert_eq!(environment.to_json().parse::<NumericEnvironment>().expect("its own JSON"), environment);
    }
}
