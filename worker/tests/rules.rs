//! Every learning rule against exact references and identities, through the same code that trains.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use biosweep_common::topology::Topology;
use biosweep_common::vocabulary::{Activation, Network as Kind, Rule};
use biosweep_worker::network::{Network, Pass, Wiring};
use biosweep_worker::parameters::Parameters;
use biosweep_worker::random::{Purpose, Stream};
use biosweep_worker::rules::{self, Surroundings};
use biosweep_worker::scalar::Scalar;
use safetensors::SafeTensors;
use tch::{Reduction, Tensor};

const ROWS: usize = 8;

type Gradients = BTreeMap<(usize, &'static str), Vec<f64>>;

fn network<T: Scalar>(rule: Rule, kind: Kind, activation: Activation, depth: usize) -> Network<T> {
    let mut widths = vec![20];
    widths.extend(std::iter::repeat_n(12, depth));
    widths.push(10);
    let wiring = Wiring::new(Topology::new(kind, depth), widths);
    let mut network = Network::zeros(wiring, rule, activation).expect("memory");
    let draw = |parameters: &mut Parameters<T>, purpose: fn(u32) -> Purpose| {
        for layer in parameters.layers() {
            let mut stream = Stream::new(7, 0, purpose(layer as u32), 0);
            parameters.draw_weights(0, layer, &mut stream, 0.1);
            T::fill_normal(parameters.bias_mut(0, layer), &mut stream, 0.1);
        }
    };
    draw(&mut network.forward, Purpose::Weights);
    if let Some(feedback) = &mut network.feedback {
        draw(feedback, Purpose::Feedback);
    }
    if let Some(decoders) = &mut network.decoders {
        draw(decoders, Purpose::Decoder);
    }
    network
}

/// A batch that has gone forward, and its labels.
fn pass<T: Scalar>(network: &Network<T>) -> (Pass<T>, Vec<i64>) {
    let mut pass = Pass::new(&network.wiring, ROWS).expect("memory");
    T::fill_normal(pass.images.slice_mut(), &mut Stream::new(8, 0, Purpose::Digits, 0), 1.0);
    pass.forward(network).expect("a forward pass");
    let labels: Vec<i64> = (0..ROWS as i64).map(|row| (row * 3) % 10).collect();
    (pass, labels)
}

fn gradients<T: Scalar>(network: &mut Network<T>, rule: Rule) -> Gradients {
    let _no_gradients = tch::no_grad_guard();
    let (mut pass, labels) = pass(network);
    pass.loss(&labels);
    let mut noise = |_: usize, numbers: &mut [T]| numbers.fill(T::default());
    let mut surroundings = Surroundings { target_step: 0.1, noise_std: 0.0, noise: &mut noise };
    let mut learning = rules::new(rule, network, ROWS).expect("memory");
    learning.gradients(network, &pass, &mut surroundings).expect("gradients");
    let forward = &network.forward;
    let of_layer = |layer| {
        let exact = |numbers: &[T]| numbers.iter().map(|number| number.to_f64()).collect();
        let weight = ((layer, "weight"), exact(forward.weight_gradient(0, layer)));
        [weight, ((layer, "bias"), exact(forward.bias_gradient(0, layer)))]
    };
    forward.layers().flat_map(of_layer).collect()
}

/// The largest difference, relative to the largest number.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    let scale = left.iter().fold(1e-30_f64, |most, number| most.max(number.abs()));
    left.iter().zip(right).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / scale
}

fn autograd(network: &Network<f64>) -> Gradients {
    let (pass, labels) = pass(network);
    let topology = &network.wiring.topology;
    let leaf = |tensor: &Tensor| tensor.detach().copy().set_requires_grad(true);
    let leaves: BTreeMap<usize, (Tensor, Tensor)> = (1..=topology.output())
        .map(|layer| {
            let views = network.forward.views(0, layer);
            (layer, (leaf(&views.weight), leaf(&views.bias)))
        })
        .collect();
    let mut activities = vec![pass.input(1).copy()];
    for layer in 1..=topology.output() {
        let sources: Vec<&Tensor> = topology.sources(layer).iter().map(|&source| &activities[source]).collect();
        let (weight, bias) = &leaves[&layer];
        let z = Tensor::cat(&sources, 1).matmul(&weight.tr()) + bias;
        activities.push(match network.activation {
            _ if layer == topology.output() => z,
            Activation::Relu => z.relu(),
            Activation::Sigmoid => z.sigmoid(),
            Activation::Tanh => z.tanh(),
        });
    }
    let logits = &activities[topology.output()];
    let targets = Tensor::from_slice(&labels);
    logits.cross_entropy_loss(&targets, None::<&Tensor>, Reduction::Mean, -100, 0.0).backward();
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.grad().reshape([-1])).expect("numbers");
    let of_layer = |(&layer, (weight, bias)): (&usize, &(Tensor, Tensor))| {
        [((layer, "weight"), numbers(weight)), ((layer, "bias"), numbers(bias))]
    };
    leaves.iter().flat_map(of_layer).collect()
}

#[test]
fn back_propagation_is_the_gradient_that_autograd_finds() {
    for &kind in Kind::ALL {
        for &activation in Activation::ALL {
            for depth in [1, 4] {
                let mut network = network::<f64>(Rule::Bp, kind, activation, depth);
                let expected = autograd(&network);
                for (parameter, own) in gradients(&mut network, Rule::Bp) {
                    let distance = distance(&expected[&parameter], &own);
                    assert!(distance < 1e-12, "{kind} {activation} {depth} {parameter:?}: {distance}");
                }
            }
        }
    }
}

#[test]
fn feedback_alignment_with_the_forward_weights_is_back_propagation() {
    for &kind in Kind::ALL {
        let expected = gradients(&mut network::<f64>(Rule::Bp, kind, Activation::Tanh, 4), Rule::Bp);
        let mut aligned = network::<f64>(Rule::Fa, kind, Activation::Tanh, 4);
        for layer in 2..=aligned.wiring.topology.output() {
            let weight = aligned.forward.weight_mut(0, layer).to_vec();
            let feedback = aligned.feedback.as_mut().expect("feedback");
            feedback.weight_mut(0, layer).copy_from_slice(&weight);
        }
        assert_eq!(gradients(&mut aligned, Rule::Fa), expected, "{kind}: to the last bit");
    }
}

#[test]
fn feedback_alignment_learns_otherwise_than_back_propagation_below_the_output() {
    let own = gradients(&mut network::<f64>(Rule::Fa, Kind::Dn, Activation::Tanh, 3), Rule::Fa);
    let propagated = gradients(&mut network::<f64>(Rule::Bp, Kind::Dn, Activation::Tanh, 3), Rule::Bp);
    assert_eq!(own[&(4, "weight")], propagated[&(4, "weight")], "the output layer learns the same");
    assert!(distance(&own[&(1, "weight")], &propagated[&(1, "weight")]) > 0.1, "a hidden layer does not");
}

#[test]
fn zero_feedback_moves_no_hidden_weight() {
    for &kind in Kind::ALL {
        let mut silent = network::<f64>(Rule::Fa, kind, Activation::Relu, 4);
        let output = silent.wiring.topology.output();
        for layer in 2..=output {
            silent.feedback.as_mut().expect("feedback").weight_mut(0, layer).fill(0.0);
        }
        for ((layer, what), gradient) in gradients(&mut silent, Rule::Fa) {
            let moves = gradient.iter().any(|&number| number != 0.0);
            assert_eq!(moves, layer == output, "{kind} layer {layer} {what}");
        }
    }
}

/// On a chain of rotations in the linear range of tanh the transpose is the true inverse: targets carry the gradient.
#[test]
fn a_decoder_that_is_a_true_inverse_gives_the_direction_of_back_propagation() {
    let linear = |rule| {
        let mut network = network::<f64>(rule, Kind::Nn, Activation::Tanh, 3);
        (1..=4).for_each(|layer| network.forward.bias_mut(0, layer).fill(0.0));
        network.forward.weight_mut(0, 1).iter_mut().for_each(|weight| *weight *= 1e-4);
        network.forward.weight_mut(0, 4).iter_mut().for_each(|weight| *weight *= 1e-2);
        for layer in 2..=3 {
            let rotation = rotation(12, layer);
            network.forward.weight_mut(0, layer).copy_from_slice(&rotation);
            if let Some(decoders) = &mut network.decoders {
                let inverse: Vec<f64> = (0..144).map(|place| rotation[place % 12 * 12 + place / 12]).collect();
                decoders.weight_mut(0, layer).copy_from_slice(&inverse);
                decoders.bias_mut(0, layer).fill(0.0);
            }
        }
        network
    };
    let propagated = gradients(&mut linear(Rule::Bp), Rule::Bp);
    let targeted = gradients(&mut linear(Rule::Dtp), Rule::Dtp);
    for layer in 1..=3 {
        let (left, right) = (&propagated[&(layer, "weight")], &targeted[&(layer, "weight")]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = dot(left, right) / (dot(left, left) * dot(right, right)).sqrt();
        assert!(cosine > 0.999, "layer {layer}: cosine {cosine}");
    }
}

/// Far from the output a target differs from its activity by less than single precision tells activities apart.
#[test]
fn target_propagation_keeps_its_digits_in_single_precision_far_from_the_output() {
    let single = gradients(&mut network::<f32>(Rule::Dtp, Kind::Nn, Activation::Sigmoid, 9), Rule::Dtp);
    let double = gradients(&mut network::<f64>(Rule::Dtp, Kind::Nn, Activation::Sigmoid, 9), Rule::Dtp);
    for (parameter, expected) in double {
        let distance = distance(&expected, &single[&parameter]);
        assert!(distance < 1e-4, "{parameter:?}: {distance}");
    }
}

/// A rotation, as a product of rotations in planes.
fn rotation(size: usize, seed: usize) -> Vec<f64> {
    let mut matrix: Vec<f64> = (0..size * size).map(|at| f64::from(u8::from(at / size == at % size))).collect();
    for first in 0..size - 1 {
        let (sine, cosine) = ((first * 7 + seed * 3) as f64).sin_cos();
        for column in 0..size {
            let (a, b) = (matrix[first * size + column], matrix[(first + 1) * size + column]);
            matrix[first * size + column] = cosine * a - sine * b;
            matrix[(first + 1) * size + column] = sine * a + cosine * b;
        }
    }
    matrix
}

/// Exact float64 cases, where they lie beside the project.
#[test]
fn every_case_of_the_oracle_is_reproduced_in_both_precisions() {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/oracle");
    if !oracle.is_dir() {
        eprintln!("skipped: no oracle cases in {}", oracle.display());
        return;
    }
    let mut cases = 0;
    for rule in Rule::ALL {
        for case in cases_of(&oracle, *rule) {
            for (kind, bound) in [("float64", 1e-9), ("float32", 1e-4)] {
                let out = std::env::temp_dir().join(format!("biosweep-step-{}-{rule}-{kind}", std::process::id()));
                check_case(&case, &out, kind, bound);
                cases += 1;
            }
        }
    }
    assert!(cases >= 12, "only {cases} cases were found in {}", oracle.display());
}

/// The cases of a rule on the networks there are.
fn cases_of(oracle: &Path, rule: Rule) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(oracle).expect("the oracle can be read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let wanted = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".json") && Kind::ALL.iter().any(|kind| name.starts_with(&format!("{rule}-{kind}-")))
    };
    paths.filter(wanted).collect()
}

fn check_case(case: &Path, out: &Path, kind: &str, bound: f64) {
    let tensors = case.with_extension("safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_biosweep-worker"));
    command.args(["step", "--dtype", kind, "--case"]).arg(case).arg("--tensors").arg(&tensors).arg("--out").arg(out);
    let status = command.status().expect("the worker starts");
    assert!(status.success(), "{}: {status}", case.display());
    let (wanted, found) = (std::fs::read(&tensors).expect("a case"), std::fs::read(out).expect("an answer"));
    let wanted = SafeTensors::deserialize(&wanted).expect("a case");
    let found = SafeTensors::deserialize(&found).expect("an answer");
    for (name, wanted) in wanted.iter().filter(|(name, _)| name.starts_with("expect.")) {
        let own = found.tensor(name).unwrap_or_else(|error| panic!("{}: {name}: {error}", case.display()));
        assert_eq!(own.shape(), wanted.shape(), "{}: {name}", case.display());
        let distance = distance(&numbers(wanted.data()), &numbers(own.data()));
        assert!(distance <= bound, "{}: {name} in {kind} is off by {distance}", case.display());
    }
    std::fs::remove_file(out).expect("the answer can be removed");
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
}
