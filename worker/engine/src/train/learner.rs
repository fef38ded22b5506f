//! The learner: the model, the rule and the optimisers of all lanes of a bundle, and the buffers that the lanes share.

use std::collections::BTreeMap;

use biosweep_common::configuration::{Hyperparameters, Shape};
use biosweep_common::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::rules::Rule;
use biosweep_data::{Dataset, Part};
use biosweep_numeric::random::Purpose;
use tch::TchError;

use super::diagnostics::DiagnosticsProbe;
use super::{IncompatibleState, TrainError};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::group::Change;
use crate::model::optimisers::{FORWARD, LaneOptimisers};
use crate::model::{ForwardPass, Model, Seed};
use crate::rules::{self, Batch, Destination, LearningRule, StepContext};

/// The learner of a bundle.
pub(crate) struct Learner<T: Scalar> {
    pub(crate) model: Model<T>,
    pass: ForwardPass<T>,
    rule: Box<dyn LearningRule<T>>,
    kind: Rule,
    lanes: Vec<Lane<T>>,
    labels: Vec<i64>,
}

/// The hyperparameters and the optimisers of one lane.
struct Lane<T> {
    hyperparameters: Hyperparameters,
    optimisers: LaneOptimisers<T>,
}

impl<T: Scalar> Learner<T> {
    /// A learner for this data, before the first update.
    pub(crate) fn new(shape: &Shape, data: &Dataset, lanes: &[Hyperparameters]) -> Result<Self, TrainError> {
        let architecture = Architecture::from_shape(shape, data.image(), data.classes())?;
        let groups = rules::groups::<T>(shape.rule, &architecture);
        let mut model = Model::zeros(architecture, shape.activation, lanes.len(), groups)?;
        for (lane, hyperparameters) in lanes.iter().enumerate() {
            model.draw(lane, seed(hyperparameters));
        }
        let batch_size = shape.batch_size as usize;
        let lane = |hyperparameters: &Hyperparameters| {
            let optimisers = LaneOptimisers::new(&model, shape.optimizer, hyperparameters)?;
            Ok::<_, TchError>(Lane { hyperparameters: *hyperparameters, optimisers })
        };
        Ok(Self {
            pass: ForwardPass::new(&model.architecture, batch_size)?,
            rule: rules::new(shape.rule, &model, batch_size)?,
            kind: shape.rule,
            lanes: lanes.iter().map(lane).collect::<Result<_, _>>()?,
            labels: vec![0; batch_size],
            model,
        })
    }

    /// One update of a lane on these images. Returns the loss before the update.
    pub(crate) fn update(
        &mut self,
        lane: usize,
        data: &Dataset,
        images: &[u32],
        update: u64,
    ) -> Result<f64, TrainError> {
        data.gather(Part::Train, images, self.pass.images.slice_mut(), &mut self.labels);
        self.pass.forward(&self.model, lane)?;
        let Lane { hyperparameters, optimisers } = &mut self.lanes[lane];
        let seed = seed(hyperparameters);
        self.model.redraw(lane, seed, update);
        let batch = Batch { labels: &self.labels, lane, update, hyperparameters, normal: &mut normal::<T>(seed) };
        let destination = Destination::Optimisers(optimisers);
        let mut step = StepContext::new(&mut self.model, &mut self.pass, batch, destination);
        self.rule.backward(&mut step)?;
        Ok(step.loss)
    }

    /// The parameters and the optimiser state of a lane, by name. Parameters that are drawn anew at every update are no
    /// state.
    pub(crate) fn state(&mut self, lane: usize) -> Vec<(String, &mut [T])> {
        let mut state = vec![(FORWARD.to_owned(), self.model.forward.lane_mut(lane))];
        for group in &mut self.model.groups {
            if !matches!(group.declared.change, Change::Redrawn) {
                state.push((group.declared.name.to_owned(), group.parameters.lane_mut(lane)));
            }
        }
        state.extend(self.lanes[lane].optimisers.state());
        state
    }

    /// The number of steps of each optimiser of a lane, by the name of its parameters.
    pub(crate) fn steps(&self, lane: usize) -> BTreeMap<String, u64> {
        self.lanes[lane].optimisers.steps()
    }

    /// Restores the parameters and the optimisers of a lane. An incompatible state changes nothing.
    pub(crate) fn resume(
        &mut self,
        lane: usize,
        steps: &BTreeMap<String, u64>,
        numbers: &BTreeMap<String, Vec<T>>,
    ) -> Result<(), IncompatibleState> {
        if let Some(name) = self.steps(lane).keys().find(|&name| !steps.contains_key(name)) {
            return Err(IncompatibleState(format!("it has no number of steps of `{name}`")));
        }
        let state = self.state(lane);
        if state.len() != numbers.len() {
            let (found, expected) = (numbers.len(), state.len());
            return Err(IncompatibleState(format!("it has {found} stretches of numbers in place of {expected}")));
        }
        for (name, own) in &state {
            match numbers.get(name) {
                None => return Err(IncompatibleState(format!("it has no `{name}`"))),
                Some(saved) if saved.len() != own.len() => {
                    let (found, expected) = (saved.len(), own.len());
                    return Err(IncompatibleState(format!(
                        "it has {found} numbers of `{name}` in place of {expected}"
                    )));
                }
                Some(_) => {}
            }
        }
        for (name, own) in state {
            own.copy_from_slice(&numbers[&name]);
        }
        self.lanes[lane].optimisers.resume(steps);
        Ok(())
    }

    /// The diagnostics of a lane after `update` updates, on its last batch.
    pub(crate) fn diagnose(
        &mut self,
        lane: usize,
        update: u64,
        measures: &[Measure],
    ) -> Result<Vec<DiagnosticPoint>, TrainError> {
        self.pass.forward(&self.model, lane)?;
        let hyperparameters = &self.lanes[lane].hyperparameters;
        let seed = seed(hyperparameters);
        self.model.redraw(lane, seed, update);
        let mut probe = DiagnosticsProbe {
            rule: rules::new(self.kind, &self.model, self.pass.batch_size)?,
            model: &mut self.model,
            pass: &mut self.pass,
            labels: &self.labels,
            lane,
            update,
            hyperparameters,
            normal: &mut normal::<T>(seed),
        };
        Ok(probe.measure(measures)?)
    }
}

/// The seed of a lane.
fn seed(hyperparameters: &Hyperparameters) -> Seed {
    Seed { seed: hyperparameters.seed, fold: hyperparameters.fold }
}

/// The random numbers of a lane, for each purpose and draw.
fn normal<T: Scalar>(seed: Seed) -> impl FnMut(Purpose, u64, &mut [T]) {
    move |purpose, draw, numbers| T::fill_normal(numbers, &mut seed.stream(purpose, draw), 1.0)
}
