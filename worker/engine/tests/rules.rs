//! Tests of every learning rule against exact references and identities, through the code that trains.

use std::collections::BTreeMap;

use biosweep_common::configuration::{Convolution, Hyperparameters, Procedure, Real, Skip};
use biosweep_common::network::extents::convolutional;
use biosweep_common::network::topology::Topology;
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::extent::Extent;
use biosweep_common::vocabulary::{ActivationFunction, Network as Kind, Optimizer, PcSolver};
use biosweep_engine::architecture::Architecture;
use biosweep_engine::kernels::handles::ViewMut;
use biosweep_engine::kernels::scalar::Scalar;
use biosweep_engine::kernels::transfer::{copy_from_host, copy_rows_to_host, copy_to_host, draw_normal, fill};
use biosweep_engine::kernels::weights::scale;
use biosweep_engine::model::group::{AUXILIARY, Change, DECODER, FEEDBACK};
use biosweep_engine::model::optimisers::LaneOptimisers;
use biosweep_engine::model::parameters::Parameters;
use biosweep_engine::model::{ForwardPass, Model};
use biosweep_engine::rules::{self, Batch, Destination, LearningRule, StepContext};
use biosweep_numeric::random::{Purpose, Stream};
use tch::{Reduction, TchError, Tensor};

const ROWS: usize = 8;

type Gradients = BTreeMap<(usize, &'static str), Vec<f64>>;

/// A small network of each kind.
fn architecture(kind: Kind, depth: usize) -> Architecture {
    let skip = Skip { density: Real(0.5), ..Skip::default() };
    if kind.is_convolutional() {
        return convolutional_architecture(kind, depth, Extent { channels: 2, height: 7, width: 6 }, &[1]);
    }
    let mut extents = vec![Extent::flat(20)];
    extents.extend(std::iter::repeat_n(Extent::flat(12), depth));
    extents.push(Extent::flat(10));
    Architecture::new(Topology::new(kind, depth, &skip), false, extents)
}

fn convolutional_architecture(kind: Kind, depth: usize, image: Extent, downsample_after: &[u64]) -> Architecture {
    let convolution = Convolution { channel_multiplier: 3, downsample_after: downsample_after.to_vec() };
    let extents = convolutional(depth, &convolution, image, 10).expect("images large enough");
    Architecture::new(Topology::new(kind, depth, &Skip::default()), true, extents)
}

fn model<T: Scalar>(rule: Rule, kind: Kind, activation: ActivationFunction, depth: usize) -> Model<T> {
    drawn(architecture(kind, depth), rule, activation)
}

fn drawn<T: Scalar>(architecture: Architecture, rule: Rule, activation: ActivationFunction) -> Model<T> {
    let groups = rules::groups::<T>(rule, &architecture);
    let mut model = Model::zeros(architecture, activation, 1, groups).expect("memory");
    let draw = |parameters: &mut Parameters<T>, purpose: fn(u32) -> Purpose| {
        for layer in parameters.layers() {
            let (weights, biases) =
                (parameters.parameter_range(layer).spec.count(), parameters.parameter_range(layer).bias.len());
            let mut numbers = vec![T::default(); weights + biases];
            T::fill_normal(&mut numbers, &mut Stream::new(7, 0, purpose(layer as u32), 0), 0.1_f64.sqrt());
            parameters.set_weight(0, layer, &numbers[..weights]);
            copy_from_host(parameters.bias_mut(0, layer), &numbers[weights..]);
        }
    };
    draw(&mut model.forward, Purpose::Weights);
    model.groups.iter_mut().for_each(|group| draw(&mut group.parameters, group.declared.law.purpose));
    model
}

/// The forward pass of a batch, and the labels of the batch.
fn pass<T: Scalar>(model: &Model<T>) -> (ForwardPass<T>, Vec<i64>) {
    let mut pass = ForwardPass::new(&model.architecture, ROWS).expect("memory");
    draw_normal(pass.images.buffer_mut().whole_mut(), &mut Stream::new(8, 0, Purpose::Digits, 0), 1.0);
    pass.forward(model, 0).expect("a forward pass");
    let labels: Vec<i64> = (0..ROWS as i64).map(|row| (row * 3) % 10).collect();
    (pass, labels)
}

/// A backward pass of a rule without noise, with these optimisers, or into the gradient buffers.
fn backward<T: Scalar>(model: &mut Model<T>, rule: Rule, optimisers: Option<&mut LaneOptimisers<T>>) {
    with_rule(model, rule, (Procedure::default(), &Hyperparameters::default()), optimisers, |rule, step| {
        rule.backward(step)
    });
}

/// The answer of a rule about a batch without noise.
fn with_rule<T: Scalar, R>(
    model: &mut Model<T>,
    rule: Rule,
    (procedure, hyperparameters): (Procedure, &Hyperparameters),
    optimisers: Option<&mut LaneOptimisers<T>>,
    ask: impl FnOnce(&mut dyn LearningRule<T>, &mut StepContext<'_, T>) -> Result<R, TchError>,
) -> R {
    let _no_gradients = tch::no_grad_guard();
    let (mut pass, labels) = pass(model);
    let batch = Batch {
        labels: &labels,
        lane: 0,
        update: 1,
        hyperparameters,
        procedure,
        normal: &mut |_: Purpose, _: u64, numbers: ViewMut<'_, T>| fill(numbers, T::default()),
    };
    let mut learning = rules::new(rule, model, ROWS).expect("memory");
    let destination = optimisers.map_or(Destination::Gradients, Destination::Optimisers);
    let mut step = StepContext::new(model, &mut pass, batch, destination);
    ask(&mut *learning, &mut step).expect("an answer")
}

fn gradients<T: Scalar>(model: &mut Model<T>, rule: Rule) -> Gradients {
    backward(model, rule, None);
    forward_gradients(model)
}

fn forward_gradients<T: Scalar>(model: &Model<T>) -> Gradients {
    let forward = &model.forward;
    let of_layer = |layer| {
        let exact = |numbers: &[T]| numbers.iter().map(|number| number.to_f64()).collect();
        let weight = ((layer, "weight"), exact(&forward.weight_gradient(layer)));
        [weight, ((layer, "bias"), exact(&copy_to_host(forward.bias_gradient(layer))))]
    };
    forward.layers().flat_map(of_layer).collect()
}

/// The largest difference, relative to the largest number.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    let scale = left.iter().fold(1e-30_f64, |most, number| most.max(number.abs()));
    left.iter().zip(right).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / scale
}

/// The gradients of libtorch's autograd for the same network, built from libtorch's own operations.
fn autograd(model: &Model<f64>) -> Gradients {
    let (pass, labels) = pass(model);
    let Model { architecture, forward, activation, .. } = model;
    let topology = &architecture.topology;
    let leaf = |numbers: &[f64], shape: &[i64]| Tensor::from_slice(numbers).reshape(shape).set_requires_grad(true);
    let leaves: BTreeMap<usize, (Tensor, Tensor)> = (1..=topology.output())
        .map(|layer| {
            let (outputs, kernel_size) = (architecture.channels(layer) as i64, architecture.kernel_size(layer) as i64);
            let shape = if kernel_size > 1 { vec![outputs, -1, kernel_size, kernel_size] } else { vec![outputs, -1] };
            (layer, (leaf(&forward.weight(0, layer), &shape), leaf(&copy_to_host(forward.bias(0, layer)), &[outputs])))
        })
        .collect();
    let Extent { channels, height, width } = architecture.extent(0);
    let images = Tensor::from_slice(&copy_rows_to_host(pass.images.rows()));
    let shape = if architecture.is_convolutional() { vec![channels, height, width] } else { vec![channels] };
    let shape: Vec<i64> = [ROWS].into_iter().chain(shape).map(|length| length as i64).collect();
    let mut activations = vec![images.reshape(shape)];
    for layer in 1..=topology.output() {
        let seen = |&source: &usize| -> Tensor {
            let h = &activations[source];
            if !architecture.is_convolutional() {
                return h.shallow_clone();
            }
            if layer == topology.output() {
                return h.mean_dim(&[2_i64, 3][..], false, tch::Kind::Double);
            }
            let factor = (architecture.extent(source).height / architecture.extent(layer).height) as i64;
            h.avg_pool2d([factor; 2], [factor; 2], [0; 2], false, true, None::<i64>)
        };
        let sources: Vec<Tensor> = topology.sources(layer).iter().map(seen).collect();
        let input = Tensor::cat(&sources, 1);
        let (weight, bias) = &leaves[&layer];
        let z = if architecture.kernel_size(layer) > 1 {
            input.conv2d(weight, Some(bias), [1; 2], [1; 2], [1; 2], 1)
        } else {
            input.matmul(&weight.tr()) + bias
        };
        let activated = match activation {
            _ if layer == topology.output() => z,
            ActivationFunction::Relu => z.relu(),
            ActivationFunction::Sigmoid => z.sigmoid(),
            ActivationFunction::Tanh => z.tanh(),
        };
        let has_identity = topology.has_identity(layer);
        activations.push(if has_identity { &activations[layer - 1] + activated } else { activated });
    }
    let logits = &activations[topology.output()];
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
        for &activation in ActivationFunction::ALL {
            for depth in [1, 4] {
                let mut model = model::<f64>(Rule::Bp, kind, activation, depth);
                let expected = autograd(&model);
                for (parameter, own) in gradients(&mut model, Rule::Bp) {
                    let distance = distance(&expected[&parameter], &own);
                    assert!(distance < 1e-12, "{kind} {activation} {depth} {parameter:?}: {distance}");
                }
            }
        }
    }
}

#[test]
fn a_convolution_is_autograds_over_odd_sizes_and_channels_and_pooling_factors() {
    for (image, halvings) in
        [((1, 5, 9), &[][..]), ((3, 9, 7), &[1]), ((1, 12, 13), &[1, 2]), ((2, 8, 11), &[2, 3]), ((1, 4, 4), &[1, 2])]
    {
        let image = Extent { channels: image.0, height: image.1, width: image.2 };
        for kind in [Kind::Convnet, Kind::DenseConvnet] {
            let mut model =
                drawn(convolutional_architecture(kind, 4, image, halvings), Rule::Bp, ActivationFunction::Tanh);
            let expected = autograd(&model);
            for (parameter, own) in gradients(&mut model, Rule::Bp) {
                let distance = distance(&expected[&parameter], &own);
                assert!(distance < 1e-12, "{kind} {image:?} {halvings:?} {parameter:?}: {distance}");
            }
        }
    }
}

#[test]
fn a_layer_that_reads_the_input_too_is_autograds() {
    let skip = Skip { input: true, ..Skip::default() };
    let extents = [20, 12, 9, 11, 10].map(Extent::flat).to_vec();
    let architecture = Architecture::new(Topology::new(Kind::Dn, 3, &skip), false, extents);
    let mut model = drawn(architecture, Rule::Bp, ActivationFunction::Sigmoid);
    let expected = autograd(&model);
    for (parameter, own) in gradients(&mut model, Rule::Bp) {
        let distance = distance(&expected[&parameter], &own);
        assert!(distance < 1e-12, "{parameter:?}: {distance}");
    }
}

#[test]
fn sign_symmetric_feedback_is_feedback_alignment_with_the_signs_of_the_weights() {
    for rule in [Rule::Usf, Rule::Frsf, Rule::Brsf] {
        for &kind in Kind::ALL {
            let mut signed = model::<f64>(rule, kind, ActivationFunction::Tanh, 4);
            let mut aligned = model::<f64>(Rule::Fa, kind, ActivationFunction::Tanh, 4);
            for layer in 2..=aligned.architecture.topology.output() {
                let fan_in = aligned.architecture.inputs(layer).fan_in() as f64;
                let sizes = signed.groups.first().map(|group| group.parameters.weight(0, layer));
                let weights = aligned.forward.weight(0, layer);
                let of = |(place, weight): (usize, &f64)| match &sizes {
                    Some(sizes) => sizes[place].abs() * weight.signum(),
                    None => weight.signum() / fan_in.sqrt(),
                };
                let feedback: Vec<f64> = weights.iter().enumerate().map(of).collect();
                aligned.group_mut(FEEDBACK).set_weight(0, layer, &feedback);
            }
            let expected = gradients(&mut aligned, Rule::Fa);
            for (parameter, own) in gradients(&mut signed, rule) {
                let distance = distance(&expected[&parameter], &own);
                assert!(distance < 1e-12, "{rule} {kind} {parameter:?}: {distance}");
            }
        }
    }
}

#[test]
fn a_target_projection_is_direct_feedback_of_a_label_and_leaves_the_output_layer_alone() {
    for &kind in Kind::ALL {
        let mut projected = model::<f64>(Rule::Drtp, kind, ActivationFunction::Tanh, 3);
        let output = projected.architecture.topology.output();
        let mut direct = model::<f64>(Rule::Dfa, kind, ActivationFunction::Tanh, 3);
        // Logits of zero give the error (1/10 − onehot)/batch. Feedback that sums to zero over the classes drops 1/10.
        for model in [&mut projected, &mut direct] {
            fill(model.forward.raw_weight_mut(0, output), 0.0);
            fill(model.forward.bias_mut(0, output), 0.0);
            for layer in 1..output {
                let units = model.architecture.extent(layer).units();
                let feedback: Vec<f64> = (0..10 * units).map(|at| if at / units < 5 { 0.1 } else { -0.1 }).collect();
                model.group_mut(FEEDBACK).set_weight(0, layer, &feedback);
            }
        }
        let expected = gradients(&mut direct, Rule::Dfa);
        for (parameter, own) in gradients(&mut projected, Rule::Drtp) {
            let distance = distance(&expected[&parameter], &own);
            assert!(distance < 1e-12, "{kind} {parameter:?}: {distance}");
        }
    }
}

#[test]
fn direct_feedback_to_the_last_hidden_layer_through_the_output_weights_is_back_propagation_there() {
    for kind in [Kind::Nn, Kind::Dn, Kind::Lognormal, Kind::Readout, Kind::Residual] {
        let mut direct = model::<f64>(Rule::Dfa, kind, ActivationFunction::Tanh, 3);
        let output = direct.architecture.topology.output();
        let inputs = direct.architecture.inputs(output).fan_in();
        let weight = direct.forward.weight(0, output);
        let last: Vec<f64> = weight.chunks(inputs).flat_map(|row| row[inputs - 12..].to_vec()).collect();
        direct.group_mut(FEEDBACK).set_weight(0, 3, &last);
        let own = gradients(&mut direct, Rule::Dfa);
        let propagated = gradients(&mut model::<f64>(Rule::Bp, kind, ActivationFunction::Tanh, 3), Rule::Bp);
        assert!(distance(&propagated[&(3, "weight")], &own[&(3, "weight")]) < 1e-12, "{kind}");
        assert!(distance(&propagated[&(1, "weight")], &own[&(1, "weight")]) > 0.1, "{kind}: below it is not");
    }
}

/// In-place SGD gives the parameters that gradients and a plain step give.
#[test]
fn a_product_into_the_parameters_is_a_step_of_plain_descent() {
    let hyperparameters =
        Hyperparameters { learning_rate: 0.05, decoder_learning_rate: 0.02, weight_decay: 0.2, ..Default::default() };
    let stepped = |from: &Parameters<f64>, to: &Parameters<f64>, rate: f64, what: &str| {
        let keep = 1.0 - rate * hyperparameters.weight_decay;
        let moved = |from: &[f64], gradient: &[f64]| -> Vec<f64> {
            from.iter().zip(gradient).map(|(w, g)| keep * w - rate * g).collect()
        };
        for layer in from.layers() {
            let weight = moved(&from.weight(0, layer), &from.weight_gradient(layer));
            let bias = moved(&copy_to_host(from.bias(0, layer)), &copy_to_host(from.bias_gradient(layer)));
            assert!(distance(&weight, &to.weight(0, layer)) < 1e-12, "{what} {layer}");
            assert!(distance(&bias, &copy_to_host(to.bias(0, layer))) < 1e-12, "{what} {layer}");
        }
    };
    for &rule in Rule::ALL {
        for &kind in Kind::ALL.iter().filter(|&&kind| rule.trains(kind)) {
            let mut plain = model::<f64>(rule, kind, ActivationFunction::Tanh, 3);
            backward(&mut plain, rule, None);
            let mut direct = model::<f64>(rule, kind, ActivationFunction::Tanh, 3);
            let mut optimisers = LaneOptimisers::new(&direct, Optimizer::Sgd, &hyperparameters).expect("memory");
            backward(&mut direct, rule, Some(&mut optimisers));
            stepped(&plain.forward, &direct.forward, hyperparameters.learning_rate, &format!("{rule} {kind}"));
            for (plain, direct) in plain.groups.iter().zip(&direct.groups) {
                let name = plain.declared.name;
                let rate = match plain.declared.change {
                    Change::Trained(_) if name == DECODER => hyperparameters.decoder_learning_rate,
                    Change::Trained(_) => hyperparameters.learning_rate,
                    Change::Fixed | Change::Redrawn => 0.0,
                };
                stepped(&plain.parameters, &direct.parameters, rate, &format!("{rule} {kind} {name}"));
            }
        }
    }
}

#[test]
fn feedback_alignment_with_the_forward_weights_is_back_propagation() {
    for rule in [Rule::Fa, Rule::Kp] {
        for &kind in Kind::ALL {
            let expected = gradients(&mut model::<f64>(Rule::Bp, kind, ActivationFunction::Tanh, 4), Rule::Bp);
            let mut aligned = model::<f64>(rule, kind, ActivationFunction::Tanh, 4);
            for layer in 2..=aligned.architecture.topology.output() {
                let weight = aligned.forward.weight(0, layer);
                aligned.group_mut(FEEDBACK).set_weight(0, layer, &weight);
            }
            for (parameter, own) in gradients(&mut aligned, rule) {
                // Not to the last bit under fa, because its feedback weights have another memory layout.
                let distance = distance(&expected[&parameter], &own);
                assert!(distance < 1e-13, "{rule} {kind} {parameter:?}: {distance}");
            }
        }
    }
}

#[test]
fn feedback_that_learns_has_the_gradient_of_the_forward_weights() {
    for &kind in Kind::ALL {
        let mut model = model::<f64>(Rule::Kp, kind, ActivationFunction::Tanh, 4);
        let of_weights = gradients(&mut model, Rule::Kp);
        for layer in model.group(FEEDBACK).layers() {
            assert_eq!(model.group(FEEDBACK).weight_gradient(layer), of_weights[&(layer, "weight")], "{kind} {layer}");
        }
    }
}

/// A layer that is all the output reads, with the classifier W_{L+1}, has the error of back-propagation.
#[test]
fn a_local_error_of_the_last_layer_through_the_output_weights_is_back_propagation_there() {
    for kind in [Kind::Nn, Kind::Residual, Kind::Convnet] {
        let mut local = model::<f64>(Rule::Local, kind, ActivationFunction::Tanh, 3);
        let (weight, bias) = (local.forward.weight(0, 4), copy_to_host(local.forward.bias(0, 4)));
        local.group_mut(AUXILIARY).set_weight(0, 3, &weight);
        copy_from_host(local.group_mut(AUXILIARY).bias_mut(0, 3), &bias);
        let own = gradients(&mut local, Rule::Local);
        let propagated = gradients(&mut model::<f64>(Rule::Bp, kind, ActivationFunction::Tanh, 3), Rule::Bp);
        for what in ["weight", "bias"] {
            assert!(distance(&propagated[&(3, what)], &own[&(3, what)]) < 1e-12, "{kind} {what}");
            assert!(distance(&propagated[&(1, what)], &own[&(1, what)]) > 0.1, "{kind} {what}: below it is not");
            let of_classifier = local.group(AUXILIARY);
            let gradient = match what {
                "weight" => of_classifier.weight_gradient(3),
                _ => copy_to_host(of_classifier.bias_gradient(3)),
            };
            assert!(distance(&own[&(4, what)], &gradient) < 1e-12, "{kind} {what}: it learns as the output does");
        }
    }
}

#[test]
fn target_propagation_with_fixed_decoders_is_that_with_trained_ones_at_the_same_step() {
    for &kind in Kind::ALL {
        let expected = gradients(&mut model::<f64>(Rule::Dtp, kind, ActivationFunction::Tanh, 4), Rule::Dtp);
        assert_eq!(gradients(&mut model::<f64>(Rule::Fwdtp, kind, ActivationFunction::Tanh, 4), Rule::Fwdtp), expected);
    }
}

#[test]
fn feedback_alignment_learns_otherwise_than_back_propagation_below_the_output() {
    let own = gradients(&mut model::<f64>(Rule::Fa, Kind::Dn, ActivationFunction::Tanh, 3), Rule::Fa);
    let propagated = gradients(&mut model::<f64>(Rule::Bp, Kind::Dn, ActivationFunction::Tanh, 3), Rule::Bp);
    assert_eq!(own[&(4, "weight")], propagated[&(4, "weight")], "the output layer learns the same");
    assert!(distance(&own[&(1, "weight")], &propagated[&(1, "weight")]) > 0.1, "a hidden layer does not");
}

#[test]
fn zero_feedback_moves_no_hidden_weight() {
    for &kind in Kind::ALL {
        let mut silent = model::<f64>(Rule::Fa, kind, ActivationFunction::Relu, 4);
        let output = silent.architecture.topology.output();
        for layer in 2..=output {
            fill(silent.group_mut(FEEDBACK).raw_weight_mut(0, layer), 0.0);
        }
        for ((layer, what), gradient) in gradients(&mut silent, Rule::Fa) {
            let moves = gradient.iter().any(|&number| number != 0.0);
            assert_eq!(moves, layer == output, "{kind} layer {layer} {what}");
        }
    }
}

/// Biases of zero have the slope 1 in tanh, so that the bias gradient of a layer is the sum of its signal.
#[test]
fn a_residual_network_with_zero_weights_passes_the_signal_unchanged() {
    for rule in [Rule::Bp, Rule::Fa] {
        let mut model = model::<f64>(rule, Kind::Residual, ActivationFunction::Tanh, 4);
        for layer in 1..=4 {
            fill(model.forward.raw_weight_mut(0, layer), 0.0);
            fill(model.forward.bias_mut(0, layer), 0.0);
            if rule == Rule::Fa && layer > 1 {
                fill(model.group_mut(FEEDBACK).raw_weight_mut(0, layer), 0.0);
            }
        }
        let gradients = gradients(&mut model, rule);
        let signal = &gradients[&(4, "bias")];
        assert!(signal.iter().any(|&number| number != 0.0), "{rule}");
        for layer in 1..4 {
            assert_eq!(&gradients[&(layer, "bias")], signal, "{rule} layer {layer}");
        }
    }
}

/// On a chain of rotations in the linear range of tanh, the transpose is the true inverse: targets carry the gradient.
#[test]
fn a_decoder_that_is_a_true_inverse_gives_the_direction_of_back_propagation() {
    let linear = |rule| {
        let mut model = model::<f64>(rule, Kind::Nn, ActivationFunction::Tanh, 3);
        (1..=4).for_each(|layer| fill(model.forward.bias_mut(0, layer), 0.0));
        scale(model.forward.raw_weight_mut(0, 1), 1e-4);
        scale(model.forward.raw_weight_mut(0, 4), 1e-2);
        for layer in 2..=3 {
            let rotation = rotation(12, layer);
            model.forward.set_weight(0, layer, &rotation);
            if rule == Rule::Dtp {
                let decoders = model.group_mut(DECODER);
                let inverse: Vec<f64> = (0..144).map(|place| rotation[place % 12 * 12 + place / 12]).collect();
                decoders.set_weight(0, layer, &inverse);
                fill(decoders.bias_mut(0, layer), 0.0);
            }
        }
        model
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

/// The networks without convolutions.
fn fully_connected() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| !kind.is_convolutional())
}

/// The gradients of predictive coding after this inference.
fn coded(kind: Kind, pc_solver: PcSolver, (inference_steps, inference_rate): (u32, f64)) -> Gradients {
    let mut model = model::<f64>(Rule::Pc, kind, ActivationFunction::Tanh, 3);
    let procedure = Procedure { pc_solver, inference_steps, ..Procedure::default() };
    let hyperparameters = Hyperparameters { inference_rate, ..Hyperparameters::default() };
    with_rule(&mut model, Rule::Pc, (procedure, &hyperparameters), None, |rule, step| rule.backward(step));
    forward_gradients(&model)
}

#[test]
fn one_step_of_errors_is_a_share_of_back_propagation_in_the_first_layer() {
    for kind in fully_connected() {
        let propagated = gradients(&mut model::<f64>(Rule::Bp, kind, ActivationFunction::Tanh, 3), Rule::Bp);
        let rate = 0.1;
        let coded_at = |rate: f64| coded(kind, PcSolver::Error, (1, rate));
        let scaled = |layer: usize, rate: f64| -> Vec<f64> {
            propagated[&(layer, "weight")].iter().map(|gradient| rate * gradient).collect()
        };
        let of_first = distance(&scaled(1, rate), &coded_at(rate)[&(1, "weight")]);
        assert!(of_first < 1e-12, "{kind}: {of_first}");
        // Above it, σ' and the inputs are those of states that have moved.
        let of_second = |rate: f64| distance(&scaled(2, rate), &coded_at(rate)[&(2, "weight")]);
        assert!(of_second(0.1) > 1e-4 && of_second(1e-6) < 1e-5, "{kind}: {} {}", of_second(0.1), of_second(1e-6));
    }
}

#[test]
fn both_solvers_of_predictive_coding_share_one_equilibrium() {
    for kind in fully_connected() {
        let by_states = coded(kind, PcSolver::State, (10_000, 0.1));
        let by_errors = coded(kind, PcSolver::Error, (10_000, 0.1));
        for (parameter, expected) in by_states {
            let distance = distance(&expected, &by_errors[&parameter]);
            assert!(distance < 1e-9, "{kind} {parameter:?}: {distance}");
        }
    }
}

/// A decoder that is the transposed derivative of what it inverts has the angle 0 to it, and its targets carry the gradient.
#[test]
fn a_decoder_of_the_output_that_is_transposed_weights_is_back_propagation_of_the_last_layer() {
    for rule in [Rule::Ldrl, Rule::Ddtp] {
        let mut model = model::<f64>(rule, Kind::Nn, ActivationFunction::Tanh, 1);
        let (weight, decoder) = (model.forward.weight(0, 2), if rule == Rule::Ldrl { 2 } else { 1 });
        let transposed: Vec<f64> =
            (0..12).flat_map(|unit| (0..10).map(move |class| class * 12 + unit)).map(|at| weight[at]).collect();
        model.group_mut(DECODER).set_weight(0, decoder, &transposed);
        let own = (Procedure::default(), &Hyperparameters::default());
        let angles = with_rule(&mut model, rule, own, None, |rule, step| rule.decoder_angles(step));
        assert!(matches!(angles[..], [(layer, angle)] if layer == decoder && angle < 1e-5), "{rule}: {angles:?}");
        let targeted = gradients(&mut model, rule);
        let propagated = gradients(&mut self::model::<f64>(Rule::Bp, Kind::Nn, ActivationFunction::Tanh, 1), Rule::Bp);
        // δ = 2 η times that of back-propagation.
        let expected: Vec<f64> = propagated[&(1, "weight")].iter().map(|gradient| 0.2 * gradient).collect();
        let distance = distance(&expected, &targeted[&(1, "weight")]);
        assert!(distance < 1e-12, "{rule}: {distance}");
    }
}

/// Far from the output, a target differs from its activation by less than the precision of float32.
#[test]
fn target_propagation_keeps_its_digits_in_single_precision_far_from_the_output() {
    let single = gradients(&mut model::<f32>(Rule::Dtp, Kind::Nn, ActivationFunction::Sigmoid, 9), Rule::Dtp);
    let double = gradients(&mut model::<f64>(Rule::Dtp, Kind::Nn, ActivationFunction::Sigmoid, 9), Rule::Dtp);
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
