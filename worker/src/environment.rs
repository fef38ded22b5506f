//! What this process computes with, as far as the last bits of results depend on it.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::{env, fs};

use biosweep_common::environment::{NumericEnvironment, VARIABLES};

use biosweep_numeric::vector;

use crate::libtorch;

/// The environment of this process.
#[must_use]
pub fn current() -> NumericEnvironment {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let set = |&name: &&str| Some((name.to_owned(), env::var_os(name)?.to_string_lossy().into_owned()));
    NumericEnvironment {
        processor: processor(&cpuinfo).unwrap_or_else(|| format!("a processor of {}", env::consts::ARCH)),
        instructions: vector::instructions().to_owned(),
        libtorch: libtorch::version(),
        variables: VARIABLES.iter().filter_map(set).filter(|(_, value)| !value.is_empty()).collect(),
    }
}

/// Starts this program anew where variables are set by which results would differ in their last bits: without them. A
/// library that is preloaded may be there for another reason, and stays.
///
/// # Errors
/// A program that cannot be started.
pub fn clear() -> io::Result<()> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| is_cleared(name, &value));
    let cleared: Vec<&str> = VARIABLES.iter().copied().filter(is_set).collect();
    if cleared.is_empty() {
        return Ok(());
    }
    // Where stderr is closed there is nobody to tell.
    let said = format!("{} would change the last bits of results and is not used", cleared.join(", "));
    drop(writeln!(io::stderr(), "warning: {said}"));
    let mut anew = Command::new(env::current_exe()?);
    anew.args(env::args_os().skip(1));
    for name in cleared {
        anew.env_remove(name);
    }
    Err(anew.exec())
}

fn is_cleared(name: &str, value: &OsString) -> bool {
    match name {
        "LD_PRELOAD" => false,
        // It tunes more than the choice of functions by the processor.
        "GLIBC_TUNABLES" => value.to_string_lossy().contains("glibc.cpu."),
        _ => !value.is_empty(),
    }
}

/// Warns of variables by which this worker's results may differ from others' in their last bits.
pub fn warn() {
    let variables = current().assignments();
    if !variables.is_empty() {
        tracing::warn!(
            variables,
            "these variables may change the last bits of results: they are comparable only with those of workers for which \
             the same are set; unset them where that is not meant"
        );
    }
}

/// `model name` of /proc/cpuinfo.
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

    #[test]
    fn what_changes_results_is_cleared_and_nothing_else() {
        let is_cleared = |name: &str, value: &str| super::is_cleared(name, &value.into());
        assert!(is_cleared("MKL_CBWR", "COMPATIBLE") && !is_cleared("MKL_CBWR", ""));
        assert!(is_cleared("GLIBC_TUNABLES", "glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX2"));
        assert!(!is_cleared("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=2048"));
        assert!(!is_cleared("LD_PRELOAD", "libjemalloc.so"));
    }
}
