//! The batcher's claims: what is released when, with a store that can be written and with one that cannot.

use biosweep_common::ids::{SweepId, TrajectoryIndex};
use biosweep_common::outcome::Outcome;
use biosweep_common::protocol::messages::{Grant, Held, WorkerDescription};
use uuid::Uuid;

use super::*;
use crate::testing::{World, worker};

const SWEEP: SweepId = SweepId(Uuid::from_u128(1));
const STREAM: StreamId = StreamId(1);

/// A batcher with the usual sweep, and worker 7 with a bundle of one lane.
struct Setup {
    batcher: Batcher<&'static str>,
    world: World,
    grant: Grant,
}

impl Setup {
    fn new() -> Self {
        let mut world = World::new();
        let batcher = Batcher::new(std::mem::replace(&mut world.scheduler, World::new().scheduler));
        let grant = Grant {
            sweep: SWEEP,
            attempt: Attempt(0),
            shape: crate::testing::spec().grid.trajectory(TrajectoryIndex(0)).expect("it is in the grid").shape,
            measures: Vec::new(),
            checkpoint_every_ms: 0,
            lanes: Vec::new(),
        };
        let mut setup = Self { batcher, world, grant };
        setup.attach(STREAM, Vec::new());
        setup.say(vec![ToCoordinator::Poll { lanes: 1 }]);
        let mut grants = setup.commit().into_iter().filter_map(|output| match output {
            Output::Send { messages, .. } => messages.into_iter().find_map(|message| match message {
                ToWorker::Grant(grant) => Some(*grant),
                _ => None,
            }),
            _ => None,
        });
        setup.grant = grants.next().expect("there is work");
        setup
    }

    fn take(&mut self, request: Request<&'static str>) -> Vec<Output<&'static str>> {
        self.batcher.take(self.world.now, request)
    }

    fn attach(&mut self, stream: StreamId, held: Vec<Held>) {
        let description = WorkerDescription { name: "w7".to_owned(), lanes: 1, ..WorkerDescription::default() };
        let hello = Hello { worker: worker(7), description, numerics_version: 1, held };
        assert_eq!(self.take(Request::Attach { hello, stream }), []);
    }

    fn say(&mut self, messages: Vec<ToCoordinator>) -> Vec<Output<&'static str>> {
        self.take(Request::Said { worker: worker(7), stream: STREAM, messages })
    }

    fn ask(&mut self, event: Event, asker: &'static str) -> Vec<Output<&'static str>> {
        self.take(Request::Event { event, asker })
    }

    /// The end of the worker's lane, under its attempt or another.
    fn report(&self, attempt: Attempt) -> ToCoordinator {
        let grant = Grant { attempt, ..self.grant.clone() };
        ToCoordinator::AttemptEnded(Box::new(self.world.report(&grant, 0, Outcome::Completed, 20)))
    }

    /// Begins the next transaction, which has records.
    fn begin(&mut self) {
        let (records, released) = self.batcher.begin();
        assert!(records.is_some_and(|records| !records.is_empty()) && released.is_empty());
    }

    fn commit(&mut self) -> Vec<Output<&'static str>> {
        self.begin();
        self.batcher.committed(self.world.now)
    }

    fn draining() -> Event {
        Event::Draining { reason: "enough".to_owned() }
    }
}

/// The messages among outputs.
fn messages<'a>(outputs: &'a [Output<&'static str>]) -> Vec<&'a ToWorker> {
    let messages = |output: &'a Output<&'static str>| match output {
        Output::Send { messages, .. } => &messages[..],
        _ => &[],
    };
    outputs.iter().flat_map(messages).collect()
}

/// The askers that are done.
fn done(outputs: &[Output<&'static str>]) -> Vec<&'static str> {
    let done = |output: &Output<&'static str>| if let Output::Done(asker) = output { Some(*asker) } else { None };
    outputs.iter().filter_map(done).collect()
}

#[test]
fn a_decision_is_released_after_its_own_commit_and_not_after_the_one_before() {
    let mut setup = Setup::new();
    assert_eq!(setup.say(vec![setup.report(setup.grant.attempt)]), []);
    setup.begin();
    assert_eq!(setup.say(vec![ToCoordinator::Poll { lanes: 1 }]), []);
    assert_eq!(setup.batcher.answer("how many lanes?"), None);
    let first = setup.batcher.committed(setup.world.now);
    assert!(matches!(messages(&first)[..], [ToWorker::Acknowledged { accepted: true, .. }]), "{first:?}");
    assert!(done(&first).is_empty(), "the answer tells of the grant");
    let second = setup.commit();
    assert!(matches!(messages(&second)[..], [ToWorker::Grant(_)]), "{second:?}");
    assert_eq!(done(&second), ["how many lanes?"]);
}

#[test]
fn what_needs_no_commit_is_released_at_once() {
    let mut setup = Setup::new();
    setup.say(vec![ToCoordinator::Heartbeat { progress: Vec::new() }]);
    assert_eq!(setup.batcher.answer("who is there?"), None);
    let (records, released) = setup.batcher.begin();
    assert_eq!((records, done(&released)), (None, vec!["who is there?"]));
}

#[test]
fn acknowledgements_that_follow_on_each_other_are_one_message() {
    let mut setup = Setup::new();
    let (attempt, trajectory) = (setup.grant.attempt, setup.grant.lanes[0].trajectory);
    setup.say(vec![setup.report(attempt), setup.report(attempt), setup.report(Attempt(9))]);
    let released = setup.commit();
    let twice = ToWorker::Acknowledged { attempt, trajectories: vec![trajectory; 2], accepted: true };
    let late = ToWorker::Acknowledged { attempt: Attempt(9), trajectories: vec![trajectory], accepted: false };
    assert_eq!(messages(&released), [&twice, &late]);
}

#[test]
fn a_message_is_not_sent_on_a_later_stream_and_none_is_heard_from_an_earlier_one() {
    let mut setup = Setup::new();
    setup.say(vec![setup.report(setup.grant.attempt)]);
    setup.attach(StreamId(2), Vec::new());
    assert!(matches!(messages(&setup.commit())[..], [ToWorker::Welcome { .. }]));
    setup.say(vec![ToCoordinator::Poll { lanes: 1 }]);
    assert_eq!(setup.take(Request::Detach { worker: worker(7), stream: STREAM }), []);
    let (records, _) = setup.batcher.begin();
    assert_eq!(records, None, "neither the poll nor the end of the earlier stream counts");
}

#[test]
fn a_store_that_cannot_be_written_refuses_commands_answers_questions_and_loses_nothing() {
    let mut setup = Setup::new();
    setup.say(vec![setup.report(setup.grant.attempt)]);
    setup.ask(Event::Paused(SWEEP), "pause");
    setup.begin();
    setup.ask(Event::Resumed(SWEEP), "resume");
    assert_eq!(setup.batcher.answer("before"), None);
    assert_eq!(setup.batcher.failed("full".to_owned()), [Output::Done("before")]);
    assert_eq!(setup.batcher.answer("meanwhile"), Some(Output::Done("meanwhile")));
    assert_eq!(setup.ask(Event::Cancelled(SWEEP), "cancel"), [Output::Refused("cancel", "full".to_owned())]);
    // What workers say is taken in, and nobody is lost.
    assert_eq!(setup.say(vec![ToCoordinator::Poll { lanes: 1 }]), []);
    setup.world.now.tick = Tick(1_000_000);
    assert_eq!(setup.batcher.next_deadline(), None);
    setup.batcher.tick(setup.world.now);

    let first = setup.batcher.committed(setup.world.now);
    assert_eq!((setup.batcher.degraded(), done(&first)), (None, vec!["pause"]));
    let second = setup.commit();
    assert_eq!(done(&second), ["resume"], "it was decided before, and is committed");
    assert!(matches!(messages(&second)[..], [ToWorker::Grant(_)]), "{second:?}");
    assert!(setup.batcher.next_deadline() > Some(setup.world.now.tick), "the worker gets time to be heard");
}

#[test]
fn workers_leave_though_their_reports_cannot_be_committed() {
    let mut setup = Setup::new();
    setup.say(vec![setup.report(setup.grant.attempt)]);
    setup.begin();
    setup.ask(Setup::draining(), "drain");
    setup.say(vec![setup.report(Attempt(8))]);
    let told = setup.batcher.failed("full".to_owned());
    let attempts = |outputs: &[Output<&'static str>]| -> Vec<Option<u64>> {
        messages(outputs)
            .iter()
            .map(|message| if let ToWorker::Stop { attempt, .. } = message { Some(attempt.0) } else { None })
            .collect()
    };
    assert_eq!(attempts(&told), [Some(setup.grant.attempt.0), None, Some(8)]);
    assert!(messages(&told).iter().any(|message| matches!(message, ToWorker::Drain { .. })), "{told:?}");
    assert_eq!(setup.batcher.failed("still full".to_owned()), [], "each is told once");
    assert_eq!(attempts(&setup.say(vec![setup.report(Attempt(9))])), [Some(9)], "it is not taken in");
    assert!(setup.batcher.has_room(), "nothing gathers");
    // A worker that comes now is told to leave, and an event is done though nothing is committed.
    let hello = Hello {
        worker: worker(8),
        description: WorkerDescription { name: "w8".to_owned(), lanes: 1, ..WorkerDescription::default() },
        numerics_version: 1,
        held: Vec::new(),
    };
    let told = setup.take(Request::Attach { hello, stream: StreamId(5) });
    assert!(matches!(messages(&told)[..], [ToWorker::Drain { .. }]), "{told:?}");
    let died = Event::Died { worker: worker(8), cause: "it fell".to_owned() };
    assert_eq!(setup.ask(died, "died"), [Output::Done("died")]);
}

#[test]
fn a_transaction_has_room_for_so_many_records_and_points_and_no_more() {
    let mut setup = Setup::new();
    setup.say(vec![setup.report(setup.grant.attempt)]);
    setup.begin();
    for number in 0.. {
        if !setup.batcher.has_room() {
            break;
        }
        setup.say(vec![setup.report(Attempt(100 + number))]);
    }
    // Each late report is a record and an acknowledgement.
    assert_eq!(setup.batcher.gathering.len(), RECORDS);
    assert!(setup.batcher.gathering.points() < POINTS);
    setup.batcher.committed(setup.world.now);
    setup.begin();
    let ToCoordinator::AttemptEnded(mut long) = setup.report(Attempt(7)) else { unreachable!() };
    long.curve = vec![long.curve[0]; POINTS];
    setup.say(vec![ToCoordinator::AttemptEnded(long)]);
    assert!(!setup.batcher.has_room());
}

#[test]
fn streams_that_come_and_go_while_the_store_cannot_be_written_leave_nothing_behind() {
    let mut setup = Setup::new();
    setup.say(vec![setup.report(setup.grant.attempt)]);
    setup.begin();
    setup.batcher.failed("full".to_owned());
    for number in 2..100 {
        setup.attach(StreamId(number), Vec::new());
        setup.take(Request::Detach { worker: worker(7), stream: StreamId(number) });
    }
    setup.attach(StreamId(100), Vec::new());
    assert_eq!(setup.batcher.gathering.len(), 1, "one welcome");
}

#[test]
fn a_loop_that_slept_over_a_deadline_gives_workers_time_to_be_heard() {
    let mut setup = Setup::new();
    let deadline = setup.batcher.next_deadline().expect("a worker is there");
    setup.world.now.tick = deadline.after_ms(LATE_MS + 1);
    setup.batcher.tick(setup.world.now);
    assert!(setup.batcher.begin().0.is_none(), "it is not lost");
    setup.world.now.tick = setup.batcher.next_deadline().expect("it is still there");
    setup.batcher.tick(setup.world.now);
    assert!(setup.batcher.begin().0.is_some(), "it was silent for a whole lease time since");
}
