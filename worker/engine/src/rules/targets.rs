//! What the target propagation rules share: targets that decoders carry down, and how layers and decoders learn.
//!
//! T_l = h_l + Σ_{j, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l,  δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch
//!
//! g_j(t) = σ(V_j t + c_j) gives back the hidden sources of layer j. It learns to undo noise: it minimises
//! Σ_units (g_j(f_j(h̃)) − h̃)² / batch with h̃ = h + noise_std · N(0,1), and no gradient passes into f_j or h̃.
//!
//! What is carried is D_l = T_l − h_l, not T_l: far from the output D is so small beside h that h − T would leave
//! nothing of it in single precision. With z = V_j h_j + c_j, a correction is σ(z + V_j D_j) − σ(z).

use biosweep_numeric::vector::wide;
use tch::{Kind, TchError, Tensor};

use super::{Delta, LearningRule, Update, learn_all, learn_layer};
use crate::activation::{add_bias, begin_change, biased, finish_change, times_derivative};
use crate::activities::{Activities, Unfolded};
use crate::buffer::Buffer;
use crate::layer::{self, Arrival};
use crate::network::{Network, Pass};
use crate::scalar::Scalar;
use crate::wiring::{Frame, Lines};

/// Where the first targets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstTargets {
    /// A step against the gradient through the output layer.
    Gradient,
    /// A decoder of the output layer, which reads class probabilities.
    Decoder,
}

/// A rule that propagates targets.
#[derive(Debug)]
pub(super) struct TargetPropagation<T> {
    first_targets: FirstTargets,
    /// D of all hidden layers.
    changes: Activities<T>,
    /// δ of all hidden layers.
    deltas: Activities<T>,
    scratch: Scratch<T>,
    coders: Vec<Coder<T>>,
    inverse_losses: Vec<(usize, f64)>,
}

/// Memory that the layers use one after another.
#[derive(Debug)]
struct Scratch<T> {
    /// What a decoder gives, or is to give: [positions, hidden channels a layer reads].
    given: Buffer<T>,
    /// The same, a second time.
    back: Buffer<T>,
    /// What a layer makes of noisy sources, [positions, channels].
    encoded: Buffer<T>,
}

/// A layer between its hidden sources and itself, and back.
#[derive(Debug)]
struct Coder<T> {
    layer: usize,
    frame: Frame,
    /// Channels of its hidden sources.
    width: usize,
    /// Where the numbers of its sources lie in the scratch memory, and those of its own.
    source_lines: Lines,
    lines: Lines,
    given: Tensor,
    back: Tensor,
    encoded: Tensor,
    /// Its sources part by part, in the order of its weights, as columns of `given`; a convolution has none.
    given_parts: Vec<Tensor>,
    /// What a convolution reads: of its sources, and of itself for its decoder.
    unfolded_sources: Option<Unfolded<T>>,
    unfolded: Option<Unfolded<T>>,
}

impl<T: Scalar> TargetPropagation<T> {
    pub(super) fn new(network: &Network<T>, rows: usize, first_targets: FirstTargets) -> Result<Self, TchError> {
        let wiring = &network.wiring;
        let output = wiring.topology.output();
        let room = |layer: usize| wiring.frame(layer).allocated(rows);
        let most = |of: &dyn Fn(usize) -> usize| (2..=output).map(of).max().unwrap_or(0);
        let scratch = Scratch {
            given: Buffer::zeros(most(&|layer| room(layer) * wiring.hidden_channels(layer)))?,
            back: Buffer::zeros(most(&|layer| room(layer) * wiring.hidden_channels(layer)))?,
            encoded: Buffer::zeros(most(&|layer| room(layer) * wiring.channels(layer)))?,
        };
        let coder = |layer: usize| Coder::new(network, rows, layer, &scratch);
        Ok(Self {
            first_targets,
            changes: Activities::zeros(wiring, rows)?,
            deltas: Activities::zeros(wiring, rows)?,
            coders: (2..=output).map(coder).collect::<Result<_, _>>()?,
            scratch,
            inverse_losses: Vec::new(),
        })
    }

    /// D of all hidden layers, from the last to the first.
    fn find_changes(&mut self, network: &Network<T>, pass: &Pass<T>, update: &Update<'_, T>) -> Result<(), TchError> {
        let Self { changes, scratch, coders, first_targets, .. } = self;
        changes.clear();
        let wiring = &network.wiring;
        let output = wiring.topology.output();
        // δ of the output layer is of the mean loss, and carries a step; targets are of each image's own, without.
        let to_own = -(pass.rows as f64) / update.forward.scale();
        for coder in coders.iter_mut().rev() {
            let (layer, lane) = (coder.layer, update.lane);
            let room = coder.room(pass.rows);
            let is_gradient = layer == output && *first_targets == FirstTargets::Gradient;
            if is_gradient {
                coder.gradient_to_sources(network, pass, lane)?;
            } else if layer == output {
                let wanted = pass.output_delta().f_mul_scalar(to_own)?;
                coder.decode(network, lane, &coder.back, &[probabilities(pass)?])?;
                coder.decode(network, lane, &coder.given, &[wanted])?;
                coder.finish(network, lane, scratch, room)?;
            } else {
                let activities = coder.seen(pass.hidden.layer(layer), pass.hidden.numbers(layer).0);
                coder.decode(network, lane, &coder.back, &activities)?;
                let wanted = coder.seen(changes.layer(layer), changes.numbers(layer).0);
                coder.decode(network, lane, &coder.given, &wanted)?;
                coder.finish(network, lane, scratch, room)?;
            }
            // A gradient through a mean over positions is shared by them; a correction goes to each of them whole.
            let share = |source: usize| match is_gradient {
                true => update.target_step * to_own / wiring.extent(source).positions() as f64,
                false => 1.0,
            };
            let mut column = 0;
            for &source in wiring.hidden_sources(layer) {
                let rows = (column, coder.width);
                changes.spread(wiring, source, scratch.given.slice(), rows, coder.frame, T::of(share(source)));
                column += wiring.channels(source);
            }
        }
        Ok(())
    }

    /// δ of all hidden layers, times what the destination asks for.
    fn find_deltas(&mut self, network: &Network<T>, pass: &Pass<T>, scale: f64) {
        let scale = T::of(-2.0 * scale / pass.rows as f64);
        for layer in network.wiring.topology.hidden() {
            let (changes, _) = self.changes.numbers(layer);
            let (deltas, lines) = self.deltas.numbers_mut(layer);
            copy(deltas, changes, lines);
            times_derivative(network.activation, scale, deltas, pass.hidden.numbers(layer).0, lines);
        }
    }

    /// What the decoders learn from this batch.
    fn teach_decoders(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        update: &mut Update<'_, T>,
    ) -> Result<(), TchError> {
        self.inverse_losses.clear();
        let Self { scratch, coders, inverse_losses, .. } = self;
        let taught = network.decoders.as_ref().expect(HAS_DECODERS).layers();
        for coder in coders.iter_mut().filter(|coder| taught.contains(&coder.layer)) {
            let loss = coder.teach(network, pass, update, scratch)?;
            if update.is_observed {
                inverse_losses.push((coder.layer, loss));
            }
        }
        Ok(())
    }
}

const HAS_DECODERS: &str = "a network for target propagation has decoders";

/// softmax(z) of the output layer.
fn probabilities<T: Scalar>(pass: &Pass<T>) -> Result<Tensor, TchError> {
    pass.logits().f_softmax(-1, None::<Kind>)
}

impl<T: Scalar> Coder<T> {
    fn new(network: &Network<T>, rows: usize, layer: usize, scratch: &Scratch<T>) -> Result<Self, TchError> {
        let wiring = &network.wiring;
        let (frame, width, channels) = (wiring.frame(layer), wiring.hidden_channels(layer), wiring.channels(layer));
        let positions = frame.positions(rows);
        let view = |buffer: &Buffer<T>, width: usize| buffer.matrix(frame.guard * width, positions, width, width);
        let given = view(&scratch.given, width)?;
        let unfold = |blocks: &[usize]| frame.is_framed().then(|| Unfolded::new(frame, rows, blocks)).transpose();
        let blocks: Vec<usize> = wiring.hidden_sources(layer).iter().map(|&source| wiring.channels(source)).collect();
        let mut given_parts = Vec::new();
        if !frame.is_framed() {
            let mut start = 0;
            for part in hidden_parts(network, layer) {
                let length = network.forward.slot(layer).form.parts[part].len() as i64;
                given_parts.push(given.f_narrow(1, start, length)?);
                start += length;
            }
        }
        Ok(Self {
            layer,
            frame,
            width,
            source_lines: Lines::new(frame, rows, 0..width, width),
            lines: Lines::new(frame, rows, 0..channels, channels),
            back: view(&scratch.back, width)?,
            encoded: view(&scratch.encoded, channels)?,
            given,
            given_parts,
            unfolded_sources: unfold(&blocks)?,
            unfolded: unfold(&[channels])?,
        })
    }

    /// Numbers of so many images in the scratch memory, up to the last that matters.
    fn room(&self, rows: usize) -> usize {
        self.frame.allocated(rows) * self.width
    }

    /// What the decoder reads of a matrix alike this layer's own. A convolution unfolds it into the same memory each time.
    fn seen(&mut self, matrix: &Tensor, numbers: &[T]) -> Vec<Tensor> {
        match &mut self.unfolded {
            None => vec![matrix.shallow_clone()],
            Some(unfolded) => {
                unfolded.look(numbers);
                unfolded.matrices.iter().map(Tensor::shallow_clone).collect()
            }
        }
    }

    /// Leaves in `given` the gradient of the mean loss with respect to what the output layer reads.
    fn gradient_to_sources(&self, network: &Network<T>, pass: &Pass<T>, lane: usize) -> Result<(), TchError> {
        let parts = &network.forward.parts(lane, self.layer)[hidden_parts(network, self.layer)];
        for (given, part) in self.given_parts.iter().zip(parts) {
            layer::error_to_input(Arrival::First, given, pass.output_delta(), &part.transposed)?;
        }
        Ok(())
    }

    /// V_j t.
    fn decode(&self, network: &Network<T>, lane: usize, output: &Tensor, units: &[Tensor]) -> Result<(), TchError> {
        let parts = network.decoders.as_ref().expect(HAS_DECODERS).parts(lane, self.layer);
        layer::forward(output, units.iter().zip(parts.iter().map(|part| &part.weight)))
    }

    /// From V_j h in `back` and V_j D in `given`: the correction σ(z + V_j D) − σ(z) in `given`.
    fn finish(&self, network: &Network<T>, lane: usize, scratch: &mut Scratch<T>, room: usize) -> Result<(), TchError> {
        let bias = network.decoders.as_ref().expect(HAS_DECODERS).bias(lane, self.layer);
        add_bias(&mut scratch.back.slice_mut()[..room], &self.source_lines, bias);
        begin_change(network.activation, &self.back, &self.given)?;
        finish_change(network.activation, &scratch.back.slice()[..room], &mut scratch.given.slice_mut()[..room]);
        Ok(())
    }

    /// Leaves the gradient of the decoder; the loss, where the update is observed.
    fn teach(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        update: &mut Update<'_, T>,
        scratch: &mut Scratch<T>,
    ) -> Result<f64, TchError> {
        let (layer, lane) = (self.layer, update.lane);
        let Network { wiring, activation, forward, decoders, .. } = network;
        let decoders = decoders.as_mut().expect(HAS_DECODERS);
        let Scratch { given, back, encoded } = scratch;
        let room = self.frame.allocated(pass.rows) * self.width;

        // h̃, from the noise in `back`.
        let numbers = pass.rows * self.frame.height * self.frame.width * self.width;
        (update.noise)(layer, &mut back.slice_mut()[..numbers]);
        pass.hidden.gather(wiring, layer, &mut given.slice_mut()[..room]);
        add_noise(&mut given.slice_mut()[..room], back.slice(), &self.source_lines, T::of(update.noise_std));

        // f_j(h̃), with the clean x where the layer reads it.
        if let Some(unfolded) = &mut self.unfolded_sources {
            unfolded.look(&given.slice()[..room]);
        }
        let sources = self.unfolded_sources.as_ref().map_or(&self.given_parts, |unfolded| &unfolded.matrices);
        let parts = forward.parts(lane, layer);
        let of_images = pass.inputs(wiring, layer).map(|(input, _)| input).take(parts.len() - sources.len());
        layer::forward(&self.encoded, of_images.chain(sources).zip(parts.iter().map(|part| &part.weight)))?;
        if layer == wiring.topology.output() {
            add_bias(encoded.slice_mut(), &self.lines, forward.bias(lane, layer));
            let probabilities = self.encoded.f_softmax(-1, None::<Kind>)?;
            self.encoded.shallow_clone().f_copy_(&probabilities)?;
        } else {
            biased(*activation, encoded.slice_mut(), &self.lines, forward.bias(lane, layer), &self.encoded)?;
        }

        // g_j(f_j(h̃)).
        let encoded_matrix = self.encoded.shallow_clone();
        let units = self.seen(&encoded_matrix, encoded.slice());
        layer::forward(&self.back, units.iter().zip(decoders.parts(lane, layer).iter().map(|part| &part.weight)))?;
        biased(*activation, back.slice_mut(), &self.source_lines, decoders.bias(lane, layer), &self.back)?;

        // The error of the reconstruction becomes δ of the decoder, in `given`.
        let (given, back) = (&mut given.slice_mut()[..room], &back.slice()[..room]);
        let loss = if update.is_observed { squares(given, back, &self.source_lines) / pass.rows as f64 } else { 0.0 };
        let scale = T::of(2.0 * update.decoders.scale() / pass.rows as f64);
        subtract_from(given, back, &self.source_lines);
        times_derivative(*activation, scale, given, back, &self.source_lines);
        if self.frame.is_framed() {
            clear_frame(given, self.frame, pass.rows, self.width);
        }
        let units = units.iter().map(Tensor::f_tr).collect::<Result<Vec<_>, _>>()?;
        let delta = Delta { matrix: &self.given, numbers: given, lines: &self.source_lines };
        learn_layer(decoders, (lane, layer), &mut update.decoders, units.iter(), &delta)?;
        Ok(loss)
    }
}

/// The parts of a layer's weights that read hidden layers.
fn hidden_parts<T: Scalar>(network: &Network<T>, layer: usize) -> std::ops::Range<usize> {
    let parts = network.forward.slot(layer).form.parts.len();
    usize::from(network.wiring.topology.sources(layer)[0] == 0)..parts
}

impl<T: Scalar> LearningRule<T> for TargetPropagation<T> {
    fn learn(&mut self, network: &mut Network<T>, pass: &Pass<T>, update: &mut Update<'_, T>) -> Result<(), TchError> {
        self.find_changes(network, pass, update)?;
        self.teach_decoders(network, pass, update)?;
        self.find_deltas(network, pass, update.forward.scale());
        learn_all(network, pass, &self.deltas, update)
    }

    fn target_changes(&self) -> Option<&Activities<T>> {
        Some(&self.changes)
    }

    fn inverse_losses(&self) -> &[(usize, f64)] {
        &self.inverse_losses
    }
}

wide! {
    fn copy<T: Scalar>(to: &mut [T], from: &[T], lines: &Lines) {
        for start in lines.starts() {
            to[start..start + lines.length].copy_from_slice(&from[start..start + lines.length]);
        }
    }
}

wide! {
    /// h + std · noise, in place; the noise lies without gaps.
    fn add_noise<T: Scalar>(hidden: &mut [T], noise: &[T], lines: &Lines, std: T) {
        for (start, noise) in lines.starts().zip(noise.chunks_exact(lines.length)) {
            hidden[start..start + lines.length].iter_mut().zip(noise).for_each(|(h, &noise)| *h += std * noise);
        }
    }
}

wide! {
    /// back − given, in place of what was given.
    fn subtract_from<T: Scalar>(given: &mut [T], back: &[T], lines: &Lines) {
        for start in lines.starts() {
            let line = start..start + lines.length;
            given[line.clone()].iter_mut().zip(&back[line]).for_each(|(given, &back)| *given = back - *given);
        }
    }
}

/// Σ (back − given)².
fn squares<T: Scalar>(given: &[T], back: &[T], lines: &Lines) -> f64 {
    let of_line = |start: usize| {
        let line = start..start + lines.length;
        let pairs = given[line.clone()].iter().zip(&back[line]);
        pairs.map(|(&given, &back)| (back - given).to_f64() * (back - given).to_f64()).sum::<f64>()
    };
    lines.starts().map(of_line).sum()
}

wide! {
    /// Sets to zero what lies between the positions of images.
    fn clear_frame<T: Scalar>(numbers: &mut [T], frame: Frame, rows: usize, width: usize) {
        let zero = T::default();
        for image in 0..rows {
            for y in 0..frame.height {
                let end = (frame.row(image, y) + frame.width) * width;
                numbers[end..end + (frame.pitch - frame.width) * width].fill(zero);
            }
            let last = frame.row(image, frame.height) * width;
            numbers[last..last + frame.pitch * width].fill(zero);
        }
    }
}
