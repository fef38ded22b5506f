//! How a command finds its coordinator and connects to it.

use std::path::Path;
use std::time::Duration;

use biosweep_common::protocol::pieces::SWEEPS_MESSAGE_BYTES_MAX;
use biosweep_connection::dial::{Dialer, leads_to_another_user, root_cause};
use biosweep_connection::file::ConnectionFile;
use biosweep_host::resources::limits;
use biosweep_proto::v1::access_client::AccessClient;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_server::grpc::identity;
use biosweep_server::grpc::transport::Transport;
use biosweep_server::host::{Announcement, EphemeralHost, Found, HostError};
use tonic::transport::Endpoint;

use super::Client;
use super::error::ClientError;

/// Keepalive of connections: seconds of silence until a ping, and seconds until an unanswered ping ends the connection.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// Pause between two attempts to reach a coordinator that is gone.
const PAUSE: Duration = Duration::from_secs(1);

/// The coordinator that a command uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// The one that this connection file describes.
    At(&'a ConnectionFile),
    /// The one that serves this home, otherwise one inside the command.
    Home {
        /// The home.
        home: &'a Path,
        /// The address of the store; `None` for a file in the home.
        store: Option<&'a str>,
    },
}

impl Target<'_> {
    /// Whether the home has never had a sweep and has no coordinator.
    pub(crate) fn is_void(&self) -> bool {
        match *self {
            Target::Home { home, store: None } => !biosweep_store::is_in(home) && Announcement::read(home).is_none(),
            Target::Home { .. } | Target::At(_) => false,
        }
    }
}

impl Client {
    /// Finds the coordinator and connects, for requests that change something.
    pub(crate) async fn connect(target: Target<'_>) -> Result<Self, ClientError> {
        match target {
            Target::At(connection) => Self::reach(connection).await,
            Target::Home { home, store: None }
                if !biosweep_store::is_in(home)
                    && let Some(announced) = Announcement::read(home) =>
            {
                Self::keeping_elsewhere(home, announced).await
            }
            Target::Home { home, store } => match EphemeralHost::start_or_find(home, store).await? {
                Found::Here(moment) => Ok(Self::hosting(moment)),
                Found::There(announced) => Self::announced(announced).await,
            },
        }
    }

    /// Finds the coordinator and connects, for requests that only read. If none serves the home, the answers come from
    /// the store. This changes nothing in the store, which may be read-only.
    pub(crate) async fn connect_to_read(target: Target<'_>) -> Result<Self, ClientError> {
        let (home, store) = match target {
            Target::At(connection) => return Self::reach(connection).await,
            Target::Home { home, store } => (home, store),
        };
        let mut announced = Announcement::read(home);
        let mut silent = None;
        if store.is_none() {
            match announced.take() {
                Some(announced) if !biosweep_store::is_in(home) => {
                    return Self::keeping_elsewhere(home, announced).await;
                }
                Some(announced) if biosweep_store::is_held(home) => {
                    if announced.is_true().await {
                        return Self::announced(announced).await;
                    }
                    // The holder may have released the home a moment ago.
                    silent = biosweep_store::is_held(home).then(|| announced.url());
                }
                _ => {}
            }
        }
        let opened = biosweep_store::open_to_read(home, store).await.map_err(HostError::from)?;
        if store.is_some()
            && let Some(announced) = announced
            && opened.id().await.map_err(HostError::from)? == Some(announced.store)
            && announced.is_true().await
        {
            opened.close().await;
            return Self::announced(announced).await;
        }
        Ok(Self { silent, ..Self::hosting(EphemeralHost::reading(opened)) })
    }

    /// Connects to the coordinator of a home whose store is elsewhere.
    async fn keeping_elsewhere(home: &Path, announced: Announcement) -> Result<Self, ClientError> {
        if announced.is_true().await {
            return Self::announced(announced).await;
        }
        Err(HostError::Gone { home: home.to_owned(), url: announced.url() }.into())
    }

    async fn announced(announced: Announcement) -> Result<Self, ClientError> {
        Self::reach(&announced.connection).await
    }

    fn hosting(moment: EphemeralHost) -> Self {
        Self {
            access: access_client(moment.way()),
            sweeps: sweeps_client(moment.way()),
            hosted: Some(moment),
            silent: None,
        }
    }

    /// Tries until a coordinator that is gone is available again, at whatever address.
    pub(crate) async fn wait_for(target: Target<'_>) -> Self {
        loop {
            tokio::time::sleep(PAUSE).await;
            let found = match target {
                Target::At(connection) => Self::reach(connection).await.ok(),
                Target::Home { home, .. } => match Announcement::read(home) {
                    Some(announced) if announced.is_true().await => Self::announced(announced).await.ok(),
                    _ => None,
                },
            };
            if let Some(client) = found {
                return client;
            }
        }
    }

    /// Connects to the coordinator that a connection file describes: to the first address that answers. If the file is for a certain
    /// store, another coordinator that got the address later does not answer.
    pub(crate) async fn reach(connection: &ConnectionFile) -> Result<Self, ClientError> {
        let mut last = ClientError::NoAddress;
        for url in &connection.addresses {
            match Self::reach_address(url, connection).await {
                Err(error @ ClientError::Unreachable { .. }) => last = error,
                reached => return reached,
            }
        }
        Err(last)
    }

    async fn reach_address(url: &str, connection: &ConnectionFile) -> Result<Self, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { url: url.to_owned(), why };
        let dialer = Dialer::new(url, connection, None)?;
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| unreachable(error.to_string()))?;
        let host = endpoint.uri().host().unwrap_or_default();
        limits::can_look_up(host).map_err(|error| unreachable(error.to_string()))?;
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true);
        let channel = dialer.connect(&endpoint).await.map_err(|error| match leads_to_another_user(&error) {
            true => ClientError::AnotherUser { url: url.to_owned() },
            false => unreachable(root_cause(&error)),
        })?;
        if connection.addresses.len() > 1 && !identity::is_serving(channel.clone()).await {
            return Err(unreachable("this coordinator stands by".to_owned()));
        }
        let way = Transport::there(channel, connection.store, connection.token.as_ref());
        Ok(Self { access: access_client(way.clone()), sweeps: sweeps_client(way), hosted: None, silent: None })
    }
}

fn sweeps_client(way: Transport) -> SweepsClient<Transport> {
    SweepsClient::new(way)
        .max_decoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
}

fn access_client(way: Transport) -> AccessClient<Transport> {
    AccessClient::new(way)
        .max_decoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
}
