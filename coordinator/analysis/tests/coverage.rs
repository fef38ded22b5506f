//! A seeded simulation: intervals cover the true mean as often as they claim, and tests reject a true null hypothesis as
//! seldom as they claim.
//!
//! Run with `--nocapture` to see the rates.

use biosweep_analysis::statistics::interval::{Inference, of_mean, of_mean_difference};
use biosweep_analysis::statistics::sign_flip::{Draws, sign_flip};
use biosweep_analysis::statistics::{holm, paired};
use biosweep_numeric::random::{Purpose, Stream};

/// Random numbers of no purpose of the programs.
fn stream(step: u64) -> Stream {
    Stream::new(2_026, 0, Purpose::SignFlips, step)
}

/// Normal numbers of mean 0.
fn normals(stream: &mut Stream, count: usize, std: f64) -> Vec<f64> {
    let mut numbers = vec![0.0; count];
    stream.fill_normal_f64(&mut numbers, std);
    numbers
}

#[test]
fn the_95_percent_interval_covers_in_93_to_97_percent() {
    const REPETITIONS: usize = 20_000;
    for count in [3, 5, 10] {
        let mut stream = stream(count as u64);
        let values: Vec<f64> = normals(&mut stream, REPETITIONS * count, 0.01).iter().map(|x| 0.9 + x).collect();
        let covers = |values: &&[f64]| {
            let interval = of_mean(values, 0.95).expect("an interval");
            interval.low() <= 0.9 && 0.9 <= interval.high()
        };
        let rate = values.chunks(count).filter(covers).count() as f64 / REPETITIONS as f64;
        println!("n = {count}: the 95 % interval covers in {:.2} %", 100.0 * rate);
        assert!((0.93..=0.97).contains(&rate), "n = {count}: {rate}");
        // A quantile of the normal distribution in place of t would not do: 1.96 / t(n − 1) of the width.
        let normal = |values: &&[f64]| {
            let interval = of_mean(values, 0.95).expect("an interval");
            let t = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262][count - 2];
            (interval.mean - 0.9).abs() <= interval.half_width * 1.96 / t
        };
        let rate = values.chunks(count).filter(normal).count() as f64 / REPETITIONS as f64;
        assert!(rate < 0.93, "n = {count}: {rate}");
    }
}

/// With the correlation ρ / (1 + ρ) between folds that Nadeau and Bengio assume for a ratio ρ of validation to training images,
/// where one effect is shared by all folds.
#[test]
fn the_interval_for_new_training_data_covers_where_folds_overlap() {
    const REPETITIONS: usize = 10_000;
    let new = Inference::NewTrainingData { validation: 10_000, training: 50_000 };
    let mut stream = stream(100);
    let (mut corrected, mut uncorrected) = (0, 0);
    for numbers in normals(&mut stream, 9 * REPETITIONS, 1.0).chunks(9) {
        let (own, shared) = (&numbers[..8], 0.2_f64.sqrt() * numbers[8]);
        let d: Vec<f64> = own.iter().map(|own| own + shared).collect();
        let covers = |inference| {
            let interval = of_mean_difference(&d, inference, 0.95).expect("an interval");
            usize::from(interval.low() <= 0.0 && 0.0 <= interval.high())
        };
        corrected += covers(new);
        uncorrected += covers(Inference::TheseData);
    }
    let rate = |count: usize| count as f64 / REPETITIONS as f64;
    println!("overlapping folds: {:.2} % corrected, {:.2} % not", 100.0 * rate(corrected), 100.0 * rate(uncorrected));
    assert!((0.93..=0.97).contains(&rate(corrected)), "{}", rate(corrected));
    assert!(rate(uncorrected) < 0.9, "{}", rate(uncorrected));
}

/// The share of repetitions with a false rejection in a family of contrasts, with Holm and without. Both arms of a contrast have
/// the same distribution and share the effect of each fold, which is larger than their own noise.
fn false_positives(folds: usize, contrasts: usize, repetitions: usize) -> (f64, f64) {
    let (mut adjusted_wrong, mut raw_wrong) = (0, 0);
    let mut stream = stream(1_000 + folds as u64);
    for repetition in 0..repetitions {
        let numbers = normals(&mut stream, folds * (1 + 2 * contrasts), 1.0);
        let (fold_effects, noise) = numbers.split_at(folds);
        let count = |fold: usize, noise: f64| (9_500.0 + 40.0 * fold_effects[fold] + 15.0 * noise).round() as i64;
        let p = |noise: &[f64]| {
            let (first, second) = noise.split_at(folds);
            let d: Vec<i64> = (0..folds).map(|fold| count(fold, first[fold]) - count(fold, second[fold])).collect();
            sign_flip(&d, Draws { seed: repetition as u64, count: 999 }).expect("folds").p
        };
        let p_values: Vec<f64> = noise.chunks(2 * folds).map(p).collect();
        let adjusted = holm::adjusted(&p_values).expect("p-values");
        adjusted_wrong += usize::from(adjusted.iter().any(|&p| p <= 0.05));
        raw_wrong += usize::from(p_values.iter().any(|&p| p <= 0.05));
    }
    let rate = |count: usize| count as f64 / repetitions as f64;
    (rate(adjusted_wrong), rate(raw_wrong))
}

#[test]
fn sign_flips_with_holm_reject_a_true_null_in_at_most_6_percent() {
    for (folds, contrasts, repetitions) in [(8, 4, 4_000), (10, 4, 4_000), (24, 2, 500)] {
        let (adjusted, raw) = false_positives(folds, contrasts, repetitions);
        println!(
            "{folds} folds, {contrasts} contrasts: {:.2} % with a false positive, {:.2} % without Holm",
            100.0 * adjusted,
            100.0 * raw
        );
        assert!(adjusted <= 0.06, "{folds} folds: {adjusted}");
        assert!(raw > 0.06, "{folds} folds: without Holm there are more, {raw}");
        assert!(adjusted > 0.005, "{folds} folds: a test that rejects nothing finds nothing, {adjusted}");
    }
}

#[test]
fn a_true_difference_is_found() {
    let mut stream = stream(2_000);
    let mut found = [0, 0, 0];
    for (seed, noise) in (0..).zip(normals(&mut stream, 8 * 400, 15.0).chunks(8)) {
        let d: Vec<f64> = noise.iter().map(|noise| (noise + 25.0).round()).collect();
        let counts: Vec<i64> = d.iter().map(|&count| count as i64).collect();
        let flip = sign_flip(&counts, Draws { seed, count: 999 }).expect("folds").p;
        let p_values = [flip, paired::t_test(&d).expect("folds").p, paired::signed_rank(&d).expect("folds").p];
        found.iter_mut().zip(p_values).for_each(|(found, p)| *found += usize::from(p <= 0.05));
    }
    println!("of 400 differences, found by sign flip, t, signed ranks: {found:?}");
    assert!(found.iter().all(|&found| found > 340), "{found:?}");
}
