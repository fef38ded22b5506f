//! The training thread: trains bundles, sends events, and can halt a lane.

mod checkpoint_schedule;

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread;

use biosweep_common::protocol::messages::{Grant, Lane};
use biosweep_common::protocol::session::{Input, LaneEnd};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::dataset::{DatasetRef, DatasetSize};
use biosweep_data::{self as data, Places};
use biosweep_engine::checkpoint;
use biosweep_engine::train::{Bundle, IncompatibleState, LaneJob, LaneOutcome, LaneState, NotFinite, Observer, train};
use biosweep_host::clock::Clock;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::checkpoint::store::{CheckpointId, CheckpointStore};
use crate::checkpoint::writer::CheckpointWriter;
use crate::environment;
use checkpoint_schedule::{CheckpointSchedule, LaneCheckpoint};

/// The capacity of the event channel. The agent takes events at once, so that training does not wait in practice.
const EVENTS: usize = 1_024;
/// Datasets in memory: that of the bundle, and one more for workers that two sweeps share.
const DATASETS: usize = 2;

/// An event of training.
#[derive(Debug)]
pub enum TrainerEvent {
    /// A lane was evaluated.
    Evaluated {
        /// The index of the lane in the bundle.
        lane: usize,
        /// The evaluation.
        point: CurvePoint,
    },
    /// A lane ended.
    LaneEnded {
        /// The index of the lane in the bundle.
        lane: usize,
        /// The end.
        end: LaneEnd,
    },
    /// The bundle is done.
    BundleDone,
}

impl TrainerEvent {
    /// The event as input of the session.
    #[must_use]
    pub fn into_input(self) -> Input {
        match self {
            Self::Evaluated { lane, point } => Input::Evaluated { lane, point },
            Self::LaneEnded { lane, end } => Input::LaneEnded { lane, end },
            Self::BundleDone => Input::BundleDone,
        }
    }
}

/// The handle of the training thread. The thread ends with the process; it holds nothing that must be saved.
pub struct Trainer {
    bundles: std::sync::mpsc::Sender<(Grant, Arc<Vec<LaneControl>>)>,
    events: mpsc::Receiver<TrainerEvent>,
    lanes: Arc<Vec<LaneControl>>,
}

/// The state of a lane that the agent and the training thread share.
#[derive(Debug, Default)]
struct LaneControl {
    halt: Halt,
    has_ended: AtomicBool,
    updates: AtomicU64,
}

/// Whether a lane halts, and whether its state is kept: one value, so that no thread reads half of a decision.
#[derive(Debug, Default)]
struct Halt(AtomicU8);

impl Halt {
    const KEEP: u8 = 1;
    const DROP: u8 = 2;

    /// Halts the lane. The last call counts.
    fn set(&self, keep: bool) {
        self.0.store(if keep { Self::KEEP } else { Self::DROP }, Ordering::Release);
    }

    /// Whether the state is kept; `None` while the lane continues.
    fn get(&self) -> Option<bool> {
        match self.0.load(Ordering::Acquire) {
            Self::KEEP => Some(true),
            Self::DROP => Some(false),
            _ => None,
        }
    }
}

impl Trainer {
    /// Starts the thread. It finds datasets in `places` and keeps checkpoints in the store.
    ///
    /// # Errors
    /// The system cannot start the thread.
    pub fn start(places: Places, store: Option<CheckpointStore>) -> std::io::Result<Self> {
        environment::warn();
        // The runtime has its own thread. The agent shares its connections, which must progress while this thread
        // trains.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("checkpoints")
            .enable_all()
            .build()?;
        let (bundles, work) = std::sync::mpsc::channel::<(Grant, Arc<Vec<LaneControl>>)>();
        let (out, events) = mpsc::channel(EVENTS);
        thread::Builder::new().name("train".to_owned()).spawn(move || {
            let clock = Clock::start();
            let writer = store.map(|store| CheckpointWriter::start(store, &runtime));
            let mut thread = TrainingThread { places, writer, runtime, datasets: Vec::new(), out, clock };
            while let Ok((grant, lanes)) = work.recv() {
                thread.run(&grant, &lanes);
            }
        })?;
        Ok(Self { bundles, events, lanes: Arc::default() })
    }

    /// Sends a bundle to the thread. The previous bundle has to be done.
    pub fn train(&mut self, grant: Grant) {
        self.lanes = Arc::new(grant.lanes.iter().map(|_| LaneControl::default()).collect());
        // `next` reports a thread that is gone.
        drop(self.bundles.send((grant, Arc::clone(&self.lanes))));
    }

    /// Ends a lane at its next update. Its state is kept if `keep`.
    pub fn halt(&self, lane: usize, keep: bool) {
        if let Some(control) = self.lanes.get(lane) {
            control.halt.set(keep);
        }
    }

    /// The updates done in each lane of the bundle.
    #[must_use]
    pub fn updates(&self) -> Vec<u64> {
        self.lanes.iter().map(|control| control.updates.load(Ordering::Relaxed)).collect()
    }

    /// The next event; `None` if the thread is gone.
    pub async fn next(&mut self) -> Option<TrainerEvent> {
        self.events.recv().await
    }
}

/// The training thread's data.
struct TrainingThread {
    places: Places,
    writer: Option<CheckpointWriter>,
    /// For requests to the checkpoint store.
    runtime: Runtime,
    /// The datasets in memory, the latest first, [`DATASETS`] at most.
    datasets: Vec<(DatasetRef, data::Dataset)>,
    out: mpsc::Sender<TrainerEvent>,
    clock: Clock,
}

impl TrainingThread {
    fn run(&mut self, grant: &Grant, lanes: &[LaneControl]) {
        let start_s = self.clock.seconds();
        // A panic is an error in this program, but the other trials of the sweep go on.
        let trained = panic::catch_unwind(AssertUnwindSafe(|| self.train(grant, lanes)));
        let seconds = self.clock.seconds() - start_s;
        let trained = trained.unwrap_or_else(|panic| Err(format!("the training code panicked: {}", words(&*panic))));
        let cause = trained.err().unwrap_or_else(|| "the training code did not end this lane".to_owned());
        for (lane, control) in lanes.iter().enumerate().filter(|(_, lane)| !lane.has_ended.load(Ordering::Relaxed)) {
            self.tell(TrainerEvent::LaneEnded { lane, end: failed(&cause, control, seconds) });
        }
        self.tell(TrainerEvent::BundleDone);
    }

    fn train(&mut self, grant: &Grant, lanes: &[LaneControl]) -> Result<(), String> {
        self.load(&grant.shape.dataset)?;
        let (_, data) = self.datasets.first().ok_or("the dataset was just loaded and is gone")?;
        let id = |lane: &Lane| CheckpointId { sweep: grant.sweep, trajectory: lane.trajectory };
        let checkpoint =
            |lane: &Lane| LaneCheckpoint { id: id(lane), key: checkpoint::key(&grant.shape, lane.hyperparameters) };
        let checkpoints: Vec<LaneCheckpoint> = grant.lanes.iter().map(checkpoint).collect();
        let jobs = grant.lanes.iter().zip(&checkpoints).zip(lanes).map(|((lane, checkpoint), control)| {
            let latest = |store: &CheckpointStore| self.runtime.block_on(store.latest(checkpoint.id, checkpoint.key));
            let resume = self.writer.as_ref().map(CheckpointWriter::store).and_then(latest);
            if let Some(state) = &resume {
                let (sweep, attempt, trajectory) = (grant.sweep, grant.attempt, lane.trajectory);
                tracing::info!(%sweep, %trajectory, %attempt, update = state.update, "resumes from a checkpoint");
                control.updates.store(state.update, Ordering::Relaxed);
            }
            LaneJob { hyperparameters: lane.hyperparameters, stopping_rules: lane.stopping_rules.clone(), resume }
        });
        let bundle = Bundle { shape: grant.shape.clone(), lanes: jobs.collect(), measures: grant.measures.clone() };
        let every_s = grant.checkpoint_every_ms as f64 / 1e3;
        let schedule = self.writer.as_ref().map(|writer| {
            CheckpointSchedule::new(writer, &self.runtime, every_s, self.clock, checkpoints.iter().copied())
        });
        let mut observer = TrainingObserver { out: &self.out, grant, lanes, schedule, dataset_size: data.size() };
        train(&bundle, data, &mut observer).map(drop).map_err(|error| error.to_string())
    }

    /// Puts a dataset first in `datasets`; loads it if it is not there.
    fn load(&mut self, dataset: &DatasetRef) -> Result<(), String> {
        let place = self.datasets.iter().position(|(loaded, _)| loaded == dataset);
        let loaded = match place {
            Some(place) => self.datasets.remove(place),
            None => {
                self.datasets.truncate(DATASETS - 1);
                (dataset.clone(), data::load(dataset, &self.places).map_err(|error| error.to_string())?)
            }
        };
        self.datasets.insert(0, loaded);
        Ok(())
    }

    fn tell(&self, event: TrainerEvent) {
        // If the agent is gone, the process is ending.
        drop(self.out.blocking_send(event));
    }
}

struct TrainingObserver<'a> {
    out: &'a mpsc::Sender<TrainerEvent>,
    grant: &'a Grant,
    lanes: &'a [LaneControl],
    schedule: Option<CheckpointSchedule<'a>>,
    dataset_size: DatasetSize,
}

impl Observer for TrainingObserver<'_> {
    fn updated(&mut self, lane: usize, updates: u64) {
        self.lanes[lane].updates.store(updates, Ordering::Relaxed);
        if let Some(schedule) = &mut self.schedule {
            schedule.updated(lane);
        }
    }

    fn evaluated(&mut self, lane: usize, point: &CurvePoint) {
        drop(self.out.blocking_send(TrainerEvent::Evaluated { lane, point: *point }));
    }

    fn should_stop(&mut self, lane: usize) -> bool {
        self.lanes[lane].halt.get().is_some()
    }

    fn wanted_state(&mut self, lanes: &mut dyn Iterator<Item = usize>) -> Option<usize> {
        self.schedule.as_mut()?.due(lanes)
    }

    fn state(&mut self, lane: usize, state: LaneState) {
        if let Some(schedule) = &mut self.schedule {
            schedule.keep(lane, state);
        }
    }

    fn incompatible(&mut self, lane: usize, why: &IncompatibleState) {
        let (sweep, attempt, trajectory) = (self.grant.sweep, self.grant.attempt, self.grant.lanes[lane].trajectory);
        tracing::warn!(%sweep, %trajectory, %attempt, %why, "a checkpoint is incompatible and is set aside; training starts at its first update");
        self.lanes[lane].updates.store(0, Ordering::Relaxed);
        if let Some(schedule) = &self.schedule {
            schedule.set_aside(lane);
        }
    }

    fn ended(&mut self, lane: usize, outcome: &LaneOutcome, seconds: f64) {
        let control = &self.lanes[lane];
        control.has_ended.store(true, Ordering::Relaxed);
        if let Some(schedule) = &mut self.schedule {
            if let LaneOutcome::Stopped { state } = outcome
                && control.halt.get() == Some(true)
            {
                schedule.keep_last(lane, state);
            }
            schedule.ended(lane);
        }
        let end = LaneEnd { dataset_size: Some(self.dataset_size), ..lane_end(outcome, control, seconds) };
        drop(self.out.blocking_send(TrainerEvent::LaneEnded { lane, end }));
    }
}

fn lane_end(outcome: &LaneOutcome, control: &LaneControl, seconds: f64) -> LaneEnd {
    let (outcome, cause, curve, diagnostics) = match outcome {
        LaneOutcome::Completed { curve, diagnostics, .. } => (Outcome::Completed, None, curve, diagnostics),
        LaneOutcome::Diverged { what, update, curve, diagnostics } => {
            let cause = match what {
                NotFinite::TrainingLoss => format!("the training loss ceased to be finite at update {update}"),
                NotFinite::Evaluation => {
                    format!("the evaluation at update {update} found outputs, or a loss, that are not finite")
                }
            };
            (Outcome::Diverged, Some(cause), curve, diagnostics)
        }
        LaneOutcome::Stopped { state } => (Outcome::Preempted, None, &state.curve, &state.diagnostics),
    };
    LaneEnd {
        outcome,
        cause,
        curve: curve.clone(),
        diagnostics: diagnostics.clone(),
        updates: control.updates.load(Ordering::Relaxed),
        seconds,
        dataset_size: None,
    }
}

fn failed(cause: &str, control: &LaneControl, seconds: f64) -> LaneEnd {
    LaneEnd {
        outcome: Outcome::Failed,
        cause: Some(cause.to_owned()),
        curve: Vec::new(),
        diagnostics: Vec::new(),
        updates: control.updates.load(Ordering::Relaxed),
        seconds,
        dataset_size: None,
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|&words| words.to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_halts_by_what_was_said_last() {
        let halt = Halt::default();
        assert_eq!(halt.get(), None);
        halt.set(true);
        assert_eq!(halt.get(), Some(true));
        halt.set(false);
        assert_eq!(halt.get(), Some(false), "the sweep was cancelled while its worker was leaving");
    }
}
