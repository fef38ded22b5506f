//! All interleavings of a small world: two workers, two trajectories, and a few faults at any time. The simulation draws random
//! histories; this test visits every reachable state once.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use biosweep_common::protocol::messages::{ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::protocol::session::{Input, LaneEnd, Output, Owed, Session};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::{Tick, WallTime};
use biosweep_scheduler::batcher::{Batcher, Output as FromBatcher, Request, StreamId};
use biosweep_scheduler::event::{Event, Now};
use biosweep_scheduler::record::{Restored, Submission, TrialResult};
use biosweep_scheduler::scheduler::{Scheduler, Timeouts};
use biosweep_scheduler::tables::pending::PreparedSpec;
use biosweep_store::Store as _;
use biosweep_store::memory::Memory;
use futures::FutureExt as _;
use uuid::Uuid;

use super::number;

const TIMEOUTS: Timeouts = Timeouts { heartbeat_ms: 1_000, lease_ms: 10_000, reconnect_grace_ms: 2_000 };
const WORKERS: usize = 2;
/// The number of faults in one history, of any kind and at any time. One takes seconds; two (`make test-long`) take minutes.
const FAULTS: u64 = 1;

const SPEC: &str = r#"
name = "small"
retries = 1
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
max_updates = 10
[grid]
rule = "bp"
network = "nn"
depth = 1
seed = [0, 1]
"#;

/// The state of the world. The wall clock is not part of it.
#[derive(Debug, Clone)]
struct World {
    batcher: Batcher<()>,
    store: Memory,
    now: u64,
    workers: Vec<Worker>,
    faults_left: u64,
}

#[derive(Debug, Clone)]
struct Worker {
    session: Session,
    /// Whether the worker's stream is open.
    connected: bool,
    up: VecDeque<ToCoordinator>,
    down: VecDeque<ToWorker>,
    training: bool,
    halted: bool,
    spool: BTreeMap<(Attempt, TrajectoryIndex), Owed>,
}

/// A possible next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Up(usize),
    Down(usize),
    Connect(usize),
    Train(usize, Outcome),
    Break(usize),
    KillWorker(usize),
    KillCoordinator,
    Silence,
    Repeat(usize),
    Pause,
    Resume,
}

fn sweep() -> SweepId {
    SweepId(Uuid::from_u128(1))
}

fn id(place: usize) -> WorkerId {
    WorkerId(Uuid::from_u128(place as u128 + 10))
}

fn session(place: usize, owed: Vec<Owed>) -> Session {
    let description = WorkerDescription { name: format!("w{place}"), lanes: 1, ..WorkerDescription::default() };
    Session::new(id(place), description, owed)
}

impl World {
    fn new(spec: &Arc<SweepSpec>) -> Self {
        let now = Now { tick: Tick(0), wall: WallTime(0) };
        let batcher = Batcher::new(Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new()));
        let worker = |place| Worker {
            session: session(place, Vec::new()),
            connected: false,
            up: VecDeque::new(),
            down: VecDeque::new(),
            training: false,
            halted: false,
            spool: BTreeMap::new(),
        };
        let workers = (0..WORKERS).map(worker).collect();
        let mut world =
            Self { batcher, store: Memory::default(), now: 0, workers, faults_left: number("BIOSWEEP_FAULTS", FAULTS) };
        let (_, text) = SweepSpec::parse_to_store(SPEC.to_owned(), Format::Toml, "small").expect("a good spec");
        let submission = Submission::new(sweep(), spec, text, WallTime(0));
        let submission = Box::new(submission);
        let prepared = PreparedSpec::new(Arc::clone(spec));
        world
            .send_event(Event::Submitted { submission, prepared, reused: Arc::default() })
            .expect("a sweep is submitted");
        world
    }

    fn now(&self) -> Now {
        Now { tick: Tick(self.now), wall: WallTime(0) }
    }

    fn send_event(&mut self, event: Event) -> Result<(), String> {
        self.request(Request::Event { event, caller: () })
    }

    fn tick(&mut self) -> Result<(), String> {
        let now = self.now();
        self.batcher.tick(now);
        self.commit()
    }

    /// Applies a request, commits its records and releases its outputs at once.
    fn request(&mut self, request: Request<()>) -> Result<(), String> {
        let now = self.now();
        let outputs = self.batcher.on_request(now, request);
        self.deliver(outputs);
        self.commit()
    }

    fn commit(&mut self) -> Result<(), String> {
        self.batcher.scheduler().check()?;
        let (records, outputs) = self.batcher.begin();
        self.deliver(outputs);
        if let Some(records) = records {
            self.store.commit(&records).now_or_never().expect("memory").map_err(|error| error.to_string())?;
            let now = self.now();
            let outputs = self.batcher.committed(now);
            self.deliver(outputs);
        }
        Ok(())
    }

    fn deliver(&mut self, outputs: Vec<FromBatcher<()>>) {
        for output in outputs {
            let FromBatcher::Send { worker, messages } = output else { continue };
            let worker = self.workers.iter_mut().enumerate().find(|(place, _)| id(*place) == worker);
            if let Some((_, worker)) = worker.filter(|(_, worker)| worker.connected) {
                worker.down.extend(messages);
            }
        }
    }

    /// Receives a message of a worker. A worker has one stream at a time, so the number of the stream need not change.
    fn receive(&mut self, place: usize, message: ToCoordinator) -> Result<(), String> {
        let stream = StreamId(place as u64);
        self.request(match message {
            ToCoordinator::Hello(hello) => Request::Attach { hello, stream },
            message => Request::Messages { worker: id(place), stream, messages: vec![message] },
        })
    }

    fn input(&mut self, place: usize, input: Input) {
        let worker = &mut self.workers[place];
        for output in worker.session.apply(input) {
            match output {
                Output::Send(message) if worker.connected => worker.up.push_back(message),
                Output::Train(_) => (worker.training, worker.halted) = (true, false),
                Output::Halt { .. } => worker.halted = true,
                Output::Keep(owed) => {
                    drop(worker.spool.insert((owed.report.held.attempt, owed.report.held.trajectory), *owed));
                }
                Output::Forget { held, .. } => drop(worker.spool.remove(&(held.attempt, held.trajectory))),
                Output::Send(_) | Output::Discard(_) | Output::Beat { .. } | Output::Exit => {}
                Output::Reconnect => unreachable!("all coordinators have the same number"),
            }
        }
    }

    /// All steps that are possible now.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (place, worker) in self.workers.iter().enumerate() {
            let may = [
                (!worker.up.is_empty(), Step::Up(place)),
                (!worker.down.is_empty(), Step::Down(place)),
                (!worker.connected, Step::Connect(place)),
                (worker.training && !worker.halted, Step::Train(place, Outcome::Completed)),
                (worker.training && worker.halted, Step::Train(place, Outcome::Preempted)),
            ];
            steps.extend(may.into_iter().filter(|(may, _)| *may).map(|(_, step)| step));
            if self.faults_left > 0 {
                let repeats = matches!(worker.up.front(), Some(ToCoordinator::AttemptEnded(_)));
                let may = [
                    (worker.connected, Step::Break(place)),
                    (worker.training && !worker.halted, Step::Train(place, Outcome::Failed)),
                    (repeats, Step::Repeat(place)),
                    (true, Step::KillWorker(place)),
                ];
                steps.extend(may.into_iter().filter(|(may, _)| *may).map(|(_, step)| step));
            }
        }
        let state = self.batcher.scheduler().sweep_view(sweep()).map(|view| view.state);
        if self.faults_left > 0 {
            steps.extend([Step::KillCoordinator, Step::Silence]);
            steps.extend((state == Some(SweepState::Running)).then_some(Step::Pause));
        }
        steps.extend((state == Some(SweepState::Paused)).then_some(Step::Resume));
        steps
    }

    fn take(&mut self, step: Step, spec: &Arc<SweepSpec>) -> Result<(), String> {
        let is_fault = !matches!(
            step,
            Step::Up(_)
                | Step::Down(_)
                | Step::Connect(_)
                | Step::Train(_, Outcome::Completed | Outcome::Preempted)
                | Step::Resume
        );
        self.faults_left -= u64::from(is_fault);
        match step {
            Step::Up(place) => {
                let message = self.workers[place].up.pop_front().expect("a message is in flight");
                self.receive(place, message)
            }
            Step::Repeat(place) => {
                let message = self.workers[place].up.front().expect("a message is in flight").clone();
                self.receive(place, message)
            }
            Step::Down(place) => {
                let message = self.workers[place].down.pop_front().expect("a message is in flight");
                self.input(place, Input::Received(message));
                Ok(())
            }
            Step::Connect(place) => {
                self.workers[place].connected = true;
                self.input(place, Input::Connected);
                Ok(())
            }
            Step::Train(place, outcome) => {
                self.workers[place].training = false;
                let point =
                    CurvePoint { update: 10, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
                let curve = if outcome == Outcome::Completed { vec![point] } else { Vec::new() };
                let cause = (outcome == Outcome::Failed).then(|| "no luck".to_owned());
                let end = LaneEnd {
                    outcome,
                    cause,
                    curve,
                    diagnostics: Vec::new(),
                    updates: 10,
                    seconds: 1.0,
                    dataset_size: None,
                };
                self.input(place, Input::LaneEnded { lane: 0, end });
                self.input(place, Input::BundleDone);
                Ok(())
            }
            Step::Break(place) => {
                self.cut(place);
                self.request(Request::Detach { worker: id(place), stream: StreamId(place as u64) })
            }
            Step::KillWorker(place) => {
                self.cut(place);
                let reports = self.workers[place].spool.values().cloned().collect();
                self.workers[place].session = session(place, reports);
                (self.workers[place].training, self.workers[place].halted) = (false, false);
                self.send_event(Event::Died { worker: id(place), cause: "killed".to_owned() })
            }
            Step::KillCoordinator => {
                (0..WORKERS).for_each(|place| self.cut(place));
                let restored =
                    self.store.restore().now_or_never().expect("memory").map_err(|error| error.to_string())?;
                let specs = vec![PreparedSpec::new(Arc::clone(spec)); restored.sweeps.len()];
                self.batcher = Batcher::new(Scheduler::restore(TIMEOUTS, self.now(), &restored, specs));
                self.batcher.scheduler().check()
            }
            Step::Silence => {
                self.now += TIMEOUTS.lease_ms;
                self.tick()
            }
            Step::Pause => self.send_event(Event::Paused(sweep())),
            Step::Resume => self.send_event(Event::Resumed(sweep())),
        }
    }

    fn cut(&mut self, place: usize) {
        let worker = &mut self.workers[place];
        worker.connected = false;
        worker.up.clear();
        worker.down.clear();
    }

    /// Checks that the sweep finishes without further faults, if the first possible step is always taken. `finishing` has the
    /// states that are known to finish.
    fn check_that_it_finishes(
        mut self,
        spec: &Arc<SweepSpec>,
        finishing: &mut HashSet<Fingerprint>,
    ) -> Result<(), String> {
        self.faults_left = 0;
        let mut passed = Vec::new();
        for _ in 0..200 {
            let state = self.fingerprint_with_results();
            if finishing.contains(&state) {
                finishing.extend(passed);
                return Ok(());
            }
            passed.push(state);
            match self.steps().first().copied() {
                Some(step) => self.take(step, spec)?,
                None if self.is_finished() => {
                    finishing.extend(passed);
                    return self.has_each_result_once();
                }
                // No step is possible, so a heartbeat interval passes.
                None => {
                    self.now += TIMEOUTS.heartbeat_ms;
                    for place in 0..WORKERS {
                        self.input(place, Input::HeartbeatDue(vec![0]));
                    }
                    self.tick()?;
                }
            }
        }
        Err("the sweep does not finish".to_owned())
    }

    fn is_finished(&self) -> bool {
        let row = self.store.sweep(sweep()).now_or_never().expect("memory").expect("reads");
        row.is_some_and(|row| row.state == SweepState::Finished)
    }

    fn results(&self) -> Vec<TrialResult> {
        self.store.results(sweep(), TrialIndex(0), 99).now_or_never().expect("memory").expect("reads")
    }

    fn has_each_result_once(&self) -> Result<(), String> {
        let results = self.results();
        // A trajectory has one retry, so two faults may make it fail.
        let sound = results.iter().all(|result| {
            let score = result.score.map(|score| score.test_accuracy);
            match result.status {
                TrialStatus::Completed => score == Some(0.5),
                TrialStatus::Failed => score.is_none(),
                TrialStatus::Diverged => false,
            }
        });
        let trials: Vec<u64> = results.iter().map(|result| result.trial.0).collect();
        if sound && trials == [0, 1] { Ok(()) } else { Err(format!("the sweep ends with {results:?}")) }
    }

    /// The digest of the state. The store is left out: its contents beyond the scheduler's state do not affect later steps.
    fn fingerprint(&self) -> Fingerprint {
        digest(&self.written())
    }

    /// The digest of the state and of the results in the store.
    fn fingerprint_with_results(&self) -> Fingerprint {
        digest(&(self.written() + &format!("{:?}", self.results())))
    }

    fn written(&self) -> String {
        let Self { batcher, store: _, now, workers, faults_left } = self;
        format!("{batcher:?}{now}{workers:?}{faults_left}")
    }
}

/// What distinguishes a state from all others.
type Fingerprint = [u8; 16];

fn digest(text: &str) -> Fingerprint {
    *blake3::hash(text.as_bytes()).as_bytes().first_chunk().expect("a digest has 32 bytes")
}

#[test]
fn every_interleaving_of_a_small_world_ends_with_one_result_per_trial() {
    let spec = Arc::new(SweepSpec::parse(SPEC, Format::Toml, "small").expect("a good spec"));
    let first = World::new(&spec);
    let (mut seen, mut finishing) = (HashSet::from([first.fingerprint()]), HashSet::new());
    let mut open = vec![(first, Vec::new())];
    while let Some((world, history)) = open.pop() {
        for step in world.steps() {
            let mut next = world.clone();
            let mut history = history.clone();
            history.push(step);
            let taken = next.take(step, &spec);
            let taken = taken.and_then(|()| {
                let is_new = seen.insert(next.fingerprint());
                if is_new {
                    next.clone().check_that_it_finishes(&spec, &mut finishing).map(|()| true)
                } else {
                    Ok(false)
                }
            });
            match taken {
                Ok(true) if !next.is_finished() => open.push((next, history)),
                Ok(_) => {}
                Err(broken) => panic!("{broken}, after {history:?}"),
            }
        }
    }
    println!("{} states", seen.len());
}
