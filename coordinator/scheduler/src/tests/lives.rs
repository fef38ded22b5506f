//! The states of a trajectory: granted, reported, lost, retried, done.

use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};

use super::*;

#[test]
fn a_grant_is_sent_with_a_record_of_its_lease() {
    let mut world = World::new();
    let id = worker(7);
    world.hello(id, Vec::new());
    let actions = world.send(id, ToCoordinator::Poll { lanes: 2 });
    let (grants, leases) = (granted(&actions), leases(&actions));
    assert_eq!(trajectories(&grants[0]), vec![0, 1]);
    assert_eq!((leases[0].attempt, leases[0].first, leases[0].count), (Attempt(1), TrajectoryIndex(0), 2));
    assert_eq!(grants[0].lanes[0].stopping_rules.len(), 2, "one rule for each trial of the trajectory");
    assert_eq!(grants[0].checkpoint_every_ms, 60_000);
}

#[test]
fn a_bundle_has_one_shape_and_at_most_the_requested_lanes() {
    let mut world = World::new();
    let bundles: Vec<_> = (1..=4).map(|number| trajectories(&world.work(number, 2).1)).collect();
    assert_eq!(bundles, [vec![0, 1], vec![2], vec![3, 4], vec![5]], "relu ends at trajectory 2");
    let last = worker(9);
    world.hello(last, Vec::new());
    assert_eq!(world.poll(last, 2), None, "all trajectories are leased");
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
fn a_report_repeated_on_a_new_stream_is_acknowledged() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let report = world.report(&grant, 0, Outcome::Completed, 20);
    world.end(id, report.clone());
    let actions = world.hello(id, vec![report.held]);
    assert_eq!(stopped(&actions), vec![], "the accepted lane is not stopped");
    let again = world.end(id, report);
    assert_eq!((late(&again), acknowledged(&again)), (0, Some(true)));
}

#[test]
fn the_trajectories_of_a_silent_worker_are_granted_to_another() {
    let mut world = World::new();
    let (_, grant) = world.work(7, 1);
    let actions = world.pass(TIMEOUTS.lease_ms);
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
    world.pass(TIMEOUTS.lease_ms - 1);
    world.send(id, ToCoordinator::Heartbeat { progress });
    assert!(endings(&world.pass(TIMEOUTS.lease_ms - 1)).is_empty());
    assert_eq!(world.scheduler.worker_views(Some(world.sweep))[0].training[0].updates, 5);
}

#[test]
fn a_late_report_of_a_lost_worker_is_refused() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.pass(TIMEOUTS.lease_ms);
    let (other, regrant) = world.work(8, 1);
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert!(endings(&actions).is_empty());
    assert_eq!((late(&actions), acknowledged(&actions)), (1, Some(false)));
    let actions = world.end(other, world.report(&regrant, 0, Outcome::Completed, 20));
    assert_eq!(endings(&actions)[0].results.len(), 2);
}

#[test]
fn late_reports_are_bounded_and_every_one_is_acknowledged() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.pass(TIMEOUTS.lease_ms);
    let report = world.report(&grant, 0, Outcome::Completed, 20);
    let never = Held { attempt: Attempt(grant.attempt.0 + 1), ..report.held };
    let actions = world.end(id, Report { held: never, ..report.clone() });
    assert_eq!((late(&actions), acknowledged(&actions)), (0, Some(false)), "the attempt was never granted");
    let long = Report { curve: curve(20_000), ..report.clone() };
    let actions = world.end(id, long);
    let kept = actions.iter().find_map(|action| match action {
        Action::Persist(Record::Late { curve, .. }) => Some(curve.len()),
        _ => None,
    });
    assert_eq!(kept, Some(0), "a long curve is not kept");
    let kept: usize = (0..2_000)
        .map(|number| {
            if number == 500 {
                world.hello(id, Vec::new());
            }
            let actions = world.end(id, report.clone());
            assert_eq!(acknowledged(&actions), Some(false), "the worker forgets it");
            late(&actions)
        })
        .sum();
    assert_eq!(kept, 1_023, "with the first");
}

#[test]
fn a_report_with_more_evaluations_than_its_trajectory_has_is_a_failure_without_a_curve() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    let report = Report { curve: curve(2_000), updates: 20, ..world.report(&grant, 0, Outcome::Completed, 20) };
    let actions = world.end(id, report);
    let ending = endings(&actions)[0];
    assert_eq!((ending.outcome, ending.curve.len()), (Outcome::Failed, 0));
    let cause = ending.cause.as_deref().unwrap_or_default();
    assert!(cause.contains("200 evaluations") && cause.contains("at most 5"), "{cause}");
    let value = DiagnosticPoint { update: 10, layer: 1, measure: Measure::ALL[0], value: 1.0 };
    let report = Report { diagnostics: vec![value], ..world.report(&grant, 1, Outcome::Completed, 20) };
    assert_eq!(endings(&world.end(id, report))[0].outcome, Outcome::Failed, "the sweep measures nothing");
}

#[test]
fn a_heartbeat_is_answered_with_one_stop_however_many_attempts_it_names() {
    let mut world = World::new();
    let (id, _) = world.work(7, 1);
    let progress =
        |attempt: u64| Progress { attempt: Attempt(100 + attempt), trajectory: TrajectoryIndex(3), updates: 1 };
    let named: Vec<_> = (0..1_024).map(progress).collect();
    let answers = world.send(id, ToCoordinator::Heartbeat { progress: named.clone() });
    assert_eq!(stopped(&answers), [TrajectoryIndex(3)]);
    // A worker that obeys is told of the next one.
    let answers = world.send(id, ToCoordinator::Heartbeat { progress: named[1..].to_vec() });
    let next = answers.iter().find_map(|action| match action {
        Action::Send { message: ToWorker::Stop { attempt, .. }, .. } => Some(attempt.0),
        _ => None,
    });
    assert_eq!(next, Some(101));
}

#[test]
fn a_report_of_another_workers_trajectory_is_refused() {
    let mut world = World::new();
    let (_, grant) = world.work(7, 1);
    let (other, _) = world.work(8, 1);
    let actions = world.end(other, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(acknowledged(&actions), Some(false));
    assert_eq!(world.completed(), 0);
}

#[test]
fn a_worker_that_wakes_after_its_lease_is_told_to_stop() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.pass(TIMEOUTS.lease_ms);
    let trajectory = grant.lanes[0].trajectory;
    let progress = vec![Progress { attempt: grant.attempt, trajectory, updates: 5 }];
    assert_eq!(stopped(&world.send(id, ToCoordinator::Heartbeat { progress })), vec![trajectory]);
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
    assert!(endings(&first)[0].results.is_empty(), "one retry is allowed");
    let again = world.poll(id, 1).expect("the trajectory is granted again");
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
        grant = world.poll(id, 1).expect("the trajectory is granted again");
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
fn a_trial_that_ended_before_the_divergence_keeps_its_score() {
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
    assert_eq!(world.apply(Event::Cancelled(world.sweep)), Vec::new(), "a repeated command has no effect");
}

#[test]
fn a_reconnecting_worker_keeps_only_the_lanes_that_it_presents() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    world.apply(Event::Disconnected(id));
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    let unknown = Held { attempt: Attempt(99), ..held };
    let actions = world.hello(id, vec![held, unknown]);
    assert_eq!(endings(&actions).iter().map(|ending| ending.trajectory.0).collect::<Vec<_>>(), vec![1]);
    assert_eq!(stopped(&actions), vec![TrajectoryIndex(0)], "only under the unknown attempt");
    let actions = world.end(id, world.report(&grant, 0, Outcome::Completed, 20));
    assert_eq!(acknowledged(&actions), Some(true));
}

#[test]
fn a_broken_stream_alone_ends_no_lease() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.apply(Event::Disconnected(id));
    assert!(!world.scheduler.worker_views(None)[0].connected);
    assert!(endings(&world.pass(TIMEOUTS.lease_ms - 1)).is_empty());
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    assert!(endings(&world.hello(id, vec![held])).is_empty());
}

#[test]
fn a_poll_for_no_lanes_gets_no_grant() {
    let mut world = World::new();
    world.hello(worker(7), Vec::new());
    assert_eq!(world.poll(worker(7), 0), None);
    assert_eq!(
        world.scheduler.sweep_views().iter().map(|view| (view.id, view.running)).collect::<Vec<_>>(),
        [(world.sweep, 0)]
    );
}

#[test]
fn the_trajectories_of_a_dead_worker_are_granted_after_the_reconnect_grace() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.apply(Event::Died { worker: id, cause: "killed".to_owned() });
    assert!(endings(&actions).is_empty(), "a new process may present the reports on disk");
    let actions = world.pass(TIMEOUTS.reconnect_grace_ms);
    assert_eq!(endings(&actions)[0].cause.as_deref(), Some("killed"));
    assert_eq!(trajectories(&world.work(8, 1).1), trajectories(&grant));
}

#[test]
fn a_restarted_worker_keeps_only_the_lanes_that_it_presents() {
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
fn a_restored_scheduler_keeps_results_and_leases_and_grants_the_rest() {
    let (spec, now) = (spec(), Now { tick: Tick(5), wall: WallTime(5) });
    let row = SweepRow {
        submission: submission(&spec),
        extensions: Vec::new(),
        state: SweepState::Running,
        state_at: WallTime(0),
        reason: None,
        note: None,
        completed: 4,
        diverged: 0,
        failed: 0,
        reused: 0,
    };
    let lease = LeaseRow {
        attempt: Attempt(3),
        sweep: row.submission.id,
        first: TrajectoryIndex(1),
        count: 2,
        worker: worker(7),
        worker_name: "w7".to_owned(),
        at: WallTime(1),
        environment: Arc::default(),
    };
    let open = vec![(lease, vec![TrajectoryIndex(2)])];
    let attempts = vec![(TrajectoryIndex(2), 1, 1)];
    let sweeps = vec![RestoredSweep { done: vec![(0, 2)], open, attempts, ..restored(row) }];
    let scheduler = Scheduler::restore(
        TIMEOUTS,
        now,
        &Restored { sweeps, last_attempt: 3, ..Restored::default() },
        vec![PreparedSpec::new(spec)],
    );
    let mut world = World { scheduler, now, sweep: SweepId(Uuid::from_u128(1)), lanes: 3 };
    let (_, grant) = world.work(8, 4);
    assert_eq!((trajectories(&grant), grant.attempt), (vec![3, 4, 5], Attempt(4)));
    let held = Held { sweep: world.sweep, attempt: Attempt(3), trajectory: TrajectoryIndex(2) };
    world.hello(worker(7), vec![held]);
    let report = Report {
        held,
        outcome: Outcome::Completed,
        cause: None,
        curve: curve(20),
        diagnostics: Vec::new(),
        updates: 20,
        seconds: 1.0,
        dataset_size: None,
        traceparent: None,
    };
    let actions = world.end(worker(7), report);
    assert_eq!(acknowledged(&actions), Some(true));
    assert_eq!(endings(&actions)[0].results[0].attempts, 2, "the attempt before the restart, and the restored lease");
    assert_eq!(world.completed(), 6);
}

#[test]
fn an_attempt_number_of_another_coordinator_is_not_taken_for_our_own() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let foreign = Held { sweep: SweepId(Uuid::from_u128(9)), attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    let actions = world.hello(id, vec![foreign]);
    assert_eq!(endings(&actions)[0].outcome, Outcome::WorkerLost);
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
    let notices = last.iter().filter(|action| **action == Action::Notify(Notice::StateChanged(world.sweep)));
    assert_eq!(notices.count(), 1);
    assert_eq!(world.scheduler.sweep_view(world.sweep), None);
}

#[test]
fn a_report_of_a_sweep_out_of_scope_is_left_to_another_coordinator() {
    let mut world = World::new();
    let (id, grant) = world.work(1, 1);
    let other = SweepId(Uuid::from_u128(2));
    let row = SweepRow {
        submission: Submission { id: other, ..submission(&spec()) },
        extensions: Vec::new(),
        state: SweepState::Running,
        state_at: WallTime(0),
        reason: None,
        note: None,
        completed: 0,
        diverged: 0,
        failed: 0,
        reused: 0,
    };
    let lease = LeaseRow {
        attempt: Attempt(77),
        sweep: other,
        first: TrajectoryIndex(4),
        count: 1,
        worker: id,
        worker_name: "w1".to_owned(),
        at: WallTime(0),
        environment: Arc::default(),
    };
    let excluded = RestoredSweep { open: vec![(lease, vec![TrajectoryIndex(4)])], ..restored(row) };
    world.scheduler = world.scheduler.clone().leaving_out(OutOfScope::of([&excluded]));

    let held = Held { sweep: other, attempt: Attempt(77), trajectory: TrajectoryIndex(4) };
    let own = world.report(&grant, 0, Outcome::Completed, 20).held;
    let hello = world.hello(id, vec![held, own]);
    assert_eq!(stopped(&hello), [], "the lane may be in training");
    let progress = vec![Progress { attempt: held.attempt, trajectory: held.trajectory, updates: 10 }];
    assert_eq!(stopped(&world.send(id, ToCoordinator::Heartbeat { progress })), []);

    let report = Report { held, ..world.report(&grant, 0, Outcome::Completed, 20) };
    let actions = world.end(id, report.clone());
    assert_eq!((late(&actions), acknowledged(&actions)), (0, None), "the worker keeps the report");
    assert_eq!(stopped(&actions), [TrajectoryIndex(4)], "the worker does not wait for an acknowledgement");
    let unknown = Held { sweep: SweepId(Uuid::from_u128(3)), ..held };
    let actions = world.end(id, Report { held: unknown, ..report.clone() });
    assert_eq!(acknowledged(&actions), Some(false), "a report of an unknown sweep is late");

    let actions = world.apply(Event::Cancelled(other));
    let ended: Vec<_> = endings(&actions).iter().map(|end| (end.sweep, end.trajectory, end.outcome)).collect();
    assert_eq!(ended, [(other, TrajectoryIndex(4), Outcome::Cancelled)]);
    let cancelled =
        Record::StateChanged { sweep: other, state: SweepState::Cancelled, reason: None, at: world.now.wall };
    assert!(actions.contains(&Action::Persist(cancelled)));
    assert_eq!(world.apply(Event::Cancelled(other)), [], "a repeated command has no further effect");
    let progress = vec![Progress { attempt: held.attempt, trajectory: held.trajectory, updates: 20 }];
    assert_eq!(stopped(&world.send(id, ToCoordinator::Heartbeat { progress })), [TrajectoryIndex(4)]);
    world.scheduler.last_attempt = 77;
    let actions = world.end(id, report);
    assert_eq!((late(&actions), acknowledged(&actions)), (1, Some(false)), "a report of a cancelled sweep is late");
}
