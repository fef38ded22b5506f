//! What failures say of workers and sweeps, and when they are forgotten.

use super::*;

impl World {
    /// What a worker is thought to have failed, by sweep, and whether another completed it.
    fn failing(&self, id: WorkerId) -> Vec<(SweepId, u64, bool)> {
        let failing = self.core.workers[&id].failing.iter();
        failing.map(|(&(sweep, trajectory), &confirmed)| (sweep, trajectory.0, confirmed)).collect()
    }

    fn paused(&self) -> bool {
        self.core.sweep_view(self.sweep).is_some_and(|view| view.state == SweepState::Paused)
    }
}

#[test]
fn what_two_workers_fail_is_no_fault_of_either_and_the_rest_still_is() {
    let mut world = World::patient();
    let (one, grant) = world.work(7, 2);
    for lane in 0..2 {
        world.end(one, world.report(&grant, lane, Outcome::Failed, 0));
    }
    assert_eq!(world.failing(one), [(world.sweep, 0, false), (world.sweep, 1, false)]);
    let (two, grant) = world.work(8, 1);
    assert_eq!(trajectories(&grant), [0], "nobody else has tried it");
    world.fail(two, &grant, "no luck");
    assert_eq!((world.failing(one), world.failing(two)), (vec![(world.sweep, 1, false)], vec![]));
}

#[test]
fn a_failure_for_good_is_held_against_nobody_and_only_that() {
    let mut world = World::with_retries(1);
    let (id, grant) = world.work(7, 2);
    let (_, again) = world.fail(id, &grant, "no luck");
    let again = again.expect("one retry is left");
    assert_eq!(trajectories(&again), [0]);
    world.end(id, world.report(&again, 0, Outcome::Failed, 0));
    assert_eq!(world.failing(id), [(world.sweep, 1, false)]);
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
    assert_eq!(world.failing(id), [(first, 0, true)], "that one says something of the worker still");
    let theirs = world.poll(id, 1).expect("of the other sweep");
    world.end(id, world.report(&theirs, 0, Outcome::Failed, 0));
    world.apply(Event::Resumed(first));
    world.apply(Event::Paused(first));
    let index = theirs.lanes[0].trajectory.0;
    assert_eq!(world.failing(id), [(first, 0, true), (second, index, false)]);
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
    let sweep = world.core.sweeps.get_mut(&world.sweep).expect("it runs");
    sweep.failures.begin_anew();
    let cause = Some("no room".to_owned());
    world.end(id, Report { cause, ..world.report(&grant, 2, Outcome::Failed, 0) });
    assert!(!world.paused());
}
