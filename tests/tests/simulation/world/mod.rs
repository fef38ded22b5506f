//! The simulated world: a queue of events, and the state of all processes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use biosweep_common::protocol::messages::{Held, ToCoordinator, ToWorker};
use biosweep_common::protocol::session::{Input, Output, Owed};
use biosweep_common::results::curve::Score;
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{Format, SpecText, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::{Tick, WallTime};
use biosweep_scheduler::batcher::{Batcher, Output as FromBatcher, Request, StreamId};
use biosweep_scheduler::event::{Event, Now};
use biosweep_scheduler::record::{Record, Submission};
use biosweep_scheduler::scheduler::{Scheduler, Timeouts};
use biosweep_store::Store as _;
use biosweep_store::memory::Memory;
use futures::FutureExt as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::process::{Coordinator, Worker};

mod coordinator;
mod disruptions;
mod succession;
mod workers;

const TIMEOUTS: Timeouts = Timeouts { heartbeat_ms: 1_000, lease_ms: 8_000, reconnect_grace_ms: 2_000 };
const WORKERS: usize = 4;
/// The number of workers that meet the requirements of the second sweep.
const FAST: usize = 2;
/// Simulated milliseconds with faults.
const FAULTS_MS: u64 = 90_000;
/// Simulated milliseconds without faults, after which all sweeps must have finished.
const CALM_MS: u64 = 600_000;
/// The number of steps that a failure message shows.
const SHOWN: usize = 40;

/// The third sweep shares trajectories with the first, and its second block with its own first block. Not every worker can train
/// the second sweep.
const SPECS: [&str; 3] = [
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
require = { labels = ["fast"] }
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
    r#"
name = "three"
retries = 2
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
[grid]
rule = "bp"
network = "nn"
seed = { from = 6, count = 10 }
[[block]]
depth = [2, 3]
max_updates = [20, 30]
[[block]]
depth = 3
max_updates = 10
"#,
];

/// The rates of faults, per 1,000 steps of their kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// The stream of a message breaks.
    breaks: u32,
    /// A report is repeated, or overtaken by later messages.
    repeats: u32,
    /// A commit fails.
    commits: u32,
    /// A lane fails.
    fails: u32,
    /// A lane of the bad worker fails.
    fails_on_bad: u32,
    /// Whether processes crash and users interfere.
    disruptions: bool,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Draws the rates of faults of a world from its seed.
    pub(super) fn all(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xfa11);
        Self {
            breaks: rng.random_range(0..20),
            repeats: rng.random_range(0..200),
            commits: rng.random_range(0..40),
            fails: rng.random_range(0..30),
            fails_on_bad: if rng.random_bool(0.3) { 900 } else { 0 },
            disruptions: true,
        }
    }
}

/// The extension of the first sweep: more seeds. The third sweep has some of them too.
const EXTENSION: &str = r#"
name = "one and more"
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
[grid]
rule = "bp"
network = "nn"
depth = [1, 2]
seed = { from = 10, count = 6 }
max_updates = [20, 40]
"#;

/// A sweep that is cancelled, deleted, and submitted again with another id.
const TEMPORARY_SPEC: &str = r#"
name = "temporary"
[data]
dataset = "synthetic-digits"
[train]
eval_every = 10
[grid]
rule = "bp"
network = "nn"
depth = 1
seed = { from = 4, count = 6 }
max_updates = [30, 40]
"#;
/// The ids of this sweep are greater than this number.
const TEMPORARY: u128 = 1_000;

fn is_temporary(id: SweepId) -> bool {
    id.0.as_u128() > TEMPORARY
}

/// A scheduled event of the world.
#[derive(Debug, Clone)]
enum WorldEvent {
    /// A message of a worker arrives.
    Up { worker: WorkerId, stream: StreamId, message: ToCoordinator },
    /// A message of the coordinator arrives.
    Down { slot: usize, stream: StreamId, message: ToWorker },
    /// The coordinator notices the end of a stream.
    StreamLost { worker: WorkerId, stream: StreamId },
    /// A worker connects.
    Connect { slot: usize, life: u64 },
    /// A worker has trained all its lanes to the next evaluation.
    Trained { slot: usize, life: u64, bundle: Attempt },
    /// A worker sends a heartbeat.
    Heartbeat { slot: usize, life: u64, stream: StreamId },
    /// A worker starts.
    Start { slot: usize },
    /// The coordinator starts.
    Restart,
    /// The coordinator's loop begins or ends a transaction.
    Commit { epoch: u64 },
    /// The coordinator's loop checks its deadlines.
    Tick { epoch: u64 },
    /// A coordinator learns that another one has taken over.
    Lapse { epoch: u64 },
    /// A process crashes or is suspended, a clock jumps, or a user interferes.
    Disruption,
    /// A user submits missing sweeps, resumes, retries and releases.
    Intervene,
}

/// A seeded world.
pub(super) struct World {
    rng: ChaCha8Rng,
    faults: Faults,
    now: u64,
    /// Milliseconds for which the coordinator's machine was suspended. Its clock is ahead by this time.
    slept: u64,
    wall: u64,
    steps: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, WorldEvent>,
    store: Arc<Memory>,
    coordinator: Option<Coordinator>,
    /// A coordinator from which another one has taken over, and which does not know it yet.
    former: Option<Coordinator>,
    /// The last epoch.
    epoch: u64,
    /// The epoch of the coordinator at the other end of each stream, also after its end.
    led_by: BTreeMap<StreamId, u64>,
    /// The number of takeovers, and how often a worker has left a former coordinator because it knew a later one.
    successions: (u64, u64),
    workers: Vec<Option<Worker>>,
    lives: u64,
    /// The slot of the worker that fails trajectories which others complete.
    bad: usize,
    /// The reports on the workers' disks.
    spool: BTreeMap<WorkerId, BTreeMap<(Attempt, TrajectoryIndex), Owed>>,
    checkpoints: BTreeMap<(SweepId, TrajectoryIndex), u64>,
    specs: BTreeMap<SweepId, Arc<SweepSpec>>,
    /// Open streams: the slot of the worker, and the times at which the ways up and down are free.
    streams: BTreeMap<StreamId, (usize, u64, u64)>,
    last_stream: StreamId,
    /// Sweeps that a user has paused.
    paused: BTreeSet<SweepId>,
    /// The number of temporary sweeps so far.
    temporary: u128,
    /// The kinds of records that were written.
    kinds: BTreeSet<&'static str>,
    history: VecDeque<String>,
}

/// The status and score of a trial. They do not depend on the workers and the attempts.
pub(super) type TrialResult = (TrialStatus, Option<Score>);

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
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            store: Arc::new(Memory::default()),
            coordinator: None,
            former: None,
            epoch: 0,
            led_by: BTreeMap::new(),
            successions: (0, 0),
            workers: (0..WORKERS).map(|_| None).collect(),
            lives: 0,
            bad,
            spool: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            specs: BTreeMap::new(),
            streams: BTreeMap::new(),
            last_stream: StreamId(0),
            paused: BTreeSet::new(),
            temporary: 0,
            kinds: BTreeSet::new(),
            history: VecDeque::new(),
        };
        world.schedule(0, WorldEvent::Restart);
        for slot in 0..WORKERS {
            world.schedule(10, WorldEvent::Start { slot });
        }
        world.schedule(500, WorldEvent::Disruption);
        world.schedule(1_000, WorldEvent::Intervene);
        world
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn last_steps(&self) -> String {
        self.history.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// The results of all trials, without those of temporary sweeps.
    pub(super) fn results(&self) -> BTreeMap<(String, TrialIndex), TrialResult> {
        let mut results = BTreeMap::new();
        for (&id, spec) in self.specs.iter().filter(|(id, _)| !is_temporary(**id)) {
            let rows = self.store.results(id, TrialIndex(0), u32::MAX).now_or_never().expect("memory").expect("reads");
            results.extend(rows.into_iter().map(|row| ((spec.name.clone(), row.trial), (row.status, row.score))));
        }
        results
    }

    /// Runs until every sweep has finished.
    pub(super) fn run(&mut self) -> Result<(), String> {
        let end = if self.faults.disruptions { FAULTS_MS + CALM_MS } else { CALM_MS };
        while let Some(Reverse((at, sequence))) = self.queue.pop() {
            let event = self.events.remove(&sequence).expect("a queued event is stored");
            self.wall += at - self.now;
            self.now = at;
            if at > end {
                return Err(format!("the sweeps do not finish: {:?}", self.states()));
            }
            if self.faults.disruptions && at > FAULTS_MS {
                self.faults = Faults { fails_on_bad: self.faults.fails_on_bad, disruptions: true, ..Faults::none() };
            }
            self.steps += 1;
            self.log(&event);
            self.apply(event)?;
            if let Some(coordinator) = &self.coordinator {
                coordinator.batcher.scheduler().check()?;
            }
            if self.is_over() {
                return Ok(());
            }
        }
        Err("the event queue is empty".to_owned())
    }

    fn is_over(&self) -> bool {
        let calm = !self.faults.disruptions || self.now > FAULTS_MS;
        let idle = self.coordinator.as_ref().is_some_and(|coordinator| coordinator.writing.is_none());
        calm && idle && {
            let states = self.states();
            states.len() == SPECS.len()
                && states.iter().all(|&(state, failed)| state == SweepState::Finished && failed == 0)
                && self.is_extended()
        }
    }

    fn states(&self) -> Vec<(SweepState, u64)> {
        let rows = self.store.sweeps().now_or_never().expect("memory").expect("reads");
        let lasting = rows.iter().filter(|row| !is_temporary(row.submission.id));
        lasting.map(|row| (row.state, row.failed)).collect()
    }

    fn is_extended(&self) -> bool {
        let rows = self.store.sweeps().now_or_never().expect("memory").expect("reads");
        rows.iter().any(|row| !row.extensions.is_empty())
    }

    fn log(&mut self, event: &WorldEvent) {
        let mut line = format!("{:>7} ms  {event:?}", self.now);
        line.truncate(160);
        self.history.push_back(line);
        if self.history.len() > SHOWN {
            self.history.pop_front();
        }
    }

    fn schedule(&mut self, in_ms: u64, event: WorldEvent) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + in_ms, self.sequence)));
        self.events.insert(self.sequence, event);
    }

    fn chance(&mut self, in_thousand: u32) -> bool {
        in_thousand > 0 && self.rng.random_range(0..1_000) < in_thousand
    }

    /// The epoch of the coordinator at the other end of a stream.
    fn leader_of(&self, stream: StreamId) -> u64 {
        self.led_by.get(&stream).copied().unwrap_or(self.epoch)
    }

    fn apply(&mut self, event: WorldEvent) -> Result<(), String> {
        match event {
            WorldEvent::Up { worker, stream, message } => {
                let request = match message {
                    ToCoordinator::Hello(hello) => Request::Attach { stream, hello },
                    message => Request::Messages { worker, stream, messages: vec![message] },
                };
                self.at(self.leader_of(stream), |world| world.request(request))
            }
            WorldEvent::Down { slot, stream, message } => self.receive(slot, stream, message),
            WorldEvent::StreamLost { worker, stream } => {
                self.at(self.leader_of(stream), |world| world.request(Request::Detach { worker, stream }))
            }
            WorldEvent::Connect { slot, life } => self.connect(slot, life),
            WorldEvent::Trained { slot, life, bundle } => self.trained(slot, life, bundle),
            WorldEvent::Heartbeat { slot, life, stream } => self.heartbeat(slot, life, stream),
            WorldEvent::Start { slot } => self.start(slot),
            WorldEvent::Restart => self.restart(),
            WorldEvent::Commit { epoch } => self.at(epoch, Self::commit),
            WorldEvent::Tick { epoch } => self.at(epoch, Self::tick),
            WorldEvent::Lapse { epoch } => self.at(epoch, |world| {
                world.lapse();
                Ok(())
            }),
            WorldEvent::Disruption => self.disrupt(),
            WorldEvent::Intervene => self.intervene(),
        }
    }
}

fn kind(record: &Record) -> &'static str {
    match record {
        Record::Submitted(_) => "submitted",
        Record::StateChanged { .. } => "state-changed",
        Record::Leased(_) => "leased",
        Record::Ended(_) => "ended",
        Record::Reused { .. } => "reused",
        Record::Extended { .. } => "extended",
        Record::Retried { .. } => "retried",
        Record::Noted { .. } => "noted",
        Record::Access(_) => "access",
        Record::Deleted(_) => "deleted",
        Record::Quarantined(_) => "quarantined",
        Record::Released(_) => "released",
        Record::Late { .. } => "late",
    }
}

/// A missing kind of record would mean that the simulation does not cover it.
#[test]
fn the_simulated_worlds_write_every_kind_of_record() {
    let mut kinds = BTreeSet::new();
    for seed in 1..=12 {
        let mut world = World::new(seed, Faults::all(seed));
        world.run().expect("the world ends without an error");
        kinds.extend(world.kinds);
    }
    let all = [
        "access",
        "submitted",
        "extended",
        "state-changed",
        "leased",
        "ended",
        "reused",
        "retried",
        "noted",
        "deleted",
        "quarantined",
        "released",
        "late",
    ];
    assert_eq!(kinds, all.into_iter().collect());
}
