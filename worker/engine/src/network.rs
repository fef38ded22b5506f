//! A network: its wiring, the parameters of its lanes, and the forward pass.

use biosweep_common::vocabulary::{Activation, Rule};
use biosweep_numeric::random::{Purpose, Stream};
use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::activation::{add_bias, biased};
use crate::activities::{Activities, shifts};
use crate::buffer::Buffer;
use crate::layer;
use crate::parameters::{Form, Layout, Parameters};
use crate::scalar::Scalar;
use crate::wiring::{Frame, Lines, Reads, TAPS, Wiring};

/// The parameters of some lanes of one network, and what reads them.
#[derive(Debug)]
pub struct Network<T> {
    /// Which layer reads what.
    pub wiring: Wiring,
    /// σ of the hidden layers.
    pub activation: Activation,
    /// W and b of layers 1 to L+1.
    pub forward: Parameters<T>,
    /// What the rule sends errors back through, where that is fixed: B of layers 2 to L+1 (fa), R of the same (frsf), or
    /// D of layers 1 to L (dfa). Their biases are of no use.
    pub feedback: Option<Parameters<T>>,
    /// V and c of layers 2 to L, or to L+1 (sdtp), for rules with decoders.
    pub decoders: Option<Parameters<T>>,
}

impl<T: Scalar> Network<T> {
    /// A network whose parameters are zero, with those that the rule has a use for.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn zeros(wiring: Wiring, rule: Rule, activation: Activation, lanes: usize) -> Result<Self, TchError> {
        let output = wiring.topology.output();
        let forward_of = |layer: usize| forward_form(&wiring, layer);
        let forward = Parameters::zeros(lanes, 1, (1..=output).map(forward_of).collect())?;
        let feedback = match rule {
            Rule::Fa => {
                let turned = |layer: usize| Form { layout: Layout::OutputsFirst, ..forward_of(layer) };
                Some(Parameters::zeros(lanes, 2, (2..=output).map(turned).collect())?)
            }
            Rule::Frsf => Some(Parameters::zeros(lanes, 2, (2..=output).map(forward_of).collect())?),
            Rule::Dfa => {
                Some(Parameters::zeros(lanes, 1, (1..output).map(|layer| direct_form(&wiring, layer)).collect())?)
            }
            Rule::Bp | Rule::Usf | Rule::Dtp | Rule::Sdtp => None,
        };
        let last_decoder = if rule == Rule::Sdtp { output } else { output - 1 };
        let decoder_forms = (2..=last_decoder).map(|layer| decoder_form(&wiring, layer)).collect();
        let decoders = rule.has_decoders().then(|| Parameters::zeros(lanes, 2, decoder_forms)).transpose()?;
        Ok(Self { wiring, activation, forward, feedback, decoders })
    }

    /// Draws what a trajectory begins with into a lane. Weights come from N(0, 2/fan_in) for relu and N(0, 1/fan_in)
    /// otherwise, feedback of W's shape like them, direct feedback from N(0, 1/classes), decoders from N(0, 1/fan_in);
    /// biases are zero.
    pub fn draw(&mut self, lane: usize, rule: Rule, seed: u64, fold: u32) {
        let gain = if self.activation == Activation::Relu { 2.0 } else { 1.0 };
        let normal = |layer: usize, purpose: fn(u32) -> Purpose, variance: f64, count: usize| {
            let mut numbers = vec![T::default(); count];
            let mut stream = Stream::new(seed, fold, purpose(layer as u32), 0);
            T::fill_normal(&mut numbers, &mut stream, variance.sqrt());
            numbers
        };
        let draw = |parameters: &mut Parameters<T>, gain: f64, purpose: fn(u32) -> Purpose| {
            for layer in parameters.layers() {
                let fan_in = parameters.slot(layer).form.reads.fan_in();
                let count = parameters.slot(layer).weight.len();
                parameters.set_weight(lane, layer, &normal(layer, purpose, gain / fan_in as f64, count));
                parameters.bias_mut(lane, layer).fill(T::default());
            }
        };
        draw(&mut self.forward, gain, Purpose::Weights);
        if rule == Rule::Dfa {
            for layer in self.wiring.topology.hidden() {
                let classes = self.wiring.classes();
                let count = classes * self.wiring.extent(layer).units();
                self.set_direct_feedback(lane, layer, &normal(layer, Purpose::Feedback, 1.0 / classes as f64, count));
            }
        } else if let Some(feedback) = &mut self.feedback {
            draw(feedback, gain, Purpose::Feedback);
        }
        if let Some(decoders) = &mut self.decoders {
            draw(decoders, 1.0, Purpose::Decoder);
        }
    }

    /// Sets D of a layer, given as [classes, channel, row, column].
    ///
    /// # Panics
    /// In a network without direct feedback, or where there are not as many numbers as D has.
    pub fn set_direct_feedback(&mut self, lane: usize, layer: usize, numbers: &[T]) {
        let (extent, frame) = (self.wiring.extent(layer), self.wiring.frame(layer));
        let feedback = self.feedback.as_mut().expect("a network with direct feedback");
        let units = feedback.slot(layer).form.outputs;
        assert_eq!(numbers.len(), self.wiring.classes() * extent.units(), "the feedback of layer {layer}");
        let weight = feedback.weight_slice_mut(lane, layer);
        for (row, numbers) in weight.chunks_exact_mut(units).zip(numbers.chunks_exact(extent.units())) {
            for (place, &number) in numbers.iter().enumerate() {
                let (channel, position) = (place / extent.positions(), place % extent.positions());
                let (y, x) = (position / extent.width, position % extent.width);
                row[(y * frame.pitch + x) * extent.channels + channel] = number;
            }
        }
    }
}

/// The forward weights of a layer.
fn forward_form(wiring: &Wiring, layer: usize) -> Form {
    let (reads, outputs) = (wiring.reads(layer), wiring.channels(layer));
    let all = 0..reads.fan_in();
    let parts = if layer == 1 {
        vec![all]
    } else if reads.taps == TAPS {
        rows_of_kernel(&reads)
    } else {
        let of_group = |group: crate::wiring::Group| {
            let channels: usize = group.sources.iter().map(|&source| wiring.channels(source)).sum();
            group.first_channel..group.first_channel + channels
        };
        wiring.groups(layer).into_iter().map(of_group).collect()
    };
    Form { layout: Layout::forward(outputs), reads, outputs, parts }
}

/// A decoder gives back, from a layer's units, the hidden units that the layer reads.
fn decoder_form(wiring: &Wiring, layer: usize) -> Form {
    let (reads, outputs) = (Reads::block(wiring.channels(layer), wiring.taps(layer)), wiring.hidden_channels(layer));
    let parts = rows_of_kernel(&reads);
    Form { layout: Layout::forward(outputs), reads, outputs, parts }
}

/// Direct feedback goes from the classes to all positions of a layer, the zeros between images included.
fn direct_form(wiring: &Wiring, layer: usize) -> Form {
    let reads = Reads::block(wiring.classes(), 1);
    let parts = rows_of_kernel(&reads);
    let outputs = wiring.frame(layer).image * wiring.channels(layer);
    Form { reads, outputs, parts, layout: Layout::InputsFirst }
}

fn rows_of_kernel(reads: &Reads) -> Vec<std::ops::Range<usize>> {
    let rows = reads.fan_in() / reads.taps;
    shifts(reads.taps).map(|shift| shift * rows..(shift + 1) * rows).collect()
}

/// One batch on its way through a network.
#[derive(Debug)]
pub struct Pass<T> {
    /// Images in it.
    pub rows: usize,
    /// The images: each row by row of one channel, then of the next.
    pub images: Buffer<T>,
    /// What layers read of the images.
    input: Input<T>,
    /// h of all hidden layers.
    pub hidden: Activities<T>,
    /// z of the output layer, [rows, classes].
    pub logits: Buffer<T>,
    logit_view: Tensor,
    logit_lines: Lines,
    /// δ of the output layer, times what the caller of [`Pass::loss`] chose; [rows, classes].
    pub output_delta: Buffer<T>,
    output_delta_view: Tensor,
}

/// The images as a matrix [positions, in] for the first layer.
#[derive(Debug)]
struct Input<T> {
    /// The images unfolded by a whole kernel, for a convolution; it has the frame of the first layer.
    unfolded: Option<(Buffer<T>, Frame, usize)>,
    matrix: Tensor,
    transposed: Tensor,
}

impl<T: Scalar> Pass<T> {
    /// Room for so many images.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn new(wiring: &Wiring, rows: usize) -> Result<Self, TchError> {
        let (inputs, classes) = (wiring.extent(0).units(), wiring.classes());
        let images = Buffer::zeros(rows * inputs)?;
        let (logits, output_delta) = (Buffer::zeros(rows * classes)?, Buffer::zeros(rows * classes)?);
        let (unfolded, matrix) = if wiring.is_convolutional() {
            let (frame, width) = (wiring.frame(1), wiring.channels(0) * TAPS * TAPS);
            let buffer = Buffer::zeros(frame.positions(rows) * width)?;
            let matrix = buffer.matrix(0, frame.positions(rows), width, width)?;
            (Some((buffer, frame, wiring.channels(0))), matrix)
        } else {
            (None, images.matrix(0, rows, inputs, inputs)?)
        };
        Ok(Self {
            rows,
            images,
            input: Input { unfolded, transposed: matrix.f_tr()?, matrix },
            hidden: Activities::zeros(wiring, rows)?,
            logit_view: logits.matrix(0, rows, classes, classes)?,
            logit_lines: Lines { first: 0, outer: (1, 0), inner: (1, 0), length: rows * classes },
            logits,
            output_delta_view: output_delta.matrix(0, rows, classes, classes)?,
            output_delta,
        })
    }

    /// What a layer reads, [positions, in] and transposed, part by part in the order of its weights.
    pub fn inputs(&self, wiring: &Wiring, layer: usize) -> impl Iterator<Item = (&Tensor, &Tensor)> {
        let of_images =
            (wiring.topology.sources(layer)[0] == 0).then_some((&self.input.matrix, &self.input.transposed));
        of_images.into_iter().chain(self.hidden.runs(layer).iter().map(|run| (&run.matrix, &run.transposed)))
    }

    /// δ of the output layer as a tensor.
    pub fn output_delta(&self) -> &Tensor {
        &self.output_delta_view
    }

    /// z of the output layer as a tensor.
    pub fn logits(&self) -> &Tensor {
        &self.logit_view
    }

    /// Where the numbers of the output layer lie.
    pub fn output_lines(&self) -> &Lines {
        &self.logit_lines
    }

    /// Carries the images through a lane of the network.
    ///
    /// # Errors
    /// What libtorch refuses.
    pub fn forward(&mut self, network: &Network<T>, lane: usize) -> Result<(), TchError> {
        let Network { wiring, activation, forward, .. } = network;
        if let Some((unfolded, frame, channels)) = &mut self.input.unfolded {
            unfold(unfolded.slice_mut(), self.images.slice(), *frame, *channels);
        }
        for layer in wiring.topology.hidden() {
            let weights = forward.parts(lane, layer).iter().map(|part| &part.weight);
            let inputs = self.inputs(wiring, layer).map(|(input, _)| input);
            layer::forward(self.hidden.layer(layer), inputs.zip(weights))?;
            let whole = self.hidden.layer(layer).shallow_clone();
            let (numbers, lines) = self.hidden.numbers_mut(layer);
            biased(*activation, numbers, lines, forward.bias(lane, layer), &whole)?;
            self.hidden.show(layer);
        }
        let output = wiring.topology.output();
        let weights = forward.parts(lane, output).iter().map(|part| &part.weight);
        let inputs = self.inputs(wiring, output).map(|(input, _)| input);
        layer::forward(&self.logit_view, inputs.zip(weights))?;
        add_bias(self.logits.slice_mut(), &self.logit_lines, forward.bias(lane, output));
        Ok(())
    }

    /// The mean softmax cross-entropy of these labels, and `scale` times δ of the output layer:
    /// δ = (softmax(z) − onehot(y)) / batch.
    pub fn loss(&mut self, labels: &[i64], scale: f64) -> f64 {
        let classes = self.logits.slice().len() / self.rows;
        let scale = T::of(scale / self.rows as f64);
        // Of a class that is out of the question an error is kept of exactly zero: one below the normal range of numbers
        // would slow every product that it goes into.
        let tiny = T::of(1e-20);
        let mut loss = 0.0;
        let rows = self.logits.slice().chunks(classes).zip(self.output_delta.slice_mut().chunks_mut(classes));
        for ((logits, delta), &label) in rows.zip(labels) {
            let label = label as usize;
            let most = logits.iter().copied().fold(logits[0], |most, z| if z > most { z } else { most });
            let mut sum = T::default();
            for (delta, &logit) in delta.iter_mut().zip(logits) {
                let likelihood = (logit - most).exp();
                sum += likelihood;
                *delta = if likelihood < tiny { T::default() } else { likelihood };
            }
            loss += sum.to_f64().ln() - (logits[label] - most).to_f64();
            delta.iter_mut().for_each(|delta| *delta = *delta / sum * scale);
            delta[label] -= scale;
        }
        loss / self.rows as f64
    }

    /// The images among the first of these whose largest logit is their label's; `None` where a logit or the loss of an
    /// image is not finite.
    #[must_use]
    pub fn correct(&self, labels: &[i64]) -> Option<usize> {
        let classes = self.logits.slice().len() / self.rows;
        let mut correct = 0;
        for (logits, &label) in self.logits.slice().chunks(classes).zip(labels) {
            let own = logits[label as usize];
            // The loss is infinite where even this difference is too large for a number.
            let is_finite = |&logit: &T| logit.to_f64().is_finite() && (own - logit).to_f64().is_finite();
            if !logits.iter().all(is_finite) {
                return None;
            }
            // Of equals the first is the answer, as argmax has it.
            let is_least = |(class, &logit): (usize, &T)| logit < own || (logit == own && class as i64 >= label);
            correct += usize::from(logits.iter().enumerate().all(is_least));
        }
        Some(correct)
    }
}

wide! {
    /// Images, channel by channel, → at each position all numbers under a 3×3 kernel, by row, column, channel; zeros
    /// beyond the border, which are never written.
    fn unfold<T: Scalar>(unfolded: &mut [T], images: &[T], frame: Frame, channels: usize) {
        let (height, width, row) = (frame.height, frame.width, TAPS * TAPS * channels);
        let of_image = images.chunks_exact(channels * height * width).enumerate();
        for (image, pixels) in of_image {
            let first = image * frame.image;
            for (channel, pixels) in pixels.chunks_exact(height * width).enumerate() {
                for tap in 0..TAPS * TAPS {
                    let (down, right) = (tap / TAPS, tap % TAPS);
                    // Position (y, x) sees pixel (y + down − 1, x + right − 1) at this place of the kernel.
                    for y in usize::from(down == 0)..height - usize::from(down == 2) {
                        let from = usize::from(right == 0);
                        let to = width - usize::from(right == 2);
                        let pixels = &pixels[(y + down - 1) * width..][..width];
                        let mut place = (first + y * frame.pitch + from) * row + tap * channels + channel;
                        for &pixel in &pixels[from + right - 1..to + right - 1] {
                            unfolded[place] = pixel;
                            place += row;
                        }
                    }
                }
            }
        }
    }
}
