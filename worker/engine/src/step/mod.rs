//! One update of any rule on tensors from a file, with all its quantities in another file: for references and for
//! researchers.
//!
//! | module | contents |
//! |---|---|
//! | here | the update: case and tensors in, all quantities out |
//! | [`case`] | rule, network and settings |
//! | `tensors` | named tensors in a safetensors file |

pub mod case;
mod tensors;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use biosweep_common::configuration::{Convolution, Hyperparameters};
use biosweep_common::network::extents::{TooSmall, convolutional};
use biosweep_common::network::topology::Topology;
use biosweep_common::rules::Learned;
use biosweep_common::vocabulary::extent::Extent;
use biosweep_common::vocabulary::{DecoderOrder, Optimizer};
use biosweep_numeric::random::Purpose;
use tch::TchError;

use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::handles::ViewMut;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{copy_from_host, copy_rows_to_host, copy_to_host};
use crate::model::group::{Change, DECODER, Group};
use crate::model::optimisers::LaneOptimisers;
use crate::model::parameters::Parameters;
use crate::model::{ForwardPass, Model};
use crate::optim::OptimiserConfig;
use crate::rules::{self, Batch, Destination, StepContext};
use case::Case;
use tensors::{InputTensors, OutputTensors, TensorData};

/// The error of an update.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A file cannot be read or written.
    #[error("cannot {what} {path}: {why}")]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The file is not a case.
    #[error("{path} is no case of an update: {why}")]
    Case {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A tensor is missing.
    #[error("{path} holds no tensor `{name}`, which this update needs")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor has the wrong shape or type.
    #[error("the tensor `{name}` in {path} is {found}; {wanted} is needed")]
    Misshapen {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape or type of the tensor.
        found: String,
        /// The shape or type that is needed.
        wanted: String,
    },
    /// The images are too small for a convolutional network.
    #[error(transparent)]
    TooSmall(#[from] TooSmall),
    /// libtorch reports an error.
    #[error("libtorch: {0}")]
    Libtorch(#[from] TchError),
}

/// Computes the update of `case` on the tensors of one file, and writes the results to another file: loss, logits,
/// hidden activations, targets, states, inverse losses and gradients, each under its own name and as `expect.NAME`.
///
/// # Errors
/// A file cannot be read or written, the case is invalid, or the tensors do not fit the case.
pub fn run<T: Scalar>(case: &Path, inputs: &Path, out: &Path) -> Result<(), StepError> {
    let _no_gradients = tch::no_grad_guard();
    let case = Case::read(case)?;
    let inputs = InputTensors::read(inputs)?;
    let outputs = compute::<T>(&case, &inputs)?;
    outputs.write(out)
}

fn compute<T: Scalar>(case: &Case, inputs: &InputTensors) -> Result<OutputTensors, StepError> {
    let images = inputs.any("x")?;
    let batch_size = images.shape[0];
    let architecture = architecture(case, inputs, &images)?;
    let groups = rules::groups::<T>(case.rule, &architecture);
    let mut model = Model::<T>::zeros(architecture.clone(), case.activation, 1, groups)?;
    fill(&mut model.forward, inputs, "param")?;
    for group in &mut model.groups {
        fill(&mut group.parameters, inputs, group.declared.name)?;
    }
    let labels = inputs.labels("y", batch_size, architecture.classes())?;

    let mut pass = ForwardPass::new(&architecture, batch_size)?;
    copy_from_host(pass.images.buffer_mut().whole_mut(), &scalars::<T>(&images.numbers));
    pass.forward(&model, 0)?;
    let mut rule = rules::new(case.rule, &model, batch_size)?;
    let mut refused = None;
    let mut normal = |purpose: Purpose, draw: u64, values: ViewMut<'_, T>| match noise(
        case,
        &architecture,
        inputs,
        batch_size,
        (purpose, draw),
    ) {
        Ok(noise) => copy_from_host(values, &noise),
        Err(error) => refused = Some(error),
    };
    let (hyperparameters, procedure) = (&case.hyperparameters(), case.procedure());
    let batch = Batch { labels: &labels, lane: 0, update: 1, hyperparameters, procedure, normal: &mut normal };
    // Decoders that learn first have to learn, so that targets can see it.
    let learn_first = case.decoder_order == DecoderOrder::Before && case.rule.has_decoders();
    let mut of_decoders = learn_first.then(|| decoder_optimiser(&model, case.decoder_learning_rate)).transpose()?;
    let destination = of_decoders.as_mut().map_or(Destination::Gradients, Destination::Optimisers);
    let mut step = StepContext::new(&mut model, &mut pass, batch, destination);
    rule.backward(&mut step)?;
    let loss = step.loss;
    if let Some(error) = refused {
        return Err(error);
    }

    let mut outputs = OutputTensors::default();
    outputs.add("loss", &[1], vec![loss]);
    outputs.add(
        "logits",
        &[batch_size, architecture.classes()],
        doubles(&copy_rows_to_host(pass.layers.logits.rows())),
    );
    let (hidden, differences) = (&pass.layers.hidden, rule.target_differences());
    for layer in architecture.topology.hidden() {
        let (shape, activations) = units(&architecture, batch_size, layer, hidden);
        if let Some(differences) = differences {
            let (_, differences) = units(&architecture, batch_size, layer, differences);
            let target = activations.iter().zip(&differences).map(|(h, difference)| h + difference).collect();
            outputs.add(&format!("target.{layer}"), &shape, target);
        }
        outputs.add(&format!("hidden.{layer}"), &shape, activations);
        if let Some(states) = rule.states() {
            let (shape, states) = units(&architecture, batch_size, layer, states);
            outputs.add(&format!("state.{layer}"), &shape, states);
        }
    }
    if let Some(energy) = rule.energy() {
        outputs.add("energy", &[1], vec![energy]);
    }
    for &(layer, loss) in rule.inverse_losses() {
        outputs.add(&format!("inverse_loss.{layer}"), &[1], vec![loss]);
    }
    add_gradients(&mut outputs, "grad.param", &model.forward);
    for Group { declared, parameters } in &model.groups {
        if declared.name == DECODER && learn_first {
            add_values(&mut outputs, declared.name, parameters);
        } else if matches!(declared.change, Change::Trained(_)) {
            add_gradients(&mut outputs, &format!("grad.{}", declared.name), parameters);
        }
    }
    Ok(outputs)
}

/// The architecture of a case. Layer sizes of fully connected networks follow from the weights, the rest from the case.
fn architecture(case: &Case, inputs: &InputTensors, images: &TensorData) -> Result<Architecture, StepError> {
    let topology = Topology::new(case.network, case.depth, &case.skip());
    let units = |layer: usize| Ok::<_, StepError>(inputs.any(&format!("param.{layer}.weight"))?.shape[0]);
    let classes = units(topology.output())?;
    if !case.network.is_convolutional() {
        let mut extents = vec![Extent::flat(images.shape[1..].iter().product())];
        for layer in topology.hidden() {
            extents.push(Extent::flat(units(layer)?));
        }
        extents.push(Extent::flat(classes));
        return Ok(Architecture::new(topology, false, extents));
    }
    let &[_, channels, height, width] = images.shape.as_slice() else {
        return Err(inputs.misshapen(
            "x",
            format!("of shape {:?}", images.shape),
            "[batch, channels, rows, columns]".to_owned(),
        ));
    };
    let (channel_multiplier, downsample_after) = (case.channel_multiplier, case.downsample_after.clone());
    let convolution = Convolution { channel_multiplier, downsample_after };
    let extents = convolutional(case.depth, &convolution, Extent { channels, height, width }, classes)?;
    Ok(Architecture::new(topology, true, extents))
}

fn scalars<T: Scalar>(numbers: &[f64]) -> Vec<T> {
    numbers.iter().map(|&number| T::from_f64(number)).collect()
}

fn doubles<T: Scalar>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_f64()).collect()
}

/// Fills all layers from the tensors `PREFIX.LAYER.weight` and, if there are biases, `PREFIX.LAYER.bias`.
fn fill<T: Scalar>(parameters: &mut Parameters<T>, inputs: &InputTensors, prefix: &str) -> Result<(), StepError> {
    for layer in parameters.layers() {
        let shape = parameters.parameter_range(layer).spec.shape();
        let weight = inputs.tensor(&format!("{prefix}.{layer}.weight"), &shape)?;
        parameters.set_weight(0, layer, &scalars::<T>(&weight.numbers));
        if parameters.parameter_range(layer).spec.has_biases {
            let bias = inputs.tensor(&format!("{prefix}.{layer}.bias"), &shape[..1])?;
            copy_from_host(parameters.bias_mut(0, layer), &scalars::<T>(&bias.numbers));
        }
    }
    Ok(())
}

/// Plain SGD of the decoders alone, without weight decay.
fn decoder_optimiser<T: Scalar>(model: &Model<T>, learning_rate: f64) -> Result<LaneOptimisers<T>, TchError> {
    let own = Hyperparameters { learning_rate, weight_decay: 0.0, ..Hyperparameters::default() };
    LaneOptimisers::of_group(model, DECODER, OptimiserConfig::of_forward(Optimizer::Sgd, &own))
}

/// The noise on the hidden sources of a layer, or on the layer itself: for each image and position, each channel.
///
/// # Panics
/// The purpose is another one: files hold no other random numbers.
fn noise<T: Scalar>(
    case: &Case,
    architecture: &Architecture,
    inputs: &InputTensors,
    batch_size: usize,
    (purpose, draw): (Purpose, u64),
) -> Result<Vec<T>, StepError> {
    let (layer, is_of_sources) = match purpose {
        Purpose::Noise(layer) => (layer as usize, true),
        Purpose::LayerNoise(layer) => (layer as usize, false),
        other => panic!("a file has no random numbers for {other:?}"),
    };
    let extent = architecture.extent(layer);
    let channels = if is_of_sources { architecture.hidden_channels(layer) } else { extent.channels };
    let mut name = format!("noise.{layer}");
    if case.decoder_order == DecoderOrder::Before {
        let _fits = write!(name, ".{draw}");
    }
    if case.rule.descriptor().learned == Learned::DifferenceDecoders {
        name.push_str(if is_of_sources { ".source" } else { ".layer" });
    }
    let mut shape = vec![batch_size, channels];
    if architecture.kernel_size(layer) > 1 {
        shape.extend([extent.height, extent.width]);
    }
    let numbers = inputs.tensor(&name, &shape)?.numbers;
    let of_image = numbers.chunks_exact(channels * extent.positions());
    let by_position = |image: &[f64]| -> Vec<T> {
        let at = |place: usize| image[place % channels * extent.positions() + place / channels];
        (0..image.len()).map(|place| T::from_f64(at(place))).collect()
    };
    Ok(of_image.flat_map(by_position).collect())
}

/// The values of a layer as [images, units], or [images, channels, rows, columns] for a convolution.
fn units<T: Scalar>(
    architecture: &Architecture,
    batch_size: usize,
    layer: usize,
    activations: &Activations<T>,
) -> (Vec<usize>, Vec<f64>) {
    let (extent, flat) = (architecture.extent(layer), doubles(&copy_rows_to_host(activations.rows(layer))));
    if !architecture.is_convolutional() {
        return (vec![batch_size, extent.channels], flat);
    }
    let by_channel = |image: &[f64]| -> Vec<f64> {
        let at = |place: usize| image[place % extent.positions() * extent.channels + place / extent.positions()];
        (0..image.len()).map(at).collect()
    };
    let numbers = flat.chunks_exact(extent.units()).flat_map(by_channel).collect();
    (vec![batch_size, extent.channels, extent.height, extent.width], numbers)
}

fn add_values<T: Scalar>(outputs: &mut OutputTensors, name: &str, parameters: &Parameters<T>) {
    for layer in parameters.layers() {
        let spec = &parameters.parameter_range(layer).spec;
        let shape = spec.shape();
        outputs.add(&format!("{name}.{layer}.weight"), &shape, doubles(&parameters.weight(0, layer)));
        if spec.has_biases {
            let biases = doubles(&copy_to_host(parameters.bias(0, layer)));
            outputs.add(&format!("{name}.{layer}.bias"), &shape[..1], biases);
        }
    }
}

fn add_gradients<T: Scalar>(outputs: &mut OutputTensors, name: &str, parameters: &Parameters<T>) {
    for layer in parameters.layers() {
        let spec = &parameters.parameter_range(layer).spec;
        let shape = spec.shape();
        outputs.add(&format!("{name}.{layer}.weight"), &shape, doubles(&parameters.weight_gradient(layer)));
        if spec.has_biases {
            outputs.add(
                &format!("{name}.{layer}.bias"),
                &shape[..1],
                doubles(&copy_to_host(parameters.bias_gradient(layer))),
            );
        }
    }
}
