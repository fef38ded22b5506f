//! A restarted coordinator knows as much about incomplete attempts as one that never stopped.

use std::sync::Arc;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::messages::{Grant, Progress, Report, ToCoordinator};
use biosweep_common::results::outcome::{Outcome, SweepState};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_scheduler::event::{Action, Event, Notice};
use biosweep_scheduler::record::{Record, Submission};
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_scheduler::testing::*;
use biosweep_store::Store as _;
use biosweep_store::memory::Memory;
use futures::FutureExt as _;
use uuid::Uuid;

/// A scheduler whose records are stored, and that can be restarted.
struct Restarting {
    world: World,
    store: Memory,
    spec: Arc<SweepSpec>,
}

impl Restarting {
    fn new() -> Self {
        let restarting = Self { world: World::new(), store: Memory::default(), spec: spec() };
        restarting.store(&[Action::Persist(Record::Submitted(submission(&restarting.spec)))]);
        restarting
    }

    fn store(&self, actions: &[Action]) {
        let record = |action: &Action| match action {
            Action::Persist(record) => Some(record.clone()),
            Action::Send { .. } | Action::Notify(_) => None,
        };
        let records: Vec<_> = actions.iter().filter_map(record).collect();
        self.store.commit(&records).now_or_never().expect("memory").expect("a sound batch");
    }

    fn restart(&mut self) {
        let restored = self.store.restore().now_or_never().expect("memory").expect("restores");
        let specs = vec![PreparedSpec::new(Arc::clone(&self.spec)); restored.sweeps.len()];
        self.world.scheduler = Scheduler::restore(TIMEOUTS, self.world.now, &restored, specs);
    }

    /// Restarts the scheduler, and lets a worker poll for one trajectory.
    fn grant(&mut self, id: WorkerId) -> Option<Grant> {
        self.restart();
        let hello = self.world.hello(id, Vec::new());
        self.store(&hello);
        let actions = self.world.send(id, ToCoordinator::Poll { lanes: 1 });
        self.store(&actions);
        granted(&actions).into_iter().next()
    }

    fn apply(&mut self, event: Event) {
        let actions = self.world.apply(event);
        self.store(&actions);
    }

    /// Fails the worker's current trajectory.
    fn fail(&mut self, id: WorkerId, grant: &Grant, error: &str) {
        let report = Report { cause: Some(error.to_owned()), ..self.world.report(grant, 0, Outcome::Failed, 0) };
        let actions = self.world.end(id, report);
        self.store(&actions);
    }

    /// Fails every granted trajectory until there is no grant; returns the number of failures.
    fn fail_all(&mut self, id: WorkerId) -> usize {
        let mut failures = 0;
        while let Some(grant) = self.grant(id) {
            failures += 1;
            self.fail(id, &grant, &format!("no data at line {failures}"));
        }
        failures
    }

    /// Lets the worker die after `updates` updates of its current trajectory.
    fn die(&mut self, id: WorkerId, grant: &Grant, updates: u64) -> Vec<Action> {
        let progress = vec![Progress { attempt: grant.attempt, trajectory: TrajectoryIndex(0), updates }];
        self.world.send(id, ToCoordinator::Heartbeat { progress });
        self.world.apply(Event::Died { worker: id, cause: "killed".to_owned() });
        let actions = self.world.pass(TIMEOUTS.reconnect_grace_ms);
        self.store(&actions);
        actions
    }
}

#[test]
fn similar_failures_are_counted_across_restarts() {
    let mut world = Restarting::new();
    assert_eq!(world.fail_all(worker(7)), 5, "two attempts at each of two trajectories, and one at a third");
    let view = world.world.scheduler.sweep_view(world.world.sweep).expect("the sweep is in the table");
    assert_eq!(view.state, SweepState::Paused);
    assert!(view.reason.is_some_and(|reason| reason.contains("3 trajectories failed with similar errors")));

    world.apply(Event::Resumed(world.world.sweep));
    assert_eq!(world.fail_all(worker(7)), 7, "the owner has resumed the sweep");
    assert_eq!(world.world.scheduler.sweep_view(world.world.sweep), None, "the sweep has ended");
}

#[test]
fn a_restarted_coordinator_awaits_trajectories_in_training() {
    let mut world = Restarting::new();
    let (id, spec) = (SweepId(Uuid::from_u128(2)), Arc::clone(&world.spec));
    let submission = Box::new(Submission { id, ..submission(&spec) });
    world.apply(Event::Submitted { submission, prepared: PreparedSpec::new(spec), reused: Arc::default() });
    assert_eq!(world.grant(worker(7)).map(|grant| trajectories(&grant)), Some(vec![0]));
    let other = world.grant(worker(8)).expect("there is work");
    assert_eq!((other.sweep, trajectories(&other)), (id, vec![1]));
}

#[test]
fn a_worker_lost_after_a_restart_is_reported_by_name() {
    let mut world = Restarting::new();
    world.grant(worker(7)).expect("there is work");
    world.restart();
    let actions = world.world.pass(TIMEOUTS.lease_ms);
    let name = |action: &Action| match action {
        Action::Notify(Notice::IncompleteAttempt { incomplete_attempt, .. }) => {
            Some(incomplete_attempt.worker_name.clone())
        }
        _ => None,
    };
    assert_eq!(actions.iter().find_map(name).as_deref(), Some("w7"));
}

#[test]
fn the_worker_of_a_failure_is_known_after_a_restart() {
    let mut world = Restarting::new();
    let (one, other) = (worker(7), worker(8));
    let grant = world.grant(one).expect("there is work");
    world.fail(one, &grant, "no luck");
    world.restart();
    for id in [one, other] {
        world.world.hello(id, Vec::new());
    }
    assert_eq!(world.world.poll(one, 1).map(|grant| trajectories(&grant)), Some(vec![1]));
    assert_eq!(world.world.poll(other, 1).map(|grant| trajectories(&grant)), Some(vec![0]));
}

#[test]
fn deaths_in_a_row_are_counted_across_restarts() {
    let mut world = Restarting::new();
    let mut last = Vec::new();
    for number in 1..=10 {
        let grant = world.grant(worker(number)).expect("there is work");
        assert_eq!(trajectories(&grant), vec![0]);
        last = world.die(worker(number), &grant, 3);
    }
    assert_eq!(endings(&last)[0].outcome, Outcome::Failed);
}

#[test]
fn progress_between_deaths_is_known_after_a_restart() {
    let mut world = Restarting::new();
    for number in 1..=15 {
        let grant = world.grant(worker(number)).expect("there is work");
        let actions = world.die(worker(number), &grant, number as u64);
        assert_eq!(endings(&actions)[0].outcome, Outcome::WorkerLost);
    }
}

#[test]
fn a_sweep_of_another_numerics_version_is_paused_until_its_owner_resumes_it() {
    let mut world = Restarting::new();
    let (sweep, id, spec) = (world.world.sweep, SweepId(Uuid::from_u128(2)), Arc::clone(&world.spec));
    world.apply(Event::Cancelled(sweep));
    let before = NUMERICS_VERSION - 1;
    let digest = format!("{}/{before}", spec.digest());
    let old = Submission { id, digest, ..submission(&spec) };
    world.store(&[Action::Persist(Record::Submitted(old))]);
    for _ in 0..2 {
        assert_eq!(world.grant(worker(7)), None);
        let view = world.world.scheduler.sweep_view(id).expect("the sweep is in the table");
        assert_eq!(view.state, SweepState::Paused);
        assert!(view.reason.is_some_and(|reason| reason.contains(&format!("begun with numerics version {before}"))));
    }
    let (new, other) = (SweepId(Uuid::from_u128(3)), submission(&spec));
    let submission = Box::new(Submission { id: new, digest: format!("{}/{NUMERICS_VERSION}", spec.digest()), ..other });
    world.apply(Event::Resumed(id));
    world.apply(Event::Submitted { submission, prepared: PreparedSpec::new(spec), reused: Arc::default() });
    let trained = [worker(7), worker(8)].map(|id| world.grant(id).map(|grant| trajectories(&grant)));
    assert_eq!(trained, [Some(vec![0]), Some(vec![0])], "neither sweep awaits results of the other");
    let view = world.world.scheduler.sweep_view(id).expect("the sweep is in the table");
    assert_eq!(view.state, SweepState::Running, "the owner has resumed it");
    assert!(
        view.reason
            .is_some_and(|reason| reason.contains(&format!("numerics versions {before} and {NUMERICS_VERSION}")))
    );
}
