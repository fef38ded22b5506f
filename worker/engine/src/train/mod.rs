//! Trains a bundle from data to results. Knows nothing of the network between machines.
//!
//! | room | holds |
//! |---|---|
//! | here | a bundle and what comes of it |
//! | `batches` | which images each update learns from |
//! | `lane` | one lane's way from its first update to its last |
//! | `learner` | the networks, rule and optimisers of all lanes |
//! | `evaluate` | accuracy on many images |
//! | `diagnostics` | what a lane's layers are like, where that is asked for |

mod batches;
mod diagnostics;
mod evaluate;
mod lane;
mod learner;

use std::collections::BTreeMap;

use biosweep_common::configuration::{Hyperparameters, Shape, StoppingRule};
use biosweep_common::curve::{CurvePoint, Score};
use biosweep_common::extents::TooSmall;
use biosweep_common::health::{HealthPoint, Measure};
use biosweep_host::clock::Clock;

pub(crate) use batches::Batches;
pub(crate) use evaluate::Evaluator;
pub(crate) use learner::Learner;

use biosweep_data::Dataset;
use lane::{LaneStep, LaneTrainer};

/// Trajectories of one shape, to be trained together.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What all lanes share.
    pub shape: Shape,
    /// One trajectory each.
    pub lanes: Vec<LaneJob>,
    /// What is measured of each layer at evaluations.
    pub measures: Vec<Measure>,
}

/// One trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneJob {
    /// By what numbers.
    pub hyperparameters: Hyperparameters,
    /// When each of its trials ends.
    pub stopping_rules: Vec<StoppingRule>,
    /// Where it goes on; from the beginning where there is none.
    pub resume: Option<LaneState>,
}

/// All of a lane after an update: what its way on depends on, and what came of its way so far.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneState {
    /// Updates done.
    pub update: u64,
    /// The sum of the losses since the last evaluation.
    pub loss_sum: f64,
    /// Their number.
    pub loss_count: u64,
    /// Every evaluation.
    pub curve: Vec<CurvePoint>,
    /// What was measured of its layers at them.
    pub diagnostics: Vec<HealthPoint>,
    /// Parameters and what the optimisers remember, by name, as they lie in memory.
    pub numbers: BTreeMap<String, Vec<f32>>,
}

/// Hears what happens in training, and may end it. What an observer does not look at does nothing, but for a state that does not
/// fit: that is always to be told.
pub trait Observer {
    /// A lane has done so many updates; called after every one.
    fn updated(&mut self, _lane: usize, _updates: u64) {}
    /// A lane was evaluated.
    fn evaluated(&mut self, _lane: usize, _point: &CurvePoint) {}
    /// Whether the lane is to stop before its next update.
    fn should_stop(&mut self, _lane: usize) -> bool {
        false
    }
    /// A lane among these whose state is wanted now; asked before every update, of all lanes that have not ended.
    fn wanted_state(&mut self, _lanes: &mut dyn Iterator<Item = usize>) -> Option<usize> {
        None
    }
    /// A state that was wanted.
    fn state(&mut self, _lane: usize, _state: LaneState) {}
    /// The state that a lane was to go on from does not fit: the lane begins anew.
    fn incompatible(&mut self, lane: usize, why: &IncompatibleState);
    /// A lane ended, after so many seconds of its own; others may go on.
    fn ended(&mut self, _lane: usize, _outcome: &LaneOutcome, _seconds: f64) {}
}

/// What came of a lane.
#[derive(Debug, Clone, PartialEq)]
pub enum LaneOutcome {
    /// Trained until the last of its trials had ended.
    Completed {
        /// Every evaluation.
        curve: Vec<CurvePoint>,
        /// What was measured of its layers at them.
        diagnostics: Vec<HealthPoint>,
        /// One for each trial, in their order.
        scores: Vec<Score>,
    },
    /// A number ceased to be finite, to all its trials or to some.
    Diverged {
        /// What it was.
        what: NotFinite,
        /// At this update.
        update: u64,
        /// Every evaluation before.
        curve: Vec<CurvePoint>,
        /// What was measured of its layers at them.
        diagnostics: Vec<HealthPoint>,
    },
    /// The observer ended it.
    Stopped {
        /// What it takes to go on.
        state: LaneState,
    },
}

/// What ceases to be finite where training diverges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFinite {
    /// The training loss of an update.
    TrainingLoss,
    /// The network's outputs at an evaluation, or the loss of an image there.
    Evaluation,
}

/// A state that is none of its lane's network and optimiser: why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is of another network or optimiser: {0}")]
pub struct IncompatibleState(pub(crate) String);

/// Why a bundle cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A batch is larger than the training part.
    #[error(
        "a batch of {batch_size} images is more than the {images} there are to train on; choose a smaller batch_size"
    )]
    BatchTooLarge {
        /// Images in a batch.
        batch_size: u32,
        /// Images to train on.
        images: usize,
    },
    /// A trajectory without trials.
    #[error("a trajectory without stopping rules would train for ever")]
    Endless,
    /// Images too small for a convolutional network.
    #[error(transparent)]
    TooSmall(#[from] TooSmall),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Libtorch(#[from] tch::TchError),
}

/// Trains every lane of a bundle to its end. The same bundle on the same data gives the same outcomes to the last bit,
/// and each lane the same as it would alone, or without the interruptions that its state was carried over.
///
/// The lanes take turns, from one evaluation to the next: so all advance together, and a lane's parameters stay in the
/// processor's caches through its turn. A lane that ends leaves the others undisturbed.
///
/// # Errors
/// A bundle that cannot be trained on this data, or what libtorch refuses.
pub fn train(bundle: &Bundle, data: &Dataset, observer: &mut dyn Observer) -> Result<Vec<LaneOutcome>, TrainError> {
    let _no_gradients = tch::no_grad_guard();
    let Bundle { shape, lanes: jobs, measures } = bundle;
    let hyperparameters: Vec<Hyperparameters> = jobs.iter().map(|job| job.hyperparameters).collect();
    let mut learner = Learner::<f32>::new(shape, data, &hyperparameters)?;
    let mut evaluator = Evaluator::new(&learner.model, data)?;
    let mut lanes = Vec::with_capacity(jobs.len());
    for (place, job) in jobs.iter().enumerate() {
        let fits = |state: &&LaneState| {
            let resumed = learner.resume(place, state.update, &state.numbers);
            resumed.map_err(|why| observer.incompatible(place, &why)).is_ok()
        };
        let state = job.resume.as_ref().filter(fits);
        lanes.push(LaneTrainer::new(place, job, state, shape, data)?);
    }
    let clock = Clock::start();
    let mut seconds = vec![0.0; lanes.len()];
    let mut outcomes: Vec<Option<LaneOutcome>> = vec![None; lanes.len()];
    while outcomes.iter().any(Option::is_none) {
        for place in 0..lanes.len() {
            if outcomes[place].is_some() {
                continue;
            }
            let start = clock.seconds();
            let step = loop {
                if observer.should_stop(place) {
                    break LaneStep::Ended(LaneOutcome::Stopped { state: lanes[place].state(&mut learner) });
                }
                let mut open = (0..lanes.len()).filter(|&lane| outcomes[lane].is_none());
                if let Some(lane) = observer.wanted_state(&mut open) {
                    observer.state(lane, lanes[lane].state(&mut learner));
                }
                match lanes[place].update(&mut learner, &mut evaluator, data, measures, observer)? {
                    LaneStep::Updated => {}
                    step => break step,
                }
            };
            seconds[place] += clock.seconds() - start;
            if let LaneStep::Ended(outcome) = step {
                observer.ended(place, &outcome, seconds[place]);
                outcomes[place] = Some(outcome);
            }
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}
