//! Tests of the page as a whole, without a browser.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::messages::{Hello, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_scheduler::event::{Event, Now};
use biosweep_scheduler::record::{Restored, Submission};
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_store::memory::Memory;
use hyper_util::service::TowerToHyperService;

use super::*;
use crate::driver::{self, Handle};
use crate::host::TIMEOUTS;

const HOST: &str = "localhost:7465";

/// A page without sweeps.
fn empty() -> (Router, Handle) {
    let clock = Clock::start();
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
    let (handle, _) = driver::start(scheduler, Arc::new(Memory::default()), clock);
    let hosts = Hosts::new(SocketAddr::from(([127, 0, 0, 1], 7465)), []);
    (router(Page::new(Commands::new(handle.clone()), hosts, None, CancellationToken::new())), handle)
}

/// Submits a sweep of this name.
async fn submit(handle: &Handle, name: &str) -> SweepId {
    let id = new_id::<SweepId>();
    let text = "[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\nrule = [\"bp\", \"fa\"]\n\
                network = \"nn\"\ndepth = [1, 2]\nseed = [0, 1]\n";
    // Otherwise a sweep would wait for the results of an equal one.
    let text = format!("name = {}\nreuse = false\n{text}", serde_json::to_string(name).expect("a text"));
    let (spec, text) = SweepSpec::parse_to_store(text, Format::Toml, "s").expect("a good spec");
    let submission = Box::new(Submission::new(id, &spec, text, WallTime(0)));
    let event = Event::Submitted { submission, prepared: PreparedSpec::new(Arc::new(spec)), reused: Arc::default() };
    handle.apply(event).await.expect("there is room");
    id
}

/// A page with one sweep of this name.
async fn with_sweep(name: &str) -> (Router, SweepId) {
    let (router, handle) = empty();
    let id = submit(&handle, name).await;
    (router, id)
}

async fn ask(router: &Router, method: &Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    send(router, method, path, headers, "").await
}

async fn send(
    router: &Router,
    method: &Method,
    path: &str,
    headers: &[(&str, &str)],
    form: &'static str,
) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if *method == Method::POST {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    let request = request.body(Body::from(form)).expect("a request");
    let service = TowerToHyperService::new(router.clone());
    let response = hyper::service::Service::call(&service, request).await.expect("it answers");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a short answer");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

const VERBS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused_at_every_address_with_every_verb() {
    let (router, id) = with_sweep("s").await;
    let mut asked = 0;
    for (path, _) in routes() {
        let path = path.replace("{sweep}", &id.to_string()).replace("{command}", "cancel").replace("{trial}", "0");
        let path = path.replace("{figure}", "curve.svg").replace("{file}", "page.css");
        assert!(!path.contains('{'), "{path}");
        for verb in &VERBS {
            for headers in [
                vec![("host", "evil.example"), ("origin", "http://localhost:7465")],
                vec![("host", "evil.example:7465"), ("sec-fetch-site", "same-origin")],
                vec![("host", HOST), ("origin", "http://evil.example")],
                vec![("host", HOST), ("origin", "null")],
                vec![("host", HOST), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
                vec![],
            ] {
                let (status, _) = ask(&router, verb, &path, &headers).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{verb} {path} {headers:?}");
                asked += 1;
            }
            if *verb != Method::GET {
                let (status, _) = ask(&router, verb, &path, &[("host", HOST)]).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{verb} {path} without an origin");
            }
        }
    }
    assert_eq!(asked, routes().len() * VERBS.len() * 6);
    let (status, page) = ask(&router, &Method::GET, &format!("/sweeps/{id}"), &[("host", HOST)]).await;
    assert!(status == StatusCode::OK && page.contains("running"), "nothing was cancelled: {status} {page}");
}

#[tokio::test]
async fn names_are_shown_as_text_on_every_page() {
    let long = "x".repeat(128);
    for name in ["<script>alert(1)<script>\"'&", "\u{5d0}\u{5d1} \u{200f}abc", &long] {
        let (router, id) = with_sweep(name).await;
        let of_sweep = ["", "/trials/0", "/compare?trial=0&trial=1", "/curves", "/axes", "/findings"];
        let pages = of_sweep.map(|page| format!("/sweeps/{id}{page}"));
        for path in ["/".to_owned()].iter().chain(&pages) {
            let (status, page) = ask(&router, &Method::GET, path, &[("host", HOST)]).await;
            assert_eq!(status, StatusCode::OK, "{path} {page}");
            assert!(!page.contains("<script>alert") && page.contains("<bdi"), "{path} {page}");
        }
    }
}

#[tokio::test]
async fn commands_change_the_sweep_and_answer_with_its_page() {
    let (router, id) = with_sweep("s").await;
    let own = [("host", HOST), ("origin", "http://localhost:7465")];
    let act = async |command: &str| ask(&router, &Method::POST, &format!("/sweeps/{id}/{command}"), &own).await;
    let state = async || ask(&router, &Method::GET, &format!("/sweeps/{id}"), &own).await.1;
    assert_eq!(act("pause").await.0, StatusCode::SEE_OTHER);
    assert!(state().await.contains("state paused"));
    assert_eq!(act("resume").await.0, StatusCode::SEE_OTHER);
    assert!(state().await.contains("state running"));
    let (status, why) = act("retry").await;
    assert!(status == StatusCode::CONFLICT && why.contains("nothing to retry"), "{status} {why}");
    assert_eq!(act("explode").await.0, StatusCode::NOT_FOUND);
    assert_eq!(act("cancel").await.0, StatusCode::SEE_OTHER);
    assert!(state().await.contains("state cancelled"));
    let (status, why) = act("pause").await;
    assert!(status == StatusCode::CONFLICT && why.contains("was cancelled"), "{status} {why}");
}

#[tokio::test]
async fn a_note_is_written_shown_and_removed() {
    let (router, id) = with_sweep("s").await;
    let own = [("host", HOST), ("origin", "http://localhost:7465")];
    let note = async |form| send(&router, &Method::POST, &format!("/sweeps/{id}/note"), &own, form).await;
    let shown = async || ask(&router, &Method::GET, &format!("/sweeps/{id}"), &own).await.1;
    assert_eq!(note("note=first%0D%0A%3Cb%3Esecond").await.0, StatusCode::SEE_OTHER);
    let page = shown().await;
    assert!(page.contains("first\n&#60;b&#62;second"), "{page}");
    assert!(ask(&router, &Method::GET, "/", &own).await.1.contains("<bdi dir=\"auto\">first</bdi>"));
    let (status, why) = note("note=a%1Bb").await;
    assert!(status == StatusCode::BAD_REQUEST && why.contains("control character U+001B"), "{status} {why}");
    let (status, why) = note("note=mine&before=other").await;
    assert!(status == StatusCode::CONFLICT && why.contains("changed meanwhile"), "{status} {why}");
    assert!(shown().await.contains("first"), "a refused note changes nothing");
    assert_eq!(note("note=new&before=first%0D%0A%3Cb%3Esecond").await.0, StatusCode::SEE_OTHER);
    assert_eq!(note("note=").await.0, StatusCode::SEE_OTHER);
    assert!(!shown().await.contains(">new<"));
}

#[tokio::test]
async fn a_wrong_address_says_what_is_wrong() {
    let (router, id) = with_sweep("s").await;
    let own = [("host", HOST)];
    for (path, status, why) in [
        ("/nothing".to_owned(), StatusCode::NOT_FOUND, "no such page"),
        ("/sweeps/none".to_owned(), StatusCode::NOT_FOUND, "no sweep `none`"),
        (format!("/sweeps/{id}?where=rule%3Dmagic"), StatusCode::BAD_REQUEST, "is not one of"),
        (format!("/sweeps/{id}?sort=beauty"), StatusCode::BAD_REQUEST, "not a column"),
        (format!("/sweeps/{id}/trials/8"), StatusCode::NOT_FOUND, "numbered from 0"),
        (format!("/sweeps/{id}/trials/-1"), StatusCode::BAD_REQUEST, "<h1>Not understood</h1>"),
        (format!("/sweeps/{id}/curves?count=-1"), StatusCode::BAD_REQUEST, "<h1>Not understood</h1>"),
        (format!("/sweeps/{id}/pause"), StatusCode::METHOD_NOT_ALLOWED, "<h1>Not possible</h1>"),
        (format!("/sweeps/{id}/compare?trial=1"), StatusCode::BAD_REQUEST, "select 2 to 6"),
        (format!("/sweeps/{id}/axes?x=fold"), StatusCode::BAD_REQUEST, "does not vary"),
        (format!("/sweeps/{id}/jump?trial=abcdef"), StatusCode::NOT_FOUND, "no trial"),
        (format!("/sweeps/{id}/findings/9.svg"), StatusCode::NOT_FOUND, "no such page"),
    ] {
        let (found, page) = ask(&router, &Method::GET, &path, &own).await;
        assert!(found == status && page.contains(why), "{path}: {found} {page}");
    }
    // A filter that matches nothing is no error.
    let (status, page) = ask(&router, &Method::GET, &format!("/sweeps/{id}?where=depth%3D9"), &own).await;
    assert!(status == StatusCode::OK && page.contains("No configuration matches."), "{page}");
    let (status, page) = ask(&router, &Method::GET, &format!("/sweeps/{id}?where=batch_size%3D7"), &own).await;
    assert!(status == StatusCode::OK && page.contains("No configuration matches."), "{page}");
}

/// The series of the metrics, without their values.
async fn series(router: &Router) -> Vec<String> {
    let (status, text) = ask(router, &Method::GET, metrics::PATH, &[("host", HOST)]).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect()
}

#[tokio::test]
async fn the_series_of_the_metrics_do_not_change_with_sweeps_trials_and_workers() {
    let (router, handle) = empty();
    let before = series(&router).await;
    assert!(before.len() > 50 && before.iter().all(|series| !series.contains("sweep=")), "{before:?}");
    for number in 0..20 {
        submit(&handle, &format!("sweep-{number}")).await;
    }
    let mut outboxes = Vec::new();
    for number in 0..20 {
        let (outbox, messages) = driver::outbox(Arc::new(handle.memory.session()));
        let (worker, stream) = (new_id::<WorkerId>(), driver::StreamId(number));
        let description = WorkerDescription { name: format!("w{number}"), lanes: 2, ..WorkerDescription::default() };
        let hello = Hello { worker, description, numerics_version: NUMERICS_VERSION, held: Vec::new() };
        handle.attach(hello, stream, outbox).await.expect("it runs");
        handle.messages_received(worker, stream, vec![ToCoordinator::Poll { lanes: 2 }]).await.expect("it runs");
        outboxes.push(messages);
    }
    let mut lanes = 0;
    for messages in &outboxes {
        let lanes_of = |message: &ToWorker| match message {
            ToWorker::Grant(grant) => Some(grant.lanes.len()),
            _ => None,
        };
        lanes += loop {
            if let Some(lanes) = lanes_of(&messages.next().await.expect("the loop runs")) {
                break lanes;
            }
        };
    }
    assert_eq!(series(&router).await, before);
    let (_, text) = ask(&router, &Method::GET, metrics::PATH, &[("host", HOST)]).await;
    for line in [
        "biosweep_grants_total 20".to_owned(),
        format!("biosweep_lanes_granted_total {lanes}"),
        "biosweep_lease_wait_seconds_count 20".to_owned(),
        format!("biosweep_trials{{state=\"pending\"}} {}", 160 - lanes),
        format!("biosweep_trials{{state=\"running\"}} {lanes}"),
        "biosweep_workers{state=\"training\"} 20".to_owned(),
        format!("biosweep_lanes{{state=\"training\"}} {lanes}"),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
}
