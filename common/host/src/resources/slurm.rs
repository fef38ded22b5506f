//! The limits of this process's Slurm job, from its environment. Outside of a job the variables are ignored: they may come
//! from somewhere else.

use std::env;

/// The id of the job. Slurm sets it in every job.
pub(crate) const JOB_VARIABLE: &str = "SLURM_JOB_ID";

const CPUS_PER_TASK: &str = "SLURM_CPUS_PER_TASK";
const CPUS_ON_NODE: &str = "SLURM_CPUS_ON_NODE";
const MEMORY_PER_NODE: &str = "SLURM_MEM_PER_NODE";
const MEMORY_PER_CPU: &str = "SLURM_MEM_PER_CPU";

/// The MB of Slurm are MiB.
const MB: u64 = 1 << 20;

/// A variable of the job that is not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{text}`, which is not {takes}; set it to what the job has, or unset it")]
pub struct AllocationError {
    /// The name of the variable.
    variable: &'static str,
    /// Its value.
    text: String,
    /// What it takes.
    takes: &'static str,
}

/// What Slurm allocated to this process, as far as it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Allocation {
    /// The CPUs of the task.
    pub(super) cpus: Option<u64>,
    /// Bytes of memory on this machine.
    pub(super) memory_bytes: Option<u64>,
}

/// The id of the Slurm job of this process; `None` outside of a job.
pub(crate) fn job_id() -> Option<String> {
    variable(JOB_VARIABLE).filter(|id| !id.trim().is_empty())
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl Allocation {
    /// The allocation of this process's job; no limits outside of a job.
    pub(super) fn of_environment() -> Result<Self, AllocationError> {
        if job_id().is_some() { Self::read(variable) } else { Ok(Self::default()) }
    }

    /// The allocation according to these variables of a job.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, AllocationError> {
        let number = |name, min: u64, takes| {
            let Some(text) = variable(name) else { return Ok(None) };
            match text.trim().parse::<u64>() {
                Ok(number) if number >= min => Ok(Some(number)),
                _ => Err(AllocationError { variable: name, text: text.escape_debug().take(64).collect(), takes }),
            }
        };
        let cpus = |name| number(name, 1, "a number of CPUs above 0");
        let megabytes = |name| number(name, 0, "a number of MB");
        let of_task = cpus(CPUS_PER_TASK)?;
        let per_node = megabytes(MEMORY_PER_NODE)?;
        let per_cpu = match megabytes(MEMORY_PER_CPU)? {
            // A task has one CPU if Slurm names no other number.
            Some(per_cpu) => Some(per_cpu.saturating_mul(of_task.or(cpus(CPUS_ON_NODE)?).unwrap_or(1))),
            None => None,
        };
        // `--mem=0` requests all memory of the machine.
        let megabytes = per_node.into_iter().chain(per_cpu).filter(|&megabytes| megabytes > 0).min();
        Ok(Self { cpus: of_task, memory_bytes: megabytes.map(|megabytes| megabytes.saturating_mul(MB)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Allocation, AllocationError> {
        Allocation::read(|name| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_cpus_and_the_memory_of_a_job_are_read() {
        let (cpus, node, each) = (CPUS_PER_TASK, MEMORY_PER_NODE, MEMORY_PER_CPU);
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<u64>, Option<u64>);
        let cases: [Case<'_>; 9] = [
            (&[], None, None),
            (&[(cpus, "4")], Some(4), None),
            (&[(cpus, " 4\n"), (node, "2048")], Some(4), Some(2 << 30)),
            (&[(node, "0")], None, None),
            (&[(each, "512")], None, Some(512 << 20)),
            (&[(each, "512"), (CPUS_ON_NODE, "2")], None, Some(1 << 30)),
            (&[(each, "512"), (CPUS_ON_NODE, "16"), (cpus, "4")], Some(4), Some(2 << 30)),
            (&[(each, "1024"), (cpus, "4"), (node, "2048")], Some(4), Some(2 << 30)),
            (&[(node, "18446744073709551615")], None, Some(u64::MAX)),
        ];
        for (variables, cpus, memory_bytes) in cases {
            assert_eq!(read(variables), Ok(Allocation { cpus, memory_bytes }), "{variables:?}");
        }
    }

    #[test]
    fn an_error_names_the_variable_that_is_not_a_number() {
        for (name, text) in [
            (CPUS_PER_TASK, "many"),
            (CPUS_PER_TASK, "0"),
            (CPUS_PER_TASK, "-1"),
            (MEMORY_PER_NODE, "2G"),
            (MEMORY_PER_NODE, ""),
            (MEMORY_PER_CPU, "1.5"),
        ] {
            let error = read(&[(name, text)]).expect_err("no number").to_string();
            assert!(error.starts_with(&format!("{name} is `{text}`, which is not a number of ")), "{error}");
        }
        let error = read(&[(CPUS_ON_NODE, "2(x3)"), (MEMORY_PER_CPU, "512")]).expect_err("no number").to_string();
        assert!(error.starts_with("SLURM_CPUS_ON_NODE is `2(x3)`"), "{error}");
    }
}
