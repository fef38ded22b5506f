//! The scheduler's claims, each tried in a world without time, network or disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::curve::CurvePoint;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::protocol::messages::{
    Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription,
};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::time::{Tick, WallTime};
use uuid::Uuid;

use super::event::{Action, Event, Notice, Now};
use super::scheduler::{Core, Patience};
use super::scope::OutOfScope;
use super::sweep::Sweep;
use super::worker::Worker;
use crate::store::record::{Ending, LeaseRow, Record, Restored, RestoredSweep, Submission, SweepRow, TrialResult};

mod extensions;
mod grants;
mod histories;
mod invariants;
mod lives;
mod restarts;
mod reuse;
mod trust;
mod wishes;

const PATIENCE: Patience = Patience { heartbeat_ms: 1_000, lease_ms: 10_000, rebirth_ms: 3_000 };

/// Two activations, which cost the same, of three seeds, each stopped at two moments: 6 trajectories, 12 trials.
const SPEC: &str = r#"
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

fn spec() -> Arc<SweepSpec> {
    Arc::new(SweepSpec::parse(SPEC, Format::Toml, "small.toml").expect("a good spec"))
}

fn submission(spec: &SweepSpec) -> Submission {
    Submission {
        id: SweepId(Uuid::from_u128(1)),
        name: spec.name.clone(),
        spec_text: SPEC.to_owned(),
        spec_format: Format::Toml,
        digest: spec.digest(),
        trials: spec.grid.trials(),
        trajectories: spec.grid.trajectories(),
        submitted_at: WallTime(0),
    }
}

fn worker(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

fn curve(updates: u64) -> Vec<CurvePoint> {
    let point = |update| CurvePoint {
        update,
        train_loss: 1.0,
        validation_accuracy: update as f64 / 100.0,
        test_accuracy: Some(update as f64 / 200.0),
    };
    (1..=updates / 10).map(|evaluation| point(evaluation * 10)).collect()
}

struct World {
    core: Core,
    now: Now,
    sweep: SweepId,
    /// Of every worker that says hello.
    lanes: u32,
}

impl World {
    fn new() -> Self {
        let now = Now { tick: Tick(0), wall: WallTime(0) };
        let core = Core::restore(PATIENCE, now, &Restored::default(), &[]);
        let mut world = Self { core, now, sweep: SweepId(Uuid::from_u128(1)), lanes: 3 };
        world.submit(1, spec());
        world
    }

    fn submit(&mut self, number: u128, spec: Arc<SweepSpec>) -> SweepId {
        let id = SweepId(Uuid::from_u128(number));
        let submission = Submission { id, ..submission(&spec) };
        self.apply(Event::Submitted { submission: Box::new(submission), spec, reused: Arc::default() });
        id
    }

    fn apply(&mut self, event: Event) -> Vec<Action> {
        self.core.apply(self.now, event)
    }

    fn pass(&mut self, ms: u64) -> Vec<Action> {
        self.now.tick = self.now.tick.after_ms(ms);
        self.apply(Event::Ticked)
    }

    fn say(&mut self, worker: WorkerId, message: ToCoordinator) -> Vec<Action> {
        self.apply(Event::Said { worker, message })
    }

    fn hello(&mut self, id: WorkerId, held: Vec<Held>) -> Vec<Action> {
        let description = WorkerDescription {
            name: format!("w{}", id.0.as_u128()),
            capabilities: Capabilities { device: "cpu".to_owned(), ..Capabilities::default() },
            lanes: self.lanes,
            ..WorkerDescription::default()
        };
        self.say(id, ToCoordinator::Hello(Hello { worker: id, description, numerics_version: 1, held }))
    }

    /// A worker with labels.
    fn hello_with(&mut self, id: WorkerId, lanes: u32, labels: &[&str]) {
        let labels = labels.iter().map(ToString::to_string).collect();
        let capabilities = Capabilities { device: "cpu".to_owned(), labels, ..Capabilities::default() };
        let description =
            WorkerDescription { name: id.to_string(), capabilities, lanes, ..WorkerDescription::default() };
        self.say(id, ToCoordinator::Hello(Hello { worker: id, description, numerics_version: 1, held: Vec::new() }));
    }

    fn poll(&mut self, id: WorkerId, lanes: u32) -> Option<Grant> {
        let actions = self.say(id, ToCoordinator::Poll { lanes });
        granted(&actions).into_iter().next()
    }

    /// A new worker with one bundle.
    fn work(&mut self, number: u128, lanes: u32) -> (WorkerId, Grant) {
        let id = worker(number);
        self.hello(id, Vec::new());
        (id, self.poll(id, lanes).expect("there is work"))
    }

    fn report(&self, grant: &Grant, lane: usize, outcome: Outcome, updates: u64) -> Report {
        let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[lane].trajectory };
        Report { held, outcome, cause: None, curve: curve(updates), health: Vec::new(), updates, seconds: 1.0 }
    }

    fn end(&mut self, id: WorkerId, report: Report) -> Vec<Action> {
        self.say(id, ToCoordinator::Ended(Box::new(report)))
    }

    fn completed(&self) -> u64 {
        self.core.sweep_view(self.sweep).map_or(0, |view| view.completed)
    }
}

fn granted(actions: &[Action]) -> Vec<Grant> {
    let grant = |action: &Action| match action {
        Action::Send { message: ToWorker::Grant(grant), .. } => Some((**grant).clone()),
        _ => None,
    };
    actions.iter().filter_map(grant).collect()
}

fn endings(actions: &[Action]) -> Vec<&Ending> {
    let ending = |action| match action {
        &Action::Persist(Record::Ended(ref ending)) => Some(&**ending),
        _ => None,
    };
    actions.iter().filter_map(ending).collect()
}

fn leases(actions: &[Action]) -> Vec<LeaseRow> {
    let lease = |action: &Action| match action {
        Action::Persist(Record::Leased(row)) => Some(row.clone()),
        _ => None,
    };
    actions.iter().filter_map(lease).collect()
}

fn late(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Persist(Record::Late { .. }))).count()
}

fn acknowledged(actions: &[Action]) -> Option<bool> {
    actions.iter().find_map(|action| match action {
        Action::Send { message: ToWorker::Acknowledged { accepted, .. }, .. } => Some(*accepted),
        _ => None,
    })
}

fn stopped(actions: &[Action]) -> Vec<TrajectoryIndex> {
    let stop = |action: &Action| match action {
        Action::Send { message: ToWorker::Stop { trajectories, .. }, .. } => Some(trajectories.clone()),
        _ => None,
    };
    actions.iter().filter_map(stop).flatten().collect()
}

fn trajectories(grant: &Grant) -> Vec<u64> {
    grant.lanes.iter().map(|lane| lane.trajectory.0).collect()
}

/// A sweep nothing has been done of.
fn restored(row: SweepRow) -> RestoredSweep {
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
