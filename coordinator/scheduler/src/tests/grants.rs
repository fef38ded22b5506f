//! The choice of grants: bundles, requirements and fair shares.

use biosweep_common::protocol::bounds::{LANES_MAX, lanes_of_bundle};

use super::*;
use crate::record::QuarantineRow;
use crate::status::Pool;

/// A sweep of `seeds` trajectories of one shape. `top` are lines at the top of the spec.
pub(crate) fn plain(seeds: u64, top: &str) -> Arc<SweepSpec> {
    let text = format!(
        "name = \"plain\"\n{top}\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 20\neval_every = 10\n\
         [grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = {{ from = 0, count = {seeds} }}\n"
    );
    Arc::new(SweepSpec::parse(&text, Format::Toml, "plain.toml").unwrap_or_else(|errors| panic!("{errors}")))
}

/// The sweep of [`World::with`].
const SWEEP: SweepId = SweepId(Uuid::from_u128(2));

impl World {
    /// A scheduler with this sweep only.
    pub(crate) fn with(spec: Arc<SweepSpec>) -> Self {
        let mut world = Self::new();
        world.apply(Event::Cancelled(world.sweep));
        world.sweep = world.submit(2, spec);
        world
    }

    /// Connects workers with the numbers 1 to `workers`. They do not poll.
    fn connect_workers(&mut self, workers: u128, lanes: u32) {
        self.lanes = lanes;
        (1..=workers).for_each(|number| drop(self.hello(worker(number), Vec::new())));
    }

    /// Lets a worker train one trajectory for a second; returns the sweep of the trajectory.
    fn train(&mut self, number: u128) -> SweepId {
        let grant = self.poll(worker(number), 1).expect("work");
        self.pass(1_000);
        self.end(worker(number), self.report(&grant, 0, Outcome::Completed, 20));
        grant.sweep
    }

    /// The number of trajectories of this sweep among the next ten that a worker trains.
    fn count_in_next_ten(&mut self, number: u128, sweep: SweepId) -> usize {
        (0..10).filter(|_| self.train(number) == sweep).count()
    }

    fn waits_for(&self) -> Option<String> {
        self.scheduler.sweep_view(self.sweep).and_then(|view| view.reason)
    }
}

#[test]
fn an_early_bundle_has_as_many_lanes_as_the_worker_asks_for() {
    let mut world = World::with(plain(1_000, ""));
    world.connect_workers(3, 16);
    assert_eq!(world.poll(worker(1), 16).map(|grant| grant.lanes.len()), Some(16));
    assert_eq!(world.poll(worker(2), 5).map(|grant| grant.lanes.len()), Some(5), "the worker polled for five lanes");
}

#[test]
fn the_last_trajectories_are_spread_evenly() {
    let mut world = World::with(plain(10, ""));
    world.connect_workers(3, 8);
    let widths = [1, 2, 3].map(|number| world.poll(worker(number), 8).map_or(0, |grant| grant.lanes.len()));
    assert_eq!(widths, [4, 4, 2]);
}

#[test]
fn a_worker_with_more_lanes_gets_more_of_the_last_trajectories() {
    let mut world = World::with(plain(8, ""));
    world.connect_workers(1, 3);
    world.lanes = 9;
    world.hello(worker(2), Vec::new());
    let widths = [1, 2].map(|number| world.poll(worker(number), 9).map_or(0, |grant| grant.lanes.len()));
    assert_eq!(widths, [2, 6]);
}

#[test]
fn a_lost_bundle_is_granted_again_as_a_whole() {
    let mut world = World::with(plain(12, ""));
    world.connect_workers(1, 4);
    let lost = world.poll(worker(1), 4).expect("work");
    world.apply(Event::Disconnected(worker(1)));
    world.pass(TIMEOUTS.lease_ms);
    // The share of each of the four workers would be three trajectories.
    (2..=5).for_each(|number| drop(world.hello(worker(number), Vec::new())));
    let again = world.poll(worker(2), 4).expect("work");
    assert_eq!((trajectories(&again), again.lanes.len()), (trajectories(&lost), 4));
    assert_eq!(
        world.poll(worker(3), 4).map(|grant| trajectories(&grant)),
        Some(vec![4, 5, 6]),
        "the other trajectories are shared"
    );
}

#[test]
fn neighbours_of_a_handed_back_bundle_are_granted_together() {
    let mut world = World::with(plain(12, ""));
    world.connect_workers(1, 4);
    let grant = world.poll(worker(1), 4).expect("work");
    world.end(worker(1), world.report(&grant, 1, Outcome::Completed, 20));
    for lane in [0, 2, 3] {
        world.end(worker(1), world.report(&grant, lane, Outcome::Preempted, 5));
    }
    let first = world.poll(worker(1), 4).expect("work");
    assert_eq!(trajectories(&first), [0], "no neighbour is from the same attempt");
    world.hello(worker(2), Vec::new());
    assert_eq!(world.poll(worker(2), 4).map(|grant| trajectories(&grant)), Some(vec![2, 3]));
}

#[test]
fn the_last_trajectory_of_a_lost_bundle_is_granted_with_its_neighbours() {
    let mut world = World::with(plain(40, ""));
    world.lanes = 4;
    let (one, grant) = world.work(1, 2);
    assert_eq!(trajectories(&grant), [0, 1]);
    world.end(one, world.report(&grant, 0, Outcome::Completed, 20));
    world.send(one, ToCoordinator::Goodbye);
    assert_eq!(trajectories(&world.work(2, 4).1), [1, 2, 3, 4]);
}

#[test]
fn a_failed_bundle_is_granted_again_lane_by_lane() {
    let mut world = World::with(plain(30, "retries = 5"));
    world.connect_workers(1, 3);
    let grant = world.poll(worker(1), 3).expect("work");
    for lane in 0..2 {
        world.end(worker(1), world.report(&grant, lane, Outcome::Failed, 0));
    }
    world.end(worker(1), world.report(&grant, 2, Outcome::Completed, 20));
    let mut bundles = Vec::new();
    for _ in 0..3 {
        let grant = world.poll(worker(1), 3).expect("work");
        (0..grant.lanes.len())
            .for_each(|lane| drop(world.end(worker(1), world.report(&grant, lane, Outcome::Completed, 20))));
        bundles.push(trajectories(&grant));
    }
    assert_eq!(bundles, [vec![0], vec![1], vec![3, 4, 5]]);
}

#[test]
fn the_most_expensive_shape_is_granted_first() {
    let text = "name = \"d\"\n[data]\ndataset = \"synthetic-digits\"\n[grid]\nrule = [\"bp\", \"dtp\"]\nnetwork = \"nn\"\n\
                depth = [1, 4, 2]\n";
    let mut world = World::with(Arc::new(SweepSpec::parse(text, Format::Toml, "d.toml").expect("a good spec")));
    let order: Vec<_> =
        (1..=6).map(|number| world.work(number, 1).1.shape).map(|shape| (shape.rule.name(), shape.depth)).collect();
    assert_eq!(
        order,
        [("dtp", 4), ("bp", 4), ("dtp", 2), ("bp", 2), ("bp", 1), ("dtp", 1)],
        "shapes of equal cost keep their order"
    );
}

#[test]
fn pending_and_running_trajectories_are_outstanding_for_the_pools_that_may_train_them() {
    let mut world = World::with(plain(9, ""));
    let fast = world.submit(3, plain(5, "reuse = false\nrequire = { device = \"cuda\", labels = [\"fast\"] }"));
    let pool = |device: Option<&str>, labels: Option<&[&str]>| Pool {
        device: device.map(str::to_owned),
        labels: labels.map(|labels| labels.iter().map(ToString::to_string).collect()),
    };
    let (any, cpu, fast_gpu) = (pool(None, None), pool(Some("cpu"), Some(&[])), pool(Some("cuda"), Some(&["fast"])));
    let outstanding = |world: &World| [&any, &cpu, &fast_gpu].map(|pool| world.scheduler.outstanding(pool, None));
    assert_eq!(outstanding(&world), [14, 9, 14]);
    assert_eq!(world.scheduler.outstanding(&cpu, Some(fast)), 0);
    assert_eq!(world.scheduler.outstanding(&fast_gpu, Some(fast)), 5);

    // Two lanes in training count for the pool of their worker only, until they have ended.
    let (id, grant) = world.work(7, 2);
    assert_eq!(outstanding(&world), [14, 9, 12]);
    world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(outstanding(&world), [13, 8, 12]);

    world.apply(Event::Paused(world.sweep));
    assert_eq!(outstanding(&world), [5, 0, 5]);
    world.apply(Event::Resumed(world.sweep));
    world.apply(Event::Cancelled(fast));
    assert_eq!(world.scheduler.outstanding(&any, None), world.scheduler.outstanding(&cpu, None));
    world.apply(Event::Cancelled(world.sweep));
    assert_eq!(outstanding(&world), [0; 3]);
}

#[test]
fn a_sweep_is_granted_only_to_workers_that_meet_its_requirements() {
    let mut world = World::with(plain(9, "require = { device = \"cuda\", labels = [\"a100\"] }"));
    let waits = "the sweep waits for a worker with device cuda, label a100";
    assert_eq!(world.waits_for(), Some(format!("{waits}: no worker is connected")));
    world.connect_workers(1, 2);
    assert_eq!(world.poll(worker(1), 2), None, "the worker has no GPU");
    assert_eq!(world.waits_for(), Some(format!("{waits}: no connected worker matches")));
    let labels = ["a100".to_owned()].into();
    let capabilities = Capabilities { device: "cuda:0".to_owned(), labels, ..Capabilities::default() };
    let gpu = WorkerDescription { capabilities, lanes: 2, ..WorkerDescription::default() };
    let hello = Hello { worker: worker(2), description: gpu, numerics_version: 1, held: Vec::new() };
    world.send(worker(2), ToCoordinator::Hello(hello));
    assert_eq!(world.waits_for(), None);
    assert_eq!(world.poll(worker(2), 2).map(|grant| grant.lanes.len()), Some(2));
    world.apply(Event::Disconnected(worker(2)));
    world.connect_workers(3, 1);
    assert_eq!(world.waits_for(), Some(format!("{waits}: none of the 3 connected workers matches")));
    assert_eq!(world.scheduler.check(), Ok(()));
}

#[test]
fn watchers_of_a_sweep_without_workers_are_notified_of_worker_changes() {
    let mut world = World::with(plain(3, "require = { device = \"cuda\" }"));
    let is_notified = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Notify(Notice::Changed(sweep)) if *sweep == SWEEP))
    };
    assert!(is_notified(&world.hello(worker(1), Vec::new())));
    assert!(is_notified(&world.send(worker(1), ToCoordinator::Goodbye)));
    world.hello(worker(2), Vec::new());
    world.apply(Event::Disconnected(worker(2)));
    assert!(is_notified(&world.pass(TIMEOUTS.lease_ms)));
}

#[test]
fn a_waiting_worker_gets_work_from_a_later_sweep() {
    let mut world = World::with(plain(3, "require = { device = \"cuda\" }"));
    world.connect_workers(2, 1);
    assert_eq!((world.poll(worker(1), 1), world.poll(worker(2), 1)), (None, None));
    let spec = plain(5, "");
    let submission = Submission { id: SweepId(Uuid::from_u128(3)), ..submission(&spec) };
    let actions = world.apply(Event::Submitted {
        submission: Box::new(submission),
        prepared: PreparedSpec::new(spec),
        reused: Arc::default(),
    });
    assert_eq!(granted(&actions).len(), 2);
}

#[test]
fn a_worker_without_lanes_gets_no_work_and_is_not_counted() {
    let mut world = World::with(plain(3, ""));
    world.connect_workers(1, 0);
    assert_eq!(world.poll(worker(1), 1), None);
    let waits = "the sweep waits for a worker: no connected worker has a lane";
    assert_eq!(world.waits_for().as_deref(), Some(waits));
}

#[test]
fn a_sweep_of_one_trial_is_one_bundle_and_then_finished() {
    let mut world = World::with(plain(1, ""));
    let (id, grant) = world.work(1, 8);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    let state =
        |action: &Action| matches!(action, Action::Persist(Record::StateChanged { state: SweepState::Finished, .. }));
    assert_eq!((trajectories(&grant), actions.iter().filter(|action| state(action)).count()), (vec![0], 1));
}

#[test]
fn sweeps_share_the_workers_by_weight_and_a_higher_priority_comes_first() {
    let mut world = World::with(plain(100, ""));
    let heavy = world.submit(3, plain(100, "weight = 3"));
    world.connect_workers(8, 1);
    let sweeps: Vec<SweepId> = (1..=8).filter_map(|number| world.poll(worker(number), 1)).map(|g| g.sweep).collect();
    assert_eq!(sweeps.iter().filter(|&&sweep| sweep == heavy).count(), 6);
    let urgent = world.submit(4, plain(2, "priority = 1"));
    world.connect_workers(11, 1);
    let sweeps: Vec<SweepId> = (9..=11).filter_map(|number| world.poll(worker(number), 1)).map(|g| g.sweep).collect();
    assert_eq!(sweeps[..2], [urgent, urgent]);
    assert_ne!(sweeps[2], urgent, "the urgent sweep has no work left");
}

#[test]
fn a_new_sweep_is_not_compared_with_inactive_sweeps() {
    let mut world = World::with(plain(100, ""));
    world.submit(3, plain(100, "require = { device = \"cuda\" }"));
    let paused = world.submit(4, plain(100, ""));
    world.apply(Event::Paused(paused));
    world.connect_workers(1, 1);
    assert!((0..10).all(|_| world.train(1) == world.sweep));
    let new = world.submit(5, plain(100, "reuse = false"));
    assert_eq!(world.count_in_next_ten(1, new), 5);
}

#[test]
fn a_new_sweep_is_not_compared_with_a_sweep_paused_while_running() {
    let mut world = World::with(plain(100, ""));
    let paused = world.submit(3, plain(100, "reuse = false"));
    world.connect_workers(1, 1);
    assert!((0..2).any(|_| world.train(1) == paused));
    world.apply(Event::Paused(paused));
    assert!((0..10).all(|_| world.train(1) == world.sweep));
    let new = world.submit(4, plain(100, "reuse = false"));
    assert_eq!(world.count_in_next_ten(1, new), 5);
}

#[test]
fn a_sweep_that_loses_its_last_worker_does_not_catch_up() {
    let mut world = World::with(plain(100, ""));
    let picky = world.submit(3, plain(100, "reuse = false\nrequire = { labels = [\"fast\"] }"));
    world.connect_workers(1, 1);
    world.hello_with(worker(2), 1, &["fast"]);
    assert!((0..2).any(|_| world.train(2) == picky));
    world.send(worker(2), ToCoordinator::Goodbye);
    assert!((0..10).all(|_| world.train(1) == world.sweep));
    world.hello_with(worker(3), 1, &["fast"]);
    world.send(worker(1), ToCoordinator::Goodbye);
    assert_eq!(world.count_in_next_ten(3, picky), 5);
}

#[test]
fn a_new_worker_does_not_reset_the_fair_share() {
    let mut world = World::with(plain(100, ""));
    let other = world.submit(3, plain(100, "reuse = false"));
    world.connect_workers(1, 1);
    let long = world.poll(worker(1), 1).expect("work");
    world.pass(5_000);
    world.end(worker(1), world.report(&long, 0, Outcome::Completed, 20));
    let behind = if long.sweep == other { world.sweep } else { other };
    world.hello(worker(2), Vec::new());
    assert!((0..5).all(|_| world.train(1) == behind));
}

#[test]
fn a_sweep_without_workers_does_not_catch_up_when_one_connects() {
    let mut world = World::with(plain(100, ""));
    let picky = world.submit(3, plain(100, "reuse = false\nrequire = { labels = [\"fast\"] }"));
    world.connect_workers(1, 1);
    assert!((0..10).all(|_| world.train(1) == world.sweep));
    world.hello_with(worker(2), 1, &["fast"]);
    world.send(worker(1), ToCoordinator::Goodbye);
    assert_eq!(world.count_in_next_ten(2, picky), 5);
}

#[test]
fn a_worker_in_quarantine_is_not_counted() {
    let now = Now { tick: Tick(0), wall: WallTime(0) };
    let row =
        QuarantineRow { worker: worker(1), worker_name: "w1".to_owned(), reason: "bad".to_owned(), at: WallTime(0) };
    let known = Restored { quarantined: vec![row], ..Restored::default() };
    let scheduler = Scheduler::restore(TIMEOUTS, now, &known, Vec::new());
    let mut world = World { scheduler, now, sweep: SweepId(Uuid::from_u128(1)), lanes: 3 };
    world.submit(1, plain(3, ""));
    world.hello(worker(1), Vec::new());
    assert_eq!(world.poll(worker(1), 1), None);
    let waits = "the sweep waits for a worker: all connected workers are in quarantine";
    assert_eq!(world.waits_for().as_deref(), Some(waits));
    world.lanes = 0;
    world.hello(worker(2), Vec::new());
    assert_eq!(world.waits_for().as_deref(), Some(waits), "the other worker has no lane");
    let picky = world.submit(2, plain(3, "require = { device = \"cpu\" }"));
    let picky = world.scheduler.sweep_view(picky).and_then(|view| view.reason);
    let waits = "the sweep waits for a worker with device cpu: all matching workers are in quarantine";
    assert_eq!(picky.as_deref(), Some(waits));
    world.apply(Event::Released(worker(1)));
    assert_eq!(world.waits_for(), None);
}

#[test]
fn a_resumed_sweep_does_not_catch_up() {
    let mut world = World::with(plain(100, ""));
    let (first, other) = (world.sweep, world.submit(3, plain(100, "")));
    world.apply(Event::Paused(first));
    world.connect_workers(1, 1);
    assert!((0..10).all(|_| world.train(1) == other));
    world.apply(Event::Resumed(first));
    assert_eq!(world.count_in_next_ten(1, first), 5);
}

#[test]
fn a_bundle_fits_into_one_grant_message() {
    let text = "name = \"wide\"\n[data]\ndataset = \"synthetic-digits\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\n\
                depth = 1\nseed = { from = 0, count = 64 }\nmax_updates = { from = 1, count = 10_000 }\n";
    let spec = SweepSpec::parse(text, Format::Toml, "wide.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let mut world = World::with(Arc::new(spec));
    world.connect_workers(1, LANES_MAX);
    let grant = world.poll(worker(1), LANES_MAX).expect("work");
    assert_eq!(grant.lanes.len(), lanes_of_bundle(10_000) as usize);
    assert!(grant.lanes.len() < 64, "the bundle is smaller than the sweep");
    // A lost bundle is granted again as a whole.
    world.hello(worker(1), Vec::new());
    assert_eq!(world.poll(worker(1), LANES_MAX).map(|again| again.lanes.len()), Some(grant.lanes.len()));
}
