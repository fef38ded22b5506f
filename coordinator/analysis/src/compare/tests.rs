//! Comparisons of invented results.

use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::spec::{EQUIVALENCE_MARGIN, Format, SweepSpec};

use super::*;
use crate::replicates::mean::Unit;
use crate::samples::{completed, ended, with};

fn question(by: Option<Vec<Setting>>) -> Question {
    Question {
        shared: Point::new(),
        arms: networks(["nn", "dn"]),
        by,
        margin: EQUIVALENCE_MARGIN,
        test: Test::SignFlip,
    }
}

fn networks(names: [&'static str; 2]) -> Vec<Point> {
    Question::arms_of(Setting::Network, names.map(|name| Value::Name(name.into())))
}

fn fold(result: ResultView, fold: u64) -> ResultView {
    with(result, &[("fold", Value::Integer(fold))])
}

/// nn loses 2 points per layer, dn 0.5; each fold shifts both arms.
fn trend(folds: u64) -> Vec<ResultView> {
    trends(folds, [0.02, 0.005])
}

/// nn and dn lose these accuracies per layer.
fn trends(folds: u64, [nn, dn]: [f64; 2]) -> Vec<ResultView> {
    let mut results = Vec::new();
    for (network, loss) in [("nn", nn), ("dn", dn)] {
        for depth in [5, 7, 10] {
            for index in 0..folds {
                let noise = 0.001 * ((7 * index + depth) % 5) as f64;
                let accuracy = 0.97 - loss * (depth - 5) as f64 + 0.003 * index as f64 / folds as f64 + noise;
                let accuracy = (accuracy * 10_000.0).round() / 10_000.0;
                results.push(fold(completed("fa", network, depth, accuracy, accuracy), index));
            }
        }
    }
    results
}

fn compared(results: &[ResultView]) -> Comparison {
    compare(&Replicates::of(results).expect("known counts"), &question(None)).expect("a comparison")
}

#[test]
fn the_primary_contrast_is_the_slope_and_the_secondary_ones_are_at_each_depth() {
    let comparison = compared(&trend(8));
    let [slope] = comparison.primary.as_slice() else { panic!("one slope") };
    assert_eq!((slope.pairs, slope.unit, slope.family), (8, Unit::Fold, 1));
    assert!((slope.difference.expect("pairs") - 0.015).abs() < 1e-9, "{slope:?}");
    assert_eq!(slope.p, Some(2.0 / 256.0), "all differences have one sign");
    assert_eq!(slope.verdict, Verdict::Helps);
    assert_eq!(comparison.secondary.len(), 3);
    assert_eq!(comparison.secondary[0].difference, Some(0.0), "at depth 5 the arms are equal");
    assert!(
        comparison.secondary[1..].iter().all(|contrast| contrast.verdict == Verdict::Helps && contrast.family == 3)
    );
}

#[test]
fn a_sentence_says_what_helps_how_much_and_how_sure_that_is() {
    let comparison = compared(&trend(8));
    assert_eq!(
        sentence(&comparison.primary[0]),
        "dense connections help. Accuracy falls 1.5 points less per added layer (95 % interval 1.5 to 1.5, 8 folds, p = 0.008)."
    );
    let text = sentence(&comparison.secondary[2]);
    assert!(text.starts_with("10 hidden layers: dense connections help. Accuracy is 7.5 points higher"), "{text}");
    assert!(text.contains("p = 0.023, Holm over 3"), "{text}");
}

#[test]
fn a_sentence_says_that_accuracy_rises_where_it_rises() {
    let text = |losses| sentence(&compared(&trends(8, losses)).primary[0]);
    let rises = text([0.08, -0.001]);
    assert!(
        rises.contains("Accuracy rises 0.1 points per added layer with dn, and falls 8.0 points with nn"),
        "{rises}"
    );
    assert!(rises.contains(": the difference is 8.1 points (95 % interval 8.1 to 8.1, 8 folds"), "{rises}");
    let falls = text([-0.001, 0.08]);
    assert!(
        falls.contains("Accuracy falls 8.0 points per added layer with dn, and rises 0.1 points with nn"),
        "{falls}"
    );
    assert!(falls.contains("difference is 8.1 points (95 % interval 8.1 to 8.1"), "{falls}");
    assert!(text([-0.001, -0.002]).contains("Accuracy rises 0.1 points more per added layer"));
}

#[test]
fn few_pairs_are_too_few_to_tell_and_never_no_difference() {
    let comparison = compared(&trend(3));
    assert_eq!(comparison.primary[0].verdict, Verdict::TooFewPairs);
    let text = sentence(&comparison.primary[0]);
    assert!(text.contains("n is too small to tell") && text.contains("p = 0.250 at best"), "{text}");
}

#[test]
fn small_differences_are_equivalent_and_scattered_ones_undecided() {
    let at = |network, index: u64, accuracy: f64| fold(completed("bp", network, 5, accuracy, accuracy), index);
    let both = |difference: fn(u64) -> f64| -> Vec<ResultView> {
        (0..8).flat_map(|index| [at("nn", index, 0.9), at("dn", index, 0.9 + difference(index))]).collect()
    };
    let verdict = |difference| compared(&both(difference)).secondary[0].verdict;
    assert_eq!(verdict(|index| if index % 2 == 0 { 0.001 } else { -0.001 }), Verdict::Equivalent);
    assert_eq!(verdict(|index| if index % 2 == 0 { 0.06 } else { -0.04 }), Verdict::Undecided);
    assert_eq!(verdict(|index| -0.02 - 0.001 * index as f64), Verdict::Hurts);
}

#[test]
fn each_fold_chooses_by_its_own_validation_accuracy() {
    let tried = |network, rate, index, validation, test| {
        with(
            completed("fa", network, 5, validation, test),
            &[("learning_rate", Value::Real(rate)), ("fold", Value::Integer(index))],
        )
    };
    let results = [
        tried("nn", 1e-3, 0, 0.90, 0.80),
        tried("nn", 1e-4, 0, 0.80, 0.99),
        tried("nn", 1e-3, 1, 0.80, 0.99),
        tried("nn", 1e-4, 1, 0.90, 0.70),
        tried("dn", 1e-3, 0, 0.90, 0.85),
        tried("dn", 1e-3, 1, 0.90, 0.85),
    ];
    let comparison = compared(&results);
    let contrast = &comparison.secondary[0];
    assert!((contrast.first.mean.expect("pairs") - 0.75).abs() < 1e-12, "{contrast:?}");
    assert!(sentence(contrast).contains("nn was chosen among 2 settings and dn among 1"), "{}", sentence(contrast));
}

#[test]
fn pairs_share_fold_and_seed_and_seeds_are_averaged_first() {
    let at = |network, index, seed, test| {
        with(fold(completed("bp", network, 5, 0.9, test), index), &[("seed", Value::Integer(seed))])
    };
    let results = [
        at("nn", 0, 0, 0.90),
        at("nn", 0, 1, 0.80),
        at("dn", 0, 0, 0.93),
        at("dn", 0, 1, 0.81),
        at("nn", 1, 0, 0.90),
        at("nn", 1, 7, 0.10),
        at("dn", 1, 0, 0.91),
        at("nn", 2, 0, 0.90),
    ];
    let contrast = &compared(&results).secondary[0];
    assert_eq!((contrast.pairs, contrast.dropped), (2, 1), "fold 2 has no pair");
    assert!((contrast.difference.expect("pairs") - (0.02 + 0.01) / 2.0).abs() < 1e-12, "{contrast:?}");
}

#[test]
fn a_divergence_is_part_of_the_difference_and_a_failure_is_not() {
    let mut results: Vec<_> = (0..3).map(|index| fold(completed("bp", "dn", 5, 0.9, 0.9), index)).collect();
    results.push(fold(completed("bp", "nn", 5, 0.9, 0.9), 0));
    results.push(fold(ended("bp", "nn", 5, TrialStatus::Diverged), 1));
    results.push(fold(ended("bp", "nn", 5, TrialStatus::Failed), 2));
    let contrast = &compared(&results).secondary[0];
    assert_eq!(contrast.pairs, 2);
    assert!((contrast.difference.expect("pairs") - 0.4).abs() < 1e-12, "the mean of 0 and 0.9 − 0.1");
    assert!(sentence(contrast).contains("1 of 2 nn runs diverged"), "{}", sentence(contrast));
}

#[test]
fn with_one_fold_the_pairs_are_seeds_and_nothing_follows_for_new_data() {
    let at = |network, seed, test| with(completed("bp", network, 5, 0.9, test), &[("seed", Value::Integer(seed))]);
    let results: Vec<_> =
        (0..4).flat_map(|seed| [at("nn", seed, 0.9), at("dn", seed, 0.91 + 0.001 * seed as f64)]).collect();
    let contrast = &compared(&results).secondary[0];
    assert_eq!((contrast.unit, contrast.pairs), (Unit::Seed, 4));
    assert!(contrast.interval.is_some() && contrast.interval_new_data.is_none());
}

#[test]
fn one_pair_has_a_difference_and_no_p_value_in_words() {
    let results = [completed("bp", "nn", 5, 0.9, 0.9), completed("bp", "dn", 5, 0.9, 0.92)];
    let text = sentence(&compared(&results).secondary[0]);
    assert_eq!(text, "one seed cannot tell whether dense connections help. Accuracy is 2.0 points higher (1 seed).");
}

#[test]
fn equal_arms_are_equivalent() {
    let at = |network, index: u64| fold(completed("bp", network, 5, 0.9, 0.9), index);
    let results: Vec<_> = (0..8).flat_map(|index| [at("nn", index), at("dn", index)]).collect();
    let contrast = &compared(&results).secondary[0];
    assert_eq!((contrast.p, contrast.p_equivalence, contrast.verdict), (Some(1.0), Some(0.0), Verdict::Equivalent));
}

#[test]
fn a_slope_is_of_the_seeds_that_every_depth_has() {
    let at = |network, depth, seed, test| {
        with(completed("bp", network, depth, test, test), &[("seed", Value::Integer(seed))])
    };
    // Each seed has its own level, and no slope. Seed 0 of nn is missing at depth 7.
    let mut results = Vec::new();
    for seed in 0..4 {
        let level = 0.5 + 0.1 * seed as f64;
        results.extend([at("nn", 5, seed, level), at("dn", 5, seed, level), at("dn", 7, seed, level)]);
        results.extend((seed > 0).then(|| at("nn", 7, seed, level)));
    }
    let comparison = compared(&results);
    let slope = &comparison.primary[0];
    assert_eq!((slope.pairs, slope.dropped, slope.unit), (3, 1, Unit::Seed));
    assert!(slope.first.mean.is_some_and(|mean| mean.abs() < 1e-12), "{slope:?}");
    assert!(sentence(slope).contains("1 seed without a pair left out"), "{}", sentence(slope));
    assert!(sentence(slope).contains("per added layer"), "{}", sentence(slope));
}

#[test]
fn a_family_of_one_depth_is_answered_by_its_accuracies() {
    let mut results = trend(3);
    for (network, test) in [("nn", 0.7), ("dn", 0.9)] {
        let one = |index: u64| fold(completed("dfa", network, 4, test, test + 0.01 * index as f64), index);
        results.extend((0..3).map(one));
    }
    let answer = compared(&results);
    let measures: Vec<Quantity> = answer.main().into_iter().map(|contrast| contrast.quantity).collect();
    assert_eq!(measures, [Quantity::Slope, Quantity::Accuracy]);
}

#[test]
fn another_test_is_named_in_the_sentence() {
    let at = |network, index: u64, test| fold(completed("bp", network, 5, 0.9, test), index);
    let results: Vec<_> =
        (0..8).flat_map(|index| [at("nn", index, 0.9), at("dn", index, 0.91 + 0.001 * index as f64)]).collect();
    let by = |test| {
        let question = Question { test, ..question(None) };
        let answer = compare(&Replicates::of(&results).expect("known counts"), &question).expect("two arms");
        (answer.secondary[0].p.expect("pairs"), sentence(&answer.secondary[0]))
    };
    assert_eq!((by(Test::SignFlip).0, by(Test::Wilcoxon).0), (2.0 / 256.0, 2.0 / 256.0));
    assert!(by(Test::T).0 < 1e-4 && by(Test::T).1.contains("(paired t test)"), "{}", by(Test::T).1);
    assert!(!by(Test::SignFlip).1.contains("test"), "{}", by(Test::SignFlip).1);
}

#[test]
fn the_interval_for_new_training_images_is_wider() {
    let at = |network, index: u64, test| fold(completed("bp", network, 5, 0.9, test), index);
    let results: Vec<_> =
        (0..8).flat_map(|index| [at("nn", index, 0.9), at("dn", index, 0.91 + 0.001 * index as f64)]).collect();
    let comparison = compared(&results);
    let width = |interval: Option<crate::statistics::interval::Interval>| interval.expect("pairs").half_width;
    let contrast = &comparison.secondary[0];
    let ratio = width(contrast.interval_new_data) / width(contrast.interval);
    assert!((ratio - ((0.125 + 0.2) / 0.125_f64).sqrt()).abs() < 1e-9, "10,000 / 50,000 images: {ratio}");
}

#[test]
fn a_comparison_that_is_not_possible_says_what_to_do() {
    let replicates = Replicates::of(&trend(2)).expect("known counts");
    let error = |question: &Question| compare(&replicates, question).expect_err("not possible").to_string();
    let good = question(None);
    assert!(error(&question(Some(vec![]))).contains("depth differs within a group (5, 7, 10): add it to --by"));
    let unknown = Question { arms: networks(["nn", "lognormal"]), ..good.clone() };
    assert!(error(&unknown).contains("no result has network=lognormal; there are: nn, dn"));
    assert!(error(&Question { arms: good.arms[..1].to_vec(), ..good.clone() }).contains("two different values"));
    assert!(error(&question(Some(vec![Setting::Network]))).contains("it makes the arms"));
    assert!(error(&question(Some(vec![Setting::Fold]))).contains("it makes replicates"));
    let of_folds = Question { arms: Question::arms_of(Setting::Fold, [0, 1].map(Value::Integer)), ..good.clone() };
    assert_eq!(
        error(&of_folds),
        "fold makes replicates, over which arms are paired, so it makes no arms; choose a setting that differs: \
         network or depth"
    );
    let one = Replicates::of(&trend(2)[..2]).expect("known counts");
    assert!(compare(&one, &of_folds).expect_err("replicates").to_string().ends_with("choose another setting"));
    assert_eq!(compare(&Replicates::default(), &good), Err(CompareError::Empty));
}

/// Results of nn, of nn with the size of dn, and of dn, in eight folds; dn is 3 points better than nn, and 1 point better than
/// nn with its size.
fn sizes() -> Vec<ResultView> {
    let of_fold = |index: u64| {
        let at = |network, accuracy: f64| fold(completed("fa", network, 5, accuracy, accuracy), index);
        let large = with(at("nn", 0.92), &[("parameters_as", Value::Name("dn".into()))]);
        [at("nn", 0.90), large, at("dn", 0.93)]
    };
    (0..8).flat_map(of_fold).collect()
}

fn arm(settings: &[(Setting, &'static str)]) -> Point {
    settings.iter().map(|&(setting, name)| (setting, Value::Name(name.into()))).collect()
}

fn differences(results: &[ResultView], question: &Question) -> Vec<(String, f64)> {
    let answer = compare(&Replicates::of(results).expect("known counts"), question).expect("a comparison");
    let difference = |contrast: &Contrast| {
        let [first, second] = contrast.names();
        let name = format!("{second} − {first}");
        (name, (1e4 * contrast.difference.expect("pairs")).round() / 1e4)
    };
    answer.main().into_iter().map(difference).collect()
}

#[test]
fn a_network_with_the_size_of_another_is_no_candidate_of_the_plain_one() {
    let plain = differences(&sizes(), &question(None));
    assert_eq!(plain, [("dn − nn".to_owned(), 0.03)]);
    let large = [(Setting::Network, "nn"), (Setting::ParametersAs, "dn")];
    let arms = vec![arm(&large), arm(&[(Setting::Network, "dn")])];
    let found = differences(&sizes(), &Question { arms, ..question(None) });
    assert_eq!(found, [("dn − nn, parameters_as dn".to_owned(), 0.01)]);
    let arms = vec![arm(&[(Setting::Network, "nn")]), arm(&large)];
    let found = differences(&sizes(), &Question { arms, ..question(None) });
    assert_eq!(found, [("nn, parameters_as dn − nn".to_owned(), 0.02)], "the first arm is nn without it");
    let only_large: Vec<ResultView> = sizes().into_iter().filter(|one| one.point != sizes()[0].point).collect();
    let only_large: Vec<ResultView> = only_large
        .into_iter()
        .filter(|one| one.point.contains_key(&Setting::ParametersAs) || one.point[&Setting::Network].short() == "dn")
        .collect();
    let found = differences(&only_large, &question(None));
    assert_eq!(found, [("dn − nn".to_owned(), 0.01)], "where every nn has it, it need not be named");
}

#[test]
fn an_arm_with_settings_that_no_result_has_together_is_an_error() {
    let arms = vec![arm(&[(Setting::Network, "nn")]), arm(&[(Setting::Network, "dn"), (Setting::ParametersAs, "dn")])];
    let replicates = Replicates::of(&sizes()).expect("known counts");
    let error =
        compare(&replicates, &Question { arms, ..question(None) }).expect_err("dn has no such setting").to_string();
    assert!(error.contains("no result has network=dn,parameters_as=dn; there are: "), "{error}");
    assert!(error.contains("network=nn,parameters_as=dn"), "{error}");
}

#[test]
fn an_arm_is_one_experiment_and_no_result_is_of_two_arms() {
    let error = |arms: Vec<Point>| {
        let replicates = Replicates::of(&trend(2)).expect("known counts");
        compare(&replicates, &Question { arms, ..question(None) }).expect_err("not possible").to_string()
    };
    let mixed = error(vec![arm(&[(Setting::Network, "nn")]), Point::from([(Setting::Depth, Value::Integer(5))])]);
    assert_eq!(
        mixed,
        "some results are of both arms, network=nn and depth=5: name a setting in both of them that tells them apart"
    );
    let deep = Point::from([(Setting::Network, Value::Name("dn".into())), (Setting::Depth, Value::Integer(5))]);
    let mixed = error(vec![arm(&[(Setting::Network, "nn")]), deep]);
    assert_eq!(mixed, "depth differs within a group (5, 7, 10): name it in this arm, such as network=nn,depth=5");
}

#[test]
fn the_names_of_arms_tell_them_apart() {
    let rate = |rate| Point::from([(Setting::LearningRate, Value::Real(rate))]);
    let wide = Point::from([(Setting::Hidden, Value::Integer(100))]);
    let result = |rate, hidden, index| {
        let settings = [("learning_rate", Value::Real(rate)), ("hidden", Value::Integer(hidden))];
        with(fold(completed("bp", "nn", 5, 0.9, 0.9), index), &settings)
    };
    let results: Vec<ResultView> =
        (0..2).flat_map(|index| [result(0.1, 50, index), result(0.2, 50, index), result(0.2, 100, index)]).collect();
    let names = |arms: Vec<Point>, shared: Point| {
        let question = Question { shared, arms, by: None, margin: 0.01, test: Test::SignFlip };
        let comparison = compare(&Replicates::of(&results).expect("known counts"), &question).expect("two arms");
        comparison.secondary[0].names()
    };
    let narrow = Point::from([(Setting::Hidden, Value::Integer(50))]);
    assert_eq!(names(vec![rate(0.1), rate(0.2)], narrow), ["0.1", "0.2"]);
    assert_eq!(names(vec![rate(0.1), wide], Point::new()), ["learning_rate 0.1", "hidden 100"]);
}

/// The plan with these contrasts of a sweep of three networks under two rules at two depths.
fn plan(contrasts: &str) -> AnalysisPlan {
    let text = format!(
        "name = \"s\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = [\"fa\", \"bp\"]\nnetwork = [\"nn\", \"readout\", \"dn\"]\n\
         depth = [5, 10]\nfold = {{ from = 0, count = 8 }}\n{contrasts}"
    );
    SweepSpec::parse(&text, Format::Toml, "s").unwrap_or_else(|errors| panic!("{errors}")).analysis
}

const TWO: &str = "[[contrast]]\nquestion = \"Does the short way help?\"\narms = [{ network = \"nn\" }, { network = \"readout\" }]\n\
                   where = { rule = \"fa\", depth = 10 }\n[[contrast]]\nquantity = \"slope\"\n\
                   arms = [{ network = \"nn\", rule = \"fa\" }, { network = \"dn\", rule = \"bp\" }]\n";

#[test]
fn planned_contrasts_are_one_family_whatever_has_results() {
    let at = |rule, network, depth, index, accuracy| fold(completed(rule, network, depth, accuracy, accuracy), index);
    let short: Vec<ResultView> =
        (0..8).flat_map(|index| [at("fa", "nn", 10, index, 0.8), at("fa", "readout", 10, index, 0.9)]).collect();
    let answer = |results: &[ResultView]| verdicts(&Replicates::of(results).expect("known counts"), &plan(TWO));
    let early = answer(&short);
    let [first, second] = early.planned.as_slice() else { panic!("two contrasts: {early:?}") };
    assert_eq!(
        (first.family, first.p, first.p_holm),
        (2, Some(2.0 / 256.0), Some(4.0 / 256.0)),
        "the other one counts"
    );
    assert_eq!((second.pairs, second.quantity, second.p_holm), (0, Quantity::Slope, None));
    let margin = |comparison: &Comparison| comparison.planned[1].margin;
    assert!((margin(&early) - 0.01).abs() < 1e-12, "one depth has results");
    assert_eq!(
        sentence(first),
        "Does the short way help? fa, 10 hidden layers: network readout in place of nn helps. Accuracy is 10.0 points higher \
         (95 % interval 10.0 to 10.0, 8 folds, p = 0.016, Holm over 2)."
    );
    assert!(sentence(second).contains("cannot be compared: no fold has results of both arms"), "{}", sentence(second));
    let both = |index| {
        [(5, 0.9, 0.97), (10, 0.8, 0.97)]
            .map(|(depth, nn, dn)| [at("fa", "nn", depth, index, nn), at("bp", "dn", depth, index, dn)])
    };
    let late = answer(&[short, (0..8).flat_map(both).flatten().collect()].concat());
    let slope = &late.planned[1];
    assert!((margin(&late) - 0.01 / 5.0).abs() < 1e-12, "{slope:?}");
    // Without pairs, the margin has the unit of a slope too.
    let two_depths: Vec<ResultView> = [5, 10].map(|depth| at("fa", "nn", depth, 0, 0.8)).into();
    assert!((margin(&answer(&two_depths)) - 0.01 / 5.0).abs() < 1e-12);
    assert!((slope.difference.expect("pairs") - 0.02).abs() < 1e-9, "{slope:?}");
    assert!(sentence(slope).starts_with("bp, dn in place of fa, nn helps."), "{}", sentence(slope));
    assert!((late.primary.is_empty(), late.secondary.is_empty(), late.main().len()) == (true, true, 2));
}

#[test]
fn a_part_of_the_results_has_no_planned_contrasts() {
    let only = Point::from([(Setting::Rule, Value::Name("fa".into()))]);
    let mut replicates = Replicates::only(only);
    trend(8).iter().for_each(|result| replicates.add(result).expect("known counts"));
    let answer = verdicts(&replicates, &plan(TWO));
    assert!(answer.planned.is_empty() && answer.primary.len() == 1, "{answer:?}");
}
