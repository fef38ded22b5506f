//! The loop's way to the store: a store that cannot be written is waited for, one that refuses evidence goes without it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::ids::{Attempt, TrajectoryIndex};
use biosweep_common::protocol::messages::{ToCoordinator, ToWorker};
use biosweep_common::time::Tick;
use biosweep_scheduler::event::{Action, Event};
use biosweep_scheduler::record::Record;
use biosweep_store::StoreError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Batch, Driver, DriverError, Outgoing, Pending, Release, Request};

/// The first pause before a store that could not be written is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A transaction that takes longer is told of, and questions wait for it no longer.
const SLOW: Duration = Duration::from_secs(5);
/// How long the last transaction of a loop that ends may take.
const LAST: Duration = Duration::from_secs(10);
const WRITES: &str = "a store answers and does not panic";

type Writing = JoinHandle<Result<(), StoreError>>;

impl Driver {
    /// Commits, however long the store needs to be written again. Once it could not be, nothing is released and nothing
    /// new is decided until it can, so that nothing can be lost; questions are answered, and say what is wrong.
    /// The transaction of a loop that ends is not tried again.
    pub(super) async fn commit(&mut self, mut pending: Pending<'_>) -> Result<(), StoreError> {
        let mut parts = VecDeque::from([Arc::new(std::mem::take(&mut pending.batch.records))]);
        let mut pause = PAUSES.0;
        while let Some(part) = parts.front().cloned() {
            match self.write(Arc::clone(&part), &mut pending).await {
                Ok(()) => drop(parts.pop_front()),
                Err(error) if error.is_passing() => {
                    if pending.next.is_none() || self.closing {
                        return Err(error);
                    }
                    let degraded = self.tell_of(&error, &mut pending);
                    self.defer(self.clock.now().after_ms(pause.as_millis() as u64), &degraded, &mut pending).await;
                    if self.closing {
                        return Err(error);
                    }
                    pause = (2 * pause).min(PAUSES.1);
                }
                Err(error) => {
                    parts.pop_front();
                    without_evidence(&part, error)?.into_iter().rev().for_each(|part| parts.push_front(part));
                }
            }
        }
        if self.degraded.send_replace(None).is_some() {
            tracing::info!("the store is written again");
            let now = self.now();
            // It has nothing to commit: it only makes the scheduler patient.
            drop(self.scheduler.apply(now, Event::Awoke));
        }
        Ok(())
    }

    /// Tries to commit. What comes meanwhile is decided for the next transaction, or put off while the store is degraded.
    async fn write(&mut self, records: Arc<Vec<Record>>, pending: &mut Pending<'_>) -> Result<(), StoreError> {
        let store = Arc::clone(&self.store);
        // On another thread than the loop, which is busy with what comes.
        let mut writing = tokio::spawn(async move { store.commit(&records).await });
        let Some(next) = pending.next.as_deref_mut() else { return last(&mut writing).await };
        if self.degraded.borrow().is_none()
            && let Some(written) = self.decide_meanwhile(&mut writing, next).await
        {
            return written;
        }
        self.closing |= next.is_last;
        let told = self.degraded.borrow().clone();
        let slow = StoreError::Silent { seconds: SLOW.as_secs() };
        let degraded = told.unwrap_or_else(|| self.tell_of(&slow, pending));
        while !self.closing {
            let request = tokio::select! {
                biased;
                written = &mut writing => return written.expect(WRITES),
                request = self.queue.recv() => request,
            };
            self.put_off(request, &degraded, pending);
        }
        pending.next.iter_mut().for_each(|next| next.is_last = true);
        last(&mut writing).await
    }

    /// Decides what comes while a transaction is on its way to the disk; nothing where that takes long.
    async fn decide_meanwhile(&mut self, writing: &mut Writing, next: &mut Batch) -> Option<Result<(), StoreError>> {
        let slow = tokio::time::sleep(SLOW);
        tokio::pin!(slow);
        if !self.deferred.is_empty() {
            self.take_in(next);
        }
        loop {
            tokio::select! {
                biased;
                written = &mut *writing => return Some(written.expect(WRITES)),
                () = &mut slow => return None,
                request = self.queue.recv(), if next.has_room() => {
                    self.receive(request, next);
                    self.take_in(next);
                }
            }
        }
    }

    /// Tells of a store that cannot be written: in so many words. Questions that came while it was tried would wait for as
    /// long as that; they are answered.
    fn tell_of(&mut self, error: &StoreError, pending: &mut Pending<'_>) -> String {
        let degraded = format!("{error}; nothing is granted and nothing is lost until it can be written again");
        if self.degraded.send_replace(Some(degraded.clone())).is_none() {
            tracing::error!(%error, "the store cannot be written: nothing is granted until it can");
            self.let_workers_leave(pending);
        }
        pending.batches().flat_map(|batch| batch.replies.drain(..)).for_each(|reply| reply());
        degraded
    }

    /// Has workers leave that are to, though the store cannot be written: there is nothing of it to be kept. What they have
    /// reported cannot be acknowledged, and they need not wait for that: it stays on their disks.
    fn let_workers_leave(&mut self, pending: &mut Pending<'_>) {
        if !self.scheduler.is_draining() {
            return;
        }
        let mut outgoing = Outgoing::default();
        let mut send = |worker, stream, message| outgoing.entry((worker, stream)).or_default().push(message);
        for release in pending.batches().flat_map(|batch| &batch.releases) {
            let &Release::Message { worker, stream, ref message } = release else { continue };
            match message {
                ToWorker::Drain { .. } => send(worker, stream, message.clone()),
                ToWorker::Acknowledged { attempt, trajectories, .. } => {
                    send(worker, stream, not_now(*attempt, trajectories.clone()));
                }
                _ => {}
            }
        }
        for request in &self.deferred {
            if let Request::Said { worker, stream, messages } = request {
                unheard(messages).for_each(|stop| send(*worker, *stream, stop));
            }
        }
        self.send_all(outgoing);
    }

    /// Puts off what comes until then, or until the loop is closed.
    async fn defer(&mut self, until: Tick, degraded: &str, pending: &mut Pending<'_>) {
        while !self.closing {
            let left = Duration::from_millis(until.since_ms(self.clock.now()));
            let request = tokio::select! {
                request = self.queue.recv() => request,
                () = tokio::time::sleep(left) => return,
            };
            self.put_off(request, degraded, pending);
        }
    }

    /// What is done with a request while the store cannot be written. Whoever asked may not be waiting any more.
    fn put_off(&mut self, request: Option<Request>, degraded: &str, pending: &mut Pending<'_>) {
        match request {
            None | Some(Request::Close) => self.closing = true,
            Some(Request::Query(query)) => query(&self.scheduler)(),
            Some(Request::Event { event, committed }) if event.is_command() => {
                let _gone = committed.send(Err(DriverError::Degraded(degraded.to_owned())));
            }
            Some(Request::Event { event: event @ Event::Draining { .. }, committed }) => {
                let now = self.now();
                for action in self.scheduler.apply(now, event) {
                    if let Action::Send { worker, message } = action
                        && let Some(stream) = self.streams.get(&worker).map(|stream| stream.id)
                    {
                        self.send_to(worker, stream, vec![message]);
                    }
                }
                self.let_workers_leave(pending);
                let _gone = committed.send(Ok(()));
            }
            Some(Request::Event { event, committed }) => {
                // It is applied later; whoever tells of it has other things to do.
                let _gone = committed.send(Err(DriverError::Degraded(degraded.to_owned())));
                let (committed, _) = oneshot::channel();
                self.deferred.push_back(Request::Event { event, committed });
            }
            Some(Request::Said { worker, stream, mut messages }) => {
                // Only the latest of these tells anything, and it will come.
                messages.retain(|message| {
                    !matches!(message, ToCoordinator::Heartbeat { .. } | ToCoordinator::Evaluated { .. })
                });
                let stops: Vec<ToWorker> = unheard(&messages).collect();
                if self.scheduler.is_draining() && !stops.is_empty() {
                    self.send_to(worker, stream, stops);
                }
                if !messages.is_empty() {
                    self.deferred.push_back(Request::Said { worker, stream, messages });
                }
            }
            Some(other) => self.deferred.push_back(other),
        }
    }
}

/// What a worker hears of the reports among its messages, which cannot be acknowledged now.
fn unheard(messages: &[ToCoordinator]) -> impl Iterator<Item = ToWorker> {
    messages.iter().filter_map(|message| match message {
        ToCoordinator::AttemptEnded(report) => Some(not_now(report.held.attempt, vec![report.held.trajectory])),
        _ => None,
    })
}

/// What a worker hears whose reports cannot be acknowledged now.
fn not_now(attempt: Attempt, trajectories: Vec<TrajectoryIndex>) -> ToWorker {
    let reason = "the store cannot be written; the report is for a coordinator that comes after this one".to_owned();
    ToWorker::Stop { attempt, trajectories, reason }
}

/// How the last transaction of a loop ends, in the time it has.
async fn last(writing: &mut Writing) -> Result<(), StoreError> {
    match tokio::time::timeout(LAST, writing).await {
        Ok(written) => written.expect(WRITES),
        Err(_) => Err(StoreError::Silent { seconds: LAST.as_secs() }),
    }
}

/// What is to be committed in the place of records that were refused. Evidence is what a peer says of an attempt that is
/// not its own any more: nothing rests on it, and what is wrong with it is no reason to end. All else is our own.
fn without_evidence(records: &[Record], error: StoreError) -> Result<Vec<Arc<Vec<Record>>>, StoreError> {
    let is_refusal = matches!(error, StoreError::Refused { .. } | StoreError::Failed { .. });
    let (evidence, own): (Vec<_>, Vec<_>) = records.iter().cloned().partition(Record::is_evidence);
    match (evidence.as_slice(), own.as_slice()) {
        _ if !is_refusal => Err(error),
        ([], _) => Err(error),
        ([report], []) => {
            tracing::error!(%error, ?report, "a late report is not kept as evidence: the store refuses it");
            Ok(Vec::new())
        }
        _ => {
            let alone = evidence.into_iter().map(|record| vec![record]);
            let parts = [own].into_iter().filter(|own| !own.is_empty()).chain(alone);
            Ok(parts.map(Arc::new).collect())
        }
    }
}
