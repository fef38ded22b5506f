//! The service for people: sweeps, what is asked of them, their results and curves; workers, and their release.

use std::pin::Pin;

use biosweep_common::configuration::Point;
use biosweep_common::ids::{SweepId, TrajectoryIndex, TrialIndex};
use biosweep_common::outcome::SweepState;
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::views::{CurveView, ResultView, SweepStatus, SweepView, WatchEvent};
use biosweep_common::wire::{FromWire, IntoWire};
use biosweep_proto::v1;
use biosweep_proto::v1::sweeps_server::Sweeps;
use futures::Stream;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{stopped, store_failed, unable, unreadable};
use crate::core::event::Event;
use crate::driver::Handle;
use crate::extend::{self, ExtendError};
use crate::queries::{self, Elsewhere, QueryError};
use crate::retry::{self, RetryError};
use crate::reuse::{self, Wanted};
use crate::submit::{self, SubmitError};
use crate::watch;

/// Rows read from the store at a time.
const PAGE: u32 = 1_000;

pub(super) struct Service {
    handle: Handle,
    /// Held while a submission looks for its equal, or a retry for what failed, so that two at once do not both act.
    deciding: Mutex<()>,
}

impl Service {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, deciding: Mutex::new(()) }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Sweeps for Service {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        let v1::SubmitRequest { spec, format, origin, fresh } = request.into_inner();
        let (parsed, format) = parse(&spec, &format, &origin)?;
        let _one_at_a_time = self.deciding.lock().await;
        let submitted = submit::submit(&self.handle, parsed, spec, format, fresh).await.map_err(submit_failed)?;
        let sweep = Some(self.status(submitted.id).await?.sweep.into_wire());
        Ok(Response::new(v1::SubmitResponse { sweep, found: submitted.found }))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Result<Response<v1::PlanResponse>, Status> {
        let v1::PlanRequest { spec, format, origin } = request.into_inner();
        let (parsed, _) = parse(&spec, &format, &origin)?;
        let rows = reuse::find(self.handle.store.as_ref(), &parsed, Wanted::From(TrajectoryIndex(0)))
            .await
            .map_err(store_failed)?;
        Ok(Response::new(v1::PlanResponse { reused: rows.iter().map(|row| row.results.len() as u64).sum() }))
    }

    async fn extend(&self, request: Request<v1::ExtendRequest>) -> Result<Response<v1::ExtendResponse>, Status> {
        let v1::ExtendRequest { sweep, spec, format, origin } = request.into_inner();
        let (parsed, format) = parse(&spec, &format, &origin)?;
        let id = self.resolve(&sweep).await?;
        let _one_at_a_time = self.deciding.lock().await;
        let added = extend::extend(&self.handle, id, &parsed, spec, format).await.map_err(extend_failed)?;
        let sweep = self.status(id).await?.sweep;
        Ok(Response::new(v1::ExtendResponse { sweep: Some(sweep.into_wire()), added }))
    }

    async fn trained(&self, request: Request<v1::TrainedRequest>) -> Result<Response<v1::TrainedResponse>, Status> {
        let trained = queries::trained(&self.handle, &request.into_inner().trial).await.map_err(query_failed)?;
        Ok(Response::new(trained.into_wire()))
    }

    async fn list(&self, _request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let sweeps = queries::list(&self.handle).await.map_err(query_failed)?;
        Ok(Response::new(v1::ListResponse { sweeps: sweeps.into_wire() }))
    }

    async fn show(&self, request: Request<v1::ShowRequest>) -> Result<Response<v1::ShowResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep).await?;
        Ok(Response::new(self.status(id).await?.into_wire()))
    }

    type WatchStream = Answers<v1::WatchEvent>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let id = self.resolve(&request.into_inner().sweep).await?;
        let handle = self.handle.clone();
        Ok(stream(16, async move |out: Out<v1::WatchEvent>| {
            let emit = move |event: WatchEvent| {
                let out = out.clone();
                async move { out.send(Ok(event.into_wire())).await.is_ok() }
            };
            watch::watch(&handle, id, emit).await.map_err(query_failed)
        }))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::CancelResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep).await?;
        let sweep = self.change(id, Event::Cancelled(id), "cancel", &[SweepState::Cancelled]).await?;
        Ok(Response::new(v1::CancelResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Result<Response<v1::PauseResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep).await?;
        let sweep = self.change(id, Event::Paused(id), "pause", &[SweepState::Paused]).await?;
        Ok(Response::new(v1::PauseResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Result<Response<v1::ResumeResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep).await?;
        let sweep = self.change(id, Event::Resumed(id), "resume", &[SweepState::Running]).await?;
        Ok(Response::new(v1::ResumeResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let v1::RetryRequest { sweep, r#where } = request.into_inner();
        let settings = Point::from_wire(r#where).map_err(|error| unreadable(&error))?;
        let id = self.resolve(&sweep).await?;
        let _one_at_a_time = self.deciding.lock().await;
        let retried = retry::retry(&self.handle, id, &settings).await.map_err(retry_failed)?;
        let sweep = self.status(id).await?.sweep;
        Ok(Response::new(v1::RetryResponse { sweep: Some(sweep.into_wire()), trials: retried }))
    }

    async fn list_workers(
        &self,
        _request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let workers = queries::workers(&self.handle).await.map_err(query_failed)?;
        Ok(Response::new(v1::ListWorkersResponse { workers: workers.into_wire() }))
    }

    async fn release_worker(
        &self,
        request: Request<v1::ReleaseWorkerRequest>,
    ) -> Result<Response<v1::ReleaseWorkerResponse>, Status> {
        let name = request.into_inner().worker;
        let worker = queries::worker(&self.handle, &name).await.map_err(query_failed)?;
        self.handle.apply(Event::Released(worker.id)).await.map_err(unable)?;
        let worker = queries::worker(&self.handle, &name).await.map_err(query_failed)?;
        Ok(Response::new(v1::ReleaseWorkerResponse { worker: Some(worker.into_wire()) }))
    }

    type ResultsStream = Answers<v1::ResultsResponse>;

    async fn results(&self, request: Request<v1::ResultsRequest>) -> Result<Response<Self::ResultsStream>, Status> {
        let (id, spec) = self.spec(&request.into_inner().sweep).await?;
        let store = self.handle.store.clone();
        Ok(stream(2, async move |out: Out<v1::ResultsResponse>| {
            let mut from = TrialIndex(0);
            loop {
                let rows = store.results(id, from, PAGE).await.map_err(store_failed)?;
                let Some(last) = rows.last() else { return Ok(()) };
                from = TrialIndex(last.trial.0 + 1);
                let results: Option<Vec<ResultView>> =
                    rows.into_iter().map(|row| queries::result_view(&spec, row)).collect();
                let results = results.ok_or_else(|| outside(id))?;
                if out.send(Ok(v1::ResultsResponse { results: results.into_wire() })).await.is_err() {
                    return Ok(());
                }
            }
        }))
    }

    type CurvesStream = Answers<v1::CurvesResponse>;

    async fn curves(&self, request: Request<v1::CurvesRequest>) -> Result<Response<Self::CurvesStream>, Status> {
        let (id, spec) = self.spec(&request.into_inner().sweep).await?;
        let store = self.handle.store.clone();
        Ok(stream(64, async move |out: Out<v1::CurvesResponse>| {
            let mut from = 0;
            loop {
                let rows = store.curves(id, from, PAGE).await.map_err(store_failed)?;
                let Some(last) = rows.last() else { return Ok(()) };
                from = last.trajectory.0 + 1;
                for row in rows {
                    let curve: CurveView = queries::curve_view(&spec, row).ok_or_else(|| outside(id))?;
                    if out.send(Ok(curve.into_wire())).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }))
    }
}

impl Service {
    async fn resolve(&self, name: &str) -> Result<SweepId, Status> {
        queries::resolve(&self.handle, name).await.map_err(query_failed)
    }

    /// Asks for a change of a sweep; the sweep, where it is now in one of these states.
    async fn change(
        &self,
        id: SweepId,
        event: Event,
        verb: &'static str,
        states: &[SweepState],
    ) -> Result<SweepView, Status> {
        self.handle.apply(event).await.map_err(unable)?;
        let sweep = self.status(id).await?.sweep;
        if states.contains(&sweep.state) {
            return Ok(sweep);
        }
        Err(Status::failed_precondition(match sweep.state {
            SweepState::Finished => format!("sweep {id} has finished; there is nothing to {verb}"),
            SweepState::Cancelled => format!("sweep {id} was cancelled; there is nothing to {verb}"),
            SweepState::Running | SweepState::Paused => Elsewhere { id, verb }.to_string(),
        }))
    }

    async fn status(&self, id: SweepId) -> Result<SweepStatus, Status> {
        queries::status(&self.handle, id).await.map_err(query_failed)
    }

    async fn spec(&self, name: &str) -> Result<(SweepId, SweepSpec), Status> {
        let id = self.resolve(name).await?;
        let spec = queries::spec(&self.handle, id).await.map_err(query_failed)?;
        Ok((id, spec))
    }
}

/// What a submitted text means.
fn parse(text: &str, format: &str, origin: &str) -> Result<(SweepSpec, Format), Status> {
    let known = Format::from_name(format)
        .ok_or_else(|| Status::invalid_argument(format!("unknown format `{format}`; known: toml, yaml, json")))?;
    let parsed =
        SweepSpec::parse(text, known, origin).map_err(|errors| Status::invalid_argument(errors.to_string()))?;
    if let Some(own) = parsed.grid.datasets().iter().find(|dataset| dataset.is_unpinned()) {
        let why = format!("`{own}` comes without the digest of its files; submit it with `biosweep submit`");
        return Err(Status::invalid_argument(why));
    }
    Ok((parsed, known))
}

type Out<T> = mpsc::Sender<Result<T, Status>>;

/// Answers with what `produce` sends, and with its error last where it has one.
fn stream<T, F, Produce>(buffer: usize, produce: Produce) -> Response<Answers<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Status>> + Send,
    Produce: FnOnce(Out<T>) -> F + Send + 'static,
{
    let (out, answers) = mpsc::channel(buffer);
    // Ends with the stream: its sends fail once the reader is gone.
    tokio::spawn(async move {
        if let Err(status) = produce(out.clone()).await {
            drop(out.send(Err(status)).await);
        }
    });
    Response::new(Box::pin(ReceiverStream::new(answers)))
}

fn outside(id: SweepId) -> Status {
    Status::data_loss(format!("the store holds results outside the grid of sweep {id}; it is damaged"))
}

fn query_failed(error: QueryError) -> Status {
    match error {
        QueryError::Unknown { .. }
        | QueryError::UnknownWorker { .. }
        | QueryError::UnknownTrial { .. }
        | QueryError::Ambiguous { .. } => Status::not_found(error.to_string()),
        QueryError::Stopped(error) => stopped(error),
        QueryError::Store(error) => store_failed(error),
        QueryError::Spec { .. } => Status::data_loss(error.to_string()),
    }
}

fn retry_failed(error: RetryError) -> Status {
    match error {
        RetryError::Query(error) => query_failed(error),
        RetryError::Unable(error) => unable(error),
        RetryError::Cancelled { .. } | RetryError::None { .. } | RetryError::Elsewhere(_) => {
            Status::failed_precondition(error.to_string())
        }
    }
}

fn extend_failed(error: ExtendError) -> Status {
    match error {
        ExtendError::Query(error) => query_failed(error),
        ExtendError::Unable(error) => unable(error),
        ExtendError::Extension(_) => Status::invalid_argument(error.to_string()),
        ExtendError::Cancelled { .. } | ExtendError::Elsewhere(_) => Status::failed_precondition(error.to_string()),
    }
}

fn submit_failed(error: SubmitError) -> Status {
    match error {
        SubmitError::Unable(error) => unable(error),
        SubmitError::Store(error) => store_failed(error),
    }
}
