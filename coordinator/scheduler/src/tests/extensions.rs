//! Extensions of running and finished sweeps.

use super::commands::states;
use super::reuse::taken_over;
use super::*;
use crate::event::Extended;
use crate::policies::reuse::TrainedSource;
use crate::record::{Extension, ReusedRow};

/// An extension of [`SPEC`] by one seed, and the extended spec: two more trajectories, four more trials.
fn more() -> (Extension, Arc<SweepSpec>) {
    let text = SPEC.replace("[0, 1, 2]", "3");
    let (extension, text) = SweepSpec::parse_to_store(text, Format::Toml, "more.toml").expect("a good spec");
    let spec = Arc::new(spec().extended(&extension).expect("the extension fits the spec"));
    (Extension { spec: text, at: WallTime(5) }, spec)
}

impl World {
    fn extend(&mut self, finished: Option<RestoredSweep>, reused: Arc<[ReusedRow]>) -> Vec<Action> {
        let (extension, spec) = more();
        let extended = Box::new(Extended { extension, prepared: PreparedSpec::new(spec), finished, reused });
        self.apply(Event::Extended { sweep: self.sweep, extended })
    }

    /// A scheduler in which the sweep of [`SPEC`] has finished, and the stored sweep.
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
            state_at: WallTime(0),
            reason: None,
            note: None,
            completed: 12,
            diverged: 0,
            failed: 0,
            reused: 0,
        };
        (world, RestoredSweep { done: vec![(0, 6)], ..restored(row) })
    }
}

/// The recorded extensions, with the numbers of trials and trajectories of the extended sweeps.
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

/// Results of these trajectories from another sweep.
fn reused_rows(indices: impl Iterator<Item = u64>) -> Arc<[ReusedRow]> {
    let (_, spec) = more();
    let row = |index| {
        let index = TrajectoryIndex(index);
        let trajectory = spec.grid.trajectory(index).expect("in the grid");
        let sweep = SweepId(Uuid::from_u128(9));
        let source = TrainedSource {
            sweep,
            index,
            trajectory: &trajectory,
            curve: &curve(20),
            worker_name: "w",
            environment: None,
        };
        source.taken_over_by(&spec.grid, index).expect("the curve is long enough")
    };
    indices.map(row).collect()
}

#[test]
fn a_running_sweep_grants_its_added_trajectories() {
    let mut world = World::new();
    let (busy, grant) = world.work(7, 3);
    assert_eq!(trajectories(&grant), [0, 1, 2]);
    let (other, _) = world.work(8, 3);
    assert_eq!(world.poll(other, 3), None, "all trajectories are leased");
    let actions = world.extend(None, Arc::default());
    assert_eq!(extended(&actions), [(world.sweep, 16, 8)]);
    assert_eq!(states(&actions), []);
    assert!(granted(&actions).is_empty(), "the worker has no free lane");
    let third = worker(9);
    world.hello(third, Vec::new());
    assert_eq!(trajectories(&world.poll(third, 3).expect("there is work")), [6]);
    let view = world.scheduler.sweep_view(world.sweep).expect("the sweep is in the table");
    assert_eq!((view.trials, view.trajectories, view.completed), (16, 8, 0));
    world.end(busy, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(world.completed(), 2, "a lease from before the extension is still valid");
}

#[test]
fn a_waiting_worker_gets_an_added_trajectory_at_once() {
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
fn an_extended_finished_sweep_trains_only_the_added_trials() {
    let (mut world, stored) = World::finished();
    let actions = world.extend(Some(stored), Arc::default());
    assert_eq!(extended(&actions), [(world.sweep, 16, 8)]);
    assert_eq!(states(&actions), [(SweepState::Running, None)]);
    assert_eq!(world.completed(), 12);
    let bundles: Vec<_> = granted(&actions).iter().map(trajectories).collect();
    assert_eq!(bundles, [[6]], "the waiting worker gets the trajectory");
    world.end(worker(7), world.report(&granted(&actions)[0], 0, Outcome::Completed, 20));
    let last = world.poll(worker(7), 3).expect("one trajectory is left");
    assert_eq!(trajectories(&last), [7]);
    let actions = world.end(worker(7), world.report(&last, 0, Outcome::Completed, 20));
    assert_eq!(states(&actions), [(SweepState::Finished, None)]);
}

#[test]
fn a_paused_sweep_stays_paused_when_it_is_extended() {
    let mut world = World::new();
    world.apply(Event::Paused(world.sweep));
    let actions = world.extend(None, Arc::default());
    assert_eq!((extended(&actions), states(&actions)), (vec![(world.sweep, 16, 8)], vec![]));
    let id = worker(7);
    world.hello(id, Vec::new());
    assert_eq!(world.poll(id, 3), None);
}

#[test]
fn an_extension_with_reused_results_for_all_trials_finishes_the_sweep() {
    let (mut world, stored) = World::finished();
    let actions = world.extend(Some(stored), reused_rows(6..8));
    let rows = taken_over(&actions);
    assert_eq!((rows.len(), rows[0].1.len()), (1, 2));
    assert_eq!(states(&actions), [(SweepState::Running, None), (SweepState::Finished, None)]);
    assert_eq!(world.scheduler.sweep_view(world.sweep), None);
}

#[test]
fn an_extension_takes_over_the_results_that_exist() {
    let mut world = World::new();
    let actions = world.extend(None, reused_rows(7..8));
    assert_eq!(taken_over(&actions)[0].1.len(), 1);
    let view = world.scheduler.sweep_view(world.sweep).expect("the sweep is in the table");
    assert_eq!((view.completed, view.reused, view.trials), (2, 2, 16));
}

#[test]
fn a_retry_takes_over_the_result_of_another_sweep() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.end(id, world.report(&grant, 0, Outcome::Failed, 0));
    let again = world.poll(id, 1).expect("the trajectory is retried");
    world.end(id, world.report(&again, 0, Outcome::Failed, 0));
    let failures = vec![(TrajectoryIndex(0), 2)];
    let actions =
        world.apply(Event::Retried { sweep: world.sweep, finished: None, failures, reused: reused_rows(0..1) });
    assert_eq!(taken_over(&actions)[0].1.len(), 1);
    let view = world.scheduler.sweep_view(world.sweep).expect("the sweep is in the table");
    assert_eq!((view.completed, view.reused, view.failed), (2, 2, 0));
}

#[test]
fn an_ended_sweep_is_not_extended_without_its_restored_state() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    assert_eq!(world.extend(None, Arc::default()), []);
}

#[test]
fn results_of_added_trajectories_are_passed_on_to_other_sweeps() {
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
