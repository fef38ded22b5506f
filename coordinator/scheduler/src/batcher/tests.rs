//! Tests of the batcher: when outputs are released, with a store that can be written and with one that cannot.

use biosweep_common::protocol::messages::{Grant, Held, WorkerDescription};
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};
use uuid::Uuid;

use super::*;
use crate::testing::{World, worker};

const SWEEP: SweepId = SweepId(Uuid::from_u128(1));
const STREAM: StreamId = StreamId(1);

/// A batcher with the sweep of [`World::new`], and worker 7 with a bundle of one lane.
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
            shape: crate::testing::spec().grid.trajectory(TrajectoryIndex(0)).expect("the index is in the grid").shape,
            measures: Vec::new(),
            checkpoint_every_ms: 0,
            lanes: Vec::new(),
        };
        let mut setup = Self { batcher, world, grant };
        setup.attach(STREAM, Vec::new());
        setup.send(vec![ToCoordinator::Poll { lanes: 1 }]);
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
        self.batcher.on_request(self.world.now, request)
    }

    fn attach(&mut self, stream: StreamId, held: Vec<Held>) {
        let description = WorkerDescription { name: "w7".to_owned(), lanes: 1, ..WorkerDescription::default() };
        let hello = Hello { worker: worker(7), description, numerics_version: 1, held };
        assert_eq!(self.take(Request::Attach { hello, stream }), []);
    }

    fn send(&mut self, messages: Vec<ToCoordinator>) -> Vec<Output<&'static str>> {
        self.take(Request::Messages { worker: worker(7), stream: STREAM, messages })
    }

    fn event(&mut self, event: Event, caller: &'static str) -> Vec<Output<&'static str>> {
        self.take(Request::Event { event, caller })
    }

    /// A report of the worker's lane, under its own or another attempt.
    fn report(&self, attempt: Attempt) -> ToCoordinator {
        let grant = Grant { attempt, ..self.grant.clone() };
        ToCoordinator::AttemptEnded(Box::new(self.world.report(&grant, 0, Outcome::Completed, 20)))
    }

    /// Begins the next transaction, which must have records.
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

/// The callers that get an answer.
fn done(outputs: &[Output<&'static str>]) -> Vec<&'static str> {
    let done = |output: &Output<&'static str>| if let Output::Done(caller) = output { Some(*caller) } else { None };
    outputs.iter().filter_map(done).collect()
}

#[test]
fn a_decision_is_released_after_its_own_commit_and_not_earlier() {
    let mut setup = Setup::new();
    assert_eq!(setup.send(vec![setup.report(setup.grant.attempt)]), []);
    setup.begin();
    assert_eq!(setup.send(vec![ToCoordinator::Poll { lanes: 1 }]), []);
    assert_eq!(setup.batcher.answer("how many lanes?"), None);
    let first = setup.batcher.committed(setup.world.now);
    assert!(matches!(messages(&first)[..], [ToWorker::Acknowledged { accepted: true, .. }]), "{first:?}");
    assert!(done(&first).is_empty(), "the answer includes the grant");
    let second = setup.commit();
    assert!(matches!(messages(&second)[..], [ToWorker::Grant(_)]), "{second:?}");
    assert_eq!(done(&second), ["how many lanes?"]);
}

#[test]
fn an_answer_that_needs_no_commit_is_released_at_once() {
    let mut setup = Setup::new();
    setup.send(vec![ToCoordinator::Heartbeat { progress: Vec::new() }]);
    assert_eq!(setup.batcher.answer("which workers?"), None);
    let (records, released) = setup.batcher.begin();
    assert_eq!((records, done(&released)), (None, vec!["which workers?"]));
}

#[test]
fn consecutive_acknowledgements_are_one_message() {
    let mut setup = Setup::new();
    let (attempt, trajectory) = (setup.grant.attempt, setup.grant.lanes[0].trajectory);
    setup.send(vec![setup.report(attempt), setup.report(attempt), setup.report(Attempt(9))]);
    let released = setup.commit();
    let twice = ToWorker::Acknowledged { attempt, trajectories: vec![trajectory; 2], accepted: true };
    let late = ToWorker::Acknowledged { attempt: Attempt(9), trajectories: vec![trajectory], accepted: false };
    assert_eq!(messages(&released), [&twice, &late]);
}

#[test]
fn a_message_is_sent_and_received_only_on_its_own_stream() {
    let mut setup = Setup::new();
    setup.send(vec![setup.report(setup.grant.attempt)]);
    setup.attach(StreamId(2), Vec::new());
    assert!(matches!(messages(&setup.commit())[..], [ToWorker::Welcome { .. }]));
    setup.send(vec![ToCoordinator::Poll { lanes: 1 }]);
    assert_eq!(setup.take(Request::Detach { worker: worker(7), stream: STREAM }), []);
    let (records, _) = setup.batcher.begin();
    assert_eq!(records, None, "neither the poll nor the end of the earlier stream counts");
}

#[test]
fn a_degraded_batcher_refuses_commands_answers_queries_and_loses_nothing() {
    let mut setup = Setup::new();
    setup.send(vec![setup.report(setup.grant.attempt)]);
    setup.event(Event::Paused(SWEEP), "pause");
    setup.begin();
    setup.event(Event::Resumed(SWEEP), "resume");
    assert_eq!(setup.batcher.answer("before"), None);
    assert_eq!(setup.batcher.failed("full".to_owned()), [Output::Done("before")]);
    assert_eq!(setup.batcher.answer("meanwhile"), Some(Output::Done("meanwhile")));
    assert_eq!(setup.event(Event::Cancelled(SWEEP), "cancel"), [Output::Refused("cancel", "full".to_owned())]);
    // Messages of workers are applied, and no worker is lost.
    assert_eq!(setup.send(vec![ToCoordinator::Poll { lanes: 1 }]), []);
    setup.world.now.tick = Tick(1_000_000);
    assert_eq!(setup.batcher.next_deadline(), None);
    setup.batcher.tick(setup.world.now);

    let first = setup.batcher.committed(setup.world.now);
    assert_eq!((setup.batcher.degraded(), done(&first)), (None, vec!["pause"]));
    let second = setup.commit();
    assert_eq!(done(&second), ["resume"], "the event was applied before the failure, and is committed");
    assert!(matches!(messages(&second)[..], [ToWorker::Grant(_)]), "{second:?}");
    assert!(setup.batcher.next_deadline() > Some(setup.world.now.tick), "the worker gets a new lease time");
}

#[test]
fn a_degraded_batcher_that_drains_lets_workers_leave() {
    let mut setup = Setup::new();
    setup.send(vec![setup.report(setup.grant.attempt)]);
    setup.begin();
    setup.event(Setup::draining(), "drain");
    setup.send(vec![setup.report(Attempt(8))]);
    let sent = setup.batcher.failed("full".to_owned());
    let attempts = |outputs: &[Output<&'static str>]| -> Vec<Option<u64>> {
        messages(outputs)
            .iter()
            .map(|message| if let ToWorker::Stop { attempt, .. } = message { Some(attempt.0) } else { None })
            .collect()
    };
    assert_eq!(attempts(&sent), [None, Some(setup.grant.attempt.0), Some(8)]);
    assert!(messages(&sent).iter().any(|message| matches!(message, ToWorker::Drain { .. })), "{sent:?}");
    assert_eq!(setup.batcher.failed("still full".to_owned()), [], "each message is sent once");
    assert_eq!(attempts(&setup.send(vec![setup.report(Attempt(9))])), [Some(9)], "the report is not accepted");
    assert!(setup.batcher.has_room(), "no message accumulates");
    // A worker that connects now is sent the message to leave, and an event is answered without a commit.
    let hello = Hello {
        worker: worker(8),
        description: WorkerDescription { name: "w8".to_owned(), lanes: 1, ..WorkerDescription::default() },
        numerics_version: 1,
        held: Vec::new(),
    };
    let sent = setup.take(Request::Attach { hello, stream: StreamId(5) });
    assert!(matches!(messages(&sent)[..], [ToWorker::Drain { .. }]), "{sent:?}");
    let died = Event::Died { worker: worker(8), cause: "it fell".to_owned() };
    assert_eq!(setup.event(died, "died"), [Output::Done("died")]);
}

#[test]
fn a_transaction_is_bounded_in_records_and_points() {
    let mut setup = Setup::new();
    setup.send(vec![setup.report(setup.grant.attempt)]);
    setup.begin();
    setup.send(vec![setup.report(Attempt(0))]);
    for number in 0.. {
        if !setup.batcher.has_room() {
            break;
        }
        setup.send(vec![setup.report(Attempt(100 + number))]);
    }
    // The reports are late. Each is acknowledged, and the first is a record.
    assert_eq!(setup.batcher.collecting.len(), RECORDS);
    assert!(setup.batcher.collecting.points() < POINTS);
    setup.batcher.committed(setup.world.now);
    setup.begin();
    let ToCoordinator::AttemptEnded(mut long) = setup.report(Attempt(7)) else { unreachable!() };
    long.curve = vec![long.curve[0]; POINTS];
    setup.send(vec![ToCoordinator::AttemptEnded(long)]);
    assert!(!setup.batcher.has_room());
}

#[test]
fn a_degraded_batcher_keeps_no_messages_for_ended_streams() {
    let mut setup = Setup::new();
    setup.send(vec![setup.report(setup.grant.attempt)]);
    setup.begin();
    setup.batcher.failed("full".to_owned());
    for number in 2..100 {
        setup.attach(StreamId(number), Vec::new());
        setup.take(Request::Detach { worker: worker(7), stream: StreamId(number) });
    }
    setup.attach(StreamId(100), Vec::new());
    assert_eq!(setup.batcher.collecting.len(), 1, "one welcome message");
}

#[test]
fn after_a_late_tick_workers_get_a_new_lease_time() {
    let mut setup = Setup::new();
    let deadline = setup.batcher.next_deadline().expect("a worker is connected");
    setup.world.now.tick = deadline.after_ms(LATE_MS + 1);
    setup.batcher.tick(setup.world.now);
    assert!(setup.batcher.begin().0.is_none(), "the worker is not lost");
    setup.world.now.tick = setup.batcher.next_deadline().expect("the worker is still known");
    setup.batcher.tick(setup.world.now);
    assert!(setup.batcher.begin().0.is_some(), "the worker sent no message for a lease time");
}
