//! More trials for a sweep that is there, or was.

use super::commands::states;
use super::reuse::taken_over;
use super::*;
use crate::event::Extended;
use crate::policies::reuse::TrainedSource;
use crate::record::{Extension, ReusedRow};

/// The usual sweep with one more seed: two more trajectories, four more trials.
fn more() -> (Extension, Arc<SweepSpec>) {
    let text = SPEC.replace("[0, 1, 2]", "3");
    let extension = SweepSpec::parse(&text, Format::Toml, "more.toml").expect("a good spec");
    let spec = Arc::new(spec().extended(&extension).expect("they agree"));
    (Extension { text, format: Format::Toml, at: WallTime(5) }, spec)
}

impl World {
    fn extend(&mut self, finished: Option<RestoredSweep>, reused: Arc<[ReusedRow]>) -> Vec<Action> {
        let (extension, spec) = more();
        let extended = Box::new(Extended { extension, prepared: PreparedSpec::new(spec), finished, reused });
        self.apply(Event::Extended { sweep: self.sweep, extended })
    }

    /// The usual sweep with all its trials done.
    fn finished() -> (Self, RestoredSweep) {
        let mut world = Self::new();
        let (id, mut grant) = world.work(7, 3);
        loop {
            for lane in 0..grant.lanes.len() {
                world.end(id, world.report(&grant, lane, Outcome::Completed, 20));
            }
            let Some(next) = world.poll(id, 3) else { break };
            grant = next;
        }
        assert_eq!(world.scheduler.sweep_view(world.sweep), None);
        let row = SweepRow {
            submission: submission(&spec()),
            extensions: Vec::new(),
            state: SweepState::Finished,
            reason: None,
            completed: 12,
            diverged: 0,
            failed: 0,
            reused: 0,
        };
        (world, RestoredSweep { done: vec![(0, 6)], ..restored(row) })
    }
}

/// What is kept of an extension: trials and trajectories there are then.
fn extended(actions: &[Action]) -> Vec<(SweepId, u64, u64)> {
    let counts = |action: &Action| match action {
        Action::Persist(Record::Extended { sweep, extension, trials, trajectories }) => {
            assert_eq!(extension, &more().0);
            Some((*sweep, *trials, *trajectories))
        }
        _ => None,
    };
    actions.iter().filter_map(counts).collect()
}

/// The new trajectories, as another sweep has found them.
fn found(indices: impl Iterator<Item = u64>) -> Arc<[ReusedRow]> {
    let (_, spec) = more();
    let row = |index| {
        let index = TrajectoryIndex(index);
        let trajectory = spec.grid.trajectory(index).expect("in the grid");
        let sweep = SweepId(Uuid::from_u128(9));
        let found = TrainedSource {
            sweep,
            index,
            trajectory: &trajectory,
            curve: &curve(20),
            worker_name: "w",
            environment: None,
        };
        found.taken_over_by(&spec.grid, index).expect("all is there")
    };
    indices.map(row).collect()
}

#[test]
fn a_running_sweep_goes_on_with_what_was_added_and_an_idle_worker_gets_it_at_once() {
    let mut world = World::new();
    let (busy, grant) = world.work(7, 3);
    assert_eq!(trajectories(&grant), [0, 1, 2]);
    let (other, _) = world.work(8, 3);
    assert_eq!(world.poll(other, 3), None, "all is leased");
    let actions = world.extend(None, Arc::default());
    assert_eq!(extended(&actions), [(world.sweep, 16, 8)]);
    assert_eq!(states(&actions), []);
    assert!(granted(&actions).is_empty(), "it holds all its lanes can take");
    let third = worker(9);
    world.hello(third, Vec::new());
    assert_eq!(trajectories(&world.poll(third, 3).expect("there is more")), [6]);
    let view = world.scheduler.sweep_view(world.sweep).expect("it runs");
    assert_eq!((view.trials, view.trajectories, view.completed), (16, 8, 0));
    world.end(busy, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(world.completed(), 2, "what was leased before counts as before");
}

#[test]
fn who_was_refused_gets_what_is_added() {
    let mut world = World::new();
    for number in 1..=2 {
        world.work(number, 3);
    }
    let idle = worker(3);
    world.hello(idle, Vec::new());
    assert_eq!(world.poll(idle, 1), None);
    assert_eq!(trajectories(&granted(&world.extend(None, Arc::default()))[0]), [6]);
}

#[test]
fn a_finished_sweep_runs_again_for_what_was_added_alone() {
    let (mut world, stored) = World::finished();
    let actions = world.extend(Some(stored), Arc::default());
    assert_eq!(extended(&actions), [(world.sweep, 16, 8)]);
    assert_eq!(states(&actions), [(SweepState::Running, None)]);
    assert_eq!(world.completed(), 12);
    let bundles: Vec<_> = granted(&actions).iter().map(trajectories).collect();
    assert_eq!(bundles, [[6]], "to the worker that had asked in vain");
    world.end(worker(7), world.report(&granted(&actions)[0], 0, Outcome::Completed, 20));
    let last = world.poll(worker(7), 3).expect("there is one more");
    assert_eq!(trajectories(&last), [7]);
    let actions = world.end(worker(7), world.report(&last, 0, Outcome::Completed, 20));
    assert_eq!(states(&actions), [(SweepState::Finished, None)]);
}

#[test]
fn a_paused_sweep_stays_so_when_it_is_extended() {
    let mut world = World::new();
    world.apply(Event::Paused(world.sweep));
    let actions = world.extend(None, Arc::default());
    assert_eq!((extended(&actions), states(&actions)), (vec![(world.sweep, 16, 8)], vec![]));
    let id = worker(7);
    world.hello(id, Vec::new());
    assert_eq!(world.poll(id, 3), None);
}

#[test]
fn what_was_found_elsewhere_comes_with_an_extension_and_all_of_it_ends_the_sweep_again() {
    let (mut world, stored) = World::finished();
    let actions = world.extend(Some(stored), found(6..8));
    let rows = taken_over(&actions);
    assert_eq!((rows.len(), rows[0].1.len()), (1, 2));
    assert_eq!(states(&actions), [(SweepState::Running, None), (SweepState::Finished, None)]);
    assert_eq!(world.scheduler.sweep_view(world.sweep), None);
}

#[test]
fn what_is_added_is_taken_over_as_far_as_it_is_there() {
    let mut world = World::new();
    let actions = world.extend(None, found(7..8));
    assert_eq!(taken_over(&actions)[0].1.len(), 1);
    let view = world.scheduler.sweep_view(world.sweep).expect("it runs");
    assert_eq!((view.completed, view.reused, view.trials), (2, 2, 16));
}

#[test]
fn what_failed_here_and_was_found_elsewhere_meanwhile_is_taken_over_when_it_is_tried_again() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.end(id, world.report(&grant, 0, Outcome::Failed, 0));
    let again = world.poll(id, 1).expect("it is tried again");
    world.end(id, world.report(&again, 0, Outcome::Failed, 0));
    let failures = vec![(TrajectoryIndex(0), 2)];
    let actions = world.apply(Event::Retried { sweep: world.sweep, finished: None, failures, reused: found(0..1) });
    assert_eq!(taken_over(&actions)[0].1.len(), 1);
    let view = world.scheduler.sweep_view(world.sweep).expect("it runs");
    assert_eq!((view.completed, view.reused, view.failed), (2, 2, 0));
}

#[test]
fn a_sweep_that_is_not_here_is_not_extended() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    assert_eq!(world.extend(None, Arc::default()), []);
}

#[test]
fn what_is_added_is_passed_on_to_who_waits_for_it() {
    let mut world = World::new();
    let (other, _) = world.submit_with(2, &[("[0, 1, 2]", "3")], Arc::default());
    world.extend(None, Arc::default());
    world.apply(Event::Paused(other));
    let mut passed_on = Vec::new();
    for number in 1..=4 {
        let (id, grant) = world.work(number, 3);
        for lane in 0..grant.lanes.len() {
            passed_on.extend(taken_over(&world.end(id, world.report(&grant, lane, Outcome::Completed, 20))));
        }
    }
    assert_eq!(passed_on.iter().map(|(sweep, _)| *sweep).collect::<Vec<_>>(), [other, other]);
}
