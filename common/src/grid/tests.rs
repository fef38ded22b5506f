//! The grid against brute force.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::settings::Level;
use crate::spec::{Format, SweepSpec};

fn grid(text: &str) -> Grid {
    let text = format!("name = \"g\"\n{text}");
    SweepSpec::parse(&text, Format::Toml, "g.toml").unwrap_or_else(|errors| panic!("{errors}\n{text}")).grid
}

/// A spec of some blocks, each of other rules and depths, with axes of all three levels.
fn specs() -> impl Strategy<Value = String> {
    let axis = |name: &'static str, values: &'static [&'static str]| {
        (1..=values.len()).prop_map(move |count| format!("{name} = [{}]\n", values[..count].join(", ")))
    };
    let block = (
        axis("network", &["\"nn\"", "\"dn\""]),
        axis("depth", &["1", "4", "7"]),
        axis("learning_rate", &["1e-1", "1e-3"]),
        axis("seed", &["5", "6", "9"]),
        axis("max_updates", &["10", "20", "30"]),
        any::<bool>(),
    );
    prop::collection::vec(block, 1..3).prop_map(|blocks| {
        let rules = ["bp", "fa"];
        let text = blocks.into_iter().enumerate().map(|(index, (network, depth, rate, seed, updates, cut))| {
            let exclude = if cut { "exclude = [{ depth = 1, seed = [5, 6], network = \"nn\" }]\n" } else { "" };
            // What is excluded has to be there, and something has to be left.
            let (depth, seed) =
                if cut { ("depth = [1, 4]\n".to_owned(), "seed = [5, 9]\n".to_owned()) } else { (depth, seed) };
            format!("[[block]]\nrule = \"{}\"\n{network}{depth}{rate}{seed}{updates}{exclude}", rules[index])
        });
        format!("[data]\ndataset = \"mnist\"\n{}", text.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_index_is_a_point_of_its_own(spec in specs()) {
        let grid = grid(&spec);
        let points: BTreeSet<String> =
            (0..grid.trials()).map(|trial| format!("{:?}", grid.point(TrialIndex(trial)))).collect();
        prop_assert_eq!(points.len() as u64, grid.trials());
        prop_assert_eq!(grid.point(TrialIndex(grid.trials())), None);
    }

    #[test]
    fn the_trials_of_a_trajectory_are_neighbours_that_differ_in_stopping_alone(spec in specs()) {
        let grid = grid(&spec);
        let mut next = 0;
        for index in (0..grid.trajectories()).map(TrajectoryIndex) {
            let trajectory = grid.trajectory(index).expect("in the grid");
            prop_assert_eq!(trajectory.first_trial.0, next);
            for (trial, rule) in (next..).zip(&trajectory.stopping_rules) {
                let configuration = grid.configuration(TrialIndex(trial)).expect("in the grid");
                prop_assert_eq!(&configuration.shape, &trajectory.shape);
                prop_assert_eq!(&configuration.hyperparameters, &trajectory.hyperparameters);
                prop_assert_eq!(&configuration.stopping_rule, rule);
                prop_assert_eq!(grid.trajectory_of(TrialIndex(trial)), Some(index));
            }
            next += trajectory.stopping_rules.len() as u64;
        }
        prop_assert_eq!(next, grid.trials());
    }

    #[test]
    fn a_run_of_one_shape_ends_where_the_shape_changes_or_its_block_ends(spec in specs()) {
        let grid = grid(&spec);
        let shape = |index: u64| grid.trajectory(TrajectoryIndex(index)).map(|trajectory| trajectory.shape);
        for index in 0..grid.trajectories() {
            let end = grid.shape_run_end(TrajectoryIndex(index));
            prop_assert!(index < end && end <= grid.trajectories());
            prop_assert!((index..end).all(|other| shape(other) == shape(index)));
        }
    }

    #[test]
    fn excluding_leaves_what_filtering_leaves(spec in specs()) {
        let kept = grid(&spec);
        let whole = grid(&spec.lines().filter(|line| !line.starts_with("exclude")).map(|l| format!("{l}\n")).collect::<String>());
        let all = |grid: &Grid| -> BTreeSet<String> {
            (0..grid.trials()).filter_map(|trial| grid.point(TrialIndex(trial))).map(|point| format!("{point:?}")).collect()
        };
        let has = |point: &Point, setting, value: Value| point.get(&setting) == Some(&value);
        let mut cut: BTreeMap<String, bool> = BTreeMap::new();
        for line in spec.lines().filter(|line| line.starts_with("rule")) {
            cut.insert(line.trim_start_matches("rule = ").trim_matches('"').to_owned(), false);
        }
        let mut rule = String::new();
        for line in spec.lines() {
            if let Some(name) = line.strip_prefix("rule = ") { rule = name.trim_matches('"').to_owned(); }
            if line.starts_with("exclude") { cut.insert(rule.clone(), true); }
        }
        let expected: BTreeSet<String> = (0..whole.trials())
            .filter_map(|trial| whole.point(TrialIndex(trial)))
            .filter(|point| {
                let Some(Value::Name(rule)) = point.get(&Setting::Rule) else { return true };
                let out = has(point, Setting::Depth, Value::Integer(1))
                    && has(point, Setting::Seed, Value::Integer(5))
                    && has(point, Setting::Network, Value::Name("nn".to_owned()));
                !(cut[rule] && out)
            })
            .map(|point| format!("{point:?}"))
            .collect();
        prop_assert_eq!(all(&kept), expected);
    }
}

#[test]
fn zipped_axes_advance_together() {
    let grid = grid(
        "[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = [1, 2, 3]\n\
         learning_rate = [0.1, 0.2, 0.2]\nseed = [0, 1]\nzip = [[\"depth\", \"learning_rate\"]]\n",
    );
    assert_eq!(grid.trials(), 6);
    let pairs: Vec<_> = (0..6)
        .filter_map(|trial| grid.configuration(TrialIndex(trial)))
        .map(|c| (c.shape.depth, c.hyperparameters.learning_rate, c.hyperparameters.seed))
        .collect();
    assert_eq!(pairs, [(1, 0.1, 0), (1, 0.1, 1), (2, 0.2, 0), (2, 0.2, 1), (3, 0.2, 0), (3, 0.2, 1)]);
    assert_eq!(grid.shape_run_end(TrajectoryIndex(2)), 4);
}

#[test]
fn shape_settings_are_most_significant_however_the_spec_orders_them() {
    let grid = grid(
        "[data]\ndataset = \"mnist\"\n[grid]\nmax_updates = [10, 20]\nseed = [0, 1]\ndepth = [1, 2]\nrule = \"bp\"\n\
         network = \"nn\"\n",
    );
    let levels: Vec<Level> = grid.blocks()[0].dimensions().iter().map(|d| d.significance().level()).collect();
    assert_eq!(levels, [Level::Shape, Level::Lane, Level::Stop]);
    assert_eq!(grid.axes(), [Setting::Depth, Setting::Seed, Setting::MaxUpdates]);
}
