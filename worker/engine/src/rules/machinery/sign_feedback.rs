//! Sign-symmetric feedback weights: B_l, computed from the forward weights at every update.

use tch::TchError;

use crate::kernels::scalar::Scalar;
use crate::kernels::weights::{sign_with_size, sign_with_sizes};
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, FirstDraw, ParameterGroup};
use crate::model::parameters::{Parameters, WeightSlice};

/// B of one lane, for layers 2 to L+1. Layer 1 has no hidden source, so that it needs no B.
#[derive(Debug)]
pub(in crate::rules) struct SignFeedback<T> {
    sizes: Sizes,
    b: Parameters<T>,
}

/// The formula of B_l.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) enum Sizes {
    /// B_l = sign(W_l) / √fan_in.
    Uniform,
    /// B_l = |R_l| ⊙ sign(W_l), where R_l are the weights of the group [`FEEDBACK`].
    Random,
}

impl<T: Scalar> SignFeedback<T> {
    pub(in crate::rules) fn new(model: &Model<T>, sizes: Sizes) -> Result<Self, TchError> {
        let specs = ParameterGroup::layerwise_feedback(&model.architecture, Change::Fixed, FirstDraw::plain).specs;
        Ok(Self { sizes, b: Parameters::zeros(1, 2, specs)? })
    }

    /// B_l for the current W_l of a lane.
    pub(in crate::rules) fn compute(&mut self, model: &Model<T>, lane: usize, l: usize) -> &[WeightSlice] {
        if l > 1 {
            let (b, w) = (self.b.raw_weight_mut(0, l), model.forward.raw_weight(lane, l));
            match self.sizes {
                Sizes::Uniform => {
                    let fan_in = model.architecture.inputs(l).fan_in() as f64;
                    sign_with_size(b, T::from_f64(1.0 / fan_in.sqrt()), w);
                }
                Sizes::Random => sign_with_sizes(b, model.group(FEEDBACK).raw_weight(lane, l), w),
            }
        }
        self.b.weight_slices(0, l)
    }

    /// B_l in the order of files; `None` for layer 1.
    pub(in crate::rules) fn weight(&mut self, model: &Model<T>, lane: usize, l: usize) -> Option<Vec<T>> {
        self.compute(model, lane, l);
        (l > 1).then(|| self.b.weight(0, l))
    }
}
