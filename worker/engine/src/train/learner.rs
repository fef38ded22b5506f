//! The learner: the model, the rule and the optimisers of all lanes of a bundle, and the buffers that the lanes share.

use std::collections::BTreeMap;
use std::iter;

use biosweep_common::configuration::{Hyperparameters, Procedure, Shape};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_data::{Dataset, Part};
use biosweep_numeric::random::Purpose;
use tch::TchError;

use super::diagnostics::DiagnosticsProbe;
use super::{IncompatibleState, TrainError};
use crate::architecture::Architecture;
use crate::kernels::handles::ViewMut;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{copy_from_host, draw_normal, load_batch};
use crate::model::group::Change;
use crate::model::optimisers::{FORWARD, LaneOptimisers};
use crate::model::parameters::Parameters;
use crate::model::saved::{SavedTensor, SavedTensors};
use crate::model::{ForwardPass, Model, Seed};
use crate::rules::{self, Batch, Destination, LearningRule, StepContext};

/// The learner of a bundle.
pub(crate) struct Learner<T: Scalar> {
    pub(crate) model: Model<T>,
    pass: ForwardPass<T>,
    rule: Box<dyn LearningRule<T>>,
    kind: Rule,
    procedure: Procedure,
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
        if !shape.rule.trains(shape.network) {
            return Err(TrainError::Undefined { rule: shape.rule, network: shape.network });
        }
        let architecture = Architecture::from_shape(shape, data.image(), data.classes())?;
        let groups = rules::groups::<T>(shape.rule, &architecture);
        let mut model = Model::zeros(architecture, shape.activation, lanes.len(), groups)?;
        for (lane, hyperparameters) in lanes.iter().enumerate() {
            model.draw(lane, seed(hyperparameters), hyperparameters);
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
            procedure: shape.procedure,
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
        load_batch(self.pass.images.buffer_mut(), &mut self.labels, data, Part::Train, images);
        self.pass.forward(&self.model, lane)?;
        let Lane { hyperparameters, optimisers } = &mut self.lanes[lane];
        let seed = seed(hyperparameters);
        self.model.redraw(lane, seed, update);
        let (procedure, normal) = (self.procedure, &mut normal::<T>(seed));
        let batch = Batch { labels: &self.labels, lane, update, hyperparameters, procedure, normal };
        let destination = Destination::Optimisers(optimisers);
        let mut step = StepContext::new(&mut self.model, &mut self.pass, batch, destination);
        self.rule.backward(&mut step)?;
        Ok(step.loss)
    }

    /// The parameters and the optimiser state of a lane. Parameters that are drawn anew at every update are no state.
    pub(crate) fn state(&mut self, lane: usize) -> SavedTensors<T> {
        let mut tensors = SavedTensors::new();
        for (name, parameters) in kept(&self.model) {
            parameters.save(name, parameters.lane(lane), &mut tensors);
        }
        for (name, what, numbers) in self.lanes[lane].optimisers.state() {
            parameters(&self.model, name).save(&format!("{name}.{what}"), numbers.whole(), &mut tensors);
        }
        tensors
    }

    /// The shape of each tensor of the state of a lane, by name.
    fn shapes(&mut self, lane: usize) -> BTreeMap<String, Vec<usize>> {
        let mut shapes: BTreeMap<_, _> =
            kept(&self.model).flat_map(|(name, parameters)| parameters.shapes(name)).collect();
        for (name, what, _) in self.lanes[lane].optimisers.state() {
            shapes.extend(parameters(&self.model, name).shapes(&format!("{name}.{what}")));
        }
        shapes
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
        tensors: &SavedTensors<T>,
    ) -> Result<(), IncompatibleState> {
        if let Some(name) = self.steps(lane).keys().find(|&name| !steps.contains_key(name)) {
            return Err(IncompatibleState(format!("it has no number of steps of `{name}`")));
        }
        let expected = self.shapes(lane);
        for (name, shape) in &expected {
            match tensors.get(name) {
                None => return Err(IncompatibleState(format!("it has no tensor `{name}`"))),
                Some(SavedTensor { shape: found, .. }) if found != shape => {
                    let why = format!("its tensor `{name}` has the shape {found:?}, not {shape:?}");
                    return Err(IncompatibleState(why));
                }
                Some(_) => {}
            }
        }
        if let Some(name) = tensors.keys().find(|&name| !expected.contains_key(name)) {
            return Err(IncompatibleState(format!("it has a tensor `{name}` too many")));
        }
        let loaded: Vec<_> =
            kept(&self.model).map(|(name, parameters)| (name, parameters.load(name, tensors))).collect();
        for (name, numbers) in loaded {
            let values = match name {
                FORWARD => self.model.forward.lane_mut(lane),
                name => self.model.group_mut(name).lane_mut(lane),
            };
            copy_from_host(values, &numbers);
        }
        let Self { model, lanes, .. } = self;
        for (name, what, numbers) in lanes[lane].optimisers.state() {
            let saved = parameters(model, name).load(&format!("{name}.{what}"), tensors);
            copy_from_host(numbers.whole_mut(), &saved);
        }
        lanes[lane].optimisers.resume(steps);
        Ok(())
    }

    /// The diagnostics of a lane after `update` updates, on its last batch.
    pub(crate) fn diagnose(
        &mut self,
        lane: usize,
        update: u64,
        measures: &[Measure],
    ) -> Result<Vec<DiagnosticPoint>, TrainError> {
        let (rule, activation) = (self.kind, self.model.activation);
        let of_rule = measures.iter().copied().filter(|&measure| rule.has_diagnostic(measure, activation));
        let measures: Vec<Measure> = of_rule.collect();
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
            procedure: self.procedure,
            normal: &mut normal::<T>(seed),
        };
        Ok(probe.measure(&measures)?)
    }
}

/// The parameters that are state, by name: not those that are drawn anew at every update.
fn kept<T: Scalar>(model: &Model<T>) -> impl Iterator<Item = (&'static str, &Parameters<T>)> {
    let groups = model.groups.iter().filter(|group| !matches!(group.declared.change, Change::Redrawn));
    iter::once((FORWARD, &model.forward)).chain(groups.map(|group| (group.declared.name, &group.parameters)))
}

/// The parameters of a name.
fn parameters<'a, T: Scalar>(model: &'a Model<T>, name: &str) -> &'a Parameters<T> {
    if name == FORWARD { &model.forward } else { model.group(name) }
}

/// The seed of a lane.
fn seed(hyperparameters: &Hyperparameters) -> Seed {
    Seed { seed: hyperparameters.seed, fold: hyperparameters.fold }
}

/// The random numbers of a lane, for each purpose and draw.
fn normal<T: Scalar>(seed: Seed) -> impl FnMut(Purpose, u64, ViewMut<'_, T>) {
    move |purpose, draw, numbers| draw_normal(numbers, &mut seed.stream(purpose, draw), 1.0)
}
