//! The connection to the coordinator, from the first attempt to the end of its stream.

use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::protocol::bounds::{TO_COORDINATOR_BYTES_MAX, TO_WORKER_BYTES_MAX};
use biosweep_common::protocol::messages::ToWorker;
use biosweep_common::protocol::wire::FromWire as _;
use biosweep_proto::v1;
use biosweep_proto::v1::workers_client::WorkersClient;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::Event;
use super::outbox::Outbox;
use super::reach::{Carrier, Reach, Reached, Renewal};

/// ```text
/// Opening ──opened──▶ Open ──broken──▶ Opening, after a pause
/// ```
pub(super) enum Connection {
    Opening(Pin<Box<dyn Future<Output = Result<OpenConnection, Status>> + Send>>),
    Open(OpenConnection),
}

pub(super) struct OpenConnection {
    pub(super) client: Box<WorkersClient<Carrier>>,
    /// How its certificate stays valid.
    renewal: Box<Renewal>,
    pub(super) outbox: Box<Outbox>,
    /// The coordinator's stream, which begins after the coordinator reads the hello.
    pub(super) inbound: Inbound,
}

pub(super) enum Inbound {
    Awaited(Pin<Box<dyn Future<Output = Result<Streaming<v1::CoordinatorMessage>, Status>> + Send>>),
    Streaming(Box<Streaming<v1::CoordinatorMessage>>),
}

/// Waits for the connection to open, or for the next event on it.
pub(super) async fn connected(connection: &mut Connection, reach: &Reach) -> Event {
    match connection {
        Connection::Opening(opening) => match opening.await {
            Ok(opened) => Event::Opened(opened),
            Err(status) => Event::Broken(status),
        },
        Connection::Open(OpenConnection { outbox, inbound, renewal, .. }) => tokio::select! {
            event = inbound.next() => event,
            never = outbox.drain() => match never {},
            never = reach.renew(renewal) => match never {},
        },
    }
}

impl Inbound {
    async fn next(&mut self) -> Event {
        if let Self::Awaited(answer) = self {
            match answer.await {
                Ok(streaming) => *self = Self::Streaming(Box::new(streaming)),
                Err(status) => return Event::Broken(status),
            }
        }
        let Self::Streaming(streaming) = self else { return future::pending().await };
        match streaming.message().await {
            Ok(Some(message)) => match ToWorker::from_wire(message) {
                Ok(message) => Event::Received(message),
                Err(error) => Event::Unreadable(error),
            },
            Ok(None) => Event::Broken(Status::unavailable("the coordinator closed the stream")),
            Err(status) => Event::Broken(status),
        }
    }
}

pub(super) fn open(
    reach: Arc<Reach>,
    pause: Duration,
) -> Pin<Box<dyn Future<Output = Result<OpenConnection, Status>> + Send>> {
    Box::pin(async move {
        tokio::time::sleep(pause).await;
        let Reached { carrier, renewal } = reach.open().await?;
        let (outbox, messages) = Outbox::new();
        let client = WorkersClient::new(carrier)
            .max_decoding_message_size(TO_WORKER_BYTES_MAX)
            .max_encoding_message_size(TO_COORDINATOR_BYTES_MAX);
        let mut session = client.clone();
        let answer = async move { Ok(session.session(ReceiverStream::new(messages)).await?.into_inner()) };
        Ok(OpenConnection {
            client: Box::new(client),
            renewal: Box::new(renewal),
            outbox,
            inbound: Inbound::Awaited(Box::pin(answer)),
        })
    })
}
