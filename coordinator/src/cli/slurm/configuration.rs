//! What the cluster's configuration says about arrays and about the end of jobs.

use std::process::{Command, Stdio};

use super::error::SlurmError;

/// Maximum seconds of a worker's grace period. Slurm announces the end of a job 120 s before it.
const GRACE_MAX_S: u32 = 100;

/// What the cluster's configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Configuration {
    /// Maximum number of tasks of an array; indices begin at 0.
    pub(super) array_size_max: u32,
    /// Seconds between SIGTERM and SIGKILL at the end of a job.
    pub(super) kill_wait_s: u32,
}

impl Configuration {
    /// Asks Slurm.
    pub(super) fn ask() -> Result<Self, SlurmError> {
        let mut scontrol = Command::new("scontrol");
        let output = scontrol.args(["show", "config"]).stdin(Stdio::null()).output();
        let output = output.map_err(|source| SlurmError::Start { command: "scontrol", source })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(SlurmError::Configuration { status: output.status, message });
        }
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// Reads the output of `scontrol show config`.
    fn parse(text: &str) -> Result<Self, SlurmError> {
        let number = |name| number_of(text, name).ok_or(SlurmError::Setting { name });
        match number("MaxArraySize")? {
            0 => Err(SlurmError::NoArrays),
            array_size_max => Ok(Self { array_size_max, kill_wait_s: number("KillWait")? }),
        }
    }

    /// Seconds of the grace period of a worker: shorter than the time until Slurm kills it.
    pub(super) fn grace_s(self) -> u32 {
        (self.kill_wait_s - self.kill_wait_s.div_ceil(6)).clamp(1, GRACE_MAX_S)
    }

    /// The sizes of the arrays that have this many workers together.
    pub(super) fn arrays(self, workers: u32) -> Vec<u32> {
        let full = workers / self.array_size_max;
        let rest = workers % self.array_size_max;
        let rest = (rest > 0).then_some(rest);
        (0..full).map(|_| self.array_size_max).chain(rest).collect()
    }
}

/// The number at the start of a value, such as 30 in `KillWait                = 30 sec`.
fn number_of(text: &str, name: &str) -> Option<u32> {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then_some(value.trim())
    })?;
    value.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "Configuration data as of 2026-11-29T22:00:00\n\
                         KillOnBadExit           = 0\n\
                         KillWait                = 30 sec\n\
                         MaxArraySize            = 1001\n\
                         Prolog                  = a=b\n";

    #[test]
    fn the_limits_are_read_from_the_output_of_scontrol() {
        let read = Configuration::parse(SHOWN).expect("both are there");
        assert_eq!(read, Configuration { array_size_max: 1001, kill_wait_s: 30 });
        let error = Configuration::parse("KillWait = 30 sec\n").expect_err("no size").to_string();
        assert!(error.contains("no number for MaxArraySize"), "{error}");
        let error = Configuration::parse("KillWait = 30 sec\nMaxArraySize = 0\n").expect_err("no arrays").to_string();
        assert!(error.contains("no job arrays"), "{error}");
    }

    #[test]
    fn the_grace_period_ends_before_slurm_kills() {
        let grace_s = |kill_wait_s| Configuration { array_size_max: 1, kill_wait_s }.grace_s();
        assert_eq!([30, 5, 2, 1, 0, 600].map(grace_s), [25, 4, 1, 1, 1, 100]);
    }

    #[test]
    fn arrays_have_all_workers_and_none_is_too_large() {
        let arrays = |workers| Configuration { array_size_max: 1001, kill_wait_s: 30 }.arrays(workers);
        assert_eq!(arrays(1), [1]);
        assert_eq!(arrays(1001), [1001]);
        assert_eq!(arrays(1002), [1001, 1]);
        assert_eq!(arrays(2500), [1001, 1001, 498]);
    }
}
