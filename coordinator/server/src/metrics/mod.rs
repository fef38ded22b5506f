//! What is counted and measured, for Prometheus.
//!
//! Counters and histograms change where something happens; gauges are read when somebody asks. No label has a name or an id, so
//! the number of series does not grow with sweeps, trials and workers.
//!
//! | module | contents |
//! |---|---|
//! | this module | the counters and histograms |
//! | `gauges` | the numbers that are read when somebody asks |
//! | `session` | what is measured on the stream of one worker |

mod gauges;
mod session;

use std::fmt;

use biosweep_common::protocol::version::PROTOCOL_VERSION;
use biosweep_common::results::outcome::{Outcome, TrialStatus};
use biosweep_host::clock::Clock;
use biosweep_scheduler::record::Record;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use gauges::Snapshot;
pub(crate) use session::Session;

use gauges::Gauges;

/// The buckets of the time of a commit: from half a millisecond, each twice as long, to 16 s.
const COMMIT_BUCKETS: (f64, f64, u16) = (0.000_5, 2.0, 16);
/// The buckets of the time to a grant: from a millisecond, each four times as long, to 18 minutes.
const LEASE_BUCKETS: (f64, f64, u16) = (0.001, 4.0, 11);
/// The buckets of the number of records in a transaction: from 1, each four times as many, to 16,384.
const RECORD_BUCKETS: (f64, f64, u16) = (1.0, 4.0, 8);

/// One label: its name and its value, of a fixed list.
type Label = [(&'static str, &'static str); 1];

/// The metrics of one coordinator.
pub struct Metrics {
    registry: Registry,
    grants: Counter,
    lanes_granted: Counter,
    /// In the order of [`Outcome::ALL`].
    attempts: [Counter; Outcome::ALL.len()],
    /// In the order of [`TrialStatus::ALL`].
    trials: [Counter; TrialStatus::ALL.len()],
    trials_reused: Counter,
    late_reports: Counter,
    updates: Counter,
    lease_seconds: Histogram,
    commit_seconds: Histogram,
    commit_records: Histogram,
    commit_failures: Counter,
    gauges: Gauges,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A counter for each value of a label. All of them exist from the start, so that a rate is known from the first event on.
fn by<const N: usize>(family: &Family<Label, Counter>, label: &'static str, values: [&'static str; N]) -> [Counter; N] {
    values.map(|value| family.get_or_create_owned(&[(label, value)]))
}

fn histogram((start, factor, length): (f64, f64, u16)) -> Histogram {
    Histogram::new(exponential_buckets(start, factor, length))
}

impl Metrics {
    /// The metrics of a coordinator that starts now.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let mut registry = Registry::default();
        let versions = vec![
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("protocol_version", PROTOCOL_VERSION.to_string()),
            ("numerics_version", biosweep_common::configuration::NUMERICS_VERSION.to_string()),
        ];
        registry.register("biosweep_build", "The versions of this program", Info::new(versions));
        let started_s = clock.wall().0 as f64 / 1_000.0 - clock.seconds();
        let help = "Time at which the coordinator started, in seconds since 1970";
        registry.register_with_unit("process_start_time", help, Unit::Seconds, ConstGauge::new(started_s));

        let of = registry.sub_registry_with_prefix("biosweep");
        let grants = Counter::default();
        of.register("grants", "Bundles that were granted to workers", grants.clone());
        let lanes_granted = Counter::default();
        of.register("lanes_granted", "Trajectories in the granted bundles", lanes_granted.clone());
        let attempts = Family::default();
        of.register("attempts", "Attempts that have ended, by outcome", attempts.clone());
        let trials = Family::default();
        of.register("trials_ended", "Trials that have got a result, by status", trials.clone());
        let trials_reused = Counter::default();
        let help = "Trials whose result was taken over from another trial, without training";
        of.register("trials_reused", help, trials_reused.clone());
        let late_reports = Counter::default();
        let help = "Reports under an attempt that no longer held its trajectory; they never count";
        of.register("late_reports", help, late_reports.clone());
        let updates = Counter::default();
        let help = "Training updates that workers have reported; after a checkpoint, from the first report on";
        of.register("updates", help, updates.clone());
        let lease_seconds = histogram(LEASE_BUCKETS);
        let help = "Time from a worker's request for work to its grant, the time without work included";
        of.register_with_unit("lease_wait", help, Unit::Seconds, lease_seconds.clone());
        let commit_seconds = histogram(COMMIT_BUCKETS);
        let help = "Time of a transaction of the store, from its begin to its commit, with all attempts to write it";
        of.register_with_unit("store_commit_duration", help, Unit::Seconds, commit_seconds.clone());
        let commit_records = histogram(RECORD_BUCKETS);
        of.register("store_commit_records", "Records in a transaction of the store", commit_records.clone());
        let commit_failures = Counter::default();
        let help = "Attempts to write a transaction that failed or took too long";
        of.register("store_commit_failures", help, commit_failures.clone());
        let gauges = Gauges::new(of);
        Self {
            grants,
            lanes_granted,
            attempts: by(&attempts, "outcome", Outcome::ALL.map(Outcome::name)),
            trials: by(&trials, "status", TrialStatus::ALL.map(TrialStatus::name)),
            trials_reused,
            late_reports,
            updates,
            lease_seconds,
            commit_seconds,
            commit_records,
            commit_failures,
            gauges,
            registry,
        }
    }

    /// Counts a transaction that is committed, `seconds` after its begin.
    pub(crate) fn on_commit(&self, records: &[Record], seconds: f64) {
        self.commit_seconds.observe(seconds);
        self.commit_records.observe(records.len() as f64);
        for record in records {
            match record {
                Record::Leased(row) => {
                    self.grants.inc();
                    self.lanes_granted.inc_by(row.count);
                }
                Record::Ended(ending) => {
                    self.attempts[ending.outcome as usize].inc();
                    for result in &ending.results {
                        self.trials[result.status as usize].inc();
                    }
                }
                Record::Reused { trajectories, .. } => {
                    for result in trajectories.iter().flat_map(|row| &row.results) {
                        self.trials[result.status as usize].inc();
                        self.trials_reused.inc();
                    }
                }
                Record::Late { .. } => drop(self.late_reports.inc()),
                _ => {}
            }
        }
    }

    /// Counts an attempt to write a transaction that failed or took too long.
    pub(crate) fn on_commit_failed(&self) {
        self.commit_failures.inc();
    }

    /// The metrics as text for Prometheus, with the numbers of this moment.
    #[must_use]
    pub fn text(&self, now: &Snapshot) -> String {
        self.gauges.set(now);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("memory takes a text");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_counters_is_that_of_the_lists() {
        assert!(Outcome::ALL.iter().enumerate().all(|(place, &outcome)| outcome as usize == place));
        assert!(TrialStatus::ALL.iter().enumerate().all(|(place, &status)| status as usize == place));
    }
}
