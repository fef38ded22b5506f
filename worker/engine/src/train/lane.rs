//! The training of one lane, from its first update to its last.

use biosweep_common::configuration::Shape;
use biosweep_common::results::curve::{CurvePoint, EarlyStopper};
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_data::{Dataset, Part, Split};

use super::evaluate::Evaluator;
use super::{Batches, LaneJob, LaneOutcome, LaneState, Learner, NotFinite, Observer, TrainError};

/// The result of an update.
pub(super) enum LaneStep {
    /// An update without an evaluation.
    Updated,
    /// An update with an evaluation. The turn of the lane ends.
    Evaluated,
    /// The end of the lane.
    Ended(LaneOutcome),
}

/// A lane in training.
pub(super) struct LaneTrainer {
    place: usize,
    eval_every: u64,
    split: Split,
    batches: Batches,
    stoppers: Vec<EarlyStopper>,
    /// Updates at which trials end. The network is evaluated there too.
    ends: Vec<u64>,
    update: u64,
    curve: Vec<CurvePoint>,
    diagnostics: Vec<DiagnosticPoint>,
    /// The sum of the losses since the last evaluation.
    loss_sum: f64,
    loss_count: u64,
}

impl LaneTrainer {
    /// A lane before its first update, or at a saved state.
    pub(super) fn new(
        place: usize,
        job: &LaneJob,
        state: Option<&LaneState>,
        shape: &Shape,
        data: &Dataset,
    ) -> Result<Self, TrainError> {
        let split = data.split(job.hyperparameters.fold);
        let ends: Vec<u64> = job.stopping_rules.iter().map(|rule| rule.max_updates).collect();
        if ends.is_empty() {
            return Err(TrainError::Endless);
        }
        let update = state.map_or(0, |state| state.update);
        let mut lane = Self {
            place,
            eval_every: shape.eval_every,
            batches: Batches::new(&split.train, shape.batch_size, &job.hyperparameters, update)?,
            split,
            stoppers: job.stopping_rules.iter().map(|&rule| EarlyStopper::new(rule, shape.eval_every)).collect(),
            ends,
            update,
            curve: Vec::new(),
            diagnostics: Vec::new(),
            loss_sum: 0.0,
            loss_count: 0,
        };
        if let Some(state) = state {
            state.curve.iter().for_each(|point| lane.record(*point));
            lane.diagnostics.clone_from(&state.diagnostics);
            (lane.loss_sum, lane.loss_count) = (state.loss_sum, state.loss_count);
        }
        Ok(lane)
    }

    /// Records an evaluation in the curve and in the early stoppers.
    fn record(&mut self, point: CurvePoint) {
        self.stoppers.iter_mut().for_each(|stopper| stopper.observe(&point));
        self.curve.push(point);
    }

    /// The current state of the lane.
    pub(super) fn state(&self, learner: &mut Learner<f32>) -> LaneState {
        let steps = learner.steps(self.place);
        LaneState {
            update: self.update,
            loss_sum: self.loss_sum,
            loss_count: self.loss_count,
            curve: self.curve.clone(),
            diagnostics: self.diagnostics.clone(),
            steps,
            tensors: learner.state(self.place),
        }
    }

    /// One update, and the evaluation after it if one is due.
    pub(super) fn update(
        &mut self,
        learner: &mut Learner<f32>,
        evaluator: &mut Evaluator<f32>,
        data: &Dataset,
        measures: &[Measure],
        observer: &mut dyn Observer,
    ) -> Result<LaneStep, TrainError> {
        self.update += 1;
        let loss = learner.update(self.place, data, self.batches.next(&self.split.train), self.update)?;
        observer.updated(self.place, self.update);
        if !loss.is_finite() {
            return Ok(self.diverged(NotFinite::TrainingLoss, self.update));
        }
        self.loss_sum += loss;
        self.loss_count += 1;
        let is_regular = self.update.is_multiple_of(self.eval_every);
        if !is_regular && !self.ends.contains(&self.update) {
            return Ok(LaneStep::Updated);
        }
        match self.evaluate(learner, evaluator, data)? {
            Some(point) => {
                observer.evaluated(self.place, &point);
                if !measures.is_empty() {
                    self.diagnostics.extend(learner.diagnose(self.place, self.update, measures)?);
                }
                self.record(point);
            }
            None if is_regular => return Ok(self.diverged(NotFinite::Evaluation, self.update)),
            // The trials that end here have diverged. The others have no evaluation here, and continue.
            None => {}
        }
        let is_done = |(stopper, &end): (&EarlyStopper, &u64)| stopper.has_ended() || end <= self.update;
        if !self.stoppers.iter().zip(&self.ends).all(is_done) {
            return Ok(LaneStep::Evaluated);
        }
        let lost = self.stoppers.iter().zip(&self.ends).filter(|(stopper, _)| !stopper.has_ended());
        if let Some(&end) = lost.map(|(_, end)| end).min() {
            return Ok(self.diverged(NotFinite::Evaluation, end));
        }
        let scores = self.stoppers.iter().filter_map(EarlyStopper::score).collect();
        let (curve, diagnostics) = self.take_curves();
        Ok(LaneStep::Ended(LaneOutcome::Completed { curve, diagnostics, scores }))
    }

    fn diverged(&mut self, what: NotFinite, update: u64) -> LaneStep {
        let (curve, diagnostics) = self.take_curves();
        LaneStep::Ended(LaneOutcome::Diverged { what, update, curve, diagnostics })
    }

    fn take_curves(&mut self) -> (Vec<CurvePoint>, Vec<DiagnosticPoint>) {
        (std::mem::take(&mut self.curve), std::mem::take(&mut self.diagnostics))
    }

    /// Evaluates the network; `None` if its outputs are not finite.
    fn evaluate(
        &mut self,
        learner: &Learner<f32>,
        evaluator: &mut Evaluator<f32>,
        data: &Dataset,
    ) -> Result<Option<CurvePoint>, TrainError> {
        let model = &learner.model;
        let validation = evaluator.accuracy(model, self.place, data, Part::Train, &self.split.validation)?;
        let Some(validation_accuracy) = validation else { return Ok(None) };
        let train_loss = self.loss_sum / self.loss_count as f64;
        let mut point = CurvePoint { update: self.update, train_loss, validation_accuracy, test_accuracy: None };
        if self.stoppers.iter().any(|stopper| stopper.is_improved_by(&point)) {
            point.test_accuracy = evaluator.test_accuracy(model, self.place, data)?;
            if point.test_accuracy.is_none() {
                return Ok(None);
            }
        }
        (self.loss_sum, self.loss_count) = (0.0, 0);
        Ok(Some(point))
    }
}
