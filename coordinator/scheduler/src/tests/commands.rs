//! Commands of users, and the deadlines of workers.

use super::*;

fn handed_back(actions: &[Action]) -> Vec<TrajectoryIndex> {
    let back = |action: &Action| match action {
        Action::Send { message: ToWorker::HandBack { trajectories, .. }, .. } => Some(trajectories.clone()),
        _ => None,
    };
    actions.iter().filter_map(back).flatten().collect()
}

pub(crate) fn states(actions: &[Action]) -> Vec<(SweepState, Option<String>)> {
    let state = |action: &Action| match action {
        Action::Persist(Record::StateChanged { state, reason, .. }) => Some((*state, reason.clone())),
        _ => None,
    };
    actions.iter().filter_map(state).collect()
}

impl World {
    /// A sweep that allows many retries.
    pub(crate) fn with_many_retries() -> Self {
        Self::with_retries(50)
    }

    pub(crate) fn with_retries(retries_max: u32) -> Self {
        let mut world = Self::new();
        let mut spec = (*spec()).clone();
        spec.execution.retries_max = retries_max;
        world.apply(Event::Cancelled(world.sweep));
        world.sweep = world.submit(2, Arc::new(spec));
        world
    }

    /// Fails all lanes of a worker's bundle with this error, and polls for the next bundle.
    pub(crate) fn fail(&mut self, id: WorkerId, grant: &Grant, error: &str) -> (Vec<Action>, Option<Grant>) {
        let mut actions = Vec::new();
        for lane in 0..grant.lanes.len() {
            let cause = Some(error.to_owned());
            actions.extend(self.end(id, Report { cause, ..self.report(grant, lane, Outcome::Failed, 0) }));
        }
        let asked = self.send(id, ToCoordinator::Poll { lanes: 1 });
        let next = granted(&asked).into_iter().next();
        actions.extend(asked);
        (actions, next)
    }

    /// Completes the first lane of a worker's bundle, and polls for the next bundle.
    pub(crate) fn complete(&mut self, id: WorkerId, grant: &Grant) -> (Vec<Action>, Option<Grant>) {
        let mut actions = self.end(id, self.report(grant, 0, Outcome::Completed, 20));
        let asked = self.send(id, ToCoordinator::Poll { lanes: 1 });
        let next = granted(&asked).into_iter().next();
        actions.extend(asked);
        (actions, next)
    }
}

#[test]
fn a_paused_sweep_takes_its_lanes_back_and_grants_none() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    let actions = world.apply(Event::Paused(world.sweep));
    assert_eq!(handed_back(&actions), vec![TrajectoryIndex(0)]);
    assert_eq!(states(&actions), vec![(SweepState::Paused, None)]);
    assert!(world.apply(Event::Paused(world.sweep)).is_empty(), "a repeated command has no effect");
    world.end(id, world.report(&grant, 0, Outcome::Preempted, 5));
    assert_eq!(world.poll(id, 1), None);
    let actions = world.apply(Event::Resumed(world.sweep));
    assert_eq!(states(&actions), vec![(SweepState::Running, None)]);
    assert_eq!(trajectories(&granted(&actions)[0]), vec![0]);
    assert!(world.apply(Event::Resumed(world.sweep)).is_empty(), "a repeated command has no effect");
}

#[test]
fn a_worker_that_reconnects_after_a_pause_hands_back_its_lanes() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 1);
    world.apply(Event::Disconnected(id));
    world.apply(Event::Paused(world.sweep));
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: TrajectoryIndex(0) };
    assert_eq!(handed_back(&world.hello(id, vec![held])), vec![TrajectoryIndex(0)]);
}

#[test]
fn a_paused_sweep_finishes_when_its_last_results_arrive() {
    let mut world = World::new();
    let grants: Vec<_> = (1..=6).map(|number| world.work(number, 1)).collect();
    world.apply(Event::Paused(world.sweep));
    let last = grants.iter().map(|(id, grant)| world.end(*id, world.report(grant, 0, Outcome::Completed, 20)));
    let last = last.last().expect("six");
    assert_eq!(states(&last), vec![(SweepState::Finished, None)]);
    assert_eq!(world.scheduler.check(), Ok(()));
}

#[test]
fn a_sweep_is_shown_with_the_time_of_its_last_change_of_state() {
    let mut world = World::new();
    let at = |world: &World| world.scheduler.sweep_view(world.sweep).expect("it has not ended").state_at;
    world.now.wall = WallTime(1_000);
    world.apply(Event::Paused(world.sweep));
    assert_eq!(at(&world), WallTime(1_000));
    world.now.wall = WallTime(2_000);
    world.apply(Event::Paused(world.sweep));
    assert_eq!(at(&world), WallTime(1_000), "a repeated command changes nothing");
    world.apply(Event::Resumed(world.sweep));
    assert_eq!(at(&world), WallTime(2_000));
}

#[test]
fn a_note_stays_with_its_sweep_and_a_repeated_one_has_no_effect() {
    let mut world = World::new();
    let (id, sweep) = (worker(7), world.sweep);
    let note = |text: &str| Event::Noted { sweep, note: Some(text.to_owned()) };
    let noted = |text: Option<&str>| {
        let record = Record::Noted { sweep, note: text.map(str::to_owned) };
        vec![Action::Persist(record), Action::Notify(Notice::Changed(sweep))]
    };
    let shown = |world: &World| world.scheduler.sweep_view(sweep).and_then(|view| view.note);
    world.hello(id, Vec::new());
    assert_eq!(world.apply(note("why")), noted(Some("why")));
    assert!(world.apply(note("why")).is_empty(), "a repeated command has no effect");
    world.poll(id, 1).expect("there is work");
    world.apply(Event::Paused(sweep));
    world.apply(Event::Resumed(sweep));
    assert_eq!(shown(&world).as_deref(), Some("why"), "changes of the state keep it");
    assert_eq!(world.apply(Event::Noted { sweep, note: None }), noted(None));
    assert_eq!(shown(&world), None);

    world.apply(Event::Cancelled(sweep));
    assert_eq!(world.apply(note("what was seen")), noted(Some("what was seen")), "an ended sweep can have one");
    world.apply(Event::Deleted(sweep));
    assert!(world.apply(note("late")).is_empty(), "a deleted sweep has none");
}

#[test]
fn a_finished_sweep_that_runs_again_has_its_note() {
    let (spec, now) = (spec(), Now { tick: Tick(5), wall: WallTime(5) });
    let mut scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
    let row = SweepRow { failed: 2, completed: 10, note: Some("why".to_owned()), ..finished(&spec) };
    let id = row.submission.id;
    let restored = RestoredSweep { done: vec![(0, 6)], ..restored(row) };
    let finished = Some(Box::new((restored, PreparedSpec::new(spec))));
    let failures = vec![(TrajectoryIndex(4), 3)];
    scheduler.apply(now, Event::Retried { sweep: id, finished, failures, reused: Arc::default() });
    assert_eq!(scheduler.sweep_view(id).and_then(|view| view.note).as_deref(), Some("why"));
}

fn finished(spec: &SweepSpec) -> SweepRow {
    SweepRow {
        submission: submission(spec),
        extensions: Vec::new(),
        state: SweepState::Finished,
        state_at: WallTime(0),
        reason: None,
        note: None,
        completed: 0,
        diverged: 0,
        failed: 0,
        reused: 0,
    }
}

#[test]
fn commands_are_distinguished_from_other_events() {
    let (sweep, worker) = (SweepId(Uuid::from_u128(1)), worker(7));
    let commands = [Event::Cancelled(sweep), Event::Paused(sweep), Event::Resumed(sweep), Event::Released(worker)];
    assert!(Event::Noted { sweep, note: None }.is_command());
    assert!(commands.iter().all(Event::is_command));
    let events = [Event::Disconnected(worker), Event::Ticked, Event::Awoke];
    assert!(!events.iter().any(Event::is_command));
}

#[test]
fn a_retried_trial_gets_its_retries_back() {
    let mut world = World::new();
    let (id, mut grant) = world.work(7, 1);
    for _ in 0..2 {
        let (_, next) = world.fail(id, &grant, "no luck");
        grant = next.expect("there is work");
    }
    let failed = |world: &World| world.scheduler.sweep_view(world.sweep).map(|view| view.failed);
    assert_eq!(failed(&world), Some(2), "two attempts failed, and one retry is allowed");
    let retry = Event::Retried {
        sweep: world.sweep,
        finished: None,
        failures: vec![(TrajectoryIndex(0), 2)],
        reused: Arc::default(),
    };
    let actions = world.apply(retry.clone());
    let record = actions.iter().find_map(|action| match action {
        Action::Persist(Record::Retried { trajectories, .. }) => Some(trajectories.clone()),
        _ => None,
    });
    let row = record.expect("a record")[0];
    assert_eq!((row.trajectory, row.first_trial, row.trials), (TrajectoryIndex(0), TrialIndex(0), 2));
    assert_eq!(failed(&world), Some(0));
    assert!(world.apply(retry).is_empty(), "a repeated command has no effect");
    let (other, again) = world.work(9, 1);
    assert_eq!(trajectories(&again), vec![0]);
    world.send(id, ToCoordinator::Goodbye);
    let (_, again) = world.fail(other, &again, "no luck");
    assert_eq!(failed(&world), Some(0), "the trial has its retry again");
    let again = again.expect("the trial is retried");
    let (actions, _) = world.fail(other, &again, "no luck");
    assert_eq!(endings(&actions)[0].results[0].attempts, 4, "all attempts are counted");
}

#[test]
fn a_retry_reopens_a_finished_sweep() {
    let (spec, now) = (spec(), Now { tick: Tick(5), wall: WallTime(5) });
    let mut scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
    let row = SweepRow { completed: 10, failed: 2, ..finished(&spec) };
    let id = row.submission.id;
    let restored = RestoredSweep { done: vec![(0, 6)], ..restored(row) };
    let retry = Event::Retried {
        sweep: id,
        finished: Some(Box::new((restored, PreparedSpec::new(spec)))),
        failures: vec![(TrajectoryIndex(4), 3)],
        reused: Arc::default(),
    };
    let actions = scheduler.apply(now, retry);
    assert_eq!(states(&actions), vec![(SweepState::Running, None)]);
    assert_eq!(scheduler.check(), Ok(()));
    let view = scheduler.sweep_view(id).expect("the sweep is in the table");
    assert_eq!((view.completed, view.failed), (10, 0));
}

#[test]
fn a_trajectory_that_kills_ten_workers_in_a_row_fails() {
    let mut world = World::new();
    let mut last = Vec::new();
    for number in 1..=10 {
        let id = worker(number);
        world.hello(id, Vec::new());
        let grant = world.poll(id, 3).expect("there is work");
        assert_eq!(trajectories(&grant)[0], 0);
        if number > 2 {
            assert_eq!(grant.lanes.len(), 1, "the trajectory is granted alone, so that its neighbours survive");
        }
        assert_eq!(world.scheduler.sweep_view(world.sweep).map(|view| view.failed), Some(0));
        world.apply(Event::Died { worker: id, cause: "killed by signal 11".to_owned() });
        last = world.pass(TIMEOUTS.reconnect_grace_ms);
    }
    assert_eq!(endings(&last)[0].outcome, Outcome::Failed);
    let cause = endings(&last)[0].cause.clone().expect("a cause");
    assert_eq!(cause, "10 workers in a row died while training this trajectory; the last cause: killed by signal 11");
}

#[test]
fn a_trajectory_that_gets_further_before_each_death_does_not_fail() {
    let mut world = World::new();
    for number in 1..=15 {
        let (id, grant) = world.work(number, 1);
        let progress =
            vec![Progress { attempt: grant.attempt, trajectory: TrajectoryIndex(0), updates: number as u64 }];
        world.send(id, ToCoordinator::Heartbeat { progress });
        world.apply(Event::Died { worker: id, cause: "preempted".to_owned() });
        let actions = world.pass(TIMEOUTS.reconnect_grace_ms);
        assert_eq!(endings(&actions)[0].outcome, Outcome::WorkerLost);
    }
}

#[test]
fn no_worker_is_lost_within_a_lease_time_of_an_awakening() {
    let mut world = World::new();
    let (_, _) = world.work(7, 1);
    world.now.tick = world.now.tick.after_ms(5 * TIMEOUTS.lease_ms);
    assert!(endings(&world.apply(Event::Awoke)).is_empty());
    assert_eq!(world.scheduler.next_deadline(), Some(world.now.tick.after_ms(TIMEOUTS.lease_ms)));
    assert!(endings(&world.pass(TIMEOUTS.lease_ms - 1)).is_empty());
    assert_eq!(endings(&world.pass(1)).len(), 1, "the worker is lost after a whole lease time");
}

#[test]
fn a_worker_gets_no_more_lanes_than_it_has() {
    let mut world = World { lanes: 1, ..World::new() };
    let id = worker(7);
    world.hello(id, Vec::new());
    assert_eq!(world.poll(id, 50).map(|grant| grant.lanes.len()), Some(1));
    assert_eq!(world.poll(id, 1), None, "the only lane is leased");
}

#[test]
fn a_silent_worker_gets_work_when_it_sends_a_message_again() {
    let mut world = World::new();
    world.apply(Event::Paused(world.sweep));
    let id = worker(7);
    world.hello(id, Vec::new());
    assert_eq!(world.poll(id, 1), None);
    world.pass(TIMEOUTS.lease_ms);
    let views = world.scheduler.worker_views(None);
    assert!(!views.iter().any(|view| view.connected), "it is shown as such");
    assert!(granted(&world.apply(Event::Resumed(world.sweep))).is_empty(), "a silent worker gets no work");
    let actions = world.send(id, ToCoordinator::Heartbeat { progress: Vec::new() });
    assert_eq!(granted(&actions).len(), 1);
}

#[test]
fn a_reconnecting_worker_hands_back_only_its_own_paused_lanes() {
    let mut world = World::new();
    let (one, first) = world.work(7, 1);
    let (other, _) = world.work(8, 1);
    let held =
        |grant: &Grant| Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory };
    assert_eq!(handed_back(&world.hello(one, vec![held(&first)])), vec![]);
    world.apply(Event::Paused(world.sweep));
    let actions = world.hello(one, vec![held(&first)]);
    assert_eq!(handed_back(&actions), vec![first.lanes[0].trajectory], "and not the lane of worker {other}");
    assert_ne!(one, other);
}

#[test]
fn a_diverged_attempt_is_reported_as_incomplete_and_a_completed_one_is_not() {
    let mut world = World::new();
    let (id, grant) = world.work(7, 2);
    let incomplete_attempts = |actions: &[Action]| {
        let incomplete_attempt = |action: &&Action| matches!(action, Action::Notify(Notice::IncompleteAttempt { .. }));
        actions.iter().filter(incomplete_attempt).count()
    };
    assert_eq!(incomplete_attempts(&world.end(id, world.report(&grant, 0, Outcome::Completed, 20))), 0);
    assert_eq!(incomplete_attempts(&world.end(id, world.report(&grant, 1, Outcome::Diverged, 5))), 1);
}

#[test]
fn trials_count_as_running_while_they_are_in_training() {
    let mut world = World::new();
    let running = |world: &World| world.scheduler.sweep_view(world.sweep).map(|view| view.running);
    let (id, grant) = world.work(7, 2);
    assert_eq!(running(&world), Some(4), "two trajectories of two trials");
    world.end(id, world.report(&grant, 0, Outcome::Preempted, 0));
    assert_eq!(running(&world), Some(2));
    world.end(id, world.report(&grant, 1, Outcome::Completed, 20));
    assert_eq!(running(&world), Some(0));
}

#[test]
fn a_final_failure_does_not_count_against_the_worker() {
    let mut world = World::with_retries(0);
    let (_other, _grant) = world.work(8, 1);
    let (id, mut grant) = world.work(7, 1);
    for error in ["no data", "no room", "no luck"] {
        grant = world.fail(id, &grant, error).1.expect("a final failure does not make the worker a suspect");
    }
}

#[test]
fn the_timeouts_follow_from_the_lease_time() {
    let timeouts = Timeouts { heartbeat_ms: 2_000, lease_ms: 20_000, reconnect_grace_ms: 5_000 };
    assert_eq!(Timeouts::of_lease_ms(20_000), timeouts);
}

#[test]
fn the_next_deadline_belongs_to_the_worker_silent_longest() {
    let mut world = World::new();
    assert_eq!(world.scheduler.next_deadline(), None);
    world.hello(worker(7), Vec::new());
    world.pass(100);
    world.hello(worker(8), Vec::new());
    assert_eq!(world.scheduler.next_deadline(), Some(Tick(TIMEOUTS.lease_ms)));
}
