//! The optimisers of one lane: one for the forward weights, and one for each group that learns.

use std::collections::BTreeMap;

use biosweep_common::configuration::Hyperparameters;
use biosweep_common::vocabulary::Optimizer;
use tch::TchError;

use super::Model;
use super::group::Change;
use crate::kernels::buffer::Buffer;
use crate::kernels::scalar::Scalar;
use crate::optim::{Optimiser, OptimiserConfig};

/// The name of the forward weights in checkpoints.
pub const FORWARD: &str = "forward";

/// The optimisers of one lane, each with the name of its parameters. The forward weights come first.
pub struct LaneOptimisers<T>(Vec<(&'static str, Optimiser<T>)>);

impl<T: Scalar> LaneOptimisers<T> {
    /// The optimisers of a model, before their first step.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn new(model: &Model<T>, optimizer: Optimizer, own: &Hyperparameters) -> Result<Self, TchError> {
        let of_forward = OptimiserConfig::of_forward(optimizer, own);
        let mut all = vec![(FORWARD, Optimiser::new(of_forward, model.forward.lane_length())?)];
        for group in &model.groups {
            if let Change::Trained(config) = group.declared.change {
                let config = config(of_forward, own);
                all.push((group.declared.name, Optimiser::new(config, group.parameters.lane_length())?));
            }
        }
        Ok(Self(all))
    }

    /// The optimiser of one group alone.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn of_group(model: &Model<T>, name: &'static str, config: OptimiserConfig) -> Result<Self, TchError> {
        Ok(Self(vec![(name, Optimiser::new(config, model.group(name).lane_length())?)]))
    }

    /// The optimiser of these parameters, if they learn, mutable.
    #[must_use]
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Optimiser<T>> {
        self.0.iter_mut().find(|(own, _)| *own == name).map(|(_, optimiser)| optimiser)
    }

    /// The state beside the numbers of steps: the name of the parameters, the name of the state, and its numbers in the memory
    /// order of the parameters.
    pub fn state(&mut self) -> impl Iterator<Item = (&'static str, &'static str, &mut Buffer<T>)> {
        self.0.iter_mut().flat_map(|(name, optimiser)| {
            let name = *name;
            optimiser.state().into_iter().map(move |(what, numbers)| (name, what, numbers))
        })
    }

    /// The number of steps of each optimiser, by name.
    #[must_use]
    pub fn steps(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(name, optimiser)| ((*name).to_owned(), optimiser.steps())).collect()
    }

    /// Resumes each optimiser after its number of steps.
    pub fn resume(&mut self, steps: &BTreeMap<String, u64>) {
        for (name, optimiser) in &mut self.0 {
            if let Some(&steps) = steps.get(*name) {
                optimiser.resume(steps);
            }
        }
    }
}
