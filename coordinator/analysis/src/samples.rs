//! Sample results for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::configuration::{Configuration, Point, TrialKey};
use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{SweepState, TrialStatus};
use biosweep_common::results::views::{CurveView, ResultView, SpecView, SweepView};
use biosweep_common::settings::{Level, Setting, Value};
use biosweep_common::spec::{Format, SpecText};
use biosweep_common::vocabulary::Dataset;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, TrialIndex};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;

use crate::aggregate::{self, Cell};
use crate::replicates::{Divergence, Replicates};

/// The cells of results.
pub fn cells(results: &[ResultView]) -> Vec<Cell> {
    aggregate::cells(&Replicates::of(results).expect("known counts"), Divergence::Guess)
}

/// A finished sweep without trials.
pub fn sweep(name: &str) -> SweepView {
    SweepView {
        id: "00000000-0000-0000-0000-000000000007".parse::<SweepId>().expect("an id"),
        name: name.to_owned(),
        state: SweepState::Finished,
        reason: None,
        trials: 0,
        trajectories: 0,
        completed: 0,
        diverged: 0,
        failed: 0,
        reused: 0,
        running: 0,
        submitted_at: WallTime(1_700_000_000_000),
        state_at: WallTime(1_700_003_000_000),
        note: None,
    }
}

/// A spec with one extension; both are only texts.
pub fn spec() -> SpecView {
    let text =
        |text: &str| SpecText { text: text.to_owned(), format: Format::Toml, resolved: format!("{text} # resolved") };
    SpecView { text: text("name = \"שלום\""), extensions: vec![text("seed = 1")] }
}

/// A trial on MNIST with relu and the defaults.
pub fn ended(rule: &str, network: &str, depth: u64, status: TrialStatus) -> ResultView {
    let name = |name: &str| Value::Name(name.to_owned().into());
    let point = Point::from([
        (Setting::Dataset, name("mnist")),
        (Setting::Network, name(network)),
        (Setting::Rule, name(rule)),
        (Setting::Depth, Value::Integer(depth)),
    ]);
    let configuration = Configuration::from_point(&point).expect("a configuration");
    ResultView {
        trial: TrialIndex(0),
        key: TrialKey([0xab; 32]),
        status,
        point: configuration.to_point(),
        score: None,
        updates: 3_900,
        attempts: 1,
        worker_name: "host/1".to_owned(),
        seconds: 12.5,
        reused_from: None,
        environment: Some(Arc::new(NumericEnvironment {
            device: "cpu".to_owned(),
            processor: "A Processor".to_owned(),
            instructions: "avx2".to_owned(),
            libtorch: "2.11.0".to_owned(),
            variables: BTreeMap::new(),
        })),
        dataset_size: Some(DatasetSummary::of_named(Dataset::Mnist).size()),
    }
}

/// A completed trial with these accuracies.
pub fn completed(rule: &str, network: &str, depth: u64, validation: f64, test: f64) -> ResultView {
    let score = Score { validation_accuracy: validation, test_accuracy: test, best_update: 3_510, updates: 3_900 };
    ResultView { score: Some(score), ..ended(rule, network, depth, TrialStatus::Completed) }
}

/// A copy with these settings changed.
pub fn with(mut result: ResultView, settings: &[(&str, Value)]) -> ResultView {
    for (name, value) in settings {
        result.point.insert(Setting::from_name(name).expect("a setting"), value.clone());
    }
    result
}

/// The results of a reference implementation (relu 5 and 10, sigmoid 3 and 7), each with `replicates` invented values
/// around it.
pub fn paper(replicates: u64) -> Vec<ResultView> {
    const PLACES: [(&str, &str, u64); 8] = [
        ("relu", "nn", 5),
        ("relu", "nn", 10),
        ("relu", "dn", 5),
        ("relu", "dn", 10),
        ("sigmoid", "nn", 3),
        ("sigmoid", "nn", 7),
        ("sigmoid", "dn", 3),
        ("sigmoid", "dn", 7),
    ];
    const RULES: [(&str, [f64; 8]); 3] = [
        ("bp", [97.7, 97.6, 97.8, 97.8, 97.1, 94.2, 97.4, 97.3]),
        ("fa", [91.7, 83.4, 96.4, 95.9, 95.0, 53.8, 96.3, 96.0]),
        ("dtp", [95.3, 64.1, 97.1, 95.7, 95.8, 84.9, 96.6, 96.0]),
    ];
    let mut results = Vec::new();
    for (rule, percents) in RULES {
        for ((activation, network, depth), percent) in PLACES.into_iter().zip(percents) {
            for fold in 0..replicates {
                let error = 1.0 - percent / 100.0;
                let accuracy = 1.0 - error * (1.0 + 0.1 * (fold as f64 - (replicates - 1) as f64 / 2.0));
                let settings = [("activation", Value::Name(activation.into())), ("fold", Value::Integer(fold))];
                results.push(with(completed(rule, network, depth, accuracy + 0.001, accuracy), &settings));
            }
        }
    }
    results
}

/// For each result an invented curve that approaches its validation accuracy.
pub fn curves(results: &[ResultView]) -> Vec<CurveView> {
    let curve = |(index, result): (u64, &ResultView)| {
        let end = result.score.map_or(0.1, |score| score.validation_accuracy);
        let point = |i: u64| {
            let progress = i as f64 / 3.0;
            let accuracy =
                0.1 + (end - 0.1) * (1.0 - (-progress).exp()) + 0.004 * ((i * 7 + index * 3) % 5) as f64 - 0.008;
            CurvePoint {
                update: 390 * i,
                train_loss: 2.3 - accuracy,
                validation_accuracy: accuracy,
                test_accuracy: None,
            }
        };
        let keep = |(setting, _): &(Setting, Value)| setting.level() != Level::Stop;
        CurveView {
            trajectory: TrajectoryIndex(index),
            first_trial: TrialIndex(index),
            point: result.point.clone().into_iter().filter(keep).collect(),
            points: (1..=10).map(point).collect(),
            diagnostics: Vec::new(),
        }
    };
    (0..).zip(results).map(curve).collect()
}
