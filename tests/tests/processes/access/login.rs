//! The login of browsers: a token in a form, a cookie, and what each role may do on the page.

use std::sync::Arc;

use biosweep_tests::cluster::QUICK_SPEC;
use biosweep_tests::cluster::secured::Secured;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A browser that trusts the coordinator's authority.
struct Browser {
    connector: TlsConnector,
    address: String,
}

impl Browser {
    fn of(secured: &Secured) -> Self {
        let authority = std::fs::read(secured.certificates().join("ca.pem")).expect("it was made");
        let mut roots = RootCertStore::empty();
        let authority = pem::parse(authority).expect("PEM").into_contents();
        roots.add(CertificateDer::from(authority)).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        // As browsers do: both protocols, HTTP/2 first.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let address = secured.url().replace("https://", "");
        Self { connector: TlsConnector::from(Arc::new(config)), address }
    }

    /// The answer to a request, with its head.
    async fn ask(&self, method: &str, path: &str, cookie: Option<&str>, form: &str) -> String {
        let port = self.address.rsplit(':').next().expect("a port");
        let stream = TcpStream::connect(&self.address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = self.connector.connect(name, stream).await.expect("the certificate names this machine");
        let cookie = cookie.map(|cookie| format!("cookie: other=1; {cookie}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{port}\r\norigin: https://localhost:{port}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n{cookie}\r\n{form}",
            form.len()
        );
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut answer = Vec::new();
        // The end may come without TLS's own end.
        let _end = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Logs in with the token of a connection file, and returns the cookie.
    async fn log_in(&self, file: &std::path::Path) -> String {
        let file: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
        let form = format!("token={}", file["token"].as_str().expect("a token"));
        let answer = self.ask("POST", "/login", None, &form).await;
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        assert!(["HttpOnly", "Secure", "SameSite=Strict"].iter().all(|part| cookie.contains(part)), "{cookie}");
        cookie.split(';').next().expect("a value").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_a_token_and_each_role_may_do_its_part() {
    let secured = Secured::default();
    let spec = secured.home().spec(QUICK_SPEC).to_string_lossy().into_owned();
    let sweep = secured.home().json(&["submit", &spec])["id"].as_str().expect("an id").to_owned();
    let (viewer, token) = secured.token("viewer", &[]);
    let (submitter, _) = secured.token("submitter", &[]);
    let (worker, _) = secured.token("worker", &[]);
    let browser = Browser::of(&secured);

    for path in ["/", "/events", &format!("/sweeps/{sweep}")] {
        let answer = browser.ask("GET", path, None, "").await;
        assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /login"), "{path}: {answer}");
    }
    let form = browser.ask("GET", "/login", None, "").await;
    assert!(form.starts_with("HTTP/1.1 200") && form.contains("name=\"token\""), "{form}");
    assert!(browser.ask("GET", "/assets/page.css", None, "").await.starts_with("HTTP/1.1 200"));
    let worker: Value = serde_json::from_slice(&std::fs::read(worker).expect("a file")).expect("JSON");
    let worker = worker["token"].as_str().expect("a token");
    for bad in
        ["", "token=", "token=bsj1.x", &format!("token={}", worker.replace('a', "b")), &format!("token={worker}")]
    {
        let answer = browser.ask("POST", "/login", None, bad).await;
        assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("set-cookie"), "{bad}: {answer}");
    }

    let pause = format!("/sweeps/{sweep}/pause");
    assert!(browser.ask("POST", &pause, None, "").await.starts_with("HTTP/1.1 401"));
    let cookie = browser.log_in(&viewer).await;
    let page = browser.ask("GET", "/", Some(&cookie), "").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("small"), "{page}");
    let refused = browser.ask("POST", &pause, Some(&cookie), "").await;
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("submitter"), "{refused}");
    let cookie_of_submitter = browser.log_in(&submitter).await;
    assert!(browser.ask("POST", &pause, Some(&cookie_of_submitter), "").await.starts_with("HTTP/1.1 303"));
    assert_eq!(secured.home().json(&["show", "small"])["state"], "paused");

    // An open stream of events ends when the token is revoked.
    let events = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        let listening = browser.ask("GET", "/events", Some(&cookie), "");
        let revoking = tokio::task::spawn_blocking(move || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            let _revoked = secured.home().json(&["token", "revoke", &token]);
            secured
        });
        let (events, secured) = tokio::join!(listening, revoking);
        (events, secured.expect("it does not panic"))
    });
    let (events, _secured) = events.await.expect("the stream ends");
    assert!(events.starts_with("HTTP/1.1 200") && events.contains("event: change"), "{events}");
    assert!(browser.ask("GET", "/", Some(&cookie), "").await.starts_with("HTTP/1.1 303"));
}
