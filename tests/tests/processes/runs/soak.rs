//! A long life of a coordinator with TLS: 200 workers that train nothing, while the coordinator is killed and stopped and tokens are
//! revoked. No trial is lost or recorded twice, and memory grows with the records only.
//!
//! It takes two minutes. `make test-long` gives it 30, with a million trials.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::version::PROTOCOL_VERSION;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_connection::bearer::Bearer;
use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use biosweep_connection::identity::{Identity, Key};
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_proto::v1;
use biosweep_proto::v1::access_client::AccessClient;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_tests::cluster::secured::Secured;
use nix::sys::signal::Signal;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

const WORKERS: usize = 200;
/// Groups of workers, each with a token of its own.
const GROUPS: usize = 10;
/// Trajectories in a lease, and the pause before their report: together the workers offer 700 trials a second.
const LANES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1_140);
/// Trials for each second of the test: a million in half an hour.
const TRIALS_PER_S: u64 = 556;
/// Seconds from one revocation, and from one end of the coordinator, to the next.
const REVOKE_EVERY_S: f64 = 4.0;
const RESTART_EVERY_S: f64 = 12.0;
/// The share of the test with restarts. Memory is compared in the rest.
const RESTARTING: f64 = 0.6;
/// How much the memory of one coordinator may grow: by its buffers and caches, and by each trial.
const GROWTH_MIB: f64 = 24.0;
const BYTES_PER_TRIAL: f64 = 256.0;
/// The time limit of one step of a connection.
const STEP: Duration = Duration::from_secs(20);

/// What all workers share.
struct Soak {
    url: Mutex<String>,
    /// The connection file of each group.
    files: Vec<Mutex<ConnectionFile>>,
    /// The attempt under which each trajectory was accepted.
    accepted: Mutex<HashMap<u64, u64>>,
    sessions: AtomicU64,
    enrolments: AtomicU64,
    is_over: AtomicBool,
}

impl Soak {
    fn note(&self, trajectory: u64, attempt: u64) {
        let earlier = self.accepted.lock().expect("nobody panics").insert(trajectory, attempt);
        assert!(earlier.is_none_or(|earlier| earlier == attempt), "trajectory {trajectory} was accepted twice");
    }

    fn has_ended(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A worker: its identity, and the reports that nobody has acknowledged.
struct Worker {
    soak: Arc<Soak>,
    group: usize,
    id: WorkerId,
    key: Key,
    identity: Option<Identity>,
    owed: BTreeMap<(u64, u64), v1::AttemptEnded>,
}

impl Worker {
    /// Connects again and again, until the test ends.
    async fn live(mut self) {
        while !self.soak.has_ended() {
            if let Err(status) = self.session().await
                && matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
            {
                // Its token was revoked. Who enrols again is another worker.
                (self.id, self.identity) = (new_id(), None);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn channel(&self, identity: Option<&Identity>) -> Result<(Channel, ConnectionFile), Status> {
        let url = self.soak.url.lock().expect("nobody panics").clone();
        let file = self.soak.files[self.group].lock().expect("nobody panics").clone();
        let dialer = Dialer::new(&url, &file, identity).expect("the file is for this address");
        let endpoint = Endpoint::from_shared(url).expect("an address").connect_timeout(STEP);
        let channel = dialer.connect(&endpoint).await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok((channel, file))
    }

    async fn enrolled(&mut self) -> Result<(), Status> {
        if self.identity.is_none() {
            let (channel, file) = self.channel(None).await?;
            let mut client = AccessClient::with_interceptor(channel, Bearer::new(file.token.as_ref()));
            let request = self.key.request().expect("it signs");
            let enrolled = client.enrol(v1::EnrolRequest { worker: self.id.to_string(), request }).await?;
            self.identity = Some(self.key.with(enrolled.into_inner().chain).expect("its own key"));
            self.soak.enrolments.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// One session, until the connection ends.
    async fn session(&mut self) -> Result<(), Status> {
        let late = |_| Status::deadline_exceeded("a step of the connection");
        timeout(STEP, self.enrolled()).await.map_err(late)??;
        let (channel, _) = self.channel(self.identity.as_ref()).await?;
        let (out, letters) = mpsc::channel(1_024);
        let say = async |message: Up| {
            let message = v1::WorkerMessage { message: Some(message) };
            out.send(message).await.map_err(|_| Status::unavailable("the stream ended"))
        };
        say(Up::Hello(self.hello())).await?;
        let opened = timeout(STEP, WorkersClient::new(channel).session(ReceiverStream::new(letters))).await;
        let mut inbound = opened.map_err(late)??.into_inner();
        let welcome = timeout(STEP, inbound.message()).await.map_err(late)??.and_then(|message| message.message);
        let Some(Down::Welcome(welcome)) = welcome else { return Err(Status::internal(format!("{welcome:?}"))) };
        self.soak.sessions.fetch_add(1, Ordering::Relaxed);
        for report in self.owed.values() {
            say(Up::AttemptEnded(report.clone())).await?;
        }
        say(Up::Poll(v1::Poll { lanes: LANES })).await?;
        let mut beats = interval(Duration::from_millis(welcome.heartbeat_ms));
        while !self.soak.has_ended() {
            let message = tokio::select! {
                message = inbound.message() => message?.and_then(|message| message.message),
                _now = beats.tick() => {
                    say(Up::Heartbeat(v1::Heartbeat { progress: self.progress() })).await?;
                    continue;
                }
            };
            match message {
                None | Some(Down::Drain(_)) => break,
                Some(Down::Grant(grant)) => {
                    sleep(PAUSE).await;
                    for report in reports(&grant) {
                        self.owed.insert((report.attempt, report.trajectory), report.clone());
                        say(Up::AttemptEnded(report)).await?;
                    }
                    say(Up::Poll(v1::Poll { lanes: LANES })).await?;
                }
                Some(Down::Acknowledged(v1::Acknowledged { attempt, trajectories, accepted })) => {
                    for trajectory in trajectories {
                        let was_owed = self.owed.remove(&(attempt, trajectory)).is_some();
                        if accepted && was_owed {
                            self.soak.note(trajectory, attempt);
                        }
                    }
                }
                Some(Down::Stop(v1::Stop { attempt, trajectories, .. })) => {
                    self.owed.retain(|&(of, trajectory), _| of != attempt || !trajectories.contains(&trajectory));
                }
                Some(Down::Welcome(_) | Down::HandBack(_)) => {}
            }
        }
        Ok(())
    }

    fn hello(&self) -> v1::Hello {
        let held = self.owed.values().map(|report| v1::Held {
            sweep: report.sweep.clone(),
            attempt: report.attempt,
            trajectory: report.trajectory,
        });
        v1::Hello {
            worker: self.id.to_string(),
            name: format!("soak/{}", self.group),
            device: "none".to_owned(),
            lanes: LANES,
            version: String::new(),
            numerics_version: NUMERICS_VERSION,
            memory_bytes: 0,
            labels: Vec::new(),
            held: held.collect(),
            environment: Some(v1::NumericEnvironment::default()),
            protocol_version: PROTOCOL_VERSION,
        }
    }

    fn progress(&self) -> Vec<v1::Progress> {
        self.owed.keys().map(|&(attempt, trajectory)| v1::Progress { attempt, trajectory, updates: 1 }).collect()
    }
}

fn reports(grant: &v1::Grant) -> Vec<v1::AttemptEnded> {
    let point = v1::CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
    let report = |lane: &v1::Lane| v1::AttemptEnded {
        sweep: grant.sweep.clone(),
        attempt: grant.attempt,
        trajectory: lane.trajectory,
        outcome: v1::Outcome::Completed as i32,
        curve: vec![point],
        updates: 1,
        ..v1::AttemptEnded::default()
    };
    grant.lanes.iter().map(report).collect()
}

fn token_of(secured: &Secured, group: usize) -> (ConnectionFile, String) {
    let (path, id) = secured.token("worker", &["--label", &format!("group {group}")]);
    let file = ConnectionFile::read(&path).expect("it was made");
    std::fs::remove_file(path).expect("it is ours");
    (file, id)
}

#[test]
fn nothing_is_lost_or_recorded_twice_in_a_long_life_and_memory_does_not_grow() {
    let seconds =
        std::env::var("BIOSWEEP_SOAK_S").ok().map_or(120, |text| text.parse::<NonZeroU64>().expect("seconds").get());
    let trials = seconds * TRIALS_PER_S;
    let mut secured = Secured::default();
    let spec = secured.home().spec(&format!(
        "name = \"soak\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\n\
         rule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = {{ from = 0, count = {trials} }}\n"
    ));
    let (files, mut tokens): (Vec<_>, Vec<_>) = (0..GROUPS).map(|group| token_of(&secured, group)).unzip();
    let soak = Arc::new(Soak {
        url: Mutex::new(secured.url()),
        files: files.into_iter().map(Mutex::new).collect(),
        accepted: Mutex::default(),
        sessions: AtomicU64::new(0),
        enrolments: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let keys = tempfile::tempdir().expect("a folder");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let folder = keys.path().join(number.to_string());
            std::fs::create_dir(&folder).expect("a folder");
            let worker = Worker {
                soak: Arc::clone(&soak),
                group: number % GROUPS,
                id: new_id(),
                key: Key::open(&folder).expect("it is made"),
                identity: None,
                owed: BTreeMap::new(),
            };
            runtime.spawn(worker.live())
        })
        .collect();
    let _sweep = secured.home().json(&["submit", &spec.to_string_lossy()]);

    let clock = Clock::start();
    let (mut next_revocation, mut next_restart) = (REVOKE_EVERY_S, RESTART_EVERY_S);
    let (mut revocations, mut restarts) = (0, 0);
    let mut before = None;
    let done = |secured: &Secured| secured.home().json(&["show", "soak"])["completed"].as_u64().expect("a number");
    while done(&secured) < trials {
        let now = clock.seconds();
        assert!(now < 3.0 * seconds as f64 + 120.0, "{} of {trials} trials are done", done(&secured));
        assert!(workers.iter().all(|worker| !worker.is_finished()), "a worker panicked");
        if now > next_revocation {
            let group = revocations % GROUPS;
            let (file, id) = token_of(&secured, group);
            *soak.files[group].lock().expect("nobody panics") = file;
            let _revoked = secured.home().json(&["token", "revoke", &tokens[group]]);
            tokens[group] = id;
            (revocations, next_revocation) = (revocations + 1, now + REVOKE_EVERY_S);
        }
        if now > next_restart && now < RESTARTING * seconds as f64 {
            secured.end(if restarts % 2 == 0 { Signal::SIGKILL } else { Signal::SIGTERM });
            secured.serve();
            *soak.url.lock().expect("nobody panics") = secured.url();
            (restarts, next_restart) = (restarts + 1, now + RESTART_EVERY_S);
        }
        // The first seconds of a coordinator fill its buffers.
        if before.is_none() && now > RESTARTING.mul_add(seconds as f64, 6.0) {
            before = Some((secured.resident_mib(), done(&secured)));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let (after, (before_mib, before_trials)) = (secured.resident_mib(), before.expect("it is reached before the end"));
    soak.is_over.store(true, Ordering::Relaxed);
    for worker in workers {
        runtime.block_on(worker).expect("a worker does not panic");
    }
    let more = trials - before_trials;
    let (sessions, enrolments) = (soak.sessions.load(Ordering::Relaxed), soak.enrolments.load(Ordering::Relaxed));
    eprintln!(
        "{trials} trials in {:.0} s, {sessions} sessions, {enrolments} enrolments, {restarts} restarts, {revocations} revocations; \
         memory from {before_mib:.0} to {after:.0} MiB in {more} trials",
        clock.seconds()
    );
    let most = GROWTH_MIB + more as f64 * BYTES_PER_TRIAL / f64::from(1 << 20);
    assert!(after - before_mib < most, "{before_mib:.1} MiB became {after:.1} MiB in {more} trials");

    let rows = secured.home().answer(&["results", "soak", "--format", "csv"]);
    let rows: Vec<(&str, &str)> = rows
        .lines()
        .skip(1)
        .map(|row| {
            let mut cells = row.split(',');
            let trial = cells.next().expect("a trial");
            (trial, cells.nth(1).expect("a status"))
        })
        .collect();
    assert_eq!(rows.len() as u64, trials, "no trial has two results");
    assert_eq!(rows.iter().map(|(trial, _)| trial).collect::<HashSet<_>>().len() as u64, trials, "each has one");
    assert!(rows.iter().all(|(_, status)| *status == "completed"));
    assert!(soak.accepted.lock().expect("nobody panicked").len() as u64 <= trials);
    assert!(restarts > 1 && revocations > GROUPS, "{restarts} restarts, {revocations} revocations");
}
