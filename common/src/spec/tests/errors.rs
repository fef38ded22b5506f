//! The exact text of every error: place, message and fix.

use super::*;

/// The error text for a spec.
fn error_text(text: &str, format: Format) -> String {
    SweepSpec::parse(text, format, "spec").expect_err("an error").to_string().replace("spec:", "")
}

/// Checks the error text for the good spec with other lines in place of its last line, the seventh.
fn check(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let text = GOOD.replace("depth = { from = 2, to = 3 }\n", lines);
        assert_eq!(error_text(&text, Format::Toml), *expected, "{lines}");
    }
}

#[test]
fn an_error_in_a_value_says_what_the_setting_takes() {
    check(&[
        ("depth = 0", "7:9: grid.depth: `depth` cannot be the whole number 0; it takes a whole number from 1 to 1000"),
        (
            "depth = \"deep\"",
            "7:9: grid.depth: `depth` cannot be the text \"deep\"; it takes a whole number from 1 to 1000",
        ),
        ("depth = 5.5", "7:9: grid.depth: `depth` cannot be the number 5.5; it takes a whole number from 1 to 1000"),
        ("depth = 5.0", "7:9: grid.depth: `depth` cannot be the number 5.0; write 5"),
        ("depth = true", "7:9: grid.depth: `depth` cannot be true; it takes a whole number from 1 to 1000"),
        ("depth = 1979-05-27", "7:9: grid.depth: `depth` cannot be a date; it takes a whole number from 1 to 1000"),
        ("depth = [1, \"2\"]", "7:13: grid.depth[1]: `depth` cannot be the text \"2\"; write 2"),
        (
            "depth = 1\nfold = 10",
            "8:8: grid.fold: `fold` cannot be the whole number 10; it takes a whole number from 0 to 9",
        ),
        (
            "depth = 1\nlearning_rate = 0",
            "8:17: grid.learning_rate: `learning_rate` cannot be the whole number 0; it takes a number from 1.18e-38 to 3.4e38 (float32)",
        ),
        (
            "depth = 1\nlearning_rate = -1e-3",
            "8:17: grid.learning_rate: `learning_rate` cannot be the number -0.001; it takes a number from 1.18e-38 to 3.4e38 (float32)",
        ),
        (
            "depth = 1\nlearning_rate = nan",
            "8:17: grid.learning_rate: `learning_rate` cannot be the number NaN; it takes a number from 1.18e-38 to 3.4e38 (float32)",
        ),
        (
            "depth = 1\nlearning_rate = 1e-46",
            "8:17: grid.learning_rate: `learning_rate` cannot be the number 1e-46; it takes a number from 1.18e-38 to 3.4e38 (float32)",
        ),
        (
            "depth = 1\nlearning_rate = [1e-3, inf]",
            "8:24: grid.learning_rate[1]: `learning_rate` cannot be the number inf; it takes a number from 1.18e-38 to 3.4e38 (float32)",
        ),
        (
            "depth = 1\nmax_updates = 1e6",
            "8:15: grid.max_updates: `max_updates` cannot be the number 1000000.0; write 1000000",
        ),
        (
            "depth = 1\nactivation = \"Relu\"",
            "8:14: grid.activation: `activation` cannot be the text \"Relu\"; did you mean `relu`? it takes one of relu, sigmoid, tanh",
        ),
        (
            "depth = 1\noptimizer = \"lion\"",
            "8:13: grid.optimizer: `optimizer` cannot be the text \"lion\"; it takes one of sgd, adam, adamw, rmsprop",
        ),
        (
            "depth = 1\nseed = 99999999999999999999",
            "8:8: grid.seed: `seed` cannot be the whole number 99999999999999999999; it takes a whole number from 0 to 9223372036854775807",
        ),
    ]);
}

#[test]
fn an_error_about_an_unknown_or_unused_key_says_where_it_belongs() {
    check(&[
        (
            "depth = 1\nlearningrate = 1e-3",
            "8:1: grid.learningrate: unknown setting `learningrate`; did you mean `learning_rate`?",
        ),
        (
            "depth = 1\nweight = 3",
            "8:1: grid.weight: `weight` is not a setting of trials; move it to the top of the file, outside every table",
        ),
        (
            "depth = 1\nwarp = 1e-3",
            "8:1: grid.warp: unknown setting `warp`; known here: dataset, network, rule, activation, depth, hidden, parameters_as, channel_multiplier, downsample_after, skip_input, skip_density, skip_decay, skip_seed, decoder_steps, decoder_order, decoder_activation, pc_solver, inference_steps, batch_size, optimizer, eval_every, learning_rate, weight_decay, momentum, nesterov, target_step, noise_std, decoder_learning_rate, feedback_alignment, feedback_scale, inference_rate, fold, seed, early_stop_start, early_stop_patience, max_updates, zip, exclude",
        ),
        (
            "depth = 1\nchannel_multiplier = 16",
            "8:22: grid.channel_multiplier: `channel_multiplier` affects no trial here: it applies to the convolutional networks (convnet, dense_convnet); remove it, or change `network`",
        ),
        (
            "depth = 1\nearly_stop_patience = 5",
            "8:23: grid.early_stop_patience: `early_stop_patience` affects no trial here: it applies to trials with an early_stop_start; remove it, or change `early_stop_start`",
        ),
        (
            "depth = 1\nmomentum = 0.9",
            "8:12: grid.momentum: `momentum` affects no trial here: it applies to the optimizer sgd; remove it, or change `optimizer`",
        ),
        (
            "depth = 1\ntarget_step = [0.1, 0.2]",
            "8:15: grid.target_step: the axis `target_step` has no effect on some trials of this block: it applies to the rules dtp, sdtp, fwdtp, ddtp, ldrl; put trials with another `rule` into a separate block",
        ),
        (
            "depth = 1\nskip_input = true\n[[block]]\nnetwork = \"nn\"",
            "8:14: grid.skip_input: `skip_input` affects no trial here: it applies to the network dn; remove it, or change `network`",
        ),
        (
            "depth = 1\noptimizer = \"sgd\"\nnesterov = true",
            "9:12: grid.nesterov: `nesterov` affects no trial here: it applies to the optimizer sgd with a momentum above 0; remove it, or change `momentum`",
        ),
        (
            "depth = 4\n[[block]]\nnetwork = \"convnet\"\ndownsample_after = [[1, 2], [1, 2, 3, 4, 5]]\nrule = \"bp\"\ndepth = 6",
            "10:20: block[0].downsample_after: images of 28 by 28 can be halved 4 times, and `downsample_after` has 5 layers within the depth; list fewer layers",
        ),
        (
            "depht = 1",
            "4:2: grid: `depth` is missing; add a line such as depth = 5 under [grid]\n7:1: grid.depht: unknown setting `depht`; did you mean `depth`?",
        ),
        (
            "depth = 1\n[train]\nlearning_rate = [0.1, 0.2]",
            "9:17: train.learning_rate: [train] has one value for each setting, but `learning_rate` has several; move it to [grid] or into a [[block]]",
        ),
        (
            "depth = 1\n[train]\ndataset = \"mnist\"",
            "9:11: train.dataset: `dataset` is set twice, here and at data.dataset; remove one of them",
        ),
    ]);
}

#[test]
fn an_error_about_values_that_have_no_meaning_together_says_what_is_possible() {
    let of = |lines: &str| format!("name = \"a\"\n[data]\ndataset = \"mnist\"\n[grid]\ndepth = 2\n{lines}\n");
    for (lines, expected) in [
        (
            "rule = [\"bp\", \"pc\"]\nnetwork = [\"nn\", \"convnet\"]",
            "7:11: grid.network: the rule pc is not defined for the networks convnet, dense_convnet; use one of nn, dn, \
             lognormal, readout, residual, or exclude these points: exclude = [{ rule = \"pc\", network = [\"convnet\", \
             \"dense_convnet\"] }]",
        ),
        (
            "rule = \"dtp\"\nnetwork = \"nn\"\ndecoder_steps = [1, 5]",
            "8:17: grid.decoder_steps: decoders that learn with the forward weights (decoder_order = \"same\") take one step in \
             an update; set decoder_order = \"before\", or decoder_steps = 1",
        ),
        (
            "rule = \"ddtp\"\nnetwork = \"nn\"\nnoise_std = [0, 0.1]",
            "8:13: grid.noise_std: the decoders of ddtp learn from noise, and `noise_std` is 0; set noise_std above 0",
        ),
    ] {
        assert_eq!(error_text(&of(lines), Format::Toml), expected);
    }
    for lines in [
        "rule = [\"bp\", \"pc\"]\nnetwork = [\"nn\", \"convnet\"]\nexclude = [{ rule = \"pc\", network = \"convnet\" }]",
        "rule = \"dtp\"\nnetwork = \"nn\"\ndecoder_steps = { from = 1, to = 5 }\ndecoder_order = \"before\"",
        "network = \"nn\"\ndecoder_steps = 5\n[[block]]\nrule = \"bp\"\n[[block]]\nrule = \"ldrl\"\ndecoder_order = \"before\"",
    ] {
        SweepSpec::parse(&of(lines), Format::Toml, "a").unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn an_error_in_a_measure_lists_the_measures() {
    const ALL: &str = "update_angle, feedback_angle, reconstruction_error, decoder_angle, weight_norm, update_norm, dead_units, \
                       saturated_units";
    check(&[
        (
            "depth = 1\n[train]\nmeasure = [\"weigth_norm\", 3]",
            &format!(
                "9:12: train.measure[0]: a measure cannot be the text \"weigth_norm\"; did you mean `weight_norm`? it takes {ALL}\n\
                 9:27: train.measure[1]: a measure cannot be the whole number 3; it takes {ALL}"
            ),
        ),
        (
            "depth = 1\n[train]\nmeasure = \"weight_norm\"",
            &format!("9:11: train.measure: `measure` cannot be the text \"weight_norm\"; it is a list of {ALL}"),
        ),
        (
            "depth = 1\n[train]\nmeasure = [\"update_norm\", \"update_norm\"]",
            "9:27: train.measure[1]: `update_norm` is listed twice; remove one of them",
        ),
        (
            "depth = 1\n[train]\nmeasure = [\"feedback_angle\"]",
            "9:12: train.measure[0]: `feedback_angle` applies to no trial; remove it: it applies to the rules fa, usf, frsf, brsf, kp",
        ),
    ]);
}

#[test]
fn an_error_in_the_checkpoint_interval_says_what_it_takes() {
    check(&[
        (
            "depth = 1\n[train]\ncheckpoint_every_s = 0",
            "9:22: train.checkpoint_every_s: `checkpoint_every_s` cannot be the whole number 0; it takes a number of seconds above 0, at most a million",
        ),
        (
            "depth = 1\n[train]\ncheckpoint_evry_s = 30",
            "9:1: train.checkpoint_evry_s: unknown setting `checkpoint_evry_s`; did you mean `checkpoint_every_s`?",
        ),
    ]);
}

#[test]
fn an_error_in_a_dataset_lists_the_names_and_the_forms_of_custom_data() {
    const TAKES: &str = "it takes one of mnist, fashion-mnist, kmnist, cifar-10, synthetic-digits, \
                         or { idx = \"DIR\" } or { npy = \"DIR\" }";
    for (given, expected) in [
        ("\"mnits\"", format!("the text \"mnits\"; did you mean `mnist`? {TAKES}")),
        ("\"idx:somewhere\"", format!("the text \"idx:somewhere\"; {TAKES}")),
        ("{ idx = 5 }", format!("a table; {TAKES}")),
        ("{ csv = \"a\" }", format!("a table; {TAKES}")),
        ("{ idx = \"a\", npy = \"a\" }", format!("a table; {TAKES}")),
        ("{ idx = \"\" }", format!("a table; {TAKES}")),
    ] {
        let text = GOOD.replace("\"mnist\"", given);
        let errors = toml(&text).expect_err("no dataset");
        assert!(errors.to_string().ends_with(&format!("data.dataset: `dataset` cannot be {expected}")), "{errors}");
    }
}

#[test]
fn an_error_in_an_axis_says_how_to_fix_it() {
    check(&[
        (
            "depth = []",
            "7:9: grid.depth: the axis `depth` is empty; give it values, each a whole number from 1 to 1000",
        ),
        ("depth = [2, 3, 2]", "7:9: grid.depth: the value 2 is listed twice; remove one of them"),
        (
            "depth = { from = 3, to = 2 }",
            "7:26: grid.depth.to: the range ends at 2, before its start 3; write { from = 2, to = 3 } or a list",
        ),
        (
            "depth = { from = 2, to = 3, step = 0 }",
            "7:36: grid.depth.step: the step of a range cannot be the whole number 0; it takes a whole number, at least 1",
        ),
        (
            "depth = { from = 2, count = 0 }",
            "7:29: grid.depth.count: the count of a range cannot be the whole number 0; it takes a whole number, at least 1",
        ),
        (
            "depth = { from = 2, count = -1 }",
            "7:29: grid.depth.count: the count of a range cannot be the whole number -1; it takes a whole number, at least 1",
        ),
        (
            "depth = { from = 2, count = 5000 }",
            "7:29: grid.depth.count: a count of 5000 from 2 exceeds the maximum of `depth`; it takes a whole number from 1 to 1000",
        ),
        (
            "depth = { from = 2, until = 3 }",
            "7:21: grid.depth.until: unknown part of a range `until`; known here: from, to, step, count, log_from, log_to",
        ),
        (
            "depth = { from = 2 }",
            "7:9: grid.depth: `depth` has a table that is not a range; a range is { from, to, step }, { from, count } or { log_from, log_to, count }",
        ),
        (
            "depth = { from = 2, to = 5, count = 2 }",
            "7:9: grid.depth: `depth` has a table that is not a range; a range is { from, to, step }, { from, count } or { log_from, log_to, count }",
        ),
        (
            "depth = { log_from = 1, log_to = 8, count = 4 }",
            "7:22: grid.depth: `depth` cannot have a logarithmic range; write { from, to, step } or a list",
        ),
        (
            "depth = 1\nlearning_rate = { from = 0.1, to = 1 }",
            "8:26: grid.learning_rate: `learning_rate` cannot have a range of whole numbers; list its values, or write { log_from, log_to, count }",
        ),
        (
            "depth = 1\nlearning_rate = { log_from = 0, log_to = 1, count = 3 }",
            "8:30: grid.learning_rate.log_from: `learning_rate` cannot be the whole number 0; it takes a number from 1.18e-38 to 3.4e38 (float32)",
        ),
        (
            "depth = 1\nweight_decay = { log_from = 0, log_to = 1, count = 3 }",
            "8:29: grid.weight_decay: a logarithmic range cannot reach 0; both ends must be above 0",
        ),
        (
            "depth = 1\nlearning_rate = { log_from = 1, log_to = 1, count = 3 }",
            "8:53: grid.learning_rate.count: these ends and this count do not make a range; give two different ends and a count from 2 to 10000",
        ),
        (
            "depth = 1\nmax_updates = { from = 1, to = 10_001 }",
            "4:2: grid: a trajectory of grid would have more than 10000 trials; give early_stop_start, early_stop_patience and max_updates fewer values, or turn sharing off (share = false)",
        ),
        (
            "depth = []\nseed = [1, 1]\nnetworks = 1",
            "7:9: grid.depth: the axis `depth` is empty; give it values, each a whole number from 1 to 1000\n\
             8:8: grid.seed: the value 1 is listed twice; remove one of them\n\
             9:1: grid.networks: unknown setting `networks`; did you mean `network`?",
        ),
    ]);
}

#[test]
fn an_error_in_zip_or_exclude_says_what_it_takes() {
    check(&[
        (
            "depth = [2, 3]\nseed = [1, 2, 3]\nzip = [[\"depth\", \"seed\"]]",
            "9:8: grid.zip[0]: zipped axes are of different lengths: `depth` has 2, `seed` has 3; give them the same number of values",
        ),
        (
            "depth = 1\nzip = [[\"depth\", \"rule\"]]",
            "8:8: grid.zip[0]: `depth` is not an axis in grid: it has one value; zip takes axes of the same block, each once",
        ),
        (
            "depth = [1, 2]\nzip = [[\"depth\", \"rule\"], [\"rule\", \"depth\"]]",
            "8:27: grid.zip[1]: `rule` is zipped twice; zip takes axes of the same block, each once",
        ),
        (
            "depth = [1, 2]\nzip = [[\"depth\", \"seed\"]]",
            "8:8: grid.zip[0]: `seed` is not set in grid; zip takes axes of the same block, each once",
        ),
        (
            "depth = [1, 2]\nzip = [[\"depth\", \"sed\"]]",
            "8:18: grid.zip[0]: unknown setting `sed`; did you mean `seed`?",
        ),
        (
            "depth = [1, 2]\nzip = [[\"depth\"]]",
            "8:8: grid.zip[0]: fewer than two axes are zipped; list two or more, or remove zip",
        ),
        (
            "depth = [1, 2]\nzip = [\"depth\", \"rule\"]",
            "8:8: grid.zip[0]: `grid.zip[0]` cannot be the text \"depth\"; it is a list of names of axes, such as [\"depth\", \"learning_rate\"]\n8:17: grid.zip[1]: `grid.zip[1]` cannot be the text \"rule\"; it is a list of names of axes, such as [\"depth\", \"learning_rate\"]",
        ),
        (
            "depth = [1, 2]\nmax_updates = [1, 2]\nzip = [[\"depth\", \"max_updates\"]]",
            "9:8: grid.zip[0]: settings of the stopping rule can be zipped only with each other; write one block for each pair of values",
        ),
        (
            "depth = [1, 2]\nexclude = [{ depth = 9 }]",
            "8:12: grid.exclude[0]: this excludes no point; fix its values, or remove it",
        ),
        (
            "depth = [1, 2]\nexclude = [{ depth = [1, 2] }]",
            "8:12: grid: every point of grid is excluded; exclude less, or remove the block",
        ),
        (
            "depth = [1, 2]\nexclude = [{ dept = 2 }]",
            "8:14: grid.exclude[0].dept: unknown setting `dept`; did you mean `depth`?",
        ),
        (
            "depth = [1, 2]\nexclude = { depth = 2 }",
            "8:11: grid.exclude: `grid.exclude` cannot be a table; it is a list of tables, such as [{ network = \"nn\", depth = [9, 10] }]",
        ),
        (
            "depth = [1, 2]\nexclude = [{}]",
            "8:12: grid.exclude[0]: this would exclude every point; list the settings to exclude",
        ),
        (
            "depth = 1\nseed = { from = 0, count = 1_000_000 }\nexclude = [{ seed = { from = 0, to = 900_000, step = 2 } }]",
            "9:12: grid.exclude[0]: this cuts the range of `seed` into too many pieces; write the range with a step that omits those values",
        ),
    ]);
}

#[test]
fn an_error_in_the_whole_file_says_where_to_start() {
    check(&[
        ("", "4:2: grid: `depth` is missing; add a line such as depth = 5 under [grid]"),
        (
            "depth = 1\nblock = []",
            "8:1: grid.block: unknown setting `block`; known here: dataset, network, rule, activation, depth, hidden, parameters_as, channel_multiplier, downsample_after, skip_input, skip_density, skip_decay, skip_seed, decoder_steps, decoder_order, decoder_activation, pc_solver, inference_steps, batch_size, optimizer, eval_every, learning_rate, weight_decay, momentum, nesterov, target_step, noise_std, decoder_learning_rate, feedback_alignment, feedback_scale, inference_rate, fold, seed, early_stop_start, early_stop_patience, max_updates, zip, exclude",
        ),
        (
            "depth = 1\n[block]\nseed = 1",
            "8:1: block: the blocks are a list of tables; start each with a line [[block]], or give a list of tables",
        ),
        (
            "depth = 1\n[[block]]\nseed = [0, 1]\n[[block]]\nrule = \"bp\"\nlearning_rate = [1e-3, 1e-2]",
            "10:1: block[1]: block[1] and block[0] share trials, such as dataset = mnist, network = nn, rule = bp, depth = 1; remove the shared values from one of them, or exclude them there",
        ),
        (
            "depth = 1\nseed = { from = 0, count = 9_000_000_000_000_000_000 }\nfold = { from = 0, count = 10 }",
            "4:2: grid: the grid has 180000000000000000000 trials; the maximum is 9223372036854775807",
        ),
        (
            "depth = 1\nseed = { from = 0, count = 9_000_000_000_000_000_000 }\nmax_updates = 9\n\
             eval_every = { from = 1, to = 1_000_000_000_000 }\nbatch_size = { from = 1, to = 50_000 }\n\
             hidden = { from = 1, to = 50_000 }",
            "4:2: grid: the grid has about 10^41 trials; the maximum is 9223372036854775807",
        ),
    ]);
    for (text, format, expected) in [
        (
            "",
            Format::Toml,
            "1:1: name: the sweep has no name; add a line such as name = \"my-sweep\"\n1:1: grid: `dataset`, `network`, `rule`, `depth` are missing; add a line such as dataset = \"mnist\" under [data], and network = \"nn\", rule = \"bp\", depth = 5 under [grid]",
        ),
        (
            "",
            Format::Yaml,
            "1:1: name: the sweep has no name; add a line such as name = \"my-sweep\"\n1:1: grid: `dataset`, `network`, `rule`, `depth` are missing; add a line such as dataset = \"mnist\" under [data], and network = \"nn\", rule = \"bp\", depth = 5 under [grid]",
        ),
        ("", Format::Json, "1:1: EOF while parsing a value; fix the JSON syntax here"),
        ("hello", Format::Yaml, "1:1: a spec file is a table; start with `name`, [data], [grid]"),
        ("[1]", Format::Json, "1:1: a spec file is a table; start with `name`, [data], [grid]"),
        (
            "name = \"a\"\nname = \"b\"\n[grid\ndepth = \n",
            Format::Toml,
            "2:1: duplicate key; fix the TOML syntax here\n3:6: unclosed table, expected `]`; fix the TOML syntax here",
        ),
        (
            "name: x\ngrid:\n  depth: [1, 2\n",
            Format::Yaml,
            "4:1: while parsing a flow sequence, expected ',' or ']'; fix the YAML syntax here",
        ),
        ("name: x\nname: y\n", Format::Yaml, "2:1: duplicated key in mapping; fix the YAML syntax here"),
        (
            "name: x\n---\nname: y\n",
            Format::Yaml,
            "3:1: a second document; a spec file has only one; fix the YAML syntax here",
        ),
        ("{\"name\": \"x\",\n\"grid\": }", Format::Json, "2:9: expected value; fix the JSON syntax here"),
        ("{\"name\": \"x\",\n\"name\": \"y\"}", Format::Json, "2:1: duplicate key `name`; fix the JSON syntax here"),
        ("{\"name\": é}", Format::Json, "1:10: expected value; fix the JSON syntax here"),
    ] {
        assert_eq!(error_text(text, format), expected, "{format:?}: {text}");
    }
    for (name, expected) in [
        (
            "\"\"",
            "1:8: name: the name cannot be the text \"\"; it takes 1 to 128 characters, without slashes and line breaks",
        ),
        ("7", "1:8: name: the name cannot be the whole number 7; put it in quotes: \"7\""),
        (
            "\"a/b\"",
            "1:8: name: the name cannot be the text \"a/b\"; it takes 1 to 128 characters, without slashes and line breaks",
        ),
        (
            "\"a\\nb\"",
            "1:8: name: the name cannot be the text \"a\\nb\"; it takes 1 to 128 characters, without slashes and line breaks",
        ),
    ] {
        assert_eq!(error_text(&GOOD.replace("\"good\"", name), Format::Toml), expected, "{name}");
    }
    assert_eq!(
        error_text(&GOOD.replace("name = \"good\"", "seed = 1\nretries = -1"), Format::Toml),
        "1:1: name: the sweep has no name; add a line such as name = \"my-sweep\"\n2:11: retries: `retries` cannot be the whole number -1; it takes a whole number, 0 or above"
    );
    assert_eq!(
        error_text(&format!("seed = 1\n{GOOD}[train]\nseed = 2\n"), Format::Toml),
        "1:8: seed: `seed` is set twice, here and at train.seed; remove one of them"
    );
}

#[test]
fn a_zero_byte_is_refused_in_every_format() {
    for format in Format::ALL {
        assert_eq!(
            error_text("name: a\nb\0: c\n", format),
            "2:2: the text contains a zero byte; remove it; the file may be damaged"
        );
    }
}

#[test]
fn an_error_about_a_yaml_notation_says_what_to_write() {
    const YAML: &str = "name: y\ndata: {dataset: mnist}\ngrid:\n  rule: bp\n  network: nn\n  depth: 1\n";
    for (lines, expected) in [
        (
            "  learning_rate: \"1e-3\"\n",
            "7:18: grid.learning_rate: `learning_rate` cannot be the text \"1e-3\"; write 1e-3",
        ),
        (
            "  learning_rate: [0.1, '0.01']\n",
            "7:24: grid.learning_rate[1]: `learning_rate` cannot be the text \"0.01\"; write 0.01",
        ),
        ("  hidden: '128'\n", "7:11: grid.hidden: `hidden` cannot be the text \"128\"; write 128"),
        ("  max_updates: '1e6'\n", "7:16: grid.max_updates: `max_updates` cannot be the text \"1e6\"; write 1000000"),
        ("  max_updates: 1_000\n", "7:16: grid.max_updates: `max_updates` cannot be the text \"1_000\"; write 1000"),
        (
            "  seed: {from: 0, count: '3'}\n",
            "7:26: grid.seed.count: the count of a range cannot be the text \"3\"; write 3",
        ),
        (
            "  skip_input: yes\n  network: dn\n",
            "7:15: grid.skip_input: `skip_input` cannot be the text \"yes\"; write true",
        ),
        ("share: no\n", "7:8: share: `share` cannot be the text \"no\"; write false"),
        ("weight: '3'\n", "7:9: weight: `weight` cannot be the text \"3\"; write 3"),
        (
            "  learning_rate: {values: [1.0e-3, 1.0e-4]}\n",
            "7:18: grid.learning_rate: `learning_rate` has a table with `values` in it; write the list itself: [1.0e-3, 1.0e-4]",
        ),
        (
            "  learning_rate:\n    values:\n      - 0.1\n      - 0.2\n",
            "8:5: grid.learning_rate: `learning_rate` has a table with `values` in it; write the list itself: [0.1, 0.2]",
        ),
        (
            "  learning_rate: {values: [[0.1], 0.2]}\n",
            "7:18: grid.learning_rate: `learning_rate` has a table with `values` in it; write the list itself, without `values`",
        ),
        (
            "  learning_rate: {value: 0.1}\n",
            "7:18: grid.learning_rate: `learning_rate` has a table with `value` in it; write the value itself: 0.1",
        ),
    ] {
        let base = if lines.contains("network") { YAML.replace("  network: nn\n", "") } else { YAML.to_owned() };
        let expected = if lines.contains("network") { expected.replacen('7', "6", 1) } else { expected.to_owned() };
        assert_eq!(error_text(&format!("{base}{lines}"), Format::Yaml), expected, "{lines}");
    }
    let layers = "rule = \"bp\"\nnetwork = \"convnet\"\ndepth = 3\ndownsample_after = [\"1\", 2]\n";
    let text = format!("name = \"x\"\n[data]\ndataset = \"mnist\"\n[grid]\n{layers}");
    assert_eq!(
        error_text(&text, Format::Toml),
        "8:20: grid.downsample_after: `downsample_after` cannot be a list; write [1, 2]"
    );
}

#[test]
fn a_byte_order_mark_is_ignored() {
    for (text, format) in [
        (GOOD.to_owned(), Format::Toml),
        ("name: x\ndata: {dataset: mnist}\ngrid: {rule: bp, network: nn, depth: 1}\n".to_owned(), Format::Yaml),
        (
            r#"{"name": "x", "data": {"dataset": "mnist"}, "grid": {"rule": "bp", "network": "nn", "depth": 1}}"#
                .to_owned(),
            Format::Json,
        ),
    ] {
        let read = SweepSpec::parse(&format!("\u{feff}{text}"), format, "spec");
        assert_eq!(read, SweepSpec::parse(&text, format, "spec"), "{format:?}");
        assert!(read.is_ok(), "{format:?}");
    }
    assert_eq!(
        error_text(
            "\u{feff}nome = \"x\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n[data]\ndataset = \"mnist\"",
            Format::Toml
        ),
        "1:1: nome: unknown key `nome`; did you mean `name`?\n1:1: name: the sweep has no name; add a line such as name = \"my-sweep\""
    );
}
