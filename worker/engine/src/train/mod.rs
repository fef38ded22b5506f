//! The training loop of a bundle, from the data to the results. It is independent of the protocol between machines.
//!
//! | module | contents |
//! |---|---|
//! | here | a bundle, its outcomes, the training loop |
//! | `batches` | the images of each update |
//! | `lane` | the training of one lane |
//! | `learner` | the model, the rule and the optimisers of all lanes |
//! | `evaluate` | the accuracy on many images |
//! | `diagnostics` | diagnostics of layers, if the sweep asks for them |

mod batches;
mod diagnostics;
mod evaluate;
mod lane;
mod learner;

use std::collections::BTreeMap;

use biosweep_common::configuration::{Hyperparameters, Shape, StoppingRule};
use biosweep_common::network::extents::TooSmall;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_host::clock::Clock;

pub(crate) use batches::Batches;
pub(crate) use evaluate::Evaluator;
pub(crate) use learner::Learner;

use biosweep_data::Dataset;
use lane::{LaneStep, LaneTrainer};

use crate::model::saved::SavedTensors;

/// A bundle: trajectories of one shape that train together.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The settings that all lanes share.
    pub shape: Shape,
    /// One trajectory each.
    pub lanes: Vec<LaneJob>,
    /// The diagnostics to measure at evaluations.
    pub measures: Vec<Measure>,
}

/// One trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneJob {
    /// The hyperparameters.
    pub hyperparameters: Hyperparameters,
    /// The stopping rule of each trial.
    pub stopping_rules: Vec<StoppingRule>,
    /// The state to resume from; `None` starts at the first update.
    pub resume: Option<LaneState>,
}

/// The state of a lane after an update: everything that its further training depends on, and its results so far.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneState {
    /// Updates done.
    pub update: u64,
    /// The sum of the losses since the last evaluation.
    pub loss_sum: f64,
    /// The number of losses since the last evaluation.
    pub loss_count: u64,
    /// All evaluations.
    pub curve: Vec<CurvePoint>,
    /// All diagnostics.
    pub diagnostics: Vec<DiagnosticPoint>,
    /// The number of steps of each optimiser, by the name of its parameters.
    pub steps: BTreeMap<String, u64>,
    /// Parameters and optimiser state, by name.
    pub tensors: SavedTensors<f32>,
}

/// An observer of training, which may stop lanes. Every method but `incompatible` does nothing by default.
pub trait Observer {
    /// A lane has done `_updates` updates. Called after every update.
    fn updated(&mut self, _lane: usize, _updates: u64) {}
    /// A lane was evaluated.
    fn evaluated(&mut self, _lane: usize, _point: &CurvePoint) {}
    /// Whether the lane stops before its next update.
    fn should_stop(&mut self, _lane: usize) -> bool {
        false
    }
    /// The lane whose state the observer wants now, among these lanes. Called before every update, with all lanes that
    /// have not ended.
    fn wanted_state(&mut self, _lanes: &mut dyn Iterator<Item = usize>) -> Option<usize> {
        None
    }
    /// The state that the observer wanted.
    fn state(&mut self, _lane: usize, _state: LaneState) {}
    /// The state to resume from is incompatible: the lane starts at its first update.
    fn incompatible(&mut self, lane: usize, why: &IncompatibleState);
    /// A lane ended after `_seconds` seconds of its own training. Other lanes may continue.
    fn ended(&mut self, _lane: usize, _outcome: &LaneOutcome, _seconds: f64) {}
}

/// The outcome of a lane.
#[derive(Debug, Clone, PartialEq)]
pub enum LaneOutcome {
    /// The lane trained until its last trial ended.
    Completed {
        /// All evaluations.
        curve: Vec<CurvePoint>,
        /// All diagnostics.
        diagnostics: Vec<DiagnosticPoint>,
        /// The score of each trial, in the order of the trials.
        scores: Vec<Score>,
    },
    /// A number was no longer finite, for all trials or for some.
    Diverged {
        /// The number that was not finite.
        what: NotFinite,
        /// The update at which that happened.
        update: u64,
        /// All evaluations before.
        curve: Vec<CurvePoint>,
        /// All diagnostics before.
        diagnostics: Vec<DiagnosticPoint>,
    },
    /// The observer stopped the lane.
    Stopped {
        /// The state to resume from.
        state: LaneState,
    },
}

/// The numbers that may not be finite when training diverges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFinite {
    /// The training loss of an update.
    TrainingLoss,
    /// The outputs of the network at an evaluation, or the loss of an image there.
    Evaluation,
}

/// A state that is incompatible with the model or the optimiser of its lane, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is of another network or optimiser: {0}")]
pub struct IncompatibleState(pub(crate) String);

/// The error of a bundle that cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The batch is larger than the training part.
    #[error(
        "a batch of {batch_size} images is more than the {images} there are to train on; choose a smaller batch_size"
    )]
    BatchTooLarge {
        /// Images in a batch.
        batch_size: u32,
        /// Images to train on.
        images: usize,
    },
    /// The rule is not defined for the network.
    #[error("the rule {rule} is not defined for the network {network}; it trains fully connected networks")]
    Undefined {
        /// The rule.
        rule: Rule,
        /// The network.
        network: Network,
    },
    /// A trajectory has no trials.
    #[error("a trajectory without stopping rules would train for ever")]
    Endless,
    /// The images are too small for a convolutional network.
    #[error(transparent)]
    TooSmall(#[from] TooSmall),
    /// libtorch reports an error.
    #[error("libtorch: {0}")]
    Libtorch(#[from] tch::TchError),
}

/// Trains every lane of a bundle to its end. The same bundle on the same data has the same outcomes to the last bit.
/// Each lane has the outcome that it would have alone, or without the interruptions before its saved state.
///
/// The lanes take turns, from one evaluation to the next. All lanes therefore progress together, and the parameters of
/// a lane stay in the processor's caches during its turn. The end of a lane does not affect the others.
///
/// # Errors
/// The bundle cannot be trained on this data, or libtorch reports an error.
pub fn train(bundle: &Bundle, data: &Dataset, observer: &mut dyn Observer) -> Result<Vec<LaneOutcome>, TrainError> {
    let _no_gradients = tch::no_grad_guard();
    let Bundle { shape, lanes: jobs, measures } = bundle;
    let hyperparameters: Vec<Hyperparameters> = jobs.iter().map(|job| job.hyperparameters).collect();
    let mut learner = Learner::<f32>::new(shape, data, &hyperparameters)?;
    let mut evaluator = Evaluator::new(&learner.model, data)?;
    let mut lanes = Vec::with_capacity(jobs.len());
    for (place, job) in jobs.iter().enumerate() {
        let fits = |state: &&LaneState| {
            let resumed = learner.resume(place, &state.steps, &state.tensors);
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
