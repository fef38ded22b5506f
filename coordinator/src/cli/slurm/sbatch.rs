//! The submission of arrays with `sbatch`.

use std::io::{self, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use super::error::{Left, SlurmError};
use super::job::SlurmJob;
use super::script::Script;

/// Arrays to submit.
#[derive(Debug)]
pub(super) struct Submission<'a> {
    /// The script of every array.
    pub(super) script: &'a Script,
    /// The number of workers of each array.
    pub(super) arrays: &'a [u32],
    /// Further flags for sbatch.
    pub(super) flags: &'a [String],
}

/// Seconds before the end of a job at which Slurm announces it, as the script asks.
const ANNOUNCED_S: u64 = 120;

/// Checks that flags for sbatch do not replace the script or the array, and leave the workers time to train.
pub(super) fn check_flags(flags: &[String]) -> Result<(), SlurmError> {
    let refused = |flag: &String, why| Err(SlurmError::Flag { flag: flag.clone(), why });
    if let Some(first) = flags.first().filter(|first| !first.starts_with('-')) {
        return refused(
            first,
            "the script is written by this command; after -- give only flags, such as --time=4:00:00",
        );
    }
    for (at, flag) in flags.iter().enumerate() {
        if time_limit_s(flag, flags.get(at + 1)).is_some_and(|limit_s| (1..=ANNOUNCED_S).contains(&limit_s)) {
            return refused(
                flag,
                "Slurm announces the end of a job two minutes before it, so workers would leave as soon as they start; allow ten \
                 minutes or more",
            );
        }
        let is_array = flag.starts_with("--ar") || flag.starts_with("-a") && flag.len() <= "-a1000000".len();
        if is_array {
            return refused(flag, "--workers sets the array");
        }
        if flag.starts_with("--wr") {
            return refused(
                flag,
                "the script is written by this command; change it with --dry-run, and submit it with sbatch",
            );
        }
    }
    Ok(())
}

/// The seconds of a time limit, if the flag sets one. Its value may be the next word.
fn time_limit_s(flag: &str, next: Option<&String>) -> Option<u64> {
    let value = flag.strip_prefix("--time=").or_else(|| flag.strip_prefix("-t").filter(|value| !value.is_empty()));
    let value = value.or_else(|| next.filter(|_| ["--time", "-t"].contains(&flag)).map(String::as_str));
    seconds(value?)
}

/// The seconds of a duration as sbatch reads it: `minutes[:seconds]`, `hours:minutes:seconds` or `days-hours[:minutes[:seconds]]`.
fn seconds(text: &str) -> Option<u64> {
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    let (days, clock) = text.split_once('-').map_or((None, text), |(days, clock)| (Some(days), clock));
    let parts: Vec<u64> = clock.split(':').map(number).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = match (&*parts, days.is_some()) {
        (&[minutes], false) => [0, minutes, 0],
        (&[minutes, seconds], false) => [0, minutes, seconds],
        (&[hours], true) => [hours, 0, 0],
        (&[hours, minutes], true) => [hours, minutes, 0],
        (&[hours, minutes, seconds], _) => [hours, minutes, seconds],
        _ => return None,
    };
    let days = days.map_or(Some(0), number)?;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

impl Submission<'_> {
    /// Submits the arrays one after the other. Messages of sbatch appear at once, because it may try again for minutes.
    pub(super) fn submit(&self) -> Result<Vec<SlurmJob>, SlurmError> {
        let mut jobs = Vec::new();
        for (at, &workers) in self.arrays.iter().enumerate() {
            let left = |submitted| Left { submitted, workers: self.arrays[at..].iter().sum() };
            let (status, printed) = sbatch(&self.script.text(workers), self.flags)?;
            if !status.success() {
                return Err(SlurmError::Refused { status, workers, left: left(jobs) });
            }
            match job_id(&printed) {
                Some(id) => jobs.push(SlurmJob { id, workers }),
                None => return Err(SlurmError::NoJob { printed, left: left(jobs) }),
            }
        }
        Ok(jobs)
    }
}

/// Runs sbatch and returns how it ended and what it printed.
fn sbatch(script: &str, flags: &[String]) -> Result<(ExitStatus, String), SlurmError> {
    let started = |source| SlurmError::Start { command: "sbatch", source };
    let mut command = Command::new("sbatch");
    // The variable has precedence over the array in the script.
    command.arg("--parsable").args(flags).env_remove("SBATCH_ARRAY_INX");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(started)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(script.as_bytes()) {
            // It has ended before it read the script; its exit status says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.map_err(started)?,
        }
    }
    let output = child.wait_with_output().map_err(started)?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// The number of the job in the output of `sbatch --parsable`: a number, or a number and a cluster with a semicolon between.
fn job_id(printed: &str) -> Option<String> {
    let id = printed.lines().last()?.split(';').next()?.trim();
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_job_is_read_with_and_without_a_cluster() {
        assert_eq!(job_id("17").as_deref(), Some("17"));
        assert_eq!(job_id("17;alpha").as_deref(), Some("17"));
        assert_eq!(job_id("a notice of this site\n17").as_deref(), Some("17"));
        for text in ["", "Submitted batch job 17", "x;17"] {
            assert_eq!(job_id(text), None, "{text}");
        }
    }

    #[test]
    fn flags_that_replace_the_script_or_the_array_are_refused() {
        let check = |flags: &[&str]| check_flags(&flags.iter().map(|&flag| flag.to_owned()).collect::<Vec<_>>());
        for good in [&["--time=1:00:00", "-p", "high"][..], &["--account=a", "--comment", "x"], &[]] {
            check(good).expect("these are fine");
        }
        for bad in [&["--array=0-3"][..], &["-a", "0-3"], &["-a0-3"], &["-p", "high", "--wrap=x"], &["job.sh"]] {
            check(bad).expect_err("these are refused");
        }
    }

    #[test]
    fn a_job_that_is_told_to_leave_when_it_starts_is_refused() {
        let check = |flags: &[&str]| check_flags(&flags.iter().map(|&flag| flag.to_owned()).collect::<Vec<_>>());
        for short in
            [&["--time=2"][..], &["--time", "1:30"], &["-p", "high", "-t", "0:02:00"], &["-t1"], &["--time=0-0:1"]]
        {
            let refused = check(short).expect_err("too short").to_string();
            assert!(refused.contains("allow ten minutes or more"), "{short:?}: {refused}");
        }
        // Zero is no limit. What sbatch does not understand, it refuses itself.
        for good in
            ["--time=3", "--time=2:01", "-t1:00:00", "--time=1-0", "--time=0", "--time=soon", "--time-min=1", "--time="]
        {
            check(&[good]).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for (text, s) in [("1-2:03:04", 93_784), ("1-2", 93_600), ("90", 5_400), ("1:2:3", 3_723)] {
            assert_eq!(seconds(text), Some(s), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_was_submitted_and_what_was_not() {
        let job = |id: &str, workers| SlurmJob { id: id.to_owned(), workers };
        let left = Left { submitted: vec![job("5", 1001), job("6", 1001)], workers: 498 };
        let error = SlurmError::NoJob { printed: String::new(), left }.to_string();
        assert!(error.contains("job 5 with 1001 workers, job 6 with 1001 workers"), "{error}");
        assert!(error.contains("--workers 498") && error.contains("`scancel 5 6`"), "{error}");
        let left = Left { submitted: Vec::new(), workers: 8 };
        let error = SlurmError::NoJob { printed: String::new(), left }.to_string();
        assert!(error.ends_with("nothing was submitted"), "{error}");
    }
}
