//! A scheduler without time, network or disk, for tests.

use std::sync::Arc;

use biosweep_common::protocol::messages::{Grant, Held, Hello, Report, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::spec::{Format, SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::{Tick, WallTime};
use biosweep_common::workers::capability::Capabilities;
use uuid::Uuid;

use crate::event::{Action, Event, Now};
use crate::record::{Ending, LeaseRow, Record, Restored, RestoredSweep, Submission, SweepRow};
use crate::scheduler::{Scheduler, Timeouts};
use crate::tables::pending::PreparedSpec;

/// The timeouts of the tests.
pub const TIMEOUTS: Timeouts = Timeouts { heartbeat_ms: 1_000, lease_ms: 10_000, reconnect_grace_ms: 3_000 };

/// A sweep of two activations of equal cost, three seeds and two stopping rules: 6 trajectories, 12 trials.
pub const SPEC: &str = r#"
name = "small"
retries = 1
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
[grid]
rule = "bp"
network = "nn"
depth = 1
activation = ["relu", "tanh"]
seed = [0, 1, 2]
max_updates = [10, 20]
"#;

/// The sweep of [`SPEC`].
pub fn spec() -> Arc<SweepSpec> {
    Arc::new(SweepSpec::parse(SPEC, Format::Toml, "small.toml").expect("a good spec"))
}

/// The submission of a spec, with id 1.
pub fn submission(spec: &SweepSpec) -> Submission {
    let text = SpecText { text: SPEC.to_owned(), format: Format::Toml, resolved: SPEC.to_owned() };
    Submission::new(SweepId(Uuid::from_u128(1)), spec, text, WallTime(0))
}

/// The worker with this number.
pub fn worker(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

/// A learning curve with an evaluation every ten updates. The validation accuracy is updates / 100.
pub fn curve(updates: u64) -> Vec<CurvePoint> {
    let point = |update| CurvePoint {
        update,
        train_loss: 1.0,
        validation_accuracy: update as f64 / 100.0,
        test_accuracy: Some(update as f64 / 200.0),
    };
    (1..=updates / 10).map(|evaluation| point(evaluation * 10)).collect()
}

/// A scheduler with one sweep, and a simulated time.
pub struct World {
    /// The scheduler.
    pub scheduler: Scheduler,
    /// The simulated time.
    pub now: Now,
    /// The sweep.
    pub sweep: SweepId,
    /// Number of lanes of every worker that connects.
    pub lanes: u32,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A scheduler with the sweep of [`SPEC`] and no worker.
    pub fn new() -> Self {
        let now = Now { tick: Tick(0), wall: WallTime(0) };
        let scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
        let mut world = Self { scheduler, now, sweep: SweepId(Uuid::from_u128(1)), lanes: 3 };
        world.submit(1, spec());
        world
    }

    /// Submits another sweep with this number as its id.
    pub fn submit(&mut self, number: u128, spec: Arc<SweepSpec>) -> SweepId {
        let id = SweepId(Uuid::from_u128(number));
        let submission = Submission { id, ..submission(&spec) };
        self.apply(Event::Submitted {
            submission: Box::new(submission),
            prepared: PreparedSpec::new(spec),
            reused: Arc::default(),
        });
        id
    }

    /// Applies an event now.
    pub fn apply(&mut self, event: Event) -> Vec<Action> {
        self.scheduler.apply(self.now, event)
    }

    /// Advances the time and applies a tick.
    pub fn pass(&mut self, ms: u64) -> Vec<Action> {
        self.now.tick = self.now.tick.after_ms(ms);
        self.apply(Event::Ticked)
    }

    /// Lets a worker send a message.
    pub fn send(&mut self, worker: WorkerId, message: ToCoordinator) -> Vec<Action> {
        self.apply(Event::Message { worker, message })
    }

    /// Lets a worker connect and present the lanes that it holds.
    pub fn hello(&mut self, id: WorkerId, held: Vec<Held>) -> Vec<Action> {
        let description = WorkerDescription {
            name: format!("w{}", id.0.as_u128()),
            capabilities: Capabilities { device: "cpu".to_owned(), ..Capabilities::default() },
            lanes: self.lanes,
            ..WorkerDescription::default()
        };
        self.send(id, ToCoordinator::Hello(Hello { worker: id, description, numerics_version: 1, held }))
    }

    /// Lets a worker with labels connect.
    pub fn hello_with(&mut self, id: WorkerId, lanes: u32, labels: &[&str]) {
        let labels = labels.iter().map(ToString::to_string).collect();
        let capabilities = Capabilities { device: "cpu".to_owned(), labels, ..Capabilities::default() };
        let description =
            WorkerDescription { name: id.to_string(), capabilities, lanes, ..WorkerDescription::default() };
        self.send(id, ToCoordinator::Hello(Hello { worker: id, description, numerics_version: 1, held: Vec::new() }));
    }

    /// Lets a worker poll for a bundle of at most `lanes` lanes; returns the grant.
    pub fn poll(&mut self, id: WorkerId, lanes: u32) -> Option<Grant> {
        let actions = self.send(id, ToCoordinator::Poll { lanes });
        granted(&actions).into_iter().next()
    }

    /// Connects a new worker and grants it one bundle.
    pub fn work(&mut self, number: u128, lanes: u32) -> (WorkerId, Grant) {
        let id = worker(number);
        self.hello(id, Vec::new());
        (id, self.poll(id, lanes).expect("there is work"))
    }

    /// The report of a lane that ended after `updates` updates.
    pub fn report(&self, grant: &Grant, lane: usize, outcome: Outcome, updates: u64) -> Report {
        let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[lane].trajectory };
        Report {
            held,
            outcome,
            cause: None,
            curve: curve(updates),
            diagnostics: Vec::new(),
            updates,
            seconds: 1.0,
            dataset_size: None,
            traceparent: None,
        }
    }

    /// Lets a worker report the end of a lane.
    pub fn end(&mut self, id: WorkerId, report: Report) -> Vec<Action> {
        self.send(id, ToCoordinator::AttemptEnded(Box::new(report)))
    }

    /// The number of completed trials of the sweep.
    pub fn completed(&self) -> u64 {
        self.scheduler.sweep_view(self.sweep).map_or(0, |view| view.completed)
    }
}

/// The grants among these actions.
pub fn granted(actions: &[Action]) -> Vec<Grant> {
    let grant = |action: &Action| match action {
        Action::Send { message: ToWorker::Grant(grant), .. } => Some((**grant).clone()),
        _ => None,
    };
    actions.iter().filter_map(grant).collect()
}

/// The records of ended attempts among these actions.
pub fn endings(actions: &[Action]) -> Vec<&Ending> {
    let ending = |action| match action {
        &Action::Persist(Record::Ended(ref ending)) => Some(&**ending),
        _ => None,
    };
    actions.iter().filter_map(ending).collect()
}

/// The records of leases among these actions.
pub fn leases(actions: &[Action]) -> Vec<LeaseRow> {
    let lease = |action: &Action| match action {
        Action::Persist(Record::Leased(row)) => Some(row.clone()),
        _ => None,
    };
    actions.iter().filter_map(lease).collect()
}

/// The number of late reports among these actions.
pub fn late(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Persist(Record::Late { .. }))).count()
}

/// Whether a report was accepted; `None` if these actions acknowledge no report.
pub fn acknowledged(actions: &[Action]) -> Option<bool> {
    actions.iter().find_map(|action| match action {
        Action::Send { message: ToWorker::Acknowledged { accepted, .. }, .. } => Some(*accepted),
        _ => None,
    })
}

/// The trajectories in the stop messages among these actions.
pub fn stopped(actions: &[Action]) -> Vec<TrajectoryIndex> {
    let stop = |action: &Action| match action {
        Action::Send { message: ToWorker::Stop { trajectories, .. }, .. } => Some(trajectories.clone()),
        _ => None,
    };
    actions.iter().filter_map(stop).flatten().collect()
}

/// The trajectories of a grant.
pub fn trajectories(grant: &Grant) -> Vec<u64> {
    grant.lanes.iter().map(|lane| lane.trajectory.0).collect()
}

/// A stored sweep without results and leases.
pub fn restored(row: SweepRow) -> RestoredSweep {
    RestoredSweep {
        row,
        done: Vec::new(),
        open: Vec::new(),
        attempts: Vec::new(),
        failures: Vec::new(),
        deaths: Vec::new(),
        ended: 0,
    }
}
