//! What happens next in the simulated world.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use biosweep_common::clock::{Tick, WallTime};
use biosweep_common::curve::Score;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::messages::{Held, Report, ToCoordinator, ToWorker};
use biosweep_common::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{Format, SweepSpec};
use futures::FutureExt as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::process::{Coordinator, Request, StreamId, Worker};
use super::session::{Input, Output};
use crate::core::event::{Action, Event, Now};
use crate::core::scheduler::{Core, Patience};
use crate::store::Store as _;
use crate::store::memory::Memory;
use crate::store::record::{Record, Submission};

const PATIENCE: Patience = Patience { heartbeat_ms: 1_000, lease_ms: 8_000, rebirth_ms: 2_000 };
const WORKERS: usize = 4;
/// Faults cease after so much time of the world, and then it has to come to its end within as much again.
const TROUBLED_MS: u64 = 90_000;
const CALM_MS: u64 = 600_000;
/// Steps that a failure shows.
const SHOWN: usize = 40;

const SPECS: [&str; 2] = [
    r#"
name = "one"
retries = 2
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
[grid]
rule = "bp"
network = "nn"
depth = [1, 2]
seed = { from = 0, count = 12 }
max_updates = [20, 40]
"#,
    r#"
name = "two"
retries = 1
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
[grid]
rule = ["bp", "fa"]
network = "dn"
depth = 3
seed = { from = 0, count = 8 }
max_updates = 30
"#,
];

/// How often what goes wrong: chances in 1,000, for each step of its kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// A message breaks its stream.
    breaks: u32,
    /// A report is said twice, or overtaken.
    repeats: u32,
    /// A commit fails.
    commits: u32,
    /// A lane fails.
    fails: u32,
    /// A bad worker's lane fails, where there is one.
    fails_on_bad: u32,
    /// Once in a while, something of a process or a person.
    mishaps: bool,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Each world has its own weather.
    pub(super) fn all(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xfa11);
        Self {
            breaks: rng.random_range(0..20),
            repeats: rng.random_range(0..200),
            commits: rng.random_range(0..40),
            fails: rng.random_range(0..30),
            fails_on_bad: if rng.random_bool(0.3) { 900 } else { 0 },
            mishaps: true,
        }
    }
}

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Happening {
    /// What a worker said arrives.
    Up { worker: WorkerId, stream: StreamId, message: ToCoordinator },
    /// What the coordinator said arrives.
    Down { slot: usize, stream: StreamId, message: ToWorker },
    /// The coordinator notices that a stream is gone.
    Noticed { worker: WorkerId, stream: StreamId },
    /// A worker connects.
    Connect { slot: usize, life: u64 },
    /// A worker's trainer has done a while's work.
    Trained { slot: usize, life: u64, bundle: Attempt },
    /// A worker's heart beats.
    Beat { slot: usize, life: u64, stream: StreamId },
    /// A worker is started.
    Start { slot: usize },
    /// The coordinator is started.
    Restart,
    /// The loop commits what it has decided.
    Commit,
    /// The loop's clock rings.
    Tick,
    /// Something of a process or a person.
    Mishap,
    /// A person looks after what stands still.
    Look,
}

/// A seeded world.
pub(super) struct World {
    rng: ChaCha8Rng,
    faults: Faults,
    now: u64,
    /// By how much the coordinator's clock is ahead: its machine slept.
    slept: u64,
    wall: u64,
    steps: u64,
    sequence: u64,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    store: Arc<Memory>,
    coordinator: Option<Coordinator>,
    workers: Vec<Option<Worker>>,
    lives: u64,
    /// The slot whose worker fails what others complete.
    bad: usize,
    /// Reports on disk.
    spool: BTreeMap<WorkerId, BTreeMap<(Attempt, TrajectoryIndex), Report>>,
    shelf: BTreeMap<(SweepId, TrajectoryIndex), u64>,
    specs: BTreeMap<SweepId, Arc<SweepSpec>>,
    /// Open streams, by the slot of their worker; when each way is free.
    streams: BTreeMap<StreamId, (usize, u64, u64)>,
    last_stream: StreamId,
    /// Sweeps whose owner paused them.
    paused: BTreeSet<SweepId>,
    /// Kinds of records that were kept.
    kinds: BTreeSet<&'static str>,
    history: VecDeque<String>,
}

/// What a trial found, wherever and however often it was tried.
pub(super) type Found = (TrialStatus, Option<Score>);

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bad = rng.random_range(0..WORKERS);
        let mut world = Self {
            rng,
            faults,
            now: 0,
            slept: 0,
            wall: 1_800_000_000_000,
            steps: 0,
            sequence: 0,
            agenda: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            store: Arc::new(Memory::default()),
            coordinator: None,
            workers: (0..WORKERS).map(|_| None).collect(),
            lives: 0,
            bad,
            spool: BTreeMap::new(),
            shelf: BTreeMap::new(),
            specs: BTreeMap::new(),
            streams: BTreeMap::new(),
            last_stream: 0,
            paused: BTreeSet::new(),
            kinds: BTreeSet::new(),
            history: VecDeque::new(),
        };
        world.soon(0, Happening::Restart);
        for slot in 0..WORKERS {
            world.soon(10, Happening::Start { slot });
        }
        world.soon(500, Happening::Mishap);
        world.soon(1_000, Happening::Look);
        world
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn last_steps(&self) -> String {
        self.history.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// What every trial found.
    pub(super) fn results(&self) -> BTreeMap<(String, TrialIndex), Found> {
        let mut results = BTreeMap::new();
        for (&id, spec) in &self.specs {
            let rows = self.store.results(id, TrialIndex(0), u32::MAX).now_or_never().expect("memory").expect("reads");
            results.extend(rows.into_iter().map(|row| ((spec.name.clone(), row.trial), (row.status, row.score))));
        }
        results
    }

    /// Runs until every sweep has finished.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let end = if self.faults.mishaps { TROUBLED_MS + CALM_MS } else { CALM_MS };
        while let Some(Reverse((at, sequence))) = self.agenda.pop() {
            let happening = self.happenings.remove(&sequence).expect("what is on the agenda happens");
            self.wall += at - self.now;
            self.now = at;
            if at > end {
                return Err(format!("it does not come to its end: {:?}", self.states()));
            }
            if self.faults.mishaps && at > TROUBLED_MS {
                self.faults = Faults { fails_on_bad: self.faults.fails_on_bad, mishaps: true, ..Faults::none() };
            }
            self.steps += 1;
            self.remember(&happening);
            self.happen(happening)?;
            if let Some(coordinator) = &self.coordinator {
                coordinator.core.check()?;
            }
            if self.is_over() {
                return Ok(());
            }
        }
        Err("nothing happens any more".to_owned())
    }

    fn is_over(&self) -> bool {
        let calm = !self.faults.mishaps || self.now > TROUBLED_MS;
        let idle = self.coordinator.as_ref().is_some_and(|coordinator| coordinator.stalled.is_none());
        calm && idle && {
            let states = self.states();
            states.len() == SPECS.len()
                && states.iter().all(|&(state, failed)| state == SweepState::Finished && failed == 0)
        }
    }

    fn states(&self) -> Vec<(SweepState, u64)> {
        let rows = self.store.sweeps().now_or_never().expect("memory").expect("reads");
        rows.iter().map(|row| (row.state, row.failed)).collect()
    }

    fn remember(&mut self, happening: &Happening) {
        let mut line = format!("{:>7} ms  {happening:?}", self.now);
        line.truncate(160);
        self.history.push_back(line);
        if self.history.len() > SHOWN {
            self.history.pop_front();
        }
    }

    fn soon(&mut self, in_ms: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.push(Reverse((self.now + in_ms, self.sequence)));
        self.happenings.insert(self.sequence, happening);
    }

    fn chance(&mut self, in_thousand: u32) -> bool {
        in_thousand > 0 && self.rng.random_range(0..1_000) < in_thousand
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Up { worker, stream, message } => {
                let request = match message {
                    hello @ ToCoordinator::Hello(_) => Request::Attach { worker, stream, hello },
                    message => Request::Said { worker, stream, message },
                };
                self.request(request)
            }
            Happening::Down { slot, stream, message } => self.hear(slot, stream, message),
            Happening::Noticed { worker, stream } => self.request(Request::Detach { worker, stream }),
            Happening::Connect { slot, life } => self.connect(slot, life),
            Happening::Trained { slot, life, bundle } => self.trained(slot, life, bundle),
            Happening::Beat { slot, life, stream } => self.beat(slot, life, stream),
            Happening::Start { slot } => self.start(slot),
            Happening::Restart => self.restart(),
            Happening::Commit => self.commit(),
            Happening::Tick => self.tick(),
            Happening::Mishap => self.mishap(),
            Happening::Look => self.look(),
        }
    }

    // The coordinator.

    fn time(&self) -> Now {
        Now { tick: Tick(self.now + self.slept), wall: WallTime(self.wall) }
    }

    fn restart(&mut self) -> Result<(), String> {
        if self.coordinator.is_some() {
            return Ok(());
        }
        let restored = self.store.restore().now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let spec = |sweep: &crate::store::record::RestoredSweep| Arc::clone(&self.specs[&sweep.row.submission.id]);
        let specs: Vec<_> = restored.sweeps.iter().map(spec).collect();
        let core = Core::restore(PATIENCE, self.time(), &restored, &specs);
        let (streams, undone, deferred) = (BTreeMap::new(), Vec::new(), VecDeque::new());
        self.coordinator = Some(Coordinator { core, streams, undone, stalled: None, deferred });
        self.soon(0, Happening::Tick);
        self.submit()
    }

    /// Submits what is not there yet, as people do who saw no answer.
    fn submit(&mut self) -> Result<(), String> {
        for (number, text) in SPECS.iter().enumerate() {
            let id = SweepId(Uuid::from_u128(number as u128 + 1));
            let known = self.store.sweep(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
            if known.is_some() {
                continue;
            }
            let spec = Arc::new(SweepSpec::parse(text, Format::Toml, "simulated").map_err(|error| error.to_string())?);
            self.specs.insert(id, Arc::clone(&spec));
            let submission = Box::new(Submission {
                id,
                name: spec.name.clone(),
                spec_text: (*text).to_owned(),
                spec_format: Format::Toml,
                digest: spec.digest(),
                trials: spec.grid.trials(),
                trajectories: spec.grid.trajectories(),
                submitted_at: WallTime(self.wall),
            });
            self.request(Request::Event(Event::Submitted { submission, spec }))?;
        }
        Ok(())
    }

    /// What the driver does with a request: nothing where it is dead, later where its store is in trouble.
    fn request(&mut self, request: Request) -> Result<(), String> {
        let now = self.time();
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        if coordinator.stalled.is_some() {
            let wish = matches!(&request, Request::Event(event) if event.is_wish());
            if !wish {
                coordinator.deferred.push_back(request);
            }
            return Ok(());
        }
        let event = match request {
            Request::Event(event) => event,
            Request::Attach { worker, stream, hello } => {
                let before = coordinator.streams.insert(worker, stream).filter(|&before| before != stream);
                // Whoever is on the other end of it hears that it ends, be it the living worker.
                before.into_iter().for_each(|before| self.break_stream(before));
                Event::Said { worker, message: hello }
            }
            Request::Said { worker, stream, message } if coordinator.streams.get(&worker) == Some(&stream) => {
                Event::Said { worker, message }
            }
            Request::Detach { worker, stream } if coordinator.streams.get(&worker) == Some(&stream) => {
                coordinator.streams.remove(&worker);
                Event::Disconnected(worker)
            }
            Request::Said { .. } | Request::Detach { .. } => return Ok(()),
        };
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        let actions = coordinator.core.apply(now, event);
        for action in &actions {
            if let Action::Send { worker, message: ToWorker::Grant(grant) } = action {
                coordinator.core.check_grant(*worker, grant.sweep)?;
            }
        }
        let first = coordinator.undone.is_empty();
        coordinator.undone.extend(actions);
        if first && !coordinator.undone.is_empty() {
            // What comes before then is one transaction with it.
            let in_ms = self.rng.random_range(0..3);
            self.soon(in_ms, Happening::Commit);
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), String> {
        let fails = self.chance(self.faults.commits);
        let kept_all_the_same = fails && self.rng.random_bool(0.5);
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        let (records, is_there) = match coordinator.stalled.take() {
            Some(stalled) => stalled,
            None => {
                let records = coordinator.undone.iter().filter_map(|action| match action {
                    Action::Persist(record) => Some(record.clone()),
                    Action::Send { .. } | Action::Notify(_) => None,
                });
                (records.collect(), false)
            }
        };
        self.kinds.extend(records.iter().map(kind));
        if !is_there && (!fails || kept_all_the_same) {
            let written = self.store.commit(&records).now_or_never().expect("memory");
            written.map_err(|error| error.to_string())?;
        }
        if fails {
            coordinator.stalled = Some((records, is_there || kept_all_the_same));
            let in_ms = self.rng.random_range(50..5_000);
            self.soon(in_ms, Happening::Commit);
            return Ok(());
        }
        let actions = std::mem::take(&mut coordinator.undone);
        let deferred = std::mem::take(&mut coordinator.deferred);
        if !deferred.is_empty() {
            let now = self.time();
            let coordinator = self.coordinator.as_mut().expect("it is alive");
            let awake = coordinator.core.apply(now, Event::Awoke);
            coordinator.undone.extend(awake);
        }
        for action in actions {
            if let Action::Send { worker, message } = action {
                self.say_down(worker, message);
            }
        }
        for request in deferred {
            self.request(request)?;
        }
        let undone = self.coordinator.as_ref().is_some_and(|coordinator| !coordinator.undone.is_empty());
        if undone {
            self.soon(1, Happening::Commit);
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        if self.coordinator.is_none() {
            return Ok(());
        }
        self.request(Request::Event(Event::Ticked))?;
        self.soon(500, Happening::Tick);
        Ok(())
    }

    fn say_down(&mut self, worker: WorkerId, message: ToWorker) {
        let stream = self.coordinator.as_ref().and_then(|coordinator| coordinator.streams.get(&worker)).copied();
        let Some(stream) = stream else { return };
        if self.chance(self.faults.breaks) {
            return self.break_stream(stream);
        }
        let delay = self.delay();
        let now = self.now;
        let Some((slot, _, free_at)) = self.streams.get_mut(&stream) else { return };
        let at = (now + delay).max(*free_at);
        *free_at = at;
        let slot = *slot;
        self.soon(at - now, Happening::Down { slot, stream, message });
    }

    fn delay(&mut self) -> u64 {
        let slow = self.faults.mishaps && self.rng.random_bool(0.01);
        if slow { self.rng.random_range(0..12_000) } else { self.rng.random_range(0..30) }
    }

    /// A stream breaks: its worker knows at once, the coordinator in its own time; what was on its way up may still come.
    fn break_stream(&mut self, stream: StreamId) {
        let Some((slot, ..)) = self.streams.remove(&stream) else { return };
        if self.rng.random_bool(0.5) {
            self.happenings.values_mut().for_each(|happening| {
                if let Happening::Up { stream: of, message, .. } = happening
                    && *of == stream
                {
                    // Nobody has this stream: it is lost.
                    (*of, *message) = (0, ToCoordinator::Goodbye);
                }
            });
        }
        let Some(worker) = self.workers[slot].as_mut().filter(|worker| worker.stream == Some(stream)) else { return };
        worker.stream = None;
        let (id, life) = (worker.id, worker.life);
        let (noticed, again) = (self.rng.random_range(0..6_000), self.rng.random_range(50..3_000));
        self.soon(noticed, Happening::Noticed { worker: id, stream });
        self.soon(again, Happening::Connect { slot, life });
    }

    // The workers.

    fn start(&mut self, slot: usize) -> Result<(), String> {
        if self.workers[slot].is_some() {
            return Ok(());
        }
        self.lives += 1;
        let life = self.lives;
        // A new worker takes up what a dead one left, or is nobody's heir and leaves it to the next.
        let alive: BTreeSet<WorkerId> = self.workers.iter().flatten().map(|worker| worker.id).collect();
        let left = self.spool.iter().find(|(id, reports)| !alive.contains(id) && !reports.is_empty());
        let left = left.map(|(&id, reports)| (id, reports.values().cloned().collect()));
        let (id, reports) = match left {
            Some(left) if self.rng.random_bool(0.8) => left,
            _ => (WorkerId(Uuid::from_u128(1_000 * (slot as u128 + 1) + u128::from(life))), Vec::new()),
        };
        let lanes = 1 + (slot as u32 % 3);
        self.workers[slot] = Some(Worker::new(id, lanes, life, reports));
        self.soon(20, Happening::Connect { slot, life });
        Ok(())
    }

    fn worker(&mut self, slot: usize, life: u64) -> Option<&mut Worker> {
        self.workers[slot].as_mut().filter(|worker| worker.life == life)
    }

    /// Puts a happening off while the worker is frozen.
    fn put_off(&mut self, slot: usize, happening: &Happening) -> bool {
        let until = self.workers[slot].as_ref().map_or(0, |worker| worker.frozen_until);
        if until > self.now {
            self.soon(until - self.now, happening.clone());
        }
        until > self.now
    }

    fn connect(&mut self, slot: usize, life: u64) -> Result<(), String> {
        if self.worker(slot, life).is_none_or(|worker| worker.stream.is_some()) {
            return Ok(());
        }
        if self.put_off(slot, &Happening::Connect { slot, life }) {
            return Ok(());
        }
        if self.coordinator.is_none() {
            let in_ms = self.rng.random_range(100..2_000);
            self.soon(in_ms, Happening::Connect { slot, life });
            return Ok(());
        }
        self.last_stream += 1;
        let stream = self.last_stream;
        self.streams.insert(stream, (slot, self.now, self.now));
        if let Some(worker) = self.worker(slot, life) {
            worker.stream = Some(stream);
        }
        self.tell(slot, Input::Connected)
    }

    fn hear(&mut self, slot: usize, stream: StreamId, message: ToWorker) -> Result<(), String> {
        if self.workers[slot].as_ref().is_none_or(|worker| worker.stream != Some(stream)) {
            return Ok(());
        }
        if self.put_off(slot, &Happening::Down { slot, stream, message: message.clone() }) {
            return Ok(());
        }
        self.tell(slot, Input::Heard(message))
    }

    fn beat(&mut self, slot: usize, life: u64, stream: StreamId) -> Result<(), String> {
        if self.worker(slot, life).is_none_or(|worker| worker.stream != Some(stream)) {
            return Ok(());
        }
        if self.put_off(slot, &Happening::Beat { slot, life, stream }) {
            return Ok(());
        }
        let updates = self.worker(slot, life).map(|worker| worker.lanes.iter().map(|lane| lane.updates).collect());
        self.tell(slot, Input::HeartbeatDue(updates.unwrap_or_default()))?;
        self.soon(PATIENCE.heartbeat_ms, Happening::Beat { slot, life, stream });
        Ok(())
    }

    /// A while of training: every lane to its next evaluation.
    fn trained(&mut self, slot: usize, life: u64, bundle: Attempt) -> Result<(), String> {
        let is_it = |worker: &mut Worker| worker.lanes.first().is_some_and(|lane| lane.held.attempt == bundle);
        if !self.worker(slot, life).is_some_and(is_it) {
            return Ok(());
        }
        if self.put_off(slot, &Happening::Trained { slot, life, bundle }) {
            return Ok(());
        }
        let bad = slot == self.bad;
        let fails = if bad { self.faults.fails + self.faults.fails_on_bad } else { self.faults.fails };
        let count = self.worker(slot, life).map_or(0, |worker| worker.lanes.len());
        for place in 0..count {
            let (fails, keeps, what) = (self.chance(fails), self.rng.random_bool(0.5), self.rng.random_range(0..5));
            let Some(lane) = self.worker(slot, life).and_then(|worker| worker.lanes.get_mut(place)) else { break };
            if lane.over {
                continue;
            }
            let (held, updates) = (lane.held, lane.updates);
            let cause = || Some(format!("fault {} of {updates}", ["alpha", "beta", "gamma", "delta", "epsilon"][what]));
            let (point, end) = match lane.halted {
                Some(keep) => {
                    let end = lane.end(Outcome::Preempted, None);
                    if keep {
                        self.shelf.insert((held.sweep, held.trajectory), updates);
                    }
                    (None, Some(end))
                }
                None if fails => (None, Some(lane.end(Outcome::Failed, cause()))),
                None => {
                    let (point, end) = lane.advance();
                    if end.is_none() && keeps {
                        let updates = lane.updates;
                        self.shelf.insert((held.sweep, held.trajectory), updates);
                    }
                    (Some(point), end)
                }
            };
            if let Some(point) = point {
                self.tell(slot, Input::Evaluated { lane: place, point })?;
            }
            if let Some(end) = end {
                self.tell(slot, Input::LaneEnded { lane: place, end })?;
            }
        }
        let over = self.worker(slot, life).is_some_and(|worker| worker.lanes.iter().all(|lane| lane.over));
        if over {
            if let Some(worker) = self.worker(slot, life) {
                worker.lanes.clear();
            }
            return self.tell(slot, Input::BundleDone);
        }
        let in_ms = self.rng.random_range(200..1_500);
        self.soon(in_ms, Happening::Trained { slot, life, bundle });
        Ok(())
    }

    /// Tells a worker's session what happened, and does what it says.
    fn tell(&mut self, slot: usize, input: Input) -> Result<(), String> {
        let Some(worker) = &mut self.workers[slot] else { return Ok(()) };
        let (id, life, stream) = (worker.id, worker.life, worker.stream);
        for output in worker.session.apply(input) {
            match output {
                Output::Send(message) => self.say_up(slot, id, message),
                Output::Train(grant) => {
                    let Some(worker) = &mut self.workers[slot] else { break };
                    worker.train(&grant, &self.specs, &self.shelf);
                    self.soon(300, Happening::Trained { slot, life, bundle: grant.attempt });
                }
                Output::Halt { lane, keep } => {
                    let lane = self.workers[slot].as_mut().and_then(|worker| worker.lanes.get_mut(lane));
                    if let Some(lane) = lane {
                        lane.halted = Some(keep);
                    }
                }
                Output::Keep(report) => {
                    let Held { attempt, trajectory, .. } = report.held;
                    self.spool.entry(id).or_default().insert((attempt, trajectory), *report);
                }
                Output::Forget(held) => {
                    self.spool.entry(id).or_default().remove(&(held.attempt, held.trajectory));
                }
                Output::Discard(held) => drop(self.shelf.remove(&(held.sweep, held.trajectory))),
                Output::Beat { every_ms } => {
                    if let Some(stream) = stream {
                        self.soon(every_ms, Happening::Beat { slot, life, stream });
                    }
                }
                Output::Exit => self.end_worker(slot),
            }
        }
        Ok(())
    }

    fn say_up(&mut self, slot: usize, worker: WorkerId, message: ToCoordinator) {
        let Some(stream) = self.workers[slot].as_ref().and_then(|worker| worker.stream) else { return };
        if self.chance(self.faults.breaks) {
            return self.break_stream(stream);
        }
        let delay = self.delay();
        let (repeated, overtaken) = match &message {
            ToCoordinator::Ended(_) => (self.chance(self.faults.repeats), self.chance(self.faults.repeats)),
            _ => (false, false),
        };
        let now = self.now;
        let Some((_, free_at, _)) = self.streams.get_mut(&stream) else { return };
        let at = (now + delay).max(*free_at);
        *free_at = at;
        if repeated {
            self.soon(at - now + 40, Happening::Up { worker, stream, message: message.clone() });
        }
        let at = if overtaken { at + 60 } else { at };
        self.soon(at - now, Happening::Up { worker, stream, message });
    }

    /// A worker's process ends, by itself or not; its spool stays.
    fn end_worker(&mut self, slot: usize) {
        let Some(worker) = self.workers[slot].take() else { return };
        if let Some(stream) = worker.stream {
            self.streams.remove(&stream);
            let in_ms = self.rng.random_range(0..6_000);
            self.soon(in_ms, Happening::Noticed { worker: worker.id, stream });
        }
        let in_ms = self.rng.random_range(100..12_000);
        self.soon(in_ms, Happening::Start { slot });
    }

    // What goes wrong, and people.

    fn mishap(&mut self) -> Result<(), String> {
        if !self.faults.mishaps || self.now > TROUBLED_MS {
            return Ok(());
        }
        let in_ms = self.rng.random_range(200..6_000);
        self.soon(in_ms, Happening::Mishap);
        let slot = self.rng.random_range(0..WORKERS);
        match self.rng.random_range(0..12) {
            0..3 => {
                let killed = self.workers[slot].as_ref().map(|worker| worker.id);
                self.end_worker(slot);
                if let Some(worker) = killed.filter(|_| self.rng.random_bool(0.5)) {
                    let cause = "killed".to_owned();
                    return self.request(Request::Event(Event::Died { worker, cause }));
                }
            }
            3..5 => {
                self.coordinator = None;
                let open: Vec<StreamId> = self.streams.keys().copied().collect();
                open.into_iter().for_each(|stream| self.break_stream(stream));
                let in_ms = self.rng.random_range(10..20_000);
                self.soon(in_ms, Happening::Restart);
            }
            5 => {
                let until = self.now + self.rng.random_range(100..30_000);
                if let Some(worker) = &mut self.workers[slot] {
                    worker.frozen_until = until;
                }
            }
            6 => return self.tell(slot, Input::Leave),
            // A partition: every stream of some workers breaks, and the coordinator hears of it late.
            7 => {
                let open: Vec<StreamId> = self.streams.keys().copied().collect();
                for stream in open {
                    if self.rng.random_bool(0.5) {
                        self.break_stream(stream);
                    }
                }
            }
            8 => self.wall = self.wall.saturating_sub(self.rng.random_range(0..10_000_000)),
            // The coordinator's machine slept.
            9 => {
                self.slept += self.rng.random_range(0..40_000);
                return self.request(Request::Event(Event::Awoke));
            }
            10 => {
                let id = self.any_sweep();
                self.paused.insert(id);
                return self.request(Request::Event(Event::Paused(id)));
            }
            _ => {
                let id = self.any_sweep();
                self.paused.remove(&id);
                return self.request(Request::Event(Event::Resumed(id)));
            }
        }
        Ok(())
    }

    fn any_sweep(&mut self) -> SweepId {
        SweepId(Uuid::from_u128(self.rng.random_range(1..=SPECS.len() as u128)))
    }

    /// A person submits what is missing, goes on with what paused itself, tries again what failed, and releases workers.
    fn look(&mut self) -> Result<(), String> {
        self.soon(5_000, Happening::Look);
        let troubled = self.coordinator.as_ref().is_none_or(|coordinator| coordinator.stalled.is_some());
        // What is about to be committed would answer differently.
        if troubled || self.coordinator.as_ref().is_some_and(|coordinator| !coordinator.undone.is_empty()) {
            return Ok(());
        }
        self.submit()?;
        let rows = self.store.sweeps().now_or_never().expect("memory").map_err(|error| error.to_string())?;
        for row in rows {
            let id = row.submission.id;
            let calm = self.now > TROUBLED_MS;
            if row.state == SweepState::Paused && (calm || !self.paused.contains(&id)) {
                self.request(Request::Event(Event::Resumed(id)))?;
            }
            if row.failed > 0 && self.coordinator.as_ref().is_some_and(|coordinator| coordinator.undone.is_empty()) {
                self.retry(id)?;
            }
        }
        let release = self.now > TROUBLED_MS || self.rng.random_bool(0.2);
        let quarantined = self.coordinator.as_ref().map(|coordinator| coordinator.core.worker_views(None));
        for worker in quarantined.into_iter().flatten().filter(|worker| worker.quarantined.is_some() && release) {
            self.request(Request::Event(Event::Released(worker.id)))?;
        }
        Ok(())
    }

    fn retry(&mut self, id: SweepId) -> Result<(), String> {
        let failures = self.store.failures(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let restored =
            self.store.restore_sweep(id).now_or_never().expect("memory").map_err(|error| error.to_string())?;
        let restored = restored.expect("it is there");
        let finished =
            (restored.row.state == SweepState::Finished).then(|| Box::new((restored, Arc::clone(&self.specs[&id]))));
        self.request(Request::Event(Event::Retried { sweep: id, finished, failures }))
    }
}

fn kind(record: &Record) -> &'static str {
    match record {
        Record::Submitted(_) => "submitted",
        Record::StateChanged { .. } => "state-changed",
        Record::Leased(_) => "leased",
        Record::Ended(_) => "ended",
        Record::Retried { .. } => "retried",
        Record::Quarantined(_) => "quarantined",
        Record::Released(_) => "released",
        Record::Late { .. } => "late",
    }
}

/// Unused records of a kind would be a sign that the world lacks it.
#[test]
fn a_world_sees_every_kind_of_record() {
    let mut kinds = BTreeSet::new();
    for seed in 1..=12 {
        let mut world = World::new(seed, Faults::all(seed));
        world.run().expect("a world that ends well");
        kinds.extend(world.kinds);
    }
    let all = ["submitted", "state-changed", "leased", "ended", "retried", "quarantined", "released", "late"];
    assert_eq!(kinds, all.into_iter().collect());
}
