//! The service for KEDA, which starts and ends workers on Kubernetes: how many trajectories wait for workers or are in training.
//!
//! The metadata of a trigger says which of them count, and how many one worker takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use biosweep_common::protocol::bounds::{LABELS_MAX, asked, shown};
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_common::workers::flags;
use biosweep_proto::externalscaler::external_scaler_server::ExternalScaler;
use biosweep_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use biosweep_scheduler::event::Notice;
use biosweep_scheduler::status::Pool;
use futures::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tonic::{Request, Response, Status};

use super::{stopped, store_failed};
use crate::driver::Handle;
use crate::queries::{self, Lookup, QueryError};

/// The name of the only metric.
const METRIC: &str = "outstanding-trajectories";
/// The keys of this scaler.
const OWN: [&str; 4] = ["sweep", "device", "labels", "lanes"];
/// The keys for KEDA itself, which it passes on.
const OF_KEDA: [&str; 6] = ["scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey"];
/// The end of a key whose value KEDA takes from an environment variable.
const FROM_ENV: &str = "FromEnv";
/// Minimum time between two messages of a stream.
const PACE: Duration = Duration::from_secs(1);

pub(super) struct Service {
    handle: Handle,
}

impl Service {
    pub(super) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// The work that a trigger counts.
    async fn work(&self, asked: Option<ScaledObjectRef>) -> Result<Work, Status> {
        let Trigger { sweep, pool, lanes } = Trigger::read(asked)?;
        let sweep = match sweep {
            None => None,
            Some(name) => {
                let name = asked_name(&name)?;
                let id = queries::resolve(&self.handle, name, Lookup::Read).await;
                Some(id.map_err(|error| match error {
                    QueryError::Store(error) => store_failed(error),
                    error => Status::not_found(of_key("sweep", &error.to_string())),
                })?)
            }
        };
        Ok(Work { handle: self.handle.clone(), sweep, pool, lanes })
    }
}

fn asked_name(name: &str) -> Result<&str, Status> {
    asked(name).map_err(|error| refused("sweep", &error.to_string()))
}

/// What the metadata of a trigger says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trigger {
    /// The name or id of the only sweep that counts.
    sweep: Option<String>,
    /// The workers that it starts.
    pool: Pool,
    /// Number of trajectories that a worker trains at once.
    lanes: u32,
}

impl Trigger {
    /// Reads the metadata. Unknown keys are errors: a misspelt one would start workers for all sweeps.
    fn read(asked: Option<ScaledObjectRef>) -> Result<Self, Status> {
        let metadata = asked.map(|asked| asked.scaler_metadata).unwrap_or_default();
        let mut values = own_values(metadata)?;
        let labels = values.remove("labels").map(|labels| labels_of(&labels)).transpose()?;
        let device = values.remove("device");
        if device.as_ref().is_some_and(|device| device.is_empty() || device.contains(':')) {
            return Err(refused("device", "it takes the kind of a device, such as cpu or cuda"));
        }
        let lanes = values.remove("lanes").map(|lanes| flags::lanes(&lanes).map_err(|why| refused("lanes", &why)));
        let lanes = lanes.transpose()?.map_or(1, NonZeroU32::get);
        Ok(Self { sweep: values.remove("sweep"), pool: Pool { device, labels }, lanes })
    }
}

/// The values for this scaler, by key.
fn own_values(metadata: HashMap<String, String>) -> Result<BTreeMap<&'static str, String>, Status> {
    let mut values = BTreeMap::new();
    // In order, so that of several errors it is always the same that is reported.
    for (key, value) in metadata.into_iter().collect::<BTreeMap<_, _>>() {
        let name = key.strip_suffix(FROM_ENV).unwrap_or(&key);
        let Some(own) = OWN.into_iter().find(|own| *own == name) else {
            if OF_KEDA.contains(&name) {
                continue;
            }
            let why = format!(
                "the trigger has the unknown key `{}` in its metadata; use one of: {}",
                shown(&key),
                OWN.join(", ")
            );
            return Err(Status::invalid_argument(why));
        };
        if values.insert(own, value).is_some() {
            return Err(refused(own, &format!("it is given twice, also as `{own}{FROM_ENV}`")));
        }
    }
    Ok(values)
}

/// Labels that commas separate.
fn labels_of(text: &str) -> Result<BTreeSet<String>, Status> {
    let labels = text.split(',').map(str::trim).filter(|label| !label.is_empty());
    let labels: Result<BTreeSet<String>, String> = labels.map(flags::name).collect();
    let labels = labels.map_err(|why| refused("labels", &why))?;
    if labels.len() > LABELS_MAX {
        return Err(refused("labels", &format!("it takes at most {LABELS_MAX} of them")));
    }
    Ok(labels)
}

fn of_key(key: &str, why: &str) -> String {
    format!("the key `{key}` in the metadata of the trigger cannot be used: {why}")
}

fn refused(key: &str, why: &str) -> Status {
    Status::invalid_argument(of_key(key, why))
}

/// The work that a trigger counts.
#[derive(Clone)]
struct Work {
    handle: Handle,
    sweep: Option<SweepId>,
    pool: Pool,
    lanes: u32,
}

impl Work {
    /// Number of trajectories that are pending or in training.
    async fn outstanding(&self) -> Result<u64, Status> {
        let (sweep, pool) = (self.sweep, self.pool.clone());
        self.handle.ask(move |scheduler| scheduler.outstanding(&pool, sweep)).await.map_err(stopped)
    }

    async fn activity(&self) -> Result<IsActiveResponse, Status> {
        Ok(IsActiveResponse { result: self.outstanding().await? > 0 })
    }
}

/// Whether there is work, now and whenever it changes.
struct Activity {
    work: Work,
    notices: broadcast::Receiver<Notice>,
    degraded: watch::Receiver<Option<String>>,
    last: Option<IsActiveResponse>,
}

impl Activity {
    /// The next change; `None` when the coordinator stops.
    async fn next(mut self) -> Result<Option<(IsActiveResponse, Self)>, Status> {
        loop {
            let now = self.work.activity().await?;
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now);
                return Ok(Some((now, self)));
            }
            tokio::select! {
                // The sender ends with the coordinator.
                told = self.degraded.changed() => if told.is_err() {
                    return Ok(None);
                },
                notice = self.notices.recv() => if matches!(notice, Err(RecvError::Closed)) {
                    return Ok(None);
                },
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalScaler for Service {
    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let work = self.work(Some(request.into_inner())).await?;
        Ok(Response::new(work.activity().await?))
    }

    type StreamIsActiveStream = Answers<IsActiveResponse>;

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let work = self.work(Some(request.into_inner())).await?;
        let (notices, degraded) = (self.handle.notices(), self.handle.degraded());
        let activity = Activity { work, notices, degraded, last: None };
        Ok(Response::new(Box::pin(stream::try_unfold(activity, Activity::next))))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let lanes = self.work(Some(request.into_inner())).await?.lanes;
        let spec =
            MetricSpec { metric_name: METRIC.to_owned(), target_size: lanes.into(), target_size_float: lanes.into() };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let GetMetricsRequest { scaled_object_ref, metric_name } = request.into_inner();
        if metric_name != METRIC {
            let why = format!("there is no metric `{}`; use {METRIC}", shown(&metric_name));
            return Err(Status::invalid_argument(why));
        }
        let outstanding = self.work(scaled_object_ref).await?.outstanding().await?;
        let value = MetricValue {
            metric_name,
            metric_value: i64::try_from(outstanding).unwrap_or(i64::MAX),
            metric_value_float: outstanding as f64,
        };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }

    type StreamMetricSpecStream = Answers<GetMetricSpecResponse>;

    async fn stream_metric_spec(
        &self,
        _request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        Err(Status::unimplemented("the target never changes while a trigger stays the same"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metadata: &[(&str, &str)]) -> Result<Trigger, String> {
        let scaler_metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let asked = ScaledObjectRef { scaler_metadata, ..ScaledObjectRef::default() };
        Trigger::read(Some(asked)).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn the_metadata_of_a_trigger_limits_what_counts() {
        let everything = Trigger { sweep: None, pool: Pool::default(), lanes: 1 };
        assert_eq!(Trigger::read(None).map_err(|status| status.to_string()), Ok(everything.clone()));
        let of_keda = [("scalerAddress", "biosweep:7465"), ("enableTLS", "true"), ("caCertFromEnv", "x")];
        assert_eq!(read(&of_keda), Ok(everything));
        let labels = ["a100", "site=x"].map(str::to_owned).into();
        let pool = Pool { device: Some("cuda".to_owned()), labels: Some(labels) };
        let given = [("sweepFromEnv", "mine"), ("device", "cuda"), ("labels", "site=x, a100,"), ("lanes", "8")];
        assert_eq!(read(&given), Ok(Trigger { sweep: Some("mine".to_owned()), pool, lanes: 8 }));
        let none = read(&[("labels", "")]).expect("no labels");
        assert_eq!(none.pool.labels, Some(BTreeSet::new()), "workers without labels");
    }

    #[test]
    fn an_error_in_the_metadata_names_the_key() {
        let long = "x".repeat(200);
        let many = (0..=LABELS_MAX).map(|label| label.to_string()).collect::<Vec<_>>().join(",");
        for (key, value) in [
            ("swep", "mine"),
            ("Sweep", "mine"),
            ("swepFromEnv", "mine"),
            ("lanes", "0"),
            ("lanes", "many"),
            ("lanes", "100000"),
            ("device", "cuda:0"),
            ("device", ""),
            ("labels", &long),
            ("labels", &many),
        ] {
            let why = read(&[(key, value)]).expect_err(value);
            assert!(why.contains(&format!("`{key}`")) && why.len() < 300, "{why}");
        }
        let why = read(&[("sweep", "a"), ("sweepFromEnv", "b")]).expect_err("twice");
        assert!(why.contains("`sweep`") && why.contains("`sweepFromEnv`"), "{why}");
        let why = read(&[("\u{1b}[31m\n", "a")]).expect_err("no key");
        assert!(!why.contains('\u{1b}') && !why.contains('\n'), "{why:?}");
    }
}
