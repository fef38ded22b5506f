//! The worker's shell: keeps a stream to the coordinator, feeds the session, and carries out what it says.
//!
//! Training runs on its own thread and never waits for the network; heartbeats never wait for training.

mod backoff;
mod connection;
mod leaving;
mod outbox;

use std::future;
use std::time::Duration;

use biosweep_common::ids::SweepId;
use biosweep_common::protocol::bounds::ASKED_MAX;
use biosweep_common::protocol::messages::{Held, ToCoordinator, ToWorker};
use biosweep_proto::v1;
use biosweep_proto::v1::workers_client::WorkersClient;
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use self::backoff::Backoff;
use self::connection::{Connection, Inbound, OpenConnection, connected, open};
use self::leaving::POLL_ANSWER_WAIT;
pub use self::leaving::{LeaveOutcome, LeaveReason};
use crate::checkpoint::store::{CheckpointId, CheckpointStore};
use crate::spool::Spool;
use crate::trainer::{Trainer, TrainerEvent};
use biosweep_common::protocol::session::{Input, LaneEnd, Output, Session};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence on a connection after which it is probed, and how long the answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// What part of the grace period is left to a worker that has to leave sooner than it was told first.
const HURRIED_GRACE_DIVISOR: u32 = 5;
/// How often checkpoints are looked for that nobody needs any more.
const GARBAGE_COLLECTION_EVERY: Duration = Duration::from_secs(600);

/// Why a worker gives up.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The address is none.
    #[error("`{url}` is no address of a coordinator: {why}; write for example http://127.0.0.1:7465")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The coordinator will not have this worker, now or later.
    #[error("the coordinator refuses this worker: {0}")]
    Refused(String),
    /// The trainer is gone.
    #[error("the training thread ended; this is a fault in the worker, please report it with its log")]
    TrainerGone,
}

/// What outlives the worker, and how long it has to put things in order.
#[derive(Debug)]
pub struct Resources {
    /// For reports.
    pub spool: Spool,
    /// For checkpoints.
    pub store: Option<CheckpointStore>,
    /// How long leaving may take.
    pub grace: Duration,
    /// How long there is until the machine is taken away.
    pub deadline: Option<Duration>,
}

/// Serves the coordinator until told to leave.
///
/// # Errors
/// An address that is none, or a coordinator that refuses this worker for good. A coordinator that cannot be reached
/// is waited for.
pub async fn serve(
    url: &str,
    session: Session,
    trainer: Trainer,
    resources: Resources,
    leave: mpsc::Receiver<LeaveReason>,
) -> Result<LeaveOutcome, AgentError> {
    let address = |error: tonic::transport::Error| AgentError::Address { url: url.to_owned(), why: error.to_string() };
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(address)?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true);
    let connection = Connection::Opening(open(endpoint.clone(), Duration::ZERO));
    let drain_at = resources.deadline.and_then(|left| Instant::now().checked_add(left.saturating_sub(resources.grace)));
    let agent = Agent {
        endpoint,
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
    agent.run(leave).await
}

struct Agent {
    endpoint: Endpoint,
    session: Session,
    trainer: Trainer,
    resources: Resources,
    /// When it has to begin to leave.
    drain_at: Option<Instant>,
    checkpoint_every: Duration,
    connection: Connection,
    backoff: Backoff,
    heartbeat: Option<Interval>,
    /// While the stream is up.
    garbage_collection: Option<Interval>,
    /// Whether a lane was taken back for good since checkpoints were last looked for.
    needs_garbage_collection: bool,
    /// Whether nobody will acknowledge anything any more.
    is_orphaned: bool,
    /// Since when it has polled_since for work without being given any.
    polled_since: Option<Instant>,
    /// Known once it is leaving.
    left: Option<LeaveOutcome>,
    done: bool,
}

/// What the loop wakes for.
enum Event {
    Opened(OpenConnection),
    Received(ToWorker),
    Broken(Status),
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
            let event = tokio::select! {
                event = connected(&mut self.connection) => event,
                trained = self.trainer.next() => Event::Trainer(trained.ok_or(AgentError::TrainerGone)?),
                () = tick(&mut self.heartbeat) => Event::HeartbeatDue,
                () = tick(&mut self.garbage_collection) => Event::CollectGarbage,
                Some(why) = leave.recv() => Event::Leave(why),
                () = until(self.drain_at), if deadline.is_none() => Event::Leave(LeaveReason::Told("time is up")),
                () = until(deadline) => Event::OutOfTime,
            };
            match event {
                Event::Opened(opened) => {
                    self.connection = Connection::Open(opened);
                    self.apply(Input::Connected);
                }
                Event::Received(message) => {
                    if matches!(message, ToWorker::Acknowledged { .. } | ToWorker::Grant(_)) {
                        // What was said was taken in: this is not a stream that breaks of it, again and again.
                        self.backoff.proven();
                    }
                    if matches!(message, ToWorker::Welcome { .. }) {
                        tracing::info!("connected");
                        self.backoff.welcome(Instant::now());
                        self.garbage_collection = Some(tokio::time::interval(GARBAGE_COLLECTION_EVERY));
                    }
                    if let ToWorker::Drain { reason } = &message {
                        tracing::info!(reason, "asked to leave");
                        // What it polled_since for before was answered before.
                        self.record_outcome(Duration::ZERO);
                        deadline.get_or_insert(Instant::now() + self.resources.grace);
                    }
                    self.apply(Input::Heard(message));
                }
                Event::Broken(status) => self.broken(&status)?,
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
                    tracing::warn!("left without handing back everything: the coordinator will notice by itself");
                    self.done = true;
                }
            }
            self.done |= self.is_orphaned && self.session.is_idle();
        }
        let owes = !self.session.holds_nothing();
        let left = self.left.filter(|_| !owes).unwrap_or(LeaveOutcome::WithWork);
        self.close().await;
        Ok(left)
    }

    fn leave(&mut self, why: LeaveReason, deadline: &mut Option<Instant>) {
        match why {
            LeaveReason::Told(_) | LeaveReason::Alone if deadline.is_none() => {
                tracing::info!(?why, "leaving");
                self.is_orphaned = why == LeaveReason::Alone;
                self.record_outcome(POLL_ANSWER_WAIT);
                *deadline = Some(Instant::now() + self.resources.grace);
                self.apply(Input::Leave);
            }
            LeaveReason::Told(_) | LeaveReason::Alone => {}
            LeaveReason::Sooner => {
                let sooner = Instant::now() + self.resources.grace / HURRIED_GRACE_DIVISOR;
                *deadline = Some(deadline.map_or(sooner, |at| at.min(sooner)));
            }
            LeaveReason::AtOnce => {
                tracing::warn!("ends at once: the coordinator will notice by itself");
                self.done = true;
            }
        }
    }

    /// Notes whether there is work left, at the moment when the worker begins to leave.
    fn record_outcome(&mut self, answered: Duration) {
        self.left.get_or_insert(LeaveOutcome::after(self.polled_since, answered));
    }

    /// Whether there is time left for a checkpoint at least before it has to leave.
    fn has_time(&self) -> bool {
        self.drain_at.is_none_or(|at| Instant::now() + self.checkpoint_every <= at)
    }

    fn apply(&mut self, input: Input) {
        for output in self.session.apply(input) {
            match output {
                Output::Send(ToCoordinator::Poll { .. }) if !self.has_time() => {
                    tracing::info!("leaving: no time is left for another checkpoint interval");
                    self.record_outcome(POLL_ANSWER_WAIT);
                    self.apply(Input::Leave);
                }
                Output::Send(message) => {
                    if matches!(message, ToCoordinator::Poll { .. }) {
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
                    tracing::info!("handed back untouched: no time is left for a checkpoint interval");
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
                Output::Exit => self.done = true,
            }
        }
    }

    fn discard(&self, held: Held) {
        let Some(store) = self.resources.store.clone() else { return };
        tokio::spawn(async move {
            let id = CheckpointId { sweep: held.sweep, trajectory: held.trajectory };
            if let Err(error) = store.discard(id).await {
                tracing::warn!(trajectory = %held.trajectory, %error, "checkpoints that nobody needs any more stay");
            }
        });
    }

    /// Lets go of the checkpoints of sweeps that have ended. Those of a trajectory that was cancelled or failed are nobody
    /// else's to let go of: it may have been in nobody's hands.
    fn collect_garbage(&self) {
        let (Some(store), Connection::Open(opened)) = (self.resources.store.clone(), &self.connection) else { return };
        let client = opened.client.clone();
        tokio::spawn(async move {
            if let Err(why) = discard_ended(&store, client).await {
                tracing::warn!(why, "checkpoints that nobody needs any more may stay");
            }
        });
    }

    /// Sends where the stream is up; what must not be lost the session says again on the next one.
    fn send(&mut self, message: ToCoordinator) {
        if let Connection::Open(opened) = &mut self.connection {
            opened.outbox.push(message);
        }
    }

    fn broken(&mut self, status: &Status) -> Result<(), AgentError> {
        if matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument | Code::Unimplemented) {
            return Err(AgentError::Refused(status.message().to_owned()));
        }
        let pause = self.reopen();
        let (url, again_in_ms) = (self.endpoint.uri(), pause.as_millis() as u64);
        tracing::warn!(%url, why = status.message(), again_in_ms, "no coordinator");
        Ok(())
    }

    /// Opens a stream anew, after a pause: how long that is.
    fn reopen(&mut self) -> Duration {
        // Spread out, so that the workers of a coordinator that comes back do not all come at once.
        let pause = self.backoff.broken(Instant::now()).mul_f64(rand::rng().random_range(0.5..1.5));
        self.connection = Connection::Opening(open(self.endpoint.clone(), pause));
        self.heartbeat = None;
        self.garbage_collection = None;
        self.polled_since = None;
        pause
    }

    /// Lets what was said last reach the coordinator: the stream ends when it has read everything.
    async fn close(self) {
        self.resources.spool.close();
        let Connection::Open(OpenConnection { mut outbox, inbound: Inbound::Streaming(mut inbound), .. }) =
            self.connection
        else {
            return;
        };
        let drained = async {
            outbox.flush().await;
            drop(outbox);
            while let Ok(Some(_)) = inbound.message().await {}
        };
        // A coordinator that takes longer notices by itself that this worker is gone.
        drop(tokio::time::timeout(Duration::from_secs(2), drained).await);
    }
}

async fn discard_ended(store: &CheckpointStore, mut client: WorkersClient<Channel>) -> Result<(), String> {
    let kept = store.sweeps().await.map_err(|error| error.to_string())?;
    if kept.is_empty() {
        return Ok(());
    }
    for some in kept.chunks(ASKED_MAX) {
        let sweeps = some.iter().map(SweepId::to_string).collect();
        let ended = match client.which_ended(v1::WhichEndedRequest { sweeps }).await {
            Ok(ended) => ended.into_inner().sweeps,
            Err(status) => return Err(status.message().to_owned()),
        };
        for &sweep in some.iter().filter(|sweep| ended.contains(&sweep.to_string())) {
            store.discard_all(sweep).await.map_err(|error| error.to_string())?;
            tracing::info!(%sweep, "let go of the checkpoints of a sweep that has ended");
        }
    }
    Ok(())
}

async fn tick(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(heartbeat) => drop(heartbeat.tick().await),
        None => future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => future::pending().await,
    }
}
