//! The time at which a batch job ends, as Slurm tells it.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use biosweep_common::time::WallTime;
use tokio::process::Command;

/// The end of a job in seconds since 1970, from Slurm 23.02 on.
const END_VARIABLE: &str = "SLURM_JOB_END_TIME";
const JOB_VARIABLE: &str = "SLURM_JOB_ID";

/// What tells a process of the job that it runs in.
pub const VARIABLES: [&str; 2] = [JOB_VARIABLE, END_VARIABLE];

/// How long `squeue` may take to answer.
const SQUEUE_WAIT: Duration = Duration::from_secs(5);

/// A deadline that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadlineError {
    /// The variable holds nothing.
    #[error(
        "{END_VARIABLE} is empty: it should hold the end of the job in seconds since 1970; set it to that, or unset it"
    )]
    Empty,
    /// The variable holds no time.
    #[error(
        "{END_VARIABLE} is `{text}`, which is no time: it should hold the end of the job in seconds since 1970; set it to \
         that, or unset it"
    )]
    Unreadable {
        /// What it holds.
        text: String,
    },
    /// The deadline has passed.
    #[error(
        "{origin} {at_s} has passed {late_s} s ago: it counts seconds since 1970, and now is {now_s}; name a moment to come, \
         or leave it out"
    )]
    Past {
        /// Who named it.
        origin: Origin,
        /// The deadline.
        at_s: u64,
        /// How long it is gone.
        late_s: u64,
        /// The present time.
        now_s: u64,
    },
}

/// Who named a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The variable.
    Variable,
    /// `squeue`.
    Squeue,
}

/// When this process will be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Seconds since 1970.
    pub at_s: u64,
    /// Who named it.
    pub origin: Origin,
}

impl Deadline {
    /// How long it is until then.
    ///
    /// # Errors
    /// A deadline that has passed.
    pub fn left(self, now: WallTime) -> Result<Duration, DeadlineError> {
        let Self { at_s, origin } = self;
        let now = Duration::from_millis(now.0);
        let left = Duration::from_secs(at_s).checked_sub(now);
        let now_s = now.as_secs();
        left.ok_or(DeadlineError::Past { origin, at_s, late_s: now_s.saturating_sub(at_s), now_s })
    }
}

/// What the environment says of a Slurm job.
#[derive(Debug, Clone, Default)]
pub struct Job {
    id: Option<String>,
    end: Option<String>,
}

impl Job {
    /// The one this process runs in, if any.
    #[must_use]
    pub fn of_environment() -> Self {
        let text = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self { id: text(JOB_VARIABLE).filter(|id| !id.trim().is_empty()), end: text(END_VARIABLE) }
    }

    /// Whether this process runs in a job, rather than with a variable of another place.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.id.is_some()
    }

    /// When it ends: by the variable or, where Slurm sets none, by `squeue`. `None` where nobody knows.
    ///
    /// # Errors
    /// A variable that holds no time.
    pub async fn end(&self) -> Result<Option<Deadline>, DeadlineError> {
        if let Some(text) = &self.end {
            let at_s = parse(text)?;
            return Ok(Some(Deadline { at_s, origin: Origin::Variable }));
        }
        let Some(id) = &self.id else { return Ok(None) };
        match ask_squeue(id).await {
            Ok(at_s) => {
                tracing::info!(job = id, at_s, "squeue says when the job ends, in seconds since 1970");
                Ok(Some(Deadline { at_s, origin: Origin::Squeue }))
            }
            Err(why) => {
                tracing::warn!(job = id, why, "nobody says when the job ends; --deadline can tell it");
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

/// Asks once: every job of a cluster asks the same server.
async fn ask_squeue(id: &str) -> Result<u64, String> {
    let mut squeue = Command::new("squeue");
    // In this time zone and form it can be read without knowing the machine's.
    squeue.args(["-h", "-j", id, "-o", "%e"]).env("TZ", "UTC0").env("SLURM_TIME_FORMAT", "standard");
    squeue.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = match tokio::time::timeout(SQUEUE_WAIT, squeue.output()).await {
        Ok(output) => output.map_err(|error| format!("squeue cannot be started: {error}"))?,
        Err(_) => return Err(format!("squeue did not answer within {} s", SQUEUE_WAIT.as_secs())),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.lines().next().unwrap_or_default().trim();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("squeue ended with {}: {}", output.status, said.trim()));
    }
    seconds_of(said).ok_or_else(|| format!("squeue says `{said}`"))
}

/// The seconds since 1970 at a time of UTC written as 2026-11-28T02:10:00.
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
    // Years begin in March, so that the day that some lack comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1;
    // Days from March of the year 0 to 1970.
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(between).map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Flag => "--deadline",
            Self::Variable => END_VARIABLE,
            Self::Squeue => "the end of the job that squeue tells,",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_holds_no_time_is_named() {
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
    fn a_deadline_that_has_passed_says_who_named_it() {
        let deadline = Deadline { at_s: 100, origin: Origin::Variable };
        assert_eq!(deadline.left(WallTime(90_000)), Ok(Duration::from_secs(10)));
        let error = deadline.left(WallTime(160_000)).expect_err("it has passed").to_string();
        assert!(error.starts_with("SLURM_JOB_END_TIME 100 has passed 60 s ago"), "{error}");
    }

    #[test]
    fn what_squeue_says_is_read_as_a_time_of_utc() {
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
