//! Specs that differ in one thing each, and what the methods then say.

use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::settings::Value;
use biosweep_common::spec::{AnalysisPlan, Format, SweepSpec};

use super::{Source, methods};
use crate::aggregate;
use crate::compare;
use crate::replicates::Divergence;
use crate::report::design::Design;
use crate::report::record::Record;
use crate::samples::{completed, ended, with};

const BASE: &str = "name = \"s\"\n[data]\ndataset = \"mnist\"\n[grid]\nnetwork = \"nn\"\nrule = \"bp\"\ndepth = 5\n";

/// The methods of the base spec with other lines under `grid`; a line for a setting of the base replaces it.
fn of_spec(lines: &str) -> String {
    let replaced = |line: &&str| {
        let name = line.split(" = ").next().unwrap_or_default();
        !lines.lines().any(|other| other.split(" = ").next() == Some(name))
    };
    let base: Vec<&str> = BASE.lines().filter(replaced).collect();
    of_text(&format!("{}\n{lines}", base.join("\n")), &[])
}

fn of_text(text: &str, results: &[ResultView]) -> String {
    let spec = SweepSpec::parse(text, Format::Toml, "s").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    written(&Design::of_grid(&spec.grid), results)
}

fn of_results(results: &[ResultView]) -> String {
    let mut record = Record::default();
    results.iter().for_each(|result| record.add(result).expect("known counts"));
    written(&Design::of_results(&record), results)
}

fn written(design: &Design, results: &[ResultView]) -> String {
    let mut record = Record::default();
    results.iter().for_each(|result| record.add(result).expect("known counts"));
    let cells = aggregate::cells(record.replicates(), Divergence::Guess);
    let plan = AnalysisPlan { equivalence_margin: 0.02, contrasts: Vec::new() };
    let comparison = compare::verdicts(record.replicates(), &plan);
    let verdicts = comparison.main();
    let source =
        Source { design, record: &record, cells: &cells, verdicts: &verdicts, are_planned: false, version: "7.8.9" };
    methods(&source).iter().map(|one| format!("{}. {}\n", one.topic, one.text)).collect()
}

#[test]
fn every_setting_of_a_spec_changes_the_methods() {
    let plain = of_spec("");
    for (lines, expected) in [
        (
            "dataset = \"cifar-10\"",
            "The dataset is cifar-10, with 40,000 images for training, 10,000 for validation and 10,000 for the test, in 10 \
             classes.",
        ),
        ("dataset = [\"mnist\", \"kmnist\"]", "The datasets are mnist, with 50,000 images"),
        ("network = \"dn\"", "The network dn is fully connected; each layer reads all hidden layers before it."),
        ("network = \"dn\"\nskip_input = true", "Each layer of dn also reads the input."),
        ("network = \"lognormal\"", "a random choice of earlier hidden layers"),
        ("network = \"lognormal\"\nskip_density = 0.5", "(skip_density) is 0.5."),
        (
            "network = \"lognormal\"\nskip_decay = 2.0",
            "The σ of the log-normal decay of skip connections with distance (skip_decay) is 2.",
        ),
        ("network = \"lognormal\"\nskip_seed = 3", "(skip_seed) is 3."),
        ("network = \"convnet\"", "The network convnet is convolutional; each layer reads the layer before it."),
        (
            "network = \"dense_convnet\"",
            "The network dense_convnet is convolutional; each layer reads all hidden layers",
        ),
        ("network = \"convnet\"\nchannel_multiplier = 4", "Convolutional layer l has l times 4 channels"),
        ("network = \"convnet\"\ndownsample_after = [[1]]", "halved after these convolutional layers: 1."),
        ("depth = 1", "The number of hidden layers is 1."),
        ("depth = { from = 5, to = 10 }", "The number of hidden layers is 5 to 10."),
        ("hidden = 64", "A fully connected hidden layer has 64 units."),
        ("parameters_as = \"dn\"", "nearest to that of dn with these units."),
        ("activation = [\"relu\", \"tanh\"]", "The activation function of hidden layers is relu or tanh."),
        (
            "rule = \"fa\"",
            "fa is feedback alignment (Lillicrap et al. 2016): errors return through fixed random weights.",
        ),
        (
            "rule = \"dtp\"\ntarget_step = 0.2",
            "The step size from the output layer's activations to its target (target_step) is 0.2.",
        ),
        ("rule = \"dtp\"\nnoise_std = 0.3", "(noise_std) is 0.3."),
        (
            "rule = \"dtp\"\ndecoder_learning_rate = 0.01",
            "The step size of the decoders (decoder_learning_rate) is 0.01.",
        ),
        (
            "rule = \"fa\"\nfeedback_alignment = 0.5",
            "The correlation of first feedback weights with first forward weights (feedback_alignment) is 0.5.",
        ),
        ("rule = \"dfa\"\nfeedback_scale = 2", "(feedback_scale) is 2."),
        ("optimizer = \"sgd\"", "Weights are trained by stochastic gradient descent (sgd) on batches of 128 images."),
        ("optimizer = \"adamw\"", "decoupled weight decay (Loshchilov and Hutter 2019)"),
        ("optimizer = \"rmsprop\"", "RMSprop (Tieleman and Hinton 2012)"),
        ("optimizer = [\"adam\", \"sgd\"]", "Weights are trained by adam or sgd: Adam (Kingma and Ba 2015)"),
        ("optimizer = \"sgd\"\nmomentum = 0.9", "The momentum is 0.9."),
        ("optimizer = \"sgd\"\nmomentum = 0.9\nnesterov = true", "The momentum is Nesterov's (1983)."),
        ("batch_size = 64", "on batches of 64 images"),
        ("learning_rate = 0.5", "The learning rate is 0.5."),
        ("learning_rate = [0.1, 0.01]", "The learning rate is 0.1 or 0.01."),
        ("weight_decay = 0", "The weight decay (L2) is 0. "),
        ("eval_every = 100", "Networks are evaluated every 100 updates and at the end."),
        ("max_updates = 391", "Training ends after 391 updates (about 1 epoch)."),
        ("max_updates = 39_063", "Training ends after 39,063 updates (about 100 epochs)."),
        (
            "early_stop_start = 2_000\nearly_stop_patience = 4",
            "from update 2,000 on, when the validation accuracy has not \
          improved for 4 evaluations.",
        ),
        ("fold = { from = 0, count = 8 }", "The folds are 0 to 7, and the seed is 0."),
        ("seed = [11, 12]", "The fold is 0, and the seeds are 11 and 12."),
    ] {
        let text = of_spec(lines);
        assert!(text.contains(expected), "{lines}\n{expected}\n{text}");
        assert!(!plain.contains(expected), "it does not depend on the spec: {expected}");
    }
    assert!(plain.contains("There is no early stopping.") && plain.contains("(about 10 epochs)"), "{plain}");
    assert!(plain.contains("Weights are trained by Adam (Kingma and Ba 2015)"), "{plain}");
}

#[test]
fn settings_that_apply_to_no_trial_are_not_mentioned() {
    let plain = of_spec("");
    for absent in ["omentum", "target_step", "skip_", "Convolutional", "None", "patience"] {
        assert!(!plain.contains(absent), "{absent}: {plain}");
    }
}

#[test]
fn what_differs_between_blocks_names_them() {
    let text = "name = \"s\"\n[data]\ndataset = \"mnist\"\n[grid]\nnetwork = [\"nn\", \"dn\"]\n\
                [[block]]\nrule = [\"bp\", \"fa\"]\nactivation = \"relu\"\ndepth = 5\nlearning_rate = [0.1, 0.01]\n\
                [[block]]\nrule = \"fa\"\nactivation = \"sigmoid\"\ndepth = 3\nlearning_rate = 0.5\n";
    let methods = of_text(text, &[]);
    let expected = "The learning rate is 0.1 or 0.01 (for bp or fa with relu); 0.5 (for fa with sigmoid).";
    assert!(methods.contains(expected), "{methods}");
    assert!(methods.contains("The activation function of hidden layers is relu or sigmoid."), "{methods}");
}

#[test]
fn a_long_axis_is_described_and_not_listed() {
    let methods = of_spec("seed = { from = 0, to = 1_000_000_000, step = 2 }");
    assert!(methods.contains("the seeds are 0, 2, 4, …, 1000000000 (500,000,001 values)."), "{methods}");
    assert!(methods.len() < 3_000);
}

#[test]
fn selection_is_described_only_if_there_is_a_choice() {
    let chosen = of_spec("learning_rate = [0.1, 0.01]");
    assert!(chosen.contains("learning_rate has the value with the best mean validation accuracy"), "{chosen}");
    assert!(chosen.contains("The test accuracy never selects.") && !chosen.contains("Nothing is selected"), "{chosen}");
    let two = of_spec("learning_rate = [0.1, 0.01]\nweight_decay = [0, 1e-4]");
    assert!(two.contains("learning_rate and weight_decay have the values"), "{two}");
    assert!(of_spec("fold = [0, 1]\ndepth = [5, 6]").contains("Nothing is selected"));
}

#[test]
fn statistics_follow_from_the_replicates() {
    let of = |setting: &str, count: u64| -> Vec<ResultView> {
        (0..count).map(|index| with(completed("bp", "nn", 5, 0.9, 0.9), &[(setting, Value::Integer(index))])).collect()
    };
    assert!(of_results(&of("fold", 1)).contains("Each accuracy is that of one replicate, so there are no intervals."));
    assert!(of_results(&of("fold", 4)).contains("A mean is over 4 folds, each the mean of its seeds."));
    let seeds = of_results(&of("seed", 3));
    assert!(
        seeds.contains("A mean is over 3 seeds of one fold, so nothing follows for other training images."),
        "{seeds}"
    );
    assert!(seeds.contains("an accuracy of 1/10"), "{seeds}");
    assert!(of_results(&[ended("bp", "nn", 5, TrialStatus::Failed)]).contains("no trial has an accuracy"));
}

#[test]
fn tests_are_described_only_if_there_are_verdicts() {
    let at = |network, depth| completed("bp", network, depth, 0.9, 0.9);
    let slopes = of_results(&[at("nn", 5), at("dn", 5), at("nn", 6), at("dn", 6)]);
    assert!(slopes.contains("compared by the slope of test accuracy on depth"), "{slopes}");
    assert!(of_results(&[at("nn", 5), at("dn", 5)]).contains("compared by test accuracy"));
    assert!(!of_results(&[at("nn", 5)]).contains("sign-flip"));
}

#[test]
fn versions_and_machines_are_named() {
    let result = completed("bp", "nn", 5, 0.9, 0.9);
    let methods = of_results(std::slice::from_ref(&result));
    assert!(
        methods.contains("All trials were trained on cpu (A Processor) with avx2 instructions and libtorch 2.11.0.")
    );
    assert!(methods.contains("biosweep 7.8.9") && methods.contains("another numerics version"), "{methods}");
    let unknown = with(ResultView { environment: None, ..result }, &[("fold", Value::Integer(1))]);
    let methods = of_results(&[completed("bp", "nn", 5, 0.9, 0.9), unknown]);
    assert!(methods.contains("1 trial on a machine that is not known; 1 trial on cpu"), "{methods}");
}
