//! What failures say of workers and sweeps, and when they are forgotten.

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
    /// What a worker is thought to have failed, by sweep, and how much else another completed.
    fn failing(&self, id: WorkerId) -> (Vec<(SweepId, u64)>, usize) {
        let failing = &self.scheduler.workers.get(id).expect("it is there").failing;
        (failing.unexplained.iter().map(|&(sweep, trajectory)| (sweep, trajectory.0)).collect(), failing.confirmed)
    }

    /// A worker that failed three trajectories in a row and waits, while another is fit and has nothing to do.
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

    /// A world of two workers and two sweeps, of which the world's own requires what only the first worker has; and the other.
    fn where_only_one_is_fast(fast: WorkerId, other: WorkerId) -> (Self, SweepId) {
        let mut world = Self::with(plain(9, "retries = 9\nrequire = { labels = [\"fast\"] }"));
        let anyones = world.submit(1, plain(9, "retries = 9\nreuse = false"));
        world.hello_with(fast, 1, &["fast"]);
        world.hello_with(other, 1, &[]);
        (world, anyones)
    }

    fn paused(&self) -> bool {
        self.scheduler.sweep_view(self.sweep).is_some_and(|view| view.state == SweepState::Paused)
    }
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
    assert!(world.scheduler.sweep_view(world.sweep).is_some_and(|view| view.reason.is_none()));
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
    let leased: BTreeSet<u64> =
        world.scheduler.leases.iter().flat_map(|(_, lease)| lease.open.keys().map(|t| t.0)).collect();
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
    let view = world.scheduler.worker_views(None).into_iter().find(|view| view.id == bad).expect("it is shown");
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
fn what_two_workers_fail_is_no_fault_of_either_and_the_rest_still_is() {
    let mut world = World::patient();
    let (one, grant) = world.work(7, 2);
    for lane in 0..2 {
        world.end(one, world.report(&grant, lane, Outcome::Failed, 0));
    }
    assert_eq!(world.failing(one), (vec![(world.sweep, 0), (world.sweep, 1)], 0));
    let (two, grant) = world.work(8, 1);
    assert_eq!(trajectories(&grant), [0], "nobody else has tried it");
    world.fail(two, &grant, "no luck");
    assert_eq!((world.failing(one), world.failing(two)), ((vec![(world.sweep, 1)], 0), (vec![], 0)));
}

#[test]
fn a_failure_for_good_is_held_against_nobody_and_only_that() {
    let mut world = World::with_retries(1);
    let (id, grant) = world.work(7, 2);
    let (_, again) = world.fail(id, &grant, "no luck");
    let again = again.expect("one retry is left");
    assert_eq!(trajectories(&again), [0]);
    world.end(id, world.report(&again, 0, Outcome::Failed, 0));
    assert_eq!(world.failing(id), (vec![(world.sweep, 1)], 0));
}

#[test]
fn a_pause_forgets_the_failures_of_its_sweep_that_nobody_has_confirmed() {
    let mut world = World::patient();
    let (id, grant) = world.work(7, 2);
    for lane in 0..2 {
        world.end(id, world.report(&grant, lane, Outcome::Failed, 0));
    }
    let (good, again) = world.work(8, 1);
    world.end(good, world.report(&again, 0, Outcome::Completed, 20));
    let (first, second) = (world.sweep, world.submit(3, spec()));
    world.apply(Event::Paused(first));
    assert_eq!(world.failing(id), (vec![], 1), "that one says something of the worker still");
    let theirs = world.poll(id, 1).expect("of the other sweep");
    world.end(id, world.report(&theirs, 0, Outcome::Failed, 0));
    world.apply(Event::Resumed(first));
    world.apply(Event::Paused(first));
    let index = theirs.lanes[0].trajectory.0;
    assert_eq!(world.failing(id), (vec![(second, index)], 1));
}

#[test]
fn few_like_failures_among_many_completions_pause_nothing() {
    let text = SPEC.replace("[0, 1, 2]", "{ from = 0, count = 100 }").replace("retries = 1", "retries = 0");
    let like_failures_after = |completions: usize| {
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
    assert!(like_failures_after(27));
    assert!(!like_failures_after(28));
}

#[test]
fn a_sweep_that_runs_again_is_not_paused_for_what_failed_before() {
    let mut world = World::with_retries(0);
    let (id, grant) = world.work(7, 3);
    for lane in 0..2 {
        let cause = Some("no room".to_owned());
        world.end(id, Report { cause, ..world.report(&grant, lane, Outcome::Failed, 0) });
    }
    let sweep = world.scheduler.sweeps.get_mut(&world.sweep).expect("it runs");
    sweep.failures.begin_anew();
    let cause = Some("no room".to_owned());
    world.end(id, Report { cause, ..world.report(&grant, 2, Outcome::Failed, 0) });
    assert!(!world.paused());
}

#[test]
fn what_fails_where_nobody_else_can_train_it_is_tried_there_again() {
    let mut world = World::with(plain(5, "retries = 4\nrequire = { labels = [\"fast\"] }"));
    let (only, other) = (worker(1), worker(2));
    world.hello_with(only, 1, &["fast"]);
    world.hello(other, Vec::new());
    assert_eq!(world.poll(other, 1), None, "it is fit, and cannot train this");
    let mut grant = world.poll(only, 1).expect("work");
    for error in ["no data", "no room", "no weights", "no luck"] {
        let (_, next) = world.fail(only, &grant, error);
        assert_eq!(next.as_ref().map(trajectories), Some(vec![0]), "after {error}");
        grant = next.expect("work");
    }
}

#[test]
fn a_suspect_gets_what_nobody_else_can_train_and_no_more() {
    let (suspect, other) = (worker(1), worker(2));
    let (mut world, anyones) = World::where_only_one_is_fast(suspect, other);
    let mut next = world.poll(suspect, 1);
    let mut of = Vec::new();
    for error in ["no data", "no room", "no weights", "no luck", "no bias"] {
        let grant = next.expect("work");
        next = world.fail(suspect, &grant, error).1;
        of.push(grant.sweep);
    }
    assert_eq!(of, [anyones, anyones, anyones, world.sweep, world.sweep]);
    world.say(other, ToCoordinator::Goodbye);
    world.apply(Event::Cancelled(world.sweep));
    assert_eq!(world.poll(suspect, 1).map(|grant| grant.sweep), Some(anyones), "there is nobody else");
}

#[test]
fn a_suspect_that_waits_gets_work_the_moment_the_last_other_leaves() {
    let mut world = World::with(plain(9, "retries = 9"));
    let suspect = world.suspect();
    let other = worker(2);
    let leaves = world.say(other, ToCoordinator::Goodbye);
    assert_eq!(leases(&leaves).iter().map(|lease| lease.worker).collect::<Vec<_>>(), [suspect]);
}

#[test]
fn a_suspect_that_waits_gets_work_the_moment_it_is_excused() {
    let mut world = World::with(plain(9, "retries = 9"));
    let suspect = world.suspect();
    let again = world.poll(worker(2), 1).expect("work");
    let cause = Some("no luck".to_owned());
    let actions = world.end(worker(2), Report { cause, ..world.report(&again, 0, Outcome::Failed, 0) });
    assert_eq!(leases(&actions).iter().map(|lease| lease.worker).collect::<Vec<_>>(), [suspect]);
}

#[test]
fn a_suspect_is_not_cleared_by_what_only_it_can_train() {
    let (suspect, other) = (worker(1), worker(2));
    let (mut world, anyones) = World::where_only_one_is_fast(suspect, other);
    let mut next = world.poll(suspect, 1);
    for error in ["no data", "no room", "no weights"] {
        next = world.fail(suspect, &next.expect("work"), error).1;
    }
    let its_own = next.expect("nobody else can train this");
    assert_eq!(its_own.sweep, world.sweep);
    world.complete(suspect, &its_own);
    assert_eq!(world.failing(suspect).0, [0, 1, 2].map(|trajectory| (anyones, trajectory)));
    let mut again = world.poll(other, 1);
    let mut said = Vec::new();
    for _ in 0..3 {
        let (actions, next) = world.complete(other, &again.expect("what failed"));
        (said, again) = (quarantined(&actions), next);
    }
    assert_eq!(said, [suspect]);
}

#[test]
fn who_is_silent_is_waited_for_by_nobody() {
    let mut world = World::with(plain(9, "retries = 9"));
    let (suspect, silent) = (world.suspect(), worker(2));
    world.now.tick = world.now.tick.after_ms(TIMEOUTS.lease_ms / 2);
    world.say(suspect, ToCoordinator::Heartbeat { progress: Vec::new() });
    let actions = world.pass(TIMEOUTS.lease_ms / 2);
    assert!(world.scheduler.workers.get(silent).is_some_and(|worker| worker.connected), "its stream is up");
    assert_eq!(leases(&actions).iter().map(|lease| lease.worker).collect::<Vec<_>>(), [suspect]);
    assert_eq!(world.scheduler.check(), Ok(()));
    world.say(silent, ToCoordinator::Heartbeat { progress: Vec::new() });
    assert!(world.poll(silent, 1).is_some());
}

#[test]
fn what_waits_for_a_worker_that_is_busy_says_so() {
    let mut world = World::with(plain(9, "retries = 9"));
    world.suspect();
    let reason = world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason);
    assert_eq!(reason.as_deref(), Some("the workers that are idle failed too much in a row; it waits for another"));

    let mut world = World::with(plain(1, "retries = 9\nreuse = false"));
    let other = world.submit(3, plain(9, "reuse = false\npriority = 1"));
    world.hello_with(worker(2), 1, &[]);
    assert_eq!(world.poll(worker(2), 1).map(|grant| grant.sweep), Some(other));
    let reason = world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason);
    assert_eq!(reason.as_deref(), Some("it waits behind plain, whose priority is 1"));
    world.apply(Event::Paused(other));
    world.hello_with(worker(1), 1, &[]);
    let grant = world.poll(worker(1), 1).expect("work");
    assert_eq!(world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason), None);
    assert_eq!(world.fail(worker(1), &grant, "no data").1, None);
    let reason = world.scheduler.sweep_view(world.sweep).and_then(|view| view.reason);
    assert_eq!(
        reason.as_deref(),
        Some("what is left of it failed on the workers that are idle, and waits for another")
    );
}

#[test]
fn who_has_no_lanes_is_waited_for_by_nobody() {
    let mut world = World::with(plain(3, "retries = 4"));
    let (only, without) = (worker(1), worker(2));
    world.hello_with(only, 1, &[]);
    world.hello_with(without, 0, &[]);
    let grant = world.poll(only, 1).expect("work");
    let (_, again) = world.fail(only, &grant, "no data");
    assert_eq!(again.as_ref().map(trajectories), Some(vec![0]), "nobody else could try it");
}
