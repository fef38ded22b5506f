//! What specs mean, and what is said of mistaken ones.

use super::*;
use crate::ids::TrialIndex;
use crate::settings::{Setting, Value};

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

/// The mistakes in the good spec with these lines added to its [grid].
fn mistakes(lines: &str) -> Vec<String> {
    let errors = toml(&format!("{GOOD}{lines}")).expect_err("a mistake");
    errors.errors.iter().map(|e| format!("{}:{}: {}: {}; {}", e.line, e.column, e.place, e.message, e.help)).collect()
}

/// The one mistake in it.
fn mistake(lines: &str) -> String {
    let mistakes = mistakes(lines);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    mistakes[0].clone()
}

/// The one mistake in the good spec with its depth given otherwise.
fn depth_mistake(depth: &str) -> String {
    let text = GOOD.replace("{ from = 2, to = 3 }", depth);
    let errors = toml(&text).expect_err("a mistake");
    assert_eq!(errors.errors.len(), 1, "{errors}");
    errors.to_string()
}

#[test]
fn a_spec_is_the_product_of_its_axes_with_defaults_for_the_rest() {
    let spec = good(GOOD);
    assert_eq!((spec.name.as_str(), spec.retries_max, spec.grid.trials()), ("good", 2, 4));
    let last = spec.grid.point(TrialIndex(3)).expect("in the grid");
    assert_eq!(last[&Setting::Rule], Value::Name("dtp".to_owned()));
    assert_eq!(last[&Setting::Depth], Value::Integer(3));
    assert_eq!(last[&Setting::LearningRate], Value::Real(1e-3), "its default");
    assert!(!last.contains_key(&Setting::EarlyStopStart), "no early stopping unless it is asked for");
}

#[test]
fn a_block_overrides_what_is_common() {
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
fn a_logarithmic_range_comes_out_as_it_would_be_written() {
    let spec = good(&format!("{GOOD}learning_rate = {{ log_from = 1e-1, log_to = 1e-5, count = 5 }}\n"));
    let rates = spec.grid.blocks()[0].values(Setting::LearningRate).expect("an axis");
    assert_eq!(rates, [1e-1, 1e-2, 1e-3, 1e-4, 1e-5].map(Value::Real));
}

#[test]
fn an_unknown_key_is_told_the_nearest_known_one() {
    assert_eq!(
        mistake("learningrate = 1e-3\n"),
        "8:1: grid.learningrate: unknown setting `learningrate`; did you mean `learning_rate`?"
    );
    let errors = toml(&format!("retrys = 3\n{GOOD}")).expect_err("a mistake");
    assert!(errors.to_string().contains("unknown key `retrys`; did you mean `retries`?"), "{errors}");
    let errors = toml(&format!("hidden = 3\n{GOOD}")).expect_err("a mistake");
    assert!(errors.to_string().contains("stands outside every table; move it under [train]"), "{errors}");
}

#[test]
fn an_unknown_name_is_told_the_nearest_known_one() {
    let errors = toml(&GOOD.replace("\"nn\"", "\"nnn\"")).expect_err("a mistake").to_string();
    assert!(
        errors.contains("`network` cannot be the text \"nnn\"; did you mean `nn`? it takes one of nn, dn"),
        "{errors}"
    );
}

#[test]
fn values_outside_their_domain_are_refused() {
    for (lines, said) in [
        ("learning_rate = 0\n", "`learning_rate` cannot be the whole number 0; it takes a finite number above 0"),
        ("learning_rate = -1e-3\n", "cannot be the number -0.001"),
        ("learning_rate = nan\n", "cannot be the number NaN"),
        ("learning_rate = inf\n", "cannot be the number inf"),
        ("learning_rate = \"fast\"\n", "cannot be the text \"fast\"; it takes a finite number above 0"),
        ("fold = 10\n", "`fold` cannot be the whole number 10; it takes a whole number from 0 to 9"),
        ("batch_size = 12.5\n", "cannot be the number 12.5; it takes a whole number from 1 to 65536"),
        ("batch_size = true\n", "cannot be true"),
        ("seed = -1\n", "cannot be the whole number -1"),
    ] {
        let mistake = mistake(lines);
        assert!(mistake.contains(said) && mistake.starts_with("8:"), "{mistake}");
    }
    assert!(depth_mistake("0").contains("7:9: grid.depth: `depth` cannot be the whole number 0"));
    assert!(depth_mistake("[1, 0]").contains("7:13: grid.depth[1]: `depth` cannot be the whole number 0"));
}

#[test]
fn impossible_axes_are_refused() {
    for (depth, said) in [
        ("[]", "the axis `depth` is empty"),
        ("[2, 3, 2]", "the value 2 stands here twice"),
        ("{ from = 3, to = 2 }", "the range ends at 2, before its start 3; write { from = 2, to = 3 } or a list"),
        ("{ from = 2, to = 3, step = 0 }", "the step of a range cannot be the whole number 0"),
        ("{ from = 2, count = 0 }", "the count of a range cannot be the whole number 0"),
        ("{ from = 2, count = 5000 }", "a count of 5000 from 2 goes beyond what `depth` can be"),
        ("{ from = 2, until = 3 }", "unknown part of a range `until`"),
        ("{ from = 2 }", "is given a table that is no range"),
        ("{ log_from = 1, log_to = 8, count = 4 }", "`depth` takes no logarithmic range"),
    ] {
        let mistake = depth_mistake(depth);
        assert!(mistake.contains(said), "{depth}: {mistake}");
    }
    let mistake = mistake("learning_rate = { log_from = 0, log_to = 1, count = 3 }\n");
    assert!(mistake.contains("`learning_rate` cannot be the whole number 0"), "{mistake}");
}

#[test]
fn a_convolutional_setting_on_a_fully_connected_network_is_refused() {
    let mistake = mistake("channel_multiplier = 16\n");
    let said =
        "`channel_multiplier` is of no use here: it belongs to convolutional networks; nn and dn are fully connected";
    assert!(mistake.starts_with("8:22") && mistake.contains(said), "{mistake}");
}

#[test]
fn a_constant_has_to_be_of_use_somewhere_and_an_axis_everywhere() {
    good(&format!("{GOOD}target_step = 0.2\n"));
    assert!(mistake("momentum = 0.9\n").contains("it belongs to the optimizer sgd"));
    assert!(mistake("early_stop_patience = 3\n").contains("it belongs to trials with an early_stop_start"));
    let mistake = mistake("target_step = [0.1, 0.2]\n");
    assert!(mistake.contains("says nothing for some trials") && mistake.contains("a block of their own"), "{mistake}");
}

#[test]
fn a_common_constant_need_not_be_of_use_to_every_block() {
    good(&format!("{GOOD}noise_std = 0.2\n[[block]]\nrule = \"bp\"\n[[block]]\nrule = \"dtp\"\n"));
}

#[test]
fn what_is_missing_is_named() {
    let errors = toml("name = \"x\"\n[grid]\nrule = \"bp\"\n").expect_err("a mistake").to_string();
    assert!(errors.contains("`dataset`, `network`, `depth` are not named"), "{errors}");
    let errors = toml("[data]\n").expect_err("a mistake").to_string();
    assert!(errors.contains("the sweep has no name; add a line such as name = \"my-sweep\""), "{errors}");
    assert!(toml("").is_err());
}

#[test]
fn points_of_two_blocks_are_refused_with_an_example() {
    let blocks = "[[block]]\nseed = [0, 1]\n[[block]]\nrule = \"bp\"\nlearning_rate = [1e-3, 1e-2]\n";
    let mistake = mistake(blocks);
    assert!(mistake.contains("block[1] and block[0] share trials, such as"), "{mistake}");
    assert!(mistake.contains("rule = bp"), "{mistake}");
    good(&format!("{GOOD}{}", blocks.replace("[0, 1]", "[1, 2]")));
}

#[test]
fn a_setting_without_use_does_not_tell_points_apart() {
    let blocks = "[[block]]\ntarget_step = 0.5\n[[block]]\nrule = \"bp\"\n";
    assert!(mistake(blocks).contains("share trials"), "bp has no use for target_step");
    good(&format!("{GOOD}[[block]]\ntarget_step = 0.5\n[[block]]\nrule = \"dtp\"\n"));
}

#[test]
fn two_long_ranges_are_compared_without_walking_them() {
    let long = |from: u64| format!("[[block]]\nseed = {{ from = {from}, count = 1_000_000_000 }}\n");
    let overlapping = format!("{}{}", long(0), long(999_999_999));
    assert!(mistake(&overlapping).contains("seed = 999999999"));
    assert_eq!(good(&format!("{GOOD}{}{}", long(0), long(1_000_000_000))).grid.trials(), 8_000_000_000);
}

#[test]
fn mistaken_zips_are_refused() {
    for (lines, said) in [
        (
            "seed = [1, 2, 3]\nzip = [[\"depth\", \"seed\"]]\n",
            "zipped axes are of different lengths: `depth` has 2, `seed` has 3",
        ),
        ("zip = [[\"depth\", \"network\"]]\n", "`network` is no axis here"),
        ("zip = [[\"depth\", \"seed\"]]\n", "`seed` is not named in this block"),
        ("zip = [[\"depth\", \"sed\"]]\n", "unknown setting `sed`; did you mean `seed`?"),
        ("zip = [[\"depth\"]]\n", "fewer than two axes are zipped"),
        ("max_updates = [1, 2]\nzip = [[\"depth\", \"max_updates\"]]\n", "cannot advance together with others"),
    ] {
        let mistakes = mistakes(lines);
        assert!(mistakes[0].contains(said), "{mistakes:?}");
    }
}

#[test]
fn mistaken_excludes_are_refused() {
    assert!(mistake("exclude = [{ depth = 9 }]\n").contains("this excludes no point"));
    assert!(mistake("exclude = [{ depth = [2, 3] }]\n").contains("every point of the block is excluded"));
    assert!(mistake("exclude = [{ dept = 2 }]\n").contains("did you mean `depth`?"));
    assert!(mistake("exclude = [{}]\n").contains("this would exclude everything"));
}

#[test]
fn a_grid_beyond_counting_is_refused() {
    let huge = "seed = { from = 0, count = 9_000_000_000_000_000_000 }\nfold = { from = 0, count = 10 }\n";
    assert!(mistake(huge).contains("more trials than can be counted"));
}

#[test]
fn a_list_in_train_is_told_where_it_belongs() {
    let errors = toml(&format!("{GOOD}[train]\nlearning_rate = [0.1, 0.2]\n")).expect_err("a mistake").to_string();
    assert!(errors.contains("train.learning_rate: [train] holds one value"), "{errors}");
    assert!(errors.contains("move it to [grid]"), "{errors}");
}

#[test]
fn all_mistakes_are_reported_together_in_the_order_of_the_text() {
    let text = "name = \"\"\n[grid]\nrule = \"backprop\"\nnetwork = \"nn\"\ndepth = 0\nlearning_rate = -1\n";
    let errors = toml(text).expect_err("mistakes");
    assert_eq!(errors.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 1, 3, 5, 6], "{errors}");
}

#[test]
fn broken_syntax_is_shown_at_its_line() {
    for (text, format, line) in [
        ("name = \"x\"\n[grid\n", Format::Toml, 2),
        ("name: x\ngrid: [1, 2\n", Format::Yaml, 2),
        ("{\"name\": \"x\",\n\"grid\": }", Format::Json, 2),
    ] {
        let errors = SweepSpec::parse(text, format, "spec").expect_err("broken");
        assert!(errors.errors[0].line >= line, "{format:?}: {errors}");
        assert!(errors.errors[0].help.contains("syntax"), "{errors}");
    }
}
