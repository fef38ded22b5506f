//! The index of a grid against walking through it.

use std::collections::HashSet;

use proptest::prelude::*;

use crate::configuration::{Configuration, Point};
use crate::grid::Grid;
use crate::ids::{TrajectoryIndex, TrialIndex};
use crate::settings::{Level, Value};
use crate::spec::{Format, SweepSpec};

fn grid(body: &str) -> Grid {
    let text = format!("name = \"g\"\n[data]\ndataset = \"mnist\"\n[grid]\n{body}");
    SweepSpec::parse(&text, Format::Toml, "g.toml").unwrap_or_else(|errors| panic!("{errors}\n{text}")).grid
}

fn points(grid: &Grid) -> Vec<Point> {
    (0..grid.trials()).map(|trial| grid.point(TrialIndex(trial)).expect("a trial")).collect()
}

/// A small grid: networks, rules, depths, seeds, learning rates, stops, maybe zipped, maybe with exclusions.
fn bodies() -> impl Strategy<Value = (String, String)> {
    let excludes = prop::collection::vec((0..2_usize, 1..4_u64, 0..4_u64, 0..3_u64), 0..3);
    (1..3_usize, 1..4_u64, 1..4_u64, 1..4_u64, any::<bool>(), excludes).prop_map(
        |(networks, depths, seeds, stops, is_zipped, excludes)| {
            let networks_text = &["[\"nn\"]", "[\"nn\", \"dn\"]"][networks - 1];
            let starts: Vec<u64> = (0..stops).map(|stop| stop * stop * 100).collect();
            let zip = if is_zipped { "hidden = [8, 8, 16, 4]\nfold = [1, 2, 1, 5]\nzip = [[\"hidden\", \"fold\"]]\n" } else { "" };
            let body = format!(
                "network = {networks_text}\nrule = [\"bp\", \"dtp\"]\ndepth = {{ from = 1, count = {depths} }}\n\
                 seed = {{ from = 0, count = {seeds}, step = 2 }}\nmax_updates = [500, 600]\nearly_stop_start = {starts:?}\n{zip}"
            );
            let tables: Vec<String> = excludes
                .iter()
                .map(|(network, depth, seed, stop)| {
                    let network = ["nn", "dn"][*network];
                    format!("{{ network = \"{network}\", depth = {{ from = {depth}, to = 3 }}, seed = [{seed}, 2], early_stop_start = [{}] }}", stop * stop * 100)
                })
                .collect();
            (body, format!("exclude = [{}]", tables.join(", ")))
        },
    )
}

fn is_excluded(point: &Point, exclude: &toml::Table) -> bool {
    exclude["exclude"].as_array().expect("a list").iter().any(|table| {
        table.as_table().expect("a table").iter().all(|(name, wanted)| {
            let (_, own) = point.iter().find(|(setting, _)| setting.name() == name).expect("a setting of the point");
            let number = |own: &Value| own.to_string().parse::<i64>().unwrap_or(-1);
            match wanted {
                toml::Value::String(wanted) => own.to_string() == *wanted,
                toml::Value::Array(wanted) => wanted.iter().any(|value| value.as_integer() == Some(number(own))),
                toml::Value::Table(range) => {
                    (range["from"].as_integer()..=range["to"].as_integer()).contains(&Some(number(own)))
                }
                other => panic!("{other}"),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_index_is_a_point_of_its_own((body, _) in bodies()) {
        let grid = grid(&body);
        let keys: HashSet<_> = (0..grid.trials())
            .map(|trial| grid.configuration(TrialIndex(trial)).expect("a trial").key())
            .collect();
        prop_assert_eq!(keys.len() as u64, grid.trials());
        prop_assert!(grid.configuration(TrialIndex(grid.trials())).is_none());
    }

    #[test]
    fn an_exclusion_leaves_what_filtering_leaves((body, exclude) in bodies()) {
        let table: toml::Table = exclude.parse().expect("toml");
        let all = points(&grid(&body));
        let text = format!("name = \"g\"\n[data]\ndataset = \"mnist\"\n[grid]\n{body}\n{exclude}");
        let wanted: Vec<&Point> = all.iter().filter(|point| !is_excluded(point, &table)).collect();
        let Ok(spec) = SweepSpec::parse(&text, Format::Toml, "g") else {
            // An exclusion that matches nothing, or nothing that an earlier one left, is refused.
            return Ok(());
        };
        let left = points(&spec.grid);
        prop_assert_eq!(left.len(), wanted.len());
        prop_assert!(wanted.iter().all(|point| left.contains(point)));
        check_trajectories(&spec.grid);
    }

    #[test]
    fn trials_of_a_trajectory_lie_together((body, _) in bodies()) {
        check_trajectories(&grid(&body));
    }
}

fn check_trajectories(grid: &Grid) {
    let mut next_trial = 0;
    let mut seen = HashSet::new();
    for index in (0..grid.trajectories()).map(TrajectoryIndex) {
        let trajectory = grid.trajectory(index).expect("a trajectory");
        assert_eq!(trajectory.first_trial, TrialIndex(next_trial));
        for rule in &trajectory.stopping_rules {
            let trial = TrialIndex(next_trial);
            assert_eq!(grid.trajectory_of(trial), Some(index));
            let (shape, hyperparameters) = (trajectory.shape.clone(), trajectory.hyperparameters);
            assert_eq!(grid.configuration(trial), Some(Configuration { shape, hyperparameters, stopping_rule: *rule }));
            next_trial += 1;
        }
        let mut trained = grid.point(trajectory.first_trial).expect("a trial");
        trained.retain(|setting, _| setting.level() != Level::Stop);
        assert!(seen.insert(format!("{trained:?}")), "a trajectory is there twice: {trained:?}");
        let end = grid.shape_run_end(index);
        assert!(end > index.0 && end <= grid.trajectories());
        for other in index.0..end {
            assert_eq!(grid.trajectory(TrajectoryIndex(other)).expect("a trajectory").shape, trajectory.shape);
            assert_eq!(grid.shape_run_end(TrajectoryIndex(other)), end);
        }
    }
    assert_eq!(next_trial, grid.trials());
    assert!(grid.trajectory(TrajectoryIndex(grid.trajectories())).is_none());
}

const ONE: &str = "network = \"nn\"\nrule = \"bp\"\ndepth = 1\n";

#[test]
fn a_run_of_one_shape_spans_all_lanes() {
    let grid = grid(&format!("{ONE}hidden = [4, 8]\nseed = {{ from = 0, count = 5 }}\nfold = [0, 3]"));
    assert_eq!(grid.shape_run_end(TrajectoryIndex(3)), 10);
    assert_eq!(grid.shape_run_end(TrajectoryIndex(10)), 20);
}

#[test]
fn a_billion_seeds_less_one_cost_nothing() {
    let grid = grid(&format!("{ONE}seed = {{ from = 0, count = 1000000000 }}\nexclude = [{{ seed = 77 }}]"));
    assert_eq!(grid.trials(), 999_999_999);
    let seed = |trial| grid.configuration(TrialIndex(trial)).expect("a trial").hyperparameters.seed;
    assert_eq!((seed(76), seed(77), seed(999_999_998)), (76, 78, 999_999_999));
}

#[test]
fn the_axes_are_what_varies_within_blocks_or_between_them() {
    let grid = grid("network = [\"nn\"]\nrule = \"bp\"\nseed = [1, 2]\n[[block]]\ndepth = 1\n[[block]]\ndepth = 2\n");
    let names: Vec<&str> = grid.axes().iter().map(|setting| setting.name()).collect();
    assert_eq!(names, ["depth", "seed"]);
}

/// One block: rules, networks, target steps as a constant, seeds as a range, maybe two zipped axes.
fn blocks() -> impl Strategy<Value = String> {
    (1..4_usize, 0..3_usize, 0..3_u64, 1..3_u64, any::<bool>(), 0..3_u64, any::<bool>()).prop_map(
        |(rules, step, from, by, is_zipped, fold, stops)| {
            let rules = &["[\"fa\", \"dtp\"]", "[\"bp\"]", "[\"bp\", \"dtp\"]"][rules - 1];
            let step = if rules.contains("dtp") { ["", "target_step = 0.1\n", "target_step = 0.5\n"][step] } else { "" };
            let zip = if is_zipped { format!("fold = [{fold}, 2, 4]\ndepth = [1, 1, {by}]\nzip = [[\"fold\", \"depth\"]]\n") } else { format!("fold = {fold}\ndepth = {by}\n") };
            let stop = if stops { "early_stop_start = [5, 10]\n" } else { "" };
            format!("[[block]]\nnetwork = \"nn\"\nrule = {rules}\n{step}seed = {{ from = {from}, step = {by}, count = 2 }}\n{zip}{stop}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_blocks_are_refused_exactly_if_they_share_a_trial(first in blocks(), second in blocks()) {
        let parse = |blocks: &str| {
            SweepSpec::parse(&format!("name = \"g\"\n[data]\ndataset = \"mnist\"\n{blocks}"), Format::Toml, "g")
        };
        let keys = |blocks: &str| -> Option<HashSet<_>> {
            let grid = parse(blocks).ok()?.grid;
            Some((0..grid.trials()).map(|trial| grid.configuration(TrialIndex(trial)).expect("a trial").key()).collect())
        };
        // A block whose own zipped rows repeat is no block.
        let (Some(ours), Some(theirs)) = (keys(&first), keys(&second)) else { return Ok(()) };
        let both = parse(&format!("{first}{second}"));
        prop_assert_eq!(both.is_err(), !ours.is_disjoint(&theirs), "{:?}", both.map(|spec| spec.grid.trials()));
    }
}
