//! Learning rules, one file each: what replaces the gradient.
//!
//! A rule takes a batch after the forward pass, with δ of the output layer, and computes δ of every hidden layer. A new rule
//! is one file, and one line in the list below. Its descriptor is in `common/src/rules/`.
//!
//! | module | contents |
//! |---|---|
//! | here | the list of rules, the trait of a rule |
//! | `context` | the context of an update: the model, the batch, the destination of gradients |
//! | `machinery` | operations that rules share |

mod context;
mod machinery;

use biosweep_common::rules::Rule;
use tch::TchError;

pub use self::context::{Batch, Destination, Normal, StepContext};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// A learning rule: the backward pass of a batch.
///
/// A rule keeps nothing from one update to the next: what it remembers is in its parameter groups. Its fields are buffers.
/// Bundles, checkpoints and diagnostics rely on that.
pub trait LearningRule<T: Scalar> {
    /// The parameters that the rule adds to the forward weights.
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup>
    where
        Self: Sized;

    /// The rule for a model and a batch size.
    ///
    /// # Errors
    /// Memory allocation fails.
    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError>
    where
        Self: Sized;

    /// Computes δ of all hidden layers, and passes it to [`StepContext`], which computes the gradients and updates the
    /// parameters.
    ///
    /// # Errors
    /// libtorch reports an error.
    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError>;

    /// The weights through which a layer sends errors to its sources, in the order of the layer's weights, for the current
    /// parameters; `None` if the layer sends none, or sends them through its own weights.
    fn feedback(&mut self, _model: &Model<T>, _lane: usize, _layer: usize) -> Option<Vec<T>> {
        None
    }

    /// T − h of the hidden layers, if the rule has targets T.
    fn target_differences(&self) -> Option<&Activations<T>> {
        None
    }

    /// (layer, loss) of each decoder in the last update whose destination was [`Destination::Gradients`].
    fn inverse_losses(&self) -> &[(usize, f64)] {
        &[]
    }
}

macro_rules! rules {
    ($($rule:ident = $module:ident::$type:ident;)+) => {
        $(mod $module;)+

        /// The parameters that a rule adds to the forward weights.
        #[must_use]
        pub fn groups<T: Scalar>(rule: Rule, architecture: &Architecture) -> Vec<ParameterGroup> {
            match rule { $(Rule::$rule => <$module::$type<T> as LearningRule<T>>::groups(architecture),)+ }
        }

        /// The rule for this model and this batch size.
        ///
        /// # Errors
        /// Memory allocation fails.
        pub fn new<T: Scalar>(
            rule: Rule,
            model: &Model<T>,
            batch_size: usize,
        ) -> Result<Box<dyn LearningRule<T>>, TchError> {
            Ok(match rule { $(Rule::$rule => Box::new($module::$type::new(model, batch_size)?),)+ })
        }

        /// Every rule of this list, in its order.
        #[cfg(test)]
        const LISTED: &[Rule] = &[$(Rule::$rule),+];
    };
}

rules! {
    Bp = bp::BackPropagation;
    Fa = fa::FeedbackAlignment;
    Dfa = dfa::DirectFeedbackAlignment;
    Usf = usf::UniformSigns;
    Frsf = frsf::FixedSizes;
    Dtp = dtp::DifferenceTargetPropagation;
    Sdtp = sdtp::SimplifiedTargetPropagation;
}
