//! Every invariant notices a broken state.

use super::*;
use crate::tables::worker_class::WorkerClass;

/// The sweep of [`World::new`], and another sweep that awaits its first trajectory.
const SWEEPS: [SweepId; 2] = [SweepId(Uuid::from_u128(1)), SweepId(Uuid::from_u128(2))];
const HOLDER: WorkerId = WorkerId(Uuid::from_u128(7));
const IDLE: WorkerId = WorkerId(Uuid::from_u128(8));

/// Breaks a scheduler in which one worker trains two trajectories, another worker waits, and a sweep awaits a trajectory; returns
/// the description of the first broken invariant.
fn broken(breaks: impl FnOnce(&mut Scheduler)) -> String {
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
    world.scheduler.check().expect_err("the state is broken")
}

fn sweep(scheduler: &mut Scheduler, number: usize) -> &mut Sweep {
    scheduler.sweeps.get_mut(&SWEEPS[number]).expect("the sweep is in the table")
}

fn class(scheduler: &mut Scheduler) -> &mut WorkerClass {
    scheduler.workers.classes.values_mut().next().expect("a worker is connected")
}

fn worker(scheduler: &mut Scheduler, id: WorkerId) -> &mut Worker {
    scheduler.workers.get_mut(id)
}

#[test]
fn a_trajectory_in_two_states_or_in_none_is_noticed() {
    let (first, second) = (TrajectoryIndex(0), TrajectoryIndex(1));
    assert!(broken(|scheduler| drop(scheduler.sweeps.remove(&SWEEPS[0]))).contains("which is not in the table"));
    let twice = |scheduler: &mut Scheduler| {
        scheduler.leases.insert(Attempt(9), scheduler.leases.get(Attempt(1)).expect("attempt 1 is open").clone())
    };
    assert!(broken(twice).contains("is leased twice"));
    assert!(broken(|scheduler| sweep(scheduler, 0).pending.insert(second)).contains("pending and leased"));
    assert!(
        broken(|scheduler| sweep(scheduler, 1).pending.insert(first))
            .contains("awaited from another lease, and also pending or leased")
    );
    assert!(broken(|scheduler| sweep(scheduler, 0).awaited.extend([first])).contains("awaited from another lease"));
    assert!(
        broken(|scheduler| sweep(scheduler, 0).await_result(TrajectoryIndex(4)))
            .contains("awaited and no worker trains it")
    );
}

#[test]
fn a_wrong_count_is_noticed() {
    assert!(broken(|scheduler| scheduler.workers.lose(HOLDER)).contains("under attempt 1 and is not known"));
    assert!(broken(|scheduler| sweep(scheduler, 0).usable_lanes += 1).contains("has 6 usable lanes and counts 7"));
    assert!(
        broken(|scheduler| sweep(scheduler, 0).fair_share.lane_opened(Tick(0)))
            .contains("has 2 leased lanes and counts 3")
    );
}

#[test]
fn an_incomplete_index_is_noticed() {
    assert!(broken(|scheduler| scheduler.workers.lose_deadlines()).contains("the deadlines"));
    assert!(broken(|scheduler| scheduler.workers.classes.clear()).contains("are not counted"));
    for breaks in [
        |class: &mut WorkerClass| class.fit.clear(),
        |class: &mut WorkerClass| class.asking.extend([HOLDER]),
        |class: &mut WorkerClass| class.asking.clear(),
        |class: &mut WorkerClass| class.suspects.extend([IDLE]),
        |class: &mut WorkerClass| class.count += 1,
        |class: &mut WorkerClass| class.lanes += 1,
        |class: &mut WorkerClass| class.usable_lanes -= 1,
    ] {
        assert!(broken(|scheduler| breaks(class(scheduler))).contains("but their class has"));
    }
    assert!(
        broken(|scheduler| class(scheduler).refused.extend([IDLE])).contains("listed both as asking and as refused")
    );
    assert!(broken(|scheduler| worker(scheduler, IDLE).idle_lanes = 0).contains("but its class has"));
}

#[test]
fn a_worker_that_waits_although_there_is_work_is_noticed() {
    let resumed = |scheduler: &mut Scheduler| {
        sweep(scheduler, 0).row.state = SweepState::Running;
        scheduler.workers.to_check.clear();
        scheduler.check_all = false;
    };
    assert!(broken(resumed).contains(&format!("worker {IDLE} waits although there is work for it")));
    let refused = |scheduler: &mut Scheduler| {
        resumed(scheduler);
        let class = class(scheduler);
        class.refused.append(&mut class.asking);
    };
    assert!(
        broken(refused)
            .contains(&format!("worker {IDLE} was refused although it may train 2..3 of sweep {}", SWEEPS[0]))
    );
}

#[test]
fn a_removed_sweep_that_still_shares_results_is_noticed() {
    let gone = SweepId(Uuid::from_u128(9));
    for [source, dependent] in [[gone, SWEEPS[0]], [SWEEPS[0], gone]] {
        assert!(
            broken(|scheduler| drop(scheduler.dependents.insert(source, [dependent].into())))
                .contains("and is not in the table")
        );
    }
    assert!(
        broken(|scheduler| drop(scheduler.dependents.insert(SWEEPS[1], BTreeSet::new())))
            .contains("without a dependent")
    );
}

#[test]
fn an_ended_sweep_in_the_table_is_noticed() {
    assert!(
        broken(|scheduler| sweep(scheduler, 0).row.state = SweepState::Cancelled)
            .contains("cancelled and has no work left")
    );
    assert!(broken(|scheduler| sweep(scheduler, 0).row.completed = 12).contains("has no work left"));
    assert!(broken(|scheduler| sweep(scheduler, 1).awaited.clear()).contains("has no work left"));
}

#[test]
fn a_trial_that_is_lost_or_counted_twice_is_noticed() {
    let lost = "has 12 trials, of which 0 have results and 10 have none";
    assert!(broken(|scheduler| assert!(sweep(scheduler, 0).pending.remove(4..5))).contains(lost));
    let twice = "of which 2 have results and 12 have none";
    assert!(broken(|scheduler| sweep(scheduler, 0).row.diverged = 2).contains(twice));
}

#[test]
fn a_failure_that_is_retried_too_often_is_noticed() {
    let too_often =
        |scheduler: &mut Scheduler| sweep(scheduler, 0).counters.entry(TrajectoryIndex(0)).or_default().failed = 2;
    assert!(broken(too_often).contains("failed 2 times, but the limit of retries is 1"));
}

#[test]
fn an_invalid_report_is_noticed() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory };
    assert_eq!(world.scheduler.check_end(id, held), Ok(()));
    let refused =
        |id, held, what| assert!(world.scheduler.check_end(id, held).is_err_and(|error| error.contains(what)));
    refused(IDLE, held, "reports a trajectory of worker");
    refused(id, Held { attempt: Attempt(9), ..held }, "which has ended");
    refused(id, Held { trajectory: TrajectoryIndex(5), ..held }, "which has ended");
    refused(id, Held { sweep: SWEEPS[1], ..held }, "which has ended");
}

#[test]
fn an_invalid_grant_is_noticed() {
    let grant = |breaks: &dyn Fn(&mut Scheduler)| {
        let mut world = World::new();
        world.work(7, 3);
        breaks(&mut world.scheduler);
        world.scheduler.check_grant(HOLDER, SWEEPS[0])
    };
    assert_eq!(grant(&|_| {}), Ok(()));
    let refused =
        |breaks: &dyn Fn(&mut Scheduler), what| assert!(grant(breaks).is_err_and(|error| error.contains(what)));
    refused(&|scheduler| scheduler.workers.lose(HOLDER), "is not known");
    refused(&|scheduler| worker(scheduler, HOLDER).description.lanes = 2, "holds 3 trajectories on 2 lanes");
    refused(&|scheduler| scheduler.workers.quarantine(HOLDER, String::new()), "is in quarantine");
    refused(&|scheduler| sweep(scheduler, 0).row.state = SweepState::Paused, "is not running");
    refused(&|scheduler| drop(scheduler.sweeps.remove(&SWEEPS[0])), "is not running");
}

#[test]
fn an_unexplained_failure_of_a_finished_trajectory_is_noticed() {
    let failed = (SWEEPS[0], TrajectoryIndex(0));
    let unexplained = |scheduler: &mut Scheduler| worker(scheduler, HOLDER).failing.unexplained.extend([failed]);
    assert!(
        broken(unexplained)
            .contains(&format!("trajectory 0 of {} is an unexplained failure of worker {HOLDER}", SWEEPS[0]))
    );
}
