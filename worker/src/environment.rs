//! Environment variables that change the last bits of results.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use biosweep_common::workers::environment::VARIABLES;
use biosweep_engine::torch::environment::current;

/// Restarts this program without the environment variables that change the last bits of results. A preloaded library
/// stays, because it may have another purpose.
///
/// # Errors
/// The program cannot be started.
pub fn clear() -> io::Result<()> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| is_cleared(name, &value));
    let cleared: Vec<&str> = VARIABLES.iter().copied().filter(is_set).collect();
    if cleared.is_empty() {
        return Ok(());
    }
    // The result does not matter if stderr is closed.
    let message = format!("{} would change the last bits of results and is not used", cleared.join(", "));
    drop(writeln!(io::stderr(), "warning: {message}"));
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
        // It tunes more than the choice of functions by processor.
        "GLIBC_TUNABLES" => value.to_string_lossy().contains("glibc.cpu."),
        _ => !value.is_empty(),
    }
}

/// Warns of environment variables that may change the last bits of this worker's results.
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

#[cfg(test)]
mod tests {

    #[test]
    fn what_changes_results_is_cleared_and_nothing_else() {
        let is_cleared = |name: &str, value: &str| super::is_cleared(name, &value.into());
        assert!(is_cleared("MKL_CBWR", "COMPATIBLE") && !is_cleared("MKL_CBWR", ""));
        assert!(is_cleared("GLIBC_TUNABLES", "glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX2"));
        assert!(!is_cleared("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=2048"));
        assert!(!is_cleared("LD_PRELOAD", "libjemalloc.so"));
    }
}
