//! Servers that fail, refuse or are no MLflow: a local socket with prepared answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::server::{Credentials, Repetition, Server};
use super::*;

const SHORT: Duration = Duration::from_millis(600);
const LONG: Duration = Duration::from_secs(60);

/// Answers one connection after another, then closes. Returns the address and the heads of the requests.
fn serve(answers: Vec<(u16, String)>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, heads) = channel();
    thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).expect("a request");
            }
            let length =
                head.to_lowercase().split("content-length: ").nth(1).map_or(0, |rest| {
                    rest.lines().next().and_then(|digits| digits.trim().parse().ok()).expect("a length")
                });
            reader.read_exact(&mut vec![0; length]).expect("a body");
            let answer =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).expect("sent");
            drop(sender.send(head));
        }
    });
    (url, heads)
}

fn nobody() -> Credentials {
    Credentials::new("", "", "")
}

fn server(url: &str, patience: Duration) -> Server {
    Server::new(url, nobody(), patience).expect("an address")
}

fn ask(server: &Server) -> Result<Value, ServerError> {
    server.patiently(|_| server.get("experiments/get-by-name", &[("experiment_name", "a b&c")]))
}

#[test]
fn a_server_that_fails_is_asked_again_and_the_action_knows_that() {
    let failing = (503, "busy".to_owned());
    let (url, heads) = serve(vec![failing.clone(), failing, (200, "{\"a\":1}".to_owned())]);
    let server = server(&url, LONG);
    let mut repetitions = Vec::new();
    let answer = server.patiently(|repetition| {
        repetitions.push(repetition);
        server.get("experiments/get-by-name", &[("experiment_name", "a b&c")])
    });
    assert_eq!(answer.expect("the third answer"), json!({ "a": 1 }));
    assert_eq!(repetitions, [Repetition::No, Repetition::Yes, Repetition::Yes]);
    let head = heads.recv().expect("a request");
    assert!(
        head.starts_with("GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=a%20b%26c HTTP/1.1"),
        "{head}"
    );
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
}

#[test]
fn the_patience_with_a_failing_server_ends_with_its_message() {
    let (url, _heads) = serve(vec![(500, "{\"message\":\"disk\\nfull\"}".to_owned()); 9]);
    let error = ask(&server(&url, SHORT)).expect_err("it fails").to_string();
    let expected = format!("the MLflow server {url} fails at experiments/get-by-name (status 500): disk full; look at");
    assert!(error.starts_with(&expected), "{error}");
    assert!(error.ends_with("the same command continues the export"), "{error}");
}

#[test]
fn a_server_that_is_down_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let error = ask(&server(&format!("http://{closed}/"), SHORT)).expect_err("nobody listens");
    assert!(error.is_transient() && !error.is_bad_input());
    assert!(
        error.to_string().starts_with(&format!("the MLflow server http://{closed} cannot be reached: ")),
        "{error}"
    );
}

#[test]
fn a_refusal_is_final_and_says_what_to_do() {
    let code = "{\"error_code\":\"INVALID_PARAMETER_VALUE\",\"message\":\"too long\"}".to_owned();
    let cases = [
        (401, String::new(), "denies access (status 401); set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME"),
        (403, code.clone(), "denies access (status 403)"),
        (400, code, "refuses experiments/get-by-name (INVALID_PARAMETER_VALUE): too long; "),
        (404, "<html>".to_owned(), "does not answer experiments/get-by-name like an MLflow server (status 404)"),
        (302, String::new(), "like an MLflow server (status 302); check the address in --to"),
        (200, "<html>".to_owned(), "like an MLflow server (status 200)"),
    ];
    for (status, body, why) in cases {
        let (url, _heads) = serve(vec![(status, body)]);
        let error = ask(&server(&url, LONG)).expect_err("a refusal").to_string();
        assert!(error.contains(why) && error.contains(&url), "{status}: {error}");
    }
}

#[test]
fn credentials_are_sent_and_a_name_with_a_password_has_precedence() {
    let cases = [
        (
            Credentials::new("Aladdin", "open sesame", "t"),
            Some("authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
        ),
        (Credentials::new("", "", "abc"), Some("authorization: Bearer abc\r\n")),
        (Credentials::new("name", "", "abc"), Some("authorization: Bearer abc\r\n")),
        (Credentials::new("name", "", ""), None),
    ];
    for (credentials, expected) in cases {
        let (url, heads) = serve(vec![(200, "{}".to_owned()); 2]);
        let server = Server::new(&url, credentials, SHORT).expect("an address");
        ask(&server).expect("an answer");
        server.post("runs/create", &json!({})).expect("an answer");
        for _ in 0..2 {
            let head = heads.recv().expect("a request").replace("Authorization", "authorization");
            assert_eq!(head.contains("authorization"), expected.is_some(), "{head}");
            assert!(expected.is_none_or(|expected| head.contains(expected)), "{head}");
        }
    }
}

#[test]
fn an_invalid_address_is_bad_input_and_no_password_is_shown() {
    let cases = [
        ("runs", "http:// or https://"),
        ("databricks://profile", "http:// or https://"),
        ("http://", "it is not an address"),
        ("http://host:70000", "its port is not a number from 1 to 65535"),
        ("http://[::1]:65536/mlflow", "its port is not a number from 1 to 65535"),
        ("http://host/?a=b", "a ? or #"),
        ("http://host/#experiments", "a ? or #"),
        ("https://user:secret@host", "MLFLOW_TRACKING_USERNAME"),
    ];
    for (url, why) in cases {
        let error = Server::new(url, nobody(), SHORT).err().expect(url);
        let text = error.to_string();
        assert!(error.is_bad_input() && text.contains(why), "{url}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(server("https://host:5000/mlflow//", SHORT).url(), "https://host:5000/mlflow");
    assert_eq!(server("http://[::1]", SHORT).url(), "http://[::1]", "an address without a port");
}

#[test]
fn an_experiment_that_is_deleted_takes_no_runs() {
    let answer = json!({ "experiment": { "experiment_id": "1", "lifecycle_stage": "deleted" } });
    let (url, _heads) = serve(vec![(200, answer.to_string())]);
    let error = experiment_id(&server(&url, SHORT), "mine").expect_err("deleted").to_string();
    assert!(error.contains("the experiment `mine` on") && error.contains("mlflow experiments restore"), "{error}");
}
