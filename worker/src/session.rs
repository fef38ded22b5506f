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

use std::collections::BTreeMap;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::curve::CurvePoint;
use biosweep_common::health::HealthPoint;
use biosweep_common::ids::{Attempt, StoreId, TrajectoryIndex, WorkerId};
use biosweep_common::messages::{Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::outcome::Outcome;

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
    pub health: Vec<HealthPoint>,
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
    unacknowledged: BTreeMap<(Option<StoreId>, Attempt, TrajectoryIndex), Report>,
    leaving: bool,
}

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
        let unacknowledged = keyed.collect();
        Self { worker, description, store: None, training: None, unacknowledged, leaving: false }
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
        self.training.is_none() && self.owed().next().is_none()
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
            held: running.chain(finished).collect(),
        }
    }

    fn hear(&mut self, message: ToWorker) -> Vec<Output> {
        match message {
            ToWorker::Welcome { heartbeat_ms, store } => {
                self.store = store;
                let mut outputs = vec![Output::Beat { every_ms: heartbeat_ms }];
                let reports = self.owed().map(|(_, report)| Box::new(report.clone()));
                outputs.extend(reports.map(|report| Output::Send(ToCoordinator::Ended(report))));
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
                halted.into_iter().map(|lane| Output::Halt { lane, keep: false }).collect()
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
        let LaneEnd { outcome, cause, curve, health, updates, seconds } = end;
        let report = Report { held, outcome, cause, curve, health, updates, seconds };
        self.unacknowledged.insert(key(store, held), report.clone());
        let keep = Output::Keep(Box::new(Owed { store, report: report.clone() }));
        if self.is_for(store) { vec![keep, Output::Send(ToCoordinator::Ended(Box::new(report)))] } else { vec![keep] }
    }

    /// What is owed to the coordinator it last heard, as far as can be known.
    fn owed(&self) -> impl Iterator<Item = (&(Option<StoreId>, Attempt, TrajectoryIndex), &Report)> {
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

fn key(store: Option<StoreId>, held: Held) -> (Option<StoreId>, Attempt, TrajectoryIndex) {
    (store, held.attempt, held.trajectory)
}

impl LaneEnd {
    fn untouched() -> Self {
        Self {
            outcome: Outcome::Preempted,
            cause: None,
            curve: Vec::new(),
            health: Vec::new(),
            updates: 0,
            seconds: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::configuration::{Configuration, Point};
    use biosweep_common::ids::SweepId;
    use biosweep_common::messages::Lane;
    use biosweep_common::settings::{Setting, Value};

    use super::*;

    fn session() -> Session {
        let description = WorkerDescription {
            name: "host/1".to_owned(),
            device: "cpu".to_owned(),
            lanes: 2,
            ..WorkerDescription::default()
        };
        Session::new(WorkerId::new(), description, Vec::new())
    }

    fn grant(attempt: u64, trajectories: &[u64]) -> Grant {
        let name = |name: &'static str| Value::Name(name.into());
        let point = Point::from([
            (Setting::Dataset, name("mnist")),
            (Setting::Network, name("nn")),
            (Setting::Rule, name("bp")),
            (Setting::Depth, Value::Integer(5)),
        ]);
        let configuration = Configuration::from_point(&point).expect("a configuration");
        let lane = |&trajectory: &u64| Lane {
            trajectory: TrajectoryIndex(trajectory),
            hyperparameters: configuration.hyperparameters,
            stopping_rules: vec![configuration.stopping_rule],
        };
        Grant {
            sweep: SweepId::new(),
            attempt: Attempt(attempt),
            shape: configuration.shape.clone(),
            measures: Vec::new(),
            checkpoint_every_ms: 60_000,
            lanes: trajectories.iter().map(lane).collect(),
        }
    }

    fn hear_grant(session: &mut Session, attempt: u64, trajectories: &[u64]) -> Vec<Output> {
        session.apply(Input::Heard(ToWorker::Grant(Box::new(grant(attempt, trajectories)))))
    }

    fn acknowledge(session: &mut Session, attempt: u64, trajectory: u64) -> Vec<Output> {
        let (attempt, trajectory) = (Attempt(attempt), TrajectoryIndex(trajectory));
        session.apply(Input::Heard(ToWorker::Acknowledged { attempt, trajectories: vec![trajectory], accepted: true }))
    }

    fn ended(session: &mut Session, lane: usize, outcome: Outcome) -> Vec<Output> {
        session.apply(Input::LaneEnded { lane, end: LaneEnd { outcome, ..LaneEnd::untouched() } })
    }

    fn welcome() -> Input {
        welcome_by(None)
    }

    fn welcome_by(store: Option<StoreId>) -> Input {
        Input::Heard(ToWorker::Welcome { heartbeat_ms: 2_000, store })
    }

    fn store(number: u64) -> Option<StoreId> {
        format!("00000000-0000-0000-0000-{number:012}").parse().ok()
    }

    fn held(session: &Session) -> Vec<(u64, u64)> {
        session.hello().held.iter().map(|held| (held.attempt.0, held.trajectory.0)).collect()
    }

    #[test]
    fn a_welcomed_worker_beats_and_asks_for_work() {
        let outputs = session().apply(welcome());
        let poll = Output::Send(ToCoordinator::Poll { lanes: 2 });
        assert_eq!(outputs, vec![Output::Beat { every_ms: 2_000 }, poll]);
    }

    #[test]
    fn a_report_is_kept_and_repeated_until_it_is_acknowledged() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3, 4]);
        let said = ended(&mut session, 0, Outcome::Completed);
        assert!(matches!(said.as_slice(), [Output::Keep(_), Output::Send(ToCoordinator::Ended(_))]));
        assert_eq!(held(&session), vec![(7, 4), (7, 3)], "one in training, one reported");

        let again = session.apply(welcome());
        assert!(again.contains(&said[1]), "{again:?}");
        assert!(!again.contains(&Output::Send(ToCoordinator::Poll { lanes: 2 })), "it trains still");

        let done = acknowledge(&mut session, 7, 3);
        assert!(matches!(done.as_slice(), [Output::Forget { .. }, Output::Discard(_)]), "{done:?}");
        assert_eq!(held(&session), vec![(7, 4)]);
        assert_eq!(acknowledge(&mut session, 7, 3), vec![], "said twice is said once");
    }

    #[test]
    fn what_is_not_done_for_good_keeps_its_checkpoints() {
        for outcome in [Outcome::Preempted, Outcome::Failed] {
            let mut session = session();
            hear_grant(&mut session, 7, &[3]);
            ended(&mut session, 0, outcome);
            let outputs = acknowledge(&mut session, 7, 3);
            assert!(matches!(outputs.as_slice(), [Output::Forget { .. }]), "{outputs:?}");
        }
    }

    #[test]
    fn a_lane_to_be_handed_back_keeps_its_state_and_is_reported() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3, 4]);
        let (attempt, reason) = (Attempt(7), "paused".to_owned());
        let back = ToWorker::HandBack { attempt, trajectories: vec![TrajectoryIndex(4)], reason };
        assert_eq!(session.apply(Input::Heard(back.clone())), vec![Output::Halt { lane: 1, keep: true }]);
        let said = ended(&mut session, 1, Outcome::Preempted);
        assert!(matches!(said.as_slice(), [Output::Keep(_), Output::Send(ToCoordinator::Ended(_))]));
        assert_eq!(session.apply(Input::Heard(back)), vec![], "it has ended");
    }

    #[test]
    fn reports_of_an_earlier_life_are_presented_like_its_own() {
        let mut earlier = session();
        hear_grant(&mut earlier, 7, &[3]);
        let said = ended(&mut earlier, 0, Outcome::Completed);
        let mut session = successor(&earlier, &said);
        assert_eq!(held(&session), vec![(7, 3)]);
        assert!(session.apply(welcome_by(store(1))).contains(&said[1]), "it may be this one's");
    }

    /// A worker that takes up the identity of another, and what that kept.
    fn successor(earlier: &Session, said: &[Output]) -> Session {
        let Output::Keep(owed) = &said[0] else { panic!("{said:?}") };
        Session::new(earlier.worker, earlier.description.clone(), vec![(**owed).clone()])
    }

    #[test]
    fn a_report_owed_to_another_coordinator_is_kept_for_it() {
        let mut earlier = session();
        earlier.apply(welcome_by(store(1)));
        hear_grant(&mut earlier, 7, &[3]);
        let theirs = ended(&mut earlier, 0, Outcome::Completed);

        let mut session = successor(&earlier, &theirs);
        assert_eq!(held(&session), vec![(7, 3)], "whose it will be is not known yet");
        assert!(!session.apply(welcome_by(store(2))).contains(&theirs[1]));
        assert_eq!(held(&session), vec![]);
        assert_eq!(acknowledge(&mut session, 7, 3), vec![], "that is of another attempt 7");

        hear_grant(&mut session, 7, &[3]);
        let ours = ended(&mut session, 0, Outcome::Diverged);
        session.apply(Input::BundleDone);
        let done = acknowledge(&mut session, 7, 3);
        assert!(matches!(done.as_slice(), [Output::Forget { store: of, .. }, _] if *of == store(2)), "{done:?}");
        assert!(session.holds_nothing(), "nothing that this one could take");
        let presented = session.apply(welcome_by(store(1)));
        assert!(presented.contains(&theirs[1]) && !presented.contains(&ours[1]), "{presented:?}");
    }

    #[test]
    fn what_a_coordinator_granted_is_owed_to_it_though_another_has_taken_its_place() {
        let mut session = session();
        session.apply(welcome_by(store(1)));
        hear_grant(&mut session, 7, &[3]);
        session.apply(welcome_by(store(2)));
        let said = ended(&mut session, 0, Outcome::Completed);
        assert!(matches!(said.as_slice(), [Output::Keep(owed)] if owed.store == store(1)), "{said:?}");
    }

    #[test]
    fn a_lane_the_coordinator_takes_back_is_halted_and_not_reported() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3, 4]);
        let (attempt, reason) = (Attempt(7), "cancelled".to_owned());
        let stop = ToWorker::Stop { attempt, trajectories: vec![TrajectoryIndex(4)], reason };
        assert_eq!(session.apply(Input::Heard(stop)), vec![Output::Halt { lane: 1, keep: false }]);
        assert_eq!(ended(&mut session, 1, Outcome::Preempted), Vec::new());
        assert_eq!(held(&session), vec![(7, 3)]);
    }

    #[test]
    fn a_worker_told_to_leave_hands_back_its_lanes_and_goes_once_that_is_acknowledged() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3]);
        assert_eq!(session.apply(Input::Leave), vec![Output::Halt { lane: 0, keep: true }]);
        ended(&mut session, 0, Outcome::Preempted);
        assert_eq!(session.apply(Input::BundleDone), Vec::new(), "the report is not acknowledged yet");
        let goodbye = vec![Output::Send(ToCoordinator::Goodbye), Output::Exit];
        assert_eq!(acknowledge(&mut session, 7, 3)[1..], goodbye);
    }

    #[test]
    fn a_grant_that_crosses_with_leaving_is_handed_back_untouched() {
        let mut session = session();
        session.apply(Input::Leave);
        let outputs = hear_grant(&mut session, 8, &[5]);
        let [_, Output::Send(ToCoordinator::Ended(report))] = outputs.as_slice() else { panic!("{outputs:?}") };
        assert_eq!((report.outcome, report.updates), (Outcome::Preempted, 0));
        assert!(!session.holds_nothing());
    }

    #[test]
    fn a_done_bundle_is_followed_by_the_next_poll_without_waiting_for_acknowledgement() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3]);
        ended(&mut session, 0, Outcome::Completed);
        assert_eq!(session.apply(Input::BundleDone), vec![Output::Send(ToCoordinator::Poll { lanes: 2 })]);
    }

    #[test]
    fn it_is_idle_until_a_bundle_comes_and_again_when_that_is_done() {
        let mut session = session();
        assert!(session.is_idle());
        hear_grant(&mut session, 7, &[3]);
        assert!(!session.is_idle());
        ended(&mut session, 0, Outcome::Completed);
        session.apply(Input::BundleDone);
        assert!(session.is_idle(), "though its report is not acknowledged");
    }

    #[test]
    fn an_evaluation_is_told_of_what_is_still_in_training() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3, 4]);
        let point = CurvePoint { update: 10, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: None };
        let told = session.apply(Input::Evaluated { lane: 1, point });
        let (attempt, trajectory) = (Attempt(7), TrajectoryIndex(4));
        assert_eq!(told, vec![Output::Send(ToCoordinator::Evaluated { attempt, trajectory, point })]);
        ended(&mut session, 1, Outcome::Diverged);
        assert_eq!(session.apply(Input::Evaluated { lane: 1, point }), vec![]);
    }

    #[test]
    fn a_heartbeat_tells_the_updates_of_what_is_in_training() {
        let mut session = session();
        hear_grant(&mut session, 7, &[3, 4]);
        ended(&mut session, 0, Outcome::Diverged);
        let beat = session.apply(Input::HeartbeatDue(vec![100, 90]));
        let progress = vec![Progress { attempt: Attempt(7), trajectory: TrajectoryIndex(4), updates: 90 }];
        assert_eq!(beat, vec![Output::Send(ToCoordinator::Heartbeat { progress })]);
    }
}
