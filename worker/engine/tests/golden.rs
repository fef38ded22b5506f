//! Golden curves: the first updates of every rule on every network, compared with recorded values.
//!
//! Learning curves are a promise. A change of the code that changes a curve has to raise `NUMERICS_VERSION` and to
//! record these files again:
//!
//! ```text
//! BIOSWEEP_GOLDEN=write cargo test --release --locked --workspace --test golden
//! ```
//!
//! Curves are equal to the last bit on processors of one class. A processor without a file is compared with the file of
//! another class, within a tolerance, because its libtorch sums in another order.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use biosweep_common::configuration::{
    Convolution, Hyperparameters, NUMERICS_VERSION, Procedure, Shape, Skip, StoppingRule,
};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::{ActivationFunction, Dataset, Network, Optimizer};
use biosweep_data::{self as data, Places};
use biosweep_engine::torch::device::Device;
use biosweep_engine::torch::environment;
use biosweep_engine::train::{Bundle, IncompatibleState, LaneJob, LaneOutcome, Observer, train};

/// The largest relative difference between the losses of two classes of processors.
const TOLERANCE: f64 = 1e-3;

/// An observer that lets a bundle train to its end.
struct ToTheEnd;

impl Observer for ToTheEnd {
    fn incompatible(&mut self, _: usize, why: &IncompatibleState) {
        panic!("{why}");
    }
}

/// The curve of each rule on each network; activations and optimisers alternate. One line is one point of a curve.
fn curves() -> Vec<(String, f64)> {
    Device::Cpu.prepare();
    let digits = data::load(&Dataset::SyntheticDigits.into(), &Places::default()).expect("embedded");
    let mut points = Vec::new();
    for (rule_index, &rule) in Rule::ALL.iter().enumerate() {
        for (network_index, &network) in Network::ALL.iter().enumerate().filter(|(_, network)| rule.trains(**network)) {
            // The first curves were of five networks. A later network leaves the turns of these as they are.
            let turn = 5 * rule_index + network_index;
            let activation = ActivationFunction::ALL[turn % ActivationFunction::ALL.len()];
            let optimizer = Optimizer::ALL[turn % Optimizer::ALL.len()];
            let shape = Shape {
                dataset: Dataset::SyntheticDigits.into(),
                network,
                rule,
                activation,
                depth: if network.is_convolutional() { 2 } else { 4 },
                hidden: 24,
                parameters_as: None,
                convolution: Convolution { channel_multiplier: 4, ..Convolution::default() },
                skip: Skip::default(),
                procedure: Procedure::default(),
                batch_size: 32,
                optimizer,
                eval_every: 9,
            };
            let hyperparameters = Hyperparameters { seed: 1, ..Hyperparameters::default() };
            let stopping_rules = vec![StoppingRule { max_updates: 18, early_stop: None }];
            let lanes = vec![LaneJob { hyperparameters, stopping_rules, resume: None }];
            let bundle = Bundle { shape, lanes, measures: Vec::new() };
            let outcomes = train(&bundle, &digits, &mut ToTheEnd).expect("the bundle trains");
            let LaneOutcome::Completed { curve, .. } = &outcomes[0] else { panic!("{rule} {network}: {outcomes:?}") };
            for point in curve {
                let name = format!("{rule},{network},{activation},{optimizer},{}", point.update);
                points.push((name, point.train_loss));
            }
        }
    }
    points
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden"].iter().collect()
}

/// The file for this class of processors.
fn own_file() -> PathBuf {
    let environment = environment::current();
    let class = format!("{} {}", environment.processor, environment.instructions);
    let words = class.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    folder().join(words.collect::<Vec<_>>().join("-").to_lowercase()).with_extension("csv")
}

fn header() -> String {
    format!("# numerics version {NUMERICS_VERSION}\nrule,network,activation,optimizer,update,train_loss\n")
}

#[test]
fn every_rule_on_every_network_learns_as_before() {
    let (points, own) = (curves(), own_file());
    if env::var("BIOSWEEP_GOLDEN").is_ok_and(|wanted| wanted == "write") {
        let mut text = header();
        for (name, loss) in points {
            writeln!(text, "{name},{loss}").expect("a string takes all");
        }
        fs::create_dir_all(folder()).expect("a folder");
        fs::write(&own, text).expect("the file is written");
        return;
    }
    let files = fs::read_dir(folder()).expect("the folder of golden curves");
    let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let exactly = files.contains(&own);
    let file = if exactly { &own } else { files.first().expect("a file of golden curves") };
    let text = fs::read_to_string(file).expect("a file of golden curves");
    let file = file.display();
    let before = text.strip_prefix(&header()).unwrap_or_else(|| panic!("{file} is of another numerics version"));
    assert_eq!(before.lines().count(), points.len(), "{file} has another number of points");
    if !exactly {
        eprintln!("no golden curves of this class of processors: compared with {file}, to a tolerance of {TOLERANCE}");
    }
    for ((name, loss), line) in points.iter().zip(before.lines()) {
        let was = line.strip_prefix(&format!("{name},")).unwrap_or_else(|| panic!("{file}: `{line}` is not {name}"));
        let was: f64 = was.parse().unwrap_or_else(|error| panic!("{file}: `{line}`: {error}"));
        let same = if exactly { loss.to_bits() == was.to_bits() } else { (loss - was).abs() <= TOLERANCE * was.abs() };
        assert!(same, "{name}: the loss is {loss} and was {was} ({file})");
    }
}
