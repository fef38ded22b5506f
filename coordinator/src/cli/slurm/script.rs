//! The batch script of an array of workers.

use biosweep_common::vocabulary::ids::SweepId;

/// How the workers of an array reach the coordinator. The script has it in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CoordinatorAccess {
    /// By its address.
    Url(String),
    /// By a connection file.
    File(String),
}

impl CoordinatorAccess {
    /// The worker's flag and its value.
    fn flag(&self) -> (&'static str, &str) {
        match self {
            Self::Url(url) => ("--coordinator", url),
            Self::File(path) => ("--connection", path),
        }
    }
}

/// What the scripts of one submission have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The name of the sweep.
    pub(super) name: String,
    /// The id of the sweep.
    pub(super) sweep: SweepId,
    /// The program of the workers, as the nodes find it.
    pub(super) worker: String,
    /// How they reach the coordinator.
    pub(super) access: CoordinatorAccess,
    /// Further flags of the workers, with their values.
    pub(super) flags: Vec<(&'static str, String)>,
}

/// The directives that are always the same, and the lines before the worker.
const BEFORE: &str = r#"#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR2@120

task=${SLURM_ARRAY_JOB_ID:?submit this script with sbatch, as an array}_$SLURM_ARRAY_TASK_ID

# Slurm sends these signals to the worker, too. The worker then writes its checkpoints and leaves, and this shell waits for its
# exit code. With `trap ''` the worker would ignore the signals, because a child process inherits that.
trap : TERM USR2

srun --kill-on-bad-exit=0 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} \
"#;

/// The lines after the worker.
const AFTER: &str = r#"code=$?

# Only a running task is requeued. After scancel and after a requeue by an administrator, its state is COMPLETING. Another requeue
# would then succeed, and would undo the cancellation.
requeue() {
    state=$(squeue --noheader --jobs="$task" --format=%T) || return 1
    [ "$state" != RUNNING ] || scontrol requeue "$task"
}

# 75: the worker was asked to leave, and work is left. Slurm's controller may be restarting, so a failed command is tried again.
if [ "$code" -eq 75 ]; then
    for pause in 1 2 4 8 16 32 64 0; do
        requeue && exit 75
        sleep "$pause"
    done
    echo "task $task could not be requeued; other workers train its trials, or submit another one" >&2
fi
exit "$code"
"#;

impl Script {
    /// The script of an array with this many workers, at least one.
    pub(super) fn text(&self, workers: u32) -> String {
        let Self { name, sweep, worker, access, flags } = self;
        let (job, last, worker) = (job_name(name), workers.saturating_sub(1), quoted(worker));
        let mut text = format!(
            "#!/bin/sh\n\
             # Workers for the sweep {name} ({sweep}): each task of this array is one worker.\n\
             # `biosweep slurm submit` writes this script.\n\
             #SBATCH --job-name={job}\n\
             #SBATCH --array=0-{last}\n\
             {BEFORE}    {worker} --name \"$SLURMD_NODENAME/$task\""
        );
        let flags = flags.iter().map(|(flag, value)| (*flag, value.as_str()));
        for (flag, value) in [access.flag()].into_iter().chain(flags) {
            text.push_str(&format!(" \\\n    {flag} {}", quoted(value)));
        }
        text.push('\n');
        text.push_str(AFTER);
        text
    }
}

/// The name of the job: that of the sweep, without characters that a directive of sbatch does not take.
fn job_name(sweep: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    format!("biosweep-{}", sweep.replace(|character| !plain(character), "_"))
}

/// A word as the shell reads it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:,=@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn script() -> Script {
        Script {
            name: "my-sweep".to_owned(),
            sweep: "019acf2e-7d31-7c6c-9b1f-3d5a0e6f2b84".parse().expect("an id"),
            worker: "/home/alice/biosweep/biosweep-worker".to_owned(),
            access: CoordinatorAccess::Url("http://login.example:7465".to_owned()),
            flags: vec![
                ("--home", "/home/alice/.local/share/biosweep".to_owned()),
                ("--idle-exit", "300".to_owned()),
                ("--grace", "25".to_owned()),
            ],
        }
    }

    #[test]
    fn the_example_in_deploy_is_what_is_written() {
        let example = include_str!("../../../../deploy/slurm/worker.sh");
        let written = script().text(8);
        assert_eq!(written, example, "deploy/slurm/worker.sh differs; this is written now:\n{written}");
    }

    #[test]
    fn the_shell_reads_every_path_as_it_is() {
        for word in ["plain/path.x", "", "with space", "it's", "$HOME `id` \"x\" \\", "ä*?[a]~"] {
            let line = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &line]).output().expect("there is a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{line}");
        }
    }

    #[test]
    fn a_job_has_a_plain_name() {
        assert_eq!(job_name("my-sweep_2.1"), "biosweep-my-sweep_2.1");
        assert_eq!(job_name("two words, ä \""), "biosweep-two_words_____");
    }
}
