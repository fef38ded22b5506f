//! Why workers cannot be submitted to Slurm.

use std::fmt::Write as _;
use std::io;
use std::process::ExitStatus;

use super::job::SlurmJob;

/// Why workers cannot be submitted to Slurm.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlurmError {
    /// A command of Slurm cannot be started.
    #[error(
        "cannot start {command}: {source}; run this where Slurm's commands are on the PATH, such as on a login node"
    )]
    Start {
        /// The command.
        command: &'static str,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The cluster's configuration cannot be read.
    #[error("`scontrol show config` ended with {status}: {message}; check that Slurm's controller is running")]
    Configuration {
        /// How the command ended.
        status: ExitStatus,
        /// What it wrote to stderr.
        message: String,
    },
    /// The cluster's configuration lacks a value.
    #[error(
        "`scontrol show config` gives no number for {name}; print the script with --dry-run elsewhere and submit it with sbatch"
    )]
    Setting {
        /// The name of the value.
        name: &'static str,
    },
    /// The cluster has no arrays.
    #[error("this cluster has no job arrays (MaxArraySize is 0); start `biosweep-worker` in jobs of your own")]
    NoArrays,
    /// A flag for sbatch would replace what this command decides.
    #[error("sbatch must not get `{flag}` here, because {why}")]
    Flag {
        /// The flag.
        flag: String,
        /// What it would replace, and what to do.
        why: &'static str,
    },
    /// The cluster did not take an array. Its message was printed when it came.
    #[error("sbatch ended with {status} for an array of {workers} workers, with the message above; {}", .left.in_words())]
    Refused {
        /// How sbatch ended.
        status: ExitStatus,
        /// The number of workers in the array.
        workers: u32,
        /// What was submitted before, and what was not.
        left: Left,
    },
    /// sbatch succeeded without the number of a job.
    #[error("sbatch printed `{printed}` and not the number of a job; {}", .left.in_words())]
    NoJob {
        /// What it printed.
        printed: String,
        /// What was submitted before, and what was not.
        left: Left,
    },
}

/// A submission that ended too early.
#[derive(Debug)]
pub(super) struct Left {
    /// The jobs that were submitted.
    pub(super) submitted: Vec<SlurmJob>,
    /// The number of workers that were not.
    pub(super) workers: u32,
}

impl Left {
    fn in_words(&self) -> String {
        if self.submitted.is_empty() {
            return "nothing was submitted".to_owned();
        }
        let mut text = "already submitted:".to_owned();
        for SlurmJob { id, workers } in &self.submitted {
            let _fits = write!(text, " job {id} with {workers} workers,");
        }
        let ids: Vec<&str> = self.submitted.iter().map(|job| job.id.as_str()).collect();
        let _fits = write!(
            text,
            " which stay; submit the other {} with --workers {}, or end these with `scancel {}`",
            self.workers,
            self.workers,
            ids.join(" ")
        );
        text
    }
}
