//! The numeric environment: everything besides settings and data that can change the last bits of results.

use std::collections::BTreeMap;
use std::fmt;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumericEnvironment {
    /// The name of the processor.
    pub processor: String,
    /// The widest vector instructions that kernels use: avx512, avx2 or baseline.
    pub instructions: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// The variables of [`VARIABLES`] that are set.
    pub variables: BTreeMap<String, String>,
}

impl NumericEnvironment {
    /// The variables as shell assignments; empty if none is set.
    #[must_use]
    pub fn assignments(&self) -> String {
        let all: Vec<String> = self.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        all.join(" ")
    }
}

impl fmt::Display for NumericEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, instructions, libtorch, variables } = self;
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
            processor: "A Processor".to_owned(),
            instructions: "avx2".to_owned(),
            libtorch: "2.11.0".to_owned(),
            variables: BTreeMap::new(),
        };
        assert_eq!(environment.to_string(), "A Processor (avx2), libtorch 2.11.0, no variables set");
        environment.variables.insert("MKL_CBWR".to_owned(), "COMPATIBLE".to_owned());
        assert_eq!(environment.to_string(), "A Processor (avx2), libtorch 2.11.0, MKL_CBWR=COMPATIBLE");
        assert!(VARIABLES.is_sorted());
    }
}
