//! The study of docs/why-skips.md: its second stage takes over what its first stage found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use biosweep_analysis::aggregate::{Place, cells};
use biosweep_analysis::import;
use biosweep_analysis::replicates::{Divergence, Replicates};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::{Format, SweepSpec, presets};
use biosweep_common::vocabulary::ids::TrialIndex;

#[test]
fn the_second_stage_trains_each_arm_at_the_rate_that_the_first_stage_chose() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results/why-skips/tune.parquet");
    let results = import::file(fs::read(&file).expect("the exported first stage")).expect("a file of results").results;
    let first = cells(&Replicates::of(&results).expect("known counts"), Divergence::Guess);
    assert!(first.iter().all(|cell| cell.candidates == 3), "three rates for each arm");
    let chosen: BTreeMap<Place, Value> =
        first.into_iter().map(|cell| (cell.place, cell.chosen[&Setting::LearningRate].clone())).collect();

    let preset = presets::find("why-skips").expect("a preset");
    let grid =
        SweepSpec::parse(preset.text, Format::Toml, "why-skips").unwrap_or_else(|errors| panic!("{errors}")).grid;
    assert_eq!((chosen.len(), grid.trials()), (100, 800));
    for point in (0..grid.trials()).filter_map(|trial| grid.point(TrialIndex(trial))) {
        let place = Place::of(&point).expect("every trial has a place");
        assert_eq!(point[&Setting::LearningRate], chosen[&place], "{place:?}");
        assert_ne!(point[&Setting::Fold], Value::Integer(0), "rates were chosen on fold 0");
    }
}
