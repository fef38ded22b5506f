//! D_l = T_l − h_l of the hidden layers, where T_l are targets, and δ that follows from them.
//!
//! The code propagates D_l, and not T_l. Far from the output, D is much smaller than h, and h − T would lose all digits of D in
//! single precision.

use tch::TchError;

use crate::activations::Activations;
use crate::architecture::PaddedImageLayout;
use crate::kernels::activation_function::activation_derivative;
use crate::kernels::buffer::Buffer;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::rules::StepContext;

/// D and δ of all hidden layers.
#[derive(Debug)]
pub(in crate::rules) struct Differences<T> {
    values: Activations<T>,
    deltas: Activations<T>,
}

impl<T: Scalar> Differences<T> {
    pub(super) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let zeros = || Activations::zeros(&model.architecture, batch_size);
        Ok(Self { values: zeros()?, deltas: zeros()? })
    }

    /// T_l = h_l for all hidden layers.
    pub(super) fn begin(&mut self) {
        self.values.clear();
    }

    /// Adds rows to D of the hidden sources of a layer, each source with its scale. Each row holds the channels of all hidden
    /// sources, at the resolution of the layer.
    pub(super) fn add_to_sources(
        &mut self,
        step: &StepContext<'_, T>,
        layer: usize,
        (rows, layout): (&Buffer<T>, PaddedImageLayout),
        scale: impl Fn(usize) -> f64,
    ) {
        let architecture = &step.model.architecture;
        let width = architecture.hidden_channels(layer);
        let mut column = 0;
        for &source in architecture.hidden_sources(layer) {
            let scale = T::from_f64(scale(source));
            self.values.upsample_add(architecture, source, rows, (column, width), layout, scale);
            column += architecture.channels(source);
        }
    }

    /// δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch for all hidden layers.
    pub(in crate::rules) fn compute_deltas(&mut self, step: &StepContext<'_, T>) {
        let scale = T::from_f64(-2.0 / step.batch_size());
        for layer in step.hidden_layers() {
            let (differences, activated) = (self.values.rows(layer), step.pass.activated(layer));
            activation_derivative(step.model.activation, scale, self.deltas.rows_mut(layer), differences, activated);
        }
    }

    /// δ of all hidden layers.
    pub(in crate::rules) fn deltas(&self) -> &Activations<T> {
        &self.deltas
    }

    /// D of all hidden layers.
    pub(in crate::rules) fn values(&self) -> &Activations<T> {
        &self.values
    }
}
