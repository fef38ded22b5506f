//! What the loop traces: grants, from the decision until they are sent, and ends of attempts, from their report to their commit.

use std::collections::BTreeMap;
use std::time::Duration;

use biosweep_common::protocol::messages::{Grant, Held, Report, ToCoordinator, ToWorker};
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::Attempt;
use biosweep_common::vocabulary::trace::{Span, Traceparent};
use biosweep_host::clock::Clock;
use biosweep_host::traces::{FinishedSpan, Traces};
use biosweep_scheduler::record::{Ending, LeaseRow, Record};

/// The spans of the loop. Without a collector it remembers nothing.
pub(super) struct Traced {
    traces: Traces,
    clock: Clock,
    /// The reports received since the latest transaction began.
    received: BTreeMap<Held, Received>,
    /// The reports received before. Their ends are records of that transaction, or they change nothing.
    writing: BTreeMap<Held, Received>,
    /// The grants of the latest transaction: the time of the decision, and the name of the worker.
    granted: BTreeMap<Attempt, (Duration, String)>,
}

/// A report that was received.
struct Received {
    at: Duration,
    parent: Option<Traceparent>,
}

impl Traced {
    pub(super) const fn new(traces: Traces, clock: Clock) -> Self {
        Self { traces, clock, received: BTreeMap::new(), writing: BTreeMap::new(), granted: BTreeMap::new() }
    }

    /// Notes the reports among messages received at this time since 1970.
    pub(super) fn on_received(&mut self, at: Duration, messages: &[ToCoordinator]) {
        if !self.traces.is_on() {
            return;
        }
        for message in messages {
            if let ToCoordinator::AttemptEnded(report) = message {
                let Report { held, traceparent, .. } = **report;
                self.received.entry(held).or_insert(Received { at, parent: traceparent });
            }
        }
    }

    /// Notes that a transaction begins with everything that was decided so far.
    pub(super) fn on_begin(&mut self) {
        self.writing = std::mem::take(&mut self.received);
    }

    /// Sends the spans of the ends in a transaction that is committed, and notes its grants.
    pub(super) fn on_commit(&mut self, records: &[Record]) {
        if !self.traces.is_on() {
            return;
        }
        self.granted.clear();
        for record in records {
            match record {
                Record::Leased(LeaseRow { attempt, worker_name, at, .. }) => {
                    self.granted.insert(*attempt, (Duration::from_millis(at.0), worker_name.clone()));
                }
                Record::Ended(ending) => {
                    let Ending { sweep, trajectory, attempt, outcome, .. } = **ending;
                    let why = match outcome {
                        Outcome::Failed | Outcome::WorkerLost => {
                            Some(ending.cause.as_deref().unwrap_or_else(|| outcome.name()))
                        }
                        Outcome::Completed | Outcome::Diverged | Outcome::Preempted | Outcome::Cancelled => None,
                    };
                    self.send_end(Held { sweep, trajectory, attempt }, outcome, why);
                }
                &Record::Late { sweep, trajectory, attempt, outcome, .. } => {
                    let why = "a late report: the attempt no longer holds the trajectory";
                    self.send_end(Held { sweep, trajectory, attempt }, outcome, Some(why));
                }
                _ => {}
            }
        }
    }

    /// Sends the span of an end that is committed now. An end without a report is a child of the grant.
    fn send_end(&self, held: Held, outcome: Outcome, why: Option<&str>) {
        let Held { sweep, trajectory, attempt } = held;
        let report = self.writing.get(&held);
        let parent = report.and_then(|report| report.parent);
        if !parent.map_or_else(|| self.traces.contains(sweep, trajectory), |parent| parent.is_sampled) {
            return;
        }
        let now = self.clock.since_1970();
        let (span, begin) = match report {
            Some(report) => (Span::Result(trajectory, attempt), report.at),
            None => (Span::End(trajectory, attempt), now),
        };
        let parent = parent.map_or_else(|| Span::Grant(trajectory, attempt).id(sweep), |parent| parent.span);
        let finished = FinishedSpan::new(sweep, span, (begin, now)).child_of(parent).text("outcome", outcome.name());
        self.traces.send(match why {
            Some(why) => finished.failed(why),
            None => finished,
        });
    }

    /// Sends the spans of the grants among messages to a worker, and writes them into the messages as parents.
    pub(super) fn on_sent(&self, messages: &mut [ToWorker]) {
        if !self.traces.is_on() {
            return;
        }
        for message in messages {
            if let ToWorker::Grant(grant) = message {
                self.grant(grant);
            }
        }
    }

    fn grant(&self, grant: &mut Grant) {
        let (sweep, attempt, now) = (grant.sweep, grant.attempt, self.clock.since_1970());
        let (begin, worker) = self.granted.get(&attempt).map_or((now, ""), |(at, worker)| (*at, worker));
        for lane in &mut grant.lanes {
            let (span, is_sampled) =
                (Span::Grant(lane.trajectory, attempt), self.traces.contains(sweep, lane.trajectory));
            lane.traceparent = Some(Traceparent::new(sweep, span, is_sampled));
            if is_sampled {
                let finished = FinishedSpan::new(sweep, span, (begin, now)).child_of(Span::Submit.id(sweep));
                self.traces.send(finished.text("worker", worker.to_owned()));
            }
        }
    }
}
