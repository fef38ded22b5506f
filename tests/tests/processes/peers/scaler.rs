//! KEDA's questions about outstanding work, over TLS with a client certificate, because KEDA has no token.

use std::path::Path;
use std::time::Duration;

use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use biosweep_connection::identity::Key;
use biosweep_proto::externalscaler::external_scaler_client::ExternalScalerClient;
use biosweep_proto::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use biosweep_tests::cluster::SPEC;
use biosweep_tests::cluster::secured::Secured;
use biosweep_tests::{Home, until};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// The number of trajectories of [`SPEC`].
const TRAJECTORIES: i64 = 6;
const METRIC: &str = "outstanding-trajectories";

type Metadata<'a> = &'a [(&'a str, &'a str)];

fn asked(metadata: Metadata<'_>) -> ScaledObjectRef {
    // What every trigger has, and KEDA passes on.
    let all = [("scalerAddress", "biosweep.lab.svc:7465"), ("enableTLS", "true")];
    ScaledObjectRef {
        name: "biosweep-cpu".to_owned(),
        namespace: "lab".to_owned(),
        scaler_metadata: all.iter().chain(metadata).map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    }
}

#[derive(Clone)]
struct Keda(ExternalScalerClient<Channel>);

impl Keda {
    /// With the certificate in a folder, or without one.
    async fn connect(secured: &Secured, viewer: &Path, certificate: Option<&Path>) -> Self {
        let (url, file) = (secured.url(), ConnectionFile::read(viewer).expect("it was made"));
        let identity = certificate.map(|folder| Key::open(folder).expect("a key").kept(folder).expect("a certificate"));
        let dialer = Dialer::new(&url, &file, identity.as_ref()).expect("they fit");
        let endpoint = Endpoint::from_shared(url).expect("an address").connect_timeout(Duration::from_secs(5));
        Self(ExternalScalerClient::new(dialer.connect(&endpoint).await.expect("it listens")))
    }

    async fn is_active(&mut self, metadata: Metadata<'_>) -> Result<bool, Status> {
        Ok(self.0.is_active(asked(metadata)).await?.into_inner().result)
    }

    /// The value and the target of the metric, as KEDA reads them: the number with a fraction only if it is above 0.
    async fn metric(&mut self, metadata: Metadata<'_>) -> Result<(f64, f64), Status> {
        let mut specs = self.0.get_metric_spec(asked(metadata)).await?.into_inner().metric_specs;
        let spec = specs.pop().expect("one metric");
        assert!(specs.is_empty() && spec.metric_name == METRIC, "{spec:?}");
        let request = GetMetricsRequest { scaled_object_ref: Some(asked(metadata)), metric_name: spec.metric_name };
        let mut values = self.0.get_metrics(request).await?.into_inner().metric_values;
        let value = values.pop().expect("one value");
        assert!(values.is_empty() && value.metric_name == METRIC, "{value:?}");
        let numbers = [(value.metric_value, value.metric_value_float), (spec.target_size, spec.target_size_float)];
        assert!(numbers.iter().all(|(whole, other)| *whole as f64 == *other), "old and new releases read the same");
        Ok((value.metric_value_float, spec.target_size_float))
    }
}

/// A certificate for KEDA in a folder, and the id of its token.
fn certificate(secured: &Secured, folder: &Home, role: &str) -> String {
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    let made = ["certs", "client", "--role", role, "--certificate", &certificate, "--key", &key];
    secured.home().json(&made)["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_asked_for_as_long_as_a_sweep_has_work() {
    let mut secured = Secured::default();
    let (viewer, _) = secured.token("viewer", &[]);
    let (worker, _) = secured.token("worker", &[]);
    let folder = Home::default();
    let token = certificate(&secured, &folder, "viewer");
    let mut keda = Keda::connect(&secured, &viewer, Some(folder.path())).await;

    assert_eq!(keda.is_active(&[]).await.ok(), Some(false), "nothing was submitted");
    assert_eq!(keda.metric(&[("lanes", "4")]).await.ok(), Some((0.0, 4.0)));
    let mut stream = keda.0.stream_is_active(asked(&[])).await.expect("it is allowed").into_inner();
    let mut next = async || stream.message().await.map(|message| message.map(|message| message.result));
    assert_eq!(next().await.expect("an answer"), Some(false));

    let spec = secured.home().spec(SPEC).to_string_lossy().into_owned();
    let all = TRAJECTORIES as f64;
    let _sweep = secured.home().answer(&["submit", &spec]);
    assert_eq!(next().await.expect("an answer"), Some(true), "it is pushed");
    for metadata in [&[][..], &[("sweep", "small")], &[("device", "cpu"), ("labels", "")]] {
        assert_eq!(keda.metric(metadata).await.expect("an answer"), (all, 1.0), "{metadata:?}");
        assert_eq!(keda.is_active(metadata).await.ok(), Some(true));
    }
    let _paused = secured.home().answer(&["pause", "small"]);
    assert_eq!(next().await.expect("an answer"), Some(false), "a paused sweep needs no worker");
    assert_eq!(keda.metric(&[("sweep", "small")]).await.ok(), Some((0.0, 1.0)));
    let _resumed = secured.home().answer(&["resume", "small"]);
    assert_eq!(next().await.expect("an answer"), Some(true));

    secured.work(&worker);
    let mut least = all;
    while least > 0.0 {
        let (value, _) = keda.metric(&[("device", "cpu")]).await.expect("an answer");
        assert!(value <= least, "{value} after {least}");
        // Work that is in training counts, so its worker is not ended.
        assert!(value > 0.0 || secured.home().json(&["show", "small"])["state"] == "finished");
        least = value;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(next().await.expect("an answer"), Some(false));
    assert_eq!(keda.is_active(&[("sweep", "small")]).await.ok(), Some(false));

    let _revoked = secured.home().json(&["token", "revoke", &token]);
    next().await.expect_err("the certificate is revoked");
    let refused = keda.is_active(&[]).await.expect_err("the certificate is revoked");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_are_refused_by_name() {
    let secured = Secured::default();
    let (viewer, _) = secured.token("viewer", &[]);
    let folder = Home::default();
    let _token = certificate(&secured, &folder, "viewer");
    let mut keda = Keda::connect(&secured, &viewer, Some(folder.path())).await;
    let long = "x".repeat(100_000);
    for (key, value, code) in [
        ("swep", "small", Code::InvalidArgument),
        ("lanes", "none", Code::InvalidArgument),
        ("device", "cuda:0", Code::InvalidArgument),
        ("labels", "a\nb", Code::InvalidArgument),
        ("sweep", &long, Code::InvalidArgument),
        ("sweep", "small", Code::NotFound),
    ] {
        for refused in [
            keda.is_active(&[(key, value)]).await.expect_err(key),
            keda.metric(&[(key, value)]).await.expect_err(key),
            keda.0.stream_is_active(asked(&[(key, value)])).await.expect_err(key),
        ] {
            assert!(refused.code() == code && refused.message().contains(&format!("`{key}`")), "{refused}");
            assert!(refused.message().len() < 1_000, "{refused}");
        }
    }
    let scaled_object_ref = Some(asked(&[]));
    let other = GetMetricsRequest { scaled_object_ref, metric_name: "s0-other".to_owned() };
    let refused = keda.0.get_metrics(other).await.expect_err("there is no such metric");
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("`s0-other`"), "{refused}");
    let refused = keda.0.stream_metric_spec(asked(&[])).await.expect_err("KEDA does without it");
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    let mut stranger = Keda::connect(&secured, &viewer, None).await;
    let refused = stranger.is_active(&[]).await.expect_err("it has no certificate");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    until("the coordinator still answers", || secured.home().run(&["list"]).status.success().then_some(()));
}
