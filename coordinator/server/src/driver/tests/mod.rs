//! Tests of the loop with a store that cannot always be written.

mod slow;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use biosweep_common::configuration::TrialKey;
use biosweep_common::protocol::messages::{Grant, Held, Report, WorkerDescription};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::{Outcome, SweepState};
use biosweep_common::results::views::{IncompleteCause, SweepView};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::id::new_id;
use biosweep_scheduler::record::Record;
use biosweep_scheduler::record::{
    AccessRows, AttemptRow, CurveRow, DatasetRow, OutcomeRow, Restored, RestoredSweep, SourceRow, Submission, SweepRow,
    TrialResult,
};
use biosweep_scheduler::scheduler::Timeouts;
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_store::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, ImportError, ImportedRows, References,
};
use biosweep_store::memory::Memory;
use futures::FutureExt as _;
use tokio::sync::Semaphore;

use super::*;

/// A store that can be made full, and whose commits can be held back.
#[derive(Debug)]
pub(crate) struct Flaky {
    memory: Memory,
    is_full: AtomicBool,
    /// Number of commits that have begun.
    pub begun: watch::Sender<usize>,
    /// One permit for each commit that may proceed.
    pub gate: Semaphore,
    /// Number of evaluations in the curves of each commit.
    points: Mutex<Vec<usize>>,
}

impl Default for Flaky {
    fn default() -> Self {
        let (begun, _) = watch::channel(0);
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        Self { memory: Memory::default(), is_full: AtomicBool::new(false), begun, gate, points: Mutex::default() }
    }
}

impl Flaky {
    /// Holds back all further commits; returns the counter of begun commits and its present value.
    pub(crate) fn hold(&self) -> (watch::Receiver<usize>, usize) {
        let begun = self.begun.subscribe();
        let before = *begun.borrow();
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
        (begun, before)
    }
}

fn points_of(record: &Record) -> usize {
    if let Record::Ended(ending) = record { ending.curve.len() } else { 0 }
}

#[async_trait]
impl Store for Flaky {
    async fn commit(&self, records: &[Record]) -> Result<(), StoreError> {
        self.begun.send_modify(|begun| *begun += 1);
        self.points.lock().expect("nobody panics").push(records.iter().map(points_of).sum());
        self.gate.acquire().await.expect("the gate is never closed for good").forget();
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { place: "here".to_owned(), source: "the disk is full".into() });
        }
        self.memory.commit(records).await
    }
    async fn restore(&self) -> Result<Restored, StoreError> {
        self.memory.restore().await
    }
    async fn restore_sweep(&self, id: SweepId) -> Result<Option<RestoredSweep>, StoreError> {
        self.memory.restore_sweep(id).await
    }
    async fn failures(&self, id: SweepId) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError> {
        self.memory.failures(id).await
    }
    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError> {
        self.memory.sweeps().await
    }
    async fn summaries(&self) -> Result<Vec<SweepView>, StoreError> {
        self.memory.summaries().await
    }
    async fn is_deleted(&self, id: SweepId) -> Result<bool, StoreError> {
        self.memory.is_deleted(id).await
    }
    async fn taken_over_from(&self, id: SweepId) -> Result<u64, StoreError> {
        self.memory.taken_over_from(id).await
    }
    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError> {
        self.memory.sweep(id).await
    }
    async fn datasets(&self) -> Result<Vec<DatasetRow>, StoreError> {
        self.memory.datasets().await
    }
    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError> {
        self.memory.results(id, from, limit).await
    }
    async fn outcomes(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<OutcomeRow>, StoreError> {
        self.memory.outcomes(id, from, limit).await
    }
    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError> {
        self.memory.curves(id, from, limit).await
    }
    async fn sources(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<SourceRow>, StoreError> {
        self.memory.sources(id, from, limit).await
    }
    async fn keyed(
        &self,
        least: TrialKey,
        greatest: TrialKey,
        limit: u32,
    ) -> Result<Vec<(TrialKey, TrialRef)>, StoreError> {
        self.memory.keyed(least, greatest, limit).await
    }
    async fn incomplete_attempts(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError> {
        self.memory.incomplete_attempts(id, limit).await
    }
    async fn incomplete_causes(&self, id: SweepId, limit: u32) -> Result<Vec<IncompleteCause>, StoreError> {
        self.memory.incomplete_causes(id, limit).await
    }
    async fn access(&self) -> Result<AccessRows, StoreError> {
        self.memory.access().await
    }
    async fn archived(&self, id: SweepId) -> Result<Option<ArchivedSweep>, StoreError> {
        self.memory.archived(id).await
    }
    async fn archived_leases(
        &self,
        id: SweepId,
        from: Attempt,
        limit: u32,
    ) -> Result<Vec<ArchivedLease<Attempt>>, StoreError> {
        self.memory.archived_leases(id, from, limit).await
    }
    async fn archived_attempts(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedAttempt<Attempt>)>, StoreError> {
        self.memory.archived_attempts(id, from, limit).await
    }
    async fn archived_curves(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ArchivedCurve<Attempt>>, StoreError> {
        self.memory.archived_curves(id, from, limit).await
    }
    async fn archived_late(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedLate<Attempt>)>, StoreError> {
        self.memory.archived_late(id, from, limit).await
    }
    async fn import(
        &self,
        sweep: &ArchivedSweep,
        references: &References,
        rows: ImportedRows<'_>,
    ) -> Result<(), ImportError> {
        self.memory.import(sweep, references, rows).await
    }
}

/// The text of a spec of two trials.
pub(crate) const SPEC: &str = "name = \"small\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\n\
                    rule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = [0, 1]\n";

/// The submission of a sweep of two trials.
pub(crate) fn submitted(id: SweepId) -> Event {
    submitted_spec(id, SPEC)
}

fn submitted_spec(id: SweepId, text: &str) -> Event {
    let (spec, text) = SweepSpec::parse_to_store(text.to_owned(), Format::Toml, "small").expect("a good spec");
    let submission = Box::new(Submission::new(id, &spec, text, WallTime(0)));
    Event::Submitted { submission, prepared: PreparedSpec::new(Arc::new(spec)), reused: Arc::default() }
}

/// The messages to a worker.
pub(crate) struct Inbox(Letters);

fn stream(handle: &Handle) -> (Outbox, Inbox) {
    let (outbox, letters) = outbox(Arc::new(handle.memory.session()));
    (outbox, Inbox(letters))
}

impl Inbox {
    pub(crate) async fn recv(&mut self) -> Option<ToWorker> {
        self.0.next().await
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A loop with a sweep, and a worker that holds a bundle of it.
pub(crate) async fn at_work(store: &Arc<Flaky>) -> (Handle, SweepId, Inbox, WorkerId, Grant) {
    let clock = Clock::start();
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(Timeouts::of_lease_ms(60_000), now, &Restored::default(), Vec::new());
    let (handle, _) = start(scheduler, Arc::clone(store) as Arc<dyn Store>, clock);
    let id = new_id::<SweepId>();
    handle.apply(submitted(id)).await.expect("there is room");
    let worker = new_id::<WorkerId>();
    let (outbox, mut messages) = stream(&handle);
    let description = WorkerDescription { name: "w".to_owned(), lanes: 1, ..WorkerDescription::default() };
    let hello = Hello { worker, description, numerics_version: 1, held: Vec::new() };
    handle.attach(hello, StreamId(1), outbox).await.expect("the loop lives");
    handle
        .messages_received(worker, StreamId(1), vec![ToCoordinator::Poll { lanes: 1 }])
        .await
        .expect("the loop lives");
    let grant = loop {
        if let Some(ToWorker::Grant(grant)) = messages.recv().await {
            break *grant;
        }
    };
    (handle, id, messages, worker, grant)
}

/// Lets the worker report and holds back the commit of the report; returns the counter of begun commits and its value before.
async fn hold_commit(
    store: &Flaky,
    handle: &Handle,
    worker: WorkerId,
    grant: &Grant,
) -> (watch::Receiver<usize>, usize) {
    let (mut begun, before) = store.hold();
    handle.messages_received(worker, StreamId(1), vec![report(grant)]).await.expect("the loop lives");
    begun.wait_for(|&begun| begun == before + 1).await.expect("the store lives");
    (begun, before)
}

pub(crate) fn report(grant: &Grant) -> ToCoordinator {
    let point = CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
    ToCoordinator::AttemptEnded(Box::new(Report {
        held: Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory },
        outcome: Outcome::Completed,
        cause: None,
        curve: vec![point],
        diagnostics: Vec::new(),
        updates: 1,
        seconds: 1.0,
        dataset_size: None,
        traceparent: None,
    }))
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_reported_and_nothing_is_lost() {
    let store = Arc::new(Flaky::default());
    let (handle, sweep, mut messages, worker, grant) = at_work(&store).await;
    let mut degraded = handle.degraded();
    store.is_full.store(true, Ordering::SeqCst);
    handle.messages_received(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    degraded.wait_for(Option::is_some).await.expect("the loop lives");
    let reason = degraded.borrow().clone().unwrap_or_default();
    assert!(reason.contains("the disk is full") && reason.contains("nothing is lost"), "{reason}");

    // Commands are refused, messages are applied, and queries are answered.
    assert_eq!(handle.apply(Event::Paused(sweep)).await, Err(DriverError::Degraded(reason)));
    handle
        .messages_received(worker, StreamId(1), vec![ToCoordinator::Heartbeat { progress: Vec::new() }])
        .await
        .expect("the loop lives");
    handle
        .messages_received(worker, StreamId(1), vec![ToCoordinator::Poll { lanes: 1 }])
        .await
        .expect("the loop lives");
    assert_eq!(handle.ask(|scheduler| scheduler.sweep_views().len()).await, Ok(1));
    assert!(messages.is_empty(), "nothing is acknowledged or granted");
    assert_eq!(store.results(sweep, TrialIndex(0), 9).await.expect("reads"), []);

    store.is_full.store(false, Ordering::SeqCst);
    degraded.wait_for(Option::is_none).await.expect("the loop lives");
    let acknowledged = messages.recv().await.expect("the stream is open");
    assert!(matches!(acknowledged, ToWorker::Acknowledged { accepted: true, .. }), "{acknowledged:?}");
    assert!(matches!(messages.recv().await, Some(ToWorker::Grant(_))), "the poll was applied meanwhile");
    assert_eq!(store.results(sweep, TrialIndex(0), 9).await.expect("reads").len(), 1);
    handle.apply(Event::Paused(sweep)).await.expect("there is room");
    let row = store.sweep(sweep).await.expect("reads").expect("the sweep is stored");
    assert_eq!(row.state, SweepState::Paused);
}

#[tokio::test]
async fn consecutive_acknowledgements_are_sent_as_one_message() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut messages, worker, grant) = at_work(&store).await;
    let of_another_lease = Grant { attempt: Attempt(9), ..grant.clone() };
    let reports = vec![report(&grant), report(&grant), report(&of_another_lease)];
    handle.messages_received(worker, StreamId(1), reports).await.expect("the loop lives");
    let trajectory = grant.lanes[0].trajectory;
    let (attempt, trajectories) = (grant.attempt, vec![trajectory; 2]);
    let twice = ToWorker::Acknowledged { attempt, trajectories, accepted: true };
    let (attempt, trajectories) = (Attempt(9), vec![trajectory]);
    let late = ToWorker::Acknowledged { attempt, trajectories, accepted: false };
    assert_eq!((messages.recv().await, messages.recv().await), (Some(twice), Some(late)));
}

#[tokio::test]
async fn a_decision_during_a_transaction_is_released_after_the_next() {
    let store = Arc::new(Flaky::default());
    let (handle, sweep, mut messages, worker, grant) = at_work(&store).await;
    let (mut begun, before) = hold_commit(&store, &handle, worker, &grant).await;
    handle
        .messages_received(worker, StreamId(1), vec![ToCoordinator::Poll { lanes: 1 }])
        .await
        .expect("the loop lives");
    let asking = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ask(|scheduler| scheduler.worker_views(None)[0].training.len()).await }
    });
    assert!(messages.is_empty(), "no result is acknowledged before the commit");

    store.gate.add_permits(1);
    let acknowledged = messages.recv().await.expect("the stream is open");
    assert!(matches!(acknowledged, ToWorker::Acknowledged { accepted: true, .. }), "{acknowledged:?}");
    begun.wait_for(|&begun| begun == before + 2).await.expect("the store lives");
    assert!(messages.is_empty(), "no lease is granted before the commit");
    assert!(!asking.is_finished(), "the answer includes the grant");
    assert_eq!(store.results(sweep, TrialIndex(0), 9).await.expect("reads").len(), 1);

    store.gate.add_permits(Semaphore::MAX_PERMITS - 1);
    assert!(matches!(messages.recv().await, Some(ToWorker::Grant(_))));
    assert_eq!(asking.await.expect("no panic"), Ok(1));
}

#[tokio::test]
async fn a_message_for_one_stream_is_not_sent_on_a_later_one() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut messages, worker, grant) = at_work(&store).await;
    hold_commit(&store, &handle, worker, &grant).await;
    let (outbox, mut later) = stream(&handle);
    let description = WorkerDescription { name: "w".to_owned(), lanes: 1, ..WorkerDescription::default() };
    let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: grant.lanes[0].trajectory };
    let hello = Hello { worker, description, numerics_version: 1, held: vec![held] };
    handle.attach(hello, StreamId(2), outbox).await.expect("the loop lives");
    store.gate.add_permits(Semaphore::MAX_PERMITS - 1);
    assert!(matches!(later.recv().await, Some(ToWorker::Welcome { .. })), "the first message on every stream");
    assert!(messages.recv().await.is_none(), "the earlier stream has ended");
    // The acknowledgement was lost with the earlier stream. The worker repeats the report and gets an acknowledgement.
    handle.messages_received(worker, StreamId(2), vec![report(&grant)]).await.expect("the loop lives");
    assert!(matches!(later.recv().await, Some(ToWorker::Acknowledged { accepted: true, .. })));
}

#[tokio::test]
async fn a_loop_closed_while_the_store_cannot_be_written_ends_with_an_error() {
    let store = Arc::new(Flaky::default());
    let clock = Clock::start();
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(Timeouts::of_lease_ms(60_000), now, &Restored::default(), Vec::new());
    let (handle, driver) = start(scheduler, Arc::clone(&store) as Arc<dyn Store>, clock);
    store.is_full.store(true, Ordering::SeqCst);
    let submitting = handle.clone();
    let submission = tokio::spawn(async move { submitting.apply(submitted(new_id::<SweepId>())).await });
    let mut degraded = handle.degraded();
    degraded.wait_for(Option::is_some).await.expect("the loop lives");
    handle.close().await;
    assert!(matches!(driver.await.expect("no panic"), Err(StoreError::Unavailable { .. })));
    assert_eq!(submission.await.expect("no panic"), Err(DriverError::Stopped(Stopped)), "the event was never applied");
}

/// Waits until the loop has received all messages.
async fn wait_for_empty_queues(handle: &Handle) {
    while handle.from_streams.capacity() < QUEUE || handle.control.capacity() < QUEUE {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_query_is_answered_when_its_commit_fails() {
    let store = Arc::new(Flaky::default());
    let (handle, sweep, _letters, worker, grant) = at_work(&store).await;
    let (mut begun, before) = hold_commit(&store, &handle, worker, &grant).await;
    let pausing = handle.apply(Event::Paused(sweep));
    let asking = handle.ask(|scheduler| scheduler.sweep_views().len());
    tokio::pin!(pausing, asking);
    // Both are sent, and belong to the next commit.
    assert!(pausing.as_mut().now_or_never().is_none() && asking.as_mut().now_or_never().is_none());
    wait_for_empty_queues(&handle).await;
    store.gate.add_permits(1);
    begun.wait_for(|&begun| begun == before + 2).await.expect("the store lives");
    store.is_full.store(true, Ordering::SeqCst);
    store.gate.add_permits(Semaphore::MAX_PERMITS - 1);
    assert_eq!(asking.await, Ok(1), "the answer comes from the uncommitted state");
    assert!(pausing.now_or_never().is_none(), "an event is not confirmed before the commit");
}

#[tokio::test]
async fn a_slow_commit_is_reported_and_does_not_delay_the_close() {
    let store = Arc::new(Flaky::default());
    let (handle, sweep, _letters, worker, grant) = at_work(&store).await;
    store.gate.forget_permits(Semaphore::MAX_PERMITS);
    handle.messages_received(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    let mut degraded = handle.degraded();
    let reason = degraded.wait_for(Option::is_some).await.expect("the loop lives").clone().unwrap_or_default();
    assert!(reason.contains("has not answered for"), "{reason}");
    assert_eq!(handle.ask(|scheduler| scheduler.sweep_views().len()).await, Ok(1));
    assert_eq!(handle.apply(Event::Paused(sweep)).await, Err(DriverError::Degraded(reason)));
    handle.close().await;
    // The loop ends although the store never answers. Then its receivers are dropped.
    handle.control.closed().await;
}

#[tokio::test]
async fn workers_are_drained_while_the_store_cannot_be_written() {
    let store = Arc::new(Flaky::default());
    let (handle, _, mut messages, worker, grant) = at_work(&store).await;
    store.is_full.store(true, Ordering::SeqCst);
    handle.messages_received(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    handle.degraded().wait_for(Option::is_some).await.expect("the loop lives");
    // The end of a worker's process does not wait for the store.
    let died = Event::Died { worker: new_id::<WorkerId>(), cause: "it fell".to_owned() };
    handle.apply(died).await.expect("the event needs no commit");
    handle.apply(Event::Draining { reason: "enough".to_owned() }).await.expect("the event needs no commit");
    assert!(matches!(messages.recv().await, Some(ToWorker::Drain { .. })));
    // A report is not acknowledged, and the worker gets a message not to wait.
    handle.messages_received(worker, StreamId(1), vec![report(&grant)]).await.expect("the loop lives");
    let stop = messages.recv().await;
    assert!(matches!(&stop, Some(ToWorker::Stop { attempt, .. }) if *attempt == grant.attempt), "{stop:?}");
}

#[tokio::test]
async fn a_late_report_that_the_store_refuses_does_not_end_the_loop() {
    let store = Arc::new(Flaky::default());
    let (handle, sweep, mut messages, worker, grant) = at_work(&store).await;
    let ToCoordinator::AttemptEnded(mut absurd) = report(&grant) else { unreachable!() };
    (absurd.held.attempt, absurd.held.trajectory) = (Attempt(0), TrajectoryIndex(u64::MAX));
    let late = Grant { attempt: Attempt(9), ..grant.clone() };
    let reports = vec![ToCoordinator::AttemptEnded(absurd), report(&grant), report(&late)];
    handle.messages_received(worker, StreamId(1), reports).await.expect("the loop lives");
    for attempt in [Attempt(0), grant.attempt, late.attempt] {
        let Some(ToWorker::Acknowledged { attempt: of, accepted, .. }) = messages.recv().await else {
            panic!("no acknowledgement of {attempt}");
        };
        assert_eq!((of, accepted), (attempt, attempt == grant.attempt));
    }
    assert_eq!(store.results(sweep, TrialIndex(0), 9).await.expect("reads").len(), 1);
    handle.apply(Event::Paused(sweep)).await.expect("the loop goes on");
}

#[tokio::test]
async fn any_other_record_that_the_store_refuses_ends_the_loop() {
    let store = Arc::new(Flaky::default());
    let clock = Clock::start();
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(Timeouts::of_lease_ms(60_000), now, &Restored::default(), Vec::new());
    let (handle, driver) = start(scheduler, Arc::clone(&store) as Arc<dyn Store>, clock);
    let Event::Submitted { mut submission, prepared, reused } = submitted(new_id::<SweepId>()) else { unreachable!() };
    submission.name = "a\0b".to_owned();
    let submission = handle.apply(Event::Submitted { submission, prepared, reused }).await;
    assert_eq!(submission, Err(DriverError::Stopped(Stopped)));
    assert!(matches!(driver.await.expect("no panic"), Err(StoreError::Refused { .. })));
}
