//! The agent: keeps a stream to the coordinator, feeds the session, and executes the outputs of the session.
//!
//! Training runs on its own thread and never waits for the network. Heartbeats never wait for training.

mod backoff;
mod connection;
mod garbage;
mod leaving;
mod outbox;
mod reach;
mod timers;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use biosweep_common::protocol::error::WireError;
use biosweep_common::protocol::messages::{Held, ToCoordinator, ToWorker};
use biosweep_host::traces::Traces;
use biosweep_proto::v1::coordinator_message::Message;
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};

use self::backoff::Backoff;
use self::connection::{Connection, Inbound, OpenConnection, connected, open};
use self::garbage::{GARBAGE_COLLECTION_EVERY, discard_ended};
pub use self::leaving::{LeaveOutcome, LeaveReason};
use self::leaving::{POLL_ANSWER_WAIT, idle_until};
pub use self::reach::{Reach, ReachError, Whereabouts};
use self::timers::{tick, until};
use self::traced::Traced;
use crate::checkpoint::store::{CheckpointId, CheckpointStore};
use crate::spool::Spool;
use crate::trainer::{Trainer, TrainerEvent};
use biosweep_common::protocol::session::{Input, LaneEnd, Output, Session};

/// The divisor of the grace period for a worker that has to leave sooner than planned.
const HURRIED_GRACE_DIVISOR: u32 = 5;
/// How long a worker that leaves waits for the deletion of checkpoints.
const DELETIONS: Duration = Duration::from_secs(1);

/// The error that ends a worker.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The coordinator refuses this worker for good.
    #[error("the coordinator refuses this worker: {0}")]
    Refused(String),
    /// A message of the coordinator cannot be read.
    #[error("this worker cannot serve the coordinator: {0}")]
    Unreadable(WireError),
    /// The training thread is gone.
    #[error("the training thread ended; this is a fault in the worker, please report it with its log")]
    TrainerGone,
}

/// The resources of a worker beside the network: storage and time.
#[derive(Debug)]
pub struct Resources {
    /// The spool of reports.
    pub spool: Spool,
    /// The checkpoint store.
    pub store: Option<CheckpointStore>,
    /// The grace period: how long leaving may take.
    pub grace: Duration,
    /// The time until the machine is taken away.
    pub deadline: Option<Duration>,
    /// The time without work after which the worker leaves; `None` if it waits for ever.
    pub idle_exit: Option<Duration>,
    /// Where it sends its spans.
    pub traces: Traces,
    /// The device, for its spans.
    pub device: String,
}

/// Serves the coordinator until the worker leaves.
///
/// # Errors
/// The coordinator refuses this worker for good. The worker waits for a coordinator that it cannot reach.
pub async fn serve(
    reach: Reach,
    session: Session,
    trainer: Trainer,
    resources: Resources,
    leave: mpsc::Receiver<LeaveReason>,
) -> Result<LeaveOutcome, AgentError> {
    let reach = Arc::new(reach);
    let connection = Connection::Opening(open(Arc::clone(&reach), Duration::ZERO));
    let drain_at = resources.deadline.and_then(|left| Instant::now().checked_add(left.saturating_sub(resources.grace)));
    let deletions = TaskTracker::new();
    let agent = Agent {
        traced: Traced::new(resources.traces.clone(), resources.device.clone()),
        deletions: deletions.clone(),
        reach,
        session,
        trainer,
        resources,
        drain_at,
        checkpoint_every: Duration::ZERO,
        connection,
        backoff: Backoff::new(),
        heartbeat: None,
        garbage_collection: None,
        needs_garbage_collection: false,
        is_orphaned: false,
        polled_since: None,
        left: None,
        done: false,
    };
    let left = agent.run(leave).await;
    deletions.close();
    if timeout(DELETIONS, deletions.wait()).await.is_err() {
        tracing::warn!("the checkpoint storage is slow; unneeded checkpoints may remain");
    }
    left
}

struct Agent {
    /// The deletions of unneeded checkpoints that are under way.
    deletions: TaskTracker,
    reach: Arc<Reach>,
    session: Session,
    trainer: Trainer,
    resources: Resources,
    traced: Traced,
    /// When the worker begins to leave.
    drain_at: Option<Instant>,
    checkpoint_every: Duration,
    connection: Connection,
    backoff: Backoff,
    heartbeat: Option<Interval>,
    /// The timer of garbage collection; `None` without a stream.
    garbage_collection: Option<Interval>,
    /// Whether a lane was revoked for good since the last garbage collection.
    needs_garbage_collection: bool,
    /// Whether the coordinator is gone for good, so that nothing will be acknowledged.
    is_orphaned: bool,
    /// Since when the worker polls for work without an answer; `None` without a coordinator that welcomed it.
    polled_since: Option<Instant>,
    /// Whether work is left; `None` until the worker begins to leave.
    left: Option<LeaveOutcome>,
    done: bool,
}

/// The events of the loop.
enum Event {
    Opened(OpenConnection),
    Received(ToWorker),
    Broken(Status),
    Unreadable(WireError),
    Trainer(TrainerEvent),
    HeartbeatDue,
    CollectGarbage,
    Leave(LeaveReason),
    OutOfTime,
}

impl Agent {
    async fn run(mut self, mut leave: mpsc::Receiver<LeaveReason>) -> Result<LeaveOutcome, AgentError> {
        let mut deadline: Option<Instant> = None;
        while !self.done {
            let idle_until = idle_until(self.polled_since, self.resources.idle_exit);
            let event = tokio::select! {
                event = connected(&mut self.connection, &self.reach) => event,
                trained = self.trainer.next() => Event::Trainer(trained.ok_or(AgentError::TrainerGone)?),
                () = tick(&mut self.heartbeat) => Event::HeartbeatDue,
                () = tick(&mut self.garbage_collection) => Event::CollectGarbage,
                Some(why) = leave.recv() => Event::Leave(why),
                () = until(self.drain_at), if deadline.is_none() => Event::Leave(LeaveReason::Told("time is up")),
                // A worker whose reports are not acknowledged waits for the coordinator.
                () = until(idle_until), if deadline.is_none() && self.session.holds_nothing() => {
                    Event::Leave(LeaveReason::Told("idle for the time of --idle-exit"))
                }
                () = until(deadline) => Event::OutOfTime,
            };
            match event {
                Event::Opened(opened) => {
                    self.connection = Connection::Open(opened);
                    self.apply(Input::Connected);
                }
                Event::Received(message) => {
                    // The coordinator is busy with this worker: a grant may follow.
                    self.polled_since = self.polled_since.map(|_| Instant::now());
                    if matches!(message, ToWorker::Grant(_)) && self.left.is_some() {
                        self.left = Some(LeaveOutcome::WithWork);
                    }
                    if matches!(message, ToWorker::Acknowledged { .. } | ToWorker::Grant(_)) {
                        // The coordinator processed a message: this stream does not break at every message.
                        self.backoff.proven();
                    }
                    if matches!(message, ToWorker::Welcome { .. }) {
                        tracing::info!("connected");
                        self.backoff.welcome(Instant::now());
                        self.garbage_collection = Some(tokio::time::interval(GARBAGE_COLLECTION_EVERY));
                    }
                    if let ToWorker::Drain { reason } = &message {
                        tracing::info!(reason, "asked to leave");
                        // The coordinator answered the last poll before it sent this.
                        self.record_outcome(Duration::ZERO);
                        deadline.get_or_insert(Instant::now() + self.resources.grace);
                    }
                    self.apply(Input::Received(message));
                }
                Event::Broken(status) => self.broken(&status)?,
                Event::Unreadable(error) => return Err(AgentError::Unreadable(error)),
                Event::Trainer(event) => {
                    if matches!(event, TrainerEvent::BundleDone) && std::mem::take(&mut self.needs_garbage_collection) {
                        self.garbage_collection.iter_mut().for_each(Interval::reset_immediately);
                    }
                    self.apply(event.into_input());
                }
                Event::CollectGarbage => self.collect_garbage(),
                Event::HeartbeatDue => self.apply(Input::HeartbeatDue(self.trainer.updates())),
                Event::Leave(why) => self.leave(why, &mut deadline),
                Event::OutOfTime => {
                    tracing::warn!("left before it handed back all lanes: the coordinator will notice by itself");
                    self.done = true;
                }
            }
            self.done |= self.is_orphaned && self.session.is_idle();
        }
        self.traced.close("the worker left before the attempt ended");
        let owes = !self.session.holds_nothing();
        let left = self.left.filter(|_| !owes).unwrap_or(LeaveOutcome::WithWork);
        let was_granted = self.close().await;
        Ok(if was_granted { LeaveOutcome::WithWork } else { left })
    }

    fn leave(&mut self, why: LeaveReason, deadline: &mut Option<Instant>) {
        match why {
            LeaveReason::Told(_) | LeaveReason::Orphaned if deadline.is_none() => {
                tracing::info!(%why, "leaving");
                self.is_orphaned = why == LeaveReason::Orphaned;
                self.record_outcome(POLL_ANSWER_WAIT);
                *deadline = Some(Instant::now() + self.resources.grace);
                self.apply(Input::Leave);
            }
            LeaveReason::Told(_) | LeaveReason::Orphaned => {}
            LeaveReason::Sooner => {
                let sooner = Instant::now() + self.resources.grace / HURRIED_GRACE_DIVISOR;
                *deadline = Some(deadline.map_or(sooner, |at| at.min(sooner)));
            }
            LeaveReason::AtOnce => {
                tracing::warn!("ends immediately: the coordinator will notice by itself");
                self.done = true;
            }
        }
    }

    /// Records whether work is left, when the worker begins to leave.
    fn record_outcome(&mut self, answered: Duration) {
        self.left.get_or_insert(LeaveOutcome::after(self.polled_since, answered));
    }

    /// Whether there is time for one more checkpoint interval before the worker has to leave.
    fn has_time(&self) -> bool {
        self.drain_at.is_none_or(|at| Instant::now() + self.checkpoint_every <= at)
    }

    fn apply(&mut self, input: Input) {
        self.traced.on_input(&input);
        for mut output in self.session.apply(input) {
            self.traced.on_output(&mut output);
            match output {
                Output::Send(ToCoordinator::Poll { .. }) if !self.has_time() => {
                    tracing::info!("leaving: no time is left for another checkpoint interval");
                    self.record_outcome(POLL_ANSWER_WAIT);
                    self.apply(Input::Leave);
                }
                Output::Send(message) => {
                    // Heartbeats begin with the welcome. A poll before it is repeated after it.
                    if matches!(message, ToCoordinator::Poll { .. }) && self.heartbeat.is_some() {
                        self.polled_since.get_or_insert_with(Instant::now);
                    }
                    self.send(message);
                }
                Output::Train(grant) => {
                    self.polled_since = None;
                    self.checkpoint_every = Duration::from_millis(grant.checkpoint_every_ms);
                    if self.has_time() {
                        self.trainer.train(*grant);
                        continue;
                    }
                    let (sweep, attempt) = (grant.sweep, grant.attempt);
                    tracing::info!(%sweep, %attempt, "handed back untrained: no time is left for a checkpoint interval");
                    (0..grant.lanes.len())
                        .for_each(|lane| self.apply(Input::LaneEnded { lane, end: LaneEnd::untouched() }));
                    self.apply(Input::BundleDone);
                }
                Output::Halt { lane, keep } => {
                    self.needs_garbage_collection |= !keep;
                    self.trainer.halt(lane, keep);
                }
                Output::Keep(owed) => self.resources.spool.keep(&owed),
                Output::Forget { store, held } => self.resources.spool.forget(store, held),
                Output::Discard(held) => self.discard(held),
                Output::Beat { every_ms } => {
                    let mut heartbeat = tokio::time::interval(Duration::from_millis(every_ms.max(1)));
                    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    self.heartbeat = Some(heartbeat);
                }
                Output::Reconnect => {
                    let pause = self.reopen();
                    let again_in_ms = pause.as_millis() as u64;
                    tracing::warn!(coordinator = %self.reach, again_in_ms, "another coordinator has taken over from this one");
                    return;
                }
                Output::Exit => self.done = true,
            }
        }
    }

    fn discard(&self, held: Held) {
        let Some(store) = self.resources.store.clone() else { return };
        self.deletions.spawn(async move {
            let id = CheckpointId { sweep: held.sweep, trajectory: held.trajectory };
            if let Err(error) = store.discard(id).await {
                tracing::warn!(sweep = %held.sweep, trajectory = %held.trajectory, attempt = %held.attempt, %error, "unneeded checkpoints were not deleted");
            }
        });
    }

    /// Deletes the checkpoints of sweeps that have ended. This includes trajectories that were cancelled or failed
    /// while no worker had them.
    fn collect_garbage(&self) {
        let (Some(store), Connection::Open(opened)) = (self.resources.store.clone(), &self.connection) else { return };
        let client = (*opened.client).clone();
        self.deletions.spawn(async move {
            if let Err(why) = discard_ended(&store, client).await {
                tracing::warn!(why, "unneeded checkpoints may remain");
            }
        });
    }

    /// Sends a message if the stream is up. The session repeats important messages on the next stream.
    fn send(&mut self, message: ToCoordinator) {
        if let Connection::Open(opened) = &mut self.connection {
            opened.outbox.push(message);
        }
    }

    fn broken(&mut self, status: &Status) -> Result<(), AgentError> {
        if status.code() == Code::Unauthenticated {
            self.reach.distrust();
        }
        if matches!(
            status.code(),
            Code::FailedPrecondition | Code::InvalidArgument | Code::Unimplemented | Code::PermissionDenied
        ) {
            return Err(AgentError::Refused(status.message().to_owned()));
        }
        let pause = self.reopen();
        let again_in_ms = pause.as_millis() as u64;
        tracing::warn!(coordinator = %self.reach, why = status.message(), again_in_ms, "no coordinator");
        Ok(())
    }

    /// Opens a new stream after a pause, and returns the pause.
    fn reopen(&mut self) -> Duration {
        // Jitter, so that all workers of a restarted coordinator do not connect at once.
        let pause = self.backoff.broken(Instant::now()).mul_f64(rand::rng().random_range(0.5..1.5));
        self.connection = Connection::Opening(open(Arc::clone(&self.reach), pause));
        self.heartbeat = None;
        self.garbage_collection = None;
        self.polled_since = None;
        pause
    }

    /// Sends all waiting messages. The stream ends after the coordinator has read everything. Returns whether a grant
    /// crossed with the goodbye: the coordinator then gives it to another worker.
    async fn close(self) -> bool {
        self.resources.spool.close();
        let Connection::Open(OpenConnection { mut outbox, inbound: Inbound::Streaming(mut inbound), .. }) =
            self.connection
        else {
            return false;
        };
        let mut was_granted = false;
        let drained = async {
            outbox.flush().await;
            drop(outbox);
            while let Ok(Some(message)) = inbound.message().await {
                was_granted |= matches!(message.message, Some(Message::Grant(_)));
            }
        };
        // A slower coordinator notices by itself that this worker is gone.
        drop(tokio::time::timeout(Duration::from_secs(2), drained).await);
        was_granted
    }
}
