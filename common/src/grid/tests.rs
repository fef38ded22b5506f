//! The grid, compared with brute force.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::axis::{Axis, Dimension};
use super::*;
use crate::configuration::trajectory_point;
use crate::settings::Level;
use crate::spec::{Format, SweepSpec};

fn grid(text: &str) -> Grid {
    let text = format!("name = \"g\"\n{text}");
    SweepSpec::parse(&text, Format::Toml, "g.toml").unwrap_or_else(|errors| panic!("{errors}\n{text}")).grid
}

/// A spec of several blocks with different rules and depths, with axes of all three levels.
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
            // Excluded values must exist, and some values must be left.
            let (depth, seed) =
                if cut { ("depth = [1, 4]\n".to_owned(), "seed = [5, 9]\n".to_owned()) } else { (depth, seed) };
            format!("[[block]]\nrule = \"{}\"\n{network}{depth}{rate}{seed}{updates}{exclude}", rules[index])
        });
        format!("[data]\ndataset = \"mnist\"\n{}", text.collect::<String>())
    })
}

/// Blocks with few values of each kind: lists, ranges, zips within a level and across levels, settings that apply to
/// some points only.
fn blocks() -> impl Strategy<Value = Block> {
    let of = |range: std::ops::Range<u64>, most: usize| prop::collection::btree_set(range, 1..=most);
    let names = |names: &'static [&'static str]| prop::sample::subsequence(names, 1..=names.len());
    let range = (4_u64..9, 1_u64..4, 1_u64..4).prop_map(|(from, step, count)| Axis::Range { from, step, count });
    let axes = (names(&["bp", "dtp"]), of(1..4, 3), range, of(1..4, 2), of(4..8, 3));
    (axes, 0..3_u8, 0..3_u8).prop_map(|((rules, depths, seeds, starts, updates), zip, step)| {
        let list = |values: BTreeSet<u64>| Axis::List(values.into_iter().map(Value::Integer).collect());
        let rules: Vec<Value> = rules.into_iter().map(|rule| Value::Name((*rule).into())).collect();
        let mut constants = Point::from([
            (Setting::Dataset, Value::Name("mnist".into())),
            (Setting::Network, Value::Name("nn".into())),
        ]);
        if step > 0 {
            constants.insert(Setting::TargetStep, Value::Real(f64::from(step) / 10.0));
        }
        let mut dimensions = vec![
            Dimension::new(vec![(Setting::Rule, Axis::List(rules))]),
            Dimension::new(vec![(Setting::EarlyStopStart, list(starts))]),
            Dimension::new(vec![(Setting::MaxUpdates, list(updates))]),
        ];
        let length = seeds.len();
        if zip == 0 {
            dimensions.push(Dimension::new(vec![(Setting::Depth, list(depths))]));
            dimensions.push(Dimension::new(vec![(Setting::Seed, seeds)]));
        } else {
            // If zip is 1, depths are repeated.
            let depths = (0..length).map(|place| Value::Integer(1 + place / u64::from(3 - zip))).collect();
            dimensions.push(Dimension::new(vec![(Setting::Depth, Axis::List(depths)), (Setting::Seed, seeds)]));
        }
        Block::new(constants, dimensions)
    })
}

/// Exclusions: some settings with some values.
fn excludes() -> impl Strategy<Value = Vec<(Setting, Axis)>> {
    let axis = |from: u64| {
        (from..from + 4, 1_u64..3, 1_u64..4).prop_map(|(from, step, count)| Axis::Range { from, step, count })
    };
    let rule = Just(Axis::List(vec![Value::Name("bp".into())]));
    let one = prop_oneof![
        rule.prop_map(|axis| (Setting::Rule, axis)),
        axis(1).prop_map(|axis| (Setting::Depth, axis)),
        axis(4).prop_map(|axis| (Setting::Seed, axis)),
        axis(1).prop_map(|axis| (Setting::EarlyStopStart, axis)),
        axis(4).prop_map(|axis| (Setting::MaxUpdates, axis)),
    ];
    prop::collection::vec(one, 1..4)
}

fn points(block: &Block) -> Vec<Point> {
    (0..block.trials()).map(|index| block.configuration(index).to_point()).collect()
}

fn sorted(points: &[Point]) -> Vec<String> {
    let mut words: Vec<String> = points.iter().map(|point| format!("{point:?}")).collect();
    words.sort();
    words
}

fn distinct(points: &[Point]) -> usize {
    points.iter().map(|point| format!("{point:?}")).collect::<BTreeSet<_>>().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_index_is_a_different_point(spec in specs()) {
        let grid = grid(&spec);
        let points: BTreeSet<String> =
            (0..grid.trials()).map(|trial| format!("{:?}", grid.point(TrialIndex(trial)))).collect();
        prop_assert_eq!(points.len() as u64, grid.trials());
        prop_assert_eq!(grid.point(TrialIndex(grid.trials())), None);
    }

    #[test]
    fn the_trials_of_a_trajectory_are_neighbours_that_differ_only_in_the_stopping_rule(spec in specs()) {
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
            prop_assert_eq!(grid.trials_of(index), Some(trajectory.stopping_rules.len() as u64));
            next += trajectory.stopping_rules.len() as u64;
        }
        prop_assert_eq!(next, grid.trials());
    }

    #[test]
    fn without_sharing_each_trial_is_its_own_trajectory(block in blocks()) {
        let grid = Grid::new(vec![block]).expect("small");
        let alone = grid.clone().unshared();
        prop_assert_eq!((alone.trials(), alone.trajectories()), (grid.trials(), grid.trials()));
        for trial in 0..grid.trials() {
            let configuration = grid.configuration(TrialIndex(trial));
            prop_assert_eq!(alone.configuration(TrialIndex(trial)), configuration.clone());
            let trajectory = alone.trajectory(TrajectoryIndex(trial)).expect("in the grid");
            let rules = configuration.map(|configuration| vec![configuration.stopping_rule]);
            prop_assert_eq!((trajectory.first_trial.0, Some(trajectory.stopping_rules)), (trial, rules));
            let shape = |index| alone.trajectory(TrajectoryIndex(index)).map(|trajectory| trajectory.shape);
            let end = (trial + 1..grid.trials()).find(|&next| shape(next) != shape(trial)).unwrap_or(grid.trials());
            prop_assert_eq!(alone.shape_run_end(TrajectoryIndex(trial)), end);
        }
    }

    #[test]
    fn trajectories_of_one_shape_end_where_the_shape_changes_or_the_block_ends(block in blocks(), other in blocks()) {
        let border = block.trajectories();
        let grid = Grid::new(vec![block, other]).expect("small");
        let shape = |index: u64| grid.trajectory(TrajectoryIndex(index)).expect("in the grid").shape;
        for index in 0..grid.trajectories() {
            let block_end = if index < border { border } else { grid.trajectories() };
            let end = (index + 1..block_end).find(|&next| shape(next) != shape(index)).unwrap_or(block_end);
            prop_assert_eq!(grid.shape_run_end(TrajectoryIndex(index)), end);
        }
        prop_assert_eq!(grid.shape_run_end(TrajectoryIndex(grid.trajectories())), grid.trajectories());
    }

    #[test]
    fn excluding_gives_the_same_points_as_filtering(block in blocks(), excludes in prop::collection::vec(excludes(), 1..4)) {
        let mut rest = vec![block.clone()];
        for exclude in &excludes {
            let cut = |block: Block| block.excluding(exclude).expect("not too fine").unwrap_or_else(|| vec![block]);
            rest = rest.into_iter().flat_map(cut).collect();
        }
        let out = |point: &Point| excludes.iter().any(|exclude| {
            exclude.iter().all(|(setting, values)| point.get(setting).is_some_and(|value| values.place(value).is_some()))
        });
        let expected: Vec<Point> = points(&block).into_iter().filter(|point| !out(point)).collect();
        let left: Vec<Point> = rest.iter().flat_map(points).collect();
        prop_assert_eq!(sorted(&left), sorted(&expected));

        let grid = Grid::new(rest).expect("small");
        let trained: Vec<Point> = (0..grid.trajectories())
            .map(|index| grid.trajectory(TrajectoryIndex(index)).expect("in the grid"))
            .map(|trajectory| trajectory_point(&trajectory.shape, trajectory.hyperparameters))
            .collect();
        prop_assert_eq!(distinct(&trained), trained.len(), "a trajectory is trained once");
    }

    #[test]
    fn a_lookup_finds_the_same_trajectories_as_a_linear_search(
        left in blocks(), right in blocks(), exclude in excludes(),
    ) {
        let cut = |block: Block| block.excluding(&exclude).expect("not too fine").unwrap_or_else(|| vec![block]);
        let (left, right) = (cut(left), Grid::new(vec![right]).expect("small"));
        let left = Grid::new(left).expect("small");
        let walk = |grid: &Grid| -> Vec<Point> {
            let all = (0..grid.trajectories()).map(TrajectoryIndex).filter_map(|index| grid.settings(index));
            all.map(|(shape, hyperparameters)| trajectory_point(&shape, hyperparameters)).collect()
        };
        let (ours, theirs) = (walk(&left), walk(&right));
        let (index, other) = (GridIndex::of(&left), GridIndex::of(&right));
        for point in ours.iter().chain(&theirs) {
            let expected: Vec<TrajectoryIndex> =
                (0..).map(TrajectoryIndex).zip(&ours).filter(|(_, own)| *own == point).map(|(index, _)| index).collect();
            prop_assert_eq!(index.find(point), expected);
        }
        prop_assert_eq!(index.overlaps(&other), ours.iter().any(|point| theirs.contains(point)));
        prop_assert_eq!(index.overlaps_itself(), distinct(&ours) < ours.len());
    }

    #[test]
    fn the_difference_of_grids_is_the_same_as_by_linear_search(
        left in blocks(), right in blocks(), third in blocks(), exclude in excludes(),
    ) {
        let cut = |block: Block| block.excluding(&exclude).expect("not too fine").unwrap_or_else(|| vec![block]);
        let theirs: Vec<Point> = cut(right.clone()).iter().chain([&third]).flat_map(points).collect();
        let known = sorted(&theirs);
        let expected: Vec<Point> =
            points(&left).into_iter().filter(|point| !known.contains(&format!("{point:?}"))).collect();
        let grid = |blocks: Vec<Block>| Grid::new(blocks).expect("small");
        let other = grid(cut(right).into_iter().chain([third]).collect());
        let beyond: Vec<Point> = grid(vec![left]).beyond(&other).expect("not too fine").iter().flat_map(points).collect();
        prop_assert_eq!(sorted(&beyond), sorted(&expected));
    }

    #[test]
    fn blocks_have_a_common_point_if_a_linear_search_finds_one(left in blocks(), right in blocks(), exclude in excludes()) {
        let left = left.excluding(&exclude).expect("not too fine").unwrap_or_else(|| vec![left]);
        let both: Vec<Point> = {
            let theirs = sorted(&points(&right));
            left.iter().flat_map(points).filter(|point| theirs.contains(&format!("{point:?}"))).collect()
        };
        let found = Parts::of(&left).common_point(&Parts::of(std::slice::from_ref(&right)));
        prop_assert_eq!(found.is_some(), !both.is_empty(), "{:?}", both.first());
        prop_assert!(found.is_none_or(|found| both.contains(&found)));
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

#[test]
fn a_trajectory_is_found_in_every_block_that_has_it_whatever_the_stopping_rule() {
    let grid = grid(
        "[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
         [[block]]\nmax_updates = [10, 20]\nseed = { from = 0, count = 1_000_000_000 }\n\
         [[block]]\nmax_updates = 30\nseed = { from = 7, to = 9 }\n",
    );
    let (index, first) = (GridIndex::of(&grid), grid.trajectory(TrajectoryIndex(8)).expect("in the grid"));
    let point = trajectory_point(&first.shape, first.hyperparameters);
    assert_eq!(index.find(&point), [TrajectoryIndex(8), TrajectoryIndex(1_000_000_001)]);
    assert!(index.overlaps_itself());
    let unshared = GridIndex::of(&grid.unshared());
    assert_eq!(unshared.find(&point), [16, 17, 2_000_000_001].map(TrajectoryIndex));
}

#[test]
fn custom_data_with_one_digest_is_the_same_in_every_directory() {
    let own = |directory: &str, digit: &str| {
        let dataset = format!("{{ npy = \"{directory}#{}\" }}", digit.repeat(64));
        grid(&format!("[data]\ndataset = {dataset}\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = [1, 2]\n"))
    };
    let (here, there, other) = (own("/here", "a"), own("/there", "a"), own("/here", "b"));
    let (shape, hyperparameters) = there.settings(TrajectoryIndex(1)).expect("in the grid");
    let point = trajectory_point(&shape, hyperparameters);
    assert_eq!(GridIndex::of(&here).find(&point), [TrajectoryIndex(1)]);
    assert_eq!(GridIndex::of(&other).find(&point), []);
    assert!(
        GridIndex::of(&here).overlaps(&GridIndex::of(&there)) && !GridIndex::of(&here).overlaps(&GridIndex::of(&other))
    );
}
