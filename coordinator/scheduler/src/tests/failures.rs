//! The consequences of failures for workers and sweeps.

use super::commands::states;
use super::grants::plain;
use super::*;

fn quarantined(actions: &[Action]) -> Vec<WorkerId> {
    let worker = |action: &Action| match action {
        Action::Persist(Record::Quarantined(row)) => Some(row.worker),
        _ => None,
    };
    actions.iter().filter_map(worker).collect()
}

impl World {
    /// The unexplained failures of a worker, by sweep, and the number of its failures that another worker has completed.
    fn failing(&self, id: WorkerId) -> (Vec<(SweepId, u64)>, usize) {
        let failing = &self.scheduler.workers.get(id).expect("the worker is known").failing;
        (failing.unexplained.iter().map(|&(sweep, trajectory)| (sweep, trajectory.0)).collect(), failing.confirmed)
    }

    /// Connects two workers. The first fails three trajectories in a row, so that it is a suspect and waits. Returns the suspect.
    fn suspect(&mut self) -> WorkerId {
        let (suspect, other) = (worker(1), worker(2));
        self.hello_with(suspect, 1, &[]);
        self.hello_with(other, 1, &[]);
        let mut next = self.poll(suspect, 1);
        for error in ["no data", "no room", "no weights"] {
            next = self.fail(suspect, &next.expect("work"), error).1;
        }
        assert_eq!(next, None);
        suspect
    }

    /// Two workers and two sweeps. Only the worker `fast` can train the sweep of the returned world. Both workers can train the
    /// other sweep, whose id is returned too.
    fn where_only_one_is_fast(fast: WorkerId, other: WorkerId) -> (Self, SweepId) {
        let mut world = Self::with(plain(9, "retries = 9\nrequire = { labels = [\"fast\"] }"));
        let other_sweep = world.submit(1, plain(9, "retries = 9\nreuse = false"));
        world.hello_with(fast, 1, &["fast"]);
        world.hello_with(other, 1, &[]);
        (world, other_sweep)
    }

    fn paused(&self) -> bool {
        self.scheduler.sweep_view(self.sweep).is_some_and(|view| view.state == SweepState::Paused)
    }
}

#[test]
fn three_similar_failures_pause_the_sweep_with_a_reason() {
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
    assert!(
        reason.as_deref().is_some_and(|reason| reason.contains("3 trajectories failed with similar errors")),
        "{reason:?}"
    );
    assert_eq!(next, None);
    world.apply(Event::Resumed(world.sweep));
    assert!(world.scheduler.sweep_view(world.sweep).is_some_and(|view| view.reason.is_none()));
}

#[test]
fn a_trajectory_has_no_more_updates_than_its_stopping_rules_allow_whatever_a_worker_reports() {
    let mut world = World::with_many_retries();
    let (id, grant) = world.work(7, 1);
    let (attempt, trajectory) = (grant.attempt, grant.lanes[0].trajectory);
    world.send(id, ToCoordinator::Heartbeat { progress: vec![Progress { attempt, trajectory, updates: u64::MAX }] });
    let training = world.scheduler.worker_views(None).remove(0).training;
    assert_eq!(training.iter().map(|lane| lane.updates).collect::<Vec<_>>(), [20]);
    let report = Report { updates: u64::MAX, ..world.report(&grant, 0, Outcome::Completed, 20) };
    let actions = world.end(id, report);
    let ended: Vec<_> = endings(&actions).iter().map(|ending| (ending.outcome, ending.updates)).collect();
    assert_eq!(ended, [(Outcome::Failed, 20)]);
    assert_eq!(world.completed(), 0);
}

#[test]
fn different_failures_do_not_pause_a_sweep() {
    let mut world = World::with_many_retries();
    let (id, mut grant) = world.work(7, 1);
    for error in ["no data", "no room", "no weights", "no bias", "no luck"] {
        let (actions, next) = world.fail(id, &grant, error);
        assert_eq!(states(&actions), vec![]);
        grant = next.expect("there is work");
    }
}

#[test]
fn a_failed_trajectory_is_tried_on_another_worker() {
    let mut world = World::with_many_retries();
    let (good, other) = world.work(8, 1);
    let (bad, grant) = world.work(7, 1);
    let (_, next) = world.fail(bad, &grant, "no data");
    assert_ne!(next.map(|next| trajectories(&next)), Some(trajectories(&grant)), "not on the same worker again");
    let (_, next) = world.complete(good, &other);
    assert_eq!(next.map(|next| trajectories(&next)), Some(trajectories(&grant)));
}

#[test]
fn a_trajectory_that_failed_on_every_worker_is_tried_again() {
    let mut world = World::with_many_retries();
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
    let leased: BTreeSet<u64> =
        world.scheduler.leases.iter().flat_map(|(_, lease)| lease.open.keys().map(|t| t.0)).collect();
    assert!(!leased.is_empty(), "no trajectory waits for a third worker");
}

#[test]
fn a_worker_that_fails_what_others_complete_is_quarantined_until_it_is_released() {
    let mut world = World::with_many_retries();
    let (good, mut good_grant) = world.work(8, 1);
    let (bad, grant) = world.work(7, 1);
    let mut bad_grant = Some(grant);
    let mut failed = 0;
    while let Some(grant) = bad_grant.take() {
        failed += 1;
        let (actions, next) = world.fail(bad, &grant, &format!("bad memory in module {failed}"));
        assert_eq!(states(&actions), vec![], "failures of one worker do not pause a sweep");
        bad_grant = next;
    }
    assert_eq!(failed, 3, "a suspect waits until other workers have tried its trajectories");
    let mut found = Vec::new();
    while found.is_empty() {
        let (actions, next) = world.complete(good, &good_grant);
        found = quarantined(&actions);
        match next {
            Some(next) => good_grant = next,
            None => break,
        }
    }
    assert_eq!(found, vec![bad]);
    assert_eq!(world.poll(bad, 1), None);
    let view =
        world.scheduler.worker_views(None).into_iter().find(|view| view.id == bad).expect("the worker is listed");
    assert!(view.quarantined.is_some_and(|reason| reason.contains("3 trajectories in a row")));
    let actions = world.apply(Event::Released(bad));
    assert!(actions.contains(&Action::Persist(Record::Released(bad))));
    assert_eq!(granted(&actions).len(), 1, "the worker is waiting");
    assert!(world.apply(Event::Released(bad)).is_empty(), "a repeated command has no effect");
}

#[test]
fn a_success_ends_a_streak_of_failures() {
    let mut world = World::with_many_retries();
    let (_other, _grant) = world.work(8, 1);
    let (id, mut grant) = world.work(7, 1);
    for _ in 0..2 {
        grant = world.fail(id, &grant, "no luck").1.expect("there is work");
    }
    grant = world.complete(id, &grant).1.expect("there is work");
    assert!(world.fail(id, &grant, "no luck").1.is_some(), "one failure in a row");
}

#[test]
fn a_trajectory_that_two_workers_fail_counts_against_neither() {
    let mut world = World::with_many_retries();
    let (one, grant) = world.work(7, 2);
    for lane in 0..2 {
        world.end(one, world.report(&grant, lane, Outcome::Failed, 0));
    }
    assert_eq!(world.failing(one), (vec![(world.sweep, 0), (world.sweep, 1)], 0));
    let (two, grant) = world.work(8, 1);
    assert_eq!(trajectories(&grant), [0], "the second worker has not tried it");
    world.fail(two, &grant, "no luck");
    assert_eq!((world.failing(one), world.failing(two)), ((vec![(world.sweep, 1)], 0), (vec![], 0)));
}

#[test]
fn a_final_failure_excuses_the_worker_of_that_failure_only() {
    let mut world = World::with_retries(1);
    let (id, grant) = world.work(7, 2);
    let (_, again) = world.fail(id, &grant, "no luck");
    let again = again.expect("one retry is left");
    assert_eq!(trajectories(&again), [0]);
    world.end(id, world.report(&again, 0, Outcome::Failed, 0));
    assert_eq!(world.failing(id), (vec![(world.sweep, 1)], 0));
}

#[test]
fn a_pause_excuses_the_unexplained_failures_of_its_sweep() {
    let mut world = World::with_many_retries();
    let (id, grant) = world.work(7, 2);
    for lane in 0..2 {
        world.end(id, world.report(&grant, lane, Outcome::Failed, 0));
    }
    let (good, again) = world.work(8, 1);
    world.end(good, world.report(&again, 0, Outcome::Completed, 20));
    let (first, second) = (world.sweep, world.submit(3, spec()));
    world.apply(Event::Paused(first));
    assert_eq!(world.failing(id), (vec![], 1), "the failure that another worker completed still counts");
    let grant = world.poll(id, 1).expect("the other sweep has work");
    world.end(id, world.report(&grant, 0, Outcome::Failed, 0));
    world.apply(Event::Resumed(first));
    world.apply(Event::Paused(first));
    let index = grant.lanes[0].trajectory.0;
    assert_eq!(world.failing(id), (vec![(second, index)], 1));
}

#[test]
fn few_similar_failures_among_many_completions_do_not_pause_the_sweep() {
    let text = SPEC.replace("[0, 1, 2]", "{ from = 0, count = 100 }").replace("retries = 1", "retries = 0");
    let is_paused_after = |completions: usize| {
        let mut world = World::new();
        world.apply(Event::Cancelled(world.sweep));
        let spec = SweepSpec::parse(&text, Format::Toml, "large.toml").unwrap_or_else(|errors| panic!("{errors}"));
        world.sweep = world.submit(2, Arc::new(spec));
        let (id, mut grant) = world.work(7, 1);
        for _ in 0..completions {
            grant = world.complete(id, &grant).1.expect("there is more");
        }
        for _ in 0..3 {
            match world.fail(id, &grant, "no room").1 {
                Some(next) => grant = next,
                None => break,
            }
        }
        world.paused()
    };
    assert!(is_paused_after(27));
    assert!(!is_paused_after(28));
}

#[test]
fn a_reopened_sweep_is_not_paused_for_earlier_failures() {
    let mut world = World::with_retries(0);
    let (id, grant) = world.work(7, 3);
    for lane in 0..2 {
        let cause = Some("no room".to_owned());
        world.end(id, Report { cause, ..world.report(&grant, lane, Outcome::Failed, 0) });
    }
    let sweep = world.scheduler.sweeps.get_mut(&world.sweep).expect("the sweep is in the table");
    sweep.failures.reset();
    let cause = Some("no room".to_owned());
    world.end(id, Report { cause, ..world.report(&grant, 2, Outcome::Failed, 0) });
    assert!(!world.paused());
}

#[test]
fn a_trajectory_that_only_one_worker_can_train_is_retried_on_that_worker() {
    let mut world = World::with(plain(5, "retries = 4\nrequire = { labels = [\"fast\"] }"));
    let (only, other) = (worker(1), worker(2));
    world.hello_with(only, 1, &["fast"]);
    world.hello(other, Vec::new());
    assert_eq!(world.poll(other, 1), None, "the worker is fit, but cannot train this sweep");
    let mut grant = world.poll(only, 1).expect("work");
    for error in ["no data", "no room", "no weights", "no luck"] {
        let (_, next) = world.fail(only, &grant, error);
        assert_eq!(next.as_ref().map(trajectories), Some(vec![0]), "after {error}");
        grant = next.expect("work");
    }
}

#[test]
fn a_suspect_gets_only_trajectories_that_no_other_worker_can_train() {
    let (suspect, other) = (worker(1), worker(2));
    let (mut world, other_sweep) = World::where_only_one_is_fast(suspect, other);
    let mut next = world.poll(suspect, 1);
    let mut of = Vec::new();
    for error in ["no data", "no room", "no weights", "no luck", "no bias"] {
        let grant = next.expect("work");
        next = world.fail(suspect, &grant, error).1;
        of.push(grant.sweep);
    }
    assert_eq!(of, [other_sweep, other_sweep, other_sweep, world.sweep, world.sweep]);
    world.send(other, ToCoordinator::Goodbye);
    world.apply(Event::Cancelled(world.sweep));
    assert_eq!(world.poll(suspect, 1).map(|grant| grant.sweep), Some(other_sweep), "no other worker is connected");
}

#[test]
fn a_waiting_suspect_gets_work_when_the_last_other_worker_leaves() {
    let mut world = World::with(plain(9, "retries = 9"));
    let suspect = world.suspect();
    let other = worker(2);
    let leaves = world.send(other, ToCoordinator::Goodbye);
    assert_eq!(leases(&leaves).iter().map(|lease| lease.worker).collect::<Vec<_>>(), [suspect]);
}

#[test]
fn a_waiting_suspect_gets_work_when_it_is_excused() {
    let mut world = World::with(plain(9, "retries = 9"));
    let suspect = world.suspect();
    let again = world.poll(worker(2), 1).expect("work");
    let cause = Some("no luck".to_owned());
    let actions = world.end(worker(2), Report { cause, ..world.report(&again, 0, Outcome::Failed, 0) });
    assert_eq!(leases(&actions).iter().map(|lease| lease.worker).collect::<Vec<_>>(), [suspect]);
}

#[test]
fn a_suspect_is_not_cleared_by_a_trajectory_that_only_it_can_train() {
    let (suspect, other) = (worker(1), worker(2));
    let (mut world, other_sweep) = World::where_only_one_is_fast(suspect, other);
    let mut next = world.poll(suspect, 1);
    for error in ["no data", "no room", "no weights"] {
        next = world.fail(suspect, &next.expect("work"), error).1;
    }
    let its_own = next.expect("only the suspect can train this sweep");
    assert_eq!(its_own.sweep, world.sweep);
    world.complete(suspect, &its_own);
    assert_eq!(world.failing(suspect).0, [0, 1, 2].map(|trajectory| (other_sweep, trajectory)));
    let mut again = world.poll(other, 1);
    let mut found = Vec::new();
    for _ in 0..3 {
        let (actions, next) = world.complete(other, &again.expect("a failed trajectory is left"));
        (found, again) = (quarantined(&actions), next);
    }
    assert_eq!(found, [suspect]);
}

#[test]
fn a_suspect_does_not_wait_for_a_silent_worker() {
    let mut world = World::with(plain(9, "retries = 9"));
    let (suspect, silent) = (world.suspect(), worker(2));
    world.now.tick = world.now.tick.after_ms(TIMEOUTS.lease_ms / 2);
    world.send(suspect, ToCoordinator::Heartbeat { progress: Vec::new() });
    let actions = world.pass(TIMEOUTS.lease_ms / 2);
    assert!(world.scheduler.workers.get(silent).is_some_and(|worker| worker.connected), "the stream is open");
    assert_eq!(leases(&actions).iter().map(|lease| lease.worker).collect::<Vec<_>>(), [suspect]);
    assert_eq!(world.scheduler.check(), Ok(()));
    world.send(silent, ToCoordinator::Heartbeat { progress: Vec::new() });
    assert!(world.poll(silent, 1).is_some());
}

#[test]
fn a_sweep_that_waits_for_a_busy_worker_says_why() {
    let mut world = World::with(plain(9, "retries = 9"));
    world.suspect();
    let reason = world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason);
    assert_eq!(
        reason.as_deref(),
        Some("the idle workers failed too many trajectories in a row; the sweep waits for another worker")
    );

    let mut world = World::with(plain(1, "retries = 9\nreuse = false"));
    let other = world.submit(3, plain(9, "reuse = false\npriority = 1"));
    world.hello_with(worker(2), 1, &[]);
    assert_eq!(world.poll(worker(2), 1).map(|grant| grant.sweep), Some(other));
    let reason = world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason);
    assert_eq!(reason.as_deref(), Some("the sweep waits for plain, which has the higher priority 1"));
    world.apply(Event::Paused(other));
    world.hello_with(worker(1), 1, &[]);
    let grant = world.poll(worker(1), 1).expect("work");
    assert_eq!(world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason), None);
    assert_eq!(world.fail(worker(1), &grant, "no data").1, None);
    let reason = world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason);
    assert_eq!(
        reason.as_deref(),
        Some("the remaining trajectories failed on the idle workers; the sweep waits for another worker")
    );
}

#[test]
fn a_failed_trajectory_does_not_wait_for_a_worker_without_lanes() {
    let mut world = World::with(plain(3, "retries = 4"));
    let (only, without) = (worker(1), worker(2));
    world.hello_with(only, 1, &[]);
    world.hello_with(without, 0, &[]);
    let grant = world.poll(only, 1).expect("work");
    let (_, again) = world.fail(only, &grant, "no data");
    assert_eq!(again.as_ref().map(trajectories), Some(vec![0]), "no other worker can train it");
}

/// Lets a worker take what it can and reconnect without it, until it gets nothing; returns the numbers of granted lanes.
fn take_and_drop(world: &mut World, id: WorkerId) -> Vec<usize> {
    let mut granted = Vec::new();
    loop {
        world.hello(id, Vec::new());
        let Some(grant) = world.poll(id, 3) else { return granted };
        granted.push(grant.lanes.len());
    }
}

#[test]
fn a_worker_that_drops_its_trajectories_fails_none_that_another_worker_can_train() {
    let mut world = World::new();
    let (broken, sound) = (worker(1), worker(2));
    world.hello(sound, Vec::new());
    let mut dropped = 0;
    for _ in 0..100 {
        dropped += take_and_drop(&mut world, broken).len();
        world.pass(TIMEOUTS.lease_ms / 2);
        world.send(sound, ToCoordinator::Heartbeat { progress: Vec::new() });
    }
    assert_eq!(dropped, 2, "each of the two bundles once: both are left to the other worker");
    let mut completed = 0;
    while let Some(grant) = world.poll(sound, 3) {
        for lane in 0..grant.lanes.len() {
            completed += endings(&world.end(sound, world.report(&grant, lane, Outcome::Completed, 20))).len();
        }
    }
    assert_eq!(completed, 6, "none has failed");
}

#[test]
fn a_worker_that_drops_its_trajectories_waits_longer_before_each_grant() {
    let mut world = World::new();
    let id = worker(1);
    let mut grants = vec![take_and_drop(&mut world, id).len()];
    for pause_s in [1, 2, 4, 8] {
        assert_eq!(world.scheduler.next_deadline(), Some(world.now.tick.after_ms(pause_s * 1_000)));
        world.pass(pause_s * 1_000 - 1);
        grants.push(take_and_drop(&mut world, id).len());
        assert_eq!(granted(&world.pass(1)).len(), 1, "its poll is still valid");
        world.hello(id, Vec::new());
    }
    assert_eq!(grants, [3, 0, 0, 0, 0]);
    // It does not come back without its pause.
    world.send(id, ToCoordinator::Goodbye);
    assert_eq!(take_and_drop(&mut world, id), Vec::<usize>::new());
}

#[test]
fn a_worker_that_hands_back_without_progress_waits_and_one_with_progress_does_not() {
    let mut world = World::new();
    let id = worker(1);
    world.hello(id, Vec::new());
    let hand_back = |world: &mut World, grant: &Grant, updates| {
        for lane in 0..grant.lanes.len() {
            let cause = Some("x".repeat(8_000));
            let report = Report { cause, ..world.report(grant, lane, Outcome::Preempted, updates) };
            let progress = vec![Progress { attempt: grant.attempt, trajectory: grant.lanes[lane].trajectory, updates }];
            world.send(id, ToCoordinator::Heartbeat { progress });
            let actions = world.end(id, report);
            let kept = endings(&actions)[0].cause.as_ref().map_or(0, String::len);
            assert!(kept <= 500, "a cause of {kept} bytes is stored");
        }
    };
    for updates in 1..10 {
        let grant = world.poll(id, 3).expect("it makes progress");
        hand_back(&mut world, &grant, updates);
    }
    for _ in 0..3 {
        let grant = world.poll(id, 3).expect("it need not wait yet");
        hand_back(&mut world, &grant, 9);
    }
    assert_eq!(world.poll(id, 3), None, "nothing came farther than before");
    assert_eq!(granted(&world.pass(1_000)).len(), 1);
}
