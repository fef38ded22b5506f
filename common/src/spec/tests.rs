//! Every mistake by its line, its message and its mend; and what the formats have in common.

use proptest::prelude::*;

use super::{Format, SpecErrors, SweepSpec};
use crate::ids::TrialIndex;

/// A head of four lines; what follows begins in line 5.
const HEAD: &str = "name = \"x\"\n[data]\ndataset = \"mnist\"\n[grid]\n";
/// The settings that have to be there, in one line each.
const REST: &str = "network = \"nn\"\nrule = \"bp\"\ndepth = 1\n";

fn errors(text: &str, format: Format) -> SpecErrors {
    SweepSpec::parse(text, format, "spec").expect_err(text)
}

/// The one mistake of `[grid]` with these lines first.
#[track_caller]
fn refuses(lines: &str, line: usize, message: &str, help: &str) {
    let has = |setting: &str| lines.lines().any(|line| line.starts_with(setting));
    let rest: String = REST
        .lines()
        .filter(|line| !has(line.split(' ').next().unwrap_or(line)))
        .map(|line| format!("{line}\n"))
        .collect();
    // The rest stands above blocks, which have to come last.
    let (own, blocks) = lines.split_at(lines.find("[[block]]").unwrap_or(lines.len()));
    one(
        &format!(
            "{HEAD}{own}{}{blocks}",
            if own.is_empty() || own.ends_with('\n') { rest } else { format!("\n{rest}") }
        ),
        Format::Toml,
        line,
        message,
        help,
    );
}

#[track_caller]
fn one(text: &str, format: Format, line: usize, message: &str, help: &str) {
    let errors = errors(text, format);
    assert_eq!(errors.errors.len(), 1, "{errors}");
    let error = &errors.errors[0];
    assert!(error.line == line && error.message.contains(message) && error.help.contains(help), "{errors}");
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest() {
    refuses("learning_rat = 1e-3", 5, "unknown key `learning_rat`", "did you mean `learning_rate`?");
    refuses("netwrok = \"nn\"", 5, "unknown key `netwrok`", "did you mean `network`?");
    let text = format!("retrys = 1\n{HEAD}{REST}");
    one(&text, Format::Toml, 1, "unknown key `retrys`", "did you mean `retries`?");
    one(&format!("depth = 1\n{HEAD}{REST}"), Format::Toml, 1, "unknown key `depth`", "move it to [train] or [grid]");
}

#[test]
fn a_value_outside_its_domain_is_told_what_the_setting_takes() {
    refuses("depth = 0", 5, "`depth` is 0", "a whole number from 1 to 1000");
    refuses("depth = 1.5", 5, "`depth` is 1.5", "a whole number");
    refuses("depth = \"5\"", 5, "`depth` is the text \"5\"", "without quotes");
    refuses("depth = true", 5, "`depth` is true", "a whole number");
    refuses("seed = -1", 5, "`seed` is -1", "from 0 to");
    refuses("fold = 10", 5, "`fold` is 10", "from 0 to 9");
    for bad in ["0", "0.0", "-1e-3", "nan", "inf"] {
        refuses(&format!("learning_rate = {bad}"), 5, "`learning_rate` is ", "a finite number above 0");
    }
    refuses("rule = \"dpt\"", 5, "unknown rule `dpt`", "did you mean `dtp`?");
    refuses("rule = [\"bp\",\n\"fah\"]", 6, "unknown rule `fah`", "did you mean `fa`?");
}

#[test]
fn a_bad_axis_is_refused() {
    refuses("depth = []", 5, "the axis is empty", "at least one value");
    refuses("depth = [1, 2, 1]", 5, "1 stands twice", "take one of them out");
    refuses("learning_rate = [1e-3, 0.001]", 5, "0.001 stands twice", "take one");
    refuses("depth = { from = 5, to = 3 }", 5, "`from` lies above `to`", "swap them");
    refuses("depth = { from = 1, to = 3, step = 0 }", 5, "`step` is 0", "at least 1");
    refuses("depth = { from = 1, count = 0 }", 5, "`count` is 0", "at least 1");
    refuses("depth = { from = 1, count = 2000 }", 5, "the range ends at 2000", "from 1 to 1000");
    refuses("depth = { from = 1 }", 5, "from do not make a range", "{ from, to, step }");
    refuses("depth = { form = 1, to = 3 }", 5, "unknown key `form`", "did you mean `from`?");
    refuses("rule = { from = 1, to = 3 }", 5, "`rule` cannot be a range", "a list");
    refuses("learning_rate = { log_from = 0, log_to = 1, count = 3 }", 5, "`log_from` is 0", "above 0");
    refuses("learning_rate = { log_from = 1, log_to = 0.1, count = 3 }", 5, "`log_from` lies above `log_to`", "swap");
    refuses("learning_rate = { log_from = 0.1, log_to = 1, count = 1 }", 5, "`count` is 1", "at least 2");
    refuses("depth = { log_from = 1, log_to = 8, count = 4 }", 5, "takes whole numbers", "list");
}

#[test]
fn what_does_not_apply_is_refused() {
    let convolution = "`channel_multiplier` belongs to convolutional networks; nn and dn are fully connected";
    refuses("channel_multiplier = 16", 5, convolution, "change `network`");
    refuses("early_stop_patience = 5", 5, "belongs to trials with an early_stop_start", "change `early_stop_start`");
    refuses(
        "target_step = [0.1, 0.2]\nrule = [\"bp\", \"dtp\"]",
        5,
        "`target_step` belongs to",
        "a block of their own",
    );
    refuses("[[block]]\nmomentum = 0.9", 9, "`momentum` belongs to the optimizer sgd", "change `optimizer`");
    let train = format!("name = \"x\"\n[train]\nmomentum = 0.9\n[data]\ndataset = \"mnist\"\n[grid]\n{REST}");
    one(&train, Format::Toml, 3, "`momentum` belongs to the optimizer sgd", "change `optimizer`");
    let list = format!("name = \"x\"\n[train]\nseed = [1, 2]\n[data]\ndataset = \"mnist\"\n[grid]\n{REST}");
    one(&list, Format::Toml, 3, "`seed` has several values", "move it to [grid]");
}

#[test]
fn a_constant_that_some_points_use_is_good() {
    let text = format!("{HEAD}target_step = 0.3\nnetwork = \"nn\"\nrule = [\"bp\", \"dtp\"]\ndepth = 1\n");
    assert_eq!(SweepSpec::parse(&text, Format::Toml, "spec").expect("a good spec").grid.trials(), 2);
}

#[test]
fn what_is_missing_is_named() {
    let found = errors("name = \"x\"\n[train]\nseed = 1\n", Format::Toml);
    let messages: Vec<&str> = found.errors.iter().map(|error| error.message.as_str()).collect();
    for setting in ["dataset", "network", "rule", "depth"] {
        assert!(messages.contains(&format!("`{setting}` is missing").as_str()), "{found}");
    }
    one(&format!("[data]\ndataset = \"mnist\"\n[grid]\n{REST}"), Format::Toml, 1, "`name` is missing", "name = ");
    let blocks = format!("{HEAD}network = \"nn\"\nrule = \"bp\"\n[[block]]\ndepth = 1\n[[block]]\nseed = 2\n");
    one(&blocks, Format::Toml, 9, "`depth` is missing", "give it in [grid]");
    for format in Format::ALL {
        let text = if format == Format::Json { "{}" } else { "" };
        one(text, format, 1, "the spec is empty", "biosweep preset show quickstart");
    }
}

#[test]
fn a_point_that_two_blocks_share_is_found_without_walking() {
    let seeds = "{ from = 0, count = 1000000000, step = 2 }";
    let others = "{ from = 999_999_999, count = 1000000000, step = 3 }";
    let lines = format!("[[block]]\nseed = {seeds}\n[[block]]\nseed = {others}");
    refuses(&lines, 10, "`block[1]` repeats a point of `block[0]`", "exclude");
    refuses(
        "[[block]]\ntarget_step = 0.1\nrule = [\"bp\", \"dtp\"]\n[[block]]\ntarget_step = 0.2\nrule = [\"fa\", \"bp\", \"dtp\"]",
        10,
        "rule = bp",
        "exclude",
    );
    refuses(
        "[[block]]\nhidden = [1, 2]\nfold = [3, 4]\nzip = [[\"hidden\", \"fold\"]]\n[[block]]\nhidden = [9, 2]\nfold = [5, 4]\nzip = [[\"hidden\", \"fold\"]]\n",
        12,
        "hidden = 2, fold = 4",
        "exclude",
    );
    let apart = format!(
        "{HEAD}{REST}[[block]]\nhidden = [1, 2]\nfold = [3, 4]\nzip = [[\"hidden\", \"fold\"]]\n[[block]]\nhidden = 2\nfold = 3\n"
    );
    assert_eq!(SweepSpec::parse(&apart, Format::Toml, "spec").expect("disjoint blocks").grid.trials(), 3);
}

#[test]
fn bad_zips_and_exclusions_are_refused() {
    let two = "depth = [1, 2]\nhidden = [4, 8, 16]\n";
    refuses(&format!("{two}zip = [[\"depth\", \"hidden\"]]"), 7, "depth has 2, hidden has 3", "as many values");
    refuses(
        "depth = [1, 2]\nhidden = 3\nzip = [[\"depth\", \"hidden\"]]",
        7,
        "`hidden` is zipped but has one value",
        "as a list",
    );
    refuses("depth = [1, 2]\nzip = [[\"depth\", \"hiden\"]]", 6, "`hiden` is no setting", "did you mean `hidden`?");
    refuses("depth = [1, 2]\nzip = [[\"depth\", \"seed\"]]", 6, "`seed` is zipped but not given", "as a list");
    refuses(
        "depth = [1, 2]\nmax_updates = [5, 6]\nzip = [[\"depth\", \"max_updates\"]]",
        7,
        "what says when to stop",
        "one block for each row",
    );
    refuses("depth = [1, 2]\nexclude = [{ depth = 3 }]", 6, "this excludes no point", "compare its values");
    refuses("depth = [1, 2]\nexclude = [{ rule = \"bp\" }]", 6, "nothing is left of the grid", "exclude fewer");
    refuses("exclude = [{ dept = 3 }]", 5, "unknown key `dept`", "did you mean `depth`?");
}

#[test]
fn more_trials_than_a_number_holds_are_refused() {
    let seeds = "seed = { from = 0, to = 9223372036854775806 }\n";
    refuses(&format!("{seeds}fold = [1, 2, 3]"), 4, "more trials than 64 bits count", "shorten an axis");
}

#[test]
fn a_bad_name_is_refused() {
    for bad in ["", "  ", "a/b", "a\\nb", &"x".repeat(129)] {
        let text = format!("{HEAD}{REST}").replacen("\"x\"", &format!("\"{bad}\""), 1);
        one(&text, Format::Toml, 1, "the name ", "1 to 128 characters");
    }
}

#[test]
fn faults_of_syntax_are_placed_in_each_format() {
    one("name = \"x\"\n[data\n", Format::Toml, 2, "this is no TOML", "key = value");
    one("name = \"x\"\nname = \"y\"\n", Format::Toml, 2, "duplicate key", "mend");
    one("name: x\ndata: [1,\n", Format::Yaml, 3, "this is no YAML", "key: value");
    one("name: x\nname: y\n", Format::Yaml, 2, "duplicated key", "mend");
    one("{\n\"name\": \"x\",\n}", Format::Json, 3, "this is no JSON", "no comma follows the last");
    one("{\n\"name\": \"x\",\n\"name\": \"y\"}", Format::Json, 3, "duplicated key", "mend");
}

#[test]
fn mistakes_of_all_parts_are_told_together_in_order() {
    let text = "name = \"ü\"\nsed = 3\n[data]\ndataset = \"mnist\"\n[train]\nlearning_rate = 0\n[grid]\nnetwork = \"nn\"\nrule = [\"bp\", \"fah\"]\n[[block]]\ndepth = { from = 5, to = 3 }\nfold = 10\n[[block]]\ndepth = []\n";
    let found = errors(text, Format::Toml);
    let lines: Vec<usize> = found.errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 6, 9, 11, 12, 14], "{found}");
    let places: Vec<&str> = found.errors.iter().map(|error| error.place.as_str()).collect();
    assert_eq!(places[3..], ["block[0].depth.from", "block[0].fold", "block[1].depth"]);
    assert!(found.to_string().starts_with("spec:2:1: sed: unknown key `sed`; did you mean `seed`?"), "{found}");
}

#[test]
fn places_in_yaml_and_json_are_those_of_the_text() {
    let yaml = "# naïve – ü\r\nname: \"ü\"\r\ndata: {dataset: mnist}\r\ngrid:\r\n  network: nn\r\n  rule: bp\r\n  depth: 0\r\n";
    let json = "{\"name\": \"ü\",\n\t\"data\": {\"dataset\": \"mnist\"},\n\t\"grid\": {\"network\": \"nn\", \"rule\": \"bp\",\n\t\t\"depth\": 0}}";
    for (text, format, line, column) in [(yaml, Format::Yaml, 7, 10), (json, Format::Json, 4, 12)] {
        let found = errors(text, format);
        assert_eq!(found.errors.len(), 1, "{found}");
        let error = &found.errors[0];
        assert_eq!((error.line, error.column, &text[error.span.clone()]), (line, column, "0"), "{found}");
    }
}

#[test]
fn ranges_of_quantities_hold_the_values_a_person_would_write() {
    let values = |range: &str| {
        let text = format!("{HEAD}{REST}learning_rate = {range}\n");
        let grid = SweepSpec::parse(&text, Format::Toml, "spec").expect("a good spec").grid;
        let at = |trial| grid.configuration(TrialIndex(trial)).expect("a trial").hyperparameters.learning_rate;
        (0..grid.trials()).map(at).collect::<Vec<f64>>()
    };
    assert_eq!(values("{ log_from = 1e-4, log_to = 1e-1, count = 4 }"), [1e-4, 1e-3, 1e-2, 1e-1]);
    assert_eq!(values("{ from = 0.1, to = 0.3, step = 0.1 }"), [0.1, 0.2, 0.3]);
    assert_eq!(values("{ from = 1, count = 2 }"), [1.0, 2.0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_digest_is_of_the_meaning(depths in 1..6_u64, rate in 1e-6..1.0_f64, order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle()) {
        let last = depths + 1;
        let list: Vec<u64> = (2..=last).collect();
        let toml = [format!("depth = {{ from = 2, to = {last} }}"), format!("learning_rate = {rate:e}"),
            "network = \"dn\"".to_owned(), "rule = [\"bp\", \"dtp\"]".to_owned(), "hidden = 128".to_owned()];
        let yaml = [format!("depth: {list:?}"), format!("learning_rate: {rate}"),
            "network: [dn]".to_owned(), "rule: [bp, dtp]".to_owned(), "seed: 0".to_owned()];
        let toml: Vec<&str> = order.iter().map(|place| toml[*place].as_str()).collect();
        let toml = format!("name = \"x\"\nretries = 2\n[data]\ndataset = \"mnist\"\n[grid]\n{}", toml.join("\n"));
        let yaml = format!("name: x\ndata:\n  dataset: mnist\ngrid:\n  {}", yaml.join("\n  "));
        let json = serde_json::json!({
            "block": [{ "rule": ["bp", "dtp"], "learning_rate": rate }],
            "grid": { "network": "dn", "depth": { "from": 2, "count": depths } },
            "train": { "dataset": "mnist" }, "name": "x",
        });
        let digest = |text: &str, format| SweepSpec::parse(text, format, "spec").map(|spec| spec.digest()).map_err(|errors| errors.to_string());
        let first = digest(&toml, Format::Toml);
        prop_assert!(first.is_ok(), "{:?}", first);
        prop_assert_eq!(&first, &digest(&yaml, Format::Yaml));
        prop_assert_eq!(&first, &digest(&json.to_string(), Format::Json));
        let changed = digest(&toml.replace("retries = 2", "retries = 3"), Format::Toml);
        prop_assert_ne!(&first, &changed);
    }
}
