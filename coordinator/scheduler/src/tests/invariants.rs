//! Every invariant notices what breaks it.

use super::*;
use crate::crew::Crew;

/// The sweep of [`World::new`], and another that waits for its first trajectory.
const SWEEPS: [SweepId; 2] = [SweepId(Uuid::from_u128(1)), SweepId(Uuid::from_u128(2))];
const HOLDER: WorkerId = WorkerId(Uuid::from_u128(7));
const IDLE: WorkerId = WorkerId(Uuid::from_u128(8));

/// What is wrong with a core in which one worker trains two trajectories, another asks in vain, and a sweep waits.
fn wrong(breaks: impl FnOnce(&mut Core)) -> String {
    let mut world = World::new();
    world.work(7, 2);
    world.apply(Event::Paused(SWEEPS[0]));
    let (_, actions) =
        world.submit_with(2, &[("[\"relu\", \"tanh\"]", "\"relu\""), ("[0, 1, 2]", "0")], Arc::default());
    assert_eq!(granted(&actions), []);
    world.hello(IDLE, Vec::new());
    assert_eq!(world.poll(IDLE, 1), None);
    assert_eq!(world.core.check(), Ok(()));
    breaks(&mut world.core);
    world.core.check().expect_err("it is broken")
}

fn sweep(core: &mut Core, place: usize) -> &mut Sweep {
    core.sweeps.get_mut(&SWEEPS[place]).expect("it is there")
}

fn crew(core: &mut Core) -> &mut Crew {
    core.crews.values_mut().next().expect("they are all alike")
}

fn worker(core: &mut Core, id: WorkerId) -> &mut Worker {
    core.workers.get_mut(&id).expect("it is there")
}

#[test]
fn a_trajectory_in_two_places_or_in_none_is_noticed() {
    let (first, second) = (TrajectoryIndex(0), TrajectoryIndex(1));
    assert!(wrong(|core| drop(core.sweeps.remove(&SWEEPS[0]))).contains("which is not here"));
    let twice = |core: &mut Core| drop(core.leases.insert(Attempt(9), core.leases[&Attempt(1)].clone()));
    assert!(wrong(twice).contains("is leased twice"));
    assert!(wrong(|core| sweep(core, 0).pending.insert(second)).contains("pending and leased"));
    assert!(
        wrong(|core| sweep(core, 1).pending.insert(first)).contains("awaited from elsewhere, and pending or leased")
    );
    assert!(wrong(|core| sweep(core, 0).expected.extend([first])).contains("awaited from elsewhere"));
    assert!(wrong(|core| sweep(core, 0).set_aside(TrajectoryIndex(4))).contains("awaited and nobody trains it"));
}

#[test]
fn a_count_that_is_wrong_is_noticed() {
    assert!(wrong(|core| drop(core.workers.remove(&HOLDER))).contains("holds leases and is not known"));
    assert!(wrong(|core| worker(core, HOLDER).open += 1).contains("holds 2 trajectories and is thought to hold 3"));
    assert!(wrong(|core| worker(core, IDLE).open += 1).contains("holds 0 trajectories and is thought to hold 1"));
    assert!(wrong(|core| sweep(core, 0).lanes_there += 1).contains("can count on 6 lanes and thinks 7"));
    assert!(wrong(|core| sweep(core, 0).turn.take(Tick(0))).contains("has 2 lanes and thinks 3"));
}

#[test]
fn a_list_that_lacks_something_is_noticed() {
    assert!(wrong(|core| worker(core, HOLDER).leases.clear()).contains("the leases by worker"));
    assert!(wrong(|core| sweep(core, 0).leases.clear()).contains("the leases by sweep"));
    assert!(wrong(|core| core.deadlines.clear()).contains("the deadlines"));
    assert!(wrong(|core| core.crews.clear()).contains("are not counted"));
    for breaks in [
        |crew: &mut Crew| crew.fit.clear(),
        |crew: &mut Crew| crew.asking.extend([HOLDER]),
        |crew: &mut Crew| crew.asking.clear(),
        |crew: &mut Crew| crew.suspects.extend([IDLE]),
        |crew: &mut Crew| crew.count += 1,
        |crew: &mut Crew| crew.lanes += 1,
        |crew: &mut Crew| crew.lanes_counted_on -= 1,
    ] {
        assert!(wrong(|core| breaks(crew(core))).contains("are taken for"));
    }
    assert!(wrong(|core| crew(core).refused.extend([IDLE])).contains("asks and was refused at once"));
    assert!(wrong(|core| worker(core, IDLE).idle_lanes = 0).contains("is taken for"));
}

#[test]
fn who_waits_for_nothing_is_noticed() {
    let resumed = |core: &mut Core| {
        sweep(core, 0).row.state = SweepState::Running;
        core.to_look_at.clear();
        core.look_again = false;
    };
    assert!(wrong(resumed).contains(&format!("worker {IDLE} waits in vain")));
    let refused = |core: &mut Core| {
        resumed(core);
        let crew = crew(core);
        crew.refused.append(&mut crew.asking);
    };
    assert!(wrong(refused).contains(&format!("worker {IDLE} was refused 2..3 of sweep {}", SWEEPS[0])));
}

#[test]
fn a_sweep_that_has_left_and_still_shares_is_noticed() {
    let gone = SweepId(Uuid::from_u128(9));
    for [source, taker] in [[gone, SWEEPS[0]], [SWEEPS[0], gone]] {
        assert!(wrong(|core| drop(core.takers.insert(source, [taker].into()))).contains("and is not here"));
    }
    assert!(wrong(|core| drop(core.takers.insert(SWEEPS[1], BTreeSet::new()))).contains("nobody is listed"));
}

#[test]
fn a_sweep_that_should_have_left_is_noticed() {
    assert!(wrong(|core| sweep(core, 0).row.state = SweepState::Cancelled).contains("cancelled and still here"));
    assert!(wrong(|core| sweep(core, 0).row.completed = 12).contains("still here"));
    assert!(wrong(|core| sweep(core, 1).expected.clear()).contains("still here"));
}

#[test]
fn a_trial_that_is_lost_or_counted_twice_is_noticed() {
    let lost = "has 12 trials, of which 0 have results and 10 have none";
    assert!(wrong(|core| assert!(sweep(core, 0).pending.remove(4..5))).contains(lost));
    let twice = "of which 2 have results and 12 have none";
    assert!(wrong(|core| sweep(core, 0).row.diverged = 2).contains(twice));
}

#[test]
fn a_failure_that_is_retried_too_often_is_noticed() {
    let too_often = |core: &mut Core| sweep(core, 0).tries.entry(TrajectoryIndex(0)).or_default().failed = 2;
    assert!(wrong(too_often).contains("failed 2 times, and 1 are retried"));
}

#[test]
fn a_report_that_should_not_be_accepted_is_noticed() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory };
    assert_eq!(world.core.check_end(id, held), Ok(()));
    let refused = |id, held, what| assert!(world.core.check_end(id, held).is_err_and(|said| said.contains(what)));
    refused(IDLE, held, "reports what");
    refused(id, Held { attempt: Attempt(9), ..held }, "which is over");
    refused(id, Held { trajectory: TrajectoryIndex(5), ..held }, "which is over");
    refused(id, Held { sweep: SWEEPS[1], ..held }, "which is over");
}

#[test]
fn a_grant_that_should_not_be_is_noticed() {
    let grant = |breaks: &dyn Fn(&mut Core)| {
        let mut world = World::new();
        world.work(7, 3);
        breaks(&mut world.core);
        world.core.check_grant(HOLDER, SWEEPS[0])
    };
    assert_eq!(grant(&|_| {}), Ok(()));
    let says = |breaks: &dyn Fn(&mut Core), what| assert!(grant(breaks).is_err_and(|said| said.contains(what)));
    says(&|core| drop(core.workers.remove(&HOLDER)), "is not known");
    says(&|core| worker(core, HOLDER).open += 1, "holds 4 trajectories on 3 lanes");
    says(&|core| drop(core.quarantined.insert(HOLDER, String::new())), "is in quarantine");
    says(&|core| sweep(core, 0).row.state = SweepState::Paused, "is not running");
    says(&|core| drop(core.sweeps.remove(&SWEEPS[0])), "is not running");
}

#[test]
fn what_is_held_against_a_worker_though_it_is_done_is_noticed() {
    let failed = (SWEEPS[0], TrajectoryIndex(0));
    let held = |core: &mut Core| worker(core, HOLDER).failing.unexplained.extend([failed]);
    assert!(wrong(held).contains(&format!("trajectory 0 of {} is held against worker {HOLDER}", SWEEPS[0])));
}
