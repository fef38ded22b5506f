//! The service for workers: one bidirectional session each.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::bounds::{ASKED_MAX, shown};
use biosweep_common::protocol::messages::{Hello, ToCoordinator, ToWorker};
use biosweep_common::protocol::reports::ReportReader;
use biosweep_common::protocol::wire::IntoWire;
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};
use biosweep_proto::v1;
use biosweep_proto::v1::workers_server::Workers;
use futures::future::Fuse;
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Response, Status, Streaming};

use super::{stopped, store_failed, unreadable};
use crate::access::registry::{Caller, Registry};
use crate::commands::Commands;
use crate::driver::{Handle, Letters, MemoryShare, StreamId, outbox};

/// Approximate maximum of messages of a worker that are passed to the loop at once, and of their bytes.
const AT_ONCE: (usize, usize) = (1_024, 2 << 20);
/// The time limit for the hello of a stream.
const HELLO_WAIT: Duration = Duration::from_secs(10);
/// The time in which a worker may read its last messages, after the loop has closed its stream.
const LAST_READ: Duration = Duration::from_secs(10);
/// Bytes by which the messages of a worker change before the change is counted.
const GRAIN: usize = 64 << 10;

pub(super) struct Service {
    commands: Commands,
    /// Who may call; `None` if everybody may.
    registry: Option<Arc<Registry>>,
    streams: AtomicU64,
}

impl Service {
    pub(super) const fn new(commands: Commands, registry: Option<Arc<Registry>>) -> Self {
        Self { commands, registry, streams: AtomicU64::new(0) }
    }
}

#[tonic::async_trait]
impl Workers for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<v1::CoordinatorMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        let share = Arc::new(self.commands.handle.memory.session());
        let (messages, reader) = (request.into_inner(), ReportReader::default());
        let mut inbound = Inbound { messages, reader, share: Arc::clone(&share), counted: 0 };
        let hello = inbound.hello().await?;
        if let (Some(Caller::Owner), Some(registry)) = (&caller, &self.registry) {
            registry.note_owned(hello.worker);
        }
        if let Some(Caller::Worker { worker, .. }) = caller
            && worker != hello.worker
        {
            return Err(Status::permission_denied(format!(
                "the certificate is that of the worker {worker}, but the hello says {}",
                hello.worker
            )));
        }
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let (outbox, letters) = outbox(Arc::clone(&share));
        let (worker, handle) = (hello.worker, self.commands.handle.clone());
        tracing::info!(%worker, name = hello.description.name, "a worker's stream opens");
        self.commands.reuse_results_of_class(&hello.description).await.map_err(stopped)?;
        handle.attach(hello, stream, outbox).await.map_err(stopped)?;
        let closed = CancellationToken::new();
        let (cut, why_cut) = oneshot::channel();
        let outgoing = Outgoing {
            letters: letters.clone(),
            cut: why_cut.fuse(),
            is_cut: false,
            _guard: closed.clone().drop_guard(),
        };
        // The task ends the session, because nothing polls the outgoing stream of a worker that reads nothing.
        self.commands.tasks.spawn(async move {
            let end = tokio::select! {
                // The loop also closes the stream of a worker that does not read.
                biased;
                () = share.ended() => End::Full,
                end = forward(&mut inbound, &handle, worker, stream) => end,
                // The outgoing stream is dropped: the worker has left.
                () = closed.cancelled() => End::Gone("the connection closed".to_owned()),
                () = letters.closed() => End::Gone("the loop has closed it".to_owned()),
            };
            drop(inbound);
            match end {
                End::Gone(end) => tracing::info!(%worker, end, "a worker's stream ends"),
                End::Cut(why) => {
                    tracing::warn!(%worker, why = why.message(), "a worker is disconnected because of an invalid message");
                    // The stream may be gone already.
                    let _gone = cut.send(why);
                }
                End::Full => {
                    let why = "the worker's messages take too much memory: it does not read its own, or its report is not complete";
                    tracing::warn!(%worker, why, "a worker is disconnected");
                    // The worker may connect again.
                    let _gone = cut.send(Status::resource_exhausted(why));
                    letters.discard();
                }
            }
            let _stopped = handle.detach(worker, stream).await;
            let _read = tokio::time::timeout(LAST_READ, closed.cancelled()).await;
            letters.discard();
        });
        let letters = stream::unfold(outgoing, Outgoing::next);
        Ok(Response::new(Box::pin(letters.map(|letter| letter.map(ToWorker::into_wire)))))
    }

    async fn which_ended(
        &self,
        request: Request<v1::WhichEndedRequest>,
    ) -> Result<Response<v1::WhichEndedResponse>, Status> {
        let (sweeps, mut ended) = (request.into_inner().sweeps, Vec::new());
        let store = &self.commands.handle.store;
        if sweeps.len() > ASKED_MAX {
            let why = format!("the request has {} sweeps, but the maximum is {ASKED_MAX}", sweeps.len());
            return Err(Status::invalid_argument(why));
        }
        for sweep in sweeps {
            let id: SweepId =
                sweep.parse().map_err(|_| Status::invalid_argument(format!("`{}` is not an id", shown(&sweep))))?;
            let known = store.sweep(id).await.map_err(store_failed)?;
            let is_over = match known {
                Some(row) => row.state.has_ended(),
                None => store.is_deleted(id).await.map_err(store_failed)?,
            };
            if is_over {
                ended.push(sweep);
            }
        }
        Ok(Response::new(v1::WhichEndedResponse { sweeps: ended }))
    }
}

/// The messages of a worker.
struct Inbound {
    messages: Streaming<v1::WorkerMessage>,
    reader: ReportReader,
    /// Where the bytes of an unfinished report, and of messages that the loop has not taken, are counted.
    share: Arc<MemoryShare>,
    /// The counted bytes.
    counted: usize,
}

/// Why a worker's stream ended.
enum End {
    /// The worker or the connection is gone.
    Gone(String),
    /// The worker sent an invalid message; it is disconnected with this status.
    Cut(Status),
    /// What the worker sent, or does not read, takes too much memory.
    Full,
}

impl Inbound {
    /// The first message, which must be the hello of a worker with this numerics version.
    async fn hello(&mut self) -> Result<Hello, Status> {
        let first = tokio::time::timeout(HELLO_WAIT, self.messages.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("the stream began without a hello"))??;
        let first = first.ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))?;
        let Some(ToCoordinator::Hello(hello)) = self.reader.read(first).map_err(|error| unreadable(&error))? else {
            return Err(Status::invalid_argument("the first message of a stream must be a hello"));
        };
        if hello.numerics_version != NUMERICS_VERSION {
            return Err(Status::failed_precondition(format!(
                "the worker {} has numerics version {}, but the coordinator has {NUMERICS_VERSION}; start a worker of the \
                 coordinator's version, {}",
                hello.description.name,
                hello.numerics_version,
                env!("CARGO_PKG_VERSION"),
            )));
        }
        Ok(hello)
    }

    /// Waits for messages and takes all that have arrived, up to the end of the stream.
    async fn next(&mut self) -> (Vec<ToCoordinator>, Option<End>) {
        let (mut received, mut bytes) = (Vec::new(), 0);
        let mut come = self.messages.next().await;
        loop {
            let end = match come {
                None => End::Gone("the worker is done".to_owned()),
                // The message is larger than the maximum and was not read.
                Some(Err(status)) if status.code() == Code::OutOfRange => {
                    End::Cut(Status::invalid_argument(status.message()))
                }
                Some(Err(status)) => End::Gone(status.to_string()),
                Some(Ok(message)) => match self.reader.read(message) {
                    Err(error) => End::Cut(unreadable(&error)),
                    Ok(Some(ToCoordinator::Hello(_))) => End::Cut(Status::invalid_argument("a second hello")),
                    Ok(message) => {
                        bytes += message.as_ref().map_or(0, ToCoordinator::bytes);
                        received.extend(message);
                        self.count(bytes);
                        if received.len() >= AT_ONCE.0 || bytes >= AT_ONCE.1 {
                            return (received, None);
                        }
                        match self.messages.next().now_or_never() {
                            Some(next) => come = next,
                            None if received.is_empty() => come = self.messages.next().await,
                            None => return (received, None),
                        }
                        continue;
                    }
                },
            };
            return (received, Some(end));
        }
    }
}

impl Inbound {
    /// Counts the bytes of the unfinished report and of messages that the loop has not taken.
    fn count(&mut self, waiting: usize) {
        let bytes = waiting + self.reader.bytes();
        if bytes.abs_diff(self.counted) < GRAIN {
            return;
        }
        if bytes > self.counted {
            self.share.hold(bytes - self.counted);
        } else {
            self.share.free(self.counted - bytes);
        }
        self.counted = bytes;
    }
}

/// Passes the worker's messages to the loop, all that have arrived at once. So the loop wakes up less often and writes
/// more at a time.
async fn forward(inbound: &mut Inbound, handle: &Handle, worker: WorkerId, stream: StreamId) -> End {
    loop {
        let (messages, end) = inbound.next().await;
        if !messages.is_empty()
            && let Err(error) = handle.messages_received(worker, stream, messages).await
        {
            return End::Gone(error.to_string());
        }
        inbound.count(0);
        if let Some(end) = end {
            return end;
        }
    }
}

/// The messages to a worker and, if it is disconnected, the reason.
struct Outgoing {
    letters: Letters,
    cut: Fuse<oneshot::Receiver<Status>>,
    /// Whether the reason was returned.
    is_cut: bool,
    _guard: DropGuard,
}

impl Outgoing {
    async fn next(mut self) -> Option<(Result<ToWorker, Status>, Self)> {
        if self.is_cut {
            return None;
        }
        tokio::select! {
            // The worker still receives the messages of earlier decisions.
            biased;
            letter = self.letters.next() => match letter {
                Some(letter) => Some((Ok(letter), self)),
                // The reason is sent before the loop drops the outbox.
                None => {
                    let why = (&mut self.cut).now_or_never()?.ok()?;
                    self.is_cut = true;
                    Some((Err(why), self))
                }
            },
            Ok(why) = &mut self.cut => {
                self.is_cut = true;
                Some((Err(why), self))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::SessionMemory;

    #[tokio::test]
    async fn a_disconnected_worker_receives_the_reason_even_if_the_loop_dropped_its_outbox() {
        let (outbox, letters) = outbox(Arc::new(SessionMemory::default().session()));
        let (cut, why_cut) = oneshot::channel();
        let _guard = CancellationToken::new().drop_guard();
        let outgoing = Outgoing { letters, cut: why_cut.fuse(), is_cut: false, _guard };
        let drain = ToWorker::Drain { reason: "enough".to_owned() };
        outbox.add(vec![drain.clone()]).expect("there is room");
        cut.send(Status::invalid_argument("too many lanes")).expect("it is listened to");
        drop(outbox);
        let received: Vec<_> = stream::unfold(outgoing, Outgoing::next).collect().await;
        assert!(
            matches!(&received[..], [Ok(first), Err(why)] if *first == drain && why.message() == "too many lanes"),
            "{received:?}"
        );
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_outbox_is_dropped() {
        let (outbox, letters) = outbox(Arc::new(SessionMemory::default().session()));
        let (_cut, why_cut) = oneshot::channel();
        let _guard = CancellationToken::new().drop_guard();
        let outgoing = Outgoing { letters, cut: why_cut.fuse(), is_cut: false, _guard };
        drop(outbox);
        assert_eq!(stream::unfold(outgoing, Outgoing::next).count().await, 0);
    }
}
