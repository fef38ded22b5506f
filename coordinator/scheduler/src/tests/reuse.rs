//! Reuse of results between sweeps.

use proptest::prelude::*;

use super::*;
use crate::policies::reuse::TrainedSource;
use crate::record::ReusedRow;
use biosweep_common::workers::environment::NumericEnvironment;

impl World {
    /// Submits the sweep of [`SPEC`] with these replacements in its text.
    pub(crate) fn submit_with(
        &mut self,
        number: u128,
        changes: &[(&str, &str)],
        reused: Arc<[ReusedRow]>,
    ) -> (SweepId, Vec<Action>) {
        let text = changes.iter().fold(SPEC.to_owned(), |text, (from, to)| text.replace(from, to));
        let spec = Arc::new(SweepSpec::parse(&text, Format::Toml, "other").unwrap_or_else(|error| panic!("{error}")));
        let id = SweepId(Uuid::from_u128(number));
        let submission = Box::new(Submission { id, ..submission(&spec) });
        (id, self.apply(Event::Submitted { submission, prepared: PreparedSpec::new(spec), reused }))
    }
}

pub(crate) fn taken_over(actions: &[Action]) -> Vec<(SweepId, Vec<ReusedRow>)> {
    let rows = |action: &Action| match action {
        Action::Persist(Record::Reused { sweep, trajectories }) => Some((*sweep, trajectories.to_vec())),
        _ => None,
    };
    actions.iter().filter_map(rows).collect()
}

/// The trial, the source trial and the updates of each result.
fn trials(rows: &[ReusedRow]) -> Vec<(u64, u64, u64)> {
    let results = rows.iter().flat_map(|row| &row.results);
    let of =
        |result: &TrialResult| (result.trial.0, result.reused_from.map_or(99, |from| from.trial.0), result.updates);
    results.map(of).collect()
}

fn finished(sweep: SweepId) -> Action {
    Action::Persist(Record::StateChanged { sweep, state: SweepState::Finished, reason: None, at: WallTime(0) })
}

#[test]
fn a_sweep_takes_over_the_results_of_another() {
    let mut world = World::new();
    let (other, _) =
        world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[10, 20]", "[20, 10]")], Arc::default());
    let (id, grant) = world.work(7, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    let ended = actions.iter().position(|action| matches!(action, Action::Persist(Record::Ended(_))));
    let taken = actions.iter().position(|action| matches!(action, Action::Persist(Record::Reused { .. })));
    assert!(ended.is_some() && ended < taken, "the source is recorded first");
    let rows = taken_over(&actions);
    assert_eq!((rows.len(), rows[0].0, rows[0].1[0].source), (1, other, world.sweep));
    assert_eq!(
        trials(&rows[0].1),
        [(0, 1, 20), (1, 0, 10)],
        "each result comes from the trial with the same stopping rule"
    );
    let view = world.scheduler.sweep_view(other).expect("the sweep is in the table");
    assert_eq!((view.completed, view.reused), (2, 2));
    assert_eq!((rows[0].1[0].results[0].attempts, rows[0].1[0].results[0].worker_name.as_str()), (0, "w7"));
}

#[test]
fn a_curve_that_ends_before_a_trial_does_is_not_taken_over() {
    let mut world = World::new();
    let (_, submitted) = world.submit_with(2, &[("[10, 20]", "[10, 30]")], Arc::default());
    assert_eq!(taken_over(&submitted), []);
    let (id, grant) = world.work(7, 1);
    assert_eq!(taken_over(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20))), []);
}

#[test]
fn a_score_before_a_divergence_is_taken_over_and_a_failure_is_not() {
    let mut world = World::new();
    let (other, _) = world.submit_with(2, &[("[10, 20]", "10")], Arc::default());
    let (id, grant) = world.work(7, 2);
    let rows = taken_over(&world.end(id, world.report(&grant, 0, Outcome::Diverged, 10)));
    assert_eq!((rows[0].0, trials(&rows[0].1)), (other, vec![(0, 0, 10)]));
    for _ in 0..2 {
        let failed = world.report(&grant, 1, Outcome::Failed, 20);
        assert_eq!(taken_over(&world.end(id, failed)), []);
    }
}

#[test]
fn a_sweep_without_reuse_takes_over_nothing_but_its_results_are_reused() {
    let mut world = World::new();
    let (without_reuse, _) = world.submit_with(2, &[("retries = 1", "reuse = false")], Arc::default());
    let (with_reuse, _) = world.submit_with(3, &[], Arc::default());
    let (id, grant) = world.work(7, 1);
    assert_eq!(grant.sweep, world.sweep);
    let rows = taken_over(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20)));
    assert_eq!(rows.iter().map(|(sweep, _)| *sweep).collect::<Vec<_>>(), [with_reuse]);
    assert_eq!(world.scheduler.sweep_view(without_reuse).map(|view| view.completed), Some(0));
}

#[test]
fn a_sweep_that_measures_layers_takes_over_only_measured_results() {
    let mut world = World::new();
    world.submit_with(2, &[("retries = 1", "measure = [\"update_norm\"]")], Arc::default());
    let (id, grant) = world.work(7, 1);
    assert_eq!(taken_over(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20))), []);
}

#[test]
fn a_paused_sweep_takes_over_pending_trials_and_finishes_leased_ones() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let early = "max_updates = 20\nearly_stop_start = 10\nearly_stop_patience = 1";
    let (first, _) = world.submit_with(2, &[("max_updates = [10, 20]", early)], Arc::default());
    let (one, grant) = world.work(7, 3);
    let relu = [("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "[0, 1]"), ("[10, 20]", "20")];
    let (other, _) = world.submit_with(3, &relu, Arc::default());
    world.apply(Event::Paused(first));
    let (two, of_other) = world.work(8, 1);
    assert_eq!((of_other.sweep, trajectories(&of_other)), (other, vec![0]), "the first sweep may stop too soon");
    world.apply(Event::Resumed(first));
    world.apply(Event::Paused(other));
    let mut actions = Vec::new();
    for lane in 0..2 {
        actions.extend(world.end(one, world.report(&grant, lane, Outcome::Completed, 20)));
    }
    let rows = taken_over(&actions);
    assert_eq!(
        rows.iter().map(|(sweep, rows)| (*sweep, trials(rows))).collect::<Vec<_>>(),
        [(other, vec![(1, 1, 20)])]
    );
    let last = world.end(two, world.report(&of_other, 0, Outcome::Completed, 20));
    assert!(last.contains(&finished(other)), "a paused sweep finishes too");
}

#[test]
fn blocks_that_differ_only_in_the_stopping_rule_share_a_training() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let blocks = "[[block]]\nmax_updates = [10, 20]\n[[block]]\nmax_updates = 5\n[[block]]\nmax_updates = 20\nearly_stop_start = 10\nearly_stop_patience = 1";
    let (sweep, _) = world.submit_with(
        2,
        &[("[\"relu\", \"tanh\"]", "\"relu\""), ("seed = [0, 1, 2]", "seed = 0"), ("max_updates = [10, 20]", blocks)],
        Arc::default(),
    );
    let (id, grant) = world.work(7, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    let rows = taken_over(&actions);
    assert_eq!(
        (rows[0].0, trials(&rows[0].1)),
        (sweep, vec![(3, 0, 20)]),
        "the curve has no evaluation after 5 updates"
    );
    assert_eq!(trajectories(&world.poll(id, 1).expect("the other block is granted")), vec![1]);
}

#[test]
fn equal_sweeps_train_each_trajectory_once() {
    let mut world = World::new();
    let (other, _) = world.submit_with(2, &[], Arc::default());
    let grants: Vec<_> = (7..13).map(|number| world.work(number, 1)).collect();
    let found: BTreeSet<_> = grants.iter().map(|(_, grant)| (grant.sweep, trajectories(grant)[0])).collect();
    assert_eq!(
        found.iter().map(|(_, index)| *index).collect::<BTreeSet<_>>().len(),
        6,
        "all granted trajectories are different"
    );
    assert_eq!(found.iter().filter(|(sweep, _)| *sweep == other).count(), 3, "each sweep gets its share");
    let last = worker(13);
    world.hello(last, Vec::new());
    assert_eq!(world.poll(last, 1), None);
    let mut actions = Vec::new();
    for (id, grant) in &grants {
        actions.extend(world.end(*id, world.report(grant, 0, Outcome::Completed, 20)));
    }
    assert!(actions.contains(&finished(world.sweep)) && actions.contains(&finished(other)));
    assert_eq!(taken_over(&actions).len(), 6);
}

#[test]
fn an_awaited_trajectory_that_ends_without_a_result_is_granted() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 1);
    let (other, _) = world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")], Arc::default());
    let reason = |world: &World| world.scheduler.sweep_view(other).expect("the sweep is in the table").reason;
    let waits = "all remaining trajectories are in training for another sweep, and their results will be taken over";
    assert_eq!(reason(&world).as_deref(), Some(waits));
    world.apply(Event::Paused(other));
    assert_eq!(reason(&world), None);
    world.apply(Event::Resumed(other));
    world.apply(Event::Paused(world.sweep));
    let two = worker(8);
    world.hello(two, Vec::new());
    assert_eq!(world.poll(two, 1), None);
    let actions = world.end(one, world.report(&grant, 0, Outcome::Preempted, 10));
    assert_eq!(granted(&actions).iter().map(|grant| grant.sweep).collect::<Vec<_>>(), [other]);
    assert_eq!(reason(&world), None);
}

#[test]
fn an_awaited_trajectory_that_fails_or_is_cancelled_is_granted() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 3);
    let (other, _) = world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\"")], Arc::default());
    let (_, rest) = world.work(8, 3);
    assert_eq!((rest.sweep, trajectories(&rest)), (world.sweep, vec![3, 4, 5]));
    let two = worker(9);
    world.hello(two, Vec::new());
    assert_eq!(world.poll(two, 1), None, "all trajectories are in training");
    world.apply(Event::Paused(world.sweep));
    let failed = world.report(&grant, 0, Outcome::Failed, 10);
    let next = granted(&world.end(one, failed));
    assert_eq!(next.iter().map(|grant| (grant.sweep, trajectories(grant))).collect::<Vec<_>>(), [(other, vec![0])]);
    world.apply(Event::Cancelled(world.sweep));
    let next = world.poll(two, 1).expect("two are left");
    assert_eq!((next.sweep, trajectories(&next)), (other, vec![1]));
}

#[test]
fn a_sweep_does_not_await_a_trajectory_that_may_stop_too_soon() {
    let early = |start: u64| format!("max_updates = 20\nearly_stop_start = {start}\nearly_stop_patience = 1");
    let rules =
        |rule: &str| [("[10, 20]", "20"), ("max_updates = 20", rule)].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let grants_of_both = |first: &str, second: &str| {
        let mut world = World::new();
        world.apply(Event::Cancelled(world.sweep));
        for (number, rule) in [(2, first), (3, second)] {
            let changes = rules(rule);
            let changes: Vec<_> = changes.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            world.submit_with(number, &changes, Arc::default());
        }
        [7, 8].map(|number| trajectories(&world.work(number, 1).1)[0])
    };
    let trained_twice = [0, 0];
    assert_eq!(grants_of_both(&early(10), &early(20)), trained_twice);
    assert_eq!(grants_of_both(&early(10), "max_updates = 20"), trained_twice);
    assert_eq!(grants_of_both("max_updates = 20", "max_updates = 30"), trained_twice);
    assert_eq!(grants_of_both("max_updates = [10, 20]", "max_updates = [10, 30]"), trained_twice);
    let once = [0, 1];
    assert_eq!(grants_of_both(&early(10), &early(10)), once);
    assert_eq!(grants_of_both("max_updates = 20", &early(10)), once);
    assert_eq!(grants_of_both("max_updates = 30", "max_updates = [10, 20]"), once);
}

#[test]
fn an_awaited_result_may_come_from_a_third_sweep() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 1);
    let (without_reuse, _) = world.submit_with(2, &[("retries = 1", "reuse = false")], Arc::default());
    let (other, _) = world.submit_with(3, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")], Arc::default());
    let (two, same) = world.work(8, 1);
    assert_eq!((same.sweep, trajectories(&same)), (without_reuse, vec![0]));
    let actions = world.end(two, world.report(&same, 0, Outcome::Completed, 20));
    assert!(actions.contains(&finished(other)));
    assert_eq!(taken_over(&world.end(one, world.report(&grant, 0, Outcome::Completed, 20))), []);
}

#[test]
fn blocks_that_differ_only_in_the_stopping_rule_await_each_other() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let blocks = "[[block]]\nmax_updates = 20\n[[block]]\nmax_updates = 10";
    let (sweep, _) = world.submit_with(2, &[("max_updates = [10, 20]", blocks)], Arc::default());
    let grants: Vec<_> = (7..13).map(|number| trajectories(&world.work(number, 1).1)[0]).collect();
    assert_eq!(grants, [0, 1, 2, 3, 4, 5]);
    world.hello(worker(13), Vec::new());
    assert_eq!(world.poll(worker(13), 1), None);
    assert_eq!(
        world.scheduler.sweep_view(sweep).and_then(|view| view.reason),
        None,
        "the sweep itself has trials in training"
    );
}

#[test]
fn a_retried_trajectory_awaits_the_same_one_in_training() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let (first, _) = world.submit_with(2, &[("retries = 1", "retries = 0"), ("[0, 1, 2]", "0")], Arc::default());
    let (id, grant) = world.work(7, 1);
    world.end(id, world.report(&grant, 0, Outcome::Failed, 0));
    assert_eq!(world.poll(id, 1).map(|grant| trajectories(&grant)), Some(vec![1]));
    let (second, _) = world.submit_with(3, &[], Arc::default());
    let (two, same) = world.work(8, 1);
    assert_eq!((same.sweep, trajectories(&same)), (second, vec![0]));
    let failures = [(TrajectoryIndex(0), 1)].into();
    world.apply(Event::Retried { sweep: first, finished: None, failures, reused: Arc::default() });
    let others: Vec<_> = (9..12).map(|number| world.work(number, 1).1).collect();
    assert!(
        !others.iter().any(|grant| (grant.sweep, trajectories(grant)) == (first, vec![0])),
        "the trajectory is awaited"
    );
    let rows = taken_over(&world.end(two, world.report(&same, 0, Outcome::Completed, 20)));
    assert_eq!(rows.iter().map(|(sweep, rows)| (*sweep, rows[0].trajectory.0)).collect::<Vec<_>>(), [(first, 0)]);
}

#[test]
fn an_awaited_trajectory_that_diverges_is_granted_at_once() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let two = [("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "[0, 1]")];
    world.submit_with(2, &two, Arc::default());
    let (one, grant) = world.work(7, 2);
    let (other, _) = world.submit_with(3, &two, Arc::default());
    // No worker can train this sweep. The polling worker is checked and refused.
    let for_gpus = [("retries = 1", "require = { device = \"cuda\" }"), ("[0, 1, 2]", "[3, 4]")];
    world.submit_with(4, &for_gpus, Arc::default());
    world.hello(worker(8), Vec::new());
    assert_eq!(world.poll(worker(8), 1), None, "all trajectories are in training");
    let next = granted(&world.end(one, world.report(&grant, 0, Outcome::Diverged, 0)));
    assert_eq!(next.iter().map(|grant| (grant.sweep, trajectories(grant))).collect::<Vec<_>>(), [(other, vec![0])]);
}

#[test]
fn a_reused_result_excuses_the_worker_that_failed_the_trajectory() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 2);
    for lane in 0..2 {
        world.end(one, world.report(&grant, lane, Outcome::Failed, 0));
    }
    let (other, _) = world.submit_with(2, &[("retries = 1", "reuse = false\npriority = 1")], Arc::default());
    let (two, same) = world.work(8, 1);
    assert_eq!((same.sweep, trajectories(&same)), (other, vec![0]));
    assert_eq!(taken_over(&world.end(two, world.report(&same, 0, Outcome::Completed, 20))).len(), 1);
    assert_eq!(
        world.scheduler.workers.get(one).expect("the worker is known").failing.unexplained,
        [(world.sweep, TrajectoryIndex(1))].into()
    );
}

#[test]
fn a_sweep_without_sharing_takes_over_nothing_from_itself() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let blocks = ("max_updates = [10, 20]", "[[block]]\nmax_updates = 20\n[[block]]\nmax_updates = 10");
    let alone = ("retries = 1", "retries = 1\nshare = false");
    let one = [("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")];
    world.submit_with(2, &[blocks, alone, one[0], one[1]], Arc::default());
    for _trial in 0..2 {
        let grant = world.work(7, 1).1;
        let updates = grant.lanes[0].stopping_rules[0].max_updates;
        let actions = world.end(worker(7), world.report(&grant, 0, Outcome::Completed, updates));
        assert_eq!(taken_over(&actions), []);
    }
    assert_eq!(world.scheduler.sweep_views(), []);
}

#[test]
fn a_cancelled_sweep_does_not_stop_others_from_sharing() {
    let mut world = World::new();
    let (second, _) = world.submit_with(2, &[], Arc::default());
    world.submit_with(3, &[], Arc::default());
    world.apply(Event::Cancelled(world.sweep));
    let grant = world.work(7, 1).1;
    let rows = taken_over(&world.end(worker(7), world.report(&grant, 0, Outcome::Completed, 20)));
    assert_eq!((grant.sweep, rows.len()), (second, 1));
}

#[test]
fn a_sweep_that_awaited_results_does_not_catch_up() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let (busy, _) = world.submit_with(2, &[("[0, 1, 2]", "{ from = 0, count = 100 }")], Arc::default());
    let (slow, grant) = world.work(7, 1);
    let of_waiting = [("[\"relu\", \"tanh\"]", "[\"relu\", \"sigmoid\"]"), ("[0, 1, 2]", "0")];
    let (waiting, _) = world.submit_with(3, &of_waiting, Arc::default());
    let (fast, mut next) = world.work(8, 1);
    let mut trained = Vec::new();
    for _ in 0..10 {
        trained.push(next.sweep);
        world.pass(1_000);
        world.send(slow, ToCoordinator::Heartbeat { progress: Vec::new() });
        world.end(fast, world.report(&next, 0, Outcome::Completed, 20));
        next = world.poll(fast, 1).expect("there is work");
    }
    assert_eq!(trained.iter().filter(|&&sweep| sweep == waiting).count(), 1, "the other trajectory is in training");
    world.end(slow, world.report(&grant, 0, Outcome::Failed, 0));
    world.end(fast, world.report(&next, 0, Outcome::Completed, 20));
    assert_eq!(world.poll(fast, 1).map(|grant| grant.sweep), Some(busy), "the waiting sweep does not catch up");
}

#[test]
fn a_submission_takes_over_stored_results_and_finishes_if_none_is_missing() {
    let mut world = World::new();
    let trained = spec();
    let grid = &trained.grid;
    let rows = |count: u64| -> Arc<[ReusedRow]> {
        let row = |index| {
            let trajectory = grid.trajectory(TrajectoryIndex(index)).expect("in the grid");
            let (sweep, curve) = (SweepId(Uuid::from_u128(1)), curve(20));
            let source = TrainedSource {
                sweep,
                index: TrajectoryIndex(index),
                trajectory: &trajectory,
                curve: &curve,
                worker_name: "w",
                environment: None,
            };
            source.taken_over_by(grid, TrajectoryIndex(index)).expect("the curve is long enough")
        };
        (0..count).map(row).collect()
    };
    let (partial, actions) = world.submit_with(2, &[], rows(4));
    assert_eq!(taken_over(&actions)[0].1.len(), 4);
    assert!(matches!(&actions[0], Action::Persist(Record::Submitted(_))));
    assert_eq!(world.scheduler.sweep_view(partial).map(|view| (view.completed, view.reused)), Some((8, 8)));
    let (complete, actions) = world.submit_with(3, &[], rows(6));
    assert!(actions.contains(&finished(complete)));
    assert_eq!(world.scheduler.sweep_view(complete), None);
}

proptest! {
    /// Three sweeps share trajectories. Workers complete, lose and fail them in any order.
    #[test]
    fn every_trial_of_every_sweep_gets_exactly_one_result(steps in prop::collection::vec((0_u8..5, 1_u128..4, 0_u64..6), 0..80)) {
        let mut world = World::new();
        world.submit_with(2, &[("[10, 20]", "[20]"), ("[0, 1, 2]", "[1, 2, 3]")], Arc::default());
        world.submit_with(3, &[("[\"relu\", \"tanh\"]", "[\"tanh\", \"sigmoid\"]"), ("retries = 1", "retries = 0")], Arc::default());
        let (mut results, mut grants) = (BTreeSet::new(), Vec::<(WorkerId, Grant)>::new());
        let mut take = |actions: &[Action], grants: &mut Vec<(WorkerId, Grant)>| {
            for action in actions {
                match action {
                    Action::Persist(Record::Ended(ending)) => {
                        for result in &ending.results {
                            assert!(results.insert((ending.sweep, result.trial)), "a second result: {result:?}");
                        }
                    }
                    Action::Persist(Record::Reused { sweep, trajectories }) => {
                        for result in trajectories.iter().flat_map(|row| &row.results) {
                            assert!(results.insert((*sweep, result.trial)), "a second result: {result:?}");
                        }
                    }
                    Action::Send { worker, message: ToWorker::Grant(grant) } => grants.push((*worker, (**grant).clone())),
                    _ => {}
                }
            }
            results.len()
        };
        for (kind, number, pick) in steps {
            let id = worker(number);
            let actions = match kind {
                0 => world.hello(id, Vec::new()),
                1 => world.send(id, ToCoordinator::Poll { lanes: 2 }),
                2 | 3 if !grants.is_empty() => {
                    let (holder, grant) = grants[pick as usize % grants.len()].clone();
                    let outcome = if kind == 2 { Outcome::Completed } else { Outcome::Failed };
                    let report = world.report(&grant, pick as usize % grant.lanes.len(), outcome, 20);
                    world.end(holder, report)
                }
                _ => world.pass(pick * 4_000),
            };
            take(&actions, &mut grants);
            let paused: Vec<SweepId> = (1..4).map(|n| SweepId(Uuid::from_u128(n))).collect();
            for sweep in paused {
                let actions = world.apply(Event::Resumed(sweep));
                take(&actions, &mut grants);
            }
            prop_assert_eq!(world.scheduler.check(), Ok(()));
        }
        let lost = world.pass(TIMEOUTS.lease_ms * 2);
        take(&lost, &mut grants);
        world.apply(Event::Released(worker(100)));
        world.hello(worker(100), Vec::new());
        let mut count = 0;
        while let Some(grant) = world.poll(worker(100), 2) {
            for lane in 0..grant.lanes.len() {
                let actions = world.end(worker(100), world.report(&grant, lane, Outcome::Completed, 20));
                count = take(&actions, &mut grants);
            }
        }
        count = count.max(take(&[], &mut grants));
        prop_assert_eq!(count, 12 + 6 + 12);
        prop_assert_eq!(world.scheduler.sweep_views(), Vec::new());
    }
}

/// The description of a worker with these vector instructions and labels.
fn of_class(instructions: &str, labels: &[&str]) -> WorkerDescription {
    let environment = NumericEnvironment { instructions: instructions.to_owned(), ..NumericEnvironment::default() };
    let labels = labels.iter().map(ToString::to_string).collect();
    WorkerDescription {
        capabilities: Capabilities { device: "cpu".to_owned(), labels, ..Capabilities::default() },
        lanes: 1,
        environment: Arc::new(environment),
        ..WorkerDescription::default()
    }
}

impl World {
    fn connect(&mut self, number: u128, description: WorkerDescription) -> WorkerId {
        let id = worker(number);
        self.send(id, ToCoordinator::Hello(Hello { worker: id, description, numerics_version: 1, held: Vec::new() }));
        id
    }

    /// Lets a worker train one trajectory; returns what other sweeps reuse of it.
    fn train_one(&mut self, id: WorkerId) -> Vec<(SweepId, Vec<ReusedRow>)> {
        let grant = self.poll(id, 1).expect("there is work");
        taken_over(&self.end(id, self.report(&grant, 0, Outcome::Completed, 20)))
    }
}

#[test]
fn a_sweep_of_one_cpu_class_reuses_results_of_the_classes_of_its_own_workers_only() {
    let mut world = World::new();
    let only = "retries = 1\nreuse = \"same-cpu-class\"\nrequire = { labels = [\"own\"] }";
    let (id, _) = world.submit_with(2, &[("retries = 1", only)], Arc::default());
    let other = world.connect(7, of_class("avx2", &[]));
    world.connect(8, of_class("avx512", &["own"]));
    let grant = world.poll(other, 1).expect("there is work");
    assert!(world.scheduler.sweeps[&id].awaited.is_empty(), "a result that is not reused is not awaited");
    assert_eq!(taken_over(&world.end(other, world.report(&grant, 0, Outcome::Completed, 20))), []);

    let new = of_class("avx2", &["own"]);
    let searched = |world: &World, description: &WorkerDescription| {
        let sweeps = world.scheduler.sweeps_without_class_of(description);
        sweeps.into_iter().map(|sweep| sweep.id).collect::<Vec<_>>()
    };
    assert_eq!(searched(&world, &of_class("avx2", &[])), [], "it does not meet the requirement");
    assert_eq!(searched(&world, &of_class("avx512", &["own"])), [], "a worker of its class is connected");
    assert_eq!(searched(&world, &new), [id]);
    world.connect(9, new.clone());
    assert_eq!(searched(&world, &new), []);
    let rows = world.train_one(other);
    assert_eq!((rows.len(), rows[0].0), (1, id), "results of the new worker's class are reused");
}

#[test]
fn results_that_are_found_later_are_taken_over_and_may_finish_the_sweep() {
    let mut world = World::new();
    let (id, _) = world.submit_with(2, &[("retries = 1", "reuse = \"same-cpu-class\"")], Arc::default());
    let (trained, grant) = world.work(7, 1);
    let rows = taken_over(&world.end(trained, world.report(&grant, 0, Outcome::Completed, 20)));
    assert_eq!(rows.len(), 1, "the worker is of its own class");
    let again: Arc<[ReusedRow]> = rows[0].1.clone().into();
    assert_eq!(taken_over(&world.apply(Event::ResultsFound { sweep: id, reused: again })), [], "it has them already");
    assert_eq!(world.scheduler.sweep_view(id).map(|view| view.reused), Some(2));
    let unknown = SweepId(Uuid::from_u128(99));
    assert_eq!(world.apply(Event::ResultsFound { sweep: unknown, reused: rows[0].1.clone().into() }), []);
}
