//! Certificates: those of servers that are not the coordinator, and those of workers that are not what they say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_connection::bearer::Bearer;
use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use biosweep_connection::identity::{Identity, Key};
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_proto::v1;
use biosweep_proto::v1::access_client::AccessClient;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_server::access::authority::{Authority, KeyRequest};
use biosweep_tests::Home;
use biosweep_tests::cluster::secured::Secured;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const DAY_MS: u64 = 86_400_000;

fn connection(secured: &Secured, file: &Path) -> (String, ConnectionFile) {
    (secured.url(), ConnectionFile::read(file).expect("it was made"))
}

/// A channel to the coordinator with a worker's certificate.
async fn channel(secured: &Secured, file: &Path, identity: Option<&Identity>) -> Result<Channel, String> {
    let (url, connection) = connection(secured, file);
    let dialer = Dialer::new(&url, &connection, identity).expect("they fit");
    let endpoint = Endpoint::from_shared(url).expect("an address").connect_timeout(Duration::from_secs(5));
    dialer.connect(&endpoint).await.map_err(|error| format!("{error:?}"))
}

/// The answer to a worker's hello.
async fn greeted(channel: Channel, worker: WorkerId) -> Result<v1::CoordinatorMessage, Status> {
    let hello = crate::peers::hostile::hello_of(worker);
    let messages = tokio_stream::StreamExt::chain(tokio_stream::iter([hello]), tokio_stream::pending());
    let mut answers = WorkersClient::new(channel).session(messages).await?.into_inner();
    answers.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))
}

/// A worker's key, in a folder of its own.
struct Machine {
    _home: Home,
    folder: PathBuf,
    key: Key,
    worker: WorkerId,
}

impl Machine {
    fn new() -> Self {
        let home = Home::default();
        let folder = home.path().to_owned();
        Self { key: Key::open(&folder).expect("it is made"), folder, _home: home, worker: new_id() }
    }

    fn request(&self) -> Vec<u8> {
        self.key.request().expect("it signs")
    }

    /// The certificate that an authority signs for a worker at a time.
    fn signed_by(&self, authority: &Authority, worker: WorkerId, at: WallTime) -> Identity {
        let request = KeyRequest::read(&self.request()).expect("a request");
        self.key.with(authority.sign_worker(&request, worker, at).expect("it signs")).expect("its own key")
    }

    async fn enrol(&self, secured: &Secured, file: &Path, request: Vec<u8>) -> Result<Vec<Vec<u8>>, Status> {
        let channel = channel(secured, file, None).await.expect("the server is the coordinator");
        let token = connection(secured, file).1.token;
        let mut client = AccessClient::with_interceptor(channel, Bearer::new(token.as_ref()));
        let enrolled = client.enrol(v1::EnrolRequest { worker: self.worker.to_string(), request }).await?;
        Ok(enrolled.into_inner().chain)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_bound_to_its_worker() {
    let secured = Secured::default();
    let (file, token) = secured.token("worker", &[]);
    let now = Clock::start().wall();
    let (one, two) = (Machine::new(), Machine::new());
    let identity = one.key.with(one.enrol(&secured, &file, one.request()).await.expect("it is enrolled"));
    let identity = identity.expect("its own key");
    let connected = channel(&secured, &file, Some(&identity)).await.expect("it is valid");
    let answer = greeted(connected.clone(), one.worker).await.expect("it is welcome");
    assert!(matches!(answer.message, Some(v1::coordinator_message::Message::Welcome(_))), "{answer:?}");

    // As another worker, as a user, and with another key.
    let refused = greeted(connected.clone(), two.worker).await.expect_err("it is another worker");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let refused = SweepsClient::new(connected.clone()).list(v1::ListRequest {}).await.expect_err("a worker is no user");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let mut access = AccessClient::with_interceptor(connected.clone(), Bearer::new(None));
    let refused = access.renew(v1::RenewRequest { request: two.request() }).await.expect_err("another key");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let renewed = access.renew(v1::RenewRequest { request: one.request() }).await.expect("its own key");
    assert!(one.key.with(renewed.into_inner().chain).is_ok());
    let thief = Machine { worker: one.worker, ..Machine::new() };
    let refused = thief.enrol(&secured, &file, thief.request()).await.expect_err("the id has another key");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");

    // Certificates of the right authority: expired, of a worker that never enrolled, and of a foreign authority.
    let authority = Authority::open(&secured.certificates()).expect("its own");
    let expired = one.signed_by(&authority, one.worker, WallTime(now.0 - 2 * DAY_MS));
    let stranger = two.signed_by(&authority, two.worker, now);
    let foreign = Home::default();
    let foreign = Authority::create(&foreign.path().join("ca"), now).expect("a new one");
    let foreign = one.signed_by(&foreign, one.worker, now);
    for identity in [&expired, &foreign] {
        // With TLS 1.3 a client learns of the refusal after its handshake.
        let answer = match channel(&secured, &file, Some(identity)).await {
            Ok(channel) => greeted(channel, one.worker).await.map_err(|status| status.to_string()),
            Err(error) => Err(error),
        };
        assert!(answer.is_err(), "{answer:?}");
    }
    let connected_stranger = channel(&secured, &file, Some(&stranger)).await.expect("the authority is right");
    let refused = greeted(connected_stranger, two.worker).await.expect_err("it never enrolled");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");

    // After the revocation neither the certificate nor the token gets in.
    let _revoked = secured.home().json(&["token", "revoke", &token]);
    let refused = greeted(connected, one.worker).await.expect_err("it is revoked");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let refused = two.enrol(&secured, &file, two.request()).await.expect_err("the token is revoked");
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    assert!(one.folder.join("key.pem").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_enrols_under_the_id_of_a_worker_that_the_owner_started() {
    let secured = Secured::default();
    let (file, _) = secured.token("worker", &[]);
    let (thief, other) = (Machine::new(), Machine::new());
    // The owner's worker has the token of the home, and no certificate.
    let owner = secured.home().path().join("coordinator.json");
    let token = connection(&secured, &owner).1.token;
    let channel = channel(&secured, &owner, None).await.expect("the server is the coordinator");
    let hello = tokio_stream::iter([crate::peers::hostile::hello_of(thief.worker)]);
    let mut client = WorkersClient::with_interceptor(channel, Bearer::new(token.as_ref()));
    let mut answers = client.session(tokio_stream::StreamExt::chain(hello, tokio_stream::pending())).await;
    let answer = answers.as_mut().expect("the owner may").get_mut().message().await.expect("it is welcome");
    assert!(answer.is_some());

    let refused = thief.enrol(&secured, &file, thief.request()).await.expect_err("the id is taken");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("the owner of the coordinator started"), "{refused}");
    drop(answers);
    assert!(thief.enrol(&secured, &file, thief.request()).await.is_err(), "it may come back");
    assert!(other.enrol(&secured, &file, other.request()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_more_than_a_certificate_is_refused() {
    let secured = Secured::default();
    let (file, _) = secured.token("worker", &[]);
    let machine = Machine::new();
    let asking = |change: &dyn Fn(&mut CertificateParams)| {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        change(&mut parameters);
        let key = KeyPair::generate().expect("a key");
        parameters.serialize_request(&key).expect("it signs").der().to_vec()
    };
    let uri = "biosweep:worker/00000000-0000-0000-0000-000000000000".try_into().expect("ASCII");
    let requests = [
        asking(&|parameters| parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        asking(&|parameters| parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        asking(&|parameters| {
            parameters.subject_alt_names =
                vec![SanType::DnsName("coordinator.biosweep.internal".try_into().expect("ASCII"))];
        }),
        asking(&|parameters| parameters.subject_alt_names = vec![SanType::URI(rcgen::string::Ia5String::clone(&uri))]),
        Vec::new(),
        vec![0; 100_000],
        machine.request().iter().map(|byte| byte ^ 1).collect(),
    ];
    for request in requests {
        let refused = machine.enrol(&secured, &file, request).await.expect_err("it asks for more");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    assert!(machine.enrol(&secured, &file, machine.request()).await.is_ok());
}

/// A server with this certificate, which counts the bytes that it receives after the handshake.
async fn impostor(chain: Vec<Vec<u8>>, key: &KeyPair) -> (String, Arc<AtomicUsize>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let mut config = config.with_no_client_auth().with_single_cert(chain, key).expect("they fit");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut bytes = [0; 1_024];
                while let Ok(len @ 1..) = stream.read(&mut bytes).await {
                    counted.fetch_add(len, Ordering::Relaxed);
                }
            });
        }
    });
    (format!("https://{address}"), received)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_sent_to_a_server_of_another_authority() {
    let secured = Secured::default();
    let (file, _) = secured.token("worker", &[]);
    let genuine = std::fs::read(secured.certificates().join("ca.pem")).expect("it was made");
    let genuine = pem::parse(genuine).expect("PEM").into_contents();
    let named = |name: &str| {
        let mut parameters = CertificateParams::new(vec!["coordinator.biosweep.internal".to_owned()]).expect("a name");
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters
    };
    let authority = |name: &str| {
        let mut parameters = named(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("it signs").der().to_vec();
        (Issuer::new(parameters, key), certificate)
    };
    let leaf = KeyPair::generate().expect("a key");
    let mut chains = vec![vec![named("self-signed").self_signed(&leaf).expect("it signs").der().to_vec()]];
    for name in ["another", "biosweep certificate authority"] {
        let (issuer, certificate) = authority(name);
        let signed = named("server").signed_by(&leaf, &issuer).expect("it signs").der().to_vec();
        chains.push(vec![signed.clone(), certificate]);
        // The impostor sends the certificate of the genuine authority along.
        chains.push(vec![signed, genuine.clone()]);
    }
    for chain in chains {
        let (url, received) = impostor(chain, &leaf).await;
        let mut connection = ConnectionFile::read(&file).expect("it was made");
        connection.addresses = vec![url.clone()];
        let dialer = Dialer::new(&url, &connection, None).expect("they fit");
        let endpoint = Endpoint::from_shared(url).expect("an address").connect_timeout(Duration::from_secs(5));
        let connected = dialer.connect(&endpoint).await;
        if let Ok(channel) = connected {
            let mut client = AccessClient::with_interceptor(channel, Bearer::new(connection.token.as_ref()));
            let request =
                Request::new(v1::EnrolRequest { worker: new_id::<WorkerId>().to_string(), request: Vec::new() });
            client.enrol(request).await.expect_err("nobody is there");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(received.load(Ordering::Relaxed), 0, "nothing is sent after the handshake");
    }
}
