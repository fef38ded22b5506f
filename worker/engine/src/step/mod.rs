//! One update of any rule on given tensors, written out: what a reference checks and what a researcher inspects.
//!
//! | room | holds |
//! |---|---|
//! | here | case and tensors in, every quantity of the update out |
//! | [`case`] | which rule on which network |
//! | `tensors` | named tensors in a safetensors file |

pub mod case;
mod tensors;

use std::path::{Path, PathBuf};

use biosweep_common::configuration::Convolution;
use biosweep_common::extents::{Extent, TooSmall, convolutional};
use biosweep_common::topology::Topology;
use biosweep_common::vocabulary::Rule;
use tch::TchError;

use crate::activities::Activities;
use crate::network::{Network, Pass};
use crate::parameters::{Form, Parameters};
use crate::rules::{self, Destination, Update};
use crate::scalar::Scalar;
use crate::wiring::Wiring;
use case::Case;
use tensors::{Given, Numbers, Written};

/// Why an update cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A file that cannot be read or written.
    #[error("cannot {what} {path}: {why}")]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A case that is none.
    #[error("{path} is no case of an update: {why}")]
    Case {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A tensor the update needs is not there.
    #[error("{path} holds no tensor `{name}`, which this update needs")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor of another shape or kind than the update needs.
    #[error("the tensor `{name}` in {path} is {found}; {wanted} is needed")]
    Misshapen {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// Images too small for a convolutional network.
    #[error(transparent)]
    TooSmall(#[from] TooSmall),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Libtorch(#[from] TchError),
}

/// Computes the update that `case` describes on the tensors of one file and writes what comes out into another: loss,
/// logits, hidden activities, targets, inverse losses and gradients, each under its plain name and as `expect.NAME`.
///
/// # Errors
/// Files that cannot be read or written, a case that is none, or tensors that do not fit it.
pub fn run<T: Scalar>(case: &Path, given: &Path, out: &Path) -> Result<(), StepError> {
    let _no_gradients = tch::no_grad_guard();
    let case = Case::read(case)?;
    let given = Given::read(given)?;
    let written = compute::<T>(&case, &given)?;
    written.write(out)
}

fn compute<T: Scalar>(case: &Case, given: &Given) -> Result<Written, StepError> {
    let images = given.any("x")?;
    let rows = images.shape[0];
    let mut network = Network::<T>::zeros(wiring(case, given, &images)?, case.rule, case.activation, 1)?;
    let wiring = network.wiring.clone();
    fill(&mut network.forward, given, "param", true)?;
    if case.rule == Rule::Dfa {
        for layer in wiring.topology.hidden() {
            let shape = [wiring.classes(), wiring.extent(layer).units()];
            let feedback = given.tensor(&format!("feedback.{layer}.weight"), &shape)?;
            network.set_direct_feedback(0, layer, &scalars::<T>(&feedback.numbers));
        }
    } else if let Some(feedback) = &mut network.feedback {
        fill(feedback, given, "feedback", false)?;
    }
    if let Some(decoders) = &mut network.decoders {
        fill(decoders, given, "decoder", true)?;
    }
    let labels = given.labels("y", rows, wiring.classes())?;

    let mut pass = Pass::new(&wiring, rows)?;
    pass.images.slice_mut().copy_from_slice(&scalars(&images.numbers));
    pass.forward(&network, 0)?;
    let loss = pass.loss(&labels, 1.0);
    let mut rule = rules::new(case.rule, &network, rows)?;
    let noises = noises::<T>(&network, given, rows)?;
    let mut update = Update {
        lane: 0,
        target_step: case.target_step,
        noise_std: case.noise_std,
        noise: &mut |layer: usize, numbers: &mut [T]| numbers.copy_from_slice(&noises[layer - 2]),
        forward: Destination::Gradients,
        decoders: Destination::Gradients,
        is_observed: true,
    };
    rule.learn(&mut network, &pass, &mut update)?;

    let mut written = Written::default();
    written.add("loss", &[1], vec![loss]);
    written.add("logits", &[rows, wiring.classes()], doubles(pass.logits.slice()));
    let (hidden, changes) = (&pass.hidden, rule.target_changes());
    for layer in wiring.topology.hidden() {
        let (shape, activities) = units(&wiring, rows, layer, hidden);
        if let Some(changes) = changes {
            let (_, changes) = units(&wiring, rows, layer, changes);
            let target = activities.iter().zip(&changes).map(|(h, change)| h + change).collect();
            written.add(&format!("target.{layer}"), &shape, target);
        }
        written.add(&format!("hidden.{layer}"), &shape, activities);
    }
    for &(layer, loss) in rule.inverse_losses() {
        written.add(&format!("inverse_loss.{layer}"), &[1], vec![loss]);
    }
    add_gradients(&mut written, "grad.param", &network.forward);
    if let Some(decoders) = &network.decoders {
        add_gradients(&mut written, "grad.decoder", decoders);
    }
    Ok(written)
}

/// The wiring of a case: the widths of fully connected layers follow from the weights, the rest from the case.
fn wiring(case: &Case, given: &Given, images: &Numbers) -> Result<Wiring, StepError> {
    let topology = Topology::new(case.network, case.depth, &case.skip());
    let units = |layer: usize| Ok::<_, StepError>(given.any(&format!("param.{layer}.weight"))?.shape[0]);
    let classes = units(topology.output())?;
    if !case.network.is_convolutional() {
        let mut extents = vec![Extent::flat(images.shape[1..].iter().product())];
        for layer in topology.hidden() {
            extents.push(Extent::flat(units(layer)?));
        }
        extents.push(Extent::flat(classes));
        return Ok(Wiring::new(topology, false, extents));
    }
    let &[_, channels, height, width] = images.shape.as_slice() else {
        return Err(given.misshapen(
            "x",
            format!("of shape {:?}", images.shape),
            "[batch, channels, rows, columns]".to_owned(),
        ));
    };
    let (channel_multiplier, downsample_after) = (case.channel_multiplier, case.downsample_after.clone());
    let convolution = Convolution { channel_multiplier, downsample_after };
    let extents = convolutional(case.depth, &convolution, Extent { channels, height, width }, classes)?;
    Ok(Wiring::new(topology, true, extents))
}

fn scalars<T: Scalar>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|&number| T::of(number)).collect()
}

fn doubles<T: Scalar>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_f64()).collect()
}

/// Fills a run of layers from the tensors `PREFIX.LAYER.weight` and, where it has biases, `PREFIX.LAYER.bias`.
fn fill<T: Scalar>(parameters: &mut Parameters<T>, given: &Given, prefix: &str, biases: bool) -> Result<(), StepError> {
    for layer in parameters.layers() {
        let shape = shape_of(parameters, layer);
        let weight = given.tensor(&format!("{prefix}.{layer}.weight"), &shape)?;
        parameters.set_weight(0, layer, &scalars::<T>(&weight.numbers));
        if biases {
            let bias = given.tensor(&format!("{prefix}.{layer}.bias"), &shape[..1])?;
            parameters.bias_mut(0, layer).copy_from_slice(&scalars(&bias.numbers));
        }
    }
    Ok(())
}

/// [out, in], or [out, in, rows, columns] of a convolution.
fn shape_of<T: Scalar>(parameters: &Parameters<T>, layer: usize) -> Vec<usize> {
    let Form { reads, outputs, .. } = &parameters.slot(layer).form;
    let shape = vec![*outputs, reads.channels()];
    if reads.taps > 1 { [shape, vec![reads.taps; 2]].concat() } else { shape }
}

/// The noise of each decoder, from layer 2 on: for each image and position, each channel.
fn noises<T: Scalar>(network: &Network<T>, given: &Given, rows: usize) -> Result<Vec<Vec<T>>, StepError> {
    let layers = network.decoders.iter().flat_map(Parameters::layers);
    let noise = |layer: usize| {
        let wiring = &network.wiring;
        let (extent, channels) = (wiring.extent(layer), wiring.hidden_channels(layer));
        let mut shape = vec![rows, channels];
        if wiring.taps(layer) > 1 {
            shape.extend([extent.height, extent.width]);
        }
        let numbers = given.tensor(&format!("noise.{layer}"), &shape)?.numbers;
        let of_image = numbers.chunks_exact(channels * extent.positions());
        let by_position = |image: &[f64]| -> Vec<T> {
            let at = |place: usize| image[place % channels * extent.positions() + place / channels];
            (0..image.len()).map(|place| T::of(at(place))).collect()
        };
        Ok(of_image.flat_map(by_position).collect())
    };
    layers.map(noise).collect()
}

/// The numbers of a layer as [images, units], or [images, channels, rows, columns] of a convolution.
fn units<T: Scalar>(wiring: &Wiring, rows: usize, layer: usize, activities: &Activities<T>) -> (Vec<usize>, Vec<f64>) {
    let (extent, (numbers, lines)) = (wiring.extent(layer), activities.numbers(layer));
    let flat: Vec<f64> = lines.starts().flat_map(|start| doubles(&numbers[start..start + lines.length])).collect();
    if !wiring.is_convolutional() {
        return (vec![rows, extent.channels], flat);
    }
    let by_channel = |image: &[f64]| -> Vec<f64> {
        let at = |place: usize| image[place % extent.positions() * extent.channels + place / extent.positions()];
        (0..image.len()).map(at).collect()
    };
    let numbers = flat.chunks_exact(extent.units()).flat_map(by_channel).collect();
    (vec![rows, extent.channels, extent.height, extent.width], numbers)
}

fn add_gradients<T: Scalar>(written: &mut Written, name: &str, parameters: &Parameters<T>) {
    for layer in parameters.layers() {
        let shape = shape_of(parameters, layer);
        written.add(&format!("{name}.{layer}.weight"), &shape, doubles(&parameters.weight_gradient(layer)));
        written.add(&format!("{name}.{layer}.bias"), &shape[..1], doubles(parameters.bias_gradient(layer)));
    }
}
