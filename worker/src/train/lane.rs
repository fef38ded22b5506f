//! One lane's way from its first update to its last.

use biosweep_common::configuration::Shape;
use biosweep_common::curve::{CurvePoint, Watcher};
use biosweep_common::health::{HealthPoint, Measure};

use super::evaluate::Evaluator;
use super::{Batches, LaneJob, LaneOutcome, LaneState, Learner, Observer, TrainError};
use crate::data::{Dataset, Part, Split};

/// A lane on its way.
pub(super) struct Lane {
    place: usize,
    eval_every: u64,
    split: Split,
    batches: Batches,
    watchers: Vec<Watcher>,
    /// Updates at which trials end; the network is evaluated there too.
    ends: Vec<u64>,
    last: u64,
    update: u64,
    curve: Vec<CurvePoint>,
    health: Vec<HealthPoint>,
    /// Of the losses since the last evaluation.
    loss_sum: f64,
    loss_count: u64,
}

impl Lane {
    /// A lane before its first update.
    pub(super) fn new(place: usize, job: &LaneJob, shape: &Shape, data: &Dataset) -> Result<Self, TrainError> {
        let split = data.split(job.hyperparameters.fold);
        let ends: Vec<u64> = job.stopping_rules.iter().map(|rule| rule.max_updates).collect();
        let update = job.resume.as_ref().map_or(0, |state| state.update);
        let mut lane = Self {
            place,
            eval_every: shape.eval_every,
            batches: Batches::new(&split.train, shape.batch_size, &job.hyperparameters, update)?,
            split,
            watchers: job.stopping_rules.iter().map(|&rule| Watcher::new(rule, shape.eval_every)).collect(),
            last: *ends.iter().max().ok_or(TrainError::Endless)?,
            ends,
            update,
            curve: Vec::new(),
            health: Vec::new(),
            loss_sum: 0.0,
            loss_count: 0,
        };
        if let Some(state) = &job.resume {
            state.curve.iter().for_each(|point| lane.note(*point));
            lane.health.clone_from(&state.health);
            (lane.loss_sum, lane.loss_count) = (state.loss_sum, state.loss_count);
        }
        Ok(lane)
    }

    /// Takes an evaluation into the curve, and shows it to the stopping rules.
    fn note(&mut self, point: CurvePoint) {
        self.watchers.iter_mut().for_each(|watcher| watcher.observe(&point));
        self.curve.push(point);
    }

    /// All of it as it now is.
    fn state(&self, learner: &mut Learner<f32>) -> LaneState {
        let numbers = learner.memory(self.place).into_iter().map(|(name, numbers)| (name, numbers.to_vec()));
        LaneState {
            update: self.update,
            loss_sum: self.loss_sum,
            loss_count: self.loss_count,
            curve: self.curve.clone(),
            health: self.health.clone(),
            numbers: numbers.collect(),
        }
    }

    /// Trains to the next evaluation; what came of the lane, where it ends there or before.
    pub(super) fn take_turn(
        &mut self,
        learner: &mut Learner<f32>,
        evaluator: &mut Evaluator<f32>,
        data: &Dataset,
        measures: &[Measure],
        observer: &mut dyn Observer,
    ) -> Result<Option<LaneOutcome>, TrainError> {
        loop {
            if observer.should_stop(self.place) {
                return Ok(Some(LaneOutcome::Stopped { state: self.state(learner) }));
            }
            if observer.wants_state(self.place) {
                observer.state(self.place, self.state(learner));
            }
            self.update += 1;
            let loss = learner.update(self.place, data, self.batches.next(&self.split.train), self.update)?;
            observer.updated(self.place, self.update);
            if !loss.is_finite() {
                let (curve, health) = self.take_findings();
                return Ok(Some(LaneOutcome::Diverged { update: self.update, curve, health }));
            }
            self.loss_sum += loss;
            self.loss_count += 1;
            if self.update.is_multiple_of(self.eval_every) || self.ends.contains(&self.update) {
                break;
            }
        }
        let point = self.evaluate(learner, evaluator, data)?;
        observer.evaluated(self.place, &point);
        if !measures.is_empty() {
            self.health.extend(learner.examine(self.place, self.update, measures)?);
        }
        self.note(point);
        if self.update < self.last && !self.watchers.iter().all(Watcher::has_ended) {
            return Ok(None);
        }
        let scores = self.watchers.iter().filter_map(Watcher::score).collect();
        let (curve, health) = self.take_findings();
        Ok(Some(LaneOutcome::Completed { curve, health, scores }))
    }

    fn take_findings(&mut self) -> (Vec<CurvePoint>, Vec<HealthPoint>) {
        (std::mem::take(&mut self.curve), std::mem::take(&mut self.health))
    }

    fn evaluate(
        &mut self,
        learner: &Learner<f32>,
        evaluator: &mut Evaluator<f32>,
        data: &Dataset,
    ) -> Result<CurvePoint, TrainError> {
        let network = &learner.network;
        let validation_accuracy = evaluator.accuracy(network, self.place, data, Part::Train, &self.split.validation)?;
        let train_loss = self.loss_sum / self.loss_count as f64;
        let mut point = CurvePoint { update: self.update, train_loss, validation_accuracy, test_accuracy: None };
        if self.watchers.iter().any(|watcher| watcher.is_improved_by(&point)) {
            point.test_accuracy = Some(evaluator.test_accuracy(network, self.place, data)?);
        }
        (self.loss_sum, self.loss_count) = (0.0, 0);
        Ok(point)
    }
}
