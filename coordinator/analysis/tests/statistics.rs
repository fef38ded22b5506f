//! Every statistic equals its reference: `statistics/reference.json`, which `statistics/reference.py` makes with SciPy.

use biosweep_analysis::statistics::importance::anova::{Grid, anova};
use biosweep_analysis::statistics::importance::ped::{Axis, ped_anova};
use biosweep_analysis::statistics::interval::{Inference, Interval, of_mean, of_mean_difference};
use biosweep_analysis::statistics::sign_flip::{Draws, Signs, sign_flip, smallest_p};
use biosweep_analysis::statistics::summary::{self, Point};
use biosweep_analysis::statistics::tuning::{Candidate, Matched, expected_best, profile, superiority};
use biosweep_analysis::statistics::{equivalence, holm, paired, student};
use serde_json::Value;

const TOLERANCE: f64 = 1e-10;

fn reference() -> Value {
    serde_json::from_str(include_str!("statistics/reference.json")).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    list(value).iter().map(|value| value.as_u64().expect("an index") as usize).collect()
}

/// Whether two numbers are equal to 1e-10, relative to numbers above 1.
fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= TOLERANCE * right.abs().max(1.0)
}

/// Compares an answer to its reference, where `null` is no answer.
#[track_caller]
fn same(answer: Option<f64>, known: &Value, what: &str) {
    match answer {
        Some(answer) => {
            assert!(known.as_f64().is_some_and(|known| near(answer, known)), "{what}: {answer} not {known}")
        }
        None => assert!(known.is_null(), "{what}: no answer, not {known}"),
    }
}

/// Compares a list of answers to its reference, where `null` is no answer.
#[track_caller]
fn same_list(answers: Option<Vec<f64>>, known: &Value, what: &str) {
    let Some(answers) = answers else {
        assert!(known.is_null(), "{what}: no answer, not {known}");
        return;
    };
    assert_eq!(Some(answers.len()), known.as_array().map(Vec::len), "{what}: {answers:?} not {known}");
    answers.iter().zip(list(known)).for_each(|(&answer, known)| same(Some(answer), known, what));
}

/// Calls a check with each table and a text that names it.
fn each_table(check: impl Fn(&Value, &str)) {
    let reference = reference();
    let tables = list(&reference["tables"]);
    assert_eq!(tables.len(), 200);
    for (place, table) in tables.iter().enumerate() {
        check(table, &format!("table {place}, {}, n = {}", table["kind"], list(&table["a"]).len()));
    }
}

#[test]
fn summaries_are_those_of_pandas_and_scipy() {
    each_table(|table, name| {
        let (a, b, known) = (numbers(&table["a"]), numbers(&table["b"]), &table["summary"]);
        same(summary::mean(&a), &known["mean"], &format!("mean of {name}"));
        same(summary::variance(&a), &known["variance"], &format!("variance of {name}"));
        same(summary::standard_deviation(&a), &known["deviation"], &format!("standard deviation of {name}"));
        same(summary::trimmed_mean(&a), &known["trimmed"], &format!("trimmed mean of {name}"));
        let quantiles = [0.0, 0.1, 0.25, 0.5, 0.9, 1.0].map(|probability| summary::quantile(&a, probability));
        same_list(quantiles.into_iter().collect(), &known["quantiles"], &format!("quantiles of {name}"));
        let points: Vec<Point> = a.iter().zip(&b).map(|(&x, &y)| Point { x, y }).collect();
        same(summary::slope(&points), &known["slope"], &format!("slope of {name}"));
    });
}

#[test]
fn quantiles_and_tails_of_t_are_those_of_scipy_relative_to_themselves() {
    let reference = reference();
    let relative = |answer: Option<f64>, known: f64, what: &Value| {
        let answer = answer.expect("an answer");
        assert!((answer - known).abs() <= TOLERANCE * known.abs(), "{what}: {answer} not {known}");
    };
    for case in list(&reference["student"]["quantiles"]) {
        let degrees = number(&case[0]) as usize;
        relative(student::quantile(number(&case[1]), degrees), number(&case[2]), case);
    }
    for case in list(&reference["student"]["tails"]) {
        let (degrees, t) = (number(&case[0]) as usize, number(&case[1]));
        relative(student::two_sided_tail(t, degrees), number(&case[2]), case);
        relative(student::upper_tail(t, degrees), number(&case[3]), case);
    }
}

#[test]
fn intervals_are_those_of_scipy() {
    let new = Inference::NewTrainingData { validation: 10_000, training: 50_000 };
    each_table(|table, name| {
        let (a, d) = (numbers(&table["a"]), numbers(&table["differences"]));
        let intervals =
            [of_mean(&a, 0.95), of_mean_difference(&d, Inference::TheseData, 0.95), of_mean_difference(&d, new, 0.95)];
        let ends = |interval: Interval| [interval.low(), interval.high()];
        let ends: Option<Vec<[f64; 2]>> = intervals.into_iter().map(|interval| interval.map(ends)).collect();
        same_list(ends.map(|ends| ends.concat()), &table["intervals"], &format!("intervals of {name}"));
    });
}

#[test]
fn sign_flips_are_those_of_all_signs_and_drawn_ones_are_close() {
    let draws = Draws { seed: 1, count: 19_999 };
    each_table(|table, name| {
        let counts: Vec<i64> = list(&table["counts"]).iter().map(|count| count.as_i64().expect("a count")).collect();
        let result = sign_flip(&counts, draws).expect("counts");
        let not_zero = counts.iter().filter(|&&count| count != 0).count();
        if counts.len() <= 20 {
            assert_eq!((result.signs, result.smallest_p), (Signs::All, smallest_p(not_zero)), "{name}");
            same(Some(result.p), &table["sign_flip"], &format!("sign flip of {name}"));
        } else {
            assert_eq!(result.signs, Signs::Drawn(19_999), "{name}");
            let known = number(&table["sign_flip"]);
            // Five standard errors of a share of the draws, and the one that is added to the draws.
            let error = 5.0 * (known * (1.0 - known) / 20_000.0).sqrt() + 1.0 / 20_000.0;
            assert!((result.p - known).abs() <= error, "{name}: {} not {known}", result.p);
        }
    });
}

#[test]
fn paired_tests_are_those_of_scipy() {
    each_table(|table, name| {
        let d = numbers(&table["differences"]);
        let t = paired::t_test(&d).map(|test| vec![test.statistic, test.p]);
        same_list(t, &table["t"], &format!("t of {name}"));
        let ranks = paired::signed_rank(&d).map(|test| vec![test.statistic, test.p]);
        same_list(ranks, &table["signed_rank"], &format!("signed ranks of {name}"));
    });
}

#[test]
fn adjusted_p_values_and_equivalence_are_those_of_statsmodels() {
    each_table(|table, name| {
        same_list(holm::adjusted(&numbers(&table["p_values"])), &table["holm"], &format!("Holm of {name}"));
        let test = equivalence::equivalence(&numbers(&table["differences"]), number(&table["margin"]));
        let p_values = test.map(|test| vec![test.p(), test.above_lower, test.below_upper]);
        same_list(p_values, &table["equivalence"], &format!("equivalence of {name}"));
    });
}

#[test]
fn tuning_is_that_of_all_subsets() {
    each_table(|table, name| {
        let (a, b) = (numbers(&table["a"]), numbers(&table["b"]));
        let pairs = || a.iter().copied().zip(b.iter().copied());
        let candidates: Vec<Candidate> = pairs().map(|(validation, test)| Candidate { validation, test }).collect();
        same_list(expected_best(&candidates), &table["expected_best"], &format!("E_k of {name}"));
        let matched: Vec<Matched> = pairs().map(|(first, second)| Matched { first, second }).collect();
        same(superiority(&matched), &table["superiority"], &format!("superiority of {name}"));
        same_list(profile(&a, &b), &table["profile"], &format!("profile of {name}"));
    });
}

#[test]
fn the_components_of_a_grid_are_those_of_least_squares() {
    let reference = reference();
    let grids = list(&reference["grids"]);
    assert_eq!(grids.len(), 10);
    for grid in grids {
        let (levels, means, noise) = (indices(&grid["levels"]), numbers(&grid["means"]), numbers(&grid["noise"]));
        let anova = anova(Grid { levels: &levels, means: &means, noise: &noise }).expect("a complete grid");
        let name = format!("grid {levels:?}");
        same(Some(anova.total), &grid["total"], &name);
        let known = list(&grid["components"]);
        assert_eq!(anova.components.len(), known.len(), "{name}");
        for (component, known) in anova.components.iter().zip(known) {
            assert_eq!(component.axes, indices(&known["axes"]), "{name}");
            same(Some(component.variance), &known["variance"], &format!("{name}, axes {:?}", component.axes));
        }
    }
}

#[test]
fn importances_from_counts_are_those_of_the_sum_of_kernels() {
    let reference = reference();
    let cases = list(&reference["candidates"]);
    assert_eq!(cases.len(), 9);
    for case in cases {
        let of_candidates: Vec<Vec<usize>> = list(&case["axes"]).iter().map(indices).collect();
        let levels = indices(&case["levels"]);
        let axes: Vec<Axis<'_>> =
            levels.iter().zip(&of_candidates).map(|(&levels, candidates)| Axis { levels, candidates }).collect();
        let importances = ped_anova(&numbers(&case["scores"]), &axes, number(&case["gamma"])).expect("candidates");
        let name = format!("best {} of {} candidates", case["gamma"], list(&case["scores"]).len());
        assert_eq!(Some(importances.best as u64), case["best"].as_u64(), "{name}");
        same_list(Some(importances.variances), &case["variances"], &name);
    }
}
