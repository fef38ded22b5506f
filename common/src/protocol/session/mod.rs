//! The worker's side of the protocol, as a pure state machine: inputs are events, outputs are actions.
//!
//! ```text
//!          ┌────────────── bundle done ──────────────┐
//!          ▼                                          │
//! idle (polls) ──grant──▶ training ──lane ended──▶ report, kept until acknowledged
//!    └──────── told to leave ────────┴──▶ leaving ──nothing held──▶ gone
//! ```
//!
//! A lost connection does not change the state: training continues, reports are kept, and everything is presented
//! again.

mod events;

use std::collections::{BTreeMap, BTreeSet};

use crate::configuration::NUMERICS_VERSION;
use crate::protocol::bounds::HELD_MAX;
use crate::protocol::messages::{Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription};
use crate::results::curve::CurvePoint;
use crate::results::outcome::Outcome;
use crate::vocabulary::ids::{Attempt, StoreId, TrajectoryIndex, WorkerId};

pub use events::{Input, LaneEnd, Output, Owed};

/// The state of the worker's side.
#[derive(Debug, Clone)]
pub struct Session {
    worker: WorkerId,
    description: WorkerDescription,
    /// The store of the last coordinator.
    store: Option<StoreId>,
    /// The greatest number of a coordinator of each store.
    epochs: BTreeMap<Option<StoreId>, u64>,
    training: Option<Training>,
    /// Reports without acknowledgement. The key has the store, because two stores may have equal attempt numbers.
    unacknowledged: BTreeMap<ReportKey, Report>,
    /// Reports for another store than that of this coordinator. They stay on disk until a coordinator with that store
    /// connects.
    set_aside: BTreeSet<ReportKey>,
    leaving: bool,
}

/// The identity of a report.
type ReportKey = (Option<StoreId>, Attempt, TrajectoryIndex);

/// The bundle in training.
#[derive(Debug, Clone)]
struct Training {
    /// The store of the coordinator that granted it.
    store: Option<StoreId>,
    lanes: Vec<HeldLane>,
}

#[derive(Debug, Clone, Copy)]
struct HeldLane {
    held: Held,
    state: LaneState,
}

/// ```text
/// Running ──the trainer ends it──▶ Over
///    └──the coordinator takes it back──▶ Forgotten
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LaneState {
    Running,
    Forgotten,
    Over,
}

impl Session {
    /// A worker that holds only reports of an earlier process.
    #[must_use]
    pub fn new(worker: WorkerId, description: WorkerDescription, owed: Vec<Owed>) -> Self {
        let keyed = owed.into_iter().map(|Owed { store, report }| (key(store, report.held), report));
        let (unacknowledged, set_aside) = (keyed.collect(), BTreeSet::new());
        Self {
            worker,
            description,
            store: None,
            epochs: BTreeMap::new(),
            training: None,
            unacknowledged,
            set_aside,
            leaving: false,
        }
    }

    /// Applies an event and returns the actions that follow.
    pub fn apply(&mut self, input: Input) -> Vec<Output> {
        match input {
            Input::Connected => vec![Output::Send(ToCoordinator::Hello(self.hello()))],
            Input::Received(message) => self.on_message(message),
            Input::Evaluated { lane, point } => self.evaluated(lane, point),
            Input::LaneEnded { lane, end } => self.lane_ended(lane, end),
            Input::BundleDone => {
                self.training = None;
                self.next()
            }
            Input::HeartbeatDue(updates) => vec![Output::Send(self.heartbeat(&updates))],
            Input::Leave => self.leave(),
        }
    }

    /// Whether it holds nothing: no bundle in training, and no report that this coordinator could acknowledge.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.training.is_none() && self.owed().all(|(key, _)| self.set_aside.contains(key))
    }

    /// Whether no bundle is in training.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.training.is_none()
    }

    fn hello(&self) -> Hello {
        let running = self.running().map(|(_, held)| held);
        let finished = self.owed().map(|(_, report)| report.held);
        Hello {
            worker: self.worker,
            description: self.description.clone(),
            numerics_version: NUMERICS_VERSION,
            // Reports beyond the maximum are sent all the same. If the trajectory runs elsewhere by then, they are late
            // reports.
            held: running.chain(finished).take(HELD_MAX).collect(),
        }
    }

    fn on_message(&mut self, message: ToWorker) -> Vec<Output> {
        match message {
            ToWorker::Welcome { heartbeat_ms, store, epoch } => {
                let newest = self.epochs.entry(store).or_default();
                if epoch < *newest {
                    return vec![Output::Reconnect];
                }
                *newest = epoch;
                self.store = store;
                self.set_aside.clear();
                let mut outputs = vec![Output::Beat { every_ms: heartbeat_ms }];
                let reports = self.owed().map(|(_, report)| Box::new(report.clone()));
                outputs.extend(reports.map(|report| Output::Send(ToCoordinator::AttemptEnded(report))));
                outputs.extend(self.next());
                outputs
            }
            ToWorker::Grant(grant) => self.granted(grant),
            ToWorker::Acknowledged { attempt, trajectories, accepted } => {
                let each = trajectories.into_iter();
                each.flat_map(|trajectory| self.acknowledged(attempt, trajectory, accepted)).collect()
            }
            ToWorker::Stop { attempt, trajectories, .. } => {
                let halted = self.forget(attempt, &trajectories);
                let halted = halted.into_iter().map(|lane| Output::Halt { lane, keep: false });
                let mut outputs: Vec<Output> = halted.collect();
                let stopped = self.owed().map(|(&key, _)| key);
                let stopped: Vec<ReportKey> =
                    stopped.filter(|key| key.1 == attempt && trajectories.contains(&key.2)).collect();
                self.set_aside.extend(stopped);
                if self.leaving {
                    outputs.extend(self.next());
                }
                outputs
            }
            ToWorker::HandBack { attempt, trajectories, .. } => {
                let meant = |held: Held| held.attempt == attempt && trajectories.contains(&held.trajectory);
                let lanes = self.running().filter(|&(_, held)| meant(held));
                lanes.map(|(lane, _)| Output::Halt { lane, keep: true }).collect()
            }
            ToWorker::Drain { .. } => self.leave(),
        }
    }

    fn acknowledged(&mut self, attempt: Attempt, trajectory: TrajectoryIndex, accepted: bool) -> Vec<Output> {
        let mut outputs = Vec::new();
        let meant = self.owed().find(|(key, _)| (key.1, key.2) == (attempt, trajectory)).map(|(&key, _)| key);
        if let Some(key) = meant
            && let Some(report) = self.unacknowledged.remove(&key)
        {
            self.set_aside.remove(&key);
            outputs.push(Output::Forget { store: key.0, held: report.held });
            if accepted && matches!(report.outcome, Outcome::Completed | Outcome::Diverged) {
                outputs.push(Output::Discard(report.held));
            }
        }
        if self.leaving {
            outputs.extend(self.next());
        }
        outputs
    }

    fn granted(&mut self, grant: Box<Grant>) -> Vec<Output> {
        let held = grant.lanes.iter().map(|lane| Held {
            sweep: grant.sweep,
            attempt: grant.attempt,
            trajectory: lane.trajectory,
        });
        let held: Vec<Held> = held.collect();
        if self.training.is_some() || self.leaving {
            // The grant crossed with the message that this worker leaves, so the bundle is returned untouched.
            return held.into_iter().flat_map(|held| self.report(self.store, held, LaneEnd::untouched())).collect();
        }
        let lanes = held.into_iter().map(|held| HeldLane { held, state: LaneState::Running }).collect();
        self.training = Some(Training { store: self.store, lanes });
        vec![Output::Train(grant)]
    }

    /// Drops lanes that this worker no longer holds, and returns the indices of those in training.
    fn forget(&mut self, attempt: Attempt, trajectories: &[TrajectoryIndex]) -> Vec<usize> {
        let mut halted = Vec::new();
        let lanes = self.training.iter_mut().flat_map(|training| training.lanes.iter_mut().enumerate());
        for (place, lane) in lanes {
            let meant = lane.held.attempt == attempt && trajectories.contains(&lane.held.trajectory);
            if meant && lane.state == LaneState::Running {
                lane.state = LaneState::Forgotten;
                halted.push(place);
            }
        }
        halted
    }

    fn evaluated(&self, place: usize, point: CurvePoint) -> Vec<Output> {
        let evaluated = self.running().find(|&(lane, _)| lane == place).map(|(_, held)| {
            Output::Send(ToCoordinator::Evaluated { attempt: held.attempt, trajectory: held.trajectory, point })
        });
        evaluated.into_iter().collect()
    }

    fn lane_ended(&mut self, place: usize, end: LaneEnd) -> Vec<Output> {
        let Some(training) = &mut self.training else { return Vec::new() };
        let lane = training.lanes.get_mut(place).filter(|lane| lane.state == LaneState::Running);
        let Some(lane) = lane else { return Vec::new() };
        lane.state = LaneState::Over;
        let (store, held) = (training.store, lane.held);
        self.report(store, held, end)
    }

    fn report(&mut self, store: Option<StoreId>, held: Held, end: LaneEnd) -> Vec<Output> {
        let LaneEnd { outcome, cause, curve, diagnostics, updates, seconds, dataset_size } = end;
        let report =
            Report { held, outcome, cause, curve, diagnostics, updates, seconds, dataset_size, traceparent: None }
                .deliverable();
        self.unacknowledged.insert(key(store, held), report.clone());
        let keep = Output::Keep(Box::new(Owed { store, report: report.clone() }));
        if self.is_for(store) {
            vec![keep, Output::Send(ToCoordinator::AttemptEnded(Box::new(report)))]
        } else {
            vec![keep]
        }
    }

    /// The reports for the store of the last coordinator, as far as known.
    fn owed(&self) -> impl Iterator<Item = (&ReportKey, &Report)> {
        self.unacknowledged.iter().filter(|(key, _)| self.is_for(key.0))
    }

    fn is_for(&self, store: Option<StoreId>) -> bool {
        store.is_none() || self.store.is_none() || store == self.store
    }

    fn heartbeat(&self, updates: &[u64]) -> ToCoordinator {
        let progress = self.running().map(|(lane, held)| Progress {
            attempt: held.attempt,
            trajectory: held.trajectory,
            updates: updates.get(lane).copied().unwrap_or(0),
        });
        ToCoordinator::Heartbeat { progress: progress.collect() }
    }

    fn leave(&mut self) -> Vec<Output> {
        self.leaving = true;
        let mut outputs: Vec<Output> = self.running().map(|(lane, _)| Output::Halt { lane, keep: true }).collect();
        outputs.extend(self.next());
        outputs
    }

    /// The next action when nothing is in training: a poll or, if the worker leaves, the end.
    fn next(&self) -> Vec<Output> {
        match (self.training.is_some(), self.leaving) {
            (true, _) => Vec::new(),
            (false, false) => vec![Output::Send(ToCoordinator::Poll { lanes: self.description.lanes })],
            (false, true) if self.holds_nothing() => vec![Output::Send(ToCoordinator::Goodbye), Output::Exit],
            (false, true) => Vec::new(),
        }
    }

    fn running(&self) -> impl Iterator<Item = (usize, Held)> {
        let lanes = self.training.iter().flat_map(|training| training.lanes.iter().enumerate());
        lanes.filter(|(_, lane)| lane.state == LaneState::Running).map(|(place, lane)| (place, lane.held))
    }
}

fn key(store: Option<StoreId>, held: Held) -> ReportKey {
    (store, held.attempt, held.trajectory)
}

#[cfg(test)]
mod tests;
