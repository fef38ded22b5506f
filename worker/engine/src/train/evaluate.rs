//! Evaluation: the accuracy on many images, in large batches.

use biosweep_data::{Dataset, Part};
use tch::TchError;

use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::load_batch;
use crate::model::{ForwardPass, Model};

/// Images in a batch of a fully connected network, and of a convolutional network, whose activations need more memory.
const ROWS: usize = 1_000;
const CONVOLUTIONAL_ROWS: usize = 125;

/// Buffers for the evaluation of a model.
pub(crate) struct Evaluator<T> {
    pass: ForwardPass<T>,
    labels: Vec<i64>,
    test: Vec<u32>,
}

impl<T: Scalar> Evaluator<T> {
    pub(crate) fn new(model: &Model<T>, data: &Dataset) -> Result<Self, TchError> {
        let batch_size = if model.architecture.is_convolutional() { CONVOLUTIONAL_ROWS } else { ROWS };
        let test = (0..u32::try_from(data.count(Part::Test)).expect("a part has fewer than 2^32 images")).collect();
        Ok(Self { pass: ForwardPass::new(&model.architecture, batch_size)?, labels: vec![0; batch_size], test })
    }

    /// The fraction of the test images that a lane classifies correctly; `None` if outputs or their loss are not
    /// finite.
    pub(super) fn test_accuracy(
        &mut self,
        model: &Model<T>,
        lane: usize,
        data: &Dataset,
    ) -> Result<Option<f64>, TchError> {
        let test = std::mem::take(&mut self.test);
        let accuracy = self.accuracy(model, lane, data, Part::Test, &test);
        self.test = test;
        accuracy
    }

    /// The fraction of these images that a lane classifies correctly; `None` if outputs or their loss are not finite.
    pub(crate) fn accuracy(
        &mut self,
        model: &Model<T>,
        lane: usize,
        data: &Dataset,
        part: Part,
        images: &[u32],
    ) -> Result<Option<f64>, TchError> {
        let mut correct = 0;
        for chunk in images.chunks(self.pass.batch_size) {
            // A smaller last chunk leaves older images in the remaining rows. They are not counted.
            load_batch(self.pass.images.buffer_mut(), &mut self.labels, data, part, chunk);
            self.pass.forward(model, lane)?;
            let Some(of_chunk) = self.pass.correct(&self.labels[..chunk.len()]) else { return Ok(None) };
            correct += of_chunk;
        }
        Ok(Some(correct as f64 / images.len() as f64))
    }
}
