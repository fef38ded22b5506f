//! What the agent traces: each attempt, from its grant to its end; and the trace contexts that reports carry.

use std::collections::BTreeMap;
use std::time::Duration;

use biosweep_common::protocol::messages::{Grant, Held, Report, ToCoordinator};
use biosweep_common::protocol::session::{Input, LaneEnd, Output};
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::trace::{Span, Traceparent};
use biosweep_host::clock::Clock;
use biosweep_host::traces::{FinishedSpan, Traces};

/// The spans of a worker. Without a collector it sends none and passes the contexts of grants on.
pub(super) struct Traced {
    traces: Traces,
    clock: Clock,
    device: String,
    /// The bundle in training, by lane.
    lanes: Vec<TracedLane>,
    /// The contexts of reports that are not acknowledged.
    contexts: BTreeMap<Held, Traceparent>,
}

/// A lane of the bundle in training.
struct TracedLane {
    held: Held,
    /// The span of its grant.
    grant: Option<Traceparent>,
    /// Its span; `None` if it is not traced or has ended.
    open: Option<Open>,
}

/// A span that has not ended.
struct Open {
    begin: Duration,
    rule: &'static str,
    network: &'static str,
    is_revoked: bool,
}

impl Traced {
    /// The spans of a worker that trains on this device.
    pub(super) fn new(traces: Traces, device: String) -> Self {
        Self { traces, clock: Clock::start(), device, lanes: Vec::new(), contexts: BTreeMap::new() }
    }

    /// Ends the spans of lanes that end.
    pub(super) fn on_input(&mut self, input: &Input) {
        match input {
            Input::LaneEnded { lane, end } => self.on_lane_ended(*lane, end),
            Input::BundleDone => self.close("the training ended without a report"),
            _ => {}
        }
    }

    /// Begins the spans of a bundle that will be trained, and writes their contexts into reports.
    pub(super) fn on_output(&mut self, output: &mut Output) {
        match output {
            Output::Train(grant) => self.on_grant(grant),
            Output::Halt { lane, keep: false } => self.on_revoked(*lane),
            Output::Keep(owed) => self.attach(&mut owed.report),
            Output::Send(ToCoordinator::AttemptEnded(report)) => self.attach(report),
            Output::Forget { held, .. } => {
                self.contexts.remove(held);
            }
            _ => {}
        }
    }

    /// Ends all spans: their attempts end without a report.
    pub(super) fn close(&mut self, why: &str) {
        for lane in 0..self.lanes.len() {
            if let Some((span, _)) = self.end(lane) {
                self.traces.send(span.failed(why));
            }
        }
    }

    /// Begins the spans of a bundle. The coordinator has decided which are traced. If it sends no traces, this worker decides.
    fn on_grant(&mut self, grant: &Grant) {
        let begin = self.clock.since_1970();
        let (rule, network) = (grant.shape.rule.name(), grant.shape.network.name());
        let lanes = grant.lanes.iter().map(|lane| {
            let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: lane.trajectory };
            let is_sampled = lane
                .traceparent
                .map_or_else(|| self.traces.contains(held.sweep, held.trajectory), |parent| parent.is_sampled);
            let open = Open { begin, rule, network, is_revoked: false };
            let open = (is_sampled && self.traces.is_on()).then_some(open);
            TracedLane { held, grant: lane.traceparent, open }
        });
        self.lanes = lanes.collect();
        for lane in &self.lanes {
            let context = match lane.open {
                Some(_) => Some(Traceparent::new(lane.held.sweep, train(lane.held), true)),
                None => lane.grant,
            };
            self.contexts.extend(context.map(|context| (lane.held, context)));
        }
    }

    /// Notes that the coordinator took a lane back. Its span ends when training stops.
    fn on_revoked(&mut self, lane: usize) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            self.contexts.remove(&lane.held);
            lane.open.iter_mut().for_each(|open| open.is_revoked = true);
        }
    }

    fn on_lane_ended(&mut self, lane: usize, end: &LaneEnd) {
        let Some((span, open)) = self.end(lane) else { return };
        let span = span.text("outcome", end.outcome.name()).number("updates", end.updates);
        self.traces.send(match (open.is_revoked, end.outcome) {
            (true, _) => span.failed("the coordinator took the trajectory back"),
            (false, Outcome::Failed) => span.failed(end.cause.as_deref().unwrap_or("failed")),
            (false, _) => span,
        });
    }

    fn attach(&self, report: &mut Report) {
        if let Some(context) = self.contexts.get(&report.held) {
            report.traceparent = Some(*context);
        }
    }

    fn end(&mut self, place: usize) -> Option<(FinishedSpan, Open)> {
        let lane = self.lanes.get_mut(place)?;
        let open = lane.open.take()?;
        let time = (open.begin, self.clock.since_1970());
        let span = FinishedSpan::new(lane.held.sweep, train(lane.held), time);
        let span = match lane.grant {
            Some(parent) => span.child_of(parent.span),
            None => span,
        };
        let span = span.text("rule", open.rule).text("network", open.network);
        let span = span.text("device", self.device.clone()).number("lane", place as u64);
        Some((span, open))
    }
}

fn train(held: Held) -> Span {
    Span::Train(held.trajectory, held.attempt)
}
