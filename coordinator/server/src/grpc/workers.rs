//! The service for workers: one bidirectional session each.

use std::future;
use std::pin::Pin;
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
use futures::future::{Either, Fuse};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Response, Status, Streaming};

use super::{stopped, store_failed, unreadable};
use crate::access::registry::Caller;
use crate::commands::Commands;
use crate::driver::{Handle, OUTBOX, StreamId};

/// Approximate maximum of messages of a worker that are passed to the loop at once, and of points of reports in them.
const AT_ONCE: (usize, usize) = (1_024, 65_536);
/// The time limit for the hello of a stream.
const HELLO_WAIT: Duration = Duration::from_secs(10);

pub(super) struct Service {
    commands: Commands,
    streams: AtomicU64,
}

impl Service {
    pub(super) const fn new(commands: Commands) -> Self {
        Self { commands, streams: AtomicU64::new(0) }
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
        let mut inbound = Inbound { messages: request.into_inner(), reader: ReportReader::default() };
        let hello = inbound.hello().await?;
        if let Some(Caller::Worker { worker, .. }) = caller
            && worker != hello.worker
        {
            return Err(Status::permission_denied(format!(
                "the certificate is that of the worker {worker}, but the hello says {}",
                hello.worker
            )));
        }
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let (outbox, letters) = mpsc::channel(OUTBOX);
        let (worker, handle) = (hello.worker, self.commands.handle.clone());
        tracing::info!(%worker, name = hello.description.name, "a worker's stream opens");
        self.commands.reuse_results_of_class(&hello.description).await.map_err(stopped)?;
        handle.attach(hello, stream, outbox).await.map_err(stopped)?;
        // The task ends when either direction ends: the guard is dropped with the outgoing stream, when the worker has
        // left or when the loop has dropped its outbox.
        let closed = CancellationToken::new();
        let (cut, why_cut) = oneshot::channel();
        let outgoing = Outgoing { letters, cut: why_cut.fuse(), _guard: closed.clone().drop_guard() };
        self.commands.tasks.spawn(async move {
            let end = tokio::select! {
                end = forward(&mut inbound, &handle, worker, stream) => end,
                () = closed.cancelled() => End::Gone("the connection closed".to_owned()),
            };
            match end {
                End::Gone(end) => tracing::info!(%worker, end, "a worker's stream ends"),
                End::Cut(why) => {
                    tracing::warn!(%worker, why = why.message(), "a worker is disconnected because of an invalid message");
                    // The stream may be gone already.
                    let _gone = cut.send(why);
                }
            }
            let _stopped = handle.detach(worker, stream).await;
        });
        Ok(Response::new(Box::pin(stream::unfold(outgoing, Outgoing::next).flat_map(|letters| match letters {
            Ok(messages) => Either::Left(stream::iter(messages).map(|message| Ok(message.into_wire()))),
            Err(why) => Either::Right(stream::once(future::ready(Err(why)))),
        }))))
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
}

/// Why a worker's stream ended.
enum End {
    /// The worker or the connection is gone.
    Gone(String),
    /// The worker sent an invalid message; it is disconnected with this status.
    Cut(Status),
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
        let (mut received, mut points) = (Vec::new(), 0);
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
                        points += message.as_ref().map_or(0, ToCoordinator::points);
                        received.extend(message);
                        if received.len() >= AT_ONCE.0 || points >= AT_ONCE.1 {
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
        if let Some(end) = end {
            return end;
        }
    }
}

/// The messages to a worker and, if it is disconnected, the reason.
struct Outgoing {
    letters: mpsc::Receiver<Vec<ToWorker>>,
    cut: Fuse<oneshot::Receiver<Status>>,
    _guard: DropGuard,
}

impl Outgoing {
    async fn next(mut self) -> Option<(Result<Vec<ToWorker>, Status>, Self)> {
        tokio::select! {
            // The worker still receives the messages of earlier decisions.
            biased;
            letters = self.letters.recv() => match letters {
                Some(letters) => Some((Ok(letters), self)),
                // The reason is sent before the loop drops the outbox.
                None => (&mut self.cut).now_or_never()?.ok().map(|why| (Err(why), self)),
            },
            Ok(why) = &mut self.cut => {
                self.letters.close();
                Some((Err(why), self))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disconnected_worker_receives_the_reason_even_if_the_loop_dropped_its_outbox() {
        let (outbox, letters) = mpsc::channel(1);
        let (cut, why_cut) = oneshot::channel();
        let outgoing = Outgoing { letters, cut: why_cut.fuse(), _guard: CancellationToken::new().drop_guard() };
        outbox.send(Vec::new()).await.expect("there is room");
        cut.send(Status::invalid_argument("too many lanes")).expect("it is listened to");
        drop(outbox);
        let received: Vec<_> = stream::unfold(outgoing, Outgoing::next).collect().await;
        assert!(matches!(&received[..], [Ok(_), Err(why)] if why.message() == "too many lanes"), "{received:?}");
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_outbox_is_dropped() {
        let (outbox, letters) = mpsc::channel(1);
        let (_cut, why_cut) = oneshot::channel();
        let outgoing = Outgoing { letters, cut: why_cut.fuse(), _guard: CancellationToken::new().drop_guard() };
        drop(outbox);
        assert_eq!(stream::unfold(outgoing, Outgoing::next).count().await, 0);
    }
}
