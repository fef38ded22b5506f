//! The connection of a command to a coordinator: one that listens somewhere, or one inside the command.

mod access;
mod answers;
mod connect;
mod error;

use std::time::SystemTime;

use biosweep_common::configuration::Point;
use biosweep_common::protocol::error::WireError;
use biosweep_common::protocol::pieces::{Curves, show_of_pieces, trained_of_pieces};
use biosweep_common::protocol::wire::{FromWire, IntoWire};
use biosweep_common::results::views::{
    CurveView, ResultView, SpecView, SweepStatus, SweepView, TrainedView, WorkerView,
};
use biosweep_common::spec::Format;
use biosweep_proto::v1;
use biosweep_proto::v1::access_client::AccessClient;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_server::grpc::transport::Transport;
use biosweep_server::host::EphemeralHost;
use tonic::Code;

use answers::all;
pub(crate) use answers::{Answers, CurveAnswers};
pub(crate) use connect::Target;
pub(crate) use error::ClientError;

/// A connection to a coordinator.
pub(crate) struct Client {
    access: AccessClient<Transport>,
    sweeps: SweepsClient<Transport>,
    /// The coordinator inside the command; `None` for a separate one.
    hosted: Option<EphemeralHost>,
    /// The address of the coordinator that holds the home and did not answer.
    silent: Option<String>,
}

/// The first answer of a coordinator.
pub(crate) struct Greeting {
    /// Its time, in whole seconds; `None` if it does not say.
    pub(crate) date: Option<SystemTime>,
    /// Why the holder of the token may not read; `None` if the holder may.
    pub(crate) refused: Option<String>,
}

impl Client {
    /// Closes the connection, and the coordinator inside the command.
    pub(crate) async fn close(self) -> Result<(), ClientError> {
        drop((self.sweeps, self.access));
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

    /// Writes the note of a sweep; an empty text removes it.
    pub(crate) async fn note(&mut self, name: &str, note: String) -> Result<SweepView, ClientError> {
        let request = v1::NoteRequest { sweep: name.to_owned(), note };
        sweep(self.sweeps.note(request).await?.into_inner().sweep)
    }

    /// Deletes a sweep, or with `dry_run` only checks that it can be deleted. Returns the sweep before its deletion,
    /// and the number of trials of other sweeps that were reused from it.
    pub(crate) async fn delete(&mut self, name: &str, dry_run: bool) -> Result<(SweepView, u64), ClientError> {
        let request = v1::DeleteRequest { sweep: name.to_owned(), dry_run };
        let response = self.sweeps.delete(request).await?.into_inner();
        Ok((sweep(response.sweep)?, response.taken_over))
    }

    /// The coordinator's time, and whether it lets the holder of this token read.
    pub(crate) async fn greet(&mut self) -> Result<Greeting, ClientError> {
        let (head, refused) = match self.sweeps.list_workers(v1::ListWorkersRequest {}).await {
            Ok(response) => (response.metadata().clone(), None),
            Err(status) if status.code() == Code::PermissionDenied => {
                (status.metadata().clone(), Some(status.message().to_owned()))
            }
            Err(status) => return Err(status.into()),
        };
        let date = head.get("date").and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        Ok(Greeting { date, refused })
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

fn sweep(message: Option<v1::Sweep>) -> Result<SweepView, ClientError> {
    let message = message.ok_or(WireError::Missing { field: "sweep" })?;
    Ok(SweepView::from_wire(message)?)
}
