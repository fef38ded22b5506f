//! The learner: the model, the rule and the optimisers of all lanes of a bundle, and the buffers that the lanes share.

use std::collections::BTreeMap;

use biosweep_common::configuration::{Hyperparameters, Shape};
use biosweep_common::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::rules::Rule;
use biosweep_data::{Dataset, Part};
use biosweep_numeric::random::{Purpose, Stream};
use tch::TchError;

use super::diagnostics::DiagnosticsProbe;
use super::{IncompatibleState, TrainError};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::parameters::Parameters;
use crate::model::{ForwardPass, Model};
use crate::optim::{self, Optimise, OptimiserConfig};
use crate::rules::{self, GradientSink, LearningRule, StepContext};

/// The learner of a bundle.
pub(crate) struct Learner<T: Scalar> {
    pub(crate) model: Model<T>,
    pass: ForwardPass<T>,
    rule: Box<dyn LearningRule<T>>,
    kind: Rule,
    lanes: Vec<LaneOptimisers<T>>,
    labels: Vec<i64>,
}

/// The optimisers and hyperparameters of one lane.
struct LaneOptimisers<T> {
    hyperparameters: Hyperparameters,
    forward: Box<dyn Optimise<T>>,
    decoders: Option<Box<dyn Optimise<T>>>,
}

impl<T: Scalar> Learner<T> {
    /// A learner for this data, before the first update.
    pub(crate) fn new(shape: &Shape, data: &Dataset, lanes: &[Hyperparameters]) -> Result<Self, TrainError> {
        let architecture = Architecture::from_shape(shape, data.image(), data.classes())?;
        let mut model = Model::zeros(architecture, shape.rule, shape.activation, lanes.len())?;
        for (lane, hyperparameters) in lanes.iter().enumerate() {
            model.draw(lane, shape.rule, hyperparameters.seed, hyperparameters.fold);
        }
        let batch_size = shape.batch_size as usize;
        let lane = |hyperparameters: &Hyperparameters| {
            let config = |learning_rate| OptimiserConfig {
                learning_rate,
                weight_decay: hyperparameters.weight_decay,
                momentum: hyperparameters.momentum,
                nesterov: hyperparameters.nesterov,
            };
            let optimiser = |learning_rate, length| optim::new(shape.optimizer, config(learning_rate), length);
            let decoders = model.decoders.as_ref();
            let of_decoders = |own: &Parameters<T>| optimiser(hyperparameters.decoder_learning_rate, own.lane_length());
            Ok::<_, TchError>(LaneOptimisers {
                hyperparameters: *hyperparameters,
                forward: optimiser(hyperparameters.learning_rate, model.forward.lane_length())?,
                decoders: decoders.map(of_decoders).transpose()?,
            })
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
        let LaneOptimisers { hyperparameters, forward, decoders } = &mut self.lanes[lane];
        let forward_sink = GradientSink::for_optimiser(&mut **forward);
        let loss = self.pass.loss(&self.labels, forward_sink.scale());
        let Hyperparameters { seed, fold, target_step, noise_std, .. } = *hyperparameters;
        let mut noise = noise::<T>(seed, fold, update);
        let mut context = StepContext {
            lane,
            target_step,
            noise_std,
            noise: &mut noise,
            forward_sink,
            decoder_sink: decoders
                .as_mut()
                .map_or(GradientSink::Gradients, |decoders| GradientSink::for_optimiser(&mut **decoders)),
            wants_decoder_losses: false,
        };
        self.rule.backward(&mut self.model, &self.pass, &mut context)?;
        Ok(loss)
    }

    /// The parameters and the optimiser state of a lane, by name.
    pub(crate) fn state(&mut self, lane: usize) -> Vec<(String, &mut [T])> {
        let Model { forward, feedback, decoders, .. } = &mut self.model;
        let own = &mut self.lanes[lane];
        let parameters = [("forward", Some(forward)), ("feedback", feedback.as_mut()), ("decoders", decoders.as_mut())];
        let mut state: Vec<(String, &mut [T])> = parameters
            .into_iter()
            .filter_map(|(name, parameters)| Some((name.to_owned(), parameters?.lane_mut(lane))))
            .collect();
        for (name, optimiser) in [("forward", Some(&mut own.forward)), ("decoders", own.decoders.as_mut())] {
            let remembered = optimiser.into_iter().flat_map(|optimiser| optimiser.state());
            state.extend(remembered.map(|(what, numbers)| (format!("{name}.{what}"), numbers)));
        }
        state
    }

    /// Restores the parameters and the optimiser state of a lane after `updates` updates. An incompatible state changes
    /// nothing.
    pub(crate) fn resume(
        &mut self,
        lane: usize,
        updates: u64,
        numbers: &BTreeMap<String, Vec<T>>,
    ) -> Result<(), IncompatibleState> {
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
        let own = &mut self.lanes[lane];
        own.forward.resume(updates);
        if let Some(decoders) = &mut own.decoders {
            decoders.resume(updates);
        }
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
        self.pass.loss(&self.labels, 1.0);
        let Hyperparameters { seed, fold, target_step, noise_std, .. } = self.lanes[lane].hyperparameters;
        let mut probe = DiagnosticsProbe {
            model: &mut self.model,
            pass: &self.pass,
            rule: &mut *self.rule,
            kind: self.kind,
            lane,
            update,
            target_step,
            noise_std,
            noise: &mut noise::<T>(seed, fold, update),
        };
        Ok(probe.measure(measures)?)
    }
}

/// The noise of an update, for the decoder of each layer.
fn noise<T: Scalar>(seed: u64, fold: u32, update: u64) -> impl FnMut(usize, &mut [T]) {
    move |layer, numbers| {
        let mut stream = Stream::new(seed, fold, Purpose::Noise(layer as u32), update);
        T::fill_normal(numbers, &mut stream, 1.0);
    }
}
