//! The gRPC service for users: commands and queries about sweeps, results, curves and workers.

mod reader;

use std::pin::Pin;

use biosweep_common::configuration::Point;
use biosweep_common::protocol::bounds::{asked, reason, shown};
use biosweep_common::protocol::pieces::{curve_pieces, pieces, show_pieces, trained_pieces};
use biosweep_common::protocol::wire::{FromWire, IntoWire, spec_format};
use biosweep_common::results::views::{CurveView, SweepStatus, WatchEvent};
use biosweep_common::spec::{SpecErrors, SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, TrialIndex};
use biosweep_proto::v1;
use biosweep_proto::v1::sweeps_server::Sweeps;
use biosweep_scheduler::record::CurveRow;
use futures::Stream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use self::reader::Reader;
use super::{command_failed, stopped, store_failed, unreadable};
use crate::commands::reuse::{self, Wanted};
use crate::commands::{
    Commands, DeleteError, Deletion, ExtendError, NoteError, RetryError, StateError, SubmitError, prepare,
};
use crate::driver::Handle;
use crate::queries::watch;
use crate::queries::{self, Deleted, Lookup, QueryError};

/// Number of rows that are read from the store at once.
const PAGE: u32 = 1_000;
/// Number of curve points that are read from the store at once, approximately.
const POINTS: usize = 250_000;

#[derive(Clone)]
pub(super) struct Service {
    handle: Handle,
    commands: Commands,
}

impl Service {
    pub(super) fn new(commands: Commands) -> Self {
        Self { handle: commands.handle.clone(), commands }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Sweeps for Service {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        let v1::SubmitRequest { spec, format, origin, fresh } = request.into_inner();
        let (spec, text) = parse(spec, format, origin).await?;
        let submitted = self.commands.submit(spec, text, fresh).await.map_err(submit_failed)?;
        let sweep = Some(self.status(submitted.id).await?.sweep.into_wire());
        Ok(Response::new(v1::SubmitResponse { sweep, found: submitted.found }))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Result<Response<v1::PlanResponse>, Status> {
        let v1::PlanRequest { spec, format, origin } = request.into_inner();
        let (spec, _) = parse(spec, format, origin).await?;
        let prepared = prepare(spec).await;
        let all = Wanted::From(TrajectoryIndex(0));
        let rows = reuse::find_now(&self.handle, &prepared, all).await.map_err(query_failed)?;
        Ok(Response::new(v1::PlanResponse { reused: rows.iter().map(|row| row.results.len() as u64).sum() }))
    }

    async fn extend(&self, request: Request<v1::ExtendRequest>) -> Result<Response<v1::ExtendResponse>, Status> {
        let v1::ExtendRequest { sweep, spec, format, origin } = request.into_inner();
        let (spec, text) = parse(spec, format, origin).await?;
        let id = self.resolve(&sweep, Lookup::Change).await?;
        let added = self.commands.extend(id, spec, text).await.map_err(extend_failed)?;
        let sweep = self.status(id).await?.sweep;
        Ok(Response::new(v1::ExtendResponse { sweep: Some(sweep.into_wire()), added }))
    }

    type TrainedStream = Answers<v1::TrainedResponse>;

    async fn trained(&self, request: Request<v1::TrainedRequest>) -> Result<Response<Self::TrainedStream>, Status> {
        let reader = Reader::of(&request);
        let trial = request.into_inner().trial;
        let trial = asked(&trial).map_err(|error| unreadable(&error))?;
        let turn = reader.turn().await;
        let trained = queries::trained(&self.handle, trial).await.map_err(query_failed)?;
        Ok(in_pieces(turn.during(trained_pieces(trained))))
    }

    type ListStream = Answers<v1::ListResponse>;

    async fn list(&self, _request: Request<v1::ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let sweeps = queries::list(&self.handle).await.map_err(query_failed)?;
        let answers = pieces(sweeps.into_wire()).map(|sweeps| v1::ListResponse { sweeps });
        Ok(in_pieces(answers))
    }

    type ShowStream = Answers<v1::ShowResponse>;

    async fn show(&self, request: Request<v1::ShowRequest>) -> Result<Response<Self::ShowStream>, Status> {
        let id = self.resolve(&request.into_inner().sweep, Lookup::Read).await?;
        let mut status = self.status(id).await?;
        status.incomplete_causes = queries::causes(&self.handle, id).await.map_err(query_failed)?;
        Ok(in_pieces(show_pieces(status)))
    }

    type SpecStream = Answers<v1::SpecResponse>;

    async fn spec(&self, request: Request<v1::SpecRequest>) -> Result<Response<Self::SpecStream>, Status> {
        let id = self.resolve(&request.into_inner().sweep, Lookup::Read).await?;
        let text = queries::spec_text(&self.handle, id).await.map_err(query_failed)?;
        Ok(in_pieces(text.into_wire()))
    }

    type WatchStream = Answers<v1::WatchEvent>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let id = self.resolve(&request.into_inner().sweep, Lookup::Read).await?;
        let handle = self.handle.clone();
        Ok(self.stream(16, async move |out: Out<v1::WatchEvent>| {
            let listener = out.clone();
            let emit = move |event: WatchEvent| {
                let out = out.clone();
                async move { out.send(Ok(event.into_wire())).await.is_ok() }
            };
            watch::watch(&handle, id, emit, listener.closed()).await.map_err(query_failed)
        }))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::CancelResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep, Lookup::Change).await?;
        let sweep = self.commands.cancel(id).await.map_err(state_failed)?;
        Ok(Response::new(v1::CancelResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Result<Response<v1::PauseResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep, Lookup::Change).await?;
        let sweep = self.commands.pause(id).await.map_err(state_failed)?;
        Ok(Response::new(v1::PauseResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Result<Response<v1::ResumeResponse>, Status> {
        let id = self.resolve(&request.into_inner().sweep, Lookup::Change).await?;
        let sweep = self.commands.resume(id).await.map_err(state_failed)?;
        Ok(Response::new(v1::ResumeResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let v1::RetryRequest { sweep, r#where } = request.into_inner();
        let settings = Point::from_wire(r#where).map_err(|error| unreadable(&error))?;
        let id = self.resolve(&sweep, Lookup::Change).await?;
        let trials = self.commands.retry(id, settings).await.map_err(retry_failed)?;
        let sweep = self.status(id).await?.sweep;
        Ok(Response::new(v1::RetryResponse { sweep: Some(sweep.into_wire()), trials }))
    }

    async fn note(&self, request: Request<v1::NoteRequest>) -> Result<Response<v1::NoteResponse>, Status> {
        let v1::NoteRequest { sweep, note } = request.into_inner();
        let id = self.resolve(&sweep, Lookup::Change).await?;
        let sweep = self.commands.note(id, Some(note)).await.map_err(note_failed)?;
        Ok(Response::new(v1::NoteResponse { sweep: Some(sweep.into_wire()) }))
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        let v1::DeleteRequest { sweep, dry_run } = request.into_inner();
        let id = self.resolve(&sweep, Lookup::Change).await?;
        let Deletion { sweep, taken_over } = self.commands.delete(id, dry_run).await.map_err(delete_failed)?;
        Ok(Response::new(v1::DeleteResponse { sweep: Some(sweep.into_wire()), taken_over }))
    }

    type ListWorkersStream = Answers<v1::ListWorkersResponse>;

    async fn list_workers(
        &self,
        _request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<Self::ListWorkersStream>, Status> {
        let workers = queries::workers(&self.handle).await.map_err(query_failed)?;
        let answers = pieces(workers.into_wire()).map(|workers| v1::ListWorkersResponse { workers });
        Ok(in_pieces(answers))
    }

    async fn release_worker(
        &self,
        request: Request<v1::ReleaseWorkerRequest>,
    ) -> Result<Response<v1::ReleaseWorkerResponse>, Status> {
        let name = request.into_inner().worker;
        asked(&name).map_err(|error| unreadable(&error))?;
        let worker = queries::worker(&self.handle, &name).await.map_err(query_failed)?;
        self.commands.release(worker.id).await.map_err(command_failed)?;
        let worker = queries::worker(&self.handle, &name).await.map_err(query_failed)?;
        Ok(Response::new(v1::ReleaseWorkerResponse { worker: Some(worker.into_wire()) }))
    }

    type ResultsStream = Answers<v1::ResultsResponse>;

    async fn results(&self, request: Request<v1::ResultsRequest>) -> Result<Response<Self::ResultsStream>, Status> {
        let (id, spec) = self.spec(&request.into_inner().sweep).await?;
        let store = self.handle.store.clone();
        Ok(self.stream(4, async move |out: Out<v1::ResultsResponse>| {
            let (mut from, mut deleted) = (TrialIndex(0), Deleted::default());
            loop {
                let rows = store.results(id, from, PAGE).await.map_err(store_failed)?;
                let Some(last) = rows.last() else { return Ok(()) };
                from = TrialIndex(last.trial.0 + 1);
                let results = queries::result_views(store.as_ref(), &spec, rows, &mut deleted).await;
                let results = results.map_err(store_failed)?.ok_or_else(|| outside(id))?;
                for results in pieces(results.into_wire()) {
                    if out.send(Ok(v1::ResultsResponse { results })).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }))
    }

    type CurvesStream = Answers<v1::CurvesResponse>;

    async fn curves(&self, request: Request<v1::CurvesRequest>) -> Result<Response<Self::CurvesStream>, Status> {
        let reader = Reader::of(&request);
        let (id, spec) = self.spec(&request.into_inner().sweep).await?;
        let store = self.handle.store.clone();
        Ok(self.stream(1, async move |out: Out<v1::CurvesResponse>| {
            let (mut from, mut page) = (0, 1);
            loop {
                let _turn = tokio::select! {
                    turn = reader.turn() => turn,
                    () = out.closed() => return Ok(()),
                };
                let rows = store.curves(id, from, page).await.map_err(store_failed)?;
                let Some(last) = rows.last() else { return Ok(()) };
                from = last.trajectory.0 + 1;
                page = next_page(page, &rows);
                for row in rows {
                    let curve: CurveView = queries::curve_view(&spec, row).ok_or_else(|| outside(id))?;
                    for piece in curve_pieces(curve) {
                        if out.send(Ok(v1::CurvesResponse { curve: Some(piece) })).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
        }))
    }
}

impl Service {
    async fn resolve(&self, name: &str, lookup: Lookup) -> Result<SweepId, Status> {
        let name = asked(name).map_err(|error| unreadable(&error))?;
        queries::resolve(&self.handle, name, lookup).await.map_err(query_failed)
    }

    async fn status(&self, id: SweepId) -> Result<SweepStatus, Status> {
        queries::status(&self.handle, id).await.map_err(query_failed)
    }

    async fn spec(&self, name: &str) -> Result<(SweepId, SweepSpec), Status> {
        let id = self.resolve(name, Lookup::Read).await?;
        let spec = queries::spec(&self.handle, id).await.map_err(query_failed)?;
        Ok((id, spec))
    }

    /// Streams the answers that `produce` sends, followed by its error if it fails.
    fn stream<T, F, Produce>(&self, buffer: usize, produce: Produce) -> Response<Answers<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), Status>> + Send,
        Produce: FnOnce(Out<T>) -> F + Send + 'static,
    {
        let (out, answers) = mpsc::channel(buffer);
        // The task ends with the stream: its sends fail after the client has disconnected.
        self.commands.tasks.spawn(async move {
            if let Err(status) = produce(out.clone()).await {
                drop(out.send(Err(status)).await);
            }
        });
        Response::new(Box::pin(ReceiverStream::new(answers)))
    }
}

/// Specs that are parsed at once. Others wait.
static PARSERS: Semaphore = Semaphore::const_new(2);

/// Parses a submitted spec, on a thread where this disturbs nobody.
async fn parse(text: String, format: i32, origin: String) -> Result<(SweepSpec, SpecText), Status> {
    let permit = PARSERS.acquire().await.expect("it is never closed");
    let parsed = tokio::task::spawn_blocking(move || {
        // It counts to the end, also if the caller is gone.
        let _permit = permit;
        parse_now(text, format, &origin)
    });
    parsed.await.map_err(|_| Status::internal("the spec cannot be parsed; please report it"))?
}

fn parse_now(text: String, format: i32, origin: &str) -> Result<(SweepSpec, SpecText), Status> {
    let known = spec_format(format).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let invalid = |errors: SpecErrors| Status::invalid_argument(reason(errors.to_string()));
    let (spec, text) = SweepSpec::parse_to_store(text, known, &shown(origin)).map_err(invalid)?;
    if let Some(dataset) = spec.grid.datasets().iter().find(|dataset| dataset.is_unpinned()) {
        let why = format!(
            "dataset `{dataset}` has no digest of its files; submit the spec with `biosweep submit`, which adds the digest"
        );
        return Err(Status::invalid_argument(reason(why)));
    }
    Ok((spec, text))
}

type Out<T> = mpsc::Sender<Result<T, Status>>;

/// Streams these pieces.
fn in_pieces<T: Send + 'static>(pieces: impl IntoIterator<Item = T, IntoIter: Send + 'static>) -> Response<Answers<T>> {
    Response::new(Box::pin(tokio_stream::iter(pieces.into_iter().map(Ok))))
}

/// The number of curves to read next, so that their points fit into memory.
fn next_page(page: u32, rows: &[CurveRow]) -> u32 {
    let points: usize = rows.iter().map(|row| row.points.len() + row.diagnostics.len()).sum();
    let fitting = POINTS * rows.len() / points.max(1);
    u32::try_from(fitting).unwrap_or(PAGE).clamp(1, PAGE).min(2 * page)
}

fn outside(id: SweepId) -> Status {
    Status::data_loss(format!("the store holds results outside the grid of sweep {id}; the store is damaged"))
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

fn state_failed(error: StateError) -> Status {
    match error {
        StateError::Query(error) => query_failed(error),
        StateError::DriverError(error) => command_failed(error),
        StateError::Finished { .. } | StateError::Cancelled { .. } | StateError::NotServedHere(_) => {
            Status::failed_precondition(error.to_string())
        }
    }
}

fn note_failed(error: NoteError) -> Status {
    match error {
        NoteError::Invalid(error) => Status::invalid_argument(error.to_string()),
        NoteError::Query(error) => query_failed(error),
        NoteError::DriverError(error) => command_failed(error),
    }
}

fn retry_failed(error: RetryError) -> Status {
    match error {
        RetryError::Query(error) => query_failed(error),
        RetryError::DriverError(error) => command_failed(error),
        RetryError::Cancelled { .. }
        | RetryError::None { .. }
        | RetryError::OtherNumerics(_)
        | RetryError::NotServedHere(_) => Status::failed_precondition(error.to_string()),
    }
}

fn delete_failed(error: DeleteError) -> Status {
    match error {
        DeleteError::Query(error) => query_failed(error),
        DeleteError::DriverError(error) => command_failed(error),
        DeleteError::Alive { .. } | DeleteError::NotServedHere(_) => Status::failed_precondition(error.to_string()),
    }
}

fn extend_failed(error: ExtendError) -> Status {
    match error {
        ExtendError::Query(error) => query_failed(error),
        ExtendError::DriverError(error) => command_failed(error),
        ExtendError::Extension(_) => Status::invalid_argument(error.to_string()),
        ExtendError::Cancelled { .. } | ExtendError::OtherNumerics(_) | ExtendError::NotServedHere(_) => {
            Status::failed_precondition(error.to_string())
        }
    }
}

fn submit_failed(error: SubmitError) -> Status {
    match error {
        SubmitError::DriverError(error) => command_failed(error),
        SubmitError::Query(error) => query_failed(error),
    }
}

#[cfg(test)]
mod tests;
