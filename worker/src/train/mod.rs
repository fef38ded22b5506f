//! Trains a bundle from data to results. Knows nothing of the network between machines.
//!
//! | room | holds |
//! |---|---|
//! | here | a bundle and what comes of it |
//! | `batches` | which images each update learns from |
//! | `learner` | one lane: its network, rule and optimisers |
//! | `evaluate` | accuracy on many images |

mod batches;
mod evaluate;
mod learner;

use biosweep_common::configuration::{Hyperparameters, Shape, StoppingRule};
use biosweep_common::curve::{CurvePoint, Score, Watcher, improves};

pub(crate) use batches::Batches;
pub(crate) use learner::Learner;

use crate::data::{Dataset, Part};
use evaluate::Evaluator;

/// Trajectories of one shape, to be trained together.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What all lanes share.
    pub shape: Shape,
    /// One trajectory each.
    pub lanes: Vec<LaneJob>,
}

/// One trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneJob {
    /// By what numbers.
    pub hyperparameters: Hyperparameters,
    /// When each of its trials ends.
    pub stopping_rules: Vec<StoppingRule>,
}

/// Hears what happens in training, and may end it.
pub trait Observer {
    /// A lane has done so many updates; called after every one.
    fn updated(&mut self, lane: usize, updates: u64);
    /// A lane was evaluated.
    fn evaluated(&mut self, lane: usize, point: &CurvePoint);
    /// Whether the lane is to stop before its next update.
    fn should_stop(&mut self, lane: usize) -> bool;
}

/// What came of a lane.
#[derive(Debug, Clone, PartialEq)]
pub enum LaneOutcome {
    /// Trained until the last of its trials had ended.
    Completed {
        /// Every evaluation.
        curve: Vec<CurvePoint>,
        /// One for each trial, in their order.
        scores: Vec<Score>,
    },
    /// The training loss ceased to be finite.
    Diverged {
        /// At this update.
        update: u64,
        /// Every evaluation before.
        curve: Vec<CurvePoint>,
    },
    /// The observer ended it.
    Stopped {
        /// Every evaluation before.
        curve: Vec<CurvePoint>,
    },
}

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
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Libtorch(#[from] tch::TchError),
}

/// Trains every lane of a bundle to its end. The same bundle on the same data gives the same outcomes to the last bit.
///
/// # Errors
/// A bundle that cannot be trained on this data, or what libtorch refuses.
pub fn train(bundle: &Bundle, data: &Dataset, observer: &mut dyn Observer) -> Result<Vec<LaneOutcome>, TrainError> {
    let _no_gradients = tch::no_grad_guard();
    let lanes = bundle.lanes.iter().enumerate();
    lanes.map(|(lane, job)| train_lane(&bundle.shape, job, lane, data, observer)).collect()
}

fn train_lane(
    shape: &Shape,
    job: &LaneJob,
    lane: usize,
    data: &Dataset,
    observer: &mut dyn Observer,
) -> Result<LaneOutcome, TrainError> {
    let split = data.split(job.hyperparameters.fold);
    let mut batches = Batches::new(&split.train, shape.batch_size, &job.hyperparameters)?;
    let mut learner = Learner::<f32>::new(shape, data, &job.hyperparameters)?;
    let mut evaluator = Evaluator::new(&learner.network, data)?;
    let mut watchers: Vec<Watcher> = job.stopping_rules.iter().copied().map(Watcher::new).collect();
    let ends: Vec<u64> = job.stopping_rules.iter().map(|rule| rule.max_updates).collect();
    let last = *ends.iter().max().ok_or(TrainError::Endless)?;

    let mut curve: Vec<CurvePoint> = Vec::new();
    let mut best: Option<CurvePoint> = None;
    let (mut loss_sum, mut loss_count) = (0.0, 0_u64);
    for update in 1..=last {
        if observer.should_stop(lane) {
            return Ok(LaneOutcome::Stopped { curve });
        }
        let loss = learner.update(data, batches.next(), update)?;
        observer.updated(lane, update);
        if !loss.is_finite() {
            return Ok(LaneOutcome::Diverged { update, curve });
        }
        (loss_sum, loss_count) = (loss_sum + loss, loss_count + 1);
        if !update.is_multiple_of(shape.eval_every) && !ends.contains(&update) {
            continue;
        }
        let validation_accuracy = evaluator.accuracy(&learner.network, data, Part::Train, &split.validation)?;
        let train_loss = loss_sum / loss_count as f64;
        let mut point = CurvePoint { update, train_loss, validation_accuracy, test_accuracy: None };
        if improves(best.as_ref(), &point) {
            point.test_accuracy = Some(evaluator.test_accuracy(&learner.network, data)?);
            best = Some(point);
        }
        (loss_sum, loss_count) = (0.0, 0);
        curve.push(point);
        observer.evaluated(lane, &point);
        watchers.iter_mut().for_each(|watcher| watcher.observe(&point));
        if watchers.iter().all(Watcher::has_ended) {
            break;
        }
    }
    let scores = watchers.iter().filter_map(Watcher::score).collect();
    Ok(LaneOutcome::Completed { curve, scores })
}
