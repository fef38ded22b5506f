//! The service for workers: one session each, both ways.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::messages::{Hello, ToCoordinator};
use biosweep_common::wire::{FromWire, IntoWire};
use biosweep_proto::v1;
use biosweep_proto::v1::workers_server::Workers;
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{stopped, store_failed, unreadable};
use crate::driver::{Handle, OUTBOX, StreamId};

/// Messages of a worker that are handed in at once.
const AT_ONCE: usize = 1_024;

pub(super) struct Service {
    handle: Handle,
    streams: AtomicU64,
}

impl Service {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, streams: AtomicU64::new(0) }
    }
}

#[tonic::async_trait]
impl Workers for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<v1::CoordinatorMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut inbound = request.into_inner();
        let hello = first_hello(&mut inbound).await?;
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let (outbox, letters) = mpsc::channel(OUTBOX);
        let (worker, handle) = (hello.worker, self.handle.clone());
        tracing::info!(%worker, name = hello.description.name, "a worker's stream opens");
        handle.attach(hello, stream, outbox).await.map_err(stopped)?;
        // The task ends when either direction does: the guard falls with the outgoing stream, be it that the worker
        // went away or that the loop let go of its outbox.
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        tokio::spawn(async move {
            let end = tokio::select! {
                end = forward(&mut inbound, &handle, worker, stream) => end,
                () = closed.cancelled() => "the connection closed".to_owned(),
            };
            tracing::info!(%worker, end, "a worker's stream ends");
            let _stopped = handle.detach(worker, stream).await;
        });
        let letters = ReceiverStream::new(letters).flat_map(futures::stream::iter).map(move |message| {
            let _held = &guard;
            Ok(message.into_wire())
        });
        Ok(Response::new(Box::pin(letters)))
    }

    async fn which_ended(
        &self,
        request: Request<v1::WhichEndedRequest>,
    ) -> Result<Response<v1::WhichEndedResponse>, Status> {
        let mut ended = Vec::new();
        for sweep in request.into_inner().sweeps {
            let id: SweepId = sweep.parse().map_err(|_| Status::invalid_argument(format!("`{sweep}` is no id")))?;
            let known = self.handle.store.sweep(id).await.map_err(store_failed)?;
            let is_over = match known {
                Some(row) => row.state.has_ended(),
                None => self.handle.store.is_deleted(id).await.map_err(store_failed)?,
            };
            if is_over {
                ended.push(sweep);
            }
        }
        Ok(Response::new(v1::WhichEndedResponse { sweeps: ended }))
    }
}

async fn first_hello(inbound: &mut Streaming<v1::WorkerMessage>) -> Result<Hello, Status> {
    let first = inbound.message().await?.ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))?;
    let ToCoordinator::Hello(hello) = ToCoordinator::from_wire(first).map_err(|error| unreadable(&error))? else {
        return Err(Status::invalid_argument("the first message of a stream must be a hello"));
    };
    if hello.numerics_version != NUMERICS_VERSION {
        return Err(Status::failed_precondition(format!(
            "the worker {} computes by numerics version {}, this sweep by {NUMERICS_VERSION}; start a worker of the \
             coordinator's version, {}",
            hello.description.name,
            hello.numerics_version,
            env!("CARGO_PKG_VERSION"),
        )));
    }
    Ok(hello)
}

/// Hands in what the worker says, all that has come at once: the loop is woken less often, and writes more at a time.
async fn forward(
    inbound: &mut Streaming<v1::WorkerMessage>,
    handle: &Handle,
    worker: WorkerId,
    stream: StreamId,
) -> String {
    let mut inbound = inbound.ready_chunks(AT_ONCE);
    while let Some(come) = inbound.next().await {
        let (messages, end) = read(come);
        if !messages.is_empty()
            && let Err(error) = handle.said(worker, stream, messages).await
        {
            return error.to_string();
        }
        if let Some(end) = end {
            return end;
        }
    }
    "the worker is done".to_owned()
}

/// The messages up to the first that cannot be read, and what is wrong with that.
fn read(come: Vec<Result<v1::WorkerMessage, Status>>) -> (Vec<ToCoordinator>, Option<String>) {
    let mut messages = Vec::with_capacity(come.len());
    for message in come {
        let read = message.map_err(|status| status.to_string());
        match read.and_then(|message| ToCoordinator::from_wire(message).map_err(|error| error.to_string())) {
            Ok(message) => messages.push(message),
            Err(end) => return (messages, Some(end)),
        }
    }
    (messages, None)
}
