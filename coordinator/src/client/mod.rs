//! The connection of a command to a coordinator: one that listens somewhere, or one inside the command.

mod answers;

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use biosweep_common::configuration::Point;
use biosweep_common::protocol::error::WireError;
use biosweep_common::protocol::pieces::{Curves, SWEEPS_MESSAGE_BYTES_MAX, show_of_pieces, trained_of_pieces};
use biosweep_common::protocol::wire::{FromWire, IntoWire};
use biosweep_common::results::views::{
    CurveView, ResultView, SpecView, SweepStatus, SweepView, TrainedView, WorkerView,
};
use biosweep_common::spec::Format;
use biosweep_common::vocabulary::ids::StoreId;
use biosweep_host::limits;
use biosweep_proto::v1;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_server::grpc::transport::Transport;
use biosweep_server::host::{Announcement, EphemeralHost, Found, HostError};
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use answers::all;
pub(crate) use answers::{Answers, CurveAnswers};

/// Keepalive of connections: seconds of silence until a ping, and seconds until an unanswered ping ends the connection.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// Why there is no answer from a coordinator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The coordinator cannot be reached.
    #[error("cannot reach the coordinator at {url}: {why}; is `biosweep serve` running there?")]
    Unreachable {
        /// Its address.
        url: String,
        /// The error of the transport.
        why: String,
    },
    /// The coordinator refused the request, with this reason.
    #[error("{0}")]
    Refused(String),
    /// The coordinator failed.
    #[error("the coordinator failed: {0}")]
    Failed(String),
    /// The connection was lost before the answer.
    #[error("the connection was lost: {0}; try again, and check that `biosweep serve` listens at this address")]
    Broken(String),
    /// The coordinator cannot do this now: its store cannot be written, or it is stopping.
    #[error("the coordinator cannot do this now: {0}")]
    Unavailable(String),
    /// The answer cannot be read.
    #[error("the coordinator's answer cannot be read: {0}")]
    Unreadable(#[from] WireError),
    /// The command could not start its own coordinator.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl ClientError {
    /// The reason, if the coordinator may be available again later.
    pub(crate) fn passing(&self) -> Option<&str> {
        match self {
            Self::Unreachable { why, .. } | Self::Broken(why) | Self::Unavailable(why) => Some(why),
            Self::Refused(_) | Self::Failed(_) | Self::Unreadable(_) | Self::Host(_) => None,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        // A status with a cause was created on this side, not by the coordinator.
        if status.source().is_some() {
            return Self::Broken(message);
        }
        match status.code() {
            Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::OutOfRange => {
                Self::Refused(message)
            }
            Code::Unavailable => Self::Unavailable(message),
            _ => Self::Failed(message),
        }
    }
}

/// The coordinator that a command uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// The one that listens at this address.
    Url(&'a str),
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
            Target::Home { .. } | Target::Url(_) => false,
        }
    }
}

/// Pause between two attempts to reach a coordinator that is gone.
const PAUSE: Duration = Duration::from_secs(1);

/// A connection to a coordinator.
pub(crate) struct Client {
    sweeps: SweepsClient<Transport>,
    /// The coordinator inside the command; `None` for a separate one.
    hosted: Option<EphemeralHost>,
    /// The address of the coordinator that holds the home and did not answer.
    silent: Option<String>,
}

impl Client {
    /// Finds the coordinator and connects, for requests that change something.
    pub(crate) async fn connect(target: Target<'_>) -> Result<Self, ClientError> {
        match target {
            Target::Url(url) => Self::reach(url).await,
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
            Target::Url(url) => return Self::reach(url).await,
            Target::Home { home, store } => (home, store),
        };
        let announced = Announcement::read(home);
        let mut silent = None;
        if store.is_none() {
            match announced {
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
        Self::reach_store(&announced.url(), Some(announced.store)).await
    }

    fn hosting(moment: EphemeralHost) -> Self {
        Self { sweeps: sweeps_client(moment.way()), hosted: Some(moment), silent: None }
    }

    /// Tries until a coordinator that is gone is available again, at whatever address.
    pub(crate) async fn wait_for(target: Target<'_>) -> Self {
        loop {
            tokio::time::sleep(PAUSE).await;
            let found = match target {
                Target::Url(url) => Self::reach(url).await.ok(),
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

    /// Connects to the coordinator at this address.
    pub(crate) async fn reach(url: &str) -> Result<Self, ClientError> {
        Self::reach_store(url, None).await
    }

    /// The same for a certain store: another coordinator that got the address later does not answer.
    async fn reach_store(url: &str, store: Option<StoreId>) -> Result<Self, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { url: url.to_owned(), why };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| unreachable(error.to_string()))?;
        let host = endpoint.uri().host().unwrap_or_default();
        limits::can_look_up(host).map_err(|error| unreachable(error.to_string()))?;
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(|error| unreachable(root_cause(&error)))?;
        Ok(Self { sweeps: sweeps_client(Transport::there(channel, store)), hosted: None, silent: None })
    }

    /// Closes the connection, and the coordinator inside the command.
    pub(crate) async fn close(self) -> Result<(), ClientError> {
        drop(self.sweeps);
        match self.hosted {
            Some(moment) => Ok(moment.stop().await?),
            None => Ok(()),
        }
    }

    /// Whether the coordinator is inside the command and ends with it.
    pub(crate) fn is_hosted(&self) -> bool {
        self.hosted.is_some()
    }

    /// The address of the coordinator that holds the home and did not answer, so that the answers come from the store.
    pub(crate) fn silent(&self) -> Option<&str> {
        self.silent.as_deref()
    }

    /// Submits a sweep; also returns whether an equal one was found.
    pub(crate) async fn submit(
        &mut self,
        spec: String,
        format: Format,
        origin: String,
        fresh: bool,
    ) -> Result<(SweepView, bool), ClientError> {
        let request = v1::SubmitRequest { spec, format: format.into_wire(), origin, fresh };
        let response = self.sweeps.submit(request).await?.into_inner();
        Ok((sweep(response.sweep)?, response.found))
    }

    /// The number of trials of a sweep whose results would be reused.
    pub(crate) async fn plan(&mut self, spec: String, format: Format, origin: String) -> Result<u64, ClientError> {
        let request = v1::PlanRequest { spec, format: format.into_wire(), origin };
        Ok(self.sweeps.plan(request).await?.into_inner().reused)
    }

    /// Adds trials to a sweep; also returns the number of new ones.
    pub(crate) async fn extend(
        &mut self,
        name: &str,
        spec: String,
        format: Format,
        origin: String,
    ) -> Result<(SweepView, u64), ClientError> {
        let request = v1::ExtendRequest { sweep: name.to_owned(), spec, format: format.into_wire(), origin };
        let response = self.sweeps.extend(request).await?.into_inner();
        Ok((sweep(response.sweep)?, response.added))
    }

    /// A trial by its sweep and number, or by the start of its key, with the results and curve of its trajectory.
    pub(crate) async fn trained(&mut self, trial: &str) -> Result<TrainedView, ClientError> {
        let request = v1::TrainedRequest { trial: trial.to_owned() };
        Ok(trained_of_pieces(all(self.sweeps.trained(request).await?.into_inner()).await?)?)
    }

    /// Every sweep, oldest first.
    pub(crate) async fn list(&mut self) -> Result<Vec<SweepView>, ClientError> {
        let pieces = all(self.sweeps.list(v1::ListRequest {}).await?.into_inner()).await?;
        Ok(Vec::from_wire(pieces.into_iter().flat_map(|piece| piece.sweeps).collect::<Vec<_>>())?)
    }

    /// One sweep.
    pub(crate) async fn show(&mut self, name: &str) -> Result<SweepStatus, ClientError> {
        let request = v1::ShowRequest { sweep: name.to_owned() };
        Ok(show_of_pieces(all(self.sweeps.show(request).await?.into_inner()).await?)?)
    }

    /// The text of a sweep's spec, with its extensions.
    pub(crate) async fn spec(&mut self, name: &str) -> Result<SpecView, ClientError> {
        let request = v1::SpecRequest { sweep: name.to_owned() };
        Ok(SpecView::from_wire(all(self.sweeps.spec(request).await?.into_inner()).await?)?)
    }

    /// Follows a sweep.
    pub(crate) async fn watch(&mut self, name: &str) -> Result<Answers<v1::WatchEvent>, ClientError> {
        let request = v1::WatchRequest { sweep: name.to_owned() };
        Ok(Answers(self.sweeps.watch(request).await?.into_inner()))
    }

    /// Cancels a sweep.
    pub(crate) async fn cancel(&mut self, name: &str) -> Result<SweepView, ClientError> {
        let request = v1::CancelRequest { sweep: name.to_owned() };
        sweep(self.sweeps.cancel(request).await?.into_inner().sweep)
    }

    /// Pauses a sweep: its trials are returned, and nothing more is granted.
    pub(crate) async fn pause(&mut self, name: &str) -> Result<SweepView, ClientError> {
        let request = v1::PauseRequest { sweep: name.to_owned() };
        sweep(self.sweeps.pause(request).await?.into_inner().sweep)
    }

    /// Resumes a paused sweep.
    pub(crate) async fn resume(&mut self, name: &str) -> Result<SweepView, ClientError> {
        let request = v1::ResumeRequest { sweep: name.to_owned() };
        sweep(self.sweeps.resume(request).await?.into_inner().sweep)
    }

    /// Retries failed trials with these settings; also returns their number.
    pub(crate) async fn retry(&mut self, name: &str, settings: Point) -> Result<(SweepView, u64), ClientError> {
        let request = v1::RetryRequest { sweep: name.to_owned(), r#where: settings.into_wire() };
        let response = self.sweeps.retry(request).await?.into_inner();
        Ok((sweep(response.sweep)?, response.trials))
    }

    /// Deletes a sweep, or with `dry_run` only checks that it can be deleted. Returns the sweep before its deletion,
    /// and the number of trials of other sweeps that were reused from it.
    pub(crate) async fn delete(&mut self, name: &str, dry_run: bool) -> Result<(SweepView, u64), ClientError> {
        let request = v1::DeleteRequest { sweep: name.to_owned(), dry_run };
        let response = self.sweeps.delete(request).await?.into_inner();
        Ok((sweep(response.sweep)?, response.taken_over))
    }

    /// Every worker.
    pub(crate) async fn workers(&mut self) -> Result<Vec<WorkerView>, ClientError> {
        let pieces = all(self.sweeps.list_workers(v1::ListWorkersRequest {}).await?.into_inner()).await?;
        Ok(Vec::from_wire(pieces.into_iter().flat_map(|piece| piece.workers).collect::<Vec<_>>())?)
    }

    /// Releases a worker from quarantine.
    pub(crate) async fn release(&mut self, name: &str) -> Result<WorkerView, ClientError> {
        let request = v1::ReleaseWorkerRequest { worker: name.to_owned() };
        let worker = self.sweeps.release_worker(request).await?.into_inner().worker;
        Ok(WorkerView::from_wire(worker.ok_or(WireError::Missing { field: "worker" })?)?)
    }

    /// The results so far, in the order of trials.
    pub(crate) async fn results(&mut self, name: &str) -> Result<Vec<ResultView>, ClientError> {
        let mut pages = self.each_result(name).await?;
        let mut results = Vec::new();
        while let Some(page) = pages.next().await? {
            results.extend(page);
        }
        Ok(results)
    }

    /// The same in parts, because all results may need more memory than there is.
    pub(crate) async fn each_result(&mut self, name: &str) -> Result<Answers<v1::ResultsResponse>, ClientError> {
        let request = v1::ResultsRequest { sweep: name.to_owned() };
        Ok(Answers(self.sweeps.results(request).await?.into_inner()))
    }

    /// The learning curves so far, in the order of trajectories.
    pub(crate) async fn curves(&mut self, name: &str) -> Result<Vec<CurveView>, ClientError> {
        let mut answers = self.each_curve(name).await?;
        let mut curves = Vec::new();
        while let Some(curve) = answers.next().await? {
            curves.push(curve);
        }
        Ok(curves)
    }

    /// The same, one after another.
    pub(crate) async fn each_curve(&mut self, name: &str) -> Result<CurveAnswers, ClientError> {
        let request = v1::CurvesRequest { sweep: name.to_owned() };
        let pieces = self.sweeps.curves(request).await?.into_inner();
        Ok(CurveAnswers { pieces, together: Curves::default() })
    }
}

fn sweeps_client(way: Transport) -> SweepsClient<Transport> {
    SweepsClient::new(way)
        .max_decoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
}

fn sweep(message: Option<v1::Sweep>) -> Result<SweepView, ClientError> {
    let message = message.ok_or(WireError::Missing { field: "sweep" })?;
    Ok(SweepView::from_wire(message)?)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
