//! The worker's side of the protocol, pure: what it holds, and what it says and does about what happens.
//!
//! ```text
//!          ┌────────────── bundle done ──────────────┐
//!          ▼                                          │
//! idle (polls) ──grant──▶ training ──lane ended──▶ report, kept until acknowledged
//!    └──────── told to leave ────────┴──▶ leaving ──nothing held──▶ gone
//! ```
//!
//! A lost connection changes nothing of this: training goes on, reports are kept, and all of it is presented again.

use std::collections::{BTreeMap, BTreeSet};

use crate::configuration::NUMERICS_VERSION;
use crate::curve::CurvePoint;
use crate::diagnostics::DiagnosticPoint;
use crate::ids::{Attempt, StoreId, TrajectoryIndex, WorkerId};
use crate::outcome::Outcome;
use crate::protocol::bounds::HELD_MAX;
use crate::protocol::messages::{Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription};

/// Something that happened to the worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A stream to the coordinator is open.
    Connected,
    /// The coordinator said something.
    Heard(ToWorker),
    /// The trainer evaluated a lane of the bundle.
    Evaluated {
        /// The lane's place in the bundle.
        lane: usize,
        /// What was found.
        point: CurvePoint,
    },
    /// The trainer is done with a lane of the bundle.
    LaneEnded {
        /// The lane's place in the bundle.
        lane: usize,
        /// How it ended.
        end: LaneEnd,
    },
    /// The trainer is done with the bundle and can take another.
    BundleDone,
    /// It is time for a heartbeat; the updates done in each lane of the bundle.
    HeartbeatDue(Vec<u64>),
    /// The worker is to leave.
    Leave,
}

/// How the trainer ended a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneEnd {
    /// How: completed, diverged, failed, or preempted where it was told to stop.
    pub outcome: Outcome,
    /// What went wrong, where something did.
    pub cause: Option<String>,
    /// Its evaluations.
    pub curve: Vec<CurvePoint>,
    /// What was measured of its layers.
    pub diagnostics: Vec<DiagnosticPoint>,
    /// Updates done.
    pub updates: u64,
    /// Wall-clock seconds it took.
    pub seconds: f64,
}

/// Something the worker is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Say this, where the stream is up.
    Send(ToCoordinator),
    /// Train this bundle.
    Train(Box<Grant>),
    /// Stop training this lane of the bundle.
    Halt {
        /// The lane's place in the bundle.
        lane: usize,
        /// Whether its state is to be kept for who takes it up.
        keep: bool,
    },
    /// Keep this report where it outlives the worker.
    Keep(Box<Owed>),
    /// The report is acknowledged: let go of it.
    Forget {
        /// Whom it was owed to.
        store: Option<StoreId>,
        /// Whose end it was.
        held: Held,
    },
    /// The trajectory is done: let go of its checkpoints.
    Discard(Held),
    /// Beat so often.
    Beat {
        /// Milliseconds between two heartbeats.
        every_ms: u64,
    },
    /// Leave: nothing is held any more.
    Exit,
}

/// A report without acknowledgement, and whom it is owed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// The store of the coordinator that granted it; `None` where that is not known.
    pub store: Option<StoreId>,
    /// The report.
    pub report: Report,
}

/// The state of a worker's side.
#[derive(Debug, Clone)]
pub struct Session {
    worker: WorkerId,
    description: WorkerDescription,
    /// Of the coordinator it last heard.
    store: Option<StoreId>,
    training: Option<Training>,
    /// Reports, each of them owed to one coordinator. Two of them count their attempts alike.
    unacknowledged: BTreeMap<Key, Report>,
    /// Those of them that this coordinator will not take: they wait on disk for one that does.
    set_aside: BTreeSet<Key>,
    leaving: bool,
}

/// What tells reports from each other.
type Key = (Option<StoreId>, Attempt, TrajectoryIndex);

/// The bundle in the trainer's hands.
#[derive(Debug, Clone)]
struct Training {
    /// Of the coordinator that granted it.
    store: Option<StoreId>,
    lanes: Vec<Lane>,
}

#[derive(Debug, Clone, Copy)]
struct Lane {
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
    /// A worker that holds nothing but reports from an earlier life.
    #[must_use]
    pub fn new(worker: WorkerId, description: WorkerDescription, owed: Vec<Owed>) -> Self {
        let keyed = owed.into_iter().map(|Owed { store, report }| (key(store, report.held), report));
        let (unacknowledged, set_aside) = (keyed.collect(), BTreeSet::new());
        Self { worker, description, store: None, training: None, unacknowledged, set_aside, leaving: false }
    }

    /// Takes in what happened; what it returns is all there is to do about it.
    pub fn apply(&mut self, input: Input) -> Vec<Output> {
        match input {
            Input::Connected => vec![Output::Send(ToCoordinator::Hello(self.hello()))],
            Input::Heard(message) => self.hear(message),
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

    /// Whether it holds nothing: neither training nor a report that this coordinator could acknowledge.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.training.is_none() && self.owed().all(|(key, _)| self.set_aside.contains(key))
    }

    /// Whether it trains nothing.
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
            // What a hello has no room for is presented all the same: as a late report, where it runs elsewhere by then.
            held: running.chain(finished).take(HELD_MAX).collect(),
        }
    }

    fn hear(&mut self, message: ToWorker) -> Vec<Output> {
        match message {
            ToWorker::Welcome { heartbeat_ms, store } => {
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
                let stopped: Vec<Key> =
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
            // It crossed with the word that this worker leaves: handed back untouched.
            return held.into_iter().flat_map(|held| self.report(self.store, held, LaneEnd::untouched())).collect();
        }
        let lanes = held.into_iter().map(|held| Lane { held, state: LaneState::Running }).collect();
        self.training = Some(Training { store: self.store, lanes });
        vec![Output::Train(grant)]
    }

    /// Lets go of lanes that are no longer this worker's; the places of those that train.
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
        let LaneEnd { outcome, cause, curve, diagnostics, updates, seconds } = end;
        let report = Report { held, outcome, cause, curve, diagnostics, updates, seconds }.deliverable();
        self.unacknowledged.insert(key(store, held), report.clone());
        let keep = Output::Keep(Box::new(Owed { store, report: report.clone() }));
        if self.is_for(store) {
            vec![keep, Output::Send(ToCoordinator::AttemptEnded(Box::new(report)))]
        } else {
            vec![keep]
        }
    }

    /// What is owed to the coordinator it last heard, as far as can be known.
    fn owed(&self) -> impl Iterator<Item = (&Key, &Report)> {
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

    /// What follows when nothing is in training: the next bundle or, on the way out, the end.
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

fn key(store: Option<StoreId>, held: Held) -> Key {
    (store, held.attempt, held.trajectory)
}

impl LaneEnd {
    /// That of a lane which was not begun.
    #[must_use]
    pub fn untouched() -> Self {
        Self {
            outcome: Outcome::Preempted,
            cause: None,
            curve: Vec::new(),
            diagnostics: Vec::new(),
            updates: 0,
            seconds: 0.0,
        }
    }
}

// The path is said, since the simulation takes this file in by its own.
#[cfg(test)]
#[path = "session/tests.rs"]
mod tests;
