//! The meaning of specs, and their errors.

mod analysis_plan;
mod any_text;
mod document;
mod errors;

use super::*;
use crate::settings::{Setting, Value};
use crate::vocabulary::diagnostics::Measure;
use crate::vocabulary::ids::TrialIndex;

const GOOD: &str = r#"name = "good"
[data]
dataset = "mnist"
[grid]
rule = ["bp", "dtp"]
network = "nn"
depth = { from = 2, to = 3 }
"#;

fn toml(text: &str) -> Result<SweepSpec, SpecErrors> {
    SweepSpec::parse(text, Format::Toml, "spec.toml")
}

fn good(text: &str) -> SweepSpec {
    toml(text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The errors in the good spec with these lines added to its [grid].
fn errors(lines: &str) -> Vec<String> {
    let errors = toml(&format!("{GOOD}{lines}")).expect_err("an error");
    errors.errors.iter().map(|e| format!("{}:{}: {}: {}; {}", e.line, e.column, e.place, e.message, e.help)).collect()
}

/// The only error in it.
fn error(lines: &str) -> String {
    let errors = errors(lines);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

#[test]
fn a_spec_is_the_product_of_its_axes_with_defaults_for_the_rest() {
    let spec = good(GOOD);
    assert_eq!((spec.name.as_str(), spec.execution.retries_max, spec.grid.trials()), ("good", 2, 4));
    let last = spec.grid.point(TrialIndex(3)).expect("in the grid");
    assert_eq!(last[&Setting::Rule], Value::Name("dtp".into()));
    assert_eq!(last[&Setting::Depth], Value::Integer(3));
    assert_eq!(last[&Setting::LearningRate], Value::Real(1e-3), "the default");
    assert!(!last.contains_key(&Setting::EarlyStopStart), "no early stopping by default");
}

#[test]
fn a_block_overrides_common_settings() {
    let spec = good(&format!("{GOOD}[[block]]\ndepth = 7\nlearning_rate = [1, 0.5]\n[[block]]\nseed = 4\n"));
    assert_eq!(spec.grid.trials(), 4 + 4);
    let depth = |trial| spec.grid.configuration(TrialIndex(trial)).expect("in the grid").shape.depth;
    assert_eq!((depth(0), depth(4)), (7, 2));
}

#[test]
fn the_same_sweep_in_three_formats_has_one_digest() {
    let yaml =
        "grid:\n  depth: {to: 3, from: 2}\n  network: nn\n  rule: [bp, dtp]\ndata: {dataset: mnist}\nname: good\n";
    let json = r#"{"name": "good", "data": {"dataset": "mnist"},
        "grid": {"rule": ["bp", "dtp"], "network": "nn", "depth": {"from": 2, "to": 3}}}"#;
    let digest = good(GOOD).digest();
    for (text, format) in [(yaml, Format::Yaml), (json, Format::Json)] {
        let spec = SweepSpec::parse(text, format, "spec").unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(spec.digest(), digest, "{format:?}");
    }
    assert_ne!(good(&GOOD.replace("to = 3", "to = 4")).digest(), digest);
    assert_ne!(good(&GOOD.replace("good", "better")).digest(), digest);
}

#[test]
fn a_logarithmic_range_has_exact_powers_of_ten() {
    let spec = good(&format!("{GOOD}learning_rate = {{ log_from = 1e-1, log_to = 1e-5, count = 5 }}\n"));
    let rates = spec.grid.blocks()[0].values(Setting::LearningRate).expect("an axis");
    assert_eq!(rates, [1e-1, 1e-2, 1e-3, 1e-4, 1e-5].map(Value::Real));
}

#[test]
fn an_error_about_an_unknown_key_suggests_the_most_similar_one() {
    assert_eq!(
        error("learningrate = 1e-3\n"),
        "8:1: grid.learningrate: unknown setting `learningrate`; did you mean `learning_rate`?"
    );
    let errors = toml(&format!("retrys = 3\n{GOOD}")).expect_err("an error");
    assert!(errors.to_string().contains("unknown key `retrys`; did you mean `retries`?"), "{errors}");
    let errors = toml(&format!("hidden = 3\n{GOOD}")).expect_err("an error");
    assert!(errors.to_string().contains("is outside every table; move it under [train]"), "{errors}");
}

#[test]
fn an_error_about_an_unknown_name_suggests_the_most_similar_one() {
    let errors = toml(&GOOD.replace("\"nn\"", "\"nnn\"")).expect_err("an error").to_string();
    assert!(
        errors.contains("`network` cannot be the text \"nnn\"; did you mean `nn`? it takes one of nn, dn"),
        "{errors}"
    );
}

#[test]
fn a_convolutional_setting_on_a_fully_connected_network_is_refused() {
    let error = error("channel_multiplier = 16\n");
    let expected =
        "`channel_multiplier` affects no trial here: it applies to the convolutional networks (convnet, dense_convnet)";
    assert!(error.starts_with("8:22") && error.contains(expected), "{error}");
}

#[test]
fn a_constant_must_affect_some_trial_and_an_axis_every_trial() {
    good(&format!("{GOOD}target_step = 0.2\n"));
    assert!(error("momentum = 0.9\n").contains("it applies to the optimizer sgd"));
    assert!(error("early_stop_patience = 3\n").contains("it applies to trials with an early_stop_start"));
    let error = error("target_step = [0.1, 0.2]\n");
    assert!(error.contains("no effect on some trials") && error.contains("separate block"), "{error}");
}

#[test]
fn a_common_constant_need_not_affect_every_block() {
    good(&format!("{GOOD}noise_std = 0.2\n[[block]]\nrule = \"bp\"\n[[block]]\nrule = \"dtp\"\n"));
}

#[test]
fn an_error_names_missing_settings() {
    let errors = toml("name = \"x\"\n[grid]\nrule = \"bp\"\n").expect_err("an error").to_string();
    assert!(errors.contains("`dataset`, `network`, `depth` are missing"), "{errors}");
    let errors = toml("[data]\n").expect_err("an error").to_string();
    assert!(errors.contains("the sweep has no name; add a line such as name = \"my-sweep\""), "{errors}");
    assert!(toml("").is_err());
}

#[test]
fn common_points_of_two_blocks_are_refused_with_an_example() {
    let blocks = "[[block]]\nseed = [0, 1]\n[[block]]\nrule = \"bp\"\nlearning_rate = [1e-3, 1e-2]\n";
    let error = error(blocks);
    assert!(error.contains("block[1] and block[0] share trials, such as"), "{error}");
    assert!(error.contains("rule = bp"), "{error}");
    good(&format!("{GOOD}{}", blocks.replace("[0, 1]", "[1, 2]")));
}

#[test]
fn points_that_differ_in_a_setting_that_does_not_apply_are_equal() {
    let blocks = "[[block]]\ntarget_step = 0.5\n[[block]]\nrule = \"bp\"\n";
    assert!(error(blocks).contains("share trials"), "target_step does not apply to bp");
    good(&format!("{GOOD}[[block]]\ntarget_step = 0.5\n[[block]]\nrule = \"dtp\"\n"));
}

#[test]
fn two_long_ranges_are_compared_without_enumeration() {
    let long = |from: u64| format!("[[block]]\nseed = {{ from = {from}, count = 1_000_000_000 }}\n");
    let overlapping = format!("{}{}", long(0), long(999_999_999));
    assert!(error(&overlapping).contains("seed = 999999999"));
    assert_eq!(good(&format!("{GOOD}{}{}", long(0), long(1_000_000_000))).grid.trials(), 8_000_000_000);
}

#[test]
fn all_errors_are_reported_together_in_the_order_of_the_text() {
    let text = "name = \"\"\n[grid]\nrule = \"backprop\"\nnetwork = \"nn\"\ndepth = 0\nlearning_rate = -1\n";
    let errors = toml(text).expect_err("errors");
    assert_eq!(errors.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 2, 3, 5, 6], "{errors}");
}

#[test]
fn a_digest_does_not_depend_on_the_notation() {
    let digest = good(GOOD).digest();
    for (from, to) in [
        ("{ from = 2, to = 3 }", "[2, 3]"),
        ("{ from = 2, to = 3 }", "{ from = 2, count = 2 }"),
        ("network = \"nn\"", "network = [\"nn\"]\nbatch_size = 128\nlearning_rate = 0.001"),
        ("[grid]", "[[block]]"),
        ("name = \"good\"", "seed = 0\nretries = 2\nname = \"good\""),
    ] {
        assert_eq!(good(&GOOD.replace(from, to)).digest(), digest, "{to}");
    }
    for (from, to) in
        [("to = 3", "to = 4"), ("good", "better"), ("[grid]", "[grid]\nseed = 1"), ("bp\", \"dtp", "dtp\", \"bp")]
    {
        assert_ne!(good(&GOOD.replace(from, to)).digest(), digest, "{to}");
    }
    let excluded = good(&format!("{GOOD}exclude = [{{ rule = \"bp\", depth = 3 }}]\n")).digest();
    assert_ne!(excluded, digest);
    // The setting does not apply to bp, so it makes no difference whether the block of bp sets it.
    let blocks = |grid: &str, dtp: &str| {
        good(&format!("{GOOD}{grid}[[block]]\nrule = \"bp\"\n[[block]]\nrule = \"dtp\"\n{dtp}")).digest()
    };
    assert_eq!(blocks("target_step = 0.3\n", ""), blocks("", "target_step = 0.3\n"));
}

#[test]
fn measures_are_at_the_top_or_under_train_and_change_the_digest_but_no_key() {
    let plain = good(GOOD);
    let train = good(&format!("{GOOD}[train]\nmeasure = [\"weight_norm\", \"reconstruction_error\"]"));
    let top = good(&format!("measure = [\"reconstruction_error\", \"weight_norm\"]\n{GOOD}"));
    assert_eq!(train.measures, [Measure::ReconstructionError, Measure::WeightNorm]);
    assert_eq!((&top.measures, top.digest()), (&train.measures, train.digest()));
    assert_ne!(train.digest(), plain.digest());
    let key = |spec: &SweepSpec| spec.grid.configuration(TrialIndex(1)).expect("a trial").key();
    assert_eq!(key(&train), key(&plain));
}

#[test]
fn an_error_in_a_common_setting_is_reported_once() {
    let blocks = "[[block]]\nseed = 1\n[[block]]\nseed = 2\n";
    assert_eq!(errors(&format!("learning_rate = [0.1, 0.1]\n{blocks}")).len(), 1);
    assert_eq!(
        errors(&format!(
            "learning_rate = [0.1, 0.2]\nfold = [1, 2, 3]\nzip = [[\"learning_rate\", \"fold\"]]\n{blocks}"
        ))
        .len(),
        1
    );
}

#[test]
fn ranges_with_different_steps_are_compared_without_enumeration() {
    let long = |from: u64, step: u64| {
        format!("[[block]]\nseed = {{ from = {from}, to = 4_000_000_000_000, step = {step} }}\n")
    };
    good(&format!("{GOOD}{}{}", long(0, 2), long(1, 4)));
    assert!(error(&format!("{}{}", long(0, 2), long(1, 3))).contains("seed = 4;"));
}

#[test]
fn values_of_a_long_range_are_excluded_without_enumeration() {
    let spec = good(&format!(
        "{GOOD}seed = {{ from = 0, count = 1_000_000_000_000 }}\n\
         exclude = [{{ rule = \"bp\", seed = {{ from = 10, count = 1_000_000_000 }} }}]\n"
    ));
    assert_eq!(spec.grid.trials(), 4_000_000_000_000 - 2 * 1_000_000_000);
}

#[test]
fn excluding_by_stopping_rule_does_not_split_a_trajectory() {
    let grid = good(&format!(
        "{GOOD}early_stop_start = [1, 2]\nmax_updates = [10, 20]\n\
         exclude = [{{ early_stop_start = 2, max_updates = 10 }}]\n"
    ))
    .grid;
    assert_eq!((grid.trials(), grid.trajectories()), (12, 4));
}

#[test]
fn a_format_is_found_by_name_and_by_file_extension() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
        assert_eq!(Format::from_path(Path::new(&format!("a/b.{}", format.name()))), Some(format));
    }
    assert_eq!(Format::from_path(Path::new("SPEC.YML")), Some(Format::Yaml));
    assert_eq!(Format::from_path(Path::new("toml")), None);
}

#[test]
fn a_text_without_a_file_name_is_read_in_the_format_in_which_it_is_valid() {
    for (text, format) in [
        (GOOD, Format::Toml),
        ("# a comment\nname: x\ngrid:\n  depth: 1\n", Format::Yaml),
        ("{name: x, grid: {depth: 1}}\n", Format::Yaml),
        ("{\"name\": \"x\"}", Format::Json),
        ("\u{feff}{\"name\": \"x\"}", Format::Json),
        // An invalid text is read in the most similar format.
        ("name = \"x\"\n[grid\n", Format::Toml),
        ("name: x\ngrid: [\n", Format::Yaml),
        ("{\"name\": ]}", Format::Json),
    ] {
        assert_eq!(Format::of_text(text), format, "{text}");
    }
}

#[test]
fn another_block_may_have_points_that_a_zip_excludes() {
    let zip = "depth = [1, 2, 3]\nseed = { from = 4, count = 3 }\nzip = [[\"depth\", \"seed\"]]\n";
    let blocks = |exclude: &str, depth: u64| {
        let text = format!("[[block]]\n{zip}{exclude}[[block]]\ndepth = {depth}\nseed = 5\n");
        toml(&format!("{GOOD}{text}")).map(|spec| spec.grid.trials())
    };
    assert_eq!(blocks("exclude = [{ depth = 2 }]\n", 2), Ok(4 + 2));
    assert_eq!(blocks("exclude = [{ depth = 2 }]\n", 1), Ok(4 + 2), "the zip has no depth 1 with seed 5");
    assert!(blocks("exclude = [{ depth = 1 }]\n", 2).is_err());
}

#[test]
fn trials_with_and_without_early_stopping_are_different() {
    let (with, without) = ("[[block]]\nearly_stop_start = 100\n", "[[block]]\nfold = 0\n");
    assert_eq!(good(&format!("{GOOD}{with}{without}")).grid.trials(), 8);
    assert_eq!(good(&format!("{GOOD}{without}{with}")).grid.trials(), 8);
    assert!(error(&format!("{with}{with}")).contains("share trials"));
}

#[test]
fn a_spec_with_too_many_blocks_or_exclusions_is_refused_before_they_are_compared() {
    let blocks = |count: usize, grid: &str| {
        let each: String = (0..count).map(|seed| format!("[[block]]\nseed = {seed}\n")).collect();
        toml(&format!("{}{grid}{each}", GOOD.replace(", \"dtp\"", ""))).map(|spec| spec.grid.blocks().len())
    };
    let error = |found: Result<usize, SpecErrors>| found.expect_err("an error").to_string();
    assert_eq!(blocks(1_000, ""), Ok(1_000));
    assert!(error(blocks(2_001, "")).contains("2001 blocks are too many"));
    // Squares: a list of neighbours is read as a range.
    let list: Vec<String> = (1..=10_000_u64).map(|root| (root * root).to_string()).collect();
    let long = format!("max_updates = [{}]\n", list.join(", "));
    assert!(error(blocks(101, &long)).contains("the lists under [grid] are too long for so many"));
    let one = |seed: u64| format!("{{ rule = \"bp\", seed = {seed} }}");
    let excluding = |seeds: u64| {
        let each: Vec<String> = (0..seeds).map(|seed| one(2 * seed)).collect();
        let seed = "seed = { from = 0, count = 1_000_000 }";
        toml(&format!("{GOOD}{seed}\nexclude = [{}]\n", each.join(", "))).map(|spec| spec.grid.blocks().len())
    };
    assert!(excluding(50).is_ok());
    assert!(error(excluding(1_001)).contains("has more than 1000 exclusions"));
}

#[test]
fn lists_that_are_too_long_to_be_compared_are_refused() {
    let list = |block: u64| (0..10_000).map(|root| (root * root + block).to_string()).collect::<Vec<_>>().join(", ");
    let blocks: String = (0..30).map(|block| format!("[[block]]\nseed = [{}]\n", list(block))).collect();
    let error = toml(&format!("{GOOD}{blocks}")).expect_err("an error").to_string();
    assert!(error.contains("too many, or their lists too long, to be checked for common trials"), "{error}");
}
