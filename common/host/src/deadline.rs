//! The end of the batch job in which this process runs, from Slurm.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use biosweep_common::vocabulary::time::WallTime;
use tokio::process::Command;

use crate::resources::slurm::{JOB_VARIABLE, job_id};

/// The variable with the end of the job in seconds since 1970. Slurm sets it from version 23.02 on.
const END_VARIABLE: &str = "SLURM_JOB_END_TIME";

/// The environment variables that describe the process's job.
pub const VARIABLES: [&str; 2] = [JOB_VARIABLE, END_VARIABLE];

/// The time limit for an answer of `squeue`.
const SQUEUE_WAIT: Duration = Duration::from_secs(5);

/// Why a deadline is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadlineError {
    /// The variable is empty.
    #[error(
        "{END_VARIABLE} is empty: it should be the end of the job in seconds since 1970; set it to that, or unset it"
    )]
    Empty,
    /// The variable is not a number of seconds.
    #[error(
        "{END_VARIABLE} is `{text}`, which is not a time: it should be the end of the job in seconds since 1970; set it to \
         that, or unset it"
    )]
    Unreadable {
        /// The value of the variable.
        text: String,
    },
    /// The deadline has passed.
    #[error(
        "{given_by} {at_s} passed {late_s} s ago: it is in seconds since 1970, and the time is {now_s}; give a later time, \
         or omit it"
    )]
    Past {
        /// The source of the deadline.
        given_by: DeadlineSource,
        /// The deadline, in seconds since 1970.
        at_s: u64,
        /// Seconds since the deadline.
        late_s: u64,
        /// The current time, in seconds since 1970.
        now_s: u64,
    },
}

/// The source of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadlineSource {
    /// The flag on the command line.
    Flag,
    /// The environment variable.
    Variable,
    /// `squeue`.
    Squeue,
}

/// The time at which this process will be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Seconds since 1970.
    pub at_s: u64,
    /// The source of the deadline.
    pub given_by: DeadlineSource,
}

impl Deadline {
    /// The time left until the deadline.
    ///
    /// # Errors
    /// A deadline that has passed.
    pub fn left(self, now: WallTime) -> Result<Duration, DeadlineError> {
        let Self { at_s, given_by } = self;
        let now = Duration::from_millis(now.0);
        let left = Duration::from_secs(at_s).checked_sub(now);
        let now_s = now.as_secs();
        left.ok_or(DeadlineError::Past { given_by, at_s, late_s: now_s.saturating_sub(at_s), now_s })
    }
}

/// The Slurm job according to the environment.
#[derive(Debug, Clone, Default)]
pub struct Job {
    id: Option<String>,
    end: Option<String>,
}

impl Job {
    /// The job of this process's environment.
    #[must_use]
    pub fn of_environment() -> Self {
        Self { id: job_id(), end: env::var_os(END_VARIABLE).map(|value| value.to_string_lossy().into_owned()) }
    }

    /// Whether this process runs in a job. A variable alone may come from somewhere else.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.id.is_some()
    }

    /// The end of the job: from the variable or, where Slurm does not set it, from `squeue`. `None` if it is unknown.
    ///
    /// # Errors
    /// A variable that is not a time.
    pub async fn end(&self) -> Result<Option<Deadline>, DeadlineError> {
        if let Some(text) = &self.end {
            let at_s = parse(text)?;
            return Ok(Some(Deadline { at_s, given_by: DeadlineSource::Variable }));
        }
        let Some(id) = &self.id else { return Ok(None) };
        match ask_squeue(id).await {
            Ok(at_s) => {
                tracing::info!(job = id, at_s, "squeue reports the end of the job, in seconds since 1970");
                Ok(Some(Deadline { at_s, given_by: DeadlineSource::Squeue }))
            }
            Err(why) => {
                tracing::warn!(job = id, why, "the end of the job is unknown; give it with --deadline");
                Ok(None)
            }
        }
    }
}

fn parse(text: &str) -> Result<u64, DeadlineError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DeadlineError::Empty);
    }
    text.parse().map_err(|_| DeadlineError::Unreadable { text: text.escape_debug().take(64).collect() })
}

/// Asks once only, because all jobs of a cluster ask the same server.
async fn ask_squeue(id: &str) -> Result<u64, String> {
    let mut squeue = Command::new("squeue");
    // This time zone and format make the output independent of the machine's settings.
    squeue.args(["-h", "-j", id, "-o", "%e"]).env("TZ", "UTC0").env("SLURM_TIME_FORMAT", "standard");
    squeue.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = match tokio::time::timeout(SQUEUE_WAIT, squeue.output()).await {
        Ok(output) => output.map_err(|error| format!("squeue cannot be started: {error}"))?,
        Err(_) => return Err(format!("squeue did not answer within {} s", SQUEUE_WAIT.as_secs())),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.lines().next().unwrap_or_default().trim();
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("squeue ended with {}: {}", output.status, text.trim()));
    }
    seconds_of(text).ok_or_else(|| format!("squeue says `{text}`"))
}

/// Converts a UTC time such as 2026-11-28T02:10:00 to seconds since 1970.
fn seconds_of(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let is_one = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !is_one {
        return None;
    }
    // Years start in March, so that the leap day is the last day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1;
    // Days from 1 March of the year 0 to 1 January 1970.
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(between).map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

impl std::fmt::Display for DeadlineSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flag => "--deadline",
            Self::Variable => END_VARIABLE,
            Self::Squeue => "the end of the job according to squeue,",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_a_variable_that_is_not_a_time() {
        assert_eq!(parse(" 1790000000\n"), Ok(1_790_000_000));
        for text in ["", "  "] {
            assert_eq!(parse(text), Err(DeadlineError::Empty));
        }
        for text in ["soon", "-5", "1e9", "2026-11-28T02:10:00", "18446744073709551616"] {
            let error = parse(text).expect_err("no time").to_string();
            assert!(error.contains("SLURM_JOB_END_TIME") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn an_error_about_a_past_deadline_names_its_source() {
        let deadline = Deadline { at_s: 100, given_by: DeadlineSource::Variable };
        assert_eq!(deadline.left(WallTime(90_000)), Ok(Duration::from_secs(10)));
        let error = deadline.left(WallTime(160_000)).expect_err("it has passed").to_string();
        assert!(error.starts_with("SLURM_JOB_END_TIME 100 passed 60 s ago"), "{error}");
    }

    #[test]
    fn the_output_of_squeue_is_read_as_utc() {
        let cases = [
            ("1970-01-01T00:00:00", Some(0)),
            ("2000-02-29T12:00:01", Some(951_825_601)),
            ("2026-11-28T02:10:00", Some(1_795_831_800)),
            ("2100-03-01T00:00:00", Some(4_107_542_400)),
            ("N/A", None),
            ("NONE", None),
            ("", None),
            ("2026-13-28T02:10:00", None),
            ("1969-12-31T23:59:59", None),
            ("2026-11-28", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds_of(text), expected, "{text}");
        }
    }
}
