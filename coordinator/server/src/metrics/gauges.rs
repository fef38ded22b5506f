//! The numbers that are read when somebody asks: sweeps and trials by state, workers, lanes, the store.

use std::sync::atomic::Ordering;

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_scheduler::status::WorkerCounts;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Label;

/// The numbers of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Every sweep; `None` if the store could not be read. Then nothing is said about sweeps and trials.
    pub sweeps: Option<Vec<SweepView>>,
    /// The workers.
    pub workers: WorkerCounts,
    /// Whether the store can be written.
    pub is_store_writable: bool,
    /// Spans of traces that were dropped.
    pub trace_spans_dropped: u64,
}

/// The gauges.
pub(super) struct Gauges {
    sweeps: Family<Label, Gauge>,
    trials: Family<Label, Gauge>,
    workers: Family<Label, Gauge>,
    lanes: Family<Label, Gauge>,
    store_writable: Gauge,
    trace_spans_dropped: Counter,
}

/// A number that may be greater than a gauge can show.
fn shown(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Sets the gauges of a family.
fn put(family: &Family<Label, Gauge>, label: &'static str, counts: &[(&'static str, u64)]) {
    for &(value, count) in counts {
        family.get_or_create(&[(label, value)]).set(shown(count));
    }
}

impl Gauges {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (sweeps, trials, workers, lanes) =
            (Family::default(), Family::default(), Family::default(), Family::default());
        let store_writable = Gauge::default();
        registry.register("sweeps", "Sweeps in the store, by state", sweeps.clone());
        let help = "Trials of all sweeps, by state; pending and paused trials are those without a result that no worker trains";
        registry.register("trials", help, trials.clone());
        let help = "Workers, by state; a worker in quarantine gets no work, and a disconnected one may come back";
        registry.register("workers", help, workers.clone());
        let help = "Lanes, by state; the free ones are those of connected workers that are not in quarantine";
        registry.register("lanes", help, lanes.clone());
        let help = "Whether the store can be written (1) or not (0); without it nothing is granted";
        registry.register("store_writable", help, store_writable.clone());
        let trace_spans_dropped = Counter::default();
        let help = "Spans of traces that were dropped: too many at once, or the collector did not take them";
        registry.register("trace_spans_dropped", help, trace_spans_dropped.clone());
        Self { sweeps, trials, workers, lanes, store_writable, trace_spans_dropped }
    }

    pub(super) fn set(&self, now: &Snapshot) {
        match &now.sweeps {
            Some(sweeps) => {
                let in_state = |state| sweeps.iter().filter(|sweep| sweep.state == state).count() as u64;
                put(&self.sweeps, "state", &SweepState::ALL.map(|state| (state.name(), in_state(state))));
                put(&self.trials, "state", &trials(sweeps));
            }
            None => {
                self.sweeps.clear();
                self.trials.clear();
            }
        }
        let WorkerCounts { training, idle, quarantined, disconnected, lanes_training, lanes_free } = now.workers;
        let workers =
            [("training", training), ("idle", idle), ("quarantined", quarantined), ("disconnected", disconnected)];
        put(&self.workers, "state", &workers);
        put(&self.lanes, "state", &[("training", lanes_training), ("free", lanes_free)]);
        self.store_writable.set(now.is_store_writable.into());
        self.trace_spans_dropped.inner().store(now.trace_spans_dropped, Ordering::Relaxed);
    }
}

/// The number of trials in each state.
fn trials(sweeps: &[SweepView]) -> [(&'static str, u64); 7] {
    let sum = |of: fn(&SweepView) -> u64| sweeps.iter().map(of).sum();
    let left = |state| {
        let in_state = sweeps.iter().filter(|sweep| sweep.state == state);
        in_state.map(|sweep| sweep.trials.saturating_sub(sweep.ended() + sweep.running)).sum()
    };
    [
        ("pending", left(SweepState::Running)),
        ("paused", left(SweepState::Paused)),
        ("running", sum(|sweep| sweep.running)),
        ("completed", sum(|sweep| sweep.completed)),
        ("diverged", sum(|sweep| sweep.diverged)),
        ("failed", sum(|sweep| sweep.failed)),
        ("cancelled", left(SweepState::Cancelled)),
    ]
}
