//! The numeric environment: everything in this process that the last bits of results depend on.

use std::{env, fs};

use biosweep_common::workers::environment::{NumericEnvironment, VARIABLES};
use biosweep_numeric::vector;

use crate::torch::libtorch;

/// The numeric environment of this process.
#[must_use]
pub fn current() -> NumericEnvironment {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let set = |&name: &&str| Some((name.to_owned(), env::var_os(name)?.to_string_lossy().into_owned()));
    NumericEnvironment {
        device: "cpu".to_owned(),
        processor: processor(&cpuinfo).unwrap_or_else(|| format!("a processor of {}", env::consts::ARCH)),
        instructions: vector::instructions().to_owned(),
        libtorch: libtorch::version(),
        variables: VARIABLES.iter().filter_map(set).filter(|(_, value)| !value.is_empty()).collect(),
    }
}

/// The `model name` of /proc/cpuinfo.
fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_known_by_its_name() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7B13\nstepping\t: 0\n";
        assert_eq!(processor(cpuinfo).as_deref(), Some("AMD EPYC 7B13"));
        assert_eq!(processor("processor: 0\n"), None);
        assert!(!current().processor.is_empty());
    }
}
