//! The training thread: takes bundles, tells what happens in them, can be told to halt a lane.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use biosweep_common::clock::Clock;
use biosweep_common::configuration::TrialKey;
use biosweep_common::curve::CurvePoint;
use biosweep_common::dataset::DatasetRef;
use biosweep_common::messages::{Grant, Lane};
use biosweep_common::outcome::Outcome;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::checkpoint;
use crate::checkpoint::shelf::{Of, Shelf};
use crate::data::{self, Places};
use crate::session::{Input, LaneEnd};
use crate::train::{Bundle, LaneJob, LaneOutcome, LaneState, Observer, train};

/// Events that may wait for the agent; it takes them at once, so that training never waits in fact.
const EVENTS: usize = 1_024;

/// Something that happened in training.
#[derive(Debug)]
pub enum TrainerEvent {
    /// A lane was evaluated.
    Evaluated {
        /// Its place in the bundle.
        lane: usize,
        /// What was found.
        point: CurvePoint,
    },
    /// A lane ended.
    LaneEnded {
        /// Its place in the bundle.
        lane: usize,
        /// How.
        end: LaneEnd,
    },
    /// The bundle is done.
    BundleDone,
}

impl TrainerEvent {
    /// The event as the session is told it.
    #[must_use]
    pub fn into_input(self) -> Input {
        match self {
            Self::Evaluated { lane, point } => Input::Evaluated { lane, point },
            Self::LaneEnded { lane, end } => Input::LaneEnded { lane, end },
            Self::BundleDone => Input::BundleDone,
        }
    }
}

/// The way to the training thread. The thread ends with the process: it holds nothing that has to be kept.
pub struct Trainer {
    bundles: std::sync::mpsc::Sender<(Grant, Arc<Vec<LaneControl>>)>,
    events: mpsc::Receiver<TrainerEvent>,
    lanes: Arc<Vec<LaneControl>>,
}

/// What the agent and the training thread share of a lane.
#[derive(Debug, Default)]
struct LaneControl {
    halt: AtomicBool,
    /// Whether its state is to be kept when it halts.
    keep: AtomicBool,
    has_ended: AtomicBool,
    updates: AtomicU64,
}

impl Trainer {
    /// Starts the thread, which trains with the datasets found in `places` and keeps checkpoints on the shelf.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn start(places: Places, shelf: Option<Shelf>) -> std::io::Result<Self> {
        // With a thread of its own: connections it opens are shared with the agent, and have to go on while this thread
        // trains.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("shelf").enable_all().build()?;
        let (bundles, work) = std::sync::mpsc::channel::<(Grant, Arc<Vec<LaneControl>>)>();
        let (out, events) = mpsc::channel(EVENTS);
        thread::Builder::new().name("train".to_owned()).spawn(move || {
            let clock = Clock::start();
            let mut workbench = Workbench { places, shelf, runtime, datasets: BTreeMap::new(), out, clock };
            while let Ok((grant, lanes)) = work.recv() {
                workbench.run(&grant, &lanes);
            }
        })?;
        Ok(Self { bundles, events, lanes: Arc::default() })
    }

    /// Gives the thread a bundle; the one before has to be done.
    pub fn train(&mut self, grant: Grant) {
        self.lanes = Arc::new(grant.lanes.iter().map(|_| LaneControl::default()).collect());
        // A thread that is gone shows in `next`.
        drop(self.bundles.send((grant, Arc::clone(&self.lanes))));
    }

    /// Has a lane end at its next update, and its state kept where somebody is to take it up.
    pub fn halt(&self, lane: usize, keep: bool) {
        if let Some(control) = self.lanes.get(lane) {
            control.keep.store(keep, Ordering::Relaxed);
            control.halt.store(true, Ordering::Relaxed);
        }
    }

    /// Updates done in each lane of the bundle.
    #[must_use]
    pub fn updates(&self) -> Vec<u64> {
        self.lanes.iter().map(|control| control.updates.load(Ordering::Relaxed)).collect()
    }

    /// What happens next; `None` where the thread is gone.
    pub async fn next(&mut self) -> Option<TrainerEvent> {
        self.events.recv().await
    }
}

/// What the training thread works with.
struct Workbench {
    places: Places,
    shelf: Option<Shelf>,
    /// For what is asked of the shelf, which takes training's time: there is little of it.
    runtime: Runtime,
    datasets: BTreeMap<DatasetRef, data::Dataset>,
    out: mpsc::Sender<TrainerEvent>,
    clock: Clock,
}

impl Workbench {
    fn run(&mut self, grant: &Grant, lanes: &[LaneControl]) {
        let start_s = self.clock.seconds();
        // A panic is a fault of ours, but one that must not take the other trials of the sweep with it.
        let trained = panic::catch_unwind(AssertUnwindSafe(|| self.train(grant, lanes)));
        let seconds = self.clock.seconds() - start_s;
        let trained = trained.unwrap_or_else(|panic| Err(format!("the training code panicked: {}", words(&*panic))));
        let cause = trained.err().unwrap_or_else(|| "the training code left this lane without an end".to_owned());
        for (lane, control) in lanes.iter().enumerate().filter(|(_, lane)| !lane.has_ended.load(Ordering::Relaxed)) {
            self.tell(TrainerEvent::LaneEnded { lane, end: failed(&cause, control, seconds) });
        }
        self.tell(TrainerEvent::BundleDone);
    }

    fn train(&mut self, grant: &Grant, lanes: &[LaneControl]) -> Result<(), String> {
        let dataset = &grant.shape.dataset;
        if !self.datasets.contains_key(dataset) {
            let loaded = data::load(dataset, &self.places).map_err(|error| error.to_string())?;
            self.datasets.insert(dataset.clone(), loaded);
        }
        let data = self.datasets.get(dataset).ok_or("the dataset was just loaded and is gone")?;
        let of = |lane: &Lane| Of { sweep: grant.sweep, trajectory: lane.trajectory };
        let shelved = |lane: &Lane| Shelved { of: of(lane), key: checkpoint::key(&grant.shape, lane.hyperparameters) };
        let shelved: Vec<Shelved> = grant.lanes.iter().map(shelved).collect();
        let jobs = grant.lanes.iter().zip(&shelved).zip(lanes).map(|((lane, shelved), control)| {
            let latest = |shelf: &Shelf| self.runtime.block_on(shelf.latest(shelved.of, shelved.key));
            let resume = self.shelf.as_ref().and_then(latest);
            if let Some(state) = &resume {
                tracing::info!(trajectory = %lane.trajectory, update = state.update, "goes on from a checkpoint");
                control.updates.store(state.update, Ordering::Relaxed);
            }
            LaneJob { hyperparameters: lane.hyperparameters, stopping_rules: lane.stopping_rules.clone(), resume }
        });
        let bundle = Bundle { shape: grant.shape.clone(), lanes: jobs.collect(), measures: grant.measures.clone() };
        let keeping = self.shelf.as_ref().map(|shelf| Keeping {
            shelf,
            runtime: &self.runtime,
            every_s: grant.checkpoint_every_ms as f64 / 1e3,
            last_s: vec![self.clock.seconds(); lanes.len()],
            clock: self.clock,
            shelved,
        });
        let mut observer = Watching { out: &self.out, lanes, keeping };
        train(&bundle, data, &mut observer).map(drop).map_err(|error| error.to_string())
    }

    fn tell(&self, event: TrainerEvent) {
        // Where the agent is gone the process is ending.
        drop(self.out.blocking_send(event));
    }
}

struct Watching<'a> {
    out: &'a mpsc::Sender<TrainerEvent>,
    lanes: &'a [LaneControl],
    keeping: Option<Keeping<'a>>,
}

/// Where a lane's checkpoints are, and what tells them from others.
struct Shelved {
    of: Of,
    key: TrialKey,
}

/// Keeps checkpoints of the lanes of a bundle.
struct Keeping<'a> {
    shelf: &'a Shelf,
    runtime: &'a Runtime,
    every_s: f64,
    /// When each lane's last checkpoint was taken.
    last_s: Vec<f64>,
    clock: Clock,
    shelved: Vec<Shelved>,
}

impl Keeping<'_> {
    fn is_due(&self, lane: usize) -> bool {
        self.clock.seconds() - self.last_s[lane] >= self.every_s
    }

    fn keep(&mut self, lane: usize, state: &LaneState) {
        let Shelved { of, key } = self.shelved[lane];
        if let Err(error) = self.runtime.block_on(self.shelf.keep(of, key, state)) {
            tracing::warn!(trajectory = %of.trajectory, %error, "no checkpoint; the next is tried in its time");
        }
        self.last_s[lane] = self.clock.seconds();
    }
}

impl Observer for Watching<'_> {
    fn updated(&mut self, lane: usize, updates: u64) {
        self.lanes[lane].updates.store(updates, Ordering::Relaxed);
    }

    fn evaluated(&mut self, lane: usize, point: &CurvePoint) {
        drop(self.out.blocking_send(TrainerEvent::Evaluated { lane, point: *point }));
    }

    fn should_stop(&mut self, lane: usize) -> bool {
        self.lanes[lane].halt.load(Ordering::Relaxed)
    }

    fn wants_state(&mut self, lane: usize) -> bool {
        self.keeping.as_ref().is_some_and(|keeping| keeping.is_due(lane))
    }

    fn state(&mut self, lane: usize, state: LaneState) {
        if let Some(keeping) = &mut self.keeping {
            keeping.keep(lane, &state);
        }
    }

    fn ended(&mut self, lane: usize, outcome: &LaneOutcome, seconds: f64) {
        let control = &self.lanes[lane];
        control.has_ended.store(true, Ordering::Relaxed);
        if let LaneOutcome::Stopped { state } = outcome
            && control.keep.load(Ordering::Relaxed)
            && state.update > 0
            && let Some(keeping) = &mut self.keeping
        {
            keeping.keep(lane, state);
        }
        let end = lane_end(outcome, control, seconds);
        drop(self.out.blocking_send(TrainerEvent::LaneEnded { lane, end }));
    }
}

fn lane_end(outcome: &LaneOutcome, control: &LaneControl, seconds: f64) -> LaneEnd {
    let (outcome, cause, curve, health) = match outcome {
        LaneOutcome::Completed { curve, health, .. } => (Outcome::Completed, None, curve, health),
        LaneOutcome::Diverged { update, curve, health } => {
            let cause = format!("the training loss ceased to be finite at update {update}");
            (Outcome::Diverged, Some(cause), curve, health)
        }
        LaneOutcome::Stopped { state } => (Outcome::Preempted, None, &state.curve, &state.health),
    };
    LaneEnd {
        outcome,
        cause,
        curve: curve.clone(),
        health: health.clone(),
        updates: control.updates.load(Ordering::Relaxed),
        seconds,
    }
}

fn failed(cause: &str, control: &LaneControl, seconds: f64) -> LaneEnd {
    LaneEnd {
        outcome: Outcome::Failed,
        cause: Some(cause.to_owned()),
        curve: Vec::new(),
        health: Vec::new(),
        updates: control.updates.load(Ordering::Relaxed),
        seconds,
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|&words| words.to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}
