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

    /// The last states of the hidden layers, if the rule has states.
    fn states(&self) -> Option<&Activations<T>> {
        None
    }

    /// The mean energy of the last states, if the rule has one and the destination was [`Destination::Gradients`].
    fn energy(&self) -> Option<f64> {
        None
    }

    /// (layer, angle in degrees) between the derivatives of each decoder and the transposed derivatives of what it inverts, for
    /// decoders that learn them.
    ///
    /// # Errors
    /// libtorch reports an error.
    fn decoder_angles(&mut self, _step: &mut StepContext<'_, T>) -> Result<Vec<(usize, f64)>, TchError> {
        Ok(Vec::new())
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
    Brsf = brsf::RedrawnSizes;
    Drtp = drtp::DirectRandomTargetProjection;
    Kp = kp::KolenPollack;
    Dkp = dkp::DirectKolenPollack;
    Fwdtp = fwdtp::FixedWeightTargetPropagation;
    Local = local::LocalErrorLearning;
    Ddtp = ddtp::DirectDifferenceTargetPropagation;
    Ldrl = ldrl::LocalDifferenceReconstruction;
    Pc = pc::PredictiveCoding;
}

#[cfg(test)]
mod tests {
    use biosweep_common::configuration::{Hyperparameters, Procedure, Skip};
    use biosweep_common::network::topology::Topology;
    use biosweep_common::vocabulary::diagnostics::Measure;
    use biosweep_common::vocabulary::extent::Extent;
    use biosweep_common::vocabulary::{ActivationFunction, Network};
    use biosweep_numeric::random::Purpose;

    use super::*;
    use crate::kernels::handles::ViewMut;
    use crate::kernels::transfer::fill;
    use crate::model::group::DECODER;
    use crate::model::{ForwardPass, Seed};

    const OUTPUT: usize = 4;

    #[test]
    fn this_list_and_that_of_the_descriptors_are_the_same() {
        assert_eq!(LISTED, Rule::ALL);
    }

    #[test]
    fn a_rule_has_the_decoders_and_the_diagnostics_of_its_descriptor() {
        let _no_gradients = tch::no_grad_guard();
        for &rule in Rule::ALL {
            let descriptor = rule.descriptor();
            let topology = Topology::new(Network::Dn, OUTPUT - 1, &Skip::default());
            let architecture = Architecture::new(topology, false, [5, 4, 4, 4, 3].map(Extent::flat).to_vec());
            let groups = groups::<f64>(rule, &architecture);
            let decoders = groups.iter().filter(|group| group.name == DECODER);
            let with_decoder: Vec<usize> =
                decoders.clone().flat_map(|group| group.first..group.first + group.specs.len()).collect();
            assert_eq!(with_decoder, descriptor.decoders.layers(OUTPUT).collect::<Vec<_>>(), "{rule}");

            let mut model = Model::<f64>::zeros(architecture, ActivationFunction::Tanh, 1, groups).expect("memory");
            model.draw(0, Seed { seed: 1, fold: 0 }, &Hyperparameters::default());
            let mut pass = ForwardPass::new(&model.architecture, 2).expect("memory");
            let mut rule_itself = new(rule, &model, 2).expect("memory");
            let batch = Batch {
                labels: &[0, 2],
                lane: 0,
                update: 1,
                hyperparameters: &Hyperparameters::default(),
                procedure: Procedure::default(),
                normal: &mut |_: Purpose, _: u64, numbers: ViewMut<'_, f64>| fill(numbers, 0.0),
            };
            let mut step = StepContext::new(&mut model, &mut pass, batch, Destination::Gradients);
            rule_itself.backward(&mut step).expect("a backward pass");
            let angles = rule_itself.decoder_angles(&mut step).expect("angles");
            let has = |measure: Measure| descriptor.diagnostics.contains(&measure);
            for layer in 1..=OUTPUT {
                let is_sent = rule_itself.feedback(&model, 0, layer).is_some();
                assert_eq!(is_sent, has(Measure::FeedbackAngle) && layer > 1, "{rule} layer {layer}");
            }
            assert!(!rule_itself.inverse_losses().is_empty() || !has(Measure::ReconstructionError), "{rule}");
            assert_eq!(angles.is_empty(), !has(Measure::DecoderAngle), "{rule}");
        }
    }
}
