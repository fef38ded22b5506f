//! What one sweep has found, another does not train.

use proptest::prelude::*;

use super::*;
use crate::policies::reuse::TrainedSource;
use crate::record::ReusedRow;

impl World {
    /// One more sweep: the usual one with these words in place of others.
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

/// The trials and their sources, as numbers.
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
fn what_one_sweep_finds_another_that_waits_for_it_takes_over() {
    let mut world = World::new();
    let (other, _) =
        world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[10, 20]", "[20, 10]")], Arc::default());
    let (id, grant) = world.work(7, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    let ended = actions.iter().position(|action| matches!(action, Action::Persist(Record::Ended(_))));
    let taken = actions.iter().position(|action| matches!(action, Action::Persist(Record::Reused { .. })));
    assert!(ended.is_some() && ended < taken, "what is referred to is kept first");
    let rows = taken_over(&actions);
    assert_eq!((rows.len(), rows[0].0, rows[0].1[0].source), (1, other, world.sweep));
    assert_eq!(trials(&rows[0].1), [(0, 1, 20), (1, 0, 10)], "each from the trial of its own stopping rule");
    let view = world.scheduler.sweep_view(other).expect("it runs");
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
fn what_was_found_before_the_loss_blew_up_is_taken_over_and_a_failure_is_not() {
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
fn a_sweep_without_reuse_takes_nothing_over_and_gives_all_the_same() {
    let mut world = World::new();
    let (stubborn, _) = world.submit_with(2, &[("retries = 1", "reuse = false")], Arc::default());
    let (willing, _) = world.submit_with(3, &[], Arc::default());
    let (id, grant) = world.work(7, 1);
    assert_eq!(grant.sweep, world.sweep);
    let rows = taken_over(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20)));
    assert_eq!(rows.iter().map(|(sweep, _)| *sweep).collect::<Vec<_>>(), [willing]);
    assert_eq!(world.scheduler.sweep_view(stubborn).map(|view| view.completed), Some(0));
}

#[test]
fn a_sweep_that_measures_layers_takes_over_only_what_was_measured() {
    let mut world = World::new();
    world.submit_with(2, &[("retries = 1", "measure = [\"update_norm\"]")], Arc::default());
    let (id, grant) = world.work(7, 1);
    assert_eq!(taken_over(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20))), []);
}

#[test]
fn what_is_leased_is_trained_on_and_what_is_paused_takes_over() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let early = "max_updates = 20\nearly_stop_start = 10\nearly_stop_patience = 1";
    let (first, _) = world.submit_with(2, &[("max_updates = [10, 20]", early)], Arc::default());
    let (one, grant) = world.work(7, 3);
    let relu = [("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "[0, 1]"), ("[10, 20]", "20")];
    let (other, _) = world.submit_with(3, &relu, Arc::default());
    world.apply(Event::Paused(first));
    let (two, of_other) = world.work(8, 1);
    assert_eq!((of_other.sweep, trajectories(&of_other)), (other, vec![0]), "the first may stop too soon");
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
    assert!(last.contains(&finished(other)), "all its trials have results, paused or not");
}

#[test]
fn blocks_that_differ_only_in_when_to_stop_are_trained_once_where_that_is_enough() {
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
    assert_eq!((rows[0].0, trials(&rows[0].1)), (sweep, vec![(3, 0, 20)]), "nobody evaluated after 5 updates");
    assert_eq!(trajectories(&world.poll(id, 1).expect("it is trained")), vec![1]);
}

#[test]
fn equal_sweeps_train_everything_once_between_them() {
    let mut world = World::new();
    let (other, _) = world.submit_with(2, &[], Arc::default());
    let grants: Vec<_> = (7..13).map(|number| world.work(number, 1)).collect();
    let found: BTreeSet<_> = grants.iter().map(|(_, grant)| (grant.sweep, trajectories(grant)[0])).collect();
    assert_eq!(found.iter().map(|(_, index)| *index).collect::<BTreeSet<_>>().len(), 6, "no two of them the same");
    assert_eq!(found.iter().filter(|(sweep, _)| *sweep == other).count(), 3, "each gets its share");
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
fn what_ends_elsewhere_without_a_result_is_trained_here() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 1);
    let (other, _) = world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")], Arc::default());
    let reason = |world: &World| world.scheduler.sweep_view(other).expect("it runs").reason;
    let waits = "all that is left of it is in training for another sweep, and is taken over from there";
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
fn what_fails_or_is_cancelled_elsewhere_is_tried_here() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 3);
    let (other, _) = world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\"")], Arc::default());
    let (_, rest) = world.work(8, 3);
    assert_eq!((rest.sweep, trajectories(&rest)), (world.sweep, vec![3, 4, 5]));
    let two = worker(9);
    world.hello(two, Vec::new());
    assert_eq!(world.poll(two, 1), None, "all of it is in training");
    world.apply(Event::Paused(world.sweep));
    let failed = world.report(&grant, 0, Outcome::Failed, 10);
    let next = granted(&world.end(one, failed));
    assert_eq!(next.iter().map(|grant| (grant.sweep, trajectories(grant))).collect::<Vec<_>>(), [(other, vec![0])]);
    world.apply(Event::Cancelled(world.sweep));
    let next = world.poll(two, 1).expect("two are left");
    assert_eq!((next.sweep, trajectories(&next)), (other, vec![1]));
}

#[test]
fn nobody_waits_for_what_may_stop_too_soon() {
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
fn what_is_awaited_from_one_sweep_may_come_from_another() {
    let mut world = World::new();
    let (one, grant) = world.work(7, 1);
    let (stubborn, _) = world.submit_with(2, &[("retries = 1", "reuse = false")], Arc::default());
    let (other, _) = world.submit_with(3, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")], Arc::default());
    let (two, same) = world.work(8, 1);
    assert_eq!((same.sweep, trajectories(&same)), (stubborn, vec![0]));
    let actions = world.end(two, world.report(&same, 0, Outcome::Completed, 20));
    assert!(actions.contains(&finished(other)));
    assert_eq!(taken_over(&world.end(one, world.report(&grant, 0, Outcome::Completed, 20))), []);
}

#[test]
fn blocks_that_differ_only_in_when_to_stop_wait_for_one_another() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let blocks = "[[block]]\nmax_updates = 20\n[[block]]\nmax_updates = 10";
    let (sweep, _) = world.submit_with(2, &[("max_updates = [10, 20]", blocks)], Arc::default());
    let grants: Vec<_> = (7..13).map(|number| trajectories(&world.work(number, 1).1)[0]).collect();
    assert_eq!(grants, [0, 1, 2, 3, 4, 5]);
    world.hello(worker(13), Vec::new());
    assert_eq!(world.poll(worker(13), 1), None);
    assert_eq!(world.scheduler.sweep_view(sweep).and_then(|view| view.reason), None, "it is in training itself");
}

#[test]
fn what_is_tried_again_waits_for_what_is_in_training_elsewhere() {
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
    assert!(!others.iter().any(|grant| (grant.sweep, trajectories(grant)) == (first, vec![0])), "it waits");
    let rows = taken_over(&world.end(two, world.report(&same, 0, Outcome::Completed, 20)));
    assert_eq!(rows.iter().map(|(sweep, rows)| (*sweep, rows[0].trajectory.0)).collect::<Vec<_>>(), [(first, 0)]);
}

#[test]
fn what_diverges_elsewhere_goes_at_once_to_who_waits() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let two = [("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "[0, 1]")];
    world.submit_with(2, &two, Arc::default());
    let (one, grant) = world.work(7, 2);
    let (other, _) = world.submit_with(3, &two, Arc::default());
    // For this one nobody is there: who asks is looked at, and refused.
    let for_gpus = [("retries = 1", "require = { device = \"cuda\" }"), ("[0, 1, 2]", "[3, 4]")];
    world.submit_with(4, &for_gpus, Arc::default());
    world.hello(worker(8), Vec::new());
    assert_eq!(world.poll(worker(8), 1), None, "all of it is in training");
    let next = granted(&world.end(one, world.report(&grant, 0, Outcome::Diverged, 0)));
    assert_eq!(next.iter().map(|grant| (grant.sweep, trajectories(grant))).collect::<Vec<_>>(), [(other, vec![0])]);
}

#[test]
fn what_is_taken_over_tells_nothing_of_who_failed_it() {
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
        world.scheduler.workers.get(one).expect("it is there").failing.unexplained,
        [(world.sweep, TrajectoryIndex(1))].into()
    );
}

#[test]
fn what_is_to_share_no_training_takes_nothing_over_from_itself() {
    let mut world = World::new();
    world.apply(Event::Cancelled(world.sweep));
    let blocks = ("max_updates = [10, 20]", "[[block]]\nmax_updates = 20\n[[block]]\nmax_updates = 10");
    let alone = ("retries = 1", "retries = 1\nshare = false");
    let one = [("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")];
    world.submit_with(2, &[blocks, alone, one[0], one[1]], Arc::default());
    for _trial in 0..2 {
        let grant = world.work(7, 1).1;
        let actions = world.end(worker(7), world.report(&grant, 0, Outcome::Completed, 20));
        assert_eq!(taken_over(&actions), []);
    }
    assert_eq!(world.scheduler.sweep_views(), []);
}

#[test]
fn who_leaves_does_not_keep_the_others_from_sharing() {
    let mut world = World::new();
    let (second, _) = world.submit_with(2, &[], Arc::default());
    world.submit_with(3, &[], Arc::default());
    world.apply(Event::Cancelled(world.sweep));
    let grant = world.work(7, 1).1;
    let rows = taken_over(&world.end(worker(7), world.report(&grant, 0, Outcome::Completed, 20)));
    assert_eq!((grant.sweep, rows.len()), (second, 1));
}

#[test]
fn who_waited_for_others_does_not_catch_up_on_them() {
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
        world.say(slow, ToCoordinator::Heartbeat { progress: Vec::new() });
        world.end(fast, world.report(&next, 0, Outcome::Completed, 20));
        next = world.poll(fast, 1).expect("there is more");
    }
    assert_eq!(trained.iter().filter(|&&sweep| sweep == waiting).count(), 1, "the other one is in training");
    world.end(slow, world.report(&grant, 0, Outcome::Failed, 0));
    world.end(fast, world.report(&next, 0, Outcome::Completed, 20));
    assert_eq!(world.poll(fast, 1).map(|grant| grant.sweep), Some(busy), "as if it had had its share");
}

#[test]
fn what_was_found_before_a_submission_comes_with_it_and_all_of_it_ends_the_sweep() {
    let mut world = World::new();
    let trained = spec();
    let grid = &trained.grid;
    let rows = |count: u64| -> Arc<[ReusedRow]> {
        let row = |index| {
            let trajectory = grid.trajectory(TrajectoryIndex(index)).expect("in the grid");
            let (sweep, curve) = (SweepId(Uuid::from_u128(1)), curve(20));
            let found = TrainedSource {
                sweep,
                index: TrajectoryIndex(index),
                trajectory: &trajectory,
                curve: &curve,
                worker_name: "w",
                environment: None,
            };
            found.taken_over_by(grid, TrajectoryIndex(index)).expect("all is there")
        };
        (0..count).map(row).collect()
    };
    let (some, actions) = world.submit_with(2, &[], rows(4));
    assert_eq!(taken_over(&actions)[0].1.len(), 4);
    assert!(matches!(&actions[0], Action::Persist(Record::Submitted(_))));
    assert_eq!(world.scheduler.sweep_view(some).map(|view| (view.completed, view.reused)), Some((8, 8)));
    let (all, actions) = world.submit_with(3, &[], rows(6));
    assert!(actions.contains(&finished(all)));
    assert_eq!(world.scheduler.sweep_view(all), None);
}

proptest! {
    /// Three sweeps that share trajectories, worked off by workers that complete, lose and fail them in any order.
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
                1 => world.say(id, ToCoordinator::Poll { lanes: 2 }),
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
