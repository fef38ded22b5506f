//! Every invariant notices what breaks it.

use super::*;
use crate::tables::worker_class::WorkerClass;

/// The sweep of [`World::new`], and another that waits for its first trajectory.
const SWEEPS: [SweepId; 2] = [SweepId(Uuid::from_u128(1)), SweepId(Uuid::from_u128(2))];
const HOLDER: WorkerId = WorkerId(Uuid::from_u128(7));
const IDLE: WorkerId = WorkerId(Uuid::from_u128(8));

/// What is wrong with a scheduler in which one worker trains two trajectories, another asks in vain, and a sweep waits.
fn wrong(breaks: impl FnOnce(&mut Scheduler)) -> String {
    let mut world = World::new();
    world.work(7, 2);
    world.apply(Event::Paused(SWEEPS[0]));
    let (_, actions) =
        world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")], Arc::default());
    assert_eq!(granted(&actions), []);
    world.hello(IDLE, Vec::new());
    assert_eq!(world.poll(IDLE, 1), None);
    assert_eq!(world.scheduler.check(), Ok(()));
    breaks(&mut world.scheduler);
    world.scheduler.check().expect_err("it is broken")
}

fn sweep(scheduler: &mut Scheduler, place: usize) -> &mut Sweep {
    scheduler.sweeps.get_mut(&SWEEPS[place]).expect("it is there")
}

fn class(scheduler: &mut Scheduler) -> &mut WorkerClass {
    scheduler.workers.classes.values_mut().next().expect("they are all alike")
}

fn worker(scheduler: &mut Scheduler, id: WorkerId) -> &mut Worker {
    scheduler.workers.get_mut(id)
}

#[test]
fn a_trajectory_in_two_places_or_in_none_is_noticed() {
    let (first, second) = (TrajectoryIndex(0), TrajectoryIndex(1));
    assert!(wrong(|scheduler| drop(scheduler.sweeps.remove(&SWEEPS[0]))).contains("which is not here"));
    let twice = |scheduler: &mut Scheduler| {
        scheduler.leases.insert(Attempt(9), scheduler.leases.get(Attempt(1)).expect("it is there").clone())
    };
    assert!(wrong(twice).contains("is leased twice"));
    assert!(wrong(|scheduler| sweep(scheduler, 0).pending.insert(second)).contains("pending and leased"));
    assert!(
        wrong(|scheduler| sweep(scheduler, 1).pending.insert(first))
            .contains("awaited from elsewhere, and pending or leased")
    );
    assert!(wrong(|scheduler| sweep(scheduler, 0).awaited.extend([first])).contains("awaited from elsewhere"));
    assert!(
        wrong(|scheduler| sweep(scheduler, 0).set_aside(TrajectoryIndex(4))).contains("awaited and nobody trains it")
    );
}

#[test]
fn a_count_that_is_wrong_is_noticed() {
    assert!(wrong(|scheduler| scheduler.workers.lose(HOLDER)).contains("under attempt 1 and is not known"));
    assert!(wrong(|scheduler| sweep(scheduler, 0).lanes_there += 1).contains("can count on 6 lanes and thinks 7"));
    assert!(wrong(|scheduler| sweep(scheduler, 0).fair_share.take(Tick(0))).contains("has 2 lanes and thinks 3"));
}

#[test]
fn a_list_that_lacks_something_is_noticed() {
    assert!(wrong(|scheduler| scheduler.workers.lose_deadlines()).contains("the deadlines"));
    assert!(wrong(|scheduler| scheduler.workers.classes.clear()).contains("are not counted"));
    for breaks in [
        |class: &mut WorkerClass| class.fit.clear(),
        |class: &mut WorkerClass| class.asking.extend([HOLDER]),
        |class: &mut WorkerClass| class.asking.clear(),
        |class: &mut WorkerClass| class.suspects.extend([IDLE]),
        |class: &mut WorkerClass| class.count += 1,
        |class: &mut WorkerClass| class.lanes += 1,
        |class: &mut WorkerClass| class.lanes_counted_on -= 1,
    ] {
        assert!(wrong(|scheduler| breaks(class(scheduler))).contains("are taken for"));
    }
    assert!(wrong(|scheduler| class(scheduler).refused.extend([IDLE])).contains("asks and was refused at once"));
    assert!(wrong(|scheduler| worker(scheduler, IDLE).idle_lanes = 0).contains("is taken for"));
}

#[test]
fn who_waits_for_nothing_is_noticed() {
    let resumed = |scheduler: &mut Scheduler| {
        sweep(scheduler, 0).row.state = SweepState::Running;
        scheduler.workers.to_check.clear();
        scheduler.check_all = false;
    };
    assert!(wrong(resumed).contains(&format!("worker {IDLE} waits in vain")));
    let refused = |scheduler: &mut Scheduler| {
        resumed(scheduler);
        let class = class(scheduler);
        class.refused.append(&mut class.asking);
    };
    assert!(wrong(refused).contains(&format!("worker {IDLE} was refused 2..3 of sweep {}", SWEEPS[0])));
}

#[test]
fn a_sweep_that_has_left_and_still_shares_is_noticed() {
    let gone = SweepId(Uuid::from_u128(9));
    for [source, dependent] in [[gone, SWEEPS[0]], [SWEEPS[0], gone]] {
        assert!(
            wrong(|scheduler| drop(scheduler.dependents.insert(source, [dependent].into())))
                .contains("and is not here")
        );
    }
    assert!(
        wrong(|scheduler| drop(scheduler.dependents.insert(SWEEPS[1], BTreeSet::new()))).contains("nobody is listed")
    );
}

#[test]
fn a_sweep_that_should_have_left_is_noticed() {
    assert!(
        wrong(|scheduler| sweep(scheduler, 0).row.state = SweepState::Cancelled).contains("cancelled and still here")
    );
    assert!(wrong(|scheduler| sweep(scheduler, 0).row.completed = 12).contains("still here"));
    assert!(wrong(|scheduler| sweep(scheduler, 1).awaited.clear()).contains("still here"));
}

#[test]
fn a_trial_that_is_lost_or_counted_twice_is_noticed() {
    let lost = "has 12 trials, of which 0 have results and 10 have none";
    assert!(wrong(|scheduler| assert!(sweep(scheduler, 0).pending.remove(4..5))).contains(lost));
    let twice = "of which 2 have results and 12 have none";
    assert!(wrong(|scheduler| sweep(scheduler, 0).row.diverged = 2).contains(twice));
}

#[test]
fn a_failure_that_is_retried_too_often_is_noticed() {
    let too_often =
        |scheduler: &mut Scheduler| sweep(scheduler, 0).counters.entry(TrajectoryIndex(0)).or_default().failed = 2;
    assert!(wrong(too_often).contains("failed 2 times, and 1 are retried"));
}

#[test]
fn a_report_that_should_not_be_accepted_is_noticed() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory };
    assert_eq!(world.scheduler.check_end(id, held), Ok(()));
    let refused = |id, held, what| assert!(world.scheduler.check_end(id, held).is_err_and(|said| said.contains(what)));
    refused(IDLE, held, "reports what");
    refused(id, Held { attempt: Attempt(9), ..held }, "which is over");
    refused(id, Held { trajectory: TrajectoryIndex(5), ..held }, "which is over");
    refused(id, Held { sweep: SWEEPS[1], ..held }, "which is over");
}

#[test]
fn a_grant_that_should_not_be_is_noticed() {
    let grant = |breaks: &dyn Fn(&mut Scheduler)| {
        let mut world = World::new();
        world.work(7, 3);
        breaks(&mut world.scheduler);
        world.scheduler.check_grant(HOLDER, SWEEPS[0])
    };
    assert_eq!(grant(&|_| {}), Ok(()));
    let says = |breaks: &dyn Fn(&mut Scheduler), what| assert!(grant(breaks).is_err_and(|said| said.contains(what)));
    says(&|scheduler| scheduler.workers.lose(HOLDER), "is not known");
    says(&|scheduler| worker(scheduler, HOLDER).description.lanes = 2, "holds 3 trajectories on 2 lanes");
    says(&|scheduler| scheduler.workers.quarantine(HOLDER, String::new()), "is in quarantine");
    says(&|scheduler| sweep(scheduler, 0).row.state = SweepState::Paused, "is not running");
    says(&|scheduler| drop(scheduler.sweeps.remove(&SWEEPS[0])), "is not running");
}

#[test]
fn what_is_held_against_a_worker_though_it_is_done_is_noticed() {
    let failed = (SWEEPS[0], TrajectoryIndex(0));
    let held = |scheduler: &mut Scheduler| worker(scheduler, HOLDER).failing.unexplained.extend([failed]);
    assert!(wrong(held).contains(&format!("trajectory 0 of {} is held against worker {HOLDER}", SWEEPS[0])));
}
