//! The scheduler's claims, each tried in a world without time, network or disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::clock::{Tick, WallTime};
use biosweep_common::curve::CurvePoint;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::messages::{Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{Format, SweepSpec};
use proptest::prelude::*;
use uuid::Uuid;

use super::event::{Action, Event, Notice, Now};
use super::scheduler::{Core, Patience, REMEMBERED, Worker};
use crate::store::record::{Ending, LeaseRow, Record, Restored, RestoredSweep, Submission, SweepRow};

const PATIENCE: Patience = Patience { heartbeat_ms: 1_000, lease_ms: 10_000, rebirth_ms: 3_000 };

/// Two depths of three seeds, each stopped at two moments: 6 trajectories, 12 trials.
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
depth = [1, 2]
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
        let spec = spec();
        world.apply(Event::Submitted { submission: Box::new(submission(&spec)), spec });
        world
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
            device: "cpu".to_owned(),
            lanes: self.lanes,
            version: String::new(),
        };
        self.say(id, ToCoordinator::Hello(Hello { worker: id, description, numerics_version: 1, held }))
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

#[test]
fn a_grant_goes_out_with_its_lease_to_be_kept() {
    let mut world = World::new();
    let id = worker(7);
    world.hello(id, Vec::new());
    let actions = world.say(id, ToCoordinator::Poll { lanes: 2 });
    let (grants, leases) = (granted(&actions), leases(&actions));
    assert_eq!(trajectories(&grants[0]), vec![0, 1]);
    assert_eq!((leases[0].attempt, leases[0].first, leases[0].count), (Attempt(1), TrajectoryIndex(0), 2));
    assert_eq!(grants[0].lanes[0].stopping_rules.len(), 2, "one for each trial of the trajectory");
    assert_eq!(grants[0].checkpoint_every_ms, 60_000);
}

#[test]
fn a_bundle_holds_one_shape_and_no_more_than_was_asked_for() {
    let mut world = World::new();
    let bundles: Vec<_> = (1..=4).map(|number| trajectories(&world.work(number, 2).1)).collect();
    assert_eq!(bundles, [vec![0, 1], vec![2], vec![3, 4], vec![5]], "depth 1 ends at trajectory 2");
    let last = worker(9);
    world.hello(last, Vec::new());
    assert_eq!(world.poll(last, 2), None, "nothing is left");
}

#[test]
fn each_trial_of_a_trajectory_gets_the_score_of_its_own_stopping_rule() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    let results = &endings(&actions)[0].results;
    let found: Vec<_> = results.iter().map(|r| (r.trial, r.updates, r.score.map(|s| s.test_accuracy))).collect();
    assert_eq!(found, vec![(TrialIndex(0), 10, Some(0.05)), (TrialIndex(1), 20, Some(0.1))]);
    assert_eq!(acknowledged(&actions), Some(true));
    assert_eq!(world.completed(), 2);
}

#[test]
fn a_repeated_report_is_acknowledged_and_counts_once() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let report = world.report(&grant, 0, Outcome::Completed, 20);
    world.end(id, report.clone());
    let again = world.end(id, report);
    assert!(endings(&again).is_empty());
    assert_eq!(
        (late(&again), acknowledged(&again)),
        (0, Some(true)),
        "the acknowledgement was lost, the result is not"
    );
    assert_eq!(world.completed(), 2);
}

#[test]
fn a_report_repeated_on_a_new_stream_is_known_as_accepted() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let report = world.report(&grant, 0, Outcome::Completed, 20);
    world.end(id, report.clone());
    let actions = world.hello(id, vec![report.held]);
    assert_eq!(stopped(&actions), vec![], "it is done with it, not fenced");
    let again = world.end(id, report);
    assert_eq!((late(&again), acknowledged(&again)), (0, Some(true)));
}

#[test]
fn a_silent_workers_trajectories_run_elsewhere() {
    let mut world = World::new();
    let (_, grant) = world.work(7, 1);
    let actions = world.pass(PATIENCE.lease_ms);
    assert_eq!(endings(&actions)[0].outcome, Outcome::WorkerLost);
    let (_, other) = world.work(8, 1);
    assert_eq!(trajectories(&other), trajectories(&grant));
    assert!(other.attempt > grant.attempt);
}

#[test]
fn a_heartbeat_renews_the_lease() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let progress = vec![Progress { attempt: grant.attempt, trajectory: grant.lanes[0].trajectory, updates: 5 }];
    world.pass(PATIENCE.lease_ms - 1);
    world.say(id, ToCoordinator::Heartbeat { progress });
    assert!(endings(&world.pass(PATIENCE.lease_ms - 1)).is_empty());
    assert_eq!(world.core.worker_views(Some(world.sweep))[0].training[0].updates, 5);
}

#[test]
fn a_late_report_of_a_lost_worker_is_refused() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.pass(PATIENCE.lease_ms);
    let (other, regrant) = world.work(8, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert!(endings(&actions).is_empty());
    assert_eq!((late(&actions), acknowledged(&actions)), (1, Some(false)));
    let actions = world.end(other, world.report(&regrant, 0, Outcome::Completed, 20));
    assert_eq!(endings(&actions)[0].results.len(), 2);
}

#[test]
fn a_report_of_another_workers_trajectory_is_refused() {
    let mut world = World::new();
    let (_, grant) = world.work(7, 1);
    let (thief, _) = world.work(8, 1);
    let actions = world.end(thief, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(acknowledged(&actions), Some(false));
    assert_eq!(world.completed(), 0);
}

#[test]
fn a_worker_that_wakes_after_its_lease_is_told_to_stop() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.pass(PATIENCE.lease_ms);
    let trajectory = grant.lanes[0].trajectory;
    let progress = vec![Progress { attempt: grant.attempt, trajectory, updates: 5 }];
    assert_eq!(stopped(&world.say(id, ToCoordinator::Heartbeat { progress })), vec![trajectory]);
}

#[test]
fn a_failure_is_retried_up_to_the_limit_and_its_cause_is_kept() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let fail = |world: &World, grant: &Grant| {
        let report = world.report(grant, 0, Outcome::Failed, 0);
        Report { cause: Some("out of memory".to_owned()), ..report }
    };
    let first = world.end(id, fail(&world, &grant));
    assert!(endings(&first)[0].results.is_empty(), "one retry is left");
    let again = world.poll(id, 1).expect("it runs again");
    assert_eq!(trajectories(&again), trajectories(&grant));
    let last = world.end(id, fail(&world, &again));
    let ending = endings(&last)[0];
    assert_eq!(ending.cause.as_deref(), Some("out of memory"));
    assert!(ending.results.iter().all(|result| result.status == TrialStatus::Failed && result.attempts == 2));
    let next = world.poll(id, 1).expect("the sweep goes on");
    assert_ne!(trajectories(&next), trajectories(&grant));
}

#[test]
fn only_failures_count_against_the_retries() {
    let mut world = World::new();
    let (id, mut grant) = world.work(7, 1);
    for outcome in [Outcome::Preempted, Outcome::Preempted, Outcome::Failed] {
        let actions = world.end(id, world.report(&grant, 0, outcome, 0));
        assert!(endings(&actions)[0].results.is_empty(), "{outcome:?} with retries left");
        grant = world.poll(id, 1).expect("it runs again");
        assert_eq!(trajectories(&grant), vec![0]);
    }
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(endings(&actions)[0].results[0].attempts, 4);
}

#[test]
fn a_completed_report_whose_curve_is_short_is_a_failure() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 10));
    let ending = endings(&actions)[0];
    assert_eq!((ending.outcome, ending.results.len()), (Outcome::Failed, 0));
}

#[test]
fn a_trial_that_ended_before_the_loss_blew_up_keeps_its_score() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Diverged, 15));
    let statuses: Vec<_> = endings(&actions)[0].results.iter().map(|result| result.status).collect();
    assert_eq!(statuses, vec![TrialStatus::Completed, TrialStatus::Diverged]);
}

#[test]
fn a_cancelled_sweep_stops_its_workers_and_takes_no_more_results() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    let actions = world.apply(Event::Cancelled(world.sweep));
    assert_eq!(stopped(&actions).len(), 2);
    let state =
        Record::StateChanged { sweep: world.sweep, state: SweepState::Cancelled, reason: None, at: WallTime(0) };
    assert!(actions.contains(&Action::Persist(state)));
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!((late(&actions), acknowledged(&actions)), (1, Some(false)));
    assert_eq!(world.poll(id, 1), None);
    assert_eq!(world.apply(Event::Cancelled(world.sweep)), Vec::new(), "doing it twice is doing it once");
}

#[test]
fn a_worker_that_reconnects_keeps_what_it_holds_and_loses_what_it_does_not() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    world.apply(Event::Disconnected(id));
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    let unknown = Held { attempt: Attempt(99), ..held };
    let actions = world.hello(id, vec![held, unknown]);
    assert_eq!(endings(&actions).iter().map(|ending| ending.trajectory.0).collect::<Vec<_>>(), vec![1]);
    assert_eq!(stopped(&actions), vec![TrajectoryIndex(0)], "only under the attempt it does not hold");
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(acknowledged(&actions), Some(true));
}

#[test]
fn a_broken_stream_alone_takes_nothing_away() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.apply(Event::Disconnected(id));
    assert!(endings(&world.pass(PATIENCE.lease_ms - 1)).is_empty());
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    assert!(endings(&world.hello(id, vec![held])).is_empty());
}

#[test]
fn a_dead_workers_trajectories_run_elsewhere_soon() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.apply(Event::Died { worker: id, cause: "killed".to_owned() });
    assert!(endings(&actions).is_empty(), "what it left on disk may yet be presented");
    let actions = world.pass(PATIENCE.rebirth_ms);
    assert_eq!(endings(&actions)[0].cause.as_deref(), Some("killed"));
    assert_eq!(trajectories(&world.work(8, 1).1), trajectories(&grant));
}

#[test]
fn a_dead_worker_that_comes_back_keeps_what_it_presents_and_gives_back_the_rest() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    world.apply(Event::Died { worker: id, cause: "killed".to_owned() });
    let kept = world.report(&grant, 0, Outcome::Completed, 20);
    let actions = world.hello(id, vec![kept.held]);
    let lost: Vec<_> = endings(&actions).iter().map(|ending| (ending.trajectory.0, ending.cause.clone())).collect();
    assert_eq!(lost, vec![(1, Some("killed".to_owned()))]);
    assert_eq!(acknowledged(&world.end(id, kept)), Some(true));
}

#[test]
fn a_draining_coordinator_grants_nothing_and_asks_its_workers_to_leave() {
    let mut world = World::new();
    let (id, _) = world.work(7, 1);
    let actions = world.apply(Event::Draining { reason: "stopping".to_owned() });
    assert!(actions.iter().any(|action| matches!(action, Action::Send { message: ToWorker::Drain { .. }, .. })));
    assert_eq!(world.poll(id, 1), None);
}

#[test]
fn a_restored_core_grants_what_is_neither_done_nor_held_and_adopts_the_rest() {
    let (spec, now) = (spec(), Now { tick: Tick(5), wall: WallTime(5) });
    let row = SweepRow {
        submission: submission(&spec),
        state: SweepState::Running,
        reason: None,
        completed: 4,
        diverged: 0,
        failed: 0,
    };
    let lease = LeaseRow {
        attempt: Attempt(3),
        sweep: row.submission.id,
        first: TrajectoryIndex(1),
        count: 2,
        worker: worker(7),
        worker_name: "w7".to_owned(),
        at: WallTime(1),
    };
    let open = vec![(lease, vec![TrajectoryIndex(2)])];
    let attempts = vec![(TrajectoryIndex(2), 1, 1)];
    let sweeps = vec![RestoredSweep { row, done: vec![(0, 2)], open, attempts }];
    let core = Core::restore(PATIENCE, now, &Restored { sweeps, last_attempt: 3, ..Restored::default() }, &[spec]);
    let mut world = World { core, now, sweep: SweepId(Uuid::from_u128(1)), lanes: 3 };
    let (_, grant) = world.work(8, 4);
    assert_eq!((trajectories(&grant), grant.attempt), (vec![3, 4, 5], Attempt(4)));
    let held = Held { sweep: world.sweep, attempt: Attempt(3), trajectory: TrajectoryIndex(2) };
    world.hello(worker(7), vec![held]);
    let report = Report {
        held,
        outcome: Outcome::Completed,
        cause: None,
        curve: curve(20),
        health: Vec::new(),
        updates: 20,
        seconds: 1.0,
    };
    let actions = world.end(worker(7), report);
    assert_eq!(acknowledged(&actions), Some(true));
    assert_eq!(endings(&actions)[0].results[0].attempts, 2, "the one before the restart, and the one it held");
    assert_eq!(world.completed(), 6);
}

#[test]
fn a_sweep_whose_last_trial_ends_is_finished() {
    let mut world = World::new();
    let id = worker(7);
    world.hello(id, Vec::new());
    let mut last = Vec::new();
    while let Some(grant) = world.poll(id, 4) {
        for lane in 0..grant.lanes.len() {
            last = world.end(id, world.report(&grant, lane, Outcome::Completed, 20));
        }
    }
    let finished =
        Record::StateChanged { sweep: world.sweep, state: SweepState::Finished, reason: None, at: WallTime(0) };
    assert!(last.contains(&Action::Persist(finished)));
    assert!(last.contains(&Action::Notify(Notice::Changed(world.sweep))));
    assert_eq!(world.core.sweep_view(world.sweep), None);
}

proptest! {
    /// Whatever workers say, lose, repeat or forget: every trial gets exactly one result, under the attempt that held
    /// it, and once the faults stop the sweep is finished.
    #[test]
    fn every_trial_gets_exactly_one_result(steps in prop::collection::vec((0_u8..9, 1_u128..4, 0_u64..6), 0..120)) {
        let mut world = World::new();
        let mut record = Accepted::default();
        let mut grants: Vec<(WorkerId, Grant)> = Vec::new();
        for (kind, number, pick) in steps {
            let id = worker(number);
            let actions = match kind {
                0 => world.hello(id, Vec::new()),
                1 | 2 => world.say(id, ToCoordinator::Poll { lanes: 2 }),
                3..=5 => match grants.get(pick as usize % grants.len().max(1)).cloned() {
                    Some((holder, grant)) => {
                        let outcome = [Outcome::Completed, Outcome::Diverged, Outcome::Preempted][kind as usize - 3];
                        let lane = pick as usize % grant.lanes.len();
                        let report = world.report(&grant, lane, outcome, 20);
                        world.end(if pick == 5 { id } else { holder }, report)
                    }
                    None => Vec::new(),
                },
                6 => world.apply(Event::Disconnected(id)),
                7 => world.apply(Event::Died { worker: id, cause: "killed".to_owned() }),
                _ => world.pass(pick * 4_000),
            };
            record.take(&actions);
            for action in &actions {
                if let Action::Send { worker, message: ToWorker::Grant(grant) } = action {
                    grants.push((*worker, (**grant).clone()));
                }
            }
        }
        record.take(&world.pass(PATIENCE.lease_ms * 2));
        let id = worker(100);
        world.hello(id, Vec::new());
        while let Some(grant) = world.poll(id, 2) {
            record.granted(&grant);
            for lane in 0..grant.lanes.len() {
                let actions = world.end(id, world.report(&grant, lane, Outcome::Completed, 20));
                record.take(&actions);
            }
        }
        prop_assert_eq!(record.trials, (0..12).map(TrialIndex).collect::<BTreeSet<_>>());
        prop_assert_eq!(world.core.sweep_view(world.sweep), None);
    }
}

/// What was accepted, checked as it comes.
#[derive(Default)]
struct Accepted {
    trials: BTreeSet<TrialIndex>,
    /// The attempt that holds each trajectory.
    holder: BTreeMap<TrajectoryIndex, Attempt>,
}

impl Accepted {
    fn granted(&mut self, grant: &Grant) {
        for lane in &grant.lanes {
            let other = self.holder.insert(lane.trajectory, grant.attempt);
            assert!(other.is_none(), "{} was held by {other:?} when it was granted", lane.trajectory);
        }
    }

    fn take(&mut self, actions: &[Action]) {
        for ending in endings(actions) {
            assert_eq!(self.holder.remove(&ending.trajectory), Some(ending.attempt), "{ending:?}");
            for result in &ending.results {
                assert!(self.trials.insert(result.trial), "a second result for trial {}", result.trial);
            }
        }
        granted(actions).iter().for_each(|grant| self.granted(grant));
    }
}

fn handed_back(actions: &[Action]) -> Vec<TrajectoryIndex> {
    let back = |action: &Action| match action {
        Action::Send { message: ToWorker::HandBack { trajectories, .. }, .. } => Some(trajectories.clone()),
        _ => None,
    };
    actions.iter().filter_map(back).flatten().collect()
}

fn states(actions: &[Action]) -> Vec<(SweepState, Option<String>)> {
    let state = |action: &Action| match action {
        Action::Persist(Record::StateChanged { state, reason, .. }) => Some((*state, reason.clone())),
        _ => None,
    };
    actions.iter().filter_map(state).collect()
}

fn quarantined(actions: &[Action]) -> Vec<WorkerId> {
    let worker = |action: &Action| match action {
        Action::Persist(Record::Quarantined(row)) => Some(row.worker),
        _ => None,
    };
    actions.iter().filter_map(worker).collect()
}

impl World {
    /// A world in which failures are tried again often.
    fn patient() -> Self {
        Self::with_retries(50)
    }

    fn with_retries(retries_max: u32) -> Self {
        let mut world = Self::new();
        let mut spec = (*spec()).clone();
        spec.retries_max = retries_max;
        let mut submission = submission(&spec);
        submission.id = SweepId(Uuid::from_u128(2));
        world.apply(Event::Cancelled(world.sweep));
        world.sweep = submission.id;
        world.apply(Event::Submitted { submission: Box::new(submission), spec: Arc::new(spec) });
        world
    }

    /// The worker's present bundle fails with this error, and it asks for more.
    fn fail(&mut self, id: WorkerId, grant: &Grant, why: &str) -> (Vec<Action>, Option<Grant>) {
        let mut actions = Vec::new();
        for lane in 0..grant.lanes.len() {
            let cause = Some(why.to_owned());
            actions.extend(self.end(id, Report { cause, ..self.report(grant, lane, Outcome::Failed, 0) }));
        }
        let asked = self.say(id, ToCoordinator::Poll { lanes: 1 });
        let next = granted(&asked).into_iter().next();
        actions.extend(asked);
        (actions, next)
    }

    fn complete(&mut self, id: WorkerId, grant: &Grant) -> (Vec<Action>, Option<Grant>) {
        let mut actions = self.end(id, self.report(grant, 0, Outcome::Completed, 20));
        let asked = self.say(id, ToCoordinator::Poll { lanes: 1 });
        let next = granted(&asked).into_iter().next();
        actions.extend(asked);
        (actions, next)
    }
}

#[test]
fn a_pause_takes_everything_back_and_grants_nothing_until_it_is_over() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.apply(Event::Paused(world.sweep));
    assert_eq!(handed_back(&actions), vec![TrajectoryIndex(0)]);
    assert_eq!(states(&actions), vec![(SweepState::Paused, None)]);
    assert!(world.apply(Event::Paused(world.sweep)).is_empty(), "twice is once");
    let (_, next) = {
        let actions = world.end(id, world.report(&grant, 0, Outcome::Preempted, 5));
        (actions, world.poll(id, 1))
    };
    assert_eq!(next, None);
    let actions = world.apply(Event::Resumed(world.sweep));
    assert_eq!(states(&actions), vec![(SweepState::Running, None)]);
    assert_eq!(trajectories(&granted(&actions)[0]), vec![0]);
    assert!(world.apply(Event::Resumed(world.sweep)).is_empty(), "twice is once");
}

#[test]
fn who_could_not_hear_of_a_pause_hears_of_it_when_it_comes_back() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.apply(Event::Disconnected(id));
    world.apply(Event::Paused(world.sweep));
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    assert_eq!(handed_back(&world.hello(id, vec![held])), vec![TrajectoryIndex(0)]);
}

#[test]
fn a_paused_sweep_still_finishes_with_what_comes_in() {
    let mut world = World::new();
    let grants: Vec<_> = (1..=6).map(|number| world.work(number, 1)).collect();
    world.apply(Event::Paused(world.sweep));
    let last = grants.iter().map(|(id, grant)| world.end(*id, world.report(grant, 0, Outcome::Completed, 20)));
    let last = last.last().expect("six");
    assert_eq!(states(&last), vec![(SweepState::Finished, None)]);
    assert_eq!(world.core.check(), Ok(()));
}

#[test]
fn like_failures_of_many_trajectories_pause_the_sweep_with_the_reason() {
    let mut world = World::new();
    let (id, first) = world.work(7, 1);
    let (mut actions, mut next) = world.fail(id, &first, "no data at line 1");
    let mut failures = 1;
    while states(&actions).is_empty() {
        let grant = next.take().expect("there is work");
        failures += 1;
        (actions, next) = world.fail(id, &grant, &format!("no data at line {failures}"));
    }
    assert_eq!(failures, 5, "two attempts at each of two trajectories, and one at a third");
    let (state, reason) = states(&actions).remove(0);
    assert_eq!(state, SweepState::Paused);
    assert!(reason.as_deref().is_some_and(|reason| reason.contains("3 trajectories failed alike")), "{reason:?}");
    assert_eq!(next, None);
    world.apply(Event::Resumed(world.sweep));
    assert!(world.core.sweep_view(world.sweep).is_some_and(|view| view.reason.is_none()));
}

#[test]
fn different_failures_do_not_pause_a_sweep() {
    let mut world = World::patient();
    let (id, mut grant) = world.work(7, 1);
    for error in ["no data", "no room", "no weights", "no bias", "no luck"] {
        let (actions, next) = world.fail(id, &grant, error);
        assert_eq!(states(&actions), vec![]);
        grant = next.expect("there is work");
    }
}

#[test]
fn what_failed_on_one_worker_is_tried_on_another() {
    let mut world = World::patient();
    let (good, other) = world.work(8, 1);
    let (bad, grant) = world.work(7, 1);
    let (_, next) = world.fail(bad, &grant, "no data");
    assert_ne!(next.map(|next| trajectories(&next)), Some(trajectories(&grant)), "not on the same worker");
    let (_, next) = world.complete(good, &other);
    assert_eq!(next.map(|next| trajectories(&next)), Some(trajectories(&grant)));
}

#[test]
fn what_failed_on_every_worker_is_still_tried_again() {
    let mut world = World::patient();
    let (one, first) = world.work(7, 1);
    let (other, second) = world.work(8, 1);
    world.fail(one, &first, "no data");
    world.fail(other, &second, "no room");
    for _ in 0..8 {
        for id in [one, other] {
            if let Some(grant) = world.poll(id, 1) {
                world.fail(id, &grant, "no luck");
            }
        }
    }
    let leased: BTreeSet<u64> = world.core.leases.values().flat_map(|lease| lease.open.keys().map(|t| t.0)).collect();
    assert!(!leased.is_empty(), "nobody waits for a third worker");
}

#[test]
fn a_worker_that_fails_what_others_complete_is_quarantined_until_it_is_released() {
    let mut world = World::patient();
    let (good, mut ours) = world.work(8, 1);
    let (bad, grant) = world.work(7, 1);
    let mut theirs = Some(grant);
    let mut failed = 0;
    while let Some(grant) = theirs.take() {
        failed += 1;
        let (actions, next) = world.fail(bad, &grant, &format!("bad memory in module {failed}"));
        assert_eq!(states(&actions), vec![], "one worker is no evidence against a sweep");
        theirs = next;
    }
    assert_eq!(failed, 3, "then it waits until others have shown whose fault it is");
    let mut found = Vec::new();
    while found.is_empty() {
        let (actions, next) = world.complete(good, &ours);
        found = quarantined(&actions);
        match next {
            Some(next) => ours = next,
            None => break,
        }
    }
    assert_eq!(found, vec![bad]);
    assert_eq!(world.poll(bad, 1), None);
    let view = world.core.worker_views(None).into_iter().find(|view| view.id == bad).expect("it is shown");
    assert!(view.quarantined.is_some_and(|reason| reason.contains("3 trajectories in a row")));
    let actions = world.apply(Event::Released(bad));
    assert!(actions.contains(&Action::Persist(Record::Released(bad))));
    assert_eq!(granted(&actions).len(), 1, "it had asked");
    assert!(world.apply(Event::Released(bad)).is_empty(), "twice is once");
}

#[test]
fn a_success_ends_a_row_of_failures() {
    let mut world = World::patient();
    let (_good, _theirs) = world.work(8, 1);
    let (id, mut grant) = world.work(7, 1);
    for _ in 0..2 {
        grant = world.fail(id, &grant, "no luck").1.expect("there is work");
    }
    grant = world.complete(id, &grant).1.expect("there is work");
    assert!(world.fail(id, &grant, "no luck").1.is_some(), "one failure in a row");
}

#[test]
fn failed_trials_are_tried_again_with_their_retries() {
    let mut world = World::new();
    let (id, mut grant) = world.work(7, 1);
    for _ in 0..2 {
        let (_, next) = world.fail(id, &grant, "no luck");
        grant = next.expect("there is work");
    }
    let failed = |world: &World| world.core.sweep_view(world.sweep).map(|view| view.failed);
    assert_eq!(failed(&world), Some(2), "two attempts, then for good");
    let retry = Event::Retried { sweep: world.sweep, finished: None, failures: vec![(TrajectoryIndex(0), 2)] };
    let actions = world.apply(retry.clone());
    let record = actions.iter().find_map(|action| match action {
        Action::Persist(Record::Retried { trajectories, .. }) => Some(trajectories.clone()),
        _ => None,
    });
    let row = record.expect("a record")[0];
    assert_eq!((row.trajectory, row.first_trial, row.trials), (TrajectoryIndex(0), TrialIndex(0), 2));
    assert_eq!(failed(&world), Some(0));
    assert!(world.apply(retry).is_empty(), "twice is once");
    let (other, again) = world.work(9, 1);
    assert_eq!(trajectories(&again), vec![0]);
    world.fail(other, &again, "no luck");
    assert_eq!(failed(&world), Some(0), "its retries are its own again");
}

#[test]
fn a_finished_sweep_runs_again_for_what_failed() {
    let (spec, now) = (spec(), Now { tick: Tick(5), wall: WallTime(5) });
    let mut core = Core::restore(PATIENCE, now, &Restored::default(), &[]);
    let row = SweepRow {
        submission: submission(&spec),
        state: SweepState::Finished,
        reason: None,
        completed: 10,
        diverged: 0,
        failed: 2,
    };
    let id = row.submission.id;
    let restored = RestoredSweep { row, done: vec![(0, 6)], open: Vec::new(), attempts: Vec::new() };
    let retry = Event::Retried {
        sweep: id,
        finished: Some(Box::new((restored, spec))),
        failures: vec![(TrajectoryIndex(4), 3)],
    };
    let actions = core.apply(now, retry);
    assert_eq!(states(&actions), vec![(SweepState::Running, None)]);
    assert_eq!(core.check(), Ok(()));
    let view = core.sweep_view(id).expect("it runs");
    assert_eq!((view.completed, view.failed), (10, 0));
}

#[test]
fn a_trajectory_that_kills_every_worker_has_failed() {
    let mut world = World::new();
    let mut last = Vec::new();
    for number in 1..=10 {
        let id = worker(number);
        world.hello(id, Vec::new());
        let grant = world.poll(id, 3).expect("there is work");
        assert_eq!(trajectories(&grant)[0], 0);
        if number > 2 {
            assert_eq!(grant.lanes.len(), 1, "alone, so that its neighbours live");
        }
        assert_eq!(world.core.sweep_view(world.sweep).map(|view| view.failed), Some(0));
        world.apply(Event::Died { worker: id, cause: "killed by signal 11".to_owned() });
        last = world.pass(PATIENCE.rebirth_ms);
    }
    assert_eq!(endings(&last)[0].outcome, Outcome::Failed);
    let cause = endings(&last)[0].cause.clone().expect("a cause");
    assert_eq!(cause, "10 workers died in a row while training it, the last one: killed by signal 11");
}

#[test]
fn deaths_that_get_further_each_time_are_no_failure() {
    let mut world = World::new();
    for number in 1..=30 {
        let (id, grant) = world.work(number, 1);
        let progress =
            vec![Progress { attempt: grant.attempt, trajectory: TrajectoryIndex(0), updates: number as u64 }];
        world.say(id, ToCoordinator::Heartbeat { progress });
        world.apply(Event::Died { worker: id, cause: "preempted".to_owned() });
        let actions = world.pass(PATIENCE.rebirth_ms);
        assert_eq!(endings(&actions)[0].outcome, Outcome::WorkerLost);
    }
}

#[test]
fn nobody_is_lost_for_silence_while_nobody_could_be_heard() {
    let mut world = World::new();
    let (_, _) = world.work(7, 1);
    world.now.tick = world.now.tick.after_ms(5 * PATIENCE.lease_ms);
    assert!(endings(&world.apply(Event::Awoke)).is_empty());
    assert!(endings(&world.pass(PATIENCE.lease_ms - 1)).is_empty());
    assert_eq!(endings(&world.pass(1)).len(), 1, "a whole lease time later it is");
}

#[test]
fn a_worker_gets_no_more_than_its_lanes_whatever_it_asks_for() {
    let mut world = World { lanes: 1, ..World::new() };
    let id = worker(7);
    world.hello(id, Vec::new());
    assert_eq!(world.poll(id, 50).map(|grant| grant.lanes.len()), Some(1));
    assert_eq!(world.poll(id, 1), None, "its one lane is taken");
}

#[test]
fn a_worker_that_asked_and_fell_silent_gets_work_when_it_is_heard_again() {
    let mut world = World::new();
    world.apply(Event::Paused(world.sweep));
    let id = worker(7);
    world.hello(id, Vec::new());
    assert_eq!(world.poll(id, 1), None);
    world.pass(PATIENCE.lease_ms);
    assert!(granted(&world.apply(Event::Resumed(world.sweep))).is_empty(), "who knows whether it is there");
    let actions = world.say(id, ToCoordinator::Heartbeat { progress: Vec::new() });
    assert_eq!(granted(&actions).len(), 1);
}

#[test]
fn only_what_is_paused_is_asked_back_and_only_of_who_holds_it() {
    let mut world = World::new();
    let (one, first) = world.work(7, 1);
    let (other, _) = world.work(8, 1);
    let held =
        |grant: &Grant| Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory };
    assert_eq!(handed_back(&world.hello(one, vec![held(&first)])), vec![]);
    world.apply(Event::Paused(world.sweep));
    let actions = world.hello(one, vec![held(&first)]);
    assert_eq!(handed_back(&actions), vec![first.lanes[0].trajectory], "and not what worker {other} holds");
    assert_ne!(one, other);
}

#[test]
fn an_end_without_a_score_is_told_as_a_setback_and_a_completion_is_not() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    let setbacks = |actions: &[Action]| {
        let setback = |action: &&Action| matches!(action, Action::Notify(Notice::Setback { .. }));
        actions.iter().filter(setback).count()
    };
    assert_eq!(setbacks(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20))), 0);
    assert_eq!(setbacks(&world.end(id, world.report(&grant, 1, Outcome::Diverged, 5))), 1);
}

#[test]
fn trials_in_training_are_counted_as_long_as_they_are() {
    let mut world = World::new();
    let running = |world: &World| world.core.sweep_view(world.sweep).map(|view| view.running);
    let (id, grant) = world.work(7, 2);
    assert_eq!(running(&world), Some(4), "two trajectories of two trials");
    world.end(id, world.report(&grant, 0, Outcome::Preempted, 0));
    assert_eq!(running(&world), Some(2));
    world.end(id, world.report(&grant, 1, Outcome::Completed, 20));
    assert_eq!(running(&world), Some(0));
}

#[test]
fn what_failed_for_good_is_held_against_no_worker() {
    let mut world = World::with_retries(0);
    let (_good, _theirs) = world.work(8, 1);
    let (id, mut grant) = world.work(7, 1);
    for error in ["no data", "no room", "no luck"] {
        grant = world.fail(id, &grant, error).1.expect("nobody will ever show whose fault it was");
    }
}

#[test]
fn a_lease_has_ten_heartbeats_and_a_quarter_of_it_is_enough_to_be_reborn() {
    let patience = Patience { heartbeat_ms: 2_000, lease_ms: 20_000, rebirth_ms: 5_000 };
    assert_eq!(Patience::of_lease_ms(20_000), patience);
}

#[test]
fn the_next_deadline_is_that_of_the_worker_silent_longest() {
    let mut world = World::new();
    assert_eq!(world.core.next_deadline(), None);
    world.hello(worker(7), Vec::new());
    world.pass(100);
    world.hello(worker(8), Vec::new());
    assert_eq!(world.core.next_deadline(), Some(Tick(PATIENCE.lease_ms)));
}

#[test]
fn the_latest_reports_of_a_worker_are_remembered_and_no_more() {
    let description =
        WorkerDescription { name: String::new(), device: String::new(), lanes: 1, version: String::new() };
    let mut worker = Worker::new(description, true, Tick(0));
    let report = |number: usize| (Attempt(number as u64), TrajectoryIndex(0));
    let knows = |worker: &Worker, number| worker.has_accepted(report(number).0, report(number).1);
    (0..REMEMBERED).for_each(|number| worker.accept(report(number).0, report(number).1));
    assert!(knows(&worker, 0));
    worker.accept(report(REMEMBERED).0, report(REMEMBERED).1);
    assert!(!knows(&worker, 0) && knows(&worker, 1));
}
