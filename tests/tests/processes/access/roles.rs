//! Access: what tokens and certificates allow, and what nobody gets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use std::{fs, thread};

use biosweep_host::clock::Clock;
use biosweep_tests::cluster::SPEC;
use biosweep_tests::cluster::secured::Secured;
use biosweep_tests::{Home, until, until_ended};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Seconds within which a revocation ends what it revokes.
const GONE_WITHIN: f64 = 2.0;

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", printed(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Checks that a command is refused, and says why.
fn refused(secured: &Secured, connection: &Path, arguments: &[&str], why: &str) {
    let output = secured.ask(connection, arguments);
    let text = printed(&output);
    assert!(!output.status.success() && text.contains(why), "{arguments:?}: {text}");
    assert!(!text.contains("bsj1."), "an error has no secret: {text}");
}

#[test]
fn a_sweep_runs_over_tls_and_each_role_may_do_its_part() {
    let mut secured = Secured::default();
    let spec = secured.home().spec(SPEC).to_string_lossy().into_owned();
    let (submitter, _) = secured.token("submitter", &[]);
    let (viewer, _) = secured.token("viewer", &["--label", "alice"]);
    let (worker, worker_token) = secured.token("worker", &["--uses", "1"]);
    let operator = secured.certificates().join("operator.json");
    fs::write(
        &operator,
        fs::read_to_string(&operator).expect("it was made").replace(&default_address(&operator), &secured.url()),
    )
    .expect("its owner may");

    refused(&secured, &viewer, &["submit", &spec], "needs a token with the role submitter or operator");
    let _sweep = json(&secured.ask(&submitter, &["submit", &spec, "--output", "json"]));
    for connection in [&viewer, &submitter, &operator] {
        let listed = json(&secured.ask(connection, &["list", "--output", "json"]));
        assert_eq!(listed[0]["name"], "small");
    }
    refused(&secured, &worker, &["list"], "needs a token with the role viewer");
    refused(&secured, &viewer, &["cancel", "small"], "needs a token with the role submitter");
    refused(&secured, &submitter, &["token", "list"], "needs a token with the role operator");
    let tokens = json(&secured.ask(&operator, &["token", "list", "--output", "json"]));
    let labels: Vec<&str> =
        tokens.as_array().expect("a list").iter().filter_map(|token| token["label"].as_str()).collect();
    assert_eq!(labels, ["first operator", "", "alice", ""]);

    secured.work(&worker);
    until("the sweep is done", || {
        let status = json(&secured.ask(&viewer, &["show", "small", "--output", "json"]));
        (status["state"] == "finished" && status["completed"] == 12).then_some(())
    });
    let tokens = json(&secured.ask(&operator, &["token", "list", "--output", "json"]));
    let used = tokens.as_array().expect("a list").iter().find(|token| token["id"] == worker_token.as_str());
    assert_eq!(used.map(|token| (&token["uses_left"], &token["workers"])), Some((&Value::from(0), &Value::from(1))));

    // No log and no command line has a secret.
    let coordinator = fs::read_to_string(secured.home().path().join("serve.log")).expect("a log");
    for log in [coordinator, secured.log()] {
        assert!(!log.contains("bsj1."), "{log}");
    }
    for process in fs::read_dir("/proc").expect("processes can be listed").flatten() {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&command).contains("bsj1."), "{}", process.path().display());
    }

    // The token is used up: another worker does not get in, and says why.
    secured.work(&worker);
    assert_eq!(until_ended(secured.last_worker()).code(), Some(3));
    assert!(secured.log().contains("the token has no uses left"), "{}", secured.log());
}

/// The address in the connection file that `certs init` made, before any port was known.
fn default_address(file: &Path) -> String {
    let file: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
    file["addresses"][0].as_str().expect("an address").to_owned()
}

#[test]
fn revoked_means_gone() {
    let mut secured = Secured::default();
    let spec = secured.home().spec(SPEC).to_string_lossy().into_owned();
    let (submitter, token) = secured.token("submitter", &[]);
    let (worker, worker_token) = secured.token("worker", &[]);
    let _sweep = json(&secured.ask(&submitter, &["submit", &spec, "--output", "json"]));
    secured.work(&worker);
    until("the worker trains", || {
        let workers = secured.home().json(&["workers"]);
        (workers[0]["training"].as_array()?.len() == 1).then_some(())
    });
    let mut watching = secured.asking(&submitter, &["watch", "small"]).spawn().expect("it starts");
    thread::sleep(Duration::from_millis(500));

    let revoked = secured.home().json(&["token", "revoke", &worker_token]);
    let clock = Clock::start();
    assert_eq!(revoked["workers"], 1);
    assert_eq!(until_ended(secured.last_worker()).code(), Some(3));
    assert!(clock.seconds() < GONE_WITHIN, "after {} s", clock.seconds());
    assert!(secured.log().contains("the token was revoked"), "{}", secured.log());

    let _revoked = secured.home().json(&["token", "revoke", &token]);
    let clock = Clock::start();
    assert!(!until_ended(&mut watching).success());
    assert!(clock.seconds() < GONE_WITHIN, "after {} s", clock.seconds());
    refused(&secured, &submitter, &["list"], "the token was revoked");

    // The revocation outlives the coordinator.
    secured.end(Signal::SIGKILL);
    secured.serve();
    let _made = secured.token("viewer", &[]);
    let moved = fs::read_to_string(&submitter).expect("a file").replace(&default_address(&submitter), &secured.url());
    fs::write(&submitter, moved).expect("its owner may");
    refused(&secured, &submitter, &["list"], "the token was revoked");
}

#[test]
fn tokens_that_are_not_of_this_coordinator_are_refused() {
    let (secured, other) = (Secured::default(), Secured::default());
    let (viewer, _) = secured.token("viewer", &[]);
    let (foreign, _) = other.token("viewer", &[]);
    let text = fs::read_to_string(&viewer).expect("a file");
    let with = |change: &dyn Fn(Value) -> Value| {
        let changed = change(serde_json::from_str(&text).expect("JSON"));
        fs::write(&viewer, changed.to_string()).expect("its owner may");
    };
    // The coordinator at the address has another authority: the token is not sent.
    let foreign_url = default_address(&foreign);
    with(&|mut file| {
        file["addresses"][0] = foreign_url.clone().into();
        file
    });
    refused(&secured, &viewer, &["list"], "UnknownIssuer");
    // A changed secret, an unknown id, a token that is cut off.
    let changed = |from: usize, to: &str| {
        let mut token =
            serde_json::from_str::<Value>(&text).expect("JSON")["token"].as_str().expect("a token").to_owned();
        let at = token.len() - from;
        token.replace_range(at..at + to.len(), to);
        token
    };
    for token in [changed(4, "0000"), changed(81, "0000000000000000")] {
        with(&|mut file| {
            file["token"] = token.clone().into();
            file
        });
        refused(&secured, &viewer, &["list"], "does not know the token");
    }
    with(&|mut file| {
        file["token"] = changed(4, "0000")[..100].into();
        file
    });
    refused(&secured, &viewer, &["list"], "the token is cut off or changed");
    // A token that expires.
    let (short, _) = secured.token("viewer", &["--expires", "1s"]);
    thread::sleep(Duration::from_millis(1_100));
    refused(&secured, &short, &["list"], "the token has expired");
    // A file that others can read.
    fs::set_permissions(&short, fs::Permissions::from_mode(0o644)).expect("its owner may");
    refused(&secured, &short, &["list"], "chmod 600");
}

#[test]
fn without_tls_or_without_a_token_nobody_gets_in() {
    let secured = Secured::default();
    let address = secured.url().replace("https://", "");
    // A browser without TLS is told to use it.
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("write https://"), "{answer}");
    // A program without TLS gets nothing.
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("it is taken");
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    let plain = format!("http://{address}");
    let output = Home::default().run(&["list", "--coordinator", &plain]);
    assert!(!output.status.success(), "{}", printed(&output));
    // Without a connection file the authority is not known, so nothing is sent.
    let output = Home::default().run(&["list", "--coordinator", &secured.url()]);
    assert!(printed(&output).contains("--connection FILE"), "{}", printed(&output));
    // A connection file without a token has no authority either.
    let home = Home::default();
    let file = home.path().join("bare.json");
    fs::write(&file, format!(r#"{{"addresses": ["{}"]}}"#, secured.url())).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner may");
    refused(&secured, &file, &["list"], "its certificate authority is not known");
}

#[test]
fn other_machines_reach_a_coordinator_only_with_certificates() {
    let home = Home::default();
    let output = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("biosweep certs init"), "{}", printed(&output));
    let _made = home.answer(&["certs", "init"]);
    let again = home.run(&["certs", "init"]);
    assert!(printed(&again).contains("has a certificate authority already"), "{}", printed(&again));
    for file in ["ca.key", "server.key", "operator.json"] {
        let mode = fs::metadata(home.path().join("certs").join(file)).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
