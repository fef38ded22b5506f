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

use biosweep_common::topology::Topology;
use tch::{Kind, TchError, Tensor};

use crate::network::{HiddenMatrix, Network, Pass, Wiring};
use crate::parameters::Parameters;
use crate::rules::{self, Surroundings};
use crate::scalar::Scalar;
use case::Case;
use tensors::{Given, Written};

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
    let topology = Topology::new(case.network, case.depth);
    let images = given.matrix("x", None)?;
    let rows = images.shape[0];
    let mut widths = vec![images.shape[1]];
    for layer in 1..=topology.output() {
        widths.push(given.matrix(&format!("param.{layer}.weight"), None)?.shape[0]);
    }
    let wiring = Wiring::new(topology, widths);
    let mut network = Network::<T>::zeros(wiring, case.rule, case.activation)?;
    fill(&mut network.forward, given, "param", true)?;
    if let Some(feedback) = &mut network.feedback {
        fill(feedback, given, "feedback", false)?;
    }
    if let Some(decoders) = &mut network.decoders {
        fill(decoders, given, "decoder", true)?;
    }
    let labels = given.labels("y", rows, network.wiring.width(network.wiring.topology.output()))?;

    let mut pass = Pass::new(&network.wiring, rows)?;
    copy(pass.images.slice_mut(), &images.numbers);
    pass.forward(&network)?;
    let loss = pass.loss(&labels);
    let mut rule = rules::new(case.rule, &network, rows)?;
    let noises = noises(&network, given, rows)?;
    let mut noise = |layer: usize, numbers: &mut [T]| copy(numbers, &noises[layer - 2]);
    let (target_step, noise_std) = (case.target_step, case.noise_std);
    let mut surroundings = Surroundings { target_step, noise_std, noise: &mut noise };
    rule.gradients(&mut network, &pass, &mut surroundings)?;

    let mut written = Written::default();
    written.add("loss", &[1], vec![loss]);
    written.add_tensor("logits", pass.logits())?;
    add_hidden(&mut written, "hidden", &network, &pass.hidden)?;
    if let Some(changes) = rule.target_changes() {
        for layer in network.wiring.topology.hidden() {
            let target = pass.hidden.layer(layer).f_add(changes.layer(layer))?;
            written.add_tensor(&format!("target.{layer}"), &target)?;
        }
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

fn copy<T: Scalar>(to: &mut [T], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::of(from));
}

/// Fills a run of layers from the tensors `PREFIX.LAYER.weight` and, where it has biases, `PREFIX.LAYER.bias`.
fn fill<T: Scalar>(parameters: &mut Parameters<T>, given: &Given, prefix: &str, biases: bool) -> Result<(), StepError> {
    for layer in parameters.layers() {
        let (rows, columns) = (parameters.slot(layer).rows, parameters.slot(layer).columns);
        let weight = given.matrix(&format!("{prefix}.{layer}.weight"), Some([rows, columns]))?;
        copy(parameters.weight_mut(0, layer), &weight.numbers);
        if biases {
            let bias = given.vector(&format!("{prefix}.{layer}.bias"), rows)?;
            copy(parameters.bias_mut(0, layer), &bias.numbers);
        }
    }
    Ok(())
}

/// The noise of each decoder, from layer 2 on.
fn noises<T: Scalar>(network: &Network<T>, given: &Given, rows: usize) -> Result<Vec<Vec<f64>>, StepError> {
    let layers = network.decoders.iter().flat_map(Parameters::layers);
    let noise = |layer: usize| {
        let units = network.wiring.fan_in(layer);
        Ok(given.matrix(&format!("noise.{layer}"), Some([rows, units]))?.numbers)
    };
    layers.map(noise).collect()
}

fn add_hidden<T: Scalar>(
    written: &mut Written,
    name: &str,
    network: &Network<T>,
    matrix: &HiddenMatrix<T>,
) -> Result<(), StepError> {
    for layer in network.wiring.topology.hidden() {
        written.add_tensor(&format!("{name}.{layer}"), matrix.layer(layer))?;
    }
    Ok(())
}

fn add_gradients<T: Scalar>(written: &mut Written, name: &str, parameters: &Parameters<T>) {
    let numbers = |slice: &[T]| slice.iter().map(|number| number.to_f64()).collect();
    for layer in parameters.layers() {
        let slot = parameters.slot(layer);
        let shape = [slot.rows, slot.columns];
        written.add(&format!("{name}.{layer}.weight"), &shape, numbers(parameters.weight_gradient(0, layer)));
        written.add(&format!("{name}.{layer}.bias"), &shape[..1], numbers(parameters.bias_gradient(0, layer)));
    }
}

impl Written {
    fn add_tensor(&mut self, name: &str, tensor: &Tensor) -> Result<(), StepError> {
        let shape: Vec<usize> = tensor.size().into_iter().map(|length| length as usize).collect();
        let flat = tensor.f_to_kind(Kind::Double)?.f_contiguous()?.f_view(-1)?;
        self.add(name, &shape, Vec::<f64>::try_from(&flat)?);
        Ok(())
    }
}
