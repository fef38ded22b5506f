//! Traces, received by a collector: spans of both programs, faults of the collector, sampling.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;

use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};
use biosweep_common::vocabulary::trace::TracedShare;
use biosweep_host::clock::Clock;
use biosweep_tests::cluster::{Cluster, QUICK_SPEC, pid};
use biosweep_tests::{Home, until, until_ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Two trajectories that train together for several seconds.
const LONG_SPEC: &str = r#"
name = "small"
checkpoint_every_s = 0.1
[data]
dataset = "synthetic-digits"
[train]
optimizer = "adam"
learning_rate = 1e-3
eval_every = 100
max_updates = 4000
[grid]
rule = "dtp"
network = "dn"
depth = 3
seed = [0, 1]
"#;
/// The longest time that a program may take to end, in seconds.
const ENDS_S: f64 = 5.0;

/// A span as a collector sees it. Ids are in hexadecimal digits.
#[derive(Debug, Clone)]
struct Seen {
    service: String,
    name: String,
    trace: String,
    id: String,
    parent: String,
    begin: u64,
    attributes: BTreeMap<String, String>,
    error: Option<String>,
}

impl Seen {
    fn new(service: &str, span: Span) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        Self {
            service: service.to_owned(),
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            begin: span.start_time_unix_nano,
            attributes: attributes(span.attributes),
            error: span.status.filter(|status| status.code == StatusCode::Error as i32).map(|status| status.message),
        }
    }

    fn number(&self, attribute: &str) -> u64 {
        self.attributes[attribute].parse().expect("a number")
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| match pair.value?.value? {
        any_value::Value::StringValue(text) => Some((pair.key, text)),
        any_value::Value::IntValue(number) => Some((pair.key, number.to_string())),
        _ => None,
    };
    pairs.into_iter().filter_map(text).collect()
}

/// A collector that keeps what it receives.
struct Collector {
    address: SocketAddr,
    received: Received,
    _runtime: Runtime,
}

#[derive(Clone, Default)]
struct Received {
    spans: Arc<Mutex<Vec<Seen>>>,
    /// The values of the header `team`.
    teams: Arc<Mutex<BTreeSet<String>>>,
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let team = request.metadata().get("team").map(|team| team.to_str().expect("a text").to_owned());
        self.teams.lock().expect("no panic").extend(team);
        let mut spans = self.spans.lock().expect("no panic");
        for of_resource in request.into_inner().resource_spans {
            let resource = attributes(of_resource.resource.expect("a resource").attributes);
            let of_scopes = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            spans.extend(of_scopes.map(|span| Seen::new(&resource["service.name"], span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let received = Received::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let service = TraceServiceServer::new(received.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, received, _runtime: runtime }
    }

    fn variable(&self) -> String {
        endpoint(self.address)
    }

    fn spans(&self) -> Vec<Seen> {
        self.received.spans.lock().expect("no panic").clone()
    }

    /// Waits until spans with a name have come.
    fn until(&self, name: &str, count: usize) -> Vec<Seen> {
        let all = || self.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        until(&format!("{count} spans {name} have come"), || Some(all()).filter(|spans| spans.len() >= count))
    }
}

fn endpoint(address: SocketAddr) -> String {
    format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{address}")
}

/// A cluster whose programs have these variables.
fn cluster(coordinator: &[&str], worker: &[&str]) -> Cluster {
    let with = |variables: &[&str]| ["env"].iter().chain(variables).map(OsString::from).collect::<Vec<_>>();
    let programs = [("biosweep", with(coordinator)), ("biosweep-worker", with(worker))];
    Cluster::new(None).with_network(Ipv4Addr::LOCALHOST, programs)
}

/// Submits a spec and returns the id of the sweep.
fn submit(cluster: &Cluster, spec: &str) -> SweepId {
    let spec = cluster.home().spec(spec);
    let submitted = cluster.json(&["submit", &spec.to_string_lossy()]);
    submitted["id"].as_str().expect("an id").parse().expect("an id")
}

/// Terminates both programs, each of which has to end in time.
fn end(cluster: &mut Cluster) {
    let clock = Clock::start();
    kill(pid(cluster.last_worker()), Signal::SIGTERM).expect("it runs");
    let status = until_ended(cluster.last_worker());
    assert!(clock.seconds() < ENDS_S, "the worker took {} s", clock.seconds());
    assert!(status.code().is_some_and(|code| [0, 75].contains(&code)), "{status}");
    let clock = Clock::start();
    let status = cluster.end_coordinator(Signal::SIGTERM);
    assert!(clock.seconds() < ENDS_S, "the coordinator took {} s", clock.seconds());
    assert!(status.success(), "{status}");
}

fn until_finished(cluster: &Cluster) {
    cluster.until("the sweep is done", |status| status["state"] == "finished");
}

/// The names of the threads of a process.
fn threads(pid: Pid) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn one_trace_has_submit_grant_train_and_result_over_two_processes_and_a_restart() {
    let collector = Collector::start();
    let variables = [&*collector.variable(), "OTEL_EXPORTER_OTLP_HEADERS=team=learning"];
    let mut cluster = cluster(&variables, &variables);
    cluster.serve();
    let sweep = submit(&cluster, LONG_SPEC);
    let worker = cluster.work(&["--lanes", "2"], &[]);
    let grants = collector.until("grant", 2);
    cluster.until_in_full_swing();
    assert!(threads(worker).contains("traces"), "{:?}", threads(worker));
    cluster.kill_coordinator();
    cluster.serve();
    until_finished(&cluster);
    let (trains, results) = (collector.until("train", 2), collector.until("result", 2));
    end(&mut cluster);

    let spans = collector.spans();
    assert_eq!(spans.len(), 7, "one submission and two attempts: {spans:#?}");
    let trace = sweep.0.simple().to_string();
    for span in &spans {
        let service = if span.name == "train" { "biosweep-worker" } else { "biosweep" };
        assert_eq!((&*span.trace, &*span.service, &span.error), (&*trace, service, &None), "{span:?}");
        assert_eq!(span.attributes["sweep"], sweep.to_string());
    }
    assert_eq!(spans.iter().map(|span| &span.id).collect::<BTreeSet<_>>().len(), 7, "ids are unique");
    let submitted = spans.iter().find(|span| span.name == "submit").expect("a submission");
    assert_eq!(submitted.parent, "", "it is the root");
    assert_eq!((&*submitted.attributes["name"], submitted.number("trials")), ("small", 2));
    for result in results {
        let attempt = result.number("attempt");
        let train = trains.iter().find(|train| train.id == result.parent).expect("its training");
        let grant = grants.iter().find(|grant| grant.id == train.parent).expect("its grant");
        assert_eq!(grant.parent, submitted.id);
        for span in [train, grant] {
            assert_eq!((span.number("trajectory"), span.number("attempt")), (result.number("trajectory"), attempt));
        }
        assert!(submitted.begin <= grant.begin && grant.begin <= train.begin && train.begin <= result.begin);
        let of_train = ["rule", "network", "device", "outcome"].map(|name| &*train.attributes[name]);
        assert_eq!(of_train, ["dtp", "dn", "cpu", "completed"]);
        assert_eq!((train.number("updates"), train.number("lane")), (4_000, train.number("trajectory")));
        assert_eq!(result.attributes["outcome"], "completed");
        assert!(!grant.attributes["worker"].is_empty());
    }
    assert_eq!(*collector.received.teams.lock().expect("no panic"), BTreeSet::from(["learning".to_owned()]));
}

#[test]
fn a_lost_attempt_has_a_span_with_an_error() {
    let collector = Collector::start();
    let variable = [&*collector.variable()];
    let mut cluster = cluster(&variable, &variable);
    cluster.serve();
    let _sweep = submit(&cluster, LONG_SPEC);
    cluster.work(&[], &[]);
    let grant = collector.until("grant", 1).remove(0);
    cluster.kill_worker();
    let lost = collector.until("end", 1).remove(0);
    assert_eq!((&lost.parent, &*lost.attributes["outcome"]), (&grant.id, "worker-lost"));
    assert_eq!(lost.number("attempt"), grant.number("attempt"));
    assert!(lost.error.is_some_and(|why| !why.is_empty()), "it says why");
    assert_eq!(collector.spans().iter().filter(|span| span.name == "train").count(), 0, "the worker was killed");
}

#[test]
fn a_run_sends_the_spans_of_its_coordinator_and_its_workers() {
    let (collector, home) = (Collector::start(), Home::default());
    let spec = home.spec(QUICK_SPEC);
    let mut run = home.biosweep(&["run", &spec.to_string_lossy(), "--workers", "1"]);
    run.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{}", collector.address));
    let Output { status, stderr, .. } = run.env("OTEL_SERVICE_NAME", "mine").output().expect("it starts");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    // The program has ended, so everything was sent.
    let mut counts = BTreeMap::new();
    for span in collector.spans() {
        assert_eq!(span.service, "mine");
        *counts.entry(span.name).or_insert(0) += 1;
    }
    let expected = [("submit", 1), ("grant", 12), ("train", 12), ("result", 12)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn a_dead_and_a_silent_collector_cost_no_trial_and_no_time_at_the_end() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let dead = free.expect("a free port");
    let address = silent.local_addr().expect("it listens");
    thread::spawn(move || silent.incoming().collect::<Vec<_>>());
    for address in [dead, address] {
        let variable = [&*endpoint(address)];
        let mut cluster = cluster(&variable, &variable);
        cluster.serve();
        let _sweep = submit(&cluster, QUICK_SPEC);
        cluster.work(&[], &[]);
        until_finished(&cluster);
        let rows = cluster.json(&["results", "small"]);
        assert_eq!(rows.as_array().map(Vec::len), Some(12));
        until("the dropped spans are counted", || {
            let mut answer = ureq::get(format!("{}/metrics", cluster.url())).call().expect("the coordinator answers");
            let text = answer.body_mut().read_to_string().expect("a text");
            let count = text.lines().find_map(|line| line.strip_prefix("biosweep_trace_spans_dropped_total "));
            count.and_then(|count| count.parse::<u64>().ok()).filter(|&count| count > 0)
        });
        assert!(cluster.printed("serve.log").contains("spans of traces are dropped"));
        // A span that still waits when the programs end.
        let _sweep = cluster.json(&["submit", &cluster.home().spec(QUICK_SPEC).to_string_lossy(), "--fresh"]);
        end(&mut cluster);
    }
}

#[test]
fn only_the_sampled_trajectories_are_traced_and_both_programs_agree() {
    for (share, argument) in [(0.5, "0.5"), (0.0, "0")] {
        let collector = Collector::start();
        let endpoint = collector.variable();
        let sampler = "OTEL_TRACES_SAMPLER=parentbased_traceidratio";
        let argument = format!("OTEL_TRACES_SAMPLER_ARG={argument}");
        // The worker has no sampler: the coordinator decides.
        let mut cluster = cluster(&[&endpoint, sampler, &argument], &[&endpoint]);
        cluster.serve();
        let sweep = submit(&cluster, QUICK_SPEC);
        cluster.work(&[], &[]);
        until_finished(&cluster);
        end(&mut cluster);
        let share = TracedShare::new(share).expect("a share");
        let traced: BTreeSet<u64> = (0..12).filter(|&index| share.contains(sweep, TrajectoryIndex(index))).collect();
        for name in ["grant", "train", "result"] {
            let of_name = collector.spans().into_iter().filter(|span| span.name == name);
            assert_eq!(of_name.map(|span| span.number("trajectory")).collect::<BTreeSet<_>>(), traced, "{name}");
        }
        let expected = if share.is_none() { 0 } else { 1 + 3 * traced.len() };
        assert_eq!(collector.spans().len(), expected);
    }
}

#[test]
fn without_a_collector_there_is_no_thread_for_traces() {
    let mut cluster = cluster(&[], &[]);
    cluster.serve();
    let _sweep = submit(&cluster, LONG_SPEC);
    let worker = cluster.work(&[], &[]);
    cluster.until_in_full_swing();
    assert!(threads(worker).contains("train") && !threads(worker).contains("traces"), "{:?}", threads(worker));
}

#[test]
fn an_impossible_variable_is_an_error_at_the_start_that_says_what_is_possible() {
    let cases = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "http://127.0.0.1:4317"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "traceidratio"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "grpc"),
    ];
    for (variable, value, possible) in cases {
        let home = Home::default();
        let spec = home.spec(QUICK_SPEC).to_string_lossy().into_owned();
        let serve = home.biosweep(&["serve", "--listen", "127.0.0.1:0", "--insecure"]);
        let worker = home.worker(&["--coordinator", "http://127.0.0.1:1"]);
        for mut program in [serve, home.biosweep(&["run", &spec]), worker] {
            program.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317").env(variable, value);
            let output = program.output().expect("it starts");
            let printed = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{printed}");
            assert!([variable, value, possible].iter().all(|part| printed.contains(part)), "{printed}");
        }
    }
}
